//! A pipe for the output of a service that no death can break: one descriptor holds both ends.
//!
//! Opened for reading and writing, so neither the service nor the logger is ever the last at its end: a
//! writer gets no SIGPIPE, a reader no end of file, and what was written waits for the next logger. The
//! service writes to this very description; the logger opens one of its own from it, so that a reader
//! that does not wait makes no writer that does not.

use super::pipe;
use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

/// What the kernel makes a pipe hold, in bytes.
const CAPACITY: usize = 64 << 10;

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

    /// Writes all of these bytes, less than a page, or none.
    fn append(&self, bytes: &[u8]) -> bool {
        pipe::reopen_for_writing(&*self.0)
            .is_ok_and(|own| rustix::io::write(&own, bytes).is_ok_and(|written| written == bytes.len()))
    }

    /// Makes room in it; not twice, so that a service that nobody reads does not take more and more memory. Whether it did.
    fn grow(&self) -> bool {
        let larger = 2 * CAPACITY;
        pipe::capacity(&*self.0).is_ok_and(|now| now < larger) && pipe::set_capacity(&*self.0, larger).is_ok()
    }

    /// What a past life did to the flags of its output (O_NONBLOCK, say) does not reach the next.
    pub fn forget_flags(&self) {
        // It fails for no descriptor that is open.
        let _ = fcntl_setfl(&*self.0, OFlags::empty());
    }
}

/// Puts bytes of ours into log pipes, never waiting and never in part.
///
/// Not by a plain write: that would wait for a full pipe, and to make its description non-blocking would be to make those of the
/// service so. `tee` waits for nobody when it is asked not to, and is the quickest way. But it takes one of the sixteen pieces that
/// a pipe consists of, so it is for an empty pipe; into any other, of which somebody is behind with reading, the bytes are
/// written by a description of their own, and share a piece with what is there.
pub struct Stamp {
    read: OwnedFd,
    write: OwnedFd,
}

impl Stamp {
    /// One for all pipes.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn new() -> io::Result<Stamp> {
        let (read, write) = pipe::nonblocking()?;
        Ok(Stamp { read, write })
    }

    /// Puts these bytes, less than a page, behind what each pipe holds. A full pipe is made larger, once. Whether all have them.
    pub fn put(&self, bytes: &[u8], pipes: &[LogPipe]) -> bool {
        let mut all = rustix::io::write(&self.write, bytes) == Ok(bytes.len());
        for pipe in pipes {
            let length = bytes.len();
            let is_empty = pipe::waiting(&*pipe.0).is_ok_and(|bytes| bytes == 0);
            let teed = is_empty && pipe::tee(&self.read, &*pipe.0, length).is_ok_and(|teed| teed == length);
            all &= teed || pipe.append(bytes) || pipe.grow() && pipe.append(bytes);
        }
        let mut rest = [0; 64];
        while rustix::io::read(&self.read, &mut rest).is_ok_and(|read| read > 0) {}
        all
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
    fn a_stamp_is_behind_what_was_written_also_in_a_full_pipe_and_waits_for_nobody() {
        let (stamp, pipes) = (Stamp::new().unwrap(), [LogPipe::new().unwrap(), LogPipe::new().unwrap()]);
        let fill = |byte: u8| {
            ioctl_fionbio(&*pipes[0].0, true).unwrap();
            let full = [byte; CAPACITY];
            let written = write(&*pipes[0].0, &full);
            pipes[0].forget_flags();
            written
        };
        assert_eq!(fill(b'a'), Ok(CAPACITY));
        assert_eq!(fill(b'a'), Err(Errno::AGAIN));
        write(&*pipes[1].0, b"last words").unwrap();
        assert!(stamp.put(b"<seam>", &pipes));
        write(&*pipes[1].0, b"first words").unwrap();
        // However often: it shares pages with what is written.
        for n in 0..50 {
            assert!(stamp.put(b"<seam>", &pipes[1..]));
            write(&*pipes[1].0, format!("{n}").as_bytes()).unwrap();
        }
        let contents = |pipe: &LogPipe| {
            let mut bytes = vec![0; 4 * CAPACITY];
            let mut length = 0;
            while pipe::waiting(&*pipe.0).unwrap() > 0 {
                length += read(&*pipe.0, &mut bytes[length..]).unwrap();
            }
            bytes.truncate(length);
            bytes
        };
        let more: String = (0..50).map(|n| format!("<seam>{n}")).collect();
        assert_eq!(contents(&pipes[1]), format!("last words<seam>first words{more}").as_bytes());
        // It has room again, but not for more and more.
        while fill(b'b').is_ok() {}
        assert!(!stamp.put(b"<late>", &pipes), "one has no room");
        assert_eq!(contents(&pipes[1]), b"<late>");
        let first = contents(&pipes[0]);
        assert!(first.starts_with(&[b'a'; CAPACITY]) && first[CAPACITY..].starts_with(b"<seam>b"));
        assert!(stamp.put(b"<last>", &pipes));
        assert_eq!((contents(&pipes[0]), contents(&pipes[1])), (b"<last>".to_vec(), b"<last>".to_vec()));
    }

    #[test]
    fn the_next_life_does_not_inherit_non_blocking_output() {
        let pipe = LogPipe::new().unwrap();
        ioctl_fionbio(&*pipe.0, true).unwrap();
        pipe.forget_flags();
        assert!(!rustix::fs::fcntl_getfl(&*pipe.0).unwrap().contains(OFlags::NONBLOCK));
    }
}
