//! G, H: one_for_all and rest_for_one. J04, L: trees.

use crate::rig::Plant;
use mainstay::supervisor::spec::Backoff;
use mainstay::supervisor::spec::Strategy::{OneForAll, OneForOne, RestForOne};
use mainstay::supervisor::{Cause, State};
use mainstay::time::Duration;

const SECOND: Backoff =
    Backoff { first: Duration::from_secs(1), base: Duration::from_secs(2), jitter: 0.0, ..Backoff::NONE };

#[test]
fn g01_all_fall_together_and_a_group_restart_is_one_restart() {
    let mut rig = Plant::otp(OneForAll, 2).children("root", "a b").boot();
    assert_eq!(rig.dies("a"), "b- a+3 b+4");
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
    let mut rig = Plant::otp(OneForAll, 9).children("root", "a b").boot();
    rig.failing = vec!["b"];
    assert_eq!(rig.dies("a"), "b- a+3 b+4");
    rig.failing.clear();
    assert_eq!(rig.next(), (0, "a- a+5 b+6".to_owned()));
}

#[test]
fn g04_survivors_stop_newest_first_and_start_oldest_first() {
    let mut rig = Plant::otp(OneForAll, 9).children("root", "a b c d").boot();
    assert_eq!(rig.dies("b"), "d- c- a- a+5 b+6 c+7 d+8");
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

#[test]
fn h01_only_those_after_it_fall() {
    let mut rig = Plant::otp(RestForOne, 1).children("root", "a b c").boot();
    assert_eq!(rig.dies("b"), "c- b+4 c+5");
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
fn h05_a_failing_middle_child_parks_the_rest() {
    let mut rig = Plant::otp(RestForOne, 9).children("root", "a b c").boot();
    rig.failing = vec!["b"];
    rig.dies("b");
    assert_eq!(rig.states(), [State::Up, State::BackingOff, State::Waiting]);
}

#[test]
fn s7_the_delay_of_the_first_that_failed_governs_its_group() {
    let plant = Plant::new().root(|root| root.strategy = OneForAll);
    let mut rig = plant.child("root", "a", |a| a.backoff = SECOND).children("root", "b").boot();
    assert_eq!(rig.dies("a"), "b-");
    assert_eq!(rig.states(), [State::BackingOff, State::Waiting]);
    let due = rig.supervisor.retry_at(rig.id("b")).unwrap();
    assert_eq!(due.since(rig.now), Duration::from_secs(1), "who waits with it knows until when");
    assert_eq!(rig.next(), (1000, "a+3 b+4".to_owned()));
}

#[test]
fn s7_a_new_failure_joins_the_waiting_group() {
    let plant = Plant::new().root(|root| root.strategy = RestForOne).children("root", "a");
    let mut rig = plant.child("root", "b", |b| b.backoff = SECOND).children("root", "c").boot();
    assert_eq!(rig.dies("b"), "c-");
    rig.now = rig.now + Duration::from_millis(400);
    assert_eq!(rig.dies("a"), "", "its own wait would be none");
    assert_eq!(rig.next(), (600, "a+4 b+5 c+6".to_owned()));
}

#[test]
fn finished_members_run_again_in_a_group_restart_and_stopped_ones_do_not() {
    let plant = Plant::new().root(|root| root.strategy = OneForAll);
    let once = |child: &mut mainstay::supervisor::spec::Child| {
        child.restart = mainstay::supervisor::spec::Restart::Transient;
    };
    let mut rig = plant.child("root", "job", once).children("root", "a b").boot();
    assert_eq!(rig.exits("job", Cause::Code(0)), "");
    assert_eq!(rig.stop("b"), "b-");
    assert_eq!(rig.dies("a"), "job+4 a+5");
    assert_eq!(rig.state("b"), State::Stopped);
}

#[test]
fn l01_a_death_in_one_subtree_leaves_the_others_alone() {
    let plant = Plant::otp(OneForAll, 5);
    let group = |group: &mut mainstay::supervisor::spec::Group| {
        group.otp = true;
        group.intensity = Some(mainstay::supervisor::spec::OTP_INTENSITY);
    };
    let plant =
        plant.group("root", "first", group).group("root", "second", group).group("root", "third", group);
    let mut rig = plant.children("first", "a b").children("second", "c d").boot();
    assert_eq!(rig.dies("c"), "c+5");
}

#[test]
fn l02_an_escalation_restarts_all_subtrees_also_what_was_stopped_by_command() {
    let group = |group: &mut mainstay::supervisor::spec::Group| {
        group.otp = true;
        group.intensity = Some(mainstay::supervisor::spec::OTP_INTENSITY);
    };
    let plant = Plant::otp(OneForAll, 5).group("root", "first", group).group("root", "second", group);
    let plant = plant.group("root", "third", group);
    let mut rig = plant.children("first", "a").children("second", "b").children("third", "c").boot();
    assert_eq!(rig.stop("third"), "c-");
    assert_eq!(rig.dies("b"), "b+4");
    assert_eq!(rig.dies("b"), "a- a+5 b+6 c+7");
}

#[test]
fn e09_a_temporary_bystander_is_stopped_and_not_started_again() {
    for strategy in [OneForAll, RestForOne] {
        let plant = Plant::otp(strategy, 9).children("root", "a");
        let temporary =
            plant.child("root", "t", |t| t.restart = mainstay::supervisor::spec::Restart::Temporary);
        let mut rig = temporary.boot();
        assert_eq!(rig.dies("a"), "t- a+3");
        assert_eq!(rig.states(), [State::Up, State::Stopped]);
        assert_eq!(rig.supervisor.child_named("t"), None, "its policy is not kept");
    }
}

#[test]
fn i07_an_escalation_inside_is_a_death_of_that_member_and_its_siblings_live() {
    let plant = Plant::new().group("root", "inner", |inner| {
        inner.intensity =
            Some(mainstay::supervisor::spec::Intensity { max: 0, within: Duration::from_secs(5) });
        inner.backoff = SECOND;
        inner.strategy = OneForOne;
    });
    let mut rig = plant.children("inner", "a b").children("root", "c").boot();
    assert_eq!(rig.dies("a"), "b-");
    let told = rig.told();
    assert!(told.contains(&"inner LimitReached { by: ChildId(0) }".to_owned()), "{told:?}");
    assert_eq!(rig.state("c"), State::Up);
    assert_eq!(rig.next(), (1000, "a+4 b+5".to_owned()));
}
