//! S7, S8, S9: own limits and waits.

use crate::rig::{Plant, Rig};
use mainstay::supervisor::spec::{Backoff, Child, DEFAULT_LIMIT, Intensity, OnLimit, Restart, Strategy};
use mainstay::supervisor::{Cause, State};
use mainstay::time::Duration;

fn defaults(child: &mut Child) {
    child.limit = Some(DEFAULT_LIMIT);
    child.backoff = Backoff { jitter: 0.0, ..Backoff::default() };
}

#[test]
fn s7_the_first_restart_is_at_once_then_the_waits_double() {
    let mut rig = Plant::new().child("root", "a", defaults).boot();
    assert_eq!(rig.dies("a"), "a+2");
    for (life, wait) in [(3, 100), (4, 200), (5, 400), (6, 800)] {
        assert_eq!(rig.dies("a"), "");
        assert_eq!(rig.state("a"), State::BackingOff);
        assert_eq!(rig.next(), (wait, format!("a+{life}")));
    }
}

#[test]
fn s8_the_sixth_death_in_the_window_parks_it_and_the_others_live() {
    let mut rig = Plant::new().child("root", "a", defaults).children("root", "b").boot();
    rig.dies("a");
    for _ in 0..4 {
        rig.dies("a");
        rig.next();
    }
    assert_eq!(rig.restarts("a"), 5);
    assert_eq!(rig.dies("a"), "");
    assert_eq!(rig.states(), [State::GaveUp, State::Up]);
    assert!(!rig.supervisor.as_wanted(rig.id("a")) && rig.supervisor.wanted_up(rig.id("a")));
    assert_eq!(rig.supervisor.next_deadline(), None, "it is not tried again");
}

#[test]
fn s7_a_life_healthy_for_long_enough_makes_the_next_death_a_first_one() {
    let short = |child: &mut Child| {
        child.backoff = Backoff { jitter: 0.0, ..Backoff::default() };
    };
    let mut rig = Plant::new().child("root", "a", short).boot();
    rig.dies("a");
    rig.dies("a");
    assert_eq!(rig.next(), (100, "a+3".to_owned()));
    rig.pass(59_999);
    rig.dies("a");
    assert_eq!(rig.next(), (200, "a+4".to_owned()), "not quite");
    rig.pass(60_000);
    assert_eq!(rig.dies("a"), "a+5", "forgotten");
}

#[test]
fn s7_health_is_counted_from_readiness_where_that_is_declared() {
    let slow = |child: &mut Child| {
        child.backoff = Backoff { jitter: 0.0, ..Backoff::default() };
        child.ready_within = Some(Duration::from_secs(100));
    };
    let mut rig = Plant::new().child("root", "a", slow).boot();
    rig.ready("a");
    rig.dies("a");
    rig.pass(50_000);
    rig.ready("a");
    rig.pass(59_000);
    rig.dies("a");
    assert_eq!(rig.next().0, 100, "up for 109 s, but ready for 59 s only");
}

#[test]
fn s8_a_group_can_park_at_its_limit() {
    let plant = Plant::new().group("root", "inner", |inner| {
        inner.intensity = Some(Intensity { max: 1, within: Duration::from_secs(5) });
        inner.on_limit = OnLimit::Park;
    });
    let mut rig = plant.children("inner", "a b").children("root", "c").boot();
    rig.dies("a");
    assert_eq!(rig.dies("a"), "b-");
    assert_eq!(rig.states(), [State::GaveUp, State::GaveUp, State::Up]);
    assert!(rig.told().contains(&"inner GaveUp".to_owned()));
    assert_eq!(rig.start("b"), "a+5 b+6", "whoever starts a member starts its group");
}

#[test]
fn s8_a_group_gives_up_at_its_own_limit_in_its_parent() {
    let plant = Plant::new().group("root", "inner", |inner| {
        inner.intensity = Some(Intensity { max: 0, within: Duration::from_secs(5) });
        inner.limit = Some(Intensity { max: 1, within: Duration::from_secs(5) });
    });
    let mut rig = plant.children("inner", "a").children("root", "c").boot();
    assert_eq!(rig.dies("a"), "");
    assert_eq!(rig.next(), (0, "a+3".to_owned()));
    assert_eq!(rig.dies("a"), "");
    assert_eq!(rig.states(), [State::GaveUp, State::Up]);
    assert_eq!(rig.supervisor.next_deadline(), None);
}

#[test]
fn s9_otp_groups_know_neither_waits_nor_own_limits() {
    let strict = |child: &mut Child| {
        defaults(child);
        child.limit = Some(Intensity { max: 0, within: Duration::from_secs(30) });
    };
    let mut rig = Plant::otp(Strategy::OneForOne, 3).child("root", "a", strict).boot();
    for life in 2..=4 {
        assert_eq!(rig.dies("a"), format!("a+{life}"));
    }
}

#[test]
fn abnormal_is_neither_code_0_nor_a_clean_code_nor_the_own_stop_signal() {
    let transient = |child: &mut Child| {
        child.restart = Restart::Transient;
        child.clean = vec![3];
        child.stop_signal = 2;
    };
    let after = |cause: Cause| {
        let mut rig: Rig = Plant::new().child("root", "a", transient).boot();
        rig.exits("a", cause);
        rig.state("a")
    };
    for clean in [Cause::Code(0), Cause::Code(3), Cause::Signal(2, false)] {
        assert_eq!(after(clean), State::Finished, "{clean:?}");
    }
    for abnormal in [Cause::Code(1), Cause::Signal(15, false), Cause::Signal(11, true), Cause::Unknown] {
        assert_eq!(after(abnormal), State::Up, "{abnormal:?}");
    }
}
