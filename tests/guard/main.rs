//! The guard, in a keeper without a process.

mod keeper;
mod rows;
