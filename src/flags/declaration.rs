//! Flags and migrations as the configuration declares them.

use super::guard::Guarding;
use super::{Packed, Value};
use crate::time::Duration;
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Which values a flag takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// On and off, and nothing between.
    Bool,
    /// On, off, and any share: what a flag with a boolean default is unless its kind is given.
    #[default]
    Percent,
    /// The current stage of the migration of the same name. Never declared by itself, never set by hand.
    Stage,
    /// A signed number of 64 bits.
    Int,
    /// At most 128 bytes of UTF-8.
    Text,
}

/// Whose id a share is counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The id that the reader names.
    #[default]
    Id,
    /// This host: the keeper resolves it, all readers see on or off.
    Host,
    /// Instances: of the n instances of its services the first `ceil(share × n)` in the order of their
    /// positions are on; the keeper resolves it, and each instance sees on or off.
    Instance,
}

impl Unit {
    /// As the configuration writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Unit::Id => "id",
            Unit::Host => "host",
            Unit::Instance => "instance",
        }
    }
}

/// What another flag must be for this one to have a value; else this one is off.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
pub struct Requires {
    /// The other flag: one that is on or off or a share.
    pub flag: String,
    /// True: it must be on for everybody. False (`"not other"`): it must not be.
    pub on: bool,
}

/// A flag as the configuration declares it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Declaration {
    /// 1 to 128 bytes of `[A-Za-z0-9._-]`.
    pub name: String,
    /// Which values it takes.
    pub kind: Kind,
    /// What holds after a reset, and until somebody sets it unless `configured` says otherwise.
    pub default: Value,
    /// What holds until somebody sets it, and again after a load; `None`: its default.
    pub configured: Option<Value>,
    /// What the guard and the emergency switch fall back to.
    pub safe: Value,
    /// What goes into the hash before the id; the name, unless set.
    pub salt: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The last day on which it should be there, `2026-12-31`: a warning after it, never a change.
    pub expires: Option<String>,
    /// What another flag must be.
    pub requires: Option<Requires>,
    /// Ids that are on whatever the share, unless the flag is off.
    pub allow: Vec<String>,
    /// Ids that are off whatever the share.
    pub deny: Vec<String>,
    /// Whose id a share is counted by.
    pub unit: Unit,
    /// The services that it may hurt; empty: those that have read it.
    pub services: Vec<String>,
    /// How a change of it is watched; `None`: it is not.
    pub guard: Option<Guarding>,
    /// Services that start get its value as the variable `MAINSTAY_FLAG_NAME`.
    pub env: bool,
    /// A change needs a reason, guarded or not.
    pub why: bool,
}

impl Default for Value {
    fn default() -> Value {
        Value::Off
    }
}

impl Declaration {
    /// What holds while nobody has set it.
    pub fn unset(&self) -> Value {
        self.configured.unwrap_or(self.default)
    }

    /// The variable that carries its value to services that start, when `env` is set: `MAINSTAY_FLAG_NEW_CHECKOUT`.
    pub fn variable(&self) -> String {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        format!("MAINSTAY_FLAG_{}", self.name.chars().map(letter).collect::<String>())
    }
}

/// An ordered list of stages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Migration {
    /// Named like a flag, and no flag has its name: it is read as one of kind [`Kind::Stage`].
    pub name: String,
    /// In order: stage k turns on what `stages[k - 1]` says. At most [`Migration::STAGES_MAX`].
    pub stages: Vec<Stage>,
    /// The stage that holds until somebody moves it, and again after a load.
    pub configured: u32,
    /// How each stage is watched.
    pub guard: Guarding,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it is for.
    pub description: Option<String>,
}

/// One stage of a migration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Stage {
    /// Named like a flag; unique within the migration.
    pub name: String,
    /// The flags that it turns on. A flag belongs to one stage of one migration at most.
    pub on: Vec<String>,
    /// The shares by which it is turned on, in 1/100,000, rising, the last of them all; empty: all at once.
    pub steps: Vec<u32>,
    /// How long each step bakes; `None`: as the guard says.
    pub bake: Option<Duration>,
    /// A rollback past here must be asked for by name.
    pub one_way: bool,
}

impl Migration {
    /// The most stages of one migration.
    pub const STAGES_MAX: usize = 1000;

    /// The name of a stage; `-` for 0.
    pub fn stage_name(&self, stage: u32) -> &str {
        let index = (stage as usize).checked_sub(1);
        index.and_then(|index| self.stages.get(index)).map_or("-", |stage| &stage.name)
    }

    /// The number of the stage that `text` names: its name, or its number from 0 to the last.
    pub fn stage_of(&self, text: &str) -> Option<u32> {
        let by_name = self.stages.iter().position(|stage| stage.name == text).map(|index| index as u32 + 1);
        by_name.or_else(|| text.parse().ok().filter(|number| *number as usize <= self.stages.len()))
    }
}

/// Text as a value; `None`: it is too long.
impl From<Packed> for Value {
    fn from(text: Packed) -> Value {
        Value::Text(text)
    }
}
