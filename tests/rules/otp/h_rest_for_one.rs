//! H: rest_for_one.

use super::*;

#[test]
fn h01_only_those_after_it_fall() {
    let mut rig = Plant::otp(RestForOne, 1).children("root", "a b c").boot();
    assert_eq!(rig.dies("b"), "c- b+4 c+5");
    assert_eq!((rig.life("a"), rig.count("root")), (1, "3/3/0/3".to_owned()));
    assert_eq!(rig.dies("c"), "b- a- LimitReached(Some(ChildId(2)))");
}

#[test]
fn h02_a_restart_that_fails_for_ever_ends_the_supervisor() {
    let mut rig = Plant::otp(RestForOne, 2).children("root", "a b c").boot();
    rig.failing = vec!["b"];
    assert_eq!(rig.dies("a"), "c- b- a+4 b+5");
    assert_eq!(rig.next(), (0, "b+6".to_owned()));
    assert_eq!(rig.next(), (0, "a- LimitReached(Some(ChildId(1)))".to_owned()));
}

#[test]
fn h03_the_next_attempt_begins_at_the_child_that_failed() {
    let mut rig = Plant::otp(RestForOne, 9).children("root", "a b c").boot();
    rig.failing = vec!["b"];
    assert_eq!(rig.dies("a"), "c- b- a+4 b+5");
    rig.failing.clear();
    assert_eq!(rig.next(), (0, "b+6 c+7".to_owned()));
}

#[test]
fn h04_the_later_ones_stop_in_reverse_and_start_in_order() {
    let mut rig = Plant::otp(RestForOne, 9).children("root", "a b c d e").boot();
    assert_eq!(rig.dies("c"), "e- d- c+6 d+7 e+8");
}

#[test]
fn h05_j04_a_failing_middle_child_parks_the_rest() {
    let mut rig = Plant::otp(RestForOne, 9).children("root", "a b c").boot();
    rig.failing = vec!["b"];
    assert_eq!(rig.dies("b"), "c- b+4");
    assert_eq!(
        (rig.which("root"), rig.count("root")),
        ("c undefined, b restarting, a running".to_owned(), "3/1/0/3".to_owned())
    );
    assert_eq!(rig.next(), (0, "b+5".to_owned()));
    assert_eq!(rig.which("root"), "c undefined, b restarting, a running");
}

#[test]
fn h03_c12_who_was_added_behind_a_member_that_is_tried_is_restarted_by_itself_meanwhile() {
    let mut rig = Plant::otp(RestForOne, 9).children("root", "a").boot();
    rig.failing = vec!["a"];
    rig.dies("a");
    assert_eq!(rig.add("root", "x", |_| {}), Ok("x+3".to_owned()));
    assert_eq!(rig.dies("x"), "x+4");
    rig.failing.clear();
    assert_eq!(rig.next(), (0, "x- a+5 x+6".to_owned()));
}
