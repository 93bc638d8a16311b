//! The command line: what was typed ([`args`]), what it means ([`command`]), text out.
//!
//! Invariants: stdout is data and stderr is talk; `--json` prints no word beside its objects; an error says what
//! happened and what to do, and becomes an exit code in one place ([`error`]). Nothing here decides about
//! services: the supervisor does.

pub mod act;
pub mod args;
pub mod ask;
pub mod audit;
pub mod bar;
pub mod caller;
pub mod changed;
pub mod changing;
pub mod check;
pub mod command;
pub mod crash;
pub mod duration;
pub mod emergency;
pub mod error;
pub mod events;
pub mod flag;
pub mod guard;
pub mod here;
pub mod json;
pub mod kill;
pub mod logs;
pub mod members;
pub mod narrate;
pub mod note;
pub mod output;
pub mod registry;
pub mod revise;
pub mod revision;
pub mod roll;
pub mod rollout;
mod said;
pub mod select;
pub mod shutdown;
pub mod signal;
pub mod span;
pub mod stage;
pub mod start_child;
pub mod status;
pub mod table;
pub mod telemetry;
pub mod tree;
pub mod wait;
pub mod why;

use crate::exit_code::ExitCode;
use crate::paths::{self, Choice, Project};
use args::{Arguments, Global};
use caller::Caller;
use clap::{CommandFactory, Parser};
use command::{Ask, Command};
use error::Error;
use flag::FlagCommand;
use output::Output;
use serde::Serialize;
use std::ffi::OsString;

/// Does what these words (the first is the program's name) ask for. `detached`: we are the copy that
/// `run -d` started.
///
/// Words that are no command end the process with a usage error; `--help` ends it too.
pub fn main(words: impl IntoIterator<Item = OsString>, detached: bool) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    let (global, command) = match flag::fast::on(words.get(1..).unwrap_or_default()) {
        // Before clap is built: shells ask this in loops.
        Some(on) => (Global::default(), Command::Flag(FlagCommand::On(on))),
        None => {
            let arguments = Arguments::parse_from(words);
            (arguments.global, Command::of(arguments.verb))
        }
    };
    let mut output = Output::standard(global.json, global.color);
    let done = carry_out(&command, &global, detached, &mut output);
    let done = done.and_then(|code| output.flush().map(|()| code));
    done.unwrap_or_else(|error| {
        report(&error, &mut output);
        if matches!(error, Error::Interrupted) {
            crate::sys::signal::end_by_interrupt();
        }
        error.code()
    })
}

fn carry_out(
    command: &Command,
    global: &Global,
    detached: bool,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let choice = Choice { config: global.config.clone(), project: global.project.clone() };
    let find = || paths::resolve(&choice, &here::environment(), &here::System);
    match command {
        Command::Version => version(output)?,
        Command::Completions(shell) => completions(*shell, output)?,
        Command::Check => return check(&choice, output),
        Command::Run(run) => crate::run::run(run, &find()?, detached).map_err(Error::Run)?,
        Command::Logs(logs) => logs::run(logs, &find()?, output)?,
        Command::Crash(crash) => crash::run(crash, &find()?, output)?,
        Command::Note(note) => note::run(note, output)?,
        // What the command exited with is no code of ours.
        Command::Span(span) => std::process::exit(span::run(span, output)?.into()),
        Command::Flag(flag) => return flag::run(flag, &find()?, output),
        Command::Stage(stage) => return stage::run(stage, &find()?, output),
        Command::Emergency(emergency) => return emergency::run(emergency, &find()?, output),
        Command::Guard(guard) => return guard::run(guard, &find()?, output),
        Command::Registry(registry) => return registry::run(registry, &find()?, output),
        Command::Audit(audit) => return audit::run(audit, &find()?, output),
        Command::Telemetry(command) => return telemetry::run(command, &find()?, output),
        Command::Ask(ask) => return put(ask, &find()?, output),
    }
    Ok(ExitCode::Done)
}

/// Puts a question to the supervisor of this project, or tells it to do something.
///
/// # Errors
/// As [`Error::code`] says.
pub fn put(ask: &Ask, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let caller = Caller::new(&project.runtime);
    match ask {
        Ask::Status { patterns, all } => return ask::status(patterns, *all, &caller, &project.state, output),
        Ask::Tree { all } => ask::tree(*all, &caller, output),
        Ask::Why { patterns } => ask::why(patterns, &caller, &project.state, output),
        Ask::Act(act) => act::run(act, &caller, output),
        Ask::Kill(kill) => kill::run(kill, &caller, output),
        Ask::Pid { pattern } => ask::pid(pattern, &caller, output),
        Ask::Wait(wait) => wait::run(wait, &caller, output),
        Ask::Cursor => ask::cursor(&caller, output),
        Ask::Events(events) => events::run(events, &caller, output),
        Ask::IsUp { patterns } => ask::is_up(patterns, &caller, output),
        Ask::Shutdown(shutdown) => shutdown::run(shutdown, &caller, output),
        Ask::StartChild(child) => start_child::run(child, &caller, output),
        Ask::Roll(roll) => roll::run(roll, &caller, output),
        Ask::Revise(revise) => revise::run(revise, &caller, output),
        Ask::Count { group } => members::count(group, &caller, output),
        Ask::Which { target, pid } => members::which(target, *pid, &caller, output),
    }?;
    Ok(ExitCode::Done)
}

fn version(output: &mut Output<'_>) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Answer {
        schema: u32,
        name: &'static str,
        version: &'static str,
        protocol: u8,
    }
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    if output.json {
        let protocol = crate::ipc::frame::VERSION;
        output.object(&Answer { schema: json::SCHEMA, name, version, protocol })
    } else {
        output.line(&format!("{name} {version}"))
    }
}

fn completions(shell: clap_complete::Shell, output: &mut Output<'_>) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "mainstay", &mut script);
    output.data(&String::from_utf8_lossy(&script))
}

fn check(choice: &Choice, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let style = check::Style { json: output.json, color: output.talk_style.color };
    let (mut data, mut talk) = (Vec::new(), Vec::new());
    let code = check::run(choice, style, &mut data, &mut talk)
        .map_err(|source| Error::System { doing: "checking the configuration", source })?;
    output.data(&String::from_utf8_lossy(&data))?;
    output.flush()?;
    // Nobody hearing it is no failure.
    let _ = output.talk_writer().write_all(&talk);
    Ok(code)
}

/// Says on stderr what went wrong and what to do.
fn report(error: &Error, output: &mut Output<'_>) {
    let said = match error {
        Error::ClosedOutput | Error::Interrupted => true,
        Error::Run(failure) => failure.message.is_empty(),
        _ => false,
    };
    if said {
        return;
    }
    if let Error::Shown { text, .. } = error {
        return output.say(text);
    }
    let style = output.talk_style;
    output.say(&format!("{} {error}", style.bad("mainstay:")));
    let hint = error.hint();
    if !hint.is_empty() {
        output.say(&format!("{} {hint}", style.dim("hint:")));
    }
}
