//! Commands against a supervisor that is made up: what they ask, what they make of the answers, and what they
//! print. The real supervisor has its own tests; here it says exactly what a case needs.

// Helpers of a test may fail by panic, as the tests do.
#![allow(clippy::unwrap_used)]

use mainstay::cli::act::Act;
use mainstay::cli::args::State;
use mainstay::cli::command::Ask;
use mainstay::cli::error::Error;
use mainstay::cli::events::Events;
use mainstay::cli::kill::Kill;
use mainstay::cli::output::{Output, Style};
use mainstay::cli::put;
use mainstay::cli::shutdown::Shutdown;
use mainstay::cli::wait::Wait;
use mainstay::ipc::control::{Event, Group, Head, Refusal, Reply, Request, Service, Verb, What};
use mainstay::ipc::frame::{self, Form, Inbox};
use mainstay::paths::{ChosenBy, Project};
use mainstay::time::{Duration, Wall};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;

/// What a made-up supervisor does with a request: answers, and whether it hangs up afterwards.
type Script = Box<dyn FnMut(Request) -> (Vec<Reply>, Then) + Send>;

#[derive(Clone, Copy, PartialEq)]
enum Then {
    HangUp,
    /// Keeps the connection open until the test is over.
    Stay,
}

struct World {
    project: Project,
    _directory: tempfile::TempDir,
    server: Option<JoinHandle<()>>,
}

impl World {
    fn new(mut script: Script) -> World {
        let directory = tempfile::tempdir().unwrap();
        let project = Project {
            name: "shop".into(),
            config: None,
            runtime: directory.path().to_owned(),
            state: directory.path().join("state"),
            logs: directory.path().join("logs"),
            chosen_by: ChosenBy::Folder,
            searched: Vec::new(),
        };
        std::fs::create_dir(project.runtime.join("control")).unwrap();
        let listener = UnixListener::bind(project.runtime.join("control/supervisor")).unwrap();
        let server = std::thread::spawn(move || {
            let mut kept = Vec::new();
            // An empty connection is the goodbye of `Drop`.
            while let Some((mut stream, request)) = next(&listener) {
                let (replies, then) = script(request);
                for reply in &replies {
                    // The client may have heard enough.
                    let _ = stream.write_all(&frame::encode(Form::Binary, reply).unwrap());
                }
                if then == Then::Stay {
                    kept.push(stream);
                }
            }
        });
        World { project, _directory: directory, server: Some(server) }
    }

    /// The exit code, stdout and stderr of a command.
    fn run(&self, ask: &Ask, json: bool) -> (u8, String, String) {
        let (mut data, mut talk) = (Vec::new(), Vec::new());
        let mut output = Output::new(Style::PLAIN, json, &mut data, &mut talk);
        let result = put(ask, &self.project, &mut output);
        let (code, error) = match &result {
            Ok(code) => (code.number(), String::new()),
            Err(error) => (error.code().number(), format!("{error}; {}", error.hint())),
        };
        drop(output);
        let talk = String::from_utf8(talk).unwrap() + &error;
        (code, String::from_utf8(data).unwrap(), talk)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = UnixStream::connect(self.project.runtime.join("control/supervisor"));
        if let Some(server) = self.server.take() {
            let ended = server.join();
            assert!(std::thread::panicking() || ended.is_ok(), "the made-up supervisor fell over");
        }
    }
}

fn next(listener: &UnixListener) -> Option<(UnixStream, Request)> {
    let (mut stream, _) = listener.accept().unwrap();
    let (mut inbox, mut piece) = (Inbox::default(), [0; 4096]);
    loop {
        if let Some(request) = inbox.take().unwrap() {
            return Some((stream, request));
        }
        match stream.read(&mut piece).unwrap() {
            0 => return None,
            count => inbox.push(&piece[..count]),
        }
    }
}

fn service(name: &str, state: &str, incarnation: u64) -> Service {
    Service {
        service: name.into(),
        instance: name.into(),
        group: "shop".into(),
        state: state.into(),
        wanted: if state == "stopped" { "down" } else { "up" }.into(),
        as_wanted: matches!(state, "up" | "ready" | "stopped" | "finished"),
        pid: if matches!(state, "up" | "ready" | "starting") { 4000 + incarnation as u32 } else { 0 },
        incarnation,
        up_ns: 1_000_000_000,
        ..Service::default()
    }
}

fn status(cursor: u64, services: &[Service]) -> (Vec<Reply>, Then) {
    let head = Head { project: "shop".into(), pid: 1, cursor, up_ns: 5_000_000_000, ..Head::default() };
    let members = services.iter().map(|service| service.instance.clone()).collect();
    let root = Group { name: "shop".into(), strategy: "one_for_one".into(), members, ..Group::default() };
    let mut replies = vec![Reply::Head(head), Reply::Group(root)];
    replies.extend(services.iter().cloned().map(Reply::Service));
    replies.push(Reply::Done { cursor });
    (replies, Then::HangUp)
}

fn event(seq: u64, incarnation: u64, what: What) -> Reply {
    Reply::Event(Event {
        seq,
        time: Wall(0),
        mono_ns: seq * 1_000_000,
        service: "web".into(),
        instance: "web".into(),
        incarnation,
        what,
    })
}

fn ready() -> What {
    What::Ready { after_ns: 91_000_000, how: "tcp 8080".into(), away_ns: 73_000_000, info: String::new() }
}

fn wait(state: State, after: Option<u64>, timeout_ms: u64) -> Ask {
    Ask::Wait(Wait { patterns: vec!["web".into()], state, after, timeout: Duration::from_millis(timeout_ms) })
}

fn act(verb: Verb) -> Ask {
    Ask::Act(Act {
        verb,
        patterns: vec!["web".into()],
        wait: Some(Duration::from_secs(60)),
        dry_run: false,
        pid: 0,
    })
}

/// A supervisor whose `web` is `now` at cursor 10, with this past after the cursor that was asked for, and
/// this future.
fn web(now: &'static str, past: Vec<Reply>, future: Vec<Reply>) -> World {
    World::new(Box::new(move |request| match request {
        Request::Status { .. } => status(10, &[service("web", now, 3)]),
        Request::Events { follow: false, .. } => {
            let mut replies = past.clone();
            replies.push(Reply::Done { cursor: 10 });
            (replies, Then::HangUp)
        }
        Request::Events { after, follow: true } => {
            assert_eq!(after, 10, "a gap between the past and the future, or none of it twice");
            (future.clone(), Then::Stay)
        }
        Request::Act { .. } => {
            let acted = Reply::Acted { instance: "web".into(), pid: 4003, state: "up".into() };
            (vec![acted, Reply::Done { cursor: 8 }], Then::HangUp)
        }
        other => panic!("{other:?}"),
    }))
}

fn check(world: &World, ask: &Ask, code: u8, data: &str, talk: &str) {
    let (got_code, got_data, got_talk) = world.run(ask, false);
    assert_eq!((got_code, got_data.as_str(), got_talk.as_str()), (code, data, talk), "{ask:?}");
}

#[test]
fn wait_is_met_by_what_is_unless_a_cursor_says_otherwise() {
    check(&web("ready", vec![], vec![]), &wait(State::Ready, None, 1000), 0, "", "");
    let late = "gave up after 20 ms waiting for web to be ready (now ready); ";
    check(&web("ready", vec![], vec![]), &wait(State::Ready, Some(9), 20), 124, "", late);
}

#[test]
fn wait_sees_what_happened_between_the_cursor_and_now() {
    check(
        &web("backing_off", vec![event(9, 3, ready())], vec![]),
        &wait(State::Ready, Some(8), 1000),
        0,
        "",
        "",
    );
}

#[test]
fn wait_goes_on_where_the_past_ended() {
    check(
        &web("starting", vec![], vec![event(11, 3, ready())]),
        &wait(State::Ready, Some(8), 60_000),
        0,
        "",
        "",
    );
}

#[test]
fn wait_ends_at_once_when_it_will_not_come() {
    let gave_up = event(11, 3, What::GaveUp { max: 5, within_ns: 1 });
    let talk = "web gave up, so it will not be ready; mainstay why web";
    check(&web("backing_off", vec![], vec![gave_up]), &wait(State::Ready, None, 60_000), 1, "", talk);
}

#[test]
fn wait_says_that_the_past_is_lost_and_takes_what_is() {
    let world = web("ready", vec![Reply::Missed { count: 3 }], vec![]);
    let talk = "mainstay: 3 events after 2 are gone, so what is counts too\n";
    check(&world, &wait(State::Ready, Some(2), 1000), 0, "", talk);
}

#[test]
fn wait_says_when_the_supervisor_ends_meanwhile() {
    let world = World::new(Box::new(|request| match request {
        Request::Status { .. } => status(10, &[service("web", "starting", 3)]),
        _ => (Vec::new(), Then::HangUp),
    }));
    let talk = "the supervisor ended while waiting for web to be ready (now starting); ";
    check(&world, &wait(State::Ready, None, 60_000), 69, "", talk);
}

#[test]
fn restart_waits_for_the_next_life() {
    let future = vec![event(11, 3, What::Stopping), event(12, 4, ready())];
    let world = web("ready", vec![event(9, 3, ready())], future);
    check(&world, &act(Verb::Restart), 0, "ok web ready again, was away 73 ms  (tcp 8080)\n", "");
}

#[test]
fn start_of_what_runs_returns_at_once() {
    check(&web("ready", vec![], vec![]), &act(Verb::Start), 0, "ok web is ready already\n", "");
}

#[test]
fn start_that_fails_exits_1_and_says_the_step() {
    let error = "changing directory to `/srv/web`: No such file or directory (os error 2)";
    let future = vec![
        event(11, 4, What::StartFailed { error: error.into(), hint: String::new() }),
        event(12, 4, What::GaveUp { max: 5, within_ns: 1 }),
    ];
    let talk = format!("cannot start web: {error}; mainstay why web");
    check(&web("waiting", vec![], future), &act(Verb::Start), 1, &format!("!! web {error}\n"), &talk);
}

#[test]
fn stop_takes_what_ended_before_it_could_look() {
    let past = vec![event(9, 3, What::Stopping), event(10, 3, What::Stopped)];
    check(&web("stopped", past, vec![]), &act(Verb::Stop), 0, "web 1 ms · stopped\n", "");
}

#[test]
fn a_wrong_name_is_told_before_anything_is_asked_for() {
    let world = World::new(Box::new(|request| match request {
        Request::Status { .. } => status(10, &[service("web", "ready", 3)]),
        other => panic!("{other:?} was sent"),
    }));
    let patterns = vec!["wbe".to_owned()];
    let talk = "no service matches `wbe`; did you mean `web`?";
    for ask in [
        Ask::Act(Act { verb: Verb::Stop, patterns: patterns.clone(), wait: None, dry_run: false, pid: 0 }),
        Ask::Kill(Kill { signal: 9, patterns: patterns.clone(), dry_run: false }),
        Ask::Pid { pattern: "wbe".into() },
        Ask::Why { patterns: patterns.clone() },
        Ask::IsUp { patterns: patterns.clone() },
        Ask::Status { patterns: patterns.clone(), all: false },
        Ask::Events(Events { patterns, after: None, follow: false }),
    ] {
        check(&world, &ask, 4, "", talk);
    }
}

#[test]
fn the_exit_code_of_status_is_wanted_against_actual() {
    for (state, code) in
        [("ready", 0), ("up", 0), ("stopped", 0), ("finished", 0), ("starting", 3), ("gave_up", 3)]
    {
        let world = web(state, vec![], vec![]);
        assert_eq!(world.run(&Ask::Status { patterns: vec![], all: false }, false).0, code, "{state}");
        assert_eq!(world.run(&Ask::Status { patterns: vec![], all: false }, true).0, code, "{state} in JSON");
        assert_eq!(world.run(&Ask::IsUp { patterns: vec![] }, false).0, code, "is-up of all, {state}");
    }
    let stopped = web("stopped", vec![], vec![]);
    check(&stopped, &Ask::IsUp { patterns: vec!["web".into()] }, 3, "", "web is stopped; mainstay why web");
}

#[test]
fn pid_prints_a_number_or_why_there_is_none() {
    let ask = Ask::Pid { pattern: "web".into() };
    check(&web("ready", vec![], vec![]), &ask, 0, "4003\n", "");
    let talk = "web has no process: it gave up; mainstay why web";
    check(&web("gave_up", vec![], vec![]), &ask, 3, "", talk);
}

#[test]
fn json_prints_objects_and_no_word() {
    let world =
        web("ready", vec![event(9, 3, ready()), Reply::Missed { count: 2 }], vec![event(12, 4, ready())]);
    for (ask, lines) in [
        (Ask::Status { patterns: vec![], all: false }, 1),
        (Ask::Tree { all: false }, 1),
        (Ask::Why { patterns: vec!["web".into()] }, 1),
        (Ask::Pid { pattern: "web".into() }, 1),
        (Ask::IsUp { patterns: vec![] }, 1),
        (act(Verb::Restart), 1),
        (Ask::Kill(Kill { signal: 9, patterns: vec!["web".into()], dry_run: true }), 1),
        (Ask::Events(Events { patterns: vec![], after: Some(8), follow: false }), 2),
    ] {
        let (code, data, talk) = world.run(&ask, true);
        assert_eq!((code, talk.as_str()), (0, ""), "{ask:?}");
        assert_eq!(data.lines().count(), lines, "{ask:?}: {data}");
        for line in data.lines() {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(object["schema"], 1, "{ask:?}: {line}");
            assert!(!line.contains(": ") && !line.contains(", "), "spaces in {line}");
        }
    }
}

#[test]
fn a_refusal_keeps_its_code_and_its_words() {
    let world = World::new(Box::new(|_| {
        let refusal = Refusal { code: 77, message: "not you".into(), hint: "ask root".into() };
        (vec![Reply::Refused(refusal)], Then::HangUp)
    }));
    check(&world, &Ask::Cursor, 77, "", "not you; ask root");
}

#[test]
fn shutdown_returns_when_the_process_is_gone() {
    let mut supervisor =
        std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let pid = supervisor.id();
    let world = World::new(Box::new(move |request| match request {
        Request::Status { .. } => {
            let (mut replies, then) = status(10, &[]);
            replies[0] = Reply::Head(Head { project: "shop".into(), pid, ..Head::default() });
            (replies, then)
        }
        Request::Shutdown => {
            // Its goodbye on the socket comes before its end.
            drop(supervisor.stdin.take());
            supervisor.wait().unwrap();
            (vec![Reply::Done { cursor: 10 }], Then::HangUp)
        }
        other => panic!("{other:?}"),
    }));
    let ask = Ask::Shutdown(Shutdown { wait: Some(Duration::from_secs(60)), dry_run: false });
    let (code, data, talk) = world.run(&ask, false);
    assert_eq!((code, talk.as_str()), (0, ""));
    assert!(data.starts_with("shop · all stopped in reverse order, supervisor ended in "), "{data}");
}

#[test]
fn shutdown_that_hangs_up_but_lives_on_is_not_done() {
    let pid = std::process::id();
    let world = World::new(Box::new(move |request| match request {
        Request::Status { .. } => {
            let (mut replies, then) = status(10, &[service("web", "ready", 3)]);
            replies[0] = Reply::Head(Head { project: "shop".into(), pid, ..Head::default() });
            (replies, then)
        }
        _ => (vec![Reply::Done { cursor: 10 }], Then::HangUp),
    }));
    let ask = Ask::Shutdown(Shutdown { wait: Some(Duration::from_millis(30)), dry_run: false });
    let talk = "gave up after 30 ms waiting for web (ready), the supervisor of shop to end; ";
    check(&world, &ask, 124, "", talk);
}

#[test]
fn a_thousand_services_are_one_answer() {
    let services: Vec<Service> = (0..1000).map(|n| service(&format!("service-{n}"), "ready", n)).collect();
    let world = World::new(Box::new(move |_| status(10, &services)));
    let (code, data, _) = world.run(&Ask::Status { patterns: vec![], all: false }, false);
    assert_eq!((code, data.lines().count()), (0, 1003));
}

#[test]
fn a_reader_that_went_away_ends_the_stream_quietly() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let world = web("ready", vec![], vec![event(11, 3, ready())]);
    let mut talk = Vec::new();
    let mut output = Output::new(Style::PLAIN, false, Gone, &mut talk);
    let ask = Ask::Events(Events { patterns: vec![], after: Some(10), follow: true });
    let error = put(&ask, &world.project, &mut output).unwrap_err();
    assert!(matches!(error, Error::ClosedOutput), "{error:?}");
    drop(output);
    assert!(talk.is_empty());
}
