//! `start`, `stop`, `restart`, and OTP's `terminate`, `restart-child`, `delete-child`: do it, and by default wait
//! until it is done. What decides is pure ([`Acting`]); [`run`] feeds it.
//!
//! OTP's verbs mean one child by its name, so they look at nobody else: ten thousand of them one after the other
//! cost ten thousand times as much as one.
//!
//! The supervisor answers an act with the cursor from before it, so following the events from there misses
//! nothing of what the act brought about.

use super::caller::{Caller, News, awaited};
use super::duration::exact;
use super::error::Error;
use super::output::{Output, Style, printable};
use super::select::Snapshot;
use super::table::length;
use crate::ipc::control::{Event, Reply, Request, Verb, What};
use crate::sys::clock;
use crate::time::Duration;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

/// What these verbs mean.
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
    /// `terminate`: the member of a pool with this main process; 0: by name.
    pub pid: u32,
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
        /// What it said with its readiness; may be empty.
        info: String,
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
    /// It is not in the tree any more.
    Deleted,
    /// There was nothing to run.
    Ignored,
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
    /// Where each instance stands in `targets`: ten thousand events find theirs at once.
    places: HashMap<String, usize>,
    /// How many outcomes are not known.
    open: usize,
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
        let known: HashMap<&str, u64> =
            before.services.iter().map(|service| (service.instance.as_str(), service.incarnation)).collect();
        let targets = instances.iter().map(|instance| Target {
            instance: instance.clone(),
            before: known.get(instance.as_str()).copied().unwrap_or(0),
            began_ns: None,
            trouble: String::new(),
            outcome: None,
        });
        let targets: Vec<Target> = targets.collect();
        let places = targets.iter().enumerate().map(|(at, target)| (target.instance.clone(), at)).collect();
        Acting { verb, open: targets.len(), targets, places }
    }

    /// What the supervisor said of an instance right after the act: who was down then has no news to wait for.
    fn answered(&mut self, instance: &str, state: &str) {
        let Some(target) = self.places.get(instance).and_then(|at| self.targets.get_mut(*at)) else { return };
        if target.outcome.is_some() {
            return;
        }
        target.outcome = match (self.verb, state) {
            (Verb::DeleteChild, "") => Some(Outcome::Deleted),
            (Verb::Terminate, "") => Some(Outcome::Already { state: "gone".to_owned() }),
            (Verb::Terminate, "stopped" | "finished" | "gave_up") => {
                Some(Outcome::Already { state: state.to_owned() })
            }
            _ => None,
        };
        self.open -= usize::from(target.outcome.is_some());
    }

    /// What is now, after the act was taken: who is where it should be has no news to wait for. A restart
    /// always brings news.
    pub fn look(&mut self, now: &Snapshot) {
        for service in &now.services {
            let place = self.places.get(&service.instance).and_then(|at| self.targets.get_mut(*at));
            let Some(target) = place.filter(|target| target.outcome.is_none()) else { continue };
            target.outcome = match (self.verb, service.state.as_str()) {
                (Verb::Start, state @ ("up" | "ready")) => Some(Outcome::Already { state: state.to_owned() }),
                (Verb::Stop, state @ ("stopped" | "finished" | "gave_up")) if service.wanted == "down" => {
                    Some(Outcome::Already { state: state.to_owned() })
                }
                _ => None,
            };
            self.open -= usize::from(target.outcome.is_some());
        }
    }

    /// Something happened. Gives whose outcome it decided.
    pub fn happened(&mut self, event: &Event) -> Option<(&str, &Outcome)> {
        let verb = self.verb;
        let target = self.targets.get_mut(*self.places.get(&event.instance)?)?;
        if target.outcome.is_some() {
            return None;
        }
        let began = target.began_ns;
        target.began_ns.get_or_insert(event.mono_ns);
        let renewed = verb != Verb::Restart || event.incarnation > target.before;
        let outcome = match (&event.what, verb) {
            (What::Up { after_ns }, Verb::Start | Verb::Restart | Verb::RestartChild) if renewed => {
                let (how, info) = (String::new(), String::new());
                Outcome::Up { state: "up", after_ns: *after_ns, how, away_ns: 0, info }
            }
            (
                What::Ready { after_ns, how, away_ns, info },
                Verb::Start | Verb::Restart | Verb::RestartChild,
            ) if renewed => {
                let (how, info) = (how.clone(), info.clone());
                Outcome::Up { state: "ready", after_ns: *after_ns, how, away_ns: *away_ns, info }
            }
            (What::Exited { .. }, Verb::Start | Verb::RestartChild) => {
                // What comes next says whether it is tried again; if it does not, this is why.
                if target.trouble.is_empty() {
                    target.trouble = super::narrate::told(event).text;
                }
                return None;
            }
            (What::Ignored, Verb::Start | Verb::Restart | Verb::RestartChild) if renewed => Outcome::Ignored,
            (What::Removed, Verb::DeleteChild) => Outcome::Deleted,
            (What::Removed, Verb::Terminate | Verb::Stop) => Outcome::Down {
                took_ns: event.mono_ns.saturating_sub(target.began_ns.unwrap_or(event.mono_ns)),
            },
            (What::Removed, _) => {
                let why = if target.trouble.is_empty() {
                    "it was removed".to_owned()
                } else {
                    target.trouble.clone()
                };
                Outcome::Failed { why }
            }
            // A start that an administrator asked for and that fails is not tried again.
            (What::Stopped, Verb::RestartChild) if !target.trouble.is_empty() => {
                Outcome::Failed { why: target.trouble.clone() }
            }
            (What::StartFailed { error, .. }, _) => {
                target.trouble.clone_from(error);
                return None;
            }
            (What::NeverReady { within_ns, .. }, _) => {
                target.trouble = format!("not ready within {}", exact(*within_ns));
                return None;
            }
            (What::GaveUp { .. }, Verb::Start | Verb::Restart | Verb::RestartChild) => {
                let why =
                    if target.trouble.is_empty() { "it gave up".to_owned() } else { target.trouble.clone() };
                Outcome::Failed { why }
            }
            (What::Finished, Verb::Start | Verb::Restart | Verb::RestartChild) if renewed => {
                Outcome::Finished
            }
            // The end of a stop that was under way, or somebody else wants it down: time will tell.
            (What::Stopped, Verb::Start | Verb::RestartChild) => {
                if target.trouble.is_empty() {
                    target.trouble = "it was stopped meanwhile".to_owned();
                }
                return None;
            }
            // Nothing had to be stopped.
            (What::Stopped, Verb::Stop | Verb::Terminate) if began.is_none() => {
                Outcome::Already { state: "stopped".to_owned() }
            }
            (What::Stopped | What::Finished | What::GaveUp { .. }, Verb::Stop | Verb::Terminate) => {
                Outcome::Down {
                    took_ns: event.mono_ns.saturating_sub(target.began_ns.unwrap_or(event.mono_ns)),
                }
            }
            _ => return None,
        };
        target.outcome = Some(outcome);
        self.open -= 1;
        target.outcome.as_ref().map(|outcome| (target.instance.as_str(), outcome))
    }

    fn decided(&self) -> impl Iterator<Item = &str> {
        let decided = self.targets.iter().filter(|target| target.outcome.is_some());
        decided.map(|target| target.instance.as_str())
    }

    /// True when every outcome is known.
    pub fn done(&self) -> bool {
        self.open == 0
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

/// As it is typed.
pub fn name(verb: Verb) -> &'static str {
    match verb {
        Verb::Start => "start",
        Verb::Stop => "stop",
        Verb::Restart => "restart",
        Verb::Kill => "kill",
        Verb::Terminate => "terminate",
        Verb::RestartChild => "restart-child",
        Verb::DeleteChild => "delete-child",
    }
}

/// `✓ web ready in 91 ms  (tcp 8080)`
pub fn line(instance: &str, outcome: &Outcome, style: Style) -> String {
    let (good, bad) = if style.glyphs { ("✓", "✗") } else { ("ok", "!!") };
    let good = style.good(good);
    match outcome {
        Outcome::Up { state, after_ns, how, away_ns, info } => {
            let time = match away_ns {
                0 => format!("in {}", exact(*after_ns)),
                away => format!("again, was away {}", exact(*away)),
            };
            let how = if how.is_empty() { String::new() } else { format!("  ({})", printable(how)) };
            let info = if info.is_empty() { String::new() } else { format!("  {}", printable(info)) };
            format!("{good} {instance} {state} {time}{how}{info}")
        }
        Outcome::Already { state } => {
            format!("{good} {instance} is {} already", super::status::state_words(state))
        }
        Outcome::Deleted => format!("{good} {instance} deleted"),
        Outcome::Ignored => format!("{good} {instance} had nothing to run"),
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
    /// What it said with its readiness.
    #[serde(skip_serializing_if = "str::is_empty")]
    info: &'a str,
}

/// Does the verb.
pub fn run(act: &Act, caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    let exact = matches!(act.verb, Verb::Terminate | Verb::RestartChild | Verb::DeleteChild);
    let before = if exact { Snapshot::default() } else { caller.snapshot()? };
    if !exact {
        // Here rather than by the supervisor, for the sake of its neighbours' names.
        before.select(&act.patterns)?;
    }
    let request = Request::Act {
        verb: act.verb,
        targets: act.patterns.clone(),
        signal: 0,
        pid: act.pid,
        dry_run: act.dry_run,
    };
    carry_out(act, &request, &before, caller, output)
}

/// Sends a request that is answered by `Acted`s, and follows what becomes of them.
pub fn carry_out(
    act: &Act,
    request: &Request,
    before: &Snapshot,
    caller: &Caller,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let mut acted = Vec::new();
    let mut states = Vec::new();
    let cursor = caller.ask(request, |reply| {
        if let Reply::Acted { instance, pid, state } = reply {
            states.push((instance.clone(), state));
            acted.push((instance, pid));
        }
    })?;
    let instances: Vec<String> = acted.iter().map(|(instance, _)| instance.clone()).collect();
    let mut acting = Acting::new(act.verb, &instances, before);
    if act.dry_run {
        return told_only(act, &acted, &acting, cursor, output);
    }
    let Some(timeout) = act.wait else {
        if output.json {
            return output.object(&answer(act, &acted, &acting, cursor));
        }
        return Ok(());
    };
    let look = matches!(act.verb, Verb::Start | Verb::Stop | Verb::Restart) && !before.services.is_empty();
    let result = wait(&mut acting, &states, look, caller, cursor, timeout, output);
    if output.json {
        output.object(&answer(act, &acted, &acting, cursor))?;
    }
    result?;
    if is_end(act.verb) && !output.json && !acting.targets.is_empty() {
        let all = act.verb == Verb::Stop && act.patterns.is_empty();
        let line = acting.stopped_line(all, output.style);
        output.line(&line)?;
    }
    let failures: Vec<_> = acting.failures().collect();
    // Of a child whose first start failed nothing is left to ask about but its record.
    let hint = |instance: &str| match before.services.is_empty() && act.verb == Verb::Start {
        true => "mainstay crash list".to_owned(),
        false => format!("mainstay why {instance}"),
    };
    match &failures[..] {
        [] => Ok(()),
        [(instance, why)] => Err(Error::Failed {
            message: format!("cannot {} {instance}: {}", name(act.verb), printable(why)),
            hint: hint(instance),
        }),
        [(first, _), ..] => Err(Error::Failed {
            message: format!("{} of {} did not {}", failures.len(), acting.targets.len(), name(act.verb)),
            hint: hint(first),
        }),
    }
}

fn is_end(verb: Verb) -> bool {
    matches!(verb, Verb::Stop | Verb::Terminate)
}

fn wait(
    acting: &mut Acting,
    states: &[(String, String)],
    look: bool,
    caller: &Caller,
    cursor: u64,
    timeout: Duration,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let deadline = clock::now() + timeout;
    // What happened before this look comes again below, and finds its outcome known.
    let now = if look { Some(caller.snapshot()?) } else { None };
    let mut past = Vec::new();
    let newest = caller.history(cursor, |news| past.push(news))?;
    for news in past {
        take(acting, news, caller, output)?;
    }
    let known: HashSet<String> = acting.decided().map(str::to_owned).collect();
    if let Some(now) = now {
        acting.look(&now);
    }
    for (instance, state) in states {
        acting.answered(instance, state);
    }
    report_already(acting, &known, output)?;
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
    let stop = is_end(acting.verb);
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
            for service in now.services.iter().filter(|s| matches!(s.state.as_str(), "up" | "ready")) {
                let place = acting.places.get(&service.instance).and_then(|at| acting.targets.get_mut(*at));
                if let Some(target) = place
                    && target.outcome.is_none()
                    && service.incarnation > target.before
                {
                    target.outcome = Some(Outcome::Already { state: service.state.clone() });
                    acting.open -= 1;
                }
            }
        }
    }
    Ok(())
}

/// Those that were not told as news.
fn report_already(acting: &Acting, told: &HashSet<String>, output: &mut Output<'_>) -> Result<(), Error> {
    if output.json || is_end(acting.verb) {
        return Ok(());
    }
    for target in acting.targets.iter().filter(|target| !told.contains(&target.instance)) {
        if let Some(outcome @ (Outcome::Already { .. } | Outcome::Deleted)) = &target.outcome {
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
        let info = match &target.outcome {
            Some(Outcome::Up { info, .. }) => info.as_str(),
            _ => "",
        };
        let (outcome, error, nanos) = match &target.outcome {
            None => (None, None, None),
            Some(Outcome::Deleted) => (Some("deleted"), None, None),
            Some(Outcome::Ignored) => (Some("ignored"), None, None),
            Some(Outcome::Up { state, after_ns, .. }) => (Some(*state), None, Some(*after_ns)),
            Some(Outcome::Already { state }) => (Some(state.as_str()), None, None),
            Some(Outcome::Down { took_ns }) => (Some("stopped"), None, Some(*took_ns)),
            Some(Outcome::Finished) => (Some("finished"), None, None),
            Some(Outcome::Failed { why }) => (Some("failed"), Some(why.as_str()), None),
        };
        let seconds = nanos.map(|nanos| nanos as f64 / 1e9);
        Entry { instance, pid: (*pid != 0).then_some(*pid), outcome, error, seconds, info }
    });
    Answer { schema: 1, verb: name(act.verb), dry_run: act.dry_run, cursor, instances: entries.collect() }
}

#[cfg(test)]
mod tests;
