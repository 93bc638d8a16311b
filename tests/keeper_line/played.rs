//! The keeper that is played: every message becomes a line for the test, every line of the test a message.

use crate::rig::SOCKET;
use mainstay::ipc::builtin::{FromKeeper, ToKeeper, Told};
use mainstay::ipc::control::What;
use mainstay::ipc::{codec, notify};
use mainstay::sys::ready::{self, Want};
use mainstay::sys::{inherited, socket};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

pub fn keeper() -> ExitCode {
    let line = inherited::take(4).unwrap();
    let test = UnixStream::connect(std::env::var_os(SOCKET).unwrap()).unwrap();
    let mut said = BufReader::new(test.try_clone().unwrap());
    let mut test = test;
    notify::send(Path::new(&std::env::var_os("NOTIFY_SOCKET").unwrap()), "READY=1").unwrap();
    let mut reads = true;
    loop {
        // One command is answered before the next is said, so nothing waits in the reader's buffer.
        let wants = [
            Want { fd: test.as_fd(), read: true, write: false },
            Want { fd: line.as_fd(), read: reads, write: false },
        ];
        let found = ready::wait(&wants, None).unwrap();
        if found[0] {
            let mut words = String::new();
            if said.read_line(&mut words).unwrap() == 0 {
                return ExitCode::SUCCESS;
            }
            reads = obey(&words, &line, reads);
            writeln!(test, "obeyed").unwrap();
        }
        if reads && found[1] && !hand_on(&line, &mut test) {
            return ExitCode::SUCCESS;
        }
    }
}

/// False: the supervisor is gone.
fn hand_on(line: &OwnedFd, test: &mut UnixStream) -> bool {
    let mut buffer = vec![0; codec::LIMIT];
    while let Some(received) = socket::receive(line, &mut buffer).unwrap() {
        if received.length == 0 {
            return false;
        }
        assert!(!received.cut);
        let message: ToKeeper = codec::decode(&buffer[..received.length]).unwrap();
        let of = |memory: &OwnedFd| rustix::fs::fstat(memory).unwrap().st_ino;
        let text = match message {
            ToKeeper::Hello { run, abrupt } => format!("hello {run} {abrupt}"),
            ToKeeper::Tree(Told::Instance { child, service, instance }) => {
                format!("instance {child} {service} {instance}")
            }
            ToKeeper::Tree(Told::Life { child, incarnation, .. }) => {
                let memory =
                    received.descriptors.first().map_or("none".to_owned(), |box_| of(box_).to_string());
                format!("life {child} {incarnation} {memory}")
            }
            ToKeeper::Tree(Told::Ended { child, incarnation }) => format!("ended {child} {incarnation}"),
            ToKeeper::Tree(Told::Gone { child }) => format!("gone {child}"),
            ToKeeper::Tree(Told::Begin) => "begin".to_owned(),
            ToKeeper::Missed { count } => format!("missed {count}"),
            ToKeeper::Happened(event) => format!("event {}", serde_json::to_string(&event).unwrap()),
            ToKeeper::Listen | ToKeeper::Look => continue,
        };
        writeln!(test, "{text}").unwrap();
    }
    true
}

/// Whether the line is read from now on.
fn obey(words: &str, line: &OwnedFd, reads: bool) -> bool {
    let words: Vec<&str> = words.split_whitespace().collect();
    match words[..] {
        ["feed", after] => say(line, &FromKeeper::Feed { after: after.parse().unwrap() }),
        ["enough"] => say(line, &FromKeeper::Enough),
        ["fresh", ref services @ ..] => {
            say(line, &FromKeeper::Fresh { services: services.iter().map(ToString::to_string).collect() });
        }
        ["changed", flag, old, new] => changed(line, flag, old, new),
        ["flood", count] => (0..count.parse().unwrap()).for_each(|_| changed(line, "flood", "off", "on")),
        ["hold"] => return false,
        ["release"] => return true,
        _ => panic!("what is {words:?}?"),
    }
    reads
}

fn changed(line: &OwnedFd, flag: &str, old: &str, new: &str) {
    let what = What::FlagChanged {
        old: old.into(),
        new: new.into(),
        generation: 7,
        actor: "ann".into(),
        reason: String::new(),
    };
    say(line, &FromKeeper::Noted { name: flag.into(), what });
}

fn say(line: &OwnedFd, message: &FromKeeper) {
    let bytes = codec::encode(message).unwrap();
    // The supervisor reads; when the line is full it is waited for.
    while socket::send(line, &bytes, &[] as &[OwnedFd]).is_err() {
        ready::wait(&[Want { fd: line.as_fd(), read: false, write: true }], None).unwrap();
    }
}
