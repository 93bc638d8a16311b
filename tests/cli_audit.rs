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

#[test]
fn all_changes_are_shown_the_newest_first_with_actor_reason_and_what_else_became_true() {
    let (project, _) = written();
    check(&project, "audit show", 0, "", "");
    check(&project, "audit show -n 1", 0, "", "");
    check(&project, "audit show -n 0", 0, "", "");
    check(&project, "flag log search", 0, "", "");
    check(&project, "flag log flag-5", 0, "", "");
}

#[test]
fn in_json_each_change_is_an_object() {
    let (project, _) = written();
    check(&project, "audit show --json", 0, "", "");
}

#[test]
fn a_log_of_nothing_is_shown_and_verified() {
    let project = Project::new("name = \"shop\"\n");
    check(&project, "audit show", 0, "", "");
    check(&project, "audit show --json", 0, "", "");
    check(&project, "audit verify", 0, "", "");
}

#[test]
fn a_sound_log_is_proven_with_its_digest() {
    let (project, log) = written();
    check(&project, "audit verify", 0, "", "");
    check(&project, "audit verify --json", 0, "", "");
}

#[test]
fn a_damaged_log_is_refused_at_its_line_and_what_is_whole_is_still_shown() {
    let (project, log) = written();
    let sound = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = sound.lines().collect();
    let damaged = |text: String| std::fs::write(&log, text).unwrap();
}
