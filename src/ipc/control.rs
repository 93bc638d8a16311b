//! What clients and the supervisor say to each other. Data only.
//!
//! A connection carries one request; the answer is one or more [`Reply`] frames, the last of which is
//! [`Reply::Done`] or [`Reply::Refused`]. Messages are flat, so that no frame nests.

use crate::time::Wall;
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// [`Reply::Head`], then one [`Reply::Service`] an instance and one [`Reply::Group`] a group in the
    /// order of the tree (several in a row for a group of more than 500 members), then `Done`. `all`: the built-in services too.
    Status {
        /// The built-in services too.
        #[serde(default)]
        all: bool,
    },
    /// The number of the newest event, as `Done`.
    Cursor,
    /// The events after this number ([`Reply::Event`]), oldest first, preceded by [`Reply::Missed`] when
    /// some are no longer there. `follow`: no `Done`, but what comes later as it happens.
    Events {
        /// Only later ones.
        #[serde(default)]
        after: u64,
        /// Goes on.
        #[serde(default)]
        follow: bool,
    },
    /// Do something with the nodes that these patterns name: `web`, `web#2`, `'worker*'`, `@group`.
    /// Answered by one [`Reply::Acted`] a node, then `Done` with the cursor from *before* the act.
    Act {
        /// What.
        verb: Verb,
        /// With what; empty: with every service of the user (`stop --all`).
        #[serde(default)]
        targets: Vec<String>,
        /// For [`Verb::Kill`]: the signal's number.
        #[serde(default)]
        signal: i32,
        /// Says what would be done, and does nothing.
        #[serde(default)]
        dry_run: bool,
    },
    /// Everything down in order, then the supervisor ends. `Done` when it has begun; the connection is
    /// closed when everything is down.
    Shutdown,
}

/// What can be done with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Wanted up.
    Start,
    /// Wanted down.
    Stop,
    /// Stopped and started.
    Restart,
    /// A signal to the main process, by pidfd; what follows is an ordinary death.
    Kill,
}

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
        /// The main process, 0 when there is none.
        pid: u32,
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

/// One numbered event.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Event {
    /// Its number; rises by one, also across supervisors of one project.
    pub seq: u64,
    /// When, for people.
    pub time: Wall,
    /// When, on the monotonic clock.
    pub mono_ns: u64,
    /// `web`; the group's name for group events; the flag's for flag events; empty for the whole tree.
    pub service: String,
    /// `web#2`; empty when it is not about an instance.
    pub instance: String,
    /// Which life; 0 when it is not about one.
    pub incarnation: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// It waits for what it needs.
    Waiting,
    /// exec succeeded: there is a process. `command` is what is executed, shortened.
    Starting {
        /// The main process.
        pid: u32,
        /// For people.
        command: String,
    },
    /// Up, and no readiness is declared.
    Up {
        /// Since exec.
        after_ns: u64,
    },
    /// Ready.
    Ready {
        /// Since exec.
        after_ns: u64,
        /// How it was found out: `tcp 8080`, `output`, `notify`.
        how: String,
        /// Since the death of the life before, when this one is a restart; else 0.
        away_ns: u64,
    },
    /// The start failed; `error` names step and cause.
    StartFailed {
        /// "changing directory to `/srv/web`: No such file or directory (os error 2)"
        error: String,
        /// What to do.
        hint: String,
    },
    /// Not ready in time; it is being ended.
    NeverReady {
        /// How long it was given.
        within_ns: u64,
        /// What was seen meanwhile, in words ("port 8080 is answered by pid 812 (nginx)"); may be empty.
        detail: String,
    },
    /// It was asked to stop.
    Stopping,
    /// Its grace was over.
    Killing,
    /// The main process ended.
    Exited {
        /// The exit code, if it exited.
        code: Option<u8>,
        /// `SIGKILL`, if it was killed by a signal.
        signal: Option<String>,
        /// A core was dumped.
        core: bool,
        /// From exec to exit.
        lived_ns: u64,
        /// It had been asked to stop.
        asked: bool,
        /// It counts as abnormal.
        abnormal: bool,
        /// The crash record's number; 0: none.
        crash: u64,
        /// The main process that was.
        pid: u32,
        /// It is started again: for the how-manieth time within its window. 0: it is not.
        restart: u32,
        /// Its limit; 0: none.
        max: u32,
    },
    /// It will be tried again.
    BackingOff {
        /// From this event.
        in_ns: u64,
        /// Restarts in its window, this one included.
        attempt: u32,
        /// Its limit; 0: none.
        max: u32,
    },
    /// Down as wanted.
    Stopped,
    /// Down, its work is done.
    Finished,
    /// Down, its limit is reached.
    GaveUp {
        /// The limit.
        max: u32,
        /// The window.
        within_ns: u64,
    },
    /// A group is restarting because of this instance.
    GroupRestarting {
        /// The instance.
        by: String,
    },
    /// A group's window is used up.
    LimitReached {
        /// The offender.
        by: String,
    },
    /// A group stays down.
    GroupGaveUp,
    /// Everything wanted is up.
    AllUp {
        /// Since the supervisor started, or since it was last true.
        after_ns: u64,
    },
    /// The supervisor is stopping everything.
    ShuttingDown,
    /// A flag has a new value.
    FlagChanged {
        /// Before.
        old: String,
        /// Now.
        new: String,
        /// The board's generation.
        generation: u64,
        /// Who.
        actor: String,
        /// Why; may be empty.
        reason: String,
    },
    /// Something in the runtime directory was damaged and is whole again.
    Repaired {
        /// What, and what was found.
        what: String,
    },
    /// Something is wrong that services do not notice (a full disk, a failing keeper).
    Warning {
        /// In words.
        message: String,
    },
}
