//! `crash prune`: throwing records away.
//!
//! It only appends a line that says so, which every reader respects at once, so it never stands in the way of the logger; and
//! it makes the file smaller itself only where no logger can be writing.

use super::is_meant;
use crate::cli::caller::Caller;
use crate::cli::error::Error;
use crate::cli::output::Output;
use crate::crash::{self, Record, Store};
use crate::paths::Project;
use crate::sys::clock;
use crate::time::Duration;
use clap::{ArgGroup, Args};
use serde::Serialize;
use std::collections::BTreeSet;

/// `crash prune`
#[derive(Clone, Debug, Default, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["patterns", "older_than", "keep", "all"]))]
pub struct Prune {
    /// Only these: c-7, services, instances or globs.
    #[arg(value_name = "ID|PATTERN")]
    pub patterns: Vec<String>,
    /// Only those that are older.
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::duration::parse)]
    pub older_than: Option<Duration>,
    /// Keep so many, the newest, of those that are meant.
    #[arg(long, value_name = "N")]
    pub keep: Option<usize>,
    /// All of them.
    #[arg(short, long, conflicts_with_all = ["patterns", "older_than", "keep"])]
    pub all: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// What was done.
#[derive(Serialize)]
struct Answer {
    schema: u32,
    pruned: Vec<String>,
    left: usize,
    dry_run: bool,
}

/// Does it. `records`: newest first.
pub(super) fn run(
    arguments: &Prune,
    records: &[Record],
    project: &Project,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let chosen = chosen(arguments, records, now_micros())?;
    if !arguments.dry_run && !chosen.is_empty() {
        let numbers: BTreeSet<u64> = chosen.iter().map(|record| record.number).collect();
        let failed = |source| Error::System { doing: "throwing crash records away", source };
        crash::throw_away(&project.state, &numbers).map_err(failed)?;
        if Caller::new(&project.runtime).cursor().is_err() {
            Store::new(&project.state).compact().map_err(failed)?;
        }
    }
    let left = records.len() - chosen.len();
    let pruned: Vec<String> = chosen.iter().map(|record| record.id.clone()).collect();
    if output.json {
        output.object(&Answer {
            schema: crate::cli::json::SCHEMA,
            pruned,
            left,
            dry_run: arguments.dry_run,
        })?;
    } else {
        let (would, count) =
            (if arguments.dry_run { "would throw away" } else { "threw away" }, pruned.len());
        let crashes = if count == 1 { "1 crash".to_owned() } else { format!("{count} crashes") };
        output.line(&format!("{would} {crashes}, {left} left"))?;
    }
    output.flush()
}

/// An id that nobody has is an error, before anything is done.
fn chosen<'a>(arguments: &Prune, records: &'a [Record], now_micros: i64) -> Result<Vec<&'a Record>, Error> {
    let number = |id: &String| id.strip_prefix("c-").and_then(|number| number.parse::<u64>().ok());
    let numbers: BTreeSet<u64> = arguments.patterns.iter().filter_map(number).collect();
    for id in &numbers {
        super::find(&format!("c-{id}"), records)?;
    }
    let patterns: Vec<String> =
        arguments.patterns.iter().filter(|id| number(id).is_none()).cloned().collect();
    let meant = |record: &&Record| {
        numbers.contains(&record.number)
            || (numbers.is_empty() || !patterns.is_empty()) && is_meant(&patterns, record)
    };
    let old = |record: &&Record| {
        arguments.older_than.is_none_or(|age| {
            let died = record.time.parse::<jiff::Timestamp>().map_or(0, |time| time.as_microsecond());
            i128::from(now_micros) - i128::from(died) > age.as_micros() as i128
        })
    };
    Ok(records.iter().filter(meant).skip(arguments.keep.unwrap_or(0)).filter(old).collect())
}

fn now_micros() -> i64 {
    clock::wall().0
}
