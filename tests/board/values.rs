//! What is set is read, also from the next board.

use super::*;

#[test]
fn what_is_set_is_read_by_handle_by_name_and_in_a_snapshot() {
    let scene = Scene::new();
    let board = Board::open(scene.path());
    let flag = board.flag("new-checkout");
    assert_eq!(flag.read().source, Source::Lost, "no board yet");
    assert!(!flag.is_on());
    let mut writer = scene.writer(&[entry("new-checkout", Value::Off), entry("other", Value::On)]);
    comes_to("a board", || flag.read().source == Source::Proven);
    assert!(!flag.is_on());
    for value in [Value::On, Value::Share(12_500), Value::Off, Value::Share(99_999), Value::On] {
        writer.set("new-checkout", value.into()).unwrap();
        assert_eq!(flag.read().truth, Some(value.into()));
        assert_eq!(board.read("new-checkout").truth, Some(value.into()));
        assert_eq!(board.snapshot().read("new-checkout").truth, Some(value.into()));
        assert_eq!(board.flag("new-checkout").read().truth, Some(value.into()));
    }
    assert!(
        flag.is_on() && board.is_on("new-checkout", false) && board.snapshot().is_on("new-checkout", false)
    );
    assert!(board.is_on("other", false));
}

#[test]
fn a_disabled_or_unknown_flag_gives_the_callers_default_and_says_so() {
    let scene = Scene::new();
    let off = Truth { value: Value::On, disabled: true };
    let mut writer = scene.writer(&[Entry::new("a", off)]);
    let board = Board::open(scene.path());
    assert!(board.flag("a").or(true).is_on() && !board.flag("a").is_on());
    assert_eq!(board.read("a").source, Source::Proven);
    for name in ["nobody", "not a name", ""] {
        assert_eq!(board.flag(name).read().source, Source::Unknown, "{name}");
        assert_eq!(board.read(name).source, Source::Unknown, "{name}");
        assert!(board.flag(name).or(true).is_on() && !board.flag(name).is_on());
    }
    assert!(matches!(writer.set("nobody", Value::On.into()), Err(Error::Unknown(name)) if name == "nobody"));
    // A handle to an unknown flag finds it when it is declared, and loses it when it is not any more.
    let later = board.flag("later");
    assert!(!later.is_on());
    writer.declare(&[entry("later", Value::On)]).unwrap();
    assert!(later.is_on());
    assert_eq!(board.read("a").source, Source::Unknown);
    writer.declare(&[entry("a", Value::On)]).unwrap();
    assert_eq!(later.read().source, Source::Unknown);
    assert!(board.is_on("a", false) && !later.is_on());
}

#[test]
fn a_share_asks_for_an_id_and_hashes_it_behind_the_salt() {
    let scene = Scene::new();
    let mut salted = entry("renamed", Value::Share(63_788));
    salted.salt = "new_checkout".into();
    scene.writer(&[entry("new_checkout", Value::Share(18_906)), salted]);
    let board = Board::open(scene.path());
    let (flag, renamed) = (board.flag("new_checkout"), board.flag("renamed"));
    assert!(flag.is_on_for("user:1") && !flag.is_on_for("user:2") && !flag.is_on_for("user:1234567"));
    assert!(renamed.is_on_for("user:1") && renamed.is_on_for("user:2") && !renamed.is_on_for("user:1234567"));
    assert!(board.is_on_for("renamed", "user:2", false) && !board.is_on_for("new_checkout", "user:2", true));
    assert!(board.snapshot().is_on_for("renamed", "user:2", false));
    assert!(!flag.is_on() && !flag.is_on_for("") && flag.or(true).is_on_for(""), "no id: the default");
    assert_eq!(Prefix::new("new_checkout").unwrap().position("user:2"), Some(63_787));
}

#[test]
fn b1_a_new_writer_takes_over_in_place_and_no_reader_notices() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(40));
    let board = Board::open(scene.path());
    let handles: Vec<_> = (0..40).map(|i| board.flag(&format!("flag-{i}"))).collect();
    writer.set("flag-3", Value::On.into()).unwrap();
    let (inode, generation) = (scene.inode(), writer.generation());
    drop(writer);
    // The truth says otherwise than the board: the truth holds, in the same file.
    let mut truth = flags(41);
    truth[7].setting = Value::Off.into();
    truth.remove(5);
    let (writer, repairs) = Writer::create(scene.path(), &truth, generation).unwrap();
    assert_eq!(scene.inode(), inode);
    assert!(matches!(repairs[..], [Repair::Cells(_)]), "{repairs:?}");
    assert!(writer.generation() > generation, "who waits for a change is told");
    assert_eq!(handles[3].read().truth, Some(Value::Share(1003).into()));
    assert_eq!(
        handles[7].read(),
        mainstay::board::Reading { truth: Some(Value::Off.into()), source: Source::Proven }
    );
    assert_eq!(handles[5].read().source, Source::Unknown);
    assert_eq!(board.flag("flag-40").read().truth, Some(Value::Share(1040).into()));
    drop(writer);
    let (writer, repairs) = Writer::create(scene.path(), &truth, 0).unwrap();
    assert_eq!((repairs, writer.generation()), (vec![], generation + 1), "nothing to mend: nothing changed");
}

#[test]
fn b5_a_board_grows_by_a_successor_and_handles_stay_good() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(10));
    let board = Board::open(scene.path());
    let handle = board.flag("flag-9");
    assert_eq!(handle.read().truth, Some(Value::Share(1009).into()));
    let incarnation = scene.header().incarnation;
    for n in [60, 70, 3000] {
        writer.declare(&flags(n)).unwrap();
        for i in [0, 9, n - 1] {
            assert_eq!(board.read(&format!("flag-{i}")).truth, Some(Value::Share(1000 + i).into()));
        }
        assert_eq!(
            handle.read(),
            mainstay::board::Reading { truth: Some(Value::Share(1009).into()), source: Source::Proven }
        );
    }
    assert_ne!(scene.header().incarnation, incarnation);
    assert_eq!(board.snapshot().flags().count(), 3000);
    assert!(board.snapshot().consistent);
}

#[test]
fn ten_thousand_flags_fit() {
    let scene = Scene::new();
    let all = flags(10_000);
    let writer = scene.writer(&all);
    drop(writer);
    let (_, repairs) = Writer::create(scene.path(), &all, 0).unwrap();
    assert_eq!(repairs, []);
    let board = Board::open(scene.path());
    for i in (0..10_000).step_by(17) {
        assert_eq!(board.read(&format!("flag-{i}")).truth, Some(Value::Share(1000 + i).into()));
    }
    assert_eq!(board.read("flag-10000").source, Source::Unknown);
}

#[test]
fn a_changed_salt_needs_a_new_board() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let flag = Board::open(scene.path()).flag("flag-1");
    let incarnation = scene.header().incarnation;
    let mut salted = flags(3);
    salted[1].salt = "other".into();
    salted[1].setting = Value::Share(Prefix::new("other").unwrap().position("me").unwrap() + 1).into();
    writer.declare(&salted).unwrap();
    assert_ne!(scene.header().incarnation, incarnation);
    assert!(flag.is_on_for("me"));
    let (_, repairs) = Writer::create(scene.path(), &flags(3), 0).unwrap();
    assert!(repairs.contains(&Repair::Replaced(Damage::Unsound)), "{repairs:?}");
}

#[test]
fn wrong_declarations_are_refused_before_anything_changes() {
    let scene = Scene::new();
    let wrong = |entries: &[Entry]| Writer::create(scene.path(), entries, 0).unwrap_err();
    assert!(matches!(wrong(&[entry("a b", Value::On)]), Error::Name(_)));
    assert!(matches!(wrong(&[entry("a", Value::On), entry("a", Value::Off)]), Error::Twice(_)));
    let salt = Entry { salt: "s".repeat(129), ..entry("a", Value::On) };
    assert!(matches!(wrong(&[salt]), Error::Salt(_, 129)));
    assert!(!scene.board().exists());
}

#[test]
fn a_generation_goes_on_beyond_four_billion() {
    let scene = Scene::new();
    let before = u64::from(u32::MAX) - 1;
    let (mut writer, _) = Writer::create(scene.path(), &flags(2), before).unwrap();
    let board = Board::open(scene.path());
    for n in 1..=4 {
        let value = if n % 2 == 0 { Value::On } else { Value::Off };
        assert_eq!(writer.set("flag-0", value.into()).unwrap(), before + n);
        comes_to("the next generation", || board.generation() == Some(before + n));
    }
}
