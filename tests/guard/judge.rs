//! What must hold, found out anew from everything that ever happened: slowly, without the guard's own arithmetic, and without its
//! memory.
//!
//! - **False trip:** a change is taken back because of crashes, and in no window since (the change; the last rollback of something
//!   else for that service) there were as many abnormal exits of one service that counts as its guard says; or there were no
//!   more than in the window that ended with the change (and, where a window that ended up to one window earlier had more, one
//!   more is allowed for). Besides, of the world's own knowledge: no change is ever taken back because of a service that
//!   nothing has hurt in this history.
//! - **Missed trip:** whenever the keeper has nothing left to do, there is a watched change with such a window that is not taken
//!   back, although nothing bars it: not the window that something else was given, no cool-down, no freeze, no one-way stage,
//!   no observing.
//! - **Order:** the one that is taken back is the newest of those.
//! - **Bans:** none is taken back again within ten minutes; three times in 24 hours and it is frozen.
//! - **Back:** what is taken back is what it was before the first change that has not baked since.
//! - **Bake:** what is proven has been watched for its bake, and every instance of every service that counts and runs has been up
//!   for as long, and nobody is waited for.

use crate::keeper::Keeper;
use mainstay::flags::guard::{Act, Decision, Fact, Happened, Mode, RollState, Signal, Subject, Watch};
use mainstay::flags::{Planned, Truth};
use mainstay::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Default)]
pub(crate) struct Judge {
    /// Abnormal exits of this run of the supervisor, by service.
    exits: BTreeMap<String, Vec<Instant>>,
    /// Instances: service, and since when it is up; `None`: it is waited for.
    lives: BTreeMap<String, (String, Option<Instant>)>,
    /// It is not the first run of the supervisor.
    another: bool,
    /// What each flag was before the first change that has not baked.
    base: BTreeMap<Subject, Option<Truth>>,
    /// When each subject was taken back, and on which boot.
    taken: BTreeMap<Subject, Vec<(u64, Instant)>>,
    /// An exit has happened since the last look.
    fresh: std::cell::Cell<bool>,
    /// Services that something really hurt.
    pub(crate) hurt: BTreeSet<String>,
    /// So many rollbacks were judged.
    pub(crate) rollbacks: std::cell::Cell<u64>,
}

impl Judge {
    pub(crate) fn happened(&mut self, at: Instant, service: &str, instance: &str, what: &Happened) {
        let life = |up| (service.to_owned(), up);
        match what {
            Happened::Exited { abnormal, asked, .. } => {
                self.lives.insert(instance.to_owned(), life(None));
                if *abnormal && !asked {
                    self.exits.entry(service.to_owned()).or_default().push(at);
                    self.fresh.set(true);
                }
            }
            Happened::Starting => drop(self.lives.insert(instance.to_owned(), life(None))),
            Happened::Up => drop(self.lives.insert(instance.to_owned(), life(Some(at)))),
            Happened::Down | Happened::GaveUp => drop(self.lives.remove(instance)),
            Happened::NeverReady { .. }
            | Happened::Unhealthy { .. }
            | Happened::LimitReached { .. }
            | Happened::Other => {}
        }
    }

    pub(crate) fn another_run(&mut self) {
        self.exits.clear();
        self.lives.clear();
        self.another = true;
    }

    /// A change is about to be true.
    pub(crate) fn commits(&mut self, keeper: &Keeper, planned: &Planned) {
        for fact in &planned.facts {
            if let Fact::Watch(subject @ Subject::Flag(flag), Some(watch)) = fact
                && !keeper.facts.watches.contains_key(subject)
            {
                let by_plan = watch.back.first().is_some_and(|restore| restore.new.is_none());
                // A step of a rollout goes back to what was before all of it.
                let by_step = watch.roll.is_some_and(|number| keeper.facts.rolls.contains_key(&number));
                let before =
                    if by_plan || by_step { watch.back[0].old } else { keeper.set.get(flag).copied() };
                self.base.insert(subject.clone(), before);
            }
            if let Fact::Past(subject, None) = fact {
                self.taken.remove(subject);
            }
            if let Fact::Past(subject, Some(_)) = fact {
                let at = (keeper.now.boot, keeper.mono());
                self.taken.entry(subject.clone()).or_default().push(at);
            }
        }
    }

    /// The guard has decided, and nothing of it is true yet.
    pub(crate) fn decided(&self, keeper: &Keeper, decision: &Decision) {
        match &decision.act {
            Act::RollBack(reason) => {
                self.rollbacks.set(self.rollbacks.get() + 1);
                let subject = reason.subject.as_ref().expect("a rollback is of something");
                let watch = &keeper.facts.watches[subject];
                self.check_cool_down(keeper, subject);
                // Of a supervisor that is dead nobody knows who was sick.
                if reason.signal != Signal::Starts && !self.another {
                    let service = &reason.service;
                    assert!(self.hurt.contains(service), "nothing has hurt {service}: {reason:?}");
                }
                if reason.signal == Signal::Crashes {
                    assert!(self.trips(keeper, watch, &reason.service), "a false trip: {reason:?}");
                    for (other, newer) in &keeper.facts.watches {
                        if newer.generation > watch.generation {
                            assert!(!self.must_go(keeper, other, newer), "{other} is newer than {subject}");
                        }
                    }
                }
                self.check_back(keeper, subject, decision);
            }
            Act::Prove { subject, .. } => self.check_bake(keeper, subject),
            Act::Step { roll } => self.check_bake(keeper, &keeper.facts.rolls[roll].subject),
            Act::Observed(_)
            | Act::LastGood(_)
            | Act::Safe(_)
            | Act::Hold { .. }
            | Act::Note
            | Act::Run { .. } => {}
        }
    }

    /// The keeper has nothing left to do.
    pub(crate) fn settled(&self, keeper: &Keeper) {
        if self.fresh.replace(false) {
            for (subject, watch) in &keeper.facts.watches {
                assert!(!self.must_go(keeper, subject, watch), "a missed trip: {subject} {watch:?}");
            }
        }
        for (subject, watch) in &keeper.facts.watches {
            let going = |number| {
                let roll = keeper.facts.rolls.get(&number);
                roll.is_some_and(|roll| matches!(roll.state, RollState::Baking | RollState::Held))
            };
            assert!(watch.roll.is_none_or(going), "{subject} is watched for a rollout that is over");
        }
    }

    /// It does harm, and nothing bars the guard.
    fn must_go(&self, keeper: &Keeper, subject: &Subject, watch: &Watch) -> bool {
        let on = keeper.facts.switch == Mode::On && watch.guard.mode == Mode::On;
        let settled = watch.settled_ns <= keeper.now.mono_ns;
        let past = keeper.facts.past.get(subject);
        let frozen = past.is_some_and(|past| past.frozen);
        let cool = past.and_then(|past| past.rollbacks.last());
        let cooling = cool.is_some_and(|last| keeper.now.since(*last) < Duration::from_secs(600));
        let one_way = match subject {
            Subject::Flag(_) => false,
            Subject::Stage(name, number) => {
                let from = watch.stage.unwrap_or(number - 1);
                let stages = &keeper
                    .catalog
                    .migration(name)
                    .map(|migration| migration.stages.clone())
                    .unwrap_or_default();
                stages.iter().skip(from as usize).any(|stage| stage.one_way)
            }
        };
        on && settled
            && !frozen
            && !cooling
            && !one_way
            && counting(watch).iter().any(|service| self.trips(keeper, watch, service))
    }

    /// The rule, from all exits there ever were.
    fn trips(&self, keeper: &Keeper, watch: &Watch, service: &str) -> bool {
        let all = self.exits.get(service).map(Vec::as_slice).unwrap_or_default();
        let within = watch.guard.within;
        let (at, since) = (watch.at.mono(), Instant::from_nanos(watch.since_ns).max(watch.at.mono()));
        if watch.at.boot != keeper.now.boot {
            return false;
        }
        let most = |exits: &[Instant]| {
            let (mut first, mut most) = (0, 0);
            for (at, last) in exits.iter().enumerate() {
                while last.since(exits[first]) > within {
                    first += 1;
                }
                most = most.max(at + 1 - first);
            }
            most
        };
        let now: Vec<Instant> = all.iter().copied().filter(|exit| *exit > since).collect();
        let two: Vec<Instant> =
            all.iter().copied().filter(|exit| *exit <= at && at.since(*exit) <= within * 2).collect();
        let one = two.iter().filter(|exit| at.since(**exit) <= within).count();
        let noted = watch.before.iter().find(|(of, _)| of == service).map_or(0, |(_, count)| *count as usize);
        let before = most(&two).min(one + 1).max(noted);
        most(&now) >= watch.guard.crashes as usize && most(&now) > before
    }

    fn check_cool_down(&self, keeper: &Keeper, subject: &Subject) {
        let taken = self.taken.get(subject).map(Vec::as_slice).unwrap_or_default();
        let here: Vec<Instant> =
            taken.iter().filter(|(boot, _)| *boot == keeper.now.boot).map(|(_, at)| *at).collect();
        if let Some(last) = here.last() {
            assert!(keeper.mono().since(*last) >= Duration::from_secs(600), "{subject} was cooling down");
        }
        let frozen = keeper.facts.past.get(subject).is_some_and(|past| past.frozen);
        assert!(!frozen, "{subject} is frozen");
    }

    fn check_back(&self, keeper: &Keeper, subject: &Subject, decision: &Decision) {
        match subject {
            Subject::Flag(flag) => {
                let becomes = decision.change.sets.iter().find(|(name, _)| name == flag);
                let becomes = becomes.map_or(keeper.set.get(flag).copied(), |(_, truth)| *truth);
                assert_eq!(becomes, self.base[subject], "{subject} goes back to what it was");
            }
            Subject::Stage(name, number) => {
                let stood = decision.change.facts.iter().find_map(|fact| match fact {
                    Fact::Stood(of, Some(stood)) if of == name => Some(stood.stage),
                    _ => None,
                });
                assert!(stood.is_some_and(|stage| stage < *number), "{subject} goes back");
            }
        }
        let bans = |fact: &Fact| matches!(fact, Fact::Ban(of, Some(_)) if of == subject);
        assert!(decision.change.facts.iter().any(bans), "{subject} is banned");
    }

    fn check_bake(&self, keeper: &Keeper, subject: &Subject) {
        let watch = &keeper.facts.watches[subject];
        let (now, bake) = (keeper.mono(), watch.guard.bake);
        assert!(
            bake >= watch.guard.within * 2 && now.since(watch.at.mono()) >= bake,
            "{subject} has not baked"
        );
        let counting = counting(watch);
        assert!(!counting.is_empty(), "{subject} is proven by nobody");
        let of = self.lives.iter().filter(|(_, (service, _))| counting.contains(service.as_str()));
        let mut up = 0;
        for (instance, (_, since)) in of {
            let since = since.unwrap_or_else(|| panic!("{subject} is proven while {instance} is away"));
            assert!(
                now.since(since) >= bake,
                "{subject} is proven and {instance} has not been up for {bake:?}"
            );
            up += 1;
        }
        assert!(up > 0, "{subject} is proven and nothing of it runs");
    }
}

fn counting(watch: &Watch) -> BTreeSet<&str> {
    let named = if watch.guard.services.is_empty() { &watch.readers } else { &watch.guard.services };
    named.iter().map(String::as_str).collect()
}
