//! The file of crash records: appended to by the logger, bounded, readable by anybody at any moment.
//!
//! A line is a record or a note. Notes are of two kinds: numbers of records that could not be written when they should have
//! been, and numbers of records that somebody has thrown away. A reader leaves those out at once; the logger takes
//! them out of the file with the next record. So whoever throws records away only appends, and nobody waits for anybody.

use super::Record;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// More bytes than this, and the oldest records go.
const BYTES_MAX: u64 = 64 << 20;
/// More records than this, and the oldest go.
const RECORDS_MAX: usize = 500;
/// One fifth goes at once, so that it is rewritten every hundredth time and not each time.
const KEPT: (usize, usize) = (4, 5);
/// So many numbers of unwritten records are remembered, beside their count.
const NAMED: usize = 256;

/// The file of a project's crash records.
pub fn file(state: &Path) -> PathBuf {
    state.join("crashes.jsonl")
}

/// What is in it.
#[derive(Debug, Default)]
pub struct File {
    /// Oldest first.
    pub records: Vec<Record>,
    /// How many could not be written.
    pub unwritten: u64,
    /// The newest of those, in the order of their numbers.
    pub unwritten_ids: BTreeSet<u64>,
    /// The greatest number that was ever used here, as far as it is known.
    pub newest: u64,
}

/// All of it; nothing when there is no file. What is no record is passed over.
///
/// # Errors
/// It cannot be read.
pub fn read(state: &Path) -> io::Result<File> {
    let Lines { records, unwritten, unwritten_ids, newest, .. } = lines(&file(state))?;
    Ok(File {
        records: records.into_iter().map(|(_, record)| record).collect(),
        unwritten,
        unwritten_ids,
        newest,
    })
}

/// Throws these records away. The file is smaller when the logger has written its next record; where none runs,
/// [`Store::compact`] does it.
///
/// # Errors
/// It cannot be written to.
pub fn throw_away(state: &Path, numbers: &BTreeSet<u64>) -> io::Result<()> {
    let mut line = vec![b'\n'];
    serde_json::to_writer(
        &mut line,
        &Note { schema: super::SCHEMA, pruned: numbers.clone(), ..Note::default() },
    )?;
    line.push(b'\n');
    // In one write, behind whatever was there, torn or not: an empty line is passed over.
    OpenOptions::new().append(true).custom_flags(libc::O_NOFOLLOW).open(file(state))?.write_all(&line)
}

/// A line that is no record.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Note {
    schema: u32,
    /// How many could not be written.
    #[serde(skip_serializing_if = "is_zero")]
    unwritten: u64,
    /// The newest of them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    unwritten_ids: BTreeSet<u64>,
    /// Thrown away.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pruned: BTreeSet<u64>,
    /// The greatest number of all that are not here any more.
    #[serde(skip_serializing_if = "is_zero")]
    newest: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Debug, Default)]
struct Lines {
    /// Each as it stands, without its newline, and what it says; none that was thrown away.
    records: Vec<(Vec<u8>, Record)>,
    unwritten: u64,
    unwritten_ids: BTreeSet<u64>,
    pruned: BTreeSet<u64>,
    newest: u64,
    /// Bytes that were read.
    length: u64,
}

fn lines(path: &Path) -> io::Result<Lines> {
    let file = match fs::File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Lines::default()),
        other => other?,
    };
    let (mut reader, mut found, mut line) = (BufReader::new(file), Lines::default(), Vec::new());
    loop {
        let length = reader.read_until(b'\n', &mut line)?;
        if length == 0 {
            break;
        }
        found.length += length as u64;
        // A last line that is still on its way, or was torn, is no object; one without its newline is.
        let whole = line.strip_suffix(b"\n").unwrap_or(&line);
        match serde_json::from_slice::<Record>(whole) {
            Ok(record) if record.number > 0 => {
                found.newest = found.newest.max(record.number);
                found.records.push((whole.to_vec(), record));
            }
            _ => {
                if let Ok(note) = serde_json::from_slice::<Note>(whole) {
                    found.unwritten = found.unwritten.saturating_add(note.unwritten);
                    found.newest = found.newest.max(note.newest);
                    found.newest = found.newest.max(note.unwritten_ids.last().copied().unwrap_or(0));
                    found.unwritten_ids.extend(note.unwritten_ids);
                    found.pruned.extend(note.pruned);
                }
            }
        }
        line.clear();
    }
    let pruned = &found.pruned;
    found.records.retain(|(_, record)| !pruned.contains(&record.number));
    while found.unwritten_ids.len() > NAMED {
        found.unwritten_ids.pop_first();
    }
    Ok(found)
}

/// Why records are not in the file.
#[derive(Debug)]
pub struct Unwritten {
    /// How many.
    pub count: u32,
    /// What the system said.
    pub error: io::Error,
}

/// The writer's side.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// What is in the file; read when the first record comes.
    known: Option<Known>,
    /// How many could not be written since the last note of that.
    unwritten: u64,
    unwritten_ids: BTreeSet<u64>,
    bytes_max: u64,
    records_max: usize,
}

#[derive(Debug, Default)]
struct Known {
    numbers: BTreeSet<u64>,
    /// They must not come back when they are told again.
    pruned: BTreeSet<u64>,
    /// How long the file was.
    length: u64,
}

impl Store {
    /// The store in this directory; nothing is opened yet.
    pub fn new(state: &Path) -> Store {
        Store {
            path: file(state),
            known: None,
            unwritten: 0,
            unwritten_ids: BTreeSet::new(),
            bytes_max: BYTES_MAX,
            records_max: RECORDS_MAX,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this record was written, by this life or one before; also when it was thrown away since.
    pub fn has(&mut self, number: u64) -> io::Result<bool> {
        let known = self.known()?;
        Ok(known.numbers.contains(&number) || known.pruned.contains(&number))
    }

    fn known(&mut self) -> io::Result<&mut Known> {
        let length = fs::metadata(&self.path).map_or(0, |file| file.len());
        let known = match self.known.take() {
            Some(known) if known.length == length => known,
            // First use, or somebody else was at the file: what is known is what it says.
            _ => {
                let Lines { records, pruned, length, .. } = lines(&self.path)?;
                let numbers = records.into_iter().map(|(_, record)| record.number).collect();
                Known { numbers, pruned, length }
            }
        };
        Ok(self.known.insert(known))
    }

    /// Appends records in one write, those that are there already left out.
    ///
    /// # Errors
    /// How many are not in the file, and why. That they are not is noted in it with the next ones that can be written.
    pub fn append(&mut self, records: &[Record]) -> Result<(), Unwritten> {
        if records.is_empty() {
            return Ok(());
        }
        self.try_append(records).map_err(|error| {
            let missing: Vec<u64> = records.iter().map(|record| record.number).collect();
            let missing: Vec<u64> = missing.into_iter().filter(|n| !self.has(*n).unwrap_or(false)).collect();
            self.unwritten += missing.len() as u64;
            self.unwritten_ids.extend(&missing);
            while self.unwritten_ids.len() > NAMED {
                self.unwritten_ids.pop_first();
            }
            Unwritten { count: missing.len() as u32, error }
        })
    }

    fn try_append(&mut self, records: &[Record]) -> io::Result<()> {
        let (mut text, mut numbers) = (Vec::new(), BTreeSet::new());
        for record in records {
            if !self.has(record.number)? && numbers.insert(record.number) {
                serde_json::to_writer(&mut text, record)?;
                text.push(b'\n');
            }
        }
        if numbers.is_empty() {
            return Ok(());
        }
        if self.unwritten > 0 {
            let (unwritten, unwritten_ids) = (self.unwritten, self.unwritten_ids.clone());
            let note = Note { schema: super::SCHEMA, unwritten, unwritten_ids, ..Note::default() };
            serde_json::to_writer(&mut text, &note)?;
            text.push(b'\n');
        }
        let mut file = open(&self.path)?;
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1)?;
        }
        if last != *b"\n" {
            text.insert(0, b'\n'); // closes what a kill tore
        }
        if let Err(e) = file.write_all(&text) {
            let _ = file.set_len(length);
            self.known = None;
            return Err(e);
        }
        (self.unwritten, self.unwritten_ids) = (0, BTreeSet::new());
        let known = self.known.get_or_insert_default();
        known.numbers.extend(numbers);
        known.length = length + text.len() as u64;
        let too_much = known.numbers.len() > self.records_max || known.length > self.bytes_max;
        if too_much {
            self.rewrite(self.records_max * KEPT.0 / KEPT.1, self.bytes_max / KEPT.1 as u64 * KEPT.0 as u64)?;
        } else if !known.pruned.is_empty() {
            self.compact()?;
        }
        Ok(())
    }

    /// Takes what was thrown away out of the file.
    ///
    /// # Errors
    /// The file is as it was.
    pub fn compact(&mut self) -> io::Result<()> {
        self.rewrite(usize::MAX, u64::MAX)
    }

    /// Gives the oldest up, by a new file under the same name: readers see the old one or the new one.
    fn rewrite(&mut self, most: usize, mut room: u64) -> io::Result<()> {
        let all = lines(&self.path)?;
        let mut kept = Vec::new();
        for (line, record) in all.records.iter().rev().take(most) {
            let Some(left) = room.checked_sub(line.len() as u64 + 1) else { break };
            room = left;
            kept.push((line, record.number));
        }
        // One fixed name: what a kill leaves behind is overwritten the next time.
        let temporary = self.path.with_extension("jsonl.new");
        let mut new = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&temporary)?;
        let mut text = Vec::new();
        // Numbers are never used twice, also when the newest are thrown away.
        let (unwritten, unwritten_ids, newest) = (all.unwritten, all.unwritten_ids, all.newest);
        let note = Note { schema: super::SCHEMA, unwritten, unwritten_ids, newest, ..Note::default() };
        serde_json::to_writer(&mut text, &note)?;
        text.push(b'\n');
        for (line, _) in kept.iter().rev() {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        new.write_all(&text)?;
        fs::rename(&temporary, &self.path)?;
        let numbers = kept.into_iter().map(|(_, number)| number).collect();
        let known = self.known.take().unwrap_or_default();
        // A death that was thrown away may be told once more.
        let pruned = known.pruned.into_iter().chain(all.pruned).collect();
        self.known = Some(Known { numbers, pruned, length: text.len() as u64 });
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<fs::File> {
    let open = || {
        OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o640)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
    };
    match (open(), path.parent()) {
        (Err(e), Some(state)) if e.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(state)?;
            open()
        }
        (other, _) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64) -> Record {
        Record { schema: super::super::SCHEMA, number, id: format!("c-{number}"), ..Record::default() }
    }

    fn numbers(state: &Path) -> Vec<u64> {
        read(state).unwrap().records.iter().map(|record| record.number).collect()
    }

    #[test]
    fn a_record_that_is_sent_again_is_there_once_also_after_a_restart() {
        let state = tempfile::tempdir().unwrap();
        let mut store = Store::new(state.path());
        store.append(&[record(1), record(2), record(2)]).unwrap();
        store.append(&[record(2)]).unwrap();
        Store::new(state.path()).append(&[record(2), record(3)]).unwrap();
        let text = fs::read_to_string(file(state.path())).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert_eq!(numbers(state.path()), [1, 2, 3]);
    }

    #[test]
    fn a_torn_last_line_is_closed_off_and_passed_over() {
        let state = tempfile::tempdir().unwrap();
        Store::new(state.path()).append(&[record(1), record(2)]).unwrap();
        let whole = fs::read(file(state.path())).unwrap();
        let first = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for end in first..whole.len() {
            fs::write(file(state.path()), &whole[..end]).unwrap();
            let whole_but_its_newline = end + 1 == whole.len();
            let before: &[u64] = if whole_but_its_newline { &[1, 2] } else { &[1] };
            assert_eq!(numbers(state.path()), before, "cut at {end}");
            Store::new(state.path()).append(&[record(2), record(3)]).unwrap();
            assert_eq!(numbers(state.path()), [1, 2, 3], "cut at {end}");
        }
    }

    #[test]
    fn the_newest_stay_when_there_are_too_many_or_too_large() {
        let state = tempfile::tempdir().unwrap();
        let mut store = Store { records_max: 10, ..Store::new(state.path()) };
        for number in 1..=11 {
            store.append(&[record(number)]).unwrap();
        }
        assert_eq!(numbers(state.path()), (4..=11).collect::<Vec<_>>());
        store.bytes_max = fs::metadata(file(state.path())).unwrap().len();
        store.append(&[record(12)]).unwrap();
        let left = numbers(state.path());
        assert!(left.len() < 8 && left.ends_with(&[11, 12]), "{left:?}");
        assert!(!store.has(4).unwrap() && store.has(12).unwrap());
    }

    #[test]
    fn what_is_thrown_away_is_gone_at_once_and_does_not_come_back() {
        let state = tempfile::tempdir().unwrap();
        let mut store = Store::new(state.path());
        store.append(&[record(1), record(2), record(3)]).unwrap();
        throw_away(state.path(), &[1, 3].into()).unwrap();
        assert_eq!(numbers(state.path()), [2]);
        assert!(store.has(1).unwrap() && store.has(3).unwrap());
        store.append(&[record(1), record(4)]).unwrap();
        assert_eq!(numbers(state.path()), [2, 4]);
        let text = fs::read_to_string(file(state.path())).unwrap();
        assert_eq!(text.lines().count(), 3, "a note and two records: {text}");
        store.append(&[record(3), record(5)]).unwrap();
        assert_eq!(numbers(state.path()), [2, 4, 5]);
        throw_away(state.path(), &[5].into()).unwrap();
        Store::new(state.path()).compact().unwrap();
        assert_eq!(fs::read_to_string(file(state.path())).unwrap().lines().count(), 3);
        assert_eq!(read(state.path()).unwrap().newest, 5, "its number is not used again");
    }

    #[test]
    fn what_is_thrown_away_behind_a_torn_line_is_gone_all_the_same() {
        let state = tempfile::tempdir().unwrap();
        Store::new(state.path()).append(&[record(1), record(2)]).unwrap();
        let whole = fs::read(file(state.path())).unwrap();
        fs::write(file(state.path()), &whole[..whole.len() - 5]).unwrap();
        throw_away(state.path(), &[1].into()).unwrap();
        Store::new(state.path()).append(&[record(2)]).unwrap();
        assert_eq!(numbers(state.path()), [2]);
    }

    #[test]
    fn what_could_not_be_written_is_counted_and_said_with_what_could() {
        let parent = tempfile::tempdir().unwrap();
        let state = parent.path().join("state");
        fs::write(&state, "in the way").unwrap();
        let mut store = Store::new(&state);
        let failed = store.append(&[record(1), record(2)]).unwrap_err();
        assert_eq!((failed.count, failed.error.kind()), (2, io::ErrorKind::NotADirectory));
        fs::remove_file(&state).unwrap();
        store.append(&[record(3)]).unwrap();
        let found = read(&state).unwrap();
        assert_eq!((found.unwritten, found.unwritten_ids), (2, [1, 2].into()));
        store.append(&[record(4)]).unwrap();
        throw_away(&state, &[3].into()).unwrap();
        store.append(&[record(5)]).unwrap();
        let found = read(&state).unwrap();
        assert_eq!((found.unwritten, found.records.len()), (2, 2), "once, also after it was written anew");
    }

    #[test]
    fn a_deleted_file_is_begun_again() {
        let parent = tempfile::tempdir().unwrap();
        let state = parent.path().join("state");
        let mut store = Store::new(&state);
        store.append(&[record(1)]).unwrap();
        fs::remove_dir_all(&state).unwrap();
        store.append(&[record(1)]).unwrap();
        assert_eq!(numbers(&state), [1]);
    }
}
