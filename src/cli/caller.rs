//! Questions to the supervisor, as commands ask them.

use super::error::Error;
use super::select::Snapshot;
use crate::ipc::client::{CallError, Client};
use crate::ipc::control::{Event, Reply, Request};
use crate::sys::clock;
use crate::time::{Duration, Instant};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// A supervisor that is well answers a question within microseconds; one that does not answer for so long
/// is stopped, or the machine is.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Knows where the supervisor is.
#[derive(Clone, Debug)]
pub struct Caller {
    socket: PathBuf,
}

/// What comes in a stream of events.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// One event.
    Event(Event),
    /// So many before the next are lost.
    Missed(u64),
}

impl Caller {
    /// For the supervisor of the project with this runtime directory.
    pub fn new(runtime: &Path) -> Caller {
        Caller { socket: runtime.join("control").join("supervisor") }
    }

    /// For a supervisor that listens there.
    pub fn at(socket: PathBuf) -> Caller {
        Caller { socket }
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    fn open(&self, request: &Request, deadline: Option<Instant>) -> Result<Client, Error> {
        let mut client = Client::connect(&self.socket, deadline)?;
        client.send(request)?;
        Ok(client)
    }

    /// Asks, hands each reply but the last to `take`, and gives the cursor of the last.
    pub fn ask(&self, request: &Request, take: impl FnMut(Reply)) -> Result<u64, Error> {
        self.ask_until(request, clock::now() + ANSWER_WITHIN, take)
    }

    /// As [`Caller::ask`], of a supervisor that may have to look something up first.
    pub fn ask_until(
        &self,
        request: &Request,
        deadline: Instant,
        mut take: impl FnMut(Reply),
    ) -> Result<u64, Error> {
        let mut client = self.open(request, Some(deadline))?;
        loop {
            match client.receive()? {
                Reply::Done { cursor } => return Ok(cursor),
                Reply::Refused(refusal) => return Err(refusal.into()),
                reply => take(reply),
            }
        }
    }

    /// Everything as it is now, the built-ins too.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        let mut snapshot = Snapshot::default();
        let cursor = self.ask(&Request::Status { all: true }, |reply| match reply {
            Reply::Head(head) => snapshot.head = head,
            Reply::Service(service) => snapshot.services.push(service),
            // A large one comes in parts.
            Reply::Group(group) => match snapshot.groups.last_mut().filter(|last| last.name == group.name) {
                Some(last) => last.members.extend(group.members),
                None => snapshot.groups.push(group),
            },
            // Nothing else answers a status; a newer supervisor may say more than we know.
            Reply::Event(_)
            | Reply::Missed { .. }
            | Reply::Acted { .. }
            | Reply::Counts(_)
            | Reply::Which(_)
            | Reply::Difference(_)
            | Reply::Rolling { .. }
            | Reply::Diagnostics { .. }
            | Reply::Done { .. }
            | Reply::Refused(_) => {}
        })?;
        snapshot.cursor = cursor;
        Ok(snapshot)
    }

    /// The number of the newest event.
    pub fn cursor(&self) -> Result<u64, Error> {
        self.ask(&Request::Cursor, |_| {})
    }

    /// What happened after `after`, oldest first; the number of the last that was seen or could have been.
    pub fn history(&self, after: u64, mut take: impl FnMut(News)) -> Result<u64, Error> {
        let mut newest = after;
        let done = self.ask(&Request::Events { after, follow: false }, |reply| {
            if let Some(news) = news(reply) {
                if let News::Event(event) = &news {
                    newest = newest.max(event.seq);
                }
                take(news);
            }
        })?;
        Ok(newest.max(done))
    }

    /// What happens after `after`, as it happens, until `take` breaks, or the deadline passes
    /// ([`CallError::Late`]), or the supervisor ends ([`CallError::HungUp`]).
    pub fn follow<T>(
        &self,
        after: u64,
        deadline: Option<Instant>,
        mut take: impl FnMut(News) -> Result<ControlFlow<T>, Error>,
    ) -> Result<T, Error> {
        let mut client = self.open(&Request::Events { after, follow: true }, deadline)?;
        loop {
            match client.receive()? {
                Reply::Refused(refusal) => return Err(refusal.into()),
                reply => {
                    if let Some(news) = news(reply)
                        && let ControlFlow::Break(value) = take(news)?
                    {
                        return Ok(value);
                    }
                }
            }
        }
    }

    /// Asks for the end. Returns when it has begun, with the connection that closes when all is down.
    pub fn shutdown(&self, deadline: Option<Instant>) -> Result<Client, Error> {
        let mut client = self.open(&Request::Shutdown, deadline)?;
        loop {
            match client.receive()? {
                Reply::Done { .. } => return Ok(client),
                Reply::Refused(refusal) => return Err(refusal.into()),
                _ => {}
            }
        }
    }
}

fn news(reply: Reply) -> Option<News> {
    match reply {
        Reply::Event(event) => Some(News::Event(event)),
        Reply::Missed { count } => Some(News::Missed(count)),
        Reply::Head(_)
        | Reply::Service(_)
        | Reply::Group(_)
        | Reply::Acted { .. }
        | Reply::Counts(_)
        | Reply::Which(_)
        | Reply::Difference(_)
        | Reply::Rolling { .. }
        | Reply::Diagnostics { .. }
        | Reply::Done { .. }
        | Reply::Refused(_) => None,
    }
}

/// An error of a wait that is over: what was awaited instead of what the socket saw.
pub fn awaited(error: Error, what: impl FnOnce() -> String, timeout: Duration) -> Error {
    match error {
        Error::Call(CallError::Late) => {
            let within = super::duration::exact(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
            Error::TimedOut { message: format!("gave up after {within} waiting for {}", what()) }
        }
        Error::Call(CallError::HungUp) => Error::Ended { awaited: what() },
        other => other,
    }
}
