//! The shared file of flags: one writer, many readers.
//!
//! `docs/board.md` describes the file byte by byte, and [`layout`] is that description as code. [`Writer`] is
//! what the keeper uses; [`Board`] is what everybody else uses. Nothing here knows the journal, a socket or
//! a process.

mod attachment;
mod error;
mod fallback;
mod flag;
mod healing;
mod image;
pub mod layout;
mod place;
mod reader;
mod snapshot;
mod writer;

pub use error::{Damage, Error, Found, Repair};
pub use fallback::{Answer, Fallback};
pub use flag::Flag;
pub use healing::Watch;
pub use reader::{Board, Reading, Source};
pub use snapshot::Snapshot;
pub use writer::{BOARD_MODE, Entry, Writer};
