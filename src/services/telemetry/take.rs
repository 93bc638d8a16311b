//! Moving along one ring of a black box: which record is next, and what becomes of those that are not there. Pure.
//!
//! All numbers are the service's own, and may be lies.

/// A ring that claims to be so far ahead lies: nobody writes so much between two looks.
const PLAUSIBLE: u64 = 1 << 40;

/// What is to be done at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing more was written.
    Done,
    /// The record at this place is there.
    Take,
    /// So many records were overwritten: go on behind them.
    Lost(u64),
    /// So many records are not whole, and will not be: go on behind them.
    Torn(u64),
    /// A record is being written: look again.
    Wait,
    /// The ring's numbers make no sense: go on where it says that it is.
    Lie,
}

/// What is to be done at place `at` of a ring of `size` records, whose next record is `next`. `there` is the first record
/// from `at` on that is there. `patient`: who is writing may still be at it.
pub fn step(at: u64, next: u64, size: u64, there: Option<u64>, patient: bool) -> Step {
    if at == next {
        return Step::Done;
    }
    let behind = next.wrapping_sub(at);
    if behind > PLAUSIBLE {
        return Step::Lie;
    }
    if behind > size {
        return Step::Lost(behind - size);
    }
    match there {
        Some(there) if there == at => Step::Take,
        // When it gets narrow, whoever is slow is not waited for.
        _ if patient && behind <= size / 2 => Step::Wait,
        Some(there) if there > at && there < next => Step::Torn(there - at),
        _ => Step::Torn(behind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_place_is_taken_lost_torn_or_waited_for() {
        for (at, next, there, patient, expected) in [
            (7, 7, None, true, Step::Done),
            (7, 9, Some(7), true, Step::Take),
            (7, 9, Some(8), true, Step::Wait),
            (7, 9, Some(8), false, Step::Torn(1)),
            (7, 9, None, false, Step::Torn(2)),
            (0, 100, Some(90), true, Step::Lost(84)),
            (84, 100, Some(90), true, Step::Torn(6)),
            (9, 7, None, true, Step::Lie),
            (0, u64::MAX, None, true, Step::Lie),
            // Somebody writes a record behind the end.
            (7, 9, Some(100), false, Step::Torn(2)),
        ] {
            assert_eq!(step(at, next, 16, there, patient), expected, "at {at} of {next}, {there:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_ring_claims_its_end_is_reached_in_few_steps_and_everything_is_counted_once(
            mut at in 0u64..1000, next in any::<u64>(), records in proptest::collection::btree_set(0u64..1100, 0..64),
        ) {
            let next = if next % 4 > 0 { next % 1100 } else { next };
            let (from, mut taken, mut gone, mut steps) = (at, 0u64, 0u64, 0);
            loop {
                steps += 1;
                prop_assert!(steps < 100);
                match step(at, next, 64, records.range(at..).next().copied(), false) {
                    Step::Done => break,
                    Step::Wait => prop_assert!(false, "nobody is waited for"),
                    Step::Lie => {
                        prop_assert!(next < from || next - from > PLAUSIBLE);
                        at = next;
                        gone = next.wrapping_sub(from);
                    }
                    Step::Take => { taken += 1; at += 1; }
                    Step::Lost(n) | Step::Torn(n) => { prop_assert!(n > 0); gone += n; at += n; }
                }
            }
            prop_assert_eq!(at, next);
            prop_assert_eq!(taken.wrapping_add(gone), next.wrapping_sub(from));
        }
    }
}
