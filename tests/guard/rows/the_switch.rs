//! Off, and observe.

use super::*;

#[test]
fn off_for_a_flag_watches_nothing() {
    let mut keeper = one(Guarding { mode: Mode::Off, ..guarding() });
    keeper.set("x", Value::On).unwrap();
    assert!(keeper.facts.watches.is_empty());
    assert_eq!(keeper.guard.wants(), None, "nobody needs to tell it anything");
}

#[test]
fn off_for_the_host_forgets_what_is_watched_and_holds_rollouts() {
    let mut keeper = keeper(vec![flag("x", guarding()), flag("y", guarding())], vec![]);
    keeper.set("x", Value::On).unwrap();
    let order = Order { steps: vec![10_000, 100_000], ..Order::default() };
    keeper.plan("a try", false, |view, asking| roll::begin(view, asking, "y", &order)).unwrap();
    keeper.guard_is(Mode::Off);
    crashes(&mut keeper, "web#1", 30);
    assert_eq!(signals(&keeper), []);
    assert_eq!(keeper.facts.rolls[&1].state, RollState::Held);
    let refused = keeper.plan("on", false, |view, asking| roll::steer(view, asking, 1, Steering::On));
    assert_eq!(refused, Err(Refused::GuardOff));
    keeper.guard_is(Mode::On);
    crashes(&mut keeper, "web#1", 30);
    assert_eq!(signals(&keeper), [], "what was changed meanwhile is not watched");
}

#[test]
fn observe_only_says_what_it_would_do() {
    for by_host in [false, true] {
        let mode = if by_host { Mode::On } else { Mode::Observe };
        let mut keeper = one(Guarding { mode, ..guarding() });
        if by_host {
            keeper.guard_is(Mode::Observe);
        }
        let order = Order { steps: vec![10_000, 100_000], ..Order::default() };
        keeper.plan("a try", false, |view, asking| roll::begin(view, asking, "x", &order)).unwrap();
        crashes(&mut keeper, "web#1", 30);
        assert!(matches!(keeper.acts()[..], [Act::Observed(_)]), "{:?}", keeper.acts());
        assert_eq!(keeper.truth("x").value, Value::Share(10_000));
        assert_eq!(keeper.facts.rolls[&1].state, RollState::Held);
        assert!(keeper.facts.bans.is_empty() && keeper.facts.fresh.is_empty());
    }
}

#[test]
fn under_observe_nothing_goes_to_last_good_or_to_safe_values() {
    let mut keeper = keeper(vec![flag("x", guarding()), flag("w", guarding())], vec![]);
    keeper.set("w", Value::On).unwrap();
    keeper.wait(SECOND * 301);
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 3);
    assert_eq!(signals(&keeper), [Signal::Crashes]);
    keeper.guard_is(Mode::Observe);
    crashes(&mut keeper, "web#1", 200);
    assert!(!keeper.acts().iter().any(|act| matches!(act, Act::LastGood(_) | Act::Safe(_))));
    assert_eq!(keeper.truth("w").value, Value::On);
}
