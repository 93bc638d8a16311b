//! P: what is told, and in which order.

use super::*;
use mainstay::supervisor::{ChildReport, Report};

#[test]
fn p01_a_death_is_told_with_its_cause_its_life_and_whether_somebody_asked_for_it() {
    let mut rig = Plant::otp(OneForOne, 9).children("root", "a").boot();
    rig.pass(1500);
    rig.reports.clear();
    rig.exits("a", ERROR);
    let (child, incarnation) = (rig.id("a"), Incarnation(1));
    let what = ChildReport::Exited {
        cause: ERROR,
        lived: Duration::from_millis(1500),
        asked: false,
        abnormal: true,
        shutdown_error: false,
    };
    assert_eq!(rig.reports[0], Report::Child { child, incarnation, what });
    let policy = &rig.supervisor.tree().children[child.0 as usize];
    assert_eq!((&*policy.name, policy.restart, policy.significant), ("a", Permanent, false));
}

#[test]
fn p01_each_of_otps_contexts_is_a_report_of_its_own() {
    let mut rig = Plant::otp(OneForOne, 1).children("root", "a b").boot();
    rig.answers = vec![("b", ERROR)];
    rig.failing = vec!["a"];
    rig.told();
    rig.dies("a");
    rig.next();
    let told = rig.told();
    let at = |word: &str| {
        told.iter().position(|line| line.contains(word)).unwrap_or_else(|| panic!("{word}: {told:#?}"))
    };
    assert!(at("a Exited") < at("a StartFailed"), "child_terminated, start_error");
    assert!(at("a StartFailed") < at("root LimitReached"), "shutdown");
    assert!(at("root LimitReached") < at("shutdown_error: true"), "shutdown_error, of b");
}

#[test]
fn p02_progress_is_told_when_a_child_is_as_good_as_it_gets() {
    let ready = |child: &mut Child| child.ready_within = Some(seconds(9));
    let mut rig = Plant::otp(OneForOne, 9).children("root", "a").child("root", "b", ready).boot();
    let told = rig.told();
    assert!(told.contains(&"a Up".to_owned()) && !told.contains(&"AllUp".to_owned()), "{told:?}");
    rig.pass(250);
    rig.ready("b");
    assert_eq!(rig.told(), ["b Ready { after: 250ms }", "AllUp"]);
}

#[test]
fn p05_each_failed_attempt_is_told_and_the_end_once() {
    let mut rig = Plant::otp(OneForOne, 3).children("root", "a").boot();
    rig.failing = vec!["a"];
    rig.told();
    rig.dies("a");
    rig.until_quiet();
    let told = rig.told();
    let count = |word: &str| told.iter().filter(|line| line.contains(word)).count();
    assert_eq!(
        (count("Exited"), count("Starting"), count("StartFailed"), count("LimitReached")),
        (1, 3, 3, 1)
    );
    assert!(told.iter().any(|line| line == "root LimitReached { by: ChildId(0) }"));
}

#[test]
fn p05_the_death_is_reported_before_the_restart() {
    let mut rig = Plant::new().child("root", "a", |_| {}).boot();
    rig.told();
    rig.dies("a");
    let expected = [
        "a Exited { cause: Signal(9, false), lived: 0ns, asked: false, abnormal: true, shutdown_error: false }",
        "a Starting",
        "a Up",
        "AllUp",
    ];
    assert_eq!(rig.told(), expected);
}
