//! Start, stop, restart, shutdown, hurry: at any moment, any number of times.

use crate::rig::Plant;
use mainstay::supervisor::spec::{Backoff, Child, Intensity, Strategy};
use mainstay::supervisor::{Command, Event, State};
use mainstay::time::Duration;

fn slow(child: &mut Child) {
    child.backoff = Backoff { first: Duration::from_secs(9), ..Backoff::NONE };
    child.limit = Some(Intensity { max: 1, within: Duration::from_secs(60) });
}

#[test]
fn each_command_twice_is_the_same_as_once() {
    let mut rig = Plant::new().children("root", "a").boot();
    assert_eq!(rig.start("a"), "");
    assert_eq!(rig.stop("a"), "a-");
    assert_eq!(rig.stop("a"), "");
    assert_eq!(rig.start("a"), "a+2");
    assert_eq!(rig.start("a"), "");
}

#[test]
fn what_does_not_start_by_itself_starts_by_command() {
    let mut rig = Plant::new().child("root", "a", |a| a.autostart = false).boot();
    assert_eq!(rig.state("a"), State::Stopped);
    assert!(rig.supervisor.as_wanted(rig.id("a")));
    assert_eq!(rig.start("a"), "a+1");
}

#[test]
fn a_restart_is_a_stop_and_a_start_and_never_counts() {
    let mut rig = Plant::new().child("root", "a", slow).boot();
    for life in 2..9 {
        assert_eq!(rig.restart("a"), format!("a- a+{life}"));
    }
    assert_eq!(rig.restarts("a"), 0);
    rig.stop("a");
    assert_eq!(rig.restart("a"), "a+9", "a restart of what is down is a start");
}

#[test]
fn a_restart_of_what_backs_off_or_gave_up_starts_it_now_with_its_window_forgotten() {
    let mut rig = Plant::new().child("root", "a", slow).boot();
    rig.dies("a");
    assert_eq!(rig.state("a"), State::BackingOff);
    assert_eq!(rig.restart("a"), "a+2");
    rig.dies("a");
    assert_eq!(rig.state("a"), State::BackingOff, "one restart is allowed again");
    rig.next();
    rig.dies("a");
    assert_eq!(rig.state("a"), State::GaveUp);
    assert_eq!(rig.restart("a"), "a+4");
    assert_eq!(rig.restarts("a"), 0);
}

#[test]
fn a_shutdown_before_boot_ends_at_once() {
    assert_eq!(Plant::new().children("root", "a").rig().shutdown(), "Shutdown");
}

#[test]
fn hurry_kills_what_is_still_there_whatever_its_grace() {
    let mut rig = Plant::new().child("root", "a", |a| a.grace = mainstay::supervisor::spec::Grace::Forever);
    rig = rig.children("root", "b").needing("b", "a");
    let mut rig = rig.boot();
    rig.deaf = vec!["a", "b"];
    assert_eq!(rig.shutdown(), "b-");
    assert_eq!(rig.event(Event::Command(Command::Hurry)), "b! a! Shutdown");
}

#[test]
fn hurry_alone_is_a_shutdown() {
    let mut rig = Plant::new().children("root", "a").boot();
    assert_eq!(rig.event(Event::Command(Command::Hurry)), "a! Shutdown");
}

#[test]
fn a_group_is_stopped_and_started_as_a_whole_in_its_order() {
    let plant = Plant::new().group("root", "app", |app| app.strategy = Strategy::RestForOne);
    let mut rig = plant.children("app", "a b").children("root", "c").boot();
    assert_eq!(rig.stop("app"), "b- a-");
    rig.silent = true;
    assert_eq!(rig.start("app"), "a+4");
    assert_eq!(rig.started("a"), "b+5");
}

#[test]
fn a_restart_of_a_group_leaves_what_was_stopped_alone_unless_all_was() {
    let mut rig = Plant::new().group("root", "app", |_| {}).children("app", "a b").boot();
    rig.stop("b");
    assert_eq!(rig.restart("app"), "a- a+3");
    rig.stop("a");
    assert_eq!(rig.restart("app"), "a+4 b+5");
}

#[test]
fn a_start_takes_what_it_needs_along() {
    let mut rig = Plant::new().children("root", "db web").needing("web", "db").boot();
    rig.stop("root");
    assert_eq!(rig.start("web"), "db+3 web+4");
}

#[test]
fn a_group_stopped_in_mid_fall_can_be_started_again_in_all_its_parts() {
    let plant = Plant::new().group("root", "outer", |outer| outer.strategy = Strategy::OneForAll);
    let plant = plant.group("outer", "middle", |_| {}).group("middle", "inner", |inner| {
        inner.strategy = Strategy::OneForAll;
    });
    let mut rig = plant.children("inner", "a b").children("middle", "c").children("outer", "d").boot();
    rig.deaf = vec!["b", "c"];
    rig.dies("a");
    rig.dies("d");
    rig.dies("b");
    assert_eq!(rig.stop("outer"), "", "inner had fallen and waited for outer, which waits for c");
    rig.dies("c");
    assert_eq!(rig.start("a"), "a+5", "and is not held for ever");
}

#[test]
fn hurry_waits_for_nobody() {
    let mut rig = Plant::new().children("root", "a b").needing("b", "a").boot();
    rig.silent = true;
    assert_eq!(rig.event(Event::Command(Command::Hurry)), "b! a!");
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
fn a_rolling_restart_takes_a_few_at_a_time_and_waits_until_they_are_ready() {
    let ready = |child: &mut mainstay::supervisor::spec::Child| {
        child.ready_within = Some(Duration::from_secs(9));
    };
    let plant =
        ["a", "b", "c"].into_iter().fold(Plant::new(), |plant, name| plant.child("root", name, ready));
    let mut rig = plant.boot();
    for name in ["a", "b", "c"] {
        rig.ready(name);
    }
    rig.told();
    assert_eq!(rig.roll("a b c", 2), "a- b- a+4 b+5");
    assert_eq!(rig.ready("b"), "c- c+6");
    rig.ready("a");
    rig.ready("c");
    assert!(rig.told().contains(&"rolled 1: 3, failed None".to_owned()));
}

#[test]
fn a_roll_only_waits_for_who_began_a_new_life_by_itself() {
    let slow = |child: &mut Child| child.ready_within = Some(Duration::from_secs(9));
    let mut rig = Plant::new().children("root", "a").child("root", "b", slow).children("root", "c").boot();
    rig.ready("b");
    rig.deaf = vec!["a"];
    assert_eq!(rig.roll("a b c", 1), "a-");
    assert_eq!(rig.dies("b"), "b+4", "it runs what it is to run");
    assert_eq!(rig.dies("c"), "c+5");
    assert_eq!(rig.dies("a"), "a+6", "b is not restarted again");
    rig.told();
    assert_eq!(rig.ready("b"), "", "nor c");
    assert!(rig.told().contains(&"rolled 1: 3, failed None".to_owned()));
}

#[test]
fn a_group_that_was_stopped_stays_so_when_the_group_around_it_restarts() {
    let plant = Plant::new().root(|root| root.strategy = Strategy::OneForAll).children("root", "a");
    let mut rig = plant.group("root", "g", |_| {}).children("g", "b").boot();
    assert_eq!(rig.stop("g"), "b-");
    assert_eq!(rig.dies("a"), "a+3");
    assert!(rig.add("g", "c", |_| {}).is_err(), "it is down as a whole");
    assert_eq!(rig.start("g"), "b+4");
}
