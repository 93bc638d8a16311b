//! L: trees.

use crate::rig::{LIVES, Rig};
use crate::support::gone;
use nix::sys::signal::Signal;

fn tree() -> Rig {
    Rig::otp(
        5,
        &format!(
            "strategy = \"one_for_all\"\n[group.one]\nintensity = 1\n[group.two]\nintensity = 1\nperiod = \"1m\"\n[group.three]\n\
             [service.w1]\ngroup = \"one\"\n{LIVES}\n[service.w2]\ngroup = \"one\"\n{LIVES}\n"
        ),
    )
}

#[test]
fn l01_the_death_of_a_worker_stays_in_its_own_group() {
    let rig = tree();
    rig.ok(&["start-child", "d1", "--group", "two", "--", "sleep", "100000"]);
    rig.ok(&["start-child", "d2", "--group", "two", "--", "sleep", "100000"]);
    rig.ok(&["terminate", "@three"]);
    assert_eq!(rig.count(""), "3/2/3/0");
    let others = [rig.pid("w1"), rig.pid("w2"), rig.pid("d2")];
    rig.replaced("d1");
    assert_eq!([rig.pid("w1"), rig.pid("w2"), rig.pid("d2")], others);
}

#[test]
fn l02_escalation_restarts_all_and_what_was_added_is_not_back() {
    let rig = tree();
    rig.ok(&["start-child", "d1", "--group", "two", "--", "sleep", "100000"]);
    rig.ok(&["terminate", "@three"]);
    let (w1, cursor) = (rig.pid("w1"), rig.cursor());
    rig.replaced("d1");
    // The second within its window.
    rig.kill("d1", Signal::SIGKILL);
    gone(w1);
    rig.happens(&cursor, "w2", "up");
    assert_eq!(rig.which("@one"), ["w2 pid", "w1 pid"]);
    assert_eq!(rig.which("@two"), Vec::<String>::new());
    assert_eq!(rig.count(""), "3/3/3/0");
}

#[test]
fn l05_terminate_and_restart_through_the_groups_own_name() {
    let rig = tree();
    let w1 = rig.pid("w1");
    rig.ok(&["terminate", "@one"]);
    gone(w1);
    assert_eq!(rig.count(""), "3/2/3/0");
    rig.ok(&["restart-child", "@one"]);
    assert_ne!(rig.pid("w1"), w1);
}
