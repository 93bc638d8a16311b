//! What mainstay adds to the strategies: waits of whole groups, and what they leave alone.

use crate::rig::Plant;
use mainstay::supervisor::spec::Backoff;
use mainstay::supervisor::spec::Strategy::{OneForAll, OneForOne, RestForOne};
use mainstay::supervisor::{Cause, State};
use mainstay::time::Duration;

const SECOND: Backoff =
    Backoff { first: Duration::from_secs(1), base: Duration::from_secs(2), jitter: 0.0, ..Backoff::NONE };

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
fn an_escalation_inside_is_a_death_of_that_member_and_its_siblings_live() {
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
