//! A made-up world around the keeper, on a clock that jumps: services that crash for reasons of their own, changes that hurt some
//! of them, operators, and deaths of everybody. A seed decides everything.

use crate::judge::Judge;
use crate::keeper::{Keeper, SECOND};
use crate::random::Random;
use mainstay::flags::guard::{Act, Fact, Guarding, Happened, Mode, Subject};
use mainstay::flags::migration::Enabling;
use mainstay::flags::roll::{Order, Steering};
use mainstay::flags::{
    Catalog, Declaration, Migration, Stage, Tree, Truth, Unit, Value, adopt, effective, emergency, load,
    migration, reset, roll, set, switch,
};
use mainstay::time::{Duration, Instant};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

const SERVICES: [&str; 3] = ["web", "worker", "db"];
/// Operators, crashes of other causes and deaths of keepers and hosts end here; then it must come to rest.
const ACTIVE: Duration = Duration::from_secs(900);
const REST: Duration = Duration::from_secs(2400);
/// Services run for this long before anybody does anything: what is sick has been sick for two windows.
const BEFORE: Duration = Duration::from_secs(150);
/// How long a life has to become ready.
const NEVER: Duration = Duration::from_secs(5);

/// What is going to happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Coming {
    /// An instance is started again.
    Start(String),
    /// A life reads what its program reads.
    Read(String, u64),
    /// A flag hurts this life, if it is still on for it then.
    Hurt(String, u64, usize),
    /// A life is not ready in time.
    NeverReady(String, u64),
    /// A check of a life fails, the how-manieth in a row.
    Unhealthy(String, u64, usize, u32),
    /// The guard is turned on again.
    GuardOn,
    /// Something that has nothing to do with flags kills an instance of this service.
    Crash(usize),
    /// Somebody does something.
    Operator,
    /// The keeper dies.
    KeeperDies,
    /// The supervisor or the host dies.
    SupervisorDies,
}

/// How a flag hurts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    Crash,
    NeverReady,
    Unhealthy,
}

struct Bad {
    flag: String,
    service: usize,
    how: Harm,
}

pub(crate) struct World {
    pub(crate) keeper: Keeper,
    random: Random,
    coming: BinaryHeap<Reverse<(Instant, u64, Coming)>>,
    serial: u64,
    bad: Vec<Bad>,
    /// How often each service crashes for another reason; `None`: never.
    periods: [Option<Duration>; 3],
    /// Each flag is read by these services.
    readers: BTreeMap<String, Vec<usize>>,
    began: Instant,
    seen: u64,
    /// The newest restarts of each instance: the supervisor has limits.
    restarts: BTreeMap<String, Vec<Instant>>,
    /// Lives whose checks fail.
    failing: BTreeSet<(String, u64)>,
    /// Somebody turned the guard off, or went on although it was held: what hurts is not the guard's any more.
    exempt: bool,
    /// When a flag last hurt somebody.
    pub(crate) hurt_at: Option<Instant>,
    telling: bool,
}

pub(crate) fn run(seed: u64, telling: bool) -> World {
    let mut world = World::new(seed, telling);
    world.live();
    world.judge_the_end();
    world
}

impl World {
    fn new(seed: u64, telling: bool) -> World {
        let mut random = Random::new(seed);
        let (flags, migrations) = declare(&mut random);
        let mut readers = BTreeMap::new();
        for flag in &flags {
            let mut of: Vec<usize> = (0..3).filter(|_| random.one_in(2)).collect();
            if of.is_empty() {
                of.push(0);
            }
            readers.insert(flag.name.clone(), of);
        }
        let mut bad = Vec::new();
        for flag in &flags {
            // Where the guard names services, it can only know of those.
            let named = flag.guard.as_ref().or(migrations.first().map(|migration| &migration.guard));
            let named = named.map(|guard| guard.services.clone()).unwrap_or_default();
            let known = |of: &&usize| named.is_empty() || named.iter().any(|name| name == SERVICES[**of]);
            let may: Vec<usize> = readers[&flag.name].iter().filter(known).copied().collect();
            if !may.is_empty() && random.one_in(2) {
                let service = random.pick(&may);
                let how =
                    random.pick(&[Harm::Crash, Harm::Crash, Harm::Crash, Harm::NeverReady, Harm::Unhealthy]);
                bad.push(Bad { flag: flag.name.clone(), service, how });
            }
        }
        let rate = |random: &mut Random| match random.below(4) {
            0 => Some(SECOND * (70 + random.below(600) as u32)),
            // Sick all the time.
            1 if random.one_in(2) => Some(SECOND * (5 + random.below(8) as u32)),
            _ => None,
        };
        let periods = [rate(&mut random), rate(&mut random), rate(&mut random)];
        let mut keeper = Keeper::new(Catalog::new(flags, migrations));
        keeper.judge = Some(Box::<Judge>::default());
        // Dying before each and every step is slow; what a keeper forgets shows in few steps.
        keeper.dies_deciding = if random.one_in(3) { 2 + random.below(5) as u64 } else { 0 };
        let began = keeper.mono();
        let mut world = World {
            keeper,
            random,
            coming: BinaryHeap::new(),
            serial: 0,
            bad,
            periods,
            readers,
            began,
            seen: 0,
            restarts: BTreeMap::new(),
            failing: BTreeSet::new(),
            exempt: false,
            hurt_at: None,
            telling,
        };
        if telling {
            let bad = world.bad.iter().map(|bad| (&bad.flag, SERVICES[bad.service], bad.how));
            println!("bad: {:?}; {:?}", bad.collect::<Vec<_>>(), world.keeper.catalog);
        }
        world.found();
        world
    }

    /// Services start, and everything that will happen is set going.
    fn found(&mut self) {
        for (number, service) in SERVICES.into_iter().enumerate() {
            for instance in 1..=1 + self.random.below(3) {
                let instance = format!("{service}#{instance}");
                self.keeper.add(service, &instance);
                self.start(&instance);
            }
            if let Some(period) = self.periods[number] {
                let phase = self.random.below(period.as_millis() as usize) as u64;
                self.after(Coming::Crash(number), Duration::from_millis(phase));
            }
        }
        for _ in 0..3 + self.random.below(8) {
            let at = self.random.below((ACTIVE - BEFORE).as_millis() as usize) as u64;
            self.after(Coming::Operator, BEFORE + Duration::from_millis(at));
        }
        for _ in 0..self.random.below(5) {
            let at = self.random.below(ACTIVE.as_millis() as usize) as u64;
            self.after(Coming::KeeperDies, Duration::from_millis(at));
        }
        if self.random.one_in(5) {
            for _ in 0..1 + self.random.below(4) {
                let at = self.random.below(ACTIVE.as_millis() as usize) as u64;
                self.after(Coming::SupervisorDies, Duration::from_millis(at));
            }
        }
    }

    fn live(&mut self) {
        let end = self.began + ACTIVE + REST;
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < 100_000, "it never comes to rest");
            let next = self.coming.peek().map(|Reverse((at, ..))| *at);
            let due = self.keeper.guard.next_deadline();
            let at = next.into_iter().chain(due).min().unwrap_or(end).min(end);
            if at > self.keeper.mono() {
                self.keeper.jump_to(at);
            }
            self.look();
            if at >= end {
                return;
            }
            let now = self.keeper.mono();
            if next.is_some_and(|next| next <= now)
                && let Some(Reverse((_, _, coming))) = self.coming.pop()
            {
                self.tell(|| format!("{coming:?}"));
                self.happen(coming);
                self.look();
            }
        }
    }

    /// What has changed in the meantime is seen by the services.
    fn look(&mut self) {
        if self.keeper.generation == self.seen {
            return;
        }
        self.seen = self.keeper.generation;
        let instances: Vec<String> = self.keeper.instances.keys().cloned().collect();
        for instance in instances {
            self.suffer(&instance);
        }
        // What the guard wants started again is started again.
        let fresh: Vec<(u64, Vec<String>)> =
            self.keeper.facts.fresh.iter().map(|(at, of)| (*at, of.clone())).collect();
        for (number, services) in fresh {
            let down = self.keeper.instances.iter().filter(|(name, (service, _, runs))| {
                !runs && self.restarts.get(*name).is_some_and(Vec::is_empty) && services.contains(service)
            });
            let down: Vec<String> = down.map(|(name, _)| name.clone()).collect();
            down.iter().for_each(|instance| self.start(instance));
            let told = Fact::Fresh(number, None);
            self.keeper.facts.learn(&told);
            self.keeper.guard.learn(&told);
        }
    }

    fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::Start(instance) => self.start(&instance),
            Coming::Read(instance, life) => self.read(&instance, life),
            Coming::Hurt(instance, life, bad) => self.hurt(&instance, life, bad),
            Coming::Crash(service) => {
                let Some(period) = self.periods[service] else { return };
                let of = |(name, (of, _, runs)): (&String, &(String, u64, bool))| {
                    (of == SERVICES[service] && *runs).then(|| name.clone())
                };
                let running: Vec<String> = self.keeper.instances.iter().filter_map(of).collect();
                if !running.is_empty() {
                    let instance = self.random.pick(&running);
                    self.crash(&instance);
                }
                if self.is_active() {
                    self.after(Coming::Crash(service), period);
                }
            }
            Coming::NeverReady(instance, life) => {
                let (service, of, runs) = self.keeper.instances[&instance].clone();
                if of == life && runs {
                    if self.can_be_known(&service, &instance) {
                        self.hurt_at = Some(self.keeper.mono());
                    }
                    self.keeper.judge.as_mut().unwrap().hurt.insert(service);
                    self.keeper.event(&instance, Happened::NeverReady { within: NEVER });
                    self.end(&instance, false);
                }
            }
            Coming::Unhealthy(instance, life, bad, in_a_row) => {
                let (_, of, runs) = self.keeper.instances[&instance].clone();
                if of == life && runs && self.is_on(&self.bad[bad].flag, &instance) {
                    self.hurt_at = Some(self.keeper.mono());
                    self.keeper.event(&instance, Happened::Unhealthy { in_a_row });
                    self.after(Coming::Unhealthy(instance, life, bad, in_a_row + 1), SECOND * in_a_row);
                } else {
                    self.failing.remove(&(instance, life));
                }
            }
            Coming::GuardOn => self.keeper.guard_is(Mode::On),
            Coming::Operator => self.operate(),
            Coming::KeeperDies => self.keeper.die(),
            Coming::SupervisorDies => self.supervisor_dies(),
        }
    }

    fn is_active(&self) -> bool {
        self.keeper.mono().since(self.began) < ACTIVE
    }

    fn start(&mut self, instance: &str) {
        if self.keeper.instances[instance].2 {
            return;
        }
        self.keeper.begin_life(instance);
        let (service, life, _) = self.keeper.instances[instance].clone();
        self.restarts.entry(instance.to_owned()).or_insert_with(|| vec![self.keeper.mono()]);
        let never = self.bad.iter().any(|bad| {
            bad.how == Harm::NeverReady && SERVICES[bad.service] == service && self.is_on(&bad.flag, instance)
        });
        if never {
            return self.after(Coming::NeverReady(instance.to_owned(), life), NEVER);
        }
        self.keeper.event(instance, Happened::Up);
        let soon = Duration::from_millis(self.random.below(800) as u64);
        self.after(Coming::Read(instance.to_owned(), life), soon);
    }

    /// A life reads its flags, once; from then on what is on may hurt it.
    fn read(&mut self, instance: &str, life: u64) {
        let known = &self.keeper.instances[instance];
        if known.1 != life || !known.2 {
            return;
        }
        let service = known.0.clone();
        let flags: Vec<String> = self
            .readers
            .iter()
            .filter(|(_, of)| of.iter().any(|of| SERVICES[*of] == service))
            .map(|(flag, _)| flag.clone())
            .collect();
        for flag in flags {
            self.keeper.reads(instance, &flag);
        }
        self.suffer(instance);
    }

    fn suffer(&mut self, instance: &str) {
        let (service, life, runs) = self.keeper.instances[instance].clone();
        if !runs || self.keeper.read.get(instance).is_none_or(|(of, _)| *of != life) {
            return;
        }
        for number in 0..self.bad.len() {
            let bad = &self.bad[number];
            if SERVICES[bad.service] == service
                && bad.how != Harm::NeverReady
                && self.is_on(&bad.flag, instance)
            {
                let soon = Duration::from_millis(500 + self.random.below(1000) as u64);
                self.after(Coming::Hurt(instance.to_owned(), life, number), soon);
            }
        }
    }

    fn hurt(&mut self, instance: &str, life: u64, number: usize) {
        let known = self.keeper.instances[instance].clone();
        let bad = &self.bad[number];
        if known.1 != life || !known.2 || !self.is_on(&bad.flag, instance) {
            return;
        }
        let how = bad.how;
        self.keeper.judge.as_mut().unwrap().hurt.insert(known.0);
        self.hurt_at = Some(self.keeper.mono());
        match how {
            Harm::Crash => self.crash(instance),
            Harm::Unhealthy => {
                if self.failing.insert((instance.to_owned(), life)) {
                    self.after(Coming::Unhealthy(instance.to_owned(), life, number, 1), SECOND);
                }
            }
            Harm::NeverReady => {}
        }
    }

    fn crash(&mut self, instance: &str) {
        self.keeper.crash(instance);
        self.again(instance);
    }

    fn end(&mut self, instance: &str, abnormal: bool) {
        self.keeper.instances.get_mut(instance).unwrap().2 = false;
        self.keeper.event(instance, Happened::Exited { abnormal, asked: true, crash: 0 });
        self.again(instance);
    }

    /// It is started again, unless that was too often.
    fn again(&mut self, instance: &str) {
        let now = self.keeper.mono();
        let recent = self.restarts.entry(instance.to_owned()).or_default();
        recent.retain(|at| now.since(*at) < SECOND * 30);
        recent.push(now);
        if recent.len() > 12 {
            recent.clear();
            self.keeper.event(instance, Happened::GaveUp);
        } else {
            let soon = Duration::from_millis(self.random.below(200) as u64);
            self.after(Coming::Start(instance.to_owned()), soon);
        }
    }

    fn is_on(&self, flag: &str, instance: &str) -> bool {
        let mut tree = Tree::default();
        for (name, (service, ..)) in &self.keeper.instances {
            tree.instances.entry(service.clone()).or_default().insert(name.clone());
        }
        tree.host = "host".into();
        let Some(seen) = self.keeper.see(|view| effective(view, &tree, flag)) else { return false };
        match (&seen.on, seen.truth) {
            (Some(on), _) => on.iter().any(|name| name == instance),
            (None, truth) => !truth.disabled && matches!(truth.value, Value::On | Value::Share(_)),
        }
    }

    /// Whether the guard can know what keeps an instance of this service from becoming ready. A flag that was proven while
    /// nothing was restarted is nobody's suspect any more, whatever else is watched; and where nobody is named, only those count
    /// that have read the flag, which a life that never becomes ready does not.
    fn can_be_known(&self, service: &str, instance: &str) -> bool {
        let keeper = &self.keeper;
        let has_read = |flag: &str| {
            let of = keeper.instances.iter().filter(|(_, (of, ..))| of == service);
            let mut read =
                of.filter_map(|(name, (_, life, _))| keeper.read.get(name).filter(|(of, _)| of == life));
            read.any(|(_, flags)| flags.iter().any(|read| read == flag))
        };
        let is_suspect = |flag: &str| {
            keeper.facts.watches.iter().any(|(subject, watch)| {
                let about = subject.name() == flag || watch.back.iter().any(|restore| restore.flag == flag);
                let named = &watch.guard.services;
                let counts = match named.is_empty() {
                    true => watch.readers.iter().any(|reader| reader == service) || has_read(flag),
                    false => named.iter().any(|name| name == service),
                };
                about && counts
            })
        };
        // What was taken back for this service did not help: whatever names it goes, too.
        let is_looked_at = |flag: &str| {
            let guard = keeper.catalog.flag(flag).and_then(|flag| flag.guard.as_ref());
            keeper.facts.after.contains_key(service)
                && guard.is_some_and(|guard| guard.services.iter().any(|name| name == service))
        };
        let mut keeping = self.bad.iter().filter(|bad| {
            bad.how == Harm::NeverReady && SERVICES[bad.service] == service && self.is_on(&bad.flag, instance)
        });
        keeping.any(|bad| is_suspect(&bad.flag) || is_looked_at(&bad.flag))
    }

    fn supervisor_dies(&mut self) {
        let reboot = self.random.one_in(3);
        let abrupt = !self.random.one_in(4);
        let before = self.keeper.mono();
        self.keeper.another_run(abrupt, reboot);
        let now = self.keeper.mono();
        let shift = |at: Instant| now + at.since(before);
        if reboot {
            // What was to come comes on the new clock.
            let coming = std::mem::take(&mut self.coming).into_iter();
            self.coming =
                coming.map(|Reverse((at, number, what))| Reverse((shift(at), number, what))).collect();
            let lived = before.since(self.began);
            self.began = Instant::from_nanos(now.as_nanos().saturating_sub(lived.as_nanos() as u64));
            self.hurt_at = self.hurt_at.map(|_| now);
        }
        self.restarts.clear();
        self.look();
        let all: Vec<String> = self.keeper.instances.keys().cloned().collect();
        all.iter().for_each(|instance| self.start(instance));
    }

    fn operate(&mut self) {
        let flags: Vec<String> = self.keeper.catalog.flags().map(|flag| flag.name.clone()).collect();
        let flag = self.random.pick(&flags);
        let override_ban = self.random.one_in(4);
        let keeper = &mut self.keeper;
        match self.random.below(22) {
            0..8 => {
                let value = self.random.pick(&[Value::On, Value::On, Value::Off, Value::Share(30_000)]);
                // Nobody watches a flag that is set by hand and has no guard of its own.
                self.exempt |= keeper.catalog.flag(&flag).is_some_and(|flag| flag.guard.is_none());
                let banned = is_banned(keeper, &flag);
                let edits = [(flag.clone(), Some(Truth::from(value)))];
                let done = keeper.plan("a try", override_ban, |view, asking| set(view, asking, &edits));
                if let Ok(planned) = done
                    && banned
                    && !override_ban
                {
                    let further = planned.sets.iter().any(|(name, _)| *name == flag) && value != Value::Off;
                    let back = keeper.facts.watches.contains_key(&Subject::Flag(flag.clone()));
                    assert!(!(further && back), "{flag} is banned and was set");
                }
            }
            8..12 => {
                let steps = vec![10_000, 40_000, 100_000];
                let order = Order { steps, ..Order::default() };
                let _ = keeper
                    .plan("a try", override_ban, |view, asking| roll::begin(view, asking, &flag, &order));
            }
            12..15 => {
                let to = self.random.below(4).to_string();
                let how = Enabling { force: self.random.one_in(3), at_once: self.random.one_in(2) };
                let _ = keeper.plan("a try", override_ban, |view, asking| {
                    migration::enable(view, asking, "m", &to, how)
                });
            }
            15 => {
                let to = self.random.below(3).to_string();
                let _ = keeper
                    .plan("back", false, |view, asking| migration::rollback(view, asking, "m", &to, true));
            }
            16 => {
                let roll = 1 + self.random.below(3) as u64;
                let to = self.random.pick(&[Steering::End, Steering::Back, Steering::On]);
                let done = keeper.plan("steered", false, |view, asking| roll::steer(view, asking, roll, to));
                self.exempt |= done.is_ok() && to == Steering::On;
            }
            17 => {
                let thaw = [flag];
                let _ = keeper.plan("fixed", false, |view, asking| switch(view, asking, None, &thaw));
            }
            18 => {
                // Another definition, which the old one's bans do not hold for. Another salt takes in others at the same share:
                // no value changes, so there is nothing that the guard could watch or take back.
                self.exempt = true;
                let before = keeper.catalog.clone();
                let salt = self.random.next().to_string();
                let change = |flag: &Declaration| Declaration { salt: salt.clone(), ..flag.clone() };
                let migrations: Vec<Migration> = before.migrations().cloned().collect();
                keeper.catalog = Catalog::new(before.flags().map(change), migrations);
                keeper.plan("", false, |view, asking| Ok(adopt(&before, view, asking))).unwrap();
            }
            19 => {
                let mode = self.random.pick(&[Mode::Off, Mode::Observe]);
                self.exempt = true;
                keeper.guard_is(mode);
                let back = SECOND * self.random.below(300) as u32;
                self.after(Coming::GuardOn, back);
            }
            20 => {
                let done = match self.random.below(3) {
                    0 => keeper.plan("fire", false, |view, asking| emergency(view, asking, None)),
                    1 => keeper.plan("again", false, |view, asking| reset(view, asking, &[])),
                    _ => keeper.plan("again", false, load),
                };
                done.unwrap();
            }
            _ => {
                let far = 400 * 86_400 * 1_000_000_i64;
                keeper.now.wall.0 += self.random.pick(&[far, -far, 3_600_000_000]);
            }
        }
    }

    /// Whatever hurt is off where the guard had the say; nothing is watched for ever without a reason.
    fn judge_the_end(&mut self) {
        let now = self.keeper.mono();
        let acts = self.keeper.acts();
        let held = acts.iter().any(|act| matches!(act, Act::Hold { .. }));
        let one_way = self.keeper.stage("m") >= 3;
        let still = self.hurt_at.is_some_and(|at| now.since(at) < SECOND * 1200);
        let excused = self.exempt || held || one_way;
        assert!(!still || excused, "something hurts to the end, and the guard has not said why");
        let standing = self.keeper.see(|view| self.keeper.guard.standing(self.keeper.now, view));
        for one in &standing {
            let rolling = self.keeper.facts.watches[&one.subject].roll.is_some();
            assert!(!one.held.is_empty() || rolling, "{one:?} is watched for ever");
        }
        if standing.is_empty() {
            assert_eq!(self.keeper.guard.wants(), None);
        }
        for (number, roll) in &self.keeper.facts.rolls {
            if matches!(roll.state, mainstay::flags::guard::RollState::Baking) {
                assert!(self.keeper.facts.watches.contains_key(&roll.subject), "nobody watches r-{number}");
            }
        }
    }

    fn after(&mut self, what: Coming, wait: Duration) {
        self.serial += 1;
        self.coming.push(Reverse((self.keeper.mono() + wait, self.serial, what)));
    }

    fn tell(&self, what: impl Fn() -> String) {
        if self.telling {
            let ms = self.keeper.mono().since(self.began).as_millis();
            let set: Vec<String> =
                self.keeper.set.iter().map(|(flag, truth)| format!("{flag}={truth}")).collect();
            let watched: Vec<String> = self.keeper.facts.watches.keys().map(ToString::to_string).collect();
            let done = self.keeper.done.last().map(|(_, done)| &done.act);
            println!("{ms} ms: {} [{}] watched [{}] {done:?}", what(), set.join(" "), watched.join(", "));
        }
    }
}

fn is_banned(keeper: &Keeper, flag: &str) -> bool {
    let subject = Subject::Flag(flag.to_owned());
    let ban = keeper.facts.bans.get(&subject);
    ban.is_some_and(|ban| keeper.catalog.digest(&subject) == Some(ban.digest))
}

fn declare(random: &mut Random) -> (Vec<Declaration>, Vec<Migration>) {
    let guarding = |random: &mut Random| {
        let within = SECOND * (20 + random.below(41) as u32);
        let services = match random.below(3) {
            0 => Vec::new(),
            1 => vec!["web".to_owned(), "worker".to_owned(), "db".to_owned()],
            _ => (0..1 + random.below(3)).map(|at| SERVICES[at].to_owned()).collect(),
        };
        let crashes = 2 + random.below(3) as u32;
        Guarding { services, within, crashes, bake: within * 2, ..Guarding::default() }
    };
    let mut flag = |name: &str, guarded: bool| Declaration {
        name: name.into(),
        salt: name.into(),
        unit: if random.one_in(3) { Unit::Instance } else { Unit::Id },
        guard: guarded.then(|| guarding(random)),
        ..Declaration::default()
    };
    let mut flags = vec![flag("x", true), flag("y", true), flag("z", true)];
    let mut migrations = Vec::new();
    if random.one_in(3) {
        let stage =
            |name: &str| Stage { name: format!("{name}-stage"), on: vec![name.into()], ..Stage::default() };
        let stages = vec![
            stage("a"),
            Stage { steps: vec![20_000, 100_000], ..stage("b") },
            Stage { one_way: true, ..stage("c") },
        ];
        migrations.push(Migration {
            name: "m".into(),
            stages,
            guard: guarding(random),
            ..Migration::default()
        });
        let plain =
            |name: &str| Declaration { name: name.into(), salt: name.into(), ..Declaration::default() };
        flags.extend(["a", "b", "c"].map(plain));
    }
    (flags, migrations)
}
