//! A tree under construction, with as few words as a test can bear.

use super::Rig;
use mainstay::supervisor::Event;
use mainstay::supervisor::spec::{
    AutoShutdown, Backoff, Child, ChildId, Group, GroupId, Intensity, Node, Pool, Strategy, Tree,
};
use mainstay::time::Duration;

/// A tree under construction: `Plant::new().group("g", …).child("a", …)`.
pub(crate) struct Plant {
    pub(crate) tree: Tree,
}

impl Plant {
    /// A one_for_one root named `root`, without limits.
    pub(crate) fn new() -> Plant {
        let root = Group { name: "root".to_owned(), backoff: Backoff::NONE, ..Group::default() };
        Plant { tree: Tree { groups: vec![root], children: Vec::new() } }
    }

    /// An OTP root: this strategy, `max` restarts in 5 s.
    pub(crate) fn otp(strategy: Strategy, max: u32) -> Plant {
        Plant::new().root(otp(strategy, max))
    }

    /// An OTP root that is a pool of any size, `max` restarts in 5 s.
    pub(crate) fn pool(max: u32) -> Plant {
        Plant::otp(Strategy::OneForOne, max).root(|root| root.pool = Some(Pool::default()))
    }

    /// An OTP root, which ends by itself as `auto` says.
    pub(crate) fn ending_by_itself(auto: AutoShutdown) -> Plant {
        Plant::otp(Strategy::OneForOne, 9).root(|root| root.auto_shutdown = auto)
    }

    pub(crate) fn root(mut self, change: impl Fn(&mut Group)) -> Plant {
        change(&mut self.tree.groups[0]);
        self
    }

    /// A group like the root (before changes), member of `parent`.
    pub(crate) fn group(mut self, parent: &str, name: &str, change: impl Fn(&mut Group)) -> Plant {
        let at = GroupId(self.tree.groups.len() as u32);
        let parent = self.group_id(parent);
        let mut group =
            Group { name: name.to_owned(), parent: Some(parent), ..Plant::new().tree.groups[0].clone() };
        change(&mut group);
        self.tree.groups.push(group);
        self.tree.groups[parent.0 as usize].members.push(Node::Group(at));
        self
    }

    /// A permanent child without limit and wait, stopped by signal 15 within 5 s.
    pub(crate) fn child(mut self, group: &str, name: &str, change: impl Fn(&mut Child)) -> Plant {
        let at = ChildId(self.tree.children.len() as u32);
        let group = self.group_id(group);
        let mut child = plain(name);
        child.group = group;
        change(&mut child);
        self.tree.children.push(child);
        self.tree.groups[group.0 as usize].members.push(Node::Child(at));
        self
    }

    pub(crate) fn children(self, group: &str, names: &str) -> Plant {
        names.split_whitespace().fold(self, |plant, name| plant.child(group, name, |_| {}))
    }

    /// `needing("web", "db")`: a child or a group on the right.
    pub(crate) fn needing(mut self, child: &str, needed: &str) -> Plant {
        let node = self.node(needed);
        let at = self.tree.children.iter().position(|c| c.name == child).unwrap();
        self.tree.children[at].needs.push(node);
        self
    }

    fn group_id(&self, name: &str) -> GroupId {
        GroupId(self.tree.groups.iter().position(|g| g.name == name).unwrap() as u32)
    }

    pub(crate) fn node(&self, name: &str) -> Node {
        match self.tree.children.iter().position(|c| c.name == name) {
            Some(at) => Node::Child(ChildId(at as u32)),
            None => Node::Group(self.group_id(name)),
        }
    }

    pub(crate) fn rig(self) -> Rig {
        Rig::new(self.tree)
    }

    pub(crate) fn boot(self) -> Rig {
        let mut rig = self.rig();
        rig.event(Event::Boot);
        rig
    }
}

/// A permanent child of the root without limit and wait.
pub(crate) fn plain(name: &str) -> Child {
    Child { name: name.to_owned(), limit: None, backoff: Backoff::NONE, ..Child::default() }
}

/// Makes a group one with OTP semantics: this strategy, `max` restarts in 5 s.
pub(crate) fn otp(strategy: Strategy, max: u32) -> impl Fn(&mut Group) {
    move |group| {
        group.otp = true;
        group.strategy = strategy;
        group.intensity = Some(Intensity { max, within: Duration::from_secs(5) });
    }
}
