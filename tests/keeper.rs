//! The keeper as its clients and its supervisor meet it: real processes, killed at will.
//!
//! What must hold: whoever has an acknowledgement reads the new value on the board, and finds it in the
//! journal, once, whatever died meanwhile (J1); nothing that others do ends the keeper.

#![allow(clippy::unwrap_used)]

#[path = "support/disk.rs"]
mod disk;
#[path = "support/keeper.rs"]
mod support;

use mainstay::flags::{Declaration, Truth, Value};
use mainstay::ipc::builtin::{FromKeeper, ToKeeper};
use mainstay::ipc::control::What;
use mainstay::ipc::flags::{How, Reply, Request, To};
use mainstay::services::keeper::client::{self, AskError};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use support::{Home, WATCHDOG, declaration, edit};

fn set(flag: &str, to: To) -> Request {
    let how = How { id: client::fresh_id(), ..How::default() };
    Request::Set { how, edits: vec![edit(flag, to)] }
}

/// What of the supervisor's numbered stream this is, if it is something for it.
fn noted(said: &FromKeeper) -> Option<&What> {
    match said {
        FromKeeper::Noted { what, .. } => Some(what),
        _ => None,
    }
}

const ON: To = To::Value(Value::On);

#[test]
fn whoever_has_the_acknowledgement_reads_the_new_value_everywhere() {
    let home = Home::new(&["new-checkout", "other"]);
    let _life = home.start();
    assert_eq!(home.board("new-checkout"), Some(Value::Off.into()));
    // The first change is that the keeper met its supervisor.
    for (generation, share) in (2..200).zip((0..=100_000).step_by(501)) {
        let value = Value::of_share(share);
        let changed = home.set("new-checkout", value);
        assert_eq!(home.board("new-checkout"), Some(value.into()));
        assert_eq!(home.truth().truth("new-checkout"), Some(value.into()));
        assert_eq!((changed.generation, changed.durable), (generation, true));
        assert_eq!(mainstay::board::Board::open(&home.runtime()).generation(), Some(generation));
    }
    assert_eq!(home.board("other"), Some(Value::Off.into()));
}

#[test]
fn the_supervisor_is_told_of_each_change() {
    let home = Home::new(&["x"]);
    let _life = home.start();
    home.set("x", Value::Share(12_500));
    let told = home.hear();
    let name = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    let expected = FromKeeper::Noted {
        name: "x".into(),
        what: What::FlagChanged {
            old: "off".into(),
            new: "12.5%".into(),
            generation: home.truth().generation(),
            actor: name,
            reason: "a test".into(),
        },
    };
    assert_eq!(told, expected);
}

#[test]
fn an_unknown_flag_is_refused_with_the_name_that_was_probably_meant() {
    let home = Home::new(&["new-checkout", "log-level"]);
    let _life = home.start();
    let refusal = home.set_as(1, "new-chekout", ON).unwrap_err();
    assert_eq!(refusal.code, 4);
    assert_eq!(refusal.message, "no flag `new-chekout`");
    assert_eq!(refusal.hint, "did you mean `new-checkout`?");
    // One wrong name among several: no part of it is done.
    let edits = ["new-checkout", "nothing-like-it"].map(|flag| edit(flag, ON)).to_vec();
    let request = Request::Set { how: How::default(), edits };
    assert!(matches!(home.ask(&request), Err(AskError::Refused(r)) if r.code == 4));
    assert_eq!(home.board("new-checkout"), Some(Value::Off.into()));
}

#[test]
fn a_change_that_is_sent_again_is_made_once_also_across_a_death() {
    let home = Home::new(&["x"]);
    let mut life = home.start();
    let first = home.set_as(77, "x", ON).unwrap();
    assert!(!first.repeated);
    let again = home.set_as(77, "x", ON).unwrap();
    assert!(again.repeated);
    assert_eq!((&again.old, &again.new, again.generation), (&first.old, &first.new, first.generation));
    // Somebody else's later change is not undone by the repetition of an earlier one.
    home.set("x", Value::Share(5_000));
    assert!(home.set_as(77, "x", ON).unwrap().repeated);
    assert_eq!(home.board("x"), Some(Value::Share(5_000).into()));
    life.kill();
    let _life = home.start();
    assert!(home.set_as(77, "x", ON).unwrap().repeated);
    assert_eq!(home.board("x"), Some(Value::Share(5_000).into()));
    assert_eq!(home.truth().generation(), again.generation + 1);
}

#[test]
fn disabled_keeps_the_value_and_reset_forgets_it() {
    let home = Home::new(&["a", "b", "c"]);
    let _life = home.start();
    home.set("a", Value::Share(30_000));
    home.set_as(1, "a", To::Disabled).unwrap();
    let disabled = Truth { value: Value::Share(30_000), disabled: true };
    assert_eq!(home.board("a"), Some(disabled));
    home.set("b", Value::On);
    let how = How { id: 2, reason: "all".into(), ..How::default() };
    let reset = Request::Reset { how, flags: vec![] };
    let answer = home.ask(&reset).unwrap();
    assert_eq!(answer.replies.len(), 2, "only what was set: {answer:?}");
    for flag in ["a", "b", "c"] {
        assert_eq!(home.board(flag), Some(Value::Off.into()));
        assert_eq!(home.truth().truth(flag), None);
    }
    assert_eq!(home.truth().get("a").unwrap().reason, "all");
}

#[test]
fn a_dry_run_says_what_would_be_and_does_nothing() {
    let home = Home::new(&["x"]);
    let _life = home.start();
    let how = How { id: 1, dry_run: true, ..How::default() };
    let request = Request::Set { how, edits: vec![edit("x", ON)] };
    let answer = home.ask(&request).unwrap();
    assert!(matches!(&answer.replies[..], [Reply::Changed(c)] if c.old == "off" && c.new == "on"));
    assert_eq!(home.board("x"), Some(Value::Off.into()));
    assert!(home.truth().get("x").is_none());
}

#[test]
fn what_the_configuration_no_longer_declares_is_unknown_and_comes_back_as_it_was() {
    let home = Home::new(&["stays", "goes"]);
    let mut life = home.start();
    home.set("goes", Value::On);
    life.kill();
    home.declare(&[declaration("stays"), Declaration { default: Value::On, ..declaration("new") }]);
    let mut life = home.start();
    assert_eq!(home.set_as(1, "goes", ON).unwrap_err().code, 4);
    assert_eq!(home.board("goes"), None);
    assert_eq!(home.board("new"), Some(Value::On.into()), "its default");
    life.kill();
    home.declare(&[declaration("stays"), declaration("goes")]);
    let _life = home.start();
    assert_eq!(home.board("goes"), Some(Value::On.into()));
}

#[test]
fn json_lines_are_answered_in_json_lines() {
    let home = Home::new(&["x"]);
    let _life = home.start();
    let mut stream = UnixStream::connect(client::socket(&home.runtime())).unwrap();
    stream.set_read_timeout(Some(WATCHDOG)).unwrap();
    stream.write_all(b"{\"request\":\"set\",\"edits\":[{\"flag\":\"x\",\"to\":\"25%\"}]}\n").unwrap();
    let lines: Vec<_> = BufReader::new(stream).lines().map(Result::unwrap).collect();
    assert_eq!(
        lines,
        [
            r#"{"reply":"changed","flag":"x","old":"off","new":"25%","generation":2,"unchanged":false,"repeated":false,"durable":true}"#,
            r#"{"reply":"done","generation":2,"durable":true}"#,
        ]
    );
}

#[test]
fn a_long_list_goes_in_pieces_to_whoever_reads_it_slowly() {
    let names: Vec<_> = (0..10_000).map(|n| format!("flag-{n:05}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let home = Home::new(&names);
    let _life = home.start();
    let answer = home.ask(&Request::List { flags: vec![] }).unwrap();
    let seen: Vec<_> = answer
        .replies
        .iter()
        .map(|reply| match reply {
            Reply::Flag(flag) => flag.declared.name.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seen, names);
}

#[test]
fn b1_a_successor_waits_for_the_lock_and_takes_over_when_it_is_free() {
    let home = Home::new(&["x"]);
    let mut first = home.start();
    let second = home.begin();
    // It waits in the kernel, not in a loop of its own: `/proc/locks` shows it as blocked.
    let waits = format!(" {} ", second.id());
    let deadline = mainstay::sys::clock::now() + WATCHDOG;
    while !std::fs::read_to_string("/proc/locks")
        .unwrap()
        .lines()
        .any(|line| line.contains("->") && line.contains(&waits))
    {
        assert!(mainstay::sys::clock::now() < deadline && !home.is_ready(), "two keepers at once");
        std::thread::yield_now();
    }
    assert!(!home.is_ready(), "two keepers at once");
    home.set("x", Value::On);
    first.kill();
    home.await_ready();
    assert_eq!(home.board("x"), Some(Value::On.into()));
    home.set("x", Value::Off);
}

#[test]
fn b1_the_lock_is_not_inherited() {
    let home = Home::new(&["x"]);
    let life = home.start();
    for entry in std::fs::read_dir(format!("/proc/{}/fd", life.id())).unwrap() {
        let entry = entry.unwrap();
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        if !target.starts_with(home.state()) {
            continue;
        }
        let info = format!("/proc/{}/fdinfo/{}", life.id(), entry.file_name().display());
        let info = std::fs::read_to_string(info).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        let flags = i32::from_str_radix(flags, 8).unwrap();
        assert_ne!(flags & libc_cloexec(), 0, "{} is inherited", target.display());
    }
}

fn libc_cloexec() -> i32 {
    nix::fcntl::OFlag::O_CLOEXEC.bits()
}

#[test]
fn b6_a_deleted_board_and_a_deleted_runtime_directory_come_back() {
    let home = Home::new(&["x"]);
    let mut life = home.start();
    home.set("x", Value::Share(40_000));
    let board = home.runtime().join("board");
    let kept = home.runtime().join(".kept");
    let repaired = |said: &FromKeeper| matches!(noted(said), Some(What::Repaired { .. }));
    home.hear_until(|said| matches!(noted(said), Some(What::FlagChanged { .. })));
    for ruin in [
        Box::new(|| std::fs::remove_file(&board).unwrap()) as Box<dyn Fn()>,
        Box::new(|| std::fs::remove_dir_all(&kept).unwrap()),
        Box::new(|| std::fs::write(&board, "rubbish").unwrap()),
        Box::new(|| {
            // It is being put back meanwhile.
            while std::fs::create_dir(&board).is_err() {
                let _ = std::fs::remove_file(&board);
            }
        }),
        // It is being put back while it is removed: until one call got all of it.
        Box::new(|| {
            while let Err(e) = std::fs::remove_dir_all(home.runtime()) {
                assert_eq!(e.kind(), std::io::ErrorKind::DirectoryNotEmpty);
            }
        }),
    ] {
        ruin();
        home.hear_until(repaired);
        // Several repairs may be needed and told; the last word is what readers see.
        let deadline = std::time::Duration::from_secs(30);
        let reader = mainstay::board::Board::open(&home.runtime());
        while reader.read("x").truth != Some(Value::Share(40_000).into()) {
            assert!(reader.wait(u64::MAX, deadline).is_some(), "no board");
        }
        life.assert_alive();
    }
    // The socket went with the directory; the supervisor makes a new one and hands it down.
    let listener = home.bind_again();
    home.say(&ToKeeper::Listen, &[listener]);
    home.set("x", Value::On);
    assert_eq!(home.board("x"), Some(Value::On.into()));
    life.assert_alive();
}

#[test]
fn a_keeper_without_a_line_to_a_supervisor_works() {
    let home = Home::new(&["x"]);
    let _life = home.start_without_line();
    home.set("x", Value::On);
    assert_eq!(home.board("x"), Some(Value::On.into()));
}

#[test]
fn on_a_read_only_disk_flags_are_read_and_changes_refused_and_it_heals() {
    use nix::mount::{MsFlags, mount};
    let name = "on_a_read_only_disk_flags_are_read_and_changes_refused_and_it_heals";
    disk::with_small_disk(name, 4 << 20, |place| {
        let home = Home::new(&["x", "y"]);
        std::fs::remove_dir(home.state()).unwrap();
        std::os::unix::fs::symlink(place, home.state()).unwrap();
        let remount = |flags| {
            mount(None::<&str>, place, None::<&str>, MsFlags::MS_REMOUNT | flags, None::<&str>).unwrap();
        };
        let mut life = home.start();
        home.set("x", Value::Share(1));
        life.kill();
        remount(MsFlags::MS_RDONLY);
        let mut life = home.start();
        assert_eq!(home.board("x"), Some(Value::Share(1).into()), "what can be read is shown");
        let said = home.hear_until(
            |said| matches!(noted(said), Some(What::Warning { message }) if message.contains("refused")),
        );
        let Some(What::Warning { message }) = noted(&said) else { unreachable!() };
        assert!(message.contains("Read-only") && message.contains("remount"), "{message}");
        let refusal = home.set_as(1, "x", ON).unwrap_err();
        assert_eq!(refusal.code, 1);
        assert!(refusal.message.contains("was not made"), "{refusal:?}");
        assert!(refusal.hint.contains("--volatile"), "{refusal:?}");
        assert_eq!(home.board("x"), Some(Value::Share(1).into()));
        let how = How { id: 2, volatile: true, ..How::default() };
        let request = Request::Set { how, edits: vec![edit("y", ON)] };
        let answer = home.ask(&request).unwrap();
        assert!(!answer.durable);
        assert_eq!(home.board("y"), Some(Value::On.into()));
        assert!(!home.where_is_everything().trouble.is_empty());
        remount(MsFlags::empty());
        home.hear_until(
            |said| matches!(noted(said), Some(What::Repaired { what }) if what.contains("journal")),
        );
        assert_eq!(home.truth().truth("y"), Some(Value::On.into()), "durable with the new journal");
        assert!(home.set("x", Value::On).durable);
        life.assert_alive();
    });
}

#[test]
fn a_full_disk_at_the_start_is_lived_with_until_there_is_room() {
    let name = "a_full_disk_at_the_start_is_lived_with_until_there_is_room";
    disk::with_small_disk(name, 2 << 20, |place| {
        let home = Home::new(&["x"]);
        std::fs::remove_dir(home.state()).unwrap();
        std::os::unix::fs::symlink(place, home.state()).unwrap();
        let ballast = place.join("ballast");
        disk::fill(&ballast);
        let _life = home.start();
        assert_eq!(home.board("x"), Some(Value::Off.into()));
        let refusal = home.set_as(1, "x", ON).unwrap_err();
        assert!(refusal.message.contains("No space left"), "{refusal:?}");
        std::fs::remove_file(&ballast).unwrap();
        assert!(home.set("x", Value::On).durable, "the next change heals it");
    });
}

/// Room is reserved for a mebibyte of the audit log, which is some two thousand lines, and for a journal's worth of changes that
/// wait for it. Reasons are long here, so that fewer fill it.
#[test]
fn on_a_disk_that_stays_full_changes_end_with_a_word_reads_go_on_and_nothing_is_lost() {
    let name = "on_a_disk_that_stays_full_changes_end_with_a_word_reads_go_on_and_nothing_is_lost";
    disk::with_small_disk(name, 4 << 20, |place| {
        let home = Home::new(&["x"]);
        std::fs::remove_dir(home.state()).unwrap();
        std::os::unix::fs::symlink(place, home.state()).unwrap();
        let mut life = home.start();
        home.set("x", Value::Off);
        let first = home.audited().len() as u64;
        let ballast = place.join("ballast");
        disk::fill(&ballast);
        let value = |n: u64| Value::of_share((n % 90_000) as u32 + 1);
        let mut made = 0;
        let warned = std::cell::RefCell::new(Vec::new());
        // Everything up to what is asked for, and what it warned of on the way.
        let hear_until = |wanted: &dyn Fn(&What) -> bool| {
            home.hear_until(|said| {
                if let Some(What::Warning { message }) = noted(said) {
                    warned.borrow_mut().push(message.clone());
                }
                noted(said).is_some_and(wanted)
            });
        };
        let change = |to: Value, volatile| {
            let reason = "a long story. ".repeat(140);
            let how = How { id: client::fresh_id(), volatile, reason, ..How::default() };
            home.request(&Request::Set { how, edits: vec![edit("x", To::Value(to))] })
        };
        let refusal = loop {
            match change(value(made + 1), false) {
                Ok(answer) => assert!(answer.durable),
                Err(refusal) => break refusal,
            }
            made += 1;
            assert!(made < 20_000, "it goes on for ever");
            hear_until(
                &|what| matches!(what, What::FlagChanged { new, .. } if *new == value(made).to_string()),
            );
        };
        assert!(made * 2_500 > 1 << 20, "room was reserved: {made}");
        // It says what is the matter, where, and what to do; and so does whoever looks.
        assert_eq!(refusal.code, 1);
        assert!(
            refusal.message.starts_with("the change cannot be made durable and was not made: "),
            "{refusal:?}"
        );
        assert!(refusal.message.contains("No space left on device"), "{refusal:?}");
        assert!(refusal.hint.starts_with("make room on that disk; or use --volatile"), "{refusal:?}");
        assert!(home.where_is_everything().trouble.contains("No space left on device"));
        hear_until(
            &|what| matches!(what, What::Warning { message } if message.starts_with("flag changes are refused")),
        );
        let warned = warned.take();
        let audit = |message: &&String| message.starts_with("the audit log cannot be written");
        assert_eq!(warned.iter().filter(audit).count(), 1, "said once: {warned:?}");
        // Reads go on, and say what was acknowledged last: from the board, from the keeper, and after its death.
        let last = Some(value(made).into());
        let check = |home: &Home| {
            assert_eq!(home.board("x"), last);
            assert_eq!(home.truth().truth("x"), last);
            let list = home.ask(&Request::List { flags: vec!["x".into()] }).unwrap().replies;
            let [Reply::Flag(flag)] = &list[..] else { panic!("{list:?}") };
            assert_eq!((Some(flag.truth), flag.durable), (last, true));
        };
        check(&home);
        life.kill();
        let mut life = home.start();
        check(&home);
        assert!(change(Value::On, false).is_err(), "it is still full");
        // Who takes less gets less, and is told.
        assert!(!change(Value::Off, true).unwrap().durable);
        assert_eq!(home.board("x"), Some(Value::Off.into()));
        // With room everything is durable, and the log has every change once.
        std::fs::remove_file(&ballast).unwrap();
        let on = home.set("x", Value::On);
        assert!(on.durable);
        let audited = home.audited();
        assert_eq!(audited.len() as u64, first + made + 2, "each once");
        assert!(audited.is_sorted_by(|one, next| one < next), "{audited:?}");
        assert_eq!(*audited.last().unwrap(), on.generation);
        life.assert_alive();
    });
}

#[test]
fn a_stranger_is_refused_before_a_byte_of_his_is_read() {
    const STRANGER: &str = "MAINSTAY_TEST_STRANGER";
    if let Some(runtime) = std::env::var_os(STRANGER) {
        let asked = client::ask(std::path::Path::new(&runtime), &set("x", ON), WATCHDOG);
        assert!(matches!(&asked, Err(AskError::Refused(r)) if r.code == 77), "{asked:?}");
        return;
    }
    assert!(nix::unistd::geteuid().is_root(), "only root can act a stranger's part: run this test as root");
    let home = Home::new(&["x"]);
    let mut life = home.start();
    let open = |path: std::path::PathBuf, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(home.runtime().parent().unwrap().to_owned(), 0o755);
    open(home.runtime(), 0o755);
    open(home.runtime().join("control"), 0o755);
    open(client::socket(&home.runtime()), 0o666);
    // Opened by us: the stranger may not be allowed to walk to the test's own file.
    let program = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    nix::fcntl::fcntl(&program, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&program);
    let mut stranger = std::process::Command::new(format!("/proc/self/fd/{number}"));
    stranger.args(["--exact", "a_stranger_is_refused_before_a_byte_of_his_is_read", "--nocapture"]);
    stranger.env(STRANGER, home.runtime()).current_dir("/");
    std::os::unix::process::CommandExt::uid(&mut stranger, 65534);
    assert!(stranger.status().unwrap().success());
    assert_eq!(home.board("x"), Some(Value::Off.into()));
    life.assert_alive();
}

#[test]
fn random_bytes_never_kill_it_and_never_hold_it_up() {
    let home = Home::new(&["x"]);
    let mut life = home.start();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let valid = mainstay::ipc::frame::encode(mainstay::ipc::frame::Form::Binary, &set("x", ON)).unwrap();
    for round in 0..4_000 {
        let mut stream = UnixStream::connect(client::socket(&home.runtime())).unwrap();
        let mut bytes: Vec<u8> = match round % 4 {
            0 => (0..next() % 300).map(|_| next() as u8).collect(),
            1 => {
                let mut bytes = valid.clone();
                let at = next() as usize % bytes.len();
                bytes[at] ^= 1 << (next() % 8);
                bytes
            }
            2 => valid[..next() as usize % valid.len()].to_vec(),
            _ => b"{\"request\":\"set\",\"edits\":[{\"flag\":\"x\"".to_vec(),
        };
        if round % 8 == 3 {
            bytes.push(b'\n');
        }
        // It may hang up before it has everything.
        let _ = stream.write_all(&bytes);
        if round % 3 == 0 {
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
    life.assert_alive();
    home.set("x", Value::Share(7));
    assert_eq!(home.board("x"), Some(Value::Share(7).into()));
}

#[test]
fn whoever_holds_connections_and_says_nothing_does_not_shut_others_out_for_ever() {
    let home = Home::new(&["x"]);
    let _life = home.start();
    let silent: Vec<_> =
        (0..64).map(|_| UnixStream::connect(client::socket(&home.runtime())).unwrap()).collect();
    // They lose their places when their time is over; ours is behind them in the backlog.
    home.set("x", Value::On);
    drop(silent);
}
