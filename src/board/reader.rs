//! Reading flags: what services link, and what `mainstay flag` uses.
//!
//! A read never blocks, never fails and never crashes, whatever happens to the file, the keeper or the
//! supervisor: it answers with a proven value, else with the last proven one marked stale, else with what
//! the keeper or the journal say, else with the caller's default (B7). No thread, no signal but the SIGBUS
//! guard, no allocation; handles and boards may be shared by threads and used after a fork.

use super::attachment::{Attachment, Search, View};
use super::fallback::{Answer, Fallback};
use super::flag::{Flag, look_sometimes};
use super::layout::FUTEX;
use super::snapshot::{self, Snapshot};
use crate::flags::{Body, Name, Packed, Prefix, Truth};
use crate::sys::{clock, futex};
use crate::time::Duration;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What the flag is set to; `None`: not known, so the caller's default holds.
    pub truth: Option<Truth>,
    /// Where that comes from.
    pub source: Source,
}

/// How good a [`Reading`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From a live board, and proven.
    Proven,
    /// The last that was proven: the board is damaged or gone, and being mended.
    Stale,
    /// There is no board; the keeper or the journal said so.
    Asked,
    /// Proven: no such flag is declared.
    Unknown,
    /// Nobody knows anything.
    Lost,
}

impl Reading {
    pub(super) const UNKNOWN: Reading = Reading { truth: None, source: Source::Unknown };
    pub(super) const LOST: Reading = Reading { truth: None, source: Source::Lost };

    pub(super) fn proven(truth: Truth) -> Reading {
        Reading { truth: Some(truth), source: Source::Proven }
    }
}

/// Where a flag was found that was looked up by name.
enum Place {
    Slot(View, usize),
    Told(Prefix),
    None,
}

/// The flags of one runtime directory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Board {
    pub(super) attachment: Arc<Attachment>,
}

impl Board {
    /// The board in this runtime directory. It need not exist yet.
    pub fn open(directory: &Path) -> Board {
        Board { attachment: Arc::new(Attachment::new(directory, None)) }
    }

    /// The same, with other ways to the truth while there is no board.
    pub fn open_with(directory: &Path, fallback: Box<dyn Fallback>) -> Board {
        Board { attachment: Arc::new(Attachment::new(directory, Some(fallback))) }
    }

    /// A handle to a flag, good for ever, whether the flag exists yet or not. Its reads answer `false`
    /// where the flag has no opinion; see [`Flag::or`]. A name that cannot be one is never known.
    pub fn flag(&self, name: &str) -> Flag {
        Flag::new(self.attachment.clone(), name)
    }

    /// Reads a flag by name. Use a handle where it is read often: it costs a tenth, and remembers.
    #[inline]
    pub fn read(&self, name: &str) -> Reading {
        self.look_up(name).0
    }

    /// Is the flag on for everybody? `default` where it has no opinion, is a share, or is not known.
    #[inline]
    pub fn is_on(&self, name: &str, default: bool) -> bool {
        self.read(name).truth.and_then(Truth::is_on).unwrap_or(default)
    }

    /// Is the flag on for this id?
    pub fn is_on_for(&self, name: &str, id: &str, default: bool) -> bool {
        match self.read_with_salt(name) {
            (Reading { truth: Some(truth), .. }, Some(prefix)) => truth.is_on_for(prefix, id),
            (Reading { truth, .. }, _) => truth.and_then(Truth::is_on),
        }
        .unwrap_or(default)
    }

    /// A reading, and what an id is hashed behind.
    pub fn read_with_salt(&self, name: &str) -> (Reading, Option<Prefix>) {
        let (reading, place) = self.look_up(name);
        let prefix = match place {
            Place::Slot(view, slot) => self.attachment.prefix(view, slot),
            Place::Told(prefix) => Some(prefix),
            Place::None => None,
        };
        (reading, prefix)
    }

    #[inline]
    fn look_up(&self, name: &str) -> (Reading, Place) {
        // What is too long, or has other characters, is not in the index.
        let Some(name) = Packed::new(name) else { return (Reading::UNKNOWN, Place::None) };
        look_sometimes(&self.attachment);
        match self.proven(&name) {
            Some(found) => found,
            None => self.look_up_slowly(&name),
        }
    }

    #[inline]
    fn proven(&self, name: &Packed) -> Option<(Reading, Place)> {
        let (view, slot) = match self.attachment.search(name) {
            Search::Found { view, slot } => (view, slot),
            Search::Absent => return Some((Reading::UNKNOWN, Place::None)),
            Search::Lost => return None,
        };
        let cell = view.header.layout.word(slot);
        let body = view.header.seal(cell).open(self.attachment.region.load(cell));
        fence(Ordering::Acquire);
        match Body::from_bits(body?)? {
            Body::Flag(truth) => Some((Reading::proven(truth), Place::Slot(view, slot))),
            Body::Removed => Some((Reading::UNKNOWN, Place::None)),
            Body::Unused => None,
        }
    }

    #[cold]
    fn look_up_slowly(&self, name: &Packed) -> (Reading, Place) {
        if name.text().is_none_or(|name| Name::new(&name).is_err()) {
            return (Reading::UNKNOWN, Place::None);
        }
        let now = clock::coarse();
        if self.attachment.recover(now)
            && let Some(found) = self.proven(name)
        {
            return found;
        }
        match self.attachment.ask(name, now) {
            None => (Reading::LOST, Place::None),
            Some(Answer::Unknown) => (Reading::UNKNOWN, Place::None),
            Some(Answer::Known { truth, salt }) => {
                let own = Prefix::of(name);
                let prefix = if salt.is_empty() { own } else { Prefix::new(&salt).unwrap_or(own) };
                (Reading { truth: Some(truth), source: Source::Asked }, Place::Told(prefix))
            }
        }
    }

    /// Every flag, all as of one moment.
    pub fn snapshot(&self) -> Snapshot {
        snapshot::take(&self.attachment)
    }

    /// The number of the last change; `None` when no board can be read.
    pub fn generation(&self) -> Option<u64> {
        let now = clock::coarse();
        self.attachment.look(now);
        self.attachment.generation().or_else(|| {
            self.attachment.recover(now);
            self.attachment.generation()
        })
    }

    /// Waits until the generation is another one than `seen`, and returns it; `None` after `timeout`.
    /// Sleeps on the board itself: no socket, and no polling but a look each 100 ms.
    pub fn wait(&self, seen: u64, timeout: Duration) -> Option<u64> {
        const MOST: Duration = Duration::from_millis(100);
        const MOST_WHILE_LOST: Duration = Duration::from_millis(2);
        let deadline = clock::now() + timeout;
        loop {
            let half = self.attachment.region.half(FUTEX);
            let value = half.map(|half| half.load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            let generation = self.generation();
            if generation.is_some_and(|generation| generation != seen) {
                return generation;
            }
            let left = deadline.since(clock::now());
            if left.is_zero() {
                return None;
            }
            let left = left.min(if generation.is_some() { MOST } else { MOST_WHILE_LOST });
            match (half, value) {
                (Some(half), Some(value)) if generation.is_some() => futex::wait(half, value, left),
                _ => futex::pause(left),
            }
        }
    }

    /// Why no board can be read in the directory now; `None` when one can.
    pub fn trouble(&self) -> Option<io::Error> {
        self.attachment.trouble()
    }
}
