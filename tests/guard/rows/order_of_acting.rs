//! What belongs to one rollback is one change.

use super::*;
use mainstay::flags::guard::Fact;

/// One change has the values, the ban, the rollback on record and the fresh budget: one record of the journal, so no death
/// can come between them.
#[test]
fn ban_values_and_one_fresh_budget_are_one_change() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 3);
    let change = &keeper.done.iter().find(|(_, done)| matches!(done.act, Act::RollBack(_))).unwrap().1.change;
    assert_eq!(change.sets, [("x".to_owned(), None)]);
    let has = |of: &dyn Fn(&Fact) -> bool| change.facts.iter().filter(|fact| of(fact)).count();
    assert_eq!(has(&|fact| matches!(fact, Fact::Ban(_, Some(_)))), 1);
    assert_eq!(has(&|fact| matches!(fact, Fact::Past(_, Some(_)))), 1);
    assert_eq!(has(&|fact| matches!(fact, Fact::Watch(_, None))), 1);
    assert_eq!(has(&|fact| matches!(fact, Fact::Fresh(_, Some(of)) if *of == ["web"])), 1);
}
