//! Members come and go while the tree runs.
//!
//! Invariant: a child is removed only when nothing of its last life is left (S3), and its number names nobody
//! from then on until [`Supervisor::recycle`]: late news of it reach nobody. So it is with the number of a group.

use super::facts::Facts;
use super::service::{Goal, Phase, Rest};
use super::shape::{self, GROUP};
use super::spec::{Child, Group, GroupId, Restart};
use super::standing::Standing;
use super::{ChildReport, Member, Supervisor, group};
use std::collections::HashSet;
use std::sync::Arc;

impl Supervisor {
    /// Adds a child as the newest member of its group, with its needs. It does nothing yet.
    pub(super) fn add_child(&mut self, policy: Child) -> usize {
        let group = policy.group.0 as usize;
        let child = self.make_child(policy);
        self.make_room(group);
        let position = self.shape.append(group, child);
        if self.shape.ordered(group) {
            self.groups[group].line.reserve(position + 1);
            self.groups[group].leaving.reserve(position + 1);
        }
        for at in 0..self.tree.children[child].needs.len() {
            let needed = shape::number(self.tree.children[child].needs[at]);
            if !self.waits_on_group(needed, group) {
                self.shape.connect(child, needed);
            }
        }
        // It goes the way of its group: a group that is on its way down or back takes it along.
        self.nodes[child].held = self.groups[group].phase != group::Phase::Open;
        // Whoever comes after this group began long ago.
        self.services[child].tried = true;
        self.nodes[child].facts = self.child_facts(child);
        self.count_in(child);
        self.count_needs(child);
        child
    }

    /// Closes the holes among the members of `group` when there are many.
    fn make_room(&mut self, group: usize) {
        if !self.shape.is_sparse(group) {
            return;
        }
        let run = &self.groups[group];
        let members: Vec<usize> = self.shape.members(group).collect();
        let of = |positions: &super::positions::Positions| -> Vec<usize> {
            let there = |node: &&usize| positions.contains(self.shape.position(**node));
            members.iter().filter(there).copied().collect()
        };
        let (line, leaving) = (of(&run.line), of(&run.leaving));
        self.shape.close_holes(group);
        let run = &mut self.groups[group];
        run.line.clear();
        run.leaving.clear();
        line.iter().for_each(|node| run.line.insert(self.shape.position(*node)));
        leaving.iter().for_each(|node| run.leaving.insert(self.shape.position(*node)));
    }

    /// Whether `node` cannot be there before `group` is: then a new member of that group must not wait for it. Whoever
    /// left a group waits again when that begins a new life (L02), so it counts as a member here.
    fn waits_on_group(&self, node: usize, group: usize) -> bool {
        let around: Vec<usize> = std::iter::once(group | GROUP)
            .chain(self.shape.above(group | GROUP).map(|group| group | GROUP))
            .collect();
        let mut seen = HashSet::from([node]);
        let mut todo = vec![node];
        while let Some(node) = todo.pop() {
            if around.contains(&node) {
                return true;
            }
            let needs = |node: usize| self.shape.needs(node).iter().map(|needed| *needed as usize);
            let mut next: Vec<usize> = needs(node).collect();
            // Up to the first group that is around both: what its groups come after, and whoever is before it where
            // members start one by one.
            let mut inner = node;
            while let Some(parent) = self.home(inner) {
                if self.shape.ordered(parent) {
                    next.extend(
                        self.members_in_time(parent).into_iter().take_while(|member| *member != inner),
                    );
                }
                inner = parent | GROUP;
                if around.contains(&inner) {
                    break;
                }
                next.extend(needs(inner));
            }
            if let Some(group) = self.shape.as_group(node) {
                next.extend(self.members_in_time(group));
            }
            todo.extend(next.into_iter().filter(|node| seen.insert(*node)));
        }
        false
    }

    /// Whether the tree runs without being told of `child` by its file: somebody added it, or a reload kept it (N05). Then it
    /// is in no list that a group begins with.
    pub(super) fn is_extra(&self, child: usize) -> bool {
        self.tree.children[child].added || self.services[child].kept
    }

    /// The members of `group` and those that left it for a while, in the order of its next life.
    fn members_in_time(&self, group: usize) -> Vec<usize> {
        match self.groups[group].list.iter().any(|node| self.has_left(*node as usize)) {
            true => self.members_by_list(group),
            false => self.shape.members(group).collect(),
        }
    }

    /// The list of `group`, as far as it is there or may come back, and then who is in it beside that.
    pub(super) fn members_by_list(&self, group: usize) -> Vec<usize> {
        let list: Vec<usize> = self.groups[group].list.iter().map(|node| *node as usize).collect();
        let listed: HashSet<usize> = list.iter().copied().collect();
        let others = self.shape.members(group).filter(|node| !listed.contains(node));
        let there = |node: &usize| self.shape.parent(*node) == Some(group) || self.has_left(*node);
        list.into_iter().filter(there).chain(others).collect()
    }

    /// Whether `node` left its group, and is in it again when that begins a new life.
    fn has_left(&self, node: usize) -> bool {
        match self.shape.as_group(node) {
            Some(group) => self.groups[group].dormant,
            None => self.services[node].dormant,
        }
    }

    /// The group that `node` is a member of, or left for a while.
    fn home(&self, node: usize) -> Option<usize> {
        let home = match self.shape.as_group(node) {
            Some(group) => self.tree.groups[group].parent,
            None => Some(self.tree.children[node].group),
        };
        home.map(|group| group.0 as usize)
    }

    /// Removes a child that is down when its kind is not kept: it was told to go, it is temporary and either
    /// was added or obeys OTP (E07), or it is one of a pool.
    pub(super) fn vanish(&mut self, child: usize, rest: Rest) {
        let Some(parent) = self.shape.parent(child).filter(|_| self.ending.is_none()) else { return };
        let (policy, group) = (&self.tree.children[child], &self.tree.groups[parent]);
        let over = matches!(rest, Rest::Finished | Rest::Stopped);
        let temporary = policy.restart == Restart::Temporary && (self.is_extra(child) || group.otp);
        if self.services[child].doomed || (over && (temporary || group.pool.is_some())) {
            self.let_leave(child);
        }
    }

    /// Remembers what groups with OTP semantics begin with.
    pub(super) fn make_lists(&mut self) {
        for group in 0..self.groups.len() {
            // One that a reload kept keeps its own, but for those who were moved away.
            if self.groups[group].kept {
                let mut list = std::mem::take(&mut self.groups[group].list);
                list.retain(|node| {
                    let node = *node as usize;
                    self.shape.parent(node) == Some(group) || self.has_left(node)
                });
                self.groups[group].list = list;
                continue;
            }
            let otp = self.tree.groups[group].otp;
            // Who is about to be removed never comes back either.
            let kept = |node: usize| match self.shape.as_group(node) {
                Some(inner) => self.groups[inner].kept || self.groups[inner].doomed,
                None => self.is_extra(node) || self.services[node].doomed,
            };
            let declared = |node: &usize| otp && !kept(*node);
            let list = self.shape.members(group).filter(declared).map(|node| node as u32);
            self.groups[group].list = list.collect();
        }
    }

    /// A child of which nothing is left leaves its group: until that begins a new life, if it is in the list
    /// that a group with OTP semantics starts from; else for good.
    pub(super) fn let_leave(&mut self, child: usize) {
        let parent = self.shape.parent(child);
        let listed = parent.is_some_and(|group| self.tree.groups[group].otp);
        if !listed || self.is_extra(child) || self.services[child].doomed {
            self.remove_child(child);
            return;
        }
        self.services[child].goal = Goal::Down;
        self.services[child].tried = true;
        self.set_phase(child, Phase::Idle(Rest::Stopped));
        self.detach(child);
        self.services[child].dormant = true;
        self.report_child(child, ChildReport::Left);
        self.wake_dependents(child);
        self.names.remove(&self.tree.children[child].name);
    }

    /// The same for a group that ended, or was stopped, and is not kept by its parent (E07).
    pub(super) fn let_group_leave(&mut self, group: usize) {
        let node = self.shape.group_node(group);
        let Some(parent) = self.shape.parent(node) else { return };
        let temporary = self.tree.groups[group].restart == Restart::Temporary;
        let leaves = temporary && self.tree.groups[parent].otp && self.ending.is_none();
        if !leaves || self.is_alive(node) {
            return;
        }
        if self.groups[group].kept {
            // No list has it: it would never come back.
            self.remove_all(node);
            return;
        }
        self.detach(node);
        self.groups[group].dormant = true;
    }

    /// Nobody waits for `node`, which is not there.
    fn wake_dependents(&mut self, node: usize) {
        let dependents = self.shape.dependents(node).to_vec();
        self.wake(dependents);
    }

    fn wake(&mut self, dependents: Vec<u32>) {
        for dependent in dependents {
            self.count_needs(dependent as usize);
            self.touch(dependent as usize);
        }
    }

    /// `node` is no member of its group any more.
    fn detach(&mut self, node: usize) {
        if let Some(parent) = self.shape.parent(node) {
            if self.groups[parent].line.remove(self.shape.position(node)) {
                self.call_next(parent);
            }
            self.count_out(node);
            self.shape.detach(node);
            self.nodes[node].held = false;
            self.nodes[node].behind = false;
        }
    }

    /// Makes the members of `group`, of which nothing runs, those that it was declared with, in their order: whoever
    /// was added is gone, whoever had left is back. Only under OTP semantics.
    pub(super) fn begin_with_list(&mut self, group: usize) {
        let as_declared = |run: &super::group::Group| {
            self.shape.members(group).eq(run.list.iter().map(|node| *node as usize))
        };
        if as_declared(&self.groups[group]) || self.is_alive(group | GROUP) {
            return;
        }
        let list = std::mem::take(&mut self.groups[group].list);
        let declared: HashSet<usize> = list.iter().map(|node| *node as usize).collect();
        let added: Vec<usize> = self.shape.members(group).filter(|node| !declared.contains(node)).collect();
        for node in added {
            self.remove_all(node);
        }
        for node in &list {
            let node = *node as usize;
            // Somebody else bears its name now: it cannot be there again.
            if self.shape.is_child(node) && self.services[node].dormant && self.is_name_taken(node) {
                self.remove_child(node);
            } else {
                self.come_back(group, node);
            }
        }
        // A reload may have put one of the list elsewhere.
        let mut order = list.clone();
        order.retain(|node| self.shape.parent(*node as usize) == Some(group));
        let others = self.shape.members(group).filter(|node| !declared.contains(node));
        order.extend(others.map(|node| node as u32));
        self.shape.reorder(group, order.clone());
        order.retain(|node| declared.contains(&(*node as usize)));
        self.groups[group].list = order;
    }

    fn is_name_taken(&self, child: usize) -> bool {
        self.names.contains_key(&self.tree.children[child].name)
    }

    /// Removes everything in `node`, of which nothing runs, and it.
    fn remove_all(&mut self, node: usize) {
        let Some(group) = self.shape.as_group(node) else {
            self.remove_child(node);
            return;
        };
        self.groups[group].doomed = true;
        let members: Vec<usize> = self.shape.members(group).collect();
        for member in members {
            self.remove_all(member);
        }
        self.remove_if_empty(group);
    }

    /// Before a reload: whoever had left is a member again, and down. Who they are.
    pub(super) fn wake_all(&mut self) -> HashSet<usize> {
        let mut woken = HashSet::new();
        for group in 0..self.groups.len() {
            for at in 0..self.groups[group].list.len() {
                let node = self.groups[group].list[at] as usize;
                let left = self.has_left(node);
                let taken = left && self.shape.is_child(node) && !self.gives_way(group, node);
                if left && taken {
                    self.remove_child(node);
                } else if left {
                    self.come_back(group, node);
                    if self.shape.is_child(node) {
                        self.services[node].goal = Goal::Down;
                    }
                    woken.insert(node);
                }
            }
        }
        woken
    }

    /// Whether nobody has the name of `child`, which left `group`. Whoever is in that beside its list goes with its life,
    /// which is over when the group is down (L02).
    fn gives_way(&mut self, group: usize, child: usize) -> bool {
        let name = &self.tree.children[child].name;
        let Some(other) = self.names.get(name).map(|other| *other as usize) else { return true };
        let extra = self.is_extra(other) && self.shape.parent(other) == Some(group);
        let idle = !self.is_alive(group | GROUP) && self.group_standing(group) == Standing::Undefined;
        if extra && idle {
            self.remove_child(other);
        }
        extra && idle
    }

    /// A member that had left is back, and down.
    pub(super) fn come_back(&mut self, group: usize, node: usize) {
        match self.shape.as_group(node) {
            None => {
                if !std::mem::replace(&mut self.services[node].dormant, false) {
                    return;
                }
                self.names.insert(Arc::clone(&self.tree.children[node].name), node as u32);
                // As one that is done: the new life of the group starts it again.
                let starts = self.tree.children[node].autostart;
                self.services[node].goal = if starts { Goal::Done { clean: true } } else { Goal::Down };
            }
            Some(inner) => {
                if !std::mem::replace(&mut self.groups[inner].dormant, false) {
                    return;
                }
            }
        }
        let position = self.shape.append(group, node);
        self.groups[group].line.reserve(position + 1);
        self.groups[group].leaving.reserve(position + 1);
        if self.shape.is_child(node) {
            self.nodes[node].facts = self.child_facts(node);
        }
        self.count_in(node);
        self.wake_dependents(node);
    }

    /// Removes a child of which nothing is left, for good.
    pub(super) fn remove_child(&mut self, child: usize) {
        self.services[child].goal = Goal::Down;
        self.set_phase(child, Phase::Idle(Rest::Stopped));
        self.report_child(child, ChildReport::Removed);
        let parent = self.shape.parent(child);
        if let Some(parent) = parent.filter(|_| !self.is_extra(child)) {
            // The number may name a stranger when the group begins anew.
            self.groups[parent].list.retain(|listed| *listed as usize != child);
        }
        self.detach(child);
        let dependents = self.shape.dependents(child).to_vec();
        self.shape.disconnect(child);
        for dependent in &dependents {
            if let Some(policy) = self.tree.children.get_mut(*dependent as usize) {
                policy.needs.retain(|needed| *needed != shape::name(child));
            }
        }
        self.wake(dependents);
        let nobody = self.policies.keep(Child::default());
        let name = std::mem::replace(&mut self.tree.children[child], nobody).name;
        if self.names.get(&name) == Some(&(child as u32)) {
            self.names.remove(&name);
        }
        let service = &mut self.services[child];
        (service.vacant, service.dormant, service.doomed, service.ticket) = (true, false, false, 0);
        self.nodes[child] = Member::default();
        if let Some(parent) = parent {
            self.remove_if_empty(parent);
        }
    }

    /// A group that is no longer wanted goes with its last member.
    pub(super) fn remove_if_empty(&mut self, group: usize) {
        if !self.groups[group].doomed || self.shape.member_count(group) > 0 {
            return;
        }
        let node = self.shape.group_node(group);
        let parent = self.shape.parent(node);
        for left in std::mem::take(&mut self.groups[group].list) {
            // Whoever had left it never comes back.
            let left = left as usize;
            match self.shape.as_group(left) {
                None if self.services[left].dormant => self.remove_child(left),
                Some(inner) if self.groups[inner].dormant => self.remove_all(left),
                _ => {}
            }
        }
        self.detach(node);
        let dependents = self.shape.dependents(node).to_vec();
        self.shape.disconnect(node);
        self.wake(dependents);
        self.deadlines.set(node, None);
        // Its fall, if it was in one, concerns nobody.
        (self.groups[group].phase, self.groups[group].vacant) = (group::Phase::Open, true);
        // A parent, so that it is no root.
        // And its name, for what was told of it in this turn.
        let name = std::mem::take(&mut self.tree.groups[group].name);
        self.tree.groups[group] = Group { name, parent: Some(GroupId::ROOT), ..Group::default() };
        self.nodes[node] = Member::default();
        if let Some(parent) = parent {
            self.remove_if_empty(parent);
        }
    }

    /// Whether no group around `node` has left its own: else it is not in the tree, and nothing starts it.
    pub(super) fn is_attached(&self, node: usize) -> bool {
        let top = self.shape.above(node).last().or(self.shape.as_group(node));
        top.is_some_and(|top| self.shape.tops.contains(&(top as u32)))
    }

    /// Whether `node` has, or may have any moment, a process.
    pub(super) fn is_alive(&self, node: usize) -> bool {
        self.nodes[node].facts.has(Facts::ALIVE)
    }
}
