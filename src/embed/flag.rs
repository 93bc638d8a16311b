//! `[flag.NAME]` as a builder. Pure.

use super::keys::Keys;

/// A feature flag that the tree declares; see [`crate::board`] for reading it.
#[derive(Clone, Debug, PartialEq)]
pub struct Flag {
    pub(super) name: String,
    pub(super) keys: Keys,
}

/// What a flag can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagKind {
    /// On or off for everybody.
    Bool,
    /// On for a share of ids.
    Percent,
}

impl Flag {
    /// A flag that is off until somebody sets it.
    pub fn new(name: impl Into<String>) -> Flag {
        Flag { name: name.into(), keys: Keys::default() }
    }

    /// What holds until somebody sets it. Not together with [`Flag::percent`].
    pub fn default(mut self, on: bool) -> Flag {
        self.keys.set("default", on);
        self
    }

    /// On for this share of ids until somebody sets it: 0 to 100 in steps of 0.001.
    pub fn percent(mut self, percent: f64) -> Flag {
        self.keys.set("percent", percent);
        self
    }

    /// Follows from the above unless said.
    pub fn kind(mut self, kind: FlagKind) -> Flag {
        self.keys.set("kind", if kind == FlagKind::Bool { "bool" } else { "percent" });
        self
    }

    /// What the emergency switch falls back to; off unless said.
    pub fn safe(mut self, on: bool) -> Flag {
        self.keys.set("safe", on);
        self
    }

    /// What goes into the hash before the id; the flag's name unless said.
    pub fn salt(mut self, salt: impl Into<String>) -> Flag {
        self.keys.set("salt", salt.into());
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
}
