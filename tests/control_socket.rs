//! The server of a control socket against clients that mean well and clients that do not.

// Helpers of a test may fail by panic, as the tests do.
#![allow(clippy::unwrap_used)]

use mainstay::ipc::client::{CallError, Client};
use mainstay::ipc::control::{Event, Reply, Request, What};
use mainstay::ipc::frame::{self, Form, MAGIC, VERSION};
use mainstay::ipc::server::{
    ANSWER_WITHIN, CONNECTIONS, ConnectionId, Control, FOLLOWERS, OUTPUT, REQUEST_WITHIN, Received,
    SendError, Server, Still,
};
use mainstay::time::{Duration, Instant, Wall};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

const NOW: Instant = Instant::from_nanos(1_000_000_000_000);

struct World {
    server: Server<Control>,
    socket: PathBuf,
    _directory: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("supervisor");
        World { server: Server::listen(&socket).unwrap(), socket, _directory: directory }
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).unwrap()
    }

    fn accepted(&mut self) -> (UnixStream, ConnectionId) {
        let stream = self.connect();
        let id = self.server.accept(NOW).expect("a connection waits in the backlog");
        (stream, id)
    }

    /// A connection whose request was taken.
    fn asked(&mut self, request: &Request) -> (UnixStream, ConnectionId) {
        let (mut stream, id) = self.accepted();
        stream.write_all(&frame::encode(Form::Binary, request).unwrap()).unwrap();
        match self.server.readable(id, NOW) {
            Received::Request(got, peer) => {
                assert_eq!(got, *request);
                assert_eq!(peer.pid, std::process::id());
            }
            other => panic!("{other:?}"),
        }
        (stream, id)
    }
}

fn event(seq: u64) -> Reply {
    Reply::Event(Event {
        seq,
        time: Wall(0),
        mono_ns: seq,
        service: "web".into(),
        instance: "web#1".into(),
        incarnation: 1,
        what: What::Warning { message: "x".repeat(1000) },
    })
}

fn json(stream: &mut UnixStream) -> serde_json::Value {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text:?}"))
}

#[test]
fn a_request_is_answered_and_the_connection_ends() {
    let mut world = World::new();
    let socket = world.socket.clone();
    let client = std::thread::spawn(move || {
        let mut client = Client::connect(&socket, None).unwrap();
        client.send(&Request::Cursor).unwrap();
        let reply = client.receive::<Reply>().unwrap();
        assert!(matches!(client.receive::<Reply>(), Err(CallError::HungUp)));
        reply
    });
    let id = wait_for(|| world.server.accept(NOW));
    wait_for(|| match world.server.readable(id, NOW) {
        Received::Request(Request::Cursor, _) => Some(()),
        Received::Nothing => None,
        other => panic!("{other:?}"),
    });
    world.server.send(id, &Reply::Done { cursor: 7 }).unwrap();
    assert_eq!(world.server.finish(id, NOW), Still::Closed);
    world.server.close(id);
    assert_eq!(client.join().unwrap(), Reply::Done { cursor: 7 });
}

/// The other side is a thread: gives it the processor until it has come.
fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        std::thread::yield_now();
    }
}

/// Waits until the client of a connection is gone. Closing our copy of its end is not enough: a child that
/// another test is just starting has one, too, from its fork to its exec.
fn await_hang_up(world: &World, id: ConnectionId) {
    let fd = world.server.fd(id).unwrap();
    let timeout = rustix::event::Timespec { tv_sec: 120, tv_nsec: 0 };
    let mut polled = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::empty())];
    assert_eq!(rustix::event::poll(&mut polled, Some(&timeout)).unwrap(), 1, "somebody still has its end");
    assert!(polled[0].revents().contains(rustix::event::PollFlags::HUP), "{:?}", polled[0].revents());
}

/// A name behind which nobody listens any more.
fn stale(socket: &Path) {
    drop(UnixListener::bind(socket).unwrap());
    // For the same reason: nobody, and not only we.
    wait_for(|| UnixStream::connect(socket).is_err().then_some(()));
}

#[test]
fn a_person_at_nc_gets_json_without_any_codec() {
    let mut world = World::new();
    let (mut stream, id) = world.accepted();
    stream.write_all(br#"{"request":"cursor"}"#).unwrap();
    assert_eq!(world.server.readable(id, NOW), Received::Nothing);
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(matches!(world.server.readable(id, NOW), Received::Request(Request::Cursor, _)));
    world.server.send(id, &Reply::Done { cursor: 3 }).unwrap();
    assert_eq!(world.server.finish(id, NOW), Still::Closed);
    world.server.close(id);
    assert_eq!(json(&mut stream), serde_json::json!({"reply": "done", "cursor": 3}));
}

#[test]
fn half_a_goodbye_is_not_a_goodbye() {
    let mut world = World::new();
    let (stream, id) = world.asked(&Request::Events { after: 0, follow: true });
    assert!(world.server.follow(id));
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(world.server.readable(id, NOW), Received::Nothing);
    assert!(!world.server.wants_read(id), "a level-triggered poller would spin");
    world.server.send(id, &event(1)).unwrap();
    assert_eq!(world.server.flush(id, NOW), Still::Open);
    drop(stream);
    await_hang_up(&world, id);
    assert_eq!(world.server.readable(id, NOW), Received::Closed);
}

#[test]
fn garbage_is_answered_with_a_sentence_and_closed() {
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[MAGIC, 9, 0, 0, 1, 0, 0, 0],
        &[MAGIC, VERSION, 0, 0, 255, 255, 255, 255],
        &[MAGIC, VERSION, 0, 0, 4, 0, 0, 0, 99, 0, 0, 0],
        b"{\"request\":\"frobnicate\"}\n",
        b"{\"request\":\"status\",\"al\":true}\n",
    ] {
        let mut world = World::new();
        let (mut stream, id) = world.accepted();
        stream.write_all(garbage).unwrap();
        assert_eq!(world.server.readable(id, NOW), Received::Closed, "{garbage:?}");
        world.server.close(id);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("not understood"), "{garbage:?} got {answer:?}");
    }
}

#[test]
fn random_bytes_never_become_more_than_a_refusal() {
    let mut world = World::new();
    let mut state = 1_u64;
    for _ in 0..2000 {
        let (mut stream, id) = world.accepted();
        let bytes: Vec<u8> = (0..64)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            })
            .collect();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut received = world.server.readable(id, NOW);
        if received == Received::Nothing {
            received = world.server.readable(id, NOW);
        }
        assert_eq!(received, Received::Closed, "{bytes:?}");
        world.server.close(id);
    }
}

#[test]
fn c3_a_dripping_client_is_cut_off_at_the_deadline_of_the_whole_frame() {
    let mut world = World::new();
    let (mut stream, id) = world.accepted();
    let bytes = frame::encode(Form::Json, &Request::Cursor).unwrap();
    for (drip, byte) in bytes[..bytes.len() - 1].iter().enumerate() {
        stream.write_all(&[*byte]).unwrap();
        let now = NOW + Duration::from_millis(10 * drip as u64);
        assert_eq!(world.server.readable(id, now), Received::Nothing);
        assert_eq!(world.server.next_deadline(), Some(NOW + REQUEST_WITHIN), "a drip bought time");
    }
    assert_eq!(world.server.expire(NOW + (REQUEST_WITHIN - Duration::from_nanos(1))), []);
    assert_eq!(world.server.expire(NOW + REQUEST_WITHIN), [id]);
    world.server.close(id);
    let answer = json(&mut stream);
    assert_eq!(answer["code"], 124);
}

#[test]
fn a_flood_after_the_request_is_dropped_and_takes_no_memory() {
    let mut world = World::new();
    let (stream, id) = world.asked(&Request::Events { after: 0, follow: true });
    assert!(world.server.follow(id));
    stream.set_nonblocking(true).unwrap();
    let before = resident();
    let mut flooded = 0;
    while flooded < 64 << 20 {
        match (&stream).write(&[0x55; 64 << 10]) {
            Ok(count) => flooded += count,
            Err(_) => assert_eq!(world.server.readable(id, NOW), Received::Nothing),
        }
    }
    assert!(resident() < before + (16 << 20), "a flood of 64 MiB grew the server");
}

/// Our resident memory, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn a_follower_that_does_not_read_is_told_too_slow_and_bounded() {
    let mut world = World::new();
    let (_stream, id) = world.asked(&Request::Events { after: 0, follow: true });
    assert!(world.server.follow(id));
    let mut sent = 0;
    let refused = loop {
        match world.server.send(id, &event(sent)) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 10_000, "nothing stops it");
    };
    assert_eq!(refused, SendError::TooSlow);
    assert!(world.server.queued(id) <= OUTPUT);
    assert!(world.server.wants_write(id));
    assert_eq!(world.server.next_deadline(), None, "a follower may be slow for ever");
}

#[test]
fn a_slow_follower_gets_all_that_was_taken_when_it_reads_again() {
    let mut world = World::new();
    let (mut stream, id) = world.asked(&Request::Events { after: 0, follow: true });
    assert!(world.server.follow(id));
    let mut taken = 0;
    while world.server.send(id, &event(taken)).is_ok() {
        taken += 1;
    }
    let reader = std::thread::spawn(move || {
        let (mut inbox, mut seen, mut piece) = (frame::Inbox::default(), Vec::new(), vec![0; 1 << 16]);
        loop {
            let count = stream.read(&mut piece).unwrap();
            if count == 0 {
                return seen;
            }
            inbox.push(&piece[..count]);
            while let Some(Reply::Event(event)) = inbox.take::<Reply>().unwrap() {
                seen.push(event.seq);
            }
        }
    });
    wait_for(|| {
        assert_eq!(world.server.flush(id, NOW), Still::Open);
        (!world.server.wants_write(id)).then_some(())
    });
    assert_eq!(world.server.finish(id, NOW), Still::Closed);
    world.server.close(id);
    assert_eq!(reader.join().unwrap(), (0..taken).collect::<Vec<_>>());
}

#[test]
fn an_answered_client_that_reads_nothing_is_let_go_in_time() {
    let mut world = World::new();
    let (_stream, id) = world.asked(&Request::Status { all: false });
    while world.server.send(id, &event(1)).is_ok() {}
    assert_eq!(world.server.finish(id, NOW), Still::Open);
    assert_eq!(world.server.next_deadline(), Some(NOW + ANSWER_WITHIN));
    assert_eq!(world.server.expire(NOW + ANSWER_WITHIN), [id]);
}

#[test]
fn idle_connections_fill_the_slots_and_the_next_waits_in_the_backlog() {
    let mut world = World::new();
    let mut held: Vec<_> = (0..CONNECTIONS).map(|_| world.accepted()).collect();
    let mut late = world.connect();
    assert!(!world.server.can_accept());
    assert_eq!(world.server.accept(NOW), None);
    let (_, first) = held.remove(0);
    world.server.close(first);
    let id = world.server.accept(NOW).expect("the place that came free");
    late.write_all(&frame::encode(Form::Binary, &Request::Cursor).unwrap()).unwrap();
    assert!(matches!(world.server.readable(id, NOW), Received::Request(Request::Cursor, _)));
}

#[test]
fn followers_leave_room_for_status() {
    let mut world = World::new();
    let followers: Vec<_> =
        (0..FOLLOWERS).map(|_| world.asked(&Request::Events { after: 0, follow: true })).collect();
    for (_, id) in &followers {
        assert!(world.server.follow(*id));
        assert!(world.server.follow(*id), "asking twice takes no second place");
    }
    let (_stream, one_more) = world.asked(&Request::Events { after: 0, follow: true });
    assert!(!world.server.follow(one_more));
    let (_stream, status) = world.asked(&Request::Status { all: true });
    world.server.send(status, &Reply::Done { cursor: 1 }).unwrap();
    assert_eq!(world.server.finish(status, NOW), Still::Closed);
}

#[test]
fn the_number_of_a_closed_connection_names_nothing() {
    let mut world = World::new();
    let (_old_stream, old) = world.asked(&Request::Cursor);
    world.server.close(old);
    world.server.close(old);
    let (mut stream, new) = world.accepted();
    stream.write_all(&frame::encode(Form::Binary, &Request::Cursor).unwrap()).unwrap();
    assert_ne!(old, new);
    assert_eq!(ConnectionId::from_u64(new.to_u64()), new);
    assert!(world.server.fd(old).is_none());
    assert_eq!(world.server.readable(old, NOW), Received::Nothing);
    assert_eq!(world.server.send(old, &Reply::Done { cursor: 0 }), Err(SendError::Closed));
    assert_eq!(world.server.finish(old, NOW), Still::Closed);
    world.server.close(old);
    assert!(matches!(world.server.readable(new, NOW), Received::Request(Request::Cursor, _)));
}

#[test]
fn a_second_request_on_a_connection_is_not_heard() {
    let mut world = World::new();
    let (mut stream, id) = world.asked(&Request::Cursor);
    stream.write_all(&frame::encode(Form::Binary, &Request::Shutdown).unwrap()).unwrap();
    assert_eq!(world.server.readable(id, NOW), Received::Nothing);
}

#[test]
fn a_path_longer_than_a_socket_address_is_bound_and_reached() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&deep).unwrap();
    let socket = deep.join("supervisor");
    let mut server = Server::<Control>::listen(&socket).unwrap();
    let mut client = Client::connect(&socket, None).unwrap();
    client.send(&Request::Cursor).unwrap();
    let id = server.accept(NOW).unwrap();
    assert!(matches!(server.readable(id, NOW), Received::Request(Request::Cursor, _)));
}

#[test]
fn a_stale_name_is_taken_over_and_left_to_the_successor() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("supervisor");
    stale(&socket);
    let first = Server::<Control>::listen(&socket).unwrap();
    let mut second = Server::<Control>::listen(&socket).unwrap();
    drop(first);
    let _stream = UnixStream::connect(&socket).expect("the name outlives the one who had it before");
    assert!(second.accept(NOW).is_some());
    let names: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["supervisor"]);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_listener_that_was_handed_down_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("keeper");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut server = Server::<Control>::from_listener(OwnedFd::from(listener)).unwrap();
    assert_eq!(server.accept(NOW), None);
    let _stream = UnixStream::connect(&socket).unwrap();
    let id = server.accept(NOW).unwrap();
    assert!(server.fd(id).unwrap().as_raw_fd() > 0);
    assert_eq!(server.connections().collect::<Vec<_>>(), [id]);
}

#[test]
fn nobody_there_is_told_with_the_path_that_was_tried() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("supervisor");
    for make in [false, true] {
        if make {
            stale(&socket);
        }
        match Client::connect(&socket, None) {
            Err(CallError::Unreachable { socket: tried, .. }) => assert_eq!(tried, socket),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_server_that_says_nothing_is_waited_for_no_longer_than_told() {
    let mut world = World::new();
    let deadline = mainstay::sys::clock::now() + Duration::from_millis(30);
    let mut client = Client::connect(&world.socket, Some(deadline)).unwrap();
    client.send(&Request::Cursor).unwrap();
    assert!(world.server.accept(NOW).is_some());
    assert!(matches!(client.receive::<Reply>(), Err(CallError::Late)));
    assert!(mainstay::sys::clock::now() >= deadline);
}

/// Where the next test's stranger finds the socket.
const STRANGER: &str = "MAINSTAY_TEST_STRANGER";

#[test]
fn c2_a_stranger_is_refused_before_a_byte_of_his_is_read() {
    if let Some(socket) = std::env::var_os(STRANGER) {
        let mut client = Client::connect(std::path::Path::new(&socket), None).unwrap();
        client.send(&Request::Shutdown).unwrap();
        match client.receive::<Reply>().unwrap() {
            Reply::Refused(refusal) => assert_eq!(refusal.code, 77),
            other => panic!("{other:?}"),
        }
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("only root can act a stranger's part");
        return;
    }
    let mut world = World::new();
    for (path, mode) in [(world.socket.parent().unwrap().to_owned(), 0o755), (world.socket.clone(), 0o666)] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    // Opened by us: the stranger may not be allowed to walk to the test's own file.
    let program = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    nix::fcntl::fcntl(&program, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let mut stranger = std::process::Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    stranger.args(["--exact", "c2_a_stranger_is_refused_before_a_byte_of_his_is_read", "--nocapture"]);
    stranger.env(STRANGER, &world.socket).current_dir("/");
    std::os::unix::process::CommandExt::uid(&mut stranger, 65534);
    let mut stranger = stranger.spawn().unwrap();
    let status = wait_for(|| {
        assert_eq!(world.server.accept(NOW), None, "a stranger holds a place");
        stranger.try_wait().unwrap()
    });
    assert!(status.success(), "{status}");
}
