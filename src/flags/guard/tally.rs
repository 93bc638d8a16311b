//! What speaks against a change: evidence of one service, counted as one change needs it.

use super::decision::Signal;
use super::record::{After, Watch};
use crate::time::{Duration, Instant};
use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

/// A window never holds more than this; a service that dies so often was sick before, or is now.
const WINDOW_MAX: usize = 1024;
/// So many crash records are named as evidence: the newest.
const EVIDENCE_MAX: usize = 16;

/// Something that speaks against a change.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) at: Instant,
    pub(super) instance: String,
    pub(super) incarnation: u64,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// An abnormal exit that nobody had asked for, and its crash record.
    Crash(u64),
    /// Not ready within this time.
    NeverReady(Duration),
    /// So many health checks failed in a row.
    Unhealthy(u32),
    /// The supervisor gave up.
    GaveUp,
}

/// How evidence is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// When the change was made.
    at: Instant,
    /// Evidence against it counts from here on.
    since: Instant,
    within: Duration,
    crashes: u32,
    ready: bool,
    health: u32,
}

impl Rule {
    /// When the change was made that it counts for.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    pub(super) fn of(watch: &Watch) -> Rule {
        let guard = &watch.guard;
        let (at, since) = (watch.at.mono(), Instant::from_nanos(watch.since_ns));
        let (within, crashes) = (guard.within, guard.crashes.max(1));
        Rule { at, since: since.max(at), within, crashes, ready: guard.ready, health: guard.health }
    }

    pub(super) fn of_after(after: &After) -> Rule {
        let at = after.at.mono();
        let (within, crashes) = (after.within, after.crashes.max(1));
        Rule { at, since: at, within, crashes, ready: true, health: 0 }
    }
}

/// What evidence comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing.
    Well,
    /// It was so before the change, too.
    SickBefore,
    /// The change does harm.
    Harm { signal: Signal, why: String, evidence: Vec<u64>, seen: Instant },
}

/// The evidence of one service, counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Abnormal exits of the newest window, and their crash records.
    window: VecDeque<(Instant, u64)>,
    /// The most that any window since the change has had; which they were; when the last of them was.
    most: u32,
    evidence: Vec<u64>,
    most_at: Instant,
    /// When a window was last too full.
    full_at: Option<Instant>,
    /// Abnormal exits since the change.
    total: u32,
    /// Abnormal exits of the two windows that ended with the change; of the last one; the most that any window had
    /// which ended in that.
    earlier: VecDeque<Instant>,
    exact: u32,
    sliding: u32,
    /// Starts that were not ready in time, in the same way.
    unready: VecDeque<Instant>,
    unready_most: u32,
    unready_before: u32,
    unready_at: Instant,
    /// Of each life the newest row of failed checks: how long it is, and how much of it is since the change.
    failing: BTreeMap<(String, u64), (u32, u32)>,
    /// There were too many in a row already at the change.
    failing_before: bool,
    /// There are too many since: when first, how many, when last.
    unhealthy: Option<(Instant, u32, Instant)>,
    gave_up: Option<Instant>,
}

impl Tally {
    /// Counts one more, in the order in which they happened.
    pub(super) fn take(&mut self, rule: &Rule, evidence: &Evidence) {
        // What happened in the very moment of the change was not done by it.
        if evidence.at <= rule.at {
            if rule.at.since(evidence.at) <= rule.within * 2 {
                self.take_before(rule, evidence);
            }
        } else if evidence.at > rule.since {
            self.take_since(rule, evidence);
        }
    }

    fn take_before(&mut self, rule: &Rule, evidence: &Evidence) {
        let is_last = rule.at.since(evidence.at) <= rule.within;
        match evidence.what {
            What::Crash(_) => {
                self.exact += u32::from(is_last);
                self.earlier.push_back(evidence.at);
                while self.earlier.front().is_some_and(|first| evidence.at.since(*first) > rule.within) {
                    self.earlier.pop_front();
                }
                self.sliding = self.sliding.max(self.earlier.len() as u32);
            }
            What::NeverReady(_) => self.unready_before += u32::from(is_last),
            What::Unhealthy(in_a_row) => {
                self.failing_before |= is_last && rule.health > 0 && in_a_row >= rule.health;
            }
            What::GaveUp => {}
        }
    }

    fn take_since(&mut self, rule: &Rule, evidence: &Evidence) {
        let at = evidence.at;
        match evidence.what {
            What::Crash(record) => {
                self.total = self.total.saturating_add(1);
                self.window.push_back((at, record));
                while self.window.len() > WINDOW_MAX
                    || self.window.front().is_some_and(|(first, _)| at.since(*first) > rule.within)
                {
                    self.window.pop_front();
                }
                let count = self.window.len() as u32;
                if count >= rule.crashes {
                    self.full_at = Some(at);
                }
                if count > self.most {
                    (self.most, self.most_at) = (count, at);
                    let records = self.window.iter().rev().map(|(_, record)| *record);
                    self.evidence = records.filter(|record| *record != 0).take(EVIDENCE_MAX).collect();
                    self.evidence.reverse();
                }
            }
            // A life that began before the change is not the change's.
            What::NeverReady(within) => {
                if rule.ready && at.since(rule.since) >= within {
                    self.unready.push_back(at);
                    while self.unready.len() > WINDOW_MAX
                        || self.unready.front().is_some_and(|first| at.since(*first) > rule.within)
                    {
                        self.unready.pop_front();
                    }
                    let count = self.unready.len() as u32;
                    if count > self.unready_most {
                        (self.unready_most, self.unready_at) = (count, at);
                    }
                }
            }
            What::Unhealthy(in_a_row) => self.take_unhealthy(rule, evidence, in_a_row),
            What::GaveUp => {
                self.gave_up.get_or_insert(at);
            }
        }
    }

    /// Of a row that had begun before the change, only what was added since speaks against it.
    fn take_unhealthy(&mut self, rule: &Rule, evidence: &Evidence, in_a_row: u32) {
        let life = (evidence.instance.clone(), evidence.incarnation);
        let row = self.failing.entry(life).or_default();
        let since = match in_a_row.cmp(&row.0) {
            Ordering::Greater => row.1.saturating_add(1).min(in_a_row),
            // The same again.
            Ordering::Equal => row.1,
            Ordering::Less => 1,
        };
        *row = (in_a_row, since);
        if rule.health == 0 {
            return;
        }
        self.failing_before |= in_a_row - since >= rule.health;
        if since >= rule.health {
            let (first, most) = self.unhealthy.map_or((evidence.at, 0), |(first, most, _)| (first, most));
            self.unhealthy = Some((first, most.max(since), evidence.at));
        }
    }

    /// What it comes to. `known`: so many abnormal exits before the change are known from elsewhere.
    pub(super) fn finding(&self, rule: &Rule, service: &str, known: u32) -> Finding {
        let before = self.before().max(known);
        let within = seconds(rule.within);
        let was = match before {
            0 => String::new(),
            n => format!(", and {n} before the change"),
        };
        if let Some(seen) = self.gave_up.filter(|_| before == 0 || self.most > before) {
            let why = format!("`{service}` reached its limit of restarts");
            return self.harm(Signal::GaveUp, why, seen);
        }
        if self.most >= rule.crashes && self.most > before {
            let why = format!("{} abnormal exits of `{service}` within {within}{was}", self.most);
            return self.harm(Signal::Crashes, why, self.most_at);
        }
        if self.unready_most > self.unready_before {
            let why = format!("`{service}` was not ready in time after a restart");
            return self.harm(Signal::NeverReady, why, self.unready_at);
        }
        if let Some((seen, count, _)) = self.unhealthy.filter(|_| !self.failing_before) {
            let why = format!("{count} health checks of `{service}` failed in a row");
            return self.harm(Signal::Unhealthy, why, seen);
        }
        let sick = self.most >= rule.crashes
            || self.gave_up.is_some()
            || self.unready_most > 0
            || self.unhealthy.is_some();
        if sick { Finding::SickBefore } else { Finding::Well }
    }

    /// What it comes to after something was taken back, when there were so many abnormal exits before that change.
    pub(super) fn still_sick(&self, rule: &Rule, service: &str, before: u32) -> Finding {
        // What happened before it was taken back was because of it.
        Tally { exact: 0, sliding: 0, unready_before: 0, ..self.clone() }.finding(rule, service, before)
    }

    fn harm(&self, signal: Signal, why: String, seen: Instant) -> Finding {
        Finding::Harm { signal, why, evidence: self.evidence.clone(), seen }
    }

    /// The last moment at which the service was sick: only what comes after it is a bake.
    pub(super) fn sick_at(&self) -> Option<Instant> {
        let unready = Some(self.unready_at).filter(|_| self.unready_most > 0);
        let unhealthy = self.unhealthy.map(|(_, _, last)| last);
        [self.full_at, unready, unhealthy, self.gave_up].into_iter().flatten().max()
    }

    /// Abnormal exits since the change.
    pub(super) fn crashes(&self) -> u32 {
        self.total
    }

    /// Abnormal exits in the window that ended with the change: with one more when a window that ended a little earlier had
    /// more. Of a steady rate a window has one more or one less, as it happens to begin; without this a service that dies
    /// every twenty seconds would look worse after every second change.
    pub(super) fn before(&self) -> u32 {
        self.sliding.min(self.exact + 1)
    }
}

/// A duration as people read it.
pub(super) fn seconds(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        _ if millis.is_multiple_of(1000) => format!("{} s", millis / 1000),
        _ => format!("{millis} ms"),
    }
}
