//! Without OTP semantics: the whole space of strategy × restart type × cause × position, against a model of a few
//! lines. `tests/naive` does the same, and more, for groups with OTP semantics.

use crate::rig::Plant;
use mainstay::supervisor::spec::Restart::{Permanent, Temporary, Transient};
use mainstay::supervisor::spec::Strategy::{self, OneForAll, OneForOne, RestForOne};
use mainstay::supervisor::spec::{Intensity, Restart};
use mainstay::supervisor::{Cause, State};
use mainstay::time::Duration;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// What follows the death of the member at `dead`, when all three have this restart type.
fn model(strategy: Strategy, restart: Restart, clean: bool, dead: usize) -> String {
    let again = match restart {
        Permanent => true,
        Transient => !clean,
        Temporary => false,
    };
    if !again {
        return String::new();
    }
    let falls = match strategy {
        OneForOne => dead..dead + 1,
        OneForAll => 0..3,
        RestForOne => dead..3,
    };
    let mut words: Vec<String> =
        falls.clone().rev().filter(|at| *at != dead).map(|at| format!("{}-", NAMES[at])).collect();
    words.extend(falls.enumerate().map(|(n, at)| format!("{}+{}", NAMES[at], 4 + n)));
    words.join(" ")
}

#[test]
fn groups_of_the_default_semantics_fall_and_come_back_in_every_combination() {
    let causes = [
        (Cause::Code(0), true),
        (Cause::Code(3), true),
        (Cause::Signal(15, false), true),
        (Cause::Code(1), false),
        (Cause::Signal(9, false), false),
        (Cause::Signal(11, true), false),
        (Cause::Unknown, false),
    ];
    let mut seen = 0;
    for strategy in [OneForOne, OneForAll, RestForOne] {
        for restart in [Permanent, Transient, Temporary] {
            for (cause, clean) in causes {
                #[allow(clippy::needless_range_loop, reason = "the number is the member, not only an index")]
                for dead in 0..3 {
                    let plant = Plant::new().root(|root| {
                        root.strategy = strategy;
                        root.intensity = Some(Intensity { max: 1, within: Duration::from_secs(5) });
                    });
                    let plant = NAMES.into_iter().fold(plant, |plant, name| {
                        plant.child("root", name, |child| (child.restart, child.clean) = (restart, vec![3]))
                    });
                    let mut rig = plant.boot();
                    let case = format!("{strategy:?} {restart:?} {cause:?} {dead}");
                    let expected = model(strategy, restart, clean, dead);
                    assert_eq!(rig.exits(NAMES[dead], cause), expected, "{case}");
                    let state = if expected.is_empty() { State::Finished } else { State::Up };
                    assert_eq!(rig.state(NAMES[dead]), state, "{case}");
                    assert!(rig.supervisor.as_wanted(rig.id(NAMES[dead])), "{case}");
                    if state == State::Finished {
                        assert_eq!(rig.start(NAMES[dead]), format!("{}+4", NAMES[dead]), "{case}");
                    }
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 3 * 3 * 7 * 3);
}
