//! Where everything is in the table of names, and what proves it. `docs/registry.md` says the same for strangers.
//!
//! Invariant: every cell that a reader acts upon proves itself: it is sealed, or covered by a check that is. A layout never
//! changes under its version number. No system calls here, no policy.

use crate::flags::Seal;
use crate::mapped::proof::check;
use crate::mapped::shown::HEADER_CELLS;
use crate::sys::mapping::REGION_BYTES;

/// The file, in the runtime directory.
pub const TABLE: &str = "registry";
/// The second hard link, from the runtime directory.
pub const KEPT_TABLE: &str = ".kept/registry";

/// "registry", as its bytes stand in the file.
pub const MAGIC: u64 = u64::from_le_bytes(*b"registry");
/// Version 2; the upper half shows the byte order.
pub const VERSION: u64 = 0x0102_0304_0000_0003;

/// LIVE or RETIRED, sealed.
pub const STATE: usize = 16;
/// The lower half of the number of changes, sealed.
pub const GENERATION: usize = 24;
/// A bare u32 to wait on, alone in its cache line: the lower half of the number of changes.
pub const FUTEX: usize = 32;
/// The first entry of the index: byte 512.
pub const INDEX: usize = 64;

/// Bodies of [`STATE`].
pub const LIVE: u32 = u32::from_le_bytes(*b"LIVE");
/// See [`LIVE`].
pub const RETIRED: u32 = u32::from_le_bytes(*b"GONE");

/// The body of an index entry where nothing ever was: a search ends there.
pub const EMPTY: u32 = 0;
/// The body of one that is free again: a search goes on behind it.
pub const FREED: u32 = 1;

/// Entries of the smallest and of the largest index: powers of two.
pub const ENTRIES_MIN: usize = 256;
/// See [`ENTRIES_MIN`].
pub const ENTRIES_MAX: usize = 1 << 18;
/// Entries that a search looks at, at most. A writer whose insertion would need more makes a new table.
pub const PROBES: usize = 256;
/// Cells of the smallest arena: 256 KiB.
pub const ARENA_MIN: usize = 32 << 10;

/// Records begin at even cells, so that 22 bits can name each.
const PLACE_BITS: u32 = 22;

const _: () = {
    assert!(HEADER_CELLS <= STATE && STATE * 8 == 128 && GENERATION * 8 == 192 && FUTEX * 8 == 256);
    assert!(REGION_BYTES / 16 <= 1 << PLACE_BITS);
    // No record is at cells 0 and 2, so no entry with one is EMPTY or FREED.
    assert!(INDEX * 8 == 512 && FREED < INDEX as u32 / 2);
};

/// The areas of a table: all follow from the size of its index and of its arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Entries of the index, a power of two.
    pub entries: usize,
    /// The cell where the arena of records begins.
    pub arena: usize,
    /// Where it ends, and the file with it.
    pub end: usize,
}

impl Layout {
    /// With an index of so many entries and an arena of so many cells.
    pub const fn of(entries: usize, cells: usize) -> Layout {
        let arena = INDEX + entries;
        Layout { entries, arena, end: arena + cells }
    }

    /// One that holds `names` with as many again and their records of `cells` with as much room again; `None` when there is
    /// none.
    pub fn for_names(names: usize, cells: usize) -> Option<Layout> {
        let entries = names.checked_mul(4)?.checked_next_power_of_two()?.clamp(ENTRIES_MIN, ENTRIES_MAX);
        let most = REGION_BYTES / 8 - INDEX - entries;
        // Even, as the places of records are.
        let room = (2 * cells).max(ARENA_MIN).min(most) & !1;
        (2 * names <= entries && cells <= room).then(|| Layout::of(entries, room))
    }

    /// Length of the file.
    pub const fn bytes(&self) -> usize {
        self.end * 8
    }

    /// The cell of the index entry that a search for `hash` looks at in step `probe`.
    pub const fn entry(&self, hash: u64, probe: usize) -> usize {
        INDEX + ((hash as usize).wrapping_add(probe) & (self.entries - 1))
    }

    /// Whether a record of so many cells may be at `cell`.
    #[inline]
    pub const fn holds(&self, cell: usize, cells: usize) -> bool {
        cell >= self.arena && cell < self.end && cells <= self.end - cell
    }
}

/// The header: what is written once, before the table is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Random, not 0; every seal depends on it.
    pub incarnation: u64,
    /// The file's inode number: a copy of a table is no table.
    pub inode: u64,
    /// Where everything is.
    pub layout: Layout,
}

impl Header {
    /// Its cells.
    pub fn to_cells(self) -> [u64; HEADER_CELLS] {
        let Layout { entries, arena, end } = self.layout;
        let bytes = |cell: usize| cell as u64 * 8;
        let mut cells = [0; HEADER_CELLS];
        cells[..9].copy_from_slice(&[
            MAGIC,
            VERSION,
            self.incarnation,
            bytes(end),
            entries as u64,
            bytes(INDEX),
            bytes(arena),
            bytes(end - arena),
            self.inode,
        ]);
        cells[HEADER_CELLS - 1] = check(self.incarnation, 0, &cells[..HEADER_CELLS - 1]);
        cells
    }

    /// The header that these cells are; `None` unless all of them are as this version writes them.
    pub fn from_cells(cells: &[u64; HEADER_CELLS]) -> Option<Header> {
        let entries = usize::try_from(cells[4]).ok()?;
        let arena = usize::try_from(cells[7]).ok()?;
        let sizes = entries.is_power_of_two() && (ENTRIES_MIN..=ENTRIES_MAX).contains(&entries);
        if !sizes || arena > REGION_BYTES || cells[2] == 0 {
            return None;
        }
        let layout = Layout::of(entries, arena / 8);
        let header = Header { incarnation: cells[2], inode: cells[8], layout };
        (layout.bytes() <= REGION_BYTES && header.to_cells() == *cells).then_some(header)
    }

    /// What seals the cell.
    pub const fn seal(&self, cell: usize) -> Seal {
        Seal::new(self.incarnation, cell)
    }

    /// The word that the state cell of a live table holds.
    pub const fn live(&self) -> u64 {
        self.seal(STATE).close(LIVE)
    }
}

/// The body of an index entry: a tag of the name's hash in 10 bits, half the number of the record's cell in 22.
pub const fn entry_body(hash: u64, record: usize) -> u32 {
    tag(hash) | (record / 2) as u32
}

/// The cell of the record that an index entry names, unless it is for another name (by its tag) or for none.
#[inline]
pub const fn entry_record(body: u32, hash: u64) -> Option<usize> {
    if body >> PLACE_BITS << PLACE_BITS == tag(hash) { record_of(body) } else { None }
}

/// The same, whatever the name.
#[inline]
pub const fn record_of(body: u32) -> Option<usize> {
    let place = body & ((1 << PLACE_BITS) - 1);
    if place > FREED { Some(2 * place as usize) } else { None }
}

const fn tag(hash: u64) -> u32 {
    ((hash >> 54) as u32) << PLACE_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_header_is_seen() {
        let header =
            Header { incarnation: 0xfeed_beef, inode: 99, layout: Layout::of(ENTRIES_MIN, ARENA_MIN) };
        let cells = header.to_cells();
        assert_eq!(Header::from_cells(&cells), Some(header));
        for bit in 0..HEADER_CELLS * 64 {
            let mut damaged = cells;
            damaged[bit / 64] ^= 1 << (bit % 64);
            assert_eq!(Header::from_cells(&damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn a_layout_holds_as_many_names_again_as_far_as_a_table_can_be() {
        let entries = |names| Layout::for_names(names, 0).map(|layout| layout.entries);
        assert_eq!(entries(0), Some(ENTRIES_MIN));
        assert_eq!(entries(10_000), Some(65_536));
        assert_eq!(entries(65_536), Some(ENTRIES_MAX));
        assert_eq!(entries(ENTRIES_MAX), None);
        let cells = |cells| Layout::for_names(1, cells).map(|layout| layout.end - layout.arena);
        assert_eq!(cells(1), Some(ARENA_MIN));
        assert_eq!(cells(ARENA_MIN), Some(2 * ARENA_MIN));
        let most = REGION_BYTES / 8 - INDEX - ENTRIES_MIN;
        assert_eq!((cells(most), cells(most + 1)), (Some(most), None));
    }

    #[test]
    fn an_index_entry_leads_to_its_record_or_nowhere() {
        let hash = 0xabcd_0000_0000_1234;
        for record in [INDEX + ENTRIES_MIN, REGION_BYTES / 8 - 2] {
            assert_eq!(entry_record(entry_body(hash, record), hash), Some(record));
            assert_eq!(entry_record(entry_body(hash, record), hash ^ 1 << 60), None);
        }
        assert_eq!((record_of(EMPTY), record_of(FREED)), (None, None));
    }
}
