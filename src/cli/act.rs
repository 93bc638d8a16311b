//! `start`, `stop`, `restart`: do it, and by default wait until it is done. What decides is pure
//! ([`Acting`]); [`run`] feeds it.
//!
//! The supervisor answers an act with the cursor from before it, so following the events from there misses
//! nothing of what the act brought about.

use super::caller::{Caller, News, awaited};
use super::duration::exact;
use super::error::Error;
use super::output::{Output, Style, printable};
use super::select::Snapshot;
use super::table::length;
use crate::ipc::control::{Event, Reply, Request, Service, Verb, What};
use crate::sys::clock;
use crate::time::Duration;
use serde::Serialize;
use std::ops::ControlFlow;

/// What `start`, `stop` and `restart` mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Which of them.
    pub verb: Verb,
    /// Empty: every service of the user.
    pub patterns: Vec<String>,
    /// How long to wait; `None`: not at all.
    pub wait: Option<Duration>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What became of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It runs: so long after exec; `away_ns`: after so long without.
    Up {
        /// In words: `ready` or `up`.
        state: &'static str,
        /// Since exec.
        after_ns: u64,
        /// How readiness was found out; may be empty.
        how: String,
        /// Since the end of the life before; 0: there was none.
        away_ns: u64,
    },
    /// It ran before, or did so before we looked.
    Already {
        /// The state.
        state: String,
    },
    /// It is down, so long after it was asked.
    Down {
        /// Since it was asked.
        took_ns: u64,
    },
    /// It ended by itself, with its work done.
    Finished,
    /// It did not come to what was asked for.
    Failed {
        /// In words.
        why: String,
    },
}

/// An act that is going on.
#[derive(Clone, Debug)]
pub struct Acting {
    verb: Verb,
    targets: Vec<Target>,
}

#[derive(Clone, Debug)]
struct Target {
    instance: String,
    /// Its life when the act began: a restart is done only by a later one.
    before: u64,
    /// When the supervisor began with it.
    began_ns: Option<u64>,
    /// Why its newest start failed, if it did.
    trouble: String,
    outcome: Option<Outcome>,
}

impl Acting {
    /// An act on these instances, as `before` shows them.
    pub fn new(verb: Verb, instances: &[String], before: &Snapshot) -> Acting {
        let targets = instances.iter().map(|instance| Target {
            instance: instance.clone(),
            before: find(before, instance).map_or(0, |service| service.incarnation),
            began_ns: None,
            trouble: String::new(),
            outcome: None,
        });
        Acting { verb, targets: targets.collect() }
    }

    /// What is now, after the act was taken: who is where it should be has no news to wait for. A restart
    /// always brings news.
    pub fn look(&mut self, now: &Snapshot) {
        for target in self.targets.iter_mut().filter(|target| target.outcome.is_none()) {
            let Some(service) = find(now, &target.instance) else { continue };
            target.outcome = match (self.verb, service.state.as_str()) {
                (Verb::Start, state @ ("up" | "ready")) => Some(Outcome::Already { state: state.to_owned() }),
                (Verb::Stop, state @ ("stopped" | "finished" | "gave_up")) if service.wanted == "down" => {
                    Some(Outcome::Already { state: state.to_owned() })
                }
                _ => None,
            };
        }
    }

    /// Something happened. Gives whose outcome it decided.
    pub fn happened(&mut self, event: &Event) -> Option<(&str, &Outcome)> {
        let verb = self.verb;
        let target = self.targets.iter_mut().find(|target| target.instance == event.instance)?;
        if target.outcome.is_some() {
            return None;
        }
        let began = target.began_ns;
        target.began_ns.get_or_insert(event.mono_ns);
        let renewed = verb != Verb::Restart || event.incarnation > target.before;
        let outcome = match (&event.what, verb) {
            (What::Up { after_ns }, Verb::Start | Verb::Restart) if renewed => {
                Outcome::Up { state: "up", after_ns: *after_ns, how: String::new(), away_ns: 0 }
            }
            (What::Ready { after_ns, how, away_ns }, Verb::Start | Verb::Restart) if renewed => {
                Outcome::Up { state: "ready", after_ns: *after_ns, how: how.clone(), away_ns: *away_ns }
            }
            (What::StartFailed { error, .. }, _) => {
                target.trouble.clone_from(error);
                return None;
            }
            (What::NeverReady { within_ns, .. }, _) => {
                target.trouble = format!("not ready within {}", exact(*within_ns));
                return None;
            }
            (What::GaveUp { .. }, Verb::Start | Verb::Restart) => {
                let why =
                    if target.trouble.is_empty() { "it gave up".to_owned() } else { target.trouble.clone() };
                Outcome::Failed { why }
            }
            (What::Finished, Verb::Start | Verb::Restart) if renewed => Outcome::Finished,
            // The end of a stop that was under way, or somebody else wants it down: time will tell.
            (What::Stopped, Verb::Start) => {
                target.trouble = "it was stopped meanwhile".to_owned();
                return None;
            }
            // Nothing had to be stopped.
            (What::Stopped, Verb::Stop) if began.is_none() => {
                Outcome::Already { state: "stopped".to_owned() }
            }
            (What::Stopped | What::Finished | What::GaveUp { .. }, Verb::Stop) => Outcome::Down {
                took_ns: event.mono_ns.saturating_sub(target.began_ns.unwrap_or(event.mono_ns)),
            },
            _ => return None,
        };
        target.outcome = Some(outcome);
        target.outcome.as_ref().map(|outcome| (target.instance.as_str(), outcome))
    }

    /// True when every outcome is known.
    pub fn done(&self) -> bool {
        self.targets.iter().all(|target| target.outcome.is_some())
    }

    /// `web to stop, worker to stop`
    pub fn awaited(&self) -> String {
        let verb = name(self.verb);
        let open: Vec<_> = self.targets.iter().filter(|target| target.outcome.is_none()).collect();
        let shown = open.iter().take(3).map(|target| match target.trouble.as_str() {
            "" => format!("{} to {verb}", target.instance),
            trouble => format!("{} to {verb} ({})", target.instance, printable(trouble)),
        });
        let mut text = shown.collect::<Vec<_>>().join(", ");
        if open.len() > 3 {
            text += &format!(" and {} more", open.len() - 3);
        }
        text
    }

    fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.targets.iter().filter_map(|target| match &target.outcome {
            Some(Outcome::Failed { why }) => Some((target.instance.as_str(), why.as_str())),
            _ => None,
        })
    }

    /// `■ worker 9 ms · web 14 ms · all stopped in reverse order`
    pub fn stopped_line(&self, all: bool, style: Style) -> String {
        let mut parts: Vec<(u64, String)> = Vec::new();
        for target in &self.targets {
            match &target.outcome {
                Some(Outcome::Down { took_ns }) => {
                    parts.push((
                        target.began_ns.unwrap_or(0) + took_ns,
                        format!("{} {}", target.instance, exact(*took_ns)),
                    ));
                }
                _ => parts.push((0, format!("{} was down", target.instance))),
            }
        }
        parts.sort_by_key(|(at, _)| *at);
        let end = if all { "all stopped in reverse order" } else { "stopped" };
        let head = if style.glyphs { format!("{} ", style.busy("■")) } else { String::new() };
        let long = parts.iter().map(|(_, part)| part.as_str()).chain([end]).collect::<Vec<_>>().join(" · ");
        if length(&long) + 2 <= style.width {
            return format!("{head}{long}");
        }
        let last = self.targets.iter().filter_map(|target| match (&target.outcome, target.began_ns) {
            (Some(Outcome::Down { took_ns }), Some(began)) => Some((began, began + took_ns)),
            _ => None,
        });
        let (first, last) = last.fold((u64::MAX, 0), |(a, b), (began, ended)| (a.min(began), b.max(ended)));
        let took = exact(last.saturating_sub(first));
        format!("{head}{} instances in {took} · {end}", self.targets.len())
    }
}

fn find<'a>(snapshot: &'a Snapshot, instance: &str) -> Option<&'a Service> {
    snapshot.services.iter().find(|service| service.instance == instance)
}

/// As it is typed.
pub fn name(verb: Verb) -> &'static str {
    match verb {
        Verb::Start => "start",
        Verb::Stop => "stop",
        Verb::Restart => "restart",
        Verb::Kill => "kill",
    }
}

/// `✓ web ready in 91 ms  (tcp 8080)`
pub fn line(instance: &str, outcome: &Outcome, style: Style) -> String {
    let (good, bad) = if style.glyphs { ("✓", "✗") } else { ("ok", "!!") };
    let good = style.good(good);
    match outcome {
        Outcome::Up { state, after_ns, how, away_ns } => {
            let time = match away_ns {
                0 => format!("in {}", exact(*after_ns)),
                away => format!("again, was away {}", exact(*away)),
            };
            let how = if how.is_empty() { String::new() } else { format!("  ({})", printable(how)) };
            format!("{good} {instance} {state} {time}{how}")
        }
        Outcome::Already { state } => {
            format!("{good} {instance} is {} already", super::status::state_words(state))
        }
        Outcome::Down { took_ns } => format!("{good} {instance} stopped in {}", exact(*took_ns)),
        Outcome::Finished => format!("{good} {instance} finished"),
        Outcome::Failed { why } => format!("{} {instance} {}", style.bad(bad), printable(why)),
    }
}

/// The answer in JSON.
#[derive(Serialize)]
struct Answer<'a> {
    schema: u32,
    verb: &'static str,
    dry_run: bool,
    /// From before the act.
    cursor: u64,
    instances: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    instance: &'a str,
    /// When the act began; null: none.
    pid: Option<u32>,
    /// `ready`, `up`, `stopped`, `finished`, `failed`; null: not waited for.
    outcome: Option<&'a str>,
    error: Option<&'a str>,
    seconds: Option<f64>,
}

/// Does the verb.
pub fn run(act: &Act, caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    let before = caller.snapshot()?;
    // Here rather than by the supervisor, for the sake of its neighbours' names.
    before.select(&act.patterns)?;
    let request =
        Request::Act { verb: act.verb, targets: act.patterns.clone(), signal: 0, dry_run: act.dry_run };
    let mut acted = Vec::new();
    let cursor = caller.ask(&request, |reply| {
        if let Reply::Acted { instance, pid } = reply {
            acted.push((instance, pid));
        }
    })?;
    let instances: Vec<String> = acted.iter().map(|(instance, _)| instance.clone()).collect();
    let mut acting = Acting::new(act.verb, &instances, &before);
    if act.dry_run {
        return told_only(act, &acted, &acting, cursor, output);
    }
    let Some(timeout) = act.wait else {
        if output.json {
            return output.object(&answer(act, &acted, &acting, cursor));
        }
        return Ok(());
    };
    let result = wait(&mut acting, caller, cursor, timeout, output);
    if output.json {
        output.object(&answer(act, &acted, &acting, cursor))?;
    }
    result?;
    if act.verb == Verb::Stop && !output.json && !acting.targets.is_empty() {
        let line = acting.stopped_line(act.patterns.is_empty(), output.style);
        output.line(&line)?;
    }
    let failures: Vec<_> = acting.failures().collect();
    match &failures[..] {
        [] => Ok(()),
        [(instance, why)] => Err(Error::Failed {
            message: format!("cannot {} {instance}: {}", name(act.verb), printable(why)),
            hint: format!("mainstay why {instance}"),
        }),
        [(first, _), ..] => Err(Error::Failed {
            message: format!("{} of {} did not {}", failures.len(), acting.targets.len(), name(act.verb)),
            hint: format!("mainstay why {first}"),
        }),
    }
}

fn wait(
    acting: &mut Acting,
    caller: &Caller,
    cursor: u64,
    timeout: Duration,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let deadline = clock::now() + timeout;
    // What happened before this look comes again below, and finds its outcome known.
    let now = caller.snapshot()?;
    let mut past = Vec::new();
    let newest = caller.history(cursor, |news| past.push(news))?;
    for news in past {
        take(acting, news, caller, output)?;
    }
    acting.look(&now);
    report_already(acting, output)?;
    if acting.done() {
        return Ok(());
    }
    output.flush()?;
    if output.talk_style.terminal {
        output.say(&format!("waiting for {}", acting.awaited()));
    }
    let result = caller.follow(newest, Some(deadline), |news| {
        take(acting, news, caller, output)?;
        output.flush()?;
        Ok(if acting.done() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    result.map_err(|error| awaited(error, || acting.awaited(), timeout))
}

fn take(acting: &mut Acting, news: News, caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    let stop = acting.verb == Verb::Stop;
    match news {
        News::Event(event) => {
            if let Some((instance, outcome)) = acting.happened(&event)
                && !output.json
                && !stop
            {
                let line = line(instance, outcome, output.style);
                output.line(&line)?;
            }
        }
        // A restart whose news are lost is taken as done when a later life runs.
        News::Missed(_) => {
            let now = caller.snapshot()?;
            acting.look(&now);
            for target in acting.targets.iter_mut().filter(|target| target.outcome.is_none()) {
                if let Some(service) = find(&now, &target.instance)
                    && service.incarnation > target.before
                    && matches!(service.state.as_str(), "up" | "ready")
                {
                    target.outcome = Some(Outcome::Already { state: service.state.clone() });
                }
            }
        }
    }
    Ok(())
}

fn report_already(acting: &Acting, output: &mut Output<'_>) -> Result<(), Error> {
    if output.json || acting.verb == Verb::Stop {
        return Ok(());
    }
    for target in &acting.targets {
        if let Some(outcome @ Outcome::Already { .. }) = &target.outcome {
            let line = line(&target.instance, outcome, output.style);
            output.line(&line)?;
        }
    }
    Ok(())
}

fn told_only(
    act: &Act,
    acted: &[(String, u32)],
    acting: &Acting,
    cursor: u64,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    if output.json {
        return output.object(&answer(act, acted, acting, cursor));
    }
    for (instance, pid) in acted {
        let pid = if *pid == 0 { String::new() } else { format!(" (pid {pid})") };
        output.line(&format!("would {} {instance}{pid}", name(act.verb)))?;
    }
    Ok(())
}

fn answer<'a>(act: &Act, acted: &'a [(String, u32)], acting: &'a Acting, cursor: u64) -> Answer<'a> {
    let entries = acted.iter().zip(&acting.targets).map(|((instance, pid), target)| {
        let (outcome, error, nanos) = match &target.outcome {
            None => (None, None, None),
            Some(Outcome::Up { state, after_ns, .. }) => (Some(*state), None, Some(*after_ns)),
            Some(Outcome::Already { state }) => (Some(state.as_str()), None, None),
            Some(Outcome::Down { took_ns }) => (Some("stopped"), None, Some(*took_ns)),
            Some(Outcome::Finished) => (Some("finished"), None, None),
            Some(Outcome::Failed { why }) => (Some("failed"), Some(why.as_str()), None),
        };
        let seconds = nanos.map(|nanos| nanos as f64 / 1e9);
        Entry { instance, pid: (*pid != 0).then_some(*pid), outcome, error, seconds }
    });
    Answer { schema: 1, verb: name(act.verb), dry_run: act.dry_run, cursor, instances: entries.collect() }
}

#[cfg(test)]
mod tests;
