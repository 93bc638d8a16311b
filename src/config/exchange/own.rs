//! mainstay's own format: a table for each flag and migration, with what it is set to.

use super::super::fields::{
    Context, Fields, Located, Span, Value, boolean, in_order, integer, nonempty, shorten,
};
use super::super::flag::{given, share};
use super::super::{source, words};
use super::{Current, Reader, Setting, To};
use crate::config::diagnostic::Diagnostic;
use crate::flags::{Migration, Truth, Value as FlagValue};
use std::fmt::Write;
use toml::de::DeValue;

const HEAD: &str = "# What flags and migrations were set to; `mainstay flag import` sets them so again.\n";
/// Keys of a configuration that say how a flag or a migration is declared.
const DECLARING: [&str; 20] = [
    "default",
    "kind",
    "safe",
    "salt",
    "owner",
    "description",
    "expires",
    "requires",
    "allow",
    "deny",
    "unit",
    "services",
    "guard",
    "env",
    "why",
    "stage",
    "name",
    "on",
    "steps",
    "bake",
];

pub(super) fn write(all: &[Current<'_>]) -> String {
    let mut out = HEAD.to_owned();
    for one in all {
        match one {
            Current::Flag(flag, truth) => write_flag(&mut out, &flag.name, *truth),
            Current::Migration { name, stage, stage_name } => {
                let _ = write!(out, "\n[migration.{}]\n", quoted(name));
                let _ = match *stage_name {
                    "" | "-" => writeln!(out, "at = {stage}"),
                    name if *stage > 0 => writeln!(out, "at = {}", quoted(name)),
                    _ => writeln!(out, "at = 0"),
                };
            }
        }
    }
    out
}

fn write_flag(out: &mut String, name: &str, truth: Truth) {
    let _ = write!(out, "\n[flag.{}]\n", quoted(name));
    let _ = match truth.value {
        FlagValue::Off => writeln!(out, "value = false"),
        FlagValue::On => writeln!(out, "value = true"),
        FlagValue::Share(share) => writeln!(out, "percent = {}", value_of(share)),
        FlagValue::Int(number) => writeln!(out, "value = {number}"),
        FlagValue::Text(text) => writeln!(out, "value = {}", quoted(&text.text().unwrap_or_default())),
        // A migration's, which says where it stands by itself.
        FlagValue::Stage(stage) => writeln!(out, "value = {stage}"),
    };
    if truth.disabled {
        out.push_str("disabled = true\n");
    }
}

/// `12.5`
fn value_of(share: u32) -> String {
    FlagValue::Share(share).to_string().trim_end_matches('%').to_owned()
}

/// A basic string of TOML. Names are quoted, too: a dot in one would be a table more.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

pub(super) fn read(reader: &mut Reader<'_>, text: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut problems = Vec::new();
    source::read(&mut problems, text, 0, |found, root| {
        let mut fields = Fields::new(found, root, "the file");
        for kind in ["flag", "migration"] {
            fields.take(kind, |context, value| tables(context, value, reader, &mut settings));
        }
        fields.finish(None);
    });
    reader.problems.append(&mut problems);
    settings
}

/// Every table under `[flag.NAME]`, or `[migration.NAME]`.
fn tables(
    context: &mut Context<'_>,
    value: &Value<'_>,
    reader: &mut Reader<'_>,
    settings: &mut Vec<Setting>,
) -> Option<()> {
    let kind = context.key;
    let Some(all) = value.get_ref().as_table() else {
        context.expected(value, &format!("tables such as [{kind}.NAME]"));
        return None;
    };
    for (key, value) in in_order(all) {
        let (name, at) = (key.get_ref().as_ref(), key.span());
        if let Err(reason) = words::check_flag_name(name) {
            let message = format!("`{}` cannot name a {kind}: {reason}", shorten(name));
            context.problems.push(Diagnostic::error(at, message));
            continue;
        }
        let owner = format!("{kind} `{}`", shorten(name));
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("{owner} is not a table");
            context.problems.push(Diagnostic::error(value.span(), message));
            continue;
        };
        let fields = Fields::new(context.problems, table, &owner);
        let to = if kind == "flag" {
            flag(fields, name, &owner, &at, reader)
        } else {
            migration(fields, name, &owner, &at, reader)
        };
        settings.extend(to.map(|to| Setting { name: name.to_owned(), to }));
    }
    Some(())
}

fn flag(
    mut fields: Fields<'_, '_>,
    name: &str,
    owner: &str,
    at: &Span,
    reader: &mut Reader<'_>,
) -> Option<To> {
    let known = reader.flag(name, at);
    let value = fields.take("value", |c, v| given(c, v, true));
    let percent = fields.take("percent", share);
    let disabled = fields.take("disabled", boolean);
    name_declaring(&mut fields, owner, reader);
    let both = value.is_some() && percent.is_some();
    if let (true, Some(percent)) = (both, &percent) {
        let message = "`value` and `percent` both say what it is set to; keep one";
        fields.problems.push(Diagnostic::error(percent.span.clone(), message).label(format!("in {owner}")));
    }
    let none = fields.span_of("value").is_none() && fields.span_of("percent").is_none();
    fields.finish(None);
    if none {
        let help = "add `value` or `percent`";
        reader.lost(at.clone(), format!("{owner} does not say what it is set to"), help);
    }
    let (value, at) = match (value, percent) {
        (Some(Located { value, span }), None) => (value.plain(), span),
        (None, Some(Located { value, span })) => (FlagValue::of_share(value), span),
        _ => return None,
    };
    let truth = Truth { value, disabled: disabled.is_some_and(|l| l.value) };
    reader.takes(known.ok()?, truth, &at).then_some(To::Flag(truth))
}

fn migration(
    mut fields: Fields<'_, '_>,
    name: &str,
    owner: &str,
    at: &Span,
    reader: &mut Reader<'_>,
) -> Option<To> {
    let known = reader.has_migration(name, at);
    let stage = fields.take("at", |c, v| match v.get_ref() {
        DeValue::Integer(_) => {
            integer(c, v, 0..=Migration::STAGES_MAX as i64).map(|number| number.to_string())
        }
        DeValue::String(_) => nonempty(c, v),
        _ => {
            c.expected(v, "the number of a stage, or its name");
            None
        }
    });
    name_declaring(&mut fields, owner, reader);
    let none = fields.span_of("at").is_none();
    fields.finish(None);
    if none {
        reader.lost(at.clone(), format!("{owner} does not say where it stands"), "add `at`");
    }
    stage.filter(|_| known).map(|stage| To::Stage(stage.value))
}

/// Keys of a configuration are named: they are not imported.
fn name_declaring(fields: &mut Fields<'_, '_>, owner: &str, reader: &mut Reader<'_>) {
    for key in DECLARING {
        if let Some(found) = fields.take(key, |_, _| Some(())) {
            let message = format!("`{key}` says how {owner} is declared; only what it is set to is imported");
            reader.lost(found.span, message, "write it in the configuration");
        }
    }
}
