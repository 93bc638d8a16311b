//! One keeper after the other: what is torn is cut, what is damaged is kept, no number is used again.

use crate::written::{HEADER, change, journal_path, plain, write};
use mainstay::flags::Value;
use mainstay::store::{self, Found, State, Store};
use tempfile::TempDir;

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
