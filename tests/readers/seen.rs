//! What a process has read is in its black box, whatever the language.

use super::programs::{EVERY, Running};
use mainstay::blackbox::{self, BlackBox, Counters};
use mainstay::board::{Board, Entry, Writer, name_hash};
use mainstay::flags::Value;
use mainstay::report;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::process::Command;

const OFF: u32 = 1 << 28;
const ON: u32 = 1 << 28 | 1 << 17;

/// The same as the verb `seen` of the other readers: reads, waits for the next change, reads, reports.
fn reader_in_rust(directory: &Path) {
    let board = Board::open(directory);
    let (mut generation, flag) = (board.generation().unwrap(), board.flag("checkout"));
    println!("{}", if flag.is_on() { "on" } else { "off" });
    loop {
        generation = board.wait(generation, std::time::Duration::from_secs(60)).unwrap();
        if flag.is_on() {
            break;
        }
    }
    report::ok();
    report::error();
    println!("on");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

/// Starts a reader with a black box; `command` is set to read `checkout`.
#[track_caller]
fn check(who: &str, command: impl FnOnce(&str) -> Command) {
    let folder = tempfile::tempdir().unwrap();
    let entries = [Entry::new("checkout", Value::Off), Entry::new("other", Value::On)];
    let (mut writer, _) = Writer::create(folder.path(), &entries, 41).unwrap();
    let the_box = BlackBox::make().unwrap();
    let inherited = rustix::io::fcntl_dupfd_cloexec(the_box.as_fd(), 3).unwrap();
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
    let mut command = command(folder.path().to_str().unwrap());
    command.env(blackbox::VARIABLE, inherited.as_raw_fd().to_string());
    let mut reader = Running::start(&mut command);
    drop(inherited);
    let mut hear = |expected: &str| while reader.hear() != expected {};
    let hash = name_hash("checkout").unwrap();
    let seen = || the_box.seen(hash).unwrap().unwrap_or_else(|| panic!("{who} noted nothing"));
    hear("off");
    assert_eq!((seen().body, seen().generation), (OFF, 41), "{who}");
    let first = seen().at;
    let generation = writer.set("checkout", Value::On.into()).unwrap();
    hear("on");
    assert_eq!((seen().body, seen().generation), (ON, generation), "{who}");
    assert!(seen().at > first, "{who}");
    assert_eq!(the_box.seen(name_hash("other").unwrap()).unwrap(), None, "{who} never read it");
    assert_eq!(the_box.counters().unwrap(), Counters { successes: 1, errors: 1 }, "{who}");
    reader.end();
    // It is dead, and what it has seen is there.
    let image = the_box.image().unwrap();
    assert_eq!(image.all_seen().map(|seen| seen.body).collect::<Vec<_>>(), [ON], "{who}");
    assert_eq!((image.torn(), image.overflows()), (0, 0), "{who}");
}

#[test]
fn the_parent_sees_which_value_a_child_has_read_in_rust() {
    const NAME: &str = "seen::the_parent_sees_which_value_a_child_has_read_in_rust";
    if let Some(directory) = std::env::var_os("READERS_DIRECTORY") {
        return reader_in_rust(Path::new(&directory));
    }
    check("Rust", |directory| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([NAME, "--exact", "--nocapture", "--quiet"]).env("READERS_DIRECTORY", directory);
        command
    });
}

#[test]
fn the_parent_sees_which_value_a_child_has_read_in_c_and_python() {
    for reader in EVERY {
        check(&format!("{reader:?}"), |directory| reader.command("seen", &[directory, "checkout"]));
    }
}
