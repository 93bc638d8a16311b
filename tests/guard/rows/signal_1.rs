//! Abnormal exits within a window, and supervisors that give up.

use super::*;

#[test]
fn three_abnormal_exits_of_one_service_within_the_window_trip() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 2);
    assert_eq!(signals(&keeper), []);
    crashes(&mut keeper, "web#2", 1);
    let (at, reason) = keeper.rollbacks()[0];
    assert_eq!((at.mono(), reason.seen), (keeper.mono(), keeper.mono()), "in the same moment");
    assert_eq!(reason.evidence.len(), 3);
    assert_eq!(keeper.truth("x").value, Value::Off);
}

#[test]
fn three_in_more_than_the_window_do_not() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    for _ in 0..8 {
        keeper.wait(SECOND * 31);
        keeper.crash("web#1");
        keeper.start("web#1");
    }
    assert_eq!(signals(&keeper), []);
    // The edge of the window belongs to it.
    keeper.wait(SECOND * 29);
    keeper.crash("web#1");
    assert_eq!(signals(&keeper), [Signal::Crashes]);
}

#[test]
fn exits_that_were_asked_for_or_are_normal_do_not_count() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    for (abnormal, asked) in [(true, true), (false, false), (false, true)] {
        for _ in 0..4 {
            keeper.wait(SECOND);
            keeper.event("web#1", Happened::Exited { abnormal, asked, crash: 0 });
            keeper.start("web#1");
        }
    }
    assert_eq!(signals(&keeper), []);
}

#[test]
fn exits_of_two_services_are_not_added_up() {
    let mut keeper = one(Guarding { services: vec!["web".into(), "db".into()], ..Guarding::default() });
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 2);
    crashes(&mut keeper, "db#1", 2);
    assert_eq!(signals(&keeper), []);
}

#[test]
fn a_supervisor_that_gives_up_trips_at_once() {
    for by_group in [false, true] {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        keeper.wait(SECOND);
        keeper.crash("web#1");
        match by_group {
            false => keeper.event("web#1", Happened::GaveUp),
            true => keeper.event("app", Happened::LimitReached { by: "web#1".into() }),
        }
        assert_eq!(signals(&keeper), [Signal::GaveUp]);
    }
}

#[test]
fn another_group_that_gives_up_is_nobodys_fault() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    keeper.event("other", Happened::LimitReached { by: "db#1".into() });
    assert_eq!(signals(&keeper), []);
}

/// The supervisor tells its ring again to whoever asks from an older event on.
#[test]
fn an_exit_that_is_told_again_counts_once() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 2);
    for event in keeper.ring.clone() {
        keeper.guard.handle(keeper.mono(), Input::Happened(event));
    }
    keeper.settle();
    assert_eq!(signals(&keeper), []);
    crashes(&mut keeper, "web#1", 1);
    assert_eq!(signals(&keeper), [Signal::Crashes]);
}
