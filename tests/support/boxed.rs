//! A test of this program, alone in a child that has a black box.

use mainstay::blackbox;
use std::env;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::process::Command;

const VARIABLE: &str = "IN_A_BOX";

/// The test `name` of this program, ready to be started.
pub fn child(name: &str, memory: BorrowedFd<'_>) -> (Command, std::os::fd::OwnedFd) {
    let inherited = rustix::io::fcntl_dupfd_cloexec(memory, 3).unwrap();
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([name, "--exact"])
        .env(VARIABLE, "1")
        .env(blackbox::VARIABLE, inherited.as_raw_fd().to_string())
        .env_remove("TRACEPARENT")
        .env_remove("MAINSTAY_RUNTIME_DIR");
    (command, inherited)
}

/// Is this it?
pub fn is_child() -> bool {
    env::var_os(VARIABLE).is_some()
}

/// Runs the test `name` in a child with a box; what was in the box when it had ended.
#[allow(dead_code)] // Not by every test that includes this.
pub fn run(name: &str) -> blackbox::Image {
    let the_box = blackbox::BlackBox::make().unwrap();
    let (mut command, _inherited) = child(name, std::os::fd::AsFd::as_fd(&the_box));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    the_box.image().unwrap()
}
