//! The shared file of flags: one writer, many readers.
//!
//! `docs/board.md` describes the file byte by byte, and [`layout`] is that description as code. [`Writer`] is
//! what the keeper uses; [`Board`] is what everybody else uses. Nothing here knows the journal, a socket or
//! a process.

mod attachment;
mod decide;
mod entry;
mod error;
mod fallback;
mod flag;
mod healing;
mod image;
mod kept;
mod latch;
pub mod layout;
mod look;
mod migration;
mod name_record;
mod place;
mod reader;
mod record;
mod snapshot;
mod standing;
mod told;
mod witness;
mod writer;

pub use crate::mapped::name_hash;
pub use entry::{Entry, LISTED_MAX, STAGES_MAX, Setting};
pub use error::{Damage, Error, Found, Repair};
pub use fallback::{Answer, Fallback, Known};
pub use flag::Flag;
pub use healing::Watch;
pub use migration::Migration;
pub use reader::{Board, Reading, Source};
pub use snapshot::Snapshot;
pub use standing::BOARD_MODE;
pub use witness::{Options, Sighting, Witness};
pub use writer::Writer;
