//! More than N restarts within a period → give up (OTP I01–I08).
//!
//! Invariant: a window never holds more than 2 × [`EXACT`] stamps, whatever the limit and the rate (I08).
//! It is exact to the nanosecond for limits up to [`EXACT`]. It must not know what is counted.

use super::spec::Intensity;
use crate::time::{Duration, Instant};
use std::collections::VecDeque;

/// Limits up to this one are counted stamp by stamp; above, stamps closer together than this part of the
/// window are counted as one moment (its newest, so that a limit is never overrun).
const EXACT: u32 = 1024;

/// The restarts of the last while.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// (newest stamp, how many), oldest first.
    stamps: VecDeque<(Instant, u32)>,
    /// Sum of all counts.
    total: u32,
}

impl Window {
    /// Counts a restart at `now`, when one more is allowed. False, and nothing is counted, when `limit`
    /// restarts lie in the window already: the next one ends it.
    ///
    /// A stamp that is exactly `within` old still counts (I03).
    pub(super) fn allow(&mut self, limit: Intensity, now: Instant) -> bool {
        self.forget_before(now, limit.within);
        if self.total >= limit.max {
            return false;
        }
        self.record(limit, now);
        true
    }

    /// From now on moments are those of [`whole_second`]: those that are known become so too.
    pub(super) fn count_whole_seconds(&mut self) {
        for (at, _) in &mut self.stamps {
            *at = whole_second(*at);
        }
    }

    /// How many restarts lie in the window, as of `now`.
    pub(super) fn count(&self, within: Duration, now: Instant) -> u32 {
        let live = self.stamps.iter().rev().take_while(|(at, _)| now.since(*at) <= within);
        live.map(|(_, count)| count).sum()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.stamps.clear();
        self.total = 0;
    }

    fn forget_before(&mut self, now: Instant, within: Duration) {
        while let Some(&(at, count)) = self.stamps.front()
            && now.since(at) > within
        {
            self.stamps.pop_front();
            self.total -= count;
        }
    }

    fn record(&mut self, limit: Intensity, now: Instant) {
        self.total = self.total.saturating_add(1);
        // Cells of a fixed grid, so that a steady stream of restarts cannot keep one entry young for ever.
        let cell = (limit.within / EXACT).as_nanos().max(1) as u64;
        if limit.max > EXACT
            && self.stamps.len() >= EXACT as usize / 2
            && let Some((at, count)) = self.stamps.back_mut()
            && at.as_nanos() / cell == now.as_nanos() / cell
        {
            (*at, *count) = (now, *count + 1);
            return;
        }
        self.stamps.push_back((now, 1));
    }
}

/// The beginning of the second that `at` is in: as OTP's windows count (I03).
pub(super) fn whole_second(at: Instant) -> Instant {
    const SECOND: u64 = 1_000_000_000;
    Instant::from_nanos(at.as_nanos() / SECOND * SECOND)
}

#[cfg(test)]
mod otp {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn i01_n_restarts_are_allowed_and_the_one_after_ends_it() {
        let limit = Intensity { max: 3, within: Duration::from_secs(1) };
        let mut window = Window::default();
        let allowed: Vec<bool> = (0..5).map(|n| window.allow(limit, at(n))).collect();
        assert_eq!(allowed, [true, true, true, false, false]);
        assert_eq!(window.count(limit.within, at(5)), 3, "a refused restart is not counted");
    }

    #[test]
    fn i02_zero_allows_none() {
        let limit = Intensity { max: 0, within: Duration::from_secs(1) };
        assert!(!Window::default().allow(limit, at(0)));
    }

    #[test]
    fn i03_a_stamp_of_exactly_the_period_still_counts_and_a_nanosecond_later_not() {
        let limit = Intensity { max: 1, within: Duration::from_nanos(100) };
        let mut window = Window::default();
        assert!(window.allow(limit, at(50)));
        assert!(!window.allow(limit, at(150)));
        assert!(window.allow(limit, at(151)));
        assert_eq!(window.count(limit.within, at(251)), 1);
        assert_eq!(window.count(limit.within, at(252)), 0);
    }

    #[test]
    fn i08_a_huge_intensity_keeps_a_bounded_number_of_stamps() {
        let limit = Intensity { max: 2_000_000, within: Duration::from_secs(1) };
        let mut window = Window::default();
        for n in 0..3_000_000_u64 {
            assert!(window.allow(limit, at(n * 1000)), "1,000,000 a second are fewer than 2,000,000");
            assert!(window.stamps.len() <= 2 * EXACT as usize);
        }
        let counted = window.count(limit.within, at(3_000_000_000));
        assert!((1_000_000..=1_002_000).contains(&counted), "{counted}");
    }

    #[test]
    fn i08_a_steady_stream_is_forgotten_all_the_same() {
        let limit = Intensity { max: 5000, within: Duration::from_secs(1) };
        let mut window = Window::default();
        for n in 0..20_000_u64 {
            assert!(window.allow(limit, at(n * 250_000)), "4,000 a second are fewer than 5,000");
        }
    }
}
