//! Random trees: nesting up to three levels, every strategy, restart type, limit, kind of stop and readiness,
//! pools, and groups that end with their significant members.

use crate::random::Random;
use mainstay::supervisor::spec::{
    AutoShutdown, Backoff, Child, ChildId, Grace, Group, GroupId, Intensity, Node, OnLimit, Pool, Restart,
    Strategy, Tree,
};
use mainstay::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The exit code that says "nothing to run here", where one is declared.
pub(crate) const IGNORE: u8 = 7;

pub(crate) fn tree(random: &mut Random) -> Tree {
    let group_count = random.pick(&[1, 1, 2, 3, 4, 5]);
    let child_count = 1 + random.below(8);
    let mut tree = Tree::default();
    let mut depth = vec![0];
    for at in 0..group_count {
        let parent = (at > 0).then(|| {
            let fit: Vec<usize> =
                (0..at).filter(|g| depth[*g] < 3 && tree.groups[*g].pool.is_none()).collect();
            random.pick(&fit)
        });
        if let Some(parent) = parent {
            depth.push(depth[parent] + 1);
        }
        // Now and then a second tree stands beside the root, as the built-ins do.
        let beside = at == 1 && random.one_in(6);
        let parent = parent.filter(|_| !beside).map(|at| GroupId(at as u32));
        let mut policy = group(random, format!("g{at}"), at > 0 && !beside);
        policy.parent = parent;
        tree.groups.push(policy);
        if beside {
            tree.groups[0].after.push(Node::Group(GroupId(1)));
            tree.groups[1].intensity = None;
            tree.groups[1].otp = false;
            tree.groups[1].whole_seconds = false;
        }
    }
    // Members come in any order, groups between children.
    let mut members: Vec<(GroupId, Node)> = Vec::new();
    for (at, group) in tree.groups.iter().enumerate() {
        members.extend(group.parent.map(|parent| (parent, Node::Group(GroupId(at as u32)))));
    }
    for at in 0..child_count {
        let group = home(random, &tree);
        tree.children.push(child(random, format!("c{at}"), group));
        let place = random.below(members.len() + 1);
        members.insert(place, (group, Node::Child(ChildId(at as u32))));
    }
    for (group, node) in members {
        tree.groups[group.0 as usize].members.push(node);
    }
    needs(random, &mut tree);
    make_sound(random, &mut tree);
    tree
}

/// A group that may have members of its own.
pub(crate) fn home(random: &mut Random, tree: &Tree) -> GroupId {
    let fit: Vec<usize> = (0..tree.groups.len()).filter(|group| tree.groups[*group].pool.is_none()).collect();
    GroupId(random.pick(&fit) as u32)
}

/// Nobody is significant where that is not allowed, and some are where it is.
pub(crate) fn make_sound(random: &mut Random, tree: &mut Tree) {
    let auto: Vec<bool> = tree
        .groups
        .iter()
        .map(|group| group.auto_shutdown != AutoShutdown::Never && group.pool.is_none())
        .collect();
    for child in &mut tree.children {
        let may = child.restart != Restart::Permanent && auto[child.group.0 as usize];
        child.significant = may && !random.one_in(3);
    }
    for group in &mut tree.groups {
        let may =
            group.restart != Restart::Permanent && group.parent.is_some_and(|parent| auto[parent.0 as usize]);
        group.significant = may && !random.one_in(3);
    }
}

pub(crate) fn group(random: &mut Random, name: String, may_be_pool: bool) -> Group {
    let otp = random.one_in(3);
    let max = random.pick(&[0, 1, 2, 3, 5]);
    let intensity = Some(Intensity { max, within: random.pick(&[ms(500), ms(5000)]) });
    let mut group = Group {
        name,
        parent: None,
        strategy: random.pick(&[Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne]),
        intensity: intensity.filter(|_| otp || random.one_in(2)),
        on_limit: if random.one_in(4) { OnLimit::Park } else { OnLimit::Escalate },
        otp,
        members: Vec::new(),
        after: Vec::new(),
        limit: limit(random),
        backoff: backoff(random),
        restart: random.pick(&[
            Restart::Permanent,
            Restart::Permanent,
            Restart::Transient,
            Restart::Temporary,
        ]),
        auto_shutdown: random.pick(&[
            AutoShutdown::Never,
            AutoShutdown::Never,
            AutoShutdown::Any,
            AutoShutdown::All,
        ]),
        whole_seconds: otp && random.one_in(3),
        ..Group::default()
    };
    if may_be_pool && random.one_in(5) {
        group.pool = Some(Pool { max_children: random.pick(&[None, None, Some(0), Some(1), Some(3)]) });
        group.strategy = Strategy::OneForOne;
        group.auto_shutdown = AutoShutdown::Never;
    }
    group
}

pub(crate) fn child(random: &mut Random, name: String, group: GroupId) -> Child {
    Child {
        name,
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
        ignore: random.pick(&[None, None, Some(IGNORE)]),
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
pub(crate) fn needs(random: &mut Random, tree: &mut Tree) {
    let (children, groups) = (tree.children.len(), tree.groups.len());
    for _ in 0..random.pick(&[0, 0, 1, 2, 4]) {
        if children == 0 {
            break;
        }
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
        let (who, what) =
            (1 + random.below(groups - 1), Node::Group(GroupId(1 + random.below(groups - 1) as u32)));
        if !tree.groups[who].after.contains(&what) {
            tree.groups[who].after.push(what);
        }
    }
}
