//! OTP's administrative calls, restarts, shutdowns and reloads with real processes, from the command line.
//!
//! Each test of `otp` carries the id of the behaviour in OTP.md that it shows. All waiting is for events.

// Helpers of a test may fail by panic, as the tests do.
#![allow(clippy::unwrap_used)]

mod helper;
mod otp;
mod reload;
mod rig;
mod scale;
#[path = "../support/mod.rs"]
mod support;
