//! `[flag.NAME]` → the declaration of a flag. What it says about other flags and services is judged by `resolve`.

mod ids;
mod values;

pub(super) use values::{given, share, word_of};

use super::diagnostic::Diagnostic;
use super::fields::{Context, Fields, Located, Span, Value, array, boolean, nonempty, shorten, text, word};
use super::guard::{self, GuardPart};
use super::words;
use crate::flags::{Declaration, Kind, NAME_MAX, Requires, Unit};
use toml::de::{DeTable, DeValue};

/// Longest owner and description, in bytes: the journal carries them in bounded records.
const TEXT_MAX: usize = 1024;

/// `[flag.NAME]`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FlagPart {
    /// Of no use when something is wrong. Its guard and its services are filled in by `resolve`.
    pub(super) declaration: Declaration,
    /// Where its name stands.
    pub(super) at: Span,
    /// What says its kind cannot be read, so nothing that depends on it is judged.
    pub(super) kind_is_wrong: bool,
    pub(super) requires: Option<Located<Requires>>,
    pub(super) services: Vec<Located<String>>,
    pub(super) guard: Option<GuardPart>,
    /// Where it says that it is on at first.
    pub(super) on: Option<Span>,
    pub(super) expires: Option<Span>,
    pub(super) env: Option<Span>,
}

/// Reads one flag. What is wrong goes to `problems`; the declaration is then of no use.
pub(super) fn read(problems: &mut Vec<Diagnostic>, name: &str, at: Span, table: &DeTable<'_>) -> FlagPart {
    if let Err(reason) = words::check_flag_name(name) {
        let message = format!("`{}` cannot name a flag: {reason}", shorten(name));
        problems.push(Diagnostic::error(at.clone(), message));
    }
    let owner = format!("flag `{}`", shorten(name));
    let mut fields = Fields::new(problems, table, &owner);
    let kind = fields.take("kind", kind);
    let texts_kind = kind.as_ref().is_some_and(|kind| kind.value == Kind::Text);
    let default = fields.take("default", |c, v| values::given(c, v, texts_kind));
    let percent = fields.take("percent", values::percent);
    let value = fields.take("value", |c, v| values::given(c, v, texts_kind));
    let safe = fields.take("safe", |c, v| values::given(c, v, texts_kind));
    let salt = fields.take("salt", salt);
    let owner_of = fields.take("owner", bounded);
    let description = fields.take("description", bounded);
    let expires = fields.take("expires", date);
    let requires = fields.take("requires", requires);
    let allow = fields.take("allow", ids::read);
    let deny = fields.take("deny", ids::read);
    let unit = fields.take("unit", unit);
    let services = fields.take("services", guard::services);
    let guard = fields.take("guard", guard::read);
    let env = fields.take("env", boolean);
    let why = fields.take("why", boolean);
    let lists = ids::check(&mut fields, allow, deny);

    let unread = |key, is_read: bool| fields.span_of(key).is_some() && !is_read;
    let kind_is_wrong = unread("kind", kind.is_some())
        || kind.is_none() && (unread("default", default.is_some()) || unread("value", value.is_some()));
    let said = values::Said { name, owner: &owner, at: &at, kind, default, percent, value, safe };
    let kind = said.kind();
    let on = said.on_at_first();
    let values = said.values(&mut fields, kind, kind_is_wrong);
    if !kind_is_wrong {
        refuse_keys(&mut fields, &owner, kind, unit.as_ref().map(|unit| unit.value));
    }
    fields.finish(Some(&format!("flag.\"{}", shorten(name))));
    FlagPart {
        declaration: Declaration {
            name: name.to_owned(),
            kind,
            default: values.default,
            configured: values.configured,
            safe: values.safe,
            salt: salt.map_or_else(|| name.to_owned(), |l| l.value),
            owner: owner_of.map(|l| l.value),
            description: description.map(|l| l.value),
            expires: expires.as_ref().map(|l| l.value.clone()),
            requires: requires.as_ref().map(|l| l.value.clone()),
            allow: lists.allow,
            deny: lists.deny,
            unit: unit.map(|l| l.value).unwrap_or_default(),
            services: Vec::new(),
            guard: None,
            env: env.as_ref().is_some_and(|l| l.value),
            why: why.is_some_and(|l| l.value),
        },
        at,
        kind_is_wrong,
        requires,
        services: services.map(|l| l.value).unwrap_or_default(),
        guard: guard.and_then(|l| l.value),
        on,
        expires: expires.map(|l| l.span),
        env: env.filter(|l| l.value).map(|l| l.span),
    }
}

/// Keys that mean nothing for such a flag: said, never left without effect in silence.
fn refuse_keys(fields: &mut Fields<'_, '_>, owner: &str, kind: Kind, unit: Option<Unit>) {
    let label = format!("in {owner}");
    let word = word_of(kind);
    let keys: &[(&str, &str)] = match kind {
        Kind::Int | Kind::Text => &[
            ("salt", "is for counting shares"),
            ("allow", "is a list of ids for which a flag is on"),
            ("deny", "is a list of ids for which a flag is off"),
            ("unit", "says whose id a share is counted by"),
            ("requires", "turns a flag off"),
        ],
        Kind::Bool => &[("unit", "says whose id a share is counted by")],
        Kind::Percent | Kind::Stage => &[],
    };
    for (key, what) in keys {
        if let Some(at) = fields.span_of(key) {
            let message = format!("`{key}` {what}; this flag is of kind \"{word}\"");
            fields.problems.push(Diagnostic::error(at, message).label(&label).help("remove it"));
        }
    }
    if matches!(unit, Some(Unit::Host | Unit::Instance)) && kind == Kind::Percent {
        for key in ["allow", "deny"] {
            if let Some(at) = fields.span_of(key) {
                let message =
                    format!("`{key}` lists ids that readers name; with this `unit` nobody names one");
                fields
                    .problems
                    .push(Diagnostic::error(at, message).label(&label).help("remove it, or `unit`"));
            }
        }
    }
}

fn kind(context: &mut Context<'_>, value: &Value<'_>) -> Option<Kind> {
    if value.get_ref().as_str() == Some("stage") {
        context
            .invalid(value.span(), "\"stage\" is the kind of a migration: declare it with [migration.NAME]");
        return None;
    }
    let words = [("bool", Kind::Bool), ("percent", Kind::Percent), ("int", Kind::Int), ("text", Kind::Text)];
    let others = [
        ("boolean", "bool"),
        ("integer", "int"),
        ("number", "int"),
        ("string", "text"),
        ("share", "percent"),
    ];
    word(context, value, &words, &others)
}

fn unit(context: &mut Context<'_>, value: &Value<'_>) -> Option<Unit> {
    let words = [("id", Unit::Id), ("host", Unit::Host), ("instance", Unit::Instance)];
    word(context, value, &words, &[("user", "id"), ("machine", "host"), ("process", "instance")])
}

/// `"other"` or `"not other"`.
fn requires(context: &mut Context<'_>, value: &Value<'_>) -> Option<Requires> {
    let said = nonempty(context, value)?;
    let words: Vec<&str> = said.split_whitespace().collect();
    let (on, flag) = match words.as_slice() {
        [flag] => (true, *flag),
        ["not", flag] => (false, *flag),
        _ => {
            context.invalid(value.span(), "expected the name of one flag, or \"not\" and a name");
            return None;
        }
    };
    if let Err(reason) = words::check_flag_name(flag) {
        context.invalid(value.span(), &format!("`{}` cannot name a flag: {reason}", shorten(flag)));
        return None;
    }
    Some(Requires { flag: flag.to_owned(), on })
}

/// `"2026-12-31"`, with or without quotes.
fn date(context: &mut Context<'_>, value: &Value<'_>) -> Option<String> {
    let said = match value.get_ref() {
        DeValue::String(text) => text.clone().into_owned(),
        DeValue::Datetime(date) => date.to_string(),
        _ => {
            context.expected(value, "a day such as \"2026-12-31\"");
            return None;
        }
    };
    // The one form in which days compare as texts; jiff would take others, too.
    let digits =
        said.len() == 10 && said.bytes().enumerate().all(|(at, b)| (b == b'-') == (at == 4 || at == 7));
    if !digits || said.parse::<jiff::civil::Date>().is_err() {
        context.invalid(value.span(), "expected a day of the calendar such as \"2026-12-31\"");
        return None;
    }
    Some(said)
}

/// A string that hashes like a name, and is as long at most: boards have so much room for it.
fn salt(context: &mut Context<'_>, value: &Value<'_>) -> Option<String> {
    nonempty(context, value)?;
    at_most(context, value, NAME_MAX)
}

/// A string for people.
pub(super) fn bounded(context: &mut Context<'_>, value: &Value<'_>) -> Option<String> {
    at_most(context, value, TEXT_MAX)
}

fn at_most(context: &mut Context<'_>, value: &Value<'_>, max: usize) -> Option<String> {
    let found = text(context, value)?;
    if found.len() > max {
        context.invalid(value.span(), &format!("it has {} bytes, {max} are allowed", found.len()));
        return None;
    }
    Some(found)
}

/// Names in an array, each a string that is not empty.
pub(super) fn names(
    context: &mut Context<'_>,
    value: &Value<'_>,
    expected: &str,
) -> Option<Vec<Located<String>>> {
    array(context, value, expected, nonempty)
}
