//! What people and programs ask of the tree while it runs, wise or not, at any moment.

use crate::plant;
use crate::revise;
use crate::world::World;
use mainstay::supervisor::spec::{ChildId, GroupId, Node};
use mainstay::supervisor::{Action, Change, Command, Event, Refused, Revision};

impl World {
    /// A node, perhaps one that is not there.
    fn node(&mut self) -> Node {
        if self.random.one_in(3) { self.group() } else { Node::Child(self.child()) }
    }

    fn child(&mut self) -> ChildId {
        ChildId(self.random.below(self.judge.known.len() + 1) as u32)
    }

    fn group(&mut self) -> Node {
        Node::Group(GroupId(self.random.below(self.judge.groups.len() + 1) as u32))
    }

    pub(crate) fn command(&mut self) {
        let node = self.node();
        let command = match self.random.below(40) {
            0 => Command::Shutdown,
            1 => Command::Hurry,
            n if n % 3 == 0 => Command::Stop(node),
            n if n % 3 == 1 => Command::Start(node),
            _ => Command::Restart(node),
        };
        self.handle(Event::Command(command));
    }

    /// One of OTP's calls.
    pub(crate) fn change(&mut self) {
        let change = match self.random.below(6) {
            0..=2 => self.new_child(),
            3 => Change::Terminate(self.node()),
            4 => Change::RestartChild(self.node()),
            _ => Change::DeleteChild(self.child()),
        };
        self.judge.tell(|| format!("{change:?}"));
        let before = self.random.one_in(4).then(|| self.picture());
        let mut actions = Vec::new();
        self.judge.begin(self.now, false);
        // Refusals are judged by the state before the call.
        let ahead = self.supervisor.clone();
        let answer = self.supervisor.change(self.now, change.clone(), &mut actions);
        self.judge.tell(|| format!("    answer: {answer:?}"));
        self.judge.changed(&change, &answer, &ahead);
        if let (Err(refused), Some(before)) = (&answer, before)
            && (*refused == Refused::Ending || self.random.one_in(2))
        {
            let same = before == self.picture();
            self.judge.check(same && actions.is_empty(), "a refused call changes nothing");
        }
        self.finish(actions);
    }

    fn new_child(&mut self) -> Change {
        let groups = self.judge.groups.len() + usize::from(self.random.one_in(8));
        let group = GroupId(self.random.below(groups) as u32);
        let name = if self.random.one_in(4) { self.old_name() } else { self.new_name() };
        let mut child = plant::child(&mut self.random, name, group);
        child.autostart = true;
        child.significant = self.random.one_in(4);
        for _ in 0..self.random.pick(&[0, 0, 1, 2]) {
            let need = self.node();
            // Mostly somebody who is there.
            if (self.judge.map.is_there(need) || self.random.one_in(8)) && !child.needs.contains(&need) {
                child.needs.push(need);
            }
        }
        Change::StartChild(Box::new(child))
    }

    pub(crate) fn new_name(&mut self) -> String {
        self.names += 1;
        format!("n{}", self.names)
    }

    /// A name that was given before.
    fn old_name(&mut self) -> String {
        let count = self.names + 8;
        let at = self.random.below(count);
        if at < 8 { format!("c{at}") } else { format!("n{}", at - 7) }
    }

    /// Another tree, mostly a sound one.
    pub(crate) fn reload(&mut self) {
        let mut tree = self.file.clone();
        let mut names: Vec<String> = (0..8).map(|_| self.new_name()).collect();
        for name in &mut names {
            if self.random.one_in(3) {
                *name = self.old_name();
            }
        }
        let fixed = self.fixed;
        let mut name = || names.pop().unwrap_or_default();
        revise::revise(&mut self.random, &mut tree, fixed, &mut name);
        let flaw = if self.random.one_in(6) { revise::spoil(&mut self.random, &mut tree) } else { None };
        let restart =
            (0..tree.children.len() as u32).map(ChildId).filter(|_| self.random.one_in(5)).collect();
        let (at_once, otp_rule) = (self.random.below(4) as u32, self.random.one_in(5));
        let revision = Revision { tree, fixed, restart, at_once, otp_rule };
        self.judge.tell(|| revise::story(&revision));
        let before = (flaw.is_some() || self.judge.over()).then(|| self.picture());
        let mut actions = Vec::new();
        self.judge.begin(self.now, false);
        let answer = self.supervisor.reload(self.now, revision.clone(), &mut actions);
        self.judge.tell(|| format!("    answer: {answer:?}"));
        self.judge.reloaded(&revision, flaw, &answer, &self.supervisor);
        match (answer, before) {
            (Ok(_), _) => self.file = revision.tree,
            (Err(_), Some(before)) => {
                let same = before == self.picture();
                self.judge.check(same && actions.is_empty(), "N02: a refused reload changes nothing");
            }
            (Err(_), None) => self.judge.check(actions.is_empty(), "N02: a refused reload does nothing"),
        }
        self.finish(actions);
    }

    /// A rolling restart of some.
    pub(crate) fn roll(&mut self) {
        let mut list = Vec::new();
        for _ in 0..1 + self.random.below(5) {
            let child = self.child();
            if !list.contains(&child) && self.judge.map.is_there(Node::Child(child)) {
                list.push(child);
            }
        }
        let at_once = self.random.below(4) as u32;
        self.judge.tell(|| format!("roll {list:?}, {at_once} at once"));
        let mut actions: Vec<Action> = Vec::new();
        self.judge.begin(self.now, false);
        let number = self.supervisor.roll(self.now, list.clone(), at_once, &mut actions);
        self.judge.tell(|| format!("    answer: {number}"));
        if !self.judge.over() {
            self.judge.rolls(&list, at_once, number);
        }
        self.finish(actions);
    }

    /// Numbers are given back, if nobody has them; else nothing happens.
    pub(crate) fn recycle(&mut self) {
        let child = self.child();
        self.judge.tell(|| format!("recycle {child:?}"));
        self.supervisor.recycle(child);
        self.judge.recycled(child.0 as usize);
        if self.recycles_groups {
            let group = self.random.below(self.judge.groups.len() + 1);
            self.supervisor.recycle_group(GroupId(group as u32));
            self.judge.recycled_group(group);
        }
        self.judge.begin(self.now, false);
        self.finish(Vec::new());
    }

    /// Everything that the core remembers, but the time of day.
    fn picture(&self) -> String {
        let picture = format!("{:?}", self.supervisor);
        let now = picture.split(", now: ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
        picture.replacen(&format!(", now: {now},"), "", 1)
    }
}
