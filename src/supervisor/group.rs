//! One group: whether its members may run, and what it counts about them.
//!
//! | phase | moves on | when |
//! |---|---|---|
//! | `Open` | `Falling` | a member died and the strategy takes others with it, a limit was reached, or a command |
//! | `Falling` | by [`Then`] | the last process of the members that it holds down is gone |
//! | `BackingOff` | `Open` | `until` came: the members that it holds down start again |
//! | `Closed` | `Open` | somebody starts it |
//!
//! Invariant: a group holds members down (`Member::held`) in `Falling` and `BackingOff`, all of them in
//! `Closed`, none in `Open`. A group whose own parent holds it is started afresh when it is let go, whatever
//! its phase was.

use super::action::End;
use super::event::Cause;
use super::facts::Facts;
use super::intensity::Window;
use super::positions::Positions;
use super::spec::{self, Strategy};
use crate::time::Instant;

/// What a group is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its members run, or start, each by itself.
    Open,
    /// The members that it holds are going down, newest first; `remaining` of them still have a process.
    Falling { remaining: u32, then: Then },
    /// They are down and stay so until then. `fresh`: the group itself died and begins a new life.
    BackingOff { until: Instant, fresh: bool },
    /// All members are down and stay so.
    Closed(Why),
}

/// Why a group is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its limit, or its parent's patience with it, is used up.
    GaveUp,
    /// Its significant members have done their work (OTP M), and it is not permanent.
    Finished,
}

/// What follows when a fall is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The same members start again: at once, or at this moment.
    Restart(Option<Instant>),
    /// The group begins a new life: somebody wanted it.
    Fresh,
    /// Nothing: somebody stopped the group meanwhile.
    Rest,
    /// It ends, as this says: its limit, its significant members, or a child that could not be started (A09).
    End(End),
    /// It stays down (`on_limit = "park"`).
    Park,
}

/// One group, as of now.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// What it is doing.
    pub(super) phase: Phase,
    /// How many members have each fact; the index is the fact's bit.
    pub(super) counts: [u32; Facts::COUNT],
    /// The shared window.
    pub(super) window: Window,
    /// Members that have yet to come up in this start of the group; only the first of them may start.
    /// Always empty in a group without order.
    pub(super) line: Positions,
    /// Members that are going down; only the last of them gets its stop. Empty in a group without order.
    pub(super) leaving: Positions,
    /// Its first start is not over yet: under OTP semantics a child that fails now fails the group (A09).
    pub(super) initial: bool,
    /// Since when its start has been complete.
    pub(super) healthy: Option<Instant>,
    /// Somebody stopped it as a whole: there is no such supervisor now (C13).
    pub(super) stopped: bool,
    /// That was while the group around it took it down: it comes after that one's restart (C24), which leaves it down.
    pub(super) stopped_meanwhile: bool,
    /// This start was a command: under OTP semantics its failure is not retried (C16).
    pub(super) commanded: bool,
    /// It is no longer wanted: it goes when its last member has gone.
    pub(super) doomed: bool,
    /// Nobody has this number.
    pub(super) vacant: bool,
    /// And somebody may get it.
    pub(super) free: bool,
    /// It is no member of its parent now, and becomes one again when that begins a new life (L02).
    pub(super) dormant: bool,
    /// The newest reload does not have it; it is kept until its parent begins a new life (N05).
    pub(super) kept: bool,
    /// Under OTP semantics: the members, as nodes, that each new life of the group begins with, in order.
    pub(super) list: Vec<u32>,
    /// How many members are children; the others are groups.
    pub(super) workers: u32,
    /// Of a pool that goes down: how its members ended otherwise than asked, and how many of them.
    pub(super) shutdown_errors: Vec<(Cause, u32)>,
}

impl Group {
    pub(super) fn new(policy: &spec::Group) -> Group {
        let ordered = if is_ordered(policy) { policy.members.len() } else { 0 };
        Group {
            phase: Phase::Open,
            counts: [0; Facts::COUNT],
            window: Window::default(),
            line: Positions::new(ordered),
            leaving: Positions::new(ordered),
            initial: false,
            healthy: None,
            stopped: false,
            stopped_meanwhile: false,
            commanded: false,
            doomed: false,
            vacant: false,
            free: false,
            dormant: false,
            kept: false,
            list: Vec::new(),
            workers: 0,
            shutdown_errors: Vec::new(),
        }
    }
}

/// Whether its members start one after the other and stop in reverse: under OTP semantics (A11, K07), and
/// where a member may rely on those before it (`rest_for_one`). A pool stops all at once (D14).
pub(super) fn is_ordered(policy: &spec::Group) -> bool {
    policy.pool.is_none() && (policy.otp || policy.strategy == Strategy::RestForOne)
}
