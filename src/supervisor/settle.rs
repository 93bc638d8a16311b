//! Brings each instance one step nearer to what is wanted, when it is its turn.
//!
//! Invariant: everything here is a condition on the present, so looking at an instance twice, or in another
//! order, changes nothing. It must not count deaths or move goals.

use super::facts::Facts;
use super::service::{Force, Goal, Phase, Rest};
use super::spec::{ChildId, Grace, Incarnation};
use super::{Action, ChildReport, Supervisor, Work, group};

impl Supervisor {
    /// Puts `node`, or every child in it, on the work-list.
    pub(super) fn touch(&mut self, node: usize) {
        self.each_below(node, Supervisor::touch_child);
    }

    /// The same, the last first: for what goes down.
    pub(super) fn touch_last_first(&mut self, node: usize) {
        self.each_below_last_first(node, Supervisor::touch_child);
    }

    /// Does `act` to every child below `node`, itself when it is one, in the order of the tree.
    pub(super) fn each_below(&mut self, node: usize, mut act: impl FnMut(&mut Supervisor, usize)) {
        let mut next = self.shape.first(node);
        while let Some(child) = next {
            next = self.shape.after(child, node);
            act(self, child);
        }
    }

    /// The same, the last first.
    pub(super) fn each_below_last_first(&mut self, node: usize, mut act: impl FnMut(&mut Supervisor, usize)) {
        let mut next = self.shape.last(node);
        while let Some(child) = next {
            next = self.shape.before(child, node);
            act(self, child);
        }
    }

    fn touch_child(&mut self, child: usize) {
        if self.services[child].ticket == 0 {
            self.touch_last(child);
        }
    }

    /// Puts `child` at the end of the work-list, also when it is on it already: members that start
    /// together start in their order.
    pub(super) fn touch_last(&mut self, child: usize) {
        self.ticket = self.ticket.wrapping_add(1).max(1);
        self.services[child].ticket = self.ticket;
        self.work.push_back(Work::Child { child: child as u32, ticket: self.ticket });
    }

    /// Empties the work-list.
    pub(super) fn settle(&mut self) {
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Child { child, ticket } if self.services[child as usize].ticket == ticket => {
                    self.services[child as usize].ticket = 0;
                    self.settle_child(child as usize);
                }
                Work::Child { .. } => {}
                Work::Fallen(group) => self.fallen(group as usize),
                // Unless it has begun anew meanwhile.
                Work::Stopped(group) if self.groups[group as usize].stopped => {
                    self.let_group_leave(group as usize);
                }
                Work::Stopped(_) => {}
            }
        }
    }

    fn settle_child(&mut self, child: usize) {
        if self.services[child].vacant {
            return;
        }
        match self.services[child].phase {
            Phase::Idle(_) | Phase::Waiting | Phase::BackingOff { .. } => self.settle_dead(child),
            Phase::Starting { .. } | Phase::Running { .. } => {
                if !self.desired(child) && self.may_stop(child) {
                    self.stop(child, false);
                }
            }
            // The answer comes as an event.
            Phase::Launching | Phase::Stopping { .. } | Phase::Clearing { .. } => {}
        }
    }

    fn settle_dead(&mut self, child: usize) {
        let service = &self.services[child];
        match (service.goal, service.not_before) {
            _ if self.ending.is_some() && service.goal == Goal::Up => self.rest(child, Rest::Stopped),
            (Goal::Down, _) => self.rest(child, Rest::Stopped),
            (Goal::Done { .. }, _) => self.rest(child, Rest::Finished),
            (Goal::Parked, _) => self.rest(child, Rest::GaveUp),
            (Goal::Up, Some(until)) => self.back_off(child, until),
            (Goal::Up, None) if self.may_start(child) => self.launch(child),
            (Goal::Up, None) => {
                if service.phase != Phase::Waiting {
                    self.set_phase(child, Phase::Waiting);
                    self.report_child(child, ChildReport::Waiting);
                }
            }
        }
    }

    fn rest(&mut self, child: usize, rest: Rest) {
        if self.services[child].phase == Phase::Idle(rest) {
            return;
        }
        self.services[child].tried = true;
        self.set_phase(child, Phase::Idle(rest));
        match rest {
            Rest::Unsettled => {}
            Rest::Stopped => self.report_child(child, ChildReport::Stopped),
            Rest::Finished => self.report_child(child, ChildReport::Finished),
            Rest::GaveUp => self.report_child(child, ChildReport::GaveUp),
        }
        self.vanish(child, rest);
    }

    fn back_off(&mut self, child: usize, until: crate::time::Instant) {
        if self.services[child].phase != (Phase::BackingOff { until }) {
            self.set_phase(child, Phase::BackingOff { until });
            let attempt = self.restarts(ChildId(child as u32), self.now);
            self.report_child(child, ChildReport::BackingOff { until, attempt });
        }
    }

    fn launch(&mut self, child: usize) {
        let life = self.next;
        self.next = Incarnation(life.0 + 1);
        self.services[child].incarnation = life;
        self.nodes[child].retry = None;
        self.set_phase(child, Phase::Launching);
        self.report_child(child, ChildReport::Starting);
        self.actions.push(Action::Start(ChildId(child as u32), life));
    }

    /// Sends the stop signal to a life whose main process runs.
    pub(super) fn stop(&mut self, child: usize, failed: bool) {
        let since = match self.services[child].phase {
            Phase::Starting { since, .. } | Phase::Running { since, .. } => since,
            _ => return,
        };
        let force = self.signal(child);
        self.set_phase(child, Phase::Stopping { since, force, failed });
    }

    /// Sends what the policy says to everything of the present life.
    pub(super) fn signal(&mut self, child: usize) -> Force {
        let grace = if self.hurry { Grace::Kill } else { self.tree.children[child].grace };
        if grace != Grace::Kill {
            let life = self.services[child].incarnation;
            self.actions.push(Action::Stop(ChildId(child as u32), life));
            self.report_child(child, ChildReport::Stopping);
        }
        match grace {
            Grace::Forever => Force::Never,
            Grace::After(grace) if !grace.is_zero() => Force::At(self.now + grace),
            Grace::After(_) | Grace::Kill => self.kill(child),
        }
    }

    fn kill(&mut self, child: usize) -> Force {
        let life = self.services[child].incarnation;
        self.actions.push(Action::Kill(ChildId(child as u32), life));
        self.report_child(child, ChildReport::Killing);
        Force::Done
    }

    /// Kills what was sent the stop signal and is still there; never twice.
    pub(super) fn kill_rest(&mut self, child: usize) {
        match self.services[child].phase {
            Phase::Stopping { force: Force::At(_) | Force::Never, since, failed } => {
                let force = self.kill(child);
                self.set_phase(child, Phase::Stopping { since, force, failed });
            }
            Phase::Clearing { force: Force::At(_) | Force::Never } => {
                let force = self.kill(child);
                self.set_phase(child, Phase::Clearing { force });
            }
            _ => {}
        }
    }

    /// Acts on every deadline that has come; what follows is settled together afterwards, so that a group and
    /// its members which wait for the same moment move as one.
    pub(super) fn pass_deadlines(&mut self) {
        while let Some((at, node)) = self.deadlines.first()
            && at <= self.now
        {
            self.deadlines.set(node, None);
            match self.shape.as_group(node) {
                Some(group) => self.group_deadline(group),
                None => self.child_deadline(node),
            }
        }
    }

    fn child_deadline(&mut self, child: usize) {
        match self.services[child].phase {
            Phase::BackingOff { .. } => {
                self.services[child].not_before = None;
                match self.nodes[child].retry.take() {
                    Some(by) if self.desired(child) => {
                        self.services[child].retried = true;
                        self.try_again(child, by);
                    }
                    _ => self.touch(child),
                }
            }
            Phase::Starting { since, give_up_at } => {
                // What it was given, not what a reload says now.
                let within = give_up_at.since(since);
                self.report_child(child, ChildReport::NeverReady { within });
                self.stop(child, true);
            }
            Phase::Stopping { .. } | Phase::Clearing { .. } => self.kill_rest(child),
            Phase::Idle(_) | Phase::Waiting | Phase::Launching | Phase::Running { .. } => {}
        }
    }

    /// Whether `child` should have a process now, if it were its turn.
    pub(super) fn desired(&self, child: usize) -> bool {
        let service = &self.services[child];
        self.ending.is_none() && service.goal == Goal::Up && !service.bounce && !self.is_held(child)
    }

    /// Whether a group holds `node` down, its own or one above.
    pub(super) fn is_held(&self, node: usize) -> bool {
        let held = |node: usize| self.nodes[node].held || self.nodes[node].behind;
        held(node) || self.shape.above(node).any(|group| held(self.shape.group_node(group)))
    }

    fn may_start(&self, child: usize) -> bool {
        let its_turn = |node: usize| match self.shape.parent(node) {
            Some(parent) => {
                let (line, position) = (&self.groups[parent].line, self.shape.position(node));
                !line.contains(position) || line.first() == Some(position)
            }
            None => true,
        };
        self.booted
            && self.desired(child)
            && self.nodes[child].unmet == 0
            && its_turn(child)
            && self.shape.above(child).all(|group| {
                let node = self.shape.group_node(group);
                self.nodes[node].unmet == 0 && its_turn(node)
            })
    }

    /// Whether everything that depends on `child` and goes down too is gone.
    fn may_stop(&self, child: usize) -> bool {
        let its_turn = |node: usize| {
            let last = match self.shape.parent(node) {
                Some(parent) if self.shape.ordered(parent) => {
                    self.groups[parent].leaving.last().is_none_or(|last| last <= self.shape.position(node))
                }
                _ => true,
            };
            last && self.nodes[node].stopping_dependents == 0
        };
        self.hurry
            || its_turn(child) && self.shape.above(child).all(|group| its_turn(self.shape.group_node(group)))
    }

    /// What [`Supervisor::may_start`] waits for, as nodes.
    pub(super) fn blockers(&self, child: usize) -> Vec<usize> {
        let mut blockers = Vec::new();
        for node in
            std::iter::once(child).chain(self.shape.above(child).map(|group| self.shape.group_node(group)))
        {
            let fact = if node == child { Facts::SATISFIED } else { Facts::UNTRIED };
            let needs = self.shape.needs(node).iter().map(|needed| *needed as usize);
            blockers.extend(
                needs.filter(|needed| self.nodes[*needed].facts.has(fact) == (fact == Facts::UNTRIED)),
            );
            if let Some(parent) = self.shape.parent(node) {
                let (line, position) = (&self.groups[parent].line, self.shape.position(node));
                let first = line.first().filter(|first| line.contains(position) && *first != position);
                blockers.extend(first.and_then(|first| self.shape.member(parent, first)));
            }
        }
        blockers
    }

    /// The one place where a phase changes: deadline and facts follow.
    pub(super) fn set_phase(&mut self, child: usize, phase: Phase) {
        self.services[child].phase = phase;
        self.deadlines.set(child, phase.deadline());
        self.refresh(child);
    }

    /// The one place where a group's phase changes.
    pub(super) fn set_group_phase(&mut self, group: usize, phase: group::Phase) {
        self.groups[group].phase = phase;
        if !matches!(phase, group::Phase::BackingOff { .. }) {
            self.nodes[self.shape.group_node(group)].retry = None;
        }
        let until = match phase {
            group::Phase::BackingOff { until, .. } => Some(until),
            group::Phase::Open | group::Phase::Falling { .. } | group::Phase::Closed(_) => None,
        };
        self.deadlines.set(self.shape.group_node(group), until);
        self.refresh_group(group);
    }
}
