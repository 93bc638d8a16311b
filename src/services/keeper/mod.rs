//! The keeper: the board's only writer, and the owner of the journal.
//!
//! - Order of every change (J1): decide → journal, synced → publish → acknowledge.
//! - It may be killed at any instruction: what was acknowledged is in the journal, and the next life
//!   makes the board from it (B1).
//! - It never dies of what others do: clients are bounded, disks may fail, directories may vanish.
//!
//! [`handle()`] decides and is pure; [`round`] takes requests from decided to acknowledged; `office` is everything around
//! the journal (the board's side is `publish`, the guard's `lives` and `probes`); `desk` beside it is the clients' side; `run` is
//! the loop.

pub mod client;
mod elsewhere;
mod ground;
mod handle;
mod host;
mod lives;
mod news;
mod office;
mod probes;
mod publish;
pub mod round;
mod run;
mod seen;

pub use crate::flags::nearest;
pub use elsewhere::Elsewhere;
pub use ground::{Actor, Batch, Ground, Made, Truths};
pub use handle::{Outcome, REASON_MAX, accepts_volatile, handle, unknown};
pub use host::id as host_id;

use super::arguments::Arguments;
use crate::exit_code::ExitCode;
use std::ffi::OsString;

/// `mainstay @keeper --runtime DIR --state DIR`; `arguments` are those behind `@keeper`. Returns only when
/// it cannot be a keeper at all.
///
/// Descriptor 3 is the listening socket, 4 the line to the supervisor (may be missing), 5 the flag
/// declarations (may be missing: none).
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("mainstay.keeper: {message}");
            return ExitCode::Usage;
        }
    };
    let Err(message) = run::run(&arguments);
    eprintln!("mainstay.keeper: {message}");
    ExitCode::System
}
