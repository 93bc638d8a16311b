//! What every cell of a board should hold: computed from the truth, in memory of the writer's own.
//!
//! A board is an image copied to a file, and a damaged board is one that differs from its image. Slots
//! and index entries are only ever added (B3), and in slot order, so the same names give the same index.

use super::layout::{
    COMMIT, EMPTY, FUTEX, GENERATION, HEADER_CELLS, HEARTBEAT, Header, NAME_RECORD, NO_RECORD, NameRecord,
    OWNER, PROBES, STATE, UNUSED, WORDS, entry_body, hash,
};
use crate::flags::{Body, Packed};
use std::collections::HashMap;
use std::ops::Range;

/// A board in memory.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) header: Header,
    pub(super) slots: Vec<Slot>,
    cells: Vec<u64>,
    by_name: HashMap<Packed, usize>,
}

/// One flag of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) record: NameRecord,
    pub(super) body: Body,
}

/// No room for another flag: the board must grow.
#[derive(Debug)]
pub(super) struct Full;

impl Image {
    /// A live board without flags.
    pub(super) fn new(header: Header, generation: u64, commit: u32) -> Image {
        let layout = header.layout;
        let mut cells = vec![0; layout.arena];
        cells[..HEADER_CELLS].copy_from_slice(&header.to_cells());
        cells[STATE] = header.live();
        let areas = [
            (WORDS..layout.index, UNUSED),
            (layout.index..layout.names, EMPTY),
            (layout.references..layout.arena, NO_RECORD),
        ];
        for (area, body) in areas {
            for (cell, word) in area.clone().zip(&mut cells[area]) {
                *word = header.seal(cell).close(body);
            }
        }
        for slot in 0..layout.slots {
            let cell = layout.name(slot);
            cells[cell] = header.seal(cell).close(0);
        }
        let mut image = Image { header, slots: Vec::new(), cells, by_name: HashMap::new() };
        image.set_commit(commit);
        image.set_generation(generation);
        image
    }

    /// Adds a flag in the next slot; says which cell of the index names it.
    pub(super) fn push(&mut self, record: NameRecord, body: Body) -> Result<usize, Full> {
        let layout = self.header.layout;
        let slot = self.slots.len();
        if slot >= layout.slots {
            return Err(Full);
        }
        let hash = hash(&record.name);
        let free = |cell: &usize| self.header.seal(*cell).open(self.cells[*cell]) == Some(EMPTY);
        let entry = (0..PROBES).map(|probe| layout.entry(hash, probe)).find(free).ok_or(Full)?;
        let name = layout.name(slot);
        self.cells[name..][..NAME_RECORD].copy_from_slice(&record.to_cells(self.header.incarnation, name));
        self.cells[entry] = self.header.seal(entry).close(entry_body(hash, slot));
        self.slots.push(Slot { record, body });
        self.by_name.insert(record.name, slot);
        self.set(slot, body);
        Ok(entry)
    }

    /// Gives a slot another body; says in which cell.
    pub(super) fn set(&mut self, slot: usize, body: Body) -> usize {
        let cell = self.header.layout.word(slot);
        self.slots[slot].body = body;
        self.cells[cell] = self.header.seal(cell).close(body.to_bits());
        cell
    }

    pub(super) fn set_commit(&mut self, commit: u32) {
        self.cells[COMMIT] = self.header.seal(COMMIT).close(commit);
    }

    /// The lower half; the upper is the header's.
    pub(super) fn set_generation(&mut self, generation: u64) {
        self.cells[GENERATION] = self.header.seal(GENERATION).close(generation as u32);
        self.cells[FUTEX] = generation & 0xffff_ffff;
    }

    pub(super) fn find(&self, name: &Packed) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(super) fn cell(&self, cell: usize) -> u64 {
        self.cells[cell]
    }

    pub(super) fn cells(&self) -> &[u64] {
        &self.cells
    }

    fn name_cells(&self, slot: usize) -> Range<usize> {
        let start = self.header.layout.name(slot);
        start..start + NAME_RECORD
    }

    /// The cells of a flag that was just added, in the order in which they must be stored (B3): its record,
    /// its word, and then the entry that leads to them.
    pub(super) fn order_of_insertion(
        &self,
        slot: usize,
        entry: usize,
    ) -> impl Iterator<Item = usize> + use<> {
        let word = self.header.layout.word(slot);
        self.name_cells(slot).chain([word, entry])
    }

    /// Every cell that a scrub compares, in the order in which a repair must store them (B3): what
    /// stands behind a word before the word, and a word before the index entry that leads to it.
    pub(super) fn order_of_repair(&self) -> impl Iterator<Item = usize> + use<> {
        let layout = self.header.layout;
        // The futex cell is no 64-bit cell; what only informs is not repaired.
        let head =
            (0..WORDS).filter(|cell| !matches!(*cell, COMMIT | GENERATION | FUTEX | HEARTBEAT | OWNER));
        head.chain(layout.names..layout.arena).chain(WORDS..layout.names)
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::{Layout, entry_slot};
    use super::*;
    use crate::flags::{Name, Value};

    /// The slot that a search of the image itself finds: what a reader would.
    fn search(image: &Image, name: &Name) -> Option<usize> {
        let hash = hash(name.packed());
        let header = image.header;
        for cell in (0..PROBES).map(|probe| header.layout.entry(hash, probe)) {
            match header.seal(cell).open(image.cells[cell])? {
                EMPTY => return None,
                body => match entry_slot(body, hash) {
                    Some(slot) if image.slots[slot].record.name == *name.packed() => return Some(slot),
                    _ => {}
                },
            }
        }
        None
    }

    #[test]
    fn b3_every_name_of_a_full_board_is_found_and_no_other() {
        let header = Header { incarnation: 5, generation_high: 0, inode: 1, layout: Layout::of(4096) };
        let mut image = Image::new(header, 0, 0);
        let name = |n: usize| Name::new(&format!("flag-{n}")).unwrap();
        for n in 0..4096 {
            let record = NameRecord::new(name(n), "").unwrap();
            image.push(record, Body::Flag(Value::Off.into())).unwrap();
        }
        assert!(image.push(NameRecord::new(name(9999), "").unwrap(), Body::Removed).is_err());
        for n in 0..4096 {
            assert_eq!(search(&image, &name(n)), Some(n));
            assert_eq!(search(&image, &name(n + 5000)), None);
        }
    }

    #[test]
    fn b3_whatever_is_stored_in_several_cells_is_stored_before_what_leads_to_it() {
        let header = Header { incarnation: 5, generation_high: 0, inode: 1, layout: Layout::of(64) };
        let mut image = Image::new(header, 0, 0);
        let record = NameRecord::new(Name::new("flag").unwrap(), "").unwrap();
        let entry = image.push(record, Body::Flag(Value::On.into())).unwrap();
        let (word, names) = (header.layout.word(0), image.name_cells(0));
        let in_order = |order: Vec<usize>| {
            let at = |cell: usize| order.iter().position(|c| *c == cell).unwrap();
            let last_of_name = names.clone().map(at).max().unwrap();
            assert!(last_of_name < at(word) && at(word) < at(entry), "{order:?}");
        };
        in_order(image.order_of_insertion(0, entry).collect());
        in_order(image.order_of_repair().collect());
        // And everything that proves something is repaired, once.
        let repaired: std::collections::HashSet<_> = image.order_of_repair().collect();
        assert_eq!(repaired.len(), image.order_of_repair().count());
        assert_eq!(repaired.len() + 5, header.layout.arena);
    }

    #[test]
    fn b2_no_cell_that_proves_something_is_zero_or_all_ones() {
        let header = Header { incarnation: 5, generation_high: 0, inode: 1, layout: Layout::of(64) };
        let image = Image::new(header, 0, 0);
        let layout = header.layout;
        let records = (0..64).map(|slot| layout.name(slot));
        let proving = [STATE, COMMIT, GENERATION].into_iter().chain(WORDS..layout.names).chain(records);
        for cell in proving.chain(layout.references..layout.arena) {
            assert!(image.cell(cell) != 0 && image.cell(cell) != u64::MAX, "cell {cell}");
        }
    }
}
