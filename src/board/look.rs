//! Lets reads look at the clock now and then, and whether the board's name still leads to it.

use super::attachment::Attachment;
use crate::sys::clock;
use crate::time::Instant;
use std::cell::Cell;

/// Reads of a thread between two looks at the clock, at most: the clock costs several reads.
const READS_PER_LOOK: u32 = 64;

thread_local! {
    /// Reads until the next look at the clock.
    static READS: Cell<u32> = const { Cell::new(1) };
    /// What the clock said at the last look, and how many reads were between it and the one before.
    static LOOKED: Cell<(Instant, u32)> = const { Cell::new((Instant::ZERO, 1)) };
}

/// Lets some reads of a thread look whether the board's name still leads to it, if it is time: each one
/// where they are rare, each 64th at most.
#[inline]
pub(super) fn look_sometimes(attachment: &Attachment) {
    let left = READS.get().wrapping_sub(1);
    READS.set(left);
    if left == 0 {
        look_at_the_clock(attachment);
    }
}

#[cold]
#[inline(never)]
fn look_at_the_clock(attachment: &Attachment) {
    let now = clock::coarse();
    // Twice as many reads each time while they all are within one tick of the clock; then from the start.
    let reads = match LOOKED.get() {
        (last, reads) if last == now => (2 * reads).min(READS_PER_LOOK),
        _ => 1,
    };
    LOOKED.set((now, reads));
    READS.set(reads);
    attachment.look(now);
}
