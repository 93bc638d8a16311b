//! `mainstay flag …`: reads go to the board itself and need nobody; changes go to the keeper.

pub mod args;
mod change;
mod exchange;
pub mod fast;
mod known;
mod list;
mod log;
mod place;
mod read;
mod roll;
pub mod seen;
mod wait;
mod watch;
mod why;

pub use args::FlagCommand;

use super::error::Error;
use super::output::Output;
use crate::board::Board;
use crate::exit_code::ExitCode;
use crate::flags::Value;
use crate::ipc::control::Refusal;
use crate::ipc::flags::To;
use crate::paths::Project;
use crate::services::keeper::client;
use crate::services::keeper::{Elsewhere, nearest};

/// Does what was typed, for this project.
///
/// # Errors
/// As [`Error::code`] says. `flag on` has answers of its own: 0 on, 1 off, 2 unknown.
pub fn run(command: &FlagCommand, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    match command {
        FlagCommand::List(list) => list::list(list, project, output),
        FlagCommand::Get(get) => read::get(get, project, output),
        FlagCommand::Set(set) => change::set(set, project, output),
        FlagCommand::Enable(names) => change::all(names, To::Value(Value::On), project, output),
        FlagCommand::Disable(names) => change::all(names, To::Disabled, project, output),
        FlagCommand::Percent(percent) => change::percent(percent, project, output),
        FlagCommand::On(on) => read::on(on, project, output),
        FlagCommand::Wait(wait) => wait::wait(wait, project, output),
        FlagCommand::Watch(watch) => watch::watch(watch, project, output),
        FlagCommand::Reset(reset) => change::reset(reset, project, output),
        FlagCommand::Load(load) => change::load(load, project, output),
        FlagCommand::Roll(roll) => roll::run(roll, project, output),
        FlagCommand::Why(why) => why::run(why, project, output),
        FlagCommand::Log(log) => log::run(log, project, output),
        FlagCommand::Import(import) => exchange::import(import, project, output),
        FlagCommand::Export(export) => exchange::export(export, project, output),
        FlagCommand::Where => place::place(project, output),
    }
}

/// The board of a project, and whom to ask when there is none.
fn board(project: &Project) -> Board {
    let elsewhere = Elsewhere { runtime: project.runtime.clone(), state: Some(project.state.clone()) };
    Board::open_with(&project.runtime, Box::new(elsewhere))
}

/// What to say of a flag that does not exist.
fn unknown(flag: &str, project: &Project) -> (String, Error) {
    let snapshot = board(project).snapshot();
    let near = nearest(flag, snapshot.flags().map(|(name, _)| name));
    let refusal = crate::services::keeper::unknown(flag, near, snapshot.flags().count());
    let message = format!("{}; {}", refusal.message, refusal.hint);
    (message, Error::Refused(Refusal { code: ExitCode::NotFound.number(), ..refusal }))
}

/// What to say when no board can be read and nobody answers.
fn lost(project: &Project) -> String {
    let why = board(project).trouble().map(|error| format!(" ({error})")).unwrap_or_default();
    format!(
        "no flag can be read: there is no board at {}{why}, nobody answers at {}, and the journal does not \
         have it",
        project.runtime.join(crate::board::layout::BOARD).display(),
        client::socket(&project.runtime).display()
    )
}
