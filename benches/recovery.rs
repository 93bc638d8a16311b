//! How fast what was lost is there again, in a running tree: the board of flags and the table of names after they were deleted,
//! cut and scribbled on; each built-in after SIGKILL; a name after the death of its process.
//!
//! `cargo bench --bench recovery` (a number behind `--` is how many rounds of each; 30 when not given)
//!
//! Who answers is waited for by its socket, its pipe, or a look after the other: a mended word of a mapped file makes no event.

use mainstay::board::{Board, Source};
use mainstay::flags::Value;
use mainstay::ipc::flags::Request;
use mainstay::registry::{self, Happened, Names};
use mainstay::services::keeper::client;
use mainstay::sys::socket::{self, Kind};
use mainstay::sys::{clock, futex, pipe};
use mainstay::time::Instant;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longer than anything takes.
const WITHIN: Duration = Duration::from_secs(60);
/// Between two accidents, so that neither is the same again: whoever tries again waits longer each time, until that is
/// long ago.
const REST: Duration = Duration::from_millis(100);
/// The same for a built-in that is killed: the supervisor forgets a death after one second.
const LONG_REST: Duration = Duration::from_millis(1100);

const FILE: &str = "name = \"bench\"\n[defaults]\nrestart = { max = 1000, within = \"1s\" }\n\
                    [service.says]\ncommand = [\"sh\", \"-c\", \"exec cat <> words\"]\n[flag.x]\ndefault = true\n";

fn main() {
    let rounds = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(30);
    let tree = Tree::start();
    for what in [TABLE_OF_FLAGS, TABLE_OF_NAMES] {
        for (name, damage) in DAMAGE {
            tree.damaged(what, name, *damage, rounds);
        }
    }
    for builtin in ["keeper", "registry", "telemetry", "logger"] {
        tree.killed(builtin, "now and then", rounds, LONG_REST);
        tree.killed(builtin, "again and again", rounds, Duration::ZERO);
    }
    tree.deaths(rounds);
}

/// A file that others read while it is mended.
#[derive(Clone, Copy)]
struct Table {
    name: &'static str,
    file: &'static str,
    is_right: fn(&Tree) -> bool,
    is_right_anew: fn(&Tree) -> bool,
}

const TABLE_OF_FLAGS: Table = Table {
    name: "board",
    file: "board",
    is_right: |tree| is_on(&tree.board),
    is_right_anew: |tree| is_on(&Board::open(&tree.place("run"))),
};

const TABLE_OF_NAMES: Table = Table {
    name: "names",
    file: "registry",
    is_right: |tree| tree.names.pid("held") == Some(std::process::id()),
    is_right_anew: |tree| Names::open(&tree.place("run")).pid("held") == Some(std::process::id()),
};

fn is_on(board: &Board) -> bool {
    let reading = board.read("x");
    reading.source == Source::Proven && reading.truth.is_some_and(|truth| truth == Value::On.into())
}

type Damage = fn(&Path, &Path);

/// What is done to a table and its second link.
const DAMAGE: &[(&str, Damage)] = &[
    ("deleted", |table, _| fs::remove_file(table).expect("it stands")),
    ("deleted with its second link", |table, kept| {
        fs::remove_file(kept).expect("it stands");
        fs::remove_file(table).expect("it stands");
    }),
    ("cut to nothing", |table, _| writable(table).set_len(0).expect("it is ours")),
    ("scribbled on from end to end", |table, _| {
        let file = writable(table);
        let length = file.metadata().expect("it stands").len();
        file.write_all_at(&vec![0x5a; length as usize], 0).expect("it is ours");
    }),
];

fn writable(path: &Path) -> File {
    File::options().write(true).open(path).expect("it is ours")
}

/// A supervisor with a service that repeats what it is told, and whoever reads its tables.
struct Tree {
    folder: tempfile::TempDir,
    board: Board,
    names: Names,
}

impl Tree {
    fn start() -> Tree {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let place = |name: &str| folder.path().join(name);
        fs::write(place("mainstay.toml"), FILE).expect("the folder is ours");
        nix::unistd::mkfifo(&place("words"), nix::sys::stat::Mode::S_IRWXU).expect("the folder is ours");
        let (board, names) = (Board::open(&place("run")), Names::open(&place("run")));
        let tree = Tree { folder, board, names };
        tree.mainstay(&["run", "-d", "--wait"]);
        tree.give("held", std::process::id());
        tree.say(&tree.place("words"), "is it there?");
        until("the first word", || tree.log().contains("is it there?"));
        tree.ask_telemetry();
        tree
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.args(words).current_dir(self.folder.path()).env_remove("MAINSTAY_RUNTIME_DIR");
        for (variable, name) in
            [("RUNTIME_DIRECTORY", "run"), ("STATE_DIRECTORY", "state"), ("LOGS_DIRECTORY", "log")]
        {
            command.env(variable, self.place(name));
        }
        command
    }

    fn mainstay(&self, words: &[&str]) -> String {
        let output = self.command(words).stderr(Stdio::inherit()).output().expect("mainstay can be started");
        assert!(output.status.success(), "{words:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn pid(&self, instance: &str) -> Pid {
        let mut pid = None;
        until("its next life", || {
            let output = self.command(&["pid", instance]).stderr(Stdio::null()).output();
            let said = output.expect("mainstay can be started").stdout;
            pid = String::from_utf8_lossy(&said).trim().parse().ok();
            pid.is_some()
        });
        Pid::from_raw(pid.expect("it was found"))
    }

    fn give(&self, name: &str, pid: u32) {
        let process = registry::describe(pid).expect("it lives");
        self.names.register_process(name, process, BTreeMap::new(), WITHIN).expect("it answers");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place("log/says.log")).unwrap_or_default()
    }

    fn say(&self, fifo: &Path, words: &str) {
        let mut fifo = File::options().read(true).write(true).open(fifo).expect("it is a fifo");
        writeln!(fifo, "{words}").expect("somebody reads");
    }

    /// From the damage until a reader that was there before has the right answer, one that comes anew has it, and the file
    /// stands again under both of its names.
    fn damaged(&self, table: Table, name: &str, damage: Damage, rounds: usize) {
        let (path, kept) = (self.place("run").join(table.file), self.place("run/.kept").join(table.file));
        let head = |path: &Path| {
            let mut head = [0; 16];
            File::open(path).and_then(|file| file.read_exact_at(&mut head, 0)).map(|()| head).ok()
        };
        let inode = |path: &Path| fs::symlink_metadata(path).map(|found| found.ino()).ok();
        let whole = head(&path).expect("it stands");
        let (mut read, mut anew, mut stands) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            futex::pause(REST);
            let began = clock::now();
            damage(&path, &kept);
            until(name, || (table.is_right)(self));
            read.push(since(began));
            until(name, || (table.is_right_anew)(self));
            anew.push(since(began));
            until(name, || {
                let inode_of_both = inode(&path).filter(|inode_of_it| inode(&kept) == Some(*inode_of_it));
                inode_of_both.is_some() && head(&path) == Some(whole)
            });
            stands.push(since(began));
        }
        let of = |who: &str| format!("{} {name}: {who}", table.name);
        spread(&of("a reader is right"), read);
        spread(&of("a new reader is right"), anew);
        spread(&of("it stands"), stands);
    }

    /// From SIGKILL to an answer of the next life.
    fn killed(&self, builtin: &str, how: &str, rounds: usize, rest: Duration) {
        let mut took = Vec::new();
        for round in 0..rounds {
            let pid = self.pid(&format!("mainstay.{builtin}"));
            let word = format!("round {round} of {builtin}");
            futex::pause(rest);
            let began = clock::now();
            kill(pid, Signal::SIGKILL).expect("it lives");
            match builtin {
                "keeper" => self.ask_keeper(),
                "registry" => self.give("asked", std::process::id()),
                "telemetry" => self.ask_telemetry(),
                _ => {
                    self.say(&self.place("words"), &word);
                    until(builtin, || self.log().contains(&word));
                }
            }
            took.push(since(began));
            assert_ne!(self.pid(&format!("mainstay.{builtin}")), pid, "it was another life");
        }
        spread(&format!("{builtin} killed {how}: answers"), took);
    }

    fn ask_keeper(&self) {
        let request = Request::List { flags: vec!["x".into()] };
        client::ask(&self.place("run"), &request, WITHIN).expect("the keeper answers");
    }

    /// A datagram of nobody: it is refused, after it was looked at.
    fn ask_telemetry(&self) {
        let (barrier, theirs) = pipe::nonblocking().expect("there are descriptors");
        let to = socket::connect(Kind::Datagram, &self.place("run/telemetry")).expect("it has a socket");
        socket::send(&to, b"X_MAINSTAY_NOTE=are=you there\n", &[&theirs]).expect("it has room");
        drop(theirs);
        assert!(pipe::closed_within(&barrier, WITHIN).expect("it is a pipe"), "telemetry answers");
    }

    /// From the death of a process until its name is not found, and a watcher has heard of it.
    fn deaths(&self, rounds: usize) {
        let mut watch = self.names.watch("victim");
        // It connects with the first question.
        while watch.next(None).expect("the registry lives") != Some(Happened::Here) {}
        let (mut gone, mut heard) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            futex::pause(REST);
            let mut victim = Sleeper::start();
            self.give("victim", victim.0.id());
            let began = clock::now();
            victim.0.kill().expect("it is ours");
            while !matches!(watch.next(Some(clock::now() + WITHIN)), Ok(Some(Happened::Gone(..)))) {
                assert!(since(began) < WITHIN, "nobody says that it is gone");
            }
            heard.push(since(began));
            until("the name", || self.names.pid("victim").is_none());
            gone.push(since(began));
        }
        spread("a registered process killed: a watcher has heard", heard);
        spread("a registered process killed: its name is gone", gone);
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.mainstay(&["shutdown"]);
    }
}

/// A process that does nothing; killed when it is dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Sleeper {
        let mut command = Command::new("sleep");
        command.arg("100000").stdin(Stdio::null()).stdout(Stdio::null());
        Sleeper(command.spawn().expect("there is a sleep"))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks until it is so, and lets others work between two looks.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = clock::now();
    while !is_so() {
        assert!(since(began) < WITHIN, "waited too long for {what}");
        std::thread::yield_now();
    }
}

fn since(began: Instant) -> Duration {
    clock::now().since(began)
}

fn spread(name: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let millis = |at: usize| took[at].as_secs_f64() * 1e3;
    let last = took.len() - 1;
    println!(
        "{name:62} least {:6.2} ms, median {:6.2}, worst {:6.2}",
        millis(0),
        millis(last / 2),
        millis(last)
    );
}
