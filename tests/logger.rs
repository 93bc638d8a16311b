//! The logger as a process: killed at every moment, and what it wrote compared byte by byte with what
//! services wrote.

#![allow(clippy::unwrap_used)]

#[path = "support/disk.rs"]
mod disk;
#[path = "support/logger_rig.rs"]
mod logger_rig;
#[path = "support/stepper.rs"]
mod stepper;

use logger_rig::{Rig, WATCHDOG, await_empty, await_no_reader, await_readable};
use mainstay::cli::logs;
use mainstay::cli::output::{Output, Style};
use mainstay::crash;
use mainstay::ipc::builtin::{Death, FromLogger, ToLogger};
use mainstay::services::logger::line::Which;
use mainstay::supervisor::Cause;
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::os::fd::AsFd;
use stepper::{Stepper, Stopped};

/// Bytes that follow from `seed`: lines of every length, binary, some very long.
struct Babble(u64);

impl Babble {
    fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn piece(&mut self) -> Vec<u8> {
        let length = match self.next() % 100 {
            0 => 20_000 + self.next() % 90_000,
            1..10 => 4096,
            10..40 => 1 + self.next() % 4,
            _ => 1 + self.next() % 200,
        };
        let newline = 20 + self.next() % 100;
        (0..length)
            .map(|_| match self.next() {
                n if n % newline == 0 => b'\n',
                n => (n >> 8) as u8,
            })
            .collect()
    }
}

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

#[test]
fn a_large_write_behind_an_unfinished_line_does_not_stop_its_service() {
    // Linux wakes an edge-triggered reader only when the pipe was empty before: what is left in it would
    // have this writer sleep for good.
    let mut rig = Rig::new();
    let web = rig.web();
    let logger = rig.start();
    rig.write(web, Which::Out, b"a prompt: ");
    let large = [vec![b'x'; 1 << 20], b"\n".to_vec()].concat();
    // Only when it was taken is it sure that the next write meets a logger that waits.
    await_empty(&rig, web, Which::Out);
    let mut pipe = rig.sources[0].write[0].try_clone().unwrap();
    let (done, finished) = std::sync::mpsc::channel();
    let writer = std::thread::spawn({
        let large = large.clone();
        move || {
            pipe.write_all(&large).unwrap();
            done.send(()).unwrap();
        }
    });
    finished.recv_timeout(WATCHDOG).expect("the service is stuck");
    writer.join().unwrap();
    logger.finish();
    assert_eq!(rig.bytes("web")[&("web".into(), Which::Out)], [&b"a prompt: "[..], &large].concat());
}

fn death(child: u32, seq: u64, crash: u64, incarnation: u64) -> Death {
    Death {
        seq,
        crash,
        child,
        service: "web".into(),
        instance: "web".into(),
        incarnation,
        pid: 4101,
        signal: Some(9),
        lived_ns: 23_600_000_000,
        restarts: 1,
        restarts_max: 5,
        ..Death::default()
    }
}

#[test]
fn a_death_is_acknowledged_when_its_record_is_complete_last_words_included() {
    let mut rig = Rig::new();
    let web = rig.web();
    let logger = rig.start();
    for life in 1..=50u64 {
        rig.send(&ToLogger::Life { child: web, incarnation: life, seam: false });
        rig.write(web, Which::Out, format!("hello from life {life}\n").as_bytes());
        rig.write(web, Which::Err, format!("last word of life {life}").as_bytes());
        rig.send(&ToLogger::Death(death(web, life, life, life)));
        assert_eq!(rig.receive(), FromLogger::Recorded { seq: life, unwritten: 0 });
        let records = crash::read(&rig.state).unwrap().records;
        let record = records.last().unwrap();
        assert_eq!((record.id.as_str(), record.cause.as_str()), (&*format!("c-{life}"), "killed by SIGKILL"));
        let words: Vec<_> = record.words.iter().map(|w| (w.stream.as_str(), w.text.as_str())).collect();
        let (hello, last) = (format!("hello from life {life}"), format!("last word of life {life}"));
        assert_eq!(words, [("out", &*hello), ("err", &*last)]);
    }
    logger.finish();
    let marks = rig.marks("web", "web");
    assert_eq!(marks.len(), 100);
    assert_eq!(marks[..2], ["life 1", "end 1: killed by SIGKILL after 23.6 s (c-1)"]);
}

#[test]
fn a_death_that_is_sent_again_is_recorded_and_marked_once() {
    let mut rig = Rig::new();
    let web = rig.web();
    rig.lives.insert(web, 8);
    rig.deaths = vec![death(web, 1, 7, 7)];
    for _ in 0..3 {
        let logger = rig.start();
        assert_eq!(rig.receive(), FromLogger::Recorded { seq: 1, unwritten: 0 });
        rig.send(&ToLogger::Death(death(web, 1, 7, 7)));
        assert_eq!(rig.receive(), FromLogger::Recorded { seq: 1, unwritten: 0 });
        logger.kill();
    }
    assert_eq!(crash::read(&rig.state).unwrap().records.len(), 1);
    let marks = rig.marks("web", "web");
    assert_eq!(marks, ["end 7: killed by SIGKILL after 23.6 s (c-7)", "life 8"]);
}

#[test]
fn hundreds_of_deaths_at_once_each_have_their_record_and_their_last_words() {
    let mut rig = Rig::new();
    for n in 0..400 {
        let name = format!("web#{n}");
        rig.source("web", &name, 10 << 20, 5);
        rig.write(n, Which::Err, format!("last word of {name}\n").as_bytes());
        let death = Death { instance: name, ..death(n, u64::from(n) + 1, u64::from(n) + 1, 1) };
        rig.deaths.push(death);
    }
    let logger = rig.spawn();
    std::thread::scope(|scope| {
        scope.spawn(|| rig.tell());
        loop {
            if rig.receive() == (FromLogger::Recorded { seq: 400, unwritten: 0 }) {
                break;
            }
        }
    });
    let records = crash::read(&rig.state).unwrap().records;
    assert_eq!(records.len(), 400);
    for record in records {
        assert_eq!(record.words.len(), 1);
        assert_eq!(record.words[0].text, format!("last word of {}", record.instance));
    }
    logger.finish();
}

#[test]
fn a_ready_line_is_found_however_it_comes_and_told_for_its_life_only() {
    let mut rig = Rig::new();
    let web = rig.web();
    rig.sources[0].ready = Some("listening on".into());
    let mut logger = rig.start();
    let told = |incarnation| FromLogger::ReadyLine { child: web, incarnation };
    // Before any life it is nobody's readiness.
    rig.write(web, Which::Out, b"listening on\n");
    await_empty(&rig, web, Which::Out);
    rig.send(&ToLogger::Life { child: web, incarnation: 1, seam: false });
    rig.write(web, Which::Out, b"not yet: listen");
    await_empty(&rig, web, Which::Out);
    rig.write(web, Which::Out, b"ing on :8080\nlistening on :8081\n");
    assert_eq!(rig.receive(), told(1));
    // Split, on stderr, with a logger that dies between both halves.
    rig.send(&ToLogger::Life { child: web, incarnation: 2, seam: false });
    rig.write(web, Which::Err, b"again listeni");
    await_empty(&rig, web, Which::Err);
    logger.kill();
    rig.lives.insert(web, 2);
    logger = rig.start();
    rig.write(web, Which::Err, b"ng on :8080");
    assert_eq!(rig.receive(), told(2));
    // Not across the end of a line.
    rig.send(&ToLogger::Life { child: web, incarnation: 3, seam: false });
    rig.write(web, Which::Out, b"listening\n on\n");
    rig.send(&ToLogger::Death(death(web, 1, 1, 3)));
    assert_eq!(rig.receive(), FromLogger::Recorded { seq: 1, unwritten: 0 });
    logger.kill();
    // A logger that comes too late to tell the lives apart does not lose the newer one's line.
    rig.deaths = vec![death(web, 2, 2, 4)];
    rig.lives.insert(web, 5);
    rig.write(web, Which::Out, b"listening on\n");
    logger = rig.start();
    assert_eq!(rig.receive(), told(5));
    assert_eq!(rig.receive(), FromLogger::Recorded { seq: 2, unwritten: 0 });
    rig.write(web, Which::Out, b"listening on\n");
    logger.finish();
    assert_eq!(rig.received(), None);
}

#[test]
fn a_life_is_known_before_its_bytes_are_taken_whenever_it_begins() {
    for calls in 0..40 {
        let mut rig = Rig::new();
        let web = rig.web();
        rig.sources[0].ready = Some("later".into());
        let logger = rig.spawn();
        let stepper = Stepper::seize(logger.pid);
        rig.tell();
        assert_eq!(stepper.step(usize::MAX), Stopped::Idle);
        rig.write(web, Which::Out, b"earlier\n");
        if calls > 0 && stepper.step(calls) == Stopped::Idle {
            break;
        }
        rig.send(&ToLogger::Life { child: web, incarnation: 1, seam: false });
        rig.write(web, Which::Out, b"later\n");
        assert_eq!(stepper.step(usize::MAX), Stopped::Idle);
        let told = rig.received();
        let log = String::from_utf8(rig.files("web").concat()).unwrap();
        assert!(log.find("--- life 1") < log.find("out later"), "{calls}: {log}");
        assert_eq!(told, Some(FromLogger::ReadyLine { child: web, incarnation: 1 }), "{calls}: {log}");
        stepper.release();
        logger.finish();
    }
}

#[test]
fn a_death_that_comes_while_bytes_are_looked_at_has_them_once() {
    for calls in 0..40 {
        let mut rig = Rig::new();
        let web = rig.web();
        let logger = rig.spawn();
        let stepper = Stepper::seize(logger.pid);
        rig.tell();
        assert_eq!(stepper.step(usize::MAX), Stopped::Idle);
        rig.write(web, Which::Out, b"last word\n");
        if calls > 0 && stepper.step(calls) == Stopped::Idle {
            break;
        }
        // Draining takes what was looked at: it must not be taken once more from memory.
        rig.send(&ToLogger::Death(death(web, 1, 1, 1)));
        assert_eq!(stepper.step(usize::MAX), Stopped::Idle);
        assert_eq!(rig.received(), Some(FromLogger::Recorded { seq: 1, unwritten: 0 }));
        assert_eq!(rig.bytes("web")[&("web".into(), Which::Out)], b"last word\n", "{calls}");
        stepper.release();
        logger.finish();
    }
}

#[test]
fn a_logger_that_is_told_to_end_ends_whenever_it_is_told() {
    let mut told = 0;
    loop {
        let mut rig = Rig::new();
        rig.web();
        let (logger, mut gate) = rig.spawn_behind_gate();
        let stepper = Stepper::seize(logger.pid);
        gate.write_all(b"\n").unwrap();
        let stopped = stepper.step(told);
        // While it is stopped, so that the signal comes exactly here.
        mainstay::sys::pidfd::signal(&logger.pidfd, libc::SIGTERM).unwrap();
        stepper.release();
        await_readable(logger.pidfd.as_fd(), "the end of a logger that was told to end");
        let cause = mainstay::sys::pidfd::peek(&logger.pidfd).unwrap().unwrap();
        let before_it_listens = matches!(cause, Cause::Signal(libc::SIGTERM, _));
        assert!(before_it_listens || cause == Cause::Code(0), "after {told} calls: {cause:?}");
        if stopped == Stopped::Idle {
            break;
        }
        told += 1;
    }
    assert!(told > 50, "only {told}");
}

#[test]
fn a_logger_that_must_not_read_yet_reads_nothing() {
    let mut rig = Rig::new();
    let web = rig.web();
    rig.sources[0].ready = Some("up".into());
    rig.write(web, Which::Out, b"up\n");
    let logger = rig.spawn();
    let stepper = Stepper::seize(logger.pid);
    rig.send(&ToLogger::Hello {
        foreground: false,
        width: 3,
        project: "shop".into(),
        seams: logger_rig::seams(),
    });
    rig.tell_stream(web);
    // It has seen both, and that the pipe has something.
    assert_eq!(stepper.step(usize::MAX), Stopped::Idle);
    stepper.release();
    rig.send(&ToLogger::Life { child: web, incarnation: 5, seam: false });
    rig.send(&ToLogger::Begin);
    assert_eq!(rig.receive(), FromLogger::ReadyLine { child: web, incarnation: 5 });
    logger.finish();
}

#[test]
fn who_follows_a_log_sees_every_line_once_across_rotations_and_deaths_of_the_logger() {
    let mut rig = Rig::new();
    // Small files, so that several rotations come between two looks; many, so that none is given up.
    let web = rig.source("web", "web", 3_000, 100_000);
    let logger = rig.start();
    rig.write(web, Which::Out, b"before\nunfinished ");
    logger.finish();
    let project = mainstay::paths::Project {
        name: "shop".into(),
        config: None,
        runtime: rig.state.clone(),
        state: rig.state.clone(),
        logs: rig.logs.clone(),
        chosen_by: mainstay::paths::ChosenBy::Project,
        searched: Vec::new(),
    };
    let (read, write) = std::io::pipe().unwrap();
    let written_to = write.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let arguments = logs::Logs { follow: true, patterns: vec!["web".into()], ..logs::Logs::default() };
        let mut output = Output::new(Style::PLAIN, true, write, std::io::sink());
        logs::run(&arguments, &project, &mut output).unwrap_err()
    });
    let mut lines = std::io::BufReader::new(read).lines().map(|line| {
        let object: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        object["text"].as_str().unwrap().to_owned()
    });
    assert_eq!(lines.next().unwrap(), "before");
    let mut number = 0;
    for round in 0..20 {
        let logger = rig.start();
        for _ in 0..200 {
            rig.write(web, Which::Out, format!("line {number}\n").as_bytes());
            number += 1;
        }
        match round % 2 {
            0 => logger.kill(),
            _ => logger.finish(),
        }
    }
    let logger = rig.start();
    let mut expected = 0;
    while expected < number {
        let line = lines.next().unwrap();
        assert_eq!(line.strip_prefix("unfinished ").unwrap_or(&line), format!("line {expected}"));
        expected += 1;
    }
    assert!(rig.files("web").len() > 20);
    // Nobody reads any more: it ends with the next line.
    drop(lines);
    await_no_reader(&written_to);
    rig.write(web, Which::Out, b"one more\n");
    assert_eq!(reader.join().unwrap().code().number(), 0);
    logger.finish();
}

#[test]
fn a_full_disk_stops_no_service_and_says_how_much_is_missing() {
    disk::with_small_disk("a_full_disk_stops_no_service_and_says_how_much_is_missing", 1 << 20, |disk| {
        let mut rig = Rig::on(&disk.join("logs"), &disk.join("state"));
        let web = rig.web();
        let filler = disk.join("filler");
        std::fs::write(&filler, vec![0; 900 << 10]).unwrap();
        let logger = rig.start();
        let line = [vec![b'x'; 999], b"\n".to_vec()].concat();
        for _ in 0..2000 {
            rig.write(web, Which::Out, &line);
        }
        let FromLogger::Trouble { message } = rig.receive() else { panic!() };
        assert!(message.contains("web.log") && message.contains("No space left on device"), "{message}");
        await_empty(&rig, web, Which::Out);
        rig.send(&ToLogger::Death(death(web, 1, 1, 1)));
        let mut troubles = Vec::new();
        loop {
            match rig.receive() {
                FromLogger::Recorded { seq: 1, .. } => break,
                FromLogger::Trouble { message } => troubles.push(message),
                other => panic!("{other:?}"),
            }
        }
        // A death's record may still have fitted: a piece that failed is cut off, and leaves that much room.
        assert!(troubles.len() <= 1, "a file's trouble is said once: {troubles:?}");
        assert!(troubles.iter().all(|trouble| trouble.contains("crashes.jsonl")), "{troubles:?}");
        std::fs::remove_file(&filler).unwrap();
        rig.write(web, Which::Out, b"there is room again\n");
        logger.finish();
        assert_eq!(rig.received(), None, "all was said before the death was acknowledged");
        let bytes = &rig.bytes("web")[&("web".into(), Which::Out)];
        assert!(bytes.ends_with(b"\nthere is room again\n"));
        let marks = rig.marks("web", "web");
        let dropped: Vec<u64> = marks
            .iter()
            .filter_map(|mark| mark.strip_suffix(" bytes dropped: No space left on device (os error 28)"))
            .map(|number| number.parse().unwrap())
            .collect();
        let written = (bytes.len() - b"there is room again\n".len()) as u64;
        assert_eq!(dropped.iter().sum::<u64>() + written, 2000 * 1000);
    });
}

#[test]
fn a_terminal_that_does_not_read_stops_nothing() {
    let mut rig = Rig::new();
    let web = rig.web();
    let (screen, output) = std::io::pipe().unwrap();
    let output = std::sync::Arc::new(std::os::fd::OwnedFd::from(output));
    rig.stdio = vec![(1, output.clone()), (2, output.clone())];
    rig.foreground = true;
    let logger = rig.start();
    let line = [vec![b'x'; 999], b"\n".to_vec()].concat();
    for _ in 0..2000 {
        rig.write(web, Which::Out, &line); // would never end if the logger waited for the screen
    }
    rig.send(&ToLogger::Life { child: web, incarnation: 1, seam: false });
    rig.send(&ToLogger::Death(death(web, 1, 1, 1)));
    assert_eq!(rig.receive(), FromLogger::Recorded { seq: 1, unwritten: 0 });
    logger.finish();
    drop((rig.stdio.drain(..), output));
    assert_eq!(rig.bytes("web")[&("web".into(), Which::Out)].len(), 2000 * 1000);
    let mut shown = Vec::new();
    std::io::Read::read_to_end(&mut &screen, &mut shown).unwrap();
    assert!(shown.starts_with(b"") && !shown.contains(&0x1b));
    let first = String::from_utf8_lossy(&shown[..shown.len().min(40)]).into_owned();
    assert_eq!(&first[12..], " web      | xxxxxxxxxxxxxxxx", "{first}");
}

#[test]
fn a_screen_that_is_gone_is_no_trouble() {
    let mut rig = Rig::new();
    let web = rig.web();
    let (screen, output) = std::io::pipe().unwrap();
    let output = std::sync::Arc::new(std::os::fd::OwnedFd::from(output));
    rig.stdio = vec![(1, output.clone()), (2, output.clone())];
    rig.foreground = true;
    drop(screen);
    await_no_reader(&*output);
    let logger = rig.start();
    for _ in 0..100 {
        rig.write(web, Which::Out, b"a line\n");
        await_empty(&rig, web, Which::Out);
    }
    logger.finish();
    assert_eq!(rig.received(), None);
    assert_eq!(rig.bytes("web")[&("web".into(), Which::Out)].len(), 700);
}

#[test]
fn an_idle_logger_does_not_wake_up() {
    let mut rig = Rig::new();
    for n in 0..100 {
        rig.source("web", &format!("web#{n}"), 10 << 20, 5);
    }
    let logger = rig.start();
    rig.write(0, Which::Out, b"an unfinished line");
    await_empty(&rig, 0, Which::Out);
    let switches = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", logger.pid)).unwrap();
        let line =
            status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned();
        let state = status.lines().find(|line| line.starts_with("State")).unwrap().to_owned();
        (line, state.contains('S'))
    };
    while !switches().1 {
        std::thread::yield_now();
    }
    let before = switches();
    // Nothing can come; a second in which it stays asleep.
    let timeout = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
    let pidfd = logger.pidfd.as_fd();
    let mut polled = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut polled, Some(&timeout)).unwrap(), 0);
    assert_eq!(switches(), before);
    logger.finish();
}

#[test]
fn a_thousand_idle_instances_cost_the_logger_little_memory() {
    let mut rig = Rig::new();
    for n in 0..1000 {
        rig.source(&format!("service-{n}"), &format!("service-{n}"), 10 << 20, 5);
    }
    let anonymous = |rig: &Rig| {
        let logger = rig.spawn();
        std::thread::scope(|scope| {
            scope.spawn(|| rig.tell());
        });
        let last = rig.sources.len() as u32 - 1;
        rig.write(last, Which::Out, b"all were announced\n");
        await_empty(rig, last, Which::Out);
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", logger.pid)).unwrap();
        let private =
            rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap().trim().to_owned();
        if std::env::var_os("MAINSTAY_TEST_PRINT").is_some() {
            eprintln!("{rollup}");
        }
        logger.finish();
        private.strip_suffix(" kB").unwrap().parse::<u64>().unwrap()
    };
    let many = anonymous(&rig);
    rig.sources.truncate(1);
    let one = anonymous(&rig);
    assert!(many - one < 700, "{many} - {one} KiB for 999 instances");
}
