//! Reading a black box, in the supervisor and the keeper. Its bytes are a service's: all of them are taken as hostile.
//!
//! Nothing is mapped: what is read is a copy that does not change under the eyes, and its size cannot, either. The
//! header is not looked at, because it is the service's to overwrite; entries prove themselves. Whatever the bytes are,
//! every loop here has the table's length as its bound.
//!
//! A proven entry is what the service *said*: one that is malicious can write any entry and count what it likes. It can
//! only lie about itself.

use super::layout::{
    BELL, BOARD, BYTES, CELLS, CHECK, COUNTERS, DRAINED, ENTRIES, ENTRY, EVENTS, HEADER, KEY, LANES,
    OVERFLOWS, PAIR, PAIRS, PROBES, SEEN, TIME, VALUE, cell, entry, key, proves,
};
use super::said::Drained;
use crate::sys::memory;
use crate::time::Instant;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The black box of one life.
#[derive(Debug)]
pub struct BlackBox {
    memory: OwnedFd,
}

/// Which value of a flag a life has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The flag's name, hashed (`board::name_hash`).
    pub hash: u64,
    /// The body of the word. Compare it with the flag's present one: equal means that the life has the present value.
    pub body: u32,
    /// The number of the board's last change before the word was loaded, of which 48 bits are kept: what was seen is at
    /// least as new.
    pub generation: u64,
    /// When, by the service's own account: not before it, and perhaps in the future.
    pub at: Instant,
}

/// What a life has counted. Neither may be believed to rise: take a difference that is negative for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Pieces of work that went well.
    pub successes: u64,
    /// Pieces of work that went wrong.
    pub errors: u64,
}

impl BlackBox {
    /// A new one, for a life that is about to begin.
    ///
    /// # Errors
    /// No descriptors or memory are left.
    pub fn make() -> io::Result<BlackBox> {
        let memory = memory::zeroed("mainstay.blackbox", BYTES as u64)?;
        memory::write_at(memory.as_fd(), HEADER.map(u64::to_le_bytes).as_flattened(), 0)?;
        Ok(BlackBox { memory })
    }

    /// The one behind this descriptor, which another process of ours made.
    ///
    /// # Errors
    /// `InvalidInput` when it is no memory of a black box's size that nobody can resize.
    pub fn open(memory: OwnedFd) -> io::Result<BlackBox> {
        if memory::fixed_size(memory.as_fd())? != Some(BYTES as u64) {
            let text = format!("it is no black box: no memory of {BYTES} bytes that nobody can resize");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(BlackBox { memory })
    }

    /// Tells the life which board is in place, by its incarnation: while that is the one it reads, it need not look whether
    /// there is another.
    ///
    /// # Errors
    /// Those of `pwrite`.
    pub fn say_board(&self, incarnation: u64) -> io::Result<()> {
        memory::write_at(self.memory.as_fd(), &incarnation.to_le_bytes(), BOARD as u64 * 8)
    }

    /// A copy of all that it holds.
    ///
    /// # Errors
    /// Those of `pread`.
    pub fn image(&self) -> io::Result<Image> {
        self.copy(0..CELLS)
    }

    /// A copy of what was noted of flags, and of what was counted.
    ///
    /// # Errors
    /// Those of `pread`.
    pub fn notes(&self) -> io::Result<Image> {
        self.copy(0..LANES)
    }

    /// A copy of the cells that tell whether anything is to be drained, and nothing else.
    ///
    /// # Errors
    /// Those of `pread`.
    pub fn heads(&self) -> io::Result<Image> {
        self.copy(0..COUNTERS)
    }

    /// Nobody ever rings: nobody drains the box.
    ///
    /// # Errors
    /// Those of `pwrite`.
    pub fn silence(&self) -> io::Result<()> {
        memory::write_at(self.memory.as_fd(), &1u64.to_le_bytes(), BELL as u64 * 8)
    }

    /// A copy of what is drained: the rings of events and finished spans, and the cells that tell of them.
    ///
    /// # Errors
    /// Those of `pread`.
    pub fn news(&self) -> io::Result<Image> {
        let mut news = self.copy(EVENTS..CELLS)?;
        let head = self.copy(0..COUNTERS)?;
        news.head = head.words;
        Ok(news)
    }

    /// Whoever writes next rings, once. To be called when all is drained; what came meanwhile has to be looked for after it.
    ///
    /// # Errors
    /// Those of `pwrite`.
    pub fn await_ring(&self) -> io::Result<()> {
        memory::write_at(self.memory.as_fd(), &0u64.to_le_bytes(), BELL as u64 * 8)
    }

    /// Writes down how far the box was drained, for a successor.
    ///
    /// # Errors
    /// Those of `pwrite`.
    pub fn set_drained(&self, drained: Drained) -> io::Result<()> {
        let Drained { events_taken, events_written, spans_taken, spans_written } = drained;
        let cells = [events_taken, events_written, spans_taken, spans_written].map(u64::to_le_bytes);
        memory::write_at(self.memory.as_fd(), cells.as_flattened(), DRAINED as u64 * 8)
    }

    /// What it has seen of one flag, by `board::name_hash` of its name. `None`: it never read it (or more flags than
    /// there is room for, see [`Image::overflows`]), or was noting it when it died.
    ///
    /// # Errors
    /// Those of `pread`.
    pub fn seen(&self, hash: u64) -> io::Result<Option<Seen>> {
        Ok(self.copy(SEEN..SEEN + ENTRIES * ENTRY)?.seen(hash))
    }

    /// What it has counted.
    ///
    /// # Errors
    /// Those of `pread`.
    pub fn counters(&self) -> io::Result<Counters> {
        Ok(self.copy(COUNTERS..COUNTERS + PAIRS * PAIR)?.counters())
    }

    /// A copy that holds these cells only.
    fn copy(&self, cells: Range<usize>) -> io::Result<Image> {
        let mut words = vec![0; cells.len()];
        memory::read_words_at(self.memory.as_fd(), &mut words, cells.start as u64 * 8)?;
        Ok(Image { head: Vec::new(), first: cells.start, words })
    }
}

impl AsFd for BlackBox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

impl From<BlackBox> for OwnedFd {
    fn from(the_box: BlackBox) -> OwnedFd {
        the_box.memory
    }
}

/// A copy of a black box, or of a part of it: what is not there counts as zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The box's first cells, when `words` begin later.
    head: Vec<u64>,
    first: usize,
    words: Vec<u64>,
}

impl Image {
    /// From bytes, of any number and content. What is behind the last whole cell of 8 is not looked at.
    pub fn from_bytes(bytes: &[u8]) -> Image {
        let words = bytes.as_chunks::<8>().0.iter().take(CELLS).map(|bytes| u64::from_le_bytes(*bytes));
        Image::from_words(words.collect())
    }

    /// From cells, of any number and content.
    pub fn from_words(words: Vec<u64>) -> Image {
        Image { head: Vec::new(), first: 0, words }
    }

    /// Its cells again.
    pub fn into_words(self) -> Vec<u64> {
        self.words
    }

    /// What was seen of one flag.
    pub fn seen(&self, hash: u64) -> Option<Seen> {
        let key = key(hash);
        for probe in 0..PROBES {
            let entry = entry(key, probe);
            match self.word(cell(entry) + KEY) {
                0 => return None,
                met if met == key => return self.proven(entry),
                _ => {}
            }
        }
        None
    }

    /// What was seen of every flag, in no order; each hash once.
    pub fn all_seen(&self) -> impl Iterator<Item = Seen> {
        // Only where a search finds it: the same flag cannot stand in two places.
        (0..ENTRIES).filter_map(|entry| self.proven(entry)).filter(|seen| self.seen(seen.hash) == Some(*seen))
    }

    /// Entries and records that do not prove themselves: they were being written, or somebody wrote where nobody should.
    pub fn torn(&self) -> usize {
        self.torn_notes() + self.torn_records()
    }

    /// The same of the table of flags alone.
    pub fn torn_notes(&self) -> usize {
        (0..ENTRIES)
            .filter(|entry| self.word(cell(*entry) + KEY) != 0 && self.proven(*entry).is_none())
            .count()
    }

    /// Notes that found no room. More than 0 means: a flag that is not in the table may have been read nevertheless.
    pub fn overflows(&self) -> u64 {
        self.word(OVERFLOWS)
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        let sum = |at: usize| {
            (0..PAIRS).fold(0u64, |sum, pair| sum.saturating_add(self.word(COUNTERS + PAIR * pair + at)))
        };
        Counters { successes: sum(0), errors: sum(1) }
    }

    fn proven(&self, entry: usize) -> Option<Seen> {
        let cells = [KEY, VALUE, TIME, CHECK].map(|at| self.word(cell(entry) + at));
        let [hash, value, time, checked] = cells;
        proves(entry, cells).then_some(Seen {
            hash,
            body: value as u32,
            generation: checked >> 48 << 32 | value >> 32,
            at: Instant::from_nanos(time),
        })
    }

    /// One cell; 0 where the copy does not reach.
    pub(super) fn word(&self, cell: usize) -> u64 {
        #[cfg(test)]
        LOOKS.set(LOOKS.get() + 1);
        let found = self.head.get(cell).or_else(|| self.words.get(cell.checked_sub(self.first)?));
        found.copied().unwrap_or(0)
    }
}

#[cfg(test)]
thread_local! {
    /// How often a cell was looked at.
    pub(super) static LOOKS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
