//! Agents: processes of a real tree that do what a test tells them, over a socket, one command at a time.
//!
//! A test never waits for time: each command is answered when it is done, a new life of an agent says hello, and a life
//! that ends is seen by its pidfd or by its socket's end.

use crate::support::{self, Project};
use mainstay::board::{Board, Flag};
use mainstay::registry::Names;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

/// Where an agent finds the test.
pub const SOCKET: &str = "AGENT_SOCKET";

/// A tree of agents.
pub struct Rig {
    pub project: Project,
    listener: UnixListener,
    /// Lives that said hello while another was awaited.
    waiting: std::cell::RefCell<VecDeque<Agent>>,
}

/// One life of an agent.
pub struct Agent {
    pub instance: String,
    pub pid: i32,
    stream: BufReader<UnixStream>,
}

/// Flags and stages as the system began with: the old way behind each, the new one by stages.
pub const FLAGS: &str = r#"
[flag.use-registry]
default = false
[flag.use-context]
default = false
[flag.use-spans]
default = false
[flag.use-batches]
default = false
[flag.new-checkout]
percent = 25
guard   = false

[migration.otp]
guard = false

[[migration.otp.stage]]
name = "registry"
on   = ["use-registry"]
[[migration.otp.stage]]
name = "context"
on   = ["use-context"]
[[migration.otp.stage]]
name = "spans"
on   = ["use-spans"]
[[migration.otp.stage]]
name = "batches"
on   = ["use-batches"]
"#;

/// Every built-in that a tree of agents has.
pub const BUILTINS: [&str; 4] =
    ["mainstay.keeper", "mainstay.logger", "mainstay.registry", "mainstay.telemetry"];

/// Somebody who is no service of the tree: this very process.
pub struct Outsider {
    pub flag: Flag,
    names: Names,
}

impl Outsider {
    /// A name for this process, until it ends.
    #[track_caller]
    pub fn register(&self, name: &str) {
        self.names.register(name, &[("by", "a test")]).unwrap().keep();
    }

    #[track_caller]
    pub fn lookup(&self, name: &str) -> Option<u32> {
        self.names.lookup(name).unwrap().map(|entry| entry.process.pid)
    }
}

impl Rig {
    /// So many instances of `agent`, with [`FLAGS`]; all of them have said hello.
    #[track_caller]
    pub fn running(agents: usize) -> (Rig, Vec<Agent>) {
        Rig::running_with(agents, "")
    }

    /// The same, with more in the configuration.
    #[track_caller]
    pub fn running_with(agents: usize, more: &str) -> (Rig, Vec<Agent>) {
        let program = std::env::current_exe().unwrap();
        let project = Project::new("");
        let socket = project.path("agents");
        project.write(
            "mainstay.toml",
            &format!(
                r#"
name = "agents"
[defaults]
restart = {{ policy = "permanent", max = 100000, within = "1s" }}
backoff = "none"
[service.agent]
command     = [{program:?}]
instances   = {agents}
env         = {{ {SOCKET} = {socket:?} }}
{FLAGS}
{more}
"#
            ),
        );
        let listener = UnixListener::bind(&socket).unwrap();
        let rig = Rig { project, listener, waiting: Default::default() };
        rig.project.start();
        let mut agents: Vec<Agent> = (0..agents).map(|_| rig.accept()).collect();
        agents.sort_by_key(|agent| agent.number());
        (rig, agents)
    }

    /// The next life that says hello, whoever's.
    #[track_caller]
    fn accept(&self) -> Agent {
        let stream = self.listener.accept().unwrap().0;
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut stream = BufReader::new(stream);
        let mut hello = String::new();
        stream.read_line(&mut hello).unwrap();
        let hello: Value = serde_json::from_str(&hello).unwrap_or_else(|e| panic!("{e}: {hello}"));
        let pid = hello["pid"].as_i64().unwrap() as i32;
        Agent { instance: hello["instance"].as_str().unwrap().to_owned(), pid, stream }
    }

    /// The next life of this instance.
    #[track_caller]
    pub fn next_life(&self, instance: &str) -> Agent {
        let mut waiting = self.waiting.borrow_mut();
        if let Some(at) = waiting.iter().position(|agent| agent.instance == instance) {
            return waiting.remove(at).unwrap();
        }
        loop {
            let agent = self.accept();
            if agent.instance == instance {
                return agent;
            }
            waiting.push_back(agent);
        }
    }

    /// SIGKILL to an agent; its next life.
    #[track_caller]
    pub fn kill(&self, agent: Agent) -> Agent {
        let instance = agent.instance.clone();
        agent.kill();
        self.next_life(&instance)
    }

    /// SIGKILL to a built-in that runs; returns when that life is over. The next one is nobody's to wait for.
    #[track_caller]
    pub fn kill_builtin(&self, name: &str) {
        let found = self.project.mainstay(&["pid", name]);
        if found.code == 0 {
            let pid: i32 = found.stdout.trim().parse().unwrap();
            let life = support::pidfd(pid);
            // It may be gone already, by its own restart or by another test's hand on the same tree.
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
            if let Some(life) = life {
                support::readable(&life);
            }
        }
    }

    /// SIGKILL, and nobody waits for its end.
    pub fn kill_at_once(&self, name: &str) {
        let found = self.project.mainstay(&["pid", name]);
        if let Ok(pid) = found.stdout.trim().parse() {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }

    /// This process, as one that looks at the tree from outside; it has read `use-spans`, which is on.
    #[track_caller]
    pub fn outsider(&self) -> Outsider {
        let (runtime, state) = (self.project.path("run"), self.project.path("state"));
        let flag = Board::open(&runtime).flag("use-spans");
        assert!(flag.is_on());
        Outsider { flag, names: Names::open_with(&runtime, &state) }
    }

    #[track_caller]
    pub fn set(&self, what: &str) {
        self.project.mainstay(&["flag", "set", what, "--why", "a test"]).ok();
    }

    /// Turns on the next stage.
    #[track_caller]
    pub fn stage(&self, stage: u32) {
        self.project.mainstay(&["stage", "enable", "otp", &stage.to_string(), "--why", "a test"]).ok();
    }

    /// Returns when every built-in is back and every service is as wanted.
    #[track_caller]
    pub fn settle(&self) {
        for name in BUILTINS.iter().chain(&["agent*"]) {
            self.project.mainstay(&["wait", name, "--state", "up", "--timeout", "60s"]).ok();
        }
    }

    /// Everything in the runtime directory that is a file: tables, links, marks. What is open stays open.
    pub fn delete_tables(&self) {
        for folder in ["run", "run/.kept"] {
            let Ok(entries) = std::fs::read_dir(self.project.path(folder)) else { continue };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
    }

    /// The newest crash of an instance, as `crash show --json` tells it.
    #[track_caller]
    pub fn crash_of(&self, instance: &str) -> Value {
        let list = self.project.mainstay(&["crash", "list", "--json"]).ok();
        let newest = list.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let newest = newest.into_iter().find(|crash| crash["instance"] == instance);
        let id = newest.unwrap_or_else(|| panic!("no crash of {instance}: {list}"))["id"].clone();
        let shown = self.project.mainstay(&["crash", "show", id.as_str().unwrap(), "--json"]).ok();
        serde_json::from_str(&shown).unwrap()
    }
}

impl Agent {
    /// 2 of `agent#2`; 1 of `agent`.
    pub fn number(&self) -> u32 {
        self.instance.split_once('#').map_or(1, |(_, number)| number.parse().unwrap())
    }

    /// Says a command; [`Agent::answer`] is to follow. For commands that several agents do at once.
    #[track_caller]
    pub fn say(&mut self, words: &str) {
        writeln!(self.stream.get_mut(), "{words}").unwrap();
    }

    /// What came of it.
    #[track_caller]
    pub fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{} has ended", self.instance);
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(answer["failed"].is_null(), "{}: {answer}", self.instance);
        answer["is"].clone()
    }

    /// Both.
    #[track_caller]
    pub fn ask(&mut self, words: &str) -> Value {
        self.say(words);
        self.answer()
    }

    /// Says something that it does not survive; returns when it is gone.
    #[track_caller]
    pub fn dies_of(mut self, words: &str) {
        let life = support::pidfd(self.pid);
        self.say(words);
        if let Some(life) = life {
            support::readable(&life);
        }
    }

    /// SIGKILL; returns when it is gone.
    #[track_caller]
    pub fn kill(self) {
        let life = support::pidfd(self.pid);
        support::kill(self.pid, nix::sys::signal::Signal::SIGKILL);
        if let Some(life) = life {
            support::readable(&life);
        }
    }
}
