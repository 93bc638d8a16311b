//! OTLP as JSON (the protobuf mapping of opentelemetry-proto 1): one request of traces and one of logs for a batch, each a line.
//!
//! Numbers of 64 bits are strings, ids are hex, names are in camel case, enums are numbers, as OTLP/JSON wants. A collector
//! takes each line as it is at `/v1/traces` or `/v1/logs`, and OpenTelemetry's file receiver reads the whole file.

use super::batch::Kept;
use super::record::Severity;
use super::{Batch, Event, Life, Record, Span, Summary, Value};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

/// The scope of what is telemetry's own.
pub const SCOPE: &str = "mainstay.telemetry";
/// The scope of what services say.
const SERVICES: &str = "mainstay";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// `SPAN_KIND_INTERNAL`
const INTERNAL: u8 = 1;
/// `STATUS_CODE_ERROR`
const ERROR: u8 = 2;

/// Appends the lines of a batch: traces when it has spans, and always logs, which end with its summary.
///
/// `project` is the namespace of all services; `now` is when, in nanoseconds since the Unix epoch.
pub fn lines(batch: &Batch, summary: &Summary, project: &str, now: u64, out: &mut Vec<u8>) {
    let context = Context { project, now };
    if summary.spans > 0 {
        line(&Traces { batch, context }, out);
    }
    line(&Logs { batch, summary, context }, out);
}

fn line(value: &impl Serialize, out: &mut Vec<u8>) {
    // Into memory, and with keys that are text: nothing can fail.
    serde_json::to_writer(&mut *out, value).expect("JSON in memory");
    out.push(b'\n');
}

#[derive(Clone, Copy)]
struct Context<'a> {
    project: &'a str,
    now: u64,
}

/// `{"resourceSpans":[…]}`
struct Traces<'a> {
    batch: &'a Batch,
    context: Context<'a>,
}

impl Serialize for Traces<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let of = || self.batch.kept().iter().filter_map(|of| spans_of(of, self.context));
        one("resourceSpans", &Each(&of), to)
    }
}

/// `{"resourceLogs":[…]}`
struct Logs<'a> {
    batch: &'a Batch,
    summary: &'a Summary,
    context: Context<'a>,
}

impl Serialize for Logs<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let own = || std::iter::once_with(|| own(self.summary, self.context));
        let of = || self.batch.kept().iter().filter_map(|of| logs_of(of, self.context)).chain(own());
        one("resourceLogs", &Each(&of), to)
    }
}

fn spans_of<'a>((life, kept): &'a (Life, Vec<Kept>), context: Context<'_>) -> Option<ResourceSpans<'a>> {
    let spans: Vec<SpanJson<'a>> = kept.iter().filter_map(span).collect();
    if spans.is_empty() {
        return None;
    }
    let scope_spans = [ScopeSpans { scope: Scope::of(SERVICES), spans }];
    Some(ResourceSpans { resource: resource(life, context), scope_spans })
}

fn logs_of<'a>((life, kept): &'a (Life, Vec<Kept>), context: Context<'_>) -> Option<ResourceLogs<'a>> {
    let log_records: Vec<LogJson<'a>> = kept.iter().filter_map(|kept| log(kept, context.now)).collect();
    if log_records.is_empty() {
        return None;
    }
    let scope_logs = [ScopeLogs { scope: Scope::of(SERVICES), log_records }];
    Some(ResourceLogs { resource: resource(life, context), scope_logs })
}

/// The summary, as telemetry's own word.
fn own(summary: &Summary, context: Context<'_>) -> ResourceLogs<'static> {
    let life = Life { service: SCOPE.into(), instance: SCOPE.into(), ..Life::default() };
    let record = LogJson {
        body: Text { string_value: summary.to_string().into() },
        attributes: summary.attributes(),
        ..LogJson::of(context.now, context.now, Summary::NAME)
    };
    let scope_logs = [ScopeLogs { scope: Scope::of(SCOPE), log_records: vec![record] }];
    ResourceLogs { resource: resource(&life, context), scope_logs }
}

fn one<S: Serializer>(key: &str, value: &impl Serialize, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}

/// An array of what an iterator gives, which is asked for when it is written.
struct Each<'a, F>(&'a F);

impl<F, I> Serialize for Each<'_, F>
where
    F: Fn() -> I,
    I: Iterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut seq = to.serialize_seq(None)?;
        (self.0)().try_for_each(|element| seq.serialize_element(&element))?;
        seq.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<SpanJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs<'a> {
    resource: Resource,
    scope_logs: [ScopeLogs<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs<'a> {
    scope: Scope,
    log_records: Vec<LogJson<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

impl Scope {
    fn of(name: &'static str) -> Scope {
        Scope { name, version: VERSION }
    }
}

#[derive(Serialize)]
struct Resource {
    attributes: Vec<Attribute>,
}

/// The life that did it, in OpenTelemetry's words.
fn resource(life: &Life, context: Context<'_>) -> Resource {
    let mut attributes = vec![
        Attribute::text("service.name", &life.service),
        Attribute::text("service.namespace", context.project),
        Attribute::text("service.instance.id", &life.instance),
    ];
    if life.incarnation > 0 {
        attributes.push(Attribute::integer("mainstay.incarnation", life.incarnation));
    }
    if life.pid > 0 {
        attributes.push(Attribute::integer("process.pid", life.pid.into()));
    }
    Resource { attributes }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanJson<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    parent_span_id: String,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute>,
    status: Status<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogJson<'a> {
    time_unix_nano: String,
    observed_time_unix_nano: String,
    severity_number: u8,
    severity_text: &'static str,
    event_name: &'a str,
    body: Text<'a>,
    attributes: Vec<Attribute>,
    #[serde(skip_serializing_if = "String::is_empty")]
    trace_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    span_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Text<'a> {
    string_value: std::borrow::Cow<'a, str>,
}

impl<'a> LogJson<'a> {
    fn of(at: u64, now: u64, name: &'a str) -> LogJson<'a> {
        LogJson {
            time_unix_nano: at.to_string(),
            observed_time_unix_nano: now.to_string(),
            severity_number: 9,
            severity_text: "INFO",
            event_name: name,
            body: Text { string_value: name.into() },
            attributes: Vec::new(),
            trace_id: String::new(),
            span_id: String::new(),
        }
    }
}

fn span(kept: &Kept) -> Option<SpanJson<'_>> {
    let Record::Span(Span { id, parent, name, start, end, failed, attributes, .. }) = &kept.record else {
        return None;
    };
    Some(SpanJson {
        trace_id: hex128(kept.record.trace()),
        span_id: hex64(*id),
        parent_span_id: if *parent == 0 { String::new() } else { hex64(*parent) },
        name,
        kind: INTERNAL,
        start_time_unix_nano: start.to_string(),
        end_time_unix_nano: end.max(start).to_string(),
        attributes: all_attributes(attributes, kept.share),
        status: Status { message: failed.as_deref(), code: failed.is_some().then_some(ERROR) },
    })
}

fn log(kept: &Kept, now: u64) -> Option<LogJson<'_>> {
    let Record::Event(Event { name, at, severity, trace, span, attributes }) = &kept.record else {
        return None;
    };
    let (severity_number, severity_text) = match severity {
        Severity::Info => (9, "INFO"),
        Severity::Error => (17, "ERROR"),
        Severity::Fatal => (21, "FATAL"),
    };
    Some(LogJson {
        severity_number,
        severity_text,
        attributes: all_attributes(attributes, kept.share),
        trace_id: if *trace == 0 { String::new() } else { hex128(*trace) },
        span_id: if *span == 0 { String::new() } else { hex64(*span) },
        ..LogJson::of(*at, now, name)
    })
}

fn hex64(id: u64) -> String {
    format!("{id:016x}")
}

fn hex128(id: u128) -> String {
    format!("{id:032x}")
}

fn all_attributes(of: &[(String, Value)], share: f64) -> Vec<Attribute> {
    let mut all: Vec<Attribute> =
        of.iter().map(|(key, value)| Attribute { key: key.clone(), value: value_of(value) }).collect();
    if share < 1.0 {
        // Whoever adds up what was kept divides by it.
        all.push(Attribute::number("mainstay.sampled", share));
    }
    all
}

fn value_of(value: &Value) -> AnyValue {
    match value {
        Value::Text(text) => AnyValue::Text(text.clone()),
        Value::Integer(number) => AnyValue::Int(number.to_string()),
    }
}

/// A key and a value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Attribute {
    key: String,
    value: AnyValue,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
enum AnyValue {
    #[serde(rename = "stringValue")]
    Text(String),
    #[serde(rename = "intValue")]
    Int(String),
    #[serde(rename = "doubleValue")]
    Double(f64),
    #[serde(rename = "kvlistValue")]
    List { values: Vec<Attribute> },
}

impl Attribute {
    pub(super) fn text(key: &str, value: &str) -> Attribute {
        Attribute { key: key.to_owned(), value: AnyValue::Text(value.to_owned()) }
    }

    pub(super) fn integer(key: &str, value: u64) -> Attribute {
        Attribute { key: key.to_owned(), value: AnyValue::Int(value.to_string()) }
    }

    pub(super) fn number(key: &str, value: f64) -> Attribute {
        Attribute { key: key.to_owned(), value: AnyValue::Double(value) }
    }

    pub(super) fn list(key: &str, values: Vec<Attribute>) -> Attribute {
        Attribute { key: key.to_owned(), value: AnyValue::List { values } }
    }

    pub(super) fn is_zero(&self) -> bool {
        matches!(&self.value, AnyValue::Int(text) if text == "0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::batch::Reached;
    use crate::telemetry::{Settings, Verdict};
    use crate::time::Instant;
    use proptest::prelude::*;

    fn life() -> Life {
        Life { service: "web".into(), instance: "web#2".into(), incarnation: 7, pid: 41 }
    }

    fn written(records: Vec<(Record, f64)>) -> (Vec<serde_json::Value>, Summary, Vec<u8>) {
        let mut batch = Batch::new(&Settings::default());
        for (record, share) in records {
            batch.took(Instant::ZERO, &life(), record, Verdict::Keep { share });
        }
        batch.missed(Instant::ZERO, &life(), 12, 1);
        batch.reached(&life(), Reached { spans: 5, events: u64::MAX });
        let summary = batch.summary(&Summary { refused: 3, unseen: 2, begun: 1, ..Summary::default() });
        let mut out = Vec::new();
        lines(&batch, &summary, "shop", 1_700_000_000_000_000_001, &mut out);
        let parsed = out.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        (parsed.map(|line| serde_json::from_slice(line).unwrap()).collect(), summary, out)
    }

    #[test]
    fn a_span_is_written_as_otlp_wants_it() {
        let span = Span {
            trace: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
            id: 0x00f0_67aa_0ba9_02b7,
            parent: 1,
            name: "GET /".into(),
            start: 1_700_000_000_000_000_000,
            end: 1_700_000_000_000_000_009,
            failed: Some("no route".into()),
            attributes: vec![
                ("user".into(), Value::Text("é\"\n".into())),
                ("n".into(), Value::Integer(i64::MIN)),
            ],
        };
        let (lines, ..) = written(vec![(Record::Span(span), 0.25)]);
        let expected = serde_json::json!({"resourceSpans": [{
            "resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": "web"}},
                {"key": "service.namespace", "value": {"stringValue": "shop"}},
                {"key": "service.instance.id", "value": {"stringValue": "web#2"}},
                {"key": "mainstay.incarnation", "value": {"intValue": "7"}},
                {"key": "process.pid", "value": {"intValue": "41"}},
            ]},
            "scopeSpans": [{"scope": {"name": "mainstay", "version": VERSION}, "spans": [{
                "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
                "spanId": "00f067aa0ba902b7",
                "parentSpanId": "0000000000000001",
                "name": "GET /",
                "kind": 1,
                "startTimeUnixNano": "1700000000000000000",
                "endTimeUnixNano": "1700000000000000009",
                "attributes": [
                    {"key": "user", "value": {"stringValue": "é\"\n"}},
                    {"key": "n", "value": {"intValue": "-9223372036854775808"}},
                    {"key": "mainstay.sampled", "value": {"doubleValue": 0.25}},
                ],
                "status": {"message": "no route", "code": 2},
            }]}],
        }]});
        assert_eq!(lines[0], expected);
        assert_eq!(lines.len(), 2, "and the logs, with the summary");
    }

    #[test]
    fn an_event_is_a_log_record_with_a_name_and_the_summary_is_the_last() {
        let event = Event { name: "cache.miss".into(), at: 5, trace: 3, span: 4, ..Event::default() };
        let (lines, summary, _) = written(vec![(Record::Event(event), 1.0)]);
        assert_eq!(lines.len(), 1, "no traces without spans");
        let logs = &lines[0]["resourceLogs"];
        let expected = serde_json::json!({
            "timeUnixNano": "5",
            "observedTimeUnixNano": "1700000000000000001",
            "severityNumber": 9,
            "severityText": "INFO",
            "eventName": "cache.miss",
            "body": {"stringValue": "cache.miss"},
            "attributes": [],
            "traceId": "00000000000000000000000000000003",
            "spanId": "0000000000000004",
        });
        assert_eq!(logs[0]["scopeLogs"][0]["logRecords"][0], expected);
        let own = &logs[1]["scopeLogs"][0];
        assert_eq!(own["scope"]["name"], SCOPE);
        assert_eq!(
            own["logRecords"][0]["body"]["stringValue"],
            "batch 1: 0 spans and 1 event of 1 service; 12 lost, 1 torn"
        );
        assert_eq!(summary.totals.lost, 12);
    }

    #[test]
    fn a_span_of_no_trace_has_one_of_its_own_and_never_ends_before_it_began() {
        let span = Span { id: 9, start: 50, end: 40, ..Span::default() };
        let (lines, ..) = written(vec![(Record::Span(span), 1.0)]);
        let span = &lines[0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "00000000000000000000000000000009");
        assert_eq!(span["endTimeUnixNano"], "50");
        assert_eq!(span["status"], serde_json::json!({}));
        assert!(span.get("parentSpanId").is_none());
    }

    #[test]
    fn the_summary_is_read_back_from_its_line_whatever_instances_are_called() {
        let (_, summary, out) = written(vec![(Record::Event(Event::default()), 1.0)]);
        assert_eq!(Summary::read(&out), Some(summary));
        let mut batch = Batch::new(&Settings::default());
        for instance in ["a/b", "worker@x", "web#1", "\"", ""] {
            batch.reached(&Life { instance: instance.into(), ..life() }, Reached { spans: 1, events: 2 });
        }
        let summary = batch.summary(&Summary::default());
        let mut out = Vec::new();
        lines(&batch, &summary, "shop", 0, &mut out);
        assert_eq!(Summary::read(&out), Some(summary));
        // A service may say the same words: what is told by another scope, or under another name, is none.
        let text = String::from_utf8(out).unwrap();
        for (own, other) in [
            (format!("\"name\":\"{SCOPE}\""), "\"name\":\"mainstay\""),
            (format!("\"{}\"", Summary::NAME), "\"x\""),
        ] {
            assert!(text.contains(&own), "{text}");
            assert_eq!(Summary::read(text.replacen(&own, other, 1).as_bytes()), None);
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_of_summaries_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Summary::read(&bytes);
        }

        #[test]
        fn a_damaged_summary_is_none_or_another_and_never_a_panic(at in 0usize..4000, byte in any::<u8>()) {
            let (_, _, mut out) = written(vec![(Record::Event(Event::default()), 1.0)]);
            let at = at % out.len();
            out[at] = byte;
            let _ = Summary::read(&out);
        }

        #[test]
        fn whatever_a_record_holds_each_line_is_one_json_object(
            name in ".*", key in ".*", text in ".*", whole in any::<i64>(), trace in any::<u128>(),
        ) {
            let attributes = vec![
                (key.clone(), Value::Text(text)),
                (key, Value::Integer(whole)),
            ];
            let span = Span { trace, id: 1, name: name.clone(), attributes: attributes.clone(), ..Span::default() };
            let event = Event { name: name.clone(), trace, attributes, ..Event::default() };
            let (lines, ..) = written(vec![(Record::Span(span), 1.0), (Record::Event(event), 0.1)]);
            prop_assert_eq!(lines.len(), 2);
            prop_assert_eq!(lines[0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"].as_str(), Some(&*name));
        }
    }
}
