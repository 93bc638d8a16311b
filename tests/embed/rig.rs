//! A folder for one tree, and what the tests of running trees look at.

use mainstay::embed::*;
use nix::sys::signal::Signal as Number;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Nothing takes longer that does not hang.
pub const LATE: Duration = Duration::from_secs(60);

/// A folder for the directories of one tree; what is left of it is ended when this is dropped.
pub struct Room {
    path: PathBuf,
    /// `None`: somebody else's.
    own: Option<tempfile::TempDir>,
}

impl Room {
    pub fn new() -> Room {
        let own = tempfile::Builder::new().prefix("mainstay-embed-").tempdir().unwrap();
        Room { path: own.path().to_owned(), own: Some(own) }
    }

    /// The room of another process of this test.
    pub fn lent(path: PathBuf) -> Room {
        Room { path, own: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn runtime(&self) -> PathBuf {
        self.path().join("run")
    }

    /// A tree in this folder whose built-ins are the real `mainstay`: a program of tests has no `enter` in its `main`.
    pub fn tree(&self, name: &str) -> Tree {
        Tree::new(name)
            .runtime_dir(self.runtime())
            .state_dir(self.path().join("state"))
            .folder(self.path())
            .program(env!("CARGO_BIN_EXE_mainstay"))
            .answer_within(LATE)
    }

    /// Every process that carries this folder's mark in its environment: services and their helpers.
    pub fn processes(&self) -> Vec<i32> {
        let mark = format!("MAINSTAY_RUNTIME_DIR={}", self.runtime().display());
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let marked = |pid: &i32| {
            let environment = mainstay::sys::procfs::environment(*pid as u32).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        pids.filter(marked).collect()
    }

    #[track_caller]
    pub fn nothing_is_left(&self) {
        assert_eq!(self.processes(), Vec::<i32>::new(), "processes are left");
        assert!(!self.runtime().join("control/supervisor").exists(), "the socket is left");
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.own.is_none() {
            return;
        }
        for pid in self.processes() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Number::SIGKILL);
        }
    }
}

pub fn sleeper(name: &str) -> Service {
    Service::new(name, ["sleep", "100000"])
}

/// The first event after `cursor` that is meant.
#[track_caller]
pub fn event(handle: &Handle, cursor: u64, meant: impl Fn(&Event) -> bool) -> Event {
    let mut events = handle.events(cursor).unwrap().within(LATE);
    events.find_map(|event| Some(event.unwrap()).filter(|event| meant(event))).expect("the tree has ended")
}

/// Returns when everything is up.
#[track_caller]
pub fn all_up(handle: &Handle) {
    event(handle, 0, |event| matches!(event.what, What::AllUp { .. }));
}

/// The next life of an instance after `cursor`: its pid.
#[track_caller]
pub fn next_life(handle: &Handle, instance: &str, cursor: u64) -> u32 {
    let started = event(handle, cursor, |event| {
        event.instance == instance && matches!(event.what, What::Starting { .. })
    });
    match started.what {
        What::Starting { pid, .. } => pid,
        other => panic!("{other:?}"),
    }
}

pub fn pid(handle: &Handle, instance: &str) -> u32 {
    let status = handle.status().unwrap();
    status.services.iter().find(|service| service.instance == instance).map_or(0, |service| service.pid)
}
