//! Tests: what is told of lives, in any order, and boxes that say anything.

use super::*;
use crate::blackbox::layout::{BELL, CELLS, EVENT_HEAD, FINISHED_HEAD};
use crate::blackbox::text::Packed;
use crate::blackbox::{Ids, Moment, Noter, Status};
use crate::sys::mapped::Mapped;
use crate::sys::memory;
use crate::telemetry::{Counts, Settings, Summary};
use std::os::fd::AsFd;

/// Telemetry without its loop.
struct Rig {
    boxes: Boxes,
    sampler: Sampler,
    batch: Batch,
    now: Instant,
}

/// A life's own hand on its box.
struct Life(OwnedFd);

impl Life {
    fn new() -> Life {
        Life(BlackBox::make().unwrap().into())
    }

    fn events(&self, count: u64) {
        let cells = Mapped::<CELLS>::new(self.0.as_fd()).unwrap();
        let noter = Noter::new(&cells).unwrap();
        (0..count).for_each(|_| noter.event(Moment::default(), &Packed::new("e")));
    }

    fn write(&self, cell: usize, word: u64) {
        memory::write_at(self.0.as_fd(), &word.to_le_bytes(), cell as u64 * 8).unwrap();
    }

    fn word(&self, cell: usize) -> u64 {
        let mut bytes = [0; 8];
        memory::read_at(self.0.as_fd(), &mut bytes, cell as u64 * 8).unwrap();
        u64::from_le_bytes(bytes)
    }
}

impl Rig {
    fn new() -> Rig {
        Rig::after(BTreeMap::new())
    }

    fn after(before: BTreeMap<(String, u64), Reached>) -> Rig {
        let settings = Settings { per_second: u32::MAX, batch_size: 10_000, ..Settings::default() };
        let (sampler, batch) = (Sampler::new(&settings), Batch::new(&settings));
        let mut rig = Rig { boxes: Boxes::new(before), sampler, batch, now: Instant::from_nanos(1) };
        rig.instance(1, "web#1");
        rig
    }

    fn instance(&mut self, child: u32, instance: &str) {
        let (service, instance) = ("web".to_owned(), instance.to_owned());
        self.boxes.hear(Told::Instance { child, service, instance }, None);
    }

    fn tell(&mut self, child: u32, incarnation: u64, pid: u32, of: &Life) {
        let memory = of.0.try_clone().unwrap();
        self.boxes.hear(Told::Life { child, incarnation, pid }, Some(memory));
    }

    fn end(&mut self, child: u32, incarnation: u64) {
        self.boxes.hear(Told::Ended { child, incarnation }, None);
    }

    /// One turn; what it came to so far.
    fn take(&mut self) -> Counts {
        let Rig { boxes, sampler, batch, now } = self;
        boxes.take(&mut Taking { now: *now, epoch: 0, sampler, batch });
        self.batch.summary(&Summary::default()).totals
    }

    /// Until nothing is left.
    fn take_all(&mut self) -> Counts {
        while !self.boxes.is_quiet() {
            self.take();
        }
        self.take()
    }

    /// The batch is in the file.
    fn written(&mut self) {
        self.boxes.written(&self.batch.places().clone());
    }
}

#[test]
fn tickets_of_a_box_that_lies_may_wrap() {
    for heads in [&[u64::MAX, 1000][..], &[u64::MAX, 0], &[u64::MAX - 3, 2, u64::MAX, 0]] {
        let (mut rig, of) = (Rig::new(), Life::new());
        rig.tell(1, 1, 7, &of);
        for head in heads {
            [EVENT_HEAD, FINISHED_HEAD].into_iter().for_each(|cell| of.write(cell, *head));
            rig.boxes.look_at((1, 1));
            for _ in 0..3 {
                rig.take();
                // Whoever writes is not waited for any more.
                rig.now = rig.now + PATIENCE;
            }
        }
        assert!(rig.boxes.is_quiet(), "{heads:?}");
    }
}

#[test]
fn a_box_that_is_told_twice_is_taken_once() {
    let (mut rig, of) = (Rig::new(), Life::new());
    of.events(3);
    rig.tell(1, 1, 7, &of);
    assert_eq!(rig.take_all().taken, 3);
    rig.tell(1, 1, 7, &of);
    assert_eq!(rig.take_all().taken, 3);
}

#[test]
fn a_box_is_kept_until_what_was_taken_of_it_is_written() {
    let (mut rig, of) = (Rig::new(), Life::new());
    of.events(3);
    rig.tell(1, 1, 7, &of);
    rig.end(1, 1);
    rig.take_all();
    assert_eq!(rig.boxes.take_finished(), []);
    rig.written();
    assert_eq!(rig.boxes.take_finished(), [(1, 1)]);
}

#[test]
fn a_life_whose_end_was_not_told_is_over_when_the_next_one_begins() {
    let (mut rig, first, second) = (Rig::new(), Life::new(), Life::new());
    rig.tell(1, 1, 7, &first);
    rig.tell(1, 2, 8, &second);
    rig.take_all();
    assert_eq!((rig.boxes.take_finished(), rig.boxes.of_pid(7)), (vec![(1, 1)], None));
    assert_eq!((rig.boxes.named("web#1"), rig.boxes.of_pid(8)), (Some((1, 2)), Some((1, 2))));
}

#[test]
fn a_number_that_was_given_again_is_the_later_ones() {
    let (mut rig, first, second) = (Rig::new(), Life::new(), Life::new());
    rig.instance(2, "web#2");
    rig.tell(1, 1, 7, &first);
    // The second life has the pid of the first, whose end is told late.
    rig.tell(2, 5, 7, &second);
    rig.end(1, 1);
    assert_eq!(rig.boxes.of_pid(7), Some((2, 5)));
    rig.end(2, 5);
    assert_eq!(rig.boxes.of_pid(7), None);
}

#[test]
fn an_instance_that_was_removed_and_added_again_keeps_its_name() {
    let (mut rig, of) = (Rig::new(), Life::new());
    rig.instance(9, "web#1");
    rig.tell(9, 3, 7, &of);
    rig.boxes.hear(Told::Gone { child: 1 }, None);
    assert_eq!(rig.boxes.named("web#1"), Some((9, 3)));
    rig.boxes.hear(Told::Gone { child: 9 }, None);
    assert_eq!(rig.boxes.named("web#1"), None);
}

#[test]
fn what_was_said_of_another_box_with_the_same_number_is_not_believed() {
    let said = |events| BTreeMap::from([(("web#1".to_owned(), 1), Reached { spans: 0, events })]);
    // Its box says that two were taken: a summary that says three is of another one.
    for (events, taken) in [(2, 2), (3, 4)] {
        let (mut rig, of) = (Rig::after(said(events)), Life::new());
        of.events(4);
        BlackBox::open(of.0.try_clone().unwrap())
            .unwrap()
            .set_drained(Drained { events_taken: 2, ..Drained::default() })
            .unwrap();
        rig.tell(1, 1, 7, &of);
        assert_eq!(rig.take_all().taken, taken);
    }
    // Once all is told, none of it holds any more.
    let (mut rig, of) = (Rig::after(said(2)), Life::new());
    rig.boxes.hear(Told::Begin, None);
    of.events(4);
    let drained = Drained { events_taken: 2, ..Drained::default() };
    BlackBox::open(of.0.try_clone().unwrap()).unwrap().set_drained(drained).unwrap();
    rig.tell(1, 1, 7, &of);
    assert_eq!(rig.take_all().taken, 4);
}

#[test]
fn a_box_that_lies_says_nothing_about_what_was_in_flight() {
    for (taken, written, in_flight) in [(5, 2, 3), (u64::MAX, 0, 0), (2, 5, 0)] {
        let (mut rig, of) = (Rig::new(), Life::new());
        let drained = Drained { events_taken: taken, events_written: written, ..Drained::default() };
        BlackBox::open(of.0.try_clone().unwrap()).unwrap().set_drained(drained).unwrap();
        rig.tell(1, 1, 7, &of);
        assert_eq!(rig.boxes.in_flight, in_flight);
    }
}

#[test]
fn whoever_writes_is_waited_for_a_while_and_the_dead_are_not() {
    let (mut rig, of) = (Rig::new(), Life::new());
    rig.tell(1, 1, 7, &of);
    of.write(EVENT_HEAD, 1);
    rig.boxes.look_at((1, 1));
    assert_eq!((rig.take().torn, rig.take().torn), (0, 0));
    rig.now = rig.now + PATIENCE;
    assert_eq!(rig.take().torn, 1);
    of.write(EVENT_HEAD, 2);
    rig.boxes.look_at((1, 1));
    assert_eq!(rig.take().torn, 1);
    rig.end(1, 1);
    assert_eq!(rig.take().torn, 2);
}

#[test]
fn a_box_that_was_drained_asks_for_a_ring() {
    let (mut rig, of) = (Rig::new(), Life::new());
    rig.tell(1, 1, 7, &of);
    of.write(BELL, 1);
    of.events(1);
    rig.take();
    assert_eq!(of.word(BELL), 1, "something was there");
    rig.take_all();
    assert_eq!(of.word(BELL), 0);
}

#[test]
fn an_event_that_was_partly_overwritten_was_lost_as_a_whole() {
    let (mut rig, of) = (Rig::new(), Life::new());
    let cells = Mapped::<CELLS>::new(of.0.as_fd()).unwrap();
    let noter = Noter::new(&cells).unwrap();
    let mut long = Packed::new("long");
    (0..4).for_each(|key| long.add(&key.to_string(), &"x".repeat(80)));
    noter.event(Moment::default(), &long);
    let of_long = noter_events(&of);
    assert!(of_long > 1);
    // All but its last record stays.
    of.events(EVENT_COUNT as u64 - of_long + 1);
    rig.tell(1, 1, 7, &of);
    let counts = rig.take_all();
    assert_eq!((counts.taken, counts.lost, counts.torn), (EVENT_COUNT as u64 - of_long + 1, of_long, 0));
}

fn noter_events(of: &Life) -> u64 {
    of.word(EVENT_HEAD)
}

#[test]
fn where_a_service_says_that_its_next_event_is_is_not_beyond_what_it_wrote() {
    let (mut rig, of) = (Rig::new(), Life::new());
    let cells = Mapped::<CELLS>::new(of.0.as_fd()).unwrap();
    let mut long = Packed::new("long");
    (0..4).for_each(|key| long.add(&key.to_string(), &"x".repeat(80)));
    Noter::new(&cells).unwrap().event(Moment::default(), &long);
    // It has four records, of which the ring's head knows one.
    of.write(EVENT_HEAD, 1);
    rig.tell(1, 1, 7, &of);
    let counts = rig.take_all();
    assert_eq!((counts.taken, counts.lost, counts.torn), (1, 0, 0));
}

#[test]
fn a_batch_that_is_full_takes_nothing_more() {
    let mut rig = Rig::new();
    rig.batch = Batch::new(&Settings { batch_size: 5, ..Settings::default() });
    let lives: Vec<Life> = (0..3).map(|_| Life::new()).collect();
    for (number, of) in (1..).zip(&lives) {
        of.events(4);
        rig.instance(number, &format!("web#{number}"));
        rig.tell(number, 1, 100 + number, of);
    }
    assert_eq!((rig.take().taken, rig.take().taken), (5, 5));
    let places: Vec<u64> = rig.batch.places().values().map(|place| place.events).collect();
    assert_eq!(places, [4, 1]);
}

#[test]
fn what_stands_at_the_greatest_tickets_is_counted_once() {
    for head in (0..6).map(|before| u64::MAX - before) {
        let (mut rig, of) = (Rig::new(), Life::new());
        rig.tell(1, 1, 7, &of);
        [EVENT_HEAD, FINISHED_HEAD].into_iter().for_each(|cell| of.write(cell, head));
        rig.boxes.look_at((1, 1));
        rig.take_all();
        let cells = Mapped::<CELLS>::new(of.0.as_fd()).unwrap();
        let noter = Noter::new(&cells).unwrap();
        let mut long = Packed::new("long");
        (0..4).for_each(|key| long.add(&key.to_string(), &"x".repeat(80)));
        noter.event(Moment::default(), &long);
        of.events(3);
        let now = Instant::from_nanos(2);
        (0..3).for_each(|_| noter.finish_unplaced(1, Ids::default(), "span", Status::Ok, now, now));
        rig.boxes.look_at((1, 1));
        for _ in 0..3 {
            rig.take();
            rig.now = rig.now + PATIENCE;
        }
        assert!(rig.boxes.is_quiet(), "from {head}");
        let counts = rig.take();
        let places = of.word(EVENT_HEAD).wrapping_sub(head) + of.word(FINISHED_HEAD).wrapping_sub(head);
        // And one lie for each ring, which jumped.
        assert_eq!(counts.taken + counts.torn + counts.lost, places + 2, "from {head}: {counts:?}");
    }
}
