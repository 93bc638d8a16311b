//! An independent count of restarts: own limits, shared windows, waits.
//!
//! Where the outside cannot know whether a death counts (a command or the fall of a group came between), it
//! keeps two counts: what was counted for sure, and what may have been. A limit must be obeyed when the
//! first says so, and must not be claimed when the second denies it.

use crate::known::Life;
use crate::reports::in_window;
use mainstay::supervisor::Cause;
use mainstay::supervisor::spec::{Backoff, GroupId, Intensity, Node, Strategy, Tree};
use mainstay::time::{Duration, Instant};

#[derive(Clone, Default)]
struct Stamps {
    sure: Vec<Instant>,
    possible: Vec<Instant>,
    /// Groups were members of it: their deaths count too, and are not seen from outside.
    nested: bool,
}

impl Stamps {
    /// Whether the limit is reached for sure, and whether it may be. A stamp exactly `within` old counts.
    fn reached(&self, limit: Intensity, whole_seconds: bool, now: Instant) -> (bool, bool) {
        let counts = |at: &&Instant| in_window(whole_seconds, limit, at.as_nanos(), now.as_nanos());
        let count = |stamps: &[Instant]| stamps.iter().filter(counts).count() as u32;
        (count(&self.sure) >= limit.max, count(&self.possible) >= limit.max)
    }

    fn push(&mut self, now: Instant, sure: bool) {
        self.possible.push(now);
        if sure {
            self.sure.push(now);
        }
    }
}

#[derive(Clone, Default)]
struct Child {
    own: Stamps,
    /// Restarts since it was last forgotten; `None` when that cannot be known.
    attempt: Option<u32>,
    /// The earliest and the latest moment of the next try.
    bounds: Option<(Instant, Instant)>,
    /// It died, leaving helpers, and must (must not) be parked when they are gone.
    verdict: Option<bool>,
    /// Under OTP semantics its restart failed: it counts when the next one is made (I05).
    owed: bool,
}

impl Child {
    fn new() -> Child {
        Child { attempt: Some(0), ..Child::default() }
    }
}

/// Whose death, in which life, how and whether it counts.
type Death = (usize, Option<Life>, Option<(Cause, bool)>);

/// What happened in one step.
#[derive(Default)]
struct Step {
    death: Option<Death>,
    /// (who, whether its restart type starts it again, whether it had been up).
    counts: Option<(usize, bool, bool)>,
    cleared: Option<usize>,
    started: Vec<usize>,
    gave_up: Vec<usize>,
    backs_off: Vec<(usize, Instant)>,
    limits: Vec<(usize, usize)>,
}

#[derive(Default)]
pub(crate) struct Tally {
    now: Instant,
    children: Vec<Child>,
    groups: Vec<Stamps>,
    step: Step,
}

impl Tally {
    /// Makes room for so many.
    pub(crate) fn reserve(&mut self, children: usize, groups: usize) {
        self.children.resize_with(children.max(self.children.len()), Child::new);
        self.groups.resize_with(groups.max(self.groups.len()), Stamps::default);
    }

    /// Nobody has this number; who gets it next begins anew.
    pub(crate) fn removed(&mut self, child: usize) {
        self.children[child] = Child::new();
        // Nor is its group known any more.
        self.step.counts = self.step.counts.filter(|(who, ..)| *who != child);
    }

    pub(crate) fn begin(&mut self, now: Instant) {
        self.now = now;
        self.step = Step::default();
    }

    pub(crate) fn died(&mut self, child: usize, life: Option<Life>, exit: Option<(Cause, bool)>) {
        self.step.death = Some((child, life, exit));
    }

    /// The exit of this step, when it is of `child`.
    pub(crate) fn death(&self, child: usize) -> Option<(Life, Cause)> {
        let (who, life, exit) = self.step.death.clone()?;
        (who == child).then_some((life?, exit?.0))
    }

    pub(crate) fn cleared(&mut self, child: usize) {
        self.step.cleared = Some(child);
    }

    /// The death of this step counts.
    pub(crate) fn counts(&mut self, child: usize, restarts: bool, was_up: bool) {
        self.step.counts = Some((child, restarts, was_up));
    }

    /// The death of this step may count.
    pub(crate) fn may_count(&mut self, tree: &Tree, child: usize) {
        let (now, group) = (self.now, tree.children[child].group.0 as usize);
        self.children[child].own.push(now, false);
        self.children[child].attempt = None;
        self.children[child].bounds = None;
        self.children[child].owed |= tree.groups[group].otp;
        self.groups[group].push(now, false);
    }

    pub(crate) fn started(&mut self, tree: &Tree, child: usize) {
        self.step.started.push(child);
        self.tried_again(tree, child);
        self.children[child].bounds = None;
    }

    /// What a failed restart owes is counted when the next one is made.
    pub(crate) fn tried_again(&mut self, tree: &Tree, child: usize) {
        if std::mem::take(&mut self.children[child].owed) {
            let group = tree.children[child].group.0 as usize;
            self.groups[group].push(self.now, false);
        }
    }

    pub(crate) fn may_start(&self, child: usize) -> bool {
        self.children[child].bounds.is_none_or(|(earliest, _)| self.now >= earliest)
    }

    pub(crate) fn gave_up(&mut self, child: usize) {
        self.step.gave_up.push(child);
    }

    pub(crate) fn backs_off(&mut self, child: usize, until: Instant) -> Option<String> {
        self.step.backs_off.push((child, until));
        None
    }

    pub(crate) fn limit_reached(&mut self, group: usize, by: usize) -> Option<String> {
        self.step.limits.push((group, by));
        None
    }

    /// Members of `group` begin anew: their waits, and the windows of the groups in it, are over.
    pub(crate) fn group_fell(&mut self, tree: &Tree, group: usize) {
        let limit = self.step.limits.iter().any(|(of, _)| *of == group);
        for inner in 0..tree.groups.len() {
            if (inner != group || limit) && around(tree, inner).any(|of| of == group) {
                self.groups[inner].sure.clear();
            }
        }
        for (at, child) in tree.children.iter().enumerate() {
            if around(tree, child.group.0 as usize).any(|of| of == group) {
                self.children[at].bounds = None;
                self.children[at].verdict = None;
            }
        }
    }

    /// It was wanted up anew: what was counted may be forgotten.
    pub(crate) fn forget(&mut self, child: usize) {
        let child = &mut self.children[child];
        child.own.sure.clear();
        (child.attempt, child.bounds, child.verdict) = (None, None, None);
    }

    /// The group may have begun anew.
    pub(crate) fn forget_group(&mut self, group: usize) {
        self.groups[group].sure.clear();
    }

    /// Nobody has this number; who gets it next begins anew.
    pub(crate) fn no_group(&mut self, group: usize) {
        self.groups[group] = Stamps::default();
    }

    /// It is wanted down: it waits for nothing.
    pub(crate) fn pause(&mut self, child: usize) {
        let child = &mut self.children[child];
        (child.bounds, child.verdict) = (None, None);
    }

    /// Judges the step. What was wrong, if anything was.
    pub(crate) fn end(&mut self, tree: &Tree) -> Option<String> {
        for (group, policy) in tree.groups.iter().enumerate() {
            self.groups[group].nested |= policy.members.iter().any(|member| matches!(member, Node::Group(_)));
        }
        if let Some(child) = self.step.cleared
            && let Some(park) = self.children[child].verdict.take()
            && park != self.step.gave_up.contains(&child)
        {
            return Some(format!("S8: after its helpers were gone, must c{child} give up? {park}"));
        }
        if let Some((child, true, was_up)) = self.step.counts {
            let complaint = self.count(tree, child, was_up);
            if complaint.is_some() {
                return complaint;
            }
        }
        for (child, until) in &self.step.backs_off {
            if let Some((earliest, latest)) = self.children[*child].bounds
                && !(earliest <= *until && *until <= latest)
            {
                return Some(format!(
                    "S7: c{child} waits until {until:?}, not from {earliest:?} to {latest:?}"
                ));
            }
        }
        None
    }

    fn count(&mut self, tree: &Tree, child: usize, was_up: bool) -> Option<String> {
        let now = self.now;
        let policy = &tree.children[child];
        let group = policy.group.0 as usize;
        let otp = tree.groups[group].otp;
        let (_, life, exit) = self.step.death.clone()?;
        let leftovers = exit.is_some_and(|(_, leftovers)| leftovers);
        let limit_of_group = self.step.limits.contains(&(group, child));
        // S8: its own limit.
        let limit = policy.limit.filter(|_| !otp);
        let (must, may) =
            limit.map_or((false, false), |limit| self.children[child].own.reached(limit, false, now));
        let parked = if leftovers {
            self.children[child].verdict = (must == may).then_some(must);
            (must == may).then_some(must)
        } else {
            Some(self.step.gave_up.contains(&child))
        };
        match parked {
            Some(false) if must => {
                return Some(format!("S8: c{child} is over its own limit and does not give up"));
            }
            Some(true) if !may => return Some(format!("S8: c{child} gives up within its limit")),
            Some(true) => return None,
            Some(false) | None => {}
        }
        self.children[child].own.push(now, parked.is_some() && (was_up || !otp));
        // I01: the window of its group. A failed first start under OTP semantics fails the group instead.
        let sure = parked.is_some() && (was_up || !otp);
        if otp && !was_up {
            self.children[child].owed = true;
            return None;
        }
        if let Some(intensity) = tree.groups[group].intensity {
            let (must, may) = self.groups[group].reached(intensity, tree.groups[group].whole_seconds, now);
            if must && sure && reliable(tree, group) && !limit_of_group {
                return Some(format!("I01: the window of g{group} is overrun"));
            }
            if limit_of_group && !may && !self.groups[group].nested {
                return Some(format!("I01: g{group} ends within its window"));
            }
        }
        if limit_of_group {
            return None;
        }
        self.groups[group].push(now, sure);
        self.wait(tree, child, life, parked.is_some() && !otp)
    }

    /// S7: the bounds of the wait.
    fn wait(&mut self, tree: &Tree, child: usize, life: Option<Life>, known: bool) -> Option<String> {
        let policy = tree.children[child].backoff;
        let since = life.and_then(|life| life.good_since());
        let healthy = since.map(|since| self.now.since(since)).unwrap_or_default();
        let state = &mut self.children[child];
        if healthy >= policy.forget {
            state.attempt = Some(0);
        }
        state.attempt = state.attempt.filter(|_| known).map(|attempt| attempt + 1);
        let group = tree.children[child].group.0 as usize;
        let alone = tree.groups[group].strategy == Strategy::OneForOne;
        if let Some(attempt) = state.attempt.filter(|_| alone) {
            let (least, most) = bounds(&policy, attempt);
            let earliest = self.now + least;
            if self.step.started.contains(&child) && earliest > self.now {
                return Some(format!("S7: c{child} starts before its time"));
            }
            // A group that cannot be started begins anew without a report: then nobody knows.
            if !self.step.started.contains(&child) && reliable(tree, group) {
                state.bounds = Some((earliest, self.now + most));
            }
        }
        None
    }
}

/// The shortest and longest wait before restart number `attempt`, written as plainly as S7 says it.
fn bounds(policy: &Backoff, attempt: u32) -> (Duration, Duration) {
    let mut wait = policy.base.as_secs_f64();
    let mut longest = policy.max.as_secs_f64();
    if attempt == 1 {
        wait = policy.first.as_secs_f64();
        longest = f64::INFINITY;
    }
    for _ in 2..attempt {
        wait *= policy.factor;
    }
    wait = wait.min(longest);
    let slack = 1e-8;
    let least = (wait * (1.0 - policy.jitter) - slack).max(0.0);
    let most = (wait * (1.0 + policy.jitter)).min(longest) + slack;
    (Duration::from_secs_f64(least), Duration::from_secs_f64(most))
}

/// Whether no OTP group around `group` (itself included) is inside another: then its falls are all reported.
fn reliable(tree: &Tree, group: usize) -> bool {
    around(tree, group).all(|group| !tree.groups[group].otp || tree.groups[group].parent.is_none())
}

/// `group` and the groups around it.
fn around(tree: &Tree, group: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(GroupId(group as u32)), |at| tree.groups[at.0 as usize].parent)
        .map(|group| group.0 as usize)
}
