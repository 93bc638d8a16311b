//! Durations, as people type and read them. Pure.

use crate::time::Duration;

/// `60s`, `500ms`, `1h 30m`. A bare number is refused: nobody agrees on its unit.
///
/// # Errors
/// What to write instead.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(format!("a duration has a unit: {text}s or {text}ms"));
    }
    jiff::fmt::friendly::SpanParser::new()
        .parse_unsigned_duration(text)
        .map_err(|_| "expected a duration such as 500ms, 10s, 5m or 1h30m".to_owned())
}

/// Two units at most, as `status` shows an age: `0s`, `48s`, `1m 12s`, `5m`, `2h 03m`, `3d 4h`.
pub fn age(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match () {
        () if minutes == 0 => format!("{seconds}s"),
        () if hours == 0 => format!("{minutes}m {:02}s", seconds % 60),
        () if days == 0 => format!("{hours}h {:02}m", minutes % 60),
        () => format!("{days}d {}h", hours % 24),
    }
}

/// One unit, rounded down: `48s`, `5m`, `3h`, `12d`.
pub fn brief(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// With the unit that fits, three digits where they say something: `91 ms`, `0.4 ms`, `23.6 s`,
/// `1m 12s`.
pub fn exact(nanos: u64) -> String {
    let millis = nanos as f64 / 1e6;
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..100_000 => format!("{} µs", nanos / 1_000),
        100_000..10_000_000 => format!("{} ms", trim(millis)),
        // Rounded as it is written, so that nobody reads "1000 ms".
        10_000_000..999_500_000 => format!("{millis:.0} ms"),
        999_500_000..59_950_000_000 => format!("{} s", trim(nanos as f64 / 1e9)),
        _ => age(nanos),
    }
}

/// A setting, as it is written in a file: `30s`, `1m30s`, `500ms`.
pub fn setting(nanos: u64) -> String {
    let units = [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000)];
    let mut rest = nanos;
    let mut text = String::new();
    for (unit, size) in units {
        if rest >= size {
            text += &format!("{}{unit}", rest / size);
            rest %= size;
        }
    }
    if text.is_empty() { format!("{nanos}ns") } else { text }
}

fn trim(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const S: u64 = 1000 * MS;

    #[test]
    fn people_read_an_age_in_two_units_at_most() {
        for (nanos, text) in [
            (0, "0s"),
            (48 * S + 999 * MS, "48s"),
            (72 * S, "1m 12s"),
            (362 * S, "6m 02s"),
            (7380 * S, "2h 03m"),
            (100 * 3600 * S, "4d 4h"),
        ] {
            assert_eq!(age(nanos), text);
        }
    }

    #[test]
    fn people_read_how_long_ago_in_one_unit() {
        for (nanos, text) in [(59 * S, "59s"), (338 * S, "5m"), (7380 * S, "2h"), (86400 * 12 * S, "12d")] {
            assert_eq!(brief(nanos), text);
        }
    }

    #[test]
    fn people_read_a_measured_time_in_the_unit_that_fits() {
        for (nanos, text) in [
            (0, "0 ns"),
            (12_345, "12 µs"),
            (400_000, "0.4 ms"),
            (9 * MS, "9 ms"),
            (91_400_000, "91 ms"),
            (999_600_000, "1 s"),
            (1600 * MS, "1.6 s"),
            (23_600 * MS, "23.6 s"),
            (72 * S, "1m 12s"),
        ] {
            assert_eq!(exact(nanos), text);
        }
    }

    #[test]
    fn a_setting_is_written_as_a_file_would() {
        for (nanos, text) in [(30 * S, "30s"), (90 * S, "1m30s"), (1500 * MS, "1s500ms"), (0, "0ns")] {
            assert_eq!(setting(nanos), text);
        }
    }

    #[test]
    fn a_typed_duration_has_a_unit() {
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse(" 500ms "), Ok(Duration::from_millis(500)));
        assert_eq!(parse("60"), Err("a duration has a unit: 60s or 60ms".to_owned()));
        for wrong in ["", "soon", "-5s", "5 parsecs"] {
            assert!(parse(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
