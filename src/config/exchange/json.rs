//! JSON with the place of every value: what is wrong with a file of somebody else is shown where it stands.

use super::super::fields::Span;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A whole text of JSON.
pub(super) struct Text<'a>(&'a str);

/// A value and the text that it is in.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    text: &'a str,
    raw: &'a RawValue,
}

/// The entries of an object, in the order of the text.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Text<'a> {
    pub(super) fn new(text: &'a str) -> Text<'a> {
        Text(text)
    }

    /// The value that the text is.
    ///
    /// # Errors
    /// Where it is none, and what is wrong there.
    pub(super) fn root(&self) -> Result<Node<'a>, (Span, String)> {
        // A byte order mark is no part of JSON, and editors write it all the same.
        let body = self.0.strip_prefix('\u{feff}').unwrap_or(self.0);
        match serde_json::from_str::<&RawValue>(body) {
            Ok(raw) => Ok(Node { text: self.0, raw }),
            Err(error) => {
                let before = self.0.len() - body.len();
                let line = error.line().saturating_sub(1);
                let start: usize = body.split_inclusive('\n').take(line).map(str::len).sum();
                let at = (before + start + error.column().saturating_sub(1)).min(self.0.len());
                let message = error.to_string();
                // The place is shown; serde_json would say it again.
                let said = message.rsplit_once(" at line ").map_or(message.as_str(), |(said, _)| said);
                Err((at..(at + 1).min(self.0.len()), format!("this is no JSON: {said}")))
            }
        }
    }
}

impl<'a> Node<'a> {
    /// Where it stands.
    pub(super) fn span(self) -> Span {
        let start = (self.raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        start..start + self.raw.get().len()
    }

    /// As it is written.
    pub(super) fn text(self) -> &'a str {
        self.raw.get()
    }

    /// Its entries, when it is an object.
    pub(super) fn object(self) -> Option<Vec<(String, Node<'a>)>> {
        let entries: Entries<'a> = serde_json::from_str(self.raw.get()).ok()?;
        Some(entries.0.into_iter().map(|(key, raw)| (key, Node { text: self.text, raw })).collect())
    }

    /// Its elements, when it is an array.
    pub(super) fn array(self) -> Option<Vec<Node<'a>>> {
        let elements: Vec<&'a RawValue> = serde_json::from_str(self.raw.get()).ok()?;
        Some(elements.into_iter().map(|raw| Node { text: self.text, raw }).collect())
    }

    /// The string that it is.
    pub(super) fn string(self) -> Option<String> {
        serde_json::from_str(self.raw.get()).ok()
    }

    /// The truth that it is.
    pub(super) fn boolean(self) -> Option<bool> {
        serde_json::from_str(self.raw.get()).ok()
    }

    /// The whole number that it is, however it is written: 10, 10.0 and 1e1 are one number.
    pub(super) fn whole(self) -> Option<i64> {
        let number: serde_json::Number = serde_json::from_str(self.raw.get()).ok()?;
        number.as_i64().or_else(|| {
            // Whole numbers up to 2^53 are exact.
            number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() <= 9e15).map(|n| n as i64)
        })
    }

    pub(super) fn is_null(self) -> bool {
        self.raw.get() == "null"
    }
}

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry::<String, &'de RawValue>()? {
                    all.push(entry);
                }
                Ok(Entries(all))
            }
        }
        deserializer.deserialize_map(All)
    }
}
