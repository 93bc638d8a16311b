//! Migrations: where they may go from each stage, and what that makes of their flags.

use super::super::draft::testing::{World, migration};
use super::super::guard::{Fact, RollState};
use super::super::{Truth, Value};
use super::*;

fn world() -> World {
    let (flags, migration) = migration();
    World::new(flags, vec![migration])
}

fn up(world: &mut World, to: &str, how: Enabling) -> Result<Planned, Refused> {
    world.plan("a reason", false, |view, asking| enable(view, asking, "m", to, how))
}

fn down(world: &mut World, to: &str, past: bool) -> Result<Planned, Refused> {
    world.plan("a reason", false, |view, asking| rollback(view, asking, "m", to, past))
}

const STEP: Enabling = Enabling { force: false, at_once: false };
const AT_ONCE: Enabling = Enabling { force: false, at_once: true };
const FORCED: Enabling = Enabling { force: true, at_once: true };

fn values(world: &World) -> [Value; 4] {
    ["a1", "a2", "b", "c"].map(|flag| world.truth(flag).value)
}

const ON: Value = Value::On;
const OFF: Value = Value::Off;

#[test]
fn the_state_is_a_function_of_the_stage_whatever_was_set_by_hand() {
    for by_hand in 0..16_u32 {
        for (from, to) in
            (0..=3).flat_map(|from| (0..=3).map(move |to| (from, to))).filter(|(from, to)| from != to)
        {
            let mut world = world();
            if from > 0 {
                up(&mut world, &from.to_string(), FORCED).unwrap();
            }
            for (bit, flag) in ["a1", "a2", "b", "c"].into_iter().enumerate() {
                let value = if by_hand >> bit & 1 == 1 { ON } else { OFF };
                world.set.insert(flag.into(), value.into());
            }
            match to > from {
                true => drop(up(&mut world, &to.to_string(), FORCED).unwrap()),
                false => drop(down(&mut world, &to.to_string(), true).unwrap()),
            }
            let on = |stage| if to >= stage { ON } else { OFF };
            assert_eq!(values(&world), [on(1), on(1), on(2), on(3)], "{from} → {to}, {by_hand:b}");
            assert_eq!(world.see(|view| view.stage("m")), to);
        }
    }
}

#[test]
fn stages_are_enabled_one_at_a_time_unless_forced() {
    let mut world = world();
    let refused = up(&mut world, "third", AT_ONCE).unwrap_err();
    assert_eq!(refused.to_string(), "`m` is at stage 0 (not begun): stage 3 is more than one further");
    assert_eq!(refused.hint(), "enable 1 `first` first, or `--force` all of them at once");
    up(&mut world, "third", FORCED).unwrap();
    let refused = up(&mut world, "1", STEP).unwrap_err();
    assert_eq!(refused.to_string(), "`m` is at stage 3 `third`: stage 1 is not later");
}

#[test]
fn a_target_that_is_not_earlier_is_an_error_and_changes_nothing() {
    let mut world = world();
    up(&mut world, "1", STEP).unwrap();
    let before = (world.set.clone(), world.facts.clone());
    for to in ["1", "2", "third"] {
        let refused = down(&mut world, to, false).unwrap_err();
        assert!(matches!(refused, Refused::NotEarlier { .. }), "{refused}");
    }
    assert_eq!((world.set.clone(), world.facts.clone()), before);
    down(&mut world, "0", false).unwrap();
    assert!(matches!(down(&mut world, "0", false), Err(Refused::NotEarlier { .. })));
}

#[test]
fn there_is_no_way_back_past_a_one_way_stage_unless_it_is_asked_for() {
    let mut world = world();
    up(&mut world, "3", FORCED).unwrap();
    let refused = down(&mut world, "2", false).unwrap_err();
    assert_eq!(refused.to_string(), "stage 3 `third` of `m` is one-way: what it did cannot be taken back");
    down(&mut world, "2", true).unwrap();
    down(&mut world, "0", false).unwrap();
}

#[test]
fn an_unknown_stage_or_migration_is_told_with_the_nearest() {
    let mut world = world();
    let refused = up(&mut world, "frist", STEP).unwrap_err();
    assert_eq!(refused.to_string(), "no stage `frist` in `m`, which is at stage 0 (not begun)");
    assert_eq!(refused.hint(), "did you mean `first`?");
    let refused = world.plan("a", false, |view, asking| enable(view, asking, "n", "1", STEP)).unwrap_err();
    assert!(refused.is_unknown(), "{refused}");
}

#[test]
fn a_stage_needs_a_reason_while_it_is_guarded() {
    let mut world = world();
    let refused = world.plan(" ", false, |view, asking| enable(view, asking, "m", "1", STEP)).unwrap_err();
    assert_eq!(refused.to_string(), "a reason is required for a change of stage 1 of `m`");
}

#[test]
fn while_a_stage_comes_in_by_steps_the_stage_is_the_one_before() {
    let mut world = world();
    up(&mut world, "1", STEP).unwrap();
    up(&mut world, "2", STEP).unwrap();
    assert_eq!(world.see(|view| (view.stage("m"), view.coming_in("m"))), (1, Some((2, 1))));
    assert_eq!(values(&world), [ON, ON, Value::Share(10_000), OFF]);
    let refused = up(&mut world, "3", FORCED).unwrap_err();
    assert!(matches!(refused, Refused::ComingIn { roll: 1, .. }), "{refused}");
    // All at once, or back to where it stands: both are ways out.
    let mut at_once = world;
    up(&mut at_once, "2", AT_ONCE).unwrap();
    assert_eq!(values(&at_once), [ON, ON, ON, OFF]);
    assert_eq!(at_once.facts.rolls[&1].state, RollState::Ended);
}

#[test]
fn a_stage_that_comes_in_can_be_rolled_back_to_where_the_migration_stands() {
    let mut world = world();
    up(&mut world, "1", STEP).unwrap();
    up(&mut world, "2", STEP).unwrap();
    down(&mut world, "1", false).unwrap();
    assert_eq!(values(&world), [ON, ON, OFF, OFF]);
    assert_eq!(world.facts.rolls[&1].state, RollState::RolledBack);
    assert_eq!(world.facts.watches.len(), 1, "the first stage bakes on");
}

#[test]
fn all_of_a_change_is_one_plan_with_its_armed_watch() {
    let mut world = world();
    let planned = up(&mut world, "1", STEP).unwrap();
    assert_eq!(planned.sets.len(), 2);
    let watch = planned.facts.iter().find_map(|fact| match fact {
        Fact::Watch(Subject::Stage(_, 1), Some(watch)) => Some(watch),
        _ => None,
    });
    let watch = watch.expect("it is armed in the same change");
    assert_eq!((watch.stage, watch.generation, watch.back.len()), (Some(0), 1, 2));
    assert_eq!(watch.back[0].new, Some(Truth::from(Value::On)));
}
