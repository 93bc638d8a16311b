//! Services that run and are of no use: watchdogs that are missed, health checks that fail, memory that runs out.

#![allow(clippy::unwrap_used)]

#[path = "admin/rig.rs"]
#[allow(dead_code)]
mod rig;
mod support;

use mainstay::sys::procfs::environment;
use nix::sys::signal::Signal;
use rig::Rig;
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::process::Command;
use support::{gone, outcome};

/// A Python service. `say(TEXT)` tells the supervisor something; `command()` waits for a line of `svc.ctl`.
fn service(keys: &str, script: &str) -> Rig {
    let rig = Rig::prepared(&format!(
        "name = \"t\"\n[service.svc]\ncommand = [\"python3\", \"svc.py\", \"svc.ctl\"]\nbackoff = \"none\"\n{keys}\n"
    ));
    let head = "import os, signal, socket, sys, time\n\
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        def say(text): s.sendto(text.encode(), os.environ['NOTIFY_SOCKET'])\n\
        pipe = os.fdopen(os.open(sys.argv[1], os.O_RDWR))\n\
        def command(): return pipe.readline().strip()\n";
    rig.project.write("svc.py", &format!("{head}{script}\n"));
    rig
}

fn tell(rig: &Rig, word: &str) {
    use std::io::Write;
    let pipe = fs::File::options().write(true).open(rig.project.path("svc.ctl"));
    writeln!(pipe.unwrap(), "{word}").unwrap();
}

/// How the next life of `svc` after this number ends.
#[track_caller]
fn ends(rig: &Rig, after: &str) -> Value {
    rig.happens(after, "svc", "exited")
}

#[track_caller]
fn is_by_watchdog(event: &Value) {
    let told = ["watchdog", "abnormal", "asked"].map(|key| event[key].as_bool());
    assert_eq!(told, [Some(true), Some(true), Some(false)], "{event}");
}

// Watchdogs ------------------------------------------------------------------------------------------

#[test]
fn who_misses_its_watchdog_is_aborted_restarted_and_counted() {
    let rig = service("watchdog = \"500ms\"", "command()");
    rig.project.start();
    let event = ends(&rig, "0");
    is_by_watchdog(&event);
    assert_eq!((&event["signal"], &event["restart"]), (&"SIGABRT".into(), &1.into()), "{event}");
    let crash = format!("c-{}", event["crash"]);
    let cursor = event["seq"].to_string();
    rig.happens(&cursor, "svc", "up");
    let shown = loop {
        let shown = rig.project.mainstay(&["crash", "show", &crash]);
        if shown.code == 0 {
            break shown.stdout;
        }
        std::thread::yield_now();
    };
    assert!(
        shown.contains("killed by SIGABRT")
            && shown.contains("(ended because it missed its watchdog of 500ms)"),
        "{shown}"
    );
    let told = rig.ok(&["events", "--after", "0"]);
    assert!(told.contains("missed its watchdog, killed by SIGABRT"), "{told}");
}

#[test]
fn who_says_that_it_is_alive_lives_and_knows_how_often_it_has_to() {
    let script = "for _ in range(40):\n  say('WATCHDOG=1')\n  time.sleep(0.1)\nsys.exit(7)";
    let rig = service("watchdog = \"3s\"", script);
    rig.project.start();
    let pid = rig.pid("svc");
    let environment = environment(pid as u32).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let has = |text: String| environment.split('\0').any(|one| one == text);
    assert!(has("WATCHDOG_USEC=3000000".into()) && has(format!("WATCHDOG_PID={pid}")), "{environment}");
    let event = ends(&rig, "0");
    assert_eq!(
        (&event["code"], &event["watchdog"]),
        (&7.into(), &Value::Null),
        "longer than its watchdog: {event}"
    );
}

#[test]
fn a_clean_end_after_the_abort_is_an_abnormal_death_all_the_same() {
    let script =
        "signal.signal(signal.SIGABRT, lambda *_: sys.exit(0))\nsay('READY=1')\nwhile True: signal.pause()";
    let rig = service("ready = { notify = true }\nwatchdog = \"500ms\"\nrestart = \"transient\"", script);
    rig.project.start();
    let event = ends(&rig, "0");
    is_by_watchdog(&event);
    assert_eq!(event["code"], 0, "{event}");
    rig.happens(&event["seq"].to_string(), "svc", "ready");
}

#[test]
fn who_does_not_hear_the_abort_is_killed_after_its_grace() {
    let script = "signal.signal(signal.SIGABRT, signal.SIG_IGN)\nsay('READY=1')\ncommand()";
    let rig =
        service("ready = { notify = true }\nwatchdog = \"300ms\"\nstop = { grace = \"200ms\" }", script);
    rig.project.start();
    let event = ends(&rig, "0");
    is_by_watchdog(&event);
    assert_eq!(event["signal"], "SIGKILL", "{event}");
}

#[test]
fn a_trigger_fails_at_once_and_nothing_counts_before_readiness() {
    let script = "command()\nsay('READY=1')\ncommand()\nsay('WATCHDOG=trigger')\ncommand()";
    let rig = service("ready = { notify = true }\nwatchdog = \"1h\"", script);
    rig.project.mainstay(&["run", "-d"]).ok();
    tell(&rig, "ready");
    rig.happens("0", "svc", "ready");
    tell(&rig, "trigger");
    let event = ends(&rig, "0");
    is_by_watchdog(&event);
    assert_eq!(event["signal"], "SIGABRT");
}

#[test]
fn a_stop_that_was_asked_for_is_no_missed_watchdog() {
    let script = "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), sys.exit(0)))\nsay('READY=1')\n\
                  say('WATCHDOG=1')\nwhile True: signal.pause()";
    let rig = service("ready = { notify = true }\nwatchdog = \"900ms\"", script);
    rig.project.start();
    rig.ok(&["stop", "svc"]);
    let event = ends(&rig, "0");
    assert_eq!(
        (&event["watchdog"], &event["asked"], &event["code"]),
        (&Value::Null, &true.into(), &0.into()),
        "{event}"
    );
}

#[test]
fn the_watchdog_of_a_life_that_ended_is_not_that_of_the_next() {
    let script = "if not os.path.exists('again'):\n  open('again', 'w').close()\n  say('READY=1')\n  command()\n  sys.exit(3)\n\
                  time.sleep(3)\nsay('READY=1')\nsys.exit(7)";
    let rig = service("ready = { notify = true }\nwatchdog = \"2s\"", script);
    rig.project.mainstay(&["run", "-d"]).ok();
    rig.happens("0", "svc", "ready");
    tell(&rig, "exit");
    let first = ends(&rig, "0");
    assert_eq!(first["code"], 3, "{first}");
    let second = ends(&rig, &first["seq"].to_string());
    assert_eq!((&second["code"], &second["watchdog"]), (&7.into(), &Value::Null), "{second}");
}

// Health ---------------------------------------------------------------------------------------------

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The failures that were told before the life ended: how many in a row each was.
fn failures(rig: &Rig, until: &Value) -> Vec<(u64, String)> {
    let all = rig.project.events("0").into_iter();
    let before = all.filter(|event| event["seq"].as_u64() < until["seq"].as_u64());
    let told =
        |event: Value| (event["in_a_row"].as_u64().unwrap(), event["detail"].as_str().unwrap().to_owned());
    before.filter(|event| event["kind"] == "unhealthy").map(told).collect()
}

#[test]
fn a_port_that_nobody_serves_any_more_ends_the_service_after_so_many_failures() {
    let port = free_port();
    let script = format!(
        "l = socket.create_server(('127.0.0.1', {port}), backlog=1000)\nsay('READY=1')\ncommand()\nl.close()\ncommand()"
    );
    let keys = format!(
        "ready = {{ notify = true }}\nhealth = {{ tcp = {port}, every = \"200ms\", timeout = \"200ms\", failures = 3 }}"
    );
    let rig = service(&keys, &script);
    rig.project.start();
    tell(&rig, "close");
    let event = ends(&rig, "0");
    assert_eq!(
        (&event["unhealthy"], &event["abnormal"], &event["signal"]),
        (&true.into(), &true.into(), &"SIGTERM".into()),
        "{event}"
    );
    let failures = failures(&rig, &event);
    assert_eq!(failures.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 2, 3], "{failures:?}");
    assert!(failures[0].1.contains("onnection refused"), "{failures:?}");
    rig.happens(&event["seq"].to_string(), "svc", "ready");
}

#[test]
fn the_status_of_an_answer_counts_and_a_good_one_forgets_the_bad_ones() {
    let port = free_port();
    // Bad twice, good once, and then bad for ever: by the number of the request.
    let script = format!(
        "l = socket.create_server(('127.0.0.1', {port}), backlog=1000)\nsay('READY=1')\nn = 0\n\
         while True:\n  c, _ = l.accept()\n  got = c.recv(4096)\n  n += 1\n\
         \x20 ok = got.startswith(b'GET /health?x=1 HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n') and n == 3\n\
         \x20 c.sendall(b'HTTP/1.1 204 No Content\\r\\n\\r\\n' if ok else b'HTTP/1.1 503 Busy\\r\\n\\r\\n')\n  c.close()"
    );
    let keys = format!(
        "ready = {{ notify = true }}\nhealth = {{ http = \"http://127.0.0.1:{port}/health?x=1\", every = \"200ms\", \
         timeout = \"200ms\", failures = 3 }}"
    );
    let rig = service(&keys, &script);
    rig.project.start();
    let event = ends(&rig, "0");
    assert_eq!(event["unhealthy"], true, "{event}");
    let rows: Vec<u64> = failures(&rig, &event).iter().map(|(row, _)| *row).collect();
    assert_eq!(rows, [1, 2, 1, 2, 3]);
    assert_eq!(failures(&rig, &event)[0].1, "answered 503 Busy");
}

#[test]
fn an_answer_that_never_comes_is_a_failure() {
    let port = free_port();
    let script =
        format!("l = socket.create_server(('127.0.0.1', {port}), backlog=1000)\nsay('READY=1')\ncommand()");
    let keys = format!(
        "ready = {{ notify = true }}\nhealth = {{ http = \"http://127.0.0.1:{port}/\", every = \"200ms\", timeout = \"100ms\", \
         failures = 1 }}"
    );
    let rig = service(&keys, &script);
    rig.project.start();
    let event = ends(&rig, "0");
    assert_eq!(failures(&rig, &event), [(1, format!("no answer from 127.0.0.1:{port}/ within 100ms"))]);
}

#[test]
fn a_command_that_fails_or_does_not_end_is_a_failure_and_leaves_nothing() {
    let keys = "ready = { notify = true }\nhealth = { exec = [\"sh\", \"-c\", \"test -e hang && { sleep 4711 & \
                echo $! > next; mv next helper; wait; }; test -e good\"], \
                every = \"300ms\", timeout = \"200ms\", failures = 2, restart = false }";
    let rig = service(keys, "say('READY=1')\ncommand()\nsys.exit(9)");
    rig.project.start();
    let unhealthy = |after: &str| rig.until(after, "a failure", |event| event["kind"] == "unhealthy");
    let first = unhealthy("0");
    assert_eq!((&first["in_a_row"], &first["detail"]), (&1.into(), &"the check exited 1".into()));
    let second = unhealthy(&first["seq"].to_string());
    let third = unhealthy(&second["seq"].to_string());
    assert_eq!(third["in_a_row"], 3, "they are only told");
    rig.project.write("hang", "");
    let mut late = third;
    let helper = loop {
        late = rig.until(&late["seq"].to_string(), "a check that hangs", |event| {
            event["detail"].as_str().is_some_and(|detail| detail == "`sh` did not end within 200ms")
        });
        // One that came to start its helper: not every one does, where others take the processor.
        if let Ok(helper) = fs::read_to_string(rig.project.path("helper")) {
            break helper;
        }
    };
    fs::remove_file(rig.project.path("hang")).unwrap();
    rig.project.write("good", "");
    gone(helper.trim().parse().unwrap());
    tell(&rig, "exit");
    let event = ends(&rig, &late["seq"].to_string());
    assert_eq!((&event["code"], &event["unhealthy"]), (&9.into(), &Value::Null), "{event}");
}

#[test]
fn a_check_is_made_as_the_service_and_stops_with_it() {
    let keys = "ready = { notify = true }\nenv = { COLOR = \"red\" }\n\
                health = { exec = [\"sh\", \"-c\", \"echo $COLOR $MAINSTAY_INSTANCE $PWD >> checks; echo x > checked.ctl\"], \
                every = \"100ms\", timeout = \"100ms\" }";
    let rig = service(keys, "say('READY=1')\ncommand()");
    rig.pipe("checked");
    rig.project.start();
    // The first check waits for somebody who reads that it was made.
    drop(fs::File::open(rig.project.path("checked.ctl")).unwrap());
    rig.ok(&["stop", "svc"]);
    rig.happens("0", "svc", "stopped");
    let line = rig.project.read("checks").lines().next().unwrap().to_owned();
    assert_eq!(line, format!("red svc {}", rig.project.folder().display()));
    let last = rig.kinds("0", "svc");
    let stopping = last.iter().position(|kind| kind == "stopping").unwrap();
    assert!(!last[stopping..].contains(&"unhealthy".to_owned()), "{last:?}");
}

// Memory ---------------------------------------------------------------------------------------------

/// A control group with this much memory, gone afterwards. `None`: such a thing cannot be made here.
struct Little(std::path::PathBuf);

impl Little {
    fn new(bytes: u64) -> Option<Little> {
        let (version_2, version_1) = ("/sys/fs/cgroup", "/sys/fs/cgroup/memory");
        for (root, limit) in [(version_1, "memory.limit_in_bytes"), (version_2, "memory.max")] {
            let path = std::path::Path::new(root).join(format!("mainstay-test-{}", std::process::id()));
            if fs::create_dir(&path).is_err() {
                continue;
            }
            let little = Little(path);
            if fs::write(little.0.join(limit), bytes.to_string()).is_ok() {
                return Some(little);
            }
        }
        None
    }
}

impl Drop for Little {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn who_is_killed_for_its_memory_is_told_so_and_another_sigkill_is_not() {
    let Some(little) = Little::new(100 << 20) else {
        eprintln!("no memory controller can be used here: nothing was shown");
        return;
    };
    let rig = service("restart = \"permanent\"", "while command() == 'eat': x = b'x' * (500 << 20)");
    let procs = little.0.join("cgroup.procs");
    // Whoever the shell becomes, and whatever that starts, is in the group, too.
    let mainstay = rig.project.command(&["run", "-d", "--wait", "--timeout", "60s"]);
    let mut run = Command::new("sh");
    run.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(&procs);
    run.arg(mainstay.get_program()).args(mainstay.get_args());
    run.envs(mainstay.get_envs().filter_map(|(name, value)| Some((name, value?))));
    for name in mainstay.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name) {
        run.env_remove(name);
    }
    if let Some(directory) = mainstay.get_current_dir() {
        run.current_dir(directory);
    }
    outcome(&mut run).ok();
    rig.replaced("svc");
    let event = ends(&rig, "0");
    assert_eq!((&event["signal"], &event["oom"]), (&"SIGKILL".into(), &Value::Null), "{event}");
    let cursor = rig.cursor();
    tell(&rig, "eat");
    let event = ends(&rig, &cursor);
    assert_eq!(
        (&event["signal"], &event["oom"], &event["abnormal"]),
        (&"SIGKILL".into(), &true.into(), &true.into()),
        "{event}"
    );
    rig.happens(&event["seq"].to_string(), "svc", "up");
    let told = rig.ok(&["events", "--after", &cursor]);
    assert!(told.contains("killed by SIGKILL, out of memory"), "{told}");
    rig.kill("svc", Signal::SIGKILL);
    let last = ends(&rig, &event["seq"].to_string());
    assert_eq!(last["oom"], Value::Null, "that one was told: {last}");
    let list = rig.ok(&["crash", "list"]);
    assert!(list.contains("killed by SIGKILL, out of memory after"), "{list}");
    rig.project.shutdown();
}
