//! Clients: connections that are accepted, requests that are read, answers that go out as their readers take them.

use super::ground::Actor;
use super::round::Asked;
use crate::ipc::flags::{Flags, Reply};
use crate::ipc::server::{ConnectionId, Received, SendError, Server, Still};
use crate::sys::ready::Want;
use crate::sys::user;
use crate::time::Instant;
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd};

/// So many listening sockets are served: whose name was deleted may still have clients in its backlog.
const LISTENERS: usize = 4;

/// A connection of one of the servers.
pub(super) type Client = (u64, ConnectionId);

/// Everybody who asks.
pub(super) struct Desk {
    /// The newest last.
    servers: VecDeque<Server<Flags>>,
    /// What is still to be said to whom.
    answering: HashMap<Client, VecDeque<Reply>>,
    /// Names of users, looked up once.
    names: HashMap<u32, String>,
}

impl Desk {
    pub(super) fn new(server: Server<Flags>) -> Desk {
        Desk { servers: VecDeque::from([server]), answering: HashMap::new(), names: HashMap::new() }
    }

    /// Another listening socket. The oldest of too many is served no more.
    pub(super) fn serve(&mut self, server: Server<Flags>) {
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

    pub(super) fn take_requests(&mut self, now: Instant) -> Vec<Asked<Client>> {
        let mut asked = Vec::new();
        for server in &mut self.servers {
            // Whoever connects has mostly sent already: one wake-up does both.
            while server.accept(now).is_some() {}
            let number = number(server);
            for id in server.connections().collect::<Vec<_>>() {
                match server.readable(id, now) {
                    Received::Nothing => {}
                    Received::Request(request, peer) => {
                        let who = Actor { uid: peer.uid, name: name_of(&mut self.names, peer.uid) };
                        asked.push(Asked { to: (number, id), who, request });
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
    pub(super) fn answer(&mut self, to: Client, replies: Vec<Reply>) {
        self.answering.insert(to, replies.into());
    }

    /// Says what can be said now: a long list goes in pieces, as its reader takes them.
    pub(super) fn push_answers(&mut self, now: Instant) {
        for server in &mut self.servers {
            let number = number(server);
            for id in server.connections().collect::<Vec<_>>() {
                let client = (number, id);
                let still = match self.answering.get_mut(&client) {
                    Some(replies) => {
                        let still = say(server, id, replies, now);
                        if replies.is_empty() {
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
fn say(server: &mut Server<Flags>, id: ConnectionId, replies: &mut VecDeque<Reply>, now: Instant) -> Still {
    while let Some(reply) = replies.front() {
        match server.send(id, reply) {
            Ok(()) => drop(replies.pop_front()),
            Err(SendError::TooSlow) => return server.flush(id, now),
            Err(SendError::Closed) => return Still::Closed,
            // Ours are bounded far below a frame.
            Err(SendError::TooLong) => drop(replies.pop_front()),
        }
    }
    server.finish(id, now)
}

/// What tells one server's connections from another's for as long as both live.
fn number(server: &Server<Flags>) -> u64 {
    server.listener_fd().as_fd().as_raw_fd() as u64
}

fn name_of(names: &mut HashMap<u32, String>, uid: u32) -> String {
    names.entry(uid).or_insert_with(|| user::name(uid).unwrap_or_else(|| uid.to_string())).clone()
}
