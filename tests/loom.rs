//! The board's protocols under every order of loads and stores that the memory model allows.
//!
//! Each model mirrors the stores of `board::writer` and the loads of `board::flag`, `attachment` and
//! `snapshot`, with loom's atomics in place of the mapped words. Beside each stands a twin that lacks one
//! fence or swaps two stores and **must fail**: it shows that the model sees what it is for.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering, fence};
use loom::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A seal is stood in for by addition: what matters here is which words are seen together.
const SEAL: u64 = 1000;

fn load(word: &AtomicU64) -> u64 {
    // As on read-only pages: relaxed, then a fence.
    let word = word.load(Ordering::Relaxed);
    fence(Ordering::Acquire);
    word
}

/// True when some order of events breaks `model`.
fn breaks(model: impl Fn() + Sync + Send + 'static) -> bool {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let broken = catch_unwind(AssertUnwindSafe(|| loom::model(model))).is_err();
    std::panic::set_hook(hook);
    broken
}

/// B3: record, then word, then index entry. Who finds the entry finds the rest.
fn insertion(publish: Ordering, entry_first: bool, acquire: bool) {
    let cells: Arc<[AtomicU64; 3]> = Arc::new(std::array::from_fn(|_| AtomicU64::new(0)));
    let writer = cells.clone();
    let thread = thread::spawn(move || {
        let [record, word, entry] = &*writer;
        if entry_first {
            entry.store(1, publish);
        }
        record.store(7, publish);
        word.store(SEAL + 1, publish);
        if !entry_first {
            entry.store(1, publish);
        }
    });
    let [record, word, entry] = &*cells;
    let seen = entry.load(Ordering::Relaxed);
    if acquire {
        fence(Ordering::Acquire);
    }
    if seen == 1 {
        assert_eq!(record.load(Ordering::Relaxed), 7, "an entry without its record");
        assert_eq!(word.load(Ordering::Relaxed), SEAL + 1, "an entry without its word");
    }
    thread.join().unwrap();
}

#[test]
fn b3_who_finds_an_index_entry_finds_record_and_word() {
    loom::model(|| insertion(Ordering::Release, false, true));
    assert!(breaks(|| insertion(Ordering::Release, true, true)), "entry before record");
    assert!(breaks(|| insertion(Ordering::Relaxed, false, true)), "relaxed stores");
    assert!(breaks(|| insertion(Ordering::Release, false, false)), "no acquire fence");
}

/// B4: the commit counter is odd around two stores; a snapshot takes both or neither.
fn snapshot(writer_fence: bool, reader_fences: bool, bracket: bool) {
    let cells: Arc<[AtomicU64; 3]> = Arc::new(std::array::from_fn(|_| AtomicU64::new(0)));
    let writer = cells.clone();
    let thread = thread::spawn(move || {
        let [commit, one, two] = &*writer;
        if bracket {
            commit.store(1, Ordering::Release);
        }
        if writer_fence {
            fence(Ordering::Release);
        }
        // Release in the writer; relaxed here, so that the fence is what is tried.
        one.store(5, Ordering::Relaxed);
        two.store(5, Ordering::Relaxed);
        commit.store(2, Ordering::Release);
    });
    let [commit, one, two] = &*cells;
    let before = commit.load(Ordering::Relaxed);
    if reader_fences {
        fence(Ordering::Acquire);
    }
    let copy = (one.load(Ordering::Relaxed), two.load(Ordering::Relaxed));
    if reader_fences {
        fence(Ordering::Acquire);
    }
    let after = commit.load(Ordering::Relaxed);
    if before == after && before % 2 == 0 {
        assert!(copy == (0, 0) || copy == (5, 5), "half of a change: {copy:?}");
    }
    thread.join().unwrap();
}

#[test]
fn b4_a_snapshot_takes_all_of_a_change_or_nothing() {
    loom::model(|| snapshot(true, true, true));
    assert!(breaks(|| snapshot(false, true, true)), "no release fence after the odd counter");
    assert!(breaks(|| snapshot(true, false, true)), "no acquire fences");
    assert!(breaks(|| snapshot(true, true, false)), "the counter is never odd");
}

/// B5: retired only when the successor stands. Who sees the old board retired finds the new one.
fn succession(retire_first: bool, state_fence: bool) {
    // The old board's state, the name (0 old, 1 new), the new board's word.
    let cells: Arc<[AtomicU64; 3]> = Arc::new(std::array::from_fn(|_| AtomicU64::new(0)));
    let writer = cells.clone();
    let thread = thread::spawn(move || {
        let [state, name, word] = &*writer;
        if retire_first {
            state.store(1, Ordering::Release);
        }
        word.store(SEAL, Ordering::Release);
        name.store(1, Ordering::Release);
        if !retire_first {
            state.store(1, Ordering::Release);
        }
    });
    let [state, name, word] = &*cells;
    let retired = if state_fence { load(state) } else { state.load(Ordering::Relaxed) } == 1;
    if retired {
        assert_eq!(name.load(Ordering::Relaxed), 1, "retired, and no successor stands");
        assert_eq!(word.load(Ordering::Relaxed), SEAL, "a successor that is not whole");
    }
    thread.join().unwrap();
}

#[test]
fn b5_who_sees_a_board_retired_finds_its_successor_whole() {
    loom::model(|| succession(false, true));
    assert!(breaks(|| succession(true, true)), "retired before the rename");
    assert!(breaks(|| succession(false, false)), "no fence after the state");
}

/// How a handle notes the last proven word.
#[derive(Clone, Copy)]
enum Note {
    /// As in `Flag::proven`: compared, and read again when another thread was faster.
    Again,
    /// Compared, but not read again.
    Once,
    /// Stored over whatever is there.
    Blindly,
}

/// The handle: last proven value, changed by threads that were stopped in between.
fn last_value(note: Note) {
    let cells: Arc<[AtomicU64; 2]> = Arc::new(std::array::from_fn(|_| AtomicU64::new(0)));
    let (a, b) = (cells.clone(), cells.clone());
    let read = move |cells: &[AtomicU64; 2]| {
        let [word, last] = cells;
        loop {
            let known = last.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            let now = word.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if now == known {
                return now;
            }
            if let Note::Blindly = note {
                last.store(now, Ordering::Release);
                return now;
            }
            let kept = last.compare_exchange(known, now, Ordering::Release, Ordering::Relaxed).is_ok();
            if kept || matches!(note, Note::Once) {
                return now;
            }
        }
    };
    let writer = thread::spawn(move || {
        let [word, _] = &*a;
        word.store(1, Ordering::Release);
        word.store(2, Ordering::Release);
    });
    let other = thread::spawn(move || read(&b));
    let seen = read(&cells);
    let kept = cells[1].load(Ordering::Relaxed);
    assert!(kept >= seen, "read {seen}, and a stale read would say {kept}");
    other.join().unwrap();
    writer.join().unwrap();
}

#[test]
fn b7_a_stale_answer_is_never_older_than_what_the_thread_read_before() {
    loom::model(|| last_value(Note::Again));
    assert!(breaks(|| last_value(Note::Once)), "another thread's older word stays");
    assert!(breaks(|| last_value(Note::Blindly)), "an old word over a newer one");
}

/// A waiter: the futex word is read before the generation, and written after it.
fn waiting(futex_first: bool) {
    let cells: Arc<[AtomicU64; 2]> = Arc::new(std::array::from_fn(|_| AtomicU64::new(0)));
    let writer = cells.clone();
    let thread = thread::spawn(move || {
        let [generation, futex] = &*writer;
        generation.store(1, Ordering::Release);
        futex.store(1, Ordering::Release);
    });
    let [generation, futex] = &*cells;
    let (expected, seen) = if futex_first {
        let expected = load(futex);
        (expected, load(generation))
    } else {
        let seen = load(generation);
        (load(futex), seen)
    };
    thread.join().unwrap();
    // The kernel compares the futex word, now final, with what was expected.
    let sleeps = seen == 0 && futex.load(Ordering::Relaxed) == expected;
    assert!(!sleeps, "asleep over a change");
}

#[test]
fn a_waiter_never_sleeps_over_a_change() {
    loom::model(|| waiting(true));
    assert!(breaks(|| waiting(false)), "the generation before the futex word");
}
