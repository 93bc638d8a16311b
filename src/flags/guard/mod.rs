//! The guard: it watches each change of a guarded flag while it bakes, and takes it back when services begin
//! to die. Pure.

mod record;

pub use record::{
    Ban, Errors, Fact, Guarding, Mode, Past, Probe, Restore, Roll, RollState, Stood, Subject, Watch,
};
