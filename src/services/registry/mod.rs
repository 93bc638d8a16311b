//! The registry: names for processes. Begins asleep; the first request starts it.
//!
//! - A name goes with its process, within milliseconds, and is never taken for that of another with the same number.
//! - It may be killed at any instruction: what was answered is in its log, and the next life watches the same processes
//!   by descriptors that it opens anew and proves.
//!
//! [`book`] decides and is pure; `processes` watches; `publish` shows; `office` joins the three; `run` is the loop.

pub mod book;
mod office;
mod processes;
mod publish;
mod run;

use super::Arguments;
use crate::exit_code::ExitCode;
use std::ffi::OsString;

/// `mainstay @registry --runtime DIR --state DIR`; `arguments` are those behind `@registry`. Returns only when it cannot
/// be a registry at all.
///
/// Descriptor 3 is the listening socket, 4 the line to the supervisor (may be missing).
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("mainstay.registry: {message}");
            return ExitCode::Usage;
        }
    };
    let Err(message) = run::run(&arguments);
    eprintln!("mainstay.registry: {message}");
    ExitCode::System
}
