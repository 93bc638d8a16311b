//! Everything around the journal: what is declared, the board, the guard, what the supervisor says and is told.

use super::ground::{Actor, Batch, Ground, Made, Truths};
use super::lives::{Curiosity, Lives};
use super::news;
use super::probes::Probes;
use super::publish::{Looked, Publisher};
use super::round;
use crate::flags::guard::{Act, Decision, Fact, Guard, Input, Moment, Reason, Subject, Verdict};
use crate::flags::{Catalog, Planned, Tree, View};
use crate::ipc::builtin::{FromKeeper, ToKeeper};
use crate::ipc::control::What;
use crate::services::line::Line;
use crate::store::{Change, Store};
use crate::sys::clock;
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;
use std::sync::mpsc;

/// While something is watched whose readers or counters matter, black boxes are looked into this often; with very many of
/// them less often.
const LOOK: Duration = Duration::from_secs(1);
/// For each box.
const LOOK_EACH: Duration = Duration::from_millis(1);
/// So many decisions are carried out in one turn.
const ACTS: usize = 64;
/// After a decision that could not be made durable the guard is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// A disk that needs longer than this does not hold up what is taken back.
const PATIENCE: Duration = Duration::from_millis(30);

/// See the module.
pub(super) struct Office {
    pub(super) catalog: Catalog,
    pub(super) tree: Tree,
    pub(super) board: Publisher,
    pub(super) line: Line<ToKeeper, FromKeeper>,
    pub(super) lives: Lives,
    pub(super) probes: Probes,
    guard: Guard,
    /// Rollouts that were taken back in this life, and how long that took.
    took: BTreeMap<u64, u64>,
    /// The guard, as an actor.
    who: Actor,
    boot: u64,
    /// The supervisor was asked for events.
    feeding: bool,
    /// Of these changes the supervisor was told that they took something back.
    told_fresh: HashSet<u64>,
    /// Other instances than those that the board counts by.
    recount: bool,
    look_at: Instant,
    /// The guard is not asked before this.
    not_before: Instant,
}

impl Office {
    pub(super) fn new(
        catalog: Catalog,
        board: Publisher,
        line: Line<ToKeeper, FromKeeper>,
        host: String,
        boot: u64,
    ) -> Office {
        let who = Actor { uid: nix::unistd::geteuid().as_raw(), name: "guard".to_owned() };
        Office {
            catalog,
            tree: Tree { host, ..Tree::default() },
            board,
            line,
            lives: Lives::default(),
            probes: Probes::default(),
            guard: Guard::new(),
            took: BTreeMap::new(),
            who,
            boot,
            feeding: false,
            told_fresh: HashSet::new(),
            recount: false,
            look_at: Instant::ZERO,
            not_before: Instant::ZERO,
        }
    }

    pub(super) fn truths<'a>(&'a self, store: &'a Store) -> Truths<'a> {
        Truths { catalog: &self.catalog, state: store.state(), tree: &self.tree }
    }

    fn now(&self) -> Moment {
        Moment { mono_ns: clock::now().as_nanos(), boot: self.boot, wall: clock::wall() }
    }

    /// What the journal says is told to the guard, and what of the configuration changed since the last life is made a
    /// change.
    pub(super) fn begin(
        &mut self,
        store: &mut Store,
        adopted: impl FnOnce(&View<'_>, &Moment, u64) -> Planned,
    ) {
        for fact in store.state().facts().iter() {
            self.guard.learn(&fact);
        }
        let now = self.now();
        let truths = self.truths(store);
        let mut batch = Batch::above(store.floor());
        let generation = batch.newest(store.state()) + 1;
        let mut planned = truths.see(|view| adopted(view, &now, generation));
        if planned.is_empty() {
            return;
        }
        self.guard.arm(&mut planned);
        let who = Actor { name: "configuration".to_owned(), ..self.who.clone() };
        let reason = "another configuration is in force";
        let made = Made { request: 0, who: &who, verb: planned.verb.clone(), reason };
        batch.push(&truths, planned, made, now);
        if store.commit(&batch.changes).is_err() {
            // It is in force whether the disk is there or not.
            store.commit_volatile(&batch.changes);
        }
        self.tell(store, &batch.changes);
    }

    /// The guard learns of changes that are made, and the supervisor hears of them.
    fn tell(&mut self, store: &Store, changes: &[Change]) {
        for fact in changes.iter().flat_map(|change| &change.facts) {
            self.guard.learn(fact);
        }
        for news in news::of_changes(&self.truths(store), changes) {
            self.line.say(&news);
        }
    }

    /// What the supervisor says of instances, lives and events.
    pub(super) fn hear(
        &mut self,
        store: &Store,
        now: Instant,
        message: &ToKeeper,
        descriptor: Option<OwnedFd>,
    ) {
        let input = self.lives.hear(message, descriptor);
        if let Some(Input::Happened(event)) = &input {
            let curiosity = self.watched(store);
            if !curiosity.is_none() {
                for said in self.lives.look_at(&event.instance, event.incarnation, &curiosity) {
                    self.guard.handle(now, said);
                }
            }
        }
        self.recount |= matches!(input, Some(Input::Instance { .. } | Input::Gone { .. }));
        if let Some(input) = input {
            self.guard.handle(now, input);
        }
    }

    /// The supervisor has said everything that a new life must know.
    pub(super) fn hear_begin(&mut self, now: Instant, run: u64, abrupt: bool) {
        self.guard.handle(now, Input::Begun { run, abrupt });
    }

    /// Shares by instance are counted by the instances that there are now.
    pub(super) fn count_instances(&mut self, store: &Store) {
        if std::mem::take(&mut self.recount) {
            self.tree.instances = self.lives.instances();
            if self.board.stands() {
                let truths = Truths { catalog: &self.catalog, state: store.state(), tree: &self.tree };
                self.board.count_again(&truths, store.is_known());
            }
        }
    }

    /// What black boxes are asked for while these changes are watched.
    fn watched(&self, store: &Store) -> Curiosity {
        let (mut flags, mut counters) = (Vec::new(), false);
        for (subject, watch) in &store.state().facts().watches {
            counters |= watch.guard.errors.is_some();
            if watch.guard.services.is_empty() {
                flags.extend(self.flags_of(subject));
            }
        }
        Curiosity::new(flags, counters)
    }

    fn flags_of<'a>(&'a self, subject: &'a Subject) -> Vec<&'a str> {
        match subject {
            Subject::Flag(flag) => vec![flag],
            Subject::Stage(migration, number) => {
                let on = self.catalog.stage(migration, *number).into_iter().flat_map(|stage| &stage.on);
                on.map(String::as_str).chain([migration.as_str()]).collect()
            }
        }
    }

    /// Before a change: who has read what, and how much was counted until now.
    pub(super) fn look_before_a_change(&mut self, now: Instant) {
        let flags = self.catalog.flags().filter(|flag| flag.guard.is_some());
        let nobody_named = |flag: &&crate::flags::Declaration| {
            flag.services.is_empty() && flag.guard.as_ref().is_some_and(|guard| guard.services.is_empty())
        };
        let of_flags = self.catalog.flags().filter(nobody_named).map(|flag| flag.name.as_str());
        let migrations = self.catalog.migrations().filter(|migration| migration.guard.services.is_empty());
        let of_stages = migrations.flat_map(|migration| {
            let flags = migration.stages.iter().flat_map(|stage| &stage.on).map(String::as_str);
            flags.chain([migration.name.as_str()])
        });
        let mut guards = flags.filter_map(|flag| flag.guard.as_ref());
        let counted = guards.any(|guard| guard.errors.is_some())
            || self.catalog.migrations().any(|migration| migration.guard.errors.is_some());
        let curiosity = Curiosity::new(of_flags.chain(of_stages), counted);
        for said in self.lives.look(&curiosity) {
            self.guard.handle(now, said);
        }
    }

    /// When there is something to do without anybody saying anything.
    pub(super) fn next_deadline(&self, store: &Store) -> Option<Instant> {
        let guard = self.guard.next_deadline().map(|at| at.max(self.not_before));
        let boxes = (!self.watched(store).is_none()).then_some(self.look_at);
        [guard, boxes, self.probes.next_deadline()].into_iter().flatten().min()
    }

    /// Looks where it is time to, asks the guard, and does what it decides.
    pub(super) fn act(&mut self, store: &mut Store, now: Instant) {
        for said in self.probes.take(now) {
            self.guard.handle(now, said);
        }
        let curiosity = self.watched(store);
        if !curiosity.is_none() && now >= self.look_at {
            for said in self.lives.look(&curiosity) {
                self.guard.handle(now, said);
            }
            let each = LOOK_EACH * u32::try_from(self.lives.count()).unwrap_or(u32::MAX);
            self.look_at = clock::now() + LOOK.max(each);
        }
        if now >= self.not_before {
            for _ in 0..ACTS {
                let Some(decision) = self.decide(store) else { break };
                if !self.carry_out(store, decision) {
                    self.not_before = clock::now() + AGAIN;
                    break;
                }
            }
        }
        self.tell_fresh(store);
        self.feed();
    }

    fn decide(&mut self, store: &Store) -> Option<Decision> {
        let now = self.now();
        let generation = Batch::above(self.floor(store)).newest(store.state()) + 1;
        let Office { catalog, guard, .. } = self;
        let set = |flag: &str| store.state().truth(flag);
        let view = View { catalog, set: &set, facts: store.state().facts() };
        guard.decide(now, &view, generation)
    }

    fn floor(&self, store: &Store) -> u64 {
        self.board.generation().max(store.floor())
    }

    /// Does it. False: it could not be made durable, and what is not taken back must be.
    fn carry_out(&mut self, store: &mut Store, decision: Decision) -> bool {
        let Decision { act, change: mut planned } = decision;
        if let Act::Run { subject, generation, probe } = &act {
            if let Err(why) = self.probes.start(subject, *generation, probe) {
                let message = format!("the probe of {subject} cannot be started: {why}");
                self.note(subject.name().to_owned(), What::Warning { message });
                let (subject, verdict) = (subject.clone(), Verdict::Unknown);
                self.guard.handle(clock::now(), Input::Said { subject, generation: *generation, verdict });
            }
            return true;
        }
        let now = self.now();
        let reason = match &act {
            Act::RollBack(reason) | Act::Observed(reason) | Act::LastGood(reason) | Act::Safe(reason) => {
                &reason.why
            }
            Act::Hold { why, .. } => why,
            Act::Prove { .. } | Act::Step { .. } | Act::Note | Act::Run { .. } => "",
        };
        self.guard.arm(&mut planned);
        let notes = planned.notes.clone();
        let made = Made { request: 0, who: &self.who, verb: planned.verb.clone(), reason };
        let mut batch = Batch::above(self.floor(store));
        batch.push(&self.truths(store), planned, made, now);
        let done = match &act {
            Act::RollBack(reason) | Act::LastGood(reason) | Act::Safe(reason) => {
                self.take_back(store, &batch.changes, reason);
                true
            }
            Act::Observed(_)
            | Act::Prove { .. }
            | Act::Step { .. }
            | Act::Hold { .. }
            | Act::Note
            | Act::Run { .. } => self.make(store, &batch.changes),
        };
        if !done {
            return false;
        }
        let generation = batch.changes.last().map_or(0, |change| change.generation);
        let took = match &act {
            Act::RollBack(reason) | Act::LastGood(reason) | Act::Safe(reason) => {
                nanos(clock::now().since(reason.seen))
            }
            _ => 0,
        };
        for fact in batch.changes.iter().flat_map(|change| &change.facts) {
            if let (Fact::Roll(number, Some(_)), true) = (fact, took > 0) {
                self.took.insert(*number, took);
            }
        }
        if let Some(news) = news::of_act(&act, generation, took) {
            self.line.say(&news);
        }
        for message in notes {
            self.note(String::new(), What::Warning { message });
        }
        true
    }

    /// A change of the guard that is not published before it is durable.
    fn make(&mut self, store: &mut Store, changes: &[Change]) -> bool {
        let made = store.commit(changes).is_ok();
        if made {
            round::Office::publish(self, store, changes);
        }
        made
    }

    /// A change that takes something back: journal and audit log come first, but a disk that is slow or fails does not
    /// keep readers from seeing it.
    fn take_back(&mut self, store: &mut Store, changes: &[Change], reason: &Reason) {
        let (mut after, known) = (store.state().clone(), store.is_known());
        changes.iter().for_each(|change| after.apply(change));
        let board = &mut self.board;
        let truths = Truths { catalog: &self.catalog, state: &after, tree: &self.tree };
        let (made, late) = std::thread::scope(|scope| {
            let (say, said) = mpsc::channel();
            let store = &mut *store;
            scope.spawn(move || {
                let made = store.commit(changes).map_err(ToString::to_string);
                // The other end waits, or has gone on already.
                let _ = say.send(made);
            });
            match said.recv_timeout(PATIENCE) {
                Ok(made) => (made, false),
                Err(_) => {
                    board.publish(&truths, known, changes);
                    (said.recv().unwrap_or_else(|e| Err(e.to_string())), true)
                }
            }
        });
        if let Err(why) = made {
            store.commit_volatile(changes);
            let message = format!("what is taken back now ({}) is in memory only: {why}", reason.why);
            self.note(String::new(), What::Warning { message });
        } else if late {
            let message = "the disk is slow: what was taken back was shown before it was durable".to_owned();
            self.note(String::new(), What::Warning { message });
        }
        round::Office::publish(self, store, changes);
    }

    /// What failed gets its fresh budget: said until it is known to be said.
    fn tell_fresh(&mut self, store: &mut Store) {
        let fresh = &store.state().facts().fresh;
        if fresh.is_empty() {
            return;
        }
        for (generation, services) in fresh {
            if self.told_fresh.insert(*generation) {
                self.line.say(&FromKeeper::Fresh { services: services.clone() });
            }
        }
        if !self.line.is_idle() || !store.is_durable(store.state().generation()) {
            return;
        }
        let facts = fresh.keys().map(|generation| Fact::Fresh(*generation, None)).collect();
        let planned = Planned { facts, ..Planned::new("guard told the supervisor") };
        let made = Made { request: 0, who: &self.who, verb: planned.verb.clone(), reason: "" };
        let mut batch = Batch::above(self.floor(store));
        batch.push(&self.truths(store), planned, made, self.now());
        // When it cannot be kept, the next life says it again, which does no harm.
        self.make(store, &batch.changes);
    }

    /// Events are wanted only while something is watched.
    fn feed(&mut self) {
        match (self.guard.wants(), self.feeding) {
            (Some(after), false) => self.line.say(&FromKeeper::Feed { after }),
            (None, true) => self.line.say(&FromKeeper::Enough),
            (Some(_), true) | (None, false) => {}
        }
        self.feeding = self.guard.wants().is_some();
    }

    /// The look at the board (B6).
    pub(super) fn look(&mut self, store: &Store) -> Looked {
        let truths = Truths { catalog: &self.catalog, state: store.state(), tree: &self.tree };
        self.board.look(&truths, store.is_known())
    }

    /// Every life is told which board is in place, when it is another one than it was told, or has just begun.
    pub(super) fn tell_board(&mut self) {
        if let Some(incarnation) = self.board.incarnation() {
            self.lives.tell_board(incarnation);
        }
    }

    pub(super) fn note(&mut self, name: String, what: What) {
        self.line.say(&FromKeeper::Noted { name, what });
    }
}

impl round::Office for Office {
    fn ground<'a>(&'a self, store: &'a Store) -> Ground<'a> {
        Ground { truths: self.truths(store), guard: &self.guard, took: &self.took, now: self.now() }
    }

    fn publish(&mut self, store: &Store, changes: &[Change]) {
        let truths = Truths { catalog: &self.catalog, state: store.state(), tree: &self.tree };
        self.board.publish(&truths, store.is_known(), changes);
        self.tell(store, changes);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
