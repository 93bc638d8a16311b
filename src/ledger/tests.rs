//! A ledger as its successor finds it: grown, reused, damaged, deleted.

use super::past::parse;
use super::*;
use std::fs;
use std::os::fd::OwnedFd;

fn directory() -> (tempfile::TempDir, OwnedFd) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".kept")).unwrap();
    let fd = File::open(folder.path()).unwrap().into();
    (folder, fd)
}

fn ledger(fd: &OwnedFd) -> Ledger {
    let numbers = Numbers { incarnation: 5, crash: 6, event: 7 };
    Ledger::create(fd.as_fd(), ["web#1", "worker"].into_iter(), numbers).unwrap()
}

#[test]
fn s3_a_successor_finds_the_lives_that_had_not_ended_by_token_and_identity() {
    let (_folder, fd) = directory();
    let mut ledger = ledger(&fd);
    let own = pidfd::open(std::process::id()).unwrap().unwrap();
    ledger.intend(ChildId(0), Incarnation(8));
    ledger.began(ChildId(0), std::process::id(), own.as_fd(), Instant::ZERO);
    ledger.intend(ChildId(1), Incarnation(9));
    ledger.next_crash(11);
    ledger.next_event(12);
    let past = past(fd.as_fd());
    assert_eq!(past.numbers, Numbers { incarnation: 10, crash: 11, event: 12 });
    assert_eq!(past.supervisor, Some(std::process::id()));
    assert_eq!(past.lives.len(), 2);
    assert_eq!(past.lives[0].name, "web#1");
    assert_eq!(past.lives[0].identity, identity(own.as_fd()));
    assert_ne!(past.lives[0].identity, 0);
    assert_eq!(past.lives[1], PastLife { name: "worker".into(), incarnation: 9, pid: 0, identity: 0 });
    ledger.ended(ChildId(0));
    ledger.ended(ChildId(1));
    ledger.goodbye();
    assert_eq!(super::past(fd.as_fd()).lives, vec![]);
    assert_eq!(super::past(fd.as_fd()).supervisor, None);
}

#[test]
fn of_another_boot_only_the_numbers_hold() {
    let (folder, fd) = directory();
    ledger(&fd).intend(ChildId(0), Incarnation(8));
    let bytes = fs::read(folder.path().join(NAME)).unwrap();
    let past = parse(&bytes, [1, 2]).unwrap();
    assert_eq!(past.numbers.incarnation, 9);
    assert_eq!((past.supervisor, past.lives), (None, vec![]));
}

#[test]
fn a_deleted_name_gets_the_same_file_back_and_a_damaged_file_is_given_up() {
    let (folder, fd) = directory();
    let mut ledger = ledger(&fd);
    let path = folder.path().join(NAME);
    let inode = fs::metadata(&path).unwrap().ino();
    fs::remove_file(&path).unwrap();
    assert!(ledger.mend(fd.as_fd()));
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    fs::remove_file(folder.path().join(KEPT)).unwrap();
    assert!(ledger.mend(fd.as_fd()));
    fs::remove_file(&path).unwrap();
    fs::remove_file(folder.path().join(KEPT)).unwrap();
    assert!(!ledger.mend(fd.as_fd()));
    ledger.intend(ChildId(0), Incarnation(1));
}

#[test]
fn a_truncated_ledger_kills_nobody() {
    let (folder, fd) = directory();
    let mut ledger = ledger(&fd);
    File::options().write(true).open(folder.path().join(NAME)).unwrap().set_len(0).unwrap();
    ledger.intend(ChildId(1), Incarnation(1));
    assert!(!ledger.mend(fd.as_fd()));
}

fn living(fd: &OwnedFd) -> Vec<(String, u64)> {
    past(fd.as_fd()).lives.into_iter().map(|life| (life.name, life.incarnation)).collect()
}

fn life(name: &str, incarnation: u64) -> (String, u64) {
    (name.to_owned(), incarnation)
}

#[test]
fn children_that_are_added_later_are_found_and_those_before_them_stay() {
    let (folder, fd) = directory();
    let mut ledger = ledger(&fd);
    let own = pidfd::open(std::process::id()).unwrap().unwrap();
    ledger.intend(ChildId(0), Incarnation(8));
    ledger.began(ChildId(0), std::process::id(), own.as_fd(), Instant::ZERO);
    ledger.next_crash(60);
    let before = past(fd.as_fd());
    let inode = || fs::metadata(folder.path().join(NAME)).unwrap().ino();
    let small = inode();
    ledger.add(fd.as_fd(), ChildId(2), "worker#2").unwrap();
    assert_ne!(inode(), small, "a file with more room");
    assert_eq!(past(fd.as_fd()), before, "nobody has lost anything, and nobody new lives yet");
    assert_eq!(fs::metadata(folder.path().join(KEPT)).unwrap().ino(), inode());
    ledger.intend(ChildId(2), Incarnation(9));
    ledger.add(fd.as_fd(), ChildId(3), "worker#3").unwrap();
    ledger.intend(ChildId(3), Incarnation(10));
    assert_eq!(living(&fd), [life("web#1", 8), life("worker#2", 9), life("worker#3", 10)]);
    assert_eq!(past(fd.as_fd()).lives[0], before.lives[0]);
    assert_eq!(past(fd.as_fd()).numbers, Numbers { incarnation: 11, crash: 60, event: 7 });
    assert!(ledger.mend(fd.as_fd()));
    // Far beyond: numbers may come in any order.
    ledger.add(fd.as_fd(), ChildId(1000), "late").unwrap();
    ledger.intend(ChildId(1000), Incarnation(11));
    assert_eq!(living(&fd).last(), Some(&life("late", 11)));
    ledger.goodbye();
    assert_eq!(past(fd.as_fd()).supervisor, None);
}

#[test]
fn a_number_that_is_given_again_is_another_childs() {
    let (_folder, fd) = directory();
    let mut ledger = ledger(&fd);
    ledger.intend(ChildId(1), Incarnation(8));
    ledger.remove(ChildId(1));
    assert_eq!(living(&fd), []);
    ledger.add(fd.as_fd(), ChildId(1), "b").unwrap();
    assert_eq!(living(&fd), [], "it was not started yet");
    ledger.intend(ChildId(1), Incarnation(9));
    assert_eq!(living(&fd), [life("b", 9)], "with nothing of the longer name before");
    // Added over one that nobody removed: that one is gone, too.
    ledger.add(fd.as_fd(), ChildId(1), "c").unwrap();
    assert_eq!(living(&fd), []);
    // As long as an entry has room for, and longer.
    for name in ["n".repeat(NAME_BYTES), "n".repeat(NAME_BYTES + 1)] {
        ledger.add(fd.as_fd(), ChildId(0), &name).unwrap();
        ledger.intend(ChildId(0), Incarnation(10));
        assert_eq!(living(&fd), [life(&name[..NAME_BYTES], 10)]);
    }
}

#[test]
fn whoever_is_killed_while_an_entry_changes_leaves_no_life_under_a_wrong_name() {
    let old = "an-older-and-longer-name#1";
    let cells = |state| {
        let mut cells = vec![0; HEAD];
        (cells[0], cells[1]) = (MAGIC, VERSION);
        resize(&mut cells, 1);
        added(0, old).for_each(|(cell, word)| cells[cell] = word);
        (cells[HEAD], cells[HEAD + 1]) = (state, 5);
        cells
    };
    let lives = |cells: &[u64]| {
        let bytes: Vec<u8> = cells.iter().flat_map(|cell| cell.to_le_bytes()).collect();
        parse(&bytes, [0, 0]).unwrap().lives
    };
    assert_eq!(lives(&cells(INTENDED))[0].name, old);
    for state in [NOBODY, INTENDED, BEGAN, ENDED] {
        let changes: [Vec<_>; 2] = [removed(0).collect(), added(0, "new").collect()];
        for change in changes {
            assert_eq!(change.len(), ENTRY);
            let mut cells = cells(state);
            for (cell, word) in change {
                cells[cell] = word;
                assert_eq!(lives(&cells), [], "after the store into cell {cell}");
            }
        }
    }
}

#[test]
fn adding_twenty_thousand_one_by_one_makes_a_new_file_now_and_then() {
    let (folder, fd) = directory();
    let mut ledger = ledger(&fd);
    let mut written = 0;
    let (mut files, mut inode) = (0, 0);
    for n in 2..20_000 {
        ledger.add(fd.as_fd(), ChildId(n), &format!("pool#{n}")).unwrap();
        let own = ledger.file.metadata().unwrap();
        if own.ino() != inode || own.len() != written {
            (files, inode, written) = (files + 1, own.ino(), own.len());
        }
    }
    assert!((10..=15).contains(&files), "{files} files");
    assert!(written <= 2 * 20_000 * ENTRY as u64 * 8, "{written} bytes");
    for n in [2, 3, 10_000, 19_999] {
        ledger.intend(ChildId(n), Incarnation(u64::from(n)));
    }
    assert_eq!(
        living(&fd),
        [life("pool#2", 2), life("pool#3", 3), life("pool#10000", 10_000), life("pool#19999", 19_999)]
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the ledger and the folder of second links");
}

#[test]
fn a_ledger_that_cannot_grow_says_so_and_is_what_it_was() {
    let (folder, fd) = directory();
    let mut ledger = ledger(&fd);
    ledger.intend(ChildId(0), Incarnation(8));
    // What cannot be unlinked stands where the new file would be written.
    let obstacle = folder.path().join(format!(".{NAME}.{}", std::process::id()));
    fs::create_dir(&obstacle).unwrap();
    let before = past(fd.as_fd());
    ledger.add(fd.as_fd(), ChildId(2), "late").unwrap_err();
    assert_eq!(past(fd.as_fd()), before);
    assert!(ledger.mend(fd.as_fd()));
    ledger.intend(ChildId(1), Incarnation(9));
    assert_eq!(living(&fd), [life("web#1", 8), life("worker", 9)]);
    fs::remove_dir(obstacle).unwrap();
    ledger.add(fd.as_fd(), ChildId(2), "late").unwrap();
    ledger.intend(ChildId(2), Incarnation(10));
    assert_eq!(living(&fd).len(), 3);
    let most = ChildId(ENTRIES_MAX as u32);
    assert_eq!(ledger.add(fd.as_fd(), most, "x").unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_damaged_ledger_is_made_anew_from_memory() {
    let (folder, fd) = directory();
    let mut ledger = ledger(&fd);
    ledger.intend(ChildId(0), Incarnation(8));
    ledger.add(fd.as_fd(), ChildId(2), "late").unwrap();
    ledger.intend(ChildId(2), Incarnation(9));
    let before = past(fd.as_fd());
    let path = folder.path().join(NAME);
    for damage in [
        |path: &std::path::Path| File::create(path).map(drop),
        |path: &std::path::Path| fs::write(path, [0xff; 5000]),
        |path: &std::path::Path| File::options().write(true).open(path)?.set_len(1 << 20),
    ] {
        damage(&path).unwrap();
        // What is stored meanwhile is not lost either.
        ledger.ended(ChildId(2));
        ledger.intend(ChildId(2), Incarnation(9));
        assert!(!ledger.mend(fd.as_fd()));
        ledger.renew(fd.as_fd()).unwrap();
        assert!(ledger.mend(fd.as_fd()));
        assert_eq!(past(fd.as_fd()), before);
    }
    // Growing is making anew, too.
    File::create(&path).unwrap();
    ledger.add(fd.as_fd(), ChildId(900), "later").unwrap();
    assert_eq!(past(fd.as_fd()), before);
}

#[test]
fn any_bytes_are_a_ledger_or_none() {
    let (folder, fd) = directory();
    let mut ledger = ledger(&fd);
    ledger.intend(ChildId(0), Incarnation(8));
    ledger.add(fd.as_fd(), ChildId(2), "late").unwrap();
    ledger.intend(ChildId(2), Incarnation(9));
    let bytes = fs::read(folder.path().join(NAME)).unwrap();
    let whole = parse(&bytes, boot()).unwrap();
    for length in 0..bytes.len() {
        let _ = parse(&bytes[..length], boot());
    }
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let past = parse(&damaged, boot());
        // A flipped bit in an entry is that entry's affair alone.
        let Some(index) = (bit / 64).checked_sub(HEAD).map(|cell| cell / ENTRY) else { continue };
        let past = past.unwrap();
        assert_eq!(past.numbers, whole.numbers);
        for life in whole.lives.iter().filter(|life| life.incarnation != [8, 0, 9, 0][index]) {
            assert!(past.lives.contains(life), "bit {bit} took {life:?} away");
        }
    }
}
