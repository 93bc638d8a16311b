//! Simulation: the real core in a made-up world, on a clock that jumps. A seed decides everything; what must
//! hold is asserted at every step (see `judge.rs` and `tally.rs`).
//!
//! - `SIM_HISTORIES=200000 cargo test --test sim` runs so many histories (20,000 when it is not set).
//! - `SIM_SEED=17 cargo test --test sim` runs one.

mod judge;
mod plant;
mod random;
mod tally;
mod world;

use std::panic::catch_unwind;

/// The number in this variable of the environment, if there is one.
fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

#[test]
fn every_history_keeps_every_invariant() {
    if let Some(seed) = number("SIM_SEED") {
        world::run(seed);
        return;
    }
    for seed in 0..number("SIM_HISTORIES").unwrap_or(20_000) {
        if catch_unwind(|| world::run(seed)).is_err() {
            panic!("history {seed} broke an invariant: SIM_SEED={seed} cargo test --test sim");
        }
    }
}
