//! One connection of a [`super::Server`]: its bytes in and out.

use super::{ANSWER_WITHIN, OUTPUT, Peer, Protocol, Received, SendError, Still};
use crate::exit_code::ExitCode;
use crate::ipc::control::Refusal;
use crate::ipc::frame::{self, Broken, Form, Inbox, Message};
use crate::sys::stream;
use crate::time::Instant;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Read so much at a time; a request is rarely longer.
const PIECE: usize = 4 << 10;
/// Read at most so many pieces in one go, so that a flood cannot keep the loop.
const PIECES: usize = 17;
/// Write when so much has gathered: one system call for about a hundred replies.
const GATHER: usize = 32 << 10;

pub(super) struct Connection {
    stream: OwnedFd,
    pub(super) peer: Peer,
    pub(super) progress: Progress,
    inbox: Inbox,
    /// The answer is written as the request was.
    form: Form,
    /// What waits to be written begins at `written`.
    output: Vec<u8>,
    written: usize,
    /// The peer sends no more (it may still read).
    half_closed: bool,
    /// The peer is gone: nothing can be read or written.
    dead: bool,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Its request is not whole yet; it is late at this moment.
    Asking { until: Instant },
    /// Its owner is answering; the peer must read something before this moment.
    Answering { until: Instant },
    /// It may stay for as long as it likes.
    Following,
    /// Nothing more will be said; it closes when all is written, or at this moment.
    Finishing { until: Instant },
}

impl Connection {
    pub(super) fn new(stream: OwnedFd, peer: Peer, until: Instant) -> Connection {
        Connection {
            stream,
            peer,
            progress: Progress::Asking { until },
            inbox: Inbox::default(),
            form: Form::Binary,
            output: Vec::new(),
            written: 0,
            half_closed: false,
            dead: false,
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(super) fn queued(&self) -> usize {
        self.output.len() - self.written
    }

    pub(super) fn wants_read(&self) -> bool {
        !self.half_closed && !self.dead
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.progress {
            Progress::Asking { until } | Progress::Answering { until } | Progress::Finishing { until } => {
                Some(until)
            }
            Progress::Following => None,
        }
    }

    pub(super) fn read<P: Protocol>(&mut self, now: Instant) -> Received<P::Request> {
        let mut piece = [0; PIECE];
        for _ in 0..PIECES {
            let count = match stream::receive(self.fd(), &mut piece) {
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Received::Nothing,
                Err(_) => {
                    self.dead = true;
                    return Received::Closed;
                }
            };
            let asking = matches!(self.progress, Progress::Asking { .. });
            if count == 0 {
                self.half_closed = true;
                return if asking { self.ended::<P>(now) } else { self.hung_up() };
            }
            // What comes after the request is nobody's business: read and dropped, so that it neither
            // fills memory nor keeps the descriptor readable.
            if asking {
                self.inbox.push(&piece[..count]);
                match self.inbox.take() {
                    Ok(None) => {}
                    Ok(Some(request)) => return self.asked(request, now),
                    Err(error) => return self.not_understood::<P>(&error, now),
                }
            }
        }
        Received::Nothing
    }

    fn asked<Q>(&mut self, request: Q, now: Instant) -> Received<Q> {
        self.form = self.inbox.form();
        self.inbox = Inbox::default();
        self.progress = Progress::Answering { until: now + ANSWER_WITHIN };
        Received::Request(request, self.peer)
    }

    /// The peer shut its sending side before a frame was whole. A JSON object is whole without its newline.
    fn ended<P: Protocol>(&mut self, now: Instant) -> Received<P::Request> {
        match self.inbox.take_last() {
            Ok(Some(request)) => self.asked(request, now),
            Ok(None) => {
                self.dead = true;
                Received::Closed
            }
            Err(error) => self.not_understood::<P>(&error, now),
        }
    }

    /// The peer sends no more. Is it only that, or is it gone?
    fn hung_up<Q>(&mut self) -> Received<Q> {
        self.dead = stream::is_gone(self.fd());
        if self.dead { Received::Closed } else { Received::Nothing }
    }

    fn not_understood<P: Protocol>(&mut self, error: &Broken, now: Instant) -> Received<P::Request> {
        // Whoever sends neither form is a person at `nc`, who can read JSON at least.
        self.form = if matches!(error, Broken::Foreign(_)) { Form::Json } else { self.inbox.form() };
        self.inbox = Inbox::default();
        let refusal = Refusal {
            code: ExitCode::Usage.number(),
            message: format!("the request was not understood: {error}"),
            hint: "client and supervisor may be of different versions: compare `mainstay version`".to_owned(),
        };
        self.progress = Progress::Finishing { until: now + ANSWER_WITHIN };
        match self.refuse::<P>(refusal) {
            Still::Open => Received::Nothing,
            Still::Closed => Received::Closed,
        }
    }

    /// Says why not, as far as the socket takes it now.
    pub(super) fn refuse<P: Protocol>(&mut self, refusal: Refusal) -> Still {
        match self.send(&P::refused(refusal)) {
            Ok(()) => self.write(),
            Err(_) => Still::Closed,
        }
    }

    /// Time is over: says so when nothing else was said yet.
    pub(super) fn say_late<P: Protocol>(&mut self) {
        if matches!(self.progress, Progress::Asking { .. }) {
            self.form = self.inbox.form();
            // It is closed next, whether it takes this or not.
            let _ = self.refuse::<P>(Refusal {
                code: ExitCode::TimedOut.number(),
                message: format!(
                    "no whole request came within {} s of the connection",
                    super::REQUEST_WITHIN.as_secs()
                ),
                hint: "send the whole request at once; one request to a connection".to_owned(),
            });
        }
    }

    pub(super) fn send<R: Message>(&mut self, reply: &R) -> Result<(), SendError> {
        if self.dead {
            return Err(SendError::Closed);
        }
        if self.queued() >= GATHER && self.write() == Still::Closed && self.dead {
            return Err(SendError::Closed);
        }
        let before = self.output.len();
        frame::append(self.form, reply, &mut self.output).map_err(|_| SendError::TooLong)?;
        if self.queued() > OUTPUT {
            self.output.truncate(before);
            return Err(SendError::TooSlow);
        }
        Ok(())
    }

    /// Writes what the peer takes; time starts anew when it took something.
    pub(super) fn flush(&mut self, now: Instant) -> Still {
        let before = self.queued();
        let still = self.write();
        if self.queued() < before {
            let until = now + ANSWER_WITHIN;
            match &mut self.progress {
                Progress::Answering { until: deadline } | Progress::Finishing { until: deadline } => {
                    *deadline = until
                }
                Progress::Asking { .. } | Progress::Following => {}
            }
        }
        still
    }

    fn write(&mut self) -> Still {
        while !self.dead && self.queued() > 0 {
            match stream::send(self.stream.as_fd(), &self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.dead = true,
            }
        }
        // A buffer that was large once is given back: most connections never need one again.
        if self.queued() == 0 {
            self.written = 0;
            if self.output.capacity() > 2 * GATHER { self.output = Vec::new() } else { self.output.clear() }
        } else if self.written >= GATHER {
            self.output.drain(..self.written);
            self.written = 0;
        }
        let done = self.queued() == 0 && matches!(self.progress, Progress::Finishing { .. });
        if self.dead || done { Still::Closed } else { Still::Open }
    }
}
