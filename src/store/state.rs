//! What the journal says: each flag that somebody ever set, who did, and the facts around them. Pure.

use crate::flags::Truth;
use crate::flags::guard::{Fact, Facts, RollState};
use crate::time::Wall;
use bincode::{Decode, Encode};
use std::collections::{BTreeMap, VecDeque};

/// How many requests are remembered, so that one that is sent again is not carried out again. A client
/// sends again within its deadline, a minute; more changes than this within a minute, by others, between
/// a change and its repetition, make it a new change, to the same absolute value.
pub const RECEIPTS_MAX: usize = 1024;

/// So many rollouts that are over are kept: the newest.
pub const ROLLS_MAX: usize = 64;

/// Every flag that was ever set, as of the newest change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(super) flags: BTreeMap<String, Entry>,
    pub(super) generation: u64,
    pub(super) receipts: VecDeque<Receipt>,
    pub(super) facts: Facts,
}

/// One flag's newest change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// What holds; `None`: its default (it was reset).
    pub truth: Option<Truth>,
    /// What held before.
    pub old: Option<Truth>,
    /// What stood in the hash before an id then; empty: the name. So the journal alone answers for a share.
    pub salt: String,
    /// The number of the change.
    pub generation: u64,
    /// Who made it.
    pub uid: u32,
    /// That user's name, or the number when it has none; `guard` when it was the guard.
    pub actor: String,
    /// Why; may be empty.
    pub reason: String,
    /// When.
    pub time: Wall,
}

/// One change, of one flag or of several at once: one record of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Change {
    /// Its number: one more than the change before.
    pub generation: u64,
    /// What the client called it; 0: nothing.
    pub request: u64,
    /// Who made it.
    pub uid: u32,
    /// That user's name; `guard` when it was the guard.
    pub actor: String,
    /// What was asked for, as one would type it: `stage enable otp_cleanup 2`.
    pub verb: String,
    /// Why; may be empty.
    pub reason: String,
    /// When.
    pub time: Wall,
    /// What becomes of which flag, each named once.
    pub sets: Vec<Set>,
    /// What becomes of everything else.
    pub facts: Vec<Fact>,
}

/// What becomes of one flag.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Set {
    /// Its name.
    pub flag: String,
    /// What holds from now on; `None`: its default.
    pub truth: Option<Truth>,
    /// What held before, whether somebody had set it or not; `None`: nobody knows.
    pub old: Option<Truth>,
    /// What stands in the hash before an id; empty: the name.
    pub salt: String,
}

/// A request that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Receipt {
    /// What the client called it.
    pub request: u64,
    /// The change that it became.
    pub generation: u64,
    /// The rollout that it began or moved; 0: none.
    pub roll: u64,
}

impl Change {
    /// What is remembered of the request that it came from; `None`: nobody can recognise it.
    pub fn receipt(&self) -> Option<Receipt> {
        let roll = self.facts.iter().find_map(|fact| match fact {
            Fact::Roll(number, Some(_)) => Some(*number),
            _ => None,
        });
        let receipt = Receipt { request: self.request, generation: self.generation, roll: roll.unwrap_or(0) };
        (self.request != 0).then_some(receipt)
    }
}

impl State {
    /// The flag's newest change; `None` when nobody ever set it.
    pub fn get(&self, flag: &str) -> Option<&Entry> {
        self.flags.get(flag)
    }

    /// What the flag was set to; `None`: its default holds.
    pub fn truth(&self, flag: &str) -> Option<Truth> {
        self.flags.get(flag).and_then(|entry| entry.truth)
    }

    /// Every flag that was ever set, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.flags.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// The number of the newest change; 0: none yet.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What is true beside the values of flags.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What became of this request, if it is remembered.
    pub fn receipt(&self, request: u64) -> Option<Receipt> {
        if request == 0 {
            return None;
        }
        self.receipts.iter().rev().find(|receipt| receipt.request == request).copied()
    }

    /// Makes a change.
    pub fn apply(&mut self, change: &Change) {
        self.generation = self.generation.max(change.generation);
        for set in &change.sets {
            let entry = Entry {
                truth: set.truth,
                old: set.old,
                salt: set.salt.clone(),
                generation: change.generation,
                uid: change.uid,
                actor: change.actor.clone(),
                reason: change.reason.clone(),
                time: change.time,
            };
            self.flags.insert(set.flag.clone(), entry);
        }
        change.facts.iter().for_each(|fact| self.learn(fact));
        if let Some(receipt) = change.receipt() {
            self.remember(receipt);
        }
    }

    /// Takes in a fact. Of rollouts that are over the oldest are forgotten; the newest of all stays whatever it is, so
    /// that its number is not given twice.
    pub(super) fn learn(&mut self, fact: &Fact) {
        self.facts.learn(fact);
        if matches!(fact, Fact::Roll(..)) {
            let rolls = &mut self.facts.rolls;
            let over: Vec<u64> =
                rolls.iter().filter(|(_, roll)| is_over(roll.state)).map(|(n, _)| *n).collect();
            for number in over.iter().take(over.len().saturating_sub(ROLLS_MAX)) {
                rolls.remove(number);
            }
        }
    }

    pub(super) fn remember(&mut self, receipt: Receipt) {
        if self.receipts.len() == RECEIPTS_MAX {
            self.receipts.pop_front();
        }
        self.receipts.push_back(receipt);
    }
}

fn is_over(state: RollState) -> bool {
    match state {
        RollState::Baking | RollState::Held => false,
        RollState::Done | RollState::RolledBack | RollState::Ended => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::guard::{Guarding, Roll, Subject};

    fn change(generation: u64, request: u64, facts: Vec<Fact>) -> Change {
        Change {
            generation,
            request,
            uid: 0,
            actor: String::new(),
            verb: String::new(),
            reason: String::new(),
            time: Wall(0),
            sets: Vec::new(),
            facts,
        }
    }

    fn roll(state: RollState) -> Roll {
        Roll {
            subject: Subject::Flag("x".into()),
            steps: vec![100_000],
            step: 0,
            guard: Guarding::default(),
            back: Vec::new(),
            state,
            outcome: String::new(),
            evidence: Vec::new(),
            uid: 0,
            actor: String::new(),
            reason: String::new(),
            generation: 0,
            began: Wall(0),
            moved: Wall(0),
        }
    }

    #[test]
    fn the_newest_requests_are_remembered_and_of_two_with_one_number_the_newer() {
        let mut state = State::default();
        for number in 1..=RECEIPTS_MAX as u64 + 1 {
            state.apply(&change(number, number, Vec::new()));
        }
        assert_eq!(state.receipts.len(), RECEIPTS_MAX);
        let generation = |state: &State, request| state.receipt(request).map(|receipt| receipt.generation);
        assert_eq!((generation(&state, 1), generation(&state, 2)), (None, Some(2)));
        state.apply(&change(5_000, 9, Vec::new()));
        assert_eq!(generation(&state, 9), Some(5_000));
        // Whoever gave no number is nobody that one could recognise, also where a record says 0.
        state.remember(Receipt { request: 0, generation: 7, roll: 0 });
        assert_eq!(state.receipt(0), None);
    }

    #[test]
    fn a_change_below_the_newest_leaves_the_number_and_its_receipt_names_its_rollout() {
        let mut state = State::default();
        state.apply(&change(9, 0, Vec::new()));
        state.apply(&change(4, 17, vec![Fact::Roll(3, Some(roll(RollState::Baking)))]));
        assert_eq!(state.generation(), 9);
        assert_eq!(state.receipt(17), Some(Receipt { request: 17, generation: 4, roll: 3 }));
    }

    #[test]
    fn of_rollouts_that_are_over_the_newest_stay_and_those_that_go_on_all() {
        let mut state = State::default();
        let most = ROLLS_MAX as u64;
        for number in 1..=2 * most {
            state.learn(&Fact::Roll(number, Some(roll(RollState::Held))));
        }
        assert_eq!(state.facts().rolls.len() as u64, 2 * most);
        for number in 1..=most + 3 {
            state.learn(&Fact::Roll(number, Some(roll(RollState::Done))));
        }
        let kept: Vec<u64> = state.facts().rolls.keys().copied().collect();
        assert_eq!(kept, (4..=2 * most).collect::<Vec<_>>());
    }
}
