//! A cause was taken away: what failed is tried again with an empty budget, and nothing else is touched.

use crate::rig::{Plant, Rig, otp};
use mainstay::supervisor::spec::Strategy::{OneForAll, OneForOne};
use mainstay::supervisor::spec::{AutoShutdown, Backoff, Child, Group, Intensity, OnLimit, Restart};
use mainstay::supervisor::{Cause, Command, Event, State};
use mainstay::time::Duration;

/// One restart in a minute, after nine seconds.
fn slow(child: &mut Child) {
    child.backoff = Backoff { first: Duration::from_secs(9), jitter: 0.0, ..Backoff::NONE };
    child.limit = Some(Intensity { max: 1, within: Duration::from_secs(60) });
}

fn once_a_minute(group: &mut Group) {
    group.intensity = Some(Intensity { max: 1, within: Duration::from_secs(60) });
}

fn parked(group: &mut Group) {
    once_a_minute(group);
    group.on_limit = OnLimit::Park;
}

fn fresh(rig: &mut Rig, name: &str) -> String {
    let node = rig.node(name);
    rig.event(Event::Command(Command::Fresh(node)))
}

#[test]
fn who_backs_off_or_gave_up_starts_at_once_with_an_empty_window_and_nothing_is_counted() {
    let mut rig = Plant::new().child("root", "a", slow).boot();
    rig.dies("a");
    assert_eq!(rig.state("a"), State::BackingOff);
    assert_eq!(fresh(&mut rig, "a"), "a+2");
    assert_eq!(rig.restarts("a"), 0);
    rig.dies("a");
    assert_eq!(rig.state("a"), State::BackingOff, "one restart is allowed again");
    rig.next();
    rig.dies("a");
    assert_eq!(rig.state("a"), State::GaveUp);
    assert_eq!(fresh(&mut rig, "a"), "a+4");
    assert_eq!(rig.restarts("a"), 0);
    assert_eq!(rig.dies("a"), "", "and the next death is a first one: it waits, and does not give up");
    assert_eq!(rig.next(), (9000, "a+5".to_owned()));
}

#[test]
fn who_runs_goes_on_and_has_an_empty_window_too() {
    let mut rig = Plant::new().child("root", "a", slow).boot();
    rig.dies("a");
    rig.next();
    assert_eq!(rig.restarts("a"), 1);
    assert_eq!(fresh(&mut rig, "a"), "");
    assert_eq!((rig.restarts("a"), rig.state("a")), (0, State::Up));
    rig.dies("a");
    assert_eq!(rig.state("a"), State::BackingOff, "the budget is a whole one");
}

#[test]
fn who_was_stopped_or_has_done_its_work_stays_down() {
    let done = |child: &mut Child| child.restart = Restart::Transient;
    let idle = |child: &mut Child| child.autostart = false;
    let plant = Plant::new().child("root", "a", slow).child("root", "job", done).child("root", "idle", idle);
    let mut rig = plant.boot();
    rig.dies("a");
    rig.stop("a");
    rig.exits("job", Cause::Code(0));
    assert_eq!(fresh(&mut rig, "root"), "");
    assert_eq!(rig.states(), [State::Stopped, State::Finished, State::Stopped]);
    assert_eq!(rig.supervisor.next_deadline(), None);
}

#[test]
fn a_group_that_gave_up_comes_back_with_all_that_is_wanted_in_it() {
    let mut rig = Plant::new().group("root", "app", parked).children("app", "a b c").boot();
    rig.stop("c");
    rig.dies("a");
    assert_eq!(rig.dies("a"), "b-");
    assert_eq!(rig.states(), [State::GaveUp, State::GaveUp, State::Stopped]);
    assert_eq!(fresh(&mut rig, "a"), "a+5 b+6");
    assert_eq!(rig.state("c"), State::Stopped);
    assert_eq!(rig.dies("a"), "a+7", "the window of the group is empty");
}

#[test]
fn a_group_that_somebody_stopped_stays_down() {
    let mut rig = Plant::new().group("root", "app", parked).children("app", "a b").boot();
    rig.dies("a");
    rig.dies("a");
    rig.stop("app");
    assert_eq!(fresh(&mut rig, "root"), "");
    assert_eq!(rig.states(), [State::Stopped, State::Stopped]);
}

#[test]
fn a_group_that_is_still_going_down_for_its_limit_is_caught() {
    let mut rig = Plant::new().root(once_a_minute).children("root", "a b").boot();
    rig.deaf = vec!["b"];
    rig.dies("a");
    assert_eq!(rig.dies("a"), "b-", "the root's window is used up: the whole tree would end");
    let ending = fresh(&mut rig, "a");
    assert_eq!(ending, "", "the root has no parent to be brought back by");
    let mut rig = Plant::new().group("root", "app", once_a_minute).children("app", "a b").boot();
    rig.deaf = vec!["b"];
    rig.dies("a");
    rig.dies("a");
    assert_eq!(fresh(&mut rig, "a"), "");
    assert_eq!(rig.dies("b"), "a+4 b+5");
    assert_eq!(rig.dies("a"), "a+6", "the window of the group is empty");
}

#[test]
fn a_waiting_group_is_let_go() {
    let wait = Backoff { first: Duration::from_secs(9), jitter: 0.0, ..Backoff::NONE };
    let plant = Plant::new().root(|root| root.strategy = OneForAll);
    let mut rig = plant.child("root", "a", |a| a.backoff = wait).children("root", "b").boot();
    assert_eq!(rig.dies("a"), "b-");
    assert_eq!(fresh(&mut rig, "b"), "a+3 b+4");
    assert_eq!(rig.supervisor.next_deadline(), None);
}

#[test]
fn under_otp_semantics_a_retry_stays_due_and_the_budget_is_a_whole_one() {
    let plant = Plant::new().root(otp(OneForOne, 2)).children("root", "a b");
    let mut rig = plant.boot();
    rig.failing = vec!["a"];
    rig.dies("a");
    assert_eq!(fresh(&mut rig, "a"), "", "it is tried at the next deadline anyway");
    rig.failing.clear();
    assert_eq!(rig.next().1, "a+4");
    assert_eq!(rig.dies("a"), "a+5");
    rig.dies("a");
    assert_eq!(rig.states(), [State::Stopped, State::Stopped], "two in five seconds, counted from there");
}

#[test]
fn during_the_end_it_does_nothing() {
    let mut rig = Plant::new().child("root", "a", slow).children("root", "b").boot();
    rig.deaf = vec!["b"];
    rig.dies("a");
    rig.shutdown();
    assert_eq!(fresh(&mut rig, "root"), "");
    assert_eq!(rig.dies("b"), "Shutdown");
}

#[test]
fn who_gave_up_in_a_group_whose_work_is_done_stays_down() {
    let done = |group: &mut Group| {
        (group.auto_shutdown, group.restart) = (AutoShutdown::Any, Restart::Transient);
    };
    let job = |child: &mut Child| (child.significant, child.restart) = (true, Restart::Transient);
    let frail = |child: &mut Child| child.limit = Some(Intensity { max: 0, within: Duration::from_secs(60) });
    let plant = Plant::new().group("root", "app", done).child("app", "job", job).child("app", "frail", frail);
    let mut rig = plant.boot();
    rig.dies("frail");
    rig.exits("job", Cause::Code(0));
    let before = rig.states();
    assert_eq!(fresh(&mut rig, "root"), "");
    assert_eq!(rig.states(), before, "nobody waits for what never comes");
}
