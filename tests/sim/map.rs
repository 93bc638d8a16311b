//! The tree as the judge knows it: built from what was asked of the core, never from what the core says about
//! itself.
//!
//! Invariant: `tree.groups[..].members` are current, and `needs` and `after` hold what can be met; what was
//! wished for, circles included, is kept beside, because a reload decides anew.

use mainstay::supervisor::circles;
use mainstay::supervisor::spec::{Child, ChildId, Group, GroupId, Node, Strategy, Tree};

#[derive(Clone)]
pub(crate) struct Map {
    /// Policies by number. A number that names nobody has a default one.
    pub(crate) tree: Tree,
    /// Which numbers name a child.
    pub(crate) children: Vec<bool>,
    /// Which numbers name a group.
    pub(crate) groups: Vec<bool>,
    /// What each child was said to need.
    wishes: Vec<Vec<Node>>,
    /// What each group was said to come after.
    later: Vec<Vec<Node>>,
}

pub(crate) fn child(at: usize) -> Node {
    Node::Child(ChildId(at as u32))
}

pub(crate) fn group(at: usize) -> Node {
    Node::Group(GroupId(at as u32))
}

impl Map {
    pub(crate) fn new(tree: Tree) -> Map {
        let mut map = Map {
            children: vec![true; tree.children.len()],
            groups: vec![true; tree.groups.len()],
            wishes: Vec::new(),
            later: Vec::new(),
            tree,
        };
        map.wish();
        map
    }

    /// What is in the tree now was wished for; what closes a circle is left out.
    pub(crate) fn wish(&mut self) {
        self.wishes = self.tree.children.iter().map(|child| child.needs.clone()).collect();
        self.later = self.tree.groups.iter().map(|group| group.after.clone()).collect();
        for (who, what) in circles(&self.tree) {
            match who {
                Node::Child(child) => self.tree.children[child.0 as usize].needs.retain(|need| *need != what),
                Node::Group(group) => self.tree.groups[group.0 as usize].after.retain(|need| *need != what),
            }
        }
    }

    /// Puts back what was wished for, so that [`Map::wish`] can decide anew.
    pub(crate) fn unwish(&mut self) {
        for (child, wishes) in self.tree.children.iter_mut().zip(&self.wishes) {
            child.needs.clone_from(wishes);
        }
        for (group, later) in self.tree.groups.iter_mut().zip(&self.later) {
            group.after.clone_from(later);
        }
    }

    /// Makes room for the number.
    pub(crate) fn reserve_child(&mut self, at: usize) {
        while self.tree.children.len() <= at {
            self.tree.children.push(Child::default());
            self.wishes.push(Vec::new());
            self.children.push(false);
        }
    }

    pub(crate) fn reserve_group(&mut self, at: usize) {
        while self.tree.groups.len() <= at {
            self.tree.groups.push(Group { parent: Some(GroupId::ROOT), ..Group::default() });
            self.later.push(Vec::new());
            self.groups.push(false);
        }
    }

    /// The newest member of its group. `lists`: the members of each group when it begins anew, before all others: who
    /// left it is needed, and waits, again then.
    pub(crate) fn add(&mut self, at: usize, mut policy: Child, lists: &[Vec<Node>]) {
        self.reserve_child(at);
        let wishes = std::mem::take(&mut policy.needs);
        self.tree.groups[policy.group.0 as usize].members.push(child(at));
        self.tree.children[at] = policy;
        self.children[at] = true;
        let mut later = self.tree.clone();
        for (group, list) in later.groups.iter_mut().zip(lists) {
            let others: Vec<Node> =
                group.members.iter().filter(|node| !list.contains(node)).copied().collect();
            group.members = list.iter().chain(&others).copied().collect();
        }
        for wish in &wishes {
            later.children[at].needs.push(*wish);
            if !circles(&later).is_empty() {
                later.children[at].needs.pop();
            }
        }
        self.tree.children[at].needs = std::mem::take(&mut later.children[at].needs);
        self.wishes[at] = wishes;
    }

    /// Nobody has this number any more.
    pub(crate) fn remove(&mut self, node: Node) {
        for needs in self.tree.children.iter_mut().map(|child| &mut child.needs).chain(&mut self.wishes) {
            needs.retain(|need| *need != node);
        }
        for after in self.tree.groups.iter_mut().map(|group| &mut group.after).chain(&mut self.later) {
            after.retain(|earlier| *earlier != node);
        }
        for group in &mut self.tree.groups {
            group.members.retain(|member| *member != node);
        }
        match node {
            Node::Child(child) => {
                self.children[child.0 as usize] = false;
                self.tree.children[child.0 as usize] = Child::default();
            }
            Node::Group(group) => {
                self.groups[group.0 as usize] = false;
                self.tree.groups[group.0 as usize] =
                    Group { parent: Some(GroupId::ROOT), ..Group::default() };
            }
        }
    }

    /// It is no member of its group for a while.
    pub(crate) fn leave(&mut self, node: Node) {
        if let Some(parent) = self.parent(node) {
            self.tree.groups[parent].members.retain(|member| *member != node);
        }
        self.set_there(node, false);
    }

    pub(crate) fn set_there(&mut self, node: Node, there: bool) {
        match node {
            Node::Child(child) => self.children[child.0 as usize] = there,
            Node::Group(group) => self.groups[group.0 as usize] = there,
        }
    }

    pub(crate) fn is_there(&self, node: Node) -> bool {
        match node {
            Node::Child(child) => self.children.get(child.0 as usize) == Some(&true),
            Node::Group(group) => self.groups.get(group.0 as usize) == Some(&true),
        }
    }

    /// The numbers that name children.
    pub(crate) fn living(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.children.len()).filter(|child| self.children[*child])
    }

    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.living().find(|child| self.tree.children[*child].name == name)
    }

    pub(crate) fn parent(&self, node: Node) -> Option<usize> {
        if !self.is_there(node) {
            return None;
        }
        let parent = match node {
            Node::Child(child) => Some(self.tree.children[child.0 as usize].group),
            Node::Group(group) => self.tree.groups[group.0 as usize].parent,
        };
        parent.map(|group| group.0 as usize)
    }

    /// The groups around `node`, innermost first, each with the position of the member that it is in.
    pub(crate) fn chain(&self, node: Node) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut node = node;
        std::iter::from_fn(move || {
            let parent = self.parent(node)?;
            let position = self.tree.groups[parent].members.iter().position(|member| *member == node)?;
            node = group(parent);
            Some((parent, position))
        })
    }

    /// The groups around `node`, innermost first; it is the first when it is one.
    pub(crate) fn around(&self, node: Node) -> Vec<usize> {
        let itself = match node {
            Node::Group(group) => Some(group.0 as usize),
            Node::Child(_) => None,
        };
        itself.into_iter().chain(self.chain(node).map(|(group, _)| group)).collect()
    }

    /// Whether it is in the tree: no group around it has left.
    pub(crate) fn is_attached(&self, at: usize) -> bool {
        self.children[at] && self.is_in_tree(self.tree.children[at].group.0 as usize)
    }

    /// Whether no group around `at` has left, nor it.
    pub(crate) fn is_in_tree(&self, at: usize) -> bool {
        let top = self.around(group(at)).last().copied().unwrap_or(at);
        self.groups[top] && self.tree.groups[top].parent.is_none()
    }

    pub(crate) fn is_below(&self, at: usize, node: Node) -> bool {
        match node {
            Node::Child(other) => other.0 as usize == at,
            Node::Group(group) => self.chain(child(at)).any(|(of, _)| of == group.0 as usize),
        }
    }

    /// The children below `node`, itself when it is one.
    pub(crate) fn below(&self, node: Node) -> Vec<usize> {
        let mut found = Vec::new();
        let mut todo = vec![node];
        while let Some(node) = todo.pop() {
            match node {
                Node::Child(child) => found.push(child.0 as usize),
                Node::Group(group) => todo.extend(&self.tree.groups[group.0 as usize].members),
            }
        }
        found
    }

    /// `group` and the groups in it.
    pub(crate) fn inner(&self, group: usize) -> Vec<usize> {
        let mut found = vec![group];
        let mut at = 0;
        while let Some(group) = found.get(at) {
            let members = &self.tree.groups[*group].members;
            let groups = members.iter().filter_map(|member| match member {
                Node::Group(group) => Some(group.0 as usize),
                Node::Child(_) => None,
            });
            found.extend(groups.collect::<Vec<_>>());
            at += 1;
        }
        found
    }

    /// The children that start when `node` is wanted up: those below it, what they need, and so on.
    pub(crate) fn closure(&self, node: Node) -> (Vec<usize>, Vec<Node>) {
        let (mut children, mut nodes, mut at) = (Vec::new(), vec![node], 0);
        while let Some(node) = nodes.get(at).copied() {
            for child in self.below(node) {
                if !children.contains(&child) {
                    children.push(child);
                }
                for need in &self.tree.children[child].needs {
                    let here = match need {
                        Node::Child(child) => self.is_attached(child.0 as usize),
                        Node::Group(group) => self.is_in_tree(group.0 as usize),
                    };
                    if here && !nodes.contains(need) {
                        nodes.push(*need);
                    }
                }
            }
            at += 1;
        }
        (children, nodes)
    }

    /// Whether its members start one after the other and stop in reverse.
    pub(crate) fn is_ordered(&self, group: usize) -> bool {
        let policy = &self.tree.groups[group];
        policy.pool.is_none() && (policy.otp || policy.strategy == Strategy::RestForOne)
    }

    /// Whether `child` obeys OTP.
    pub(crate) fn is_otp(&self, child: usize) -> bool {
        self.tree.groups[self.tree.children[child].group.0 as usize].otp
    }

    /// Whether `who` must be gone before `whom` is stopped, when both go down.
    pub(crate) fn depends(&self, who: usize, whom: usize) -> bool {
        let concerns = |need: &Node| self.is_below(whom, *need);
        if self.tree.children[who].needs.iter().any(concerns) {
            return true;
        }
        self.chain(child(who)).any(|(group, position)| {
            let earlier = || self.chain(child(whom)).any(|(of, at)| of == group && at < position);
            self.tree.groups[group].after.iter().any(concerns) || (self.is_ordered(group) && earlier())
        })
    }

    /// The tree in a line for each group and child, for whoever reads a failure.
    pub(crate) fn picture(&self) -> String {
        let short = |node: &Node| match node {
            Node::Child(child) => format!("c{}", child.0),
            Node::Group(group) => format!("g{}", group.0),
        };
        let all = |nodes: &[Node]| nodes.iter().map(short).collect::<Vec<_>>().join(" ");
        let mut lines = Vec::new();
        for at in (0..self.groups.len()).filter(|at| self.groups[*at]) {
            let group = &self.tree.groups[at];
            let (strategy, restart, auto) = (group.strategy, group.restart, group.auto_shutdown);
            let (otp, pool) = (if group.otp { " otp" } else { "" }, group.pool);
            let significant = if group.significant { " significant" } else { "" };
            let (intensity, limit) = (group.intensity, group.limit);
            let (members, after) = (all(&group.members), all(&group.after));
            lines.push(format!(
                "g{at} {:?} {strategy:?}{otp} {restart:?}{significant} {auto:?} {:?} pool {pool:?} \
                 intensity {intensity:?} limit {limit:?} backoff {:?}: [{members}] after [{after}]",
                group.name, group.on_limit, group.backoff
            ));
        }
        for at in self.living() {
            let child = &self.tree.children[at];
            let significant = if child.significant { " significant" } else { "" };
            let added = if child.added { " added" } else { "" };
            lines.push(format!(
                "c{at} {:?} in g{} {:?}{significant}{added} autostart {} limit {:?} ready {:?} grace {:?} \
                 ignore {:?} needs [{}]",
                child.name,
                child.group.0,
                child.restart,
                child.autostart,
                child.limit,
                child.ready_within,
                child.grace,
                child.ignore,
                all(&child.needs)
            ));
        }
        lines.join("\n")
    }
}
