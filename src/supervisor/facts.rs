//! What is true of a node right now, as a handful of bits, and how a change of one of them spreads.
//!
//! A child's facts follow from its goal and phase; a group counts for each fact how many members have it, and
//! its own facts follow from the counts. So a change costs its ancestors one step each, and usually stops
//! after one; nobody ever scans members. When a fact flips, those whose turn may have come are put on
//! the work-list; nothing is decided here.

use super::service::{Goal, Phase, Rest};
use super::{Supervisor, Work, group};

/// A set of facts about a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts(u8);

impl Facts {
    /// How many there are.
    pub(super) const COUNT: usize = 7;
    /// It has a process, or may have one any moment. A group: a member has.
    pub(super) const ALIVE: Facts = Facts(1);
    /// Alive, and going down. A group: a member is.
    pub(super) const STOPPING: Facts = Facts(2);
    /// What needs it may start: it is up (ready, when it declares that) and stays so, or finished cleanly. A group: all
    /// members that are wanted are so, and at least one is (or it has none).
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
    fn child_facts(&self, child: usize) -> Facts {
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
    }

    /// The facts of a group follow from how many members have each.
    fn group_facts(&self, group: usize) -> Facts {
        let run = &self.groups[group];
        let any = |fact: Facts| run.counts[fact.0.trailing_zeros() as usize] > 0;
        let childless = self.tree.groups[group].members.is_empty();
        let gave_up = run.phase == group::Phase::GaveUp;
        Facts::when(any(Facts::ALIVE), Facts::ALIVE)
            .and(Facts::when(any(Facts::STOPPING), Facts::STOPPING))
            .and(Facts::when(!any(Facts::MISSING) && (any(Facts::SATISFIED) || childless), Facts::SATISFIED))
            .and(Facts::when(any(Facts::MISSING), Facts::MISSING))
            .and(Facts::when(any(Facts::PENDING) && !gave_up, Facts::PENDING))
            .and(Facts::when(any(Facts::WANTING), Facts::WANTING))
            .and(Facts::when(any(Facts::UNTRIED), Facts::UNTRIED))
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
            let counts = &mut self.groups[parent].counts;
            for (bit, count) in counts.iter_mut().enumerate() {
                match ((old.0 >> bit) & 1, (new.0 >> bit) & 1) {
                    (0, 1) => *count += 1,
                    (1, 0) => *count -= 1,
                    _ => {}
                }
            }
            new = self.group_facts(parent);
            node = self.shape.group_node(parent);
        }
    }

    /// Tells those who wait for a fact of `node` that it came or went.
    fn flipped(&mut self, node: usize, old: Facts, new: Facts) {
        let came = |fact: Facts| new.has(fact) && !old.has(fact);
        let went = |fact: Facts| old.has(fact) && !new.has(fact);
        if came(Facts::SATISFIED) || went(Facts::SATISFIED) {
            self.tell_dependents(node, came(Facts::SATISFIED), true);
        }
        if went(Facts::UNTRIED) {
            self.tell_dependents(node, true, false);
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
        if went(Facts::ALIVE) && self.nodes[node].held {
            self.count_fallen(node);
        }
    }

    /// What waits for `node` has one thing less (`met`) or more to wait for. `needs`: the children that need
    /// it; else the groups that come after it.
    fn tell_dependents(&mut self, node: usize, met: bool, needs: bool) {
        for at in self.shape.dependents.range(node) {
            let dependent = self.shape.dependents.item(at);
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
        for at in self.shape.needs.range(node) {
            let needed = self.shape.needs.item(at);
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
            if let Some(next) = leaving.last() {
                self.touch_last_first(self.shape.member(parent, next));
            }
        }
    }

    /// In a group with order, `node` has come up, or never will: the next in the line may start.
    fn leave_line(&mut self, node: usize) {
        let Some(parent) = self.shape.parent(node).filter(|parent| self.shape.ordered(*parent)) else {
            return;
        };
        if self.groups[parent].line.remove(self.shape.position(node)) {
            match self.groups[parent].line.first() {
                Some(next) => self.touch(self.shape.member(parent, next)),
                None => self.groups[parent].initial = false,
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

    /// Computes all facts and counts from nothing, before the tree starts.
    pub(super) fn count_from_scratch(&mut self) {
        for child in 0..self.services.len() {
            if self.services[child].goal == Goal::Down {
                self.services[child].phase = Phase::Idle(Rest::Stopped);
                self.services[child].tried = true;
            }
            self.nodes[child].facts = self.child_facts(child);
        }
        // Inner groups come after the groups that they are members of.
        for at in (0..self.shape.groups_in_order.len()).rev() {
            let group = self.shape.groups_in_order[at] as usize;
            let mut counts = [0; Facts::COUNT];
            for position in 0..self.tree.groups[group].members.len() {
                let facts = self.nodes[self.shape.member(group, position)].facts;
                for (bit, count) in counts.iter_mut().enumerate() {
                    *count += u32::from((facts.0 >> bit) & 1);
                }
            }
            self.groups[group].counts = counts;
            self.nodes[self.shape.group_node(group)].facts = self.group_facts(group);
        }
        for node in 0..self.nodes.len() {
            let is_child = self.shape.is_child(node);
            let met = |needed: usize| {
                let facts = self.nodes[needed].facts;
                if is_child { facts.has(Facts::SATISFIED) } else { !facts.has(Facts::UNTRIED) }
            };
            let range = self.shape.needs.range(node);
            let unmet = range.filter(|at| !met(self.shape.needs.item(*at))).count();
            self.nodes[node].unmet = unmet as u32;
        }
    }
}
