//! Migrations: their state is a function of the stage.
//!
//! Whatever was set by hand before, enabling or rolling back to stage k yields exactly this: the flags of stages 1 to k are
//! on, the others off. While a stage comes in by steps, the stage stays the one before; its flags are at the share of the
//! step.

use super::change::{check_one_way, no_migration};
use super::draft::Draft;
use super::guard::{RollState, Subject};
use super::{Asking, Migration, Planned, Refused, View, nearest, roll};

/// How a stage is enabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enabling {
    /// More than one stage at a time: those before the last one all at once, whatever their steps.
    pub force: bool,
    /// All at once, although the stage has steps; also one that is coming in already.
    pub at_once: bool,
}

/// Enables a later stage: its name, or its number.
///
/// # Errors
/// Nothing is changed: there is no such stage, it is not the next one, it is coming in already, a stage on the way is banned,
/// cooling down or frozen, or a reason is missing.
pub fn enable(
    view: &View,
    asking: &Asking,
    migration: &str,
    to: &str,
    how: Enabling,
) -> Result<Planned, Refused> {
    let (migration, to) = find(view, migration, to)?;
    let name = &migration.name;
    let now = view.stage(name);
    let mut draft = Draft::new(view, asking, "stage enable");
    let coming = view.coming_in(name);
    if let Some((stage, roll)) = coming.filter(|(stage, _)| !(how.at_once && *stage == to)) {
        return Err(Refused::ComingIn { migration: name.clone(), stage: named(migration, stage), roll });
    }
    if to <= now {
        let stages = migration.stages.len() as u32;
        return Err(Refused::NotLater { migration: name.clone(), to, now: named(migration, now), stages });
    }
    if to > now + 1 && !how.force && coming.is_none() {
        let next = migration.stage_name(now + 1).to_owned();
        return Err(Refused::TooFar { migration: name.clone(), to, now: named(migration, now), next });
    }
    for stage in now + 1..=to {
        let subject = Subject::Stage(name.clone(), stage);
        draft.reasoned(&subject)?;
        draft.permit(&subject)?;
    }
    let subject = Subject::Stage(name.clone(), to);
    let steps = view.catalog.stage(name, to).map(|stage| stage.steps.as_slice()).unwrap_or_default();
    if steps.len() > 1 && !how.at_once {
        // Nobody would watch the steps, and each would wait for ever to be proven.
        let guard = draft.guarding(&subject).ok_or(Refused::GuardOff)?;
        roll::begin_stage(&mut draft, migration, now, to, guard);
        return Ok(draft.planned);
    }
    draft.end_roll(&subject, &format!("{} enabled the stage at once", asking.actor));
    draft.stand(name, to, None);
    let changed = draft.put_stage(migration, to, 0);
    match draft.guarding(&subject) {
        Some(guard) => draft.watch(subject, guard, changed, Some(now), None),
        None => draft.unwatch(&subject),
    }
    Ok(draft.planned)
}

/// Goes back to an earlier stage: its name, its number, 0. Neither watched nor refused because of anything that the guard
/// has said.
///
/// # Errors
/// Nothing is changed: there is no such stage, it is not earlier, a stage on the way is one-way, or a reason is missing.
pub fn rollback(
    view: &View,
    asking: &Asking,
    migration: &str,
    to: &str,
    past_one_way: bool,
) -> Result<Planned, Refused> {
    let (migration, to) = find(view, migration, to)?;
    let name = &migration.name;
    let now = view.stage(name);
    // A stage that is coming in is gone back from, too.
    let top = view.coming_in(name).map_or(now, |(stage, _)| stage);
    let mut draft = Draft::new(view, asking, "stage rollback");
    if to >= top {
        return Err(Refused::NotEarlier { migration: name.clone(), to, now: named(migration, now) });
    }
    if !past_one_way {
        check_one_way(view, migration, to)?;
    }
    if view.catalog.guard(&Subject::Stage(name.clone(), top)).is_some() {
        draft.reason_for(|| format!("a rollback of `{name}`"))?;
    }
    back_to(
        &mut draft,
        migration,
        to,
        RollState::RolledBack,
        &format!("{} rolled `{name}` back", asking.actor),
    );
    Ok(draft.planned)
}

/// The migration goes back to a stage, and everything that brought it further is over.
pub(super) fn back_to(draft: &mut Draft, migration: &Migration, to: u32, state: RollState, outcome: &str) {
    let name = &migration.name;
    draft.end_stages_after(name, to, outcome);
    for fact in &mut draft.planned.facts {
        if let super::guard::Fact::Roll(_, Some(roll)) = fact
            && roll.subject.name() == name
            && roll.state == RollState::Ended
        {
            roll.state = state;
        }
    }
    draft.stand(name, to, None);
    draft.put_stage(migration, to, 0);
}

/// A stage with its name.
pub(super) fn named(migration: &Migration, stage: u32) -> (u32, String) {
    (stage, migration.stage_name(stage).to_owned())
}

fn find<'a>(view: &View<'a>, migration: &str, to: &str) -> Result<(&'a Migration, u32), Refused> {
    let found = view.catalog.migration(migration).ok_or_else(|| no_migration(view, migration))?;
    let names = found.stages.iter().map(|stage| stage.name.as_str());
    let number = found.stage_of(to).ok_or_else(|| Refused::NoStage {
        migration: migration.to_owned(),
        stage: to.to_owned(),
        nearest: nearest(to, names).map(str::to_owned),
        stages: found.stages.len() as u32,
        now: named(found, view.stage(migration)),
    })?;
    Ok((found, number))
}

#[cfg(test)]
mod tests;
