//! Calls to a tree from anywhere in the host: the control protocol over the project's own socket.
//!
//! Invariant: a call never waits for ever. The tree has ended, then it says so at once; or it does not answer in time.

use super::error::Error;
use super::events::Events;
use super::new_child::NewChild;
use super::tree::Tree;
use super::words::Signal;
use crate::cli::revision;
use crate::cli::select::Snapshot;
use crate::ipc::client::{CallError, Client};
use crate::ipc::control::{Counts, Difference, Reply, Request, Verb, Which};
use crate::sys::clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A running tree, as the host calls it. Clones are the same tree; a clone may outlive it, and is then told so.
///
/// Patterns name services (`web`), instances (`web#2`), groups (`@app`), and several (`worker*`).
#[derive(Clone, Debug)]
pub struct Handle(pub(super) Arc<Tie>);

/// What ties a handle to its tree.
#[derive(Debug)]
pub(super) struct Tie {
    pub(super) name: String,
    pub(super) socket: PathBuf,
    pub(super) within: Duration,
    pub(super) life: Life,
}

/// How the end of a tree is seen.
#[derive(Debug)]
pub(super) enum Life {
    /// In this process: the loop says it.
    Inside(AtomicBool),
    /// A process of its own: this descriptor is readable.
    Process(OwnedFd),
}

impl Tie {
    pub(super) fn over(&self) -> bool {
        match &self.life {
            Life::Inside(over) => over.load(Ordering::Acquire),
            Life::Process(pidfd) => {
                let now = Timespec::default();
                poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&now)).is_ok_and(|count| count > 0)
            }
        }
    }

    /// What a failed call means.
    pub(super) fn failed(&self, error: CallError) -> Error {
        match error {
            // The sockets are closed a moment before the end is seen.
            CallError::Unreachable { .. } | CallError::HungUp => Error::Ended,
            _ if self.over() => Error::Ended,
            error => Error::Call(error),
        }
    }
}

/// A node that was acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acted {
    /// `web#2`
    pub instance: String,
    /// Its main process before it; 0: none.
    pub pid: u32,
    /// Its state just after (`up`, `stopping` …); empty: it is not there any more. Answering a reload or a scale:
    /// `added`, `removed` or `restarted`.
    pub state: String,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The nodes, in order.
    pub acted: Vec<Acted>,
    /// The newest event before it: what it led to is in [`Handle::events`] after this.
    pub cursor: u64,
}

/// How another tree takes the place of the one that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// Nothing is started, restarted or deleted: what OTP does.
    pub otp: bool,
    /// So many changed services are restarted at a time; 0: one.
    pub at_once: u32,
    /// Only say what would be different.
    pub dry_run: bool,
}

/// What another tree or another count changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// What is different, and why it takes what it takes.
    pub differences: Vec<Difference>,
    /// Instances that come, go or are restarted.
    pub acted: Vec<Acted>,
    /// The newest event before it.
    pub cursor: u64,
}

impl Handle {
    /// Everything as it is now: the supervisor, each instance, each group; the built-in services too.
    ///
    /// # Errors
    /// [`Error::Ended`], [`Error::Call`]; as for every call.
    pub fn status(&self) -> Result<Snapshot, Error> {
        let mut snapshot = Snapshot::default();
        snapshot.cursor = self.ask(&Request::Status { all: true }, |reply| match reply {
            Reply::Head(head) => snapshot.head = head,
            Reply::Service(service) => snapshot.services.push(service),
            Reply::Group(group) => match snapshot.groups.last_mut().filter(|last| last.name == group.name) {
                Some(last) => last.members.extend(group.members),
                None => snapshot.groups.push(group),
            },
            _ => {}
        })?;
        Ok(snapshot)
    }

    /// The number of the newest event.
    pub fn cursor(&self) -> Result<u64, Error> {
        self.ask(&Request::Cursor, |_| {})
    }

    /// The events after this number, and then each when it happens, until the tree has ended. The supervisor keeps some
    /// thousands; [`Events::missed`] says how many were gone already.
    pub fn events(&self, after: u64) -> Result<Events, Error> {
        let mut client = self.connect()?;
        client.send(&Request::Events { after, follow: true }).map_err(|error| self.0.failed(error))?;
        Ok(Events::new(self.clone(), client))
    }

    /// Wanted up.
    pub fn start<P: Into<String>>(&self, patterns: impl IntoIterator<Item = P>) -> Result<Done, Error> {
        self.act(Verb::Start, patterns, 0, 0)
    }

    /// Wanted down, until somebody starts it. Does not wait until it is.
    pub fn stop<P: Into<String>>(&self, patterns: impl IntoIterator<Item = P>) -> Result<Done, Error> {
        self.act(Verb::Stop, patterns, 0, 0)
    }

    /// Stopped and started; no restart that counts.
    pub fn restart<P: Into<String>>(&self, patterns: impl IntoIterator<Item = P>) -> Result<Done, Error> {
        self.act(Verb::Restart, patterns, 0, 0)
    }

    /// A signal to the main processes; what follows is an ordinary death.
    pub fn kill<P: Into<String>>(
        &self,
        patterns: impl IntoIterator<Item = P>,
        signal: Signal,
    ) -> Result<Done, Error> {
        self.act(Verb::Kill, patterns, signal.0, 0)
    }

    /// One more child: OTP's `start_child`. What becomes of its first start is told by events; when that fails, nothing of it
    /// is kept.
    ///
    /// # Errors
    /// [`Error::Refused`]: the name is taken, the pool is full, or the child makes no sense.
    pub fn start_child(&self, child: &NewChild) -> Result<Done, Error> {
        let new = child.message()?;
        self.done(&Request::StartChild(new))
    }

    /// Stopped; removed, too, when it was added as temporary. OTP's `terminate_child`.
    pub fn terminate(&self, name: impl Into<String>) -> Result<Done, Error> {
        self.act(Verb::Terminate, [name], 0, 0)
    }

    /// The member of a pool with this main process is stopped and removed.
    pub fn terminate_pid(&self, pool: impl AsRef<str>, pid: u32) -> Result<Done, Error> {
        self.act(Verb::Terminate, [format!("@{}", pool.as_ref().trim_start_matches('@'))], 0, pid)
    }

    /// A stopped child is started: OTP's `restart_child`.
    pub fn restart_child(&self, name: impl Into<String>) -> Result<Done, Error> {
        self.act(Verb::RestartChild, [name], 0, 0)
    }

    /// A stopped child is removed: OTP's `delete_child`.
    pub fn delete_child(&self, name: impl Into<String>) -> Result<Done, Error> {
        self.act(Verb::DeleteChild, [name], 0, 0)
    }

    /// OTP's `count_children` of a group; of the whole tree's outermost group when the name is empty.
    pub fn count(&self, group: impl Into<String>) -> Result<Counts, Error> {
        let mut counts = None;
        self.ask(&Request::Count { group: group.into() }, |reply| {
            if let Reply::Counts(found) = reply {
                counts = Some(found);
            }
        })?;
        counts.ok_or(Error::Ended)
    }

    /// OTP's `which_children` of a `@group`, newest first; the tree's outermost group when it is empty; or the one child of
    /// this name.
    pub fn which(&self, target: impl Into<String>) -> Result<Vec<Which>, Error> {
        let mut found = Vec::new();
        self.ask(&Request::Which { target: target.into(), pid: 0 }, |reply| {
            if let Reply::Which(which) = reply {
                found.push(which);
            }
        })?;
        Ok(found)
    }

    /// Other numbers of instances.
    pub fn scale<S: Into<String>>(
        &self,
        services: impl IntoIterator<Item = (S, u32)>,
    ) -> Result<Reloaded, Error> {
        let scale = services.into_iter().map(|(service, count)| (service.into(), count)).collect();
        self.revise(scale, String::new(), Reload::default())
    }

    /// Another tree takes the place of the one that runs: what is new starts, what is gone stops, what executes something
    /// else is restarted, and everything else goes on. Where it runs ([`Tree::runtime_dir`] and so on) does not change.
    ///
    /// # Errors
    /// Whatever is wrong, nothing was changed: [`Error::Flaws`], [`Error::Refused`].
    pub fn reload(&self, tree: &Tree, how: Reload) -> Result<Reloaded, Error> {
        let plan = tree.build()?;
        if plan.project != self.0.name {
            return Err(Error::Refused {
                code: crate::exit_code::ExitCode::Configuration,
                message: format!("the tree `{}` cannot take the place of `{}`", plan.project, self.0.name),
                hint: "give it the same name".to_owned(),
            });
        }
        let sealed = revision::seal(&plan).map_err(Error::system("sealing the plan"))?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), sealed.as_raw_fd());
        self.revise(Vec::new(), path, how)
    }

    /// Stops everything in order and waits until it has ended.
    ///
    /// # Errors
    /// [`Error::Ended`]: it had ended already.
    pub fn shutdown(&self) -> Result<(), Error> {
        let mut client = self.shut_down()?;
        client.set_deadline(None);
        loop {
            match client.receive::<Reply>() {
                Ok(_) => {}
                Err(CallError::HungUp) => return Ok(()),
                Err(error) => return Err(self.0.failed(error)),
            }
        }
    }

    /// The same without waiting for the end.
    pub fn begin_shutdown(&self) -> Result<(), Error> {
        let mut client = self.shut_down()?;
        match client.receive::<Reply>() {
            Ok(_) => Ok(()),
            Err(error) => Err(self.0.failed(error)),
        }
    }

    fn shut_down(&self) -> Result<Client, Error> {
        let mut client = self.connect()?;
        client.send(&Request::Shutdown).map_err(|error| self.0.failed(error))?;
        Ok(client)
    }

    fn revise(&self, scale: Vec<(String, u32)>, plan: String, how: Reload) -> Result<Reloaded, Error> {
        let Reload { otp, at_once, dry_run } = how;
        let request = Request::Revise { scale, plan, otp, at_once, dry_run, color: false };
        let mut reloaded = Reloaded::default();
        reloaded.cursor = self.ask(&request, |reply| match reply {
            Reply::Difference(difference) => reloaded.differences.push(difference),
            Reply::Acted { instance, pid, state } => reloaded.acted.push(Acted { instance, pid, state }),
            _ => {}
        })?;
        Ok(reloaded)
    }

    fn act<P: Into<String>>(
        &self,
        verb: Verb,
        patterns: impl IntoIterator<Item = P>,
        signal: i32,
        pid: u32,
    ) -> Result<Done, Error> {
        let targets: Vec<String> = patterns.into_iter().map(Into::into).collect();
        if targets.is_empty() {
            // To the supervisor that would mean everything, which an empty list of a program seldom does.
            return Ok(Done { acted: Vec::new(), cursor: self.cursor()? });
        }
        self.done(&Request::Act { verb, targets, signal, pid, dry_run: false })
    }

    fn done(&self, request: &Request) -> Result<Done, Error> {
        let mut acted = Vec::new();
        let cursor = self.ask(request, |reply| {
            if let Reply::Acted { instance, pid, state } = reply {
                acted.push(Acted { instance, pid, state });
            }
        })?;
        Ok(Done { acted, cursor })
    }

    fn connect(&self) -> Result<Client, Error> {
        if self.0.over() {
            return Err(Error::Ended);
        }
        let deadline = clock::now() + self.0.within;
        Client::connect(&self.0.socket, Some(deadline)).map_err(|error| self.0.failed(error))
    }

    fn ask(&self, request: &Request, mut take: impl FnMut(Reply)) -> Result<u64, Error> {
        let mut client = self.connect()?;
        client.send(request).map_err(|error| self.0.failed(error))?;
        loop {
            match client.receive().map_err(|error| self.0.failed(error))? {
                Reply::Done { cursor } => return Ok(cursor),
                Reply::Refused(refusal) => return Err(refusal.into()),
                reply => take(reply),
            }
        }
    }
}
