//! What the core does not know of its members: which child is which built-in, the names under which events tell
//! of them, what each executes in words. Pure.
//!
//! The core sees one tree: a root without a name over the group `mainstay` (the built-ins) and the
//! user's own root. The user's root is `after` the built-ins, so it starts when the board stands (or
//! when it is known that it does not) and is down before they stop. The unnamed root allows no restart
//! at all: when the user's root escalates, the tree ends; a built-in never escalates.
//!
//! Policies are the core's ([`Supervisor::tree`]), and are not here. Names are in both: the core forgets that of a
//! removed child at once, while events that tell of it are still to be told.

use crate::config::plan::{Condition, Health, Log, Program, Ready};
use crate::supervisor::Supervisor;
use crate::supervisor::spec::{Backoff, Child, ChildId, Group, GroupId, Intensity, Node, OnLimit, Tree};
use crate::time::Duration;
use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::Arc;
use wildmatch::WildMatch;

/// The group of the built-ins, and the prefix of their names.
pub const BUILTIN: &str = "mainstay";

const BUILTIN_GROUP: GroupId = GroupId(1);
/// The root of the user's tree.
pub const USER_ROOT: GroupId = GroupId(2);
/// So many groups are there whatever the user's tree is, and keep their places: the root, the built-ins, the
/// user's root.
pub const FIXED: usize = 3;

/// A built-in service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// Reads every service's output, writes crash records.
    Logger,
    /// The only writer of the board.
    Keeper,
    /// Names of processes: the only writer of the mapped table of names.
    Registry,
    /// Spans and events: out of black boxes, into a file and to a collector.
    Telemetry,
}

impl Builtin {
    /// Those of a tree, in their order. The keeper is there when flags are declared; of the others each tree has all,
    /// though some begin asleep.
    pub fn all(keeper: bool) -> Vec<Builtin> {
        let mut all = vec![Builtin::Logger];
        all.extend(keeper.then_some(Builtin::Keeper));
        all.extend([Builtin::Registry, Builtin::Telemetry]);
        all
    }

    /// Nobody starts it before somebody wants something of it (`asleep.rs`).
    pub fn begins_asleep(self) -> bool {
        match self {
            Builtin::Logger | Builtin::Keeper => false,
            Builtin::Registry | Builtin::Telemetry => true,
        }
    }

    /// `mainstay.keeper`: its name in `status --all` and in `ps`.
    pub fn name(self) -> &'static str {
        match self {
            Builtin::Logger => "mainstay.logger",
            Builtin::Keeper => "mainstay.keeper",
            Builtin::Registry => "mainstay.registry",
            Builtin::Telemetry => "mainstay.telemetry",
        }
    }

    /// The hidden subcommand.
    pub fn subcommand(self) -> &'static str {
        match self {
            Builtin::Logger => "@logger",
            Builtin::Keeper => "@keeper",
            Builtin::Registry => "@registry",
            Builtin::Telemetry => "@telemetry",
        }
    }
}

/// The user's tree with these built-ins beside it, which come first.
pub fn tree(user: &Tree, builtins: &[Builtin]) -> Tree {
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
    let node = |n: &Node| shifted(*n, shift);
    for (index, group) in user.groups.iter().enumerate() {
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
            autostart: !builtin.begins_asleep(),
            ..Child::default()
        });
    }
    for child in &user.children {
        let mut child = child.clone();
        child.group = GroupId(child.group.0 + USER_ROOT.0);
        child.needs = child.needs.iter().map(node).collect();
        tree.children.push(child);
    }
    tree
}

/// A node of a plan's tree as it is called beside so many built-ins.
pub fn shifted(node: Node, builtins: u32) -> Node {
    match node {
        Node::Child(ChildId(c)) => Node::Child(ChildId(c + builtins)),
        Node::Group(GroupId(g)) => Node::Group(GroupId(g + USER_ROOT.0)),
    }
}

/// What is known of one child, from its beginning until its number names another one.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// `web`
    service: Arc<str>,
    /// `web#2`
    instance: Arc<str>,
    /// Where it stands in lists: in the order of the file, what was added later behind.
    rank: u64,
    builtin: Option<Builtin>,
    /// What it executes, shortened for a line.
    pub command: Box<str>,
    /// The same for most instances: they share it.
    traits: Arc<Traits>,
}

/// How an instance is looked after.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traits {
    /// How it reports readiness.
    pub ready: Ready,
    /// How it is asked whether it is healthy.
    pub health: Option<Arc<Health>>,
    /// How often it says that it is alive.
    pub watchdog: Option<Duration>,
    /// Where its output goes.
    pub log: Log,
    /// What must hold for it to be started.
    pub condition: Option<Condition>,
    /// Its lives have black boxes.
    pub blackbox: bool,
}

impl Deref for Entry {
    type Target = Traits;

    fn deref(&self) -> &Traits {
        &self.traits
    }
}

impl Entry {
    /// `web#2`
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// What is known of an instance that executes this.
    pub fn of(program: &Program) -> Entry {
        let instance: Arc<str> = program.instance.as_str().into();
        let service = if program.service == program.instance {
            instance.clone()
        } else {
            program.service.as_str().into()
        };
        Entry {
            service,
            instance,
            rank: 0,
            builtin: None,
            command: line(&program.argv).into(),
            traits: Arc::new(Traits {
                ready: program.ready.clone(),
                health: program.health.clone().map(Arc::new),
                watchdog: program.watchdog,
                log: program.log.clone(),
                condition: program.condition.clone(),
                blackbox: program.blackbox,
            }),
        }
    }

    /// What is known of a built-in.
    pub fn of_builtin(builtin: Builtin) -> Entry {
        let name: Arc<str> = builtin.name().into();
        Entry {
            service: name.clone(),
            instance: name,
            rank: 0,
            builtin: Some(builtin),
            command: builtin.name().into(),
            traits: Arc::new(Traits { ready: Ready::Notify, log: Log::Inherit, ..Traits::default() }),
        }
    }
}

fn line(argv: &[String]) -> String {
    let mut line = String::new();
    for word in argv {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > 200 {
            let cut = (0..=200).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
            line.truncate(cut);
            line.push('…');
            break;
        }
    }
    line
}

/// The instances of a service.
enum Members {
    One(u32),
    /// Boxed, because few services have more than one.
    #[allow(clippy::box_collection)]
    More(Box<BTreeSet<u32>>),
}

/// Everybody's names.
#[derive(Default)]
pub struct Roster {
    builtins: Vec<(Builtin, ChildId)>,
    entries: Vec<Entry>,
    /// Those of the newest entry: the next often has the same.
    newest: Arc<Traits>,
    /// The instances of each service.
    services: HashMap<Arc<str>, Members>,
    /// Names of groups, by number.
    groups: Vec<Box<str>>,
    /// How many were added that the plan does not rank.
    added: u64,
}

/// Ranks from here on are for what was added.
const ADDED: u64 = 1 << 32;

impl Roster {
    /// Knows a child from now on, or knows something else of it. `rank`: its place in the plan, if it has one.
    pub fn put(&mut self, child: ChildId, mut entry: Entry, rank: Option<u64>) {
        let at = child.0 as usize;
        if self.entries.len() <= at {
            self.entries.resize_with(at + 1, Entry::default);
        }
        let before = &self.entries[at];
        let is_new = before.instance != entry.instance;
        entry.rank = match rank {
            Some(rank) => rank,
            None if is_new => {
                self.added += 1;
                ADDED + self.added
            }
            None => before.rank,
        };
        if let Some(service) = self.services.get_key_value(&entry.service) {
            entry.service = service.0.clone();
        }
        match self.services.get_mut(&entry.service) {
            None => drop(self.services.insert(entry.service.clone(), Members::One(child.0))),
            Some(Members::More(all)) => drop(all.insert(child.0)),
            Some(one) => {
                if let Members::One(other) = *one
                    && other != child.0
                {
                    *one = Members::More(Box::new(BTreeSet::from([other, child.0])));
                }
            }
        }
        match self.newest == entry.traits {
            true => entry.traits = self.newest.clone(),
            false => self.newest = entry.traits.clone(),
        }
        if let Some(builtin) = entry.builtin
            && self.child_of(builtin).is_none()
        {
            self.builtins.push((builtin, child));
        }
        self.entries[at] = entry;
    }

    /// A child was removed: no pattern means it any more. Its names stay until [`Roster::forget`].
    pub fn remove(&mut self, child: ChildId) {
        let Some(entry) = self.entries.get(child.0 as usize) else { return };
        let over = match self.services.get_mut(&entry.service) {
            Some(Members::One(one)) => *one == child.0,
            Some(Members::More(all)) => {
                all.remove(&child.0);
                all.is_empty()
            }
            None => false,
        };
        if over {
            self.services.remove(&entry.service);
        }
    }

    /// Nobody speaks of a removed child any more.
    pub fn forget(&mut self, child: ChildId) {
        if let Some(entry) = self.entries.get_mut(child.0 as usize) {
            *entry = Entry::default();
        }
    }

    /// Knows the names of all groups of the core.
    pub fn name_groups(&mut self, core: &Supervisor) {
        for group in core.groups() {
            let at = group.0 as usize;
            if self.groups.len() <= at {
                self.groups.resize_with(at + 1, Box::default);
            }
            self.groups[at] = core.tree().groups[at].name.as_str().into();
        }
    }

    /// What is known of a child.
    pub fn of(&self, child: ChildId) -> &Entry {
        &self.entries[child.0 as usize]
    }

    /// Which built-in this child is.
    pub fn builtin(&self, child: ChildId) -> Option<Builtin> {
        self.entries.get(child.0 as usize).and_then(|entry| entry.builtin)
    }

    /// The child that this built-in is.
    pub fn child_of(&self, builtin: Builtin) -> Option<ChildId> {
        self.builtins.iter().find(|(known, _)| *known == builtin).map(|(_, child)| *child)
    }

    /// `web`
    pub fn service(&self, child: ChildId) -> &str {
        self.entries.get(child.0 as usize).map_or("", |entry| &entry.service)
    }

    /// `web#2`
    pub fn instance(&self, child: ChildId) -> &str {
        self.entries.get(child.0 as usize).map_or("", |entry| &entry.instance)
    }

    /// A group as users write it.
    pub fn group(&self, group: GroupId) -> &str {
        self.groups.get(group.0 as usize).map_or("", |name| name)
    }

    /// The user's children in the order of their ranks.
    pub fn users(&self, core: &Supervisor) -> Vec<ChildId> {
        self.in_order(core.children().filter(|child| self.builtin(*child).is_none()).collect())
    }

    /// All children, the built-ins first.
    pub fn everybody(&self, core: &Supervisor) -> Vec<ChildId> {
        let mut all = self.in_order(core.children().collect());
        all.sort_by_key(|child| self.builtin(*child).is_none());
        all
    }

    fn in_order(&self, mut children: Vec<ChildId>) -> Vec<ChildId> {
        children.sort_by_key(|child| self.of(*child).rank);
        children
    }

    /// The user's groups, their root first.
    pub fn user_groups<'a>(&self, core: &'a Supervisor) -> impl Iterator<Item = GroupId> + use<'a> {
        core.groups().filter(|group| group.0 >= USER_ROOT.0)
    }

    /// The user's group of this name.
    pub fn group_named(&self, core: &Supervisor, name: &str) -> Option<GroupId> {
        self.user_groups(core).find(|group| self.group(*group) == name)
    }

    /// The longest name that is shown, for aligning columns.
    pub fn width(&self, core: &Supervisor) -> usize {
        let users = core.children().filter(|child| self.builtin(*child).is_none());
        users.map(|c| self.instance(c).chars().count()).max().unwrap_or(0).max(BUILTIN.len())
    }

    /// The instances of a service, in no order that means anything.
    pub fn instances(&self, service: &str) -> Vec<ChildId> {
        match self.services.get(service) {
            None => Vec::new(),
            Some(Members::One(one)) => vec![ChildId(*one)],
            Some(Members::More(all)) => all.iter().copied().map(ChildId).collect(),
        }
    }

    /// What `pattern` names: a service (all its instances), an instance, a glob over both, or `@group`.
    /// Empty when nothing matches. A built-in is meant only by its full name. Looks at everybody only for a glob.
    pub fn find(&self, core: &Supervisor, pattern: &str) -> Vec<Node> {
        if let Some(name) = pattern.strip_prefix('@') {
            return self.group_named(core, name).into_iter().map(Node::Group).collect();
        }
        let mut found = BTreeSet::new();
        found.extend(core.child_named(pattern).map(|child| child.0));
        match self.services.get(pattern) {
            None => {}
            Some(Members::One(one)) => drop(found.insert(*one)),
            Some(Members::More(all)) => found.extend(all.iter()),
        }
        if pattern.contains(['*', '?']) {
            let glob = WildMatch::new(pattern);
            let matches = |child: &ChildId| {
                self.builtin(*child).is_none()
                    && (glob.matches(self.service(*child)) || glob.matches(self.instance(*child)))
            };
            found.extend(core.children().filter(matches).map(|child| child.0));
        }
        let found = found.into_iter().map(ChildId).filter(|child| core.is_child(*child)).collect();
        self.in_order(found).into_iter().map(Node::Child).collect()
    }

    /// The children that a node covers, in the order of the tree.
    pub fn covered(&self, core: &Supervisor, node: Node) -> Vec<ChildId> {
        let mut found = Vec::new();
        let mut todo = vec![node];
        while let Some(node) = todo.pop() {
            match node {
                Node::Child(child) => found.push(child),
                Node::Group(group) => todo.extend(core.members(group).rev()),
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::Plan;
    use crate::supervisor::spec::Incarnation;

    fn plan() -> Plan {
        let child =
            |name: &str, group: u32| Child { name: name.into(), group: GroupId(group), ..Child::default() };
        let group = |name: &str, parent: Option<u32>, members: Vec<Node>| Group {
            name: name.into(),
            parent: parent.map(GroupId),
            members,
            ..Group::default()
        };
        let mut plan = Plan::default();
        plan.tree.groups.push(group("shop", None, vec![Node::Group(GroupId(1)), Node::Child(ChildId(2))]));
        plan.tree.groups.push(group("app", Some(0), vec![Node::Child(ChildId(0)), Node::Child(ChildId(1))]));
        plan.tree.children = vec![child("web#1", 1), child("web#2", 1), child("worker", 0)];
        for (service, instance) in [("web", "web#1"), ("web", "web#2"), ("worker", "worker")] {
            plan.programs.push(Program {
                service: service.into(),
                instance: instance.into(),
                argv: vec!["x".into()],
                ..Program::default()
            });
        }
        plan
    }

    fn roster() -> (Roster, Supervisor) {
        let plan = plan();
        let builtins = [Builtin::Logger, Builtin::Keeper];
        let core = Supervisor::new(tree(&plan.tree, &builtins), 1, Incarnation(1));
        let mut roster = Roster::default();
        for (at, builtin) in builtins.into_iter().enumerate() {
            roster.put(ChildId(at as u32), Entry::of_builtin(builtin), None);
        }
        for (at, program) in plan.programs.iter().enumerate() {
            roster.put(ChildId(at as u32 + 2), Entry::of(program), None);
        }
        roster.name_groups(&core);
        (roster, core)
    }

    fn names((roster, core): &(Roster, Supervisor), pattern: &str) -> Vec<String> {
        let nodes = roster.find(core, pattern).into_iter();
        let covered = nodes.flat_map(|node| roster.covered(core, node));
        covered.map(|child| roster.instance(child).to_owned()).collect()
    }

    fn check(pattern: &str, expected: &[&str]) {
        assert_eq!(names(&roster(), pattern), expected, "{pattern}");
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
    fn a_removed_child_is_meant_by_nobody_and_keeps_its_names_until_it_is_forgotten() {
        let (mut roster, core) = roster();
        let web = core.child_named("web#1").unwrap();
        roster.remove(web);
        assert_eq!(names(&(roster, core), "web"), ["web#2"]);
        let (mut roster, _) = self::roster();
        roster.remove(web);
        assert_eq!(roster.instance(web), "web#1");
        roster.forget(web);
        assert_eq!(roster.instance(web), "");
    }

    #[test]
    fn the_users_root_starts_after_the_built_ins_and_the_unnamed_root_allows_no_restart() {
        let tree = tree(&plan().tree, &[Builtin::Logger, Builtin::Keeper]);
        assert_eq!(tree.groups[0].intensity, Some(Intensity { max: 0, within: Duration::from_secs(1) }));
        assert_eq!(tree.groups[2].after, vec![Node::Group(GroupId(1))]);
        assert_eq!(tree.groups[3].parent, Some(GroupId(2)));
        assert_eq!(tree.children[2].group, GroupId(3));
    }
}
