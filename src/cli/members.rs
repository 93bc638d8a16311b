//! `count` and `which`: a group as OTP's `count_children` and `which_children` say it.

use super::caller::Caller;
use super::error::Error;
use super::json::SCHEMA;
use super::output::Output;
use super::table::Table;
use crate::config::diagnostic::count as words_of;
use crate::ipc::control::{self, Grace, Reply, Request};
use serde::Serialize;

/// `count`
pub fn count(group: &str, caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Answer<'a> {
        schema: u32,
        group: &'a str,
        specs: u32,
        active: u32,
        supervisors: u32,
        workers: u32,
    }
    let mut found = control::Counts::default();
    caller.ask(&Request::Count { group: group.to_owned() }, |reply| {
        if let Reply::Counts(counts) = reply {
            found = counts;
        }
    })?;
    let control::Counts { group, specs, active, supervisors, workers } = &found;
    let (specs, active, supervisors, workers) = (*specs, *active, *supervisors, *workers);
    if output.json {
        return output.object(&Answer { schema: SCHEMA, group, specs, active, supervisors, workers });
    }
    let (specs, supervisors, workers) =
        (words(specs, "spec"), words(supervisors, "supervisor"), words(workers, "worker"));
    output.line(&format!("{specs}, {active} active, {supervisors}, {workers}"))
}

fn words(count: u32, noun: &str) -> String {
    words_of(count as usize, noun)
}

/// `which`: newest first.
pub fn which(target: &str, pid: u32, caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Answer<'a> {
        schema: u32,
        /// What the other verbs call it; null for a member of a pool, which only its pid names.
        id: Option<&'a str>,
        name: &'a str,
        group: &'a str,
        /// A pid, or `running`, `restarting`, `undefined`.
        child: Child<'a>,
        #[serde(rename = "type")]
        kind: &'a str,
        restart: &'a str,
        shutdown: String,
        significant: bool,
        added: bool,
        kept: bool,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Child<'a> {
        Pid(u32),
        Word(&'a str),
    }
    let mut found = Vec::new();
    caller.ask(&Request::Which { target: target.to_owned(), pid }, |reply| {
        if let Reply::Which(which) = reply {
            found.push(which);
        }
    })?;
    if output.json {
        for which in &found {
            let child = if which.pid == 0 { Child::Word(&which.child) } else { Child::Pid(which.pid) };
            output.object(&Answer {
                schema: SCHEMA,
                id: (!which.pool).then_some(which.name.as_str()),
                name: &which.name,
                group: &which.group,
                child,
                kind: &which.kind,
                restart: &which.restart,
                shutdown: shutdown(which.shutdown),
                significant: which.significant,
                added: which.added,
                kept: which.kept,
            })?;
        }
        return Ok(());
    }
    if found.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["NAME", "CHILD", "TYPE", "RESTART"]);
    for which in &found {
        let child = if which.pid == 0 { which.child.clone() } else { which.pid.to_string() };
        table.row(vec![which.name.clone(), child, which.kind.clone(), which.restart.clone()]);
    }
    let style = output.style;
    let lines = table.lines(|row, _, cell| if row.is_none() { style.dim(cell) } else { cell.to_owned() });
    lines.iter().try_for_each(|line| output.line(line))
}

fn shutdown(grace: Option<Grace>) -> String {
    match grace {
        None => String::new(),
        Some(Grace::Kill) => "kill".to_owned(),
        Some(Grace::Infinity) => "infinity".to_owned(),
        Some(Grace::After(nanos)) => super::duration::setting(nanos),
    }
}
