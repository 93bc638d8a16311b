//! What a batch says of itself, at the end of its lines in the file: what became of everything that was taken since the
//! batch before it, and of everything since the file was begun; and how far each black box was taken.
//!
//! It is the truth that outlives the telemetry service: a batch whose summary stands in the file is written, and one
//! without is not; the next life of telemetry goes on from the last summary.

use super::Counts;
use super::batch::Reached;
use super::otlp::{Attribute, SCOPE};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;

/// What a batch says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rises by one with each batch of a file and its successors; 0: there was none yet.
    pub number: u64,
    /// Spans in it.
    pub spans: u64,
    /// Events in it.
    pub events: u64,
    /// What became of everything so far.
    pub totals: Counts,
    /// Datagrams so far that were refused: malformed, or nobody's.
    pub refused: u64,
    /// Lives so far whose black box was gone before anybody looked into it.
    pub unseen: u64,
    /// How often the telemetry service began.
    pub begun: u64,
    /// What became of records since the batch before, by service.
    pub services: BTreeMap<String, Counts>,
    /// How far the boxes were taken that anything was taken of, by instance and incarnation.
    pub reached: BTreeMap<(String, u64), Reached>,
}

const NAME: &str = "mainstay.telemetry.batch";

impl Summary {
    /// The name of its log record.
    pub const NAME: &str = NAME;

    /// The attributes of its log record.
    pub(super) fn attributes(&self) -> Vec<Attribute> {
        let counts = |counts: &Counts| {
            counts.named().into_iter().map(|(name, n)| Attribute::integer(name, n)).collect::<Vec<_>>()
        };
        let service = |(name, of): (&String, &Counts)| {
            let mut all = counts(of);
            all.retain(|attribute| !attribute.is_zero());
            all.push(Attribute::number("share", of.effective()));
            Attribute::list(name, all)
        };
        let reached = |((instance, incarnation), place): (&(String, u64), &Reached)| {
            let places =
                vec![Attribute::integer("spans", place.spans), Attribute::integer("events", place.events)];
            Attribute::list(&format!("{instance}/{incarnation}"), places)
        };
        vec![
            Attribute::integer("batch", self.number),
            Attribute::integer("spans", self.spans),
            Attribute::integer("events", self.events),
            Attribute::integer("begun", self.begun),
            Attribute::integer("refused", self.refused),
            Attribute::integer("unseen", self.unseen),
            Attribute::list("totals", counts(&self.totals)),
            Attribute::list("services", self.services.iter().map(service).collect()),
            Attribute::list("reached", self.reached.iter().map(reached).collect()),
        ]
    }

    /// The summary in a line of the file; `None`: it has none, or is no line of ours.
    pub fn read(line: &[u8]) -> Option<Summary> {
        let line: Json = serde_json::from_slice(line).ok()?;
        let scopes = line.get("resourceLogs")?.as_array()?.last()?.get("scopeLogs")?.as_array()?;
        let scope = scopes.last()?;
        let record = scope.get("logRecords")?.as_array()?.last()?;
        if scope.get("scope")?.get("name")? != SCOPE || record.get("eventName")? != NAME {
            return None;
        }
        let all = record.get("attributes")?;
        let mut found = Summary {
            number: integer(value(all, "batch")?)?,
            spans: integer(value(all, "spans")?)?,
            events: integer(value(all, "events")?)?,
            begun: integer(value(all, "begun")?)?,
            refused: integer(value(all, "refused")?)?,
            unseen: integer(value(all, "unseen")?)?,
            totals: counts(list(value(all, "totals")?)?),
            ..Summary::default()
        };
        for (name, value) in pairs(list(value(all, "services")?)?) {
            found.services.insert(name.to_owned(), counts(list(value)?));
        }
        for (name, value) in pairs(list(value(all, "reached")?)?) {
            let (instance, incarnation) = name.rsplit_once('/')?;
            let place = list(value)?;
            let of =
                |key: &str| pairs(place).find(|(name, _)| *name == key).and_then(|(_, value)| integer(value));
            let place = Reached { spans: of("spans")?, events: of("events")? };
            found.reached.insert((instance.to_owned(), incarnation.parse().ok()?), place);
        }
        Some(found)
    }
}

fn pairs(list: &Json) -> impl Iterator<Item = (&str, &Json)> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|pair| Some((pair.get("key")?.as_str()?, pair.get("value")?)))
}

fn value<'a>(attributes: &'a Json, key: &str) -> Option<&'a Json> {
    pairs(attributes).find(|(name, _)| *name == key).map(|(_, value)| value)
}

fn list(value: &Json) -> Option<&Json> {
    value.get("kvlistValue")?.get("values")
}

fn integer(value: &Json) -> Option<u64> {
    value.get("intValue")?.as_str()?.parse().ok()
}

fn counts(list: &Json) -> Counts {
    let mut counts = Counts::default();
    for (name, value) in pairs(list) {
        if let (Some(place), Some(number)) = (counts.by_name(name), integer(value)) {
            *place = number;
        }
    }
    counts
}

impl fmt::Display for Summary {
    /// `batch 17: 120 spans and 30 events of 3 services; 880 sampled out, 12 lost`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |n: u64, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        write!(
            f,
            "batch {}: {} and {} of ",
            self.number,
            some(self.spans, "span"),
            some(self.events, "event")
        )?;
        f.write_str(&some(self.services.len() as u64, "service"))?;
        let mut all = Counts::default();
        self.services.values().for_each(|counts| all += *counts);
        let rest = [
            (all.sampled_out, "sampled out"),
            (all.over_ceiling, "over the ceiling"),
            (all.lost, "lost"),
            (all.torn, "torn"),
        ];
        for (at, (number, what)) in rest.iter().filter(|(number, _)| *number > 0).enumerate() {
            write!(f, "{} {number} {what}", if at == 0 { ";" } else { "," })?;
        }
        Ok(())
    }
}
