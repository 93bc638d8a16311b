//! C24, G05, K10, Q04: while a stop or a start is going on, another one dies by itself. The supervisor handles that when it is
//! done with what it does: who falls anyway gets no signal and does not count; another death is handled after it.
//!
//! One liberty is left to the core: it need not start those that fall only to stop them again. So under rest_for_one, when
//! one before those that fall dies too, and when one dies while its group is being started, the outcome is compared,
//! and not the way. Nor need it end its own start before it handles a death: what follows when that start then fails too
//! is not compared.

use super::every_death::{RESTARTS, Tally};
use crate::death::Death;
use crate::model::{AutoShutdown, Job, Plan, Restart, Spec, Strategy};
use crate::pair::Pair;
use crate::system::Call;
use crate::world::{Start, Starts};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Four workers that run, for each strategy, two restart types, and intensities; and which of them is of the first type.
fn fours() -> Vec<(Plan, usize)> {
    let mut plans = Vec::new();
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        for (own, others) in RESTARTS.into_iter().flat_map(|own| RESTARTS.map(|others| (own, others))) {
            for intensity in [1, 2, 9] {
                for dead in 0..4 {
                    plans.push((four(strategy, intensity, dead, own, others), dead));
                }
            }
        }
    }
    plans
}

fn four(strategy: Strategy, intensity: usize, dead: usize, own: Restart, others: Restart) -> Plan {
    let spec = |at: usize| Spec {
        name: NAMES[at].to_owned(),
        restart: if at == dead { own } else { others },
        significant: false,
        brutal: false,
        job: Job::Worker,
    };
    Plan {
        strategy,
        intensity,
        period: 5_000_000_000,
        whole_seconds: false,
        auto_shutdown: AutoShutdown::Never,
        max_children: None,
        specs: (0..4).map(spec).collect(),
    }
}

fn case(
    pair: &mut Pair,
    strategy: Strategy,
    dead: usize,
    asked: bool,
    struck: (usize, Death),
    fails: bool,
) -> Result<(), String> {
    let joins = strategy == Strategy::RestForOne && struck.0 < dead && !asked;
    if fails {
        pair.luck(NAMES[dead], Start::Fails, 1);
    }
    pair.strike(NAMES[struck.0], struck.1);
    if asked {
        pair.asks(&Call::Terminate("root".to_owned(), NAMES[dead].to_owned()))?;
    } else {
        pair.dies(NAMES[dead], Death::Killed);
    }
    if joins {
        return pair.outcome();
    }
    pair.difference()?;
    pair.turn();
    pair.difference()
}

#[test]
fn c24_g05_k09_k10_a_death_during_a_stop_is_handled_after_it() {
    let mut tally = Tally::default();
    for (plan, dead) in fours() {
        let pair = Pair::boot(&plan, &Starts::default());
        for struck in (0..4).filter(|struck| *struck != dead) {
            for death in [Death::CodeZero, Death::AbnormalCode] {
                for (asked, fails) in [(true, false), (false, false), (false, true)] {
                    // With fewer starts, another one would fail.
                    if fails && plan.strategy == Strategy::RestForOne && struck < dead {
                        continue;
                    }
                    let mut pair = pair.clone();
                    let result = case(&mut pair, plan.strategy, dead, asked, (struck, death), fails);
                    tally.note(result, || {
                        let line = plan.line();
                        format!("{line} {dead} asked {asked} fails {fails}, meanwhile {struck} {death:?}")
                    });
                }
            }
        }
    }
    tally.judge("deaths during a stop", 5_508);
}

#[test]
fn c24_q04_a_death_during_a_start_is_handled_after_it() {
    let (mut tally, mut happened) = (Tally::default(), 0);
    for (plan, dead) in fours() {
        let pair = Pair::boot(&plan, &Starts::default());
        for struck in (0..4).filter(|struck| *struck != dead) {
            for death in [Death::CodeZero, Death::AbnormalCode] {
                let mut pair = pair.clone();
                pair.strike_in_start(NAMES[struck], death);
                pair.dies(NAMES[dead], Death::Killed);
                let result = match plan.strategy {
                    Strategy::OneForOne => pair.difference(),
                    _ => pair.outcome(),
                };
                happened += u32::from(pair.mirror.struck_in_start.is_none());
                let result = result.and_then(|()| {
                    pair.turn();
                    pair.outcome()
                });
                tally.note(result, || format!("{} {dead}, meanwhile {struck} {death:?}", plan.line()));
            }
        }
    }
    assert_eq!(happened, 912, "deaths that did come during a start");
    tally.judge("deaths during a start", 1_944);
}

#[test]
fn a11_q04_a_death_while_the_supervisor_starts_is_handled_after_it() {
    let mut tally = Tally::default();
    for (plan, dead) in fours() {
        for death in [Death::CodeZero, Death::AbnormalCode] {
            let mut pair = Pair::boot_with(&plan, &Starts::default(), (NAMES[dead], death));
            let result = pair.outcome().and_then(|()| {
                pair.turn();
                pair.outcome()
            });
            tally.note(result, || format!("{} {dead} {death:?}", plan.line()));
        }
    }
    tally.judge("deaths while the supervisor starts", 648);
}
