//! Moments as plain data, so that a test can make any moment.
//!
//! Lifetimes, windows and deadlines use [`Instant`] (monotonic). What people read uses [`Wall`], taken
//! once when something is recorded and never compared.

use std::ops::Add;
pub use std::time::Duration;

/// A point on the monotonic clock, in nanoseconds since an unspecified start (boot, on Linux).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The start of time: no real moment is earlier.
    pub const ZERO: Instant = Instant(0);

    /// The moment `nanos` nanoseconds after [`Instant::ZERO`].
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// Nanoseconds since [`Instant::ZERO`].
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it is later than `self`.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Saturates: a deadline of "never" stays never.
    fn add(self, by: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Microseconds since the Unix epoch, for people; never used to measure.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    bincode::Encode,
    bincode::Decode,
)]
pub struct Wall(pub i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_of_never_stays_never() {
        let never = Instant::from_nanos(u64::MAX);
        assert_eq!(never + Duration::from_secs(1), never);
        assert_eq!(Instant::ZERO + Duration::MAX, never);
        assert_eq!(Instant::ZERO.since(never), Duration::ZERO);
    }
}
