//! Whom a reader asks that has no board and never had one.

use crate::flags::Truth;
use crate::time::Duration;

/// What somebody else knows about a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is no such flag.
    Unknown,
    /// It is declared.
    Known {
        /// What it is set to.
        truth: Truth,
        /// What stands in the hash before an id; empty: the name.
        salt: String,
    },
}

/// Other ways to the truth, used only while no board can be read and no value was ever proven (B7). Called
/// from inside a read, so they must not panic; they may be called in a forked child.
pub trait Fallback: Send + Sync {
    /// Asks the keeper over its socket. Gives up after `limit`; `None` when there is no answer.
    fn ask(&self, name: &str, limit: Duration) -> Option<Answer>;

    /// Reads the journal, without changing or locking anything; `None` when there is none.
    fn recall(&self, name: &str) -> Option<Answer>;
}
