//! Instances that come and go while the logger runs: killed at every moment, it loses no last word, takes nothing of
//! one for another's, and keeps nothing of those that are gone.

#![allow(clippy::unwrap_used)]

#[path = "support/logger_rig.rs"]
mod logger_rig;
#[path = "support/stepper.rs"]
mod stepper;

use logger_rig::{Rig, Running, await_empty};
use mainstay::crash;
use mainstay::ipc::builtin::{Death, FromLogger, ToLogger};
use mainstay::ipc::control::{Event, What};
use mainstay::services::logger::line::Which;
use std::path::PathBuf;
use stepper::{Stepper, Stopped};

fn death(child: u32, instance: &str, incarnation: u64) -> Death {
    Death {
        seq: incarnation,
        crash: incarnation,
        child,
        service: instance.split('#').next().unwrap().into(),
        instance: instance.into(),
        incarnation,
        pid: 4101,
        signal: Some(9),
        lived_ns: 23_600_000_000,
        ..Death::default()
    }
}

/// The mark of such a death.
fn end(incarnation: u64) -> String {
    format!("end {incarnation}: killed by SIGKILL after 23.6 s (c-{incarnation})")
}

fn out(instance: &str) -> (String, Which) {
    (instance.to_owned(), Which::Out)
}

/// What the logger holds open, apart from what it always does.
fn open_paths(logger: &Running) -> Vec<PathBuf> {
    let directory = std::fs::read_dir(format!("/proc/{}/fd", logger.pid)).unwrap();
    directory.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()).collect()
}

#[test]
fn an_instance_that_is_added_later_is_read_from_its_first_byte() {
    let mut rig = Rig::new();
    let web = rig.web();
    let logger = rig.start();
    rig.write(web, Which::Out, b"first\n");
    let added = rig.source("mailer", "mailer", 1 << 20, 5);
    rig.sources[added as usize].ready = Some("listening".into());
    // It may have written before the logger hears of it.
    rig.write(added, Which::Out, b"early\n");
    rig.tell_stream(added);
    rig.send(&ToLogger::Life { child: added, incarnation: 7, seam: false });
    rig.write(added, Which::Out, b"listening\n");
    assert_eq!(rig.receive(), FromLogger::ReadyLine { child: added, incarnation: 7 });
    rig.write(added, Which::Err, b"late\n");
    logger.finish();
    assert_eq!(rig.bytes("web")[&out("web")], b"first\n");
    let mailer = rig.bytes("mailer");
    assert_eq!(mailer[&out("mailer")], b"early\nlistening\n");
    assert_eq!(mailer[&("mailer".to_owned(), Which::Err)], b"late\n");
    assert_eq!(rig.marks("mailer", "mailer"), ["life 7"]);
}

#[test]
fn who_is_gone_has_all_its_words_in_the_log_when_it_is_forgotten() {
    let mut rig = Rig::new();
    let (web, one) = (rig.web(), rig.source("pool", "pool#1", 1 << 20, 5));
    let logger = rig.start();
    let word = vec![b'w'; 60_000];
    for round in 0..20 {
        rig.write(one, Which::Out, &word);
        rig.write(one, Which::Out, format!("\nlast of {round}").as_bytes());
        rig.write(one, Which::Err, b"half a li");
        rig.send(&ToLogger::Gone { child: one });
        assert_eq!(rig.receive(), FromLogger::Forgotten { child: one });
        // At this very moment, and not some time later.
        let log = rig.files("pool").concat();
        assert!(log.ends_with(b"\n"), "whoever follows the log sees the last line");
        let bytes = rig.bytes("pool");
        assert!(bytes[&out("pool#1")].ends_with(format!("\nlast of {round}\n").as_bytes()));
        assert!(bytes[&("pool#1".to_owned(), Which::Err)].ends_with(b"half a li\n"));
        rig.exchange(one, "pool", "pool#1");
        rig.tell_stream(one);
    }
    rig.write(web, Which::Out, b"goes on\n");
    logger.finish();
    assert_eq!(
        rig.bytes("pool")[&out("pool#1")].len(),
        20 * 60_000 + (0..20).map(|n| format!("\nlast of {n}\n").len()).sum::<usize>()
    );
    assert_eq!(rig.bytes("web")[&out("web")], b"goes on\n");
}

#[test]
fn gone_without_a_death_ends_the_life_and_gone_for_nobody_changes_nothing() {
    let mut rig = Rig::new();
    let web = rig.web();
    rig.lives.insert(web, 3);
    let logger = rig.start();
    for nobody in [1, 77, u32::MAX] {
        rig.send(&ToLogger::Gone { child: nobody });
        assert_eq!(rig.receive(), FromLogger::Forgotten { child: nobody });
    }
    rig.write(web, Which::Out, b"a word");
    rig.send(&ToLogger::Gone { child: web });
    rig.send(&ToLogger::Gone { child: web });
    for _ in 0..2 {
        assert_eq!(rig.receive(), FromLogger::Forgotten { child: web });
    }
    // Its death comes too late for the log, and still finds its last words there.
    rig.send(&ToLogger::Death(death(web, "web", 3)));
    assert_eq!(rig.receive(), FromLogger::Recorded { seq: 3, unwritten: 0 });
    logger.finish();
    assert_eq!(rig.bytes("web")[&out("web")], b"a word\n");
    assert_eq!(rig.marks("web", "web"), ["life 3", "end 3: removed"]);
    let records = crash::read(&rig.state).unwrap().records;
    assert_eq!((records.len(), records[0].words.len(), &*records[0].words[0].text), (1, 1, "a word"));
}

#[test]
fn a_number_that_is_given_again_has_nothing_of_the_one_before() {
    for name in ["pool#1", "pool#2"] {
        let mut rig = Rig::new();
        let one = rig.source("pool", "pool#1", 1 << 20, 5);
        rig.sources[0].ready = Some("listening".into());
        rig.lives.insert(one, 5);
        let mut logger = rig.start();
        rig.write(one, Which::Out, b"listen");
        rig.send(&ToLogger::Death(death(one, "pool#1", 5)));
        assert_eq!(rig.receive(), FromLogger::Recorded { seq: 5, unwritten: 0 });
        rig.write(one, Which::Out, b"after its death: listen");
        rig.send(&ToLogger::Gone { child: one });
        assert_eq!(rig.receive(), FromLogger::Forgotten { child: one });
        rig.exchange(one, "pool", name);
        rig.sources[0].ready = Some("listening".into());
        rig.tell_stream(one);
        rig.lives.insert(one, 6);
        rig.send(&ToLogger::Life { child: one, incarnation: 6, seam: false });
        // A death of the one before that is told too late.
        rig.send(&ToLogger::Death(death(one, "pool#1", 5)));
        assert_eq!(rig.receive(), FromLogger::Recorded { seq: 5, unwritten: 0 });
        rig.write(one, Which::Out, b"ing is not its line\n");
        rig.write(one, Which::Out, b"begun ");
        logger.kill();
        logger = rig.start();
        rig.write(one, Which::Out, b"and ended\n");
        rig.write(one, Which::Out, b"listening\n");
        assert_eq!(rig.receive(), FromLogger::ReadyLine { child: one, incarnation: 6 });
        logger.finish();
        let text = String::from_utf8(rig.files("pool").concat()).unwrap();
        assert!(!text.contains("out+ ing") && !text.contains("listening is"), "{text}");
        let new = if name == "pool#1" {
            "listen\nafter its death: listen\ning is not its line\nbegun and ended\nlistening\n"
        } else {
            "ing is not its line\nbegun and ended\nlistening\n"
        };
        assert_eq!(String::from_utf8_lossy(&rig.bytes("pool")[&out(name)]), new);
        let marks = rig.marks("pool", name);
        let old = if name == "pool#1" { vec!["life 5".to_owned(), end(5)] } else { vec![] };
        assert_eq!(marks, [old, vec!["life 6".to_owned()]].concat());
        assert_eq!(crash::read(&rig.state).unwrap().records.len(), 1);
    }
}

/// Everything is told at once to a logger that stands still, before or after it was told to begin. The number changes
/// hands, which nobody who waits for the answer would do: still nothing is lost, and nothing is mixed up.
#[test]
fn what_is_told_at_once_is_done_in_its_order() {
    for (begun, gone) in [(false, true), (true, true), (true, false)] {
        let mut rig = Rig::new();
        let one = rig.source("pool", "pool#1", 1 << 20, 5);
        rig.sources[0].ready = Some("listening".into());
        rig.write(one, Which::Out, b"old: listening\nold: last wo");
        let logger = rig.spawn();
        let stepper = Stepper::seize(logger.pid);
        if begun {
            rig.send(&ToLogger::Hello {
                foreground: false,
                width: 6,
                project: "shop".into(),
                seams: logger_rig::seams(),
            });
            rig.send(&ToLogger::Begin);
        }
        assert_eq!(stepper.step(usize::MAX), Stopped::Idle);
        if !begun {
            rig.send(&ToLogger::Hello {
                foreground: false,
                width: 6,
                project: "shop".into(),
                seams: logger_rig::seams(),
            });
        }
        rig.tell_stream(one);
        rig.send(&ToLogger::Death(death(one, "pool#1", 5)));
        if gone {
            rig.send(&ToLogger::Gone { child: one });
        }
        rig.exchange(one, "pool", "pool#2");
        rig.sources[0].ready = Some("listening".into());
        rig.write(one, Which::Out, b"new: begins\n");
        rig.tell_stream(one);
        if gone {
            rig.send(&ToLogger::Life { child: one, incarnation: 6, seam: false });
        }
        if !begun {
            rig.send(&ToLogger::Begin);
        }
        stepper.release();
        assert_eq!(rig.receive(), FromLogger::Recorded { seq: 5, unwritten: 0 });
        if gone {
            assert_eq!(rig.receive(), FromLogger::Forgotten { child: one });
        }
        logger.finish();
        assert_eq!(rig.received(), None, "the line of the one before is not its readiness");
        let bytes = rig.bytes("pool");
        assert_eq!(bytes[&out("pool#1")], b"old: listening\nold: last wo\n", "{begun} {gone}");
        assert_eq!(bytes[&out("pool#2")], b"new: begins\n", "{begun} {gone}");
        assert_eq!(rig.marks("pool", "pool#1"), [end(5)]);
        assert_eq!(rig.marks("pool", "pool#2"), if gone { vec!["life 6"] } else { vec![] });
    }
}

#[test]
fn words_that_came_after_a_death_that_is_told_late_are_not_lost_with_their_pipes() {
    // No `Gone`: other pipes under the same number say as much.
    let mut rig = Rig::new();
    let one = rig.web();
    let logger = rig.start();
    for n in 0..50 {
        rig.write(one, Which::Out, format!("{n}\n").as_bytes());
        rig.exchange(one, "web", "web");
        rig.tell_stream(one);
    }
    logger.finish();
    let all: String = (0..50).map(|n| format!("{n}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&rig.bytes("web")[&out("web")]), all);
}

/// A logger that begins anew is told of one that is gone after its successor of the same name.
#[test]
fn events_of_a_name_are_its_newest_owners_when_the_one_before_is_forgotten() {
    for first_gone in [0, 1] {
        let mut rig = Rig::new();
        let (one, two) = (rig.web(), rig.web());
        let logger = rig.start();
        let (gone, stays) = if first_gone == 0 { (one, two) } else { (two, one) };
        rig.send(&ToLogger::Gone { child: gone });
        assert_eq!(rig.receive(), FromLogger::Forgotten { child: gone });
        rig.send(&ToLogger::Life { child: stays, incarnation: 2, seam: false });
        let event = |what| Event {
            seq: 1,
            time: Default::default(),
            mono_ns: 1,
            service: "web".into(),
            instance: "web".into(),
            incarnation: 2,
            what,
        };
        rig.send(&ToLogger::Happened(event(What::GaveUp { max: 5, within_ns: 1 })));
        logger.finish();
        assert_eq!(rig.marks("web", "web").len(), 2, "{:?}", rig.marks("web", "web"));
    }
}

/// Killed in the middle of a transfer, and the pipe it was about is no more when the next life begins.
#[test]
fn what_a_dead_logger_was_doing_is_not_done_to_the_next_owner_of_the_number() {
    for name in ["pool#1", "pool#2"] {
        let mut points = 0;
        loop {
            let mut rig = Rig::new();
            let one = rig.source("pool", "pool#1", 1 << 20, 5);
            let logger = rig.spawn();
            let stepper = Stepper::seize(logger.pid);
            rig.tell();
            assert_eq!(stepper.step(usize::MAX), Stopped::Idle);
            rig.write(one, Which::Out, b"an old line that is not fini");
            let more = stepper.step(points) == Stopped::Called;
            logger.kill();
            rig.exchange(one, "pool", name);
            let words = b"all that the new one has to say\n";
            rig.write(one, Which::Out, words);
            rig.start().finish();
            let text = String::from_utf8(rig.files("pool").concat()).unwrap();
            let line = format!(" {name} out {}", String::from_utf8_lossy(words));
            assert!(text.ends_with(&line), "after {points} calls: {text:?}");
            points += 1;
            if !more {
                break;
            }
        }
        assert!(points > 10, "only {points}");
    }
}

#[test]
fn a_log_that_could_not_be_reached_when_someone_went_is_not_gone_on_with_by_the_next() {
    let mut rig = Rig::new();
    let (one, _) = (rig.source("pool", "pool#1", 1 << 20, 5), rig.source("pool", "pool#2", 1 << 20, 5));
    let logger = rig.start();
    rig.write(one, Which::Out, b"unfinished");
    logger.finish();
    let (log, aside) = (rig.logs.join("pool.log"), rig.logs.join("aside"));
    std::fs::rename(&log, &aside).unwrap();
    std::fs::create_dir(&log).unwrap();
    let logger = rig.start();
    rig.send(&ToLogger::Gone { child: one });
    assert_eq!(rig.receive(), FromLogger::Forgotten { child: one });
    std::fs::remove_dir(&log).unwrap();
    std::fs::rename(&aside, &log).unwrap();
    rig.exchange(one, "pool", "pool#1");
    rig.tell_stream(one);
    rig.write(one, Which::Out, b"new\n");
    logger.finish();
    let text = String::from_utf8(rig.files("pool").concat()).unwrap();
    assert!(text.contains("out unfinished\n") && text.ends_with("out new\n"), "{text}");
}

/// Two instances of a service, in the middle of lines. One is removed after its death, while a third one is added:
/// a logger is killed after `first` of the system calls that this takes, its successor after `second`. Then the
/// number of the first one is given to another instance. What the logger had said when it was killed is heard, or
/// is lost with its channel. False: there were not so many calls to make.
fn change_after(first: usize, second: Option<usize>, heard: bool) -> bool {
    let at = format!("killed after {first} and {second:?} calls, heard: {heard}");
    let reused = if first.is_multiple_of(2) { "pool#1" } else { "pool#9" };
    let mut rig = Rig::new();
    let (one, two) = (rig.source("pool", "pool#1", 300, 1000), rig.source("pool", "pool#2", 300, 1000));
    rig.lives.extend([(one, 1), (two, 2)]);
    let logger = rig.start();
    rig.write(two, Which::Out, b"two begins a li");
    rig.write(one, Which::Out, b"one begins a li");
    logger.finish();

    rig.write(one, Which::Out, b"ne and another\nand a third");
    rig.write(one, Which::Err, &[&[b'e'; 700][..], b"\nlast words"].concat());
    rig.deaths = vec![death(one, "pool#1", 1)];
    rig.lives.remove(&one);
    let three = rig.source("pool", "pool#3", 300, 1000);
    rig.write(three, Which::Out, b"three was there ");
    let (mut more, mut shown) = (true, Vec::new());
    for calls in std::iter::once(first).chain(second) {
        let logger = rig.spawn();
        let stepper = Stepper::seize(logger.pid);
        assert_eq!(stepper.step(usize::MAX), Stopped::Idle);
        if shown.is_empty() {
            // The first life is told of what changes while it runs.
            rig.sources[three as usize].present = false;
            rig.tell();
            rig.tell_stream(three);
            rig.lives.insert(three, 3);
            rig.send(&ToLogger::Life { child: three, incarnation: 3, seam: false });
            rig.gone.push(one);
            rig.send(&ToLogger::Gone { child: one });
            rig.sources[three as usize].present = true;
        } else {
            rig.tell();
        }
        more &= stepper.step(calls) == Stopped::Called;
        logger.kill();
        shown.push(rig.whole_lines("pool"));
        while let Some(message) = rig.received() {
            match message {
                _ if !heard => {}
                FromLogger::Recorded { seq: 1, unwritten: 0 } => rig.deaths.clear(),
                FromLogger::Forgotten { child } if child == one => {
                    assert!(rig.deaths.is_empty(), "{at}: a death was forgotten before it was recorded");
                    rig.gone.clear();
                    rig.exchange(one, "pool", reused);
                    rig.lives.insert(one, 4);
                    rig.write(one, Which::Out, b"the new");
                }
                other => panic!("{other:?}, {at}"),
            }
        }
        rig.forget_unread();
    }
    let logger = rig.start();
    while !rig.gone.is_empty() {
        match rig.receive() {
            FromLogger::Recorded { seq: 1, unwritten: 0 } => rig.deaths.clear(),
            FromLogger::Forgotten { child } if child == one => rig.gone.clear(),
            other => panic!("{other:?}, {at}"),
        }
        if rig.gone.is_empty() {
            rig.exchange(one, "pool", reused);
            rig.tell_stream(one);
            rig.send(&ToLogger::Life { child: one, incarnation: 4, seam: false });
            rig.write(one, Which::Out, b"the new");
        }
    }
    rig.write(one, Which::Out, b" one\n");
    rig.write(two, Which::Out, b"ne and ends it\n");
    rig.write(three, Which::Out, b"before it was told\n");
    logger.finish();

    let lines = rig.whole_lines("pool");
    for shown in shown {
        assert!(lines.starts_with(&shown), "{at}: lines were taken back");
    }
    let mut found = rig.bytes("pool");
    let mut take = |key: (String, Which)| String::from_utf8(found.remove(&key).unwrap_or_default()).unwrap();
    let old = "one begins a line and another\nand a third\n";
    if reused == "pool#1" {
        assert_eq!(take(out("pool#1")), format!("{old}the new one\n"), "{at}");
    } else {
        assert_eq!(take(out("pool#1")), old, "{at}");
        assert_eq!(take(out(reused)), "the new one\n", "{at}");
    }
    assert_eq!(take(("pool#1".into(), Which::Err)), format!("{}\nlast words\n", "e".repeat(700)), "{at}");
    assert_eq!(take(out("pool#2")), "two begins a line and ends it\n", "{at}");
    assert_eq!(take(out("pool#3")), "three was there before it was told\n", "{at}");
    assert!(found.is_empty(), "{found:?}, {at}");
    let life = |number| format!("life {number}");
    match reused {
        "pool#1" => assert_eq!(rig.marks("pool", "pool#1"), [life(1), end(1), life(4)], "{at}"),
        _ => {
            assert_eq!(rig.marks("pool", "pool#1"), [life(1), end(1)], "{at}");
            assert_eq!(rig.marks("pool", reused), [life(4)], "{at}");
        }
    }
    assert_eq!(rig.marks("pool", "pool#2"), [life(2)], "{at}");
    assert_eq!(rig.marks("pool", "pool#3"), [life(3)], "{at}");
    let records = crash::read(&rig.state).unwrap().records;
    let words: Vec<_> =
        records.iter().flat_map(|record| &record.words).map(|word| word.text.as_str()).collect();
    assert_eq!(records.len(), 1, "{at}");
    assert!(words.ends_with(&["last words"]) && words.contains(&"and a third"), "{words:?}, {at}");
    more
}

#[test]
fn a_kill_after_any_system_call_of_a_change_loses_no_last_word_and_mixes_none() {
    for heard in [true, false] {
        let mut points = 0;
        while change_after(points, None, heard) {
            points += 1;
        }
        assert!(points > 100, "only {points}");
    }
}

#[test]
fn a_kill_while_the_kill_of_a_change_is_mended_loses_none_either() {
    // Every pair would be 40,000; these meet each point of both lives.
    for point in 0..200 {
        change_after(point, Some(point * 7 % 190), point % 3 > 0);
        change_after(point * 11 % 200, Some(point), point % 3 > 1);
    }
}

#[test]
fn no_descriptor_and_no_memory_is_left_of_two_hundred_that_came_and_went() {
    let mut rig = Rig::new();
    let web = rig.web();
    let logger = rig.start();
    let visit = |rig: &mut Rig, n: u32| {
        let service = format!("guest-{n}");
        let child = 1 + n % 3;
        match rig.sources.len() > child as usize {
            true => rig.exchange(child, &service, &service),
            false => assert_eq!(rig.source(&service, &service, 1 << 20, 5), child),
        }
        rig.tell_stream(child);
        rig.send(&ToLogger::Life { child, incarnation: u64::from(n) + 1, seam: false });
        rig.write(child, Which::Out, format!("{service} was here").as_bytes());
        rig.send(&ToLogger::Gone { child });
        assert_eq!(rig.receive(), FromLogger::Forgotten { child });
    };
    rig.write(web, Which::Out, b"the log is open from here on\n");
    await_empty(&rig, web, Which::Out);
    (0..10).for_each(|n| visit(&mut rig, n));
    let before = open_paths(&logger);
    (10..210).for_each(|n| visit(&mut rig, n));
    let after = open_paths(&logger);
    assert_eq!(after.len(), before.len(), "{before:?}\n{after:?}");
    assert!(!after.iter().any(|path| path.to_string_lossy().contains("guest")), "{after:?}");
    logger.finish();
    for n in 0..210 {
        let service = format!("guest-{n}");
        assert_eq!(rig.bytes(&service)[&out(&service)], format!("{service} was here\n").as_bytes());
        assert_eq!(
            rig.marks(&service, &service),
            [format!("life {}", n + 1), format!("end {}: removed", n + 1)]
        );
    }
}

#[test]
fn the_same_instance_told_again_with_other_settings_has_them_at_once() {
    let mut rig = Rig::new();
    let web = rig.web();
    let screen = rig.show_on_a_pipe();
    let logger = rig.start();
    rig.write(web, Which::Out, b"narrow\n");
    // Taken before what follows is told.
    rig.send(&ToLogger::Death(Death { crash: 0, ..death(web, "web", 1) }));
    assert_eq!(rig.receive(), FromLogger::Recorded { seq: 1, unwritten: 0 });
    // Small files, three of them; and a longer name.
    (rig.sources[0].max_size, rig.sources[0].files) = (200, 3);
    rig.tell_stream(web);
    let long = rig.source("a-rather-long-name", "a-rather-long-name", 1 << 20, 5);
    rig.tell_stream(long);
    for n in 0..40 {
        rig.write(web, Which::Out, format!("wide {n}\n").as_bytes());
        rig.send(&ToLogger::Gone { child: 9 });
        assert_eq!(rig.receive(), FromLogger::Forgotten { child: 9 });
    }
    logger.finish();
    rig.stdio.clear();
    let files = rig.files("web");
    assert_eq!(files.len(), 3);
    assert!(files.iter().all(|file| file.len() < 300));
    assert!(files.concat().ends_with(b" wide 39\n"));
    let mut shown = String::new();
    std::io::Read::read_to_string(&mut &screen, &mut shown).unwrap();
    let columns: Vec<_> =
        shown.lines().map(|line| (line.find('|').unwrap(), line.contains("wide"))).collect();
    assert_eq!(columns.first(), Some(&(22, false)), "{shown}");
    assert_eq!(columns.last(), Some(&(32, true)), "{shown}");
}
