//! Walking a TOML table key by key, so that every error of the file is found in one pass.
//!
//! A reader that finds something wrong says so and gives `None`; the walk goes on. The keys that were asked
//! for are the keys that exist: whatever is left in the table is unknown, and nothing is listed twice.

use super::diagnostic::Diagnostic;
use super::words::{nearest, suggest};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

pub(super) type Span = Range<usize>;
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// A value and the place where it was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// Where a value stands, for messages, and where to say what is wrong with it.
pub(super) struct Context<'a> {
    pub(super) problems: &'a mut Vec<Diagnostic>,
    /// Its key: `grace`.
    pub(super) key: &'a str,
    /// What it belongs to: "`stop` of service `web`".
    pub(super) owner: &'a str,
}

impl Context<'_> {
    /// The value has the wrong type.
    pub(super) fn expected(&mut self, value: &Value<'_>, expected: &str) {
        let found = describe(value.get_ref());
        let message = format!("`{}` is {found}, expected {expected}", self.key);
        self.problems.push(Diagnostic::error(value.span(), message).label(format!("in {}", self.owner)));
    }

    /// The value has the right type and makes no sense.
    pub(super) fn invalid(&mut self, span: Span, reason: &str) {
        let message = format!("invalid `{}`: {reason}", self.key);
        self.problems.push(Diagnostic::error(span, message).label(format!("in {}", self.owner)));
    }

    /// The value as a table whose own keys are read next; `owner` is how its content is called.
    pub(super) fn fields<'b, 'i>(&'b mut self, table: &'b DeTable<'i>, owner: &'b str) -> Fields<'b, 'i> {
        Fields::new(self.problems, table, owner)
    }

    /// How the content of this value is called: "`stop` of service `web`".
    pub(super) fn inner_owner(&self) -> String {
        format!("`{}` of {}", self.key, self.owner)
    }
}

/// The keys of one table, taken one at a time.
pub(super) struct Fields<'a, 'i> {
    pub(super) problems: &'a mut Vec<Diagnostic>,
    table: &'a DeTable<'i>,
    owner: &'a str,
    asked: Vec<&'static str>,
    unavailable: &'static [&'static str],
    /// Of what they are no keys, and which.
    refused: (&'static str, &'static [(&'static str, &'static str)]),
}

impl<'a, 'i> Fields<'a, 'i> {
    pub(super) fn new(problems: &'a mut Vec<Diagnostic>, table: &'a DeTable<'i>, owner: &'a str) -> Self {
        Fields { problems, table, owner, asked: Vec::new(), unavailable: &[], refused: ("", &[]) }
    }

    /// Keys that are planned and do nothing yet: said plainly, never accepted in silence.
    pub(super) fn unavailable(mut self, keys: &'static [&'static str]) -> Self {
        self.unavailable = keys;
        self
    }

    /// Keys that people look for in such a thing ("a group"), and what to do instead.
    pub(super) fn refused(mut self, of: &'static str, keys: &'static [(&'static str, &'static str)]) -> Self {
        self.refused = (of, keys);
        self
    }

    /// The value of `key` as `read` understands it; `None` when it is absent or wrong.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Context<'_>, &Value<'i>) -> Option<T>,
    ) -> Option<Located<T>> {
        self.asked.push(key);
        let value = self.table.get(key)?;
        let mut context = Context { problems: self.problems, key, owner: self.owner };
        Some(Located { value: read(&mut context, value)?, span: value.span() })
    }

    /// Where the value of `key` stands, right or wrong.
    pub(super) fn span_of(&self, key: &str) -> Option<Span> {
        self.table.get(key).map(Spanned::span)
    }

    /// Says what is left over. `dotted` tells how to write a name with a dot, when this table has a name.
    pub(super) fn finish(self, dotted: Option<&str>) {
        for (key, value) in in_order(self.table) {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let label = format!("in {}", self.owner);
            if self.unavailable.contains(&name) {
                let message = format!("`{name}` is not available in this version of mainstay");
                self.problems.push(Diagnostic::error(key.span(), message).label(label).help("remove it"));
                continue;
            }
            if let Some((_, instead)) = self.refused.1.iter().find(|(key, _)| *key == name) {
                let message = format!("`{name}` is not a key of {}", self.refused.0);
                self.problems.push(Diagnostic::error(key.span(), message).label(label).help(*instead));
                continue;
            }
            let mut message = format!("unknown field `{}`", shorten(name));
            let near = suggest(self.problems.len(), name, self.asked.iter().copied());
            if let Some(near) = near {
                message.push_str(&format!(", did you mean `{near}`?"));
            }
            let mut problem = Diagnostic::error(key.span(), message).label(label);
            match dotted {
                Some(dotted) if near.is_none() && value.get_ref().is_table() => {
                    problem = problem.help(format!("a name with a dot needs quotes: [{dotted}.{name}\"]"));
                }
                _ if near.is_none() => {
                    problem = problem.help(format!("known here: {}", self.asked.join(", ")));
                }
                _ => {}
            }
            self.problems.push(problem);
        }
    }
}

/// The entries of a table in the order of the file (the parser sorts them by name).
pub(super) fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<(&'a Spanned<DeString<'i>>, &'a Value<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// A string without NUL, which no program could receive.
pub(super) fn text(context: &mut Context<'_>, value: &Value<'_>) -> Option<String> {
    let Some(text) = value.get_ref().as_str() else {
        context.expected(value, "a string");
        return None;
    };
    if text.contains('\0') {
        context.invalid(value.span(), "it holds a NUL byte");
        return None;
    }
    Some(text.to_owned())
}

/// A string that is not empty.
pub(super) fn nonempty(context: &mut Context<'_>, value: &Value<'_>) -> Option<String> {
    let text = text(context, value)?;
    if text.is_empty() {
        context.invalid(value.span(), "it is empty");
        return None;
    }
    Some(text)
}

/// `true` or `false`.
pub(super) fn boolean(context: &mut Context<'_>, value: &Value<'_>) -> Option<bool> {
    let found = value.get_ref().as_bool();
    if found.is_none() {
        context.expected(value, "true or false");
    }
    found
}

/// A whole number within `range`.
pub(super) fn integer(
    context: &mut Context<'_>,
    value: &Value<'_>,
    range: std::ops::RangeInclusive<i64>,
) -> Option<i64> {
    let expected = format!("a whole number from {} to {}", range.start(), range.end());
    let Some(number) = value.get_ref().as_integer() else {
        context.expected(value, &expected);
        return None;
    };
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(number) if range.contains(&number) => Some(number),
        _ => {
            context.invalid(value.span(), &format!("{} is not {expected}", shorten(number.as_str())));
            None
        }
    }
}

/// Any finite number.
pub(super) fn number(context: &mut Context<'_>, value: &Value<'_>) -> Option<f64> {
    let found = match value.get_ref() {
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix()).ok().map(|n| n as f64),
        DeValue::Float(n) => n.as_str().parse().ok(),
        _ => {
            context.expected(value, "a number");
            return None;
        }
    };
    let found = found.filter(|n: &f64| n.is_finite());
    if found.is_none() {
        context.invalid(value.span(), "it is not a finite number");
    }
    found
}

/// A table.
pub(super) fn table<'a, 'i>(
    context: &mut Context<'_>,
    value: &'a Value<'i>,
    expected: &str,
) -> Option<&'a DeTable<'i>> {
    let found = value.get_ref().as_table();
    if found.is_none() {
        context.expected(value, expected);
    }
    found
}

/// A text with a unit, as one of the functions of `units` reads it. A bare number gets the same answer as the
/// same digits in quotes: which unit to write.
pub(super) fn with_unit<T>(
    context: &mut Context<'_>,
    value: &Value<'_>,
    read: impl FnOnce(&str) -> Result<T, String>,
    expected: &str,
) -> Option<T> {
    let (written, result) = match value.get_ref() {
        DeValue::String(text) => (format!("\"{}\"", shorten(text)), read(text)),
        DeValue::Integer(number) if number.radix() == 10 => {
            (number.as_str().to_owned(), read(number.as_str()))
        }
        DeValue::Float(number) => (number.as_str().to_owned(), read(number.as_str())),
        _ => {
            context.expected(value, expected);
            return None;
        }
    };
    match (result, value.get_ref()) {
        (Ok(found), DeValue::String(_)) => Some(found),
        (Ok(_), _) => {
            context.expected(value, expected);
            None
        }
        (Err(reason), _) if reason.starts_with("expected") => {
            context.invalid(value.span(), &format!("{written} is not understood, {reason}"));
            None
        }
        (Err(reason), _) => {
            context.invalid(value.span(), &reason);
            None
        }
    }
}

/// One of a few words.
pub(super) fn word<T: Copy>(
    context: &mut Context<'_>,
    value: &Value<'_>,
    words: &[(&str, T)],
    others: &[(&str, &str)],
) -> Option<T> {
    let list = words.iter().map(|(w, _)| format!("\"{w}\"")).collect::<Vec<_>>().join(", ");
    let Some(text) = value.get_ref().as_str() else {
        context.expected(value, &format!("one of {list}"));
        return None;
    };
    if let Some((_, found)) = words.iter().find(|(w, _)| *w == text) {
        return Some(*found);
    }
    // Words of other supervisors, then typing mistakes.
    let meant = others.iter().find(|(w, _)| *w == text).map(|(_, meant)| *meant);
    let meant = meant.or_else(|| nearest(text, words.iter().map(|(w, _)| *w)));
    let advice =
        meant.map_or_else(|| format!("expected one of {list}"), |m| format!("did you mean \"{m}\"?"));
    context.invalid(value.span(), &format!("\"{}\" is not known, {advice}", shorten(text)));
    None
}

/// All elements of an array, as `read` understands each; wrong ones are left out.
pub(super) fn array<'i, T>(
    context: &mut Context<'_>,
    value: &Value<'i>,
    expected: &str,
    mut read: impl FnMut(&mut Context<'_>, &Value<'i>) -> Option<T>,
) -> Option<Vec<Located<T>>> {
    let Some(elements) = value.get_ref().as_array() else {
        context.expected(value, expected);
        return None;
    };
    let before = context.problems.len();
    let found = elements
        .iter()
        .filter_map(|element| Some(Located { value: read(context, element)?, span: element.span() }))
        .collect();
    (context.problems.len() == before).then_some(found)
}

/// How a value is called in a message.
pub(super) fn describe(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// Names in messages, cut when somebody pasted a file into a key.
pub(super) fn shorten(name: &str) -> String {
    match name.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}
