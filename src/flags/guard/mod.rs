//! The guard: it watches each change of a guarded flag while it bakes, and takes it back when services begin
//! to die. Pure.
//!
//! What it must remember is [`Fact`]s of the journal, and holds as [`Facts`]. What it knows besides, [`Guard`], is volatile: it is
//! fed by [`Input`]s, and one that is made anew from the facts and from the supervisor's ring of events decides as
//! the one before would have.
//!
//! ```text
//! facts ─┐
//!        ├→ Guard::decide → Decision → one change of the journal → published → Guard::learn(its facts)
//! inputs ┘
//! ```

mod act;
mod decide;
mod decision;
mod facts;
mod input;
mod judge;
mod lives;
mod record;
mod standing;
mod state;
mod tally;

pub use decide::STARTS_MAX;
pub use decision::{Act, Decision, Reason, Signal};
pub use facts::Facts;
pub use input::{Event, Happened, Input, Verdict};
pub use judge::in_words;
pub use record::{
    After, Ban, Count, Errors, Fact, Guarding, Key, Mode, Moment, Past, Probe, Restore, Roll, RollState,
    Stood, Subject, Watch, Went,
};
pub use standing::{Standing, word};
pub use state::Guard;
