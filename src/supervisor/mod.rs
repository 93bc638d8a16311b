//! The core: a tree of groups and services as a state machine. Pure: (state, now, event) → actions.
//!
//! Read [`Event`] and [`Action`] first. Then, inside:
//!
//! 1. `service`, `group`: what one instance and one group can be doing, as tables.
//! 2. `exit`: a life ended. Does it count, is a limit reached, who falls with it?
//! 3. `fall`: members go down together, and what follows when they are down.
//! 4. `settle`: brings each instance one step nearer to what is wanted, when it is its turn.
//! 5. `command`: what operators want; `fresh`: a cause was taken away. `facts`: what is counted, so that nobody ever
//!    scans. `kept`: policies, each once.
//! 6. `change`: OTP's administrative calls; `reload`: another tree in place of this one; `members`: how a
//!    member comes and goes; `numbers`: how its number is given again. `roll`: a few at a time. `standing`: what can be asked.
//!
//! An event changes what is wanted or what is; whoever may be concerned goes on a work-list; settling
//! empties it. So each rule is written once, as a condition on the present ("may this one start now?"), and
//! not once for each way to get there.
//!
//! Invariants, asserted at each step of `tests/sim`: one life of an instance at a time; no start while
//! anything of the last life is left (S3); no signal to a past or absent life (S4); incarnations rise; after a
//! shutdown nothing starts; exactly one [`Action::End`].
//!
//! It must not: make a system call, read a clock, know a pid, a file or a thread, or log.
//!
//! # Decisions
//!
//! - A need is met by a child that is up (ready, when it declares that) or finished cleanly; by a group whose
//!   wanted members all are so, if at least one is. It is asked for at a start only: whoever runs goes on
//!   running when what it needs dies.
//! - Starting something also starts what it needs, also what gave up: who asks for `web` wants its
//!   database tried again.
//! - An instance or group that gave up stays down, also when its group restarts, until somebody starts it.
//! - A group restart starts again whoever finished; whoever was stopped by command only under OTP semantics
//!   (L02). Temporary members are not started again by a strategy under OTP semantics (E09).
//! - Who is stopped while a group takes it down, to start it again, stays down when that is over (C24).
//! - A start that failed is tried again at the next [`Event::Deadline`], never in the same turn (J06): requests come in
//!   between, and a start that fails at once cannot spin.
//! - The death of a process that had not become ready counts by its cause, except under OTP semantics,
//!   where it is a failed start whatever the cause.
//! - A group without parent beside the root is allowed: the built-ins'. It ends with the root.

mod action;
mod backoff;
mod change;
mod circle;
mod command;
mod deadlines;
mod event;
mod exit;
mod facts;
mod fall;
mod flaws;
mod fresh;
mod group;
mod intensity;
mod kept;
mod members;
mod numbers;
mod positions;
mod reload;
mod roll;
mod service;
mod settle;
mod shape;
pub mod spec;
mod standing;
mod strategy;
#[cfg(test)]
mod testing;

pub use action::{Action, ChildReport, End, GroupReport, Report, State};
pub use change::{Change, Flaw, Refused};
pub use circle::circles;
pub use event::{Cause, Command, Event};
pub use flaws::flaws;
pub use kept::{Instance, Kept};
pub use reload::{Reloaded, Revision};
pub use standing::{Counts, Standing};

use crate::time::Instant;
use backoff::Jitter;
use deadlines::Deadlines;
use facts::Facts;
use intensity::Window;
use kept::Policies;
use roll::Roll;
use service::{Phase, Rest};
use shape::{ByNode, Shape};
use spec::{ChildId, Incarnation, Node, Tree};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The tree, as it is now.
#[derive(Clone, Debug)]
pub struct Supervisor {
    tree: Kept,
    /// For those that come.
    policies: Policies,
    shape: Shape,
    nodes: ByNode<Member>,
    services: Vec<service::Service>,
    groups: Vec<group::Group>,
    /// The child of each name.
    names: HashMap<Arc<str>, u32>,
    /// Numbers of removed children that may be given again.
    free: Vec<u32>,
    /// Numbers of removed groups that may be given again.
    free_groups: Vec<u32>,
    rolls: Vec<Roll>,
    /// The number of the newest roll.
    rolled: u32,
    /// The reload that is being done keeps to OTP's rule.
    otp_rule: bool,
    deadlines: Deadlines,
    jitter: Jitter,
    /// The number of the next life.
    next: Incarnation,
    /// The moment of the event that is being handled.
    now: Instant,
    /// [`Event::Boot`] came.
    booted: bool,
    /// Everything goes down, and then this is the end.
    ending: Option<End>,
    /// Whoever is still there is killed.
    hurry: bool,
    /// [`Action::End`] was given.
    ended: bool,
    /// [`Report::AllUp`] was given and has been true since.
    told_all_up: bool,
    /// What has to be looked at before this event is over.
    work: VecDeque<Work>,
    /// The number of the newest entry of `work`.
    ticket: u32,
    /// What this event leads to.
    actions: Vec<Action>,
}

/// What a child and a group have in common: each is a member of a group.
#[derive(Clone, Debug, Default)]
struct Member {
    facts: Facts,
    /// Its group holds it down.
    held: bool,
    /// Under OTP semantics: a group restart stopped short before it, because a member ahead of it failed. It stays
    /// down until that is tried again, or until somebody starts it.
    behind: bool,
    /// How many things it still waits for: of a child, what it needs; of a group, what it comes after.
    unmet: u32,
    /// How many of those that depend on it are going down and not gone.
    stopping_dependents: u32,
    /// Its own restarts (S8).
    window: Window,
    /// Restarts since it was last healthy for long enough (S7).
    attempt: u32,
    /// Under OTP semantics: its restart failed because of this child. The next try is made, and counted, at the
    /// next deadline (I05, J06).
    retry: Option<ChildId>,
}

/// Something to look at.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// It may be this child's turn to do something. Void when the child has a newer ticket.
    Child { child: u32, ticket: u32 },
    /// The last member of this group that had to go down is gone.
    Fallen(u32),
    /// The last process of this group, which somebody stopped, is gone.
    Stopped(u32),
}

impl Supervisor {
    /// The supervisor of `tree`, before [`Event::Boot`].
    ///
    /// `seed` decides all jitter: the same seed and events give the same actions. `first` is the number of
    /// the first life; a successor goes on where its predecessor stopped, so that no number is used twice.
    pub fn new(tree: Tree, seed: u64, first: Incarnation) -> Supervisor {
        let (children, groups) = (tree.children.len(), tree.groups.len());
        let services = tree.children.iter().map(service::Service::new).collect();
        let mut policies = Policies::default();
        // Not in the place of the old list, which is several times as large.
        let mut kept = Vec::with_capacity(children);
        kept.extend(tree.children.into_iter().map(|child| policies.keep(child)));
        let tree = Kept { groups: tree.groups, children: kept };
        let shape = Shape::new(&tree.groups, &needs(&tree));
        let name = |(at, child): (usize, &Instance)| (Arc::clone(&child.name), at as u32);
        let mut supervisor = Supervisor {
            nodes: ByNode::new(Member::default(), children, groups),
            services,
            groups: tree.groups.iter().map(group::Group::new).collect(),
            names: tree.children.iter().enumerate().map(name).collect(),
            free: Vec::new(),
            free_groups: Vec::new(),
            rolls: Vec::new(),
            rolled: 0,
            otp_rule: false,
            deadlines: Deadlines::new(children, groups),
            jitter: Jitter::new(seed),
            next: first,
            now: Instant::ZERO,
            booted: false,
            ending: None,
            hurry: false,
            ended: false,
            told_all_up: false,
            work: VecDeque::new(),
            ticket: 0,
            actions: Vec::new(),
            shape,
            tree,
            policies,
        };
        // Asked for in the shape from now on.
        for group in &mut supervisor.tree.groups {
            group.members = Vec::new();
        }
        supervisor.make_lists();
        for service in &mut supervisor.services {
            if service.goal == service::Goal::Down {
                (service.phase, service.tried) = (Phase::Idle(Rest::Stopped), true);
            }
        }
        supervisor.count_from_scratch();
        supervisor
    }

    /// Appends what must be done about `event`, as of `now`.
    ///
    /// `now` never goes back. News of a past incarnation and names that the tree does not have change nothing.
    /// Cannot fail: failures to act return later as events. Deadlines move only at [`Event::Deadline`].
    /// After [`Action::End`] nothing is done any more.
    pub fn handle(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>) {
        if self.ended {
            return;
        }
        self.turn(now, actions, |supervisor| supervisor.event(event));
    }

    /// Does something as of `now`, and all that follows from it.
    fn turn<T>(
        &mut self,
        now: Instant,
        actions: &mut Vec<Action>,
        act: impl FnOnce(&mut Supervisor) -> T,
    ) -> T {
        self.now = self.now.max(now);
        let answer = act(self);
        self.settle();
        while self.go_on_rolling() {
            self.settle();
        }
        self.conclude();
        actions.append(&mut self.actions);
        // What thousands needed at once is given back; what one restart needs is kept.
        self.actions.shrink_to(256);
        self.work.shrink_to(256);
        answer
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Boot => self.boot(),
            Event::Started(child, life) if self.is_now(child, life) => self.started(child.0 as usize),
            Event::StartFailed(child, life) if self.is_now(child, life) => {
                self.start_failed(child.0 as usize)
            }
            Event::Ignored(child, life) if self.is_now(child, life) => self.ignored(child.0 as usize),
            Event::Ready(child, life) if self.is_now(child, life) => self.became_ready(child.0 as usize),
            Event::Exited { child, incarnation, cause, leftovers } if self.is_now(child, incarnation) => {
                self.exited(child.0 as usize, cause, leftovers);
            }
            Event::Cleared(child, life) if self.is_now(child, life) => self.cleared(child.0 as usize),
            Event::Failed { child, incarnation, ended } if self.is_now(child, incarnation) => {
                self.failed(child.0 as usize, ended);
            }
            // Late news of a past life.
            Event::Started(..)
            | Event::StartFailed(..)
            | Event::Ignored(..)
            | Event::Ready(..)
            | Event::Exited { .. }
            | Event::Failed { .. }
            | Event::Cleared(..) => {}
            Event::Command(command) => self.command(command),
            Event::Deadline => self.pass_deadlines(),
        }
    }

    /// When [`Event::Deadline`] is due, if nothing happens before. May be in the past. Costs nothing.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| at).filter(|_| !self.ended)
    }

    /// What `child` is doing, in the words of `status`.
    pub fn state(&self, child: ChildId) -> State {
        let service = &self.services[child.0 as usize];
        match service.phase {
            Phase::Idle(Rest::Stopped | Rest::Unsettled) => State::Stopped,
            Phase::Idle(Rest::Finished) => State::Finished,
            Phase::Idle(Rest::GaveUp) => State::GaveUp,
            Phase::Waiting if self.in_parked_group(child) => State::GaveUp,
            Phase::Waiting => State::Waiting,
            Phase::BackingOff { .. } => State::BackingOff,
            Phase::Launching | Phase::Starting { .. } => State::Starting,
            Phase::Running { .. } if self.tree.children[child.0 as usize].ready_within.is_some() => {
                State::Ready
            }
            Phase::Running { .. } => State::Up,
            Phase::Stopping { .. } | Phase::Clearing { .. } => State::Stopping,
        }
    }

    /// Whether somebody wants `child` up: true also when it finished, gave up or waits.
    pub fn wanted_up(&self, child: ChildId) -> bool {
        self.services[child.0 as usize].goal != service::Goal::Down
    }

    /// Whether `child` is as wanted: up (ready) or finished; or down, if that is wanted.
    pub fn as_wanted(&self, child: ChildId) -> bool {
        let facts = self.nodes[child.0 as usize].facts;
        let down_as_wanted = self.wanted_up(child) || !facts.has(Facts::ALIVE);
        !facts.has(Facts::WANTING) && down_as_wanted
    }

    /// The newest life of `child`; 0 before the first.
    pub fn incarnation(&self, child: ChildId) -> Incarnation {
        self.services[child.0 as usize].incarnation
    }

    /// How many restarts of `child` lie in its own window (that of [`spec::DEFAULT_LIMIT`] when it has none), as of
    /// `now`.
    pub fn restarts(&self, child: ChildId, now: Instant) -> u32 {
        let node = child.0 as usize;
        self.nodes[node].window.count(self.counted_limit(node).within, now)
    }

    /// When `child` is tried again, if it or its group waits for that.
    pub fn retry_at(&self, child: ChildId) -> Option<Instant> {
        let node = child.0 as usize;
        let groups = self.shape.above(node).filter_map(|group| match self.groups[group].phase {
            group::Phase::BackingOff { until, .. } if self.below_held(node, group) => Some(until),
            _ => None,
        });
        match self.services[node].phase {
            Phase::BackingOff { until } => groups.chain([until]).max(),
            Phase::Waiting => groups.max(),
            _ => None,
        }
    }

    /// What keeps `child` waiting: what it needs and is not there, what its groups come after, and whoever is
    /// before it in a group that starts one by one. Empty when it does not wait.
    pub fn waits_for(&self, child: ChildId) -> impl Iterator<Item = Node> {
        let waiting = matches!(self.services[child.0 as usize].phase, Phase::Waiting);
        let blockers = if waiting { self.blockers(child.0 as usize) } else { Vec::new() };
        blockers.into_iter().map(shape::name)
    }

    /// Whether everything that is wanted up is up (ready), or finished.
    pub fn all_up(&self) -> bool {
        self.tops().all(|top| !self.nodes[top].facts.has(Facts::WANTING))
    }

    /// Why everything goes down, once it does: [`Action::End`] follows when the last process is gone.
    pub fn ending(&self) -> Option<End> {
        self.ending
    }

    /// The number that the next life will get.
    pub fn next_incarnation(&self) -> Incarnation {
        self.next
    }

    /// The policies by number; a number that names nobody has a default one. Who is whose member is asked of
    /// [`Supervisor::members`]: the lists in here are empty.
    pub fn tree(&self) -> &Kept {
        &self.tree
    }

    fn boot(&mut self) {
        if self.booted {
            return;
        }
        self.booted = true;
        for group in 0..self.groups.len() {
            if self.tree.groups[group].parent.is_none() {
                self.begin_afresh(group);
            }
        }
    }

    /// Ends the event: says so when everything is up, or down for good.
    fn conclude(&mut self) {
        if let Some(end) = self.ending {
            if !self.tops().any(|top| self.nodes[top].facts.has(Facts::ALIVE)) {
                self.ended = true;
                self.actions.push(Action::End(end));
            }
            return;
        }
        let all_up = self.booted && self.all_up();
        if all_up && !self.told_all_up {
            self.report(Report::AllUp);
        }
        self.told_all_up = all_up;
    }

    /// The nodes without parent: the root, and the group of built-ins.
    fn tops(&self) -> impl Iterator<Item = usize> {
        self.shape.tops.iter().map(|group| self.shape.group_node(*group as usize))
    }

    /// Whether `life` is the present life of `child`.
    fn is_now(&self, child: ChildId, life: Incarnation) -> bool {
        self.services.get(child.0 as usize).is_some_and(|service| service.incarnation == life)
    }

    /// Whether `node` itself, or a group between it and `group`, is held down by `group`.
    fn below_held(&self, node: usize, group: usize) -> bool {
        let mut member = node;
        while let Some(parent) = self.shape.parent(member) {
            if parent == group {
                return self.nodes[member].held;
            }
            member = self.shape.group_node(parent);
        }
        false
    }

    fn in_parked_group(&self, child: ChildId) -> bool {
        let gave_up = group::Phase::Closed(group::Why::GaveUp);
        self.shape.above(child.0 as usize).any(|group| self.groups[group].phase == gave_up)
    }

    fn report(&mut self, report: Report) {
        self.actions.push(Action::Report(report));
    }

    fn report_child(&mut self, child: usize, what: ChildReport) {
        let incarnation = self.services[child].incarnation;
        self.report(Report::Child { child: ChildId(child as u32), incarnation, what });
    }

    fn report_group(&mut self, group: usize, what: GroupReport) {
        self.report(Report::Group { group: spec::GroupId(group as u32), what });
    }
}

/// What each child needs.
fn needs(tree: &Kept) -> Vec<&[Node]> {
    tree.children.iter().map(|child| child.needs.as_slice()).collect()
}
