//! Instances: `scale`, and the rolling restart.

use crate::rig::{LIVES, Rig};

fn web() -> Rig {
    Rig::new(&format!("name = \"t\"\n[service.web]\n{LIVES}\ninstances = 2\n[service.one]\n{LIVES}\n"))
}

#[test]
fn scale_adds_and_removes_and_the_file_has_the_last_word() {
    let rig = web();
    let (first, second) = (rig.pid("web#1"), rig.pid("web#2"));
    let would = rig.ok(&["scale", "web=4", "one=2", "--dry-run"]);
    assert!(would.contains("~ web  instances 2 -> 4") && would.contains("~ one"), "{would}");
    assert_eq!(rig.count(""), "3/3/0/3");
    let said = rig.ok(&["scale", "web=4", "one=2"]);
    assert!(said.contains("3 added"), "{said}");
    assert_eq!(rig.which(""), ["one#2 pid", "one pid", "web#4 pid", "web#3 pid", "web#2 pid", "web#1 pid"]);
    assert_eq!((rig.pid("web#1"), rig.pid("web#2")), (first, second));
    let said = rig.ok(&["scale", "web=1"]);
    assert!(said.contains("3 removed"), "{said}");
    assert_eq!(rig.pid("web#1"), first);
    let would = rig.ok(&["reload", "--dry-run"]);
    assert!(would.contains("instances 1 -> 2"), "{would}");
    rig.ok(&["reload"]);
    assert_eq!(rig.which(""), ["one pid", "web#2 pid", "web#1 pid"]);
}

#[test]
fn under_otps_semantics_a_scale_is_done_by_calls() {
    let rig = Rig::otp(3, &format!("[service.web]\n{LIVES}\ninstances = 2\n[service.\"w@\"]\n{LIVES}\n"));
    let first = rig.pid("web#1");
    rig.ok(&["start-child", "w@1"]);
    rig.ok(&["scale", "web=4"]);
    assert_eq!(rig.which(""), ["w@1 pid", "web#4 pid", "web#3 pid", "web#2 pid", "web#1 pid"]);
    let said = rig.ok(&["scale", "web=1"]);
    assert!(said.contains("3 removed"), "{said}");
    assert_eq!(rig.which(""), ["w@1 pid", "web#1 pid"]);
    assert_eq!(rig.pid("web#1"), first);
    assert_eq!(rig.count(""), "2/2/0/2");
}

#[test]
fn what_cannot_be_scaled_is_said_and_nothing_changes() {
    let rig = web();
    rig.fails(4, &["scale", "wbe=2"]);
    rig.fails(1, &["scale", "web=1000000"]);
    rig.fails(2, &["scale", "web"]);
    rig.fails(4, &["scale", "web=5", "nobody=2"]);
    assert_eq!(rig.count(""), "3/3/0/3");
}

#[test]
fn a_rolling_restart_has_at_most_so_many_away() {
    let rig = Rig::new(
        "name = \"t\"\n[service.web]\ncommand = [\"sh\", \"-c\", \"echo on; exec sleep 100000\"]\nready = { output = \"on\" }\ninstances = 8\n",
    );
    let old: Vec<i32> = (1..=8).map(|n| rig.pid(&format!("web#{n}"))).collect();
    for (words, at_once) in
        [(&["--at-once", "2"][..], 2), (&["--share", "25%"], 2), (&[], 1), (&["--share", "30%"], 3)]
    {
        let cursor = rig.cursor();
        let mut all = vec!["restart", "--rolling", "web"];
        all.extend(words);
        let said = rig.ok(&all);
        assert!(said.contains("restarted 8 of 8"), "{said}");
        let (mut away, mut most) = (0, 0);
        for event in rig.project.events(&cursor) {
            match event["kind"].as_str().unwrap() {
                "stopping" => away += 1,
                "ready" => away -= 1,
                _ => {}
            }
            most = most.max(away);
        }
        assert_eq!((most, away), (at_once, 0), "{words:?}");
    }
    assert!((1..=8).all(|n| !old.contains(&rig.pid(&format!("web#{n}")))));
}

#[test]
fn a_rolling_restart_stops_at_the_first_that_does_not_come_back() {
    let rig = Rig::prepared(
        "name = \"t\"\n[service.web]\ncommand = \"./svc\"\nready = { output = \"on\" }\ninstances = 3\n",
    );
    rig.script("svc", "echo on; exec sleep 100000");
    rig.project.start();
    rig.script("svc", "exit 9");
    let last = rig.pid("web#3");
    let said = rig.fails(1, &["restart", "--rolling", "web"]);
    assert!(said.contains("web#1 did not come up again"), "{said}");
    assert_eq!(rig.pid("web#3"), last);
}
