//! What is set is read, by handle, by name and in a snapshot.

use crate::scene::{Scene, all_kinds, disabled, text};
use mainstay::board::{Entry, Setting, Source, Writer};
use mainstay::flags::{Packed, Truth, Value, mix};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn every_kind_is_read_by_handle_by_name_and_in_a_snapshot() {
    let scene = Scene::new();
    let mut writer = scene.writer(&all_kinds());
    let board = scene.reads_as("");
    let check = |writer: &Writer| {
        let snapshot = board.snapshot();
        assert!(snapshot.consistent);
        for entry in all_kinds() {
            let truth = writer.get(&entry.name);
            for reading in
                [board.flag(&entry.name).read(), board.read(&entry.name), snapshot.read(&entry.name)]
            {
                assert_eq!((reading.truth, reading.source), (truth, Source::Proven), "{}", entry.name);
            }
        }
    };
    check(&writer);
    let (limit, level) = (board.flag("limit"), board.flag("level"));
    let cleanup = board.migration("cleanup");
    assert_eq!((limit.int(), limit.text(), limit.stage()), (Some(-4711), None, None));
    assert_eq!((level.text(), level.int()), (Packed::new("info"), None));
    assert_eq!((cleanup.stage(), cleanup.stage_name()), (2, Packed::new("telemetry")));
    assert_eq!(board.stage("cleanup"), Some((2, Packed::new("telemetry").unwrap())));
    assert_eq!(board.snapshot().stage("cleanup"), board.stage("cleanup"));
    // Neither on nor off: the caller's default.
    assert!(!limit.is_on() && limit.or(true).is_on() && board.is_on("level", true));
    let limit = board.flag("limit");
    for n in [0, 1, -1, i64::MIN, i64::MAX] {
        writer.set("limit", Value::Int(n).into()).unwrap();
        assert_eq!(
            (limit.int(), board.int("limit"), board.snapshot().int("limit")),
            (Some(n), Some(n), Some(n))
        );
        check(&writer);
    }
    let long = "é".repeat(64);
    for t in ["", "debug", "12345678", "123456789", &long] {
        writer.set("level", text(t).into()).unwrap();
        assert_eq!((level.text(), board.text("level")), (Packed::new(t), Packed::new(t)));
        check(&writer);
    }
    for (stage, name) in [(3, "enforce"), (0, ""), (1, "registry")] {
        writer.set("cleanup", Value::Stage(stage).into()).unwrap();
        assert_eq!(cleanup.stage_and_name(), Some((stage, Packed::new(name).unwrap())));
        assert_eq!(cleanup.stage_name().is_some(), stage > 0);
        check(&writer);
    }
    // Disabled: no opinion, whatever is held.
    for (name, value) in [("limit", Value::Int(7)), ("level", text("x")), ("cleanup", Value::Stage(1))] {
        writer.set(name, disabled(value)).unwrap();
        assert_eq!(board.read(name).truth, Some(Truth { value, disabled: true }));
    }
    assert_eq!((limit.int(), level.text(), cleanup.stage()), (None, None, 0));
    assert_eq!((board.int("limit"), board.text("level"), board.stage("cleanup")), (None, None, None));
    assert_eq!(board.snapshot().int("limit"), None);
}

#[test]
fn a_flag_can_change_its_kind_and_handles_follow() {
    let scene = Scene::new();
    let mut writer = scene.writer(&[Entry::new("a", Value::On)]);
    let flag = scene.reads_as("").flag("a");
    assert!(flag.is_on());
    for n in 0..3 {
        writer.declare(&[Entry::new("a", Value::Int(n))]).unwrap();
        assert_eq!((flag.int(), flag.is_on()), (Some(n), false));
        writer.declare(&[Entry::new("a", text("t"))]).unwrap();
        assert_eq!((flag.text(), flag.int()), (Packed::new("t"), None));
        writer.declare(&[Entry::new("a", Value::On)]).unwrap();
        assert_eq!((flag.is_on(), flag.text()), (true, None));
    }
}

#[test]
fn b4_a_snapshot_has_all_of_a_stage_or_nothing() {
    let scene = Scene::new();
    let stages: Vec<String> = (1..=3).map(|n| format!("stage-{n}")).collect();
    let mut entries = vec![Entry { stages, ..Entry::new("cleanup", Value::Stage(0)) }];
    entries.extend((1..=9).map(|n| Entry::new(&format!("flag-{n}"), Value::Off)));
    entries.push(Entry::new("words", text("0")));
    let mut writer = scene.writer(&entries);
    let board = scene.reads_as("");
    let stop = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let (stop, board) = (stop.clone(), board.clone());
        move || {
            let mut seen = std::collections::HashSet::new();
            while !stop.load(Ordering::Relaxed) || seen.len() < 2 {
                let snapshot = if seen.len() % 2 == 0 { Arc::new(board.snapshot()) } else { board.latch() };
                if !snapshot.consistent {
                    continue;
                }
                let (stage, name) = snapshot.stage("cleanup").unwrap();
                let named = if stage == 0 { String::new() } else { format!("stage-{stage}") };
                assert_eq!(name.text().unwrap(), named);
                for n in 1..=9u32 {
                    let on = n.div_ceil(3) <= stage;
                    assert_eq!(snapshot.is_on(&format!("flag-{n}"), !on), on, "flag {n} at stage {stage}");
                }
                assert_eq!(snapshot.text("words"), Packed::new(&stage.to_string()));
                seen.insert(stage);
            }
        }
    });
    for round in 0..500u32 {
        let stage = mix(round.into()) as u32 % 4;
        let names: Vec<String> = (1..=9).map(|n| format!("flag-{n}")).collect();
        let mut changes: Vec<(&str, Setting)> = vec![("cleanup", Value::Stage(stage).into())];
        changes.extend((1..=9u32).zip(&names).map(|(n, name)| {
            let value = if n.div_ceil(3) <= stage { Value::On } else { Value::Off };
            (name.as_str(), Setting::from(value))
        }));
        changes.push(("words", text(&stage.to_string()).into()));
        writer.set_all(&changes).unwrap();
        std::thread::yield_now();
    }
    stop.store(true, Ordering::Relaxed);
    reader.join().unwrap();
}

#[test]
fn a_latch_holds_its_values_and_is_the_same_copy_as_long_as_nothing_changes() {
    let scene = Scene::new();
    let mut writer = scene.writer(&all_kinds());
    let board = scene.reads_as("web#1");
    let latch = board.latch();
    assert!(Arc::ptr_eq(&latch, &board.latch()));
    writer.set_all(&[("limit", Value::Int(5).into()), ("on", Value::Off.into())]).unwrap();
    assert_eq!((latch.int("limit"), latch.is_on("on", false)), (Some(-4711), true));
    let next = board.latch();
    assert_eq!((next.int("limit"), next.is_on("on", true)), (Some(5), false));
    assert!(!Arc::ptr_eq(&latch, &next));
    // A board in place of the old one.
    writer.declare(&[Entry::new("on", Value::On)]).unwrap();
    assert!(board.latch().is_on("on", false) && board.latch().int("limit").is_none());
    drop(writer);
    std::fs::remove_dir_all(scene.path()).unwrap();
    assert_eq!(latch.int("limit"), Some(-4711));
}

#[test]
fn too_long_values_of_all_flags_together_are_refused_and_nothing_changes() {
    let scene = Scene::new();
    let mut writer = scene.writer(&all_kinds());
    let ids: Vec<String> = (0..64).map(|n| format!("{n}{}", "i".repeat(1000))).collect();
    let many: Vec<Entry> = (0..1500)
        .map(|n| Entry { deny: ids.clone(), ..Entry::new(&format!("flag-{n}"), Value::On) })
        .collect();
    let error = writer.declare(&many).unwrap_err().to_string();
    assert!(error.contains("numbers, texts and lists of all flags need"), "{error}");
    assert_eq!(scene.reads_as("").int("limit"), Some(-4711));
    assert_eq!(writer.scrub().unwrap(), []);
}
