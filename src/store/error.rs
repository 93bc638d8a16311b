//! Why the journal cannot be read or written: what, where, and what to do.

use super::journal::Foreign;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why the journal cannot be read or written.
#[derive(Debug)]
pub struct Error {
    step: Step,
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Disk(io::Error),
    Foreign(Foreign),
}

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading the journal of the last life.
    Reading,
    /// Making the directory.
    MakingDirectory,
    /// Reserving room for a journal.
    Reserving,
    /// Writing the snapshot, or a change.
    Writing,
    /// Waiting until it was on the disk.
    Syncing,
    /// Reading a new journal back.
    ReadingBack,
    /// Giving a new journal its name.
    Renaming,
    /// Waiting until the name was on the disk.
    SyncingDirectory,
    /// The room that this journal reserved is used up.
    MakingRoom,
    /// Writing the audit log: so many changes wait for it that no further one can.
    Auditing,
}

impl Step {
    fn words(self) -> &'static str {
        match self {
            Step::Reading => "reading the journal",
            Step::MakingDirectory => "making the directory of the journal",
            Step::Reserving => "reserving room for the journal",
            Step::Writing => "writing the journal",
            Step::Syncing => "syncing the journal",
            Step::ReadingBack => "reading the new journal back",
            Step::Renaming => "renaming the new journal",
            Step::SyncingDirectory => "syncing the directory of the journal",
            Step::MakingRoom => "making room in the journal",
            Step::Auditing => "writing the audit log",
        }
    }
}

impl Error {
    pub(super) fn disk(step: Step, path: &Path, cause: io::Error) -> Error {
        Error { step, path: path.to_owned(), cause: Cause::Disk(cause) }
    }

    pub(super) fn foreign(path: &Path, foreign: Foreign) -> Error {
        Error { step: Step::Reading, path: path.to_owned(), cause: Cause::Foreign(foreign) }
    }

    /// What was being done.
    pub fn step(&self) -> Step {
        self.step
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match &self.cause {
            Cause::Foreign(_) => "run the newer mainstay that wrote it, or move the file away",
            Cause::Disk(e) => match e.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on that disk",
                io::ErrorKind::ReadOnlyFilesystem => "remount that disk read-write",
                io::ErrorKind::PermissionDenied => "give mainstay's user that directory",
                _ => "check that disk",
            },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`: ", self.step.words(), self.path.display())?;
        match &self.cause {
            Cause::Disk(e) => e.fmt(f),
            Cause::Foreign(Foreign::Version(version)) => write!(f, "it has version {version}"),
            Cause::Foreign(Foreign::Record(e)) => write!(f, "a record of it is {e}"),
        }
    }
}

impl std::error::Error for Error {}
