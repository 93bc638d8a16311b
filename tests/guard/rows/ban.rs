//! What was taken back is not set again.

use super::*;

fn banned() -> Keeper {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 3);
    keeper.wait(Duration::from_secs(3600));
    keeper
}

#[test]
fn people_are_refused_unless_they_override_it() {
    let mut keeper = banned();
    let refused = keeper.set("x", Value::On).unwrap_err();
    assert!(matches!(&refused, Refused::Banned { evidence, .. } if evidence.len() == 3), "{refused}");
    assert!(refused.hint().contains("--override-ban"), "{}", refused.hint());
    assert!(matches!(keeper.set("x", Value::Share(1)), Err(Refused::Banned { .. })));
    let edits = [("x".to_owned(), Some(Truth::from(Value::On)))];
    keeper.plan("it is fixed", true, |view, asking| set(view, asking, &edits)).unwrap();
    keeper.wait(SECOND * 301);
    assert!(keeper.facts.bans.is_empty(), "proven, it is not banned any more");
}

#[test]
fn rollouts_are_refused() {
    let mut keeper = banned();
    let order = Order { steps: vec![10_000], ..Order::default() };
    let refused = keeper.plan("again", false, |view, asking| roll::begin(view, asking, "x", &order));
    assert!(matches!(refused, Err(Refused::Banned { .. })));
}

#[test]
fn its_safe_value_is_always_taken() {
    let mut keeper = banned();
    keeper.set("x", Value::Off).unwrap();
}

#[test]
fn another_definition_lifts_it_and_the_old_one_brings_it_back() {
    let mut keeper = banned();
    let other = Declaration { salt: "x2".into(), ..flag("x", guarding()) };
    let same = Declaration { description: Some("words".into()), ..flag("x", guarding()) };
    let sees = |flag: Declaration, keeper: &mut Keeper| {
        keeper.catalog = Catalog::new([flag], []);
        keeper.see(|view| word(view, keeper.now, "x"))
    };
    assert_eq!(sees(same, &mut keeper), "banned", "words for people are no definition");
    assert_eq!(sees(other, &mut keeper), "");
    assert_eq!(sees(flag("x", guarding()), &mut keeper), "banned");
}

#[test]
fn a_load_leaves_what_is_banned_as_it_is_and_says_so() {
    let configured = Declaration { configured: Some(Value::On), ..flag("x", guarding()) };
    let mut keeper = keeper(vec![configured], vec![]);
    keeper.set("x", Value::Off).unwrap();
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 3);
    keeper.wait(Duration::from_secs(3600));
    assert_eq!(keeper.truth("x").value, Value::Off);
    let loaded = keeper.plan("again", false, load).unwrap();
    assert_eq!((loaded.sets.len(), loaded.notes.len()), (0, 1), "{loaded:?}");
}

#[test]
fn a_plan_that_configures_a_banned_stage_is_refused_and_what_held_stays() {
    let mut keeper = staged();
    enable(&mut keeper, "1").unwrap();
    crashes(&mut keeper, "web#1", 3);
    keeper.wait(Duration::from_secs(3600));
    keeper.plan("as declared", false, load).unwrap();
    let before = keeper.catalog.clone();
    let (flags, migration) = declared();
    keeper.catalog = Catalog::new(flags, [Migration { configured: 1, ..migration }]);
    let adopted = keeper.plan("", false, |view, asking| Ok(adopt(&before, view, asking))).unwrap();
    assert_eq!(adopted.notes.len(), 1, "{adopted:?}");
    assert_eq!((keeper.stage("m"), keeper.truth("a").value), (0, Value::Off));
}
