//! What clients ask, and what they get.

use super::reports::Names;
use super::slot::{Ended, Slot};
use super::{Driver, Source, public};
use crate::exit_code::ExitCode;
use crate::ipc::control::{Group, Head, LastExit, Refusal, Reply, Request, Service, Verb};
use crate::ipc::server::{ConnectionId, Received, Still};
use crate::supervisor::spec::{ChildId, GroupId, Node, Strategy};
use crate::supervisor::{Command, Event, State};
use crate::sys::{clock, pidfd};
use mio::Interest;
use std::collections::VecDeque;

/// More of a status is told only while less than this waits to be read.
const PIECE: usize = 64 << 10;
/// So many members of a group, each of at most 80 bytes, fit into one message.
const MEMBERS: usize = 500;
/// So many needs of a service are shown: a status is no place for a thousand.
const NEEDS: usize = 100;

/// A status that is being told.
pub(super) struct Telling {
    connection: ConnectionId,
    left: VecDeque<Node>,
    /// The newest event when it was asked for.
    cursor: u64,
}

impl Driver {
    pub(super) fn on_listener(&mut self) {
        while let Some(connection) = self.server.accept(clock::now()) {
            let slot = connection.to_u64() as u32;
            let watched = match self.server.fd(connection) {
                Some(fd) => self.watch(Source::Client(slot), fd, Interest::READABLE | Interest::WRITABLE),
                None => continue,
            };
            if watched.is_err() {
                self.server.close(connection);
                continue;
            }
            self.clients.insert(slot, connection);
            // What it sent before it was watched would never be reported.
            self.on_client(slot);
        }
    }

    pub(super) fn on_client(&mut self, slot: u32) {
        let Some(&connection) = self.clients.get(&slot) else { return };
        match self.server.readable(connection, clock::now()) {
            Received::Request(request, _peer) => self.answer(connection, request),
            Received::Nothing => {}
            Received::Closed => return self.drop_client(connection),
        }
        if self.server.writable(connection, clock::now()) == Still::Closed {
            self.drop_client(connection);
        }
    }

    /// Closes a connection; one that is closed already stays so. Its slot may then be another's: closing
    /// takes the next from the backlog.
    pub(super) fn drop_client(&mut self, connection: ConnectionId) {
        let Some(fd) = self.server.fd(connection) else { return };
        self.unwatch(fd);
        self.clients.remove(&(connection.to_u64() as u32));
        self.followers.forget(connection);
        self.server.close(connection);
        // Room for one that waits in the backlog.
        if self.server.can_accept() {
            self.on_listener();
        }
    }

    fn answer(&mut self, connection: ConnectionId, request: Request) {
        let cursor = self.ring.newest();
        let refused = match request {
            Request::Cursor => None,
            Request::Status { all } => {
                self.begin_status(connection, all, cursor);
                return;
            }
            Request::Events { after, follow } => {
                if !self.server.follow(connection) {
                    Some(Refusal {
                        code: ExitCode::Failed as u8,
                        message: "too many clients follow the events already".into(),
                        hint: "end one of them, or try again".into(),
                    })
                } else {
                    self.followers.add(connection, after.min(cursor), (!follow).then_some(cursor));
                    return;
                }
            }
            Request::Act { verb, targets, signal, dry_run } => {
                self.act_on(connection, verb, &targets, signal, dry_run).err()
            }
            Request::Shutdown => {
                if self.server.follow(connection) {
                    let _ = self.server.send(connection, &Reply::Done { cursor });
                }
                self.leaving.push(connection);
                if self.shutdowns == 0 {
                    self.shutdowns = 1;
                    self.begin_shutdown();
                }
                return;
            }
        };
        let now = clock::now();
        let still = match refused {
            Some(refusal) => self.server.refuse(connection, refusal, now),
            None => {
                let _ = self.server.send(connection, &Reply::Done { cursor });
                self.server.finish(connection, now)
            }
        };
        if still == Still::Closed {
            self.drop_client(connection);
        }
    }

    /// Does it, and says with which instances. All targets are known before anything is done.
    fn act_on(
        &mut self,
        connection: ConnectionId,
        verb: Verb,
        targets: &[String],
        signal: i32,
        dry_run: bool,
    ) -> Result<(), Refusal> {
        let mut nodes = Vec::new();
        if targets.is_empty() {
            nodes.push(Node::Group(self.roster.user_root()));
        }
        for target in targets {
            let found = self.roster.find(target);
            if found.is_empty() {
                return Err(self.unknown(target));
            }
            nodes.extend(found);
        }
        let mut seen = vec![false; self.slots.len()];
        let mut children: Vec<ChildId> = nodes.iter().flat_map(|node| self.roster.covered(*node)).collect();
        children.retain(|child| !std::mem::replace(&mut seen[child.0 as usize], true));
        if self.shutdowns > 0 && verb != Verb::Stop && verb != Verb::Kill {
            return Err(Refusal {
                code: ExitCode::Failed as u8,
                message: "everything is being stopped".into(),
                hint: "wait until the supervisor is gone, then `mainstay run`".into(),
            });
        }
        for child in &children {
            let acted = Reply::Acted {
                instance: self.roster.instance(*child).to_owned(),
                pid: self.slots[child.0 as usize].pid().unwrap_or(0),
            };
            let _ = self.server.send(connection, &acted);
        }
        if dry_run {
            return Ok(());
        }
        match verb {
            Verb::Start => nodes.into_iter().for_each(|n| self.tell(Event::Command(Command::Start(n)))),
            Verb::Stop => nodes.into_iter().for_each(|n| self.tell(Event::Command(Command::Stop(n)))),
            Verb::Restart => nodes.into_iter().for_each(|n| self.tell(Event::Command(Command::Restart(n)))),
            Verb::Kill => {
                for child in children {
                    if let Some(life) = self.slots[child.0 as usize].life.as_ref().filter(|l| !l.reaped) {
                        pidfd::signal(&life.pidfd, signal).map_err(|error| Refusal {
                            code: ExitCode::Failed as u8,
                            message: format!("cannot send signal {signal} to pid {}: {error}", life.pid),
                            hint: String::new(),
                        })?;
                    }
                }
            }
        }
        Ok(())
    }

    fn unknown(&self, target: &str) -> Refusal {
        let names = self.roster.users().flat_map(|c| [self.roster.service(c), self.roster.instance(c)]);
        let groups: Vec<String> =
            self.roster.user_groups().map(|g| format!("@{}", self.roster.group(g))).collect();
        let nearest = names
            .chain(groups.iter().map(String::as_str))
            .map(|name| (strsim::damerau_levenshtein(name, target), name))
            .min()
            .filter(|(distance, _)| *distance <= 3);
        Refusal {
            code: ExitCode::NotFound as u8,
            message: format!("no service `{target}`"),
            hint: match nearest {
                Some((_, name)) => format!("did you mean `{name}`?"),
                None => "`mainstay status` lists them".into(),
            },
        }
    }

    fn begin_status(&mut self, connection: ConnectionId, all: bool, cursor: u64) {
        let now = clock::now();
        self.forget_old_restarts(now);
        let head = Head {
            project: self.plan.project.clone(),
            config: self.plan.file.as_ref().map(|f| f.display().to_string()).unwrap_or_default(),
            pid: std::process::id(),
            up_ns: public::nanos(now.since(self.started)),
            restarts_hour: u32::try_from(self.restarts.len()).unwrap_or(u32::MAX),
            shutting_down: self.shutdowns > 0,
            cursor: self.ring.newest(),
        };
        let _ = self.server.send(connection, &Reply::Head(head));
        let children = self.roster.children().filter(|c| all || self.roster.builtin(*c).is_none());
        let children = children.map(Node::Child).collect::<Vec<_>>();
        let groups = self.roster.user_groups().map(Node::Group);
        let left = children.into_iter().chain(groups).collect();
        self.telling.push(Telling { connection, left, cursor });
    }

    /// A status of ten thousand services is told in pieces, as its reader takes them.
    pub(super) fn go_on_telling(&mut self) {
        let mut telling = std::mem::take(&mut self.telling);
        let now = clock::now();
        telling.retain_mut(|one| {
            while self.server.queued(one.connection) < PIECE {
                let Some(node) = one.left.pop_front() else {
                    let _ = self.server.send(one.connection, &Reply::Done { cursor: one.cursor });
                    if self.server.finish(one.connection, now) == Still::Closed {
                        self.drop_client(one.connection);
                    }
                    return false;
                };
                let told = match node {
                    Node::Child(child) => {
                        self.server.send(one.connection, &Reply::Service(self.describe(child)))
                    }
                    Node::Group(group) => self
                        .describe_group(group)
                        .into_iter()
                        .try_for_each(|part| self.server.send(one.connection, &Reply::Group(part))),
                };
                if told.is_err() {
                    self.drop_client(one.connection);
                    return false;
                }
            }
            match self.server.flush(one.connection, now) {
                Still::Open => true,
                Still::Closed => {
                    self.drop_client(one.connection);
                    false
                }
            }
        });
        // A place that came free may have let the next one in.
        telling.append(&mut self.telling);
        self.telling = telling;
    }

    fn describe(&self, child: ChildId) -> Service {
        let now = clock::now();
        let slot = &self.slots[child.0 as usize];
        let policy = self.roster.policy(child);
        let state = self.core.state(child);
        Service {
            service: self.roster.service(child).to_owned(),
            instance: policy.name.clone(),
            group: self.roster.group(policy.group).to_owned(),
            state: word(state).to_owned(),
            wanted: if self.core.wanted_up(child) { "up" } else { "down" }.to_owned(),
            as_wanted: self.core.as_wanted(child),
            pid: slot.pid().unwrap_or(0),
            incarnation: self.core.incarnation(child).0,
            up_ns: slot
                .life
                .as_ref()
                .filter(|l| !l.reaped)
                .map_or(0, |l| public::nanos(now.since(l.started))),
            restarts: self.core.restarts(child, now),
            restarts_max: policy.limit.map_or(0, |l| l.max),
            window_ns: policy.limit.map_or(0, |l| public::nanos(l.within)),
            retry_in_ns: self.core.retry_at(child).map_or(0, |at| public::nanos(at.since(now))),
            cpu_ns: 0,
            memory: 0,
            because: self.because(child, state, slot),
            needs: policy.needs.iter().take(NEEDS).map(|need| self.name_of(*need)).collect(),
            last_exit: slot.ended.as_ref().map(|ended| last_exit(ended, now)),
            builtin: self.roster.builtin(child).is_some(),
        }
    }

    fn name_of(&self, node: Node) -> String {
        match node {
            Node::Child(c) => self.roster.instance(c).to_owned(),
            Node::Group(g) => format!("@{}", self.roster.group(g)),
        }
    }

    /// What it waits for, or why it is not as wanted.
    fn because(&self, child: ChildId, state: State, slot: &Slot) -> String {
        match state {
            State::Waiting => {
                let names: Vec<String> = self
                    .core
                    .waits_for(child)
                    .map(|node| match node {
                        Node::Child(c) => {
                            format!("`{}`, which is {}", self.roster.instance(c), word(self.core.state(c)))
                        }
                        Node::Group(g) => format!("group `{}`", self.roster.group(g)),
                    })
                    .collect();
                names.join(" and ")
            }
            State::Starting => self.what_was_seen(child),
            State::BackingOff | State::GaveUp => {
                slot.error.as_ref().map(ToString::to_string).unwrap_or_default()
            }
            _ => String::new(),
        }
    }

    /// In several parts when its members do not fit into one message.
    fn describe_group(&self, id: GroupId) -> Vec<Group> {
        let group = &self.roster.tree().groups[id.0 as usize];
        let parent = group.parent.filter(|_| id != self.roster.user_root());
        let members: Vec<String> = group.members.iter().map(|member| self.name_of(*member)).collect();
        let part = |members: &[String]| Group {
            name: group.name.clone(),
            parent: parent.map(|p| self.roster.group(p).to_owned()).unwrap_or_default(),
            strategy: match group.strategy {
                Strategy::OneForOne => "one_for_one",
                Strategy::OneForAll => "one_for_all",
                Strategy::RestForOne => "rest_for_one",
            }
            .into(),
            intensity: group.intensity.map_or(0, |i| i.max),
            period_ns: group.intensity.map_or(0, |i| public::nanos(i.within)),
            members: members.to_vec(),
        };
        if members.is_empty() { vec![part(&[])] } else { members.chunks(MEMBERS).map(part).collect() }
    }

    /// SIGUSR2: the state in words, to stderr.
    pub(super) fn dump(&self) {
        let names = Names { plan: &self.plan, roster: &self.roster };
        eprintln!("mainstay: {} services, event {}", self.slots.len(), self.ring.newest());
        for child in self.roster.children() {
            let service = self.describe(child);
            let command = public::Details::command(&names, child);
            eprintln!("  {} {} pid {} {}", service.instance, service.state, service.pid, command);
        }
    }
}

fn last_exit(ended: &Ended, now: crate::time::Instant) -> LastExit {
    LastExit {
        code: ended.cause.and_then(public::code),
        signal: ended.cause.and_then(public::signal),
        core: matches!(ended.cause, Some(crate::supervisor::Cause::Signal(_, true))),
        error: ended.error.clone(),
        lived_ns: public::nanos(ended.lived),
        ago_ns: public::nanos(now.since(ended.at)),
        time: ended.time,
        crash: ended.crash,
        asked: ended.asked,
    }
}

/// A state as `status` and `wait` write it.
fn word(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Starting => "starting",
        State::Up => "up",
        State::Ready => "ready",
        State::Stopping => "stopping",
        State::Stopped => "stopped",
        State::Finished => "finished",
        State::BackingOff => "backing_off",
        State::GaveUp => "gave_up",
    }
}
