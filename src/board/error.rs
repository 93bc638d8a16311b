//! What can go wrong with a board, and what was found wrong and mended.

use super::entry::{LISTED_MAX, STAGES_MAX};
use crate::flags::{ID_MAX, NAME_MAX, NotAName};
use crate::sys::mapping::REGION_BYTES;
use crate::sys::shared_file::Kind;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why the writer could not do what it was asked.
#[derive(Debug)]
pub enum Error {
    /// A system call failed.
    System {
        /// What was being done: "reserving space for".
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// A flag's name is none.
    Name(NotAName),
    /// A salt has more than 128 bytes: the flag, and how many.
    Salt(String, usize),
    /// The lists of a flag have too many ids together: the flag, and how many.
    Listed(String, usize),
    /// A listed id has no bytes, or too many: the flag, and how many.
    Id(String, usize),
    /// A migration has or is at more stages than can be: its name, and how many.
    Stage(String, u32),
    /// The name of a stage has no bytes, or too many: the migration, and how many.
    StageName(String, usize),
    /// A name is declared twice.
    Twice(String),
    /// No flag has this name.
    Unknown(String),
    /// More flags than a board holds: how many.
    TooMany(usize),
    /// Numbers, texts and lists are longer than a board holds: how many bytes.
    TooLong(usize),
}

impl Error {
    pub(super) fn at(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::System { doing, path: path.to_owned(), source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::System { doing, path, source } => {
                write!(f, "flag board: {doing} `{}`: {source}", path.display())
            }
            Error::Name(why) => why.fmt(f),
            Error::Salt(flag, bytes) => {
                write!(f, "the salt of flag `{flag}` has {bytes} bytes; 128 are the most")
            }
            Error::Listed(flag, ids) => {
                write!(f, "the lists of flag `{flag}` have {ids} ids; {LISTED_MAX} are the most")
            }
            Error::Id(flag, bytes) => {
                write!(f, "a listed id of flag `{flag}` has {bytes} bytes; 1 to {ID_MAX} are possible")
            }
            Error::Stage(name, stages) => {
                write!(f, "`{name}` is at or has stage {stages}; a migration has {STAGES_MAX} at most")
            }
            Error::StageName(name, bytes) => {
                write!(f, "the name of a stage of `{name}` has {bytes} bytes; 1 to {NAME_MAX} are possible")
            }
            Error::Twice(flag) => write!(f, "flag `{flag}` is declared twice"),
            Error::Unknown(flag) => write!(f, "no flag is named `{flag}`"),
            Error::TooMany(flags) => {
                write!(f, "{flags} flags are more than a board holds ({})", super::layout::SLOTS_MAX)
            }
            Error::TooLong(bytes) => {
                write!(
                    f,
                    "the numbers, texts and lists of all flags need {bytes} bytes, and a board has {REGION_BYTES}"
                )
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::System { source, .. } => Some(source),
            Error::Name(why) => Some(why),
            _ => None,
        }
    }
}

/// Something that was wrong and is right again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// The board's name was gone, or led elsewhere: the same file has it again. No reader noticed.
    LinkedBack(Found),
    /// The second link was gone, or led elsewhere.
    KeptAgain,
    /// Permissions were changed: what they were.
    Mode(u32),
    /// This many cells differed from the truth.
    Cells(usize),
    /// A new board stands in place of the old.
    Replaced(Damage),
    /// A board that nobody should read any more was marked retired.
    RetiredStray,
}

/// What stood where the board should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A file, directory or something else.
    Stranger(Kind),
}

/// Why a board could not be mended in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// There was none.
    Missing,
    /// Its last name was gone.
    Deleted,
    /// Its length was changed: to how many bytes.
    Length(u64),
    /// It went away under its mapping.
    Lost,
    /// Header, state or names are not a board's.
    Unsound,
    /// Nothing is wrong: it must grow, or a salt changed.
    Outgrown,
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Repair::LinkedBack(Found::Nothing) => f.write_str("the flag board was deleted; put back"),
            Repair::LinkedBack(Found::Stranger(kind)) => {
                let what = match kind {
                    Kind::File => "another file",
                    Kind::Directory => "a directory",
                    Kind::Other => "a link, fifo or socket",
                };
                write!(f, "{what} stood in the flag board's place; the board was put back")
            }
            Repair::KeptAgain => f.write_str("the flag board's second link was gone; made again"),
            Repair::Mode(mode) => write!(f, "the flag board's mode was {mode:o}; 644 again"),
            Repair::Cells(1) => f.write_str("one word of the flag board was wrong; mended"),
            Repair::Cells(cells) => write!(f, "{cells} words of the flag board were wrong; mended"),
            Repair::RetiredStray => f.write_str("an old flag board was found and retired"),
            Repair::Replaced(damage) => {
                f.write_str("a new flag board was made: ")?;
                match damage {
                    Damage::Missing => f.write_str("there was none"),
                    Damage::Deleted => f.write_str("every name of the old one was deleted"),
                    Damage::Length(bytes) => write!(f, "the old one was cut or grown to {bytes} bytes"),
                    Damage::Lost => f.write_str("the old one went away under its mapping"),
                    Damage::Unsound => f.write_str("the old one's structure was damaged"),
                    Damage::Outgrown => f.write_str("the old one was outgrown"),
                }
            }
        }
    }
}
