//! A life began or ended. Does the end count, is a limit reached, who falls with it?
//!
//! Invariant: each counted death is either recorded as a restart, in the member's own window and in its
//! group's, or parks the member, or ends the group (I01, S8). A death that was asked for never counts (G05,
//! I09).

use super::event::Cause;
use super::facts::Facts;
use super::group::{Then, Why};
use super::intensity::whole_second;
use super::service::{Failure, Force, Goal, Phase, Rest, is_abnormal};
use super::spec::{AutoShutdown, ChildId, DEFAULT_LIMIT, Grace, Intensity, OnLimit, Restart};
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
        let service = &mut self.services[child];
        (service.commanded, service.retried, service.fresh) = (false, false, false);
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

    /// There is nothing to run, says a condition that was declared. There is no process.
    pub(super) fn ignored(&mut self, child: usize) {
        if self.services[child].phase != Phase::Launching {
            return;
        }
        let asked = !self.desired(child);
        self.report_child(child, ChildReport::Ignored);
        self.dead(child, Phase::Idle(Rest::Unsettled));
        if !asked {
            self.nothing_to_run(child);
        }
    }

    /// It is not started again by itself, and whatever needs it may start. A temporary child and one of a pool
    /// is not kept (A13–A16, D12).
    fn nothing_to_run(&mut self, child: usize) {
        let service = &mut self.services[child];
        let fresh = std::mem::replace(&mut service.fresh, false);
        if std::mem::replace(&mut service.commanded, false) && !fresh && !service.phase.alive() {
            // A call started it: its policy is kept, also that of a temporary child (C16).
            self.set_phase(child, Phase::Idle(Rest::Finished));
            self.report_child(child, ChildReport::Finished);
        }
        self.set_goal(child, Goal::Done { clean: true });
    }

    /// It runs, or ran, and did not do its work. Who is wanted down, or is being stopped, ends as that was asked for.
    pub(super) fn failed(&mut self, child: usize, ended: bool) {
        let healthy = match self.services[child].phase {
            Phase::Running { healthy, .. } => Some(healthy),
            Phase::Launching | Phase::Starting { .. } => None,
            Phase::Idle(_)
            | Phase::Waiting
            | Phase::BackingOff { .. }
            | Phase::Stopping { .. }
            | Phase::Clearing { .. } => return,
        };
        if self.desired(child) {
            self.services[child].failure = Some(Failure { healthy });
            if !ended {
                self.stop(child, true);
                self.hold_up_the_line(child);
            }
        }
    }

    /// Whoever starts after `child` in its group would fall with it when it has ended: they wait until then, also those
    /// whose start is caused by another death meanwhile.
    fn hold_up_the_line(&mut self, child: usize) {
        let Some(group) = self.shape.parent(child) else { return };
        let falls = strategy::falls_from(self.tree.groups[group].strategy, self.shape.position(child));
        if falls.is_some() {
            self.join_line(group, child);
        }
    }

    /// The main process ended.
    pub(super) fn exited(&mut self, child: usize, cause: Cause, leftovers: bool) {
        let failure = self.services[child].failure.take();
        let (since, healthy, sent, failed) = match self.services[child].phase {
            // The answer to the start was lost; the exit says enough.
            Phase::Launching => (self.now, None, None, failure.is_some()),
            Phase::Starting { since, .. } => (since, None, None, failure.is_some()),
            Phase::Running { since, healthy } => (since, Some(healthy), None, failure.is_some()),
            Phase::Stopping { since, force, failed } => {
                (since, failure.and_then(|failure| failure.healthy), Some(force), failed)
            }
            // This life ended before.
            Phase::Idle(_) | Phase::Waiting | Phase::BackingOff { .. } | Phase::Clearing { .. } => return,
        };
        let asked = !self.desired(child) || (sent.is_some() && !failed);
        let ignores = matches!(self.services[child].phase, Phase::Launching | Phase::Starting { .. })
            && matches!((self.tree.children[child].ignore, cause), (Some(code), Cause::Code(c)) if code == c);
        let abnormal = failed || is_abnormal(&self.tree.children[child], cause);
        let lived = self.now.since(since);
        let shutdown_error = asked && self.ended_otherwise(child, cause, abnormal);
        self.report_child(child, ChildReport::Exited { cause, lived, asked, abnormal, shutdown_error });
        if ignores {
            self.report_child(child, ChildReport::Ignored);
        }
        let after = if leftovers {
            Phase::Clearing { force: sent.unwrap_or_else(|| self.signal(child)) }
        } else {
            Phase::Idle(Rest::Unsettled)
        };
        self.dead(child, after);
        if asked {
            return;
        }
        if ignores {
            self.nothing_to_run(child);
            return;
        }
        match healthy {
            Some(healthy) => self.decide(child, abnormal, self.now.since(healthy), None),
            None => self.failed_start(child, abnormal, None),
        }
    }

    /// Whether a child that was asked to stop ended otherwise than asked (K09). One that is to be killed at once
    /// dies of that; any other of its stop signal, or, unless OTP says that it is permanent, cleanly.
    fn ended_otherwise(&mut self, child: usize, cause: Cause, abnormal: bool) -> bool {
        let policy = &self.tree.children[child];
        let Some(parent) = self.shape.parent(child) else { return false };
        let strict = self.tree.groups[parent].otp && policy.restart == Restart::Permanent;
        let pool = self.tree.groups[parent].pool.is_some();
        let as_asked = match (policy.grace, cause) {
            (Grace::Kill, Cause::Signal(9, _)) => true,
            (Grace::Kill, _) => false,
            (_, Cause::Signal(signal, _)) => signal == policy.stop_signal,
            // A permanent child should not say that it is done; one of a pool may say a clean code.
            (_, Cause::Code(code)) if strict => pool && code != 0 && !abnormal,
            (_, Cause::Code(_) | Cause::Unknown) => !abnormal,
        };
        let together = self.ending.is_some() || self.is_held(child) || self.groups[parent].stopped;
        if !as_asked && together && pool {
            let errors = &mut self.groups[parent].shutdown_errors;
            match errors.iter_mut().find(|(known, _)| *known == cause) {
                Some((_, count)) => *count += 1,
                None => errors.push((cause, 1)),
            }
            return false;
        }
        !as_asked
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
        let retried = std::mem::replace(&mut self.services[child].retried, false);
        if std::mem::replace(&mut self.services[child].fresh, false) {
            // It was never there (C15).
            self.services[child].doomed = true;
            self.set_goal(child, Goal::Down);
            return;
        }
        match otp {
            Some(group) if self.groups[group].initial && self.in_line(child, group) => {
                self.start_of_group_failed(group, child);
            }
            // Its policy is kept, also that of a temporary child (C16).
            Some(_) if commanded && self.services[child].phase.alive() => self.set_goal(child, Goal::Down),
            Some(_) if commanded => {
                self.stay_down(child);
            }
            Some(group) if retried || self.tree.children[child].restart != Restart::Temporary => {
                self.nodes[child].retry = Some(ChildId(child as u32));
                self.services[child].not_before = Some(self.now);
                self.stop_short(group, child);
                self.touch(child);
            }
            _ => self.decide(child, abnormal || otp.is_some(), Duration::ZERO, retry),
        }
    }

    /// The restart of `group` goes no further than `node`, which failed: whoever would have started after it stays
    /// down until the next try (H05).
    fn stop_short(&mut self, group: usize, node: usize) {
        let position = self.shape.position(node);
        let together = strategy::falls_from(self.tree.groups[group].strategy, position).is_some();
        if !self.shape.ordered(group) || self.groups[group].initial || !together {
            return;
        }
        self.groups[group].line.remove(position);
        for later in position + 1..self.shape.positions(group) {
            let Some(member) = self.shape.member(group, later) else { continue };
            let waits = self.groups[group].line.remove(later) || self.shape.as_group(member).is_some();
            if waits && !self.is_alive(member) {
                self.nodes[member].behind = true;
                self.refresh_below(member);
                if let Some(inner) = self.shape.as_group(member) {
                    self.refresh_group(inner);
                }
            }
        }
        self.call_next(group);
    }

    /// The next try of a member whose restart failed is due: it is a restart like any other (I05).
    pub(super) fn try_again(&mut self, node: usize, by: ChildId) {
        self.member_died(node, by, Duration::ZERO, None);
    }

    /// A death that nobody asked for: the restart type decides.
    fn decide(&mut self, child: usize, abnormal: bool, healthy: Duration, retry: Option<Instant>) {
        match (self.tree.children[child].restart, abnormal) {
            (Restart::Permanent, _) | (Restart::Transient, true) => {
                self.member_died(child, ChildId(child as u32), healthy, retry);
            }
            (Restart::Transient, false) | (Restart::Temporary, _) => {
                self.set_goal(child, Goal::Done { clean: !abnormal });
                if self.tree.children[child].significant {
                    self.significant_ended(child, ChildId(child as u32));
                }
            }
        }
    }

    /// A significant member ended by itself and is not started again (M).
    fn significant_ended(&mut self, node: usize, by: ChildId) {
        let Some(parent) = self.shape.parent(node) else { return };
        let held = self.groups[parent].counts[Facts::HOLDING.bit()] > 0;
        let over = match self.tree.groups[parent].auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::Any => true,
            AutoShutdown::All => !held,
        };
        if over && self.ending.is_none() {
            self.report_group(parent, GroupReport::AutoShutdown { by });
            self.end_group(parent, End::Finished(by));
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
        if self.shape.as_group(node).is_some_and(|group| self.groups[group].doomed) {
            return;
        }
        let limit = self.counted_limit(node);
        if !self.nodes[node].window.allow(limit, self.now) {
            self.park(node);
            return;
        }
        if let Some(intensity) = self.tree.groups[parent].intensity
            && !self.count_in_group(parent, intensity)
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

    /// Counts a restart in the window of `group`. False: it is used up.
    fn count_in_group(&mut self, group: usize, intensity: Intensity) -> bool {
        let now = if self.tree.groups[group].whole_seconds { whole_second(self.now) } else { self.now };
        self.groups[group].window.allow(intensity, now)
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
            (None, until) => {
                self.services[node].not_before = until;
                self.touch(node);
            }
            (Some(group), None) => self.begin_afresh(group),
            (Some(group), Some(until)) => {
                self.set_group_phase(group, group::Phase::BackingOff { until, fresh: true });
            }
        }
    }

    /// Its own limit was reached: it stays down while the others live (S8).
    fn park(&mut self, node: usize) {
        match self.shape.as_group(node) {
            None => self.set_goal(node, Goal::Parked),
            Some(group) => {
                self.set_group_phase(group, group::Phase::Closed(Why::GaveUp));
                self.report_group(group, GroupReport::GaveUp);
            }
        }
    }

    /// The window of `group` is used up (I07).
    fn limit_reached(&mut self, group: usize, by: ChildId) {
        self.report_group(group, GroupReport::LimitReached { by });
        match self.tree.groups[group].on_limit {
            OnLimit::Park => self.fall(group, 0, Then::Park),
            OnLimit::Escalate => self.end_group(group, End::LimitReached(Some(by))),
        }
    }

    /// All members of `group` go down, and then it ends as `end` says; the root ends everything.
    fn end_group(&mut self, group: usize, end: End) {
        match self.shape.parent(self.shape.group_node(group)) {
            Some(_) => self.fall(group, 0, Then::End(end)),
            None => self.end(end),
        }
    }

    /// All members of `group` are down because its window was used up, or because its significant members have
    /// done their work. OTP calls both a shutdown: only a permanent group is started again (I07).
    ///
    /// Without OTP's windows the next try waits for the next deadline even if it need not wait: a tree whose every
    /// start fails cannot spin in one turn.
    pub(super) fn group_ended(&mut self, group: usize, end: End) {
        let (by, why) = match end {
            End::Finished(by) => (by, Why::Finished),
            End::StartFailed(by) | End::LimitReached(Some(by)) => (by, Why::GaveUp),
            End::LimitReached(None) | End::Shutdown => return,
        };
        if self.tree.groups[group].restart == Restart::Permanent {
            self.group_died(group, by);
            return;
        }
        let node = self.shape.group_node(group);
        self.close(group, why);
        if why == Why::GaveUp {
            self.report_group(group, GroupReport::GaveUp);
        }
        if self.tree.groups[group].significant {
            self.significant_ended(node, by);
        }
        self.let_group_leave(group);
    }

    /// `group`, whose members are all down, stays so.
    pub(super) fn close(&mut self, group: usize, why: Why) {
        let node = self.shape.group_node(group);
        if why == Why::Finished {
            self.each_below_last_first(node, |supervisor, child| {
                if supervisor.services[child].goal == Goal::Up {
                    supervisor.set_goal(child, Goal::Done { clean: true });
                }
            });
        }
        for position in 0..self.shape.positions(group) {
            if let Some(member) = self.shape.member(group, position) {
                self.nodes[member].held = true;
            }
        }
        self.set_group_phase(group, group::Phase::Closed(why));
    }

    /// `group` has to be started again, if the limits of its parent allow it.
    fn group_died(&mut self, group: usize, by: ChildId) {
        self.groups[group].commanded = false;
        let healthy = self.groups[group].healthy.map(|since| self.now.since(since)).unwrap_or_default();
        let node = self.shape.group_node(group);
        let bounded = self.shape.parent(node).is_some_and(|parent| self.tree.groups[parent].otp);
        self.member_died(node, by, healthy, Some(self.now).filter(|_| !bounded));
    }

    /// Under OTP semantics a group whose first start fails is not started (A09): what was started is stopped.
    fn start_of_group_failed(&mut self, group: usize, by: usize) {
        self.end_group(group, End::StartFailed(ChildId(by as u32)));
    }

    /// What was started of `group` is stopped again: to its parent it is a child that failed to start (A10).
    pub(super) fn group_start_failed(&mut self, group: usize, by: ChildId) {
        let node = self.shape.group_node(group);
        let Some(parent) = self.shape.parent(node) else { return };
        let commanded = std::mem::replace(&mut self.groups[group].commanded, false);
        if self.tree.groups[parent].otp && self.groups[parent].initial && self.in_line(node, parent) {
            self.start_of_group_failed(parent, by.0 as usize);
        } else if self.tree.groups[parent].otp && commanded {
            // Somebody started it, and is told; nobody tries again (C16).
            self.lay_down(group);
            self.open(group);
        } else if self.tree.groups[parent].otp {
            self.nodes[node].retry = Some(by);
            self.stop_short(parent, node);
            self.set_group_phase(group, group::Phase::BackingOff { until: self.now, fresh: true });
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
        self.each_child_last_first(|supervisor, child| {
            supervisor.refresh(child);
            supervisor.touch(child);
        });
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
        self.each_child_last_first(|supervisor, child| match supervisor.services[child].phase {
            Phase::Stopping { force: Force::At(_) | Force::Never, .. }
            | Phase::Clearing { force: Force::At(_) | Force::Never } => supervisor.kill_rest(child),
            _ => supervisor.touch(child),
        });
    }

    fn each_child_last_first(&mut self, act: impl Fn(&mut Supervisor, usize)) {
        for at in (0..self.shape.tops.len()).rev() {
            let top = self.shape.group_node(self.shape.tops[at] as usize);
            self.each_below_last_first(top, &act);
        }
    }
}
