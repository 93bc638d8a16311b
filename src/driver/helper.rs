//! Helpers: processes of this program that do what may take its time (a disk, a name service), write one answer and end,
//! so that the loop never waits.

use super::{Driver, Source};
use crate::cli::revision::{self, Revised};
use crate::sys::{clock, memory, pidfd};
use crate::time::{Duration, Instant};
use mio::Interest;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A helper that has not answered by then is ended: what it waits for is not ours to wait for.
const WITHIN: Duration = Duration::from_secs(60);

/// A helper at work.
pub struct Helper {
    /// Its process.
    pub pid: u32,
    pidfd: OwnedFd,
    answer: Arc<OwnedFd>,
    /// When it is ended, if it has not answered.
    pub deadline: Instant,
}

impl Helper {
    /// Its time is over. Its end is told like any other.
    pub fn end(&mut self) {
        let _ = pidfd::signal(&self.pidfd, libc::SIGKILL);
        self.deadline = clock::now() + WITHIN;
    }
}

impl Driver {
    /// Starts one; `source` tells of its end.
    ///
    /// # Errors
    /// There is no memory or no process for it.
    pub(super) fn begin_helper(
        &mut self,
        words: Vec<OsString>,
        source: impl Fn(u32) -> Source,
    ) -> Result<Helper, String> {
        let answer = Arc::new(memory::empty("mainstay.answer").map_err(|error| error.to_string())?);
        let started = self
            .program
            .helper(words, vec![self.plan.clone(), answer.clone()])
            .and_then(|mut launch| launch.start(&[], None))
            .map_err(|error| error.to_string())?;
        let _ = self.watch(source(started.pid), &started.pidfd, Interest::READABLE);
        let deadline = clock::now() + WITHIN;
        Ok(Helper { pid: started.pid, pidfd: started.pidfd, answer, deadline })
    }

    /// What a helper that has ended has found.
    ///
    /// # Errors
    /// It died before it had said that.
    pub(super) fn end_of_helper(&mut self, helper: &Helper) -> io::Result<Revised> {
        self.unwatch(&helper.pidfd);
        // It may have been reaped as a stranger; what counts is what it wrote.
        let _ = pidfd::reap(&helper.pidfd);
        revision::answer(&helper.answer)
    }
}
