//! Directories that nobody else may tamper with: opened and checked (B8), locked, files in them replaced.

use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, mkdir, open as open_raw};
use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a directory is not used.
#[derive(Debug)]
pub enum DirectoryError {
    /// It cannot be made or opened.
    Open(PathBuf, io::Error),
    /// It belongs to this user, not to us.
    NotOurs(PathBuf, u32),
    /// Others may write to it: its mode.
    WritableByOthers(PathBuf, u32),
}

impl DirectoryError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            DirectoryError::Open(path, error) => match error.raw_os_error() {
                Some(libc::ELOOP) => format!("`{}` is a symbolic link; name the directory", path.display()),
                Some(libc::ENOTDIR) => format!("`{}` is no directory; choose another", path.display()),
                Some(libc::EACCES) => "choose a directory that you may write to".to_owned(),
                Some(libc::EROFS) => "choose a directory on a file system that can be written".to_owned(),
                _ => String::new(),
            },
            DirectoryError::NotOurs(path, _) => {
                format!("choose another directory, or make it yours: chown {} {path:?}", effective_uid())
            }
            DirectoryError::WritableByOthers(path, _) => format!("chmod go-w {path:?}"),
        }
    }
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DirectoryError::Open(path, error) => write!(f, "opening directory `{}`: {error}", path.display()),
            DirectoryError::NotOurs(path, uid) => {
                write!(f, "directory `{}` belongs to user {uid}, not to {}", path.display(), effective_uid())
            }
            DirectoryError::WritableByOthers(path, mode) => {
                write!(f, "directory `{}` may be written to by others (mode {mode:04o})", path.display())
            }
        }
    }
}

impl std::error::Error for DirectoryError {}

/// Opens a directory that belongs to us and that nobody else may write to; makes it with this mode,
/// whatever the mask, when it is not there, its parents with 0755. A mode that it already has is kept.
///
/// # Errors
/// See [`DirectoryError`]. The last part of the path must not be a symbolic link.
pub fn open(path: &Path, mode: u32) -> Result<OwnedFd, DirectoryError> {
    let failed = |error: io::Error| DirectoryError::Open(path.to_owned(), error);
    let made = make(path, mode).map_err(failed)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = open_raw(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    check(&directory, path)?;
    if made {
        // The mask may have cut what was asked for.
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode)).map_err(|error| failed(error.into()))?;
    }
    Ok(directory)
}

/// Whether it was not there before.
fn make(path: &Path, mode: u32) -> io::Result<bool> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    }
    match mkdir(path, Mode::from_raw_mode(mode)) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::EXIST) => Ok(false),
        // A read-only file system says so first, also when the directory is there.
        Err(_) if path.is_dir() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn check(directory: &OwnedFd, path: &Path) -> Result<(), DirectoryError> {
    let found = fstat(directory).map_err(|error| DirectoryError::Open(path.to_owned(), error.into()))?;
    if found.st_uid != effective_uid() {
        return Err(DirectoryError::NotOurs(path.to_owned(), found.st_uid));
    }
    match found.st_mode & 0o7777 {
        mode if mode & 0o022 != 0 => Err(DirectoryError::WritableByOthers(path.to_owned(), mode)),
        _ => Ok(()),
    }
}

fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Takes the exclusive lock on a directory (or file). False: somebody else has it. It is held until
/// the last copy of the descriptor is closed: never let a child inherit it by accident.
///
/// # Errors
/// The file system has no locks.
pub fn lock(file: impl AsFd) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Gives the lock back, whoever still has a copy of the descriptor: a process between fork and exec has one for a moment.
///
/// # Errors
/// Never for a descriptor that was locked.
pub fn unlock(file: impl AsFd) -> io::Result<()> {
    Ok(flock(file, FlockOperation::NonBlockingUnlock)?)
}

/// Who took the lock, as `/proc/locks` says: a process in our pid namespace. `None`: nobody, or unknown.
pub fn lock_holder(file: impl AsFd) -> Option<u32> {
    let found = fstat(file).ok()?;
    let (major, minor) = (rustix::fs::major(found.st_dev), rustix::fs::minor(found.st_dev));
    let place = format!("{major:02x}:{minor:02x}:{}", found.st_ino);
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // 1: FLOCK  ADVISORY  WRITE 4021 00:19:1234 0 EOF
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        (fields.get(1) == Some(&"FLOCK") && fields.get(5) == Some(&place.as_str()))
            .then(|| fields[4].parse().ok())
            .flatten()
    })
}

/// Replaces a file at once: whoever opens it sees all of the old content or all of the new. With
/// `durable` also a power cut leaves one of the two.
///
/// # Errors
/// The directory cannot be written to, or is full; the old file is untouched then.
pub fn replace_file(path: &Path, content: &[u8], mode: u32, durable: bool) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(content)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    if durable {
        file.as_file().sync_all()?;
    }
    file.persist(path)?;
    if durable { fs::File::open(directory)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_new_directory_has_exactly_the_mode_that_was_asked_for() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b");
        open(&path, 0o711).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o711);
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        open(&path, 0o711).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o700, "kept as it was");
    }

    /// B8.
    #[test]
    fn a_directory_that_others_may_write_to_is_refused() {
        let home = tempfile::tempdir().unwrap();
        for mode in [0o777, 0o1777, 0o770, 0o702] {
            let path = home.path().join(format!("{mode:o}"));
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = open(&path, 0o700).unwrap_err();
            assert!(matches!(error, DirectoryError::WritableByOthers(_, found) if found == mode), "{error}");
        }
    }

    /// B8.
    #[test]
    fn a_symbolic_link_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("real")).unwrap();
        symlink("real", home.path().join("link")).unwrap();
        assert!(matches!(open(&home.path().join("link"), 0o700), Err(DirectoryError::Open(..))));
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused() {
        let home = tempfile::tempdir().unwrap();
        if std::os::unix::fs::chown(home.path(), Some(65534), None).is_err() {
            return; // Only root can give a directory away.
        }
        assert!(matches!(open(home.path(), 0o700), Err(DirectoryError::NotOurs(_, 65534))));
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        let error = open(&home.path().join("file"), 0o700).unwrap_err();
        assert!(error.hint().contains("no directory"), "{error}: {}", error.hint());
    }

    #[test]
    fn a_lock_is_held_by_one_and_its_holder_is_known() {
        let home = tempfile::tempdir().unwrap();
        let first = open(home.path(), 0o700).unwrap();
        let second = open(home.path(), 0o700).unwrap();
        assert_eq!(lock_holder(&second), None);
        assert!(lock(&first).unwrap());
        assert!(!lock(&second).unwrap());
        assert_eq!(lock_holder(&second), Some(std::process::id()));
        drop(first);
        assert!(lock(&second).unwrap());
    }

    #[test]
    fn a_replaced_file_is_complete_and_leaves_nothing_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        for (content, durable) in [(&b"old"[..], false), (b"new and longer", true)] {
            replace_file(&path, content, 0o640, durable).unwrap();
            assert_eq!(fs::read(&path).unwrap(), content);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
