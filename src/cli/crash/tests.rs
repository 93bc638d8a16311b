//! Tests of `crash`: whole outputs of fixed records.

use super::*;
use crate::crash::{
    BoxOf, Change, ChangeOf, Context, Failure, Fault, Flag, GroupMemory, LastWord, Operation, Pairs, Said,
    Span, Unsaid, Used,
};
use crate::paths::ChosenBy;

const MS: u64 = 1_000_000;

fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn span(name: &str, number: u64, depth: u32, open_ms: u64) -> Span {
    Span {
        name: name.into(),
        depth,
        span: format!("{number:016x}"),
        parent: if depth == 0 { String::new() } else { format!("{:016x}", number - 1) },
        trace: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
        process: 4188,
        thread: 4190,
        open_ns: open_ms * MS,
        ..Span::default()
    }
}

/// The record of a death about which all is known.
fn record(number: u64) -> Record {
    Record {
        schema: crash::SCHEMA,
        id: format!("c-{number}"),
        number,
        service: "web".into(),
        instance: "web#7".into(),
        cause: "killed by SIGSEGV".into(),
        time: format!("2026-11-23T12:{:02}:44.218Z", number + 1),
        incarnation: 17,
        pid: 4188,
        signal: Some("SIGSEGV".into()),
        lived_ns: 372_000 * MS,
        restarts: 2,
        restarts_max: 5,
        used: Used { user_ns: 1500 * MS, system_ns: 40 * MS, memory_max: 212_000_000, ..Used::default() },
        group: Some(GroupMemory {
            now: Some(212_000_000),
            peak: Some(498_000_000),
            limit: Some(512_000_000),
            oom_kills: Some(0),
            shared: false,
        }),
        fingerprint: "7f3a0c11".into(),
        blackbox: BoxOf::Here,
        doing: vec![span("charge card", 2, 0, 812), span("POST payments", 3, 1, 640)],
        context: vec![Context {
            process: 4188,
            thread: 4190,
            thread_name: "worker-3".into(),
            operation: Some(Operation {
                name: "POST /checkout".into(),
                id: "A-1042".into(),
                open_ns: 850 * MS,
                ..Operation::default()
            }),
            keys: pairs(&[("order", "A-1042"), ("tier", "gold"), ("attempt", "2")]),
            error: Some(Failure {
                before_ns: MS,
                text: "index 9 out of range".into(),
                place: "src/checkout.rs:31:9".into(),
                panic: true,
            }),
            ..Context::default()
        }],
        events: vec![Said {
            before_ns: 120 * MS,
            kind: "event".into(),
            name: "payment retried".into(),
            attributes: pairs(&[("attempt", "2")]),
            ..Said::default()
        }],
        flags: vec![Flag {
            name: "new-checkout".into(),
            value: "true".into(),
            before_ns: 1200 * MS,
            generation: 43,
            changed_since: false,
        }],
        changed: vec![
            Change {
                name: "new-checkout".into(),
                old: "off".into(),
                new: "on".into(),
                before_ns: 1200 * MS,
                actor: "ana".into(),
                ..Change::default()
            },
            Change {
                kind: ChangeOf::Reload,
                name: "file".into(),
                new: "1 restarted".into(),
                before_ns: 18_000 * MS,
                keys: vec!["web.env.DB_HOST".into()],
                ..Change::default()
            },
        ],
        words: vec![LastWord {
            time: "2026-11-23T12:14:44.217Z".into(),
            stream: "err".into(),
            text: "index 9 out of range\u{1b}[2J".into(),
        }],
        ..Record::default()
    }
}

const FULL: &str = "\
c-13  web#7  SIGSEGV  2026-11-23 12:14:44.218  lived 6m 12s  restart 2 of 5
  cause     killed by SIGSEGV
  panic     index 9 out of range  at src/checkout.rs:31:9  1 ms before
  doing     POST /checkout A-1042  for 850 ms
            \\_ charge card         812 ms open  trace 4bf92f35…
               \\_ POST payments    640 ms open  <- here
  context   order=A-1042  tier=gold  attempt=2
  events    120 ms before  payment retried  attempt=2
  flags     new-checkout=true  (first seen 1.2 s before)
  changed   new-checkout off->on  1.2 s before  by ana
            config reload  18 s before  web.env.DB_HOST
  words     12:14:44.217 stderr | index 9 out of range\\u{1b}[2J
  used      pid 4188  life 17  cpu 1.5 s + 40 ms in the kernel
            mem at most 212.0 MB
  cgroup    mem 212.0 MB of 512.0 MB  at most 498.0 MB  no OOM kill
  like it   c-9, c-11  (fingerprint 7f3a0c11, 3 in 4m 00s)
next  mainstay logs 'web#7' --until 2026-11-23T12:14:44.218Z
      mainstay crash export c-13 --otlp|--html
";

#[test]
fn a_crash_is_shown_with_all_that_is_known_in_80_columns() {
    let records = [13, 12, 11, 9].map(record);
    let mut records = records.to_vec();
    records[1].fingerprint = "00000000".into();
    let text = show::text(&records[0], &records, &Look::plain(), 80);
    assert_eq!(text, FULL, "\n{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn a_crash_of_which_little_is_known_says_what_is_missing() {
    let little = Record {
        doing: Vec::new(),
        context: Vec::new(),
        events: Vec::new(),
        flags: Vec::new(),
        changed: Vec::new(),
        words: Vec::new(),
        group: None,
        fault: Some(Fault::OutOfMemory),
        blackbox: BoxOf::LetGo,
        unsaid: Unsaid { torn: 2, spans_unplaced: 1, ..Unsaid::default() },
        ..record(13)
    };
    let text = show::text(&little, std::slice::from_ref(&little), &Look::plain(), 80);
    let expected = "\
c-13  web#7  out of memory  2026-11-23 12:14:44.218  lived 6m 12s
      restart 2 of 5
  cause     killed by SIGSEGV
  words     none: it wrote nothing in this life
  used      pid 4188  life 17  cpu 1.5 s + 40 ms in the kernel
            mem at most 212.0 MB
  blackbox  let go: too many died at once  what it was doing is not known
  unsaid    2 torn records  1 spans without room
  like it   none  (fingerprint 7f3a0c11)
next  mainstay logs 'web#7' --until 2026-11-23T12:14:44.218Z
      mainstay crash export c-13 --otlp|--html
";
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn whatever_a_service_says_steers_no_terminal_and_no_page() {
    let evil = "\u{1b}[2J<script>alert('&')</script>\u{202e}\r\n";
    let context = Context {
        thread_name: evil.into(),
        operation: Some(Operation {
            name: evil.into(),
            id: evil.into(),
            correlation: evil.into(),
            open_ns: 1,
        }),
        keys: pairs(&[(evil, evil)]),
        error: Some(Failure { text: evil.into(), place: evil.into(), ..Failure::default() }),
        ..Context::default()
    };
    let hostile = Record {
        cause: evil.into(),
        context: vec![context.clone(), context],
        doing: vec![Span { attributes: pairs(&[(evil, evil)]), ..span(evil, 2, 0, 1) }],
        events: vec![Said {
            name: evil.into(),
            kind: evil.into(),
            attributes: pairs(&[(evil, evil)]),
            ..Said::default()
        }],
        flags: vec![Flag { name: evil.into(), value: evil.into(), ..Flag::default() }],
        fingerprint: evil.into(),
        signal: Some(evil.into()),
        ..record(13)
    };
    let text = show::text(&hostile, std::slice::from_ref(&hostile), &Look::plain(), 80);
    assert!(!text.contains(['\u{1b}', '\r', '\u{202e}']), "{text}");
    let page = html::page(&hostile, std::slice::from_ref(&hostile));
    assert!(!page.contains(['\u{1b}', '\r', '\u{202e}']) && !page.contains("<script"), "{page}");
    assert!(page.contains("default-src 'none'"));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="), "{page}");
}

#[test]
fn an_export_is_what_a_collector_takes() {
    let request = otlp::request(&record(13));
    let log = &request["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(log["timeUnixNano"], "1795436084218000000");
    assert_eq!(
        (log["severityNumber"].as_u64(), log["body"]["stringValue"].as_str()),
        (Some(21), Some("web#7 killed by SIGSEGV"))
    );
    assert_eq!(
        (log["traceId"].as_str(), log["spanId"].as_str()),
        (Some("4bf92f3577b34da6a3ce929d0e0e4736"), Some("0000000000000003"))
    );
    let attribute = |key: &str| {
        let all = log["attributes"].as_array().unwrap();
        all.iter().find(|one| one["key"] == key).map(|one| one["value"].clone())
    };
    assert_eq!(attribute("mainstay.context.order").unwrap()["stringValue"], "A-1042");
    assert_eq!(attribute("mainstay.incarnation").unwrap()["intValue"], "17");
    assert_eq!(attribute("exception.message").unwrap()["stringValue"], "index 9 out of range");
    let whole = attribute("mainstay.crash.record").unwrap();
    assert_eq!(serde_json::from_str::<Record>(whole["stringValue"].as_str().unwrap()).unwrap(), record(13));
    let odd = Record { doing: vec![Span { trace: "nonsense".into(), ..span("x", 2, 0, 1) }], ..record(13) };
    assert!(otlp::request(&odd)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0].get("traceId").is_none());
}

fn check(records: &[Record], verb: Verb, json: bool) -> (Result<(), Error>, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let project = project(directory.path());
    crash::Store::new(&project.state).append(records).unwrap();
    let (result, data, talk) = on(&project, verb, json);
    (result, data, talk)
}

fn on(project: &Project, verb: Verb, json: bool) -> (Result<(), Error>, String, String) {
    let (mut data, mut talk) = (Vec::new(), Vec::new());
    let result = run(&Crash { verb }, project, &mut Output::new(Style::PLAIN, json, &mut data, &mut talk));
    (result, String::from_utf8(data).unwrap(), String::from_utf8(talk).unwrap())
}

fn project(directory: &std::path::Path) -> Project {
    Project {
        name: "shop".into(),
        config: None,
        runtime: directory.into(),
        state: directory.into(),
        logs: directory.into(),
        chosen_by: ChosenBy::Project,
        searched: Vec::new(),
    }
}

fn ids(directory: &std::path::Path) -> Vec<String> {
    crash::read(directory).unwrap().records.into_iter().map(|record| record.id).collect()
}

#[test]
fn the_newest_is_first_and_every_line_fits() {
    let long = Record {
        instance: "a-name-of-20-letters".into(),
        error: "e".repeat(200),
        cause: "c".repeat(200),
        ..record(8)
    };
    let all = [record(6), record(7), long];
    let (result, text, _) = check(&all, Verb::List(List::default()), false);
    result.unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let starts: Vec<&str> = text.lines().map(|line| &line[..3]).collect();
    assert_eq!(starts, ["c-8", "c-7", "c-6"]);
    assert!(
        text.contains("  web#7                 killed by SIGSEGV after 6m…\n")
            || text.contains("killed by SIGSEGV"),
        "{text}"
    );
    let web = List { patterns: vec!["web#*".into()], lines: Some(1), like: None };
    let (_, text, _) = check(&all, Verb::List(web), true);
    assert!(
        text.starts_with(r#"{"schema":2,"id":"c-7","number":7,"service":"web","#)
            && text.lines().count() == 1,
        "{text}"
    );
    let none = List { patterns: vec!["worker".into()], ..List::default() };
    assert_eq!(check(&all, Verb::List(none), true).1, "");
    let like = |digits: &str| List { like: Some(digits.into()), ..List::default() };
    assert_eq!(check(&all, Verb::List(like("7f3a")), false).1.lines().count(), 3);
    assert_eq!(check(&all, Verb::List(like("8")), false).1, "");
}

#[test]
fn crashes_that_could_not_be_recorded_are_said() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    std::fs::write(&state, "in the way").unwrap();
    let mut store = crash::Store::new(&state);
    store.append(&[record(4)]).unwrap_err();
    std::fs::remove_file(&state).unwrap();
    store.append(&[record(5)]).unwrap();
    let (result, data, talk) = on(&project(&state), Verb::List(List::default()), false);
    result.unwrap();
    assert_eq!(data.lines().count(), 1);
    assert_eq!(talk, "1 crash record could not be written, c-4 among them: see mainstay logs mainstay\n");
}

#[test]
fn an_unknown_crash_is_exit_4_and_names_those_that_are_there() {
    let all = [record(6), record(7)];
    let show = |id: &str| Verb::Show(Show { ids: vec![id.into()] });
    for id in ["c-6", "6", "web", "web#7"] {
        check(&all, show(id), true).0.unwrap();
    }
    let export = |id: &str| Verb::Export(export::Export { id: id.into(), ..export::Export::default() });
    let prune = |id: &str| Verb::Prune(prune::Prune { patterns: vec![id.into()], ..prune::Prune::default() });
    for verb in [show("c-8"), export("c-8"), prune("c-8")] {
        let error = check(&all, verb, false).0.unwrap_err();
        assert_eq!(error.code().number(), 4);
        assert_eq!(error.to_string(), "no crash matches `c-8`");
        assert_eq!(error.hint(), "did you mean `c-7` or `c-6`?");
    }
}

#[test]
fn an_export_without_a_form_is_the_whole_record() {
    let export = |otlp, html| Verb::Export(export::Export { id: "c-6".into(), otlp, html });
    let (_, plain, _) = check(&[record(6)], export(false, false), false);
    assert_eq!(serde_json::from_str::<Record>(&plain).unwrap(), record(6));
    let (_, log, _) = check(&[record(6)], export(true, false), false);
    assert!(log.starts_with(r#"{"resourceLogs":[{"#), "{log}");
    let (_, page, _) = check(&[record(6)], export(false, true), false);
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"), "{page}");
}

#[test]
fn what_is_pruned_is_chosen_by_all_that_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let project = project(directory.path());
    let other = Record { service: "api".into(), instance: "api".into(), ..record(5) };
    crash::Store::new(directory.path()).append(&[record(3), record(4), other, record(6)]).unwrap();
    let prune = |prune: prune::Prune| on(&project, Verb::Prune(prune), false);
    let dry = prune::Prune { all: true, dry_run: true, ..prune::Prune::default() };
    assert_eq!(prune(dry).1, "would throw away 4 crashes, 0 left\n");
    assert_eq!(ids(directory.path()), ["c-3", "c-4", "c-5", "c-6"]);
    let web = prune::Prune { patterns: vec!["web".into()], keep: Some(2), ..prune::Prune::default() };
    assert_eq!(prune(web).1, "threw away 1 crash, 3 left\n");
    assert_eq!(ids(directory.path()), ["c-4", "c-5", "c-6"]);
    let one = prune::Prune { patterns: vec!["c-5".into()], ..prune::Prune::default() };
    assert_eq!(prune(one).1, "threw away 1 crash, 2 left\n");
    let young =
        prune::Prune { older_than: Some(Duration::from_secs(1_000_000 * 86_400)), ..prune::Prune::default() };
    assert_eq!(prune(young).1, "threw away 0 crashes, 2 left\n");
    let all = prune::Prune { all: true, ..prune::Prune::default() };
    let (_, json, _) = on(&project, Verb::Prune(all), true);
    assert_eq!(json, "{\"schema\":1,\"pruned\":[\"c-6\",\"c-4\"],\"left\":0,\"dry_run\":false}\n");
    assert_eq!(crash::read(directory.path()).unwrap().newest, 6, "numbers go on where they stood");
}
