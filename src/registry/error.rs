//! What can go wrong with the table of names, and what was found wrong and mended.

use crate::ipc::client::CallError;
use crate::ipc::control::Refusal;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why the table could not be written.
#[derive(Debug)]
pub enum TableError {
    /// A system call failed.
    System {
        /// What was being done: "reserving space for".
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// More names, or longer ones, than a table holds.
    Full,
}

impl TableError {
    pub(super) fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TableError {
        move |source| TableError::System { doing, path: path.to_owned(), source }
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableError::System { doing, path, source } => {
                write!(f, "table of names: {doing} `{}`: {source}", path.display())
            }
            TableError::Full => f.write_str("table of names: more names than it can hold"),
        }
    }
}

impl std::error::Error for TableError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TableError::System { source, .. } => Some(source),
            TableError::Full => None,
        }
    }
}

/// Something that was wrong and is right again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// A name of the table was gone, or led elsewhere: the same file has it again. No reader noticed.
    LinkedBack,
    /// Permissions were changed: what they were.
    Mode(u32),
    /// This many cells differed from the truth.
    Cells(usize),
    /// A new table stands in place of the old, which was deleted, cut, or went away under its mapping.
    Replaced,
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Repair::LinkedBack => f.write_str("the table of names was deleted; put back"),
            Repair::Mode(mode) => write!(f, "the table of names had mode {mode:o}; 644 again"),
            Repair::Cells(cells) => write!(f, "{cells} words of the table of names were wrong; mended"),
            Repair::Replaced => f.write_str("a new table of names was made: the old one was deleted or cut"),
        }
    }
}

/// Why there is no answer about names.
#[derive(Debug)]
pub enum Error {
    /// The registry said no, and why: the name is taken, say.
    Refused(Refusal),
    /// Nobody answers: there is no supervisor.
    Unreachable(CallError),
    /// No answer came in time. What was asked for may have been done; it can be asked for again.
    Late,
    /// There is no `$MAINSTAY_RUNTIME_DIR`: this process runs outside of a tree.
    NoTree,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(refusal) => f.write_str(&refusal.message),
            Error::Unreachable(error) => write!(f, "the registry cannot be asked: {error}"),
            Error::Late => f.write_str("the registry did not answer in time; try again"),
            Error::NoTree => f.write_str(
                "$MAINSTAY_RUNTIME_DIR is not set: this process runs outside of a tree; name its runtime directory",
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Unreachable(error) => Some(error),
            Error::Refused(_) | Error::Late | Error::NoTree => None,
        }
    }
}
