//! A made-up world: processes that obey, ignore, crash, leave helpers behind; news that come late, twice or
//! never; a clock that jumps.
//!
//! It knows what is true and hands it to the judge ([`crate::judge::Judge`]), which knows what must be.

use crate::judge::Judge;
use crate::plant;
use crate::random::Random;
use mainstay::supervisor::spec::{ChildId, Grace, GroupId, Incarnation, Node, Tree};
use mainstay::supervisor::{Action, Cause, Command, Event, Supervisor};
use mainstay::time::{Duration, Instant};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) supervisor: Supervisor,
    pub(crate) judge: Judge,
    pub(crate) now: Instant,
    /// The tree of the newest reload, in its own numbers.
    pub(crate) file: Tree,
    /// So many groups of it are never renamed, moved or removed.
    pub(crate) fixed: usize,
    /// How many names were made up.
    pub(crate) names: usize,
    /// What will happen: (when, in which order, to whom).
    coming: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    /// The events behind `coming`.
    events: Vec<Event>,
    /// False: everything works from now on.
    faults: bool,
    /// How often a life crashes, a start fails, …: once in so many.
    trouble: usize,
    commands: bool,
    changes: bool,
    reloads: bool,
    rolls: bool,
    /// Lives fail while they run. Drawn apart, so that other histories are as they were.
    fails: Option<Random>,
    /// And somebody takes causes away.
    pardons: bool,
    /// Numbers of groups are given again.
    pub(crate) recycles_groups: bool,
    actions: Vec<Action>,
}

/// In histories whose seed has this bit lives fail while they run.
pub(crate) const FAILING: u64 = 1 << 32;
/// And with this one numbers of groups are given again.
pub(crate) const RECYCLING: u64 = 1 << 33;

/// Runs one history to its end. Panics when an invariant is broken; `telling`: and tells what came before.
pub(crate) fn run(seed: u64, telling: bool) {
    let mut random = Random::new(seed);
    let tree = plant::tree(&mut random);
    let first = Incarnation(1 + random.below(1000) as u64);
    let supervisor = Supervisor::new(tree.clone(), random.next(), first);
    // A quarter of the histories is what it was before there were calls: the judge knows most about those.
    // SIM_QUIET: nobody asks for anything; only processes, the kernel and time act.
    let quiet = std::env::var_os("SIM_QUIET").is_some();
    let alone = random.one_in(4) || quiet;
    let mut world = World {
        fixed: 1 + usize::from(tree.groups.get(1).is_some_and(|group| group.parent.is_none())),
        file: tree.clone(),
        names: 0,
        judge: Judge::new(tree, first, telling),
        trouble: random.pick(&[2, 4, 10]),
        commands: random.one_in(2) && !quiet,
        changes: !alone && random.one_in(2),
        reloads: !alone && random.one_in(2),
        rolls: !alone && random.one_in(2),
        fails: (seed & FAILING != 0).then(|| Random::new(!seed)),
        recycles_groups: seed & RECYCLING != 0,
        pardons: !quiet,
        random,
        supervisor,
        now: Instant::from_nanos(1_000_000_000),
        coming: BinaryHeap::new(),
        events: Vec::new(),
        faults: true,
        actions: Vec::new(),
    };
    world.handle(Event::Boot);
    for _ in 0..world.random.pick(&[20, 60, 120]) {
        world.step();
    }
    world.faults = false;
    world.come_to_rest();
    world.judge.at_rest(&world.supervisor);
    if !world.judge.over() {
        let end = if world.random.one_in(4) { Command::Hurry } else { Command::Shutdown };
        world.handle(Event::Command(end));
        world.come_to_rest();
    }
    world.judge.at_end();
    // Nothing wakes it again.
    for _ in 0..5 {
        world.noise();
        world.command();
        world.ask();
        world.handle(Event::Deadline);
    }
}

impl World {
    /// One thing happens.
    fn step(&mut self) {
        if self.fails.as_mut().is_some_and(|random| random.one_in(12)) && self.pardons {
            self.pardon();
        }
        match self.random.below(12) {
            0 => self.noise(),
            1 if self.commands => self.command(),
            2 | 3 => self.ask(),
            _ => {
                self.advance();
            }
        }
    }

    /// Somebody asks for something else than a command.
    fn ask(&mut self) {
        match self.random.below(4) {
            0 if self.reloads => self.reload(),
            1 if self.rolls => self.roll(),
            2 if self.changes => self.change(),
            3 if self.changes => self.recycle(),
            _ => {
                self.advance();
            }
        }
    }

    /// Goes on until nothing is due any more.
    fn come_to_rest(&mut self) {
        for _ in 0..100_000 {
            if !self.advance() {
                return;
            }
        }
        panic!("no livelock: it comes to rest when all faults stop");
    }

    /// The next event or deadline, whichever comes first. False when there is none.
    fn advance(&mut self) -> bool {
        let event_at = self.coming.peek().map(|Reverse((at, ..))| *at);
        let deadline = self.supervisor.next_deadline();
        match (event_at, deadline) {
            (None, None) => false,
            // Sometimes the loop is slow: the news is handled first, though the deadline came before it.
            (Some(at), Some(due)) if due < at && !(self.faults && self.random.one_in(8)) => {
                self.deadline(due)
            }
            (None, Some(due)) => self.deadline(due),
            (Some(_), _) => {
                let Some(Reverse((at, _, event))) = self.coming.pop() else { return false };
                self.now = self.now.max(at);
                let event = self.events[event].clone();
                if self.judge.is_true(&event) {
                    self.handle(event);
                }
                true
            }
        }
    }

    fn deadline(&mut self, due: Instant) -> bool {
        self.now = self.now.max(due);
        self.handle(Event::Deadline);
        true
    }

    pub(crate) fn handle(&mut self, event: Event) {
        let mut actions = std::mem::take(&mut self.actions);
        let truth = self.judge.is_true(&event);
        self.judge.before(self.now, &event);
        self.supervisor.handle(self.now, event.clone(), &mut actions);
        self.judge(&actions);
        if let Event::Started(child, life) = event
            && truth
        {
            self.live(child, life);
            self.fail(child, life);
        }
        for action in actions.drain(..) {
            self.act(action);
        }
        self.actions = actions;
    }

    fn judge(&mut self, actions: &[Action]) {
        self.judge.empty_groups_are_back(&self.supervisor);
        for action in actions {
            self.judge.action(action, &self.supervisor);
        }
        self.judge.after(&self.supervisor);
    }

    /// Judges, and does, what was asked for.
    pub(crate) fn finish(&mut self, actions: Vec<Action>) {
        self.judge(&actions);
        for action in actions {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            // There is nothing to run, now and then.
            Action::Start(child, life) if self.random.one_in(25) => {
                self.soon(Event::Ignored(child, life), 20)
            }
            Action::Start(child, life) if self.unlucky() => self.soon(Event::StartFailed(child, life), 20),
            Action::Start(child, life) => self.soon(Event::Started(child, life), 20),
            Action::Stop(child, life) => self.obey(child, life),
            Action::Kill(child, life) => {
                let leftovers = self.faults && self.random.one_in(4);
                self.soon(exit(child, life, Cause::Signal(9, false), leftovers), 30);
                self.after(Event::Cleared(child, life), 40);
            }
            Action::Report(_) | Action::End(_) => {}
        }
    }

    /// A process has begun its life: decide how that will go.
    fn live(&mut self, child: ChildId, life: Incarnation) {
        let policy = &self.judge.map.tree.children[child.0 as usize];
        let (clean, stop_signal) = (policy.clean.clone(), policy.stop_signal);
        if let Some(within) = policy.ready_within {
            let within = within.as_millis() as usize;
            let longest = if self.faults && self.random.one_in(6) { within * 2 } else { within / 2 };
            if !self.faults || !self.unlucky() {
                let wait = self.random.below(longest.max(10));
                self.after(Event::Ready(child, life), wait);
            }
        }
        let dies = self.faults && !self.random.one_in(3);
        if dies {
            let cause = self.random.pick(&[
                Cause::Code(0),
                Cause::Code(1),
                Cause::Code(clean.first().copied().unwrap_or(1)),
                Cause::Signal(11, true),
                Cause::Signal(9, false),
                Cause::Signal(stop_signal, false),
                Cause::Unknown,
                Cause::Code(plant::IGNORE),
            ]);
            let wait = self.random.pick(&[0, 10, 50, 200, 700, 3000]);
            let leftovers = self.random.one_in(5);
            self.after(exit(child, life, cause, leftovers), wait);
        }
    }

    /// A process may fail while it runs: it is asked to stop, or has ended of it.
    fn fail(&mut self, child: ChildId, incarnation: Incarnation) {
        let Some(random) = self.fails.as_mut().filter(|_| self.faults) else { return };
        if !random.one_in(4) {
            return;
        }
        let (wait, ended) = (random.pick(&[0, 10, 60, 300, 1500]), random.one_in(3));
        let leftovers = random.one_in(4);
        self.after(Event::Failed { child, incarnation, ended }, wait);
        if ended {
            self.after(exit(child, incarnation, Cause::Signal(9, false), leftovers), wait);
        }
    }

    /// Somebody takes a cause of failures away.
    fn pardon(&mut self) {
        let Some(random) = &mut self.fails else { return };
        let (children, groups) = (self.judge.known.len(), self.judge.groups.len());
        let node = if random.one_in(2) {
            Node::Child(ChildId(random.below(children + 1) as u32))
        } else {
            Node::Group(GroupId(random.below(groups + 1) as u32))
        };
        self.handle(Event::Command(Command::Fresh(node)));
    }

    /// A process was asked to stop.
    fn obey(&mut self, child: ChildId, life: Incarnation) {
        let policy = &self.judge.map.tree.children[child.0 as usize];
        let forever = policy.grace == Grace::Forever;
        let cause = Cause::Signal(policy.stop_signal, false);
        let cause = if self.random.one_in(3) { Cause::Code(0) } else { cause };
        let deaf = self.faults && !forever && self.random.one_in(4);
        if !deaf {
            let leftovers = self.faults && self.random.one_in(5);
            let wait = self.random.pick(&[0, 0, 10, 150, 600]);
            self.after(exit(child, life, cause, leftovers), wait);
            // Its helpers obey too, or only SIGKILL makes them go.
            if forever || self.random.one_in(2) {
                self.after(Event::Cleared(child, life), wait + 10);
            }
        }
    }

    /// News that was told already, or was never true, or is about nobody.
    fn noise(&mut self) {
        let child = ChildId(self.random.below(self.judge.known.len() + 1) as u32);
        let newest = self.judge.last.0 + 1;
        let life = match self.judge.known.get(child.0 as usize) {
            // Of the life that the number had last, be it another child's.
            Some(known) if self.random.one_in(2) => known.newest,
            Some(known) if self.random.one_in(2) => known.past,
            _ => Incarnation(self.random.below(newest as usize + 3) as u64),
        };
        let event = match self.random.below(7) {
            0 => Event::Started(child, life),
            1 => Event::StartFailed(child, life),
            2 => Event::Ready(child, life),
            3 => exit(child, life, Cause::Code(1), self.random.one_in(2)),
            4 => Event::Cleared(child, life),
            5 => Event::Ignored(child, life),
            _ => Event::Deadline,
        };
        // The truth is not noise; and an exit of a life whose start was not answered yet is believed.
        let unanswered = self.judge.is_true(&Event::Started(child, life));
        if !(self.judge.is_true(&event) || unanswered) || event == Event::Deadline {
            self.judge.noise = event != Event::Deadline;
            self.handle(event);
            self.judge.noise = false;
        }
    }

    fn unlucky(&mut self) -> bool {
        self.faults && self.random.one_in(self.trouble)
    }

    /// Within `millis`, often at once.
    fn soon(&mut self, event: Event, millis: usize) {
        let wait = if self.random.one_in(2) { 0 } else { self.random.below(millis) };
        self.after(event, wait);
    }

    /// At a moment on a coarse grid, so that things coincide.
    fn after(&mut self, event: Event, millis: usize) {
        let at = self.now + Duration::from_millis(millis as u64);
        self.coming.push(Reverse((at, self.events.len() as u64, self.events.len())));
        self.events.push(event);
    }
}

fn exit(child: ChildId, incarnation: Incarnation, cause: Cause, leftovers: bool) -> Event {
    Event::Exited { child, incarnation, cause, leftovers }
}
