//! What is declared: flags and migrations, by name.

use super::guard::{Guarding, Mode, Subject};
use super::{Declaration, Migration, Stage, Truth, Value, mix};
use std::collections::BTreeMap;

/// Every flag and migration that the configuration declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    flags: BTreeMap<String, Declaration>,
    migrations: BTreeMap<String, Migration>,
    /// Which stage of which migration turns a flag on.
    stages: BTreeMap<String, (String, u32)>,
    /// Which flags look at a flag.
    dependents: BTreeMap<String, Vec<String>>,
}

impl Catalog {
    /// These; what is declared twice keeps its last declaration.
    pub fn new(
        flags: impl IntoIterator<Item = Declaration>,
        migrations: impl IntoIterator<Item = Migration>,
    ) -> Catalog {
        let flags: BTreeMap<_, _> = flags.into_iter().map(|flag| (flag.name.clone(), flag)).collect();
        let migrations: BTreeMap<_, _> = migrations.into_iter().map(|one| (one.name.clone(), one)).collect();
        let mut catalog = Catalog { flags, migrations, ..Catalog::default() };
        for migration in catalog.migrations.values() {
            for (number, stage) in (1..).zip(&migration.stages) {
                for flag in &stage.on {
                    catalog.stages.entry(flag.clone()).or_insert((migration.name.clone(), number));
                }
            }
        }
        for flag in catalog.flags.values() {
            if let Some(requires) = &flag.requires {
                catalog.dependents.entry(requires.flag.clone()).or_default().push(flag.name.clone());
            }
        }
        catalog
    }

    /// A flag.
    pub fn flag(&self, name: &str) -> Option<&Declaration> {
        self.flags.get(name)
    }

    /// A migration.
    pub fn migration(&self, name: &str) -> Option<&Migration> {
        self.migrations.get(name)
    }

    /// Every flag, by name.
    pub fn flags(&self) -> impl Iterator<Item = &Declaration> {
        self.flags.values()
    }

    /// Every migration, by name.
    pub fn migrations(&self) -> impl Iterator<Item = &Migration> {
        self.migrations.values()
    }

    /// The migration that has this flag in a stage, and the number of that stage.
    pub fn stage_of(&self, flag: &str) -> Option<(&Migration, u32)> {
        let (migration, stage) = self.stages.get(flag)?;
        Some((self.migrations.get(migration)?, *stage))
    }

    /// The declared stage; `None`: there is none with this number.
    pub fn stage(&self, migration: &str, number: u32) -> Option<&Stage> {
        let index = (number as usize).checked_sub(1)?;
        self.migrations.get(migration)?.stages.get(index)
    }

    /// This flag and every flag whose effective value may change with it.
    pub fn touched_by(&self, flag: &str) -> Vec<&str> {
        let mut all: Vec<&str> =
            self.flags.get_key_value(flag).map(|(name, _)| name.as_str()).into_iter().collect();
        let mut next = 0;
        while let Some(name) = all.get(next) {
            for dependent in self.dependents.get(*name).into_iter().flatten() {
                if !all.contains(&dependent.as_str()) {
                    all.push(dependent);
                }
            }
            next += 1;
        }
        all
    }

    /// How a change of this subject is watched as it is declared now; `None`: it is not.
    pub fn guard(&self, subject: &Subject) -> Option<&Guarding> {
        let guard = match subject {
            Subject::Flag(name) => self.flags.get(name)?.guard.as_ref()?,
            Subject::Stage(name, _) => &self.migrations.get(name)?.guard,
        };
        (guard.mode != Mode::Off).then_some(guard)
    }

    /// The nearest name of a flag or migration, when it is near enough to be meant.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.flags.keys().chain(self.migrations.keys()).map(String::as_str))
    }

    /// Of what is declared of a subject now, as far as it decides anything: words for people are no part of it. `None`: it is
    /// not declared.
    pub fn digest(&self, subject: &Subject) -> Option<u64> {
        match subject {
            Subject::Flag(name) => self.flags.get(name).map(digest_of_flag),
            Subject::Stage(name, number) => {
                let stage = self.stage(name, *number)?;
                let guard = &self.migrations.get(name)?.guard;
                let mut digest = Digest::new();
                digest.add(&(name, number, stage, guard));
                for flag in &stage.on {
                    digest.add(&self.flags.get(flag).map(digest_of_flag));
                }
                Some(digest.end())
            }
        }
    }
}

fn digest_of_flag(flag: &Declaration) -> u64 {
    let Declaration { name, kind, default, configured, safe, salt, requires, allow, deny, unit, .. } = flag;
    let mut digest = Digest::new();
    digest.add(&(name, kind, default, configured, safe, salt, requires));
    digest.add(&(allow, deny, unit, &flag.services, &flag.guard));
    digest.end()
}

/// FNV-1a over codec bytes: the same on every host and in every run of this program, which is all that is asked of it.
struct Digest(u64);

impl Digest {
    fn new() -> Digest {
        Digest(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, what: &impl bincode::Encode) {
        // It is encoded from memory into memory: there is nothing that could fail.
        let bytes = bincode::encode_to_vec(what, bincode::config::standard()).unwrap_or_default();
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(&bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Never 0.
    fn end(self) -> u64 {
        mix(self.0).max(1)
    }
}

/// Of these names, the one that was probably meant.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

impl Declaration {
    /// What it falls back to: its safe value; its default, when that is no value of its kind.
    pub fn safe_truth(&self) -> Truth {
        let safe = if self.safe.fits(self.kind) { self.safe } else { self.default };
        safe.into()
    }

    /// What on and off are for it; `None`: it has neither.
    pub fn switched(&self, on: bool) -> Option<Value> {
        let value = if on { Value::On } else { Value::Off };
        value.fits(self.kind).then_some(value)
    }

    /// The value that turns it on for `share` of 100,000. One that takes no shares comes in with the whole.
    pub fn at_share(&self, share: u32) -> Value {
        let value = Value::of_share(share);
        if value.fits(self.kind) { value } else { Value::Off }
    }
}
