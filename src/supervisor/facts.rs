//! What is true of a node right now, as a handful of bits, and how a change of one of them spreads.
//!
//! A child's facts follow from its goal and phase; a group counts for each fact how many members have it, and
//! its own facts follow from the counts. So a change costs its ancestors one step each, and usually stops
//! after one; nobody ever scans members. When a fact flips, those whose turn may have come are put on
//! the work-list; nothing is decided here.

use super::service::{Goal, Phase};
use super::{GroupReport, Supervisor, Work, group};

/// A set of facts about a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts(u8);

impl Facts {
    /// How many there are.
    pub(super) const COUNT: usize = 8;
    /// It has a process, or may have one any moment. A group: a member has.
    pub(super) const ALIVE: Facts = Facts(1);
    /// Alive, and going down. A group: a member is.
    pub(super) const STOPPING: Facts = Facts(2);
    /// What needs it may start: it is up (ready, when it declares that) and stays so, or finished cleanly. A group: all
    /// members that are wanted are so, and at least one is (or it has none, and is there).
    pub(super) const SATISFIED: Facts = Facts(4);
    /// Wanted, and not satisfied. A group: a member is.
    pub(super) const MISSING: Facts = Facts(8);
    /// Not satisfied, and not down for good either (with all its helpers). A group: a member is, and it did
    /// not give up.
    pub(super) const PENDING: Facts = Facts(16);
    /// Not as wanted. A group: a member is not.
    pub(super) const WANTING: Facts = Facts(32);
    /// It never was up, failed, or down for good. A group: a member never was.
    pub(super) const UNTRIED: Facts = Facts(64);
    /// Significant, and running or restarting: it keeps its group from shutting down by itself (M17).
    pub(super) const HOLDING: Facts = Facts(128);

    /// Where a group counts it.
    pub(super) const fn bit(self) -> usize {
        self.0.trailing_zeros() as usize
    }

    /// Whether all facts of `other` are in.
    pub(super) fn has(self, other: Facts) -> bool {
        self.0 & other.0 == other.0
    }

    /// `fact` when `is`, else nothing.
    fn when(is: bool, fact: Facts) -> Facts {
        if is { fact } else { Facts(0) }
    }

    fn and(self, other: Facts) -> Facts {
        Facts(self.0 | other.0)
    }
}

impl Supervisor {
    /// The facts of a child follow from its goal and its phase.
    pub(super) fn child_facts(&self, child: usize) -> Facts {
        let service = &self.services[child];
        let alive = service.phase.alive();
        let (up, leaving) = match service.phase {
            Phase::Running { .. } => (true, !self.desired(child)),
            Phase::Launching | Phase::Starting { .. } => (false, !self.desired(child)),
            Phase::Stopping { .. } | Phase::Clearing { .. } => (false, true),
            Phase::Idle(_) | Phase::Waiting | Phase::BackingOff { .. } => (false, false),
        };
        let done = !alive && service.goal == Goal::Done { clean: true };
        let satisfied = (up && !leaving) || done;
        let as_wanted = up || done;
        Facts::when(alive, Facts::ALIVE)
            .and(Facts::when(leaving, Facts::STOPPING))
            .and(Facts::when(satisfied, Facts::SATISFIED))
            .and(Facts::when(!satisfied && service.goal != Goal::Down, Facts::MISSING))
            .and(Facts::when(!satisfied && (service.goal == Goal::Up || alive), Facts::PENDING))
            .and(Facts::when(!as_wanted && matches!(service.goal, Goal::Up | Goal::Parked), Facts::WANTING))
            .and(Facts::when(!service.tried, Facts::UNTRIED))
            .and(Facts::when(self.tree.children[child].significant && self.holds(child), Facts::HOLDING))
    }

    /// Whether a significant child keeps its group from shutting down by itself: it runs, or waits for its next
    /// try, or has yet to be started for the first time. Under OTP semantics not when it waits behind a
    /// member whose restart failed (M17).
    fn holds(&self, child: usize) -> bool {
        let service = &self.services[child];
        let parent = self.shape.parent(child);
        let comes = parent.is_none_or(|group| !self.tree.groups[group].otp || self.groups[group].initial);
        service.goal == Goal::Up && (comes || service.phase.alive() || service.not_before.is_some())
    }

    /// The facts of a group follow from how many members have each.
    fn group_facts(&self, group: usize) -> Facts {
        let run = &self.groups[group];
        let any = |fact: Facts| run.counts[fact.bit()] > 0;
        // Without members it counts as up as long as it is there: not while it waits for its next life, which begins with
        // its list, nor when somebody stopped it.
        let there = match run.phase {
            group::Phase::Open => !run.stopped,
            group::Phase::Closed(why) => why == group::Why::Finished,
            group::Phase::Falling { .. } | group::Phase::BackingOff { .. } => false,
        };
        let childless = there && self.shape.member_count(group) == 0;
        let gave_up = run.phase == group::Phase::Closed(group::Why::GaveUp);
        let behind = self.nodes[self.shape.group_node(group)].behind;
        let lives = !run.stopped && !behind && !matches!(run.phase, group::Phase::Closed(_));
        Facts::when(any(Facts::ALIVE), Facts::ALIVE)
            .and(Facts::when(any(Facts::STOPPING), Facts::STOPPING))
            .and(Facts::when(!any(Facts::MISSING) && (any(Facts::SATISFIED) || childless), Facts::SATISFIED))
            .and(Facts::when(any(Facts::MISSING), Facts::MISSING))
            .and(Facts::when(any(Facts::PENDING) && !gave_up, Facts::PENDING))
            .and(Facts::when(any(Facts::WANTING), Facts::WANTING))
            .and(Facts::when(any(Facts::UNTRIED), Facts::UNTRIED))
            .and(Facts::when(lives && self.tree.groups[group].significant, Facts::HOLDING))
    }

    /// Brings a child's facts up to date, and everything that counts them.
    pub(super) fn refresh(&mut self, child: usize) {
        self.spread(child, self.child_facts(child));
    }

    /// Brings a group's facts up to date, and everything that counts them.
    pub(super) fn refresh_group(&mut self, group: usize) {
        self.spread(self.shape.group_node(group), self.group_facts(group));
    }

    fn spread(&mut self, mut node: usize, mut new: Facts) {
        loop {
            let old = self.nodes[node].facts;
            if old == new {
                return;
            }
            self.nodes[node].facts = new;
            self.flipped(node, old, new);
            let Some(parent) = self.shape.parent(node) else { return };
            self.recount(parent, old, new);
            new = self.group_facts(parent);
            node = self.shape.group_node(parent);
        }
    }

    /// A member of `group` had the facts `old` and has `new`.
    fn recount(&mut self, group: usize, old: Facts, new: Facts) {
        for (bit, count) in self.groups[group].counts.iter_mut().enumerate() {
            match ((old.0 >> bit) & 1, (new.0 >> bit) & 1) {
                (0, 1) => *count += 1,
                (1, 0) => *count -= 1,
                _ => {}
            }
        }
    }

    /// `node` has just become a member: its group counts its facts.
    pub(super) fn count_in(&mut self, node: usize) {
        self.count_member(node, Facts(0), self.nodes[node].facts, 1);
    }

    /// `node` is about to leave its group, which no longer counts its facts.
    pub(super) fn count_out(&mut self, node: usize) {
        self.count_member(node, self.nodes[node].facts, Facts(0), -1);
    }

    fn count_member(&mut self, node: usize, old: Facts, new: Facts, more: i32) {
        let Some(parent) = self.shape.parent(node) else { return };
        self.recount(parent, old, new);
        if self.shape.is_child(node) {
            let workers = &mut self.groups[parent].workers;
            *workers = workers.saturating_add_signed(more);
        }
        self.refresh_group(parent);
    }

    /// Tells those who wait for a fact of `node` that it came or went.
    fn flipped(&mut self, node: usize, old: Facts, new: Facts) {
        let came = |fact: Facts| new.has(fact) && !old.has(fact);
        let went = |fact: Facts| old.has(fact) && !new.has(fact);
        if came(Facts::SATISFIED) || went(Facts::SATISFIED) {
            self.tell_dependents(node, came(Facts::SATISFIED), true);
        }
        // A new member of a group that others come after has yet to be tried.
        if came(Facts::UNTRIED) || went(Facts::UNTRIED) {
            self.tell_dependents(node, went(Facts::UNTRIED), false);
        }
        if came(Facts::STOPPING) || went(Facts::STOPPING) {
            self.tell_needed(node, came(Facts::STOPPING));
            self.take_leave(node, came(Facts::STOPPING));
        }
        if went(Facts::PENDING) {
            if let Some(group) = self.shape.as_group(node) {
                self.groups[group].healthy.get_or_insert(self.now);
            }
            self.leave_line(node);
        }
        if went(Facts::ALIVE)
            && let Some(group) = self.shape.as_group(node)
        {
            if self.groups[group].stopped {
                self.work.push_back(Work::Stopped(group as u32));
            }
            for (cause, count) in std::mem::take(&mut self.groups[group].shutdown_errors) {
                self.report_group(group, GroupReport::ShutdownErrors { cause, count });
            }
        }
        if went(Facts::ALIVE) && self.nodes[node].held {
            self.count_fallen(node);
        }
    }

    /// What waits for `node` has one thing less (`met`) or more to wait for. `needs`: the children that need
    /// it; else the groups that come after it.
    fn tell_dependents(&mut self, node: usize, met: bool, needs: bool) {
        for at in 0..self.shape.dependents(node).len() {
            let dependent = self.shape.dependents(node)[at] as usize;
            if self.shape.is_child(dependent) != needs {
                continue;
            }
            let unmet = &mut self.nodes[dependent].unmet;
            *unmet = if met { *unmet - 1 } else { *unmet + 1 };
            if *unmet == 0 {
                self.touch(dependent);
            }
        }
    }

    /// What `node` depends on has one thing more (`stopping`) or less to wait for before its own stop.
    fn tell_needed(&mut self, node: usize, stopping: bool) {
        for at in 0..self.shape.needs(node).len() {
            let needed = self.shape.needs(node)[at] as usize;
            let count = &mut self.nodes[needed].stopping_dependents;
            *count = if stopping { *count + 1 } else { *count - 1 };
            if *count == 0 && self.nodes[needed].facts.has(Facts::STOPPING) {
                self.touch_last_first(needed);
            }
        }
    }

    /// In a group with order, `node` joins or leaves the members that go down; the last one is next.
    fn take_leave(&mut self, node: usize, stopping: bool) {
        let Some(parent) = self.shape.parent(node).filter(|parent| self.shape.ordered(*parent)) else {
            return;
        };
        let leaving = &mut self.groups[parent].leaving;
        if stopping {
            leaving.insert(self.shape.position(node));
        } else {
            leaving.remove(self.shape.position(node));
            if let Some(next) = leaving.last().and_then(|next| self.shape.member(parent, next)) {
                self.touch_last_first(next);
            }
        }
    }

    /// In a group with order, `node` has come up, or never will: the next in the line may start.
    fn leave_line(&mut self, node: usize) {
        let Some(parent) = self.shape.parent(node).filter(|parent| self.shape.ordered(*parent)) else {
            return;
        };
        if self.groups[parent].line.remove(self.shape.position(node)) {
            self.call_next(parent);
        }
    }

    /// The first in the line of `group` may start; when there is none, its start is over.
    pub(super) fn call_next(&mut self, group: usize) {
        match self.groups[group].line.first().and_then(|next| self.shape.member(group, next)) {
            Some(next) => self.touch(next),
            None => {
                self.groups[group].initial = false;
                self.groups[group].commanded = false;
            }
        }
    }

    /// A member that its group holds down has no process left.
    fn count_fallen(&mut self, node: usize) {
        let Some(parent) = self.shape.parent(node) else { return };
        if let group::Phase::Falling { remaining, .. } = &mut self.groups[parent].phase {
            *remaining -= 1;
            if *remaining == 0 {
                self.work.push_front(Work::Fallen(parent as u32));
            }
        }
    }

    /// Computes all facts and counts from nothing: before the tree starts, and when it was replaced.
    pub(super) fn count_from_scratch(&mut self) {
        for child in 0..self.services.len() {
            self.nodes[child].facts = self.child_facts(child);
        }
        for at in 0..self.shape.tops.len() {
            self.count_below(self.shape.tops[at] as usize);
        }
        for child in 0..self.services.len() {
            self.count_needs(child);
        }
        for group in 0..self.groups.len() {
            self.count_needs(self.shape.group_node(group));
        }
    }

    /// Recursion is as deep as groups nest.
    fn count_below(&mut self, group: usize) {
        let (mut counts, mut workers, mut remaining) = ([0; Facts::COUNT], 0, 0);
        let ordered = self.shape.ordered(group);
        self.groups[group].leaving.clear();
        for position in 0..self.shape.positions(group) {
            let Some(member) = self.shape.member(group, position) else { continue };
            match self.shape.as_group(member) {
                Some(inner) => self.count_below(inner),
                None => workers += 1,
            }
            let facts = self.nodes[member].facts;
            for (bit, count) in counts.iter_mut().enumerate() {
                *count += u32::from((facts.0 >> bit) & 1);
            }
            if ordered && facts.has(Facts::STOPPING) {
                self.groups[group].leaving.insert(position);
            }
            remaining += u32::from(self.nodes[member].held && facts.has(Facts::ALIVE));
        }
        let run = &mut self.groups[group];
        (run.counts, run.workers) = (counts, workers);
        if let group::Phase::Falling { then, .. } = run.phase {
            run.phase = group::Phase::Falling { remaining, then };
            if remaining == 0 {
                self.work.push_back(Work::Fallen(group as u32));
            }
        }
        self.nodes[self.shape.group_node(group)].facts = self.group_facts(group);
    }

    /// How much `node` waits for, and how many that depend on it are going down.
    pub(super) fn count_needs(&mut self, node: usize) {
        let is_child = self.shape.is_child(node);
        let met = |needed: &u32| {
            let needed = *needed as usize;
            let facts = self.nodes[needed].facts;
            if self.shape.is_child(needed) && self.services[needed].dormant {
                return true;
            }
            if is_child { facts.has(Facts::SATISFIED) } else { !facts.has(Facts::UNTRIED) }
        };
        let unmet = self.shape.needs(node).iter().filter(|needed| !met(needed)).count();
        let stopping = |other: &&u32| self.nodes[**other as usize].facts.has(Facts::STOPPING);
        let leaving = self.shape.dependents(node).iter().filter(stopping).count();
        self.nodes[node].unmet = unmet as u32;
        self.nodes[node].stopping_dependents = leaving as u32;
    }
}
