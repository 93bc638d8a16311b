//! The telemetry service as a process of its own: from black boxes to its file and to a collector, whatever becomes of it.
#![allow(clippy::unwrap_used)]

mod collector;
mod datagrams;
#[path = "../support/disk.rs"]
mod disk;
mod exporting;
mod flow;
mod killed;
mod rig;
#[path = "../support/mod.rs"]
mod support;
mod tree;
mod unwell;
