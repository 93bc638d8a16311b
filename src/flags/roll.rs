//! Rollouts: a flag, or a stage, comes in by steps, and each step bakes before the next.

use super::{Asking, Planned, Refused, Unit, View};
use crate::time::Duration;

/// How a flag is rolled out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The shares, in 1/100,000, rising.
    pub steps: Vec<u32>,
    /// How long each bakes; `None`: as declared, else five minutes.
    pub bake: Option<Duration>,
    /// `None`: as declared. Another one is an error.
    pub unit: Option<Unit>,
}

/// What becomes of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// It ends, and what it has brought in stays.
    End,
    /// It ends, and what held before it holds again.
    Back,
    /// A held one takes its next step.
    On,
}

/// Begins to roll out a flag; the first step comes with it. The number of the rollout is that of the [`Fact::Roll`] in
/// the plan.
///
/// # Errors
/// Nothing is changed.
///
/// [`Fact::Roll`]: super::guard::Fact::Roll
pub fn begin(view: &View, asking: &Asking, flag: &str, order: &Order) -> Result<Planned, Refused> {
    let _ = (view, asking, flag, order);
    unimplemented!()
}

/// Ends a rollout that is going on, takes it back, or lets a held one go on.
///
/// # Errors
/// Nothing is changed.
pub fn steer(view: &View, asking: &Asking, roll: u64, to: Steering) -> Result<Planned, Refused> {
    let _ = (view, asking, roll, to);
    unimplemented!()
}
