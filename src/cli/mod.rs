//! The command line: what was typed, what it means, text out.

pub mod act;
pub mod args;
pub mod caller;
pub mod check;
pub mod crash;
pub mod duration;
pub mod error;
pub mod flag;
pub mod here;
pub mod logs;
pub mod narrate;
pub mod output;
pub mod select;
pub mod signal;
pub mod status;
pub mod table;
pub mod tree;
pub mod wait;
pub mod why;
