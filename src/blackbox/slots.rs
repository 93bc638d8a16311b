//! Writing open spans, in the service: a slot is claimed for each, and then its owner is alone in it.

use super::areas::FAILED;
use super::lanes;
use super::layout::FINISHED_SPAN;
use super::layout::{CELLS, NO_SLOT, SPAN, SPAN_COUNT, SPANS};
use super::record::{FINISHED_TEXT, Head, SPAN_TEXT, finished, span, span_check};
use super::said::Status;
use super::text::{Marks, Packed};
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
        let mut cells = [0; SPAN];
        cells[span::OWNER] = self.owner;
        cells[span::CHECK + 1] = Head::of(text.marks(), 0, 0).bits();
        cells[3] = ids.span;
        cells[4] = ids.parent;
        cells[5] = (ids.trace >> 64) as u64;
        cells[6] = ids.trace as u64;
        cells[7] = since.as_nanos();
        for at in 0..text.cells() {
            cells[span::TEXT + at] = text.cell(at);
        }
        self.write(cells, span::TEXT + text.cells());
    }

    /// Changes what is said of the span, or its status.
    pub fn change(&self, change: impl FnOnce(&mut Packed<SPAN_TEXT>, &mut Status)) {
        let Some((head, mut cells)) = self.read() else { return };
        let mut bytes = [0; SPAN_TEXT];
        for (to, from) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(&cells[span::TEXT..]) {
            *to = from.to_le_bytes();
        }
        let mut text = Packed::of(bytes, head.marks);
        let mut status = if head.kind == FAILED { Status::Error } else { Status::Ok };
        change(&mut text, &mut status);
        cells[span::CHECK + 1] = Head::of(text.marks(), 0, u8::from(status == Status::Error) * FAILED).bits();
        for at in 0..text.cells() {
            cells[span::TEXT + at] = text.cell(at);
        }
        self.write(cells, span::TEXT + text.cells());
    }

    /// The record of a finished span, with what was said of it while it was open. `None`: it is no longer this one's.
    #[inline]
    pub(super) fn finish(&self, until: Instant) -> Option<([u64; FINISHED_SPAN], usize)> {
        let (head, cells) = self.read()?;
        let room = FINISHED_TEXT / 8;
        let used = head.text_cells(room);
        let Marks { length, name, cut } = head.marks;
        let marks = Marks {
            length: length.min(FINISHED_TEXT as u16),
            name,
            cut: cut || length as usize > FINISHED_TEXT,
        };
        let mut record = [0; FINISHED_SPAN];
        record[2] = Head::of(marks, self.owner as u32, head.kind).bits();
        record[3..8].copy_from_slice(&cells[3..8]);
        // A clock that was taken anew may have gone back by a little.
        record[8] = until.as_nanos().max(record[7]);
        record[finished::TEXT..finished::TEXT + used].copy_from_slice(&cells[span::TEXT..span::TEXT + used]);
        Some((record, finished::TEXT + used))
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
    fn read(&self) -> Option<(Head, [u64; SPAN])> {
        if self.cell(span::OWNER).load(Ordering::Relaxed) != self.owner {
            return None;
        }
        let head = Head::from_bits(self.cell(span::CHECK + 1).load(Ordering::Relaxed))?;
        let mut cells = [0; SPAN];
        let used = span::TEXT + head.text_cells(SPAN - span::TEXT);
        let from = &self.cells[SPANS + self.number * SPAN..][..SPAN];
        for at in 0..used {
            cells[at] = from[at].load(Ordering::Relaxed);
        }
        Some((head, cells))
    }

    #[inline]
    fn write(&self, mut cells: [u64; SPAN], used: usize) {
        let place = SPANS + self.number * SPAN;
        cells[span::CHECK] = span_check(place, &cells, used);
        // The owner stands already.
        lanes::write(&self.cells[place + span::CHECK..place + SPAN], &cells[span::CHECK..used]);
    }

    #[inline]
    fn cell(&self, at: usize) -> &AtomicU64 {
        &self.cells[SPANS + self.number * SPAN + at]
    }
}
