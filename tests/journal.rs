//! The journal under damage, torn tails, full and failing disks (J1–J5).
//!
//! What must hold: the longest proven prefix is found, and never a record more; a damaged byte never
//! becomes a wrong value; the epoch of a journal is never used again.

#![allow(clippy::unwrap_used)]

#[path = "support/disk.rs"]
mod disk;

use mainstay::audit;
use mainstay::flags::guard::{Ban, Fact, Guarding, Mode, Moment, Past, Restore, Subject, Watch};
use mainstay::flags::{Packed, Truth, Value};
use mainstay::store::{self, Change, Found, Reading, Set, State, Store};
use mainstay::time::Wall;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The format, told a second time: a test that asked the code where records end would believe it.
const HEADER: usize = 48;
const RECORD_HEAD: usize = 8;

/// A journal and what it must say after each of its records.
struct Written {
    bytes: Vec<u8>,
    /// `ends[k]`: where record k ends.
    ends: Vec<usize>,
    /// `states[k]`: what the first k records of the journal add up to.
    states: Vec<State>,
}

impl Written {
    /// How many records stand whole before this byte.
    fn whole_before(&self, byte: usize) -> usize {
        self.ends.iter().take_while(|&&end| end <= byte).count()
    }
}

fn change(generation: u64, sets: &[(&str, Option<Value>)], reason: &str) -> Change {
    Change {
        generation,
        request: generation * 7919,
        uid: 1000,
        actor: "ana".into(),
        verb: format!("flag set {}", sets.len()),
        reason: reason.into(),
        time: Wall(1_700_000_000_000_000 + generation as i64),
        sets: sets
            .iter()
            .map(|(flag, value)| Set {
                flag: (*flag).into(),
                truth: value.map(Truth::from),
                old: None,
                salt: String::new(),
            })
            .collect(),
        facts: facts(generation),
    }
}

/// Some changes have none.
fn facts(generation: u64) -> Vec<Fact> {
    let (subject, wall) = (Subject::Stage("m".into(), generation as u32 % 7), Wall(generation as i64));
    let moment = Moment { mono_ns: generation, boot: 3, wall };
    let watch = Watch {
        generation,
        digest: 9,
        back: vec![Restore { flag: "a".into(), old: None, new: Some(Value::On.into()) }],
        stage: Some(1),
        guard: Guarding::default(),
        roll: Some(2),
        at: moment,
        since_ns: 4,
        settled_ns: 5,
        starts: 1,
        readers: vec!["web".into()],
        before: vec![("web".into(), 2)],
        errors: vec![],
        held: "held".into(),
        uid: 1,
        actor: "ana".into(),
        reason: "because".into(),
    };
    let ban = Ban { digest: 1, why: "it crashed".into(), crashes: vec![1, 2], time: wall };
    let past = Past { rollbacks: vec![moment], frozen: true };
    let text = |text: &str| Truth { value: Value::Text(Packed::new(text).unwrap()), disabled: true };
    match generation % 5 {
        0 => vec![Fact::Run(generation), Fact::Switch(Mode::Observe)],
        1 => vec![],
        2 => vec![
            Fact::Good("level".into(), Some(text("debug"))),
            Fact::Good("n".into(), Some(Value::Int(-1).into())),
        ],
        3 => vec![
            Fact::Watch(subject.clone(), Some(watch)),
            Fact::Ban(subject.clone(), Some(ban)),
            Fact::Past(subject, Some(past)),
            Fact::Fresh(generation, Some(vec!["web".into(), "worker".into()])),
        ],
        _ => vec![Fact::Fresh(generation - 1, None), Fact::Good("level".into(), None)],
    }
}

/// The numbers of the changes in the audit log, which is whole.
fn audited(dir: &Path) -> Vec<u64> {
    let path = audit::file(dir);
    let found = audit::newest(&path, "", usize::MAX).unwrap();
    assert_eq!(audit::verify(&path).unwrap().lines, found.lines.len() as u64);
    assert!(found.all && found.passed_over == 0, "{} lines", found.lines.len());
    found.lines.iter().rev().map(|line| line.generation).collect()
}

fn journal_path(dir: &Path) -> PathBuf {
    store::directory(dir).join("journal")
}

/// Where the records of a journal end, by the format alone.
fn ends(bytes: &[u8]) -> Vec<usize> {
    let (mut ends, mut at) = (Vec::new(), HEADER);
    while let Some(head) = bytes.get(at..at + 4) {
        let length = u32::from_le_bytes(head.try_into().unwrap()) as usize;
        if length == 0 {
            break;
        }
        at += RECORD_HEAD + length;
        ends.push(at);
    }
    ends
}

/// A journal with a snapshot of what `before` made, and one record for each of `changes`.
fn write(before: &[Change], changes: &[Change]) -> Written {
    let dir = TempDir::new().unwrap();
    let mut base = State::default();
    if !before.is_empty() {
        Store::open(dir.path()).commit(before).unwrap();
        before.iter().for_each(|c| base.apply(c));
    }
    let mut store = Store::open(dir.path());
    assert_eq!(*store.state(), base);
    let mut states = vec![base];
    for change in changes {
        store.commit(std::slice::from_ref(change)).unwrap();
        let mut state = states.last().unwrap().clone();
        state.apply(change);
        assert_eq!(*store.state(), state);
        states.push(state);
    }
    let mut bytes = std::fs::read(journal_path(dir.path())).unwrap();
    let ends = ends(&bytes);
    let snapshot = ends.len() - changes.len();
    bytes.truncate(ends.last().copied().unwrap_or(HEADER) + 64);
    // What a part of the snapshot says: nothing, or all of it, when it is one record of each kind.
    for _ in 0..snapshot {
        states.insert(0, State::default());
    }
    Written { bytes, ends, states }
}

fn plain() -> Written {
    let changes: Vec<_> = (1..=12)
        .map(|g| change(g, &[("new-checkout", Some(Value::of_share(g as u32 * 7000)))], "because"))
        .collect();
    write(&[], &changes)
}

fn several_flags_at_once() -> Written {
    let all = [("a", Some(Value::On)), ("b", Some(Value::Off)), ("c", None)];
    let changes: Vec<_> = (1..=9).map(|g| change(g, &all[..(g as usize % 3) + 1], "")).collect();
    write(&[], &changes)
}

fn same_length_and_content() -> Written {
    let changes: Vec<_> = (1..=10)
        .map(|g| Change {
            generation: 1,
            request: 0,
            verb: String::new(),
            ..change(g, &[("x", Some(Value::On))], "")
        })
        .map(|c| Change { time: Wall(0), facts: vec![Fact::Run(1)], ..c })
        .collect();
    write(&[], &changes)
}

fn long_reasons() -> Written {
    let changes: Vec<_> =
        (1..=8).map(|g| change(g, &[("flag", Some(Value::On))], &"x".repeat(g as usize * 40))).collect();
    write(&[], &changes)
}

/// Every journal whose every byte and bit is damaged.
fn journals() -> Vec<Written> {
    vec![plain(), several_flags_at_once(), same_length_and_content(), long_reasons()]
}

fn check(damaged: &[u8], expected: &State, what: &str) -> Reading {
    let reading = store::read(damaged).unwrap_or_else(|e| panic!("{what}: {e:?}"));
    assert_eq!(reading.state, *expected, "{what}");
    reading
}

#[test]
fn a_journal_cut_at_every_byte_gives_its_longest_proven_prefix() {
    let mut count = 0;
    for journal in journals() {
        for length in 0..journal.bytes.len() {
            let k = journal.whole_before(length);
            let reading = check(&journal.bytes[..length], &journal.states[k], &format!("cut at {length}"));
            assert_eq!(reading.whole, length >= HEADER);
            assert_eq!(reading.records, k as u64);
            count += 1;
        }
    }
    assert!(count > 4_000, "{count}");
}

#[test]
fn a_journal_with_any_one_bit_flipped_never_says_a_wrong_word() {
    let mut count = 0;
    for journal in journals() {
        let mut bytes = journal.bytes.clone();
        for at in 0..bytes.len() {
            // A bit of record k costs it and what is behind it; a bit of the header costs everything.
            let k = if at < HEADER { 0 } else { journal.whole_before(at) };
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                let reading = check(&bytes, &journal.states[k], &format!("bit {bit} of byte {at}"));
                assert_eq!(reading.whole, at >= HEADER);
                assert!(reading.unproven > 0, "the damage is seen: bit {bit} of byte {at}");
                bytes[at] ^= 1 << bit;
                count += 1;
            }
        }
    }
    assert!(count > 36_000, "{count}");
}

#[test]
fn a_damaged_snapshot_is_told_and_what_is_behind_it_is_not_believed() {
    let before: Vec<_> = (1..=3).map(|g| change(g, &[("a", Some(Value::On))], "")).collect();
    let changes: Vec<_> = (4..=6).map(|g| change(g, &[("b", Some(Value::On))], "")).collect();
    let journal = write(&before, &changes);
    assert_eq!(journal.ends.len(), 6, "flags, receipts, facts, three changes");
    let mut bytes = journal.bytes.clone();
    for at in 0..journal.ends[2] {
        bytes[at] ^= 0x10;
        let reading = store::read(&bytes).unwrap();
        assert!(!reading.whole, "byte {at}");
        assert!(reading.state.get("b").is_none(), "byte {at}");
        bytes[at] ^= 0x10;
    }
    assert!(store::read(&bytes).unwrap().whole);
}

#[test]
fn a_tail_of_zeros_ones_or_noise_is_not_taken() {
    for journal in journals() {
        let end = *journal.ends.last().unwrap();
        let last = journal.states.last().unwrap();
        for fill in [0x00, 0xff, 0x01, 0x55] {
            for length in [1, 7, 8, 9, 64, 4096, 70_000] {
                let mut bytes = journal.bytes[..end].to_vec();
                bytes.resize(end + length, fill);
                let reading = check(&bytes, last, &format!("{length} bytes of {fill}"));
                assert_eq!(reading.end, end);
                assert_eq!(reading.unproven > 0, fill != 0);
            }
        }
    }
}

#[test]
fn what_an_older_journal_left_in_the_same_blocks_is_not_taken() {
    // Two journals of the same length and content, record by record: only epoch and chain differ.
    let (old, new) = (same_length_and_content(), same_length_and_content());
    assert_eq!(old.ends, new.ends);
    for k in 0..new.ends.len() {
        let end = new.ends[k];
        let bytes = [&new.bytes[..end], &old.bytes[end..]].concat();
        check(&bytes, &new.states[k + 1], &format!("{k} new records, then old ones"));
    }
    let bytes = [&new.bytes[..HEADER], &old.bytes[HEADER..]].concat();
    check(&bytes, &State::default(), "a new header over old records");
}

#[test]
fn an_older_epoch_with_the_same_salt_is_not_taken_either() {
    let epochs = ["first", "second"].map(|_| same_length_and_content());
    // Give the second header the salt of the first: what is left to tell them apart is the epoch.
    let mut bytes = epochs[1].bytes.clone();
    bytes[16] = 9;
    bytes[24..32].copy_from_slice(&epochs[0].bytes[24..32]);
    let sum = {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes[..12]);
        hasher.update(&bytes[16..HEADER]);
        hasher.finalize()
    };
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    bytes[HEADER..].copy_from_slice(&epochs[0].bytes[HEADER..]);
    let reading = check(&bytes, &State::default(), "records of epoch 1 in a journal of epoch 9");
    assert_eq!((reading.epoch, reading.records), (9, 0));
}

#[test]
fn records_that_are_swapped_doubled_or_missing_end_the_proof() {
    let journal = same_length_and_content();
    let record = |k: usize| {
        let from = if k == 0 { HEADER } else { journal.ends[k - 1] };
        journal.bytes[from..journal.ends[k]].to_vec()
    };
    let build = |order: &[usize]| {
        let mut bytes = journal.bytes[..HEADER].to_vec();
        order.iter().for_each(|&k| bytes.extend(record(k)));
        bytes
    };
    check(&build(&[0, 1, 2]), &journal.states[3], "as written");
    check(&build(&[0, 2, 1, 3]), &journal.states[1], "swapped");
    check(&build(&[0, 1, 1, 2]), &journal.states[2], "doubled");
    check(&build(&[0, 2, 3]), &journal.states[1], "one missing");
    check(&build(&[1]), &journal.states[0], "the first missing");
    for (k, end) in journal.ends.iter().enumerate().skip(1) {
        let mut bytes = journal.bytes.clone();
        bytes[journal.ends[k - 1]..*end].fill(0);
        let reading = check(&bytes, &journal.states[k], "a lost record");
        assert_eq!(reading.unproven > 0, k + 1 < journal.ends.len());
    }
}

#[test]
fn a_torn_tail_is_cut_and_never_comes_back() {
    let journal = plain();
    for length in (HEADER..journal.bytes.len() - 64).step_by(13) {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(store::directory(dir.path())).unwrap();
        let mut torn = journal.bytes[..length].to_vec();
        torn.resize(length + 4096, 0);
        std::fs::write(journal_path(dir.path()), &torn).unwrap();
        // Zeros behind the cut may be what stood there anyway.
        let stands = |end: &&usize| torn.get(..**end) == Some(&journal.bytes[..**end]);
        let k = journal.ends.iter().take_while(stands).count();
        let mut store = Store::open(dir.path());
        assert!(store.trouble().is_none());
        assert_eq!(*store.state(), journal.states[k], "cut at {length}");
        let proven = if k == 0 { HEADER } else { journal.ends[k - 1] };
        assert_eq!(store.take_found().is_empty(), torn[proven..].iter().all(|&b| b == 0));
        assert_eq!(store.epoch(), 2, "a new epoch (J4)");
        let next = change(k as u64 + 1, &[("other", Some(Value::On))], "after the cut");
        store.commit(std::slice::from_ref(&next)).unwrap();
        let mut expected = journal.states[k].clone();
        expected.apply(&next);
        let again = Store::open(dir.path());
        assert_eq!(*again.state(), expected);
        assert_eq!(again.epoch(), 3);
    }
}

#[test]
fn a_damaged_journal_is_kept_for_a_person_and_its_proven_part_goes_on() {
    let before: Vec<_> = (1..=3).map(|g| change(g, &[("a", Some(Value::On))], "")).collect();
    let journal = write(&before, &[change(4, &[("b", Some(Value::On))], "")]);
    for (at, proven) in [(0, false), (journal.ends[0] + 9, true)] {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(store::directory(dir.path())).unwrap();
        let mut bytes = journal.bytes.clone();
        bytes[at] ^= 1;
        std::fs::write(journal_path(dir.path()), &bytes).unwrap();
        let mut store = Store::open(dir.path());
        let found = store.take_found();
        let [Found::Damage { kept: Some(kept), .. }] = &found[..] else { panic!("{found:?}") };
        assert_eq!(std::fs::read(kept).unwrap(), bytes);
        assert_eq!(store.state().get("a").is_some(), proven, "what is proven is kept");
        assert!(store.state().get("b").is_none());
        store.commit(&[change(9, &[("c", Some(Value::On))], "")]).unwrap();
        assert!(store::read_only(dir.path()).unwrap().get("c").is_some());
    }
}

#[test]
fn a_journal_of_a_newer_version_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let mut bytes = plain().bytes;
    bytes[8] = 99;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..12]);
    hasher.update(&bytes[16..HEADER]);
    bytes[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
    std::fs::create_dir(store::directory(dir.path())).unwrap();
    std::fs::write(journal_path(dir.path()), &bytes).unwrap();
    let mut store = Store::open(dir.path());
    assert!(!store.is_known());
    assert!(store.trouble().unwrap().to_string().contains("version 99"));
    let refused = store.commit(&[change(1, &[("a", Some(Value::On))], "")]).unwrap_err();
    assert!(refused.hint().contains("newer mainstay"));
    assert_eq!(std::fs::read(journal_path(dir.path())).unwrap(), bytes);
}

#[test]
fn a_long_life_begins_new_journals_and_forgets_nothing() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path());
    let mut model = State::default();
    let names: Vec<_> = (0..50).map(|n| format!("flag-{n}")).collect();
    let mut epochs = std::collections::BTreeSet::new();
    for generation in 1..=4_000 {
        let name = names[generation as usize % names.len()].as_str();
        let next =
            change(generation, &[(name, Some(Value::of_share(generation as u32)))], &"why? ".repeat(20));
        model.apply(&next);
        store.commit(&[next]).unwrap();
        epochs.insert(store.epoch());
    }
    assert_eq!(*store.state(), model);
    assert_eq!(store::read_only(dir.path()).unwrap(), model);
    assert!(epochs.len() >= 3, "{epochs:?}");
    let size = std::fs::metadata(journal_path(dir.path())).unwrap().len();
    assert!(size < 1 << 20, "{size}");
    let mut names: Vec<_> = std::fs::read_dir(store::directory(dir.path()))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["journal", "journal.next"], "the old journals are gone (J3)");
}

#[test]
fn ten_thousand_flags_change_at_once_or_not_at_all() {
    let dir = TempDir::new().unwrap();
    let names: Vec<_> = (0..10_000).map(|n| format!("{n:05}-{}", "x".repeat(100))).collect();
    let sets: Vec<_> = names.iter().map(|name| (name.as_str(), Some(Value::On))).collect();
    let all = change(1, &sets, "everything");
    Store::open(dir.path()).commit(std::slice::from_ref(&all)).unwrap();
    let mut model = State::default();
    model.apply(&all);
    assert_eq!(*Store::open(dir.path()).state(), model);
    assert_eq!(*Store::open(dir.path()).state(), model, "from its snapshot");
}

#[test]
fn a_reader_sees_every_journal_whole_while_a_keeper_writes() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path());
    store.commit(&[change(1, &[("a", Some(Value::On)), ("b", Some(Value::On))], "")]).unwrap();
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let reader = scope.spawn({
            let dir = dir.path();
            move || {
                let (mut last, mut looks) = (0, 0);
                while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                    let state = store::read_only(dir).unwrap();
                    assert!(state.generation() >= last, "never backwards");
                    assert_eq!(state.truth("a"), state.truth("b"), "never half a change");
                    last = state.generation();
                    looks += 1;
                }
                looks
            }
        });
        for generation in 2..2_000 {
            let value = Some(Value::of_share(generation as u32));
            store.commit(&[change(generation, &[("a", value), ("b", value)], &"r".repeat(500))]).unwrap();
        }
        drop(stop);
        assert!(reader.join().unwrap() > 0);
    });
    assert!(store.epoch() > 2, "journals were begun meanwhile");
}

#[test]
fn on_a_full_disk_a_flag_can_still_be_turned_off() {
    disk::with_small_disk("on_a_full_disk_a_flag_can_still_be_turned_off", 2 << 20, |place| {
        let mut store = Store::open(place);
        store.commit(&[change(1, &[("risky", Some(Value::On))], "")]).unwrap();
        disk::fill(&place.join("ballast"));
        // More changes than one journal has room for: the next one's room is reserved (J5), and so is the audit log's.
        let mut epochs = std::collections::BTreeSet::from([store.epoch()]);
        for generation in 2..=2_000 {
            let value = if generation % 2 == 0 { Value::Off } else { Value::On };
            store.commit(&[change(generation, &[("risky", Some(value))], "the disk is full")]).unwrap();
            epochs.insert(store.epoch());
        }
        assert!(epochs.len() >= 2, "{epochs:?}");
        // A keeper that dies on the full disk comes back, and turns it off.
        let mut store = Store::open(place);
        assert!(store.trouble().is_none(), "{:?}", store.trouble());
        assert_eq!(store.state().generation(), 2_000);
        store.commit(&[change(2_001, &[("risky", Some(Value::Off))], "off!")]).unwrap();
        assert_eq!(store::read_only(place).unwrap().truth("risky"), Some(Value::Off.into()));
    });
}

#[test]
fn a_disk_that_is_full_from_the_start_refuses_and_heals() {
    disk::with_small_disk("a_disk_that_is_full_from_the_start_refuses_and_heals", 256 << 10, |place| {
        let ballast = place.join("ballast");
        disk::fill(&ballast);
        let mut store = Store::open(place);
        let refused = store.commit(&[change(1, &[("a", Some(Value::On))], "")]).unwrap_err();
        assert!(refused.hint().contains("make room"), "{refused}");
        assert!(refused.to_string().contains("No space left"), "{refused}");
        assert!(store.state().get("a").is_none(), "what is refused is not true");
        store.commit_volatile(&[change(1, &[("b", Some(Value::On))], "")]);
        assert!(!store.is_durable(1));
        assert!(!store.tend(), "still full");
        std::fs::remove_file(&ballast).unwrap();
        // The disk is smaller than two journals: this one fits, the room of the next does not.
        let healed = store.tend();
        assert_eq!(healed, store.trouble().is_none());
        if !healed {
            nix::mount::mount(
                None::<&str>,
                place,
                None::<&str>,
                nix::mount::MsFlags::MS_REMOUNT,
                Some("size=4m"),
            )
            .unwrap();
            assert!(store.tend(), "{:?}", store.trouble());
        }
        assert!(store.is_durable(1), "what was volatile is durable with the new journal");
        assert_eq!(Store::open(place).state().truth("b"), Some(Value::On.into()));
    });
}

#[test]
fn a_read_only_disk_refuses_and_heals() {
    use nix::mount::{MsFlags, mount};
    disk::with_small_disk("a_read_only_disk_refuses_and_heals", 4 << 20, |place| {
        let remount =
            |flags| mount(None::<&str>, place, None::<&str>, MsFlags::MS_REMOUNT | flags, None::<&str>);
        Store::open(place).commit(&[change(1, &[("a", Some(Value::On))], "")]).unwrap();
        remount(MsFlags::MS_RDONLY).unwrap();
        let mut store = Store::open(place);
        assert_eq!(store.state().truth("a"), Some(Value::On.into()), "what can be read is read");
        let refused = store.commit(&[change(2, &[("a", Some(Value::Off))], "")]).unwrap_err();
        assert!(refused.hint().contains("read-write"), "{refused}");
        assert_eq!(store.state().truth("a"), Some(Value::On.into()));
        remount(MsFlags::empty()).unwrap();
        store.commit(&[change(2, &[("a", Some(Value::Off))], "")]).unwrap();
        assert!(store.trouble().is_none());
        assert_eq!(Store::open(place).state().truth("a"), Some(Value::Off.into()));
    });
}

#[test]
fn a_journal_that_is_deleted_under_the_keeper_is_written_again_before_the_next_acknowledgement() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path());
    store.commit(&[change(1, &[("a", Some(Value::On))], "")]).unwrap();
    let flags = store::directory(dir.path());
    for (generation, break_it) in [
        (2, Box::new(|| std::fs::remove_dir_all(&flags).unwrap()) as Box<dyn Fn()>),
        (3, Box::new(|| std::fs::rename(&flags, flags.with_extension("away")).unwrap())),
        (4, Box::new(|| std::fs::write(flags.join("journal"), "rubbish").unwrap_or(()))),
    ] {
        break_it();
        store.commit(&[change(generation, &[("b", Some(Value::of_share(generation as u32)))], "")]).unwrap();
        let seen = store::read_only(dir.path()).unwrap();
        if generation < 4 {
            assert_eq!(seen, *store.state());
        }
    }
    std::fs::remove_file(journal_path(dir.path())).unwrap();
    store.tend();
    assert_eq!(store::read_only(dir.path()).unwrap(), *store.state(), "a look suffices");
}

#[test]
fn a_journal_that_cannot_be_read_is_not_taken_for_none() {
    let dir = TempDir::new().unwrap();
    Store::open(dir.path()).commit(&[change(1, &[("a", Some(Value::On))], "")]).unwrap();
    let (path, away) = (journal_path(dir.path()), dir.path().join("away"));
    std::fs::rename(&path, &away).unwrap();
    // A link is not followed: what is there cannot be read, and must not be written over.
    std::os::unix::fs::symlink(&away, &path).unwrap();
    let mut store = Store::open(dir.path());
    assert!(!store.is_known() && store.trouble().is_some());
    assert!(store.commit(&[change(2, &[("b", Some(Value::On))], "")]).is_err());
    store.commit_volatile(&[change(2, &[("b", Some(Value::Off))], "")]);
    std::fs::rename(&away, &path).unwrap();
    assert!(store.tend(), "{:?}", store.trouble());
    let expected = [("a", Some(Value::On.into())), ("b", Some(Value::Off.into()))];
    for state in [store.state(), &store::read_only(dir.path()).unwrap()] {
        assert_eq!(expected.map(|(flag, _)| (flag, state.truth(flag))), expected);
    }
    assert!(store.is_durable(store.state().generation()));
}

#[test]
fn what_was_forced_in_while_the_journal_could_not_be_read_stands_above_all_that_it_says() {
    let dir = TempDir::new().unwrap();
    let (first, forced) =
        (change(5, &[("a", Some(Value::On))], ""), change(2, &[("b", Some(Value::On))], ""));
    Store::open(dir.path()).commit(std::slice::from_ref(&first)).unwrap();
    let (path, away) = (journal_path(dir.path()), dir.path().join("away"));
    std::fs::rename(&path, &away).unwrap();
    std::os::unix::fs::symlink(&away, &path).unwrap();
    let mut store = Store::open(dir.path());
    store.commit_volatile(std::slice::from_ref(&forced));
    std::fs::rename(&away, &path).unwrap();
    assert!(store.tend(), "{:?}", store.trouble());
    let mut model = State::default();
    [&first, &forced].into_iter().for_each(|change| model.apply(change));
    for state in [store.state(), &store::read_only(dir.path()).unwrap()] {
        assert_eq!(state.facts(), model.facts(), "what nobody forced in is as the journal says");
        assert_eq!((state.receipt(5 * 7919), state.receipt(2 * 7919)), (first.receipt(), forced.receipt()));
        assert_eq!((state.generation(), state.get("b").unwrap().generation), (6, 6), "a number of its own");
    }
}

#[test]
fn the_epoch_of_a_journal_that_was_begun_and_not_named_is_never_used_again() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    Store::open(dir.path()).commit(&[change(1, &[("a", Some(Value::On))], "")]).unwrap();
    let tried = (0..7).fold(0, |_, _| Store::open(other.path()).epoch());
    // It had been written whole when the machine stopped, and the old one has the name.
    std::fs::copy(journal_path(other.path()), store::directory(dir.path()).join("journal.next")).unwrap();
    let store = Store::open(dir.path());
    assert_eq!((tried, store.epoch()), (7, 8));
    assert_eq!(store.state().truth("a"), Some(Value::On.into()));
}

#[test]
fn the_number_of_a_change_that_set_no_flag_is_not_given_again() {
    let dir = TempDir::new().unwrap();
    Store::open(dir.path()).commit(&[change(6, &[], "no flag and no fact")]).unwrap();
    for _ in 0..3 {
        assert_eq!(Store::open(dir.path()).state().generation(), 6, "also from a snapshot alone");
    }
}

#[test]
fn what_an_earlier_life_left_half_made_is_removed() {
    let dir = TempDir::new().unwrap();
    let half = store::directory(dir.path()).join("journal.tmp-half");
    drop(Store::open(dir.path()));
    std::fs::write(&half, "half").unwrap();
    drop(Store::open(dir.path()));
    assert!(!half.exists());
}

#[test]
fn every_damaged_journal_is_kept_under_a_name_of_its_own() {
    let dir = TempDir::new().unwrap();
    let flags = store::directory(dir.path());
    let mut damaged = Vec::new();
    for generation in 1..=3 {
        let mut store = Store::open(dir.path());
        store.commit(&[change(generation, &[("a", Some(Value::On))], "")]).unwrap();
        let mut bytes = std::fs::read(journal_path(dir.path())).unwrap();
        bytes[HEADER - 1] ^= 1;
        std::fs::write(journal_path(dir.path()), &bytes).unwrap();
        damaged.push(bytes);
    }
    Store::open(dir.path());
    let kept = ["journal.damaged", "journal.damaged-2", "journal.damaged-3"];
    assert!(kept.iter().zip(damaged).all(|(name, bytes)| std::fs::read(flags.join(name)).unwrap() == bytes));
}

#[test]
fn a_request_is_remembered_across_lives() {
    let dir = TempDir::new().unwrap();
    Store::open(dir.path()).commit(&[change(1, &[("a", Some(Value::On))], "")]).unwrap();
    for _ in 0..3 {
        assert_eq!(Store::open(dir.path()).state().receipt(7919).unwrap().generation, 1);
    }
    assert_eq!(Store::open(dir.path()).state().receipt(0), None, "0 is nobody's");
}

/// What a random history does.
#[derive(Clone, Debug)]
enum Act {
    Commit(Vec<Vec<(u8, u32)>>),
    Reopen,
    TearTail(u8),
    Garbage(Vec<u8>),
    Tend,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let sets = prop::collection::vec((0..20u8, 0..=100_000u32), 1..5);
    let act = prop_oneof![
        6 => prop::collection::vec(sets, 1..4).prop_map(Act::Commit),
        2 => Just(Act::Reopen),
        1 => any::<u8>().prop_map(Act::TearTail),
        1 => prop::collection::vec(any::<u8>(), 1..200).prop_map(Act::Garbage),
        1 => Just(Act::Tend),
    ];
    prop::collection::vec(act, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens between lives behind the last proven record, every committed change is found.
    #[test]
    fn no_history_of_lives_and_torn_tails_loses_or_invents_a_change(acts in acts()) {
        let dir = TempDir::new().unwrap();
        let mut store = Store::open(dir.path());
        let (mut model, mut epoch) = (State::default(), store.epoch());
        for act in acts {
            match act {
                Act::Commit(sets) => {
                    let changes: Vec<_> = sets.iter().zip(model.generation() + 1..).map(|(sets, generation)| {
                        let mut sets: Vec<_> = sets.clone();
                        sets.sort_by_key(|s| s.0);
                        sets.dedup_by_key(|s| s.0);
                        let names: Vec<_> = sets.iter().map(|s| format!("f{}", s.0)).collect();
                        let pairs: Vec<_> = names.iter().zip(&sets)
                            .map(|(name, set)| (name.as_str(), Some(Value::of_share(set.1)))).collect();
                        change(generation, &pairs, "")
                    }).collect();
                    store.commit(&changes).unwrap();
                    changes.iter().for_each(|c| model.apply(c));
                }
                Act::Reopen => store = Store::open(dir.path()),
                // A change that was being written when the power went: behind what was acknowledged.
                Act::TearTail(_) | Act::Garbage(_) => {
                    let path = journal_path(dir.path());
                    let mut bytes = std::fs::read(&path).unwrap();
                    let end = store::read(&bytes).unwrap().end;
                    let tail = match act {
                        Act::TearTail(length) => bytes[..(length as usize).min(end)].to_vec(),
                        Act::Garbage(ref noise) => noise.clone(),
                        _ => unreachable!(),
                    };
                    bytes.splice(end..(end + tail.len()).min(bytes.len()), tail);
                    std::fs::write(&path, bytes).unwrap();
                    store = Store::open(dir.path());
                }
                Act::Tend => { store.tend(); }
            }
            prop_assert_eq!(store.state(), &model);
            prop_assert_eq!(&store::read_only(dir.path()).unwrap(), &model);
            prop_assert_eq!(audited(dir.path()), (1..=model.generation()).collect::<Vec<_>>());
            prop_assert!(store.epoch() >= epoch, "epochs only rise");
            epoch = store.epoch();
        }
    }

    /// No bytes at all make recovery panic, take long, or believe something.
    #[test]
    fn no_bytes_make_recovery_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), start in any::<bool>()) {
        let bytes = if start { [plain_header(), &bytes].concat() } else { bytes };
        if let Ok(reading) = store::read(&bytes) {
            prop_assert_eq!(reading.state, State::default());
        }
    }
}

fn plain_header() -> &'static [u8] {
    static HEAD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    HEAD.get_or_init(|| plain().bytes[..HEADER].to_vec())
}
