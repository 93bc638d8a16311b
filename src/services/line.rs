//! The line to the supervisor: one message a packet, descriptors beside it.
//!
//! A built-in works without it, and never waits for it: what the supervisor does not take now waits here,
//! and past [`WAITING_MAX`] is dropped, oldest first. Nothing that is true depends on these messages.

use crate::ipc::builtin::{FromKeeper, FromRegistry, FromTelemetry};
use crate::ipc::codec;
use crate::ipc::control::What;
use crate::sys::socket;
use bincode::{Decode, Encode};
use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// So many messages wait for a supervisor that does not read.
const WAITING_MAX: usize = 4096;
/// The longest message of the supervisor.
const PACKET: usize = 4096;

/// What a built-in says to the supervisor.
pub(super) trait Said: Encode {
    /// Who says it, and what a person is told when there is no supervisor; `None`: nothing.
    fn in_words(&self) -> Option<(&'static str, &str)>;
}

/// Our end of the pair, from which messages `H` are heard and on which `S` are said; without one, what is said goes to
/// stderr.
#[derive(Debug)]
pub(super) struct Line<H, S> {
    socket: Option<OwnedFd>,
    waiting: VecDeque<Vec<u8>>,
    speaks: PhantomData<(H, S)>,
}

impl<H: Decode<()>, S: Said> Line<H, S> {
    pub(super) fn new(socket: Option<OwnedFd>) -> Line<H, S> {
        Line { socket, waiting: VecDeque::new(), speaks: PhantomData }
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
    pub(super) fn say(&mut self, message: &S) {
        if self.socket.is_none() {
            if let Some((who, words)) = message.in_words() {
                eprintln!("{who}: {words}");
            }
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
    pub(super) fn hear(&mut self) -> Option<(H, Option<OwnedFd>)> {
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

impl Said for FromKeeper {
    fn in_words(&self) -> Option<(&'static str, &str)> {
        match self {
            FromKeeper::Noted {
                what: What::Repaired { what: said } | What::Warning { message: said },
                ..
            } => Some(("mainstay.keeper", said)),
            FromKeeper::Noted { .. }
            | FromKeeper::Feed { .. }
            | FromKeeper::Enough
            | FromKeeper::Fresh { .. } => None,
        }
    }
}

impl Said for FromRegistry {
    fn in_words(&self) -> Option<(&'static str, &str)> {
        let (FromRegistry::Repaired { what: said } | FromRegistry::Trouble { message: said }) = self;
        Some(("mainstay.registry", said))
    }
}

impl Said for FromTelemetry {
    fn in_words(&self) -> Option<(&'static str, &str)> {
        match self {
            FromTelemetry::Repaired { what: said } | FromTelemetry::Trouble { message: said } => {
                Some(("mainstay.telemetry", said))
            }
            FromTelemetry::Drained { .. } => None,
        }
    }
}
