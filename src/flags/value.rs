//! What a flag is set to.

use super::bucketing::Prefix;
use super::name::Packed;
use serde::{Deserialize, Serialize};

/// What a flag is set to. Which of these it takes is its [`Kind`](super::Kind)'s business.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, bincode::Encode, bincode::Decode,
)]
pub enum Value {
    /// False for everybody.
    #[default]
    Off,
    /// True for everybody.
    On,
    /// True for this share of ids, in 1/100,000: 1 to 99,999.
    Share(u32),
    /// The current stage of a migration; 0: before the first.
    Stage(u32),
    /// A number.
    Int(i64),
    /// At most 128 bytes of UTF-8.
    Text(Packed),
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
            Value::Share(_) | Value::Stage(_) | Value::Int(_) | Value::Text(_) => None,
        }
    }

    /// The number that it is; `None` when it has no opinion, or is none.
    pub const fn int(self) -> Option<i64> {
        match self.value {
            Value::Int(number) if !self.disabled => Some(number),
            _ => None,
        }
    }

    /// The text that it is; `None` when it has no opinion, or is none.
    pub const fn text(self) -> Option<Packed> {
        match self.value {
            Value::Text(text) if !self.disabled => Some(text),
            _ => None,
        }
    }

    /// What it means for `id`, without lists: `None` when it has no opinion, or the id is empty or too long and
    /// would be needed.
    #[inline]
    pub fn is_on_for(self, prefix: Prefix, id: &str) -> Option<bool> {
        match self.value {
            Value::Share(share) if !self.disabled => prefix.position(id).map(|position| position < share),
            _ => self.is_on(),
        }
    }
}
