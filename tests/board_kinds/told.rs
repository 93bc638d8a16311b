//! Who is told of what was read, and who is asked when there is no board.

use crate::scene::{Scene, all_kinds, text};
use mainstay::board::{Answer, Board, Fallback, Known, Options, Sighting, Source, Witness};
use mainstay::flags::{Packed, Unit, Value};
use mainstay::time::Duration;
use std::fs::OpenOptions;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn b7_a_number_and_a_text_outlive_their_board() {
    let scene = Scene::new();
    let writer = scene.writer(&all_kinds());
    let board = scene.reads_as("web#3");
    let [limit, level, some, cleanup] = ["limit", "level", "some", "cleanup"].map(|name| board.flag(name));
    let read = || (limit.int(), level.text(), some.is_on(), cleanup.stage_and_name());
    let before = read();
    assert_eq!(
        before,
        (Some(-4711), Packed::new("info"), true, Some((2, Packed::new("telemetry").unwrap())))
    );
    drop(writer);
    OpenOptions::new().write(true).open(scene.path().join("board")).unwrap().set_len(0).unwrap();
    assert_eq!(read(), before);
    std::fs::remove_dir_all(scene.path()).unwrap();
    for _ in 0..1000 {
        assert_eq!(read(), before);
    }
    assert_eq!(limit.read().source, Source::Stale);
}

/// Notes what it is told.
struct Noting(Mutex<Vec<Sighting>>);

impl Witness for Noting {
    fn seen(&self, sighting: Sighting) {
        self.0.lock().unwrap().push(sighting);
    }
}

#[test]
fn a_witness_is_told_of_each_word_that_differs_from_the_last_and_of_no_other() {
    let scene = Scene::new();
    let mut writer = scene.writer(&all_kinds());
    let noting: &'static Noting = Box::leak(Box::new(Noting(Mutex::default())));
    let board = Board::open_by(scene.path(), Options { witness: Some(noting), ..Options::default() });
    let (on, limit) = (board.flag("on"), board.flag("limit"));
    let noted = || std::mem::take(&mut *noting.0.lock().unwrap());
    assert_eq!(noted(), [], "who has a handle has not read yet");
    for _ in 0..100 {
        assert!(on.is_on() && limit.int() == Some(-4711));
    }
    let layout = scene.header().layout;
    let words = scene.words();
    let seen = |sightings: Vec<Sighting>| {
        sightings.into_iter().map(|s| (s.name, s.slot, s.word, s.generation)).collect::<Vec<_>>()
    };
    let first = seen(noted());
    let word = |slot: usize| words.load(layout.word(slot));
    let names = [first[0].0, first[1].0];
    assert_eq!(first, [(names[0], 0, word(0), 0), (names[1], 6, word(6), 0)]);
    assert_ne!(names[0], names[1]);
    writer.set("limit", Value::Int(3).into()).unwrap();
    for _ in 0..100 {
        assert!(on.is_on() && limit.int() == Some(3) && limit.read().truth.is_some());
    }
    assert_eq!(seen(noted()), [(names[1], 6, word(6), 1)]);
    writer.set("off", Value::On.into()).unwrap();
    assert!(on.is_on() && board.is_on("off", false));
    assert_eq!(noted(), [], "another flag's change, and a read by name");
}

#[test]
fn a_handle_that_is_told_which_board_is_in_place_looks_for_no_other_until_it_is_told_of_one() {
    let scene = Scene::new();
    let writer = scene.writer(&all_kinds());
    let in_place: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(writer.incarnation())));
    let told = Board::open_by(scene.path(), Options { in_place: Some(in_place), ..Options::default() });
    let untold = Board::open_by(scene.path(), Options::default());
    let flags = [&told, &untold].map(|board| board.flag("off"));
    assert!(!flags[0].is_on() && !flags[1].is_on());
    // Its names are gone and nobody is left who could retire it: only by looking is it known to be past.
    drop(writer);
    std::fs::remove_file(scene.path().join("board")).unwrap();
    std::fs::remove_file(scene.path().join(".kept/board")).unwrap();
    let mut successor = scene.writer(&all_kinds());
    successor.set("off", Value::On.into()).unwrap();
    let until = |holds: &dyn Fn() -> bool| {
        let start = mainstay::sys::clock::now();
        while !holds() {
            assert!(mainstay::sys::clock::now().since(start) < Duration::from_secs(60));
            std::thread::yield_now();
        }
    };
    until(&|| flags[1].is_on());
    assert!(!flags[0].is_on(), "it was told that the one that it reads is in place");
    in_place.store(successor.incarnation(), Ordering::Release);
    until(&|| flags[0].is_on());
    // And of this one it believes the same.
    assert!(flags[0].is_on());
    drop(successor);
    std::fs::remove_file(scene.path().join("board")).unwrap();
    std::fs::remove_file(scene.path().join(".kept/board")).unwrap();
    let _third = scene.writer(&all_kinds());
    until(&|| !flags[1].is_on());
    assert!(flags[0].is_on());
}

/// Answers that were written down before.
struct Told(Vec<(&'static str, Known)>);

impl Fallback for Told {
    fn ask(&self, name: &str, _: Duration) -> Option<Answer> {
        let known = self.0.iter().find(|(flag, _)| *flag == name).map(|(_, known)| known.clone());
        Some(known.map_or(Answer::Unknown, |known| Answer::Known(Box::new(known))))
    }

    fn recall(&self, _: &str) -> Option<Answer> {
        panic!("the keeper answered")
    }
}

#[test]
fn b7_without_a_board_every_kind_is_known_by_who_is_asked() {
    let scene = Scene::new();
    let known = |value: Value| Known::new(value.into(), String::new());
    let told = Told(vec![
        ("limit", known(Value::Int(8))),
        ("level", known(text("warn"))),
        ("cleanup", Known { stages: vec!["one".into(), "two".into()], ..known(Value::Stage(2)) }),
        ("listed", Known { deny: vec!["no".into()], allow: vec!["yes".into()], ..known(Value::Share(1)) }),
        (
            "some",
            Known { unit: Unit::Instance, instances: Some(vec!["web#1".into()]), ..known(Value::Share(500)) },
        ),
    ]);
    let options =
        Options { fallback: Some(Box::new(told)), instance: Some("web#1".into()), ..Options::default() };
    let board = Board::open_by(scene.path(), options);
    let [limit, level, listed, some] = ["limit", "level", "listed", "some"].map(|name| board.flag(name));
    let cleanup = board.migration("cleanup");
    for _ in 0..3 {
        assert_eq!((limit.int(), board.int("limit")), (Some(8), Some(8)));
        assert_eq!((level.text(), board.text("level")), (Packed::new("warn"), Packed::new("warn")));
        assert_eq!(cleanup.stage_and_name(), Some((2, Packed::new("two").unwrap())));
        assert_eq!(board.stage("cleanup"), cleanup.stage_and_name());
        assert!(listed.is_on_for("yes") && !listed.is_on_for("no") && !listed.is_on_for("other"));
        assert!(board.is_on_for("listed", "yes", false) && !board.is_on_for("listed", "no", true));
        assert!(some.is_on() && board.is_on("some", false) && !some.is_on_for("web#2"));
    }
    assert_eq!(board.flag("nobody").read().source, Source::Unknown);
    // The board is better.
    let _writer = scene.writer(&all_kinds());
    let start = mainstay::sys::clock::now();
    while limit.int() != Some(-4711) {
        assert!(mainstay::sys::clock::now().since(start) < Duration::from_secs(60));
        std::thread::yield_now();
    }
    assert_eq!((level.text(), listed.is_on_for("yes")), (Packed::new("info"), false));
}
