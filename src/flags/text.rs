//! Flag values as people write them: `on`, `off`, `12.5%`, `disabled`.
//!
//! What is printed can be typed again: [`Display`](fmt::Display) and [`Value::parse`] are each other's inverse.

use super::{Kind, Packed, Truth, Value};
use std::fmt;

/// A share of everybody, in 1/100,000: what [`Value::Share`] counts in.
pub const WHOLE: u32 = 100_000;

/// Text that is no value of a flag of this kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAValue {
    /// What was written.
    pub text: String,
    /// Which values would have been taken.
    pub kind: Kind,
}

impl fmt::Display for NotAValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotAValue { text, kind } = self;
        let instead = match kind {
            Kind::Bool => "write on or off",
            Kind::Percent => "write on, off, or a percentage such as 12.5%",
            Kind::Stage => "a migration is moved by `mainstay stage`",
            Kind::Int => "write a whole number from -9223372036854775808 to 9223372036854775807",
            Kind::Text => "write at most 128 bytes; what begins with a quote must be a JSON string",
        };
        write!(f, "`{}` is no value of this flag: {instead}", text.escape_debug())
    }
}

impl std::error::Error for NotAValue {}

impl Value {
    /// The value that `text` is for a flag of this kind: `on`, `true`, `off`, `false`, a percentage with its sign;
    /// a number; text as it stands, or a JSON string, as it is printed.
    ///
    /// # Errors
    /// It is none; a flag of kind [`Kind::Stage`] takes none at all.
    pub fn parse(kind: Kind, text: &str) -> Result<Value, NotAValue> {
        let value = match (kind, text) {
            (Kind::Bool | Kind::Percent, "on" | "true") => Some(Value::On),
            (Kind::Bool | Kind::Percent, "off" | "false") => Some(Value::Off),
            (Kind::Percent, _) if text.ends_with('%') => Value::of_percent(text).ok(),
            (Kind::Int, _) => text.parse().ok().map(Value::Int),
            (Kind::Text, _) if text.starts_with('"') => {
                serde_json::from_str::<String>(text).ok().and_then(|text| Packed::new(&text)).map(Value::Text)
            }
            (Kind::Text, _) => Packed::new(text).map(Value::Text),
            (Kind::Bool | Kind::Percent | Kind::Stage, _) => None,
        };
        value.ok_or_else(|| NotAValue { text: text.to_owned(), kind })
    }

    /// Whether a flag of this kind can be set to it.
    pub fn fits(self, kind: Kind) -> bool {
        match self {
            Value::Off | Value::On => matches!(kind, Kind::Bool | Kind::Percent),
            Value::Share(_) => kind == Kind::Percent,
            Value::Stage(_) => kind == Kind::Stage,
            Value::Int(_) => kind == Kind::Int,
            Value::Text(_) => kind == Kind::Text,
        }
    }

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
        let wrong = || NotAValue { text: text.to_owned(), kind: Kind::Percent };
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
            Value::Stage(stage) => write!(f, "{stage}"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Text(text) => {
                f.write_str(&serde_json::Value::from(text.text().unwrap_or_default()).to_string())
            }
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
            assert_eq!(Value::parse(Kind::Percent, &value.to_string()), Ok(value));
        }
        for number in [0, -1, 43, i64::MIN, i64::MAX] {
            assert_eq!(Value::parse(Kind::Int, &number.to_string()), Ok(Value::Int(number)));
        }
        for text in ["", "info", "a \"quote\"", "\"", "line\nline\t\u{1b}[1m", "é", "disabled"] {
            let value = Value::Text(Packed::new(text).unwrap());
            assert_eq!(Value::parse(Kind::Text, &value.to_string()), Ok(value), "{text:?}");
        }
        assert_eq!(Value::parse(Kind::Text, "info"), Ok(Value::Text(Packed::new("info").unwrap())));
        assert_eq!(Value::Share(12_500).to_string(), "12.5%");
        assert_eq!(Value::Share(1).to_string(), "0.001%");
        assert_eq!(Value::Share(25_000).to_string(), "25%");
    }

    #[test]
    fn a_share_above_all_or_with_a_fourth_decimal_is_no_value() {
        for text in ["100.001%", "101", "0.0001", "-1", "1e1", "", ".", "1.", ".5", "%", "4294967296"] {
            assert!(Value::of_percent(text).is_err(), "{text}");
        }
        for (kind, text) in [
            (Kind::Bool, "12%"),
            (Kind::Percent, "1"),
            (Kind::Int, "1.5"),
            (Kind::Text, "\"open"),
            (Kind::Stage, "1"),
        ] {
            assert!(Value::parse(kind, text).is_err(), "{kind:?} {text}");
        }
        assert!(Value::parse(Kind::Text, &"x".repeat(129)).is_err());
        assert_eq!(Value::of_percent("0"), Ok(Value::Off));
        assert_eq!(Value::of_percent("100"), Ok(Value::On));
    }
}
