//! A life that fails while it runs (a watchdog, health checks), or ended in a way that its status does not tell.

use crate::rig::{Plant, Rig};
use mainstay::supervisor::spec::Strategy::RestForOne;
use mainstay::supervisor::spec::{Backoff, Child, Restart};
use mainstay::supervisor::{Cause, Event, State};
use mainstay::time::Duration;

fn fails(rig: &mut Rig, name: &str, ended: bool) -> String {
    let child = rig.id(name);
    let incarnation = rig.supervisor.incarnation(child);
    rig.event(Event::Failed { child, incarnation, ended })
}

fn transient(child: &mut Child) {
    child.restart = Restart::Transient;
}

#[test]
fn it_is_stopped_and_that_is_an_abnormal_death_whatever_its_status() {
    let mut rig = Plant::new().child("root", "a", transient).boot();
    rig.answers = vec![("a", Cause::Code(0))];
    assert_eq!(fails(&mut rig, "a", false), "a- a+2");
    let told = rig.told();
    assert!(told.iter().any(|line| line.contains("asked: false, abnormal: true")), "{told:?}");
    assert_eq!(rig.restarts("a"), 1);
}

#[test]
fn who_does_not_stop_is_killed_after_its_grace() {
    let mut rig = Plant::new().children("root", "a").boot();
    rig.deaf = vec!["a"];
    assert_eq!(fails(&mut rig, "a", false), "a-");
    assert_eq!(fails(&mut rig, "a", false), "", "it is told once");
    assert_eq!(rig.next(), (5000, "a! a+2".to_owned()));
}

#[test]
fn who_has_ended_already_is_only_counted() {
    let mut rig = Plant::new().child("root", "a", transient).boot();
    let child = rig.id("a");
    assert_eq!(fails(&mut rig, "a", true), "");
    let signal = rig.supervisor.tree().children[child.0 as usize].stop_signal;
    assert_eq!(
        rig.exits("a", Cause::Signal(signal, false)),
        "a+2",
        "its own stop signal would be a clean end"
    );
    assert_eq!(
        rig.exits("a", Cause::Signal(signal, false)),
        "",
        "the next life is judged by its status again"
    );
    assert_eq!(rig.state("a"), State::Finished);
}

#[test]
fn health_before_the_failure_counts_for_the_wait() {
    let waits = |child: &mut Child| child.backoff = Backoff { jitter: 0.0, ..Backoff::default() };
    let mut rig = Plant::new().child("root", "a", waits).boot();
    rig.dies("a");
    rig.pass(60_000);
    assert_eq!(fails(&mut rig, "a", false), "a- a+3", "healthy for long enough: a first death again");
    assert_eq!(fails(&mut rig, "a", false), "a-");
    assert_eq!(rig.next(), (100, "a+4".to_owned()));
}

#[test]
fn who_is_wanted_down_ends_as_it_was_asked_to() {
    let mut rig = Plant::new().child("root", "a", transient).boot();
    rig.deaf = vec!["a"];
    rig.stop("a");
    assert_eq!(fails(&mut rig, "a", false), "");
    assert_eq!(fails(&mut rig, "a", true), "");
    assert_eq!(rig.dies("a"), "");
    assert_eq!((rig.state("a"), rig.restarts("a")), (State::Stopped, 0));
}

#[test]
fn news_of_a_past_life_changes_nothing() {
    let mut rig = Plant::new().children("root", "a").boot();
    let child = rig.id("a");
    let past = rig.supervisor.incarnation(child);
    rig.dies("a");
    assert_eq!(rig.event(Event::Failed { child, incarnation: past, ended: false }), "");
}

#[test]
fn a_start_that_fails_so_is_a_failed_start() {
    let starting = |child: &mut Child| {
        child.restart = Restart::Transient;
        child.ready_within = Some(Duration::from_secs(9));
    };
    let mut rig = Plant::new().child("root", "a", starting).boot();
    rig.answers = vec![("a", Cause::Code(0))];
    assert_eq!(fails(&mut rig, "a", false), "a- a+2");
}

#[test]
fn who_would_fall_with_it_does_not_start_meanwhile() {
    let starting = |child: &mut Child| child.ready_within = Some(Duration::from_secs(9));
    let plant = Plant::new().root(|root| root.strategy = RestForOne);
    let mut rig = plant.children("root", "a").child("root", "b", starting).children("root", "c").boot();
    rig.deaf = vec!["a", "b"];
    assert_eq!(rig.state("c"), State::Waiting, "b is not ready");
    assert_eq!(fails(&mut rig, "a", false), "a-");
    assert_eq!(rig.ready("b"), "", "c would be stopped again at once");
    assert_eq!(rig.state("c"), State::Waiting);
}
