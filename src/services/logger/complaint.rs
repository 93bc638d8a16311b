//! When something that fails again and again is worth saying.
//!
//! A disk that is full is not full for every write: a piece that failed is cut off again, so a smaller one
//! fits, and the next one does not. That is one trouble, not hundreds.

use crate::time::{Duration, Instant};

/// So long nothing may fail before the next failure is a new trouble.
const CALM: Duration = Duration::from_secs(60);

/// The failures of one file.
#[derive(Debug, Default)]
pub(in crate::services) struct Complaint(Option<Instant>);

impl Complaint {
    /// It failed `now`; whether that is news.
    pub(in crate::services) fn is_news(&mut self, now: Instant) -> bool {
        let last = self.0.replace(now);
        last.is_none_or(|last| now.since(last) >= CALM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_news_the_first_time_and_after_calm_only() {
        let mut complaint = Complaint::default();
        let told: Vec<u64> = [0, 1, 59, 118, 178, 179]
            .into_iter()
            .filter(|seconds| complaint.is_news(Instant::from_nanos(seconds * 1_000_000_000)))
            .collect();
        assert_eq!(told, [0, 178]);
    }
}
