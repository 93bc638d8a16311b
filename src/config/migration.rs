//! `[migration.NAME]` → an ordered list of stages. Which flags there are is `resolve`'s business.

use super::diagnostic::Diagnostic;
use super::fields::{
    Context, Fields, Located, Span, Value, array, boolean, describe, integer, nonempty, shorten,
};
use super::flag::{bounded, names, share};
use super::guard::{self, GuardPart};
use super::policy::period;
use super::words;
use crate::flags::guard::{Guarding, Mode};
use crate::flags::{Migration, Stage, WHOLE};
use crate::time::Duration;
use std::collections::HashMap;
use toml::de::{DeTable, DeValue};

/// Steps of one stage: a rollout keeps them all in one record.
const STEPS_MAX: usize = 100;

/// `[migration.NAME]`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MigrationPart {
    /// Of no use when something is wrong. Its guard is filled in by `resolve`.
    pub(super) migration: Migration,
    /// Where its name stands.
    pub(super) at: Span,
    pub(super) guard: GuardPart,
    /// For each stage the flags that it names, and whether it takes steps.
    pub(super) stages: Vec<StagePart>,
}

/// `[[migration.NAME.stage]]`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StagePart {
    pub(super) name: String,
    pub(super) on: Vec<Located<String>>,
    /// Where its steps stand.
    pub(super) steps: Option<Span>,
    /// Where its name, or else the stage, stands.
    at: Span,
}

/// Reads one migration. What is wrong goes to `problems`; the migration is then of no use.
pub(super) fn read(
    problems: &mut Vec<Diagnostic>,
    name: &str,
    at: Span,
    table: &DeTable<'_>,
) -> MigrationPart {
    if let Err(reason) = words::check_flag_name(name) {
        let message = format!("`{}` cannot name a migration: {reason}", shorten(name));
        problems.push(Diagnostic::error(at.clone(), message));
    }
    let owner = format!("migration `{}`", shorten(name));
    let mut fields = Fields::new(problems, table, &owner);
    let guard = fields.take("guard", guard::read);
    let stands = fields.take("at", stands);
    let owner_of = fields.take("owner", bounded);
    let description = fields.take("description", bounded);
    // Every stage is guarded unless it is said that none is.
    let guard = guard.map_or_else(|| Some(GuardPart::default()), |l| l.value).unwrap_or_else(|| GuardPart {
        guarding: Guarding { mode: Mode::Off, ..Guarding::default() },
        ..GuardPart::default()
    });
    let within = guard.guarding.within;
    let stages = fields.take("stage", |c, v| stages(c, v, within)).map(|l| l.value);
    if fields.span_of("stage").is_none() {
        let message = format!("migration `{}` has no stages", shorten(name));
        let problem = Diagnostic::error(at.clone(), message);
        let help = format!("add [[migration.{}.stage]] with `name` and `on`", quoted(name));
        fields.problems.push(problem.help(help));
    }
    let (parts, stages): (Vec<_>, Vec<_>) = stages.unwrap_or_default().into_iter().unzip();
    unique(&mut fields, &owner, &parts);
    let migration = Migration {
        name: name.to_owned(),
        stages,
        configured: 0,
        guard: Guarding::default(),
        owner: owner_of.map(|l| l.value),
        description: description.map(|l| l.value),
    };
    let configured = stands.and_then(|stands| configured(&mut fields, &owner, &migration, &stands));
    fields.finish(Some(&format!("migration.\"{}", shorten(name))));
    let migration = Migration { configured: configured.unwrap_or_default(), ..migration };
    MigrationPart { migration, at, guard, stages: parts }
}

fn quoted(name: &str) -> String {
    if name.contains('.') { format!("\"{}\"", shorten(name)) } else { shorten(name) }
}

/// The number or the name of a stage, as text.
fn stands(context: &mut Context<'_>, value: &Value<'_>) -> Option<String> {
    match value.get_ref() {
        DeValue::Integer(_) => {
            integer(context, value, 0..=Migration::STAGES_MAX as i64).map(|number| number.to_string())
        }
        DeValue::String(_) => nonempty(context, value),
        _ => {
            context.expected(value, "the number of a stage, or its name");
            None
        }
    }
}

fn configured(
    fields: &mut Fields<'_, '_>,
    owner: &str,
    migration: &Migration,
    stands: &Located<String>,
) -> Option<u32> {
    let found = migration.stage_of(&stands.value);
    // Stages that cannot be read are told already.
    if found.is_none() && !migration.stages.is_empty() {
        let message = format!("`at` is `{}`, and there is no such stage", shorten(&stands.value));
        let problem = Diagnostic::error(stands.span.clone(), message);
        let near = words::nearest(&stands.value, migration.stages.iter().map(|stage| stage.name.as_str()));
        fields.problems.push(match near {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None => problem.label(format!("in {owner}")).help(format!(
                "stages are counted from 1 to {}; 0 is before the first",
                migration.stages.len()
            )),
        });
    }
    found
}

/// Every `[[migration.NAME.stage]]`.
fn stages(context: &mut Context<'_>, value: &Value<'_>, within: Duration) -> Option<Vec<(StagePart, Stage)>> {
    let Some(tables) = value.get_ref().as_array() else {
        let message = format!(
            "`stage` is {}, expected tables such as [[migration.NAME.stage]]",
            describe(value.get_ref())
        );
        let problem = Diagnostic::error(value.span(), message).label(format!("in {}", context.owner));
        context.problems.push(match value.get_ref() {
            DeValue::Integer(_) | DeValue::String(_) => {
                problem.help("the stage at which it stands is written as `at`: its number or its name")
            }
            DeValue::Table(_) => problem.help("write two brackets: each such table is one stage more"),
            _ => problem,
        });
        return None;
    };
    if tables.is_empty() {
        context.invalid(value.span(), "there are none");
        return None;
    }
    if tables.len() > Migration::STAGES_MAX {
        context.invalid(
            value.span(),
            &format!("{} stages, {} are allowed", tables.len(), Migration::STAGES_MAX),
        );
        return None;
    }
    let mut found = Vec::with_capacity(tables.len());
    for (number, table) in tables.iter().enumerate() {
        let owner = format!("stage {} of {}", number + 1, context.owner);
        let Some(keys) = table.get_ref().as_table() else {
            let message = format!("`stage` holds {}, expected only tables", describe(table.get_ref()));
            context
                .problems
                .push(Diagnostic::error(table.span(), message).label(format!("in {}", context.owner)));
            continue;
        };
        found.push(stage(context.fields(keys, &owner), &owner, table.span(), within));
    }
    Some(found)
}

fn stage(mut fields: Fields<'_, '_>, owner: &str, at: Span, within: Duration) -> (StagePart, Stage) {
    let name = fields.take("name", stage_name);
    let on = fields.take("on", |c, v| {
        let flags = names(c, v, "an array of flags such as [\"use_registry\"]")?;
        if flags.is_empty() {
            c.invalid(v.span(), "it is empty: a stage turns on at least one flag");
        }
        Some(flags)
    });
    for (key, example) in [("name", "\"first\""), ("on", "[\"a-flag\"]")] {
        if fields.span_of(key).is_none() {
            let problem = Diagnostic::error(at.clone(), format!("{owner} has no `{key}`"));
            fields.problems.push(problem.help(format!("add: {key} = {example}")));
        }
    }
    let steps = fields.take("steps", steps);
    let bake = fields.take("bake", period);
    let bake = guard::bake_of(&mut fields, owner, bake.as_ref(), within);
    let one_way = fields.take("one_way", boolean);
    fields.finish(None);
    let on = on.map(|l| l.value).unwrap_or_default();
    let part = StagePart {
        name: name.as_ref().map(|l| l.value.clone()).unwrap_or_default(),
        at: name.as_ref().map_or(at, |l| l.span.clone()),
        steps: steps.as_ref().map(|l| l.span.clone()),
        on,
    };
    let stage = Stage {
        name: part.name.clone(),
        on: part.on.iter().map(|flag| flag.value.clone()).collect(),
        steps: steps.map(|l| l.value).unwrap_or_default(),
        bake,
        one_way: one_way.is_some_and(|l| l.value),
    };
    (part, stage)
}

/// A name that is not taken for a number, nor for what stage 0 is called.
fn stage_name(context: &mut Context<'_>, value: &Value<'_>) -> Option<String> {
    let name = nonempty(context, value)?;
    let wrong = match words::check_flag_name(&name) {
        Err(reason) => Some(reason),
        Ok(()) if name == "-" => Some("that is what stage 0 is called".to_owned()),
        Ok(()) if name.bytes().all(|b| b.is_ascii_digit()) => {
            Some("it would be taken for the number of a stage".to_owned())
        }
        Ok(()) => None,
    };
    match wrong {
        Some(reason) => {
            context.invalid(value.span(), &reason);
            None
        }
        None => Some(name),
    }
}

/// Percentages, rising; all is appended when it is missing.
fn steps(context: &mut Context<'_>, value: &Value<'_>) -> Option<Vec<u32>> {
    let found = array(context, value, "an array of percentages such as [1, 10, 50, 100]", |c, v| {
        let step = share(c, v)?;
        if step == 0 {
            c.invalid(v.span(), "a step of 0 turns nothing on");
            return None;
        }
        Some(step)
    })?;
    if found.is_empty() {
        context.invalid(value.span(), "it is empty; leave `steps` out to turn it on at once");
        return None;
    }
    if found.len() > STEPS_MAX {
        context.invalid(value.span(), &format!("{} steps, {STEPS_MAX} are allowed", found.len()));
        return None;
    }
    let mut rising = true;
    for pair in found.windows(2) {
        if pair[1].value <= pair[0].value {
            rising = false;
            let before = pair[0].value;
            let before = crate::flags::Value::of_share(before).to_string();
            let before = if before == "on" { "100%" } else { &before };
            context.invalid(
                pair[1].span.clone(),
                &format!("each step is more than the one before it, {before}"),
            );
        }
    }
    let mut steps: Vec<u32> = found.into_iter().map(|step| step.value).collect();
    if steps.last() != Some(&WHOLE) {
        steps.push(WHOLE);
    }
    rising.then_some(steps)
}

fn unique(fields: &mut Fields<'_, '_>, owner: &str, stages: &[StagePart]) {
    let mut seen: HashMap<&str, &Span> = HashMap::new();
    for stage in stages.iter().filter(|stage| !stage.name.is_empty()) {
        match seen.get(stage.name.as_str()) {
            Some(first) => {
                let message = format!("two stages of {} are called `{}`", owner, shorten(&stage.name));
                let problem = Diagnostic::error(stage.at.clone(), message).label("the second");
                fields.problems.push(problem.related((*first).clone(), "the first"));
            }
            None => drop(seen.insert(&stage.name, &stage.at)),
        }
    }
}
