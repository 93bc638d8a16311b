//! Trees in a process of their own.

use crate::rig::*;
use crate::support;
use mainstay::embed::*;
use nix::sys::signal::Signal as Number;

#[test]
fn a_tree_as_a_child_restarts_what_dies_and_leaves_nothing() {
    let room = Room::new();
    let running = room.tree("t").add(sleeper("web")).spawn_child().unwrap();
    let handle = running.handle();
    assert_ne!(running.pid(), std::process::id());
    all_up(&handle);
    assert_eq!(handle.status().unwrap().head.pid, running.pid());
    let cursor = handle.cursor().unwrap();
    support::kill(pid(&handle, "web") as i32, Number::SIGKILL);
    next_life(&handle, "web", cursor);
    let attached = room.tree("t").attach().unwrap();
    assert_eq!(attached.status().unwrap().head.pid, running.pid());
    let another = room.tree("t").add(sleeper("web")).add(sleeper("db"));
    let reloaded = handle.reload(&another, Reload::default()).unwrap();
    next_life(&handle, "db", reloaded.cursor);
    assert_eq!(running.shutdown().unwrap(), End::Asked);
    assert!(matches!(handle.cursor(), Err(Error::Ended)));
    assert!(matches!(attached.cursor(), Err(Error::Ended)));
    assert!(matches!(room.tree("t").attach(), Err(Error::Ended)));
    room.nothing_is_left();
}

#[test]
fn a_supervisor_that_was_killed_is_lost_and_its_handle_says_so() {
    let room = Room::new();
    let running = room.tree("t").add(sleeper("web")).spawn_child().unwrap();
    let handle = running.handle();
    all_up(&handle);
    let mut events = handle.events(0).unwrap();
    assert!(events.next().is_some_and(|event| event.is_ok()));
    support::kill(running.pid() as i32, Number::SIGKILL);
    let lost = running.wait().unwrap_err();
    assert!(matches!(&lost, Error::Lost(how) if how.ends_with("SIGKILL")), "{lost:?}");
    assert!(matches!(handle.cursor(), Err(Error::Ended)));
    // What had been sent comes, and then the end.
    let _ = events.by_ref().map_while(Result::ok).count();
    assert!(events.next().is_none());
    // The next one ends what it left, and begins.
    let next = room.tree("t").add(sleeper("web")).spawn_child().unwrap();
    all_up(&next.handle());
    let webs = room.processes().into_iter().filter(|pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.starts_with(b"sleep\0")
    });
    assert_eq!(webs.collect::<Vec<_>>(), [pid(&next.handle(), "web") as i32], "the only one");
    next.shutdown().unwrap();
    room.nothing_is_left();
}

#[test]
fn a_tree_that_ends_by_itself_says_how_to_its_host() {
    let room = Room::new();
    let dies = Service::new("dies", ["false"]).backoff(Backoff::NONE);
    let tree = room.tree("t").intensity(0).add(dies);
    assert_eq!(tree.spawn_child().unwrap().wait().unwrap(), End::GaveUp);
    let once = Service::new("once", ["true"]).restart(Restart::Temporary).significant(true);
    let tree = room.tree("t").auto_shutdown(AutoShutdown::Any).add(once);
    assert_eq!(tree.spawn_child().unwrap().wait().unwrap(), End::Finished);
    room.nothing_is_left();
}

#[test]
fn a_running_tree_that_is_dropped_stops_or_stays_as_it_was_told() {
    let room = Room::new();
    drop(room.tree("t").add(sleeper("web")).spawn_child().unwrap());
    room.nothing_is_left();
    drop(room.tree("t").add(sleeper("web")).on_host_death(OnHostDeath::Stay).spawn_child().unwrap());
    let handle = room.tree("t").attach().unwrap();
    all_up(&handle);
    handle.shutdown().unwrap();
    room.nothing_is_left();
}

/// This program's `main` is the harness's and does not begin with `enter`: nothing may be started from it.
#[test]
fn without_enter_in_main_nothing_is_started() {
    let room = Room::new();
    let tree = || Tree::new("t").runtime_dir(room.runtime()).state_dir(room.path().join("state"));
    for error in
        [tree().spawn().unwrap_err(), tree().spawn_child().unwrap_err(), tree().run(|_, _| {}).unwrap_err()]
    {
        assert!(matches!(error, Error::NotEntered), "{error:?}");
        assert!(
            error.to_string().contains("mainstay::embed::enter()") && error.hint().contains("first line")
        );
    }
    assert!(!room.runtime().exists());
}

#[test]
fn a_program_that_does_not_become_one_of_mainstays_own_is_refused() {
    let room = Room::new();
    for (program, expected) in [
        ("/bin/true", "it did not answer"),
        ("/bin/cat", "it did not answer"),
        ("/no/such/program", "it cannot be opened"),
        ("/etc/hostname", "hostname"),
    ] {
        for error in [
            room.tree("t").program(program).spawn().unwrap_err(),
            room.tree("t").program(program).spawn_child().unwrap_err(),
        ] {
            let Error::Program { path, message } = &error else { panic!("{error:?}") };
            assert_eq!(path.as_os_str(), program);
            assert!(message.contains(expected) || program == "/etc/hostname", "{program}: {message}");
        }
    }
    assert_eq!(room.processes(), Vec::<i32>::new());
}
