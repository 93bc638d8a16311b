//! Why a change is refused: what is so now, and what can be done.

use super::guard::{Moment, Subject};
use super::{Kind, Unit};
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
        /// What was asked for, as people write it.
        value: String,
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
        /// What it is, as people write it.
        now: String,
        /// The first step.
        first: String,
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
    /// No rollout has this number.
    NoRoll(u64),
    /// That rollout is over.
    RollOver {
        /// Its number.
        roll: u64,
        /// What was rolled out.
        subject: Subject,
        /// How it ended.
        outcome: String,
    },
    /// A step is baking: nothing holds it.
    NotHeld(u64),
    /// The guard is off: nobody would watch.
    GuardOff,
    /// A flag is named twice.
    Twice(String),
}

/// How long a subject is left alone after it was taken back.
pub const COOL_DOWN: Duration = Duration::from_secs(600);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refused::NoFlag(name, _) => write!(f, "no flag `{}`", name.escape_debug()),
            Refused::NoMigration(name, _) => write!(f, "no migration `{}`", name.escape_debug()),
            Refused::NoStage { migration, stage, now, .. } => {
                write!(f, "no stage `{}` in `{migration}`, which is at {}", stage.escape_debug(), Stage(now))
            }
            Refused::NotLater { migration, to, now, .. } => {
                write!(f, "`{migration}` is at {}: stage {to} is not later", Stage(now))
            }
            Refused::NotEarlier { migration, to, now } => {
                write!(f, "`{migration}` is at {}: stage {to} is not earlier", Stage(now))
            }
            Refused::TooFar { migration, to, now, .. } => {
                write!(f, "`{migration}` is at {}: stage {to} is more than one further", Stage(now))
            }
            Refused::ComingIn { migration, stage, roll } => {
                write!(f, "{} of `{migration}` is coming in by steps (r-{roll})", Stage(stage))
            }
            Refused::OneWay { migration, stage } => {
                write!(f, "{} of `{migration}` is one-way: what it did cannot be taken back", Stage(stage))
            }
            Refused::Banned { subject, why, .. } => write!(f, "{subject} is banned: {why}"),
            Refused::CoolingDown { subject, .. } => {
                write!(f, "{subject} is cooling down: the guard took it back just now")
            }
            Refused::Frozen { subject, rollbacks } => {
                write!(f, "{subject} is frozen: the guard took it back {} times in 24 hours", rollbacks.len())
            }
            Refused::NoReason(what) => write!(f, "a reason is required for {what}"),
            Refused::NoValue { flag, value, .. } => write!(f, "{value} is no value of flag `{flag}`"),
            Refused::IsMigration(name) => write!(f, "`{name}` is a migration, not a flag"),
            Refused::OfStage { flag, migration, stage } => {
                write!(f, "flag `{flag}` comes in with {} of `{migration}`", Stage(stage))
            }
            Refused::NoShares(flag, _) => write!(f, "flag `{flag}` takes no shares"),
            Refused::Steps(what) => write!(f, "these are no steps: {what}"),
            Refused::AlreadyThere { flag, now, first } => {
                write!(f, "flag `{flag}` is {now} already: a first step to {first} takes it no further")
            }
            Refused::Rolling(flag, roll) => write!(f, "flag `{flag}` is being rolled out already (r-{roll})"),
            Refused::ShortBake { bake, within } => {
                write!(f, "a bake of {bake:?} is shorter than twice the crash window of {within:?}")
            }
            Refused::Unit { flag, declared } => {
                write!(f, "flag `{flag}` counts its share by {}, as it is declared", declared.word())
            }
            Refused::NoRoll(roll) => write!(f, "no rollout r-{roll}"),
            Refused::RollOver { roll, subject, outcome } => {
                write!(f, "the rollout r-{roll} of {subject} is over: {outcome}")
            }
            Refused::NotHeld(roll) => write!(f, "nothing holds r-{roll}: its step is baking"),
            Refused::GuardOff => f.write_str("the guard is off: nobody would watch the steps"),
            Refused::Twice(flag) => write!(f, "flag `{flag}` is named twice"),
        }
    }
}

impl std::error::Error for Refused {}

impl Refused {
    /// What to do now, in a sentence without its capital and its point.
    pub fn hint(&self) -> String {
        match self {
            Refused::NoFlag(_, Some(near)) | Refused::NoMigration(_, Some(near)) => {
                format!("did you mean `{near}`?")
            }
            Refused::NoFlag(_, None) => "`mainstay flag list` shows the flags that are declared".into(),
            Refused::NoMigration(_, None) => {
                "`mainstay stage status` shows the migrations that are declared".into()
            }
            Refused::NoStage { nearest: Some(near), .. } => format!("did you mean `{near}`?"),
            Refused::NoStage { stages, .. } => format!("name a stage, or a number from 0 to {stages}"),
            Refused::NotLater { now, stages, .. } if now.0 < *stages => {
                format!("stage {} is next; `stage rollback` goes to an earlier one", now.0 + 1)
            }
            Refused::NotLater { .. } => {
                "it is at its last stage; `stage rollback` goes to an earlier one".into()
            }
            Refused::NotEarlier { now: (0, _), .. } => {
                "it has not begun: there is nothing to go back to".into()
            }
            Refused::NotEarlier { now, .. } => format!("go back to a stage from 0 to {}", now.0 - 1),
            Refused::TooFar { now, next, .. } => {
                format!("enable {} `{next}` first, or `--force` all of them at once", now.0 + 1)
            }
            Refused::ComingIn { roll, .. } => {
                format!("wait for it, steer it with `flag roll r-{roll}`, or `stage rollback`")
            }
            Refused::OneWay { .. } => "`--past-one-way` goes back nevertheless".into(),
            Refused::Banned { evidence, .. } => {
                let see = evidence.last().map(|crash| format!("see `mainstay crash show c-{crash}`; "));
                format!("{}change its definition, or `--override-ban`", see.unwrap_or_default())
            }
            Refused::CoolingDown { left, .. } => {
                format!("wait {} s, or `--override-ban`", left.as_secs().max(1))
            }
            Refused::Frozen { subject, .. } => {
                format!("find out why, then `mainstay guard --thaw {}`", subject.name())
            }
            Refused::NoReason(_) => "say it with `--why TEXT`".into(),
            Refused::NoValue { kind, .. } => match kind {
                Kind::Bool => "it takes on and off".into(),
                Kind::Percent => "it takes on, off and a percentage".into(),
                Kind::Int => "it takes a whole number".into(),
                Kind::Text => "it takes text of at most 128 bytes".into(),
                Kind::Stage => "it is moved by `mainstay stage`".into(),
            },
            Refused::IsMigration(_) => "it is moved by `mainstay stage enable` and `rollback`".into(),
            Refused::OfStage { migration, .. } => format!("`mainstay stage enable {migration}` brings it in"),
            Refused::NoShares(_, kind) => {
                let kind = format!("{kind:?}").to_lowercase();
                format!("it is of kind {kind}; declare it with `kind = \"percent\"`, or set it")
            }
            Refused::Steps(_) => "write rising percentages such as 10,25,50,100".into(),
            Refused::AlreadyThere { .. } => "begin above it, or turn the flag off first".into(),
            Refused::Rolling(_, roll) => {
                format!("`flag roll r-{roll} --end` leaves it where it is, `--back` takes it back")
            }
            Refused::ShortBake { within, .. } => {
                format!("let it bake for {} s or longer", (*within * 2).as_secs_f64())
            }
            Refused::Unit { .. } => "leave `--unit` out, or change the flag's declaration".into(),
            Refused::NoRoll(_) => "`mainstay flag roll` shows the rollouts that are kept".into(),
            Refused::RollOver { .. } => "begin another one".into(),
            Refused::NotHeld(_) => "wait, or end it with `--end` or `--back`".into(),
            Refused::GuardOff => {
                "set the flag at once (a stage: `--at-once`), or turn the guard on: `mainstay guard on`"
                    .into()
            }
            Refused::Twice(_) => "name each flag once".into(),
        }
    }

    /// True when what was asked for is not there.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Refused::NoFlag(..) | Refused::NoMigration(..) | Refused::NoStage { .. } | Refused::NoRoll(_)
        )
    }

    /// True when it was asked for in a way that can never be done, whatever the state.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Refused::NoReason(_)
                | Refused::NoValue { .. }
                | Refused::NoShares(..)
                | Refused::Steps(_)
                | Refused::ShortBake { .. }
                | Refused::Unit { .. }
                | Refused::Twice(_)
                | Refused::IsMigration(_)
        )
    }
}

/// A stage as it stands in a sentence.
struct Stage<'a>(&'a (u32, String));

impl std::fmt::Display for Stage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            (0, _) => f.write_str("stage 0 (not begun)"),
            (number, name) => write!(f, "stage {number} `{name}`"),
        }
    }
}
