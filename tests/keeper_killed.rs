//! The extreme case: thirty-two processes that change flags and stages, and the keeper killed under them a hundred times.
//!
//! What must hold: each acknowledged change is in the journal and in the audit log, once, and on the board (J1); a snapshot
//! never shows half a stage.

#![allow(clippy::unwrap_used)]

#[path = "support/keeper.rs"]
mod support;

use mainstay::board::Board;
use mainstay::flags::guard::{Guarding, Mode};
use mainstay::flags::{Migration, Stage, Value};
use mainstay::ipc::declared::Declarations;
use mainstay::ipc::flags::{Edit, How, Reply, Request, Way};
use mainstay::services::keeper::client::{self, AskError};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use support::{Home, WATCHDOG, declaration};

const SETTERS: usize = 32;
const KILLS: u64 = 100;
const RUNTIME: &str = "MAINSTAY_TEST_RUNTIME";
const FLAG: &str = "MAINSTAY_TEST_FLAG";

/// The part that a process of its own plays: sets one flag again and again, one for each line that it is sent, and says
/// the number of each acknowledged change.
fn setter(runtime: &Path, flag: &str) {
    let mut out = std::io::stdout().lock();
    for (count, line) in (1..).zip(std::io::stdin().lock().lines()) {
        line.unwrap();
        let how = How { id: client::fresh_id(), ..How::default() };
        let to = Value::Share(count).to_string();
        let request = Request::Set { how, edits: vec![Edit::new(flag, to)] };
        let answer = client::ask(runtime, &request, WATCHDOG).unwrap();
        let [Reply::Changed(changed)] = &answer.replies[..] else { panic!("{answer:?}") };
        assert!(changed.durable);
        // J1: whoever has the acknowledgement reads the new value.
        let board = Board::open(runtime);
        assert_eq!(board.read(flag).truth, Some(Value::Share(count).into()));
        writeln!(out, "changed {}", changed.generation).unwrap();
        out.flush().unwrap();
    }
}

struct Setter {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Setter {
    fn start(name: &str, runtime: &Path, flag: &str) -> Setter {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
        command.env(RUNTIME, runtime).env(FLAG, flag).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Setter { child, said }
    }

    /// One more change; its number.
    fn change(&mut self) -> u64 {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "the setter ended");
            // The test runner's own words come before.
            if let Some((_, number)) = line.split_once("changed ") {
                return number.trim().parse().unwrap();
            }
        }
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn j1_every_acknowledged_change_is_there_once_however_often_the_keeper_is_killed() {
    if let (Some(runtime), Some(flag)) = (std::env::var_os(RUNTIME), std::env::var(FLAG).ok()) {
        return setter(&PathBuf::from(runtime), &flag);
    }
    let name = "j1_every_acknowledged_change_is_there_once_however_often_the_keeper_is_killed";
    let names: Vec<_> = (0..SETTERS).map(|n| format!("flag-{n}")).collect();
    let home = Home::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut life = home.start();
    let first = home.truth().generation();
    let (kills, acknowledged) = (AtomicU64::new(0), AtomicU64::new(0));
    let made = std::thread::scope(|scope| {
        let setters: Vec<_> = names
            .iter()
            .map(|flag| {
                let (home, kills, acknowledged) = (&home, &kills, &acknowledged);
                scope.spawn(move || {
                    let mut setter = Setter::start(name, &home.runtime(), flag);
                    let mut generations = Vec::new();
                    while kills.load(Ordering::Relaxed) < KILLS || generations.len() < 5 {
                        generations.push(setter.change());
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                    setter.end();
                    generations
                })
            })
            .collect();
        scope.spawn(|| {
            let mut seen = 0;
            while kills.load(Ordering::Relaxed) < KILLS {
                // Killed each time some more changes were acknowledged, at whatever it is doing then.
                let now = acknowledged.load(Ordering::Relaxed);
                if now < seen + 7 {
                    std::thread::yield_now();
                    continue;
                }
                seen = now;
                life.kill();
                life = home.begin();
                kills.fetch_add(1, Ordering::Relaxed);
            }
        });
        setters.into_iter().map(|setter| setter.join().unwrap()).collect::<Vec<_>>()
    });
    let truth = home.truth();
    for (name, generations) in names.iter().zip(&made) {
        let last = Value::Share(generations.len() as u32);
        assert_eq!(truth.truth(name), Some(last.into()));
        assert_eq!(home.board(name), Some(last.into()));
    }
    let mut generations = made.concat();
    generations.sort_unstable();
    // Each acknowledged change has its own number, and every change that was made was acknowledged: no request was carried
    // out twice, though many were sent again. And the log has them all, in their order, each once.
    let audited: Vec<u64> = home.audited().into_iter().filter(|number| *number > first).collect();
    assert_eq!(generations, audited);
}

/// A migration of two stages of forty flags each.
fn wide() -> Declarations {
    let names = |stage: usize| (0..40).map(move |n| format!("s{stage}-{n}")).collect::<Vec<_>>();
    let stages =
        (1..=2).map(|stage| Stage { name: format!("stage-{stage}"), on: names(stage), ..Stage::default() });
    let flags = (1..=2).flat_map(names).map(|name| declaration(&name)).collect();
    let guard = Guarding { mode: Mode::Off, ..Guarding::default() };
    let migration =
        Migration { name: "wide".into(), stages: stages.collect(), guard, ..Migration::default() };
    Declarations { flags, migrations: vec![migration], guard: Mode::On }
}

/// One look: all flags of a stage are alike, and as the stage's number says.
fn look(board: &Board) -> u64 {
    let snapshot = board.snapshot();
    let Some(generation) = snapshot.generation else { return 0 };
    let (stage, _) = snapshot.stage("wide").unwrap();
    for number in 1..=2 {
        for n in 0..40 {
            let on = snapshot.is_on(&format!("s{number}-{n}"), false);
            assert_eq!(on, number <= stage, "s{number}-{n} at stage {stage} in generation {generation}");
        }
    }
    generation
}

#[test]
fn no_snapshot_ever_shows_half_a_stage_however_often_the_keeper_is_killed() {
    let name = "no_snapshot_ever_shows_half_a_stage_however_often_the_keeper_is_killed";
    if let Some(runtime) = std::env::var_os(RUNTIME) {
        // A process that looks all the time, until its input ends.
        let board = Board::open(Path::new(&runtime));
        let (end, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_line(&mut String::new());
            end.send(()).unwrap();
        });
        let (mut looks, mut different, mut last) = (0, 0, 0);
        while ended.try_recv().is_err() {
            let generation = look(&board);
            looks += 1;
            different += u64::from(generation != last);
            last = generation;
        }
        assert!(looks > 100 && different > 20, "{looks} looks, {different} generations");
        return;
    }
    let home = Home::new(&[]);
    home.declare_all(&wide());
    let mut life = home.start();
    let mut looker = Command::new(std::env::current_exe().unwrap());
    looker.args(["--exact", name, "--nocapture"]).env(RUNTIME, home.runtime()).stdin(Stdio::piped());
    let mut looker = looker.spawn().unwrap();
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..150 {
                for (way, to) in [(Way::Enable, "1"), (Way::Enable, "2"), (Way::Rollback, "0")] {
                    let request = Request::Stage {
                        how: How {
                            id: client::fresh_id(),
                            reason: format!("round {round}"),
                            ..How::default()
                        },
                        migration: "wide".into(),
                        to: to.into(),
                        way,
                        force: false,
                        past_one_way: false,
                        at_once: false,
                    };
                    match client::ask(&home.runtime(), &request, WATCHDOG) {
                        Ok(answer) => assert!(answer.durable),
                        Err(AskError::Refused(refusal)) => panic!("{refusal:?}"),
                        Err(other) => panic!("{other:?}"),
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let mut seen = 0;
        while done.load(Ordering::Relaxed) < 450 {
            let now = done.load(Ordering::Relaxed);
            if now < seen + 10 {
                std::thread::yield_now();
                continue;
            }
            seen = now;
            life.kill();
            life = home.begin();
        }
    });
    drop(looker.stdin.take());
    assert!(looker.wait().unwrap().success(), "a snapshot showed half a stage");
    let numbers = home.audited();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}
