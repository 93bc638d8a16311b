//! Failed health checks.

use super::*;

fn fails(keeper: &mut Keeper, rows: impl IntoIterator<Item = u32>) {
    for in_a_row in rows {
        keeper.wait(SECOND);
        keeper.event("web#1", Happened::Unhealthy { in_a_row });
    }
}

#[test]
fn three_failed_checks_in_a_row_trip() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    fails(&mut keeper, [1, 2, 1, 2]);
    assert_eq!(signals(&keeper), []);
    fails(&mut keeper, [3]);
    assert_eq!(signals(&keeper), [Signal::Unhealthy]);
}

#[test]
fn what_failed_before_the_change_is_not_added() {
    let mut keeper = one(guarding());
    fails(&mut keeper, [1, 2]);
    keeper.set("x", Value::On).unwrap();
    fails(&mut keeper, [3, 4]);
    assert_eq!(signals(&keeper), []);
    fails(&mut keeper, [5]);
    assert_eq!(signals(&keeper), [Signal::Unhealthy]);
}

#[test]
fn checks_that_failed_too_often_before_the_change_too_hold_it() {
    let mut keeper = one(guarding());
    fails(&mut keeper, 1..=7);
    keeper.set("x", Value::On).unwrap();
    fails(&mut keeper, 8..=12);
    assert_eq!(signals(&keeper), []);
    assert!(matches!(keeper.acts()[..], [Act::Hold { .. }]), "{:?}", keeper.acts());
}

#[test]
fn none_are_looked_at_with_health_0() {
    let mut keeper = one(Guarding { health: 0, ..guarding() });
    keeper.set("x", Value::On).unwrap();
    fails(&mut keeper, 1..=50);
    assert_eq!(signals(&keeper), []);
}

#[test]
fn a_bake_counts_from_the_last_row_of_failures_and_ends_by_itself() {
    let mut keeper = one(guarding());
    fails(&mut keeper, 1..=3);
    keeper.set("x", Value::On).unwrap();
    keeper.wait(SECOND * 100);
    fails(&mut keeper, 4..=6);
    let sick = keeper.mono();
    keeper.wait(SECOND * 1000);
    let (at, proven) = keeper.done.iter().rfind(|(_, done)| !matches!(done.act, Act::Note)).unwrap();
    assert!(matches!(proven.act, Act::Prove { .. }), "{:?}", proven.act);
    assert_eq!(at.mono().since(sick), SECOND * 300);
}
