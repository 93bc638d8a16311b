//! Boards that become too small while they are read.

use crate::scene::{Scene, instances, text};
use mainstay::board::{Entry, Setting, Source, Writer};
use mainstay::flags::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

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
