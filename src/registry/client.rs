//! Asking the registry, also one that is just dying: a request is sent again until its deadline.
//!
//! Sending a request again is safe, however its first try ended: see [`crate::ipc::registry`].

use super::error::Error;
use crate::ipc::client::{CallError, Client};
use crate::ipc::registry::{Reply, Request};
use crate::sys::{clock, futex};
use crate::time::{Duration, Instant};
use std::path::Path;

/// A socket without a name, or without a listener, is put back within this by a supervisor that lives.
const GRACE: Duration = Duration::from_millis(250);
/// How often to look meanwhile.
const AGAIN: Duration = Duration::from_millis(5);

/// The registry's socket, from the runtime directory.
pub(super) const SOCKET: &str = "control/registry";

/// Asks, and asks again while the registry dies on it, for at most `within`. All replies but the last.
pub(super) fn ask(runtime: &Path, request: &Request, within: Duration) -> Result<Vec<Reply>, Error> {
    let socket = runtime.join(SOCKET);
    let deadline = clock::now() + within;
    again_until(within, || {
        let mut client = Client::connect(&socket, Some(deadline)).map_err(call)?;
        client.send(request).map_err(call)?;
        let mut replies = Vec::new();
        loop {
            match client.receive::<Reply>().map_err(call)? {
                Reply::Done => return Ok(replies),
                Reply::Refused(refusal) => return Err(Error::Refused(refusal)),
                reply => replies.push(reply),
            }
        }
    })
}

/// Tries until it is answered, while that may help: a registry that dies is back in a moment.
pub(super) fn again_until<T>(
    within: Duration,
    mut attempt: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let started = clock::now();
    let (grace, deadline): (Instant, Instant) = (started + GRACE.min(within), started + within);
    loop {
        match attempt() {
            Err(Error::Unreachable(CallError::HungUp)) if clock::now() < deadline => {}
            Err(Error::Unreachable(CallError::HungUp)) => return Err(Error::Late),
            Err(Error::Unreachable(CallError::Unreachable { .. })) if clock::now() < grace => {
                futex::pause(AGAIN);
            }
            done => return done,
        }
    }
}

pub(super) fn call(error: CallError) -> Error {
    match error {
        CallError::Late => Error::Late,
        other => Error::Unreachable(other),
    }
}
