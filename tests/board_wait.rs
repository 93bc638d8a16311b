//! Many processes that wait for a change of the board, each asleep on the board itself, all see it.

use mainstay::board::{Board, Entry, Writer};
use mainstay::flags::Value;
use mainstay::time::Duration;
use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

const PROCESSES: usize = 200;
const CHANGES: i64 = 3;
/// Long enough that only a hang runs into it.
const GENEROUS: Duration = Duration::from_secs(120);

/// A process that waits; ended with the test.
struct Waiting(Child, BufReader<ChildStdout>);

impl Waiting {
    fn start(directory: &Path) -> Waiting {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["waits", "--exact", "--nocapture", "--test-threads=1"])
            .env("BOARD_WAIT_DIRECTORY", directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Waiting(child, out)
    }

    /// The next line that it says for us; the harness around it says others.
    fn says(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.1.read_line(&mut line).unwrap(), 0, "it ended");
            if let Some((_, said)) = line.trim_end().split_once("waiting: ") {
                return said.to_owned();
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The child's half; a test so that the harness can be asked for it by name.
#[test]
fn waits() {
    let Some(directory) = env::var_os("BOARD_WAIT_DIRECTORY") else { return };
    let board = Board::open(Path::new(&directory));
    let flag = board.flag("n");
    let mut seen = board.generation().expect("a board");
    println!("waiting: from {}", flag.int().expect("a number"));
    for _ in 0..CHANGES {
        seen = board.wait(seen, GENEROUS).expect("a change");
        println!("waiting: saw {}", flag.int().expect("a number"));
    }
}

#[test]
fn two_hundred_waiting_processes_see_every_change() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, _) = Writer::create(folder.path(), &[Entry::new("n", Value::Int(0))], 0).unwrap();
    let mut waiting: Vec<Waiting> = (0..PROCESSES).map(|_| Waiting::start(folder.path())).collect();
    assert!(waiting.iter_mut().all(|waiting| waiting.says() == "from 0"));
    for n in 1..=CHANGES {
        writer.set("n", Value::Int(n).into()).unwrap();
        for waiting in &mut waiting {
            assert_eq!(waiting.says(), format!("saw {n}"));
        }
    }
    for waiting in &mut waiting {
        assert!(waiting.0.wait().unwrap().success());
    }
}
