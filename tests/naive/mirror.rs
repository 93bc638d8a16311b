//! The real core in the model's world: the same plan, the same luck, every action answered at once.
//!
//! What the text of the rules leaves open is varied by the number of a life, so that both sides need not agree on it
//! beforehand: what a process says when it is asked to stop, and in which way a start fails.

use crate::death::{CLEAN, DEATHS, STOP, last_words};
use crate::model::{self, Job, Plan, Spec};
use crate::world::{Start, Starts, declares_readiness};
use mainstay::supervisor::spec::{
    AutoShutdown, Backoff, Child, ChildId, Grace, Group, GroupId, Incarnation, Intensity, Node, Pool,
    Restart, Strategy, Tree,
};
use mainstay::supervisor::{
    Action, Cause, ChildReport, Command, End, Event, GroupReport, Report, Supervisor,
};
use mainstay::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};

/// The code that means "nothing to run here".
const IGNORE: u8 = 77;

/// The core, with what a driver would know.
#[derive(Clone)]
pub(crate) struct Mirror {
    pub(crate) core: Supervisor,
    pub(crate) now: Instant,
    pub(crate) starts: Starts,
    /// In the words of [`crate::world::World::done`].
    pub(crate) done: Vec<String>,
    /// In the words of [`crate::world::World::told`].
    pub(crate) told: Vec<String>,
    /// Who was started ever.
    names: BTreeMap<ChildId, String>,
    /// Whose process runs, and which life.
    alive: BTreeMap<ChildId, Incarnation>,
    /// Who died and left helpers behind, which go at the first signal.
    left: BTreeMap<ChildId, Incarnation>,
    /// Lives that ended since the last turn.
    past: Vec<(ChildId, Incarnation)>,
    /// Whose process ends by itself, and how, while the next stop is going on.
    pub(crate) struck: Option<(u64, Cause)>,
    /// The same, while the next start waits for readiness.
    pub(crate) struck_in_start: Option<(String, Cause)>,
    pub(crate) end: Option<End>,
}

impl Mirror {
    /// The core before its start.
    pub(crate) fn new(plan: &Plan, starts: Starts, now: u64) -> Mirror {
        let core = Supervisor::new(tree(plan), 1, Incarnation(1));
        let now = Instant::from_nanos(now);
        let (names, alive, left) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (done, told) = (Vec::new(), Vec::new());
        Mirror {
            core,
            now,
            starts,
            done,
            told,
            names,
            alive,
            left,
            past: Vec::new(),
            struck: None,
            struck_in_start: None,
            end: None,
        }
    }

    /// Hands in `event`, and the world's answers to what it leads to.
    pub(crate) fn event(&mut self, event: Event) {
        self.events(VecDeque::from([event]));
    }

    pub(crate) fn events(&mut self, mut events: VecDeque<Event>) {
        while let Some(event) = events.pop_front() {
            let mut actions = Vec::new();
            self.note(&event);
            self.core.handle(self.now, event, &mut actions);
            self.answer(actions, &mut events);
        }
    }

    /// Answers `actions`, one after the other.
    pub(crate) fn answer(&mut self, actions: Vec<Action>, events: &mut VecDeque<Event>) {
        for action in actions {
            match action {
                Action::Start(child, life) => {
                    let there = (self.alive.get(&child), self.left.get(&child));
                    assert_eq!(there, (None, None), "two lives of {} at once", self.name(child));
                    self.names.insert(child, self.name(child));
                    self.done.push(format!("{}+{}", self.name(child), life.0));
                    self.start(child, life, events);
                }
                Action::Stop(child, life) | Action::Kill(child, life)
                    if self.left.remove(&child).is_some() =>
                {
                    events.push_back(Event::Cleared(child, life));
                }
                Action::Stop(child, life) => {
                    self.done.push(format!("{}-", self.name(child)));
                    let struck = self.struck.take_if(|(other, _)| *other != life.0);
                    self.dies_meanwhile(struck, events);
                    self.dies(child, life, last_words(life.0).cause(), events);
                }
                Action::Kill(child, life) => {
                    self.done.push(format!("{}!", self.name(child)));
                    self.dies(child, life, Cause::Signal(9, false), events);
                }
                Action::Report(report) => self.hear(report),
                Action::End(end) => self.end = Some(end),
            }
        }
    }

    /// Somebody ends by itself while something else is going on.
    fn dies_meanwhile(&self, struck: Option<(u64, Cause)>, events: &mut VecDeque<Event>) {
        let Some((life, cause)) = struck else { return };
        let incarnation = Incarnation(life);
        if let Some((child, _)) = self.alive.iter().find(|(_, own)| **own == incarnation) {
            events.push_back(Event::Exited { child: *child, incarnation, cause, leftovers: false });
        }
    }

    /// Notes what the model tells too.
    fn hear(&mut self, report: Report) {
        let group = |group: GroupId| self.core.tree().groups[group.0 as usize].name.clone();
        let line = match report {
            Report::Group { group: own, what: GroupReport::LimitReached { .. } } => {
                format!("{} limit", group(own))
            }
            Report::Group { group: own, what: GroupReport::AutoShutdown { .. } } => {
                format!("{} auto-shutdown", group(own))
            }
            // The table of the rules has a declared code twice, so for a permanent child it says both.
            Report::Group { what: GroupReport::ShutdownErrors { cause: Cause::Code(CLEAN), .. }, .. } => {
                return;
            }
            Report::Child { what: ChildReport::Exited { cause: Cause::Code(CLEAN), .. }, .. } => return,
            Report::Group { group: own, what: GroupReport::ShutdownErrors { cause, count } } => {
                let death = DEATHS.into_iter().find(|death| death.cause() == cause).expect("one of ours");
                format!("{} {count} {death:?}", group(own))
            }
            Report::Child { child, what: ChildReport::Exited { shutdown_error: true, .. }, .. } => {
                format!("{} shutdown error", self.name(child))
            }
            _ => return,
        };
        self.told.push(line);
    }

    /// A signal reaches a process: it is the end of it. Nobody may be signalled who is not there.
    fn dies(&mut self, child: ChildId, incarnation: Incarnation, cause: Cause, events: &mut VecDeque<Event>) {
        let own = self.alive.get(&child);
        assert_eq!(own, Some(&incarnation), "a signal to somebody who is gone: {}", self.name(child));
        // Some leave helpers behind, which are gone a moment later.
        let leftovers = incarnation.0 % 5 == 4;
        events.push_back(Event::Exited { child, incarnation, cause, leftovers });
        if leftovers {
            events.push_back(Event::Cleared(child, incarnation));
        }
    }

    fn start(&mut self, child: ChildId, life: Incarnation, events: &mut VecDeque<Event>) {
        let told = self.core.tree().children[child.0 as usize].ready_within.is_some();
        let name = self.name(child);
        let exit =
            |code| Event::Exited { child, incarnation: life, cause: Cause::Code(code), leftovers: false };
        match (self.starts.next(&name), life.0 % 3) {
            (Start::Works, _) => {
                events.push_back(Event::Started(child, life));
                if told {
                    let struck = self.struck_in_start.take_if(|(other, _)| *other != name);
                    let now = self.running();
                    let struck = struck.and_then(|(other, cause)| Some((*now.get(&other)?, cause)));
                    self.dies_meanwhile(struck, events);
                    events.push_back(Event::Ready(child, life));
                }
            }
            // It ends before it is ready: a failed start, whatever it says (A09).
            (Start::Fails, way @ 1..) if told => {
                events.extend([Event::Started(child, life), exit([0, 1, CLEAN][way as usize])]);
            }
            (Start::Fails, _) => events.push_back(Event::StartFailed(child, life)),
            (Start::Ignores, _) if told => events.extend([Event::Started(child, life), exit(IGNORE)]),
            (Start::Ignores, _) => events.push_back(Event::Ignored(child, life)),
        }
    }

    /// Follows which processes run.
    fn note(&mut self, event: &Event) {
        match *event {
            Event::Started(child, life) if !self.past.contains(&(child, life)) => {
                self.alive.insert(child, life);
            }
            Event::Exited { child, incarnation, .. } if self.alive.get(&child) == Some(&incarnation) => {
                self.alive.remove(&child);
                self.past.push((child, incarnation));
            }
            _ => {}
        }
    }

    /// E12: news that come late, or twice, are about a past life and change nothing.
    fn late_news(&mut self) {
        for (child, life) in self.past.clone() {
            let (cause, leftovers) = (Cause::Code(1), life.0 % 2 == 0);
            self.event(Event::Exited { child, incarnation: life, cause, leftovers });
            self.event(Event::StartFailed(child, life));
            self.event(Event::Cleared(child, life));
            self.event(Event::Started(child, life));
            self.event(Event::Ready(child, life));
            self.event(Event::Ignored(child, life));
            // Nobody remembers it now.
            self.core.recycle(child);
        }
        self.past.clear();
    }

    /// Handles what is due, once: each retry that waits now.
    pub(crate) fn turn(&mut self) {
        self.late_news();
        if self.core.next_deadline().is_some_and(|at| at <= self.now) {
            self.event(Event::Deadline);
        }
    }

    /// The process of this life ends by itself.
    pub(crate) fn exit(&mut self, life: u64, cause: Cause) {
        let life = Incarnation(life);
        let found = self.alive.iter().find(|(_, own)| **own == life);
        if let Some((child, incarnation)) = found.map(|(child, life)| (*child, *life)) {
            let leftovers = incarnation.0 % 7 == 3;
            if leftovers {
                self.left.insert(child, incarnation);
            }
            self.event(Event::Exited { child, incarnation, cause, leftovers });
        }
    }

    pub(crate) fn shutdown(&mut self) {
        self.event(Event::Command(Command::Shutdown));
    }

    pub(crate) fn pass(&mut self, nanos: u64) {
        self.now = self.now + Duration::from_nanos(nanos);
    }

    /// The name of `child`, also when the core has forgotten it.
    pub(crate) fn name(&self, child: ChildId) -> String {
        match self.core.is_child(child) {
            true => self.core.tree().children[child.0 as usize].name.to_string(),
            false => self.names[&child].clone(),
        }
    }

    /// Who runs, and which life.
    pub(crate) fn running(&self) -> BTreeMap<String, u64> {
        self.alive.iter().map(|(child, life)| (self.name(*child), life.0)).collect()
    }
}

fn restart(restart: model::Restart) -> Restart {
    match restart {
        model::Restart::Permanent => Restart::Permanent,
        model::Restart::Transient => Restart::Transient,
        model::Restart::Temporary => Restart::Temporary,
    }
}

/// The child that `spec` describes.
pub(crate) fn child(spec: &Spec, group: GroupId) -> Child {
    let told = declares_readiness(&spec.name);
    Child {
        name: spec.name.clone(),
        group,
        restart: restart(spec.restart),
        ready_within: told.then_some(Duration::from_secs(3600)),
        ignore: Some(IGNORE),
        grace: if spec.brutal { Grace::Kill } else { Grace::After(Duration::from_secs(3600)) },
        stop_signal: STOP,
        clean: vec![CLEAN],
        significant: spec.significant,
        ..Child::default()
    }
}

fn group(spec: &Spec, plan: &Plan, parent: Option<GroupId>) -> Group {
    Group {
        name: spec.name.clone(),
        parent,
        strategy: match plan.strategy {
            model::Strategy::OneForOne | model::Strategy::Pool => Strategy::OneForOne,
            model::Strategy::OneForAll => Strategy::OneForAll,
            model::Strategy::RestForOne => Strategy::RestForOne,
        },
        intensity: Some(Intensity { max: plan.intensity as u32, within: Duration::from_nanos(plan.period) }),
        otp: true,
        whole_seconds: plan.whole_seconds,
        restart: restart(spec.restart),
        significant: spec.significant,
        auto_shutdown: match plan.auto_shutdown {
            model::AutoShutdown::Never => AutoShutdown::Never,
            model::AutoShutdown::Any => AutoShutdown::Any,
            model::AutoShutdown::All => AutoShutdown::All,
        },
        pool: (plan.strategy == model::Strategy::Pool)
            .then_some(Pool { max_children: plan.max_children.map(|max| max as u32) }),
        backoff: Backoff::NONE,
        ..Group::default()
    }
}

/// The tree that `plan` describes.
pub(crate) fn tree(plan: &Plan) -> Tree {
    let mut tree = Tree::default();
    let root = Spec {
        name: "root".to_owned(),
        restart: model::Restart::Permanent,
        significant: false,
        brutal: false,
        job: Job::Supervisor(plan.clone()),
    };
    add_group(&root, plan, None, &mut tree);
    tree
}

fn add_group(spec: &Spec, plan: &Plan, parent: Option<GroupId>, tree: &mut Tree) -> GroupId {
    let own = GroupId(tree.groups.len() as u32);
    tree.groups.push(group(spec, plan, parent));
    let specs = if plan.strategy == model::Strategy::Pool { &[][..] } else { &plan.specs[..] };
    for spec in specs {
        let node = match &spec.job {
            Job::Supervisor(inner) => Node::Group(add_group(spec, inner, Some(own), tree)),
            Job::Worker => {
                tree.children.push(child(spec, own));
                Node::Child(ChildId(tree.children.len() as u32 - 1))
            }
        };
        tree.groups[own.0 as usize].members.push(node);
    }
    own
}
