//! Writing the rings of events and finished spans: many threads of many processes at once. A ticket says where, and in
//! which turn of the ring; nobody waits for whoever had the place before.

use super::lanes;
use super::layout::{
    EVENT, EVENT_COUNT, EVENT_HEAD, EVENT_PARTS, EVENTS, FINISHED, FINISHED_COUNT, FINISHED_HEAD,
    FINISHED_SPAN, proof,
};
use super::record::{EVENT_SHORT, EVENT_TEXT, Head, event, event_used, finished};
use super::said::{Kind, Status};
use super::slots::{Ids, Slot};
use super::text::Packed;
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
        let marks = text.marks();
        let kind = match moment.kind {
            Kind::Event => 0,
            Kind::Error => areas::KIND_ERROR,
            Kind::Panic => areas::KIND_PANIC,
        };
        let mut head = Head::of(marks, moment.thread, kind);
        if marks.length as usize > EVENT_SHORT {
            return self.long_event(moment, head, text);
        }
        let ticket = self.cells[EVENT_HEAD].fetch_add(1, Ordering::SeqCst);
        self.first_part(ticket, moment, &mut head, text);
    }

    #[inline]
    fn first_part(&self, ticket: u64, moment: Moment, head: &mut Head, text: &Packed<EVENT_TEXT>) {
        let mut record = [0; EVENT];
        record[2] = head.bits();
        record[3] = moment.at.as_nanos();
        record[4] = moment.span;
        record[5] = (moment.trace >> 64) as u64;
        record[6] = moment.trace as u64;
        let used = event_used(*head);
        for at in event::TEXT..used {
            record[at] = text.cell(at - event::TEXT);
        }
        self.put(EVENTS, EVENT_COUNT, ticket, &mut record, used);
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
            let mut record = [0; EVENT];
            record[2] = more.bits();
            let (used, from) = (event_used(more), EVENT_SHORT / 8 + (part as usize - 1) * MORE);
            for at in event::MORE..used {
                record[at] = text.cell(from + at - event::MORE);
            }
            self.put(EVENTS, EVENT_COUNT, ticket.wrapping_add(u64::from(part)), &mut record, used);
        }
        self.first_part(ticket, moment, &mut head, text);
    }

    /// Writes that a span has finished, and frees its slot: in this order, so that whoever is killed in between leaves it
    /// open *and* finished, never lost.
    #[inline]
    pub fn finish(&self, slot: Slot<'_>, until: Instant) {
        if let Some((mut record, used)) = slot.finish(until) {
            let ticket = self.cells[FINISHED_HEAD].fetch_add(1, Ordering::SeqCst);
            self.put(FINISHED, FINISHED_COUNT, ticket, &mut record, used);
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
        let text = Packed::<{ super::record::FINISHED_TEXT }>::new(name);
        let mut marks = text.marks();
        marks.cut = true;
        let mut record = [0; FINISHED_SPAN];
        record[2] = Head::of(marks, thread, u8::from(status == Status::Error) * areas::FAILED).bits();
        record[3] = ids.span;
        record[4] = ids.parent;
        record[5] = (ids.trace >> 64) as u64;
        record[6] = ids.trace as u64;
        record[7] = since.as_nanos();
        record[8] = until.as_nanos().max(record[7]);
        for at in 0..text.cells() {
            record[finished::TEXT + at] = text.cell(at);
        }
        let ticket = self.cells[FINISHED_HEAD].fetch_add(1, Ordering::SeqCst);
        self.put(FINISHED, FINISHED_COUNT, ticket, &mut record, finished::TEXT + text.cells());
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

    #[inline]
    fn put<const CELLS: usize>(
        &self,
        ring: usize,
        count: usize,
        ticket: u64,
        record: &mut [u64; CELLS],
        used: usize,
    ) {
        let place = ring + ticket as usize % count * CELLS;
        let to = &self.cells[place..place + CELLS];
        record[1] = ticket.wrapping_add(1);
        if (1..LAPS).contains(&to[1].load(Ordering::Relaxed).wrapping_sub(record[1])) {
            return;
        }
        record[0] = proof(place, &record[1..used]);
        lanes::write(to, &record[..used]);
    }
}
