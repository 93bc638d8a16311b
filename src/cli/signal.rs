//! Signals, as people type them. Pure.

use crate::sys::signal;

/// `TERM`, `sigkill`, `9`.
///
/// # Errors
/// What to write instead.
pub fn parse(text: &str) -> Result<i32, String> {
    signal::number(text)
        .ok_or_else(|| "expected a signal such as TERM, KILL, HUP or USR1, or its number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_typed_by_name_or_number() {
        for (text, number) in [("TERM", 15), ("sigkill", 9), ("9", 9), ("SIGUSR1", 10), ("40", 40)] {
            assert_eq!(parse(text), Ok(number));
        }
        for wrong in ["", "0", "65", "-9", "TREM", "SIG"] {
            assert!(parse(wrong).unwrap_err().contains("TERM"), "{wrong:?} was taken");
        }
    }
}
