//! Where in the pipe of a service's output the words of one life end and those of the next begin.
//!
//! A pipe outlives the lives that write into it, and whoever reads it may be far behind: then the next life has written before
//! the death of the last one was heard of. So the supervisor puts a seam into the pipe before it starts a life: a token that it
//! drew when it began and tells nobody but the logger, and the life's number.
//!
//! A service that reads its own output back could learn the token and write seams. It would lie about nobody but itself: which
//! of its words belong to which of its lives, and when it is ready, which it says anyway.

use bincode::{Decode, Encode};
use memchr::memmem;

/// Bytes of a seam: fewer than a pipe takes at once, so it is in there whole or not at all.
pub const LENGTH: usize = TOKEN + 8;
const TOKEN: usize = 16;

/// How one run of the supervisor makes its seams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Seams {
    token: [u8; TOKEN],
}

/// What the bytes of a pipe begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// So many bytes that the life writes whose turn it is.
    Words(usize),
    /// A seam: what follows is this life's.
    Life(u64),
}

impl Seams {
    /// Seams with this token, which must be random.
    pub fn new(random: [u64; 2]) -> Seams {
        let mut token = [0; TOKEN];
        token.as_chunks_mut::<8>().0.iter_mut().zip(random).for_each(|(to, half)| *to = half.to_le_bytes());
        Seams { token }
    }

    /// The seam before the words of this life.
    pub fn before(&self, life: u64) -> [u8; LENGTH] {
        let mut seam = [0; LENGTH];
        seam[..TOKEN].copy_from_slice(&self.token);
        seam[TOKEN..].copy_from_slice(&life.to_le_bytes());
        seam
    }

    /// What these bytes, the first of a pipe, begin with. When they are not all that it holds, a seam may be cut off at
    /// their end: what may be its beginning is left for the next look.
    pub fn next(&self, bytes: &[u8]) -> Next {
        match memmem::find(bytes, &self.token) {
            Some(0) => match bytes[TOKEN..].first_chunk() {
                Some(life) => Next::Life(u64::from_le_bytes(*life)),
                // Not cut off, since these bytes begin where it does.
                None => Next::Words(bytes.len()),
            },
            Some(at) => Next::Words(at),
            None => {
                let possible = bytes.len().saturating_sub(TOKEN - 1).max(1)..bytes.len();
                let cut = possible.into_iter().find(|&at| self.token.starts_with(&bytes[at..]));
                Next::Words(cut.unwrap_or(bytes.len()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEAMS: Seams = Seams { token: *b"\x01\x01\x01\x02abababababac" };

    /// What lives wrote, when at most so many bytes are looked at at a time.
    fn read(mut pipe: &[u8], most: usize) -> Vec<(u64, Vec<u8>)> {
        let mut lives = vec![(0, Vec::new())];
        while !pipe.is_empty() {
            match SEAMS.next(&pipe[..pipe.len().min(most)]) {
                Next::Life(life) => {
                    lives.push((life, Vec::new()));
                    pipe = &pipe[LENGTH..];
                }
                Next::Words(length) => {
                    assert!(length > 0, "or it would go on forever");
                    lives.last_mut().unwrap().1.extend_from_slice(&pipe[..length]);
                    pipe = &pipe[length..];
                }
            }
        }
        lives
    }

    proptest! {
        #[test]
        fn every_life_has_its_words_however_the_pipe_is_cut(
            words in proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(1u8), Just(2), Just(b'a'), Just(b'b')], 0..40), 1..6),
            most in LENGTH..80,
        ) {
            let lives: Vec<(u64, Vec<u8>)> = (0..).zip(words).collect();
            let mut pipe = lives[0].1.clone();
            for (life, words) in &lives[1..] {
                pipe.extend_from_slice(&SEAMS.before(*life));
                pipe.extend_from_slice(words);
            }
            prop_assert_eq!(read(&pipe, most), lives);
        }

        #[test]
        fn a_token_that_is_cut_off_by_a_death_holds_nothing_back(bytes in 1..LENGTH) {
            let pipe = &SEAMS.before(7)[..bytes];
            prop_assert_eq!(read(pipe, LENGTH), vec![(0, pipe.to_vec())]);
        }
    }
}
