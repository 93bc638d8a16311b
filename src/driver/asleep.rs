//! Built-ins that begin asleep: a tree that never uses them has none of their processes.
//!
//! Each has a door, a socket with a name in the runtime directory that the supervisor holds as it holds the keeper's. While
//! the built-in sleeps the supervisor polls its door; the first connection, or datagram, starts it. From then on the
//! door is the built-in's, which is a child like any other built-in: whoever knocked is found waiting by its first life, and
//! nobody is ever refused. Stopped by hand it sleeps again.
//!
//! Invariant: the supervisor polls a door only while its built-in is not wanted up, so a built-in at work never wakes it.

use super::audience::Listener;
use super::link::Link;
use super::roster::Builtin;
use super::{Driver, Source};
use crate::ipc::builtin::{FromRegistry, FromTelemetry, ToRegistry, ToTelemetry};
use crate::ipc::control::What;
use crate::supervisor::spec::{ChildId, Node};
use crate::supervisor::{Command, Event};
use crate::sys::socket::Kind;
use crate::telemetry::Settings;
use mio::Interest;
use std::io;

/// Where somebody knocks.
pub struct Door {
    /// For whom.
    pub builtin: Builtin,
    /// Its path in the runtime directory.
    pub name: &'static str,
    /// Connections or datagrams.
    pub kind: Kind,
    /// Who may knock.
    pub mode: u32,
}

/// The doors of all that begin asleep.
pub const DOORS: [Door; 2] = [
    Door { builtin: Builtin::Registry, name: "control/registry", kind: Kind::Stream, mode: 0o600 },
    Door { builtin: Builtin::Telemetry, name: "telemetry", kind: Kind::Datagram, mode: 0o666 },
];

/// The number of a built-in's door; `None`: it does not begin asleep.
pub fn door_of(builtin: Builtin) -> Option<usize> {
    DOORS.iter().position(|door| door.builtin == builtin)
}

impl Driver {
    /// All doors, before anybody is awake.
    pub(super) fn watch_doors(&self) -> io::Result<()> {
        (0..DOORS.len()).try_for_each(|door| self.watch_door(door))
    }

    fn watch_door(&self, door: usize) -> io::Result<()> {
        self.watch(Source::Door(door as u32), self.rooms.door(door), Interest::READABLE)
    }

    /// Somebody is at the door. Everything is being stopped: then nobody comes.
    pub(super) fn on_knock(&mut self, door: usize) {
        let builtin = DOORS[door].builtin;
        if builtin == Builtin::Telemetry && !self.telemetry_wanted {
            return;
        }
        if let Some(child) = self.roster.child_of(builtin) {
            self.tell(Event::Command(Command::Start(Node::Child(child))));
        }
    }

    /// It was stopped by hand: who knocks wakes it.
    pub(super) fn fall_asleep(&mut self, child: ChildId) {
        let door = self.roster.builtin(child).and_then(door_of);
        let Some(door) = door.filter(|_| self.shutdowns == 0 && !self.core.wanted_up(child)) else { return };
        self.unwatch(self.rooms.door(door));
        if let Err(error) = self.watch_door(door) {
            self.warn(format!("cannot watch the socket `{}`: {error}", DOORS[door].name));
        }
    }

    /// Before each life of one that began asleep: its door is its own, and there is a fresh line to it.
    pub(super) fn wake(&mut self, child: ChildId, builtin: Builtin) {
        let Some(door) = door_of(builtin) else { return };
        self.unwatch(self.rooms.door(door));
        if self.woken[door].is_some() {
            self.renew(builtin);
        } else {
            match Link::new() {
                Ok(link) => self.woken[door] = Some(link),
                // It works without one.
                Err(error) => self.warn(format!("cannot make a line to {}: {error}", builtin.name())),
            }
            self.watch_link(builtin);
        }
        self.prepare(child, builtin);
    }

    /// The name of its socket was gone and leads to a new one.
    pub(super) fn serve_door_anew(&mut self, door: usize) {
        let builtin = DOORS[door].builtin;
        let awake = self.roster.child_of(builtin).is_some_and(|child| self.core.wanted_up(child));
        if !awake {
            if let Err(error) = self.watch_door(door) {
                self.warn(format!("cannot watch the socket `{}`: {error}", DOORS[door].name));
            }
            return;
        }
        let listener = self.rooms.door(door);
        match (builtin, &mut self.woken[door]) {
            (Builtin::Registry, Some(link)) => link.say(&ToRegistry::Listen, vec![listener]),
            (Builtin::Telemetry, Some(link)) => link.say(&ToTelemetry::Listen, vec![listener]),
            (Builtin::Registry | Builtin::Telemetry | Builtin::Logger | Builtin::Keeper, _) => {}
        }
    }

    /// One that began asleep says something.
    pub(super) fn on_woken(&mut self, door: usize) {
        match DOORS[door].builtin {
            Builtin::Registry => self.on_registry(),
            Builtin::Telemetry => self.on_telemetry(),
            Builtin::Logger | Builtin::Keeper => {}
        }
    }

    /// Before a new life of the registry, which needs to know nothing.
    pub(super) fn greet_registry(&mut self, child: ChildId) {
        self.wake(child, Builtin::Registry);
    }

    /// Before a new life of telemetry: nothing that was said to the last one holds.
    pub(super) fn greet_telemetry(&mut self, child: ChildId) {
        self.wake(child, Builtin::Telemetry);
        let hello = ToTelemetry::Hello { project: self.rooms.project().name.clone() };
        if let Some(link) = self.link_mut(Builtin::Telemetry) {
            link.say(&hello, Vec::new());
        }
        self.tell_everything(Listener::Telemetry);
    }

    fn on_telemetry(&mut self) {
        while let Some(message) = self.link_mut(Builtin::Telemetry).and_then(Link::hear) {
            match message {
                FromTelemetry::Drained { child, incarnation } => self.on_drained(child, incarnation),
                FromTelemetry::Repaired { what } => self.note_other(String::new(), What::Repaired { what }),
                FromTelemetry::Trouble { message } => self.warn(message),
            }
        }
    }

    /// Other settings of telemetry: it begins anew with them, which loses nothing; it stops, or may be needed from now on.
    pub(super) fn take_up_telemetry(&mut self, settings: &Settings) {
        if let Err(error) = self.program.set_telemetry(settings) {
            self.warn(format!("telemetry goes on as it was: {error}"));
            return;
        }
        let was_wanted = std::mem::replace(&mut self.telemetry_wanted, settings.enabled);
        let child = self.roster.child_of(Builtin::Telemetry);
        match (was_wanted, settings.enabled, child) {
            (true, true, _) => self.end_builtin(Builtin::Telemetry),
            (true, false, Some(child)) => self.tell(Event::Command(Command::Stop(Node::Child(child)))),
            // Whoever rang has rung, and waits to be heard.
            (false, true, Some(child)) => self.tell(Event::Command(Command::Start(Node::Child(child)))),
            (false, false, _) | (_, _, None) => {}
        }
    }

    fn on_registry(&mut self) {
        while let Some(message) = self.link_mut(Builtin::Registry).and_then(Link::hear) {
            match message {
                FromRegistry::Repaired { what } => self.note_other(String::new(), What::Repaired { what }),
                FromRegistry::Trouble { message } => self.warn(message),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_begins_asleep_has_a_door_and_nobody_else() {
        for builtin in Builtin::all(true) {
            assert_eq!(door_of(builtin).is_some(), builtin.begins_asleep(), "{builtin:?}");
        }
    }
}
