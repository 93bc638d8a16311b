//! Writing a black box, in the service: many threads of many processes at once, none of which ever waits.
//!
//! An entry of the seen table is four cells. Whoever exchanges the value cell owns the entry until somebody exchanges
//! it again, and puts time and check right; who finds that it is no longer the owner stops. A cell is only changed from
//! what it held while one was the owner, and times only rise, so nobody who was stopped for long can undo what came
//! later. An owner that dies between two of these stores leaves an entry that does not prove itself; whoever meets it
//! next completes it in its place, so it must be no matter whether one completes it or several.

use super::layout::{
    CELLS, CHECK, COUNTERS, ENTRY, HEADER, KEY, OVERFLOWS, PAIR, PAIRS, PROBES, SEEN, TIME, VALUE, check,
    entry, key, proves, value,
};
use crate::time::Instant;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often one begins again because somebody else was faster. Each other thread can be in the way twice.
const TRIES: usize = 64;

/// After so long, a note with an older number replaces one with a newer: the numbers began anew, as they do after the
/// loss of the state directory. No thread is stopped for so long between reading a flag and noting it, and then finds
/// nothing newer.
const SETTLED_NS: u64 = 1_000_000_000;

/// Writes the black box of this life.
#[derive(Clone, Copy)]
pub struct Noter<'a> {
    pub(super) cells: &'a [AtomicU64; CELLS],
}

impl fmt::Debug for Noter<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Noter").finish_non_exhaustive()
    }
}

impl<'a> Noter<'a> {
    /// For the memory of a box; `None` when it does not begin as a box of this version does.
    pub fn new(cells: &'a [AtomicU64; CELLS]) -> Option<Noter<'a>> {
        let ours = cells.iter().zip(HEADER).all(|(cell, word)| cell.load(Ordering::Relaxed) == word);
        ours.then_some(Noter { cells })
    }

    /// For memory that was seen to begin as a box does.
    #[inline]
    pub(super) const fn of(cells: &'a [AtomicU64; CELLS]) -> Noter<'a> {
        Noter { cells }
    }

    /// Notes that a flag was read: its name's hash, the body of its word, the number of the board's last change before
    /// the word was loaded, and when that was. False when the table has no room: that is counted.
    ///
    /// Nothing changes when that body is noted already, or when what is noted is newer.
    pub fn note(&self, hash: u64, body: u32, generation: u64, at: Instant) -> bool {
        let key = key(hash);
        let Some(entry) = self.find_or_claim(key) else {
            self.cells[OVERFLOWS].fetch_add(1, Ordering::Relaxed);
            return false;
        };
        let cells = self.entry(entry);
        let new = value(body, generation);
        for _ in 0..TRIES {
            let [_, standing, time, _] = load(cells);
            let same = standing as u32 == body;
            if same && proves(entry, load(cells)) || !same && is_newer(standing, time, new, at.as_nanos()) {
                break;
            }
            if standing == new || exchange(&cells[VALUE], standing, new) {
                complete(cells, entry, key, new, at.as_nanos(), (generation >> 32) as u32);
                break;
            }
        }
        true
    }

    /// Is this body the one that was last noted for the flag? A few nanoseconds, to spare a note.
    #[inline]
    pub fn has(&self, hash: u64, body: u32) -> bool {
        let key = key(hash);
        for probe in 0..PROBES {
            let cells = self.entry(entry(key, probe));
            match cells[KEY].load(Ordering::Relaxed) {
                0 => return false,
                met if met == key => {
                    return cells[VALUE].load(Ordering::Relaxed) as u32 == body
                        && proves(entry(key, probe), load(cells));
                }
                _ => {}
            }
        }
        false
    }

    /// Counts one success, or one error.
    #[inline]
    pub fn count(&self, ok: bool) {
        let pair = COUNTERS + PAIR * (super::report::pair_of_this_thread() % PAIRS);
        self.cells[pair + usize::from(!ok)].fetch_add(1, Ordering::Relaxed);
    }

    /// The entry of a flag, which gets one when it has none and there is room.
    fn find_or_claim(&self, key: u64) -> Option<usize> {
        (0..PROBES).map(|probe| entry(key, probe)).find(|at| {
            let cell = &self.entry(*at)[KEY];
            match cell.load(Ordering::Relaxed) {
                0 => match cell.compare_exchange(0, key, Ordering::AcqRel, Ordering::Relaxed) {
                    Ok(_) => true,
                    Err(other) => other == key,
                },
                met => met == key,
            }
        })
    }

    #[inline]
    fn entry(&self, entry: usize) -> &'a [AtomicU64; ENTRY] {
        let (entries, _) = self.cells[SEEN..].as_chunks::<ENTRY>();
        &entries[entry]
    }
}

/// Is what stands in an entry newer than what somebody is about to note there?
fn is_newer(standing: u64, time: u64, new: u64, at: u64) -> bool {
    // As they wrap: the lower halves of two numbers are compared. 0 is a body that no word has: nothing stands there.
    let older = ((new >> 32) as u32).wrapping_sub((standing >> 32) as u32) as i32;
    standing as u32 != 0 && (time > at || (older < 0 && at - time < SETTLED_NS))
}

/// Puts time and check of an entry right, whose value is `new`: exchanged by this thread, or left so by another.
fn complete(cells: &[AtomicU64; ENTRY], entry: usize, key: u64, new: u64, at: u64, generation_high: u32) {
    let mut timed = false;
    for _ in 0..TRIES {
        // The check before the time: a check that somebody completes meanwhile for a later time must not be replaced by one for
        // the time that was. The value last: while it is this one, nobody later had touched them when they were loaded.
        let (old_check, time) = (cells[CHECK].load(Ordering::Acquire), cells[TIME].load(Ordering::Acquire));
        if cells[VALUE].load(Ordering::Acquire) != new {
            return;
        }
        if !timed {
            // Always another one than before, or somebody who was stopped could take it for the one he knows.
            timed = exchange(&cells[TIME], time, at.max(time.saturating_add(1)));
        } else if exchange(&cells[CHECK], old_check, check(entry, key, new, time, generation_high)) {
            return;
        }
    }
}

fn load(cells: &[AtomicU64; ENTRY]) -> [u64; ENTRY] {
    [KEY, VALUE, TIME, CHECK].map(|at| cells[at].load(Ordering::Acquire))
}

fn exchange(cell: &AtomicU64, old: u64, new: u64) -> bool {
    cell.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::layout::{PAGE, entry};
    use super::super::{Image, Seen};
    use super::*;

    fn memory() -> Box<[AtomicU64; CELLS]> {
        let cells: Vec<AtomicU64> = (0..CELLS).map(|_| AtomicU64::new(0)).collect();
        HEADER.iter().zip(&cells).for_each(|(word, cell)| cell.store(*word, Ordering::Relaxed));
        cells.into_boxed_slice().try_into().unwrap()
    }

    fn image(memory: &[AtomicU64; CELLS]) -> Image {
        let bytes: Vec<u8> =
            memory.iter().flat_map(|cell| cell.load(Ordering::Acquire).to_le_bytes()).collect();
        Image::from_bytes(&bytes)
    }

    const BODY: u32 = 1 << 28;
    const OTHER: u32 = BODY | 1 << 17;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    /// What stands in the table after these notes of one flag: body, generation, time.
    #[track_caller]
    fn check_notes(notes: &[(u32, u64, u64)], expected: (u32, u64, u64)) {
        let memory = memory();
        let noter = Noter::new(&memory).unwrap();
        notes
            .iter()
            .for_each(|(body, generation, time)| assert!(noter.note(9, *body, *generation, at(*time))));
        let (body, generation, time) = expected;
        assert_eq!(
            image(&memory).seen(9),
            Some(Seen { hash: 9, body, generation, at: at(time) }),
            "{notes:?}"
        );
        assert!(noter.has(9, body) && !noter.has(9, body ^ 1 << 17) && !noter.has(10, body));
    }

    #[test]
    fn a_note_is_read_back_and_the_newest_stands() {
        let wide = (7 << 32) + 9;
        check_notes(&[(BODY, 5, 100)], (BODY, 5, 100));
        check_notes(&[(BODY, 5, 100), (OTHER, 6, 200)], (OTHER, 6, 200));
        check_notes(&[(BODY, 5, 100), (OTHER, wide, 200)], (OTHER, wide, 200));
        check_notes(&[(OTHER, u64::from(u32::MAX), 100), (BODY, 1 << 32, 200)], (BODY, 1 << 32, 200));
    }

    #[test]
    fn the_same_value_keeps_the_moment_when_it_was_first_seen() {
        check_notes(&[(BODY, 5, 100), (BODY, 6, 200)], (BODY, 5, 100));
    }

    #[test]
    fn whoever_was_stopped_between_reading_and_noting_puts_nothing_old_over_the_new() {
        check_notes(&[(BODY, 6, 200), (OTHER, 5, 100)], (BODY, 6, 200));
        // The moment alone, and the number alone.
        check_notes(&[(BODY, 5, 200), (OTHER, 5, 100)], (BODY, 5, 200));
        check_notes(&[(BODY, 6, 200), (OTHER, 5, 300)], (BODY, 6, 200));
    }

    #[test]
    fn numbers_that_began_anew_are_noted_again() {
        let later = 200 + SETTLED_NS;
        check_notes(&[(BODY, 600, 200), (OTHER, 5, later)], (OTHER, 5, later));
    }

    #[test]
    fn two_notes_in_one_nanosecond_have_two_times() {
        check_notes(&[(BODY, 5, 100), (OTHER, 6, 100)], (OTHER, 6, 101));
    }

    #[test]
    fn a_note_that_was_cut_off_anywhere_is_recognised_and_completed_by_the_next() {
        let whole = memory();
        let noter = Noter::new(&whole).unwrap();
        noter.note(9, BODY, 5, at(100));
        let before = load(noter.entry(entry(9, 0)));
        noter.note(9, OTHER, 6, at(200));
        let after = load(noter.entry(entry(9, 0)));
        for from in [[0; ENTRY], before] {
            for stores in 0..ENTRY {
                let memory = memory();
                let noter = Noter::new(&memory).unwrap();
                let cells = noter.entry(entry(9, 0));
                for at in 0..ENTRY {
                    cells[at].store(if at < stores { after[at] } else { from[at] }, Ordering::Relaxed);
                }
                let cut = image(&memory).seen(9);
                // Without its first store it is what it was: whole, or not there at all.
                let is_before = (from == before && stores < 2).then_some(BODY);
                assert_eq!(cut.map(|seen| seen.body), is_before, "after {stores} of {from:?}");
                let empty = from != before && stores == 0;
                assert_eq!(image(&memory).torn(), usize::from(cut.is_none() && !empty));
                noter.note(9, OTHER, 7, at(300));
                assert_eq!(
                    image(&memory).seen(9).map(|seen| seen.body),
                    Some(OTHER),
                    "after {stores} of {from:?}"
                );
            }
        }
    }

    #[test]
    fn flags_for_which_there_is_no_room_are_counted() {
        let memory = memory();
        let noter = Noter::new(&memory).unwrap();
        let hash = |n: u64| crate::flags::mix(n + 1);
        let first_refused = (0..).find(|n| !noter.note(hash(*n), BODY, 1, at(1))).unwrap();
        assert!(first_refused > 800, "{first_refused} flags filled a table of 1024");
        let refused = (first_refused..2000).filter(|n| !noter.note(hash(*n), BODY, 1, at(1))).count() as u64;
        let image = image(&memory);
        assert_eq!(image.overflows(), refused + 1);
        assert_eq!(image.all_seen().count() as u64, 2000 - refused);
        assert_eq!(image.torn(), 0);
    }

    #[test]
    fn a_process_that_reads_few_flags_touches_one_page_of_the_table() {
        let memory = memory();
        let noter = Noter::new(&memory).unwrap();
        (0..64).for_each(|n| assert!(noter.note(crate::flags::mix(n + 1), BODY, 1, at(1))));
        let touched = memory[SEEN + PAGE * ENTRY..].iter().filter(|cell| cell.load(Ordering::Relaxed) != 0);
        assert_eq!(touched.count(), 0);
    }

    #[test]
    fn successes_and_errors_of_all_threads_are_counted() {
        let memory = memory();
        std::thread::scope(|scope| {
            for _ in 0..2 * PAIRS {
                scope.spawn(|| (0..300).for_each(|n| Noter::of(&memory).count(n % 3 > 0)));
            }
        });
        let counted = image(&memory).counters();
        assert_eq!((counted.successes, counted.errors), (32 * 200, 32 * 100));
    }

    #[test]
    fn memory_that_does_not_begin_as_a_box_is_left_alone() {
        let memory = memory();
        for cell in 0..HEADER.len() {
            memory[cell].fetch_xor(1, Ordering::Relaxed);
            assert!(Noter::new(&memory).is_none(), "cell {cell}");
            memory[cell].fetch_xor(1, Ordering::Relaxed);
        }
        assert!(Noter::new(&memory).is_some());
    }
}
