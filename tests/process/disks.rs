//! Folders that are full or cannot be written.

use crate::sleepers::{SLEEPERS, all_there_once};
use crate::support::{Project, Small};
use std::fs;

#[test]
fn a_full_runtime_directory_stops_no_service() {
    let project = Project::new(SLEEPERS);
    let small = Small::new(project.path("run"), "2m");
    project.start();
    small.fill();
    project.kill_and_wait("one", "up");
    project.mainstay(&["flag", "set", "checkout", "on"]).ok();
    assert_eq!(project.mainstay(&["flag", "on", "checkout"]).code, 0);
    fs::remove_file(project.path("run/board")).unwrap();
    assert_eq!(project.mainstay(&["flag", "on", "checkout"]).code, 0);
    all_there_once(&project);
    small.empty();
    project.shutdown();
}

#[test]
fn a_runtime_directory_that_is_full_from_the_start_is_named() {
    let project = Project::new(SLEEPERS);
    let small = Small::new(project.path("run"), "64k");
    small.fill();
    let run = project.mainstay(&["run", "-d", "--wait"]);
    assert_eq!(run.code, 71, "{run:?}");
    assert!(run.stderr.contains("No space left on device") && run.stderr.contains("hint:"), "{run:?}");
}

#[test]
fn a_full_state_directory_refuses_what_it_cannot_keep_and_loses_nothing() {
    let project = Project::new(SLEEPERS);
    let small = Small::new(project.path("state"), "1m");
    project.start();
    project.mainstay(&["flag", "set", "checkout", "on"]).ok();
    small.fill();
    project.kill_and_wait("one", "up");
    project.kill_and_wait("mainstay.keeper", "up");
    assert_eq!(project.mainstay(&["flag", "on", "checkout"]).code, 0);
    small.empty();
    project.mainstay(&["flag", "set", "checkout", "off"]).ok();
    assert_eq!(project.mainstay(&["flag", "on", "checkout"]).code, 1);
    all_there_once(&project);
    project.shutdown();
}

#[test]
fn a_read_only_state_directory_is_named() {
    let project = Project::new(SLEEPERS);
    let small = Small::new(project.path("state"), "1m");
    nix::mount::mount(
        None::<&str>,
        small.path(),
        None::<&str>,
        nix::mount::MsFlags::MS_REMOUNT | nix::mount::MsFlags::MS_RDONLY,
        None::<&str>,
    )
    .unwrap();
    project.start();
    project.kill_and_wait("one", "up");
    let set = project.mainstay(&["flag", "set", "checkout", "on"]);
    assert_eq!(set.code, 1, "{set:?}");
    assert!(set.stderr.contains("Read-only file system"), "{set:?}");
    assert_eq!(project.mainstay(&["flag", "on", "search"]).code, 0);
    project.mainstay(&["flag", "set", "checkout", "on", "--volatile"]).ok();
    assert_eq!(project.mainstay(&["flag", "on", "checkout"]).code, 0);
    project.shutdown();
}
