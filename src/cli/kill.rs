//! `kill`: a signal to the main process, which the supervisor sends by pidfd. What follows is an ordinary
//! death, so there is nothing to wait for.

use super::caller::Caller;
use super::error::Error;
use super::json::SCHEMA;
use super::output::Output;
use crate::ipc::control::{Reply, Request, Verb};
use crate::sys::signal;
use serde::Serialize;

/// What `kill` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Its number.
    pub signal: i32,
    /// Whom.
    pub patterns: Vec<String>,
    /// Only say what would be done.
    pub dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: u32,
    verb: &'static str,
    signal: &'a str,
    dry_run: bool,
    /// From before the act.
    cursor: u64,
    instances: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    instance: &'a str,
    pid: Option<u32>,
}

/// Does the verb.
pub fn run(kill: &Kill, caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    caller.snapshot()?.select(&kill.patterns)?;
    let mut hit = Vec::new();
    let request = Request::Act {
        verb: Verb::Kill,
        targets: kill.patterns.clone(),
        signal: kill.signal,
        pid: 0,
        dry_run: kill.dry_run,
    };
    let cursor = caller.ask(&request, |reply| {
        if let Reply::Acted { instance, pid, .. } = reply {
            hit.push((instance, pid));
        }
    })?;
    let signal = signal::name(kill.signal);
    if output.json {
        let entries = hit.iter().map(|(instance, pid)| Entry { instance, pid: (*pid != 0).then_some(*pid) });
        let instances = entries.collect();
        output.object(&Answer {
            schema: SCHEMA,
            verb: "kill",
            signal: &signal,
            dry_run: kill.dry_run,
            cursor,
            instances,
        })?;
    } else {
        let sent = if kill.dry_run { "would send" } else { "sent" };
        for (instance, pid) in hit.iter().filter(|(_, pid)| *pid != 0) {
            output.line(&format!("{sent} {signal} to {instance} (pid {pid})"))?;
        }
    }
    match hit.iter().find(|(_, pid)| *pid == 0) {
        Some((idle, _)) if hit.iter().all(|(_, pid)| *pid == 0) => Err(Error::Failed {
            message: format!("{idle} has no process that could get {signal}"),
            hint: format!("mainstay why {idle}"),
        }),
        _ => Ok(()),
    }
}
