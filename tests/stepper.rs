//! The keeper stopped, killed, or made to fail at each single system call of a change and of its own start.
//!
//! What must hold at every such point: no acknowledged change is lost, none is made twice, the board says
//! what the journal says after the next start, and the order of J1 and J3 is kept to the letter.

#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used)]

#[path = "support/keeper.rs"]
mod keeper;
#[path = "support/system_calls.rs"]
mod stepper;

use keeper::{Home, Life};
use mainstay::flags::Value;
use mainstay::ipc::flags::{How, Reply, Request, To};
use mainstay::services::keeper::client::{self, AskError};
use mainstay::sys::clock;
use nix::errno::Errno;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use stepper::{After, Before, Call, End, Stepper};

const NEW: Value = Value::Share(77);

fn request(id: u64, reason: &str) -> Request {
    let how = How { id, reason: reason.into(), ..How::default() };
    Request::Set { how, edits: vec![keeper::edit("x", To::Value(NEW))] }
}

/// One try, as a client that does not ask again makes it: true when it was acknowledged.
fn try_once(home: &Home, id: u64, reason: &str) -> bool {
    let deadline = clock::now() + keeper::WATCHDOG;
    match client::ask_once(&client::socket(&home.runtime()), &request(id, reason), deadline) {
        Ok(answer) => {
            assert!(answer.durable);
            true
        }
        Err(AskError::Call(_)) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// Steps the keeper through one change of flag `x`. Says whether the change was acknowledged.
fn step_through_a_change(
    home: &Home,
    life: &mut Life,
    id: u64,
    before: impl FnMut(&Call) -> Before,
    after: impl FnMut(&Call, i64) -> After,
) -> (bool, End) {
    let stepper = Stepper::attach(life.pid());
    let answered = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let acknowledged = try_once(home, id, "stepped");
            answered.store(true, Ordering::SeqCst);
            acknowledged
        });
        let end = stepper.run(before, after, || answered.load(Ordering::SeqCst));
        if end == End::Dead {
            life.was_reaped();
            // Its socket is still there, as with a real supervisor; the client was cut off, or waits in the
            // backlog for the next life.
            if !answered.load(Ordering::SeqCst) {
                let next = home.begin();
                home.await_ready();
                *life = next;
            }
        }
        (client.join().unwrap(), end)
    })
}

/// After whatever happened: the next life, and the change sent again, must leave it made exactly once.
fn judge(home: &Home, life: &mut Life, id: u64, base: u64, acknowledged: bool, what: &str) {
    if acknowledged {
        assert_eq!(home.board("x"), Some(NEW.into()), "{what}: acknowledged and not on the board");
        assert_eq!(home.truth().truth("x"), Some(NEW.into()), "{what}: acknowledged and not in the journal");
    }
    life.kill();
    *life = home.start();
    while home.is_ready() {}
    let truth = home.truth();
    let made = truth.truth("x") == Some(NEW.into());
    assert!(made || !acknowledged, "{what}: an acknowledged change was lost");
    assert_eq!(truth.generation(), base + u64::from(made), "{what}");
    let shown = truth.truth("x").unwrap_or(Value::Off.into());
    assert_eq!(home.board("x"), Some(shown), "{what}: the board after the next start");
    let changed = home.set_as(id, "x", To::Value(NEW)).unwrap();
    assert_eq!(changed.repeated, made, "{what}");
    assert_eq!(changed.generation, base + 1, "{what}");
    assert_eq!(home.truth().generation(), base + 1, "{what}: made twice");
    assert_eq!(home.board("x"), Some(NEW.into()), "{what}");
    let audited = home.audited();
    assert_eq!(audited.iter().filter(|g| **g == base + 1).count(), 1, "{what}: {audited:?}");
    assert!(audited.is_sorted_by(|one, next| one < next), "{what}: {audited:?}");
    // Back to where the next point begins.
    home.set("x", Value::Off);
}

/// A change at each of whose system calls something is done, until a change has fewer than `n` of them.
fn at_every_call(home: &Home, trial: impl Fn(u64, &Cell<u64>, &mut Life, u64) -> (bool, End)) -> u64 {
    let mut life = home.start();
    home.set("x", Value::Off);
    for n in 1.. {
        let (id, base) = (client::fresh_id(), home.truth().generation());
        let count = Cell::new(0);
        let (acknowledged, end) = trial(n, &count, &mut life, id);
        judge(home, &mut life, id, base, acknowledged, &format!("at call {n}"));
        if end == End::Left && count.get() < n {
            return n - 1;
        }
    }
    unreachable!("a change has an end")
}

#[test]
fn j1_killed_after_every_system_call_of_a_change_nothing_acknowledged_is_lost() {
    let home = Home::new(&["x"]);
    let points = at_every_call(&home, |n, count, life, id| {
        let after = |_: &Call, _| {
            count.set(count.get() + 1);
            if count.get() == n { After::Kill } else { After::Go }
        };
        step_through_a_change(&home, life, id, |_| Before::Go, after)
    });
    println!("{points} points");
    assert!(points >= 8, "{points}");
}

#[test]
fn j1_the_journal_is_synced_before_the_board_shows_it_and_that_before_the_answer() {
    let home = Home::new(&["x"]);
    let mut life = home.start();
    home.set("x", Value::Off);
    let steps = RefCell::new(Vec::new());
    let reader = mainstay::board::Board::open(&home.runtime());
    let shown = || reader.read("x").truth == Some(NEW.into());
    let before = |call: &Call| {
        match call.number {
            stepper::PWRITE if call.is_on("journal") => steps.borrow_mut().push(("write", shown())),
            stepper::SENDTO if call.path.to_string_lossy().starts_with("socket:") => {
                steps.borrow_mut().push(("answer", shown()));
            }
            _ => {}
        }
        Before::Go
    };
    let after = |call: &Call, result: i64| {
        if call.number == stepper::FDATASYNC && call.is_on("journal") && result == 0 {
            steps.borrow_mut().push(("synced", shown()));
        }
        After::Go
    };
    let (acknowledged, _) = step_through_a_change(&home, &mut life, 5, before, after);
    assert!(acknowledged);
    let mut steps = steps.into_inner();
    steps.dedup();
    // The news for the supervisor goes out beside the answer: both are sent when all is done.
    assert_eq!(steps, [("write", false), ("synced", false), ("answer", true)]);
}

#[test]
fn requests_that_come_together_share_one_sync() {
    const CLIENTS: usize = 20;
    let names: Vec<_> = (0..CLIENTS).map(|n| format!("flag-{n}")).collect();
    let home = Home::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut life = home.start();
    let before = home.truth().generation();
    let stepper = Stepper::attach(life.pid());
    // It stands still: all of them are in its backlog before it looks.
    let clients: Vec<_> = names
        .iter()
        .map(|name| {
            let deadline = Some(clock::now() + keeper::WATCHDOG);
            let socket = client::socket(&home.runtime());
            let mut client = mainstay::ipc::client::Client::connect(&socket, deadline).unwrap();
            let request =
                Request::Set { how: How::default(), edits: vec![keeper::edit(name, To::Value(NEW))] };
            client.send(&request).unwrap();
            client
        })
        .collect();
    let (answers, syncs) = (Cell::new(0), Cell::new(0));
    let after = |call: &Call, result: i64| {
        answers.set(answers.get() + usize::from(call.number == stepper::SENDTO && result > 0));
        syncs.set(syncs.get() + u32::from(call.number == stepper::FDATASYNC && call.is_on("journal")));
        After::Go
    };
    let end = stepper.run(|_| Before::Go, after, || answers.get() >= CLIENTS);
    assert_eq!(end, End::Left);
    for mut client in clients {
        assert!(matches!(client.receive::<Reply>().unwrap(), Reply::Changed(c) if c.durable));
    }
    assert_eq!(syncs.get(), 1);
    life.kill();
    let _life = home.start();
    assert_eq!(home.truth().generation(), before + CLIENTS as u64);
}

/// Calls on whose failure the journal depends, and those of files and directories around it.
fn is_about_files(call: &Call) -> bool {
    const OF_FILES: [u64; 24] =
        [0, 1, 2, 3, 4, 5, 6, 17, 18, 74, 75, 76, 77, 82, 83, 86, 87, 90, 221, 257, 262, 263, 285, 332];
    OF_FILES.contains(&call.number) || [stepper::RENAMEAT, 258, 265, 316].contains(&call.number)
}

#[test]
fn j4_each_system_call_of_a_change_failing_once_loses_nothing() {
    let home = Home::new(&["x"]);
    let failed: RefCell<BTreeMap<u64, u32>> = RefCell::default();
    for errno in [Errno::EIO, Errno::ENOSPC, Errno::EROFS, Errno::EINTR, Errno::EMFILE] {
        let points = at_every_call(&home, |n, count, life, id| {
            let before = |call: &Call| {
                if !is_about_files(call) {
                    return Before::Go;
                }
                count.set(count.get() + 1);
                if count.get() != n {
                    return Before::Go;
                }
                *failed.borrow_mut().entry(call.number).or_default() += 1;
                Before::Fail(errno)
            };
            step_through_a_change(&home, life, id, before, |_, _| After::Go)
        });
        assert!(points >= 4, "{errno}: {points}");
    }
    let failed = failed.into_inner();
    for call in [stepper::PWRITE, stepper::FDATASYNC] {
        assert!(failed.contains_key(&call), "call {call} was never failed: {failed:?}");
    }
}

#[test]
fn j4_a_journal_that_failed_is_never_touched_again_and_the_change_is_made_in_the_next() {
    for (number, errno) in [
        (stepper::PWRITE, Errno::EIO),
        (stepper::PWRITE, Errno::ENOSPC),
        (stepper::FDATASYNC, Errno::EIO),
        (stepper::FDATASYNC, Errno::ENOSPC),
        (stepper::FDATASYNC, Errno::EINTR),
    ] {
        let home = Home::new(&["x"]);
        let mut life = home.start();
        let (epoch, base) = (home.where_is_everything().epoch, home.truth().generation());
        // The descriptor that failed, until it is closed.
        let bad = Cell::new(None);
        let before = |call: &Call| {
            if Some(call.arguments[0]) == bad.get() {
                match call.number {
                    3 => bad.set(Some(u64::MAX)),
                    stepper::PWRITE | stepper::WRITE | stepper::FDATASYNC | stepper::FSYNC => {
                        panic!("a descriptor that failed is used again: {call:?}")
                    }
                    _ => {}
                }
            }
            if bad.get().is_none() && call.number == number && call.is_on("journal") {
                bad.set(Some(call.arguments[0]));
                return Before::Fail(errno);
            }
            Before::Go
        };
        let (acknowledged, end) = step_through_a_change(&home, &mut life, 9, before, |_, _| After::Go);
        assert_eq!(end, End::Left, "it lives");
        assert!(acknowledged, "{errno}: healed into a new epoch, the change is made");
        assert_eq!(bad.get(), Some(u64::MAX), "{errno}: it was closed");
        assert_eq!(home.where_is_everything().epoch, epoch + 1);
        judge(&home, &mut life, 9, base, true, "after it healed");
    }
}

#[test]
fn a_short_write_is_continued_where_it_ended() {
    let home = Home::new(&["x"]);
    let mut life = home.start();
    let base = home.truth().generation();
    let shortened = Cell::new(0);
    let before = |call: &Call| {
        if call.number == stepper::PWRITE && call.is_on("journal") && shortened.get() < 3 {
            shortened.set(shortened.get() + 1);
            return Before::Shorten;
        }
        Before::Go
    };
    let (acknowledged, _) = step_through_a_change(&home, &mut life, 3, before, |_, _| After::Go);
    assert!(acknowledged);
    assert_eq!(shortened.get(), 3);
    judge(&home, &mut life, 3, base, true, "after short writes");
}

#[test]
fn j4_a_disk_that_fails_for_good_refuses_and_the_board_keeps_the_old_value() {
    let home = Home::new(&["x"]);
    let mut life = home.start();
    home.set("x", Value::Share(5));
    let stepper = Stepper::attach(life.pid());
    let answered = AtomicBool::new(false);
    let reply = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let reply = home.set_as(4, "x", To::Value(NEW));
            answered.store(true, Ordering::SeqCst);
            reply
        });
        let before = |call: &Call| match call.number {
            stepper::FDATASYNC | stepper::FSYNC => Before::Fail(Errno::EIO),
            _ => Before::Go,
        };
        let end = stepper.run(before, |_, _| After::Go, || answered.load(Ordering::SeqCst));
        assert_eq!(end, End::Left);
        client.join().unwrap()
    });
    let refusal = reply.unwrap_err();
    assert_eq!(refusal.code, 1);
    assert!(refusal.message.contains("Input/output error"), "{refusal:?}");
    assert_eq!(home.board("x"), Some(Value::Share(5).into()), "what was refused is not shown");
    // The disk is well again: the next change is made, in a new journal.
    assert!(home.set("x", NEW).durable);
    life.kill();
    let _life = home.start();
    assert_eq!(home.truth().truth("x"), Some(NEW.into()));
}

/// The calls of one whole start, from its first instruction: killed after each.
#[test]
fn j3_killed_after_every_system_call_of_its_start_nothing_is_lost() {
    let home = Home::new(&["x"]);
    let mut life = home.start();
    let made = home.set("x", NEW).generation;
    life.kill();
    let mut points = 0;
    for n in 1.. {
        let mut life = home.begin_stopped();
        // The shell stops itself; then it is stepped, and what it becomes.
        nix::sys::wait::waitpid(life.pid(), Some(nix::sys::wait::WaitPidFlag::WUNTRACED)).unwrap();
        let stepper = Stepper::attach(life.pid());
        nix::sys::signal::kill(life.pid(), nix::sys::signal::Signal::SIGCONT).unwrap();
        let (counting, count) = (Cell::new(false), Cell::new(0));
        let after = |call: &Call, _| {
            // From the first call about our own files on: before that nothing of ours has run.
            counting.set(counting.get() || call.path.starts_with(home.state()) || call.number == 83);
            count.set(count.get() + u64::from(counting.get()));
            if count.get() == n { After::Kill } else { After::Go }
        };
        let ready = Cell::new(false);
        let end = stepper.run(
            |_| Before::Go,
            after,
            || {
                ready.set(ready.get() || home.is_ready());
                ready.get()
            },
        );
        if end == End::Dead {
            life.was_reaped();
        }
        drop(life);
        while home.is_ready() {}
        let truth = home.truth();
        assert_eq!((truth.truth("x"), truth.generation()), (Some(NEW.into()), made), "after call {n}");
        let shown = home.board("x");
        assert!(shown.is_none() || shown == Some(NEW.into()), "after call {n}: {shown:?}");
        points = n;
        if end == End::Left {
            break;
        }
    }
    println!("{points} points");
    assert!(points > 30, "{points}");
    let _life = home.start();
    assert_eq!(home.board("x"), Some(NEW.into()));
}

#[test]
fn j4_each_system_call_of_its_start_failing_once_loses_nothing() {
    let home = Home::new(&["x"]);
    let mut life = home.start();
    let made = home.set("x", NEW).generation;
    life.kill();
    for errno in [Errno::EIO, Errno::ENOSPC, Errno::EROFS, Errno::EACCES] {
        let mut points = 0;
        for n in 1.. {
            let mut life = home.begin_stopped();
            nix::sys::wait::waitpid(life.pid(), Some(nix::sys::wait::WaitPidFlag::WUNTRACED)).unwrap();
            let stepper = Stepper::attach(life.pid());
            nix::sys::signal::kill(life.pid(), nix::sys::signal::Signal::SIGCONT).unwrap();
            let (counting, count, ready) = (Cell::new(false), Cell::new(0), Cell::new(false));
            let before = |call: &Call| {
                // Making the state directory is the first thing that it does on a disk.
                counting.set(counting.get() || call.number == 83);
                if !counting.get() || !is_about_files(call) {
                    return Before::Go;
                }
                count.set(count.get() + 1);
                if count.get() == n { Before::Fail(errno) } else { Before::Go }
            };
            let end = stepper.run(
                before,
                |_, _| After::Go,
                || {
                    ready.set(ready.get() || home.is_ready());
                    ready.get()
                },
            );
            if end == End::Dead {
                // As a supervisor would.
                life.was_reaped();
                life = home.start();
            }
            let truth = home.truth();
            let what = format!("{errno} at call {n}");
            assert_eq!((truth.truth("x"), truth.generation()), (Some(NEW.into()), made), "{what}");
            assert_eq!(home.board("x"), Some(NEW.into()), "{what}");
            life.kill();
            while home.is_ready() {}
            points = n;
            if count.get() < n {
                break;
            }
        }
        assert!(points > 20, "{points}");
    }
}

/// J3: written, synced, renamed, the directory synced, and only then relied upon.
#[test]
fn j3_a_new_journal_has_its_name_only_when_it_is_whole() {
    let home = Home::new(&["x"]);
    let mut life = home.start();
    // The audit log has something that may not be on the disk.
    home.set("x", Value::Off);
    let failed = Cell::new(false);
    let steps = RefCell::new(Vec::new());
    let before = |call: &Call| {
        if !failed.get() && call.number == stepper::FDATASYNC && call.is_on("journal") {
            failed.set(true);
            return Before::Fail(Errno::EIO);
        }
        Before::Go
    };
    let after = |call: &Call, result: i64| {
        if !failed.get() || result < 0 {
            return After::Go;
        }
        let step = match call.number {
            stepper::FDATASYNC if call.is_on("audit.jsonl") => "sync the audit log",
            stepper::PWRITE if call.is_on("journal.next") => "write the next journal",
            stepper::FSYNC if call.is_on("journal.next") => "sync it",
            stepper::RENAME | stepper::RENAMEAT => "rename",
            stepper::FSYNC if call.is_on("flags") => "sync the directory",
            stepper::PWRITE if call.is_on("journal") => "write the change",
            stepper::FDATASYNC if call.is_on("journal") => "sync the change",
            stepper::SENDTO => "answer",
            _ => return After::Go,
        };
        steps.borrow_mut().push(step);
        After::Go
    };
    let (acknowledged, _) = step_through_a_change(&home, &mut life, 8, before, after);
    assert!(acknowledged);
    let mut steps = steps.into_inner();
    steps.dedup();
    let expected = [
        // What the journal before had is in the new one only when the log may lack it.
        "sync the audit log",
        "write the next journal",
        "sync it",
        "rename",
        "sync the directory",
        // The room for the one after it (J5).
        "rename",
        "write the change",
        "sync the change",
        "answer",
    ];
    assert_eq!(steps, expected);
}
