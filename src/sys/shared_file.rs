//! Files that other processes map: opened with suspicion, made whole, linked and put back.
//!
//! Every open is `O_NOFOLLOW|O_CLOEXEC|O_NONBLOCK` (a fifo in a file's place must not block) and then
//! looks at what it got: regular, of the right owner (B8). No policy: what a wrong file means is the
//! caller's business.

#![allow(unsafe_code)] // `getrandom` has no safe form among our dependencies' features.

use rustix::fs::{self as rfs, AtFlags, FileType, Mode, OFlags, Stat};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Which file it is, whatever its name: device and inode number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The file system.
    pub device: u64,
    /// The inode number there.
    pub inode: u64,
}

/// What a file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Which it is.
    pub identity: Identity,
    /// What stands there.
    pub kind: Kind,
    /// Length in bytes.
    pub bytes: u64,
    /// How many names it has.
    pub links: u64,
    /// Permission bits.
    pub mode: u32,
    /// Its owner.
    pub owner: u32,
}

/// What may stand at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, fifo, socket or device.
    Other,
}

impl Look {
    fn new(stat: &Stat) -> Look {
        Look {
            identity: Identity { device: stat.st_dev, inode: stat.st_ino },
            kind: match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Directory,
                _ => Kind::Other,
            },
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            links: Into::<u64>::into(stat.st_nlink),
            mode: stat.st_mode & 0o7777,
            owner: stat.st_uid,
        }
    }
}

/// What stands at `path`, itself: links are not followed.
///
/// # Errors
/// Those of `stat`; `NotFound` when there is nothing.
pub fn look(path: &Path) -> io::Result<Look> {
    Ok(Look::new(&rfs::lstat(path)?))
}

/// What an open file looks like now.
///
/// # Errors
/// Those of `fstat`.
pub fn look_at(file: BorrowedFd<'_>) -> io::Result<Look> {
    Ok(Look::new(&rfs::fstat(file)?))
}

/// Opens the regular file at `path`, for reading, or for both.
///
/// # Errors
/// Those of `open` (`ELOOP` for a symbolic link); `InvalidInput` when it is no regular file.
pub fn open(path: &Path, writable: bool) -> io::Result<(File, Look)> {
    let access = if writable { OFlags::RDWR } else { OFlags::RDONLY };
    let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rfs::open(path, flags, Mode::empty())?);
    let look = look_at(file.as_fd())?;
    if look.kind != Kind::File {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok((file, look))
}

/// Refuses a directory that others than its owner may write.
///
/// # Errors
/// Those of `stat`; `PermissionDenied` that says what is wrong.
pub fn check_directory(path: &Path) -> io::Result<Look> {
    let look = Look::new(&rfs::stat(path)?);
    let wrong = match look {
        Look { kind: Kind::File | Kind::Other, .. } => Some("not a directory".to_owned()),
        Look { mode, .. } if mode & 0o022 != 0 => {
            Some(format!("others can write it (mode {mode:o}); make it 711"))
        }
        _ => None,
    };
    match wrong {
        Some(wrong) => Err(io::Error::new(io::ErrorKind::PermissionDenied, wrong)),
        None => Ok(look),
    }
}

/// Makes `path` a directory with this mode, unless it is one. Whatever else stands there goes.
///
/// # Errors
/// Those of the calls.
pub fn ensure_directory(path: &Path, mode: u32) -> io::Result<()> {
    match look(path) {
        Ok(Look { kind: Kind::Directory, .. }) => return Ok(()),
        Ok(_) => std::fs::remove_file(path)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    match std::fs::DirBuilder::new().recursive(true).mode(mode).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Magic numbers of `statfs` on which mappings behave as the board needs: changes are seen by every
/// process of the host, inotify tells about deletions, blocks can be reserved.
const FILE_SYSTEMS: [(u64, &str); 5] = [
    (0x0102_1994, "tmpfs"),
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x794c_7630, "overlay"),
];

/// The name of the file system that holds `path`, when mappings can be trusted there.
///
/// # Errors
/// Those of `statfs`; `Unsupported` with the type's number for NFS, FUSE, 9p and what else is not known.
pub fn check_file_system(path: &Path) -> io::Result<&'static str> {
    trusted(rfs::statfs(path)?.f_type as u64)
}

fn trusted(kind: u64) -> io::Result<&'static str> {
    FILE_SYSTEMS.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name).ok_or_else(|| {
        let why = format!("mappings cannot be shared on this file system (type 0x{kind:x}); use a tmpfs");
        io::Error::new(io::ErrorKind::Unsupported, why)
    })
}

/// Reserves every block of the first `bytes` of `file`: without this, a full file system kills who maps it.
///
/// # Errors
/// `StorageFull`, and whatever `posix_fallocate` says. The file may have grown partly: throw it away.
pub fn reserve(file: &File, bytes: usize) -> io::Result<()> {
    Ok(rfs::fallocate(file, rfs::FallocateFlags::empty(), 0, bytes as u64)?)
}

/// Gives `file` the permission bits `mode`.
///
/// # Errors
/// Those of `fchmod`.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// Gives the open `file` the name `to`, which must be free, and looks whether it has it. The file must
/// still have another name: a deleted one cannot come back.
///
/// # Errors
/// `NotFound` when its last name is gone; those of `link`.
pub fn link(file: &File, to: &Path) -> io::Result<()> {
    let from = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    Ok(rfs::linkat(rfs::CWD, &from, rfs::CWD, to, AtFlags::SYMLINK_FOLLOW)?)
}

/// Puts the open `file` at `to` in one step, over whatever file is there, by way of the free name `by`.
///
/// # Errors
/// Those of [`link`] and of `rename` (a directory at `to`).
pub fn link_over(file: &File, by: &Path, to: &Path) -> io::Result<()> {
    remove_if_there(by)?;
    link(file, by)?;
    // Renaming onto another name of the same file does nothing and leaves `by`.
    let renamed = std::fs::rename(by, to);
    remove_if_there(by)?;
    renamed
}

/// Removes a file, a link, or anything that is not a directory; nothing there is fine.
///
/// # Errors
/// Those of `unlink`.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Takes a directory out of the way: removed when it is empty, else renamed to `aside` or, when that is
/// taken, to `aside` with its inode number behind it. Anything that is no directory stays.
///
/// # Errors
/// Those of the calls.
pub fn move_directory_aside(path: &Path, aside: &Path) -> io::Result<()> {
    let look = match look(path) {
        Ok(look) if look.kind == Kind::Directory => look,
        Ok(_) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    if std::fs::remove_dir(path).is_ok() {
        return Ok(());
    }
    let mut unique = aside.as_os_str().to_owned();
    unique.push(format!("-{}", look.identity.inode));
    std::fs::rename(path, aside).or_else(|_| std::fs::rename(path, unique))
}

/// A random number that is not 0.
///
/// # Errors
/// The kernel gives no random bytes.
pub fn random() -> io::Result<u64> {
    let mut bytes = [0u8; 8];
    // SAFETY: writes at most the eight bytes of the array.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got != bytes.len() as isize {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::from_le_bytes(bytes).max(1))
}

/// A file without a reader yet, in `folder`: reserved, filled with what `words` says, mapped by nobody. `whose`: who makes
/// such files there, since everybody removes only his own leftovers.
/// It is removed when it is dropped without having got a name. `None` when `words` gives nothing.
///
/// # Errors
/// Those of the calls: `StorageFull` above all.
pub fn make(
    folder: &Path,
    whose: &str,
    mode: u32,
    bytes: usize,
    words: impl FnOnce(Look) -> Option<Vec<u64>>,
) -> io::Result<Option<tempfile::NamedTempFile>> {
    let new = tempfile::Builder::new().prefix(&unfinished(whose)).tempfile_in(folder)?;
    reserve(new.as_file(), bytes)?;
    set_mode(new.as_file(), mode)?;
    let Some(words) = words(look_at(new.as_file().as_fd())?) else { return Ok(None) };
    let content: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    new.as_file().write_all_at(&content, 0)?;
    Ok(Some(new))
}

/// How the names of his unfinished files begin.
fn unfinished(whose: &str) -> String {
    format!("new-{whose}-")
}

/// Removes what a maker of this name that was killed left in `folder`.
///
/// # Errors
/// Those of the calls.
pub fn remove_leftovers(folder: &Path, whose: &str) -> io::Result<()> {
    let prefix = unfinished(whose);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
            remove_if_there(&entry.path())?;
        }
    }
    Ok(())
}

/// The first words of a file.
///
/// # Errors
/// Those of `pread`; `UnexpectedEof` when it is shorter.
pub fn read_words<const N: usize>(file: &File, at_word: usize) -> io::Result<[u64; N]> {
    let mut words = [[0; 8]; N];
    file.read_exact_at(words.as_flattened_mut(), 8 * at_word as u64)?;
    Ok(words.map(u64::from_le_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b8_network_file_systems_are_refused() {
        assert_eq!(trusted(0xef53).unwrap(), "ext4");
        for (name, kind) in [("NFS", 0x6969), ("FUSE", 0x6573_5546), ("9p", 0x0102_1997), ("proc", 0x9fa0)] {
            assert_eq!(trusted(kind).unwrap_err().kind(), io::ErrorKind::Unsupported, "{name}");
        }
    }

    #[test]
    fn b8_a_directory_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, good) in [(0o711, true), (0o755, true), (0o775, false), (0o777, false), (0o1777, false)] {
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(check_directory(folder.path()).is_ok(), good, "{mode:o}");
        }
    }

    #[test]
    fn a_deleted_file_cannot_be_linked_back_but_one_with_a_name_can() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let file = File::create(at("a")).unwrap();
        std::fs::rename(at("a"), at("elsewhere")).unwrap();
        link_over(&file, &at("by"), &at("a")).unwrap();
        assert_eq!(look(&at("a")).unwrap().identity, look_at(file.as_fd()).unwrap().identity);
        assert!(!at("by").exists());
        link_over(&file, &at("by"), &at("a")).unwrap();
        assert!(!at("by").exists(), "the helper name goes when the file was there already");
        std::fs::remove_file(at("a")).unwrap();
        std::fs::remove_file(at("elsewhere")).unwrap();
        assert_eq!(link(&file, &at("a")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_directory_in_the_way_is_moved_aside_with_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for round in 0..2 {
            std::fs::create_dir_all(at("board/inside")).unwrap();
            move_directory_aside(&at("board"), &at("displaced")).unwrap();
            assert!(!at("board").exists());
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), round + 1, "nothing is lost");
        }
        std::fs::create_dir(at("board")).unwrap();
        move_directory_aside(&at("board"), &at("displaced")).unwrap();
        assert!(!at("board").exists());
    }
}
