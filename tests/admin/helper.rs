//! The helper that reads the configuration, killed and held up; numbers of removed children.

use crate::rig::{LIVES, Rig};
use crate::support::kill;
use nix::sys::signal::Signal;
use std::fs::File;
use std::process::{Child, Command, Stdio};

/// A tree whose file has just become one that cannot be read before somebody writes to `held.ctl`.
fn held() -> Rig {
    let rig = Rig::new(&format!("name = \"t\"\n[service.a]\n{LIVES}\n"));
    rig.pipe("held");
    rig.project.write(
        "mainstay.toml",
        &format!("name = \"t\"\n[service.a]\n{LIVES}\n[service.b]\n{LIVES}\nenv_file = \"held.ctl\"\n"),
    );
    rig
}

/// The pid of the helper, as soon as it is there: a child of the supervisor with that name.
fn helper(rig: &Rig) -> i32 {
    let supervisor = rig.project.supervisor();
    loop {
        let children =
            std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).unwrap();
        for pid in children.split_whitespace() {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if line.starts_with(b"mainstay.config\0@config") {
                let pid = pid.parse().unwrap();
                let said = rig.fails(1, &["reload"]);
                assert!(said.contains(&format!("is being read already (pid {pid})")), "{said}");
                return pid;
            }
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_helper_that_is_killed_has_said_nothing_and_nothing_changes() {
    let rig = held();
    let mut reload = rig.project.command(&["reload"]).stderr(Stdio::piped()).spawn().unwrap();
    let pid = helper(&rig);
    // The loop goes on meanwhile: services are replaced, calls are answered.
    rig.replaced("a");
    rig.ok(&["start-child", "x", "--", "sleep", "100000"]);
    kill(pid, Signal::SIGKILL);
    assert_eq!(reload.wait().unwrap().code(), Some(1));
    assert_eq!(rig.which(""), ["x pid", "a pid"]);
    let failed = rig.until("0", "the failure", |event| event["kind"] == "reload_failed");
    assert!(failed["message"].as_str().unwrap().contains(&format!("(pid {pid}) died")), "{failed}");
}

#[test]
fn sighup_during_a_reload_waits_for_its_end() {
    let rig = held();
    let cursor = rig.cursor();
    let mut reload = rig.project.command(&["reload"]).stderr(Stdio::null()).spawn().unwrap();
    let pid = helper(&rig);
    let text = format!("name = \"t\"\n[service.a]\n{LIVES}\n[service.c]\n{LIVES}\n");
    rig.project.write("mainstay.toml", &text);
    kill(rig.project.supervisor(), Signal::SIGHUP);
    // Answered by the loop, so the signal before it was taken, too.
    rig.cursor();
    kill(pid, Signal::SIGKILL);
    assert_eq!(reload.wait().unwrap().code(), Some(1));
    rig.happens(&cursor, "c", "up");
    assert_eq!(rig.which(""), ["c pid", "a pid"]);
}

#[test]
fn what_is_held_up_is_applied_when_it_can_be_read() {
    let rig = held();
    let mut reload = rig.project.command(&["reload"]).stdout(Stdio::null()).spawn().unwrap();
    helper(&rig);
    drop(File::options().write(true).open(rig.project.path("held.ctl")).unwrap());
    assert!(reload.wait().unwrap().success());
    assert_eq!(rig.which(""), ["b pid", "a pid"]);
}

/// A tree in a mount namespace of its own, in which the list of users is the pipe `passwd.ctl`: whoever opens it waits.
/// `None`: only root can make one.
fn with_users_from_a_pipe(configuration: &str) -> Option<Rig> {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root has a mount namespace of its own");
        return None;
    }
    let rig = Rig::prepared(configuration);
    rig.pipe("passwd");
    let mut command = Command::new("unshare");
    let ours = rig.project.command(&[]);
    command.args(["--mount", env!("CARGO_BIN_EXE_mainstay"), "run", "-d", "--wait"]);
    command.current_dir(rig.project.folder());
    ours.get_envs().for_each(|(name, value)| match value {
        Some(value) => drop(command.env(name, value)),
        None => drop(command.env_remove(name)),
    });
    assert!(command.status().unwrap().success());
    let pipe = rig.project.path("passwd.ctl").display().to_string();
    inside(&rig, &["mount", "--bind", &pipe, "/etc/passwd"]);
    Some(rig)
}

#[test]
fn a_name_service_that_does_not_answer_holds_up_only_the_child_whose_user_it_is_asked_for() {
    let configuration =
        format!("name = \"t\"\n[service.a]\n{LIVES}\n[service.\"w@\"]\n{LIVES}\nuser = \"%i\"\n");
    let Some(rig) = with_users_from_a_pipe(&configuration) else { return };
    let start = |name: &str| {
        let mut command = rig.project.command(&["start-child", name]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let refused = |child: Child| {
        let said = child.wait_with_output().unwrap();
        assert_eq!(said.status.code(), Some(1));
        String::from_utf8_lossy(&said.stderr).into_owned()
    };
    let first = start("w@tester");
    user_helper(&rig);
    rig.replaced("a");
    rig.ok(&["start-child", "x", "--", "sleep", "100000"]);
    assert_eq!(rig.which(""), ["x pid", "a pid"], "nothing of it is there before its user is known");
    // Whoever reads the list waits for this. A pipe is no list: so nobody is found in it.
    drop(File::options().write(true).open(rig.project.path("passwd.ctl")).unwrap());
    let text = refused(first);
    assert!(text.contains("finding user `tester`"), "{text}");
    // A helper that is killed has said nothing, and nothing is started.
    let second = start("w@other");
    kill(user_helper(&rig), Signal::SIGKILL);
    let text = refused(second);
    assert!(text.contains("who user `other` is"), "{text}");
    assert_eq!(rig.which(""), ["x pid", "a pid"]);
    // The real list again.
    inside(&rig, &["umount", "/etc/passwd"]);
    rig.ok(&["start-child", "w@daemon"]);
    let daemon = nix::unistd::User::from_name("daemon").unwrap().expect("a user of every system");
    let status = std::fs::read_to_string(format!("/proc/{}/status", rig.pid("w@daemon"))).unwrap();
    assert!(status.contains(&format!("Uid:\t{}\t", daemon.uid)), "{status}");
}

/// Runs this in the mount namespace of the supervisor.
#[track_caller]
fn inside(rig: &Rig, words: &[&str]) {
    let target = format!("--target={}", rig.project.supervisor());
    let mut command = Command::new("nsenter");
    assert!(command.args([target.as_str(), "--mount"]).args(words).status().unwrap().success());
}

/// The helper that looks a user up, as soon as it is there.
fn user_helper(rig: &Rig) -> i32 {
    let supervisor = rig.project.supervisor();
    let path = format!("/proc/{supervisor}/task/{supervisor}/children");
    let is_it = |pid: &&str| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"mainstay.config\0@config\0user\0")
    };
    loop {
        let children = std::fs::read_to_string(&path).unwrap();
        match children.split_whitespace().find(is_it) {
            Some(pid) => return pid.parse().unwrap(),
            None => std::thread::yield_now(),
        }
    }
}

#[test]
fn events_of_a_removed_child_keep_its_name_when_others_come_after_it() {
    let rig = Rig::new("name = \"t\"\n");
    for round in 0..5 {
        let cursor = rig.cursor();
        let name = format!("x{round}");
        rig.ok(&["start-child", &name, "--restart", "temporary", "--", "sh", "-c", "echo words; exit 3"]);
        rig.happens(&cursor, &name, "removed");
        // All that it wrote is in its own log.
        rig.ok(&["start-child", &format!("y{round}"), "--", "sleep", "100000"]);
    }
    let events = rig.project.events("0");
    for round in 0..5 {
        let name = format!("x{round}");
        let kinds: Vec<&str> = events
            .iter()
            .filter(|event| event["instance"] == name.as_str())
            .map(|event| event["kind"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["starting", "up", "exited", "finished", "removed"], "{name}");
    }
    assert!(events.iter().all(|event| event["kind"] != "starting" || event["instance"] != ""));
    rig.project.shutdown();
    for round in 0..5 {
        let log = rig.project.read(&format!("log/x{round}.log"));
        assert!(log.contains("words"), "x{round}: {log}");
    }
}
