//! One record of a journal: length, checksum, body (J2).
//!
//! The checksum covers the epoch, the record's number, its length, the checksum before it and the body.
//! So a record is proven only at its very place in this very journal: neither a torn one, nor one that an
//! older journal left behind in recycled blocks, nor one after a gap is ever taken. Pure.

/// Length and checksum, little-endian, 4 bytes each.
pub(super) const HEAD: usize = 8;

/// The longest body: room for a change of every flag of a large board at once.
pub(super) const BODY_MAX: usize = 8 << 20;

/// Where in a journal the next record stands, and what it must continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    epoch: u64,
    number: u64,
    previous: u32,
}

impl Chain {
    /// Before the first record of the journal whose header has this checksum.
    pub(super) fn start(epoch: u64, header: u32) -> Chain {
        Chain { epoch, number: 0, previous: header }
    }

    /// How many records there are so far.
    pub(super) fn count(&self) -> u64 {
        self.number
    }

    /// Appends the next record to `out`. `body` is 1 to [`BODY_MAX`] bytes.
    pub(super) fn append(&mut self, body: &[u8], out: &mut Vec<u8>) {
        debug_assert!((1..=BODY_MAX).contains(&body.len()), "a record has a bounded body");
        let length = u32::try_from(body.len()).expect("BODY_MAX fits 32 bits");
        let sum = self.sum(length, body);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&sum.to_le_bytes());
        out.extend_from_slice(body);
        self.step(sum);
    }

    /// The body of the next record, if `bytes` begin with one that is proven.
    pub(super) fn take<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        let (length, sum) = (u32::from_le_bytes(*length), u32::from_le_bytes(*sum));
        if length == 0 || length as usize > BODY_MAX {
            return None;
        }
        let body = rest.get(..length as usize)?;
        if self.sum(length, body) != sum {
            return None;
        }
        self.step(sum);
        Some(body)
    }

    fn sum(&self, length: u32, body: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.epoch.to_le_bytes());
        hasher.update(&self.number.to_le_bytes());
        hasher.update(&length.to_le_bytes());
        hasher.update(&self.previous.to_le_bytes());
        hasher.update(body);
        hasher.finalize()
    }

    fn step(&mut self, sum: u32) {
        self.number += 1;
        self.previous = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j2_a_record_is_proven_by_its_epoch_its_number_and_what_was_before_it_each_alone() {
        let here = Chain { epoch: 3, number: 7, previous: 0x1234 };
        let mut record = Vec::new();
        here.clone().append(b"body", &mut record);
        assert_eq!(here.clone().take(&record), Some(&b"body"[..]));
        for elsewhere in
            [Chain { epoch: 4, ..here }, Chain { number: 8, ..here }, Chain { previous: 0x1235, ..here }]
        {
            assert_eq!(elsewhere.clone().take(&record), None, "{elsewhere:?}");
        }
    }

    #[test]
    fn j2_a_record_of_nothing_or_of_too_much_is_none() {
        let chain = Chain::start(1, 0);
        for length in [0, BODY_MAX as u32 + 1, u32::MAX] {
            let mut bytes = length.to_le_bytes().to_vec();
            bytes.extend([0; 64]);
            assert_eq!(chain.clone().take(&bytes), None, "{length}");
        }
    }
}
