//! Stages of migrations go back as a whole.

use super::*;

#[test]
fn a_stage_that_does_harm_goes_back_to_the_one_before_whatever_was_set_by_hand() {
    let mut keeper = staged();
    enable(&mut keeper, "1").unwrap();
    keeper.wait(SECOND * 301);
    let how = Enabling { at_once: true, ..Enabling::default() };
    keeper.plan("on", false, |view, asking| migration::enable(view, asking, "m", "2", how)).unwrap();
    let edits = [("a".to_owned(), Some(Truth::from(Value::Off)))];
    keeper.plan("by hand", false, |view, asking| set(view, asking, &edits)).unwrap();
    crashes(&mut keeper, "web#1", 3);
    assert_eq!(keeper.stage("m"), 1);
    let values = ["a", "b", "c"].map(|flag| keeper.truth(flag).value);
    assert_eq!(values, [Value::On, Value::Off, Value::Off]);
    let refused = enable(&mut keeper, "2").unwrap_err();
    assert!(matches!(refused, Refused::Banned { subject: Subject::Stage(_, 2), .. }), "{refused}");
}

#[test]
fn each_step_bakes_and_the_number_of_the_stage_comes_with_the_last() {
    let mut keeper = staged();
    enable(&mut keeper, "1").unwrap();
    keeper.wait(SECOND * 301);
    enable(&mut keeper, "2").unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push((keeper.stage("m"), keeper.truth("b").value));
        keeper.wait(SECOND * 300);
    }
    let expected = [Value::Share(10_000), Value::Share(50_000), Value::On, Value::On];
    assert_eq!(seen, [(1, expected[0]), (1, expected[1]), (2, expected[2]), (2, expected[3])]);
    assert_eq!(keeper.facts.rolls[&1].state, RollState::Done);
    assert_eq!(keeper.facts.good["m"].value, Value::Stage(2));
    assert_eq!(keeper.facts.stood["m"].roll, None);
}

#[test]
fn a_step_that_does_harm_takes_the_whole_stage_back() {
    let mut keeper = staged();
    enable(&mut keeper, "1").unwrap();
    keeper.wait(SECOND * 301);
    enable(&mut keeper, "2").unwrap();
    keeper.wait(SECOND * 301);
    assert_eq!(keeper.truth("b").value, Value::Share(50_000));
    crashes(&mut keeper, "web#1", 3);
    assert_eq!((keeper.stage("m"), keeper.truth("b").value), (1, Value::Off));
    let roll = &keeper.facts.rolls[&1];
    assert_eq!((roll.state, roll.evidence.len()), (RollState::RolledBack, 3));
}

#[test]
fn the_guard_does_not_go_back_past_a_one_way_stage_and_says_so() {
    let mut keeper = staged();
    let how = Enabling { force: true, at_once: true };
    keeper.plan("on", false, |view, asking| migration::enable(view, asking, "m", "3", how)).unwrap();
    crashes(&mut keeper, "web#1", 9);
    assert_eq!((signals(&keeper).len(), keeper.stage("m")), (0, 3));
    assert!(matches!(keeper.acts()[..], [Act::Hold { .. }]), "{:?}", keeper.acts());
}

#[test]
fn an_older_stage_that_does_harm_takes_the_later_one_with_it() {
    let mut keeper = staged();
    enable(&mut keeper, "1").unwrap();
    crashes(&mut keeper, "web#1", 2);
    let how = Enabling { at_once: true, ..Enabling::default() };
    keeper.plan("on", false, |view, asking| migration::enable(view, asking, "m", "2", how)).unwrap();
    crashes(&mut keeper, "web#1", 1);
    assert_eq!((keeper.stage("m"), keeper.facts.watches.len()), (0, 0));
    assert!(keeper.facts.bans.contains_key(&Subject::Stage("m".into(), 1)));
    assert!(!keeper.facts.bans.contains_key(&Subject::Stage("m".into(), 2)), "it is not accused");
}

#[test]
fn two_stages_that_came_together_go_back_together() {
    let mut keeper = staged();
    let how = Enabling { force: true, at_once: true };
    keeper.plan("on", false, |view, asking| migration::enable(view, asking, "m", "2", how)).unwrap();
    crashes(&mut keeper, "web#1", 3);
    assert_eq!(keeper.stage("m"), 0);
    assert_eq!(["a", "b"].map(|flag| keeper.truth(flag).value), [Value::Off, Value::Off]);
}

#[test]
fn what_was_one_way_does_not_go_to_its_last_good_or_safe_stage_either() {
    let (mut flags, migration) = declared();
    flags.push(flag("x", guarding()));
    let mut keeper = keeper(flags, vec![migration]);
    let how = Enabling { force: true, at_once: true };
    keeper.plan("on", false, |view, asking| migration::enable(view, asking, "m", "3", how)).unwrap();
    keeper.wait(SECOND * 301);
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 200);
    assert_eq!((signals(&keeper).len(), keeper.truth("x").value), (1, Value::Off));
    assert_eq!((keeper.stage("m"), keeper.truth("a").value), (3, Value::On));
}

#[test]
fn a_flag_of_a_stage_that_is_set_by_hand_holds_the_stage() {
    let mut keeper = staged();
    enable(&mut keeper, "1").unwrap();
    keeper.wait(SECOND * 301);
    enable(&mut keeper, "2").unwrap();
    let edits = [("b".to_owned(), Some(Truth::from(Value::Off)))];
    keeper.plan("by hand", false, |view, asking| set(view, asking, &edits)).unwrap();
    assert_eq!(keeper.facts.rolls[&1].state, RollState::Held);
    keeper.wait(Duration::from_secs(3600));
    assert_eq!((keeper.stage("m"), keeper.truth("b").value), (1, Value::Off), "nothing undoes it");
}
