//! What a builder was told, in the order in which it was told: options and their values, not judged yet. Pure.
//!
//! Each typed method of a builder ends here, so that a tree has one form before it is written (`text`). What makes
//! sense is decided nowhere in here.

use crate::config::units;
use crate::time::Duration;
use std::path::Path;

/// The value of an option.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Whole(i64),
    Real(f64),
    Truth(bool),
    List(Vec<Value>),
    Table(Keys),
    /// It cannot be written, and why.
    Wrong(String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Truth(truth)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Whole(number.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Real(number)
    }
}

impl From<Duration> for Value {
    fn from(duration: Duration) -> Value {
        Value::Text(units::write_duration(duration))
    }
}

impl From<&Path> for Value {
    fn from(path: &Path) -> Value {
        match path.to_str() {
            Some(text) => Value::Text(text.to_owned()),
            None => Value::Wrong(format!("the path `{}` is not UTF-8", path.display())),
        }
    }
}

/// Options and their values; each option once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Keys(Vec<(String, Value)>);

impl Keys {
    /// What is said last holds.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, place)) => *place = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// The same inside of a table; a word in its place gives way.
    pub(super) fn set_in(&mut self, table: &str, key: &str, value: impl Into<Value>) {
        self.table(table).set(key, value);
    }

    /// One more in a list.
    pub(super) fn push(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, Value::List(list))) => list.push(value),
            Some((_, place)) => *place = Value::List(vec![value]),
            None => self.0.push((key.to_owned(), Value::List(vec![value]))),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn table(&mut self, key: &str) -> &mut Keys {
        let at = match self.0.iter().position(|(known, _)| known == key) {
            Some(at) => at,
            None => {
                self.0.push((key.to_owned(), Value::Table(Keys::default())));
                self.0.len() - 1
            }
        };
        if !matches!(self.0[at].1, Value::Table(_)) {
            self.0[at].1 = Value::Table(Keys::default());
        }
        match &mut self.0[at].1 {
            Value::Table(table) => table,
            _ => unreachable!("it was made a table above"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_last_holds_and_stands_where_it_was_said_first() {
        let mut keys = Keys::default();
        keys.set("log", "none");
        keys.set_in("stop", "signal", 2_u32);
        keys.set_in("log", "files", 3_u32);
        keys.set_in("stop", "signal", 15_u32);
        keys.push("needs", "a");
        keys.push("needs", "b");
        let names: Vec<&str> = keys.iter().map(|(key, _)| key).collect();
        assert_eq!(names, ["log", "stop", "needs"]);
        let table = |key: &str, value: i64| Value::Table(Keys(vec![(key.to_owned(), Value::Whole(value))]));
        let values: Vec<&Value> = keys.iter().map(|(_, value)| value).collect();
        assert_eq!(*values[0], table("files", 3));
        assert_eq!(*values[1], table("signal", 15));
        assert_eq!(*values[2], Value::List(vec!["a".into(), "b".into()]));
    }
}
