//! What the supervisor answers.

use super::{Event, Grace};
#[cfg(doc)]
use super::{Request, What};
use crate::time::Wall;
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What the supervisor answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The supervisor itself.
    Head(Head),
    /// One instance.
    Service(Service),
    /// One group.
    Group(Group),
    /// One event.
    Event(Event),
    /// So many events before the next are gone from the ring.
    Missed {
        /// How many.
        count: u64,
    },
    /// This node was acted on.
    Acted {
        /// The instance's name.
        instance: String,
        /// The main process before it, 0 when there was none.
        pid: u32,
        /// Its state when this was said, empty when it is not there any more; answering [`Request::Revise`]:
        /// `added`, `removed` or `restarted`.
        state: String,
    },
    /// A group, counted.
    Counts(Counts),
    /// One member of a group.
    Which(Which),
    /// One thing that is, or would be, different.
    Difference(Difference),
    /// A rolling restart has begun; its end is [`What::Rolled`].
    Rolling {
        /// Its number.
        roll: u32,
    },
    /// What is wrong with the file, for people; several in a row are one text.
    Diagnostics {
        /// A part of the text.
        text: String,
    },
    /// That was all. `cursor`: the newest event when the request was taken.
    Done {
        /// The newest event when the request was taken.
        cursor: u64,
    },
    /// It was not done.
    Refused(Refusal),
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Refusal {
    /// The exit code that this means for a command line (see [`crate::exit_code`]).
    pub code: u8,
    /// What happened and where.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

/// The supervisor itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Head {
    /// The project's name.
    pub project: String,
    /// The configuration file; empty for `run -- CMD`.
    pub config: String,
    /// The supervisor's pid.
    pub pid: u32,
    /// Since it started.
    pub up_ns: u64,
    /// Restarts of the user's services in the last hour.
    pub restarts_hour: u32,
    /// True while everything is being stopped.
    pub shutting_down: bool,
    /// Crash records that could not be written since the supervisor began.
    pub crashes_unwritten: u64,
    /// The newest event.
    pub cursor: u64,
}

/// One instance, as `status` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Service {
    /// `web`
    pub service: String,
    /// `web#2`
    pub instance: String,
    /// The group it is in; the root's name when in none.
    pub group: String,
    /// `waiting starting up ready stopping stopped finished backing_off gave_up`
    pub state: String,
    /// `up` or `down`.
    pub wanted: String,
    /// True when what is equals what is wanted.
    pub as_wanted: bool,
    /// The main process; 0: none.
    pub pid: u32,
    /// The number of its newest life; 0: none yet.
    pub incarnation: u64,
    /// Since exec of the present life; 0 when there is none.
    pub up_ns: u64,
    /// Restarts inside its window now.
    pub restarts: u32,
    /// Its own limit; 0: none.
    pub restarts_max: u32,
    /// The window of that limit.
    pub window_ns: u64,
    /// Backing off: until the next try. Else 0.
    pub retry_in_ns: u64,
    /// Processor time of the main process since exec, in nanoseconds.
    pub cpu_ns: u64,
    /// Resident memory of the main process, in bytes.
    pub memory: u64,
    /// What it waits for, or why it is not as wanted, in words; may be empty.
    pub because: String,
    /// What it needs, as the file names it: instances, and groups as `@name`.
    pub needs: Vec<String>,
    /// How its last life ended; `None` when none did.
    pub last_exit: Option<LastExit>,
    /// A built-in service of mainstay.
    pub builtin: bool,
}

/// How a life ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct LastExit {
    /// The exit code, if it exited.
    pub code: Option<u8>,
    /// The signal's number, if it was killed.
    pub signal: Option<i32>,
    /// A core was dumped.
    pub core: bool,
    /// A start that failed: which step and why, in words. Then there was no life.
    pub error: String,
    /// From exec to exit.
    pub lived_ns: u64,
    /// How long ago.
    pub ago_ns: u64,
    /// When.
    pub time: Wall,
    /// The number of the crash record; 0 when there is none (it was asked to stop, or it was clean).
    pub crash: u64,
    /// It had been asked to stop.
    pub asked: bool,
    /// The kernel killed it because there was no memory left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oom: bool,
}

/// One group, as `tree` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The group it is in; empty for the root.
    pub parent: String,
    /// `one_for_one`, `one_for_all`, `rest_for_one`.
    pub strategy: String,
    /// Its shared window, 0 when it has none: restarts allowed.
    pub intensity: u32,
    /// Length of that window.
    pub period_ns: u64,
    /// Names of its members in order; groups as `@name`.
    pub members: Vec<String>,
}

/// OTP's four counts of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Counts {
    /// Whose.
    pub group: String,
    /// Members, running or not; of a pool: 1, its template.
    pub specs: u32,
    /// Members that run.
    pub active: u32,
    /// Members that are groups, running or not.
    pub supervisors: u32,
    /// Members that are services, running or not.
    pub workers: u32,
}

/// One member of a group, as OTP's `which_children` says it, with its specification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Which {
    /// `web#2`, `@app`.
    pub name: String,
    /// The group that it is a member of.
    pub group: String,
    /// `worker` or `supervisor`.
    pub kind: String,
    /// It is a member of a pool: its name means nothing to `terminate`.
    pub pool: bool,
    /// `running`, `restarting`, `undefined`.
    pub child: String,
    /// The main process; 0: none.
    pub pid: u32,
    /// `permanent`, `transient`, `temporary`.
    pub restart: String,
    /// How long its stop may take; of a group: for ever.
    pub shutdown: Option<Grace>,
    /// Its end may end its group.
    pub significant: bool,
    /// It was added at run time.
    pub added: bool,
    /// It is not in the file any more; a reload kept it.
    pub kept: bool,
}

/// One difference between two plans.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Difference {
    /// An instance, `@group`, or `flag NAME`.
    pub name: String,
    /// What becomes of it.
    pub change: Changed,
    /// What differs, in words.
    pub why: Vec<String>,
}

/// What becomes of something that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// New.
    Added,
    /// Stopped and gone.
    Removed,
    /// Stopped and started.
    Restarted,
    /// Changed without anybody noticing.
    InPlace,
}

/// How many are added, removed, restarted and changed in place. By OTP's rule nothing is removed or restarted.
pub fn tally(differences: &[Difference], otp: bool) -> (u32, u32, u32, u32) {
    let of = |change| differences.iter().filter(|one| one.change == change).count() as u32;
    let (added, removed) = (of(Changed::Added), of(Changed::Removed));
    let (restarted, in_place) = (of(Changed::Restarted), of(Changed::InPlace));
    if otp { (added, 0, 0, in_place + restarted) } else { (added, removed, restarted, in_place) }
}
