//! What can be asked about members: OTP's which_children and count_children.

use super::group;
use super::service::{Goal, Phase};
use super::shape::{self, GROUP};
use super::spec::{ChildId, GroupId, Node};
use super::{Supervisor, facts::Facts};

/// What a member is doing, in the words of OTP's `which_children`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has a process; a group: it is there, whatever its members do.
    Running,
    /// It died and waits for its next try.
    Restarting,
    /// It has no process and waits for none of its own accord.
    Undefined,
}

/// OTP's `count_children`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many members have a policy of their own; a pool has one for all (D01).
    pub specs: u32,
    /// How many run.
    pub active: u32,
    /// How many are groups.
    pub supervisors: u32,
    /// How many are children.
    pub workers: u32,
}

impl Supervisor {
    /// All children that there are, by number.
    pub fn children(&self) -> impl Iterator<Item = ChildId> {
        let there = self.services.iter().enumerate().filter(|(_, service)| !service.is_gone());
        there.map(|(at, _)| ChildId(at as u32))
    }

    /// All groups that there are, by number.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        let all = (0..self.groups.len() as u32).map(GroupId);
        all.filter(|group| self.shape.node(Node::Group(*group)).is_some())
    }

    /// Whether this number names a child.
    pub fn is_child(&self, child: ChildId) -> bool {
        self.services.get(child.0 as usize).is_some_and(|service| !service.is_gone())
    }

    /// Whether the newest tree does not have this child, and OTP's rule kept it (N05): it goes when its group begins anew
    /// under OTP semantics, or when somebody deletes it.
    pub fn is_kept(&self, child: ChildId) -> bool {
        self.services.get(child.0 as usize).is_some_and(|service| service.kept)
    }

    /// The child of this name.
    pub fn child_named(&self, name: &str) -> Option<ChildId> {
        self.names.get(name).map(|child| ChildId(*child))
    }

    /// The members of `group`, oldest first.
    pub fn members(&self, group: GroupId) -> impl DoubleEndedIterator<Item = Node> {
        self.shape.members(group.0 as usize).map(shape::name)
    }

    /// What `node` is doing, in OTP's words.
    pub fn standing(&self, node: Node) -> Standing {
        let at = shape::number(node);
        match node {
            Node::Child(_) => self.child_standing(at),
            Node::Group(group) => self.group_standing(group.0 as usize),
        }
    }

    fn child_standing(&self, child: usize) -> Standing {
        let service = &self.services[child];
        match service.phase {
            phase if phase.alive() => Standing::Running,
            Phase::BackingOff { .. } => Standing::Restarting,
            _ if service.goal == Goal::Up && service.not_before.is_some() => Standing::Restarting,
            _ => Standing::Undefined,
        }
    }

    pub(super) fn group_standing(&self, group: usize) -> Standing {
        let run = &self.groups[group];
        match run.phase {
            group::Phase::Closed(_) => Standing::Undefined,
            _ if run.stopped && !self.is_alive(group | GROUP) => Standing::Undefined,
            group::Phase::BackingOff { fresh: true, .. } => Standing::Restarting,
            _ if self.nodes[group | GROUP].behind => Standing::Undefined,
            _ if self.waits_in_line(group | GROUP) && !self.is_alive(group | GROUP) => Standing::Undefined,
            _ => Standing::Running,
        }
    }

    /// Whether `node` is held down, or others of its group come up before it does.
    fn waits_in_line(&self, node: usize) -> bool {
        let Some(parent) = self.shape.parent(node) else { return false };
        let line = &self.groups[parent].line;
        let position = self.shape.position(node);
        self.nodes[node].held || line.first().is_some_and(|first| first < position)
    }

    /// How many members `group` has, and how many of them run.
    pub fn count(&self, group: GroupId) -> Counts {
        let at = group.0 as usize;
        let (members, workers) = (self.shape.member_count(at) as u32, self.groups[at].workers);
        let supervisors = members - workers;
        let active = match supervisors {
            0 => self.groups[at].counts[Facts::ALIVE.bit()],
            _ => {
                let running = self.members(group).filter(|node| self.standing(*node) == Standing::Running);
                running.count() as u32
            }
        };
        let specs = if self.tree.groups[at].pool.is_some() { 1 } else { members };
        Counts { specs, active, supervisors, workers }
    }
}
