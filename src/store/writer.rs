//! The journal that is being written: one descriptor, good until its first error (J4).

use super::error::{Error, Step};
use super::journal;
use super::journal_path;
use super::record::{Chain, HEAD};
use super::state::{Change, State};
use crate::sys::disk;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// Room for changes behind the snapshot: some two thousand of them, then a new journal is begun.
const ROOM: u64 = 256 << 10;
/// Sizes are multiples of this.
const STEP: u64 = 64 << 10;
/// How names of files begin that are not yet anything.
const TEMPORARY: &str = "journal.tmp-";

/// The journal that is being written.
#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    path: PathBuf,
    file: File,
    epoch: u64,
    chain: Chain,
    /// Where the next record goes.
    end: u64,
    /// How much room is reserved.
    size: u64,
    /// Room for the next journal is reserved too.
    reserved: bool,
}

/// What a new journal is begun with.
#[derive(Debug)]
pub(super) struct Content<'a> {
    /// Its snapshot.
    pub(super) state: &'a State,
    /// Changes in that snapshot which the audit log may lack.
    pub(super) unaudited: &'a [Change],
    /// Changes that are to be appended next.
    pub(super) ahead: &'a [Change],
}

impl Journal {
    /// A new journal with this content and more room (J3, J5). `suspicious`: something went wrong before, so what
    /// was written is read back from the disk.
    pub(super) fn begin(
        dir: &Path,
        epoch: u64,
        content: &Content<'_>,
        suspicious: bool,
    ) -> Result<Journal, Error> {
        let (bytes, chain) = journal::begin(epoch, salt(), content.state, content.unaudited);
        let ahead = content.ahead.iter().filter_map(|change| journal::body(change).ok());
        let needed = bytes.len() as u64 + ahead.map(|body| (HEAD + body.len()) as u64).sum::<u64>();
        let size = (needed + ROOM).next_multiple_of(STEP);
        disk::make_dir(dir).map_err(|e| Error::disk(Step::MakingDirectory, dir, e))?;
        sweep(dir);
        let (path, next) = (journal_path(dir), next_path(dir));
        let file = match reuse(&next, size) {
            Some(file) => file,
            // On a full disk less room than one would like is better than none.
            None => match make(dir, size) {
                Ok(file) => file,
                Err(e) => reuse(&next, needed).ok_or(e)?,
            },
        };
        let size = file.metadata().map_or(needed, |seen| seen.len().min(size));
        let failed = |step| {
            let next = next.clone();
            move |e| {
                // Whatever is there now is no room that could be used again.
                disk::remove(&next).ok();
                Error::disk(step, &next, e)
            }
        };
        disk::write_at(&file, &bytes, 0).map_err(failed(Step::Writing))?;
        disk::sync_all(&file).map_err(failed(Step::Syncing))?;
        if suspicious {
            let seen = disk::read_back(&file, bytes.len()).map_err(failed(Step::ReadingBack))?;
            if seen != bytes {
                let differs = io::Error::new(io::ErrorKind::InvalidData, "not what was written");
                return Err(failed(Step::ReadingBack)(differs));
            }
        }
        disk::rename(&next, &path).map_err(failed(Step::Renaming))?;
        disk::sync_dir(dir).map_err(|e| Error::disk(Step::SyncingDirectory, dir, e))?;
        let end = bytes.len() as u64;
        let mut journal =
            Journal { dir: dir.to_owned(), path, file, epoch, chain, end, size, reserved: false };
        journal.reserve();
        Ok(journal)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// True while this file has its name: what is written to a file that was removed is lost with it.
    pub(super) fn is_in_place(&self) -> bool {
        disk::names_this(&self.path, &self.file).unwrap_or(false)
    }

    /// Appends these changes and syncs them, all with one write. The journal is given back only when all
    /// went well; [`Step::MakingRoom`]: nothing was written, its room does not suffice.
    pub(super) fn append(mut self, changes: &[Change]) -> Result<Journal, (io::Error, Step)> {
        let mut bytes = Vec::new();
        let mut chain = self.chain;
        for change in changes {
            let body = journal::body(change)
                .map_err(|e| (io::Error::new(io::ErrorKind::InvalidInput, e), Step::Writing))?;
            chain.append(&body, &mut bytes);
        }
        let end = self.end + bytes.len() as u64;
        if end > self.size {
            return Err((io::Error::from(io::ErrorKind::StorageFull), Step::MakingRoom));
        }
        disk::write_at(&self.file, &bytes, self.end).map_err(|e| (e, Step::Writing))?;
        disk::sync_data(&self.file).map_err(|e| (e, Step::Syncing))?;
        (self.chain, self.end) = (chain, end);
        Ok(self)
    }

    /// Reserves the room of the next journal, unless it is. That it cannot be done now is no error: it is
    /// tried again.
    pub(super) fn reserve(&mut self) {
        if !self.reserved {
            self.reserved = make(&self.dir, self.size).is_ok();
        }
    }
}

fn next_path(dir: &Path) -> PathBuf {
    dir.join("journal.next")
}

/// The file whose room was reserved earlier, if it has `size` bytes.
fn reuse(next: &Path, size: u64) -> Option<File> {
    let file = disk::open_existing(next).ok()?;
    (file.metadata().ok()?.len() >= size).then_some(file)
}

/// `journal.next` with `size` bytes of room.
fn make(dir: &Path, size: u64) -> Result<File, Error> {
    let next = next_path(dir);
    let failed = |e| Error::disk(Step::Reserving, &next, e);
    // It has its name only when the room is there. A failed reservation can leave a partly grown file,
    // which goes with the temporary name.
    let (file, name): (File, TempPath) = disk::temporary(dir, TEMPORARY).map_err(failed)?;
    disk::preallocate(&file, size).map_err(failed)?;
    disk::rename(&name, &next).map_err(failed)?;
    // Nothing to remove any more.
    let _ = name.keep();
    Ok(file)
}

/// Removes what earlier lives left half made.
fn sweep(dir: &Path) {
    for path in disk::names(dir, TEMPORARY).unwrap_or_default() {
        disk::remove(&path).ok();
    }
}

/// The epoch of a journal that an earlier life began and did not name.
pub(super) fn leftover_epoch(dir: &Path) -> u64 {
    disk::read(&next_path(dir), super::READ_MAX).map_or(0, |bytes| journal::epoch_of(&bytes))
}

/// Gives a damaged journal a second name, for a person to look at: the first stays until a new journal
/// takes it, so that what is proven in it is never without a name.
pub(super) fn keep_damaged(path: &Path) -> io::Result<PathBuf> {
    let mut kept = path.with_extension("damaged");
    for number in 2.. {
        match disk::link(path, &kept) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && !disk::same_file(path, &kept)? => {
                kept = path.with_extension(format!("damaged-{number}"));
            }
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => break,
        }
    }
    Ok(kept)
}

/// A random number: the standard library seeds each hasher from the system.
fn salt() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
