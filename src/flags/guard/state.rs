//! What the guard knows and need not remember.

use super::input::{Event, Happened, Input, Verdict};
use super::lives::Lives;
use super::record::{After, Count, Fact, Guarding, Subject, Watch};
use super::tally::{Evidence, Rule, Tally, What};
use crate::flags::Planned;
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Evidence is kept for this long, for the window before the next change, and so much of it of each service.
const KEPT: Duration = Duration::from_secs(3600);
const KEPT_MAX: usize = 1024;
/// So many lives of an instance are counted.
const LIVES_MAX: usize = 8;

/// The guard. All that it knows is volatile: it can be thrown away at any moment, and made anew from the facts, from what
/// the supervisor says to a new life of the keeper, and from the ring of events.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    pub(super) watching: BTreeMap<Subject, Watching>,
    pub(super) after: BTreeMap<String, Looking>,
    pub(super) lives: Lives,
    /// What each instance has read in its newest life that has read anything.
    reads: BTreeMap<String, (u64, BTreeSet<String>)>,
    /// What each instance has counted.
    counts: BTreeMap<String, Counts>,
    /// What spoke against anything lately, by service, in the order in which it happened.
    history: BTreeMap<String, VecDeque<Evidence>>,
    /// The newest event.
    seq: u64,
    /// Everything since then is known; `None`: nothing is.
    pub(super) known_from: Option<Instant>,
    /// It listens since then.
    pub(super) listening: Option<Instant>,
    /// The supervisor's run, and whether the one before ended without a goodbye; `None`: not said yet.
    pub(super) begun: Option<(u64, bool)>,
    pub(super) due: Option<Instant>,
}

/// What the newest lives of an instance have counted: what went well, and what did not.
#[derive(Clone, Debug)]
struct Counts {
    service: String,
    lives: BTreeMap<u64, (u64, u64)>,
}

/// A change that is watched, and what speaks against it.
#[derive(Clone, Debug)]
pub(super) struct Watching {
    pub(super) watch: Watch,
    pub(super) rule: Rule,
    /// Of every service, whether it counts or not: who counts may be found out later.
    pub(super) tallies: BTreeMap<String, Tally>,
    /// Services that have read it, as far as the watch itself does not say so.
    pub(super) readers: BTreeSet<String>,
    pub(super) probe: Probing,
}

/// How the command of a watch stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Probing {
    /// When it was last asked for.
    pub(super) asked: Option<Instant>,
    /// What it said last, and when.
    pub(super) said: Option<(Verdict, Instant)>,
    /// It is awaited.
    pub(super) runs: bool,
}

/// A service because of which something was taken back.
#[derive(Clone, Debug)]
pub(super) struct Looking {
    pub(super) after: After,
    pub(super) rule: Rule,
    pub(super) tally: Tally,
}

impl Guard {
    /// One that knows nothing yet. All facts of the journal are to be told to [`learn`](Guard::learn) before anything else.
    pub fn new() -> Guard {
        Guard::default()
    }

    /// Takes in a fact: all of them at the start, then those of each change when it is committed.
    pub fn learn(&mut self, fact: &Fact) {
        match fact {
            Fact::Watch(subject, Some(watch)) => self.learn_watch(subject, watch),
            Fact::Watch(subject, None) => drop(self.watching.remove(subject)),
            Fact::After(service, Some(after)) => {
                let rule = Rule::of_after(after);
                let mut tally = Tally::default();
                self.history.get(service).into_iter().flatten().for_each(|one| tally.take(&rule, one));
                self.after.insert(service.clone(), Looking { after: after.clone(), rule, tally });
            }
            Fact::After(service, None) => drop(self.after.remove(service)),
            // These are looked up when a decision is made.
            Fact::Stood(..)
            | Fact::Good(..)
            | Fact::Ban(..)
            | Fact::Past(..)
            | Fact::Roll(..)
            | Fact::Switch(_)
            | Fact::Fresh(..)
            | Fact::Run(_) => {}
        }
        if self.watching.is_empty() && self.after.is_empty() {
            self.listening = None;
        }
    }

    fn learn_watch(&mut self, subject: &Subject, watch: &Watch) {
        let rule = Rule::of(watch);
        if let Some(known) = self.watching.get_mut(subject)
            && known.watch.generation == watch.generation
            && known.rule == rule
        {
            known.watch = watch.clone();
            return;
        }
        let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
        for (service, history) in &self.history {
            let tally = tallies.entry(service.clone()).or_default();
            history.iter().for_each(|one| tally.take(&rule, one));
        }
        let readers = self.readers(&flags_of(subject, watch));
        let probe = Probing::default();
        let watching = Watching { watch: watch.clone(), rule, tallies, readers, probe };
        self.watching.insert(subject.clone(), watching);
    }

    /// Services of which some instance has read one of these in the life that it has.
    fn readers(&self, flags: &[&str]) -> BTreeSet<String> {
        let has = |read: &BTreeSet<String>| flags.iter().any(|flag| read.contains(*flag));
        let live = |name: &str, life: u64| life >= self.lives.incarnation(name);
        let reads = self.reads.iter().filter(|(name, (life, read))| live(name, *life) && has(read));
        reads.filter_map(|(name, _)| self.lives.service_of(name)).map(str::to_owned).collect()
    }

    /// Whether this service has read one of these, as far as that is known.
    pub(super) fn has_read(&self, service: &str, flags: &[&str]) -> bool {
        self.readers(flags).contains(service)
    }

    /// Takes in what it is told, as of `now`.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Begun { run, abrupt } => self.begun = Some((run, abrupt)),
            Input::Instance { service, instance } => self.lives.add(service, instance),
            Input::Gone { instance } => {
                self.lives.remove(&instance);
                self.reads.remove(&instance);
            }
            Input::Life { instance, incarnation } => {
                self.lives.begin(&instance, incarnation, self.begun.is_none());
            }
            Input::Missed(0) => {}
            Input::Missed(_) => self.known_from = None,
            Input::Happened(event) => self.happened(&event),
            Input::Read { instance, incarnation, flag } => self.read(instance, incarnation, flag),
            Input::Counted { instance, incarnation, ok, errors } => {
                let service =
                    self.lives.service_of(&instance).map_or_else(|| service_in(&instance), str::to_owned);
                let counts =
                    self.counts.entry(instance).or_insert(Counts { service, lives: BTreeMap::new() });
                let lives = &mut counts.lives;
                lives.insert(incarnation, (ok, errors));
                while lives.len() > LIVES_MAX {
                    lives.pop_first();
                }
            }
            Input::Said { subject, generation, verdict } => {
                if let Some(watching) = self.watching.get_mut(&subject)
                    && watching.watch.generation == generation
                {
                    watching.probe.said = Some((verdict, now));
                    watching.probe.runs = false;
                }
            }
        }
    }

    fn read(&mut self, instance: String, incarnation: u64, flag: String) {
        if let Some(service) = self.lives.service_of(&instance) {
            for (subject, watching) in &mut self.watching {
                if flags_of(subject, &watching.watch).contains(&flag.as_str()) {
                    watching.readers.insert(service.to_owned());
                }
            }
        }
        let read = self.reads.entry(instance).or_default();
        if incarnation > read.0 {
            *read = (incarnation, BTreeSet::new());
        }
        if incarnation == read.0 {
            read.1.insert(flag);
        }
    }

    fn happened(&mut self, event: &Event) {
        if event.seq <= self.seq {
            return;
        }
        // The first event of a project, and the ones behind what is known, leave nothing out.
        let whole = event.seq == 1;
        self.known_from.get_or_insert(if whole { Instant::ZERO } else { event.at });
        self.seq = event.seq;
        self.lives.happened(event);
        let (service, what) = match &event.what {
            Happened::Exited { abnormal: true, asked: false, crash } => {
                (event.service.clone(), What::Crash(*crash))
            }
            Happened::NeverReady { within } => (event.service.clone(), What::NeverReady(*within)),
            Happened::Unhealthy { in_a_row } => (event.service.clone(), What::Unhealthy(*in_a_row)),
            Happened::GaveUp => (event.service.clone(), What::GaveUp),
            Happened::LimitReached { by } => {
                let service = self.lives.service_of(by).map_or_else(|| service_in(by), str::to_owned);
                (service, What::GaveUp)
            }
            Happened::Starting
            | Happened::Up
            | Happened::Exited { .. }
            | Happened::Down
            | Happened::Other => return,
        };
        let (instance, incarnation) = (event.instance.clone(), event.incarnation);
        self.take(service, Evidence { at: event.at, instance, incarnation, what });
    }

    fn take(&mut self, service: String, evidence: Evidence) {
        for watching in self.watching.values_mut() {
            watching.tallies.entry(service.clone()).or_default().take(&watching.rule, &evidence);
        }
        if let Some(looking) = self.after.get_mut(&service) {
            looking.tally.take(&looking.rule, &evidence);
        }
        let longest = self.watching.values().map(|watching| watching.watch.guard.within).max();
        let kept = longest.unwrap_or_default().max(KEPT);
        let history = self.history.entry(service).or_default();
        let now = evidence.at;
        history.push_back(evidence);
        while history.len() > KEPT_MAX || history.front().is_some_and(|first| now.since(first.at) > kept) {
            history.pop_front();
        }
    }

    /// Puts what it knows into the watches of a change that is about to be committed: who has read, and what was counted before.
    /// Called for every planned change, a client's or the guard's own.
    pub fn arm(&self, change: &mut Planned) {
        for fact in &mut change.facts {
            let Fact::Watch(subject, Some(watch)) = fact else { continue };
            let is_new =
                self.watching.get(subject).is_none_or(|known| known.watch.generation != watch.generation);
            if !is_new {
                continue;
            }
            if watch.guard.services.is_empty() {
                watch.readers = self.readers(&flags_of(subject, watch)).into_iter().collect();
            }
            if watch.guard.errors.is_some() {
                let counting = counting(&watch.guard, watch.readers.iter());
                watch.errors = self.counts_of(&counting);
            }
        }
    }

    /// What the newest life of each instance of these services has counted.
    fn counts_of(&self, services: &BTreeSet<&str>) -> Vec<Count> {
        let of = self.counts.iter().filter(|(_, counts)| services.contains(counts.service.as_str()));
        let newest = of.filter_map(|(name, counts)| Some((name, counts.lives.last_key_value()?)));
        let count = |(name, (life, (ok, errors))): (&String, (&u64, &(u64, u64)))| Count {
            instance: name.clone(),
            incarnation: *life,
            ok: *ok,
            errors: *errors,
        };
        newest.map(count).collect()
    }

    /// What this service has counted: in the lives that were there at the change until then, and since.
    pub(super) fn counted(&self, watch: &Watch, service: &str) -> ((u64, u64), (u64, u64)) {
        let (mut before, mut since) = ((0, 0), (0, 0));
        let of = self.counts.iter().filter(|(_, counts)| counts.service == service);
        for (instance, Counts { lives, .. }) in of {
            let base = watch.errors.iter().find(|count| count.instance == *instance);
            for (life, (ok, errors)) in lives {
                let (ok, errors) = match base {
                    Some(base) if *life < base.incarnation => continue,
                    Some(base) if *life == base.incarnation => {
                        (ok.saturating_sub(base.ok), errors.saturating_sub(base.errors))
                    }
                    _ => (*ok, *errors),
                };
                since = (since.0 + ok, since.1 + errors);
            }
        }
        let here = |count: &&Count| {
            self.counts
                .get(&count.instance)
                .map_or_else(|| service_in(&count.instance), |of| of.service.clone())
                == service
        };
        for count in watch.errors.iter().filter(here) {
            before = (before.0 + count.ok, before.1 + count.errors);
        }
        (before, since)
    }

    /// The number of the event after which it wants all; `None`: it wants none (while nothing is watched).
    pub fn wants(&self) -> Option<u64> {
        let idle = self.watching.is_empty() && self.after.is_empty();
        (!idle).then_some(self.seq)
    }

    /// When it is to be asked again, if nothing is told until then.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due
    }
}

impl Watching {
    /// The services that count: those that are named, else those that have read it.
    pub(super) fn counting(&self) -> BTreeSet<&str> {
        counting(&self.watch.guard, self.watch.readers.iter().chain(&self.readers))
    }

    /// Abnormal exits of the services that count, since the change.
    pub(super) fn crashes(&self) -> u32 {
        let counting = self.counting();
        let of = self.tallies.iter().filter(|(service, _)| counting.contains(service.as_str()));
        of.map(|(_, tally)| tally.crashes()).sum()
    }

    /// So many abnormal exits of a service in the window before the change are on record.
    pub(super) fn known_before(&self, service: &str) -> u32 {
        let of = self.watch.before.iter().find(|(of, _)| of == service);
        of.map_or(0, |(_, count)| *count)
    }
}

/// The flags of a change: whoever has read one of them has read it.
pub(super) fn flags_of<'a>(subject: &'a Subject, watch: &'a Watch) -> Vec<&'a str> {
    let mut flags = vec![subject.name()];
    flags.extend(
        watch.back.iter().map(|restore| restore.flag.as_str()).filter(|flag| *flag != subject.name()),
    );
    flags
}

fn counting<'a>(guard: &'a Guarding, readers: impl Iterator<Item = &'a String>) -> BTreeSet<&'a str> {
    match guard.services.is_empty() {
        true => readers.map(String::as_str).collect(),
        false => guard.services.iter().map(String::as_str).collect(),
    }
}

/// `web` of `web#2`: for an instance that the tree does not have any more.
fn service_in(instance: &str) -> String {
    instance.rsplit_once('#').map_or(instance, |(service, _)| service).to_owned()
}
