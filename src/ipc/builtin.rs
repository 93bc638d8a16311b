//! What the supervisor and its built-in services say to each other, over the seqpacket pair that the
//! supervisor keeps both ends of: what is sent while a built-in is dead waits for its next life.

use super::control::{Event, What};
use super::seam::Seams;
use crate::time::Wall;
use bincode::{Decode, Encode};

/// Supervisor → logger.
///
/// Order for each new life of the logger (and for an adopted one, after the supervisor's own death; all of
/// it may be repeated): `Hello`, `Changed` as often as there was a change not long ago, every `Stream`, every unacknowledged `Death` and after it the `Life` of
/// each instance that runs, then `Begin`. Later ones as they come: `Death` after the reaping and before the next life begins,
/// which the pipes tell themselves ([`Seams`]); `Life` where they could not; `Stream` before the first `Life` of an instance that is added, `Gone` after
/// the last `Death` of one that is removed. An instance whose `Gone` was not answered yet is told to the next life
/// of the logger like any other, and its `Gone` after it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToLogger {
    /// Sent first to each life of the logger: how this run looks. What is met before it was meant for a life
    /// that is dead, and is passed over; only `Happened` is not. May be sent again when something in it has changed.
    Hello {
        /// Print services' lines and events to stdout and stderr (foreground run).
        foreground: bool,
        /// The longest name, for aligning columns.
        width: u32,
        /// The project.
        project: String,
        /// How the lives of an instance are told apart in its pipes.
        seams: Seams,
    },
    /// An instance that has output. With it come two descriptors: the read ends of stdout and stderr.
    /// Sent again to each life of the logger, and at any time: when an instance is added, or when something in it
    /// has changed. Other pipes or another name under the same number are another instance: the one before is
    /// gone, as by `Gone`.
    Stream {
        /// The instance's number.
        child: u32,
        /// `web`
        service: String,
        /// `web#2`
        instance: String,
        /// Rotate when larger than this many bytes.
        max_size: u64,
        /// How many files.
        files: u32,
        /// Report the first line of each life that contains this text.
        ready: Option<String>,
    },
    /// A life has begun, or is about to: sent before the fork when its pipes were too full for a seam, so that it is known
    /// at least; what the life before left in there is then told apart from its words only by when it is read. Sent again to each
    /// life of the logger for the instances that run; it re-arms [`FromLogger::ReadyLine`] (a second report
    /// of which changes nothing).
    Life {
        /// Whose.
        child: u32,
        /// Which.
        incarnation: u64,
        /// There was a seam before its words: if the logger has not met it yet, the life begins there.
        seam: bool,
    },
    /// A life has ended: drain what it wrote, mark the end in its log, write its crash record when
    /// `crash` is not 0. With it comes its black box when it says so. Sent again to the next life of the logger until it was acknowledged.
    Death(Death),
    /// Something happened that a person wants to see.
    Happened(Event),
    /// A change of a flag or a stage that happened before this life of the logger began, and not long ago: a death that it
    /// may be the cause of is told with it. Nobody is shown it again.
    Changed(Event),
    /// An instance is removed: nothing more will be written by it. What its pipes hold is taken to the last byte,
    /// its line and its life are ended in its log, and all descriptors for it are closed. Always answered by
    /// [`FromLogger::Forgotten`], also when nobody has this number.
    Gone {
        /// Whose.
        child: u32,
    },
    /// All that this life of the logger must know has been sent: from here on it reads pipes. Without it, a
    /// line that tells readiness could be taken before the life that awaits it is known.
    Begin,
}

/// One death, as the logger records it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Death {
    /// Rises by one with each death; what the acknowledgement names.
    pub seq: u64,
    /// The crash record's number, 0: none (it was asked to stop, or it was a clean end).
    pub crash: u64,
    /// Whose.
    pub child: u32,
    /// `web`
    pub service: String,
    /// `web#2`
    pub instance: String,
    /// Which life.
    pub incarnation: u64,
    /// The main process that was; 0 when the start failed.
    pub pid: u32,
    /// The exit code, if it exited.
    pub code: Option<u8>,
    /// The signal's number, if it was killed.
    pub signal: Option<i32>,
    /// A core was dumped.
    pub core: bool,
    /// What was wrong with it beside its status; `None` when the status says it all.
    pub fault: Option<Fault>,
    /// A start that failed, a readiness that never came, a watchdog that was missed, health checks that failed: in
    /// words. Else empty.
    pub error: String,
    /// From exec to exit.
    pub lived_ns: u64,
    /// When.
    pub time: Wall,
    /// When, on the monotonic clock.
    pub at_ns: u64,
    /// Restarts inside its window, this death's included.
    pub restarts: u32,
    /// Its limit; 0: none.
    pub restarts_max: u32,
    /// What it used, itself and the children that it waited for.
    pub used: Used,
    /// Its control group when it died, before the next life uses it; `None` where the kernel counts no memory for it.
    pub group: Option<GroupMemory>,
    /// Its black box, which comes with this message when it is [`BoxOf::Here`].
    pub blackbox: BoxOf,
    /// The number of the newest event when it died.
    pub cursor: u64,
}

/// Why a death is a failure whatever its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The kernel needed its memory.
    OutOfMemory,
    /// It was ended because it missed its watchdog.
    Watchdog,
    /// It was ended because too many of its health checks in a row failed.
    Unhealthy,
    /// It was ended because it was not ready in time.
    NeverReady,
}

/// What a life used, as `getrusage(2)` counts it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(default)]
pub struct Used {
    /// Processor time in its own code, nanoseconds.
    pub user_ns: u64,
    /// Processor time in the kernel, nanoseconds.
    pub system_ns: u64,
    /// The largest resident set, in bytes.
    pub memory_max: u64,
    /// Pages that had to be read from a disk.
    pub major_faults: u64,
    /// Pages that were there, or were only to be made.
    pub minor_faults: u64,
    /// Bytes read from disks.
    pub read_bytes: u64,
    /// Bytes written for disks.
    pub written_bytes: u64,
    /// How often it waited.
    pub waits: u64,
    /// How often it had to wait for its turn.
    pub preemptions: u64,
}

/// Memory of a control group, in bytes. A number that the kernel does not have is `None`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(default)]
pub struct GroupMemory {
    /// When the main process had ended: files in memory and helpers.
    pub now: Option<u64>,
    /// The most it ever was, over all lives that used the group.
    pub peak: Option<u64>,
    /// What it may be; `None` also when there is no limit.
    pub limit: Option<u64>,
    /// How many of its processes the kernel has killed because there was no memory left.
    pub oom_kills: Option<u64>,
    /// It is the group that the supervisor and all services are in: the life's own has no such counters.
    pub shared: bool,
}

/// What became of the black box of a life that died.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum BoxOf {
    /// It had none: it did not want one, or there were no descriptors left for it.
    #[default]
    None,
    /// Nothing was written into it, but for counters of successes and errors perhaps.
    Untouched,
    /// It comes with the message.
    Here,
    /// Too many died at once: it was let go.
    LetGo,
}

/// Logger → supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FromLogger {
    /// The awaited line was seen.
    ReadyLine {
        /// Whose.
        child: u32,
        /// Which life.
        incarnation: u64,
    },
    /// Deaths up to this number are recorded, or cannot be.
    Recorded {
        /// [`Death::seq`].
        seq: u64,
        /// So many of their crash records could not be written.
        unwritten: u32,
    },
    /// An instance that is gone has all its words in its log, and nothing is kept of it: its number may be given
    /// to another one. Comes after the [`FromLogger::Recorded`] of every death that was told before its
    /// [`ToLogger::Gone`].
    Forgotten {
        /// Whose.
        child: u32,
    },
    /// Something is wrong with a log or a crash record: a full disk, say.
    Trouble {
        /// In words.
        message: String,
    },
}

/// What the supervisor says of instances and lives to whoever wants to know of all: keeper and telemetry.
///
/// Order for each new life of theirs: every `Instance`, the `Life` of each instance that runs or left a black box when it
/// ended (then its `Ended` follows), then `Begin`. Later ones as they come: `Instance` and `Gone` when a child is added or
/// removed, `Life` when one has begun and before anything that happened in it, `Ended` when it is over. A life that is over
/// before it could be told is told when it is still the newest of its instance; to telemetry also when it left something. Of
/// the built-in services nothing is told.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Told {
    /// An instance that the tree has, whether it runs or not.
    Instance {
        /// Its number.
        child: u32,
        /// `web`
        service: String,
        /// `web#2`
        instance: String,
    },
    /// A life has begun; it may be over by now. With it comes its black box, unless none could be made.
    Life {
        /// Whose.
        child: u32,
        /// Which.
        incarnation: u64,
        /// Its main process.
        pid: u32,
    },
    /// A life is over.
    Ended {
        /// Whose.
        child: u32,
        /// Which.
        incarnation: u64,
    },
    /// An instance is removed.
    Gone {
        /// Whose.
        child: u32,
    },
    /// All that this life must know has been said.
    Begin,
}

/// Supervisor → keeper. `Hello` comes first, then the tree.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToKeeper {
    /// Said first to each life of the keeper.
    Hello {
        /// A random number, the same for all lives of the keeper under one supervisor.
        run: u64,
        /// True when the supervisor before this one ended without a goodbye: it, or the host, died.
        abrupt: bool,
    },
    /// Instances and lives.
    Tree(Told),
    /// Events before the next one that are gone from the ring, whatever they were about, after [`FromKeeper::Feed`].
    Missed {
        /// How many.
        count: u64,
    },
    /// The next event about an instance or a group of the user, after [`FromKeeper::Feed`].
    Happened(Event),
    /// A new listening socket comes with this; the old one's name is gone. Both are served.
    Listen,
    /// Look at the board now: something in the runtime directory changed.
    Look,
}

/// Keeper → supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FromKeeper {
    /// Something for the numbered stream of events: a flag changed, a stage was moved, the guard acted, the board was
    /// mended.
    Noted {
        /// The flag or the migration; may be empty.
        name: String,
        /// What.
        what: What,
    },
    /// From now on the keeper wants every event about lives: those after this one first.
    Feed {
        /// A number; 0: all that are kept.
        after: u64,
    },
    /// It wants no more events.
    Enough,
    /// The guard took something back: what failed of these services is started again with a fresh restart budget, once.
    Fresh {
        /// Names of services; empty: all.
        services: Vec<String>,
    },
}

/// Supervisor → telemetry. `Hello` comes first, then the tree.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToTelemetry {
    /// Said first to each life of telemetry.
    Hello {
        /// The project, which is the namespace of its services.
        project: String,
    },
    /// Instances and lives.
    Tree(Told),
    /// Boxes of lives that ended were let go before telemetry could be told of them: too many waited.
    Unseen {
        /// How many, since it was said last.
        count: u64,
    },
    /// A new socket of datagrams comes with this; the old one's name is gone. Both are heard.
    Listen,
}

/// Telemetry → supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FromTelemetry {
    /// Everything that the box of an ended life held is written.
    Drained {
        /// Whose.
        child: u32,
        /// Which.
        incarnation: u64,
    },
    /// What the life before left unfinished is taken up.
    Repaired {
        /// In words.
        what: String,
    },
    /// Something is wrong: a full disk, a collector that does not answer.
    Trouble {
        /// In words.
        message: String,
    },
}

/// Supervisor → registry.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToRegistry {
    /// A new listening socket comes with this; the old one's name is gone. Both are served.
    Listen,
}

/// Registry → supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FromRegistry {
    /// The table was damaged or gone, and stands again.
    Repaired {
        /// In words.
        what: String,
    },
    /// Something is wrong with the table or the log: a full disk, say.
    Trouble {
        /// In words.
        message: String,
    },
}
