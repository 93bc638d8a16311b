//! Pipes: looking into one without taking from it, and moving bytes from one to another.
//!
//! Nothing here blocks: the descriptors are expected to be non-blocking, and every call asks for that too.

use super::clock;
use crate::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, ioctl_fionread};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};
use std::ffi::CStr;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// A new pipe, (read end, write end): non-blocking, closed on exec.
pub fn nonblocking() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?)
}

/// Whether all other ends are closed, or something can be read, within so long.
pub fn closed_within(end: impl AsFd, most: Duration) -> io::Result<bool> {
    let until = clock::now() + most;
    loop {
        let left = until.since(clock::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until one of these can be read: a pidfd when its process has ended. Returns at once after a signal, too.
pub fn readable_one_of(ends: &[&dyn AsFd]) -> io::Result<()> {
    let mut watched: Vec<PollFd<'_>> =
        ends.iter().map(|end| PollFd::from_borrowed_fd(end.as_fd(), PollFlags::IN)).collect();
    match poll(&mut watched, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A description of its own for the read end of the same pipe, non-blocking.
///
/// Non-blocking is a property of the description, which `end` may share with other processes: they must
/// not find their end changed. Needs `/proc`.
pub fn reopen_for_reading(end: impl AsFd) -> io::Result<OwnedFd> {
    reopen(end, OFlags::RDONLY)
}

/// The same for its write end. Allocates nothing.
pub fn reopen_for_writing(end: impl AsFd) -> io::Result<OwnedFd> {
    reopen(end, OFlags::WRONLY)
}

fn reopen(end: impl AsFd, how: OFlags) -> io::Result<OwnedFd> {
    let mut path = [0; 32];
    write!(&mut path[..], "/proc/self/fd/{}\0", end.as_fd().as_raw_fd())?;
    let path = CStr::from_bytes_until_nul(&path).map_err(io::Error::other)?;
    Ok(open(path, how | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?)
}

/// How many bytes are waiting to be read.
pub fn waiting(end: impl AsFd) -> io::Result<u64> {
    Ok(ioctl_fionread(end)?)
}

/// How many bytes it holds when every one of its pages is full.
pub fn capacity(end: impl AsFd) -> io::Result<usize> {
    Ok(fcntl_getpipe_size(end)?)
}

/// Makes its capacity `bytes`; the kernel rounds up to pages and to a power of two.
pub fn set_capacity(end: impl AsFd, bytes: usize) -> io::Result<()> {
    fcntl_setpipe_size(end, bytes)?;
    Ok(())
}

/// Copies at most `length` bytes into another pipe; the source keeps them. 0 when there are none.
pub fn tee(from: impl AsFd, to: impl AsFd, length: usize) -> io::Result<usize> {
    none_is_zero(rustix::pipe::tee(from, to, length, SpliceFlags::NONBLOCK))
}

/// Moves at most `length` bytes into another pipe or a file. 0 when there are none, or no room.
pub fn splice(from: impl AsFd, to: impl AsFd, length: usize) -> io::Result<usize> {
    none_is_zero(rustix::pipe::splice(from, None, to, None, length, SpliceFlags::NONBLOCK))
}

fn none_is_zero(result: Result<usize, Errno>) -> io::Result<usize> {
    match result {
        Err(Errno::AGAIN) => Ok(0),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_look_takes_nothing_and_a_move_takes_exactly_what_was_asked() {
        let (a_read, a_write) = nonblocking().unwrap();
        let (b_read, b_write) = nonblocking().unwrap();
        std::fs::File::from(a_write).write_all(b"hello").unwrap();
        assert_eq!(tee(&a_read, &b_write, 64).unwrap(), 5);
        assert_eq!((waiting(&a_read).unwrap(), waiting(&b_read).unwrap()), (5, 5));
        assert_eq!(splice(&a_read, &b_write, 2).unwrap(), 2);
        let mut copy = [0; 7];
        std::fs::File::from(b_read).read_exact(&mut copy).unwrap();
        assert_eq!(&copy, b"hellohe");
        assert_eq!(waiting(&a_read).unwrap(), 3);
    }

    #[test]
    fn an_own_description_leaves_the_shared_one_blocking() {
        let (read, _write) = std::io::pipe().unwrap();
        let own = reopen_for_reading(&read).unwrap();
        assert!(rustix::fs::fcntl_getfl(&own).unwrap().contains(OFlags::NONBLOCK));
        assert!(!rustix::fs::fcntl_getfl(&read).unwrap().contains(OFlags::NONBLOCK));
    }
}
