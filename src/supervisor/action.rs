//! Everything the core can want done, and everything it reports.

use super::event::Cause;
use super::spec::{ChildId, GroupId, Incarnation};
use crate::time::{Duration, Instant};

/// What must be done now.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start this life: ledger entry, empty cgroup, fork (S3). Answered by `Started` or `StartFailed`.
    Start(ChildId, Incarnation),
    /// Ask this life to end: the stop signal, then SIGCONT, to its main process; to its helpers when the
    /// main process is gone.
    Stop(ChildId, Incarnation),
    /// Send SIGKILL to everything of this life.
    Kill(ChildId, Incarnation),
    /// Tell whoever watches. Changes nothing.
    Report(Report),
    /// Everything is down; the supervisor may leave.
    End(End),
}

/// Why the tree ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Somebody asked for it.
    Shutdown,
    /// The root's restarts ran out (OTP I07): this child was the last straw.
    LimitReached(Option<ChildId>),
    /// OTP A09: this child could not be started when the tree was.
    StartFailed(ChildId),
    /// The root's significant members have done their work (OTP M03): this one was the last.
    Finished(ChildId),
}

/// A change worth telling.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// About one instance.
    Child {
        /// Which one.
        child: ChildId,
        /// Its newest life; 0 before the first.
        incarnation: Incarnation,
        /// What happened.
        what: ChildReport,
    },
    /// About one group.
    Group {
        /// Which one.
        group: GroupId,
        /// What happened.
        what: GroupReport,
    },
    /// A rolling restart ended: all its members are as good as it gets again; or this one is not, and those after
    /// it were left as they are.
    Rolled {
        /// The answer of [`super::Supervisor::roll`].
        roll: u32,
        /// How many were restarted.
        done: u32,
        /// Who did not come up.
        failed: Option<ChildId>,
    },
    /// Everything that is wanted up is up (or ready): once after boot, and again whenever it becomes
    /// true after it was not.
    AllUp,
}

/// What happened to an instance. The order of reports is the order of events (OTP P05).
#[derive(Clone, Debug, PartialEq)]
pub enum ChildReport {
    /// It will be started when what it needs is there.
    Waiting,
    /// A start was asked for.
    Starting,
    /// exec succeeded and no readiness is declared: as good as it gets.
    Up,
    /// Readiness was reported; `after` is the time since exec.
    Ready {
        /// Time since exec.
        after: Duration,
    },
    /// The start failed before exec.
    StartFailed,
    /// It was not ready in time and is being ended; its exit follows.
    NeverReady {
        /// How long it was given.
        within: Duration,
    },
    /// The stop signal was sent.
    Stopping,
    /// Its grace is over: SIGKILL was sent.
    Killing,
    /// The main process ended.
    Exited {
        /// How.
        cause: Cause,
        /// From exec to exit.
        lived: Duration,
        /// True when it was asked to stop.
        asked: bool,
        /// True when it counts as abnormal (OTP: neither normal nor shutdown), asked or not.
        abnormal: bool,
        /// It was asked to stop and ended otherwise than asked (OTP `shutdown_error`, K09). Pools are
        /// reported together, see [`GroupReport::ShutdownErrors`].
        shutdown_error: bool,
    },
    /// It will be started again at this moment: restart `attempt` in its window.
    BackingOff {
        /// When.
        until: Instant,
        /// Restarts in its own window, this one included.
        attempt: u32,
    },
    /// Down, because that is wanted.
    Stopped,
    /// Down, because its work is done and its restart type says so.
    Finished,
    /// Down, because its own limit was reached (S8).
    GaveUp,
    /// There was nothing to run (OTP `ignore`): no failure. `Finished` or `Removed` follows.
    Ignored,
    /// It is no member now, and will be one again when its group begins a new life (OTP L02): it was deleted, or
    /// vanishes when it ends, but the group starts from a list that has it.
    Left,
    /// It is no member any more: it was deleted, or it vanishes when it ends (OTP E07). The last report about it;
    /// its number names nobody until [`super::Supervisor::recycle`].
    Removed,
}

/// What happened to a group.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupReport {
    /// Its members are being stopped and started again because of this child.
    Restarting(ChildId),
    /// Its window is used up ("reached max restart intensity", OTP I07); `by` is the offender.
    LimitReached {
        /// The offender.
        by: ChildId,
    },
    /// All members are down and it stays so (`on_limit = "park"`, or its own limit in its parent).
    GaveUp,
    /// Its significant members have done their work (OTP M): this one was the last. All others go down.
    AutoShutdown {
        /// The significant member.
        by: ChildId,
    },
    /// A pool is down, and so many of its members did not end as they were asked to (OTP K11): once for each
    /// cause.
    ShutdownErrors {
        /// How they ended.
        cause: Cause,
        /// How many.
        count: u32,
    },
}

/// What an instance is doing, in the words of `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Wanted, but something that it needs is not there yet.
    Waiting,
    /// exec was done, readiness has not been reported.
    Starting,
    /// Running; no readiness declared.
    Up,
    /// Running and ready.
    Ready,
    /// Asked to stop, or its leftovers are.
    Stopping,
    /// Down as wanted.
    Stopped,
    /// Down because its work is done.
    Finished,
    /// Waiting for its next try.
    BackingOff,
    /// Its limit was reached.
    GaveUp,
}
