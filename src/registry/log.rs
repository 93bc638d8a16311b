//! The truth of the names: a file of the state directory that outlives the registry, and means nothing after the boot,
//! because whoever is in it has died with that.
//!
//! A line is `crc32` in eight hexadecimal digits, a blank, a JSON object. The first says which boot it is of. What a
//! registry that was killed left half written ends what is believed; nothing is synced, because only a boot could lose it.

use crate::ipc::registry::Entry;
use crate::sys::clock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file, in the state directory.
const NAME: &str = "registry";
/// No line is longer: metadata is bounded.
const LINE_MAX: u64 = 64 << 10;
/// More lines than this beyond twice the names: it is written anew.
const SLACK: usize = 1024;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Boot { boot: String, last: u64 },
    Added(Entry),
    Gone { name: String, ticket: u64 },
}

/// What a log says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recalled {
    /// What is registered, each by a process that may have ended meanwhile.
    pub entries: BTreeMap<String, Entry>,
    /// The highest number of a registration so far.
    pub last: u64,
}

/// Reads the log of this boot; `None`: there is none. Changes nothing.
pub fn recall(state: &Path) -> Option<Recalled> {
    let (file, _) = crate::sys::shared_file::open(&state.join(NAME), false).ok()?;
    let mut lines = lines(BufReader::new(file));
    let boot = clock::boot_id().unwrap_or_default();
    let mut recalled = match lines.next()? {
        Line::Boot { boot: of, last } if of == boot => Recalled { last, ..Recalled::default() },
        _ => return None,
    };
    for line in lines {
        match line {
            Line::Added(entry) => {
                recalled.last = recalled.last.max(entry.ticket);
                recalled.entries.insert(entry.name.clone(), entry);
            }
            Line::Gone { name, ticket } => {
                if recalled.entries.get(&name).is_some_and(|entry| entry.ticket == ticket) {
                    recalled.entries.remove(&name);
                }
            }
            Line::Boot { .. } => break,
        }
    }
    Some(recalled)
}

/// The lines up to the first that is none.
fn lines(mut file: impl BufRead) -> impl Iterator<Item = Line> {
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        io::Read::take(&mut file, LINE_MAX).read_until(b'\n', &mut line).ok()?;
        let text = line.strip_suffix(b"\n")?;
        let (sum, json) = text.split_at_checked(9)?;
        let sum = u32::from_str_radix(str::from_utf8(sum.get(..8)?).ok()?, 16).ok()?;
        if sum != crc32fast::hash(json) || text[8] != b' ' {
            return None;
        }
        serde_json::from_slice(json).ok()
    })
}

fn append(line: &Line, onto: &mut Vec<u8>) -> io::Result<()> {
    let json = serde_json::to_vec(line)?;
    write!(onto, "{:08x} ", crc32fast::hash(&json))?;
    onto.extend(json);
    onto.push(b'\n');
    Ok(())
}

/// The log of the registry that is at work.
pub struct Log {
    path: PathBuf,
    /// `None`: it could not be written; what is in memory is all there is, until it can be written anew.
    file: Option<File>,
    lines: usize,
}

impl Log {
    /// Not written yet: begin with [`Log::renew`].
    pub fn new(state: &Path) -> Log {
        Log { path: state.join(NAME), file: None, lines: 0 }
    }

    /// Writes it anew with what is registered, beside the old one, which it replaces in one step.
    ///
    /// # Errors
    /// The disk is full, say. Then nothing is written until this is called again with success.
    pub fn renew<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>, last: u64) -> io::Result<()> {
        self.file = None;
        let boot = clock::boot_id().unwrap_or_default();
        let mut bytes = Vec::new();
        append(&Line::Boot { boot, last }, &mut bytes)?;
        self.lines = 0;
        for entry in entries {
            append(&Line::Added(entry.clone()), &mut bytes)?;
            self.lines += 1;
        }
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        crate::sys::disk::make_dir(folder)?;
        let mut new = tempfile::Builder::new().prefix(".registry-").tempfile_in(folder)?;
        new.write_all(&bytes)?;
        new.persist(&self.path).map_err(|error| error.error)?;
        let opened = File::options().append(true).custom_flags(libc::O_NOFOLLOW).open(&self.path)?;
        self.file = Some(opened);
        Ok(())
    }

    /// Adds what was registered. False: it needs to be written anew.
    pub fn added(&mut self, entry: &Entry) -> bool {
        self.write(&Line::Added(entry.clone()))
    }

    /// Adds that a name is gone. False: it needs to be written anew.
    pub fn gone(&mut self, entry: &Entry) -> bool {
        self.write(&Line::Gone { name: entry.name.clone(), ticket: entry.ticket })
    }

    fn write(&mut self, line: &Line) -> bool {
        let mut bytes = Vec::new();
        let written = match (&mut self.file, append(line, &mut bytes)) {
            // One call: a process that is killed leaves the line, or the beginning of one.
            (Some(file), Ok(())) => file.write_all(&bytes).is_ok(),
            _ => false,
        };
        if !written {
            // Half a line may stand there: behind it nothing would be believed.
            self.file = None;
        }
        self.lines += 1;
        written
    }

    /// Whether it has grown out of proportion to so many names, or is not the file that its name leads to.
    pub fn needs_renewal(&self, names: usize) -> bool {
        let Some(file) = &self.file else { return true };
        self.lines > 2 * names + SLACK || !is_at(file, &self.path)
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    use std::os::fd::AsFd;
    let look = crate::sys::shared_file::look;
    let ours = crate::sys::shared_file::look_at(file.as_fd());
    matches!((ours, look(path)), (Ok(ours), Ok(there)) if ours.identity == there.identity)
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::entry;
    use super::*;
    use std::fs;

    fn numbered(name: &str, ticket: u64) -> Entry {
        Entry { ticket, ..entry(name, 7, &[("port", "80")]) }
    }

    #[test]
    fn what_was_added_and_is_not_gone_is_recalled() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(recall(folder.path()), None);
        let mut log = Log::new(folder.path());
        assert!(!log.added(&numbered("a", 1)), "before it was begun");
        log.renew([numbered("a", 1)].iter(), 5).unwrap();
        assert!(log.added(&numbered("b", 6)) && log.added(&numbered("c", 7)));
        assert!(log.gone(&numbered("a", 1)) && log.added(&numbered("a", 8)));
        // Late news of a registration that was replaced.
        assert!(log.gone(&numbered("a", 1)) && log.gone(&numbered("b", 6)));
        let recalled = recall(folder.path()).unwrap();
        let entries: Vec<_> = recalled.entries.into_values().collect();
        assert_eq!((entries, recalled.last), (vec![numbered("a", 8), numbered("c", 7)], 8));
    }

    #[test]
    fn a_log_that_could_not_be_written_is_written_anew_before_anything_follows_the_half_of_a_line() {
        let path = PathBuf::from("/dev/full");
        let file = File::options().append(true).open(&path).unwrap();
        let mut log = Log { path, file: Some(file), lines: 0 };
        assert!(!log.needs_renewal(1) && !log.added(&numbered("a", 1)));
        assert!(log.needs_renewal(1) && !log.added(&numbered("b", 2)));
    }

    #[test]
    fn torn_or_damaged_at_any_byte_what_stands_before_is_recalled() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::new(folder.path());
        log.renew([].iter(), 0).unwrap();
        for ticket in 1..4 {
            assert!(log.added(&numbered(&format!("n{ticket}"), ticket)));
        }
        let path = folder.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
        for at in 0..whole.len() {
            let lines = ends.iter().filter(|end| **end < at).count();
            let expected = lines.checked_sub(1);
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(recall(folder.path()).map(|r| r.entries.len()), expected, "cut at {at}");
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let got = recall(folder.path()).map(|r| r.entries.len());
            assert_eq!(got, expected, "damaged at {at}");
        }
    }

    #[test]
    fn the_log_of_another_boot_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = Vec::new();
        append(&Line::Boot { boot: "another".into(), last: 3 }, &mut bytes).unwrap();
        append(&Line::Added(numbered("a", 3)), &mut bytes).unwrap();
        fs::write(folder.path().join(NAME), bytes).unwrap();
        assert_eq!(recall(folder.path()), None);
    }

    #[test]
    fn a_log_that_was_deleted_or_has_grown_is_to_be_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::new(folder.path());
        log.renew([].iter(), 0).unwrap();
        assert!(!log.needs_renewal(0));
        for ticket in 0..=SLACK as u64 {
            assert!(log.added(&numbered("a", ticket)));
        }
        assert!(log.needs_renewal(0) && !log.needs_renewal(1));
        fs::remove_file(folder.path().join(NAME)).unwrap();
        assert!(log.needs_renewal(1));
        log.renew([numbered("a", 9)].iter(), 9).unwrap();
        assert_eq!(recall(folder.path()).unwrap().last, 9);
    }
}
