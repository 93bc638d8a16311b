//! Killed at every moment: no byte is lost, none doubled.

use crate::logger_rig::Rig;
use crate::made::{Babble, death};
use crate::stepper::{Stepper, Stopped};
use mainstay::crash;
use mainstay::ipc::builtin::{Death, FromLogger};
use mainstay::services::logger::line::Which;
use std::collections::BTreeMap;
use std::io::Write;

#[test]
fn what_services_write_is_in_their_logs_byte_for_byte() {
    let mut rig = Rig::new();
    let (web, worker) = (rig.web(), rig.source("worker", "worker#1", 1 << 20, 5));
    let logger = rig.start();
    let binary: Vec<u8> = (0..=255).collect();
    rig.write(web, Which::Out, b"one line\npart");
    rig.write(web, Which::Err, b"interrupts\r\n\n");
    rig.write(web, Which::Out, b"ial line\n");
    rig.write(worker, Which::Out, &binary);
    rig.write(worker, Which::Err, b"no newline at the end");
    logger.finish();
    let web = rig.bytes("web");
    assert_eq!(web[&("web".into(), Which::Out)], b"one line\npartial line\n");
    assert_eq!(web[&("web".into(), Which::Err)], b"interrupts\r\n\n");
    let worker = rig.bytes("worker");
    let mut out = worker[&("worker#1".into(), Which::Out)].clone();
    if out.len() > binary.len() {
        out.pop(); // the newline that ended it for the sake of the other stream
    }
    assert_eq!(out, binary);
    assert_eq!(worker[&("worker#1".into(), Which::Err)], b"no newline at the end");
}

#[test]
fn hundreds_of_kills_under_load_lose_nothing_and_double_nothing_also_while_rotating() {
    let kills = std::env::var("MAINSTAY_TEST_KILLS").map_or(300, |kills| kills.parse().unwrap());
    let mut rig = Rig::new();
    for n in 1..=3 {
        rig.source("web", &format!("web#{n}"), 1 << 20, 1_000_000);
    }
    rig.source("worker", "worker", 100_000, 1_000_000);
    let mut expected = BTreeMap::new();
    let mut babble = Babble(0x9e37_79b9);
    std::thread::scope(|scope| {
        let mut permits = Vec::new();
        let mut writers = Vec::new();
        for source in &rig.sources {
            for which in Which::BOTH {
                let (permit, permitted) = std::sync::mpsc::channel::<u64>();
                permits.push(permit);
                let mut pipe = source.write[which as usize].try_clone().unwrap();
                let mut babble = Babble(babble.next() | 1);
                let key = (source.instance.clone(), which);
                writers.push(scope.spawn(move || {
                    let mut all = Vec::new();
                    for mut bytes in permitted {
                        while bytes > 0 {
                            let piece = babble.piece();
                            // Neither EPIPE nor EAGAIN may ever be seen, and it must come to its end.
                            pipe.write_all(&piece).unwrap();
                            bytes = bytes.saturating_sub(piece.len() as u64);
                            all.extend_from_slice(&piece);
                        }
                    }
                    pipe.write_all(b"\n").unwrap();
                    all.push(b'\n');
                    (key, all)
                }));
            }
        }
        for _ in 0..kills {
            let logger = rig.start();
            for permit in &permits {
                permit.send(babble.next() % 8_000).unwrap();
            }
            // Any moment will do: a number of looks at something that takes about a microsecond.
            for _ in 0..babble.next() % 8_000 {
                assert_eq!(mainstay::sys::pidfd::peek(&logger.pidfd).unwrap(), None, "it died by itself");
            }
            logger.kill();
            rig.forget_unread();
        }
        let logger = rig.start();
        drop(permits);
        for writer in writers {
            let (key, all) = writer.join().unwrap();
            expected.insert(key, all);
        }
        logger.finish();
    });
    let mut found = rig.bytes("web");
    found.append(&mut rig.bytes("worker"));
    for (key, expected) in &expected {
        let found = &found[key];
        let same = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
        assert!(
            found == expected,
            "{key:?} differs at byte {same} of {} and {}",
            expected.len(),
            found.len()
        );
    }
    assert!(rig.files("worker").len() > 10, "rotation was to be in it");
}

/// Two instances that share a log, in the middle of lines; one dies, is started again, and both write on.
/// A logger is killed after `first` system calls, its successor after `second`; the third ends the work.
/// False: there were not so many calls to make.
fn die_after(first: usize, second: Option<usize>) -> bool {
    die_torn(first, second, None).0
}

/// The same; if the first logger's last call wrote into the log, only `torn` bytes of that got there. Also says
/// how many bytes that call wrote.
fn die_torn(first: usize, second: Option<usize>, torn: Option<u64>) -> (bool, u64) {
    let mut rig = Rig::new();
    let (one, two) = (rig.source("web", "web#1", 300, 1000), rig.source("web", "web#2", 300, 1000));
    rig.sources[0].ready = Some("listening".into());
    rig.lives.extend([(one, 1), (two, 2)]);
    let logger = rig.start();
    rig.write(one, Which::Out, b"first\nunfini");
    rig.write(two, Which::Err, b"and this one, t");
    logger.finish();

    let mut expected = BTreeMap::new();
    rig.write(one, Which::Out, b"shed\nlisten");
    rig.write(one, Which::Err, b"last words\n");
    rig.write(two, Which::Out, &[&[0xff; 700][..], b"\n\n"].concat());
    rig.write(two, Which::Err, b"oo\nagain unf");
    rig.deaths = vec![Death { instance: "web#1".into(), ..death(one, 1, 7, 1) }];
    rig.lives.insert(one, 3);
    let (mut more, mut told, mut shown, mut wrote) = (true, Vec::new(), Vec::new(), 0);
    let length = |rig: &Rig| std::fs::metadata(rig.logs.join("web.log")).map_or(0, |log| log.len());
    for calls in std::iter::once(first).chain(second) {
        let logger = rig.spawn();
        let stepper = Stepper::seize(logger.pid);
        assert_eq!(stepper.step(usize::MAX), Stopped::Idle);
        rig.tell();
        more &= stepper.step(calls - 1) == Stopped::Called;
        let before = length(&rig);
        more = more && stepper.step(1) == Stopped::Called;
        logger.kill();
        if shown.is_empty() {
            wrote = length(&rig).saturating_sub(before);
            if let Some(torn) = torn.filter(|_| wrote > 0) {
                let log = std::fs::File::options().write(true).open(rig.logs.join("web.log")).unwrap();
                log.set_len(before + torn).unwrap();
            }
        }
        // Somebody may have read what stands there now: it is never taken back.
        shown.push(rig.whole_lines("web"));
        told.extend(std::iter::from_fn(|| rig.received()));
        if told.contains(&FromLogger::Recorded { seq: 1, unwritten: 0 }) {
            rig.deaths.clear(); // acknowledged: it is never sent again
        }
        if calls % 2 == 0 {
            rig.forget_unread();
        }
    }
    rig.write(one, Which::Out, b"listening\n");
    rig.write(two, Which::Err, b"inished\n");
    let logger = rig.start();
    logger.finish();

    let lines = rig.whole_lines("web");
    for shown in shown {
        assert!(
            lines.starts_with(&shown),
            "killed after {first} and {second:?} calls: lines were taken back"
        );
    }
    // The line that the first life left unfinished is ended by its death's mark, if it was there in time.
    expected.insert(("web#1".to_owned(), Which::Err), b"last words\n".to_vec());
    expected.insert(("web#2".to_owned(), Which::Out), [&[0xff; 700][..], b"\n\n"].concat());
    expected.insert(("web#2".to_owned(), Which::Err), b"and this one, too\nagain unfinished\n".to_vec());
    let mut found = rig.bytes("web");
    let key = ("web#1".to_owned(), Which::Out);
    let out = String::from_utf8(found.remove(&key).unwrap()).unwrap();
    assert!(
        ["first\nunfinished\nlisten\nlistening\n", "first\nunfinished\nlistenlistening\n"].contains(&&*out),
        "{out}"
    );
    assert_eq!(found, expected, "killed after {first} and {second:?} calls");
    assert_eq!(
        rig.marks("web", "web#1"),
        ["life 1", "end 1: killed by SIGKILL after 23.6 s (c-7)", "life 3"]
    );
    assert_eq!(rig.marks("web", "web#2"), ["life 2"]);
    let records = crash::read(&rig.state).unwrap().records;
    assert_eq!(records.len(), 1);
    let words: Vec<_> = records[0].words.iter().map(|word| word.text.as_str()).collect();
    assert!(
        words.starts_with(&["first", "unfinished"]) && words.contains(&"last words"),
        "{words:?}, killed after {first} and {second:?} calls"
    );
    told.extend(std::iter::from_fn(|| rig.received()));
    assert!(
        told.contains(&FromLogger::ReadyLine { child: one, incarnation: 3 }),
        "{told:?} killed after {first} and {second:?}"
    );
    assert!(told.contains(&FromLogger::Recorded { seq: 1, unwritten: 0 }), "{told:?}");
    assert!(!told.iter().any(|message| matches!(message, FromLogger::Trouble { .. })), "{told:?}");
    (more, wrote)
}

#[test]
fn a_kill_that_tears_a_write_loses_nothing_and_takes_no_whole_line_back() {
    let mut tears = 0;
    for first in 1.. {
        let (more, wrote) = die_torn(first, None, None);
        for torn in (0..wrote).step_by(7) {
            tears += u32::from(die_torn(first, None, Some(torn)).1 > 0);
        }
        if !more {
            break;
        }
    }
    assert!(tears > 100, "only {tears}");
}

#[test]
fn a_kill_after_any_system_call_loses_nothing_and_doubles_nothing() {
    let mut points = 0;
    while die_after(points + 1, None) {
        points += 1;
    }
    assert!(points > 100, "only {points}");
}

#[test]
fn a_kill_while_the_last_kill_is_mended_loses_nothing_either() {
    let pairs = std::env::var("MAINSTAY_TEST_PAIRS").map_or(200, |pairs| pairs.parse().unwrap());
    let mut babble = Babble(0xdead_beef);
    for _ in 0..pairs {
        die_after(1 + babble.next() as usize % 300, Some(1 + babble.next() as usize % 200));
    }
}
