//! What must survive on disk: the journal of flag changes, under `flags/` of the state directory.
//!
//! - **J1** [`Store::commit`] returns only when the changes are on the disk; who publishes them publishes
//!   after that, and acknowledges after that.
//! - **J2** Each record is proven by its place in the chain; recovery takes the longest proven prefix.
//! - **J3** A journal begins with a snapshot. It is written whole under another name and synced, takes the
//!   name `journal` by a rename, which removes the one before it, and the directory is synced. So there
//!   is one file to recover from at any moment.
//! - **J4** After any error on a journal it is never touched again: the state in memory is written as a
//!   new journal, of a new epoch. Opening is the same act, so that what a dying keeper wrote and did not
//!   sync is synced, as a copy, before anybody relies on it.
//! - **J5** The room of the next journal is reserved when this one begins, in `journal.next`, so that a
//!   full disk neither ends the changes of this journal nor prevents the next one.
//!
//! Each change goes into the [audit log](crate::audit) when the journal has it. What the log does not have on the
//! disk when a journal ends is carried on in the snapshot of the next one: so no change is ever missing in it. The price:
//! on a disk that stays full, changes are refused when the log's reserved room is used up (some 2,000 changes) and what
//! waits for it has used up the room of a journal (some hundreds more).
//!
//! It has no threads, knows nothing of declarations, sockets or the board, and never waits for anything
//! but the disk.

pub mod declared;
mod error;
mod journal;
mod record;
mod state;
mod writer;

pub use error::{Error, Step};
pub use journal::{Foreign, Reading, read};
pub use state::{Change, Entry, RECEIPTS_MAX, ROLLS_MAX, Receipt, Set, State};

use crate::audit::{self, Audit};
use crate::flags::guard::Facts;
use crate::sys::disk;
use std::path::{Path, PathBuf};
use writer::{Content, Journal};

/// The longest journal that is read: far more than any board needs, far less than memory.
const READ_MAX: u64 = 256 << 20;

/// The flags' part of a state directory.
pub fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("flags")
}

/// What the journal says now, without touching it (B7): works while a keeper writes, and without one.
///
/// A change that is just being made may or may not be seen, as with any reader. No journal: an empty
/// state, as nobody ever set a flag.
pub fn read_only(state_dir: &Path) -> Result<State, Error> {
    Ok(load(&journal_path(&directory(state_dir)))?.map_or_else(State::default, |reading| reading.state))
}

fn journal_path(dir: &Path) -> PathBuf {
    dir.join("journal")
}

/// `None`: there is no journal.
fn load(path: &Path) -> Result<Option<Reading>, Error> {
    // A disk that fails to read may succeed at the next try, and what it holds is the truth.
    let failed = |e: &std::io::Error| e.kind() != std::io::ErrorKind::NotFound;
    let mut content = disk::read(path, READ_MAX);
    for _ in 0..2 {
        if content.as_ref().is_err_and(failed) {
            content = disk::read(path, READ_MAX);
        }
    }
    let bytes = match content {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::disk(Step::Reading, path, e)),
    };
    match read(&bytes) {
        Ok(reading) => Ok(Some(reading)),
        Err(foreign) => Err(Error::foreign(path, foreign)),
    }
}

/// The journal of one project, for its only writer, which holds the lock.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// What was committed, and what was forced in without (see `volatile_from`).
    state: State,
    audit: Audit,
    /// `None` while there is none that may be written.
    journal: Option<Journal>,
    /// The newest epoch that was ever seen or tried.
    epoch: u64,
    /// What is wrong; `None`: nothing.
    trouble: Option<Error>,
    /// False until the journal of the last life was read: until then a new one would destroy it.
    read: bool,
    /// The first change that is in memory only.
    volatile_from: Option<u64>,
    /// What recovery found and a person should know.
    found: Vec<Found>,
}

/// What recovery found in the journal of the last life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Bytes behind the last proven record: a change that was being written when the power went. They
    /// were cut.
    Tail {
        /// How many.
        bytes: usize,
        /// How many records are proven.
        records: u64,
    },
    /// Header or snapshot are damaged, so values are missing.
    Damage {
        /// How many records are proven.
        records: u64,
        /// Where the damaged file is kept; `None` when that could not be done.
        kept: Option<PathBuf>,
    },
    /// The audit log had a line without an end. It was cut; the journal had the change.
    Torn {
        /// How many bytes.
        bytes: u64,
    },
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Found::Torn { bytes } => {
                write!(f, "the audit log: {bytes} bytes of a line without an end were cut")
            }
            Found::Tail { bytes, records } => {
                write!(f, "the journal: {bytes} bytes after its {records} proven records were cut")
            }
            Found::Damage { records, kept } => {
                write!(
                    f,
                    "the journal: only {records} of its records are proven, flags behind them are on \
                     their default again"
                )?;
                match kept {
                    Some(path) => write!(f, "; the damaged file is kept as `{}`", path.display()),
                    None => write!(f, "; the damaged file could not be kept"),
                }
            }
        }
    }
}

impl Store {
    /// Reads what is there and begins a new journal.
    ///
    /// Never fails: what cannot be read or written is told by [`trouble`](Store::trouble), and
    /// [`tend`](Store::tend) tries again.
    pub fn open(state_dir: &Path) -> Store {
        let mut store = Store {
            dir: directory(state_dir),
            state: State::default(),
            audit: Audit::new(&audit::file(state_dir)),
            journal: None,
            epoch: 0,
            trouble: None,
            read: false,
            volatile_from: None,
            found: Vec::new(),
        };
        store.tend();
        store
    }

    /// Every flag that was ever set, volatile changes included.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What is wrong: until it is gone, changes are refused.
    pub fn trouble(&self) -> Option<&Error> {
        self.trouble.as_ref()
    }

    /// False while it is unknown what was set in earlier lives: the journal is there, and unreadable.
    pub fn is_known(&self) -> bool {
        self.read
    }

    /// What recovery found; told once.
    pub fn take_found(&mut self) -> Vec<Found> {
        let mut found = std::mem::take(&mut self.found);
        match self.audit.take_cut() {
            0 => {}
            bytes => found.push(Found::Torn { bytes }),
        }
        found
    }

    /// Why the audit log cannot be written, in words; `None`: it can. Changes wait for it in the journal.
    pub fn audit_trouble(&self) -> Option<String> {
        let (error, waiting) = self.audit.trouble()?;
        Some(format!(
            "the audit log cannot be written: {error}; {waiting} changes wait for it in the journal"
        ))
    }

    /// Changes get numbers above this one: the audit log has it, even if the journal does not.
    pub fn floor(&self) -> u64 {
        self.audit.newest()
    }

    /// The present journal's epoch; 0 while there is none that may be written.
    pub fn epoch(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journal::epoch)
    }

    /// The journal's path.
    pub fn path(&self) -> PathBuf {
        journal_path(&self.dir)
    }

    /// True when this change, and so every earlier one, survives this process and the machine.
    pub fn is_durable(&self, generation: u64) -> bool {
        self.volatile_from.is_none_or(|from| generation < from)
    }

    /// Makes these changes, all or none: when it returns `Ok` they are on the disk (J1).
    ///
    /// One write and one sync for all of them. An error of the journal is healed first, once (J4); what is
    /// refused after that is not in the state, and is on the disk at most behind what was proven, until
    /// the next journal begins.
    pub fn commit(&mut self, changes: &[Change]) -> Result<(), &Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let done = if self.audit.is_full() { Err(self.unaudited()) } else { self.append_or_heal(changes) };
        match done {
            Ok(()) => {
                self.make(changes);
                Ok(())
            }
            Err(e) => Err(self.trouble.insert(e)),
        }
    }

    /// True in the state, and said in the audit log.
    fn make(&mut self, changes: &[Change]) {
        changes.iter().for_each(|change| self.state.apply(change));
        let volatile_from = self.volatile_from;
        self.audit.add(changes, |generation| volatile_from.is_none_or(|from| generation < from));
    }

    fn unaudited(&self) -> Error {
        let kind = self.audit.trouble().map_or(std::io::ErrorKind::Other, |(error, _)| error.kind());
        Error::disk(Step::Auditing, &self.audit_path(), std::io::Error::from(kind))
    }

    fn audit_path(&self) -> PathBuf {
        audit::file(self.dir.parent().unwrap_or(&self.dir))
    }

    /// Makes these changes in memory only. They become durable with the next journal that can be begun.
    pub fn commit_volatile(&mut self, changes: &[Change]) {
        if let Some(first) = changes.first() {
            self.volatile_from.get_or_insert(first.generation);
        }
        self.make(changes);
    }

    /// What is to be done once in a while: reads what could not be read, begins a journal when there is
    /// none, reserves room that could not be reserved. True when trouble has ended.
    pub fn tend(&mut self) -> bool {
        let before = self.trouble.is_some();
        let done = if self.journal.as_ref().is_some_and(|j| j.is_in_place()) {
            if let Some(journal) = &mut self.journal {
                journal.reserve();
            }
            Ok(())
        } else {
            self.recover().and_then(|()| self.begin(&[], true))
        };
        let volatile_from = self.volatile_from;
        self.audit.tend(|generation| volatile_from.is_none_or(|from| generation < from));
        self.trouble = match done {
            Ok(()) if self.audit.is_full() => Some(self.unaudited()),
            other => other.err(),
        };
        before && self.trouble.is_none()
    }

    fn append_or_heal(&mut self, changes: &[Change]) -> Result<(), Error> {
        self.recover()?;
        if let Some(journal) = self.journal.take_if(|j| j.is_in_place()) {
            // Taken out: whatever fails below, this descriptor is never used again (J4).
            match journal.append(changes) {
                Ok(journal) => {
                    self.journal = Some(journal);
                    return Ok(());
                }
                // Full is no error of the journal, only its end.
                Err((_, Step::MakingRoom)) => return self.renew(changes, false),
                Err(_) => {}
            }
        }
        self.renew(changes, true)
    }

    /// A new journal, and these changes in it as records: were they part of its snapshot, they could be
    /// found on the disk although the rename was not synced and the caller was told no.
    fn renew(&mut self, changes: &[Change], suspicious: bool) -> Result<(), Error> {
        self.begin(changes, suspicious)?;
        let path = self.path();
        let journal = self.journal.take().expect("a journal was just begun");
        self.journal = Some(journal.append(changes).map_err(|(e, step)| Error::disk(step, &path, e))?);
        self.trouble = None;
        Ok(())
    }

    fn begin(&mut self, ahead: &[Change], suspicious: bool) -> Result<(), Error> {
        self.journal = None;
        // Counted before it is tried: an epoch is never used twice.
        self.epoch += 1;
        let carried = self.audit.carry();
        let content = Content { state: &self.state, unaudited: &carried, ahead };
        self.journal = Some(Journal::begin(&self.dir, self.epoch, &content, suspicious)?);
        self.volatile_from = None;
        Ok(())
    }

    /// Reads the journal of the last life, unless that was done.
    fn recover(&mut self) -> Result<(), Error> {
        if self.read {
            return Ok(());
        }
        let path = self.path();
        let found = load(&path)?;
        self.epoch = self.epoch.max(writer::leftover_epoch(&self.dir));
        if let Some(reading) = found {
            self.epoch = self.epoch.max(reading.epoch);
            if !reading.whole {
                let kept = writer::keep_damaged(&path).ok();
                self.found.push(Found::Damage { records: reading.records, kept });
            } else if reading.unproven > 0 {
                self.found.push(Found::Tail { bytes: reading.unproven, records: reading.records });
            }
            self.merge(reading.state);
            self.audit.recover(reading.unaudited);
        } else {
            self.audit.recover(Vec::new());
        }
        self.read = true;
        Ok(())
    }

    /// What was on the disk, below what was forced in while the disk could not be read.
    fn merge(&mut self, disk: State) {
        let forced = std::mem::replace(&mut self.state, disk);
        for (name, mut entry) in forced.flags {
            self.state.generation += 1;
            entry.generation = self.state.generation;
            self.state.flags.insert(name, entry);
        }
        forced.receipts.into_iter().for_each(|receipt| self.state.remember(receipt));
        // What nobody touched is as it began, and says nothing.
        let untouched: Vec<_> = Facts::default().iter().collect();
        for fact in forced.facts.iter().filter(|fact| !untouched.contains(fact)) {
            self.state.learn(&fact);
        }
    }
}
