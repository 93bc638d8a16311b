//! L: groups in groups.

use super::*;

/// Three groups under one one_for_all: `a`, `b` in the first, two added to the second, the third stopped.
fn tree() -> Rig {
    let plant = Plant::otp(OneForAll, 9);
    let plant = plant.group("root", "first", otp(OneForOne, 1)).group("root", "second", otp(OneForOne, 1));
    let mut rig = plant.group("root", "third", otp(OneForOne, 1)).children("first", "a b").boot();
    rig.add("second", "x", |_| {}).unwrap();
    rig.add("second", "y", |_| {}).unwrap();
    rig.terminate("third").unwrap();
    rig
}

#[test]
fn l01_a_death_in_one_subtree_is_mended_there() {
    let mut rig = tree();
    assert_eq!(rig.count("root"), "3/2/3/0");
    assert_eq!(rig.dies("x"), "x+5");
    assert_eq!((rig.life("a"), rig.life("b"), rig.life("y")), (1, 2, 4));
    assert_eq!(rig.count("root"), "3/2/3/0");
}

#[test]
fn l02_an_escalation_starts_all_subtrees_again_without_those_that_were_added() {
    let mut rig = tree();
    rig.failing = vec!["x"];
    assert_eq!(rig.dies("x"), "x+5");
    assert_eq!(rig.next(), (0, "y- b- a- a+6 b+7".to_owned()));
    assert_eq!(
        rig.which("root"),
        "third running, second running, first running",
        "also the one stopped by a call"
    );
    assert_eq!(
        (rig.which("first"), rig.which("second"), rig.which("third")),
        ("b running, a running".to_owned(), String::new(), String::new())
    );
    assert_eq!(rig.count("root"), "3/3/3/0");
}

#[test]
fn l02_a_subtree_that_is_started_again_has_its_whole_list_again() {
    let plant = Plant::otp(OneForAll, 9).group("root", "g", otp(OneForOne, 0));
    let mut rig = plant.children("g", "a b").child("g", "t", of(Temporary)).children("root", "c").boot();
    assert_eq!(rig.exits("t", NORMAL), "");
    rig.terminate("b").unwrap();
    assert_eq!(rig.which("g"), "b undefined, a running");
    assert_eq!(rig.dies("a"), "c- a+5 b+6 t+7 c+8", "its list is the one that it was declared with");
}

#[test]
fn l02_a_window_inside_is_empty_after_an_escalation() {
    let mut rig = Plant::otp(OneForOne, 9).group("root", "g", otp(OneForOne, 1)).children("g", "a").boot();
    assert_eq!(rig.dies("a"), "a+2");
    assert_eq!(rig.dies("a"), "a+3", "the group ended and was started again");
    assert!(rig.told().contains(&"g LimitReached { by: ChildId(0) }".to_owned()));
    assert_eq!(rig.dies("a"), "a+4");
    assert!(!rig.told().iter().any(|line| line.contains("LimitReached")), "one is allowed again");
}

#[test]
fn l04_a_worker_that_exits_normally_or_is_killed_is_replaced_and_its_group_is_the_same() {
    let mut rig = tree();
    for (cause, life) in [(NORMAL, 5), (KILLED, 6)] {
        rig.pass(6000);
        assert_eq!(rig.exits("a", cause), format!("a+{life}"));
        assert_eq!((rig.life("b"), rig.count("root")), (2, "3/2/3/0".to_owned()));
    }
}

#[test]
fn l05_a_worker_is_terminated_and_restarted_through_its_group() {
    let mut rig = tree();
    assert_eq!(rig.terminate("a"), Ok("a-".to_owned()));
    assert_eq!(rig.which("first"), "b running, a undefined");
    assert_eq!(rig.restart_child("a"), Ok("a+5".to_owned()));
}

#[test]
fn l06_when_the_top_ends_everything_below_ends() {
    let mut rig = tree();
    assert_eq!(rig.shutdown(), "y- x- b- a- Shutdown");
}
