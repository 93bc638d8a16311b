//! How much memory a control group has: now, at most, and how much it may have.
//!
//! In the version 2 hierarchy these are files of a group whose parent has the memory controller switched on; version 1 has
//! others with the same meaning. Where neither is to be seen there is nothing to tell.

use super::cgroup::Own;
use super::oom::OomKills;
use rustix::fs::{Mode, OFlags, openat};
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The files of one hierarchy: now, the most, the limit.
type Names = [&'static CStr; 3];
const VERSION_2: Names = [c"memory.current", c"memory.peak", c"memory.max"];
const VERSION_1: Names = [c"memory.usage_in_bytes", c"memory.max_usage_in_bytes", c"memory.limit_in_bytes"];

/// A limit from here on is none: version 1 has a number for that.
const UNLIMITED: u64 = 1 << 62;

/// What the kernel counts of a group's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupMemory {
    /// Now.
    pub now: u64,
    /// The most since the group was made; `None` before Linux 5.19.
    pub peak: Option<u64>,
    /// Its limit; `None`: it has none of its own.
    pub limit: Option<u64>,
    /// How many of its processes were killed because there was no memory left.
    pub oom_kills: Option<u64>,
}

/// The numbers of one group, to be read again and again.
#[derive(Debug)]
pub struct Gauge {
    now: File,
    peak: Option<File>,
    limit: Option<File>,
    kills: Option<OomKills>,
}

impl Gauge {
    /// Those of the group that we are in: our children are in it too, unless they were put elsewhere.
    ///
    /// # Errors
    /// `NotFound`: no memory controller is to be seen.
    pub fn ours(own: &Own) -> io::Result<Gauge> {
        let at = |directory: &Path, names| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let directory = rustix::fs::open(directory, flags, Mode::empty())?;
            Gauge::at(directory.as_fd(), names, OomKills::ours(own).ok())
        };
        own.directory()
            .and_then(|group| at(&group, VERSION_2))
            .or_else(|_| at(&own.memory_directory()?, VERSION_1))
    }

    /// Those of a group of the version 2 hierarchy, by its directory. Allocates nothing.
    ///
    /// # Errors
    /// `NotFound`: the memory controller is not switched on for it.
    pub fn of(group: BorrowedFd<'_>) -> io::Result<Gauge> {
        let mut gauge = Gauge::at(group, VERSION_2, None)?;
        gauge.kills = OomKills::of(group).ok();
        Ok(gauge)
    }

    fn at(directory: BorrowedFd<'_>, names: Names, kills: Option<OomKills>) -> io::Result<Gauge> {
        let open = |name: &CStr| {
            openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map(File::from)
        };
        let [now, peak, limit] = names;
        Ok(Gauge { now: open(now)?, peak: open(peak).ok(), limit: open(limit).ok(), kills })
    }

    /// The numbers as they are now. Allocates nothing.
    ///
    /// # Errors
    /// The group was removed.
    pub fn read(&self) -> io::Result<GroupMemory> {
        let other = |file: &Option<File>| file.as_ref().and_then(|file| number(file).ok().flatten());
        Ok(GroupMemory {
            now: number(&self.now)?.ok_or(io::ErrorKind::InvalidData)?,
            peak: other(&self.peak),
            limit: other(&self.limit).filter(|limit| *limit < UNLIMITED),
            oom_kills: self.kills.as_ref().and_then(|kills| kills.count().ok()),
        })
    }
}

/// `None`: it is no number, `max`.
fn number(file: &File) -> io::Result<Option<u64>> {
    let mut text = [0; 32];
    let length = file.read_at(&mut text, 0)?;
    Ok(std::str::from_utf8(&text[..length]).ok().and_then(|text| text.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn group(files: &[(&str, &str)]) -> io::Result<GroupMemory> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let opened = File::open(directory.path()).unwrap();
        Gauge::of(opened.as_fd())?.read()
    }

    #[test]
    fn a_group_tells_what_it_has_and_nothing_where_nothing_is_counted() {
        let whole = [
            ("memory.current", "4096\n"),
            ("memory.peak", "8192\n"),
            ("memory.max", "16384\n"),
            ("memory.events", "oom 2\noom_kill 1\n"),
        ];
        let all = GroupMemory { now: 4096, peak: Some(8192), limit: Some(16384), oom_kills: Some(1) };
        assert_eq!(group(&whole).unwrap(), all);
        let some = [("memory.current", "1\n"), ("memory.max", "max\n")];
        let little = GroupMemory { now: 1, peak: None, limit: None, oom_kills: None };
        assert_eq!(group(&some).unwrap(), little);
        assert_eq!(group(&[]).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(group(&[("memory.current", "much\n")]).is_err());
    }

    #[test]
    fn ours_is_read_again_and_again_where_there_is_one() {
        let Ok(gauge) = Own::look().and_then(|own| Gauge::ours(&own)) else { return };
        assert!(gauge.read().unwrap().now > 0);
        assert!(gauge.read().is_ok());
    }
}
