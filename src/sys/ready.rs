//! Waiting for any of a few descriptors: for loops that are rebuilt each time round, not for thousands.

use crate::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::BorrowedFd;

/// What is awaited of one descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    /// Which.
    pub fd: BorrowedFd<'a>,
    /// That it can be read.
    pub read: bool,
    /// That it can be written.
    pub write: bool,
}

/// Waits until one of them is ready, has failed or was hung up; which of them, in their order. None of
/// them: the time is over, or a signal came.
///
/// # Errors
/// The system is out of memory.
pub fn wait(wants: &[Want<'_>], within: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> = wants
        .iter()
        .map(|want| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, want.read);
            flags.set(PollFlags::OUT, want.write);
            PollFd::from_borrowed_fd(want.fd, flags)
        })
        .collect();
    let within = within.map(|d| Timespec {
        tv_sec: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: d.subsec_nanos().into(),
    });
    match poll(&mut polled, within.as_ref()) {
        Ok(_) => Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
        Err(Errno::INTR) => Ok(vec![false; wants.len()]),
        Err(e) => Err(e.into()),
    }
}
