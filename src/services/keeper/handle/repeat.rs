//! The answer that a request got, or would have got, when it was carried out. Pure.
//!
//! What was changed by others since has another number. What held before is then forgotten; what the request asked for is
//! not.

use super::super::ground::{Batch, Ground};
use super::tell;
use crate::flags::guard::{Roll as Rollout, Subject};
use crate::flags::{Truth, View};
use crate::ipc::flags::{Changed, Edit, Reply, Request};
use crate::store::Receipt;

pub(super) fn answer(ground: &Ground<'_>, batch: &Batch, receipt: Receipt, request: &Request) -> Vec<Reply> {
    batch.see(&ground.truths, |view| {
        let named: Vec<(&str, Option<&str>)> = match request {
            Request::Set { edits, .. } => edits.iter().map(|e| (e.flag.as_str(), Some(becomes(e)))).collect(),
            Request::Reset { flags, .. } => flags.iter().map(|flag| (flag.as_str(), None)).collect(),
            _ => Vec::new(),
        };
        let mut replies: Vec<Reply> = named
            .iter()
            .map(|(flag, to)| one(ground, batch, view, receipt, flag, *to))
            .map(Reply::Changed)
            .collect();
        let catalog = view.catalog;
        let flags = catalog.flags().map(|flag| flag.name.as_str());
        let all = flags.chain(catalog.migrations().map(|migration| migration.name.as_str()));
        for name in all.filter(|name| !named.iter().any(|(other, _)| other == name)) {
            if batch.last(ground.truths.state, name).2 == receipt.generation {
                let told = one(ground, batch, view, receipt, name, None);
                replies.extend(Some(told).filter(differs).map(Reply::Changed));
            }
        }
        let is_of_stage = |roll: &Rollout| matches!(roll.subject, Subject::Stage(..));
        let roll = match request {
            Request::Steer { roll, .. } => Some(*roll),
            Request::Roll { .. } => Some(receipt.roll),
            Request::Stage { .. } => {
                Some(receipt.roll).filter(|n| view.facts.rolls.get(n).is_some_and(is_of_stage))
            }
            // It may have ended one, and did not say so then.
            _ => None,
        };
        replies.extend(roll.and_then(|roll| tell::roll(ground, view, roll)));
        replies
    })
}

fn one(
    ground: &Ground<'_>,
    batch: &Batch,
    view: &View<'_>,
    receipt: Receipt,
    flag: &str,
    to: Option<&str>,
) -> Changed {
    let (truth, old, generation) = batch.last(ground.truths.state, flag);
    let mine = generation == receipt.generation;
    let text = |truth: Option<Truth>| match truth {
        Some(truth) => truth.to_string(),
        None => tell::unset(view, flag),
    };
    let asked = || to.map_or_else(|| tell::value_now(view, flag), str::to_owned);
    let (old, new) = if mine { (text(old), text(truth)) } else { (asked(), asked()) };
    Changed {
        flag: flag.to_owned(),
        old,
        new,
        generation: receipt.generation,
        unchanged: !mine,
        repeated: true,
        durable: true,
    }
}

fn becomes(edit: &Edit) -> &str {
    if edit.disabled { "disabled" } else { &edit.to }
}

fn differs(changed: &Changed) -> bool {
    changed.old != changed.new
}
