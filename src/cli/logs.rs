//! `logs`: what services wrote, read from the files. Needs no supervisor, and follows services across
//! restarts and rotations.

mod follow;
mod moment;
mod source;

use super::crash::local;
use super::error::Error;
use super::narrate::{Glyph, Look, harmless, one_line};
use super::output::Output;
use crate::paths::Project;
use crate::services::logger::line::{Kind, Line, STAMP, Which};
use crate::sys::clock;
use clap::Args;
use serde::Serialize;
use source::{Source, sources};

/// `logs`
#[derive(Clone, Debug, Default, Args)]
pub struct Logs {
    /// Only of these services, instances or globs; `mainstay` is the supervisor's own.
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,
    /// Go on with what is written next, across restarts and rotations, until interrupted.
    #[arg(short, long)]
    pub follow: bool,
    /// Only the newest lines; 10 with -f when nothing else is said.
    #[arg(short = 'n', long, value_name = "N")]
    pub lines: Option<usize>,
    /// Only what is newer: 10m (ago), 12:30, 2026-11-23T12:30:00Z.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only what is older.
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    pub until: Option<String>,
}

/// A line of some log, on its way to the reader.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// First, so that entries sort by time.
    stamp: String,
    service: usize,
    number: u64,
    bytes: Vec<u8>,
}

/// What is to be shown.
#[derive(Clone, Debug, Default)]
struct Wanted {
    since: Option<String>,
    until: Option<String>,
}

impl Wanted {
    fn has(&self, stamp: &str) -> bool {
        self.since.as_deref().is_none_or(|since| stamp >= since)
            && self.until.as_deref().is_none_or(|until| stamp <= until)
    }
}

/// Does it.
///
/// # Errors
/// Nothing has such a name; a time that is none; a file cannot be read.
pub fn run(arguments: &Logs, project: &Project, output: &mut Output<'_>) -> Result<(), Error> {
    let look = Look::new(output.style);
    let now = clock::wall();
    let time =
        |text: &Option<String>| text.as_deref().map(|text| moment::stamp(text, now, &look)).transpose();
    let wanted = Wanted { since: time(&arguments.since)?, until: time(&arguments.until)? };
    // Watched before anything is read, so that what comes in between is not missed.
    let watch = arguments.follow.then(|| follow::Watch::new(&project.logs)).transpose()?;
    let mut sources = sources(&project.logs, &arguments.patterns, arguments.follow)?;
    let newest = match (arguments.lines, arguments.follow && wanted.since.is_none()) {
        (Some(lines), _) => Some(lines),
        (None, true) => Some(10),
        (None, false) => None,
    };
    let today = local(&look, &crate::services::logger::line::stamp(now))[..10].to_owned();
    let mut page = Page { look, today, names: Vec::new() };
    page.learn(&sources);
    match newest {
        Some(lines) => {
            let mut entries = Vec::new();
            for (service, source) in sources.iter_mut().enumerate() {
                source.newest(service, lines, &wanted, &mut entries).map_err(reading)?;
            }
            entries.sort();
            let skip = entries.len().saturating_sub(lines);
            for entry in entries.drain(skip..) {
                page.show(&entry.bytes, entry.service, output)?;
            }
        }
        None => merge(&mut sources, &wanted, &mut |service, bytes| page.show(bytes, service, output))?,
    }
    output.flush()?;
    match watch {
        Some(watch) => follow::follow(watch, sources, &arguments.patterns, &project.logs, &mut page, output),
        None => Ok(()),
    }
}

/// Takes a line and the place of its source.
type Show<'a> = dyn FnMut(usize, &[u8]) -> Result<(), Error> + 'a;

/// All lines of all sources, in the order of their stamps.
fn merge(sources: &mut [Source], wanted: &Wanted, show: &mut Show<'_>) -> Result<(), Error> {
    let mut lines = Vec::new();
    for source in &mut *sources {
        lines.push(source.next().map_err(reading)?);
    }
    loop {
        let first =
            lines.iter().enumerate().filter_map(|(n, line)| Some((line.as_ref()?.get(..STAMP)?, n))).min();
        let Some((_, service)) = first else { return Ok(()) };
        let next = sources[service].next().map_err(reading)?;
        if let Some(bytes) = std::mem::replace(&mut lines[service], next)
            && Line::parse(&bytes).is_some_and(|line| wanted.has(line.stamp) && sources[service].has(&line))
        {
            show(service, &bytes)?;
        }
    }
}

fn reading(source: std::io::Error) -> Error {
    Error::System { doing: "reading a log", source }
}

/// How lines look.
struct Page {
    look: Look,
    /// Lines of other days say their date.
    today: String,
    names: Vec<String>,
}

#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    time: &'a str,
    service: &'a str,
    instance: &'a str,
    stream: Option<&'a str>,
    kind: &'a str,
    text: &'a str,
}

impl Page {
    fn learn(&mut self, sources: &[Source]) {
        self.names = sources.iter().map(|source| source.service.clone()).collect();
    }

    fn show(&self, bytes: &[u8], service: usize, output: &mut Output<'_>) -> Result<(), Error> {
        let Some(line) = Line::parse(bytes) else { return Ok(()) };
        if output.json {
            let (kind, stream) = match line.kind {
                Kind::Text(which) => ("line", Some(which.word())),
                Kind::Rest(which) => ("rest", Some(which.word())),
                Kind::Mark => ("mark", None),
            };
            let text = String::from_utf8_lossy(line.text);
            return output.object(&Object {
                schema: 1,
                time: line.stamp,
                service: self.names.get(service).map_or("", String::as_str),
                instance: line.instance,
                stream,
                kind,
                text: &text,
            });
        }
        let Some(text) = self.text(&line) else { return Ok(()) };
        output.data_writer().write_all(&text).map_err(|source| match source.kind() {
            std::io::ErrorKind::BrokenPipe => Error::ClosedOutput,
            _ => Error::System { doing: "writing to stdout", source },
        })
    }

    /// The line with its newline; `None` when it is for machines only.
    fn text(&self, line: &Line<'_>) -> Option<Vec<u8>> {
        let look = &self.look;
        let when = local(look, line.stamp);
        let when = when.strip_prefix(&self.today).map_or(when.as_str(), str::trim_start);
        let when = look.paint(anstyle::Style::new().dimmed(), when);
        let (glyph, text) = match line.kind {
            Kind::Mark => {
                let (glyph, text) = mark(line.text)?;
                let rule = if look.glyphs { " ─────────────" } else { "" };
                (look.paint(glyph.style(), glyph.text(look)), format!("{text}{rule}").into_bytes())
            }
            Kind::Text(which) | Kind::Rest(which) => {
                let style = match which {
                    Which::Out => Glyph::Bar.style(),
                    Which::Err => anstyle::AnsiColor::Red.on_default(),
                };
                let mut text =
                    if matches!(line.kind, Kind::Rest(_)) { "…".as_bytes().to_vec() } else { Vec::new() };
                // A file or a program gets the service's bytes as they are; a terminal gets nothing that steers it.
                match look.terminal {
                    true => {
                        let bare = line.text.strip_suffix(b"\r").unwrap_or(line.text);
                        text.extend_from_slice(harmless(bare).as_bytes());
                    }
                    false => text.extend_from_slice(line.text),
                }
                (look.paint(style, Glyph::Bar.text(look)), text)
            }
        };
        let mut whole = format!("{when} {} {glyph} ", line.instance).into_bytes();
        whole.extend_from_slice(&text);
        whole.push(b'\n');
        Some(whole)
    }
}

/// A mark, as people read it.
fn mark(text: &[u8]) -> Option<(Glyph, String)> {
    let text = String::from_utf8_lossy(text);
    if text.starts_with("life ") {
        return None;
    }
    if let Some(end) = text.strip_prefix("end ") {
        let cause = end.split_once(": ").map_or(end, |(_, cause)| cause);
        let glyph = if cause.contains("(c-") { Glyph::Bad } else { Glyph::End };
        return Some((glyph, one_line(cause)));
    }
    let good = text.starts_with("ready") || text.starts_with("up");
    Some((if good { Glyph::Good } else { Glyph::Note }, one_line(&text)))
}

#[cfg(test)]
mod tests;
