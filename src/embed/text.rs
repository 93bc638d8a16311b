//! A tree in code, written as the configuration file that says the same. Pure.
//!
//! So there is one set of rules and one set of defaults, whichever way a tree is described: those of [`crate::config`].
//! Where each option was written is kept, and a mistake that is found in the text is told as one of a node and its option.

use super::flaw::Flaw;
use super::keys::{Keys, Value};
use std::fmt::Write;
use std::ops::Range;

/// A text that grows, and what stands where in it.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) text: String,
    places: Vec<(Range<usize>, usize, String)>,
    nodes: Vec<String>,
    /// What could not be written.
    pub(super) flaws: Vec<Flaw>,
}

impl Writer {
    /// What follows belongs to this node; `kind` and `name` make its header.
    pub(super) fn node(&mut self, node: String, header: Option<(&str, Option<&str>)>) {
        self.nodes.push(node);
        let start = self.text.len();
        if let Some((kind, name)) = header {
            let _ = write!(self.text, "\n[{kind}");
            if let Some(name) = name {
                self.text.push('.');
                quote(&mut self.text, name);
            }
            self.text.push_str("]\n");
        }
        self.place(start, "name".to_owned());
    }

    /// One option of the node.
    pub(super) fn option(&mut self, key: &str, value: &Value) {
        let start = self.text.len();
        self.text.push_str(key);
        self.text.push_str(" = ");
        self.value(key, value);
        self.text.push('\n');
        self.place(start, key.to_owned());
    }

    pub(super) fn options(&mut self, keys: &Keys) {
        keys.iter().for_each(|(key, value)| self.option(key, value));
    }

    /// Something is wrong with the node as such.
    pub(super) fn flaw(&mut self, option: &str, message: impl Into<String>) {
        let node = self.nodes.last().cloned().unwrap_or_default();
        self.flaws.push(Flaw {
            node,
            option: option.to_owned(),
            message: message.into(),
            hint: String::new(),
        });
    }

    /// The node and the option that a byte of the text belongs to: the narrowest that was written around it.
    pub(super) fn at(&self, byte: usize) -> (String, String) {
        let around = self.places.iter().filter(|(range, ..)| range.contains(&byte));
        match around.min_by_key(|(range, ..)| range.len()) {
            Some((_, node, option)) => (self.nodes[*node].clone(), option.clone()),
            None => (self.nodes.first().cloned().unwrap_or_default(), "name".to_owned()),
        }
    }

    fn place(&mut self, start: usize, option: String) {
        self.places.push((start..self.text.len(), self.nodes.len() - 1, option));
    }

    fn value(&mut self, path: &str, value: &Value) {
        match value {
            Value::Text(text) => quote(&mut self.text, text),
            Value::Whole(number) => drop(write!(self.text, "{number}")),
            Value::Real(number) if number.is_nan() => self.text.push_str("nan"),
            Value::Real(number) => drop(write!(self.text, "{number:?}")),
            Value::Truth(truth) => drop(write!(self.text, "{truth}")),
            Value::List(list) => {
                self.text.push('[');
                for (at, value) in list.iter().enumerate() {
                    if at > 0 {
                        self.text.push_str(", ");
                    }
                    self.value(path, value);
                }
                self.text.push(']');
            }
            Value::Table(keys) => self.table(path, keys),
            Value::Wrong(reason) => {
                self.flaw(path, reason.clone());
                // Stands for itself, so that the rest is judged too.
                self.text.push_str("\"wrong\"");
            }
        }
    }

    fn table(&mut self, path: &str, keys: &Keys) {
        self.text.push('{');
        for (at, (key, value)) in keys.iter().enumerate() {
            self.text.push_str(if at > 0 { ", " } else { " " });
            let start = self.text.len();
            quote(&mut self.text, key);
            self.text.push_str(" = ");
            let path = format!("{path}.{key}");
            self.value(&path, value);
            self.place(start, path);
        }
        self.text.push_str(if keys.is_empty() { "}" } else { " }" });
    }
}

/// A basic string of TOML.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_narrowest_place_around_a_byte_is_told() {
        let mut keys = Keys::default();
        keys.set("command", "web");
        keys.set_in("restart", "max", 3_u32);
        let mut writer = Writer::default();
        writer.node("tree".to_owned(), None);
        writer.node("service `web`".to_owned(), Some(("service", Some("web"))));
        writer.options(&keys);
        let at = |part: &str| writer.at(writer.text.find(part).unwrap()).1;
        assert_eq!(writer.text, "\n[service.\"web\"]\ncommand = \"web\"\nrestart = { \"max\" = 3 }\n");
        assert_eq!(
            [at("[service"), at("command"), at("\"web\"\n"), at("restart"), at("3")],
            ["name", "command", "command", "restart", "restart.max"]
        );
    }

    proptest! {
        /// Whatever a text holds, it arrives.
        #[test]
        fn every_text_is_read_back_as_it_was(text in any::<String>()) {
            let mut line = "x = ".to_owned();
            quote(&mut line, &text);
            let table: toml::Table = line.parse().unwrap();
            prop_assert_eq!(table["x"].as_str(), Some(text.as_str()));
        }
    }
}
