//! A tree whose services end when and how a test says: each reads its exit code from a pipe with a name.

use crate::support::{Project, gone, kill};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

/// The words of a service that exits with the number written to the pipe `NAME.ctl`.
pub fn told(name: &str) -> String {
    format!(r#"command = ["sh", "-c", "exec 3<>$0; read code <&3; exit $code", "{name}.ctl"]"#)
}

/// The words of a service that does nothing but live.
pub const LIVES: &str = r#"command = ["sleep", "100000"]"#;

/// A service that hears no stop signal, and ends as it is told.
pub fn deaf_until_told(name: &str) -> String {
    format!(
        r#"command = ["sh", "-c", "trap '' TERM; exec 3<>$0; echo on; read code <&3; exit $code", "{name}.ctl"]
ready = {{ output = "on" }}
stop = {{ grace = "forever" }}"#
    )
}

/// A service that lives, ready when the logger has seen its line: whoever comes after it finds a logger that listens.
pub const SPEAKS: &str = r#"command = ["sh", "-c", "echo on; exec sleep 100000"]
ready = { output = "on" }"#;

pub struct Rig {
    pub project: Project,
}

impl Rig {
    /// A tree of this configuration that is up, with pipes for every `NAME.ctl` in it.
    #[track_caller]
    pub fn new(configuration: &str) -> Rig {
        let rig = Rig::prepared(configuration);
        rig.project.start();
        rig
    }

    /// The same, and nothing runs yet.
    pub fn prepared(configuration: &str) -> Rig {
        let rig = Rig { project: Project::new(configuration) };
        let names = configuration.split(['"', ' ']).filter_map(|word| word.strip_suffix(".ctl"));
        for name in names.filter(|name| !name.contains('%')) {
            rig.pipe(name);
        }
        rig
    }

    /// A tree under OTP's semantics, whose root allows so many restarts in a minute.
    #[track_caller]
    pub fn otp(intensity: u32, services: &str) -> Rig {
        Rig::new(&format!(
            "name = \"t\"\nsemantics = \"otp\"\nintensity = {intensity}\nperiod = \"1m\"\n{services}"
        ))
    }

    pub fn pipe(&self, name: &str) {
        let path = self.project.path(&format!("{name}.ctl"));
        if !path.exists() {
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        }
    }

    /// Makes a service exit with this code. It may not have opened its pipe yet: then this waits for it.
    pub fn say(&self, name: &str, code: u32) {
        let path = self.project.path(&format!("{name}.ctl"));
        writeln!(fs::File::options().write(true).open(path).unwrap(), "{code}").unwrap();
    }

    /// An executable script of this project.
    pub fn script(&self, name: &str, text: &str) {
        self.project.write(&format!("{name}.new"), &format!("#!/bin/sh\n{text}\n"));
        let path = self.project.path(&format!("{name}.new"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(path, self.project.path(name)).unwrap();
    }

    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        self.project.mainstay(words).ok()
    }

    /// A command that must end with this code; what it said.
    #[track_caller]
    pub fn fails(&self, code: i32, words: &[&str]) -> String {
        let outcome = self.project.mainstay(words);
        assert_eq!(outcome.code, code, "{words:?}: {}{}", outcome.stdout, outcome.stderr);
        outcome.stderr
    }

    /// `which`: newest first, name and child, the pids of those that run as `pid`.
    #[track_caller]
    pub fn which(&self, target: &str) -> Vec<String> {
        self.members(target)
            .iter()
            .map(|line| {
                let child = line["child"].as_str().unwrap_or("pid");
                format!("{} {child}", line["name"].as_str().unwrap())
            })
            .collect()
    }

    #[track_caller]
    pub fn members(&self, target: &str) -> Vec<Value> {
        let words: &[&str] =
            if target.is_empty() { &["which", "--json"] } else { &["which", target, "--json"] };
        self.ok(words).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// `count` as OTP writes it: specs/active/supervisors/workers.
    #[track_caller]
    pub fn count(&self, group: &str) -> String {
        let words: &[&str] =
            if group.is_empty() { &["count", "--json"] } else { &["count", group, "--json"] };
        let value: Value = serde_json::from_str(&self.ok(words)).unwrap();
        ["specs", "active", "supervisors", "workers"].map(|key| value[key].to_string()).join("/")
    }

    pub fn cursor(&self) -> String {
        self.project.cursor()
    }

    #[track_caller]
    pub fn pid(&self, name: &str) -> i32 {
        self.project.pid(name)
    }

    /// The first event after `after` that is meant.
    #[track_caller]
    pub fn until(&self, after: &str, what: &str, mut meant: impl FnMut(&Value) -> bool) -> Value {
        let mut follower = self
            .project
            .command(&["events", "-f", "--json", "--after", after])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut seen, mut found) = (Vec::new(), None);
        for line in BufReader::new(follower.stdout.take().unwrap()).lines() {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if meant(&event) {
                found = Some(event);
                break;
            }
            seen.push(event.to_string());
        }
        // It may have ended with its supervisor.
        let _ = follower.kill();
        follower.wait().unwrap();
        found.unwrap_or_else(|| panic!("the events ended before {what}:\n{}", seen.join("\n")))
    }

    /// Waits for an event of this kind about this instance.
    #[track_caller]
    pub fn happens(&self, after: &str, instance: &str, kind: &str) -> Value {
        self.until(after, &format!("{kind} of {instance}"), |event| {
            event["instance"] == instance && event["kind"] == kind
        })
    }

    /// What the main process of an instance really executes.
    #[track_caller]
    pub fn executes(&self, name: &str) -> String {
        let pid = self.pid(name);
        // The words of a process stand in its new memory a moment after its exec was answered.
        loop {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
            if !words.is_empty() {
                return String::from_utf8_lossy(&words).trim_end_matches('\0').replace('\0', " ");
            }
            std::thread::yield_now();
        }
    }

    /// SIGKILL, and the pid that comes after it.
    #[track_caller]
    pub fn replaced(&self, name: &str) -> i32 {
        self.project.kill_and_wait(name, "up").1
    }

    #[track_caller]
    pub fn kill(&self, name: &str, signal: Signal) -> i32 {
        let pid = self.pid(name);
        kill(pid, signal);
        pid
    }

    /// Does `act`, and returns when the whole supervisor has ended with nothing left of it (K13).
    #[track_caller]
    pub fn ends<T>(&self, act: impl FnOnce() -> T) {
        let supervisor = self.project.supervisor();
        act();
        gone(supervisor);
        assert_eq!(self.project.processes(), Vec::<i32>::new(), "left after the supervisor's end");
    }

    /// Kinds of the events about one instance after a cursor.
    #[track_caller]
    pub fn kinds(&self, after: &str, instance: &str) -> Vec<String> {
        let events = self.project.events(after).into_iter().filter(|event| event["instance"] == instance);
        events.map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
    }
}
