//! Keys and values of one thread, of a fixed size: changed in place, copied to be put back.

use crate::blackbox::record::lane::{KEY_COUNT, KEY_TEXT};
use crate::blackbox::text::{Packed, Value};

/// One key with its value.
pub(super) type Entry = Packed<KEY_TEXT>;

/// All that a thread has set.
#[derive(Clone, Copy)]
pub(super) struct Keys {
    entries: [Entry; KEY_COUNT],
    /// When each was last changed, so that only what differs is written again. 0: never.
    changed: [u32; KEY_COUNT],
    clock: u32,
}

impl Keys {
    pub(super) const fn new() -> Keys {
        Keys { entries: [Entry::EMPTY; KEY_COUNT], changed: [0; KEY_COUNT], clock: 0 }
    }

    /// Sets one; says which place it has. `None`: there was no room for another key.
    #[inline]
    pub(super) fn set(&mut self, entry: Entry) -> Option<usize> {
        let key = entry.name_bytes();
        let mut free = None;
        for at in 0..KEY_COUNT {
            let standing = self.entries[at].name_bytes();
            if standing == key {
                free = Some(at);
                break;
            }
            if standing.is_empty() && free.is_none() {
                free = Some(at);
            }
        }
        let at = free?;
        self.put(at, entry);
        Some(at)
    }

    /// Removes one; says which place it had.
    pub(super) fn remove(&mut self, key: &str) -> Option<usize> {
        let at = (0..KEY_COUNT).find(|at| self.entries[*at].name_bytes() == key.as_bytes())?;
        self.put(at, Entry::EMPTY);
        Some(at)
    }

    #[inline]
    fn put(&mut self, at: usize, entry: Entry) {
        self.entries[at] = entry;
        self.clock = self.clock.wrapping_add(1).max(1);
        self.changed[at] = self.clock;
    }

    /// Puts back what stood in `before`; says which places have changed by that.
    pub(super) fn restore(&mut self, before: &Keys) -> [bool; KEY_COUNT] {
        let different = std::array::from_fn(|at| self.changed[at] != before.changed[at]);
        *self = *before;
        different
    }

    /// Takes over another thread's. Its numbers are of its own clock: all of them are new here.
    pub(super) fn take_over(&mut self, of: &Keys) {
        self.clock = self.clock.wrapping_add(1).max(1);
        (self.entries, self.changed) = (of.entries, [self.clock; KEY_COUNT]);
    }

    /// What stands in this place; `None`: nothing.
    pub(super) fn at(&self, at: usize) -> Option<&Entry> {
        Some(&self.entries[at]).filter(|entry| !entry.name_bytes().is_empty())
    }

    /// Keys and values, in the order of their places.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        (0..KEY_COUNT).filter_map(|at| self.at(at)).map(Entry::halves).collect()
    }
}

/// A key and its value, as far as there is room. An empty key is none.
#[inline]
pub(super) fn entry(key: &str, value: &(impl Value + ?Sized)) -> Entry {
    let mut entry = Entry::new(key);
    entry.append(value);
    entry
}
