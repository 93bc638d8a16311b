//! Where everything is on a board, and what proves it. `docs/board.md` says the same for strangers.
//!
//! Invariant: every cell that a reader acts upon proves itself: it is sealed (B2), or covered by a check
//! that is. A layout never changes under its version number. No system calls here, no policy.

use crate::flags::{BUCKETING, Body, NAME_CELLS, Name, Packed, Prefix, Seal, mix};

/// The file, in the runtime directory.
pub const BOARD: &str = "board";
/// The folder beside it that holds the second hard link.
pub const KEPT: &str = ".kept";
/// The second hard link, from the runtime directory.
pub const KEPT_BOARD: &str = ".kept/board";

/// "mainstay", as its bytes stand in the file.
pub const MAGIC: u64 = u64::from_le_bytes(*b"mainstay");
/// Version 1; the upper half shows the byte order.
pub const VERSION: u64 = 0x0102_0304_0000_0001;

/// Cells of the header that never change; the last is their check.
pub const HEADER_CELLS: usize = 16;
/// LIVE or RETIRED, sealed.
pub const STATE: usize = 16;
/// Sealed; odd while a change runs.
pub const COMMIT: usize = 24;
/// The lower half of the generation, sealed.
pub const GENERATION: usize = 25;
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

/// Cells of a name record: lengths, name, salt, check.
pub const NAME_RECORD: usize = 2 + 2 * NAME_CELLS;

/// Slots of the smallest and of the largest board: powers of two.
pub const SLOTS_MIN: usize = 64;
/// See [`SLOTS_MIN`].
pub const SLOTS_MAX: usize = 1 << 17;

/// Index entries that a search looks at, at most. A writer whose insertion would need more grows first.
pub const PROBES: usize = 256;

/// The body of an index entry where nothing is.
pub const EMPTY: u32 = 0;

/// The body of a reference that leads nowhere (all of them, in this version).
pub const NO_RECORD: u32 = 0;

const SLOT_BITS: u32 = 20;

// Layout facts that docs/board.md states.
const _: () = {
    assert!(HEADER_CELLS <= STATE && STATE * 8 == 128);
    assert!(COMMIT * 8 == 192 && GENERATION * 8 == 200);
    assert!(FUTEX * 8 == 256 && HEARTBEAT * 8 == 320 && OWNER * 8 == 328);
    assert!(WORDS * 8 == 4096);
    assert!(NAME_RECORD == 34);
    assert!(SLOTS_MAX < 1 << SLOT_BITS);
    assert!(Layout::of(SLOTS_MIN).bytes() == 4096 + 64 * (8 + 16 + 272 + 8));
    assert!(Layout::of(SLOTS_MAX).bytes() <= crate::sys::mapping::REGION_BYTES);
};

/// The areas of a board: all follow from its number of slots.
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
    /// See `index`.
    pub references: usize,
    /// Where the arena of records begins, and the file ends in this version.
    pub arena: usize,
}

impl Layout {
    /// The layout of a board with `slots`, a power of two.
    pub const fn of(slots: usize) -> Layout {
        let index = WORDS + slots;
        let names = index + 2 * slots;
        let references = names + NAME_RECORD * slots;
        Layout { slots, entries: 2 * slots, index, names, references, arena: references + slots }
    }

    /// The least layout that holds `flags` with as many again; `None` when there is none.
    pub fn for_flags(flags: usize) -> Option<Layout> {
        let slots = flags.checked_mul(2)?.checked_next_power_of_two()?.max(SLOTS_MIN);
        let slots = if slots > SLOTS_MAX { flags.checked_next_power_of_two()? } else { slots };
        (slots <= SLOTS_MAX).then(|| Layout::of(slots))
    }

    /// Length of the file.
    pub const fn bytes(&self) -> usize {
        self.arena * 8
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
        let Layout { slots, entries, index, names, references, arena } = self.layout;
        let bytes = |cell: usize| cell as u64 * 8;
        let mut cells = [
            MAGIC,
            VERSION,
            self.incarnation,
            bytes(arena),
            slots as u64,
            entries as u64,
            bytes(WORDS),
            bytes(index),
            bytes(names),
            bytes(references),
            bytes(arena),
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
        if !slots.is_power_of_two() || !(SLOTS_MIN..=SLOTS_MAX).contains(&slots) || cells[2] == 0 {
            return None;
        }
        let header = Header {
            incarnation: cells[2],
            generation_high: u32::try_from(cells[12]).ok()?,
            inode: cells[13],
            layout: Layout::of(slots),
        };
        (header.to_cells() == *cells).then_some(header)
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

/// Multipliers of [`check`] and [`hash`]: odd, so that no change of one cell cancels out.
const FACTORS: [u64; NAME_RECORD] = {
    let mut factors = [0; NAME_RECORD];
    let mut at = 0;
    while at < NAME_RECORD {
        factors[at] = mix((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1;
        at += 1;
    }
    factors
};

/// The check of at most [`NAME_RECORD`] cells that begin at `cell` of a board.
#[inline]
pub fn check(incarnation: u64, cell: usize, cells: &[u64]) -> u64 {
    mix(sum(Seal::new(incarnation, cell).to_bits(), cells))
}

/// Where in the index a name is looked for (lower bits), and its tag (the upper 12 bits).
#[inline]
pub fn hash(name: &Packed) -> u64 {
    mix(sum(name.length().into(), name.used()))
}

#[inline]
fn sum(start: u64, cells: &[u64]) -> u64 {
    let sum = |sum: u64, (cell, factor): (&u64, &u64)| sum.wrapping_add(cell.wrapping_mul(*factor));
    cells.iter().zip(&FACTORS).fold(start, sum)
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

/// What a name record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRecord {
    /// The flag's name. (The writer checked what names may hold; the record's check proves the rest.)
    pub name: Packed,
    /// What stands in the hash before an id; `None`: the name.
    pub salt: Option<Packed>,
    /// The version of the bucketing.
    pub bucketing: u8,
}

impl NameRecord {
    /// For a flag named `name`; `None` when the salt is too long.
    pub fn new(name: Name, salt: &str) -> Option<NameRecord> {
        let salt = Packed::new(salt)?;
        let salt = (salt != *name.packed() && salt.length() > 0).then_some(salt);
        Some(NameRecord { name: *name.packed(), salt, bucketing: BUCKETING })
    }

    /// Its cells at `cell` of the board.
    pub fn to_cells(self, incarnation: u64, cell: usize) -> [u64; NAME_RECORD] {
        let name = &self.name;
        let salt_length = self.salt.map_or(0, |salt| salt.length());
        let body = u32::from(name.length()) | u32::from(salt_length) << 8 | u32::from(self.bucketing) << 16;
        let mut cells = [0; NAME_RECORD];
        cells[0] = Seal::new(incarnation, cell).close(body);
        cells[1..][..name.used().len()].copy_from_slice(name.used());
        if let Some(salt) = &self.salt {
            cells[1 + NAME_CELLS..][..salt.used().len()].copy_from_slice(salt.used());
        }
        cells[NAME_RECORD - 1] = check(incarnation, cell, &cells[..NAME_RECORD - 1]);
        cells
    }

    /// The record at `cell`, read word by word through `load`; `None` when its check fails.
    ///
    /// Only the cells that its lengths say are used are loaded; the others count as the zeros that were
    /// written there.
    #[inline]
    pub fn read(incarnation: u64, cell: usize, load: impl Fn(usize) -> u64) -> Option<NameRecord> {
        let seal = Seal::new(incarnation, cell);
        let first = load(cell);
        let [name_length, salt_length, bucketing, zero] = seal.open(first)?.to_le_bytes();
        let mut all = seal.to_bits().wrapping_add(first.wrapping_mul(FACTORS[0]));
        let mut text = |length: u8, from: usize| {
            let mut cells = [0; NAME_CELLS];
            for at in 0..usize::from(length).div_ceil(8) {
                let cell = load(cell + from + at);
                *cells.get_mut(at)? = cell;
                all = all.wrapping_add(cell.wrapping_mul(FACTORS[from + at]));
            }
            Packed::from_cells(length, cells)
        };
        let name = text(name_length, 1)?;
        let salt = if salt_length == 0 { None } else { Some(text(salt_length, 1 + NAME_CELLS)?) };
        let proven = mix(all) == load(cell + NAME_RECORD - 1) && zero == 0 && bucketing == BUCKETING;
        proven.then_some(NameRecord { name, salt, bucketing })
    }

    /// Is `name` the name in the record at `cell`? `None` when the record's check fails. The same as
    /// [`NameRecord::read`] and a comparison, without a copy: reads by name do this each time.
    #[inline]
    pub fn holds(incarnation: u64, cell: usize, name: &Packed, load: impl Fn(usize) -> u64) -> Option<bool> {
        let seal = Seal::new(incarnation, cell);
        let first = load(cell);
        let [name_length, salt_length, bucketing, zero] = seal.open(first)?.to_le_bytes();
        let used = |length: u8| usize::from(length).div_ceil(8);
        if used(name_length) > NAME_CELLS
            || used(salt_length) > NAME_CELLS
            || zero != 0
            || bucketing != BUCKETING
        {
            return None;
        }
        let mut all = seal.to_bits().wrapping_add(first.wrapping_mul(FACTORS[0]));
        let mut same = name_length == name.length();
        for at in 0..used(name_length) {
            let word = load(cell + 1 + at);
            same &= name.cell(at) == word;
            all = all.wrapping_add(word.wrapping_mul(FACTORS[1 + at]));
        }
        for at in 0..used(salt_length) {
            let word = load(cell + 1 + NAME_CELLS + at);
            all = all.wrapping_add(word.wrapping_mul(FACTORS[1 + NAME_CELLS + at]));
        }
        (mix(all) == load(cell + NAME_RECORD - 1)).then_some(same)
    }

    /// The part of the hash that comes before an id.
    pub fn prefix(&self) -> Prefix {
        Prefix::of(self.salt.as_ref().unwrap_or(&self.name))
    }
}

/// The word of a slot where no flag was ever.
pub const UNUSED: u32 = Body::Unused.to_bits();

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
    fn b2_every_flipped_bit_of_a_name_record_is_seen() {
        let record = NameRecord::new(Name::new("new-checkout").unwrap(), "salt of its own").unwrap();
        let cells = record.to_cells(7, 100);
        let read = |cells: [u64; NAME_RECORD], at| NameRecord::read(7, at, |cell| cells[cell - at]);
        assert_eq!(read(cells, 100), Some(record));
        assert_eq!(read(cells, 134), None, "a record in another place is none");
        let holds = |cells: [u64; NAME_RECORD], name: &Packed| {
            NameRecord::holds(7, 100, name, |cell| cells[cell - 100])
        };
        for other in ["new-checkou", "new-checkout2", "new-checkoux", "n", "x".repeat(128).as_str()] {
            assert_eq!(holds(cells, Name::new(other).unwrap().packed()), Some(false), "{other}");
        }
        for bit in 0..NAME_RECORD * 64 {
            let mut damaged = cells;
            damaged[bit / 64] ^= 1 << (bit % 64);
            let unused = matches!(bit / 64, 3..17 | 19..33);
            assert_eq!(read(damaged, 100).is_some(), unused, "bit {bit}");
            assert_eq!(holds(damaged, &record.name), unused.then_some(true), "bit {bit}");
        }
    }

    #[test]
    fn a_layout_holds_as_many_flags_again() {
        assert_eq!(Layout::for_flags(0).unwrap().slots, SLOTS_MIN);
        assert_eq!(Layout::for_flags(33).unwrap().slots, 128);
        assert_eq!(Layout::for_flags(10_000).unwrap().slots, 32_768);
        assert_eq!(Layout::for_flags(SLOTS_MAX).unwrap().slots, SLOTS_MAX);
        assert_eq!(Layout::for_flags(SLOTS_MAX + 1), None);
    }

    #[test]
    fn names_that_differ_hash_apart() {
        let hashes: std::collections::HashSet<u64> =
            (0..100_000).map(|n| hash(Name::new(&format!("flag-{n}")).unwrap().packed())).collect();
        assert_eq!(hashes.len(), 100_000);
    }
}
