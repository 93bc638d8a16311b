//! E: restart types.

use super::*;

/// A supervisor with one child of this type, for which code 3 is clean.
fn one(restart: Restart) -> Rig {
    Plant::otp(OneForOne, 9).child("root", "a", of(restart)).boot()
}

/// Whether a child of this type is started again after this cause; and the counts afterwards.
fn after(restart: Restart, cause: Cause) -> (bool, String) {
    let mut rig = one(restart);
    (rig.exits("a", cause) == "a+2", rig.count("root"))
}

#[test]
fn e01_a_permanent_child_that_exits_normally_is_started_again() {
    assert_eq!(after(Permanent, NORMAL), (true, "1/1/0/1".to_owned()));
}

#[test]
fn e02_a_permanent_child_that_shuts_down_is_started_again() {
    for cause in [SHUTDOWN, CLEAN] {
        assert_eq!(after(Permanent, cause), (true, "1/1/0/1".to_owned()));
    }
}

#[test]
fn e03_a_permanent_child_that_dies_is_started_again() {
    for cause in [ERROR, KILLED, Cause::Signal(11, true), Cause::Unknown] {
        assert_eq!(after(Permanent, cause), (true, "1/1/0/1".to_owned()));
    }
}

#[test]
fn e04_a_transient_child_that_exits_normally_stays_down_and_is_kept() {
    assert_eq!(after(Transient, NORMAL), (false, "1/0/0/1".to_owned()));
}

#[test]
fn e05_a_transient_child_that_shuts_down_stays_down_and_can_be_started_by_a_call() {
    for cause in [SHUTDOWN, CLEAN] {
        let mut rig = one(Transient);
        assert_eq!(rig.exits("a", cause), "");
        assert_eq!((rig.which("root"), rig.count("root")), ("a undefined".to_owned(), "1/0/0/1".to_owned()));
        assert_eq!(rig.restart_child("a"), Ok("a+2".to_owned()));
    }
}

#[test]
fn e06_a_transient_child_that_dies_is_started_again() {
    for cause in [ERROR, KILLED, Cause::Signal(11, true), Cause::Unknown] {
        assert_eq!(after(Transient, cause), (true, "1/1/0/1".to_owned()));
    }
}

#[test]
fn e07_a_temporary_child_is_never_started_again_and_is_gone_and_its_name_is_free_at_once() {
    for cause in [NORMAL, SHUTDOWN, CLEAN, ERROR, KILLED] {
        let mut rig = one(Temporary);
        assert_eq!(rig.exits("a", cause), "");
        assert_eq!((rig.which("root"), rig.count("root")), (String::new(), "0/0/0/0".to_owned()));
        assert_eq!(rig.add("root", "a", of(Temporary)), Ok("a+2".to_owned()));
    }
}

#[test]
fn e07_a_temporary_group_that_ends_is_gone() {
    let group = |group: &mut Group| {
        otp(OneForOne, 0)(group);
        group.restart = Temporary;
    };
    let mut rig = Plant::otp(OneForOne, 9).group("root", "g", group).children("g", "a b").boot();
    assert_eq!(rig.dies("a"), "b-");
    assert_eq!((rig.which("root"), rig.count("root")), (String::new(), "0/0/0/0".to_owned()));
}

#[test]
fn e08_which_policies_are_kept_for_every_strategy_type_and_end() {
    for strategy in [OneForOne, OneForAll, RestForOne] {
        for restart in [Permanent, Transient, Temporary] {
            for end in [Some(KILLED), Some(NORMAL), Some(ERROR), None] {
                let mut rig =
                    Plant::otp(strategy, 9).children("root", "b").child("root", "a", of(restart)).boot();
                match end {
                    Some(cause) => drop(rig.exits("a", cause)),
                    None => drop(rig.terminate("a")),
                }
                let id = rig.id("a");
                let expected = match (restart, end) {
                    (Temporary, _) => None,
                    (Permanent, Some(_)) | (Transient, Some(KILLED | ERROR)) => {
                        Some(Refused::AlreadyStarted(id))
                    }
                    (Permanent, None) | (Transient, _) => Some(Refused::AlreadyPresent(id)),
                };
                let refused = rig.add("root", "a", of(restart)).err();
                assert_eq!(refused, expected, "{strategy:?} {restart:?} {end:?}");
            }
        }
    }
}

#[test]
fn e09_a_temporary_bystander_is_stopped_and_not_started_again_and_is_gone() {
    for strategy in [OneForAll, RestForOne] {
        let plant = Plant::otp(strategy, 9).children("root", "a").child("root", "t", of(Temporary));
        let mut rig = plant.children("root", "b").boot();
        assert_eq!(rig.dies("a"), "b- t- a+4 b+5");
        assert_eq!(
            (rig.which("root"), rig.count("root")),
            ("b running, a running".to_owned(), "2/2/0/2".to_owned())
        );
    }
}

#[test]
fn e10_a_permanent_child_is_told_at_every_exit_and_others_are_told_as_abnormal_only_when_they_are() {
    for (cause, abnormal) in
        [(NORMAL, false), (SHUTDOWN, false), (CLEAN, false), (ERROR, true), (KILLED, true)]
    {
        for restart in [Permanent, Transient, Temporary] {
            let mut rig = one(restart);
            rig.told();
            rig.exits("a", cause);
            let told = &rig.told()[0];
            assert!(told.starts_with(&format!("a Exited {{ cause: {cause:?}")), "{told}");
            assert!(told.contains(&format!("asked: false, abnormal: {abnormal}")), "{told}");
        }
    }
}

#[test]
fn e11_news_of_a_stranger_change_nothing() {
    let mut rig = one(Permanent);
    let stranger = ChildId(77);
    assert_eq!(rig.event(exit(stranger, Incarnation(1), Cause::Code(1), false)), "");
}

#[test]
fn e12_s4_late_news_of_a_past_life_change_nothing() {
    let mut rig = one(Permanent);
    rig.dies("a");
    rig.told();
    let (a, past) = (rig.id("a"), Incarnation(1));
    for event in [
        exit(a, past, Cause::Code(1), true),
        Event::Started(a, past),
        Event::StartFailed(a, past),
        Event::Ready(a, past),
        Event::Cleared(a, past),
    ] {
        assert_eq!(rig.event(event), "");
    }
    assert!(rig.told().is_empty());
    assert_eq!((rig.state("a"), rig.supervisor.incarnation(a)), (State::Up, Incarnation(2)));
}
