//! Where everything is on a board, and what proves it. `docs/board.md` says the same for strangers.
//!
//! Invariant: every cell that a reader acts upon proves itself: it is sealed (B2), or covered by a check
//! that is. A layout never changes under its version number. No system calls here, no policy.

use crate::flags::{Body, CELLS, NAME_CELLS, Seal};
use crate::mapped::proof::check;
use crate::sys::mapping::REGION_BYTES;

/// The file, in the runtime directory.
pub const BOARD: &str = "board";
/// The folder beside it that holds the second hard link.
pub const KEPT: &str = ".kept";
/// The second hard link, from the runtime directory.
pub const KEPT_BOARD: &str = ".kept/board";

/// "mainstay", as its bytes stand in the file.
pub const MAGIC: u64 = u64::from_le_bytes(*b"mainstay");
/// Version 3; the upper half shows the byte order.
pub const VERSION: u64 = 0x0102_0304_0000_0004;

/// Cells of the header that never change; the last is their check.
pub const HEADER_CELLS: usize = 16;
/// LIVE or RETIRED, sealed.
pub const STATE: usize = 16;
/// Sealed; odd while a change runs.
pub const COMMIT: usize = 24;
/// The lower half of the generation, sealed.
pub const GENERATION: usize = 25;
/// The first cell of the arena that was never used, sealed: a writer that takes over goes on there.
pub const FREE: usize = 26;
/// A bare u32 to wait on, alone in its cache line: the lower half of the generation.
pub const FUTEX: usize = 32;
/// When the writer last looked (nanoseconds since boot), its pid: information, unproven.
pub const HEARTBEAT: usize = 40;
/// See [`HEARTBEAT`].
pub const OWNER: usize = 41;
/// The first hot word: byte 4096.
pub const WORDS: usize = 512;

/// Bodies of [`STATE`].
pub const LIVE: u32 = u32::from_le_bytes(*b"LIVE");
/// See [`LIVE`].
pub const RETIRED: u32 = u32::from_le_bytes(*b"GONE");

/// Cells of a name record: proof, lengths, name, salt, reference, check.
pub const NAME_RECORD: usize = 4 + 2 * NAME_CELLS;

/// Slots of the smallest and of the largest board: powers of two.
pub const SLOTS_MIN: usize = 64;
/// See [`SLOTS_MIN`].
pub const SLOTS_MAX: usize = 1 << 17;

/// Index entries that a search looks at, at most. A writer whose insertion would need more grows first.
pub const PROBES: usize = 256;

/// The body of an index entry where nothing is.
pub const EMPTY: u32 = 0;

const SLOT_BITS: u32 = 20;

/// Cells of the smallest arena: 64 KiB.
pub const ARENA_MIN: usize = 8192;

// Layout facts that docs/board.md states.
const _: () = {
    assert!(HEADER_CELLS <= STATE && STATE * 8 == 128);
    assert!(COMMIT * 8 == 192 && GENERATION * 8 == 200 && FREE * 8 == 208);
    assert!(FUTEX * 8 == 256 && HEARTBEAT * 8 == 320 && OWNER * 8 == 328);
    assert!(WORDS * 8 == 4096);
    assert!(NAME_RECORD == 36);
    assert!(SLOTS_MAX < 1 << SLOT_BITS);
    assert!(Layout::of(SLOTS_MIN).bytes() == 4096 + 64 * (8 + 16 + 288) + 65_536);
    assert!(Layout::of(SLOTS_MAX).bytes() <= REGION_BYTES);
    // A word can speak of every cell.
    assert!(REGION_BYTES / 8 <= CELLS as usize);
};

/// The areas of a board: all follow from its number of slots and the size of its arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// A power of two.
    pub slots: usize,
    /// Entries of the index: twice the slots.
    pub entries: usize,
    /// Cells at which the areas begin.
    pub index: usize,
    /// See `index`.
    pub names: usize,
    /// Where the arena of records begins.
    pub arena: usize,
    /// Where it ends, and the file with it.
    pub end: usize,
}

impl Layout {
    /// The layout of a board with `slots`, a power of two, and the arena that comes with them.
    pub const fn of(slots: usize) -> Layout {
        let arena = 64 + 8 * slots;
        Layout::with_arena(slots, if arena > ARENA_MIN { arena } else { ARENA_MIN })
    }

    /// The same with an arena of so many cells.
    pub const fn with_arena(slots: usize, cells: usize) -> Layout {
        let index = WORDS + slots;
        let names = index + 2 * slots;
        let arena = names + NAME_RECORD * slots;
        Layout { slots, entries: 2 * slots, index, names, arena, end: arena + cells }
    }

    /// The least layout that holds `flags` with as many again, and records of so many cells with as much room again,
    /// as far as that can be; `None` when there is none.
    pub fn for_flags(flags: usize, records: usize) -> Option<Layout> {
        let slots = flags.checked_mul(2)?.checked_next_power_of_two()?.max(SLOTS_MIN);
        let slots = if slots > SLOTS_MAX { flags.checked_next_power_of_two()? } else { slots };
        if slots > SLOTS_MAX {
            return None;
        }
        let usual = Layout::of(slots);
        let most = REGION_BYTES / 8 - usual.arena;
        let cells = (usual.end - usual.arena).max(2 * records).min(most);
        (records <= cells).then(|| Layout::with_arena(slots, cells))
    }

    /// The same for twice the slots; `None` when there is none.
    pub fn spread(&self, records: usize) -> Option<Layout> {
        if self.slots < SLOTS_MAX { Layout::for_flags(self.slots, records) } else { None }
    }

    /// Whether a record of so many cells may be at `cell`.
    #[inline]
    pub const fn holds(&self, cell: usize, cells: usize) -> bool {
        cell >= self.arena && cell < self.end && cells <= self.end - cell
    }

    /// Length of the file.
    pub const fn bytes(&self) -> usize {
        self.end * 8
    }

    /// The cell of slot `slot`'s word.
    pub const fn word(&self, slot: usize) -> usize {
        WORDS + slot
    }

    /// The first cell of slot `slot`'s name record.
    pub const fn name(&self, slot: usize) -> usize {
        self.names + NAME_RECORD * slot
    }

    /// The cell of the index entry that a search for `hash` looks at in step `probe`.
    pub const fn entry(&self, hash: u64, probe: usize) -> usize {
        self.index + ((hash as usize).wrapping_add(probe) & (self.entries - 1))
    }
}

/// The header: what is written once, before the board is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Random, not 0; every seal depends on it.
    pub incarnation: u64,
    /// Upper half of the generation.
    pub generation_high: u32,
    /// The file's inode number: a copy of a board is no board.
    pub inode: u64,
    /// Where everything is.
    pub layout: Layout,
}

impl Header {
    /// Its cells.
    pub fn to_cells(self) -> [u64; HEADER_CELLS] {
        let Layout { slots, entries, index, names, arena, end } = self.layout;
        let bytes = |cell: usize| cell as u64 * 8;
        let mut cells = [
            MAGIC,
            VERSION,
            self.incarnation,
            bytes(end),
            slots as u64,
            entries as u64,
            bytes(WORDS),
            bytes(index),
            bytes(names),
            bytes(arena),
            bytes(end - arena),
            0,
            self.generation_high.into(),
            self.inode,
            0,
            0,
        ];
        cells[HEADER_CELLS - 1] = check(self.incarnation, 0, &cells[..HEADER_CELLS - 1]);
        cells
    }

    /// The header that these cells are; `None` unless all of them are as this version writes them.
    pub fn from_cells(cells: &[u64; HEADER_CELLS]) -> Option<Header> {
        let slots = usize::try_from(cells[4]).ok()?;
        let arena = usize::try_from(cells[10]).ok()?;
        let sizes = slots.is_power_of_two() && (SLOTS_MIN..=SLOTS_MAX).contains(&slots);
        if !sizes || arena > REGION_BYTES || cells[2] == 0 {
            return None;
        }
        let header = Header {
            incarnation: cells[2],
            generation_high: u32::try_from(cells[12]).ok()?,
            inode: cells[13],
            layout: Layout::with_arena(slots, arena / 8),
        };
        (header.layout.bytes() <= REGION_BYTES && header.to_cells() == *cells).then_some(header)
    }

    /// What seals the cell.
    pub const fn seal(&self, cell: usize) -> Seal {
        Seal::new(self.incarnation, cell)
    }

    /// The word that the state cell of a live board holds.
    pub const fn live(&self) -> u64 {
        self.seal(STATE).close(LIVE)
    }
}

/// The body of an index entry: tag in 12 bits, slot + 1 in 20.
pub const fn entry_body(hash: u64, slot: usize) -> u32 {
    tag(hash) | (slot as u32 + 1)
}

/// The slot that an index entry names, unless it is for another name (by its tag) or empty.
#[inline]
pub const fn entry_slot(body: u32, hash: u64) -> Option<usize> {
    let slot = body & ((1 << SLOT_BITS) - 1);
    if body >> SLOT_BITS << SLOT_BITS == tag(hash) && slot != 0 { Some(slot as usize - 1) } else { None }
}

const fn tag(hash: u64) -> u32 {
    ((hash >> 52) as u32) << SLOT_BITS
}

/// The word of a slot where no flag was ever.
pub const UNUSED: u32 = Body::Unused.to_bits();

/// The word of every slot of a board that nobody should read any more.
pub const MOVED: u32 = Body::Retired.to_bits();

#[cfg(test)]
mod tests {
    use super::*;

    fn header(slots: usize) -> Header {
        Header {
            incarnation: 0xfeed_beef_1234_5678,
            generation_high: 0,
            inode: 99,
            layout: Layout::of(slots),
        }
    }

    #[test]
    fn b2_every_flipped_bit_of_a_header_is_seen() {
        let cells = header(64).to_cells();
        assert_eq!(Header::from_cells(&cells), Some(header(64)));
        for bit in 0..HEADER_CELLS * 64 {
            let mut damaged = cells;
            damaged[bit / 64] ^= 1 << (bit % 64);
            assert_eq!(Header::from_cells(&damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn a_layout_holds_as_many_flags_again() {
        let slots = |flags| Layout::for_flags(flags, 0).map(|layout| layout.slots);
        assert_eq!(slots(0), Some(SLOTS_MIN));
        assert_eq!(slots(33), Some(128));
        assert_eq!(slots(10_000), Some(32_768));
        assert_eq!(slots(SLOTS_MAX), Some(SLOTS_MAX));
        assert_eq!(slots(SLOTS_MAX + 1), None);
    }

    #[test]
    fn an_arena_holds_as_much_again_as_far_as_a_board_can_be() {
        let arena = |flags, records| {
            Layout::for_flags(flags, records).map(|layout| layout.end - layout.arena).unwrap_or(0)
        };
        assert_eq!(arena(1, 0), ARENA_MIN);
        assert_eq!(arena(1, 5000), 10_000);
        assert_eq!(arena(10_000, 0), 64 + 8 * 32_768);
        let most = REGION_BYTES / 8 - Layout::of(SLOTS_MIN).arena;
        assert_eq!(arena(1, most), most, "to the last cell");
        assert_eq!(Layout::for_flags(1, most + 1), None);
    }

    #[test]
    fn a_record_is_within_the_arena_or_nowhere() {
        let layout = Layout::of(64);
        let Layout { arena, end, .. } = layout;
        for (cell, cells, holds) in [
            (arena, 3, true),
            (arena - 1, 3, false),
            (0, 1, false),
            (end - 3, 3, true),
            (end - 2, 3, false),
            (end, 0, false),
            (usize::MAX, 1, false),
            (arena, usize::MAX, false),
        ] {
            assert_eq!(layout.holds(cell, cells), holds, "{cell} {cells}");
        }
    }
}
