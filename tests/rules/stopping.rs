//! K, Q: how one instance is stopped, and what it leaves behind.

use crate::rig::{Plant, Rig, exit};
use mainstay::supervisor::spec::{Grace, Incarnation, Restart};
use mainstay::supervisor::{Cause, Event, State};
use mainstay::time::Duration;

fn with(grace: Grace) -> Rig {
    Plant::new().child("root", "a", |a| a.grace = grace).boot()
}

#[test]
fn k01_with_infinite_grace_it_is_never_killed() {
    let mut rig = with(Grace::Forever);
    rig.deaf = vec!["a"];
    assert_eq!(rig.stop("a"), "a-");
    assert_eq!(rig.supervisor.next_deadline(), None);
}

#[test]
fn k02_when_the_grace_is_over_it_is_killed_once() {
    let mut rig = with(Grace::After(Duration::from_secs(1)));
    rig.silent = true;
    rig.started("a");
    assert_eq!(rig.stop("a"), "a-");
    assert_eq!(rig.next(), (1000, "a!".to_owned()));
    assert_eq!(rig.supervisor.next_deadline(), None, "SIGKILL is not repeated");
    assert_eq!(rig.stop("a"), "");
    assert_eq!(rig.state("a"), State::Stopping);
}

#[test]
fn k03_brutal_kill_sends_no_stop_signal_and_b04_zero_grace_sends_both_at_once() {
    assert_eq!(with(Grace::Kill).stop("a"), "a!");
    assert_eq!(with(Grace::After(Duration::ZERO)).stop("a"), "a- a!");
}

#[test]
fn k10_a_death_just_before_our_signal_is_told_with_its_real_cause() {
    let mut rig = with(Grace::default());
    rig.silent = true;
    rig.stop("a");
    rig.told();
    rig.exits("a", Cause::Code(7));
    let told = rig.told();
    assert_eq!(
        told[0],
        "a Exited { cause: Code(7), lived: 0ns, asked: true, abnormal: true, shutdown_error: true }"
    );
    assert_eq!(told[1], "a Stopped");
}

#[test]
fn q08_s3_what_a_death_leaves_behind_is_stopped_then_killed_before_the_next_life() {
    let mut rig = with(Grace::After(Duration::from_secs(1)));
    rig.leaving = vec!["a"];
    assert_eq!(rig.dies("a"), "a-");
    assert_eq!(rig.state("a"), State::Stopping);
    assert_eq!(rig.next(), (1000, "a! a+2".to_owned()));
}

#[test]
fn q08_leftovers_that_go_by_themselves_are_not_killed() {
    let mut rig = with(Grace::After(Duration::from_secs(1)));
    rig.leaving = vec!["a"];
    rig.dies("a");
    assert_eq!(rig.cleared("a"), "a+2");
    assert_eq!(rig.supervisor.next_deadline(), None);
}

#[test]
fn q08_the_grace_of_a_stop_goes_on_for_what_it_leaves_behind() {
    let mut rig = with(Grace::After(Duration::from_secs(1)));
    rig.leaving = vec!["a"];
    assert_eq!(rig.stop("a"), "a-", "one stop signal, though it left helpers");
    rig.now = rig.now + Duration::from_millis(300);
    assert_eq!(rig.next(), (700, "a!".to_owned()));
    assert_eq!(rig.state("a"), State::Stopped);
}

#[test]
fn q03_readiness_twice_and_after_the_time_changes_nothing() {
    let mut rig = Plant::new().child("root", "a", |a| a.ready_within = Some(Duration::from_secs(1))).boot();
    rig.deaf = vec!["a"];
    assert_eq!(rig.next(), (1000, "a-".to_owned()));
    assert_eq!(rig.ready("a"), "");
    assert_eq!(rig.state("a"), State::Stopping);
    rig.deaf.clear();
    assert_eq!(rig.next(), (5000, "a! a+2".to_owned()));
    rig.ready("a");
    rig.told();
    assert_eq!(rig.ready("a"), "");
    assert!(rig.told().is_empty());
    assert_eq!(rig.supervisor.next_deadline(), None);
}

#[test]
fn e12_s4_late_news_of_a_past_life_change_nothing() {
    let mut rig = with(Grace::default());
    rig.dies("a");
    rig.told();
    let (a, past) = (rig.id("a"), Incarnation(1));
    for event in [
        exit(a, past, Cause::Code(1), true),
        Event::Started(a, past),
        Event::StartFailed(a, past),
        Event::Ready(a, past),
        Event::Cleared(a, past),
    ] {
        assert_eq!(rig.event(event), "");
    }
    assert!(rig.told().is_empty());
    assert_eq!((rig.state("a"), rig.supervisor.incarnation(a)), (State::Up, Incarnation(2)));
}

#[test]
fn e11_news_of_a_stranger_change_nothing() {
    let mut rig = with(Grace::default());
    let stranger = mainstay::supervisor::spec::ChildId(77);
    assert_eq!(rig.event(exit(stranger, Incarnation(1), Cause::Code(1), false)), "");
}

#[test]
fn q04_two_deaths_in_one_wake_up_are_two_restarts() {
    let mut rig = Plant::new().children("root", "a b").boot();
    assert_eq!(rig.dies("a"), "a+3");
    assert_eq!(rig.dies("b"), "b+4");
}

#[test]
fn a_stop_between_start_and_exec_is_sent_after_exec() {
    let mut rig = Plant::new().children("root", "a").rig();
    rig.silent = true;
    rig.event(Event::Boot);
    assert_eq!(rig.stop("a"), "", "S4: there is no process yet");
    assert_eq!(rig.started("a"), "a-");
}

#[test]
fn j06_a_failed_start_is_tried_again_in_the_next_turn_only() {
    let mut rig = Plant::new().children("root", "a").rig();
    rig.failing = vec!["a"];
    assert_eq!(rig.event(Event::Boot), "a+1");
    assert_eq!(rig.supervisor.next_deadline(), Some(rig.now));
    assert_eq!(rig.stop("a"), "", "J02: a request between two attempts breaks the loop");
    assert_eq!((rig.state("a"), rig.supervisor.next_deadline()), (State::Stopped, None));
}

#[test]
fn e10_a_permanent_child_that_exits_normally_is_told_like_any_other() {
    let mut rig = with(Grace::default());
    rig.told();
    rig.exits("a", Cause::Code(0));
    assert_eq!(
        rig.told()[0],
        "a Exited { cause: Code(0), lived: 0ns, asked: false, abnormal: false, shutdown_error: false }"
    );
}

#[test]
fn k04_a_race_of_deaths_and_shutdown_restarts_nobody_and_tells_every_real_reason() {
    let mut plant = Plant::new();
    let names = ["pn", "ps", "pe", "tn", "ts", "te", "yn", "ys", "ye"];
    for (at, name) in names.into_iter().enumerate() {
        let restart = [Restart::Permanent, Restart::Transient, Restart::Temporary][at / 3];
        plant = plant.child("root", name, |child| child.restart = restart);
    }
    let mut rig = plant.children("root", "slow").boot();
    rig.deaf = names.into_iter().chain(["slow"]).collect();
    rig.shutdown();
    rig.told();
    for (at, name) in names.into_iter().enumerate() {
        let cause = [Cause::Code(0), Cause::Signal(15, false), Cause::Code(5)][at % 3];
        assert_eq!(rig.exits(name, cause), "");
        assert!(rig.told()[0].starts_with(&format!("{name} Exited {{ cause: {cause:?}")));
    }
    assert_eq!(rig.next(), (5000, "slow! Shutdown".to_owned()));
}
