//! What `/proc` says about processes. Every answer is about whoever has the number at that moment: open
//! a pidfd first, then ask, then act by the pidfd.

use crate::time::Duration;
use std::fs;
use std::io::{self, Read};
use std::thread;

/// A line of `/proc/PID/stat`, as far as we need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The command's name, at most 15 bytes; anything may be in it.
    pub name: String,
    /// `R`, `S`, `Z` (dead and not reaped) …
    pub state: u8,
    /// The parent's number.
    pub parent: u32,
    /// The process group.
    pub group: u32,
    /// The session.
    pub session: u32,
    /// When it began, in clock ticks since boot.
    pub started: u64,
}

/// The stat line of a process.
///
/// # Errors
/// There is no such process, or it is hidden from us.
pub fn stat(pid: u32) -> io::Result<Stat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat"))?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse_stat(line: &[u8]) -> Option<Stat> {
    // The name in parentheses may hold anything, also parentheses and spaces; the last one ends it.
    let begin = line.iter().position(|byte| *byte == b'(')? + 1;
    let end = line.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(line.get(end + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
    Some(Stat {
        name: String::from_utf8_lossy(line.get(begin..end)?).into_owned(),
        state: *fields.first()?.as_bytes().first()?,
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// What a process uses now: processor time since it began (its reaped children not included), and resident
/// memory in bytes.
///
/// # Errors
/// There is no such process, or it is hidden from us.
pub fn usage(pid: u32) -> io::Result<(Duration, u64)> {
    // One read: the kernel writes the line in one piece, and 52 numbers of 20 digits do not fill this.
    let mut line = [0; 2048];
    let length = fs::File::open(format!("/proc/{pid}/stat"))?.read(&mut line)?;
    parse_usage(&line[..length]).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse_usage(line: &[u8]) -> Option<(Duration, u64)> {
    let end = line.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(&line[end..]).ok()?.split_ascii_whitespace();
    let user: u64 = fields.nth(12)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let pages: u64 = fields.nth(8)?.parse().ok()?;
    let second = rustix::param::clock_ticks_per_second().max(1);
    let ticks = user.checked_add(system)?;
    let used = Duration::from_nanos(ticks.checked_mul(1_000_000_000 / second)?);
    Some((used, pages.checked_mul(rustix::param::page_size() as u64)?))
}

/// All processes that we may see, in ascending order.
///
/// # Errors
/// `/proc` is not mounted.
pub fn pids() -> io::Result<Vec<u32>> {
    let mut pids: Vec<u32> =
        fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    Ok(pids)
}

/// The living and dead children of a process, of all its threads. Costs as much as it has children.
///
/// A child that is born or dies meanwhile may be missed, and with it a neighbour: look again until
/// nothing new is found.
///
/// # Errors
/// There is no such process, or a kernel without `CONFIG_PROC_CHILDREN`.
pub fn children(pid: u32) -> io::Result<Vec<u32>> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path().join("children");
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            // The thread has ended meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => continue,
            Err(error) => return Err(error),
        };
        children.extend(text.split_ascii_whitespace().filter_map(|field| field.parse::<u32>().ok()));
    }
    Ok(children)
}

/// The environment that a process was started with: `NAME=value`, each ended by a zero byte. Empty for a zombie.
///
/// It stands in the memory of a new program a moment after the exec has closed descriptors, which is how one hears of that: who
/// finds nothing in a process that executes something looks again, a few times, because there may be none.
///
/// # Errors
/// There is no such process, or it is another user's.
pub fn environment(pid: u32) -> io::Result<Vec<u8>> {
    const LOOKS: usize = 64;
    for _ in 1..LOOKS {
        let environment = fs::read(format!("/proc/{pid}/environ"))?;
        if !environment.is_empty() || fs::read_link(format!("/proc/{pid}/exe")).is_err() {
            return Ok(environment);
        }
        thread::yield_now();
    }
    fs::read(format!("/proc/{pid}/environ"))
}

/// The value of a variable in what [`environment`] returned.
pub fn variable<'a>(environment: &'a [u8], name: &str) -> Option<&'a [u8]> {
    environment
        .split(|byte| *byte == 0)
        .find_map(|assignment| assignment.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_find_ourselves() {
        let me = stat(std::process::id()).unwrap();
        assert_eq!(me.parent, std::os::unix::process::parent_id());
        assert!(pids().unwrap().contains(&std::process::id()));
        assert!(children(me.parent).unwrap().contains(&std::process::id()));
        assert!(variable(&environment(std::process::id()).unwrap(), "PATH").is_some());
    }

    #[test]
    fn a_name_may_hold_anything() {
        let line = b"7 (a) R 1 (b ) S 3 4 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 99 1 1";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.name.as_str(), stat.state), ("a) R 1 (b ", b'S'));
        assert_eq!((stat.parent, stat.group, stat.session, stat.started), (3, 4, 5, 99));
        for broken in [&b""[..], b"7", b")(", b"7 (a)", b"7 (a) S 3 4"] {
            assert_eq!(parse_stat(broken), None);
        }
    }

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let environment = b"XNAME=1\0NAMEX=2\0NAME=3\0NAME=4\0";
        assert_eq!(variable(environment, "NAME"), Some(&b"3"[..]));
        assert_eq!(variable(environment, "NAM"), None);
    }

    #[test]
    fn what_is_used_is_counted_behind_the_name() {
        let line = b"7 (a) 1 (b ) S 3 4 5 0 -1 0 0 0 0 0 7 3 0 0 20 0 1 0 99 1 25 18446744073709551615 1";
        let second = rustix::param::clock_ticks_per_second();
        let used = (Duration::from_nanos(10_000_000_000 / second), 25 * rustix::param::page_size() as u64);
        assert_eq!(parse_usage(line), Some(used));
        for broken in [&b""[..], b"7 (a) S 3 4 5 0 -1 0 0 0 0 0 7", &line[..line.len() - 26]] {
            assert_eq!(parse_usage(broken), None);
        }
        let endless = b"7 (a) S 3 4 5 0 -1 0 0 0 0 0 18446744073709551615 3 0 0 20 0 1 0 99 1 25 0";
        assert_eq!(parse_usage(endless), None);
    }

    #[test]
    fn a_process_that_works_uses_time_and_memory() {
        let before = usage(std::process::id()).unwrap();
        assert!(before.1 > 100_000, "{before:?}");
        let mut turns = 0u64;
        while usage(std::process::id()).unwrap().0 == before.0 {
            turns = std::hint::black_box(turns.wrapping_mul(31).wrapping_add(1));
        }
        assert!(usage(std::process::id()).unwrap().0 > before.0);
    }
}
