//! Durations and sizes as people write them.

use crate::read::{MILLIS, SECS};
use mainstay::config::units;
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn durations_are_read_as_people_write_them() {
    for (text, expected) in [
        ("100ms", MILLIS(100)),
        ("10s", SECS(10)),
        ("5m", SECS(300)),
        ("1h30m", SECS(5_400)),
        ("1h 30m", SECS(5_400)),
        ("1.5s", MILLIS(1_500)),
        ("0s", SECS(0)),
        ("500us", Duration::from_micros(500)),
        ("2 minutes", SECS(120)),
    ] {
        assert_eq!(units::duration(text), Ok(expected), "{text}");
    }
    for text in ["", "10", "s", "-1s", "1 fortnight", "1s ago", "99999999999h", "1e3s", "∞"] {
        assert!(units::duration(text).is_err(), "{text}");
    }
}

#[test]
fn sizes_know_powers_of_two_and_of_ten() {
    for (text, expected) in [
        ("10MiB", 10 << 20),
        ("500kB", 500_000),
        ("500 kB", 500_000),
        ("4096B", 4096),
        ("1GiB", 1 << 30),
        ("2M", 2_000_000),
    ] {
        assert_eq!(units::size(text), Ok(expected), "{text}");
    }
    for text in ["", "10", "MiB", "1.5MiB", "-1B", "10 apples", "99999999999999999999B", "9999999999TiB"] {
        assert!(units::size(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn a_duration_survives_being_written_and_read(nanos in 0..units::DURATION_MAX.as_nanos() as u64) {
        let duration = Duration::from_nanos(nanos);
        prop_assert_eq!(units::duration(&units::write_duration(duration)), Ok(duration));
    }

    #[test]
    fn a_size_survives_being_written_and_read(bytes in 0..=i64::MAX as u64, shift in 0u32..64) {
        let bytes = bytes >> shift << (shift / 2);
        prop_assume!(i64::try_from(bytes).is_ok());
        prop_assert_eq!(units::size(&units::write_size(bytes)), Ok(bytes));
    }
}
