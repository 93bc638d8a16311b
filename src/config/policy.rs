//! The inline tables of policy: restart, backoff, ready, stop, log. Each is read as it was written, key by key;
//! what is missing is filled in from `[defaults]` and the built-in values by `resolve`.

use super::fields::{
    Context, Located, Value, array, boolean, integer, nonempty, number, table, with_unit, word,
};
use super::plan::{Log, Ready};
use super::{template, units};
use crate::supervisor::spec::{Backoff, Grace, Intensity, Restart};
use crate::time::Duration;

/// `restart = …`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RestartPart {
    pub(super) policy: Option<Located<Restart>>,
    /// A policy is said, but not one that is known.
    pub(super) policy_is_wrong: bool,
    /// `Some(None)`: no own limit, said so.
    pub(super) max: Option<Located<Option<u32>>>,
    pub(super) within: Option<Located<Duration>>,
    pub(super) clean: Option<Vec<u8>>,
}

impl RestartPart {
    /// The limit that this says, as far as it says one, over `below`.
    pub(super) fn limit(&self, below: Option<Intensity>, fallback: Intensity) -> Option<Intensity> {
        let base = below.unwrap_or(fallback);
        let within = self.within.as_ref().map_or(base.within, |w| w.value);
        match &self.max {
            Some(Located { value: None, .. }) => None,
            Some(Located { value: Some(max), .. }) => Some(Intensity { max: *max, within }),
            None if self.within.is_none() => below,
            None => below.map(|below| Intensity { max: below.max, within }),
        }
    }
}

/// `backoff = …`
#[derive(Clone, Debug, PartialEq)]
pub(super) enum BackoffPart {
    Off,
    Table {
        first: Option<Duration>,
        base: Option<Duration>,
        factor: Option<f64>,
        max: Option<Duration>,
        jitter: Option<f64>,
        forget: Option<Duration>,
    },
}

impl BackoffPart {
    pub(super) fn over(&self, below: Backoff) -> Backoff {
        match self {
            BackoffPart::Off => Backoff::NONE,
            BackoffPart::Table { first, base, factor, max, jitter, forget } => {
                // Keys over "none" are keys over the built-in values: a factor of nothing would wait for ever.
                let below = if below == Backoff::NONE { Backoff::default() } else { below };
                let base = base.unwrap_or(below.base);
                Backoff {
                    first: first.unwrap_or(below.first),
                    base,
                    factor: factor.unwrap_or(below.factor),
                    // A base longer than the longest wait that nobody wrote means that the base is wanted.
                    max: max.unwrap_or(below.max.max(base)),
                    jitter: jitter.unwrap_or(below.jitter),
                    forget: forget.unwrap_or(below.forget),
                }
            }
        }
    }
}

/// `ready = …`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ReadyPart {
    pub(super) how: Option<Ready>,
    /// The port, when it depends on the argument of a template.
    pub(super) port: Option<String>,
    pub(super) within: Option<Duration>,
}

/// Whose `ready` it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadyOf {
    Service,
    /// The port and the text may hold its argument.
    Template,
    /// Says only how long.
    Defaults,
}

/// `stop = …`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StopPart {
    pub(super) signal: Option<i32>,
    pub(super) grace: Option<Grace>,
}

/// `log = …`
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LogPart {
    Inherit,
    Discard,
    Logger { max_size: Option<u64>, files: Option<u32> },
}

impl LogPart {
    pub(super) fn over(&self, below: &Log) -> Log {
        match self {
            LogPart::Inherit => Log::Inherit,
            LogPart::Discard => Log::Discard,
            LogPart::Logger { max_size, files } => {
                let (below_size, below_files) = match (below, Log::default()) {
                    (Log::Logger { max_size, files }, _) => (*max_size, *files),
                    (_, Log::Logger { max_size, files }) => (max_size, files),
                    _ => unreachable!("the default is the logger"),
                };
                Log::Logger { max_size: max_size.unwrap_or(below_size), files: files.unwrap_or(below_files) }
            }
        }
    }
}

const POLICIES: [(&str, Restart); 3] =
    [("permanent", Restart::Permanent), ("transient", Restart::Transient), ("temporary", Restart::Temporary)];
const POLICIES_ELSEWHERE: [(&str, &str); 9] = [
    ("always", "permanent"),
    ("yes", "permanent"),
    ("true", "permanent"),
    ("unless-stopped", "permanent"),
    ("on-failure", "transient"),
    ("unexpected", "transient"),
    ("no", "temporary"),
    ("never", "temporary"),
    ("false", "temporary"),
];

/// A duration.
pub(super) fn duration(context: &mut Context<'_>, value: &Value<'_>) -> Option<Duration> {
    with_unit(context, value, units::duration, "a duration such as \"10s\"")
}

/// A duration longer than nothing.
pub(super) fn period(context: &mut Context<'_>, value: &Value<'_>) -> Option<Duration> {
    let found = duration(context, value)?;
    if found.is_zero() {
        context.invalid(value.span(), "it must be longer than 0s");
        return None;
    }
    Some(found)
}

/// `"permanent"`, or a table. A group has no clean codes of its own.
pub(super) fn restart(context: &mut Context<'_>, value: &Value<'_>, of_group: bool) -> Option<RestartPart> {
    if value.get_ref().is_str() {
        let policy = word(context, value, &POLICIES, &POLICIES_ELSEWHERE);
        let policy = policy.map(|policy| Located { value: policy, span: value.span() });
        return Some(RestartPart { policy_is_wrong: policy.is_none(), policy, ..RestartPart::default() });
    }
    let expected = "\"permanent\", \"transient\", \"temporary\" or a table such as \
        { policy = \"permanent\", max = 5, within = \"30s\" }";
    let table = table(context, value, expected)?;
    let owner = context.inner_owner();
    let mut fields = context.fields(table, &owner);
    let mut part = RestartPart {
        policy: fields.take("policy", |c, v| word(c, v, &POLICIES, &POLICIES_ELSEWHERE)),
        ..RestartPart::default()
    };
    part.policy_is_wrong = part.policy.is_none() && fields.span_of("policy").is_some();
    part.max = fields.take("max", |c, v| match v.get_ref().as_str() {
        Some("unlimited") => Some(None),
        Some(_) => {
            c.expected(v, "a whole number or \"unlimited\"");
            None
        }
        None => integer(c, v, 0..=i64::from(u32::MAX)).map(|max| u32::try_from(max).ok()),
    });
    part.within = fields.take("within", period);
    if !of_group {
        part.clean = fields
            .take("clean", |c, v| {
                array(c, v, "an array of exit codes such as [3]", |c, v| integer(c, v, 0..=255))
            })
            .map(|codes| codes.value.iter().filter_map(|code| u8::try_from(code.value).ok()).collect());
    }
    fields.finish(None);
    Some(part)
}

/// `"none"`, or a table.
pub(super) fn backoff(context: &mut Context<'_>, value: &Value<'_>) -> Option<BackoffPart> {
    if value.get_ref().is_str() {
        return word(context, value, &[("none", ())], &[("off", "none"), ("no", "none")])
            .map(|()| BackoffPart::Off);
    }
    let table = table(context, value, "\"none\" or a table such as { base = \"100ms\", max = \"30s\" }")?;
    let owner = context.inner_owner();
    let mut fields = context.fields(table, &owner);
    let first = fields.take("first", duration);
    let base = fields.take("base", duration);
    let factor = fields.take("factor", |c, v| in_range(c, v, 1.0, 1000.0));
    let max = fields.take("max", duration);
    let jitter = fields.take("jitter", |c, v| in_range(c, v, 0.0, 1.0));
    let forget = fields.take("forget", duration);
    if let (Some(base), Some(max)) = (&base, &max)
        && base.value > max.value
    {
        let (base, max) = (units::write_duration(base.value), units::write_duration(max.value));
        let problem = super::diagnostic::Diagnostic::error(
            value.span(),
            format!("the first wait of `base` ({base}) is longer than the longest, `max` ({max})"),
        );
        fields.problems.push(problem.label(format!("in {owner}")));
    }
    fields.finish(None);
    Some(BackoffPart::Table {
        first: first.map(|l| l.value),
        base: base.map(|l| l.value),
        factor: factor.map(|l| l.value),
        max: max.map(|l| l.value),
        jitter: jitter.map(|l| l.value),
        forget: forget.map(|l| l.value),
    })
}

/// `{ tcp = 8080, within = "10s" }` and its like; in `[defaults]` only `within`.
pub(super) fn ready(context: &mut Context<'_>, value: &Value<'_>, of: ReadyOf) -> Option<ReadyPart> {
    let table = table(
        context,
        value,
        "a table such as { tcp = 8080 }, { output = \"listening\" } or { notify = true }",
    )?;
    let owner = context.inner_owner();
    let mut fields = context.fields(table, &owner).unavailable(&["unix", "http", "exec", "fd", "alive"]);
    let within = fields.take("within", period).map(|l| l.value);
    if of == ReadyOf::Defaults {
        fields.finish(None);
        return Some(ReadyPart { within, ..ReadyPart::default() });
    }
    let template = of == ReadyOf::Template;
    let before = fields.problems.len();
    let mut port = None;
    let mut ways = Vec::new();
    ways.extend(fields.take("tcp", |c, v| match v.get_ref().as_str() {
        Some(text) if template && text.contains("%i") => {
            template::check(text, true).map_err(|reason| c.invalid(v.span(), &reason)).ok()?;
            port = Some(text.to_owned());
            // Stands for a port that nobody knows yet.
            Some(Ready::Tcp(0))
        }
        _ => integer(c, v, 1..=65_535).and_then(|port| u16::try_from(port).ok()).map(Ready::Tcp),
    }));
    ways.extend(fields.take("output", |c, v| {
        let text = nonempty(c, v)?;
        template::check(&text, template).map_err(|reason| c.invalid(v.span(), &reason)).ok()?;
        Some(Ready::Output(text))
    }));
    ways.extend(fields.take("notify", |c, v| match boolean(c, v)? {
        true => Some(Ready::Notify),
        false => {
            c.invalid(
                v.span(),
                "only true makes sense; leave `ready` out for a service that never says it is",
            );
            None
        }
    }));
    fields.finish(None);
    let wrong = context.problems.len() > before;
    match ways.as_slice() {
        [one] => Some(ReadyPart { how: Some(one.value.clone()), port, within }),
        [] => {
            if !wrong {
                context.invalid(value.span(), "it does not say how: `tcp`, `output` or `notify`");
            }
            None
        }
        [_, second, ..] => {
            context.invalid(second.span.clone(), "one way is enough: `tcp`, `output` or `notify`");
            None
        }
    }
}

/// `{ signal = "TERM", grace = "5s" }`
pub(super) fn stop(context: &mut Context<'_>, value: &Value<'_>) -> Option<StopPart> {
    let table = table(context, value, "a table such as { signal = \"TERM\", grace = \"5s\" }")?;
    let owner = context.inner_owner();
    let mut fields = context.fields(table, &owner);
    let signal = fields.take("signal", |c, v| {
        let result = match v.get_ref() {
            toml::de::DeValue::Integer(n) => {
                units::signal_number(i64::from_str_radix(n.as_str(), n.radix()).unwrap_or(-1))
            }
            toml::de::DeValue::String(text) => units::signal(text),
            _ => {
                c.expected(v, "a signal such as \"TERM\" or 15");
                return None;
            }
        };
        result.map_err(|reason| c.invalid(v.span(), &reason)).ok()
    });
    let grace = fields.take("grace", |c, v| match v.get_ref().as_str() {
        Some("forever" | "infinity") => Some(Grace::Forever),
        Some("kill") => Some(Grace::Kill),
        _ => {
            let read = |text: &str| match units::duration(text) {
                Err(reason) if reason.starts_with("expected") => {
                    Err(format!("{reason}, or \"forever\" or \"kill\""))
                }
                other => other,
            };
            with_unit(c, v, read, "a duration such as \"10s\", \"forever\" or \"kill\"").map(Grace::After)
        }
    });
    fields.finish(None);
    Some(StopPart { signal: signal.map(|l| l.value), grace: grace.map(|l| l.value) })
}

/// `"inherit"`, `"none"`, or a table.
pub(super) fn log(context: &mut Context<'_>, value: &Value<'_>) -> Option<LogPart> {
    if value.get_ref().is_str() {
        let words = [("inherit", true), ("none", false)];
        let others = [
            ("discard", "none"),
            ("null", "none"),
            ("off", "none"),
            ("stdout", "inherit"),
            ("console", "inherit"),
        ];
        let inherit = word(context, value, &words, &others)?;
        return Some(if inherit { LogPart::Inherit } else { LogPart::Discard });
    }
    log_table(context, value, "\"inherit\", \"none\" or a table such as { max_size = \"10MiB\", files = 5 }")
}

/// `{ max_size = "10MiB", files = 5 }`
pub(super) fn log_table(context: &mut Context<'_>, value: &Value<'_>, expected: &str) -> Option<LogPart> {
    let table = table(context, value, expected)?;
    let owner = if context.owner == "the file" { "`[log]`".to_owned() } else { context.inner_owner() };
    let mut fields = context.fields(table, &owner);
    let max_size = fields.take("max_size", |c, v| {
        let bytes = with_unit(c, v, units::size, "a size such as \"10MiB\"")?;
        // Less than one page would rotate at every line.
        if bytes < 4096 {
            c.invalid(v.span(), "it must be at least 4096B");
            return None;
        }
        Some(bytes)
    });
    let files = fields.take("files", |c, v| integer(c, v, 1..=1000).and_then(|n| u32::try_from(n).ok()));
    fields.finish(None);
    Some(LogPart::Logger { max_size: max_size.map(|l| l.value), files: files.map(|l| l.value) })
}

fn in_range(context: &mut Context<'_>, value: &Value<'_>, from: f64, to: f64) -> Option<f64> {
    let found = number(context, value)?;
    if (from..=to).contains(&found) {
        return Some(found);
    }
    context.invalid(value.span(), &format!("expected {from} to {to}"));
    None
}
