//! All that can be known of flags, from whoever knows it: the keeper; without it the board, the journal and the
//! copy of what was declared.

use super::{board, lost};
use crate::cli::error::Error;
use crate::flags::{Declaration, Kind, Truth, Value};
use crate::ipc::flags::{Flag, Reply, Request, Seen};
use crate::paths::Project;
use crate::services::keeper::client;
use crate::store::{self, State};
use crate::time::{Duration, Wall};
use std::collections::BTreeMap;

/// A keeper that is well answers within microseconds; longer than this nobody waits for what the board has too.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Every flag.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By name.
    pub flags: Vec<Flag>,
    /// Who has read them; `None`: nobody could be asked.
    pub seen: Option<Vec<Seen>>,
    /// The number of the newest change.
    pub generation: u64,
}

impl Known {
    /// Whatever can be found out.
    ///
    /// # Errors
    /// Nothing can.
    pub(super) fn find(project: &Project) -> Result<Known, Error> {
        if let Some(known) = asked(project) {
            return Ok(known);
        }
        let journal = store::read_only(&project.state).unwrap_or_default();
        let declared = store::declared::recall(&project.state).map(|copy| copy.flags).unwrap_or_default();
        let snapshot = board(project).snapshot();
        let read: Option<BTreeMap<String, Truth>> = snapshot
            .generation
            .map(|_| snapshot.flags().map(|(name, truth)| (name.to_owned(), truth)).collect());
        let generation = snapshot.generation.unwrap_or_else(|| journal.generation());
        let flags = gather(declared, &journal, read.as_ref());
        if flags.is_empty() && read.is_none() {
            return Err(Error::Failed {
                message: lost(project),
                hint: "start it with `mainstay run`".into(),
            });
        }
        Ok(Known { flags, seen: None, generation })
    }
}

/// What the keeper says, if it does.
fn asked(project: &Project) -> Option<Known> {
    let ask = |request: Request| client::ask(&project.runtime, &request, PATIENCE).ok();
    let answer = ask(Request::List { flags: Vec::new() })?;
    let flags = answer.replies.into_iter().filter_map(|reply| match reply {
        Reply::Flag(flag) => Some(*flag),
        _ => None,
    });
    let seen = ask(Request::Seen { flags: Vec::new() }).map(|answer| seen(answer.replies));
    Some(Known { flags: flags.collect(), seen, generation: answer.generation })
}

/// The replies that say who has read what.
pub(super) fn seen(replies: Vec<Reply>) -> Vec<Seen> {
    let seen = replies.into_iter().filter_map(|reply| match reply {
        Reply::Seen(seen) => Some(seen),
        _ => None,
    });
    seen.collect()
}

/// Flags as the keeper would tell them, by what it left behind. `read`: what the board says, if there is one.
fn gather(declared: Vec<Declaration>, journal: &State, read: Option<&BTreeMap<String, Truth>>) -> Vec<Flag> {
    let mut all: BTreeMap<String, Declaration> =
        declared.into_iter().map(|declared| (declared.name.clone(), declared)).collect();
    // A board that somebody else made may have more than the copy says.
    for (name, truth) in read.into_iter().flatten() {
        all.entry(name.clone()).or_insert_with(|| undeclared(name, truth.value));
    }
    if read.is_none() && all.is_empty() {
        let set = journal.iter().filter_map(|(name, entry)| Some((name.to_owned(), entry.truth?)));
        all.extend(set.map(|(name, truth)| (name.clone(), undeclared(&name, truth.value))));
    }
    let flags = all.into_values().filter(|declared| declared.kind != Kind::Stage);
    flags.map(|declared| flag(declared, journal, read)).collect()
}

fn undeclared(name: &str, value: Value) -> Declaration {
    let kind = kind_of(value);
    Declaration { name: name.to_owned(), kind, default: value, ..Declaration::default() }
}

/// The widest kind that takes this value.
pub(super) fn kind_of(value: Value) -> Kind {
    match value {
        Value::Off | Value::On | Value::Share(_) => Kind::Percent,
        Value::Stage(_) => Kind::Stage,
        Value::Int(_) => Kind::Int,
        Value::Text(_) => Kind::Text,
    }
}

fn flag(declared: Declaration, journal: &State, read: Option<&BTreeMap<String, Truth>>) -> Flag {
    let entry = journal.get(&declared.name);
    let truth = entry.and_then(|entry| entry.truth).unwrap_or_else(|| declared.unset().into());
    let effective = read.and_then(|read| read.get(&declared.name)).copied().unwrap_or(truth);
    Flag {
        truth,
        effective,
        instances: Vec::new(),
        set: entry.is_some_and(|entry| entry.truth.is_some()),
        generation: entry.map_or(0, |entry| entry.generation),
        uid: entry.map_or(0, |entry| entry.uid),
        actor: entry.map_or_else(String::new, |entry| entry.actor.clone()),
        reason: entry.map_or_else(String::new, |entry| entry.reason.clone()),
        time: entry.map_or(Wall(0), |entry| entry.time),
        durable: true,
        stage: None,
        roll: 0,
        guard: String::new(),
        declared,
    }
}
