#![allow(unsafe_code)] // A foreign mapping and a fork have no safe form.
//! The board and its process: SIGBUS under our mappings and under others', threads, forks.

use mainstay::board::{Board, Entry, Source, Writer};
use mainstay::flags::Value;
use mainstay::sys::mapping::{Region, WriteMapping};
use mainstay::sys::sigbus;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::env;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

fn entries(value: Value) -> Vec<Entry> {
    vec![Entry::new("a", value)]
}

/// Runs the test `name` of this program alone, in a child with `BOARD_CHILD` set.
fn in_child(name: &str) -> std::process::ExitStatus {
    Command::new(env::current_exe().unwrap())
        .args([name, "--exact"])
        .env("BOARD_CHILD", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

#[test]
fn b7_a_sigbus_that_is_not_ours_kills_with_the_right_signal() {
    if env::var_os("BOARD_CHILD").is_none() {
        let status = in_child("b7_a_sigbus_that_is_not_ours_kills_with_the_right_signal");
        assert_eq!(status.signal(), Some(libc::SIGBUS), "{status}");
        return;
    }
    nix::unistd::alarm::set(60); // A fault that nobody ends repeats for ever.
    // Ours first: it is survived, and leaves the guard standing.
    let ours = tempfile::tempfile().unwrap();
    ours.set_len(8192).unwrap();
    let mapping = WriteMapping::new(ours.as_fd(), 8192).unwrap();
    mapping.store(0, 5);
    ours.set_len(0).unwrap();
    assert_eq!((mapping.load(0), mapping.is_lost()), (0, true));
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    // SAFETY: a new mapping; nobody else uses it.
    let foreign = unsafe { mmap(std::ptr::null_mut(), 4096, ProtFlags::READ, MapFlags::SHARED, &file, 0) };
    let foreign = foreign.unwrap().cast::<u8>();
    file.set_len(0).unwrap();
    // SAFETY: mapped; the fault is the point.
    let byte = unsafe { foreign.read_volatile() };
    panic!("read {byte} from a file that is gone");
}

#[test]
fn b7_threads_that_fault_at_once_read_zeros_and_go_on_thousands_of_times() {
    let region = Region::reserve().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = [0u64; 2];
                    while !stop.load(Ordering::Relaxed) || seen[1] == 0 {
                        for cell in [0, 511, 512, 1023] {
                            match region.load(cell) {
                                0 => seen[0] += 1,
                                7 => seen[1] += 1,
                                other => panic!("cell {cell} is {other}"),
                            }
                        }
                    }
                    seen
                })
            })
            .collect();
        let show = || {
            let file = tempfile::tempfile().unwrap();
            file.set_len(8192).unwrap();
            let words = WriteMapping::new(file.as_fd(), 8192).unwrap();
            (0..1024).for_each(|cell| words.store(cell, 7));
            region.show(file.as_fd(), 8192).unwrap();
            file
        };
        for _ in 0..2000 {
            show().set_len(0).unwrap();
        }
        let whole = show();
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            let [zeros, values] = reader.join().unwrap();
            assert!(values > 0, "{zeros} zeros");
        }
        drop(whole);
    });
    region.give_back();
}

#[test]
fn b7_the_writer_survives_the_loss_of_its_own_mapping() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, _) = Writer::create(folder.path(), &entries(Value::Off), 0).unwrap();
    let flag = Board::open(folder.path()).flag("a");
    for n in 1..50 {
        File::create(folder.path().join("board")).unwrap();
        // Not looked: the store itself meets the lost mapping.
        writer.set("a", Value::Share(n).into()).unwrap();
        assert_eq!(flag.read().truth, Some(Value::Share(n).into()));
    }
}

#[test]
fn the_guard_comes_back_when_somebody_took_its_place() {
    // In a child: another test of this process may fault just now.
    if env::var_os("BOARD_CHILD").is_none() {
        assert!(in_child("the_guard_comes_back_when_somebody_took_its_place").success());
        return;
    }
    let region = Region::reserve().unwrap();
    // SAFETY: the default action runs no code.
    unsafe { nix::sys::signal::signal(nix::sys::signal::SIGBUS, nix::sys::signal::SigHandler::SigDfl) }
        .unwrap();
    sigbus::ensure_installed().unwrap();
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    region.show(file.as_fd(), 4096).unwrap();
    file.set_len(0).unwrap();
    assert_eq!(region.load(0), 0);
}

#[test]
fn b7_handles_work_after_a_fork_and_follow_successors_there() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, _) = Writer::create(folder.path(), &entries(Value::Off), 0).unwrap();
    let board = Board::open(folder.path());
    let flag = board.flag("a");
    assert_eq!(flag.read().source, Source::Proven);
    // The child waits for the change on the board itself.
    // SAFETY: the child only uses the handle, which neither allocates nor locks, and leaves by `_exit`.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let woken = board.wait(0, std::time::Duration::from_secs(60)).is_some();
            while !flag.is_on() {
                std::hint::spin_loop();
            }
            // SAFETY: ends the child at once, without the test harness.
            unsafe { libc::_exit(if woken { 0 } else { 1 }) }
        }
        ForkResult::Parent { child } => {
            let mut all = entries(Value::On);
            all[0].salt = "another board".into();
            writer.declare(&all).unwrap();
            assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            assert!(flag.is_on());
        }
    }
}

#[test]
fn opening_and_dropping_boards_reuses_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let _writer = Writer::create(folder.path(), &entries(Value::On), 0).unwrap();
    // More than the guard's table has entries for.
    for _ in 0..500 {
        assert!(Board::open(folder.path()).flag("a").is_on());
    }
}
