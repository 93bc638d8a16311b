//! Control groups (version 2): every process of an instance, also those that hide from everything else.
//!
//! `OWN/mainstay.PROJECT.HASH/INSTANCE`, where OWN is the group that we are in. A life is born inside
//! (`CLONE_INTO_CGROUP`), its descendants cannot leave without being able to write to the hierarchy, and
//! "is anybody left?" is one file. Controllers are never touched. Where the hierarchy is missing or may
//! not be written to, [`Tree::create`] says so and [`super::strays`] does what can be done without.

use super::gauge::{Gauge, GroupMemory};
use super::oom::OomKills;
use super::pidfd;
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The longest name that a file system takes.
const NAME_MAX: usize = 255;

/// How often new members are looked for: each pass catches what forked during the last one.
const PASSES: usize = 16;

/// The groups of one project.
#[derive(Debug)]
pub struct Tree {
    directory: OwnedFd,
    path: PathBuf,
}

/// The group of one instance. Its descriptor is what [`super::launch::Launch::start`] takes.
#[derive(Debug)]
pub struct Group {
    directory: OwnedFd,
    name: String,
}

impl Tree {
    /// Makes the project's group inside our own, or finds it again. The runtime directory tells projects
    /// of the same name apart.
    ///
    /// # Errors
    /// `NotFound`: no version 2 hierarchy is mounted that shows our own group. `PermissionDenied`,
    /// `ReadOnlyFilesystem`: it is not ours to change.
    pub fn create(project: &str, runtime: &Path) -> io::Result<Tree> {
        let hash = crc32fast::hash(runtime.as_os_str().as_bytes());
        let name = escape(&format!("mainstay.{project}.{hash:08x}"));
        Tree::open(&Own::look()?.directory()?.join(name))
    }

    /// The tree at this path ([`Tree::path`]): that of an earlier supervisor, say. Made when missing.
    ///
    /// # Errors
    /// As [`Tree::create`].
    pub fn open(path: &Path) -> io::Result<Tree> {
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let directory = rustix::fs::open(path, DIRECTORY, Mode::empty())?;
        Ok(Tree { directory, path: path.to_owned() })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The group of an instance, made when it is missing.
    ///
    /// # Errors
    /// The tree was removed, or a limit on groups (`cgroup.max.descendants`) is reached.
    pub fn group(&self, instance: &str) -> io::Result<Group> {
        let name = escape(instance);
        match mkdirat(&self.directory, &name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let directory = openat(&self.directory, &name, DIRECTORY, Mode::empty())?;
        Ok(Group { directory, name })
    }

    /// The instances that have a group, in no order: after [`Tree::create`], those of an earlier
    /// supervisor. A name that was too long for a file system comes back shortened, as [`Group::name`].
    ///
    /// # Errors
    /// The tree was removed.
    pub fn instances(&self) -> io::Result<Vec<String>> {
        let names = subdirectories(&self.directory)?;
        Ok(names.into_iter().map(|name| unescape(&name)).collect())
    }

    /// Removes the group of an instance, and groups that it made itself. A group that is already gone
    /// is no error.
    ///
    /// # Errors
    /// `EBUSY`: somebody is still inside.
    pub fn remove(&self, group: Group) -> io::Result<()> {
        let remove = || gone(unlinkat(&self.directory, &group.name, AtFlags::REMOVEDIR));
        // Hardly any has groups of its own, so nobody looks for them before it must.
        remove().or_else(|_| {
            remove_below(&group.directory)?;
            remove()
        })
    }

    /// Removes the project's group.
    ///
    /// # Errors
    /// `EBUSY`: an instance still has a group.
    pub fn remove_all(self) -> io::Result<()> {
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Group {
    /// The name of the instance; shortened when it is longer than a file name can be.
    pub fn name(&self) -> String {
        unescape(&self.name)
    }

    /// Kills everybody inside, also those in groups below and those that fork meanwhile.
    ///
    /// # Errors
    /// The group was removed.
    pub fn kill(&self) -> io::Result<()> {
        match write_control(&self.directory, "cgroup.kill", b"1") {
            // Before Linux 5.14.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.exists() => {
                self.signal(libc::SIGKILL).map(drop)
            }
            result => result,
        }
    }

    fn exists(&self) -> bool {
        self.read("cgroup.procs").is_ok()
    }

    /// Sends `signal` to everybody inside, once each, and says how many that were. Who is born
    /// meanwhile gets it too, unless it is born after the last look.
    ///
    /// Each member is opened, then the list is read again: whoever is on it and still lives is the
    /// process that was opened, and is inside (S4).
    ///
    /// # Errors
    /// The group was removed. Members that may not be signalled are left out.
    pub fn signal(&self, signal: i32) -> io::Result<usize> {
        let mut sent: BTreeMap<u32, OwnedFd> = BTreeMap::new();
        for _ in 0..PASSES {
            let mut opened = BTreeMap::new();
            for pid in self.members()? {
                if !sent.get(&pid).is_some_and(|pidfd| alive(pidfd.as_fd()))
                    && let Some(pidfd) = pidfd::open(pid)?
                {
                    opened.insert(pid, pidfd);
                }
            }
            if opened.is_empty() {
                break;
            }
            for pid in self.members()? {
                if let Some(pidfd) = opened.remove(&pid)
                    && matches!(pidfd::signal(&pidfd, signal), Ok(true))
                {
                    sent.insert(pid, pidfd);
                }
            }
        }
        Ok(sent.len())
    }

    /// Who is inside, groups below included. Numbers: open and check before acting.
    ///
    /// # Errors
    /// The group was removed.
    pub fn members(&self) -> io::Result<Vec<u32>> {
        let mut members = Vec::new();
        add_members(self.directory.as_fd(), &mut members)?;
        Ok(members)
    }

    /// Whether nobody is inside; zombies do not count.
    ///
    /// # Errors
    /// The group was removed: `NotFound` or `ENODEV`.
    pub fn is_empty(&self) -> io::Result<bool> {
        self.emptiness()?.is_empty()
    }

    /// A descriptor that tells when the last one has left.
    ///
    /// # Errors
    /// The group was removed, or no descriptors are left.
    pub fn emptiness(&self) -> io::Result<Emptiness> {
        Ok(Emptiness(File::from(openat(&self.directory, c"cgroup.events", FILE, Mode::empty())?)))
    }

    /// How many of its processes the kernel has killed because there was no memory left. Allocates nothing.
    ///
    /// # Errors
    /// The memory controller is not switched on for it.
    pub fn oom_kills(&self) -> io::Result<u64> {
        OomKills::of(self.as_fd())?.count()
    }

    /// What the kernel counts of its memory. Allocates nothing.
    ///
    /// # Errors
    /// The memory controller is not switched on for it, which is the rule: controllers are never touched here.
    pub fn memory(&self) -> io::Result<GroupMemory> {
        Gauge::of(self.as_fd())?.read()
    }

    fn read(&self, file: &str) -> io::Result<String> {
        read_control(self.directory.as_fd(), file)
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// Reports priority data (`POLLPRI`, mio's `Interest::PRIORITY`) when a group becomes empty or inhabited.
#[derive(Debug)]
pub struct Emptiness(File);

impl Emptiness {
    /// Whether nobody is inside. Call it once before waiting and after each report: the kernel reports
    /// what changed since the last look.
    ///
    /// # Errors
    /// The group was removed.
    pub fn is_empty(&self) -> io::Result<bool> {
        let mut text = [0; 128];
        let length = self.0.read_at(&mut text, 0)?;
        Ok(unpopulated(&text[..length]))
    }
}

impl AsFd for Emptiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);

fn alive(pidfd: BorrowedFd) -> bool {
    matches!(pidfd::signal(pidfd, 0), Ok(true))
}

fn unpopulated(events: &[u8]) -> bool {
    events.split(|byte| *byte == b'\n').any(|line| line == b"populated 0")
}

fn add_members(directory: BorrowedFd, members: &mut Vec<u32>) -> io::Result<()> {
    let text = match read_control(directory, "cgroup.procs") {
        // A threaded group has no list; its processes are in the nearest one above that is not.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => String::new(),
        result => result?,
    };
    members.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|pid| *pid != 0));
    for name in subdirectories(directory)? {
        match openat(directory, &name, DIRECTORY, Mode::empty()) {
            Ok(below) => add_members(below.as_fd(), members)?,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn remove_below(directory: impl AsFd) -> io::Result<()> {
    let names = match subdirectories(directory.as_fd()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result?,
    };
    for name in names {
        match openat(&directory, &name, DIRECTORY, Mode::empty()) {
            Ok(below) => remove_below(below)?,
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(error.into()),
        }
        gone(unlinkat(&directory, &name, AtFlags::REMOVEDIR))?;
    }
    Ok(())
}

fn gone(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn subdirectories(directory: impl AsFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if entry.file_type() == rustix::fs::FileType::Directory && name != b"." && name != b".." {
            names.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    Ok(names)
}

fn read_control(directory: BorrowedFd, file: &str) -> io::Result<String> {
    let mut text = String::new();
    File::from(openat(directory, file, FILE, Mode::empty())?).read_to_string(&mut text)?;
    Ok(text)
}

fn write_control(directory: impl AsFd, file: &str, text: &[u8]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    File::from(openat(directory, file, flags, Mode::empty())?).write_all(text)
}

/// Where the groups that we are in are to be seen, as it is now. Looking costs a quarter of a millisecond: the kernel writes the
/// list of all mounts.
#[derive(Debug)]
pub struct Own {
    groups: Vec<u8>,
    mounts: Vec<u8>,
}

impl Own {
    /// Looks.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub fn look() -> io::Result<Own> {
        Ok(Own { groups: fs::read("/proc/self/cgroup")?, mounts: fs::read("/proc/self/mountinfo")? })
    }

    /// The directory of our group: the line `0::PATH` under the mount that shows it.
    pub(super) fn directory(&self) -> io::Result<PathBuf> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no control group hierarchy of version 2");
        let own = lines(&self.groups).find_map(|line| line.strip_prefix(b"0::")).ok_or_else(missing)?;
        lines(&self.mounts).find_map(|line| seen_through(line, own, Hierarchy::Unified)).ok_or_else(missing)
    }

    /// The same in the hierarchy of version 1 that has the memory controller: the line `4:memory:PATH`.
    pub(super) fn memory_directory(&self) -> io::Result<PathBuf> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no memory controller");
        let own = lines(&self.groups).find_map(|line| {
            let (controllers, path) = split_at_colon(split_at_colon(line)?.1)?;
            controllers.split(|byte| *byte == b',').any(|one| one == b"memory").then_some(path)
        });
        let own = own.ok_or_else(missing)?;
        lines(&self.mounts).find_map(|line| seen_through(line, own, Hierarchy::Memory)).ok_or_else(missing)
    }
}

fn split_at_colon(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b':')?;
    Some((&text[..at], &text[at + 1..]))
}

/// Which mounts are meant.
#[derive(Clone, Copy)]
enum Hierarchy {
    /// That of version 2.
    Unified,
    /// The one of version 1 that has the memory controller.
    Memory,
}

/// Where a mount shows a group: the mount's root is a prefix of the group's path, or it does not.
///
/// `36 35 0:30 ROOT MOUNT OPTIONS … - cgroup2 SOURCE OPTIONS`
fn seen_through(mount: &[u8], own: &[u8], hierarchy: Hierarchy) -> Option<PathBuf> {
    let fields: Vec<&[u8]> = mount.split(|byte| *byte == b' ').collect();
    let separator = fields.iter().position(|field| *field == b"-")?;
    let kind = *fields.get(separator + 1)?;
    let is_meant = match hierarchy {
        Hierarchy::Unified => kind == b"cgroup2",
        Hierarchy::Memory => {
            let options = fields.get(separator + 3).copied().unwrap_or_default();
            kind == b"cgroup" && options.split(|byte| *byte == b',').any(|option| option == b"memory")
        }
    };
    if !is_meant {
        return None;
    }
    let root = unescape_octal(fields.get(3)?);
    let below = match root.as_slice() {
        b"/" => own,
        root => own.strip_prefix(root)?,
    };
    if !(below.is_empty() || below.starts_with(b"/")) || below.starts_with(b"/..") {
        return None;
    }
    let mut path = unescape_octal(fields.get(4)?);
    path.extend_from_slice(below.strip_suffix(b"/").unwrap_or(below));
    Some(PathBuf::from(std::ffi::OsString::from_vec(path)))
}

/// mountinfo writes space, tab, newline and backslash as `\040` and so on.
fn unescape_octal(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'\\').then(|| after.get(..3)).flatten();
        let code = code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        plain.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    plain
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// A name as a directory of the hierarchy: nothing but letters, digits and `-_.#@~`, all else as `%XX`; an
/// underscore before a name that could be one of the kernel's own files (they all have a dot) or one of
/// ours with an underscore. Too long ones are cut and told apart by a hash; what they come back as leads
/// to the same group again.
fn escape(name: &str) -> String {
    const HASH: usize = "~01234567".len();
    let hidden = name.starts_with('_') || (name.contains('.') && !name.starts_with("mainstay."));
    let prefix = if hidden { "_" } else { "" };
    let characters = name.chars().map(escape_character).collect::<Vec<_>>();
    let mut whole = prefix.to_owned() + &characters.concat();
    if whole.len() > NAME_MAX {
        prefix.clone_into(&mut whole);
        for character in characters {
            if whole.len() + character.len() + HASH > NAME_MAX {
                break;
            }
            whole.push_str(&character);
        }
        whole.push_str(&format!("~{:08x}", crc32fast::hash(name.as_bytes())));
    }
    whole
}

fn escape_character(character: char) -> String {
    match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | '#' | '@' | '~' => character.to_string(),
        _ => character.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02x}")).collect(),
    }
}

fn unescape(name: &str) -> String {
    let name = name.strip_prefix('_').unwrap_or(name);
    let mut plain = Vec::new();
    let mut bytes = name.as_bytes();
    while let Some((first, rest)) = bytes.split_first() {
        let code = (*first == b'%').then(|| rest.get(..2)).flatten();
        let code = code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        plain.push(code.unwrap_or(*first));
        bytes = if code.is_some() { &rest[2..] } else { rest };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_come_back_as_they_were() {
        for name in [
            "web",
            "web#2",
            "a.b",
            "_x",
            ".x",
            "cgroup.procs",
            "a b/c",
            "é",
            "%41",
            "mainstay.keeper",
            "_",
            "a.",
            "100%",
        ] {
            let escaped = escape(name);
            assert_eq!(unescape(&escaped), name, "{escaped}");
            assert!(!escaped.contains('/') && !escaped.is_empty(), "{escaped}");
        }
    }

    #[test]
    fn no_name_is_one_of_the_kernels_files() {
        for name in ["cgroup.procs", "cgroup.kill", "memory.max", "cpu.stat", ".", "..", "pids.max"] {
            let escaped = escape(name);
            assert!(escaped.starts_with('_'), "{escaped}");
        }
    }

    #[test]
    fn different_names_have_different_groups() {
        let long = |last: &str| "ö".repeat(100) + last;
        let names: Vec<String> = vec![
            "a.b".into(),
            "_a.b".into(),
            "a%2eb".into(),
            "a_b".into(),
            long("1"),
            long("2"),
            "ö".repeat(99),
        ];
        let escaped: BTreeSet<String> = names.iter().map(|name| escape(name)).collect();
        assert_eq!(escaped.len(), names.len());
        assert!(escaped.iter().all(|name| name.len() <= NAME_MAX));
        assert!(escaped.iter().all(|name| escape(&unescape(name)) == *name), "found again: {escaped:?}");
    }

    #[test]
    fn our_group_is_found_through_the_mount_that_shows_it() {
        let check = |mount: &str, own: &str, expected: Option<&str>| {
            assert_eq!(
                seen_through(mount.as_bytes(), own.as_bytes(), Hierarchy::Unified),
                expected.map(PathBuf::from),
                "{mount} {own}"
            );
        };
        let plain = "36 35 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate";
        check(plain, "/", Some("/sys/fs/cgroup"));
        check(plain, "/user.slice/a b", Some("/sys/fs/cgroup/user.slice/a b"));
        check(plain, "/../outside", None);
        let part = r"36 35 0:30 /docker/x /mnt/a\040b rw - cgroup2 cgroup rw";
        check(part, "/docker/x", Some("/mnt/a b"));
        check(part, "/docker/x/y", Some("/mnt/a b/y"));
        check(part, "/docker/xy", None);
        check(part, "/", None);
        check("36 35 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", "/", None);
        check("nonsense", "/", None);
        let memory = |mount: &str| seen_through(mount.as_bytes(), b"/a", Hierarchy::Memory);
        let one = "36 35 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
        assert_eq!(memory(one), Some("/sys/fs/cgroup/memory/a".into()));
        assert_eq!(memory(&one.replace("rw,memory", "rw,cpu")), None);
        assert_eq!(memory(plain), None);
    }

    #[test]
    fn a_group_is_empty_only_when_the_kernel_says_so() {
        assert!(unpopulated(b"populated 0\nfrozen 0\n"));
        assert!(!unpopulated(b"populated 1\nfrozen 0\n"));
        assert!(!unpopulated(b""));
        assert!(!unpopulated(b"populated 01\n"));
    }
}
