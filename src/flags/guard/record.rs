//! What of the guard, of migrations and of rollouts must outlive the keeper: facts, each a record of the journal.

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
    /// A change that is watched, under the number of the change that began it; `None`: it is over.
    Watch(u64, Option<Watch>),
    /// What a flag was set to when its last bake ended proven.
    Good(String, Option<Truth>),
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

/// A change that is watched: the armed record, on the disk before the value is published.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Watch {
    /// What was changed.
    pub subject: Subject,
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
    /// When it was published, on the monotonic clock of the boot below.
    pub at_ns: u64,
    /// Which boot that was.
    pub boot: u64,
    /// When, for people.
    pub time: Wall,
    /// So many runs of the supervisor began while it baked whose predecessor ended without a goodbye.
    pub starts: u32,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
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
    pub rollbacks: Vec<Wall>,
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
    /// In a sentence, when it did not end well.
    pub outcome: String,
    /// Who.
    pub uid: u32,
    /// That user's name.
    pub actor: String,
    /// Why.
    pub reason: String,
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
