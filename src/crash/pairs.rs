//! Keys and values in their order, in JSON one object.

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Keys and values, each key once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }
}

impl FromIterator<(String, String)> for Pairs {
    /// Of a key that comes again the first value stays: an object has no two.
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Pairs {
        let mut found: Vec<(String, String)> = Vec::new();
        for (key, value) in pairs {
            if !found.iter().any(|(known, _)| *known == key) {
                found.push((key, value));
            }
        }
        Pairs(found)
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut found = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    found.push(pair);
                }
                Ok(found.into_iter().collect())
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_an_object_in_their_order_and_each_key_once() {
        let pairs: Pairs =
            [("b", "1"), ("a", "2"), ("b", "3")].map(|(k, v)| (k.into(), v.into())).into_iter().collect();
        let text = serde_json::to_string(&pairs).unwrap();
        assert_eq!(text, r#"{"b":"1","a":"2"}"#);
        assert_eq!(serde_json::from_str::<Pairs>(&text).unwrap(), pairs);
        assert_eq!((pairs.get("a"), pairs.get("c")), (Some("2"), None));
        assert!(serde_json::from_str::<Pairs>(r#"{"a":1}"#).is_err());
    }
}
