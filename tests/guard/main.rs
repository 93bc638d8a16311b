//! The guard, in a keeper without a process.

mod judge;
mod keeper;
#[path = "../sim/random.rs"]
mod random;
mod rows;
mod sim;
mod world;
