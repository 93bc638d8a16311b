//! `flag get`, `flag on`: one flag, from the board itself.

use super::args::{Get, On};
use super::list::json;
use super::{board, lost, unknown};
use crate::board::{Reading, Source};
use crate::cli::error::Error;
use crate::cli::output::Output;
use crate::exit_code::ExitCode;
use crate::flags::{Truth, Value};
use crate::paths::Project;
use serde::Serialize;

/// `flag get`
pub(super) fn get(get: &Get, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let board = board(project);
    let (reading, opinion) = board.read_for(&get.flag, get.id.as_deref());
    let Some(truth) = reading.truth else { return Err(not_there(&get.flag, reading, project)) };
    let (text, value) = match &get.id {
        // What is no yes or no is the same for every id.
        Some(_) if !matches!(truth.value, Value::Off | Value::On | Value::Share(_)) => {
            (plain(truth), json(truth))
        }
        None => (plain(truth), json(truth)),
        Some(_) => match opinion {
            Some(on) => (on_or_off(on).to_owned(), on.into()),
            None => ("disabled".to_owned(), serde_json::Value::Null),
        },
    };
    if output.json {
        object(&get.flag, value, &text, reading, board.generation(), output)?;
    } else {
        output.line(&text)?;
    }
    Ok(ExitCode::Done)
}

/// A value as a script wants it, which can be typed again: a text stands without quotes, unless that would mean something
/// else.
pub(super) fn plain(truth: Truth) -> String {
    let bare = match truth.value {
        Value::Text(text) if !truth.disabled => text.text(),
        _ => None,
    };
    let odd = |text: &str| {
        text.is_empty() || text.starts_with('"') || text.contains(char::is_control) || text != text.trim()
    };
    match bare {
        Some(text) if !odd(&text) && !matches!(&*text, "disabled" | "default") => text.to_string(),
        _ => truth.to_string(),
    }
}

pub(super) fn object(
    name: &str,
    value: serde_json::Value,
    text: &str,
    reading: Reading,
    generation: Option<u64>,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let generation = generation.unwrap_or_default();
    output.object(&Object { schema: 1, name, value, text, source: source(reading), generation })
}

#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    name: &'a str,
    value: serde_json::Value,
    text: &'a str,
    source: &'static str,
    generation: u64,
}

fn source(reading: Reading) -> &'static str {
    match reading.source {
        Source::Proven => "board",
        Source::Stale => "stale",
        Source::Asked => "asked",
        Source::Unknown | Source::Lost => "none",
    }
}

/// What `flag on` says of a flag that means this.
pub(super) fn answer(on: &On, opinion: Option<bool>) -> ExitCode {
    if opinion.or(on.default).unwrap_or(false) { ExitCode::Done } else { ExitCode::Failed }
}

/// `flag on`
pub(super) fn on(on: &On, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let (reading, opinion) = board(project).read_for(&on.flag, on.id.as_deref());
    match (reading.truth, reading.source) {
        (Some(_), _) => Ok(answer(on, opinion)),
        (None, Source::Unknown) => {
            output.say(&format!("mainstay: {}", unknown(&on.flag, project).0));
            Ok(ExitCode::Usage)
        }
        // Nobody knows anything: that is not "unknown", and then the caller's word holds, if he gave one.
        (None, _) => {
            let taken = on.default.map(|on| format!("; taken as {}", on_or_off(on))).unwrap_or_default();
            output.say(&format!("mainstay: {}{taken}", lost(project)));
            Ok(match on.default {
                Some(true) => ExitCode::Done,
                Some(false) => ExitCode::Failed,
                None => ExitCode::Usage,
            })
        }
    }
}

pub(super) fn not_there(flag: &str, reading: Reading, project: &Project) -> Error {
    match reading.source {
        Source::Unknown => unknown(flag, project).1,
        _ => Error::Failed { message: lost(project), hint: "start it with `mainstay run`".to_owned() },
    }
}

fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
