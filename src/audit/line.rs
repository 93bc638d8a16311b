//! One line of the audit log, and what a change is in words. Pure.

use crate::flags::Truth;
use crate::flags::guard::{Fact, Mode, Roll, RollState, Stood, Subject, Watch};
use crate::store::Change;
use crate::time::Wall;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The SHA-256 of a line without its newline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of these bytes.
    pub fn of(line: &[u8]) -> Digest {
        Digest(Sha256::digest(line).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One change, as the audit log keeps it: one JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The number of the change.
    pub generation: u64,
    /// When, in microseconds since 1970.
    pub time: Wall,
    /// Who.
    pub uid: u32,
    /// That user's name; `guard` when it was the guard.
    pub actor: String,
    /// What was asked for, as one would type it.
    pub verb: String,
    /// Why; may be empty.
    pub reason: String,
    /// Which flags were set to something else.
    pub changes: Vec<Changed>,
    /// What else became true.
    pub facts: Vec<Said>,
    /// False: it was in memory only when this was written.
    pub durable: bool,
    /// The [`Digest`] of the line before this one; zeros before the first.
    pub prev: String,
}

/// One flag, before and now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Its name.
    pub flag: String,
    /// What held before, as people write it.
    pub from: String,
    /// What it is set to; `unset`: what is configured holds.
    pub to: String,
}

/// Something that became true beside the values of flags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The flag, or the migration; empty: it is about the whole host.
    pub about: String,
    /// In words.
    pub what: String,
}

impl Line {
    /// What the log says of this change behind a line with this digest.
    pub fn new(change: &Change, durable: bool, previous: Digest) -> Line {
        let changed = |set: &crate::store::Set| Changed {
            flag: set.flag.clone(),
            from: or_unset(set.old),
            to: or_unset(set.truth),
        };
        Line {
            generation: change.generation,
            time: change.time,
            uid: change.uid,
            actor: change.actor.clone(),
            verb: change.verb.clone(),
            reason: change.reason.clone(),
            changes: change.sets.iter().map(changed).collect(),
            facts: change.facts.iter().map(said).collect(),
            durable,
            prev: previous.to_string(),
        }
    }

    /// Its bytes, without a newline: JSON has none inside.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("text and numbers are always JSON")
    }

    /// Whether it is about this flag or migration.
    pub fn is_about(&self, name: &str) -> bool {
        self.changes.iter().any(|changed| changed.flag == name)
            || self.facts.iter().any(|said| said.about == name)
    }
}

fn or_unset(truth: Option<Truth>) -> String {
    truth.map_or_else(|| "unset".to_owned(), |truth| truth.to_string())
}

/// A flag's name; a migration's, and the stage.
fn named(subject: &Subject) -> (String, String) {
    match subject {
        Subject::Flag(flag) => (flag.clone(), String::new()),
        Subject::Stage(migration, stage) => (migration.clone(), format!("stage {stage} ")),
    }
}

/// A fact in words.
pub fn said(fact: &Fact) -> Said {
    let (about, what) = match fact {
        Fact::Stood(migration, stood) => (migration.clone(), stands(stood.as_ref())),
        Fact::Watch(subject, Some(watch)) => {
            let (about, stage) = named(subject);
            (about, format!("{stage}is watched{}", how_long(watch)))
        }
        Fact::Watch(subject, None) => {
            let (about, stage) = named(subject);
            (about, format!("{stage}is no longer watched"))
        }
        Fact::After(service, Some(_)) => {
            (String::new(), format!("it is watched whether service `{service}` is better now"))
        }
        Fact::After(service, None) => {
            (String::new(), format!("service `{service}` is no longer looked at for what was taken back"))
        }
        Fact::Good(flag, Some(good)) => (flag.clone(), format!("`{good}` is what is gone back to")),
        Fact::Good(flag, None) => (flag.clone(), "there is nothing to go back to".to_owned()),
        Fact::Ban(subject, Some(ban)) => {
            let (about, stage) = named(subject);
            (about, format!("{stage}is banned: {}{}", ban.why, evidence(&ban.crashes)))
        }
        Fact::Ban(subject, None) => {
            let (about, stage) = named(subject);
            (about, format!("{stage}is not banned any more"))
        }
        Fact::Past(subject, Some(past)) => {
            let (about, stage) = named(subject);
            let frozen = if past.frozen { "; it is frozen until it is thawed" } else { "" };
            (about, format!("{stage}was taken back {} times in 24 hours{frozen}", past.rollbacks.len()))
        }
        Fact::Past(subject, None) => {
            let (about, stage) = named(subject);
            (about, format!("{stage}is not cooling down any more"))
        }
        Fact::Roll(number, Some(roll)) => (named(&roll.subject).0, rolls(*number, roll)),
        Fact::Roll(number, None) => (String::new(), format!("rollout r-{number} is forgotten")),
        Fact::Switch(mode) => (String::new(), format!("the guard is {}", switched(*mode))),
        Fact::Fresh(_, Some(services)) if services.is_empty() => {
            (String::new(), "what failed is started again with a fresh restart budget".to_owned())
        }
        Fact::Fresh(_, Some(services)) => (
            String::new(),
            format!("what failed of {} is started again with a fresh restart budget", services.join(", ")),
        ),
        Fact::Fresh(generation, None) => {
            (String::new(), format!("the supervisor was told of change {generation}"))
        }
        Fact::Run(run) => (String::new(), format!("the supervisor's run is {run:016x}")),
    };
    Said { about, what }
}

fn stands(stood: Option<&Stood>) -> String {
    match stood {
        None => "stands where it is configured".to_owned(),
        Some(Stood { stage, roll: None, .. }) => format!("stands at stage {stage}"),
        Some(Stood { stage, roll: Some(roll), .. }) => {
            format!("stands at stage {stage}, and rollout r-{roll} brings in the next")
        }
    }
}

fn how_long(watch: &Watch) -> String {
    let observed = if watch.guard.mode == Mode::Observe { ", and only observed" } else { "" };
    let held = if watch.held.is_empty() { String::new() } else { format!(", and held: {}", watch.held) };
    format!(" for {} seconds{observed}{held}", watch.guard.bake.as_secs())
}

fn evidence(crashes: &[u64]) -> String {
    if crashes.is_empty() {
        return String::new();
    }
    let numbers: Vec<_> = crashes.iter().map(|crash| format!("#{crash}")).collect();
    format!(" (crashes {})", numbers.join(", "))
}

fn rolls(number: u64, roll: &Roll) -> String {
    let share = roll.steps.get(roll.step as usize).copied().unwrap_or_default();
    let at = crate::flags::Value::of_share(share);
    let how = match roll.state {
        RollState::Baking => format!("bakes at {at}"),
        RollState::Held => format!("is held at {at}"),
        RollState::Done => "is done".to_owned(),
        RollState::RolledBack => "was taken back".to_owned(),
        RollState::Ended => format!("has ended at {at}"),
    };
    let why = if roll.outcome.is_empty() { String::new() } else { format!(": {}", roll.outcome) };
    format!("rollout r-{number} {how}{why}")
}

fn switched(mode: Mode) -> &'static str {
    match mode {
        Mode::On => "on",
        Mode::Observe => "observing",
        Mode::Off => "off",
    }
}
