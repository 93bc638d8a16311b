//! Lives of one instance in one pipe: whose words are whose, and who is ready, however far the logger is behind and
//! whenever it is killed.

#![allow(clippy::unwrap_used)]

#[path = "support/logger_rig.rs"]
mod logger_rig;
#[path = "support/stepper.rs"]
mod stepper;

use logger_rig::{Rig, await_empty};
use mainstay::crash;
use mainstay::ipc::builtin::{Death, FromLogger, ToLogger};
use mainstay::services::logger::line::Which;
use std::collections::BTreeMap;
use stepper::{Stepper, Stopped};

const WEB: u32 = 0;

/// An instance that is ready when it says that it listens, and whose lives are sewn together.
fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.sewn = true;
    assert_eq!(rig.web(), WEB);
    rig.sources[0].ready = Some("listening".into());
    rig
}

/// The death of this life, told as number `life`.
fn death(life: u64) -> Death {
    Death {
        seq: life,
        crash: life,
        child: WEB,
        service: "web".into(),
        instance: "web".into(),
        incarnation: life,
        pid: 4000 + life as u32,
        signal: Some(libc::SIGKILL),
        ..Death::default()
    }
}

fn ready(incarnation: u64) -> FromLogger {
    FromLogger::ReadyLine { child: WEB, incarnation }
}

/// The last words of each life, by the numbers of their deaths.
fn words(rig: &Rig) -> BTreeMap<u64, Vec<String>> {
    let records = crash::read(&rig.state).unwrap().records;
    let texts = |record: &crash::Record| record.words.iter().map(|word| word.text.clone()).collect();
    records.iter().map(|record| (record.number, texts(record))).collect()
}

#[test]
fn lives_that_were_over_before_the_first_was_heard_of_have_each_its_own_words() {
    let mut rig = rig();
    for life in 1..=30 {
        rig.sew(WEB, life);
        rig.write(WEB, Which::Err, format!("err {life}\n").as_bytes());
        rig.write(WEB, Which::Out, format!("out {life}: listening\nhalf of {life}").as_bytes());
        if life < 30 {
            rig.deaths.push(death(life));
        }
    }
    rig.lives.insert(WEB, 30);
    let logger = rig.start();
    for life in 1..30 {
        assert_eq!(rig.receive(), ready(life));
    }
    assert_eq!(rig.receive(), FromLogger::Recorded { seq: 29, unwritten: 0 });
    assert_eq!(rig.receive(), ready(30));
    logger.finish();
    assert_eq!(rig.received(), None, "each is told once");
    let words = words(&rig);
    for life in 1..30 {
        let mut found = words[&life].clone();
        found.sort();
        let expected = [format!("err {life}"), format!("half of {life}"), format!("out {life}: listening")];
        assert_eq!(found, expected);
    }
    let ends = (1..30).map(|life| format!("end {life}: killed by SIGKILL after 0 µs (c-{life})"));
    assert_eq!(rig.marks("web", "web"), ends.collect::<Vec<_>>());
}

#[test]
fn a_death_that_is_told_when_the_next_life_has_written_has_its_own_words_all_the_same() {
    let rig = rig();
    let logger = rig.start();
    rig.sew(WEB, 1);
    rig.write(WEB, Which::Err, b"the last of one: listening");
    rig.sew(WEB, 2);
    // The other pipe of the life before is emptied first, although nobody has said that it is over.
    rig.write(WEB, Which::Out, b"the first of two\n");
    await_empty(&rig, WEB, Which::Out);
    await_empty(&rig, WEB, Which::Err);
    assert_eq!(rig.receive(), ready(1));
    rig.sew(WEB, 3);
    rig.write(WEB, Which::Out, b"three is listening\n");
    assert_eq!(rig.receive(), ready(3));
    rig.send(&ToLogger::Death(death(1)));
    assert_eq!(rig.receive(), FromLogger::Recorded { seq: 1, unwritten: 0 });
    rig.send(&ToLogger::Death(death(2)));
    assert_eq!(rig.receive(), FromLogger::Recorded { seq: 2, unwritten: 0 });
    logger.finish();
    let words = words(&rig);
    assert_eq!(words[&1], ["the last of one: listening"]);
    assert_eq!(words[&2], ["the first of two"]);
    assert_eq!(rig.marks("web", "web"), ["life 2", "life 3"], "where the log needs them");
}

#[test]
fn what_survives_a_life_writes_for_the_next_once_that_has_begun_and_makes_it_ready() {
    let rig = rig();
    let logger = rig.start();
    rig.sew(WEB, 1);
    rig.write(WEB, Which::Out, b"one\n");
    rig.send(&ToLogger::Death(death(1)));
    assert_eq!(rig.receive(), FromLogger::Recorded { seq: 1, unwritten: 0 });
    // Nobody's: the life is over, and there is no other.
    rig.write(WEB, Which::Out, b"left behind, listening\nunfinished");
    await_empty(&rig, WEB, Which::Out);
    assert_eq!(rig.received(), None);
    rig.sew(WEB, 2);
    rig.write(WEB, Which::Out, b"two\nlisten");
    rig.write(WEB, Which::Out, b"ing\n");
    assert_eq!(rig.receive(), ready(2));
    logger.finish();
    let log = String::from_utf8(rig.files("web").concat()).unwrap();
    let texts: Vec<&str> = log.lines().map(|line| &line[29..]).collect();
    assert_eq!(
        texts,
        [
            "out one",
            "--- end 1: killed by SIGKILL after 0 µs (c-1)",
            "out left behind, listening",
            "out unfinished",
            "out two",
            "out listening"
        ]
    );
}

/// Two lives that were over before anybody looked, and a third; a logger is killed after `calls` system calls, and the next
/// one ends the work. False: there were not so many calls to make.
fn die_after(calls: usize, forget: bool) -> bool {
    let mut rig = rig();
    let logger = rig.spawn();
    let stepper = Stepper::seize(logger.pid);
    assert_eq!(stepper.step(usize::MAX), Stopped::Idle);
    for (life, out, err) in
        [(1, "one", "also one\nlisten"), (2, "ing, two", "still two\n"), (3, "three\nlisten", "three, too\n")]
    {
        rig.sew(WEB, life);
        rig.write(WEB, Which::Out, out.as_bytes());
        rig.write(WEB, Which::Err, err.as_bytes());
    }
    rig.lives.insert(WEB, 3);
    rig.deaths = vec![death(1), death(2)];
    rig.tell();
    let more = stepper.step(calls) == Stopped::Called;
    logger.kill();
    let mut told: Vec<FromLogger> = std::iter::from_fn(|| rig.received()).collect();
    let recorded = |told: &[FromLogger]| {
        told.iter().any(|message| matches!(message, FromLogger::Recorded { seq: 2, unwritten: 0 }))
    };
    if recorded(&told) {
        rig.deaths.clear();
    }
    if forget {
        rig.forget_unread();
    }
    rig.write(WEB, Which::Out, b"ing\n");
    let logger = rig.start();
    logger.finish();
    told.extend(std::iter::from_fn(|| rig.received()));
    assert!(recorded(&told), "{told:?}");
    let ready_lines = told.iter().filter(|message| matches!(message, FromLogger::ReadyLine { .. }));
    assert!(ready_lines.clone().all(|message| *message == ready(3)), "{told:?}, killed after {calls} calls");
    assert!(ready_lines.count() > 0, "killed after {calls} calls");
    let words = words(&rig);
    let sorted = |life: u64| {
        let mut words = words[&life].clone();
        words.sort();
        words
    };
    assert_eq!(sorted(1), ["also one", "listen", "one"], "killed after {calls} calls");
    assert_eq!(sorted(2), ["ing, two", "still two"], "killed after {calls} calls");
    let log = String::from_utf8(rig.files("web").concat()).unwrap();
    let count = |text: &str| log.matches(text).count();
    assert_eq!((count("out three"), count("err three, too")), (1, 1), "{log}");
    assert_eq!((count("end 1"), count("end 2")), (1, 1), "{log}");
    // Finished in its place, or as a rest.
    assert!(log.contains("out listening") || log.contains("out+ ing"), "{log}, killed after {calls} calls");
    assert!(log.find("end 2") < log.find("out three") && log.find("end 1") < log.find("ing, two"), "{log}");
    more
}

#[test]
fn a_kill_after_any_system_call_mixes_no_lives() {
    let mut calls = 1;
    while die_after(calls, calls.is_multiple_of(2)) {
        calls += 1;
    }
    assert!(calls > 60, "only {calls} calls");
}

#[test]
fn a_pipe_that_was_too_full_for_a_seam_is_read_as_ever() {
    let mut rig = rig();
    rig.sew(WEB, 1);
    rig.write(WEB, Which::Out, b"one\n");
    // No seam, but told.
    rig.write(WEB, Which::Out, b"two is listening\n");
    rig.sewn = false;
    rig.deaths = vec![death(1)];
    rig.lives.insert(WEB, 2);
    let logger = rig.start();
    assert_eq!(rig.receive(), ready(2));
    assert_eq!(rig.receive(), FromLogger::Recorded { seq: 1, unwritten: 0 });
    // The next has one again.
    rig.sew(WEB, 3);
    rig.write(WEB, Which::Out, b"three is listening\n");
    rig.send(&ToLogger::Death(death(2)));
    // In either order: the pipe may be read before the news has come.
    let told = [rig.receive(), rig.receive()];
    let recorded = FromLogger::Recorded { seq: 2, unwritten: 0 };
    assert!(told == [ready(3), recorded.clone()] || told == [recorded, ready(3)], "{told:?}");
    logger.finish();
    assert_eq!(
        words(&rig),
        BTreeMap::from([(1, vec!["one".into(), "two is listening".into()]), (2, vec![])])
    );
}
