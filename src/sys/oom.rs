//! How many processes of a control group the kernel has killed because there was no memory left.
//!
//! In the version 2 hierarchy that is `memory.events` of a group whose parent has the memory controller switched on; in
//! version 1 `memory.oom_control`. Where neither is to be seen nobody can tell such a death from another SIGKILL.

use super::cgroup::Own;
use rustix::fs::{Mode, OFlags, openat};
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

/// A counter that only rises.
#[derive(Debug)]
pub struct OomKills(File);

impl OomKills {
    /// That of the group that we are in: our children are in it too, unless they were put elsewhere.
    ///
    /// # Errors
    /// `NotFound`: no memory controller is to be seen.
    pub fn ours(own: &Own) -> io::Result<OomKills> {
        let version_2 = own.directory().and_then(|group| File::open(group.join("memory.events")));
        version_2.or_else(|_| File::open(own.memory_directory()?.join("memory.oom_control"))).map(OomKills)
    }

    /// That of a group of the version 2 hierarchy, by its directory. Allocates nothing.
    ///
    /// # Errors
    /// `NotFound`: the memory controller is not switched on for it.
    pub fn of(group: BorrowedFd<'_>) -> io::Result<OomKills> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(OomKills(File::from(openat(group, c"memory.events", flags, Mode::empty())?)))
    }

    /// How many there were. Allocates nothing.
    ///
    /// # Errors
    /// The group was removed; or the kernel is too old to count.
    pub fn count(&self) -> io::Result<u64> {
        let mut text = [0; 512];
        let length = self.0.read_at(&mut text, 0)?;
        oom_kill(&text[..length]).ok_or(io::ErrorKind::Unsupported.into())
    }
}

/// `oom_kill 3` among other lines; `oom_kill_disable 0` is another.
fn oom_kill(text: &[u8]) -> Option<u64> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let number = lines.find_map(|line| line.strip_prefix(b"oom_kill "))?;
    std::str::from_utf8(number).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_one_line_of_both_hierarchies_files() {
        assert_eq!(oom_kill(b"low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 5\n"), Some(4));
        assert_eq!(oom_kill(b"oom_kill_disable 0\nunder_oom 0\noom_kill 12\n"), Some(12));
        assert_eq!(oom_kill(b"oom_kill_disable 0\nunder_oom 0\n"), None);
        assert_eq!(oom_kill(b"oom_kill x\n"), None);
        assert_eq!(oom_kill(b""), None);
    }

    #[test]
    fn ours_is_read_again_and_again_where_there_is_one() {
        let Ok(counter) = Own::look().and_then(|own| OomKills::ours(&own)) else { return };
        let first = counter.count().unwrap();
        assert!(counter.count().unwrap() >= first);
    }
}
