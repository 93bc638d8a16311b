//! Rollouts: a flag, or a stage, comes in by steps, and each step bakes before the next.

use super::change::declared;
use super::draft::Draft;
use super::guard::{Fact, Guarding, Mode, Restore, Roll, RollState, Subject};
use super::{Asking, Kind, Migration, Planned, Refused, Truth, Unit, Value, View, WHOLE, migration};
use crate::time::Duration;

/// The most steps of one rollout.
pub const STEPS_MAX: usize = 1000;

/// So many rollouts that are over are kept.
const KEPT: usize = 32;

/// How a flag is rolled out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The shares, in 1/100,000, rising.
    pub steps: Vec<u32>,
    /// How long each bakes; `None`: as declared, else five minutes.
    pub bake: Option<Duration>,
    /// `None`: as declared. Another one is an error.
    pub unit: Option<Unit>,
}

/// What becomes of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// It ends, and what it has brought in stays (and bakes on).
    End,
    /// It ends, and what held before it holds again.
    Back,
    /// A held one takes its next step.
    On,
}

/// Begins to roll out a flag; the first step comes with it. The number of the rollout is that of the [`Fact::Roll`] in
/// the plan that is baking.
///
/// # Errors
/// Nothing is changed: the flag is unknown, takes no shares, comes in with a stage, is further than the first step or being
/// rolled out; it is banned, cooling down or frozen; the steps do not rise, the bake is too short, the guard is off; or the
/// reason is missing.
pub fn begin(view: &View, asking: &Asking, flag: &str, order: &Order) -> Result<Planned, Refused> {
    let flag = declared(view, flag)?;
    let name = &flag.name;
    let subject = Subject::Flag(name.clone());
    if flag.kind != Kind::Percent {
        return Err(Refused::NoShares(name.clone(), flag.kind));
    }
    if let Some((of, stage)) = view.catalog.stage_of(name) {
        let stage = migration::named(of, stage);
        return Err(Refused::OfStage { flag: name.clone(), migration: of.name.clone(), stage });
    }
    if order.unit.is_some_and(|unit| unit != flag.unit) {
        return Err(Refused::Unit { flag: name.clone(), declared: flag.unit });
    }
    check_steps(&order.steps)?;
    if let Some((number, _)) = view.facts.rolling(&subject) {
        return Err(Refused::Rolling(name.clone(), number));
    }
    let mut draft = Draft::new(view, asking, "roll");
    draft.reason_for(|| format!("a rollout of flag `{name}`"))?;
    let now = view.truth(name);
    let share = if now.disabled { 0 } else { share_of(now.value) };
    if order.steps[0] <= share {
        return Err(Refused::AlreadyThere {
            flag: name.clone(),
            now: now.to_string(),
            first: Value::of_share(order.steps[0]).to_string(),
        });
    }
    draft.permit(&subject)?;
    let mut guard = flag.guard.clone().unwrap_or_default();
    if guard.mode == Mode::Off || view.facts.switch == Mode::Off {
        return Err(Refused::GuardOff);
    }
    if let Some(bake) = order.bake {
        if bake < guard.within * 2 {
            return Err(Refused::ShortBake { bake, within: guard.within });
        }
        guard.bake = bake;
    }
    let guard = draft.resolved(&subject, guard);
    let to = Some(Truth::from(Value::of_share(order.steps[0])));
    let back = vec![Restore { flag: name.clone(), old: (view.set)(name), new: to }];
    draft.put(name, to);
    if let Some(requires) = &flag.requires
        && view.truth(&requires.flag).is_on() != Some(requires.on)
    {
        let word = if requires.on { "on" } else { "off" };
        draft.note(format!("it requires that `{}` is {word}: until then nobody sees it", requires.flag));
    }
    start(&mut draft, subject, order.steps.clone(), guard, back, None);
    Ok(draft.planned)
}

/// Begins to bring in a stage by its steps. The stages before it come in at once, with the first of them.
pub(super) fn begin_stage(draft: &mut Draft, migration: &Migration, from: u32, to: u32, guard: Guarding) {
    let subject = Subject::Stage(migration.name.clone(), to);
    let Some(stage) = draft.view.catalog.stage(&migration.name, to) else { return };
    let guard = match stage.bake {
        Some(bake) => Guarding { bake: bake.max(guard.within * 2), ..guard },
        None => guard,
    };
    let changed = draft.put_stage(migration, to - 1, stage.steps[0]);
    let number = start(draft, subject, stage.steps.clone(), guard, changed, Some(from));
    draft.stand(&migration.name, to - 1, Some(number));
}

fn start(
    draft: &mut Draft,
    subject: Subject,
    steps: Vec<u32>,
    guard: Guarding,
    back: Vec<Restore>,
    stage: Option<u32>,
) -> u64 {
    let (facts, asking) = (draft.view.facts, draft.asking);
    let number = facts.rolls.keys().next_back().map_or(1, |newest| newest + 1);
    let going = |roll: &Roll| matches!(roll.state, RollState::Baking | RollState::Held);
    let over: Vec<u64> =
        facts.rolls.iter().filter(|(_, roll)| !going(roll)).map(|(number, _)| *number).collect();
    for old in over.iter().take(over.len().saturating_sub(KEPT - 1)) {
        draft.fact(Fact::Roll(*old, None));
    }
    draft.watch(subject.clone(), guard.clone(), back.clone(), stage, Some(number));
    let roll = Roll {
        subject,
        steps,
        step: 0,
        guard,
        back,
        state: RollState::Baking,
        outcome: String::new(),
        evidence: Vec::new(),
        uid: asking.uid,
        actor: asking.actor.to_owned(),
        reason: asking.reason.to_owned(),
        generation: asking.generation,
        began: asking.now.wall,
        moved: asking.now.wall,
    };
    draft.fact(Fact::Roll(number, Some(roll)));
    number
}

/// Ends a rollout that is going on, takes it back, or lets a held one go on.
///
/// # Errors
/// Nothing is changed: there is none with this number, it is over, nothing holds it, or the reason is missing.
pub fn steer(view: &View, asking: &Asking, number: u64, to: Steering) -> Result<Planned, Refused> {
    let roll = view.facts.rolls.get(&number).ok_or(Refused::NoRoll(number))?;
    if !matches!(roll.state, RollState::Baking | RollState::Held) {
        let (subject, outcome) = (roll.subject.clone(), outcome(roll));
        return Err(Refused::RollOver { roll: number, subject, outcome });
    }
    let mut draft = Draft::new(view, asking, "roll");
    draft.reason_for(|| format!("steering r-{number}"))?;
    match to {
        Steering::End => end(&mut draft, number, roll),
        Steering::Back => back(&mut draft, number, roll),
        Steering::On if roll.state == RollState::Baking => return Err(Refused::NotHeld(number)),
        Steering::On if view.facts.switch == Mode::Off && (roll.step as usize) + 1 < roll.steps.len() => {
            return Err(Refused::GuardOff);
        }
        Steering::On => advance(&mut draft, number, roll),
    }
    Ok(draft.planned)
}

/// How a rollout ended, in words.
pub fn outcome(roll: &Roll) -> String {
    let how = match roll.state {
        RollState::Baking => "its step is baking",
        RollState::Held => "it is held",
        RollState::Done => "done",
        RollState::RolledBack => "rolled back",
        RollState::Ended => "ended",
    };
    if roll.outcome.is_empty() { how.to_owned() } else { format!("{how}: {}", roll.outcome) }
}

/// What it has brought in stays, and bakes on as any change does.
fn end(draft: &mut Draft, number: u64, roll: &Roll) {
    draft.end_roll(&roll.subject, &format!("{} ended it", draft.asking.actor));
    let watch = draft.view.facts.watches.get(&roll.subject).filter(|watch| watch.roll == Some(number));
    if let Some(watch) = watch.cloned() {
        let watch = super::guard::Watch { roll: None, held: String::new(), ..watch };
        draft.fact(Fact::Watch(roll.subject.clone(), Some(watch)));
    }
    draft.come_in(&roll.subject);
}

fn back(draft: &mut Draft, number: u64, roll: &Roll) {
    let outcome = format!("{} took it back", draft.asking.actor);
    let watch = draft.view.facts.watches.get(&roll.subject).filter(|watch| watch.roll == Some(number));
    let stage = watch.and_then(|watch| watch.stage);
    match &roll.subject {
        Subject::Stage(name, number) => {
            if let Some(migration) = draft.view.catalog.migration(name) {
                let to = stage.unwrap_or(number - 1);
                return migration::back_to(draft, migration, to, RollState::RolledBack, &outcome);
            }
        }
        Subject::Flag(_) => {
            roll.back.iter().for_each(|restore| draft.put(&restore.flag, restore.old));
        }
    }
    draft.unwatch(&roll.subject);
    let mut roll = roll.clone();
    (roll.state, roll.outcome) = (RollState::RolledBack, outcome);
    (roll.moved, roll.generation) = (draft.asking.now.wall, draft.asking.generation);
    draft.fact(Fact::Roll(number, Some(roll)));
}

/// The next step of a rollout; after the last one it is done.
pub(super) fn advance(draft: &mut Draft, number: u64, roll: &Roll) {
    let asking = draft.asking;
    let mut roll = roll.clone();
    (roll.moved, roll.generation) = (asking.now.wall, asking.generation);
    roll.outcome = String::new();
    let Some(share) = roll.steps.get(roll.step as usize + 1).copied() else {
        roll.state = RollState::Done;
        draft.unwatch(&roll.subject);
        draft.come_in(&roll.subject);
        return draft.fact(Fact::Roll(number, Some(roll)));
    };
    roll.step += 1;
    roll.state = RollState::Baking;
    let from = draft.view.facts.watches.get(&roll.subject).and_then(|watch| watch.stage);
    let (back, stage) = match &roll.subject {
        Subject::Flag(flag) => {
            let to = Some(Truth::from(Value::of_share(share)));
            draft.put(flag, to);
            (roll.back.iter().cloned().map(|one| Restore { new: to, ..one }).collect(), None)
        }
        Subject::Stage(name, stage) => {
            let Some(migration) = draft.view.catalog.migration(name) else { return };
            let whole = share == WHOLE;
            let changed =
                draft.put_stage(migration, stage - 1 + u32::from(whole), if whole { 0 } else { share });
            // The number of the stage comes with its last step.
            draft.stand(name, stage - 1 + u32::from(whole), Some(number));
            (changed, Some(from.unwrap_or(stage - 1)))
        }
    };
    draft.watch(roll.subject.clone(), roll.guard.clone(), back, stage, Some(number));
    draft.fact(Fact::Roll(number, Some(roll)));
}

fn check_steps(steps: &[u32]) -> Result<(), Refused> {
    let wrong = |what: &str| Err(Refused::Steps(what.to_owned()));
    match steps {
        [] => wrong("there are none"),
        _ if steps.len() > STEPS_MAX => wrong("there are more than 1000"),
        _ if steps.iter().any(|step| *step == 0 || *step > WHOLE) => {
            wrong("each is above 0% and at most 100%")
        }
        _ if steps.windows(2).any(|pair| pair[0] >= pair[1]) => wrong("they do not rise"),
        _ => Ok(()),
    }
}

fn share_of(value: Value) -> u32 {
    match value {
        Value::On => WHOLE,
        Value::Share(share) => share,
        Value::Off | Value::Stage(_) | Value::Int(_) | Value::Text(_) => 0,
    }
}

#[cfg(test)]
mod tests;
