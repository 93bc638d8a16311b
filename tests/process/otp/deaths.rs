//! Deaths: of some, of all, of the supervisor, and with helpers left behind.

use crate::sleepers::{SLEEPERS, all_there_once, pids};
use crate::support::{Project, gone, kill};
use mainstay::sys::procfs::environment;
use nix::sys::signal::Signal;
use std::fs;

#[test]
fn q04_any_number_of_processes_in_any_order() {
    let project = Project::running(SLEEPERS);
    project.mainstay(&["flag", "set", "checkout", "on"]).ok();
    let mut seed = 1u64;
    for _ in 0..25 {
        let cursor = project.cursor();
        let mut names = ["mainstay.logger", "mainstay.keeper", "one", "two#1", "two#2", "two#3"]
            .map(String::from)
            .to_vec();
        // A different order and number each time, the same each run.
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        names.rotate_left((seed >> 33) as usize % 6);
        names.truncate(1 + (seed >> 41) as usize % 6);
        let victims: Vec<i32> = names.iter().map(|name| project.pid(name)).collect();
        for pid in &victims {
            kill(*pid, Signal::SIGKILL);
        }
        for name in names {
            project.wait(&name, "up", &cursor);
        }
    }
    assert_eq!(project.mainstay(&["flag", "on", "checkout"]).code, 0);
    all_there_once(&project);
}

#[test]
fn g01_h01_a_group_falls_together() {
    let project = Project::running(
        r#"
name = "groups"
[group.all]
strategy = "one_for_all"
[group.rest]
strategy = "rest_for_one"
[service.a1]
group = "all"
command = ["sleep", "100000"]
[service.a2]
group = "all"
command = ["sleep", "100000"]
[service.r1]
group = "rest"
command = ["sleep", "100000"]
[service.r2]
group = "rest"
command = ["sleep", "100000"]
[service.r3]
group = "rest"
command = ["sleep", "100000"]
"#,
    );
    let pid = |name: &str| project.pid(name);
    let before = ["a1", "a2", "r1", "r2", "r3"].map(pid);
    let cursor = project.cursor();
    kill(before[0], Signal::SIGKILL);
    kill(before[3], Signal::SIGKILL);
    for name in ["a1", "a2", "r2", "r3"] {
        project.wait(name, "up", &cursor);
    }
    let after = ["a1", "a2", "r1", "r2", "r3"].map(pid);
    let kept: Vec<bool> = before.iter().zip(after).map(|(b, a)| *b == a).collect();
    assert_eq!(kept, [false, false, true, false, false]);
    all_there_once(&project);
}

#[test]
fn q06_k02_a_stopped_process_can_be_stopped_and_a_deaf_one_is_killed() {
    let project = Project::running(
        r#"
name = "stop"
[service.frozen]
command = ["sleep", "100000"]
[service.deaf]
command = ["sh", "-c", "trap '' TERM; while :; do sleep 1000 & wait; done"]
stop = { grace = "200ms" }
"#,
    );
    kill(project.pid("frozen"), Signal::SIGSTOP);
    project.mainstay(&["stop", "frozen", "--timeout", "60s"]).ok();
    project.mainstay(&["stop", "deaf", "--timeout", "60s"]).ok();
    let events = project.events("0");
    let exit = |name: &str| {
        events.iter().find(|e| e["instance"] == name && e["kind"] == "exited").unwrap()["signal"].clone()
    };
    assert_eq!((exit("frozen").as_str(), exit("deaf").as_str()), (Some("SIGTERM"), Some("SIGKILL")));
    let status = project.mainstay(&["status"]);
    assert_eq!(status.code, 0, "what was stopped on purpose is as wanted: {status:?}");
    project.mainstay(&["start", "frozen", "deaf"]).ok();
    all_there_once(&project);
}

#[test]
fn q08_s3_helpers_of_a_dead_life_are_gone_before_the_next_begins() {
    let project = Project::running(
        r#"
name = "helpers"
[service.parent]
command = ["sh", "-c", "setsid sleep 100000 & setsid sh -c 'sleep 100001 & wait' & echo $! ; exec sleep 100002"]
backoff = "none"
"#,
    );
    for _ in 0..5 {
        let cursor = project.cursor();
        let before = project.processes();
        kill(project.pid("parent"), Signal::SIGKILL);
        project.wait("parent", "up", &cursor);
        let incarnation =
            project.status()["services"].as_array().unwrap()[0]["incarnation"].as_u64().unwrap();
        for pid in before {
            let environment = environment(pid as u32).unwrap_or_default();
            let text = String::from_utf8_lossy(&environment);
            let old = text.split('\0').any(|v| {
                v.strip_prefix("MAINSTAY_INCARNATION=")
                    .is_some_and(|n| n.parse::<u64>().unwrap() < incarnation)
            });
            assert!(!old || text.contains("MAINSTAY_INSTANCE=mainstay."), "pid {pid} is of an earlier life");
        }
    }
    project.shutdown();
}

#[test]
fn q09_a_death_is_noticed_at_once_though_a_helper_holds_the_output_open() {
    // The helper is deaf and has a quarter of an hour.
    let project = Project::running(
        r#"
name = "open"
[service.parent]
command = ["sh", "-c", "(trap '' TERM; echo deaf; exec sleep 100001) & exec sleep 100002"]
ready = { output = "deaf" }
stop = { grace = "15m" }
backoff = "none"
"#,
    );
    let (main, cursor) = (project.pid("parent"), project.cursor());
    let of_parent = |pid: &i32| {
        let environment = environment(*pid as u32).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == b"MAINSTAY_INSTANCE=parent")
    };
    let helpers = |main: i32| -> Vec<i32> {
        project.processes().into_iter().filter(|pid| of_parent(pid) && *pid != main).collect()
    };
    let held = helpers(main);
    kill(main, Signal::SIGKILL);
    project.wait("parent", "stopping", &cursor);
    let exited = |event: &serde_json::Value| event["kind"] == "exited" && event["signal"] == "SIGKILL";
    assert!(project.events(&cursor).iter().any(exited));
    let [helper] = held[..] else { panic!("one helper, and not {held:?}") };
    let output = fs::read_link(format!("/proc/{helper}/fd/1")).unwrap();
    assert!(output.to_str().unwrap().starts_with("pipe:"), "it has the output open: {output:?}");
    kill(helper, Signal::SIGKILL);
    project.wait("parent", "ready", &cursor);
    // Nor does the end of this test wait a quarter of an hour.
    let held = helpers(project.pid("parent"));
    project.mainstay(&["stop", "parent", "--timeout", "1ms"]);
    held.into_iter().for_each(|helper| kill(helper, Signal::SIGKILL));
}

#[test]
fn q11_what_a_killed_supervisor_left_is_ended_before_the_next_begins() {
    let project = Project::running(SLEEPERS);
    let old = pids(&project);
    let cursor: u64 = project.cursor().parse().unwrap();
    let supervisor = project.supervisor();
    kill(supervisor, Signal::SIGKILL);
    gone(supervisor);
    let unreachable = project.mainstay(&["status"]);
    assert_eq!(unreachable.code, 69, "{unreachable:?}");
    project.start();
    for pid in old {
        assert!(!fs::read(format!("/proc/{pid}/environ")).is_ok_and(|e| !e.is_empty()), "pid {pid} lives on");
    }
    all_there_once(&project);
    // A cursor survives the supervisor's death.
    assert!(project.cursor().parse::<u64>().unwrap() > cursor);
}
