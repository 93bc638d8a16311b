//! Where everything is in a black box, and what proves an entry. `docs/blackbox.md` says the same for strangers.
//!
//! A layout never changes under its version number. No system calls here, no policy.

use crate::mapped::proof::{FACTORS, Prover, prove};

/// "mainbox" and a zero, as its bytes stand in the memory.
pub const MAGIC: u64 = u64::from_le_bytes(*b"mainbox\0");
/// Version 2; the upper half shows the byte order.
pub const VERSION: u64 = 0x0102_0304_0000_0003;

/// Size of a box. Pages that nobody writes to take no memory.
pub const BYTES: usize = 512 << 10;
/// The same in cells of 8 bytes.
pub const CELLS: usize = BYTES / 8;

/// Cells of the header, written before the life begins; the last is their check.
pub const HEADER_CELLS: usize = 16;
/// How many notes found no room in the seen table.
pub const OVERFLOWS: usize = 16;
/// How many threads found no lane, how many spans no slot.
pub const NO_LANE: usize = 17;
/// See [`NO_LANE`].
pub const NO_SLOT: usize = 18;
/// The incarnation of the board that the keeper has in place, as it said last: byte 152. 0: nobody said.
pub const BOARD: usize = 19;
/// The ticket of the next record of an event. Each of the cells below has a cache line of its own.
pub const EVENT_HEAD: usize = 24;
/// The ticket of the next finished span.
pub const FINISHED_HEAD: usize = 32;
/// 0: whoever drains the box sleeps, and wants to be woken. 1: it was woken, or nobody asked.
pub const BELL: usize = 40;
/// Cells of whoever drains the box: which tickets it has taken, and which of these it has written where they belong.
pub const DRAINED: usize = 48;
/// How many cells begin at [`DRAINED`].
pub const DRAINED_CELLS: usize = 8;
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
/// Proves the others (lower 48 bits), and the upper 16 bits of the generation's 48.
pub const CHECK: usize = 3;
/// Entries of a page of memory: the first is used before the second, so a process that reads few flags touches one.
pub const PAGE: usize = 128;
/// Entries of each page that a search looks at.
pub const PROBES_PER_PAGE: usize = 16;
/// Entries that a search looks at, at most.
pub const PROBES: usize = ENTRIES / PAGE * PROBES_PER_PAGE;

/// The first lane: byte 36,864. A lane is what one thread is doing: see [`lane`](super::record::lane).
pub const LANES: usize = SEEN + ENTRIES * ENTRY;
/// How many threads have one at the same time.
pub const LANE_COUNT: usize = 64;
/// Cells of a lane.
pub const LANE: usize = 384;

/// The first slot of an open span: byte 233,472.
pub const SPANS: usize = LANES + LANE_COUNT * LANE;
/// How many are open at the same time.
pub const SPAN_COUNT: usize = 64;
/// Cells of an open span.
pub const SPAN: usize = 48;

/// The first record of the ring of events: byte 258,048.
pub const EVENTS: usize = SPANS + SPAN_COUNT * SPAN;
/// Records of the ring. An event takes one to [`EVENT_PARTS`].
pub const EVENT_COUNT: usize = 1024;
/// Cells of a record.
pub const EVENT: usize = 16;
/// The most records of one event: the newest 256 are always there.
pub const EVENT_PARTS: usize = 4;

/// The first record of the ring of finished spans: byte 389,120.
pub const FINISHED: usize = EVENTS + EVENT_COUNT * EVENT;
/// Records of the ring.
pub const FINISHED_COUNT: usize = 512;
/// Cells of a finished span.
pub const FINISHED_SPAN: usize = 32;

// What docs/blackbox.md states.
const _: () = {
    assert!(HEADER_CELLS <= OVERFLOWS && OVERFLOWS * 8 == 128 && BOARD * 8 == 152);
    assert!(EVENT_HEAD * 8 == 192 && FINISHED_HEAD * 8 == 256 && BELL * 8 == 320 && DRAINED * 8 == 384);
    assert!(DRAINED + DRAINED_CELLS <= COUNTERS);
    assert!(COUNTERS * 8 == 1024 && COUNTERS + PAIRS * PAIR <= SEEN);
    assert!(SEEN * 8 == 4096 && PAGE * ENTRY * 8 == 4096);
    assert!(LANES * 8 == 36_864 && SPANS * 8 == 233_472 && EVENTS * 8 == 258_048 && FINISHED * 8 == 389_120);
    assert!(FINISHED + FINISHED_COUNT * FINISHED_SPAN == 65_024 && CELLS == 65_536);
    assert!(EVENT_COUNT.is_power_of_two() && FINISHED_COUNT.is_power_of_two());
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
        LANES as u64 * 8,
        LANE_COUNT as u64,
        SPANS as u64 * 8,
        SPAN_COUNT as u64,
        EVENTS as u64 * 8,
        EVENT_COUNT as u64,
        FINISHED as u64 * 8,
        FINISHED_COUNT as u64,
        0,
    ];
    cells[HEADER_CELLS - 1] = proof(0, &cells);
    cells
};

/// The most cells that one check is computed over.
pub const PROVEN_CELLS: usize = 64;

/// What proves these cells, at most [`PROVEN_CELLS`], whose record begins at cell `place` of the box.
#[inline]
pub const fn proof(place: usize, cells: &[u64]) -> u64 {
    prove(start(place), cells)
}

/// The same, two cells at a time as they come.
#[inline(always)]
pub(super) const fn prover(place: usize) -> Prover {
    Prover::new(start(place))
}

const fn start(place: usize) -> u64 {
    VERSION.wrapping_add((place as u64).wrapping_mul(FACTORS[0]))
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

/// What stands in the check cell of an entry with these cells. Of `generation_high`, the generation without its lower
/// half, 16 bits are kept.
///
/// 48 bits prove an entry: of 40 million entries that are damaged at random, one is taken for a note with a chance of
/// 1 in 7 million. Every other record of a box is proven by 64.
#[inline]
pub const fn check(entry: usize, key: u64, value: u64, time: u64, generation_high: u32) -> u64 {
    let high = generation_high as u64 & 0xffff;
    high << 48 | proof(cell(entry), &[key, value, time, high]) >> 16
}

/// Is this an entry that was completed?
#[inline]
pub const fn proves(entry: usize, cells: [u64; ENTRY]) -> bool {
    let [key, value, time, checked] = cells;
    key != 0 && check(entry, key, value, time, (checked >> 48) as u32) == checked
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
