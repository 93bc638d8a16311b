//! `events`: what happened, and with `-f` what happens.

use super::caller::{Caller, News};
use super::error::Error;
use super::json;
use super::narrate::{self, Look};
use super::output::Output;
use crate::ipc::control::Event;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// What `-f` shows of the past when no cursor says where to begin.
const RECENT: u64 = 10;

/// What `events` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// Empty: all.
    pub patterns: Vec<String>,
    /// Only later ones; `None`: all that are known, or the newest few before following.
    pub after: Option<u64>,
    /// Go on.
    pub follow: bool,
}

/// Does the verb.
pub fn run(events: &Events, caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    let snapshot = caller.snapshot()?;
    let chosen = snapshot.select(&events.patterns)?;
    let names: BTreeSet<&str> =
        chosen.iter().flat_map(|service| [service.instance.as_str(), service.service.as_str()]).collect();
    let shown = |event: &Event| {
        let subject = if event.instance.is_empty() { &event.service } else { &event.instance };
        names.is_empty() || names.contains(subject.as_str())
    };
    let width = snapshot.users().map(|service| super::table::length(&service.instance)).max().unwrap_or(0);
    let look = Look::new(output.style);
    let after =
        events.after.unwrap_or(if events.follow { snapshot.cursor.saturating_sub(RECENT) } else { 0 });
    // With no cursor there is no gap: whoever asks for all that is known gets just that.
    let mut gap = events.after.is_some();
    let mut write = |news: News, output: &mut Output<'_>| match news {
        News::Event(event) => {
            gap = true;
            match (shown(&event), output.json) {
                (false, _) => Ok(()),
                (true, true) => output.object(&json::Happened::new(&event)),
                (true, false) => output.line(&narrate::line(&event, &look, width)),
            }
        }
        News::Missed(_) if !gap => Ok(()),
        News::Missed(count) if output.json => output.object(&json::Missed::new(count)),
        News::Missed(count) => {
            output.say(&format!("mainstay: {count} events before the next are gone"));
            Ok(())
        }
    };
    if events.follow {
        return caller
            .follow(after, None, |news| {
                write(news, output)?;
                output.flush()?;
                Ok(ControlFlow::Continue(()))
            })
            .map_err(|error| {
                super::caller::awaited(error, || "events".to_owned(), super::caller::ANSWER_WITHIN)
            });
    }
    let mut result = Ok(());
    caller.history(after, |news| {
        if result.is_ok() {
            result = write(news, output);
        }
    })?;
    result
}
