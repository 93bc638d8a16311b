//! Asking the keeper, also one that is just dying: a request is sent again until its deadline.
//!
//! Sending a change again is safe, however its first try ended: it carries a random id by which the keeper
//! knows that it made it already, and it names absolute values.

use crate::ipc::client::{CallError, Client};
use crate::ipc::control::Refusal;
use crate::ipc::flags::{Reply, Request};
use crate::sys::{clock, futex};
use crate::time::{Duration, Instant};
use std::path::{Path, PathBuf};

/// A socket without a name, or without a listener, is put back within this by a supervisor that lives.
const GRACE: Duration = Duration::from_millis(250);
/// How often to look meanwhile.
const AGAIN: Duration = Duration::from_millis(5);

/// What the keeper answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// All but the last.
    pub replies: Vec<Reply>,
    /// The number of the newest change.
    pub generation: u64,
    /// False when some change made so far would not survive the keeper.
    pub durable: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// The keeper said no, and why.
    Refused(Refusal),
    /// Nobody answered.
    Call(CallError),
    /// The time is over. A change may have been made.
    Late,
}

/// The keeper's socket in a runtime directory.
pub fn socket(runtime: &Path) -> PathBuf {
    runtime.join("control/keeper")
}

/// Asks, and asks again while the keeper dies on it, for at most `within`.
///
/// # Errors
/// See [`AskError`].
pub fn ask(runtime: &Path, request: &Request, within: Duration) -> Result<Answer, AskError> {
    let socket = socket(runtime);
    let started = clock::now();
    let deadline = started + within;
    let grace = started + GRACE.min(within);
    loop {
        match ask_once(&socket, request, deadline) {
            Err(AskError::Call(CallError::HungUp)) if clock::now() < deadline => {}
            Err(AskError::Call(CallError::Unreachable { .. })) if clock::now() < grace => futex::pause(AGAIN),
            Err(AskError::Call(CallError::Late | CallError::HungUp)) => return Err(AskError::Late),
            done => return done,
        }
    }
}

/// Asks one time, and until `deadline`.
///
/// # Errors
/// See [`AskError`].
pub fn ask_once(socket: &Path, request: &Request, deadline: Instant) -> Result<Answer, AskError> {
    let mut client = Client::connect(socket, Some(deadline)).map_err(AskError::Call)?;
    client.send(request).map_err(AskError::Call)?;
    let mut replies = Vec::new();
    loop {
        match client.receive::<Reply>().map_err(AskError::Call)? {
            Reply::Done { generation, durable } => return Ok(Answer { replies, generation, durable }),
            Reply::Refused(refusal) => return Err(AskError::Refused(refusal)),
            reply => replies.push(reply),
        }
    }
}

/// A number that no other change has.
pub fn fresh_id() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // Seeded from the system's random numbers; 0 means "none".
    RandomState::new().hash_one(std::process::id()).max(1)
}
