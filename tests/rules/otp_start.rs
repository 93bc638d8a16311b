//! A: the start of a tree under OTP semantics. C16.

use crate::rig::Plant;
use mainstay::supervisor::spec::{Group, Intensity, Strategy};
use mainstay::supervisor::{Cause, Event, State};
use mainstay::time::Duration;

fn otp(group: &mut Group) {
    group.otp = true;
    group.intensity = Some(Intensity { max: 1, within: Duration::from_secs(5) });
}

#[test]
fn a09_what_was_started_is_stopped_in_reverse_and_the_rest_never_starts() {
    let mut rig = Plant::otp(Strategy::OneForOne, 9).children("root", "a b c d").rig();
    rig.failing = vec!["c"];
    assert_eq!(rig.event(Event::Boot), "a+1 b+2 c+3 b- a- StartFailed(ChildId(2))");
}

#[test]
fn a09_an_exit_before_readiness_is_a_failed_start_whatever_the_cause() {
    let plant = Plant::otp(Strategy::OneForOne, 9).children("root", "a");
    let mut rig = plant.child("root", "b", |b| b.ready_within = Some(Duration::from_secs(1))).boot();
    assert_eq!(rig.exits("b", Cause::Code(0)), "a- StartFailed(ChildId(1))");
}

#[test]
fn a10_a_start_that_fails_deep_down_fails_every_level() {
    let plant = Plant::otp(Strategy::OneForOne, 9).children("root", "a").group("root", "inner", otp);
    let mut rig = plant.children("inner", "b c").rig();
    rig.failing = vec!["c"];
    assert_eq!(rig.event(Event::Boot), "a+1 b+2 c+3 b- a- StartFailed(ChildId(2))");
}

#[test]
fn a09_an_otp_group_that_cannot_start_inside_a_default_group_is_a_death_of_that_member() {
    let mut rig =
        Plant::new().group("root", "inner", otp).children("inner", "b c").children("root", "a").rig();
    rig.failing = vec!["c"];
    assert_eq!(rig.event(Event::Boot), "b+1 a+2 c+3 b-");
    rig.failing.clear();
    assert_eq!(rig.next(), (0, "b+4 c+5".to_owned()));
}

#[test]
fn a11_each_starts_when_the_one_before_is_up_or_ready() {
    let plant = Plant::otp(Strategy::OneForOne, 9);
    let plant =
        plant.child("root", "a", |a| a.ready_within = Some(Duration::from_secs(9))).children("root", "b c");
    let mut rig = plant.rig();
    assert_eq!(rig.event(Event::Boot), "a+1");
    assert_eq!(rig.states(), [State::Starting, State::Waiting, State::Waiting]);
    let waits: Vec<_> = rig.supervisor.waits_for(rig.id("c")).collect();
    assert_eq!(waits, [mainstay::supervisor::spec::Node::Child(rig.id("a"))]);
    assert_eq!(rig.ready("a"), "b+2 c+3");
}

#[test]
fn a11_a_child_that_finishes_during_the_start_lets_the_next_one_go() {
    let once = |child: &mut mainstay::supervisor::spec::Child| {
        child.restart = mainstay::supervisor::spec::Restart::Temporary;
    };
    let mut rig = Plant::otp(Strategy::RestForOne, 0).child("root", "a", once).children("root", "b").rig();
    rig.silent = true;
    rig.event(Event::Boot);
    rig.started("a");
    assert_eq!(rig.exits("a", Cause::Code(0)), "");
    assert_eq!(rig.states(), [State::Stopped, State::Starting]);
}

#[test]
fn c16_a_start_by_command_that_fails_is_not_retried_under_otp_semantics() {
    let mut rig = Plant::otp(Strategy::OneForOne, 0).children("root", "a b").boot();
    rig.stop("b");
    rig.failing = vec!["b"];
    assert_eq!(rig.start("b"), "b+3");
    assert_eq!(rig.states(), [State::Up, State::Stopped]);
    rig.failing.clear();
    assert_eq!(rig.start("b"), "b+4");
}
