//! Looking names up: from the mapped table, and only when that is lost from the registry, or from its log.

use super::client;
use super::error::Error;
use super::layout::{KEPT_TABLE, Layout, TABLE};
use super::log;
use super::place;
use super::registration::Registration;
use super::table::{Search, Table};
use super::watch::Watch;
use crate::ipc::registry::{Entry, Process, Reply, Request};
use crate::mapped::proof::Sought;
use crate::mapped::shown::Shown;
use crate::sys::{clock, pidfd};
use crate::time::Duration;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How long the registry may take to answer: it may have to be started first.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The names of one tree. Cheap to clone; may be shared by threads and used after a fork.
#[derive(Clone)]
pub struct Names {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: PathBuf,
    state: Option<PathBuf>,
    shown: Shown,
}

impl Names {
    /// The names of the tree with this runtime directory. It need not exist yet.
    pub fn open(runtime: &Path) -> Names {
        Names::of(runtime, None)
    }

    /// The same; where neither table nor registry are there, the log in this state directory is read.
    pub fn open_with(runtime: &Path, state: &Path) -> Names {
        Names::of(runtime, Some(state.to_owned()))
    }

    fn of(runtime: &Path, state: Option<PathBuf>) -> Names {
        let paths = [TABLE, KEPT_TABLE].map(|name| runtime.join(name));
        let shown = Shown::new(runtime, paths, place::open_to_read);
        Names { inner: Arc::new(Inner { runtime: runtime.to_owned(), state, shown }) }
    }

    /// The names of the tree that this process is a service of.
    ///
    /// # Errors
    /// [`Error::NoTree`].
    pub fn here() -> Result<Names, Error> {
        match std::env::var_os("MAINSTAY_RUNTIME_DIR") {
            Some(runtime) if !runtime.is_empty() => Ok(Names::open(Path::new(&runtime))),
            _ => Err(Error::NoTree),
        }
    }

    /// The runtime directory.
    pub fn runtime(&self) -> &Path {
        &self.inner.runtime
    }

    /// The pid of whoever has this name; `None`: nobody, or nobody can say. Nanoseconds while the table stands: no lock, no
    /// system call, no allocation.
    ///
    /// Whoever it names may end at any moment; [`Names::lookup`] and [`open`] hold on to a process.
    #[inline]
    pub fn pid(&self, name: &str) -> Option<u32> {
        let sought = Sought::new(name)?;
        self.inner.shown.look(clock::coarse());
        match self.proven_pid(&sought) {
            Some(answer) => answer,
            None => self.lookup(name).ok().flatten().map(|entry| entry.process.pid),
        }
    }

    /// `None`: lost.
    #[inline]
    fn proven_pid(&self, name: &Sought<'_>) -> Option<Option<u32>> {
        let shown = &self.inner.shown;
        let view = shown.view()?;
        let layout = Layout::of(view.facts[0] as usize, view.facts[1] as usize);
        // Not by way of `proven`: the loads are made in place.
        let table = Table::new(view.incarnation, layout, |cell| shown.region.load(cell));
        match table.search(name) {
            Search::Found(at) => table.fixed(at).map(|fixed| Some(fixed.process.pid)),
            Search::Absent => shown.is_current().then_some(None),
            Search::Lost => None,
        }
    }

    /// Who has this name, with all that was said of it. `None`: nobody.
    ///
    /// As the table says: of a process that has ended a moment ago, or while the registry was being restarted, it may still
    /// tell. It is not looked at here, because it may live where this process cannot see it (another pid namespace); [`open`]
    /// looks at it.
    ///
    /// # Errors
    /// The table is lost, and nobody answers.
    pub fn lookup(&self, name: &str) -> Result<Option<Entry>, Error> {
        let Some(sought) = Sought::new(name) else { return Ok(None) };
        let answer = self.by_table(|table| match table.search(&sought) {
            Search::Found(at) => table.entry(at).map(Some),
            // A table that was lost with its names while no registry lived says so for ever.
            Search::Absent => self.inner.shown.is_current().then_some(None),
            Search::Lost => None,
        });
        if let Some(answer) = answer {
            return Ok(answer);
        }
        match self.ask(&Request::Lookup { name: name.to_owned() }, ANSWER_WITHIN) {
            Ok(replies) => Ok(replies.into_iter().find_map(entry_of)),
            Err(Error::Refused(refusal)) if refusal.code == NOT_FOUND => Ok(None),
            Err(error) => match self.recall() {
                Some(mut entries) => Ok(entries.remove(name)),
                None => Err(error),
            },
        }
    }

    /// All names that begin so, in order; the empty prefix means all.
    ///
    /// # Errors
    /// As [`Names::lookup`].
    pub fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        if let Some(entries) = self.read_table(prefix) {
            return Ok(entries);
        }
        match self.ask(&Request::List { prefix: prefix.to_owned() }, ANSWER_WITHIN) {
            Ok(replies) => Ok(replies.into_iter().filter_map(entry_of).collect()),
            Err(error) => match self.recall() {
                Some(entries) => Ok(entries.into_values().filter(|e| e.name.starts_with(prefix)).collect()),
                None => Err(error),
            },
        }
    }

    /// Gives this process a name, until it ends or what is returned is dropped.
    ///
    /// # Errors
    /// [`Error::Refused`]: a living process has the name; it says which. Nobody answers.
    pub fn register(&self, name: &str, meta: &[(&str, &str)]) -> Result<Registration, Error> {
        let meta = meta.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let me = own_process();
        // Number 0: whoever asks, as the kernel says it to the registry, whatever namespace we are in.
        let entry = self.register_process(name, Process { pid: 0, ..me }, meta, ANSWER_WITHIN)?;
        Ok(Registration::new(self.clone(), entry))
    }

    /// Gives a name to a process (`pid` 0: this one), until that ends.
    ///
    /// # Errors
    /// As [`Names::register`]; that process has ended.
    pub fn register_process(
        &self,
        name: &str,
        process: Process,
        meta: BTreeMap<String, String>,
        within: Duration,
    ) -> Result<Entry, Error> {
        let replies = self.change(&Request::Register { name: name.to_owned(), process, meta }, within)?;
        replies.into_iter().find_map(entry_of).ok_or(Error::Late)
    }

    /// Takes a name away, whoever has it; with a `ticket` only that registration. What it was.
    ///
    /// # Errors
    /// [`Error::Refused`] with code 4: nobody has it. Nobody answers.
    pub fn unregister(&self, name: &str, ticket: u64, within: Duration) -> Result<Entry, Error> {
        let replies = self.change(&Request::Unregister { name: name.to_owned(), ticket }, within)?;
        replies.into_iter().find_map(entry_of).ok_or(Error::Late)
    }

    /// Everything that happens to names that begin so, from now on; first what there is.
    pub fn watch(&self, prefix: &str) -> Watch {
        Watch::new(self.clone(), prefix)
    }

    /// Whoever has the answer reads what it changed.
    fn change(&self, request: &Request, within: Duration) -> Result<Vec<Reply>, Error> {
        let replies = self.ask(request, within)?;
        self.inner.shown.is_current();
        Ok(replies)
    }

    pub(super) fn ask(&self, request: &Request, within: Duration) -> Result<Vec<Reply>, Error> {
        client::ask(&self.inner.runtime, request, within)
    }

    /// What the log says of processes that still live.
    fn recall(&self) -> Option<BTreeMap<String, Entry>> {
        let mut entries = log::recall(self.inner.state.as_ref()?)?.entries;
        entries.retain(|_, entry| matches!(open(entry.process), Ok(Some(_))));
        Some(entries)
    }

    /// The same from the table alone; `None`: it is lost.
    pub(super) fn read_table(&self, prefix: &str) -> Option<Vec<Entry>> {
        self.by_table(|table| table.list(prefix))
    }

    fn by_table<T>(&self, read: impl Fn(&Shows<'_>) -> Option<T>) -> Option<T> {
        self.inner.shown.look(clock::coarse());
        self.proven(&read).or_else(|| {
            self.inner.shown.recover(clock::coarse());
            self.proven(&read)
        })
    }

    #[inline]
    fn proven<T>(&self, read: impl Fn(&Shows<'_>) -> Option<T>) -> Option<T> {
        let shown = &self.inner.shown;
        let view = shown.view()?;
        let layout = Layout::of(view.facts[0] as usize, view.facts[1] as usize);
        read(&Table::new(view.incarnation, layout, &|cell| shown.region.load(cell)))
    }
}

/// The table that is shown.
type Shows<'a> = Table<&'a dyn Fn(usize) -> u64>;

const NOT_FOUND: u8 = crate::exit_code::ExitCode::NotFound.number();

pub(super) fn entry_of(reply: Reply) -> Option<Entry> {
    match reply {
        Reply::Entry(entry) => Some(entry),
        _ => None,
    }
}

/// This process, as the registry proves it.
fn own_process() -> Process {
    describe(std::process::id()).unwrap_or_default()
}

/// The process that has this number now; `None`: there is none.
pub fn describe(pid: u32) -> Option<Process> {
    let pidfd = pidfd::open(pid).ok().flatten()?;
    let inode = pidfd::identity(&pidfd).unwrap_or(0);
    let started = pidfd::start_time(pid).unwrap_or(0);
    (!pidfd::is_over(&pidfd)).then_some(Process { pid, started, inode })
}

/// A descriptor of the process that is registered, for signals that reach no other, and to wait for its end. `None`: it has
/// ended.
///
/// # Errors
/// No descriptors are left.
pub fn open(process: Process) -> io::Result<Option<OwnedFd>> {
    let Some(pidfd) = pidfd::open(process.pid)? else { return Ok(None) };
    let same = match (process.inode, pidfd::identity(&pidfd)?) {
        (0, _) | (_, 0) => pidfd::start_time(process.pid).ok() == Some(process.started),
        (known, here) => known == here,
    };
    Ok((same && !pidfd::is_over(&pidfd)).then_some(pidfd))
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Names({})", self.inner.runtime.display())
    }
}
