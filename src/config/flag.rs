//! `[flag.NAME]` → the declaration of a flag.

use super::diagnostic::Diagnostic;
use super::fields::{Context, Fields, Span, Value, boolean, nonempty, number, shorten, text, word};
use super::{units, words};
use crate::flags::{Declaration, Value as FlagValue};
use toml::de::{DeTable, DeValue};

/// Longest salt, owner and description, in bytes: the journal and the board carry them in bounded records.
const TEXT_MAX: usize = 1024;

/// Reads one flag. What is wrong goes to `problems`; the declaration is then of no use.
pub(super) fn read(problems: &mut Vec<Diagnostic>, name: &str, at: Span, table: &DeTable<'_>) -> Declaration {
    if let Err(reason) = words::check_flag_name(name) {
        let message = format!("`{}` cannot name a flag: {reason}", shorten(name));
        problems.push(Diagnostic::error(at, message));
    }
    let owner = format!("flag `{}`", shorten(name));
    let mut fields = Fields::new(problems, table, &owner)
        .unavailable(&["guard", "expires", "requires", "allow", "deny", "unit", "env", "services", "bake"]);
    let default = fields.take("default", on_or_off);
    let percent = fields.take("percent", |c, v| {
        let value = number(c, v)?;
        let share = units::percent(value).map_err(|reason| c.invalid(v.span(), &reason)).ok()?;
        Some(match share {
            0 => FlagValue::Off,
            100_000 => FlagValue::On,
            share => FlagValue::Share(share),
        })
    });
    let kind = fields.take("kind", kind);
    let safe = fields.take("safe", on_or_off);
    let salt = fields.take("salt", |c, v| bounded(c, v, true));
    let owner_of = fields.take("owner", |c, v| bounded(c, v, false));
    let description = fields.take("description", |c, v| bounded(c, v, false));
    if let (Some(_), Some(percent)) = (&default, &percent) {
        let message = "`default` and `percent` both say what holds at first; keep one";
        fields.problems.push(Diagnostic::error(percent.span.clone(), message).label(format!("in {owner}")));
    }
    if let (Some(kind), Some(percent)) = (&kind, &percent)
        && kind.value == Kind::Bool
        && matches!(percent.value, FlagValue::Share(_))
    {
        let problem =
            Diagnostic::error(percent.span.clone(), "a flag of kind \"bool\" is on or off for everybody");
        fields
            .problems
            .push(problem.label(format!("in {owner}")).help("write kind = \"percent\", or leave `kind` out"));
    }
    fields.finish(Some(&format!("flag.\"{}", shorten(name))));
    Declaration {
        name: name.to_owned(),
        default: percent.or(default).map_or(FlagValue::Off, |l| l.value),
        safe: safe.map_or(FlagValue::Off, |l| l.value),
        salt: salt.map_or_else(|| name.to_owned(), |l| l.value),
        owner: owner_of.map(|l| l.value),
        description: description.map(|l| l.value),
        ..Declaration::default()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bool,
    Percent,
}

fn kind(context: &mut Context<'_>, value: &Value<'_>) -> Option<Kind> {
    if let Some(later @ ("int" | "text" | "stage")) = value.get_ref().as_str() {
        context.invalid(value.span(), &format!("\"{later}\" is not available in this version of mainstay"));
        return None;
    }
    word(context, value, &[("bool", Kind::Bool), ("percent", Kind::Percent)], &[("boolean", "bool")])
}

fn on_or_off(context: &mut Context<'_>, value: &Value<'_>) -> Option<FlagValue> {
    match value.get_ref() {
        DeValue::Integer(_) | DeValue::Float(_) if context.key == "default" => {
            context.expected(value, "true or false; a share is written as percent = 12.5");
            None
        }
        DeValue::String(text) if matches!(text.as_ref(), "on" | "off") => {
            let plain = text.as_ref() == "on";
            context.expected(value, &format!("true or false: write {plain}"));
            None
        }
        _ => boolean(context, value).map(|on| if on { FlagValue::On } else { FlagValue::Off }),
    }
}

fn bounded(context: &mut Context<'_>, value: &Value<'_>, filled: bool) -> Option<String> {
    let found = if filled { nonempty(context, value)? } else { text(context, value)? };
    if found.len() > TEXT_MAX {
        context.invalid(value.span(), &format!("it has {} bytes, {TEXT_MAX} are allowed", found.len()));
        return None;
    }
    Some(found)
}
