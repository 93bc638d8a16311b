//! `audit show` and `audit verify`, to the letter: what people and programs see of a log that is sound, damaged or not there.
//!
//! The log is written by the store, with times of our own; no process but the program under test runs.

#![allow(clippy::unwrap_used)]

mod support;

use mainstay::audit;
use mainstay::flags::Value;
use mainstay::flags::guard::{Ban, Fact, Subject};
use mainstay::store::{Change, Set, Store};
use mainstay::time::Wall;
use std::path::PathBuf;
use support::{Outcome, Project, outcome};

fn change(generation: u64, actor: &str, verb: &str, reason: &str, sets: Vec<Set>) -> Change {
    let (actor, verb, reason) = (actor.into(), verb.into(), reason.into());
    let time = Wall(1_795_867_200_000_000 + generation as i64 * 61_001_000);
    Change { generation, request: 0, uid: 1000, actor, verb, reason, time, sets, facts: Vec::new() }
}

fn set(flag: &str, old: Value, value: Value) -> Set {
    Set { flag: flag.into(), truth: Some(value.into()), old: Some(old.into()), salt: String::new() }
}

/// A project whose log has three changes.
fn written() -> (Project, PathBuf) {
    let project = Project::new("name = \"shop\"\n");
    let mut store = Store::open(&project.path("state"));
    let many = (1..=5).map(|n| set(&format!("flag-{n}"), Value::Off, Value::On)).collect();
    let why = "3 abnormal \u{1b}[31mexits\nof `web`";
    let to_share = vec![set("search", Value::Off, Value::Share(12_500))];
    let back = vec![set("search", Value::Share(12_500), Value::Off)];
    let ban = Ban { digest: 1, why: why.into(), crashes: vec![17, 18], time: Wall(0) };
    let banned = Fact::Ban(Subject::Flag("search".into()), Some(ban));
    let changes = [
        change(1, "ana", "flag set search 12.5%", "SHOP-812", to_share),
        change(2, "bo", "load", "", many),
        Change { facts: vec![banned], ..change(3, "guard", "guard rolled back", why, back) },
    ];
    changes.iter().for_each(|one| store.commit(std::slice::from_ref(one)).unwrap());
    assert_eq!(store.audit_trouble(), None);
    let log = audit::file(&project.path("state"));
    (project, log)
}

/// With UTC's clock and no colours.
fn say(project: &Project, line: &str) -> Outcome {
    let words: Vec<&str> = line.split_whitespace().collect();
    outcome(project.command(&words).env("TZ", "UTC"))
}

#[track_caller]
fn check(project: &Project, line: &str, code: i32, stdout: &str, stderr: &str) {
    let is = say(project, line);
    let out = is.stdout.replace(&project.folder().display().to_string(), "DIR");
    let err = is.stderr.replace(&project.folder().display().to_string(), "DIR");
    assert_eq!((is.code, out.as_str(), err.as_str()), (code, stdout, stderr), "mainstay {line}");
}

const THIRD: &str = "\
2026-11-28 12:03:03.003  3  guard  search 12.5% -> off                       3 abnormal \\u{1b}[31mexits\\u{a}of `web`
                                   search is banned: 3 abnormal \\u{1b}[31mexits\\u{a}of `web` (crashes #17, #18)
";
const SECOND: &str = "\
2026-11-28 12:02:02.002  2  bo     flag-1 off -> on, flag-2 off -> on, flag-3 off -> on, and 2 more
";
const FIRST: &str = "\
2026-11-28 12:01:01.001  1  ana    search off -> 12.5%                       SHOP-812
";

#[test]
fn all_changes_are_shown_the_newest_first_with_actor_reason_and_what_else_became_true() {
    let (project, _) = written();
    let all = [THIRD, SECOND, FIRST].concat();
    check(&project, "audit show", 0, &all, "");
    check(&project, "audit show -n 0", 0, &all, "");
    check(&project, "audit show -n 2", 0, &[THIRD, SECOND].concat(), "");
    let of_search = "\
2026-11-28 12:03:03.003  3  guard  12.5% -> off  3 abnormal \\u{1b}[31mexits\\u{a}of `web`
                                   is banned: 3 abnormal \\u{1b}[31mexits\\u{a}of `web` (crashes #17, #18)
2026-11-28 12:01:01.001  1  ana    off -> 12.5%  SHOP-812
";
    check(&project, "flag log search", 0, of_search, "");
    check(&project, "flag log flag-5", 0, "2026-11-28 12:02:02.002  2  bo  off -> on\n", "");
    let unknown = "mainstay: no flag `nobody`\nhint: the configuration declares no flag; add `[flag.NAME]`\n";
    check(&project, "flag log nobody", 4, "", unknown);
}

#[test]
fn what_was_in_memory_only_when_it_was_made_says_so() {
    let project = Project::new("name = \"shop\"\n");
    let mut store = Store::open(&project.path("state"));
    let on =
        |generation| change(generation, "ana", "flag set x on", "now", vec![set("x", Value::Off, Value::On)]);
    store.commit(&[on(1)]).unwrap();
    store.commit_volatile(&[on(2)]);
    store.commit_volatile(&[on(3)]);
    assert_eq!([1, 2, 3].map(|generation| store.is_durable(generation)), [true, false, false]);
    let lines = "\
2026-11-28 12:03:03.003  3  ana  x off -> on  now  (in memory only then)
2026-11-28 12:02:02.002  2  ana  x off -> on  now  (in memory only then)
2026-11-28 12:01:01.001  1  ana  x off -> on  now
";
    check(&project, "audit show", 0, lines, "");
    let newest = say(&project, "audit show --json -n 1").ok();
    assert!(newest.ends_with("\"durable\":false}\n"), "{newest}");
}

#[test]
fn in_json_each_change_is_an_object() {
    let (project, _) = written();
    let object = |number: u64, time: &str, rest: &str| {
        format!(
            r#"{{"schema":1,"generation":{number},"time":"2026-11-28T{time}Z","uid":1000,{rest},"durable":true}}"#
        ) + "\n"
    };
    let why = r"3 abnormal \u001b[31mexits\nof `web`";
    let all = [
        object(
            3,
            "12:03:03.003",
            &format!(
                r#""actor":"guard","verb":"guard rolled back","reason":"{why}","changes":[{{"flag":"search","from":"12.5%","to":"off"}}],"facts":[{{"about":"search","what":"is banned: {why} (crashes #17, #18)"}}]"#
            ),
        ),
        object(
            2,
            "12:02:02.002",
            &format!(
                r#""actor":"bo","verb":"load","reason":"","changes":[{}],"facts":[]"#,
                (1..=5)
                    .map(|n| format!(r#"{{"flag":"flag-{n}","from":"off","to":"on"}}"#))
                    .collect::<Vec<_>>()
                    .join(",")
            ),
        ),
        object(
            1,
            "12:01:01.001",
            r#""actor":"ana","verb":"flag set search 12.5%","reason":"SHOP-812","changes":[{"flag":"search","from":"off","to":"12.5%"}],"facts":[]"#,
        ),
    ];
    check(&project, "audit show --json", 0, &all.concat(), "");
    check(&project, "audit show --json -n 1", 0, &all[0], "");
    check(&project, "flag log flag-5 --json", 0, &all[1], "");
}

#[test]
fn a_log_of_nothing_is_shown_and_is_whole() {
    let project = Project::new("name = \"shop\"\n");
    let zeros = "0".repeat(64);
    check(&project, "audit show", 0, "", "nobody has changed a flag yet\n");
    check(&project, "audit show --json", 0, "", "");
    let text =
        format!("ok 0 lines, each continues the one before\n   digest {zeros}  DIR/state/audit.jsonl\n");
    check(&project, "audit verify", 0, &text, "");
    let json = format!("{{\"schema\":1,\"whole\":true,\"lines\":0,\"digest\":\"{zeros}\",\"error\":null}}\n");
    check(&project, "audit verify --json", 0, &json, "");
}

#[test]
fn a_sound_log_is_proven_with_its_digest() {
    let (project, log) = written();
    let text = std::fs::read_to_string(&log).unwrap();
    let digest = audit::Digest::of(text.lines().last().unwrap().as_bytes());
    let out =
        format!("ok 3 lines, each continues the one before\n   digest {digest}  DIR/state/audit.jsonl\n");
    check(&project, "audit verify", 0, &out, "");
    let json =
        format!("{{\"schema\":1,\"whole\":true,\"lines\":3,\"digest\":\"{digest}\",\"error\":null}}\n");
    check(&project, "audit verify --json", 0, &json, "");
    // Cut off at the end it is whole, and has another digest.
    let (two, first) =
        text.lines().take(2).fold((String::new(), ""), |(all, _), line| (all + line + "\n", line));
    std::fs::write(&log, two).unwrap();
    let digest = audit::Digest::of(first.as_bytes());
    let out =
        format!("ok 2 lines, each continues the one before\n   digest {digest}  DIR/state/audit.jsonl\n");
    check(&project, "audit verify", 0, &out, "");
}

#[test]
fn a_damaged_log_is_refused_at_its_line_and_what_is_whole_is_still_shown() {
    let (project, log) = written();
    let sound = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = sound.lines().collect();
    let chain = "it does not continue the line before it: one was changed, or one is missing";
    let passed = "warning: 1 damaged line passed over; mainstay audit verify\n";
    for (what, damaged, number, why, shown, warned) in [
        ("a word was changed", sound.replace("SHOP-812", "SHOP-813"), 2, chain, 3, ""),
        ("a line was taken out", format!("{}\n{}\n", lines[0], lines[2]), 2, chain, 2, ""),
        ("two lines were exchanged", format!("{}\n{}\n{}\n", lines[0], lines[2], lines[1]), 2, chain, 3, ""),
        (
            "the beginning was cut off",
            format!("{}\n{}\n", lines[1], lines[2]),
            1,
            "what was before it was cut off",
            2,
            "",
        ),
        (
            "a line is none",
            format!("{}\nrubbish\n{}\n", lines[0], lines[2]),
            2,
            "it is no line of an audit log",
            2,
            passed,
        ),
        (
            "the last line is torn",
            sound[..sound.len() - 9].to_owned(),
            3,
            "it has no end: it was torn, or is just being written",
            2,
            "",
        ),
    ] {
        std::fs::write(&log, damaged).unwrap();
        let said = format!("the audit log is broken at line {number}: {why}");
        let hint = "hint: the journal still has what holds now; the file is DIR/state/audit.jsonl";
        check(&project, "audit verify", 1, "", &format!("mainstay: {said}\n{hint}\n"));
        let json =
            format!("{{\"schema\":1,\"whole\":false,\"lines\":null,\"digest\":null,\"error\":\"{said}\"}}\n");
        check(&project, "audit verify --json", 1, &json, "");
        let show = say(&project, "audit show --json");
        assert_eq!(
            (show.code, show.stdout.lines().count(), show.stderr.as_str()),
            (0, shown, warned),
            "{what}"
        );
    }
}

#[test]
fn a_log_that_cannot_be_read_is_told() {
    let (project, log) = written();
    std::fs::remove_file(&log).unwrap();
    std::fs::create_dir(&log).unwrap();
    check(&project, "audit show", 71, "", "mainstay: reading the audit log failed: not a regular file\n");
    check(
        &project,
        "audit verify",
        1,
        "",
        "mainstay: the audit log cannot be read: not a regular file\nhint: the journal still has what holds now; the file is DIR/state/audit.jsonl\n",
    );
}
