//! Every row of the guard's table, as tests.

use crate::keeper::{Keeper, SECOND};
use mainstay::flags::guard::{
    Act, Errors, Guarding, Happened, Input, Mode, Probe, RollState, STARTS_MAX, Signal, Subject, Verdict,
    Went, word,
};
use mainstay::flags::migration::Enabling;
use mainstay::flags::roll::{Order, Steering};
use mainstay::flags::{
    Catalog, Declaration, Kind, Migration, Refused, Stage, Truth, Unit, Value, adopt, emergency, load,
    migration, reset, roll, set, switch,
};
use mainstay::time::Duration;

fn guarding() -> Guarding {
    Guarding { services: vec!["web".into()], ..Guarding::default() }
}

fn flag(name: &str, guard: Guarding) -> Declaration {
    Declaration { name: name.into(), salt: name.into(), guard: Some(guard), ..Declaration::default() }
}

fn plain(name: &str) -> Declaration {
    Declaration { guard: None, ..flag(name, guarding()) }
}

/// `web#1`, `web#2`, `db#1`, up for an hour.
fn keeper(flags: Vec<Declaration>, migrations: Vec<Migration>) -> Keeper {
    let mut keeper = Keeper::new(Catalog::new(flags, migrations));
    for (service, instance) in [("web", "web#1"), ("web", "web#2"), ("db", "db#1")] {
        keeper.add(service, instance);
        keeper.start(instance);
    }
    keeper.wait(Duration::from_secs(3600));
    keeper
}

fn one(guard: Guarding) -> Keeper {
    keeper(vec![flag("x", guard)], vec![])
}

/// It crashes and is up again at once, `times` times, one second apart.
fn crashes(keeper: &mut Keeper, instance: &str, times: u32) {
    for _ in 0..times {
        keeper.wait(SECOND);
        keeper.crash(instance);
        keeper.start(instance);
    }
}

fn x() -> Subject {
    Subject::Flag("x".into())
}

fn signals(keeper: &Keeper) -> Vec<Signal> {
    keeper.rollbacks().iter().map(|(_, reason)| reason.signal).collect()
}

mod which_services_count {
    use super::*;

    #[test]
    fn those_that_are_named_and_nobody_else() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "db#1", 9);
        assert_eq!(signals(&keeper), []);
        crashes(&mut keeper, "web#1", 3);
        assert_eq!(signals(&keeper), [Signal::Crashes]);
    }

    #[test]
    fn those_that_the_flag_may_hurt_when_its_guard_names_none() {
        let named = Declaration { services: vec!["db".into()], ..flag("x", Guarding::default()) };
        let mut keeper = keeper(vec![named], vec![]);
        keeper.reads("web#1", "x");
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 9);
        assert_eq!(signals(&keeper), []);
        crashes(&mut keeper, "db#1", 3);
        assert_eq!(signals(&keeper), [Signal::Crashes]);
    }

    #[test]
    fn those_that_have_read_it_when_none_are_named_however_late_that_is_found_out() {
        let mut keeper = one(Guarding::default());
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 3);
        assert_eq!(signals(&keeper), [], "nobody has read it");
        keeper.reads("web#2", "x");
        assert_eq!(signals(&keeper), [Signal::Crashes]);
    }

    #[test]
    fn a_reader_of_any_flag_of_the_stage_or_of_the_migration_counts() {
        for read in ["a", "m"] {
            let stages = vec![Stage { name: "one".into(), on: vec!["a".into()], ..Stage::default() }];
            let migration = Migration { name: "m".into(), stages, ..Migration::default() };
            let mut keeper = keeper(vec![plain("a")], vec![migration]);
            enable(&mut keeper, "1").unwrap();
            keeper.reads("web#1", read);
            crashes(&mut keeper, "web#1", 3);
            assert_eq!(signals(&keeper), [Signal::Crashes], "{read}");
        }
    }

    #[test]
    fn who_has_read_it_before_a_keeper_died_is_not_forgotten() {
        let mut keeper = one(Guarding::default());
        keeper.reads("web#1", "x");
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 2);
        keeper.crash("web#1");
        let mut again = one(Guarding::default());
        again.reads("web#1", "x");
        again.set("x", Value::On).unwrap();
        crashes(&mut again, "web#1", 2);
        again.wait(SECOND);
        again.read.clear();
        again.die();
        again.crash("web#1");
        assert_eq!(signals(&again), [Signal::Crashes]);
    }
}

mod signal_1 {
    use super::*;

    #[test]
    fn three_abnormal_exits_of_one_service_within_the_window_trip() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 2);
        assert_eq!(signals(&keeper), []);
        crashes(&mut keeper, "web#2", 1);
        let (at, reason) = keeper.rollbacks()[0];
        assert_eq!((at.mono(), reason.seen), (keeper.mono(), keeper.mono()), "in the same moment");
        assert_eq!(reason.evidence.len(), 3);
        assert_eq!(keeper.truth("x").value, Value::Off);
    }

    #[test]
    fn three_in_more_than_the_window_do_not() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        for _ in 0..8 {
            keeper.wait(SECOND * 31);
            keeper.crash("web#1");
            keeper.start("web#1");
        }
        assert_eq!(signals(&keeper), []);
        // The edge of the window belongs to it.
        keeper.wait(SECOND * 29);
        keeper.crash("web#1");
        assert_eq!(signals(&keeper), [Signal::Crashes]);
    }

    #[test]
    fn exits_that_were_asked_for_or_are_normal_do_not_count() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        for (abnormal, asked) in [(true, true), (false, false), (false, true)] {
            for _ in 0..4 {
                keeper.event("web#1", Happened::Exited { abnormal, asked, crash: 0 });
                keeper.start("web#1");
            }
        }
        assert_eq!(signals(&keeper), []);
    }

    #[test]
    fn exits_of_two_services_are_not_added_up() {
        let mut keeper = one(Guarding { services: vec!["web".into(), "db".into()], ..Guarding::default() });
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 2);
        crashes(&mut keeper, "db#1", 2);
        assert_eq!(signals(&keeper), []);
    }

    #[test]
    fn a_supervisor_that_gives_up_trips_at_once() {
        for by_group in [false, true] {
            let mut keeper = one(guarding());
            keeper.set("x", Value::On).unwrap();
            keeper.wait(SECOND);
            keeper.crash("web#1");
            match by_group {
                false => keeper.event("web#1", Happened::GaveUp),
                true => keeper.event("app", Happened::LimitReached { by: "web#1".into() }),
            }
            assert_eq!(signals(&keeper), [Signal::GaveUp]);
        }
    }

    #[test]
    fn another_group_that_gives_up_is_nobodys_fault() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        keeper.event("other", Happened::LimitReached { by: "db#1".into() });
        assert_eq!(signals(&keeper), []);
    }
}

mod signal_2 {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(10);

    #[test]
    fn not_ready_in_time_after_a_restart_trips() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        keeper.wait(SECOND);
        keeper.crash("web#1");
        keeper.begin_life("web#1");
        keeper.wait(WITHIN);
        keeper.event("web#1", Happened::NeverReady { within: WITHIN });
        assert_eq!(signals(&keeper), [Signal::NeverReady]);
    }

    #[test]
    fn a_life_that_began_before_the_change_does_not_count() {
        let mut keeper = one(guarding());
        keeper.crash("web#1");
        keeper.begin_life("web#1");
        keeper.wait(SECOND);
        keeper.set("x", Value::On).unwrap();
        keeper.wait(SECOND * 9);
        keeper.event("web#1", Happened::NeverReady { within: WITHIN });
        assert_eq!(signals(&keeper), []);
    }

    #[test]
    fn it_can_be_turned_off() {
        let mut keeper = one(Guarding { ready: false, ..guarding() });
        keeper.set("x", Value::On).unwrap();
        keeper.wait(WITHIN);
        keeper.event("web#1", Happened::NeverReady { within: WITHIN });
        assert_eq!(signals(&keeper), []);
    }

    /// Crash, short ready, crash, short ready: what a rollout controller whose clock is reset by each ready never notices.
    #[test]
    fn a_short_ready_never_resets_the_clock() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        let changed = keeper.mono();
        for _ in 0..3 {
            keeper.wait(SECOND * 5);
            keeper.begin_life("web#1");
            keeper.wait(SECOND);
            keeper.event("web#1", Happened::Up);
            keeper.wait(SECOND * 12);
            keeper.crash("web#1");
        }
        assert_eq!(signals(&keeper), [Signal::Crashes]);
        assert!(keeper.rollbacks()[0].0.mono().since(changed) < SECOND * 60, "within one window");
    }

    #[test]
    fn a_slow_circle_of_crash_and_short_ready_is_never_proven() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        for _ in 0..200 {
            keeper.wait(SECOND * 45);
            keeper.crash("web#1");
            keeper.start("web#1");
        }
        assert_eq!(keeper.acts(), Vec::<&Act>::new());
        assert!(keeper.facts.watches.contains_key(&x()));
    }
}

mod signal_3 {
    use super::*;

    fn fails(keeper: &mut Keeper, rows: impl IntoIterator<Item = u32>) {
        for in_a_row in rows {
            keeper.wait(SECOND);
            keeper.event("web#1", Happened::Unhealthy { in_a_row });
        }
    }

    #[test]
    fn three_failed_checks_in_a_row_trip() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        fails(&mut keeper, [1, 2, 1, 2]);
        assert_eq!(signals(&keeper), []);
        fails(&mut keeper, [3]);
        assert_eq!(signals(&keeper), [Signal::Unhealthy]);
    }

    #[test]
    fn what_failed_before_the_change_is_not_added() {
        let mut keeper = one(guarding());
        fails(&mut keeper, [1, 2]);
        keeper.set("x", Value::On).unwrap();
        fails(&mut keeper, [3, 4]);
        assert_eq!(signals(&keeper), []);
        fails(&mut keeper, [5]);
        assert_eq!(signals(&keeper), [Signal::Unhealthy]);
    }

    #[test]
    fn checks_that_failed_too_often_before_the_change_too_hold_it() {
        let mut keeper = one(guarding());
        fails(&mut keeper, 1..=7);
        keeper.set("x", Value::On).unwrap();
        fails(&mut keeper, 8..=12);
        assert_eq!(signals(&keeper), []);
        assert!(matches!(keeper.acts()[..], [Act::Hold { .. }]), "{:?}", keeper.acts());
    }

    #[test]
    fn none_are_looked_at_with_health_0() {
        let mut keeper = one(Guarding { health: 0, ..guarding() });
        keeper.set("x", Value::On).unwrap();
        fails(&mut keeper, 1..=50);
        assert_eq!(signals(&keeper), []);
    }
}

/// That both are abnormal exits is decided where exits are told; here they are like any other.
#[test]
fn signal_4_a_missed_watchdog_and_an_out_of_memory_kill_count_as_abnormal_exits() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    for crash in 1..=3 {
        keeper.wait(SECOND);
        keeper.event("web#1", Happened::Exited { abnormal: true, asked: false, crash });
    }
    assert_eq!(keeper.rollbacks()[0].1.evidence, [1, 2, 3]);
}

mod signal_5 {
    use super::*;

    fn counting() -> Guarding {
        Guarding { errors: Some(Errors { delta: 5_000, samples: 200 }), ..guarding() }
    }

    fn counted(keeper: &mut Keeper, instance: &str, ok: u64, errors: u64) {
        let incarnation = keeper.instances[instance].1;
        let instance = instance.to_owned();
        keeper.guard.handle(keeper.mono(), Input::Counted { instance, incarnation, ok, errors });
        keeper.settle();
    }

    #[test]
    fn a_share_of_errors_above_the_one_before_trips() {
        let mut keeper = one(counting());
        counted(&mut keeper, "web#1", 990, 10);
        keeper.set("x", Value::On).unwrap();
        counted(&mut keeper, "web#1", 990 + 190, 10 + 10);
        assert_eq!(signals(&keeper), [], "5% of 200 is 4 points above 1%");
        counted(&mut keeper, "web#1", 990 + 187, 10 + 13);
        assert_eq!(signals(&keeper), [Signal::Errors]);
    }

    #[test]
    fn with_fewer_samples_nothing_is_concluded_and_nothing_goes_further() {
        let mut keeper = one(counting());
        counted(&mut keeper, "web#1", 990, 10);
        keeper.set("x", Value::On).unwrap();
        counted(&mut keeper, "web#1", 990, 10 + 199);
        keeper.wait(Duration::from_secs(3600));
        assert!(matches!(keeper.acts()[..], [Act::Hold { .. }]), "{:?}", keeper.acts());
        counted(&mut keeper, "web#1", 990 + 2000, 10 + 1);
        // What was counted before in that life was errors only; now it is few among many.
        assert!(matches!(keeper.acts()[..], [Act::Hold { .. }, Act::Prove { .. }]), "{:?}", keeper.acts());
    }

    #[test]
    fn a_new_life_counts_from_nothing_and_a_keeper_that_dies_keeps_what_was_before() {
        let mut keeper = one(counting());
        counted(&mut keeper, "web#1", 990, 10);
        keeper.set("x", Value::On).unwrap();
        keeper.die();
        keeper.crash("web#1");
        keeper.start("web#1");
        counted(&mut keeper, "web#1", 150, 50);
        assert_eq!(signals(&keeper), [Signal::Errors]);
    }
}

mod signal_6 {
    use super::*;

    fn asking() -> Guarding {
        let probe = Probe {
            argv: vec!["./smoke".into()],
            directory: "/".into(),
            every: SECOND * 30,
            timeout: SECOND * 10,
        };
        Guarding { probe: Some(probe), ..guarding() }
    }

    fn says(keeper: &mut Keeper, verdict: Verdict) {
        let generation = keeper.facts.watches[&x()].generation;
        keeper.guard.handle(keeper.mono(), Input::Said { subject: x(), generation, verdict });
        keeper.settle();
    }

    fn runs(keeper: &Keeper) -> usize {
        keeper.acts().iter().filter(|act| matches!(act, Act::Run { .. })).count()
    }

    #[test]
    fn a_command_that_says_bad_trips_and_is_run_once_at_a_time() {
        let mut keeper = one(asking());
        keeper.set("x", Value::On).unwrap();
        keeper.wait(SECOND * 31);
        assert_eq!(runs(&keeper), 1);
        says(&mut keeper, Verdict::Good);
        keeper.wait(SECOND * 30);
        assert_eq!(runs(&keeper), 2);
        says(&mut keeper, Verdict::Bad);
        assert_eq!(signals(&keeper), [Signal::Probe]);
    }

    #[test]
    fn one_that_does_not_know_holds_and_one_that_never_answers_is_asked_again() {
        let mut keeper = one(asking());
        keeper.set("x", Value::On).unwrap();
        keeper.wait(SECOND * 71);
        assert_eq!(runs(&keeper), 2, "the first one has had its time");
        says(&mut keeper, Verdict::Unknown);
        keeper.wait(SECOND * 400);
        assert!(keeper.acts().iter().any(|act| matches!(act, Act::Hold { .. })));
        assert!(keeper.facts.watches.contains_key(&x()));
        says(&mut keeper, Verdict::Good);
        assert!(matches!(keeper.acts().last(), Some(Act::Prove { .. })));
    }

    #[test]
    fn what_is_said_of_an_older_change_is_passed_over() {
        let mut keeper = one(asking());
        keeper.set("x", Value::Share(1)).unwrap();
        let old = keeper.facts.watches[&x()].generation;
        keeper.set("x", Value::On).unwrap();
        keeper
            .guard
            .handle(keeper.mono(), Input::Said { subject: x(), generation: old, verdict: Verdict::Bad });
        keeper.settle();
        assert_eq!(signals(&keeper), []);
    }
}

mod sick_before_the_change {
    use super::*;

    #[test]
    fn an_unchanged_rate_does_not_trip_but_bars_going_further() {
        let mut keeper = one(guarding());
        crashes(&mut keeper, "web#1", 4);
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 4);
        assert_eq!(signals(&keeper), []);
        assert!(matches!(keeper.acts()[..], [Act::Hold { .. }]), "{:?}", keeper.acts());
        crashes(&mut keeper, "web#1", 1);
        assert_eq!(signals(&keeper), [Signal::Crashes], "one more than before");
    }

    #[test]
    fn only_the_window_that_ended_with_the_change_is_compared() {
        let mut keeper = one(guarding());
        crashes(&mut keeper, "web#1", 4);
        keeper.wait(SECOND * 61);
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 3);
        assert_eq!(signals(&keeper), [Signal::Crashes]);
    }

    /// A window of a steady rate has one more or one less, as it happens to begin.
    #[test]
    fn a_steady_rate_does_not_trip_whenever_the_change_is_made() {
        for period in [7, 15, 20, 21] {
            for phase in 0..period {
                let mut keeper = one(guarding());
                for second in 0..600 {
                    keeper.wait(SECOND);
                    if second % period == 0 {
                        keeper.crash("web#1");
                        keeper.start("web#1");
                    }
                    if second == 300 + phase {
                        keeper.set("x", Value::On).unwrap();
                    }
                }
                assert_eq!(signals(&keeper), [], "every {period} s, {phase} s later");
            }
        }
    }

    #[test]
    fn a_rollout_is_held_and_waits_for_a_person() {
        let mut keeper = one(guarding());
        crashes(&mut keeper, "web#1", 3);
        let order = Order { steps: vec![10_000, 100_000], ..Order::default() };
        keeper.plan("a try", false, |view, asking| roll::begin(view, asking, "x", &order)).unwrap();
        crashes(&mut keeper, "web#1", 3);
        assert_eq!(keeper.facts.rolls[&1].state, RollState::Held);
        keeper.wait(Duration::from_secs(3600));
        assert_eq!(keeper.facts.rolls[&1].step, 0);
        keeper.plan("ok", false, |view, asking| roll::steer(view, asking, 1, Steering::On)).unwrap();
        assert_eq!((keeper.facts.rolls[&1].step, keeper.truth("x").value), (1, Value::On));
    }

    #[test]
    fn a_service_that_has_recovered_for_a_whole_bake_holds_nothing() {
        let mut keeper = one(guarding());
        crashes(&mut keeper, "web#1", 3);
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 3);
        keeper.wait(SECOND * 301);
        assert!(matches!(keeper.acts().last(), Some(Act::Prove { .. })), "{:?}", keeper.acts());
    }

    #[test]
    fn it_is_known_after_the_ring_has_forgotten_it() {
        let mut keeper = one(guarding());
        crashes(&mut keeper, "web#1", 4);
        keeper.set("x", Value::On).unwrap();
        keeper.wait(SECOND * 2);
        keeper.ring.clear();
        keeper.die();
        crashes(&mut keeper, "web#1", 4);
        assert_eq!(signals(&keeper), []);
    }
}

mod bake {
    use super::*;

    #[test]
    fn five_minutes_unless_said_and_at_least_twice_the_crash_window() {
        for (bake, within, expected) in [(300, 60, 300), (7, 3, 7), (10, 60, 120)] {
            let guard = Guarding { bake: SECOND * bake, within: SECOND * within, ..guarding() };
            let mut keeper = one(guard);
            keeper.set("x", Value::On).unwrap();
            keeper.wait(SECOND * expected - Duration::from_millis(1));
            assert_eq!(keeper.acts(), Vec::<&Act>::new());
            keeper.wait(Duration::from_millis(1));
            assert!(matches!(keeper.acts()[..], [Act::Prove { .. }]), "{bake} {within}");
        }
        assert_eq!(Guarding::default().bake, SECOND * 300);
    }

    #[test]
    fn it_ends_only_with_enough_uptime_of_every_instance() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        keeper.wait(SECOND * 200);
        keeper.crash("web#2");
        keeper.wait(SECOND * 200);
        assert_eq!(keeper.acts(), Vec::<&Act>::new(), "it is not up");
        keeper.start("web#2");
        keeper.wait(SECOND * 299);
        assert_eq!(keeper.acts(), Vec::<&Act>::new());
        let standing = keeper.see(|view| keeper.guard.standing(keeper.now, view));
        assert_eq!((standing[0].baked, standing[0].bake), (SECOND * 299, SECOND * 300));
        keeper.wait(SECOND);
        assert!(matches!(keeper.acts()[..], [Act::Prove { .. }]));
    }

    #[test]
    fn a_service_that_is_stopped_proves_nothing() {
        let mut keeper = one(guarding());
        for instance in ["web#1", "web#2"] {
            keeper.event(instance, Happened::Exited { abnormal: false, asked: true, crash: 0 });
            keeper.event(instance, Happened::Down);
        }
        keeper.set("x", Value::On).unwrap();
        keeper.wait(Duration::from_secs(9000));
        assert_eq!(keeper.acts(), Vec::<&Act>::new());
        // One of two that runs is enough: nobody waits for the other.
        keeper.start("web#1");
        keeper.wait(SECOND * 300);
        assert!(matches!(keeper.acts()[..], [Act::Prove { .. }]));
    }

    #[test]
    fn nobody_who_has_read_it_proves_nothing() {
        let mut keeper = one(Guarding::default());
        keeper.set("x", Value::On).unwrap();
        keeper.wait(Duration::from_secs(9000));
        assert_eq!(keeper.acts(), Vec::<&Act>::new());
        keeper.reads("db#1", "x");
        assert!(matches!(keeper.acts()[..], [Act::Prove { .. }]));
    }

    #[test]
    fn what_was_missed_is_not_taken_for_health() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        keeper.wait(SECOND * 200);
        keeper.guard.handle(keeper.mono(), Input::Missed(7));
        keeper.event("db#1", Happened::Other);
        keeper.wait(SECOND * 299);
        assert_eq!(keeper.acts(), Vec::<&Act>::new());
        keeper.wait(SECOND);
        assert!(matches!(keeper.acts()[..], [Act::Prove { .. }]));
    }
}

mod several_changes_baking {
    use super::*;

    fn two() -> Keeper {
        let mut keeper = keeper(vec![flag("x", guarding()), flag("y", guarding())], vec![]);
        keeper.set("x", Value::On).unwrap();
        keeper.wait(SECOND);
        keeper.set("y", Value::On).unwrap();
        keeper
    }

    fn subjects(keeper: &Keeper) -> Vec<String> {
        keeper
            .rollbacks()
            .iter()
            .map(|(_, reason)| reason.subject.as_ref().unwrap().name().to_owned())
            .collect()
    }

    #[test]
    fn the_newest_goes_back_first_and_the_next_after_a_window_of_sickness() {
        let mut keeper = two();
        crashes(&mut keeper, "web#1", 3);
        assert_eq!(subjects(&keeper), ["y"]);
        crashes(&mut keeper, "web#1", 50);
        assert_eq!(subjects(&keeper), ["y"], "it gets its window");
        crashes(&mut keeper, "web#1", 10);
        assert_eq!(subjects(&keeper), ["y", "x"]);
        let [(first, _), (second, _)] = keeper.rollbacks()[..] else { panic!("two") };
        assert_eq!(second.mono().since(first.mono()), SECOND * 60);
    }

    #[test]
    fn one_that_helped_leaves_the_other_alone() {
        let mut keeper = two();
        crashes(&mut keeper, "web#1", 3);
        keeper.wait(SECOND * 400);
        assert_eq!(subjects(&keeper), ["y"]);
        assert!(matches!(keeper.acts()[..], [Act::RollBack(_), Act::Prove { .. }]), "{:?}", keeper.acts());
        assert_eq!(keeper.truth("x").value, Value::On);
    }

    #[test]
    fn a_change_after_the_crashes_began_is_not_the_one() {
        let mut keeper = keeper(vec![flag("x", guarding()), flag("y", guarding())], vec![]);
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 2);
        keeper.set("y", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 1);
        assert_eq!(subjects(&keeper), ["x"]);
    }

    #[test]
    fn a_change_of_another_service_stays() {
        let of_db = Guarding { services: vec!["db".into()], ..Guarding::default() };
        let mut keeper = keeper(vec![flag("x", guarding()), flag("y", of_db)], vec![]);
        keeper.set("x", Value::On).unwrap();
        keeper.wait(SECOND);
        keeper.set("y", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 3);
        assert_eq!(subjects(&keeper), ["x"]);
    }

    /// `z` is on without having baked: a person ended what would have watched it.
    #[test]
    fn still_sick_all_guarded_flags_go_to_last_good_and_then_to_their_safe_values() {
        let mut keeper =
            keeper(vec![flag("x", guarding()), flag("z", guarding()), flag("w", guarding())], vec![]);
        keeper.set("w", Value::On).unwrap();
        keeper.wait(SECOND * 301);
        keeper.set("z", Value::Share(1000)).unwrap();
        keeper.wait(SECOND * 301);
        keeper.guard_is(Mode::Off);
        keeper.set("z", Value::On).unwrap();
        keeper.guard_is(Mode::On);
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 3);
        let at = keeper.mono();
        crashes(&mut keeper, "web#1", 200);
        let acts: Vec<&Act> = keeper.acts().into_iter().skip(2).collect();
        assert!(matches!(acts[..], [Act::RollBack(_), Act::LastGood(_), Act::Safe(_)]), "{acts:?}");
        let when = |number: usize| {
            keeper.done.iter().filter(|(_, d)| !matches!(d.act, Act::Note)).nth(number).unwrap()
        };
        assert_eq!(when(3).0.mono().since(at), SECOND * 60);
        assert_eq!(when(4).0.mono().since(at), SECOND * 120);
        assert_eq!(when(3).1.change.sets, [("z".into(), Some(Value::Share(1000).into()))]);
        for name in ["x", "z", "w"] {
            assert_eq!(keeper.truth(name).value, Value::Off, "{name}");
        }
        assert!(keeper.facts.after.is_empty());
        assert_eq!(keeper.guard.wants(), None, "there is nothing left to do");
    }

    #[test]
    fn safe_values_come_at_once_when_everything_is_at_its_last_good_already() {
        let mut keeper = keeper(vec![flag("x", guarding()), flag("w", guarding())], vec![]);
        keeper.set("w", Value::On).unwrap();
        keeper.wait(SECOND * 301);
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 100);
        assert!(matches!(keeper.acts()[1..], [Act::RollBack(_), Act::Safe(_)]), "{:?}", keeper.acts());
        assert_eq!(keeper.truth("w").value, Value::Off);
    }

    #[test]
    fn what_does_not_count_for_the_service_stays_as_it_is() {
        let of_db = Guarding { services: vec!["db".into()], ..Guarding::default() };
        let mut keeper = keeper(vec![flag("x", guarding()), flag("w", of_db)], vec![]);
        keeper.set("w", Value::On).unwrap();
        keeper.wait(SECOND * 301);
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 200);
        assert_eq!(keeper.truth("w").value, Value::On);
    }
}

mod order_of_acting {
    use super::*;
    use mainstay::flags::guard::Fact;

    /// One change has the values, the ban, the rollback on record and the fresh budget: one record of the journal, so no death
    /// can come between them.
    #[test]
    fn ban_values_and_one_fresh_budget_are_one_change() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 3);
        let change =
            &keeper.done.iter().find(|(_, done)| matches!(done.act, Act::RollBack(_))).unwrap().1.change;
        assert_eq!(change.sets, [("x".to_owned(), None)]);
        let has = |of: &dyn Fn(&Fact) -> bool| change.facts.iter().filter(|fact| of(fact)).count();
        assert_eq!(has(&|fact| matches!(fact, Fact::Ban(_, Some(_)))), 1);
        assert_eq!(has(&|fact| matches!(fact, Fact::Past(_, Some(_)))), 1);
        assert_eq!(has(&|fact| matches!(fact, Fact::Watch(_, None))), 1);
        assert_eq!(has(&|fact| matches!(fact, Fact::Fresh(_, Some(of)) if *of == ["web"])), 1);
    }
}

mod last_good {
    use super::*;

    fn good(keeper: &Keeper) -> Option<Value> {
        keeper.facts.good.get("x").map(|truth| truth.value)
    }

    #[test]
    fn the_last_value_whose_bake_ended_proven_and_before_that_the_one_when_it_was_first_watched() {
        let mut keeper = one(guarding());
        assert_eq!(good(&keeper), None);
        keeper.set("x", Value::Share(500)).unwrap();
        assert_eq!(good(&keeper), Some(Value::Off));
        keeper.wait(SECOND * 301);
        assert_eq!(good(&keeper), Some(Value::Share(500)));
        keeper.set("x", Value::On).unwrap();
        assert_eq!(good(&keeper), Some(Value::Share(500)));
    }

    #[test]
    fn nothing_that_was_not_proven_is_ever_gone_back_to() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::Share(500)).unwrap();
        keeper.wait(SECOND * 100);
        keeper.set("x", Value::Share(900)).unwrap();
        crashes(&mut keeper, "web#1", 3);
        assert_eq!(keeper.truth("x").value, Value::Off);
    }

    #[test]
    fn a_value_that_does_not_fit_any_more_gives_way_to_the_safe_one() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::Share(500)).unwrap();
        keeper.wait(SECOND * 301);
        keeper.set("x", Value::On).unwrap();
        let only_bool = Declaration { kind: Kind::Bool, ..flag("x", guarding()) };
        keeper.catalog = Catalog::new([only_bool], []);
        crashes(&mut keeper, "web#1", 3);
        assert_eq!(keeper.truth("x").value, Value::Off);
    }
}

mod ban {
    use super::*;

    fn banned() -> Keeper {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 3);
        keeper.wait(Duration::from_secs(3600));
        keeper
    }

    #[test]
    fn people_are_refused_unless_they_override_it() {
        let mut keeper = banned();
        let refused = keeper.set("x", Value::On).unwrap_err();
        assert!(matches!(&refused, Refused::Banned { evidence, .. } if evidence.len() == 3), "{refused}");
        assert!(refused.hint().contains("--override-ban"), "{}", refused.hint());
        assert!(matches!(keeper.set("x", Value::Share(1)), Err(Refused::Banned { .. })));
        let edits = [("x".to_owned(), Some(Truth::from(Value::On)))];
        keeper.plan("it is fixed", true, |view, asking| set(view, asking, &edits)).unwrap();
        keeper.wait(SECOND * 301);
        assert!(keeper.facts.bans.is_empty(), "proven, it is not banned any more");
    }

    #[test]
    fn rollouts_are_refused() {
        let mut keeper = banned();
        let order = Order { steps: vec![10_000], ..Order::default() };
        let refused = keeper.plan("again", false, |view, asking| roll::begin(view, asking, "x", &order));
        assert!(matches!(refused, Err(Refused::Banned { .. })));
    }

    #[test]
    fn its_safe_value_is_always_taken() {
        let mut keeper = banned();
        keeper.set("x", Value::Off).unwrap();
    }

    #[test]
    fn another_definition_lifts_it_and_the_old_one_brings_it_back() {
        let mut keeper = banned();
        let other = Declaration { salt: "x2".into(), ..flag("x", guarding()) };
        let same = Declaration { description: Some("words".into()), ..flag("x", guarding()) };
        let sees = |flag: Declaration, keeper: &mut Keeper| {
            keeper.catalog = Catalog::new([flag], []);
            keeper.see(|view| word(view, keeper.now, "x"))
        };
        assert_eq!(sees(same, &mut keeper), "banned", "words for people are no definition");
        assert_eq!(sees(other, &mut keeper), "");
        assert_eq!(sees(flag("x", guarding()), &mut keeper), "banned");
    }

    #[test]
    fn a_load_leaves_what_is_banned_as_it_is_and_says_so() {
        let configured = Declaration { configured: Some(Value::On), ..flag("x", guarding()) };
        let mut keeper = keeper(vec![configured], vec![]);
        keeper.set("x", Value::Off).unwrap();
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 3);
        keeper.wait(Duration::from_secs(3600));
        assert_eq!(keeper.truth("x").value, Value::Off);
        let loaded = keeper.plan("again", false, load).unwrap();
        assert_eq!((loaded.sets.len(), loaded.notes.len()), (0, 1), "{loaded:?}");
    }

    #[test]
    fn a_plan_that_configures_a_banned_stage_is_refused_and_what_held_stays() {
        let mut keeper = staged();
        enable(&mut keeper, "1").unwrap();
        crashes(&mut keeper, "web#1", 3);
        keeper.wait(Duration::from_secs(3600));
        keeper.plan("as declared", false, load).unwrap();
        let before = keeper.catalog.clone();
        let (flags, migration) = declared();
        keeper.catalog = Catalog::new(flags, [Migration { configured: 1, ..migration }]);
        let adopted = keeper.plan("", false, |view, asking| Ok(adopt(&before, view, asking))).unwrap();
        assert_eq!(adopted.notes.len(), 1, "{adopted:?}");
        assert_eq!((keeper.stage("m"), keeper.truth("a").value), (0, Value::Off));
    }
}

mod cool_down {
    use super::*;

    fn set_again(keeper: &mut Keeper) -> Result<mainstay::flags::Planned, Refused> {
        let edits = [("x".to_owned(), Some(Truth::from(Value::On)))];
        keeper.plan("again", true, |view, asking| set(view, asking, &edits))
    }

    fn rolled_back() -> Keeper {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        crashes(&mut keeper, "web#1", 3);
        keeper.wait(SECOND * 130);
        keeper
    }

    #[test]
    fn nobody_sets_it_for_ten_minutes_even_with_another_definition() {
        let mut keeper = rolled_back();
        keeper.catalog = Catalog::new([Declaration { salt: "y".into(), ..flag("x", guarding()) }], []);
        let refused = keeper.set("x", Value::On).unwrap_err();
        assert!(matches!(refused, Refused::CoolingDown { left, .. } if left == SECOND * 470), "{refused:?}");
        keeper.wait(SECOND * 470);
        keeper.set("x", Value::On).unwrap();
    }

    #[test]
    fn ten_minutes_pass_before_the_guard_acts_on_it_again() {
        let mut keeper = rolled_back();
        set_again(&mut keeper).unwrap();
        crashes(&mut keeper, "web#1", 469);
        assert_eq!(signals(&keeper).len(), 1);
        assert!(keeper.acts().iter().any(|act| matches!(act, Act::Hold { .. })));
        crashes(&mut keeper, "web#1", 2);
        assert_eq!(signals(&keeper).len(), 2);
        let [(first, _), (second, _)] = keeper.rollbacks()[..] else { panic!("two") };
        assert_eq!(second.mono().since(first.mono()), SECOND * 600);
    }

    #[test]
    fn the_wall_clock_has_no_say_in_it() {
        for jump in [-86_400_000_000_i64 * 400, 86_400_000_000 * 400] {
            let mut keeper = rolled_back();
            keeper.now.wall.0 += jump;
            assert!(matches!(keeper.set("x", Value::On), Err(Refused::Banned { .. })));
            set_again(&mut keeper).unwrap();
            crashes(&mut keeper, "web#1", 100);
            assert_eq!(signals(&keeper).len(), 1, "{jump}");
        }
    }

    #[test]
    fn three_rollbacks_in_24_hours_freeze_it_until_a_person_says_otherwise() {
        let mut keeper = one(guarding());
        for round in 1..=3 {
            set_again(&mut keeper).unwrap();
            crashes(&mut keeper, "web#1", 3);
            assert_eq!(signals(&keeper).len(), round);
            keeper.wait(Duration::from_secs(3600));
        }
        let refused = set_again(&mut keeper).unwrap_err();
        assert!(matches!(refused, Refused::Frozen { .. }), "{refused:?}");
        assert_eq!(keeper.see(|view| word(view, keeper.now, "x")), "frozen");
        keeper.wait(Duration::from_secs(3 * 86_400));
        assert!(set_again(&mut keeper).is_err(), "time does not thaw it");
        keeper.plan("fixed", false, |view, asking| switch(view, asking, None, &["x".into()])).unwrap();
        set_again(&mut keeper).unwrap();
    }

    #[test]
    fn three_rollbacks_in_more_than_24_hours_do_not() {
        let mut keeper = one(guarding());
        for _ in 0..5 {
            set_again(&mut keeper).unwrap();
            crashes(&mut keeper, "web#1", 3);
            keeper.wait(Duration::from_secs(12 * 3600 + 10));
        }
        assert_eq!(signals(&keeper).len(), 5);
    }
}

mod host_died_while_baking {
    use super::*;

    #[test]
    fn three_such_starts_roll_back_before_any_service_starts() {
        for reboot in [false, true] {
            let mut keeper = one(guarding());
            keeper.set("x", Value::On).unwrap();
            for _ in 1..STARTS_MAX {
                keeper.another_run(true, reboot);
                keeper.die();
                assert_eq!(signals(&keeper), [], "and each is counted once");
            }
            keeper.another_run(true, reboot);
            assert_eq!(signals(&keeper), [Signal::Starts]);
            assert_eq!(keeper.truth("x").value, Value::Off);
        }
    }

    #[test]
    fn a_goodbye_does_not_count_and_in_another_boot_the_bake_begins_anew() {
        let mut keeper = one(guarding());
        keeper.set("x", Value::On).unwrap();
        for _ in 0..9 {
            keeper.another_run(false, true);
        }
        assert_eq!(signals(&keeper), []);
        ["web#1", "web#2"].iter().for_each(|instance| keeper.start(instance));
        keeper.wait(SECOND * 299);
        assert_eq!(keeper.acts(), Vec::<&Act>::new());
        keeper.wait(SECOND);
        assert!(matches!(keeper.acts()[..], [Act::Prove { .. }]));
    }

    #[test]
    fn of_two_the_newest_goes_back_and_the_other_has_three_more_tries() {
        let mut keeper = keeper(vec![flag("x", guarding()), flag("y", guarding())], vec![]);
        keeper.set("x", Value::On).unwrap();
        keeper.set("y", Value::On).unwrap();
        (0..3).for_each(|_| keeper.another_run(true, true));
        assert_eq!((keeper.truth("x").value, keeper.truth("y").value), (Value::On, Value::Off));
        (0..2).for_each(|_| keeper.another_run(true, true));
        assert_eq!(keeper.truth("x").value, Value::On);
        keeper.another_run(true, true);
        assert_eq!(keeper.truth("x").value, Value::Off);
    }
}

mod the_switch {
    use super::*;

    #[test]
    fn off_for_a_flag_watches_nothing() {
        let mut keeper = one(Guarding { mode: Mode::Off, ..guarding() });
        keeper.set("x", Value::On).unwrap();
        assert!(keeper.facts.watches.is_empty());
        assert_eq!(keeper.guard.wants(), None, "nobody needs to tell it anything");
    }

    #[test]
    fn off_for_the_host_forgets_what_is_watched_and_holds_rollouts() {
        let mut keeper = keeper(vec![flag("x", guarding()), flag("y", guarding())], vec![]);
        keeper.set("x", Value::On).unwrap();
        let order = Order { steps: vec![10_000, 100_000], ..Order::default() };
        keeper.plan("a try", false, |view, asking| roll::begin(view, asking, "y", &order)).unwrap();
        keeper.guard_is(Mode::Off);
        crashes(&mut keeper, "web#1", 30);
        assert_eq!(signals(&keeper), []);
        assert_eq!(keeper.facts.rolls[&1].state, RollState::Held);
        let refused = keeper.plan("on", false, |view, asking| roll::steer(view, asking, 1, Steering::On));
        assert_eq!(refused, Err(Refused::GuardOff));
        keeper.guard_is(Mode::On);
        crashes(&mut keeper, "web#1", 30);
        assert_eq!(signals(&keeper), [], "what was changed meanwhile is not watched");
    }

    #[test]
    fn observe_only_says_what_it_would_do() {
        for by_host in [false, true] {
            let mode = if by_host { Mode::On } else { Mode::Observe };
            let mut keeper = one(Guarding { mode, ..guarding() });
            if by_host {
                keeper.guard_is(Mode::Observe);
            }
            let order = Order { steps: vec![10_000, 100_000], ..Order::default() };
            keeper.plan("a try", false, |view, asking| roll::begin(view, asking, "x", &order)).unwrap();
            crashes(&mut keeper, "web#1", 30);
            assert!(matches!(keeper.acts()[..], [Act::Observed(_)]), "{:?}", keeper.acts());
            assert_eq!(keeper.truth("x").value, Value::Share(10_000));
            assert_eq!(keeper.facts.rolls[&1].state, RollState::Held);
            assert!(keeper.facts.bans.is_empty() && keeper.facts.fresh.is_empty());
        }
    }
}

mod stages {
    use super::*;

    #[test]
    fn a_stage_that_does_harm_goes_back_to_the_one_before_whatever_was_set_by_hand() {
        let mut keeper = staged();
        enable(&mut keeper, "1").unwrap();
        keeper.wait(SECOND * 301);
        let how = Enabling { at_once: true, ..Enabling::default() };
        keeper.plan("on", false, |view, asking| migration::enable(view, asking, "m", "2", how)).unwrap();
        let edits = [("a".to_owned(), Some(Truth::from(Value::Off)))];
        keeper.plan("by hand", false, |view, asking| set(view, asking, &edits)).unwrap();
        crashes(&mut keeper, "web#1", 3);
        assert_eq!(keeper.stage("m"), 1);
        let values = ["a", "b", "c"].map(|flag| keeper.truth(flag).value);
        assert_eq!(values, [Value::On, Value::Off, Value::Off]);
        let refused = enable(&mut keeper, "2").unwrap_err();
        assert!(matches!(refused, Refused::Banned { subject: Subject::Stage(_, 2), .. }), "{refused}");
    }

    #[test]
    fn each_step_bakes_and_the_number_of_the_stage_comes_with_the_last() {
        let mut keeper = staged();
        enable(&mut keeper, "1").unwrap();
        keeper.wait(SECOND * 301);
        enable(&mut keeper, "2").unwrap();
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push((keeper.stage("m"), keeper.truth("b").value));
            keeper.wait(SECOND * 300);
        }
        let expected = [Value::Share(10_000), Value::Share(50_000), Value::On, Value::On];
        assert_eq!(seen, [(1, expected[0]), (1, expected[1]), (2, expected[2]), (2, expected[3])]);
        assert_eq!(keeper.facts.rolls[&1].state, RollState::Done);
        assert_eq!(keeper.facts.good["m"].value, Value::Stage(2));
        assert_eq!(keeper.facts.stood["m"].roll, None);
    }

    #[test]
    fn a_step_that_does_harm_takes_the_whole_stage_back() {
        let mut keeper = staged();
        enable(&mut keeper, "1").unwrap();
        keeper.wait(SECOND * 301);
        enable(&mut keeper, "2").unwrap();
        keeper.wait(SECOND * 301);
        assert_eq!(keeper.truth("b").value, Value::Share(50_000));
        crashes(&mut keeper, "web#1", 3);
        assert_eq!((keeper.stage("m"), keeper.truth("b").value), (1, Value::Off));
        let roll = &keeper.facts.rolls[&1];
        assert_eq!((roll.state, roll.evidence.len()), (RollState::RolledBack, 3));
    }

    #[test]
    fn the_guard_does_not_go_back_past_a_one_way_stage_and_says_so() {
        let mut keeper = staged();
        let how = Enabling { force: true, at_once: true };
        keeper.plan("on", false, |view, asking| migration::enable(view, asking, "m", "3", how)).unwrap();
        crashes(&mut keeper, "web#1", 9);
        assert_eq!((signals(&keeper).len(), keeper.stage("m")), (0, 3));
        assert!(matches!(keeper.acts()[..], [Act::Hold { .. }]), "{:?}", keeper.acts());
    }

    #[test]
    fn an_older_stage_that_does_harm_takes_the_later_one_with_it() {
        let mut keeper = staged();
        enable(&mut keeper, "1").unwrap();
        crashes(&mut keeper, "web#1", 2);
        let how = Enabling { at_once: true, ..Enabling::default() };
        keeper.plan("on", false, |view, asking| migration::enable(view, asking, "m", "2", how)).unwrap();
        crashes(&mut keeper, "web#1", 1);
        assert_eq!((keeper.stage("m"), keeper.facts.watches.len()), (0, 0));
        assert!(keeper.facts.bans.contains_key(&Subject::Stage("m".into(), 1)));
        assert!(!keeper.facts.bans.contains_key(&Subject::Stage("m".into(), 2)), "it is not accused");
    }
}

mod rollouts {
    use super::*;

    #[test]
    fn a_rollout_goes_step_by_step_and_goes_back_to_what_was_before_it_began() {
        let by_instance = Declaration { unit: Unit::Instance, ..flag("x", guarding()) };
        let mut keeper = keeper(vec![by_instance], vec![]);
        let order =
            Order { steps: vec![10_000, 50_000, 100_000], bake: Some(SECOND * 120), ..Order::default() };
        keeper.plan("a try", false, |view, asking| roll::begin(view, asking, "x", &order)).unwrap();
        keeper.wait(SECOND * 119);
        assert_eq!(keeper.truth("x").value, Value::Share(10_000));
        keeper.wait(SECOND);
        assert_eq!(keeper.truth("x").value, Value::Share(50_000));
        crashes(&mut keeper, "web#1", 3);
        assert_eq!(
            (keeper.truth("x").value, keeper.facts.rolls[&1].state),
            (Value::Off, RollState::RolledBack)
        );
    }

    #[test]
    fn the_last_step_that_is_proven_ends_it() {
        let mut keeper = one(guarding());
        let order = Order { steps: vec![10_000, 100_000], ..Order::default() };
        keeper.plan("a try", false, |view, asking| roll::begin(view, asking, "x", &order)).unwrap();
        keeper.wait(SECOND * 600);
        assert_eq!((keeper.truth("x").value, keeper.facts.rolls[&1].state), (Value::On, RollState::Done));
        assert_eq!((keeper.facts.watches.len(), keeper.facts.good["x"].value), (0, Value::On));
    }

    #[test]
    fn an_emergency_ends_everything_that_is_going_on() {
        let mut keeper = staged();
        enable(&mut keeper, "1").unwrap();
        keeper.wait(SECOND * 301);
        enable(&mut keeper, "2").unwrap();
        keeper.plan("fire", false, |view, asking| emergency(view, asking, None)).unwrap();
        assert_eq!((keeper.stage("m"), keeper.facts.watches.len()), (0, 0));
        assert_eq!(keeper.facts.rolls[&1].state, RollState::Ended);
        crashes(&mut keeper, "web#1", 9);
        assert_eq!(signals(&keeper), []);
        keeper.plan("over", false, |view, asking| reset(view, asking, &[])).unwrap();
    }
}

/// `m`: `a` at once, `b` by steps, `c` one-way.
fn declared() -> (Vec<Declaration>, Migration) {
    let stage = |name: &str, on: &str| Stage { name: name.into(), on: vec![on.into()], ..Stage::default() };
    let stages = vec![
        stage("first", "a"),
        Stage { steps: vec![10_000, 50_000, 100_000], ..stage("second", "b") },
        Stage { one_way: true, ..stage("third", "c") },
    ];
    let migration = Migration { name: "m".into(), stages, guard: guarding(), ..Migration::default() };
    (["a", "b", "c"].map(plain).to_vec(), migration)
}

fn staged() -> Keeper {
    let (flags, migration) = declared();
    keeper(flags, vec![migration])
}

fn enable(keeper: &mut Keeper, to: &str) -> Result<mainstay::flags::Planned, Refused> {
    keeper.plan("on", false, |view, asking| migration::enable(view, asking, "m", to, Enabling::default()))
}

#[test]
fn what_was_taken_back_is_looked_after_for_two_windows() {
    let mut keeper = one(guarding());
    keeper.set("x", Value::On).unwrap();
    crashes(&mut keeper, "web#1", 3);
    assert_eq!(keeper.facts.after["web"].went, Went::Back);
    keeper.wait(SECOND * 120);
    assert!(keeper.facts.after.is_empty());
    assert_eq!(keeper.guard.wants(), None);
}
