//! How often each rule is broken, and by which history first: for whoever mends the core or the judge.

use crate::world;
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Plays so many histories and prints a line for each rule that was broken, the most frequent first.
///
/// Panics at the end when one was.
pub(crate) fn survey(histories: u64) {
    std::panic::set_hook(Box::new(|_| {}));
    let broken = Mutex::new(BTreeMap::<String, (u64, u64)>::new());
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= histories {
                return;
            }
            if let Err(why) = catch_unwind(|| world::run(seed, false)) {
                let why = why.downcast::<String>().map_or_else(|_| "panic".to_owned(), |text| *text);
                let why = why.lines().next().unwrap_or_default().to_owned();
                let mut broken = broken.lock().unwrap();
                let entry = broken.entry(why).or_insert((0, seed));
                *entry = (entry.0 + 1, entry.1.min(seed));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let _ = std::panic::take_hook();
    let mut rules: Vec<_> = broken.into_inner().unwrap().into_iter().collect();
    rules.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    for (rule, (count, seed)) in &rules {
        println!("{count:6} times, first by SIM_SEED={seed}: {rule}");
    }
    assert!(rules.is_empty(), "{} rules were broken", rules.len());
}
