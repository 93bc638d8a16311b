//! A: starting.

use super::*;

#[test]
fn a01_a_supervisor_without_children_starts_and_ends_when_asked() {
    let mut rig = Plant::otp(OneForOne, 1).boot();
    assert_eq!((rig.which("root"), rig.count("root")), (String::new(), "0/0/0/0".to_owned()));
    assert!(rig.supervisor.all_up());
    assert_eq!(rig.shutdown(), "Shutdown");
}

#[test]
fn a02_where_nothing_is_to_be_run_no_process_stays_and_no_exit_is_told() {
    let plant = Plant::otp(OneForOne, 0).group("root", "inner", otp(OneForOne, 0));
    let mut rig = plant.child("inner", "a", of(Temporary)).child("inner", "b", of(Transient)).rig();
    rig.ignoring = vec!["a", "b"];
    assert_eq!(rig.event(Event::Boot), "a+1 b+2");
    assert_eq!(rig.exits_told(), Vec::<String>::new());
    assert!(rig.supervisor.all_up(), "nobody waits for what is not to be run");
    assert_eq!(rig.which("inner"), "b undefined");
}

#[test]
fn a06_each_member_of_a_pool_has_the_whole_policy_of_its_template() {
    let mut rig = Plant::pool(1).boot();
    let template = Child { restart: Temporary, ..plain("") };
    for name in ["p@1", "p@2", "p@3"] {
        rig.add("root", name, |child| child.restart = Temporary).unwrap();
    }
    for name in ["p@1", "p@2", "p@3"] {
        let policy = &rig.supervisor.tree().children[rig.id(name).0 as usize];
        assert_eq!(policy.policy(), Child { name: name.to_owned(), added: true, ..template.clone() });
    }
    let stranger = Node::Child(ChildId(77));
    assert_eq!(rig.change(Change::RestartChild(stranger)), Err(Refused::NotFound));
}

#[test]
fn a08_a_window_of_no_length_is_refused() {
    let plant = Plant::new().root(|root| {
        root.intensity = Some(Intensity { max: 1, within: Duration::ZERO });
    });
    assert_eq!(flaws(&plant.tree), [(Node::Group(GroupId::ROOT), Flaw::PeriodZero)]);
}

#[test]
fn a11_five_children_start_one_by_one_in_the_order_of_the_list() {
    let mut rig = Plant::otp(OneForOne, 1).children("root", "c a e b d").rig();
    rig.silent = true;
    assert_eq!(rig.event(Event::Boot), "c+1");
    for (up, next) in [("c", "a+2"), ("a", "e+3"), ("e", "b+4"), ("b", "d+5"), ("d", "")] {
        assert_eq!(rig.started(up), next);
    }
}

#[test]
fn a12_a_permanent_child_with_nothing_to_run_is_kept_and_does_not_run() {
    let mut rig = Plant::otp(OneForOne, 0).boot();
    rig.ignoring = vec!["b"];
    assert_eq!(rig.add("root", "a", |_| {}), Ok("a+1".to_owned()));
    assert_eq!(rig.add("root", "b", |_| {}), Ok("b+2".to_owned()));
    assert_eq!(
        (rig.which("root"), rig.count("root")),
        ("b undefined, a running".to_owned(), "2/1/0/2".to_owned())
    );
    rig.ignoring.clear();
    assert_eq!(rig.restart_child("b"), Ok("b+3".to_owned()), "its policy is there");
}

#[test]
fn a13_a_temporary_child_of_the_list_with_nothing_to_run_is_not_kept() {
    let mut rig = Plant::otp(OneForOne, 0).child("root", "a", of(Temporary)).children("root", "b").rig();
    rig.ignoring = vec!["a"];
    assert_eq!(rig.event(Event::Boot), "a+1 b+2");
    assert_eq!((rig.which("root"), rig.count("root")), ("b running".to_owned(), "1/1/0/1".to_owned()));
}

#[test]
fn a14_a_temporary_child_that_is_added_with_nothing_to_run_is_not_kept() {
    let mut rig = Plant::otp(OneForOne, 0).boot();
    rig.ignoring = vec!["a"];
    assert_eq!(rig.add("root", "a", of(Temporary)), Ok("a+1".to_owned()));
    assert_eq!((rig.which("root"), rig.count("root")), (String::new(), "0/0/0/0".to_owned()));
}

#[test]
fn a15_a16_a_member_of_a_pool_with_nothing_to_run_is_not_kept_and_the_pool_ends_cleanly() {
    for restart in [Temporary, Transient, Permanent] {
        let mut rig = Plant::pool(0).boot();
        rig.ignoring = vec!["p@1"];
        assert_eq!(rig.add("root", "p@1", of(restart)), Ok("p@1+1".to_owned()));
        assert_eq!((rig.which("root"), rig.count("root")), (String::new(), "1/0/0/0".to_owned()));
        assert_eq!(rig.add("root", "p@2", of(restart)), Ok("p@2+2".to_owned()));
        assert_eq!(rig.shutdown(), "p@2- Shutdown");
    }
}

#[test]
fn a12_an_exit_with_the_ignore_code_before_readiness_is_no_failure() {
    let waits = |child: &mut Child| {
        (child.ready_within, child.ignore) = (Some(seconds(9)), Some(77));
    };
    let mut rig = Plant::otp(OneForOne, 0).child("root", "a", waits).children("root", "b").boot();
    assert_eq!(rig.exits("a", Cause::Code(77)), "b+2", "the next one starts");
    assert_eq!(rig.which("root"), "b running, a undefined");
    assert_eq!(rig.restart_child("a"), Ok("a+3".to_owned()));
    rig.ready("a");
    assert_eq!(
        rig.exits("a", Cause::Code(77)),
        "b- LimitReached(Some(ChildId(0)))",
        "afterwards it is a death"
    );
}

#[test]
fn a17_two_children_of_one_name_are_refused() {
    let plant = Plant::otp(OneForOne, 1).children("root", "a b a");
    assert_eq!(flaws(&plant.tree), [(Node::Child(ChildId(2)), Flaw::Duplicate)]);
    let plant = Plant::new().group("root", "g", |_| {}).group("root", "g", |_| {});
    assert_eq!(flaws(&plant.tree), [(Node::Group(GroupId(2)), Flaw::Duplicate)]);
}

#[test]
fn a09_what_was_started_is_stopped_in_reverse_and_the_rest_never_starts() {
    let mut rig = Plant::otp(OneForOne, 9).children("root", "a b c d").rig();
    rig.failing = vec!["c"];
    assert_eq!(rig.event(Event::Boot), "a+1 b+2 c+3 b- a- StartFailed(ChildId(2))");
}

#[test]
fn a09_an_exit_before_readiness_is_a_failed_start_whatever_the_cause() {
    let plant = Plant::otp(OneForOne, 9).children("root", "a");
    let mut rig = plant.child("root", "b", |b| b.ready_within = Some(seconds(1))).boot();
    assert_eq!(rig.exits("b", Cause::Code(0)), "a- StartFailed(ChildId(1))");
}

#[test]
fn a10_a_start_that_fails_deep_down_fails_every_level() {
    let plant = Plant::otp(OneForOne, 9).children("root", "a").group("root", "inner", otp(OneForOne, 1));
    let mut rig = plant.children("inner", "b c").rig();
    rig.failing = vec!["c"];
    assert_eq!(rig.event(Event::Boot), "a+1 b+2 c+3 b- a- StartFailed(ChildId(2))");
}

#[test]
fn a09_an_otp_group_that_cannot_start_inside_a_default_group_is_a_death_of_that_member() {
    let mut rig = Plant::new()
        .group("root", "inner", otp(OneForOne, 1))
        .children("inner", "b c")
        .children("root", "a")
        .rig();
    rig.failing = vec!["c"];
    assert_eq!(rig.event(Event::Boot), "b+1 a+2 c+3 b-");
    rig.failing.clear();
    assert_eq!(rig.next(), (0, "b+4 c+5".to_owned()));
}

#[test]
fn a11_each_starts_when_the_one_before_is_up_or_ready() {
    let plant = Plant::otp(OneForOne, 9);
    let plant = plant.child("root", "a", |a| a.ready_within = Some(seconds(9))).children("root", "b c");
    let mut rig = plant.rig();
    assert_eq!(rig.event(Event::Boot), "a+1");
    assert_eq!(rig.states(), [State::Starting, State::Waiting, State::Waiting]);
    let waits: Vec<_> = rig.supervisor.waits_for(rig.id("c")).collect();
    assert_eq!(waits, [Node::Child(rig.id("a"))]);
    assert_eq!(rig.ready("a"), "b+2 c+3");
}

#[test]
fn a11_a_child_that_finishes_during_the_start_lets_the_next_one_go() {
    let once = |child: &mut Child| {
        child.restart = Temporary;
    };
    let mut rig = Plant::otp(RestForOne, 0).child("root", "a", once).children("root", "b").rig();
    rig.silent = true;
    rig.event(Event::Boot);
    rig.started("a");
    assert_eq!(rig.exits("a", Cause::Code(0)), "");
    assert_eq!(rig.states(), [State::Stopped, State::Starting]);
}
