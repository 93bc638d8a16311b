//! Programs that link nothing.

use crate::rig::{Home, Service, attribute, settings};
use mainstay::sys::socket::{self, Kind};
use mainstay::telemetry::note::{Datagram, Said, SpanSaid, write};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

/// Sends it, and waits until it was heard: the other end of the descriptor that goes along is closed then.
fn send(home: &Home, bytes: &[u8]) {
    let socket = socket::connect(Kind::Datagram, &home.door()).unwrap();
    let (mut ours, theirs) = std::io::pipe().unwrap();
    socket::send(&socket, bytes, &[theirs.as_fd()]).unwrap();
    drop(theirs);
    assert_eq!(ours.read(&mut [0]).unwrap(), 0, "nobody writes into it");
}

fn note(instance: &str, pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    write(&Datagram { instance: instance.into(), incarnation: 0, what: Said::Note(pairs) })
}

/// A service whose main process is that of this test, or an ancestor of it.
fn ours(home: &Home, pid: u32) -> Service {
    let mut web = Service::new(home, 1, "web");
    web.pid = pid;
    web
}

#[test]
fn a_note_of_a_process_of_the_service_stands_in_its_box_and_in_the_file() {
    let home = Home::new(&settings());
    // Its main process is the parent of this one: the sender is a descendant.
    let web = ours(&home, std::os::unix::process::parent_id());
    let life = home.start(&[&web]);
    send(&home, note("web", &[("order", "4711"), ("step", "pay\n\u{1b}[2J")]).as_bytes());
    // Heard is written: a crash from here on has it.
    let events = web.memory.image().unwrap().events();
    assert_eq!((events.len(), events[0].name.as_str()), (1, "note"));
    assert_eq!(events[0].attributes[0], ("order".into(), "4711".into()));
    let arrived = home.await_arrived("it is in the file", |arrived| arrived.of("web") == 1);
    assert_eq!(attribute(&arrived.events[0], "order"), "4711");
    assert!(!attribute(&arrived.events[0], "step").contains('\u{1b}'), "controls are replaced");
    life.end();
}

#[test]
fn a_span_of_a_program_that_links_nothing_is_a_finished_span() {
    let home = Home::new(&settings());
    let web = ours(&home, std::process::id());
    let life = home.start(&[&web]);
    let begun = SpanSaid {
        name: "import".into(),
        id: 0x1234,
        start: mainstay::sys::clock::now().as_nanos(),
        parent: (7, 9),
        attributes: vec![("file".into(), "a.csv".into())],
        ..SpanSaid::default()
    };
    let say = |span: SpanSaid| {
        let datagram = Datagram { what: Said::Span(span), ..Datagram::default() };
        send(&home, write(&datagram).as_bytes());
    };
    say(begun.clone());
    say(SpanSaid { ended: true, failed: Some("exit code 3".into()), ..begun });
    let arrived = home.await_arrived("both are in the file", |arrived| arrived.of("web") == 2);
    let span = &arrived.spans[0];
    assert_eq!((span["name"].as_str(), span["spanId"].as_str()), (Some("import"), Some("0000000000001234")));
    assert_eq!(span["traceId"], "00000000000000000000000000000007");
    assert_eq!(span["parentSpanId"], "0000000000000009");
    assert_eq!(span["status"], serde_json::json!({"message": "exit code 3", "code": 2}));
    assert_eq!(attribute(span, "file"), "a.csv");
    assert_eq!(attribute(&arrived.events[0], "name"), "import");
    assert!(web.memory.image().unwrap().open_spans().is_empty());
    life.end();
}

#[test]
fn strangers_and_those_who_say_that_they_are_another_are_refused_and_counted() {
    let home = Home::new(&settings());
    let web = ours(&home, std::process::id());
    let db = Service::new(&home, 2, "db");
    let life = home.start(&[&web, &db]);
    // We are of `web`, and say that we are of `db`, or of a life that is past.
    send(&home, note("db", &[("a", "1")]).as_bytes());
    send(&home, b"MAINSTAY_INSTANCE=web\nMAINSTAY_INCARNATION=9\nX_MAINSTAY_NOTE=a=1\n");
    // Nonsense.
    send(&home, b"X_MAINSTAY_NOTE=a");
    send(&home, b"\xff\xfe");
    send(&home, &[b'x'; 5000]);
    web.event("one");
    let arrived = home.await_arrived("it goes on", |arrived| arrived.of("web") == 1);
    assert_eq!((arrived.last.refused, arrived.of("db")), (5, 0));
    assert!(db.memory.image().unwrap().events().is_empty());
    life.end();
}

#[test]
fn a_process_that_is_nobodys_is_refused() {
    let home = Home::new(&settings());
    let web = Service::new(&home, 1, "web");
    let life = home.start(&[&web]);
    send(&home, note("web", &[("a", "1")]).as_bytes());
    web.event("one");
    let arrived = home.await_arrived("it goes on", |arrived| arrived.of("web") == 1);
    assert_eq!(arrived.last.refused, 1);
    life.end();
}

#[test]
fn a_flood_of_datagrams_keeps_nobody_from_being_heard() {
    let home = Home::new(&settings());
    let web = Service::new(&home, 1, "web");
    let life = home.start(&[&web]);
    let over = std::sync::atomic::AtomicBool::new(false);
    let over = &over;
    std::thread::scope(|scope| {
        let socket = socket::connect(Kind::Datagram, &home.door()).unwrap();
        scope.spawn(move || {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                // Full is fine: it is tried again at once.
                let _ = socket::send(&socket, b"X_MAINSTAY_NOTE=a=1", &[] as &[OwnedFd]);
            }
        });
        for n in 0..20 {
            web.event(&format!("event {n}"));
            home.await_arrived("it is heard", |arrived| arrived.of("web") == n + 1);
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    life.end();
    assert!(home.arrived().last.refused > 0);
}
