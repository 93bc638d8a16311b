//! `mainstay flag …`: reads go to the board itself and need nobody; changes go to the keeper.

pub mod args;
mod change;
pub mod fast;
mod list;
mod read;

pub use args::FlagCommand;

use super::duration;
use super::error::Error;
use super::output::Output;
use crate::board::Board;
use crate::exit_code::ExitCode;
use crate::flags::Value;
use crate::ipc::control::Refusal;
use crate::ipc::flags::{Request, To};
use crate::paths::Project;
use crate::services::keeper::client::{self, Answer, AskError};
use crate::services::keeper::{Elsewhere, nearest};
use crate::time::Duration;

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
        FlagCommand::Wait(wait) => read::wait(wait, project, output),
        FlagCommand::Watch(watch) => list::watch(watch, project, output),
        FlagCommand::Reset(reset) => change::reset(reset, project, output),
        FlagCommand::Where => list::place(project, output),
    }
}

/// The board of a project, and whom to ask when there is none.
fn board(project: &Project) -> Board {
    let elsewhere = Elsewhere { runtime: project.runtime.clone(), state: project.state.clone() };
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

/// Asks the keeper, in the words of the command line.
fn ask(project: &Project, request: &Request, within: Duration) -> Result<Answer, Error> {
    client::ask(&project.runtime, request, within).map_err(|error| match error {
        AskError::Refused(refusal) => Error::Refused(refusal),
        AskError::Call(error) => Error::Call(error),
        AskError::Late => {
            let again = match request {
                request if request.changes() => {
                    "; it may have made the change all the same, and asking again is safe"
                }
                _ => "",
            };
            let within = duration::exact(u64::try_from(within.as_nanos()).unwrap_or(u64::MAX));
            let socket = client::socket(&project.runtime);
            let message = format!("the keeper at {} did not answer within {within}{again}", socket.display());
            Error::TimedOut { message }
        }
    })
}
