//! One wake-up's requests, from decided to acknowledged (J1): journal, then board, then answers.
//!
//! All requests that arrived together share one sync. When the journal fails, nothing of the batch is
//! true: each request is decided again on its own, and is made in memory only when its client takes that.

use super::ground::{Actor, Batch, Ground};
use super::handle::{Outcome, accepts_volatile, handle};
use crate::exit_code::ExitCode;
use crate::ipc::control::Refusal;
use crate::ipc::flags::{Reply, Request};
use crate::store::{Change, Store};

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

/// Who knows what is declared, and shows changes to everybody.
pub trait Office {
    /// What requests are decided on, beside what the journal says.
    fn ground<'a>(&'a self, store: &'a Store) -> Ground<'a>;

    /// Shows these changes, which are in the store, and all before them. Has returned before any is acknowledged.
    fn publish(&mut self, store: &Store, changes: &[Change]);
}

/// Answers to a round of requests, in their order. When a change is in an answer, the journal has it (or
/// its client took less) and the office has published it. Changes get numbers above `floor`.
pub fn answer<T: Clone>(
    office: &mut impl Office,
    store: &mut Store,
    floor: u64,
    asked: &[Asked<T>],
) -> Vec<(T, Vec<Reply>)> {
    // What is in memory only may be durable by now: then nothing that is said below is less than true.
    if store.trouble().is_some() && asked.iter().any(|asked| asked.request.changes()) {
        store.tend();
    }
    let floor = floor.max(store.floor());
    let mut batch = Batch::above(floor);
    let ground = office.ground(store);
    let decide = |asked: &Asked<T>| handle(&ground, &mut batch, &asked.who, &asked.request);
    let outcomes: Vec<_> = asked.iter().map(decide).collect();
    if store.commit(&batch.changes).is_ok() {
        // Also when nothing is new: what is said again below may be shown by no board yet.
        office.publish(store, &batch.changes);
        let answers = asked.iter().zip(outcomes);
        return answers.map(|(asked, outcome)| (asked.to.clone(), replies(store, outcome))).collect();
    }
    let mut alone = |asked: &Asked<T>| {
        let mut batch = Batch::above(floor);
        let outcome = handle(&office.ground(store), &mut batch, &asked.who, &asked.request);
        if !batch.changes.is_empty() {
            if !accepts_volatile(&asked.request) {
                return (asked.to.clone(), vec![Reply::Refused(not_durable(store))]);
            }
            store.commit_volatile(&batch.changes);
        }
        office.publish(store, &batch.changes);
        (asked.to.clone(), replies(store, outcome))
    };
    asked.iter().map(&mut alone).collect()
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
