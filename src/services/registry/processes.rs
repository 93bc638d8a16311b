//! The processes that have names: each by a descriptor, which means one process for ever, and tells when it ends.

use crate::ipc::registry::Process;
use crate::sys::ends::Ends;
use crate::sys::{pidfd, procfs};
use std::collections::HashMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Everybody who is watched.
pub(super) struct Processes {
    ends: Ends,
    watched: HashMap<Process, Watched>,
    /// Who is awaited under which number: none is used twice.
    numbers: HashMap<u64, Process>,
    next: u64,
}

struct Watched {
    pidfd: OwnedFd,
    number: u64,
}

/// A living process, held by its descriptor.
pub(super) struct Held {
    /// Who it is.
    pub(super) process: Process,
    pidfd: OwnedFd,
}

impl Held {
    /// Whoever this descriptor means; `None`: it has ended.
    pub(super) fn by(pidfd: OwnedFd, pid: u32) -> io::Result<Option<Held>> {
        let inode = pidfd::identity(&pidfd)?;
        // Asked while the descriptor is open and its process has not been reaped: else the number may be another's.
        let started = pidfd::start_time(pid).unwrap_or(0);
        if pidfd::is_over(&pidfd) {
            return Ok(None);
        }
        Ok(Some(Held { process: Process { pid, started, inode }, pidfd }))
    }

    /// The process with this number, if it is the one that is meant: what `process` does not know is not asked.
    pub(super) fn find(process: Process) -> io::Result<Option<Held>> {
        let Some(pidfd) = pidfd::open(process.pid)? else { return Ok(None) };
        let found = Held::by(pidfd, process.pid)?;
        Ok(found.filter(|found| found.is(process)))
    }

    /// Whether this is the process that is meant: what `process` does not know is not asked.
    pub(super) fn is(&self, process: Process) -> bool {
        let same = |known: u64, here: u64| known == 0 || here == 0 || known == here;
        same(process.inode, self.process.inode) && same(process.started, self.process.started)
    }

    /// The instance of a tree that it belongs to, as its environment says; empty: none.
    pub(super) fn instance(&self) -> String {
        let environment = procfs::environment(self.process.pid).unwrap_or_default();
        let instance = procfs::variable(&environment, "MAINSTAY_INSTANCE").unwrap_or_default();
        let printable = |c: &char| !c.is_control();
        String::from_utf8_lossy(instance).chars().filter(printable).take(128).collect()
    }
}

impl Processes {
    pub(super) fn new() -> io::Result<Processes> {
        Ok(Processes { ends: Ends::new()?, watched: HashMap::new(), numbers: HashMap::new(), next: 0 })
    }

    /// Readable when somebody may have ended.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.ends.fd()
    }

    /// Watches it, if it is not watched yet.
    ///
    /// # Errors
    /// No descriptors or memory are left.
    pub(super) fn watch(&mut self, held: Held) -> io::Result<()> {
        if self.watched.contains_key(&held.process) {
            return Ok(());
        }
        let number = self.next;
        self.ends.add(&held.pidfd, number)?;
        self.next += 1;
        self.numbers.insert(number, held.process);
        self.watched.insert(held.process, Watched { pidfd: held.pidfd, number });
        Ok(())
    }

    /// Watches it no more.
    pub(super) fn forget(&mut self, process: Process) {
        if let Some(watched) = self.watched.remove(&process) {
            self.numbers.remove(&watched.number);
            self.ends.forget(&watched.pidfd);
        }
    }

    /// Whether it has ended; one that is not watched has.
    pub(super) fn is_over(&self, process: Process) -> bool {
        self.watched.get(&process).is_none_or(|watched| pidfd::is_over(&watched.pidfd))
    }

    /// Some that have ended, until they are forgotten.
    ///
    /// # Errors
    /// Those of `epoll_wait`.
    pub(super) fn ended(&self) -> io::Result<Vec<Process>> {
        let ended = self.ends.take()?;
        Ok(ended.iter().filter_map(|number| self.numbers.get(number)).copied().collect())
    }

    /// Whether it is watched.
    pub(super) fn has(&self, process: Process) -> bool {
        self.watched.contains_key(&process)
    }
}
