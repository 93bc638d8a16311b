//! What a start costs from a process that has many descriptors open, beside vfork and posix_spawn in C, in one run:
//! `cargo bench --bench descriptors`.
//!
//! Start + exec + exit + reap of /bin/true; medians, in microseconds. Each figure is taken in a process of its own, in
//! turn. The limit on descriptors bounds the last row.

use mainstay::sys::launch::{Environment, Launch, Program, Request, Resource};
use mainstay::sys::{clock, pidfd};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const DESCRIPTORS: [u64; 4] = [0, 400, 4000, 16_000];
const WAYS: [&str; 4] = ["vfork", "spawn", "launch", "copy"];
const ROUNDS: usize = 15;
const STARTS: usize = 101;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [way, descriptors] if WAYS.contains(&way.as_str()) => {
            println!("{}", launch(way == "copy", descriptors.parse().expect("a number of descriptors")));
        }
        _ => compare(),
    }
}

fn compare() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let bare = home.path().join("bare_start");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/bare_start.c");
    let built = Command::new("cc").arg("-O2").arg("-o").arg(&bare).arg(source).status();
    assert!(built.expect("a C compiler").success());
    println!(
        "{:>12} {:>9} {:>12} {:>9} {:>18}",
        "descriptors", "vfork", "posix_spawn", "launch", "launch, by copy"
    );
    for descriptors in DESCRIPTORS {
        let mut times = [(); WAYS.len()].map(|()| Vec::new());
        for round in 0..ROUNDS {
            for turn in 0..WAYS.len() {
                let way = (round + turn) % WAYS.len();
                times[way].push(measure(&bare, WAYS[way], descriptors));
            }
        }
        let [vfork, spawn, launch, copy] = times.map(|times| median(times) / 1000.0);
        println!("{descriptors:>12} {vfork:>9.1} {spawn:>12.1} {launch:>9.1} {copy:>18.1}");
    }
}

fn measure(bare: &Path, way: &str, descriptors: u64) -> f64 {
    let mut command = match way {
        "vfork" | "spawn" => Command::new(bare),
        _ => Command::new(std::env::current_exe().expect("our own program")),
    };
    command.arg(way).arg(descriptors.to_string());
    if matches!(way, "vfork" | "spawn") {
        command.arg(STARTS.to_string());
    }
    let output = command.output().expect("it can be run");
    assert!(output.status.success(), "{way} with {descriptors}: {}", output.status);
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("nanoseconds")
}

/// As a service is started: nothing but its own three descriptors, a session, an environment, a limit.
fn launch(by_copy: bool, descriptors: u64) -> f64 {
    let limit = rustix::process::getrlimit(Resource::Nofile).maximum;
    let set = |current| {
        rustix::process::setrlimit(Resource::Nofile, rustix::process::Rlimit { current, maximum: limit })
    };
    set(limit).expect("the soft limit may be raised");
    let null: OwnedFd = File::options().read(true).write(true).open("/dev/null").expect("/dev/null").into();
    let null = Arc::new(null);
    let mut request = Request::new(Program::Named("/bin/true".into()), vec!["true".into()]);
    request.environment = Arc::new(Environment::inherited(|_| false));
    request.descriptors = (0..3).map(|number| (number, null.clone())).collect();
    let prepared = (!by_copy).then(|| Launch::new(request.clone()).expect("/bin/true can be prepared"));
    let open = || rustix::io::fcntl_dupfd_cloexec(&null, 3).expect("that many descriptors are allowed");
    let _further: Vec<OwnedFd> = (0..descriptors).map(|_| open()).collect();
    let mut launch = match prepared {
        Some(launch) => launch,
        None => {
            // With one number left, for the pidfd, none can be held to be lent.
            set(Some(open().as_raw_fd() as u64 + 1)).expect("a limit may be lowered");
            Launch::new(request).expect("/bin/true can be prepared")
        }
    };
    let times = (0..STARTS).map(|_| {
        let began = clock::now().as_nanos();
        let started = launch.start(&[], None).expect("/bin/true starts");
        pidfd::wait(&started.pidfd).expect("it is our child");
        (clock::now().as_nanos() - began) as f64
    });
    median(times.collect())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
