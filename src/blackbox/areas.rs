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
mod tests {
    use super::super::layout::{FINISHED_HEAD, HEADER, PROVEN_CELLS};
    use super::super::record::{EVENT_TEXT, FINISHED_TEXT, SPAN_TEXT};
    use super::super::text::Packed;
    use super::super::{Ids, Moment, Noter};
    use super::*;
    use crate::flags::mix;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// This process and thread, so that it lives.
    fn us() -> u64 {
        crate::sys::own::thread()
    }

    fn memory() -> Box<[AtomicU64; CELLS]> {
        let cells: Vec<AtomicU64> = (0..CELLS).map(|_| AtomicU64::new(0)).collect();
        HEADER.iter().zip(&cells).for_each(|(word, cell)| cell.store(*word, Ordering::Relaxed));
        cells.into_boxed_slice().try_into().unwrap()
    }

    fn image(memory: &[AtomicU64; CELLS]) -> Image {
        Image::from_words(memory.iter().map(|cell| cell.load(Ordering::Relaxed)).collect())
    }

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn packed<const BYTES: usize>(name: &str, pairs: &[(&str, &str)]) -> Packed<BYTES> {
        let mut packed = Packed::new(name);
        pairs.iter().for_each(|(key, value)| packed.add(key, *value));
        packed
    }

    fn key(key: &str, value: &str) -> Packed<{ lane::KEY_TEXT }> {
        let mut packed = Packed::new(key);
        packed.append(value);
        packed
    }

    const NAME: &[u8; 16] = b"worker\0\0\0\0\0\0\0\0\0\0";

    #[test]
    fn what_a_thread_says_of_itself_is_read_back() {
        let memory = memory();
        let noter = Noter::new(&memory).unwrap();
        let lane = noter.lane(us(), NAME).unwrap();
        lane.set_operation(at(5), &packed("checkout", &[("id", "5f3a"), ("correlation", "req-7")]));
        lane.set_key(0, &key("order", "A-1042"));
        lane.set_key(3, &key("tier", "gold"));
        lane.set_key(4, &key("gone", ""));
        lane.remove_key(4);
        (0..10).for_each(|n: u32| lane.set_breadcrumb(n, at(u64::from(n)), &packed(&n.to_string(), &[])));
        lane.set_error(0, false, at(7), &packed("first", &[]));
        lane.set_error(1, true, at(8), &packed("second", &[("at", "src/x.rs:1:2")]));
        let context = &image(&memory).contexts()[0];
        assert_eq!(u64::from(context.process) << 32 | u64::from(context.thread), us());
        assert_eq!(context.thread_name, "worker");
        let operation = Operation {
            name: "checkout".into(),
            id: "5f3a".into(),
            correlation: "req-7".into(),
            since: at(5),
        };
        assert_eq!(context.operation, Some(operation));
        assert_eq!(context.keys, pairs(&[("order", "A-1042"), ("tier", "gold")]));
        let crumbs: Vec<&str> = context.breadcrumbs.iter().map(|crumb| &*crumb.text).collect();
        assert_eq!(crumbs, ["2", "3", "4", "5", "6", "7", "8", "9"]);
        let error = Failure { at: at(8), text: "second".into(), place: "src/x.rs:1:2".into(), panic: true };
        assert_eq!((context.error.as_ref(), context.torn), (Some(&error), 0));
        lane.release();
        assert_eq!(image(&memory).contexts(), []);
    }

    #[test]
    fn a_lane_that_is_taken_over_has_nothing_of_the_one_before() {
        let memory = memory();
        let noter = Noter::new(&memory).unwrap();
        // Nobody has such a number: the thread is dead.
        let dead = u64::from(u32::MAX >> 2) << 32 | u64::from(u32::MAX >> 2);
        for _ in 0..LANE_COUNT {
            noter.lane(dead, NAME).unwrap().set_key(0, &key("of", "the dead"));
        }
        assert_eq!(image(&memory).contexts().len(), LANE_COUNT);
        noter.lane(us(), b"another\0\0\0\0\0\0\0\0\0").unwrap();
        let contexts = image(&memory).contexts();
        let ours: Vec<_> = contexts.iter().filter(|context| context.thread_name == "another").collect();
        assert_eq!((ours.len(), contexts.len(), ours[0].keys.len()), (1, LANE_COUNT, 0));
        assert!((1..LANE_COUNT).all(|_| noter.lane(us(), NAME).is_some()));
        assert!(noter.lane(us(), NAME).is_none(), "all of them live");
        assert_eq!(image(&memory).unplaced(), (1, 0));
    }

    #[test]
    fn spans_are_open_until_they_finish() {
        let memory = memory();
        let noter = Noter::new(&memory).unwrap();
        let outer = Ids { span: 1, parent: 0, trace: 7 << 64 | 9 };
        let inner = Ids { span: 2, parent: 1, ..outer };
        let first = noter.slot(us(), 63).unwrap();
        first.open(outer, at(10), &packed("request", &[("path", "/pay")]));
        let second = noter.slot(us(), first.next()).unwrap();
        second.open(inner, at(20), &packed("query", &[]));
        second.change(|text, status| {
            text.add("error", "no answer");
            *status = Status::Error;
        });
        let open = image(&memory).open_spans();
        assert_eq!(open.iter().map(|span| &*span.name).collect::<Vec<_>>(), ["request", "query"]);
        assert_eq!((open[1].span, open[1].parent, open[1].trace, open[1].since), (2, 1, 7 << 64 | 9, at(20)));
        assert_eq!((&open[1].attributes, open[1].status), (&pairs(&[("error", "no answer")]), Status::Error));
        assert_eq!((open[0].status, &open[0].attributes), (Status::Ok, &pairs(&[("path", "/pay")])));
        noter.finish(second, at(30));
        noter.finish(first, at(5));
        let image = image(&memory);
        assert_eq!((image.open_spans().len(), image.torn(), image.finished_next()), (0, 0, 2));
        let finished = image.finished_spans(0);
        assert_eq!((finished[0].span, finished[0].until, finished[0].status), (2, at(30), Status::Error));
        assert_eq!((finished[1].since, finished[1].until), (at(10), at(10)), "never before it began");
        assert_eq!(image.finished_spans(1), finished[1..]);
    }

    #[test]
    fn a_slot_that_was_claimed_again_by_the_same_thread_holds_nothing_yet() {
        let memory = memory();
        let noter = Noter::new(&memory).unwrap();
        let first = noter.slot(us(), 7).unwrap();
        first.open(Ids { span: 1, ..Ids::default() }, at(1), &packed("first", &[]));
        noter.finish(first, at(2));
        noter.slot(us(), 7).unwrap();
        assert_eq!((image(&memory).open_spans(), image(&memory).torn()), (vec![], 0));
    }

    #[test]
    fn a_long_span_finishes_with_whole_pairs_and_says_that_it_was_cut() {
        let memory = memory();
        let noter = Noter::new(&memory).unwrap();
        let slot = noter.slot(us(), 0).unwrap();
        let long = "x".repeat(FINISHED_TEXT - 14);
        slot.open(
            Ids::default(),
            at(1),
            &packed::<SPAN_TEXT>("long", &[("a", "b"), ("c", &long), ("d", "e")]),
        );
        assert_eq!(image(&memory).open_spans()[0].attributes.len(), 3);
        noter.finish(slot, at(2));
        let finished = &image(&memory).finished_spans(0)[0];
        assert_eq!((finished.attributes.len(), finished.cut), (2, true));
    }

    #[test]
    fn as_many_spans_as_there_are_slots_and_those_of_the_dead_make_room() {
        let memory = memory();
        let noter = Noter::new(&memory).unwrap();
        (0..SPAN_COUNT)
            .for_each(|_| noter.slot(us(), 5).unwrap().open(Ids::default(), at(1), &packed("s", &[])));
        assert!(noter.slot(us(), 0).is_none());
        assert_eq!(image(&memory).unplaced(), (0, 1));
        noter.finish_unplaced(3, Ids { span: 5, ..Ids::default() }, "lost", Status::Error, at(1), at(2));
        let finished = &image(&memory).finished_spans(0)[0];
        assert_eq!(
            (&*finished.name, finished.thread, finished.status, finished.cut),
            ("lost", 3, Status::Error, true)
        );
    }

    fn happening(n: u64) -> Moment {
        Moment { at: at(n), thread: 9, kind: Kind::Event, span: n, trace: n.into() }
    }

    #[test]
    fn the_newest_events_are_there_however_long() {
        let memory = memory();
        let noter = Noter::new(&memory).unwrap();
        let long = "y".repeat(200);
        for n in 0..3000 {
            let text: Packed<EVENT_TEXT> = match n % 3 {
                0 => packed(&format!("e{n}"), &[]),
                1 => packed(&format!("e{n}"), &[("k", &long[..60])]),
                _ => packed(&format!("e{n}"), &[("k", &long), ("l", &long[..100])]),
            };
            noter.event(happening(n), &text);
        }
        let image = image(&memory);
        let events = image.events();
        assert!(events.len() > 256 && image.torn() == 0);
        assert_eq!(image.events_next(), events[events.len() - 1].next);
        let newest = events.iter().rev().zip((0..3000).rev());
        for (event, n) in newest {
            assert_eq!(
                (event.name.clone(), event.at, event.span, event.cut),
                (format!("e{n}"), at(n), n, false)
            );
            let lengths: Vec<usize> = event.attributes.iter().map(|(_, value)| value.len()).collect();
            assert_eq!(lengths, [&[][..], &[60], &[200, 100]][n as usize % 3]);
        }
        let later = image.events_after(events[10].ticket);
        assert_eq!(later, events[10..]);
    }

    #[test]
    fn an_event_that_was_lapped_is_left_out_and_scribbling_closes_no_place() {
        let memory = memory();
        let noter = Noter::new(&memory).unwrap();
        let place = EVENTS + 1;
        memory[place].store(EVENT_COUNT as u64 + 1, Ordering::Relaxed);
        noter.event(happening(1), &packed("lapped", &[]));
        assert_eq!(memory[EVENTS].load(Ordering::Relaxed), 0);
        memory[EVENT_HEAD].store(0, Ordering::Relaxed);
        memory[place].store(u64::MAX / 2, Ordering::Relaxed);
        noter.event(happening(2), &packed("written", &[]));
        assert_eq!(image(&memory).events()[0].name, "written");
    }

    #[test]
    fn a_record_that_was_cut_off_anywhere_is_torn_and_the_others_stand() {
        let before = memory();
        let noter = Noter::new(&before).unwrap();
        let lane_before = {
            let slot = noter.slot(us(), 0).unwrap();
            slot.open(Ids { span: 1, ..Ids::default() }, at(1), &packed("first", &[("k", "v")]));
            noter.event(happening(1), &packed("first", &[("k", "v")]));
            noter.lane(us(), NAME).unwrap()
        };
        lane_before.set_key(0, &key("order", "A-1"));
        let whole: Vec<u64> = before.iter().map(|cell| cell.load(Ordering::Relaxed)).collect();
        lane_before.set_key(0, &key("order", "B-22"));
        noter.event(happening(2), &packed("second", &[("k", "w")]));
        let after: Vec<u64> = before.iter().map(|cell| cell.load(Ordering::Relaxed)).collect();
        // In the order in which a record is written: its check is taken away, its head, the others, its check.
        let (lane_at, event_at) = (LANES + lane::KEYS, EVENTS + EVENT);
        for (start, cells) in [(lane_at, lane::KEY_CELLS), (event_at, EVENT)] {
            for stores in 0..=cells {
                let mut words = whole.clone();
                words[start] = 0;
                words[start + 1..start + cells.min(1 + stores)]
                    .copy_from_slice(&after[start + 1..start + cells.min(1 + stores)]);
                let image = Image::from_words(words);
                assert_eq!(image.contexts().len(), 1);
                for (name, value) in &image.contexts()[0].keys {
                    assert!(name == "order" && ["A-1", "B-22"].contains(&&**value), "{value}");
                }
                assert_eq!((image.open_spans().len(), &*image.events()[0].name), (1, "first"));
                assert!(image.torn() <= 1, "{start} {stores}");
            }
        }
    }

    /// Every bit of every record: what is then read is what was written, or nothing.
    #[test]
    fn every_flipped_bit_of_a_record_is_seen() {
        let memory = memory();
        let noter = Noter::new(&memory).unwrap();
        let lane = noter.lane(us(), NAME).unwrap();
        lane.set_key(0, &key("order", "A-1042"));
        lane.set_operation(at(5), &packed("checkout", &[("id", "5f3a")]));
        lane.set_error(0, false, at(7), &packed("wrong", &[]));
        lane.set_breadcrumb(0, at(1), &packed("crumb", &[]));
        noter.slot(us(), 0).unwrap().open(
            Ids { span: 1, ..Ids::default() },
            at(1),
            &packed("open", &[("k", "v")]),
        );
        noter.event(happening(1), &packed("event", &[("k", &"z".repeat(90))]));
        noter.finish_unplaced(3, Ids::default(), "finished", Status::Ok, at(1), at(2));
        let words = image(&memory).into_words();
        // What else stands in a box, and may change without a proof: heads of rings, the name of a thread.
        let unproven = [EVENT_HEAD, FINISHED_HEAD, LANES + lane::NAME, LANES + lane::NAME + 1];
        let whole = (
            image(&memory).contexts(),
            image(&memory).open_spans(),
            image(&memory).events(),
            image(&memory).finished_spans(0),
        );
        let mut words_now = words.clone();
        for cell in (LANES..CELLS).filter(|cell| words[*cell] != 0 && !unproven.contains(cell)) {
            for bit in 0..64 {
                words_now[cell] ^= 1 << bit;
                let image = Image::from_words(words_now);
                let said = (image.contexts(), image.open_spans(), image.events(), image.finished_spans(0));
                assert!(image.torn() > 0 || said != whole, "cell {cell} bit {bit}");
                for context in &said.0 {
                    let of = &whole.0[0];
                    assert!(context.keys.iter().all(|key| of.keys.contains(key)), "cell {cell} bit {bit}");
                    assert!(context.operation.is_none() || context.operation == of.operation);
                    assert!(context.error.is_none() || context.error == of.error);
                    assert!(context.breadcrumbs.iter().all(|crumb| of.breadcrumbs.contains(crumb)));
                }
                assert!(said.1.iter().all(|span| whole.1.contains(span)), "cell {cell} bit {bit}");
                assert!(
                    said.2.iter().all(|event| whole.2.contains(event) || event.cut),
                    "cell {cell} bit {bit}"
                );
                assert!(said.3.iter().all(|span| whole.3.contains(span)), "cell {cell} bit {bit}");
                words_now = image.into_words();
                words_now[cell] ^= 1 << bit;
            }
        }
    }

    #[test]
    fn damage_in_the_upper_bits_of_two_cells_does_not_cancel_out() {
        let cells = [0x5bd1_e995, 1 << 60, 16, 3];
        let right = super::super::layout::proof(77, &cells);
        for one in 0..4 {
            for other in one + 1..4 {
                for damage in 0..1u64 << 16 {
                    let mut damaged = cells;
                    damaged[one] ^= damage << 56;
                    damaged[other] ^= damage >> 8 << 56;
                    assert!(damaged == cells || super::super::layout::proof(77, &damaged) != right);
                }
            }
        }
        const { assert!(SPAN <= PROVEN_CELLS) }
    }

    /// The worst that bytes can do: how often a cell is looked at is bounded, whatever they are.
    #[test]
    fn any_image_is_read_in_bounded_work() {
        let full = memory();
        let noter = Noter::new(&full).unwrap();
        for n in 0..LANE_COUNT {
            let lane = noter.lane(us(), NAME).unwrap();
            (0..lane::KEY_COUNT).for_each(|at| lane.set_key(at, &key(&format!("k{at}"), &"v".repeat(80))));
            noter.slot(us(), n).unwrap().open(Ids::default(), at(1), &packed("s", &[("", ""); 200]));
        }
        (0..300).for_each(|n| noter.event(happening(n), &packed("e", &[("", ""); 200])));
        (0..600).for_each(|_| {
            noter.finish_unplaced(1, Ids::default(), &"n".repeat(180), Status::Ok, at(1), at(2))
        });
        assert!(!(0..3000).all(|n| noter.note(mix(n + 1), 1, 1, at(1))), "the table is full");
        let full = image(&full).into_words();
        let noise = (0..CELLS as u64).map(mix).collect();
        for words in [full, noise, vec![u64::MAX; CELLS], vec![0; CELLS]] {
            let image = Image::from_words(words);
            let looked = || super::super::reader::LOOKS.get();
            let before = looked();
            let said = (image.contexts(), image.open_spans(), image.events(), image.finished_spans(0));
            assert!(said.0.len() <= 64 && said.1.len() <= 64 && said.2.len() <= 1024 && said.3.len() <= 512);
            std::hint::black_box((image.torn(), image.all_seen().count(), image.counters()));
            // Each cell a few times, and 128 entries for each flag of the table.
            assert!(looked() - before < 8 * CELLS + 1024 * (128 + 2 * 4), "{}", looked() - before);
        }
    }
}
