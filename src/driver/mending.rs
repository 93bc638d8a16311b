//! What the driver does when something in the runtime directory was deleted or damaged.

use super::{Driver, Source};
use crate::ipc::control::What;
use crate::sys::clock;
use crate::time::Duration;
use mio::Interest;

/// How long until what could not be mended is looked at again.
const AGAIN: Duration = Duration::from_millis(100);
/// How often it is looked at while it is not watched.
const NOW_AND_THEN: Duration = Duration::from_secs(1);

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
        for door in mended.doors {
            self.serve_door_anew(door);
        }
        let runtime = self.rooms.runtime_fd();
        if !self.ledger.mend(runtime) && self.ledger.renew(runtime).is_err() {
            self.look_again = Some(clock::now() + AGAIN);
        }
        if !mended.what.is_empty() {
            self.ask_keeper_to_look();
        }
        for what in mended.what {
            self.note_other(String::new(), What::Repaired { what });
        }
        if mended.again {
            self.look_again = Some(clock::now() + AGAIN);
        } else if !self.rooms.is_watching() {
            self.look_again = Some(clock::now() + NOW_AND_THEN);
        }
    }

    /// The end has begun: from now on the runtime directory is looked at by the clock.
    pub(super) fn unwatch_rooms(&mut self) {
        self.unwatch(self.rooms.watch());
        self.rooms.watch_no_more();
        self.look_again.get_or_insert(clock::now() + NOW_AND_THEN);
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
}
