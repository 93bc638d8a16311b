//! C: children that are started, stopped, restarted and deleted at run time.

use super::*;

fn one() -> Rig {
    Plant::otp(OneForOne, 1).children("root", "a").boot()
}

/// One permanent child whose restart fails: it waits for its next try.
fn looping() -> Rig {
    let mut rig = Plant::otp(OneForOne, 9).children("root", "a").boot();
    rig.failing = vec!["a"];
    rig.dies("a");
    assert_eq!(rig.which("root"), "a restarting");
    rig
}

#[test]
fn c01_a_child_that_runs_is_not_started_again() {
    let mut rig = one();
    assert_eq!(rig.add("root", "a", |_| {}), Err(Refused::AlreadyStarted(ChildId(0))));
    assert_eq!(rig.life("a"), 1);
}

#[test]
fn c02_c03_a_terminated_child_ended_by_its_stop_signal_and_is_kept_and_twice_is_once() {
    let mut rig = one();
    assert_eq!(rig.terminate("a"), Ok("a-".to_owned()));
    assert_eq!(rig.exits_told(), ["a Signal(15, false) asked"]);
    assert_eq!((rig.which("root"), rig.count("root")), ("a undefined".to_owned(), "1/0/0/1".to_owned()));
    assert_eq!(rig.terminate("a"), Ok(String::new()));
    assert_eq!(rig.count("root"), "1/0/0/1");
}

#[test]
fn c04_c05_c09_who_is_not_there_is_not_found_and_nobody_is_touched() {
    let mut rig = one();
    let (nobody, no_group) = (Node::Child(ChildId(7)), Node::Group(GroupId(7)));
    for node in [nobody, no_group] {
        assert_eq!(rig.change(Change::Terminate(node)), Err(Refused::NotFound));
        assert_eq!(rig.change(Change::RestartChild(node)), Err(Refused::NotFound));
    }
    assert_eq!(rig.change(Change::DeleteChild(ChildId(7))), Err(Refused::NotFound));
    assert_eq!((rig.which("root"), rig.life("a")), ("a running".to_owned(), 1));
}

#[test]
fn c06_a_child_that_is_down_is_present() {
    let mut rig = one();
    rig.terminate("a").unwrap();
    assert_eq!(rig.add("root", "a", |_| {}), Err(Refused::AlreadyPresent(ChildId(0))));
}

#[test]
fn c07_c08_restart_starts_what_is_down_and_is_refused_for_what_runs() {
    let mut rig = one();
    assert_eq!(rig.restart_child("a"), Err(Refused::Running));
    rig.terminate("a").unwrap();
    assert_eq!(rig.restart_child("a"), Ok("a+2".to_owned()));
    assert_eq!(rig.count("root"), "1/1/0/1");
}

#[test]
fn c10_restart_is_refused_for_what_waits_for_its_next_try() {
    assert_eq!(looping().restart_child("a"), Err(Refused::Restarting));
}

#[test]
fn c11_only_what_is_down_can_be_deleted_and_then_it_is_gone() {
    assert_eq!(looping().delete("a"), Err(Refused::Restarting));
    let mut rig = one();
    assert_eq!(rig.delete("a"), Err(Refused::Running));
    rig.terminate("a").unwrap();
    assert_eq!(rig.delete("a"), Ok(String::new()));
    assert_eq!(rig.restart_child("a"), Err(Refused::NotFound));
    assert_eq!(rig.delete("a"), Err(Refused::NotFound));
    assert_eq!(rig.count("root"), "0/0/0/0");
}

#[test]
fn c12_a_new_child_is_the_newest() {
    let mut rig = Plant::otp(OneForAll, 9).children("root", "a b").boot();
    assert_eq!(rig.add("root", "c", |_| {}), Ok("c+3".to_owned()));
    assert_eq!(rig.which("root"), "c running, b running, a running");
    assert_eq!(rig.dies("a"), "c- b- a+4 b+5 c+6", "it falls with the others, first, and starts last");
    assert_eq!(rig.shutdown(), "c- b- a- Shutdown");
}

#[test]
fn c13_calls_to_a_supervisor_that_is_down_say_so() {
    let mut rig = Plant::otp(OneForOne, 1).group("root", "g", otp(OneForOne, 1)).children("g", "a").boot();
    rig.terminate("g").unwrap();
    assert_eq!(rig.add("g", "b", |_| {}), Err(Refused::GroupDown));
    assert_eq!(rig.add("g", "a", |_| {}), Err(Refused::GroupDown), "nobody is there to say that it knows it");
    assert_eq!(rig.terminate("a"), Err(Refused::GroupDown));
    assert_eq!(rig.restart_child("a"), Err(Refused::GroupDown));
    assert_eq!(rig.delete("a"), Err(Refused::GroupDown));
    assert_eq!(rig.restart_child("g"), Ok("a+2".to_owned()));
}

#[test]
fn c13_calls_while_everything_goes_down_say_so() {
    let mut rig = one();
    rig.deaf = vec!["a"];
    rig.shutdown();
    assert_eq!(rig.add("root", "b", |_| {}), Err(Refused::Ending));
    assert_eq!(rig.terminate("a"), Err(Refused::Ending));
}

#[test]
fn c15_a_child_whose_first_start_fails_is_not_kept() {
    let mut rig = one();
    rig.failing = vec!["b"];
    assert_eq!(rig.add("root", "b", |_| {}), Ok("b+2".to_owned()));
    let told = rig.told();
    let of_b: Vec<&str> = told.iter().filter_map(|line| line.strip_prefix("b ")).collect();
    assert_eq!(of_b, ["Starting", "StartFailed", "Stopped", "Removed"]);
    assert_eq!((rig.which("root"), rig.count("root")), ("a running".to_owned(), "1/1/0/1".to_owned()));
    assert_eq!(rig.supervisor.next_deadline(), None, "nor tried again");
    rig.failing.clear();
    assert_eq!(rig.add("root", "b", |_| {}), Ok("b+3".to_owned()), "its name is free");
}

#[test]
fn c15_a_child_that_ends_before_it_is_ready_is_not_kept_either() {
    for cause in [NORMAL, ERROR, KILLED] {
        let mut rig = one();
        rig.add("root", "b", |child| child.ready_within = Some(seconds(1))).unwrap();
        assert_eq!(rig.exits("b", cause), "");
        assert_eq!(rig.which("root"), "a running");
    }
}

#[test]
fn c16_a_known_child_whose_start_by_a_call_fails_is_kept_and_not_tried_again() {
    let mut rig = one();
    rig.terminate("a").unwrap();
    rig.failing = vec!["a"];
    assert_eq!(rig.restart_child("a"), Ok("a+2".to_owned()));
    assert_eq!((rig.which("root"), rig.supervisor.next_deadline()), ("a undefined".to_owned(), None));
    rig.failing.clear();
    assert_eq!(rig.restart_child("a"), Ok("a+3".to_owned()));
}

#[test]
fn c18_the_list_is_newest_first_at_every_step() {
    let mut rig = Plant::otp(OneForOne, 1).boot();
    assert_eq!(rig.which("root"), "");
    assert!(!rig.is_there("a"));
    rig.add("root", "a", |_| {}).unwrap();
    assert_eq!(rig.which("root"), "a running");
    rig.add("root", "b", |_| {}).unwrap();
    assert_eq!(rig.which("root"), "b running, a running");
    rig.terminate("a").unwrap();
    assert_eq!(rig.which("root"), "b running, a undefined");
    rig.delete("a").unwrap();
    assert_eq!(rig.which("root"), "b running");
    assert_eq!((rig.is_there("a"), rig.is_there("b")), (false, true));
}

#[test]
fn c19_counts_of_a_pool_are_exact_and_stable() {
    let mut rig = Plant::pool(0).boot();
    for count in [1000, 2000] {
        for at in count - 1000..count {
            rig.add("root", &format!("p@{at}"), of(Temporary)).unwrap();
        }
        for _ in 0..3 {
            assert_eq!(rig.count("root"), format!("1/{count}/0/{count}"));
        }
    }
    for at in 0..2000 {
        rig.dies(&format!("p@{at}"));
    }
    assert_eq!(rig.count("root"), "1/0/0/0");
}

#[test]
fn c20_groups_are_counted_as_supervisors() {
    let mut plant = Plant::otp(OneForOne, 1);
    for at in 0..1000 {
        plant = plant.group("root", &format!("g{at}"), otp(OneForOne, 1));
    }
    assert_eq!(plant.boot().count("root"), "1000/1000/1000/0");
}

#[test]
fn c21_those_that_wait_for_their_next_try_count_as_workers_and_not_as_active() {
    let mut rig = Plant::pool(99).boot();
    for name in ["p@1", "p@2", "p@3"] {
        rig.add("root", name, |_| {}).unwrap();
    }
    assert_eq!(rig.count("root"), "1/3/0/3");
    rig.failing = vec!["p@1", "p@2"];
    rig.dies("p@1");
    rig.dies("p@2");
    assert_eq!(rig.count("root"), "1/1/0/3");
    rig.next();
    assert_eq!(rig.count("root"), "1/1/0/3");
    rig.failing.clear();
    assert_eq!(rig.next().1, "p@1+8 p@2+9");
    assert_eq!(rig.count("root"), "1/3/0/3");
    for (name, count) in [("p@1", "1/2/0/2"), ("p@2", "1/1/0/1"), ("p@3", "1/0/0/0")] {
        rig.terminate(name).unwrap();
        assert_eq!(rig.count("root"), count);
    }
}

#[test]
fn c22_news_that_make_no_sense_change_nothing_and_the_next_call_is_served() {
    let mut rig = one();
    let (a, present) = (rig.id("a"), Incarnation(1));
    for event in [
        Event::StartFailed(a, present),
        Event::Ignored(a, present),
        Event::Cleared(a, present),
        Event::Started(a, present),
        Event::Ready(a, present),
        Event::Boot,
        Event::Deadline,
        Event::Started(ChildId(9), present),
        Event::Command(Command::Stop(Node::Child(ChildId(9)))),
    ] {
        assert_eq!(rig.event(event.clone()), "", "{event:?}");
    }
    assert_eq!(rig.which("root"), "a running");
    assert_eq!(rig.terminate("a"), Ok("a-".to_owned()));
}

#[test]
fn c23_a_slow_stop_takes_as_long_as_it_takes() {
    let mut rig = Plant::otp(OneForOne, 1).child("root", "a", within(Grace::Forever)).boot();
    rig.deaf = vec!["a"];
    assert_eq!(rig.terminate("a"), Ok("a-".to_owned()));
    assert_eq!(rig.pass(365 * 86_400_000), "");
    assert_eq!((rig.state("a"), rig.supervisor.next_deadline()), (State::Stopping, None));
    assert_eq!(rig.exits("a", SHUTDOWN), "");
    assert_eq!(rig.which("root"), "a undefined");
}

#[test]
fn c24_a_call_that_comes_while_another_is_carried_out_sees_it_as_not_done() {
    let mut rig = one();
    rig.deaf = vec!["a"];
    rig.terminate("a").unwrap();
    assert_eq!(rig.restart_child("a"), Err(Refused::Running));
    assert_eq!(rig.delete("a"), Err(Refused::Running));
    assert_eq!(rig.add("root", "a", |_| {}), Err(Refused::AlreadyStarted(ChildId(0))));
    assert_eq!(rig.terminate("a"), Ok(String::new()), "one stop signal is enough");
    assert_eq!(rig.exits("a", SHUTDOWN), "");
    assert_eq!(rig.restart_child("a"), Ok("a+2".to_owned()));
}

#[test]
fn c24_who_is_terminated_while_its_group_restarts_stays_down_when_that_is_over() {
    for strategy in [OneForAll, RestForOne] {
        let mut rig = Plant::otp(strategy, 9).children("root", "a b c").boot();
        rig.deaf = vec!["c"];
        assert_eq!(rig.dies("a"), "c-");
        assert_eq!(rig.terminate("b"), Ok(String::new()), "OTP: when the restart is over");
        assert_eq!(rig.exits("c", SHUTDOWN), "b- a+4 c+5");
        assert_eq!(rig.which("root"), "c running, b undefined, a running");
        assert_eq!(rig.restart_child("b"), Ok("b+6".to_owned()));
        rig.deaf.clear();
        rig.terminate("b").unwrap();
        assert_eq!(rig.dies("a"), "c- a+7 b+8 c+9", "L02: who was terminated before the restart is started");
    }
}

#[test]
fn c24_a_supervisor_that_is_terminated_while_its_parent_restarts_it_stays_down_too() {
    let plant = Plant::otp(OneForAll, 9).children("root", "a").group("root", "s", otp(OneForOne, 9));
    let mut rig = plant.children("s", "b").children("root", "c").boot();
    rig.deaf = vec!["c"];
    assert_eq!(rig.dies("a"), "c-");
    assert_eq!(rig.terminate("s"), Ok(String::new()));
    assert_eq!(rig.exits("c", SHUTDOWN), "b- a+4 c+5");
    assert_eq!(rig.which("root"), "c running, s undefined, a running");
    assert_eq!(rig.restart_child("s"), Ok("b+6".to_owned()));
}

#[test]
fn c07_who_stands_behind_another_whose_restart_failed_is_started_though_its_own_had_failed_before() {
    let mut rig = Plant::otp(OneForAll, 9).children("root", "a b c").boot();
    rig.failing = vec!["c"];
    assert_eq!(rig.dies("c"), "b- a- a+4 b+5 c+6");
    rig.failing = vec!["b"];
    assert_eq!(rig.dies("b"), "a- a+7 b+8");
    assert_eq!(rig.which("root"), "c undefined, b restarting, a running");
    assert_eq!(rig.restart_child("c"), Ok("c+9".to_owned()));
}
