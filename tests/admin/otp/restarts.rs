//! E: restart types; F: one_for_one; I: intensity.

use crate::rig::{LIVES, Rig, told};
use crate::support::gone;
use nix::sys::signal::Signal;

/// How a child ends: an exit code, or a signal.
#[derive(Clone, Copy)]
enum End {
    Code(u32),
    Signal(Signal),
}
const NORMAL: End = End::Code(0);
const CLEAN: End = End::Code(42);
const SHUTDOWN: End = End::Signal(Signal::SIGTERM);
const ABNORMAL: End = End::Code(3);
const KILLED: End = End::Signal(Signal::SIGKILL);

/// One child of this restart type, added at run time, that ends so: is it started again, what is listed, counts.
fn check(restart: &str, end: End, again: bool, listed: &[&str], counts: &str) {
    let rig = Rig::otp(
        3,
        &format!(
            "[service.\"a@\"]\n{}\nrestart = {{ policy = \"{restart}\", clean = [42] }}\n",
            told("a").replace("a.ctl", "%i.ctl")
        ),
    );
    rig.pipe("x");
    rig.ok(&["start-child", "a@x"]);
    let (cursor, before) = (rig.cursor(), rig.pid("a@x"));
    match end {
        End::Code(code) => rig.say("x", code),
        End::Signal(signal) => _ = rig.kill("a@x", signal),
    }
    gone(before);
    if again {
        rig.happens(&cursor, "a@x", "up");
        assert_ne!(rig.pid("a@x"), before);
    } else {
        rig.until(&cursor, "its end", |event| {
            event["instance"] == "a@x" && (event["kind"] == "finished" || event["kind"] == "removed")
        });
    }
    assert_eq!(rig.which(""), listed);
    assert_eq!(rig.count(""), counts);
    if listed.is_empty() {
        // The same id can be started again at once (E07).
        rig.ok(&["start-child", "a@x"]);
    } else if !again {
        rig.ok(&["restart-child", "a@x"]);
    }
}

#[test]
fn e01_e02_e03_a_permanent_child_is_always_restarted() {
    for end in [NORMAL, SHUTDOWN, CLEAN, ABNORMAL, KILLED] {
        check("permanent", end, true, &["a@x pid"], "1/1/0/1");
    }
}

#[test]
fn e04_e05_a_transient_child_that_ended_well_is_kept_and_not_restarted() {
    for end in [NORMAL, SHUTDOWN, CLEAN] {
        check("transient", end, false, &["a@x undefined"], "1/0/0/1");
    }
}

#[test]
fn e06_a_transient_child_that_ended_badly_is_restarted() {
    for end in [ABNORMAL, KILLED] {
        check("transient", end, true, &["a@x pid"], "1/1/0/1");
    }
}

#[test]
fn e07_a_temporary_child_is_never_restarted_and_its_spec_is_gone() {
    for end in [NORMAL, SHUTDOWN, CLEAN, ABNORMAL, KILLED] {
        check("temporary", end, false, &[], "0/0/0/0");
    }
}

#[test]
fn e08_what_was_ended_by_a_call_is_present_unless_it_is_temporary() {
    for strategy in ["one_for_one", "one_for_all", "rest_for_one"] {
        for (restart, kept) in [("permanent", true), ("transient", true), ("temporary", false)] {
            let rig = Rig::otp(
                3,
                &format!(
                    "[group.g]\nstrategy = \"{strategy}\"\nintensity = 3\n[service.\"a@\"]\ngroup = \"g\"\n{LIVES}\nrestart = \"{restart}\"\n"
                ),
            );
            rig.ok(&["start-child", "a@x"]);
            rig.ok(&["terminate", "a@x"]);
            let code = rig.project.mainstay(&["start-child", "a@x"]).code;
            assert_eq!(code, i32::from(kept), "{strategy} {restart}");
        }
    }
}

#[test]
fn e09_a_temporary_bystander_is_stopped_and_not_started_again() {
    for strategy in ["one_for_all", "rest_for_one"] {
        let rig = Rig::otp(
            3,
            &format!(
                "[group.g]\nstrategy = \"{strategy}\"\nintensity = 3\n[service.p]\ngroup = \"g\"\n{LIVES}\n\
                 [service.\"t@\"]\ngroup = \"g\"\n{LIVES}\nrestart = \"temporary\"\n"
            ),
        );
        rig.ok(&["start-child", "t@x"]);
        let bystander = rig.pid("t@x");
        rig.replaced("p");
        gone(bystander);
        assert_eq!(rig.which("@g"), ["p pid"], "{strategy}");
        rig.ok(&["start-child", "t@x"]);
    }
}

#[test]
fn e10_p05_an_exit_is_reported_before_the_next_attempt() {
    let rig = Rig::otp(3, &format!("[service.a]\n{}\n", told("a")));
    let cursor = rig.cursor();
    rig.say("a", 0);
    rig.happens(&cursor, "a", "up");
    let kinds = rig.kinds(&cursor, "a");
    let place = |kind: &str| kinds.iter().position(|k| k == kind).unwrap();
    assert!(place("exited") < place("starting"), "{kinds:?}");
}

#[test]
fn f01_i01_only_the_one_that_died_is_replaced_and_the_third_death_ends_the_supervisor() {
    let rig = Rig::otp(2, &format!("[service.child1]\n{LIVES}\n[service.child2]\n{LIVES}\n"));
    let other = rig.pid("child2");
    let (first, second) = (rig.replaced("child1"), rig.replaced("child1"));
    assert_ne!(first, second);
    assert_eq!(rig.pid("child2"), other);
    rig.ends(|| rig.kill("child1", Signal::SIGKILL));
    gone(other);
}

#[test]
fn f02_i05_a_restart_that_always_fails_ends_the_supervisor_without_help() {
    let rig = Rig::prepared(&format!(
        "name = \"t\"\nsemantics = \"otp\"\nintensity = 4\nperiod = \"1m\"\n[service.a]\ncommand = \"./svc\"\nready = {{ output = \"on\" }}\n[service.b]\n{LIVES}\n"
    ));
    rig.script("svc", "echo on; exec sleep 100000");
    rig.project.start();
    std::fs::remove_file(rig.project.path("svc")).unwrap();
    rig.ends(|| rig.kill("a", Signal::SIGKILL));
}

#[test]
fn i02_with_intensity_zero_the_first_death_ends_it() {
    let rig = Rig::otp(0, &format!("[service.a]\n{LIVES}\n[service.b]\n{LIVES}\n"));
    rig.ends(|| rig.kill("a", Signal::SIGKILL));
}

#[test]
fn i04_the_window_is_shared() {
    let rig = Rig::otp(2, &format!("[service.a]\n{LIVES}\n[service.b]\n{LIVES}\n[service.c]\n{LIVES}\n"));
    rig.replaced("a");
    rig.replaced("b");
    rig.ends(|| rig.kill("c", Signal::SIGKILL));
}

#[test]
fn i09_starts_by_call_do_not_count() {
    let rig = Rig::otp(1, &format!("[service.a]\n{LIVES}\n"));
    for _ in 0..5 {
        rig.ok(&["terminate", "a"]);
        rig.ok(&["restart-child", "a"]);
        rig.ok(&["restart", "a"]);
    }
    rig.replaced("a");
    rig.ends(|| rig.kill("a", Signal::SIGKILL));
}
