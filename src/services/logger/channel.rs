//! The seqpacket pair to the supervisor: codec messages, one or many a packet; descriptors beside one.
//!
//! Nothing here blocks. What the supervisor does not take waits here in order.

use crate::ipc::builtin::{FromLogger, ToLogger};
use crate::ipc::codec;
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Our end.
#[derive(Debug)]
pub(super) struct Channel {
    socket: OwnedFd,
    buffer: Vec<u8>,
    /// The messages of the newest packet that were not handed out yet.
    rest: Range<usize>,
    waiting: VecDeque<Vec<u8>>,
}

/// What came.
#[derive(Debug)]
pub(super) enum Received {
    /// A message and its descriptors.
    Message(Box<ToLogger>, Vec<OwnedFd>),
    /// Nothing more for now.
    Nothing,
    /// Every other end is closed: nobody will ever send or receive again.
    Closed,
}

impl Channel {
    /// Takes our end of the pair.
    pub(super) fn new(socket: OwnedFd) -> Channel {
        Channel { socket, buffer: vec![0; codec::LIMIT], rest: 0..0, waiting: VecDeque::new() }
    }

    /// The next message. What is none of this version is an error that can be said and passed over, with all that
    /// follows in its packet.
    pub(super) fn receive(&mut self) -> io::Result<Received> {
        if !self.rest.is_empty() {
            return Ok(Received::Message(self.next()?, Vec::new()));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let result = recvmsg(&self.socket, &mut [IoSliceMut::new(&mut self.buffer)], &mut control, flags);
        let bytes = match result {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
            Err(Errno::CONNRESET) => return Ok(Received::Closed),
            other => other?.bytes,
        };
        if bytes == 0 {
            return Ok(Received::Closed);
        }
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                descriptors.extend(some);
            }
        }
        self.rest = 0..bytes;
        Ok(Received::Message(self.next()?, descriptors))
    }

    fn next(&mut self) -> io::Result<Box<ToLogger>> {
        let rest = std::mem::take(&mut self.rest);
        let (message, length) = codec::decode_first(&self.buffer[rest.clone()]).map_err(io::Error::other)?;
        self.rest = rest.start + length..rest.end;
        Ok(Box::new(message))
    }

    /// Sends now, and only now: false when it would have to wait.
    pub(super) fn send_now(&mut self, message: &FromLogger) -> bool {
        self.flush() && encode(message).is_none_or(|bytes| self.put(&bytes))
    }

    /// Sends now or as soon as there is room.
    pub(super) fn send(&mut self, message: &FromLogger) {
        let Some(bytes) = encode(message) else { return };
        if !self.flush() || !self.put(&bytes) {
            self.waiting.push_back(bytes);
        }
    }

    /// Sends what waits; true when nothing does any more.
    pub(super) fn flush(&mut self) -> bool {
        while let Some(bytes) = self.waiting.pop_front() {
            if !self.put(&bytes) {
                self.waiting.push_front(bytes);
                return false;
            }
        }
        true
    }

    /// False: it has to wait. A message to nobody counts as sent.
    fn put(&self, bytes: &[u8]) -> bool {
        !matches!(
            send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR)
        )
    }
}

/// `None` only for a message longer than a packet, which ours are not: their texts are bounded.
fn encode(message: &FromLogger) -> Option<Vec<u8>> {
    codec::encode(message).ok()
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
