//! What happens in a tree, one event after the other.

use super::error::Error;
use super::handle::Handle;
use crate::ipc::client::{CallError, Client};
use crate::ipc::control::{Event, Reply};
use crate::sys::clock;
use std::time::Duration;

/// The events of a tree, oldest first; ends when the tree has. Made by [`Handle::events`].
///
/// An error is the last item, except that of [`Events::within`], after which the next may come.
#[derive(Debug)]
pub struct Events {
    handle: Handle,
    client: Client,
    within: Option<Duration>,
    missed: u64,
    over: bool,
}

impl Events {
    pub(super) fn new(handle: Handle, client: Client) -> Events {
        Events { handle, client, within: None, missed: 0, over: false }
    }

    /// Waits at most so long for each event; then the item is [`Error::Call`] of [`CallError::Late`].
    pub fn within(mut self, within: Duration) -> Events {
        self.within = Some(within);
        self
    }

    /// How many events were gone before they could be told: the supervisor keeps the newest thousands, and a reader that
    /// is slower than they come misses some.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl Iterator for Events {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Result<Event, Error>> {
        if self.over {
            return None;
        }
        self.client.set_deadline(self.within.map(|within| clock::now() + within));
        loop {
            let error = match self.client.receive::<Reply>() {
                Ok(Reply::Event(event)) => return Some(Ok(event)),
                Ok(Reply::Missed { count }) => {
                    self.missed += count;
                    continue;
                }
                Ok(Reply::Refused(refusal)) => refusal.into(),
                Ok(_) => continue,
                Err(CallError::HungUp) => {
                    self.over = true;
                    return None;
                }
                Err(CallError::Late) => return Some(Err(Error::Call(CallError::Late))),
                Err(error) => self.handle.0.failed(error),
            };
            self.over = true;
            return Some(Err(error));
        }
    }
}
