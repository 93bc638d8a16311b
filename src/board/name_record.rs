//! The record of one slot: whose it is, what stands in the hash before an id, and which record of lists or stages
//! belongs to it. Written once.

use super::layout::{NAME_RECORD, WORDS};
use crate::flags::{BUCKETING, Cell, NAME_CELLS, NAME_MAX, Name, Packed, Prefix, Seal};
use crate::mapped::proof::{Sought, check};

// Cells within a record.
const PROOF: usize = 0;
/// The lengths; body 0 where no flag was ever.
pub(super) const LENGTHS: usize = 1;
const NAME: usize = 2;
const SALT: usize = NAME + NAME_CELLS;
const REFERENCE: usize = SALT + NAME_CELLS;
const CHECK: usize = REFERENCE + 1;

const _: () = assert!(CHECK + 1 == NAME_RECORD);

/// What a name record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameRecord {
    /// The flag's name. (The writer checked what names may hold; the record's check proves the rest.)
    pub(super) name: Packed,
    /// What stands in the hash before an id; `None`: the name.
    pub(super) salt: Option<Packed>,
    /// The version of the bucketing.
    pub(super) bucketing: u8,
    /// The cell of its lists or names of stages; 0: none.
    pub(super) reference: Cell,
}

impl NameRecord {
    /// For a flag named `name`; `None` when the salt is too long.
    pub(super) fn new(name: Name, salt: &str, reference: Cell) -> Option<NameRecord> {
        let salt = Packed::new(salt)?;
        let salt = (salt != *name.packed() && salt.length() > 0).then_some(salt);
        Some(NameRecord { name: *name.packed(), salt, bucketing: BUCKETING, reference })
    }

    /// Its cells at `cell` of the board, as that of `slot`.
    pub(super) fn to_cells(self, incarnation: u64, cell: usize, slot: usize) -> [u64; NAME_RECORD] {
        let name = &self.name;
        let salt_length = self.salt.map_or(0, |salt| salt.length());
        let body = u32::from(name.length()) | u32::from(salt_length) << 8 | u32::from(self.bucketing) << 16;
        let mut buffer = [0; NAME_MAX];
        let text = str::from_utf8(name.copy_to(&mut buffer)).unwrap_or_default();
        let mut cells = [0; NAME_RECORD];
        cells[PROOF] = Sought::new(text).map_or(0, |name| proof(incarnation, slot, &name));
        cells[LENGTHS] = Seal::new(incarnation, cell + LENGTHS).close(body);
        cells[NAME..][..name.used().len()].copy_from_slice(name.used());
        if let Some(salt) = &self.salt {
            cells[SALT..][..salt.used().len()].copy_from_slice(salt.used());
        }
        cells[REFERENCE] = Seal::new(incarnation, cell + REFERENCE).close(self.reference);
        cells[CHECK] = check(incarnation, cell, &cells[..CHECK]);
        cells
    }

    /// The record at `cell`, read word by word through `load`; `None` when its check fails.
    ///
    /// Only the cells that its lengths say are used are loaded; the others count as the zeros that were
    /// written there.
    pub(super) fn read(incarnation: u64, cell: usize, load: impl Fn(usize) -> u64) -> Option<NameRecord> {
        let lengths = load(cell + LENGTHS);
        let reference = load(cell + REFERENCE);
        let body = Seal::new(incarnation, cell + LENGTHS).open(lengths)?;
        let [name_length, salt_length, bucketing, zero] = body.to_le_bytes();
        let mut cells = [0; CHECK];
        (cells[PROOF], cells[LENGTHS], cells[REFERENCE]) = (load(cell + PROOF), lengths, reference);
        let mut text = |length: u8, from: usize| {
            let used = ..usize::from(length).div_ceil(8);
            let part = cells[from..from + NAME_CELLS].get_mut(used)?;
            part.iter_mut().enumerate().for_each(|(at, place)| *place = load(cell + from + at));
            Packed::from_cells(length, *cells[from..].first_chunk()?)
        };
        let name = text(name_length, NAME)?;
        let salt = if salt_length == 0 { None } else { Some(text(salt_length, SALT)?) };
        let proven =
            check(incarnation, cell, &cells) == load(cell + CHECK) && zero == 0 && bucketing == BUCKETING;
        let reference = Seal::new(incarnation, cell + REFERENCE).open(reference).filter(|_| proven)?;
        Some(NameRecord { name, salt, bucketing, reference })
    }

    /// Is `name` the name in the record at `cell`, which `slot` has, whose word is sealed by `word`? `None` when the
    /// record does not prove itself.
    ///
    /// Cheap when it is: the proof is computed from the name that is looked for, so damage cannot make it right, and
    /// neither can another name's record, nor this one in another place or board. Only what does not match is read
    /// and checked as a whole, to tell another flag from damage.
    #[inline]
    pub(super) fn holds(
        incarnation: u64,
        cell: usize,
        word: Seal,
        name: &Sought<'_>,
        load: impl Fn(usize) -> u64,
    ) -> Option<bool> {
        if NameRecord::proves(cell, word, name, &load) {
            return Some(true);
        }
        NameRecord::holds_otherwise(incarnation, cell, name, load)
    }

    /// Does the record at `cell` prove that `name` is the name of the slot whose word is sealed by `word`? False says
    /// nothing: it may be another flag's, or damaged.
    #[inline]
    pub(super) fn proves(cell: usize, word: Seal, name: &Sought<'_>, load: impl Fn(usize) -> u64) -> bool {
        let proof = name.hash().wrapping_add(word.to_bits());
        load(cell + PROOF) == proof && name.is(|at| load(cell + NAME + at))
    }

    #[cold]
    #[inline(never)]
    fn holds_otherwise(
        incarnation: u64,
        cell: usize,
        name: &Sought<'_>,
        load: impl Fn(usize) -> u64,
    ) -> Option<bool> {
        let record = NameRecord::read(incarnation, cell, load)?;
        let other = usize::from(record.name.length()) != name.length() || !name.is(|at| record.name.cell(at));
        // Its own name without its proof: the proof is damaged.
        other.then_some(false)
    }

    /// The part of the hash that comes before an id.
    pub(super) fn prefix(&self) -> Prefix {
        Prefix::of(self.salt.as_ref().unwrap_or(&self.name))
    }
}

/// What proves that `slot` has this name.
fn proof(incarnation: u64, slot: usize, name: &Sought<'_>) -> u64 {
    name.hash().wrapping_add(Seal::new(incarnation, WORDS + slot).to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b2_every_flipped_bit_of_a_name_record_is_seen() {
        let name = "new-checkout";
        let record = NameRecord::new(Name::new(name).unwrap(), "salt of its own", 4711).unwrap();
        let cells = record.to_cells(7, 100, 3);
        let read = |cells: [u64; NAME_RECORD], at| NameRecord::read(7, at, |cell| cells[cell - at]);
        assert_eq!(read(cells, 100), Some(record));
        assert_eq!(read(cells, 136), None, "a record in another place is none");
        let holds_in = |slot: usize, cells: [u64; NAME_RECORD], name: &str| {
            let (word, name) = (Seal::new(7, WORDS + slot), Sought::new(name).unwrap());
            NameRecord::holds(7, 100, word, &name, |cell| cells[cell - 100])
        };
        let holds = |cells, name: &str| holds_in(3, cells, name);
        assert_eq!(holds(cells, name), Some(true));
        assert_eq!(holds_in(4, cells, name), None, "a record of another slot is none");
        for other in ["new-checkou", "new-checkout2", "new-checkoux", "n", "x".repeat(128).as_str()] {
            assert_eq!(holds(cells, other), Some(false), "{other}");
        }
        for bit in 0..NAME_RECORD * 64 {
            let mut damaged = cells;
            damaged[bit / 64] ^= 1 << (bit % 64);
            // Of a name of two cells and a salt of two.
            let unused = matches!(bit / 64, 4..18 | 20..34);
            assert_eq!(read(damaged, 100).is_some(), unused, "bit {bit}");
            // The proof and the name are all that a search needs.
            let needed = matches!(bit / 64, 0 | 2 | 3);
            assert_eq!(holds(damaged, name), (!needed).then_some(true), "bit {bit}");
            assert_eq!(holds(damaged, "other"), unused.then_some(false), "bit {bit}");
        }
    }

    /// Version 2 summed cells times factors: of the pairs of changes that such a sum forgets, none may be believed.
    #[test]
    fn b2_changes_in_the_upper_bytes_of_two_cells_of_a_name_record_are_seen() {
        let record = NameRecord::new(Name::new("new-checkout").unwrap(), "salt of its own", 4711).unwrap();
        let cells = record.to_cells(7, 100, 3);
        let places = [PROOF, LENGTHS, NAME, NAME + 1, SALT, SALT + 1, REFERENCE, CHECK];
        for (one, other) in
            places.iter().enumerate().flat_map(|(n, one)| places[..n].iter().map(move |two| (*one, *two)))
        {
            for damage in (0..1u64 << 16).step_by(7).filter(|damage| damage & 0xff != 0 && damage >> 8 != 0) {
                let mut damaged = cells;
                damaged[one] ^= damage << 56;
                damaged[other] ^= damage >> 8 << 56;
                let read = NameRecord::read(7, 100, |cell| damaged[cell - 100]);
                assert_eq!(read, None, "{damage:#x} in {one} and {other}");
            }
        }
    }

    #[test]
    fn a_name_that_damage_made_is_not_believed() {
        let record = NameRecord::new(Name::new("flag-1").unwrap(), "", 0).unwrap();
        let mut cells = record.to_cells(7, 100, 3);
        // `flag-1` becomes `flag-3` by one bit.
        cells[NAME] ^= 2 << 40;
        for name in ["flag-1", "flag-3"] {
            let sought = Sought::new(name).unwrap();
            let word = Seal::new(7, WORDS + 3);
            assert_eq!(NameRecord::holds(7, 100, word, &sought, |cell| cells[cell - 100]), None, "{name}");
        }
    }
}
