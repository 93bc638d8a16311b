//! One log file: opened when it is needed, appended to, and looked at again each time, since others may
//! delete, cut or fill it.

use super::complaint::Complaint;
use super::rotation;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// More than one append ever is, in bytes.
const TORN: u64 = 1 << 20;

/// The log of one service.
#[derive(Debug)]
pub(in crate::services) struct LogFile {
    name: Box<str>,
    extension: &'static str,
    /// Rotated when it would become larger than this many bytes.
    pub(in crate::services) max_size: u64,
    /// How many files, the current one included.
    pub(in crate::services) files: u32,
    open: Option<Open>,
    /// Bytes of services that could not be written since it last worked, and why.
    pub(super) dropped: Option<(u64, String)>,
    /// Writing to it fails.
    pub(super) complaint: Complaint,
    /// Its last rotation failed.
    pub(super) stuck: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    end: End,
}

/// The end of a file, just before something is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::services) struct End {
    /// Device and inode.
    pub(in crate::services) id: (u64, u64),
    /// Its length.
    pub(in crate::services) offset: u64,
    /// Its last line has no newline.
    pub(in crate::services) inside_line: bool,
}

impl LogFile {
    /// The log called `name`; nothing is opened yet.
    pub(super) fn new(name: &str, max_size: u64, files: u32) -> LogFile {
        LogFile {
            name: name.into(),
            extension: "log",
            max_size,
            files,
            open: None,
            dropped: None,
            complaint: Complaint::default(),
            stuck: false,
        }
    }

    /// The same for lines of JSON, `name.jsonl`.
    pub(in crate::services) fn of_batches(name: &str, max_size: u64, files: u32) -> LogFile {
        LogFile { extension: "jsonl", ..LogFile::new(name, max_size, files) }
    }

    /// `web`
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its path in the directory of logs.
    pub(super) fn path(&self, logs: &Path) -> PathBuf {
        logs.join(format!("{}.{}", self.name, self.extension))
    }

    /// Whether it holds a descriptor.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Gives its descriptor up; the next use opens it again by name.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Where the next byte will go. Opens or makes the file (and the directory) when it must: when it was
    /// deleted, too.
    pub(in crate::services) fn end(&mut self, logs: &Path) -> io::Result<End> {
        if let Some(open) = &mut self.open {
            let now = open.file.metadata()?;
            if now.nlink() > 0 {
                if now.len() != open.end.offset {
                    // Somebody else wrote or cut.
                    open.end.offset = now.len();
                    open.end.inside_line = ends_inside_line(&open.file, now.len())?;
                }
                return Ok(open.end);
            }
        }
        self.open = None;
        let path = self.path(logs);
        let file = match open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(logs)?;
                open(&path)
            }
            other => other,
        }?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let inside_line = ends_inside_line(&file, found.len())?;
        let end = End { id: (found.dev(), found.ino()), offset: found.len(), inside_line };
        self.open = Some(Open { file, end });
        Ok(end)
    }

    /// Appends; all or nothing, except when the process is killed meanwhile. Comes after [`LogFile::end`].
    pub(in crate::services) fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotFound.into()) };
        let result = open.file.write_all(text);
        match result {
            Ok(()) => {
                open.end.offset += text.len() as u64;
                open.end.inside_line = text.last().map_or(open.end.inside_line, |&byte| byte != b'\n');
                Ok(())
            }
            Err(e) => {
                // What was written of it must not stand there twice when it is tried again.
                let _ = open.file.set_len(open.end.offset);
                Err(e)
            }
        }
    }

    /// Moves it and its older files up; the next use makes a new one.
    pub(in crate::services) fn rotate(&mut self, logs: &Path) -> io::Result<()> {
        self.open = None;
        rotation::rotate(&self.path(logs), self.files)
    }
}

/// Cuts the unfinished line off that a file has behind `offset`, if the file at `path` still is the one with this
/// identity. The whole lines behind `offset`; `None` when it is another file.
pub(super) fn cut_back(path: &Path, id: (u64, u64), offset: u64) -> io::Result<Option<Vec<u8>>> {
    let found = std::fs::symlink_metadata(path)?;
    if !found.is_file() || (found.dev(), found.ino()) != id {
        return Ok(None);
    }
    let file = open(path)?;
    let found = file.metadata()?;
    if (found.dev(), found.ino()) != id {
        return Ok(None);
    }
    let mut lines = vec![0; found.len().saturating_sub(offset).min(TORN) as usize];
    file.read_exact_at(&mut lines, offset)?;
    lines.truncate(lines.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1));
    let end = offset + lines.len() as u64;
    if found.len() > end {
        file.set_len(end)?;
    }
    Ok(Some(lines))
}

fn open(path: &Path) -> io::Result<File> {
    // Non-blocking, so that a fifo that somebody put there does not stop everything.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

fn ends_inside_line(file: &File, length: u64) -> io::Result<bool> {
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_deleted_file_or_directory_is_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join("logs");
        let mut log = LogFile::new("web", 100, 2);
        for _ in 0..3 {
            assert_eq!(log.end(&logs).unwrap().offset, 0);
            log.append(b"a line\n").unwrap();
            assert_eq!(fs::read(log.path(&logs)).unwrap(), b"a line\n");
            fs::remove_dir_all(&logs).unwrap();
        }
    }

    #[test]
    fn what_others_wrote_or_cut_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = LogFile::new("web", 100, 2);
        log.end(directory.path()).unwrap();
        log.append(b"a line\n").unwrap();
        fs::write(log.path(directory.path()), b"cut").unwrap();
        let end = log.end(directory.path()).unwrap();
        assert_eq!((end.offset, end.inside_line), (3, true));
    }

    #[test]
    fn a_link_or_a_fifo_in_its_place_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = LogFile::new("web", 100, 2);
        let path = log.path(directory.path());
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(log.end(directory.path()).is_err());
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(log.end(directory.path()).is_err());
    }

    #[test]
    fn only_the_very_file_is_cut_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.log");
        fs::write(&path, b"12\n45\n7").unwrap();
        let id = {
            let m = fs::metadata(&path).unwrap();
            (m.dev(), m.ino())
        };
        assert_eq!(cut_back(&path, (id.0, id.1 + 1), 2).unwrap(), None);
        assert_eq!(cut_back(&path, id, 9).unwrap().unwrap(), b"");
        assert_eq!(fs::read(&path).unwrap(), b"12\n45\n7");
        assert_eq!(cut_back(&path, id, 1).unwrap().unwrap(), b"2\n45\n");
        assert_eq!(fs::read(&path).unwrap(), b"12\n45\n");
        assert_eq!(cut_back(&path, id, 6).unwrap().unwrap(), b"");
    }
}
