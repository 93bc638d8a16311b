//! Words with a unit: durations, sizes, signals, modes, percentages.
//!
//! Every function takes what was written and gives the value, or the reason in words that complete
//! "`…` …". Nothing is guessed: a bare number has no unit and is refused.

use crate::time::Duration;

/// The longest duration a file may ask for: a hundred years. Longer ones are typing mistakes, and this
/// one still fits the clock with room to add.
pub const DURATION_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// `100ms`, `10s`, `1h 30m`, `1.5m`, `2 days`; zero is `0s`.
///
/// # Errors
/// What to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    if !trimmed.is_empty() && trimmed.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(format!("a duration has a unit: \"{trimmed}s\" or \"{trimmed}ms\""));
    }
    let parsed = jiff::fmt::friendly::SpanParser::new()
        .parse_unsigned_duration(trimmed)
        .map_err(|_| "expected a duration such as \"100ms\", \"10s\", \"5m\" or \"1h30m\"".to_owned())?;
    if parsed > DURATION_MAX {
        return Err("longer than 100 years".to_owned());
    }
    Ok(parsed)
}

/// The shortest way to write a duration that [`duration`] reads back exactly.
pub fn write_duration(value: Duration) -> String {
    let nanos = value.as_nanos();
    let units: [(&str, u128); 6] = [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ];
    let mut rest = nanos;
    let mut out = String::new();
    for (unit, size) in units {
        if rest >= size {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// `10MiB`, `500 kB`, `1GiB`, `4096B`: powers of 1024 with an `i`, of 1000 without.
///
/// # Errors
/// What to write instead.
pub fn size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let digits = trimmed.bytes().take_while(|b| b.is_ascii_digit()).count();
    let (number, unit) = (&trimmed[..digits], trimmed[digits..].trim());
    let expected = || "expected a size such as \"10MiB\", \"500kB\" or \"4096B\"".to_owned();
    if number.is_empty() {
        return Err(expected());
    }
    if unit.is_empty() {
        return Err(format!("a size has a unit: \"{number}B\" or \"{number}MiB\""));
    }
    let factor: u64 = match unit {
        "B" => 1,
        "kB" | "KB" | "k" | "K" => 1_000,
        "MB" | "M" => 1_000_000,
        "GB" | "G" => 1_000_000_000,
        "TB" | "T" => 1_000_000_000_000,
        "KiB" | "kiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        "GiB" | "Gi" => 1 << 30,
        "TiB" | "Ti" => 1 << 40,
        _ => return Err(expected()),
    };
    let too_large = || "larger than a file can be".to_owned();
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).ok_or_else(too_large)?;
    if bytes > i64::MAX as u64 { Err(too_large()) } else { Ok(bytes) }
}

/// The shortest way to write a size that [`size`] reads back exactly.
pub fn write_size(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in units {
        if bytes != 0 && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

/// The signals of Linux that can be sent on purpose, by name without `SIG`. The numbers are those of
/// every architecture that mainstay is built for (x86-64, aarch64, riscv64).
pub const SIGNALS: [(&str, i32); 30] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("SYS", 31),
];

/// The number of a stop signal by name: `TERM`, `SIGTERM`, `term`, `RTMIN+3`.
///
/// # Errors
/// What to write instead.
pub fn signal(text: &str) -> Result<i32, String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Ok(number) = name.parse::<i64>() {
        return signal_number(number);
    }
    // 34 is the first that the C library leaves free; systemd and podman count from there too.
    if let Some(offset) = name.strip_prefix("RTMIN+") {
        return match offset.parse::<i64>() {
            Ok(n @ 0..=30) => signal_number(34 + n),
            _ => Err("real-time signals are RTMIN+0 to RTMIN+30".to_owned()),
        };
    }
    match SIGNALS.iter().find(|(known, _)| *known == name) {
        Some((_, number)) => signal_number(i64::from(*number)),
        None => Err(match super::words::nearest(name, SIGNALS.iter().map(|(known, _)| *known)) {
            Some(known) => format!("there is no such signal, did you mean \"{known}\"?"),
            None => "there is no such signal, expected one such as \"TERM\", \"INT\" or 15".to_owned(),
        }),
    }
}

/// A stop signal by number.
///
/// # Errors
/// What to write instead.
pub fn signal_number(number: i64) -> Result<i32, String> {
    match number {
        9 => Err("to stop without asking, write grace = \"kill\"".to_owned()),
        19 => Err("it would halt the process, not end it".to_owned()),
        1..=31 | 34..=64 => Ok(i32::try_from(number).expect("at most 64")),
        _ => Err("expected a signal number from 1 to 64".to_owned()),
    }
}

/// A file mode mask as octal text: `"022"`, `"0o027"`.
///
/// # Errors
/// What to write instead.
pub fn umask(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let valid = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
    match u32::from_str_radix(digits, 8) {
        Ok(mask) if valid && mask <= 0o777 => Ok(mask),
        _ => Err("expected an octal mask from \"000\" to \"777\", such as \"022\"".to_owned()),
    }
}

/// A percentage in units of 0.001 %: 12.5 is 12,500.
///
/// # Errors
/// What to write instead.
pub fn percent(value: f64) -> Result<u32, String> {
    if !(0.0..=100.0).contains(&value) {
        return Err("expected 0 to 100".to_owned());
    }
    let units = (value * 1000.0).round();
    if (value * 1000.0 - units).abs() > 1e-6 {
        return Err("finer than 0.001 %".to_owned());
    }
    Ok(units as u32)
}
