//! What an event costs: no allocation from a death to the next start, and no scan of the tree.

use crate::rig::{Plant, exit};
use mainstay::supervisor::spec::{
    Backoff, Child, ChildId, DEFAULT_LIMIT, Grace, GroupId, Incarnation, Node, Restart, Strategy, Tree,
};
use mainstay::supervisor::{Action, Cause, Event, Supervisor};
use mainstay::time::{Duration, Instant};

/// A flat tree of `count` children.
fn flat(count: u32, strategy: Strategy, otp: bool) -> Tree {
    let mut tree = Plant::new().tree;
    tree.groups[0].strategy = strategy;
    tree.groups[0].otp = otp;
    tree.groups[0].intensity =
        otp.then_some(mainstay::supervisor::spec::Intensity { max: 1000, within: Duration::from_secs(1) });
    tree.groups[0].members = (0..count).map(|at| Node::Child(ChildId(at))).collect();
    let child = Child {
        name: String::new(),
        group: GroupId::ROOT,
        restart: Restart::Permanent,
        limit: Some(DEFAULT_LIMIT),
        backoff: Backoff::NONE,
        ready_within: None,
        grace: Grace::default(),
        stop_signal: 15,
        clean: Vec::new(),
        needs: Vec::new(),
        autostart: true,
        ..Child::default()
    };
    tree.children = vec![child; count as usize];
    tree
}

/// Hands in an event and answers all starts and stops until nothing follows. Returns how many events that took.
fn run(supervisor: &mut Supervisor, now: Instant, event: Event) -> usize {
    let (mut events, mut actions, mut taken) = (std::collections::VecDeque::from([event]), Vec::new(), 0);
    while let Some(event) = events.pop_front() {
        taken += 1;
        supervisor.handle(now, event, &mut actions);
        for action in actions.drain(..) {
            match action {
                Action::Start(child, life) => events.push_back(Event::Started(child, life)),
                Action::Stop(child, life) => {
                    events.push_back(exit(child, life, Cause::Signal(15, false), false));
                }
                Action::Kill(..) | Action::Report(_) | Action::End(_) => {}
            }
        }
    }
    taken
}

#[test]
fn o01_twenty_thousand_children_start_fall_together_and_stop_in_linear_work() {
    // A quadratic step would need 400 million operations here and be seen as a test that hangs.
    let count = 20_000;
    for (strategy, otp) in [
        (Strategy::OneForOne, false),
        (Strategy::OneForAll, false),
        (Strategy::RestForOne, false),
        (Strategy::OneForAll, true),
    ] {
        let mut supervisor = Supervisor::new(flat(count, strategy, otp), 1, Incarnation(1));
        assert_eq!(run(&mut supervisor, Instant::ZERO, Event::Boot), 1 + count as usize);
        assert!(supervisor.all_up());
        let first = ChildId(0);
        let death = exit(first, supervisor.incarnation(first), Cause::Signal(9, false), false);
        let fallen = if strategy == Strategy::OneForOne { 1 } else { count as usize };
        assert_eq!(run(&mut supervisor, Instant::ZERO, death), 2 * fallen);
        let shutdown = Event::Command(mainstay::supervisor::Command::Shutdown);
        assert_eq!(run(&mut supervisor, Instant::ZERO, shutdown), 1 + count as usize);
    }
}

#[test]
fn o02_twenty_thousand_temporary_children_die_at_once_and_are_gone_in_linear_work() {
    // Each death is one event that leads to no other. A search for the child, or for what is left of its
    // group, would be 400 million steps here and be seen as a test that hangs.
    let count = 20_000;
    let mut tree = flat(count, Strategy::OneForOne, true);
    tree.children.iter_mut().for_each(|child| child.restart = Restart::Temporary);
    let mut supervisor = Supervisor::new(tree, 1, Incarnation(1));
    run(&mut supervisor, Instant::ZERO, Event::Boot);
    assert_eq!(supervisor.count(GroupId::ROOT).active, count);
    for child in (0..count).rev().map(ChildId) {
        let death = exit(child, supervisor.incarnation(child), Cause::Signal(9, false), false);
        assert_eq!(run(&mut supervisor, Instant::ZERO, death), 1);
    }
    assert_eq!((supervisor.count(GroupId::ROOT).specs, supervisor.children().count()), (0, 0));
}

#[test]
fn o01_twenty_thousand_that_need_one_start_after_it_and_stop_before_it() {
    let mut tree = flat(20_000, Strategy::OneForOne, false);
    for child in &mut tree.children[1..] {
        child.needs.push(Node::Child(ChildId(0)));
    }
    let mut supervisor = Supervisor::new(tree, 1, Incarnation(1));
    assert_eq!(run(&mut supervisor, Instant::ZERO, Event::Boot), 20_001);
    let shutdown = Event::Command(mainstay::supervisor::Command::Shutdown);
    assert_eq!(run(&mut supervisor, Instant::ZERO, shutdown), 20_001);
}
