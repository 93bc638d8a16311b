//! What context, spans and events cost, with a black box; beside them `tracing` with a subscriber that does nothing.
//! `cargo bench --bench trace`; each figure is for 1000.

#![allow(unsafe_code)] // the variable that names the box is set before there is another thread

use divan::{Bencher, black_box};
use mainstay::blackbox::{self, BlackBox};
use mainstay::{context, event, span};
use std::os::fd::{AsRawFd, OwnedFd};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

fn main() {
    let the_box = OwnedFd::from(BlackBox::make().expect("a memfd"));
    // SAFETY: there is one thread yet.
    unsafe { std::env::set_var(blackbox::VARIABLE, the_box.as_raw_fd().to_string()) };
    assert!(blackbox::seen().is_some(), "the box is found");
    tracing::subscriber::set_global_default(Nothing).expect("the first one");
    divan::main();
}

/// Wants everything, and does nothing with it.
struct Nothing;

impl Subscriber for Nothing {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[divan::bench]
fn an_event_x1000(bencher: Bencher) {
    bencher.bench_local(|| (0..1000).for_each(|_| event!("cache.miss")));
}

#[divan::bench]
fn an_event_with_two_values_x1000(bencher: Bencher) {
    bencher.bench_local(|| (0..1000).for_each(|n| event!("cache.miss", key = "A-1042", n = black_box(n))));
}

#[divan::bench]
fn an_event_of_tracing_with_two_values_x1000(bencher: Bencher) {
    bencher.bench_local(|| {
        (0..1000).for_each(|n| {
            tracing::event!(tracing::Level::INFO, key = "A-1042", n = black_box(n), "cache.miss")
        });
    });
}

#[divan::bench]
fn a_span_x1000(bencher: Bencher) {
    bencher.bench_local(|| (0..1000).for_each(|_| drop(span!("request"))));
}

#[divan::bench]
fn a_span_with_two_values_x1000(bencher: Bencher) {
    bencher.bench_local(|| (0..1000).for_each(|n| drop(span!("request", path = "/pay", n = black_box(n)))));
}

#[divan::bench]
fn a_span_of_tracing_with_two_values_x1000(bencher: Bencher) {
    bencher.bench_local(|| {
        (0..1000).for_each(|n| {
            drop(tracing::span!(tracing::Level::INFO, "request", path = "/pay", n = black_box(n)).entered());
        });
    });
}

#[divan::bench]
fn setting_a_key_x1000(bencher: Bencher) {
    bencher.bench_local(|| (0..1000).filter(|_| context::set("order", black_box("A-1042"))).count());
}

#[divan::bench]
fn setting_a_key_to_a_number_x1000(bencher: Bencher) {
    bencher.bench_local(|| (0..1000).filter(|n| context::set("attempt", black_box(*n))).count());
}

#[divan::bench]
fn with_a_key_x1000(bencher: Bencher) {
    bencher.bench_local(|| {
        (0..1000).map(|n| context::with([("order", "A-1042")], || black_box(n))).sum::<i32>()
    });
}

#[divan::bench]
fn an_operation_x1000(bencher: Bencher) {
    bencher.bench_local(|| (0..1000).for_each(|_| drop(context::operation("checkout"))));
}

#[divan::bench]
fn a_breadcrumb_x1000(bencher: Bencher) {
    bencher.bench_local(|| (0..1000).for_each(|_| context::breadcrumb("passed")));
}

#[divan::bench]
fn the_two_looks_at_the_clock_of_a_span_x1000(bencher: Bencher) {
    use mainstay::sys::ticks;
    bencher.bench_local(|| (0..2000).fold(0, |sum: u64, _| sum.wrapping_add(ticks::now().as_nanos())));
}

#[divan::bench]
fn two_looks_at_the_clock_of_the_kernel_x1000(bencher: Bencher) {
    use mainstay::sys::clock;
    bencher.bench_local(|| (0..2000).fold(0, |sum: u64, _| sum.wrapping_add(clock::now().as_nanos())));
}
