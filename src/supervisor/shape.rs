//! The tree as arrays: who is whose parent, who depends on whom. Made once, never changed.
//!
//! Children and groups are numbered together as *nodes*: first all children, then all groups. The children
//! below a group are one slice of [`Shape::order`], so walking a subtree needs no recursion.

use super::circle;
use super::group::is_ordered;
use super::spec::{Node, Tree};
use std::ops::Range;

/// No parent.
const NONE: u32 = u32::MAX;

/// What never changes about a tree.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    children: usize,
    /// The group that each node is a member of; [`NONE`] at the top.
    parents: Vec<u32>,
    /// Each node's place among the members of its parent.
    positions: Vec<u32>,
    /// All children, in the order of the tree.
    pub(super) order: Vec<u32>,
    /// The slice of `order` that is below each node; of a child: itself.
    below: Vec<(u32, u32)>,
    /// All groups, each before the groups in it.
    pub(super) groups_in_order: Vec<u32>,
    /// The slice of `groups_in_order` that is a group and all groups in it.
    inner: Vec<(u32, u32)>,
    /// The members of each group, as nodes.
    members: Lists,
    /// Which groups start and stop one member at a time.
    ordered: Vec<bool>,
    /// Of a child: what it needs. Of a group: what it comes after.
    pub(super) needs: Lists,
    /// The other way round.
    pub(super) dependents: Lists,
}

impl Shape {
    pub(super) fn new(tree: &Tree) -> Shape {
        let children = tree.children.len();
        let count = children + tree.groups.len();
        let number = |node: &Node| match *node {
            Node::Child(child) => child.0 as usize,
            Node::Group(group) => children + group.0 as usize,
        };
        let ordered = tree.groups.iter().map(is_ordered).collect();
        let members = tree.groups.iter().map(|group| group.members.iter().map(number).collect()).collect();
        let edges = circle::free_of_circles(tree);
        let (mut needs, mut dependents) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        for (node, needed) in &edges {
            needs[number(node)].push(number(needed));
            dependents[number(needed)].push(number(node));
        }
        let mut shape = Shape {
            children,
            parents: vec![NONE; count],
            positions: vec![0; count],
            order: Vec::with_capacity(children),
            below: vec![(0, 0); count],
            groups_in_order: Vec::with_capacity(tree.groups.len()),
            inner: vec![(0, 0); tree.groups.len()],
            members: Lists::new(members),
            ordered,
            needs: Lists::new(needs),
            dependents: Lists::new(dependents),
        };
        for group in 0..tree.groups.len() {
            if tree.groups[group].parent.is_none() {
                shape.number_below(group);
            }
        }
        shape
    }

    /// Numbers everything in `group`, depth first. Recursion is as deep as groups nest.
    fn number_below(&mut self, group: usize) {
        let (first_child, first_group) = (self.order.len() as u32, self.groups_in_order.len() as u32);
        self.groups_in_order.push(group as u32);
        for (position, at) in self.members.range(group).enumerate() {
            let member = self.members.item(at);
            self.parents[member] = group as u32;
            self.positions[member] = position as u32;
            if self.is_child(member) {
                self.below[member] = (self.order.len() as u32, self.order.len() as u32 + 1);
                self.order.push(member as u32);
            } else {
                self.number_below(member - self.children);
            }
        }
        let node = self.group_node(group);
        self.below[node] = (first_child, self.order.len() as u32);
        self.inner[group] = (first_group, self.groups_in_order.len() as u32);
    }

    pub(super) fn is_child(&self, node: usize) -> bool {
        node < self.children
    }

    /// The node that is `group`.
    pub(super) fn group_node(&self, group: usize) -> usize {
        self.children + group
    }

    /// The group that `node`, not a child, is.
    pub(super) fn as_group(&self, node: usize) -> Option<usize> {
        node.checked_sub(self.children)
    }

    /// The node as the world names it.
    pub(super) fn name(&self, node: usize) -> Node {
        match self.as_group(node) {
            None => Node::Child(super::spec::ChildId(node as u32)),
            Some(group) => Node::Group(super::spec::GroupId(group as u32)),
        }
    }

    /// The node that the world names so; `None` when the tree has no such node.
    pub(super) fn node(&self, name: Node) -> Option<usize> {
        match name {
            Node::Child(child) => Some(child.0 as usize).filter(|child| *child < self.children),
            Node::Group(group) => Some(group.0 as usize)
                .filter(|group| *group < self.inner.len())
                .map(|group| self.group_node(group)),
        }
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
        self.ordered[group]
    }

    pub(super) fn member(&self, group: usize, position: usize) -> usize {
        self.members.item(self.members.range(group).start + position)
    }

    /// How many members `group` has.
    pub(super) fn member_count(&self, group: usize) -> usize {
        self.members.range(group).len()
    }

    /// The children below `node`, itself when it is one, as indexes into [`Shape::order`].
    pub(super) fn below(&self, node: usize) -> Range<usize> {
        let (first, end) = self.below[node];
        first as usize..end as usize
    }

    /// `group` and all groups in it, as indexes into [`Shape::groups_in_order`].
    pub(super) fn inner(&self, group: usize) -> Range<usize> {
        let (first, end) = self.inner[group];
        first as usize..end as usize
    }
}

/// A list of nodes for each node, in one piece of memory.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    fn new(lists: Vec<Vec<usize>>) -> Lists {
        let mut starts = Vec::with_capacity(lists.len() + 1);
        let mut items = Vec::with_capacity(lists.iter().map(Vec::len).sum());
        starts.push(0);
        for list in lists {
            items.extend(list.into_iter().map(|node| node as u32));
            starts.push(items.len() as u32);
        }
        Lists { starts, items }
    }

    /// Where the list of `node` is; each index is good for [`Lists::item`].
    pub(super) fn range(&self, node: usize) -> Range<usize> {
        self.starts[node] as usize..self.starts[node + 1] as usize
    }

    pub(super) fn item(&self, at: usize) -> usize {
        self.items[at] as usize
    }
}
