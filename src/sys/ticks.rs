//! `CLOCK_MONOTONIC` by the processor's own counter, for what reads it twice in 60 ns.
//!
//! The kernel's clock costs 25 to 50 ns a look, the counter 10 to 20. Each thread keeps an *anchor*, a moment by both, and
//! the length of a tick; it takes another after a second at most, so the two scales never part by more than a few
//! microseconds. The counter is believed only while the kernel itself takes its time from it.

#[cfg(target_arch = "x86_64")]
pub use counted::now;

#[cfg(not(target_arch = "x86_64"))]
pub use super::clock::now;

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // the counter and a question to the kernel have no safe form
mod counted {
    use crate::sys::clock;
    use crate::time::Instant;
    use rustix::fs::{Mode, OFlags};
    use rustix::time::{ClockId, clock_gettime};
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

    /// A moment by both clocks, and how far it reaches.
    #[derive(Clone, Copy)]
    struct Anchor {
        ticks: u64,
        nanos: u64,
        /// So many ticks later it is too old; 0: only a beginning, with which a tick can be measured later.
        reach: u64,
        /// The length of a tick, in 2^-32 ns.
        tick: u64,
        /// How long the machine had slept.
        slept: i64,
    }

    thread_local! {
        static ANCHOR: Cell<Anchor> = const { Cell::new(Anchor { ticks: 0, nanos: 0, reach: 0, tick: 0, slept: 0 }) };
    }

    /// What was last measured by any thread, over 50 ms or more; 0: nothing yet.
    static TICK: AtomicU64 = AtomicU64::new(0);

    /// A tick is not measured over less: each look is in doubt by up to 0.4 µs, and an anchor reaches [`GROWTH`] times as far as
    /// it was measured.
    const MEASURED_NS: u64 = 10_000_000;
    const GROWTH: u64 = 8;
    /// A look at both clocks that takes longer says too little: less than half a microsecond.
    const DOUBT_TICKS: u64 = 1_000;
    const REACH_NS: u64 = 1_000_000_000;
    /// What is shared between threads was measured over as long.
    const SHARED_NS: u64 = 50_000_000;
    /// Nothing is measured over more: too much may have happened.
    const LONGEST_NS: u64 = 10_000_000_000;
    /// By so much the two clocks may part between two anchors, before the counter is not believed any more.
    const PARTED_NS: u64 = 1_000_000;

    /// As [`clock::now`], to a few microseconds, and on one thread by their difference much better.
    #[inline]
    pub fn now() -> Instant {
        let anchor = ANCHOR.get();
        // Before the counter is believed, it is not even read: that may be forbidden, by a signal that kills.
        if anchor.reach > 0 {
            let since = counter().wrapping_sub(anchor.ticks);
            if since < anchor.reach {
                return Instant::from_nanos(anchor.nanos + nanos(since, anchor.tick));
            }
        }
        anew(anchor)
    }

    #[inline]
    fn counter() -> u64 {
        // SAFETY: reads a register, where that is allowed: see `believed`.
        unsafe { core::arch::x86_64::_rdtsc() }
    }

    #[inline]
    fn nanos(ticks: u64, tick: u64) -> u64 {
        ((u128::from(ticks) * u128::from(tick)) >> 32) as u64
    }

    #[cold]
    fn anew(anchor: Anchor) -> Instant {
        if !believed() {
            return clock::now();
        }
        let Some((ticks, nanos, slept)) = both() else { return clock::now() };
        let taken = next(anchor, ticks, nanos, slept);
        if taken.tick != anchor.tick && nanos.saturating_sub(anchor.nanos) >= SHARED_NS && anchor.nanos != 0 {
            TICK.store(taken.tick, Ordering::Relaxed);
        }
        ANCHOR.set(taken);
        Instant::from_nanos(nanos)
    }

    /// The anchor after this one, by a look at both clocks.
    fn next(old: Anchor, ticks: u64, nanos: u64, slept: i64) -> Anchor {
        let (gone_ticks, gone) = (ticks.wrapping_sub(old.ticks), nanos.saturating_sub(old.nanos));
        let beginning = || {
            let tick = TICK.load(Ordering::Relaxed);
            let reach = if tick == 0 { 0 } else { ((u128::from(SHARED_NS) << 32) / u128::from(tick)) as u64 };
            Anchor { ticks, nanos, reach, tick, slept }
        };
        if old.nanos == 0 || slept != old.slept || gone > LONGEST_NS || gone_ticks > i64::MAX as u64 {
            return beginning();
        }
        if gone < MEASURED_NS {
            return old;
        }
        let tick = ((u128::from(gone) << 32) / u128::from(gone_ticks.max(1))) as u64;
        if old.tick != 0 && self::nanos(gone_ticks, old.tick).abs_diff(gone) > PARTED_NS + gone / 1000 {
            // The counter has jumped, or goes at another pace: once is enough.
            BELIEVED.store(NO, Ordering::Relaxed);
            return Anchor { reach: 0, tick: 0, nanos: 0, ..old };
        }
        let reach = gone_ticks
            .saturating_mul(GROWTH)
            .min((u128::from(REACH_NS) << 32).checked_div(u128::from(tick)).unwrap_or(0) as u64);
        Anchor { ticks, nanos, reach, tick, slept }
    }

    /// Counter, clock, and how long the machine has slept. `None`: this thread was interrupted at each attempt.
    fn both() -> Option<(u64, u64, i64)> {
        let looks = (0..4).map(|_| {
            let before = counter();
            let nanos = clock::now().as_nanos();
            (counter().wrapping_sub(before), before, nanos)
        });
        let (took, before, nanos) =
            looks.min_by_key(|(took, ..)| *took).filter(|(took, ..)| *took < DOUBT_TICKS)?;
        let boot = clock_gettime(ClockId::Boottime);
        let slept = (boot.tv_sec * 1_000_000_000 + boot.tv_nsec - nanos as i64) / 1_000_000_000;
        Some((before.wrapping_add(took / 2), nanos, slept))
    }

    static BELIEVED: AtomicU8 = AtomicU8::new(UNKNOWN);
    const UNKNOWN: u8 = 0;
    const YES: u8 = 1;
    const NO: u8 = 2;

    /// The kernel takes its own time from the counter, and this process may read it.
    fn believed() -> bool {
        match BELIEVED.load(Ordering::Relaxed) {
            UNKNOWN => {
                let answer = is_the_kernels();
                BELIEVED.store(if answer { YES } else { NO }, Ordering::Relaxed);
                answer
            }
            known => known == YES,
        }
    }

    fn is_the_kernels() -> bool {
        let mut allowed: libc::c_int = 0;
        // SAFETY: writes one number to where it is told.
        let asked = unsafe { libc::prctl(libc::PR_GET_TSC, &raw mut allowed) };
        if asked != 0 || allowed != libc::PR_TSC_ENABLE {
            return false;
        }
        let path = c"/sys/devices/system/clocksource/clocksource0/current_clocksource";
        let mut name = [0; 16];
        let Ok(file) = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else {
            return false;
        };
        matches!(rustix::io::read(&file, &mut name), Ok(4) if name.starts_with(b"tsc\n"))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn anchor(ticks: u64, nanos: u64) -> Anchor {
            Anchor { ticks, nanos, reach: 0, tick: 0, slept: 0 }
        }

        #[test]
        fn a_tick_is_measured_over_ten_milliseconds_and_reaches_eight_times_as_far() {
            let first = anchor(1_000, 5_000_000);
            assert_eq!(next(first, 2_000, 5_000_500, 0).ticks, 1_000, "too early");
            let second = next(first, 25_001_000, 15_000_000, 0);
            assert_eq!((second.ticks, second.reach), (25_001_000, 200_000_000));
            assert_eq!(second.tick, (1 << 32) * 4 / 10);
            assert_eq!(nanos(2_500_000_000, second.tick), 999_999_999);
            let far = next(second, 25_001_000 + 2_500_000_000, 1_015_000_000, 0);
            assert_eq!(far.reach, 2_500_000_000, "a second at most");
        }

        #[test]
        fn an_anchor_from_before_a_sleep_or_of_long_ago_measures_nothing() {
            let first = anchor(1_000, 5_000_000);
            for later in [
                next(first, 25_001_000, 15_000_000, 3),
                next(first, 1 << 40, LONGEST_NS * 2, 0),
                next(first, 10, 17_000_000, 0),
            ] {
                assert_ne!(later.ticks, 1_000);
                assert!(later.reach == 0 || TICK.load(Ordering::Relaxed) != 0);
            }
        }

        #[test]
        fn a_counter_that_has_jumped_is_not_believed_any_more() {
            let known = BELIEVED.load(Ordering::Relaxed);
            let old = Anchor { tick: (1 << 32) * 4 / 10, ..anchor(1_000, 5_000_000) };
            // 20 ms by one, 10 by the other.
            let jumped = next(old, 1_000 + 50_000_000, 15_000_000, 0);
            assert_eq!((jumped.reach, jumped.nanos, BELIEVED.load(Ordering::Relaxed)), (0, 0, NO));
            BELIEVED.store(known, Ordering::Relaxed);
            let went_on = next(old, 1_000 + 25_000_000, 15_000_000, 0);
            assert_eq!((went_on.ticks, went_on.reach), (25_001_000, 200_000_000));
        }

        #[test]
        fn an_anchor_that_is_too_old_is_not_gone_by() {
            if !believed() {
                assert_eq!(ANCHOR.get().reach, 0, "and there is none");
                return;
            }
            ANCHOR.set(Anchor {
                ticks: counter().wrapping_sub(1_000),
                reach: 1_000,
                tick: 1,
                ..anchor(0, 5)
            });
            assert!(now() >= Instant::from_nanos(1_000_000_000), "by the anchor it was 5 ns");
        }

        #[test]
        fn both_scales_agree() {
            let mut last = 0;
            let start = clock::now();
            while clock::now().since(start) < crate::time::Duration::from_millis(60) {
                let (before, at, after) =
                    (clock::now().as_nanos(), now().as_nanos(), clock::now().as_nanos());
                assert!(at + 50_000 >= before && at <= after + 50_000, "{before} {at} {after}");
                assert!(at + 50_000 >= last, "never far back");
                last = at;
            }
        }
    }
}
