//! Changes by hand, of everything at once, and of the switch: what is planned, and what is refused.

use super::super::draft::testing::{World, flag, guarded, migration};
use super::super::guard::Mode;
use super::super::{Kind, Value};
use super::*;

fn edit(flag: &str, to: Value) -> Vec<(String, Option<Truth>)> {
    vec![(flag.to_owned(), Some(to.into()))]
}

fn set_to(world: &mut World, reason: &str, flag: &str, to: Value) -> Result<Planned, Refused> {
    let edits = edit(flag, to);
    world.plan(reason, false, |view, asking| set(view, asking, &edits))
}

#[test]
fn one_edit_that_is_wrong_changes_nothing_of_the_others() {
    let number = Declaration { kind: Kind::Int, default: Value::Int(1), safe: Value::Int(1), ..flag("n") };
    let mut world = World::new(vec![flag("x"), number, guarded("g")], vec![]);
    for (wrong, to) in [("y", Value::On), ("n", Value::On), ("g", Value::On), ("x", Value::Int(1))] {
        let edits = [edit("x", Value::On), edit(wrong, to)].concat();
        assert!(world.plan("", false, |view, asking| set(view, asking, &edits)).is_err(), "{wrong}");
    }
    assert!(world.set.is_empty());
    assert!(
        matches!(set_to(&mut world, "", "xx", Value::On), Err(Refused::NoFlag(_, Some(near))) if near == "x")
    );
}

#[test]
fn what_already_is_so_is_not_named_and_not_watched() {
    let mut world = World::new(vec![guarded("x")], vec![]);
    set_to(&mut world, "why", "x", Value::On).unwrap();
    assert!(set_to(&mut world, "", "x", Value::On).unwrap().is_empty());
}

#[test]
fn the_safe_value_is_not_watched_and_ends_what_was() {
    let mut world = World::new(vec![guarded("x")], vec![]);
    set_to(&mut world, "why", "x", Value::On).unwrap();
    assert_eq!(world.facts.watches.len(), 1);
    set_to(&mut world, "why", "x", Value::Off).unwrap();
    assert!(world.facts.watches.is_empty());
}

#[test]
fn a_migration_is_not_set_like_a_flag() {
    let (flags, migration) = migration();
    let mut world = World::new(flags, vec![migration]);
    assert_eq!(set_to(&mut world, "", "m", Value::On), Err(Refused::IsMigration("m".into())));
}

#[test]
fn a_reset_goes_to_defaults_and_before_the_first_stage_and_a_load_to_what_is_configured() {
    let (flags, migration) = migration();
    let configured = Declaration { configured: Some(Value::Share(7)), ..flag("x") };
    let migration = Migration { configured: 1, ..migration };
    let mut world = World::new([flags, vec![configured]].concat(), vec![migration]);
    let state =
        |world: &World| (world.see(|view| view.stage("m")), world.truth("a1").value, world.truth("x").value);
    assert_eq!(state(&world), (1, Value::On, Value::Share(7)), "as configured");
    world.plan("why", false, |view, asking| reset(view, asking, &[])).unwrap();
    assert_eq!(state(&world), (0, Value::Off, Value::Off));
    world.plan("why", false, load).unwrap();
    assert_eq!(state(&world), (1, Value::On, Value::Share(7)));
    assert!(world.set.is_empty() && world.facts.stood.is_empty(), "as if nobody had set anything");
}

#[test]
fn an_emergency_needs_a_reason_and_puts_all_on_its_safe_value_in_one_change() {
    let (flags, migration) = migration();
    let number = Declaration { kind: Kind::Int, default: Value::Int(9), safe: Value::Int(3), ..flag("n") };
    let mut world = World::new([flags, vec![number, guarded("x")]].concat(), vec![migration]);
    set_to(&mut world, "why", "x", Value::On).unwrap();
    let how = super::super::migration::Enabling { force: true, at_once: true };
    world
        .plan("w", false, |view, asking| super::super::migration::enable(view, asking, "m", "3", how))
        .unwrap();
    assert!(matches!(
        world.plan("", false, |view, asking| emergency(view, asking, None)),
        Err(Refused::NoReason(_))
    ));
    let only = world.plan("fire", false, |view, asking| emergency(view, asking, Some("m"))).unwrap();
    assert_eq!(only.sets.len(), 4);
    assert_eq!((world.truth("x").value, world.truth("c").value), (Value::On, Value::Off));
    world.plan("fire", false, |view, asking| emergency(view, asking, None)).unwrap();
    assert_eq!((world.truth("x").value, world.truth("n").value), (Value::Off, Value::Int(3)));
    assert!(world.facts.watches.is_empty());
}

#[test]
fn another_configuration_that_changes_a_guarded_flag_is_watched() {
    let mut world = World::new(vec![guarded("x")], vec![]);
    let before = world.catalog.clone();
    world.catalog = Catalog::new([Declaration { configured: Some(Value::On), ..guarded("x") }], []);
    world.plan("", false, |view, asking| Ok::<_, Refused>(adopt(&before, view, asking))).unwrap();
    let watch = &world.facts.watches[&Subject::Flag("x".into())];
    assert_eq!(watch.back[0].old, Some(Value::Off.into()));
    let again = world.catalog.clone();
    let nothing =
        world.plan("", false, |view, asking| Ok::<_, Refused>(adopt(&again, view, asking))).unwrap();
    assert!(nothing.is_empty());
    // What is not declared any more is not watched any more.
    world.catalog = Catalog::new([], []);
    world.plan("", false, |view, asking| Ok::<_, Refused>(adopt(&again, view, asking))).unwrap();
    assert!(world.facts.watches.is_empty());
}

#[test]
fn the_switch_needs_a_reason_and_names_that_are_there() {
    let mut world = World::new(vec![guarded("x")], vec![]);
    let moved = |world: &mut World, reason: &str, thaw: &[String]| {
        world.plan(reason, false, |view, asking| switch(view, asking, Some(Mode::Off), thaw))
    };
    assert!(matches!(moved(&mut world, "", &[]), Err(Refused::NoReason(_))));
    assert!(matches!(moved(&mut world, "why", &["y".into()]), Err(Refused::NoFlag(..))));
    moved(&mut world, "why", &["x".into()]).unwrap();
    assert_eq!(world.facts.switch, Mode::Off);
    set_to(&mut world, "why", "x", Value::On).unwrap();
    assert!(world.facts.watches.is_empty(), "nobody watches");
}
