//! `[migration.NAME]` and its stages as builders. Pure.

use super::guard::Guard;
use super::keys::{Keys, Value};
use crate::time::Duration;

/// An ordered list of stages, each of which turns flags on: at stage k those of stages 1 to k are on.
#[derive(Clone, Debug, PartialEq)]
pub struct Migration {
    pub(super) name: String,
    pub(super) keys: Keys,
}

/// One stage of a migration.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage(Keys);

impl Migration {
    /// A migration without stages, which needs at least one. No flag has its name.
    pub fn new(name: impl Into<String>) -> Migration {
        Migration { name: name.into(), keys: Keys::default() }
    }

    /// One more stage, after those before it.
    pub fn stage(mut self, stage: Stage) -> Migration {
        self.keys.push("stage", Value::Table(stage.0));
        self
    }

    /// The number of the stage that holds until somebody moves the migration; 0, before the first, unless said.
    pub fn at(mut self, stage: u32) -> Migration {
        self.keys.set("at", stage);
        self
    }

    /// How each stage is watched; as [`Guard::new`] unless said.
    pub fn guard(mut self, guard: Guard) -> Migration {
        self.keys.set("guard", Value::Table(guard.0));
        self
    }

    /// No stage is watched.
    pub fn unguarded(mut self) -> Migration {
        self.keys.set("guard", false);
        self
    }

    /// For people; at most 1024 bytes.
    pub fn owner(mut self, owner: impl Into<String>) -> Migration {
        self.keys.set("owner", owner.into());
        self
    }

    /// For people; at most 1024 bytes.
    pub fn description(mut self, text: impl Into<String>) -> Migration {
        self.keys.set("description", text.into());
        self
    }
}

impl Stage {
    /// A stage that turns nothing on yet, which it must. Its name is no number.
    pub fn new(name: impl Into<String>) -> Stage {
        let mut keys = Keys::default();
        keys.set("name", name.into());
        Stage(keys)
    }

    /// One more flag that it turns on. A flag belongs to one stage of one migration at most.
    pub fn on(mut self, flag: impl Into<String>) -> Stage {
        self.0.push("on", flag.into());
        self
    }

    /// It comes in by these rising percentages, each of which bakes before the next; 100 is the last. At once unless said.
    pub fn steps(mut self, percentages: impl IntoIterator<Item = f64>) -> Stage {
        self.0.set("steps", Value::List(percentages.into_iter().map(Value::Real).collect()));
        self
    }

    /// How long each step bakes; as the guard says unless said.
    pub fn bake(mut self, bake: Duration) -> Stage {
        self.0.set("bake", bake);
        self
    }

    /// A rollback past here must be asked for by name.
    pub fn one_way(mut self, one_way: bool) -> Stage {
        self.0.set("one_way", one_way);
        self
    }
}
