//! Signals by name and number, as people type and read them. Pure.

use nix::sys::signal::Signal;

/// `TERM`, `sigkill`, `9`.
///
/// # Errors
/// What to write instead.
pub fn parse(text: &str) -> Result<i32, String> {
    if let Ok(number) = text.parse::<i32>() {
        // 32 and 33 belong to the C library; 64 is the last.
        return match number {
            1..=31 | 34..=64 => Ok(number),
            _ => Err("a signal's number is 1 to 31 or 34 to 64".to_owned()),
        };
    }
    let upper = text.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    full.parse::<Signal>()
        .map(|signal| signal as i32)
        .map_err(|_| "expected a signal such as TERM, KILL, HUP or USR1, or its number".to_owned())
}

/// `SIGKILL`; `signal 40` when it has no name.
pub fn name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_typed_by_name_or_number() {
        for (text, number) in [("TERM", 15), ("sigkill", 9), ("9", 9), ("SIGUSR1", 10), ("40", 40)] {
            assert_eq!(parse(text), Ok(number));
        }
        for wrong in ["", "0", "65", "-9", "32", "TREM", "SIG"] {
            assert!(parse(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn a_signal_is_read_by_name() {
        assert_eq!(name(9), "SIGKILL");
        assert_eq!(name(40), "signal 40");
    }
}
