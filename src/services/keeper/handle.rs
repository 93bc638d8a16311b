//! What a request means: (declarations, truth, request) → answer and change. Pure.
//!
//! Requests that arrive together are handled one after the other against the same [`Batch`], each seeing
//! what those before it are about to change, so that one sync makes all of them durable. Nothing of a
//! batch is true until the journal has it; when the journal fails, the batch is dropped and each request
//! is handled again on its own.

use crate::exit_code::ExitCode;
use crate::flags::{Declaration, Truth, Value};
use crate::ipc::control::Refusal;
use crate::ipc::flags::{Changed, Edit, Flag, How, Reply, Request, To};
use crate::store::{Change, Entry, Set, State};
use crate::time::Wall;
use std::collections::{BTreeMap, HashMap};

/// The longest reason, in bytes: it is kept in the journal for each flag.
pub const REASON_MAX: usize = 2048;

/// The flags that the configuration declares.
#[derive(Clone, Debug, Default)]
pub struct Declared(BTreeMap<String, Declaration>);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// By the socket's peer credentials.
    pub uid: u32,
    /// That user's name, or the number when it has none.
    pub name: String,
}

/// Changes that are decided and not yet true.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// In order, one for each request that changes something.
    pub changes: Vec<Change>,
    /// The highest number that readers may have seen.
    floor: u64,
    /// What they make of each flag: the truth and the number of the change.
    ahead: HashMap<String, (Option<Truth>, u64)>,
}

impl Batch {
    /// Nothing yet; the first change gets a number above `floor`: readers may have seen that of a change
    /// which was in memory only, and is lost.
    pub fn above(floor: u64) -> Batch {
        Batch { floor, ..Batch::default() }
    }

    fn push(&mut self, change: Change) {
        for set in &change.sets {
            self.ahead.insert(set.flag.clone(), (set.truth, change.generation));
        }
        self.changes.push(change);
    }
}

impl Declared {
    /// These; a name that is declared twice keeps its last declaration.
    pub fn new(declarations: impl IntoIterator<Item = Declaration>) -> Declared {
        Declared(declarations.into_iter().map(|d| (d.name.clone(), d)).collect())
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = &Declaration> {
        self.0.values()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What holds for this flag when this was set, or nothing.
    pub(super) fn effective(&self, flag: &str, set: Option<Truth>) -> Truth {
        set.or_else(|| self.0.get(flag).map(|d| d.default.into())).unwrap_or(Truth::from(Value::Off))
    }

    /// What holds for each declared flag.
    pub fn truths<'a>(&'a self, state: &'a State) -> impl Iterator<Item = (&'a Declaration, Truth)> {
        self.0.values().map(|d| (d, state.truth(&d.name).unwrap_or(d.default.into())))
    }

    /// What holds for a declared flag; `None`: it is not declared.
    pub fn truth(&self, state: &State, flag: &str) -> Option<Truth> {
        self.0.get(flag).map(|d| state.truth(flag).unwrap_or(d.default.into()))
    }

    /// What stands in the hash before an id; empty: the name.
    fn salt(&self, flag: &str) -> String {
        let own = self.0.get(flag).map(|d| d.salt.as_str()).filter(|salt| *salt != flag);
        own.unwrap_or_default().to_owned()
    }

    /// The nearest declared name, when it is near enough to be meant.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.0.keys().map(String::as_str))
    }

    fn check(&self, flag: &str) -> Result<&Declaration, Refusal> {
        self.0.get(flag).ok_or_else(|| unknown(flag, self.nearest(flag), self.0.len()))
    }
}

/// Of these names, the one that was probably meant.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A flag that nobody declared.
pub fn unknown(flag: &str, nearest: Option<&str>, declared: usize) -> Refusal {
    let hint = match nearest {
        Some(name) => format!("did you mean `{name}`?"),
        None if declared == 0 => "the configuration declares no flag; add `[flag.NAME]`".to_owned(),
        None => "`mainstay flag list` shows the flags that the configuration declares".to_owned(),
    };
    Refusal { code: ExitCode::NotFound.number(), message: format!("no flag `{}`", flag.escape_debug()), hint }
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These replies, and `Done` with this number, when everything in the batch is durable.
    Answer(Vec<Reply>, u64),
    /// It is not done.
    Refused(Refusal),
}

/// Decides about a request. What it changes is appended to `batch`. [`Request::Where`] is not for this
/// function: what it asks for is no flag.
pub fn handle(
    declared: &Declared,
    state: &State,
    batch: &mut Batch,
    now: Wall,
    who: &Actor,
    request: &Request,
) -> Outcome {
    let decided = match request {
        Request::Set { how, edits } => Asked { how, now, who }.set(declared, state, batch, edits),
        Request::Reset { how, flags } => {
            let edits = edits_of_reset(declared, state, batch, flags);
            Asked { how, now, who }.set(declared, state, batch, &edits)
        }
        Request::List { flags } => list(declared, state, flags),
        _ => Ok(Vec::new()),
    };
    match decided {
        Ok(replies) => Outcome::Answer(replies, newest(state, batch)),
        Err(refusal) => Outcome::Refused(refusal),
    }
}

/// True when the client takes a change that is not durable over none.
pub fn accepts_volatile(request: &Request) -> bool {
    request.how().is_some_and(|how| how.volatile)
}

/// What all changes have in common.
struct Asked<'a> {
    how: &'a How,
    now: Wall,
    who: &'a Actor,
}

impl Asked<'_> {
    fn set(
        &self,
        declared: &Declared,
        state: &State,
        batch: &mut Batch,
        edits: &[Edit],
    ) -> Result<Vec<Reply>, Refusal> {
        if self.how.reason.len() > REASON_MAX {
            let message = format!("a reason of {} bytes is longer than {REASON_MAX}", self.how.reason.len());
            return Err(usage(message, "say it shorter, and link to the rest"));
        }
        let mut named: Vec<_> = edits.iter().map(|edit| edit.flag.as_str()).collect();
        named.sort_unstable();
        if let Some(twice) = named.windows(2).find(|pair| pair[0] == pair[1]) {
            let message = format!("flag `{}` is named twice", twice[0].escape_debug());
            return Err(usage(message, "name each flag once"));
        }
        for edit in edits {
            declared.check(&edit.flag)?;
        }
        if let Some(generation) = self.carried_out(state, batch) {
            return Ok(repeat(declared, state, batch, edits, generation));
        }
        let generation = newest(state, batch) + 1;
        let (mut sets, mut replies) = (Vec::new(), Vec::new());
        for edit in edits {
            let (old, since) = ahead(state, batch, &edit.flag);
            let truth = self.becomes(declared, edit, old);
            let unchanged = truth == old;
            replies.push(Reply::Changed(Changed {
                flag: edit.flag.clone(),
                old: declared.effective(&edit.flag, old).to_string(),
                new: declared.effective(&edit.flag, truth).to_string(),
                generation: if unchanged { since } else { generation },
                unchanged,
                repeated: false,
                durable: true,
            }));
            if !unchanged {
                let salt = declared.salt(&edit.flag);
                sets.push(Set { flag: edit.flag.clone(), truth, old, salt });
            }
        }
        if !sets.is_empty() && !self.how.dry_run {
            batch.push(Change {
                generation,
                request: self.how.id,
                uid: self.who.uid,
                actor: self.who.name.clone(),
                reason: self.how.reason.to_owned(),
                time: self.now,
                verb: String::new(),
                sets,
                facts: Vec::new(),
            });
        }
        Ok(replies)
    }

    /// The change that this very request became, when it was carried out before.
    fn carried_out(&self, state: &State, batch: &Batch) -> Option<u64> {
        let waiting = batch.changes.iter().find(|change| self.how.id != 0 && change.request == self.how.id);
        waiting.map(|change| change.generation).or_else(|| state.receipt(self.how.id).map(|r| r.generation))
    }

    fn becomes(&self, declared: &Declared, edit: &Edit, old: Option<Truth>) -> Option<Truth> {
        let kind = declared.0.get(&edit.flag).map(|d| d.kind).unwrap_or_default();
        match To::parse(kind, &edit.to).unwrap_or(To::Default) {
            To::Value(value) => Some(value.into()),
            To::Disabled => Some(Truth { disabled: true, ..declared.effective(&edit.flag, old) }),
            To::Default => None,
        }
    }
}

/// No flag named: every declared one that somebody set.
fn edits_of_reset(declared: &Declared, state: &State, batch: &Batch, flags: &[String]) -> Vec<Edit> {
    let edit = |flag: &String| Edit { flag: flag.clone(), to: To::Default.to_string() };
    if !flags.is_empty() {
        return flags.iter().map(edit).collect();
    }
    declared.0.keys().filter(|flag| ahead(state, batch, flag).0.is_some()).map(edit).collect()
}

/// The answer that the request got, or would have got, when it was carried out.
fn repeat(declared: &Declared, state: &State, batch: &Batch, edits: &[Edit], generation: u64) -> Vec<Reply> {
    let waiting = batch.changes.iter().find(|change| change.generation == generation);
    let answer = |edit: &Edit| {
        let flag = &edit.flag;
        let then = match waiting {
            Some(change) => change.sets.iter().find(|s| s.flag == *flag).map(|s| (s.old, s.truth)),
            None => state.get(flag).filter(|e| e.generation == generation).map(|e| (e.old, e.truth)),
        };
        // What others changed since has another number: what held then is forgotten, what the request
        // asked for is not.
        let (old, new) = match then {
            Some((old, new)) => {
                (declared.effective(flag, old).to_string(), declared.effective(flag, new).to_string())
            }
            None => (edit.to.to_string(), edit.to.to_string()),
        };
        Reply::Changed(Changed {
            flag: flag.clone(),
            old,
            new,
            generation,
            unchanged: then.is_none(),
            repeated: true,
            durable: true,
        })
    };
    edits.iter().map(answer).collect()
}

fn list(declared: &Declared, state: &State, flags: &[String]) -> Result<Vec<Reply>, Refusal> {
    let describe = |d: &Declaration| Reply::Flag(Box::new(describe(d, state.get(&d.name))));
    if flags.is_empty() {
        return Ok(declared.0.values().map(describe).collect());
    }
    flags.iter().map(|flag| declared.check(flag).map(describe)).collect()
}

/// A flag as lists show it, from its declaration and its newest change.
pub fn describe(declaration: &Declaration, entry: Option<&Entry>) -> Flag {
    let set = entry.and_then(|e| e.truth);
    Flag {
        declared: declaration.clone(),
        truth: set.unwrap_or(declaration.default.into()),
        effective: set.unwrap_or(declaration.default.into()),
        set: set.is_some(),
        generation: entry.map_or(0, |e| e.generation),
        uid: entry.map_or(0, |e| e.uid),
        actor: entry.map_or_else(String::new, |e| e.actor.clone()),
        reason: entry.map_or_else(String::new, |e| e.reason.clone()),
        time: entry.map_or(Wall(0), |e| e.time),
        durable: true,
        stage: None,
        roll: 0,
        guard: String::new(),
    }
}

fn ahead(state: &State, batch: &Batch, flag: &str) -> (Option<Truth>, u64) {
    batch.ahead.get(flag).copied().unwrap_or_else(|| {
        let entry = state.get(flag);
        (entry.and_then(|e| e.truth), entry.map_or(0, |e| e.generation))
    })
}

fn newest(state: &State, batch: &Batch) -> u64 {
    batch.changes.last().map_or(state.generation().max(batch.floor), |change| change.generation)
}

fn usage(message: String, hint: &str) -> Refusal {
    Refusal { code: ExitCode::Usage.number(), message, hint: hint.to_owned() }
}
