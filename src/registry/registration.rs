//! A name of this process, until it is dropped.

use super::names::Names;
use crate::ipc::registry::Entry;
use crate::time::Duration;

/// How long a drop waits for the registry: it goes with the process anyway.
const PARTING: Duration = Duration::from_secs(1);

/// A name that this process has. Dropped, the name is free again; a process that ends without dropping it loses it within
/// milliseconds. A child of a fork that drops its copy takes nothing away.
#[derive(Debug)]
#[must_use = "the name is given back when this is dropped"]
pub struct Registration {
    names: Names,
    entry: Entry,
    owner: u32,
}

impl Registration {
    pub(super) fn new(names: Names, entry: Entry) -> Registration {
        Registration { names, entry, owner: std::process::id() }
    }

    /// What is registered.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Keeps the name until the process ends.
    pub fn keep(mut self) {
        self.owner = 0;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            // Not there any more, or nobody to tell: then there is nothing to give back.
            let _ = self.names.unregister(&self.entry.name, self.entry.ticket, PARTING);
        }
    }
}
