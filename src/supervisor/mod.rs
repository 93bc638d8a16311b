//! The core: a tree of groups and services as a state machine. Pure: (state, now, event) → actions.

mod action;
mod event;
pub mod spec;

pub use action::{Action, ChildReport, End, GroupReport, Report, State};
pub use event::{Cause, Command, Event};
