//! The behaviours of OTP.md that involve a process, a signal or a status.

mod calls;
mod ends;
mod falls;
mod pools;
mod restarts;
mod significant;
mod starts;
mod trees;
