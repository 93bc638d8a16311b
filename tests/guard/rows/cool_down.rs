//! How soon, and how often, the guard acts on the same flag.

use super::*;

fn set_again(keeper: &mut Keeper) -> Result<mainstay::flags::Planned, Refused> {
    let edits = [("x".to_owned(), Some(Truth::from(Value::On)))];
    keeper.plan("again", true, |view, asking| set(view, asking, &edits))
}

fn rolled_back() -> Keeper {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 3);
    keeper.wait(SECOND * 130);
    keeper
}

#[test]
fn nobody_sets_it_for_ten_minutes_even_with_another_definition() {
    let mut keeper = rolled_back();
    keeper.catalog = Catalog::new([Declaration { salt: "y".into(), ..flag("x", guarding()) }], []);
    let refused = keeper.set("x", Value::On).unwrap_err();
    assert!(matches!(refused, Refused::CoolingDown { left, .. } if left == SECOND * 470), "{refused:?}");
    keeper.wait(SECOND * 470);
    keeper.set("x", Value::On).unwrap();
}

#[test]
fn ten_minutes_pass_before_the_guard_acts_on_it_again() {
    let mut keeper = rolled_back();
    set_again(&mut keeper).unwrap();
    crashes(&mut keeper, "web#1", 469);
    assert_eq!(signals(&keeper).len(), 1);
    assert!(keeper.acts().iter().any(|act| matches!(act, Act::Hold { .. })));
    crashes(&mut keeper, "web#1", 2);
    assert_eq!(signals(&keeper).len(), 2);
    let [(first, _), (second, _)] = keeper.rollbacks()[..] else { panic!("two") };
    assert_eq!(second.mono().since(first.mono()), SECOND * 600);
}

#[test]
fn the_wall_clock_has_no_say_in_it() {
    for jump in [-86_400_000_000_i64 * 400, 86_400_000_000 * 400] {
        let mut keeper = rolled_back();
        keeper.now.wall.0 += jump;
        assert!(matches!(keeper.set("x", Value::On), Err(Refused::Banned { .. })));
        set_again(&mut keeper).unwrap();
        crashes(&mut keeper, "web#1", 100);
        assert_eq!(signals(&keeper).len(), 1, "{jump}");
    }
}

#[test]
fn three_rollbacks_in_24_hours_freeze_it_until_a_person_says_otherwise() {
    let mut keeper = one(guarding());
    for round in 1..=3 {
        set_again(&mut keeper).unwrap();
        crashes(&mut keeper, "web#1", 3);
        assert_eq!(signals(&keeper).len(), round);
        keeper.wait(Duration::from_secs(3600));
    }
    let refused = set_again(&mut keeper).unwrap_err();
    assert!(matches!(refused, Refused::Frozen { .. }), "{refused:?}");
    assert_eq!(keeper.see(|view| word(view, keeper.now, "x")), "frozen");
    keeper.wait(Duration::from_secs(3 * 86_400));
    assert!(set_again(&mut keeper).is_err(), "time does not thaw it");
    keeper.plan("fixed", false, |view, asking| switch(view, asking, None, &["x".into()])).unwrap();
    set_again(&mut keeper).unwrap();
}

#[test]
fn three_rollbacks_in_more_than_24_hours_do_not() {
    let mut keeper = one(guarding());
    for _ in 0..5 {
        set_again(&mut keeper).unwrap();
        crashes(&mut keeper, "web#1", 3);
        keeper.wait(Duration::from_secs(12 * 3600 + 10));
    }
    assert_eq!(signals(&keeper).len(), 5);
}

/// Nobody can set what is frozen, so none that is watched is; but facts are the journal's, and taken as they are.
#[test]
fn what_is_frozen_is_left_alone_and_that_is_said() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    keeper.facts.past.insert(x(), Past { rollbacks: Vec::new(), frozen: true });
    crashes(&mut keeper, "web#1", 9);
    assert_eq!((signals(&keeper), keeper.truth("x").value), (vec![], Value::On));
    assert!(matches!(keeper.acts()[..], [Act::Hold { .. }]), "{:?}", keeper.acts());
}
