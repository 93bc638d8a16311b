//! Members of a group go down together; what follows when the last of them is gone.
//!
//! Invariant: `remaining` of a falling group is the number of members it holds down that still have a
//! process, so that nobody has to look whether it is over. A death while held never counts (G05).

use super::facts::Facts;
use super::group::{Phase, Then};
use super::service::Goal;
use super::spec::Restart;
use super::{GroupReport, Supervisor, Work};

impl Supervisor {
    /// Takes down the members of `group` from position `from` on, newest first; `then` says what follows.
    ///
    /// A group that falls or waits already goes on with that: a new failure joins it, and the delay of the
    /// first one governs.
    pub(super) fn fall(&mut self, group: usize, from: usize, then: Then) {
        let (held_from, then) = match (self.groups[group].phase, then) {
            (Phase::Falling { from, then: Then::Restart(until), .. }, Then::Restart(_)) => {
                (from, Then::Restart(until))
            }
            (Phase::BackingOff { from, until, fresh: false }, Then::Restart(_)) => {
                (from, Then::Restart(Some(until)))
            }
            (Phase::Falling { from, .. } | Phase::BackingOff { from, .. }, then) => (from, then),
            (Phase::GaveUp, then) => (0, then),
            (Phase::Open, then) => (self.shape.member_count(group) as u32, then),
        };
        let from = from.min(held_from as usize);
        for position in (from..held_from as usize).rev() {
            self.hold(group, position, then);
        }
        let fallen = from..self.shape.member_count(group);
        let alive =
            |position: &usize| self.nodes[self.shape.member(group, *position)].facts.has(Facts::ALIVE);
        let remaining = fallen.filter(alive).count() as u32;
        self.set_group_phase(group, Phase::Falling { from: from as u32, remaining, then });
        if remaining == 0 {
            self.work.push_front(Work::Fallen(group as u32));
        }
    }

    fn hold(&mut self, group: usize, position: usize, then: Then) {
        let member = self.shape.member(group, position);
        self.nodes[member].held = true;
        if self.shape.ordered(group) {
            self.groups[group].line.remove(position);
        }
        // A temporary bystander is dropped, not started again (E09).
        if self.shape.is_child(member)
            && self.tree.groups[group].otp
            && matches!(then, Then::Restart(_))
            && self.tree.children[member].restart == Restart::Temporary
            && self.services[member].goal == Goal::Up
        {
            self.services[member].goal = Goal::Done { clean: false };
        }
        self.refresh_below(member);
        self.touch_last_first(member);
    }

    /// The last member that had to go down is gone.
    pub(super) fn fallen(&mut self, group: usize) {
        let Phase::Falling { from, remaining: 0, then } = self.groups[group].phase else { return };
        let node = self.shape.group_node(group);
        if self.ending.is_some() || self.is_held(node) {
            // Whoever holds this group down starts it afresh.
            return;
        }
        match then {
            Then::Restart(Some(until)) if until >= self.now => {
                self.set_group_phase(group, Phase::BackingOff { from, until, fresh: false });
            }
            Then::Restart(_) => self.let_go(group, from as usize),
            Then::Fresh => self.begin_afresh(group),
            Then::Rest => self.open(group),
            Then::Escalate(by) => self.group_died(group, by),
            Then::StartFailed(by) => self.group_start_failed(group, by),
            Then::Park => {
                self.set_group_phase(group, Phase::GaveUp);
                self.report_group(group, GroupReport::GaveUp);
            }
        }
    }

    /// The wait of `group` is over.
    pub(super) fn group_deadline(&mut self, group: usize) {
        if let Phase::BackingOff { from, fresh, .. } = self.groups[group].phase {
            if fresh {
                self.begin_afresh(group);
            } else {
                self.let_go(group, from as usize);
            }
        }
    }

    /// Starts the members from position `from` on again, as the strategy says.
    pub(super) fn let_go(&mut self, group: usize, from: usize) {
        self.set_group_phase(group, Phase::Open);
        self.groups[group].initial = false;
        for position in from..self.shape.member_count(group) {
            let member = self.shape.member(group, position);
            let temporary = self.shape.is_child(member)
                && self.tree.children[member].restart == Restart::Temporary
                && self.tree.groups[group].otp;
            self.release(member, !temporary);
        }
        self.line_up(group, from);
    }

    /// Starts `group` with all its members, as if it had never run: its window is empty, whoever finished runs
    /// again. Who gave up stays down.
    pub(super) fn begin_afresh(&mut self, group: usize) {
        self.groups[group].window.clear();
        self.groups[group].healthy = None;
        self.set_group_phase(group, Phase::Open);
        for position in 0..self.shape.member_count(group) {
            let member = self.shape.member(group, position);
            self.release(member, true);
        }
        self.groups[group].initial = self.tree.groups[group].otp;
        self.line_up(group, 0);
    }

    /// No longer holds `member` down; `again`: it runs again, also when it had finished.
    fn release(&mut self, member: usize, again: bool) {
        self.nodes[member].held = false;
        let Some(inner) = self.shape.as_group(member) else {
            self.release_child(member, again);
            return;
        };
        if self.groups[inner].phase == Phase::GaveUp {
            self.refresh_below(member);
        } else {
            self.begin_afresh(inner);
        }
    }

    fn release_child(&mut self, child: usize, again: bool) {
        let otp = self.shape.parent(child).is_some_and(|parent| self.tree.groups[parent].otp);
        let autostart = self.tree.children[child].autostart;
        let service = &mut self.services[child];
        service.not_before = None;
        service.commanded = false;
        let goal = match service.goal {
            Goal::Done { .. } if again => Goal::Up,
            // OTP starts every child it has a spec of, also what was stopped by command (L02).
            Goal::Down if again && otp && autostart => Goal::Up,
            goal => goal,
        };
        service.goal = goal;
        self.refresh(child);
        self.touch_last(child);
    }

    /// No longer holds anybody down, and starts nobody: the group was stopped.
    ///
    /// That goes for the groups in it too, if their own fall is over and waited for this one.
    pub(super) fn open(&mut self, group: usize) {
        for at in self.shape.inner(group) {
            let inner = self.shape.groups_in_order[at] as usize;
            let over = matches!(
                self.groups[inner].phase,
                Phase::Falling { remaining: 0, .. } | Phase::BackingOff { .. }
            );
            if inner != group && !over {
                continue;
            }
            self.set_group_phase(inner, Phase::Open);
            for position in 0..self.shape.member_count(inner) {
                let member = self.shape.member(inner, position);
                self.nodes[member].held = false;
                self.refresh_below(member);
                self.touch(member);
            }
        }
    }

    /// In a group with order: whoever has yet to come up starts one after the other.
    pub(super) fn line_up(&mut self, group: usize, from: usize) {
        if !self.shape.ordered(group) {
            return;
        }
        for position in from..self.shape.member_count(group) {
            let member = self.shape.member(group, position);
            if self.nodes[member].facts.has(Facts::PENDING) {
                self.groups[group].line.insert(position);
            }
        }
        if self.groups[group].line.first().is_none() {
            self.groups[group].initial = false;
        }
    }

    /// Brings the facts of all children below `node` up to date: what holds them changed.
    pub(super) fn refresh_below(&mut self, node: usize) {
        for at in self.shape.below(node).rev() {
            self.refresh(self.shape.order[at] as usize);
        }
    }
}
