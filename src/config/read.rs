//! The document as it was written, in one file or in several: every table and key, checked one by one, nothing filled in.
//!
//! What one key says is judged here; what keys say together (needs, groups, defaults) in `resolve`.

mod group;
mod service;

pub(super) use group::{GroupPart, Semantics};
pub(super) use service::{ServicePart, command};

use super::diagnostic::{Diagnostic, Diagnostics};
use super::fields::{Context, Fields, Located, Span, Value, boolean, in_order, shorten, table, text, word};
use super::flag::{self, FlagPart};
use super::guard;
use super::migration::{self, MigrationPart};
use super::policy::{self, BackoffPart, LogPart, ReadyOf, RestartPart, StopPart};
use super::telemetry;
use super::words::{self, RESERVED_PREFIX};
use crate::flags::guard::Mode;
use crate::telemetry::Settings;
use crate::time::Duration;
use std::collections::HashMap;
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
    pub(super) flags: Vec<FlagPart>,
    pub(super) migrations: Vec<MigrationPart>,
    /// The guard's switch for the whole host.
    pub(super) guard: Option<Mode>,
    pub(super) telemetry: Option<Settings>,
    /// `on_supervisor_death = "die"`
    pub(super) fate_shared: Option<bool>,
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

/// Whether services die with their supervisor.
const FATES: [(&str, bool); 2] = [("stay", false), ("die", true)];
const FATES_ELSEWHERE: [(&str, &str); 2] = [("kill", "die"), ("adopt", "stay")];

/// What only the main file says: a key that decides for all must stand in one place.
const ONLY_IN_MAIN: &str =
    "write it in mainstay.toml; a file in conf.d has services, groups, flags and migrations";
const NOT_IN_PARTS: &[(&str, &str)] = &[
    ("name", ONLY_IN_MAIN),
    ("strategy", ONLY_IN_MAIN),
    ("max_children", ONLY_IN_MAIN),
    ("intensity", ONLY_IN_MAIN),
    ("period", ONLY_IN_MAIN),
    ("on_limit", ONLY_IN_MAIN),
    ("semantics", ONLY_IN_MAIN),
    ("auto_shutdown", ONLY_IN_MAIN),
    ("defaults", ONLY_IN_MAIN),
    ("log", ONLY_IN_MAIN),
    ("guard", ONLY_IN_MAIN),
    ("telemetry", ONLY_IN_MAIN),
    ("on_supervisor_death", ONLY_IN_MAIN),
];

/// Reads one file into the document; what is wrong goes to `problems`.
pub(super) fn document(
    problems: &mut Vec<Diagnostic>,
    document: &mut Document,
    root: &DeTable<'_>,
    is_part: bool,
) {
    let mut fields = Fields::new(problems, root, "the file").unavailable(&["gateway", "include", "registry"]);
    if is_part {
        fields = fields.refused("a file in conf.d", NOT_IN_PARTS);
    } else {
        document.name = fields.take("name", project_name);
        document.root = group::keys_of_every_group(&mut fields);
        let defaults = fields.take("defaults", defaults);
        document.defaults = defaults.map(|l| l.value).unwrap_or_default();
        let example = "a table such as { max_size = \"10MiB\", files = 5 }";
        document.log = fields.take("log", |c, v| policy::log_table(c, v, example)).map(|l| l.value);
        document.guard = fields.take("guard", guard::host).map(|l| l.value);
        document.telemetry = fields.take("telemetry", telemetry::read).map(|l| l.value);
        document.fate_shared =
            fields.take("on_supervisor_death", |c, v| word(c, v, &FATES, &FATES_ELSEWHERE)).map(|l| l.value);
    }
    document.groups.extend(named(&mut fields, "group", group::read));
    document.services.extend(named(&mut fields, "service", service::read));
    document.flags.extend(named(&mut fields, "flag", flag::read));
    document.migrations.extend(named(&mut fields, "migration", migration::read));
    fields.finish(None);
}

impl Document {
    /// Takes out what a later file declares again, and says so. Within one file TOML itself refuses it (A17).
    pub(super) fn refuse_doubles(&mut self, found: &mut Diagnostics) {
        let mut problems = Vec::new();
        let locator = found.locator();
        let mut keep_first = |kind: &str, seen: &mut HashMap<String, Span>, name: &str, at: &Span| {
            if let Some(first) = seen.get(name) {
                let (one, other) = (&locator.source(first.start).file, &locator.source(at.start).file);
                let message = format!("{kind} `{}` is declared in {one} and again in {other}", shorten(name));
                problems.push(
                    Diagnostic::error(at.clone(), message)
                        .label("the second")
                        .related(first.clone(), "the first"),
                );
                return false;
            }
            seen.insert(name.to_owned(), at.clone());
            true
        };
        let mut seen = HashMap::new();
        self.groups.retain(|group| keep_first("group", &mut seen, &group.name, &group.at));
        let mut seen = HashMap::new();
        self.services.retain(|service| keep_first("service", &mut seen, &service.name, &service.at));
        let mut seen = HashMap::new();
        self.flags.retain(|flag| keep_first("flag", &mut seen, &flag.declaration.name, &flag.at));
        let mut seen = HashMap::new();
        self.migrations.retain(|part| keep_first("migration", &mut seen, &part.migration.name, &part.at));
        super::in_file_order(&mut problems);
        found.list.append(&mut problems);
    }
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
