//! Another tree in place of this one, while it runs (OTP N).
//!
//! Children and groups are the same when their names are. What stays keeps its number, its process, its
//! windows and its waits; a new policy is in force at once and moves nothing that runs. All or nothing: a
//! tree with a flaw changes nothing (N02).
//!
//! How: the new policies are put in place, then everything that follows from them (who is whose member, who
//! waits for whom, every count) is computed from scratch, as at the beginning.

use super::change::Flaw;
use super::facts::Facts;
use super::flaws::flaws;
use super::group::{self, Then};
use super::positions::Positions;
use super::service::{Goal, Phase, Rest};
use super::shape::{self, GROUP, Shape};
use super::spec::{ChildId, GroupId, Node, Restart, Tree};
use super::standing::Standing;
use super::{Action, Supervisor, strategy};
use crate::time::Instant;
use std::collections::{HashMap, HashSet};

/// What shall be.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    /// The new tree.
    pub tree: Tree,
    /// So many groups at the beginning are the same as those of the old tree, whatever their names; at least the
    /// root.
    pub fixed: usize,
    /// Children (of the new tree) that are restarted if they run: what they execute has changed.
    pub restart: Vec<ChildId>,
    /// At most so many of them are away at a time.
    pub at_once: u32,
    /// OTP's rule: what is new is not started (N03), what is missing is kept (N05), nothing is restarted
    /// (N04). It holds in any case for members of groups with OTP semantics.
    pub otp_rule: bool,
}

/// The numbers that the new tree's nodes have from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// By the index in the new tree.
    pub children: Vec<ChildId>,
    /// By the index in the new tree.
    pub groups: Vec<GroupId>,
    /// The rolling restart of those whose execution has changed, when there are any.
    pub roll: Option<u32>,
}

impl Supervisor {
    /// Puts another tree in place of this one, as of `now`. What follows is appended to `actions`.
    ///
    /// # Errors
    /// The new tree's flaws, and nothing was changed. Empty when everything goes down already.
    pub fn reload(
        &mut self,
        now: Instant,
        revision: Revision,
        actions: &mut Vec<Action>,
    ) -> Result<Reloaded, Vec<(Node, Flaw)>> {
        if self.ending.is_some() || self.ended {
            return Err(Vec::new());
        }
        let flaws = flaws(&revision.tree);
        if !flaws.is_empty() {
            return Err(flaws);
        }
        Ok(self.turn(now, actions, |supervisor| supervisor.replace(revision)))
    }

    fn replace(&mut self, revision: Revision) -> Reloaded {
        let woken = self.wake_all();
        let lines = self.lines();
        let before = self.current_members(&woken);
        let mut new = self.number(&revision);
        let restart = revision.restart.iter().map(|child| new.children[child.0 as usize]);
        let restart: Vec<ChildId> = restart.filter(|child| self.is_restarted(*child, &revision)).collect();
        self.put_in_place(revision, &new);
        let asleep = self.doom_the_rest(&new, &before, &woken);
        self.take_places(&new, before, &woken);
        self.line_up_again(lines);
        self.count_from_scratch();
        self.leave_lines();
        self.stay_behind();
        self.wait_again();
        for node in asleep {
            match self.shape.as_group(node) {
                Some(group) => self.let_group_leave(group),
                None => self.let_leave(node),
            }
        }
        for child in 0..self.services.len() {
            if !self.services[child].vacant {
                self.touch(child);
            }
        }
        self.remove_what_is_down();
        self.told_all_up = false;
        if !restart.is_empty() {
            new.roll = Some(self.begin_roll(restart, new.at_once));
        }
        Reloaded { children: new.children, groups: new.groups, roll: new.roll }
    }

    /// Who stands in line in each group.
    fn lines(&self) -> Vec<(usize, Vec<usize>)> {
        let of = |group: usize| {
            let line = &self.groups[group].line;
            let members = self.shape.members(group);
            members.filter(|node| line.contains(self.shape.position(*node))).collect()
        };
        (0..self.groups.len()).map(|group| (group, of(group))).collect()
    }

    /// Whoever had left stands where the list of its group has it: so the next life of that begins, if it is kept.
    fn current_members(&self, woken: &HashSet<usize>) -> Vec<Vec<usize>> {
        let of = |group: usize| {
            let list = &self.groups[group].list;
            match list.iter().any(|node| woken.contains(&(*node as usize))) {
                true => self.members_by_list(group),
                false => self.shape.members(group).collect(),
            }
        };
        (0..self.groups.len()).map(of).collect()
    }

    /// Gives each node of the new tree its number: the old one of the same name, or a new one.
    fn number(&mut self, revision: &Revision) -> New {
        let fixed = revision.fixed.max(1);
        let mut named: HashMap<&str, usize> = HashMap::new();
        for group in 0..self.groups.len() {
            if self.shape.node(Node::Group(GroupId(group as u32))).is_some() {
                named.insert(&self.tree.groups[group].name, group);
            }
        }
        let policies = revision.tree.groups.iter().enumerate();
        let known = policies.map(|(at, policy)| match at < fixed {
            true => Some(at),
            false => named.get(policy.name.as_str()).copied(),
        });
        let known: Vec<Option<usize>> = known.collect();
        let mut new = New { at_once: revision.at_once, ..New::default() };
        for group in known {
            let group = group.unwrap_or_else(|| self.make_group());
            new.groups.push(GroupId(group as u32));
        }
        for policy in &revision.tree.children {
            let child = match self.names.get(policy.name.as_str()) {
                Some(child) => *child as usize,
                None => {
                    let child = self.make_child(policy.clone());
                    new.made.insert(child);
                    child
                }
            };
            new.children.push(ChildId(child as u32));
        }
        new
    }

    /// Whether a child whose execution changed is restarted: it runs, and OTP's rule does not hold for it.
    fn is_restarted(&self, child: ChildId, revision: &Revision) -> bool {
        let otp = self.shape.parent(child.0 as usize).is_some_and(|group| self.tree.groups[group].otp);
        self.is_alive(child.0 as usize) && !revision.otp_rule && !otp
    }

    /// The new policies, in the numbers that hold here.
    fn put_in_place(&mut self, revision: Revision, new: &New) {
        let here = |node: &Node| match *node {
            Node::Child(child) => Node::Child(new.children[child.0 as usize]),
            Node::Group(group) => Node::Group(new.groups[group.0 as usize]),
        };
        for (at, mut policy) in revision.tree.groups.into_iter().enumerate() {
            policy.parent = policy.parent.map(|parent| new.groups[parent.0 as usize]);
            policy.members = policy.members.iter().map(here).collect();
            policy.after = policy.after.iter().map(here).collect();
            let group = new.groups[at].0 as usize;
            let known = self.shape.node(Node::Group(GroupId(group as u32)));
            if known.and_then(|node| self.shape.parent(node)) != policy.parent.map(|parent| parent.0 as usize)
            {
                (self.nodes[group | GROUP].held, self.nodes[group | GROUP].behind) = (false, false);
            }
            self.groups[group].doomed = false;
            if policy.whole_seconds && !self.tree.groups[group].whole_seconds {
                self.groups[group].window.count_whole_seconds();
            }
            self.tree.groups[group] = policy;
        }
        for (at, mut policy) in revision.tree.children.into_iter().enumerate() {
            policy.group = new.groups[policy.group.0 as usize];
            policy.needs = policy.needs.iter().map(here).collect();
            let child = new.children[at].0 as usize;
            let semantics = self.tree.groups[policy.group.0 as usize].otp;
            let otp = revision.otp_rule || semantics;
            let moved = self.shape.parent(child) != Some(policy.group.0 as usize);
            self.tree.children[child] = self.policies.keep(policy);
            self.services[child].kept = false;
            let up = self.tree.children[child].autostart && !otp;
            if new.made.contains(&child) {
                self.services[child].goal = if up { Goal::Up } else { Goal::Down };
            } else if std::mem::replace(&mut self.services[child].doomed, false) && up {
                self.services[child].goal = Goal::Up;
            }
            let dropped = self.is_dropped(child);
            let service = &mut self.services[child];
            if dropped && !(semantics && self.tree.children[child].restart == Restart::Temporary) {
                // It falls as a bystander that would not have come back (E09), and is none any more.
                service.goal = Goal::Up;
            }
            if self.services[child].goal == Goal::Down && !self.services[child].phase.alive() {
                self.services[child].phase = Phase::Idle(Rest::Stopped);
                self.services[child].tried = true;
            }
            if moved {
                self.nodes[child].held = false;
            }
            self.nodes[child].behind &= !moved;
        }
        self.otp_rule = revision.otp_rule;
    }

    /// Whether it runs and will not again when the fall that takes it down is over.
    fn is_dropped(&self, child: usize) -> bool {
        let service = &self.services[child];
        let runs = service.phase.alive() && !matches!(service.phase, Phase::Clearing { .. });
        runs && service.goal == Goal::Done { clean: false } && self.nodes[child].held
    }

    /// What the new tree does not have goes, unless OTP's rule keeps it. Who was added by hand, or kept before, stays as
    /// long as its group does.
    ///
    /// Those that had left, and whose group is kept as it was, leave again: who they are.
    fn doom_the_rest(&mut self, new: &New, before: &[Vec<usize>], woken: &HashSet<usize>) -> Vec<usize> {
        let mut asleep = Vec::new();
        let known: HashSet<usize> = new.nodes().collect();
        // From the top down: a group that goes takes all its members along.
        let mut todo: Vec<usize> = self.shape.tops.iter().map(|top| *top as usize).collect();
        while let Some(group) = todo.pop() {
            // A group that is down begins its next life with the new list.
            let idle = !self.is_alive(group | GROUP) && self.group_standing(group) != Standing::Running;
            let goes = self.groups[group].doomed || (idle && known.contains(&(group | GROUP)));
            let otp = self.otp_rule || self.tree.groups[group].otp;
            for node in &before[group] {
                let node = *node;
                let woke = woken.contains(&node);
                if woke && !goes && !known.contains(&(group | GROUP)) && !known.contains(&node) {
                    asleep.push(node);
                    continue;
                }
                let goes = goes || woke;
                if let Some(inner) = self.shape.as_group(node) {
                    self.groups[inner].doomed |= !known.contains(&node) && (goes || !otp);
                    self.groups[inner].kept = !known.contains(&node);
                    todo.push(inner);
                } else if !known.contains(&node) && (goes || !(otp || self.is_extra(node))) {
                    self.services[node].doomed = true;
                    self.services[node].goal = Goal::Down;
                } else if !known.contains(&node) && known.contains(&(group | GROUP)) {
                    // Kept as long as its group lives: the next life begins with the new list (L02).
                    self.services[node].kept = !self.tree.children[node].added;
                }
            }
        }
        asleep
    }

    /// Members in the order of the new tree, then those that are kept, in the order they had (N06).
    fn take_places(&mut self, new: &New, before: Vec<Vec<usize>>, woken: &HashSet<usize>) {
        let known: HashSet<usize> = new.nodes().collect();
        for (group, members) in before.into_iter().enumerate() {
            let kept = members.into_iter().filter(|node| !known.contains(node)).map(shape::name);
            if known.contains(&(group | GROUP)) {
                self.tree.groups[group].members.extend(kept);
            } else {
                self.tree.groups[group].members = kept.collect();
            }
        }
        let there: HashSet<Node> =
            self.tree.groups.iter().flat_map(|group| &group.members).copied().collect();
        let stays = |node: &Node| there.contains(node) || is_top(*node, &self.shape);
        for child in &mut self.tree.children {
            child.needs.retain(stays);
        }
        for group in &mut self.tree.groups {
            group.after.retain(stays);
        }
        self.shape = Shape::new(&self.tree.groups, &super::needs(&self.tree));
        self.make_lists();
        // Asked for in the shape from now on.
        for group in &mut self.tree.groups {
            group.members = Vec::new();
        }
        let groups = (0..self.groups.len()).map(|group| group | GROUP);
        for node in (0..self.services.len()).chain(groups) {
            let Some(group) = self.shape.parent(node) else { continue };
            // It goes the way of the group that it is in now.
            match self.groups[group].phase {
                group::Phase::Closed(_)
                | group::Phase::BackingOff { fresh: true, .. }
                | group::Phase::Falling { then: Then::End(_) | Then::Park, .. } => {
                    self.nodes[node].held = true;
                }
                group::Phase::Open => self.nodes[node].held = false,
                group::Phase::Falling { .. } | group::Phase::BackingOff { .. } => {
                    self.nodes[node].held |= new.made.contains(&node) || woken.contains(&node);
                }
            }
        }
        for child in (0..self.services.len()).filter(|child| self.services[*child].goal != Goal::Down) {
            // A group that was stopped is there again when somebody in it starts, or was moved into it: also one that
            // gave up or has done its work, for that may start without a word to the group.
            self.shape.above(child).for_each(|group| self.groups[group].stopped = false);
        }
        for child in 0..self.services.len() {
            // Whoever is in a group whose work is done has nothing to do.
            let done = group::Phase::Closed(group::Why::Finished);
            let mut above = self.shape.above(child);
            if self.services[child].goal == Goal::Up && above.any(|group| self.groups[group].phase == done) {
                self.services[child].goal = Goal::Done { clean: true };
            }
        }
    }

    fn line_up_again(&mut self, lines: Vec<(usize, Vec<usize>)>) {
        for group in 0..self.groups.len() {
            let ordered = self.shape.ordered(group);
            let room = if ordered { self.shape.positions(group) } else { 0 };
            self.groups[group].line = Positions::new(room);
            self.groups[group].leaving = Positions::new(room);
        }
        for (group, nodes) in lines {
            let stay = |node: &usize| self.shape.ordered(group) && self.shape.parent(*node) == Some(group);
            for node in nodes.into_iter().filter(stay).collect::<Vec<_>>() {
                let position = self.shape.position(node);
                self.groups[group].line.insert(position);
            }
        }
    }

    /// Nobody stands in line who has no reason to: who is as good as it gets, or was moved away with all that was
    /// missing of it, would hold up everybody behind it.
    fn leave_lines(&mut self) {
        for group in 0..self.groups.len() {
            let line = &self.groups[group].line;
            let pending = |node: &usize| self.nodes[*node].facts.has(Facts::PENDING);
            let members = self.shape.members(group).filter(|node| !pending(node));
            let places: Vec<usize> = members.map(|node| self.shape.position(node)).collect();
            let left = places.into_iter().filter(|place| line.contains(*place)).collect::<Vec<_>>();
            for place in left {
                self.groups[group].line.remove(place);
            }
            if self.shape.ordered(group) {
                self.call_next(group);
            }
        }
    }

    /// A group that was moved out of one that held it down goes on with its own wait, which may be over since.
    fn wait_again(&mut self) {
        for group in 0..self.groups.len() {
            if let group::Phase::BackingOff { until, .. } = self.groups[group].phase {
                self.deadlines.set(group | GROUP, Some(until));
            }
        }
    }

    /// Who waits behind a member whose restart failed does so only as long as that is before it and will take it along.
    /// Else, under OTP semantics, it stays down as if the loop had been broken (J02), for a reload starts nobody (N03).
    fn stay_behind(&mut self) {
        for group in 0..self.groups.len() {
            let policy = &self.tree.groups[group];
            let (otp, strategy) = (policy.otp, policy.strategy);
            let mut tried_again = false;
            for position in 0..self.shape.positions(group) {
                let Some(member) = self.shape.member(group, position) else { continue };
                let waits = otp && tried_again && strategy::falls_from(strategy, position).is_some();
                if self.nodes[member].behind && !waits {
                    self.fall_back(member, otp);
                }
                tried_again |= self.nodes[member].retry.is_some();
            }
        }
    }

    fn fall_back(&mut self, member: usize, otp: bool) {
        self.nodes[member].behind = false;
        match self.shape.as_group(member) {
            Some(inner) if otp => self.lay_down(inner),
            None if otp => self.stay_down(member),
            _ => self.refresh_below(member),
        }
        if let Some(inner) = self.shape.as_group(member) {
            self.refresh_group(inner);
        }
    }

    fn remove_what_is_down(&mut self) {
        for child in 0..self.services.len() {
            if self.services[child].doomed && !self.nodes[child].facts.has(Facts::ALIVE) {
                self.remove_child(child);
            }
        }
        for group in (0..self.groups.len()).rev() {
            if self.shape.node(Node::Group(GroupId(group as u32))).is_some() {
                self.remove_if_empty(group);
            }
        }
    }
}

fn is_top(node: Node, shape: &Shape) -> bool {
    matches!(node, Node::Group(group) if shape.tops.contains(&group.0))
}

/// The numbers of the new tree's nodes.
#[derive(Default)]
struct New {
    children: Vec<ChildId>,
    groups: Vec<GroupId>,
    /// Children that were not there before.
    made: HashSet<usize>,
    at_once: u32,
    roll: Option<u32>,
}

impl New {
    fn nodes(&self) -> impl Iterator<Item = usize> {
        let children = self.children.iter().map(|child| child.0 as usize);
        children.chain(self.groups.iter().map(|group| group.0 as usize | GROUP))
    }
}
