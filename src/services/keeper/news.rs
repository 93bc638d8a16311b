//! What the supervisor is told about changes, for its numbered stream of events. Pure.

use super::ground::Truths;
use crate::flags::guard::{Act, Fact, Reason, Roll, RollState};
use crate::flags::{Truth, Value, View};
use crate::ipc::builtin::FromKeeper;
use crate::ipc::control::What;
use crate::store::{Change, Set};

/// Of these changes, which were just made.
pub(super) fn of_changes(truths: &Truths<'_>, changes: &[Change]) -> Vec<FromKeeper> {
    truths.see(|view| changes.iter().flat_map(|change| of_change(view, change)).collect())
}

fn of_change(view: &View<'_>, change: &Change) -> Vec<FromKeeper> {
    // One that is set to what it was anyway is news to nobody.
    let news = change.sets.iter().filter(|set| set.old.is_none() || set.old != set.truth);
    let sets = news.map(|set| of_set(view, change, set));
    let rolls = change.facts.iter().filter_map(|fact| match fact {
        Fact::Roll(number, Some(roll)) => Some(of_roll(*number, roll)),
        _ => None,
    });
    sets.chain(rolls).collect()
}

fn of_set(view: &View<'_>, change: &Change, set: &Set) -> FromKeeper {
    let (generation, actor, reason) = (change.generation, change.actor.clone(), change.reason.clone());
    let what = match view.catalog.migration(&set.flag) {
        Some(migration) => {
            let stage = |truth: Option<Truth>| match truth.map(|truth| truth.value) {
                Some(Value::Stage(stage)) => stage,
                _ => migration.configured,
            };
            let (from, to) = (stage(set.old), stage(set.truth));
            let stage_name = migration.stage_name(to).to_owned();
            What::StageChanged { from, to, stage_name, generation, actor, reason }
        }
        None => {
            let text = |truth: Option<Truth>| truth.unwrap_or_else(|| view.unset(&set.flag)).to_string();
            What::FlagChanged { old: text(set.old), new: text(set.truth), generation, actor, reason }
        }
    };
    FromKeeper::Noted { name: set.flag.clone(), what }
}

fn of_roll(number: u64, roll: &Roll) -> FromKeeper {
    let state = match roll.state {
        RollState::Baking => "baking",
        RollState::Held => "held",
        RollState::Done => "done",
        RollState::RolledBack => "rolled_back",
        RollState::Ended => "ended",
    };
    let share = roll.steps.get(roll.step as usize).copied().unwrap_or_default();
    let what = What::RollMoved {
        roll: number,
        state: state.to_owned(),
        share: Value::of_share(share).to_string(),
        outcome: roll.outcome.clone(),
    };
    FromKeeper::Noted { name: roll.subject.name().to_owned(), what }
}

/// Of what the guard did, beside its changes.
pub(super) fn of_act(act: &Act, change: u64, took_ns: u64) -> Option<FromKeeper> {
    let rolled_back = |reason: &Reason, observed: bool| FromKeeper::Noted {
        name: reason.subject.as_ref().map_or_else(String::new, |subject| subject.name().to_owned()),
        what: What::RolledBack {
            why: reason.why.clone(),
            evidence: reason.evidence.clone(),
            generation: if observed { 0 } else { change },
            took_ns: if observed { 0 } else { took_ns },
            observed,
        },
    };
    match act {
        Act::RollBack(reason) | Act::LastGood(reason) | Act::Safe(reason) => Some(rolled_back(reason, false)),
        Act::Observed(reason) => Some(rolled_back(reason, true)),
        Act::Prove { subject, generation } => {
            let what = What::Proven { generation: *generation };
            Some(FromKeeper::Noted { name: subject.name().to_owned(), what })
        }
        Act::Hold { subject, why } => {
            let what = What::Warning { message: format!("{subject} goes no further: {why}") };
            Some(FromKeeper::Noted { name: subject.name().to_owned(), what })
        }
        Act::Step { .. } | Act::Note | Act::Run { .. } => None,
    }
}
