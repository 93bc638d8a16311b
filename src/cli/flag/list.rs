//! `flag list`, `flag watch`, `flag where`: many flags, from one consistent copy of the board. Who set
//! them comes from the journal, where we may read it.

use super::args::{List, Watch};
use super::{board, lost, unknown};
use crate::board::{Board, Snapshot};
use crate::cli::duration::brief;
use crate::cli::error::Error;
use crate::cli::narrate::one_line;
use crate::cli::output::Output;
use crate::cli::table::Table;
use crate::exit_code::ExitCode;
use crate::flags::{Truth, Value};
use crate::ipc::flags::{Reply, Request, Where};
use crate::paths::Project;
use crate::services::keeper::client;
use crate::store::{self, Entry, State};
use crate::sys::clock;
use crate::time::{Duration, Wall};
use serde::Serialize;
use std::collections::BTreeMap;
use wildmatch::WildMatch;

/// `flag where` waits so long for the keeper.
const WHERE_WITHIN: Duration = Duration::from_secs(1);

/// `flag list`
pub(super) fn list(list: &List, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let (flags, generation) = flags(&board(project), project)?;
    let wanted = chosen(&list.flags, &flags, project)?;
    let journal = store::read_only(&project.state).unwrap_or_default();
    let now = clock::wall();
    let mut table = Table::new(["FLAG", "VALUE", "GENERATION", "SET BY", "WHY"]);
    for (name, truth) in flags.iter().filter(|(name, _)| wanted(name)) {
        // An entry that says something else is of a change that is just being made, or not known here.
        let entry = journal.get(name).filter(|entry| entry.truth.is_none_or(|set| set == *truth));
        if output.json {
            output.object(&object(name, *truth, entry, generation))?;
            continue;
        }
        let set_by = match entry {
            Some(entry) => format!("{}, {} ago", one_line(&entry.actor), brief(age(entry.time, now))),
            None => "default".to_owned(),
        };
        table.row(vec![
            name.clone(),
            truth.to_string(),
            entry.map_or_else(|| "-".to_owned(), |entry| entry.generation.to_string()),
            set_by,
            entry.map_or_else(String::new, |entry| one_line(&entry.reason)),
        ]);
    }
    if !output.json {
        if flags.is_empty() {
            output.say("no flags are declared; add `[flag.NAME]` to the configuration");
            return Ok(ExitCode::Done);
        }
        let style = output.style;
        for line in table.lines(|row, column, cell| match (row, column) {
            (None, _) => style.dim(cell),
            (Some(_), 1) if cell.trim_end() == "on" => style.good(cell),
            _ => cell.to_owned(),
        }) {
            output.line(&line)?;
        }
    }
    Ok(ExitCode::Done)
}

/// Every flag and the board's number; from the keeper when there is no board, then from the journal.
fn flags(board: &Board, project: &Project) -> Result<(BTreeMap<String, Truth>, u64), Error> {
    let snapshot = board.snapshot();
    if let Some(generation) = snapshot.generation {
        return Ok((owned(&snapshot), generation));
    }
    let request = Request::List { flags: Vec::new() };
    if let Ok(answer) = client::ask(&project.runtime, &request, WHERE_WITHIN) {
        let told = answer.replies.into_iter().filter_map(|reply| match reply {
            Reply::Flag(flag) => Some((flag.declared.name, flag.truth)),
            _ => None,
        });
        return Ok((told.collect(), answer.generation));
    }
    // Only what somebody set is in there, not what is declared; better than nothing, and true.
    let journal = store::read_only(&project.state).unwrap_or_default();
    let set: BTreeMap<_, _> =
        journal.iter().filter_map(|(name, entry)| Some((name.to_owned(), entry.truth?))).collect();
    if set.is_empty() {
        return Err(Error::Failed {
            message: lost(project),
            hint: "start it with `mainstay run`".to_owned(),
        });
    }
    Ok((set, journal.generation()))
}

fn owned(snapshot: &Snapshot) -> BTreeMap<String, Truth> {
    snapshot.flags().map(|(name, truth)| (name.to_owned(), truth)).collect()
}

/// Which of them were asked for; a name or pattern that matches none is an error.
fn chosen<'a>(
    patterns: &'a [String],
    flags: &BTreeMap<String, Truth>,
    project: &Project,
) -> Result<impl Fn(&str) -> bool + use<'a>, Error> {
    let matchers: Vec<_> = patterns.iter().map(|pattern| WildMatch::new(pattern)).collect();
    for (pattern, matcher) in patterns.iter().zip(&matchers) {
        if !flags.keys().any(|name| matcher.matches(name)) {
            return Err(unknown(pattern, project).1);
        }
    }
    Ok(move |name: &str| matchers.is_empty() || matchers.iter().any(|matcher| matcher.matches(name)))
}

#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    name: &'a str,
    kind: &'static str,
    /// `true`, `false`, the percentage; `null` while it is disabled.
    value: serde_json::Value,
    text: String,
    disabled: bool,
    set: bool,
    generation: u64,
    actor: &'a str,
    uid: Option<u32>,
    reason: &'a str,
    time: Option<String>,
    board_generation: u64,
}

fn object<'a>(name: &'a str, truth: Truth, entry: Option<&'a Entry>, board_generation: u64) -> Object<'a> {
    let (kind, value) = json(truth);
    Object {
        schema: 1,
        name,
        kind,
        value,
        text: truth.to_string(),
        disabled: truth.disabled,
        set: entry.is_some_and(|entry| entry.truth.is_some()),
        generation: entry.map_or(0, |entry| entry.generation),
        actor: entry.map_or("", |entry| entry.actor.as_str()),
        uid: entry.map(|entry| entry.uid),
        reason: entry.map_or("", |entry| entry.reason.as_str()),
        time: entry.map(|entry| stamp(entry.time)),
        board_generation,
    }
}

/// The kind of a value, and the value: `true`, `false`, the percentage; `null` while it is disabled.
pub(super) fn json(truth: Truth) -> (&'static str, serde_json::Value) {
    let (kind, value) = match truth.value {
        Value::Off => ("bool", false.into()),
        Value::On => ("bool", true.into()),
        Value::Share(share) => ("percent", (f64::from(share) / 1000.0).into()),
        Value::Stage(stage) => ("stage", stage.into()),
        Value::Int(number) => ("int", number.into()),
        Value::Text(text) => ("text", text.text().unwrap_or_default().into()),
    };
    (kind, if truth.disabled { serde_json::Value::Null } else { value })
}

/// `2026-11-23T12:14:44.218Z`
fn stamp(time: Wall) -> String {
    let time = jiff::Timestamp::from_microsecond(time.0).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn age(time: Wall, now: Wall) -> u64 {
    u64::try_from(now.0.saturating_sub(time.0)).unwrap_or(0).saturating_mul(1000)
}

/// `flag watch`
pub(super) fn watch(watch: &Watch, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    const A_WHILE: Duration = Duration::from_secs(3600);
    let board = board(project);
    let (mut before, mut generation) = flags(&board, project)?;
    let wanted = chosen(&watch.flags, &before, project)?;
    loop {
        output.flush()?;
        // What is missed while there is no board is told when there is one again.
        let Some(_) = board.wait(generation, A_WHILE) else { continue };
        let snapshot = board.snapshot();
        let Some(number) = snapshot.generation else { continue };
        if !snapshot.consistent {
            continue;
        }
        let now = owned(&snapshot);
        let journal = store::read_only(&project.state).unwrap_or_default();
        for change in differences(&before, &now, &journal, number) {
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
        (before, generation) = (now, number);
    }
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
        let word = |truth: &Option<String>| truth.clone().unwrap_or_else(|| "undeclared".to_owned());
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
            schema: 1,
            flag: name,
            old: before.get(name).map(Truth::to_string),
            new: new.map(Truth::to_string),
            generation: entry.map_or(generation, |entry| entry.generation),
            actor: entry.map_or("", |entry| entry.actor.as_str()),
            reason: entry.map_or("", |entry| entry.reason.as_str()),
            time: stamp(entry.map_or_else(clock::wall, |entry| entry.time)),
        }
    };
    changed.map(change).collect()
}

/// `flag where`
pub(super) fn place(project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let board = board(project);
    let answer = client::ask(&project.runtime, &Request::Where, WHERE_WITHIN);
    let told: Option<Where> = answer.ok().and_then(|answer| {
        answer.replies.into_iter().find_map(|reply| match reply {
            Reply::Where(told) => Some(told),
            _ => None,
        })
    });
    let trouble = board.trouble().map(|error| error.to_string()).unwrap_or_default();
    let places = Places {
        schema: 1,
        board: project.runtime.join(crate::board::layout::BOARD).display().to_string(),
        board_state: if trouble.is_empty() { "live".to_owned() } else { trouble },
        generation: board.generation(),
        flags: board.snapshot().flags().count(),
        journal: store::directory(&project.state).join("journal").display().to_string(),
        journal_trouble: told.as_ref().map(|told| told.trouble.clone()),
        epoch: told.as_ref().map(|told| told.epoch),
        keeper: told.as_ref().map(|told| told.pid),
        socket: client::socket(&project.runtime).display().to_string(),
    };
    if output.json {
        output.object(&places)?;
        return Ok(ExitCode::Done);
    }
    for line in places.lines() {
        output.line(&line)?;
    }
    Ok(ExitCode::Done)
}

#[derive(Debug, Serialize)]
struct Places {
    schema: u32,
    board: String,
    board_state: String,
    generation: Option<u64>,
    flags: usize,
    journal: String,
    journal_trouble: Option<String>,
    epoch: Option<u64>,
    keeper: Option<u32>,
    socket: String,
}

impl Places {
    fn lines(&self) -> Vec<String> {
        let Places { board, board_state, flags, journal, socket, .. } = self;
        let generation = self.generation.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let keeper = match self.keeper {
            Some(pid) => format!("pid {pid}, socket {socket}"),
            None => format!("no answer at {socket}"),
        };
        let journal_state = match (&self.journal_trouble, self.epoch) {
            (Some(trouble), _) if !trouble.is_empty() => format!("changes are refused: {trouble}"),
            (_, Some(epoch)) => format!("epoch {epoch}"),
            _ => "nobody writes it now".to_owned(),
        };
        vec![
            format!("board    {board}  ({board_state}, generation {generation}, {flags} flags)"),
            format!("journal  {journal}  ({journal_state})"),
            format!("keeper   {keeper}"),
        ]
    }
}
