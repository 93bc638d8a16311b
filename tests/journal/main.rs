//! The journal under damage, torn tails, full and failing disks (J1–J5).
//!
//! What must hold: the longest proven prefix is found, and never a record more; a damaged byte never
//! becomes a wrong value; the epoch of a journal is never used again.

#![allow(clippy::unwrap_used)]

#[path = "../support/disk.rs"]
mod disk;
mod disks;
mod lives;
mod proof;
mod written;
