//! The whole thing with real processes: what must hold whatever is killed, deleted or damaged.

mod begins;
mod clients;
mod disks;
mod ends;
mod killed;
mod otp;
mod sleepers;
#[path = "../support/mod.rs"]
mod support;
