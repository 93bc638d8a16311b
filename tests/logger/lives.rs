//! Lives of services: how they begin, how they are ready, how they died.

use crate::logger_rig::{Rig, await_empty};
use crate::made::death;
use crate::stepper::{Stepper, Stopped};
use mainstay::crash;
use mainstay::ipc::builtin::{Death, FromLogger, ToLogger};
use mainstay::services::logger::line::Which;

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
