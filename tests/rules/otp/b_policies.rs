//! B: what is wrong with a policy, and what is not.

use super::*;

/// The flaw of one child of this policy in a root that ends by itself so, as the offline check says it.
fn flaw(restart: Restart, significant: bool, auto: AutoShutdown) -> Option<Flaw> {
    let plant = Plant::ending_by_itself(auto).child("root", "a", |child| {
        (child.restart, child.significant) = (restart, significant);
    });
    flaws(&plant.tree).first().map(|(_, flaw)| *flaw)
}

#[test]
fn b04_every_combination_of_restart_type_and_grace_is_accepted() {
    let graces = [Grace::After(Duration::ZERO), Grace::After(seconds(1)), Grace::Forever, Grace::Kill];
    for restart in [Permanent, Transient, Temporary] {
        for grace in graces {
            let change = |child: &mut Child| (child.restart, child.grace) = (restart, grace);
            assert_eq!(flaws(&Plant::otp(OneForOne, 1).child("root", "a", change).tree), []);
            assert_eq!(Plant::otp(OneForOne, 1).boot().add("root", "a", change), Ok("a+1".to_owned()));
        }
        let group = |group: &mut Group| {
            otp(OneForAll, 1)(group);
            group.restart = restart;
        };
        assert_eq!(flaws(&Plant::otp(OneForOne, 1).group("root", "g", group).tree), []);
    }
}

#[test]
fn b05_a_significant_child_needs_a_group_that_ends_by_itself_and_may_not_be_permanent() {
    for auto in [Never, Any, All] {
        for restart in [Permanent, Transient, Temporary] {
            assert_eq!(flaw(restart, false, auto), None, "{restart:?} {auto:?}");
            let expected = match (restart, auto) {
                (Permanent, _) => Some(Flaw::SignificantPermanent),
                (_, Never) => Some(Flaw::SignificantWithoutAutoShutdown),
                _ => None,
            };
            assert_eq!(flaw(restart, true, auto), expected, "{restart:?} {auto:?}");
            let mut rig = Plant::ending_by_itself(auto).boot();
            let refused = rig.add("root", "a", significant(restart)).err();
            assert_eq!(refused, expected.map(Refused::BadSpec), "the same at run time");
        }
    }
}

#[test]
fn b05_the_same_holds_for_a_group_in_a_group() {
    for (restart, auto, expected) in [
        (Permanent, Any, Some(Flaw::SignificantPermanent)),
        (Transient, Never, Some(Flaw::SignificantWithoutAutoShutdown)),
        (Transient, Any, None),
    ] {
        let plant = Plant::ending_by_itself(auto).group("root", "g", |group| {
            (group.restart, group.significant) = (restart, true);
        });
        assert_eq!(flaws(&plant.tree).first().map(|(_, flaw)| *flaw), expected);
    }
}

#[test]
fn b06_every_flaw_of_a_tree_is_found_with_the_node_that_has_it() {
    let mut plant = Plant::otp(OneForOne, 1).child("root", "a", significant(Temporary));
    plant = plant.child("root", "b", significant(Permanent)).child("root", "c", |child| {
        child.needs.push(Node::Child(ChildId(9)));
    });
    plant.tree.groups[0].intensity = Some(Intensity { max: 1, within: Duration::ZERO });
    let expected = [
        (Node::Group(GroupId(0)), Flaw::PeriodZero),
        (Node::Child(ChildId(0)), Flaw::SignificantWithoutAutoShutdown),
        (Node::Child(ChildId(1)), Flaw::SignificantPermanent),
        (Node::Child(ChildId(2)), Flaw::Broken),
    ];
    assert_eq!(flaws(&plant.tree), expected);
}

#[test]
fn b06_a_faulty_policy_is_told_before_the_name_is_looked_for() {
    let mut rig = Plant::otp(OneForOne, 1).children("root", "a").boot();
    let refused = Refused::BadSpec(Flaw::SignificantWithoutAutoShutdown);
    assert_eq!(rig.add("root", "a", significant(Temporary)), Err(refused));
    assert_eq!(rig.which("root"), "a running");
}

#[test]
fn b07_a_policy_that_is_read_back_has_every_default() {
    let mut rig = Plant::otp(OneForOne, 1).boot();
    let child = Child { name: "a".to_owned(), ..Child::default() };
    rig.change(Change::StartChild(Box::new(child.clone()))).unwrap();
    let read = &rig.supervisor.tree().children[rig.id("a").0 as usize];
    assert_eq!(read.policy(), Child { added: true, ..child });
    assert_eq!((read.restart, read.grace), (Permanent, Grace::After(seconds(5))));
    assert_eq!((read.significant, read.stop_signal), (false, 15));
}
