//! Who follows the stream of events, and how far each has got.
//!
//! A follower is fed from the ring in pieces, so that a slow one costs nothing but its own place: it is
//! told how many events it missed and goes on.

use super::ring::{Entry, Ring};
use crate::ipc::control::{Event, Reply};
use crate::ipc::server::{ConnectionId, Server, Still};
use crate::time::Instant;

/// A follower gets more only while less than this waits to be read by it.
const QUEUE_LOW: usize = 64 << 10;

struct Follower {
    connection: ConnectionId,
    /// The last event that it was given.
    seen: u64,
    /// The newest event it wants; `None`: whatever comes.
    until: Option<u64>,
}

/// All of them.
#[derive(Default)]
pub struct Followers(Vec<Follower>);

impl Followers {
    /// Adds one; `until` ends it there.
    pub fn add(&mut self, connection: ConnectionId, seen: u64, until: Option<u64>) {
        self.0.push(Follower { connection, seen, until });
    }

    /// Forgets a connection that is gone.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.0.retain(|f| f.connection != connection);
    }

    /// Gives each what it can take; `public` puts names into an entry. Returns those that are over.
    pub fn feed(
        &mut self,
        now: Instant,
        ring: &Ring,
        server: &mut Server,
        mut public: impl FnMut((u64, &Entry)) -> Event,
    ) -> Vec<ConnectionId> {
        let mut over = Vec::new();
        self.0.retain_mut(|follower| {
            let still = match follower.feed(ring, server, &mut public) {
                Fed::More => server.flush(follower.connection, now),
                Fed::All => {
                    let still = server.finish(follower.connection, now);
                    if still == Still::Closed {
                        over.push(follower.connection);
                    }
                    return false;
                }
                Fed::Gone => Still::Closed,
            };
            if still == Still::Closed {
                over.push(follower.connection);
            }
            still == Still::Open
        });
        over
    }
}

enum Fed {
    More,
    All,
    Gone,
}

impl Follower {
    fn feed(
        &mut self,
        ring: &Ring,
        server: &mut Server,
        public: &mut impl FnMut((u64, &Entry)) -> Event,
    ) -> Fed {
        let (missed, entries) = ring.after(self.seen);
        if missed > 0 && server.queued(self.connection) < QUEUE_LOW {
            self.seen += missed;
            if server.send(self.connection, &Reply::Missed { count: missed }).is_err() {
                return Fed::Gone;
            }
        }
        for (seq, entry) in entries {
            if self.until.is_some_and(|last| seq > last) || server.queued(self.connection) >= QUEUE_LOW {
                break;
            }
            self.seen = seq;
            if server.send(self.connection, &Reply::Event(public((seq, entry)))).is_err() {
                return Fed::Gone;
            }
        }
        if let Some(last) = self.until.filter(|last| self.seen >= *last) {
            // Not the newest by now: whoever goes on from this number must miss nothing.
            return match server.send(self.connection, &Reply::Done { cursor: last }) {
                Ok(()) => Fed::All,
                Err(_) => Fed::Gone,
            };
        }
        Fed::More
    }
}
