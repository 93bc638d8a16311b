//! What the guard is told.

use super::Subject;
use crate::time::{Duration, Instant};

/// Something the guard is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// All that a new life of the keeper must know has been said (instances and lives). Before this, [`Input::Life`] is about
    /// lives that began at some earlier time.
    Begun {
        /// The supervisor's run; a random number.
        run: u64,
        /// The supervisor before this one ended without a goodbye.
        abrupt: bool,
    },
    /// The tree has this instance.
    Instance {
        /// `web`
        service: String,
        /// `web#2`
        instance: String,
    },
    /// It has it no more.
    Gone {
        /// `web#2`
        instance: String,
    },
    /// A life begins, or (before [`Input::Begun`]) is there.
    Life {
        /// `web#2`
        instance: String,
        /// Which.
        incarnation: u64,
    },
    /// Events before the next one are lost.
    Missed(u64),
    /// The next event.
    Happened(Event),
    /// By its black box, this life has read this flag.
    Read {
        /// `web#2`
        instance: String,
        /// Which life.
        incarnation: u64,
        /// Which flag, or migration.
        flag: String,
    },
    /// By its black box, this life has counted so much, in all.
    Counted {
        /// `web#2`
        instance: String,
        /// Which life.
        incarnation: u64,
        /// What went well.
        ok: u64,
        /// What did not.
        errors: u64,
    },
    /// What the command of a watch said, after [`Act::Run`](super::Act::Run).
    Said {
        /// Of which watch.
        subject: Subject,
        /// The number of the change that is watched: what is said of an older one is passed over.
        generation: u64,
        /// What.
        verdict: Verdict,
    },
}

/// An event of the supervisor's numbered stream: what of it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Rises by one. One that is not newer than the last is passed over, so telling again is harmless.
    pub seq: u64,
    /// When, on the monotonic clock.
    pub at: Instant,
    /// `web`; of a group's event, the group.
    pub service: String,
    /// `web#2`; empty when it is about a group.
    pub instance: String,
    /// Which life; 0 when it is not about one.
    pub incarnation: u64,
    /// What.
    pub what: Happened,
}

/// What happened. Whatever else is in the stream is told as [`Happened::Other`]: its number counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// There is a process.
    Starting,
    /// It is up, or ready.
    Up,
    /// The main process ended.
    Exited {
        /// It counts as abnormal: out of memory and a missed watchdog do, too.
        abnormal: bool,
        /// It had been asked to stop.
        asked: bool,
        /// The crash record's number; 0: none.
        crash: u64,
    },
    /// Not ready in time.
    NeverReady {
        /// How long it was given.
        within: Duration,
    },
    /// A health check failed.
    Unhealthy {
        /// So many in a row, this one included.
        in_a_row: u32,
    },
    /// It reached its limit of restarts and stays down.
    GaveUp,
    /// Its group reached its limit because of this instance.
    LimitReached {
        /// `web#2`
        by: String,
    },
    /// It is down, and nobody waits for it: stopped as wanted, finished, removed, nothing to run.
    Down,
    /// Anything else.
    Other,
}

/// What a command thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Exit 0.
    Good,
    /// Exit 1.
    Bad,
    /// Exit 2, anything else, or not in time.
    Unknown,
}
