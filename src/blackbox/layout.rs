//! Where everything is in a black box, and what proves an entry. `docs/blackbox.md` says the same for strangers.
//!
//! A layout never changes under its version number. No system calls here, no policy.

use crate::flags::mix;

/// "mainbox" and a zero, as its bytes stand in the memory.
pub const MAGIC: u64 = u64::from_le_bytes(*b"mainbox\0");
/// Version 1; the upper half shows the byte order.
pub const VERSION: u64 = 0x0102_0304_0000_0001;

/// Size of a box.
pub const BYTES: usize = 64 << 10;
/// The same in cells of 8 bytes.
pub const CELLS: usize = BYTES / 8;

/// Cells of the header, written before the life begins; the last is their check.
pub const HEADER_CELLS: usize = 16;
/// How many notes found no room in the seen table.
pub const OVERFLOWS: usize = 16;
/// The incarnation of the board that the keeper has in place, as it said last: byte 152. 0: nobody said.
pub const BOARD: usize = 19;
/// The first of the error counters: byte 1024.
pub const COUNTERS: usize = 128;
/// Pairs of counters, each in a cache line of its own, so that threads that count at once do not meet.
pub const PAIRS: usize = 16;
/// Cells from one pair to the next: successes, errors, six that are not used.
pub const PAIR: usize = 8;

/// The first cell of the seen table: byte 4096.
pub const SEEN: usize = 512;
/// Entries of the seen table, in pages of [`PAGE`].
pub const ENTRIES: usize = 1024;
/// Cells of an entry: [`KEY`], [`VALUE`], [`TIME`], [`CHECK`].
pub const ENTRY: usize = 4;
/// The flag's hash, 0: no entry. Set once.
pub const KEY: usize = 0;
/// The body of the word (lower half) and the lower half of the generation.
pub const VALUE: usize = 1;
/// When, nanoseconds of `CLOCK_MONOTONIC`. Only rises.
pub const TIME: usize = 2;
/// Proves the others (lower half), and the upper half of the generation.
pub const CHECK: usize = 3;
/// Entries of a page of memory: the first is used before the second, so a process that reads few flags touches one.
pub const PAGE: usize = 128;
/// Entries of each page that a search looks at.
pub const PROBES_PER_PAGE: usize = 16;
/// Entries that a search looks at, at most.
pub const PROBES: usize = ENTRIES / PAGE * PROBES_PER_PAGE;

/// Room for the context of an error: byte 36,864.
pub const CONTEXT: usize = SEEN + ENTRIES * ENTRY;
/// Room for open spans: byte 40,960.
pub const SPANS: usize = CONTEXT + 512;
/// Room for the newest events: byte 49,152.
pub const EVENTS: usize = SPANS + 1024;

// What docs/blackbox.md states.
const _: () = {
    assert!(HEADER_CELLS <= OVERFLOWS && OVERFLOWS * 8 == 128 && BOARD * 8 == 152);
    assert!(COUNTERS * 8 == 1024 && COUNTERS + PAIRS * PAIR <= SEEN);
    assert!(SEEN * 8 == 4096 && PAGE * ENTRY * 8 == 4096);
    assert!(CONTEXT * 8 == 36_864 && SPANS * 8 == 40_960 && EVENTS * 8 == 49_152);
    assert!(EVENTS < CELLS && CELLS * 8 == 65_536);
    assert!(PROBES == 128);
};

/// The cells of the header: the same in every box of this version.
pub const HEADER: [u64; HEADER_CELLS] = {
    let mut cells = [
        MAGIC,
        VERSION,
        BYTES as u64,
        SEEN as u64 * 8,
        ENTRIES as u64,
        COUNTERS as u64 * 8,
        PAIRS as u64,
        CONTEXT as u64 * 8,
        SPANS as u64 * 8 - CONTEXT as u64 * 8,
        SPANS as u64 * 8,
        EVENTS as u64 * 8 - SPANS as u64 * 8,
        EVENTS as u64 * 8,
        BYTES as u64 - EVENTS as u64 * 8,
        0,
        0,
        0,
    ];
    let mut sum = 0u64;
    let mut at = 0;
    while at < HEADER_CELLS - 1 {
        sum = sum.wrapping_add(cells[at].wrapping_mul(factor(at)));
        at += 1;
    }
    cells[HEADER_CELLS - 1] = mix(sum);
    cells
};

/// Odd, so that no change of one summand cancels out; the same as the board's.
const fn factor(at: usize) -> u64 {
    mix((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1
}

/// What the key cell of a flag holds: its hash, which is `board::name_hash` of its name, but never 0.
#[inline]
pub const fn key(hash: u64) -> u64 {
    if hash == 0 { 1 } else { hash }
}

/// The entry that a search for `key` looks at in step `probe`, below [`PROBES`].
#[inline]
pub const fn entry(key: u64, probe: usize) -> usize {
    let page = probe / PROBES_PER_PAGE;
    // Other bits of the key on each page: names that crowd one page are spread over the next.
    let start = (key >> (7 * page)) as usize;
    PAGE * page + (start.wrapping_add(probe % PROBES_PER_PAGE) & (PAGE - 1))
}

/// The first cell of an entry.
#[inline]
pub const fn cell(entry: usize) -> usize {
    SEEN + entry * ENTRY
}

/// What stands in the value cell.
#[inline]
pub const fn value(body: u32, generation: u64) -> u64 {
    generation << 32 | body as u64
}

/// What stands in the check cell of an entry with these cells.
#[inline]
pub const fn check(entry: usize, key: u64, value: u64, time: u64, generation_high: u32) -> u64 {
    let sum = VERSION
        .wrapping_add((entry as u64).wrapping_mul(factor(0)))
        .wrapping_add(key.wrapping_mul(factor(1)))
        .wrapping_add(value.wrapping_mul(factor(2)))
        .wrapping_add(time.wrapping_mul(factor(3)))
        .wrapping_add((generation_high as u64).wrapping_mul(factor(4)));
    (generation_high as u64) << 32 | (mix(sum) & 0xffff_ffff)
}

/// Is this an entry that was completed?
#[inline]
pub const fn proves(entry: usize, cells: [u64; ENTRY]) -> bool {
    let [key, value, time, checked] = cells;
    key != 0 && check(entry, key, value, time, (checked >> 32) as u32) == checked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_meets_no_entry_twice_and_stays_in_the_table() {
        for key in [1, u64::MAX, 0x1234_5678_9abc_def0] {
            let mut met: Vec<usize> = (0..PROBES).map(|probe| entry(key, probe)).collect();
            assert!(met.iter().all(|entry| *entry < ENTRIES));
            assert!(met[..PROBES_PER_PAGE].iter().all(|entry| *entry < PAGE), "the first page first");
            met.sort_unstable();
            met.dedup();
            assert_eq!(met.len(), PROBES);
        }
    }

    #[test]
    fn every_flipped_bit_of_an_entry_is_seen() {
        let right = |cells| proves(77, cells);
        let cells = [5, value(0x1000_0000, 9), 1_000_000, check(77, 5, value(0x1000_0000, 9), 1_000_000, 3)];
        assert!(right(cells));
        for bit in 0..ENTRY * 64 {
            let mut damaged = cells;
            damaged[bit / 64] ^= 1 << (bit % 64);
            assert!(!right(damaged), "bit {bit}");
        }
        assert!(!right([0; ENTRY]), "zeros are no entry");
    }
}
