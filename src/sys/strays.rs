//! Processes that outlive the life they belong to, where no control group holds them (S3).
//!
//! A life's helpers are found by three marks: its process group, its session, and the environment that
//! every descendant inherits (`MAINSTAY_RUNTIME_DIR`, `MAINSTAY_INSTANCE`, `MAINSTAY_INCARNATION`). Who
//! changes all three on purpose is not found: only a control group holds such a process.
//!
//! Every process is opened first and judged afterwards: a number that was given to somebody else in
//! between leads to a descriptor of a dead process, and a signal to nobody (S4).

use super::{pidfd, procfs};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A life whose main process is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastLife<'a> {
    /// `web#2`
    pub instance: &'a str,
    /// Its number.
    pub incarnation: u64,
    /// The main process that was: leader of its session and group.
    pub leader: u32,
}

/// A process that belongs to a life that is over.
#[derive(Debug)]
pub struct Stray {
    /// Which one: the index in what was asked for.
    pub life: usize,
    /// Its number, for people.
    pub pid: u32,
    /// Itself.
    pub pidfd: OwnedFd,
}

/// The living processes that these lives left behind, all lives in one look.
///
/// Looks only at our orphans and their descendants: children of ours that `is_service` does not know
/// (we are a subreaper). So the cost follows the number of orphans, not of processes, and a thousand
/// deaths handled together cost one look. Look again after killing what was found, until nothing is:
/// a process that forks while we look may be missed once.
///
/// # Errors
/// `/proc` is not mounted, or no descriptors are left.
pub fn leftovers(
    runtime: &Path,
    lives: &[PastLife],
    is_service: impl Fn(u32) -> bool,
) -> io::Result<Vec<Stray>> {
    find(runtime, lives, orphans(is_service)?)
}

/// The same for who is no subreaper, so that orphans are somebody else's children by now: looks at every process but
/// ourselves and our ancestors.
///
/// # Errors
/// As [`leftovers`].
pub fn leftovers_anywhere(runtime: &Path, lives: &[PastLife]) -> io::Result<Vec<Stray>> {
    let family = ourselves_and_ancestors();
    find(runtime, lives, procfs::pids()?.into_iter().filter(|pid| !family.contains(pid)))
}

fn find(
    runtime: &Path,
    lives: &[PastLife],
    candidates: impl IntoIterator<Item = u32>,
) -> io::Result<Vec<Stray>> {
    let mut found = Vec::new();
    for pid in candidates {
        let Some(pidfd) = pidfd::open(pid)? else { continue };
        let Ok(stat) = procfs::stat(pid) else { continue };
        if matches!(stat.state, b'Z' | b'X') {
            continue;
        }
        let environment = procfs::environment(pid).unwrap_or_default();
        let mark = Mark::read(&environment, runtime);
        let life = lives.iter().position(|life| match mark {
            Some(mark) => mark.is_of(life),
            None => stat.session == life.leader || stat.group == life.leader,
        });
        found.extend(life.map(|life| Stray { life, pid, pidfd }));
    }
    Ok(found)
}

/// Our children that are no service, and everything below them.
fn orphans(is_service: impl Fn(u32) -> bool) -> io::Result<BTreeSet<u32>> {
    let me = std::process::id();
    let Ok(children) = procfs::children(me) else { return orphans_of_all(me, is_service) };
    let mut queue: Vec<u32> = children.into_iter().filter(|pid| !is_service(*pid)).collect();
    let mut orphans = BTreeSet::new();
    while let Some(pid) = queue.pop() {
        if orphans.insert(pid) {
            queue.extend(procfs::children(pid).unwrap_or_default());
        }
    }
    Ok(orphans)
}

/// The same on a kernel that does not list children: every process, by its parent.
fn orphans_of_all(me: u32, is_service: impl Fn(u32) -> bool) -> io::Result<BTreeSet<u32>> {
    let parents: Vec<(u32, u32)> =
        procfs::pids()?.into_iter().filter_map(|pid| Some((pid, procfs::stat(pid).ok()?.parent))).collect();
    let mut orphans = BTreeSet::new();
    loop {
        let before = orphans.len();
        for (pid, parent) in &parents {
            if (*parent == me && !is_service(*pid)) || orphans.contains(parent) {
                orphans.insert(*pid);
            }
        }
        if orphans.len() == before {
            return Ok(orphans);
        }
    }
}

/// A process that an earlier supervisor of the same runtime directory started, or its descendant.
#[derive(Debug)]
pub struct Former {
    /// `web#2`
    pub instance: String,
    /// Its life's number, when its environment says so.
    pub incarnation: Option<u64>,
    /// Its number, for people.
    pub pid: u32,
    /// When it began, in clock ticks since boot.
    pub started: u64,
    /// Itself.
    pub pidfd: OwnedFd,
}

/// Everything that earlier supervisors of this runtime directory left running, by its environment.
///
/// Call it once, when the lock on the directory is held and before anything is started. Never names
/// ourselves or our ancestors: whoever starts a supervisor from a shell inside a service keeps that shell.
/// Processes whose environment we may not read (other users', unless we are root) are not ours.
///
/// # Errors
/// `/proc` is not mounted, or no descriptors are left.
pub fn sweep(runtime: &Path) -> io::Result<Vec<Former>> {
    let family = ourselves_and_ancestors();
    let mut found = Vec::new();
    for pid in procfs::pids()? {
        if family.contains(&pid) {
            continue;
        }
        let Some(pidfd) = pidfd::open(pid)? else { continue };
        let Ok(environment) = procfs::environment(pid) else { continue };
        let Some(mark) = Mark::read(&environment, runtime) else { continue };
        let Ok(stat) = procfs::stat(pid) else { continue };
        let instance = String::from_utf8_lossy(mark.instance).into_owned();
        let incarnation = mark.incarnation;
        found.push(Former { instance, incarnation, pid, started: stat.started, pidfd });
    }
    Ok(found)
}

fn ourselves_and_ancestors() -> BTreeSet<u32> {
    let mut family = BTreeSet::new();
    let mut pid = std::process::id();
    while pid != 0 && family.insert(pid) {
        pid = procfs::stat(pid).map_or(0, |stat| stat.parent);
    }
    family
}

/// What a process's environment says about the life that it belongs to.
#[derive(Clone, Copy)]
struct Mark<'a> {
    instance: &'a [u8],
    incarnation: Option<u64>,
}

impl<'a> Mark<'a> {
    /// `None`: it belongs to no service of this runtime directory.
    fn read(environment: &'a [u8], runtime: &Path) -> Option<Mark<'a>> {
        let directory = procfs::variable(environment, "MAINSTAY_RUNTIME_DIR")?;
        if directory != runtime.as_os_str().as_bytes() {
            return None;
        }
        let instance = procfs::variable(environment, "MAINSTAY_INSTANCE")?;
        let incarnation = procfs::variable(environment, "MAINSTAY_INCARNATION");
        let incarnation = incarnation.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        Some(Mark { instance, incarnation })
    }

    fn is_of(self, life: &PastLife) -> bool {
        self.instance == life.instance.as_bytes()
            && self.incarnation.is_none_or(|incarnation| incarnation == life.incarnation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(environment: &[u8]) -> Option<(Vec<u8>, Option<u64>)> {
        Mark::read(environment, Path::new("/run/shop")).map(|mark| (mark.instance.to_vec(), mark.incarnation))
    }

    #[test]
    fn only_processes_of_this_runtime_directory_are_ours() {
        let ours = b"MAINSTAY_INSTANCE=web#2\0MAINSTAY_RUNTIME_DIR=/run/shop\0MAINSTAY_INCARNATION=7\0";
        assert_eq!(mark(ours), Some((b"web#2".to_vec(), Some(7))));
        assert_eq!(mark(b"MAINSTAY_INSTANCE=web\0MAINSTAY_RUNTIME_DIR=/run/shop2\0"), None);
        assert_eq!(mark(b"MAINSTAY_INSTANCE=web\0"), None);
        assert_eq!(mark(b"MAINSTAY_RUNTIME_DIR=/run/shop\0"), None, "a shell that names a project");
    }

    /// S3: the helper of the last life is ended, that of the next is not.
    #[test]
    fn a_mark_of_another_life_is_not_of_this_one() {
        let life = PastLife { instance: "web", incarnation: 7, leader: 1 };
        assert!(Mark { instance: b"web", incarnation: Some(7) }.is_of(&life));
        assert!(!Mark { instance: b"web", incarnation: Some(8) }.is_of(&life));
        assert!(!Mark { instance: b"web#2", incarnation: Some(7) }.is_of(&life));
    }

    #[test]
    fn our_ancestors_are_family() {
        let family = ourselves_and_ancestors();
        assert!(family.contains(&std::process::id()));
        assert!(family.contains(&std::os::unix::process::parent_id()));
    }
}
