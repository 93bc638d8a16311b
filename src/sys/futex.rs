//! Waiting for a word of a shared file to change, and waking who waits.

use rustix::thread::futex;
use std::io;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Sleeps until `word` is no longer `expected`, somebody wakes it, a signal arrives, or `timeout` is over.
/// May return for no reason; the caller looks again. The word may be in a read-only mapping.
pub fn wait(word: &AtomicU32, expected: u32, timeout: Duration) {
    let limit = timespec(timeout);
    match futex::wait(word, futex::Flags::empty(), expected, Some(&limit)) {
        Ok(()) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR | rustix::io::Errno::TIMEDOUT) => {}
        // The word is gone (zeros in place of a lost file cannot be waited on): nobody can wake us, so
        // sleep a little instead of returning at once for ever.
        Err(_) => pause(timeout.min(Duration::from_millis(5))),
    }
}

/// Sleeps for `length`, or until a signal arrives.
pub fn pause(length: Duration) {
    // No descriptor: only the time ends it. An interrupted pause is a shorter one.
    let _ = rustix::event::poll(&mut [], Some(&timespec(length)));
}

/// Wakes everybody who waits for `word`, in all processes.
///
/// # Errors
/// The word is no longer in memory that can be waited on.
pub fn wake_all(word: &AtomicU32) -> io::Result<()> {
    futex::wake(word, futex::Flags::empty(), i32::MAX as u32)?;
    Ok(())
}

fn timespec(length: Duration) -> rustix::time::Timespec {
    rustix::time::Timespec {
        tv_sec: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: length.subsec_nanos().into(),
    }
}
