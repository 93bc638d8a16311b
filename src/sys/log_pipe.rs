//! A pipe for the output of a service that no death can break: one descriptor holds both ends.
//!
//! Opened for reading and writing, so neither the service nor the logger is ever the last at its end: a
//! writer gets no SIGPIPE, a reader no end of file, and what was written waits for the next logger. The
//! service writes to this very description; the logger opens one of its own from it, so that a reader
//! that does not wait makes no writer that does not.

use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

/// Both ends in one descriptor.
#[derive(Clone)]
pub struct LogPipe(Arc<OwnedFd>);

impl LogPipe {
    /// An empty pipe.
    ///
    /// # Errors
    /// No descriptors are left, or `/proc` is not mounted.
    pub fn new() -> io::Result<LogPipe> {
        let (read, _write) = pipe_with(PipeFlags::CLOEXEC)?;
        let path = format!("/proc/self/fd/{}", read.as_raw_fd());
        Ok(LogPipe(Arc::new(open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)))
    }

    /// The descriptor, for a service to write to and for the logger to open its own from.
    pub fn descriptor(&self) -> Arc<OwnedFd> {
        self.0.clone()
    }

    /// What a past life did to the flags of its output (O_NONBLOCK, say) does not reach the next.
    pub fn forget_flags(&self) {
        // It fails for no descriptor that is open.
        let _ = fcntl_setfl(&*self.0, OFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::{Errno, ioctl_fionbio, read, write};

    #[test]
    fn what_was_written_waits_and_nobody_sees_an_end() {
        let pipe = LogPipe::new().unwrap();
        write(&*pipe.descriptor(), b"last words").unwrap();
        let mut buffer = [0u8; 32];
        assert_eq!(read(&*pipe.0, &mut buffer).unwrap(), 10);
        ioctl_fionbio(&*pipe.0, true).unwrap();
        assert_eq!(read(&*pipe.0, &mut buffer), Err(Errno::AGAIN), "empty, not at its end");
    }

    #[test]
    fn the_next_life_does_not_inherit_non_blocking_output() {
        let pipe = LogPipe::new().unwrap();
        ioctl_fionbio(&*pipe.0, true).unwrap();
        pipe.forget_flags();
        assert!(!rustix::fs::fcntl_getfl(&*pipe.0).unwrap().contains(OFlags::NONBLOCK));
    }
}
