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

/// B4: a value in a record is changed by one store of the word that leads to it; the old record stays.
fn wide_value(publish: Ordering, word_first: bool, acquire: bool) {
    // Two records of two cells each, and the word: which record.
    let cells: Arc<[AtomicU64; 5]> =
        Arc::new(std::array::from_fn(|n| AtomicU64::new(if n < 2 { 5 } else { 0 })));
    let writer = cells.clone();
    let thread = thread::spawn(move || {
        if word_first {
            writer[4].store(2, publish);
        }
        writer[2].store(7, publish);
        writer[3].store(7, publish);
        if !word_first {
            writer[4].store(2, publish);
        }
    });
    let at = cells[4].load(Ordering::Relaxed) as usize;
    if acquire {
        fence(Ordering::Acquire);
    }
    let record = (cells[at].load(Ordering::Relaxed), cells[at + 1].load(Ordering::Relaxed));
    assert!(record == if at == 0 { (5, 5) } else { (7, 7) }, "{record:?} at {at}");
    thread.join().unwrap();
}

#[test]
fn b4_who_follows_a_word_finds_its_record_whole_and_the_old_one_as_it_was() {
    loom::model(|| wide_value(Ordering::Release, false, true));
    assert!(breaks(|| wide_value(Ordering::Release, true, true)), "word before record");
    assert!(breaks(|| wide_value(Ordering::Relaxed, false, true)), "relaxed stores");
    assert!(breaks(|| wide_value(Ordering::Release, false, false)), "no acquire fence");
}

/// Where a handle keeps what does not fit in a word, as in `board::kept`.
struct Kept {
    last: AtomicU64,
    places: [KeptPlace; 2],
}

struct KeptPlace {
    taken: AtomicU64,
    word: AtomicU64,
    cells: [AtomicU64; 2],
}

impl Kept {
    fn new() -> Kept {
        let place = |n: u64| KeptPlace {
            taken: AtomicU64::new(0),
            word: AtomicU64::new(n),
            cells: [AtomicU64::new(n), AtomicU64::new(n)],
        };
        Kept { last: AtomicU64::new(1), places: [place(1), place(0)] }
    }

    fn replace(&self, word: u64, spare_last: bool, clear: bool) {
        let known = self.last.load(Ordering::Acquire);
        let take = |place: &&KeptPlace| {
            if place.taken.swap(1, Ordering::Acquire) == 1 {
                return false;
            }
            let free = !spare_last || place.word.load(Ordering::Relaxed) != self.last.load(Ordering::Relaxed);
            if !free {
                place.taken.store(0, Ordering::Release);
            }
            free
        };
        let place = self.places.iter().find(take);
        if let Some(place) = place {
            if clear {
                place.word.store(0, Ordering::Relaxed);
                fence(Ordering::Release);
            }
            place.cells.iter().for_each(|cell| cell.store(word, Ordering::Relaxed));
            place.word.store(word, Ordering::Release);
        }
        let _ = self.last.compare_exchange(known, word, Ordering::Release, Ordering::Relaxed);
        if let Some(place) = place {
            place.taken.store(0, Ordering::Release);
        }
    }

    fn get(&self, word: u64) -> Option<(u64, u64)> {
        let place = self.places.iter().find(|place| place.word.load(Ordering::Acquire) == word)?;
        let value = (place.cells[0].load(Ordering::Relaxed), place.cells[1].load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        (place.word.load(Ordering::Relaxed) == word).then_some(value)
    }
}

/// Two changes are kept one after the other while somebody reads.
fn kept(spare_last: bool, clear: bool) {
    let all = Arc::new(Kept::new());
    let keeper = all.clone();
    let thread = thread::spawn(move || {
        keeper.replace(2, spare_last, clear);
        keeper.replace(3, spare_last, clear);
    });
    for word in [1, 2, 3] {
        if let Some(value) = all.get(word) {
            assert_eq!(value, (word, word), "a mixture");
        }
    }
    thread.join().unwrap();
    let last = all.last.load(Ordering::Relaxed);
    assert_eq!(all.get(last), Some((last, last)), "the last value is kept");
}

/// The value of the last word is never taken away while nobody has another.
fn kept_while_replaced(spare_last: bool) {
    let all = Arc::new(Kept::new());
    let keeper = all.clone();
    let thread = thread::spawn(move || keeper.replace(2, spare_last, true));
    let last = all.last.load(Ordering::Acquire);
    let value = all.get(last);
    let again = all.last.load(Ordering::Acquire);
    assert!(last != again || value == Some((last, last)), "the last value is gone: {value:?}");
    thread.join().unwrap();
}

#[test]
fn b7_what_a_handle_keeps_is_whole_and_there_while_others_replace_it() {
    loom::model(|| kept(true, true));
    assert!(breaks(|| kept(true, false)), "a place that is filled still shows its old word");
    loom::model(|| kept_while_replaced(true));
    assert!(breaks(|| kept_while_replaced(false)), "the last value is written over");
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
