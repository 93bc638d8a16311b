//! What a flag is at first, at last and in an emergency; its kind follows from that unless it is said.

use super::super::diagnostic::Diagnostic;
use super::super::fields::{Context, Fields, Located, Span, Value, integer, number, shorten, text};
use super::super::units;
use crate::flags::{Kind, NAME_MAX, Packed, Value as FlagValue};
use toml::de::DeValue;

/// A value as TOML writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::config) enum Given {
    Truth(bool),
    Number(i64),
    Text(Packed),
}

impl Given {
    fn value(self, kind: Kind) -> Option<FlagValue> {
        Some(self.plain()).filter(|value| value.fits(kind))
    }

    /// The value, whatever the kind.
    pub(in crate::config) fn plain(self) -> FlagValue {
        match self {
            Given::Truth(false) => FlagValue::Off,
            Given::Truth(true) => FlagValue::On,
            Given::Number(number) => FlagValue::Int(number),
            Given::Text(text) => FlagValue::Text(text),
        }
    }

    fn kind(self) -> Kind {
        match self {
            Given::Truth(_) => Kind::Percent,
            Given::Number(_) => Kind::Int,
            Given::Text(_) => Kind::Text,
        }
    }
}

/// The keys of one flag that say values, as they were written.
pub(super) struct Said<'a> {
    pub(super) name: &'a str,
    /// "flag `x`"
    pub(super) owner: &'a str,
    /// Where its name stands.
    pub(super) at: &'a Span,
    pub(super) kind: Option<Located<Kind>>,
    pub(super) default: Option<Located<Given>>,
    pub(super) percent: Option<Located<FlagValue>>,
    pub(super) value: Option<Located<Given>>,
    pub(super) safe: Option<Located<Given>>,
}

/// What they mean.
#[derive(Default)]
pub(super) struct Values {
    pub(super) default: FlagValue,
    pub(super) configured: Option<FlagValue>,
    pub(super) safe: FlagValue,
}

impl Said<'_> {
    /// Which values the flag takes: as it is said, else as its default is, else as its value is.
    pub(super) fn kind(&self) -> Kind {
        let said = self.kind.as_ref().map(|kind| kind.value);
        let given = self.default.as_ref().or(self.value.as_ref().filter(|_| self.percent.is_none()));
        said.or_else(|| given.map(|given| given.value.kind())).unwrap_or_default()
    }

    /// Where it says that it is on for somebody at first, if it does.
    pub(super) fn on_at_first(&self) -> Option<Span> {
        let given = |given: &Option<Located<Given>>| {
            given.as_ref().map(|given| (given.value == Given::Truth(true), given.span.clone()))
        };
        let percent = self.percent.as_ref().map(|p| (p.value != FlagValue::Off, p.span.clone()));
        let (on, at) = percent.or_else(|| given(&self.value)).or_else(|| given(&self.default))?;
        on.then_some(at)
    }

    /// The values, and what is wrong with them; of values of an unknown kind nothing is.
    pub(super) fn values(self, fields: &mut Fields<'_, '_>, kind: Kind, kind_is_wrong: bool) -> Values {
        if kind_is_wrong {
            return Values::default();
        }
        let label = format!("in {}", self.owner);
        if let (Some(_), Some(percent)) = (&self.value, &self.percent) {
            let message = "`value` and `percent` both say what it is set to; keep one";
            fields.problems.push(Diagnostic::error(percent.span.clone(), message).label(&label));
        }
        if let Some(percent) = &self.percent {
            self.check_percent(fields, kind, percent);
        }
        let default = self.fitting(fields, kind, "default", &self.default);
        let value = self.fitting(fields, kind, "value", &self.value);
        let safe = self.fitting(fields, kind, "safe", &self.safe);
        if matches!(kind, Kind::Int | Kind::Text) && fields.span_of("default").is_none() {
            let message =
                format!("flag `{}` of kind \"{}\" has no `default`", shorten(self.name), word_of(kind));
            let example = if kind == Kind::Int { "0" } else { "\"\"" };
            let problem = Diagnostic::error(self.at.clone(), message);
            fields.problems.push(problem.help(format!("add: default = {example}")));
        }
        let default = default.unwrap_or_default();
        // Off is no number and no text: their default is what is known to be safe.
        let otherwise = if matches!(kind, Kind::Int | Kind::Text) { default } else { FlagValue::Off };
        Values {
            default,
            configured: self.percent.map(|percent| percent.value).or(value),
            safe: safe.unwrap_or(otherwise),
        }
    }

    fn check_percent(&self, fields: &mut Fields<'_, '_>, kind: Kind, percent: &Located<FlagValue>) {
        let label = format!("in {}", self.owner);
        match kind {
            Kind::Bool if matches!(percent.value, FlagValue::Share(_)) => {
                let message = "a flag of kind \"bool\" is on or off for everybody";
                let problem = Diagnostic::error(percent.span.clone(), message).label(label);
                fields.problems.push(problem.help("write kind = \"percent\", or leave `kind` out"));
            }
            Kind::Int | Kind::Text => {
                let message =
                    format!("a flag of kind \"{}\" has one value for everybody, no share", word_of(kind));
                let problem = Diagnostic::error(percent.span.clone(), message).label(label);
                fields.problems.push(problem.help("remove `percent`, or write `value`"));
            }
            _ => {}
        }
    }

    fn fitting(
        &self,
        fields: &mut Fields<'_, '_>,
        kind: Kind,
        key: &str,
        given: &Option<Located<Given>>,
    ) -> Option<FlagValue> {
        let given = given.as_ref()?;
        let value = given.value.value(kind);
        if value.is_none() {
            let is = match given.value {
                Given::Truth(_) => "true or false",
                Given::Number(_) => "a number",
                Given::Text(_) => "a text",
            };
            let message = format!("`{key}` is {is}, and the flag is of kind \"{}\"", word_of(kind));
            let problem = Diagnostic::error(given.span.clone(), message).label(format!("in {}", self.owner));
            fields.problems.push(match (&self.kind, &self.default) {
                (Some(kind), _) => problem.related(kind.span.clone(), "as is said here"),
                (None, Some(default)) => problem.related(default.span.clone(), "as follows from this"),
                (None, None) => problem,
            });
        }
        value
    }
}

/// A kind as the file writes it.
pub(in crate::config) fn word_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "bool",
        Kind::Percent => "percent",
        Kind::Stage => "stage",
        Kind::Int => "int",
        Kind::Text => "text",
    }
}

/// `true`, `43` or `"info"`. `on` and `off` are texts only when a text is what is wanted.
pub(in crate::config) fn given(context: &mut Context<'_>, value: &Value<'_>, is_text: bool) -> Option<Given> {
    match value.get_ref() {
        DeValue::Boolean(truth) => Some(Given::Truth(*truth)),
        DeValue::Integer(_) => integer(context, value, i64::MIN..=i64::MAX).map(Given::Number),
        DeValue::String(said) if !is_text && matches!(said.as_ref(), "on" | "off" | "true" | "false") => {
            let plain = matches!(said.as_ref(), "on" | "true");
            context.expected(
                value,
                &format!("true or false: write {plain}, or kind = \"text\" if a text is meant"),
            );
            None
        }
        DeValue::String(_) => {
            let said = text(context, value)?;
            let packed = Packed::new(&said);
            if packed.is_none() {
                let reason = format!("it has {} bytes, {NAME_MAX} are allowed", said.len());
                context.invalid(value.span(), &reason);
            }
            packed.map(Given::Text)
        }
        _ => {
            context.expected(
                value,
                "true, false, a whole number or a string; a share is written as percent = 12.5",
            );
            None
        }
    }
}

/// 0 to 100 in steps of 0.001.
pub(super) fn percent(context: &mut Context<'_>, value: &Value<'_>) -> Option<FlagValue> {
    share(context, value).map(FlagValue::of_share)
}

/// The same in 1/100,000.
pub(in crate::config) fn share(context: &mut Context<'_>, value: &Value<'_>) -> Option<u32> {
    let percent = number(context, value)?;
    units::percent(percent).map_err(|reason| context.invalid(value.span(), &reason)).ok()
}
