//! Who is whose parent, in which order, and who depends on whom; members come and go.
//!
//! Children and groups are numbered together as *nodes*: a child's node is its number, a group's is its number
//! with one high bit ([`GROUP`]). A member keeps its *position* in its group while it is there; a new one
//! gets a higher position than all others, and one that leaves leaves a hole. Holes are closed when
//! there are more of them than members, so positions stay small and nothing here costs more than the
//! members that are really there.
//!
//! It must not know what anything is doing.

use super::circle;
use super::group::is_ordered;
use super::spec::{ChildId, Group, GroupId, Node};
use std::ops::{Index, IndexMut};

/// What a group's node has beside its number.
pub(super) const GROUP: usize = 1 << 31;
/// No parent, no member.
const NONE: u32 = u32::MAX;
/// So many holes are never worth closing.
const FEW: usize = 64;

/// Something for each node.
#[derive(Clone, Debug, Default)]
pub(super) struct ByNode<T> {
    pub(super) children: Vec<T>,
    pub(super) groups: Vec<T>,
}

impl<T: Clone> ByNode<T> {
    pub(super) fn new(value: T, children: usize, groups: usize) -> ByNode<T> {
        ByNode { children: vec![value.clone(); children], groups: vec![value; groups] }
    }
}

impl<T> Index<usize> for ByNode<T> {
    type Output = T;

    fn index(&self, node: usize) -> &T {
        if node < GROUP { &self.children[node] } else { &self.groups[node ^ GROUP] }
    }
}

impl<T> IndexMut<usize> for ByNode<T> {
    fn index_mut(&mut self, node: usize) -> &mut T {
        if node < GROUP { &mut self.children[node] } else { &mut self.groups[node ^ GROUP] }
    }
}

/// The members of one group.
#[derive(Clone, Debug, Default)]
struct Members {
    /// By position; [`NONE`] where one left.
    nodes: Vec<u32>,
    /// How many there are.
    count: u32,
    /// Starts and stops one member at a time.
    ordered: bool,
}

/// The tree's form.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    /// The group that each node is a member of; [`NONE`] at the top and nowhere.
    parents: ByNode<u32>,
    /// Each node's position among the members of its parent.
    positions: ByNode<u32>,
    members: Vec<Members>,
    /// Of a child: what it needs. Of a group: what it comes after.
    needs: ByNode<Vec<u32>>,
    /// The other way round.
    dependents: ByNode<Vec<u32>>,
    /// The groups without a parent.
    pub(super) tops: Vec<u32>,
}

impl Shape {
    /// The form of these groups; `wanted`: what each child needs.
    pub(super) fn new(policies: &[Group], wanted: &[&[Node]]) -> Shape {
        let (children, groups) = (wanted.len(), policies.len());
        let mut shape = Shape {
            parents: ByNode::new(NONE, children, groups),
            positions: ByNode::new(0, children, groups),
            members: Vec::with_capacity(groups),
            needs: ByNode::new(Vec::new(), children, groups),
            dependents: ByNode::new(Vec::new(), children, groups),
            tops: Vec::new(),
        };
        for (at, group) in policies.iter().enumerate() {
            shape.members.push(Members { ordered: is_ordered(group), ..Members::default() });
            for member in &group.members {
                shape.append(at, number(*member));
            }
            if group.parent.is_none() {
                shape.tops.push(at as u32);
            }
        }
        for (node, needed) in circle::free_of_circles(policies, wanted) {
            shape.connect(number(node), number(needed));
        }
        shape
    }

    /// Makes room for one more child, which is nowhere yet.
    pub(super) fn add_child(&mut self) {
        self.parents.children.push(NONE);
        self.positions.children.push(0);
        self.needs.children.push(Vec::new());
        self.dependents.children.push(Vec::new());
    }

    /// `node` needs `needed`, or comes after it.
    pub(super) fn connect(&mut self, node: usize, needed: usize) {
        self.needs[node].push(needed as u32);
        self.dependents[needed].push(node as u32);
    }

    /// Nothing depends on `node` any more, nor it on anything.
    pub(super) fn disconnect(&mut self, node: usize) {
        for needed in std::mem::take(&mut self.needs[node]) {
            self.dependents[needed as usize].retain(|other| *other as usize != node);
        }
        for dependent in std::mem::take(&mut self.dependents[node]) {
            self.needs[dependent as usize].retain(|other| *other as usize != node);
        }
    }

    /// Makes `node` the newest member of `group`. Returns its position.
    pub(super) fn append(&mut self, group: usize, node: usize) -> usize {
        let members = &mut self.members[group];
        members.nodes.push(node as u32);
        members.count += 1;
        let position = members.nodes.len() - 1;
        self.parents[node] = group as u32;
        self.positions[node] = position as u32;
        position
    }

    /// Takes `node` out of its group.
    pub(super) fn detach(&mut self, node: usize) {
        let parent = std::mem::replace(&mut self.parents[node], NONE);
        if parent != NONE {
            let members = &mut self.members[parent as usize];
            members.nodes[self.positions[node] as usize] = NONE;
            members.count -= 1;
            while members.nodes.last() == Some(&NONE) {
                members.nodes.pop();
            }
        }
    }

    /// Puts the members of `group` into another order.
    pub(super) fn reorder(&mut self, group: usize, nodes: Vec<u32>) {
        self.members[group].nodes = nodes;
        self.close_holes(group);
    }

    /// Whether the members of `group` should be numbered anew, which [`Shape::close_holes`] does.
    pub(super) fn is_sparse(&self, group: usize) -> bool {
        let members = &self.members[group];
        members.nodes.len() > FEW + 2 * members.count as usize
    }

    /// Numbers the members of `group` anew, in their order.
    pub(super) fn close_holes(&mut self, group: usize) {
        let nodes = &mut self.members[group].nodes;
        nodes.retain(|node| *node != NONE);
        for (position, node) in self.members[group].nodes.iter().enumerate() {
            self.positions[*node as usize] = position as u32;
        }
    }

    pub(super) fn is_child(&self, node: usize) -> bool {
        node < GROUP
    }

    /// The node that is `group`.
    pub(super) fn group_node(&self, group: usize) -> usize {
        group | GROUP
    }

    /// The group that `node`, not a child, is.
    pub(super) fn as_group(&self, node: usize) -> Option<usize> {
        (node >= GROUP).then_some(node ^ GROUP)
    }

    /// The node that the world names so; `None` when the tree has no such node.
    pub(super) fn node(&self, name: Node) -> Option<usize> {
        let node = number(name);
        match name {
            Node::Child(child) => self.parents.children.get(child.0 as usize).filter(|p| **p != NONE)?,
            Node::Group(group) => {
                let there = self.parents.groups.get(group.0 as usize)?;
                Some(there).filter(|parent| **parent != NONE || self.tops.contains(&group.0))?
            }
        };
        Some(node)
    }

    /// The group that `node` is a member of.
    pub(super) fn parent(&self, node: usize) -> Option<usize> {
        Some(self.parents[node]).filter(|parent| *parent != NONE).map(|parent| parent as usize)
    }

    /// The groups above `node`, innermost first.
    pub(super) fn above(&self, node: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.parent(node), |group| self.parent(self.group_node(*group)))
    }

    pub(super) fn position(&self, node: usize) -> usize {
        self.positions[node] as usize
    }

    pub(super) fn ordered(&self, group: usize) -> bool {
        self.members[group].ordered
    }

    /// The positions of `group`, holes included: all are below this.
    pub(super) fn positions(&self, group: usize) -> usize {
        self.members[group].nodes.len()
    }

    /// The member at `position`; `None` in a hole and beyond the last.
    pub(super) fn member(&self, group: usize, position: usize) -> Option<usize> {
        let node = self.members[group].nodes.get(position)?;
        Some(*node as usize).filter(|_| *node != NONE)
    }

    /// The members of `group`, oldest first.
    pub(super) fn members(&self, group: usize) -> impl DoubleEndedIterator<Item = usize> {
        let there = self.members[group].nodes.iter().filter(|node| **node != NONE);
        there.map(|node| *node as usize)
    }

    /// How many members `group` has.
    pub(super) fn member_count(&self, group: usize) -> usize {
        self.members[group].count as usize
    }

    /// What `node` needs (a child) or comes after (a group).
    pub(super) fn needs(&self, node: usize) -> &[u32] {
        &self.needs[node]
    }

    /// Who needs `node` or comes after it.
    pub(super) fn dependents(&self, node: usize) -> &[u32] {
        &self.dependents[node]
    }

    /// The first child below `top`, in the order of the tree; itself when it is one.
    pub(super) fn first(&self, top: usize) -> Option<usize> {
        match self.as_group(top) {
            None => Some(top),
            Some(group) => self.members(group).find_map(|member| self.first(member)),
        }
    }

    /// The child after `child` below `top`.
    pub(super) fn after(&self, child: usize, top: usize) -> Option<usize> {
        let mut node = child;
        while node != top {
            let parent = self.parent(node)?;
            let later = self.position(node) + 1..self.positions(parent);
            let mut later = later.filter_map(|position| self.member(parent, position));
            if let Some(child) = later.find_map(|member| self.first(member)) {
                return Some(child);
            }
            node = self.group_node(parent);
        }
        None
    }

    /// The last child below `top`; itself when it is one.
    pub(super) fn last(&self, top: usize) -> Option<usize> {
        match self.as_group(top) {
            None => Some(top),
            Some(group) => self.members(group).rev().find_map(|member| self.last(member)),
        }
    }

    /// The child before `child` below `top`.
    pub(super) fn before(&self, child: usize, top: usize) -> Option<usize> {
        let mut node = child;
        while node != top {
            let parent = self.parent(node)?;
            let earlier = (0..self.position(node)).rev();
            let mut earlier = earlier.filter_map(|position| self.member(parent, position));
            if let Some(child) = earlier.find_map(|member| self.last(member)) {
                return Some(child);
            }
            node = self.group_node(parent);
        }
        None
    }
}

/// The node that the world names so.
pub(super) fn number(name: Node) -> usize {
    match name {
        Node::Child(child) => child.0 as usize,
        Node::Group(group) => group.0 as usize | GROUP,
    }
}

/// The node as the world names it.
pub(super) fn name(node: usize) -> Node {
    if node < GROUP { Node::Child(ChildId(node as u32)) } else { Node::Group(GroupId((node ^ GROUP) as u32)) }
}
