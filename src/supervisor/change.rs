//! The administrative calls of OTP's supervisor: start_child, terminate_child, restart_child, delete_child.
//!
//! Invariant: a refused call changes nothing. A call that is taken never counts as a restart (I09). Calls are
//! serialised by their nature (C24): each is one event of the core.

use super::service::Goal;
use super::spec::{AutoShutdown, Child, ChildId, Group, Node, Restart, Strategy};
use super::{Action, Supervisor, shape, standing::Standing};
use crate::time::Instant;

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A new member of its group, the newest in its order, started at once (C12). If this first start fails, it
    /// is removed again (C15).
    StartChild(Box<Child>),
    /// Stopped until somebody starts it; removed when it is temporary and was added, or a member of a pool (C02).
    Terminate(Node),
    /// Started again, if it is down (C07).
    RestartChild(Node),
    /// Removed, if it is down (C11).
    DeleteChild(ChildId),
}

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A child of this name runs (C01).
    AlreadyStarted(ChildId),
    /// A child of this name is there and does not run (C06).
    AlreadyPresent(ChildId),
    /// It runs (C08, C11).
    Running,
    /// It waits for its next try (C10, C11).
    Restarting,
    /// There is no such node (C04, C09).
    NotFound,
    /// Its group is down: there is no such supervisor (C13).
    GroupDown,
    /// Its group is a pool, whose members have no names (D02, D06).
    Pool,
    /// The pool is full: it may have so many members (D20).
    MaxChildren(u32),
    /// The child's policy contradicts that of its group (B05, D30).
    BadSpec(Flaw),
    /// Everything goes down.
    Ending,
}

/// What is wrong with a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// A significant child in a group that never shuts down by itself (B05).
    SignificantWithoutAutoShutdown,
    /// A significant child that is permanent never ends by itself (B05).
    SignificantPermanent,
    /// A significant child in a pool (D30).
    SignificantInPool,
    /// A pool that shuts down by itself (M07).
    PoolAutoShutdown,
    /// A pool with another strategy than one_for_one (D30).
    PoolStrategy,
    /// A window of no length (A08).
    PeriodZero,
    /// Two children, or two groups, of one name (A17).
    Duplicate,
    /// It names a group or a child that is not there, or is a member of two groups.
    Broken,
}

impl Supervisor {
    /// Takes a call or refuses it, as of `now`; answers with the node that it is about.
    ///
    /// What follows is appended to `actions`, and is not done yet when this returns: whoever carries them out
    /// can make room for a new child first. Whether a start succeeds is told later, by reports.
    ///
    /// # Errors
    /// [`Refused`]: nothing was changed.
    pub fn change(
        &mut self,
        now: Instant,
        change: Change,
        actions: &mut Vec<Action>,
    ) -> Result<Node, Refused> {
        if self.ending.is_some() || self.ended {
            return Err(Refused::Ending);
        }
        self.turn(now, actions, |supervisor| match change {
            Change::StartChild(child) => supervisor.start_child(*child),
            Change::Terminate(node) => supervisor.terminate(node),
            Change::RestartChild(node) => supervisor.start_again(node),
            Change::DeleteChild(child) => supervisor.delete(child),
        })
    }

    fn start_child(&mut self, mut policy: Child) -> Result<Node, Refused> {
        let group = policy.group.0 as usize;
        let node = self.shape.node(Node::Group(policy.group)).ok_or(Refused::NotFound)?;
        if self.is_down(node) {
            return Err(Refused::GroupDown);
        }
        if let Some(flaw) = flaw_of_member(policy.significant, policy.restart, &self.tree.groups[group]) {
            return Err(Refused::BadSpec(flaw));
        }
        if policy.needs.iter().any(|needed| self.shape.node(*needed).is_none()) {
            return Err(Refused::BadSpec(Flaw::Broken));
        }
        if let Some(there) = self.child_named(&policy.name) {
            return Err(match self.standing(Node::Child(there)) {
                Standing::Running => Refused::AlreadyStarted(there),
                Standing::Restarting | Standing::Undefined => Refused::AlreadyPresent(there),
            });
        }
        if let Some(max) = self.tree.groups[group].pool.and_then(|pool| pool.max_children)
            && self.shape.member_count(group) >= max as usize
        {
            return Err(Refused::MaxChildren(max));
        }
        policy.added = true;
        let child = self.add_child(policy);
        (self.services[child].commanded, self.services[child].fresh) = (true, true);
        self.set_goal(child, Goal::Up);
        self.start(child);
        self.touch(child);
        Ok(shape::name(child))
    }

    /// Whether `group`, a node, is down, or one that it is in: then there is no such supervisor.
    fn is_down(&self, group: usize) -> bool {
        let down = |group: usize| {
            let run = &self.groups[group];
            run.stopped || run.doomed || self.group_standing(group) != Standing::Running
        };
        self.shape.as_group(group).is_some_and(down) || self.shape.above(group).any(down)
    }

    /// The node that a call is about: it is there, and so is its supervisor (C13).
    fn called(&self, name: Node) -> Result<usize, Refused> {
        let node = self.shape.node(name).ok_or(Refused::NotFound)?;
        match self.shape.parent(node) {
            Some(parent) if self.is_down(self.shape.group_node(parent)) => Err(Refused::GroupDown),
            _ => Ok(node),
        }
    }

    fn terminate(&mut self, name: Node) -> Result<Node, Refused> {
        let node = self.called(name)?;
        self.want_down(node);
        Ok(name)
    }

    fn start_again(&mut self, name: Node) -> Result<Node, Refused> {
        let node = self.called(name)?;
        self.refuse_in_pool(node)?;
        match self.standing(name) {
            Standing::Running => Err(Refused::Running),
            Standing::Restarting => Err(Refused::Restarting),
            Standing::Undefined => {
                if let Node::Child(child) = name {
                    self.services[child.0 as usize].commanded = true;
                }
                self.start(node);
                Ok(name)
            }
        }
    }

    fn delete(&mut self, child: ChildId) -> Result<Node, Refused> {
        let name = Node::Child(child);
        let node = self.called(name)?;
        self.refuse_in_pool(node)?;
        match self.standing(name) {
            Standing::Running => Err(Refused::Running),
            Standing::Restarting => Err(Refused::Restarting),
            Standing::Undefined => {
                self.let_leave(node);
                Ok(name)
            }
        }
    }

    fn refuse_in_pool(&self, node: usize) -> Result<(), Refused> {
        let pool = self.shape.parent(node).and_then(|parent| self.tree.groups[parent].pool);
        if pool.is_some() { Err(Refused::Pool) } else { Ok(()) }
    }
}

/// What is wrong with a member of `group` that is (or is not) significant and has this restart type.
pub(super) fn flaw_of_member(significant: bool, restart: Restart, group: &Group) -> Option<Flaw> {
    if !significant {
        None
    } else if group.pool.is_some() {
        Some(Flaw::SignificantInPool)
    } else if restart == Restart::Permanent {
        Some(Flaw::SignificantPermanent)
    } else if group.auto_shutdown == AutoShutdown::Never {
        Some(Flaw::SignificantWithoutAutoShutdown)
    } else {
        None
    }
}

/// What is wrong with `group` itself.
pub(super) fn flaw_of_group(group: &Group) -> Option<Flaw> {
    if group.intensity.is_some_and(|intensity| intensity.within.is_zero()) {
        Some(Flaw::PeriodZero)
    } else if group.pool.is_some() && group.auto_shutdown != AutoShutdown::Never {
        Some(Flaw::PoolAutoShutdown)
    } else if group.pool.is_some() && group.strategy != Strategy::OneForOne {
        Some(Flaw::PoolStrategy)
    } else {
        None
    }
}
