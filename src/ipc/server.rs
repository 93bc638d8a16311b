//! The listening end of a control socket, for a loop that never blocks.
//!
//! A connection carries one request, then any number of replies. The server does the bytes, the limits
//! and the deadlines; what a request means is its owner's business:
//!
//! ```text
//! listener readable  → accept until None; watch each new descriptor for reading
//! fd(id) readable    → readable: a request, nothing yet, or closed
//! answer             → send, send, …, finish; or follow, then send as things happen
//! wants_write(id)    → watch it for writing too; writable when it is
//! next_deadline      → expire
//! anything closed    → deregister its descriptor, then close(id); then accept again
//! ```
//!
//! Invariants:
//! - A peer's credentials are checked before a byte of it is read (C2): its user must be ours, root, or
//!   one that [`Server::allow`] names. Everybody else gets one [`Refusal`] of code 77 and holds no slot.
//! - Memory is bounded: [`CONNECTIONS`] × (one frame in + [`OUTPUT`] out).
//! - A request must be whole [`REQUEST_WITHIN`] after the connection was taken, however it drips (C3).
//! - Followers hold at most [`FOLLOWERS`] slots, so the others always come free: a `status` may wait in
//!   the backlog for a moment, and is never shut out by those who listen for ever.
//! - A descriptor is closed only by [`Server::close`], so that its owner can deregister it first (S4).
//!
//! It must not block, read a clock, start a thread, or unlink a name that it was not told to own.

mod connection;

use super::control::{Refusal, Reply, Request};
use super::frame::Message;
use crate::exit_code::ExitCode;
use crate::time::{Duration, Instant};
use connection::{Connection, Progress};
use interprocess::local_socket::traits::Listener as _;
use interprocess::local_socket::{GenericFilePath, ListenerNonblockingMode, ListenerOptions, ToFsName};
use interprocess::os::unix::local_socket::ListenerOptionsExt;
use interprocess::os::unix::uds_local_socket::Listener;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The most connections at one time; later ones wait in the backlog.
pub const CONNECTIONS: usize = 256;
/// The most connections of one user who is neither root nor ourselves.
pub const CONNECTIONS_PER_USER: usize = 8;
/// The most connections that may stay for as long as they like.
pub const FOLLOWERS: usize = 192;
/// The most bytes that wait for one peer to read them.
pub const OUTPUT: usize = 512 << 10;
/// A request must be whole so long after its connection was taken.
pub const REQUEST_WITHIN: Duration = Duration::from_secs(2);
/// An answered peer (not a follower) must read something this often.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long to leave the listener alone when the system is out of descriptors.
const RECOVER: Duration = Duration::from_millis(100);

/// What is spoken on one kind of control socket.
pub trait Protocol {
    /// What clients send.
    type Request: Message;
    /// What they get.
    type Reply: Message;
    /// The server's own words as a reply.
    fn refused(refusal: Refusal) -> Self::Reply;
}

/// What is spoken on `control/supervisor`.
#[derive(Debug)]
pub struct Control;

impl Protocol for Control {
    type Request = Request;
    type Reply = Reply;

    fn refused(refusal: Refusal) -> Reply {
        Reply::Refused(refusal)
    }
}

/// One connection, for as long as the server lives: the number of one that is closed names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    slot: u32,
    generation: u32,
}

impl ConnectionId {
    /// As one number, for a poller's token.
    pub fn to_u64(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// What [`ConnectionId::to_u64`] gave.
    pub fn from_u64(number: u64) -> ConnectionId {
        ConnectionId { slot: number as u32, generation: (number >> 32) as u32 }
    }
}

/// Who is at the other end, as of when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// 0 when it is in another pid namespace. May be gone, and its number used again.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
}

/// What came of a descriptor that can be read.
#[derive(Debug, PartialEq)]
pub enum Received<Q> {
    /// No whole request yet, or something that needs no answer.
    Nothing,
    /// The connection's one request.
    Request(Q, Peer),
    /// Over, or nothing more to do: deregister it and [`Server::close`] it.
    Closed,
}

/// Whether a connection goes on.
#[must_use = "a closed connection must be deregistered and closed"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Still {
    /// It goes on.
    Open,
    /// Deregister it and [`Server::close`] it.
    Closed,
}

/// Why a reply was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// [`OUTPUT`] bytes wait already. A follower's owner keeps its place and says `Missed` later.
    TooSlow,
    /// The connection is over.
    Closed,
    /// The reply is longer than a frame may be.
    TooLong,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::TooSlow => "the client does not read what it asked for",
            SendError::Closed => "the client is gone",
            SendError::TooLong => "the reply is longer than a frame may be",
        })
    }
}

impl std::error::Error for SendError {}

/// The listening end of a control socket.
pub struct Server<P: Protocol = Control> {
    listener: Listener,
    own: u32,
    allowed: Vec<u32>,
    slots: Vec<Slot>,
    /// Leave the listener alone until then.
    stalled: Option<Instant>,
    protocol: PhantomData<P>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

impl<P: Protocol> Server<P> {
    /// Listens at `path`, mode 0600, under a name that appears only when it answers; whatever had the
    /// name before is replaced.
    ///
    /// The caller holds the lock of the runtime directory: that, and nothing else, makes the name ours.
    /// Dropping the server leaves the name, which a successor may have taken over.
    pub fn listen(path: &Path) -> io::Result<Server<P>> {
        let name = path
            .file_name()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a socket needs a file name"))?;
        let directory = crate::sys::stream::Directory::open(path.parent().unwrap_or(Path::new("/")))?;
        let mut fresh = std::ffi::OsString::from(".");
        fresh.push(name);
        let fresh = directory.path().join(fresh);
        remove_if_there(&fresh)?;
        let listener: Listener = ListenerOptions::new()
            .name(fresh.as_path().to_fs_name::<GenericFilePath>()?)
            .reclaim_name(false)
            .mode(0o600)
            .create_sync_as()?;
        std::fs::rename(&fresh, directory.path().join(name))?;
        Server::over(listener)
    }

    /// Serves a socket that somebody else opened and bound.
    pub fn from_listener(socket: OwnedFd) -> io::Result<Server<P>> {
        Server::over(Listener::from(socket))
    }

    /// Serves another listening socket instead; connections go on.
    ///
    /// The caller accepts first what waits at the old one: it is closed.
    pub fn serve_at(&mut self, socket: OwnedFd) -> io::Result<()> {
        let listener = Listener::from(socket);
        listener.set_nonblocking(ListenerNonblockingMode::Both)?;
        self.listener = listener;
        Ok(())
    }

    fn over(listener: Listener) -> io::Result<Server<P>> {
        listener.set_nonblocking(ListenerNonblockingMode::Both)?;
        let own = crate::sys::stream::own_user();
        let slots = std::iter::repeat_with(Slot::default).take(CONNECTIONS).collect();
        Ok(Server { listener, own, allowed: Vec::new(), slots, stalled: None, protocol: PhantomData })
    }

    /// These users may talk to us too; replaces what was allowed before.
    pub fn allow(&mut self, users: Vec<u32>) {
        self.allowed = users;
    }

    /// What to watch for new connections while [`Server::can_accept`].
    pub fn listener_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// False while every slot is taken or the system is out of descriptors: whoever watches by level must
    /// look away, whoever watches by edge must call [`Server::accept`] again after each
    /// [`Server::close`] and [`Server::expire`].
    pub fn can_accept(&self) -> bool {
        self.stalled.is_none() && self.slots.iter().any(|slot| slot.connection.is_none())
    }

    /// Takes the next connection that may talk to us; refuses the others. `None`: there is none now.
    pub fn accept(&mut self, now: Instant) -> Option<ConnectionId> {
        while self.can_accept() {
            let stream = match self.listener.accept() {
                Ok(stream) => stream,
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) =>
                {
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
                // Out of descriptors or memory: the connection stays in the backlog, and asking again at
                // once would only burn time.
                Err(_) => {
                    self.stalled = Some(now + RECOVER);
                    return None;
                }
            };
            let Ok(credentials) = crate::sys::socket::peer(&stream) else { continue };
            let peer = Peer { pid: credentials.pid, uid: credentials.uid };
            let mut connection = Connection::new(stream.into(), peer, now + REQUEST_WITHIN);
            match admit(peer.uid, self.own, &self.allowed, self.connections_of(peer.uid)) {
                Ok(()) => {
                    let (slot, free) = self
                        .slots
                        .iter_mut()
                        .enumerate()
                        .find(|(_, slot)| slot.connection.is_none())
                        .expect("can_accept saw a free slot");
                    free.connection = Some(connection);
                    return Some(ConnectionId { slot: slot as u32, generation: free.generation });
                }
                // A fresh socket takes a small frame without waiting; nobody listens for the outcome.
                Err(refusal) => drop(connection.refuse::<P>(refusal)),
            }
        }
        None
    }

    fn connections_of(&self, uid: u32) -> usize {
        self.slots.iter().filter_map(|slot| slot.connection.as_ref()).filter(|c| c.peer.uid == uid).count()
    }

    /// The descriptor of a connection; `None` when it was closed.
    pub fn fd(&self, id: ConnectionId) -> Option<BorrowedFd<'_>> {
        self.get(id).map(|connection| connection.fd())
    }

    /// Every connection there is.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.connection.is_some())
            .map(|(index, slot)| ConnectionId { slot: index as u32, generation: slot.generation })
    }

    /// Reads what there is, up to a bound, so that one client cannot keep the loop.
    ///
    /// A request that is no request is answered here. Of a connection that was closed: `Nothing`.
    pub fn readable(&mut self, id: ConnectionId, now: Instant) -> Received<P::Request> {
        match self.get_mut(id) {
            Some(connection) => connection.read::<P>(now),
            None => Received::Nothing,
        }
    }

    /// False when the peer sends no more: whoever watches by level must look away (a hang-up is told
    /// anyhow).
    pub fn wants_read(&self, id: ConnectionId) -> bool {
        self.get(id).is_some_and(Connection::wants_read)
    }

    /// Appends a reply. It leaves when enough has gathered, at [`Server::flush`] and [`Server::finish`],
    /// and whenever the descriptor can be written.
    ///
    /// After an error nothing of this reply was sent.
    pub fn send(&mut self, id: ConnectionId, reply: &P::Reply) -> Result<(), SendError> {
        self.get_mut(id).ok_or(SendError::Closed)?.send(reply)
    }

    /// So many bytes wait for the peer. An owner with much to say says it in pieces: a piece whenever
    /// this is small.
    pub fn queued(&self, id: ConnectionId) -> usize {
        self.get(id).map_or(0, Connection::queued)
    }

    /// True while something waits to be written.
    pub fn wants_write(&self, id: ConnectionId) -> bool {
        self.queued(id) > 0
    }

    /// Writes what the peer takes now.
    pub fn writable(&mut self, id: ConnectionId, now: Instant) -> Still {
        self.get_mut(id).map_or(Still::Closed, |connection| connection.flush(now))
    }

    /// The same, under the name that fits after a few [`Server::send`].
    pub fn flush(&mut self, id: ConnectionId, now: Instant) -> Still {
        self.writable(id, now)
    }

    /// This connection may stay: it has no deadline from here on. False when there are [`FOLLOWERS`]
    /// already; then refuse it.
    #[must_use]
    pub fn follow(&mut self, id: ConnectionId) -> bool {
        let others = self
            .connections()
            .filter(|&other| {
                other != id && self.get(other).is_some_and(|c| c.progress == Progress::Following)
            })
            .count();
        match self.get_mut(id) {
            Some(connection) if others < FOLLOWERS => {
                connection.progress = Progress::Following;
                true
            }
            _ => false,
        }
    }

    /// The answer is complete: it closes when the peer has it.
    pub fn finish(&mut self, id: ConnectionId, now: Instant) -> Still {
        match self.get_mut(id) {
            Some(connection) => {
                connection.progress = Progress::Finishing { until: now + ANSWER_WITHIN };
                connection.flush(now)
            }
            None => Still::Closed,
        }
    }

    /// Refuses and finishes in one go.
    pub fn refuse(&mut self, id: ConnectionId, refusal: Refusal, now: Instant) -> Still {
        match self.get_mut(id) {
            Some(connection) => {
                // A peer that reads nothing of what it was sent before gets no reason either.
                let _ = connection.send(&P::refused(refusal));
                self.finish(id, now)
            }
            None => Still::Closed,
        }
    }

    /// Closes the descriptor, which its poller must not know any more. Twice does no harm.
    pub fn close(&mut self, id: ConnectionId) {
        if self.get(id).is_some() {
            let slot = &mut self.slots[id.slot as usize];
            slot.connection = None;
            slot.generation = slot.generation.wrapping_add(1);
        }
    }

    /// When [`Server::expire`] must be called, whatever happens.
    pub fn next_deadline(&self) -> Option<Instant> {
        let connections = self.slots.iter().filter_map(|slot| slot.connection.as_ref());
        connections.filter_map(Connection::deadline).chain(self.stalled).min()
    }

    /// The connections whose time is over, each told so where that is possible: deregister and
    /// [`Server::close`] them, then [`Server::accept`].
    pub fn expire(&mut self, now: Instant) -> Vec<ConnectionId> {
        if self.stalled.is_some_and(|until| until <= now) {
            self.stalled = None;
        }
        let mut over = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let Some(connection) = &mut slot.connection else { continue };
            if connection.deadline().is_some_and(|deadline| deadline <= now) {
                connection.say_late::<P>();
                over.push(ConnectionId { slot: index as u32, generation: slot.generation });
            }
        }
        over
    }

    fn get(&self, id: ConnectionId) -> Option<&Connection> {
        let slot = self.slots.get(id.slot as usize)?;
        slot.connection.as_ref().filter(|_| slot.generation == id.generation)
    }

    fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        slot.connection.as_mut().filter(|_| slot.generation == id.generation)
    }
}

impl<P: Protocol> fmt::Debug for Server<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// Whether a user may hold one more connection when it has `open` of them.
///
/// We and root share [`CONNECTIONS`], with no limit of their own: either could end the supervisor anyhow.
fn admit(uid: u32, own: u32, allowed: &[u32], open: usize) -> Result<(), Refusal> {
    if uid == own || uid == 0 {
        return Ok(());
    }
    if !allowed.contains(&uid) {
        return Err(Refusal {
            code: ExitCode::NotPermitted.number(),
            message: format!(
                "this supervisor belongs to user {own} and does not take requests from user {uid}"
            ),
            hint: format!("run the command as user {own} or as root"),
        });
    }
    if open >= CONNECTIONS_PER_USER {
        return Err(Refusal {
            code: ExitCode::Failed.number(),
            message: format!("user {uid} holds {open} connections already, which is the most for one user"),
            hint: "close one of them (`mainstay events -f` holds one) and try again".to_owned(),
        });
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A user's request to hold one more connection gives this exit code; `None`: it may.
    fn check(uid: u32, own: u32, allowed: &[u32], open: usize, expected: Option<u8>) {
        let got = admit(uid, own, allowed, open).err().map(|refusal| refusal.code);
        assert_eq!(got, expected, "user {uid} with {open} connections to a server of user {own}");
    }

    #[test]
    fn c2_only_we_root_and_those_who_are_named_may_talk_to_us() {
        check(1000, 1000, &[], 31, None);
        check(0, 1000, &[], 31, None);
        check(1001, 1000, &[], 0, Some(77));
        check(1000, 0, &[], 0, Some(77));
        check(1001, 1000, &[1001], 7, None);
        check(1001, 1000, &[1001], 8, Some(1));
        check(1002, 1000, &[1001], 0, Some(77));
    }
}
