//! Rollouts by steps, and what ends them.

use super::*;

#[test]
fn a_rollout_goes_step_by_step_and_goes_back_to_what_was_before_it_began() {
    let by_instance = Declaration { unit: Unit::Instance, ..flag("x", guarding()) };
    let mut keeper = keeper(vec![by_instance], vec![]);
    let order = Order { steps: vec![10_000, 50_000, 100_000], bake: Some(SECOND * 120), ..Order::default() };
    keeper.plan("a try", false, |view, asking| roll::begin(view, asking, "x", &order)).unwrap();
    keeper.wait(SECOND * 119);
    assert_eq!(keeper.truth("x").value, Value::Share(10_000));
    keeper.wait(SECOND);
    assert_eq!(keeper.truth("x").value, Value::Share(50_000));
    crashes(&mut keeper, "web#1", 3);
    assert_eq!((keeper.truth("x").value, keeper.facts.rolls[&1].state), (Value::Off, RollState::RolledBack));
}

#[test]
fn the_last_step_that_is_proven_ends_it() {
    let mut keeper = one(guarding());
    let order = Order { steps: vec![10_000, 100_000], ..Order::default() };
    keeper.plan("a try", false, |view, asking| roll::begin(view, asking, "x", &order)).unwrap();
    keeper.wait(SECOND * 600);
    assert_eq!((keeper.truth("x").value, keeper.facts.rolls[&1].state), (Value::On, RollState::Done));
    assert_eq!((keeper.facts.watches.len(), keeper.facts.good["x"].value), (0, Value::On));
}

#[test]
fn an_emergency_ends_everything_that_is_going_on() {
    let mut keeper = staged();
    enable(&mut keeper, "1").unwrap();
    keeper.wait(SECOND * 301);
    enable(&mut keeper, "2").unwrap();
    keeper.plan("fire", false, |view, asking| emergency(view, asking, None)).unwrap();
    assert_eq!((keeper.stage("m"), keeper.facts.watches.len()), (0, 0));
    assert_eq!(keeper.facts.rolls[&1].state, RollState::Ended);
    crashes(&mut keeper, "web#1", 9);
    assert_eq!(signals(&keeper), []);
    keeper.plan("over", false, |view, asking| reset(view, asking, &[])).unwrap();
}

#[test]
fn setting_it_by_hand_ends_it() {
    let mut keeper = one(guarding());
    let order = Order { steps: vec![10_000, 100_000], ..Order::default() };
    keeper.plan("a try", false, |view, asking| roll::begin(view, asking, "x", &order)).unwrap();
    keeper.set("x", Value::Share(500)).unwrap();
    assert_eq!(keeper.facts.rolls[&1].state, RollState::Ended);
    keeper.wait(Duration::from_secs(3600));
    assert_eq!(keeper.truth("x").value, Value::Share(500));
}
