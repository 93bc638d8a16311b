//! Writing open spans, in the service: a slot is claimed for each, and then its owner is alone in it.

use super::areas::FAILED;
use super::lanes::Record;
use super::layout::{CELLS, NO_SLOT, SPAN, SPAN_COUNT, SPANS, prover};
use super::record::{Head, SPAN_TEXT, span};
use super::said::Status;
use super::text::{Bare, Packed};
use super::writer::Noter;
use crate::sys::{clock, own};
use crate::time::Instant;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Slots of the dead are looked for this often at most: it takes a system call for each.
const LOOK_NS: u64 = 10_000_000;

/// The numbers of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Its own.
    pub span: u64,
    /// That of the span it is a part of; 0: none.
    pub parent: u64,
    /// That of the trace.
    pub trace: u128,
}

/// The slot of an open span.
#[derive(Clone, Copy)]
pub struct Slot<'a> {
    cells: &'a [AtomicU64; CELLS],
    number: usize,
    owner: u64,
}

impl fmt::Debug for Slot<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Slot").field("number", &self.number).finish_non_exhaustive()
    }
}

impl<'a> Noter<'a> {
    /// A slot for a span of this thread (`own::thread`). `None`: so many are open; that is counted. The search begins at
    /// slot `hint`: the one after the last, for whoever opens one inside of the other.
    #[inline]
    pub fn slot(&self, owner: u64, hint: usize) -> Option<Slot<'a>> {
        let free = |number: &usize| {
            let cell = &self.cells[SPANS + number * SPAN + span::OWNER];
            cell.load(Ordering::Relaxed) == 0
                && cell.compare_exchange(0, owner, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let number = (0..SPAN_COUNT).map(|at| hint.wrapping_add(at) % SPAN_COUNT).find(free);
        let number = number.or_else(|| self.slot_of_the_dead(owner))?;
        Some(Slot { cells: self.cells, number, owner })
    }

    #[cold]
    fn slot_of_the_dead(&self, owner: u64) -> Option<usize> {
        static LOOKED: AtomicU64 = AtomicU64::new(0);
        let (now, looked) = (clock::coarse().as_nanos(), LOOKED.load(Ordering::Relaxed));
        let found = (now.wrapping_sub(looked) >= LOOK_NS)
            .then(|| {
                LOOKED.store(now, Ordering::Relaxed);
                (0..SPAN_COUNT).find(|number| {
                    let cell = &self.cells[SPANS + number * SPAN + span::OWNER];
                    let other = cell.load(Ordering::Relaxed);
                    !own::lives(other)
                        && cell.compare_exchange(other, owner, Ordering::AcqRel, Ordering::Relaxed).is_ok()
                })
            })
            .flatten();
        if found.is_none() {
            self.cells[NO_SLOT].fetch_add(1, Ordering::Relaxed);
        }
        found
    }
}

impl Slot<'_> {
    /// Where the search for the next one should begin.
    #[inline]
    pub fn next(&self) -> usize {
        self.number + 1
    }

    /// Where it is: a hint for the next span that is opened after this one has ended.
    #[inline]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Writes what stands in it from now on.
    #[inline]
    pub fn open(&self, ids: Ids, since: Instant, text: &Packed<SPAN_TEXT>) {
        let text_cell = |at| text.cell(at);
        self.write(Head::of(text.marks(), 0, 0), ids, since.as_nanos(), text.cells(), text_cell);
    }

    /// The same of a span of which nothing is said but its name.
    #[inline]
    pub fn open_named(&self, ids: Ids, since: Instant, name: &str) {
        match Bare::new(name, SPAN_TEXT) {
            Some(name) => {
                let head = Head::of(name.marks(), 0, 0);
                self.write(head, ids, since.as_nanos(), name.cells(), |at| name.cell(at));
            }
            None => self.open(ids, since, &Packed::new(name)),
        }
    }

    /// Changes what is said of the span, or its status.
    pub fn change(&self, change: impl FnOnce(&mut Packed<SPAN_TEXT>, &mut Status)) {
        let Some((head, cells)) = self.standing() else { return };
        let load = |at: usize| cells[at].load(Ordering::Relaxed);
        let mut bytes = [0; SPAN_TEXT];
        let used = head.text_cells(SPAN - span::TEXT);
        for (at, to) in bytes.as_chunks_mut::<8>().0[..used].iter_mut().enumerate() {
            *to = load(span::TEXT + at).to_le_bytes();
        }
        let mut text = Packed::of(bytes, head.marks);
        let mut status = if head.kind == FAILED { Status::Error } else { Status::Ok };
        change(&mut text, &mut status);
        let head = Head::of(text.marks(), 0, u8::from(status == Status::Error) * FAILED);
        let trace = u128::from(load(5)) << 64 | u128::from(load(6));
        let ids = Ids { span: load(3), parent: load(4), trace };
        self.write(head, ids, load(7), text.cells(), |at| text.cell(at));
    }

    /// Its head and all its cells. `None`: it is no longer this span's.
    #[inline]
    pub(super) fn standing(&self) -> Option<(Head, &[AtomicU64])> {
        let cells = &self.cells[SPANS + self.number * SPAN..][..SPAN];
        if cells[span::OWNER].load(Ordering::Relaxed) != self.owner {
            return None;
        }
        Some((Head::from_bits(cells[span::CHECK + 1].load(Ordering::Relaxed))?, cells))
    }

    /// The thread that it is of.
    #[inline]
    pub(super) fn thread(&self) -> u32 {
        self.owner as u32
    }

    #[inline]
    fn write(&self, head: Head, ids: Ids, since: u64, cells: usize, text: impl Fn(usize) -> u64) {
        let place = SPANS + self.number * SPAN;
        let mut prover = prover(place);
        // The owner stands already, and the check is 0 in what it proves.
        prover.pair(self.owner, 0);
        let mut record = Record::begin(&self.cells[place + span::CHECK..place + SPAN], prover);
        record.pair(head.bits(), ids.span);
        record.pair(ids.parent, (ids.trace >> 64) as u64);
        record.pair(ids.trace as u64, since);
        record.rest(cells, text);
        record.end();
    }

    /// The slot is free. Not in a child of a fork, whose parent has it.
    ///
    /// Its record goes first: else it would prove itself again as soon as the same thread claims the slot for another span.
    #[inline]
    pub fn free(&self) {
        let owner = self.cell(span::OWNER);
        if owner.load(Ordering::Relaxed) == self.owner {
            self.cell(span::CHECK + 1).store(0, Ordering::Release);
            owner.store(0, Ordering::Release);
        }
    }

    #[inline]
    fn cell(&self, at: usize) -> &AtomicU64 {
        &self.cells[SPANS + self.number * SPAN + at]
    }
}
