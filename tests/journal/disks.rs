//! Disks that are full, read-only, or lose the file.

use crate::disk;
use crate::written::{change, journal_path};
use mainstay::flags::Value;
use mainstay::store::{self, State, Store};
use tempfile::TempDir;

#[test]
fn on_a_full_disk_a_flag_can_still_be_turned_off() {
    disk::with_small_disk("disks::on_a_full_disk_a_flag_can_still_be_turned_off", 2 << 20, |place| {
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
    disk::with_small_disk(
        "disks::a_disk_that_is_full_from_the_start_refuses_and_heals",
        256 << 10,
        |place| {
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
        },
    );
}

#[test]
fn a_read_only_disk_refuses_and_heals() {
    use nix::mount::{MsFlags, mount};
    disk::with_small_disk("disks::a_read_only_disk_refuses_and_heals", 4 << 20, |place| {
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
