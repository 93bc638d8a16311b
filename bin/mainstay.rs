//! The one program: reads arguments, calls the library, exits.

use clap::Parser;
use mainstay::cli::args::{Arguments, Verb};
use mainstay::cli::here;
use mainstay::exit_code::ExitCode;
use mainstay::paths::{self, Choice};
use mainstay::{run, services};
use std::process::ExitCode as Process;

fn main() -> Process {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    let code = match words.next().as_ref().and_then(|word| word.to_str()) {
        Some("@keeper") => services::keeper::main(words),
        Some("@logger") => services::logger::main(words),
        Some(run::DETACHED) => mainstay_of(std::iter::once(name).chain(words), true),
        _ => mainstay_of(std::env::args_os(), false),
    };
    code.into()
}

fn mainstay_of(words: impl Iterator<Item = std::ffi::OsString>, detached: bool) -> ExitCode {
    let arguments = Arguments::parse_from(words);
    let choice = Choice { config: arguments.global.config, project: arguments.global.project };
    let project = match paths::resolve(&choice, &here::environment(), &here::System) {
        Ok(project) => project,
        Err(error) => {
            eprintln!("mainstay: {error}");
            return ExitCode::Configuration;
        }
    };
    match arguments.verb {
        Verb::Run(arguments) => match run::run(&arguments, &project, detached) {
            Ok(()) => ExitCode::Done,
            Err(failure) => {
                eprintln!("mainstay: {}", failure.message);
                if !failure.hint.is_empty() {
                    eprintln!("hint: {}", failure.hint);
                }
                failure.code
            }
        },
        _ => ExitCode::Usage,
    }
}
