//! `[group.NAME]`, and the keys of a group that stand at the top of the file.

use super::words::RESERVED_PREFIX;
use super::{BackoffPart, Fields, Located, RestartPart, Span, policy};
use crate::config::diagnostic::Diagnostic;
use crate::config::fields::{boolean, integer, nonempty, shorten, word};
use crate::config::words;
use crate::supervisor::spec::{AutoShutdown, OnLimit, Strategy};
use crate::time::Duration;
use toml::de::DeTable;

/// `[group.NAME]`
#[derive(Debug, Default)]
pub(in crate::config) struct GroupPart {
    pub(in crate::config) name: String,
    /// Where its name stands.
    pub(in crate::config) at: Span,
    pub(in crate::config) group: Option<Located<String>>,
    pub(in crate::config) strategy: Option<Strategy>,
    /// Where `strategy = "pool"` stands.
    pub(in crate::config) pool: Option<Span>,
    /// The key is there, right or wrong.
    pub(in crate::config) has_strategy: bool,
    pub(in crate::config) max_children: Option<Located<u32>>,
    pub(in crate::config) intensity: Option<Located<u32>>,
    pub(in crate::config) period: Option<Located<Duration>>,
    pub(in crate::config) on_limit: Option<Located<OnLimit>>,
    pub(in crate::config) semantics: Option<Semantics>,
    pub(in crate::config) auto_shutdown: Option<Located<AutoShutdown>>,
    /// The key is there, right or wrong.
    pub(in crate::config) has_auto_shutdown: bool,
    pub(in crate::config) significant: Option<Located<bool>>,
    pub(in crate::config) restart: Option<Located<RestartPart>>,
    pub(in crate::config) backoff: Option<Located<BackoffPart>>,
}

/// `semantics = …`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::config) enum Semantics {
    #[default]
    Mainstay,
    Otp,
    /// As `Otp`, with a window that counts whole seconds.
    OtpSeconds,
}

impl Semantics {
    pub(in crate::config) fn is_otp(self) -> bool {
        self != Semantics::Mainstay
    }
}

pub(super) fn read(problems: &mut Vec<Diagnostic>, name: &str, at: Span, table: &DeTable<'_>) -> GroupPart {
    check_name(problems, name, &at);
    let owner = format!("group `{}`", shorten(name));
    let mut fields = Fields::new(problems, table, &owner).unavailable(&["needs"]).refused(
        "a group",
        &[
            (
                "stop",
                "a group is down when its last member is, however long that takes; say it in the members",
            ),
            ("instances", "write several groups"),
        ],
    );
    let mut part = keys_of_every_group(&mut fields);
    part.group = fields.take("group", nonempty);
    part.restart = fields.take("restart", |c, v| policy::restart(c, v, true));
    part.backoff = fields.take("backoff", policy::backoff);
    part.significant = fields.take("significant", boolean);
    fields.finish(Some(&format!("group.\"{}", shorten(name))));
    GroupPart { name: name.to_owned(), at, ..part }
}

fn check_name(problems: &mut Vec<Diagnostic>, name: &str, at: &Span) {
    let reason = match words::check_name(name) {
        Err(_) if name.ends_with('@') => "only a service is a template; \
            a group whose members are made from one has strategy = \"pool\""
            .to_owned(),
        Err(reason) => reason,
        Ok(()) if name.starts_with(RESERVED_PREFIX) => {
            "names that begin with `mainstay` are the built-ins'".to_owned()
        }
        Ok(()) => return,
    };
    let message = format!("`{}` cannot name a group: {reason}", shorten(name));
    problems.push(Diagnostic::error(at.clone(), message));
}

#[derive(Clone, Copy)]
enum Word {
    Strategy(Strategy),
    Pool,
}

const STRATEGIES: [(&str, Word); 4] = [
    ("one_for_one", Word::Strategy(Strategy::OneForOne)),
    ("one_for_all", Word::Strategy(Strategy::OneForAll)),
    ("rest_for_one", Word::Strategy(Strategy::RestForOne)),
    ("pool", Word::Pool),
];

/// The keys that every group has, the root included.
pub(super) fn keys_of_every_group(fields: &mut Fields<'_, '_>) -> GroupPart {
    let limits = [("escalate", OnLimit::Escalate), ("park", OnLimit::Park)];
    let ends = [("never", AutoShutdown::Never), ("any", AutoShutdown::Any), ("all", AutoShutdown::All)];
    let ends_elsewhere =
        [("any_significant", "any"), ("all_significant", "all"), ("none", "never"), ("one", "any")];
    let semantics =
        [("otp", Semantics::Otp), ("otp-seconds", Semantics::OtpSeconds), ("mainstay", Semantics::Mainstay)];
    let strategy = fields.take("strategy", |c, v| {
        word(c, v, &STRATEGIES, &[("simple_one_for_one", "pool"), ("dynamic", "pool")])
    });
    let (strategy, pool) = match strategy {
        Some(Located { value: Word::Strategy(strategy), .. }) => (Some(strategy), None),
        Some(Located { value: Word::Pool, span }) => (None, Some(span)),
        None => (None, None),
    };
    GroupPart {
        strategy,
        pool,
        has_strategy: fields.span_of("strategy").is_some(),
        has_auto_shutdown: fields.span_of("auto_shutdown").is_some(),
        max_children: fields.take("max_children", number),
        intensity: fields.take("intensity", number),
        period: fields.take("period", policy::period),
        on_limit: fields.take("on_limit", |c, v| word(c, v, &limits, &[])),
        semantics: fields
            .take("semantics", |c, v| {
                word(c, v, &semantics, &[("erlang", "otp"), ("otp_seconds", "otp-seconds")])
            })
            .map(|l| l.value),
        auto_shutdown: fields.take("auto_shutdown", |c, v| word(c, v, &ends, &ends_elsewhere)),
        ..GroupPart::default()
    }
}

fn number(context: &mut super::Context<'_>, value: &super::Value<'_>) -> Option<u32> {
    integer(context, value, 0..=i64::from(u32::MAX)).and_then(|n| u32::try_from(n).ok())
}
