//! Black boxes: what one life of a service leaves for whoever asks about it, during it or after its death.
//!
//! A box is a sealed memfd of a fixed size, made by the supervisor for each life and inherited by number
//! (`MAINSTAY_BLACKBOX_FD`). The service and what it forks write it by plain atomic stores; the supervisor and the
//! keeper read a copy of it and take every byte of that as hostile. `docs/blackbox.md` is its format for strangers.
//!
//! In it now: which flag was seen at which value, and how many successes and errors were counted. It has room for the
//! context of errors, open spans and the newest events.
//!
//! Invariant: whoever writes never waits, whatever becomes of others who write: no lock, every loop has a bound.

pub mod layout;
mod process;
mod reader;
pub mod report;
mod writer;

pub use process::{board, seen};
pub use reader::{BlackBox, Counters, Image, Seen};
pub use writer::Noter;

/// The variable that holds the number of the inherited descriptor.
pub const VARIABLE: &str = "MAINSTAY_BLACKBOX_FD";
