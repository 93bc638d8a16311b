//! One instance of a service: what is wanted of it ([`Goal`]) and what it is doing ([`Phase`]).
//!
//! | phase | moves on | when |
//! |---|---|---|
//! | `Idle` | `Waiting`, `Launching` | it is wanted up |
//! | `Waiting` | `Launching` | what it needs is there, it is its turn, and no group holds it down |
//! | `BackingOff` | `Waiting`, `Launching` | `until` came |
//! | `Launching` | `Starting`, `Running` | exec was done; with a declared readiness or without |
//! | `Starting` | `Running` | it is ready |
//! | | `Stopping` | `give_up_at` came: counts as one abnormal death |
//! | `Running` | `Stopping` | it is wanted down, and all that depends on it and goes down too is gone |
//! | | `Stopping` | it failed: counts as one abnormal death |
//! | `Stopping` | itself, killed | the grace is over: SIGKILL, once |
//! | any with a process | `Clearing` | its main process ended and helpers are left (S3, Q08) |
//! | | `Idle`, `Waiting`, `BackingOff`, `Launching` | nothing of this life is left |
//!
//! Invariant: an instance has at most one life, and a life begins only in a phase without a process.

use super::event::Cause;
use super::spec::{Child, Incarnation};
use crate::time::Instant;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// It shall run.
    Up,
    /// It did its work, and its restart type says that it is not started again. `clean`: it ended
    /// normally, so whatever needs it may start.
    Done { clean: bool },
    /// Its own limit was reached (S8); it stays down until somebody starts it.
    Parked,
    /// Somebody stopped it, or it does not start by itself.
    Down,
}

/// What is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No process, and none is wanted.
    Idle(Rest),
    /// No process; one is wanted, and something is not there yet.
    Waiting,
    /// No process until then.
    BackingOff { until: Instant },
    /// The start was asked for and not yet answered.
    Launching,
    /// exec was done at `since`; it has to be ready by `give_up_at`.
    Starting { since: Instant, give_up_at: Instant },
    /// As good as it gets since `healthy`: exec, or readiness when that is declared.
    Running { since: Instant, healthy: Instant },
    /// The stop signal was sent. `failed`: not because it was wanted down, but because it never got ready, or
    /// failed while it ran.
    Stopping { since: Instant, force: Force, failed: bool },
    /// The main process is gone; what it left behind was sent the stop signal too.
    Clearing { force: Force },
}

/// Why there is no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It just died, or the tree was not started yet: what follows is decided before the event is over.
    Unsettled,
    /// That is wanted.
    Stopped,
    /// Its work is done.
    Finished,
    /// Its own limit was reached.
    GaveUp,
}

/// What follows a stop signal that is not obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
    /// SIGKILL at this moment.
    At(Instant),
    /// Nothing, ever (OTP `infinity`).
    Never,
    /// SIGKILL was sent. It is never repeated.
    Done,
}

/// What is remembered of a life that failed while it ran, until it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Since when it had been as good as it gets; `None`: it never was.
    pub(super) healthy: Option<Instant>,
}

impl Phase {
    /// Whether there is a process, or may be one any moment.
    pub(super) fn alive(self) -> bool {
        match self {
            Phase::Idle(_) | Phase::Waiting | Phase::BackingOff { .. } => false,
            Phase::Launching
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Clearing { .. } => true,
        }
    }

    /// When time itself moves it on.
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Phase::BackingOff { until } => Some(until),
            Phase::Starting { give_up_at, .. } => Some(give_up_at),
            Phase::Stopping { force: Force::At(at), .. } | Phase::Clearing { force: Force::At(at) } => {
                Some(at)
            }
            Phase::Stopping { .. }
            | Phase::Clearing { .. }
            | Phase::Idle(_)
            | Phase::Waiting
            | Phase::Launching
            | Phase::Running { .. } => None,
        }
    }
}

/// One instance, as of now.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// What is wanted.
    pub(super) goal: Goal,
    /// What is.
    pub(super) phase: Phase,
    /// Its newest life; 0 before the first.
    pub(super) incarnation: Incarnation,
    /// It may not start before this moment, nor before a [`super::Event::Deadline`] said so.
    pub(super) not_before: Option<Instant>,
    /// It shall be stopped and started again (`restart`), once.
    pub(super) bounce: bool,
    /// The end of this life is an abnormal death, whatever its status.
    pub(super) failure: Option<Failure>,
    /// It was up, or failed, or was down for good at least once: whatever comes `after` it may start.
    pub(super) tried: bool,
    /// This start was a command, not the supervisor's own: under OTP semantics its failure is not retried
    /// (C16, I09).
    pub(super) commanded: bool,
    /// This start is a further try of a restart that failed, which under OTP semantics goes on whatever its restart type
    /// is by now.
    pub(super) retried: bool,
    /// It was added and never was up: if its start fails, it was never there (C15).
    pub(super) fresh: bool,
    /// Somebody stopped it while a group took it down: that comes after the group's restart (C24), which leaves it down.
    pub(super) stopped_meanwhile: bool,
    /// It is removed when it is down, whatever its restart type says.
    pub(super) doomed: bool,
    /// The newest reload does not have it; it is kept (N05).
    pub(super) kept: bool,
    /// It is no member now, and becomes one again when its group begins a new life under OTP semantics: it is in
    /// the list that the group starts from (L02).
    pub(super) dormant: bool,
    /// Nobody has this number.
    pub(super) vacant: bool,
    /// And somebody may get it.
    pub(super) free: bool,
    /// Its entry on the work-list; 0: it has none.
    pub(super) ticket: u32,
}

impl Service {
    pub(super) fn new(policy: &Child) -> Service {
        Service {
            goal: if policy.autostart { Goal::Up } else { Goal::Down },
            phase: Phase::Idle(Rest::Unsettled),
            incarnation: Incarnation(0),
            not_before: None,
            bounce: false,
            failure: None,
            tried: false,
            commanded: false,
            retried: false,
            fresh: false,
            stopped_meanwhile: false,
            doomed: false,
            kept: false,
            dormant: false,
            vacant: false,
            free: false,
            ticket: 0,
        }
    }
}

impl Service {
    /// Whether it is no member of the tree.
    pub(super) fn is_gone(&self) -> bool {
        self.vacant || self.dormant
    }
}

/// Whether dying so is neither normal nor a shutdown in OTP's words: not code 0, not a code declared
/// clean, not the own stop signal. What nobody saw counts as abnormal.
pub(super) fn is_abnormal(policy: &Child, cause: Cause) -> bool {
    match cause {
        Cause::Code(code) => code != 0 && !policy.clean.contains(&code),
        Cause::Signal(signal, _) => signal != policy.stop_signal,
        Cause::Unknown => true,
    }
}
