//! How long it takes until a thousand processes that wait on the board have all seen a change. `cargo bench --bench wake`.
//!
//! Each is this program again, asleep in `Board::wait`; what each saw when goes into one shared file. `WAKE_PROCESSES` and
//! `WAKE_CHANGES` are their number and that of the changes.

use mainstay::board::{Board, Entry, Writer};
use mainstay::flags::Value;
use mainstay::sys::mapping::WriteMapping;
use mainstay::sys::{clock, futex};
use mainstay::time::Duration;
use std::env;
use std::fs::OpenOptions;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::Ordering;

/// A u32 that each process counts up when it has seen a change; and to wait on.
const SEEN: usize = 0;
/// When each saw the last change, from this cell on.
const WHEN: usize = 8;
const GENEROUS: Duration = Duration::from_secs(60);

fn main() {
    let number = |name: &str, default| env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (processes, changes) = (number("WAKE_PROCESSES", 1000), number("WAKE_CHANGES", 20));
    match env::var_os("WAKE_DIRECTORY") {
        Some(directory) => wait(Path::new(&directory), processes, changes),
        None => measure(processes, changes),
    }
}

fn shared(directory: &Path, processes: usize) -> WriteMapping {
    let path = directory.join("shared");
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).expect("a file");
    let bytes = (WHEN + processes) * 8;
    file.set_len(bytes as u64).expect("space");
    WriteMapping::new(file.as_fd(), bytes).expect("mapped")
}

fn wait(directory: &Path, processes: usize, changes: usize) {
    let shared = shared(directory, processes);
    let me: usize = env::var("WAKE_ME").expect("set").parse().expect("a number");
    let board = Board::open(&directory.join("runtime"));
    let flag = board.flag("n");
    let mut seen = board.generation().expect("a board");
    tell(&shared);
    for change in 1..=changes {
        seen = board.wait(seen, GENEROUS).expect("a change");
        assert_eq!(flag.int(), Some(change as i64));
        shared.store(WHEN + me, clock::now().as_nanos());
        tell(&shared);
    }
}

fn tell(shared: &WriteMapping) {
    shared.half(SEEN).fetch_add(1, Ordering::AcqRel);
    let _ = futex::wake_all(shared.half(SEEN));
}

/// Waits until all have told `times` times.
fn until(shared: &WriteMapping, count: usize) {
    loop {
        let seen = shared.half(SEEN).load(Ordering::Acquire);
        if seen as usize >= count {
            return;
        }
        futex::wait(shared.half(SEEN), seen, Duration::from_millis(100));
    }
}

/// Ended with the measurement.
struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn measure(processes: usize, changes: usize) {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a tmpfs");
    let shared = shared(folder.path(), processes);
    let runtime = folder.path().join("runtime");
    let (mut writer, _) = Writer::create(&runtime, &[Entry::new("n", Value::Int(0))], 0).expect("a board");
    let start = |me: usize| {
        let mut command = Command::new(env::current_exe().expect("this program"));
        command.env("WAKE_DIRECTORY", folder.path()).env("WAKE_ME", me.to_string());
        Waiting(command.spawn().expect("started"))
    };
    let _waiting: Vec<Waiting> = (0..processes).map(start).collect();
    until(&shared, processes);
    let mut results: Vec<[f64; 3]> = (1..=changes)
        .map(|change| {
            // So that those who told are asleep again.
            futex::pause(Duration::from_millis(50));
            let start = clock::now();
            writer.set("n", Value::Int(change as i64).into()).expect("a board");
            let returned = clock::now();
            until(&shared, processes * (change + 1));
            let mut after: Vec<f64> =
                (0..processes).map(|me| (shared.load(WHEN + me) - start.as_nanos()) as f64 / 1e6).collect();
            after.sort_by(f64::total_cmp);
            [after[processes - 1], after[processes / 2], returned.since(start).as_secs_f64() * 1e3]
        })
        .collect();
    results.sort_by(|a, b| a[0].total_cmp(&b[0]));
    println!(
        "{processes} processes, {changes} changes: ms until the last, until half of them, and until `set` returned"
    );
    for (name, [last, half, set]) in
        [("best", results[0]), ("median", results[changes / 2]), ("worst", results[changes - 1])]
    {
        println!("{name:>6}: {last:8.2} {half:8.2} {set:8.2}");
    }
}
