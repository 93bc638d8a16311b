//! `flag on|get|wait|watch` of a board that the test writes itself: they need neither keeper nor supervisor.

use crate::support::Project;
use mainstay::board::{Entry, Writer};
use mainstay::flags::{Truth, Value};
use mainstay::store::{Change, Set, Store};
use mainstay::time::Wall;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::sync::mpsc;

fn board(flags: &[(&str, Value)]) -> (Project, Writer) {
    let project = Project::new("name = \"shop\"\n");
    let runtime = project.path("run");
    std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o711)).unwrap();
    let entries: Vec<Entry> = flags.iter().map(|(name, value)| Entry::new(name, *value)).collect();
    let writer = Writer::create(&runtime, &entries, 0).unwrap().0;
    (project, writer)
}

/// A program that ends with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Its code, answered in a hurry and the long way; nothing is ever printed.
#[track_caller]
fn on(project: &Project, words: &str) -> i32 {
    let code = |line: String| {
        let outcome = project.mainstay(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(outcome.stdout, "", "{line}");
        outcome.code
    };
    let (fast, slow) = (code(format!("flag on {words}")), code(format!("--json flag on {words}")));
    assert_eq!(fast, slow, "{words}");
    fast
}

#[test]
fn flag_on_is_0_when_it_is_on_and_1_when_it_is_off_whatever_the_caller_thinks_and_2_when_nobody_knows_it() {
    let (project, mut writer) = board(&[("yes", Value::On), ("no", Value::Off), ("mute", Value::On)]);
    writer.set("mute", Truth { value: Value::On, disabled: true }.into()).unwrap();
    for (words, code) in [
        ("yes", 0),
        ("no", 1),
        ("yes --default off", 0),
        ("no --default on", 1),
        ("mute", 1),
        ("mute --default on", 0),
        ("mute --default off", 1),
        ("nobody", 2),
        ("nobody --default on", 2),
        ("nobody --default off", 2),
    ] {
        assert_eq!(on(&project, words), code, "{words}");
    }
    let unknown = project.mainstay(&["flag", "on", "nobody"]).stderr;
    assert!(unknown.starts_with("mainstay: no flag `nobody`"), "{unknown}");
    let get = project.mainstay(&["flag", "get", "nobody"]);
    assert_eq!((get.code, get.stdout.as_str()), (4, ""), "{}", get.stderr);
}

#[test]
fn where_no_flag_can_be_read_flag_on_says_so_and_the_callers_word_holds() {
    let project = Project::new("name = \"shop\"\n");
    for (words, code) in [("x", 2), ("x --default on", 0), ("x --default off", 1)] {
        assert_eq!(on(&project, words), code, "{words}");
    }
    let said = project.mainstay(&["flag", "on", "x", "--default", "on"]).stderr;
    assert!(said.starts_with("mainstay: no flag can be read: "), "{said}");
    assert!(said.ends_with("; taken as on\n"), "{said}");
    let get = project.mainstay(&["flag", "get", "x"]);
    assert_eq!((get.code, get.stdout.as_str()), (1, ""), "{}", get.stderr);
}

#[test]
fn flag_wait_ends_when_the_flag_is_so_and_with_a_timeout_when_it_is_not() {
    let (project, mut writer) = board(&[("x", Value::Off)]);
    let late = project.mainstay(&["flag", "wait", "x", "--until", "on", "--timeout", "1ms"]);
    assert_eq!((late.code, late.stdout.as_str()), (124, ""));
    assert!(late.stderr.contains("waited 1 ms for flag `x` to be on: it is off"), "{}", late.stderr);
    let mut waits = project.command(&["flag", "wait", "x", "--until", "on", "--timeout", "60s"]);
    let mut waits = Running(waits.spawn().unwrap());
    writer.set("x", Value::of_share(50_000).into()).unwrap();
    writer.set("x", Value::On.into()).unwrap();
    assert_eq!(waits.0.wait().unwrap().code(), Some(0));
}

#[test]
fn flag_watch_shows_what_was_asked_for_and_names_who_did_it_only_where_the_journal_says_the_same() {
    let (project, mut writer) = board(&[("0", Value::Off), ("x", Value::Off)]);
    let share = Value::of_share(12_500);
    let set = Set { flag: "x".into(), truth: Some(share.into()), old: None, salt: String::new() };
    let change = Change {
        generation: 1,
        request: 0,
        uid: 1000,
        actor: "ana".into(),
        verb: "flag percent x 12.5".into(),
        reason: "SHOP-812".into(),
        time: Wall(0),
        sets: vec![set],
        facts: Vec::new(),
    };
    Store::open(&project.path("state")).commit(&[change]).unwrap();
    let mut watch = project.command(&["flag", "watch", "x", "--json"]);
    let mut watch = Running(watch.stdout(Stdio::piped()).spawn().unwrap());
    let (seen, lines) = mpsc::channel();
    let stdout = BufReader::new(watch.0.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        for line in stdout.lines() {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            if seen.send(line).is_err() {
                return;
            }
        }
    });
    // It has begun when it shows something; what is set while nobody has seen it is shown as one.
    let mut number = 0;
    while lines.try_recv().is_err() {
        number += 1;
        writer.set("x", Value::of_share(number % 1000 + 1).into()).unwrap();
        std::thread::yield_now();
    }
    let next = |writer: &mut Writer, value: Value| {
        // Of this nobody wants to know, though it comes first by its name.
        writer.set_all(&[("0", value.into()), ("x", value.into())]).unwrap();
        loop {
            let line = lines.recv().unwrap();
            assert_eq!(line["flag"], "x");
            if line["new"] == value.to_string() {
                return (line["actor"].clone(), line["reason"].clone());
            }
        }
    };
    assert_eq!(next(&mut writer, share), ("ana".into(), "SHOP-812".into()));
    assert_eq!(next(&mut writer, Value::On), ("".into(), "".into()), "that was somebody else");
    assert_eq!(next(&mut writer, share), ("ana".into(), "SHOP-812".into()));
    drop(watch);
    reader.join().unwrap();
}
