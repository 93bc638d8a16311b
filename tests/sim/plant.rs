//! Random trees: nesting up to three levels, every strategy, restart type, limit, kind of stop and readiness.

use crate::random::Random;
use mainstay::supervisor::spec::{
    Backoff, Child, ChildId, Grace, Group, GroupId, Intensity, Node, OnLimit, Restart, Strategy, Tree,
};
use mainstay::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn tree(random: &mut Random) -> Tree {
    let group_count = random.pick(&[1, 1, 2, 3, 4, 5]);
    let child_count = 1 + random.below(8);
    let mut tree = Tree::default();
    let mut depth = vec![0];
    for at in 0..group_count {
        let parent = (at > 0).then(|| {
            let fit: Vec<usize> = (0..at).filter(|g| depth[*g] < 3).collect();
            random.pick(&fit)
        });
        if let Some(parent) = parent {
            depth.push(depth[parent] + 1);
        }
        // Now and then a second tree stands beside the root, as the built-ins do.
        let beside = at == 1 && random.one_in(6);
        let parent = parent.filter(|_| !beside).map(|at| GroupId(at as u32));
        tree.groups.push(group(random, at, parent));
        if beside {
            tree.groups[0].after.push(Node::Group(GroupId(1)));
            tree.groups[1].intensity = None;
            tree.groups[1].otp = false;
        }
    }
    // Members come in any order, groups between children.
    let mut members: Vec<(GroupId, Node)> = Vec::new();
    for (at, group) in tree.groups.iter().enumerate() {
        members.extend(group.parent.map(|parent| (parent, Node::Group(GroupId(at as u32)))));
    }
    for at in 0..child_count {
        let group = GroupId(random.below(group_count) as u32);
        tree.children.push(child(random, at, group));
        let place = random.below(members.len() + 1);
        members.insert(place, (group, Node::Child(ChildId(at as u32))));
    }
    for (group, node) in members {
        tree.groups[group.0 as usize].members.push(node);
    }
    needs(random, &mut tree);
    tree
}

fn group(random: &mut Random, at: usize, parent: Option<GroupId>) -> Group {
    let otp = random.one_in(3);
    let max = random.pick(&[0, 1, 2, 3, 5]);
    let intensity = Some(Intensity { max, within: random.pick(&[ms(500), ms(5000)]) });
    Group {
        name: format!("g{at}"),
        parent,
        strategy: random.pick(&[Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne]),
        intensity: intensity.filter(|_| otp || random.one_in(2)),
        on_limit: if random.one_in(4) { OnLimit::Park } else { OnLimit::Escalate },
        otp,
        members: Vec::new(),
        after: Vec::new(),
        limit: limit(random),
        backoff: backoff(random),
        ..Group::default()
    }
}

fn child(random: &mut Random, at: usize, group: GroupId) -> Child {
    Child {
        name: format!("c{at}"),
        group,
        restart: random.pick(&[
            Restart::Permanent,
            Restart::Permanent,
            Restart::Transient,
            Restart::Temporary,
        ]),
        limit: limit(random),
        backoff: backoff(random),
        ready_within: random.pick(&[None, None, Some(ms(100)), Some(ms(1000))]),
        grace: random.pick(&[
            Grace::After(ms(200)),
            Grace::After(ms(1000)),
            Grace::After(Duration::ZERO),
            Grace::Kill,
            Grace::Forever,
        ]),
        stop_signal: random.pick(&[15, 2]),
        clean: random.pick(&[vec![], vec![3]]),
        needs: Vec::new(),
        autostart: !random.one_in(8),
        ..Child::default()
    }
}

fn limit(random: &mut Random) -> Option<Intensity> {
    let max = random.pick(&[0, 1, 2, 5]);
    let limit = Intensity { max, within: random.pick(&[ms(500), ms(30_000)]) };
    Some(limit).filter(|_| random.one_in(2))
}

fn backoff(random: &mut Random) -> Backoff {
    let varied = Backoff {
        first: random.pick(&[Duration::ZERO, ms(50)]),
        base: random.pick(&[ms(10), ms(100)]),
        factor: random.pick(&[1.0, 2.0, 3.0]),
        max: random.pick(&[ms(100), ms(30_000)]),
        jitter: random.pick(&[0.0, 0.1, 1.0]),
        forget: random.pick(&[ms(500), ms(60_000)]),
    };
    random.pick(&[Backoff::default(), Backoff::BUILT_IN, Backoff::NONE, varied, varied])
}

/// Some needs, across groups too. Circles happen: the core ignores the need that closes one.
fn needs(random: &mut Random, tree: &mut Tree) {
    let (children, groups) = (tree.children.len(), tree.groups.len());
    for _ in 0..random.pick(&[0, 0, 1, 2, 4]) {
        let needed = if random.one_in(4) {
            Node::Group(GroupId(random.below(groups) as u32))
        } else {
            Node::Child(ChildId(random.below(children) as u32))
        };
        let who = random.below(children);
        if !tree.children[who].needs.contains(&needed) {
            tree.children[who].needs.push(needed);
        }
    }
    if groups > 2 && random.one_in(4) {
        let (who, what) = (1 + random.below(groups - 1), 1 + random.below(groups - 1));
        tree.groups[who].after.push(Node::Group(GroupId(what as u32)));
    }
}
