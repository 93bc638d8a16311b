//! The audit log: who changed what, when and why, one JSON object a line, each with the digest of the line before.
//!
//! - It follows the journal and is never ahead of it: a line is written after its change is durable and before the
//!   change is acknowledged, so that a keeper that is killed between the two finds the change in the journal and
//!   adds its line (exactly one: what the log has is recognised by number and time).
//! - It is synced when a journal ends, not at each change: what a power failure takes of it, the journal has.
//! - While it cannot be written nothing is lost and nothing waits for it: changes stay in the journal's snapshots.
//! - It is only appended to. What stands behind its last newline was never a whole line and is cut.
//!
//! Whoever may write the file can rewrite all of it; [`verify`] shows every other change of it.

mod back;
mod line;
mod read;
mod writer;

pub use line::{Changed, Digest, Line, Said, said};
pub use read::{Broken, Found, Whole, Wrong, newest, verify};
pub(crate) use writer::Audit;

use std::path::{Path, PathBuf};

/// The audit log of a state directory.
pub fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("audit.jsonl")
}
