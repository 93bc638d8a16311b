//! Where and how a supervisor begins: what is there already, what it is given, and how little it needs.

use crate::sleepers::{SLEEPERS, all_there_once};
use crate::support::{Project, outcome};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_second_run_of_the_same_project_is_told_who_runs_already() {
    let project = Project::running(SLEEPERS);
    for args in [&["run"][..], &["run", "-d"]] {
        let second = project.mainstay(args);
        assert_eq!(second.code, 75, "{second:?}");
        assert!(second.stderr.contains(&format!("pid {}", project.supervisor())), "{second:?}");
    }
    all_there_once(&project);
}

#[test]
fn a_stale_socket_is_replaced() {
    let project = Project::new(SLEEPERS);
    fs::create_dir(project.path("run/control")).unwrap();
    fs::set_permissions(project.path("run/control"), fs::Permissions::from_mode(0o700)).unwrap();
    for name in ["run/control/supervisor", "run/control/keeper"] {
        drop(std::os::unix::net::UnixListener::bind(project.path(name)).unwrap());
    }
    project.write("run/notify", "not even a socket");
    project.start();
    all_there_once(&project);
}

#[test]
fn it_works_with_an_empty_environment_and_closed_stdin() {
    let project = Project::new(
        "name = \"bare\"\n[service.shell]\ncommand = [\"/bin/sh\", \"-c\", \"read x || echo end of input; exec /bin/sleep 100000\"]\n\
         ready = { output = \"end of input\" }\n",
    );
    let variables =
        ["RUNTIME_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY"].iter().zip(["run", "state", "log"]);
    let assignments: Vec<String> =
        variables.map(|(n, d)| format!("{n}={}", project.path(d).display())).collect();
    let script = format!(
        "exec 0<&-; exec env -i {} {} run -d --wait",
        assignments.join(" "),
        env!("CARGO_BIN_EXE_mainstay")
    );
    let run = outcome(std::process::Command::new("sh").args(["-c", &script]).current_dir(project.folder()));
    assert_eq!(run.code, 0, "{run:?}");
    all_there_once(&project);
}

#[test]
fn it_works_in_a_path_of_200_characters_with_spaces() {
    let parent = tempfile::tempdir().unwrap();
    let long = parent.path().join("with a space ".repeat(8).trim()).join("x".repeat(120));
    fs::create_dir_all(&long).unwrap();
    let project = Project::inside(&long, SLEEPERS);
    assert!(project.path("run/control/supervisor").as_os_str().len() > 200);
    project.start();
    project.mainstay(&["flag", "set", "checkout", "on"]).ok();
    assert_eq!(project.mainstay(&["flag", "on", "checkout"]).code, 0);
    all_there_once(&project);
    project.shutdown();
}

#[test]
fn a_service_may_have_100_kib_of_arguments() {
    let words: Vec<String> = (0..1000).map(|n| format!("\"{n:0>100}\"")).collect();
    let project = Project::running(&format!(
        "name = \"long\"\n[service.long]\ncommand = [\"sh\", \"-c\", \"echo got $# arguments; exec sleep 100000\", \"sh\", {}]\n\
         ready = {{ output = \"got 1000 arguments\" }}\n",
        words.join(", ")
    ));
    assert!(project.mainstay(&["status"]).ok().contains("long"));
}

#[test]
fn more_descriptors_than_allowed_are_refused_with_the_arithmetic() {
    let project =
        Project::new("name = \"many\"\n[service.many]\ncommand = [\"sleep\", \"1\"]\ninstances = 1000\n");
    let script = format!("ulimit -n 1024; exec {} run -d --wait", env!("CARGO_BIN_EXE_mainstay"));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).current_dir(project.folder());
    for (name, directory) in
        [("RUNTIME_DIRECTORY", "run"), ("STATE_DIRECTORY", "state"), ("LOGS_DIRECTORY", "log")]
    {
        shell.env(name, project.path(directory));
    }
    let run = outcome(&mut shell);
    assert_eq!(run.code, 71, "{run:?}");
    assert!(run.stderr.contains("1024 are allowed") && run.stderr.contains("1000 instances"), "{run:?}");
}

#[test]
fn a_folder_without_any_file_can_run_a_command() {
    let project = Project::new("");
    fs::remove_file(project.path("mainstay.toml")).unwrap();
    project.mainstay(&["run", "-d", "--wait", "--", "sleep", "100000"]).ok();
    assert!(project.mainstay(&["status"]).ok().contains("sleep"));
    project.kill_and_wait("sleep", "up");
    project.shutdown();
}
