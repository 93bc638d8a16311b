//! What the driver does when something in the runtime directory was deleted or damaged.

use super::ring::{Note, Subject};
use super::{Driver, Source};
use crate::ipc::control::What;
use crate::ledger::{Ledger, Numbers};
use crate::sys::clock;
use crate::time::Duration;
use mio::Interest;
use std::os::fd::AsFd;

/// How long until what could not be mended is looked at again.
const AGAIN: Duration = Duration::from_millis(100);

impl Driver {
    /// Something changed in the runtime directory, or it is time to look again.
    pub(super) fn mend(&mut self) {
        let mended = self.rooms.mend();
        if mended.watch {
            // The old watch is closed, and with its descriptor the poller has forgotten it.
            let _ = self.watch(Source::Watch, self.rooms.watch(), Interest::READABLE);
        }
        if mended.supervisor {
            self.serve_anew();
        }
        if mended.notify {
            let _ = self.watch(Source::Notify, self.rooms.notify(), Interest::READABLE);
        }
        if mended.keeper {
            self.hand_to_keeper(self.rooms.keeper_listener());
        }
        if !self.ledger.mend(self.rooms.runtime_fd()) {
            self.write_ledger_anew();
        }
        if !mended.what.is_empty() {
            self.ask_keeper_to_look();
        }
        for what in mended.what {
            self.note(Subject::Tree, Note::Other(Box::new((String::new(), What::Repaired { what }))));
        }
        if mended.again {
            self.look_again = Some(clock::now() + AGAIN);
        }
    }

    /// Who waits at the old socket is let in first; then the new one is served.
    fn serve_anew(&mut self) {
        self.on_listener();
        let Ok(listener) = self.rooms.listener() else { return };
        let watched = self.watch(Source::Listener, &listener, Interest::READABLE);
        self.unwatch(self.server.listener_fd());
        if watched.is_ok() {
            let _ = self.server.serve_at(listener);
        }
    }

    fn write_ledger_anew(&mut self) {
        let names: Vec<&str> = self.roster.children().map(|child| self.roster.instance(child)).collect();
        let numbers = Numbers {
            incarnation: self.core.next_incarnation().0,
            crash: self.next_crash,
            event: self.ring.newest() + 1,
        };
        match Ledger::create(self.rooms.runtime_fd(), names.into_iter(), numbers) {
            Ok(ledger) => {
                self.ledger = ledger;
                for child in self.roster.children() {
                    if let Some(life) = self.slots[child.0 as usize].life.as_ref().filter(|life| !life.reaped)
                    {
                        self.ledger.intend(child, life.incarnation);
                        self.ledger.began(child, life.pid, life.pidfd.as_fd(), life.started);
                    }
                }
                self.ledger.next_incarnation(numbers.incarnation);
            }
            Err(_) => self.look_again = Some(clock::now() + AGAIN),
        }
    }
}
