//! The calling end of a control socket: waits, because a command has nothing better to do, and never
//! longer than it was told to.
//!
//! Connecting waits in the backlog while a supervisor or keeper is being restarted; it fails only when
//! nobody holds the socket at all. An answer can come although our request could not be written whole: a
//! server that refuses says why and hangs up at once.

use super::codec::Malformed;
use super::frame::{self, Broken, Form, Inbox, Message};
use crate::sys::{clock, stream};
use crate::time::Instant;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Read so much at a time.
const PIECE: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug)]
pub enum CallError {
    /// Nobody listens there.
    Unreachable {
        /// What was tried.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// We may not talk to it.
    NotPermitted {
        /// What was tried.
        socket: PathBuf,
    },
    /// The deadline passed first.
    Late,
    /// The other end hung up before it had answered.
    HungUp,
    /// What came is no answer.
    Broken(Broken),
    /// A system call failed.
    System(io::Error),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Unreachable { socket, source } => {
                write!(f, "nobody answers at {}: {source}", socket.display())
            }
            CallError::NotPermitted { socket } => {
                write!(f, "no permission to connect to {}", socket.display())
            }
            CallError::Late => f.write_str("no answer in time"),
            CallError::HungUp => f.write_str("the other end hung up before it had answered"),
            CallError::Broken(broken) => write!(f, "the answer was not understood: {broken}"),
            CallError::System(error) => write!(f, "talking to the socket failed: {error}"),
        }
    }
}

impl std::error::Error for CallError {}

impl From<Broken> for CallError {
    fn from(broken: Broken) -> CallError {
        CallError::Broken(broken)
    }
}

impl From<Malformed> for CallError {
    fn from(malformed: Malformed) -> CallError {
        CallError::Broken(Broken::Codec(malformed))
    }
}

/// A connection to a control socket.
#[derive(Debug)]
pub struct Client {
    stream: OwnedFd,
    inbox: Inbox,
    piece: Vec<u8>,
    deadline: Option<Instant>,
}

impl Client {
    /// Connects, waiting in the backlog until `deadline` if it must; without one, for ever.
    pub fn connect(path: &Path, deadline: Option<Instant>) -> Result<Client, CallError> {
        let left = deadline.map(|deadline| deadline.since(clock::now()));
        match stream::connect(path, left) {
            Ok(stream) => Ok(Client { stream, inbox: Inbox::default(), piece: vec![0; PIECE], deadline }),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
                    CallError::Unreachable { socket: path.to_owned(), source: error }
                }
                io::ErrorKind::PermissionDenied => CallError::NotPermitted { socket: path.to_owned() },
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => CallError::Late,
                _ => CallError::System(error),
            }),
        }
    }

    /// From now on waits until then; `None`: for ever.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Sends a request. That the other end has hung up is told by [`Client::receive`], after what it said.
    pub fn send<Q: Message>(&mut self, request: &Q) -> Result<(), CallError> {
        let bytes = frame::encode(Form::Binary, request)?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match stream::send(self.stream.as_fd(), rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => self.wait(stream::Ready::Write)?,
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => return Ok(()),
                    _ => return Err(CallError::System(error)),
                },
            }
        }
        Ok(())
    }

    /// The next reply.
    pub fn receive<R: Message>(&mut self) -> Result<R, CallError> {
        loop {
            if let Some(reply) = self.inbox.take()? {
                return Ok(reply);
            }
            match stream::receive(self.stream.as_fd(), &mut self.piece) {
                Ok(0) => return Err(CallError::HungUp),
                Ok(count) => self.inbox.push(&self.piece[..count]),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => self.wait(stream::Ready::Read)?,
                    io::ErrorKind::ConnectionReset => return Err(CallError::HungUp),
                    _ => return Err(CallError::System(error)),
                },
            }
        }
    }

    fn wait(&self, what: stream::Ready) -> Result<(), CallError> {
        let left = self.deadline.map(|deadline| deadline.since(clock::now()));
        match stream::wait(self.stream.as_fd(), what, left) {
            Ok(true) => Ok(()),
            Ok(false) => Err(CallError::Late),
            Err(error) => Err(CallError::System(error)),
        }
    }
}
