//! One wake-up's requests, from decided to acknowledged (J1): journal, then board, then answers.
//!
//! All requests that arrived together share one sync. When the journal fails, nothing of the batch is
//! true: each request is decided again on its own, and is made in memory only when its client takes that.

use super::handle::{Actor, Batch, Declared, Outcome, accepts_volatile, handle};
use crate::exit_code::ExitCode;
use crate::ipc::builtin::FromKeeper;
use crate::ipc::control::{Refusal, What};
use crate::ipc::flags::{Reply, Request};
use crate::store::{Change, Store};
use crate::time::Wall;

/// A request and who sent it.
#[derive(Clone, Debug)]
pub struct Asked<T> {
    /// Where the answer goes.
    pub to: T,
    /// Who.
    pub who: Actor,
    /// What.
    pub request: Request,
}

/// Answers to a round of requests, in their order. When a change is in an answer, the journal has it (or
/// its client took less) and `publish` has returned. Changes get numbers above `floor`.
pub fn answer<T: Clone>(
    declared: &Declared,
    store: &mut Store,
    now: Wall,
    floor: u64,
    asked: &[Asked<T>],
    mut publish: impl FnMut(&Store, &[Change]),
) -> Vec<(T, Vec<Reply>)> {
    // What is in memory only may be durable by now: then nothing that is said below is less than true.
    if store.trouble().is_some() && asked.iter().any(|asked| changes(&asked.request)) {
        store.tend();
    }
    let mut batch = Batch::above(floor);
    let decide = |store: &Store, batch: &mut Batch, asked: &Asked<T>| {
        handle(declared, store.state(), batch, now, &asked.who, &asked.request)
    };
    let outcomes: Vec<_> = asked.iter().map(|asked| decide(store, &mut batch, asked)).collect();
    if store.commit(&batch.changes).is_ok() {
        publish(store, &batch.changes);
        let answers = asked.iter().zip(outcomes);
        return answers.map(|(asked, outcome)| (asked.to.clone(), replies(store, outcome))).collect();
    }
    let alone = |asked: &Asked<T>| {
        let mut batch = Batch::above(floor);
        let outcome = decide(store, &mut batch, asked);
        if !batch.changes.is_empty() && !accepts_volatile(&asked.request) {
            return (asked.to.clone(), vec![Reply::Refused(not_durable(store))]);
        }
        store.commit_volatile(&batch.changes);
        publish(store, &batch.changes);
        (asked.to.clone(), replies(store, outcome))
    };
    asked.iter().map(alone).collect()
}

fn changes(request: &Request) -> bool {
    request.changes()
}

fn replies(store: &Store, outcome: Outcome) -> Vec<Reply> {
    match outcome {
        Outcome::Refused(refusal) => vec![Reply::Refused(refusal)],
        Outcome::Answer(mut replies, generation) => {
            for reply in &mut replies {
                match reply {
                    Reply::Changed(changed) => changed.durable = store.is_durable(changed.generation),
                    Reply::Flag(flag) => flag.durable = store.is_durable(flag.generation),
                    _ => {}
                }
            }
            replies.push(Reply::Done { generation, durable: store.is_durable(generation) });
            replies
        }
    }
}

fn not_durable(store: &Store) -> Refusal {
    let (what, hint) = match store.trouble() {
        Some(trouble) => (trouble.to_string(), trouble.hint()),
        None => ("the journal cannot be written".to_owned(), "check the disk of the state directory"),
    };
    Refusal {
        code: ExitCode::Failed.number(),
        message: format!("the change cannot be made durable and was not made: {what}"),
        hint: format!("{hint}; or use --volatile, and the change is lost if the keeper dies before that"),
    }
}

/// What the supervisor is told about changes.
pub(super) fn news(declared: &Declared, changes: &[Change]) -> Vec<FromKeeper> {
    let of = |change: &Change| {
        let told = |set: &crate::store::Set| FromKeeper::Noted {
            name: set.flag.clone(),
            what: What::FlagChanged {
                old: declared.effective(&set.flag, set.old).to_string(),
                new: declared.effective(&set.flag, set.truth).to_string(),
                generation: change.generation,
                actor: change.actor.clone(),
                reason: change.reason.clone(),
            },
        };
        change.sets.iter().map(told).collect::<Vec<_>>()
    };
    changes.iter().flat_map(of).collect()
}
