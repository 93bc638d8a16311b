//! Starts: what fails is named, and who is ready said so itself.

use crate::support::Project;
use std::fs;

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
    cannot_start("command = [\"sleep\", \"1\"]\nuser = \"nobody-at-all\"", &["finding user `nobody-at-all`"]);
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
    assert!(detail.contains(&format!("port {port} is answered by pid {}", std::process::id())), "{detail}");
}
