//! How long a change is watched, and what proves it.

use super::*;

#[test]
fn five_minutes_unless_said_and_at_least_twice_the_crash_window() {
    for (bake, within, expected) in [(300, 60, 300), (7, 3, 7), (10, 60, 120)] {
        let guard = Guarding { bake: SECOND * bake, within: SECOND * within, ..guarding() };
        let mut keeper = one(guard);
        keeper.set("x", Value::On).unwrap();
        keeper.wait(SECOND * expected - Duration::from_millis(1));
        assert_eq!(keeper.acts(), Vec::<&Act>::new());
        keeper.wait(Duration::from_millis(1));
        assert!(matches!(keeper.acts()[..], [Act::Prove { .. }]), "{bake} {within}");
    }
    assert_eq!(Guarding::default().bake, SECOND * 300);
}

#[test]
fn it_ends_only_with_enough_uptime_of_every_instance() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    keeper.wait(SECOND * 200);
    keeper.crash("web#2");
    keeper.wait(SECOND * 200);
    assert_eq!(keeper.acts(), Vec::<&Act>::new(), "it is not up");
    keeper.start("web#2");
    keeper.wait(SECOND * 299);
    assert_eq!(keeper.acts(), Vec::<&Act>::new());
    let standing = keeper.see(|view| keeper.guard.standing(keeper.now, view));
    assert_eq!((standing[0].baked, standing[0].bake), (SECOND * 299, SECOND * 300));
    keeper.wait(SECOND);
    assert!(matches!(keeper.acts()[..], [Act::Prove { .. }]));
}

#[test]
fn a_service_that_is_stopped_proves_nothing() {
    let mut keeper = one(guarding());
    for instance in ["web#1", "web#2"] {
        keeper.event(instance, Happened::Exited { abnormal: false, asked: true, crash: 0 });
        keeper.event(instance, Happened::Down);
    }
    keeper.set("x", Value::On).unwrap();
    keeper.wait(Duration::from_secs(9000));
    assert_eq!(keeper.acts(), Vec::<&Act>::new());
    // One of two that runs is enough: nobody waits for the other.
    keeper.start("web#1");
    keeper.wait(SECOND * 300);
    assert!(matches!(keeper.acts()[..], [Act::Prove { .. }]));
}

#[test]
fn nobody_who_has_read_it_proves_nothing() {
    let mut keeper = one(Guarding::default());
    keeper.set("x", Value::On).unwrap();
    keeper.wait(Duration::from_secs(9000));
    assert_eq!(keeper.acts(), Vec::<&Act>::new());
    keeper.reads("db#1", "x");
    assert!(matches!(keeper.acts()[..], [Act::Prove { .. }]));
}

#[test]
fn what_was_missed_is_not_taken_for_health() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    keeper.wait(SECOND * 200);
    keeper.guard.handle(keeper.mono(), Input::Missed(7));
    let standing = keeper.see(|view| keeper.guard.standing(keeper.now, view));
    assert_eq!((standing[0].baked, standing[0].held.as_str()), (Duration::ZERO, "events were lost"));
    keeper.event("db#1", Happened::Other);
    keeper.wait(SECOND * 299);
    assert_eq!(keeper.acts(), Vec::<&Act>::new());
    keeper.wait(SECOND);
    assert!(matches!(keeper.acts()[..], [Act::Prove { .. }]));
}

#[test]
fn a_keeper_that_has_just_come_back_listens_for_a_window_before_it_proves() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    keeper.wait(SECOND * 299);
    keeper.die();
    keeper.wait(SECOND * 59);
    assert_eq!(keeper.acts(), Vec::<&Act>::new());
    keeper.wait(SECOND);
    assert!(matches!(keeper.acts()[..], [Act::Prove { .. }]));
}
