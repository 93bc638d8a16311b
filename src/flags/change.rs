//! Changes of flags by hand, of everything at once, and of the guard itself.

use super::guard::Mode;
use super::{Asking, Catalog, Planned, Refused, Truth, View};

/// Sets flags, all at once: `None` is as if nobody had set it. Guarded ones are watched from then on, except on their way to
/// their safe value; a rollout of one of them ends.
///
/// # Errors
/// Nothing is changed when one of them is unknown, does not fit, is banned, cooling down or frozen (its safe value and what
/// would be gone back to are always taken), or needs a reason that is not there.
pub fn set(view: &View, asking: &Asking, edits: &[(String, Option<Truth>)]) -> Result<Planned, Refused> {
    let _ = (view, asking, edits);
    unimplemented!()
}

/// Puts these flags on their default; none named: every flag, and every migration before its first stage.
///
/// # Errors
/// As [`set`].
pub fn reset(view: &View, asking: &Asking, flags: &[String]) -> Result<Planned, Refused> {
    let _ = (view, asking, flags);
    unimplemented!()
}

/// What the configuration says holds again. What is banned, frozen or cooling down stays as it is, and a note says so.
///
/// # Errors
/// A reason is needed and missing.
pub fn load(view: &View, asking: &Asking) -> Result<Planned, Refused> {
    let _ = (view, asking);
    unimplemented!()
}

/// Another configuration is in force: `before` is the one that was. Where that changes what a guarded flag is, the change is
/// watched; where that is banned, what held before stays. Empty when nothing is to be done.
pub fn adopt(before: &Catalog, view: &View, asking: &Asking) -> Planned {
    let _ = (before, view, asking);
    unimplemented!()
}

/// Puts one migration and its flags, or everything, on its safe value. Nothing stands in its way.
///
/// # Errors
/// The migration is unknown, or no reason is given.
pub fn emergency(view: &View, asking: &Asking, migration: Option<&str>) -> Result<Planned, Refused> {
    let _ = (view, asking, migration);
    unimplemented!()
}

/// Moves the guard's switch for the whole host, and ends freeze and cool-down of flags and migrations.
///
/// # Errors
/// A name is unknown, or no reason is given.
pub fn switch(view: &View, asking: &Asking, mode: Option<Mode>, thaw: &[String]) -> Result<Planned, Refused> {
    let _ = (view, asking, mode, thaw);
    unimplemented!()
}
