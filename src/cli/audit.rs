//! `mainstay audit …` and `flag log`: who changed what, when and why. Read from the log itself: needs nobody.

use super::changed::arrow;
use super::error::Error;
use super::json::{SCHEMA, timestamp};
use super::narrate::one_line;
use super::output::{Output, Style, printable};
use super::table::{length, shorten};
use crate::audit::{self, Found, Line, Whole};
use crate::exit_code::ExitCode;
use crate::paths::Project;
use crate::time::Wall;
use clap::{Args, Subcommand};
use serde::Serialize;

/// `audit …`
#[derive(Clone, Debug, Subcommand)]
pub enum AuditCommand {
    /// Show the newest changes of all flags and migrations.
    Show(Show),
    /// Prove that no line of the log was changed or taken out since it was written.
    Verify,
}

/// `audit show`
#[derive(Clone, Debug, Args)]
pub struct Show {
    /// So many, the newest first; 0: all.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub lines: usize,
}

/// Does what was typed, for this project.
///
/// # Errors
/// As [`Error::code`] says.
pub fn run(command: &AuditCommand, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    match command {
        AuditCommand::Show(show) => {
            if print("", show.lines, project, output)? == 0 && !output.json {
                output.say("nobody has changed a flag yet");
            }
            Ok(ExitCode::Done)
        }
        AuditCommand::Verify => verify(project, output),
    }
}

/// Prints the newest changes of this flag or migration (empty: of all), at most `most` (0: all of them), the newest
/// first. How many there were.
///
/// # Errors
/// The log cannot be read.
pub fn print(about: &str, most: usize, project: &Project, output: &mut Output<'_>) -> Result<usize, Error> {
    let most = if most == 0 { usize::MAX } else { most };
    let found = audit::newest(&audit::file(&project.state), about, most)
        .map_err(|source| Error::System { doing: "reading the audit log", source })?;
    if output.json {
        found.lines.iter().try_for_each(|line| output.object(&Object::of(line)))?;
    } else {
        for line in render(&found.lines, about, output.style) {
            output.line(&line)?;
        }
    }
    remarks(&found, output);
    Ok(found.lines.len())
}

fn remarks(found: &Found, output: &mut Output<'_>) {
    if found.passed_over > 0 {
        let lines = if found.passed_over == 1 { "line" } else { "lines" };
        let text =
            format!("warning: {} damaged {lines} passed over; mainstay audit verify", found.passed_over);
        output.say(&text);
    }
    if !found.all && !output.json && output.style.terminal {
        output.say("there are older ones: -n 0 shows all");
    }
}

/// A line each, in columns; below it what else became true.
fn render(lines: &[Line], about: &str, style: Style) -> Vec<String> {
    let number = |line: &Line| line.generation.to_string();
    let digits = lines.iter().map(|line| length(&number(line))).max().unwrap_or(0);
    let actors = lines.iter().map(|line| length(&one_line(&line.actor))).max().unwrap_or(0);
    let whats: Vec<String> = lines.iter().map(|line| what(line, about, style)).collect();
    let widest = whats.iter().map(|what| length(what)).max().unwrap_or(0).min(40);
    let mut text = Vec::new();
    for (line, what) in lines.iter().zip(&whats) {
        let memory = if line.durable { "" } else { "  (in memory only then)" };
        let reason =
            if line.reason.is_empty() { String::new() } else { format!("  {}", printable(&line.reason)) };
        let row = format!(
            "{}  {:>digits$}  {:<actors$}  {what:<widest$}{reason}{memory}",
            local(line.time),
            number(line),
            one_line(&line.actor),
        );
        text.push(row.trim_end().to_owned());
        let facts = line.facts.iter().filter(|said| about.is_empty() || said.about == about);
        for fact in facts {
            let whose = if about.is_empty() && !fact.about.is_empty() {
                format!("{} ", printable(&fact.about))
            } else {
                String::new()
            };
            // Below what it belongs to.
            let indent = " ".repeat(23 + 2 + digits + 2 + actors + 2);
            text.push(style.dim(&format!("{indent}{whose}{}", printable(&fact.what))));
        }
    }
    text
}

/// `25% → off` of one flag; `new-checkout 25% → off, search on → off` of all; else what was asked for.
fn what(line: &Line, about: &str, style: Style) -> String {
    let arrow = arrow(style);
    let of_one = line.changes.iter().find(|changed| !about.is_empty() && changed.flag == about);
    if let Some(changed) = of_one {
        return format!("{} {arrow} {}", printable(&changed.from), printable(&changed.to));
    }
    if !about.is_empty() || line.changes.is_empty() {
        return printable(&line.verb);
    }
    let each = line.changes.iter().map(|one| {
        format!("{} {} {arrow} {}", printable(&one.flag), printable(&one.from), printable(&one.to))
    });
    const MANY: usize = 3;
    let more = line.changes.len().saturating_sub(MANY);
    let mut words: Vec<String> = each.take(MANY).map(|one| shorten(&one, 60)).collect();
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    words.join(", ")
}

/// `2026-11-23 12:14:44.218`, here.
fn local(time: Wall) -> String {
    let time = jiff::Timestamp::from_microsecond(time.0).unwrap_or_default();
    time.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// A change in JSON.
#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    generation: u64,
    time: String,
    uid: u32,
    actor: &'a str,
    verb: &'a str,
    reason: &'a str,
    changes: &'a [audit::Changed],
    facts: &'a [audit::Said],
    durable: bool,
}

impl<'a> Object<'a> {
    fn of(line: &'a Line) -> Object<'a> {
        let Line { generation, time, uid, actor, verb, reason, changes, facts, durable, prev: _ } = line;
        Object {
            schema: SCHEMA,
            generation: *generation,
            time: timestamp(*time),
            uid: *uid,
            actor,
            verb,
            reason,
            changes,
            facts,
            durable: *durable,
        }
    }
}

fn verify(project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    #[derive(Serialize)]
    struct Answer {
        schema: u32,
        whole: bool,
        lines: Option<u64>,
        digest: Option<String>,
        error: Option<String>,
    }
    let file = audit::file(&project.state);
    match audit::verify(&file) {
        Ok(Whole { lines, digest }) if output.json => {
            let (lines, digest) = (Some(lines), Some(digest.to_string()));
            output.object(&Answer { schema: SCHEMA, whole: true, lines, digest, error: None })?;
            Ok(ExitCode::Done)
        }
        Ok(Whole { lines, digest }) => {
            let good = output.style.good(if output.style.glyphs { "✓" } else { "ok" });
            let lines = if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
            output.line(&format!("{good} {lines}, each continues the one before"))?;
            // Whoever keeps it elsewhere sees when the end was cut off, or all of it written anew.
            output.line(&format!("   digest {digest}  {}", file.display()))?;
            Ok(ExitCode::Done)
        }
        Err(broken) if output.json => {
            let error = Some(broken.to_string());
            output.object(&Answer { schema: SCHEMA, whole: false, lines: None, digest: None, error })?;
            Ok(ExitCode::Failed)
        }
        Err(broken) => Err(Error::Failed {
            message: broken.to_string(),
            hint: format!("the journal still has what holds now; the file is {}", file.display()),
        }),
    }
}
