//! The share of errors that services count.

use super::*;

fn counting() -> Guarding {
    Guarding { errors: Some(Errors { delta: 5_000, samples: 200 }), ..guarding() }
}

fn counted(keeper: &mut Keeper, instance: &str, ok: u64, errors: u64) {
    let incarnation = keeper.instances[instance].1;
    let instance = instance.to_owned();
    keeper.guard.handle(keeper.mono(), Input::Counted { instance, incarnation, ok, errors });
    keeper.settle();
}

#[test]
fn a_share_of_errors_above_the_one_before_trips() {
    let mut keeper = one(counting());
    counted(&mut keeper, "web#1", 990, 10);
    keeper.set("x", Value::On).unwrap();
    counted(&mut keeper, "web#1", 990 + 190, 10 + 10);
    assert_eq!(signals(&keeper), [], "5% of 200 is 4 points above 1%");
    counted(&mut keeper, "web#1", 990 + 187, 10 + 13);
    assert_eq!(signals(&keeper), [Signal::Errors]);
}

#[test]
fn with_fewer_samples_nothing_is_concluded_and_nothing_goes_further() {
    let mut keeper = one(counting());
    counted(&mut keeper, "web#1", 990, 10);
    keeper.set("x", Value::On).unwrap();
    counted(&mut keeper, "web#1", 990, 10 + 199);
    keeper.wait(Duration::from_secs(3600));
    assert!(matches!(keeper.acts()[..], [Act::Hold { .. }]), "{:?}", keeper.acts());
    counted(&mut keeper, "web#1", 990 + 2000, 10 + 1);
    // What was counted before in that life was errors only; now it is few among many.
    assert!(matches!(keeper.acts()[..], [Act::Hold { .. }, Act::Prove { .. }]), "{:?}", keeper.acts());
}

#[test]
fn a_new_life_counts_from_nothing_and_a_keeper_that_dies_keeps_what_was_before() {
    let mut keeper = one(counting());
    counted(&mut keeper, "web#1", 990, 10);
    keeper.set("x", Value::On).unwrap();
    keeper.die();
    keeper.crash("web#1");
    keeper.start("web#1");
    counted(&mut keeper, "web#1", 150, 50);
    assert_eq!(signals(&keeper), [Signal::Errors]);
}
