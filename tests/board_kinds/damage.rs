//! What is damaged is lost or mended, and never another value.

use crate::scene::{Scene, all_kinds, instances};
use mainstay::board::layout::FREE;
use mainstay::board::{Repair, Source, Writer};
use mainstay::flags::{Value, mix};

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
