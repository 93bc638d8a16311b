//! A command of one's own.

use super::*;

fn asking() -> Guarding {
    let probe = Probe {
        argv: vec!["./smoke".into()],
        directory: "/".into(),
        every: SECOND * 30,
        timeout: SECOND * 10,
    };
    Guarding { probe: Some(probe), ..guarding() }
}

fn says(keeper: &mut Keeper, verdict: Verdict) {
    let generation = keeper.facts.watches[&x()].generation;
    keeper.guard.handle(keeper.mono(), Input::Said { subject: x(), generation, verdict });
    keeper.settle();
}

fn runs(keeper: &Keeper) -> usize {
    keeper.acts().iter().filter(|act| matches!(act, Act::Run { .. })).count()
}

#[test]
fn a_command_that_says_bad_trips_and_is_run_once_at_a_time() {
    let mut keeper = one(asking());
    keeper.set("x", Value::On).unwrap();
    keeper.wait(SECOND * 31);
    assert_eq!(runs(&keeper), 1);
    says(&mut keeper, Verdict::Good);
    keeper.wait(SECOND * 30);
    assert_eq!(runs(&keeper), 2);
    says(&mut keeper, Verdict::Bad);
    assert_eq!(signals(&keeper), [Signal::Probe]);
}

#[test]
fn one_that_does_not_know_holds_and_one_that_never_answers_is_asked_again() {
    let mut keeper = one(asking());
    keeper.set("x", Value::On).unwrap();
    keeper.wait(SECOND * 71);
    assert_eq!(runs(&keeper), 2, "the first one has had its time");
    says(&mut keeper, Verdict::Unknown);
    keeper.wait(SECOND * 400);
    assert!(keeper.acts().iter().any(|act| matches!(act, Act::Hold { .. })));
    assert!(keeper.facts.watches.contains_key(&x()));
    says(&mut keeper, Verdict::Good);
    assert!(matches!(keeper.acts().last(), Some(Act::Prove { .. })));
}

#[test]
fn what_is_said_of_an_older_change_is_passed_over() {
    let mut keeper = one(asking());
    keeper.set("x", Value::Share(1)).unwrap();
    let old = keeper.facts.watches[&x()].generation;
    keeper.set("x", Value::On).unwrap();
    keeper.guard.handle(keeper.mono(), Input::Said { subject: x(), generation: old, verdict: Verdict::Bad });
    keeper.settle();
    assert_eq!(signals(&keeper), []);
}
