//! What every cell of a table should hold: computed from the truth, in memory of the writer's own.
//!
//! A table is an image copied to a file, and a damaged table is one that differs from its image. Records are only ever added;
//! index entries are filled, freed, and filled again. What changes is said as the cells that must be stored, in that order.

use super::layout::{
    EMPTY, FREED, FUTEX, GENERATION, Header, INDEX, PROBES, STATE, entry_body, entry_record, record_of,
};
use super::record;
use super::table::{Search, Table};
use crate::flags::Seal;
use crate::ipc::registry::Entry;
use crate::mapped::proof::Sought;
use std::ops::Range;

/// See the module.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) header: Header,
    cells: Vec<u64>,
    /// The first cell of the arena that was never used.
    free: usize,
    /// Index entries where a search ends.
    empty: usize,
}

impl Image {
    /// Without a name.
    pub(super) fn new(header: Header, generation: u64) -> Image {
        let layout = header.layout;
        let mut cells = vec![0; layout.end];
        let head = header.to_cells();
        cells[..head.len()].copy_from_slice(&head);
        cells[STATE] = header.live();
        for (entry, cell) in cells.iter_mut().enumerate().take(layout.arena).skip(INDEX) {
            *cell = header.seal(entry).close(EMPTY);
        }
        let mut image = Image { header, cells, free: layout.arena, empty: layout.entries };
        image.number(generation);
        image
    }

    /// The number of the newest change.
    pub(super) fn number(&mut self, generation: u64) {
        self.cells[GENERATION] = self.header.seal(GENERATION).close(generation as u32);
        self.cells[FUTEX] = generation & u64::from(u32::MAX);
    }

    /// Adds a registration, in place of an earlier one of its name. The cells of its record, and that of its index entry,
    /// which is stored last. `None`: there is no room, or so few entries would be left where a search ends that searches
    /// became long; a new table has them again.
    pub(super) fn put(&mut self, entry: &Entry) -> Option<(Range<usize>, usize)> {
        let name = Sought::new(&entry.name)?;
        let at = self.free;
        let cells = record::cells(entry);
        if !self.header.layout.holds(at, cells) {
            return None;
        }
        let place = self.find(&name).or_else(|| self.room(&name))?;
        if self.open(place) == Some(EMPTY) {
            if self.empty <= self.header.layout.entries / 4 {
                return None;
            }
            self.empty -= 1;
        }
        let record = record::write(entry, self.header.incarnation, at);
        self.cells[at..at + record.len()].copy_from_slice(&record);
        self.free += cells;
        self.close(place, entry_body(name.hash(), at));
        Some((at..at + record.len(), place))
    }

    /// Takes a name out; the cells of the index that are stored then, in this order. None: it is not there.
    pub(super) fn take(&mut self, name: &str) -> Vec<usize> {
        let Some(place) = Sought::new(name).and_then(|name| self.find(&name)) else { return Vec::new() };
        let entries = self.header.layout.entries;
        let beside = |cell: usize, by: usize| INDEX + (cell - INDEX + by) % entries;
        if self.open(beside(place, 1)) != Some(EMPTY) {
            self.close(place, FREED);
            return vec![place];
        }
        // A search that comes here ends one further anyway: so it may end here, and at what is free before it.
        let mut emptied = vec![place];
        self.close(place, EMPTY);
        let mut before = beside(place, entries - 1);
        while self.open(before) == Some(FREED) {
            self.close(before, EMPTY);
            emptied.push(before);
            before = beside(before, entries - 1);
        }
        self.empty += emptied.len();
        emptied
    }

    /// The index entry that leads to this name's record.
    fn find(&self, name: &Sought<'_>) -> Option<usize> {
        let table = Table::new(self.header.incarnation, self.header.layout, |cell| self.cell(cell));
        let Search::Found(at) = table.search(name) else { return None };
        let leads =
            |cell: &usize| self.open(*cell).and_then(|body| entry_record(body, name.hash())) == Some(at);
        self.probed(name).find(leads)
    }

    /// The first index entry that can be filled with this name.
    fn room(&self, name: &Sought<'_>) -> Option<usize> {
        self.probed(name).find(|cell| self.open(*cell).is_some_and(|body| record_of(body).is_none()))
    }

    fn probed(&self, name: &Sought<'_>) -> impl Iterator<Item = usize> {
        let (layout, hash) = (self.header.layout, name.hash());
        // A search must meet an end within its bound: the last place stays free.
        (0..PROBES - 1).map(move |probe| layout.entry(hash, probe))
    }

    fn open(&self, cell: usize) -> Option<u32> {
        Seal::new(self.header.incarnation, cell).open(self.cells[cell])
    }

    fn close(&mut self, cell: usize, body: u32) {
        self.cells[cell] = self.header.seal(cell).close(body);
    }

    /// What a cell should hold.
    pub(super) fn cell(&self, cell: usize) -> u64 {
        self.cells.get(cell).copied().unwrap_or(0)
    }

    /// All of it.
    pub(super) fn cells(&self) -> &[u64] {
        &self.cells
    }

    /// All cells that readers act upon, what is led to before what leads to it.
    pub(super) fn order_of_repair(&self) -> impl Iterator<Item = usize> + use<> {
        let arena = self.header.layout.arena;
        (arena..self.free).chain(INDEX..arena).chain(0..INDEX).filter(|cell| *cell != FUTEX)
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::{ARENA_MIN, ENTRIES_MIN, Layout};
    use super::super::record::tests::entry;
    use super::*;

    fn image(entries: usize, cells: usize) -> Image {
        let layout = Layout::of(entries, cells);
        Image::new(Header { incarnation: 5, inode: 1, layout }, 0)
    }

    fn names(image: &Image, prefix: &str) -> Vec<String> {
        let table = Table::new(5, image.header.layout, |cell| image.cell(cell));
        table.list(prefix).unwrap().into_iter().map(|entry| entry.name).collect()
    }

    fn pid(image: &Image, name: &str) -> Option<u32> {
        let table = Table::new(5, image.header.layout, |cell| image.cell(cell));
        match table.search(&Sought::new(name).unwrap()) {
            Search::Found(at) => Some(table.fixed(at).unwrap().process.pid),
            Search::Absent => None,
            Search::Lost => panic!("{name} is lost"),
        }
    }

    #[test]
    fn ten_thousand_names_come_and_go_and_each_means_what_it_was_last() {
        let layout = Layout::for_names(10_000, 10_000 * record::cells(&entry("name-10000", 1, &[]))).unwrap();
        let mut image = image(layout.entries, layout.end - layout.arena);
        for at in 0..10_000 {
            image.put(&entry(&format!("name-{at}"), at, &[])).unwrap();
        }
        for at in (0..10_000).step_by(3) {
            assert!(!image.take(&format!("name-{at}")).is_empty());
            assert!(image.take(&format!("name-{at}")).is_empty());
        }
        for at in (0..10_000).step_by(2) {
            image.put(&entry(&format!("name-{at}"), at + 100_000, &[])).unwrap();
        }
        for at in 0..10_000 {
            let expected = match at {
                at if at % 2 == 0 => Some(at + 100_000),
                at if at % 3 == 0 => None,
                at => Some(at),
            };
            assert_eq!(pid(&image, &format!("name-{at}")), expected, "{at}");
        }
        assert_eq!(
            names(&image, "name-999").len(),
            (9990..10_000).chain([999]).filter(|at| at % 2 == 0 || at % 3 != 0).count()
        );
    }

    #[test]
    fn names_that_come_and_go_leave_an_index_in_which_every_search_ends() {
        let stay: Vec<Entry> =
            (0..ENTRIES_MIN as u32 / 2).map(|at| entry(&format!("stays-{at}"), at, &[])).collect();
        let fresh = || {
            let mut image = image(ENTRIES_MIN, 64 * ARENA_MIN);
            assert!(stay.iter().all(|entry| image.put(entry).is_some()));
            image
        };
        let (mut image, mut tables) = (fresh(), 1);
        for round in 0..20_000u32 {
            let short = entry(&format!("short-lived-{round}"), round, &[]);
            if image.put(&short).is_none() {
                (image, tables) = (fresh(), tables + 1);
                image.put(&short).unwrap();
            }
            assert_eq!(pid(&image, &short.name), Some(round));
            assert!(!image.take(&short.name).is_empty());
            assert_eq!(pid(&image, &short.name), None);
            let empty = (INDEX..INDEX + ENTRIES_MIN).filter(|cell| image.open(*cell) == Some(EMPTY)).count();
            assert!(empty == image.empty && empty >= ENTRIES_MIN / 4, "{empty}");
        }
        assert_eq!(names(&image, "").len(), stay.len());
        // Each lasts for a good part of its size.
        assert!(tables < 20_000 / 32, "{tables}");
    }

    #[test]
    fn without_room_nothing_changes() {
        let mut image = image(ENTRIES_MIN, 64);
        let mut fits = 0;
        while image.put(&entry(&format!("n{fits}"), fits, &[])).is_some() {
            fits += 1;
        }
        assert!(fits > 1);
        let before = image.cells().to_vec();
        assert!(image.put(&entry("another", 1, &[])).is_none());
        assert!(image.put(&entry("n0", 9, &[])).is_none(), "also in place of one that is there");
        assert_eq!(image.cells(), before);
    }
}
