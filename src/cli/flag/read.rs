//! `flag get`, `on`, `wait`: one flag, from the board itself.

use super::args::{Get, On, Wait};
use super::list::json;
use super::{board, lost, unknown};
use crate::board::{Reading, Source};
use crate::cli::duration;
use crate::cli::error::Error;
use crate::cli::output::Output;
use crate::config::plan::DEFAULT_TIMEOUT;
use crate::exit_code::ExitCode;
use crate::paths::Project;
use crate::sys::clock;
use crate::time::Duration;
use serde::Serialize;

/// `flag get`
pub(super) fn get(get: &Get, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let board = board(project);
    let (reading, opinion) = board.read_for(&get.flag, get.id.as_deref());
    let Some(truth) = reading.truth else { return Err(not_there(&get.flag, reading, project)) };
    let (text, value) = match &get.id {
        None => (truth.to_string(), json(truth).1),
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

fn object(
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

/// `flag on`
pub(super) fn on(on: &On, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let (reading, opinion) = board(project).read_for(&on.flag, on.id.as_deref());
    match (reading.truth, reading.source) {
        (Some(_), _) => {
            Ok(if opinion.or(on.default).unwrap_or(false) { ExitCode::Done } else { ExitCode::Failed })
        }
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

/// `flag wait`
pub(super) fn wait(wait: &Wait, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let board = board(project);
    let within = wait.timeout.unwrap_or(DEFAULT_TIMEOUT);
    let deadline = clock::now() + within;
    loop {
        // The number first: a change between the two reads makes the wait return at once.
        let generation = board.generation();
        let reading = board.read(&wait.flag);
        let is = match (reading.truth, reading.source) {
            (Some(truth), _) => truth.to_string(),
            (None, Source::Unknown) => return Err(not_there(&wait.flag, reading, project)),
            (None, _) => "not known".to_owned(),
        };
        if is == wait.until {
            if output.json {
                let value = reading.truth.map_or(serde_json::Value::Null, |truth| json(truth).1);
                object(&wait.flag, value, &is, reading, generation, output)?;
            }
            return Ok(ExitCode::Done);
        }
        let left = deadline.since(clock::now());
        if left == Duration::ZERO {
            let within = duration::exact(u64::try_from(within.as_nanos()).unwrap_or(u64::MAX));
            let message =
                format!("waited {within} for flag `{}` to be {}: it is {is}", wait.flag, wait.until);
            return Err(Error::TimedOut { message });
        }
        board.wait(generation.unwrap_or_default(), left);
    }
}

fn not_there(flag: &str, reading: Reading, project: &Project) -> Error {
    match reading.source {
        Source::Unknown => unknown(flag, project).1,
        _ => Error::Failed { message: lost(project), hint: "start it with `mainstay run`".to_owned() },
    }
}

fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
