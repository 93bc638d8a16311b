//! What the guard knows and need not remember.

use super::{Decision, Fact, Input, Moment};
use crate::flags::{Planned, View};
use crate::time::Instant;

/// The guard. All that it knows is volatile: it can be thrown away at any moment, and made anew from the facts, from what
/// the supervisor says to a new life of the keeper, and from the ring of events.
#[derive(Clone, Debug, Default)]
pub struct Guard {}

impl Guard {
    /// One that knows nothing yet. All facts of the journal are to be told to [`learn`](Guard::learn) before anything else.
    pub fn new() -> Guard {
        Guard::default()
    }

    /// Takes in a fact: all of them at the start, then those of each change when it is committed.
    pub fn learn(&mut self, fact: &Fact) {
        let _ = fact;
        unimplemented!()
    }

    /// Takes in what it is told, as of `now`.
    pub fn handle(&mut self, now: Instant, input: Input) {
        let _ = (now, input);
        unimplemented!()
    }

    /// Puts what it knows into the watches of a change that is about to be committed: who has read, and what was counted before.
    /// Called for every planned change of a client.
    pub fn arm(&self, change: &mut Planned) {
        let _ = change;
        unimplemented!()
    }

    /// The number of the event after which it wants all; `None`: it wants none (while nothing is watched).
    pub fn wants(&self) -> Option<u64> {
        unimplemented!()
    }

    /// What is to be done now, as the change `generation`; `None`: nothing before [`next_deadline`](Guard::next_deadline) or
    /// something else is told. To be asked after everything that was told, and again until it says `None`. Whoever reads
    /// black boxes reads the one of a life that has just ended before asking.
    pub fn decide(&mut self, now: Moment, view: &View, generation: u64) -> Option<Decision> {
        let _ = (now, view, generation);
        unimplemented!()
    }

    /// When it is to be asked again.
    pub fn next_deadline(&self) -> Option<Instant> {
        unimplemented!()
    }
}
