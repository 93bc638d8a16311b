//! Who has seen a change: readers note what they saw, the keeper tells it.

use super::known::{PATIENCE, seen};
use crate::ipc::flags::{Request, Seen};
use crate::paths::Project;
use crate::services::keeper::client;
use crate::sys::{clock, futex};
use crate::time::{Duration, Instant};

/// Processes that have read something since they started, and those of them that have read its newest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Have read it.
    pub read: u32,
    /// Have read its newest value.
    pub newest: u32,
}

impl Count {
    /// Of all services together; of several flags: a service counts by the one that it is furthest behind with.
    pub fn of(seen: &[Seen]) -> Count {
        let mut services: std::collections::BTreeMap<&str, Count> = std::collections::BTreeMap::new();
        for one in seen {
            let count = services.entry(&one.service).or_insert(Count { read: 0, newest: u32::MAX });
            count.read = count.read.max(one.read);
            // Who has never read this one is not behind with it.
            count.newest = count.newest.min(one.newest + one.running.saturating_sub(one.read));
        }
        services.values().fold(Count::default(), |sum, one| Count {
            read: sum.read + one.read,
            newest: sum.newest + one.newest.min(one.read),
        })
    }

    /// True when nobody is behind.
    pub fn complete(self) -> bool {
        self.newest >= self.read
    }

    /// `seen by all 5 processes in 0.4 ms`; empty when nobody has ever read it.
    pub fn words(self, within: Duration) -> String {
        let nanos = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
        match self {
            Count { read: 0, .. } => String::new(),
            Count { read: 1, newest: 1 } => {
                format!("seen by the one process that reads it in {}", crate::cli::duration::exact(nanos))
            }
            Count { read, .. } if self.complete() => {
                format!("seen by all {read} processes in {}", crate::cli::duration::exact(nanos))
            }
            Count { read, newest } => format!("seen by {newest} of {read} processes so far"),
        }
    }
}

/// Waits until everybody who reads these flags has seen their newest value, or until `deadline`; and how long that
/// took from now. `None`: nobody could be asked.
pub fn wait(project: &Project, flags: &[String], deadline: Instant) -> Option<(Count, Duration)> {
    const SHORTEST: Duration = Duration::from_micros(200);
    const LONGEST: Duration = Duration::from_millis(50);
    let began = clock::now();
    let mut pause = SHORTEST;
    // The last look may be cut short by the deadline: then the one before it counts.
    let mut last = None;
    loop {
        let request = Request::Seen { flags: flags.to_vec() };
        // However little time is left, one answer is waited for.
        let until = deadline.max(began + PATIENCE);
        let count = match client::ask_once(&client::socket(&project.runtime), &request, until) {
            Ok(answer) => Count::of(&seen(answer.replies)),
            Err(_) if clock::now() < deadline => {
                // It may be dying right now; its successor knows what readers noted.
                futex::pause(LONGEST.min(deadline.since(clock::now())));
                continue;
            }
            Err(_) => return last,
        };
        let now = clock::now();
        last = Some((count, now.since(began)));
        if count.complete() || now >= deadline {
            return last;
        }
        futex::pause(pause.min(deadline.since(now)));
        pause = (pause * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(flag: &str, service: &str, running: u32, read: u32, newest: u32) -> Seen {
        let (flag, service) = (flag.into(), service.into());
        Seen { flag, service, running, read, newest, behind_ns: 0, generation: 1 }
    }

    #[test]
    fn only_processes_that_ever_read_it_are_waited_for() {
        let one = [seen("a", "web", 4, 3, 3), seen("a", "worker", 1, 1, 0)];
        assert_eq!(Count::of(&one), Count { read: 4, newest: 3 });
        assert_eq!(
            Count::of(&one[..1]).words(Duration::from_micros(400)),
            "seen by all 3 processes in 0.4 ms"
        );
        assert_eq!(Count::of(&one).words(Duration::ZERO), "seen by 3 of 4 processes so far");
        assert_eq!(Count::of(&[]).words(Duration::ZERO), "");
        assert!(Count::of(&[]).complete());
    }

    #[test]
    fn of_several_flags_the_one_that_is_furthest_behind_counts() {
        let two = [seen("a", "web", 4, 4, 4), seen("b", "web", 4, 4, 1)];
        assert_eq!(Count::of(&two), Count { read: 4, newest: 1 });
        // Who never read `b` has nothing of it to see.
        let partly = [seen("a", "web", 4, 4, 4), seen("b", "web", 4, 1, 1)];
        assert_eq!(Count::of(&partly), Count { read: 4, newest: 4 });
    }
}
