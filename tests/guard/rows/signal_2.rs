//! Not ready in time.

use super::*;

const WITHIN: Duration = Duration::from_secs(10);

#[test]
fn not_ready_in_time_after_a_restart_trips() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    keeper.wait(SECOND);
    keeper.crash("web#1");
    keeper.begin_life("web#1");
    keeper.wait(WITHIN);
    keeper.event("web#1", Happened::NeverReady { within: WITHIN });
    assert_eq!(signals(&keeper), [Signal::NeverReady]);
}

#[test]
fn a_life_that_began_before_the_change_does_not_count() {
    let mut keeper = one(guarding());
    keeper.crash("web#1");
    keeper.begin_life("web#1");
    keeper.wait(SECOND);
    keeper.set("x", Value::On).unwrap();
    keeper.wait(SECOND * 9);
    keeper.event("web#1", Happened::NeverReady { within: WITHIN });
    assert_eq!(signals(&keeper), []);
}

#[test]
fn it_can_be_turned_off() {
    let mut keeper = one(Guarding { ready: false, ..guarding() });
    keeper.set("x", Value::On).unwrap();
    keeper.wait(WITHIN);
    keeper.event("web#1", Happened::NeverReady { within: WITHIN });
    assert_eq!(signals(&keeper), []);
}

/// Crash, short ready, crash, short ready: what a rollout controller whose clock is reset by each ready never notices.
#[test]
fn a_short_ready_never_resets_the_clock() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    let changed = keeper.mono();
    for _ in 0..3 {
        keeper.wait(SECOND * 5);
        keeper.begin_life("web#1");
        keeper.wait(SECOND);
        keeper.event("web#1", Happened::Up);
        keeper.wait(SECOND * 12);
        keeper.crash("web#1");
    }
    assert_eq!(signals(&keeper), [Signal::Crashes]);
    assert!(keeper.rollbacks()[0].0.mono().since(changed) < SECOND * 60, "within one window");
}

#[test]
fn a_slow_circle_of_crash_and_short_ready_is_never_proven() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    for _ in 0..200 {
        keeper.wait(SECOND * 45);
        keeper.crash("web#1");
        keeper.start("web#1");
    }
    assert_eq!(keeper.acts(), Vec::<&Act>::new());
    assert!(keeper.facts.watches.contains_key(&x()));
}
