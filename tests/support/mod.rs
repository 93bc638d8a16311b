//! A tree of real processes for one test: its own folder, its own supervisor, gone afterwards.

#![allow(dead_code, reason = "each test file uses its part")]

use mainstay::sys::procfs::environment;
use nix::sys::signal::Signal;
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a command left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// The standard output, after checking that the command succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// One project in a folder of its own.
pub struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// A project with this configuration; nothing runs yet.
    pub fn new(configuration: &str) -> Project {
        Project::inside(&std::env::temp_dir(), configuration)
    }

    /// The same, in a folder below `parent`.
    pub fn inside(parent: &Path, configuration: &str) -> Project {
        let folder = tempfile::Builder::new().prefix("mainstay-test-").tempdir_in(parent).unwrap();
        let project = Project { folder };
        for sub in ["run", "state", "log"] {
            fs::create_dir(project.path(sub)).unwrap();
        }
        project.write("mainstay.toml", configuration);
        project
    }

    /// A project that is running: everything wanted is up.
    #[track_caller]
    pub fn running(configuration: &str) -> Project {
        let project = Project::new(configuration);
        project.start();
        project
    }

    /// `mainstay run -d --wait`.
    #[track_caller]
    pub fn start(&self) {
        self.mainstay(&["run", "-d", "--wait", "--timeout", "60s"]).ok();
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    /// The program under test, set to this project.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command
            .args(args)
            .current_dir(self.folder())
            .stdin(Stdio::null())
            .env_remove("MAINSTAY_RUNTIME_DIR")
            .env("RUNTIME_DIRECTORY", self.path("run"))
            .env("STATE_DIRECTORY", self.path("state"))
            .env("LOGS_DIRECTORY", self.path("log"))
            .env("NO_COLOR", "1");
        command
    }

    /// Runs the program to its end.
    pub fn mainstay(&self, args: &[&str]) -> Outcome {
        outcome(&mut self.command(args))
    }

    /// The main process of an instance.
    #[track_caller]
    pub fn pid(&self, name: &str) -> i32 {
        self.mainstay(&["pid", name]).ok().trim().parse().unwrap()
    }

    /// The supervisor's pid.
    #[track_caller]
    pub fn supervisor(&self) -> i32 {
        i32::try_from(self.status()["supervisor_pid"].as_i64().unwrap()).unwrap()
    }

    /// `status --json`, built-ins included, whatever its exit code.
    #[track_caller]
    pub fn status(&self) -> serde_json::Value {
        let outcome = self.mainstay(&["status", "--all", "--json"]);
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|e| panic!("{e}: {outcome:?}"))
    }

    /// The newest event's number.
    #[track_caller]
    pub fn cursor(&self) -> String {
        self.mainstay(&["cursor"]).ok().trim().to_owned()
    }

    /// Waits until an instance is in a state, after a cursor.
    #[track_caller]
    pub fn wait(&self, name: &str, state: &str, after: &str) {
        self.mainstay(&["wait", name, "--state", state, "--after", after, "--timeout", "60s"]).ok();
    }

    /// SIGKILL to an instance's main process; returns when it is up again with another pid.
    #[track_caller]
    pub fn kill_and_wait(&self, name: &str, state: &str) -> (i32, i32) {
        let cursor = self.cursor();
        let before = self.pid(name);
        kill(before, Signal::SIGKILL);
        self.wait(name, state, &cursor);
        let after = self.pid(name);
        assert_ne!(before, after, "`{name}` still has its old pid");
        (before, after)
    }

    /// The events after a cursor, as JSON.
    #[track_caller]
    pub fn events(&self, after: &str) -> Vec<serde_json::Value> {
        let text = self.mainstay(&["events", "--after", after, "--json"]).ok();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every process that carries this project's mark in its environment: services and their helpers.
    pub fn processes(&self) -> Vec<i32> {
        let mark = format!("MAINSTAY_RUNTIME_DIR={}", self.path("run").display());
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
            let Ok(environment) = environment(pid as u32) else { continue };
            if environment.split(|b| *b == 0).any(|v| v == mark.as_bytes()) {
                found.push(pid);
            }
        }
        found
    }

    /// Everything down; checks that nothing is left.
    #[track_caller]
    pub fn shutdown(&self) {
        self.mainstay(&["shutdown", "--timeout", "60s"]).ok();
        assert_eq!(self.processes(), Vec::<i32>::new(), "processes are left after a shutdown");
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.mainstay(&["shutdown", "--timeout", "20s"]);
        for pid in self.processes() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// Runs a command to its end.
pub fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A signal to a process that this test started.
#[track_caller]
pub fn kill(pid: i32, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

/// A descriptor that becomes readable when the process ends.
pub fn pidfd(pid: i32) -> Option<OwnedFd> {
    rustix::process::pidfd_open(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::PidfdFlags::empty(),
    )
    .ok()
}

/// Returns when the process has ended; at once when it already has.
pub fn gone(pid: i32) {
    if let Some(fd) = pidfd(pid) {
        readable(&fd);
    }
}

/// Returns when a descriptor can be read: a pidfd, when its process has ended.
#[track_caller]
pub fn readable(fd: &OwnedFd) {
    let mut fds = [nix::poll::PollFd::new(fd.as_fd(), nix::poll::PollFlags::POLLIN)];
    let ready = nix::poll::poll(&mut fds, 60_000u16).unwrap();
    assert_eq!(ready, 1, "nothing happened for a minute");
}

/// A small file system of its own, gone afterwards.
pub struct Small(PathBuf);

impl Small {
    /// At most so large, like `1m`.
    pub fn new(at: PathBuf, size: &str) -> Small {
        fs::create_dir_all(&at).unwrap();
        let options = format!("size={size},mode=0700");
        nix::mount::mount(
            Some("tmpfs"),
            &at,
            Some("tmpfs"),
            nix::mount::MsFlags::empty(),
            Some(options.as_str()),
        )
        .unwrap_or_else(|e| panic!("mounting a small tmpfs (these tests run as root): {e}"));
        Small(at)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes all that is left.
    pub fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        let block = [1u8; 4096];
        while file.write_all(&block).is_ok() {}
    }

    /// Gives it back.
    pub fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}
