//! One group: whether its members may run, and what it counts about them.
//!
//! | phase | moves on | when |
//! |---|---|---|
//! | `Open` | `Falling` | a member died and the strategy takes others with it, a limit was reached, or a command |
//! | `Falling` | by [`Then`] | the last process of the members that fall is gone |
//! | `BackingOff` | `Open` | `until` came: the members from `from` start again |
//! | `GaveUp` | `Open` | somebody starts it |
//!
//! Invariant: the members that a group holds down (`Node::held`) are those from `from` on in `Falling` and
//! `BackingOff`, all in `GaveUp`, none in `Open`. A group whose own parent holds it is started afresh when
//! it is let go, whatever its phase was.

use super::facts::Facts;
use super::intensity::Window;
use super::positions::Positions;
use super::spec::{self, ChildId, Strategy};
use crate::time::Instant;

/// What a group is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its members run, or start, each by itself.
    Open,
    /// The members from `from` on are going down, newest first; `remaining` of them still have a process.
    Falling { from: u32, remaining: u32, then: Then },
    /// They are down and stay so until then. `fresh`: the group itself died and begins a new life.
    BackingOff { from: u32, until: Instant, fresh: bool },
    /// All members are down and stay so.
    GaveUp,
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
    /// The group died of its limit; this child was the last straw.
    Escalate(ChildId),
    /// It stays down (`on_limit = "park"`).
    Park,
    /// The group could not be started, because this child could not (OTP A09).
    StartFailed(ChildId),
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
        }
    }
}

/// Whether its members start one after the other and stop in reverse: under OTP semantics (A11, K07), and
/// where a member may rely on those before it (`rest_for_one`).
pub(super) fn is_ordered(policy: &spec::Group) -> bool {
    policy.otp || policy.strategy == Strategy::RestForOne
}
