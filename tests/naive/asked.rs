//! The core's answers: what it takes and refuses, and what it says of itself, in the model's words.

use crate::calls::{Counts, Refused};
use crate::mirror::{Mirror, child, tree};
use crate::system::{Call, Seen};
use mainstay::supervisor::spec::{GroupId, Node};
use mainstay::supervisor::{self as core, Action, Change, Revision, Standing};
use std::collections::VecDeque;

impl Mirror {
    /// Asks the core. What it takes on is done when this returns; how a start went, its state says.
    pub(crate) fn call(&mut self, call: &Call) -> Result<(), Refused> {
        let mut actions = Vec::new();
        let answer = self.ask(call, &mut actions);
        let mut events = VecDeque::new();
        self.answer(actions, &mut events);
        self.events(events);
        answer
    }

    fn ask(&mut self, call: &Call, actions: &mut Vec<Action>) -> Result<(), Refused> {
        let change = match call {
            Call::StartChild(supervisor, spec) => {
                let group = self.group(supervisor).ok_or(Refused::NoProcess)?;
                Change::StartChild(Box::new(child(spec, group)))
            }
            Call::Terminate(_, name) => Change::Terminate(self.node(name).ok_or(Refused::NotFound)?),
            Call::RestartChild(owner, name) => {
                Change::RestartChild(self.node(name).ok_or_else(|| self.unknown(owner))?)
            }
            Call::DeleteChild(owner, name) => {
                Change::DeleteChild(self.core.child_named(name).ok_or_else(|| self.unknown(owner))?)
            }
            Call::Reload(plan) => {
                let revision = Revision { tree: tree(plan), fixed: 1, otp_rule: true, ..Revision::default() };
                let answer = self.core.reload(self.now, revision, actions);
                return answer.map(|_| ()).map_err(|_| Refused::BadSpec);
            }
        };
        self.core.change(self.now, change, actions).map(|_| ()).map_err(refused)
    }

    /// The core is asked about numbers: a name without one never reaches it. In a pool no name does (D06).
    fn unknown(&self, supervisor: &str) -> Refused {
        let group = self.group(supervisor).map(|group| &self.core.tree().groups[group.0 as usize]);
        if group.is_some_and(|group| group.pool.is_some()) { Refused::IsPool } else { Refused::NotFound }
    }

    fn group(&self, name: &str) -> Option<GroupId> {
        self.core.groups().find(|group| self.core.tree().groups[group.0 as usize].name == name)
    }

    fn node(&self, name: &str) -> Option<Node> {
        let child = self.core.child_named(name).map(Node::Child);
        child.or_else(|| self.group(name).map(Node::Group))
    }

    fn node_name(&self, node: Node) -> String {
        match node {
            Node::Child(child) => self.name(child),
            Node::Group(group) => self.core.tree().groups[group.0 as usize].name.clone(),
        }
    }

    /// The supervisors that run, outermost first.
    fn up(&self) -> Vec<GroupId> {
        let mut found = vec![GroupId::ROOT];
        let mut at = 0;
        while at < found.len() {
            let inner = self.core.members(found[at]).filter_map(|node| match node {
                Node::Group(group) if self.core.standing(node) == Standing::Running => Some(group),
                _ => None,
            });
            found.extend(inner.collect::<Vec<_>>());
            at += 1;
        }
        if self.end.is_some() { Vec::new() } else { found }
    }

    /// As [`crate::system::System::list`].
    pub(crate) fn list(&self) -> Vec<(String, String, Seen)> {
        let mut lines = Vec::new();
        for group in self.up() {
            let members: Vec<Node> = self.core.members(group).collect();
            for node in members.into_iter().rev() {
                let seen = match (self.core.standing(node), node) {
                    (Standing::Undefined, _) => Seen::Undefined,
                    (Standing::Restarting, _) => Seen::Restarting,
                    (Standing::Running, Node::Child(child)) => Seen::Life(self.core.incarnation(child).0),
                    (Standing::Running, Node::Group(_)) => Seen::Up,
                };
                lines.push((self.node_name(Node::Group(group)), self.node_name(node), seen));
            }
        }
        lines
    }

    /// As [`crate::system::System::counts`].
    pub(crate) fn counts(&self) -> Vec<(String, Counts)> {
        let counts = |group| {
            let counts = self.core.count(group);
            let [specs, active, supervisors, workers] =
                [counts.specs, counts.active, counts.supervisors, counts.workers].map(|count| count as usize);
            Counts { specs, active, supervisors, workers }
        };
        self.up().into_iter().map(|group| (self.node_name(Node::Group(group)), counts(group))).collect()
    }
}

fn refused(refused: core::Refused) -> Refused {
    match refused {
        core::Refused::AlreadyStarted(_) => Refused::AlreadyStarted,
        core::Refused::AlreadyPresent(_) => Refused::AlreadyPresent,
        core::Refused::Running => Refused::Running,
        core::Refused::Restarting => Refused::Restarting,
        core::Refused::NotFound => Refused::NotFound,
        core::Refused::GroupDown | core::Refused::Ending => Refused::NoProcess,
        core::Refused::Pool => Refused::IsPool,
        core::Refused::MaxChildren(_) => Refused::MaxChildren,
        core::Refused::BadSpec(_) => Refused::BadSpec,
    }
}
