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
