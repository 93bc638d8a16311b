//! Small trees for the core's own tests.

use super::spec::{Backoff, Child, Grace, Group, GroupId, Node, OnLimit, Restart, Strategy, Tree};

/// A permanent child of group `group`, without any limit or wait, stopped by signal 15 within 5 s.
pub(super) fn child(group: u32) -> Child {
    Child {
        name: String::new(),
        group: GroupId(group),
        restart: Restart::Permanent,
        limit: None,
        backoff: Backoff::NONE,
        ready_within: None,
        grace: Grace::default(),
        stop_signal: 15,
        clean: Vec::new(),
        needs: Vec::new(),
        ..Child::default()
    }
}

impl Child {
    pub(super) fn needing(mut self, node: Node) -> Child {
        self.needs.push(node);
        self
    }
}

/// A one_for_one group without limits.
pub(super) fn group(_level: u32, members: usize) -> Group {
    Group {
        name: String::new(),
        parent: None,
        strategy: Strategy::OneForOne,
        intensity: None,
        on_limit: OnLimit::Escalate,
        otp: false,
        members: Vec::with_capacity(members),
        after: Vec::new(),
        limit: None,
        backoff: Backoff::NONE,
        ..Group::default()
    }
}

/// A tree of these groups and children; the members of each group are its groups, then its children.
pub(super) fn tree(mut groups: Vec<Group>, children: Vec<Child>) -> Tree {
    for at in 1..groups.len() {
        let parent = groups[at].parent.unwrap_or(GroupId::ROOT);
        groups[parent.0 as usize].members.push(Node::Group(GroupId(at as u32)));
    }
    for (at, child) in children.iter().enumerate() {
        groups[child.group.0 as usize].members.push(Node::Child(super::spec::ChildId(at as u32)));
    }
    Tree { groups, children }
}
