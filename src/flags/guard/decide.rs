//! What the guard does about what it knows.

use super::act;
use super::decision::{Act, Decision, Reason, Signal};
use super::judge::Judgement;
use super::record::{Fact, Mode, Moment, RollState, Subject, Watch};
use super::state::{Guard, Watching};
use super::tally::Finding;
use crate::flags::refused::COOL_DOWN;
use crate::flags::{Asking, Planned, View};
use crate::time::{Duration, Instant};

/// So many starts after a death without a goodbye, while it baked, take a change back.
pub const STARTS_MAX: u32 = 3;

/// What was there before a change is written down when the ring of events has had this time to tell it.
const SETTLING: Duration = Duration::from_secs(1);

impl Guard {
    /// What is to be done now, as the change `generation`; `None`: nothing before [`next_deadline`](Guard::next_deadline) or
    /// before something else is told. To be asked after everything that was told, and again until it says `None`.
    ///
    /// Whoever reads black boxes reads the one of a life that has just ended before asking: otherwise it may seem that
    /// nobody there has read the flag.
    pub fn decide(&mut self, now: Moment, view: &View, generation: u64) -> Option<Decision> {
        self.due = None;
        let (run, abrupt) = self.begun?;
        let asking = Asking { generation, now, uid: 0, actor: "guard", reason: "", override_ban: false };
        if let Some(decision) = self.take_up(view, &asking, run, abrupt) {
            return Some(decision);
        }
        if view.facts.switch == Mode::Off || self.wants().is_none() {
            return None;
        }
        self.listening.get_or_insert(now.mono());
        let judged: Vec<(Subject, Judgement)> = self
            .watching
            .iter()
            .map(|(subject, watching)| (subject.clone(), self.judge(subject, watching, now.mono())))
            .collect();
        let decision = self
            .act(view, &asking, &judged)
            .or_else(|| self.look_after(view, &asking))
            .or_else(|| self.note(&asking))
            .or_else(|| self.hold(view, &asking, &judged))
            .or_else(|| self.prove(view, &asking, &judged))
            .or_else(|| self.probe(now.mono()));
        if decision.is_none() {
            for (_, judgement) in &judged {
                self.ask_at(now.mono(), judgement.done);
                self.ask_at(now.mono(), judgement.from);
            }
        }
        decision
    }

    /// Asks to be asked again at `at`, unless that is over.
    fn ask_at(&mut self, now: Instant, at: Instant) {
        if at > now {
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
    }

    /// Another run of the supervisor has begun: it is counted, once, and in another boot every bake begins anew.
    fn take_up(&self, view: &View, asking: &Asking, run: u64, abrupt: bool) -> Option<Decision> {
        if view.facts.run == run {
            return None;
        }
        let mut change = Planned::new("guard");
        change.facts.push(Fact::Run(run));
        for (subject, watching) in &self.watching {
            let mut watch = watching.watch.clone();
            watch.starts += u32::from(abrupt);
            if watch.at.boot != asking.now.boot {
                watch.at = asking.now;
                (watch.since_ns, watch.settled_ns) = (asking.now.mono_ns, asking.now.mono_ns);
            }
            change.facts.push(Fact::Watch(subject.clone(), Some(watch)));
        }
        for service in self.after.keys() {
            // Whatever it was, everything was started anew since.
            change.facts.push(Fact::After(service.clone(), None));
        }
        Some(Decision { act: Act::Note, change })
    }

    /// Takes back the newest change that does harm and may be taken back.
    fn act(&mut self, view: &View, asking: &Asking, judged: &[(Subject, Judgement)]) -> Option<Decision> {
        let mut newest: Option<(&Watch, Reason)> = None;
        let mut later = Vec::new();
        for (subject, judgement) in judged {
            let watch = &self.watching[subject].watch;
            let harm = host_died(subject, watch).or_else(|| judgement.harm.clone());
            let Some(reason) = harm else { continue };
            let settled = Instant::from_nanos(watch.settled_ns);
            if settled > asking.now.mono() {
                later.push(settled);
            } else if let Some(cool) = cooling(view, asking.now, subject) {
                later.push(asking.now.mono() + cool);
            } else if barred(view, asking.now, subject, watch).is_none() {
                let older = |known: &Watch| {
                    (known.generation, known.at.mono_ns) < (watch.generation, watch.at.mono_ns)
                };
                if newest.as_ref().is_none_or(|(known, _)| older(known)) {
                    newest = Some((watch, reason));
                }
            }
        }
        let decision = newest.and_then(|(watch, reason)| {
            let subject = reason.subject.clone()?;
            let observes = view.facts.switch == Mode::Observe || watch.guard.mode == Mode::Observe;
            let asking = Asking { reason: &reason.why, ..*asking };
            Some(match observes {
                true => Decision {
                    change: act::observed(view, &asking, &subject, watch, &reason),
                    act: Act::Observed(reason),
                },
                false => {
                    let others = self.others(&subject, &reason);
                    let change = act::roll_back(
                        view,
                        &asking,
                        &subject,
                        watch,
                        &reason,
                        &others,
                        self.before(&reason),
                    );
                    Decision { change, act: Act::RollBack(reason) }
                }
            })
        });
        later.into_iter().for_each(|at| self.ask_at(asking.now.mono(), at));
        decision
    }

    /// Other watched changes that the same service counts for: they get a window, then the next of them goes back.
    fn others(&self, subject: &Subject, reason: &Reason) -> Vec<(Subject, Watch)> {
        let may_count = |watching: &Watching| {
            // Where nobody is named and nobody has read it yet, it may be the one.
            let counting = watching.counting();
            counting.contains(reason.service.as_str()) || counting.is_empty()
        };
        let concerned = |(other, watching): &(&Subject, &Watching)| {
            *other != subject
                && match reason.signal {
                    Signal::Starts => watching.watch.starts >= STARTS_MAX,
                    Signal::Probe => false,
                    _ => may_count(watching),
                }
        };
        let of = self.watching.iter().filter(concerned);
        of.map(|(other, watching)| (other.clone(), watching.watch.clone())).collect()
    }

    /// Abnormal exits of the service in the window before the change.
    fn before(&self, reason: &Reason) -> u32 {
        let watching = reason.subject.as_ref().and_then(|subject| self.watching.get(subject));
        let Some(watching) = watching else { return 0 };
        let tally = watching.tallies.get(&reason.service);
        tally.map_or(0, |tally| tally.before()).max(watching.known_before(&reason.service))
    }

    /// Whether it helped that something was taken back; when it did not and nothing else bakes, what counts for the service goes
    /// to its last good value, and after another window to its safe one.
    fn look_after(&mut self, view: &View, asking: &Asking) -> Option<Decision> {
        let now = asking.now.mono();
        let mut later = Vec::new();
        let mut decision = None;
        for (service, looking) in &self.after {
            let after = &looking.after;
            let over = after.at.mono() + after.within * 2;
            if after.at.boot != asking.now.boot || now >= over {
                let mut change = Planned::new("guard");
                change.facts.push(Fact::After(service.clone(), None));
                decision.get_or_insert(Decision { act: Act::Note, change });
                continue;
            }
            let settled = after.at.mono() + after.within;
            later.extend([settled, over]);
            let finding = looking.tally.still_sick(&looking.rule, service, after.before);
            let Finding::Harm { signal, why, evidence, seen } = finding else { continue };
            if now < settled || self.baking_for(view, asking.now, service) {
                continue;
            }
            let reason = Reason {
                subject: None,
                generation: 0,
                service: service.clone(),
                signal,
                why: format!("{why}, and what was taken back did not help"),
                evidence,
                seen,
            };
            let asking = Asking { reason: &reason.why, ..*asking };
            let counts = |flags: &[&str]| self.has_read(service, flags);
            decision = Some(act::fall_back(view, &asking, after, &reason, &counts));
            break;
        }
        later.into_iter().for_each(|at| self.ask_at(now, at));
        decision
    }

    /// Whether a change that may be taken back is still watched for this service.
    fn baking_for(&self, view: &View, now: Moment, service: &str) -> bool {
        self.watching.iter().any(|(subject, watching)| {
            let watch = &watching.watch;
            let on = watch.guard.mode == Mode::On && barred(view, now, subject, watch).is_none();
            on && watching.counting().contains(service)
        })
    }

    /// Writes down what a later life of the keeper could not find out: who has read it, who was sick before.
    fn note(&mut self, asking: &Asking) -> Option<Decision> {
        let now = asking.now.mono();
        let listened = self.listening.unwrap_or(now) + SETTLING;
        let mut change = Planned::new("guard");
        let mut later = Vec::new();
        for (subject, watching) in &self.watching {
            let watch = &watching.watch;
            let mut readers: Vec<&String> = match watch.guard.services.is_empty() {
                true => watching.readers.iter().filter(|reader| !watch.readers.contains(reader)).collect(),
                false => Vec::new(),
            };
            let mut sick = Vec::new();
            let settled = listened.max(watch.at.mono() + SETTLING);
            for service in watching.counting() {
                let before = watching.tallies.get(service).map_or(0, |tally| tally.before());
                if before > watching.known_before(service) {
                    if now < settled {
                        later.push(settled);
                    } else {
                        sick.push((service.to_owned(), before));
                    }
                }
            }
            if readers.is_empty() && sick.is_empty() {
                continue;
            }
            let mut noted = watch.clone();
            readers.extend(&watch.readers);
            readers.sort_unstable();
            noted.readers = readers.into_iter().cloned().collect();
            noted.before.retain(|(of, _)| sick.iter().all(|(service, _)| service != of));
            noted.before.extend(sick);
            change.facts.push(Fact::Watch(subject.clone(), Some(noted)));
        }
        later.into_iter().for_each(|at| self.ask_at(now, at));
        (!change.is_empty()).then_some(Decision { act: Act::Note, change })
    }

    /// Says, once, why something goes no further; a rollout then waits for a person.
    fn hold(&self, view: &View, asking: &Asking, judged: &[(Subject, Judgement)]) -> Option<Decision> {
        for (subject, judgement) in judged {
            let watch = &self.watching[subject].watch;
            let harmful = judgement.harm.is_some() || watch.starts >= STARTS_MAX;
            let bar = if harmful { barred(view, asking.now, subject, watch) } else { None };
            let why = bar.or_else(|| judgement.held.clone()).unwrap_or_default();
            if why == watch.held {
                continue;
            }
            let mut change = Planned::new("guard");
            let held = Watch { held: why.clone(), ..watch.clone() };
            change.facts.push(Fact::Watch(subject.clone(), Some(held)));
            if why.is_empty() {
                return Some(Decision { act: Act::Note, change });
            }
            let roll = watch.roll.and_then(|number| Some((number, view.facts.rolls.get(&number)?)));
            if let Some((number, roll)) = roll.filter(|(_, roll)| roll.state == RollState::Baking) {
                let mut roll = roll.clone();
                (roll.state, roll.outcome) = (RollState::Held, why.clone());
                roll.moved = asking.now.wall;
                change.facts.push(Fact::Roll(number, Some(roll)));
            }
            return Some(Decision { act: Act::Hold { subject: subject.clone(), why }, change });
        }
        None
    }

    /// What has baked is proven, the oldest change first; of a rollout, the next step comes.
    fn prove(&self, view: &View, asking: &Asking, judged: &[(Subject, Judgement)]) -> Option<Decision> {
        let proven = judged.iter().filter(|(_, judgement)| judgement.is_proven(asking.now.mono()));
        let ripe = proven.filter_map(|(subject, _)| {
            let watch = &self.watching[subject].watch;
            let roll = watch.roll.and_then(|number| view.facts.rolls.get(&number));
            let waits = roll.is_some_and(|roll| roll.state == RollState::Held);
            (!waits && watch.starts < STARTS_MAX).then_some((subject, watch))
        });
        let (subject, watch) = ripe.min_by_key(|(_, watch)| watch.generation)?;
        Some(act::prove(view, asking, subject, watch))
    }

    /// Commands whose time has come.
    fn probe(&mut self, now: Instant) -> Option<Decision> {
        let mut later = Vec::new();
        let mut decision = None;
        for (subject, watching) in &mut self.watching {
            let Some(probe) = &watching.watch.guard.probe else { continue };
            let probing = &mut watching.probe;
            let every = probe.every.max(Duration::from_millis(1));
            let next = match probing.asked {
                None => watching.rule.at() + every,
                // The keeper that ran it may have died.
                Some(asked) if probing.runs => asked + every + probe.timeout,
                Some(asked) => asked + every,
            };
            if now < next {
                later.push(next);
                continue;
            }
            (probing.asked, probing.runs) = (Some(now), true);
            let (generation, probe) = (watching.watch.generation, probe.clone());
            let act = Act::Run { subject: subject.clone(), generation, probe };
            decision = Some(Decision { act, change: Planned::default() });
            break;
        }
        later.into_iter().for_each(|at| self.ask_at(now, at));
        decision
    }
}

/// Why the guard does not act on this although it should, in a sentence; `None`: nothing bars it.
fn barred(view: &View, now: Moment, subject: &Subject, watch: &Watch) -> Option<String> {
    if view.facts.past.get(subject).is_some_and(|past| past.frozen) {
        return Some("it is frozen".to_owned());
    }
    if cooling(view, now, subject).is_some() {
        return Some("it is cooling down after its last rollback".to_owned());
    }
    let Subject::Stage(name, number) = subject else { return None };
    let migration = view.catalog.migration(name)?;
    let to = watch.stage.unwrap_or(number - 1);
    match crate::flags::check_one_way(view, migration, to) {
        Err(refused) => Some(refused.to_string()),
        Ok(()) => None,
    }
}

/// For so much longer it is left alone after its last rollback.
pub(super) fn cooling(view: &View, now: Moment, subject: &Subject) -> Option<Duration> {
    let last = view.facts.past.get(subject)?.rollbacks.last()?;
    COOL_DOWN.checked_sub(now.since(*last)).filter(|left| !left.is_zero())
}

/// Supervisor or host died too often while it baked.
fn host_died(subject: &Subject, watch: &Watch) -> Option<Reason> {
    (watch.starts >= STARTS_MAX).then(|| Reason {
        subject: Some(subject.clone()),
        generation: watch.generation,
        service: String::new(),
        signal: Signal::Starts,
        why: format!("the supervisor or the host died {} times while it baked", watch.starts),
        evidence: Vec::new(),
        seen: watch.at.mono(),
    })
}
