//! The only place that reads clocks: two of them, and which boot this is.

use crate::time::{Instant, Wall};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::fs;
use std::io;

/// Now, on `CLOCK_MONOTONIC`: never goes back, and stands still while the machine sleeps.
pub fn now() -> Instant {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
    Instant::from_nanos(tv_sec as u64 * 1_000_000_000 + tv_nsec as u64)
}

/// Now, as of the last tick of the kernel's timer (1 to 10 ms ago): 3 ns instead of 20. On the same scale
/// as [`now`].
#[inline]
pub fn coarse() -> Instant {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::MonotonicCoarse);
    Instant::from_nanos(tv_sec as u64 * 1_000_000_000 + tv_nsec as u64)
}

/// Now, as people write it down. May jump; never measure with it.
pub fn wall() -> Wall {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Realtime);
    Wall(tv_sec * 1_000_000 + tv_nsec / 1_000)
}

/// Which boot of the machine this is. Pids, start times and monotonic stamps mean nothing in another.
///
/// # Errors
/// `/proc` is not mounted, or hides the file.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_never_goes_back() {
        let moments: Vec<_> = (0..1000).map(|_| now()).collect();
        assert!(moments.is_sorted());
        assert_ne!(moments[0], Instant::ZERO);
    }

    #[test]
    fn the_wall_clock_agrees_with_the_file_system_to_the_day() {
        let file = tempfile::tempfile().unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        let modified = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as i64;
        assert!((wall().0 - modified).abs() < 24 * 3600 * 1_000_000);
    }

    #[test]
    fn the_boot_has_a_name() {
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}
