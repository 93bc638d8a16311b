//! D: pools; J05.

use crate::rig::{LIVES, Rig};
use crate::support::{gone, kill, pidfd};
use nix::sys::signal::Signal;

fn pool(more: &str) -> Rig {
    Rig::new(&format!(
        "name = \"t\"\n[group.jobs]\nstrategy = \"pool\"\nsemantics = \"otp\"\nintensity = 5\nperiod = \"1m\"\n{more}\n\
         [service.other]\n{LIVES}\n"
    ))
}

fn simple() -> Rig {
    pool(&format!("[service.\"job@\"]\ngroup = \"jobs\"\n{LIVES}"))
}

/// Starts one more, and gives its pid.
#[track_caller]
fn add(rig: &Rig, words: &[&str]) -> i32 {
    let mut all = vec!["start-child", "@jobs", "--json"];
    all.extend(words);
    let said: serde_json::Value = serde_json::from_str(&rig.ok(&all)).unwrap();
    rig.pid(said["instances"][0]["instance"].as_str().unwrap())
}

#[track_caller]
fn pids(rig: &Rig) -> Vec<i32> {
    rig.members("@jobs").iter().filter_map(|line| i32::try_from(line["child"].as_i64()?).ok()).collect()
}

#[test]
fn d01_c20_members_have_no_id_and_specs_is_always_one() {
    let rig = simple();
    assert_eq!(rig.count("@jobs"), "1/0/0/0");
    add(&rig, &[]);
    assert_eq!(rig.count("@jobs"), "1/1/0/1");
    add(&rig, &[]);
    assert_eq!(rig.count("@jobs"), "1/2/0/2");
    assert!(rig.members("@jobs").iter().all(|line| line["id"].is_null() && line["child"].is_number()));
}

#[test]
fn d02_d06_d07_a_name_is_refused() {
    let rig = simple();
    let pid = add(&rig, &[]);
    let said = rig.fails(1, &["terminate", "job@1"]);
    assert!(said.contains(&format!("mainstay terminate @jobs --pid {pid}")), "{said}");
    for verb in ["restart-child", "delete-child", "which"] {
        let said = rig.fails(1, &[verb, "job@1"]);
        assert!(said.contains("pool"), "{verb}: {said}");
    }
    rig.fails(1, &["start-child", "job@1"]);
    assert_eq!(pids(&rig), [pid]);
}

#[test]
fn d03_d04_d05_a_pid_names_a_member_and_nobody_else() {
    let rig = simple();
    let (first, second) = (add(&rig, &[]), add(&rig, &[]));
    rig.ok(&["terminate", "@jobs", "--pid", &first.to_string()]);
    gone(first);
    assert_eq!(pids(&rig), [second]);
    // D04: it has ended, as was asked for.
    rig.ok(&["terminate", "@jobs", "--pid", &first.to_string()]);
    // D05
    let foreign = rig.pid("other");
    rig.fails(4, &["terminate", "@jobs", "--pid", &foreign.to_string()]);
    rig.fails(4, &["terminate", "--pid", &foreign.to_string()]);
    rig.fails(4, &["which", "--pid", &foreign.to_string()]);
    assert_eq!(rig.pid("other"), foreign);
    assert_eq!(rig.count("@jobs"), "1/1/0/1");
}

#[test]
fn d08_a06_arguments_come_after_the_templates_own() {
    let rig = pool(
        "[service.\"job@\"]\ngroup = \"jobs\"\ncommand = [\"sh\", \"-c\", \"exec sleep 100000\", \"own\", \"%i\"]\nrestart = \"temporary\"",
    );
    let pid = add(&rig, &["--", "one more", "two"]);
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    // The shell has been replaced by then, or not: what it was given stands in the event.
    let started = rig.project.events("0").into_iter().rfind(|event| event["kind"] == "starting").unwrap();
    assert_eq!(started["command"], "sh -c exec sleep 100000 own 1 one more two", "{line:?}");
    let spec = rig.ok(&["which", "--pid", &pid.to_string(), "--json"]);
    let spec: serde_json::Value = serde_json::from_str(&spec).unwrap();
    assert_eq!((&spec["restart"], &spec["shutdown"]), (&"temporary".into(), &"5s".into()));
}

#[test]
fn d09_c15_a_start_that_fails_keeps_nothing() {
    let rig = pool("[service.\"job@\"]\ngroup = \"jobs\"\ncommand = \"./svc\"");
    let said = rig.fails(1, &["start-child", "@jobs"]);
    assert!(said.contains("executing `./svc`: No such file or directory"), "{said}");
    assert_eq!(rig.count("@jobs"), "1/0/0/0");
}

#[test]
fn d10_exactly_the_one_that_died_is_replaced_and_the_limit_is_the_pools() {
    let rig = pool(&format!("[service.\"job@\"]\ngroup = \"jobs\"\n{LIVES}"));
    let (first, second) = (add(&rig, &[]), add(&rig, &[]));
    let cursor = rig.cursor();
    kill(first, Signal::SIGKILL);
    rig.happens(&cursor, "job@1", "up");
    assert_ne!(rig.pid("job@1"), first);
    assert_eq!(rig.pid("job@2"), second);
    let mut after = rig.cursor();
    for _ in 0..4 {
        rig.kill("job@1", Signal::SIGKILL);
        rig.happens(&after, "job@1", "up");
        after = rig.cursor();
    }
    rig.kill("job@1", Signal::SIGKILL);
    rig.until(&after, "the end of the pool", |event| {
        event["kind"] == "limit_reached" && event["service"] == "jobs"
    });
    gone(second);
}

#[test]
fn d16_d27_a_pool_is_stopped_at_once_and_not_one_by_one() {
    let deaf = "command = [\"sh\", \"-c\", \"trap '' TERM; echo on; exec sleep 100000\"]\nready = { output = \"on\" }\nstop = { grace = \"300ms\" }";
    let rig = pool(&format!("[service.\"job@\"]\ngroup = \"jobs\"\n{deaf}"));
    let members: Vec<i32> = (0..4).map(|_| add(&rig, &[])).collect();
    let cursor = rig.cursor();
    rig.ok(&["stop", "@jobs"]);
    members.iter().for_each(|pid| gone(*pid));
    // All were asked before the first was killed.
    let kinds: Vec<String> = rig
        .project
        .events(&cursor)
        .into_iter()
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .filter(|kind| kind == "stopping" || kind == "killing")
        .collect();
    assert_eq!(kinds, [["stopping"; 4], ["killing"; 4]].concat());
}

#[test]
fn d20_the_limit_counts_those_that_wait_for_their_next_try() {
    let rig = Rig::new(&format!(
        "name = \"t\"\n[group.jobs]\nstrategy = \"pool\"\nmax_children = 1\n[service.\"job@\"]\ngroup = \"jobs\"\n{LIVES}\n\
         backoff = {{ first = \"1h\", base = \"1h\" }}\n"
    ));
    let pid = add(&rig, &[]);
    let said = rig.fails(1, &["start-child", "@jobs"]);
    assert!(said.contains("its pool has the 1 member it may have"), "{said}");
    let cursor = rig.cursor();
    kill(pid, Signal::SIGKILL);
    rig.happens(&cursor, "job@1", "backing_off");
    rig.fails(1, &["start-child", "@jobs"]);
    assert_eq!(rig.count("@jobs"), "1/0/0/1");
}

#[test]
fn d21_a_limit_that_was_lowered_leaves_those_that_run() {
    let rig = simple();
    let (first, second) = (add(&rig, &[]), add(&rig, &[]));
    let text = rig
        .project
        .read("mainstay.toml")
        .replace("strategy = \"pool\"", "strategy = \"pool\"\nmax_children = 1");
    rig.project.write("mainstay.toml", &text);
    rig.ok(&["reload"]);
    assert_eq!(pids(&rig), [second, first]);
    rig.fails(1, &["start-child", "@jobs"]);
}

#[test]
fn d22_each_member_may_have_its_own_restart_and_grace() {
    let rig = simple();
    let pid = add(&rig, &["--restart", "temporary", "--grace", "kill"]);
    let spec = &rig.members("@jobs")[0];
    assert_eq!((&spec["restart"], &spec["shutdown"]), (&"temporary".into(), &"kill".into()));
    let cursor = rig.cursor();
    kill(pid, Signal::SIGKILL);
    rig.happens(&cursor, "job@1", "removed");
    assert_eq!(rig.count("@jobs"), "1/0/0/0");
    let said = rig.fails(1, &["start-child", "@jobs", "--significant"]);
    assert!(said.contains("a pool has no significant children"), "{said}");
}

#[test]
fn j05_d26_the_old_pid_names_a_member_that_waits_for_its_next_try() {
    let rig = Rig::new(&format!(
        "name = \"t\"\n[group.jobs]\nstrategy = \"pool\"\n[service.\"job@\"]\ngroup = \"jobs\"\n{LIVES}\n\
         backoff = {{ first = \"1h\", base = \"1h\" }}\n"
    ));
    let pid = add(&rig, &[]);
    let cursor = rig.cursor();
    kill(pid, Signal::SIGKILL);
    rig.happens(&cursor, "job@1", "backing_off");
    assert_eq!(rig.which("@jobs"), ["job@1 restarting"]);
    rig.ok(&["terminate", "@jobs", "--pid", &pid.to_string()]);
    assert_eq!(rig.which("@jobs"), Vec::<String>::new());
    assert!(pidfd(pid).is_none());
}

#[test]
fn k11_shutdown_errors_of_a_pool_are_told_once_with_their_number() {
    let wrong = "command = [\"sh\", \"-c\", \"trap 'exit 9' TERM; echo on; while :; do read x < never.ctl; done\"]\nready = { output = \"on\" }";
    let rig = pool(&format!("[service.\"job@\"]\ngroup = \"jobs\"\n{wrong}"));
    rig.pipe("never");
    (0..3).for_each(|_| assert!(add(&rig, &[]) > 0));
    let cursor = rig.cursor();
    rig.ok(&["stop", "@jobs"]);
    let told: Vec<_> =
        rig.project.events(&cursor).into_iter().filter(|event| event["kind"] == "shutdown_errors").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0]["count"].as_i64(), told[0]["how"].as_str()), (Some(3), Some("exited 9")));
}

#[test]
fn c19_a_pool_of_two_hundred_is_counted_exactly_and_is_empty_when_all_are_killed() {
    let rig = pool(&format!(
        "[service.\"job@\"]\ngroup = \"jobs\"\n{LIVES}\nrestart = \"temporary\"\nlog = \"none\""
    ));
    (0..200).for_each(|_| _ = rig.ok(&["start-child", "@jobs", "--no-wait"]));
    assert_eq!(rig.count("@jobs"), "1/200/0/200");
    assert_eq!(rig.count("@jobs"), "1/200/0/200");
    let cursor = rig.cursor();
    pids(&rig).into_iter().for_each(|pid| kill(pid, Signal::SIGKILL));
    let mut left = 200;
    rig.until(&cursor, "the last", |event| {
        left -= i32::from(event["kind"] == "removed");
        left == 0
    });
    assert_eq!(rig.count("@jobs"), "1/0/0/0");
}
