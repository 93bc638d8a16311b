//! `why`: the sentence that people otherwise put together from three tools. Pure.
//!
//! Every state has its sentence. What is told of the past comes from the events that are still known; when
//! they are gone, from the last exit alone.

use super::duration::{age, brief, exact, setting};
use super::narrate::Look;
use super::output::printable;
use super::status::{Words, state_words};
use crate::crash;
use crate::ipc::control::{Event, LastExit, Service, What};
use crate::sys::signal;
use std::collections::BTreeMap;

/// So many keys of a reload are named.
const KEYS: usize = 3;

/// What crash records say about the newest deaths.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The newest words.
    pub words: Option<Words>,
    /// Its last error by its own account, with its place; empty: it noted none. Then it is said instead of the words.
    pub error: String,
    /// What it was at, innermost: a span, or an operation.
    pub doing: String,
    /// The fingerprints of its crashes, by their numbers.
    pub fingerprints: BTreeMap<u64, String>,
}

/// Why `service` is as it is. `events`: what is still known, of everything, oldest first.
pub fn explain(service: &Service, events: &[Event], recorded: &Recorded, look: &Look) -> String {
    let past = Past::of(service, events);
    let mut text = sentence(service, &past, look);
    let broken = matches!(service.state.as_str(), "gave_up" | "backing_off");
    if broken {
        // What it said of its error says more than what it wrote last.
        let error = Some(&recorded.error).filter(|error| !error.is_empty());
        let last = match (error, &recorded.words) {
            (Some(error), _) => Some(format!("Last error: {}.", printable(error))),
            (None, words) => {
                words.as_ref().map(|words| format!("Last words: \"{}\".", printable(&words.text)))
            }
        };
        let doing = Some(&recorded.doing).filter(|doing| !doing.is_empty());
        let doing = doing.map(|doing| format!("It was at: {}.", printable(doing)));
        let same = past.same_cause(&recorded.fingerprints);
        let same = same.map(|digits| format!("Same cause each time (fingerprint {}).", printable(digits)));
        let said: Vec<String> = last.into_iter().chain(doing).chain(same).collect();
        if !said.is_empty() {
            text += &format!("\n{}", said.join(" "));
        }
    }
    if broken && let Some(change) = past.change {
        text += &format!("\nChanged shortly before: {}.", describe(change, service, look));
    }
    if let Some(advice) = advice(service) {
        text += &format!("\n{advice}");
    }
    text
}

fn sentence(service: &Service, past: &Past<'_>, look: &Look) -> String {
    let name = &service.instance;
    let up = age(service.up_ns);
    let pid = service.pid;
    let because = printable(&service.because);
    match service.state.as_str() {
        "ready" | "up" => {
            format!("{name} is {} for {up} (pid {pid}){}", service.state, before(service.last_exit.as_ref()))
        }
        "starting" => match because.as_str() {
            "" => format!("{name} was started {up} ago (pid {pid}) and has not said that it is ready."),
            because => format!("{name} was started {up} ago (pid {pid}): {because}."),
        },
        "waiting" => match because.as_str() {
            "" => format!("{name} waits for what it needs."),
            because => format!("{name} is waiting: {because}."),
        },
        "stopping" => format!("{name} was asked to stop and has not ended yet (pid {pid}); it is {up} old."),
        "stopped" => {
            let ended = service.last_exit.as_ref().map_or_else(
                || ", and has not run yet".to_owned(),
                |exit| format!(": it {} {} ago{}", ending(exit), brief(exit.ago_ns), asked(exit)),
            );
            let whose =
                if service.wanted == "up" { "stopped, though it is wanted up" } else { "stopped as wanted" };
            let because = if because.is_empty() { String::new() } else { format!(" ({because})") };
            format!("{name} is {whose}{because}{ended}.")
        }
        "finished" => match &service.last_exit {
            Some(exit) => format!(
                "{name} has finished: it {} {} ago after {}.",
                ending(exit),
                brief(exit.ago_ns),
                exact(exit.lived_ns)
            ),
            None => format!("{name} has finished its work."),
        },
        "backing_off" => {
            let died = service.last_exit.as_ref().map_or_else(
                || "it ended".to_owned(),
                |exit| format!("it {} {} ago{}", ending(exit), brief(exit.ago_ns), number(exit)),
            );
            let of = if service.restarts_max == 0 {
                String::new()
            } else {
                format!(" of {}", service.restarts_max)
            };
            let next = exact(service.retry_in_ns);
            format!("{name} is backing off: {died}; restart {}{of} comes in {next}.", service.restarts)
        }
        "gave_up" => gave_up(service, past, look),
        other => match because.as_str() {
            "" => format!("{name} is {}.", state_words(&printable(other))),
            because => format!("{name} is {}: {because}.", state_words(&printable(other))),
        },
    }
}

/// `worker gave up at 12:07:58: it exited 3 six times in 11 s (limit 5 restarts in 30s).`
fn gave_up(service: &Service, past: &Past<'_>, look: &Look) -> String {
    let at =
        past.gave_up.map(|event| event.time).or_else(|| service.last_exit.as_ref().map(|exit| exit.time));
    let at = at.map_or_else(String::new, |time| format!(" at {}", clock(look, time)));
    let limit = match service.restarts_max {
        0 => String::new(),
        max => format!(" (limit {max} restarts in {})", setting(service.window_ns)),
    };
    let told = match &past.deaths[..] {
        [] => match &service.last_exit {
            Some(exit) => format!("it {}", ending(exit)),
            None if service.because.is_empty() => "its limit was reached".to_owned(),
            None => printable(&service.because),
        },
        [one] => format!("it {}", one.how),
        [first, .., last] => {
            let span = exact(last.at_ns.saturating_sub(first.at_ns));
            let count = times(past.deaths.len());
            if past.deaths.iter().all(|death| death.how == first.how) {
                format!("it {} {count} in {span}", first.how)
            } else {
                format!("it ended {count} in {span}: {}", past.summary())
            }
        }
    };
    format!("{} gave up{at}: {told}{limit}.", service.instance)
}

/// What is known of how an instance came to be down.
struct Past<'a> {
    gave_up: Option<&'a Event>,
    /// Its deaths that count toward the limit, oldest first.
    deaths: Vec<Dying>,
    /// The newest change shortly before the first of them: of a flag, of a stage, or of its own keys in the file.
    change: Option<&'a Event>,
}

struct Dying {
    at_ns: u64,
    how: String,
    /// 0: no record.
    crash: u64,
}

impl<'a> Past<'a> {
    fn of(service: &Service, events: &'a [Event]) -> Past<'a> {
        let mut deaths: Vec<Dying> = Vec::new();
        let mut gave_up = None;
        // Ended because it was not ready in time: that is why it died, not the signal that ended it.
        let mut unready = None;
        for event in events.iter().filter(|event| event.instance == service.instance) {
            let mut number = 0;
            if let What::Exited { crash, .. } = &event.what {
                number = *crash;
            }
            let how = match &event.what {
                What::NeverReady { within_ns, detail } => {
                    let seen =
                        if detail.is_empty() { String::new() } else { format!(" ({})", printable(detail)) };
                    unready = Some(format!("was not ready within {}{seen}", setting(*within_ns)));
                    continue;
                }
                What::Exited { .. } if unready.is_some() => unready.take().unwrap_or_default(),
                What::Exited { asked: false, watchdog: true, .. } => "missed its watchdog".to_owned(),
                What::Exited { asked: false, unhealthy: true, .. } => {
                    "was ended because its health checks failed".to_owned()
                }
                What::Exited { asked: false, code, signal, oom, .. } => match (signal, code) {
                    (Some(signal), _) if *oom => {
                        format!("was killed by {}, out of memory", printable(signal))
                    }
                    (Some(signal), _) => format!("was killed by {}", printable(signal)),
                    (None, Some(code)) => format!("exited {code}"),
                    (None, None) => "ended, nobody saw how".to_owned(),
                },
                What::StartFailed { error, .. } => format!("could not be started: {}", printable(error)),
                What::GaveUp { .. } => {
                    gave_up = Some(event);
                    continue;
                }
                // Whatever was before: somebody began anew.
                What::Stopped | What::Finished => {
                    deaths.clear();
                    gave_up = None;
                    continue;
                }
                _ => continue,
            };
            if gave_up.take().is_some() {
                deaths.clear();
            }
            deaths.push(Dying { at_ns: event.mono_ns, how, crash: number });
        }
        // The limit is reached by one death more than it allows; earlier ones were forgotten.
        let counted = service.restarts_max as usize + 1;
        if service.restarts_max > 0 && deaths.len() > counted {
            deaths.drain(..deaths.len() - counted);
        }
        let first = deaths.first().map(|death| death.at_ns);
        let change = first.and_then(|first| {
            let recent = first.saturating_sub(crash::SHORTLY.as_nanos() as u64)..first;
            events.iter().rev().find(|event| {
                let is_its = match &event.what {
                    What::Reloaded { paths, .. } => crash::keys_of(&service.service, paths).next().is_some(),
                    what => crash::is_change(what),
                };
                is_its && recent.contains(&event.mono_ns)
            })
        });
        Past { gave_up, deaths, change }
    }

    /// The fingerprint that all deaths have in common, when there are several and each has a record.
    fn same_cause<'r>(&self, fingerprints: &'r BTreeMap<u64, String>) -> Option<&'r str> {
        let mut all = self.deaths.iter().map(|death| fingerprints.get(&death.crash).map(String::as_str));
        let first = all.next()?.filter(|digits| !digits.is_empty())?;
        (self.deaths.len() > 1 && all.all(|digits| digits == Some(first))).then_some(first)
    }

    /// `exited 3 (4 times), was killed by SIGSEGV (2 times)`
    fn summary(&self) -> String {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for death in &self.deaths {
            match counts.iter_mut().find(|(how, _)| *how == death.how) {
                Some((_, count)) => *count += 1,
                None => counts.push((&death.how, 1)),
            }
        }
        counts.iter().map(|(how, count)| format!("{how} ({})", times(*count))).collect::<Vec<_>>().join(", ")
    }
}

fn describe(event: &Event, service: &Service, look: &Look) -> String {
    let by = |actor: &str| if actor.is_empty() { String::new() } else { format!(" by {}", printable(actor)) };
    let (name, at) = (printable(&event.service), clock(look, event.time));
    match &event.what {
        What::FlagChanged { old, new, actor, .. } => {
            format!("flag {name} {} → {} at {at}{}", printable(old), printable(new), by(actor))
        }
        What::StageChanged { from, to, stage_name, actor, .. } => {
            format!("migration {name} stage {from} → {to} {} at {at}{}", printable(stage_name), by(actor))
        }
        What::Reloaded { paths, .. } => {
            let keys: Vec<&String> = crash::keys_of(&service.service, paths).collect();
            let more =
                if keys.len() > KEYS { format!(" and {} more", keys.len() - KEYS) } else { String::new() };
            let keys: Vec<String> = keys.into_iter().take(KEYS).map(|key| printable(key)).collect();
            format!("config reload at {at} ({}{more})", keys.join(", "))
        }
        _ => name,
    }
}

fn clock(look: &Look, time: crate::time::Wall) -> String {
    look.clock(time).chars().take("12:07:58".len()).collect()
}

fn before(exit: Option<&LastExit>) -> String {
    match exit {
        None => "; it has not ended before.".to_owned(),
        Some(exit) => {
            let how = ending(exit);
            format!(". The life before {how} {} ago{}{}.", brief(exit.ago_ns), asked(exit), number(exit))
        }
    }
}

fn asked(exit: &LastExit) -> &'static str {
    if exit.asked { ", as it was asked to" } else { "" }
}

fn number(exit: &LastExit) -> String {
    if exit.crash == 0 { String::new() } else { format!(" (c-{})", exit.crash) }
}

/// `exited 3`, `was killed by SIGKILL`, `could not be started (…)`.
fn ending(exit: &LastExit) -> String {
    match (exit.signal, exit.code) {
        (Some(_), _) | (_, Some(_)) if !exit.error.is_empty() => format!("was {}", printable(&exit.error)),
        (Some(number), _) => {
            let memory = if exit.oom { ", out of memory" } else { "" };
            let core = if exit.core { " (core dumped)" } else { "" };
            format!("was killed by {}{memory}{core}", signal::name(number))
        }
        (None, Some(code)) => format!("exited {code}"),
        (None, None) if !exit.error.is_empty() => {
            format!("could not be started ({})", printable(&exit.error))
        }
        (None, None) => "ended, nobody saw how,".to_owned(),
    }
}

fn advice(service: &Service) -> Option<String> {
    let crash = service.last_exit.as_ref().map_or(0, |exit| exit.crash);
    let evidence = if crash == 0 {
        format!("mainstay logs {}", service.instance)
    } else {
        format!("mainstay crash show c-{crash}")
    };
    match service.state.as_str() {
        "gave_up" => Some(format!("Evidence: {evidence}   Again: mainstay start {}", service.instance)),
        "backing_off" => Some(format!("Evidence: {evidence}")),
        "stopped" if service.wanted == "up" => Some(format!("Again: mainstay start {}", service.instance)),
        _ => None,
    }
}

fn times(count: usize) -> String {
    const WORDS: [&str; 13] = [
        "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve",
    ];
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => WORDS.get(n).map_or_else(|| format!("{n} times"), |word| format!("{word} times")),
    }
}

#[cfg(test)]
mod tests;
