//! Why a change is refused: what is so now, and what can be done.

use super::guard::{Moment, Subject};
use super::{Kind, Requires, Unit, Value};
use crate::time::Duration;

/// Why a change is refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No flag has this name; the nearest one that has.
    NoFlag(String, Option<String>),
    /// No migration has this name; the nearest one that has.
    NoMigration(String, Option<String>),
    /// The migration has no such stage.
    NoStage {
        /// Which migration.
        migration: String,
        /// What was asked for.
        stage: String,
        /// The nearest name.
        nearest: Option<String>,
        /// So many stages it has.
        stages: u32,
        /// Where it stands: number and name.
        now: (u32, String),
    },
    /// It already stands there, or beyond.
    NotLater {
        /// Which migration.
        migration: String,
        /// The number that was asked for.
        to: u32,
        /// Where it stands: number and name.
        now: (u32, String),
        /// So many stages it has.
        stages: u32,
    },
    /// It stands there, or before.
    NotEarlier {
        /// Which migration.
        migration: String,
        /// The number that was asked for.
        to: u32,
        /// Where it stands: number and name.
        now: (u32, String),
    },
    /// One stage at a time.
    TooFar {
        /// Which migration.
        migration: String,
        /// The number that was asked for.
        to: u32,
        /// Where it stands: number and name.
        now: (u32, String),
        /// The name of the next one.
        next: String,
    },
    /// A stage is coming in by steps.
    ComingIn {
        /// Which migration.
        migration: String,
        /// The stage: number and name.
        stage: (u32, String),
        /// The rollout.
        roll: u64,
    },
    /// There is no way back past a stage.
    OneWay {
        /// Which migration.
        migration: String,
        /// The stage: number and name.
        stage: (u32, String),
    },
    /// It was taken back.
    Banned {
        /// What.
        subject: Subject,
        /// Why.
        why: String,
        /// The crash records that are the evidence.
        evidence: Vec<u64>,
    },
    /// It was taken back just now.
    CoolingDown {
        /// What.
        subject: Subject,
        /// So much longer.
        left: Duration,
    },
    /// It was taken back too often.
    Frozen {
        /// What.
        subject: Subject,
        /// When.
        rollbacks: Vec<Moment>,
    },
    /// A reason must be given.
    NoReason(String),
    /// The value does not fit the flag.
    NoValue {
        /// Which flag.
        flag: String,
        /// Which values it takes.
        kind: Kind,
        /// What was asked for.
        value: Value,
    },
    /// The flag is a migration: it is moved by its stages.
    IsMigration(String),
    /// The flag belongs to a stage: it comes in with that.
    OfStage {
        /// Which flag.
        flag: String,
        /// Which migration.
        migration: String,
        /// The stage: number and name.
        stage: (u32, String),
    },
    /// It cannot be brought in by steps: only flags that take shares can.
    NoShares(String, Kind),
    /// These steps do not rise, or are none.
    Steps(String),
    /// It is already there.
    AlreadyThere {
        /// Which flag.
        flag: String,
        /// What it is.
        now: Value,
        /// The first step.
        first: Value,
    },
    /// It is being rolled out already.
    Rolling(String, u64),
    /// A bake is shorter than twice the crash window.
    ShortBake {
        /// What was asked for.
        bake: Duration,
        /// The window.
        within: Duration,
    },
    /// Another unit than the declared one.
    Unit {
        /// Which flag.
        flag: String,
        /// As it is declared.
        declared: Unit,
    },
    /// What it requires is not so: nobody would see it.
    Requires(String, Requires),
    /// No rollout has this number.
    NoRoll(u64),
    /// That rollout is over.
    RollOver {
        /// Its number.
        roll: u64,
        /// What it was.
        subject: Subject,
        /// How it ended.
        outcome: String,
    },
    /// A step is baking: nothing holds it.
    NotHeld(u64),
    /// The guard is off: nobody would watch.
    GuardOff,
    /// Nothing is named, or nothing is to be done.
    Nothing(&'static str),
}
