//! What is true beside the values of flags: where migrations stand, what is watched, what is banned. Pure.

use crate::flags::Truth;
use crate::flags::guard::{Ban, Fact, Mode, Past, Roll, RollState, Stood, Subject, Watch};
use std::collections::BTreeMap;

/// So many rollouts that are over are kept: the newest.
pub const ROLLS_MAX: usize = 64;

/// Every fact by its key, as of the newest change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Where each migration stands that somebody moved.
    pub stood: BTreeMap<String, Stood>,
    /// The changes that are watched, by their numbers.
    pub watches: BTreeMap<u64, Watch>,
    /// What flags were set to when their last bake ended proven.
    pub goods: BTreeMap<String, Truth>,
    /// What must not be set again.
    pub bans: BTreeMap<Subject, Ban>,
    /// What was taken back before.
    pub pasts: BTreeMap<Subject, Past>,
    /// Rollouts by their numbers: those that go on, and the newest [`ROLLS_MAX`] that are over.
    pub rolls: BTreeMap<u64, Roll>,
    /// The guard's switch for the whole host; `None`: nobody moved it, it is as configured.
    pub switch: Option<Mode>,
    /// Of which changes the supervisor was not yet told that failed services get a fresh budget, and which services.
    pub fresh: BTreeMap<u64, Vec<String>>,
    /// The supervisor's run that was last seen; 0: none.
    pub run: u64,
}

impl Facts {
    /// Makes it true.
    pub fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::Stood(migration, stood) => replace(&mut self.stood, migration, stood),
            Fact::Watch(generation, watch) => replace(&mut self.watches, generation, watch),
            Fact::Good(flag, good) => replace(&mut self.goods, flag, good),
            Fact::Ban(subject, ban) => replace(&mut self.bans, subject, ban),
            Fact::Past(subject, past) => replace(&mut self.pasts, subject, past),
            Fact::Roll(number, roll) => {
                replace(&mut self.rolls, number, roll);
                self.forget_old_rolls();
            }
            Fact::Switch(mode) => self.switch = Some(*mode),
            Fact::Fresh(generation, services) => replace(&mut self.fresh, generation, services),
            Fact::Run(run) => self.run = *run,
        }
    }

    /// As facts again: applied to nothing, they make this.
    pub fn all(&self) -> Vec<Fact> {
        let mut all: Vec<Fact> = self.switch.map(Fact::Switch).into_iter().collect();
        all.extend((self.run != 0).then_some(Fact::Run(self.run)));
        all.extend(self.stood.iter().map(|(name, stood)| Fact::Stood(name.clone(), Some(stood.clone()))));
        all.extend(self.watches.iter().map(|(g, watch)| Fact::Watch(*g, Some(watch.clone()))));
        all.extend(self.goods.iter().map(|(flag, good)| Fact::Good(flag.clone(), Some(*good))));
        all.extend(self.bans.iter().map(|(of, ban)| Fact::Ban(of.clone(), Some(ban.clone()))));
        all.extend(self.pasts.iter().map(|(of, past)| Fact::Past(of.clone(), Some(past.clone()))));
        all.extend(self.rolls.iter().map(|(number, roll)| Fact::Roll(*number, Some(roll.clone()))));
        all.extend(self.fresh.iter().map(|(g, services)| Fact::Fresh(*g, Some(services.clone()))));
        all
    }

    /// The number of the next rollout.
    pub fn next_roll(&self) -> u64 {
        self.rolls.last_key_value().map_or(0, |(number, _)| *number) + 1
    }

    /// The newest stays whatever it is: numbers are not given twice.
    fn forget_old_rolls(&mut self) {
        let over: Vec<u64> =
            self.rolls.iter().filter(|(_, roll)| is_over(roll.state)).map(|(n, _)| *n).collect();
        for number in over.iter().take(over.len().saturating_sub(ROLLS_MAX)) {
            self.rolls.remove(number);
        }
    }
}

fn is_over(state: RollState) -> bool {
    match state {
        RollState::Baking | RollState::Held => false,
        RollState::Done | RollState::RolledBack | RollState::Ended => true,
    }
}

fn replace<K: Ord + Clone, V: Clone>(all: &mut BTreeMap<K, V>, key: &K, value: &Option<V>) {
    match value {
        Some(value) => drop(all.insert(key.clone(), value.clone())),
        None => drop(all.remove(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::guard::Guarding;
    use crate::time::Wall;

    fn roll(state: RollState) -> Roll {
        Roll {
            subject: Subject::Flag("x".into()),
            steps: vec![1000, 100_000],
            step: 0,
            guard: Guarding::default(),
            back: Vec::new(),
            state,
            outcome: String::new(),
            uid: 0,
            actor: "ana".into(),
            reason: String::new(),
            began: Wall(1),
            moved: Wall(2),
        }
    }

    #[test]
    fn a_rollout_that_goes_on_is_never_forgotten_and_no_number_is_given_twice() {
        let mut facts = Facts::default();
        facts.apply(&Fact::Roll(1, Some(roll(RollState::Held))));
        for number in 2..200 {
            assert_eq!(facts.next_roll(), number);
            facts.apply(&Fact::Roll(number, Some(roll(RollState::Baking))));
            facts.apply(&Fact::Roll(number, Some(roll(RollState::Done))));
        }
        assert_eq!(facts.rolls.len(), 1 + ROLLS_MAX);
        assert_eq!(facts.rolls[&1].state, RollState::Held);
        assert!(facts.rolls.contains_key(&136) && !facts.rolls.contains_key(&135));
    }

    #[test]
    fn a_fact_of_nothing_takes_away_what_was_there() {
        let mut facts = Facts::default();
        let fresh = |services: Option<&str>| Fact::Fresh(7, services.map(|one| vec![one.to_owned()]));
        facts.apply(&fresh(Some("web")));
        assert_eq!(facts.fresh[&7], ["web"]);
        facts.apply(&fresh(None));
        assert_eq!(facts, Facts::default());
    }
}
