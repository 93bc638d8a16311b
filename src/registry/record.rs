//! The record of one registration: written whole before anything leads to it, never changed, never used again within a
//! table.
//!
//! ```text
//! cell 0  proof of the name: its hash + the seal of this cell
//!      1  sealed: bytes of the name (8 bits), cells behind the name (24 bits)
//!      2  pid (lower half), user (upper half)      3  started      4  inode of the pidfd
//!      5  ticket      6  since      7  check over cells 0 to 6
//!      8  name, zeros behind it; then instance and metadata as bytes, zeros behind them
//!   last  check over cells 7 to the one before
//! ```

use crate::flags::{Seal, mix};
use crate::ipc::registry::{Entry, Process};
use crate::mapped::proof::{Sought, check};
use crate::time::Wall;
use std::collections::BTreeMap;

const PROOF: usize = 0;
const LENGTHS: usize = 1;
const FIXED_CHECK: usize = 7;
const NAME: usize = 8;
/// Cells of a check's part.
const PART: usize = 128;
/// The longest payload that a reader follows, in cells: 4096 bytes of metadata, their lengths, an instance.
const PAYLOAD_MAX: usize = 1024;

/// What every registration has, whatever its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    pub(super) process: Process,
    pub(super) ticket: u64,
    uid: u32,
    since: i64,
    name: usize,
    payload: usize,
}

/// So many cells a record needs.
pub(super) fn cells(entry: &Entry) -> usize {
    let cells = NAME + entry.name.len().div_ceil(8) + payload(entry).len().div_ceil(8) + 1;
    cells.next_multiple_of(2)
}

/// Lengths before bytes: of the instance, then of each key and its value.
fn payload(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut text = |text: &str| {
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
    };
    text(&entry.instance);
    for (key, value) in &entry.meta {
        text(key);
        text(value);
    }
    bytes
}

fn to_cells(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks(8).map(|chunk| {
        let mut cell = [0; 8];
        cell[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(cell)
    })
}

/// The cells of a record at `cell`, without one that only fills up to an even number.
pub(super) fn write(entry: &Entry, incarnation: u64, cell: usize) -> Vec<u64> {
    let payload = payload(entry);
    let lengths = entry.name.len() as u32 | (payload.len().div_ceil(8) as u32) << 8;
    let Process { pid, started, inode } = entry.process;
    let mut cells = vec![
        Sought::new(&entry.name).map_or(0, |name| proof(incarnation, cell, &name)),
        Seal::new(incarnation, cell + LENGTHS).close(lengths),
        u64::from(pid) | u64::from(entry.uid) << 32,
        started,
        inode,
        entry.ticket,
        entry.since.0 as u64,
    ];
    cells.push(check(incarnation, cell, &cells));
    cells.extend(to_cells(entry.name.as_bytes()));
    cells.extend(to_cells(&payload));
    cells.push(long_check(incarnation, cell + FIXED_CHECK, &cells[FIXED_CHECK..]));
    cells
}

fn proof(incarnation: u64, cell: usize, name: &Sought<'_>) -> u64 {
    name.hash().wrapping_add(Seal::new(incarnation, cell + PROOF).to_bits())
}

/// The checks of parts of 128 cells, mixed one after the other.
fn long_check(incarnation: u64, cell: usize, cells: &[u64]) -> u64 {
    cells
        .chunks(PART)
        .enumerate()
        .fold(0, |all, (part, cells)| mix(all.wrapping_add(check(incarnation, cell + PART * part, cells))))
}

/// Does the record at `cell` prove that it is of this name? False says nothing: it may be another's, or damaged.
#[inline]
pub(super) fn proves(incarnation: u64, cell: usize, name: &Sought<'_>, load: impl Fn(usize) -> u64) -> bool {
    load(cell + PROOF) == proof(incarnation, cell, name) && name.is(|at| load(cell + NAME + at))
}

/// What is fixed in the record at `cell`, which ends before `end`; `None` when it does not prove itself.
#[inline]
pub(super) fn fixed(incarnation: u64, cell: usize, end: usize, load: impl Fn(usize) -> u64) -> Option<Fixed> {
    if end.checked_sub(cell)? <= NAME {
        return None;
    }
    let mut cells = [0; FIXED_CHECK];
    cells.iter_mut().enumerate().for_each(|(at, place)| *place = load(cell + at));
    let lengths = Seal::new(incarnation, cell + LENGTHS).open(cells[LENGTHS])?;
    if check(incarnation, cell, &cells) != load(cell + FIXED_CHECK) {
        return None;
    }
    let [_, _, who, started, inode, ticket, since] = cells;
    let process = Process { pid: who as u32, started, inode };
    let (name, payload) = ((lengths & 0xff) as usize, (lengths >> 8) as usize);
    let fits = payload <= PAYLOAD_MAX && NAME + name.div_ceil(8) + payload < end - cell;
    fits.then_some(Fixed { process, ticket, uid: (who >> 32) as u32, since: since as i64, name, payload })
}

/// The whole record at `cell`, which ends before `end`; `None` when it does not prove itself.
pub(super) fn read(incarnation: u64, cell: usize, end: usize, load: impl Fn(usize) -> u64) -> Option<Entry> {
    let fixed = fixed(incarnation, cell, end, &load)?;
    let name_cells = fixed.name.div_ceil(8);
    let last = cell + NAME + name_cells + fixed.payload;
    let cells: Vec<u64> = (cell + FIXED_CHECK..last).map(&load).collect();
    if long_check(incarnation, cell + FIXED_CHECK, &cells) != load(last) {
        return None;
    }
    let bytes: Vec<u8> = cells[1..].iter().flat_map(|cell| cell.to_le_bytes()).collect();
    let (name, payload) = bytes.split_at(8 * name_cells);
    let name = String::from_utf8(name.get(..fixed.name)?.to_vec()).ok()?;
    let mut rest = payload;
    let mut texts = std::iter::from_fn(|| {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (text, after) = (after.get(..length)?, &after[length..]);
        rest = after;
        String::from_utf8(text.to_vec()).ok()
    });
    let instance = texts.next()?;
    let mut meta = BTreeMap::new();
    while let (Some(key), Some(value)) = (texts.next(), texts.next()) {
        // Zeros behind the last: no key is empty.
        if !key.is_empty() {
            meta.insert(key, value);
        }
    }
    let Fixed { process, ticket, uid, since, .. } = fixed;
    Some(Entry { name, process, instance, uid, ticket, since: Wall(since), meta })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::registry) fn entry(name: &str, pid: u32, meta: &[(&str, &str)]) -> Entry {
        Entry {
            name: name.to_owned(),
            process: Process { pid, started: 77, inode: u64::from(pid) << 33 | 5 },
            instance: "web#2".to_owned(),
            uid: 1000,
            ticket: 4711,
            since: Wall(1_795_873_957_575_862),
            meta: meta.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn a_record_reads_as_it_was_written_and_only_where_it_was_written() {
        let long = "x".repeat(4000);
        let metas: [&[(&str, &str)]; 4] =
            [&[], &[("port", "80")], &[("a", ""), ("b", "ä"), ("c", "1")], &[("k", &long)]];
        for meta in metas {
            for name in ["a", "exactly8", "a-name-of-more-cells", "x".repeat(128).as_str()] {
                let entry = entry(name, 7, meta);
                let cells = write(&entry, 3, 100);
                assert!(cells.len() <= self::cells(&entry) && self::cells(&entry) - cells.len() < 2);
                let load = |at: usize| cells.get(at - 100).copied().unwrap_or(0);
                assert_eq!(read(3, 100, 100 + cells.len(), load), Some(entry.clone()), "{name}");
                assert!(proves(3, 100, &Sought::new(name).unwrap(), load));
                assert!(!proves(3, 100, &Sought::new("other").unwrap(), load));
                assert_eq!(read(3, 100, 99 + cells.len(), load), None, "beyond the end");
                assert_eq!(read(4, 100, 100 + cells.len(), load), None, "another table");
                let moved = |at: usize| load(at - 2);
                assert_eq!(read(3, 102, 102 + cells.len(), moved), None, "another place");
            }
        }
    }

    #[test]
    fn every_flipped_bit_of_a_record_is_seen() {
        let entry = entry("orders", 7, &[("port", "8080"), ("k", &"x".repeat(1500))]);
        let cells = write(&entry, 3, 100);
        for bit in 0..cells.len() * 64 {
            let mut damaged = cells.clone();
            damaged[bit / 64] ^= 1 << (bit % 64);
            let load = |at: usize| damaged.get(at - 100).copied().unwrap_or(0);
            assert_eq!(read(3, 100, 100 + cells.len(), load), None, "bit {bit}");
            let name = proves(3, 100, &Sought::new("orders").unwrap(), load);
            let fixed = fixed(3, 100, 100 + cells.len(), load).is_some();
            assert_eq!(name && fixed, bit / 64 > NAME, "bit {bit}: what a look-up of a pid needs");
        }
    }
}
