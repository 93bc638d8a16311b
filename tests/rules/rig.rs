//! A small obedient world around the core: starts succeed, stops are obeyed, unless told otherwise. Each act
//! returns what the core did, as a line of text.

use mainstay::supervisor::spec::{
    Backoff, Child, ChildId, Grace, Group, GroupId, Incarnation, Intensity, Node, OnLimit, Restart, Strategy,
    Tree,
};
use mainstay::supervisor::{Action, Cause, Command, Event, Report, State, Supervisor};
use mainstay::time::{Duration, Instant};
use std::collections::VecDeque;

/// A tree under construction: `Plant::new().group("g", …).child("a", …)`.
pub(crate) struct Plant {
    pub(crate) tree: Tree,
}

impl Plant {
    /// A one_for_one root named `root`, without limits.
    pub(crate) fn new() -> Plant {
        let root = Group {
            name: "root".to_owned(),
            parent: None,
            strategy: Strategy::OneForOne,
            intensity: None,
            on_limit: OnLimit::Escalate,
            otp: false,
            members: Vec::new(),
            after: Vec::new(),
            limit: None,
            backoff: Backoff::NONE,
            ..Group::default()
        };
        Plant { tree: Tree { groups: vec![root], children: Vec::new() } }
    }

    /// An OTP root: this strategy, `max` restarts in 5 s.
    pub(crate) fn otp(strategy: Strategy, max: u32) -> Plant {
        Plant::new().root(|root| {
            root.otp = true;
            root.strategy = strategy;
            root.intensity = Some(Intensity { max, within: Duration::from_secs(5) });
        })
    }

    pub(crate) fn root(mut self, change: impl Fn(&mut Group)) -> Plant {
        change(&mut self.tree.groups[0]);
        self
    }

    /// A group like the root (before changes), member of `parent`.
    pub(crate) fn group(mut self, parent: &str, name: &str, change: impl Fn(&mut Group)) -> Plant {
        let at = GroupId(self.tree.groups.len() as u32);
        let parent = self.group_id(parent);
        let mut group =
            Group { name: name.to_owned(), parent: Some(parent), ..Plant::new().tree.groups[0].clone() };
        change(&mut group);
        self.tree.groups.push(group);
        self.tree.groups[parent.0 as usize].members.push(Node::Group(at));
        self
    }

    /// A permanent child without limit and wait, stopped by signal 15 within 5 s.
    pub(crate) fn child(mut self, group: &str, name: &str, change: impl Fn(&mut Child)) -> Plant {
        let at = ChildId(self.tree.children.len() as u32);
        let group = self.group_id(group);
        let mut child = Child {
            name: name.to_owned(),
            group,
            restart: Restart::Permanent,
            limit: None,
            backoff: Backoff::NONE,
            ready_within: None,
            grace: Grace::default(),
            stop_signal: 15,
            clean: Vec::new(),
            needs: Vec::new(),
            autostart: true,
            ..Child::default()
        };
        change(&mut child);
        self.tree.children.push(child);
        self.tree.groups[group.0 as usize].members.push(Node::Child(at));
        self
    }

    pub(crate) fn children(self, group: &str, names: &str) -> Plant {
        names.split_whitespace().fold(self, |plant, name| plant.child(group, name, |_| {}))
    }

    /// `needing("web", "db")`: a child or a group on the right.
    pub(crate) fn needing(mut self, child: &str, needed: &str) -> Plant {
        let node = self.node(needed);
        let at = self.tree.children.iter().position(|c| c.name == child).unwrap();
        self.tree.children[at].needs.push(node);
        self
    }

    fn group_id(&self, name: &str) -> GroupId {
        GroupId(self.tree.groups.iter().position(|g| g.name == name).unwrap() as u32)
    }

    fn node(&self, name: &str) -> Node {
        match self.tree.children.iter().position(|c| c.name == name) {
            Some(at) => Node::Child(ChildId(at as u32)),
            None => Node::Group(self.group_id(name)),
        }
    }

    pub(crate) fn rig(self) -> Rig {
        let supervisor = Supervisor::new(self.tree.clone(), 1, Incarnation(1));
        let running = vec![false; self.tree.children.len()];
        Rig {
            plant: self,
            supervisor,
            now: Instant::from_nanos(1_000_000_000),
            failing: Vec::new(),
            deaf: Vec::new(),
            silent: false,
            leaving: Vec::new(),
            reports: Vec::new(),
            running,
        }
    }

    pub(crate) fn boot(self) -> Rig {
        let mut rig = self.rig();
        rig.event(Event::Boot);
        rig
    }
}

pub(crate) struct Rig {
    plant: Plant,
    pub(crate) supervisor: Supervisor,
    pub(crate) now: Instant,
    /// Their starts fail.
    pub(crate) failing: Vec<&'static str>,
    /// They ignore the stop signal.
    pub(crate) deaf: Vec<&'static str>,
    /// The world answers nothing.
    pub(crate) silent: bool,
    /// They leave helpers behind, which obey only SIGKILL.
    pub(crate) leaving: Vec<&'static str>,
    /// All reports since the last look.
    pub(crate) reports: Vec<Report>,
    /// Whose main process runs.
    running: Vec<bool>,
}

impl Rig {
    pub(crate) fn id(&self, name: &str) -> ChildId {
        match self.plant.node(name) {
            Node::Child(child) => child,
            Node::Group(_) => panic!("{name} is a group"),
        }
    }

    /// Hands in `event`, and the answers of the world, and what follows; returns all of it as text.
    pub(crate) fn event(&mut self, event: Event) -> String {
        let mut text = String::new();
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.note(&event);
            let mut actions = Vec::new();
            self.supervisor.handle(self.now, event, &mut actions);
            for action in actions {
                self.answer(&action, &mut events);
                let word = match action {
                    Action::Start(child, life) => format!("{}+{}", self.name(child), life.0),
                    Action::Stop(child, _) => format!("{}-", self.name(child)),
                    Action::Kill(child, _) => format!("{}!", self.name(child)),
                    Action::End(end) => format!("{end:?}"),
                    Action::Report(report) => {
                        self.reports.push(report);
                        continue;
                    }
                };
                text.push_str(if text.is_empty() { "" } else { " " });
                text.push_str(&word);
            }
        }
        text
    }

    fn answer(&self, action: &Action, events: &mut VecDeque<Event>) {
        if self.silent {
            return;
        }
        let is = |list: &[&str], child: &ChildId| list.contains(&self.name(*child).as_str());
        match *action {
            Action::Start(child, life) if is(&self.failing, &child) => {
                events.push_back(Event::StartFailed(child, life));
            }
            Action::Start(child, life) => events.push_back(Event::Started(child, life)),
            Action::Stop(child, life) if !is(&self.deaf, &child) => {
                if self.alive(child) {
                    let leftovers = is(&self.leaving, &child);
                    let signal = self.plant.tree.children[child.0 as usize].stop_signal;
                    events.push_back(exit(child, life, Cause::Signal(signal, false), leftovers));
                }
            }
            Action::Kill(child, life) => {
                if self.alive(child) {
                    events.push_back(exit(child, life, Cause::Signal(9, false), false));
                }
                events.push_back(Event::Cleared(child, life));
            }
            Action::Stop(..) | Action::Report(_) | Action::End(_) => {}
        }
    }

    fn alive(&self, child: ChildId) -> bool {
        self.running[child.0 as usize]
    }

    /// Follows which main processes run.
    fn note(&mut self, event: &Event) {
        match *event {
            Event::Started(child, life) if self.supervisor.incarnation(child) == life => {
                self.running[child.0 as usize] = true;
            }
            Event::Exited { child, incarnation, .. } if (child.0 as usize) < self.running.len() => {
                let present = self.supervisor.incarnation(child) == incarnation;
                self.running[child.0 as usize] &= !present;
            }
            _ => {}
        }
    }

    pub(crate) fn name(&self, child: ChildId) -> String {
        self.plant.tree.children[child.0 as usize].name.clone()
    }

    /// The main process of `name` ends.
    pub(crate) fn exits(&mut self, name: &str, cause: Cause) -> String {
        let child = self.id(name);
        let leftovers = self.leaving.contains(&name);
        self.event(exit(child, self.supervisor.incarnation(child), cause, leftovers))
    }

    /// `name` dies of SIGKILL.
    pub(crate) fn dies(&mut self, name: &str) -> String {
        self.exits(name, Cause::Signal(9, false))
    }

    pub(crate) fn ready(&mut self, name: &str) -> String {
        let child = self.id(name);
        self.event(Event::Ready(child, self.supervisor.incarnation(child)))
    }

    pub(crate) fn started(&mut self, name: &str) -> String {
        let child = self.id(name);
        self.event(Event::Started(child, self.supervisor.incarnation(child)))
    }

    pub(crate) fn cleared(&mut self, name: &str) -> String {
        let child = self.id(name);
        self.event(Event::Cleared(child, self.supervisor.incarnation(child)))
    }

    pub(crate) fn start(&mut self, name: &str) -> String {
        let node = self.plant.node(name);
        self.event(Event::Command(Command::Start(node)))
    }

    pub(crate) fn stop(&mut self, name: &str) -> String {
        let node = self.plant.node(name);
        self.event(Event::Command(Command::Stop(node)))
    }

    pub(crate) fn restart(&mut self, name: &str) -> String {
        let node = self.plant.node(name);
        self.event(Event::Command(Command::Restart(node)))
    }

    pub(crate) fn shutdown(&mut self) -> String {
        self.event(Event::Command(Command::Shutdown))
    }

    /// Lets so much time pass without an event; then, if something is due, the deadline.
    pub(crate) fn pass(&mut self, millis: u64) -> String {
        self.now = self.now + Duration::from_millis(millis);
        match self.supervisor.next_deadline() {
            Some(at) if at <= self.now => self.event(Event::Deadline),
            _ => String::new(),
        }
    }

    /// Jumps to the next deadline, which must exist. Returns the wait in milliseconds and what followed.
    pub(crate) fn next(&mut self) -> (u64, String) {
        let at = self.supervisor.next_deadline().expect("something is due");
        let wait = at.since(self.now).as_millis() as u64;
        self.now = self.now.max(at);
        (wait, self.event(Event::Deadline))
    }

    pub(crate) fn state(&self, name: &str) -> State {
        self.supervisor.state(self.id(name))
    }

    /// The states of all children, in the order of their declaration.
    pub(crate) fn states(&self) -> Vec<State> {
        (0..self.plant.tree.children.len()).map(|at| self.supervisor.state(ChildId(at as u32))).collect()
    }

    pub(crate) fn restarts(&self, name: &str) -> u32 {
        self.supervisor.restarts(self.id(name), self.now)
    }

    /// What was reported since the last call, as text without the lives.
    pub(crate) fn told(&mut self) -> Vec<String> {
        let reports = std::mem::take(&mut self.reports);
        let text = |report: Report| match report {
            Report::Child { child, what, .. } => format!("{} {what:?}", self.name(child)),
            Report::Group { group, what } => {
                format!("{} {what:?}", self.plant.tree.groups[group.0 as usize].name)
            }
            Report::Rolled { roll, done, failed } => {
                let failed = failed.map(|child| self.name(child));
                format!("rolled {roll}: {done}, failed {failed:?}")
            }
            Report::AllUp => "AllUp".to_owned(),
        };
        reports.into_iter().map(text).collect()
    }
}

pub(crate) fn exit(child: ChildId, incarnation: Incarnation, cause: Cause, leftovers: bool) -> Event {
    Event::Exited { child, incarnation, cause, leftovers }
}
