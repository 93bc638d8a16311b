//! K: how everything goes down.

use super::*;

fn with(grace: Grace) -> Rig {
    Plant::new().child("root", "a", within(grace)).boot()
}

#[test]
fn k01_with_infinite_grace_it_is_never_killed() {
    let mut rig = with(Grace::Forever);
    rig.deaf = vec!["a"];
    assert_eq!(rig.stop("a"), "a-");
    assert_eq!(rig.supervisor.next_deadline(), None);
}

#[test]
fn k02_when_the_grace_is_over_it_is_killed_once() {
    let mut rig = with(Grace::After(seconds(1)));
    rig.silent = true;
    rig.started("a");
    assert_eq!(rig.stop("a"), "a-");
    assert_eq!(rig.next(), (1000, "a!".to_owned()));
    assert_eq!(rig.supervisor.next_deadline(), None, "SIGKILL is not repeated");
    assert_eq!(rig.stop("a"), "");
    assert_eq!(rig.state("a"), State::Stopping);
}

#[test]
fn k03_b04_to_be_killed_means_no_stop_signal_and_no_grace_means_both_at_once() {
    assert_eq!(with(Grace::Kill).stop("a"), "a!");
    assert_eq!(with(Grace::After(Duration::ZERO)).stop("a"), "a- a!");
}

#[test]
fn k01_k02_k03_each_child_is_waited_for_as_its_own_policy_says() {
    let plant = Plant::otp(OneForOne, 1).child("root", "a", within(Grace::Kill));
    let plant = plant.child("root", "b", within(Grace::After(seconds(1))));
    let mut rig = plant.child("root", "c", within(Grace::Forever)).boot();
    rig.deaf = vec!["b", "c"];
    assert_eq!(rig.shutdown(), "c-");
    assert_eq!(rig.supervisor.next_deadline(), None, "nothing happens before it ends");
    assert_eq!(rig.exits("c", SHUTDOWN), "b-");
    assert_eq!(rig.next(), (1000, "b! a! Shutdown".to_owned()));
    assert_eq!(
        rig.exits_told(),
        ["c Signal(15, false) asked", "b Signal(9, false) asked shutdown_error", "a Signal(9, false) asked"]
    );
}

#[test]
fn k04_exits_during_shutdown_are_reported_and_nothing_restarts() {
    let causes = [NORMAL, SHUTDOWN, CLEAN, ERROR];
    let name = |restart: Restart, cause: Cause| format!("{restart:?} {cause:?}");
    for strategy in [OneForOne, OneForAll, RestForOne] {
        let mut plant = Plant::otp(strategy, 99);
        for restart in [Temporary, Transient, Permanent] {
            for cause in causes {
                plant = plant.child("root", &name(restart, cause), of(restart));
            }
        }
        let mut rig = plant.child("root", "slow", within(Grace::After(seconds(1)))).boot();
        rig.deaf = vec!["slow"];
        assert_eq!(rig.shutdown(), "slow-");
        rig.pass(200);
        rig.exits_told();
        for restart in [Temporary, Transient, Permanent] {
            for cause in causes {
                assert_eq!(rig.exits(&name(restart, cause), cause), "");
                let told = rig.exits_told();
                assert!(told[0].starts_with(&format!("{} {cause:?}", name(restart, cause))), "{told:?}");
            }
        }
        assert_eq!(rig.next(), (800, "slow! Shutdown".to_owned()));
    }
}

#[test]
fn k05_to_stop_a_supervisor_ends_each_child_in_its_way_and_the_end_is_the_one_that_was_asked_for() {
    let plant =
        Plant::otp(OneForOne, 1).child("root", "brutal", within(Grace::Kill)).children("root", "good");
    let mut rig = plant.child("root", "deaf", within(Grace::After(seconds(1)))).boot();
    rig.deaf = vec!["deaf"];
    assert_eq!(rig.shutdown(), "deaf-");
    assert_eq!(rig.next(), (1000, "deaf! good- brutal! Shutdown".to_owned()));
}

#[test]
fn k06_a_stop_goes_on_though_nobody_waits_for_it() {
    let mut rig = Plant::otp(OneForOne, 1).children("root", "a b").boot();
    rig.deaf = vec!["b"];
    assert_eq!(rig.shutdown(), "b-");
    assert_eq!(rig.pass(100), "", "whoever waited has gone");
    assert_eq!(rig.shutdown(), "", "and asks again");
    rig.pass(900);
    assert_eq!(rig.exits("b", SHUTDOWN), "a- Shutdown");
}

#[test]
fn k07_a_static_supervisor_stops_strictly_in_reverse() {
    let mut rig = Plant::otp(OneForOne, 1).children("root", "a b c d e").boot();
    rig.silent = true;
    assert_eq!(rig.shutdown(), "e-");
    for (dead, next) in [("e", "d-"), ("d", "c-"), ("c", "b-"), ("b", "a-"), ("a", "Shutdown")] {
        assert_eq!(rig.exits(dead, Cause::Signal(15, false)), next);
    }
}

#[test]
fn k10_a_death_just_before_our_signal_is_told_with_its_real_cause() {
    let mut rig = with(Grace::default());
    rig.silent = true;
    rig.stop("a");
    rig.told();
    rig.exits("a", Cause::Code(7));
    let told = rig.told();
    assert_eq!(
        told[0],
        "a Exited { cause: Code(7), lived: 0ns, asked: true, abnormal: true, shutdown_error: true }"
    );
    assert_eq!(told[1], "a Stopped");
}

#[test]
fn k08_a_child_that_ignores_everything_holds_up_nobody_but_itself() {
    let mut rig = Plant::otp(OneForOne, 1).children("root", "a b").boot();
    rig.silent = true;
    assert_eq!(rig.terminate("a"), Ok("a-".to_owned()));
    assert_eq!(rig.next(), (5000, "a!".to_owned()));
    assert_eq!(rig.which("root"), "b running, a running", "not even SIGKILL ends it yet");
    assert_eq!(rig.supervisor.next_deadline(), None, "nobody waits for it");
    rig.silent = false;
    assert_eq!(rig.dies("b"), "b+3", "others are served");
    assert_eq!(rig.terminate("b"), Ok("b-".to_owned()));
    assert_eq!(rig.exits("a", KILLED), "");
    assert_eq!(rig.which("root"), "b undefined, a undefined");
}

#[test]
fn k09_an_end_other_than_asked_is_told_as_an_error_and_the_stop_goes_on() {
    for (restart, grace, cause, error) in [
        (Permanent, Grace::Kill, KILLED, false),
        (Permanent, Grace::Kill, SHUTDOWN, true),
        (Transient, Grace::Kill, NORMAL, true),
        (Permanent, Grace::default(), SHUTDOWN, false),
        (Permanent, Grace::default(), NORMAL, true),
        (Permanent, Grace::default(), CLEAN, true),
        (Permanent, Grace::default(), ERROR, true),
        (Permanent, Grace::default(), KILLED, true),
        (Transient, Grace::default(), NORMAL, false),
        (Transient, Grace::default(), CLEAN, false),
        (Temporary, Grace::default(), SHUTDOWN, false),
        (Temporary, Grace::default(), ERROR, true),
        (Temporary, Grace::default(), KILLED, true),
        (Transient, Grace::Forever, Cause::Signal(11, true), true),
    ] {
        let change = |child: &mut Child| {
            of(restart)(child);
            child.grace = grace;
        };
        let mut rig = Plant::otp(OneForOne, 1).children("root", "b").child("root", "a", change).boot();
        rig.silent = true;
        rig.shutdown();
        rig.silent = false;
        assert_eq!(rig.exits("a", cause), "b- Shutdown", "{restart:?} {grace:?} {cause:?}");
        let told = rig.exits_told();
        assert_eq!(told[0].ends_with(" shutdown_error"), error, "{restart:?} {grace:?} {cause:?}");
    }
}

#[test]
fn k13_the_end_comes_after_the_last_process_and_its_helpers() {
    let mut rig = Plant::otp(OneForOne, 1).children("root", "a b").boot();
    rig.leaving = vec!["a", "b"];
    assert_eq!(rig.shutdown(), "b-");
    assert_eq!(rig.next(), (5000, "b! a-".to_owned()), "b left helpers, which obey only SIGKILL");
    assert_eq!(rig.cleared("a"), "Shutdown");
}
