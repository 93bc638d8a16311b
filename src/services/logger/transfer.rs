//! Bytes of a pipe → lines of a file, so that SIGKILL at any moment loses none and doubles none.
//!
//! ```text
//! tee A → C, read C     a look at what is in service pipe A; A keeps it. C is private scratch
//! intent := Appending   file, its length before, how many bytes, what the words will be
//! write                 the stamped lines
//! intent := Appended
//! words                 where each stream stands now
//! splice A → B          exactly those bytes, into the holding pipe that outlives us
//! intent := Idle
//! empty B
//! ```
//!
//! The next life reads the intent. `Appending`: whole lines that are in the file stay there, since somebody may
//! have read them already (`logs -f`); their bytes count as appended. An unfinished one is cut off, and A still has
//! it. `Appended`: the file has everything; the words are set (again), and what B has not got yet is moved.
//! `Idle`: only B is emptied.
//!
//! Everything that is in A is taken, an unfinished last line too (`memory::Place` remembers it). Leaving it in A
//! would be simpler, and stops services: Linux wakes an edge-triggered reader only when the pipe was *empty*
//! before a writer filled it and went to sleep, so a large write behind a leftover would wake nobody, ever.

use super::file::{LogFile, cut_back};
use super::line;
use super::memory::{Intent, Memory, Step, at_line_start, not_at_file_end};
use crate::sys::pipe;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The most that one transfer takes.
pub(super) const MOST: usize = 64 << 10;

/// The desk on which transfers are done: one at a time.
#[derive(Debug)]
pub(super) struct Transfer {
    /// What outlives us.
    pub(super) memory: Memory,
    holding: (OwnedFd, OwnedFd),
    scratch: (OwnedFd, OwnedFd),
    nowhere: File,
    /// What the last [`Transfer::look`] saw.
    pub(super) seen: Vec<u8>,
    /// Bytes that were appended to files, all together.
    pub(super) appended: u64,
}

impl Transfer {
    /// `holding`: read and write end of the pipe that outlives us.
    pub(super) fn new(memory: Memory, holding: (OwnedFd, OwnedFd)) -> io::Result<Transfer> {
        let scratch = pipe::nonblocking()?;
        // What fits into the scratch pipe must fit into the holding pipe, page for page.
        let room = pipe::capacity(&holding.1)?;
        if pipe::capacity(&scratch.1)? > room {
            pipe::set_capacity(&scratch.1, room)?;
        }
        let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
        Ok(Transfer { memory, holding, scratch, nowhere, seen: Vec::new(), appended: 0 })
    }

    /// Looks at what `from` holds, without taking it; 0 when it is empty.
    pub(super) fn look(&mut self, from: impl AsFd) -> io::Result<usize> {
        let length = pipe::tee(from, &self.scratch.1, MOST)?;
        self.seen.resize(length, 0);
        let mut at = 0;
        while at < length {
            match rustix::io::read(&self.scratch.0, &mut self.seen[at..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => at += n,
            }
        }
        Ok(length)
    }

    /// Appends `text` to the file, whose end `intent` describes. The outer error is ours and serious; the
    /// inner one is the file's, which is then as it was. Either way [`Transfer::finish`] comes next.
    pub(super) fn append(
        &mut self,
        intent: Intent,
        file: &mut LogFile,
        text: &[u8],
    ) -> io::Result<Result<(), io::Error>> {
        self.memory.set_intent(Intent { step: Step::Appending, ..intent })?;
        self.appended += text.len() as u64;
        Ok(file.append(text))
    }

    /// From here on the bytes count as taken: sets the words and takes them out of their pipe.
    pub(super) fn finish(&mut self, intent: Intent, from: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.memory.set_intent(Intent { step: Step::Appended, ..intent })?;
        self.complete(intent, from, 0)
    }

    fn complete(&mut self, intent: Intent, from: Option<BorrowedFd<'_>>, moved: usize) -> io::Result<()> {
        for (child, word) in intent.words.into_iter().flatten() {
            self.memory.set_word(child, word)?;
        }
        if let Some(from) = from {
            let mut left = (intent.bytes as usize).saturating_sub(moved);
            while left > 0 {
                match pipe::splice(from, &self.holding.1, left)? {
                    0 => break, // somebody else read from it; nothing is left to take
                    n => left -= n,
                }
            }
        }
        self.memory.set_intent(Intent::default())?;
        // What is of no pipe has moved nothing, and whoever came before has left nothing in it.
        if intent.from.is_some() { self.empty_holding() } else { Ok(()) }
    }

    /// The intent whose end is that these lines, and no more, were appended.
    fn as_far_as(&self, intent: Intent, lines: &[u8]) -> Intent {
        let bytes = match lines.get(intent.lead as usize..) {
            Some(texts) if intent.from.is_some() => {
                line::taken(texts, intent.joined).min(intent.bytes as usize)
            }
            _ => 0,
        };
        let mut words = intent.words;
        match intent.from {
            // They end with a newline.
            Some((_, which)) if bytes > 0 => {
                words[0] = words[0].map(|(child, word)| (child, at_line_start(word, which)));
            }
            // The mark is one line.
            None if lines.len() > intent.lead as usize => {}
            // Only the newline that ends somebody's unfinished line, or what was said about dropped bytes.
            _ => {
                let now = |(child, _)| (child, not_at_file_end(self.memory.word(child)));
                words = words.map(|word| word.map(now));
            }
        }
        Intent { bytes: bytes as u32, words, ..intent }
    }

    fn empty_holding(&self) -> io::Result<()> {
        while pipe::splice(&self.holding.0, &self.nowhere, MOST)? > 0 {}
        Ok(())
    }

    /// Ends what the life before was doing. `pipes` finds the pipe of an intent, when it still exists.
    pub(super) fn recover<'a>(
        &mut self,
        logs: &Path,
        pipes: impl FnOnce(&Intent) -> Option<BorrowedFd<'a>>,
    ) -> io::Result<()> {
        let intent = self.memory.intent();
        match intent.step {
            Step::Idle => self.empty_holding(),
            Step::Appending => {
                self.empty_holding()?;
                // The name is looked for by inode: nothing else about the service is sure any more.
                let mut entries = std::fs::read_dir(logs).into_iter().flatten().flatten();
                let lines = entries
                    .find_map(|entry| cut_back(&entry.path(), intent.file, intent.offset).ok().flatten())
                    .unwrap_or_default();
                if lines.is_empty() {
                    return self.memory.set_intent(Intent::default());
                }
                let intent = self.as_far_as(intent, &lines);
                let from = pipes(&intent);
                self.finish(intent, from)
            }
            Step::Appended => {
                let moved = pipe::waiting(&self.holding.0)? as usize;
                let from = pipes(&intent);
                self.complete(intent, from, moved)
            }
        }
    }
}
