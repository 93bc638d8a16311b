//! Members of a group go down together; what follows when the last of them is gone.
//!
//! Invariant: `remaining` of a falling group is the number of members it holds down that still have a
//! process, so that nobody has to look whether it is over. A death while held never counts (G05).

use super::facts::Facts;
use super::group::{Phase, Then, Why};
use super::service::Goal;
use super::shape::GROUP;
use super::spec::Restart;
use super::{End, GroupReport, Supervisor, Work};

impl Supervisor {
    /// Takes down the members of `group` from position `from` on, newest first; `then` says what follows.
    ///
    /// A group that falls or waits already goes on with that: a new failure joins it, and the delay of the
    /// first one governs.
    pub(super) fn fall(&mut self, group: usize, from: usize, then: Then) {
        let then = match (self.groups[group].phase, then) {
            (Phase::Falling { then: Then::Restart(until), .. }, Then::Restart(_)) => Then::Restart(until),
            (Phase::BackingOff { until, fresh: false, .. }, Then::Restart(_)) => Then::Restart(Some(until)),
            (_, then) => then,
        };
        let mut remaining = 0;
        for position in (0..self.shape.positions(group)).rev() {
            let Some(member) = self.shape.member(group, position) else { continue };
            if position >= from {
                self.nodes[member].behind = false;
            }
            if position >= from && !self.nodes[member].held {
                self.hold(group, member, then);
            }
            let counts = self.nodes[member].held && self.nodes[member].facts.has(Facts::ALIVE);
            remaining += u32::from(counts);
        }
        self.set_group_phase(group, Phase::Falling { remaining, then });
        if remaining == 0 {
            self.work.push_front(Work::Fallen(group as u32));
        }
    }

    fn hold(&mut self, group: usize, member: usize, then: Then) {
        self.nodes[member].held = true;
        if self.shape.ordered(group) {
            self.groups[group].line.remove(self.shape.position(member));
        }
        // Its own next try is part of the restart that follows.
        if self.nodes[member].retry.take().is_some() && self.shape.is_child(member) {
            self.services[member].not_before = None;
        }
        // A temporary bystander is dropped, not started again (E09).
        if self.shape.is_child(member)
            && self.tree.groups[group].otp
            && matches!(then, Then::Restart(_))
            && self.tree.children[member].restart == Restart::Temporary
        {
            if !self.is_alive(member) {
                self.let_leave(member);
                return;
            }
            if self.services[member].goal == Goal::Up {
                self.services[member].goal = Goal::Done { clean: false };
            }
        }
        self.refresh_below(member);
        self.touch_last_first(member);
    }

    /// The last member that had to go down is gone.
    pub(super) fn fallen(&mut self, group: usize) {
        let Phase::Falling { remaining: 0, then } = self.groups[group].phase else { return };
        let node = self.shape.group_node(group);
        if self.ending.is_some() || self.is_held(node) {
            // Whoever holds this group down starts it afresh.
            return;
        }
        match then {
            Then::Restart(Some(until)) if until >= self.now => {
                self.set_group_phase(group, Phase::BackingOff { until, fresh: false });
            }
            Then::Restart(_) => self.let_go(group),
            Then::Fresh => self.begin_afresh(group),
            Then::Rest => self.open(group),
            Then::End(End::StartFailed(by)) => self.group_start_failed(group, by),
            Then::End(end) => self.group_ended(group, end),
            Then::Park => {
                self.set_group_phase(group, Phase::Closed(Why::GaveUp));
                self.report_group(group, GroupReport::GaveUp);
            }
        }
    }

    /// The wait of `group` is over.
    pub(super) fn group_deadline(&mut self, group: usize) {
        let node = self.shape.group_node(group);
        if self.is_held(node) {
            // Whoever holds this group down starts it afresh.
            return;
        }
        if let Phase::BackingOff { fresh, .. } = self.groups[group].phase {
            match self.nodes[node].retry.take() {
                Some(by) if fresh => self.try_again(node, by),
                _ if fresh => self.begin_afresh(group),
                _ => self.let_go(group),
            }
        }
    }

    /// Starts the members that it holds down again, as the strategy says.
    pub(super) fn let_go(&mut self, group: usize) {
        self.set_group_phase(group, Phase::Open);
        for position in 0..self.shape.positions(group) {
            let Some(member) = self.shape.member(group, position) else { continue };
            if !self.nodes[member].held {
                continue;
            }
            // A temporary member is not started again (E09).
            let otp = self.tree.groups[group].otp;
            match self.shape.as_group(member) {
                Some(inner) if otp && self.tree.groups[inner].restart == Restart::Temporary => {
                    self.nodes[member].held = false;
                    self.close(inner, Why::Finished);
                    self.let_group_leave(inner);
                    continue;
                }
                Some(_) => self.release(member, true),
                None => {
                    let temporary = otp && self.tree.children[member].restart == Restart::Temporary;
                    self.release(member, !temporary);
                }
            }
            self.join_line(group, member);
        }
        if self.shape.ordered(group) {
            self.call_next(group);
        }
    }

    /// Starts `group` with all its members, as if it had never run: its window is empty, whoever finished runs
    /// again. Who gave up, or was stopped as a whole, stays down. Under OTP semantics whoever was added is gone (L02).
    pub(super) fn begin_afresh(&mut self, group: usize) {
        let otp = self.tree.groups[group].otp;
        let run = &mut self.groups[group];
        run.window.clear();
        run.healthy = None;
        (run.stopped, run.stopped_meanwhile) = (false, false);
        run.line.clear();
        self.nodes[group | GROUP].retry = None;
        self.set_group_phase(group, Phase::Open);
        self.groups[group].initial = otp && self.shape.ordered(group);
        if otp && self.booted {
            self.begin_with_list(group);
        }
        for position in 0..self.shape.positions(group) {
            if let Some(member) = self.shape.member(group, position) {
                self.release(member, true);
            }
        }
        self.line_up(group);
    }

    /// No longer holds `member` down; `again`: it runs again, also when it had finished.
    fn release(&mut self, member: usize, again: bool) {
        self.nodes[member].held = false;
        self.nodes[member].behind = false;
        let Some(inner) = self.shape.as_group(member) else {
            self.release_child(member, again);
            return;
        };
        let otp = self.shape.parent(member).is_some_and(|group| self.tree.groups[group].otp);
        match self.groups[inner].phase {
            // OTP starts every member it has a policy of (L02).
            Phase::Closed(Why::GaveUp) if !otp => {
                // Nobody may think that its members have done their work.
                self.each_below(member, |supervisor, child| {
                    if again && matches!(supervisor.services[child].goal, Goal::Done { .. }) {
                        supervisor.set_goal(child, Goal::Up);
                    }
                });
                self.refresh_below(member);
            }
            // So does what was stopped, as a whole: under OTP semantics only during this fall.
            _ if self.groups[inner].stopped && (!otp || self.groups[inner].stopped_meanwhile) => {
                self.open(inner);
                self.each_below(member, |supervisor, child| {
                    supervisor.services[child].stopped_meanwhile = false;
                });
                self.each_inner(inner, &mut |supervisor, inner| {
                    supervisor.groups[inner].stopped_meanwhile = false;
                });
            }
            _ => {
                self.groups[inner].commanded = false;
                self.begin_afresh(inner);
            }
        }
    }

    fn release_child(&mut self, child: usize, again: bool) {
        let otp = self.shape.parent(child).is_some_and(|parent| self.tree.groups[parent].otp);
        let autostart = self.tree.children[child].autostart || self.tree.children[child].added;
        let service = &mut self.services[child];
        service.not_before = None;
        service.commanded = false;
        let stopped_meanwhile = std::mem::replace(&mut service.stopped_meanwhile, false);
        let goal = match service.goal {
            _ if service.doomed || stopped_meanwhile => service.goal,
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
        self.each_inner(group, &mut |supervisor, inner| {
            let over = matches!(
                supervisor.groups[inner].phase,
                Phase::Falling { remaining: 0, .. } | Phase::BackingOff { .. }
            );
            if inner == group || over {
                supervisor.open_one(inner);
            }
        });
    }

    fn open_one(&mut self, group: usize) {
        self.set_group_phase(group, Phase::Open);
        for position in 0..self.shape.positions(group) {
            let Some(member) = self.shape.member(group, position) else { continue };
            self.nodes[member].held = false;
            self.nodes[member].behind = false;
            self.refresh_below(member);
            self.touch(member);
        }
    }

    /// In a group with order: whoever has yet to come up starts one after the other.
    pub(super) fn line_up(&mut self, group: usize) {
        if !self.shape.ordered(group) {
            return;
        }
        for position in 0..self.shape.positions(group) {
            if let Some(member) = self.shape.member(group, position) {
                self.join_line(group, member);
            }
        }
        self.call_next(group);
    }

    /// `member` has yet to come up: it joins the line, if its group has one.
    pub(super) fn join_line(&mut self, group: usize, member: usize) {
        if self.shape.ordered(group) && self.nodes[member].facts.has(Facts::PENDING) {
            let position = self.shape.position(member);
            self.groups[group].line.reserve(position + 1);
            self.groups[group].line.insert(position);
        }
    }

    /// Brings the facts of all children below `node` up to date: what holds them changed.
    pub(super) fn refresh_below(&mut self, node: usize) {
        self.each_below_last_first(node, Supervisor::refresh);
    }

    /// Does `act` to `group` and all groups in it, each before those in it. Recursion is as deep as groups nest.
    pub(super) fn each_inner(&mut self, group: usize, act: &mut dyn FnMut(&mut Supervisor, usize)) {
        act(self, group);
        for position in 0..self.shape.positions(group) {
            let member = self.shape.member(group, position);
            if let Some(inner) = member.and_then(|member| self.shape.as_group(member)) {
                self.each_inner(inner, act);
            }
        }
    }
}
