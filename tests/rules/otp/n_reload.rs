//! N: another tree in place of this one, under OTP's rule.

use super::*;

fn plant(max: u32, names: &str) -> Plant {
    Plant::otp(OneForOne, max).children("root", names)
}

#[test]
fn n01_a_new_intensity_is_in_force_at_once() {
    let mut rig = plant(9, "a").boot();
    for life in 2..5 {
        assert_eq!(rig.dies("a"), format!("a+{life}"));
    }
    assert_eq!(rig.reload(plant(3, "a")), Ok(String::new()));
    assert_eq!(rig.policy("root").intensity.map(|intensity| intensity.max), Some(3));
    assert_eq!(rig.dies("a"), "LimitReached(Some(ChildId(0)))");
    let mut rig = plant(1, "a").boot();
    rig.dies("a");
    rig.reload(plant(2, "a")).unwrap();
    assert_eq!(rig.dies("a"), "a+3");
}

#[test]
fn n01_a_new_strategy_is_in_force_at_once() {
    let mut rig = plant(9, "a b").boot();
    assert_eq!(rig.reload(Plant::otp(OneForAll, 9).children("root", "a b")), Ok(String::new()));
    assert_eq!(rig.dies("a"), "b- a+3 b+4");
}

#[test]
fn n02_n09_a_tree_with_a_flaw_changes_nothing() {
    let faulty: [Plant; 4] = [
        plant(3, "a b a"),
        plant(3, "a").child("root", "b", significant(Transient)),
        plant(3, "a b").root(|root| root.intensity = Some(Intensity { max: 3, within: Duration::ZERO })),
        plant(3, "a b").root(|root| (root.pool, root.strategy) = (Some(Pool::default()), OneForAll)),
    ];
    for plan in faulty {
        let mut rig = plant(7, "a b").boot();
        rig.told();
        let before = rig.supervisor.tree().clone();
        assert!(rig.reload(plan).is_err_and(|flaws| !flaws.is_empty()));
        assert_eq!(*rig.supervisor.tree(), before);
        assert_eq!((rig.which("root"), rig.told()), ("b running, a running".to_owned(), Vec::new()));
    }
}

#[test]
fn n03_a_new_child_is_added_and_not_started() {
    let mut rig = plant(9, "a").boot();
    assert_eq!(rig.reload(plant(9, "a b")), Ok(String::new()));
    assert_eq!(
        (rig.which("root"), rig.count("root")),
        ("b undefined, a running".to_owned(), "2/1/0/2".to_owned())
    );
    assert_eq!(rig.restart_child("b"), Ok("b+2".to_owned()));
}

#[test]
fn n04_a_changed_child_keeps_its_process_and_its_new_policy_holds_from_the_next_stop_on() {
    let mut rig = plant(9, "a").boot();
    let changed = || {
        Plant::otp(OneForOne, 9).child("root", "a", |a| {
            (a.grace, a.restart) = (Grace::Kill, Transient);
        })
    };
    let revision = Revision { tree: changed().tree, restart: vec![ChildId(0)], ..Revision::default() };
    let (text, reloaded) = rig.revise(revision).unwrap();
    assert_eq!((text.as_str(), reloaded.roll), ("", None), "also when what it executes has changed");
    assert_eq!(rig.life("a"), 1);
    assert_eq!(rig.terminate("a"), Ok("a!".to_owned()));
    rig.restart_child("a").unwrap();
    assert_eq!(rig.exits("a", NORMAL), "", "it is transient now");
}

#[test]
fn n05_n06_who_is_missing_is_kept_behind_those_of_the_new_list() {
    let mut rig = plant(9, "a b c d").boot();
    rig.add("root", "x", |_| {}).unwrap();
    assert_eq!(rig.reload(plant(9, "d e b")), Ok(String::new()));
    assert_eq!(rig.which("root"), "x running, c running, a running, b running, e undefined, d running");
    assert_eq!(rig.dies("c"), "c+6", "and it is supervised as before");
    assert_eq!(rig.shutdown(), "x- c- a- b- d- Shutdown");
}

#[test]
fn n05_who_is_kept_is_not_in_the_list_that_a_group_begins_with() {
    let plant =
        |names: &str| Plant::otp(OneForOne, 9).group("root", "g", otp(OneForOne, 0)).children("g", names);
    let mut rig = plant("a b").boot();
    rig.reload(plant("b")).unwrap();
    assert_eq!(rig.which("g"), "a running, b running");
    assert_eq!(rig.dies("b"), "a- b+3", "the group began afresh");
    assert_eq!(rig.which("g"), "b running");
}

#[test]
fn n05_who_is_kept_was_not_added_and_is_in_the_list_again_with_the_next_tree_that_has_it() {
    for semantics in ["otp", "otp rule"] {
        let plant = |names: &str| match semantics {
            "otp" => plant(9, names),
            _ => Plant::new().children("root", names),
        };
        let mut rig = plant("a b").boot();
        rig.add("root", "x", |_| {}).unwrap();
        let marks = |rig: &Rig| {
            let mark = |child: ChildId| {
                let policy = &rig.supervisor.tree().children[child.0 as usize];
                match (policy.added, rig.supervisor.is_kept(child)) {
                    (false, false) => format!("{} listed", policy.name),
                    (true, false) => format!("{} added", policy.name),
                    (false, true) => format!("{} kept", policy.name),
                    (true, true) => format!("{} both", policy.name),
                }
            };
            rig.supervisor.children().map(mark).collect::<Vec<_>>().join(", ")
        };
        let reload = |rig: &mut Rig, names: &str, otp_rule| {
            let revision = Revision { tree: plant(names).tree, otp_rule, ..Revision::default() };
            rig.revise(revision).unwrap().0
        };
        for _ in 0..2 {
            assert_eq!(reload(&mut rig, "a", true), "", "{semantics}");
            assert_eq!(marks(&rig), "a listed, b kept, x added", "{semantics}");
        }
        assert_eq!(reload(&mut rig, "a", false), "", "{semantics}: who is kept is so until it is deleted");
        assert_eq!(reload(&mut rig, "a b x", true), "", "{semantics}");
        assert_eq!(marks(&rig), "a listed, b listed, x listed", "{semantics}");
    }
}

#[test]
fn n07_the_same_tree_again_changes_nothing() {
    let mut rig = plant(9, "a b").boot();
    rig.terminate("b").unwrap();
    rig.told();
    assert_eq!(rig.reload(plant(9, "a b")), Ok(String::new()));
    assert_eq!(
        (rig.which("root"), rig.told()),
        ("b undefined, a running".to_owned(), vec!["AllUp".to_owned()])
    );
}

#[test]
fn n10_a_pool_keeps_its_members_and_the_new_flags_hold_for_the_next() {
    let mut rig = Plant::pool(9).boot();
    rig.add("root", "p@1", |_| {}).unwrap();
    let plant = Plant::pool(1).root(|root| root.pool = Some(Pool { max_children: Some(2) }));
    assert_eq!(rig.reload(plant), Ok(String::new()));
    assert_eq!(rig.which("root"), "p@1 running");
    assert_eq!(rig.add("root", "p@2", within(Grace::Kill)), Ok("p@2+2".to_owned()));
    assert_eq!(rig.add("root", "p@3", |_| {}), Err(Refused::MaxChildren(2)));
    assert_eq!(rig.dies("p@1"), "p@1+3");
    assert_eq!(rig.dies("p@1"), "p@2! LimitReached(Some(ChildId(0)))");
}

#[test]
fn n12_the_supervisor_says_which_tree_it_runs() {
    let mut rig = plant(9, "a").boot();
    assert_eq!(rig.supervisor.tree().groups[0].intensity, plant(9, "a").tree.groups[0].intensity);
    rig.reload(plant(3, "a")).unwrap();
    assert_eq!(rig.supervisor.tree().children[0].policy(), plant(3, "a").tree.children[0]);
    assert_eq!(rig.policy("root").intensity, plant(3, "a").tree.groups[0].intensity);
}

#[test]
fn n03_n05_otp_rule_can_be_asked_for_where_the_semantics_are_others() {
    let plant = |names: &str| Plant::new().children("root", names);
    for (otp_rule, expected, which) in
        [(true, "", "a running, c undefined, b running"), (false, "a- c+3", "c running, b running")]
    {
        let mut rig = plant("a b").boot();
        let revision = Revision { tree: plant("b c").tree, otp_rule, ..Revision::default() };
        assert_eq!(rig.revise(revision).unwrap().0, expected);
        assert_eq!(rig.which("root"), which);
    }
}

#[test]
fn n04_nobody_waits_in_line_for_who_was_moved_away() {
    let slow = |child: &mut Child| child.ready_within = Some(seconds(9));
    let plant = Plant::new().root(|root| root.strategy = RestForOne).group("root", "g", |_| {});
    let mut rig = plant.child("g", "x", slow).children("root", "b").boot();
    assert_eq!(rig.which("root"), "b undefined, g running");
    let plant = Plant::new().root(|root| root.strategy = RestForOne).group("root", "g", |_| {});
    assert_eq!(rig.reload(plant.children("root", "b").child("root", "x", slow)), Ok("b+2".to_owned()));
}

#[test]
fn n03_h05_who_stood_behind_a_failed_restart_is_not_started_by_a_reload_that_unties_them() {
    let mut rig = Plant::otp(OneForAll, 9).children("root", "a b").boot();
    rig.failing = vec!["a"];
    assert_eq!(rig.dies("a"), "b- a+3");
    rig.failing.clear();
    assert_eq!(rig.reload(Plant::otp(OneForOne, 9).children("root", "a b")), Ok(String::new()));
    assert_eq!(rig.next().1, "a+4");
    assert_eq!(
        (rig.which("root"), rig.states()),
        ("b undefined, a running".to_owned(), vec![State::Up, State::Stopped])
    );
    assert_eq!(rig.restart_child("b"), Ok("b+5".to_owned()));
}

#[test]
fn n04_who_is_moved_into_a_group_that_gives_up_goes_down_with_it() {
    let parked = |group: &mut Group| {
        group.on_limit = OnLimit::Park;
        group.intensity = Some(Intensity { max: 0, within: seconds(5) });
    };
    let plant = || Plant::new().group("root", "g", parked).children("g", "a b");
    let mut rig = plant().children("root", "c").boot();
    rig.deaf = vec!["b"];
    assert_eq!(rig.dies("a"), "b-");
    assert_eq!(rig.reload(plant().children("g", "c")), Ok("c-".to_owned()));
    assert_eq!(rig.exits("b", SHUTDOWN), "");
    assert_eq!(rig.states(), [State::GaveUp; 3]);
}

#[test]
fn n05_a_service_that_had_left_its_group_and_is_moved_by_a_reload_is_kept() {
    let temporary = of(Temporary);
    let plant = || Plant::new().children("root", "a");
    let before = plant().group("root", "g", otp(OneForOne, 9)).children("g", "b").child("g", "c", &temporary);
    let mut rig = before.boot();
    assert_eq!(rig.exits("c", NORMAL), "");
    assert!(!rig.is_there("c"));
    let revision =
        Revision { tree: plant().child("root", "c", &temporary).tree, otp_rule: true, ..Revision::default() };
    assert_eq!(rig.revise(revision).unwrap().0, "");
    assert!(rig.is_there("c"), "it is named in the file");
    assert_eq!(rig.start("c"), "c+4");
}
