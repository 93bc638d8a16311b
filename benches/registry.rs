//! Names: what a look-up costs beside a `HashMap` and beside a board; how long the dead are seen; how long a deleted table
//! is away.
//!
//! `cargo bench --bench registry` (a number behind `--` is how many names; 10,000 when not given)

use mainstay::board::{Board, Entry as Flag, Setting, Writer as BoardWriter};
use mainstay::flags::{Truth, Value};
use mainstay::registry::{self, Happened, Names};
use mainstay::sys::clock;
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LOOKS: usize = 2_000_000;
const TIMES: usize = 200;

fn sleeper() -> Child {
    let mut command = Command::new("sleep");
    command.arg("100000").stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().expect("there is a sleep")
}

/// Nanoseconds of one look-up: the median of eleven runs, over names in an order that no cache foresees.
fn each(names: &[String], mut look: impl FnMut(&str) -> bool) -> f64 {
    let mut runs: Vec<f64> = (0..11)
        .map(|_| {
            let (began, mut at, mut found) = (clock::now(), 0, 0);
            for _ in 0..LOOKS / 11 {
                at = (at + 7919) % names.len();
                found += usize::from(look(black_box(&names[at])));
            }
            assert_eq!(found, LOOKS / 11);
            clock::now().since(began).as_nanos() as f64 / (LOOKS / 11) as f64
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

fn spread(name: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    println!("{name:45} median {:.2} ms, p99 {:.2} ms, longest {:.2} ms", at(50), at(99), at(100));
}

fn main() {
    let count = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(10_000);
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let place = |name: &str| folder.path().join(name);
    std::fs::write(
        place("mainstay.toml"),
        "name = \"bench\"\n[service.idle]\ncommand = [\"sleep\", \"100000\"]\n",
    )
    .expect("the folder is ours");
    let mainstay = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command
            .args(words)
            .current_dir(folder.path())
            .env_remove("MAINSTAY_RUNTIME_DIR")
            .stdout(Stdio::null());
        for (variable, name) in
            [("RUNTIME_DIRECTORY", "run"), ("STATE_DIRECTORY", "state"), ("LOGS_DIRECTORY", "log")]
        {
            command.env(variable, place(name));
        }
        assert!(command.status().expect("mainstay can be started").success(), "{words:?}");
    };
    mainstay(&["run", "-d", "--wait"]);
    looks(&place("run"), &place("board"), count);
    deaths(&place("run"));
    deletions(&place("run"));
    mainstay(&["shutdown"]);
}

fn looks(runtime: &Path, board: &Path, count: usize) {
    let names = Names::open(runtime);
    let mut holder = sleeper();
    let process = registry::describe(holder.id()).expect("it lives");
    let all: Vec<String> = (0..count).map(|at| format!("service-{at}")).collect();
    let began = clock::now();
    for name in &all {
        names.register_process(name, process, BTreeMap::new(), Duration::from_secs(60)).expect("it answers");
    }
    let each_took = clock::now().since(began).as_secs_f64() * 1e6 / count as f64;
    println!("{count} names; a registration from asked to answered: {each_took:.0} µs");
    let map: HashMap<String, u32> = all.iter().map(|name| (name.clone(), process.pid)).collect();
    let on = || Setting { truth: Truth::from(Value::On), instances: None };
    let flags: Vec<Flag> = all.iter().map(|name| Flag::new(name, on())).collect();
    let (_writer, _) = BoardWriter::create(board, &flags, 1).expect("the folder is ours");
    let flags = Board::open(board);
    println!(
        "look-up by name, HashMap                      {:.1} ns",
        each(&all, |name| map.contains_key(name))
    );
    println!(
        "look-up by name, board: is the flag on?       {:.1} ns",
        each(&all, |name| flags.is_on(name, false))
    );
    println!(
        "look-up by name, registry: which pid?         {:.1} ns",
        each(&all, |name| names.pid(name).is_some())
    );
    let whole = each(&all, |name| names.lookup(name).is_ok_and(|found| found.is_some()));
    println!("look-up by name, registry: the whole entry    {whole:.1} ns");
    let _ = holder.kill();
    let _ = holder.wait();
    while names.pid(&all[count - 1]).is_some() {}
}

/// From the kill to the look-up that does not find it any more, and to a watcher that has heard of it.
fn deaths(runtime: &Path) {
    let names = Names::open(runtime);
    let mut watch = names.watch("victim");
    let (mut seen, mut heard) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let mut victim = sleeper();
        let process = registry::describe(victim.id()).expect("it lives");
        names
            .register_process("victim", process, BTreeMap::new(), Duration::from_secs(60))
            .expect("it answers");
        let began = clock::now();
        victim.kill().expect("it is ours");
        while names.pid("victim").is_some() {
            std::hint::spin_loop();
        }
        seen.push(clock::now().since(began));
        while !matches!(watch.next(None), Ok(Some(Happened::Gone(..)))) {}
        heard.push(clock::now().since(began));
        let _ = victim.wait();
    }
    spread("killed → not found any more", seen);
    spread("killed → a watcher has heard of it", heard);
}

/// From the deletion of both names until the table can be opened again.
fn deletions(runtime: &Path) {
    let (table, kept) = (runtime.join("registry"), runtime.join(".kept/registry"));
    let (mut one, mut both) = (Vec::new(), Vec::new());
    for round in 0..TIMES {
        let began = clock::now();
        std::fs::remove_file(&table).expect("it stands");
        if round % 2 == 1 {
            let _ = std::fs::remove_file(&kept);
        }
        while std::fs::symlink_metadata(&table).is_err() || std::fs::symlink_metadata(&kept).is_err() {
            std::hint::spin_loop();
        }
        let took = clock::now().since(began);
        if round % 2 == 1 { both.push(took) } else { one.push(took) }
    }
    spread("table deleted → back", one);
    spread("table and second link deleted → a new one", both);
}
