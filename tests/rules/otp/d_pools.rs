//! D: pools.

use super::*;

/// A pool with these members.
fn pool(max: u32, members: &str, change: impl Fn(&mut Child)) -> Rig {
    let mut rig = Plant::pool(max).boot();
    for name in members.split_whitespace() {
        rig.add("root", name, &change).unwrap();
    }
    rig
}

#[test]
fn d01_a_pool_has_one_policy_however_many_run() {
    let mut rig = Plant::pool(1).boot();
    assert_eq!(rig.count("root"), "1/0/0/0");
    rig.add("root", "p@1", |_| {}).unwrap();
    assert_eq!(rig.count("root"), "1/1/0/1");
    rig.add("root", "p@2", |_| {}).unwrap();
    assert_eq!(rig.count("root"), "1/2/0/2");
    assert_eq!(rig.which("root"), "p@2 running, p@1 running");
}

#[test]
fn d03_d04_d05_a_member_is_terminated_alone_and_is_gone_then_and_a_stranger_is_not_found() {
    let mut rig = pool(1, "p@1 p@2", |_| {});
    let first = rig.id("p@1");
    assert_eq!(rig.terminate("p@1"), Ok("p@1-".to_owned()));
    assert_eq!((rig.which("root"), rig.life("p@2")), ("p@2 running".to_owned(), 2));
    assert_eq!(
        rig.change(Change::Terminate(Node::Child(first))),
        Err(Refused::NotFound),
        "as DynamicSupervisor"
    );
    assert_eq!(rig.change(Change::Terminate(Node::Child(ChildId(9)))), Err(Refused::NotFound));
    assert_eq!(rig.which("root"), "p@2 running");
}

#[test]
fn d06_members_are_neither_restarted_nor_deleted_by_a_call() {
    let mut rig = pool(1, "p@1", |_| {});
    assert_eq!(rig.restart_child("p@1"), Err(Refused::Pool));
    assert_eq!(rig.delete("p@1"), Err(Refused::Pool));
    assert_eq!(rig.which("root"), "p@1 running");
}

#[test]
fn d09_a_member_whose_start_fails_is_not_kept() {
    let mut rig = pool(1, "p@1", |_| {});
    rig.failing = vec!["p@2"];
    assert_eq!(rig.add("root", "p@2", |_| {}), Ok("p@2+2".to_owned()));
    assert_eq!((rig.which("root"), rig.count("root")), ("p@1 running".to_owned(), "1/1/0/1".to_owned()));
    assert_eq!(rig.supervisor.next_deadline(), None);
}

#[test]
fn d10_only_who_died_is_replaced_and_the_third_death_ends_the_pool() {
    let mut rig = pool(2, "p@1 p@2", |_| {});
    assert_eq!(rig.dies("p@1"), "p@1+3");
    assert_eq!(rig.life("p@2"), 2);
    assert_eq!(rig.dies("p@2"), "p@2+4");
    assert_eq!(rig.dies("p@1"), "p@2- LimitReached(Some(ChildId(0)))");
}

#[test]
fn d11_c14_a_member_that_said_something_when_it_was_ready_is_restarted_like_any_other() {
    let mut rig = pool(9, "p@1 p@2", |child| child.ready_within = Some(seconds(9)));
    rig.ready("p@1");
    rig.ready("p@2");
    assert_eq!(rig.dies("p@1"), "p@1+3");
    rig.ready("p@1");
    assert_eq!((rig.count("root"), rig.supervisor.next_deadline()), ("1/2/0/2".to_owned(), None));
}

#[test]
fn d12_who_has_nothing_to_run_when_it_is_restarted_leaves_the_pool() {
    for restart in [Transient, Permanent] {
        let mut rig = pool(9, "p@1 p@2", of(restart));
        rig.ignoring = vec!["p@1"];
        assert_eq!(rig.dies("p@1"), "p@1+3");
        assert_eq!((rig.which("root"), rig.count("root")), ("p@2 running".to_owned(), "1/1/0/1".to_owned()));
        assert_eq!(rig.shutdown(), "p@2- Shutdown");
    }
}

#[test]
fn d13_a_member_whose_restart_always_fails_ends_the_pool_and_its_sibling() {
    let mut rig = pool(4, "p@1 p@2", |_| {});
    rig.failing = vec!["p@1"];
    assert_eq!(rig.dies("p@1"), "p@1+3");
    for life in 4..=6 {
        assert_eq!(rig.next(), (0, format!("p@1+{life}")));
    }
    assert_eq!(rig.next(), (0, "p@2- LimitReached(Some(ChildId(0)))".to_owned()));
}

#[test]
fn d18_nothing_of_a_temporary_member_is_kept_once_it_is_gone() {
    let mut rig = pool(0, "p@1 p@2", of(Temporary));
    let first = rig.id("p@1");
    rig.dies("p@1");
    assert_eq!(rig.supervisor.tree().children[first.0 as usize].policy(), Child::default());
    rig.supervisor.recycle(first);
    rig.add("root", "p@3", of(Temporary)).unwrap();
    assert_eq!(rig.id("p@3"), first, "its room is used again");
    assert_eq!(rig.supervisor.tree().children.len(), 2);
}

#[test]
fn d20_those_that_wait_for_their_next_try_count_toward_the_most_there_may_be() {
    let bounded =
        |most: u32| Plant::pool(9).root(|root| root.pool = Some(Pool { max_children: Some(most) })).boot();
    assert_eq!(bounded(0).add("root", "p@1", |_| {}), Err(Refused::MaxChildren(0)));
    let mut rig = bounded(1);
    rig.add("root", "p@1", |_| {}).unwrap();
    rig.failing = vec!["p@1"];
    rig.dies("p@1");
    assert_eq!(rig.which("root"), "p@1 restarting");
    assert_eq!(rig.add("root", "p@2", |_| {}), Err(Refused::MaxChildren(1)));
    rig.terminate("p@1").unwrap();
    assert_eq!(rig.add("root", "p@2", |_| {}), Ok("p@2+3".to_owned()));
}

#[test]
fn d21_a_lower_limit_ends_nobody_and_refuses_the_next() {
    let mut rig = pool(1, "p@1 p@2", |_| {});
    let plant = Plant::pool(1).root(|root| root.pool = Some(Pool { max_children: Some(1) }));
    assert_eq!(rig.reload(plant), Ok(String::new()));
    assert_eq!(rig.which("root"), "p@2 running, p@1 running");
    assert_eq!(rig.add("root", "p@3", |_| {}), Err(Refused::MaxChildren(1)));
}

#[test]
fn d22_each_member_has_its_own_policy() {
    let mut rig = Plant::pool(9).boot();
    rig.add("root", "p@1", of(Temporary)).unwrap();
    rig.add("root", "p@2", of(Permanent)).unwrap();
    rig.add("root", "p@3", within(Grace::Kill)).unwrap();
    assert_eq!(rig.exits("p@1", NORMAL), "");
    assert_eq!(rig.exits("p@2", NORMAL), "p@2+4");
    assert_eq!(rig.terminate("p@3"), Ok("p@3!".to_owned()));
}

#[test]
fn d23_a_start_that_fails_in_any_way_leaves_the_pool_as_it_was() {
    let waits = |child: &mut Child| child.ready_within = Some(seconds(1));
    let mut rig = pool(0, "p@1", |_| {});
    rig.failing = vec!["p@2"];
    rig.add("root", "p@2", waits).unwrap();
    rig.add("root", "p@3", waits).unwrap();
    assert_eq!(rig.exits("p@3", ERROR), "", "it ended before it was ready");
    rig.add("root", "p@4", waits).unwrap();
    assert_eq!(rig.next(), (1000, "p@4-".to_owned()), "it was not ready in time");
    assert_eq!((rig.which("root"), rig.count("root")), ("p@1 running".to_owned(), "1/1/0/1".to_owned()));
}

#[test]
fn d24_a_restart_that_fails_once_is_made_again() {
    let mut rig = pool(2, "p@1", |_| {});
    rig.failing = vec!["p@1"];
    assert_eq!(rig.dies("p@1"), "p@1+2");
    rig.failing.clear();
    assert_eq!(rig.next(), (0, "p@1+3".to_owned()));
    assert_eq!(rig.count("root"), "1/1/0/1");
}

#[test]
fn d25_the_budget_is_spent_by_tries_alone() {
    for budget in [1, 10] {
        let mut rig = pool(budget, "p@1", |_| {});
        rig.failing = vec!["p@1"];
        let mut tries = vec![rig.dies("p@1")];
        tries.extend(rig.until_quiet());
        let end = "LimitReached(Some(ChildId(0)))".to_owned();
        let expected: Vec<String> = (0..budget).map(|at| format!("p@1+{}", at + 2)).chain([end]).collect();
        assert_eq!(tries, expected);
    }
}

#[test]
fn d26_who_is_terminated_while_it_waits_is_gone_and_is_not_tried_again() {
    let mut rig = pool(9, "p@1", |_| {});
    rig.failing = vec!["p@1"];
    rig.dies("p@1");
    let first = rig.id("p@1");
    assert_eq!(rig.terminate("p@1"), Ok(String::new()));
    assert_eq!(rig.change(Change::Terminate(Node::Child(first))), Err(Refused::NotFound));
    assert_eq!(rig.event(Event::Deadline), "", "a deadline that was on its way");
    assert_eq!((rig.which("root"), rig.supervisor.next_deadline()), (String::new(), None));
}

#[test]
fn d30_m07_a_pool_is_one_for_one_and_neither_ends_by_itself_nor_has_significant_members() {
    let flaw = |change: &dyn Fn(&mut Group)| flaws(&Plant::pool(1).root(change).tree);
    let root = Node::Group(GroupId::ROOT);
    assert_eq!(flaw(&|_| {}), []);
    assert_eq!(flaw(&|root| root.auto_shutdown = Never), []);
    for strategy in [OneForAll, RestForOne] {
        assert_eq!(flaw(&|root| root.strategy = strategy), [(root, Flaw::PoolStrategy)]);
    }
    for auto in [Any, All] {
        assert_eq!(flaw(&|root| root.auto_shutdown = auto), [(root, Flaw::PoolAutoShutdown)]);
    }
    let refused = Plant::pool(1).boot().add("root", "p@1", significant(Temporary));
    assert_eq!(refused, Err(Refused::BadSpec(Flaw::SignificantInPool)));
}
