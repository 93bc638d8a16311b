//! Migrations: their state is a function of the stage.

use super::{Asking, Planned, Refused, View};

/// How a stage is enabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enabling {
    /// More than one stage at a time.
    pub force: bool,
    /// All at once, although it has steps. (Forced over several stages it is all at once, too, but for the last one's steps.)
    pub at_once: bool,
}

/// Enables a later stage: its name, or its number.
///
/// # Errors
/// Nothing is changed.
pub fn enable(
    view: &View,
    asking: &Asking,
    migration: &str,
    to: &str,
    how: Enabling,
) -> Result<Planned, Refused> {
    let _ = (view, asking, migration, to, how);
    unimplemented!()
}

/// Goes back to an earlier stage: its name, its number, 0.
///
/// # Errors
/// Nothing is changed.
pub fn rollback(
    view: &View,
    asking: &Asking,
    migration: &str,
    to: &str,
    past_one_way: bool,
) -> Result<Planned, Refused> {
    let _ = (view, asking, migration, to, past_one_way);
    unimplemented!()
}
