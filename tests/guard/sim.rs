//! Histories by seed.

use crate::world;
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
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let (mut rollbacks, mut broken) = (0, Vec::new());
    std::thread::scope(|scope| {
        let work = |core: u64| {
            move || {
                let (mut rollbacks, mut broken) = (0, Vec::new());
                for seed in (core..histories).step_by(cores as usize) {
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
