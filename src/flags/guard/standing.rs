//! How the guard stands towards a change, for people.

use super::{Guard, Moment, Subject};
use crate::flags::View;
use crate::time::Duration;

/// A change that is watched, as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What was changed.
    pub subject: Subject,
    /// How long it has baked: the least of what its services need to have been up.
    pub baked: Duration,
    /// How long it must.
    pub bake: Duration,
    /// Abnormal exits of the services that count, since.
    pub crashes: u32,
    /// Why it goes no further, or not yet; empty: only time is missing.
    pub held: String,
    /// It is only observed.
    pub observe: bool,
}

impl Guard {
    /// Of every change that is watched.
    pub fn standing(&self, now: Moment, view: &View) -> Vec<Standing> {
        let _ = (now, view);
        unimplemented!()
    }
}

/// What the guard thinks of a flag or a migration, in a word: `baking`, `banned`, `cooling down`, `frozen`; empty:
/// nothing.
pub fn word(view: &View, now: Moment, name: &str) -> &'static str {
    let _ = (view, now, name);
    unimplemented!()
}
