//! The keeper: the board's only writer, and the owner of the journal.
//!
//! - Order of every change (J1): decide → journal, synced → publish → acknowledge.
//! - It may be killed at any instruction: what was acknowledged is in the journal, and the next life
//!   makes the board from it (B1).
//! - It never dies of what others do: clients are bounded, disks may fail, directories may vanish.
//!
//! [`handle()`] decides and is pure; [`round`] takes requests from decided to acknowledged; `office` is everything around
//! the journal (the board's side is `publish`, the guard's `lives` and `probes`); `desk` is the clients' side; `run` is
//! the loop.

pub mod client;
mod desk;
mod elsewhere;
mod ground;
mod handle;
mod host;
mod line;
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

use crate::exit_code::ExitCode;
use std::ffi::OsString;
use std::path::PathBuf;

/// What the keeper is told when it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The runtime directory, where the board is.
    pub runtime: PathBuf,
    /// The state directory, where the journal is.
    pub state: PathBuf,
}

impl Arguments {
    /// `--runtime DIR --state DIR`, in any order.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, String> {
        let (mut runtime, mut state) = (None, None);
        let mut arguments = arguments.into_iter();
        while let Some(option) = arguments.next() {
            let place = match option.to_str() {
                Some("--runtime") => &mut runtime,
                Some("--state") => &mut state,
                _ => return Err(format!("unknown argument `{}`", option.display())),
            };
            *place = Some(PathBuf::from(
                arguments.next().ok_or_else(|| format!("`{}` needs a directory", option.display()))?,
            ));
        }
        match (runtime, state) {
            (Some(runtime), Some(state)) => Ok(Arguments { runtime, state }),
            _ => Err("both --runtime DIR and --state DIR are needed".to_owned()),
        }
    }
}

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
