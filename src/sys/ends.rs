//! The ends of very many processes, awaited together: one descriptor that is readable while one of them has ended.

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// So many ends are taken at a time; more are there the next time.
const AT_ONCE: usize = 512;

/// Processes whose ends are awaited, each under a number of the caller's.
#[derive(Debug)]
pub struct Ends(OwnedFd);

impl Ends {
    /// Of nobody yet.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn new() -> io::Result<Ends> {
        Ok(Ends(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// Readable while one of them has ended.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Awaits the end of this process too. It must be forgotten before its descriptor is closed.
    ///
    /// # Errors
    /// It is awaited already, or no memory is left.
    pub fn add(&self, pidfd: impl AsFd, number: u64) -> io::Result<()> {
        Ok(epoll::add(&self.0, pidfd, EventData::new_u64(number), EventFlags::IN)?)
    }

    /// Awaits it no more.
    pub fn forget(&self, pidfd: impl AsFd) {
        let _ = epoll::delete(&self.0, pidfd);
    }

    /// The numbers of some that have ended; each time again until they are forgotten.
    ///
    /// # Errors
    /// Those of `epoll_wait`.
    pub fn take(&self) -> io::Result<Vec<u64>> {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut buffer = [MaybeUninit::<Event>::uninit(); AT_ONCE];
        match epoll::wait(&self.0, &mut buffer, Some(&now)) {
            Ok((events, _)) => Ok(events.iter().map(|event| event.data.u64()).collect()),
            Err(Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::pidfd;
    use std::process::{Command, Stdio};

    #[test]
    fn only_those_that_have_ended_are_told_and_until_they_are_forgotten() {
        let ends = Ends::new().unwrap();
        let mut children: Vec<_> = (0..3)
            .map(|_| Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
            .collect();
        let pidfds: Vec<_> = children.iter().map(|child| pidfd::open(child.id()).unwrap().unwrap()).collect();
        for (number, pidfd) in pidfds.iter().enumerate() {
            ends.add(pidfd, number as u64).unwrap();
        }
        assert!(ends.take().unwrap().is_empty());
        // Its input ends, and so does it.
        drop(children[1].stdin.take());
        let watched = crate::sys::ready::Want { fd: ends.fd(), read: true, write: false };
        crate::sys::ready::wait(&[watched], None).unwrap();
        assert!(pidfd::is_over(&pidfds[1]) && !pidfd::is_over(&pidfds[0]));
        assert_eq!((ends.take().unwrap(), ends.take().unwrap()), (vec![1], vec![1]));
        ends.forget(&pidfds[1]);
        assert!(ends.take().unwrap().is_empty());
        for mut child in children {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }

    #[test]
    fn what_a_process_had_open_is_closed_before_its_end_can_be_seen() {
        for _ in 0..20 {
            let mut child = Command::new("sh")
                .arg("-c")
                .arg("exec cat 7</dev/null 8</dev/null")
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let (pidfd, open) =
                (pidfd::open(child.id()).unwrap().unwrap(), format!("/proc/{}/fd", child.id()));
            drop(child.stdin.take());
            let ended = crate::sys::ready::Want { fd: pidfd.as_fd(), read: true, write: false };
            crate::sys::ready::wait(&[ended], None).unwrap();
            assert!(pidfd::peek(&pidfd).unwrap().is_some(), "it is not reaped");
            assert_eq!(std::fs::read_dir(open).map_or(0, Iterator::count), 0);
            child.wait().unwrap();
        }
    }
}
