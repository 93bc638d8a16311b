//! Requests and deaths → the book, and everybody who is to hear of what has changed.

use super::book::{Book, Change};
use super::processes::{Held, Processes};
use crate::exit_code::ExitCode;
use crate::ipc::control::Refusal;
use crate::ipc::registry::{Entry, Process, Reply, Request};
use crate::ipc::server::Peer;
use crate::registry::log::Recalled;
use crate::sys::{clock, pidfd, stream};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;

/// An answer.
pub(super) enum Said {
    /// All of it.
    Whole(Vec<Reply>),
    /// What is there now; the client stays for what changes below this prefix.
    Follows(Vec<Reply>, String),
}

/// The book, and who is in it.
pub(super) struct Office {
    pub(super) book: Book,
    pub(super) processes: Processes,
}

impl Office {
    /// With what the last life knew, as far as those processes still live: each is opened anew, and proven to be the one
    /// that was meant.
    ///
    /// # Errors
    /// No descriptors are left.
    pub(super) fn new(recalled: Recalled) -> io::Result<Office> {
        let mut office = Office { book: Book::default(), processes: Processes::new()? };
        office.book.begin_after(recalled.last);
        for entry in recalled.entries.into_values() {
            if office.processes.has(entry.process) {
                office.book.put(entry);
                continue;
            }
            if let Some(held) = Held::find(entry.process)?.filter(|held| held.process == entry.process) {
                office.processes.watch(held)?;
                office.book.put(entry);
            }
        }
        Ok(office)
    }

    /// Those that have ended are taken out. Says what has changed.
    ///
    /// # Errors
    /// The kernel does not say who has.
    pub(super) fn take_the_dead(&mut self) -> io::Result<Vec<Change>> {
        let ended = self.processes.ended()?;
        Ok(ended.into_iter().flat_map(|process| self.bury(process)).collect())
    }

    fn bury(&mut self, process: Process) -> Vec<Change> {
        self.processes.forget(process);
        self.book.ended(process)
    }

    /// One request of a client that is connected by `socket`. What has changed is appended to `changes`.
    pub(super) fn answer(
        &mut self,
        request: Request,
        peer: Peer,
        socket: Option<BorrowedFd<'_>>,
        changes: &mut Vec<Change>,
    ) -> Said {
        let entries = |book: &Book, prefix: &str| -> Vec<Reply> {
            book.list(prefix).map(|entry| Reply::Entry(entry.clone())).collect()
        };
        let one = match request {
            Request::Register { name, process, meta } => {
                self.register(name, process, meta, peer, socket, changes)
            }
            Request::Unregister { name, ticket } => self.unregister(&name, ticket, changes),
            Request::Lookup { name } => self.book.lookup(&name).cloned(),
            Request::List { prefix } => {
                let mut replies = entries(&self.book, &prefix);
                replies.push(Reply::Done);
                return Said::Whole(replies);
            }
            Request::Watch { prefix } => {
                let mut replies = entries(&self.book, &prefix);
                replies.push(Reply::Here);
                return Said::Follows(replies, prefix);
            }
        };
        Said::Whole(match one {
            Ok(entry) => vec![Reply::Entry(entry), Reply::Done],
            Err(refusal) => vec![Reply::Refused(refusal)],
        })
    }

    fn register(
        &mut self,
        name: String,
        process: Process,
        meta: BTreeMap<String, String>,
        peer: Peer,
        socket: Option<BorrowedFd<'_>>,
        changes: &mut Vec<Change>,
    ) -> Result<Entry, Refusal> {
        let held = match process.pid {
            0 => whoever_asks(process, peer, socket)?,
            pid => Held::find(process).map_err(cannot_look)?.ok_or_else(|| gone(pid))?,
        };
        // Its end may not have been heard of yet.
        if let Some(holder) = self.book.get(&name).map(|entry| entry.process)
            && holder != held.process
            && self.processes.is_over(holder)
        {
            changes.extend(self.bury(holder));
        }
        let entry = Entry {
            name: name.clone(),
            process: held.process,
            instance: held.instance(),
            uid: peer.uid,
            ticket: 0,
            since: clock::wall(),
            meta,
        };
        let process = held.process;
        self.processes.watch(held).map_err(cannot_watch)?;
        let registered = self.book.register(entry);
        if !self.book.has(process) {
            self.processes.forget(process);
        }
        changes.extend(registered?);
        self.book.lookup(&name).cloned()
    }

    fn unregister(&mut self, name: &str, ticket: u64, changes: &mut Vec<Change>) -> Result<Entry, Refusal> {
        let change = self.book.unregister(name, ticket)?;
        let (Change::Gone(entry, _) | Change::Added(entry)) = &change;
        let entry = entry.clone();
        if !self.book.has(entry.process) {
            self.processes.forget(entry.process);
        }
        changes.push(change);
        Ok(entry)
    }
}

/// The process at the other end, by a descriptor of the kernel's where it gives one; it may name itself to be sure.
fn whoever_asks(process: Process, peer: Peer, socket: Option<BorrowedFd<'_>>) -> Result<Held, Refusal> {
    let Some(socket) = socket else { return Err(gone(peer.pid)) };
    let held = match pidfd::of_peer(socket) {
        Ok(Some(pidfd)) => match pidfd::number(&pidfd) {
            Some(pid) => Held::by(pidfd, pid).map_err(cannot_look)?,
            None => None,
        },
        Ok(None) => None,
        // An older kernel. Whose connection is open has not ended, so its number is still its own.
        Err(_) if peer.pid != 0 => {
            let held = Held::find(Process { pid: peer.pid, ..process }).map_err(cannot_look)?;
            held.filter(|_| !stream::is_gone(socket))
        }
        Err(_) => None,
    };
    held.filter(|held| held.is(process)).ok_or_else(|| gone(peer.pid))
}

fn gone(pid: u32) -> Refusal {
    match pid {
        0 => Refusal {
            code: ExitCode::Failed.number(),
            message: "the process that asks cannot be seen from here".to_owned(),
            hint:
                "it has ended, or is in another pid namespace: let a process outside register it with --pid"
                    .to_owned(),
        },
        pid => Refusal {
            code: ExitCode::NotFound.number(),
            message: format!("process {pid} has ended"),
            hint: "only a living process can have a name".to_owned(),
        },
    }
}

fn cannot_look(error: io::Error) -> Refusal {
    system(format!("cannot look at the process: {error}"))
}

fn cannot_watch(error: io::Error) -> Refusal {
    system(format!("cannot watch the process: {error}"))
}

fn system(message: String) -> Refusal {
    let hint =
        "each process with a name takes one descriptor of mainstay.registry: raise its limit (ulimit -Hn)";
    Refusal { code: ExitCode::System.number(), message, hint: hint.to_owned() }
}
