//! A small obedient world around the core: starts succeed, stops are obeyed, unless told otherwise. Each act
//! returns what the core did, as a line of text: `a+4` a start of the fourth life, `a-` a stop signal, `a!`
//! SIGKILL, and the end.

mod calls;
mod plant;

pub(crate) use plant::{Plant, otp, plain};

use mainstay::supervisor::spec::{ChildId, GroupId, Incarnation, Node, Tree};
use mainstay::supervisor::{Action, Cause, Command, Event, Report, State, Supervisor};
use mainstay::time::{Duration, Instant};
use std::collections::VecDeque;

pub(crate) struct Rig {
    pub(crate) supervisor: Supervisor,
    pub(crate) now: Instant,
    /// Their starts fail.
    pub(crate) failing: Vec<&'static str>,
    /// They ignore the stop signal.
    pub(crate) deaf: Vec<&'static str>,
    /// The world answers nothing.
    pub(crate) silent: bool,
    /// They answer the stop signal so, and not by dying of it.
    pub(crate) answers: Vec<(&'static str, Cause)>,
    /// There is nothing to run for them.
    pub(crate) ignoring: Vec<&'static str>,
    /// They leave helpers behind, which obey only SIGKILL.
    pub(crate) leaving: Vec<&'static str>,
    /// All reports since the last look.
    pub(crate) reports: Vec<Report>,
    /// Whose main process runs.
    running: Vec<bool>,
    /// The newest name of each number, also of children that are gone.
    names: Vec<String>,
}

impl Rig {
    pub(super) fn new(tree: Tree) -> Rig {
        Rig {
            names: tree.children.iter().map(|child| child.name.clone()).collect(),
            running: vec![false; tree.children.len()],
            supervisor: Supervisor::new(tree, 1, Incarnation(1)),
            now: Instant::from_nanos(1_000_000_000),
            failing: Vec::new(),
            deaf: Vec::new(),
            silent: false,
            answers: Vec::new(),
            ignoring: Vec::new(),
            leaving: Vec::new(),
            reports: Vec::new(),
        }
    }

    /// The child of this name, or the last one that had it.
    pub(crate) fn id(&self, name: &str) -> ChildId {
        let gone = || self.names.iter().rposition(|known| known == name).map(|at| ChildId(at as u32));
        let child = self.supervisor.child_named(name).or_else(gone);
        child.unwrap_or_else(|| panic!("{name} is no child"))
    }

    pub(crate) fn group(&self, name: &str) -> GroupId {
        let tree = self.supervisor.tree();
        let at = tree.groups.iter().position(|group| group.name == name);
        GroupId(at.unwrap_or_else(|| panic!("{name} is no group")) as u32)
    }

    pub(crate) fn node(&self, name: &str) -> Node {
        let known = self.is_there(name) || self.names.iter().any(|known| known == name);
        match known {
            true => Node::Child(self.id(name)),
            false => Node::Group(self.group(name)),
        }
    }

    /// Hands in `event`, and the answers of the world, and what follows; returns all of it as text.
    pub(crate) fn event(&mut self, event: Event) -> String {
        let mut text = String::new();
        self.follow(VecDeque::from([event]), &mut text);
        text
    }

    fn follow(&mut self, mut events: VecDeque<Event>, text: &mut String) {
        let mut taken = 0;
        while let Some(event) = events.pop_front() {
            taken += 1;
            assert!(taken < 100_000, "it spins, and no time passes: {}", &text[text.len() - 100..]);
            self.note(&event);
            let mut actions = Vec::new();
            self.supervisor.handle(self.now, event, &mut actions);
            self.obey(actions, &mut events, text);
        }
    }

    /// Writes down what the core wants, and what the world answers.
    fn obey(&mut self, actions: Vec<Action>, events: &mut VecDeque<Event>, text: &mut String) {
        for action in actions {
            self.answer(&action, events);
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

    fn answer(&self, action: &Action, events: &mut VecDeque<Event>) {
        if self.silent {
            return;
        }
        let is = |list: &[&str], child: &ChildId| list.contains(&self.name(*child).as_str());
        match *action {
            Action::Start(child, life) if is(&self.failing, &child) => {
                events.push_back(Event::StartFailed(child, life));
            }
            Action::Start(child, life) if is(&self.ignoring, &child) => {
                events.push_back(Event::Ignored(child, life));
            }
            Action::Start(child, life) => events.push_back(Event::Started(child, life)),
            Action::Stop(child, life) if !is(&self.deaf, &child) => {
                if self.alive(child) {
                    let leftovers = is(&self.leaving, &child);
                    let name = self.name(child);
                    let own = self.answers.iter().find(|(other, _)| *other == name).map(|(_, cause)| *cause);
                    let signal = self.supervisor.tree().children[child.0 as usize].stop_signal;
                    let cause = own.unwrap_or(Cause::Signal(signal, false));
                    events.push_back(exit(child, life, cause, leftovers));
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
            Event::Started(child, life)
                if (child.0 as usize) < self.running.len() && self.supervisor.incarnation(child) == life =>
            {
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
        self.names[child.0 as usize].clone()
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
        let node = self.node(name);
        self.event(Event::Command(Command::Start(node)))
    }

    pub(crate) fn stop(&mut self, name: &str) -> String {
        let node = self.node(name);
        self.event(Event::Command(Command::Stop(node)))
    }

    pub(crate) fn restart(&mut self, name: &str) -> String {
        let node = self.node(name);
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

    /// Jumps from deadline to deadline until none is left: what followed each. There must be fewer than 100.
    pub(crate) fn until_quiet(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while self.supervisor.next_deadline().is_some() {
            assert!(all.len() < 100, "it never comes to rest: {all:?}");
            all.push(self.next().1);
        }
        all
    }

    pub(crate) fn state(&self, name: &str) -> State {
        self.supervisor.state(self.id(name))
    }

    /// The states of all children, in the order of their declaration.
    pub(crate) fn states(&self) -> Vec<State> {
        (0..self.names.len()).map(|at| self.supervisor.state(ChildId(at as u32))).collect()
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
                format!("{} {what:?}", self.supervisor.tree().groups[group.0 as usize].name)
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
