//! `guard = …` of flags and migrations, and `[guard]` of the host.

use super::diagnostic::Diagnostic;
use super::fields::{Context, Fields, Located, Span, Value, boolean, describe, integer, table, word};
use super::flag::{names, share};
use super::policy::period;
use super::read::command;
use super::units::write_duration;
use crate::flags::guard::{Errors, Guarding, Mode, Probe};
use crate::time::Duration;
use toml::de::DeValue;

const CRASHES_MAX: i64 = 1_000_000;
/// As many failed checks in a row as a service can be asked to take.
const HEALTH_MAX: i64 = 1000;
const PROBE_EVERY: Duration = Duration::from_secs(30);
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
const SAMPLES: u32 = 200;

/// `guard = …`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct GuardPart {
    /// Without its services and the directory of its command, which `resolve` fills in.
    pub(super) guarding: Guarding,
    pub(super) services: Vec<Located<String>>,
    /// Where it stands: relative paths begin at the folder of that file.
    pub(super) at: Span,
}

const MODES: [(&str, Mode); 3] = [("on", Mode::On), ("observe", Mode::Observe), ("off", Mode::Off)];
const MODES_ELSEWHERE: [(&str, &str); 4] =
    [("true", "on"), ("false", "off"), ("dry-run", "observe"), ("watch", "observe")];

/// `true`, `"observe"`, `false` or a table. `Some(None)`: it is not watched.
///
/// Two `Option`s, since the outer one says that it cannot be read.
#[expect(clippy::option_option, reason = "wrong and absent are two things")]
pub(super) fn read(context: &mut Context<'_>, value: &Value<'_>) -> Option<Option<GuardPart>> {
    let with = |mode| GuardPart {
        guarding: Guarding { mode, ..Guarding::default() },
        services: Vec::new(),
        at: value.span(),
    };
    match value.get_ref() {
        DeValue::Boolean(on) => return Some(on.then(|| with(Mode::On))),
        DeValue::String(_) => {
            let mode = word(context, value, &MODES, &MODES_ELSEWHERE)?;
            return Some((mode != Mode::Off).then(|| with(mode)));
        }
        _ => {}
    }
    let expected =
        "true, false, \"observe\" or a table such as { services = [\"web\"], crashes = 3, within = \"60s\" }";
    let table = table(context, value, expected)?;
    let owner = context.inner_owner();
    let mut fields = context.fields(table, &owner);
    let before = fields.problems.len();
    let mode = fields.take("mode", mode);
    let services = fields.take("services", services);
    let crashes = fields.take("crashes", |c, v| integer(c, v, 1..=CRASHES_MAX));
    let within = fields.take("within", period);
    let bake = fields.take("bake", period);
    let ready = fields.take("ready", boolean);
    let health = fields.take("health", |c, v| match v.get_ref() {
        DeValue::Boolean(false) => Some(0),
        DeValue::Boolean(true) => Some(i64::from(Guarding::default().health)),
        _ => integer(c, v, 0..=HEALTH_MAX),
    });
    let errors = fields.take("errors", errors);
    let probe = probe(&mut fields, &owner);
    let usual = Guarding::default();
    // One that cannot be read is no reason to find fault with the other.
    let unread = within.is_none() && fields.span_of("within").is_some();
    let within = within.map_or(usual.within, |l| l.value);
    let bake = match unread {
        true => None,
        false => bake_of(&mut fields, &owner, bake.as_ref(), within),
    };
    fields.finish(None);
    let number =
        |n: Option<Located<i64>>, usual| n.and_then(|l| u32::try_from(l.value).ok()).unwrap_or(usual);
    (context.problems[before..].iter().all(|p| p.severity == super::Severity::Warning)).then_some(())?;
    Some(Some(GuardPart {
        guarding: Guarding {
            mode: mode.map(|l| l.value).unwrap_or_default(),
            services: Vec::new(),
            crashes: number(crashes, usual.crashes),
            within,
            bake: bake.unwrap_or(usual.bake.max(within.saturating_mul(2))),
            ready: ready.map_or(usual.ready, |l| l.value),
            health: number(health, usual.health),
            errors: errors.map(|l| l.value),
            probe,
        },
        services: services.map(|l| l.value).unwrap_or_default(),
        at: value.span(),
    }))
}

/// How long something is watched, when it says so: at least twice the window in which crashes are counted.
pub(super) fn bake_of(
    fields: &mut Fields<'_, '_>,
    owner: &str,
    bake: Option<&Located<Duration>>,
    within: Duration,
) -> Option<Duration> {
    let bake = bake?;
    if bake.value < within.saturating_mul(2) {
        let (said, least) = (write_duration(bake.value), write_duration(within.saturating_mul(2)));
        let message = format!(
            "`bake` is {said}, less than twice the {} within which crashes are counted",
            write_duration(within)
        );
        let problem = Diagnostic::error(bake.span.clone(), message).label(format!("in {owner}"));
        fields
            .problems
            .push(problem.help(format!("write at least bake = \"{least}\", or a shorter `within`")));
    }
    Some(bake.value)
}

/// Names of services, looked up by `resolve`.
pub(super) fn services(context: &mut Context<'_>, value: &Value<'_>) -> Option<Vec<Located<String>>> {
    names(context, value, "an array of services such as [\"web\"]")
}

/// `"on"`, `"observe"`, `"off"`.
fn mode(context: &mut Context<'_>, value: &Value<'_>) -> Option<Mode> {
    word(context, value, &MODES, &MODES_ELSEWHERE)
}

/// `{ delta = 1.5, samples = 200 }`
fn errors(context: &mut Context<'_>, value: &Value<'_>) -> Option<Errors> {
    let table = table(context, value, "a table such as { delta = 1.5, samples = 200 }")?;
    let owner = context.inner_owner();
    let mut fields = context.fields(table, &owner);
    let before = fields.problems.len();
    let delta = fields.take("delta", |c, v| {
        let delta = share(c, v)?;
        if delta == 0 {
            c.invalid(v.span(), "with 0 the first error more than before would be too many");
            return None;
        }
        Some(delta)
    });
    let samples = fields.take("samples", |c, v| integer(c, v, 1..=i64::from(u32::MAX)));
    fields.finish(None);
    let Some(delta) = delta else {
        if context.problems.len() == before {
            let reason =
                "it does not say by how much: delta = 1.5 is one and a half percent points above what it was";
            context.invalid(value.span(), reason);
        }
        return None;
    };
    let samples = samples.and_then(|l| u32::try_from(l.value).ok()).unwrap_or(SAMPLES);
    Some(Errors { delta: delta.value, samples })
}

/// `command`, `every` and `timeout` of a guard.
fn probe(fields: &mut Fields<'_, '_>, owner: &str) -> Option<Probe> {
    let argv = fields.take("command", |c, v| command(c, v, false));
    let every = fields.take("every", super::health::often);
    let timeout = fields.take("timeout", period);
    let label = format!("in {owner}");
    if fields.span_of("command").is_none() {
        for (key, at) in [("every", &every), ("timeout", &timeout)] {
            if let Some(at) = at {
                let message = format!("`{key}` without `command` says nothing");
                let problem = Diagnostic::error(at.span.clone(), message).label(&label);
                fields.problems.push(problem.help("add the command that judges, or remove it"));
            }
        }
        return None;
    }
    let all = every.map_or(PROBE_EVERY, |l| l.value);
    if let Some(timeout) = timeout.as_ref().filter(|timeout| timeout.value > all) {
        let message = format!(
            "`timeout` is {}, longer than `every` ({}): the command runs once at a time",
            write_duration(timeout.value),
            write_duration(all)
        );
        fields.problems.push(Diagnostic::error(timeout.span.clone(), message).label(&label));
    }
    Some(Probe {
        argv: argv?.value,
        directory: String::new(),
        every: all,
        timeout: timeout.map_or(PROBE_TIMEOUT.min(all), |l| l.value),
    })
}

/// `[guard]`
pub(super) fn host(context: &mut Context<'_>, value: &Value<'_>) -> Option<Mode> {
    let Some(table) = value.get_ref().as_table() else {
        let found = describe(value.get_ref());
        let problem = Diagnostic::error(value.span(), format!("`guard` is {found}, expected a table"));
        context.problems.push(problem.help("write [guard] and in it mode = \"on\", \"observe\" or \"off\""));
        return None;
    };
    let mut fields = context.fields(table, "`[guard]`");
    let found = fields.take("mode", mode);
    fields.finish(None);
    found.map(|l| l.value)
}
