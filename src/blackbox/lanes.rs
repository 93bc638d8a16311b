//! Writing lanes, in the service: each thread has one of its own and is alone in it, so nothing here waits or retries.

use super::layout::{CELLS, LANE, LANE_COUNT, LANES, NO_LANE, prover};
use super::record::{Head, lane, proven_in_lane};
use super::text::{Packed, bytes, clean};
use super::writer::Noter;
use crate::mapped::proof::Prover;
use crate::sys::own;
use crate::time::Instant;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The lane of a thread.
#[derive(Clone, Copy)]
pub struct Lane<'a> {
    cells: &'a [AtomicU64; CELLS],
    start: usize,
    owner: u64,
}

impl fmt::Debug for Lane<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lane").field("start", &self.start).finish_non_exhaustive()
    }
}

impl<'a> Noter<'a> {
    /// A lane for this thread (`own::thread`), empty. One that nobody has, else one whose thread has died; `None` when there
    /// is neither, which is counted.
    pub fn lane(&self, owner: u64, thread_name: &[u8; 16]) -> Option<Lane<'a>> {
        let claimed = self.claim_lane(owner, |other| other == 0).or_else(|| {
            self.claim_lane(owner, |other| other != lane::LIFE && !own::lives(other & !lane::CLEARING))
        });
        let Some(start) = claimed else {
            self.cells[NO_LANE].fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let lane = Lane { cells: self.cells, start, owner };
        for at in lane::heads() {
            lane.cell(at).store(0, Ordering::Relaxed);
        }
        for (at, name) in thread_name.as_chunks::<8>().0.iter().enumerate() {
            lane.cell(lane::NAME + at).store(u64::from_le_bytes(*name), Ordering::Relaxed);
        }
        lane.cell(lane::OWNER).store(owner, Ordering::Release);
        Some(lane)
    }

    /// The lane for what is noted of the whole life by programs that end at once; made when it is not there. Two of them at
    /// the same time need a lock. `None`: as of [`Noter::lane`].
    pub(super) fn lane_of_the_life(&self) -> Option<Lane<'a>> {
        let start = (0..LANE_COUNT)
            .map(|number| LANES + number * LANE)
            .find(|start| self.cells[start + lane::OWNER].load(Ordering::Acquire) == lane::LIFE);
        match start {
            Some(start) => Some(Lane { cells: self.cells, start, owner: lane::LIFE }),
            None => self.lane(lane::LIFE, &[0; 16]),
        }
    }

    fn claim_lane(&self, owner: u64, is_free: impl Fn(u64) -> bool) -> Option<usize> {
        (0..LANE_COUNT).map(|number| LANES + number * LANE).find(|start| {
            let cell = &self.cells[start + lane::OWNER];
            let other = cell.load(Ordering::Relaxed);
            let new = owner | lane::CLEARING;
            is_free(other) && cell.compare_exchange(other, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }
}

impl Lane<'_> {
    /// Is it still that of this thread? Not in a child of a fork.
    #[inline]
    pub fn is_of(&self, owner: u64) -> bool {
        self.owner == owner && self.cell(lane::OWNER).load(Ordering::Relaxed) == owner
    }

    /// The key number `at`, below [`lane::KEY_COUNT`], is this. The name of the text is the key, the rest is the value.
    #[inline]
    pub fn set_key(&self, at: usize, text: &Packed<{ lane::KEY_TEXT }>) {
        let head = Head::of(text.marks(), 0, 0);
        let at = lane::KEYS + at * lane::KEY_CELLS;
        self.put::<{ lane::KEY_CELLS }, { lane::UNTIMED }, _>(at, head, Instant::ZERO, text);
    }

    /// What the key number `at` is called, when it is one.
    pub(super) fn key(&self, at: usize) -> Option<String> {
        let place = lane::KEYS + at * lane::KEY_CELLS;
        let mut cells = [0; lane::KEY_CELLS];
        (0..lane::KEY_CELLS).for_each(|cell| cells[cell] = self.cell(place + cell).load(Ordering::Relaxed));
        let head = proven_in_lane(self.start + place, self.owner, lane::UNTIMED, &cells).ok()??;
        let text = bytes(&cells[lane::UNTIMED..], head.marks.length as usize);
        Some(clean(&text[..(head.marks.name as usize).min(text.len())]))
    }

    /// There is no such key any more.
    #[inline]
    pub fn remove_key(&self, at: usize) {
        self.cell(lane::KEYS + at * lane::KEY_CELLS + 1).store(0, Ordering::Release);
    }

    /// What the thread is at. The text's name is what it is called, with pairs `id` and `correlation`.
    pub fn set_operation(&self, since: Instant, text: &Packed<{ lane::OPERATION_TEXT }>) {
        let head = Head::of(text.marks(), 0, 0);
        self.put::<{ lane::OPERATION_CELLS }, { lane::TIMED }, _>(lane::OPERATION, head, since, text);
    }

    /// It is at nothing.
    pub fn remove_operation(&self) {
        self.cell(lane::OPERATION + 1).store(0, Ordering::Release);
    }

    /// The breadcrumb number `number`, as they come.
    pub fn set_breadcrumb(&self, number: u32, at: Instant, text: &Packed<{ lane::CRUMB_TEXT }>) {
        let head = Head::of(text.marks(), number, 0);
        let place = lane::CRUMBS + number as usize % lane::CRUMB_COUNT * lane::CRUMB_CELLS;
        self.put::<{ lane::CRUMB_CELLS }, { lane::TIMED }, _>(place, head, at, text);
    }

    /// There are no breadcrumbs any more, and no error.
    pub fn forget(&self) {
        let past = lane::heads().filter(|at| (lane::ERRORS..lane::KEYS).contains(at));
        past.for_each(|at| self.cell(at).store(0, Ordering::Release));
    }

    /// The error number `number`, as they come: the one before stays until this one is whole. The text's name is what is
    /// wrong, with a pair `at`.
    pub fn set_error(&self, number: u32, panic: bool, at: Instant, text: &Packed<{ lane::ERROR_TEXT }>) {
        let head = Head::of(
            text.marks(),
            number,
            if panic { super::areas::KIND_PANIC } else { super::areas::KIND_ERROR },
        );
        let place = lane::ERRORS + number as usize % lane::ERROR_COUNT * lane::ERROR_CELLS;
        self.put::<{ lane::ERROR_CELLS }, { lane::TIMED }, _>(place, head, at, text);
    }

    /// The thread ends: whoever needs a lane may have this one.
    pub fn release(&self) {
        // Not when it is another's by now.
        let _ = self.cell(lane::OWNER).compare_exchange(self.owner, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    #[inline]
    fn put<const COUNT: usize, const TEXT: usize, const BYTES: usize>(
        &self,
        at: usize,
        head: Head,
        time: Instant,
        text: &Packed<BYTES>,
    ) {
        const { assert!(BYTES == (COUNT - TEXT) * 8 && TEXT >= lane::UNTIMED) }
        let place = self.start + at;
        let mut record = Record::begin(&self.cells[place..place + COUNT], prover(place));
        record.first(self.owner, head.bits());
        if TEXT > lane::UNTIMED {
            record.text_after(time.as_nanos(), text);
        } else {
            record.rest(text.cells(), |at| text.cell(at));
        }
        record.end();
    }

    #[inline]
    fn cell(&self, at: usize) -> &AtomicU64 {
        &self.cells[self.start + at]
    }
}

/// A record while it is written: its check is taken away first, then come its other cells as they stand in it, and the
/// check of all that. Cut off in between it is torn. Cell by cell and nowhere else in between: an array of cells that are
/// stored one by one and loaded in wider pieces costs more than all the rest.
pub(super) struct Record<'a> {
    to: &'a [AtomicU64],
    at: usize,
    prover: Prover,
}

impl<'a> Record<'a> {
    /// In these cells, the first of which is the check.
    #[inline(always)]
    pub(super) fn begin(to: &'a [AtomicU64], prover: Prover) -> Record<'a> {
        to[0].store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        Record { to, at: 1, prover }
    }

    /// The first of its cells, and before it one that is proven and not written here.
    #[inline(always)]
    pub(super) fn first(&mut self, before: u64, cell: u64) {
        self.prover.pair(before, cell);
        self.store(cell);
    }

    /// The next two.
    #[inline(always)]
    pub(super) fn pair(&mut self, one: u64, other: u64) {
        self.prover.pair(one, other);
        self.store(one);
        self.store(other);
    }

    /// So many more, and nothing behind them.
    #[inline(always)]
    pub(super) fn rest(&mut self, count: usize, cell: impl Fn(usize) -> u64) {
        let mut at = 0;
        while at + 1 < count {
            self.pair(cell(at), cell(at + 1));
            at += 2;
        }
        if at < count {
            self.last(cell(at));
        }
    }

    /// A cell, and all of a text behind it.
    #[inline(always)]
    pub(super) fn text_after<const BYTES: usize>(&mut self, cell: u64, text: &Packed<BYTES>) {
        match text.cells() {
            0 => self.last(cell),
            cells => {
                self.pair(cell, text.cell(0));
                self.rest(cells - 1, |at| text.cell(at + 1));
            }
        }
    }

    /// The last one.
    #[inline(always)]
    pub(super) fn last(&mut self, cell: u64) {
        self.prover.last(cell);
        self.store(cell);
    }

    /// It is whole.
    #[inline(always)]
    pub(super) fn end(self) {
        self.to[0].store(self.prover.finish(), Ordering::Release);
    }

    #[inline(always)]
    fn store(&mut self, cell: u64) {
        self.to[self.at].store(cell, Ordering::Relaxed);
        self.at += 1;
    }
}
