//! How often each rule is broken, and by which histories: for whoever mends the core or the judge.

use crate::world;
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many seeds of each rule are told.
const TOLD: usize = 12;

/// Plays these histories and prints a line for each rule that was broken, the most frequent first. What differs in
/// numbers only is one rule.
///
/// Panics at the end when one was.
pub(crate) fn survey(seeds: &[u64]) {
    std::panic::set_hook(Box::new(|_| {}));
    let broken = Mutex::new(BTreeMap::<String, Vec<u64>>::new());
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
            if let Err(why) = catch_unwind(|| world::run(seed, false)) {
                broken.lock().unwrap().entry(rule(&*why)).or_default().push(seed);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let _ = std::panic::take_hook();
    let mut rules: Vec<_> = broken.into_inner().unwrap().into_iter().collect();
    rules.sort_by_key(|(_, seeds)| std::cmp::Reverse(seeds.len()));
    for (rule, seeds) in &mut rules {
        seeds.sort_unstable();
        let count = seeds.len();
        seeds.truncate(TOLD);
        println!("{count:6} times, by SIM_SEED={seeds:?}: {rule}");
    }
    assert!(rules.is_empty(), "{} rules were broken", rules.len());
}

/// What was said, in one line and without numbers.
fn rule(why: &(dyn std::any::Any + Send)) -> String {
    let literal = why.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = why.downcast_ref::<String>().cloned().or(literal).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    // Rules have numbers too, before the first colon that follows "broken".
    let (head, tail) = line.split_at(line.char_indices().nth(40).map_or(line.len(), |(at, _)| at));
    let mut numberless = head.to_owned();
    numberless.extend(tail.chars().filter(|letter| !letter.is_ascii_digit()));
    numberless
}
