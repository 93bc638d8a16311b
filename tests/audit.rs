//! The audit log under kills, torn lines, full disks and hostile contents.
//!
//! What must hold: every change that the journal has is in the log, once, whatever the log went through; nothing that stands
//! in the file ends the keeper, or is taken for a line.

#![allow(clippy::unwrap_used)]

#[path = "support/disk.rs"]
mod disk;

use mainstay::audit::{self, Wrong};
use mainstay::flags::Value;
use mainstay::flags::guard::Fact;
use mainstay::store::{Change, Found, Set, Store};
use mainstay::time::Wall;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn change(generation: u64) -> Change {
    let set =
        |value: Value| Set { flag: "x".into(), truth: Some(value.into()), old: None, salt: String::new() };
    Change {
        generation,
        request: 0,
        uid: 1000,
        actor: "ana".into(),
        verb: "flag set x".into(),
        reason: "line\nline \u{1b}[1m \"quoted\" é".into(),
        time: Wall(generation as i64),
        sets: vec![set(Value::of_share(generation as u32))],
        facts: Vec::new(),
    }
}

fn numbers(dir: &Path) -> Vec<u64> {
    let found = audit::newest(&audit::file(dir), "", usize::MAX).unwrap();
    found.lines.iter().rev().map(|line| line.generation).collect()
}

fn written(changes: u64) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path());
    (1..=changes).for_each(|generation| store.commit(&[change(generation)]).unwrap());
    let path = audit::file(dir.path());
    (dir, path)
}

fn all(changes: u64) -> Vec<u64> {
    (1..=changes).collect()
}

#[test]
fn each_change_is_a_line_and_each_line_names_the_digest_of_the_one_before() {
    let (dir, path) = written(20);
    assert_eq!(numbers(dir.path()), all(20));
    assert_eq!(audit::verify(&path).unwrap().lines, 20);
    let text = std::fs::read_to_string(&path).unwrap();
    let (first, second) = (text.lines().next().unwrap(), text.lines().nth(1).unwrap());
    let second: serde_json::Value = serde_json::from_str(second).unwrap();
    assert_eq!(second["prev"], audit::Digest::of(first.as_bytes()).to_string());
    let newest = audit::newest(&path, "x", 3).unwrap();
    assert_eq!(newest.lines.iter().map(|line| line.generation).collect::<Vec<_>>(), [20, 19, 18]);
    assert!(!newest.all);
    assert!(audit::newest(&path, "y", 3).unwrap().lines.is_empty());
}

#[test]
fn a_log_that_was_cut_anywhere_is_completed_from_the_journal_and_is_whole_again() {
    let (dir, path) = written(6);
    let bytes = std::fs::read(&path).unwrap();
    let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').map(|at| at + 1).collect();
    let journal = std::fs::read(dir.path().join("flags/journal")).unwrap();
    for length in (0..=bytes.len()).step_by(7) {
        std::fs::write(dir.path().join("flags/journal"), &journal).unwrap();
        std::fs::write(&path, &bytes[..length]).unwrap();
        let mut store = Store::open(dir.path());
        assert_eq!(numbers(dir.path()), all(6), "cut at {length}");
        assert_eq!(audit::verify(&path).unwrap().lines, 6, "cut at {length}");
        let torn = length > 0 && !ends.contains(&length);
        assert_eq!(store.take_found().iter().any(|found| matches!(found, Found::Torn { .. })), torn);
    }
}

#[test]
fn every_change_of_one_byte_is_found_at_its_line() {
    let (_dir, path) = written(4);
    let bytes = std::fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut touched = bytes.clone();
        touched[at] ^= 1;
        std::fs::write(&path, &touched).unwrap();
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        match audit::verify(&path) {
            // A line that still looks like one is betrayed by the next, the last one by nobody but its digest.
            Err(audit::Broken::Line { number, .. }) => {
                assert!(number == line || number == line + 1, "byte {at}")
            }
            Ok(whole) => {
                assert_eq!((line, whole.lines), (4, 4), "byte {at}");
                let last = bytes.split(|byte| *byte == b'\n').nth(3).unwrap();
                assert_ne!(whole.digest, audit::Digest::of(last));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn what_is_no_log_is_told_and_the_store_goes_on_behind_it() {
    let deep = format!("{}\n", "[".repeat(100_000));
    let long = format!("{}\n", "x".repeat(17 << 20));
    for (content, wrong) in [
        ("rubbish\n".as_bytes(), Wrong::NoLine),
        (b"\n\n\n", Wrong::NoLine),
        (b"\xff\xfe\0\0\n", Wrong::NoLine),
        (deep.as_bytes(), Wrong::NoLine),
        (long.as_bytes(), Wrong::NoLine),
        (b"{\"generation\":1}\n", Wrong::NoLine),
    ] {
        let dir = TempDir::new().unwrap();
        let path = audit::file(dir.path());
        std::fs::write(&path, content).unwrap();
        let mut store = Store::open(dir.path());
        store.commit(&[change(1)]).unwrap();
        assert!(store.audit_trouble().is_none(), "{:?}", store.audit_trouble());
        let found = audit::newest(&path, "", usize::MAX).unwrap();
        assert_eq!(found.lines.iter().map(|line| line.generation).collect::<Vec<_>>(), [1]);
        assert!(found.passed_over > 0, "{wrong:?} without a word");
        let Err(audit::Broken::Line { number: 1, why }) = audit::verify(&path) else { panic!("{wrong:?}") };
        assert_eq!(why, wrong);
        assert!(std::fs::read(&path).unwrap().starts_with(content), "evidence is not destroyed");
    }
}

#[test]
fn a_log_that_ends_within_a_line_is_not_proven() {
    let (_dir, path) = written(3);
    let bytes = std::fs::read(&path).unwrap();
    for length in [bytes.len() - 1, bytes.len() - 20] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let Err(audit::Broken::Line { number: 3, why: Wrong::Torn }) = audit::verify(&path) else {
            panic!("{length}")
        };
    }
}

#[test]
fn of_two_changes_with_one_number_the_log_has_both_and_numbers_go_on_above_it() {
    let (dir, path) = written(3);
    // The journal is that of another disk: its third change is another one.
    let other = TempDir::new().unwrap();
    let mut store = Store::open(other.path());
    store.commit(&[Change { time: Wall(77), ..change(3) }]).unwrap();
    assert_eq!(store.floor(), 3);
    drop(store);
    let journal = dir.path().join("flags/journal");
    std::fs::copy(other.path().join("flags/journal"), &journal).unwrap();
    drop(Store::open(dir.path()));
    assert_eq!(numbers(dir.path()), [1, 2, 3, 3]);
    assert_eq!(audit::verify(&path).unwrap().lines, 4);
    // Without a journal the log tells which numbers were given.
    std::fs::remove_file(&journal).unwrap();
    let store = Store::open(dir.path());
    assert_eq!((store.state().generation(), store.floor()), (0, 3));
}

#[test]
fn what_the_log_may_not_have_on_the_disk_is_carried_on_in_the_next_journal() {
    let dir = TempDir::new().unwrap();
    let path = audit::file(dir.path());
    let mut store = Store::open(dir.path());
    store.commit(&[change(1)]).unwrap();
    // The line was written, and is gone before anybody made sure of it: the log cannot be synced.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    std::fs::remove_file(dir.path().join("flags/journal")).unwrap();
    store.tend();
    drop(store);
    std::fs::remove_dir(&path).unwrap();
    drop(Store::open(dir.path()));
    assert_eq!(numbers(dir.path()), [1]);
}

#[test]
fn a_flag_is_found_also_by_what_else_became_true_of_it() {
    let dir = TempDir::new().unwrap();
    let good = Change { sets: Vec::new(), facts: vec![Fact::Good("y".into(), None)], ..change(1) };
    Store::open(dir.path()).commit(&[good, change(2)]).unwrap();
    let found = |about: &str| audit::newest(&audit::file(dir.path()), about, 9).unwrap().lines;
    let numbers = |about: &str| found(about).iter().map(|line| line.generation).collect::<Vec<_>>();
    assert_eq!((numbers("y"), numbers("x"), numbers("z")), (vec![1], vec![2], vec![]));
}

#[test]
fn a_log_that_is_no_file_is_told_and_nothing_is_lost() {
    let dir = TempDir::new().unwrap();
    let path = audit::file(dir.path());
    let target = dir.path().join("elsewhere");
    for make in [
        Box::new(|| std::fs::create_dir(&path).unwrap()) as Box<dyn Fn()>,
        Box::new(|| std::os::unix::fs::symlink(&target, &path).unwrap()),
        Box::new(|| nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap()),
    ] {
        make();
        let mut store = Store::open(dir.path());
        let next = store.state().generation() + 1;
        store.commit(&[change(next)]).unwrap();
        let trouble = store.audit_trouble().unwrap();
        assert!(trouble.contains("changes wait"), "{trouble}");
        drop(store);
        // It waits across lives, too, however many.
        drop(Store::open(dir.path()));
        let mut store = Store::open(dir.path());
        if path.is_dir() { std::fs::remove_dir(&path) } else { std::fs::remove_file(&path) }.unwrap();
        store.tend();
        assert!(store.audit_trouble().is_none(), "{:?}", store.audit_trouble());
        let found = numbers(dir.path());
        assert_eq!(*found.last().unwrap(), next, "{found:?}");
        std::fs::remove_file(&path).unwrap();
    }
    assert!(!target.exists(), "a link is not followed");
}

#[test]
fn more_changes_than_can_wait_for_the_log_are_refused_until_it_can_be_written() {
    const MOST: u64 = 4096;
    let dir = TempDir::new().unwrap();
    let path = audit::file(dir.path());
    std::fs::create_dir(&path).unwrap();
    let mut store = Store::open(dir.path());
    store.commit(&(1..=MOST).map(change).collect::<Vec<_>>()).unwrap();
    let refused = store.commit(&[change(MOST + 1)]).unwrap_err().to_string();
    assert!(refused.contains("audit.jsonl"), "{refused}");
    assert_eq!(store.state().generation(), MOST);
    assert!(!store.tend() && store.trouble().is_some(), "it cannot be written still");
    std::fs::remove_dir(&path).unwrap();
    assert!(store.tend(), "{:?}", store.trouble());
    store.commit(&[change(MOST + 1)]).unwrap();
    assert_eq!(numbers(dir.path()), all(MOST + 1));
    assert_eq!(audit::verify(&path).unwrap().lines, MOST + 1);
}

#[test]
fn a_log_that_is_removed_begins_anew_and_says_that_something_was_before() {
    let (dir, path) = written(3);
    let mut store = Store::open(dir.path());
    store.commit(&[change(4)]).unwrap();
    std::fs::remove_file(&path).unwrap();
    store.commit(&[change(5)]).unwrap();
    assert_eq!(numbers(dir.path()), [5]);
    let Err(audit::Broken::Line { number: 1, why: Wrong::Beginning }) = audit::verify(&path) else {
        panic!()
    };
}

#[test]
fn on_a_full_disk_changes_wait_for_the_log_in_the_journal_and_are_all_there_when_there_is_room() {
    let name = "on_a_full_disk_changes_wait_for_the_log_in_the_journal_and_are_all_there_when_there_is_room";
    disk::with_small_disk(name, 3 << 20, |place| {
        let mut store = Store::open(place);
        store.commit(&[change(1)]).unwrap();
        let ballast = place.join("ballast");
        disk::fill(&ballast);
        let mut made = 1;
        while store.audit_trouble().is_none() {
            made += 1;
            store.commit(&[change(made)]).unwrap();
        }
        for _ in 0..50 {
            made += 1;
            store.commit(&[change(made)]).unwrap();
        }
        assert!(made > 2_000, "room was reserved: {made}");
        drop(store);
        let mut store = Store::open(place);
        assert!(store.audit_trouble().unwrap().contains("No space left"));
        std::fs::remove_file(&ballast).unwrap();
        store.tend();
        assert_eq!(numbers(place), all(made));
        assert_eq!(audit::verify(&audit::file(place)).unwrap().lines, made);
    });
}

#[test]
fn room_for_the_log_is_reserved_anew_before_it_is_used_up() {
    let name = "room_for_the_log_is_reserved_anew_before_it_is_used_up";
    disk::with_small_disk(name, 16 << 20, |place| {
        let long = |generation| Change { reason: "a long story. ".repeat(180), ..change(generation) };
        let mut store = Store::open(place);
        // More than what is reserved at first.
        for from in (1..=500).step_by(50) {
            store.commit(&(from..from + 50).map(long).collect::<Vec<_>>()).unwrap();
        }
        disk::fill(&place.join("ballast"));
        store.commit(&(501..=540).map(long).collect::<Vec<_>>()).unwrap();
        assert_eq!(store.audit_trouble(), None);
        assert_eq!(numbers(place), all(540));
    });
}
