//! Flags as the board shall show them: what the keeper says, and the same, checked.

use super::error::Error;
use super::layout::SLOTS_MAX;
use super::record::cells_of_bytes;
use crate::flags::{ID_MAX, NAME_MAX, Name, Packed, Prefix, STAGES, Truth, Value, WHOLE};
use std::collections::HashSet;

/// Ids in the lists of one flag, at most.
pub const LISTED_MAX: usize = 64;

/// Stages of one migration, at most.
pub const STAGES_MAX: usize = crate::flags::Migration::STAGES_MAX;

/// A flag, or a migration, as the board shall show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// 1 to 128 bytes of `[A-Za-z0-9._-]`.
    pub name: String,
    /// What stands in the hash before an id: at most 128 bytes; empty: the name.
    pub salt: String,
    /// What it is set to.
    pub setting: Setting,
    /// Ids that are on unless it is off: with `deny` 64 at most, each of 1 to 1024 bytes. For a share by instances, names of
    /// instances.
    pub allow: Vec<String>,
    /// Ids that are off, before `allow` is looked at.
    pub deny: Vec<String>,
    /// The names of a migration's stages, from the first; 1000 at most. Then there are no lists.
    pub stages: Vec<String>,
}

/// What a flag is set to, as the board shall show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its value, and whether it is disabled.
    pub truth: Truth,
    /// For a share that counts instances: the names of those that are on, `web#2`, in any order. `None`: it counts ids, or is no share.
    pub instances: Option<Vec<String>>,
}

impl Entry {
    /// A flag without lists, whose name is its salt.
    pub fn new(name: &str, setting: impl Into<Setting>) -> Entry {
        Entry {
            name: name.to_owned(),
            salt: String::new(),
            setting: setting.into(),
            allow: Vec::new(),
            deny: Vec::new(),
            stages: Vec::new(),
        }
    }
}

impl From<Truth> for Setting {
    fn from(truth: Truth) -> Setting {
        Setting { truth, instances: None }
    }
}

impl From<Value> for Setting {
    fn from(value: Value) -> Setting {
        Truth::from(value).into()
    }
}

/// An [`Entry`] that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) name: Name,
    pub(super) fixed: Fixed,
    /// `None`: it is no longer declared.
    pub(super) setting: Option<Setting>,
}

/// What a flag has that does not change on one board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fixed {
    /// Empty: the name.
    pub(super) salt: Packed,
    /// Sorted, each once.
    pub(super) allow: Vec<String>,
    /// Sorted, each once.
    pub(super) deny: Vec<String>,
    pub(super) stages: Vec<String>,
}

impl Flag {
    /// How many cells of the arena its records take, at most.
    pub(super) fn cells(&self) -> usize {
        self.fixed.cells() + self.setting.as_ref().map_or(0, |setting| setting.cells(&self.fixed))
    }
}

impl Fixed {
    pub(super) fn prefix(&self, name: &Name) -> Prefix {
        Prefix::of(if self.salt.length() == 0 { name.packed() } else { &self.salt })
    }

    pub(super) fn has_lists(&self) -> bool {
        !self.allow.is_empty() || !self.deny.is_empty()
    }

    /// How many cells of the arena its records take.
    pub(super) fn cells(&self) -> usize {
        let strings = |all: &[String]| all.iter().map(|one| cells_of_bytes(one.len())).sum::<usize>();
        if !self.stages.is_empty() {
            return strings(&self.stages) + 1 + self.stages.len();
        }
        if !self.has_lists() {
            return 0;
        }
        strings(&self.allow) + strings(&self.deny) + 1 + 2 * (self.allow.len() + self.deny.len())
    }

    /// The hashes of the instances that are on: those of the setting, without the denied, and the allowed.
    pub(super) fn instances(&self, name: &Name, named: &[String]) -> Vec<u32> {
        let prefix = self.prefix(name);
        let on = named.iter().chain(&self.allow).filter(|instance| !self.deny.contains(instance));
        let mut hashes: Vec<u32> = on.filter_map(|instance| prefix.hash(instance)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }
}

impl Setting {
    /// How many cells of the arena its record takes, at most.
    pub(super) fn cells(&self, fixed: &Fixed) -> usize {
        match (self.truth.value, &self.instances) {
            (Value::Int(_), _) => cells_of_bytes(8),
            (Value::Text(text), _) => cells_of_bytes(text.length().into()),
            (Value::Share(_), Some(instances)) => 2 + instances.len() + fixed.allow.len(),
            _ => 0,
        }
    }

    /// The same, when a board can show it: in the one form of those that mean the same.
    ///
    /// # Errors
    /// [`Error::Stage`]: more than a word can hold.
    pub(super) fn checked(mut self, flag: &str) -> Result<Setting, Error> {
        match self.truth.value {
            Value::Share(share) if share == 0 || share >= WHOLE => self.truth.value = Value::of_share(share),
            Value::Stage(stage) if stage >= STAGES => return Err(Error::Stage(flag.to_owned(), stage)),
            _ => {}
        }
        if !matches!(self.truth.value, Value::Share(_)) {
            self.instances = None;
        }
        if let Some(instances) = &mut self.instances {
            instances.sort_unstable();
            instances.dedup();
        }
        Ok(self)
    }
}

/// The declarations, checked.
pub(super) fn checked(entries: &[Entry]) -> Result<Vec<Flag>, Error> {
    if entries.len() > SLOTS_MAX {
        return Err(Error::TooMany(entries.len()));
    }
    let mut names = HashSet::new();
    let flag = |entry: &Entry| {
        let name = Name::new(&entry.name).map_err(Error::Name)?;
        if !names.insert(name) {
            return Err(Error::Twice(entry.name.clone()));
        }
        let setting = Some(entry.setting.clone().checked(&entry.name)?);
        Ok(Flag { name, fixed: fixed(entry)?, setting })
    };
    entries.iter().map(flag).collect()
}

fn fixed(entry: &Entry) -> Result<Fixed, Error> {
    let name = || entry.name.clone();
    let salt = if entry.salt == entry.name { "" } else { &entry.salt };
    let salt = Packed::new(salt).ok_or_else(|| Error::Salt(name(), salt.len()))?;
    let sorted = |ids: &[String]| {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let fixed =
        Fixed { salt, allow: sorted(&entry.allow), deny: sorted(&entry.deny), stages: entry.stages.clone() };
    let listed = fixed.allow.len() + fixed.deny.len();
    if listed > LISTED_MAX {
        return Err(Error::Listed(name(), listed));
    }
    if let Some(id) = fixed.allow.iter().chain(&fixed.deny).find(|id| id.is_empty() || id.len() > ID_MAX) {
        return Err(Error::Id(name(), id.len()));
    }
    if fixed.stages.len() > STAGES_MAX {
        return Err(Error::Stage(name(), fixed.stages.len() as u32));
    }
    if let Some(stage) = fixed.stages.iter().find(|stage| stage.is_empty() || stage.len() > NAME_MAX) {
        return Err(Error::StageName(name(), stage.len()));
    }
    Ok(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_board_can_show_is_refused_with_its_flag() {
        let plain = Entry::new("checkout", Value::On);
        let ids = |n: usize| (0..n).map(|id| format!("id-{id}")).collect::<Vec<_>>();
        let check = |entry: Entry, expected: &str| {
            assert_eq!(checked(&[entry]).map_err(|error| error.to_string()).unwrap_err(), expected);
        };
        check(
            Entry { allow: ids(60), deny: ids(5), ..plain.clone() },
            "the lists of flag `checkout` have 65 ids; 64 are the most",
        );
        check(
            Entry { deny: vec!["i".repeat(1025)], ..plain.clone() },
            "a listed id of flag `checkout` has 1025 bytes; 1 to 1024 are possible",
        );
        check(
            Entry { stages: vec![String::new()], ..plain.clone() },
            "the name of a stage of `checkout` has 0 bytes; 1 to 128 are possible",
        );
        check(
            Entry { stages: ids(1001), ..plain.clone() },
            "`checkout` is at or has stage 1001; a migration has 1000 at most",
        );
        check(
            Entry { setting: Value::Stage(STAGES).into(), ..plain.clone() },
            "`checkout` is at or has stage 131072; a migration has 1000 at most",
        );
        assert!(checked(&[Entry { allow: ids(32), deny: ids(32), ..plain }]).is_ok());
    }

    #[test]
    fn settings_that_mean_the_same_are_the_same() {
        let share = |instances: &[&str]| Setting {
            truth: Value::Share(500).into(),
            instances: Some(instances.iter().map(|i| (*i).to_owned()).collect()),
        };
        let checked = |setting: Setting| setting.checked("x").unwrap();
        assert_eq!(checked(share(&["b", "a", "b"])), checked(share(&["a", "b"])));
        assert_eq!(checked(Value::Share(WHOLE).into()), Value::On.into());
        let on = Setting { truth: Value::On.into(), ..share(&["a"]) };
        assert_eq!(checked(on), Value::On.into());
    }

    #[test]
    fn instances_that_are_denied_are_off_and_those_that_are_allowed_are_on() {
        let name = Name::new("flag").unwrap();
        let fixed = Fixed { allow: vec!["web#9".into()], deny: vec!["web#1".into()], ..Fixed::default() };
        let hash = |instance: &str| fixed.prefix(&name).hash(instance).unwrap();
        let mut expected = [hash("web#2"), hash("web#9")];
        expected.sort_unstable();
        assert_eq!(fixed.instances(&name, &["web#1".into(), "web#2".into()]), expected);
    }
}
