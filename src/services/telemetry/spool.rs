//! The file of batches: `telemetry.jsonl` in the directory of logs, rotated, bounded.
//!
//! A batch is in it when its last line, which holds its summary, is whole. What stands behind the last summary was being
//! written when the writer died, and is cut off before anything else is written.

use crate::services::logger::file::LogFile;
use crate::services::logger::older;
use crate::telemetry::{Settings, Summary};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The longest batch that is read back, in bytes: a full one is a few MiB.
pub const BATCH_MAX: u64 = 16 << 20;

/// The file, for its one writer.
#[derive(Debug)]
pub struct Spool {
    logs: PathBuf,
    file: LogFile,
}

/// The current file.
pub fn path(logs: &Path) -> PathBuf {
    logs.join("telemetry.jsonl")
}

impl Spool {
    /// In this directory; also gives the summary of the last batch that was written.
    ///
    /// # Errors
    /// It cannot be opened, read or cut. What it holds is of no matter: without a summary it begins anew.
    pub fn open(logs: &Path, settings: &Settings) -> io::Result<(Spool, Summary)> {
        let file = LogFile::of_batches("telemetry", settings.max_size, settings.files);
        let mut spool = Spool { logs: logs.to_owned(), file };
        let end = spool.file.end(logs)?.offset;
        let current = File::options().read(true).write(true).open(path(logs))?;
        let found = last_summary(&current, end)?;
        let whole = found.as_ref().map_or(0, |(_, whole)| *whole);
        if whole < end && end - whole <= BATCH_MAX {
            current.set_len(whole)?;
        }
        let summary = match found {
            Some((summary, _)) => summary,
            None => last_of(&older(&path(logs), 1)).unwrap_or_default(),
        };
        Ok((spool, summary))
    }

    /// Appends the lines of a batch: all or nothing.
    ///
    /// # Errors
    /// Nothing of it is in the file.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let end = self.file.end(&self.logs)?;
        if end.offset > 0 && end.offset + lines.len() as u64 > self.file.max_size {
            self.file.rotate(&self.logs)?;
            self.file.end(&self.logs)?;
        }
        self.file.append(lines)
    }

    /// How it is rotated from now on.
    pub fn set_sizes(&mut self, settings: &Settings) {
        (self.file.max_size, self.file.files) = (settings.max_size, settings.files);
    }
}

/// The last summary of the files in this directory; `None`: there is none. For whoever only reads.
pub fn last(logs: &Path) -> Option<Summary> {
    last_of(&path(logs)).or_else(|| last_of(&older(&path(logs), 1)))
}

fn last_of(path: &Path) -> Option<Summary> {
    let file = File::open(path).ok()?;
    let end = file.metadata().ok()?.len();
    last_summary(&file, end).ok()?.map(|(summary, _)| summary)
}

/// The last summary before `end`, and where its line ends.
fn last_summary(file: &File, end: u64) -> io::Result<Option<(Summary, u64)>> {
    // Most batches are small.
    for length in [64 << 10, BATCH_MAX] {
        let begin = end.saturating_sub(length);
        let mut bytes = vec![0; (end - begin) as usize];
        file.read_exact_at(&mut bytes, begin)?;
        let mut rest = &bytes[..bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)];
        while let Some(line_end) = rest.len().checked_sub(1) {
            let line = rest[..line_end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            // The first one may be cut off at its beginning: then it is no object.
            if let Some(summary) = Summary::read(&rest[line..line_end]) {
                return Ok(Some((summary, begin + rest.len() as u64)));
            }
            rest = &rest[..line];
        }
        if begin == 0 {
            break;
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Batch, Event, Life, Record, Verdict, otlp};
    use crate::time::Instant;
    use std::fs;

    fn settings(max_size: u64) -> Settings {
        Settings { max_size, files: 3, ..Settings::default() }
    }

    fn write(spool: &mut Spool, before: &Summary, name: &str) -> Summary {
        let mut batch = Batch::new(&Settings::default());
        let life = Life { service: "web".into(), ..Life::default() };
        let record = Record::Event(Event { name: name.into(), ..Event::default() });
        batch.took(Instant::ZERO, &life, record, Verdict::Keep { share: 1.0 });
        let summary = batch.summary(before);
        let mut lines = Vec::new();
        otlp::lines(&batch, &summary, "shop", 0, &mut lines);
        spool.append(&lines).unwrap();
        summary
    }

    #[test]
    fn the_last_summary_is_found_whatever_follows_it_and_that_is_cut_off() {
        let home = tempfile::tempdir().unwrap();
        let (mut spool, begin) = Spool::open(home.path(), &settings(1 << 20)).unwrap();
        assert_eq!(begin, Summary::default());
        let first = write(&mut spool, &begin, "one");
        let second = write(&mut spool, &first, &"two".repeat(50_000));
        let whole = fs::read(path(home.path())).unwrap();
        for behind in [
            &b""[..],
            b"{\"resourceSpans\":[]}\n",
            b"{\"resourceSpans\":[]}\n{\"resourceLo",
            b"\0\n\n\xff",
            b"\n",
        ] {
            fs::write(path(home.path()), [&whole, behind].concat()).unwrap();
            let (_, found) = Spool::open(home.path(), &settings(1 << 20)).unwrap();
            assert_eq!(found, second);
            assert!(fs::read(path(home.path())).unwrap() == whole, "{behind:?} is cut off");
        }
    }

    #[test]
    fn a_file_that_was_cut_anywhere_has_the_batches_that_are_whole() {
        let home = tempfile::tempdir().unwrap();
        let (mut spool, begin) = Spool::open(home.path(), &settings(1 << 20)).unwrap();
        let first = write(&mut spool, &begin, "one");
        let one = fs::read(path(home.path())).unwrap().len();
        write(&mut spool, &first, "two");
        let whole = fs::read(path(home.path())).unwrap();
        for cut in 0..whole.len() {
            fs::write(path(home.path()), &whole[..cut]).unwrap();
            let (_, found) = Spool::open(home.path(), &settings(1 << 20)).unwrap();
            let expected = if cut < one { Summary::default() } else { first.clone() };
            assert_eq!(found, expected, "after {cut} bytes");
        }
    }

    #[test]
    fn a_file_that_was_just_rotated_leads_to_the_one_before() {
        let home = tempfile::tempdir().unwrap();
        let (mut spool, mut summary) = Spool::open(home.path(), &settings(4096)).unwrap();
        for _ in 0..20 {
            summary = write(&mut spool, &summary, "x");
        }
        assert!(fs::metadata(path(home.path())).unwrap().len() <= 4096);
        assert!(!older(&path(home.path()), 3).exists(), "three are kept");
        fs::rename(path(home.path()), older(&path(home.path()), 1)).unwrap();
        let (_, found) = Spool::open(home.path(), &settings(4096)).unwrap();
        assert_eq!((found.number, last(home.path()).map(|last| last.number)), (20, Some(20)));
    }
}
