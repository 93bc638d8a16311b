//! What a note and a count in a black box cost. `cargo bench --bench blackbox`; each figure is for 1000.

use divan::{Bencher, black_box};
use mainstay::blackbox::{BlackBox, Noter};
use mainstay::sys::{clock, shared};
use mainstay::time::Instant;
use std::os::fd::AsFd;

const BODY: u32 = 1 << 28;
const HASH: u64 = 0x1234_5678_9abc_def0;

fn noter() -> Noter<'static> {
    let the_box = BlackBox::make().expect("a memfd");
    Noter::new(shared::map(the_box.as_fd()).expect("mapped")).expect("a box")
}

fn main() {
    divan::main();
}

#[divan::bench]
fn a_note_of_another_value_x1000(bencher: Bencher) {
    let noter = noter();
    let mut generation = 0;
    bencher.bench_local(|| {
        for _ in 0..1000 {
            generation += 1;
            noter.note(
                black_box(HASH),
                BODY ^ generation as u32,
                generation,
                Instant::from_nanos(generation),
            );
        }
    });
}

#[divan::bench]
fn a_note_of_another_value_and_the_clock_x1000(bencher: Bencher) {
    let noter = noter();
    let mut generation = 0;
    bencher.bench_local(|| {
        for _ in 0..1000 {
            generation += 1;
            noter.note(black_box(HASH), BODY ^ generation as u32, generation, clock::now());
        }
    });
}

#[divan::bench]
fn a_look_whether_a_value_is_noted_x1000(bencher: Bencher) {
    let noter = noter();
    noter.note(HASH, BODY, 1, clock::now());
    bencher.bench_local(|| (0..1000).filter(|_| noter.has(black_box(HASH), BODY)).count());
}

#[divan::bench]
fn a_count_x1000(bencher: Bencher) {
    let noter = noter();
    bencher.bench_local(|| (0..1000).for_each(|n| noter.count(black_box(n) > 0)));
}

#[divan::bench]
fn making_a_box_x1(bencher: Bencher) {
    bencher.bench_local(|| BlackBox::make().expect("a memfd"));
}

#[divan::bench]
fn reading_all_that_was_seen_x1(bencher: Bencher) {
    let the_box = BlackBox::make().expect("a memfd");
    let noter = Noter::new(shared::map(the_box.as_fd()).expect("mapped")).expect("a box");
    (0..20).for_each(|n| assert!(noter.note(mainstay::flags::mix(n + 1), BODY, 1, clock::now())));
    bencher.bench_local(|| the_box.image().expect("read").all_seen().count());
}
