//! `[service.NAME]`, and what environments and commands look like.

use super::policy::{self, BackoffPart, LogPart, ReadyOf, ReadyPart, RestartPart, StopPart};
use super::{Fields, RESERVED_PREFIX, Span};
use crate::config::declared::INSTANCES_MAX;
use crate::config::diagnostic::Diagnostic;
use crate::config::fields::{
    Context, Located, Value, array, boolean, in_order, integer, nonempty, shorten, table, text,
};
use crate::config::health::{self, HealthPart};
use crate::config::{env_file, template, units, words};
use crate::time::Duration;
use toml::de::{DeTable, DeValue};

/// `[service.NAME]`
#[derive(Debug, Default)]
pub(in crate::config) struct ServicePart {
    pub(in crate::config) name: String,
    /// Where its name stands.
    pub(in crate::config) at: Span,
    /// Its name ends in `@`: it is started only with an argument.
    pub(in crate::config) template: bool,
    pub(in crate::config) group: Option<Located<String>>,
    pub(in crate::config) command: Option<Located<Vec<String>>>,
    /// The key is there, right or wrong.
    pub(in crate::config) has_command: bool,
    pub(in crate::config) instances: Option<u32>,
    pub(in crate::config) restart: Option<RestartPart>,
    pub(in crate::config) backoff: Option<Located<BackoffPart>>,
    pub(in crate::config) ready: Option<ReadyPart>,
    pub(in crate::config) health: Option<HealthPart>,
    pub(in crate::config) watchdog: Option<Duration>,
    pub(in crate::config) stop: Option<StopPart>,
    pub(in crate::config) needs: Vec<Located<String>>,
    pub(in crate::config) env: Vec<(String, String)>,
    pub(in crate::config) env_files: Vec<Located<String>>,
    pub(in crate::config) inherit_env: Option<bool>,
    pub(in crate::config) directory: Option<Located<String>>,
    pub(in crate::config) user: Option<Located<String>>,
    pub(in crate::config) umask: Option<u32>,
    pub(in crate::config) log: Option<LogPart>,
    pub(in crate::config) blackbox: Option<bool>,
    pub(in crate::config) autostart: Option<bool>,
    pub(in crate::config) significant: Option<Located<bool>>,
    pub(in crate::config) ignore: Option<Located<u8>>,
    /// The path of `condition = { exists = … }`.
    pub(in crate::config) exists: Option<String>,
}

pub(super) fn read(problems: &mut Vec<Diagnostic>, name: &str, at: Span, table: &DeTable<'_>) -> ServicePart {
    let template = check_name(problems, name, &at);
    let owner = format!("service `{}`", shorten(name));
    let mut fields = Fields::new(problems, table, &owner).unavailable(&[
        "listen",
        "sockets",
        "schedule",
        "cron",
        "main",
        "required",
        "limits",
        "cgroup",
        "nice",
        "capabilities",
        "scale",
    ]);
    let of = if template { ReadyOf::Template } else { ReadyOf::Service };
    let part = ServicePart {
        name: name.to_owned(),
        at,
        template,
        has_command: fields.span_of("command").is_some(),
        command: fields.take("command", |c, v| command(c, v, template)),
        group: fields.take("group", nonempty),
        instances: fields
            .take("instances", |c, v| {
                integer(c, v, 1..=i64::from(INSTANCES_MAX)).and_then(|n| u32::try_from(n).ok())
            })
            .map(|l| l.value),
        restart: fields.take("restart", |c, v| policy::restart(c, v, false)).map(|l| l.value),
        backoff: fields.take("backoff", policy::backoff),
        ready: fields.take("ready", |c, v| policy::ready(c, v, of)).map(|l| l.value),
        health: fields.take("health", |c, v| health::read(c, v, template)).map(|l| l.value),
        watchdog: fields.take("watchdog", health::often).map(|l| l.value),
        stop: fields.take("stop", policy::stop).map(|l| l.value),
        needs: fields
            .take("needs", |c, v| array(c, v, "an array such as [\"db\"]", nonempty))
            .map(|l| l.value)
            .unwrap_or_default(),
        env: fields.take("env", |c, v| env(c, v, template)).map(|l| l.value).unwrap_or_default(),
        env_files: fields.take("env_file", env_files).map(|l| l.value).unwrap_or_default(),
        inherit_env: fields.take("inherit_env", boolean).map(|l| l.value),
        directory: fields.take("directory", |c, v| path(c, v, template)),
        user: fields.take("user", |c, v| user(c, v, template)),
        umask: fields.take("umask", umask).map(|l| l.value),
        log: fields.take("log", policy::log).map(|l| l.value),
        blackbox: fields.take("blackbox", boolean).map(|l| l.value),
        autostart: fields.take("autostart", boolean).map(|l| l.value),
        significant: fields.take("significant", boolean),
        ignore: fields.take("ignore", |c, v| integer(c, v, 0..=255).and_then(|code| u8::try_from(code).ok())),
        exists: fields.take("condition", |c, v| condition(c, v, template)).map(|l| l.value),
    };
    if template {
        for (key, why) in [
            ("instances", "its instances are made while the tree runs"),
            ("autostart", "it is never started by itself"),
        ] {
            if let Some(at) = fields.span_of(key) {
                let message = format!("`{key}` means nothing in a template: {why}");
                fields
                    .problems
                    .push(Diagnostic::error(at, message).label(format!("in {owner}")).help("remove it"));
            }
        }
    }
    fields.finish(Some(&format!("service.\"{}", shorten(name))));
    part
}

/// Whether it is the name of a template; a wrong name ends up as what it looks like.
fn check_name(problems: &mut Vec<Diagnostic>, name: &str, at: &Span) -> bool {
    let reason = match words::check_service_name(name) {
        Err(reason) => reason,
        Ok(_) if name.starts_with(RESERVED_PREFIX) => {
            "names that begin with `mainstay` are the built-ins'".to_owned()
        }
        Ok(template) => return template,
    };
    let message = format!("`{}` cannot name a service: {reason}", shorten(name));
    problems.push(Diagnostic::error(at.clone(), message));
    name.ends_with('@')
}

/// An array, or one string split as a shell would, without a shell.
pub(in crate::config) fn command(
    context: &mut Context<'_>,
    value: &Value<'_>,
    template: bool,
) -> Option<Vec<String>> {
    let argv = if value.get_ref().is_str() {
        let line = expandable(context, value, template)?;
        if let Some(found) = words::shell_syntax(&line) {
            let problem = Diagnostic::warning(
                value.span(),
                format!("`{found}` reaches the program as it stands: no shell runs this command"),
            );
            let help = format!("if a shell is meant: command = [\"sh\", \"-c\", {line:?}]");
            context.problems.push(problem.label(format!("in {}", context.owner)).help(help));
        }
        words::split_command(&line).map_err(|reason| context.invalid(value.span(), &reason)).ok()?
    } else {
        let expected = "an array such as [\"./web\", \"--port\", \"8080\"] or one string";
        let parts = array(context, value, expected, |c, v| expandable(c, v, template))?;
        parts.into_iter().map(|part| part.value).collect()
    };
    match argv.first() {
        None => context.invalid(value.span(), "it is empty: it names no program"),
        Some(program) if program.is_empty() => context.invalid(value.span(), "the program's name is empty"),
        Some(_) => return Some(argv),
    }
    None
}

/// A table of strings, numbers and booleans; later they are all text, as the environment is.
///
/// In a `template` values may hold its argument.
pub(super) fn env(
    context: &mut Context<'_>,
    value: &Value<'_>,
    template: bool,
) -> Option<Vec<(String, String)>> {
    let table = table(context, value, "a table such as { PORT = 8080 }")?;
    let mut found = Vec::new();
    for (key, value) in in_order(table) {
        let name = key.get_ref();
        if let Err(reason) = env_file::check_key(name) {
            context.invalid(key.span(), &reason);
            continue;
        }
        if name.contains('\0') || name.starts_with("MAINSTAY_") {
            context.invalid(
                key.span(),
                &format!("`{}` is set by mainstay itself", shorten(&name.escape_default().to_string())),
            );
            continue;
        }
        let text = match value.get_ref() {
            DeValue::Boolean(truth) => truth.to_string(),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => number.to_string(),
                Err(_) => number.as_str().to_owned(),
            },
            DeValue::String(text) if text.contains('\0') => {
                context.invalid(value.span(), "the value holds a NUL byte, which no process can receive");
                continue;
            }
            DeValue::String(text) => match template::check(text, template) {
                Ok(()) => text.clone().into_owned(),
                Err(reason) => {
                    let mut inner = Context { problems: context.problems, key: name, owner: context.owner };
                    inner.invalid(value.span(), &reason);
                    continue;
                }
            },
            _ => {
                let mut inner = Context { problems: context.problems, key: name, owner: context.owner };
                inner.expected(value, "a string, a whole number, true or false");
                continue;
            }
        };
        found.push((name.clone().into_owned(), text));
    }
    Some(found)
}

/// A path or an array of them.
///
/// They are read with the file, when no argument of a template is known.
fn env_files(context: &mut Context<'_>, value: &Value<'_>) -> Option<Vec<Located<String>>> {
    let path = |c: &mut Context<'_>, v: &Value<'_>| {
        let path = nonempty(c, v)?;
        if path.contains("%i") {
            c.invalid(v.span(), "it is read before any argument is known, so `%i` means nothing in it");
            return None;
        }
        Some(path)
    };
    if value.get_ref().is_str() {
        return Some(vec![Located { value: path(context, value)?, span: value.span() }]);
    }
    array(context, value, "a path or an array of paths", path)
}

/// A string in which a template may hold its argument, and nothing else may.
fn expandable(context: &mut Context<'_>, value: &Value<'_>, template: bool) -> Option<String> {
    let found = text(context, value)?;
    template::check(&found, template).map_err(|reason| context.invalid(value.span(), &reason)).ok()?;
    Some(found)
}

/// `{ exists = "PATH" }`
fn condition(context: &mut Context<'_>, value: &Value<'_>, template: bool) -> Option<String> {
    let table = table(context, value, "a table such as { exists = \"/etc/shop.key\" }")?;
    let owner = context.inner_owner();
    let mut fields = context.fields(table, &owner);
    let before = fields.problems.len();
    let exists = fields.take("exists", |c, v| path(c, v, template));
    fields.finish(None);
    if exists.is_none() && context.problems.len() == before {
        context.invalid(value.span(), "it does not say what: `exists`");
    }
    exists.map(|l| l.value)
}

/// A path that is relative to the folder of the file.
fn path(context: &mut Context<'_>, value: &Value<'_>, template: bool) -> Option<String> {
    nonempty(context, value)?;
    let path = expandable(context, value, template)?;
    if path == "~" || path.starts_with("~/") {
        context.invalid(value.span(), "`~` stands for itself here; write the whole path");
        return None;
    }
    Some(path)
}

/// `name`, `name:group`, or numbers; whether they exist is looked up when the service is started.
fn user(context: &mut Context<'_>, value: &Value<'_>, template: bool) -> Option<String> {
    if value.get_ref().as_integer().is_some() {
        return integer(context, value, 0..=i64::from(u32::MAX - 1)).map(|uid| uid.to_string());
    }
    nonempty(context, value)?;
    let user = expandable(context, value, template)?;
    let (name, group) =
        user.split_once(':').map_or((user.as_str(), None), |(name, group)| (name, Some(group)));
    if name.is_empty() || group.is_some_and(|g| g.is_empty() || g.contains(':')) {
        context.invalid(value.span(), "expected \"name\", \"name:group\" or numbers");
        return None;
    }
    Some(user)
}

fn umask(context: &mut Context<'_>, value: &Value<'_>) -> Option<u32> {
    match value.get_ref() {
        DeValue::String(text) => {
            units::umask(text).map_err(|reason| context.invalid(value.span(), &reason)).ok()
        }
        // 0o022 says that it is octal; 22 would be read as decimal by some and as octal by others.
        DeValue::Integer(number) if number.radix() == 8 => {
            units::umask(number.as_str()).map_err(|reason| context.invalid(value.span(), &reason)).ok()
        }
        _ => {
            context.expected(value, "an octal mask in quotes, such as \"022\"");
            None
        }
    }
}
