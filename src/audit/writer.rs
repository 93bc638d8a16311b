//! The keeper's side of the audit log.

use super::back::Back;
use super::line::{Digest, Line};
use crate::store::Change;
use crate::sys::disk;
use crate::time::Wall;
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// More changes than this never wait: further ones are refused until the log can be written.
pub(crate) const WAITING_MAX: usize = 4096;
/// Room that is reserved behind the last line, so that a full disk does not end the log: some thousands of lines.
const ROOM: u64 = 1 << 20;
/// So much is written at once at most, but for one long line.
const WRITE: usize = 256 << 10;
/// How far back lines are looked for that may be there already.
const LOOK_BACK: u64 = 64 << 20;

/// The audit log of one project, for its only writer.
#[derive(Debug)]
pub(crate) struct Audit {
    path: PathBuf,
    /// `None` until it is open, and after each error.
    open: Option<Open>,
    /// Changes that are not in the log, oldest first.
    waiting: VecDeque<Change>,
    /// Changes that are in the log, and maybe not on the disk.
    unsynced: Vec<Change>,
    /// The newest number that the log was seen to have.
    newest: u64,
    trouble: Option<io::Error>,
    /// So many bytes of a line without an end were cut.
    cut: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Its length, and the digest of its last line.
    end: u64,
    last: Digest,
    /// Up to here there is room on the disk.
    room: u64,
}

impl Audit {
    /// Nothing is opened yet.
    pub(crate) fn new(path: &Path) -> Audit {
        Audit {
            path: path.to_owned(),
            open: None,
            waiting: VecDeque::new(),
            unsynced: Vec::new(),
            newest: 0,
            trouble: None,
            cut: 0,
        }
    }

    /// What an earlier life may not have written, before everything of this one.
    pub(crate) fn recover(&mut self, changes: Vec<Change>) {
        for change in changes.into_iter().rev() {
            self.waiting.push_front(change);
        }
        // Opening tells them from those that are in the log.
        self.open = None;
        let _ = self.reach();
    }

    /// Why it cannot be written, and how many changes wait.
    pub(crate) fn trouble(&self) -> Option<(&io::Error, usize)> {
        self.trouble.as_ref().map(|trouble| (trouble, self.waiting.len()))
    }

    /// True while more changes wait than can be kept.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX
    }

    /// The newest number that the log is known to have.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// How much of a torn line was cut; told once.
    pub(crate) fn take_cut(&mut self) -> u64 {
        std::mem::take(&mut self.cut)
    }

    /// Adds these changes; those that cannot be written now wait.
    pub(crate) fn add(&mut self, changes: &[Change], is_durable: impl Fn(u64) -> bool) {
        self.waiting.extend(changes.iter().cloned());
        self.tend(is_durable);
    }

    /// Writes what waits.
    pub(crate) fn tend(&mut self, is_durable: impl Fn(u64) -> bool) {
        let mut done = Ok(());
        while done.is_ok() && !self.waiting.is_empty() {
            done = self.write_some(&is_durable);
        }
        if done.is_err() {
            // Whatever this descriptor did last is not known: opened again, the file tells.
            self.open = None;
        }
        self.trouble = done.err();
    }

    /// The changes that a new journal must carry on, because the log may not have them on the disk.
    pub(crate) fn carry(&mut self) -> Vec<Change> {
        if !self.unsynced.is_empty() {
            let synced = match self.reach() {
                Ok(open) => disk::sync_data(&open.file),
                Err(e) => Err(e),
            };
            match synced {
                Ok(()) => self.unsynced.clear(),
                Err(e) => {
                    self.open = None;
                    self.trouble = Some(e);
                }
            }
        }
        self.unsynced.iter().chain(&self.waiting).cloned().collect()
    }

    fn write_some(&mut self, is_durable: &impl Fn(u64) -> bool) -> io::Result<()> {
        let waiting = self.waiting.len();
        let open = self.reach()?;
        let (mut last, mut bytes, mut count) = (open.last, Vec::new(), 0);
        // `reach` may have found some of them in the log.
        let open = self.open.as_mut().ok_or_else(|| io::Error::other("not open"))?;
        debug_assert!(self.waiting.len() <= waiting, "reaching only takes away");
        while let Some(change) = self.waiting.get(count).filter(|_| bytes.len() < WRITE) {
            let line = Line::new(change, is_durable(change.generation), last).bytes();
            last = Digest::of(&line);
            bytes.extend_from_slice(&line);
            bytes.push(b'\n');
            count += 1;
        }
        if let Err(e) = disk::append(&open.file, &bytes) {
            // A line that is half there is no line; a next life would cut it, too.
            let _ = open.file.set_len(open.end);
            return Err(e);
        }
        open.end += bytes.len() as u64;
        open.last = last;
        if open.end + ROOM / 2 > open.room {
            reserve(open);
        }
        for change in self.waiting.drain(..count) {
            self.newest = self.newest.max(change.generation);
            self.unsynced.push(change);
        }
        Ok(())
    }

    /// The open log, under its name; opened again if need be, and then what it has does not wait.
    fn reach(&mut self) -> io::Result<&mut Open> {
        let in_place = match &self.open {
            Some(open) => disk::names_this(&self.path, &open.file)?,
            None => false,
        };
        if !in_place {
            // Where it was removed, the next one continues its chain, and so shows that something is missing.
            let before = self.open.take().map(|open| open.last);
            self.open = Some(self.open_again(before)?);
        }
        self.open.as_mut().ok_or_else(|| io::Error::other("not open"))
    }

    fn open_again(&mut self, before: Option<Digest>) -> io::Result<Open> {
        let file = disk::open_to_append(&self.path)?;
        let length = file.metadata()?.len();
        let (mut back, torn) = Back::new(&file, length)?;
        let end = length - torn;
        let (mut last, mut looked, mut there) = (None, 0, HashSet::new());
        let oldest = self.waiting.iter().map(|change| change.generation).min().unwrap_or(u64::MAX);
        for bytes in &mut back {
            // A line without an end is no line of ours: nothing of ours is before it that could be told.
            let Ok(bytes) = bytes else { break };
            last.get_or_insert_with(|| Digest::of(&bytes));
            looked += bytes.len() as u64;
            if let Ok(line) = serde_json::from_slice::<Line>(&bytes) {
                self.newest = self.newest.max(line.generation);
                there.insert((line.generation, line.time));
                if line.generation < oldest {
                    break;
                }
            }
            if looked > LOOK_BACK {
                break;
            }
        }
        if torn > 0 {
            file.set_len(end)?;
            self.cut += torn;
        }
        self.take_those_in(&there);
        let mut open = Open { file, end, last: last.or(before).unwrap_or_default(), room: 0 };
        reserve(&mut open);
        Ok(open)
    }

    fn take_those_in(&mut self, there: &HashSet<(u64, Wall)>) {
        let waiting = std::mem::take(&mut self.waiting);
        for change in waiting {
            if there.contains(&(change.generation, change.time)) {
                self.unsynced.push(change);
            } else {
                self.waiting.push_back(change);
            }
        }
    }
}

/// Room behind the last line; where there is none, lines are written as long as they fit.
fn reserve(open: &mut Open) {
    if disk::reserve(&open.file, open.end, ROOM).is_ok() {
        open.room = open.end + ROOM;
    } else {
        // Asked again when half of it would have been used.
        open.room = open.end + ROOM / 2 + ROOM / 8;
    }
}
