//! The line to a built-in service: a seqpacket pair of which the supervisor keeps both ends.
//!
//! What is said while the built-in is dead, or slow, waits: first in the socket, then here. Nothing
//! blocks, and nothing is lost but what a past life had taken and not yet done; for that there is a
//! fresh pair for each life ([`Link::renew`]), into which the driver says again what still holds, and what nobody
//! has taken.

use crate::ipc::codec;
use crate::sys::socket;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Past this many waiting messages the oldest of [`Link::say_if_room`] are not even queued.
const ROOM: usize = 20_000;

/// Messages that came one after the other share a packet up to this length: each packet wakes the reader.
const FULL: usize = 8 << 10;

#[derive(Default)]
struct Packet {
    bytes: Vec<u8>,
    descriptors: Vec<Arc<OwnedFd>>,
    /// More messages may follow in it.
    open: bool,
    messages: usize,
}

/// A line to one built-in.
pub struct Link {
    ours: OwnedFd,
    theirs: Arc<OwnedFd>,
    waiting: VecDeque<Packet>,
    /// How many messages are in those.
    messages: usize,
    /// The memory of a packet that was sent, for the next.
    spare: Vec<u8>,
    /// What waits must be said before anybody is started.
    pressing: bool,
    /// Messages that were dropped because too many waited.
    dropped: u64,
}

impl Link {
    /// A new pair.
    pub fn new() -> io::Result<Link> {
        let (ours, theirs) = socket::pair()?;
        let (waiting, spare) = (VecDeque::new(), Vec::new());
        Ok(Link { ours, theirs: Arc::new(theirs), waiting, messages: 0, spare, pressing: false, dropped: 0 })
    }

    /// Replaces the pair for the next life. What the past one had not taken is in this no more, and is handed back: the
    /// bytes of its messages, in order, without their descriptors.
    ///
    /// # Errors
    /// No descriptors are left; then nothing has changed.
    pub fn renew(&mut self) -> io::Result<Vec<u8>> {
        let (ours, theirs) = socket::pair()?;
        let mut untaken = Vec::new();
        let mut buffer = vec![0; codec::LIMIT];
        while let Ok(Some(received)) = socket::receive(&*self.theirs, &mut buffer) {
            untaken.extend_from_slice(&buffer[..received.length]);
        }
        self.waiting.drain(..).for_each(|packet| untaken.extend(packet.bytes));
        self.ours = ours;
        self.theirs = Arc::new(theirs);
        (self.messages, self.pressing) = (0, false);
        Ok(untaken)
    }

    /// The end that the built-in inherits.
    pub fn theirs(&self) -> Arc<OwnedFd> {
        self.theirs.clone()
    }

    /// The end that the loop polls.
    pub fn ours(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }

    /// Queues a message; [`Link::flush`] sends it, in a packet of its own.
    pub fn say(&mut self, message: &impl bincode::Encode, descriptors: Vec<Arc<OwnedFd>>) {
        let bytes = codec::encode(message).expect("our own messages are shorter than a frame");
        self.waiting.push_back(Packet { bytes, descriptors, open: false, messages: 1 });
        self.messages += 1;
    }

    /// As [`Link::say`], but shares a packet with others like it, and counts it as dropped when the built-in is
    /// hopelessly behind.
    pub fn say_if_room(&mut self, message: &impl bincode::Encode) {
        if self.messages >= ROOM {
            self.dropped += 1;
            return;
        }
        self.messages += 1;
        if self.waiting.back().is_none_or(|last| !last.open || last.bytes.len() >= FULL) {
            let bytes = std::mem::take(&mut self.spare);
            self.waiting.push_back(Packet { bytes, open: true, ..Packet::default() });
        }
        let Some(last) = self.waiting.back_mut() else { return };
        let before = last.bytes.len();
        codec::encode_onto(message, &mut last.bytes).expect("our own messages are shorter than a frame");
        last.messages += 1;
        if last.bytes.len() > codec::LIMIT {
            let bytes = last.bytes.split_off(before);
            last.messages -= 1;
            self.waiting.push_back(Packet { bytes, open: true, messages: 1, ..Packet::default() });
        }
    }

    /// What was said last should be known before the first byte of the next life, whosever it is.
    pub fn press(&mut self) {
        self.pressing = true;
    }

    /// Before a start: sends what must be known by then, and what is worth being read meanwhile.
    pub fn flush_before_start(&mut self) {
        if self.pressing || self.waiting.len() > 1 {
            self.flush();
        }
    }

    /// Sends what the socket takes. True when more waits for it to become writable.
    pub fn flush(&mut self) -> bool {
        self.pressing = false;
        while let Some(packet) = self.waiting.front() {
            let descriptors: Vec<BorrowedFd<'_>> = packet.descriptors.iter().map(|d| d.as_fd()).collect();
            match socket::send(self.ours.as_fd(), &packet.bytes, &descriptors) {
                Ok(()) => {
                    self.messages -= packet.messages;
                    if let Some(Packet { mut bytes, open: true, .. }) = self.waiting.pop_front() {
                        bytes.clear();
                        self.spare = bytes;
                    }
                }
                // Full, or too many descriptors in flight: the built-in reads, then there is room.
                Err(_) => return true,
            }
        }
        self.waiting.shrink_to(64);
        self.spare.shrink_to(FULL);
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

    /// How many messages wait.
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// How many messages were dropped since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::builtin::ToLogger;
    use crate::ipc::seam::Seams;

    /// The packets that arrive: how many messages each has, and with how many descriptors.
    fn arrived(link: &Link) -> Vec<(usize, usize)> {
        let mut buffer = vec![0; codec::LIMIT];
        let mut packets = Vec::new();
        while let Some(received) = socket::receive(&*link.theirs, &mut buffer).unwrap() {
            let (mut rest, mut messages) = (&buffer[..received.length], 0);
            assert!(!received.cut);
            while !rest.is_empty() {
                let (_, length) = codec::decode_first::<ToLogger>(rest).unwrap();
                (rest, messages) = (&rest[length..], messages + 1);
            }
            packets.push((messages, received.descriptors.len()));
        }
        packets
    }

    fn gone(child: u32) -> ToLogger {
        ToLogger::Gone { child }
    }

    fn long(length: usize) -> ToLogger {
        let seams = Seams::new([1, 2]);
        ToLogger::Hello { foreground: true, width: 0, project: "x".repeat(length), seams }
    }

    #[test]
    fn messages_share_a_packet_up_to_a_length_and_in_order() {
        let mut link = Link::new().unwrap();
        link.say_if_room(&gone(1));
        link.say_if_room(&gone(2));
        // With something of its own in between nothing is joined across it.
        let descriptor = link.theirs();
        link.say(&gone(3), vec![descriptor]);
        link.say_if_room(&gone(4));
        link.say_if_room(&long(FULL));
        link.say_if_room(&gone(5));
        // Together they would be longer than a packet.
        link.say_if_room(&long(codec::LIMIT - 40));
        link.say_if_room(&gone(6));
        assert!(!link.flush());
        assert_eq!(arrived(&link), [(2, 0), (1, 1), (2, 0), (1, 0), (1, 0), (1, 0)]);
        assert_eq!(link.messages, 0);
    }

    #[test]
    fn only_what_presses_is_sent_before_a_start_or_what_fills_a_packet() {
        let mut link = Link::new().unwrap();
        link.say_if_room(&gone(1));
        link.flush_before_start();
        assert_eq!(arrived(&link), []);
        link.press();
        link.flush_before_start();
        assert_eq!(arrived(&link), [(1, 0)]);
        link.say_if_room(&gone(2));
        link.flush_before_start();
        assert_eq!(arrived(&link), [], "it pressed only once");
        link.say_if_room(&long(FULL));
        link.say_if_room(&gone(3));
        link.flush_before_start();
        assert_eq!(arrived(&link), [(2, 0), (1, 0)]);
    }

    #[test]
    fn what_nobody_has_taken_is_handed_back_in_order_and_once() {
        let mut link = Link::new().unwrap();
        link.say(&gone(1), Vec::new());
        assert!(!link.flush());
        // The past life takes one, and dies.
        assert_eq!(arrived(&link), [(1, 0)]);
        let descriptor = link.theirs();
        link.say(&gone(2), vec![descriptor]);
        link.say_if_room(&gone(3));
        assert!(!link.flush());
        link.say_if_room(&gone(4));
        link.say(&gone(5), Vec::new());
        let untaken = link.renew().unwrap();
        let (mut rest, mut said) = (&untaken[..], Vec::new());
        while !rest.is_empty() {
            let (message, length) = codec::decode_first::<ToLogger>(rest).unwrap();
            rest = &rest[length..];
            said.push(message);
        }
        assert_eq!(said, [2, 3, 4, 5].map(gone));
        assert_eq!((link.messages(), arrived(&link)), (0, vec![]));
        assert!(link.renew().unwrap().is_empty());
    }

    #[test]
    fn beyond_the_room_messages_are_counted_and_not_kept() {
        let mut link = Link::new().unwrap();
        for child in 0..ROOM as u32 + 7 {
            link.say_if_room(&gone(child));
        }
        assert_eq!((link.messages, link.take_dropped()), (ROOM, 7));
        assert!(!link.renew().unwrap().is_empty());
        link.say_if_room(&gone(0));
        assert_eq!((link.messages, link.take_dropped()), (1, 0));
        assert!(!link.flush());
        assert_eq!(arrived(&link), [(1, 0)]);
    }
}
