//! Whatever is killed, together or one by one, is there again, once.

use crate::sleepers::{SLEEPERS, all_there_once, pids, wait_for_all};
use crate::support::{Project, kill, outcome};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn s2_the_supervisor_has_one_thread() {
    let project = Project::running(SLEEPERS);
    project.kill_and_wait("one", "up");
    let threads = fs::read_dir(format!("/proc/{}/task", project.supervisor())).unwrap().count();
    assert_eq!(threads, 1);
}

#[test]
fn a_killed_service_is_replaced_and_the_others_keep_their_pids() {
    let project = Project::running(SLEEPERS);
    let others: Vec<i32> = ["two#1", "two#2", "two#3"].map(|n| project.pid(n)).to_vec();
    let cursor = project.cursor();
    project.kill_and_wait("one", "up");
    assert_eq!(["two#1", "two#2", "two#3"].map(|n| project.pid(n)).to_vec(), others);
    let exits: Vec<_> = project.events(&cursor).into_iter().filter(|e| e["kind"] == "exited").collect();
    assert_eq!(exits.len(), 1, "{exits:?}");
    assert_eq!((exits[0]["instance"].as_str(), exits[0]["signal"].as_str()), (Some("one"), Some("SIGKILL")));
    assert_eq!(exits[0]["crash"], 1);
    all_there_once(&project);
}

#[test]
fn news_that_the_logger_had_not_taken_when_it_was_killed_are_in_the_log_once() {
    let project = Project::running(SLEEPERS);
    let logger = project.pid("mainstay.logger");
    kill(logger, Signal::SIGSTOP);
    for name in ["early", "late"] {
        project.mainstay(&["start-child", name, "--", "sleep", "100000"]).ok();
        project.mainstay(&["terminate", name]).ok();
    }
    let cursor = project.cursor();
    kill(logger, Signal::SIGKILL);
    project.wait("mainstay.logger", "up", &cursor);
    project.shutdown();
    let log = project.read("log/mainstay.log");
    for name in ["early", "late"] {
        let told = log.lines().filter(|line| line.ends_with(&format!(" {name} --- stopped"))).count();
        assert_eq!(told, 1, "{name}: {log}");
    }
}

#[test]
fn every_built_in_may_be_killed_any_number_of_times() {
    let project = Project::running(SLEEPERS);
    let services: Vec<i32> = ["one", "two#1"].map(|n| project.pid(n)).to_vec();
    project.mainstay(&["flag", "set", "checkout", "on"]).ok();
    for _ in 0..10 {
        for builtin in ["mainstay.keeper", "mainstay.logger"] {
            project.kill_and_wait(builtin, "up");
        }
        assert_eq!(project.mainstay(&["flag", "on", "checkout"]).code, 0);
        assert_eq!(project.mainstay(&["flag", "on", "search"]).code, 0);
    }
    assert_eq!(["one", "two#1"].map(|n| project.pid(n)).to_vec(), services);
    all_there_once(&project);
}

/// DESIGN, "The board": all services killed, everything in the runtime directory deleted, and somebody
/// reads and sets flags in the same instant. `EXTREME_ROUNDS` says how often (10 unless said).
#[test]
fn graceful_degradation_under_extreme_failure() {
    let rounds = std::env::var("EXTREME_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(10);
    let project = Project::running(SLEEPERS);
    for round in 0..rounds {
        let on = round % 2 == 0;
        project.mainstay(&["flag", "set", "checkout", if on { "on" } else { "off" }]).ok();
        let cursor = project.cursor();
        for pid in pids(&project) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
        }
        for entry in fs::read_dir(project.path("run")).unwrap() {
            let path = entry.unwrap().path();
            // A name that the supervisor has just made again may be gone or new: either is fine.
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
        let read = project.mainstay(&["flag", "on", "checkout"]);
        assert_eq!(read.code, i32::from(!on), "round {round}: {read:?}");
        let search = project.mainstay(&["flag", "on", "search"]);
        assert_eq!(search.code, 0, "round {round}: {search:?}");
        let set = project.mainstay(&["flag", "set", "checkout", if on { "off" } else { "on" }]);
        assert_eq!(set.code, 0, "round {round}: {set:?}");
        let read = project.mainstay(&["flag", "on", "checkout"]);
        assert_eq!(read.code, i32::from(on), "round {round}, after the set: {read:?}");
        wait_for_all(&project, &cursor);
        all_there_once(&project);
    }
    project.shutdown();
}

#[test]
fn without_cgroups_helpers_are_found_by_group_and_session() {
    if !nix::unistd::Uid::effective().is_root() {
        // Then every other test of this program runs without cgroups.
        return;
    }
    use std::os::unix::process::CommandExt;
    let project = Project::new(
        r#"
name = "nobody"
[service.parent]
command = ["sh", "-c", "setsid sleep 100000 & sleep 100001 & echo forked; exec sleep 100002"]
ready = { output = "forked" }
backoff = "none"
"#,
    );
    fs::set_permissions(project.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    for sub in ["run", "state", "log"] {
        std::os::unix::fs::chown(project.path(sub), Some(65534), Some(65534)).unwrap();
    }
    let as_nobody = |args: &[&str]| outcome(project.command(args).uid(65534).gid(65534));
    as_nobody(&["run", "-d", "--wait"]).ok();
    let cursor = as_nobody(&["cursor"]).ok();
    let before = project.processes();
    assert!(before.len() >= 4, "{before:?}");
    let old: i32 = as_nobody(&["pid", "parent"]).ok().trim().parse().unwrap();
    kill(old, Signal::SIGKILL);
    as_nobody(&["wait", "parent", "--state", "up", "--after", cursor.trim(), "--timeout", "60s"]).ok();
    let sleeps = |pids: Vec<i32>| {
        pids.into_iter()
            .filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c.trim() == "sleep"))
            .collect::<Vec<_>>()
    };
    for pid in sleeps(before) {
        assert!(!project.processes().contains(&pid), "helper {pid} outlived its life");
    }
    as_nobody(&["shutdown"]).ok();
    assert_eq!(project.processes(), Vec::<i32>::new());
}
