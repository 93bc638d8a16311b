//! A crash as OpenTelemetry's logs are sent: the JSON form of `ExportLogsServiceRequest`. Pure.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>: numbers of 64 bits are texts, ids are hexadecimal,
//! names of fields are in lower camel case. Names of attributes are those of the semantic conventions where there are any.

use crate::crash::Record;
use serde_json::{Value, json};

/// `SEVERITY_NUMBER_FATAL`
const FATAL: u32 = 21;

/// One request with one log record.
pub(super) fn request(record: &Record) -> Value {
    let resource = vec![
        text("service.name", &record.service),
        text("service.instance.id", &record.instance),
        number("process.pid", u64::from(record.pid)),
    ];
    json!({ "resourceLogs": [{
        "resource": { "attributes": resource },
        "scopeLogs": [{
            "scope": { "name": "mainstay", "version": env!("CARGO_PKG_VERSION") },
            "logRecords": [log_record(record)],
        }],
    }] })
}

fn log_record(record: &Record) -> Value {
    let nanos = record.time.parse::<jiff::Timestamp>().map_or(0, |time| time.as_nanosecond()).to_string();
    let mut log = json!({
        "timeUnixNano": nanos,
        "observedTimeUnixNano": nanos,
        "severityNumber": FATAL,
        "severityText": "FATAL",
        "eventName": "mainstay.crash",
        "body": { "stringValue": format!("{} {}", record.instance, record.cause) },
        "attributes": attributes(record),
    });
    // Ids of a collector are of a fixed length, and a box may hold anything: what is none is left out.
    let is_id = |id: &str, digits: usize| id.len() == digits && id.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(span) = record.innermost().filter(|span| is_id(&span.trace, 32) && is_id(&span.span, 16)) {
        log["traceId"] = json!(span.trace);
        log["spanId"] = json!(span.span);
    }
    log
}

fn attributes(record: &Record) -> Vec<Value> {
    let mut all = vec![
        text("mainstay.crash.id", &record.id),
        text("mainstay.crash.fingerprint", &record.fingerprint),
        number("mainstay.incarnation", record.incarnation),
        number("mainstay.lived_ns", record.lived_ns),
        number("mainstay.restarts", u64::from(record.restarts)),
        number("process.cpu.user_ns", record.used.user_ns),
        number("process.cpu.system_ns", record.used.system_ns),
        number("process.memory.peak", record.used.memory_max),
    ];
    all.extend(record.code.map(|code| number("process.exit.code", u64::from(code))));
    all.extend(record.signal.as_ref().map(|signal| text("process.exit.signal", signal)));
    if let Some(error) = record.context.iter().find_map(|context| context.error.as_ref()) {
        all.push(text("exception.type", if error.panic { "panic" } else { "error" }));
        all.push(text("exception.message", &error.text));
        all.push(text("exception.stacktrace", &error.place));
    }
    if let Some(context) = record.context.first() {
        all.extend(context.keys.iter().map(|(key, value)| text(&format!("mainstay.context.{key}"), value)));
    }
    all.extend(record.flags.iter().map(|flag| text(&format!("feature_flag.{}", flag.name), &flag.value)));
    let words: Vec<Value> = record.words.iter().map(|word| json!({ "stringValue": word.text })).collect();
    if !words.is_empty() {
        all.push(json!({ "key": "mainstay.last_words", "value": { "arrayValue": { "values": words } } }));
    }
    // What has no name of its own is there all the same.
    let whole = serde_json::to_string(record).unwrap_or_default();
    all.push(text("mainstay.crash.record", &whole));
    all
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: u64) -> Value {
    // Signed there; more is as good as the most.
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}
