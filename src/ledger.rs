//! The ledger: a small mapped file in the runtime directory in which a supervisor leaves what its
//! successor needs (S3): which lives there are, by start token, pid and identity, and where the numbers
//! of lives, crashes and events stand.
//!
//! Written by plain stores, no disk between an exit and the next exec. While it runs, the supervisor never
//! reads it back: it has all cells in its own memory, too, so whatever happens to the file changes nothing for
//! it, and [`Ledger::renew`] makes the same one anew. A successor takes nothing from a ledger of another boot but
//! the numbers.
//!
//! Layout, version 1, in cells of 8 bytes, little-endian:
//!
//! | cell | what |
//! |---|---|
//! | 0, 1 | magic, version |
//! | 2, 3 | boot id |
//! | 4 | the supervisor's pid; 0 after its goodbye |
//! | 5 | identity of that process: the inode of its pidfd |
//! | 6, 7, 8 | the next incarnation, crash, event |
//! | 9 | how many entries follow, those included that are nobody's |
//! | 16 + 16 n | entry n: state, incarnation (the start token), pid, pidfd inode, monotonic start, 0, name (80 bytes) |
//!
//! Entry n is the child with the number n. State: 0 nobody's or never started, 1 about to be forked, 2 runs,
//! 3 ended. A number may be another child's later, so an entry changes its name only while its state says that
//! it holds no life. A file is never resized: one with room for more replaces it whole, by a rename.

mod past;

pub use past::{Past, PastLife, past};

use crate::supervisor::spec::{ChildId, Incarnation};
use crate::sys::mapping::WriteMapping;
use crate::sys::{clock, pidfd};
use crate::time::Instant;
use rustix::fs::{AtFlags, Mode, OFlags, linkat, openat, renameat, unlinkat};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

/// Its name in the runtime directory.
pub const NAME: &str = "ledger";
/// Its second link, which puts the same file back when the name is deleted.
pub const KEPT: &str = ".kept/ledger";

const MAGIC: u64 = u64::from_le_bytes(*b"mainled\0");
const VERSION: u64 = 1;
const HEAD: usize = 16;
const ENTRY: usize = 16;
const NAME_CELL: usize = 6;
const NAME_BYTES: usize = (ENTRY - NAME_CELL) * 8;
/// More entries than any supervisor has: a bound for what is read from a file.
const ENTRIES_MAX: usize = 1 << 20;

const BOOT: usize = 2;
const SUPERVISOR: usize = 4;
const IDENTITY: usize = 5;
const INCARNATION: usize = 6;
const CRASH: usize = 7;
const EVENT: usize = 8;
const COUNT: usize = 9;

/// State of an entry.
const NOBODY: u64 = 0;
const INTENDED: u64 = 1;
const BEGAN: u64 = 2;
const ENDED: u64 = 3;

/// Where the numbers stand; each is the next to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Of a life.
    pub incarnation: u64,
    /// Of a crash record.
    pub crash: u64,
    /// Of an event.
    pub event: u64,
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers { incarnation: 1, crash: 1, event: 1 }
    }
}

/// The ledger of this supervisor.
pub struct Ledger {
    file: File,
    words: WriteMapping,
    /// What the file should be.
    cells: Vec<u64>,
}

impl Ledger {
    /// Makes a new ledger in `directory` in place of whatever is there: complete, then renamed. The names are
    /// those of the children 0, 1 and so on.
    ///
    /// # Errors
    /// Those of the file system (full, read-only) and of mapping.
    pub fn create<'a>(
        directory: BorrowedFd<'_>,
        names: impl ExactSizeIterator<Item = &'a str>,
        numbers: Numbers,
    ) -> io::Result<Ledger> {
        let mut cells = vec![0u64; HEAD];
        cells[0] = MAGIC;
        cells[1] = VERSION;
        cells[BOOT..BOOT + 2].copy_from_slice(&boot());
        cells[SUPERVISOR] = u64::from(std::process::id());
        cells[IDENTITY] = pidfd::open(std::process::id())?.map_or(0, |fd| identity(fd.as_fd()));
        cells[INCARNATION] = numbers.incarnation;
        cells[CRASH] = numbers.crash;
        cells[EVENT] = numbers.event;
        resize(&mut cells, names.len());
        for (index, name) in names.enumerate() {
            added(index, name).for_each(|(cell, word)| cells[cell] = word);
        }
        let (file, words) = replace(directory, &cells)?;
        Ok(Ledger { file, words, cells })
    }

    /// A child is there from now on, under a number that nobody has. Makes room when there is none: for twice as
    /// many, so that any number of them can be added one by one.
    ///
    /// # Errors
    /// As [`Ledger::create`]; more than 1,048,576 children. Then nothing has changed: it must not be started.
    pub fn add(&mut self, directory: BorrowedFd<'_>, child: ChildId, name: &str) -> io::Result<()> {
        let index = child.0 as usize;
        if index < self.entries() {
            self.store(added(index, name));
            return Ok(());
        }
        if index >= ENTRIES_MAX {
            let text = format!("a ledger has {ENTRIES_MAX} entries at most, no number {index}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut cells = self.cells.clone();
        resize(&mut cells, (self.entries() * 2).max(index + 1).min(ENTRIES_MAX));
        added(index, name).for_each(|(cell, word)| cells[cell] = word);
        (self.file, self.words) = replace(directory, &cells)?;
        self.cells = cells;
        Ok(())
    }

    /// A child is gone for good, and its number may be another's.
    pub fn remove(&mut self, child: ChildId) {
        self.store(removed(child.0 as usize));
    }

    /// Makes the same ledger once more, in place of whatever is there.
    ///
    /// # Errors
    /// As [`Ledger::create`]. Then this one is as good as it was.
    pub fn renew(&mut self, directory: BorrowedFd<'_>) -> io::Result<()> {
        (self.file, self.words) = replace(directory, &self.cells)?;
        Ok(())
    }

    /// A life is about to be forked.
    pub fn intend(&mut self, child: ChildId, incarnation: Incarnation) {
        let at = entry(child.0 as usize);
        self.store([(at + 2, 0), (at + 3, 0), (at + 1, incarnation.0), (at, INTENDED)]);
        self.next_incarnation(incarnation.0 + 1);
    }

    /// It was forked.
    pub fn began(&mut self, child: ChildId, pid: u32, pidfd: BorrowedFd<'_>, started: Instant) {
        let at = entry(child.0 as usize);
        self.store([
            (at + 2, u64::from(pid)),
            (at + 3, identity(pidfd)),
            (at + 4, started.as_nanos()),
            (at, BEGAN),
        ]);
    }

    /// It was reaped, or never came to be.
    pub fn ended(&mut self, child: ChildId) {
        self.store([(entry(child.0 as usize), ENDED)]);
    }

    /// The next number of a life.
    pub fn next_incarnation(&mut self, number: u64) {
        self.store([(INCARNATION, number)]);
    }

    /// The next crash number.
    pub fn next_crash(&mut self, number: u64) {
        self.store([(CRASH, number)]);
    }

    /// The next event number.
    pub fn next_event(&mut self, number: u64) {
        self.store([(EVENT, number)]);
    }

    /// Everything is down: there is nothing to take over.
    pub fn goodbye(&mut self) {
        self.store([(SUPERVISOR, 0)]);
    }

    /// Puts the name back when it is gone. False: it cannot be, or the file is damaged; it must be renewed.
    pub fn mend(&self, directory: BorrowedFd<'_>) -> bool {
        let Ok(own) = self.file.metadata() else { return false };
        if self.words.is_lost() || own.len() != self.cells.len() as u64 * 8 {
            return false;
        }
        let is_ours = |name: &str| {
            openat(
                directory,
                name,
                OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK,
                Mode::empty(),
            )
            .ok()
            .and_then(|fd| File::from(fd).metadata().ok())
            .is_some_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino()))
        };
        match (is_ours(NAME), is_ours(KEPT)) {
            (true, true) => true,
            (true, false) => {
                let _ = unlinkat(directory, KEPT, AtFlags::empty());
                linkat(directory, NAME, directory, KEPT, AtFlags::empty()).is_ok()
            }
            (false, true) => {
                let _ = unlinkat(directory, NAME, AtFlags::empty());
                linkat(directory, KEPT, directory, NAME, AtFlags::empty()).is_ok()
            }
            (false, false) => false,
        }
    }

    fn entries(&self) -> usize {
        (self.cells.len() - HEAD) / ENTRY
    }

    /// Stores words in this order: a supervisor that is killed in between has stored the first ones.
    fn store(&mut self, words: impl IntoIterator<Item = (usize, u64)>) {
        for (cell, word) in words {
            self.cells[cell] = word;
            self.words.store(cell, word);
        }
    }
}

/// The first cell of an entry, its state.
fn entry(index: usize) -> usize {
    HEAD + ENTRY * index
}

fn resize(cells: &mut Vec<u64>, entries: usize) {
    cells.resize(entry(entries), 0);
    cells[COUNT] = entries as u64;
}

/// What to store for a child that is added: while its name is written, there is no life under it.
fn added(index: usize, name: &str) -> impl Iterator<Item = (usize, u64)> {
    let mut bytes = [0; NAME_BYTES];
    let length = name.len().min(NAME_BYTES);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    let words: [u64; NAME_BYTES / 8] =
        std::array::from_fn(|n| u64::from_le_bytes(std::array::from_fn(|at| bytes[n * 8 + at])));
    removed(index).take(NAME_CELL).chain((entry(index) + NAME_CELL..).zip(words))
}

/// What to store for a child that is removed: first of all that there is no life.
fn removed(index: usize) -> impl Iterator<Item = (usize, u64)> {
    std::iter::once((entry(index), NOBODY)).chain((1..ENTRY).map(move |cell| (entry(index) + cell, 0)))
}

/// What a pidfd means, as a number that no other process of this boot gets.
pub fn identity(pidfd: BorrowedFd<'_>) -> u64 {
    rustix::fs::fstat(pidfd).map_or(0, |stat| stat.st_ino)
}

fn boot() -> [u64; 2] {
    let hex: String = clock::boot_id().unwrap_or_default().chars().filter(char::is_ascii_hexdigit).collect();
    let half = |range: std::ops::Range<usize>| hex.get(range).and_then(|h| u64::from_str_radix(h, 16).ok());
    [half(0..16).unwrap_or(0), half(16..32).unwrap_or(0)]
}

/// Puts a new file in the ledger's place: whole and mapped under another name, then renamed, so nobody ever sees
/// a part of it, and a failure leaves the one that is there.
fn replace(directory: BorrowedFd<'_>, cells: &[u64]) -> io::Result<(File, WriteMapping)> {
    let temporary = format!(".{NAME}.{}", std::process::id());
    let _ = unlinkat(directory, &temporary, AtFlags::empty());
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(directory, &temporary, flags, Mode::from_raw_mode(0o600))?);
    let bytes: Vec<u8> = cells.iter().flat_map(|cell| cell.to_le_bytes()).collect();
    let mapped = file.write_all(&bytes).and_then(|()| WriteMapping::new(file.as_fd(), bytes.len()));
    let words = mapped.and_then(|words| {
        // The second link is never that of an older file while the name is this one's.
        let _ = unlinkat(directory, KEPT, AtFlags::empty());
        renameat(directory, &temporary, directory, NAME)?;
        Ok(words)
    });
    match words {
        Ok(words) => {
            // Without a second link a deleted name costs a new file, nothing more.
            let _ = linkat(directory, NAME, directory, KEPT, AtFlags::empty());
            Ok((file, words))
        }
        Err(error) => {
            let _ = unlinkat(directory, &temporary, AtFlags::empty());
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests;
