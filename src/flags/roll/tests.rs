//! Rollouts: what begins, what a step is, how they end.

use super::super::draft::testing::{World, flag, guarded};
use super::super::set;
use super::*;
use std::slice;

fn begin_with(world: &mut World, steps: &[u32]) -> Result<Planned, Refused> {
    let order = Order { steps: steps.to_vec(), ..Order::default() };
    world.plan("a reason", false, |view, asking| begin(view, asking, "x", &order))
}

fn steered(world: &mut World, to: Steering) -> Result<Planned, Refused> {
    world.plan("a reason", false, |view, asking| steer(view, asking, 1, to))
}

#[test]
fn steps_rise_from_above_nothing_to_at_most_all() {
    for steps in [&[][..], &[0], &[100_001], &[5, 5], &[6, 5]] {
        let refused = begin_with(&mut World::new(vec![guarded("x")], vec![]), steps).unwrap_err();
        assert!(matches!(refused, Refused::Steps(_)), "{steps:?}: {refused}");
    }
    begin_with(&mut World::new(vec![guarded("x")], vec![]), &[1, 100_000]).unwrap();
}

#[test]
fn the_first_step_comes_with_the_rollout_and_a_flag_without_a_guard_is_watched_too() {
    let mut world = World::new(vec![flag("x")], vec![]);
    begin_with(&mut world, &[10_000, 100_000]).unwrap();
    assert_eq!(world.truth("x").value, Value::Share(10_000));
    assert_eq!(world.facts.watches[&Subject::Flag("x".into())].roll, Some(1));
    assert!(matches!(begin_with(&mut world, &[20_000]), Err(Refused::Rolling(_, 1))));
}

#[test]
fn a_step_must_take_it_further() {
    let mut world = World::new(vec![guarded("x")], vec![]);
    world.set.insert("x".into(), Value::Share(25_000).into());
    let refused = begin_with(&mut world, &[25_000]).unwrap_err();
    assert_eq!(refused.to_string(), "flag `x` is 25% already: a first step to 25% takes it no further");
}

#[test]
fn a_bake_is_at_least_twice_the_window_and_the_unit_is_the_declared_one() {
    let mut world = World::new(vec![guarded("x")], vec![]);
    let bake = Some(Duration::from_secs(119));
    let short = Order { steps: vec![1], bake, unit: None };
    let refused = world.plan("a", false, |view, asking| begin(view, asking, "x", &short)).unwrap_err();
    assert_eq!(refused.hint(), "let it bake for 120 s or longer");
    let other = Order { steps: vec![1], bake: None, unit: Some(Unit::Host) };
    let refused = world.plan("a", false, |view, asking| begin(view, asking, "x", &other)).unwrap_err();
    assert_eq!(refused.to_string(), "flag `x` counts its share by id, as it is declared");
}

#[test]
fn ended_it_stays_and_bakes_on_and_back_it_is_what_it_was() {
    for (to, value, watched) in [(Steering::End, Value::Share(10_000), 1), (Steering::Back, Value::Off, 0)] {
        let mut world = World::new(vec![guarded("x")], vec![]);
        begin_with(&mut world, &[10_000, 100_000]).unwrap();
        steered(&mut world, to).unwrap();
        assert_eq!((world.truth("x").value, world.facts.watches.len()), (value, watched), "{to:?}");
        assert!(world.facts.watches.values().all(|watch| watch.roll.is_none()));
        assert!(matches!(steered(&mut world, to), Err(Refused::RollOver { .. })));
    }
}

#[test]
fn only_a_held_one_goes_on_by_hand() {
    let mut world = World::new(vec![guarded("x")], vec![]);
    begin_with(&mut world, &[10_000, 100_000]).unwrap();
    assert_eq!(steered(&mut world, Steering::On), Err(Refused::NotHeld(1)));
    assert_eq!(
        world.plan("a", false, |view, asking| steer(view, asking, 9, Steering::On)),
        Err(Refused::NoRoll(9))
    );
}

#[test]
fn whoever_sets_the_flag_by_hand_ends_its_rollout() {
    let mut world = World::new(vec![guarded("x")], vec![]);
    begin_with(&mut world, &[10_000, 100_000]).unwrap();
    let edit = ("x".to_owned(), Some(Truth::from(Value::Off)));
    world.plan("a", false, |view, asking| set(view, asking, slice::from_ref(&edit))).unwrap();
    assert_eq!(world.facts.rolls[&1].outcome, "ana set it to off");
    assert_eq!((world.facts.rolls[&1].state, world.facts.watches.len()), (RollState::Ended, 0));
}

#[test]
fn of_rollouts_that_are_over_the_newest_are_kept_and_no_number_is_given_twice() {
    let mut world = World::new(vec![guarded("x")], vec![]);
    for number in 1..=100 {
        begin_with(&mut world, &[10_000]).unwrap();
        assert!(world.facts.rolls.contains_key(&number));
        world.plan("a", false, |view, asking| steer(view, asking, number, Steering::Back)).unwrap();
    }
    assert_eq!((world.facts.rolls.len(), *world.facts.rolls.keys().next().unwrap()), (KEPT, 69));
}
