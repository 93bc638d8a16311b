//! While everything goes down the runtime directory is not watched any more, and looked after all the same.

mod support;

use nix::sys::signal::Signal;
use std::fs;
use support::{Project, gone, kill, outcome, readable};

#[test]
fn a_socket_that_is_deleted_during_a_long_shutdown_comes_back() {
    let project = Project::new(
        r#"
name = "slow"
[service.deaf]
command = ["sh", "-c", "trap '' TERM; echo deaf; read nothing < never"]
ready = { output = "deaf" }
stop = { grace = "forever" }
"#,
    );
    outcome(std::process::Command::new("mkfifo").arg(project.path("never"))).ok();
    project.start();
    let (supervisor, deaf, cursor) = (project.supervisor(), project.pid("deaf"), project.cursor());
    project.mainstay(&["shutdown", "--no-wait"]).ok();
    project.wait("deaf", "stopping", &cursor);
    let names = nix::sys::inotify::Inotify::init(nix::sys::inotify::InitFlags::IN_CLOEXEC).unwrap();
    let control = project.path("run/control");
    names.add_watch(&control, nix::sys::inotify::AddWatchFlags::IN_CREATE).unwrap();
    fs::remove_file(control.join("supervisor")).unwrap();
    readable(&std::os::fd::AsFd::as_fd(&names).try_clone_to_owned().unwrap());
    assert_eq!(project.supervisor(), supervisor, "it answers at the new one");
    kill(deaf, Signal::SIGKILL);
    gone(supervisor);
}
