//! `[telemetry]`: what becomes of spans and events.

use super::diagnostic::Diagnostic;
use super::fields::{Context, Value, boolean, describe, in_order, integer, nonempty, table};
use super::flag::share;
use super::plan::Http;
use super::policy::{self, LogPart};
use crate::telemetry::{Endpoint, Settings};
use crate::time::Duration;

/// More in one batch would make lines that collectors refuse.
const SIZE_MAX: i64 = 10_000;
/// More a second than one thread writes.
const PER_SECOND_MAX: i64 = 1_000_000;
/// Longer would be no telemetry of what happens.
const EVERY_MAX: Duration = Duration::from_secs(3600);
const NAMES_MAX: usize = 256;

/// `[telemetry]`
pub(super) fn read(context: &mut Context<'_>, value: &Value<'_>) -> Option<Settings> {
    let Some(table) = value.get_ref().as_table() else {
        let found = describe(value.get_ref());
        let problem = Diagnostic::error(value.span(), format!("`telemetry` is {found}, expected a table"));
        context
            .problems
            .push(problem.help("write [telemetry] and in it, say, endpoint = \"http://127.0.0.1:4318\""));
        return None;
    };
    let mut fields = context.fields(table, "`[telemetry]`");
    let built_in = Settings::default();
    let enabled = fields.take("enabled", boolean);
    let endpoint = fields.take("endpoint", endpoint);
    let sample = fields.take("sample", share);
    let names = fields.take("names", names);
    let keep_failed = fields.take("keep_failed", boolean);
    let per_second = fields.take("per_second", |c, v| integer(c, v, 1..=PER_SECOND_MAX));
    let batch = fields.take("batch", batch).map(|l| l.value).unwrap_or_default();
    let file = fields
        .take("file", |c, v| policy::log_table(c, v, "a table such as { max_size = \"10MiB\", files = 5 }"));
    fields.finish(None);
    let (max_size, files) = match file.map(|l| l.value) {
        Some(LogPart::Logger { max_size, files }) => (max_size, files),
        _ => (None, None),
    };
    Some(Settings {
        enabled: enabled.map_or(built_in.enabled, |l| l.value),
        endpoint: endpoint.map(|l| l.value),
        sample: sample.map_or(built_in.sample, |l| l.value),
        names: names.map_or(built_in.names, |l| l.value),
        per_second: per_second.and_then(|l| l.value.try_into().ok()).unwrap_or(built_in.per_second),
        keep_failed: keep_failed.map_or(built_in.keep_failed, |l| l.value),
        batch_size: batch.0.unwrap_or(built_in.batch_size),
        batch_every: batch.1.unwrap_or(built_in.batch_every),
        max_size: max_size.unwrap_or(built_in.max_size),
        files: files.unwrap_or(built_in.files),
    })
}

/// `http://127.0.0.1:4318`, perhaps with what stands before `/v1/traces`.
fn endpoint(context: &mut Context<'_>, value: &Value<'_>) -> Option<Endpoint> {
    let text = nonempty(context, value)?;
    if text.starts_with("https:") {
        context.invalid(value.span(), "TLS is not spoken here; send to a collector on this host, which can");
        return None;
    }
    let http = Http::parse(&text).map_err(|reason| context.invalid(value.span(), &reason)).ok()?;
    let base = http.path.trim_end_matches('/');
    if base.contains('?') {
        context.invalid(value.span(), "a `?` cannot stand before `/v1/traces`, which is added to it");
        return None;
    }
    if base.ends_with("/v1/traces") || base.ends_with("/v1/logs") {
        context.invalid(value.span(), "`/v1/traces` and `/v1/logs` are added to it: leave them out");
        return None;
    }
    Some(Endpoint { address: http.address, host: http.host, base: base.to_owned() })
}

/// `{ "http.*" = 10, "cache.hit" = 0.1 }`, in the order of the file.
fn names(context: &mut Context<'_>, value: &Value<'_>) -> Option<Vec<(String, u32)>> {
    let table = table(context, value, "a table such as { \"http.*\" = 10, \"cache.hit\" = 0.1 }")?;
    if table.len() > NAMES_MAX {
        context.invalid(value.span(), &format!("it has {} patterns, {NAMES_MAX} are allowed", table.len()));
        return None;
    }
    let mut found = Vec::new();
    for (key, value) in in_order(table) {
        let pattern = key.get_ref().as_ref();
        if pattern.is_empty() {
            context.invalid(key.span(), "an empty pattern matches no name");
            continue;
        }
        found.extend(share(context, value).map(|share| (pattern.to_owned(), share)));
    }
    Some(found)
}

/// `{ size = 512, every = "1s" }`
fn batch(context: &mut Context<'_>, value: &Value<'_>) -> Option<(Option<u32>, Option<Duration>)> {
    let table = table(context, value, "a table such as { size = 512, every = \"1s\" }")?;
    let owner = context.inner_owner();
    let mut fields = context.fields(table, &owner);
    let size = fields.take("size", |c, v| integer(c, v, 1..=SIZE_MAX));
    let every = fields.take("every", |c, v| {
        let every = policy::period(c, v)?;
        if every > EVERY_MAX {
            c.invalid(v.span(), "longer than an hour");
            return None;
        }
        Some(every)
    });
    fields.finish(None);
    Some((size.and_then(|l| l.value.try_into().ok()), every.map(|l| l.value)))
}
