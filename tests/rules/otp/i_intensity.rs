//! I: how restarts are counted.

use super::*;

#[test]
fn i01_strictly_more_than_n_in_the_window_end_the_supervisor() {
    for max in [0, 1, 2, 7] {
        let mut rig = Plant::otp(OneForOne, max).children("root", "a").boot();
        for life in 0..max {
            assert_eq!(rig.dies("a"), format!("a+{}", life + 2));
        }
        assert_eq!(rig.dies("a"), "LimitReached(Some(ChildId(0)))");
    }
}

#[test]
fn i01_a_failed_start_and_a_readiness_that_never_comes_count_as_one_death_each() {
    let ready = |child: &mut Child| {
        child.limit = Some(Intensity { max: 2, within: seconds(30) });
        child.ready_within = Some(seconds(1));
    };
    let mut rig = Plant::new().child("root", "a", ready).rig();
    rig.failing = vec!["a"];
    assert_eq!(rig.event(Event::Boot), "a+1");
    assert_eq!(rig.restarts("a"), 1);
    rig.failing.clear();
    assert_eq!(rig.next(), (0, "a+2".to_owned()));
    assert_eq!(rig.next(), (1000, "a- a+3".to_owned()), "it was not ready in time");
    assert_eq!(rig.restarts("a"), 2);
    assert_eq!(rig.next(), (1000, "a-".to_owned()));
    assert_eq!(rig.state("a"), State::GaveUp);
    assert!(rig.told().contains(&"a NeverReady { within: 1s }".to_owned()));
}

#[test]
fn i02_intensity_zero_makes_no_attempt() {
    let mut rig = Plant::otp(OneForOne, 0).children("root", "a").boot();
    assert_eq!(rig.dies("a"), "LimitReached(Some(ChildId(0)))");
}

#[test]
fn i03_the_edge_of_the_window_is_inclusive_to_the_nanosecond() {
    for (more, expected) in [(0, "LimitReached(Some(ChildId(0)))"), (1, "a+3")] {
        let mut rig = Plant::otp(OneForOne, 1).children("root", "a").boot();
        assert_eq!(rig.dies("a"), "a+2");
        rig.now = rig.now + seconds(5) + Duration::from_nanos(more);
        assert_eq!(rig.dies("a"), expected);
    }
}

#[test]
fn i04_the_window_of_a_group_is_shared() {
    let mut rig = Plant::otp(OneForOne, 2).children("root", "a b c").boot();
    rig.dies("a");
    rig.dies("b");
    assert_eq!(rig.dies("c"), "b- a- LimitReached(Some(ChildId(2)))");
}

#[test]
fn i05_i09_retries_count_and_starts_by_command_do_not() {
    let mut rig = Plant::otp(OneForOne, 2).children("root", "a b").boot();
    for _ in 0..9 {
        rig.stop("a");
        rig.start("a");
        rig.restart("b");
    }
    assert_eq!((rig.restarts("a"), rig.restarts("b")), (0, 0));
    rig.failing = vec!["a"];
    rig.dies("a");
    assert_eq!(rig.next().1, "a+22");
    assert_eq!(rig.next().1, "b- LimitReached(Some(ChildId(0)))");
}

#[test]
fn i06_a_clock_that_goes_back_changes_nothing() {
    let mut rig = Plant::otp(OneForOne, 1).children("root", "a").boot();
    rig.dies("a");
    rig.now = Instant::ZERO;
    assert_eq!(rig.dies("a"), "LimitReached(Some(ChildId(0)))");
}

#[test]
fn i06_q14_a_wait_that_begins_after_the_clock_went_back_is_no_shorter() {
    let mut rig = Plant::otp(OneForOne, 1).children("root", "a").boot();
    rig.deaf = vec!["a"];
    rig.pass(60_000);
    let before = rig.now;
    rig.event(Event::Deadline);
    rig.now = Instant::ZERO;
    rig.terminate("a").unwrap();
    assert_eq!(rig.supervisor.next_deadline(), Some(before + seconds(5)));
}

#[test]
fn i03_q16_in_whole_seconds_a_window_is_up_to_a_second_longer() {
    for (whole, expected) in [(false, "a+3"), (true, "LimitReached(Some(ChildId(0)))")] {
        let plant = Plant::otp(OneForOne, 1).root(|root| root.whole_seconds = whole);
        let mut rig = plant.children("root", "a").boot();
        rig.pass(100);
        assert_eq!(rig.dies("a"), "a+2", "at 1.1 s");
        rig.pass(5800);
        assert_eq!(rig.dies("a"), expected, "at 6.9 s: 5.8 s later, and 5 seconds apart in whole ones");
    }
}

#[test]
fn q16_in_whole_seconds_a_restart_is_forgotten_at_the_second_after_the_period() {
    let plant = Plant::otp(OneForOne, 1).root(|root| root.whole_seconds = true);
    let mut rig = plant.children("root", "a").boot();
    rig.pass(900);
    assert_eq!(rig.dies("a"), "a+2", "at 1.9 s");
    rig.pass(5100);
    assert_eq!(rig.dies("a"), "a+3", "at 7.0 s: 6 seconds apart");
}

#[test]
fn i09_starts_by_a_call_never_count() {
    let mut rig = Plant::otp(OneForOne, 1).children("root", "a").boot();
    for _ in 0..9 {
        rig.terminate("a").unwrap();
        rig.restart_child("a").unwrap();
        rig.add("root", "b", of(Temporary)).unwrap();
        rig.terminate("b").unwrap();
    }
    assert_eq!(rig.which("root"), "a running");
    assert_eq!(rig.dies("a"), "a+20", "the one restart that is allowed is still there");
    assert_eq!(rig.dies("a"), "LimitReached(Some(ChildId(0)))");
}

#[test]
fn i07_at_the_limit_the_offender_is_told_and_the_others_stop_newest_first() {
    let mut rig = Plant::otp(OneForOne, 0).children("root", "a b c d").boot();
    rig.told();
    assert_eq!(rig.dies("b"), "d- c- a- LimitReached(Some(ChildId(1)))");
    let told = rig.told();
    assert!(told[0].starts_with("b Exited"), "{told:?}");
    assert_eq!(told[1], "root LimitReached { by: ChildId(1) }");
}

/// A parent without limits over a group of this restart type, which ends at its first death.
fn inner(restart: Restart) -> Rig {
    let group = |group: &mut Group| {
        otp(OneForOne, 0)(group);
        group.restart = restart;
    };
    Plant::otp(OneForOne, 9).group("root", "g", group).children("g", "a b").children("root", "c").boot()
}

#[test]
fn i07_a_group_that_ends_at_its_limit_is_started_again_only_when_it_is_permanent() {
    let mut rig = inner(Permanent);
    assert_eq!(rig.dies("a"), "b- a+4 b+5");
    assert_eq!(rig.which("root"), "c running, g running");
    let mut rig = inner(Transient);
    assert_eq!(rig.dies("a"), "b-");
    assert_eq!(rig.which("root"), "c running, g undefined", "it said shutdown, which is no failure");
    assert_eq!(rig.restart_child("g"), Ok("a+4 b+5".to_owned()));
}

#[test]
fn i07_the_offender_is_marked_down_while_the_others_are_stopped() {
    let mut rig = Plant::otp(OneForOne, 1).group("root", "g", otp(OneForOne, 0)).children("g", "a b").boot();
    rig.deaf = vec!["b"];
    assert_eq!(rig.dies("a"), "b-");
    assert_eq!(rig.which("g"), "b running, a undefined");
    assert_eq!(rig.exits("b", SHUTDOWN), "a+3 b+4");
}
