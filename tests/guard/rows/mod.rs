//! Every row of the guard's table, as tests: a file for each idea.

mod bake;
mod ban;
mod cool_down;
mod host_died_while_baking;
mod last_good;
mod order_of_acting;
mod rollouts;
mod several_changes_baking;
mod sick_before_the_change;
mod signal_1;
mod signal_2;
mod signal_3;
mod signal_5;
mod signal_6;
mod stages;
mod the_switch;
mod which_services_count;

use crate::keeper::{Keeper, SECOND};
use mainstay::flags::guard::{
    Act, Errors, Guarding, Happened, Input, Mode, Past, Probe, RollState, STARTS_MAX, Signal, Subject,
    Verdict, Went, word,
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
