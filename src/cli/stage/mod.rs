//! `mainstay stage …`: migrations, moved from stage to stage. The keeper moves them; this shows and asks.

pub mod args;
mod list;
mod moving;
mod status;

pub use args::StageCommand;

use super::changing::ask;
use super::error::Error;
use super::output::Output;
use crate::exit_code::ExitCode;
use crate::ipc::flags::{Migration, Reply, Request, Stage};
use crate::paths::Project;
use crate::time::Duration;

/// A keeper that is well answers within microseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Does what was typed, for this project.
///
/// # Errors
/// As [`Error::code`] says.
pub fn run(command: &StageCommand, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    match command {
        StageCommand::List(list) => list::list(list, project, output),
        StageCommand::Status(status) => status::status(status, project, output),
        StageCommand::Enable(enable) => moving::enable(enable, project, output),
        StageCommand::Rollback(rollback) => moving::rollback(rollback, project, output),
    }
}

/// Migrations with their stages; none named: all.
fn migrations(names: &[String], project: &Project) -> Result<Vec<(Migration, Vec<Stage>)>, Error> {
    let request = Request::Migrations { migrations: names.to_vec() };
    let mut found: Vec<(Migration, Vec<Stage>)> = Vec::new();
    for reply in ask(project, &request, ANSWER_WITHIN)?.replies {
        match (reply, found.last_mut()) {
            (Reply::Migration(migration), _) => found.push((migration, Vec::new())),
            // One with many flags comes in parts.
            (Reply::Stage(stage), Some((_, stages))) => match stages.last_mut() {
                Some(last) if last.number == stage.number => last.flags.extend(stage.flags),
                _ => stages.push(stage),
            },
            _ => {}
        }
    }
    Ok(found)
}

/// `2 telemetry`; `0` before the first.
fn at(number: u32, name: &str) -> String {
    match name {
        "" | "-" => number.to_string(),
        name => format!("{number} {name}"),
    }
}
