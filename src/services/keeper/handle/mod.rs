//! What a request means: (what is declared and true, request) → answer and change. Pure.
//!
//! What a change does is planned in [`flags`](crate::flags); here it gets its number, its words and its answer.

mod repeat;
mod tell;
mod words;

use super::ground::{Actor, Batch, Ground, Made};
use crate::flags::guard::{Fact, RollState, Subject};
use crate::flags::{Asking, Catalog, Planned, Refused, Truth, Unit, View, WHOLE, migration, roll};
use crate::ipc::control::Refusal;
use crate::ipc::flags::{Changed, Edit, How, Reply, Request, Steering, To, Way};
use crate::time::Duration;
pub(super) use tell::value_now;
pub use words::unknown;

/// The longest reason, in bytes: it is kept in the journal for each flag.
pub const REASON_MAX: usize = 2048;

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These replies, and `Done` with this number, when everything in the batch is durable.
    Answer(Vec<Reply>, u64),
    /// It is not done.
    Refused(Refusal),
}

/// Decides about a request. What it changes is appended to `batch`. [`Request::Where`] and [`Request::Seen`] are not for
/// this function, which only says whether they can be answered: what they ask for is in no journal.
pub fn handle(ground: &Ground<'_>, batch: &mut Batch, who: &Actor, request: &Request) -> Outcome {
    let decided = match request.how() {
        Some(how) => change(ground, batch, who, how, request),
        None => batch.see(&ground.truths, |view| tell::answer(ground, batch, view, request)),
    };
    match decided {
        Ok(replies) => Outcome::Answer(replies, batch.newest(ground.truths.state)),
        Err(refusal) => Outcome::Refused(refusal),
    }
}

/// True when the client takes a change that is not durable over none.
pub fn accepts_volatile(request: &Request) -> bool {
    request.how().is_some_and(|how| how.volatile)
}

fn change(
    ground: &Ground<'_>,
    batch: &mut Batch,
    who: &Actor,
    how: &How,
    request: &Request,
) -> Result<Vec<Reply>, Refusal> {
    if how.reason.len() > REASON_MAX {
        let message = format!("a reason of {} bytes is longer than {REASON_MAX}", how.reason.len());
        return Err(words::usage(message, "say it shorter, and link to the rest"));
    }
    let truths = &ground.truths;
    if let Some(receipt) = batch.receipt(truths.state, how.id) {
        return Ok(repeat::answer(ground, batch, receipt, request));
    }
    let asking = Asking {
        generation: batch.newest(truths.state) + 1,
        now: ground.now,
        uid: who.uid,
        actor: &who.name,
        reason: &how.reason,
        override_ban: how.override_ban,
    };
    let planned = batch.see(truths, |view| {
        plan(view, &asking, request).map_err(|refused| match refused {
            No::Refused(refused) => words::refusal(view, &refused),
            No::Said(refusal) => refusal,
        })
    });
    let mut planned = planned?;
    ground.guard.arm(&mut planned);
    let mut next = batch.clone();
    let made = Made { request: how.id, who, verb: words::verb(request), reason: &how.reason };
    let facts = planned.facts.clone();
    let notes = std::mem::take(&mut planned.notes);
    if !planned.is_empty() {
        next.push(truths, planned, made, ground.now);
    }
    let mut replies = changed(ground, batch, &next, request);
    replies.extend(rolls(ground, &next, request, &facts));
    replies.extend(notes.into_iter().map(|text| Reply::Note { text }));
    if !how.dry_run {
        *batch = next;
    }
    Ok(replies)
}

/// Why nothing is planned.
enum No {
    Refused(Box<Refused>),
    Said(Refusal),
}

impl From<Refused> for No {
    fn from(refused: Refused) -> No {
        No::Refused(Box::new(refused))
    }
}

fn plan(view: &View<'_>, asking: &Asking<'_>, request: &Request) -> Result<Planned, No> {
    Ok(match request {
        Request::Set { edits, .. } => {
            let edits = edits.iter().map(|edit| parsed(view, edit)).collect::<Result<Vec<_>, _>>()?;
            crate::flags::set(view, asking, &edits)?
        }
        Request::Reset { flags, .. } => crate::flags::reset(view, asking, flags)?,
        Request::Load { .. } => crate::flags::load(view, asking)?,
        Request::Stage { migration, to, way: Way::Enable, force, at_once, .. } => {
            let how = migration::Enabling { force: *force, at_once: *at_once };
            migration::enable(view, asking, migration, to, how)?
        }
        Request::Stage { migration, to, way: Way::Rollback, past_one_way, .. } => {
            migration::rollback(view, asking, migration, to, *past_one_way)?
        }
        Request::Emergency { migration, .. } => {
            let migration = Some(migration.as_str()).filter(|name| !name.is_empty());
            crate::flags::emergency(view, asking, migration)?
        }
        Request::Roll { flag, steps, bake_ns, unit, .. } => {
            let order = roll::Order {
                steps: steps.iter().map(|step| share(step)).collect::<Result<_, _>>()?,
                bake: Some(Duration::from_nanos(*bake_ns)).filter(|bake| !bake.is_zero()),
                unit: unit_of(unit)?,
            };
            roll::begin(view, asking, flag, &order)?
        }
        Request::Steer { roll: number, to, .. } => {
            let to = match to {
                Steering::End => roll::Steering::End,
                Steering::Back => roll::Steering::Back,
                Steering::On => roll::Steering::On,
            };
            roll::steer(view, asking, *number, to)?
        }
        Request::Guard { mode, thaw, .. } => crate::flags::switch(view, asking, *mode, thaw)?,
        Request::List { .. }
        | Request::Migrations { .. }
        | Request::Rolls { .. }
        | Request::Guarding
        | Request::Seen { .. }
        | Request::Where => Planned::default(),
    })
}

/// What an edit makes of its flag.
fn parsed(view: &View<'_>, edit: &Edit) -> Result<(String, Option<Truth>), No> {
    let name = &edit.flag;
    let Some(flag) = view.catalog.flag(name) else { return Err(nobody(view.catalog, name).into()) };
    let to = To::parse(flag.kind, &edit.to)
        .map_err(|e| No::Said(words::usage(format!("flag `{name}`: {e}"), "")))?;
    let truth = match to {
        To::Value(value) => Some(Truth { value, disabled: edit.disabled }),
        To::Disabled => Some(Truth { disabled: true, ..view.truth(name) }),
        // Unset it would be as configured.
        To::Default if flag.configured.is_some_and(|configured| configured != flag.default) => {
            Some(flag.default.into())
        }
        To::Default => None,
    };
    Ok((name.clone(), truth))
}

/// Why there is no such flag.
pub(super) fn nobody(catalog: &Catalog, name: &str) -> Refused {
    match catalog.migration(name) {
        Some(_) => Refused::IsMigration(name.to_owned()),
        None => Refused::NoFlag(name.to_owned(), catalog.nearest(name).map(str::to_owned)),
    }
}

fn share(step: &str) -> Result<u32, No> {
    use crate::flags::Value;
    match Value::of_percent(step) {
        Ok(Value::Off) => Ok(0),
        Ok(Value::Share(share)) => Ok(share),
        Ok(_) => Ok(WHOLE),
        Err(_) => Err(Refused::Steps(format!("`{}` is no percentage", step.escape_debug())).into()),
    }
}

fn unit_of(unit: &str) -> Result<Option<Unit>, No> {
    let units = [Unit::Id, Unit::Host, Unit::Instance];
    match units.into_iter().find(|known| known.word() == unit) {
        None if !unit.is_empty() => {
            let message = format!("`{}` is nothing that a share is counted by", unit.escape_debug());
            Err(No::Said(words::usage(message, "write id, host or instance")))
        }
        known => Ok(known),
    }
}

/// What became of each flag that was named, of every other one that changes, and of migrations.
fn changed(ground: &Ground<'_>, before: &Batch, after: &Batch, request: &Request) -> Vec<Reply> {
    let named: Vec<&str> = match request {
        Request::Set { edits, .. } => edits.iter().map(|edit| edit.flag.as_str()).collect(),
        Request::Reset { flags, .. } => flags.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let change = after.changes.get(before.changes.len());
    let sets = change.map_or(&[][..], |change| &change.sets[..]);
    let truths = &ground.truths;
    let text = |batch: &Batch, name: &str| batch.see(truths, |view| value_now(view, name));
    // One that is set to what it was anyway is news to nobody who did not name it.
    let others = sets.iter().map(|set| set.flag.as_str());
    let others = others.filter(|flag| !named.contains(flag) && text(before, flag) != text(after, flag));
    let one = |name: &str| {
        let unchanged = !sets.iter().any(|set| set.flag == name);
        Reply::Changed(Changed {
            flag: name.to_owned(),
            old: text(before, name),
            new: text(after, name),
            generation: match change {
                Some(change) if !unchanged => change.generation,
                _ => before.last(truths.state, name).2,
            },
            unchanged,
            repeated: false,
            durable: true,
        })
    };
    named.iter().copied().chain(others).map(one).collect()
}

/// Rollouts that the request began or moved; one that was ended only because its flag was set is not told.
fn rolls(ground: &Ground<'_>, after: &Batch, request: &Request, facts: &[Fact]) -> Vec<Reply> {
    let about = |number: u64, subject: &Subject, state: RollState| match request {
        Request::Roll { .. } => matches!(subject, Subject::Flag(_)) && state == RollState::Baking,
        Request::Steer { roll, .. } => *roll == number,
        Request::Stage { .. } => matches!(subject, Subject::Stage(..)),
        _ => false,
    };
    let told = facts.iter().filter_map(|fact| match fact {
        Fact::Roll(number, Some(roll)) if about(*number, &roll.subject, roll.state) => Some(*number),
        _ => None,
    });
    after.see(&ground.truths, |view| told.filter_map(|number| tell::roll(ground, view, number)).collect())
}
