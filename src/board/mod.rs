//! The shared file of flags: one writer, many readers.
//!
//! `docs/board.md` describes the file byte by byte. [`layout`] is that description as code; [`Writer`] is
//! what the keeper uses.

mod error;
mod healing;
mod image;
pub mod layout;
mod place;
mod writer;

pub use error::{Damage, Error, Found, Repair};
pub use healing::Watch;
pub use writer::{BOARD_MODE, Entry, Writer};
