//! B2, B3: damaged words, index and names: right or lost, never wrong.

use super::*;

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

#[test]
fn b2_a_board_that_is_longer_or_shorter_than_its_header_says_is_no_board() {
    let scene = Scene::new();
    let writer = scene.writer(&flags(8));
    // Nobody is left who would heal it.
    drop(writer);
    let bytes = fs::metadata(scene.board()).unwrap().len();
    for length in [bytes + 1, bytes + 4096, bytes - 4096, bytes - 1] {
        let file = fs::OpenOptions::new().write(true).open(scene.board()).unwrap();
        file.set_len(length).unwrap();
        let board = Board::open(scene.path());
        assert!(matches!(board.read("flag-1").source, Source::Lost | Source::Unknown), "{length}");
        let trouble = board.trouble().unwrap().to_string();
        assert!(trouble.contains("its length is not what its header says"), "{length}: {trouble}");
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
