//! G: one_for_all; H: rest_for_one.

use crate::rig::{LIVES, Rig};
use crate::support::gone;
use nix::sys::signal::Signal;

fn group(strategy: &str, intensity: u32, names: &[&str]) -> Rig {
    let services: String = names.iter().map(|name| format!("[service.{name}]\n{LIVES}\n")).collect();
    Rig::otp(intensity, &format!("strategy = \"{strategy}\"\n{services}"))
}

/// What was asked to stop, and what was started after a cursor, in this order.
fn order(rig: &Rig, after: &str, kind: &str) -> Vec<String> {
    let events = rig.project.events(after).into_iter().filter(|event| event["kind"] == kind);
    events.map(|event| event["instance"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn g01_g05_all_are_replaced_and_it_is_one_restart() {
    let rig = group("one_for_all", 2, &["a", "b"]);
    for _ in 0..2 {
        let (first, second) = (rig.pid("a"), rig.pid("b"));
        let cursor = rig.cursor();
        rig.kill("a", Signal::SIGKILL);
        rig.happens(&cursor, "b", "up");
        gone(second);
        assert!(rig.pid("a") != first && rig.pid("b") != second);
        assert_eq!(rig.count(""), "2/2/0/2");
    }
    rig.ends(|| rig.kill("b", Signal::SIGKILL));
}

#[test]
fn g04_survivors_are_stopped_newest_first_and_started_oldest_first() {
    let rig = group("one_for_all", 3, &["a", "b", "c", "d"]);
    let cursor = rig.cursor();
    rig.kill("b", Signal::SIGKILL);
    rig.happens(&cursor, "d", "up");
    assert_eq!(order(&rig, &cursor, "stopping"), ["d", "c", "a"]);
    assert_eq!(order(&rig, &cursor, "starting"), ["a", "b", "c", "d"]);
}

/// `second` fails to start once, after it was killed.
fn failing(strategy: &str) -> (Rig, String) {
    let rig = Rig::prepared(&format!(
        "name = \"t\"\nsemantics = \"otp\"\nstrategy = \"{strategy}\"\nintensity = 10\nperiod = \"1m\"\n\
         [service.first]\n{LIVES}\n[service.second]\ncommand = \"./svc\"\nready = {{ output = \"on\" }}\n[service.third]\n{LIVES}\n"
    ));
    rig.script("svc", "echo on; exec sleep 100000");
    rig.project.start();
    rig.script("svc", "if mkdir failed 2>/dev/null; then exit 1; fi; echo on; exec sleep 100000");
    let cursor = rig.cursor();
    rig.kill("first", Signal::SIGKILL);
    rig.happens(&cursor, "third", "up");
    (rig, cursor)
}

#[test]
fn g03_the_new_life_of_the_first_is_stopped_before_the_next_attempt() {
    let (rig, cursor) = failing("one_for_all");
    let starts = order(&rig, &cursor, "starting");
    assert_eq!(starts, ["first", "second", "first", "second", "third"]);
}

#[test]
fn h03_the_next_attempt_begins_at_the_one_that_failed() {
    let (rig, cursor) = failing("rest_for_one");
    assert_eq!(order(&rig, &cursor, "starting"), ["first", "second", "second", "third"]);
}

#[test]
fn h01_those_after_it_are_replaced_and_those_before_keep_their_pids() {
    let rig = group("rest_for_one", 2, &["a", "b", "c"]);
    for _ in 0..2 {
        let (a, b, c) = (rig.pid("a"), rig.pid("b"), rig.pid("c"));
        let cursor = rig.cursor();
        rig.kill("b", Signal::SIGKILL);
        rig.happens(&cursor, "c", "up");
        assert_eq!(rig.pid("a"), a);
        assert!(rig.pid("b") != b && rig.pid("c") != c);
        assert_eq!(rig.count(""), "3/3/0/3");
    }
    rig.ends(|| rig.kill("b", Signal::SIGKILL));
}

#[test]
fn h04_k07_the_order_of_five() {
    let rig = group("rest_for_one", 3, &["a", "b", "c", "d", "e"]);
    let before = [rig.pid("a"), rig.pid("b")];
    let cursor = rig.cursor();
    rig.kill("c", Signal::SIGKILL);
    rig.happens(&cursor, "e", "up");
    assert_eq!(order(&rig, &cursor, "stopping"), ["e", "d"]);
    assert_eq!(order(&rig, &cursor, "starting"), ["c", "d", "e"]);
    assert_eq!([rig.pid("a"), rig.pid("b")], before);
    // K07
    let cursor = rig.cursor();
    rig.ok(&["stop", "--all"]);
    let exits = order(&rig, &cursor, "exited");
    assert_eq!(exits, ["e", "d", "c", "b", "a"]);
}
