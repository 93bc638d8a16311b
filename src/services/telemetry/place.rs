//! How far the exporter is in the files of batches, and how it goes: a small file of its own, so that its next life goes on
//! where it was, and anybody can look.

use super::spool::{BATCH_MAX, path};
use crate::services::logger::older;
use crate::telemetry::Summary;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What the exporter has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// 1
    pub schema: u32,
    /// The last batch that it is done with.
    pub number: u64,
    /// Records that had been written up to that batch.
    pub written: u64,
    /// Records that a collector has.
    pub exported: u64,
    /// Records that a collector does not want.
    pub rejected: u64,
    /// Records that were rotated away before a collector had them.
    pub dropped: u64,
    /// What is wrong with the collector; empty: nothing.
    pub trouble: String,
}

/// Where it is kept.
pub fn file(state: &Path) -> PathBuf {
    state.join("telemetry.json")
}

impl Place {
    /// What the last life left; `None`: nothing, or nothing that can be understood.
    pub fn read(state: &Path) -> Option<Place> {
        serde_json::from_slice(&std::fs::read(file(state)).ok()?).ok()
    }

    /// Leaves it, whole or not at all.
    ///
    /// # Errors
    /// Those of making a file.
    pub fn save(&self, state: &Path) -> io::Result<()> {
        let mut made = tempfile::NamedTempFile::new_in(state)?;
        serde_json::to_writer(&mut made, self)?;
        made.write_all(b"\n")?;
        made.persist(file(state)).map_err(|error| error.error)?;
        Ok(())
    }
}

/// One batch, as it stands in a file.
#[derive(Debug)]
pub struct Stored {
    /// Its lines of traces and logs, without their ends: one or two.
    pub lines: Vec<Vec<u8>>,
    /// What it says of itself.
    pub summary: Summary,
}

/// Reads batches in their order, through rotations.
#[derive(Debug)]
pub struct Reader {
    logs: PathBuf,
    open: Option<(File, u64)>,
}

impl Reader {
    /// From the oldest file on.
    pub fn new(logs: &Path) -> Reader {
        Reader { logs: logs.to_owned(), open: None }
    }

    /// The next batch with a number above `after`; `None`: there is none yet.
    ///
    /// # Errors
    /// Those of reading.
    pub fn next(&mut self, after: u64) -> io::Result<Option<Stored>> {
        loop {
            if self.open.is_none() && !self.open_oldest()? {
                return Ok(None);
            }
            while let Some(stored) = self.read()? {
                if stored.summary.number > after {
                    return Ok(Some(stored));
                }
            }
            if !self.open_following()? {
                return Ok(None);
            }
        }
    }

    /// The next batch in the open file.
    fn read(&mut self) -> io::Result<Option<Stored>> {
        let Some((file, offset)) = &mut self.open else { return Ok(None) };
        let mut bytes = Vec::new();
        // Most batches are small.
        for length in [256 << 10, BATCH_MAX as usize] {
            let known = bytes.len();
            bytes.resize(length, 0);
            let count = read_at(file, &mut bytes[known..], *offset + known as u64)?;
            bytes.truncate(known + count);
            let (mut lines, mut begin) = (Vec::new(), 0);
            while let Some(end) = bytes[begin..].iter().position(|byte| *byte == b'\n') {
                let line = &bytes[begin..begin + end];
                begin += end + 1;
                lines.push(line.to_vec());
                if let Some(summary) = Summary::read(line) {
                    *offset += begin as u64;
                    return Ok(Some(Stored { lines, summary }));
                }
            }
            if known + count < length {
                return Ok(None);
            }
        }
        // Nothing of ours is so long: what stands here is passed over.
        *offset += bytes.len() as u64;
        Ok(None)
    }

    fn open_oldest(&mut self) -> io::Result<bool> {
        let current = path(&self.logs);
        let oldest = (0..).find(|n| !older(&current, n + 1).exists()).unwrap_or(0);
        self.open_at(&older(&current, oldest))
    }

    /// Opens the file that was begun after the open one; false: that is still the newest.
    fn open_following(&mut self) -> io::Result<bool> {
        let Some((file, offset)) = &self.open else { return Ok(false) };
        let (ours, end) = (file.metadata()?, *offset);
        let current = path(&self.logs);
        let is_ours = |at: &Path| {
            at.metadata().is_ok_and(|found| (found.dev(), found.ino()) == (ours.dev(), ours.ino()))
        };
        if is_ours(&current) {
            if ours.len() < end {
                // Somebody cut it.
                self.open = None;
                return self.open_at(&current);
            }
            return Ok(false);
        }
        let place =
            (1..).take_while(|n| older(&current, *n).exists()).find(|n| is_ours(&older(&current, *n)));
        match place {
            Some(n) => self.open_at(&older(&current, n - 1)),
            // Rotated away, or deleted.
            None => self.open_oldest(),
        }
    }

    fn open_at(&mut self, at: &Path) -> io::Result<bool> {
        match File::open(at) {
            Ok(file) => {
                self.open = Some((file, 0));
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.open = None;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::super::spool::Spool;
    use super::*;
    use crate::telemetry::{Batch, Counts, Settings, otlp};

    fn write(spool: &mut Spool, number: u64) {
        let batch = Batch::new(&Settings::default());
        let totals = Counts { written: number, ..Counts::default() };
        let summary = Summary { number, totals, ..Summary::default() };
        let mut lines = Vec::new();
        otlp::lines(&batch, &summary, "shop", 0, &mut lines);
        spool.append(&lines).unwrap();
    }

    fn rig(max_size: u64) -> (tempfile::TempDir, Spool) {
        let home = tempfile::tempdir().unwrap();
        let settings = Settings { max_size, files: 3, ..Settings::default() };
        let (spool, _) = Spool::open(home.path(), &settings).unwrap();
        (home, spool)
    }

    #[test]
    fn every_batch_is_read_once_in_order_through_rotations() {
        let (home, mut spool) = rig(5000);
        let mut reader = Reader::new(home.path());
        assert!(reader.next(0).unwrap().is_none());
        let mut read = Vec::new();
        for number in 1..61 {
            write(&mut spool, number);
            if number % 3 == 0 {
                while let Some(stored) = reader.next(0).unwrap() {
                    read.push(stored.summary.number);
                }
            }
        }
        assert_eq!(read, (1..61).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_done_is_passed_over_and_what_is_rotated_away_is_missing() {
        let (home, mut spool) = rig(5000);
        let mut reader = Reader::new(home.path());
        (1..10).for_each(|number| write(&mut spool, number));
        assert_eq!(reader.next(4).unwrap().map(|stored| stored.summary.number), Some(5));
        (10..200).for_each(|number| write(&mut spool, number));
        let mut numbers = Vec::new();
        while let Some(stored) = reader.next(5).unwrap() {
            numbers.push(stored.summary.number);
        }
        assert_eq!(numbers.last(), Some(&199));
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    }

    #[test]
    fn a_place_is_read_as_it_was_left_and_garbage_is_none() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Place::read(home.path()), None);
        let place = Place { schema: 1, number: 7, exported: 3, trouble: "x".into(), ..Place::default() };
        place.save(home.path()).unwrap();
        assert_eq!(Place::read(home.path()), Some(place));
        std::fs::write(file(home.path()), b"{").unwrap();
        assert_eq!(Place::read(home.path()), None);
    }
}
