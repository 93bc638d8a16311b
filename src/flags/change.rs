//! Changes of flags by hand, of everything at once, and of the guard itself.

use super::draft::Draft;
use super::guard::{Fact, Mode, Restore, RollState, Subject};
use super::{Asking, Catalog, Declaration, Migration, Planned, Refused, Truth, View};
use std::collections::BTreeSet;

/// Sets flags, all at once: `None` is as if nobody had set it. Guarded ones are watched from then on, except on their way to
/// their safe value, or back; a rollout of one of them ends.
///
/// # Errors
/// Nothing is changed when one of them is unknown, does not fit, is banned, cooling down or frozen (its safe value, and what
/// would be gone back to, are always taken), or needs a reason that is not there.
pub fn set(view: &View, asking: &Asking, edits: &[(String, Option<Truth>)]) -> Result<Planned, Refused> {
    let mut draft = Draft::new(view, asking, "set");
    let mut named = BTreeSet::new();
    for (name, to) in edits {
        let flag = declared(view, name)?;
        if !named.insert(name) {
            return Err(Refused::Twice(name.clone()));
        }
        if let Some(to) = to.filter(|to| !to.value.fits(flag.kind)) {
            return Err(Refused::NoValue {
                flag: name.clone(),
                kind: flag.kind,
                value: to.value.to_string(),
            });
        }
        if (view.set)(name) == *to {
            continue;
        }
        let subject = Subject::Flag(name.clone());
        draft.reasoned(&subject)?;
        if goes_further(&draft, flag, *to) {
            draft.permit(&subject)?;
        }
        draft.set(flag, *to);
    }
    Ok(draft.planned)
}

/// Puts these flags and migrations on their default: a migration before its first stage. None named: all of them, as far as
/// that is permitted; a note says of each that is left as it is.
///
/// # Errors
/// As [`set`].
pub fn reset(view: &View, asking: &Asking, names: &[String]) -> Result<Planned, Refused> {
    let mut draft = Draft::new(view, asking, "reset");
    let default = |flag: &Declaration| {
        let default = Truth::from(flag.default);
        (view.unset(&flag.name) != default).then_some(default)
    };
    if names.is_empty() {
        for migration in view.catalog.migrations() {
            bulk_stage(&mut draft, migration, 0, true)?;
        }
        for flag in view.catalog.flags().filter(|flag| view.catalog.stage_of(&flag.name).is_none()) {
            bulk_flag(&mut draft, flag, default(flag))?;
        }
        return Ok(draft.planned);
    }
    for name in names {
        if let Some(migration) = view.catalog.migration(name) {
            check_one_way(view, migration, 0)?;
            bulk_stage(&mut draft, migration, 0, true)?;
            continue;
        }
        let flag = declared(view, name)?;
        let to = default(flag);
        if (view.set)(name) == to {
            continue;
        }
        let subject = Subject::Flag(name.clone());
        draft.reasoned(&subject)?;
        if goes_further(&draft, flag, to) {
            draft.permit(&subject)?;
        }
        draft.set(flag, to);
    }
    Ok(draft.planned)
}

/// What the configuration says holds again. What is banned, frozen or cooling down stays as it is, and so does what could only
/// go back past a one-way stage; a note says so of each.
///
/// # Errors
/// A reason is needed and missing.
pub fn load(view: &View, asking: &Asking) -> Result<Planned, Refused> {
    let mut draft = Draft::new(view, asking, "load");
    for migration in view.catalog.migrations() {
        bulk_stage(&mut draft, migration, migration.configured, false)?;
    }
    for flag in view.catalog.flags().filter(|flag| view.catalog.stage_of(&flag.name).is_none()) {
        bulk_flag(&mut draft, flag, None)?;
    }
    Ok(draft.planned)
}

/// Another configuration is in force: `before` is the one that was. Where that changes what a guarded flag is that nobody has
/// set, or where a migration stands that nobody has moved, the change is watched; where it is banned, what held before stays.
/// Watches and rollouts of what is not declared any more end. Empty when nothing is to be done.
pub fn adopt(before: &Catalog, view: &View, asking: &Asking) -> Planned {
    let mut draft = Draft::new(view, asking, "reload");
    let earlier = View { catalog: before, ..*view };
    for migration in view.catalog.migrations() {
        let known = before.migration(&migration.name).is_some();
        let (was, is) = (earlier.stage(&migration.name), view.stage(&migration.name));
        if known && is != was {
            adopt_stage(&mut draft, migration, was, is);
        }
    }
    for flag in view.catalog.flags() {
        let of_stage = view.catalog.stage_of(&flag.name).is_some();
        if of_stage || before.flag(&flag.name).is_none() {
            continue;
        }
        let (was, is) = (earlier.truth(&flag.name), view.truth(&flag.name));
        if was != is {
            adopt_flag(&mut draft, flag, was, is);
        }
    }
    let gone = |subject: &&Subject| view.catalog.digest(subject).is_none();
    for subject in view.facts.watches.keys().filter(gone) {
        draft.fact(Fact::Watch(subject.clone(), None));
    }
    for roll in view.facts.rolls.values().filter(|roll| gone(&&roll.subject)) {
        draft.end_roll(&roll.subject, "it is not declared any more");
    }
    draft.planned
}

/// Puts one migration and its flags, or everything, on its safe value. Nothing stands in its way: no ban, no freeze, no one-way
/// stage, and it is not watched.
///
/// # Errors
/// The migration is unknown, or no reason is given.
pub fn emergency(view: &View, asking: &Asking, migration: Option<&str>) -> Result<Planned, Refused> {
    let mut draft = Draft::new(view, asking, "emergency");
    draft.reason_for(|| "an emergency".to_owned())?;
    let catalog = view.catalog;
    let only = match migration {
        Some(name) => Some(catalog.migration(name).ok_or_else(|| no_migration(view, name))?),
        None => None,
    };
    let chosen = |name: &str| only.is_none_or(|only| only.name == name);
    let ended = format!("{} called an emergency", asking.actor);
    for migration in catalog.migrations().filter(|migration| chosen(&migration.name)) {
        draft.end_stages_after(&migration.name, 0, &ended);
        if view.stage(&migration.name) > 0 || view.coming_in(&migration.name).is_some() {
            draft.stand(&migration.name, 0, None);
        }
    }
    for flag in catalog.flags() {
        let stage = catalog.stage_of(&flag.name);
        if only.is_some() && stage.is_none_or(|(migration, _)| !chosen(&migration.name)) {
            continue;
        }
        let safe = flag.safe_truth();
        // An unset flag of a migration follows the stage, which has just moved.
        if view.truth(&flag.name) != safe || (stage.is_some() && (view.set)(&flag.name).is_none()) {
            draft.put(&flag.name, Some(safe));
        }
        let subject = Subject::Flag(flag.name.clone());
        draft.unwatch(&subject);
        draft.end_roll(&subject, &ended);
    }
    if only.is_none() {
        for service in view.facts.after.keys() {
            draft.fact(Fact::After(service.clone(), None));
        }
    }
    Ok(draft.planned)
}

/// Moves the guard's switch for the whole host, and ends freeze and cool-down of flags and migrations (what was banned stays
/// banned). Turned off, it forgets what it watched, and every rollout goes no further by itself.
///
/// # Errors
/// A name is unknown, or no reason is given.
pub fn switch(view: &View, asking: &Asking, mode: Option<Mode>, thaw: &[String]) -> Result<Planned, Refused> {
    let mut draft = Draft::new(view, asking, "guard");
    draft.reason_for(|| "the guard".to_owned())?;
    for name in thaw {
        if view.catalog.migration(name).is_none() {
            declared(view, name)?;
        }
        for subject in view.facts.past.keys().filter(|subject| subject.name() == name) {
            draft.fact(Fact::Past(subject.clone(), None));
        }
    }
    let Some(mode) = mode.filter(|mode| *mode != view.facts.switch) else { return Ok(draft.planned) };
    draft.fact(Fact::Switch(mode));
    if mode == Mode::Off {
        for subject in view.facts.watches.keys() {
            draft.fact(Fact::Watch(subject.clone(), None));
        }
        for service in view.facts.after.keys() {
            draft.fact(Fact::After(service.clone(), None));
        }
        for (number, roll) in view.facts.rolls.iter().filter(|(_, roll)| roll.state == RollState::Baking) {
            let mut roll = roll.clone();
            roll.state = RollState::Held;
            roll.outcome = format!("{} turned the guard off", asking.actor);
            roll.moved = asking.now.wall;
            draft.fact(Fact::Roll(*number, Some(roll)));
        }
    }
    Ok(draft.planned)
}

/// A flag that is declared.
pub(super) fn declared<'a>(view: &View<'a>, name: &str) -> Result<&'a Declaration, Refused> {
    if view.catalog.migration(name).is_some() {
        return Err(Refused::IsMigration(name.to_owned()));
    }
    let nearest = || view.catalog.nearest(name).map(str::to_owned);
    view.catalog.flag(name).ok_or_else(|| Refused::NoFlag(name.to_owned(), nearest()))
}

pub(super) fn no_migration(view: &View, name: &str) -> Refused {
    let names = view.catalog.migrations().map(|migration| migration.name.as_str());
    Refused::NoMigration(name.to_owned(), super::nearest(name, names).map(str::to_owned))
}

/// What goes to its safe value, or back to where it came from, is always taken; so is what changes nothing.
fn goes_further(draft: &Draft, flag: &Declaration, to: Option<Truth>) -> bool {
    let view = draft.view;
    let new = to.unwrap_or_else(|| view.unset(&flag.name));
    let back = draft.is_back(&Subject::Flag(flag.name.clone()), new);
    new != view.truth(&flag.name) && new != flag.safe_truth() && !back
}

/// One flag of many; where it must not go, it stays.
fn bulk_flag(draft: &mut Draft, flag: &Declaration, to: Option<Truth>) -> Result<(), Refused> {
    if (draft.view.set)(&flag.name) == to {
        return Ok(());
    }
    let subject = Subject::Flag(flag.name.clone());
    draft.reasoned(&subject)?;
    if goes_further(draft, flag, to)
        && let Err(refused) = draft.permit(&subject)
    {
        draft.note(format!("left as it is: {refused}"));
        return Ok(());
    }
    draft.set(flag, to);
    Ok(())
}

/// One migration of many, and its flags; where it must not go, it stays. `stays`: somebody put it there; else nobody
/// has ever moved it, as after a load.
fn bulk_stage(draft: &mut Draft, migration: &Migration, to: u32, stays: bool) -> Result<(), Refused> {
    let view = draft.view;
    let name = &migration.name;
    let now = view.stage(name);
    let to = to.min(migration.stages.len() as u32);
    let coming = view.coming_in(name);
    let by_hand = super::draft::state_at(view, migration, to, 0)
        .iter()
        .any(|(flag, truth)| view.truth(flag) != *truth || (!stays && (view.set)(flag).is_some()));
    if now == to && coming.is_none() && !by_hand && (stays || !view.facts.stood.contains_key(name)) {
        return Ok(());
    }
    draft.reasoned(&Subject::Stage(name.clone(), to.max(now).max(1)))?;
    if let Err(refused) = check_one_way(view, migration, to) {
        draft.note(format!("left as it is: {refused}"));
        return Ok(());
    }
    for stage in now + 1..=to {
        if let Err(refused) = draft.permit(&Subject::Stage(name.clone(), stage)) {
            draft.note(format!("left as it is: {refused}"));
            return Ok(());
        }
    }
    draft.end_stages_after(name, to, &format!("`{name}` was moved"));
    if stays {
        draft.stand(name, to, None);
    } else {
        draft.fact(Fact::Stood(name.clone(), None));
    }
    let changed = draft.put_stage(migration, to, 0);
    if !stays {
        // As if nobody had set them: they follow the stage where it is configured.
        for flag in migration.stages.iter().flat_map(|stage| &stage.on) {
            draft.planned.sets.retain(|(name, _)| name != flag);
            draft.put(flag, None);
        }
    }
    watch_stage(draft, migration, now, to, changed);
    Ok(())
}

/// A stage that came in at once is watched; a step back is not.
fn watch_stage(draft: &mut Draft, migration: &Migration, from: u32, to: u32, changed: Vec<Restore>) {
    let subject = Subject::Stage(migration.name.clone(), to);
    if to > from
        && let Some(guard) = draft.guarding(&subject)
    {
        draft.watch(subject, guard, changed, Some(from), None);
    }
}

/// The configuration has moved a migration that nobody has moved, or has lost stages.
fn adopt_stage(draft: &mut Draft, migration: &Migration, was: u32, is: u32) {
    let view = draft.view;
    let name = &migration.name;
    if is < was {
        return draft.end_stages_after(name, is, "the configuration has moved it");
    }
    for stage in was + 1..=is {
        if let Err(refused) = draft.permit(&Subject::Stage(name.clone(), stage)) {
            draft.note(format!("left as it is: {refused}"));
            draft.stand(name, was, None);
            return;
        }
    }
    let before = super::draft::state_at(view, migration, was, 0);
    let changed = before.into_iter().filter(|(flag, truth)| view.truth(flag) != *truth);
    let restore = |(flag, truth): (String, Truth)| Restore { old: Some(truth), new: None, flag };
    let changed = changed.map(restore).collect();
    watch_stage(draft, migration, was, is, changed);
}

/// The configuration says something else of a flag that nobody has set.
fn adopt_flag(draft: &mut Draft, flag: &Declaration, was: Truth, is: Truth) {
    let subject = Subject::Flag(flag.name.clone());
    if is != flag.safe_truth()
        && let Err(refused) = draft.permit(&subject)
    {
        draft.note(format!("left as it is: {refused}"));
        draft.put(&flag.name, Some(was).filter(|was| was.value.fits(flag.kind)));
        return;
    }
    let Some(guard) = draft.guarding(&subject).filter(|_| is != flag.safe_truth()) else {
        return draft.unwatch(&subject);
    };
    let old = if was.value.fits(flag.kind) { was } else { flag.safe_truth() };
    let back = vec![Restore { flag: flag.name.clone(), old: Some(old), new: None }];
    draft.watch(subject, guard, back, None, None);
}

/// A stage that is in force, or coming in, and bars the way back to `to`.
pub(super) fn check_one_way(view: &View, migration: &Migration, to: u32) -> Result<(), Refused> {
    let coming = view.coming_in(&migration.name).map_or(0, |(stage, _)| stage);
    for number in (to + 1..=view.stage(&migration.name).max(coming)).rev() {
        if view.catalog.stage(&migration.name, number).is_some_and(|stage| stage.one_way) {
            let stage = (number, migration.stage_name(number).to_owned());
            return Err(Refused::OneWay { migration: migration.name.clone(), stage });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
