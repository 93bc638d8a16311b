//! A change as it is put together: what it does to flags and stages, and everything that follows from that.
//!
//! Whoever moves a flag or a stage does it here, so that each follows for all of them: watches begin and end, rollouts of
//! what somebody else moved end, last good values are kept.

use super::guard::{Fact, Guarding, Mode, Restore, RollState, Stood, Subject, Watch};
use super::refused::COOL_DOWN;
use super::{Asking, Declaration, Migration, Planned, Refused, Truth, Value, View};

/// A change that is being put together.
pub(super) struct Draft<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) asking: &'a Asking<'a>,
    pub(super) planned: Planned,
}

impl<'a> Draft<'a> {
    pub(super) fn new(view: &'a View<'a>, asking: &'a Asking<'a>, verb: &str) -> Draft<'a> {
        Draft { view, asking, planned: Planned::new(verb) }
    }

    /// A flag becomes this; nothing follows from it but what the flag is.
    pub(super) fn put(&mut self, flag: &str, to: Option<Truth>) {
        if (self.view.set)(flag) != to {
            self.planned.sets.push((flag.to_owned(), to));
        }
    }

    pub(super) fn fact(&mut self, fact: Fact) {
        self.planned.facts.push(fact);
    }

    pub(super) fn note(&mut self, note: String) {
        self.planned.notes.push(note);
    }

    /// A flag becomes this by somebody's hand, which may mean that it is watched.
    pub(super) fn set(&mut self, flag: &Declaration, to: Option<Truth>) {
        let view = self.view;
        let (old, now) = ((view.set)(&flag.name), view.truth(&flag.name));
        let new = to.unwrap_or_else(|| view.unset(&flag.name));
        self.put(&flag.name, to);
        if now == new {
            return;
        }
        let subject = Subject::Flag(flag.name.clone());
        self.end_roll(&subject, &format!("{} set it to {new}", self.asking.actor));
        self.hold_stage_of(&flag.name);
        let going_back = new == flag.safe_truth() || self.is_back(&subject, new);
        match self.guarding(&subject).filter(|_| !going_back) {
            Some(guard) => {
                let back = vec![Restore { flag: flag.name.clone(), old, new: to }];
                self.watch(subject, guard, back, None, None);
            }
            None => self.unwatch(&subject),
        }
    }

    /// True when this is what a change of the flag that is watched now would be taken back to.
    pub(super) fn is_back(&self, subject: &Subject, new: Truth) -> bool {
        let old = self.view.facts.watches.get(subject).and_then(|watch| watch.back.first());
        old.is_some_and(|old| old.old.unwrap_or_else(|| self.view.unset(&old.flag)) == new)
    }

    /// How a change of it is watched now, the services that count resolved; `None`: it is not.
    pub(super) fn guarding(&self, subject: &Subject) -> Option<Guarding> {
        if self.view.facts.switch == Mode::Off {
            return None;
        }
        let guard = self.view.catalog.guard(subject)?.clone();
        Some(self.resolved(subject, guard))
    }

    /// With the services that the guard names, else those that the flags do, and a bake that is long enough.
    pub(super) fn resolved(&self, subject: &Subject, mut guard: Guarding) -> Guarding {
        let catalog = self.view.catalog;
        if guard.services.is_empty() {
            let flags: Vec<&str> = match subject {
                Subject::Flag(name) => vec![name],
                Subject::Stage(migration, number) => {
                    let stage = catalog.stage(migration, *number);
                    stage.into_iter().flat_map(|stage| &stage.on).map(String::as_str).collect()
                }
            };
            let named = flags.iter().filter_map(|flag| catalog.flag(flag)).flat_map(|flag| &flag.services);
            guard.services = named.cloned().collect();
            guard.services.sort_unstable();
            guard.services.dedup();
        }
        guard.bake = guard.bake.max(guard.within * 2);
        guard
    }

    /// From now on the change of this subject is watched. What an earlier one that has not baked would go back to stays that:
    /// nothing unproven is ever gone back to.
    pub(super) fn watch(
        &mut self,
        subject: Subject,
        guard: Guarding,
        mut back: Vec<Restore>,
        mut stage: Option<u32>,
        roll: Option<u64>,
    ) {
        let asking = self.asking;
        self.keep_good(&subject);
        if let Some(before) = self.view.facts.watches.get(&subject) {
            for restore in &mut back {
                let earlier = before.back.iter().find(|one| one.flag == restore.flag);
                restore.old = earlier.map_or(restore.old, |one| one.old);
            }
            let known: Vec<String> = back.iter().map(|one| one.flag.clone()).collect();
            back.extend(before.back.iter().filter(|one| !known.contains(&one.flag)).cloned());
            stage = match (stage, before.stage) {
                (Some(now), Some(before)) => Some(now.min(before)),
                (now, _) => now,
            };
        }
        let watch = Watch {
            generation: asking.generation,
            digest: self.view.catalog.digest(&subject).unwrap_or_default(),
            back,
            stage,
            guard,
            roll,
            at: asking.now,
            since_ns: asking.now.mono_ns,
            settled_ns: asking.now.mono_ns,
            starts: 0,
            readers: Vec::new(),
            before: Vec::new(),
            errors: Vec::new(),
            held: String::new(),
            uid: asking.uid,
            actor: asking.actor.to_owned(),
            reason: asking.reason.to_owned(),
        };
        self.fact(Fact::Watch(subject, Some(watch)));
    }

    /// The value when the guard was set is the first that is gone back to.
    fn keep_good(&mut self, subject: &Subject) {
        let name = subject.name();
        if self.view.facts.good.contains_key(name) {
            return;
        }
        let now = match subject {
            Subject::Flag(flag) => self.view.truth(flag),
            Subject::Stage(migration, _) => Value::Stage(self.view.stage(migration)).into(),
        };
        self.fact(Fact::Good(name.to_owned(), Some(now)));
    }

    pub(super) fn unwatch(&mut self, subject: &Subject) {
        if self.view.facts.watches.contains_key(subject) {
            self.fact(Fact::Watch(subject.clone(), None));
        }
    }

    /// Whatever is bringing it in ends here.
    pub(super) fn end_roll(&mut self, subject: &Subject, outcome: &str) {
        if let Some((number, roll)) = self.view.facts.rolling(subject) {
            let mut roll = roll.clone();
            roll.state = RollState::Ended;
            roll.outcome = outcome.to_owned();
            roll.moved = self.asking.now.wall;
            roll.generation = self.asking.generation;
            self.fact(Fact::Roll(number, Some(roll)));
        }
    }

    /// A flag that a stage is bringing in was set by hand: the stage goes no further by itself, which would undo that.
    fn hold_stage_of(&mut self, flag: &str) {
        let Some((migration, stage)) = self.view.catalog.stage_of(flag) else { return };
        let subject = Subject::Stage(migration.name.clone(), stage);
        if let Some((number, roll)) = self.view.facts.rolling(&subject) {
            let mut roll = roll.clone();
            roll.state = RollState::Held;
            roll.outcome = format!("{} set flag `{flag}` by hand", self.asking.actor);
            roll.moved = self.asking.now.wall;
            self.fact(Fact::Roll(number, Some(roll)));
        }
    }

    /// Every flag of the migration becomes what it is at this stage (and what the next one's are at this share of it), whatever
    /// was set by hand. Returns what that changes.
    pub(super) fn put_stage(&mut self, migration: &Migration, stage: u32, share: u32) -> Vec<Restore> {
        let mut changed = Vec::new();
        for (flag, to) in state_at(self.view, migration, stage, share) {
            let (old, now) = ((self.view.set)(&flag), self.view.truth(&flag));
            if now != to {
                changed.push(Restore { flag: flag.clone(), old, new: Some(to) });
            }
            let subject = Subject::Flag(flag.clone());
            self.unwatch(&subject);
            self.end_roll(&subject, &format!("`{}` was moved", migration.name));
            // Whoever reads the journal alone finds the default of what is not set.
            let declared = self.view.catalog.flag(&flag).map(|flag| Truth::from(flag.unset()));
            if now != to || declared != Some(to) {
                self.put(&flag, Some(to));
            }
        }
        changed
    }

    /// The migration stands here now.
    pub(super) fn stand(&mut self, migration: &str, stage: u32, roll: Option<u64>) {
        let asking = self.asking;
        let stood = Stood {
            stage,
            roll,
            generation: asking.generation,
            uid: asking.uid,
            actor: asking.actor.to_owned(),
            reason: asking.reason.to_owned(),
            time: asking.now.wall,
        };
        self.fact(Fact::Stood(migration.to_owned(), Some(stood)));
    }

    /// No rollout brings in a next stage any more; who moved it, and when, stays as it was.
    pub(super) fn come_in(&mut self, subject: &Subject) {
        if let Subject::Stage(migration, _) = subject
            && let Some(stood) = self.view.facts.stood.get(migration)
        {
            let stood = Stood { roll: None, ..stood.clone() };
            self.fact(Fact::Stood(migration.clone(), Some(stood)));
        }
    }

    /// Stages after this one are neither watched nor coming in any more.
    pub(super) fn end_stages_after(&mut self, migration: &str, stage: u32, outcome: &str) {
        let view = self.view;
        let of = |subject: &&Subject| matches!(subject, Subject::Stage(name, k) if name == migration && *k > stage);
        for subject in view.facts.watches.keys().filter(of) {
            self.fact(Fact::Watch(subject.clone(), None));
        }
        if let Some((number, _)) = view.coming_in(migration) {
            self.end_roll(&Subject::Stage(migration.to_owned(), number), outcome);
        }
    }

    /// A change that makes the subject go further is not refused by anything that the guard said before.
    pub(super) fn permit(&self, subject: &Subject) -> Result<(), Refused> {
        let (facts, asking) = (self.view.facts, self.asking);
        let past = facts.past.get(subject);
        if let Some(past) = past.filter(|past| past.frozen) {
            return Err(Refused::Frozen { subject: subject.clone(), rollbacks: past.rollbacks.clone() });
        }
        if asking.override_ban {
            return Ok(());
        }
        let same = |digest| self.view.catalog.digest(subject) == Some(digest);
        if let Some(ban) = facts.bans.get(subject).filter(|ban| same(ban.digest)) {
            let (why, evidence) = (ban.why.clone(), ban.crashes.clone());
            return Err(Refused::Banned { subject: subject.clone(), why, evidence });
        }
        let ago = past.and_then(|past| past.rollbacks.last()).map(|last| asking.now.since(*last));
        match ago.and_then(|ago| COOL_DOWN.checked_sub(ago)).filter(|left| !left.is_zero()) {
            Some(left) => Err(Refused::CoolingDown { subject: subject.clone(), left }),
            None => Ok(()),
        }
    }

    /// A guarded change, and one of a flag that says so, needs a reason.
    pub(super) fn reasoned(&self, subject: &Subject) -> Result<(), Refused> {
        let catalog = self.view.catalog;
        let why = match subject {
            Subject::Flag(name) => catalog.flag(name).is_some_and(|flag| flag.why),
            Subject::Stage(name, stage) => catalog.stage(name, *stage).is_some_and(|stage| {
                stage.on.iter().any(|name| catalog.flag(name).is_some_and(|flag| flag.why))
            }),
        };
        match catalog.guard(subject).is_some() || why {
            true => self.reason_for(|| format!("a change of {subject}")),
            false => Ok(()),
        }
    }

    pub(super) fn reason_for(&self, what: impl FnOnce() -> String) -> Result<(), Refused> {
        if self.asking.reason.trim().is_empty() { Err(Refused::NoReason(what())) } else { Ok(()) }
    }
}

/// What every flag of a migration is at a stage: those of its first `stage` stages are on, those of the next one on for `share`
/// of 100,000, the rest off. Flags that are not declared are left out.
pub(super) fn state_at(view: &View, migration: &Migration, stage: u32, share: u32) -> Vec<(String, Truth)> {
    let mut state = Vec::new();
    for (number, declared) in (1..).zip(&migration.stages) {
        for flag in &declared.on {
            // A flag that two stages name belongs to the first; the configuration refuses it.
            let here =
                view.catalog.stage_of(flag).is_some_and(|(of, at)| of.name == migration.name && at == number);
            let Some(flag) = view.catalog.flag(flag).filter(|_| here) else { continue };
            let value = match number {
                _ if number <= stage => Value::On,
                _ if number == stage + 1 => flag.at_share(share),
                _ => Value::Off,
            };
            state.push((flag.name.clone(), value.into()));
        }
    }
    state
}

#[cfg(test)]
pub(super) mod testing {
    //! A catalog, what is set, and the facts, as a keeper has them.

    use super::super::guard::{Fact, Facts, Guarding, Moment};
    use super::super::{Asking, Catalog, Declaration, Migration, Planned, Stage, Truth, View};
    use crate::time::Wall;
    use std::collections::BTreeMap;

    pub(crate) struct World {
        pub(crate) catalog: Catalog,
        pub(crate) set: BTreeMap<String, Truth>,
        pub(crate) facts: Facts,
        pub(crate) generation: u64,
        pub(crate) now: Moment,
    }

    impl World {
        pub(crate) fn new(flags: Vec<Declaration>, migrations: Vec<Migration>) -> World {
            let catalog = Catalog::new(flags, migrations);
            let now = Moment { mono_ns: 1 << 40, boot: 1, wall: Wall(1 << 50) };
            World { catalog, set: BTreeMap::new(), facts: Facts::default(), generation: 0, now }
        }

        /// Plans something, and makes it true when it is not refused.
        pub(crate) fn plan<E>(
            &mut self,
            reason: &str,
            override_ban: bool,
            plan: impl FnOnce(&View, &Asking) -> Result<Planned, E>,
        ) -> Result<Planned, E> {
            let set = |flag: &str| self.set.get(flag).copied();
            let view = View { catalog: &self.catalog, set: &set, facts: &self.facts };
            let asking = Asking {
                generation: self.generation + 1,
                now: self.now,
                uid: 1000,
                actor: "ana",
                reason,
                override_ban,
            };
            let planned = plan(&view, &asking)?;
            self.commit(&planned);
            Ok(planned)
        }

        pub(crate) fn commit(&mut self, planned: &Planned) {
            self.generation += 1;
            for (flag, truth) in &planned.sets {
                match truth {
                    Some(truth) => drop(self.set.insert(flag.clone(), *truth)),
                    None => drop(self.set.remove(flag)),
                }
            }
            planned.facts.iter().for_each(|fact: &Fact| self.facts.learn(fact));
        }

        pub(crate) fn see<T>(&self, look: impl FnOnce(&View) -> T) -> T {
            let set = |flag: &str| self.set.get(flag).copied();
            look(&View { catalog: &self.catalog, set: &set, facts: &self.facts })
        }

        pub(crate) fn truth(&self, flag: &str) -> Truth {
            self.see(|view| view.truth(flag))
        }
    }

    pub(crate) fn flag(name: &str) -> Declaration {
        Declaration { name: name.into(), salt: name.into(), ..Declaration::default() }
    }

    pub(crate) fn guarded(name: &str) -> Declaration {
        let guard = Guarding { services: vec!["web".into()], ..Guarding::default() };
        Declaration { guard: Some(guard), ..flag(name) }
    }

    /// Three stages: `a1 a2`, `b` by steps, `c` one-way.
    pub(crate) fn migration() -> (Vec<Declaration>, Migration) {
        let stage = |name: &str, on: &[&str]| Stage {
            name: name.into(),
            on: on.iter().map(|flag| (*flag).into()).collect(),
            ..Stage::default()
        };
        let stages = vec![
            stage("first", &["a1", "a2"]),
            Stage { steps: vec![10_000, 50_000, 100_000], ..stage("second", &["b"]) },
            Stage { one_way: true, ..stage("third", &["c"]) },
        ];
        let guard = Guarding { services: vec!["web".into()], ..Guarding::default() };
        let migration = Migration { name: "m".into(), stages, guard, ..Migration::default() };
        (["a1", "a2", "b", "c"].map(flag).to_vec(), migration)
    }
}
