//! The core's rules, each as a test named by a sentence. `otp` holds what OTP's supervisor does, by the ids of its
//! behaviours; the rest is mainstay's own.

mod commands;
mod every_death;
mod failing;
mod fresh;
mod groups;
mod limits;
mod order;
mod otp;
mod rig;
