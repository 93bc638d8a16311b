//! What single lines of the black box are for, each by itself, on plain memory.

use mainstay::blackbox::layout::{
    CELLS, CHECK, ENTRIES, EVENT, EVENT_COUNT, EVENTS, FINISHED, FINISHED_SPAN, HEADER, KEY, LANE,
    LANE_COUNT, LANES, SEEN, SPAN, SPAN_COUNT, SPANS, TIME, VALUE, cell, check, entry, key, proof, value,
};
use mainstay::blackbox::record::{EVENT_TEXT, SPAN_TEXT, lane, span};
use mainstay::blackbox::text::Packed;
use mainstay::blackbox::{self, Ids, Image, Moment, Noter};
use mainstay::sys::own;
use mainstay::time::Instant;
use std::os::fd::AsFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// In each head.
const PRESENT: u64 = 1 << 31;
/// A thread that does not live: no process has such a number.
const DEAD: u64 = (u32::MAX as u64 >> 2) << 32 | 7;
const NAME: &[u8; 16] = b"worker\0\0\0\0\0\0\0\0\0\0";

struct Memory(Box<[AtomicU64; CELLS]>);

impl Memory {
    fn new() -> Memory {
        let cells: Vec<AtomicU64> = (0..CELLS).map(|_| AtomicU64::new(0)).collect();
        HEADER.iter().zip(&cells).for_each(|(word, cell)| cell.store(*word, Relaxed));
        Memory(cells.into_boxed_slice().try_into().unwrap())
    }

    fn noter(&self) -> Noter<'_> {
        Noter::new(&self.0).unwrap()
    }

    fn image(&self) -> Image {
        Image::from_words(self.0.iter().map(|cell| cell.load(Relaxed)).collect())
    }

    fn set(&self, cell: usize, word: u64) {
        self.0[cell].store(word, Relaxed);
    }

    fn get(&self, cell: usize) -> u64 {
        self.0[cell].load(Relaxed)
    }
}

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

fn key_text(key: &str) -> Packed<{ lane::KEY_TEXT }> {
    let mut text = Packed::new(key);
    text.append("value");
    text
}

#[test]
fn a_lane_whose_owner_died_while_it_made_it_ready_is_taken_over() {
    let memory = Memory::new();
    (0..LANE_COUNT).for_each(|lane| memory.set(LANES + lane * LANE, DEAD | lane::CLEARING));
    assert!(memory.noter().lane(own::thread(), NAME).is_some());
}

#[test]
fn a_lane_that_is_being_made_ready_holds_nothing_yet() {
    let memory = Memory::new();
    memory.noter().lane(DEAD, NAME).unwrap().set_key(0, &key_text("of the last owner"));
    memory.set(LANES, own::thread() | lane::CLEARING);
    assert_eq!((memory.image().contexts(), memory.image().torn()), (vec![], 0));
}

#[test]
fn a_thread_that_claims_its_old_lane_again_finds_it_empty() {
    let memory = Memory::new();
    let first = memory.noter().lane(own::thread(), NAME).unwrap();
    first.set_key(0, &key_text("old"));
    first.set_operation(at(1), &Packed::new("old"));
    first.release();
    memory.noter().lane(own::thread(), NAME).unwrap();
    let context = &memory.image().contexts()[0];
    assert_eq!((&context.keys, &context.operation, context.torn), (&vec![], &None, 0));
}

#[test]
fn a_lane_that_is_anothers_by_now_is_neither_ones_own_nor_given_back() {
    let memory = Memory::new();
    let lane = memory.noter().lane(own::thread(), NAME).unwrap();
    assert!(lane.is_of(own::thread()) && !lane.is_of(DEAD));
    memory.set(LANES, DEAD);
    assert!(!lane.is_of(own::thread()));
    lane.release();
    assert_eq!(memory.get(LANES), DEAD);
}

#[test]
fn what_is_forgotten_is_breadcrumbs_and_the_error_and_nothing_else() {
    let memory = Memory::new();
    let lane = memory.noter().lane(own::thread(), NAME).unwrap();
    lane.set_key(0, &key_text("stays"));
    lane.set_operation(at(1), &Packed::new("stays"));
    lane.set_breadcrumb(3, at(2), &Packed::new("passed"));
    lane.set_error(0, false, at(3), &Packed::new("wrong"));
    lane.forget();
    let context = &memory.image().contexts()[0];
    assert_eq!((&context.breadcrumbs, &context.error), (&vec![], &None));
    assert_eq!((context.keys.len(), context.operation.is_some(), context.torn), (1, true, 0));
}

#[test]
fn of_two_errors_the_newer_one_is_told_wherever_it_stands() {
    let memory = Memory::new();
    let lane = memory.noter().lane(own::thread(), NAME).unwrap();
    for number in 0..3 {
        lane.set_error(number, false, at(u64::from(number) + 1), &Packed::new(&number.to_string()));
        assert_eq!(memory.image().contexts()[0].error.as_ref().unwrap().text, number.to_string());
    }
}

#[test]
fn breadcrumbs_are_in_order_also_when_their_number_wraps() {
    let memory = Memory::new();
    let lane = memory.noter().lane(own::thread(), NAME).unwrap();
    let numbers = 0xff_fffc..=0x100_0003;
    numbers.clone().for_each(|number| lane.set_breadcrumb(number, at(1), &Packed::new(&number.to_string())));
    let crumbs: Vec<String> =
        memory.image().contexts()[0].breadcrumbs.iter().map(|crumb| crumb.text.clone()).collect();
    assert_eq!(crumbs, numbers.map(|number| number.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_key_that_stands_in_two_places_is_told_once() {
    let memory = Memory::new();
    let lane = memory.noter().lane(own::thread(), NAME).unwrap();
    (0..2).for_each(|at| lane.set_key(at, &key_text("order")));
    assert_eq!(memory.image().contexts()[0].keys, [("order".to_owned(), "value".to_owned())]);
}

#[test]
fn torn_records_of_lanes_and_of_open_spans_are_counted() {
    let memory = Memory::new();
    memory.noter().lane(own::thread(), NAME).unwrap().set_key(0, &key_text("order"));
    memory.noter().slot(own::thread(), 0).unwrap().open(Ids::default(), at(1), &Packed::new("open"));
    assert_eq!(memory.image().torn(), 0);
    let [key, open] = [LANES + lane::KEYS, SPANS + span::OWNER + 1];
    memory.set(key, !memory.get(key));
    assert_eq!((memory.image().torn(), memory.image().contexts()[0].torn), (1, 1));
    memory.set(open, !memory.get(open));
    assert_eq!((memory.image().torn(), memory.image().open_spans().len()), (2, 0));
}

#[test]
fn a_slot_that_is_anothers_by_now_is_neither_changed_nor_finished_nor_freed() {
    let memory = Memory::new();
    let slot = memory.noter().slot(own::thread(), 0).unwrap();
    slot.open(Ids::default(), at(1), &Packed::new("ours"));
    memory.set(SPANS, DEAD);
    let before = memory.image();
    slot.change(|text, _| text.add("more", &1));
    memory.noter().finish(slot, at(2));
    slot.free();
    assert!(memory.image() == before);
}

#[test]
fn slots_of_the_dead_make_room_for_the_living() {
    let memory = Memory::new();
    (0..SPAN_COUNT).for_each(|slot| memory.set(SPANS + slot * SPAN, DEAD));
    assert!(memory.noter().slot(own::thread(), 0).is_some());
}

#[test]
fn a_length_that_somebody_scribbled_into_a_slot_is_bounded() {
    let memory = Memory::new();
    let slot = memory.noter().slot(own::thread(), 0).unwrap();
    slot.open(Ids::default(), at(1), &Packed::<SPAN_TEXT>::new("open"));
    memory.set(SPANS + 2, PRESENT | 0xff_ffff);
    slot.change(|text, _| text.add("key", &"value"));
    memory.noter().finish(slot, at(2));
    assert!(memory.image().finished_spans(0)[0].cut);
}

#[test]
fn a_long_event_whose_second_record_is_not_its_own_says_that_it_is_cut() {
    let memory = Memory::new();
    let mut text = Packed::<EVENT_TEXT>::new("long");
    text.add("first", &"x".repeat(20));
    text.add("second", &"y".repeat(60));
    memory.noter().event(Moment::default(), &text);
    assert_eq!((memory.image().events()[0].attributes.len(), memory.image().events()[0].cut), (2, false));
    (0..EVENT).for_each(|cell| memory.set(EVENTS + EVENT + cell, 0));
    let event = &memory.image().events()[0];
    assert_eq!((event.attributes.len(), &*event.attributes[0].0, event.cut), (1, "first", true));
}

/// A record that proves itself where it stands, with this ticket and a name of one letter.
fn forge(memory: &Memory, place: usize, ticket: u64, before_text: usize) {
    memory.set(place + 1, ticket + 1);
    memory.set(place + 2, PRESENT | 1 << 16 | 1);
    memory.set(place + before_text, u64::from(b'x'));
    let cells: Vec<u64> = (place + 1..=place + before_text).map(|cell| memory.get(cell)).collect();
    memory.set(place, proof(place, &cells));
}

#[test]
fn a_ticket_of_another_place_of_its_ring_is_not_believed() {
    for (ring, cells, text) in [(EVENTS, EVENT, 7), (FINISHED, FINISHED_SPAN, 9)] {
        for (ticket, there) in [(3, 1), (3 + EVENT_COUNT as u64, 1), (4, 0)] {
            let memory = Memory::new();
            forge(&memory, ring + 3 * cells, ticket, text);
            let image = memory.image();
            assert_eq!(image.events().len() + image.finished_spans(0).len(), there, "ticket {ticket}");
            assert_eq!(image.torn(), 1 - there);
        }
    }
}

#[test]
fn a_flag_that_stands_where_no_search_finds_it_is_not_told() {
    let memory = Memory::new();
    memory.noter().note(7, 1, 5, at(1));
    let (cells, key) = (cell(entry(key(7), 1)), key(7));
    let (value, proven) = (value(2, 9), check(entry(key, 1), key, value(2, 9), 8, 0));
    for (at, word) in [(KEY, key), (VALUE, value), (TIME, 8), (CHECK, proven)] {
        memory.set(cells + at, word);
    }
    let all: Vec<_> = memory.image().all_seen().map(|seen| seen.body).collect();
    assert_eq!((all, memory.image().torn()), (vec![1], 0));
}

#[test]
fn a_note_that_is_torn_counts_as_not_noted() {
    let memory = Memory::new();
    memory.noter().note(7, 1, 5, at(1));
    assert!(memory.noter().has(7, 1));
    let torn = cell(entry(key(7), 0)) + CHECK;
    memory.set(torn, !memory.get(torn));
    assert!(!memory.noter().has(7, 1));
}

#[test]
fn two_threads_that_note_the_same_flags_at_once_take_one_entry_for_each() {
    let (memory, barrier) = (Memory::new(), Barrier::new(2));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for flag in 1..=400 {
                    barrier.wait();
                    memory.noter().note(mainstay::flags::mix(flag), 1, 1, at(1));
                }
            });
        }
    });
    let taken = (0..ENTRIES).filter(|entry| memory.get(SEEN + entry * 4) != 0).count();
    assert_eq!((taken, memory.image().all_seen().count()), (400, 400));
}

#[test]
fn a_key_of_more_than_255_bytes_finds_no_room() {
    let mut text = Packed::<384>::new("name");
    text.add(&"k".repeat(256), &"value");
    text.add("after", &1);
    assert_eq!(text.unpacked().1, [("after".to_owned(), "1".to_owned())]);
}

#[test]
fn what_is_noted_of_a_whole_life_goes_into_no_memory_that_can_shrink() {
    let memory = rustix::fs::memfd_create("no box", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let bytes: Vec<u8> = HEADER.iter().flat_map(|word| word.to_le_bytes()).collect();
    rustix::io::pwrite(&memory, &bytes, 0).unwrap();
    rustix::fs::ftruncate(&memory, CELLS as u64 * 8).unwrap();
    let error = blackbox::note(memory.as_fd(), &[("a".to_owned(), "b".to_owned())]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
