//! How services and the supervisor come to an end, and what is said of them afterwards.

use crate::support::{self, Project, kill};
use nix::sys::signal::Signal;
use std::process::Stdio;

#[test]
fn a_service_at_its_limit_gives_up_and_the_others_live() {
    let project = Project::new(
        r#"
name = "limit"
[service.good]
command = ["sleep", "100000"]
[service.bad]
command = ["sh", "-c", "echo going down >&2; exit 3"]
restart = { policy = "permanent", max = 2, within = "30s" }
backoff = "none"
"#,
    );
    project.mainstay(&["run", "-d"]).ok();
    project.mainstay(&["wait", "bad", "--state", "gave_up", "--timeout", "60s"]).ok();
    let exits =
        project.events("0").iter().filter(|e| e["instance"] == "bad" && e["kind"] == "exited").count();
    assert_eq!(exits, 3, "two restarts are allowed, the death after them ends it");
    let why = project.mainstay(&["why", "bad"]).stdout;
    for text in ["gave up", "exited 3", "going down"] {
        assert!(why.contains(text), "{text:?} is not in {why}");
    }
    assert!(project.pid("good") > 0);
    let crashes = project.mainstay(&["crash", "list", "--json"]).ok();
    assert_eq!(crashes.lines().count(), 3, "{crashes}");
    assert!(project.mainstay(&["crash", "show", "c-3"]).ok().contains("going down"));
}

#[test]
fn a_foreground_run_prints_and_ends_at_ctrl_c() {
    let project = Project::new(
        "name = \"front\"\n[service.talker]\ncommand = [\"sh\", \"-c\", \"echo hello from below; exec sleep 100000\"]\n\
         ready = { output = \"hello\" }\n",
    );
    let child = project.command(&["run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    // The ready line on stderr says that it is there.
    let mut child = child;
    let mut talk = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("all up") {
        let mut line = String::new();
        assert_ne!(std::io::BufRead::read_line(&mut talk, &mut line).unwrap(), 0, "it ended: {seen}");
        seen.push_str(&line);
    }
    kill(pid, Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("hello from below"), "{text}");
    assert_eq!(project.processes(), Vec::<i32>::new());
}

#[test]
fn a_second_signal_hurries() {
    let project = Project::running(
        "name = \"slow\"\n[service.deaf]\ncommand = [\"sh\", \"-c\", \"trap '' TERM; while :; do sleep 1000 & wait; done\"]\n\
         stop = { grace = \"forever\" }\n",
    );
    let supervisor = project.supervisor();
    let end = support::pidfd(supervisor).unwrap();
    let cursor = project.cursor();
    let follow = project
        .command(&["events", "--after", &cursor, "-f", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    kill(supervisor, Signal::SIGTERM);
    let mut follow = follow;
    let mut lines = std::io::BufReader::new(follow.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"stopping\"") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut lines, &mut line).unwrap(), 0);
    }
    kill(supervisor, Signal::SIGTERM);
    support::readable(&end);
    let _ = follow.kill();
    let _ = follow.wait();
    assert_eq!(project.processes(), Vec::<i32>::new());
}

#[test]
fn one_shots_finish_and_are_as_wanted() {
    let project = Project::running(
        r#"
name = "jobs"
[service.migrate]
command = ["sh", "-c", "echo done"]
restart = "transient"
[service.app]
command = ["sleep", "100000"]
needs = ["migrate"]
"#,
    );
    let status = project.status();
    let migrate =
        &status["services"].as_array().unwrap().iter().find(|s| s["instance"] == "migrate").unwrap();
    assert_eq!(migrate["state"], "finished");
    assert_eq!(project.mainstay(&["status"]).code, 0);
}
