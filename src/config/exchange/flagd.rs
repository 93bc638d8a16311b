//! flagd's JSON (<https://flagd.dev/schema/v0/flags.json>), as far as it says on, off, or on for a share of targeting keys.
//!
//! flagd's third version of `fractional` hashes the pair of flag key and targeting key as CBOR, and a key is in the first arm
//! when `hash × weights >> 32` is below its weight. For weights that are whole 1/100,000 of their sum that is bucketing
//! version 1, with the flag's name as its salt: the same ids are on. Earlier versions hash both as one text, and so does a rule
//! that joins them with `cat`: then other ids would be on.

use super::super::fields::{Span, shorten};
use super::super::words;
use super::json::{Node, Text};
use super::{Current, Exported, Lost, Reader, Setting, To};
use crate::flags::{Declaration, Kind, Truth, Unit, Value, WHOLE};
use serde::{Serialize, Serializer};
use std::collections::{HashMap, HashSet};

const SCHEMA: &str = "https://flagd.dev/schema/v0/flags.json";
/// The largest sum of weights that flagd takes.
const WEIGHTS_MAX: i64 = i32::MAX as i64;
const REST: &str = "the rest";

// Out.

/// A file, with its keys in the order in which people write them.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    #[serde(serialize_with = "in_order")]
    flags: Vec<(&'a str, WrittenFlag)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenFlag {
    state: &'static str,
    variants: Variants,
    default_variant: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    targeting: Option<Targeting>,
}

#[derive(Serialize)]
struct Variants {
    on: bool,
    off: bool,
}

#[derive(Serialize)]
struct Targeting {
    fractional: [(&'static str, u32); 2],
}

fn in_order<S: Serializer>(flags: &[(&str, WrittenFlag)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(flags.iter().map(|(name, flag)| (name, flag)))
}

pub(super) fn write(all: &[Current<'_>]) -> Exported {
    let mut flags = Vec::new();
    let mut lost = Vec::new();
    for one in all {
        let (name, what) = match one {
            Current::Migration { name, .. } => (*name, vec!["flagd has no migrations".to_owned()]),
            Current::Flag(flag, truth) => {
                flags.extend(write_flag(*truth).map(|written| (flag.name.as_str(), written)));
                (flag.name.as_str(), what_is_lost(flag, *truth))
            }
        };
        lost.extend(what.into_iter().map(|what| Lost { name: name.to_owned(), what }));
    }
    // What is made of texts and numbers can always be written.
    let mut text = serde_json::to_string_pretty(&Written { schema: SCHEMA, flags }).unwrap_or_default();
    text.push('\n');
    Exported { text, lost }
}

fn write_flag(truth: Truth) -> Option<WrittenFlag> {
    let (default_variant, share) = match truth.value {
        Value::Off => ("off", None),
        Value::On => ("on", None),
        Value::Share(share) => ("off", Some(share)),
        Value::Stage(_) | Value::Int(_) | Value::Text(_) => return None,
    };
    Some(WrittenFlag {
        state: if truth.disabled { "DISABLED" } else { "ENABLED" },
        variants: Variants { on: true, off: false },
        default_variant,
        targeting: share.map(|share| Targeting { fractional: [("on", share), ("off", WHOLE - share)] }),
    })
}

/// What of the flag would decide otherwise in flagd.
fn what_is_lost(flag: &Declaration, truth: Truth) -> Vec<String> {
    let mut lost = Vec::new();
    if matches!(flag.kind, Kind::Int | Kind::Text | Kind::Stage) {
        let kind = super::super::flag::word_of(flag.kind);
        lost.push(format!(
            "it is of kind \"{kind}\"; only flags that are on or off are exchanged with flagd"
        ));
        return lost;
    }
    let shared = matches!(truth.value, Value::Share(_));
    if shared && flag.salt != flag.name {
        let salt = shorten(&flag.salt);
        lost.push(format!("its salt is `{salt}`; flagd counts by the flag's name, so other ids would be on"));
    }
    if shared && flag.unit != Unit::Id {
        let unit = if flag.unit == Unit::Host { "hosts" } else { "instances" };
        lost.push(format!("its share is counted by {unit}; flagd counts targeting keys"));
    }
    for (key, ids) in [("allow", &flag.allow), ("deny", &flag.deny)] {
        if !ids.is_empty() {
            lost.push(format!("its list `{key}` is not carried: it would be a targeting rule"));
        }
    }
    if let Some(requires) = &flag.requires {
        let not = if requires.on { "" } else { "not " };
        lost.push(format!(
            "it requires {not}`{}`; flags of flagd do not require others",
            shorten(&requires.flag)
        ));
    }
    lost
}

// In.

pub(super) fn read(reader: &mut Reader<'_>, text: &str) -> Vec<Setting> {
    let text = Text::new(text);
    let root = match text.root() {
        Ok(root) => root,
        Err((at, message)) => {
            reader.wrong(at, message);
            return Vec::new();
        }
    };
    let Some(entries) = root.object() else {
        reader.wrong(root.span(), "expected an object with `flags`");
        return Vec::new();
    };
    let mut flags = None;
    for (key, node) in once(reader, entries, "the file") {
        match key.as_str() {
            "$schema" => {}
            "flags" => flags = Some(node),
            "$evaluators" => reader.lost_but(
                node.span(),
                "shared targeting rules (`$evaluators`) are not carried",
                "",
                REST,
            ),
            "metadata" => reader.lost_but(node.span(), "the metadata of the file are not carried", "", REST),
            other => reader.lost_but(
                node.span(),
                format!("`{}` is nothing that is known of flagd", shorten(other)),
                "",
                REST,
            ),
        }
    }
    let Some(flags) = flags else {
        reader.wrong(root.span(), "it has no `flags`");
        return Vec::new();
    };
    let mut settings = Vec::new();
    for (name, node) in named(reader, flags) {
        let found = flag(reader, &name, node);
        settings.extend(found.map(|truth| Setting { name, to: To::Flag(truth) }));
    }
    settings
}

/// The flags of an object, or of an array in which each says its `key`.
fn named<'a>(reader: &mut Reader<'_>, flags: Node<'a>) -> Vec<(String, Node<'a>)> {
    let all = if let Some(entries) = flags.object() {
        entries
    } else if let Some(elements) = flags.array() {
        let mut all = Vec::new();
        for node in elements {
            let key = node.object().and_then(|entries| entries.into_iter().find(|(key, _)| key == "key"));
            match key.and_then(|(_, name)| name.string()) {
                Some(name) => all.push((name, node)),
                None => reader.wrong(node.span(), "a flag in an array is an object with its name as `key`"),
            }
        }
        all
    } else {
        reader.wrong(flags.span(), "`flags` is neither an object nor an array");
        return Vec::new();
    };
    once(reader, all, "`flags`")
}

/// Entries without those that are there twice, which are errors: readers of JSON take the first or the last.
fn once<'a>(
    reader: &mut Reader<'_>,
    entries: Vec<(String, Node<'a>)>,
    owner: &str,
) -> Vec<(String, Node<'a>)> {
    let mut seen = HashSet::new();
    let mut kept = Vec::with_capacity(entries.len());
    for (key, node) in entries {
        if seen.insert(key.clone()) {
            kept.push((key, node));
        } else {
            reader.wrong(node.span(), format!("`{}` is twice in {owner}", shorten(&key)));
        }
    }
    kept
}

/// One flag of flagd.
struct Flag<'a> {
    /// "flag `x`"
    owner: String,
    at: Span,
    variants: HashMap<String, bool>,
    /// What is served when no rule says otherwise; `None`: what the caller has.
    default: Option<bool>,
    targeting: Option<Node<'a>>,
}

fn flag(reader: &mut Reader<'_>, name: &str, node: Node<'_>) -> Option<Truth> {
    let at = node.span();
    let owner = format!("flag `{}`", shorten(name));
    if let Err(reason) = words::check_flag_name(name) {
        reader.lost(at, format!("`{}` cannot name a flag here: {reason}", shorten(name)), "rename it");
        return None;
    }
    let Some(entries) = node.object() else {
        reader.wrong(at, format!("{owner} is not an object"));
        return None;
    };
    let known = reader.flag(name, &at);
    let keys: HashMap<String, Node<'_>> = once(reader, entries, &owner).into_iter().collect();
    let mut extra: Vec<_> = keys
        .iter()
        .filter(|(key, _)| {
            !matches!(key.as_str(), "state" | "variants" | "defaultVariant" | "targeting" | "key")
        })
        .collect();
    extra.sort_by_key(|(_, node)| node.span().start);
    for (key, node) in extra {
        let message = match key.as_str() {
            "metadata" => format!("the metadata of {owner} are not carried"),
            other => format!("`{}` of {owner} is nothing that is known of flagd", shorten(other)),
        };
        reader.lost_but(node.span(), message, "", REST);
    }
    let enabled = match keys.get("state").map(|state| (state.string(), state.span())) {
        Some((Some(state), _)) if state == "ENABLED" => true,
        Some((Some(state), _)) if state == "DISABLED" => false,
        Some((_, at)) => {
            reader.wrong(at, format!("`state` of {owner} is neither \"ENABLED\" nor \"DISABLED\""));
            return None;
        }
        None => {
            reader.wrong(at, format!("{owner} has no `state`"));
            return None;
        }
    };
    let variants = variants(reader, &owner, &at, keys.get("variants").copied())?;
    let default = match keys.get("defaultVariant").filter(|node| !node.is_null()) {
        None => None,
        Some(node) => match node.string().and_then(|variant| variants.get(&variant).copied()) {
            Some(value) => Some(value),
            None => {
                reader.wrong(node.span(), format!("`defaultVariant` of {owner} is none of its variants"));
                return None;
            }
        },
    };
    let targeting = keys.get("targeting").copied().filter(|rule| {
        // Both say that there is no rule.
        !rule.is_null() && rule.object().is_none_or(|rule| !rule.is_empty())
    });
    let flag = Flag { owner, at: at.clone(), variants, default, targeting };
    let known = known.ok()?;
    let value = flag.value(reader, known)?;
    // Neither a rule nor a default: everybody gets the caller's default, as of a disabled flag.
    let silent = flag.targeting.is_none() && flag.default.is_none();
    let truth = Truth { value, disabled: !enabled || silent };
    reader.takes(known, truth, &at).then_some(truth)
}

fn variants(
    reader: &mut Reader<'_>,
    owner: &str,
    at: &Span,
    node: Option<Node<'_>>,
) -> Option<HashMap<String, bool>> {
    let Some(node) = node else {
        reader.wrong(at.clone(), format!("{owner} has no `variants`"));
        return None;
    };
    let Some(entries) = node.object().filter(|entries| !entries.is_empty()) else {
        reader
            .wrong(node.span(), format!("`variants` of {owner} is not an object with at least one variant"));
        return None;
    };
    let mut found = HashMap::new();
    for (name, value) in once(reader, entries, &format!("`variants` of {owner}")) {
        let Some(truth) = value.boolean() else {
            let message = format!("variant `{}` of {owner} is neither true nor false", shorten(&name));
            reader.lost(value.span(), message, "only flags that are on or off are exchanged with flagd");
            return None;
        };
        found.insert(name, truth);
    }
    Some(found)
}

impl Flag<'_> {
    /// What it is set to; what has no word here is said.
    fn value(&self, reader: &mut Reader<'_>, known: Option<&Declaration>) -> Option<Value> {
        let plain = if self.default == Some(true) { Value::On } else { Value::Off };
        let Some(rule) = self.targeting else { return Some(plain) };
        let rule_of = rule.object().and_then(|mut keys| if keys.len() == 1 { keys.pop() } else { None });
        let Some((_, arms)) = rule_of.filter(|(operation, _)| operation == "fractional") else {
            let message = format!("the targeting rule of {} is not carried", self.owner);
            reader.lost_but(rule.span(), message, "only `fractional` alone is", "its `defaultVariant`");
            return Some(plain);
        };
        let Some(mut arms) = arms.array().filter(|arms| !arms.is_empty()) else {
            reader.wrong(
                arms.span(),
                format!("`fractional` of {} is not an array of variants with weights", self.owner),
            );
            return None;
        };
        let mut other_ids = false;
        if arms[0].array().is_none() {
            self.lose_bucketing(reader, arms.remove(0));
            other_ids = true;
        }
        let arms = self.arms(reader, &arms)?;
        let value = self.share(reader, rule.span(), &arms)?;
        self.compare_without_id(reader, rule.span(), value);
        if let (Value::Share(_), Some(known), false) = (value, known, other_ids) {
            self.compare_with_declared(reader, rule.span(), known);
        }
        Some(value)
    }

    /// What is hashed is not the flag's key and the targeting key, each by itself.
    fn lose_bucketing(&self, reader: &mut Reader<'_>, by: Node<'_>) {
        let joined = r#"{"cat":[{"var":"$flagd.flagKey"},{"var":"targetingKey"}]}"#;
        let squeezed = serde_json::from_str::<serde_json::Value>(by.text()).map(|value| value.to_string());
        let message = if squeezed.is_ok_and(|said| said == joined) {
            format!(
                "{} hashes its key and the targeting key joined to one text; mainstay hashes them as two, so other ids would be on",
                self.owner
            )
        } else {
            format!(
                "{} is not bucketed by its key and the targeting key, so other ids would be on",
                self.owner
            )
        };
        reader.lost_but(
            by.span(),
            message,
            "leave out what `fractional` is bucketed by",
            "the same share, of other ids,",
        );
    }

    /// Variants and weights, in order.
    fn arms(&self, reader: &mut Reader<'_>, arms: &[Node<'_>]) -> Option<Vec<(bool, i64)>> {
        let mut found = Vec::with_capacity(arms.len());
        let mut sum = 0;
        for arm in arms {
            let parts = arm.array().filter(|parts| matches!(parts.len(), 1 | 2));
            let Some(parts) = parts else {
                reader.wrong(arm.span(), format!("expected a variant and its weight, in {}", self.owner));
                return None;
            };
            let Some(variant) = parts[0].string().and_then(|name| self.variants.get(&name).copied()) else {
                let message = format!("this is none of the variants of {}", self.owner);
                reader.lost(parts[0].span(), message, "a variant that a rule chooses is not carried");
                return None;
            };
            let weight = match parts.get(1) {
                None => 1,
                Some(weight) => match weight.whole().filter(|weight| (0..=WEIGHTS_MAX).contains(weight)) {
                    Some(weight) => weight,
                    None if weight.object().is_some() => {
                        let message = format!("a weight of {} follows from a rule", self.owner);
                        reader.lost(weight.span(), message, "only a weight that is a number is carried");
                        return None;
                    }
                    None => {
                        let message = format!("a weight is a whole number from 0 to {WEIGHTS_MAX}");
                        reader.wrong(weight.span(), message);
                        return None;
                    }
                },
            };
            sum += weight;
            if sum > WEIGHTS_MAX {
                reader.wrong(
                    arm.span(),
                    format!("the weights of {} are more than {WEIGHTS_MAX} in sum", self.owner),
                );
                return None;
            }
            found.push((variant, weight));
        }
        if sum == 0 {
            let message = format!("all weights of {} are 0, so its rule never says anything", self.owner);
            reader.lost(self.at.clone(), message, "remove the rule");
            return None;
        }
        found.retain(|(_, weight)| *weight > 0);
        Some(found)
    }

    /// The share that is on.
    fn share(&self, reader: &mut Reader<'_>, at: Span, arms: &[(bool, i64)]) -> Option<Value> {
        let sum: i64 = arms.iter().map(|(_, weight)| weight).sum();
        let on: i64 = arms.iter().filter(|(on, _)| *on).map(|(_, weight)| weight).sum();
        let first_off = arms.iter().position(|(on, _)| !on).unwrap_or(arms.len());
        if arms[first_off..].iter().any(|(on, _)| *on) {
            let message = format!(
                "{} is on in arms behind one in which it is off; here the first ids are on",
                self.owner
            );
            reader.lost_but(at.clone(), message, "put what is true first", "the same share, of other ids,");
        }
        let exact = on * i64::from(WHOLE);
        if exact % sum != 0 {
            let near = Value::of_share(u32::try_from(exact / sum).unwrap_or_default());
            let message = format!(
                "{on} of {sum} in {} is no whole number of 1/100,000; the nearest below is {near}",
                self.owner
            );
            reader.lost_but(at, message, "", "that one");
        }
        u32::try_from(exact / sum).ok().map(Value::of_share)
    }

    /// Without a targeting key flagd serves the default variant; here a share has no opinion then, and on or off is so
    /// for everybody.
    fn compare_without_id(&self, reader: &mut Reader<'_>, at: Span, value: Value) {
        let differs = match value {
            Value::On => self.default != Some(true),
            Value::Off => self.default != Some(false),
            _ => self.default == Some(true),
        };
        if differs {
            let message = match value {
                Value::On | Value::Off => format!(
                    "{} is {value} for every targeting key and not without one; here it is {value} for everybody",
                    self.owner
                ),
                _ => format!(
                    "{} is on without a targeting key; here a share then has no opinion, and its caller decides",
                    self.owner
                ),
            };
            reader.lost_but(at, message, "", "the value");
        }
    }

    /// The same share of other ids is another thing.
    fn compare_with_declared(&self, reader: &mut Reader<'_>, at: Span, known: &Declaration) {
        if known.salt != known.name {
            let salt = shorten(&known.salt);
            let message = format!(
                "{} has the salt `{salt}` here; flagd counts by its name, so other ids would be on",
                self.owner
            );
            reader.lost_but(at.clone(), message, "", "the same share");
        }
        if known.unit != Unit::Id {
            let message = format!("the share of {} is not counted by ids here", self.owner);
            reader.lost_but(at, message, "", "the same share");
        }
    }
}
