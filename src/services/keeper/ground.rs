//! What requests are decided on: what is declared and true, and what those before them are about to make of it. Pure.

use crate::flags::guard::{Facts, Guard, Moment};
use crate::flags::{Catalog, Effective, Planned, Tree, Truth, Value, View, effective};
use crate::store::{Change, Entry, Receipt, Set, State};
use std::collections::{BTreeMap, HashMap};

/// What is declared, what is true, and what of the world that depends on.
#[derive(Clone, Copy, Debug)]
pub struct Truths<'a> {
    /// The flags and migrations that the configuration declares.
    pub catalog: &'a Catalog,
    /// What the journal says.
    pub state: &'a State,
    /// The instances and this host.
    pub tree: &'a Tree,
}

impl Truths<'_> {
    /// What is planned from, when nothing is about to change.
    pub fn see<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let set = |flag: &str| self.state.truth(flag);
        look(&View { catalog: self.catalog, set: &set, facts: self.state.facts() })
    }

    /// What readers shall see of these flags and migrations; those that are not declared are left out.
    pub fn effective<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> BTreeMap<String, Effective> {
        self.see(|view| {
            let one = |name: &'n str| Some((name.to_owned(), effective(view, self.tree, name)?));
            names.into_iter().filter_map(one).collect()
        })
    }

    /// The same of all that are declared.
    pub fn all_effective(&self) -> BTreeMap<String, Effective> {
        self.see(|view| crate::flags::effective_all(view, self.tree))
    }
}

/// What a request is decided on.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// What is declared and true.
    pub truths: Truths<'a>,
    /// What the guard knows.
    pub guard: &'a Guard,
    /// Of rollouts that the guard took back in this life: how long it needed for that, in nanoseconds.
    pub took: &'a BTreeMap<u64, u64>,
    /// Now.
    pub now: Moment,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// By the socket's peer credentials.
    pub uid: u32,
    /// That user's name, or the number when it has none.
    pub name: String,
}

/// What a change is made with, beside what it does.
#[derive(Clone, Debug)]
pub struct Made<'a> {
    /// What the client called it; 0: nothing.
    pub request: u64,
    /// Who.
    pub who: &'a Actor,
    /// What was asked for, as one would type it.
    pub verb: String,
    /// Why.
    pub reason: &'a str,
}

/// Changes that are decided and not yet true.
///
/// Requests that arrive together are decided one after the other against the same batch, so that one sync makes all of
/// them durable. Nothing of a batch is true until the journal has it; when the journal fails, it is dropped and each
/// request is decided again on its own.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// In order, one for each request that changes something.
    pub changes: Vec<Change>,
    /// The highest number that readers may have seen.
    floor: u64,
    /// What they make of each flag: the truth and the number of the change.
    ahead: HashMap<String, (Option<Truth>, u64)>,
    /// What they make of the facts; `None`: nothing.
    facts: Option<Facts>,
}

impl Batch {
    /// Nothing yet; the first change gets a number above `floor`: readers may have seen that of a change
    /// which was in memory only, and is lost.
    pub fn above(floor: u64) -> Batch {
        Batch { floor, ..Batch::default() }
    }

    /// What is planned from: what is true, and what is about to be.
    pub fn see<T>(&self, truths: &Truths<'_>, look: impl FnOnce(&View<'_>) -> T) -> T {
        let set = |flag: &str| match self.ahead.get(flag) {
            Some((truth, _)) => *truth,
            None => truths.state.truth(flag),
        };
        let facts = self.facts.as_ref().unwrap_or_else(|| truths.state.facts());
        look(&View { catalog: truths.catalog, set: &set, facts })
    }

    /// The number of the newest change.
    pub fn newest(&self, state: &State) -> u64 {
        self.changes.last().map_or(state.generation().max(self.floor), |change| change.generation)
    }

    /// What became of this request, when it was carried out before.
    pub fn receipt(&self, state: &State, request: u64) -> Option<Receipt> {
        let waiting = self.changes.iter().rev().filter_map(Change::receipt).find(|r| r.request == request);
        waiting.or_else(|| state.receipt(request))
    }

    /// What the flag is set to, what it was before that, and the number of the change that did it.
    pub fn last(&self, state: &State, flag: &str) -> (Option<Truth>, Option<Truth>, u64) {
        let of_set = |change: &Change| {
            let set = change.sets.iter().find(|set| set.flag == flag)?;
            Some((set.truth, set.old, change.generation))
        };
        let waiting = self.changes.iter().rev().find_map(of_set);
        let made = |entry: &Entry| (entry.truth, entry.old, entry.generation);
        waiting.or_else(|| state.get(flag).map(made)).unwrap_or_default()
    }

    /// Appends a change that was planned with what is seen now. A migration that moves is set like a flag, to its stage: so
    /// that whatever is asked about flags can be asked about it.
    pub fn push(&mut self, truths: &Truths<'_>, planned: Planned, made: Made<'_>, now: Moment) {
        use crate::flags::guard::Fact;
        let generation = self.newest(truths.state) + 1;
        let mut becomes = planned.sets;
        for fact in &planned.facts {
            let Fact::Stood(migration, stood) = fact else { continue };
            let truth = stood.as_ref().map(|stood| Value::Stage(stood.stage).into());
            // One that only begins to bring in a stage does not move.
            let now = self.see(truths, |view| view.stage(migration));
            if truth != Some(Value::Stage(now).into()) {
                becomes.push((migration.clone(), truth));
            }
        }
        // What held, and not only what somebody had set: later nobody could tell.
        let sets: Vec<Set> = self.see(truths, |view| {
            let held = |name: &str| match view.catalog.migration(name) {
                Some(_) => Value::Stage(view.stage(name)).into(),
                None => view.truth(name),
            };
            let set = |(flag, truth): (String, Option<Truth>)| Set {
                old: Some(held(&flag)),
                salt: salt(truths.catalog, &flag),
                truth,
                flag,
            };
            becomes.into_iter().map(set).collect()
        });
        let mut facts = self.facts.take().unwrap_or_else(|| truths.state.facts().clone());
        planned.facts.iter().for_each(|fact| facts.learn(fact));
        self.facts = Some(facts);
        for set in &sets {
            self.ahead.insert(set.flag.clone(), (set.truth, generation));
        }
        self.changes.push(Change {
            generation,
            request: made.request,
            uid: made.who.uid,
            actor: made.who.name.clone(),
            verb: made.verb,
            reason: made.reason.to_owned(),
            time: now.wall,
            sets,
            facts: planned.facts,
        });
    }
}

/// What stands in the hash before an id; empty: the name.
fn salt(catalog: &Catalog, flag: &str) -> String {
    let own = catalog.flag(flag).map(|declared| declared.salt.as_str()).filter(|salt| *salt != flag);
    own.unwrap_or_default().to_owned()
}
