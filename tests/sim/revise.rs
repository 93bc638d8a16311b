//! Random revisions of a tree: what an operator might do to the file while it runs, and what is wrong with some.

use crate::plant;
use crate::random::Random;
use mainstay::supervisor::spec::{AutoShutdown, ChildId, GroupId, Intensity, Node, Pool, Restart, Tree};
use mainstay::supervisor::{Flaw, Revision};
use mainstay::time::Duration;

/// Changes `tree` here and there; the first `fixed` groups stay. `name`: a name that may be taken for a new child.
pub(crate) fn revise(random: &mut Random, tree: &mut Tree, fixed: usize, name: &mut dyn FnMut() -> String) {
    for _ in 0..random.pick(&[1, 1, 2, 3, 5]) {
        match random.below(10) {
            0 | 1 if tree.children.len() > 1 => {
                let gone = random.below(tree.children.len());
                *tree = without(tree, &[gone], &[]);
            }
            0..=2 => {
                let group = plant::home(random, tree);
                let name = name();
                if tree.children.iter().all(|child| child.name != name) {
                    tree.children.push(plant::child(random, name, group));
                    let node = Node::Child(ChildId(tree.children.len() as u32 - 1));
                    put(random, tree, group, node);
                }
            }
            3 if !tree.children.is_empty() => {
                let (child, group) = (random.below(tree.children.len()), plant::home(random, tree));
                let node = Node::Child(ChildId(child as u32));
                take(tree, node);
                tree.children[child].group = group;
                put(random, tree, group, node);
            }
            4 => {
                let group = random.below(tree.groups.len());
                let members = &mut tree.groups[group].members;
                for at in (1..members.len()).rev() {
                    members.swap(at, random.below(at + 1));
                }
            }
            5 if !tree.children.is_empty() => {
                let child = random.below(tree.children.len());
                let old = tree.children[child].clone();
                tree.children[child] = plant::child(random, old.name, old.group);
                tree.children[child].needs = old.needs;
            }
            6 => new_policy(random, tree),
            7 if tree.groups.len() < 7 => {
                let (parent, name) = (plant::home(random, tree), name());
                if tree.groups.iter().any(|group| group.name == name) {
                    continue;
                }
                let mut group = plant::group(random, name, true);
                group.parent = Some(parent);
                tree.groups.push(group);
                let node = Node::Group(GroupId(tree.groups.len() as u32 - 1));
                put(random, tree, parent, node);
            }
            8 if tree.groups.len() > fixed => remove_group(random, tree, fixed),
            9 => {
                tree.children.iter_mut().for_each(|child| child.needs.clear());
                plant::needs(random, tree);
            }
            _ => {}
        }
    }
    plant::make_sound(random, tree);
}

fn take(tree: &mut Tree, node: Node) {
    for group in &mut tree.groups {
        group.members.retain(|member| *member != node);
    }
}

fn put(random: &mut Random, tree: &mut Tree, group: GroupId, node: Node) {
    let members = &mut tree.groups[group.0 as usize].members;
    let place = random.below(members.len() + 1);
    members.insert(place, node);
}

fn new_policy(random: &mut Random, tree: &mut Tree) {
    let at = random.below(tree.groups.len());
    let old = tree.groups[at].clone();
    let mut new = plant::group(random, old.name, false);
    (new.parent, new.members, new.after, new.pool) = (old.parent, old.members, old.after, old.pool);
    if old.pool.is_some() {
        (new.strategy, new.auto_shutdown) = (old.strategy, old.auto_shutdown);
        new.pool = Some(Pool { max_children: random.pick(&[None, Some(1), Some(4)]) });
    }
    if new.parent.is_none() && at > 0 {
        (new.intensity, new.otp, new.whole_seconds) = (None, false, false);
    }
    tree.groups[at] = new;
}

/// With everybody in it, or with its members left to its parent.
fn remove_group(random: &mut Random, tree: &mut Tree, fixed: usize) {
    let gone = fixed + random.below(tree.groups.len() - fixed);
    let Some(parent) = tree.groups[gone].parent else { return };
    if random.one_in(2) {
        let members = std::mem::take(&mut tree.groups[gone].members);
        for member in &members {
            match member {
                Node::Child(child) => tree.children[child.0 as usize].group = parent,
                Node::Group(group) => tree.groups[group.0 as usize].parent = Some(parent),
            }
        }
        tree.groups[parent.0 as usize].members.extend(members);
        *tree = without(tree, &[], &[gone]);
        return;
    }
    let mut groups = vec![gone];
    let mut at = 0;
    while let Some(group) = groups.get(at).copied() {
        groups.extend(
            (0..tree.groups.len())
                .filter(|inner| {
                    tree.groups[*inner].parent == Some(GroupId(group as u32)) && !groups.contains(inner)
                })
                .collect::<Vec<_>>(),
        );
        at += 1;
    }
    let inside = |child: &usize| groups.contains(&(tree.children[*child].group.0 as usize));
    let children: Vec<usize> = (0..tree.children.len()).filter(inside).collect();
    *tree = without(tree, &children, &groups);
}

/// The tree without these, numbered anew.
fn without(tree: &Tree, children: &[usize], groups: &[usize]) -> Tree {
    let rank = |gone: &[usize], at: usize| {
        (!gone.contains(&at)).then(|| (at - gone.iter().filter(|other| **other < at).count()) as u32)
    };
    let node = |node: &Node| match node {
        Node::Child(child) => rank(children, child.0 as usize).map(|at| Node::Child(ChildId(at))),
        Node::Group(group) => rank(groups, group.0 as usize).map(|at| Node::Group(GroupId(at))),
    };
    let mut new = Tree::default();
    for (at, group) in tree.groups.iter().enumerate().filter(|(at, _)| !groups.contains(at)) {
        let mut group = group.clone();
        let _ = at;
        group.parent = group.parent.and_then(|parent| rank(groups, parent.0 as usize)).map(GroupId);
        group.members = group.members.iter().filter_map(node).collect();
        group.after = group.after.iter().filter_map(node).collect();
        new.groups.push(group);
    }
    for (_, child) in tree.children.iter().enumerate().filter(|(at, _)| !children.contains(at)) {
        let mut child = child.clone();
        child.group = GroupId(rank(groups, child.group.0 as usize).unwrap_or_default());
        child.needs = child.needs.iter().filter_map(node).collect();
        new.children.push(child);
    }
    new
}

/// Makes one thing wrong; what, and with whom.
pub(crate) fn spoil(random: &mut Random, tree: &mut Tree) -> Option<(Node, Flaw)> {
    let group = random.below(tree.groups.len());
    let group_node = Node::Group(GroupId(group as u32));
    let child = random.below(tree.children.len().max(1));
    let child_node = Node::Child(ChildId(child as u32));
    match random.below(9) {
        0 if tree.children.len() > 1 => {
            let other = (child + 1) % tree.children.len();
            tree.children[other].name = tree.children[child].name.clone();
            let later = Node::Child(ChildId(child.max(other) as u32));
            Some((later, Flaw::Duplicate))
        }
        1 => {
            tree.groups[group].intensity = Some(Intensity { max: 1, within: Duration::ZERO });
            Some((group_node, Flaw::PeriodZero))
        }
        2 if !tree.children.is_empty() => {
            (tree.children[child].significant, tree.children[child].restart) = (true, Restart::Permanent);
            Some((child_node, Flaw::SignificantPermanent))
        }
        3 if !tree.children.is_empty() => {
            let home = tree.children[child].group.0 as usize;
            (tree.children[child].significant, tree.children[child].restart) = (true, Restart::Transient);
            tree.groups[home].auto_shutdown = AutoShutdown::Never;
            Some((child_node, Flaw::SignificantWithoutAutoShutdown))
        }
        4 if !tree.children.is_empty() => {
            let home = tree.children[child].group.0 as usize;
            tree.groups[home].members.push(child_node);
            Some((child_node, Flaw::Broken))
        }
        5 if !tree.children.is_empty() => {
            take(tree, child_node);
            Some((child_node, Flaw::Broken))
        }
        6 if !tree.children.is_empty() => {
            let nobody = Node::Child(ChildId(tree.children.len() as u32));
            tree.children[child].needs.push(nobody);
            Some((child_node, Flaw::Broken))
        }
        7 if tree.groups[group].pool.is_some() => {
            tree.groups[group].auto_shutdown = AutoShutdown::Any;
            Some((group_node, Flaw::PoolAutoShutdown))
        }
        8 if tree.groups.len() > 1 => {
            let (one, other) = (tree.groups.len() - 1, tree.groups.len() - 2);
            tree.groups[one].name = tree.groups[other].name.clone();
            Some((Node::Group(GroupId(one as u32)), Flaw::Duplicate))
        }
        _ => None,
    }
}

/// A revision in a few lines.
pub(crate) fn story(revision: &Revision) -> String {
    let tree = &revision.tree;
    let mut story = format!(
        "reload, restart {:?}, at once {}, otp rule {}",
        revision.restart, revision.at_once, revision.otp_rule
    );
    for group in &tree.groups {
        let members = group.members.iter().map(|member| match member {
            Node::Child(child) => tree.children[child.0 as usize].name.as_str(),
            Node::Group(group) => tree.groups[group.0 as usize].name.as_str(),
        });
        let members: Vec<&str> = members.collect();
        story += &format!(
            "\n    {} {:?} otp {} {:?} {:?}: {members:?}",
            group.name, group.strategy, group.otp, group.restart, group.pool
        );
    }
    for child in tree.children.iter().filter(|child| !child.needs.is_empty()) {
        story += &format!("\n    {} needs {:?}", child.name, child.needs);
    }
    story
}
