//! A tree whose keeper is played by the test.

use crate::support::{self, Project};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::time::Duration;

/// Where the played keeper finds the test.
pub const SOCKET: &str = "PLAYED_KEEPER";

/// Two instances and one; a flag, so that there is a keeper.
pub const WEB: &str = r#"
name = "t"
[defaults]
restart = { policy = "permanent", max = 100000, within = "1s" }
backoff = "none"
[service.web]
command = ["sleep", "100000"]
instances = 2
[service.db]
command = ["sleep", "100000"]
[flag.checkout]
default = false
"#;

pub struct Rig {
    pub project: Project,
    listener: UnixListener,
}

/// One life of the played keeper.
pub struct Life {
    stream: BufReader<UnixStream>,
}

impl Rig {
    /// Nothing runs yet.
    pub fn new(configuration: &str) -> Rig {
        let project = Project::new(configuration);
        let listener = UnixListener::bind(project.path("keeper")).unwrap();
        Rig { project, listener }
    }

    /// The program of the tests in place of the real one.
    pub fn own(&self, words: &[&str]) -> Command {
        let like = self.project.command(words);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(words).current_dir(self.project.folder()).env(SOCKET, self.project.path("keeper"));
        for (name, value) in like.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Starts the supervisor; the first life of its keeper.
    #[track_caller]
    pub fn start(&self) -> Life {
        support::outcome(&mut self.own(&["run", "-d"])).ok();
        self.next_life()
    }

    /// The same, when everything is up.
    #[track_caller]
    pub fn start_all(&self) -> Life {
        let run = self.own(&["run", "-d", "--wait", "--timeout", "60s"]).output().unwrap();
        assert!(run.status.success(), "{run:?}");
        self.next_life()
    }

    /// The keeper has begun again.
    pub fn next_life(&self) -> Life {
        let stream = self.listener.accept().unwrap().0;
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Life { stream: BufReader::new(stream) }
    }
}

impl Life {
    /// Makes the keeper say something; returns when it did.
    #[track_caller]
    pub fn say(&mut self, words: &str) -> Vec<String> {
        writeln!(self.stream.get_mut(), "{words}").unwrap();
        self.until(|line| line == "obeyed")
    }

    /// The next thing that it heard, ends of lives left out.
    #[track_caller]
    pub fn next(&mut self) -> String {
        loop {
            let line = self.next_of_all();
            if !line.starts_with("ended ") {
                return line;
            }
        }
    }

    /// The next thing that it heard.
    #[track_caller]
    pub fn next_of_all(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the keeper has ended");
        line.trim_end().to_owned()
    }

    /// What it heard up to the line that is meant, that one left out.
    #[track_caller]
    pub fn until(&mut self, meant: impl Fn(&str) -> bool) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            let line = self.next();
            if meant(&line) {
                return before;
            }
            before.push(line);
        }
    }

    /// All that is said to a new life, up to `begin`.
    #[track_caller]
    pub fn greeting(&mut self) -> Vec<String> {
        self.until(|line| line == "begin")
    }

    /// The events up to the one that is meant, which is the last.
    #[track_caller]
    pub fn events(&mut self, meant: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let line = self.next();
            let Some(text) = line.strip_prefix("event ") else { continue };
            let event: Value = serde_json::from_str(text).unwrap();
            let found = meant(&event);
            events.push(event);
            if found {
                return events;
            }
        }
    }
}

/// The words of a line without the numbers that nobody can know: `life 3 17 4711` is `life 3`.
pub fn short(lines: &[String]) -> Vec<String> {
    let words = |line: &String| match line.split(' ').collect::<Vec<_>>()[..] {
        ["life", child, ..] => format!("life {child}"),
        ["hello", _, abrupt] => format!("hello {abrupt}"),
        _ => line.clone(),
    };
    lines.iter().map(words).collect()
}
