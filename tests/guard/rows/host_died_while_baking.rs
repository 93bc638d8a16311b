//! Abrupt starts while a change bakes: before any service can show a sign.

use super::*;

#[test]
fn three_such_starts_roll_back_before_any_service_starts() {
    for reboot in [false, true] {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        for _ in 1..STARTS_MAX {
            keeper.another_run(true, reboot);
            keeper.die();
            assert_eq!(signals(&keeper), [], "and each is counted once");
        }
        keeper.another_run(true, reboot);
        assert_eq!(signals(&keeper), [Signal::Starts]);
        assert_eq!(keeper.truth("x").value, Value::Off);
    }
}

#[test]
fn a_goodbye_does_not_count_and_in_another_boot_the_bake_begins_anew() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    for _ in 0..9 {
        keeper.another_run(false, true);
    }
    assert_eq!(signals(&keeper), []);
    ["web#1", "web#2"].iter().for_each(|instance| keeper.start(instance));
    keeper.wait(SECOND * 299);
    assert_eq!(keeper.acts(), Vec::<&Act>::new());
    keeper.wait(SECOND);
    assert!(matches!(keeper.acts()[..], [Act::Prove { .. }]));
}

#[test]
fn of_two_the_newest_goes_back_and_the_other_has_three_more_tries() {
    let mut keeper = keeper(vec![flag("x", guarding()), flag("y", guarding())], vec![]);
    keeper.set("x", Value::On).unwrap();
    keeper.set("y", Value::On).unwrap();
    (0..3).for_each(|_| keeper.another_run(true, true));
    assert_eq!((keeper.truth("x").value, keeper.truth("y").value), (Value::On, Value::Off));
    (0..2).for_each(|_| keeper.another_run(true, true));
    assert_eq!(keeper.truth("x").value, Value::On);
    keeper.another_run(true, true);
    assert_eq!(keeper.truth("x").value, Value::Off);
}

#[test]
fn what_cannot_be_taken_back_is_not_proven_after_three_such_starts_either() {
    let mut keeper = staged();
    let how = Enabling { force: true, at_once: true };
    keeper.plan("on", false, |view, asking| migration::enable(view, asking, "m", "3", how)).unwrap();
    (0..STARTS_MAX).for_each(|_| keeper.another_run(true, true));
    ["web#1", "web#2"].iter().for_each(|instance| keeper.start(instance));
    keeper.wait(Duration::from_secs(3600));
    assert!(matches!(keeper.acts()[..], [Act::Hold { .. }]), "{:?}", keeper.acts());
    assert_eq!(keeper.stage("m"), 3);
}
