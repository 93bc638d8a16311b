//! Who was as sick before is not made sick by the change.

use super::*;

#[test]
fn an_unchanged_rate_does_not_trip_but_bars_going_further() {
    let mut keeper = one(guarding());
    crashes(&mut keeper, "web#1", 4);
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 4);
    assert_eq!(signals(&keeper), []);
    assert!(matches!(keeper.acts()[..], [Act::Hold { .. }]), "{:?}", keeper.acts());
    crashes(&mut keeper, "web#1", 1);
    assert_eq!(signals(&keeper), [Signal::Crashes], "one more than before");
}

#[test]
fn only_the_window_that_ended_with_the_change_is_compared() {
    let mut keeper = one(guarding());
    crashes(&mut keeper, "web#1", 4);
    keeper.wait(SECOND * 61);
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 3);
    assert_eq!(signals(&keeper), [Signal::Crashes]);
}

/// A window of a steady rate has one more or one less, as it happens to begin.
#[test]
fn a_steady_rate_does_not_trip_whenever_the_change_is_made() {
    for period in [7, 15, 20, 21] {
        for phase in 0..period {
            let mut keeper = one(guarding());
            for second in 0..600 {
                keeper.wait(SECOND);
                if second % period == 0 {
                    keeper.crash("web#1");
                    keeper.start("web#1");
                }
                if second == 300 + phase {
                    keeper.set("x", Value::On).unwrap();
                }
            }
            assert_eq!(signals(&keeper), [], "every {period} s, {phase} s later");
        }
    }
}

#[test]
fn a_rollout_is_held_and_waits_for_a_person() {
    let mut keeper = one(guarding());
    crashes(&mut keeper, "web#1", 3);
    let order = Order { steps: vec![10_000, 100_000], ..Order::default() };
    keeper.plan("a try", false, |view, asking| roll::begin(view, asking, "x", &order)).unwrap();
    crashes(&mut keeper, "web#1", 3);
    assert_eq!(keeper.facts.rolls[&1].state, RollState::Held);
    keeper.wait(Duration::from_secs(3600));
    assert_eq!(keeper.facts.rolls[&1].step, 0);
    keeper.plan("ok", false, |view, asking| roll::steer(view, asking, 1, Steering::On)).unwrap();
    assert_eq!((keeper.facts.rolls[&1].step, keeper.truth("x").value), (1, Value::On));
}

#[test]
fn a_service_that_has_recovered_for_a_whole_bake_holds_nothing() {
    let mut keeper = one(guarding());
    crashes(&mut keeper, "web#1", 3);
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 3);
    keeper.wait(SECOND * 301);
    assert!(matches!(keeper.acts().last(), Some(Act::Prove { .. })), "{:?}", keeper.acts());
}

#[test]
fn it_is_known_after_the_ring_has_forgotten_it() {
    let mut keeper = one(guarding());
    crashes(&mut keeper, "web#1", 4);
    keeper.set("x", Value::On).unwrap();
    keeper.wait(SECOND * 2);
    keeper.ring.clear();
    keeper.die();
    crashes(&mut keeper, "web#1", 4);
    assert_eq!(signals(&keeper), []);
}

#[test]
fn giving_up_after_no_more_crashes_than_before_holds_and_does_not_trip() {
    let mut keeper = one(guarding());
    crashes(&mut keeper, "web#1", 4);
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 2);
    keeper.event("web#1", Happened::GaveUp);
    assert_eq!(signals(&keeper), []);
    assert!(matches!(keeper.acts()[..], [Act::Hold { .. }]), "{:?}", keeper.acts());
}

#[test]
fn as_often_not_ready_in_time_as_before_does_not_trip() {
    let within = SECOND * 10;
    let mut keeper = one(guarding());
    keeper.event("web#1", Happened::NeverReady { within });
    keeper.set("x", Value::On).unwrap();
    keeper.wait(within);
    keeper.event("web#1", Happened::NeverReady { within });
    assert_eq!(signals(&keeper), []);
    keeper.wait(within);
    keeper.event("web#1", Happened::NeverReady { within });
    assert_eq!(signals(&keeper), [Signal::NeverReady], "once more than before");
}
