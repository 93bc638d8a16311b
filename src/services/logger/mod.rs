//! The logger: every service's output → files, one for each service; and the record of every death.
//!
//! Invariants: no byte of a service is lost and none is doubled, and no service is stopped or killed,
//! however often the logger itself is killed (`transfer` says how); what cannot be written (a full disk) is
//! dropped and the number of bytes is said. The trouble is told once for each file, and again only after a
//! minute without failures. A death is acknowledged when its record is complete, last words
//! included.
//!
//! What it must not do: keep anything of a stream in memory (there may be thousands), wake up when nobody
//! writes, wait for a terminal.
//!
//! [`mod@line`] is what a log file consists of; `run` is the loop.

mod backwards;
mod channel;
mod child;
pub(in crate::services) mod complaint;
pub(in crate::services) mod file;
pub mod line;
mod memory;
mod print;
mod rotation;
mod run;
mod screen;
mod state;
mod transfer;
mod words;

pub use backwards::Backwards;
pub use rotation::older;
pub use run::main;
pub use words::{end_mark, life_mark};
