//! The logger as a process: killed at every moment, and what it wrote compared byte by byte with what
//! services wrote.

#![allow(clippy::unwrap_used)]

#[path = "../support/disk.rs"]
mod disk;
mod itself;
mod kills;
mod lives;
#[path = "../support/logger_rig.rs"]
mod logger_rig;
mod made;
mod outputs;
#[path = "../support/stepper.rs"]
mod stepper;
