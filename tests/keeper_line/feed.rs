//! Events about lives, for a keeper that asks for them.

use crate::rig::{Rig, WEB};
use crate::support::kill;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;

fn seq(event: &Value) -> u64 {
    event["seq"].as_u64().unwrap()
}

/// What must be the same of an event, whoever tells it.
fn same(events: &[Value]) -> Vec<String> {
    let one = |event: &Value| format!("{} {} {}", event["seq"], event["instance"], event["kind"]);
    events.iter().map(one).collect()
}

/// What `events` shows about instances and groups of the user.
fn about_lives(rig: &Rig, after: &str) -> Vec<Value> {
    let all = rig.project.events(after).into_iter();
    let builtin =
        |event: &Value| event["instance"].as_str().is_some_and(|name| name.starts_with("mainstay."));
    let tree = |event: &Value| event["instance"] == "" && event["kind"] != "group_restarting";
    all.filter(|event| !builtin(event) && !tree(event)).collect()
}

/// A service that is up again.
fn is_up(event: &Value, instance: &str) -> bool {
    event["instance"] == instance && event["kind"] == "up"
}

pub fn kept_then_live() {
    let rig = Rig::new(WEB);
    let mut keeper = rig.start_all();
    keeper.greeting();
    keeper.say("changed checkout off on");
    rig.project.kill_and_wait("db", "up");
    let kept = about_lives(&rig, "0");
    assert!(kept.len() > 8, "{kept:?}");
    keeper.say("feed 0");
    let newest = seq(kept.last().unwrap());
    let fed = keeper.events(|event| seq(event) == newest);
    assert_eq!(same(&fed), same(&kept), "all of them, in their order, and nothing else");

    let cursor = rig.project.cursor();
    let (_, pid) = rig.project.kill_and_wait("web#2", "up");
    let live = keeper.events(|event| is_up(event, "web#2"));
    assert_eq!(same(&live), same(&about_lives(&rig, &cursor)));
    let exited = live.iter().find(|event| event["kind"] == "exited").unwrap();
    assert_eq!((&exited["signal"], &exited["abnormal"]), (&"SIGKILL".into(), &true.into()));
    assert!(pid > 0 && exited["mono_ns"].as_u64().unwrap() > 0);

    keeper.say("enough");
    rig.project.kill_and_wait("web#1", "up");
    let cursor = rig.project.cursor();
    keeper.say(&format!("feed {cursor}"));
    rig.project.kill_and_wait("db", "up");
    let after = keeper.events(|event| is_up(event, "db"));
    assert!(
        after.iter().all(|event| event["instance"] == "db"),
        "web#1 died when nobody was told: {after:?}"
    );
}

pub fn missed() {
    let rig = Rig::new(WEB);
    let mut keeper = rig.start_all();
    keeper.greeting();
    // So many that nothing of the beginning is left.
    keeper.say("flood 8300");
    rig.project.kill_and_wait("db", "up");
    keeper.say("feed 0");
    let before = keeper.until(|line| line.starts_with("event "));
    let missed: Vec<&str> = before.iter().filter_map(|line| line.strip_prefix("missed ")).collect();
    let newest: u64 = rig.project.cursor().parse().unwrap();
    assert_eq!(missed, [(newest - 8192).to_string()], "all but those that are kept");
}

pub fn held() {
    let rig = Rig::new(WEB);
    let mut keeper = rig.start_all();
    keeper.greeting();
    keeper.say("feed 0");
    keeper.say("hold");
    let supervisor = rig.project.supervisor();
    let descriptors = || fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap().count();
    let before = descriptors();
    // More than its line takes: each death is five messages.
    for _ in 0..150 {
        rig.project.kill_and_wait("db", "up");
    }
    assert!(descriptors() <= before + 70, "{before}, then {}: no box is held for it", descriptors());
    rig.project.mainstay(&["flag", "list"]);
    let newest = seq(about_lives(&rig, "0").last().unwrap());
    let mut fed = Vec::new();
    let before = keeper.say("release");
    fed.extend(before.iter().filter_map(|line| line.strip_prefix("event ").map(str::to_owned)));
    let rest = keeper.events(|event| seq(event) == newest);
    let mut numbers: Vec<u64> = fed.iter().map(|text| seq(&serde_json::from_str(text).unwrap())).collect();
    numbers.extend(rest.iter().map(seq));
    let expected: Vec<u64> = about_lives(&rig, "0").iter().map(seq).collect();
    assert!(expected.ends_with(&numbers) && numbers.len() > 400, "none is missing: {}", numbers.len());
}

pub fn none_for_a_new_life() {
    let rig = Rig::new(WEB);
    let mut keeper = rig.start_all();
    keeper.greeting();
    keeper.say("feed 0");
    kill(rig.project.pid("mainstay.keeper"), Signal::SIGKILL);
    let mut keeper = rig.next_life();
    keeper.greeting();
    rig.project.kill_and_wait("db", "up");
    let said = keeper.say("enough");
    assert!(said.iter().all(|line| !line.starts_with("event ")), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("life 6 ")), "{said:?}");
}
