//! What `mainstay flag on` costs beside `/bin/true`: both are started in turn, in one run, so that noise meets both.
//!
//! `cargo bench --bench flag_on` (a number behind `--` is how often each; 500 when not given)

use mainstay::sys::clock;
use nix::sys::resource::{UsageWho, getrusage};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A program, and what it took each time: from its start to its end, and processor time.
struct Runner {
    name: &'static str,
    command: Command,
    code: i32,
    wall: Vec<Duration>,
    processor: Vec<Duration>,
}

impl Runner {
    fn new(name: &'static str, mut command: Command, code: i32) -> Runner {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Runner { name, command, code, wall: Vec::new(), processor: Vec::new() }
    }

    fn run(&mut self) {
        let used = used_by_children();
        let began = clock::now();
        let status = self.command.status().expect("the program can be started");
        self.wall.push(clock::now().since(began));
        self.processor.push(used_by_children() - used);
        assert_eq!(status.code(), Some(self.code), "{}", self.name);
    }
}

fn used_by_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("our own usage is known");
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    Duration::from_micros((micros(usage.user_time()) + micros(usage.system_time())) as u64)
}

fn at(sorted: &[Duration], percent: usize) -> f64 {
    sorted[sorted.len() * percent / 100].as_secs_f64() * 1e6
}

fn main() {
    let times = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(500);
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let place = |name: &str| folder.path().join(name);
    let file = "name = \"bench\"\n[service.idle]\ncommand = [\"sleep\", \"100000\"]\n[flag.x]\ndefault = true\n[flag.y]\npercent = 50\n";
    std::fs::write(place("mainstay.toml"), file).expect("the folder is ours");
    let mainstay = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.args(words).current_dir(folder.path()).env_remove("MAINSTAY_RUNTIME_DIR");
        for (variable, name) in
            [("RUNTIME_DIRECTORY", "run"), ("STATE_DIRECTORY", "state"), ("LOGS_DIRECTORY", "log")]
        {
            command.env(variable, place(name));
        }
        command
    };
    let inside = |words: &[&str]| {
        let mut command = mainstay(words);
        command.env("MAINSTAY_RUNTIME_DIR", place("run")).env("MAINSTAY_STATE_DIR", place("state"));
        command.current_dir(Path::new("/"));
        command
    };
    assert!(mainstay(&["run", "-d", "--wait"]).status().is_ok_and(|status| status.success()));
    let mut runners = [
        Runner::new("/bin/true", Command::new("/bin/true"), 0),
        Runner::new("flag on x", mainstay(&["flag", "on", "x"]), 0),
        Runner::new("flag on x, in a service", inside(&["flag", "on", "x"]), 0),
        Runner::new(
            "flag on y --id user:1, in a service",
            inside(&["flag", "on", "y", "--id", "user:1"]),
            by_id(),
        ),
        Runner::new("version (the long way)", mainstay(&["version"]), 0),
    ];
    for _ in 0..times {
        runners.iter_mut().for_each(Runner::run);
    }
    assert!(mainstay(&["shutdown"]).status().is_ok_and(|status| status.success()));
    println!(
        "{:36} {:>22} {:>22} {:>22}",
        "microseconds, × /bin/true", "10th percentile", "median", "processor, median"
    );
    let mut base = None;
    for runner in &mut runners {
        runner.wall.sort_unstable();
        runner.processor.sort_unstable();
        let figures = [at(&runner.wall, 10), at(&runner.wall, 50), at(&runner.processor, 50)];
        let base = *base.get_or_insert(figures);
        let cells =
            figures.iter().zip(base).map(|(figure, base)| format!("{figure:.0} ({:.2})", figure / base));
        let cells: String = cells.map(|cell| format!(" {cell:>22}")).collect();
        println!("{:36}{cells}", runner.name);
    }
}

/// What the library says of the id, so that a wrong answer is seen.
fn by_id() -> i32 {
    let on = mainstay::flags::Prefix::new("y")
        .and_then(|prefix| prefix.position("user:1"))
        .is_some_and(|p| p < 50_000);
    i32::from(!on)
}
