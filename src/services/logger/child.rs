//! One instance that has output, and the line it is awaited to write.

use super::line::Which;
use super::memory::Word;
use memchr::{memmem, memrchr};
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// An instance.
#[derive(Debug)]
pub(super) struct Child {
    /// Its service's place.
    pub(super) service: usize,
    /// `web#2`
    pub(super) instance: Rc<str>,
    /// Our own descriptions of the read ends.
    pub(super) pipes: [OwnedFd; 2],
    /// The pipes' inodes: no other pipes have them as long as these exist.
    pub(super) inodes: [u64; 2],
    /// [`super::memory::tag`]
    pub(super) tag: u16,
    /// What outlives us about it.
    pub(super) word: Word,
    /// The text that tells readiness.
    pub(super) ready: Option<Box<[u8]>>,
    /// The newest life for which it was awaited; 0: none.
    pub(super) armed: u64,
    /// While that text is awaited. Boxed: most instances await nothing.
    pub(super) awaited: Option<Box<Awaited>>,
    /// The newest life's main process, for the marks; 0: not known.
    pub(super) pid: u32,
    /// For the terminal only: what was taken of a line whose end is still to come.
    pub(super) shown: [Vec<u8>; 2],
}

/// A line that is awaited.
#[derive(Debug)]
pub(super) struct Awaited {
    /// Of which life.
    pub(super) life: u64,
    /// The end of each stream's unfinished line: what could be the beginning of the text. `None`: what the stream holds is
    /// still of a life before.
    pub(super) tails: [Option<Vec<u8>>; 2],
}

impl Child {
    /// What outlives us about it, as it is kept.
    pub(super) fn bits(&self, word: Word) -> u64 {
        word.to_bits(self.tag)
    }

    /// Whether these bytes, after what came before, have the awaited text in a line.
    pub(super) fn tells_ready(&self, which: Which, bytes: &[u8]) -> bool {
        let (Some(awaited), Some(text)) = (&self.awaited, &self.ready) else { return false };
        let Some(tail) = &awaited.tails[which as usize] else { return false };
        // Text that crosses from the tail into the new bytes; it has no newline, so it is in one line.
        let joint = [tail, &bytes[..bytes.len().min(text.len().saturating_sub(1))]].concat();
        contains(&joint, text) || contains(bytes, text)
    }

    /// Remembers of taken bytes what may be the beginning of the text.
    pub(super) fn remember(&mut self, which: Which, bytes: &[u8]) {
        let (Some(awaited), Some(text)) = (&mut self.awaited, &self.ready) else { return };
        let Some(tail) = &mut awaited.tails[which as usize] else { return };
        let line = match memrchr(b'\n', bytes) {
            Some(newline) => {
                tail.clear();
                &bytes[newline + 1..]
            }
            None => bytes,
        };
        tail.extend_from_slice(&line[line.len().saturating_sub(text.len())..]);
        let surplus = tail.len().saturating_sub(text.len().saturating_sub(1));
        tail.drain(..surplus);
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    !text.is_empty() && memmem::find(bytes, text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn child(text: &str) -> Child {
        let pipe = || std::io::pipe().unwrap().0.into();
        Child {
            service: 0,
            instance: "web".into(),
            pipes: [pipe(), pipe()],
            inodes: [1, 2],
            tag: 0,
            word: Word::default(),
            ready: Some(text.as_bytes().into()),
            armed: 1,
            awaited: Some(Box::new(Awaited { life: 1, tails: [None, Some(Vec::new())] })),
            pid: 0,
            shown: Default::default(),
        }
    }

    proptest! {
        #[test]
        fn the_text_is_found_however_it_is_cut(text in "[ab]{1,4}", bytes in "[ab\n]{0,40}", cuts in proptest::collection::vec(0usize..40, 0..5)) {
            let mut child = child(&text);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let (mut at, mut found) = (0, false);
            for cut in cuts {
                found |= child.tells_ready(Which::Err, &bytes.as_bytes()[at..cut]);
                child.remember(Which::Err, &bytes.as_bytes()[at..cut]);
                at = cut;
            }
            prop_assert_eq!(found, bytes.lines().any(|line| line.contains(&text)));
        }
    }
}
