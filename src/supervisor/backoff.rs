//! The wait before the next life (S7): the first restart at once, then longer and longer, with jitter.
//!
//! Pure arithmetic over [`Backoff`]; it must not know whose restart it is.

use super::spec::Backoff;
use crate::time::Duration;

/// The wait before restart number `attempt` (the first is 1), varied by `jitter`.
///
/// Never longer than `policy.max`, jitter included, except that the first wait is what was asked for.
pub(super) fn delay(policy: &Backoff, attempt: u32, jitter: &mut Jitter) -> Duration {
    let plain = match attempt {
        0 | 1 => policy.first.as_secs_f64(),
        _ => {
            let growth = policy.factor.max(1.0).powi(i32::try_from(attempt - 2).unwrap_or(i32::MAX));
            (policy.base.as_secs_f64() * growth).min(policy.max.as_secs_f64())
        }
    };
    // A product of zero and infinity is not a number: such a policy means "never wait".
    if plain.is_nan() || plain <= 0.0 {
        return Duration::ZERO;
    }
    let longest = if attempt <= 1 { policy.first.max(policy.max) } else { policy.max };
    let share = policy.jitter.clamp(0.0, 1.0);
    let varied = plain * (1.0 + share * jitter.next());
    Duration::try_from_secs_f64(varied).unwrap_or(Duration::MAX).min(longest)
}

/// A small deterministic source of jitter: SplitMix64 (Steele, Lea, Flood 2014), one multiplication chain
/// and no state beyond a counter. Not for secrets.
#[derive(Clone, Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    /// The sequence that belongs to `seed`.
    pub(super) fn new(seed: u64) -> Jitter {
        Jitter(seed)
    }

    /// A number from −1 up to, but not including, 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(policy: &Backoff, attempts: u32) -> Vec<u64> {
        let mut jitter = Jitter::new(1);
        (1..=attempts).map(|attempt| delay(policy, attempt, &mut jitter).as_millis() as u64).collect()
    }

    #[test]
    fn s7_the_first_at_once_then_doubling_up_to_the_longest() {
        let policy = Backoff { jitter: 0.0, ..Backoff::default() };
        assert_eq!(
            waits(&policy, 12),
            [0, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]
        );
        assert_eq!(waits(&Backoff::BUILT_IN, 10), [0, 1, 2, 4, 8, 16, 32, 50, 50, 50]);
        assert_eq!(waits(&Backoff::NONE, 3), [0, 0, 0]);
    }

    #[test]
    fn s7_a_first_wait_that_was_asked_for_is_kept() {
        let policy =
            Backoff { first: Duration::from_secs(2), max: Duration::ZERO, jitter: 0.0, ..Backoff::default() };
        assert_eq!(waits(&policy, 2), [2000, 0]);
    }

    #[test]
    fn s7_jitter_stays_in_its_bounds_and_differs() {
        let policy = Backoff::default();
        let mut jitter = Jitter::new(42);
        let mut seen = std::collections::BTreeSet::new();
        for attempt in 2..2000 {
            let plain = delay(&Backoff { jitter: 0.0, ..policy }, attempt, &mut jitter.clone()).as_secs_f64();
            let varied = delay(&policy, attempt, &mut jitter).as_secs_f64();
            assert!(
                varied >= plain * 0.9 - 1e-9 && varied <= (plain * 1.1).min(30.0) + 1e-9,
                "{varied} of {plain}"
            );
            seen.insert((varied * 1e9) as u64);
        }
        assert!(seen.len() > 500, "{}", seen.len());
    }

    #[test]
    fn s7_no_policy_makes_it_panic() {
        for factor in [0.0, 1.0, f64::MAX, f64::INFINITY, f64::NAN, -3.0] {
            for base in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
                for max in [Duration::ZERO, Duration::MAX] {
                    for jitter in [0.0, 1.0, 7.0, f64::NAN] {
                        let policy = Backoff { first: base, base, factor, max, jitter, forget: base };
                        for attempt in [0, 1, 2, 3, u32::MAX] {
                            let wait = delay(&policy, attempt, &mut Jitter::new(9));
                            assert!(attempt <= 1 || wait <= max);
                        }
                    }
                }
            }
        }
    }
}
