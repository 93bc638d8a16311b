//! The model against the text: setups and outcomes as the rules tell them, so that the model is not trusted blindly.
//!
//! Each test is one or a few ids of the rules, on the model alone. What the core makes of the same is compared elsewhere.

use crate::calls::{Counts, Refused};
use crate::death::Death::{self, CodeZero as Clean, Killed as Abnormal};
use crate::model::{AutoShutdown, Job, Live, Pid, Plan, Restart, Spec, Strategy, Why};
use crate::system::{Call, End, Seen, System};
use crate::world::{Start, World};
use AutoShutdown::{All, Any, Never};
use Restart::{Permanent, Temporary, Transient};
use Strategy::{OneForAll, OneForOne, Pool, RestForOne};

fn worker(name: &str, restart: Restart) -> Spec {
    Spec { name: name.to_owned(), restart, significant: false, brutal: false, job: Job::Worker }
}

fn flags(strategy: Strategy, intensity: usize, auto_shutdown: AutoShutdown, specs: Vec<Spec>) -> Plan {
    Plan {
        strategy,
        intensity,
        period: 5_000_000_000,
        whole_seconds: false,
        auto_shutdown,
        max_children: None,
        specs,
    }
}

fn permanent(names: &str) -> Vec<Spec> {
    names.split_whitespace().map(|name| worker(name, Permanent)).collect()
}

fn inner(name: &str, plan: Plan) -> Spec {
    Spec { job: Job::Supervisor(plan), ..worker(name, Permanent) }
}

fn boot(plan: &Plan) -> System {
    System::boot(World { now: 1_000_000_000_000, ..World::default() }, plan)
}

impl System {
    fn says(&mut self) -> String {
        std::mem::take(&mut self.world.done).join(" ")
    }

    /// `name` ends by itself; what was done about it.
    fn ends(&mut self, name: &str, reason: Death) -> String {
        self.world.done.clear();
        match self.seen(name) {
            Some(Seen::Life(life)) => self.exit(life, reason),
            other => panic!("{name} does not run: {other:?}"),
        }
        self.says()
    }

    fn next(&mut self) -> String {
        self.world.done.clear();
        self.turn();
        self.says()
    }

    fn seen(&self, name: &str) -> Option<Seen> {
        self.list().into_iter().find(|line| line.1 == name).map(|line| line.2)
    }

    fn count(&self, name: &str) -> [usize; 4] {
        let found = self.counts().into_iter().find(|line| line.0 == name);
        let Counts { specs, active, supervisors, workers } = found.expect("it runs").1;
        [specs, active, supervisors, workers]
    }

    fn asked(&mut self, what: &str, child: &str) -> Result<bool, Refused> {
        let (root, child) = ("root".to_owned(), child.to_owned());
        self.call(&match what {
            "terminate" => Call::Terminate(root, child),
            "restart" => Call::RestartChild(root, child),
            "delete" => Call::DeleteChild(root, child),
            other => panic!("{other}"),
        })
    }
}

fn limit(name: &str) -> Option<End> {
    Some(End::Ended(Why::Limit(name.to_owned())))
}

#[test]
fn model_a09_a_start_that_fails_takes_down_what_was_started_and_starts_no_more() {
    let mut world = World::default();
    world.starts.set("c2", Start::Fails, 1);
    let mut system = System::boot(world, &flags(OneForOne, 9, Never, permanent("c1 c2 c3")));
    assert_eq!(system.says(), "c1+1 c2+2 c1-");
    assert_eq!(system.root.err(), Some(End::StartFailed("c2".to_owned())));
}

#[test]
fn model_a12_a13_who_ignores_is_kept_unless_temporary() {
    let mut world = World::default();
    world.starts.set("t", Start::Ignores, 1);
    world.starts.set("p", Start::Ignores, 1);
    let specs = vec![worker("t", Temporary), worker("p", Permanent), worker("q", Permanent)];
    let system = System::boot(world, &flags(OneForOne, 9, Never, specs));
    assert_eq!((system.seen("t"), system.seen("p")), (None, Some(Seen::Undefined)));
    assert_eq!(system.count("root"), [2, 1, 0, 2]);
}

#[test]
fn model_c01_to_c16_child_administration() {
    let mut system = boot(&flags(OneForOne, 9, Never, permanent("a")));
    let start = Call::StartChild("root".to_owned(), worker("a", Permanent));
    assert_eq!(system.call(&start), Err(Refused::AlreadyStarted), "C01");
    assert_eq!(system.asked("restart", "a"), Err(Refused::Running), "C08");
    assert_eq!(system.asked("delete", "a"), Err(Refused::Running), "C11");
    assert_eq!(system.asked("terminate", "a"), Ok(true), "C02");
    assert_eq!(system.count("root"), [1, 0, 0, 1], "C02");
    assert_eq!(system.asked("terminate", "a"), Ok(true), "C03");
    assert_eq!(system.asked("terminate", "b"), Err(Refused::NotFound), "C04");
    assert_eq!(system.call(&start), Err(Refused::AlreadyPresent), "C06");
    system.world.starts.set("a", Start::Fails, 1);
    assert_eq!(system.asked("restart", "a"), Err(Refused::StartFailed), "C16");
    assert_eq!(system.seen("a"), Some(Seen::Undefined), "C16");
    assert_eq!(system.asked("restart", "a"), Ok(true), "C07");
    assert_eq!(system.asked("terminate", "a"), Ok(true));
    assert_eq!(system.asked("delete", "a"), Ok(true), "C11");
    assert_eq!(system.asked("restart", "a"), Err(Refused::NotFound), "C09, C11");
    assert_eq!(system.count("root"), [0, 0, 0, 0], "C11");
    system.world.starts.set("a", Start::Fails, 1);
    assert_eq!(system.call(&start), Err(Refused::StartFailed), "C15");
    assert_eq!(system.count("root"), [0, 0, 0, 0], "C15");
    assert_eq!(system.call(&start), Ok(true), "C12");
}

#[test]
fn model_c21_d26_pool_members_that_are_restarting_count_and_can_be_terminated() {
    let mut system = boot(&flags(Pool, 9, Never, Vec::new()));
    for name in ["p1", "p2", "p3"] {
        system.call(&Call::StartChild("root".to_owned(), worker(name, Permanent))).unwrap();
        system.world.starts.set(name, Start::Fails, 1000);
    }
    system.ends("p1", Abnormal);
    system.ends("p2", Abnormal);
    assert_eq!(system.count("root"), [1, 1, 0, 3]);
    assert_eq!(system.asked("restart", "p1"), Err(Refused::IsPool), "D06, J05");
    assert_eq!(system.asked("terminate", "p1"), Ok(true), "D26");
    assert_eq!(system.count("root"), [1, 1, 0, 2]);
    system.world.starts.set("p2", Start::Works, 0);
    assert_eq!(system.next(), "p2+6", "and its notice does nothing");
    system.world.starts.set("p3", Start::Ignores, 1);
    system.ends("p3", Abnormal);
    assert_eq!((system.seen("p3"), system.count("root")), (None, [1, 1, 0, 1]), "D12");
}

#[test]
fn model_d20_a_member_that_waits_for_its_restart_counts_for_the_bound() {
    let plan = Plan { max_children: Some(1), ..flags(Pool, 9, Never, Vec::new()) };
    let mut system = boot(&plan);
    let start = |name| Call::StartChild("root".to_owned(), worker(name, Permanent));
    assert_eq!(system.call(&start("p1")), Ok(true));
    system.world.starts.set("p1", Start::Fails, 1);
    system.ends("p1", Abnormal);
    assert_eq!(system.call(&start("p2")), Err(Refused::MaxChildren));
}

#[test]
fn model_e01_to_e07_what_each_restart_type_does() {
    let after = |restart, reason| {
        let mut system = boot(&flags(OneForOne, 9, Never, vec![worker("a", restart)]));
        system.ends("a", reason);
        (system.seen("a"), system.count("root"))
    };
    for reason in [Clean, Abnormal] {
        assert_eq!(after(Permanent, reason), (Some(Seen::Life(2)), [1, 1, 0, 1]), "E01 to E03");
        assert_eq!(after(Temporary, reason), (None, [0, 0, 0, 0]), "E07");
    }
    assert_eq!(after(Transient, Clean), (Some(Seen::Undefined), [1, 0, 0, 1]), "E04, E05");
    assert_eq!(after(Transient, Abnormal), (Some(Seen::Life(2)), [1, 1, 0, 1]), "E06");
}

#[test]
fn model_e09_a_temporary_bystander_is_stopped_and_gone() {
    for strategy in [OneForAll, RestForOne] {
        let specs = vec![worker("p", Permanent), worker("t", Temporary)];
        let mut system = boot(&flags(strategy, 9, Never, specs));
        assert_eq!(system.ends("p", Abnormal), "t- p+3");
        assert_eq!(system.count("root"), [1, 1, 0, 1]);
    }
}

#[test]
fn model_f01_f02_one_for_one_and_its_escalation() {
    let mut system = boot(&flags(OneForOne, 2, Never, permanent("a b")));
    assert_eq!(system.ends("a", Abnormal), "a+3");
    assert_eq!(system.ends("a", Abnormal), "a+4");
    assert_eq!(system.ends("a", Abnormal), "b-");
    assert_eq!(system.root.clone().err(), limit("a"));
    let mut system = boot(&flags(OneForOne, 4, Never, permanent("a b")));
    system.world.starts.set("a", Start::Fails, 1000);
    assert_eq!(system.ends("a", Abnormal), "a+3");
    assert_eq!([system.next(), system.next(), system.next()], ["a+4", "a+5", "a+6"]);
    assert_eq!(system.next(), "b-", "more than 4");
    assert_eq!(system.root.clone().err(), limit("a"));
}

#[test]
fn model_g01_g03_g04_one_for_all() {
    let mut system = boot(&flags(OneForAll, 9, Never, permanent("a b c")));
    assert_eq!(system.ends("b", Abnormal), "c- a- a+4 b+5 c+6");
    system.world.starts.set("b", Start::Fails, 1);
    assert_eq!(system.ends("a", Abnormal), "c- b- a+7 b+8");
    assert_eq!(system.next(), "a- a+9 b+10 c+11", "G03: the new one is stopped before the next attempt");
    let mut system = boot(&flags(OneForAll, 2, Never, permanent("a b")));
    for _ in 0..2 {
        system.ends("a", Abnormal);
    }
    assert_eq!(system.root.clone().err(), None, "a group restart is one restart");
    system.ends("a", Abnormal);
    assert_eq!(system.root.clone().err(), limit("a"));
}

#[test]
fn model_h01_h03_h04_h05_rest_for_one() {
    let mut system = boot(&flags(RestForOne, 9, Never, permanent("a b c d e")));
    assert_eq!(system.ends("c", Abnormal), "e- d- c+6 d+7 e+8", "H04");
    system.world.starts.set("b", Start::Fails, 2);
    assert_eq!(system.ends("a", Abnormal), "e- d- c- b- a+9 b+10");
    assert_eq!(system.next(), "b+11", "H03: the first is not restarted again");
    assert_eq!(system.next(), "b+12 c+13 d+14 e+15");
    let mut system = boot(&flags(RestForOne, 9, Never, permanent("a b c")));
    system.world.starts.set("b", Start::Fails, 1000);
    system.ends("b", Abnormal);
    let seen = [system.seen("c"), system.seen("b"), system.seen("a")].map(Option::unwrap);
    assert_eq!(seen, [Seen::Undefined, Seen::Restarting, Seen::Life(1)], "H05");
    assert_eq!(system.count("root"), [3, 1, 0, 3], "H05");
}

#[test]
fn model_i01_to_i03_the_window_and_its_inclusive_edge() {
    let mut system = boot(&flags(OneForOne, 0, Never, permanent("a")));
    assert_eq!(system.ends("a", Abnormal), "", "I02: no attempt is made");
    assert_eq!(system.root.err(), limit("a"));
    for (nanos, lives) in [(5_000_000_000, false), (5_000_000_001, true)] {
        let mut system = boot(&flags(OneForOne, 1, Never, permanent("a")));
        system.ends("a", Abnormal);
        system.world.now += nanos;
        system.ends("a", Abnormal);
        assert_eq!(system.root.is_ok(), lives);
    }
    let plan = Plan { whole_seconds: true, ..flags(OneForOne, 1, Never, permanent("a")) };
    for (nanos, lives) in [(5_999_999_999, false), (6_000_000_000, true)] {
        let mut system = boot(&plan);
        system.ends("a", Abnormal);
        system.world.now += nanos;
        system.ends("a", Abnormal);
        assert_eq!(system.root.is_ok(), lives);
    }
}

#[test]
fn model_j01_j02_j07_a_loop_is_broken_by_terminate() {
    let mut system = boot(&flags(OneForOne, 9, Never, permanent("a")));
    system.world.starts.set("a", Start::Fails, 1000);
    system.ends("a", Abnormal);
    let start = Call::StartChild("root".to_owned(), worker("a", Permanent));
    assert_eq!(system.call(&start), Err(Refused::AlreadyPresent));
    assert_eq!(system.asked("restart", "a"), Err(Refused::Restarting));
    assert_eq!(system.asked("delete", "a"), Err(Refused::Restarting));
    assert_eq!(system.count("root"), [1, 0, 0, 1]);
    assert_eq!(system.asked("terminate", "a"), Ok(true));
    assert_eq!(system.next(), "", "no further attempts");
    system.world.starts.set("a", Start::Works, 0);
    assert_eq!(system.asked("restart", "a"), Ok(true));
    // A notice that was left over from an earlier wait is not for a later one.
    system.world.starts.set("a", Start::Fails, 2);
    system.ends("a", Abnormal);
    system.asked("terminate", "a").unwrap();
    system.asked("restart", "a").unwrap_err();
    system.asked("restart", "a").unwrap();
    system.world.starts.set("a", Start::Fails, 1);
    system.ends("a", Abnormal);
    assert_eq!(system.next().split(' ').count(), 1, "one attempt, though two notices lay there");
}

#[test]
fn model_l01_l02_an_escalation_restarts_all_three_subtrees() {
    let trees = [("s1", "a b"), ("s2", ""), ("s3", "c")];
    let specs = trees.map(|(name, own)| inner(name, flags(OneForOne, 1, Never, permanent(own)))).to_vec();
    let mut system = boot(&flags(OneForAll, 9, Never, specs));
    for name in ["d", "e"] {
        system.call(&Call::StartChild("s2".to_owned(), worker(name, Permanent))).unwrap();
    }
    system.asked("terminate", "s3").unwrap();
    assert_eq!(system.count("root"), [3, 2, 3, 0], "L01");
    assert_eq!(system.ends("d", Abnormal), "d+6", "L01");
    assert_eq!(system.ends("d", Abnormal), "e- b- a- a+7 b+8 c+9", "L02");
    assert_eq!((system.count("root"), system.count("s2")), ([3, 3, 3, 0], [0, 0, 0, 0]), "L02");
}

#[test]
fn model_m03_to_m08_significant_children() {
    let ends = |auto, restart, by: &[(&str, Death)]| {
        let significant = |name| Spec { significant: true, ..worker(name, restart) };
        let specs = vec![significant("a"), significant("b"), worker("c", Permanent)];
        let mut system = boot(&flags(OneForOne, 9, auto, specs));
        for (name, reason) in by {
            system.ends(name, *reason);
        }
        system.root.err() == Some(End::Ended(Why::Significant))
    };
    assert!(ends(Any, Temporary, &[("a", Clean)]) && ends(Any, Temporary, &[("a", Abnormal)]), "M03");
    assert!(!ends(All, Temporary, &[("a", Clean)]) && ends(All, Temporary, &[("a", Clean), ("b", Abnormal)]));
    assert!(!ends(Any, Transient, &[("a", Abnormal)]) && ends(Any, Transient, &[("a", Clean)]), "M05");
    assert!(!ends(All, Transient, &[("a", Clean)]) && ends(All, Transient, &[("a", Clean), ("b", Clean)]));
    assert!(!ends(Any, Temporary, &[("c", Clean)]), "M01");
    let specs = vec![worker("p", Permanent), Spec { significant: true, ..worker("s", Transient) }];
    let mut system = boot(&flags(OneForAll, 9, Any, specs));
    assert_eq!(system.ends("p", Abnormal), "s- p+3 s+4", "M08");
    system.asked("terminate", "s").unwrap();
    assert!(system.root.is_ok(), "M03: ended by request");
}

#[test]
fn model_m09_the_end_of_an_inner_supervisor_reaches_the_outer_one_if_significant() {
    for significant in [false, true] {
        let own = vec![Spec { significant: true, ..worker("a", Temporary) }];
        let inner = Spec { significant, restart: Transient, ..inner("s", flags(OneForOne, 9, Any, own)) };
        let mut system = boot(&flags(OneForOne, 9, Any, vec![inner, worker("b", Permanent)]));
        assert_eq!(system.ends("a", Clean), if significant { "b-" } else { "" });
        assert_eq!(system.root.is_err(), significant);
    }
}

#[test]
fn model_n01_to_n06_a_reload_starts_and_stops_nothing() {
    let mut system = boot(&flags(OneForOne, 9, Never, permanent("a b c")));
    system.world.done.clear();
    let bad = Spec { significant: true, ..worker("a", Permanent) };
    assert_eq!(system.call(&Call::Reload(flags(OneForAll, 9, Any, vec![bad]))), Err(Refused::BadSpec), "N02");
    let specs = vec![worker("d", Permanent), worker("b", Temporary)];
    assert_eq!(system.call(&Call::Reload(flags(OneForAll, 0, Never, specs))), Ok(true));
    let names: Vec<String> = system.list().into_iter().rev().map(|line| line.1).collect();
    assert_eq!((names.join(" "), system.says()), ("d b a c".to_owned(), String::new()), "N03, N05, N06");
    assert!(system.root.as_ref().is_ok_and(|root| matches!(root.kids[1].pid, Pid::Running(Live::Worker(2)))));
    assert_eq!(system.asked("restart", "d"), Ok(true), "N03");
    system.ends("b", Abnormal);
    assert_eq!(system.seen("b"), None, "N04: it is temporary now");
    system.ends("a", Abnormal);
    assert_eq!(system.root.err(), limit("a"), "N01");
}
