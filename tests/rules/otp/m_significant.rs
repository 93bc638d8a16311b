//! M: children whose end ends their supervisor.

use super::*;

/// How a child can end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ended {
    ByCall,
    By(Cause),
}

const ENDS: [Ended; 4] = [Ended::ByCall, Ended::By(KILLED), Ended::By(ERROR), Ended::By(NORMAL)];

impl Rig {
    fn ends(&mut self, name: &str, how: Ended) -> String {
        match how {
            Ended::ByCall => self.terminate(name).unwrap(),
            Ended::By(cause) => self.exits(name, cause),
        }
    }
}

#[test]
fn m01_a_temporary_child_that_is_not_significant_ends_nobody() {
    for auto in [Never, Any, All] {
        for how in ENDS {
            let mut rig =
                Plant::ending_by_itself(auto).child("root", "a", of(Temporary)).children("root", "b").boot();
            let expected = if how == Ended::ByCall { "a-" } else { "" };
            assert_eq!(rig.ends("a", how), expected, "{auto:?} {how:?}");
            assert_eq!(rig.which("root"), "b running", "{auto:?} {how:?}");
        }
    }
}

#[test]
fn m02_a_transient_child_that_is_not_significant_ends_nobody() {
    for auto in [Never, Any, All] {
        for how in ENDS {
            let mut rig =
                Plant::ending_by_itself(auto).child("root", "a", of(Transient)).children("root", "b").boot();
            let expected = match how {
                Ended::ByCall => "a-",
                Ended::By(NORMAL) => "",
                Ended::By(_) => "a+3",
            };
            assert_eq!(rig.ends("a", how), expected, "{auto:?} {how:?}");
            assert!(rig.which("root").starts_with("b running, a "), "{auto:?} {how:?}");
        }
    }
}

/// Two significant children of this type, and a bystander that is not.
fn two(auto: AutoShutdown, restart: Restart) -> Rig {
    let plant = Plant::ending_by_itself(auto).child("root", "a", significant(restart));
    plant.child("root", "b", significant(restart)).children("root", "c").boot()
}

#[test]
fn m03_any_significant_temporary_child_that_ends_by_itself_ends_the_supervisor() {
    for how in ENDS {
        let expected = if how == Ended::ByCall { "a-" } else { "c- b- Finished(ChildId(0))" };
        assert_eq!(two(Any, Temporary).ends("a", how), expected, "{how:?}");
    }
}

#[test]
fn m04_the_last_of_all_significant_temporary_children_ends_the_supervisor() {
    for first in ENDS {
        for second in ENDS {
            let mut rig = two(All, Temporary);
            let expected = if first == Ended::ByCall { "a-" } else { "" };
            assert_eq!(rig.ends("a", first), expected, "{first:?}");
            assert_eq!(rig.which("root"), "c running, b running");
            let expected = if second == Ended::ByCall { "b-" } else { "c- Finished(ChildId(1))" };
            assert_eq!(rig.ends("b", second), expected, "{first:?} {second:?}");
        }
    }
}

#[test]
fn m05_any_significant_transient_child_that_ends_normally_ends_the_supervisor() {
    for how in ENDS {
        let expected = match how {
            Ended::ByCall => "a-",
            Ended::By(NORMAL) => "c- b- Finished(ChildId(0))",
            Ended::By(_) => "a+4",
        };
        assert_eq!(two(Any, Transient).ends("a", how), expected, "{how:?}");
    }
}

#[test]
fn m06_the_last_of_all_significant_transient_children_that_ends_normally_ends_the_supervisor() {
    let mut rig = two(All, Transient);
    assert_eq!(rig.exits("a", NORMAL), "");
    assert_eq!(rig.dies("b"), "b+4");
    assert_eq!(rig.exits("b", SHUTDOWN), "c- Finished(ChildId(1))");
}

#[test]
fn m08_a_significant_bystander_that_falls_with_another_is_started_again() {
    for auto in [Any, All] {
        for restart in [Transient, Temporary] {
            for (strategy, expected) in [(OneForOne, "a+3"), (OneForAll, "s- a+3"), (RestForOne, "s- a+3")] {
                let plant = Plant::ending_by_itself(auto).root(|root| root.strategy = strategy);
                let mut rig = plant.children("root", "a").child("root", "s", significant(restart)).boot();
                let again = if restart == Transient && strategy != OneForOne { " s+4" } else { "" };
                assert_eq!(rig.dies("a"), format!("{expected}{again}"), "{strategy:?} {restart:?} {auto:?}");
                let gone = restart == Temporary && strategy != OneForOne;
                assert_eq!(rig.which("root"), if gone { "a running" } else { "s running, a running" });
            }
        }
    }
}

/// A group that ends by itself in one that does so too.
fn nested(significant_too: bool) -> Rig {
    let plant = Plant::ending_by_itself(Any).group("root", "g", move |group| {
        otp(OneForOne, 9)(group);
        (group.auto_shutdown, group.restart, group.significant) = (Any, Transient, significant_too);
    });
    plant.child("g", "a", significant(Transient)).children("g", "b").children("root", "c").boot()
}

#[test]
fn m09_a_significant_group_that_ends_by_itself_ends_its_parent() {
    assert_eq!(nested(true).exits("a", NORMAL), "b- c- Finished(ChildId(0))");
    let mut rig = nested(false);
    assert_eq!(rig.exits("a", NORMAL), "b-");
    assert_eq!(rig.which("root"), "c running, g undefined");
}

#[test]
fn m17_a_significant_child_that_waits_for_its_next_try_holds_the_supervisor_up() {
    let mut rig = two(All, Transient);
    rig.failing = vec!["b"];
    rig.dies("b");
    assert_eq!(rig.which("root"), "c running, b restarting, a running");
    assert_eq!(rig.exits("a", NORMAL), "", "b is restarting");
    rig.failing.clear();
    rig.next();
    assert_eq!(rig.exits("b", NORMAL), "c- Finished(ChildId(1))");
}

#[test]
fn m17_a_significant_child_that_is_down_does_not_hold_the_supervisor_up() {
    let mut rig = two(All, Transient);
    rig.terminate("b").unwrap();
    assert_eq!(rig.exits("a", NORMAL), "c- Finished(ChildId(0))");
}

#[test]
fn m17_a_significant_child_that_stands_behind_one_whose_restart_failed_does_not_either() {
    let plant = Plant::ending_by_itself(All).root(|root| root.strategy = OneForAll);
    let plant = plant.child("root", "a", significant(Transient)).children("root", "b");
    let mut rig = plant.child("root", "c", significant(Transient)).boot();
    rig.failing = vec!["b"];
    rig.dies("b");
    assert_eq!(rig.which("root"), "c undefined, b restarting, a running");
    assert_eq!(rig.exits("a", NORMAL), "Finished(ChildId(0))");
}

#[test]
fn m18_the_end_is_a_shutdown_that_only_a_permanent_entry_of_the_parent_answers() {
    for (restart, expected) in [(Permanent, "b- a+3 b+4"), (Transient, "b-"), (Temporary, "b-")] {
        let plant = Plant::otp(OneForOne, 9).group("root", "g", move |group| {
            otp(OneForOne, 9)(group);
            (group.auto_shutdown, group.restart) = (Any, restart);
        });
        let mut rig = plant.child("g", "a", significant(Transient)).children("g", "b").boot();
        rig.told();
        assert_eq!(rig.exits("a", NORMAL), expected, "{restart:?}");
        assert!(rig.told().contains(&"g AutoShutdown { by: ChildId(0) }".to_owned()));
    }
}
