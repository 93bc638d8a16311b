//! Q: what only processes of an operating system do.

use super::*;
use mainstay::supervisor::spec::Backoff;

fn with(grace: Grace) -> Rig {
    Plant::new().child("root", "a", within(grace)).boot()
}

#[test]
fn q01_q02_a_start_that_fails_is_one_attempt_and_is_tried_again_as_the_policy_says() {
    let slow = |child: &mut Child| {
        child.limit = Some(Intensity { max: 2, within: seconds(60) });
        child.backoff =
            Backoff { base: seconds(1), factor: 2.0, max: seconds(9), forget: seconds(60), ..Backoff::NONE };
    };
    let mut rig = Plant::new().child("root", "a", slow).rig();
    rig.failing = vec!["a"];
    assert_eq!(rig.event(Event::Boot), "a+1");
    assert_eq!(rig.restarts("a"), 1);
    assert_eq!(rig.next(), (0, "a+2".to_owned()));
    assert_eq!(rig.next(), (1000, "a+3".to_owned()));
    assert_eq!((rig.state("a"), rig.supervisor.next_deadline()), (State::GaveUp, None));
    assert_eq!(rig.exits_told(), Vec::<String>::new(), "there was no process");
}

#[test]
fn q08_s3_what_a_death_leaves_behind_is_stopped_then_killed_before_the_next_life() {
    let mut rig = with(Grace::After(seconds(1)));
    rig.leaving = vec!["a"];
    assert_eq!(rig.dies("a"), "a-");
    assert_eq!(rig.state("a"), State::Stopping);
    assert_eq!(rig.next(), (1000, "a! a+2".to_owned()));
}

#[test]
fn q08_leftovers_that_go_by_themselves_are_not_killed() {
    let mut rig = with(Grace::After(seconds(1)));
    rig.leaving = vec!["a"];
    rig.dies("a");
    assert_eq!(rig.cleared("a"), "a+2");
    assert_eq!(rig.supervisor.next_deadline(), None);
}

#[test]
fn q08_the_grace_of_a_stop_goes_on_for_what_it_leaves_behind() {
    let mut rig = with(Grace::After(seconds(1)));
    rig.leaving = vec!["a"];
    assert_eq!(rig.stop("a"), "a-", "one stop signal, though it left helpers");
    rig.now = rig.now + Duration::from_millis(300);
    assert_eq!(rig.next(), (700, "a!".to_owned()));
    assert_eq!(rig.state("a"), State::Stopped);
}

#[test]
fn q03_an_exit_before_readiness_is_a_failed_try_whatever_its_code() {
    for restart in [Permanent, Transient] {
        for cause in [NORMAL, ERROR, KILLED] {
            let change =
                |child: &mut Child| (child.restart, child.ready_within) = (restart, Some(seconds(1)));
            let mut rig = Plant::otp(OneForOne, 2).child("root", "a", change).boot();
            rig.ready("a");
            assert_eq!(rig.dies("a"), "a+2");
            assert_eq!(rig.exits("a", cause), "", "{restart:?} {cause:?}");
            assert_eq!(rig.which("root"), "a restarting");
            assert_eq!(rig.next(), (0, "a+3".to_owned()));
            assert_eq!(rig.next(), (1000, "a-".to_owned()), "nor was it ready in time");
            assert_eq!(rig.next(), (0, "LimitReached(Some(ChildId(0)))".to_owned()));
        }
    }
}

#[test]
fn q03_readiness_of_a_life_that_has_ended_makes_the_next_one_no_readier() {
    let mut rig = Plant::new().child("root", "a", |a| a.ready_within = Some(seconds(9))).boot();
    rig.dies("a");
    assert_eq!(rig.event(Event::Ready(ChildId(0), Incarnation(1))), "");
    assert_eq!(rig.state("a"), State::Starting);
}

#[test]
fn q03_readiness_twice_and_after_the_time_changes_nothing() {
    let mut rig = Plant::new().child("root", "a", |a| a.ready_within = Some(seconds(1))).boot();
    rig.deaf = vec!["a"];
    assert_eq!(rig.next(), (1000, "a-".to_owned()));
    assert_eq!(rig.ready("a"), "");
    assert_eq!(rig.state("a"), State::Stopping);
    rig.deaf.clear();
    assert_eq!(rig.next(), (5000, "a! a+2".to_owned()));
    rig.ready("a");
    rig.told();
    assert_eq!(rig.ready("a"), "");
    assert!(rig.told().is_empty());
    assert_eq!(rig.supervisor.next_deadline(), None);
}

#[test]
fn q04_two_deaths_in_one_wake_up_are_two_restarts() {
    let mut rig = Plant::new().children("root", "a b").boot();
    assert_eq!(rig.dies("a"), "a+3");
    assert_eq!(rig.dies("b"), "b+4");
}

#[test]
fn q04_a_death_before_the_answer_to_its_start_is_a_death() {
    let mut rig = Plant::new().children("root", "a").rig();
    rig.silent = true;
    rig.event(Event::Boot);
    assert_eq!(rig.exits("a", KILLED), "a+2");
    assert_eq!(rig.event(Event::Started(ChildId(0), Incarnation(1))), "", "the answer comes too late");
    assert_eq!(rig.state("a"), State::Starting);
}

#[test]
fn q04_a_death_during_its_own_stop_is_that_stop() {
    let mut rig = with(Grace::default());
    rig.deaf = vec!["a"];
    rig.stop("a");
    assert_eq!(rig.exits("a", Cause::Signal(11, true)), "");
    assert_eq!((rig.state("a"), rig.restarts("a")), (State::Stopped, 0));
}

#[test]
fn q04_a_death_of_a_child_that_a_reload_removes_is_its_end() {
    let mut rig = Plant::new().children("root", "a b").boot();
    rig.deaf = vec!["b"];
    assert_eq!(rig.reload(Plant::new().children("root", "a")), Ok("b-".to_owned()));
    assert_eq!(rig.exits("b", KILLED), "");
    assert_eq!((rig.which("root"), rig.is_there("b")), ("a running".to_owned(), false));
}

#[test]
fn q06_a_stop_that_is_not_obeyed_ends_in_sigkill_and_only_an_exit_is_a_death() {
    // A stopped process is nothing the core is told of: its phase changes by exits only.
    let mut rig = with(Grace::After(seconds(1)));
    rig.deaf = vec!["a"];
    assert_eq!(rig.stop("a"), "a-");
    assert_eq!(rig.state("a"), State::Stopping);
    assert_eq!(rig.next(), (1000, "a!".to_owned()));
    assert_eq!(rig.exits_told(), ["a Signal(9, false) asked shutdown_error"]);
}

#[test]
fn q07_a_child_that_not_even_sigkill_ends_holds_up_nobody_else() {
    let mut rig = Plant::new().children("root", "a b").boot();
    rig.silent = true;
    assert_eq!(rig.restart("a"), "a-");
    assert_eq!(rig.next(), (5000, "a!".to_owned()));
    assert_eq!((rig.state("a"), rig.supervisor.next_deadline()), (State::Stopping, None));
    rig.silent = false;
    assert_eq!(rig.dies("b"), "b+3");
    assert_eq!(rig.exits("a", KILLED), "a+4", "the restart goes on when it is gone at last");
}

#[test]
fn q12_a_status_that_nobody_saw_is_a_failure() {
    let mut rig = Plant::otp(OneForOne, 9).child("root", "a", of(Transient)).boot();
    assert_eq!(rig.exits("a", Cause::Unknown), "a+2");
    assert_eq!(rig.exits_told(), ["a Unknown"]);
}

#[test]
fn q13_every_status_is_normal_clean_or_abnormal() {
    let again = |cause: Cause| {
        let change = |child: &mut Child| {
            (child.restart, child.clean, child.stop_signal) = (Transient, vec![3, 130], 2);
        };
        let mut rig = Plant::otp(OneForOne, 9).child("root", "a", change).boot();
        rig.exits("a", cause) == "a+2"
    };
    for code in 0..=255 {
        assert_eq!(again(Cause::Code(code)), ![0, 3, 130].contains(&code), "code {code}");
    }
    for signal in 1..=64 {
        for core in [false, true] {
            assert_eq!(again(Cause::Signal(signal, core)), signal != 2, "signal {signal}");
        }
    }
    assert!(again(Cause::Unknown));
}

#[test]
fn q14_a_clock_that_leaps_ahead_makes_each_deadline_due_once_and_forgets_the_window() {
    let mut rig = Plant::otp(OneForOne, 1).children("root", "a b").boot();
    rig.deaf = vec!["b"];
    rig.dies("a");
    rig.terminate("b").unwrap();
    assert_eq!(rig.pass(1_000_000_000), "b!", "asleep for eleven days");
    assert_eq!((rig.pass(1), rig.supervisor.next_deadline()), (String::new(), None));
    assert_eq!(rig.dies("a"), "a+4");
}
