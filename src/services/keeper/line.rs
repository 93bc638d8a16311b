//! The line to the supervisor: one message a packet, descriptors beside it.
//!
//! The keeper works without it, and never waits for it: what the supervisor does not take now waits here,
//! and past [`WAITING_MAX`] is dropped, oldest first. Nothing that is true depends on these messages.

use crate::ipc::builtin::{FromKeeper, ToKeeper};
use crate::ipc::codec;
use crate::ipc::control::What;
use crate::sys::socket;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// So many messages wait for a supervisor that does not read.
const WAITING_MAX: usize = 4096;
/// The longest message of the supervisor.
const PACKET: usize = 4096;

/// Our end of the pair; without one, what is said goes to stderr.
#[derive(Debug, Default)]
pub(super) struct Line {
    socket: Option<OwnedFd>,
    waiting: VecDeque<Vec<u8>>,
}

impl Line {
    pub(super) fn new(socket: Option<OwnedFd>) -> Line {
        Line { socket, waiting: VecDeque::new() }
    }

    /// What to watch, and whether for writing too.
    pub(super) fn fd(&self) -> Option<(BorrowedFd<'_>, bool)> {
        self.socket.as_ref().map(|socket| (socket.as_fd(), !self.waiting.is_empty()))
    }

    /// True when there is a supervisor at its other end.
    pub(super) fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// True when everything that was said was taken; or nobody is there to take it.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() || self.socket.is_none()
    }

    /// Says it now, or as soon as there is room.
    pub(super) fn say(&mut self, message: &FromKeeper) {
        if self.socket.is_none() {
            say_to_a_person(message);
            return;
        }
        // Ours are short: names, reasons and paths are bounded.
        let Ok(bytes) = codec::encode(message) else { return };
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(bytes);
        self.flush();
    }

    /// Sends what the supervisor takes.
    pub(super) fn flush(&mut self) {
        while let (Some(line), Some(bytes)) = (&self.socket, self.waiting.front()) {
            match socket::send(line, bytes, &[] as &[OwnedFd]) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if is_over(&e) => self.socket = None,
                // Sent; or never to be sent.
                Ok(()) | Err(_) => drop(self.waiting.pop_front()),
            }
        }
    }

    /// The next message and the descriptor that came with it; `None`: no more for now.
    pub(super) fn hear(&mut self) -> Option<(ToKeeper, Option<OwnedFd>)> {
        loop {
            let mut buffer = [0; PACKET];
            let received = match socket::receive(self.socket.as_ref()?, &mut buffer) {
                Ok(Some(received)) if received.length > 0 => received,
                Ok(None) => return None,
                // The supervisor is gone, with every copy of its end.
                Ok(Some(_)) | Err(_) => {
                    self.socket = None;
                    return None;
                }
            };
            // A supervisor of another version may say what we do not know.
            if let Ok(message) = codec::decode(&buffer[..received.length])
                && !received.cut
            {
                return Some((message, received.descriptors.into_iter().next()));
            }
        }
    }
}

fn is_over(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionRefused | ConnectionReset | NotConnected)
}

fn say_to_a_person(message: &FromKeeper) {
    match message {
        FromKeeper::Noted {
            what: What::Repaired { what: said } | What::Warning { message: said }, ..
        } => {
            eprintln!("mainstay.keeper: {said}");
        }
        FromKeeper::Noted { .. }
        | FromKeeper::Feed { .. }
        | FromKeeper::Enough
        | FromKeeper::Fresh { .. } => {}
    }
}
