//! What the guard decides.

use super::record::{Probe, Subject};
use crate::flags::Planned;
use crate::time::Instant;

/// Something to be done now. One at a time: when it is done and its facts were told to
/// [`Guard::learn`](super::Guard::learn), the guard is asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What it is.
    pub act: Act,
    /// The change that does it: committed (and when the disk fails, published nevertheless), then learnt. Empty for
    /// [`Act::Run`] only.
    pub change: Planned,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A watched change is taken back, and banned. What failed is to be started again with a fresh restart budget (the
    /// change has [`Fact::Fresh`](super::Fact::Fresh)).
    RollBack(Reason),
    /// The same would be done, but the guard only observes.
    Observed(Reason),
    /// Nothing is baking and the service is still sick: what counts for it goes to its last good value.
    LastGood(Reason),
    /// And still: to its safe value.
    Safe(Reason),
    /// A change has baked.
    Prove {
        /// Which.
        subject: Subject,
        /// The number of the change that was watched.
        generation: u64,
    },
    /// A step has baked, and the next one comes; or that was the last.
    Step {
        /// The rollout.
        roll: u64,
    },
    /// It goes no further, and why is new.
    Hold {
        /// Which.
        subject: Subject,
        /// In a sentence.
        why: String,
    },
    /// Only facts change: who counts, which run this is, what is over. Nobody needs to be told.
    Note,
    /// This command is to be run, and what it says told as [`Input::Said`](super::Input::Said).
    Run {
        /// For which watch.
        subject: Subject,
        /// The number of the change that is watched.
        generation: u64,
        /// What.
        probe: Probe,
    },
}

/// Why something is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What; of last good and safe values, the flag or stage that was taken back last, if any was.
    pub subject: Option<Subject>,
    /// The number of the change that was watched; 0: none.
    pub generation: u64,
    /// Because of this service; empty: because of none.
    pub service: String,
    /// What told.
    pub signal: Signal,
    /// In a sentence.
    pub why: String,
    /// The crash records that are the evidence.
    pub evidence: Vec<u64>,
    /// When the last piece of evidence happened.
    pub seen: Instant,
}

/// What tells that a change does harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Too many abnormal exits.
    Crashes,
    /// The supervisor gave up.
    GaveUp,
    /// Not ready in time, after a restart.
    NeverReady,
    /// Failed health checks.
    Unhealthy,
    /// Too many errors.
    Errors,
    /// A command.
    Probe,
    /// Supervisor or host died while it baked.
    Starts,
}
