//! What a supervisor that was killed left behind: it is ended before the first new life begins, so that
//! nothing is there twice (S3).
//!
//! There are three traces of it: the ledger without a goodbye, a mark in the state directory (for when the
//! runtime directory was wiped), and control groups with somebody inside. Without any, nothing is looked
//! for: a look at every process is not free.

use crate::ledger::Past;
use crate::paths::Project;
use crate::sys::cgroup::Tree;
use crate::sys::strays::{self, Former};
use crate::sys::{clock, pidfd};
use crate::time::{Duration, Instant};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

/// How long what is left may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// How long the kernel may take to end what was killed.
const KILLED: Duration = Duration::from_secs(10);

/// The mark in the state directory: there while a supervisor runs.
pub fn mark(project: &Project) -> PathBuf {
    project.state.join("running")
}

/// Ends what is left. Returns how many processes that were.
///
/// # Errors
/// They cannot be looked for, or some did not end: then nothing may be started.
pub fn end(project: &Project, past: &Past) -> io::Result<usize> {
    let groups = Tree::create(&project.name, &project.runtime).ok();
    let inhabited = groups.as_ref().is_some_and(|tree| {
        tree.instances()
            .unwrap_or_default()
            .iter()
            .any(|name| tree.group(name).and_then(|group| group.is_empty()).is_ok_and(|empty| !empty))
    });
    if past.supervisor.is_none() && !inhabited && !mark(project).exists() {
        return Ok(0);
    }
    let left = strays::sweep(&project.runtime)?;
    let count = left.len();
    signal(&left, libc::SIGTERM);
    signal(&left, libc::SIGCONT);
    let left = wait(left, clock::now() + GRACE)?;
    signal(&left, libc::SIGKILL);
    let deadline = clock::now() + KILLED;
    if let Some(tree) = &groups {
        clear(tree, deadline)?;
    }
    let left = wait(left, deadline)?;
    match left.first() {
        None => Ok(count),
        Some(one) => Err(io::Error::other(format!("pid {} of `{}` does not end", one.pid, one.instance))),
    }
}

/// What hid its environment is still in its group. The groups are removed, too: whatever enters one that
/// was killed once is killed at once (see `Slot::cgroup_used_up`).
fn clear(tree: &Tree, deadline: Instant) -> io::Result<()> {
    for name in tree.instances()? {
        let group = tree.group(&name)?;
        let emptiness = group.emptiness()?;
        if !emptiness.is_empty()? {
            group.kill()?;
        }
        while !emptiness.is_empty()? && clock::now() < deadline {
            let rest = Timespec::try_from(deadline.since(clock::now())).map_err(io::Error::other)?;
            let _ = poll(&mut [PollFd::new(&emptiness, PollFlags::PRI)], Some(&rest));
        }
        tree.remove(group)?;
    }
    Ok(())
}

fn signal(left: &[Former], signal: i32) {
    for one in left {
        let _ = pidfd::signal(&one.pidfd, signal);
    }
}

/// Those that still live at the deadline.
fn wait(mut left: Vec<Former>, deadline: Instant) -> io::Result<Vec<Former>> {
    while !left.is_empty() {
        let rest = deadline.since(clock::now());
        if rest.is_zero() {
            break;
        }
        let mut fds: Vec<PollFd<'_>> =
            left.iter().map(|one| PollFd::new(&one.pidfd, PollFlags::IN)).collect();
        let timeout = Timespec::try_from(rest).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let gone: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut gone = gone.into_iter();
        left.retain(|_| !gone.next().unwrap_or(false));
    }
    Ok(left)
}

/// Marks that a supervisor runs. `durable`: the mark is there after a loss of power, too, which takes a moment; one
/// that is there already was made so.
///
/// # Errors
/// The state directory cannot be written to; then only the ledger tells.
pub fn begin(project: &Project, durable: bool) -> io::Result<()> {
    let path = mark(project);
    let is_new = !path.exists();
    let mut file = fs::File::create(&path)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
    if durable && is_new {
        file.sync_all()?;
        fs::File::open(&project.state)?.sync_all()?;
    }
    Ok(())
}

/// Everything is down.
pub fn goodbye(project: &Project) {
    // What stays costs the next start one look at every process.
    let _ = fs::remove_file(mark(project));
}
