//! Records in the arena: values that are wider than a word, lists of ids, instances, names of stages.
//!
//! A record is written before what leads to it, and never changes. Whoever reads takes every number in it as hostile:
//! each cell proves itself or is covered by a check, and each place is bounded. `None` means lost, always.

use super::layout::Layout;
use crate::flags::{Cell, ID_MAX, NAME_CELLS, Packed, Seal, WHOLE};
use crate::mapped::proof::{Prover, check};

/// What a record is: the upper four bits of its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Int = 4,
    Text = 5,
    Instances = 6,
    Lists = 7,
    Stages = 8,
    /// An id, or the name of a stage.
    String = 9,
}

const TYPE: u32 = 28;
const LENGTH: u32 = (1 << TYPE) - 1;

impl Type {
    const fn head(self, length: u32) -> u32 {
        (self as u32) << TYPE | length & LENGTH
    }
}

/// In which list an id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    Denied,
    Allowed,
    No,
}

/// The arena of one board, for reading.
#[derive(Clone, Copy)]
pub(super) struct Arena<Load> {
    incarnation: u64,
    layout: Layout,
    load: Load,
}

impl<Load: Fn(usize) -> u64> Arena<Load> {
    pub(super) fn new(incarnation: u64, layout: Layout, load: Load) -> Arena<Load> {
        Arena { incarnation, layout, load }
    }

    /// The body of a sealed cell.
    #[inline]
    fn open(&self, cell: usize) -> Option<u32> {
        Seal::new(self.incarnation, cell).open((self.load)(cell))
    }

    /// The length in the head of a record of this type.
    #[inline]
    fn head(&self, at: usize, kind: Type) -> Option<usize> {
        if !self.layout.holds(at, 1) {
            return None;
        }
        let head = self.open(at)?;
        (head >> TYPE == kind as u32).then_some((head & LENGTH) as usize)
    }

    /// The bytes of a record, given cell by cell to `each`; says how many bytes.
    #[inline]
    fn bytes(&self, at: Cell, kind: Type, most: usize, mut each: impl FnMut(usize, u64)) -> Option<usize> {
        let at = at as usize;
        let length = self.head(at, kind)?;
        let cells = length.div_ceil(8);
        if length > most || !self.layout.holds(at, cells + 2) {
            return None;
        }
        let seal = Seal::new(self.incarnation, at);
        let mut prover = Prover::new(seal.to_bits());
        let mut waiting = Some(seal.close(kind.head(length as u32)));
        for cell in 0..cells {
            let word = (self.load)(at + 1 + cell);
            match waiting.take() {
                Some(before) => prover.pair(before, word),
                None => waiting = Some(word),
            }
            each(cell, word);
        }
        if let Some(last) = waiting {
            prover.last(last);
        }
        (prover.finish() == (self.load)(at + 1 + cells)).then_some(length)
    }

    pub(super) fn int(&self, at: Cell) -> Option<i64> {
        let mut number = 0;
        let length = self.bytes(at, Type::Int, 8, |_, word| number = word as i64)?;
        (length == 8).then_some(number)
    }

    pub(super) fn text(&self, at: Cell) -> Option<Packed> {
        self.packed(at, Type::Text)
    }

    fn packed(&self, at: Cell, kind: Type) -> Option<Packed> {
        let mut cells = [0; NAME_CELLS];
        let length = self.bytes(at, kind, 8 * NAME_CELLS, |cell, word| cells[cell] = word)?;
        Packed::from_cells(u8::try_from(length).ok()?, cells)
    }

    fn string_is(&self, at: Cell, text: &str) -> Option<bool> {
        let bytes = text.as_bytes();
        let mut same = true;
        let length = self.bytes(at, Type::String, ID_MAX, |cell, word| {
            let from = (8 * cell).min(bytes.len());
            let mut part = [0; 8];
            let some = &bytes[from..(from + 8).min(bytes.len())];
            part[..some.len()].copy_from_slice(some);
            same &= u64::from_le_bytes(part) == word;
        })?;
        Some(same && length == bytes.len())
    }

    /// The share of a flag that is on for some instances.
    pub(super) fn share(&self, at: Cell) -> Option<u32> {
        let at = at as usize;
        let count = self.head(at, Type::Instances)?;
        let share = if self.layout.holds(at, 2 + count) { self.open(at + 1)? } else { return None };
        (share > 0 && share < WHOLE).then_some(share)
    }

    /// Is the instance whose name hashes to this one of those that are on?
    pub(super) fn has_instance(&self, at: Cell, hash: u32) -> Option<bool> {
        let at = at as usize;
        let count = self.head(at, Type::Instances)?;
        if !self.layout.holds(at, 2 + count) {
            return None;
        }
        let first = self.first_not_below(hash, count, |n| at + 2 + n)?;
        Some(first < count && self.open(at + 2 + first)? == hash)
    }

    /// The hashes of the instances that are on, ascending. For copies only: it allocates.
    pub(super) fn instances(&self, at: Cell) -> Option<Vec<u32>> {
        let at = at as usize;
        let count = self.head(at, Type::Instances)?;
        if !self.layout.holds(at, 2 + count) {
            return None;
        }
        let hashes: Vec<u32> = (0..count).map(|n| self.open(at + 2 + n)).collect::<Option<_>>()?;
        hashes.is_sorted().then_some(hashes)
    }

    /// In which of the flag's lists is this id, of this hash?
    pub(super) fn listed(&self, at: Cell, id: &str, hash: u32) -> Option<Listed> {
        let [denied, allowed] = self.lists(at)?;
        for (list, (from, count)) in [(Listed::Denied, denied), (Listed::Allowed, allowed)] {
            let mut n = self.first_not_below(hash, count, |n| from + 2 * n)?;
            while n < count && self.open(from + 2 * n)? == hash {
                if self.string_is(self.open(from + 2 * n + 1)?, id)? {
                    return Some(list);
                }
                n += 1;
            }
        }
        Some(Listed::No)
    }

    /// Where the denied and the allowed begin, and how many there are.
    fn lists(&self, at: Cell) -> Option<[(usize, usize); 2]> {
        let at = at as usize;
        let counts = self.head(at, Type::Lists)?;
        let (allowed, denied) = (counts & 0xff, counts >> 8);
        if denied > 0xff || !self.layout.holds(at, 1 + 2 * (denied + allowed)) {
            return None;
        }
        Some([(at + 1, denied), (at + 1 + 2 * denied, allowed)])
    }

    /// Every id of the lists: the denied, the allowed. For copies only: it allocates.
    pub(super) fn every_listed(&self, at: Cell) -> Option<[Vec<String>; 2]> {
        let [denied, allowed] = self.lists(at)?;
        let all = |(from, count): (usize, usize)| {
            (0..count).map(|n| self.string(self.open(from + 2 * n + 1)?)).collect::<Option<Vec<_>>>()
        };
        Some([all(denied)?, all(allowed)?])
    }

    fn string(&self, at: Cell) -> Option<String> {
        let mut bytes = Vec::new();
        let length = self.bytes(at, Type::String, ID_MAX, |_, word| bytes.extend(word.to_le_bytes()))?;
        bytes.truncate(length);
        String::from_utf8(bytes).ok()
    }

    /// How many stages there are.
    pub(super) fn stages(&self, at: Cell) -> Option<usize> {
        let count = self.head(at as usize, Type::Stages)?;
        self.layout.holds(at as usize, 1 + count).then_some(count)
    }

    /// The name of stage `stage`, from 1.
    pub(super) fn stage(&self, at: Cell, stage: u32) -> Option<Packed> {
        let stage = stage as usize;
        if stage == 0 || stage > self.stages(at)? {
            return None;
        }
        self.packed(self.open(at as usize + stage)?, Type::String)
    }

    /// Among `count` ascending bodies of sealed cells, the first that is not below `hash`; `count` when there is none.
    /// Bounded, whatever the cells hold.
    fn first_not_below(&self, hash: u32, count: usize, cell: impl Fn(usize) -> usize) -> Option<usize> {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.open(cell(middle))? < hash { low = middle + 1 } else { high = middle }
        }
        Some(low)
    }
}

// --- the writer's side -----------------------------------------------------------------------------------

/// Cells of a record of so many bytes.
pub(super) const fn cells_of_bytes(length: usize) -> usize {
    2 + length.div_ceil(8)
}

/// A number's record at `cell`.
pub(super) fn int_at(incarnation: u64, cell: usize, number: i64) -> Vec<u64> {
    bytes_at(incarnation, cell, Type::Int, &number.to_le_bytes())
}

/// A text's record at `cell`.
pub(super) fn text_at(incarnation: u64, cell: usize, text: &Packed) -> Vec<u64> {
    bytes_at(incarnation, cell, Type::Text, text.copy_to(&mut [0; 8 * NAME_CELLS]))
}

/// The record of an id, or of a stage's name, at `cell`.
pub(super) fn string_at(incarnation: u64, cell: usize, text: &str) -> Vec<u64> {
    bytes_at(incarnation, cell, Type::String, text.as_bytes())
}

fn bytes_at(incarnation: u64, cell: usize, kind: Type, bytes: &[u8]) -> Vec<u64> {
    let mut cells = vec![Seal::new(incarnation, cell).close(kind.head(bytes.len() as u32))];
    cells.extend(bytes.chunks(8).map(|chunk| {
        let mut whole = [0; 8];
        whole[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(whole)
    }));
    cells.push(check(incarnation, cell, &cells));
    cells
}

/// The record of the instances that are on, at `cell`. `hashes` ascend.
pub(super) fn instances_at(incarnation: u64, cell: usize, share: u32, hashes: &[u32]) -> Vec<u64> {
    let head = Type::Instances.head(hashes.len() as u32);
    table_at(incarnation, cell, head, [share].into_iter().chain(hashes.iter().copied()))
}

/// The record of lists, at `cell`: hash and cell of each id, ascending by hash.
pub(super) fn lists_at(
    incarnation: u64,
    cell: usize,
    denied: &[(u32, Cell)],
    allowed: &[(u32, Cell)],
) -> Vec<u64> {
    let head = Type::Lists.head((denied.len() as u32) << 8 | allowed.len() as u32);
    table_at(incarnation, cell, head, denied.iter().chain(allowed).flat_map(|(hash, at)| [*hash, *at]))
}

/// The record of the names of stages, at `cell`: where each is.
pub(super) fn stages_at(incarnation: u64, cell: usize, names: &[Cell]) -> Vec<u64> {
    table_at(incarnation, cell, Type::Stages.head(names.len() as u32), names.iter().copied())
}

fn table_at(incarnation: u64, cell: usize, head: u32, bodies: impl Iterator<Item = u32>) -> Vec<u64> {
    let sealed = |(at, body): (usize, u32)| Seal::new(incarnation, cell + at).close(body);
    [head].into_iter().chain(bodies).enumerate().map(sealed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::mix;
    use proptest::prelude::*;
    use std::cell::Cell as Counter;

    const BOARD: u64 = 0xfeed_beef;

    /// Records one behind the other in the arena of a small board.
    #[derive(Default)]
    struct Words(Vec<u64>);

    fn layout() -> Layout {
        Layout::of(64)
    }

    impl Words {
        fn push(&mut self, record: impl Fn(usize) -> Vec<u64>) -> Cell {
            let at = layout().arena + self.0.len();
            self.0.extend(record(at));
            at as Cell
        }

        fn arena(&self) -> Arena<impl Fn(usize) -> u64 + '_> {
            Arena::new(BOARD, layout(), |cell| self.0.get(cell - layout().arena).copied().unwrap_or(0))
        }
    }

    fn lists(denied: &[&str], allowed: &[&str]) -> (Words, Cell) {
        let mut words = Words::default();
        let mut list = |ids: &[&str]| {
            let mut list: Vec<(u32, Cell)> =
                ids.iter().map(|id| (hash(id), words.push(|at| string_at(BOARD, at, id)))).collect();
            list.sort_unstable();
            list
        };
        let (denied, allowed) = (list(denied), list(allowed));
        let at = words.push(|at| lists_at(BOARD, at, &denied, &allowed));
        (words, at)
    }

    /// Of few values, so that some are equal.
    fn hash(id: &str) -> u32 {
        id.len() as u32 % 5
    }

    #[test]
    fn nothing_outside_of_the_arena_is_even_read() {
        let arena = Arena::new(BOARD, layout(), |cell| -> u64 { panic!("cell {cell} is read") });
        let (first, end) = (layout().arena as Cell, (layout().bytes() / 8) as Cell);
        for at in [0, first - 1, end, end + 1, Cell::MAX] {
            assert_eq!((arena.int(at), arena.text(at), arena.string(at)), (None, None, None), "{at}");
            assert_eq!((arena.share(at), arena.has_instance(at, 1), arena.stages(at)), (None, None, None));
            assert!(arena.instances(at).is_none() && arena.listed(at, "id", 1).is_none());
        }
    }

    #[test]
    fn a_record_of_one_kind_is_none_of_another() {
        let (mut words, lists) = lists(&["a", "bc"], &["def"]);
        let names = ["one", "two"].map(|name| words.push(|at| string_at(BOARD, at, name)));
        let stages = words.push(|at| stages_at(BOARD, at, &names));
        let instances = words.push(|at| instances_at(BOARD, at, 500, &[7, 9]));
        let arena = words.arena();
        assert!(arena.listed(lists, "a", hash("a")).is_some() && arena.every_listed(lists).is_some());
        assert_eq!((arena.stages(stages), arena.share(instances)), (Some(2), Some(500)));
        for other in [stages, instances] {
            assert!(arena.listed(other, "a", hash("a")).is_none() && arena.every_listed(other).is_none());
        }
        for other in [lists, instances] {
            assert_eq!((arena.stages(other), arena.stage(other, 1)), (None, None));
        }
        for other in [lists, stages] {
            assert!(arena.share(other).is_none() && arena.has_instance(other, 7).is_none());
            assert!(arena.instances(other).is_none());
        }
    }

    #[test]
    fn every_record_comes_back() {
        let mut words = Words::default();
        let numbers = [0, -1, 1, i64::MIN, i64::MAX].map(|n| (n, words.push(|at| int_at(BOARD, at, n))));
        let texts: Vec<(Packed, Cell)> = (0..=128)
            .map(|length| Packed::new(&"é".repeat(length / 2)).unwrap())
            .map(|text| (text, words.push(|at| text_at(BOARD, at, &text))))
            .collect();
        let stage =
            ["registry", "telemetry", "enforce"].map(|name| words.push(|at| string_at(BOARD, at, name)));
        let stages = words.push(|at| stages_at(BOARD, at, &stage));
        let arena = words.arena();
        for (number, at) in numbers {
            assert_eq!(arena.int(at), Some(number));
            assert_eq!(arena.text(at), None, "a number is no text");
        }
        for (text, at) in texts {
            assert_eq!(arena.text(at), Some(text));
            assert_eq!((arena.int(at), arena.string(at)), (None, None));
        }
        assert_eq!(arena.stages(stages), Some(3));
        assert_eq!(arena.stage(stages, 2), Packed::new("telemetry"));
        assert_eq!((arena.stage(stages, 0), arena.stage(stages, 4)), (None, None));
    }

    #[test]
    fn an_id_is_in_a_list_by_its_bytes_and_denied_before_allowed() {
        let long = "i".repeat(1024);
        let (words, at) = lists(&["a", "abcdef", "b", &long], &["a", "other", "ghijkl"]);
        let arena = words.arena();
        let listed = |id: &str| arena.listed(at, id, hash(id));
        for id in ["a", "b", "abcdef", &long] {
            assert_eq!(listed(id), Some(Listed::Denied), "{id}");
        }
        for id in ["other", "ghijkl"] {
            assert_eq!(listed(id), Some(Listed::Allowed), "{id}");
        }
        // The same hash as many, and other bytes; a hash that nobody has.
        for id in ["c", "abcdeg", "xy", "abcdefghijk", ""] {
            assert_eq!(listed(id), Some(Listed::No), "{id}");
        }
        let [mut denied, mut allowed] = arena.every_listed(at).unwrap();
        denied.sort_unstable();
        allowed.sort_unstable();
        assert_eq!(denied, ["a", "abcdef", "b", &long]);
        assert_eq!(allowed, ["a", "ghijkl", "other"]);
    }

    #[test]
    fn instances_are_found_by_their_hashes() {
        let mut words = Words::default();
        let hashes: Vec<u32> = (0..1000).map(|n| n * 7 + 3).collect();
        let at = words.push(|at| instances_at(BOARD, at, 12_500, &hashes));
        let none = words.push(|at| instances_at(BOARD, at, 1, &[]));
        let arena = words.arena();
        assert_eq!((arena.share(at), arena.share(none)), (Some(12_500), Some(1)));
        for hash in (0..7100).chain([u32::MAX]) {
            assert_eq!(arena.has_instance(at, hash), Some(hashes.contains(&hash)), "{hash}");
            assert_eq!(arena.has_instance(none, hash), Some(false));
        }
        assert_eq!(arena.instances(at), Some(hashes));
    }

    #[test]
    fn b2_every_flipped_bit_of_a_record_is_seen_where_it_matters() {
        let mut words = Words::default();
        let int = words.push(|at| int_at(BOARD, at, -5));
        let text = words.push(|at| text_at(BOARD, at, &Packed::new("hello, world").unwrap()));
        let instances = words.push(|at| instances_at(BOARD, at, 500, &[1, 5, 9]));
        let name = words.push(|at| string_at(BOARD, at, "registry"));
        let stages = words.push(|at| stages_at(BOARD, at, &[name]));
        let before = words.0.len();
        let mut lost = [0; 5];
        for bit in 0..64 * before {
            words.0[bit / 64] ^= 1 << (bit % 64);
            let arena = words.arena();
            let all = [
                arena.int(int).map(|n| assert_eq!(n, -5)),
                arena.text(text).map(|t| assert_eq!(t.text().unwrap(), "hello, world")),
                arena.has_instance(instances, 5).map(|on| assert!(on)),
                arena.has_instance(instances, 6).map(|on| assert!(!on)),
                arena.stage(stages, 1).map(|s| assert_eq!(s.text().unwrap(), "registry")),
            ];
            all.iter().zip(&mut lost).for_each(|(read, lost)| *lost += usize::from(read.is_none()));
            drop(arena);
            words.0[bit / 64] ^= 1 << (bit % 64);
        }
        // Head, cells and check; of the instances the head and the cells of a binary search.
        assert_eq!(lost, [3 * 64, 4 * 64, 3 * 64, 3 * 64, 5 * 64]);
    }

    /// Version 2 summed cells times factors: of the pairs of changes that such a sum forgets, none may be believed.
    #[test]
    fn b2_changes_in_the_upper_bytes_of_two_cells_of_a_text_are_seen() {
        for text in ["hello, world!", "a cell, and one more, and a third"] {
            let mut words = Words::default();
            let at = words.push(|at| text_at(BOARD, at, &Packed::new(text).unwrap()));
            let cells = words.0.len() - 2;
            assert!(words.arena().text(at).is_some());
            for (one, other) in (1..=cells).flat_map(|one| (1..one).map(move |other| (one, other))) {
                for damage in (0..1u64 << 16).filter(|damage| damage & 0xff != 0 && damage >> 8 != 0) {
                    words.0[one] ^= damage << 56;
                    words.0[other] ^= damage >> 8 << 56;
                    assert_eq!(words.arena().text(at), None, "{damage:#x} in {one} and {other} of {cells}");
                    words.0[one] ^= damage << 56;
                    words.0[other] ^= damage >> 8 << 56;
                }
            }
        }
    }

    #[test]
    fn b7_whatever_the_arena_holds_a_read_ends_and_stays_within_it() {
        let layout = layout();
        for pattern in 0..4u64 {
            let most = Counter::new(0usize);
            let loads = Counter::new(0usize);
            let load = |cell: usize| {
                most.set(most.get().max(cell));
                loads.set(loads.get() + 1);
                // Sealed bodies, as a hostile writer could make them.
                let body = match pattern {
                    0 => mix(cell as u64) as u32,
                    1 => 7 << 28 | 0xffff,
                    2 => 6 << 28 | (layout.end - cell).saturating_sub(2) as u32,
                    _ => 9 << 28 | 1024,
                };
                Seal::new(BOARD, cell).close(body)
            };
            let arena = Arena::new(BOARD, layout, load);
            for at in (0..layout.end as u32 + 10).step_by(5).chain([layout.end as u32 - 1, u32::MAX]) {
                loads.set(0);
                let _ = (arena.int(at), arena.text(at), arena.share(at), arena.has_instance(at, 77));
                let _ = (arena.listed(at, "id", 77), arena.stage(at, 3), arena.stages(at));
                assert!(loads.get() < 70_000, "{} loads at {at}, pattern {pattern}", loads.get());
            }
            assert!(most.get() < layout.end, "cell {} of {}", most.get(), layout.end);
        }
    }

    proptest! {
        #[test]
        fn b2_random_cells_are_no_record(cells in proptest::collection::vec(any::<u64>(), 40)) {
            let words = Words(cells);
            let arena = words.arena();
            for at in 0..40 {
                let at = (layout().arena + at) as Cell;
                prop_assert!(arena.int(at).is_none() && arena.text(at).is_none());
                prop_assert!(arena.share(at).is_none() && arena.listed(at, "a", 1).is_none());
            }
        }
    }
}
