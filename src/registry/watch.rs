//! What happens to names, as it happens: told by the registry, and when that is killed, by comparing what its next life says
//! with what was known. So nothing is missed and nothing told twice, whoever dies.

use super::client::{SOCKET, again_until, call};
use super::error::Error;
use super::names::{Names, open};
use crate::ipc::client::{CallError, Client};
use crate::ipc::registry::{Entry, Reply, Request, Why};
use crate::sys::clock;
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};

/// How long a watch looks for a registry that is gone, before it says so.
const PATIENCE: Duration = Duration::from_secs(5);

/// Something that happened to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It is there, or means another process, or has other metadata.
    Added(Entry),
    /// It is there no more.
    Gone(Entry, Why),
    /// Everything that was there at first has been told.
    Here,
}

/// See the module. Connects at the first [`Watch::next`].
#[derive(Debug)]
pub struct Watch {
    names: Names,
    prefix: String,
    client: Option<Client>,
    known: BTreeMap<String, Entry>,
    /// To be told.
    happened: VecDeque<Happened>,
    began: bool,
}

impl Watch {
    pub(super) fn new(names: Names, prefix: &str) -> Watch {
        Watch {
            names,
            prefix: prefix.to_owned(),
            client: None,
            known: BTreeMap::new(),
            happened: VecDeque::new(),
            began: false,
        }
    }

    /// The next thing that happened; waits for it until `deadline`, or for ever. `None`: nothing until then.
    ///
    /// # Errors
    /// Nobody has answered for a while: there is no supervisor. It can be asked again.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Happened>, Error> {
        loop {
            if let Some(happened) = self.happened.pop_front() {
                return Ok(Some(happened));
            }
            let Some(client) = &mut self.client else {
                self.connect()?;
                continue;
            };
            client.set_deadline(deadline);
            match client.receive::<Reply>() {
                Ok(Reply::Added(entry)) => self.added(entry),
                Ok(Reply::Gone { entry, why }) => self.gone(&entry.name, why),
                Ok(Reply::Refused(refusal)) => return Err(Error::Refused(refusal)),
                Ok(Reply::Entry(_) | Reply::Here | Reply::Done) => {}
                Err(CallError::Late) => return Ok(None),
                // The registry, or the connection, died.
                Err(_) => self.client = None,
            }
        }
    }

    /// Asks anew, and tells what differs from what was known.
    fn connect(&mut self) -> Result<(), Error> {
        let socket = self.names.runtime().join(SOCKET);
        let request = Request::Watch { prefix: self.prefix.clone() };
        let (client, there) = again_until(PATIENCE, || {
            let mut client = Client::connect(&socket, Some(clock::now() + PATIENCE)).map_err(call)?;
            client.send(&request).map_err(call)?;
            let mut there = BTreeMap::new();
            loop {
                match client.receive::<Reply>().map_err(call)? {
                    Reply::Entry(entry) => drop(there.insert(entry.name.clone(), entry)),
                    Reply::Here => return Ok((client, there)),
                    Reply::Refused(refusal) => return Err(Error::Refused(refusal)),
                    Reply::Added(_) | Reply::Gone { .. } | Reply::Done => {}
                }
            }
        })?;
        self.client = Some(client);
        let same = |entry: &Entry| there.get(&entry.name).is_some_and(|now| now.ticket == entry.ticket);
        let gone: Vec<Entry> = self.known.values().filter(|entry| !same(entry)).cloned().collect();
        for entry in gone {
            let lives = matches!(open(entry.process), Ok(Some(_)));
            // Of one that only has other metadata the end is not told, as it is not by the registry.
            if there.get(&entry.name).is_none_or(|now| now.process != entry.process) {
                self.gone(&entry.name, if lives { Why::Unregistered } else { Why::Died });
            }
        }
        for entry in there.into_values() {
            if self.known.get(&entry.name).is_none_or(|known| known.ticket != entry.ticket) {
                self.added(entry);
            }
        }
        if !std::mem::replace(&mut self.began, true) {
            self.happened.push_back(Happened::Here);
        }
        Ok(())
    }

    fn added(&mut self, entry: Entry) {
        self.known.insert(entry.name.clone(), entry.clone());
        self.happened.push_back(Happened::Added(entry));
    }

    fn gone(&mut self, name: &str, why: Why) {
        if let Some(entry) = self.known.remove(name) {
            self.happened.push_back(Happened::Gone(entry, why));
        }
    }
}
