//! F: one_for_one.

use super::*;

#[test]
fn f01_only_the_child_that_died_is_replaced_and_the_third_death_in_the_window_ends_it() {
    let mut rig = Plant::otp(OneForOne, 2).children("root", "a b").boot();
    assert_eq!(rig.dies("a"), "a+3");
    assert_eq!(rig.supervisor.incarnation(rig.id("b")).0, 2);
    assert_eq!(rig.dies("b"), "b+4");
    assert_eq!(rig.dies("a"), "b- LimitReached(Some(ChildId(0)))");
    assert_eq!(rig.states(), [State::Stopped, State::Stopped]);
}

#[test]
fn f02_a_restart_that_always_fails_is_retried_until_the_budget_is_gone() {
    let mut rig = Plant::otp(OneForOne, 4).children("root", "a b").boot();
    rig.failing = vec!["a"];
    assert_eq!(rig.dies("a"), "a+3");
    for life in 4..=6 {
        assert_eq!(rig.next(), (0, format!("a+{life}")));
    }
    assert_eq!(rig.next(), (0, "b- LimitReached(Some(ChildId(0)))".to_owned()), "no fifth attempt is made");
}

#[test]
fn f03_deaths_further_apart_than_the_period_end_nothing_and_the_child_can_be_taken_away() {
    let every_second = |root: &mut Group| root.intensity = Some(Intensity { max: 1, within: seconds(1) });
    let mut rig = Plant::otp(OneForOne, 1).root(every_second).children("root", "a").boot();
    for life in 2..6 {
        rig.pass(2100);
        assert_eq!(rig.dies("a"), format!("a+{life}"));
    }
    assert_eq!(rig.terminate("a"), Ok("a-".to_owned()));
    assert_eq!(rig.delete("a"), Ok(String::new()));
    assert_eq!(rig.count("root"), "0/0/0/0");
}
