//! J: a restart that fails again and again, and calls meanwhile.

use super::*;
use mainstay::supervisor::spec::Backoff;

/// It waits long before each try, and one is allowed.
fn slow(child: &mut Child) {
    child.backoff = Backoff { first: seconds(9), ..Backoff::NONE };
    child.limit = Some(Intensity { max: 1, within: seconds(60) });
}

/// `a` died, and each of its restarts fails.
fn looping(strategy: Strategy) -> Rig {
    let mut rig = Plant::otp(strategy, 99).children("root", "a b").boot();
    rig.failing = vec!["a"];
    rig.dies("a");
    rig
}

#[test]
fn j01_calls_see_that_it_waits_for_its_next_try() {
    let mut rig = Plant::otp(OneForOne, 99).children("root", "a").boot();
    rig.failing = vec!["a"];
    rig.dies("a");
    for _ in 0..5 {
        assert_eq!(rig.add("root", "a", |_| {}), Err(Refused::AlreadyPresent(ChildId(0))));
        assert_eq!(rig.restart_child("a"), Err(Refused::Restarting));
        assert_eq!(rig.delete("a"), Err(Refused::Restarting));
        assert_eq!((rig.which("root"), rig.count("root")), ("a restarting".to_owned(), "1/0/0/1".to_owned()));
        rig.next();
    }
}

#[test]
fn j02_to_terminate_it_breaks_the_loop_and_a_later_call_starts_it() {
    for strategy in [OneForOne, OneForAll, RestForOne] {
        let mut rig = looping(strategy);
        assert_eq!(rig.terminate("a"), Ok(String::new()), "{strategy:?}");
        assert_eq!(rig.supervisor.next_deadline(), None, "{strategy:?}");
        assert_eq!(rig.event(Event::Deadline), "", "a deadline that was on its way");
        assert!(rig.which("root").ends_with("a undefined"), "{strategy:?}");
        rig.failing.clear();
        assert!(rig.restart_child("a").unwrap().starts_with("a+"));
    }
}

#[test]
fn j03_to_stop_the_supervisor_during_the_loop_ends_it_at_once() {
    for strategy in [OneForOne, OneForAll, RestForOne] {
        let mut rig = looping(strategy);
        let expected = if strategy == OneForOne { "b- Shutdown" } else { "Shutdown" };
        assert_eq!(rig.shutdown(), expected, "{strategy:?}");
    }
}

#[test]
fn j04_under_rest_for_one_those_before_it_live_and_those_behind_it_stay_down_when_the_loop_is_broken() {
    let mut rig = Plant::otp(RestForOne, 99).children("root", "a b c").boot();
    rig.failing = vec!["b"];
    rig.dies("b");
    assert_eq!(rig.restart_child("b"), Err(Refused::Restarting));
    assert_eq!(rig.delete("b"), Err(Refused::Restarting));
    assert_eq!(rig.terminate("b"), Ok(String::new()));
    assert_eq!(
        (rig.which("root"), rig.supervisor.next_deadline()),
        ("c undefined, b undefined, a running".to_owned(), None)
    );
    rig.failing.clear();
    assert_eq!(rig.restart_child("b"), Ok("b+5".to_owned()));
    assert_eq!(rig.restart_child("c"), Ok("c+6".to_owned()));
}

#[test]
fn j05_in_a_pool_the_member_is_listed_as_restarting_and_to_terminate_it_empties_the_list() {
    let mut rig = Plant::pool(99).boot();
    rig.add("root", "p@1", |_| {}).unwrap();
    rig.failing = vec!["p@1"];
    rig.dies("p@1");
    assert_eq!(rig.restart_child("p@1"), Err(Refused::Pool));
    assert_eq!(rig.delete("p@1"), Err(Refused::Pool));
    assert_eq!(rig.which("root"), "p@1 restarting");
    assert_eq!(rig.terminate("p@1"), Ok(String::new()));
    assert_eq!((rig.which("root"), rig.supervisor.next_deadline()), (String::new(), None));
}

#[test]
fn j06_one_attempt_is_made_in_a_turn_and_calls_come_in_between() {
    let mut rig = looping(OneForOne);
    for life in 4..9 {
        assert_eq!(rig.supervisor.next_deadline(), Some(rig.now), "it is due, and nothing is done before");
        assert_eq!(rig.restart_child("b"), Err(Refused::Running), "a call is served");
        assert_eq!(rig.event(Event::Deadline), format!("a+{life}"), "one attempt");
    }
}

#[test]
fn j07_a_stale_notice_does_nothing() {
    let mut rig = looping(OneForOne);
    rig.failing.clear();
    assert_eq!(rig.next().1, "a+4");
    assert_eq!(rig.supervisor.next_deadline(), None, "no notice is left");
    for _ in 0..3 {
        assert_eq!(rig.event(Event::Deadline), "");
    }
    let a = rig.id("a");
    assert_eq!(rig.event(Event::StartFailed(a, Incarnation(3))), "", "an answer to the attempt before");
    assert_eq!(rig.life("a"), 4);
    rig.failing = vec!["a"];
    rig.dies("a");
    rig.terminate("a").unwrap();
    rig.failing.clear();
    assert_eq!(rig.restart_child("a"), Ok("a+6".to_owned()));
    assert_eq!(rig.supervisor.next_deadline(), None, "nor the one of the loop that was broken");
}

#[test]
fn j06_a_failed_start_is_tried_again_in_the_next_turn_only() {
    let mut rig = Plant::new().children("root", "a").rig();
    rig.failing = vec!["a"];
    assert_eq!(rig.event(Event::Boot), "a+1");
    assert_eq!(rig.supervisor.next_deadline(), Some(rig.now));
    assert_eq!(rig.stop("a"), "", "J02: a request between two attempts breaks the loop");
    assert_eq!((rig.state("a"), rig.supervisor.next_deadline()), (State::Stopped, None));
}

#[test]
fn j02_a_stop_breaks_the_loop_and_a_later_start_works() {
    let mut rig = Plant::new().child("root", "a", slow).boot();
    rig.dies("a");
    assert_eq!(rig.stop("a"), "");
    assert_eq!((rig.state("a"), rig.supervisor.next_deadline()), (State::Stopped, None));
    assert_eq!(rig.start("a"), "a+2");
}

#[test]
fn j02_a_stop_of_the_offender_lets_the_rest_of_its_group_go_on() {
    let plant = Plant::new().root(|root| root.strategy = OneForAll);
    let mut rig = plant.child("root", "a", slow).children("root", "b").boot();
    assert_eq!(rig.dies("a"), "b-");
    rig.stop("a");
    assert_eq!(rig.next(), (9000, "b+3".to_owned()));
}

#[test]
fn j03_a_shutdown_during_the_loop_ends_at_once() {
    let mut rig = Plant::new().child("root", "a", slow).boot();
    rig.dies("a");
    assert_eq!(rig.shutdown(), "Shutdown");
    assert_eq!(rig.supervisor.next_deadline(), None);
    assert_eq!(rig.start("a"), "", "nothing wakes it again");
}
