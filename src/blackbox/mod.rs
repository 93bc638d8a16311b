//! Black boxes: what one life of a service leaves for whoever asks about it, during it or after its death.
//!
//! A box is a sealed memfd of a fixed size, made by the supervisor for each life and inherited by number
//! (`MAINSTAY_BLACKBOX_FD`). The service and what it forks write it by plain atomic stores; the supervisor and the
//! keeper read a copy of it and take every byte of that as hostile. `docs/blackbox.md` is its format for strangers.
//!
//! In it: which flag was seen at which value, how many successes and errors were counted, what each thread is doing, which
//! spans are open, the newest events, and the spans that finished last.
//!
//! Invariant: whoever writes never waits, whatever becomes of others who write: no lock, every loop has a bound.

mod areas;
mod lanes;
pub mod layout;
mod life;
mod process;
mod reader;
pub mod record;
pub mod report;
mod rings;
mod said;
mod slots;
pub mod text;
mod writer;

pub use lanes::Lane;
pub use life::note;
pub(crate) use process::ring;
pub use process::{board, seen};
pub use reader::{BlackBox, Counters, Image, Seen};
pub use rings::Moment;
pub use said::{
    Breadcrumb, Context, Drained, Event, Failure, FinishedSpan, Kind, OpenSpan, Operation, Status,
};
pub use slots::{Ids, Slot};
pub use writer::Noter;

/// The variable that holds the number of the inherited descriptor.
pub const VARIABLE: &str = "MAINSTAY_BLACKBOX_FD";
