//! The newest goes back first; whoever is sick still brings all to last good, then to safe.

use super::*;

fn two() -> Keeper {
    let mut keeper = keeper(vec![flag("x", guarding()), flag("y", guarding())], vec![]);
    keeper.set("x", Value::On).unwrap();
    keeper.wait(SECOND);
    keeper.set("y", Value::On).unwrap();
    keeper
}

fn subjects(keeper: &Keeper) -> Vec<String> {
    keeper.rollbacks().iter().map(|(_, reason)| reason.subject.as_ref().unwrap().name().to_owned()).collect()
}

#[test]
fn the_newest_goes_back_first_and_the_next_after_a_window_of_sickness() {
    let mut keeper = two();
    crashes(&mut keeper, "web#1", 3);
    assert_eq!(subjects(&keeper), ["y"]);
    crashes(&mut keeper, "web#1", 50);
    assert_eq!(subjects(&keeper), ["y"], "it gets its window");
    crashes(&mut keeper, "web#1", 10);
    assert_eq!(subjects(&keeper), ["y", "x"]);
    let [(first, _), (second, _)] = keeper.rollbacks()[..] else { panic!("two") };
    assert_eq!(second.mono().since(first.mono()), SECOND * 60);
}

#[test]
fn one_that_helped_leaves_the_other_alone() {
    let mut keeper = two();
    crashes(&mut keeper, "web#1", 3);
    keeper.wait(SECOND * 400);
    assert_eq!(subjects(&keeper), ["y"]);
    assert!(matches!(keeper.acts()[..], [Act::RollBack(_), Act::Prove { .. }]), "{:?}", keeper.acts());
    assert_eq!(keeper.truth("x").value, Value::On);
}

#[test]
fn a_change_after_the_crashes_began_is_not_the_one() {
    let mut keeper = keeper(vec![flag("x", guarding()), flag("y", guarding())], vec![]);
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 2);
    keeper.set("y", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 1);
    assert_eq!(subjects(&keeper), ["x"]);
}

#[test]
fn a_change_of_another_service_stays() {
    let of_db = Guarding { services: vec!["db".into()], ..Guarding::default() };
    let mut keeper = keeper(vec![flag("x", guarding()), flag("y", of_db)], vec![]);
    keeper.set("x", Value::On).unwrap();
    keeper.wait(SECOND);
    keeper.set("y", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 3);
    assert_eq!(subjects(&keeper), ["x"]);
}

/// `z` is on without having baked: a person ended what would have watched it.
#[test]
fn still_sick_all_guarded_flags_go_to_last_good_and_then_to_their_safe_values() {
    let mut keeper =
        keeper(vec![flag("x", guarding()), flag("z", guarding()), flag("w", guarding())], vec![]);
    keeper.set("w", Value::On).unwrap();
    keeper.wait(SECOND * 301);
    keeper.set("z", Value::Share(1000)).unwrap();
    keeper.wait(SECOND * 301);
    keeper.guard_is(Mode::Off);
    keeper.set("z", Value::On).unwrap();
    keeper.guard_is(Mode::On);
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 3);
    let at = keeper.mono();
    crashes(&mut keeper, "web#1", 200);
    let acts: Vec<&Act> = keeper.acts().into_iter().skip(2).collect();
    assert!(matches!(acts[..], [Act::RollBack(_), Act::LastGood(_), Act::Safe(_)]), "{acts:?}");
    let when =
        |number: usize| keeper.done.iter().filter(|(_, d)| !matches!(d.act, Act::Note)).nth(number).unwrap();
    assert_eq!(when(3).0.mono().since(at), SECOND * 60);
    assert_eq!(when(4).0.mono().since(at), SECOND * 120);
    assert_eq!(when(3).1.change.sets, [("z".into(), Some(Value::Share(1000).into()))]);
    for name in ["x", "z", "w"] {
        assert_eq!(keeper.truth(name).value, Value::Off, "{name}");
    }
    assert!(keeper.facts.after.is_empty());
    assert_eq!(keeper.guard.wants(), None, "there is nothing left to do");
}

#[test]
fn safe_values_come_at_once_when_everything_is_at_its_last_good_already() {
    let mut keeper = keeper(vec![flag("x", guarding()), flag("w", guarding())], vec![]);
    keeper.set("w", Value::On).unwrap();
    keeper.wait(SECOND * 301);
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 100);
    assert!(matches!(keeper.acts()[1..], [Act::RollBack(_), Act::Safe(_)]), "{:?}", keeper.acts());
    assert_eq!(keeper.truth("w").value, Value::Off);
}

#[test]
fn what_does_not_count_for_the_service_stays_as_it_is() {
    let of_db = Guarding { services: vec!["db".into()], ..Guarding::default() };
    for guard in [of_db, Guarding::default()] {
        let mut keeper = keeper(vec![flag("x", guarding()), flag("w", guard)], vec![]);
        keeper.set("w", Value::On).unwrap();
        keeper.reads("db#1", "w");
        keeper.wait(SECOND * 301);
        assert_eq!(keeper.facts.good["w"].value, Value::On);
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 200);
        assert_eq!(keeper.truth("w").value, Value::On);
    }
}

#[test]
fn one_that_nobody_has_read_yet_gets_a_window_too() {
    let mut keeper = keeper(vec![flag("x", guarding()), flag("y", Guarding::default())], vec![]);
    keeper.set("y", Value::On).unwrap();
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 3);
    keeper.reads("web#1", "y");
    assert_eq!(subjects(&keeper), ["x"]);
    crashes(&mut keeper, "web#1", 70);
    assert_eq!(subjects(&keeper), ["x", "y"]);
}

#[test]
fn nothing_goes_to_last_good_while_another_change_bakes_that_is_not_accused() {
    let mut keeper = keeper(vec![flag("x", guarding()), flag("y", guarding())], vec![]);
    crashes(&mut keeper, "web#1", 4);
    keeper.set("x", Value::On).unwrap();
    keeper.wait(SECOND * 61);
    keeper.set("y", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 3);
    assert_eq!(subjects(&keeper), ["y"], "before `x` it was as sick");
    keeper.wait(SECOND * 60);
    crashes(&mut keeper, "web#1", 3);
    assert!(!keeper.acts().iter().any(|act| matches!(act, Act::LastGood(_) | Act::Safe(_))));
    assert_eq!(keeper.truth("x").value, Value::On);
}
