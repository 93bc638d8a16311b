//! The core's rules, each as a test named by a sentence and by the ids of the behaviours that it shows.

mod commands;
mod cost;
mod every_death;
mod groups;
mod limits;
mod one_for_one;
mod order;
mod otp_start;
mod rig;
mod stopping;
