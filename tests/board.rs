//! The board against damage: whatever is done to the file, a read is right, stale or lost, and never wrong.

use mainstay::board::layout::{FUTEX, Header, Layout, STATE};
use mainstay::board::{Answer, Board, Damage, Entry, Error, Fallback, Found, Repair, Source, Writer};
use mainstay::flags::{Body, Prefix, Seal, Truth, Value, mix};
use mainstay::sys::mapping::WriteMapping;
use mainstay::sys::shared_file::{self, Kind};
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tempfile::TempDir;

/// Long enough that only a hang runs into it.
const GENEROUS: Duration = Duration::from_secs(60);

struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        Scene { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn board(&self) -> PathBuf {
        self.path().join("board")
    }

    fn kept(&self) -> PathBuf {
        self.path().join(".kept/board")
    }

    fn writer(&self, entries: &[Entry]) -> Writer {
        Writer::create(self.path(), entries, 0).unwrap().0
    }

    fn inode(&self) -> u64 {
        fs::metadata(self.board()).unwrap().ino()
    }

    /// The board's words, for damage.
    fn words(&self) -> WriteMapping {
        let file = OpenOptions::new().read(true).write(true).open(self.board()).unwrap();
        WriteMapping::new(file.as_fd(), file.metadata().unwrap().len() as usize).unwrap()
    }

    fn header(&self) -> Header {
        let file = File::open(self.board()).unwrap();
        Header::from_cells(&shared_file::read_words(&file, 0).unwrap()).unwrap()
    }
}

fn entry(name: &str, value: Value) -> Entry {
    Entry::new(name, value)
}

/// `flag-0` to `flag-(n-1)`, each with a value of its own.
fn flags(n: u32) -> Vec<Entry> {
    (0..n).map(|i| entry(&format!("flag-{i}"), Value::Share(1000 + i))).collect()
}

/// Reads until the answer is this one; a stale or lost one may come first.
fn comes_to(what: &str, mut read: impl FnMut() -> bool) {
    let start = mainstay::sys::clock::now();
    while !read() {
        assert!(mainstay::sys::clock::now().since(start) < GENEROUS, "never came to {what}");
        std::thread::yield_now();
    }
}

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

// --- B2, B3: damage -----------------------------------------------------------------------------------

/// Reads everything by name, by a handle made now, and as a snapshot; every answer that claims to be proven
/// must be right.
fn judge(scene: &Scene, n: u32, damage: &str) -> usize {
    let board = Board::open(scene.path());
    let mut proven = 0;
    for i in 0..n {
        let name = format!("flag-{i}");
        let right = Some(Value::Share(1000 + i).into());
        for reading in [board.read(&name), board.flag(&name).read()] {
            match reading.source {
                Source::Proven => assert_eq!(reading.truth, right, "{damage}: {name}"),
                Source::Lost => {}
                other => panic!("{damage}: {name} is {other:?}"),
            }
            proven += usize::from(reading.source == Source::Proven);
        }
    }
    assert_eq!(board.read("nobody").truth, None, "{damage}");
    let snapshot = board.snapshot();
    for (name, truth) in snapshot.flags() {
        let i: u32 = name.strip_prefix("flag-").unwrap().parse().unwrap();
        assert_eq!(truth, Value::Share(1000 + i).into(), "{damage}: snapshot of {name}");
    }
    if snapshot.consistent {
        assert_eq!(snapshot.flags().count(), n as usize, "{damage}: a consistent snapshot is whole");
    }
    proven
}

#[test]
fn b2_a_damaged_page_reads_as_right_or_lost_and_is_mended() {
    const FLAGS: u32 = 100;
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(FLAGS));
    let words = scene.words();
    let all = judge(&scene, FLAGS, "none");
    assert_eq!(all, 2 * FLAGS as usize);
    let page = 512;
    let mut random = 7;
    let copy: Vec<u64> = (0..words.words()).map(|c| if c == FUTEX { 0 } else { words.load(c) }).collect();
    let pages = words.words().div_ceil(page);
    let mut lost = 0;
    for at in 0..pages {
        for (pattern, name) in
            ["zeros", "ones", "small", "pattern", "random", "next page", "inverted"].iter().enumerate()
        {
            let mut changed = false;
            for cell in at * page..((at + 1) * page).min(words.words()) {
                random = mix(random + 1);
                let next = copy[(cell + page) % copy.len()];
                let word = [0, u64::MAX, 1, 0xa5a5_a5a5_a5a5_a5a5, random, next, !copy[cell]][pattern];
                if cell != FUTEX {
                    words.store(cell, word);
                    changed |= word != copy[cell];
                }
            }
            let proven = judge(&scene, FLAGS, &format!("page {at} {name}"));
            lost += all - proven;
            // The header is read at opening only, so its damage shows as a board that cannot be opened.
            let repairs = writer.scrub().unwrap();
            // Zeros over an arena that was never used change nothing.
            let mended = matches!(repairs[..], [Repair::Cells(n)] if n > 0);
            assert!(mended || (!changed && repairs.is_empty()), "page {at} {name}: {repairs:?}");
            assert_eq!(judge(&scene, FLAGS, "mended"), all, "page {at} {name} is mended");
        }
    }
    assert!(lost > 1000, "the damage did something: {lost}");
}

#[test]
fn b2_every_flipped_bit_reads_as_right_or_lost() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(8));
    let words = scene.words();
    let board = Board::open(scene.path());
    let mut lost = 0;
    for cell in (0..words.words()).filter(|cell| *cell != FUTEX) {
        let right = words.load(cell);
        for bit in 0..64 {
            words.store(cell, right ^ 1 << bit);
            for i in 0..8 {
                let reading = board.read(
                    ["flag-0", "flag-1", "flag-2", "flag-3", "flag-4", "flag-5", "flag-6", "flag-7"][i],
                );
                match reading.source {
                    Source::Proven => assert_eq!(reading.truth, Some(Value::Share(1000 + i as u32).into())),
                    Source::Lost => lost += 1,
                    other => panic!("cell {cell} bit {bit}: {other:?}"),
                }
            }
            let reading = board.read("nobody");
            assert!(reading.truth.is_none(), "cell {cell} bit {bit}");
        }
        words.store(cell, right);
    }
    // At least every bit of eight words, of eight entries, of eight records' used cells, and of the state.
    assert!(lost >= 8 * 64 * 4, "{lost}");
    assert_eq!(writer.scrub().unwrap(), []);
}

#[test]
fn b2_a_word_of_another_slot_or_another_board_is_lost() {
    let (one, two) = (Scene::new(), Scene::new());
    let _writers = (one.writer(&flags(8)), two.writer(&flags(8)));
    let (words, others) = (one.words(), two.words());
    let board = Board::open(one.path());
    let layout = Layout::of(64);
    assert_eq!(board.read("flag-2").source, Source::Proven);
    let right = words.load(layout.word(2));
    for wrong in [words.load(layout.word(3)), others.load(layout.word(2)), 0, u64::MAX] {
        words.store(layout.word(2), wrong);
        assert_eq!(board.read("flag-2").source, Source::Lost);
    }
    words.store(layout.word(2), right);
    assert_eq!(board.read("flag-2").source, Source::Proven);
}

#[test]
fn b3_an_emptied_index_never_reads_as_unknown() {
    let scene = Scene::new();
    let _writer = scene.writer(&flags(8));
    let words = scene.words();
    let board = Board::open(scene.path());
    let layout = Layout::of(64);
    for wrong in [0, u64::MAX, words.load(layout.index)] {
        for cell in layout.index..layout.names {
            words.store(cell, wrong);
        }
        for i in 0..8 {
            assert_ne!(board.read(&format!("flag-{i}")).source, Source::Unknown);
        }
    }
}

#[test]
fn b7_a_handle_keeps_its_last_proven_value_while_its_word_is_damaged() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(8));
    let board = Board::open(scene.path());
    let flag = board.flag("flag-2").or(true);
    let never_read = board.flag("flag-2");
    let words = scene.words();
    assert_eq!(flag.read().source, Source::Proven);
    words.store(Layout::of(64).word(2), 0);
    let reading = flag.read();
    assert_eq!((reading.truth, reading.source), (Some(Value::Share(1002).into()), Source::Stale));
    assert_eq!(never_read.read().source, Source::Lost, "what was never read is not known");
    writer.scrub().unwrap();
    assert_eq!((flag.read().source, never_read.read().source), (Source::Proven, Source::Proven));
}

#[test]
fn b2_a_copy_of_a_board_is_no_board() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(8));
    fs::copy(scene.board(), scene.path().join("copy")).unwrap();
    writer.set("flag-1", Value::On.into()).unwrap();
    fs::rename(scene.path().join("copy"), scene.board()).unwrap();
    let board = Board::open(scene.path());
    assert_eq!(board.read("flag-1").truth, Some(Value::On.into()), "read through the second link");
    assert!(board.trouble().unwrap().to_string().contains("copy"));
}

// --- B6: what is done to the file -----------------------------------------------------------------------

/// One way to damage a board, and what the writer says it did about it.
type Fault = (&'static str, fn(&Scene), fn(&[Repair]) -> bool);

const FAULTS: &[Fault] = &[
    ("deleted", |s| fs::remove_file(s.board()).unwrap(), |r| r == [Repair::LinkedBack(Found::Nothing)]),
    ("second link deleted", |s| fs::remove_file(s.kept()).unwrap(), |r| r == [Repair::KeptAgain]),
    (
        "both links deleted",
        |s| {
            fs::remove_file(s.board()).unwrap();
            fs::remove_file(s.kept()).unwrap();
        },
        |r| r == [Repair::Replaced(Damage::Deleted)],
    ),
    (
        "everything deleted",
        |s| {
            for entry in fs::read_dir(s.path()).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
            }
        },
        |r| r == [Repair::Replaced(Damage::Deleted)],
    ),
    (
        "directory deleted",
        |s| fs::remove_dir_all(s.path()).unwrap(),
        |r| r == [Repair::Replaced(Damage::Deleted)],
    ),
    (
        "moved away",
        |s| fs::rename(s.board(), s.path().join("away")).unwrap(),
        |r| r == [Repair::LinkedBack(Found::Nothing)],
    ),
    (
        "moved away without second link",
        |s| {
            fs::remove_file(s.kept()).unwrap();
            fs::rename(s.board(), s.path().join("away")).unwrap();
        },
        |r| r == [Repair::KeptAgain, Repair::LinkedBack(Found::Nothing)],
    ),
    ("emptied", |s| drop(File::create(s.board()).unwrap()), |r| r == [Repair::Replaced(Damage::Length(0))]),
    (
        "cut",
        |s| OpenOptions::new().write(true).open(s.board()).unwrap().set_len(5000).unwrap(),
        |r| r == [Repair::Replaced(Damage::Length(5000))],
    ),
    (
        "cut and grown again",
        |s| {
            let file = OpenOptions::new().write(true).open(s.board()).unwrap();
            let length = file.metadata().unwrap().len();
            file.set_len(0).unwrap();
            file.set_len(length).unwrap();
        },
        |r| matches!(r, [Repair::Cells(_)]),
    ),
    (
        "punched",
        |s| {
            let file = OpenOptions::new().write(true).open(s.board()).unwrap();
            let flags = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
            rustix::fs::fallocate(&file, flags, 0, file.metadata().unwrap().len()).unwrap();
        },
        |r| matches!(r, [Repair::Cells(_)]),
    ),
    (
        "written over",
        |s| {
            let file = OpenOptions::new().write(true).open(s.board()).unwrap();
            file.write_all_at(&[0x5a; 9000], 100).unwrap();
        },
        |r| matches!(r, [Repair::Cells(_)]),
    ),
    (
        "replaced by garbage",
        |s| {
            fs::write(s.path().join("garbage"), [0x11; 20_000]).unwrap();
            fs::rename(s.path().join("garbage"), s.board()).unwrap();
        },
        |r| r == [Repair::LinkedBack(Found::Stranger(Kind::File))],
    ),
    (
        "replaced by a directory",
        |s| {
            fs::remove_file(s.board()).unwrap();
            fs::create_dir_all(s.board().join("full")).unwrap();
        },
        |r| r == [Repair::LinkedBack(Found::Stranger(Kind::Directory))],
    ),
    (
        "replaced by a fifo",
        |s| {
            fs::remove_file(s.board()).unwrap();
            nix::unistd::mkfifo(&s.board(), nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
        },
        |r| r == [Repair::LinkedBack(Found::Stranger(Kind::Other))],
    ),
    (
        "replaced by a link to itself",
        |s| {
            fs::remove_file(s.board()).unwrap();
            symlink("board", s.board()).unwrap();
        },
        |r| r == [Repair::LinkedBack(Found::Stranger(Kind::Other))],
    ),
    (
        "second link's folder replaced by a file",
        |s| {
            fs::remove_dir_all(s.path().join(".kept")).unwrap();
            fs::write(s.path().join(".kept"), "").unwrap();
        },
        |r| r == [Repair::KeptAgain],
    ),
    (
        "second link replaced by a directory",
        |s| {
            fs::remove_file(s.kept()).unwrap();
            fs::create_dir_all(s.kept().join("full")).unwrap();
        },
        |r| r == [Repair::KeptAgain],
    ),
    (
        "mode taken away",
        |s| fs::set_permissions(s.board(), fs::Permissions::from_mode(0o000)).unwrap(),
        |r| r == [Repair::Mode(0)],
    ),
];

#[test]
fn b6_every_fault_is_survived_by_readers_and_healed_by_the_living_writer() {
    for (name, fault, expected) in FAULTS {
        let scene = Scene::new();
        let mut writer = scene.writer(&flags(20));
        let board = Board::open(scene.path());
        let handles: Vec<_> = (0..20).map(|i| board.flag(&format!("flag-{i}"))).collect();
        let check = |when: &str| {
            for (i, flag) in handles.iter().enumerate() {
                let reading = flag.read();
                assert_eq!(reading.truth, Some(Value::Share(1000 + i as u32).into()), "{name}, {when}");
                assert!(
                    matches!(reading.source, Source::Proven | Source::Stale),
                    "{name}, {when}: {reading:?}"
                );
            }
        };
        check("before");
        fault(&scene);
        check("damaged");
        let mut repairs = writer.look().unwrap();
        repairs.extend(writer.scrub().unwrap());
        assert!(expected(&repairs), "{name}: {repairs:?}");
        writer.set("flag-7", Value::On.into()).unwrap();
        comes_to("the new value", || handles[7].read().truth == Some(Value::On.into()));
        comes_to("proof", || handles.iter().all(|flag| flag.read().source == Source::Proven));
        assert_eq!(Board::open(scene.path()).read("flag-7").truth, Some(Value::On.into()), "{name}");
        assert_eq!((writer.look().unwrap(), writer.scrub().unwrap()), (vec![], vec![]), "{name}");
        assert_eq!(
            fs::metadata(scene.board()).unwrap().ino(),
            fs::metadata(scene.kept()).unwrap().ino(),
            "{name}"
        );
    }
}

#[test]
fn b6_every_fault_while_no_writer_lives_is_healed_by_the_next() {
    for (name, fault, _) in FAULTS {
        let scene = Scene::new();
        drop(scene.writer(&flags(20)));
        let board = Board::open(scene.path());
        let flag = board.flag("flag-7");
        assert_eq!(flag.read().source, Source::Proven);
        fault(&scene);
        assert_eq!(flag.read().truth, Some(Value::Share(1007).into()), "{name}");
        let (mut writer, _) = Writer::create(scene.path(), &flags(20), 1).unwrap();
        writer.set("flag-7", Value::On.into()).unwrap();
        comes_to("the new value", || flag.read().truth == Some(Value::On.into()));
        assert_eq!((writer.look().unwrap(), writer.scrub().unwrap()), (vec![], vec![]), "{name}");
    }
}

#[test]
fn b6_a_deleted_board_comes_back_as_the_same_file() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let inode = scene.inode();
    fs::remove_file(scene.board()).unwrap();
    let board = Board::open(scene.path());
    assert_eq!(board.read("flag-1").source, Source::Proven, "the second link serves meanwhile");
    writer.look().unwrap();
    assert_eq!(scene.inode(), inode);
    drop(writer);
    fs::remove_file(scene.board()).unwrap();
    scene.writer(&flags(3));
    assert_eq!(scene.inode(), inode, "a new writer takes it from the second link");
}

#[test]
fn b5_an_orphan_is_left_by_its_readers_though_nobody_could_retire_it() {
    let scene = Scene::new();
    drop(scene.writer(&flags(3)));
    let flag = Board::open(scene.path()).flag("flag-1");
    assert!(!flag.is_on());
    fs::remove_file(scene.board()).unwrap();
    fs::remove_file(scene.kept()).unwrap();
    let mut writer = scene.writer(&flags(3));
    writer.set("flag-1", Value::On.into()).unwrap();
    comes_to("the successor", || flag.is_on());
}

#[test]
fn b5_an_orphan_is_left_also_by_who_only_asks_for_ids() {
    let scene = Scene::new();
    drop(scene.writer(&flags(3)));
    let flag = Board::open(scene.path()).flag("flag-1");
    assert!(!flag.is_on_for("user:1"));
    fs::remove_file(scene.board()).unwrap();
    fs::remove_file(scene.kept()).unwrap();
    let mut writer = scene.writer(&flags(3));
    writer.set("flag-1", Value::On.into()).unwrap();
    comes_to("the successor", || flag.is_on_for("user:1"));
}

#[test]
fn b5_a_successor_that_was_never_named_is_retired_before_the_old_board_changes() {
    let scene = Scene::new();
    drop(scene.writer(&flags(3)));
    // A writer killed between the two names of a successor: the second link is newer than the first.
    let newer = Scene::new();
    drop(newer.writer(&flags(3)));
    fs::remove_file(scene.kept()).unwrap();
    fs::hard_link(newer.board(), scene.kept()).unwrap();
    let reader = Board::open(newer.path()).flag("flag-1");
    assert_eq!(reader.read().source, Source::Proven);
    let inode = scene.inode();
    let (_, repairs) = Writer::create(scene.path(), &flags(3), 0).unwrap();
    assert_eq!(repairs, [Repair::RetiredStray, Repair::KeptAgain]);
    assert_eq!((scene.inode(), fs::metadata(scene.kept()).unwrap().ino()), (inode, inode));
    assert_eq!(reader.read().source, Source::Stale, "it is retired");
}

#[test]
fn b5_what_a_killed_writer_left_half_made_is_removed_and_never_read() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let kept = scene.path().join(".kept");
    fs::write(kept.join("new-board-abc"), "half").unwrap();
    fs::hard_link(scene.board(), kept.join("next")).unwrap();
    drop(writer);
    writer = scene.writer(&flags(3));
    fs::remove_file(scene.board()).unwrap();
    writer.look().unwrap();
    let names: Vec<_> = fs::read_dir(&kept).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["board"]);
}

#[test]
fn b8_a_directory_that_others_can_write_is_refused_by_writer_and_reader() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    fs::set_permissions(scene.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let refused = Writer::create(scene.path(), &flags(3), 0).unwrap_err().to_string();
    assert!(refused.contains("others can write it"), "{refused}");
    let board = Board::open(scene.path());
    assert_eq!(board.read("flag-1").source, Source::Lost);
    assert!(board.trouble().unwrap().to_string().contains("others can write it"));
    fs::set_permissions(scene.path(), fs::Permissions::from_mode(0o711)).unwrap();
    assert_eq!(writer.look().unwrap(), []);
    comes_to("trust", || board.read("flag-1").source == Source::Proven);
}

#[test]
fn b8_a_board_of_another_user_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        return; // Only root can give a file away; CI runs as root.
    }
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    std::os::unix::fs::chown(scene.board(), Some(65534), None).unwrap();
    assert_eq!(Board::open(scene.path()).read("flag-1").source, Source::Lost);
    let (_, repairs) = Writer::create(scene.path(), &flags(3), 0).unwrap();
    assert!(repairs.contains(&Repair::Replaced(Damage::Missing)), "{repairs:?}");
    writer.look().unwrap();
}

#[test]
fn a_full_file_system_refuses_a_board_and_leaves_nothing_behind() {
    let (Ok(limit), true) = (nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE), true)
    else {
        panic!("no limit to read");
    };
    // A limit of the file's size stands for a full disk; it is the process's, so only a child may have it.
    if std::env::var_os("BOARD_TEST_FULL").is_none() {
        let me = std::env::current_exe().unwrap();
        let name = "a_full_file_system_refuses_a_board_and_leaves_nothing_behind";
        let status =
            std::process::Command::new(me).args([name, "--exact"]).env("BOARD_TEST_FULL", "1").status();
        assert!(status.unwrap().success());
        return;
    }
    let ignore = nix::sys::signal::SigHandler::SigIgn;
    signal_action(nix::sys::signal::Signal::SIGXFSZ, ignore);
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let inode = scene.inode();
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE, 4096, limit.1).unwrap();
    assert!(matches!(writer.declare(&flags(100)), Err(Error::System { .. })));
    let names: Vec<_> =
        fs::read_dir(scene.path().join(".kept")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!((names, scene.inode()), (vec!["board".into()], inode));
    assert_eq!(Board::open(scene.path()).read("flag-1").source, Source::Proven);
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE, limit.0, limit.1).unwrap();
    writer.declare(&flags(100)).unwrap();
    assert_eq!(Board::open(scene.path()).read("flag-99").source, Source::Proven);
}

#[allow(unsafe_code)]
fn signal_action(signal: nix::sys::signal::Signal, handler: nix::sys::signal::SigHandler) {
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { nix::sys::signal::signal(signal, handler) }.unwrap();
}

// --- B4: several flags at once, and waiting -------------------------------------------------------------

#[test]
fn b4_a_snapshot_has_all_of_a_change_or_nothing() {
    let scene = Scene::new();
    let names: Vec<String> = (0..16).map(|i| format!("flag-{i}")).collect();
    let entries: Vec<_> = names.iter().map(|name| entry(name, Value::Share(1))).collect();
    let mut writer = scene.writer(&entries);
    let board = Board::open(scene.path());
    let stop = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let (stop, names) = (stop.clone(), names.clone());
        move || {
            let mut seen = std::collections::HashSet::new();
            let mut newest = 0;
            while !stop.load(Ordering::Relaxed) || seen.len() < 2 {
                let snapshot = board.snapshot();
                if !snapshot.consistent {
                    continue;
                }
                let values: std::collections::HashSet<_> =
                    names.iter().map(|name| snapshot.read(name).truth.unwrap().value).collect();
                assert_eq!(values.len(), 1, "half of a change in {snapshot:?}");
                let Some(Value::Share(share)) = values.into_iter().next() else { panic!("no share") };
                assert!(share >= newest, "back in time");
                newest = share;
                seen.insert(share);
            }
            seen.len()
        }
    });
    for share in 2..4000 {
        let changes: Vec<_> = names.iter().map(|name| (name.as_str(), Value::Share(share).into())).collect();
        writer.set_all(&changes).unwrap();
        std::thread::yield_now();
    }
    stop.store(true, Ordering::Relaxed);
    assert!(reader.join().unwrap() > 1);
}

#[test]
fn b4_a_change_that_a_killed_writer_left_open_is_no_consistent_snapshot_until_the_next_writer_closes_it() {
    let scene = Scene::new();
    drop(scene.writer(&flags(3)));
    let (words, header) = (scene.words(), scene.header());
    let commit = mainstay::board::layout::COMMIT;
    words.store(commit, header.seal(commit).close(7));
    let board = Board::open(scene.path());
    let snapshot = board.snapshot();
    assert!(!snapshot.consistent);
    assert_eq!(snapshot.flags().count(), 3, "each value is right by itself");
    scene.writer(&flags(3));
    assert!(board.snapshot().consistent);
    assert!(header.seal(commit).open(words.load(commit)).is_some_and(|c| c > 7 && c % 2 == 0));
}

#[test]
fn a_waiter_wakes_at_a_change_and_at_a_successor() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let board = Board::open(scene.path());
    let (ready, when) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let mut seen = board.generation().unwrap();
        for _ in 0..3 {
            ready.send(seen).unwrap();
            seen = board.wait(seen, GENEROUS).expect("woken before the watchdog");
        }
        seen
    });
    assert_eq!(when.recv().unwrap(), 0);
    writer.set("flag-0", Value::On.into()).unwrap();
    assert_eq!(when.recv().unwrap(), 1);
    writer.declare(&flags(500)).unwrap(); // A successor.
    assert_eq!(when.recv().unwrap(), 2);
    fs::remove_file(scene.board()).unwrap();
    fs::remove_file(scene.kept()).unwrap();
    writer.set("flag-0", Value::Off.into()).unwrap();
    assert_eq!(waiter.join().unwrap(), 3);
    assert_eq!(Board::open(&scene.path().join("nowhere")).wait(0, Duration::from_millis(5)), None);
    assert_eq!(Board::open(scene.path()).wait(3, Duration::ZERO), None);
}

#[test]
fn every_change_wakes_who_sleeps_on_the_futex_word() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let words = scene.words();
    let (ready, when) = mpsc::channel();
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(move || {
            for _ in 0..50 {
                let half = words.half(FUTEX);
                let (value, start) = (half.load(Ordering::Acquire), mainstay::sys::clock::now());
                ready.send(()).unwrap();
                while half.load(Ordering::Acquire) == value {
                    mainstay::sys::futex::wait(half, value, GENEROUS);
                    assert!(mainstay::sys::clock::now().since(start) < GENEROUS, "nobody woke it");
                }
            }
        });
        for share in 1..=50 {
            when.recv().unwrap();
            // Until it sleeps, or nearly: a change before that needs no wake, and shows nothing.
            (0..1000).for_each(|_| std::thread::yield_now());
            writer.set("flag-0", Value::Share(share).into()).unwrap();
        }
        sleeper.join().unwrap();
    });
}

// --- B7: who is asked when there is no board ------------------------------------------------------------

struct Told {
    asked: Arc<AtomicU32>,
    keeper: Option<Answer>,
    journal: Option<Answer>,
}

impl Fallback for Told {
    fn ask(&self, _: &str, limit: Duration) -> Option<Answer> {
        assert_eq!(limit, Duration::from_millis(100));
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.keeper.clone()
    }

    fn recall(&self, _: &str) -> Option<Answer> {
        self.asked.fetch_add(1000, Ordering::Relaxed);
        self.journal.clone()
    }
}

#[test]
fn b7_without_a_board_the_keeper_is_asked_then_the_journal_and_then_the_default_holds() {
    let known = |value: Value| Some(Answer::known(value.into(), String::new()));
    let on = Some(Value::On.into());
    let table = [
        (known(Value::On), known(Value::Off), 1, on, Source::Asked, Source::Stale),
        (None, known(Value::On), 1001, on, Source::Asked, Source::Stale),
        (Some(Answer::Unknown), known(Value::On), 1, None, Source::Unknown, Source::Unknown),
        (None, None, 1001, None, Source::Lost, Source::Lost),
    ];
    for (keeper, journal, calls, truth, first, second) in table {
        let scene = Scene::new();
        let asked = Arc::new(AtomicU32::new(0));
        let told = Told { asked: asked.clone(), keeper, journal };
        let board = Board::open_with(scene.path(), Box::new(told));
        let flag = board.flag("flag-1");
        let reading = flag.read();
        assert_eq!((reading.truth, reading.source, asked.load(Ordering::Relaxed)), (truth, first, calls));
        let reading = flag.read();
        assert_eq!((reading.truth, reading.source), (truth, second));
        let _writer = scene.writer(&flags(3));
        comes_to("the board", || flag.read().source == Source::Proven);
        assert_eq!(flag.read().truth, Some(Value::Share(1001).into()), "the board is better");
    }
}

#[test]
fn b7_nobody_is_asked_while_a_value_was_proven() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let asked = Arc::new(AtomicU32::new(0));
    let told = Told { asked: asked.clone(), keeper: Some(Answer::Unknown), journal: None };
    let board = Board::open_with(scene.path(), Box::new(told));
    let flag = board.flag("flag-1");
    flag.read();
    let words = scene.words();
    words.store(STATE, 0);
    assert_eq!(flag.read().source, Source::Proven, "a word that is as it was needs no state");
    words.store(Layout::of(64).word(1), 0);
    assert_eq!(flag.read().source, Source::Stale);
    writer.scrub().unwrap();
    assert_eq!((flag.read().source, asked.load(Ordering::Relaxed)), (Source::Proven, 0));
}

#[test]
fn handles_are_shared_by_threads_and_stay_good_through_successors() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let board = Board::open(scene.path());
    let flag = Arc::new(board.flag("flag-1"));
    shared(&*flag);
    shared(&board);
    // Before the first fault: what was never read is not known.
    assert_eq!(flag.read().source, Source::Proven);
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (flag, stop) = (flag.clone(), stop.clone());
            std::thread::spawn(move || {
                let mut newest = 0;
                while !stop.load(Ordering::Relaxed) {
                    let Some(Truth { value: Value::Share(share), .. }) = flag.read().truth else {
                        panic!("lost")
                    };
                    assert!(share >= newest, "{share} after {newest}");
                    newest = share;
                }
                newest
            })
        })
        .collect();
    for round in 0..200 {
        let mut all = flags(if round % 2 == 0 { 100 } else { 20 });
        all[1].setting = Value::Share(2000 + round).into();
        all[2].salt = format!("{round}"); // Each round a new board.
        writer.declare(&all).unwrap();
        if round % 10 == 0 {
            File::create(scene.board()).unwrap(); // Truncated under the readers.
            writer.look().unwrap();
        }
    }
    comes_to("the last value", || flag.read().truth == Some(Value::Share(2199).into()));
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.join().unwrap() >= 1001);
    }
}

#[test]
fn b2_random_words_are_not_taken_for_values() {
    let scene = Scene::new();
    let _writer = scene.writer(&flags(1));
    let header = scene.header();
    let layout = Layout::of(64);
    let seals: Vec<Seal> = (0..64).map(|slot| header.seal(layout.word(slot))).collect();
    let mut random = header.incarnation;
    let taken = (0..10_000_000usize)
        .filter(|n| {
            random = mix(random.wrapping_add(0x9e37_79b9_7f4a_7c15));
            seals[n % 64].open(random).and_then(Body::from_bits).is_some()
        })
        .count();
    // 10^7 / 2^32, and most bodies are no flag's: expected 0.0001.
    assert!(taken < 2, "{taken} of 10,000,000");
}
