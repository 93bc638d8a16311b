//! Writing the rings of events and finished spans: many threads of many processes at once. A ticket says where, and in
//! which turn of the ring; nobody waits for whoever had the place before.

use super::lanes::Record;
use super::layout::{
    EVENT, EVENT_COUNT, EVENT_HEAD, EVENT_PARTS, EVENTS, FINISHED, FINISHED_COUNT, FINISHED_HEAD,
    FINISHED_SPAN, prover,
};
use super::record::{
    EVENT_SHORT, EVENT_TEXT, FINISHED_TEXT, Head, event, event_used, finished, finished_used, span,
};
use super::said::{Kind, Status};
use super::slots::{Ids, Slot};
use super::text::{Bare, Marks, Packed};
use super::writer::Noter;
use super::{areas, layout};
use crate::time::Instant;
use std::sync::atomic::Ordering;

/// Who begins a record so many tickets after another has come all the way around: that one is not written any more.
/// Larger differences are no lap, but somebody's scribbling, which must not close a place for ever.
const LAPS: u64 = 1 << 32;

/// When and where an event happens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// When.
    pub at: Instant,
    /// The thread.
    pub thread: u32,
    /// What kind.
    pub kind: Kind,
    /// The span that is open; 0: none.
    pub span: u64,
    /// Its trace.
    pub trace: u128,
}

impl Noter<'_> {
    /// Writes an event. What it is called and what is said with it is `text`.
    #[inline]
    pub fn event(&self, moment: Moment, text: &Packed<EVENT_TEXT>) {
        let head = head(moment, text.marks());
        if head.marks.length as usize > EVENT_SHORT {
            return self.long_event(moment, head, text);
        }
        self.short_event(moment, head, |at| text.cell(at));
    }

    /// Writes an event of which nothing is said but its name: that needs no text to be made ready.
    #[inline]
    pub fn event_named(&self, moment: Moment, name: &str) {
        match Bare::new(name, EVENT_SHORT) {
            Some(name) => self.short_event(moment, head(moment, name.marks()), |at| name.cell(at)),
            None => self.event(moment, &Packed::new(name)),
        }
    }

    #[inline]
    fn short_event(&self, moment: Moment, head: Head, text: impl Fn(usize) -> u64) {
        let ticket = self.cells[EVENT_HEAD].fetch_add(1, Ordering::SeqCst);
        self.first_part(ticket, moment, head, text);
    }

    #[inline]
    fn first_part(&self, ticket: u64, moment: Moment, head: Head, text: impl Fn(usize) -> u64) {
        let Some(mut record) = self.place(EVENTS, EVENT_COUNT, EVENT, ticket) else { return };
        record.pair(ticket.wrapping_add(1), head.bits());
        record.pair(moment.at.as_nanos(), moment.span);
        record.pair((moment.trace >> 64) as u64, moment.trace as u64);
        record.rest(event_used(head) - event::TEXT, text);
        record.end();
    }

    #[cold]
    fn long_event(&self, moment: Moment, mut head: Head, text: &Packed<EVENT_TEXT>) {
        const MORE: usize = EVENT - event::MORE;
        let rest = text.cells() - EVENT_SHORT / 8;
        head.parts = (1 + rest.div_ceil(MORE)).min(EVENT_PARTS) as u8;
        let ticket = self.cells[EVENT_HEAD].fetch_add(u64::from(head.parts), Ordering::SeqCst);
        // The first one last: when it is there, all of them are.
        for part in 1..head.parts {
            let more = Head { part, ..head };
            let from = EVENT_SHORT / 8 + (part as usize - 1) * MORE;
            let ticket = ticket.wrapping_add(u64::from(part));
            let Some(mut record) = self.place(EVENTS, EVENT_COUNT, EVENT, ticket) else { continue };
            record.pair(ticket.wrapping_add(1), more.bits());
            record.rest(event_used(more) - event::MORE, |at| text.cell(from + at));
            record.end();
        }
        self.first_part(ticket, moment, head, |at| text.cell(at));
    }

    /// Writes that a span has finished, and frees its slot: in this order, so that whoever is killed in between leaves it
    /// open *and* finished, never lost.
    #[inline]
    pub fn finish(&self, slot: Slot<'_>, until: Instant) {
        if let Some((head, cells)) = slot.standing() {
            let load = |at: usize| cells[at].load(Ordering::Relaxed);
            let Marks { length, name, cut } = head.marks;
            let kept = length.min(FINISHED_TEXT as u16);
            let marks = Marks { length: kept, name, cut: cut || kept < length };
            let head = Head::of(marks, slot.thread(), head.kind);
            let ids = Ids {
                span: load(3),
                parent: load(4),
                trace: u128::from(load(5)) << 64 | u128::from(load(6)),
            };
            self.finished(head, ids, load(7), until, |at| load(span::TEXT + at));
        }
        slot.free();
    }

    /// Writes that a span has finished which had no slot: without what was said of it.
    pub fn finish_unplaced(
        &self,
        thread: u32,
        ids: Ids,
        name: &str,
        status: Status,
        since: Instant,
        until: Instant,
    ) {
        let text = Packed::<{ FINISHED_TEXT }>::new(name);
        let mut marks = text.marks();
        marks.cut = true;
        let head = Head::of(marks, thread, u8::from(status == Status::Error) * areas::FAILED);
        self.finished(head, ids, since.as_nanos(), until, |at| text.cell(at));
    }

    #[inline]
    fn finished(&self, head: Head, ids: Ids, since: u64, until: Instant, text: impl Fn(usize) -> u64) {
        let ticket = self.cells[FINISHED_HEAD].fetch_add(1, Ordering::SeqCst);
        let Some(mut record) = self.place(FINISHED, FINISHED_COUNT, FINISHED_SPAN, ticket) else { return };
        record.pair(ticket.wrapping_add(1), head.bits());
        record.pair(ids.span, ids.parent);
        record.pair((ids.trace >> 64) as u64, ids.trace as u64);
        // A clock that was taken anew may have gone back by a little.
        record.pair(since, until.as_nanos().max(since));
        record.rest(finished_used(head) - finished::TEXT, text);
        record.end();
    }

    /// Nobody has rung since whoever drains the box asked for it; whoever gets true here has to.
    ///
    /// The ticket was taken before, and both are sequentially consistent: either this thread sees that it has to ring, or
    /// who asked sees the ticket.
    #[inline]
    pub fn must_ring(&self) -> bool {
        let bell = &self.cells[layout::BELL];
        bell.load(Ordering::SeqCst) == 0 && bell.swap(1, Ordering::SeqCst) == 0
    }

    /// Nobody could be told: the next one tries again.
    pub fn unring(&self) {
        self.cells[layout::BELL].store(0, Ordering::SeqCst);
    }

    /// Where the record with this ticket is written. `None`: it was lapped.
    #[inline]
    fn place(&self, ring: usize, count: usize, cells: usize, ticket: u64) -> Option<Record<'_>> {
        let place = ring + ticket as usize % count * cells;
        let to = &self.cells[place..place + cells];
        let standing = to[1].load(Ordering::Relaxed);
        if (1..LAPS).contains(&standing.wrapping_sub(ticket.wrapping_add(1))) {
            return None;
        }
        Some(Record::begin(to, prover(place)))
    }
}

#[inline]
fn head(moment: Moment, marks: Marks) -> Head {
    let kind = match moment.kind {
        Kind::Event => 0,
        Kind::Error => areas::KIND_ERROR,
        Kind::Panic => areas::KIND_PANIC,
    };
    Head::of(marks, moment.thread, kind)
}
