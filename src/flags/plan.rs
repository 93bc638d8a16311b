//! What every planned change has in common: what it sees, who asks for it, and what comes out.

use super::guard::{Fact, Facts, Moment, RollState, Subject};
use super::{Catalog, Truth, Value};

/// What a plan is made from: what is declared, what is set, and the facts. Where changes are made together, each sees
/// what those before it are about to make of it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// What is declared.
    pub catalog: &'a Catalog,
    /// What a flag was set to; `None`: nobody did, or it was loaded again.
    pub set: &'a dyn Fn(&str) -> Option<Truth>,
    /// The facts.
    pub facts: &'a Facts,
}

/// Who asks for a change, when, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking<'a> {
    /// The number that the change will have.
    pub generation: u64,
    /// Now.
    pub now: Moment,
    /// Who.
    pub uid: u32,
    /// That user's name.
    pub actor: &'a str,
    /// Why; may be empty where no reason is required.
    pub reason: &'a str,
    /// Although the guard has banned it.
    pub override_ban: bool,
}

/// A change that is decided and not yet true: one record of the journal, and what appears at once on the board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// What becomes of which flag, each named once; `None`: as if nobody had set it. A flag that already is so
    /// is not named.
    pub sets: Vec<(String, Option<Truth>)>,
    /// What becomes of the facts, in this order.
    pub facts: Vec<Fact>,
    /// What is done, for the audit log: `set`, `stage enable`, `roll`, `guard rolled back`.
    pub verb: String,
    /// What a person should know besides: each a sentence.
    pub notes: Vec<String>,
}

impl Planned {
    /// Nothing yet.
    pub fn new(verb: &str) -> Planned {
        Planned { verb: verb.to_owned(), ..Planned::default() }
    }

    /// True when nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.facts.is_empty()
    }
}

impl<'a> View<'a> {
    /// What a flag is set to, or holds unset. Unset, a flag of a migration is what the stage says that holds; and what was
    /// set and does not fit the flag any more counts for nothing.
    pub fn truth(&self, flag: &str) -> Truth {
        let fits =
            |truth: &Truth| self.catalog.flag(flag).is_none_or(|declared| truth.value.fits(declared.kind));
        (self.set)(flag).filter(fits).unwrap_or_else(|| self.unset(flag))
    }

    /// What holds of a flag that nobody has set.
    pub fn unset(&self, flag: &str) -> Truth {
        if let Some((migration, number)) = self.catalog.stage_of(flag) {
            let on = number <= self.stage(&migration.name);
            return Truth::from(if on { Value::On } else { Value::Off });
        }
        self.catalog.flag(flag).map(super::Declaration::unset).unwrap_or_default().into()
    }

    /// The stage at which a migration stands: where it was moved, else where it is configured. A stage that is coming in by
    /// steps does not count yet. 0 when there is no such migration.
    pub fn stage(&self, migration: &str) -> u32 {
        let Some(declared) = self.catalog.migration(migration) else { return 0 };
        let stood = self.facts.stood.get(migration).map(|stood| stood.stage);
        stood.unwrap_or(declared.configured).min(declared.stages.len() as u32)
    }

    /// The stage that is coming in by steps, and its rollout.
    pub fn coming_in(&self, migration: &str) -> Option<(u32, u64)> {
        let going = |state| matches!(state, RollState::Baking | RollState::Held);
        self.facts.rolls.iter().rev().find_map(|(number, roll)| match &roll.subject {
            Subject::Stage(name, stage) if name == migration && going(roll.state) => Some((*stage, *number)),
            Subject::Stage(..) | Subject::Flag(_) => None,
        })
    }
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("catalog", self.catalog)
            .field("facts", self.facts)
            .finish_non_exhaustive()
    }
}
