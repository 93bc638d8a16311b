//! Readers in C and Python beside the one in Rust: the same answers to the same questions, about sound boards and damaged
//! ones; the same decisions about a million ids; the same notes in the black box.

mod agree;
mod answers;
mod boards;
#[path = "../support/damage.rs"]
mod damage;
mod programs;
mod seen;
mod torture;
