//! What becomes of services whose supervisor is killed, when they are to share its fate (`on_supervisor_death = "die"`).

mod support;

use nix::sys::signal::Signal;
use std::os::fd::OwnedFd;
use support::{Project, kill, outcome, pidfd, readable};

/// Descriptors of the users' processes, before something happens to them.
fn lives(project: &Project) -> Vec<OwnedFd> {
    let status = project.status();
    let services = status["services"].as_array().unwrap().iter().filter(|s| s["builtin"] != true);
    let pids: Vec<i32> = services.map(|s| i32::try_from(s["pid"].as_i64().unwrap()).unwrap()).collect();
    pids.into_iter().map(|pid| pidfd(pid).expect("it runs")).collect()
}

/// Whether it has ended, as of now.
fn has_ended(life: &OwnedFd) -> bool {
    use std::os::fd::AsFd;
    let mut fds = [nix::poll::PollFd::new(life.as_fd(), nix::poll::PollFlags::POLLIN)];
    nix::poll::poll(&mut fds, 0_u16).unwrap() == 1
}

const INNER: &str = r#"
name = "inner"
on_supervisor_death = "die"
[service.worker]
command = ["sh", "-c", "echo at work; exec sleep 100000"]
"#;

const DEAF: &str = r#"
name = "fate"
on_supervisor_death = "die"
[service.plain]
command = ["sleep", "100000"]
instances = 3
[service.deaf]
command = ["sh", "-c", "trap '' TERM INT HUP; echo deaf; read nothing < never"]
ready = { output = "deaf" }
[service.silent]
command = ["sleep", "100000"]
log = "none"
"#;

mod otp {
    use super::*;

    #[test]
    fn l06_every_service_dies_with_a_supervisor_that_is_killed() {
        let project = Project::new(DEAF);
        outcome(std::process::Command::new("mkfifo").arg(project.path("never"))).ok();
        project.start();
        project.mainstay(&["start-child", "added", "--", "sleep", "100000"]).ok();
        project.wait("added", "up", "0");
        // Also who was started again.
        project.kill_and_wait("silent", "up");
        let lives = lives(&project);
        assert_eq!(lives.len(), 6);
        kill(project.supervisor(), Signal::SIGKILL);
        lives.iter().for_each(readable);
    }

    /// A group is no process; a supervisor that is a service of another one is.
    #[test]
    fn l03_a_supervisor_in_the_middle_is_killed_its_worker_goes_too_and_both_come_back_new() {
        let mainstay = env!("CARGO_BIN_EXE_mainstay");
        let project = Project::new(&format!(
            r#"
name = "outer"
[service.middle]
command = ["env", "-u", "MAINSTAY_RUNTIME_DIR", "{mainstay}", "run"]
directory = "inner"
env = {{ RUNTIME_DIRECTORY = "run", STATE_DIRECTORY = "state", LOGS_DIRECTORY = "log" }}
ready = {{ output = "at work" }}
[service.neighbour]
command = ["sleep", "100000"]
"#
        ));
        for folder in ["inner", "inner/run", "inner/state", "inner/log"] {
            std::fs::create_dir(project.path(folder)).unwrap();
        }
        project.write("inner/mainstay.toml", INNER);
        // Absolute, as a service manager says them.
        let directories =
            [("RUNTIME_DIRECTORY", "run"), ("STATE_DIRECTORY", "state"), ("LOGS_DIRECTORY", "log")];
        let absolute = directories.iter().fold(project.read("mainstay.toml"), |text, (name, folder)| {
            let path = project.path("inner").join(folder);
            text.replace(&format!("{name} = \"{folder}\""), &format!("{name} = \"{}\"", path.display()))
        });
        project.write("mainstay.toml", &absolute);
        project.start();

        let worker = || -> i32 {
            let mut command = project.command(&["pid", "worker"]);
            for (name, folder) in directories {
                command.env(name, project.path("inner").join(folder));
            }
            let folder = project.path("inner");
            outcome(command.current_dir(folder)).ok().trim().parse().unwrap()
        };
        let (before, neighbour) = (worker(), project.pid("neighbour"));
        let life = pidfd(before).expect("it runs");
        let (old, new) = project.kill_and_wait("middle", "ready");
        assert!(has_ended(&life) && old != new);
        assert_ne!(worker(), before, "a new worker of the new supervisor");
        assert_eq!(project.pid("neighbour"), neighbour);
    }
}

#[test]
fn unless_it_is_asked_for_services_outlive_their_supervisor() {
    let project = Project::new(&DEAF.replace("\"die\"", "\"stay\""));
    outcome(std::process::Command::new("mkfifo").arg(project.path("never"))).ok();
    project.start();
    let lives = lives(&project);
    let supervisor = project.supervisor();
    let end = pidfd(supervisor).expect("it runs");
    kill(supervisor, Signal::SIGKILL);
    readable(&end);
    assert!(!lives.iter().any(has_ended));
    // And the next one ends them.
    project.start();
    assert!(lives.iter().all(has_ended));
}

#[test]
fn a_reload_that_asks_for_it_restarts_who_began_without() {
    let project = Project::new(&DEAF.replace("\"die\"", "\"stay\""));
    outcome(std::process::Command::new("mkfifo").arg(project.path("never"))).ok();
    project.start();
    project.write("mainstay.toml", DEAF);
    let told = project.mainstay(&["reload", "--dry-run"]).ok();
    assert!(told.contains("on_supervisor_death stay -> die"), "{told}");
    project.mainstay(&["reload", "--wait", "--timeout", "60s"]).ok();
    let lives = lives(&project);
    kill(project.supervisor(), Signal::SIGKILL);
    lives.iter().for_each(readable);
}
