//! What is wrong with a whole tree, before anything is done with it.

use super::change::{Flaw, flaw_of_group, flaw_of_member};
use super::spec::{ChildId, GroupId, Node, Tree};
use std::collections::HashSet;

/// All flaws of `tree`, each with the node that has it; empty for a sound tree.
///
/// Needs that close a circle are no flaw here: see [`super::circles`].
pub fn flaws(tree: &Tree) -> Vec<(Node, Flaw)> {
    let mut found = Vec::new();
    members(tree, &mut found);
    let mut names = HashSet::new();
    for (at, group) in tree.groups.iter().enumerate() {
        let node = Node::Group(GroupId(at as u32));
        found.extend(flaw_of_group(group).map(|flaw| (node, flaw)));
        if !names.insert(group.name.as_str()) {
            found.push((node, Flaw::Duplicate));
        }
        let parent = group.parent.and_then(|parent| tree.groups.get(parent.0 as usize));
        let flaw = parent.and_then(|parent| flaw_of_member(group.significant, group.restart, parent));
        found.extend(flaw.map(|flaw| (node, flaw)));
        if group.after.iter().any(|earlier| !exists(tree, *earlier)) {
            found.push((node, Flaw::Broken));
        }
    }
    let mut names = HashSet::new();
    for (at, child) in tree.children.iter().enumerate() {
        let node = Node::Child(ChildId(at as u32));
        if !names.insert(child.name.as_str()) {
            found.push((node, Flaw::Duplicate));
        }
        let group = tree.groups.get(child.group.0 as usize);
        let flaw = group.and_then(|group| flaw_of_member(child.significant, child.restart, group));
        found.extend(flaw.map(|flaw| (node, flaw)));
        if child.needs.iter().any(|needed| !exists(tree, *needed)) {
            found.push((node, Flaw::Broken));
        }
    }
    found
}

/// Each node is a member of the one group that it names, and of no other; groups close no circle.
fn members(tree: &Tree, found: &mut Vec<(Node, Flaw)>) {
    let mut seen = HashSet::new();
    for (at, group) in tree.groups.iter().enumerate() {
        for member in &group.members {
            let home = match *member {
                Node::Child(child) => tree.children.get(child.0 as usize).map(|child| child.group),
                Node::Group(inner) => tree.groups.get(inner.0 as usize).and_then(|inner| inner.parent),
            };
            if home != Some(GroupId(at as u32)) || !seen.insert(*member) {
                found.push((*member, Flaw::Broken));
            }
        }
    }
    for at in 0..tree.children.len() {
        let node = Node::Child(ChildId(at as u32));
        if !seen.contains(&node) {
            found.push((node, Flaw::Broken));
        }
    }
    for (at, group) in tree.groups.iter().enumerate() {
        let node = Node::Group(GroupId(at as u32));
        if group.parent.is_some() && (!seen.contains(&node) || above(tree, at).is_none()) {
            found.push((node, Flaw::Broken));
        }
    }
}

/// How many groups are above `group`; `None` when they form a circle.
fn above(tree: &Tree, group: usize) -> Option<usize> {
    let mut at = group;
    for depth in 0..=tree.groups.len() {
        match tree.groups.get(at).and_then(|group| group.parent) {
            Some(parent) => at = parent.0 as usize,
            None => return Some(depth),
        }
    }
    None
}

fn exists(tree: &Tree, node: Node) -> bool {
    match node {
        Node::Child(child) => (child.0 as usize) < tree.children.len(),
        Node::Group(group) => (group.0 as usize) < tree.groups.len(),
    }
}
