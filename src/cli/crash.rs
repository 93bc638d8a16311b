//! `crash list`, `crash show`: what is known about each death, read from the file. Needs no supervisor.

use super::error::Error;
use super::narrate::{Glyph, Look, harmless};
use super::output::Output;
use crate::crash::{self, Record, duration};
use crate::paths::Project;
use crate::time::{Duration, Wall};
use clap::{Args, Subcommand};
use wildmatch::WildMatch;

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
    /// One crash in full: how it died, its last words.
    Show(Show),
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
/// No such crash; the file cannot be read.
pub fn run(arguments: &Crash, project: &Project, output: &mut Output<'_>) -> Result<(), Error> {
    let mut records = crash::read(&project.state)
        .map_err(|source| Error::System { doing: "reading the crash records", source })?;
    records.reverse();
    match &arguments.verb {
        Verb::List(arguments) => list(arguments, &records, output),
        Verb::Show(arguments) => show(arguments, &records, output),
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

fn list(arguments: &List, records: &[Record], output: &mut Output<'_>) -> Result<(), Error> {
    let chosen = records.iter().filter(|record| is_meant(&arguments.patterns, record));
    let chosen: Vec<_> = chosen.take(arguments.lines.unwrap_or(usize::MAX)).collect();
    if output.json {
        for record in chosen {
            output.object(record)?;
        }
        return output.flush();
    }
    if chosen.is_empty() {
        output.say("no crashes");
        return Ok(());
    }
    let look = Look::new(output.style);
    let width = |of: fn(&Record) -> &str| chosen.iter().map(|record| of(record).len()).max().unwrap_or(0);
    let (ids, names) = (width(|r| &r.id), width(|r| &r.instance));
    for record in chosen {
        let (time, lived) = (local(&look, &record.time), lived(record));
        let Record { id, instance, .. } = record;
        let cause = harmless(record.cause.as_bytes());
        output.line(format!("{id:<ids$}  {time}  {instance:<names$}  {cause}{lived}").trim_end())?;
    }
    output.flush()
}

fn show(arguments: &Show, records: &[Record], output: &mut Output<'_>) -> Result<(), Error> {
    for id in &arguments.ids {
        let number = id.strip_prefix("c-").unwrap_or(id).parse::<u64>().ok();
        let found = records.iter().find(|record| match number {
            Some(number) => record.number == number,
            None => record.service == *id || record.instance == *id,
        });
        let Some(record) = found else {
            let near = records.iter().take(3).map(|record| record.id.clone()).collect();
            return Err(Error::NoSuch { kind: "crash", name: id.clone(), near });
        };
        if output.json {
            output.object(record)?;
        } else {
            let look = Look::new(output.style);
            output.data(&text(record, &look))?;
        }
    }
    output.flush()
}

/// `, lived 23.6 s`; nothing when there was no life.
fn lived(record: &Record) -> String {
    match record.pid {
        0 => String::new(),
        _ => format!(" after {}", duration(Duration::from_nanos(record.lived_ns))),
    }
}

/// A crash in full.
fn text(record: &Record, look: &Look) -> String {
    let end = match (&record.signal, record.code) {
        (Some(signal), _) => signal.clone(),
        (None, Some(code)) => format!("exit {code}"),
        (None, None) if record.pid == 0 => "not started".to_owned(),
        (None, None) => "unknown end".to_owned(),
    };
    let id = look.paint(Glyph::Bad.style(), &record.id);
    let mut head = vec![id, record.instance.clone(), end, local(look, &record.time)];
    if record.pid != 0 {
        head.push(format!("lived {}", duration(Duration::from_nanos(record.lived_ns))));
    }
    match (record.restarts, record.restarts_max) {
        (0, _) => {}
        (restarts, 0) => head.push(format!("restart {restarts}")),
        (restarts, max) => head.push(format!("restart {restarts} of {max}")),
    }
    let mut text = head.join("  ");
    let mut row = |name: &str, value: &str| {
        let name = look.paint(anstyle::Style::new().dimmed(), &format!("{name:<9}"));
        text.push_str(&format!("\n  {name} {value}"));
    };
    row("cause", &harmless(record.cause.as_bytes()));
    if record.pid != 0 {
        row("process", &format!("pid {}, life {}", record.pid, record.incarnation));
        let cpu = duration(Duration::from_nanos(record.cpu_ns));
        let memory = record.memory_max as f64 / 1e6;
        row("used", &format!("cpu {cpu}, at most {memory:.1} MB of memory"));
    }
    let arrow = if look.glyphs { "→" } else { "->" };
    for (n, change) in record.changed.iter().enumerate() {
        let [flag, old, new] = [&change.flag, &change.old, &change.new].map(|text| harmless(text.as_bytes()));
        let before = duration(Duration::from_nanos(change.before_ns));
        row(if n == 0 { "changed" } else { "" }, &format!("{flag} {old}{arrow}{new}  {before} before"));
    }
    let bar = Glyph::Bar.text(look);
    for (n, word) in record.words.iter().enumerate() {
        let time = local(look, &word.time);
        let clock = time.split_once(' ').map_or(time.as_str(), |(_, clock)| clock);
        let stream = if word.stream == "err" { "stderr" } else { "stdout" };
        let line = format!("{clock} {stream} {bar} {}", harmless(word.text.as_bytes()));
        row(if n == 0 { "words" } else { "" }, &line);
    }
    if record.words.is_empty() {
        row("words", "none: it wrote nothing in this life");
    }
    text.push_str(&format!("\nnext  mainstay logs '{}' --until {}\n", record.instance, record.time));
    text
}

/// A time of a record or of a log, as people here read it: `2026-11-23 12:14:44.218`.
pub(super) fn local(look: &Look, time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(at) => {
            let zoned = at.to_zoned_datetime(look.zone.clone());
            format!("{} {}", zoned.strftime("%Y-%m-%d"), look.clock(Wall(at.as_microsecond())))
        }
        Err(_) => harmless(time.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::{Change, LastWord};

    fn record(number: u64) -> Record {
        Record {
            schema: 1,
            id: format!("c-{number}"),
            number,
            service: "web".into(),
            instance: "web#7".into(),
            cause: "killed by SIGSEGV".into(),
            signal: Some("SIGSEGV".into()),
            time: "2026-11-23T12:14:44.218Z".into(),
            incarnation: 17,
            pid: 4188,
            lived_ns: 372_000_000_000,
            restarts: 2,
            restarts_max: 5,
            cpu_ns: 1_500_000_000,
            memory_max: 212_000_000,
            changed: vec![Change {
                flag: "new-checkout".into(),
                old: "off".into(),
                new: "on".into(),
                before_ns: 1_240_000_000,
                generation: 7,
                actor: "ann".into(),
            }],
            words: vec![LastWord {
                time: "2026-11-23T12:14:44.217Z".into(),
                stream: "err".into(),
                text: "index 9 out of range\u{1b}[2J".into(),
            }],
            ..Record::default()
        }
    }

    #[test]
    fn a_crash_is_shown_with_all_that_is_known() {
        let expected = "\
c-13  web#7  SIGSEGV  2026-11-23 12:14:44.218  lived 6m 12s  restart 2 of 5
  cause     killed by SIGSEGV
  process   pid 4188, life 17
  used      cpu 1.5 s, at most 212.0 MB of memory
  changed   new-checkout off->on  1.2 s before
  words     12:14:44.217 stderr | index 9 out of range\\u{1b}[2J
next  mainstay logs 'web#7' --until 2026-11-23T12:14:44.218Z
";
        assert_eq!(text(&record(13), &Look::plain()), expected);
    }

    fn check(verb: Verb, json: bool) -> (Result<(), Error>, String) {
        let directory = tempfile::tempdir().unwrap();
        let project = project(directory.path());
        crash::Store::new(&project.state).append(&[record(6), record(7)]).unwrap();
        let mut data = Vec::new();
        let style = crate::cli::output::Style::PLAIN;
        let result =
            run(&Crash { verb }, &project, &mut Output::new(style, json, &mut data, std::io::sink()));
        (result, String::from_utf8(data).unwrap())
    }

    fn project(directory: &std::path::Path) -> Project {
        Project {
            name: "shop".into(),
            config: None,
            runtime: directory.into(),
            state: directory.into(),
            logs: directory.into(),
            chosen_by: crate::paths::ChosenBy::Project,
            searched: Vec::new(),
        }
    }

    #[test]
    fn the_newest_is_first() {
        let (result, text) = check(Verb::List(List::default()), false);
        result.unwrap();
        assert!(text.starts_with("c-7  ") && text.contains("\nc-6  "), "{text}");
        assert!(text.contains("  web#7  killed by SIGSEGV after 6m 12s\n"), "{text}");
        let (result, text) = check(Verb::List(List { patterns: vec!["w*".into()], lines: Some(1) }), true);
        result.unwrap();
        assert!(
            text.starts_with(r#"{"schema":1,"id":"c-7","number":7,"service":"web","#)
                && text.lines().count() == 1
        );
        let (_, text) = check(Verb::List(List { patterns: vec!["worker".into()], lines: None }), true);
        assert_eq!(text, "");
    }

    #[test]
    fn an_unknown_crash_is_exit_4_and_names_those_that_are_there() {
        let show = |id: &str| Verb::Show(Show { ids: vec![id.into()] });
        for id in ["c-6", "6", "web"] {
            check(show(id), true).0.unwrap();
        }
        let error = check(show("c-8"), false).0.unwrap_err();
        assert_eq!(error.code().number(), 4);
        assert_eq!(error.to_string(), "no crash matches `c-8`");
        assert_eq!(error.hint(), "did you mean `c-7` or `c-6`?");
    }
}
