//! The line to a built-in service: a seqpacket pair of which the supervisor keeps both ends.
//!
//! What is said while the built-in is dead, or slow, waits: first in the socket, then here. Nothing
//! blocks, and nothing is lost but what a past life had taken and not yet done; for that there is a
//! fresh pair for each life ([`Link::renew`]), into which the driver says again what still holds.

use crate::ipc::codec;
use crate::sys::socket;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Past this many waiting messages the oldest of [`Link::say_if_room`] are not even queued.
const ROOM: usize = 20_000;

struct Packet {
    bytes: Vec<u8>,
    descriptors: Vec<Arc<OwnedFd>>,
}

/// A line to one built-in.
pub struct Link {
    ours: OwnedFd,
    theirs: Arc<OwnedFd>,
    waiting: VecDeque<Packet>,
    /// Messages that were dropped because too many waited.
    dropped: u64,
}

impl Link {
    /// A new pair.
    pub fn new() -> io::Result<Link> {
        let (ours, theirs) = socket::pair()?;
        Ok(Link { ours, theirs: Arc::new(theirs), waiting: VecDeque::new(), dropped: 0 })
    }

    /// Replaces the pair for the next life; what waited is forgotten.
    pub fn renew(&mut self) -> io::Result<()> {
        let (ours, theirs) = socket::pair()?;
        self.ours = ours;
        self.theirs = Arc::new(theirs);
        self.waiting.clear();
        Ok(())
    }

    /// The end that the built-in inherits.
    pub fn theirs(&self) -> Arc<OwnedFd> {
        self.theirs.clone()
    }

    /// The end that the loop polls.
    pub fn ours(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }

    /// Queues a message; [`Link::flush`] sends it.
    pub fn say(&mut self, message: &impl bincode::Encode, descriptors: Vec<Arc<OwnedFd>>) {
        let bytes = codec::encode(message).expect("our own messages are shorter than a frame");
        self.waiting.push_back(Packet { bytes, descriptors });
    }

    /// As [`Link::say`], but counts it as dropped when the built-in is hopelessly behind.
    pub fn say_if_room(&mut self, message: &impl bincode::Encode) {
        if self.waiting.len() < ROOM {
            self.say(message, Vec::new());
        } else {
            self.dropped += 1;
        }
    }

    /// Sends what the socket takes. True when more waits for it to become writable.
    pub fn flush(&mut self) -> bool {
        while let Some(packet) = self.waiting.front() {
            let descriptors: Vec<BorrowedFd<'_>> = packet.descriptors.iter().map(|d| d.as_fd()).collect();
            match socket::send(self.ours.as_fd(), &packet.bytes, &descriptors) {
                Ok(()) => {
                    self.waiting.pop_front();
                }
                // Full, or too many descriptors in flight: the built-in reads, then there is room.
                Err(_) => return true,
            }
        }
        self.waiting.shrink_to(64);
        false
    }

    /// The next packet from the built-in.
    pub fn hear<T: bincode::Decode<()>>(&mut self) -> Option<T> {
        let mut buffer = [0u8; 4096];
        while let Ok(Some(received)) = socket::receive(self.ours.as_fd(), &mut buffer) {
            // A built-in of this very program sends no malformed message; one that does is skipped.
            if let Ok(message) = codec::decode(&buffer[..received.length]) {
                return Some(message);
            }
        }
        None
    }

    /// How many messages were dropped since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}
