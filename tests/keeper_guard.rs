//! The guard in a keeper that runs, with a supervisor that is made up: what it says over the line, and what it hears.
//!
//! What must hold: what does harm is taken back, banned, in the journal, in the audit log and on the board, and the
//! supervisor is told, once; a keeper that is killed takes it up where it was.

#![allow(clippy::unwrap_used)]

#[path = "support/disk.rs"]
mod disk;
#[path = "support/held.rs"]
mod held;
#[path = "support/keeper.rs"]
mod support;

use mainstay::blackbox::layout::{BOARD, CELLS};
use mainstay::blackbox::{BlackBox, Noter};
use mainstay::board::{Board, Options};
use mainstay::flags::guard::{Errors, Guarding, Mode, Probe};
use mainstay::flags::{Declaration, Unit, Value};
use mainstay::ipc::builtin::{FromKeeper, ToKeeper, Told};
use mainstay::ipc::control::{Event, What};
use mainstay::ipc::declared::Declarations;
use mainstay::ipc::flags::{Edit, How, Reply, Request};
use mainstay::sys::clock;
use mainstay::time::{Duration, Wall};
use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use support::{Home, Life, declaration};

/// A supervisor with two instances of `web`, as the keeper sees it.
struct Supervisor {
    home: Home,
    seq: Cell<u64>,
    run: Cell<u64>,
}

fn guarded(name: &str, guard: Guarding) -> Declaration {
    Declaration { guard: Some(guard), ..declaration(name) }
}

fn by_crashes() -> Guarding {
    Guarding { services: vec!["web".into()], ..Guarding::default() }
}

impl Supervisor {
    fn new(flags: Vec<Declaration>) -> Supervisor {
        Supervisor::of(Home::new(&[]), flags)
    }

    fn of(home: Home, flags: Vec<Declaration>) -> Supervisor {
        home.declare_all(&Declarations { flags, ..Declarations::default() });
        Supervisor { home, seq: Cell::new(100), run: Cell::new(11) }
    }

    /// What each life of the keeper is told before `Begin`.
    fn greet(&self, abrupt: bool) {
        self.home.say(&ToKeeper::Hello { run: self.run.get(), abrupt }, &[]);
        for child in [1, 2] {
            let instance = format!("web#{child}");
            self.home.say(&ToKeeper::Tree(Told::Instance { child, service: "web".into(), instance }), &[]);
            self.home.say(&ToKeeper::Tree(Told::Life { child, incarnation: 1, pid: 1 }), &[]);
        }
        self.home.say(&ToKeeper::Tree(Told::Begin), &[]);
    }

    #[track_caller]
    fn start(&self) -> Life {
        let life = self.home.begin_ungreeted();
        self.greet(false);
        self.home.await_ready();
        life
    }

    fn event(&self, instance: &str, incarnation: u64, what: What) -> Event {
        self.seq.set(self.seq.get() + 1);
        Event {
            seq: self.seq.get(),
            time: Wall(self.seq.get() as i64),
            mono_ns: clock::now().as_nanos(),
            service: "web".into(),
            instance: instance.into(),
            incarnation,
            what,
        }
    }

    /// One more abnormal exit of an instance.
    fn crash(&self, instance: &str, incarnation: u64) -> Event {
        let what = What::Exited {
            code: Some(1),
            signal: None,
            core: false,
            lived_ns: 1,
            asked: false,
            abnormal: true,
            crash: self.seq.get(),
            pid: 7,
            restart: 1,
            max: 0,
            shutdown_error: false,
            oom: false,
            watchdog: false,
            unhealthy: false,
        };
        self.event(instance, incarnation, what)
    }

    fn tell(&self, event: &Event) {
        self.home.say(&ToKeeper::Happened(event.clone()), &[]);
    }

    /// Three crashes of one instance.
    fn crash_three_times(&self) -> Vec<Event> {
        let crashes: Vec<_> = (1..=3).map(|life| self.crash("web#1", life)).collect();
        crashes.iter().for_each(|event| self.tell(event));
        crashes
    }

    #[track_caller]
    fn set(&self, flag: &str, to: &str) -> u64 {
        let how = How {
            id: mainstay::services::keeper::client::fresh_id(),
            reason: "a try".into(),
            ..How::default()
        };
        let edits = vec![Edit::new(flag, to)];
        self.home.request(&Request::Set { how, edits }).unwrap_or_else(|e| panic!("{e:?}")).generation
    }

    /// Hears until the guard says that it took something back.
    #[track_caller]
    fn rolled_back(&self) -> (String, Vec<u64>, u64, bool) {
        let rolled_back =
            |said: &FromKeeper| matches!(said, FromKeeper::Noted { what: What::RolledBack { .. }, .. });
        match self.home.hear_until(rolled_back) {
            FromKeeper::Noted { what: What::RolledBack { why, evidence, took_ns, observed, .. }, .. } => {
                (why, evidence, took_ns, observed)
            }
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn fed(&self) -> u64 {
        match self.home.hear_until(|said| matches!(said, FromKeeper::Feed { .. })) {
            FromKeeper::Feed { after } => after,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn three_crashes_take_a_change_back_ban_it_and_the_supervisor_is_told_once() {
    let rig = Supervisor::new(vec![guarded("risky", by_crashes()), declaration("other")]);
    let mut life = rig.start();
    rig.set("other", "on");
    rig.set("risky", "on");
    rig.fed();
    let crashes = rig.crash_three_times();
    let (why, evidence, took_ns, observed) = rig.rolled_back();
    assert_eq!(rig.home.board("risky"), Some(Value::Off.into()));
    assert_eq!(rig.home.board("other"), Some(Value::On.into()));
    assert!(why.contains("web") && !observed, "{why}");
    assert_eq!(evidence.len(), 3, "{evidence:?}");
    assert!(took_ns > 0 && took_ns < 60_000_000_000, "{took_ns}");
    let fresh = |said: &FromKeeper| matches!(said, FromKeeper::Fresh { services } if *services == ["web"]);
    rig.home.hear_until(fresh);
    assert_eq!(crashes.len(), 3);
    // Who tries again is refused, with who, when, why and evidence, and may insist.
    let edits = vec![Edit::new("risky", "on")];
    let how = How { reason: "again".into(), ..How::default() };
    let refusal = rig.home.request(&Request::Set { how: how.clone(), edits: edits.clone() }).unwrap_err();
    assert_eq!(refusal.code, 1);
    for word in ["banned", "guard", "since", "c-", "web"] {
        assert!(refusal.message.contains(word), "{word}: {refusal:?}");
    }
    let how = How { override_ban: true, ..how };
    rig.home.request(&Request::Set { how, edits }).unwrap();
    assert_eq!(rig.home.board("risky"), Some(Value::On.into()));
    let lines = mainstay::audit::newest(&mainstay::audit::file(&rig.home.state()), "risky", 3).unwrap().lines;
    assert!(lines[0].verb.ends_with("--override-ban"), "{lines:?}");
    assert!(lines.iter().any(|line| line.actor == "guard" && line.reason == why), "{lines:?}");
    let audited = rig.home.audited();
    assert!(audited.is_sorted_by(|one, next| one < next), "{audited:?}");
    life.assert_alive();
    // The next life has nothing to say about it again.
    let truth = rig.home.truth();
    assert!(truth.facts().fresh.is_empty() && truth.facts().bans.len() == 1, "{:?}", truth.facts());
}

#[test]
fn deaths_for_want_of_memory_and_missed_watchdogs_count_like_crashes() {
    let rig = Supervisor::new(vec![guarded("risky", by_crashes())]);
    let _life = rig.start();
    rig.set("risky", "on");
    rig.fed();
    for life in 1..=3 {
        let mut event = rig.crash("web#1", life);
        let What::Exited { oom, watchdog, .. } = &mut event.what else { panic!("{event:?}") };
        (*oom, *watchdog) = (life % 2 == 1, life % 2 == 0);
        rig.tell(&event);
    }
    assert_eq!(rig.rolled_back().1.len(), 3);
    assert_eq!(rig.home.board("risky"), Some(Value::Off.into()));
}

#[test]
fn a_keeper_that_is_killed_while_a_change_bakes_takes_it_up_and_misses_no_crash() {
    let rig = Supervisor::new(vec![guarded("risky", by_crashes())]);
    let mut life = rig.start();
    rig.set("risky", "on");
    rig.fed();
    let first = [rig.crash("web#1", 1), rig.crash("web#1", 2)];
    first.iter().for_each(|event| rig.tell(event));
    life.kill();
    let _life = rig.start();
    assert_eq!(rig.home.board("risky"), Some(Value::On.into()), "still baking");
    // The ring tells the new life what the old one knew.
    rig.fed();
    first.iter().for_each(|event| rig.tell(event));
    rig.tell(&rig.crash("web#1", 3));
    let (_, evidence, _, _) = rig.rolled_back();
    assert_eq!(evidence.len(), 3);
    assert_eq!(rig.home.board("risky"), Some(Value::Off.into()));
}

#[test]
fn three_abrupt_starts_take_a_change_back_before_anything_is_ready() {
    let rig = Supervisor::new(vec![guarded("risky", by_crashes())]);
    let mut life = rig.start();
    rig.set("risky", "on");
    for run in 12..15 {
        life.kill();
        rig.run.set(run);
        life = rig.home.begin_ungreeted();
        rig.greet(true);
        rig.home.await_ready();
        let expected = if run == 14 { Value::Off } else { Value::On };
        assert_eq!(rig.home.board("risky"), Some(expected.into()), "start {run}");
    }
    assert_eq!(rig.home.truth().facts().bans.len(), 1);
}

#[test]
fn it_is_not_ready_before_the_supervisor_has_said_everything_and_does_not_wait_for_one_that_is_silent() {
    let rig = Supervisor::new(vec![declaration("x")]);
    let mut life = rig.home.begin_ungreeted();
    // Nobody says anything: it waits for its two seconds, and no longer.
    rig.home.await_ready();
    rig.home.set("x", Value::On);
    life.kill();
    // The board stands since before; what must not be said yet is that everything is well.
    let _life = rig.home.begin_ungreeted();
    rig.home.say(&ToKeeper::Hello { run: 1, abrupt: false }, &[]);
    rig.home.say(&ToKeeper::Tree(Told::Begin), &[]);
    rig.home.await_ready();
}

/// What it has heard shows in what it holds: listeners, of which it keeps the newest few and closes the others.
#[test]
fn whoever_waits_for_it_is_not_told_that_it_is_ready_before_the_supervisor_has_said_everything() {
    for _ in 0..50 {
        let rig = Supervisor::new(vec![declaration("x")]);
        let listen = |name: &str| {
            let path = rig.home.runtime().join(name);
            let _ = std::fs::remove_file(&path);
            let listener: OwnedFd = std::os::unix::net::UnixListener::bind(&path).unwrap().into();
            rig.home.say(&ToKeeper::Listen, &[listener]);
            path
        };
        let began = clock::now();
        let _life = rig.home.begin_ungreeted();
        rig.home.say(&ToKeeper::Hello { run: 1, abrupt: false }, &[]);
        // Each time round it has heard what was said before, and had its turn.
        for _ in 0..3 {
            let mut held = std::os::unix::net::UnixStream::connect(listen("first")).unwrap();
            held.shutdown(std::net::Shutdown::Write).unwrap();
            (0..8).for_each(|_| drop(listen("others")));
            // Ended or reset: nobody listens there any more; or somebody took it, which only a ready one does.
            let _ = std::io::Read::read(&mut held, &mut [0]);
        }
        let early = rig.home.is_ready();
        // After two seconds it waits no longer, and may well be ready.
        let in_time = clock::now().since(began) < std::time::Duration::from_secs(2);
        assert!(!(early && in_time), "ready, and nothing is known of the instances");
        rig.home.say(&ToKeeper::Tree(Told::Begin), &[]);
        if !early {
            rig.home.await_ready();
        }
        if in_time {
            return;
        }
    }
    panic!("it never heard in time");
}

#[test]
fn an_observing_guard_says_what_it_would_do_and_does_nothing() {
    let guard = Guarding { mode: Mode::Observe, ..by_crashes() };
    let rig = Supervisor::new(vec![guarded("risky", guard)]);
    let _life = rig.start();
    rig.set("risky", "on");
    rig.fed();
    rig.crash_three_times();
    let (_, _, _, observed) = rig.rolled_back();
    assert!(observed);
    assert_eq!(rig.home.board("risky"), Some(Value::On.into()));
}

fn script(place: &Path, name: &str, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = place.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn probing(argv: Vec<String>, timeout: Duration) -> Guarding {
    let probe = Probe { argv, directory: "/".into(), every: Duration::from_millis(20), timeout };
    Guarding { probe: Some(probe), ..by_crashes() }
}

#[test]
fn a_command_that_says_bad_takes_the_change_back() {
    let place = tempfile::tempdir().unwrap();
    let bad = script(place.path(), "bad", "exit 1");
    let rig = Supervisor::new(vec![guarded("risky", probing(vec![bad], Duration::from_secs(30)))]);
    let _life = rig.start();
    rig.set("risky", "on");
    rig.rolled_back();
    assert_eq!(rig.home.board("risky"), Some(Value::Off.into()));
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_its_helpers_and_clients_do_not_wait_for_it() {
    let place = tempfile::tempdir().unwrap();
    let pipe = place.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR).unwrap();
    // It holds the pipe open, and so does a helper of it, for as long as they live.
    let slow = script(
        place.path(),
        "slow",
        &format!("exec 3>{0}\necho started >&3\nsleep 1000 &\nwait", pipe.display()),
    );
    let rig = Supervisor::new(vec![
        guarded("risky", probing(vec![slow], Duration::from_secs(2))),
        declaration("other"),
    ]);
    let _life = rig.start();
    rig.set("risky", "on");
    let mut reader = std::io::BufReader::new(std::fs::File::open(&pipe).unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    assert_eq!(line, "started\n");
    // It runs, and the keeper answers.
    rig.set("other", "on");
    assert_eq!(rig.home.board("risky"), Some(Value::On.into()));
    // The end of the pipe comes when nobody holds it any more.
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut reader, &mut rest).unwrap();
    assert_eq!(rig.home.board("risky"), Some(Value::On.into()), "it does not know, so nothing is concluded");
}

#[test]
fn a_command_ends_with_a_keeper_that_is_killed() {
    let place = tempfile::tempdir().unwrap();
    let pipe = place.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR).unwrap();
    let slow = format!("exec 3>{}\necho started >&3\nexec sleep 1000", pipe.display());
    let slow = script(place.path(), "slow", &slow);
    let rig = Supervisor::new(vec![guarded("risky", probing(vec![slow], Duration::from_secs(900)))]);
    let mut life = rig.start();
    rig.set("risky", "on");
    let mut reader = std::io::BufReader::new(std::fs::File::open(&pipe).unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    assert_eq!(line, "started\n");
    life.kill();
    // The end of the pipe comes when nobody holds it any more; its own time is not over.
    assert_eq!(std::io::Read::read_to_string(&mut reader, &mut line).unwrap(), 0);
}

#[test]
fn a_share_by_instance_is_counted_by_the_instances_that_there_are() {
    let flag = Declaration { unit: Unit::Instance, services: vec!["web".into()], ..declaration("half") };
    let rig = Supervisor::new(vec![flag]);
    let _life = rig.start();
    rig.set("half", "50%");
    let on = |rig: &Supervisor| match &rig
        .home
        .request(&Request::List { flags: vec!["half".into()] })
        .unwrap()
        .replies[..]
    {
        [Reply::Flag(flag)] => flag.instances.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(on(&rig).len(), 1);
    for child in 3..=10 {
        let instance = format!("web#{child}");
        rig.home.say(&ToKeeper::Tree(Told::Instance { child, service: "web".into(), instance }), &[]);
    }
    let before = mainstay::board::Board::open(&rig.home.runtime());
    // The keeper hears the line before it takes a request.
    assert_eq!(on(&rig).len(), 5);
    let seen: Vec<bool> =
        (1..=10).map(|child| before.flag("half").is_on_for(&format!("web#{child}"))).collect();
    assert_eq!(seen.iter().filter(|on| **on).count(), 5, "{seen:?}");
}

/// A life of `web#1` whose black box a test writes as the service would.
fn black_box() -> (Noter<'static>, OwnedFd) {
    let the_box = BlackBox::make().unwrap();
    let cells = mainstay::sys::shared::map(std::os::fd::AsFd::as_fd(&the_box)).unwrap();
    (Noter::new(cells).unwrap(), the_box.into())
}

#[test]
fn who_has_read_a_flag_is_known_by_black_boxes_and_counts_where_nobody_is_named() {
    let guard = Guarding { services: vec![], ..Guarding::default() };
    let rig = Supervisor::new(vec![guarded("risky", guard)]);
    let _life = rig.start();
    let (noter, memory) = black_box();
    rig.home.say(&ToKeeper::Tree(Told::Life { child: 1, incarnation: 2, pid: 1 }), &[memory]);
    rig.set("risky", "on");
    rig.fed();
    let hash = mainstay::board::name_hash("risky").unwrap();
    assert!(noter.note(hash, 1, 2, clock::now()));
    let seen = rig.home.request(&Request::Seen { flags: vec!["risky".into()] }).unwrap().replies;
    let [Reply::Seen(seen)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((seen.service.as_str(), seen.running, seen.read, seen.newest), ("web", 2, 1, 0));
    for life in 2..5 {
        rig.tell(&rig.crash("web#1", life));
    }
    let (why, ..) = rig.rolled_back();
    assert!(why.contains("web"), "{why}");
}

#[test]
fn who_has_read_a_flag_shortly_before_it_died_is_known_when_its_death_is_told() {
    let guard = Guarding { services: vec![], ..Guarding::default() };
    let rig = Supervisor::new(vec![guarded("risky", guard)]);
    let _life = rig.start();
    rig.set("risky", "on");
    rig.fed();
    let hash = mainstay::board::name_hash("risky").unwrap();
    let begins = |incarnation, memory| {
        rig.home.say(&ToKeeper::Tree(Told::Life { child: 1, incarnation, pid: 1 }), &[memory]);
    };
    for life in 2..5 {
        let (noter, memory) = black_box();
        begins(life, memory);
        // The next life is there before the death of this one is told: now and then only the newest is looked at.
        begins(life + 1, black_box().1);
        // The keeper hears the line before it takes a request.
        rig.home.request(&Request::Where).unwrap();
        assert!(noter.note(hash, 1, 2, clock::now()));
        rig.tell(&rig.crash("web#1", life));
    }
    let (why, ..) = rig.rolled_back();
    assert!(why.contains("web"), "{why}");
}

#[test]
fn every_life_is_told_which_board_is_in_place_also_by_the_next_keeper() {
    let rig = Supervisor::new(vec![declaration("search")]);
    let the_box = BlackBox::make().unwrap();
    let cells: &'static [AtomicU64; CELLS] = mainstay::sys::shared::map(the_box.as_fd()).unwrap();
    let in_place = &cells[BOARD];
    let memory = OwnedFd::from(the_box);
    let mut life = rig.start();
    let tell = || {
        let memory = memory.try_clone().unwrap();
        rig.home.say(&ToKeeper::Tree(Told::Life { child: 1, incarnation: 2, pid: 2 }), &[memory]);
    };
    tell();
    let until = |holds: &dyn Fn() -> bool| {
        let start = clock::now();
        while !holds() {
            assert!(clock::now().since(start) < Duration::from_secs(60));
            std::thread::yield_now();
        }
    };
    until(&|| in_place.load(Ordering::Acquire) != 0);
    let first = in_place.load(Ordering::Acquire);
    let options = Options { in_place: Some(in_place), ..Options::default() };
    let board = Board::open_by(&rig.home.runtime(), options);
    let flag = board.flag("search");
    assert!(!flag.is_on() && !flag.is_on());
    // Nobody can retire the board that the life reads.
    life.kill();
    std::fs::remove_file(rig.home.runtime().join("board")).unwrap();
    std::fs::remove_file(rig.home.runtime().join(".kept/board")).unwrap();
    assert!(!flag.is_on());
    let _next = rig.start();
    tell();
    until(&|| ![0, first].contains(&in_place.load(Ordering::Acquire)));
    rig.set("search", "on");
    until(&|| flag.is_on());
}

#[test]
fn more_errors_than_before_take_a_change_back() {
    let guard = Guarding { errors: Some(Errors { delta: 5_000, samples: 200 }), ..by_crashes() };
    let rig = Supervisor::new(vec![guarded("risky", guard)]);
    let _life = rig.start();
    let (noter, memory) = black_box();
    rig.home.say(&ToKeeper::Tree(Told::Life { child: 1, incarnation: 2, pid: 1 }), &[memory]);
    (0..1000).for_each(|_| noter.count(true));
    rig.set("risky", "on");
    rig.fed();
    (0..500).for_each(|n| noter.count(n % 2 == 0));
    rig.rolled_back();
    assert_eq!(rig.home.board("risky"), Some(Value::Off.into()));
}

#[test]
fn what_is_taken_back_is_shown_also_when_the_disk_is_full_or_read_only() {
    use nix::mount::{MsFlags, mount};
    let name = "what_is_taken_back_is_shown_also_when_the_disk_is_full_or_read_only";
    disk::with_small_disk(name, 4 << 20, |place| {
        let home = Home::new(&[]);
        std::fs::remove_dir(home.state()).unwrap();
        std::os::unix::fs::symlink(place, home.state()).unwrap();
        let rig = Supervisor::of(home, vec![guarded("risky", by_crashes())]);
        let remount = |flags| {
            mount(None::<&str>, place, None::<&str>, MsFlags::MS_REMOUNT | flags, None::<&str>).unwrap();
        };
        let mut life = rig.start();
        rig.set("risky", "on");
        rig.fed();
        life.kill();
        remount(MsFlags::MS_RDONLY);
        let mut life = rig.start();
        rig.fed();
        rig.crash_three_times();
        let fresh = Cell::new(0);
        let hears =
            |said: &FromKeeper| fresh.set(fresh.get() + u32::from(matches!(said, FromKeeper::Fresh { .. })));
        rig.home.hear_until(|said| {
            hears(said);
            matches!(said, FromKeeper::Noted { what: What::RolledBack { .. }, .. })
        });
        assert_eq!(rig.home.board("risky"), Some(Value::Off.into()));
        assert_eq!(rig.home.truth().truth("risky"), Some(Value::On.into()), "in memory only");
        remount(MsFlags::empty());
        let healed = |said: &FromKeeper| matches!(said, FromKeeper::Noted { what: What::Repaired { what }, .. } if what.contains("journal"));
        rig.home.hear_until(|said| {
            hears(said);
            healed(said)
        });
        assert_eq!(fresh.get(), 1, "said once, however long it cannot be noted that it was");
        let truth = rig.home.truth();
        assert_eq!(
            (truth.facts().bans.len(), truth.truth("risky")),
            (1, None),
            "durable with the next journal"
        );
        life.assert_alive();
    });
}

/// The 30 ms: nobody measures them here. The disk never answers, and readers see it all the same.
#[test]
fn what_is_taken_back_is_shown_while_the_disk_does_not_answer_and_is_durable_when_it_does() {
    let rig = Supervisor::new(vec![guarded("risky", by_crashes())]);
    let mut life = rig.start();
    rig.set("risky", "on");
    rig.fed();
    let board = mainstay::board::Board::open(&rig.home.runtime());
    let on = board.generation().unwrap();
    let keeper = held::Seized::of(life.pid());
    rig.crash_three_times();
    // It has one thread, but for the one that brings what is taken back to the disk.
    let writer = keeper.hold_the_next_thread();
    let next = board.wait(on, Duration::from_secs(60)).expect("shown although nothing is on the disk");
    assert!(next > on);
    assert_eq!(rig.home.board("risky"), Some(Value::Off.into()));
    assert_eq!(rig.home.truth().truth("risky"), Some(Value::On.into()), "the journal has nothing yet");
    assert_eq!(rig.home.truth().facts().bans.len(), 0);
    let newest =
        || mainstay::audit::newest(&mainstay::audit::file(&rig.home.state()), "risky", 1).unwrap().lines;
    assert_ne!(newest()[0].actor, "guard");
    writer.release();
    let slow = |said: &FromKeeper| matches!(said, FromKeeper::Noted { what: What::Warning { message }, .. } if message.contains("the disk is slow"));
    rig.home.hear_until(slow);
    let (_, evidence, ..) = rig.rolled_back();
    assert_eq!(evidence.len(), 3);
    // Answered after everything above, as the next thing that the keeper does.
    let truth = rig.home.truth();
    assert_eq!((truth.truth("risky"), truth.facts().bans.len()), (None, 1));
    assert_eq!(newest()[0].actor, "guard");
    life.assert_alive();
}
