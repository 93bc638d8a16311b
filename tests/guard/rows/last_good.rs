//! The value that was proven last.

use super::*;

fn good(keeper: &Keeper) -> Option<Value> {
    keeper.facts.good.get("x").map(|truth| truth.value)
}

#[test]
fn the_last_value_whose_bake_ended_proven_and_before_that_the_one_when_it_was_first_watched() {
    let mut keeper = one(guarding());
    assert_eq!(good(&keeper), None);
    keeper.set("x", Value::Share(500)).unwrap();
    assert_eq!(good(&keeper), Some(Value::Off));
    keeper.wait(SECOND * 301);
    assert_eq!(good(&keeper), Some(Value::Share(500)));
    keeper.set("x", Value::On).unwrap();
    assert_eq!(good(&keeper), Some(Value::Share(500)));
}

#[test]
fn nothing_that_was_not_proven_is_ever_gone_back_to() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::Share(500)).unwrap();
    keeper.wait(SECOND * 100);
    keeper.set("x", Value::Share(900)).unwrap();
    crashes(&mut keeper, "web#1", 3);
    assert_eq!(keeper.truth("x").value, Value::Off);
}

#[test]
fn a_value_that_does_not_fit_any_more_gives_way_to_the_safe_one() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::Share(500)).unwrap();
    keeper.wait(SECOND * 301);
    keeper.set("x", Value::On).unwrap();
    let only_bool = Declaration { kind: Kind::Bool, ..flag("x", guarding()) };
    keeper.catalog = Catalog::new([only_bool], []);
    crashes(&mut keeper, "web#1", 3);
    assert_eq!(keeper.truth("x").value, Value::Off);
}
