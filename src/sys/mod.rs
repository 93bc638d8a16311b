//! The only system calls and the only unsafe code; one file per concern, safe outside.

pub mod cgroup;
pub mod clock;
pub mod directory;
pub mod disk;
pub mod futex;
pub mod inherited;
pub mod launch;
pub mod log_pipe;
pub mod mapping;
pub mod memory;
pub mod oom;
pub mod pidfd;
pub mod pipe;
pub mod port;
pub mod process;
pub mod procfs;
pub mod ready;
pub mod shared_file;
pub mod sigbus;
pub mod signal;
pub mod socket;
pub mod strays;
pub(crate) mod stream;
pub mod user;
pub mod watch;
