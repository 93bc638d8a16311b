//! Flag values as people write them: `on`, `off`, `12.5%`, `disabled`.
//!
//! What is printed can be typed again: [`Display`](fmt::Display) and [`FromStr`] are each other's inverse.

use super::{Truth, Value};
use std::fmt;
use std::str::FromStr;

/// A share of everybody, in 1/100,000: what [`Value::Share`] counts in.
pub const WHOLE: u32 = 100_000;

/// Text that is no flag value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAValue(
    /// What was written.
    pub String,
);

impl fmt::Display for NotAValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no flag value: write on, off, or a percentage such as 12.5%", self.0)
    }
}

impl std::error::Error for NotAValue {}

impl Value {
    /// The value that turns a flag on for `share` of 100,000: all and nothing are plain on and off.
    pub const fn of_share(share: u32) -> Value {
        match share {
            0 => Value::Off,
            WHOLE.. => Value::On,
            _ => Value::Share(share),
        }
    }

    /// The value that `text` percent mean (`12.5` or `12.5%`, 0 to 100, at most three decimals).
    pub fn of_percent(text: &str) -> Result<Value, NotAValue> {
        let wrong = || NotAValue(text.to_owned());
        let number = text.strip_suffix('%').unwrap_or(text);
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || whole.len() > 3 || decimals.len() > 3 {
            return Err(wrong());
        }
        let thousandths: u32 = format!("{decimals:0<3}").parse().map_err(|_| wrong())?;
        let share = whole.parse::<u32>().map_err(|_| wrong())? * 1000 + thousandths;
        if share > WHOLE { Err(wrong()) } else { Ok(Value::of_share(share)) }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::Off => f.write_str("off"),
            Value::On => f.write_str("on"),
            Value::Share(share) => {
                let decimals = format!("{:03}", share % 1000);
                match decimals.trim_end_matches('0') {
                    "" => write!(f, "{}%", share / 1000),
                    some => write!(f, "{}.{some}%", share / 1000),
                }
            }
        }
    }
}

impl FromStr for Value {
    type Err = NotAValue;

    /// `on`, `true`, `off`, `false`, or a percentage with its sign.
    fn from_str(text: &str) -> Result<Value, NotAValue> {
        match text {
            "on" | "true" => Ok(Value::On),
            "off" | "false" => Ok(Value::Off),
            _ if text.ends_with('%') => Value::of_percent(text),
            _ => Err(NotAValue(text.to_owned())),
        }
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.disabled { f.write_str("disabled") } else { self.value.fmt(f) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_typed_again() {
        for share in 0..=WHOLE {
            let value = Value::of_share(share);
            assert_eq!(value.to_string().parse(), Ok(value));
        }
        assert_eq!(Value::Share(12_500).to_string(), "12.5%");
        assert_eq!(Value::Share(1).to_string(), "0.001%");
        assert_eq!(Value::Share(25_000).to_string(), "25%");
    }

    #[test]
    fn a_share_above_all_or_with_a_fourth_decimal_is_no_value() {
        for text in ["100.001%", "101", "0.0001", "-1", "1e1", "", ".", "1.", ".5", "%", "4294967296"] {
            assert!(Value::of_percent(text).is_err(), "{text}");
        }
        assert_eq!(Value::of_percent("0"), Ok(Value::Off));
        assert_eq!(Value::of_percent("100"), Ok(Value::On));
    }
}
