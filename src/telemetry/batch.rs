//! What is collected until it is written in one go.

use super::{Counts, Life, Record, Settings, Summary, Verdict};
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, HashMap};

/// A batch is full when its records hold so many bytes, too.
const BYTES_MAX: usize = 1 << 20;
/// A batch is full when it has something of so many lives: each has a place in its summary.
const LIVES_MAX: usize = 1024;

/// How far a black box was taken: everything before these places is settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// The next finished span.
    pub spans: u64,
    /// The next event.
    pub events: u64,
}

/// Records that are written together.
#[derive(Debug)]
pub struct Batch {
    size: usize,
    every: Duration,
    /// When its first record was taken.
    began: Option<Instant>,
    /// What is kept, by life.
    kept: Vec<(Life, Vec<Kept>)>,
    places: HashMap<Life, usize>,
    records: usize,
    bytes: usize,
    counts: BTreeMap<String, Counts>,
    reached: BTreeMap<(String, u64), Reached>,
}

/// A record that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// It.
    pub record: Record,
    /// It stands for 1 ÷ `share` of its like.
    pub share: f64,
}

impl Batch {
    /// An empty one.
    pub fn new(settings: &Settings) -> Batch {
        Batch {
            size: settings.batch_size.max(1) as usize,
            every: settings.batch_every,
            began: None,
            kept: Vec::new(),
            places: HashMap::new(),
            records: 0,
            bytes: 0,
            counts: BTreeMap::new(),
            reached: BTreeMap::new(),
        }
    }

    /// A record was taken from the box of this life, and this becomes of it.
    pub fn took(&mut self, now: Instant, life: &Life, record: Record, verdict: Verdict) {
        self.began.get_or_insert(now);
        let counts = self.counts.entry(life.service.clone()).or_default();
        counts.taken += 1;
        match verdict {
            Verdict::SampledOut => counts.sampled_out += 1,
            Verdict::OverCeiling => counts.over_ceiling += 1,
            Verdict::Keep { share } => {
                counts.written += 1;
                self.records += 1;
                self.bytes += size_of::<Kept>() + weight(&record);
                let place = *self.places.entry(life.clone()).or_insert_with(|| {
                    self.kept.push((life.clone(), Vec::new()));
                    self.kept.len() - 1
                });
                self.kept[place].1.push(Kept { record, share });
            }
        }
    }

    /// So many records of this life could not be taken.
    pub fn missed(&mut self, now: Instant, life: &Life, lost: u64, torn: u64) {
        if lost > 0 || torn > 0 {
            self.began.get_or_insert(now);
            *self.counts.entry(life.service.clone()).or_default() +=
                Counts { lost, torn, ..Counts::default() };
        }
    }

    /// The box of this life is taken so far.
    pub fn reached(&mut self, life: &Life, place: Reached) {
        self.reached.insert((life.instance.clone(), life.incarnation), place);
    }

    /// True when nothing more belongs into it.
    pub fn is_full(&self) -> bool {
        self.records >= self.size || self.bytes >= BYTES_MAX || self.reached.len() >= LIVES_MAX
    }

    /// How many more records fit.
    pub fn room(&self) -> usize {
        if self.is_full() { 0 } else { self.size - self.records }
    }

    /// When it is to be written, unless it is full before; `None`: there is nothing in it.
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.began? + self.every)
    }

    /// Is it to be written now?
    pub fn is_due(&self, now: Instant) -> bool {
        self.is_full() || self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// What is kept, life by life.
    pub fn kept(&self) -> &[(Life, Vec<Kept>)] {
        &self.kept
    }

    /// Where the black boxes stand.
    pub fn places(&self) -> &BTreeMap<(String, u64), Reached> {
        &self.reached
    }

    /// What it comes to, after the batch with this summary.
    pub fn summary(&self, before: &Summary) -> Summary {
        let (mut spans, mut events) = (0, 0);
        for kept in self.kept.iter().flat_map(|(_, kept)| kept) {
            match kept.record {
                Record::Span(_) => spans += 1,
                Record::Event(_) => events += 1,
            }
        }
        let mut totals = before.totals;
        self.counts.values().for_each(|counts| totals += *counts);
        Summary {
            number: before.number + 1,
            spans,
            events,
            totals,
            services: self.counts.clone(),
            reached: self.reached.clone(),
            ..*before
        }
    }
}

fn weight(record: &Record) -> usize {
    use super::Value;
    let attributes = |all: &[(String, Value)]| -> usize {
        let of = |value: &Value| if let Value::Text(text) = value { text.len() } else { 8 };
        all.iter().map(|(key, value)| 48 + key.len() + of(value)).sum()
    };
    match record {
        Record::Span(span) => span.name.len() + attributes(&span.attributes),
        Record::Event(event) => event.name.len() + attributes(&event.attributes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Event;

    fn life(instance: &str) -> Life {
        Life { service: "web".into(), instance: instance.into(), incarnation: 1, pid: 1 }
    }

    fn event() -> Record {
        Record::Event(Event { name: "e".into(), ..Event::default() })
    }

    fn at(milliseconds: u64) -> Instant {
        Instant::from_nanos(milliseconds * 1_000_000)
    }

    const KEEP: Verdict = Verdict::Keep { share: 1.0 };

    #[test]
    fn a_batch_is_due_when_it_is_full_or_its_first_record_is_old() {
        let settings = Settings { batch_size: 2, ..Settings::default() };
        let mut batch = Batch::new(&settings);
        assert!(!batch.is_due(at(1 << 40)) && batch.deadline().is_none(), "an empty one never is");
        batch.took(at(5), &life("web#1"), event(), KEEP);
        batch.took(at(400), &life("web#1"), event(), Verdict::SampledOut);
        assert!(!batch.is_due(at(1004)) && batch.is_due(at(1005)));
        batch.took(at(500), &life("web#2"), event(), KEEP);
        assert!(batch.is_due(at(500)) && batch.room() == 0);
    }

    #[test]
    fn what_was_only_left_out_or_lost_is_told_in_time_too() {
        for lost in [0, 3] {
            let mut batch = Batch::new(&Settings::default());
            batch.missed(at(1), &life("web#1"), lost, 0);
            assert_eq!(batch.deadline().is_some(), lost > 0);
        }
    }

    #[test]
    fn bytes_and_lives_are_bounded_too() {
        let settings = Settings { batch_size: 10_000, ..Settings::default() };
        let mut batch = Batch::new(&settings);
        let mut count = 0;
        while !batch.is_full() {
            let record = Record::Event(Event { name: "x".repeat(10_000), ..Event::default() });
            batch.took(at(1), &life("web#1"), record, KEEP);
            count += 1;
        }
        assert!((100..110).contains(&count), "{count}");
        let mut batch = Batch::new(&settings);
        (0..LIVES_MAX).for_each(|n| batch.reached(&life(&n.to_string()), Reached::default()));
        assert!(batch.is_full());
    }

    #[test]
    fn the_summary_counts_on_from_the_one_before() {
        let mut batch = Batch::new(&Settings::default());
        batch.took(at(1), &life("web#1"), event(), KEEP);
        batch.took(at(1), &life("web#1"), event(), Verdict::OverCeiling);
        batch.missed(at(1), &life("web#1"), 7, 1);
        let first = batch.summary(&Summary { refused: 4, ..Summary::default() });
        let second = batch.summary(&first);
        assert_eq!((first.number, second.number, second.refused), (1, 2, 4));
        let counted =
            Counts { taken: 4, written: 2, over_ceiling: 2, lost: 14, torn: 2, ..Counts::default() };
        assert_eq!(second.totals, counted);
        assert_eq!((second.spans, second.events, second.services["web"].lost), (0, 1, 7));
    }
}
