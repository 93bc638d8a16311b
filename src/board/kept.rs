//! The last proven value of a handle, when it does not fit in a word: a number, a text, the answer for an instance.
//!
//! Nobody waits here, and a thread that stops anywhere stops nobody: each fills a place of its own, and shows it by
//! exchanging the handle's last word. Fewer places than threads only means that a value is not kept: it can still be read
//! from the board.

use crate::flags::{NAME_CELLS, NAME_MAX, Packed};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// One for the last value, and three for threads that are just keeping another.
const PLACES: usize = 4;

/// Cells of what is kept: a length and a text; or less.
pub(super) const KEPT: usize = 1 + NAME_CELLS;

/// What is kept for a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// The word says it all.
    Nothing,
    Int(i64),
    /// Of a flag of kind text, or the name of a stage.
    Text(Packed),
    /// A share by instances, and what it means for the reader's own.
    Share(u32, Option<bool>),
}

#[derive(Debug, Default)]
pub(super) struct Kept {
    places: [Place; PLACES],
}

#[derive(Debug, Default)]
struct Place {
    /// A thread fills it.
    taken: AtomicBool,
    /// The word that it is kept for; 0: none.
    word: AtomicU64,
    cells: [AtomicU64; KEPT],
}

impl Kept {
    /// Keeps `value` for `word`, which becomes the `last` one if that is still `known`; says whether it did.
    pub(super) fn replace(&self, last: &AtomicU64, known: u64, word: u64, value: Value) -> bool {
        let exchange = || last.compare_exchange(known, word, Ordering::Release, Ordering::Relaxed).is_ok();
        if value == Value::Nothing {
            return exchange();
        }
        let place = self.places.iter().find(|place| place.take(last));
        if let Some(place) = place {
            place.fill(word, value);
        }
        let exchanged = exchange();
        if let Some(place) = place {
            // Release: who takes it next sees what the last word is.
            place.taken.store(false, Ordering::Release);
        }
        exchanged
    }

    /// The number that is kept for `word`.
    #[inline]
    pub(super) fn int(&self, word: u64) -> Option<i64> {
        self.get(word, |cells| cells[0].load(Ordering::Relaxed) as i64)
    }

    /// The text.
    #[inline]
    pub(super) fn text(&self, word: u64) -> Option<Packed> {
        self.get(word, |cells| {
            let length = u8::try_from(cells[0].load(Ordering::Relaxed)).ok()?;
            let mut text = [0; NAME_CELLS];
            for (to, from) in text.iter_mut().zip(&cells[1..]).take(usize::from(length).div_ceil(8)) {
                *to = from.load(Ordering::Relaxed);
            }
            Packed::from_cells(length, text)
        })?
    }

    /// The share by instances, and what it means for the reader's own.
    pub(super) fn share(&self, word: u64) -> Option<(u32, Option<bool>)> {
        self.get(word, |cells| {
            let own = [None, Some(false), Some(true)];
            let own = own.get(cells[1].load(Ordering::Relaxed) as usize).copied().flatten();
            (cells[0].load(Ordering::Relaxed) as u32, own)
        })
    }

    #[inline]
    fn get<T>(&self, word: u64, read: impl Fn(&[AtomicU64; KEPT]) -> T) -> Option<T> {
        for place in &self.places {
            if place.word.load(Ordering::Acquire) == word {
                let value = read(&place.cells);
                fence(Ordering::Acquire);
                if place.word.load(Ordering::Relaxed) == word {
                    return Some(value);
                }
            }
        }
        None
    }
}

impl Place {
    /// Takes it, unless another thread has it or the last value is in it.
    fn take(&self, last: &AtomicU64) -> bool {
        if self.taken.swap(true, Ordering::Acquire) {
            return false;
        }
        let word = self.word.load(Ordering::Relaxed);
        let free = word == 0 || word != last.load(Ordering::Relaxed);
        if !free {
            self.taken.store(false, Ordering::Release);
        }
        free
    }

    fn fill(&self, word: u64, value: Value) {
        self.word.store(0, Ordering::Relaxed);
        // Nobody sees a new cell under the old word.
        fence(Ordering::Release);
        let store = |at: usize, cell: u64| self.cells[at].store(cell, Ordering::Relaxed);
        match value {
            Value::Nothing => {}
            Value::Int(number) => store(0, number as u64),
            Value::Share(share, own) => {
                store(0, share.into());
                store(1, own.map_or(0, |on| 1 + u64::from(on)));
            }
            Value::Text(text) => {
                store(0, text.length().into());
                text.used().iter().enumerate().for_each(|(at, cell)| store(1 + at, *cell));
            }
        }
        self.word.store(word, Ordering::Release);
    }
}

const _: () = assert!(NAME_MAX <= u8::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_is_there_whatever_came_before() {
        let (kept, last) = (Kept::default(), AtomicU64::new(0));
        for n in 1..100 {
            assert!(kept.replace(&last, n - 1, n, Value::Int(-(n as i64))));
            assert_eq!(kept.int(n), Some(-(n as i64)));
        }
        let text = Packed::new(&"é".repeat(64)).unwrap();
        assert!(kept.replace(&last, 99, 200, Value::Text(text)));
        assert_eq!(kept.text(200), Some(text));
        for own in [None, Some(false), Some(true)] {
            let before = last.load(Ordering::Relaxed);
            assert!(kept.replace(&last, before, before + 1, Value::Share(12_500, own)));
            assert_eq!(kept.share(before + 1), Some((12_500, own)));
        }
        assert!(!kept.replace(&last, 7, 300, Value::Int(1)), "another thread was faster");
        assert_eq!(kept.share(last.load(Ordering::Relaxed)), Some((12_500, Some(true))));
        assert_eq!(kept.int(4711), None);
    }

    #[test]
    fn places_that_a_fork_left_taken_cost_values_and_nothing_else() {
        let (kept, last) = (Kept::default(), AtomicU64::new(0));
        assert!(kept.replace(&last, 0, 1, Value::Int(5)));
        kept.places.iter().for_each(|place| place.taken.store(true, Ordering::Relaxed));
        assert!(kept.replace(&last, 1, 2, Value::Int(6)));
        assert_eq!((kept.int(1), kept.int(2)), (Some(5), None));
    }

    #[test]
    fn threads_that_keep_at_once_never_show_a_mixture() {
        let (kept, last) = (Kept::default(), AtomicU64::new(0));
        let text = |n: u64| Packed::new(&format!("{n}").repeat(20)).unwrap();
        kept.replace(&last, 0, 1, Value::Text(text(1)));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let known = last.load(Ordering::Acquire);
                        if let Some(is) = kept.text(known) {
                            assert_eq!(is, text(known % 100_000));
                        }
                        kept.replace(&last, known, known + 1, Value::Text(text((known + 1) % 100_000)));
                    }
                });
            }
        });
        let end = last.load(Ordering::Relaxed);
        assert!(end > 20_000, "{end}");
    }
}
