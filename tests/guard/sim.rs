//! Histories by seed, and what does not depend on one.

use crate::keeper::{Keeper, SECOND};
use crate::random::Random;
use crate::world;
use mainstay::flags::guard::{Act, Guarding, Happened, Reason};
use mainstay::flags::{Catalog, Declaration, Value};
use mainstay::time::Duration;
use std::panic::catch_unwind;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

#[test]
fn every_history_is_as_the_contract_says() {
    if let Some(seed) = number("GUARD_SEED") {
        world::run(seed, true);
        return;
    }
    let histories = number("GUARD_HISTORIES").unwrap_or(1000);
    let first = number("GUARD_FIRST").unwrap_or(0);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let (mut rollbacks, mut broken) = (0, Vec::new());
    std::thread::scope(|scope| {
        let work = |core: u64| {
            move || {
                let (mut rollbacks, mut broken) = (0, Vec::new());
                for seed in (first + core..first + histories).step_by(cores as usize) {
                    match catch_unwind(|| world::run(seed, false)) {
                        Ok(world) => rollbacks += world.keeper.judge.unwrap().rollbacks.get(),
                        Err(_) => broken.push(seed),
                    }
                }
                (rollbacks, broken)
            }
        };
        let threads: Vec<_> = (0..cores).map(|core| scope.spawn(work(core))).collect();
        for thread in threads {
            let (some, seeds) = thread.join().unwrap();
            rollbacks += some;
            broken.extend(seeds);
        }
    });
    broken.sort_unstable();
    assert!(
        broken.is_empty(),
        "broken: {} of {histories}, run one with GUARD_SEED: {broken:?}",
        broken.len()
    );
    assert!(rollbacks > histories / 10, "a simulation in which nothing happens shows nothing: {rollbacks}");
}

/// Three flags that nothing proves within this history, three services that die now and then or in bursts; `dies`: the keeper
/// does, before everything that is asked of it. Says what was done when.
fn story(seed: u64, dies: bool) -> Vec<String> {
    let mut random = Random::new(seed);
    let names = ["x", "y", "z"];
    let services = ["web", "worker", "db"];
    let flags = names.map(|name| {
        let named = (0..random.below(3)).map(|at| services[at].to_owned()).collect();
        let guard = Guarding { services: named, bake: Duration::from_secs(86_400), ..Guarding::default() };
        Declaration { name: name.into(), salt: name.into(), guard: Some(guard), ..Declaration::default() }
    });
    let mut keeper = Keeper::new(Catalog::new(flags, []));
    keeper.dies_always = dies;
    let instances = services.map(|service| format!("{service}#1"));
    for (service, instance) in services.iter().zip(&instances) {
        keeper.add(service, instance);
        keeper.start(instance);
        keeper.reads(instance, names[random.below(3)]);
    }
    for _ in 0..random.below(60) + 20 {
        keeper.wait(Duration::from_millis(random.below(40_000) as u64));
        let instance = random.pick(&instances);
        match random.below(8) {
            0..2 => {
                drop(keeper.set(random.pick(&names), random.pick(&[Value::On, Value::Off, Value::Share(7)])))
            }
            2..4 => (0..random.below(5)).for_each(|_| {
                keeper.wait(SECOND);
                keeper.crash(&instance);
                keeper.start(&instance);
                keeper.reads(&instance, names[0]);
            }),
            4 => keeper.event(&instance, Happened::Unhealthy { in_a_row: 1 + random.below(3) as u32 }),
            5 => keeper.event(&instance, Happened::NeverReady { within: SECOND }),
            6 => keeper.event(&instance, Happened::GaveUp),
            _ => keeper.start(&instance),
        }
    }
    let acts = keeper.done.iter().filter(|(_, decision)| !matches!(decision.act, Act::Note));
    // Notes have numbers of their own, and one that dies early writes down less.
    let act = |act: &Act| match act {
        Act::RollBack(Reason { subject, service, signal, why, evidence, .. }) => {
            format!("{subject:?} {service} {signal:?} {why} {evidence:?}")
        }
        other => format!("{other:?}"),
    };
    let mut told: Vec<String> =
        acts.map(|(at, done)| format!("{} {} {:?}", at.mono_ns, act(&done.act), done.change.sets)).collect();
    told.push(format!("{:?} {:?} {:?}", keeper.set, keeper.facts.bans.keys(), keeper.facts.past));
    told
}

/// Thrown away before everything that is asked of it, and made anew from the facts and the ring, it does the same at the same
/// moments, for the same reasons.
#[test]
fn a_keeper_that_dies_at_every_step_decides_as_one_that_never_does() {
    let mut acts = 0;
    for seed in 0..number("GUARD_STORIES").unwrap_or(200) {
        let lives = story(seed, false);
        acts += lives.len() - 1;
        assert_eq!(lives, story(seed, true), "seed {seed}");
    }
    assert!(acts > 100, "nothing happened: {acts}");
}

/// A guarded change bakes all the time, and the service dies once an hour, for another reason.
#[test]
fn a_crash_an_hour_trips_nothing_in_a_thousand_days() {
    let guard = Guarding { services: vec!["web".into()], ..Guarding::default() };
    let flag =
        Declaration { name: "x".into(), salt: "x".into(), guard: Some(guard), ..Declaration::default() };
    let mut keeper = Keeper::new(Catalog::new([flag], []));
    for instance in ["web#1", "web#2"] {
        keeper.add("web", instance);
        keeper.start(instance);
    }
    let mut random = Random::new(1);
    let mut share = 0;
    for hour in 0..24_000_u32 {
        let minute = random.below(60) as u32;
        for quarter in 0..4 {
            share = share % 90_000 + 1;
            keeper.set("x", Value::Share(share)).unwrap();
            assert!(!keeper.facts.watches.is_empty());
            let seconds = 900 - (hour + quarter) % 7;
            if minute / 15 == quarter {
                keeper.wait(SECOND * (minute % 15 * 60));
                keeper.crash("web#1");
                keeper.start("web#1");
                keeper.wait(SECOND * (seconds - minute % 15 * 60));
            } else {
                keeper.wait(SECOND * seconds);
            }
        }
    }
    let wrong = keeper.acts().into_iter().find(|act| !matches!(act, Act::Prove { .. }));
    assert_eq!(wrong, None);
    assert!(keeper.mono().as_nanos() > 1000 * 86_000 * 1_000_000_000, "a thousand days");
}

/// Histories that were broken once.
#[test]
fn what_was_found_stays_found() {
    // The judge's, the world's or the guard's fault: 814 repeated a row of failed checks; 2498 went back to what was before the
    // whole rollout, after its watch had been forgotten; 212 never restarted what could not become ready; 49 and 113 were sick
    // for less than two windows; 1486 was another salt, under which a share hurts somebody else.
    for seed in [49, 113, 212, 814, 1486, 2498] {
        world::run(seed, false);
    }
}

/// The judge's fault: it asked the guard to say why something hurts that it cannot know. A flag that keeps a service from
/// becoming ready was proven while nothing was restarted; later something restarts, while a change of another flag bakes.
#[test]
fn what_was_proven_while_nothing_restarted_is_no_suspect_of_a_later_change() {
    for seed in [8363, 32696, 35330] {
        world::run(seed, false);
    }
}

/// The judge's fault, too: the flag itself is changed again, while the service that cannot become ready has never read it in the
/// life that it has. Where no service is named, it does not count.
#[test]
fn a_service_that_never_comes_to_read_a_flag_does_not_count_for_it() {
    for seed in [33080, 86438] {
        world::run(seed, false);
    }
}
