//! G: one_for_all.

use super::*;

#[test]
fn g01_all_fall_together_and_a_group_restart_is_one_restart() {
    let mut rig = Plant::otp(OneForAll, 2).children("root", "a b").boot();
    assert_eq!(rig.dies("a"), "b- a+3 b+4");
    assert_eq!(
        (rig.which("root"), rig.count("root")),
        ("b running, a running".to_owned(), "2/2/0/2".to_owned())
    );
    assert_eq!(rig.dies("b"), "a- a+5 b+6");
    assert_eq!(rig.dies("a"), "b- LimitReached(Some(ChildId(0)))");
}

#[test]
fn g02_when_a_start_fails_during_the_group_restart_it_is_retried_until_the_budget_is_gone() {
    let mut rig = Plant::otp(OneForAll, 2).children("root", "a b").boot();
    rig.failing = vec!["b"];
    assert_eq!(rig.dies("a"), "b- a+3 b+4");
    assert_eq!(rig.next(), (0, "a- a+5 b+6".to_owned()));
    assert_eq!(rig.next(), (0, "a- LimitReached(Some(ChildId(1)))".to_owned()), "no further attempt is made");
}

#[test]
fn g03_what_was_started_again_is_stopped_before_the_next_attempt() {
    let mut rig = Plant::otp(OneForAll, 9).children("root", "a b c").boot();
    rig.failing = vec!["b"];
    assert_eq!(rig.dies("a"), "c- b- a+4 b+5");
    assert_eq!(
        (rig.which("root"), rig.count("root")),
        ("c undefined, b restarting, a running".to_owned(), "3/1/0/3".to_owned())
    );
    rig.failing.clear();
    rig.reports.clear();
    assert_eq!(rig.next(), (0, "a- a+6 b+7 c+8".to_owned()));
    assert_eq!(
        rig.exits_told(),
        ["a Signal(15, false) asked"],
        "its new life was stopped in the ordinary way"
    );
}

#[test]
fn g04_survivors_stop_newest_first_and_start_oldest_first() {
    let mut rig = Plant::otp(OneForAll, 9).children("root", "a b c d").boot();
    assert_eq!(rig.dies("b"), "d- c- a- a+5 b+6 c+7 d+8");
}

#[test]
fn g04_each_survivor_has_its_own_grace() {
    let plant = Plant::otp(OneForAll, 9).children("root", "a");
    let plant = plant.child("root", "b", within(Grace::After(seconds(2))));
    let mut rig = plant.child("root", "c", within(Grace::After(seconds(1)))).boot();
    rig.deaf = vec!["b", "c"];
    assert_eq!(rig.dies("a"), "c-");
    assert_eq!(rig.next(), (1000, "c! b-".to_owned()));
    assert_eq!(rig.next(), (2000, "b! a+4 b+5 c+6".to_owned()));
}

#[test]
fn g05_deaths_by_the_group_stop_do_not_count() {
    let mut rig = Plant::otp(OneForAll, 1).children("root", "a b c").boot();
    assert_eq!(rig.dies("a"), "c- b- a+4 b+5 c+6", "two deaths by our stop, and the window holds one");
    assert_eq!(rig.restarts("b"), 0);
}

#[test]
fn g05_a_member_that_dies_by_itself_while_the_group_stops_does_not_count_either() {
    let mut rig = Plant::otp(OneForAll, 1).children("root", "a b c").boot();
    rig.deaf = vec!["c"];
    assert_eq!(rig.dies("a"), "c-", "b waits for c");
    assert_eq!(rig.dies("b"), "", "before our signal");
    let told = rig.told();
    assert!(
        told.iter().any(
            |line| line.starts_with("b Exited { cause: Signal(9, false)") && line.contains("asked: true")
        )
    );
    assert_eq!(rig.next().1, "c! a+4 b+5 c+6");
}
