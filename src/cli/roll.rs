//! `restart --rolling`: a few at a time, each waiting until the ones before are as good as they get. The
//! supervisor does it; this tells how far it is.

use super::caller::{Caller, News, awaited};
use super::duration::exact;
use super::error::Error;
use super::json::SCHEMA;
use super::output::Output;
use crate::ipc::control::{Reply, Request, What};
use crate::sys::clock;
use crate::time::Duration;
use serde::Serialize;
use std::collections::HashSet;
use std::ops::ControlFlow;

/// What `restart --rolling` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roll {
    /// Empty: every service of the user.
    pub patterns: Vec<String>,
    /// 0: see `share`.
    pub at_once: u32,
    /// Percent; 0: see `at_once`.
    pub share: u32,
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
    instances: &'a [String],
    /// Null: not waited for.
    restarted: Option<u32>,
    /// Who did not come up.
    failed: Option<String>,
    seconds: Option<f64>,
}

/// Does the verb.
pub fn run(roll: &Roll, caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    let began = clock::now();
    let Roll { patterns, at_once, share, wait, dry_run } = roll;
    let request =
        Request::Roll { targets: patterns.clone(), at_once: *at_once, share: *share, dry_run: *dry_run };
    let (mut instances, mut number) = (Vec::new(), 0);
    let cursor = caller.ask(&request, |reply| match reply {
        Reply::Acted { instance, .. } => instances.push(instance),
        Reply::Rolling { roll } => number = roll,
        _ => {}
    })?;
    let names: HashSet<&str> = instances.iter().map(String::as_str).collect();
    let answer = |over: Option<(u32, String, f64)>| Answer {
        schema: SCHEMA,
        verb: "restart --rolling",
        dry_run: *dry_run,
        cursor,
        instances: &instances,
        restarted: over.as_ref().map(|(done, _, _)| *done),
        seconds: over.as_ref().map(|(_, _, seconds)| *seconds),
        failed: over.map(|(_, failed, _)| failed).filter(|failed| !failed.is_empty()),
    };
    let timeout = match wait {
        Some(timeout) if !dry_run => *timeout,
        _ if output.json => return output.object(&answer(None)),
        _ if *dry_run => {
            return instances.iter().try_for_each(|one| output.line(&format!("would restart {one}")));
        }
        _ => return Ok(()),
    };
    let total = instances.len();
    let still = |left: usize| format!("{left} of {total} to be restarted");
    let mut left = total;
    let result = caller.follow(cursor, Some(began + timeout), |news| {
        match news {
            News::Event(event) => match event.what {
                What::Rolled { roll, done, failed } if roll == number => {
                    return Ok(ControlFlow::Break((done, failed)));
                }
                What::Up { .. } | What::Ready { .. } if names.contains(event.instance.as_str()) => {
                    left = left.saturating_sub(1);
                    if output.talk_style.terminal && !output.json {
                        output.say(&format!("{} of {total}  {}", total - left, event.instance));
                    }
                }
                _ => {}
            },
            News::Missed(_) => {
                return Err(Error::Failed {
                    message: "too much happened to follow the restart; it goes on".to_owned(),
                    hint: "mainstay status".to_owned(),
                });
            }
        }
        Ok(ControlFlow::Continue(()))
    });
    let (done, failed) = result.map_err(|error| awaited(error, || still(left), timeout))?;
    let took = u64::try_from(clock::now().since(began).as_nanos()).unwrap_or(u64::MAX);
    if output.json {
        output.object(&answer(Some((done, failed.clone(), super::json::seconds(took)))))?;
    } else {
        let good = if output.style.glyphs { "✓" } else { "ok" };
        output.line(&format!(
            "{} restarted {done} of {total} in {}",
            output.style.good(good),
            exact(took)
        ))?;
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Error::Failed {
        message: format!("{failed} did not come up again; those after it were left as they were"),
        hint: format!("mainstay why {failed}"),
    })
}
