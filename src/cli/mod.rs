//! The command line: what was typed, what it means, text out.

pub mod args;
pub mod check;
pub mod duration;
pub mod here;
pub mod signal;
