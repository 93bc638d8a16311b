//! Numbers of spans, traces and operations: random, of each thread's own sequence.

use crate::flags::mix;
use crate::sys::{clock, own};
use std::cell::Cell;

thread_local! {
    /// Whose sequence, and where it stands. Nothing to drop, so it is there until the thread's very end.
    static SEQUENCE: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Another number than any before; never 0.
#[inline]
pub fn new_id() -> u64 {
    let (of, mut at) = SEQUENCE.get();
    let thread = own::thread();
    if of != thread {
        // A new thread, or a child of a fork, which must not go on with its parent's.
        at = beginning(thread);
    }
    at = at.wrapping_add(0x9e37_79b9_7f4a_7c15);
    SEQUENCE.set((thread, at));
    mix(at).max(1)
}

#[cold]
fn beginning(thread: u64) -> u64 {
    // Early in a boot there is nothing random. The thread's number and the moment are its own, too.
    own::random().unwrap_or_else(|| mix(thread ^ mix(clock::now().as_nanos())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_number_comes_twice_whatever_the_thread() {
        let threads: Vec<_> =
            (0..4).map(|_| std::thread::spawn(|| (0..1000).map(|_| new_id()).collect::<Vec<_>>())).collect();
        let all: BTreeSet<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(all.len(), 4000);
        assert!(!all.contains(&0));
    }
}
