//! Whom a reader asks that has no board and never had one.

use super::decide::{Hashed, decide};
use super::record::Listed;
use crate::flags::{Held, Packed, Prefix, Truth, Unit, Value};
use crate::time::Duration;

/// What somebody else knows about a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is no such flag.
    Unknown,
    /// It is declared.
    Known(Box<Known>),
}

/// A flag as somebody else knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What it is set to.
    pub truth: Truth,
    /// What stands in the hash before an id; empty: the name.
    pub salt: String,
    /// Ids that are on unless it is off.
    pub allow: Vec<String>,
    /// Ids that are off, before `allow` is looked at.
    pub deny: Vec<String>,
    /// What a share counts.
    pub unit: Unit,
    /// For a share that counts instances: those that are on, if that is known.
    pub instances: Option<Vec<String>>,
    /// The names of a migration's stages.
    pub stages: Vec<String>,
}

impl Answer {
    /// A flag that is set to this; the rest as for most flags.
    pub fn known(truth: Truth, salt: String) -> Answer {
        Answer::Known(Box::new(Known::new(truth, salt)))
    }
}

impl Known {
    /// Set to this, without lists, by ids.
    pub fn new(truth: Truth, salt: String) -> Known {
        Known {
            truth,
            salt,
            allow: Vec::new(),
            deny: Vec::new(),
            unit: Unit::Id,
            instances: None,
            stages: Vec::new(),
        }
    }

    /// What an id is hashed behind.
    pub(super) fn prefix(&self, name: &Packed) -> Prefix {
        let own = Prefix::of(name);
        if self.salt.is_empty() { own } else { Prefix::new(&self.salt).unwrap_or(own) }
    }

    /// As a word would say it, with no record to lead to.
    pub(super) fn held(&self) -> Held {
        let lists = !self.allow.is_empty() || !self.deny.is_empty();
        match self.truth.value {
            Value::Off => Held::Off,
            Value::On => Held::On { lists },
            Value::Share(_) if self.unit != Unit::Id => Held::Instances(0),
            Value::Share(share) => Held::Share { share, lists },
            Value::Stage(stage) => Held::Stage(stage),
            Value::Int(_) => Held::Int(0),
            Value::Text(_) => Held::Text(0),
        }
    }

    /// What it means for an id, or else for the reader's own instance; `None`: no opinion.
    pub(super) fn decide(&self, name: &Packed, id: Option<&str>, own: Option<&str>) -> Option<bool> {
        let listed = |id: &Hashed<'_>| {
            let is = |list: &[String]| list.iter().any(|one| one == id.id);
            Some(match id {
                _ if is(&self.deny) => Listed::Denied,
                _ if is(&self.allow) => Listed::Allowed,
                _ => Listed::No,
            })
        };
        let instance = |id: &Hashed<'_>| match listed(id)? {
            Listed::Denied => Some(false),
            Listed::Allowed => Some(true),
            Listed::No => Some(self.instances.as_ref()?.iter().any(|one| one == id.id)),
        };
        // The keeper decides for the host; what is left of a share here is one that it could not decide.
        let own = own.filter(|_| self.unit != Unit::Host);
        let id = id.filter(|_| self.unit != Unit::Host || !matches!(self.truth.value, Value::Share(_)));
        let held = (self.held(), self.truth.disabled);
        decide(held, self.prefix(name), id, own, listed, instance).ok().flatten()
    }
}

/// Other ways to the truth, used only while no board can be read and no value was ever proven (B7). Called
/// from inside a read, so they must not panic; they may be called in a forked child.
pub trait Fallback: Send + Sync {
    /// Asks the keeper over its socket. Gives up after `limit`; `None` when there is no answer.
    fn ask(&self, name: &str, limit: Duration) -> Option<Answer>;

    /// Reads the journal, without changing or locking anything; `None` when there is none.
    fn recall(&self, name: &str) -> Option<Answer>;
}
