//! Two flags, or two migrations, of the same name, and the guard's switch. No process is restarted for any of it.

use super::value::{self, Reasons};
use crate::config::flag::word_of;
use crate::config::units::write_duration;
use crate::flags::guard::{Errors, Guarding, Mode, Probe};
use crate::flags::{Declaration, Migration, Requires, Stage, Unit, Value};
use std::collections::{HashMap, HashSet};

pub(super) fn flag(old: &Declaration, new: &Declaration) -> Reasons {
    let mut why = Reasons::default();
    why.in_place("kind", &old.kind, &new.kind, |kind| word_of(*kind).to_owned());
    why.in_place("default", &old.default, &new.default, Value::to_string);
    why.in_place("value", &old.configured, &new.configured, value::option);
    why.in_place("safe", &old.safe, &new.safe, Value::to_string);
    why.in_place("salt", &old.salt, &new.salt, |salt| value::quoted(salt));
    why.in_place("requires", &old.requires, &new.requires, requires);
    ids(&mut why, "allow", &old.allow, &new.allow);
    ids(&mut why, "deny", &old.deny, &new.deny);
    why.in_place("unit", &old.unit, &new.unit, unit);
    why.in_place("services", &old.services, &new.services, |services| value::list(services));
    guard(&mut why, old.guard.as_ref(), new.guard.as_ref());
    why.in_place("env", &old.env, &new.env, bool::to_string);
    why.in_place("why", &old.why, &new.why, bool::to_string);
    people(&mut why, (&old.owner, &old.description), (&new.owner, &new.description));
    why.in_place("expires", &old.expires, &new.expires, value::option);
    why
}

pub(super) fn migration(old: &Migration, new: &Migration) -> Reasons {
    let mut why = Reasons::default();
    let names =
        |migration: &Migration| migration.stages.iter().map(|stage| stage.name.clone()).collect::<Vec<_>>();
    why.in_place("stages", &names(old), &names(new), |names| value::list(names));
    let before: HashMap<&str, &Stage> = old.stages.iter().map(|stage| (stage.name.as_str(), stage)).collect();
    for stage in &new.stages {
        if let Some(was) = before.get(stage.name.as_str()) {
            stages(&mut why, was, stage);
        }
    }
    let at = |migration: &Migration| match migration.configured {
        0 => "0".to_owned(),
        stage => format!("{stage} ({})", migration.stage_name(stage)),
    };
    if old.configured != new.configured {
        why.takes_effect("at", format!("at {} → {}", at(old), at(new)));
    }
    guard(&mut why, Some(&old.guard), Some(&new.guard));
    people(&mut why, (&old.owner, &old.description), (&new.owner, &new.description));
    why
}

/// The switch for the whole host.
pub(super) fn switch(old: Mode, new: Mode) -> Reasons {
    let mut why = Reasons::default();
    why.in_place("mode", &old, &new, mode);
    why
}

fn stages(why: &mut Reasons, old: &Stage, new: &Stage) {
    let key = |key: &str| format!("stage {}: {key}", new.name);
    why.in_place(&key("on"), &old.on, &new.on, |flags| value::list(flags));
    why.in_place(&key("steps"), &old.steps, &new.steps, |steps| value::list(&shares(steps)));
    why.in_place(&key("bake"), &old.bake, &new.bake, |bake| bake.map_or_else(value::none, write_duration));
    why.in_place(&key("one_way"), &old.one_way, &new.one_way, bool::to_string);
}

fn shares(steps: &[u32]) -> Vec<String> {
    let step = |step: &u32| match Value::of_share(*step) {
        Value::On => "100%".to_owned(),
        share => share.to_string(),
    };
    steps.iter().map(step).collect()
}

fn guard(why: &mut Reasons, old: Option<&Guarding>, new: Option<&Guarding>) {
    let (Some(old), Some(new)) = (old, new) else {
        let said = |guard: &Option<&Guarding>| guard.map_or_else(value::none, |guard| mode(&guard.mode));
        why.in_place("guard", &old, &new, said);
        return;
    };
    why.in_place("guard", &old.mode, &new.mode, mode);
    why.in_place("guard.services", &old.services, &new.services, |services| value::list(services));
    why.in_place("guard.crashes", &old.crashes, &new.crashes, u32::to_string);
    why.in_place("guard.within", &old.within, &new.within, value::duration);
    why.in_place("guard.bake", &old.bake, &new.bake, value::duration);
    why.in_place("guard.ready", &old.ready, &new.ready, bool::to_string);
    why.in_place("guard.health", &old.health, &new.health, u32::to_string);
    why.in_place("guard.errors", &old.errors, &new.errors, |errors| match errors {
        None => value::none(),
        Some(Errors { delta, samples }) => {
            format!("{} above, {samples} samples", shares(&[*delta]).concat())
        }
    });
    let (before, after) = (&old.probe, &new.probe);
    let (Some(before), Some(after)) = (before, after) else {
        let said = |probe: &Option<Probe>| match probe {
            None => value::none(),
            Some(probe) => value::quoted(&probe.argv.join(" ")),
        };
        why.in_place("guard.command", before, after, said);
        return;
    };
    if before.argv != after.argv {
        why.takes_effect("guard.command", "guard.command changed".to_owned());
    }
    if before.directory != after.directory {
        why.takes_effect(
            "guard.command",
            format!("guard.command runs in {} → {}", before.directory, after.directory),
        );
    }
    why.in_place("guard.every", &before.every, &after.every, value::duration);
    why.in_place("guard.timeout", &before.timeout, &after.timeout, value::duration);
}

/// What is only for people.
fn people(
    why: &mut Reasons,
    (owner, description): (&Option<String>, &Option<String>),
    (new_owner, new_description): (&Option<String>, &Option<String>),
) {
    let text = |text: &Option<String>| text.as_deref().map_or_else(value::none, value::quoted);
    why.in_place("owner", owner, new_owner, text);
    why.in_place("description", description, new_description, text);
}

/// Ids may be many, and those of persons: they are counted.
fn ids(why: &mut Reasons, key: &str, old: &[String], new: &[String]) {
    let (before, after): (HashSet<_>, HashSet<_>) = (old.iter().collect(), new.iter().collect());
    let count = |n: usize, verb: &str| match n {
        0 => None,
        1 => Some(format!("1 id {verb}")),
        n => Some(format!("{n} ids {verb}")),
    };
    let added = count(after.difference(&before).count(), "added");
    let removed = count(before.difference(&after).count(), "removed");
    let said: Vec<String> = added.into_iter().chain(removed).collect();
    if !said.is_empty() {
        why.takes_effect(key, format!("{key}: {}", said.join(", ")));
    } else if old != new {
        why.takes_effect(key, format!("order of {key} changed"));
    }
}

fn unit(unit: &Unit) -> String {
    match unit {
        Unit::Id => "id",
        Unit::Host => "host",
        Unit::Instance => "instance",
    }
    .to_owned()
}

fn mode(mode: &Mode) -> String {
    match mode {
        Mode::On => "on",
        Mode::Observe => "observe",
        Mode::Off => "off",
    }
    .to_owned()
}

fn requires(requires: &Option<Requires>) -> String {
    match requires {
        None => value::none(),
        Some(Requires { flag, on: true }) => flag.clone(),
        Some(Requires { flag, on: false }) => format!("not {flag}"),
    }
}
