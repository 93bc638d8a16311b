//! A handle to one flag: found once, read in a nanosecond, good for ever.
//!
//! A read is three steps: the board's state says live; the flag's word opens under its seal; the body is
//! what it is set to. Whatever fails, the slow path finds the flag again by its name. The fields below
//! change one by one while others read them; no mixture of old and new is taken for a value, because the
//! word must open under a seal that was made for this flag on the board that the state belongs to.

use super::attachment::{Attachment, Search};
use super::fallback::Answer;
use super::layout::STATE;
use super::reader::{Reading, Source};
use crate::flags::{Body, Name, Prefix, Seal, Truth};
use crate::sys::clock;
use crate::sys::mapping::Spot;
use crate::time::Instant;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// A flag of a [`Board`](super::Board).
pub struct Flag {
    state: Spot,
    word: Spot,
    /// The word that the state of the board has while it is live; never matches before the first search.
    live: AtomicU64,
    /// The word that was last proven, or [`TOLD`] and the body that somebody told us; 0: nothing yet.
    last: AtomicU64,
    seal: AtomicU64,
    prefix: AtomicU64,
    name: Option<Name>,
    default: bool,
    attachment: Arc<Attachment>,
}

/// No word has this upper half and a body by chance more often than any other; a body behind it was told.
const TOLD: u64 = 0xffff_ffff << 32;

/// How often a read begins again because another thread noted a change of the same flag meanwhile; then the
/// last proven value is good enough.
const TRIES: usize = 8;

/// Reads of a thread between two looks at the clock, at most: the clock costs several reads.
const READS_PER_LOOK: u32 = 64;

thread_local! {
    /// Reads until the next look at the clock.
    static READS: Cell<u32> = const { Cell::new(1) };
    /// What the clock said at the last look, and how many reads were between it and the one before.
    static LOOKED: Cell<(Instant, u32)> = const { Cell::new((Instant::ZERO, 1)) };
}

/// Lets some reads of a thread look whether the board's name still leads to it, if it is time: each one
/// where they are rare, each 64th at most.
#[inline]
pub(super) fn look_sometimes(attachment: &Attachment) {
    let left = READS.get().wrapping_sub(1);
    READS.set(left);
    if left == 0 {
        look_at_the_clock(attachment);
    }
}

#[cold]
#[inline(never)]
fn look_at_the_clock(attachment: &Attachment) {
    let now = clock::coarse();
    // Twice as many reads each time while they all are within one tick of the clock; then from the start.
    let reads = match LOOKED.get() {
        (last, reads) if last == now => (2 * reads).min(READS_PER_LOOK),
        _ => 1,
    };
    LOOKED.set((now, reads));
    READS.set(reads);
    attachment.look(now);
}

impl Flag {
    pub(super) fn new(attachment: Arc<Attachment>, name: &str) -> Flag {
        let flag = Flag {
            state: Spot::new(&attachment.region, STATE),
            word: Spot::new(&attachment.region, 0),
            live: AtomicU64::new(u64::MAX),
            last: AtomicU64::new(0),
            seal: AtomicU64::new(0),
            prefix: AtomicU64::new(0),
            name: Name::new(name).ok(),
            default: false,
            attachment,
        };
        flag.find();
        flag
    }

    /// The same flag, whose reads answer `default` where it has no opinion: when it is disabled, unknown,
    /// a share without an id, or nobody can say.
    pub fn or(mut self, default: bool) -> Flag {
        self.default = default;
        self
    }

    /// Is it on for everybody?
    #[inline]
    pub fn is_on(&self) -> bool {
        look_sometimes(&self.attachment);
        match self.as_before().and_then(Body::plainly) {
            Some(on) => on,
            None => self.is_on_otherwise(),
        }
    }

    #[inline(never)]
    fn is_on_otherwise(&self) -> bool {
        self.truth().and_then(Truth::is_on).unwrap_or(self.default)
    }

    /// Is it on for this id, of 1 to 1024 bytes?
    #[inline]
    pub fn is_on_for(&self, id: &str) -> bool {
        look_sometimes(&self.attachment);
        let on = self
            .truth()
            .and_then(|truth| truth.is_on_for(Prefix::from_bits(self.prefix.load(Ordering::Relaxed)), id));
        on.unwrap_or(self.default)
    }

    /// What it is set to, and how good that answer is. Looks at the clock: 3 ns more than the others.
    pub fn read(&self) -> Reading {
        self.attachment.look(clock::coarse());
        match self.proven() {
            Some(truth) => Reading::proven(truth),
            None => self.read_slowly(),
        }
    }

    #[inline]
    fn truth(&self) -> Option<Truth> {
        match self.proven() {
            Some(truth) => Some(truth),
            None => self.read_slowly().truth,
        }
    }

    /// The body, when the board is live and the word is the one that was last proven: what nearly every read
    /// finds. Its seal was looked at when it was noted, so it is not computed again.
    #[inline]
    fn as_before(&self) -> Option<u32> {
        let last = self.last.load(Ordering::Relaxed);
        let state = self.state.load();
        // B7: the state first, as in `newly_proven`.
        fence(Ordering::Acquire);
        let word = self.word.load();
        fence(Ordering::Acquire);
        // Before the first proof, and after somebody told, `last` is no word that a cell can hold.
        (word == last && state == self.live.load(Ordering::Relaxed)).then_some(word as u32)
    }

    #[inline]
    fn proven(&self) -> Option<Truth> {
        if let Some(Body::Flag(truth)) = self.as_before().and_then(Body::from_bits) {
            return Some(truth);
        }
        self.newly_proven()
    }

    #[inline(never)]
    fn newly_proven(&self) -> Option<Truth> {
        for _ in 0..TRIES {
            let last = self.last.load(Ordering::Relaxed);
            let state = self.state.load();
            // B7: the state first. A board that is live now has every value that was published before now.
            fence(Ordering::Acquire);
            let word = self.word.load();
            fence(Ordering::Acquire);
            let body = Seal::from_bits(self.seal.load(Ordering::Relaxed)).open(word)?;
            if state != self.live.load(Ordering::Relaxed) {
                return None;
            }
            let Some(Body::Flag(truth)) = Body::from_bits(body) else { return None };
            // Not a plain store: a thread that was stopped here must not put an old word over a newer one.
            // And again when another thread was faster: what it put there may be older than this.
            let keep =
                || self.last.compare_exchange(last, word, Ordering::Release, Ordering::Relaxed).is_ok();
            if word == last || keep() {
                return Some(truth);
            }
        }
        None
    }

    /// Finds the flag on the board that is shown now.
    fn find(&self) -> Search {
        let Some(name) = &self.name else { return Search::Absent };
        let found = self.attachment.search(name.packed());
        if let Search::Found { view, slot } = found {
            let cell = view.header.layout.word(slot);
            let Some(prefix) = self.attachment.prefix(view, slot) else { return Search::Lost };
            self.live.store(view.header.live(), Ordering::Relaxed);
            self.word.point_to(&self.attachment.region, cell);
            self.prefix.store(prefix.to_bits(), Ordering::Relaxed);
            self.seal.store(view.header.seal(cell).to_bits(), Ordering::Relaxed);
        }
        found
    }

    #[cold]
    #[inline(never)]
    fn read_slowly(&self) -> Reading {
        let now = clock::coarse();
        if let Some(reading) = self.found_again() {
            return reading;
        }
        if self.attachment.recover(now)
            && let Some(reading) = self.found_again()
        {
            return reading;
        }
        match self.last.load(Ordering::Relaxed) {
            0 => self.ask(),
            last => match Body::from_bits(last as u32) {
                Some(Body::Flag(truth)) => Reading { truth: Some(truth), source: Source::Stale },
                _ => Reading::LOST,
            },
        }
    }

    /// What the board that is shown says after a new search; `None`: nothing that is proven.
    fn found_again(&self) -> Option<Reading> {
        let (view, cell) = match self.find() {
            Search::Found { view, slot } => (view, view.header.layout.word(slot)),
            Search::Absent => return Some(Reading::UNKNOWN),
            Search::Lost => return None,
        };
        if let Some(truth) = self.proven() {
            return Some(Reading::proven(truth));
        }
        let body = view.header.seal(cell).open(self.attachment.region.load(cell))?;
        (Body::from_bits(body) == Some(Body::Removed)).then_some(Reading::UNKNOWN)
    }

    #[cold]
    fn ask(&self) -> Reading {
        let Some(name) = &self.name else { return Reading::UNKNOWN };
        match self.attachment.ask(name.packed(), clock::coarse()) {
            None => Reading::LOST,
            Some(Answer::Unknown) => Reading::UNKNOWN,
            Some(Answer::Known { truth, salt }) => {
                let own = Prefix::of(name.packed());
                let prefix = if salt.is_empty() { own } else { Prefix::new(&salt).unwrap_or(own) };
                self.prefix.store(prefix.to_bits(), Ordering::Relaxed);
                let told = TOLD | u64::from(Body::Flag(truth).to_bits());
                // Only while nothing is proven: another thread may have read the board meanwhile.
                let _ = self.last.compare_exchange(0, told, Ordering::Relaxed, Ordering::Relaxed);
                Reading { truth: Some(truth), source: Source::Asked }
            }
        }
    }
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flag")
            .field("name", &self.name)
            .field("default", &self.default)
            .finish_non_exhaustive()
    }
}
