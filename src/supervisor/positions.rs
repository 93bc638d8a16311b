//! A set of positions of a group's members, whose first and last element cost a few instructions however
//! large the group is. It says whose turn it is in a group that starts or stops one member at a time.
//!
//! Invariant: a bit of a level is set exactly when the word below it is not zero. It allocates only when it
//! grows.

/// A set of numbers below a length that may grow.
#[derive(Clone, Debug, Default)]
pub(super) struct Positions {
    /// `levels[0]` holds the positions; each further level one bit for each word below; the last is one word.
    levels: Vec<Vec<u64>>,
}

impl Positions {
    /// An empty set of positions below `len`.
    pub(super) fn new(len: usize) -> Positions {
        let mut levels = Vec::new();
        let mut words = len;
        while words > 0 {
            words = words.div_ceil(64);
            levels.push(vec![0; words]);
            if words == 1 {
                break;
            }
        }
        Positions { levels }
    }

    /// Makes room for positions below `len`.
    pub(super) fn reserve(&mut self, len: usize) {
        let room = self.levels.first().map_or(0, |words| words.len() * 64);
        if len <= room {
            return;
        }
        let mut larger = Positions::new(len.max(2 * room));
        let words = self.levels.first().into_iter().flatten();
        for (at, word) in words.enumerate().filter(|(_, word)| **word != 0) {
            let mut rest = *word;
            while rest != 0 {
                larger.insert(at * 64 + rest.trailing_zeros() as usize);
                rest &= rest - 1;
            }
        }
        *self = larger;
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) {
        self.levels.iter_mut().for_each(|level| level.fill(0));
    }

    /// Adds `position`, which must be below the length.
    pub(super) fn insert(&mut self, position: usize) {
        let mut at = position;
        for level in &mut self.levels {
            let word = &mut level[at / 64];
            let was = *word;
            *word |= 1 << (at % 64);
            if was != 0 {
                return;
            }
            at /= 64;
        }
    }

    /// Takes `position` out. True when it was in.
    pub(super) fn remove(&mut self, position: usize) -> bool {
        if !self.contains(position) {
            return false;
        }
        let mut at = position;
        for level in &mut self.levels {
            let word = &mut level[at / 64];
            *word &= !(1 << (at % 64));
            if *word != 0 {
                break;
            }
            at /= 64;
        }
        true
    }

    /// Whether `position` is in.
    pub(super) fn contains(&self, position: usize) -> bool {
        let word = self.levels.first().and_then(|level| level.get(position / 64));
        word.is_some_and(|word| (word >> (position % 64)) & 1 == 1)
    }

    /// The smallest position that is in.
    pub(super) fn first(&self) -> Option<usize> {
        self.descend(|word| word.trailing_zeros())
    }

    /// The greatest position that is in.
    pub(super) fn last(&self) -> Option<usize> {
        self.descend(|word| 63 - word.leading_zeros())
    }

    /// Follows one set bit of each level, from the top to a position.
    fn descend(&self, choose: impl Fn(u64) -> u32) -> Option<usize> {
        let mut at = 0;
        for level in self.levels.iter().rev() {
            let word = level[at];
            if word == 0 {
                return None;
            }
            at = at * 64 + choose(word) as usize;
        }
        if self.levels.is_empty() { None } else { Some(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_agrees_with_an_ordered_set() {
        for len in [1, 63, 64, 65, 4096, 4097, 20_000] {
            let mut positions = Positions::new(len);
            let mut plain = BTreeSet::new();
            let mut random = 7_u64;
            for _ in 0..2000 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let position = (random >> 33) as usize % len;
                if (random >> 32) & 1 == 0 {
                    positions.insert(position);
                    plain.insert(position);
                } else {
                    assert_eq!(positions.remove(position), plain.remove(&position));
                }
                assert_eq!(positions.first(), plain.first().copied());
                assert_eq!(positions.last(), plain.last().copied());
                assert_eq!(positions.contains(position), plain.contains(&position));
            }
        }
    }

    #[test]
    fn what_is_in_stays_in_when_it_grows() {
        let mut positions = Positions::new(0);
        for position in [0, 63, 64, 500, 4095, 4096, 70_000] {
            positions.reserve(position + 1);
            positions.insert(position);
        }
        for expected in [0, 63, 64, 500, 4095, 4096, 70_000] {
            assert_eq!(positions.first(), Some(expected));
            assert!(positions.remove(expected));
        }
        assert_eq!(positions.last(), None);
    }

    #[test]
    fn a_set_of_nothing_is_empty() {
        let mut none = Positions::new(0);
        assert_eq!((none.first(), none.last(), none.contains(0), none.remove(0)), (None, None, false, false));
    }
}
