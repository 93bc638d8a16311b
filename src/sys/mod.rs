//! The only system calls and the only unsafe code; one file per concern, safe outside.

pub mod clock;
pub mod disk;
pub mod futex;
pub mod launch;
pub mod mapping;
pub mod pidfd;
pub mod process;
pub mod shared_file;
pub mod sigbus;
pub mod signal;
pub mod user;
