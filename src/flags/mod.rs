//! What a flag means: kinds, names, shares, bucketing. Pure.
//!
//! The contract of every reader in every language. Evaluation needs a word and an id, nothing else.

mod bucketing;
mod name;
mod text;
mod word;

pub use bucketing::{BUCKETING, ID_MAX, Prefix};
pub use name::{NAME_CELLS, NAME_MAX, Name, NotAName, Packed};
pub use text::{NotAValue, WHOLE};
pub use word::{Body, Seal, mix};

use serde::{Deserialize, Serialize};

/// A flag as the configuration declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, bincode::Encode, bincode::Decode)]
pub struct Declaration {
    /// 1 to 128 bytes of `[A-Za-z0-9._-]`.
    pub name: String,
    /// What holds until somebody sets it.
    pub default: Value,
    /// What the emergency switch falls back to.
    pub safe: Value,
    /// What goes into the hash before the id; the name, unless set.
    pub salt: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it is for.
    pub description: Option<String>,
}

/// What a flag of kind `bool` or `percent` is set to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, bincode::Encode, bincode::Decode,
)]
pub enum Value {
    /// False for everybody.
    Off,
    /// True for everybody.
    On,
    /// True for this share of ids, in 1/100,000: 1 to 99,999.
    Share(u32),
}

/// What a flag is set to: its value, and whether it is disabled.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, bincode::Encode, bincode::Decode,
)]
pub struct Truth {
    /// What holds while it is not disabled; kept for when it is enabled again.
    pub value: Value,
    /// No opinion: every reader gets its caller's default.
    pub disabled: bool,
}

impl From<Value> for Truth {
    fn from(value: Value) -> Truth {
        Truth { value, disabled: false }
    }
}

impl Truth {
    /// What it means without an id: `None` when it has no opinion, or asks for one (the caller's
    /// default holds).
    #[inline]
    pub const fn is_on(self) -> Option<bool> {
        match self.value {
            _ if self.disabled => None,
            Value::Off => Some(false),
            Value::On => Some(true),
            Value::Share(_) => None,
        }
    }

    /// What it means for `id`: `None` when it has no opinion, or the id is empty or too long and
    /// would be needed.
    #[inline]
    pub fn is_on_for(self, prefix: Prefix, id: &str) -> Option<bool> {
        match self.value {
            Value::Share(share) if !self.disabled => prefix.position(id).map(|position| position < share),
            _ => self.is_on(),
        }
    }
}
