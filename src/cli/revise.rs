//! `reload` and `scale`: another plan, applied by the supervisor, and followed until what it started is up and what
//! it removed is gone.

use super::caller::{ANSWER_WITHIN, Caller, News, awaited};
use super::duration::exact;
use super::error::Error;
use super::json::SCHEMA;
use super::output::{Output, Style, printable};
use super::select::Snapshot;
use super::table::length;
use crate::ipc::control::{self, Changed, Difference, Event, Reply, Request, What};
use crate::sys::clock;
use crate::time::Duration;
use serde::Serialize;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// What `reload` and `scale` mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revise {
    /// Empty: the file is read again.
    pub scale: Vec<(String, u32)>,
    /// Nothing is started, restarted or deleted.
    pub otp: bool,
    /// So many are restarted at a time; 0: one.
    pub at_once: u32,
    /// How long to wait; `None`: not at all.
    pub wait: Option<Duration>,
    /// Only say what would be done.
    pub dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: u32,
    verb: &'static str,
    dry_run: bool,
    cursor: u64,
    differences: &'a [Difference],
    /// Instances that did not come up; null: not waited for.
    failed: Option<Vec<&'a str>>,
    seconds: Option<f64>,
}

/// Does the verb.
pub fn run(revise: &Revise, caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    let began = clock::now();
    let timeout = revise.wait.unwrap_or(ANSWER_WITHIN);
    let deadline = began + timeout;
    let verb = if revise.scale.is_empty() { "reload" } else { "scale" };
    let request = Request::Revise {
        plan: String::new(),
        scale: revise.scale.clone(),
        otp: revise.otp,
        at_once: revise.at_once,
        dry_run: revise.dry_run,
        color: output.talk_style.color,
    };
    let (mut differences, mut wrong) = (Vec::new(), String::new());
    let mut going = Going::default();
    let result = caller.ask_until(&request, deadline, |reply| match reply {
        Reply::Difference(difference) => differences.push(difference),
        Reply::Acted { instance, state, .. } => match state.as_str() {
            "added" => drop(going.starting.insert(instance)),
            "removed" => drop(going.leaving.insert(instance)),
            _ => {}
        },
        Reply::Rolling { roll } => going.rolling = Some(roll),
        Reply::Diagnostics { text } => wrong.push_str(&text),
        _ => {}
    });
    // The text of `check`, which has its own colours.
    if !wrong.is_empty() {
        output.say(wrong.trim_end());
    }
    let cursor = result.map_err(|error| awaited(error, || format!("the answer to {verb}"), timeout))?;
    let answer = |failed: Option<Vec<&str>>| {
        let took = u64::try_from(clock::now().since(began).as_nanos()).unwrap_or(u64::MAX);
        let seconds = failed.is_some().then(|| super::json::seconds(took));
        let object = serde_json::to_value(Answer {
            schema: SCHEMA,
            verb,
            dry_run: revise.dry_run,
            cursor,
            differences: &differences,
            failed,
            seconds,
        });
        object.expect("what we print has string keys only")
    };
    if revise.dry_run {
        if output.json {
            return output.object(&answer(None));
        }
        if differences.is_empty() {
            return output.line("nothing would change");
        }
        let style = output.style;
        return lines(&differences, revise.otp, style).iter().try_for_each(|line| output.line(line));
    }
    let instances = (going.starting.len() as u32, going.leaving.len() as u32);
    if revise.wait.is_some() {
        follow(&mut going, caller, cursor, began + timeout, timeout)?;
    }
    if output.json {
        let failed = revise.wait.map(|_| going.failed.iter().map(String::as_str).collect());
        output.object(&answer(failed))?;
    } else {
        let took = exact(u64::try_from(clock::now().since(began).as_nanos()).unwrap_or(u64::MAX));
        let good = output.style.good(if output.style.glyphs { "✓" } else { "ok" });
        // A scale is told by instances, a reload by what the file calls things.
        let what = match verb {
            "scale" => tally(instances.0, instances.1, 0, 0),
            _ => count(&differences, revise.otp),
        };
        let verb = if verb == "scale" { "scaled" } else { "reloaded" };
        output.line(&format!("{good} {verb} in {took}: {what}"))?;
    }
    match going.failed.iter().next() {
        None => Ok(()),
        Some(first) => Err(Error::Failed {
            message: format!(
                "{} did not come up",
                going.failed.iter().cloned().collect::<Vec<_>>().join(", ")
            ),
            hint: format!("mainstay why {first}"),
        }),
    }
}

/// `1 in place, 1 restarted, 1 added`
pub fn tally(added: u32, removed: u32, restarted: u32, in_place: u32) -> String {
    let parts = [(in_place, "in place"), (restarted, "restarted"), (added, "added"), (removed, "removed")];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if parts.is_empty() { "nothing changed".to_owned() } else { parts.join(", ") }
}

fn count(differences: &[Difference], otp: bool) -> String {
    let (added, removed, restarted, in_place) = control::tally(differences, otp);
    tally(added, removed, restarted, in_place)
}

/// `~ worker   restart policy 5/30s → 10/1m      in place, no restart`
fn lines(differences: &[Difference], otp: bool, style: Style) -> Vec<String> {
    let width = differences.iter().map(|d| length(&d.name)).max().unwrap_or(0).min(30);
    let rows: Vec<(String, String, &str)> = differences
        .iter()
        .map(|d| {
            let why = printable(&d.why.join(", "));
            let (sign, why, then) = match (d.change, otp) {
                (Changed::Added, false) => (style.good("+"), "new".to_owned(), ""),
                (Changed::Added, true) => (style.good("+"), "new".to_owned(), "not started"),
                (Changed::Removed, false) => (style.bad("-"), "removed".to_owned(), ""),
                (Changed::Removed, true) => (style.bad("-"), "not in the file".to_owned(), "kept"),
                (Changed::Restarted, false) => (style.busy("~"), why, "restart"),
                (Changed::Restarted, true) => (style.busy("~"), why, "from its next start"),
                (Changed::InPlace, _) => (style.busy("~"), why, "in place, no restart"),
            };
            let why = if style.glyphs { why } else { why.replace('→', "->") };
            (format!("{sign} {}{}", d.name, " ".repeat(width.saturating_sub(length(&d.name)))), why, then)
        })
        .collect();
    let wide = rows.iter().filter(|row| !row.2.is_empty()).map(|row| length(&row.1)).max().unwrap_or(0);
    let line = |(name, why, then): &(String, String, &str)| {
        let gap = " ".repeat(wide.min(60).saturating_sub(length(why)));
        format!("{name}  {why}{gap}  {then}").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// What a change still has to bring about.
#[derive(Clone, Debug, Default)]
struct Going {
    starting: BTreeSet<String>,
    leaving: BTreeSet<String>,
    /// The rolling restart that is under way.
    rolling: Option<u32>,
    failed: BTreeSet<String>,
}

impl Going {
    fn done(&self) -> bool {
        self.starting.is_empty() && self.leaving.is_empty() && self.rolling.is_none()
    }

    fn happened(&mut self, event: &Event) {
        match &event.what {
            What::Up { .. } | What::Ready { .. } | What::Finished | What::Ignored | What::Stopped => {
                self.starting.remove(&event.instance);
            }
            What::GaveUp { .. } if self.starting.remove(&event.instance) => {
                self.failed.insert(event.instance.clone());
            }
            What::Removed => {
                self.leaving.remove(&event.instance);
                self.starting.remove(&event.instance);
            }
            What::Rolled { roll, failed, .. } if self.rolling == Some(*roll) => {
                self.rolling = None;
                if !failed.is_empty() {
                    self.failed.insert(failed.clone());
                }
            }
            _ => {}
        }
    }

    /// What is now: who is as it should be is not awaited.
    fn look(&mut self, now: &Snapshot) {
        let there: BTreeSet<&str> = now.services.iter().map(|s| s.instance.as_str()).collect();
        self.leaving.retain(|name| there.contains(name.as_str()));
        for service in now.services.iter().filter(|s| s.as_wanted || s.state == "gave_up") {
            if self.starting.remove(&service.instance) && !service.as_wanted {
                self.failed.insert(service.instance.clone());
            }
        }
    }

    fn awaited(&self) -> String {
        let names = |set: &BTreeSet<String>| set.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        let mut parts = Vec::new();
        if self.rolling.is_some() {
            parts.push("the restart of what changed".to_owned());
        }
        if !self.starting.is_empty() {
            parts.push(format!("{} to start ({} in all)", names(&self.starting), self.starting.len()));
        }
        if !self.leaving.is_empty() {
            parts.push(format!("{} to stop ({} in all)", names(&self.leaving), self.leaving.len()));
        }
        parts.join(" and ")
    }
}

fn follow(
    going: &mut Going,
    caller: &Caller,
    cursor: u64,
    deadline: crate::time::Instant,
    timeout: Duration,
) -> Result<(), Error> {
    if going.done() {
        return Ok(());
    }
    // The past first: a service that came up and fell again since is judged by where it stands.
    let mut past = Vec::new();
    let newest = caller.history(cursor, |news| past.push(news))?;
    past.iter().for_each(|news| {
        if let News::Event(event) = news {
            going.happened(event);
        }
    });
    going.look(&caller.snapshot()?);
    if going.done() {
        return Ok(());
    }
    let result = caller.follow(newest, Some(deadline), |news| {
        match news {
            News::Event(event) => going.happened(&event),
            // Nobody knows how it went: what is now has to do.
            News::Missed(_) => {
                going.rolling = None;
                going.look(&caller.snapshot()?);
            }
        }
        Ok(if going.done() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    result.map_err(|error| awaited(error, || going.awaited(), timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(name: &str, change: Changed, why: &[&str]) -> Difference {
        Difference { name: name.into(), change, why: why.iter().map(|w| (*w).to_owned()).collect() }
    }

    #[test]
    fn a_difference_says_what_and_what_follows() {
        let all = [
            difference("worker", Changed::InPlace, &["restart policy 5/30s → 10/1m"]),
            difference("web", Changed::Restarted, &["command changed"]),
            difference("mailer", Changed::Added, &[]),
            difference("old", Changed::Removed, &[]),
        ];
        assert_eq!(
            lines(&all, false, Style { glyphs: true, ..Style::PLAIN }),
            [
                "~ worker  restart policy 5/30s → 10/1m  in place, no restart",
                "~ web     command changed               restart",
                "+ mailer  new",
                "- old     removed",
            ]
        );
        assert_eq!(
            lines(&all[2..], true, Style::PLAIN),
            ["+ mailer  new              not started", "- old     not in the file  kept"]
        );
        assert_eq!(count(&all, false), "1 in place, 1 restarted, 1 added, 1 removed");
        assert_eq!(count(&[], false), "nothing changed");
    }

    #[test]
    fn a_reload_is_over_when_all_that_it_began_is() {
        let event = |instance: &str, what| Event {
            seq: 1,
            time: crate::time::Wall(0),
            mono_ns: 0,
            service: instance.into(),
            instance: instance.into(),
            incarnation: 1,
            what,
        };
        let mut going = Going {
            starting: BTreeSet::from(["web#2".to_owned()]),
            leaving: BTreeSet::from(["old".to_owned()]),
            rolling: Some(3),
            failed: BTreeSet::new(),
        };
        going.happened(&event("web#2", What::Up { after_ns: 1 }));
        assert_eq!(going.awaited(), "the restart of what changed and old to stop (1 in all)");
        going.happened(&event("old", What::Stopped));
        going.happened(&event("old", What::Removed));
        assert!(!going.done());
        let rolled = |roll| What::Rolled { roll, done: 1, failed: "db".into() };
        going.happened(&event("", rolled(2)));
        assert!(!going.done(), "that was another one's");
        going.happened(&event("", rolled(3)));
        assert!(going.done());
        assert_eq!(going.failed, BTreeSet::from(["db".to_owned()]));
    }
}
