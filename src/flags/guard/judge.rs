//! How a watched change stands: whether something speaks against it, and whether it has baked.

use super::decision::{Reason, Signal};
use super::input::Verdict;
use super::lives::Uptime;
use super::record::Subject;
use super::state::{Guard, Watching};
use super::tally::{Finding, seconds};
use crate::flags::WHOLE;
use crate::time::{Duration, Instant};

/// How a watched change stands.
#[derive(Clone, Debug)]
pub(super) struct Judgement {
    /// It does harm.
    pub(super) harm: Option<Reason>,
    /// It goes no further by itself, in a sentence.
    pub(super) held: Option<String>,
    /// What is missing, but for time.
    pub(super) missing: Option<String>,
    /// The bake counts from here.
    pub(super) from: Instant,
    /// It has baked when this is reached, if nothing happens.
    pub(super) done: Instant,
}

impl Guard {
    pub(super) fn judge(&self, subject: &Subject, watching: &Watching, now: Instant) -> Judgement {
        let watch = &watching.watch;
        let counting = watching.counting();
        let mut from = watch.at.mono().max(Instant::from_nanos(watch.since_ns));
        from = from.max(self.known_from.unwrap_or(now));
        let mut judgement = Judgement { harm: None, held: None, missing: None, from, done: from };
        if counting.is_empty() {
            judgement.missing = Some("no service has read it yet".to_owned());
        }
        let mut known = 0;
        for service in &counting {
            if let Some(tally) = watching.tallies.get(*service) {
                match tally.finding(&watching.rule, service, watching.known_before(service)) {
                    Finding::Well => {}
                    Finding::SickBefore => {
                        let sick = tally.sick_at().unwrap_or(from);
                        if now.since(sick) < watch.guard.bake {
                            judgement.hold(format!("`{service}` was as sick before the change"));
                        }
                    }
                    Finding::Harm { signal, why, evidence, seen } => {
                        judgement.accuse(subject, watching, service, signal, why, evidence, seen);
                    }
                }
                judgement.from = judgement.from.max(tally.sick_at().unwrap_or_default());
            }
            match self.lives.uptime(service) {
                Uptime::Nobody => continue,
                Uptime::Down => judgement.misses(format!("no instance of `{service}` runs")),
                Uptime::Away(instance) => judgement.misses(format!("`{instance}` is not up")),
                Uptime::Up(since) => judgement.from = judgement.from.max(since),
            }
            known += 1;
        }
        if known == 0 && !counting.is_empty() {
            judgement.misses("the tree has none of its services".to_owned());
        }
        self.judge_errors(subject, watching, now, &mut judgement);
        judge_probe(subject, watching, now, &mut judgement);
        judgement.done = judgement.from + watch.guard.bake;
        // What was said while nobody listened has had the time to be told again.
        let listened = self.listening.unwrap_or(now) + watch.guard.within;
        judgement.done = judgement.done.max(listened);
        if self.known_from.is_none() {
            judgement.misses("events were lost".to_owned());
        }
        judgement
    }

    /// Signal 5: the share of errors against that before the change. Too few samples conclude nothing.
    fn judge_errors(&self, subject: &Subject, watching: &Watching, now: Instant, judgement: &mut Judgement) {
        let Some(rule) = &watching.watch.guard.errors else { return };
        let samples = u64::from(rule.samples.max(1));
        let mut concluded = false;
        let mut few = false;
        for service in watching.counting() {
            let (before, since) = self.counted(&watching.watch, service);
            if before == (0, 0) && since == (0, 0) {
                continue;
            }
            if before.0 + before.1 < samples || since.0 + since.1 < samples {
                few = true;
                continue;
            }
            concluded = true;
            let (was, is) = (share(before), share(since));
            if is > was + u64::from(rule.delta) {
                let why = format!(
                    "{} of what `{service}` did went wrong, and {} before the change",
                    percent(is),
                    percent(was)
                );
                judgement.accuse(subject, watching, service, Signal::Errors, why, Vec::new(), now);
            }
        }
        if few || !concluded {
            let baked = judgement.from + watching.watch.guard.bake;
            let why = "too few samples to judge the share of errors".to_owned();
            if now >= baked { judgement.hold(why) } else { judgement.misses(why) }
        }
    }
}

/// Signal 6: a command.
fn judge_probe(subject: &Subject, watching: &Watching, now: Instant, judgement: &mut Judgement) {
    if watching.watch.guard.probe.is_none() {
        return;
    }
    match watching.probe.said {
        Some((Verdict::Good, _)) => {}
        Some((Verdict::Bad, at)) => {
            let why = "its command says that it is bad".to_owned();
            judgement.accuse(subject, watching, "", Signal::Probe, why, Vec::new(), at);
        }
        Some((Verdict::Unknown, _)) => {
            let why = "its command does not know".to_owned();
            if now >= judgement.from + watching.watch.guard.bake {
                judgement.hold(why)
            } else {
                judgement.misses(why)
            }
        }
        None => judgement.misses("its command has not said anything yet".to_owned()),
    }
}

impl Judgement {
    fn hold(&mut self, why: String) {
        self.held.get_or_insert(why);
    }

    fn misses(&mut self, what: String) {
        self.missing.get_or_insert(what);
    }

    /// The first signal that speaks against it is the reason; of two, the one that spoke first.
    #[expect(clippy::too_many_arguments, reason = "these are the fields of a reason")]
    fn accuse(
        &mut self,
        subject: &Subject,
        watching: &Watching,
        service: &str,
        signal: Signal,
        why: String,
        evidence: Vec<u64>,
        seen: Instant,
    ) {
        let reason = Reason {
            subject: Some(subject.clone()),
            generation: watching.watch.generation,
            service: service.to_owned(),
            signal,
            why,
            evidence,
            seen,
        };
        if self.harm.as_ref().is_none_or(|known| seen < known.seen) {
            self.harm = Some(reason);
        }
    }

    /// It has baked.
    pub(super) fn is_proven(&self, now: Instant) -> bool {
        self.harm.is_none() && self.held.is_none() && self.missing.is_none() && now >= self.done
    }

    /// How long it has baked.
    pub(super) fn baked(&self, now: Instant, bake: Duration) -> Duration {
        if self.missing.is_some() && self.from >= now {
            Duration::ZERO
        } else {
            now.since(self.from).min(bake)
        }
    }

    /// What is to be said of it, if anything but time is missing.
    pub(super) fn word(&self) -> String {
        let harm = self.harm.as_ref().map(|reason| &reason.why);
        harm.or(self.held.as_ref()).or(self.missing.as_ref()).cloned().unwrap_or_default()
    }
}

/// In 1/100,000.
fn share((ok, errors): (u64, u64)) -> u64 {
    errors.saturating_mul(u64::from(WHOLE)).checked_div(ok.saturating_add(errors)).unwrap_or(0)
}

fn percent(share: u64) -> String {
    crate::flags::Value::Share(u32::try_from(share).unwrap_or(WHOLE)).to_string()
}

/// `3 crashes in 60 s, ready, health`: how a change is watched, in a few words.
pub fn in_words(guard: &super::Guarding) -> String {
    let mut words = vec![format!("{} crashes in {}", guard.crashes, seconds(guard.within))];
    let also = [
        (guard.ready, "ready"),
        (guard.health > 0, "health"),
        (guard.errors.is_some(), "errors"),
        (guard.probe.is_some(), "command"),
    ];
    words.extend(also.into_iter().filter(|(is, _)| *is).map(|(_, word)| word.to_owned()));
    words.join(", ")
}
