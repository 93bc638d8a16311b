//! For services: telling the guard how the work goes.
//!
//! While a guarded change bakes, the guard compares the share of errors with what it was before (it wants 200 samples
//! or more). Whatever the service takes for one piece of work counts: a request, a job, a message.
//!
//! ```
//! use mainstay::report;
//!
//! fn handle(request: &str) -> Result<usize, std::num::ParseIntError> {
//!     request.parse()
//! }
//!
//! report::ok();
//! report::error();
//! // Counts one or the other, and hands it on.
//! assert!(report::outcome(handle("12")).is_ok());
//! ```
//!
//! Each call is one atomic addition in the black box of this life: a few nanoseconds, no system call, no lock, and nothing at
//! all outside of mainstay. Processes that the service forks count for it.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One piece of work went well.
#[inline]
pub fn ok() {
    count(true);
}

/// One piece of work went wrong.
#[inline]
pub fn error() {
    count(false);
}

/// Counts one success or one error, and returns the result as it is.
#[inline]
pub fn outcome<T, E>(result: Result<T, E>) -> Result<T, E> {
    count(result.is_ok());
    result
}

#[inline]
fn count(ok: bool) {
    if let Some(noter) = super::seen() {
        noter.count(ok);
    }
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PAIR: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Which pair of counters this thread uses: one after the other, in the order of their first count.
#[inline]
pub(super) fn pair_of_this_thread() -> usize {
    match PAIR.get() {
        usize::MAX => {
            let pair = THREADS.fetch_add(1, Ordering::Relaxed);
            PAIR.set(pair);
            pair
        }
        pair => pair,
    }
}
