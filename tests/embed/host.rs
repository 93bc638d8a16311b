//! What a tree does to the process of its host, and what becomes of it when the host dies. Each host is this program once
//! more, running one test alone, told by its environment that it is the host.

use crate::rig::*;
use crate::support;
use mainstay::embed::*;
use nix::sys::signal::Signal as Number;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

const ROOM: &str = "EMBED_TEST_ROOM";
const HOW: &str = "EMBED_TEST_HOW";

/// A host in a process of its own.
struct Host {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Host {
    /// Runs the test `name` of this program alone, as the host of a tree in `room`.
    fn new(name: &str, room: &Room, how: &str) -> Host {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(ROOM, room.path())
            .env(HOW, how)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Host { child, said }
    }

    /// Waits for a line that begins so; the rest of it.
    #[track_caller]
    fn says(&mut self, beginning: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(
                self.said.read_line(&mut line).unwrap(),
                0,
                "the host ended without saying {beginning}"
            );
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.trim().to_owned();
            }
        }
    }

    fn signal(&self, signal: Number) {
        support::kill(self.child.id() as i32, signal);
    }

    fn ended(mut self) -> ExitStatus {
        let mut rest = String::new();
        let _ = self.said.read_to_string(&mut rest);
        self.child.wait().unwrap()
    }
}

/// The room and what to do, when this process is a host.
fn as_host() -> Option<(Room, String)> {
    let folder = PathBuf::from(std::env::var_os(ROOM)?);
    Some((Room::lent(folder), std::env::var(HOW).unwrap()))
}

/// Says something to the test, on a line of its own.
fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

/// Until the test hangs up.
fn wait_for_the_test() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn host_of_a_child(room: &Room, how: &str) {
    let (death, end) = how.split_once(' ').unwrap();
    let death = if death == "die" { OnHostDeath::Die } else { OnHostDeath::Stay };
    let running = room.tree("t").add(sleeper("web")).on_host_death(death).spawn_child().unwrap();
    all_up(&running.handle());
    say(format!("@up {} {}", running.pid(), pid(&running.handle(), "web")));
    match end {
        "exits" => std::process::exit(0),
        "aborts" => std::process::abort(),
        _ => wait_for_the_test(),
    }
}

/// Supervisor and service of a tree whose host has died.
fn host_dies(test: &str, room: &Room, how: &str) -> (i32, i32) {
    let mut host = Host::new(test, room, how);
    let up = host.says("@up ");
    let (supervisor, web) = up.split_once(' ').unwrap();
    let pids = (supervisor.parse().unwrap(), web.parse().unwrap());
    if how.ends_with("is killed") {
        host.signal(Number::SIGKILL);
    }
    host.ended();
    pids
}

#[test]
fn a_tree_dies_in_order_with_a_host_that_is_killed_exits_or_aborts() {
    if let Some((room, how)) = as_host() {
        return host_of_a_child(&room, &how);
    }
    for how in ["die is killed", "die exits", "die aborts"] {
        let room = Room::new();
        let test = "host::a_tree_dies_in_order_with_a_host_that_is_killed_exits_or_aborts";
        let (supervisor, _) = host_dies(test, &room, how);
        support::gone(supervisor);
        room.nothing_is_left();
        assert!(!room.path().join("state/running").exists(), "{how}: it said goodbye");
    }
}

#[test]
fn a_tree_stays_when_its_host_is_killed_and_can_be_attached_to() {
    if let Some((room, how)) = as_host() {
        return host_of_a_child(&room, &how);
    }
    for how in ["stay is killed", "stay aborts"] {
        let room = Room::new();
        let test = "host::a_tree_stays_when_its_host_is_killed_and_can_be_attached_to";
        let (supervisor, web) = host_dies(test, &room, how);
        let handle = room.tree("t").attach().unwrap();
        let status = handle.status().unwrap();
        assert_eq!((status.head.pid as i32, pid(&handle, "web") as i32), (supervisor, web), "{how}");
        let cursor = handle.cursor().unwrap();
        support::kill(web, Number::SIGKILL);
        next_life(&handle, "web", cursor);
        handle.shutdown().unwrap();
        support::gone(supervisor);
        room.nothing_is_left();
    }
}

/// Signals that are handled, ignored and blocked, limits and the mode mask, as the kernel tells them.
fn process() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let meant = ["SigBlk:", "SigIgn:", "Umask:", "SigCgt:"];
    let mut told: Vec<String> = status
        .lines()
        .filter(|line| meant.iter().any(|meant| line.starts_with(meant)))
        .map(|line| match line.strip_prefix("SigCgt:") {
            // SIGBUS is guarded, which is said in the manual.
            Some(caught) => {
                let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
                format!("SigCgt: {:x}", caught & !(1 << (libc::SIGBUS - 1)))
            }
            None => line.to_owned(),
        })
        .collect();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    told.extend(limits.lines().map(str::to_owned));
    told.push(format!("{:?}", rustix::process::child_subreaper().unwrap()));
    told
}

fn host_with_children_of_its_own(room: &Room) {
    // Its handler runs on whichever thread the kernel chose, and when that has its turn.
    let (mut seen, handler) = UnixStream::pair().unwrap();
    seen.set_nonblocking(true).unwrap();
    signal_hook::low_level::pipe::register(libc::SIGCHLD, handler).unwrap();
    let shell = |script: &str| Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
    // One that is dead and not yet waited for, and one that lives.
    let mut dead = shell("exit 8");
    support::gone(dead.id() as i32);
    let mut lives = shell("read line; exit 7");
    let before = process();
    let running = room.tree("t").add(sleeper("web")).spawn().unwrap();
    let handle = running.handle();
    all_up(&handle);
    assert_eq!(process(), before, "while the tree runs");
    let cursor = handle.cursor().unwrap();
    support::kill(pid(&handle, "web") as i32, Number::SIGKILL);
    next_life(&handle, "web", cursor);
    let _ = seen.read_to_end(&mut Vec::new());
    drop(lives.stdin.take());
    support::gone(lives.id() as i32);
    assert_eq!(lives.wait().unwrap().code(), Some(7), "its status is the host's");
    assert_eq!(dead.wait().unwrap().code(), Some(8), "its status is the host's");
    // The host's handler of SIGCHLD is called.
    support::readable(&seen.into());
    running.shutdown().unwrap();
    assert_eq!(process(), before, "afterwards");
    say("@fine");
}

#[test]
fn the_hosts_own_children_handlers_and_limits_are_left_alone() {
    if let Some((room, _)) = as_host() {
        return host_with_children_of_its_own(&room);
    }
    let room = Room::new();
    let mut host = Host::new("host::the_hosts_own_children_handlers_and_limits_are_left_alone", &room, "");
    host.says("@fine");
    assert!(host.ended().success());
    room.nothing_is_left();
}

fn host_that_lends_its_signals(room: &Room) {
    for round in ["first", "second"] {
        let running = room.tree("t").add(sleeper("web")).handle_signals(true).spawn().unwrap();
        all_up(&running.handle());
        say(format!("@up {round}"));
        assert_eq!(running.wait().unwrap(), End::Asked);
        say(format!("@ended {round}"));
        // The test looks at what is left.
        std::io::stdin().read_line(&mut String::new()).unwrap();
    }
    wait_for_the_test();
    say("@not ended by its signal");
}

#[test]
fn signals_stop_the_tree_when_asked_and_have_their_default_action_again_afterwards() {
    if let Some((room, _)) = as_host() {
        return host_that_lends_its_signals(&room);
    }
    let room = Room::new();
    let test = "host::signals_stop_the_tree_when_asked_and_have_their_default_action_again_afterwards";
    let mut host = Host::new(test, &room, "");
    for (round, signal) in [("first", Number::SIGTERM), ("second", Number::SIGINT)] {
        host.says(&format!("@up {round}"));
        host.signal(signal);
        host.says(&format!("@ended {round}"));
        room.nothing_is_left();
        host.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }
    host.signal(Number::SIGTERM);
    assert_eq!(host.ended().signal(), Some(libc::SIGTERM), "as if there had been no tree");
}

fn host_that_raises_its_limit(room: &Room) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 300, hard).unwrap();
    // The reserve alone is 320.
    let refused = room.tree("t").add(sleeper("web")).spawn().unwrap_err();
    assert!(
        matches!(&refused, Error::Begin { message, .. } if message.contains("300 are allowed")),
        "{refused}"
    );
    let limit = Service::new("web", ["sh", "-c", "ulimit -n > limit; exec sleep 100000"]);
    let running = room.tree("t").add(limit).raise_limits(true).spawn().unwrap();
    assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    event(&running.handle(), 0, |event| matches!(event.what, What::AllUp { .. }));
    running.shutdown().unwrap();
    say("@fine");
}

#[test]
fn the_limit_on_descriptors_is_raised_only_when_asked() {
    if let Some((room, _)) = as_host() {
        return host_that_raises_its_limit(&room);
    }
    let room = Room::new();
    let mut host = Host::new("host::the_limit_on_descriptors_is_raised_only_when_asked", &room, "");
    host.says("@fine");
    assert!(host.ended().success());
}
