//! What of the guard, of migrations and of rollouts must outlive the keeper: facts, each a record of the journal.
//! What holds of them now is [`Facts`](super::Facts).

use crate::flags::Truth;
use crate::time::{Duration, Wall};
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Whether the guard acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It watches and takes back.
    #[default]
    On,
    /// It watches, and only says what it would do.
    Observe,
    /// It does not watch.
    Off,
}

/// How a change is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Guarding {
    /// Whether it is.
    pub mode: Mode,
    /// The services that count; empty: those that have read the flag since they started.
    pub services: Vec<String>,
    /// So many abnormal exits of one service …
    pub crashes: u32,
    /// … within this time are too many.
    pub within: Duration,
    /// How long a change is watched; at least twice `within`.
    pub bake: Duration,
    /// A service that is not ready by its deadline after a restart is a reason, too.
    pub ready: bool,
    /// So many failed health checks of one instance in a row are a reason, too; 0: none are.
    pub health: u32,
    /// Error counters that services keep.
    pub errors: Option<Errors>,
    /// A command that judges.
    pub probe: Option<Probe>,
}

/// Too many errors: a share above that of before the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Errors {
    /// So much above it, in 1/100,000.
    pub delta: u32,
    /// With fewer samples than this nothing is concluded, and nothing goes further.
    pub samples: u32,
}

/// A command that judges: exit 0 good, 1 bad, 2 it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Probe {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Where it runs; absolute.
    pub directory: String,
    /// How often.
    pub every: Duration,
    /// How long it may take; then it is killed, and does not know.
    pub timeout: Duration,
}

impl Default for Guarding {
    fn default() -> Guarding {
        Guarding {
            mode: Mode::On,
            services: Vec::new(),
            crashes: 3,
            within: Duration::from_secs(60),
            bake: Duration::from_secs(300),
            ready: true,
            health: 3,
            errors: None,
            probe: None,
        }
    }
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A flag.
    Flag(String),
    /// A stage of a migration was enabled.
    Stage(String, u32),
}

/// Something durable beside the values of flags. Each replaces what was there under the same key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Fact {
    /// Where a migration stands; `None`: nobody ever moved it, or it was loaded again.
    Stood(String, Option<Stood>),
    /// A change that is watched: at most one of each subject, so a newer one takes the place of the one before;
    /// `None`: it is over.
    Watch(Subject, Option<Watch>),
    /// What a flag (or, under its name, a migration) is gone back to: what it was when its last bake ended proven;
    /// before that, when it was first watched.
    Good(String, Option<Truth>),
    /// Something was taken back because of this service, and it is looked at whether that helped; `None`: no more.
    After(String, Option<After>),
    /// What must not be set again; `None`: it may.
    Ban(Subject, Option<Ban>),
    /// What was taken back of it before; `None`: nothing that still counts.
    Past(Subject, Option<Past>),
    /// A rollout, under its number.
    Roll(u64, Option<Roll>),
    /// The guard's switch for the whole host.
    Switch(Mode),
    /// The change with this number took something back, and what failed of these services (empty: of all) is to be
    /// started again with a fresh restart budget; `None`: the supervisor was told.
    Fresh(u64, Option<Vec<String>>),
    /// The supervisor's run that was last seen.
    Run(u64),
}

/// Where a migration stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Stood {
    /// All stages up to this one are on.
    pub stage: u32,
    /// The rollout that brings in the next stage step by step, if one does.
    pub roll: Option<u64>,
    /// The number of the change that brought it here.
    pub generation: u64,
    /// Who.
    pub uid: u32,
    /// That user's name; `guard` when it was the guard.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub time: Wall,
}

/// A moment on every clock that there is: durations are measured by the monotonic one where the boot is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Moment {
    /// On the monotonic clock of that boot, which began at about 0, in nanoseconds.
    pub mono_ns: u64,
    /// Which boot that was: any number that differs from boot to boot.
    pub boot: u64,
    /// For people, and across boots.
    pub wall: Wall,
}

/// A change that is watched: the armed record, on the disk before the value is published.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Watch {
    /// The number of the change that began it.
    pub generation: u64,
    /// Of the definition that it had then.
    pub digest: u64,
    /// What to put back, in this order, all at once.
    pub back: Vec<Restore>,
    /// The stage to go back to, when a stage was enabled.
    pub stage: Option<u32>,
    /// How it is watched: as it was declared then.
    pub guard: Guarding,
    /// The rollout that it is a step of.
    pub roll: Option<u64>,
    /// When it was published. After another boot: when that boot's first keeper took it up.
    pub at: Moment,
    /// Evidence counts from here on (monotonic): later than `at` after something else was taken back.
    pub since_ns: u64,
    /// The guard does not act on it before this (monotonic): what was taken back gets one window to help.
    pub settled_ns: u64,
    /// So many runs of the supervisor began while it baked whose predecessor ended without a goodbye.
    pub starts: u32,
    /// Services that have read it, when none are named: found out while it is watched.
    pub readers: Vec<String>,
    /// Services that were sick before: so many abnormal exits in the window that ended with the change.
    pub before: Vec<(String, u32)>,
    /// The error counters as they were at the change.
    pub errors: Vec<Count>,
    /// Why it goes no further, in a sentence; empty: it does.
    pub held: String,
    /// Who.
    pub uid: u32,
    /// That user's name.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What one life of an instance counted, since it started.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Count {
    /// `web#2`
    pub instance: String,
    /// Which life.
    pub incarnation: u64,
    /// What went well.
    pub ok: u64,
    /// What did not.
    pub errors: u64,
}

/// Something was taken back because of a service: is it still sick after a window?
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct After {
    /// When.
    pub at: Moment,
    /// How far it went.
    pub went: Went,
    /// So many abnormal exits of one service …
    pub crashes: u32,
    /// … within this time are too many: as the change that was taken back had it.
    pub within: Duration,
    /// So many of them there were before that change.
    pub before: u32,
}

/// How far the guard went for a service.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[serde(rename_all = "snake_case")]
pub enum Went {
    /// A change that was watched was taken back.
    Back,
    /// Every guarded flag that counts for the service went to its last good value.
    LastGood,
}

/// One flag and what it is to be again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Restore {
    /// Which.
    pub flag: String,
    /// What held before; `None`: nobody had set it.
    pub old: Option<Truth>,
    /// What the change made of it: evidence for people.
    pub new: Option<Truth>,
}

/// What must not be set again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ban {
    /// Of the definition: another definition is not banned.
    pub digest: u64,
    /// In a sentence.
    pub why: String,
    /// The crash records that are the evidence.
    pub crashes: Vec<u64>,
    /// When.
    pub time: Wall,
}

/// What was taken back of a subject: for the cool-down and the freeze.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Past {
    /// When, oldest first; those of the last 24 hours.
    pub rollbacks: Vec<Moment>,
    /// Three within 24 hours: it stays as it is until a person says otherwise.
    pub frozen: bool,
}

/// A rollout by steps.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Roll {
    /// What is rolled out.
    pub subject: Subject,
    /// The shares, in 1/100,000, rising.
    pub steps: Vec<u32>,
    /// The index of the step that is in force.
    pub step: u32,
    /// How each step is watched; its `bake` is the rollout's.
    pub guard: Guarding,
    /// What held before it began.
    pub back: Vec<Restore>,
    /// How it is.
    pub state: RollState,
    /// In a sentence, when it did not end well, or is held.
    pub outcome: String,
    /// The crash records that are the evidence, when the guard took it back.
    pub evidence: Vec<u64>,
    /// Who.
    pub uid: u32,
    /// That user's name.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// The number of its newest change.
    pub generation: u64,
    /// When it began.
    pub began: Wall,
    /// When it was last moved.
    pub moved: Wall,
}

/// How a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum RollState {
    /// A step bakes.
    Baking,
    /// It goes no further by itself: a service was sick before, or there is not enough to judge by.
    Held,
    /// The last step is proven.
    Done,
    /// It was taken back.
    RolledBack,
    /// Somebody else changed what it was rolling out, or ended it.
    Ended,
}

/// What a fact replaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Of [`Fact::Stood`].
    Stood(String),
    /// Of [`Fact::Watch`].
    Watch(Subject),
    /// Of [`Fact::Good`].
    Good(String),
    /// Of [`Fact::After`].
    After(String),
    /// Of [`Fact::Ban`].
    Ban(Subject),
    /// Of [`Fact::Past`].
    Past(Subject),
    /// Of [`Fact::Roll`].
    Roll(u64),
    /// Of [`Fact::Switch`].
    Switch,
    /// Of [`Fact::Fresh`].
    Fresh(u64),
    /// Of [`Fact::Run`].
    Run,
}

impl Fact {
    /// What it replaces.
    pub fn key(&self) -> Key {
        match self {
            Fact::Stood(name, _) => Key::Stood(name.clone()),
            Fact::Watch(subject, _) => Key::Watch(subject.clone()),
            Fact::Good(name, _) => Key::Good(name.clone()),
            Fact::After(service, _) => Key::After(service.clone()),
            Fact::Ban(subject, _) => Key::Ban(subject.clone()),
            Fact::Past(subject, _) => Key::Past(subject.clone()),
            Fact::Roll(number, _) => Key::Roll(*number),
            Fact::Switch(_) => Key::Switch,
            Fact::Fresh(generation, _) => Key::Fresh(*generation),
            Fact::Run(_) => Key::Run,
        }
    }

    /// True when nothing is left to be kept under its key.
    pub fn is_over(&self) -> bool {
        match self {
            Fact::Stood(_, fact) => fact.is_none(),
            Fact::Watch(_, fact) => fact.is_none(),
            Fact::Good(_, fact) => fact.is_none(),
            Fact::After(_, fact) => fact.is_none(),
            Fact::Ban(_, fact) => fact.is_none(),
            Fact::Past(_, fact) => fact.is_none(),
            Fact::Roll(_, fact) => fact.is_none(),
            Fact::Fresh(_, fact) => fact.is_none(),
            Fact::Switch(mode) => *mode == Mode::On,
            Fact::Run(_) => false,
        }
    }
}

impl Subject {
    /// The flag, or the migration.
    pub fn name(&self) -> &str {
        match self {
            Subject::Flag(name) | Subject::Stage(name, _) => name,
        }
    }

    /// The stage; 0: it is a flag.
    pub fn stage(&self) -> u32 {
        match self {
            Subject::Flag(_) => 0,
            Subject::Stage(_, stage) => *stage,
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Subject::Flag(name) => write!(f, "flag `{name}`"),
            Subject::Stage(migration, stage) => write!(f, "stage {stage} of `{migration}`"),
        }
    }
}

impl Moment {
    /// On the monotonic clock of its boot.
    pub fn mono(self) -> crate::time::Instant {
        crate::time::Instant::from_nanos(self.mono_ns)
    }

    /// How long ago `earlier` was, at least. Within one boot that is exact, whatever the wall clock did. Across boots it is
    /// what the wall clock says or what this boot has lasted, whichever is longer: a wall clock that was set back
    /// makes nothing last for ever.
    pub fn since(self, earlier: Moment) -> Duration {
        if self.boot == earlier.boot {
            return Duration::from_nanos(self.mono_ns.saturating_sub(earlier.mono_ns));
        }
        let wall = u64::try_from(self.wall.0.saturating_sub(earlier.wall.0)).unwrap_or(0);
        Duration::from_micros(wall).max(Duration::from_nanos(self.mono_ns))
    }
}
