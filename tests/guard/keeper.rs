//! A keeper without a process: it holds what is declared, what is set, the facts and the guard, commits what is planned, and is fed
//! from a ring of events as the real one is.

use mainstay::flags::guard::{Act, Decision, Event, Fact, Facts, Guard, Happened, Input, Mode, Moment};
use mainstay::flags::{Asking, Catalog, Planned, Refused, Truth, Value, View};
use mainstay::time::{Duration, Instant, Wall};
use std::collections::{BTreeMap, VecDeque};

/// As many events as the supervisor keeps.
const RING: usize = 8192;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) struct Keeper {
    pub(crate) catalog: Catalog,
    pub(crate) set: BTreeMap<String, Truth>,
    pub(crate) facts: Facts,
    pub(crate) guard: Guard,
    pub(crate) generation: u64,
    pub(crate) now: Moment,
    /// Everything that the guard did, and when.
    pub(crate) done: Vec<(Moment, Decision)>,
    /// What the supervisor would say to a new life of the keeper.
    pub(crate) instances: BTreeMap<String, (String, u64, bool)>,
    /// What black boxes of lives that run say.
    pub(crate) read: BTreeMap<String, (u64, Vec<String>)>,
    pub(crate) run: u64,
    pub(crate) abrupt: bool,
    pub(crate) ring: VecDeque<Event>,
    pub(crate) seq: u64,
    /// The supervisor sends what comes after this; `None`: nothing.
    feeding: Option<u64>,
    /// The guard thrown away and made anew before everything that is asked of it.
    pub(crate) dies_always: bool,
    /// How often the guard was asked.
    pub(crate) asked: u64,
    /// Once in so many decisions the keeper dies before it is committed; 0: never.
    pub(crate) dies_deciding: u64,
    /// Who judges, if somebody does.
    pub(crate) judge: Option<Box<crate::judge::Judge>>,
}

impl Keeper {
    pub(crate) fn new(catalog: Catalog) -> Keeper {
        let now = Moment { mono_ns: 100_000_000_000, boot: 1, wall: Wall(1_700_000_000_000_000) };
        let mut keeper = Keeper {
            catalog,
            set: BTreeMap::new(),
            facts: Facts::default(),
            guard: Guard::new(),
            generation: 0,
            now,
            done: Vec::new(),
            instances: BTreeMap::new(),
            read: BTreeMap::new(),
            run: 1,
            abrupt: false,
            ring: VecDeque::new(),
            seq: 0,
            feeding: None,
            dies_always: false,
            asked: 0,
            dies_deciding: 0,
            judge: None,
        };
        keeper.begin();
        keeper
    }

    pub(crate) fn mono(&self) -> Instant {
        self.now.mono()
    }

    pub(crate) fn see<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        let set = |flag: &str| self.set.get(flag).copied();
        look(&View { catalog: &self.catalog, set: &set, facts: &self.facts })
    }

    pub(crate) fn truth(&self, flag: &str) -> Truth {
        self.see(|view| view.truth(flag))
    }

    pub(crate) fn stage(&self, migration: &str) -> u32 {
        self.see(|view| view.stage(migration))
    }

    /// Somebody asks for a change.
    pub(crate) fn plan(
        &mut self,
        reason: &str,
        override_ban: bool,
        plan: impl FnOnce(&View, &Asking) -> Result<Planned, Refused>,
    ) -> Result<Planned, Refused> {
        let (generation, now) = (self.generation + 1, self.now);
        let asking = Asking { generation, now, uid: 1000, actor: "ana", reason, override_ban };
        let mut planned = self.see(|view| plan(view, &asking))?;
        if !planned.is_empty() {
            self.guard.arm(&mut planned);
            self.commit(&planned);
        }
        self.settle();
        Ok(planned)
    }

    pub(crate) fn set(&mut self, flag: &str, to: Value) -> Result<Planned, Refused> {
        let edits = [(flag.to_owned(), Some(Truth::from(to)))];
        self.plan("a try", false, |view, asking| mainstay::flags::set(view, asking, &edits))
    }

    fn commit(&mut self, planned: &Planned) {
        if let Some(mut judge) = self.judge.take() {
            judge.commits(self, planned);
            self.judge = Some(judge);
        }
        self.generation += 1;
        let mut names: Vec<_> = planned.sets.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a flag is named twice: {planned:?}");
        for (flag, truth) in &planned.sets {
            match truth {
                Some(truth) => drop(self.set.insert(flag.clone(), *truth)),
                None => drop(self.set.remove(flag)),
            }
        }
        for fact in &planned.facts {
            self.facts.learn(fact);
            self.guard.learn(fact);
        }
    }

    /// The keeper dies and comes back: all that the guard knows is gone.
    pub(crate) fn die(&mut self) {
        self.guard = Guard::new();
        self.feeding = None;
        self.begin();
        self.settle();
    }

    fn begin(&mut self) {
        let now = self.mono();
        let facts: Vec<Fact> = self.facts.iter().filter(|fact| !fact.is_over()).collect();
        assert_eq!(Facts::of(&facts), self.facts, "facts come back from a snapshot");
        facts.iter().for_each(|fact| self.guard.learn(fact));
        for (instance, (service, incarnation, runs)) in &self.instances {
            let (service, instance) = (service.clone(), instance.clone());
            self.guard.handle(now, Input::Instance { service, instance: instance.clone() });
            if *runs {
                self.guard.handle(now, Input::Life { instance, incarnation: *incarnation });
            }
        }
        let (run, abrupt) = (self.run, self.abrupt);
        self.guard.handle(now, Input::Begun { run, abrupt });
        for (instance, (incarnation, flags)) in &self.read {
            for flag in flags {
                let (instance, incarnation, flag) = (instance.clone(), *incarnation, flag.clone());
                self.guard.handle(now, Input::Read { instance, incarnation, flag });
            }
        }
    }

    /// The tree gets an instance.
    pub(crate) fn add(&mut self, service: &str, instance: &str) {
        self.instances.insert(instance.to_owned(), (service.to_owned(), 0, false));
        let (service, instance) = (service.to_owned(), instance.to_owned());
        self.guard.handle(self.mono(), Input::Instance { service, instance });
    }

    /// A life of it begins, and is up at once.
    pub(crate) fn start(&mut self, instance: &str) {
        self.begin_life(instance);
        self.event(instance, Happened::Up);
    }

    /// A life of it begins.
    pub(crate) fn begin_life(&mut self, instance: &str) {
        let known = self.instances.get_mut(instance).unwrap();
        (known.1, known.2) = (known.1 + 1, true);
        let incarnation = known.1;
        self.read.remove(instance);
        self.guard.handle(self.mono(), Input::Life { instance: instance.to_owned(), incarnation });
        self.event(instance, Happened::Starting);
    }

    /// It dies by itself.
    pub(crate) fn crash(&mut self, instance: &str) {
        self.instances.get_mut(instance).unwrap().2 = false;
        self.event(instance, Happened::Exited { abnormal: true, asked: false, crash: self.seq + 1000 });
        self.read.remove(instance);
    }

    pub(crate) fn event(&mut self, instance: &str, what: Happened) {
        let (service, incarnation) = match self.instances.get(instance) {
            Some((service, incarnation, _)) => (service.clone(), *incarnation),
            None => (instance.rsplit('#').next_back().unwrap().to_owned(), 0),
        };
        self.seq += 1;
        let at = self.mono();
        if let Some(judge) = &mut self.judge {
            judge.happened(at, &service, instance, &what);
        }
        let event = Event { seq: self.seq, at, service, instance: instance.to_owned(), incarnation, what };
        self.ring.push_back(event);
        if self.ring.len() > RING {
            self.ring.pop_front();
        }
        self.settle();
    }

    /// Its newest life has read a flag.
    pub(crate) fn reads(&mut self, instance: &str, flag: &str) {
        let incarnation = self.instances[instance].1;
        let read = self.read.entry(instance.to_owned()).or_default();
        if read.0 != incarnation {
            *read = (incarnation, Vec::new());
        }
        if read.1.iter().any(|known| known == flag) {
            return;
        }
        read.1.push(flag.to_owned());
        let (instance, flag) = (instance.to_owned(), flag.to_owned());
        self.guard.handle(self.mono(), Input::Read { instance, incarnation, flag });
        self.settle();
    }

    /// The supervisor sends what is wanted.
    fn feed(&mut self) {
        let Some(after) = self.guard.wants() else {
            self.feeding = None;
            return;
        };
        let from = self.feeding.unwrap_or(after);
        let now = self.mono();
        let first = self.ring.front().map_or(0, |event| event.seq);
        if self.feeding.is_none() && first > from + 1 {
            self.guard.handle(now, Input::Missed(first - from - 1));
        }
        let begin = self.ring.partition_point(|event| event.seq <= from);
        let new: Vec<Event> = self.ring.range(begin..).cloned().collect();
        for event in new {
            self.guard.handle(now, Input::Happened(event));
        }
        self.feeding = Some(self.seq);
    }

    /// Everything that is to be done now is done.
    pub(crate) fn settle(&mut self) {
        if self.dies_always {
            self.guard = Guard::new();
            self.feeding = None;
            self.begin();
        }
        for turn in 0.. {
            assert!(turn < 200, "the guard never comes to an end: {:?}", self.done.last());
            self.feed();
            self.asked += 1;
            let (now, generation) = (self.now, self.generation + 1);
            let set = |flag: &str| self.set.get(flag).copied();
            let view = View { catalog: &self.catalog, set: &set, facts: &self.facts };
            let Some(mut decision) = self.guard.decide(now, &view, generation) else { break };
            if self.dies_deciding != 0 && mainstay::flags::mix(self.asked).is_multiple_of(self.dies_deciding)
            {
                self.guard = Guard::new();
                self.feeding = None;
                self.begin();
                continue;
            }
            if let Some(judge) = self.judge.take() {
                judge.decided(self, &decision);
                self.judge = Some(judge);
            }
            if !decision.change.is_empty() {
                self.guard.arm(&mut decision.change);
                self.commit(&decision.change);
            }
            self.done.push((now, decision));
        }
        if let Some(due) = self.guard.next_deadline() {
            assert!(due > self.mono(), "what is due was not done");
        }
        if let Some(judge) = self.judge.take() {
            judge.settled(self);
            self.judge = Some(judge);
        }
    }

    /// Time passes, and the guard is asked whenever it wants to be.
    pub(crate) fn wait(&mut self, duration: Duration) {
        let until = self.mono() + duration;
        loop {
            let next = self.guard.next_deadline().filter(|due| *due <= until).unwrap_or(until);
            self.jump_to(next);
            if next >= until {
                return;
            }
        }
    }

    /// This moment comes, and nothing before it.
    pub(crate) fn jump_to(&mut self, moment: Instant) {
        let by = moment.since(self.mono());
        self.now.mono_ns += by.as_nanos() as u64;
        self.now.wall.0 += by.as_micros() as i64;
        self.settle();
    }

    /// The supervisor died, or the whole host: another run begins, its events anew.
    pub(crate) fn another_run(&mut self, abrupt: bool, reboot: bool) {
        (self.run, self.abrupt) = (self.run + 1, abrupt);
        self.ring.clear();
        self.read.clear();
        if reboot {
            (self.now.boot, self.now.mono_ns) = (self.now.boot + 1, 5_000_000_000);
        }
        self.instances.values_mut().for_each(|known| known.2 = false);
        if let Some(judge) = &mut self.judge {
            judge.another_run();
        }
        self.die();
    }

    /// What it did, without notes.
    pub(crate) fn acts(&self) -> Vec<&Act> {
        self.done.iter().map(|(_, decision)| &decision.act).filter(|act| !matches!(act, Act::Note)).collect()
    }

    /// Changes that it took back.
    pub(crate) fn rollbacks(&self) -> Vec<(Moment, &mainstay::flags::guard::Reason)> {
        let of = self.done.iter().filter_map(|(at, decision)| match &decision.act {
            Act::RollBack(reason) => Some((*at, reason)),
            _ => None,
        });
        of.collect()
    }

    pub(crate) fn guard_is(&mut self, mode: Mode) {
        self.plan("a try", false, |view, asking| mainstay::flags::switch(view, asking, Some(mode), &[]))
            .unwrap();
    }
}
