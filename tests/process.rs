//! The whole thing with real processes: what must hold whatever is killed, deleted or damaged.

mod support;

use nix::sys::signal::Signal;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use support::{Project, Small, gone, kill, outcome};

const SLEEPERS: &str = r#"
name = "sleepers"
[defaults]
restart = { policy = "permanent", max = 100000, within = "1s" }
backoff = "none"
[service.one]
command = ["sleep", "100000"]
[service.two]
command = ["sleep", "100000"]
instances = 3
[flag.checkout]
default = false
[flag.search]
default = true
"#;

/// The pids of all processes that `status` names, built-ins included.
fn pids(project: &Project) -> Vec<i32> {
    let status = project.status();
    let services = status["services"].as_array().unwrap().iter();
    services.filter_map(|s| s["pid"].as_i64()).filter(|p| *p > 0).map(|p| i32::try_from(p).unwrap()).collect()
}

/// Every wanted instance is up, once, and no child of the supervisor is dead or unknown.
#[track_caller]
fn all_there_once(project: &Project) {
    let status = project.status();
    let supervisor = status["supervisor_pid"].as_i64().unwrap();
    let mut known = Vec::new();
    // Who begins asleep and was not needed has no process.
    let sleeps = |service: &&serde_json::Value| {
        service["instance"].as_str().unwrap().starts_with("mainstay.") && service["state"] == "stopped"
    };
    for service in status["services"].as_array().unwrap().iter().filter(|service| !sleeps(service)) {
        assert!(matches!(service["state"].as_str(), Some("up" | "ready")), "{service}");
        known.push(service["pid"].as_i64().unwrap());
    }
    let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).unwrap();
    let mut children: Vec<i64> = children.split_whitespace().map(|p| p.parse().unwrap()).collect();
    children.sort_unstable();
    known.sort_unstable();
    assert_eq!(children, known, "children of the supervisor, and what status names");
}

#[track_caller]
fn wait_for_all(project: &Project, after: &str) {
    for name in ["mainstay.logger", "mainstay.keeper", "one", "two#1", "two#2", "two#3"] {
        project.wait(name, "up", after);
    }
}

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
        // Then every other test of this file runs without cgroups.
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

#[test]
fn a_second_run_of_the_same_project_is_told_who_runs_already() {
    let project = Project::running(SLEEPERS);
    for args in [&["run"][..], &["run", "-d"]] {
        let second = project.mainstay(args);
        assert_eq!(second.code, 75, "{second:?}");
        assert!(second.stderr.contains(&format!("pid {}", project.supervisor())), "{second:?}");
    }
    all_there_once(&project);
}

#[test]
fn a_stale_socket_is_replaced() {
    let project = Project::new(SLEEPERS);
    fs::create_dir(project.path("run/control")).unwrap();
    fs::set_permissions(project.path("run/control"), fs::Permissions::from_mode(0o700)).unwrap();
    for name in ["run/control/supervisor", "run/control/keeper"] {
        drop(std::os::unix::net::UnixListener::bind(project.path(name)).unwrap());
    }
    project.write("run/notify", "not even a socket");
    project.start();
    all_there_once(&project);
}

/// A service that cannot start: its message, and that the others run.
#[track_caller]
fn cannot_start(service: &str, expected: &[&str]) {
    let project = Project::new(&format!(
        "name = \"broken\"\n[service.good]\ncommand = [\"sleep\", \"100000\"]\n[service.bad]\n{service}\n\
         restart = {{ max = 1, within = \"30s\" }}\nbackoff = \"none\"\n"
    ));
    let run = project.mainstay(&["run", "-d", "--wait", "--timeout", "60s"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("bad"), "{run:?}");
    assert!(project.pid("good") > 0);
    let status = project.mainstay(&["status"]);
    assert_eq!(status.code, 3, "{status:?}");
    let why = project.mainstay(&["why", "bad"]);
    for text in expected {
        assert!(why.stdout.contains(text), "{text:?} is not in: {}", why.stdout);
    }
}

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
fn it_works_with_an_empty_environment_and_closed_stdin() {
    let project = Project::new(
        "name = \"bare\"\n[service.shell]\ncommand = [\"/bin/sh\", \"-c\", \"read x || echo end of input; exec /bin/sleep 100000\"]\n\
         ready = { output = \"end of input\" }\n",
    );
    let variables =
        ["RUNTIME_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY"].iter().zip(["run", "state", "log"]);
    let assignments: Vec<String> =
        variables.map(|(n, d)| format!("{n}={}", project.path(d).display())).collect();
    let script = format!(
        "exec 0<&-; exec env -i {} {} run -d --wait",
        assignments.join(" "),
        env!("CARGO_BIN_EXE_mainstay")
    );
    let run = outcome(std::process::Command::new("sh").args(["-c", &script]).current_dir(project.folder()));
    assert_eq!(run.code, 0, "{run:?}");
    all_there_once(&project);
}

#[test]
fn it_works_in_a_path_of_200_characters_with_spaces() {
    let parent = tempfile::tempdir().unwrap();
    let long = parent.path().join("with a space ".repeat(8).trim()).join("x".repeat(120));
    fs::create_dir_all(&long).unwrap();
    let project = Project::inside(&long, SLEEPERS);
    assert!(project.path("run/control/supervisor").as_os_str().len() > 200);
    project.start();
    project.mainstay(&["flag", "set", "checkout", "on"]).ok();
    assert_eq!(project.mainstay(&["flag", "on", "checkout"]).code, 0);
    all_there_once(&project);
    project.shutdown();
}

#[test]
fn a_service_may_have_100_kib_of_arguments() {
    let words: Vec<String> = (0..1000).map(|n| format!("\"{n:0>100}\"")).collect();
    let project = Project::running(&format!(
        "name = \"long\"\n[service.long]\ncommand = [\"sh\", \"-c\", \"echo got $# arguments; exec sleep 100000\", \"sh\", {}]\n\
         ready = {{ output = \"got 1000 arguments\" }}\n",
        words.join(", ")
    ));
    assert!(project.mainstay(&["status"]).ok().contains("long"));
}

#[test]
fn random_bytes_on_the_control_socket_change_nothing() {
    let project = Project::running(SLEEPERS);
    let before = pids(&project);
    let mut seed = 7u64;
    for _ in 0..300 {
        let mut stream = UnixStream::connect(project.path("run/control/supervisor")).unwrap();
        let bytes: Vec<u8> = (0..64)
            .map(|_| {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (seed >> 56) as u8
            })
            .collect();
        // It may be refused and closed while we still write.
        let _ = stream.write_all(&bytes);
    }
    assert_eq!(pids(&project), before);
    all_there_once(&project);
}

/// All that a stream says until it ends, which it must do within a frame or two.
fn answer(stream: &mut UnixStream) -> String {
    const MOST: u64 = 256 << 10;
    let mut text = String::new();
    stream.take(MOST).read_to_string(&mut text).unwrap();
    assert!((text.len() as u64) < MOST, "it goes on and on: {}", &text[..200]);
    text
}

/// It was told so once for each turn of the loop, for ever, by a supervisor that did nothing but turn.
#[test]
fn a_client_that_says_nothing_is_told_so_once_and_let_go() {
    let project = Project::running(SLEEPERS);
    let mut stream = UnixStream::connect(project.path("run/control/supervisor")).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    // A beginning, so that it knows which form to answer in.
    stream.write_all(b"{").unwrap();
    let text = answer(&mut stream);
    assert_eq!(text.lines().count(), 1, "{text:?}");
    assert!(text.contains("refused"), "{text:?}");
    all_there_once(&project);
}

/// The first client's answer closed its connection and took the second from the backlog, into the same slot;
/// then closing the first once more forgot the second, whose request came later and was never read.
#[test]
fn a_client_that_is_accepted_while_another_is_answered_is_answered_too() {
    let project = Project::running(SLEEPERS);
    let supervisor = project.supervisor();
    let connect = || {
        let stream = UnixStream::connect(project.path("run/control/supervisor")).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        stream
    };
    let request = b"{\"request\":\"cursor\"}\n";
    kill(supervisor, Signal::SIGSTOP);
    let mut first = connect();
    first.write_all(request).unwrap();
    let mut second = connect();
    kill(supervisor, Signal::SIGCONT);
    assert!(answer(&mut first).contains("done"));
    second.write_all(request).unwrap();
    let text = answer(&mut second);
    assert!(text.contains("done"), "{text:?}");
}

#[test]
fn a_full_runtime_directory_stops_no_service() {
    let project = Project::new(SLEEPERS);
    let small = Small::new(project.path("run"), "2m");
    project.start();
    small.fill();
    project.kill_and_wait("one", "up");
    project.mainstay(&["flag", "set", "checkout", "on"]).ok();
    assert_eq!(project.mainstay(&["flag", "on", "checkout"]).code, 0);
    fs::remove_file(project.path("run/board")).unwrap();
    assert_eq!(project.mainstay(&["flag", "on", "checkout"]).code, 0);
    all_there_once(&project);
    small.empty();
    project.shutdown();
}

#[test]
fn a_runtime_directory_that_is_full_from_the_start_is_named() {
    let project = Project::new(SLEEPERS);
    let small = Small::new(project.path("run"), "64k");
    small.fill();
    let run = project.mainstay(&["run", "-d", "--wait"]);
    assert_eq!(run.code, 71, "{run:?}");
    assert!(run.stderr.contains("No space left on device") && run.stderr.contains("hint:"), "{run:?}");
}

#[test]
fn a_full_state_directory_refuses_what_it_cannot_keep_and_loses_nothing() {
    let project = Project::new(SLEEPERS);
    let small = Small::new(project.path("state"), "1m");
    project.start();
    project.mainstay(&["flag", "set", "checkout", "on"]).ok();
    small.fill();
    project.kill_and_wait("one", "up");
    project.kill_and_wait("mainstay.keeper", "up");
    assert_eq!(project.mainstay(&["flag", "on", "checkout"]).code, 0);
    small.empty();
    project.mainstay(&["flag", "set", "checkout", "off"]).ok();
    assert_eq!(project.mainstay(&["flag", "on", "checkout"]).code, 1);
    all_there_once(&project);
    project.shutdown();
}

#[test]
fn a_read_only_state_directory_is_named() {
    let project = Project::new(SLEEPERS);
    let small = Small::new(project.path("state"), "1m");
    nix::mount::mount(
        None::<&str>,
        small.path(),
        None::<&str>,
        nix::mount::MsFlags::MS_REMOUNT | nix::mount::MsFlags::MS_RDONLY,
        None::<&str>,
    )
    .unwrap();
    project.start();
    project.kill_and_wait("one", "up");
    let set = project.mainstay(&["flag", "set", "checkout", "on"]);
    assert_eq!(set.code, 1, "{set:?}");
    assert!(set.stderr.contains("Read-only file system"), "{set:?}");
    assert_eq!(project.mainstay(&["flag", "on", "search"]).code, 0);
    project.mainstay(&["flag", "set", "checkout", "on", "--volatile"]).ok();
    assert_eq!(project.mainstay(&["flag", "on", "checkout"]).code, 0);
    project.shutdown();
}

#[test]
fn more_descriptors_than_allowed_are_refused_with_the_arithmetic() {
    let project =
        Project::new("name = \"many\"\n[service.many]\ncommand = [\"sleep\", \"1\"]\ninstances = 1000\n");
    let script = format!("ulimit -n 1024; exec {} run -d --wait", env!("CARGO_BIN_EXE_mainstay"));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).current_dir(project.folder());
    for (name, directory) in
        [("RUNTIME_DIRECTORY", "run"), ("STATE_DIRECTORY", "state"), ("LOGS_DIRECTORY", "log")]
    {
        shell.env(name, project.path(directory));
    }
    let run = outcome(&mut shell);
    assert_eq!(run.code, 71, "{run:?}");
    assert!(run.stderr.contains("1024 are allowed") && run.stderr.contains("1000 instances"), "{run:?}");
}

#[test]
fn a_folder_without_any_file_can_run_a_command() {
    let project = Project::new("");
    fs::remove_file(project.path("mainstay.toml")).unwrap();
    project.mainstay(&["run", "-d", "--wait", "--", "sleep", "100000"]).ok();
    assert!(project.mainstay(&["status"]).ok().contains("sleep"));
    project.kill_and_wait("sleep", "up");
    project.shutdown();
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

#[test]
fn a_status_of_thousands_is_whole() {
    let project = Project::running(
        "name = \"many\"\n[service.many]\ncommand = [\"sleep\", \"1\"]\ninstances = 5000\nautostart = false\nlog = \"none\"\n",
    );
    let status = project.status();
    let names: std::collections::BTreeSet<&str> =
        status["services"].as_array().unwrap().iter().map(|s| s["instance"].as_str().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("many#")).count(), 5000);
    assert!(names.contains("mainstay.logger"));
    assert_eq!(project.mainstay(&["tree"]).ok().lines().filter(|line| line.contains("many#")).count(), 5000);
}

// What `docs/otp.md` names: each test begins with the ids of the behaviours that it shows.

mod otp {
    use super::*;

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
    fn c17_a_port_in_use_by_a_stranger_does_not_make_a_service_ready() {
        let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = stranger.local_addr().unwrap().port();
        cannot_start(
            &format!("command = [\"sleep\", \"100000\"]\nready = {{ tcp = {port}, within = \"300ms\" }}"),
            &["not ready within 300ms"],
        );
        let project = Project::new(&format!(
            "name = \"port\"\n[service.bad]\ncommand = [\"sleep\", \"100000\"]\nready = {{ tcp = {port}, within = \"200ms\" }}\n\
         restart = {{ max = 0, within = \"30s\" }}\n"
        ));
        project.mainstay(&["run", "-d", "--wait", "--timeout", "60s"]);
        let events = project.events("0");
        let never = events.iter().find(|e| e["kind"] == "never_ready").unwrap();
        let detail = never["detail"].as_str().unwrap();
        assert!(
            detail.contains(&format!("port {port} is answered by pid {}", std::process::id())),
            "{detail}"
        );
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
    fn q01_a_missing_program_is_named() {
        cannot_start("command = [\"no-such-program-at-all\"]", &["no-such-program-at-all", "No such file"]);
        cannot_start("command = [\"./missing\"]", &["executing `./missing`", "No such file"]);
    }

    #[test]
    fn q01_a_program_that_is_not_executable_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plain");
        fs::write(&path, "text").unwrap();
        cannot_start(&format!("command = [\"{}\"]", path.display()), &["plain", "Permission denied"]);
    }

    #[test]
    fn q01_a_directory_that_does_not_exist_is_named() {
        cannot_start(
            "command = [\"sleep\", \"1\"]\ndirectory = \"/srv/no-such-directory\"",
            &["changing directory to `/srv/no-such-directory`", "No such file or directory"],
        );
    }

    #[test]
    fn q01_a_user_that_does_not_exist_is_named() {
        cannot_start(
            "command = [\"sleep\", \"1\"]\nuser = \"nobody-at-all\"",
            &["finding user `nobody-at-all`"],
        );
    }

    #[test]
    fn q03_readiness_by_output_notify_and_port_also_twice_and_from_a_grandchild() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let project = Project::running(&format!(
            r#"
name = "ready"
[service.output]
command = ["sh", "-c", "printf 'now lis'; printf 'tening\n'; exec sleep 100000"]
ready = {{ output = "listening" }}
[service.notify]
command = ["python3", "-c", '''
import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
s.send(b"STATUS=hello\nREADY=1")
s.send(b"READY=1")
time.sleep(100000)''']
ready = {{ notify = true }}
[service.grandchild]
command = ["sh", "-c", "python3 -c 'import os,socket,time; s=socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ[\"NOTIFY_SOCKET\"]); s.send(b\"READY=1\"); time.sleep(100000)' & wait"]
ready = {{ notify = true }}
[service.port]
command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
ready = {{ tcp = {port} }}
[service.after]
command = ["sleep", "100000"]
needs = ["output", "notify", "grandchild", "port"]
"#
        ));
        let events = project.events("0");
        let at = |instance: &str, kind: &str| {
            events.iter().position(|e| e["instance"] == instance && e["kind"] == kind).unwrap_or_else(|| {
                panic!("no {kind} of {instance} in {events:#?}");
            })
        };
        for name in ["output", "notify", "grandchild", "port"] {
            assert!(at(name, "ready") < at("after", "starting"), "`after` began before `{name}` was ready");
            assert_eq!(events.iter().filter(|e| e["instance"] == name && e["kind"] == "ready").count(), 1);
        }
    }

    #[test]
    fn q03_ready_from_a_stranger_is_not_believed() {
        let project = Project::new(
            "name = \"stranger\"\n[service.silent]\ncommand = [\"sleep\", \"100000\"]\nready = { notify = true }\n",
        );
        project.mainstay(&["run", "-d"]).ok();
        let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
        socket.send_to(b"READY=1", project.path("run/notify")).unwrap();
        // The datagram was handled when a later request is answered.
        let wait = project.mainstay(&["wait", "silent", "--state", "ready", "--timeout", "300ms"]);
        assert_eq!(wait.code, 124, "{wait:?}");
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
                let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                let text = String::from_utf8_lossy(&environment);
                let old = text.split('\0').any(|v| {
                    v.strip_prefix("MAINSTAY_INCARNATION=")
                        .is_some_and(|n| n.parse::<u64>().unwrap() < incarnation)
                });
                assert!(
                    !old || text.contains("MAINSTAY_INSTANCE=mainstay."),
                    "pid {pid} is of an earlier life"
                );
            }
        }
        project.shutdown();
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
            assert!(
                !fs::read(format!("/proc/{pid}/environ")).is_ok_and(|e| !e.is_empty()),
                "pid {pid} lives on"
            );
        }
        all_there_once(&project);
        // A cursor survives the supervisor's death.
        assert!(project.cursor().parse::<u64>().unwrap() > cursor);
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
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
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

    /// Waits until the process was asleep, without once waking up, for a second.
    fn comes_to_rest(pid: i32) {
        let switches = || {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned()
        };
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        let second = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
        for _ in 0..30 {
            let before = switches();
            let mut polled = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
            assert_eq!(rustix::event::poll(&mut polled, Some(&second)).unwrap(), 0, "it ended");
            if switches() == before {
                return;
            }
        }
        panic!("it woke up in each of 30 seconds, though nothing happened");
    }

    #[test]
    fn a19_a_supervisor_sleeps_until_something_happens_and_then_again() {
        let project = Project::running(SLEEPERS);
        comes_to_rest(project.supervisor());
        project.status();
        comes_to_rest(project.supervisor());
        let cursor = project.cursor();
        kill(project.pid("one"), Signal::SIGKILL);
        project.wait("one", "up", &cursor);
        comes_to_rest(project.supervisor());
        all_there_once(&project);
    }
}
