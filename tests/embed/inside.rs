//! Trees in this very process.

use crate::rig::*;
use crate::support;
use mainstay::embed::*;
use mainstay::exit_code::ExitCode;
use nix::sys::signal::Signal as Number;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

#[test]
fn a_tree_on_a_thread_restarts_what_dies_and_leaves_nothing() {
    let room = Room::new();
    let running = room.tree("t").add(sleeper("web").instances(2)).spawn().unwrap();
    let handle = running.handle();
    all_up(&handle);
    let before = pid(&handle, "web#2");
    assert!(before > 0);
    let cursor = handle.cursor().unwrap();
    support::kill(before as i32, Number::SIGKILL);
    let after = next_life(&handle, "web#2", cursor);
    assert_ne!(before, after);
    assert_eq!(running.pid(), std::process::id());
    assert_eq!(running.shutdown().unwrap(), End::Asked);
    room.nothing_is_left();
}

#[test]
fn a_tree_on_the_calling_thread_tells_every_event_and_can_be_called_from_there() {
    let room = Room::new();
    let seen = Mutex::new(Vec::new());
    let mut calls = 0;
    let end = room.tree("t").add(sleeper("web")).run(|event, handle| {
        seen.lock().unwrap().push(event.clone());
        if matches!(event.what, What::AllUp { .. }) {
            assert_eq!(handle.status().unwrap().services.iter().filter(|s| !s.builtin).count(), 1);
            handle.begin_shutdown().unwrap();
            calls += 1;
        }
    });
    assert_eq!((end.unwrap(), calls), (End::Asked, 1));
    let seen = seen.into_inner().unwrap();
    let numbers: Vec<u64> = seen.iter().map(|event| event.seq).collect();
    let first = seen[0].seq;
    assert_eq!(numbers, (first..first + numbers.len() as u64).collect::<Vec<_>>(), "none is missing");
    assert_eq!(first, 1, "from the very first");
    assert!(seen.iter().any(|e| e.instance == "web" && matches!(e.what, What::Stopped)), "{seen:?}");
    room.nothing_is_left();
}

#[test]
fn a_panic_of_the_callback_ends_the_tree_in_order_and_is_passed_on() {
    let room = Room::new();
    let handle = Mutex::new(None);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        room.tree("t").add(sleeper("web")).run(|event, called| {
            *handle.lock().unwrap() = Some(called.clone());
            if matches!(event.what, What::AllUp { .. }) {
                std::panic::panic_any("the host's own words");
            }
        })
    }));
    let said = panic.expect_err("it is passed on");
    assert_eq!(said.downcast_ref::<&str>(), Some(&"the host's own words"));
    room.nothing_is_left();
    let handle = handle.into_inner().unwrap().unwrap();
    assert!(matches!(handle.cursor(), Err(Error::Ended)));
}

#[test]
fn a_handle_that_outlives_its_tree_gives_an_error_and_never_waits() {
    let room = Room::new();
    let running = room.tree("t").add(sleeper("web")).spawn().unwrap();
    let handle = running.handle();
    let mut events = handle.events(0).unwrap();
    let waiting = std::thread::spawn(move || {
        let told = events.by_ref().map(Result::unwrap).count();
        (told, events.next().is_none())
    });
    all_up(&handle);
    drop(running);
    let (told, over) = waiting.join().unwrap();
    assert!(told > 3 && over, "the events of the whole life, and then no more: {told}");
    let ended = |result: Result<(), Error>| assert!(matches!(result, Err(Error::Ended)), "{result:?}");
    ended(handle.status().map(drop));
    ended(handle.cursor().map(drop));
    ended(handle.events(0).map(drop));
    ended(handle.start(["web"]).map(drop));
    ended(handle.stop(["web"]).map(drop));
    ended(handle.restart(["web"]).map(drop));
    ended(handle.kill(["web"], Signal::TERM).map(drop));
    ended(handle.start_child(&NewChild::new("x", ["true"])).map(drop));
    ended(handle.terminate("web").map(drop));
    ended(handle.terminate_pid("jobs", 1).map(drop));
    ended(handle.restart_child("web").map(drop));
    ended(handle.delete_child("web").map(drop));
    ended(handle.count("").map(drop));
    ended(handle.which("").map(drop));
    ended(handle.scale([("web", 2)]).map(drop));
    ended(handle.reload(&room.tree("t"), Reload::default()).map(drop));
    ended(handle.begin_shutdown());
    ended(handle.shutdown());
    // Another tree in the same place is not the one that it is a handle to.
    let other = room.tree("t").add(sleeper("web")).spawn().unwrap();
    ended(handle.cursor().map(drop));
    other.shutdown().unwrap();
    room.nothing_is_left();
}

#[test]
fn two_trees_in_one_process_do_not_know_of_each_other() {
    let (one, two) = (Room::new(), Room::new());
    let first = one.tree("t").add(sleeper("web")).spawn().unwrap();
    let second = two.tree("t").add(sleeper("web")).spawn().unwrap();
    let (first_handle, second_handle) = (first.handle(), second.handle());
    all_up(&first_handle);
    all_up(&second_handle);
    let stays = pid(&second_handle, "web");
    let cursor = first_handle.cursor().unwrap();
    support::kill(pid(&first_handle, "web") as i32, Number::SIGKILL);
    next_life(&first_handle, "web", cursor);
    assert_eq!(first.shutdown().unwrap(), End::Asked);
    one.nothing_is_left();
    assert_eq!(pid(&second_handle, "web"), stays);
    assert_eq!(second_handle.count("").unwrap().active, 1);
    second.shutdown().unwrap();
    two.nothing_is_left();
}

#[test]
fn a_second_tree_in_the_same_place_is_refused() {
    let room = Room::new();
    let running = room.tree("t").spawn().unwrap();
    let error = room.tree("t").spawn().unwrap_err();
    assert!(matches!(error, Error::Begin { code: ExitCode::AlreadyRunning, .. }), "{error:?}");
    let error = room.tree("t").spawn_child().unwrap_err();
    assert!(matches!(error, Error::Begin { code: ExitCode::AlreadyRunning, .. }), "{error:?}");
    running.shutdown().unwrap();
}

/// Here is no subreaper, and perhaps no control group: what a life left behind is found all the same (S3).
#[test]
fn what_a_life_left_behind_is_gone_before_the_next_begins() {
    let room = Room::new();
    let script = "sleep 100000 & echo $! > helper.$MAINSTAY_INCARNATION; echo ready; exec sleep 100000";
    let web = Service::new("web", ["sh", "-c", script]).ready(Ready::output("ready"));
    let running = room.tree("t").add(web).spawn().unwrap();
    let handle = running.handle();
    let ready = event(&handle, 0, |event| matches!(event.what, What::Ready { .. }));
    let file = room.path().join(format!("helper.{}", ready.incarnation));
    let helper: i32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
    let helper = support::pidfd(helper).expect("the helper lives");
    support::kill(pid(&handle, "web") as i32, Number::SIGKILL);
    next_life(&handle, "web", ready.seq);
    let mut gone = [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&helper), nix::poll::PollFlags::POLLIN)];
    assert_eq!(nix::poll::poll(&mut gone, 0u8), Ok(1), "the helper is still there in the next life");
    running.shutdown().unwrap();
    room.nothing_is_left();
}

#[test]
fn children_come_and_go_by_name_by_template_and_in_pools() {
    let room = Room::new();
    let tree = room
        .tree("t")
        .add(Group::new("app").add(sleeper("web")))
        .add(Template::new("worker", ["sleep"]).restart(Restart::Transient))
        .add(Pool::new("jobs", Template::new("job", ["sleep"]).restart(Restart::Temporary)).max_children(1));
    let running = tree.spawn().unwrap();
    let handle = running.handle();
    all_up(&handle);
    let added = handle.start_child(&NewChild::of("worker", "mail").args(["100000"])).unwrap();
    assert_eq!(added.acted[0].instance, "worker@mail");
    let typed = NewChild::new("extra", ["sleep", "100000"]).group("app").restart(Restart::Temporary);
    handle.start_child(&typed.grace(Grace::Kill)).unwrap();
    assert!(matches!(handle.start_child(&NewChild::new("extra", ["true"])), Err(Error::Refused { .. })));
    let job = handle.start_child(&NewChild::in_pool("jobs").args(["100000"])).unwrap();
    assert_eq!(job.acted[0].instance, "job@1");
    assert!(matches!(handle.start_child(&NewChild::in_pool("jobs")), Err(Error::Refused { .. })));
    let names = |group: &str| {
        let which = handle.which(group).unwrap();
        which.into_iter().map(|which| which.name).collect::<Vec<_>>()
    };
    assert_eq!(names("@app"), ["extra", "web"]);
    let counts = handle.count("app").unwrap();
    assert_eq!((counts.specs, counts.active, counts.workers), (2, 2, 2));
    // Temporary: its end is the end of its specification.
    let gone = handle.terminate("extra").unwrap();
    event(&handle, gone.cursor, |e| e.instance == "extra" && matches!(e.what, What::Removed));
    let stopped = handle.terminate("worker@mail").unwrap();
    event(&handle, stopped.cursor, |e| e.instance == "worker@mail" && matches!(e.what, What::Stopped));
    let again = handle.restart_child("worker@mail").unwrap();
    next_life(&handle, "worker@mail", again.cursor);
    let stopped = handle.terminate("worker@mail").unwrap();
    event(&handle, stopped.cursor, |e| e.instance == "worker@mail" && matches!(e.what, What::Stopped));
    handle.delete_child("worker@mail").unwrap();
    assert!(matches!(handle.restart_child("worker@mail"), Err(Error::Refused { .. })));
    let gone = handle.terminate_pid("jobs", pid(&handle, "job@1")).unwrap();
    event(&handle, gone.cursor, |e| e.instance == "job@1" && matches!(e.what, What::Removed));
    assert_eq!(names("@app"), ["web"]);
    running.shutdown().unwrap();
    room.nothing_is_left();
}

#[test]
fn another_tree_takes_the_place_of_the_one_that_runs() {
    let room = Room::new();
    let tree = room.tree("t").add(sleeper("stays")).add(sleeper("changes")).add(sleeper("goes"));
    let running = tree.spawn().unwrap();
    let handle = running.handle();
    all_up(&handle);
    let (stays, changes) = (pid(&handle, "stays"), pid(&handle, "changes"));
    let changed = Service::new("changes", ["sleep", "200000"]);
    let another = room.tree("t").add(sleeper("stays").restart_max(9)).add(changed).add(sleeper("comes"));
    let told = |reloaded: &Reloaded| {
        let each = reloaded.differences.iter();
        let mut told: Vec<_> = each.map(|one| (one.name.clone(), one.change)).collect();
        told.sort_by(|one, other| one.0.cmp(&other.0));
        told
    };
    let expected = [
        ("changes", Changed::Restarted),
        ("comes", Changed::Added),
        ("goes", Changed::Removed),
        ("stays", Changed::InPlace),
    ]
    .map(|(name, change)| (name.to_owned(), change));
    let dry = handle.reload(&another, Reload { dry_run: true, ..Reload::default() }).unwrap();
    assert_eq!(told(&dry), expected);
    assert_eq!(handle.reload(&tree, Reload::default()).unwrap().differences, []);
    let reloaded = handle.reload(&another, Reload::default()).unwrap();
    assert_eq!(told(&reloaded), expected);
    assert_ne!(next_life(&handle, "changes", reloaded.cursor), changes);
    next_life(&handle, "comes", reloaded.cursor);
    event(&handle, reloaded.cursor, |e| e.instance == "goes" && matches!(e.what, What::Removed));
    assert_eq!(pid(&handle, "stays"), stays);
    let scaled = handle.scale([("stays", 3)]).unwrap();
    next_life(&handle, "stays#3", scaled.cursor);
    assert_eq!(pid(&handle, "stays"), stays);
    // What is wrong changes nothing.
    let wrong = handle.reload(&room.tree("t").add(sleeper("x").instances(0)), Reload::default());
    assert!(matches!(wrong, Err(Error::Flaws(_))), "{wrong:?}");
    let other = handle.reload(&room.tree("other"), Reload::default());
    assert!(matches!(other, Err(Error::Refused { code: ExitCode::Configuration, .. })), "{other:?}");
    assert_eq!(pid(&handle, "stays"), stays);
    running.shutdown().unwrap();
    room.nothing_is_left();
}

#[test]
fn starting_and_stopping_by_pattern_and_an_empty_list_means_nobody() {
    let room = Room::new();
    let running = room.tree("t").add(sleeper("web").instances(2)).add(sleeper("db")).spawn().unwrap();
    let handle = running.handle();
    all_up(&handle);
    assert_eq!(handle.stop(Vec::<String>::new()).unwrap().acted, []);
    let stopped = handle.stop(["web"]).unwrap();
    assert_eq!(stopped.acted.len(), 2);
    event(&handle, stopped.cursor, |e| e.instance == "web#2" && matches!(e.what, What::Stopped));
    let started = handle.start(["web#2"]).unwrap();
    next_life(&handle, "web#2", started.cursor);
    let restarted = handle.restart(["db"]).unwrap();
    next_life(&handle, "db", restarted.cursor);
    assert!(matches!(handle.stop(["wbe"]), Err(Error::Refused { code: ExitCode::NotFound, .. })));
    running.shutdown().unwrap();
}

#[test]
fn a_tree_that_ends_by_itself_says_how() {
    let room = Room::new();
    let once = Service::new("once", ["true"]).restart(Restart::Temporary).significant(true);
    let tree = room.tree("t").auto_shutdown(AutoShutdown::Any).add(once);
    assert_eq!(tree.run(|_, _| {}).unwrap(), End::Finished);
    let dies = Service::new("dies", ["false"]).backoff(Backoff::NONE);
    assert_eq!(room.tree("t").intensity(0).add(dies).run(|_, _| {}).unwrap(), End::GaveUp);
    room.nothing_is_left();
}

/// A host's thread that starts a program has, for a moment, a child with copies of all descriptors: also of those that
/// hold the tree's locks.
#[test]
fn a_tree_begins_again_at_once_whoever_has_copies_of_its_descriptors() {
    let room = Room::new();
    let running = room.tree("t").spawn().unwrap();
    let is_ours = |number: &i32| {
        std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok_and(|path| path.starts_with(room.path()))
    };
    let numbers = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_ours);
    let this = support::pidfd(std::process::id() as i32).unwrap();
    let copy = |number: i32| {
        rustix::process::pidfd_getfd(&this, number, rustix::process::PidfdGetfdFlags::empty()).unwrap()
    };
    let copies: Vec<_> = numbers.map(copy).collect();
    assert!(copies.len() >= 2, "both locks");
    running.shutdown().unwrap();
    room.tree("t").spawn().unwrap().shutdown().unwrap();
    drop(copies);
}
