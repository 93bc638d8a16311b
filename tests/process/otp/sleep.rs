//! Nothing happens, and nothing is done.

use crate::sleepers::{SLEEPERS, all_there_once};
use crate::support::{Project, kill};
use nix::sys::signal::Signal;
use std::fs;

/// Waits until the process was asleep, without once waking up, for a second.
fn comes_to_rest(pid: i32) {
    let switches = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned()
    };
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    let second = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
    for _ in 0..30 {
        let before = switches();
        let mut polled = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
        assert_eq!(rustix::event::poll(&mut polled, Some(&second)).unwrap(), 0, "it ended");
        if switches() == before {
            return;
        }
    }
    panic!("it woke up in each of 30 seconds, though nothing happened");
}

#[test]
fn a19_a_supervisor_sleeps_until_something_happens_and_then_again() {
    let project = Project::running(SLEEPERS);
    comes_to_rest(project.supervisor());
    project.status();
    comes_to_rest(project.supervisor());
    let cursor = project.cursor();
    kill(project.pid("one"), Signal::SIGKILL);
    project.wait("one", "up", &cursor);
    comes_to_rest(project.supervisor());
    all_there_once(&project);
}
