//! `flag watch`: changes as they happen. The board says when and what; who did it comes from the journal, where we
//! may read it.

use super::args::Watch;
use super::list::chosen;
use super::{board, lost};
use crate::board::{Board, Snapshot};
use crate::cli::error::Error;
use crate::cli::json::{SCHEMA, timestamp};
use crate::cli::narrate::one_line;
use crate::cli::output::{Output, printable};
use crate::exit_code::ExitCode;
use crate::flags::Truth;
use crate::paths::Project;
use crate::store::{self, State};
use crate::sys::clock;
use crate::time::Duration;
use serde::Serialize;
use std::collections::BTreeMap;

/// `flag watch`
pub(super) fn watch(watch: &Watch, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    const A_WHILE: Duration = Duration::from_secs(3600);
    let board = board(project);
    let (mut before, mut generation) = now(&board, project)?;
    let names: Vec<&str> = before.keys().map(String::as_str).collect();
    let wanted = chosen(&watch.flags, &names, project)?;
    loop {
        output.flush()?;
        // What is missed while there is no board is told when there is one again.
        let Some(_) = board.wait(generation, A_WHILE) else { continue };
        let snapshot = board.snapshot();
        let Some(number) = snapshot.generation else { continue };
        if !snapshot.consistent {
            continue;
        }
        let after = owned(&snapshot);
        let journal = store::read_only(&project.state).unwrap_or_default();
        for change in differences(&before, &after, &journal, number) {
            if !wanted(change.flag) {
                continue;
            }
            if output.json {
                output.object(&change)?;
            } else {
                let line = change.line(output.style.glyphs);
                output.line(&line)?;
            }
        }
        (before, generation) = (after, number);
    }
}

/// Every flag and the board's number; while there is no board, what the journal knows to be set.
fn now(board: &Board, project: &Project) -> Result<(BTreeMap<String, Truth>, u64), Error> {
    let snapshot = board.snapshot();
    if let Some(generation) = snapshot.generation {
        return Ok((owned(&snapshot), generation));
    }
    let journal = store::read_only(&project.state).unwrap_or_default();
    let set: BTreeMap<_, _> =
        journal.iter().filter_map(|(name, entry)| Some((name.to_owned(), entry.truth?))).collect();
    if set.is_empty() {
        return Err(Error::Failed { message: lost(project), hint: "start it with `mainstay run`".into() });
    }
    Ok((set, journal.generation()))
}

fn owned(snapshot: &Snapshot) -> BTreeMap<String, Truth> {
    snapshot.flags().map(|(name, truth)| (name.to_owned(), truth)).collect()
}

/// A flag that became something else.
#[derive(Debug, Serialize)]
struct Change<'a> {
    schema: u32,
    flag: &'a str,
    old: Option<String>,
    new: Option<String>,
    generation: u64,
    actor: &'a str,
    reason: &'a str,
    time: String,
}

impl Change<'_> {
    fn line(&self, glyphs: bool) -> String {
        let word =
            |truth: &Option<String>| truth.as_deref().map_or_else(|| "undeclared".to_owned(), printable);
        let arrow = if glyphs { "→" } else { "->" };
        let (old, new) = (word(&self.old), word(&self.new));
        let mut line =
            format!("{} {} {old} {arrow} {new}  generation {}", self.time, self.flag, self.generation);
        if !self.actor.is_empty() {
            line += &format!("  by {}", one_line(self.actor));
        }
        if !self.reason.is_empty() {
            line += &format!(": {}", one_line(self.reason));
        }
        line
    }
}

/// What differs between two copies; who did it, where the journal says the same.
fn differences<'a>(
    before: &'a BTreeMap<String, Truth>,
    now: &'a BTreeMap<String, Truth>,
    journal: &'a State,
    generation: u64,
) -> Vec<Change<'a>> {
    let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let changed = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
    let change = |name: &'a String| {
        let new = now.get(name);
        let entry = journal
            .get(name)
            .filter(|e| e.generation <= generation && e.truth.is_none_or(|set| Some(&set) == new));
        Change {
            schema: SCHEMA,
            flag: name,
            old: before.get(name).map(Truth::to_string),
            new: new.map(Truth::to_string),
            generation: entry.map_or(generation, |entry| entry.generation),
            actor: entry.map_or("", |entry| entry.actor.as_str()),
            reason: entry.map_or("", |entry| entry.reason.as_str()),
            time: timestamp(entry.map_or_else(clock::wall, |entry| entry.time)),
        }
    };
    changed.map(change).collect()
}
