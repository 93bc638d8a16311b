//! Lists and shares: for whom a flag is on.

use crate::scene::{Scene, all_kinds, disabled, instances};
use mainstay::board::{Entry, Setting};
use mainstay::flags::{Prefix, Truth, Value};

#[test]
fn lists_are_looked_at_before_the_share_and_not_when_it_is_off() {
    let scene = Scene::new();
    let mut writer = scene.writer(&all_kinds());
    let board = scene.reads_as("");
    let (share, on) = (board.flag("listed"), board.flag("listed-on"));
    let check = |id: &str, by_share: Option<bool>, by_on: bool| {
        let opinions = |name: &str| {
            (
                board.read_for(name, Some(id)).1,
                board.snapshot().opinion(name, Some(id)),
                board.flag(name).read_for(Some(id)).1,
            )
        };
        assert_eq!(opinions("listed"), (by_share, by_share, by_share), "{id}");
        assert_eq!(opinions("listed-on"), (Some(by_on), Some(by_on), Some(by_on)), "{id}");
        assert_eq!(share.is_on_for(id), by_share.unwrap_or(false), "{id}");
        assert_eq!(on.is_on_for(id), by_on, "{id}");
        assert_eq!(board.is_on_for("listed", id, false), by_share.unwrap_or(false), "{id}");
    };
    check("user:allowed", Some(true), true);
    check("user:denied", Some(false), false);
    check("user:both", Some(false), false);
    // Of a share of 1 in 100,000.
    check("user:other", Some(false), true);
    let long = "i".repeat(1025);
    for no_id in ["", &long] {
        check(no_id, None, true);
    }
    assert!(on.is_on() && board.is_on("listed-on", false), "without an id lists are not looked at");
    let no_share = board.read_for("listed", None);
    assert_eq!((no_share.0.truth, no_share.1), (Some(Value::Share(1).into()), None));
    for (setting, opinion) in [(Value::Off.into(), Some(false)), (disabled(Value::On), None)] {
        writer.set("listed-on", setting).unwrap();
        for id in ["user:allowed", "user:denied", "user:other"] {
            assert_eq!(board.read_for("listed-on", Some(id)).1, opinion, "{id}");
            assert_eq!(on.is_on_for(id), opinion.unwrap_or(false));
            assert_eq!(board.snapshot().opinion("listed-on", Some(id)), opinion);
        }
    }
}

#[test]
fn sixty_four_ids_of_the_longest_kind_fit_and_each_is_found() {
    let scene = Scene::new();
    let id = |n: usize| format!("{n}-{}", "i".repeat(1024))[..1024].to_owned();
    let lists = Entry {
        allow: (0..32).map(id).collect(),
        deny: (32..64).map(id).collect(),
        ..Entry::new("a", Value::Share(50_000))
    };
    let _writer = scene.writer(&[lists]);
    let board = scene.reads_as("");
    let flag = board.flag("a");
    let prefix = Prefix::new("a").unwrap();
    for n in 0..200 {
        let expected = match n {
            0..32 => true,
            32..64 => false,
            _ => prefix.position(&id(n)).unwrap() < 50_000,
        };
        assert_eq!(
            (flag.is_on_for(&id(n)), board.is_on_for("a", &id(n), !expected)),
            (expected, expected),
            "{n}"
        );
    }
}

#[test]
fn a_share_by_instances_is_decided_for_the_instance_that_reads_or_that_is_named() {
    let scene = Scene::new();
    let mut writer = scene.writer(&all_kinds());
    for (reader, expected) in
        [("web#1", Some(true)), ("web#2", Some(false)), ("web#3", Some(true)), ("", None)]
    {
        let board = scene.reads_as(reader);
        let flag = board.flag("some");
        for default in [false, true] {
            let right = expected.unwrap_or(default);
            assert_eq!(board.flag("some").or(default).is_on(), right, "{reader}");
            assert_eq!(board.is_on("some", default), right, "{reader}");
            assert_eq!(board.snapshot().is_on("some", default), right, "{reader}");
        }
        for (id, on) in [("web#1", true), ("web#2", false), ("web#3", true), ("other", false)] {
            assert_eq!((flag.is_on_for(id), board.is_on_for("some", id, !on)), (on, on), "{reader} {id}");
            assert_eq!(board.snapshot().is_on_for("some", id, !on), on);
        }
        assert_eq!(flag.read().truth, Some(Value::Share(50_000).into()));
    }
    // What is remembered belongs to one word.
    let flag = scene.reads_as("web#2").flag("some");
    for n in 0..20 {
        let on: &[&str] = if n % 2 == 0 { &["web#2"] } else { &["web#1"] };
        writer.set("some", instances(20_000 + n, on)).unwrap();
        assert_eq!([flag.is_on(), flag.is_on()], [n % 2 == 0; 2], "{n}");
    }
    writer
        .set(
            "some",
            Setting {
                truth: Truth { disabled: true, ..instances(7, &["web#2"]).truth },
                ..instances(7, &["web#2"])
            },
        )
        .unwrap();
    assert!(!flag.is_on() && flag.read_for(None).1.is_none());
    writer.set("some", Value::On.into()).unwrap();
    assert!(flag.is_on());
}

#[test]
fn an_instance_in_a_list_is_on_or_off_whatever_the_share() {
    let scene = Scene::new();
    let listed = Entry {
        allow: vec!["web#9".into()],
        deny: vec!["web#1".into()],
        ..Entry::new("some", instances(50_000, &["web#1", "web#3"]))
    };
    let _writer = scene.writer(&[listed]);
    for (reader, on) in [("web#1", false), ("web#3", true), ("web#9", true), ("web#2", false)] {
        assert_eq!(scene.reads_as(reader).flag("some").is_on(), on, "{reader}");
    }
}
