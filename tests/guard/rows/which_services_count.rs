//! Whose deaths are the change's.

use super::*;

#[test]
fn those_that_are_named_and_nobody_else() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "db#1", 9);
    assert_eq!(signals(&keeper), []);
    crashes(&mut keeper, "web#1", 3);
    assert_eq!(signals(&keeper), [Signal::Crashes]);
}

#[test]
fn those_that_the_flag_may_hurt_when_its_guard_names_none() {
    let named = Declaration { services: vec!["db".into()], ..flag("x", Guarding::default()) };
    let mut keeper = keeper(vec![named], vec![]);
    keeper.reads("web#1", "x");
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 9);
    assert_eq!(signals(&keeper), []);
    crashes(&mut keeper, "db#1", 3);
    assert_eq!(signals(&keeper), [Signal::Crashes]);
}

#[test]
fn those_that_have_read_it_when_none_are_named_however_late_that_is_found_out() {
    let mut keeper = one(Guarding::default());
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 3);
    assert_eq!(signals(&keeper), [], "nobody has read it");
    keeper.reads("web#2", "x");
    assert_eq!(signals(&keeper), [Signal::Crashes]);
}

#[test]
fn a_reader_of_any_flag_of_the_stage_or_of_the_migration_counts() {
    for read in ["a", "m"] {
        let stages = vec![Stage { name: "one".into(), on: vec!["a".into()], ..Stage::default() }];
        let migration = Migration { name: "m".into(), stages, ..Migration::default() };
        let mut keeper = keeper(vec![plain("a")], vec![migration]);
        enable(&mut keeper, "1").unwrap();
        keeper.reads("web#1", read);
        crashes(&mut keeper, "web#1", 3);
        assert_eq!(signals(&keeper), [Signal::Crashes], "{read}");
    }
}

#[test]
fn who_has_read_it_before_a_keeper_died_is_not_forgotten() {
    let mut keeper = one(Guarding::default());
    keeper.reads("web#1", "x");
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 2);
    keeper.crash("web#1");
    let mut again = one(Guarding::default());
    again.reads("web#1", "x");
    again.set("x", Value::On).unwrap();
    crashes(&mut again, "web#1", 2);
    again.wait(SECOND);
    again.read.clear();
    again.die();
    again.crash("web#1");
    assert_eq!(signals(&again), [Signal::Crashes]);
}

#[test]
fn who_has_read_it_since_the_change_is_not_forgotten_either() {
    let mut keeper = one(Guarding::default());
    keeper.set("x", Value::On).unwrap();
    keeper.reads("web#1", "x");
    keeper.read.clear();
    keeper.die();
    crashes(&mut keeper, "web#1", 3);
    assert_eq!(signals(&keeper), [Signal::Crashes]);
}

#[test]
fn who_read_it_in_a_life_that_is_over_before_the_change_does_not_count() {
    let mut keeper = one(Guarding::default());
    keeper.reads("web#1", "x");
    crashes(&mut keeper, "web#1", 1);
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 9);
    assert_eq!(signals(&keeper), []);
}
