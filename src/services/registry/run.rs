//! The registry's loop: wait → take who has ended → answer → tell who watches.
//!
//! One thread. It waits for clients, the supervisor, and the ends of processes, and blocks on nothing else.

use super::book::Change;
use super::office::{Office, Said};
use crate::ipc::builtin::{FromRegistry, ToRegistry};
use crate::ipc::registry::{Registry, Reply};
use crate::ipc::server::Server;
use crate::services::Arguments;
use crate::services::desk::{Client, Desk};
use crate::services::line::Line;
use crate::sys::ready::{self, Want};
use crate::sys::{clock, inherited};
use std::collections::HashMap;
use std::io;

/// Where the listening socket is handed down, and the line to the supervisor.
const LISTENER: i32 = 3;
const LINE: i32 = 4;

/// The registry, until it is killed.
pub(super) fn run(_arguments: &Arguments) -> Result<std::convert::Infallible, String> {
    // First: nothing else may get these numbers.
    let listener = inherited::take(LISTENER)
        .map_err(|e| format!("no listening socket was handed down as descriptor 3: {e}"))?;
    let line = Line::new(inherited::take(LINE).ok());
    let server =
        Server::from_listener(listener).map_err(|e| format!("cannot listen on descriptor 3: {e}"))?;
    let mut registry = Running {
        line,
        desk: Desk::new(server),
        office: Office::new().map_err(|e| format!("cannot watch processes: {e}"))?,
        watchers: HashMap::new(),
    };
    loop {
        registry.turn().map_err(|e| format!("cannot wait: {e}"))?;
    }
}

struct Running {
    line: Line<ToRegistry, FromRegistry>,
    desk: Desk<Registry>,
    office: Office,
    /// Who watches, and what.
    watchers: HashMap<Client, String>,
}

impl Running {
    fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        let now = clock::now();
        self.hear();
        let mut changes = self.office.take_the_dead()?;
        self.tell(&changes);
        for asked in self.desk.take_requests(now) {
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
        Ok(())
    }

    fn wait(&self) -> io::Result<()> {
        let mut wants = vec![Want { fd: self.office.processes.fd(), read: true, write: false }];
        if let Some((fd, write)) = self.line.fd() {
            wants.push(Want { fd, read: true, write });
        }
        self.desk.wants(&mut wants);
        let until = self.desk.next_deadline();
        ready::wait(&wants, until.map(|until| until.since(clock::now()))).map(drop)
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

    /// Whoever watches hears of it, unless it is not about what it watches, or it is gone.
    fn tell(&mut self, changes: &[Change]) {
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
