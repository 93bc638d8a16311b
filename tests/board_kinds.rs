//! Every kind of flag on one board: what is set is read, by handle, by name and in a snapshot; what is damaged is lost or
//! stale, and never another value.

use mainstay::board::layout::{FREE, Header};
use mainstay::board::{
    Answer, Board, Entry, Fallback, Known, Options, Repair, Setting, Sighting, Source, Witness, Writer,
};
use mainstay::flags::{Packed, Prefix, Truth, Unit, Value, mix};
use mainstay::sys::mapping::WriteMapping;
use mainstay::sys::shared_file;
use mainstay::time::Duration;
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

struct Scene(TempDir);

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        Scene(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn writer(&self, entries: &[Entry]) -> Writer {
        Writer::create(self.path(), entries, 0).unwrap().0
    }

    fn reads_as(&self, instance: &str) -> Board {
        let instance = (!instance.is_empty()).then(|| instance.to_owned());
        Board::open_by(self.path(), Options { instance, ..Options::default() })
    }

    fn words(&self) -> WriteMapping {
        let file = OpenOptions::new().read(true).write(true).open(self.path().join("board")).unwrap();
        WriteMapping::new(file.as_fd(), file.metadata().unwrap().len() as usize).unwrap()
    }

    fn header(&self) -> Header {
        let file = File::open(self.path().join("board")).unwrap();
        Header::from_cells(&shared_file::read_words(&file, 0).unwrap()).unwrap()
    }
}

fn text(text: &str) -> Value {
    Value::Text(Packed::new(text).unwrap())
}

fn instances(share: u32, named: &[&str]) -> Setting {
    let named = named.iter().map(|name| (*name).to_owned()).collect();
    Setting { truth: Value::Share(share).into(), instances: Some(named) }
}

fn disabled(value: Value) -> Setting {
    Truth { value, disabled: true }.into()
}

/// One of each kind.
fn all_kinds() -> Vec<Entry> {
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let (allow, deny) = (ids(&["user:allowed", "user:both"]), ids(&["user:denied", "user:both"]));
    vec![
        Entry::new("on", Value::On),
        Entry::new("off", Value::Off),
        Entry::new("share", Value::Share(12_500)),
        Entry { allow: allow.clone(), deny: deny.clone(), ..Entry::new("listed", Value::Share(1)) },
        Entry { allow, deny, ..Entry::new("listed-on", Value::On) },
        Entry {
            stages: ids(&["registry", "telemetry", "enforce"]),
            ..Entry::new("cleanup", Value::Stage(2))
        },
        Entry::new("limit", Value::Int(-4711)),
        Entry::new("level", text("info")),
        Entry::new("some", instances(50_000, &["web#1", "web#3"])),
        Entry::new("not-now", disabled(Value::Int(9))),
    ]
}

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

#[test]
fn b1_records_are_taken_over_in_place_and_what_differs_is_mended() {
    let scene = Scene::new();
    drop(scene.writer(&all_kinds()));
    let board = scene.reads_as("web#1");
    let handles: Vec<_> = all_kinds().iter().map(|entry| board.flag(&entry.name)).collect();
    let before: Vec<_> = handles.iter().map(|flag| flag.read()).collect();
    let incarnation = scene.header().incarnation;
    let (writer, repairs) = Writer::create(scene.path(), &all_kinds(), 0).unwrap();
    assert_eq!((repairs, scene.header().incarnation), (vec![], incarnation), "nothing differs");
    drop(writer);
    // Another value: a new record behind the old ones.
    let mut other = all_kinds();
    other[6].setting = Value::Int(12).into();
    other[8].setting = instances(50_000, &["web#2"]);
    let (mut writer, repairs) = Writer::create(scene.path(), &other, 0).unwrap();
    assert!(matches!(repairs[..], [Repair::Cells(_)]), "{repairs:?}");
    assert_eq!(scene.header().incarnation, incarnation);
    assert_eq!((handles[6].int(), handles[8].is_on()), (Some(12), false));
    assert_eq!(handles[7].read(), before[7]);
    assert_eq!(writer.scrub().unwrap(), []);
    drop(writer);
    // Other lists, other stages: a new board.
    for change in [3, 5] {
        let mut other = other.clone();
        other[change].deny.push("more".into());
        other[change].stages.extend((change == 5).then(|| "last".to_owned()));
        let incarnation = scene.header().incarnation;
        drop(Writer::create(scene.path(), &other, 0).unwrap());
        assert_ne!(scene.header().incarnation, incarnation, "{change}");
        assert!(!handles[3].is_on_for("more"));
        assert_eq!(handles[6].int(), Some(12));
    }
}

#[test]
fn b1_an_arena_whose_end_is_not_known_makes_a_new_board() {
    for wrong in [0, u64::MAX, 17] {
        let scene = Scene::new();
        drop(scene.writer(&all_kinds()));
        let flag = scene.reads_as("").flag("limit");
        assert_eq!(flag.int(), Some(-4711));
        let incarnation = scene.header().incarnation;
        let words = scene.words();
        words.store(FREE, wrong);
        let (_, repairs) = Writer::create(scene.path(), &all_kinds(), 0).unwrap();
        assert!(matches!(repairs[..], [Repair::Replaced(_)]), "{repairs:?}");
        assert_ne!(scene.header().incarnation, incarnation);
        assert_eq!(flag.int(), Some(-4711));
    }
}

/// Everything that says that it is proven is right.
fn judge(scene: &Scene, handles: &[mainstay::board::Flag], what: &str) -> usize {
    let board = scene.reads_as("web#1");
    let snapshot = board.snapshot();
    let mut lost = 0;
    for (entry, old) in all_kinds().iter().zip(handles) {
        let truth = Some(entry.setting.truth);
        let reading = old.read();
        assert!(
            matches!(reading.source, Source::Proven | Source::Stale),
            "{what}: {} {reading:?}",
            entry.name
        );
        assert_eq!(reading.truth, truth, "{what}: {} by an old handle", entry.name);
        for reading in [board.read(&entry.name), board.flag(&entry.name).read()] {
            match reading.source {
                Source::Proven => assert_eq!(reading.truth, truth, "{what}: {}", entry.name),
                Source::Lost => lost += 1,
                other => panic!("{what}: {} is {other:?}", entry.name),
            }
        }
        for (id, listed, listed_on) in
            [("user:allowed", true, true), ("user:denied", false, false), ("none", false, true)]
        {
            let right = match entry.name.as_str() {
                "listed" => listed,
                "listed-on" => listed_on,
                _ => continue,
            };
            let (reading, opinion) = board.read_for(&entry.name, Some(id));
            assert!(opinion.is_none_or(|on| on == right), "{what}: {} for {id}", entry.name);
            lost += usize::from(reading.source == Source::Lost);
            assert!(board.flag(&entry.name).read_for(Some(id)).1.is_none_or(|on| on == right), "{what}");
            if snapshot.consistent {
                assert_eq!(snapshot.opinion(&entry.name, Some(id)), Some(right), "{what}");
            }
        }
        if snapshot.consistent {
            assert_eq!(snapshot.read(&entry.name).truth, truth, "{what}: snapshot of {}", entry.name);
        }
    }
    let some = [false, true].map(|default| board.is_on("some", default));
    assert!(
        some == [true, true] || some == [false, true],
        "{what}: {some:?} is on for web#1, or the default"
    );
    if let Some((stage, name)) = board.stage("cleanup") {
        assert_eq!((stage, name.text().unwrap().as_str()), (2, "telemetry"), "{what}");
    }
    lost
}

#[test]
fn b2_every_damaged_cell_reads_as_right_or_lost_and_old_handles_keep_their_values() {
    let scene = Scene::new();
    let mut writer = scene.writer(&all_kinds());
    let board = scene.reads_as("web#1");
    let handles: Vec<_> = all_kinds().iter().map(|entry| board.flag(&entry.name)).collect();
    assert_eq!(judge(&scene, &handles, "nothing"), 0);
    let words = scene.words();
    let layout = scene.header().layout;
    let free = scene.header().seal(FREE).open(words.load(FREE)).unwrap() as usize;
    let names = layout.name(0)..layout.name(all_kinds().len());
    let mut random = 3;
    let mut lost = 0;
    for cell in (layout.arena..free).chain(names.step_by(3)).chain(layout.word(0)..layout.word(10)) {
        let right = words.load(cell);
        random = mix(random + 1);
        for wrong in
            [0, u64::MAX, right ^ 1 << (random % 64), right.rotate_left(32), words.load(cell - 1), random]
        {
            words.store(cell, wrong);
            lost += judge(&scene, &handles, &format!("cell {cell}: {wrong:#x} for {right:#x}"));
        }
        words.store(cell, !right);
        let repairs = writer.scrub().unwrap();
        assert_eq!(repairs, [Repair::Cells(1)], "cell {cell}");
        assert_eq!(words.load(cell), right);
    }
    assert!(lost > 500, "the damage did something: {lost}");
    assert_eq!(judge(&scene, &handles, "mended"), 0);
}

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

#[test]
fn b5_numbers_are_set_beyond_the_arena_and_no_reader_notices() {
    let scene = Scene::new();
    let mut entries: Vec<Entry> = (0..20).map(|n| Entry::new(&format!("int-{n}"), Value::Int(0))).collect();
    entries.extend((0..20).map(|n| Entry::new(&format!("text-{n}"), text("0"))));
    let mut writer = scene.writer(&entries);
    let board = scene.reads_as("");
    let first = scene.header();
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|way| {
            let (stop, board) = (stop.clone(), board.clone());
            std::thread::spawn(move || {
                let ints: Vec<_> = (0..20).map(|n| board.flag(&format!("int-{n}"))).collect();
                let texts: Vec<_> = (0..20).map(|n| board.flag(&format!("text-{n}"))).collect();
                let (mut newest, mut newest_text, mut rounds) = (vec![0; 20], vec![0; 20], 0u64);
                // By name a read may be lost while the board is exchanged, also at the end.
                while !stop.load(Ordering::Relaxed) || rounds < 10 || newest != vec![1500; 20] {
                    rounds += 1;
                    for n in 0..20 {
                        let (int, text) = if way == 0 {
                            (ints[n].int(), texts[n].text())
                        } else {
                            (board.int(&format!("int-{n}")), board.text(&format!("text-{n}")))
                        };
                        // By name nothing is remembered.
                        let Some(int) = int.or((way == 1).then_some(newest[n])) else {
                            panic!("int {n} is lost")
                        };
                        assert!(int >= newest[n], "{int} after {}", newest[n]);
                        newest[n] = int;
                        if let Some(text) = text {
                            let text: i64 = text.text().unwrap().trim_end_matches('x').parse().unwrap();
                            assert!(text >= newest_text[n], "{text} after {}", newest_text[n]);
                            newest_text[n] = text;
                        } else {
                            assert_eq!(way, 1, "text {n} is lost");
                        }
                    }
                }
                newest
            })
        })
        .collect();
    for round in 1..=1500 {
        let changes: Vec<(String, Setting)> = (0..20)
            .flat_map(|n| {
                let long = format!("{round}{}", "x".repeat((round as usize * 7 + n) % 100));
                [(format!("int-{n}"), Value::Int(round).into()), (format!("text-{n}"), text(&long).into())]
            })
            .collect();
        let changes: Vec<(&str, Setting)> = changes.iter().map(|(n, s)| (n.as_str(), s.clone())).collect();
        assert_eq!(writer.set_all(&changes).unwrap(), round as u64);
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert_eq!(reader.join().unwrap(), vec![1500; 20]);
    }
    assert_ne!(scene.header().incarnation, first.incarnation, "the arena was full, again and again");
    assert_eq!(scene.header().layout, first.layout, "what is no longer said takes no room");
}

#[test]
fn ten_thousand_flags_of_every_kind_grow_beyond_their_board_while_they_are_read() {
    let scene = Scene::new();
    let setting = |n: usize, round: usize| -> Setting {
        match n % 5 {
            0 => (if round.is_multiple_of(2) { Value::On } else { Value::Off }).into(),
            1 => Value::Share(1 + round as u32).into(),
            2 => Value::Int(round as i64).into(),
            3 => text(&format!("{round}")).into(),
            _ => instances(1 + round as u32, if round.is_multiple_of(2) { &["web#1"] } else { &[] }),
        }
    };
    let entry = |n: usize, round: usize| {
        let deny = if n % 50 == 1 { vec!["user:denied".to_owned()] } else { Vec::new() };
        Entry { deny, ..Entry::new(&format!("flag-{n}"), setting(n, round)) }
    };
    let entries = |flags: usize, round: usize| (0..flags).map(|n| entry(n, round)).collect::<Vec<_>>();
    let mut writer = scene.writer(&entries(100, 0));
    let board = scene.reads_as("web#1");
    let (round, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let reader = std::thread::spawn({
        let (round, stop, board) = (round.clone(), stop.clone(), board.clone());
        move || {
            let handles: Vec<_> = (0..100).map(|n| board.flag(&format!("flag-{n}"))).collect();
            let mut newest = vec![0i64; 100];
            let mut reads = 0u64;
            while !stop.load(Ordering::Relaxed) || reads < 200 {
                for (n, flag) in handles.iter().enumerate() {
                    let Some(truth) = flag.read().truth else { panic!("flag {n} is lost") };
                    let most = i64::from(round.load(Ordering::SeqCst));
                    let is = match truth.value {
                        Value::Share(share) => i64::from(share) - 1,
                        Value::Int(number) => number,
                        Value::Text(text) => text.text().unwrap().parse().unwrap(),
                        Value::On | Value::Off => continue,
                        Value::Stage(_) => panic!("flag {n} was never a stage"),
                    };
                    // The round is announced before it is set.
                    assert!((newest[n]..=most).contains(&is), "flag {n}: {is} after {} of {most}", newest[n]);
                    newest[n] = is;
                    assert!(!flag.is_on_for("user:denied") || n % 50 != 1, "flag {n}");
                    reads += 1;
                }
            }
        }
    });
    let mut layouts = std::collections::HashSet::new();
    for (r, flags) in [(1, 200), (2, 1000), (3, 3000), (4, 10_000), (5, 10_000), (6, 10_000)] {
        round.store(r as u32, Ordering::SeqCst);
        writer.declare(&entries(flags, r)).unwrap();
        layouts.insert(scene.header().layout.slots);
        // The reader may be exchanging the mapping just now: then a copy has gaps, and says so.
        let snapshot = std::iter::repeat_with(|| board.snapshot())
            .inspect(|_| std::thread::yield_now())
            .take(10_000)
            .find(|snapshot| snapshot.consistent)
            .expect("a board at rest is copied whole");
        assert_eq!(snapshot.flags().count(), flags);
        for n in (0..flags).step_by(37).chain([flags - 1]) {
            let truth = Some(setting(n, r).truth);
            assert_eq!(
                (board.read(&format!("flag-{n}")).truth, snapshot.read(&format!("flag-{n}")).truth),
                (truth, truth)
            );
        }
    }
    stop.store(true, Ordering::Relaxed);
    reader.join().unwrap();
    assert!(layouts.len() >= 4, "it grew: {layouts:?}");
    let (mut writer, repairs) = Writer::create(scene.path(), &entries(10_000, 6), 0).unwrap();
    assert_eq!((repairs, writer.scrub().unwrap()), (vec![], vec![]));
    assert_eq!(board.read("flag-10000").source, Source::Unknown);
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
