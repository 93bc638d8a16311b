//! Reading contexts, spans and events out of a copy of a box: hostile bytes, so every loop is bounded by the size of
//! its area, and what does not prove itself is only counted.

use super::layout::{
    BELL, CELLS, DRAINED, EVENT, EVENT_COUNT, EVENT_HEAD, EVENT_PARTS, EVENTS, FINISHED, FINISHED_COUNT,
    FINISHED_HEAD, FINISHED_SPAN, LANE, LANE_COUNT, LANES, NO_LANE, NO_SLOT, SPAN, SPAN_COUNT, SPANS,
};
use super::reader::Image;
use super::record::{
    EVENT_SHORT, Head, event, event_used, finished, finished_used, lane, proven_in_lane, proven_in_ring,
    proven_span, span,
};
use super::said::{
    Breadcrumb, Context, Drained, Event, Failure, FinishedSpan, Kind, OpenSpan, Operation, Status,
};
use super::text::{bytes, clean, clean_padded, unpack};
use crate::time::Instant;

/// Of these kinds are errors in lanes, and events.
pub(super) const KIND_ERROR: u8 = 1;
/// See [`KIND_ERROR`].
pub(super) const KIND_PANIC: u8 = 2;
/// The status of a span that failed.
pub(super) const FAILED: u8 = 1;

impl Image {
    /// What each thread was doing that has a lane, in no order.
    pub fn contexts(&self) -> Vec<Context> {
        (0..LANE_COUNT).filter_map(|number| self.context(LANES + number * LANE)).collect()
    }

    /// The spans that were open, the one that began first first.
    pub fn open_spans(&self) -> Vec<OpenSpan> {
        let mut spans: Vec<OpenSpan> =
            (0..SPAN_COUNT).filter_map(|slot| self.open_span(slot).ok()?).collect();
        spans.sort_by_key(|span| (span.since, span.span));
        spans
    }

    /// The newest events that are there, oldest first: at least the newest 256, but for those that are torn.
    pub fn events(&self) -> Vec<Event> {
        self.events_after(0)
    }

    /// The same, from this ticket on.
    pub fn events_after(&self, ticket: u64) -> Vec<Event> {
        let record = |slot: usize| Some((slot, self.event_record(slot).ok()??));
        let firsts =
            (0..EVENT_COUNT).filter_map(record).filter(|(_, (at, head))| *at >= ticket && head.part == 0);
        let mut events: Vec<Event> =
            firsts.map(|(slot, (ticket, head))| self.event(slot, ticket, head)).collect();
        events.sort_by_key(|event| event.ticket);
        events
    }

    /// The spans that have finished and are still there, from this ticket on, oldest first.
    pub fn finished_spans(&self, ticket: u64) -> Vec<FinishedSpan> {
        let mut spans: Vec<FinishedSpan> = (0..FINISHED_COUNT)
            .filter_map(|slot| Some((slot, self.finished_record(slot).ok()??)))
            .filter(|(_, (at, _))| *at >= ticket)
            .map(|(slot, (at, head))| self.finished(slot, at, head))
            .collect();
        spans.sort_by_key(|span| span.ticket);
        spans
    }

    /// The ticket of the next event. Of one that is smaller and has no record: it was overwritten or is torn, or it is
    /// being written at this moment.
    pub fn events_next(&self) -> u64 {
        self.word(EVENT_HEAD)
    }

    /// The same of finished spans.
    pub fn finished_next(&self) -> u64 {
        self.word(FINISHED_HEAD)
    }

    /// Nobody rings for whoever drains the box until it asks for that.
    pub fn is_rung(&self) -> bool {
        self.word(BELL) != 0
    }

    /// How far the box was drained.
    pub fn drained(&self) -> Drained {
        let [events_taken, events_written, spans_taken, spans_written] =
            [0, 1, 2, 3].map(|at| self.word(DRAINED + at));
        Drained { events_taken, events_written, spans_taken, spans_written }
    }

    /// How many times a thread found no lane for its context, and a span no slot: each is missing above.
    pub fn unplaced(&self) -> (u64, u64) {
        (self.word(NO_LANE), self.word(NO_SLOT))
    }

    /// Records of contexts, spans and events that do not prove themselves.
    pub(super) fn torn_records(&self) -> usize {
        let torn =
            |count: usize, is_torn: &dyn Fn(usize) -> bool| (0..count).filter(|slot| is_torn(*slot)).count();
        self.contexts().iter().map(|context| context.torn).sum::<usize>()
            + torn(SPAN_COUNT, &|slot| self.open_span(slot).is_err())
            + torn(EVENT_COUNT, &|slot| self.event_record(slot).is_err())
            + torn(FINISHED_COUNT, &|slot| self.finished_record(slot).is_err())
    }

    fn context(&self, start: usize) -> Option<Context> {
        let owner = self.word(start + lane::OWNER);
        if owner == 0 || owner & lane::CLEARING != 0 {
            return None;
        }
        let mut context = Context {
            process: (owner >> 32) as u32,
            thread: if owner == lane::LIFE { 0 } else { owner as u32 },
            thread_name: clean_padded(&bytes(&self.cells::<2>(start + lane::NAME), 16)),
            ..Context::default()
        };
        if let Some((head, cells)) =
            self.in_lane::<{ lane::OPERATION_CELLS }>(start, lane::OPERATION, true, &mut context)
        {
            context.operation = Some(operation(head, &cells));
        }
        for number in 0..lane::ERROR_COUNT {
            let at = lane::ERRORS + number * lane::ERROR_CELLS;
            let Some((head, cells)) = self.in_lane::<{ lane::ERROR_CELLS }>(start, at, true, &mut context)
            else {
                continue;
            };
            let error = failure(head, &cells);
            if context.error.as_ref().is_none_or(|other| error.at >= other.at) {
                context.error = Some(error);
            }
        }
        let mut crumbs = Vec::new();
        for number in 0..lane::CRUMB_COUNT {
            let at = lane::CRUMBS + number * lane::CRUMB_CELLS;
            let Some((head, cells)) = self.in_lane::<{ lane::CRUMB_CELLS }>(start, at, true, &mut context)
            else {
                continue;
            };
            let (text, _) = unpack(&cells[lane::TIMED..], head.marks);
            crumbs.push((head.number, Breadcrumb { at: Instant::from_nanos(cells[2]), text }));
        }
        // They are numbered as they come; of eight in a row, those behind a turn of the number are the later ones.
        let turned = crumbs.iter().any(|(number, _)| *number < 8)
            && crumbs.iter().any(|(number, _)| *number > 0xff_0000);
        crumbs.sort_by_key(|(number, _)| (turned && *number < 8, *number));
        context.breadcrumbs = crumbs.into_iter().map(|(_, crumb)| crumb).collect();
        for number in 0..lane::KEY_COUNT {
            let at = lane::KEYS + number * lane::KEY_CELLS;
            let Some((head, cells)) = self.in_lane::<{ lane::KEY_CELLS }>(start, at, false, &mut context)
            else {
                continue;
            };
            let text = bytes(&cells[lane::UNTIMED..], head.marks.length as usize);
            let (key, value) = text.split_at((head.marks.name as usize).min(text.len()));
            let (key, value) = (clean(key), clean(value));
            if context.keys.iter().all(|(other, _)| *other != key) {
                context.keys.push((key, value));
            }
        }
        Some(context)
    }

    /// A record of a lane that proves itself.
    fn in_lane<const COUNT: usize>(
        &self,
        start: usize,
        at: usize,
        timed: bool,
        context: &mut Context,
    ) -> Option<(Head, [u64; COUNT])> {
        let cells = self.cells::<COUNT>(start + at);
        let text = if timed { lane::TIMED } else { lane::UNTIMED };
        match proven_in_lane(start + at, self.word(start + lane::OWNER), text, &cells) {
            Ok(head) => Some((head?, cells)),
            Err(()) => {
                context.torn += 1;
                None
            }
        }
    }

    fn open_span(&self, slot: usize) -> Result<Option<OpenSpan>, ()> {
        let place = SPANS + slot * SPAN;
        if self.word(place + span::OWNER) == 0 {
            return Ok(None);
        }
        let cells = self.cells::<SPAN>(place);
        let Some(head) = proven_span(place, &cells)? else { return Ok(None) };
        let (name, attributes) = unpack(&cells[span::TEXT..], head.marks);
        let [owner, _, _, span, parent, high, low, since, ..] = cells;
        Ok(Some(OpenSpan {
            process: (owner >> 32) as u32,
            thread: owner as u32,
            span,
            parent,
            trace: trace(high, low),
            name,
            since: Instant::from_nanos(since),
            attributes,
            status: status(head),
            cut: head.marks.cut,
        }))
    }

    fn event_record(&self, slot: usize) -> Result<Option<(u64, Head)>, ()> {
        let place = EVENTS + slot * EVENT;
        if self.word(place) == 0 && self.word(place + 1) == 0 {
            return Ok(None);
        }
        let found = proven_in_ring(place, event_used, &self.cells::<EVENT>(place))?;
        found.filter(|(ticket, _)| *ticket as usize % EVENT_COUNT == slot).ok_or(()).map(Some)
    }

    fn event(&self, slot: usize, ticket: u64, head: Head) -> Event {
        let cells = self.cells::<EVENT>(EVENTS + slot * EVENT);
        let [_, _, _, at, span, high, low, ..] = cells;
        let mut text = cells[event::TEXT..].to_vec();
        let mut marks = head.marks;
        for part in 1..head.parts.min(EVENT_PARTS as u8) {
            let slot = (slot + part as usize) % EVENT_COUNT;
            let more = Head { part, ..head };
            if self.event_record(slot) != Ok(Some((ticket.wrapping_add(u64::from(part)), more))) {
                marks.length = marks.length.min(text.len() as u16 * 8);
                marks.cut = true;
                break;
            }
            text.extend_from_slice(&self.cells::<EVENT>(EVENTS + slot * EVENT)[event::MORE..]);
        }
        debug_assert!(text.len() * 8 >= EVENT_SHORT);
        let (name, attributes) = unpack(&text, marks);
        Event {
            ticket,
            next: ticket.saturating_add(u64::from(head.parts)),
            at: Instant::from_nanos(at),
            thread: head.number,
            kind: match head.kind {
                KIND_ERROR => Kind::Error,
                KIND_PANIC => Kind::Panic,
                _ => Kind::Event,
            },
            span,
            trace: trace(high, low),
            name,
            attributes,
            cut: marks.cut,
        }
    }

    fn finished_record(&self, slot: usize) -> Result<Option<(u64, Head)>, ()> {
        let place = FINISHED + slot * FINISHED_SPAN;
        if self.word(place) == 0 && self.word(place + 1) == 0 {
            return Ok(None);
        }
        let found = proven_in_ring(place, finished_used, &self.cells::<FINISHED_SPAN>(place))?;
        found.filter(|(ticket, _)| *ticket as usize % FINISHED_COUNT == slot).ok_or(()).map(Some)
    }

    fn finished(&self, slot: usize, ticket: u64, head: Head) -> FinishedSpan {
        let cells = self.cells::<FINISHED_SPAN>(FINISHED + slot * FINISHED_SPAN);
        let [_, _, _, span, parent, high, low, since, until, ..] = cells;
        let (name, attributes) = unpack(&cells[finished::TEXT..], head.marks);
        FinishedSpan {
            ticket,
            thread: head.number,
            span,
            parent,
            trace: trace(high, low),
            name,
            since: Instant::from_nanos(since),
            until: Instant::from_nanos(until),
            attributes,
            status: status(head),
            cut: head.marks.cut,
        }
    }

    /// Cells of the box, which are zeros where the copy does not reach.
    fn cells<const COUNT: usize>(&self, start: usize) -> [u64; COUNT] {
        debug_assert!(start + COUNT <= CELLS);
        std::array::from_fn(|at| self.word(start + at))
    }
}

fn operation(head: Head, cells: &[u64]) -> Operation {
    let (name, pairs) = unpack(&cells[lane::TIMED..], head.marks);
    let mut operation = Operation { name, since: Instant::from_nanos(cells[2]), ..Operation::default() };
    for (key, value) in pairs {
        match &*key {
            "id" => operation.id = value,
            "correlation" => operation.correlation = value,
            _ => {}
        }
    }
    operation
}

fn failure(head: Head, cells: &[u64]) -> Failure {
    let (text, pairs) = unpack(&cells[lane::TIMED..], head.marks);
    let place = pairs.into_iter().find(|(key, _)| key == "at").map(|(_, place)| place).unwrap_or_default();
    Failure { at: Instant::from_nanos(cells[2]), text, place, panic: head.kind == KIND_PANIC }
}

fn status(head: Head) -> Status {
    if head.kind == FAILED { Status::Error } else { Status::Ok }
}

const fn trace(high: u64, low: u64) -> u128 {
    (high as u128) << 64 | low as u128
}

#[cfg(test)]
mod tests;
