//! An event that could come a million times.

use crate::sys::clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Lets the first one through in each interval, whatever the thread, and counts the others. Without a lock.
///
/// ```
/// use mainstay::trace::OncePer;
/// use std::time::Duration;
///
/// static SLOW: OncePer = OncePer::new(Duration::from_secs(3600));
/// assert_eq!(SLOW.due(), Some(0));
/// assert_eq!(SLOW.due(), None);
/// ```
#[derive(Debug)]
pub struct OncePer {
    interval_ns: u64,
    /// From when on the next one is due; 0: none has come yet.
    next: AtomicU64,
    left_out: AtomicU64,
}

impl OncePer {
    /// One in each `interval`, counted from the one that was let through.
    pub const fn new(interval: Duration) -> OncePer {
        let nanos = interval.as_nanos();
        let interval_ns = if nanos > i64::MAX as u128 { i64::MAX as u64 } else { nanos as u64 };
        OncePer { interval_ns, next: AtomicU64::new(0), left_out: AtomicU64::new(0) }
    }

    /// Is one due? Then how many were left out since the one before. To a few milliseconds.
    #[inline]
    pub fn due(&self) -> Option<u64> {
        self.due_at(clock::coarse().as_nanos())
    }

    #[inline]
    fn due_at(&self, now: u64) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        let after = now.saturating_add(self.interval_ns).max(1);
        if now < next
            || self.next.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.left_out.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_interval_is_let_through_and_the_others_are_counted() {
        let once = OncePer::new(Duration::from_nanos(10));
        let answers: Vec<_> = [5, 5, 14, 15, 16, 40].iter().map(|now| once.due_at(*now)).collect();
        assert_eq!(answers, [Some(0), None, None, Some(2), None, Some(1)]);
    }

    #[test]
    fn of_many_threads_one_is_let_through() {
        let once = OncePer::new(Duration::from_secs(1000));
        let through: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1000).filter_map(|_| once.due_at(7)).collect::<Vec<_>>()))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        // It may be told already of others that came while it was let through.
        let [told] = through[..] else { panic!("{through:?}") };
        assert_eq!(once.due_at(u64::MAX), Some(3999 - told));
    }
}
