//! The document as it was written: every table and key, checked one by one, nothing filled in.
//!
//! What one key says is judged here; what keys say together (needs, groups, defaults) in `resolve`.

use super::diagnostic::Diagnostic;
use super::fields::{
    Context, Fields, Located, Span, Value, array, boolean, in_order, integer, nonempty, shorten, table, text,
    word,
};
use super::policy::{self, BackoffPart, LogPart, ReadyPart, RestartPart, StopPart};
use super::words::{self, RESERVED_PREFIX};
use super::{env_file, flag, units};
use crate::flags::Declaration;
use crate::supervisor::spec::{OnLimit, Strategy};
use crate::time::Duration;
use toml::de::{DeTable, DeValue};

/// Copies of one service.
const INSTANCES_MAX: i64 = 10_000;

/// A whole file.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) name: Option<Located<String>>,
    /// The keys of a group that stand at the top: those of the root.
    pub(super) root: GroupPart,
    pub(super) defaults: Defaults,
    pub(super) log: Option<LogPart>,
    pub(super) groups: Vec<GroupPart>,
    pub(super) services: Vec<ServicePart>,
    pub(super) flags: Vec<Declaration>,
}

/// `[defaults]`
#[derive(Debug, Default)]
pub(super) struct Defaults {
    pub(super) restart: RestartPart,
    pub(super) backoff: Option<BackoffPart>,
    pub(super) stop: StopPart,
    pub(super) log: Option<LogPart>,
    pub(super) ready_within: Option<Duration>,
    pub(super) env: Vec<(String, String)>,
    pub(super) inherit_env: Option<bool>,
}

/// `[group.NAME]`
#[derive(Debug, Default)]
pub(super) struct GroupPart {
    pub(super) name: String,
    /// Where its name stands.
    pub(super) at: Span,
    pub(super) group: Option<Located<String>>,
    pub(super) strategy: Option<Strategy>,
    pub(super) intensity: Option<Located<u32>>,
    pub(super) period: Option<Located<Duration>>,
    pub(super) on_limit: Option<OnLimit>,
    pub(super) otp: Option<bool>,
    pub(super) restart: Option<Located<RestartPart>>,
    pub(super) backoff: Option<Located<BackoffPart>>,
}

/// `[service.NAME]`
#[derive(Debug, Default)]
pub(super) struct ServicePart {
    pub(super) name: String,
    /// Where its name stands.
    pub(super) at: Span,
    pub(super) group: Option<Located<String>>,
    pub(super) command: Option<Located<Vec<String>>>,
    /// The key is there, right or wrong.
    pub(super) has_command: bool,
    pub(super) instances: Option<u32>,
    pub(super) restart: Option<RestartPart>,
    pub(super) backoff: Option<Located<BackoffPart>>,
    pub(super) ready: Option<ReadyPart>,
    pub(super) stop: Option<StopPart>,
    pub(super) needs: Vec<Located<String>>,
    pub(super) env: Vec<(String, String)>,
    pub(super) env_files: Vec<Located<String>>,
    pub(super) inherit_env: Option<bool>,
    pub(super) directory: Option<Located<String>>,
    pub(super) user: Option<Located<String>>,
    pub(super) umask: Option<u32>,
    pub(super) log: Option<LogPart>,
    pub(super) autostart: Option<bool>,
}

/// Reads the whole document; what is wrong goes to `problems`.
pub(super) fn document(problems: &mut Vec<Diagnostic>, root: &DeTable<'_>) -> Document {
    let mut fields = Fields::new(problems, root, "the file").unavailable(&[
        "migration",
        "gateway",
        "include",
        "on_supervisor_death",
        "registry",
        "telemetry",
    ]);
    let mut document = Document { name: fields.take("name", project_name), ..Document::default() };
    document.root = group_keys(&mut fields);
    let defaults = fields.take("defaults", defaults);
    document.defaults = defaults.map(|l| l.value).unwrap_or_default();
    document.log = fields
        .take("log", |c, v| policy::log_table(c, v, "a table such as { max_size = \"10MiB\", files = 5 }"))
        .map(|l| l.value);
    document.groups = named(&mut fields, "group", group);
    document.services = named(&mut fields, "service", service);
    document.flags = named(&mut fields, "flag", flag::read);
    fields.finish(None);
    document
}

/// Every table under `[kind.NAME]`, in the order of the file.
fn named<T>(
    fields: &mut Fields<'_, '_>,
    kind: &'static str,
    read: impl Fn(&mut Vec<Diagnostic>, &str, Span, &DeTable<'_>) -> T,
) -> Vec<T> {
    let all = fields.take(kind, |context, value| {
        let all = table(context, value, &format!("tables such as [{kind}.NAME]"))?;
        let mut found = Vec::new();
        for (key, value) in in_order(all) {
            let Some(table) = value.get_ref().as_table() else {
                let message = format!(
                    "`{kind}.{}` is not a table, expected [{kind}.{}]",
                    shorten(key.get_ref()),
                    shorten(key.get_ref())
                );
                context.problems.push(Diagnostic::error(value.span(), message));
                continue;
            };
            found.push(read(context.problems, key.get_ref(), key.span(), table));
        }
        Some(found)
    });
    all.map(|l| l.value).unwrap_or_default()
}

fn project_name(context: &mut Context<'_>, value: &Value<'_>) -> Option<String> {
    let name = text(context, value)?;
    if let Err(reason) = words::check_name(&name) {
        context.invalid(value.span(), &reason);
        return None;
    }
    if name == RESERVED_PREFIX {
        context.invalid(value.span(), "`mainstay` is the group of the built-in services");
        return None;
    }
    Some(name)
}

fn defaults(context: &mut Context<'_>, value: &Value<'_>) -> Option<Defaults> {
    let table = table(context, value, "a table")?;
    let mut fields = context.fields(table, "`[defaults]`");
    let found = Defaults {
        restart: fields
            .take("restart", |c, v| policy::restart(c, v, false))
            .map(|l| l.value)
            .unwrap_or_default(),
        backoff: fields.take("backoff", policy::backoff).map(|l| l.value),
        stop: fields.take("stop", policy::stop).map(|l| l.value).unwrap_or_default(),
        log: fields.take("log", policy::log).map(|l| l.value),
        ready_within: fields.take("ready", |c, v| policy::ready(c, v, true)).and_then(|l| l.value.within),
        env: fields.take("env", env).map(|l| l.value).unwrap_or_default(),
        inherit_env: fields.take("inherit_env", boolean).map(|l| l.value),
    };
    fields.finish(None);
    Some(found)
}

fn group(problems: &mut Vec<Diagnostic>, name: &str, at: Span, table: &DeTable<'_>) -> GroupPart {
    check_name(problems, "group", name, &at);
    let owner = format!("group `{}`", shorten(name));
    let mut fields =
        Fields::new(problems, table, &owner).unavailable(&["auto_shutdown", "significant", "needs"]);
    let mut part = group_keys(&mut fields);
    part.group = fields.take("group", nonempty);
    part.restart = fields.take("restart", |c, v| policy::restart(c, v, true));
    part.backoff = fields.take("backoff", policy::backoff);
    fields.finish(Some(&format!("group.\"{}", shorten(name))));
    GroupPart { name: name.to_owned(), at, ..part }
}

/// The keys that every group has, the root included.
fn group_keys(fields: &mut Fields<'_, '_>) -> GroupPart {
    let strategies = [
        ("one_for_one", Strategy::OneForOne),
        ("one_for_all", Strategy::OneForAll),
        ("rest_for_one", Strategy::RestForOne),
    ];
    let limits = [("escalate", OnLimit::Escalate), ("park", OnLimit::Park)];
    GroupPart {
        strategy: fields
            .take("strategy", |c, v| word(c, v, &strategies, &[("simple_one_for_one", "one_for_one")]))
            .map(|l| l.value),
        intensity: fields.take("intensity", |c, v| {
            integer(c, v, 0..=i64::from(u32::MAX)).and_then(|n| u32::try_from(n).ok())
        }),
        period: fields.take("period", policy::period),
        on_limit: fields.take("on_limit", |c, v| word(c, v, &limits, &[])).map(|l| l.value),
        otp: fields
            .take("semantics", |c, v| word(c, v, &[("otp", true), ("mainstay", false)], &[("erlang", "otp")]))
            .map(|l| l.value),
        ..GroupPart::default()
    }
}

fn service(problems: &mut Vec<Diagnostic>, name: &str, at: Span, table: &DeTable<'_>) -> ServicePart {
    check_name(problems, "service", name, &at);
    let owner = format!("service `{}`", shorten(name));
    let mut fields = Fields::new(problems, table, &owner).unavailable(&[
        "health",
        "watchdog",
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
    let part = ServicePart {
        name: name.to_owned(),
        at,
        has_command: fields.span_of("command").is_some(),
        command: fields.take("command", command),
        group: fields.take("group", nonempty),
        instances: fields
            .take("instances", |c, v| integer(c, v, 1..=INSTANCES_MAX).and_then(|n| u32::try_from(n).ok()))
            .map(|l| l.value),
        restart: fields.take("restart", |c, v| policy::restart(c, v, false)).map(|l| l.value),
        backoff: fields.take("backoff", policy::backoff),
        ready: fields.take("ready", |c, v| policy::ready(c, v, false)).map(|l| l.value),
        stop: fields.take("stop", policy::stop).map(|l| l.value),
        needs: fields
            .take("needs", |c, v| array(c, v, "an array such as [\"db\"]", nonempty))
            .map(|l| l.value)
            .unwrap_or_default(),
        env: fields.take("env", env).map(|l| l.value).unwrap_or_default(),
        env_files: fields.take("env_file", env_files).map(|l| l.value).unwrap_or_default(),
        inherit_env: fields.take("inherit_env", boolean).map(|l| l.value),
        directory: fields.take("directory", directory),
        user: fields.take("user", user),
        umask: fields.take("umask", umask).map(|l| l.value),
        log: fields.take("log", policy::log).map(|l| l.value),
        autostart: fields.take("autostart", boolean).map(|l| l.value),
    };
    fields.finish(Some(&format!("service.\"{}", shorten(name))));
    part
}

fn check_name(problems: &mut Vec<Diagnostic>, kind: &str, name: &str, at: &Span) {
    let reason = match words::check_name(name) {
        Err(reason) => reason,
        Ok(()) if name.starts_with(RESERVED_PREFIX) => {
            "names that begin with `mainstay` are the built-ins'".to_owned()
        }
        Ok(()) => return,
    };
    let message = format!("`{}` cannot name a {kind}: {reason}", shorten(name));
    problems.push(Diagnostic::error(at.clone(), message));
}

/// An array, or one string split as a shell would, without a shell.
fn command(context: &mut Context<'_>, value: &Value<'_>) -> Option<Vec<String>> {
    let argv = if value.get_ref().is_str() {
        let line = text(context, value)?;
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
        let parts =
            array(context, value, "an array such as [\"./web\", \"--port\", \"8080\"] or one string", text)?;
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
fn env(context: &mut Context<'_>, value: &Value<'_>) -> Option<Vec<(String, String)>> {
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
            DeValue::String(text) => text.clone().into_owned(),
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
fn env_files(context: &mut Context<'_>, value: &Value<'_>) -> Option<Vec<Located<String>>> {
    if value.get_ref().is_str() {
        return Some(vec![Located { value: nonempty(context, value)?, span: value.span() }]);
    }
    array(context, value, "a path or an array of paths", nonempty)
}

fn directory(context: &mut Context<'_>, value: &Value<'_>) -> Option<String> {
    let path = nonempty(context, value)?;
    if path == "~" || path.starts_with("~/") {
        context.invalid(value.span(), "`~` stands for itself here; write the whole path");
        return None;
    }
    Some(path)
}

/// `name`, `name:group`, or numbers; whether they exist is looked up when the service is started.
fn user(context: &mut Context<'_>, value: &Value<'_>) -> Option<String> {
    if value.get_ref().as_integer().is_some() {
        return integer(context, value, 0..=i64::from(u32::MAX - 1)).map(|uid| uid.to_string());
    }
    let user = nonempty(context, value)?;
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
