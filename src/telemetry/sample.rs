//! Which records are kept: by the rate of their name, then by the ceiling.
//!
//! All records of one trace get the same number, so what a rate keeps of a trace is all of it. The number depends on the record
//! alone: whoever takes it a second time, after a death, decides the same.

use super::fair::Ceiling;
use super::settings::{Settings, WHOLE};
use super::{Life, Record};
use crate::flags::mix;
use crate::time::Instant;
use wildmatch::WildMatch;

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It is kept, and stands for 1 ÷ `share` of its like.
    Keep {
        /// Longer than 0, at most 1.
        share: f64,
    },
    /// Only a share of its name is kept.
    SampledOut,
    /// More came than are kept in one second.
    OverCeiling,
}

/// Decides about records, one after the other.
#[derive(Debug)]
pub struct Sampler {
    rate: u32,
    names: Vec<(WildMatch, u32)>,
    keep_failed: bool,
    ceiling: Ceiling,
}

impl Sampler {
    /// As these settings say.
    pub fn new(settings: &Settings) -> Sampler {
        let rule = |(pattern, share): &(String, u32)| (WildMatch::new(pattern), *share);
        Sampler {
            rate: settings.sample,
            names: settings.names.iter().map(rule).collect(),
            keep_failed: settings.keep_failed,
            ceiling: Ceiling::new(settings.per_second),
        }
    }

    /// Decides about a record of this life; `place` is where it stood in the life's black box.
    pub fn judge(&mut self, now: Instant, life: &Life, place: u64, record: &Record) -> Verdict {
        let always = self.keep_failed && record.failed();
        let rate = if always { WHOLE } else { self.rate_of(record.name()) };
        let number = number(life, place, record);
        let rate = f64::from(rate.min(WHOLE)) / f64::from(WHOLE);
        if number >= rate {
            return Verdict::SampledOut;
        }
        let service = hash(life.service.as_bytes());
        let part = self.ceiling.ask(now, service);
        let share = if always && part > 0.0 { 1.0 } else { rate * part };
        if number < share && self.ceiling.keep(service) {
            Verdict::Keep { share }
        } else {
            Verdict::OverCeiling
        }
    }

    fn rate_of(&self, name: &str) -> u32 {
        self.names.iter().find(|(pattern, _)| pattern.matches(name)).map_or(self.rate, |(_, share)| *share)
    }
}

/// From 0 to below 1, evenly; the same for all records of a trace.
fn number(life: &Life, place: u64, record: &Record) -> f64 {
    let trace = record.trace();
    let bits = match trace {
        // In no trace: each by itself.
        0 => mix(hash(life.instance.as_bytes()) ^ mix(life.incarnation) ^ mix(place.wrapping_add(1))),
        _ => mix(trace as u64 ^ mix((trace >> 64) as u64)),
    };
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// FNV-1a, mixed: names are short, and nobody attacks their own sampling.
fn hash(bytes: &[u8]) -> u64 {
    mix(bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Event, Span};
    use crate::time::Duration;

    fn settings(sample: u32, names: &[(&str, u32)]) -> Settings {
        let names = names.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect();
        Settings { sample, names, per_second: 1_000_000, ..Settings::default() }
    }

    fn life(service: &str) -> Life {
        Life { service: service.into(), instance: service.into(), incarnation: 1, pid: 7 }
    }

    fn event(name: &str) -> Record {
        Record::Event(Event { name: name.into(), ..Event::default() })
    }

    fn kept(sampler: &mut Sampler, name: &str, count: u64) -> u64 {
        let (web, record) = (life("web"), event(name));
        (0..count)
            .filter(|place| {
                matches!(sampler.judge(Instant::ZERO, &web, *place, &record), Verdict::Keep { .. })
            })
            .count() as u64
    }

    #[test]
    fn a_rate_keeps_its_share_and_says_which() {
        for percent in [0, 1, 10, 50, 100] {
            let mut sampler = Sampler::new(&settings(percent * 1000, &[]));
            let kept = kept(&mut sampler, "request", 100_000);
            assert!(kept.abs_diff(u64::from(percent) * 1000) < 600, "{percent} %: {kept}");
        }
        let mut sampler = Sampler::new(&settings(25_000, &[]));
        let shares = (0..100).map(|place| sampler.judge(Instant::ZERO, &life("web"), place, &event("x")));
        assert!(shares.filter(|v| *v != Verdict::SampledOut).all(|v| v == Verdict::Keep { share: 0.25 }));
    }

    #[test]
    fn what_one_service_says_in_its_first_second_is_kept_up_to_the_ceiling() {
        let mut sampler = Sampler::new(&Settings { per_second: 100, ..settings(WHOLE, &[]) });
        assert_eq!(kept(&mut sampler, "request", 1000), 100);
    }

    #[test]
    fn the_first_pattern_that_matches_decides_and_else_the_rate_of_all() {
        let rules = [("http.health", 0), ("http.*", 50_000), ("*", 1_000)];
        let mut sampler = Sampler::new(&settings(WHOLE, &rules));
        assert_eq!(kept(&mut sampler, "http.health", 1000), 0);
        assert!(kept(&mut sampler, "http.get", 10_000).abs_diff(5000) < 300);
        assert!(kept(&mut sampler, "job", 10_000).abs_diff(100) < 50);
        let mut sampler = Sampler::new(&settings(WHOLE, &rules[..2]));
        assert_eq!(kept(&mut sampler, "job", 1000), 1000);
    }

    #[test]
    fn a_trace_is_kept_whole_or_not_at_all_by_every_service() {
        let mut one = Sampler::new(&settings(30_000, &[]));
        let mut other = Sampler::new(&settings(30_000, &[]));
        let mut kept = 0;
        for trace in 1..500u128 {
            let span = |id| Record::Span(Span { trace: trace << 3, id, name: "x".into(), ..Span::default() });
            let first = one.judge(Instant::ZERO, &life("web"), 0, &span(1));
            for id in 2..5 {
                assert_eq!(other.judge(Instant::ZERO, &life("db"), id, &span(id)), first);
            }
            let inside = Record::Event(Event { trace: trace << 3, ..Event::default() });
            assert_eq!(other.judge(Instant::ZERO, &life("db"), 9, &inside), first);
            kept += usize::from(first != Verdict::SampledOut);
        }
        assert!((100..200).contains(&kept), "{kept} of 499");
    }

    #[test]
    fn failed_spans_are_kept_whatever_the_rate_unless_that_is_not_wanted() {
        let failed = Record::Span(Span { id: 1, failed: Some("no".into()), ..Span::default() });
        let mut sampler = Sampler::new(&settings(0, &[]));
        assert_eq!(sampler.judge(Instant::ZERO, &life("web"), 0, &failed), Verdict::Keep { share: 1.0 });
        let mut sampler = Sampler::new(&Settings { keep_failed: false, ..settings(0, &[]) });
        assert_eq!(sampler.judge(Instant::ZERO, &life("web"), 0, &failed), Verdict::SampledOut);
    }

    #[test]
    fn over_the_ceiling_the_share_falls_so_that_a_second_is_filled_evenly_and_no_other_service_is_starved() {
        let mut sampler = Sampler::new(&Settings { per_second: 1000, ..settings(WHOLE, &[]) });
        let (flood, quiet) = (life("flood"), life("quiet"));
        let mut last = (Vec::new(), 0);
        for second in 0..4u64 {
            last = (Vec::new(), 0);
            for place in 0..50_000u64 {
                let now = Instant::ZERO + Duration::from_secs(second) + Duration::from_micros(place * 20);
                if let Verdict::Keep { share } = sampler.judge(now, &flood, second << 32 | place, &event("x"))
                {
                    last.0.push((place, share));
                }
                if place % 500 == 0
                    && matches!(sampler.judge(now, &quiet, place, &event("y")), Verdict::Keep { .. })
                {
                    last.1 += 1;
                }
            }
        }
        let (flooded, quiet) = last;
        assert_eq!(quiet, 100, "the quiet one is kept whole");
        assert!((800..=900).contains(&flooded.len()), "{}", flooded.len());
        assert!(
            flooded.iter().all(|(_, share)| (share - 900.0 / 50_000.0).abs() < 0.001),
            "{:?}",
            flooded[0]
        );
        let late = flooded.iter().filter(|(place, _)| *place > 25_000).count();
        assert!(late.abs_diff(flooded.len() / 2) < 80, "{late} of {} are in the second half", flooded.len());
    }
}
