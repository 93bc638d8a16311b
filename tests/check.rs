//! `check` on a real folder: what it prints, where, and how it ends.

use mainstay::cli::check::{self, Style};
use mainstay::cli::here;
use mainstay::exit_code::ExitCode;
use mainstay::paths::Choice;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

struct Answer {
    code: ExitCode,
    out: String,
    err: String,
}

/// Runs `check --config FOLDER/mainstay.toml`; the folder is called DIR in what comes back.
fn check(folder: &Path, json: bool) -> Answer {
    let choice = Choice { config: Some(folder.join("mainstay.toml")), project: Some("shop".to_owned()) };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = check::run(&choice, Style { json, color: false }, &mut out, &mut err).unwrap();
    let folder = folder.canonicalize().unwrap().display().to_string();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&folder, "DIR");
    Answer { code, out: text(out), err: text(err) }
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("fixtures/check");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mainstay.toml"), text).unwrap();
    folder
}

fn script(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_configuration_without_mistakes_is_ok() {
    let folder = folder(
        "[service.web]\ncommand = './web'\ninstances = 3\n[service.b]\ncommand = 'sh -c x'\n[flag.a]\n",
    );
    script(&folder.path().join("web"), "#!/bin/sh\n", 0o755);
    let answer = check(folder.path(), false);
    assert_eq!(
        (answer.code, answer.out.as_str(), answer.err.as_str()),
        (ExitCode::Done, "ok: 2 services, 1 flag\n", "")
    );
}

#[test]
fn mistakes_go_to_stderr_and_end_in_78() {
    let folder = folder("[service.web]\ncommand = './web'\nrestrat = 1\n");
    let answer = check(folder.path(), false);
    assert_eq!((answer.code, answer.out.as_str()), (ExitCode::Configuration, ""));
    insta::assert_snapshot!(answer.err, @r"
    error: unknown field `restrat`, did you mean `restart`?
     --> DIR/mainstay.toml:3:1
      |
    3 | restrat = 1
      | ^^^^^^^ in service `web`
    1 error, nothing was changed
    ");
}

#[test]
fn what_this_machine_lacks_is_a_warning_at_the_key_that_asks_for_it() {
    let folder = folder(
        "[service.a]\ncommand = './none'\n[service.b]\ncommand = 'no-such-program-anywhere'\nenv = { PATH = '/none' }\n\
         [service.c]\ncommand = './plain'\n[service.d]\ncommand = './script'\n\
         [service.e]\ncommand = '/bin/sh'\ndirectory = 'nowhere'\nuser = 'no-such-user-here'\n\
         [service.f]\ncommand = '/bin/sh'\ndirectory = 'plain'\nuser = 'root:no-such-group-here'\n\
         [service.g]\ncommand = '/'\n",
    );
    script(&folder.path().join("plain"), "", 0o644);
    script(&folder.path().join("script"), "#!/no/such/interpreter -x\n", 0o755);
    let answer = check(folder.path(), false);
    assert_eq!((answer.code, answer.out.as_str()), (ExitCode::Done, "ok: 7 services, 0 flags, 9 warnings\n"));
    snapshot("lookups", &answer.err);
}

#[test]
fn a_missing_environment_file_is_an_error_since_nothing_could_start_without_it() {
    let folder = folder("[service.a]\ncommand = 'sh'\nenv_file = 'a.env'\n");
    let answer = check(folder.path(), false);
    assert_eq!(answer.code, ExitCode::Configuration);
    assert!(answer.err.contains("cannot read `DIR/a.env`: No such file or directory"), "{}", answer.err);
    fs::write(folder.path().join("a.env"), [b'A', b'=', 0xff]).unwrap();
    assert!(check(folder.path(), false).err.contains("it is not UTF-8"));
    fs::write(folder.path().join("a.env"), "A=1").unwrap();
    assert_eq!(check(folder.path(), false).code, ExitCode::Done);
}

#[test]
fn json_is_one_object_on_one_line_and_nothing_else() {
    let good = folder("[service.web]\ncommand = 'sh'\ninstances = 2\n");
    let answer = check(good.path(), true);
    assert_eq!((answer.code, answer.err.as_str()), (ExitCode::Done, ""));
    snapshot("json_ok", &answer.out);
    let bad = folder("[service.web]\ncommand = 'é'\nrestrat = 1\n");
    let answer = check(bad.path(), true);
    assert_eq!((answer.code, answer.err.as_str()), (ExitCode::Configuration, ""));
    snapshot("json_mistakes", &answer.out);
}

#[test]
fn a_file_that_cannot_be_read_ends_in_78_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let answer = check(folder.path(), false);
    assert_eq!(answer.code, ExitCode::Configuration);
    assert!(answer.err.contains("No such file or directory"), "{}", answer.err);
    fs::create_dir(folder.path().join("mainstay.toml")).unwrap();
    assert!(check(folder.path(), false).err.contains("Is a directory"));
    let answer = check(folder.path(), true);
    assert!(
        answer.out.starts_with("{") && answer.out.contains("\"ok\":false") && answer.err.is_empty(),
        "{}",
        answer.out
    );
}

#[test]
fn a_project_named_on_the_command_line_names_the_tree() {
    let folder = folder("name = 'inside'\n[service.web]\ncommand = 'sh'\n[group.app]\n");
    let load = |name: &str| {
        let choice =
            Choice { config: Some(folder.path().join("mainstay.toml")), project: Some(name.to_owned()) };
        let project = mainstay::paths::resolve(&choice, &here::environment(), &here::System).unwrap();
        check::load(&project, Path::new("/"))
    };
    let plan = load("outside").unwrap().plan;
    assert_eq!((plan.project.as_str(), plan.tree.groups[0].name.as_str()), ("outside", "outside"));
    assert!(load("app").unwrap_err().to_string().contains("a group has the name of the project"));
}

// conf.d

/// A folder with this `mainstay.toml` and these files in `conf.d`.
fn with_parts(text: &str, parts: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = folder(text);
    fs::create_dir(folder.path().join("conf.d")).unwrap();
    for (name, text) in parts {
        fs::write(folder.path().join("conf.d").join(name), text).unwrap();
    }
    folder
}

fn loaded(folder: &Path, file: &str) -> Result<mainstay::config::Plan, String> {
    let choice = Choice { config: Some(folder.join(file)), project: Some("shop".to_owned()) };
    let project = mainstay::paths::resolve(&choice, &here::environment(), &here::System).unwrap();
    let folder = folder.canonicalize().unwrap();
    match check::load(&project, &folder) {
        Ok(configuration) => Ok(configuration.plan),
        Err(found) => Err(found.to_string().replace(&folder.display().to_string(), "DIR")),
    }
}

#[test]
fn files_of_conf_d_add_to_the_main_one_in_byte_order_of_their_names() {
    let folder = with_parts(
        "[defaults]\nrestart = 'transient'\n[service.main]\ncommand = 'sh'\n",
        &[
            ("b.toml", "[service.b]\ncommand = 'sh'\ngroup = 'g'\n"),
            ("a.toml", "[service.a]\ncommand = './x'\nneeds = ['main']\n[group.g]\n[flag.f]\n"),
            ("B.toml", "[service.upper]\ncommand = 'sh'\n"),
            ("a.toml.bak", "not read"),
            (".hidden.toml", "not read"),
            ("toml", "not read"),
        ],
    );
    let plan = loaded(folder.path(), "mainstay.toml").unwrap();
    let names: Vec<_> = plan.programs.iter().map(|p| (p.instance.as_str(), p.part, p.line)).collect();
    assert_eq!(names, [("main", 0, 3), ("upper", 1, 1), ("a", 2, 1), ("b", 3, 1)]);
    assert_eq!(
        plan.parts.iter().map(|p| p.file_name().unwrap()).collect::<Vec<_>>(),
        ["B.toml", "a.toml", "b.toml"]
    );
    assert!(plan.tree.children.iter().all(|c| c.restart == mainstay::supervisor::spec::Restart::Transient));
    assert_eq!(plan.flags.len(), 1);
    // A relative path is relative to the file that it stands in.
    let conf_d = folder.path().canonicalize().unwrap().join("conf.d");
    assert_eq!(plan.programs[2].directory, conf_d);
    let answer = check(folder.path(), false);
    assert_eq!((answer.code, answer.out.as_str()), (ExitCode::Done, "ok: 4 services, 1 flag, 1 warning\n"));
    assert!(answer.err.contains("--> DIR/conf.d/a.toml:2:11"), "{}", answer.err);
}

#[test]
fn mistakes_of_every_file_are_told_at_once_and_say_which_file() {
    let folder = with_parts(
        "[service.web]\ncommand = 'sh'\nrestrat = 1\n[flag.f]\n[group.g]\n",
        &[
            ("1.toml", "# é\n[service.web]\ncommand = 'sh'\n[flag.f]\n"),
            ("2.toml", "name = 'x'\n[defaults]\nbackoff = 'none'\n[group.g]\n[service.a]\nneeds = ['wep']\n"),
        ],
    );
    let found = loaded(folder.path(), "mainstay.toml").unwrap_err();
    snapshot("conf_d_mistakes", &found);
    let answer = check(folder.path(), true);
    let answer: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    let places: Vec<_> = answer["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| format!("{}:{}", d["file"], d["line"]))
        .collect();
    assert!(places.contains(&"\"DIR/conf.d/2.toml\":6".to_owned()), "{places:?}");
}

#[test]
fn broken_toml_in_one_file_does_not_hide_the_mistakes_of_another() {
    let folder = with_parts(
        "[service.web\n",
        &[("1.toml", "[service.a]\ncomand = 1\n"), ("2.toml", "\u{feff}x = 1 y\r\n\r\n[service.b]\r\n")],
    );
    let found = loaded(folder.path(), "mainstay.toml").unwrap_err();
    for place in ["--> mainstay.toml:1:", "--> conf.d/1.toml:2:1", "--> conf.d/2.toml:1:"] {
        assert!(found.contains(place), "{found}");
    }
    // A broken line is one mistake, also in the last file; what is missing may only be what could not be read.
    assert!(found.ends_with("3 errors, nothing was changed"), "{found}");
}

#[test]
fn only_mainstay_toml_has_a_conf_d() {
    let folder =
        with_parts("[service.main]\ncommand = 'sh'\n", &[("a.toml", "[service.a]\ncommand = 'sh'\n")]);
    fs::copy(folder.path().join("mainstay.toml"), folder.path().join("other.toml")).unwrap();
    assert_eq!(loaded(folder.path(), "mainstay.toml").unwrap().programs.len(), 2);
    assert_eq!(loaded(folder.path(), "other.toml").unwrap().programs.len(), 1);
    fs::remove_dir_all(folder.path().join("conf.d")).unwrap();
    assert_eq!(loaded(folder.path(), "mainstay.toml").unwrap().programs.len(), 1);
}

#[test]
fn what_in_conf_d_is_no_readable_text_is_told_by_name() {
    let folder = with_parts("[service.main]\ncommand = 'sh'\nx = 1\n", &[]);
    let conf_d = folder.path().join("conf.d");
    fs::write(conf_d.join("1.toml"), b"a = '\xff'\n").unwrap();
    fs::create_dir(conf_d.join("2.toml")).unwrap();
    // A pipe has no writer: opening it must not wait for one.
    nix::unistd::mkfifo(&conf_d.join("3.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("nowhere", conf_d.join("4.toml")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("mainstay.toml"), conf_d.join("5.toml")).unwrap();
    let found = loaded(folder.path(), "mainstay.toml").unwrap_err();
    snapshot("conf_d_unreadable", &found);
    fs::remove_dir_all(&conf_d).unwrap();
    fs::write(&conf_d, "").unwrap();
    let found = loaded(folder.path(), "mainstay.toml").unwrap_err();
    assert!(found.contains("cannot use `DIR/conf.d`: Not a directory"), "{found}");
}

#[test]
fn a_part_that_belongs_to_somebody_else_is_not_used() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let folder =
        with_parts("[service.main]\ncommand = 'sh'\n", &[("a.toml", "[service.a]\ncommand = 'sh'\n")]);
    let own = |path: &str, uid| std::os::unix::fs::chown(folder.path().join(path), Some(uid), None).unwrap();
    own("conf.d/a.toml", 12345);
    let found = loaded(folder.path(), "mainstay.toml").unwrap_err();
    assert!(
        found.contains("it belongs to uid 12345, so it is not used") && found.contains("conf.d/a.toml"),
        "{found}"
    );
    own("conf.d/a.toml", 0);
    own("conf.d", 12345);
    let found = loaded(folder.path(), "mainstay.toml").unwrap_err();
    assert!(found.contains("cannot use `DIR/conf.d`: it belongs to uid 12345"), "{found}");
    // Whoever owns the file that was named may have parts of it.
    own("mainstay.toml", 12345);
    assert_eq!(loaded(folder.path(), "mainstay.toml").unwrap().programs.len(), 2);
}

#[test]
fn templates_are_counted_apart_and_looked_up_as_far_as_they_are_known() {
    let folder = folder(
        "[service.'a@']\ncommand = './none'\n[service.'b@']\ncommand = './%i'\ndirectory = '%i'\nuser = '%i'\n",
    );
    let answer = check(folder.path(), false);
    assert_eq!(
        (answer.code, answer.out.as_str()),
        (ExitCode::Done, "ok: 0 services, 2 templates, 0 flags, 1 warning\n")
    );
    assert!(answer.err.contains("`DIR/none` does not exist"), "{}", answer.err);
}
