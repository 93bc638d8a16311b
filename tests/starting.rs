//! Real processes, started by the table (S2).
use mainstay::supervisor::Cause;
use mainstay::sys::launch::{Launch, Program, Request};
use mainstay::sys::pidfd;

#[test]
fn a_program_is_started_and_its_exit_code_is_seen() {
    let argv = ["sh", "-c", "exit 42"].map(Into::into).to_vec();
    let mut launch = Launch::new(Request::new(Program::Named("sh".into()), argv)).unwrap();
    let started = launch.start(&[], None).unwrap();
    assert_eq!(pidfd::wait(&started.pidfd).unwrap().0, Cause::Code(42));
}

#[test]
fn a_missing_program_says_so() {
    let mut launch = Launch::new(Request::new(Program::Named("no-such".into()), vec!["x".into()])).unwrap();
    let error = launch.start(&[], None).unwrap_err();
    assert_eq!(error.to_string(), "executing `no-such`: No such file or directory (os error 2)");
}
