//! Reading an audit log: the newest lines first, and the proof that none was changed.

use super::back::{Back, LINE_MAX};
use super::line::{Digest, Line};
use crate::sys::disk;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// What [`newest`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The newest first.
    pub lines: Vec<Line>,
    /// So many lines on the way were no lines of an audit log: damaged, or of another program.
    pub passed_over: u64,
    /// False: there are older ones that nobody looked at.
    pub all: bool,
}

/// The newest lines about this flag or migration (empty: about anything), at most `most`, the newest first. No log:
/// none.
///
/// # Errors
/// The file cannot be read, or is no regular file of ours.
pub fn newest(path: &Path, about: &str, most: usize) -> io::Result<Found> {
    let mut found = Found::default();
    let file = match disk::open_to_read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found { all: true, ..found }),
        other => other?,
    };
    let (back, _) = Back::new(&file, file.metadata()?.len())?;
    for line in back {
        if found.lines.len() == most {
            return Ok(found);
        }
        match line.map(|line| serde_json::from_slice::<Line>(&line)) {
            Ok(Ok(line)) if about.is_empty() || line.is_about(about) => found.lines.push(line),
            Ok(Ok(_)) => {}
            Ok(Err(_)) => found.passed_over += 1,
            // A line without an end: what is before it is not ours to find.
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                found.passed_over += 1;
                return Ok(found);
            }
            Err(e) => return Err(e),
        }
    }
    found.all = true;
    Ok(found)
}

/// A log that is whole: each line names the digest of the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// How many lines it has.
    pub lines: u64,
    /// The digest of the last, which a person may keep elsewhere: whoever rewrites the whole log changes it.
    pub digest: Digest,
}

/// Why a log is not proven.
#[derive(Debug)]
pub enum Broken {
    /// The first line that is not what was written, from 1.
    Line {
        /// Its number.
        number: u64,
        /// What is wrong with it.
        why: Wrong,
    },
    /// The file cannot be read.
    Unreadable(io::Error),
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is no line of an audit log.
    NoLine,
    /// It does not continue the line before it: one of both was changed, or one between them is missing.
    Chain,
    /// It continues a line that is not there: what was before it was cut off.
    Beginning,
    /// It has no end: it was torn, or is just being written.
    Torn,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, why) = match self {
            Broken::Line { number, why } => (number, why),
            Broken::Unreadable(e) => return write!(f, "the audit log cannot be read: {e}"),
        };
        let why = match why {
            Wrong::NoLine => "it is no line of an audit log",
            Wrong::Chain => "it does not continue the line before it: one was changed, or one is missing",
            Wrong::Beginning => "what was before it was cut off",
            Wrong::Torn => "it has no end: it was torn, or is just being written",
        };
        write!(f, "the audit log is broken at line {number}: {why}")
    }
}

impl std::error::Error for Broken {}

/// Walks the whole chain.
///
/// # Errors
/// The first line that is not proven. No log is a whole log without lines. Lines that were cut off at the end leave
/// a whole log: keep [`Whole::digest`] to see that.
pub fn verify(path: &Path) -> Result<Whole, Broken> {
    let mut whole = Whole { lines: 0, digest: Digest::default() };
    let file = match disk::open_to_read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(whole),
        other => other.map_err(Broken::Unreadable)?,
    };
    let mut reader = BufReader::new(file);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let mut bounded = reader.by_ref().take(LINE_MAX as u64 + 1);
        if bounded.read_until(b'\n', &mut bytes).map_err(Broken::Unreadable)? == 0 {
            return Ok(whole);
        }
        let number = whole.lines + 1;
        let broken = |why| Broken::Line { number, why };
        let Some(line) = bytes.strip_suffix(b"\n") else {
            return Err(broken(if bytes.len() > LINE_MAX { Wrong::NoLine } else { Wrong::Torn }));
        };
        let said = serde_json::from_slice::<Line>(line).map_err(|_| broken(Wrong::NoLine))?;
        if said.prev != whole.digest.to_string() {
            return Err(broken(if number == 1 { Wrong::Beginning } else { Wrong::Chain }));
        }
        whole = Whole { lines: number, digest: Digest::of(line) };
    }
}
