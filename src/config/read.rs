//! The document as it was written: every table and key, checked one by one, nothing filled in.
//!
//! What one key says is judged here; what keys say together (needs, groups, defaults) in `resolve`.

mod group;
mod service;

pub(super) use group::{GroupPart, Semantics};
pub(super) use service::ServicePart;

use super::diagnostic::Diagnostic;
use super::fields::{Context, Fields, Located, Span, Value, boolean, in_order, shorten, table, text};
use super::flag;
use super::policy::{self, BackoffPart, LogPart, ReadyOf, RestartPart, StopPart};
use super::words::{self, RESERVED_PREFIX};
use crate::flags::Declaration;
use crate::time::Duration;
use toml::de::DeTable;

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
    document.root = group::keys_of_every_group(&mut fields);
    let defaults = fields.take("defaults", defaults);
    document.defaults = defaults.map(|l| l.value).unwrap_or_default();
    document.log = fields
        .take("log", |c, v| policy::log_table(c, v, "a table such as { max_size = \"10MiB\", files = 5 }"))
        .map(|l| l.value);
    document.groups = named(&mut fields, "group", group::read);
    document.services = named(&mut fields, "service", service::read);
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
        ready_within: fields
            .take("ready", |c, v| policy::ready(c, v, ReadyOf::Defaults))
            .and_then(|l| l.value.within),
        env: fields.take("env", |c, v| service::env(c, v, false)).map(|l| l.value).unwrap_or_default(),
        inherit_env: fields.take("inherit_env", boolean).map(|l| l.value),
    };
    fields.finish(None);
    Some(found)
}
