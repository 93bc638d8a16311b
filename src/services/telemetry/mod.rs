//! Telemetry: takes finished spans and events out of the black boxes of all lives, and writes what is kept of them. Begins
//! asleep; the first datagram starts it.
//!
//! - A box is the buffer: what cannot be written now stays there, and is lost only when its service overwrites it, which the
//!   tickets show. Nothing piles up here but one batch.
//! - A batch is written when its summary stands in the file; only then the cursors in the boxes move on. Killed at any
//!   instruction, nothing is written twice, and nothing is lost but what was overwritten meanwhile.
//! - The file is the exporter's queue: it survives the exporter and the host, and has a bound.
//! - Nothing that a service says is trusted, and no service waits for anything here.
//!
//! [`take`] moves along one ring; `boxes` knows all lives; [`spool`] is the file, [`place`] how far the exporter is in it,
//! `exporter` talks to the collector; `notes` is for programs that link nothing; `run` is the loop. What is decided about
//! records is in [`crate::telemetry`], which is pure.

mod boxes;
mod exporter;
mod notes;
pub mod place;
mod run;
pub mod spool;
pub mod take;

use crate::exit_code::ExitCode;
use clap::Parser;
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Parser)]
#[command(name = "mainstay @telemetry")]
struct Arguments {
    /// The directory of log files.
    #[arg(long)]
    logs: PathBuf,
    /// The state directory, where the exporter's place is kept.
    #[arg(long)]
    state: PathBuf,
}

/// `mainstay @telemetry --logs DIR --state DIR`; `arguments` begin after `@telemetry`. Descriptor 3 is the socket of
/// datagrams, 4 the line to the supervisor, 5 the settings. Ends at SIGTERM, after everything that the boxes hold is written.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(std::iter::once("@telemetry".into()).chain(arguments)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::Usage;
        }
    };
    match run::run(&arguments.logs, &arguments.state) {
        Ok(()) => ExitCode::Done,
        Err(message) => {
            eprintln!("mainstay.telemetry: {message}");
            ExitCode::System
        }
    }
}
