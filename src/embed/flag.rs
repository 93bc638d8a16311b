//! `[flag.NAME]` as a builder. Pure.

use super::guard::Guard;
use super::keys::{Keys, Value};
use crate::flags::Unit;

/// A feature flag that the tree declares; see [`crate::board`] for reading it.
#[derive(Clone, Debug, PartialEq)]
pub struct Flag {
    pub(super) name: String,
    pub(super) keys: Keys,
}

/// Which values a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagKind {
    /// On or off, and no share between.
    Bool,
    /// On, off, or on for a share of ids.
    Percent,
    /// A number.
    Int,
    /// A text.
    Text,
}

/// A value of a flag that is no share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagValue {
    /// On or off for everybody.
    Truth(bool),
    /// A number.
    Number(i64),
    /// At most 128 bytes.
    Text(String),
}

impl From<bool> for FlagValue {
    fn from(on: bool) -> FlagValue {
        FlagValue::Truth(on)
    }
}

impl From<i64> for FlagValue {
    fn from(number: i64) -> FlagValue {
        FlagValue::Number(number)
    }
}

/// Numbers in code are of this type unless they say otherwise.
impl From<i32> for FlagValue {
    fn from(number: i32) -> FlagValue {
        FlagValue::Number(number.into())
    }
}

impl From<&str> for FlagValue {
    fn from(text: &str) -> FlagValue {
        FlagValue::Text(text.to_owned())
    }
}

impl From<String> for FlagValue {
    fn from(text: String) -> FlagValue {
        FlagValue::Text(text)
    }
}

impl From<FlagValue> for Value {
    fn from(value: FlagValue) -> Value {
        match value {
            FlagValue::Truth(on) => Value::Truth(on),
            FlagValue::Number(number) => Value::Whole(number),
            FlagValue::Text(text) => Value::Text(text),
        }
    }
}

impl Flag {
    /// A flag that is off until somebody sets it.
    pub fn new(name: impl Into<String>) -> Flag {
        Flag { name: name.into(), keys: Keys::default() }
    }

    /// What holds after a reset, and until somebody sets it unless [`percent`](Flag::percent) or [`value`](Flag::value) says
    /// otherwise. Off unless said; a flag with a number or a text always says it.
    pub fn default(mut self, value: impl Into<FlagValue>) -> Flag {
        self.keys.set("default", value.into());
        self
    }

    /// It is set to this until somebody sets it otherwise. Not together with [`percent`](Flag::percent).
    pub fn value(mut self, value: impl Into<FlagValue>) -> Flag {
        self.keys.set("value", value.into());
        self
    }

    /// On for this share of ids until somebody sets it: 0 to 100 in steps of 0.001.
    pub fn percent(mut self, percent: f64) -> Flag {
        self.keys.set("percent", percent);
        self
    }

    /// Follows from [`default`](Flag::default) unless said. A text that reads like a truth (`on`, `false`) says it.
    pub fn kind(mut self, kind: FlagKind) -> Flag {
        let word = match kind {
            FlagKind::Bool => "bool",
            FlagKind::Percent => "percent",
            FlagKind::Int => "int",
            FlagKind::Text => "text",
        };
        self.keys.set("kind", word);
        self
    }

    /// What the guard and the emergency switch fall back to; off unless said, of a number or a text its default.
    pub fn safe(mut self, value: impl Into<FlagValue>) -> Flag {
        self.keys.set("safe", value.into());
        self
    }

    /// What goes into the hash before the id, at most 128 bytes; the flag's name unless said.
    pub fn salt(mut self, salt: impl Into<String>) -> Flag {
        self.keys.set("salt", salt.into());
        self
    }

    /// Whose id a share is counted by; [`Unit::Id`] unless said.
    pub fn unit(mut self, unit: Unit) -> Flag {
        let word = match unit {
            Unit::Id => "id",
            Unit::Host => "host",
            Unit::Instance => "instance",
        };
        self.keys.set("unit", word);
        self
    }

    /// One more id for which it is on whatever the share, unless it is off for everybody. 64 in both lists.
    pub fn allow(mut self, id: impl Into<String>) -> Flag {
        self.keys.push("allow", id.into());
        self
    }

    /// One more id for which it is off whatever the share.
    pub fn deny(mut self, id: impl Into<String>) -> Flag {
        self.keys.push("deny", id.into());
        self
    }

    /// Off unless this other flag is on for everybody.
    pub fn requires(mut self, flag: impl Into<String>) -> Flag {
        self.keys.set("requires", flag.into());
        self
    }

    /// Off while this other flag is on for everybody, or for some.
    pub fn requires_not(mut self, flag: impl AsRef<str>) -> Flag {
        self.keys.set("requires", format!("not {}", flag.as_ref()));
        self
    }

    /// One more service that it may hurt; those that have read it unless said.
    pub fn service(mut self, name: impl Into<String>) -> Flag {
        self.keys.push("services", name.into());
        self
    }

    /// A change of it is watched; it is not unless said.
    pub fn guard(mut self, guard: Guard) -> Flag {
        self.keys.set("guard", Value::Table(guard.0));
        self
    }

    /// A change of it needs a reason.
    pub fn why(mut self, why: bool) -> Flag {
        self.keys.set("why", why);
        self
    }

    /// Services that start get its value as a variable: that of `new-checkout` is `MAINSTAY_FLAG_NEW_CHECKOUT`.
    pub fn env(mut self, env: bool) -> Flag {
        self.keys.set("env", env);
        self
    }

    /// For people; at most 1024 bytes.
    pub fn owner(mut self, owner: impl Into<String>) -> Flag {
        self.keys.set("owner", owner.into());
        self
    }

    /// For people; at most 1024 bytes.
    pub fn description(mut self, text: impl Into<String>) -> Flag {
        self.keys.set("description", text.into());
        self
    }

    /// The last day on which it should be there: year, month and day. A warning after it, never a change.
    pub fn expires(mut self, year: u16, month: u8, day: u8) -> Flag {
        self.keys.set("expires", format!("{year:04}-{month:02}-{day:02}"));
        self
    }
}
