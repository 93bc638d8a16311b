//! Answers: what is said of instances and groups, in pieces, as whoever asked takes them.

use super::slot::{Ended, Slot};
use super::{Driver, public};
use crate::ipc::builtin::Fault;
use crate::ipc::control::{Grace, Group, Head, LastExit, Reply, Service, Which};
use crate::ipc::server::{ConnectionId, Still};
use crate::supervisor::spec::{self, ChildId, GroupId, Node, Restart, Strategy};
use crate::supervisor::{Standing, State};
use crate::sys::clock;
use std::collections::VecDeque;

use super::roster::USER_ROOT;

/// More of an answer is told only while less than this waits to be read.
const PIECE: usize = 64 << 10;
/// So many members of a group, each of at most 80 bytes, fit into one message.
const MEMBERS: usize = 500;
/// So many needs of a service are shown: a status is no place for a thousand.
const NEEDS: usize = 100;

/// A piece of an answer.
pub(super) enum Tell {
    /// This.
    Say(Box<Reply>),
    /// An instance as it is when its turn comes; nothing when it is gone by then.
    Child(ChildId),
    /// A group.
    Group(GroupId),
    /// A member of a group, in OTP's words.
    Which(Node),
}

impl Tell {
    /// This.
    pub fn say(reply: Reply) -> Tell {
        Tell::Say(Box::new(reply))
    }
}

/// An answer that is being told.
pub(super) struct Telling {
    connection: ConnectionId,
    left: VecDeque<Tell>,
    last: Reply,
}

impl Telling {
    /// Groups that are yet to be told of.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.left.iter().filter_map(|piece| match piece {
            Tell::Group(group) | Tell::Which(Node::Group(group)) => Some(*group),
            Tell::Say(_) | Tell::Child(_) | Tell::Which(Node::Child(_)) => None,
        })
    }
}

impl Driver {
    /// Tells this, and `last` at the end.
    pub(super) fn begin_telling(
        &mut self,
        connection: ConnectionId,
        left: impl IntoIterator<Item = Tell>,
        last: Reply,
    ) {
        self.telling.push(Telling { connection, left: left.into_iter().collect(), last });
    }

    pub(super) fn begin_status(&mut self, connection: ConnectionId, all: bool, cursor: u64) {
        let now = clock::now();
        self.forget_old_restarts(now);
        let head = Head {
            project: self.rooms.project().name.clone(),
            config: self.file.as_ref().map(|f| f.display().to_string()).unwrap_or_default(),
            pid: std::process::id(),
            up_ns: public::nanos(now.since(self.started)),
            restarts_hour: u32::try_from(self.restarts.len()).unwrap_or(u32::MAX),
            shutting_down: self.shutdowns > 0,
            crashes_unwritten: self.deaths.unwritten,
            cursor: self.ring.newest(),
        };
        let children = if all { self.roster.everybody(&self.core) } else { self.roster.users(&self.core) };
        let mut left = vec![Tell::say(Reply::Head(head))];
        left.extend(children.into_iter().map(Tell::Child));
        left.extend(self.roster.user_groups(&self.core).map(Tell::Group));
        self.begin_telling(connection, left, Reply::Done { cursor });
    }

    /// An answer about ten thousand services is told in pieces, as its reader takes them.
    pub(super) fn go_on_telling(&mut self) {
        let mut telling = std::mem::take(&mut self.telling);
        let now = clock::now();
        telling.retain_mut(|one| {
            while self.server.queued(one.connection) < PIECE {
                let Some(piece) = one.left.pop_front() else {
                    let _ = self.server.send(one.connection, &one.last);
                    if self.server.finish(one.connection, now) == Still::Closed {
                        self.drop_client(one.connection);
                    }
                    return false;
                };
                let parts = self.say(piece);
                if parts.iter().try_for_each(|part| self.server.send(one.connection, part)).is_err() {
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

    fn say(&self, piece: Tell) -> Vec<Reply> {
        match piece {
            Tell::Say(reply) => vec![*reply],
            Tell::Child(child) if self.core.is_child(child) => vec![Reply::Service(self.describe(child))],
            Tell::Which(Node::Child(child)) if !self.core.is_child(child) => Vec::new(),
            Tell::Child(_) => Vec::new(),
            Tell::Group(group) => self.describe_group(group).into_iter().map(Reply::Group).collect(),
            Tell::Which(node) => vec![Reply::Which(self.which(node))],
        }
    }

    /// A member of a group, in OTP's words.
    fn which(&self, node: Node) -> Which {
        let tree = self.core.tree();
        let child = match self.core.standing(node) {
            Standing::Running => "running",
            Standing::Restarting => "restarting",
            Standing::Undefined => "undefined",
        };
        let which = Which { name: self.name_of(node), child: child.to_owned(), ..Which::default() };
        match node {
            Node::Child(id) => {
                let policy = &tree.children[id.0 as usize];
                Which {
                    group: self.roster.group(policy.group).to_owned(),
                    kind: "worker".into(),
                    pool: tree.groups[policy.group.0 as usize].pool.is_some(),
                    pid: self.slots[id.0 as usize].pid().unwrap_or(0),
                    restart: restart_word(policy.restart).to_owned(),
                    shutdown: Some(match policy.grace {
                        spec::Grace::Kill => Grace::Kill,
                        spec::Grace::After(grace) => Grace::After(public::nanos(grace)),
                        spec::Grace::Forever => Grace::Infinity,
                    }),
                    significant: policy.significant,
                    added: policy.added,
                    kept: self.core.is_kept(id),
                    ..which
                }
            }
            Node::Group(id) => {
                let group = &tree.groups[id.0 as usize];
                Which {
                    group: group.parent.map(|p| self.roster.group(p).to_owned()).unwrap_or_default(),
                    kind: "supervisor".into(),
                    restart: restart_word(group.restart).to_owned(),
                    shutdown: Some(Grace::Infinity),
                    significant: group.significant,
                    ..which
                }
            }
        }
    }

    pub(super) fn describe(&self, child: ChildId) -> Service {
        let now = clock::now();
        let slot = &self.slots[child.0 as usize];
        let policy = &self.core.tree().children[child.0 as usize];
        let state = self.core.state(child);
        Service {
            service: self.roster.service(child).to_owned(),
            instance: policy.name.to_string(),
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

    pub(super) fn name_of(&self, node: Node) -> String {
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
        let group = &self.core.tree().groups[id.0 as usize];
        let parent = group.parent.filter(|_| id != USER_ROOT);
        let members: Vec<String> = self.core.members(id).map(|member| self.name_of(member)).collect();
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
        let everybody = self.roster.everybody(&self.core);
        eprintln!("mainstay: {} services, event {}", everybody.len(), self.ring.newest());
        for child in everybody {
            let service = self.describe(child);
            let command = &self.roster.of(child).command;
            eprintln!("  {} {} pid {} {}", service.instance, service.state, service.pid, command);
        }
    }
}

fn last_exit(ended: &Ended, now: crate::time::Instant) -> LastExit {
    LastExit {
        code: ended.cause.and_then(public::code),
        signal: ended.cause.and_then(public::signal),
        core: matches!(ended.cause, Some(crate::supervisor::Cause::Signal(_, true))),
        oom: ended.fault == Some(Fault::OutOfMemory),
        error: ended.error.clone(),
        lived_ns: public::nanos(ended.lived),
        ago_ns: public::nanos(now.since(ended.at)),
        time: ended.time,
        crash: ended.crash,
        asked: ended.asked,
    }
}

fn restart_word(restart: Restart) -> &'static str {
    match restart {
        Restart::Permanent => "permanent",
        Restart::Transient => "transient",
        Restart::Temporary => "temporary",
    }
}

/// A state as `status` and `wait` write it.
pub(super) fn word(state: State) -> &'static str {
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
