//! Who is in the tree: the user's services and the built-ins under one root, their names, and what a
//! pattern on a command line means. Pure.
//!
//! The core sees one tree: a root without a name over the group `mainstay` (the built-ins) and the
//! user's own root. The user's root is `after` the built-ins, so it starts when the board stands (or
//! when it is known that it does not) and is down before they stop. The unnamed root allows no restart
//! at all: when the user's root escalates, the tree ends; a built-in never escalates.

use crate::config::plan::Plan;
use crate::supervisor::spec::{Backoff, Child, ChildId, Group, GroupId, Intensity, Node, OnLimit, Tree};
use crate::time::Duration;
use wildmatch::WildMatch;

/// The group of the built-ins, and the prefix of their names.
pub const BUILTIN: &str = "mainstay";

const BUILTIN_GROUP: GroupId = GroupId(1);
const USER_ROOT: GroupId = GroupId(2);

/// A built-in service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// Reads every service's output, writes crash records.
    Logger,
    /// The only writer of the board.
    Keeper,
}

impl Builtin {
    /// `mainstay.keeper`: its name in `status --all` and in `ps`.
    pub fn name(self) -> &'static str {
        match self {
            Builtin::Logger => "mainstay.logger",
            Builtin::Keeper => "mainstay.keeper",
        }
    }

    /// The hidden subcommand.
    pub fn subcommand(self) -> &'static str {
        match self {
            Builtin::Logger => "@logger",
            Builtin::Keeper => "@keeper",
        }
    }
}

/// The tree and its names.
pub struct Roster {
    builtins: Vec<Builtin>,
    /// Service name (without `#N`) of each child.
    services: Vec<String>,
    tree: Tree,
}

impl Roster {
    /// The user's tree with these built-ins beside it.
    pub fn new(plan: &Plan, builtins: &[Builtin]) -> Roster {
        let shift = builtins.len() as u32;
        let mut tree = Tree::default();
        tree.groups.push(Group {
            intensity: Some(Intensity { max: 0, within: Duration::from_secs(1) }),
            members: vec![Node::Group(BUILTIN_GROUP), Node::Group(USER_ROOT)],
            backoff: Backoff::NONE,
            ..Group::default()
        });
        tree.groups.push(Group {
            name: BUILTIN.into(),
            parent: Some(GroupId::ROOT),
            on_limit: OnLimit::Park,
            members: (0..shift).map(|i| Node::Child(ChildId(i))).collect(),
            backoff: Backoff::BUILT_IN,
            ..Group::default()
        });
        let node = |n: &Node| match *n {
            Node::Child(ChildId(c)) => Node::Child(ChildId(c + shift)),
            Node::Group(GroupId(g)) => Node::Group(GroupId(g + USER_ROOT.0)),
        };
        for (index, group) in plan.tree.groups.iter().enumerate() {
            let mut group = group.clone();
            group.members = group.members.iter().map(node).collect();
            group.after = group.after.iter().map(node).collect();
            group.parent = Some(match group.parent {
                Some(GroupId(g)) => GroupId(g + USER_ROOT.0),
                None => GroupId::ROOT,
            });
            if index == 0 {
                group.after.push(Node::Group(BUILTIN_GROUP));
            }
            tree.groups.push(group);
        }
        for builtin in builtins {
            tree.children.push(Child {
                name: builtin.name().into(),
                group: BUILTIN_GROUP,
                limit: None,
                backoff: Backoff::BUILT_IN,
                ready_within: (*builtin == Builtin::Keeper).then_some(Duration::from_secs(10)),
                ..Child::default()
            });
        }
        for child in &plan.tree.children {
            let mut child = child.clone();
            child.group = GroupId(child.group.0 + USER_ROOT.0);
            child.needs = child.needs.iter().map(node).collect();
            tree.children.push(child);
        }
        let mut services: Vec<String> = builtins.iter().map(|b| b.name().into()).collect();
        services.extend(plan.programs.iter().map(|p| p.service.clone()));
        Roster { builtins: builtins.to_vec(), services, tree }
    }

    /// The tree for the core.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Which built-in this child is.
    pub fn builtin(&self, child: ChildId) -> Option<Builtin> {
        self.builtins.get(child.0 as usize).copied()
    }

    /// The child that this built-in is.
    pub fn child_of(&self, builtin: Builtin) -> Option<ChildId> {
        self.builtins.iter().position(|b| *b == builtin).map(|i| ChildId(i as u32))
    }

    /// All children, built-ins first.
    pub fn children(&self) -> impl ExactSizeIterator<Item = ChildId> + use<> {
        (0..self.tree.children.len() as u32).map(ChildId)
    }

    /// The user's children in the order of the file.
    pub fn users(&self) -> impl Iterator<Item = ChildId> + use<> {
        (self.builtins.len() as u32..self.tree.children.len() as u32).map(ChildId)
    }

    /// The index into [`Plan::programs`]; `None` for a built-in.
    pub fn program(&self, child: ChildId) -> Option<usize> {
        (child.0 as usize).checked_sub(self.builtins.len())
    }

    /// The user's groups, their root first.
    pub fn user_groups(&self) -> impl Iterator<Item = GroupId> + use<> {
        (USER_ROOT.0..self.tree.groups.len() as u32).map(GroupId)
    }

    /// The root of the user's tree.
    pub fn user_root(&self) -> GroupId {
        USER_ROOT
    }

    /// `web`
    pub fn service(&self, child: ChildId) -> &str {
        &self.services[child.0 as usize]
    }

    /// `web#2`
    pub fn instance(&self, child: ChildId) -> &str {
        &self.tree.children[child.0 as usize].name
    }

    /// The policy of a child.
    pub fn policy(&self, child: ChildId) -> &Child {
        &self.tree.children[child.0 as usize]
    }

    /// A group as users write it.
    pub fn group(&self, group: GroupId) -> &str {
        &self.tree.groups[group.0 as usize].name
    }

    /// The longest name that is shown, for aligning columns.
    pub fn width(&self) -> usize {
        self.users().map(|c| self.instance(c).chars().count()).max().unwrap_or(0).max(BUILTIN.len())
    }

    /// What `pattern` names: a service (all its instances), an instance, a glob over both, or `@group`.
    /// Empty when nothing matches. A built-in is meant only by its full name.
    pub fn find(&self, pattern: &str) -> Vec<Node> {
        if let Some(name) = pattern.strip_prefix('@') {
            return self.user_groups().filter(|g| self.group(*g) == name).map(Node::Group).collect();
        }
        let glob = WildMatch::new(pattern);
        let wild = pattern.contains(['*', '?']);
        self.children()
            .filter(|child| {
                let exact = self.service(*child) == pattern || self.instance(*child) == pattern;
                let by_glob = wild
                    && self.builtin(*child).is_none()
                    && (glob.matches(self.service(*child)) || glob.matches(self.instance(*child)));
                exact || by_glob
            })
            .map(Node::Child)
            .collect()
    }

    /// The children that a node covers, in the order of the tree.
    pub fn covered(&self, node: Node) -> Vec<ChildId> {
        let mut found = Vec::new();
        let mut todo = vec![node];
        while let Some(node) = todo.pop() {
            match node {
                Node::Child(child) => found.push(child),
                Node::Group(group) => {
                    todo.extend(self.tree.groups[group.0 as usize].members.iter().rev().copied());
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::spec::{Grace, Restart, Strategy};

    fn roster() -> Roster {
        let child = |name: &str, group: u32| Child {
            name: name.into(),
            group: GroupId(group),
            restart: Restart::Permanent,
            limit: None,
            backoff: Backoff::NONE,
            ready_within: None,
            grace: Grace::Kill,
            stop_signal: 15,
            clean: vec![],
            needs: vec![],
            autostart: true,
            ..Child::default()
        };
        let group = |name: &str, parent: Option<u32>, members: Vec<Node>| Group {
            name: name.into(),
            parent: parent.map(GroupId),
            strategy: Strategy::OneForOne,
            intensity: None,
            on_limit: OnLimit::Escalate,
            otp: false,
            members,
            after: vec![],
            limit: None,
            backoff: Backoff::NONE,
            ..Group::default()
        };
        let mut plan = Plan::default();
        plan.tree.groups.push(group("shop", None, vec![Node::Group(GroupId(1)), Node::Child(ChildId(2))]));
        plan.tree.groups.push(group("app", Some(0), vec![Node::Child(ChildId(0)), Node::Child(ChildId(1))]));
        plan.tree.children = vec![child("web#1", 1), child("web#2", 1), child("worker", 0)];
        for (service, instance) in [("web", "web#1"), ("web", "web#2"), ("worker", "worker")] {
            plan.programs.push(crate::config::plan::Program {
                service: service.into(),
                instance: instance.into(),
                argv: vec!["x".into()],
                ..Default::default()
            });
        }
        Roster::new(&plan, &[Builtin::Logger, Builtin::Keeper])
    }

    fn check(pattern: &str, expected: &[&str]) {
        let roster = roster();
        let mut found = Vec::new();
        for node in roster.find(pattern) {
            found.extend(roster.covered(node).into_iter().map(|c| roster.instance(c).to_owned()));
        }
        assert_eq!(found, expected, "{pattern}");
    }

    #[test]
    fn a_pattern_names_services_instances_globs_and_groups() {
        check("web", &["web#1", "web#2"]);
        check("web#2", &["web#2"]);
        check("w*", &["web#1", "web#2", "worker"]);
        check("web#?", &["web#1", "web#2"]);
        check("@app", &["web#1", "web#2"]);
        check("@shop", &["web#1", "web#2", "worker"]);
        check("nothing", &[]);
        check("", &[]);
    }

    #[test]
    fn a_built_in_is_meant_only_by_its_full_name() {
        check("mainstay.keeper", &["mainstay.keeper"]);
        check("*", &["web#1", "web#2", "worker"]);
        check("@mainstay", &[]);
    }

    #[test]
    fn the_users_root_starts_after_the_built_ins_and_the_unnamed_root_allows_no_restart() {
        let roster = roster();
        let tree = roster.tree();
        assert_eq!(tree.groups[0].intensity, Some(Intensity { max: 0, within: Duration::from_secs(1) }));
        assert_eq!(tree.groups[2].after, vec![Node::Group(GroupId(1))]);
        assert_eq!(tree.groups[3].parent, Some(GroupId(2)));
        assert_eq!(tree.children[2].group, GroupId(3));
        assert_eq!(roster.program(ChildId(1)), None);
        assert_eq!(roster.program(ChildId(2)), Some(0));
    }
}
