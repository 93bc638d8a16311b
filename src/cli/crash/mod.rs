//! `crash list|show|export|prune`: what is known about each death, read from the file. Needs no supervisor.

mod export;
mod html;
mod otlp;
mod prune;
mod show;

use super::caller::Caller;
use super::error::Error;
use super::narrate::{Look, harmless};
use super::output::{Output, Style};
use super::table::shorten;
use crate::crash::{self, Record, duration};
use crate::ipc::control::{Reply, Request};
use crate::paths::Project;
use crate::sys::clock;
use crate::time::{Duration, Wall};
use clap::{Args, Subcommand};
use wildmatch::WildMatch;

/// So long is waited for a supervisor that may know of records which could not be written.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// `crash`
#[derive(Clone, Debug, Args)]
pub struct Crash {
    /// What to show.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What `crash` can do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Every crash, newest first.
    List(List),
    /// One crash in full: how it died, what it was doing, its last words.
    Show(Show),
    /// One crash for another program: JSON, OTLP, or a page.
    Export(export::Export),
    /// Throw crashes away.
    Prune(prune::Prune),
}

/// `crash list`
#[derive(Clone, Debug, Default, Args)]
pub struct List {
    /// Only of these services, instances or globs.
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,
    /// At most so many.
    #[arg(short = 'n', long, value_name = "N")]
    pub lines: Option<usize>,
    /// Only those with this cause: digits of a fingerprint, the first ones are enough.
    #[arg(long, value_name = "FINGERPRINT")]
    pub like: Option<String>,
}

/// `crash show`
#[derive(Clone, Debug, Args)]
pub struct Show {
    /// Its id: c-7. Or a service: its newest crash.
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
}

/// Does it.
///
/// # Errors
/// No such crash; the file cannot be read or written.
pub fn run(arguments: &Crash, project: &Project, output: &mut Output<'_>) -> Result<(), Error> {
    let mut file = crash::read(&project.state)
        .map_err(|source| Error::System { doing: "reading the crash records", source })?;
    file.records.reverse();
    match &arguments.verb {
        Verb::List(arguments) => list(arguments, &file, project, output),
        Verb::Show(arguments) => show(arguments, &file.records, output),
        Verb::Export(arguments) => export::run(arguments, &file.records, output),
        Verb::Prune(arguments) => prune::run(arguments, &file.records, project, output),
    }
}

/// Whether one of these patterns means this record; no patterns mean all.
fn is_meant(patterns: &[String], record: &Record) -> bool {
    patterns.is_empty()
        || patterns.iter().any(|pattern| {
            let glob = WildMatch::new(pattern);
            glob.matches(&record.service) || glob.matches(&record.instance)
        })
}

/// The record with this id, or the newest of this service or instance.
fn find<'a>(id: &str, records: &'a [Record]) -> Result<&'a Record, Error> {
    let number = id.strip_prefix("c-").unwrap_or(id).parse::<u64>().ok();
    let found = records.iter().find(|record| match number {
        Some(number) => record.number == number,
        None => record.service == id || record.instance == id,
    });
    found.ok_or_else(|| {
        let near = records.iter().take(3).map(|record| record.id.clone()).collect();
        Error::NoSuch { kind: "crash", name: id.to_owned(), near }
    })
}

fn list(
    arguments: &List,
    file: &crash::File,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let like = arguments.like.as_deref().unwrap_or_default();
    let chosen = file.records.iter().filter(|record| is_meant(&arguments.patterns, record));
    let chosen = chosen.filter(|record| record.fingerprint.starts_with(like));
    let chosen: Vec<_> = chosen.take(arguments.lines.unwrap_or(usize::MAX)).collect();
    if output.json {
        for record in chosen {
            output.object(record)?;
        }
    } else if chosen.is_empty() {
        output.say("no crashes");
    } else {
        let look = Look::new(output.style);
        for line in lines(&chosen, &look, output.style) {
            output.line(&line)?;
        }
    }
    output.flush()?;
    say_unwritten(file, project, output);
    Ok(())
}

/// One line each.
fn lines(chosen: &[&Record], look: &Look, style: Style) -> Vec<String> {
    let width = |of: fn(&Record) -> &str| chosen.iter().map(|record| of(record).len()).max().unwrap_or(0);
    let (ids, names) = (width(|r| &r.id), width(|r| &r.instance));
    let line = |record: &&Record| {
        let time = local(look, &record.time);
        let Record { id, instance, .. } = record;
        let mut cause = harmless(record.cause.as_bytes());
        if record.pid != 0 {
            cause += &format!(" after {}", duration(Duration::from_nanos(record.lived_ns)));
        }
        let head = format!("{id:<ids$}  {time}  {instance:<names$}  ");
        // Whatever the width is, some of the cause is to be seen.
        let room = style.width.saturating_sub(head.chars().count()).max(20);
        format!("{head}{}", shorten(&cause, room)).trim_end().to_owned()
    };
    chosen.iter().map(line).collect()
}

/// Deaths whose records are not here, by the file's account and by that of the supervisor, if one runs.
fn say_unwritten(file: &crash::File, project: &Project, output: &mut Output<'_>) {
    let mut told = 0;
    let request = Request::Status { all: false };
    let _ = Caller::new(&project.runtime).ask_until(&request, clock::now() + ANSWER_WITHIN, |reply| {
        if let Reply::Head(head) = reply {
            told = head.crashes_unwritten;
        }
    });
    let count = file.unwritten.max(told);
    if count > 0 {
        let newest: Vec<String> =
            file.unwritten_ids.iter().rev().take(5).map(|number| format!("c-{number}")).collect();
        let which =
            if newest.is_empty() { String::new() } else { format!(", {} among them", newest.join(" ")) };
        let records = if count == 1 { "1 crash record".to_owned() } else { format!("{count} crash records") };
        output.say(&format!("{records} could not be written{which}: see mainstay logs mainstay"));
    }
}

fn show(arguments: &Show, records: &[Record], output: &mut Output<'_>) -> Result<(), Error> {
    for (index, id) in arguments.ids.iter().enumerate() {
        let record = find(id, records)?;
        if output.json {
            output.object(record)?;
        } else {
            let look = Look::new(output.style);
            let gap = if index == 0 { "" } else { "\n" };
            output.data(&format!("{gap}{}", show::text(record, records, &look, output.style.width)))?;
        }
    }
    output.flush()
}

/// A time of a record or of a log, as people here read it: `2026-11-23 12:14:44.218`.
pub(super) fn local(look: &Look, time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(at) => {
            let zoned = at.to_zoned_datetime(look.zone().clone());
            format!("{} {}", zoned.strftime("%Y-%m-%d"), look.clock(Wall(at.as_microsecond())))
        }
        Err(_) => harmless(time.as_bytes()),
    }
}

#[cfg(test)]
mod tests;
