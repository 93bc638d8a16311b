//! Which project a command means: every order of precedence, with a made-up environment and file system.

use mainstay::exit_code::ExitCode;
use mainstay::paths::{self, Choice, ChosenBy, Environment, PathError, Probe, Project};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Files and directories with their owners; nothing else exists.
#[derive(Default)]
struct World {
    files: BTreeMap<PathBuf, (u32, String)>,
    links: BTreeMap<PathBuf, u32>,
    homes: BTreeMap<u32, PathBuf>,
    environment: Environment,
}

impl World {
    /// A user, 1000, in `directory`, with HOME and a runtime directory.
    fn user(directory: &str) -> World {
        let world = World { environment: Environment { uid: 1000, ..at(directory) }, ..World::default() };
        world.set("HOME", "/home/ana").set("XDG_RUNTIME_DIR", "/run/user/1000").owns("/run/user/1000", 1000)
    }

    fn root(directory: &str) -> World {
        World { environment: at(directory), ..World::default() }.set("HOME", "/root")
    }

    fn set(mut self, name: &str, value: &str) -> World {
        self.environment.variables.insert(name.to_owned(), value.into());
        self
    }

    fn unset(mut self, name: &str) -> World {
        self.environment.variables.remove(name);
        self
    }

    fn file(mut self, path: &str, text: &str) -> World {
        let uid = self.environment.uid;
        self.files.insert(path.into(), (uid, text.to_owned()));
        self
    }

    fn owns(mut self, path: &str, uid: u32) -> World {
        let text = self.files.remove(Path::new(path)).map(|(_, text)| text).unwrap_or_default();
        self.files.insert(path.into(), (uid, text));
        self
    }

    fn resolve(&self) -> Result<Project, PathError> {
        self.choose(None, None)
    }

    fn choose(&self, config: Option<&str>, project: Option<&str>) -> Result<Project, PathError> {
        let choice = Choice { config: config.map(PathBuf::from), project: project.map(str::to_owned) };
        paths::resolve(&choice, &self.environment, self)
    }
}

impl Probe for World {
    fn owner(&self, path: &Path) -> Option<u32> {
        self.files.get(path).map(|(uid, _)| *uid)
    }

    fn link_owner(&self, path: &Path) -> Option<u32> {
        self.links.get(path).copied().or_else(|| self.owner(path))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found = self.files.get(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(found.1.clone().into_bytes())
    }

    fn canonical(&self, _: &Path) -> Option<PathBuf> {
        None
    }

    fn home(&self, uid: u32) -> Option<PathBuf> {
        self.homes.get(&uid).cloned()
    }
}

fn at(directory: &str) -> Environment {
    Environment { directory: directory.into(), ..Environment::default() }
}

/// Name, configuration, runtime, state, logs.
fn check(project: Result<Project, PathError>, name: &str, config: &str, directories: [&str; 3]) {
    let project = project.expect("a project is found");
    let config = Some(config).filter(|c| !c.is_empty()).map(PathBuf::from);
    assert_eq!((project.name.as_str(), &project.config), (name, &config));
    assert_eq!([&project.runtime, &project.state, &project.logs], directories.map(Path::new));
}

const SHOP: &str = "name = 'shop'\n";

#[test]
fn a_user_has_everything_under_the_xdg_directories() {
    let world = World::user("/srv/shop").file("/srv/shop/mainstay.toml", SHOP);
    let state = "/home/ana/.local/state/mainstay/shop";
    let expected = ["/run/user/1000/mainstay/shop", state, "/home/ana/.local/state/mainstay/shop/logs"];
    check(world.resolve(), "shop", "/srv/shop/mainstay.toml", expected);
    let world = world.set("XDG_STATE_HOME", "/s");
    check(
        world.resolve(),
        "shop",
        "/srv/shop/mainstay.toml",
        [expected[0], "/s/mainstay/shop", "/s/mainstay/shop/logs"],
    );
}

#[test]
fn root_has_everything_under_run_and_var_whatever_the_user_variables_say() {
    let world =
        World::root("/srv/shop").file("/srv/shop/mainstay.toml", SHOP).set("XDG_RUNTIME_DIR", "/run/user/0");
    let world = world.set("XDG_STATE_HOME", "/s").owns("/run/user/0", 0);
    let expected = ["/run/mainstay/shop", "/var/lib/mainstay/shop", "/var/log/mainstay/shop"];
    check(world.resolve(), "shop", "/srv/shop/mainstay.toml", expected);
}

#[test]
fn the_search_goes_upwards_then_to_the_users_configuration_then_for_root_to_etc() {
    let file = |world: World| world.resolve().unwrap().config;
    let world = || {
        World::root("/a/b/c")
            .file("/etc/mainstay/mainstay.toml", "")
            .file("/root/.config/mainstay/mainstay.toml", "")
    };
    let found = |path: &str| Some(PathBuf::from(path));
    assert_eq!(
        file(world().file("/a/mainstay.toml", "").file("/a/b/mainstay.toml", "")),
        found("/a/b/mainstay.toml")
    );
    assert_eq!(file(world().file("/mainstay.toml", "")), found("/mainstay.toml"));
    assert_eq!(file(world()), found("/root/.config/mainstay/mainstay.toml"));
    assert_eq!(file(world().set("XDG_CONFIG_HOME", "/none")), found("/etc/mainstay/mainstay.toml"));
    assert_eq!(
        file(World::user("/a").file("/etc/mainstay/mainstay.toml", "")),
        None,
        "a user's search ends before /etc"
    );
}

#[test]
fn without_any_file_every_command_of_a_folder_finds_the_same_project() {
    let world = World::user("/srv/my shop");
    let project = world.resolve().unwrap();
    assert_eq!((project.config.as_ref(), project.chosen_by), (None, ChosenBy::Folder));
    assert_eq!(project.name, paths::folder_name(Path::new("/srv/my shop")));
    assert!(project.name.starts_with("my-shop-"), "{}", project.name);
    assert_ne!(
        project.name,
        World::user("/opt/my shop").resolve().unwrap().name,
        "the path counts, not only the name"
    );
    let error = project.configuration().unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Configuration);
    insta::assert_snapshot!(error, @r"
    no configuration found; looked at
      /srv/my shop/mainstay.toml
      /srv/mainstay.toml
      /mainstay.toml
      /home/ana/.config/mainstay/mainstay.toml
    next: mainstay run -- CMD, or write mainstay.toml
    ");
}

#[test]
fn a_file_without_a_name_is_named_by_its_folder_wherever_the_command_stands() {
    let name = |world: World| world.file("/srv/shop/mainstay.toml", "[service.web]").resolve().unwrap().name;
    let expected = paths::folder_name(Path::new("/srv/shop"));
    assert_eq!(name(World::user("/srv/shop")), expected);
    assert_eq!(name(World::user("/srv/shop/src/deep")), expected);
    let world = World::user("/srv").file("/srv/x/../shop/mainstay.toml", "");
    assert_eq!(world.choose(Some("./x/../shop/mainstay.toml"), None).unwrap().name, expected);
}

#[test]
fn names_of_folders_are_always_valid() {
    for (folder, start) in
        [("/", "root-"), ("/é", "project-"), ("/.x", "x-"), ("/a b", "a-b-"), ("/mainstay", "mainstay-")]
    {
        let name = paths::folder_name(Path::new(folder));
        assert!(name.starts_with(start), "{name}");
        assert_eq!(mainstay::config::words::check_name(&name), Ok(()));
    }
    let long = paths::folder_name(Path::new(&format!("/{}", "x".repeat(255))));
    assert_eq!(mainstay::config::words::check_name(&long), Ok(()));
}

#[test]
fn the_command_line_comes_before_variables_and_variables_before_the_search() {
    let world = || {
        World::user("/srv/shop")
            .file("/srv/shop/mainstay.toml", SHOP)
            .file("/one.toml", "name = 'one'")
            .file("/two.toml", "name = 'two'")
    };
    let pick = |world: World, config, project| {
        let project = world.choose(config, project).unwrap();
        (project.name, project.chosen_by)
    };
    let all = || {
        world()
            .set("MAINSTAY_CONFIG", "/two.toml")
            .set("MAINSTAY_RUNTIME_DIR", "/run/user/1000/mainstay/three")
    };
    assert_eq!(pick(all(), Some("/one.toml"), None), ("one".to_owned(), ChosenBy::Config));
    assert_eq!(pick(all(), None, Some("four")), ("four".to_owned(), ChosenBy::Project));
    assert_eq!(pick(all(), Some("/one.toml"), Some("four")), ("four".to_owned(), ChosenBy::Config));
    assert_eq!(pick(all(), None, None), ("two".to_owned(), ChosenBy::ConfigVariable));
    assert_eq!(
        pick(all().unset("MAINSTAY_CONFIG"), None, None),
        ("three".to_owned(), ChosenBy::RuntimeVariable)
    );
    assert_eq!(pick(world(), None, None), ("shop".to_owned(), ChosenBy::Search));
    assert_eq!(
        pick(world().set("MAINSTAY_CONFIG", ""), None, None).0,
        "shop",
        "an empty variable is no variable"
    );
}

#[test]
fn a_project_named_on_the_command_line_has_a_file_only_when_the_found_one_is_its_own() {
    let world = World::user("/srv/shop").file("/srv/shop/mainstay.toml", SHOP);
    assert_eq!(world.choose(None, Some("shop")).unwrap().config, Some("/srv/shop/mainstay.toml".into()));
    assert_eq!(world.choose(None, Some("other")).unwrap().config, None);
    let error = world.choose(None, Some("a/../b")).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Usage);
    assert!(world.choose(None, Some("mainstay")).is_err());
}

#[test]
fn inside_a_service_the_runtime_directory_says_which_supervisor_is_meant() {
    let world = World::user("/tmp/work").file("/tmp/work/mainstay.toml", SHOP);
    let world = world.set("MAINSTAY_RUNTIME_DIR", "/somewhere/three").set("RUNTIME_DIRECTORY", "/run/unit");
    let state = "/home/ana/.local/state/mainstay/three";
    check(
        world.resolve(),
        "three",
        "",
        ["/somewhere/three", state, "/home/ana/.local/state/mainstay/three/logs"],
    );
    let world =
        world.set("MAINSTAY_PROJECT", "x").set("MAINSTAY_STATE_DIR", "/s").set("MAINSTAY_LOGS_DIR", "/l");
    check(world.resolve(), "x", "", ["/somewhere/three", "/s", "/l"]);
}

#[test]
fn the_directories_of_the_unit_are_used_for_root_and_users_alike_whatever_chose_the_project() {
    for world in [World::user("/srv/shop"), World::root("/srv/shop")] {
        let world = world.file("/srv/shop/mainstay.toml", SHOP).set("RUNTIME_DIRECTORY", "/run/a:/run/b");
        let world = world.set("STATE_DIRECTORY", "/var/lib/a").set("LOGS_DIRECTORY", "/var/log/a");
        let expected = ["/run/a", "/var/lib/a", "/var/log/a"];
        check(world.resolve(), "shop", "/srv/shop/mainstay.toml", expected);
        check(world.choose(Some("mainstay.toml"), None), "shop", "/srv/shop/mainstay.toml", expected);
        check(world.choose(None, Some("other")), "other", "", expected);
    }
    let world = World::root("/").set("STATE_DIRECTORY", "/s");
    assert_eq!(
        world.resolve().unwrap().logs,
        Path::new("/s/logs"),
        "logs stay with the state that was given"
    );
}

#[test]
fn without_a_runtime_directory_of_ones_own_a_folder_with_the_uid_is_used() {
    let shop = |world: World| world.file("/srv/shop/mainstay.toml", SHOP);
    let runtime = |world: World| shop(world).resolve().unwrap().runtime;
    let none = || World::user("/srv/shop").unset("XDG_RUNTIME_DIR");
    assert_eq!(runtime(none()), Path::new("/tmp/mainstay-1000/shop"));
    assert_eq!(runtime(none().set("TMPDIR", "/var/tmp")), Path::new("/var/tmp/mainstay-1000/shop"));
    assert_eq!(runtime(none().set("XDG_RUNTIME_DIR", "relative")), Path::new("/tmp/mainstay-1000/shop"));
    // `su` keeps the variable of the user before.
    assert_eq!(
        runtime(World::user("/srv/shop").owns("/run/user/1000", 7)),
        Path::new("/tmp/mainstay-1000/shop")
    );
    assert_eq!(runtime(none().owns("/tmp/mainstay-1000", 1000)), Path::new("/tmp/mainstay-1000/shop"));
}

#[test]
fn a_folder_or_a_file_of_somebody_else_is_refused() {
    let none = || World::user("/srv/shop").unset("XDG_RUNTIME_DIR").file("/srv/shop/mainstay.toml", SHOP);
    let error = none().owns("/tmp/mainstay-1000", 7).resolve().unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::NotPermitted);
    insta::assert_snapshot!(error, @r"
    `/tmp/mainstay-1000` belongs to uid 7, so it is not used
    next: set XDG_RUNTIME_DIR or RUNTIME_DIRECTORY to a directory of your own
    ");
    // A link of somebody else to a directory of ours is somebody else's all the same.
    let mut world = none().owns("/tmp/mainstay-1000", 1000);
    world.links.insert("/tmp/mainstay-1000".into(), 7);
    assert!(matches!(world.resolve(), Err(PathError::NotOurs { owner: 7, .. })));
    // A file that says which programs to run, found in /tmp.
    let world = World::root("/tmp/x").file("/tmp/mainstay.toml", SHOP).owns("/tmp/mainstay.toml", 7);
    assert!(matches!(world.resolve(), Err(PathError::NotOurs { owner: 7, .. })));
    assert_eq!(world.choose(Some("/tmp/mainstay.toml"), None).unwrap().name, "shop", "named, it is trusted");
    let world = World::user("/x").file("/x/mainstay.toml", SHOP).owns("/x/mainstay.toml", 0);
    assert_eq!(world.resolve().unwrap().name, "shop", "root's files are fine");
}

#[test]
fn without_home_the_user_database_is_asked_and_then_the_user() {
    let world = || World::user("/srv/shop").unset("HOME").file("/srv/shop/mainstay.toml", SHOP);
    let error = world().resolve().unwrap_err();
    assert_eq!((error.exit_code(), &error), (ExitCode::Configuration, &PathError::NoHome { uid: 1000 }));
    assert!(error.to_string().contains("next: set XDG_STATE_HOME"), "{error}");
    let mut with_home = world();
    with_home.homes.insert(1000, "/home/from-passwd".into());
    assert_eq!(with_home.resolve().unwrap().state, Path::new("/home/from-passwd/.local/state/mainstay/shop"));
    assert!(
        world().set("STATE_DIRECTORY", "/s").resolve().is_ok(),
        "nobody asks for a home that is not needed"
    );
    // Nothing at all is set, as from cron or in a container.
    let bare = World { environment: at("/"), ..World::default() };
    assert!(bare.resolve().unwrap().name.starts_with("root-"));
}

#[test]
fn a_file_that_was_named_and_is_not_there_is_an_error() {
    let error = World::user("/srv").choose(Some("none.toml"), None).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Configuration);
    assert_eq!(error.to_string(), "cannot read `/srv/none.toml` (--config): entity not found");
    assert!(World::user("/srv").set("MAINSTAY_CONFIG", "/none.toml").resolve().is_err());
}
