//! What proves more than one cell: checks over runs of cells, and the hash of a name.
//!
//! Sums of products with odd factors: a changed bit always changes the sum, and one multiplication a cell is all
//! that a read by name can afford.

use crate::flags::{ID_MAX, Seal, mix};

/// Cells that a check covers at most: a head, and the bytes of the longest id.
const LONGEST: usize = 1 + ID_MAX / 8;

/// Multipliers of [`check`] and of the hash of a name: odd, so that no change of one cell cancels out.
pub(crate) const FACTORS: [u64; LONGEST] = {
    let mut factors = [0; LONGEST];
    let mut at = 0;
    while at < LONGEST {
        factors[at] = mix((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1;
        at += 1;
    }
    factors
};

/// The check of some cells that begin at `cell` of a board; of 129 at most.
#[inline]
pub(crate) fn check(incarnation: u64, cell: usize, cells: &[u64]) -> u64 {
    let sum = |sum: u64, (cell, factor): (&u64, &u64)| sum.wrapping_add(cell.wrapping_mul(*factor));
    mix(cells.iter().zip(&FACTORS).fold(Seal::new(incarnation, cell).to_bits(), sum))
}

/// The hash of a flag's name, as the index and black boxes have it; `None` when no flag can have the name.
pub fn name_hash(name: &str) -> Option<u64> {
    Sought::new(name).map(|name| name.hash())
}

/// A name that is looked for: its bytes, as cells without a copy, and its hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought<'a> {
    bytes: &'a [u8],
    hash: u64,
}

impl<'a> Sought<'a> {
    /// `None` when no flag can have it: it has more than 128 bytes. (What has none, or other characters, is in no index.)
    #[inline]
    pub(crate) fn new(name: &'a str) -> Option<Sought<'a>> {
        let bytes = name.as_bytes();
        if bytes.len() > crate::flags::NAME_MAX {
            return None;
        }
        let mut sum = bytes.len() as u64;
        let (whole, rest) = bytes.as_chunks::<8>();
        for (chunk, factor) in whole.iter().zip(&FACTORS) {
            sum = sum.wrapping_add(u64::from_le_bytes(*chunk).wrapping_mul(*factor));
        }
        if !rest.is_empty() {
            sum = sum.wrapping_add(last_cell(bytes, rest).wrapping_mul(FACTORS[whole.len()]));
        }
        Some(Sought { bytes, hash: mix(sum) })
    }

    /// Where in the index it is looked for (lower bits), and its tag (the upper 12 bits).
    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// How many bytes.
    #[inline]
    pub(crate) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Are these its cells? `load` gives the cells of a name record's name.
    #[inline]
    pub(crate) fn is(&self, load: impl Fn(usize) -> u64) -> bool {
        let (whole, rest) = self.bytes.as_chunks::<8>();
        let same = whole.iter().enumerate().all(|(at, chunk)| load(at) == u64::from_le_bytes(*chunk));
        same && (rest.is_empty() || load(whole.len()) == last_cell(self.bytes, rest))
    }

    /// As text.
    pub(crate) fn text(&self) -> &'a str {
        // It was made from one.
        str::from_utf8(self.bytes).unwrap_or_default()
    }
}

/// The cell of the last one to seven bytes of `bytes`, which `rest` are.
#[inline]
fn last_cell(bytes: &[u8], rest: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        // One load of eight, of which the first were in the cell before.
        Some(last) => u64::from_le_bytes(*last) >> (8 * (8 - rest.len())),
        None => rest.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Packed;

    #[test]
    fn a_sought_name_has_the_cells_of_a_packed_one() {
        for length in 0..=128 {
            let text: String = ('a'..='z').cycle().skip(length % 7).take(length).collect();
            let (sought, packed) = (Sought::new(&text).unwrap(), Packed::new(&text).unwrap());
            assert_eq!((sought.text(), sought.length()), (text.as_str(), length));
            assert!(sought.is(|at| packed.cell(at)));
            let sum = |sum: u64, (cell, factor): (&u64, &u64)| sum.wrapping_add(cell.wrapping_mul(*factor));
            let hash = mix(packed.used().iter().zip(&FACTORS).fold(length as u64, sum));
            assert_eq!(sought.hash(), hash, "{length}");
            for at in 0..packed.used().len() {
                let other = |cell| packed.cell(cell) ^ u64::from(cell == at);
                assert!(!sought.is(other), "{length}, cell {at}");
            }
        }
        assert!(Sought::new(&"x".repeat(129)).is_none());
    }

    #[test]
    fn names_that_differ_hash_apart() {
        let hash = |n: u32| Sought::new(&format!("flag-{n}")).unwrap().hash();
        let hashes: std::collections::HashSet<u64> = (0..100_000).map(hash).collect();
        assert_eq!(hashes.len(), 100_000);
    }
}
