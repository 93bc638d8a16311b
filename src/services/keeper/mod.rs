//! The keeper: the board's only writer, and the owner of the journal.
//!
//! - Order of every change (J1): decide → journal, synced → publish → acknowledge.
//! - It may be killed at any instruction: what was acknowledged is in the journal, and the next life
//!   makes the board from it (B1).
//!
//! [`handle()`] decides and is pure; `run` has the loop.

mod handle;

pub use handle::{
    Actor, Batch, Declared, Outcome, REASON_MAX, accepts_volatile, describe, handle, nearest, unknown,
};
