//! Numbers of children and groups that are gone are given again, so that nothing grows however often members change.
//!
//! Invariant: a number names nobody from its removal until somebody says that nobody remembers whom it named; and when it
//! is given again, nothing in here remembers that either.

use super::group::Group;
use super::service::Service;
use super::shape::{self, GROUP};
use super::spec::{self, Child, ChildId, GroupId};
use super::{Member, Supervisor};
use std::sync::Arc;

impl Supervisor {
    /// The number of a removed child may name another one from now on. Changes nothing about one that is there.
    ///
    /// The driver calls it when nobody remembers the old one any more.
    pub fn recycle(&mut self, child: ChildId) {
        if let Some(service) = self.services.get_mut(child.0 as usize)
            && service.vacant
            && !std::mem::replace(&mut service.free, true)
        {
            self.free.push(child.0);
        }
    }

    /// Numbers of removed groups that wait for [`Supervisor::recycle_group`].
    pub fn vacant_groups(&self) -> impl Iterator<Item = GroupId> {
        let waits = |group: &Group| group.vacant && !group.free;
        let all = self.groups.iter().enumerate().filter(move |(_, group)| waits(group));
        all.map(|(at, _)| GroupId(at as u32))
    }

    /// As [`Supervisor::recycle`], for a group.
    pub fn recycle_group(&mut self, group: GroupId) {
        if let Some(run) = self.groups.get_mut(group.0 as usize)
            && run.vacant
            && !std::mem::replace(&mut run.free, true)
        {
            self.free_groups.push(group.0);
            // Also in a wish that could not be granted, and in lists of groups that it had been moved out of.
            let name = shape::name(group.0 as usize | GROUP);
            self.tree.children.iter_mut().for_each(|child| child.needs.retain(|need| *need != name));
            self.tree.groups.iter_mut().for_each(|other| other.after.retain(|earlier| *earlier != name));
            let node = shape::number(name) as u32;
            self.groups.iter_mut().for_each(|other| other.list.retain(|listed| *listed != node));
        }
    }

    /// A slot for `policy`, which is no member of its group yet.
    pub(super) fn make_child(&mut self, policy: Child) -> usize {
        let service = Service::new(&policy);
        let child = match self.free.pop() {
            Some(child) => {
                let child = child as usize;
                self.leave_rolls(child);
                self.services[child] = service;
                self.nodes[child] = Member::default();
                self.tree.children[child] = self.policies.keep(policy);
                child
            }
            None => {
                self.services.push(service);
                self.nodes.children.push(Member::default());
                let kept = self.policies.keep(policy);
                self.tree.children.push(kept);
                self.shape.add_child();
                self.deadlines.add_child();
                self.services.len() - 1
            }
        };
        self.names.insert(Arc::clone(&self.tree.children[child].name), child as u32);
        child
    }

    /// A slot for a group, which is nowhere yet and has no policy.
    pub(super) fn make_group(&mut self) -> usize {
        let (run, policy) = (Group::new(&spec::Group::default()), spec::Group::default());
        match self.free_groups.pop() {
            Some(group) => {
                let group = group as usize;
                (self.groups[group], self.tree.groups[group]) = (run, policy);
                group
            }
            None => {
                self.groups.push(run);
                self.tree.groups.push(policy);
                self.nodes.groups.push(Member::default());
                self.deadlines.add_group();
                self.groups.len() - 1
            }
        }
    }
}
