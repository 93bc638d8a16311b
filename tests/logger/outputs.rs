//! Logs that are followed, disks that are full, terminals that do not read: no service waits for any of them.

use crate::disk;
use crate::logger_rig::{Rig, WATCHDOG, await_empty, await_no_reader};
use crate::made::death;
use mainstay::cli::logs;
use mainstay::cli::output::{Output, Style};
use mainstay::ipc::builtin::{FromLogger, ToLogger};
use mainstay::services::logger::line::Which;
use std::io::{BufRead, Write};

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
    disk::with_small_disk(
        "outputs::a_full_disk_stops_no_service_and_says_how_much_is_missing",
        1 << 20,
        |disk| {
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
        },
    );
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

#[test]
fn a_terminal_that_does_not_read_stops_nothing() {
    let mut rig = Rig::new();
    let web = rig.web();
    let screen = rig.show_on_a_pipe();
    let logger = rig.start();
    let line = [vec![b'x'; 999], b"\n".to_vec()].concat();
    for _ in 0..2000 {
        rig.write(web, Which::Out, &line); // would never end if the logger waited for the screen
    }
    rig.send(&ToLogger::Life { child: web, incarnation: 1, seam: false });
    rig.send(&ToLogger::Death(death(web, 1, 1, 1)));
    assert_eq!(rig.receive(), FromLogger::Recorded { seq: 1, unwritten: 0 });
    logger.finish();
    rig.stdio.clear();
    assert_eq!(rig.bytes("web")[&("web".into(), Which::Out)].len(), 2000 * 1000);
    let mut shown = Vec::new();
    std::io::Read::read_to_end(&mut &screen, &mut shown).unwrap();
    assert!(!shown.contains(&0x1b));
    let first = String::from_utf8_lossy(&shown[..shown.len().min(40)]).into_owned();
    assert_eq!(&first[12..], " web      | xxxxxxxxxxxxxxxx", "{first}");
}

#[test]
fn a_screen_that_is_gone_is_no_trouble() {
    let mut rig = Rig::new();
    let web = rig.web();
    let screen = rig.show_on_a_pipe();
    drop(screen);
    await_no_reader(&*rig.stdio[0].1);
    let logger = rig.start();
    for _ in 0..100 {
        rig.write(web, Which::Out, b"a line\n");
        await_empty(&rig, web, Which::Out);
    }
    logger.finish();
    assert_eq!(rig.received(), None);
    assert_eq!(rig.bytes("web")[&("web".into(), Which::Out)].len(), 700);
}
