//! The ceiling: so many a second over all services, shared so that one that floods starves nobody.
//!
//! How much each asked for in the last second gives a *level* (max-min fairness): who asks for less than the level gets all
//! of it, and the others the level each. The share of those who ask for more is spread over the whole second by sampling at
//! level ÷ demand, so the second's beginning is not all that is seen; a hard quota holds it when demand rises meanwhile.
//!
//! A service that was quiet in the last second gets a fair part at once, beyond what others were promised. What a second
//! keeps too much is kept less in the next; never more than twice the ceiling.

use crate::time::{Duration, Instant};
use std::collections::HashMap;

/// How long promises hold.
const WINDOW: Duration = Duration::from_secs(1);
/// So many services are told apart in one second; the others share one place.
const SOURCES_MAX: usize = 1024;

/// The ceiling over all services.
#[derive(Debug)]
pub struct Ceiling {
    per_second: u32,
    began: Option<Instant>,
    budget: u32,
    kept: u32,
    sources: HashMap<u64, Source>,
}

/// One service within this second.
#[derive(Clone, Copy, Debug)]
struct Source {
    asked: u32,
    kept: u32,
    quota: u32,
    share: f64,
}

impl Ceiling {
    /// Nobody has asked yet. `per_second` is at least 1.
    pub fn new(per_second: u32) -> Ceiling {
        let per_second = per_second.max(1);
        Ceiling { per_second, began: None, budget: per_second, kept: 0, sources: HashMap::new() }
    }

    /// The share of what this service asks for now that is kept; asking counts.
    pub fn ask(&mut self, now: Instant, service: u64) -> f64 {
        self.roll(now);
        let source = self.source(service);
        source.asked = source.asked.saturating_add(1);
        if source.kept < source.quota { source.share } else { 0.0 }
    }

    /// Something is to be kept for this service, which [`Ceiling::ask`] has just given a share; false: there is no room after
    /// all.
    pub fn keep(&mut self, service: u64) -> bool {
        if self.kept >= self.per_second.saturating_mul(2) {
            return false;
        }
        self.source(service).kept += 1;
        self.kept += 1;
        true
    }

    fn source(&mut self, service: u64) -> &mut Source {
        let known = self.sources.len();
        let key = if known < SOURCES_MAX || self.sources.contains_key(&service) { service } else { 0 };
        // A newcomer's part is what nobody was promised, and at least an equal one.
        let promised: u64 = self.sources.values().map(|source| u64::from(source.quota)).sum();
        let free = u64::from(self.budget).saturating_sub(promised) as u32;
        let equal = self.budget / (known as u32 + 1);
        let newcomer = Source { asked: 0, kept: 0, quota: free.max(equal).max(1), share: 1.0 };
        self.sources.entry(key).or_insert(newcomer)
    }

    /// Begins the next second, if this one is over.
    fn roll(&mut self, now: Instant) {
        let Some(began) = self.began else {
            self.began = Some(now);
            return;
        };
        let passed = now.since(began);
        if passed < WINDOW {
            return;
        }
        self.began = Some(now);
        let owed = if passed < 2 * WINDOW { self.kept.saturating_sub(self.budget) } else { 0 };
        self.budget = self.per_second.saturating_sub(owed).max(self.per_second.div_ceil(2));
        self.kept = 0;
        if passed >= 2 * WINDOW {
            // What was asked for so long ago says nothing about now.
            self.sources.clear();
            return;
        }
        self.sources.retain(|_, source| source.asked > 0);
        let level = level(self.budget, self.sources.values().map(|source| source.asked));
        let promised: u64 = self.sources.values().map(|source| u64::from(source.asked.min(level))).sum();
        let free = u64::from(self.budget).saturating_sub(promised) as u32;
        for source in self.sources.values_mut() {
            let share = (f64::from(level) / f64::from(source.asked)).min(1.0);
            let quota = level.max(source.asked.min(level).saturating_add(free)).max(1);
            *source = Source { asked: 0, kept: 0, quota, share };
        }
    }
}

/// The largest number such that everybody may have so much of what they ask for, and no more than `budget` is given in all;
/// `budget` when all can have everything.
fn level(budget: u32, demands: impl Iterator<Item = u32>) -> u32 {
    let mut demands: Vec<u32> = demands.collect();
    demands.sort_unstable();
    let mut left = budget;
    for (at, demand) in demands.iter().enumerate() {
        let equal = left / (demands.len() - at) as u32;
        if *demand > equal {
            return equal;
        }
        left -= demand;
    }
    budget
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::from_nanos(1 + milliseconds * 1_000_000)
    }

    /// What each of these services keeps in the second that begins at `second`, when each asks so often, in turn.
    fn play(ceiling: &mut Ceiling, second: u64, demands: &[u32]) -> Vec<u32> {
        let mut kept = vec![0; demands.len()];
        let most = demands.iter().copied().max().unwrap_or(0);
        for turn in 0..most {
            let now = at(second * 1000 + u64::from(turn) * 999 / u64::from(most));
            for (service, demand) in demands.iter().enumerate().filter(|(_, demand)| turn < **demand) {
                // As the sampler does it, with numbers that are spread evenly instead of hashed.
                let share = ceiling.ask(now, service as u64 + 1);
                let before = (f64::from(turn) * share) as u32;
                if (f64::from(turn + 1) * share) as u32 > before && ceiling.keep(service as u64 + 1) {
                    kept[service] += 1;
                }
                assert!(turn < *demand);
            }
        }
        kept
    }

    #[test]
    fn the_level_gives_the_small_all_they_ask_for_and_the_large_the_same() {
        for (budget, demands, expected) in [
            (100, &[10, 20][..], 100),
            (100, &[1_000_000, 10], 90),
            (100, &[70, 70, 10], 45),
            (3, &[5, 5, 5, 5], 0),
            (100, &[], 100),
        ] {
            assert_eq!(level(budget, demands.iter().copied()), expected, "{demands:?}");
        }
    }

    #[test]
    fn however_many_newcomers_there_are_a_second_keeps_at_most_twice_the_ceiling() {
        let mut ceiling = Ceiling::new(10);
        let kept = (1..=100).filter(|service| ceiling.ask(at(0), *service) > 0.0 && ceiling.keep(*service));
        assert_eq!(kept.count(), 20);
    }

    #[test]
    fn what_was_asked_for_long_ago_says_nothing_about_now() {
        let mut ceiling = Ceiling::new(10);
        assert_eq!((0..1000).filter(|_| ceiling.ask(at(0), 1) > 0.0 && ceiling.keep(1)).count(), 10);
        assert_eq!(ceiling.ask(at(5000), 1), 1.0);
    }

    #[test]
    fn whoever_asks_for_less_than_the_ceiling_gets_everything() {
        let mut ceiling = Ceiling::new(100);
        for second in 0..5 {
            assert_eq!(play(&mut ceiling, second, &[60, 40]), [60, 40]);
        }
    }

    #[test]
    fn one_alone_gets_the_whole_ceiling_and_not_more() {
        let mut ceiling = Ceiling::new(100);
        for second in 0..5 {
            let kept = play(&mut ceiling, second, &[5000]);
            assert!((98..=100).contains(&kept[0]), "second {second}: {kept:?}");
        }
    }

    #[test]
    fn one_that_floods_starves_nobody() {
        let mut ceiling = Ceiling::new(100);
        for second in 0..6 {
            let kept = play(&mut ceiling, second, &[100_000, 20, 20]);
            assert_eq!(kept[1..], [20, 20], "second {second}");
            assert!(kept.iter().sum::<u32>() <= 200, "second {second}: {kept:?}");
            if second > 1 {
                assert!((55..=61).contains(&kept[0]), "second {second}: {kept:?}");
            }
        }
    }

    #[test]
    fn over_a_while_no_more_is_kept_than_the_ceiling_says() {
        let mut ceiling = Ceiling::new(100);
        let kept: u32 = (0..20)
            .map(|second| {
                // Somebody new each second, beside one that floods.
                let mut demands = vec![10_000; 1];
                demands.resize(1 + second as usize % 3, 500);
                play(&mut ceiling, second, &demands).iter().sum::<u32>()
            })
            .sum();
        assert!(kept <= 21 * 100, "{kept}");
        assert!(kept >= 15 * 100, "{kept}");
    }

    #[test]
    fn more_services_than_are_told_apart_are_bounded() {
        let mut ceiling = Ceiling::new(10);
        let kept = (1..50_000).filter(|n| ceiling.ask(at(1), *n) > 0.0 && ceiling.keep(*n)).count();
        assert!(kept <= 20, "{kept}");
        assert!(ceiling.sources.len() <= SOURCES_MAX + 1);
    }
}
