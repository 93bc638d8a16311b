//! Files that must survive: every system call that the journal makes is in here, so that a test that stops
//! or fails the n-th of them has met them all.
//!
//! Interrupted calls are made again and short writes are continued, except for syncs: after a sync that
//! failed in whatever way nobody knows what is on the disk, and the caller must be told.

use rustix::fs::{self, FallocateFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use tempfile::{NamedTempFile, TempPath};

/// The directory at `path`, made with its parents if need be; only this user may look into what is made.
pub fn make_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The whole file; an error when it is no regular file of ours, or longer than `limit` bytes.
///
/// What a file longer than its content was a moment ago says is up to the caller: it may be written
/// meanwhile.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path, OFlags::RDONLY)?;
    let size = file.metadata()?.len();
    if size > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("{size} bytes are more than {limit}"),
        ));
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// An existing regular file of ours, to be written.
pub fn open_existing(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDWR)
}

/// An existing regular file of ours, to be read.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDONLY)
}

/// A regular file of ours, made if need be, to be read anywhere and written at its end only.
pub fn open_to_append(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDWR | OFlags::APPEND | OFlags::CREATE)
}

/// Writes all of `bytes` behind what is there.
pub fn append(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    std::io::Write::write_all(&mut file, bytes)
}

/// Gives the file `length` bytes of room behind `from`; its length stays as it is.
pub fn reserve(file: &File, from: u64, length: u64) -> io::Result<()> {
    again(|| fs::fallocate(file, FallocateFlags::KEEP_SIZE, from, length))
}

fn open(path: &Path, access: OFlags) -> io::Result<File> {
    // NONBLOCK: a fifo in the file's place must not hold us.
    let flags = access | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    // The mode is that of a file that is made.
    let file = File::from(again(|| fs::open(path, flags, Mode::from_raw_mode(0o600)))?);
    let seen = file.metadata()?;
    let ours = rustix::process::geteuid().as_raw();
    if !seen.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if seen.uid() != ours && seen.uid() != 0 && ours != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("owned by uid {}", seen.uid())));
    }
    Ok(file)
}

/// A new file in `dir` under a name that starts with `prefix`; it vanishes with the [`TempPath`].
pub fn temporary(dir: &Path, prefix: &str) -> io::Result<(File, TempPath)> {
    tempfile::Builder::new().prefix(prefix).tempfile_in(dir).map(NamedTempFile::into_parts)
}

/// Gives the file `length` bytes of room on the disk; it reads as zeros.
pub fn preallocate(file: &File, length: u64) -> io::Result<()> {
    match again(|| fs::fallocate(file, FallocateFlags::empty(), 0, length)) {
        Err(e) if e.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => {
            // A file system that cannot promise: write the zeros, which takes the room.
            let zeros = [0; 64 << 10];
            let mut at = 0;
            while at < length {
                let n = (length - at).min(zeros.len() as u64);
                write_at(file, &zeros[..usize::try_from(n).unwrap_or(zeros.len())], at)?;
                at += n;
            }
            Ok(())
        }
        other => other,
    }
}

/// Writes all of `bytes` at `offset`.
pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Content, and what is needed to find it, onto the disk.
pub fn sync_data(file: &File) -> io::Result<()> {
    Ok(fs::fdatasync(file)?)
}

/// A file and its attributes onto the disk.
pub fn sync_all(file: &File) -> io::Result<()> {
    Ok(fs::fsync(file)?)
}

/// The names in a directory onto the disk.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = again(|| fs::open(dir, flags, Mode::empty()))?;
    Ok(fs::fsync(dir)?)
}

/// What is on the disk under the first `length` bytes, not what memory remembers of them, as far as the
/// kernel does as it is advised.
pub fn read_back(file: &File, length: usize) -> io::Result<Vec<u8>> {
    fs::fadvise(file, 0, None, fs::Advice::DontNeed)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Gives the file at `from` the name `to`, which loses what it named.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    again(|| fs::rename(from, to))
}

/// Gives the file at `from` the second name `to`, which must be free.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    again(|| fs::link(from, to))
}

/// True when both names are of one file.
pub fn same_file(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (std::fs::symlink_metadata(one)?, std::fs::symlink_metadata(other)?);
    Ok(one.dev() == other.dev() && one.ino() == other.ino())
}

/// Removes a name. That there was none is fine.
pub fn remove(path: &Path) -> io::Result<()> {
    match again(|| fs::unlink(path)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The names in a directory that start with `prefix`.
pub fn names(dir: &Path, prefix: &str) -> io::Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// True when `path` names this very file: nobody removed, moved or replaced it.
pub fn names_this(path: &Path, file: &File) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(named) => Ok(named.dev() == ours.dev() && named.ino() == ours.ino()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// The file at `path`, made if need be, locked for this process alone; waits, without spinning, while
/// another process holds it. The lock ends with the file, which no child inherits.
pub fn lock(path: &Path) -> io::Result<File> {
    loop {
        let create = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = match again(|| fs::open(path, create, Mode::from_raw_mode(0o600))) {
            // A read-only disk still has the lock file of better days.
            Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem => open(path, OFlags::RDONLY)?,
            other => File::from(other?),
        };
        again(|| fs::flock(&file, FlockOperation::LockExclusive))?;
        // Whoever locked a file that was removed meanwhile holds nothing.
        if names_this(path, &file)? {
            return Ok(file);
        }
    }
}

/// A directory, locked for this process alone, for when no file can be made; waits like [`lock`].
pub fn lock_dir(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = File::from(again(|| fs::open(path, flags, Mode::empty()))?);
    again(|| fs::flock(&dir, FlockOperation::LockExclusive))?;
    Ok(dir)
}

fn again<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}
