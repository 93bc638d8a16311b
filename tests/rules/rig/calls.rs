//! The administrative calls, and what can be asked.

use super::{Plant, Rig, plain};
use mainstay::supervisor::spec::{Child, ChildId, Group, Node};
use mainstay::supervisor::{
    Action, Change, ChildReport, Counts, Flaw, Refused, Reloaded, Report, Revision, Standing,
};
use std::collections::VecDeque;

impl Rig {
    /// Takes a call: what followed, or why it was refused.
    pub(crate) fn change(&mut self, change: Change) -> Result<String, Refused> {
        let mut actions = Vec::new();
        if let Node::Child(child) = self.supervisor.change(self.now, change, &mut actions)? {
            self.learn(child);
        }
        Ok(self.carry_out(actions))
    }

    /// Takes note of the name of a child that may be new.
    fn learn(&mut self, child: ChildId) {
        let at = child.0 as usize;
        self.names.resize(self.names.len().max(at + 1), String::new());
        self.running.resize(self.names.len(), false);
        let name = &self.supervisor.tree().children[at].name;
        if !name.is_empty() {
            self.names[at] = name.to_string();
        }
    }

    fn carry_out(&mut self, actions: Vec<Action>) -> String {
        let (mut text, mut events) = (String::new(), VecDeque::new());
        self.obey(actions, &mut events, &mut text);
        self.follow(events, &mut text);
        text
    }

    /// `start_child`: a permanent one unless `change` says otherwise.
    pub(crate) fn add(
        &mut self,
        group: &str,
        name: &str,
        change: impl Fn(&mut Child),
    ) -> Result<String, Refused> {
        let mut child = plain(name);
        child.group = self.group(group);
        change(&mut child);
        self.change(Change::StartChild(Box::new(child)))
    }

    pub(crate) fn terminate(&mut self, name: &str) -> Result<String, Refused> {
        self.change(Change::Terminate(self.node(name)))
    }

    pub(crate) fn restart_child(&mut self, name: &str) -> Result<String, Refused> {
        self.change(Change::RestartChild(self.node(name)))
    }

    pub(crate) fn delete(&mut self, name: &str) -> Result<String, Refused> {
        self.change(Change::DeleteChild(self.id(name)))
    }

    /// Another tree in place of this one.
    pub(crate) fn reload(&mut self, plant: Plant) -> Result<String, Vec<(Node, Flaw)>> {
        self.revise(Revision { tree: plant.tree, fixed: 1, at_once: 1, ..Revision::default() })
            .map(|(text, _)| text)
    }

    pub(crate) fn revise(&mut self, revision: Revision) -> Result<(String, Reloaded), Vec<(Node, Flaw)>> {
        let mut actions = Vec::new();
        let reloaded = self.supervisor.reload(self.now, revision, &mut actions)?;
        reloaded.children.iter().for_each(|child| self.learn(*child));
        Ok((self.carry_out(actions), reloaded))
    }

    /// Restarts these, so many at a time.
    pub(crate) fn roll(&mut self, names: &str, at_once: u32) -> String {
        let children = names.split_whitespace().map(|name| self.id(name)).collect();
        let mut actions = Vec::new();
        self.supervisor.roll(self.now, children, at_once, &mut actions);
        self.carry_out(actions)
    }

    /// OTP's which_children: the newest first.
    pub(crate) fn which(&self, group: &str) -> String {
        let group = self.group(group);
        let members: Vec<Node> = self.supervisor.members(group).collect();
        let words: Vec<String> = members.into_iter().rev().map(|node| self.word(node)).collect();
        words.join(", ")
    }

    fn word(&self, node: Node) -> String {
        let name = match node {
            Node::Child(child) => self.name(child),
            Node::Group(group) => self.supervisor.tree().groups[group.0 as usize].name.clone(),
        };
        let standing = match self.supervisor.standing(node) {
            Standing::Running => "running",
            Standing::Restarting => "restarting",
            Standing::Undefined => "undefined",
        };
        format!("{name} {standing}")
    }

    /// OTP's count_children: specs/active/supervisors/workers.
    pub(crate) fn count(&self, group: &str) -> String {
        let Counts { specs, active, supervisors, workers } = self.supervisor.count(self.group(group));
        format!("{specs}/{active}/{supervisors}/{workers}")
    }

    pub(crate) fn is_there(&self, name: &str) -> bool {
        self.supervisor.child_named(name).is_some()
    }

    /// What `name`s newest life is.
    pub(crate) fn life(&self, name: &str) -> u64 {
        self.supervisor.incarnation(self.id(name)).0
    }

    /// The exits since the last call: whose, and how; `asked`, and whether it is a shutdown error.
    pub(crate) fn exits_told(&mut self) -> Vec<String> {
        let reports = std::mem::take(&mut self.reports);
        let exits = reports.into_iter().filter_map(|report| match report {
            Report::Child {
                child, what: ChildReport::Exited { cause, asked, shutdown_error, .. }, ..
            } => {
                let asked = if asked { " asked" } else { "" };
                let error = if shutdown_error { " shutdown_error" } else { "" };
                Some(format!("{} {cause:?}{asked}{error}", self.name(child)))
            }
            _ => None,
        });
        exits.collect()
    }

    /// The policy of a group, as it is in force.
    pub(crate) fn policy(&self, group: &str) -> &Group {
        &self.supervisor.tree().groups[self.group(group).0 as usize]
    }
}
