//! The numbered stream of events: a bounded ring of compact notes.
//!
//! A note is small and owns no text unless it must, so that a thousand deaths at once cost no allocation;
//! names are put in when somebody reads ([`super::public`]). Numbers rise by one for ever, also across
//! supervisors of one project: the ledger keeps the next one.

use crate::ipc::control::What;
use crate::supervisor::Cause;
use crate::supervisor::spec::{ChildId, GroupId, Incarnation};
use crate::time::{Duration, Instant, Wall};
use std::collections::VecDeque;

/// How many events are kept.
pub const CAPACITY: usize = 8192;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The whole tree, a flag, or a file: the note says.
    Tree,
    /// One life of an instance.
    Child(ChildId, Incarnation),
    /// A group.
    Group(GroupId),
}

/// A duration as it is kept here: half as large. 584 years are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nanos(u64);

impl Nanos {
    /// As a number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl From<Duration> for Nanos {
    fn from(duration: Duration) -> Nanos {
        Nanos(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Why a death is abnormal whatever its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The kernel needed its memory.
    OutOfMemory,
    /// It was ended because it missed its watchdog.
    Watchdog,
    /// It was ended because too many of its health checks in a row failed.
    Unhealthy,
}

/// What happened, compactly. The public form is [`What`].
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    Waiting,
    Starting {
        pid: u32,
    },
    Up {
        after: Nanos,
    },
    Ready {
        after: Nanos,
        away: Nanos,
    },
    /// As [`Note::Ready`], and what it said with that.
    ReadyWith(Box<(Nanos, Nanos, Box<str>)>),
    StartFailed(Box<(String, String)>),
    NeverReady {
        within: Nanos,
        detail: Box<str>,
    },
    Stopping,
    Killing,
    Exited {
        cause: Cause,
        lived: Nanos,
        asked: bool,
        abnormal: bool,
        crash: u32,
        pid: u32,
        restart: u32,
        shutdown_error: bool,
        fault: Option<Fault>,
    },
    BackingOff {
        wait: Nanos,
        attempt: u32,
    },
    Stopped,
    Finished,
    GaveUp,
    GroupRestarting(ChildId),
    LimitReached(ChildId),
    GroupGaveUp,
    Ignored,
    Removed,
    GroupAutoShutdown(ChildId),
    ShutdownErrors {
        cause: Cause,
        count: u32,
    },
    AllUp {
        after: Nanos,
    },
    /// A health check failed: how many in a row, and what was found.
    Unhealthy(Box<(u32, String)>),
    ShuttingDown,
    /// Anything rare: the name that it is about (a flag's, or none), and its public form.
    Other(Box<(String, What)>),
}

/// One event. Its number follows from its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub time: Wall,
    pub at: Instant,
    pub subject: Subject,
    pub note: Note,
}

/// The newest events.
pub struct Ring {
    entries: VecDeque<Entry>,
    next: u64,
}

impl Ring {
    /// An empty ring whose first event gets the number `next`.
    pub fn new(next: u64) -> Ring {
        Ring { entries: VecDeque::new(), next: next.max(1) }
    }

    /// The number of the newest event; 0 before the first.
    pub fn newest(&self) -> u64 {
        self.next - 1
    }

    /// The number of the oldest event that is kept; of the next one when none is.
    pub fn oldest(&self) -> u64 {
        self.next - self.entries.len() as u64
    }

    /// Appends an event, forgetting the oldest when the ring is full. Returns its number too.
    pub fn push(&mut self, at: Instant, time: Wall, subject: Subject, note: Note) -> (u64, &Entry) {
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
        }
        let seq = self.next;
        self.next += 1;
        self.entries.push_back(Entry { time, at, subject, note });
        (seq, self.entries.back().expect("an entry was just pushed"))
    }

    /// The kept events from this moment on, each with its number, the newest first.
    pub fn since(&self, moment: Instant) -> impl Iterator<Item = (u64, &Entry)> {
        let numbered = (self.oldest()..self.next).rev().zip(self.entries.iter().rev());
        numbered.take_while(move |(_, entry)| entry.at >= moment)
    }

    /// The groups that kept events are about.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.entries.iter().filter_map(|entry| match entry.subject {
            Subject::Group(group) => Some(group),
            Subject::Tree | Subject::Child(..) => None,
        })
    }

    /// The kept events after the number `after`, each with its own, and how many between are gone.
    pub fn after(&self, after: u64) -> (u64, impl Iterator<Item = (u64, &Entry)>) {
        let oldest = self.oldest();
        let wanted = after.saturating_add(1);
        let missed = oldest.saturating_sub(wanted);
        let skip = wanted.saturating_sub(oldest).min(self.entries.len() as u64) as usize;
        (missed, (oldest + skip as u64..).zip(self.entries.range(skip..)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: u64) -> Ring {
        let mut ring = Ring::new(1);
        for _ in 0..count {
            ring.push(Instant::ZERO, Wall(0), Subject::Tree, Note::ShuttingDown);
        }
        ring
    }

    fn check(count: u64, after: u64, missed: u64, first: Option<u64>) {
        let ring = filled(count);
        let (lost, mut rest) = ring.after(after);
        assert_eq!((lost, rest.next().map(|(seq, _)| seq)), (missed, first), "{count} events, after {after}");
    }

    #[test]
    fn a_reader_gets_what_came_after_its_cursor() {
        check(0, 0, 0, None);
        check(5, 0, 0, Some(1));
        check(5, 3, 0, Some(4));
        check(5, 5, 0, None);
        check(5, 99, 0, None);
        check(5, u64::MAX, 0, None);
    }

    #[test]
    fn a_slow_reader_is_told_how_many_it_missed() {
        let full = CAPACITY as u64;
        check(full + 10, 0, 10, Some(11));
        check(full + 10, 4, 6, Some(11));
        check(full + 10, 10, 0, Some(11));
    }

    #[test]
    fn numbers_go_on_where_an_earlier_supervisor_stopped() {
        let mut ring = Ring::new(41);
        assert_eq!(ring.newest(), 40);
        assert_eq!(ring.push(Instant::ZERO, Wall(0), Subject::Tree, Note::ShuttingDown).0, 41);
    }

    #[test]
    fn an_entry_is_small() {
        assert!(std::mem::size_of::<Entry>() <= 64, "{}", std::mem::size_of::<Entry>());
    }
}
