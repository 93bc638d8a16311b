//! Noting in a black box under every order of loads and stores that the memory model allows.
//!
//! The model mirrors `blackbox::writer`, with loom's atomics in place of the mapped words. Beside it stand twins that lack
//! one rule and **must fail**: they show that the model sees what the rule is for.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Value, time, check of one entry.
type Entry = [AtomicU64; 3];
/// What is noted: generation (and, the same here, body), time.
type Note = (u64, u64);

const TRIES: usize = 6;

#[derive(Clone, Copy, PartialEq)]
enum Twin {
    /// As it is.
    None,
    /// Whoever is no longer the owner goes on.
    IgnoresOwner,
    /// Time and check are stored, not exchanged.
    Stores,
    /// What is older is noted, too.
    TakesOlder,
    /// The time is loaded before the check.
    TimeFirst,
}

fn check(value: u64, time: u64) -> u64 {
    value * 1000 + time
}

fn load(entry: &Entry) -> [u64; 3] {
    [0, 1, 2].map(|at| entry[at].load(Ordering::Acquire))
}

fn proves([value, time, checked]: [u64; 3]) -> bool {
    value != 0 && checked == check(value, time)
}

fn exchange(cell: &AtomicU64, old: u64, new: u64, twin: Twin) -> bool {
    if twin == Twin::Stores {
        cell.store(new, Ordering::Release);
        return true;
    }
    cell.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

fn note(entry: &Entry, (new, at): Note, twin: Twin) {
    for _ in 0..TRIES {
        let [standing, time, _] = load(entry);
        let same = standing == new;
        let newer = standing != 0 && (time > at || new < standing) && twin != Twin::TakesOlder;
        if same && proves(load(entry)) || !same && newer {
            return;
        }
        if same || exchange(&entry[0], standing, new, Twin::None) {
            return complete(entry, new, at, twin);
        }
    }
}

fn complete(entry: &Entry, new: u64, at: u64, twin: Twin) {
    let mut timed = false;
    for _ in 0..TRIES {
        let first = entry[if twin == Twin::TimeFirst { 1 } else { 2 }].load(Ordering::Acquire);
        let second = entry[if twin == Twin::TimeFirst { 2 } else { 1 }].load(Ordering::Acquire);
        let (old_check, time) = if twin == Twin::TimeFirst { (second, first) } else { (first, second) };
        if entry[0].load(Ordering::Acquire) != new && twin != Twin::IgnoresOwner {
            return;
        }
        if !timed {
            timed = exchange(&entry[1], time, at.max(time + 1), twin);
        } else if exchange(&entry[2], old_check, check(new, time), twin) {
            return;
        }
    }
}

/// Two threads note `one` and `two` in an entry that begins as `first`; then the newest stands, whole.
fn model(first: [u64; 3], one: Note, two: Note, twin: Twin) {
    let entry: Arc<Entry> = Arc::new(first.map(AtomicU64::new));
    let other = entry.clone();
    let thread = thread::spawn(move || note(&other, one, twin));
    note(&entry, two, twin);
    let seen = load(&entry);
    assert!(!proves(seen) || [first[0], one.0, two.0].contains(&seen[0]), "{seen:?} was never noted");
    thread.join().unwrap();
    let end = load(&entry);
    assert!(proves(end), "torn: {end:?}");
    assert_eq!(end[0], one.0.max(two.0), "{end:?}");
}

const EMPTY: [u64; 3] = [0, 0, 0];
/// Value 3 at time 5, whole.
const OLD: [u64; 3] = [3, 5, 3005];
/// The same value, whose maker died before the check.
const TORN: [u64; 3] = [3, 5, 7];

/// Every order with at most three switches between threads where nobody has to wait; without that bound it takes
/// minutes, and finds nothing more.
fn explore(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

fn check_model(first: [u64; 3], one: Note, two: Note) {
    explore(move || model(first, one, two, Twin::None));
}

#[test]
fn of_two_notes_the_newest_stands_and_is_whole() {
    check_model(EMPTY, (4, 10), (6, 20));
    check_model(OLD, (4, 10), (6, 20));
    check_model(OLD, (4, 20), (6, 20));
}

#[test]
fn two_that_note_the_same_or_complete_the_same_leave_it_whole() {
    check_model(OLD, (6, 10), (6, 20));
    check_model(TORN, (3, 10), (3, 20));
    check_model(TORN, (3, 10), (6, 20));
}

/// True when some order of events breaks the twin, from one of these beginnings.
fn breaks(twin: Twin, one: Note) -> bool {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let broken = [EMPTY, OLD].into_iter().any(|first| {
        let run = || explore(move || model(first, one, (6, 20), twin));
        catch_unwind(AssertUnwindSafe(run)).is_err()
    });
    std::panic::set_hook(hook);
    broken
}

#[test]
fn without_one_of_the_rules_an_order_of_events_breaks_it() {
    let (older, same) = ((4, 10), (6, 10));
    assert!(breaks(Twin::Stores, older), "time and check may be stored");
    assert!(breaks(Twin::TakesOlder, older), "what is older need not be refused");
    assert!(breaks(Twin::IgnoresOwner, older), "whoever lost the entry may go on");
    assert!(breaks(Twin::TimeFirst, same), "the time may be loaded before the check");
}
