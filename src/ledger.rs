//! The ledger: a small mapped file in the runtime directory in which a supervisor leaves what its
//! successor needs (S3): which lives there are, by start token, pid and identity, and where the numbers
//! of lives, crashes and events stand.
//!
//! Written by plain stores, no disk between an exit and the next exec. While it runs, the supervisor never
//! reads it back; whatever happens to the file changes nothing for it, and [`Ledger::create`] makes a new
//! one. A successor takes nothing from a ledger of another boot but the numbers.
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
//! | 9 | how many entries follow |
//! | 16 + 16 n | entry n: state, incarnation (the start token), pid, pidfd inode, monotonic start, 0, name (80 bytes) |

use crate::supervisor::spec::{ChildId, Incarnation};
use crate::sys::mapping::WriteMapping;
use crate::sys::{clock, pidfd};
use crate::time::Instant;
use rustix::fs::{AtFlags, Mode, OFlags, linkat, openat, renameat, unlinkat};
use std::fs::File;
use std::io::{self, Read, Write};
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

/// What a supervisor of the past left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Where it stopped counting.
    pub numbers: Numbers,
    /// Its pid, when it neither said goodbye nor belongs to another boot.
    pub supervisor: Option<u32>,
    /// Lives that it had not seen end; empty for another boot.
    pub lives: Vec<PastLife>,
}

/// One life in a ledger of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastLife {
    /// The instance.
    pub name: String,
    /// The start token.
    pub incarnation: u64,
    /// 0 when it died between intention and fork, or right after it.
    pub pid: u32,
    /// The inode of its pidfd: the identity that a reused pid does not have.
    pub identity: u64,
}

/// The ledger of this supervisor.
pub struct Ledger {
    file: File,
    words: WriteMapping,
    children: usize,
}

impl Ledger {
    /// Makes a new ledger in `directory` in place of whatever is there: complete, then renamed.
    ///
    /// # Errors
    /// Those of the file system (full, read-only) and of mapping.
    pub fn create<'a>(
        directory: BorrowedFd<'_>,
        names: impl ExactSizeIterator<Item = &'a str>,
        numbers: Numbers,
    ) -> io::Result<Ledger> {
        let children = names.len();
        let mut cells = vec![0u64; HEAD + ENTRY * children];
        cells[0] = MAGIC;
        cells[1] = VERSION;
        cells[BOOT..BOOT + 2].copy_from_slice(&boot());
        cells[SUPERVISOR] = u64::from(std::process::id());
        cells[IDENTITY] = pidfd::open(std::process::id())?.map_or(0, |fd| identity(fd.as_fd()));
        cells[INCARNATION] = numbers.incarnation;
        cells[CRASH] = numbers.crash;
        cells[EVENT] = numbers.event;
        cells[COUNT] = children as u64;
        for (index, name) in names.enumerate() {
            let at = HEAD + ENTRY * index + NAME_CELL;
            for (cell, bytes) in
                cells[at..].iter_mut().zip(name.as_bytes()[..name.len().min(NAME_BYTES)].chunks(8))
            {
                let mut word = [0u8; 8];
                word[..bytes.len()].copy_from_slice(bytes);
                *cell = u64::from_le_bytes(word);
            }
        }
        let file = write_whole(directory, &cells)?;
        let words = WriteMapping::new(file.as_fd(), cells.len() * 8)?;
        // Without a second link a deleted name costs a new file, nothing more.
        let _ = unlinkat(directory, KEPT, AtFlags::empty());
        let _ = linkat(directory, NAME, directory, KEPT, AtFlags::empty());
        Ok(Ledger { file, words, children })
    }

    /// A life is about to be forked.
    pub fn intend(&self, child: ChildId, incarnation: Incarnation) {
        self.entry(child, 2, 0);
        self.entry(child, 3, 0);
        self.entry(child, 1, incarnation.0);
        self.entry(child, 0, INTENDED);
        self.next_incarnation(incarnation.0 + 1);
    }

    /// It was forked.
    pub fn began(&self, child: ChildId, pid: u32, pidfd: BorrowedFd<'_>, at: Instant) {
        self.entry(child, 2, u64::from(pid));
        self.entry(child, 3, identity(pidfd));
        self.entry(child, 4, at.as_nanos());
        self.entry(child, 0, BEGAN);
    }

    /// It was reaped, or never came to be.
    pub fn ended(&self, child: ChildId) {
        self.entry(child, 0, ENDED);
    }

    /// The next number of a life.
    pub fn next_incarnation(&self, number: u64) {
        self.words.store(INCARNATION, number);
    }

    /// The next crash number.
    pub fn next_crash(&self, number: u64) {
        self.words.store(CRASH, number);
    }

    /// The next event number.
    pub fn next_event(&self, number: u64) {
        self.words.store(EVENT, number);
    }

    /// Everything is down: there is nothing to take over.
    pub fn goodbye(&self) {
        self.words.store(SUPERVISOR, 0);
    }

    /// Puts the name back when it is gone. False: it cannot be, or the file is damaged; make a new one.
    pub fn mend(&self, directory: BorrowedFd<'_>) -> bool {
        let Ok(own) = self.file.metadata() else { return false };
        if self.words.is_lost() || own.len() != (HEAD + ENTRY * self.children) as u64 * 8 {
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

    fn entry(&self, child: ChildId, cell: usize, word: u64) {
        self.words.store(HEAD + ENTRY * child.0 as usize + cell, word);
    }
}

/// What an earlier supervisor left in `directory`; nothing when there is no ledger that can be read.
pub fn past(directory: BorrowedFd<'_>) -> Past {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut bytes = Vec::new();
    for name in [NAME, KEPT] {
        let limit = ((HEAD + ENTRY * ENTRIES_MAX) * 8) as u64;
        let read = openat(directory, name, flags, Mode::empty())
            .map_err(io::Error::from)
            .and_then(|fd| File::from(fd).take(limit).read_to_end(&mut bytes));
        if read.is_ok()
            && let Some(past) = parse(&bytes, boot())
        {
            return past;
        }
        bytes.clear();
    }
    Past::default()
}

fn parse(bytes: &[u8], boot: [u64; 2]) -> Option<Past> {
    let cells: Vec<u64> = bytes
        .chunks_exact(8)
        .map(|cell| u64::from_le_bytes(cell.try_into().expect("chunks of eight bytes")))
        .collect();
    if cells.len() < HEAD || cells[0] != MAGIC || cells[1] != VERSION {
        return None;
    }
    let numbers = Numbers {
        incarnation: cells[INCARNATION].max(1),
        crash: cells[CRASH].max(1),
        event: cells[EVENT].max(1),
    };
    if cells[BOOT..BOOT + 2] != boot {
        return Some(Past { numbers, ..Past::default() });
    }
    let supervisor = u32::try_from(cells[SUPERVISOR]).ok().filter(|pid| *pid != 0);
    let lives = cells[HEAD..]
        .chunks_exact(ENTRY)
        .filter(|entry| entry[0] == INTENDED || entry[0] == BEGAN)
        .map(|entry| PastLife {
            name: name_of(&entry[NAME_CELL..]),
            incarnation: entry[1],
            pid: if entry[0] == BEGAN { u32::try_from(entry[2]).unwrap_or(0) } else { 0 },
            identity: entry[3],
        })
        .collect();
    Some(Past { numbers, supervisor, lives })
}

fn name_of(cells: &[u64]) -> String {
    let bytes: Vec<u8> =
        cells.iter().flat_map(|cell| cell.to_le_bytes()).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
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

/// A whole file under another name, then renamed, so nobody ever sees a part of it.
fn write_whole(directory: BorrowedFd<'_>, cells: &[u64]) -> io::Result<File> {
    let temporary = format!(".{NAME}.{}", std::process::id());
    let _ = unlinkat(directory, &temporary, AtFlags::empty());
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(directory, &temporary, flags, Mode::from_raw_mode(0o600))?);
    let bytes: Vec<u8> = cells.iter().flat_map(|cell| cell.to_le_bytes()).collect();
    let written = file.write_all(&bytes).and_then(|()| Ok(renameat(directory, &temporary, directory, NAME)?));
    match written {
        Ok(()) => Ok(file),
        Err(error) => {
            let _ = unlinkat(directory, &temporary, AtFlags::empty());
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::OwnedFd;

    fn directory() -> (tempfile::TempDir, OwnedFd) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".kept")).unwrap();
        let fd = File::open(folder.path()).unwrap().into();
        (folder, fd)
    }

    fn ledger(fd: &OwnedFd) -> Ledger {
        let numbers = Numbers { incarnation: 5, crash: 6, event: 7 };
        Ledger::create(fd.as_fd(), ["web#1", "worker"].into_iter(), numbers).unwrap()
    }

    #[test]
    fn s3_a_successor_finds_the_lives_that_had_not_ended_by_token_and_identity() {
        let (_folder, fd) = directory();
        let ledger = ledger(&fd);
        let own = pidfd::open(std::process::id()).unwrap().unwrap();
        ledger.intend(ChildId(0), Incarnation(8));
        ledger.began(ChildId(0), std::process::id(), own.as_fd(), Instant::ZERO);
        ledger.intend(ChildId(1), Incarnation(9));
        ledger.next_crash(11);
        ledger.next_event(12);
        let past = past(fd.as_fd());
        assert_eq!(past.numbers, Numbers { incarnation: 10, crash: 11, event: 12 });
        assert_eq!(past.supervisor, Some(std::process::id()));
        assert_eq!(past.lives.len(), 2);
        assert_eq!(past.lives[0].name, "web#1");
        assert_eq!(past.lives[0].identity, identity(own.as_fd()));
        assert_ne!(past.lives[0].identity, 0);
        assert_eq!(past.lives[1], PastLife { name: "worker".into(), incarnation: 9, pid: 0, identity: 0 });
        ledger.ended(ChildId(0));
        ledger.ended(ChildId(1));
        ledger.goodbye();
        assert_eq!(super::past(fd.as_fd()).lives, vec![]);
        assert_eq!(super::past(fd.as_fd()).supervisor, None);
    }

    #[test]
    fn of_another_boot_only_the_numbers_hold() {
        let (folder, fd) = directory();
        ledger(&fd).intend(ChildId(0), Incarnation(8));
        let bytes = fs::read(folder.path().join(NAME)).unwrap();
        let past = parse(&bytes, [1, 2]).unwrap();
        assert_eq!(past.numbers.incarnation, 9);
        assert_eq!((past.supervisor, past.lives), (None, vec![]));
    }

    #[test]
    fn a_deleted_name_gets_the_same_file_back_and_a_damaged_file_is_given_up() {
        let (folder, fd) = directory();
        let ledger = ledger(&fd);
        let path = folder.path().join(NAME);
        let inode = fs::metadata(&path).unwrap().ino();
        fs::remove_file(&path).unwrap();
        assert!(ledger.mend(fd.as_fd()));
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        fs::remove_file(folder.path().join(KEPT)).unwrap();
        assert!(ledger.mend(fd.as_fd()));
        fs::remove_file(&path).unwrap();
        fs::remove_file(folder.path().join(KEPT)).unwrap();
        assert!(!ledger.mend(fd.as_fd()));
        ledger.intend(ChildId(0), Incarnation(1));
    }

    #[test]
    fn a_truncated_ledger_kills_nobody() {
        let (folder, fd) = directory();
        let ledger = ledger(&fd);
        File::options().write(true).open(folder.path().join(NAME)).unwrap().set_len(0).unwrap();
        ledger.intend(ChildId(1), Incarnation(1));
        assert!(!ledger.mend(fd.as_fd()));
    }

    #[test]
    fn any_bytes_are_a_ledger_or_none() {
        let (folder, fd) = directory();
        ledger(&fd).intend(ChildId(0), Incarnation(8));
        let bytes = fs::read(folder.path().join(NAME)).unwrap();
        for length in 0..bytes.len() {
            let _ = parse(&bytes[..length], boot());
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let _ = parse(&damaged, boot());
            }
        }
    }
}
