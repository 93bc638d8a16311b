//! Percentages, bucketing version 1: which position of 100,000 an id has under a salt.
//!
//! `position = (murmur3_32(CBOR [salt, id]) * 100_000) >> 32`; a flag is on when `position < share`. The
//! part of the hash that depends on the salt only is computed once, in [`Prefix`]. The hash is written
//! out here, and compared with the crate `murmur3` in the tests: that one reads its input through
//! `io::Read` four bytes at a time, which costs more than a whole read may (15 ns).
//!
//! This never changes: a later version would get a number and leave flags of this one alone.

use super::name::{NAME_MAX, Packed};
use super::text::WHOLE;

/// The version described here, as the board stores it beside the name.
pub const BUCKETING: u8 = 1;

/// The longest id in bytes; the shortest has one.
pub const ID_MAX: usize = 1024;

/// The hash of everything before the id: state (32 bits), up to three bytes that wait for a fourth
/// (24 bits), bytes hashed so far (8 bits). One word, so that a handle changes it in one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix(u64);

impl Prefix {
    /// Begins the hash of `[salt, …]`; `None` when the salt has more than [`NAME_MAX`] bytes.
    pub fn new(salt: &str) -> Option<Prefix> {
        Packed::new(salt).map(|salt| Prefix::of(&salt))
    }

    /// Begins the hash of `[salt, …]`.
    pub fn of(salt: &Packed) -> Prefix {
        let mut bytes = [0; NAME_MAX];
        let bytes = salt.copy_to(&mut bytes);
        let mut hash = Hash { state: 0, waiting: 0x82, waiting_bytes: 1, length: 1 };
        hash.text(bytes);
        Prefix(u64::from(hash.state) | hash.waiting << 32 | u64::from(hash.length) << 56)
    }

    /// As a word, for a handle.
    pub(crate) const fn to_bits(self) -> u64 {
        self.0
    }

    /// From [`Prefix::to_bits`].
    pub(crate) const fn from_bits(bits: u64) -> Prefix {
        Prefix(bits)
    }

    /// The position of `id`, 0 to 99,999; `None` when the id is empty or longer than [`ID_MAX`].
    #[inline]
    pub fn position(self, id: &str) -> Option<u32> {
        self.hash(id).map(position_of)
    }

    /// The hash of `id`, `h` in the contract; `None` when the id is empty or longer than [`ID_MAX`].
    #[inline]
    pub fn hash(self, id: &str) -> Option<u32> {
        if id.is_empty() || id.len() > ID_MAX {
            return None;
        }
        let length = (self.0 >> 56) as u32;
        let mut hash = Hash {
            state: self.0 as u32,
            waiting: self.0 >> 32 & 0xff_ffff,
            waiting_bytes: length % 4,
            length,
        };
        hash.text(id.as_bytes());
        Some(hash.finish())
    }
}

/// The position that a hash means, 0 to 99,999.
#[inline]
pub const fn position_of(hash: u32) -> u32 {
    ((hash as u64 * WHOLE as u64) >> 32) as u32
}

/// MurmurHash3 x86 32-bit, seed 0, fed in pieces.
struct Hash {
    state: u32,
    /// Bytes that are not hashed yet, the first lowest; fewer than four between calls.
    waiting: u64,
    waiting_bytes: u32,
    length: u32,
}

impl Hash {
    /// A CBOR text string: its header, then its bytes.
    #[inline]
    fn text(&mut self, bytes: &[u8]) {
        let n = bytes.len() as u64;
        match n {
            0..24 => self.few(0x60 + n, 1),
            24..256 => self.few(0x78 | n << 8, 2),
            _ => self.few(0x79 | (n >> 8) << 8 | (n & 0xff) << 16, 3),
        }
        let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) else {
            let few = bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            return self.few(few, bytes.len() as u32);
        };
        // What waits is filled up once, so that all blocks after it are loads of four bytes as they stand.
        let (shift, taken) = (8 * self.waiting_bytes, 4 - self.waiting_bytes as usize);
        self.waiting |= u64::from(u32::from_le_bytes(*first)) << shift;
        self.block();
        let (words, rest) = bytes.get(taken..).unwrap_or_default().as_chunks::<4>();
        for word in words {
            self.waiting = u32::from_le_bytes(*word).into();
            self.block();
        }
        // The last bytes, of a load that begins before them.
        self.waiting = u64::from(u32::from_le_bytes(*last)) >> (8 * (4 - rest.len()));
        self.waiting_bytes = rest.len() as u32;
        self.length += n as u32;
    }

    /// The lowest `count` bytes of `bytes`: three at most.
    #[inline]
    fn few(&mut self, bytes: u64, count: u32) {
        self.waiting |= bytes << (8 * self.waiting_bytes);
        self.waiting_bytes += count;
        self.length += count;
        if self.waiting_bytes >= 4 {
            self.block();
            self.waiting_bytes -= 4;
        }
    }

    /// Hashes the four bytes that wait.
    #[inline]
    fn block(&mut self) {
        self.state ^= scramble(self.waiting as u32);
        self.state = self.state.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
        self.waiting >>= 32;
    }

    #[inline]
    fn finish(self) -> u32 {
        // Zero bytes of `waiting` scramble to zero, so no case distinction is needed.
        let mut h = self.state ^ scramble(self.waiting as u32) ^ self.length;
        h = (h ^ h >> 16).wrapping_mul(0x85eb_ca6b);
        h = (h ^ h >> 13).wrapping_mul(0xc2b2_ae35);
        h ^ h >> 16
    }
}

#[inline]
fn scramble(k: u32) -> u32 {
    k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

#[cfg(test)]
mod tests {
    use super::super::{Truth, Value};
    use super::*;
    use proptest::prelude::*;

    fn position(salt: &str, id: &str) -> u32 {
        Prefix::new(salt).unwrap().position(id).unwrap()
    }

    #[test]
    fn the_table_of_positions_holds() {
        let salts = ["s".repeat(30)];
        let ids = ["i".repeat(300)];
        let table = [
            ("new_checkout", "user:1", 0x3065_a36f, 18905),
            ("new_checkout", "user:2", 0xa34b_8b09, 63787),
            ("new_checkout", "user:1234567", 0xfa51_3711, 97780),
            ("a", "b", 0x5430_c10f, 32886),
            ("ab", "c", 0x5b80_7cea, 35742),
            ("a", "bc", 0x088b_c1b7, 3338),
            ("drapeau-é", "utilisateur-ü", 0xcf70_3582, 81030),
            (&salts[0], &ids[0], 0x97b8_f99e, 59266),
        ];
        for (salt, id, hash, expected) in table {
            assert_eq!(reference(salt, id), hash, "{salt}, {id}");
            assert_eq!(position(salt, id), expected, "{salt}, {id}");
        }
    }

    #[test]
    fn an_id_has_one_to_1024_bytes() {
        let prefix = Prefix::new("x").unwrap();
        assert_eq!(prefix.position(""), None);
        assert_eq!(prefix.position(&"i".repeat(1025)), None);
        assert!(prefix.position(&"i".repeat(1024)).is_some());
        assert_eq!(Prefix::new(&"s".repeat(129)), None);
    }

    /// The same hash by the crate, over the whole input.
    fn reference(salt: &str, id: &str) -> u32 {
        let mut cbor = vec![0x82];
        for text in [salt, id] {
            match text.len() {
                n @ 0..24 => cbor.push(0x60 + n as u8),
                n @ 24..256 => cbor.extend([0x78, n as u8]),
                n => cbor.extend([0x79, (n >> 8) as u8, n as u8]),
            }
            cbor.extend(text.as_bytes());
        }
        murmur3::murmur3_32(&mut cbor.as_slice(), 0).unwrap()
    }

    #[test]
    fn every_length_of_salt_and_id_hashes_as_the_crate_does() {
        for salt in 0..=NAME_MAX {
            for id in (1..=40).chain(250..=260).chain([1023, 1024]) {
                let (salt, id) = ("é".repeat(salt / 2) + &"s".repeat(salt % 2), "i".repeat(id));
                let expected = ((u64::from(reference(&salt, &id)) * 100_000) >> 32) as u32;
                assert_eq!(position(&salt, &id), expected, "{salt}, {id}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_salt_and_id_hash_as_the_crate_does(salt in ".{0,32}", id in ".{1,256}") {
            let expected = ((u64::from(reference(&salt, &id)) * 100_000) >> 32) as u32;
            prop_assert_eq!(position(&salt, &id), expected);
        }

        #[test]
        fn raising_a_share_keeps_everybody_who_is_in(id in ".{1,40}", low in 1..WHOLE, more in 0..WHOLE) {
            let prefix = Prefix::new("flag").unwrap();
            let on = |share| Truth::from(Value::of_share(share)).is_on_for(prefix, &id).unwrap();
            prop_assert!(!on(low) || on((low + more).min(WHOLE)));
            prop_assert!(on(WHOLE) && !on(0));
        }
    }
}
