//! Clients: connections that are accepted, requests that are read, answers that go out as their readers take them.

use crate::exit_code::ExitCode;
use crate::ipc::control::Refusal;
use crate::ipc::server::{ConnectionId, Peer, Protocol, Received, SendError, Server, Still};
use crate::sys::ready::Want;
use crate::time::Instant;
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// So many listening sockets are served: whose name was deleted may still have clients in its backlog.
const LISTENERS: usize = 4;
/// So much may be said to one that follows and does not read; it is hung up on when there is more.
const BEHIND: usize = 100_000;

/// A connection of one of the servers.
pub(super) type Client = (u64, ConnectionId);

/// A request, and who sent it.
pub(super) struct Asked<Q> {
    /// Where the answer goes.
    pub(super) to: Client,
    /// Who.
    pub(super) peer: Peer,
    /// What.
    pub(super) request: Q,
}

/// Everybody who asks.
pub(super) struct Desk<P: Protocol> {
    /// The newest last.
    servers: VecDeque<Server<P>>,
    /// What is still to be said to whom.
    answering: HashMap<Client, Answering<P::Reply>>,
}

struct Answering<R> {
    replies: VecDeque<R>,
    /// There is more to come.
    follows: bool,
}

impl<P: Protocol> Desk<P> {
    pub(super) fn new(server: Server<P>) -> Desk<P> {
        Desk { servers: VecDeque::from([server]), answering: HashMap::new() }
    }

    /// Another listening socket. The oldest of too many is served no more.
    pub(super) fn serve(&mut self, server: Server<P>) {
        if self.servers.len() == LISTENERS {
            self.servers.pop_front();
        }
        self.servers.push_back(server);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.servers.iter().filter_map(Server::next_deadline).min()
    }

    pub(super) fn wants<'a>(&'a self, wants: &mut Vec<Want<'a>>) {
        for server in &self.servers {
            if server.can_accept() {
                wants.push(Want { fd: server.listener_fd(), read: true, write: false });
            }
            for id in server.connections() {
                let Some(fd) = server.fd(id) else { continue };
                wants.push(Want { fd, read: server.wants_read(id), write: server.wants_write(id) });
            }
        }
    }

    pub(super) fn take_requests(&mut self, now: Instant) -> Vec<Asked<P::Request>> {
        let mut asked = Vec::new();
        for server in &mut self.servers {
            // Whoever connects has mostly sent already: one wake-up does both.
            while server.accept(now).is_some() {}
            let number = number(server);
            for id in server.connections().collect::<Vec<_>>() {
                match server.readable(id, now) {
                    Received::Nothing => {}
                    Received::Request(request, peer) => {
                        asked.push(Asked { to: (number, id), peer, request });
                    }
                    Received::Closed => {
                        self.answering.remove(&(number, id));
                        server.close(id);
                    }
                }
            }
        }
        asked
    }

    /// This is said to the client, as it takes it.
    pub(super) fn answer(&mut self, to: Client, replies: Vec<P::Reply>) {
        self.answering.insert(to, Answering { replies: replies.into(), follows: false });
    }

    /// The same, and the client stays for what [`Desk::tell`] says later. One too many is refused.
    pub(super) fn answer_and_follow(&mut self, to: Client, replies: Vec<P::Reply>) {
        let (number, id) = to;
        let mut servers = self.servers.iter_mut();
        let follows = servers.find(|server| self::number(server) == number).is_some_and(|s| s.follow(id));
        if follows {
            self.answering.insert(to, Answering { replies: replies.into(), follows });
        } else {
            self.answer(to, vec![P::refused(too_many())]);
        }
    }

    /// Says more to a client that follows. False: it is gone, or was hung up on because it does not read.
    pub(super) fn tell(&mut self, to: Client, reply: P::Reply) -> bool {
        match self.answering.get_mut(&to) {
            Some(answering) if answering.replies.len() < BEHIND => {
                answering.replies.push_back(reply);
                true
            }
            _ => {
                self.hang_up(to);
                false
            }
        }
    }

    /// Whether a client that follows is still there.
    pub(super) fn follows(&self, to: Client) -> bool {
        self.answering.get(&to).is_some_and(|answering| answering.follows)
    }

    fn hang_up(&mut self, (number, id): Client) {
        self.answering.remove(&(number, id));
        for server in self.servers.iter_mut().filter(|server| self::number(server) == number) {
            server.close(id);
        }
    }

    /// Its descriptor; `None`: it is gone.
    pub(super) fn descriptor(&self, (number, id): Client) -> Option<BorrowedFd<'_>> {
        self.servers.iter().find(|server| self::number(server) == number)?.fd(id)
    }

    /// Says what can be said now: a long list goes in pieces, as its reader takes them.
    pub(super) fn push_answers(&mut self, now: Instant) {
        for server in &mut self.servers {
            let number = number(server);
            for id in server.connections().collect::<Vec<_>>() {
                let client = (number, id);
                let still = match self.answering.get_mut(&client) {
                    Some(answering) => {
                        let still = say(server, id, answering, now);
                        if answering.replies.is_empty() && !answering.follows {
                            self.answering.remove(&client);
                        }
                        still
                    }
                    None if server.wants_write(id) => server.writable(id, now),
                    None => Still::Open,
                };
                if still == Still::Closed {
                    self.answering.remove(&client);
                    server.close(id);
                }
            }
        }
    }

    pub(super) fn expire(&mut self, now: Instant) {
        for server in &mut self.servers {
            let number = number(server);
            for id in server.expire(now) {
                self.answering.remove(&(number, id));
                server.close(id);
            }
        }
    }
}

/// Says what the client takes; what is left stays in `replies`.
fn say<P: Protocol>(
    server: &mut Server<P>,
    id: ConnectionId,
    answering: &mut Answering<P::Reply>,
    now: Instant,
) -> Still {
    let replies = &mut answering.replies;
    while let Some(reply) = replies.front() {
        match server.send(id, reply) {
            Ok(()) => drop(replies.pop_front()),
            Err(SendError::TooSlow) => return server.flush(id, now),
            Err(SendError::Closed) => return Still::Closed,
            // Ours are bounded far below a frame.
            Err(SendError::TooLong) => drop(replies.pop_front()),
        }
    }
    if answering.follows { server.flush(id, now) } else { server.finish(id, now) }
}

fn too_many() -> Refusal {
    Refusal {
        code: ExitCode::Failed.number(),
        message: "too many clients follow already".to_owned(),
        hint: "end one of them, or try again".to_owned(),
    }
}

/// What tells one server's connections from another's for as long as both live.
fn number<P: Protocol>(server: &Server<P>) -> u64 {
    server.listener_fd().as_fd().as_raw_fd() as u64
}
