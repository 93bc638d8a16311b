//! What proves more than one cell: checks over runs of cells, and the hash of a name.
//!
//! Two cells at a time are multiplied, and both halves of the product count. A sum of each cell times a factor would be
//! cheaper by nothing and forget: what is changed in the upper byte of a cell changes only the upper byte of the sum, so
//! changes of two cells cancel out there once in 256 times. One more multiplication at the end spreads what is left over all bits, for
//! the index of names; it forgets nothing.

use crate::flags::{ID_MAX, Seal, mix};

/// Cells that are proven together at most: a head, and the bytes of the longest id.
const LONGEST: usize = 1 + ID_MAX / 8;

/// Keeps one cell's share apart from another's; the first is for where a record is.
pub(crate) const FACTORS: [u64; LONGEST + 2] = {
    let mut factors = [0; LONGEST + 2];
    let mut at = 0;
    while at < factors.len() {
        factors[at] = mix((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1;
        at += 1;
    }
    factors
};

/// Odd, so that no two sums become one.
const LAST_FACTOR: u64 = 0x94d0_49bb_1331_11eb;

/// What proves some cells, two at a time as they come; 129 at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prover {
    sum: u64,
    cells: usize,
}

impl Prover {
    /// Of a record that `start` tells from the same cells elsewhere.
    #[inline(always)]
    pub(crate) const fn new(start: u64) -> Prover {
        Prover { sum: start, cells: 0 }
    }

    /// The next two cells.
    #[inline(always)]
    pub(crate) const fn pair(&mut self, one: u64, other: u64) {
        let at = self.cells;
        let product = (one ^ FACTORS[at + 1]) as u128 * (other ^ FACTORS[at + 2]) as u128;
        self.sum = self.sum.wrapping_add(product as u64 ^ (product >> 64) as u64);
        self.cells += 2;
    }

    /// The last cell, when their number is odd.
    #[inline(always)]
    pub(crate) const fn last(&mut self, cell: u64) {
        self.sum = self.sum.wrapping_add(mix(cell ^ FACTORS[self.cells + 1]));
        self.cells += 1;
    }

    /// What proves them all.
    #[inline(always)]
    pub(crate) const fn finish(self) -> u64 {
        let sum = self.sum ^ self.cells as u64;
        (sum ^ sum >> 32).wrapping_mul(LAST_FACTOR)
    }
}

/// What proves these cells, 129 at most.
#[inline]
pub(crate) const fn prove(start: u64, cells: &[u64]) -> u64 {
    let mut prover = Prover::new(start);
    let mut at = 0;
    while at + 1 < cells.len() {
        prover.pair(cells[at], cells[at + 1]);
        at += 2;
    }
    if at < cells.len() {
        prover.last(cells[at]);
    }
    prover.finish()
}

/// The check of some cells that begin at `cell` of a board; of 129 at most.
#[inline]
pub(crate) fn check(incarnation: u64, cell: usize, cells: &[u64]) -> u64 {
    prove(Seal::new(incarnation, cell).to_bits(), cells)
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
        let mut prover = Prover::new(bytes.len() as u64);
        let (pairs, rest) = bytes.as_chunks::<16>();
        for pair in pairs {
            let pair = u128::from_le_bytes(*pair);
            prover.pair(pair as u64, (pair >> 64) as u64);
        }
        // A cell without a partner has one of zeros: `last` costs more.
        match rest.split_first_chunk::<8>() {
            Some((one, [])) => prover.pair(u64::from_le_bytes(*one), 0),
            Some((one, rest)) => prover.pair(u64::from_le_bytes(*one), last_cell(bytes, rest)),
            None if rest.is_empty() => {}
            None => prover.pair(last_cell(bytes, rest), 0),
        }
        Some(Sought { bytes, hash: prover.finish() })
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

/// One of the cells that text fills, the first byte lowest and zeros behind the last; 0 behind them.
#[inline(always)]
pub(crate) fn cell_of(text: &[u8], at: usize) -> u64 {
    match text.get(8 * at..) {
        None | Some([]) => 0,
        Some(rest) => match rest.first_chunk() {
            Some(whole) => u64::from_le_bytes(*whole),
            None => last_cell(text, rest),
        },
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
            (0..18).for_each(|at| {
                assert_eq!(cell_of(text.as_bytes(), at), packed.used().get(at).copied().unwrap_or(0));
            });
            let mut cells = packed.used().to_vec();
            cells.resize(cells.len().next_multiple_of(2), 0);
            assert_eq!(sought.hash(), prove(length as u64, &cells), "{length}");
            for at in 0..packed.used().len() {
                let other = |cell| packed.cell(cell) ^ u64::from(cell == at);
                assert!(!sought.is(other), "{length}, cell {at}");
            }
        }
        assert!(Sought::new(&"x".repeat(129)).is_none());
    }

    /// What was added to the upper bytes of two cells, so that a sum of cells times factors is what it was.
    fn forgotten_by_a_sum(one: usize, other: usize) -> impl Iterator<Item = (u64, u64)> {
        let cancels = move |(x, y): &(u64, u64)| {
            x.wrapping_mul(FACTORS[one]).wrapping_add(y.wrapping_mul(FACTORS[other])) << 56 == 0
        };
        (1..256).flat_map(|x| (1..256).map(move |y| (x, y))).filter(cancels)
    }

    #[test]
    fn b2_changes_in_the_upper_bytes_of_two_cells_do_not_cancel_out() {
        let cells = [0x4000_0008, 5, u64::from_le_bytes(*b"a string"), 0];
        for length in 2..=4 {
            let right = prove(77, &cells[..length]);
            for (one, other) in (0..length).flat_map(|one| (0..one).map(move |other| (one, other))) {
                for damage in (0..1u64 << 16).filter(|damage| damage & 0xff != 0 && damage >> 8 != 0) {
                    let mut damaged = cells;
                    damaged[one] ^= damage << 56;
                    damaged[other] ^= damage >> 8 << 56;
                    assert!(prove(77, &damaged[..length]) != right, "{damage:#x} in {one} and {other}");
                }
            }
        }
    }

    #[test]
    fn b2_what_a_sum_of_cells_times_factors_forgets_is_seen_in_a_run_of_any_length() {
        for length in [7, 15, 35, LONGEST] {
            let cells: Vec<u64> = (0..length as u64).map(|at| mix(at) | 1).collect();
            let right = prove(77, &cells);
            for other in 1..length {
                let one = (mix(other as u64) % other as u64) as usize;
                let mut forgotten = 0;
                for (x, y) in forgotten_by_a_sum(one, other) {
                    let mut damaged = cells.clone();
                    damaged[one] = damaged[one].wrapping_add(x << 56);
                    damaged[other] = damaged[other].wrapping_add(y << 56);
                    let sum = |cells: &[u64]| {
                        let products =
                            cells.iter().zip(&FACTORS).map(|(cell, factor)| cell.wrapping_mul(*factor));
                        products.fold(0u64, u64::wrapping_add)
                    };
                    assert_eq!(sum(&damaged), sum(&cells), "what the sum forgets");
                    assert_ne!(prove(77, &damaged), right, "{x} in {one} and {y} in {other} of {length}");
                    forgotten += 1;
                }
                assert_eq!(forgotten, 255, "of all 65,025 pairs");
            }
        }
    }

    /// Of 4096 names in 256 buckets: how far from evenly, as a multiple of what chance does.
    fn unevenness(names: &[String], bucket: impl Fn(u64) -> u64) -> f64 {
        let mut counts = [0f64; 256];
        for name in names {
            counts[bucket(Sought::new(name).unwrap().hash()) as usize] += 1.0;
        }
        let even = names.len() as f64 / 256.0;
        counts.iter().map(|count| (count - even).powi(2) / even).sum::<f64>() / 255.0
    }

    #[test]
    fn names_that_differ_by_a_number_spread_by_every_part_of_their_hash() {
        let patterns: [fn(u32) -> String; 6] = [
            |n| format!("{n}"),
            |n| format!("flag-{n}"),
            |n| format!("flag-number-{n}"),
            |n| format!("{n:08}-of-the-shop-in-the-north"),
            |n| format!("shop.{}.checkout.{}", n % 64, n / 64),
            |n| "x".repeat(n as usize % 100) + &n.to_string(),
        ];
        for pattern in patterns {
            let names: Vec<String> = (0..4096).map(pattern).collect();
            for shift in (0..=56).step_by(8) {
                let unevenness = unevenness(&names, |hash| hash >> shift & 255);
                assert!(unevenness < 1.5, "{}…, from bit {shift}: {unevenness}", names[1]);
            }
        }
    }

    #[test]
    fn names_that_differ_in_the_upper_bytes_of_two_cells_hash_apart() {
        let of = |one: u8, other: u8| {
            let mut name = *b"upload-?-of-the-shop-?";
            (name[7], name[15]) = (one, other);
            Sought::new(str::from_utf8(&name).unwrap()).unwrap().hash()
        };
        let bytes = || b' '..127;
        let hashes: std::collections::HashSet<u64> =
            bytes().flat_map(|one| bytes().map(move |other| of(one, other))).collect();
        assert_eq!(hashes.len(), 95 * 95);
    }

    #[test]
    fn names_that_differ_hash_apart() {
        // What docs/board.md says.
        assert_eq!(name_hash("new-checkout"), Some(0x0b1c_3f11_174b_2839));
        let hash = |n: u32| Sought::new(&format!("flag-{n}")).unwrap().hash();
        let hashes: std::collections::HashSet<u64> = (0..100_000).map(hash).collect();
        assert_eq!(hashes.len(), 100_000);
    }
}
