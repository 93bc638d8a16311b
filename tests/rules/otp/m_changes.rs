//! M10 to M16: `auto_shutdown` and `significant` change while everything runs.

use super::*;

/// `a` (significant or not) and `b`, which is not.
fn plant(auto: AutoShutdown, significant: bool) -> Plant {
    let change = move |child: &mut Child| (child.restart, child.significant) = (Transient, significant);
    Plant::ending_by_itself(auto).child("root", "a", change).children("root", "b")
}

/// Two significant children, and one that is not.
fn two(auto: AutoShutdown) -> Plant {
    let plant = Plant::ending_by_itself(auto).child("root", "a", significant(Transient));
    plant.child("root", "b", significant(Transient)).children("root", "c")
}

/// The new tree is taken, and nothing is done about it.
fn undisturbed(rig: &mut Rig, plant: Plant) {
    let which = rig.which("root");
    rig.told();
    assert_eq!(rig.reload(plant), Ok(String::new()));
    assert_eq!((rig.which("root"), rig.told()), (which, vec!["AllUp".to_owned()]));
}

const ONE_ENDS: &str = "b- Finished(ChildId(0))";

#[test]
fn m10_from_never_to_any() {
    let mut rig = plant(Never, false).boot();
    assert_eq!(
        rig.add("root", "s", significant(Transient)),
        Err(Refused::BadSpec(Flaw::SignificantWithoutAutoShutdown))
    );
    undisturbed(&mut rig, plant(Any, false));
    assert_eq!(rig.add("root", "s", significant(Transient)), Ok("s+3".to_owned()));
    assert_eq!(rig.exits("s", NORMAL), "b- a- Finished(ChildId(2))");
}

#[test]
fn m11_from_any_to_never() {
    let mut rig = plant(Any, false).boot();
    rig.add("root", "s", significant(Transient)).unwrap();
    undisturbed(&mut rig, plant(Never, false));
    assert_eq!(
        rig.add("root", "t", significant(Transient)),
        Err(Refused::BadSpec(Flaw::SignificantWithoutAutoShutdown))
    );
    assert_eq!(rig.exits("s", NORMAL), "", "it was added before, and its end has no effect now");
    assert_eq!(rig.which("root"), "s undefined, b running, a running");
}

#[test]
fn m12_from_never_to_all() {
    let mut rig = plant(Never, false).boot();
    undisturbed(&mut rig, plant(All, false));
    rig.add("root", "s", significant(Transient)).unwrap();
    rig.add("root", "t", significant(Transient)).unwrap();
    assert_eq!(rig.exits("s", NORMAL), "");
    assert_eq!(rig.exits("t", NORMAL), "b- a- Finished(ChildId(3))");
}

#[test]
fn m13_from_all_to_never() {
    let mut rig = plant(All, false).boot();
    rig.add("root", "s", significant(Transient)).unwrap();
    undisturbed(&mut rig, plant(Never, false));
    assert_eq!(rig.exits("s", NORMAL), "");
    assert_eq!(rig.which("root"), "s undefined, b running, a running");
}

#[test]
fn m14_from_any_to_all() {
    let mut rig = two(Any).boot();
    undisturbed(&mut rig, two(All));
    assert_eq!(rig.exits("a", NORMAL), "");
    assert_eq!(rig.exits("b", NORMAL), "c- Finished(ChildId(1))");
}

#[test]
fn m15_from_all_to_any() {
    let mut rig = two(All).boot();
    undisturbed(&mut rig, two(Any));
    assert_eq!(rig.exits("b", NORMAL), "c- a- Finished(ChildId(1))");
}

#[test]
fn m16_a_child_becomes_significant_or_ceases_to_be() {
    let mut rig = plant(Never, false).boot();
    let flaw = (Node::Child(ChildId(0)), Flaw::SignificantWithoutAutoShutdown);
    assert_eq!(rig.reload(plant(Never, true)), Err(vec![flaw]));
    let mut rig = plant(Any, false).boot();
    undisturbed(&mut rig, plant(Any, true));
    assert_eq!(rig.exits("a", NORMAL), ONE_ENDS);
    let mut rig = plant(Any, true).boot();
    undisturbed(&mut rig, plant(Any, false));
    assert_eq!(rig.exits("a", NORMAL), "");
    assert_eq!(rig.which("root"), "b running, a undefined");
}
