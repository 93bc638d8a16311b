//! What holds now of all facts.

use super::record::{After, Ban, Fact, Mode, Past, Roll, RollState, Stood, Subject, Watch};
use crate::flags::Truth;
use std::collections::BTreeMap;

/// The newest fact under each key: what the journal says, in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Where migrations stand.
    pub stood: BTreeMap<String, Stood>,
    /// Changes that are watched.
    pub watches: BTreeMap<Subject, Watch>,
    /// What is gone back to.
    pub good: BTreeMap<String, Truth>,
    /// Services because of which something was taken back just now.
    pub after: BTreeMap<String, After>,
    /// What must not be set again.
    pub bans: BTreeMap<Subject, Ban>,
    /// What was taken back.
    pub past: BTreeMap<Subject, Past>,
    /// Rollouts; of those that are over, the newest.
    pub rolls: BTreeMap<u64, Roll>,
    /// The guard's switch for the whole host.
    pub switch: Mode,
    /// What the supervisor must still be told to start again.
    pub fresh: BTreeMap<u64, Vec<String>>,
    /// The supervisor's run that was last seen; 0: none.
    pub run: u64,
}

impl Facts {
    /// Of all these, the newest last.
    pub fn of<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> Facts {
        let mut all = Facts::default();
        facts.into_iter().for_each(|fact| all.learn(fact));
        all
    }

    /// Takes in a newer one.
    pub fn learn(&mut self, fact: &Fact) {
        match fact.clone() {
            Fact::Stood(name, fact) => put(&mut self.stood, name, fact),
            Fact::Watch(subject, fact) => put(&mut self.watches, subject, fact),
            Fact::Good(name, fact) => put(&mut self.good, name, fact),
            Fact::After(service, fact) => put(&mut self.after, service, fact),
            Fact::Ban(subject, fact) => put(&mut self.bans, subject, fact),
            Fact::Past(subject, fact) => put(&mut self.past, subject, fact),
            Fact::Roll(number, fact) => put(&mut self.rolls, number, fact),
            Fact::Switch(mode) => self.switch = mode,
            Fact::Fresh(generation, fact) => put(&mut self.fresh, generation, fact),
            Fact::Run(run) => self.run = run,
        }
    }

    /// All of them, as a snapshot of the journal begins.
    pub fn iter(&self) -> impl Iterator<Item = Fact> {
        let stood = self.stood.iter().map(|(name, fact)| Fact::Stood(name.clone(), Some(fact.clone())));
        let watches = self.watches.iter().map(|(key, fact)| Fact::Watch(key.clone(), Some(fact.clone())));
        let good = self.good.iter().map(|(name, fact)| Fact::Good(name.clone(), Some(*fact)));
        let after = self.after.iter().map(|(name, fact)| Fact::After(name.clone(), Some(fact.clone())));
        let bans = self.bans.iter().map(|(key, fact)| Fact::Ban(key.clone(), Some(fact.clone())));
        let past = self.past.iter().map(|(key, fact)| Fact::Past(key.clone(), Some(fact.clone())));
        let rolls = self.rolls.iter().map(|(number, fact)| Fact::Roll(*number, Some(fact.clone())));
        let fresh = self.fresh.iter().map(|(number, fact)| Fact::Fresh(*number, Some(fact.clone())));
        let rest = [Fact::Switch(self.switch), Fact::Run(self.run)];
        let all = stood.chain(watches).chain(good).chain(after).chain(bans).chain(past);
        all.chain(rolls).chain(fresh).chain(rest)
    }

    /// The rollout that is bringing in this subject now.
    pub fn rolling(&self, subject: &Subject) -> Option<(u64, &Roll)> {
        let going = |roll: &Roll| matches!(roll.state, RollState::Baking | RollState::Held);
        let found = self.rolls.iter().rev().find(|(_, roll)| roll.subject == *subject && going(roll));
        found.map(|(number, roll)| (*number, roll))
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}
