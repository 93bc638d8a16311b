//! What clients ask, and who answers.

use super::roster::USER_ROOT;
use super::tell::{Tell, word};
use super::{Driver, Source};
use crate::exit_code::ExitCode;
use crate::ipc::control::{Refusal, Reply, Request, Verb};
use crate::ipc::server::{ConnectionId, Received, Still};
use crate::supervisor::spec::{ChildId, Node};
use crate::supervisor::{Command, Event};
use crate::sys::{clock, pidfd};
use mio::Interest;

/// What is said before the end of an answer, or why there is nothing else to say.
pub(super) type Answer = Result<Vec<Tell>, Refusal>;

/// A refusal with code 1.
pub(super) fn refused(message: impl Into<String>, hint: impl Into<String>) -> Refusal {
    Refusal { code: ExitCode::Failed as u8, message: message.into(), hint: hint.into() }
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
        let answer = match request {
            Request::Cursor => Ok(Vec::new()),
            Request::Status { all } => return self.begin_status(connection, all, cursor),
            Request::Events { after, follow } => {
                if self.server.follow(connection) {
                    return self.followers.add(connection, after.min(cursor), (!follow).then_some(cursor));
                }
                Err(refused("too many clients follow the events already", "end one of them, or try again"))
            }
            Request::Act { verb, targets, signal, pid, dry_run } => match verb {
                Verb::Start | Verb::Stop | Verb::Restart | Verb::Kill => {
                    self.act_on(verb, &targets, signal, dry_run)
                }
                Verb::Terminate | Verb::RestartChild | Verb::DeleteChild => {
                    self.administer(verb, &targets, pid, dry_run)
                }
            },
            Request::StartChild(new) => match self.start_child(new, connection, cursor) {
                Some(answer) => answer,
                None => return,
            },
            Request::Count { group } => self.count(&group),
            Request::Which { target, pid } => self.which_of(&target, pid),
            Request::Roll { targets, at_once, share, dry_run } => {
                self.begin_roll(&targets, at_once, share, dry_run)
            }
            Request::Revise { scale, plan, otp, at_once, dry_run, color } => {
                let wanted = super::revise::Wanted::new(scale, plan);
                // It answers when it knows: then the client may have to wait for longer than for an answer.
                if !self.server.follow(connection) {
                    Err(refused("too many clients wait already", "try again"))
                } else {
                    match self.begin_revision(Some(connection), wanted, otp, at_once, dry_run, color) {
                        Ok(()) => return,
                        Err(refusal) => Err(refusal),
                    }
                }
            }
            Request::Shutdown => return self.shut_down(connection, cursor),
        };
        self.say_answer(connection, answer, cursor);
    }

    /// Says it to whoever asked when `cursor` was the newest event.
    pub(super) fn say_answer(&mut self, connection: ConnectionId, answer: Answer, cursor: u64) {
        match answer {
            Ok(said) => self.begin_telling(connection, said, Reply::Done { cursor }),
            Err(refusal) => self.begin_telling(connection, [], Reply::Refused(refusal)),
        }
    }

    fn shut_down(&mut self, connection: ConnectionId, cursor: u64) {
        if self.server.follow(connection) {
            let _ = self.server.send(connection, &Reply::Done { cursor });
        }
        self.leaving.push(connection);
        if self.shutdowns == 0 {
            self.shutdowns = 1;
            self.begin_shutdown();
        }
    }

    /// What these patterns name, in their order; each of them means something.
    pub(super) fn named(&self, targets: &[String]) -> Result<Vec<Node>, Refusal> {
        let mut nodes = Vec::new();
        if targets.is_empty() {
            nodes.push(Node::Group(USER_ROOT));
        }
        for target in targets {
            let found = self.roster.find(&self.core, target);
            if found.is_empty() {
                return Err(self.unknown(target));
            }
            nodes.extend(found);
        }
        Ok(nodes)
    }

    /// The children that these nodes cover, each once.
    pub(super) fn children_of(&self, nodes: &[Node]) -> Vec<ChildId> {
        let mut seen = vec![false; self.slots.len()];
        let mut children: Vec<ChildId> =
            nodes.iter().flat_map(|node| self.roster.covered(&self.core, *node)).collect();
        children.retain(|child| !std::mem::replace(&mut seen[child.0 as usize], true));
        children
    }

    /// While everything is being stopped, nothing else is done.
    pub(super) fn not_ending(&self) -> Result<(), Refusal> {
        match self.shutdowns {
            0 => Ok(()),
            _ => Err(refused(
                "everything is being stopped",
                "wait until the supervisor is gone, then `mainstay run`",
            )),
        }
    }

    /// Says what is acted on, as it is now.
    pub(super) fn acted(&self, child: ChildId) -> Tell {
        Tell::say(Reply::Acted {
            instance: self.roster.instance(child).to_owned(),
            pid: self.slots[child.0 as usize].pid().unwrap_or(0),
            state: word(self.core.state(child)).to_owned(),
        })
    }

    /// Does it, and says with which instances. All targets are known before anything is done.
    fn act_on(&mut self, verb: Verb, targets: &[String], signal: i32, dry_run: bool) -> Answer {
        let nodes = self.named(targets)?;
        let children = self.children_of(&nodes);
        if verb != Verb::Stop && verb != Verb::Kill {
            self.not_ending()?;
        }
        let said = children.iter().map(|child| self.acted(*child)).collect();
        if dry_run {
            return Ok(said);
        }
        let command = match verb {
            Verb::Start => Command::Start,
            Verb::Stop => Command::Stop,
            Verb::Restart => Command::Restart,
            _ => {
                self.kill_all(&children, signal)?;
                return Ok(said);
            }
        };
        nodes.into_iter().for_each(|node| self.tell(Event::Command(command(node))));
        Ok(said)
    }

    fn kill_all(&self, children: &[ChildId], signal: i32) -> Result<(), Refusal> {
        for child in children {
            if let Some(life) = self.slots[child.0 as usize].life.as_ref().filter(|l| !l.reaped) {
                pidfd::signal(&life.pidfd, signal).map_err(|error| {
                    refused(format!("cannot send signal {signal} to pid {}: {error}", life.pid), "")
                })?;
            }
        }
        Ok(())
    }

    pub(super) fn unknown(&self, target: &str) -> Refusal {
        let users = self.core.children().filter(|child| self.roster.builtin(*child).is_none());
        let names = users.flat_map(|c| [self.roster.service(c), self.roster.instance(c)]);
        let groups: Vec<String> =
            self.roster.user_groups(&self.core).map(|g| format!("@{}", self.roster.group(g))).collect();
        let nearest = names
            .chain(groups.iter().map(String::as_str))
            .map(|name| (strsim::damerau_levenshtein(name, target), name))
            .min()
            .filter(|(distance, _)| *distance <= 3);
        Refusal {
            code: ExitCode::NotFound as u8,
            message: match target.strip_prefix('@') {
                Some(group) => format!("no group `@{group}`"),
                None => format!("no service `{target}`"),
            },
            hint: match nearest {
                Some((_, name)) => format!("did you mean `{name}`?"),
                None => "`mainstay status` lists them".into(),
            },
        }
    }
}
