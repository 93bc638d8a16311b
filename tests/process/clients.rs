//! Clients of the control socket, well-behaved or not.

use crate::sleepers::{SLEEPERS, all_there_once, pids};
use crate::support::{Project, kill};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

#[test]
fn random_bytes_on_the_control_socket_change_nothing() {
    let project = Project::running(SLEEPERS);
    let before = pids(&project);
    let mut seed = 7u64;
    for _ in 0..300 {
        let mut stream = UnixStream::connect(project.path("run/control/supervisor")).unwrap();
        let bytes: Vec<u8> = (0..64)
            .map(|_| {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (seed >> 56) as u8
            })
            .collect();
        // It may be refused and closed while we still write.
        let _ = stream.write_all(&bytes);
    }
    assert_eq!(pids(&project), before);
    all_there_once(&project);
}

/// All that a stream says until it ends, which it must do within a frame or two.
fn answer(stream: &mut UnixStream) -> String {
    const MOST: u64 = 256 << 10;
    let mut text = String::new();
    stream.take(MOST).read_to_string(&mut text).unwrap();
    assert!((text.len() as u64) < MOST, "it goes on and on: {}", &text[..200]);
    text
}

/// It was told so once for each turn of the loop, for ever, by a supervisor that did nothing but turn.
#[test]
fn a_client_that_says_nothing_is_told_so_once_and_let_go() {
    let project = Project::running(SLEEPERS);
    let mut stream = UnixStream::connect(project.path("run/control/supervisor")).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    // A beginning, so that it knows which form to answer in.
    stream.write_all(b"{").unwrap();
    let text = answer(&mut stream);
    assert_eq!(text.lines().count(), 1, "{text:?}");
    assert!(text.contains("refused"), "{text:?}");
    all_there_once(&project);
}

/// The first client's answer closed its connection and took the second from the backlog, into the same slot;
/// then closing the first once more forgot the second, whose request came later and was never read.
#[test]
fn a_client_that_is_accepted_while_another_is_answered_is_answered_too() {
    let project = Project::running(SLEEPERS);
    let supervisor = project.supervisor();
    let connect = || {
        let stream = UnixStream::connect(project.path("run/control/supervisor")).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        stream
    };
    let request = b"{\"request\":\"cursor\"}\n";
    kill(supervisor, Signal::SIGSTOP);
    let mut first = connect();
    first.write_all(request).unwrap();
    let mut second = connect();
    kill(supervisor, Signal::SIGCONT);
    assert!(answer(&mut first).contains("done"));
    second.write_all(request).unwrap();
    let text = answer(&mut second);
    assert!(text.contains("done"), "{text:?}");
}

#[test]
fn a_status_of_thousands_is_whole() {
    let project = Project::running(
        "name = \"many\"\n[service.many]\ncommand = [\"sleep\", \"1\"]\ninstances = 5000\nautostart = false\nlog = \"none\"\n",
    );
    let status = project.status();
    let names: std::collections::BTreeSet<&str> =
        status["services"].as_array().unwrap().iter().map(|s| s["instance"].as_str().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("many#")).count(), 5000);
    assert!(names.contains("mainstay.logger"));
    assert_eq!(project.mainstay(&["tree"]).ok().lines().filter(|line| line.contains("many#")).count(), 5000);
}
