//! Which file a process reads, and how it comes to another one (B7).
//!
//! One region of addresses shows the file of the moment; a successor is shown at the same addresses, while others read.
//! That is safe because every word proves of which file it is, and it means that no reader holds a pointer that must be
//! waited for. Nothing here blocks: who does not get the lock goes on with what it has. Nothing allocates but the opening
//! of a file.

use crate::sys::clock;
use crate::sys::mapping::Region;
use crate::sys::shared_file::{self, Identity};
use crate::time::{Duration, Instant};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// How often at most somebody looks whether the name still leads to the file that is mapped.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Between two attempts to open a file: doubled from the least to the most.
const TRY_LEAST: Duration = Duration::from_millis(1);
const TRY_MOST: Duration = Duration::from_millis(100);
/// How often at most a thread lets others go first while one of them exchanges the file: that takes some 50 µs.
const YIELDS: usize = 64;

/// Words of a header.
pub(crate) const HEADER_CELLS: usize = 16;
/// Numbers of a header that a reader needs at each read, beside the incarnation.
pub(crate) const FACTS: usize = 3;

/// A file that says of itself, provably, that it is one that can be shown.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) file: File,
    pub(crate) identity: Identity,
    pub(crate) header: [u64; HEADER_CELLS],
    pub(crate) bytes: usize,
    /// Every seal in it depends on this; not 0.
    pub(crate) incarnation: u64,
    /// Where its state is, and the word there while it is live.
    pub(crate) state: usize,
    pub(crate) live: u64,
    pub(crate) facts: [u64; FACTS],
}

/// Opens the file at a path of a directory.
pub(crate) type Open = fn(directory: &Path, path: &Path) -> io::Result<Candidate>;

/// The file that is shown.
pub(crate) struct Shown {
    directory: PathBuf,
    /// Its name, and the second link.
    names: [PathBuf; 2],
    open: Open,
    pub(crate) region: Region,
    /// Of the file that is shown; 0: none, or one is just being exchanged.
    pub(crate) incarnation: AtomicU64,
    /// What its state is while it is live, and where.
    pub(crate) live: AtomicU64,
    state: AtomicU64,
    /// See [`Candidate`].
    pub(crate) facts: [AtomicU64; FACTS],
    device: AtomicU64,
    inode: AtomicU64,
    /// The process that exchanges files, 0: none. Not a mutex: after a fork its holder may not exist.
    holder: AtomicU32,
    next_look: AtomicU64,
    next_try: AtomicU64,
    pause: AtomicU64,
}

/// The file that is shown, as of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) incarnation: u64,
    /// The state of it while it is live: of no other file, so it names it.
    pub(crate) live: u64,
    pub(crate) inode: u64,
    pub(crate) facts: [u64; FACTS],
}

impl Shown {
    /// Shows what is there now.
    pub(crate) fn new(directory: &Path, names: [PathBuf; 2], open: Open) -> Shown {
        let zero = || AtomicU64::new(0);
        let shown = Shown {
            directory: directory.to_owned(),
            names,
            open,
            // Without address space every read is lost, and is answered otherwise.
            region: Region::reserve().unwrap_or(Region::nothing()),
            incarnation: zero(),
            live: zero(),
            state: zero(),
            facts: [zero(), zero(), zero()],
            device: zero(),
            inode: zero(),
            holder: AtomicU32::new(0),
            next_look: zero(),
            next_try: zero(),
            pause: AtomicU64::new(TRY_LEAST.as_nanos() as u64),
        };
        shown.recover(clock::coarse());
        shown
    }

    /// The file that is shown, if it is live.
    #[inline]
    pub(crate) fn view(&self) -> Option<View> {
        let incarnation = self.incarnation.load(Ordering::Acquire);
        let live = self.live.load(Ordering::Relaxed);
        let state = self.state.load(Ordering::Relaxed) as usize;
        let [one, two, three] = &self.facts;
        let facts = [one, two, three].map(|fact| fact.load(Ordering::Relaxed));
        let inode = self.inode.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let exchanged = incarnation == 0 || self.incarnation.load(Ordering::Relaxed) != incarnation;
        let is_live = !exchanged && self.region.load(state) == live;
        // What is loaded after this is of a file that was live, or does not prove itself.
        fence(Ordering::Acquire);
        is_live.then_some(View { incarnation, live, inode, facts })
    }

    /// Looks, at most each [`LOOK_EVERY`], whether the name leads to another file than the one shown: one that lost its
    /// names while no writer lived is never marked retired.
    #[inline]
    pub(crate) fn look(&self, now: Instant) {
        let due = self.next_look.load(Ordering::Relaxed);
        if now.as_nanos() >= due {
            self.look_now(now, due);
        }
    }

    /// Whether the name leads to the file that is shown; when it leads to another, that one is shown from now on. One system
    /// call, at once: for an answer that a file without a name, which nobody retires, could not give.
    pub(crate) fn is_current(&self) -> bool {
        let current = shared_file::look(&self.names[0]).is_ok_and(|look| look.identity == self.identity());
        if !current {
            self.attach();
        }
        current
    }

    #[cold]
    fn look_now(&self, now: Instant, due: u64) {
        let next = (now + LOOK_EVERY).as_nanos();
        if self.next_look.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return; // Another thread does it.
        }
        if let Ok(look) = shared_file::look(&self.names[0])
            && look.identity != self.identity()
        {
            self.attach();
        }
    }

    /// Tries to open a file again, unless that was tried a moment ago; when another thread does just that, waits a
    /// little for it. Look again afterwards, whatever it says: true when this call showed a file that was not shown before.
    #[cold]
    pub(crate) fn recover(&self, now: Instant) -> bool {
        let now = now.as_nanos();
        let due = self.next_try.load(Ordering::Relaxed);
        if now < due {
            self.await_exchange();
            return false;
        }
        let pause = match self.pause.load(Ordering::Relaxed) {
            // Long ago: this is another trouble, not the same again.
            pause if now - due > 4 * pause => TRY_LEAST.as_nanos() as u64,
            pause => pause,
        };
        if self.next_try.compare_exchange(due, now + pause, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            self.await_exchange();
            return false; // Another thread does it.
        }
        self.pause.store((2 * pause).min(TRY_MOST.as_nanos() as u64), Ordering::Relaxed);
        let changed = self.attach();
        if changed {
            // It helped, so the next trouble is another one: try at once, and soon again.
            self.next_try.store(now, Ordering::Relaxed);
            self.pause.store(TRY_LEAST.as_nanos() as u64, Ordering::Relaxed);
        }
        changed
    }

    /// Waits until no other thread exchanges the file, but not long: it may be stopped.
    fn await_exchange(&self) {
        for _ in 0..YIELDS {
            if self.holder.load(Ordering::Acquire) != process::id() {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Shows the live file that the name leads to, or else the second link. True when that is a change.
    fn attach(&self) -> bool {
        if !self.lock() {
            self.await_exchange();
            return false;
        }
        let changed = self
            .names
            .iter()
            .filter_map(|name| (self.open)(&self.directory, name).ok())
            .find(Candidate::is_live)
            .is_some_and(|found| self.show(&found));
        self.holder.store(0, Ordering::Release);
        changed
    }

    fn show(&self, found: &Candidate) -> bool {
        let shown = (0..HEADER_CELLS).all(|cell| self.region.load(cell) == found.header[cell])
            && self.region.load(found.state) == found.live;
        if shown && self.incarnation.load(Ordering::Relaxed) == found.incarnation {
            return false;
        }
        // Nobody takes a part of these for the whole.
        self.incarnation.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        let mapped = self.region.show(found.file.as_fd(), found.bytes).is_ok();
        self.live.store(found.live, Ordering::Relaxed);
        self.state.store(found.state as u64, Ordering::Relaxed);
        for (fact, found) in self.facts.iter().zip(found.facts) {
            fact.store(found, Ordering::Relaxed);
        }
        self.device.store(found.identity.device, Ordering::Relaxed);
        self.inode.store(found.identity.inode, Ordering::Relaxed);
        if mapped {
            self.incarnation.store(found.incarnation, Ordering::Release);
        }
        mapped
    }

    /// Takes the lock if it is free, or held by a process that is not this one: then this is a child of a
    /// fork, and the thread that held it stayed in the parent.
    fn lock(&self) -> bool {
        let me = process::id();
        match self.holder.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => true,
            Err(holder) if holder == me => false,
            Err(other) => {
                self.holder.compare_exchange(other, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
            }
        }
    }

    fn identity(&self) -> Identity {
        Identity { device: self.device.load(Ordering::Relaxed), inode: self.inode.load(Ordering::Relaxed) }
    }
}

impl Candidate {
    /// No successor stands: as the file says itself.
    fn is_live(&self) -> bool {
        shared_file::read_words::<1>(&self.file, self.state).is_ok_and(|[state]| state == self.live)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.region.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &Path, _: &Path) -> io::Result<Candidate> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn shown() -> Shown {
        Shown::new(Path::new("/"), ["/none".into(), "/none".into()], nothing)
    }

    #[test]
    fn b7_a_lock_that_a_fork_left_behind_is_taken_over() {
        let shown = shown();
        assert!(shown.lock());
        assert!(!shown.lock(), "another thread of this process has it");
        // As after a fork: the holder is the parent.
        shown.holder.store(process::id().wrapping_add(1), Ordering::Relaxed);
        assert!(shown.lock());
    }

    #[test]
    fn b7_attempts_to_open_are_rate_limited() {
        let shown = shown();
        let mut now = clock::coarse() + Duration::from_secs(10);
        shown.recover(now);
        let mut gaps = Vec::new();
        for _ in 0..9 {
            let next = Instant::from_nanos(shown.next_try.load(Ordering::Relaxed));
            gaps.push(next.since(now).as_millis());
            now = next;
            shown.recover(now);
        }
        assert_eq!(gaps, [1, 2, 4, 8, 16, 32, 64, 100, 100]);
    }
}
