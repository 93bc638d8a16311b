//! What is written is read back, what is damaged is left out, and any image is read in bounded work.

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
    let operation =
        Operation { name: "checkout".into(), id: "5f3a".into(), correlation: "req-7".into(), since: at(5) };
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
    slot.open(Ids::default(), at(1), &packed::<SPAN_TEXT>("long", &[("a", "b"), ("c", &long), ("d", "e")]));
    assert_eq!(image(&memory).open_spans()[0].attributes.len(), 3);
    noter.finish(slot, at(2));
    let finished = &image(&memory).finished_spans(0)[0];
    assert_eq!((finished.attributes.len(), finished.cut), (2, true));
}

#[test]
fn as_many_spans_as_there_are_slots_and_those_of_the_dead_make_room() {
    let memory = memory();
    let noter = Noter::new(&memory).unwrap();
    (0..SPAN_COUNT).for_each(|_| noter.slot(us(), 5).unwrap().open(Ids::default(), at(1), &packed("s", &[])));
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
        assert_eq!((event.name.clone(), event.at, event.span, event.cut), (format!("e{n}"), at(n), n, false));
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
            assert!(said.2.iter().all(|event| whole.2.contains(event) || event.cut), "cell {cell} bit {bit}");
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
    (0..600)
        .for_each(|_| noter.finish_unplaced(1, Ids::default(), &"n".repeat(180), Status::Ok, at(1), at(2)));
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
