//! The file of crash records: appended to by the logger, bounded, readable by anybody at any moment.

use super::Record;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// More bytes than this, and the oldest records go.
const BYTES_MAX: u64 = 64 << 20;
/// More records than this, and the oldest go.
const RECORDS_MAX: usize = 500;
/// One fifth goes at once, so that it is rewritten every hundredth time and not each time.
const KEPT: (usize, usize) = (4, 5);

/// The file of a project's crash records.
pub fn file(state: &Path) -> PathBuf {
    state.join("crashes.jsonl")
}

/// All records, oldest first; none when there is no file. What is no record is passed over.
pub fn read(state: &Path) -> io::Result<Vec<Record>> {
    Ok(lines(&file(state))?.into_iter().map(|(_, record)| record).collect())
}

/// Each sound line, without its newline, and what it says.
fn lines(path: &Path) -> io::Result<Vec<(Vec<u8>, Record)>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let (mut reader, mut found, mut line) = (BufReader::new(file), Vec::new(), Vec::new());
    while reader.read_until(b'\n', &mut line)? > 0 {
        // A last line that is still on its way, or was torn, is no object; one without its newline is.
        let whole = line.strip_suffix(b"\n").unwrap_or(&line);
        if let Ok(record) = serde_json::from_slice::<Record>(whole) {
            found.push((whole.to_vec(), record));
        }
        line.clear();
    }
    Ok(found)
}

/// The writer's side.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// The numbers that are in the file; read when the first record comes.
    known: Option<BTreeSet<u64>>,
    bytes_max: u64,
    records_max: usize,
}

impl Store {
    /// The store in this directory; nothing is opened yet.
    pub fn new(state: &Path) -> Store {
        Store { path: file(state), known: None, bytes_max: BYTES_MAX, records_max: RECORDS_MAX }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this record was written, by this life or one before.
    pub fn has(&mut self, number: u64) -> io::Result<bool> {
        Ok(self.known()?.contains(&number))
    }

    fn known(&mut self) -> io::Result<&mut BTreeSet<u64>> {
        let known = match self.known.take() {
            Some(known) if self.path.exists() => known,
            // First use, or the file was deleted: what is known is what it says.
            _ => lines(&self.path)?.into_iter().map(|(_, record)| record.number).collect(),
        };
        Ok(self.known.insert(known))
    }

    /// Appends records in one write, those that are there already left out. After an error some of them may be there, whole.
    pub fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let (mut text, mut numbers) = (Vec::new(), Vec::new());
        for record in records {
            if !self.has(record.number)? && !numbers.contains(&record.number) {
                serde_json::to_writer(&mut text, record)?;
                text.push(b'\n');
                numbers.push(record.number);
            }
        }
        if numbers.is_empty() {
            return Ok(());
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
            return Err(e);
        }
        let known = self.known()?;
        known.extend(numbers);
        if known.len() > self.records_max || length + text.len() as u64 > self.bytes_max {
            self.prune()?;
        }
        Ok(())
    }

    /// Gives the oldest up, by a new file under the same name: readers see the old one or the new one.
    fn prune(&mut self) -> io::Result<()> {
        let all = lines(&self.path)?;
        let most = self.records_max * KEPT.0 / KEPT.1;
        let mut room = self.bytes_max / KEPT.1 as u64 * KEPT.0 as u64;
        let mut kept = Vec::new();
        for (line, record) in all.iter().rev().take(most) {
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
        for (line, _) in kept.iter().rev() {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        new.write_all(&text)?;
        fs::rename(&temporary, &self.path)?;
        self.known = Some(kept.into_iter().map(|(_, number)| number).collect());
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
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
        Record { schema: 1, number, id: format!("c-{number}"), ..Record::default() }
    }

    fn numbers(state: &Path) -> Vec<u64> {
        read(state).unwrap().iter().map(|record| record.number).collect()
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
