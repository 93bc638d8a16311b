//! The registry's loop: wait → take who has ended → answer → show → tell who watches → look.
//!
//! One thread. It waits for clients, the supervisor, the ends of processes, changes in the runtime directory, and a look each
//! second at table and log (B6). It blocks on nothing.

use super::book::Change;
use super::office::{Office, Said};
use super::publish::{Looked, Publisher};
use crate::ipc::builtin::{FromRegistry, ToRegistry};
use crate::ipc::registry::{Registry, Reply, Request};
use crate::ipc::server::Server;
use crate::services::Arguments;
use crate::services::desk::{Client, Desk};
use crate::services::line::Line;
use crate::sys::ready::{self, Want};
use crate::sys::{clock, disk, inherited, process};
use crate::time::{Duration, Instant};
use std::collections::HashMap;
use std::io;

/// Where the listening socket is handed down, and the line to the supervisor.
const LISTENER: i32 = 3;
const LINE: i32 = 4;

/// Table and log are looked at this often, whatever happens.
const LOOK: Duration = Duration::from_secs(1);

/// The registry, until it is killed.
pub(super) fn run(arguments: &Arguments) -> Result<std::convert::Infallible, String> {
    // First: nothing else may get these numbers.
    let listener = inherited::take(LISTENER)
        .map_err(|e| format!("no listening socket was handed down as descriptor 3: {e}"))?;
    let line = Line::new(inherited::take(LINE).ok());
    let server =
        Server::from_listener(listener).map_err(|e| format!("cannot listen on descriptor 3: {e}"))?;
    // Each process with a name takes a descriptor.
    process::raise_nofile();
    // A dying predecessor holds it a moment longer. Where there is no disk for it, the supervisor's word has to do.
    let _ = disk::make_dir(&arguments.state);
    let _lock = disk::lock(&arguments.state.join("registry.lock")).ok();
    let publisher = Publisher::new(&arguments.runtime, &arguments.state);
    let office = Office::new(publisher.recall()).map_err(|e| format!("cannot watch processes: {e}"))?;
    let desk = Desk::new(server);
    let watchers = HashMap::new();
    let mut registry = Running { line, desk, office, publisher, watchers, look_at: clock::now() + LOOK };
    let looked = registry.publisher.begin(&registry.office.book);
    registry.say(looked);
    loop {
        registry.turn().map_err(|e| format!("cannot wait: {e}"))?;
    }
}

struct Running {
    line: Line<ToRegistry, FromRegistry>,
    desk: Desk<Registry>,
    office: Office,
    publisher: Publisher,
    look_at: Instant,
    /// Who watches, and what.
    watchers: HashMap<Client, String>,
}

impl Running {
    fn turn(&mut self) -> io::Result<()> {
        let woken = self.wait()?;
        let now = clock::now();
        self.hear();
        let mut changes = self.office.take_the_dead()?;
        self.tell(&changes);
        let asked = self.desk.take_requests(now);
        let mut look = woken || now >= self.look_at;
        // Who asks instead of reading may have found the table damaged.
        look |=
            asked.iter().any(|asked| matches!(asked.request, Request::Lookup { .. } | Request::List { .. }));
        if look {
            let looked = self.publisher.look(&self.office.book);
            self.say(looked);
            self.look_at = now + LOOK;
        }
        for asked in asked {
            changes.clear();
            let socket = self.desk.descriptor(asked.to);
            let said = self.office.answer(asked.request, asked.peer, socket, &mut changes);
            // Before a new watcher is there: it has been told of them.
            self.tell(&changes);
            match said {
                Said::Whole(replies) => self.desk.answer(asked.to, replies),
                Said::Follows(replies, prefix) => {
                    self.desk.answer_and_follow(asked.to, replies);
                    self.watchers.insert(asked.to, prefix);
                }
            }
        }
        self.desk.push_answers(now);
        self.desk.expire(now);
        let desk = &self.desk;
        self.watchers.retain(|client, _| desk.follows(*client));
        Ok(())
    }

    /// Waits until something is to be done; true: something happened in the runtime directory.
    fn wait(&self) -> io::Result<bool> {
        let mut wants: Vec<Want<'_>> =
            self.publisher.watched().into_iter().map(|fd| Want { fd, read: true, write: false }).collect();
        let watching = wants.len();
        wants.push(Want { fd: self.office.processes.fd(), read: true, write: false });
        if let Some((fd, write)) = self.line.fd() {
            wants.push(Want { fd, read: true, write });
        }
        self.desk.wants(&mut wants);
        let until = self.desk.next_deadline().into_iter().fold(self.look_at, Instant::min);
        let ready = ready::wait(&wants, Some(until.since(clock::now())))?;
        Ok(ready[..watching].contains(&true) && self.publisher.something_happened())
    }

    fn say(&mut self, looked: Looked) {
        for what in looked.repaired {
            self.line.say(&FromRegistry::Repaired { what });
        }
        if let Some(message) = looked.trouble {
            self.line.say(&FromRegistry::Trouble { message });
        }
    }

    fn hear(&mut self) {
        self.line.flush();
        while let Some((ToRegistry::Listen, socket)) = self.line.hear() {
            let Some(socket) = socket else { continue };
            match Server::from_listener(socket) {
                Ok(server) => self.desk.serve(server),
                Err(error) => {
                    let message = format!("a new listening socket cannot be used: {error}");
                    self.line.say(&FromRegistry::Trouble { message });
                }
            }
        }
    }

    /// Log, table, and whoever watches: unless it is not about what it watches, or it is gone.
    fn tell(&mut self, changes: &[Change]) {
        self.publisher.show(&self.office.book, changes);
        for change in changes {
            let (Change::Added(entry) | Change::Gone(entry, _)) = change;
            let desk = &mut self.desk;
            self.watchers.retain(|client, prefix| {
                !entry.name.starts_with(prefix.as_str()) || desk.tell(*client, reply(change))
            });
        }
    }
}

fn reply(change: &Change) -> Reply {
    match change.clone() {
        Change::Added(entry) => Reply::Added(entry),
        Change::Gone(entry, why) => Reply::Gone { entry, why },
    }
}
