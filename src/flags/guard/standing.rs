//! How the guard stands towards a change, for people.

use super::decide::cooling;
use super::record::{Mode, Moment, Subject};
use super::state::Guard;
use crate::flags::View;
use crate::time::Duration;

/// A change that is watched, as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What was changed.
    pub subject: Subject,
    /// The number of the change.
    pub generation: u64,
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
        let of = self.watching.iter().map(|(subject, watching)| {
            let watch = &watching.watch;
            let judgement = self.judge(subject, watching, now.mono());
            let bake = watch.guard.bake;
            Standing {
                subject: subject.clone(),
                generation: watch.generation,
                baked: judgement.baked(now.mono(), bake),
                bake,
                crashes: watching.crashes(),
                held: if watch.held.is_empty() { judgement.word() } else { watch.held.clone() },
                observe: watch.guard.mode == Mode::Observe || view.facts.switch == Mode::Observe,
            }
        });
        of.collect()
    }
}

/// What the guard thinks of a flag or a migration, in a word: `frozen`, `baking`, `cooling down`, `banned`; empty:
/// nothing. A flag that a stage brings in is as its stage.
pub fn word(view: &View, now: Moment, name: &str) -> &'static str {
    let stage =
        view.catalog.stage_of(name).map(|(migration, stage)| Subject::Stage(migration.name.clone(), stage));
    let is = |subject: &Subject| subject.name() == name || Some(subject) == stage.as_ref();
    let facts = view.facts;
    if facts.past.iter().any(|(subject, past)| is(subject) && past.frozen) {
        return "frozen";
    }
    if facts.watches.keys().any(is) {
        return "baking";
    }
    if facts.past.keys().any(|subject| is(subject) && cooling(view, now, subject).is_some()) {
        return "cooling down";
    }
    let banned = facts
        .bans
        .iter()
        .any(|(subject, ban)| is(subject) && view.catalog.digest(subject) == Some(ban.digest));
    if banned { "banned" } else { "" }
}
