//! What every cell of a board should hold: computed from the truth, in memory of the writer's own.
//!
//! A board is an image copied to a file, and a damaged board is one that differs from its image. Slots, index entries and
//! records are only ever added (B3), slots in order, so the same names give the same index. What changes is said as an
//! [`Order`]: the cells that must be stored, and in which order.

use super::entry::{Fixed, Flag, Setting};
use super::layout::{
    COMMIT, EMPTY, FREE, FUTEX, GENERATION, HEADER_CELLS, HEARTBEAT, Header, NAME_RECORD, OWNER, PROBES,
    STATE, UNUSED, WORDS, entry_body,
};
use super::name_record::{LENGTHS, NameRecord};
use super::record::{self, Arena};
use crate::flags::{Body, Cell, Held, Name, Packed, Value};
use crate::mapped::proof::Sought;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// A board in memory.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) header: Header,
    pub(super) slots: Vec<Slot>,
    cells: Vec<u64>,
    by_name: HashMap<Packed, usize>,
    /// The first cell of the arena that was never used.
    free: usize,
}

/// One flag of it.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) flag: Flag,
    pub(super) body: Body,
}

/// Ranges of cells that must be stored, one behind the other (B3): records, then the word, then what leads to it.
pub(super) type Order = Vec<Range<usize>>;

/// No room for another flag or record: the board must grow.
#[derive(Debug)]
pub(super) struct Full;

impl Image {
    /// A live board without flags.
    pub(super) fn new(header: Header, generation: u64, commit: u32) -> Image {
        let layout = header.layout;
        let mut cells = vec![0; layout.end];
        cells[..HEADER_CELLS].copy_from_slice(&header.to_cells());
        cells[STATE] = header.live();
        let areas = [(WORDS..layout.index, UNUSED), (layout.index..layout.names, EMPTY)];
        for (area, body) in areas {
            for (cell, word) in area.clone().zip(&mut cells[area]) {
                *word = header.seal(cell).close(body);
            }
        }
        for slot in 0..layout.slots {
            let cell = layout.name(slot) + LENGTHS;
            cells[cell] = header.seal(cell).close(0);
        }
        let mut image =
            Image { header, slots: Vec::new(), cells, by_name: HashMap::new(), free: layout.arena };
        image.set_commit(commit);
        image.set_generation(generation);
        image.set_free(layout.arena);
        image
    }

    /// Makes the arena what a board that is taken over has there, up to the cell `free`. `None`: that is not within it.
    pub(super) fn take_over_arena(&mut self, free: usize, load: impl Fn(usize) -> u64) -> Option<()> {
        let layout = self.header.layout;
        if free < layout.arena || free > layout.end {
            return None;
        }
        (layout.arena..free).for_each(|cell| self.cells[cell] = load(cell));
        self.set_free(free);
        Some(())
    }

    /// Takes over the slot of a board that stands, as one whose flag is not declared. `None`: what it refers to is damaged.
    pub(super) fn take_over(&mut self, record: &NameRecord) -> Option<()> {
        let name = Name::from_packed(record.name)?;
        let mut fixed = Fixed { salt: record.salt.unwrap_or_default(), ..Fixed::default() };
        if record.reference != 0 {
            let arena = self.arena();
            match arena.stages(record.reference) {
                Some(count) => {
                    let stage = |number| arena.stage(record.reference, number)?.text();
                    fixed.stages = (1..=count as u32).map(stage).collect::<Option<_>>()?;
                }
                None => {
                    [fixed.deny, fixed.allow] = arena.every_listed(record.reference)?;
                    fixed.deny.sort_unstable();
                    fixed.allow.sort_unstable();
                }
            }
        }
        let flag = Flag { name, fixed, setting: None };
        self.push_at(flag, record.reference, &mut Order::new()).ok()
    }

    /// Adds a flag in the next slot.
    pub(super) fn push(&mut self, flag: Flag, order: &mut Order) -> Result<(), Full> {
        let reference = self.store_fixed(&flag, order)?;
        self.push_at(flag, reference, order)
    }

    fn push_at(&mut self, mut flag: Flag, reference: Cell, order: &mut Order) -> Result<(), Full> {
        let layout = self.header.layout;
        let slot = self.slots.len();
        if slot >= layout.slots {
            return Err(Full);
        }
        let text = flag.name.to_string();
        let hash = Sought::new(&text).map_or(0, |name| name.hash());
        let free = |cell: &usize| self.header.seal(*cell).open(self.cells[*cell]) == Some(EMPTY);
        let entry = (0..PROBES).map(|probe| layout.entry(hash, probe)).find(free).ok_or(Full)?;
        let name = layout.name(slot);
        let mut salt = [0; crate::flags::NAME_MAX];
        let salt = flag.fixed.salt.text_in(&mut salt).unwrap_or_default();
        let record = NameRecord::new(flag.name, salt, reference).ok_or(Full)?;
        let cells = record.to_cells(self.header.incarnation, name, slot);
        self.cells[name..][..NAME_RECORD].copy_from_slice(&cells);
        order.push(name..name + NAME_RECORD);
        let setting = flag.setting.take();
        self.by_name.insert(*flag.name.packed(), slot);
        self.slots.push(Slot { flag, body: Body::Removed });
        match setting {
            Some(setting) => self.set(slot, setting, order)?,
            None => self.remove(slot, order),
        }
        // Last: who finds the entry finds the rest.
        self.cells[entry] = self.header.seal(entry).close(entry_body(hash, slot));
        order.push(entry..entry + 1);
        Ok(())
    }

    /// Whether slots, arena and index have room for these flags, which are new.
    pub(super) fn has_room(&self, added: &[&Flag], cells: usize) -> bool {
        let layout = self.header.layout;
        if self.slots.len() + added.len() > layout.slots || cells > self.room() {
            return false;
        }
        let empty = |cell: usize| self.header.seal(cell).open(self.cells[cell]) == Some(EMPTY);
        let mut taken = HashSet::new();
        added.iter().all(|flag| {
            let text = flag.name.to_string();
            let hash = Sought::new(&text).map_or(0, |name| name.hash());
            let free = |cell: &usize| empty(*cell) && !taken.contains(cell);
            let entry = (0..PROBES).map(|probe| layout.entry(hash, probe)).find(free);
            entry.is_some_and(|entry| taken.insert(entry))
        })
    }

    /// Gives a flag another setting.
    pub(super) fn set(&mut self, slot: usize, setting: Setting, order: &mut Order) -> Result<(), Full> {
        let Slot { flag: Flag { name, fixed, .. }, .. } = &self.slots[slot];
        let lists = fixed.has_lists();
        let incarnation = self.header.incarnation;
        let held = match (setting.truth.value, &setting.instances) {
            (Value::Off, _) => Held::Off,
            (Value::On, _) => Held::On { lists },
            (Value::Share(share), Some(instances)) => {
                let hashes = fixed.instances(name, instances);
                Held::Instances(
                    self.store(|at| record::instances_at(incarnation, at, share, &hashes), order)?,
                )
            }
            (Value::Share(share), None) => Held::Share { share, lists },
            (Value::Stage(stage), _) => Held::Stage(stage),
            (Value::Int(number), _) => {
                Held::Int(self.store(|at| record::int_at(incarnation, at, number), order)?)
            }
            (Value::Text(text), _) => {
                Held::Text(self.store(|at| record::text_at(incarnation, at, &text), order)?)
            }
        };
        self.set_body(slot, Body::Flag { held, disabled: setting.truth.disabled }, order);
        self.slots[slot].flag.setting = Some(setting);
        Ok(())
    }

    /// Gives a flag that was taken over its setting, by the word and the record that are there when they say just that.
    pub(super) fn set_as_it_was(
        &mut self,
        slot: usize,
        setting: Setting,
        word: u64,
        order: &mut Order,
    ) -> Result<(), Full> {
        let cell = self.header.layout.word(slot);
        let there = self.header.seal(cell).open(word).and_then(Body::from_bits);
        match there {
            Some(body) if self.says(slot, body, &setting) => {
                self.set_body(slot, body, order);
                self.slots[slot].flag.setting = Some(setting);
                Ok(())
            }
            _ => self.set(slot, setting, order),
        }
    }

    /// Whether a word with a record says that a flag is set to this.
    fn says(&self, slot: usize, body: Body, setting: &Setting) -> bool {
        let Body::Flag { held, disabled } = body else { return false };
        let Flag { name, fixed, .. } = &self.slots[slot].flag;
        let same = match (held, setting.truth.value, &setting.instances) {
            (Held::Int(at), Value::Int(number), _) => self.arena().int(at) == Some(number),
            (Held::Text(at), Value::Text(text), _) => self.arena().text(at) == Some(text),
            (Held::Instances(at), Value::Share(share), Some(instances)) => {
                self.arena().share(at) == Some(share)
                    && self.arena().instances(at) == Some(fixed.instances(name, instances))
            }
            _ => false,
        };
        same && disabled == setting.truth.disabled
    }

    /// The flag is no longer declared.
    pub(super) fn remove(&mut self, slot: usize, order: &mut Order) {
        self.set_body(slot, Body::Removed, order);
        self.slots[slot].flag.setting = None;
    }

    fn set_body(&mut self, slot: usize, body: Body, order: &mut Order) {
        let cell = self.header.layout.word(slot);
        self.slots[slot].body = body;
        self.cells[cell] = self.header.seal(cell).close(body.to_bits());
        order.push(cell..cell + 1);
    }

    /// The records of a flag's lists or stages; says where to refer to, 0 when there are none.
    fn store_fixed(&mut self, flag: &Flag, order: &mut Order) -> Result<Cell, Full> {
        let Flag { name, fixed, .. } = flag;
        let incarnation = self.header.incarnation;
        if !fixed.stages.is_empty() {
            let names: Vec<Cell> = fixed
                .stages
                .iter()
                .map(|stage| self.store(|at| record::string_at(incarnation, at, stage), order))
                .collect::<Result<_, _>>()?;
            return self.store(|at| record::stages_at(incarnation, at, &names), order);
        }
        if !fixed.has_lists() {
            return Ok(0);
        }
        let prefix = fixed.prefix(name);
        let mut list = |ids: &[String]| {
            let id = |id: &String| {
                let at = self.store(|at| record::string_at(incarnation, at, id), order)?;
                Ok((prefix.hash(id).unwrap_or_default(), at))
            };
            let mut list: Vec<(u32, Cell)> = ids.iter().map(id).collect::<Result<_, Full>>()?;
            list.sort_unstable();
            Ok(list)
        };
        let (denied, allowed) = (list(&fixed.deny)?, list(&fixed.allow)?);
        self.store(|at| record::lists_at(incarnation, at, &denied, &allowed), order)
    }

    /// Puts a record in the arena; says at which cell.
    fn store(&mut self, make: impl FnOnce(usize) -> Vec<u64>, order: &mut Order) -> Result<Cell, Full> {
        let at = self.free;
        let cells = make(at);
        if cells.len() > self.room() {
            return Err(Full);
        }
        self.cells[at..][..cells.len()].copy_from_slice(&cells);
        self.set_free(at + cells.len());
        // First: a writer that takes over must not use cells that somebody may be led to.
        order.extend([FREE..FREE + 1, at..at + cells.len()]);
        Cell::try_from(at).map_err(|_| Full)
    }

    /// Cells of the arena that were never used.
    pub(super) fn room(&self) -> usize {
        self.header.layout.end - self.free
    }

    fn set_free(&mut self, free: usize) {
        self.free = free;
        self.cells[FREE] = self.header.seal(FREE).close(free as u32);
    }

    pub(super) fn set_commit(&mut self, commit: u32) {
        self.cells[COMMIT] = self.header.seal(COMMIT).close(commit);
    }

    /// The lower half; the upper is the header's.
    pub(super) fn set_generation(&mut self, generation: u64) {
        self.cells[GENERATION] = self.header.seal(GENERATION).close(generation as u32);
        self.cells[FUTEX] = generation & 0xffff_ffff;
    }

    pub(super) fn find(&self, name: &Name) -> Option<usize> {
        self.by_name.get(name.packed()).copied()
    }

    /// The flags that are declared.
    pub(super) fn flags(&self) -> impl Iterator<Item = &Flag> {
        self.slots.iter().map(|slot| &slot.flag).filter(|flag| flag.setting.is_some())
    }

    fn arena(&self) -> Arena<impl Fn(usize) -> u64 + '_> {
        let load = |cell: usize| self.cells.get(cell).copied().unwrap_or(0);
        Arena::new(self.header.incarnation, self.header.layout, load)
    }

    pub(super) fn cell(&self, cell: usize) -> u64 {
        self.cells[cell]
    }

    pub(super) fn cells(&self) -> &[u64] {
        &self.cells
    }

    /// Every cell that a scrub compares, in the order in which a repair must store them (B3): what
    /// stands behind a word before the word, and a word before the index entry that leads to it.
    pub(super) fn order_of_repair(&self) -> impl Iterator<Item = usize> + use<> {
        let layout = self.header.layout;
        // The futex cell is no 64-bit cell; what only informs is not repaired.
        let head =
            (0..WORDS).filter(|cell| !matches!(*cell, COMMIT | GENERATION | FUTEX | HEARTBEAT | OWNER));
        head.chain(layout.names..layout.end).chain(WORDS..layout.names)
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Entry, checked};
    use super::super::layout::{Layout, entry_slot};
    use super::*;

    fn flag(entry: Entry) -> Flag {
        checked(&[entry]).unwrap().remove(0)
    }

    fn image(slots: usize) -> Image {
        let header = Header { incarnation: 5, generation_high: 0, inode: 1, layout: Layout::of(slots) };
        Image::new(header, 0, 0)
    }

    /// The slot that a search of the image itself finds: what a reader would.
    fn search(image: &Image, name: &str) -> Option<usize> {
        let hash = Sought::new(name).unwrap().hash();
        let header = image.header;
        for cell in (0..PROBES).map(|probe| header.layout.entry(hash, probe)) {
            match header.seal(cell).open(image.cells[cell])? {
                EMPTY => return None,
                body => match entry_slot(body, hash) {
                    Some(slot) if image.slots[slot].flag.name.to_string() == name => return Some(slot),
                    _ => {}
                },
            }
        }
        None
    }

    #[test]
    fn b3_every_name_of_a_full_board_is_found_and_no_other() {
        let mut image = image(4096);
        let name = |n: usize| format!("flag-{n}");
        let mut order = Order::new();
        for n in 0..4096 {
            image.push(flag(Entry::new(&name(n), Value::Off)), &mut order).unwrap();
        }
        assert!(image.push(flag(Entry::new(&name(9999), Value::Off)), &mut order).is_err());
        for n in 0..4096 {
            assert_eq!(search(&image, &name(n)), Some(n));
            assert_eq!(search(&image, &name(n + 5000)), None);
        }
    }

    #[test]
    fn b3_whatever_is_stored_in_several_cells_is_stored_before_what_leads_to_it() {
        let mut image = image(64);
        let mut order = Order::new();
        let listed = Entry { deny: vec!["me".into()], ..Entry::new("flag", Value::Int(7)) };
        image.push(flag(listed), &mut order).unwrap();
        let layout = image.header.layout;
        let (word, names) = (layout.word(0), layout.name(0)..layout.name(1));
        let entry = layout.entry(Sought::new("flag").unwrap().hash(), 0);
        let records = layout.arena..image.free;
        assert_eq!(records.len(), (3 + 3) + 3, "a string, the lists, a number");
        let in_order = |order: &[usize]| {
            let first = |cell: usize| order.iter().position(|c| *c == cell).unwrap();
            let last = |cell: usize| order.iter().rposition(|c| *c == cell).unwrap();
            let last_of_name = names.clone().map(last).max().unwrap();
            let last_of_records = records.clone().map(last).max().unwrap();
            assert!(
                last_of_name.max(last_of_records) < first(word) && last(word) < first(entry),
                "{order:?}"
            );
            // Whatever is used is known to be used before it is.
            assert!(first(FREE) < records.clone().map(first).min().unwrap());
        };
        let inserted: Vec<usize> = order.into_iter().flatten().collect();
        in_order(&inserted);
        assert!(
            inserted.iter().rposition(|c| *c == FREE) < inserted.iter().position(|c| *c == records.end - 3)
        );
        let repaired: Vec<usize> = image.order_of_repair().collect();
        in_order(&repaired);
        // And everything that proves something is repaired, once.
        let once: std::collections::HashSet<_> = repaired.iter().collect();
        assert_eq!(once.len(), repaired.len());
        assert_eq!(repaired.len() + 5, layout.end);
        let mut change = Order::new();
        image.set(0, Value::Int(8).into(), &mut change).unwrap();
        assert_eq!(change, [FREE..FREE + 1, records.end..records.end + 3, word..word + 1]);
    }

    #[test]
    fn b2_no_cell_that_proves_something_is_zero_or_all_ones() {
        let image = image(64);
        let layout = image.header.layout;
        let records = (0..64).map(|slot| layout.name(slot) + LENGTHS);
        let live = [STATE, COMMIT, GENERATION, FREE];
        for cell in live.into_iter().chain(WORDS..layout.names).chain(records) {
            assert!(image.cell(cell) != 0 && image.cell(cell) != u64::MAX, "cell {cell}");
        }
    }

    #[test]
    fn b5_a_full_arena_says_so_and_what_a_flag_needs_is_known_before() {
        let mut image = image(64);
        let mut order = Order::new();
        let ids = |n: usize| (0..n).map(|id| format!("{id}").repeat(40)).collect::<Vec<_>>();
        let entries = [
            Entry::new("bool", Value::On),
            Entry::new("int", Value::Int(1)),
            Entry::new("text", Value::Text(Packed::new("hello").unwrap())),
            Entry { allow: ids(9), deny: ids(20), ..Entry::new("lists", Value::Share(9)) },
            Entry { stages: ids(9), ..Entry::new("stages", Value::Stage(3)) },
            Entry::new(
                "instances",
                Setting { truth: Value::Share(9).into(), instances: Some(vec!["web#1".into()]) },
            ),
        ];
        for entry in entries {
            let flag = flag(entry);
            let need = flag.fixed.cells() + flag.setting.as_ref().map_or(0, |s| s.cells(&flag.fixed));
            let before = image.room();
            image.push(flag.clone(), &mut order).unwrap();
            assert_eq!(before - image.room(), need, "{flag:?}");
        }
        let mut number = 0;
        while image.room() >= 3 {
            number += 1;
            image.set(1, Value::Int(number).into(), &mut order).unwrap();
        }
        let (before, body) = (image.cells.clone(), image.slots[1].body);
        order.clear();
        assert!(image.set(1, Value::Int(-1).into(), &mut order).is_err());
        assert_eq!((image.cells, image.slots[1].body, order), (before, body, Order::new()));
    }
}
