//! What is not quite as OTP does it, knowingly: `docs/otp.md` says why. Each ends as OTP's way ends.

use super::*;

#[test]
fn h01_c24_a_member_before_the_one_that_fell_joins_the_fall_that_goes_on() {
    let mut rig = Plant::otp(RestForOne, 9).children("root", "a b c").boot();
    rig.deaf = vec!["c"];
    assert_eq!(rig.dies("b"), "c-");
    assert_eq!(rig.dies("a"), "", "OTP: b and c are started first, and stopped again");
    assert_eq!(rig.exits("c", SHUTDOWN), "a+4 b+5 c+6");
    let left = (0..7).map(|_| rig.dies("c")).filter(|what| !what.contains("Limit")).count();
    assert_eq!(left, 7, "two of nine restarts were counted, as in OTP");
    assert!(rig.dies("c").contains("LimitReached"));
}

#[test]
fn a11_q04_a_death_during_the_first_start_is_answered_at_once() {
    let slow = |child: &mut Child| child.ready_within = Some(seconds(9));
    let mut rig = Plant::otp(OneForOne, 9).children("root", "a").child("root", "b", slow).boot();
    assert_eq!(rig.dies("a"), "a+3", "OTP: when b is ready");
    assert_eq!(rig.exits("b", ERROR), "a- StartFailed(ChildId(1))", "and the start fails all the same");
}

#[test]
fn i05_j06_two_that_are_due_together_are_both_counted_before_either_is_tried() {
    let mut rig = Plant::otp(OneForOne, 3).children("root", "a b").boot();
    rig.failing = vec!["a", "b"];
    rig.dies("a");
    rig.dies("b");
    assert_eq!(rig.next().1, "LimitReached(Some(ChildId(1)))", "OTP: a is tried once more before");
}
