//! A life began or ended. Does the end count, is a limit reached, who falls with it?
//!
//! Invariant: each counted death is either recorded as a restart, in the member's own window and in its
//! group's, or parks the member, or ends the group (I01, S8). A death that was asked for never counts (G05,
//! I09).

use super::event::Cause;
use super::group::Then;
use super::service::{Force, Goal, Phase, Rest, is_abnormal};
use super::spec::{ChildId, DEFAULT_LIMIT, Intensity, OnLimit, Restart};
use super::{ChildReport, End, GroupReport, Supervisor, backoff, group, strategy};
use crate::time::{Duration, Instant};

impl Supervisor {
    /// exec was done.
    pub(super) fn started(&mut self, child: usize) {
        if self.services[child].phase != Phase::Launching {
            return;
        }
        let since = self.now;
        match self.tree.children[child].ready_within {
            Some(within) => self.set_phase(child, Phase::Starting { since, give_up_at: since + within }),
            None => {
                self.run(child, since);
                self.report_child(child, ChildReport::Up);
            }
        }
        // It may have become unwanted meanwhile.
        self.touch(child);
    }

    /// It says that it is ready.
    pub(super) fn became_ready(&mut self, child: usize) {
        if let Phase::Starting { since, .. } = self.services[child].phase {
            self.run(child, since);
            self.report_child(child, ChildReport::Ready { after: self.now.since(since) });
        }
    }

    fn run(&mut self, child: usize, since: Instant) {
        self.services[child].tried = true;
        self.services[child].commanded = false;
        self.set_phase(child, Phase::Running { since, healthy: self.now });
    }

    /// There is no process: the start failed before or at exec.
    pub(super) fn start_failed(&mut self, child: usize) {
        if self.services[child].phase != Phase::Launching {
            return;
        }
        let asked = !self.desired(child);
        self.report_child(child, ChildReport::StartFailed);
        self.dead(child, Phase::Idle(Rest::Unsettled));
        if !asked {
            self.failed_start(child, true, Some(self.now));
        }
    }

    /// The main process ended.
    pub(super) fn exited(&mut self, child: usize, cause: Cause, leftovers: bool) {
        let (since, healthy, sent, failed) = match self.services[child].phase {
            // The answer to the start was lost; the exit says enough.
            Phase::Launching => (self.now, None, None, false),
            Phase::Starting { since, .. } => (since, None, None, false),
            Phase::Running { since, healthy } => (since, Some(healthy), None, false),
            Phase::Stopping { since, force, failed } => (since, None, Some(force), failed),
            // This life ended before.
            Phase::Idle(_) | Phase::Waiting | Phase::BackingOff { .. } | Phase::Clearing { .. } => return,
        };
        let asked = !self.desired(child) || (sent.is_some() && !failed);
        let abnormal = failed || is_abnormal(&self.tree.children[child], cause);
        let lived = self.now.since(since);
        self.report_child(child, ChildReport::Exited { cause, lived, asked, abnormal });
        let after = if leftovers {
            Phase::Clearing { force: sent.unwrap_or_else(|| self.signal(child)) }
        } else {
            Phase::Idle(Rest::Unsettled)
        };
        self.dead(child, after);
        if asked {
            return;
        }
        match healthy {
            Some(healthy) => self.decide(child, abnormal, self.now.since(healthy), None),
            None => self.failed_start(child, abnormal, None),
        }
    }

    /// Nothing of this life is left.
    pub(super) fn cleared(&mut self, child: usize) {
        if let Phase::Clearing { .. } = self.services[child].phase {
            self.dead(child, Phase::Idle(Rest::Unsettled));
        }
    }

    fn dead(&mut self, child: usize, after: Phase) {
        self.services[child].bounce = false;
        self.services[child].tried = true;
        self.set_phase(child, after);
        self.touch(child);
    }

    /// It never was as good as it gets. `retry`: when it may be tried again at the earliest.
    fn failed_start(&mut self, child: usize, abnormal: bool, retry: Option<Instant>) {
        let otp = self.shape.parent(child).filter(|group| self.tree.groups[*group].otp);
        let commanded = std::mem::replace(&mut self.services[child].commanded, false);
        match otp {
            Some(group) if self.groups[group].initial && self.in_line(child, group) => {
                self.start_of_group_failed(group, child);
            }
            Some(_) if commanded => self.set_goal(child, Goal::Down),
            _ => {
                let counts_as_abnormal = abnormal || otp.is_some();
                self.decide(child, counts_as_abnormal, Duration::ZERO, retry);
            }
        }
    }

    /// A death that nobody asked for: the restart type decides.
    fn decide(&mut self, child: usize, abnormal: bool, healthy: Duration, retry: Option<Instant>) {
        match (self.tree.children[child].restart, abnormal) {
            (Restart::Permanent, _) | (Restart::Transient, true) => {
                self.member_died(child, ChildId(child as u32), healthy, retry);
            }
            (Restart::Transient, false) | (Restart::Temporary, _) => {
                self.set_goal(child, Goal::Done { clean: !abnormal });
            }
        }
    }

    /// A member (a child, or a group that ended) has to be started again, if the limits allow it.
    ///
    /// `by` is the child that caused it; `healthy` how long the member had been as good as it gets; `retry`
    /// the earliest moment of the next try, `None` for at once.
    pub(super) fn member_died(
        &mut self,
        node: usize,
        by: ChildId,
        healthy: Duration,
        retry: Option<Instant>,
    ) {
        let Some(parent) = self.shape.parent(node) else {
            self.end(End::LimitReached(Some(by)));
            return;
        };
        let limit = self.counted_limit(node);
        if !self.nodes[node].window.allow(limit, self.now) {
            self.park(node);
            return;
        }
        if let Some(intensity) = self.tree.groups[parent].intensity
            && !self.groups[parent].window.allow(intensity, self.now)
        {
            self.limit_reached(parent, by);
            return;
        }
        let wait = self.wait(node, parent, healthy);
        let until = if wait.is_zero() { retry } else { Some(self.now + wait) };
        match strategy::falls_from(self.tree.groups[parent].strategy, self.shape.position(node)) {
            None => self.restart_member(node, until),
            Some(from) => {
                self.report_group(parent, GroupReport::Restarting(by));
                if self.shape.is_child(node) {
                    self.services[node].not_before = until;
                }
                self.fall(parent, from, Then::Restart(until));
            }
        }
    }

    /// The wait before the next life of `node` (S7).
    fn wait(&mut self, node: usize, parent: usize, healthy: Duration) -> Duration {
        if self.tree.groups[parent].otp {
            return Duration::ZERO;
        }
        let policy = match self.shape.as_group(node) {
            Some(group) => &self.tree.groups[group].backoff,
            None => &self.tree.children[node].backoff,
        };
        let attempt = &mut self.nodes[node].attempt;
        if healthy >= policy.forget {
            *attempt = 0;
        }
        *attempt = attempt.saturating_add(1);
        backoff::delay(policy, *attempt, &mut self.jitter)
    }

    fn restart_member(&mut self, node: usize, until: Option<Instant>) {
        match (self.shape.as_group(node), until) {
            (None, until) => self.services[node].not_before = until,
            (Some(group), None) => self.begin_afresh(group),
            (Some(group), Some(until)) => {
                self.set_group_phase(group, group::Phase::BackingOff { from: 0, until, fresh: true });
            }
        }
    }

    /// Its own limit was reached: it stays down while the others live (S8).
    fn park(&mut self, node: usize) {
        match self.shape.as_group(node) {
            None => self.set_goal(node, Goal::Parked),
            Some(group) => {
                self.set_group_phase(group, group::Phase::GaveUp);
                self.report_group(group, GroupReport::GaveUp);
            }
        }
    }

    /// The window of `group` is used up (I07).
    fn limit_reached(&mut self, group: usize, by: ChildId) {
        self.report_group(group, GroupReport::LimitReached { by });
        match (self.tree.groups[group].on_limit, self.tree.groups[group].parent) {
            (OnLimit::Park, _) => self.fall(group, 0, Then::Park),
            (OnLimit::Escalate, Some(_)) => self.fall(group, 0, Then::Escalate(by)),
            (OnLimit::Escalate, None) => self.end(End::LimitReached(Some(by))),
        }
    }

    /// All members of `group` are down because its window was used up: the parent decides.
    ///
    /// The next try waits for the next deadline even if it need not wait: a tree whose every start fails
    /// cannot spin in one turn.
    pub(super) fn group_died(&mut self, group: usize, by: ChildId) {
        let healthy = self.groups[group].healthy.map(|since| self.now.since(since)).unwrap_or_default();
        self.member_died(self.shape.group_node(group), by, healthy, Some(self.now));
    }

    /// Under OTP semantics a group whose first start fails is not started (A09): what was started is stopped.
    fn start_of_group_failed(&mut self, group: usize, by: usize) {
        match self.tree.groups[group].parent {
            Some(_) => self.fall(group, 0, Then::StartFailed(ChildId(by as u32))),
            None => self.end(End::StartFailed(ChildId(by as u32))),
        }
    }

    /// What was started of `group` is stopped again: to its parent it is a child that failed to start (A10).
    pub(super) fn group_start_failed(&mut self, group: usize, by: ChildId) {
        let Some(parent) = self.tree.groups[group].parent.map(|parent| parent.0 as usize) else { return };
        let node = self.shape.group_node(group);
        if self.tree.groups[parent].otp && self.groups[parent].initial && self.in_line(node, parent) {
            self.start_of_group_failed(parent, by.0 as usize);
        } else {
            self.group_died(group, by);
        }
    }

    /// Everything goes down and then the supervisor ends; the first reason stands.
    pub(super) fn end(&mut self, end: End) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(end);
        for at in (0..self.shape.order.len()).rev() {
            let child = self.shape.order[at] as usize;
            self.refresh(child);
            self.touch(child);
        }
        // Nobody waits for a group any more.
        for group in 0..self.groups.len() {
            self.deadlines.set(self.shape.group_node(group), None);
        }
    }

    /// The window in which restarts of `node` are counted. One without a limit counts too, for `status`.
    pub(super) fn counted_limit(&self, node: usize) -> Intensity {
        let otp = self.shape.parent(node).is_some_and(|parent| self.tree.groups[parent].otp);
        let limit = match self.shape.as_group(node) {
            Some(group) => self.tree.groups[group].limit,
            None => self.tree.children[node].limit,
        };
        limit.filter(|_| !otp).unwrap_or(Intensity { max: u32::MAX, within: DEFAULT_LIMIT.within })
    }

    pub(super) fn set_goal(&mut self, child: usize, goal: Goal) {
        self.services[child].goal = goal;
        self.refresh(child);
        self.touch(child);
    }

    fn in_line(&self, node: usize, group: usize) -> bool {
        self.groups[group].line.contains(self.shape.position(node))
    }

    /// Kills everything that is still there.
    pub(super) fn hurry_up(&mut self) {
        self.hurry = true;
        for at in (0..self.shape.order.len()).rev() {
            let child = self.shape.order[at] as usize;
            match self.services[child].phase {
                Phase::Stopping { force: Force::At(_) | Force::Never, .. }
                | Phase::Clearing { force: Force::At(_) | Force::Never } => self.kill_rest(child),
                _ => self.touch(child),
            }
        }
    }
}
