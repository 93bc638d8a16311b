//! How lives end: exact causes, signals that reach their process and nobody else, and nothing left behind.
#![allow(unsafe_code)] // forces a process number to be used again

mod processes;

use mainstay::supervisor::Cause;
use mainstay::sys::cgroup::{Group, Tree};
use mainstay::sys::launch::{Launch, Resource};
use mainstay::sys::pidfd::{self, Reaped};
use mainstay::sys::process::{Limit, prepare_process};
use mainstay::sys::signal::Signals;
use mainstay::sys::strays::{PastLife, leftovers, sweep};
use mainstay::sys::{port, procfs};
use processes::{Leash, Running, field, in_own_process, readable, ready, request, shell, start, start_in};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{BufRead, Read};
use std::path::Path;

// Causes ------------------------------------------------------------------------------------------

/// S5, S6: looking changes nothing, reaping ends it.
#[track_caller]
fn check_end(running: &mut Running, expected: Cause) {
    assert!(readable(&running.started.pidfd));
    for _ in 0..2 {
        assert_eq!(pidfd::peek(&running.started.pidfd).unwrap(), Some(expected));
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.started.pid)).unwrap();
    assert!(field(&status, "State").starts_with('Z'), "still there to be looked at");
    let (cause, usage) = pidfd::reap(&running.started.pidfd).unwrap().unwrap();
    assert_eq!(cause, expected);
    assert!(usage.memory_max > 100 << 10, "{usage:?}");
    let again = pidfd::reap(&running.started.pidfd).unwrap_err();
    assert_eq!(again.raw_os_error(), Some(libc::ECHILD));
    assert!(!pidfd::signal(&running.started.pidfd, 0).unwrap(), "gone");
}

/// A program that says "up" and then reads for ever.
fn waiting() -> (Running, Leash) {
    let mut request = shell("echo up; exec cat <&3");
    let leash = Leash::attach(&mut request);
    request.limits = vec![(Resource::Core, Limit { soft: Some(0), hard: Some(0) })];
    let mut running = start(request).unwrap();
    assert_eq!(running.line(), "up");
    (running, leash)
}

#[test]
fn what_a_life_used_is_known() {
    let running = start(shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")).unwrap();
    assert!(readable(&running.started.pidfd));
    let (_, usage) = pidfd::reap(&running.started.pidfd).unwrap().unwrap();
    assert!(!(usage.user + usage.system).is_zero(), "{usage:?}");
}

// Signals reach whom they are meant for ------------------------------------------------------------

/// S4: also when the leader is reaped, and its number could be anybody's.
#[test]
fn a_group_is_signalled_as_a_whole_also_without_its_leader() {
    let mut request = shell("cat <&3 & echo $!; cat <&3");
    let _leash = Leash::attach(&mut request);
    let mut running = start(request).unwrap();
    let helper = pidfd::open(running.line().parse().unwrap()).unwrap().unwrap();
    let (pid, leader) = (running.started.pid, &running.started.pidfd);
    pidfd::signal(leader, libc::SIGKILL).unwrap();
    assert_eq!(pidfd::wait(leader).unwrap().0, Cause::Signal(libc::SIGKILL, false));
    assert!(!pidfd::group_is_empty(leader, pid).unwrap());
    assert!(pidfd::signal_group(leader, pid, libc::SIGTERM).unwrap());
    assert!(readable(&helper), "the helper has got it");
    // Its new parent may still have to reap it; then nobody is left to signal.
    while !pidfd::group_is_empty(leader, pid).unwrap() {
        std::thread::yield_now();
    }
    assert!(!pidfd::signal_group(leader, pid, libc::SIGTERM).unwrap());
}

#[test]
fn signals_to_us_are_read_as_numbers() {
    in_own_process("listening");
}

/// Does its work when `signals_to_us_are_read_as_numbers` runs it in a process of its own.
#[test]
fn listening() {
    if !processes::inside() {
        return;
    }
    prepare_process().unwrap();
    let mut signals = Signals::install(&Signals::SUPERVISOR).unwrap();
    assert_eq!(signals.pending().count(), 0);
    let us = pidfd::open(std::process::id()).unwrap().unwrap();
    for signal in Signals::SUPERVISOR {
        pidfd::signal(&us, signal).unwrap();
        assert!(readable(&signals));
        // The byte arrives after the number, so a look after the byte finds it.
        assert_eq!(signals.pending().collect::<Vec<_>>(), [signal]);
    }
    let child = Launch::new(shell("exit 3")).unwrap().start(&[], None).unwrap();
    assert!(readable(&child.pidfd));
    assert!(readable(&signals));
    assert_eq!(signals.pending().collect::<Vec<_>>(), [libc::SIGCHLD]);
    assert_eq!(pidfd::wait(&child.pidfd).unwrap().0, Cause::Code(3), "nobody else took it");
}

// Orphans and leftovers ---------------------------------------------------------------------------

/// S6.
/// Does its work when `otp::q15_strangers_are_reaped_and_a_services_status_is_never_taken` runs it in a process of its own.
#[test]
fn reaping() {
    if !processes::inside() {
        return;
    }
    prepare_process().unwrap();
    let us = std::process::id();
    let (service, leash) = waiting();
    let services = BTreeSet::from([service.started.pid]);
    // The middle process ends at once, so the last one becomes our child; then it ends too.
    let mut parent = shell("(cat <&3; exit 7) & echo $!");
    let orphans_leash = Leash::attach(&mut parent);
    let mut parent = start(parent).unwrap();
    let orphan: u32 = parent.line().parse().unwrap();
    let orphan_fd = pidfd::open(orphan).unwrap().unwrap();
    assert_eq!(parent.wait(), Cause::Code(0));
    let seen = RefCell::new(Vec::new());
    let reap = || {
        pidfd::reap_strangers(
            |pid| services.contains(&pid),
            |pid, cause| seen.borrow_mut().push((pid, cause)),
        )
        .unwrap()
    };
    assert_eq!(reap(), Reaped::All, "nobody is dead");
    assert_eq!(procfs::stat(orphan).unwrap().parent, us);
    drop(leash);
    assert!(readable(&service.started.pidfd));
    drop(orphans_leash);
    assert!(readable(&orphan_fd));
    // Both are dead; the service is the older child.
    assert_eq!(reap(), Reaped::ServiceFirst(service.started.pid));
    assert_eq!(pidfd::wait(&service.started.pidfd).unwrap().0, Cause::Code(0));
    assert_eq!(reap(), Reaped::All);
    assert_eq!(*seen.borrow(), [(orphan, Cause::Code(7))]);
    assert!(procfs::children(us).unwrap().is_empty());
}

/// A life of `web` whose main process is over, and whose helper hides in a session of its own; its number.
fn left_behind(script: &str, runtime: &Path, number: u64) -> (Running, u32, Leash) {
    let mut request = shell(script);
    let variables = [("MAINSTAY_RUNTIME_DIR", runtime.to_str().unwrap()), ("MAINSTAY_INSTANCE", "web#2")];
    request.variables.extend(variables.map(|(name, value)| (name.into(), value.into())));
    request.numbers = vec!["MAINSTAY_INCARNATION".to_owned()];
    let leash = Leash::attach(&mut request);
    let mut running = start_in(request, None, &[number]).unwrap();
    let helper = running.line().parse().unwrap();
    assert_eq!(running.wait(), Cause::Code(0));
    (running, helper, leash)
}

/// S3.
/// Does its work when `otp::q10_helpers_that_hide_are_found_without_a_control_group` runs it in a process of its own.
#[test]
fn finding_helpers() {
    if !processes::inside() {
        return;
    }
    prepare_process().unwrap();
    let home = tempfile::tempdir().unwrap();
    let hidden = "setsid sh -c 'echo $$; exec cat <&3' & exit 0";
    let scripts = [
        ("a session of its own", hidden),
        (
            "the same group, without a trace in its environment",
            "env -i sh -c 'echo $$; exec cat <&3' & exit 0",
        ),
        ("two steps below", "setsid sh -c 'setsid sh -c \"echo \\$\\$; exec cat <&3\"; true' & exit 0"),
    ];
    for (number, (what, script)) in (1..).zip(scripts) {
        let (running, helper, _leash) = left_behind(script, home.path(), number);
        let (mut next, _next_leash) = {
            let mut request = shell("echo up; exec cat <&3");
            let leash = Leash::attach(&mut request);
            (start(request).unwrap(), leash)
        };
        next.line();
        let services = BTreeSet::from([next.started.pid]);
        let life = |instance, incarnation| PastLife { instance, incarnation, leader: running.started.pid };
        let other = PastLife { leader: 1, ..life("web#1", number) };
        let later = PastLife { leader: 1, ..life("web#2", number + 100) };
        let lives = [other, later, life("web#2", number)];
        let look = || leftovers(home.path(), &lives, |pid| services.contains(&pid)).unwrap();
        let found = look();
        assert!(found.iter().any(|stray| stray.pid == helper), "{what}: {found:?}");
        assert!(found.iter().all(|stray| stray.life == 2), "{what}: {found:?}");
        // Killed until none is left; the next life of somebody else is untouched.
        loop {
            let found = look();
            if found.is_empty() {
                break;
            }
            for stray in found {
                pidfd::signal(&stray.pidfd, libc::SIGKILL).unwrap();
                assert!(readable(&stray.pidfd));
            }
            pidfd::reap_strangers(|pid| services.contains(&pid), |_, _| {}).unwrap();
        }
        assert!(pidfd::signal(&next.started.pidfd, 0).unwrap());
        assert!(pidfd::group_is_empty(&running.started.pidfd, running.started.pid).unwrap(), "{what}");
    }
}

#[test]
fn what_an_earlier_supervisor_left_is_found_by_its_directory() {
    let home = tempfile::tempdir().unwrap();
    let (_running, helper, _leash) =
        left_behind("setsid sh -c 'echo $$; exec cat <&3' & exit 0", home.path(), 42);
    let found = sweep(home.path()).unwrap();
    let helpers: Vec<_> = found.iter().filter(|former| former.pid == helper).collect();
    assert_eq!(helpers.len(), 1, "{found:?}");
    assert_eq!((helpers[0].instance.as_str(), helpers[0].incarnation), ("web#2", Some(42)));
    assert_eq!(helpers[0].started, pidfd::start_time(helper).unwrap());
    assert!(sweep(&home.path().join("other")).unwrap().is_empty());
    for former in found {
        pidfd::signal(&former.pidfd, libc::SIGKILL).unwrap();
    }
}

#[test]
fn a_sweep_never_names_ourselves_or_who_started_us() {
    let home = tempfile::tempdir().unwrap();
    let mut request = request(&[
        std::env::current_exe().unwrap().to_str().unwrap(),
        "sweeping",
        "--exact",
        "--nocapture",
        "--test-threads=1",
    ]);
    let variables = [
        ("MAINSTAY_RUNTIME_DIR", home.path().to_str().unwrap()),
        ("MAINSTAY_INSTANCE", "shell"),
        (processes::INSIDE, "1"),
    ];
    request.variables.extend(variables.map(|(name, value)| (name.into(), value.into())));
    let mut running = start(request).unwrap();
    let mut text = String::new();
    running.output.read_to_string(&mut text).unwrap();
    assert_eq!(running.wait(), Cause::Code(0), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

/// Does its work when `a_sweep_never_names_ourselves_or_who_started_us` runs it in a process of its own.
#[test]
fn sweeping() {
    if !processes::inside() {
        return;
    }
    let runtime = std::env::var_os("MAINSTAY_RUNTIME_DIR").unwrap();
    assert!(sweep(Path::new(&runtime)).unwrap().is_empty());
}

// Control groups ----------------------------------------------------------------------------------

/// A tree of its own, removed with everything in it also when the test fails.
struct OwnTree(Option<Tree>, tempfile::TempDir);

impl OwnTree {
    /// `None`: no hierarchy that we may write to.
    fn create() -> Option<OwnTree> {
        let home = tempfile::tempdir().unwrap();
        Tree::create("ending", home.path()).ok().map(|tree| OwnTree(Some(tree), home))
    }

    fn tree(&self) -> &Tree {
        self.0.as_ref().unwrap()
    }
}

/// Never panics: it also runs when a test has failed.
impl Drop for OwnTree {
    fn drop(&mut self) {
        let Some(tree) = self.0.take() else { return };
        for instance in tree.instances().unwrap_or_default() {
            let Ok(group) = tree.group(&instance) else { continue };
            let members = group.members().unwrap_or_default();
            let members: Vec<_> = members.into_iter().filter_map(|pid| pidfd::open(pid).ok()?).collect();
            let _ = group.kill();
            for member in members {
                readable(&member);
            }
            let _ = tree.remove(group);
        }
        let _ = tree.remove_all();
    }
}

fn wait_until_empty(group: &Group) {
    let emptiness = group.emptiness().unwrap();
    while !emptiness.is_empty().unwrap() {
        assert!(ready(&emptiness, rustix::event::PollFlags::PRI), "the group never became empty");
    }
}

#[test]
fn a_signal_to_a_control_group_reaches_everybody_inside_once() {
    let Some(own) = OwnTree::create() else { return };
    let group = own.tree().group("web").unwrap();
    let script = "for i in 1 2 3; do setsid sh -c 'trap \"echo got\" USR1; echo up; cat <&3; cat <&3' & done; trap 'echo got' USR1; echo up; wait; wait; wait";
    let mut request = shell(script);
    let _leash = Leash::attach(&mut request);
    let mut running = start_in(request, Some(&group), &[]).unwrap();
    for _ in 0..4 {
        assert_eq!(running.line(), "up");
    }
    // SIGCONT kills nobody, and everybody counts.
    let members: BTreeSet<u32> = group.members().unwrap().into_iter().collect();
    assert!(members.len() >= 4, "{members:?}");
    assert!(group.signal(libc::SIGCONT).unwrap() >= 4);
    group.signal(libc::SIGKILL).unwrap();
    wait_until_empty(&group);
    assert_eq!(running.wait(), Cause::Signal(libc::SIGKILL, false));
    assert_eq!(group.signal(libc::SIGKILL).unwrap(), 0);
}

#[test]
fn a_control_group_that_is_gone_is_said_to_be() {
    let Some(own) = OwnTree::create() else { return };
    let group = own.tree().group("web").unwrap();
    let again = own.tree().group("web").unwrap();
    own.tree().remove(again).unwrap();
    let error = start_in(request(&["true"]), Some(&group), &[]).err().unwrap();
    assert_eq!(error.step, mainstay::sys::launch::Step::Cgroup);
    assert!(error.to_string().starts_with("entering the control group: "), "{error}");
    assert!(group.is_empty().is_err());
    own.tree().remove(group).unwrap();
}

#[test]
fn a_later_supervisor_finds_the_groups_again() {
    let Some(own) = OwnTree::create() else { return };
    let long = "x".repeat(300);
    for instance in ["web#1", "cgroup.procs", "mainstay.keeper", &long] {
        own.tree().group(instance).unwrap();
    }
    let again = Tree::create("ending", own.1.path()).unwrap();
    assert_eq!(again.path(), own.tree().path());
    let found: BTreeSet<String> = again.instances().unwrap().into_iter().collect();
    assert!(
        ["web#1", "cgroup.procs", "mainstay.keeper"].iter().all(|name| found.contains(*name)),
        "{found:?}"
    );
    assert_eq!(found.len(), 4);
    let other = Tree::create("ending", &own.1.path().join("elsewhere")).unwrap();
    assert_ne!(other.path(), own.tree().path());
    other.remove_all().unwrap();
}

// Ports -------------------------------------------------------------------------------------------

/// In a process of its own: a child that another test is just starting would have the listener, too, from its
/// fork to its exec.
#[test]
fn a_port_is_traced_to_the_process_that_listens() {
    in_own_process("tracing");
}

/// Does its work when `a_port_is_traced_to_the_process_that_listens` runs it in a process of its own.
#[test]
fn tracing() {
    if !processes::inside() {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let number = listener.local_addr().unwrap().port();
    let mut request = shell("echo up; exec cat <&4");
    let leash = Leash::attach(&mut request);
    request.descriptors[0].0 = 4;
    request.descriptors.push((3, std::sync::Arc::new(listener.into())));
    let mut running = start(request).unwrap();
    assert_eq!(running.line(), "up");
    // The request, and with it our copy of the listener, is gone: only the child has it.
    let sockets = port::listeners(number).unwrap();
    assert!(port::owns(running.started.pid, &sockets));
    assert!(!port::owns(std::process::id(), &sockets));
    assert_eq!(port::owner(&sockets).unwrap(), Some((running.started.pid, "cat".to_owned())));
    assert!(port::group_members(running.started.pid).unwrap().contains(&running.started.pid));
    drop(leash);
    let mut rest = String::new();
    running.output.read_line(&mut rest).unwrap();
    assert_eq!(running.wait(), Cause::Code(0));
    assert!(port::listeners(number).unwrap().is_empty());
}

// What `docs/otp.md` names: each test begins with the ids of the behaviours that it shows.

mod otp {
    use super::*;

    #[test]
    fn q13_every_exit_code_is_seen_exactly() {
        for code in 0..=255_u8 {
            let mut running = start(shell(&format!("exit {code}"))).unwrap();
            check_end(&mut running, Cause::Code(code));
        }
    }

    #[test]
    fn q13_every_deadly_signal_is_seen_exactly() {
        let harmless = [
            libc::SIGCHLD,
            libc::SIGCONT,
            libc::SIGURG,
            libc::SIGWINCH,
            libc::SIGSTOP,
            libc::SIGTSTP,
            libc::SIGTTIN,
            libc::SIGTTOU,
        ];
        for signal in (1..=64).filter(|signal| !harmless.contains(signal)) {
            let (mut running, _leash) = waiting();
            assert_eq!(pidfd::peek(&running.started.pidfd).unwrap(), None);
            assert!(pidfd::reap(&running.started.pidfd).unwrap().is_none());
            assert!(pidfd::signal(&running.started.pidfd, signal).unwrap());
            check_end(&mut running, Cause::Signal(signal, false));
        }
    }

    #[test]
    fn q13_a_dumped_core_is_told_from_none() {
        if std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap().contains(['/', '|']) {
            return; // Cores of this machine go elsewhere: not ours to write.
        }
        let home = tempfile::tempdir().unwrap();
        let mut request = shell("kill -SEGV $$");
        request.directory = Some(home.path().to_owned());
        request.limits = vec![(Resource::Core, Limit { soft: Some(1 << 30), hard: Some(1 << 30) })];
        check_end(&mut start(request).unwrap(), Cause::Signal(libc::SIGSEGV, true));
    }

    /// The number of a dead process, given to another one, is not that process.
    #[test]
    fn q05_a_number_that_was_given_again_is_a_stranger() {
        const LAST: &str = "/proc/sys/kernel/ns_last_pid";
        for _ in 0..500 {
            let (mut first, leash) = waiting();
            let pid = first.started.pid;
            let began = pidfd::start_time(pid).unwrap();
            assert!(pidfd::open_started_at(pid, began).unwrap().is_some());
            assert!(pidfd::open_started_at(pid, began + 1).unwrap().is_none());
            drop(leash);
            first.wait();
            assert!(pidfd::open(pid).unwrap().is_none() || procfs::stat(pid).is_ok());
            // The next number to be given; somebody else may be faster.
            if std::fs::write(LAST, (pid - 1).to_string()).is_err() {
                return; // Only root may choose numbers.
            }
            let (mut second, leash) = waiting();
            if second.started.pid != pid {
                continue;
            }
            assert!(!pidfd::signal(&first.started.pidfd, libc::SIGKILL).unwrap());
            assert!(!pidfd::signal_group(&first.started.pidfd, pid, libc::SIGKILL).unwrap());
            drop(leash);
            assert_eq!(second.wait(), Cause::Code(0), "the stranger got no signal");
            return;
        }
        panic!("the number never came back in 500 tries");
    }

    #[test]
    fn q15_strangers_are_reaped_and_a_services_status_is_never_taken() {
        in_own_process("reaping");
    }

    #[test]
    fn q10_helpers_that_hide_are_found_without_a_control_group() {
        in_own_process("finding_helpers");
    }

    /// S3: whatever a service does to hide, its group knows it.
    #[test]
    fn q10_helpers_that_hide_cannot_leave_their_control_group() {
        let Some(own) = OwnTree::create() else { return };
        let group = own.tree().group("web#2").unwrap();
        assert!(group.is_empty().unwrap());
        let mut request = shell("env -i setsid sh -c 'echo $$; exec cat <&3' & exit 0");
        let _leash = Leash::attach(&mut request);
        let mut running = start_in(request, Some(&group), &[]).unwrap();
        let helper: u32 = running.line().parse().unwrap();
        let helper_fd = pidfd::open(helper).unwrap().unwrap();
        assert_eq!(running.wait(), Cause::Code(0));
        assert!(!group.is_empty().unwrap());
        assert_eq!(group.members().unwrap(), [helper]);
        assert!(own.tree().remove(own.tree().group("web#2").unwrap()).is_err(), "somebody is inside");
        group.kill().unwrap();
        assert!(readable(&helper_fd));
        wait_until_empty(&group);
        assert!(group.is_empty().unwrap());
        own.tree().remove(group).unwrap();
        assert!(own.tree().instances().unwrap().is_empty());
    }
}
