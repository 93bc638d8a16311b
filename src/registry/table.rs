//! Reading a table: every number in it is hostile, every search bounded.

use super::layout::{EMPTY, INDEX, Layout, PROBES, entry_record, record_of};
use super::record::{self, Fixed};
use crate::flags::Seal;
use crate::ipc::registry::Entry;
use crate::mapped::proof::Sought;
use std::sync::atomic::{Ordering, fence};

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// The record of the name is at this cell.
    Found(usize),
    /// An empty entry that proves itself was met: nobody has the name.
    Absent,
    /// Something on the way did not prove itself.
    Lost,
}

/// The cells of one table, through a function that loads them relaxed.
#[derive(Clone, Copy)]
pub(super) struct Table<Load> {
    incarnation: u64,
    layout: Layout,
    load: Load,
}

impl<Load: Fn(usize) -> u64> Table<Load> {
    pub(super) fn new(incarnation: u64, layout: Layout, load: Load) -> Table<Load> {
        Table { incarnation, layout, load }
    }

    /// The body of a sealed cell. What it leads to was stored before it.
    #[inline]
    fn open(&self, cell: usize) -> Option<u32> {
        let body = Seal::new(self.incarnation, cell).open((self.load)(cell));
        fence(Ordering::Acquire);
        body
    }

    /// Where the record of this name is.
    #[inline]
    pub(super) fn search(&self, name: &Sought<'_>) -> Search {
        for probe in 0..PROBES {
            let Some(body) = self.open(self.layout.entry(name.hash(), probe)) else { return Search::Lost };
            if body == EMPTY {
                return Search::Absent;
            }
            let Some(at) = entry_record(body, name.hash()) else { continue };
            if !self.layout.holds(at, 1) {
                return Search::Lost;
            }
            if record::proves(self.incarnation, at, name, &self.load) {
                return Search::Found(at);
            }
            // Another name with the same tag, or damage.
            match self.entry(at) {
                Some(other) if other.name != name.text() => {}
                _ => return Search::Lost,
            }
        }
        Search::Lost
    }

    /// What every registration has, of a record whose name was proven.
    #[inline]
    pub(super) fn fixed(&self, at: usize) -> Option<Fixed> {
        record::fixed(self.incarnation, at, self.layout.end, &self.load)
    }

    /// All of it.
    pub(super) fn entry(&self, at: usize) -> Option<Entry> {
        record::read(self.incarnation, at, self.layout.end, &self.load)
    }

    /// Every name that begins so, in order; `None`: something is lost. A name that comes or goes meanwhile may be there
    /// or not.
    pub(super) fn list(&self, prefix: &str) -> Option<Vec<Entry>> {
        let mut found = Vec::new();
        for cell in INDEX..INDEX + self.layout.entries {
            let Some(at) = record_of(self.open(cell)?) else { continue };
            let entry = if self.layout.holds(at, 1) { self.entry(at)? } else { return None };
            if entry.name.starts_with(prefix) {
                found.push(entry);
            }
        }
        // One that was freed in one place and came back in another meanwhile may have been met twice: the later holds.
        found.sort_by(|a, b| a.name.cmp(&b.name).then(b.ticket.cmp(&a.ticket)));
        found.dedup_by(|later, first| later.name == first.name);
        Some(found)
    }
}
