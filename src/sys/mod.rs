//! The only system calls and the only unsafe code; one file per concern, safe outside.

pub mod clock;
pub mod disk;
pub mod launch;
pub mod pidfd;
pub mod process;
pub mod signal;
pub mod user;
