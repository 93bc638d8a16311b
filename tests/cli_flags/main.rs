//! The verbs of flags, migrations and the guard against a keeper that is made up: what they ask, what they print, how
//! they end. In a pipe and on a terminal, every byte. The real keeper has tests of its own.

#[path = "../support/mod.rs"]
mod support;

mod changes;
mod guard;
mod reads;
mod rig;
mod rollouts;
mod stages;
