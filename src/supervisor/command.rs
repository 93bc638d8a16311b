//! What operators want, at any moment and any number of times.
//!
//! Invariant: a command moves goals and forgets limits; it never starts or signals anything itself (settling
//! does). Starts by command count nowhere (I09).

use super::facts::Facts;
use super::group::{Phase, Then, Why};
use super::service::{self, Goal};
use super::shape::{self, GROUP};
use super::spec::{Node, Restart};
use super::{ChildReport, Command, End, Supervisor};
use std::collections::HashSet;

impl Supervisor {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Start(node) => self.with(node, Supervisor::start),
            Command::Stop(node) => self.with(node, Supervisor::want_down),
            Command::Restart(node) => self.with(node, Supervisor::restart),
            Command::Fresh(node) => self.with(node, Supervisor::begin_with_a_fresh_budget),
            Command::Shutdown => self.end(End::Shutdown),
            Command::Hurry => {
                self.end(End::Shutdown);
                self.hurry_up();
            }
        }
    }

    fn with(&mut self, name: Node, act: impl Fn(&mut Supervisor, usize)) {
        if let Some(node) = self.shape.node(name)
            && self.is_attached(node)
            && self.ending.is_none()
        {
            act(self, node);
        }
    }

    /// Wanted up, with all that it needs, and what that needs.
    pub(super) fn start(&mut self, node: usize) {
        let mut seen = HashSet::from([node]);
        let mut wanted = vec![node];
        while let Some(node) = wanted.pop() {
            self.want_up(node);
            self.each_below(node, |supervisor, child| {
                let needed = supervisor.shape.needs(child).iter().map(|needed| *needed as usize);
                let there = needed.filter(|needed| {
                    supervisor.shape.node(shape::name(*needed)).is_some() && supervisor.is_attached(*needed)
                });
                wanted.extend(there.filter(|needed| seen.insert(*needed)));
            });
        }
    }

    fn want_up(&mut self, node: usize) {
        if std::mem::replace(&mut self.nodes[node].behind, false)
            && let Some(group) = self.shape.as_group(node)
        {
            self.groups[group].stopped = true;
        }
        self.each_below(node, Supervisor::want_child_up);
        if let Some(group) = self.shape.as_group(node) {
            self.groups[group].commanded = true;
            self.each_inner(group, &mut |supervisor, inner| {
                let stopped = std::mem::replace(&mut supervisor.groups[inner].stopped, false);
                if stopped && supervisor.tree.groups[inner].otp {
                    supervisor.begin_when_down(inner);
                }
                supervisor.revive(inner);
                supervisor.line_up(inner);
                supervisor.refresh_group(inner);
            });
        } else if let Some(group) = self.shape.parent(node) {
            self.join_line_if_later(group, node);
        }
        self.revive_above(node);
    }

    /// `group`, which somebody stopped, begins a new life when nothing is left of its last one.
    fn begin_when_down(&mut self, group: usize) {
        if self.is_alive(group | GROUP) {
            self.fall(group, 0, Then::Fresh);
        } else {
            self.begin_afresh(group);
        }
    }

    /// A group that starts one by one is not over its start: who comes now waits for its turn. Under OTP
    /// semantics only for the first start: between two tries calls are taken (C12, J06).
    fn join_line_if_later(&mut self, group: usize, member: usize) {
        let line = &self.groups[group].line;
        let waits = self.groups[group].initial || !self.tree.groups[group].otp;
        if waits && line.first().is_some_and(|first| first < self.shape.position(member)) {
            self.join_line(group, member);
        }
    }

    fn revive_above(&mut self, node: usize) {
        let above: Vec<usize> = self.shape.above(node).collect();
        for group in above.into_iter().rev() {
            self.groups[group].stopped = false;
            self.revive(group);
            self.refresh_group(group);
        }
    }

    fn want_child_up(&mut self, child: usize) {
        let service = &mut self.services[child];
        service.stopped_meanwhile = false;
        // A retry is due at once, and takes along whoever waits behind it.
        if service.doomed || self.nodes[child].retry.is_some() {
            return;
        }
        if service.goal == Goal::Parked || service.not_before.is_some() {
            self.nodes[child].window.clear();
            self.nodes[child].attempt = 0;
        }
        let service = &mut self.services[child];
        service.commanded |= service.goal != Goal::Up && !service.phase.alive();
        service.not_before = None;
        self.set_goal(child, Goal::Up);
    }

    /// What holds members of `group` down ends now, not at its time.
    pub(super) fn revive(&mut self, group: usize) {
        let node = self.shape.group_node(group);
        match self.groups[group].phase {
            Phase::Closed(_) => {
                self.forget(node);
                self.begin_afresh(group);
            }
            Phase::BackingOff { .. } if self.nodes[node].retry.is_some() => {}
            Phase::BackingOff { fresh, .. } => {
                self.forget(node);
                if fresh {
                    self.begin_afresh(group);
                } else {
                    self.let_go(group);
                }
            }
            Phase::Falling { remaining, then: Then::Restart(Some(_)) } => {
                self.set_group_phase(group, Phase::Falling { remaining, then: Then::Restart(None) });
            }
            Phase::Falling { remaining, then: Then::End(End::Finished(_)) }
                if self.tree.groups[group].restart != Restart::Permanent =>
            {
                self.set_group_phase(group, Phase::Falling { remaining, then: Then::Fresh });
            }
            // It could not be started, and somebody wants it all the same.
            Phase::Falling { remaining, then: Then::Park | Then::End(End::StartFailed(_)) } => {
                self.set_group_phase(group, Phase::Falling { remaining, then: Then::Fresh });
            }
            Phase::Open | Phase::Falling { .. } => {}
        }
    }

    pub(super) fn forget(&mut self, node: usize) {
        self.nodes[node].window.clear();
        self.nodes[node].attempt = 0;
    }

    /// Wanted down until somebody starts it.
    pub(super) fn want_down(&mut self, node: usize) {
        self.break_off(node);
        self.each_below_last_first(node, Supervisor::put_down);
        let Some(group) = self.shape.as_group(node) else {
            self.forget_temporary(node);
            return;
        };
        self.each_inner(group, &mut |supervisor, inner| match supervisor.groups[inner].phase {
            Phase::Open => {}
            Phase::Falling { remaining, .. } => {
                supervisor.set_group_phase(inner, Phase::Falling { remaining, then: Then::Rest });
            }
            Phase::BackingOff { .. } | Phase::Closed(_) => supervisor.open(inner),
        });
        let meanwhile = self.is_taken_down(node);
        self.each_inner(group, &mut |supervisor, inner| {
            supervisor.groups[inner].stopped = true;
            supervisor.groups[inner].stopped_meanwhile |= meanwhile;
            supervisor.nodes[inner | GROUP].behind = false;
            supervisor.refresh_group(inner);
        });
        self.let_group_leave(group);
    }

    /// Under OTP semantics a temporary child that is stopped is not kept (C02), also when it was down already.
    fn forget_temporary(&mut self, child: usize) {
        let otp = self.shape.parent(child).is_some_and(|group| self.tree.groups[group].otp);
        let temporary = self.tree.children[child].restart == Restart::Temporary;
        if otp && temporary && !self.is_alive(child) && self.ending.is_none() {
            self.let_leave(child);
        }
    }

    /// Under OTP semantics, who stops the member whose restart fails breaks the loop (J02, J04): those that the
    /// strategy took down with it and that wait behind it stay down, until somebody starts them.
    fn break_off(&mut self, node: usize) {
        let Some(group) = self.shape.parent(node).filter(|group| self.tree.groups[*group].otp) else {
            return;
        };
        if self.nodes[node].retry.is_none() {
            return;
        }
        for later in self.shape.position(node) + 1..self.shape.positions(group) {
            let member = self.shape.member(group, later).filter(|member| self.nodes[*member].behind);
            let Some(member) = member else { continue };
            self.nodes[member].behind = false;
            match self.shape.as_group(member) {
                Some(inner) => self.lay_down(inner),
                None => self.stay_down(member),
            }
        }
        self.nodes[node].retry = None;
    }

    /// `child`, which has no process, is wanted down and keeps its place in the list, also when it is temporary now.
    pub(super) fn stay_down(&mut self, child: usize) {
        self.set_phase(child, service::Phase::Idle(service::Rest::Stopped));
        self.set_goal(child, Goal::Down);
        self.report_child(child, ChildReport::Stopped);
    }

    /// It is tried no more, and wanted down.
    fn put_down(&mut self, child: usize) {
        self.services[child].stopped_meanwhile |= self.is_taken_down(child);
        (self.nodes[child].retry, self.nodes[child].behind) = (None, false);
        self.set_goal(child, Goal::Down);
    }

    /// Whether a group around `node` takes it down, and will start it again.
    fn is_taken_down(&self, node: usize) -> bool {
        let falls = |group: usize| {
            let phase = self.groups[group].phase;
            matches!(phase, Phase::Falling { then: Then::Restart(_) | Then::Fresh, .. })
        };
        self.is_held(node) && self.shape.above(node).any(falls)
    }

    /// `group`, of which nothing runs, stays down.
    pub(super) fn lay_down(&mut self, group: usize) {
        let node = group | GROUP;
        self.each_below_last_first(node, Supervisor::put_down);
        self.each_inner(group, &mut |supervisor, inner| {
            supervisor.groups[inner].stopped = true;
            supervisor.refresh_group(inner);
        });
    }

    /// Stopped, then started; what was stopped by command before stays so, unless nothing else is in it.
    fn restart(&mut self, node: usize) {
        if self.nodes[node].retry.is_some() {
            // It is tried again at the next deadline; what it needs may have been stopped meanwhile.
            if self.shape.is_child(node) {
                self.start(node);
            }
            return;
        }
        let mut wanted = false;
        self.each_below(node, |supervisor, child| wanted |= supervisor.services[child].goal != Goal::Down);
        if !wanted {
            self.start(node);
            return;
        }
        match self.shape.as_group(node) {
            None => self.restart_child(node),
            Some(group) => self.restart_group(group),
        }
    }

    pub(super) fn restart_child(&mut self, child: usize) {
        if self.nodes[child].facts.has(Facts::ALIVE) {
            let dying = matches!(self.services[child].phase, service::Phase::Clearing { .. });
            self.services[child].bounce = !dying;
        }
        self.start(child);
        self.touch(child);
    }

    fn restart_group(&mut self, group: usize) {
        let node = group | GROUP;
        self.forget(node);
        self.each_below(node, |supervisor, child| {
            if supervisor.services[child].goal != Goal::Down {
                supervisor.want_child_up(child);
            }
        });
        self.each_inner(group, &mut |supervisor, inner| {
            if supervisor.groups[inner].phase == Phase::Closed(Why::GaveUp) {
                supervisor.revive(inner);
            }
        });
        self.revive_above(node);
        self.fall(group, 0, Then::Fresh);
    }
}
