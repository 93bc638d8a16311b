//! A guard that turns SIGBUS under our mappings into zeros.
//!
//! A file that was truncated, or cannot grow because its file system is full, kills whoever loads from
//! its mapping. The handler looks the address up in a fixed table and, when it is ours, maps anonymous
//! zeros over the *whole* range; the load is retried and reads 0, which no reader of ours takes for a
//! value. Zeros over one page only would leave a mapping that is half file, half memory.
//!
//! Every other SIGBUS goes to whoever handled it before, so the process dies of the right signal.
//! Our own faults never do: the standard library's handler would restore the default action, and the
//! second fault would kill. (`signal-hook` calls the previous handler first: that is why it is not used.)
//! Nothing here allocates or locks in the handler, and two threads may fault on one range at once.

#![allow(unsafe_code)] // sigaction and a handler that maps memory have no safe form.

use std::io;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Ranges guarded at once: one for a board that is read, one for each that is written.
const RANGES: usize = 64;

struct Range {
    /// 0: free. Set last and cleared first.
    start: AtomicUsize,
    length: AtomicUsize,
    protection: AtomicUsize,
    /// Faults that were turned into zeros.
    lost: AtomicUsize,
}

static TABLE: [Range; RANGES] = [const {
    Range {
        start: AtomicUsize::new(0),
        length: AtomicUsize::new(0),
        protection: AtomicUsize::new(0),
        lost: AtomicUsize::new(0),
    }
}; RANGES];

/// What a free entry's start is while its other fields are being filled.
const CLAIMED: usize = usize::MAX;

/// The disposition before ours; boxed once, never freed: the handler may read it at any time.
static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());

/// One range under guard, until it is dropped.
#[derive(Debug)]
pub struct Guarded(usize);

impl Guarded {
    /// Guards `length` bytes at `start`, page-aligned memory of the caller that is mapped with
    /// `protection` (`PROT_…`). The zeros will have the same protection.
    ///
    /// # Errors
    /// All entries are taken (`ENOMEM`), or the handler cannot be installed.
    pub(super) fn new(start: usize, length: usize, protection: i32) -> io::Result<Guarded> {
        ensure_installed()?;
        for (at, range) in TABLE.iter().enumerate() {
            if range.start.compare_exchange(0, CLAIMED, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                range.length.store(length, Ordering::Relaxed);
                range.protection.store(protection as usize, Ordering::Relaxed);
                range.lost.store(0, Ordering::Relaxed);
                range.start.store(start, Ordering::Release);
                return Ok(Guarded(at));
            }
        }
        Err(io::Error::from_raw_os_error(libc::ENOMEM))
    }

    /// How often this range was lost.
    pub fn losses(&self) -> usize {
        TABLE[self.0].lost.load(Ordering::Acquire)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        TABLE[self.0].start.store(0, Ordering::Release);
    }
}

/// Installs the handler, unless it stands. Called whenever something is mapped, so that another
/// handler installed meanwhile is put behind ours.
///
/// # Errors
/// Those of `sigaction`.
pub fn ensure_installed() -> io::Result<()> {
    // SAFETY: all zeros is a valid `sigaction`.
    let mut now: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: a null new action only reads the present one into `now`, which is ours.
    if unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), &mut now) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = on_sigbus;
    if now.sa_sigaction == handler as usize {
        return Ok(());
    }
    PREVIOUS.store(Box::into_raw(Box::new(now)), Ordering::Release);
    // SAFETY: all zeros is a valid `sigaction`.
    let mut ours: libc::sigaction = unsafe { mem::zeroed() };
    ours.sa_sigaction = handler as usize;
    // NODEFER: the previous handler may itself touch memory of ours.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    // SAFETY: `ours` is a complete action, its handler only does what is safe in one.
    if unsafe { libc::sigaction(libc::SIGBUS, &ours, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

extern "C" fn on_sigbus(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the address of this thread's errno is always valid.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: the kernel passes a valid siginfo to an SA_SIGINFO handler.
    let code = unsafe { (*info).si_code };
    // SAFETY: as above; for BUS_ADRERR the address field is the one that is set.
    let address = unsafe { (*info).si_addr() } as usize;
    if code != libc::BUS_ADRERR || !make_zeros(address) {
        pass_on(signal, code, info, context);
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Maps zeros over the guarded range that holds `address`; false when there is none, or it cannot.
fn make_zeros(address: usize) -> bool {
    for range in &TABLE {
        let start = range.start.load(Ordering::Acquire);
        let length = range.length.load(Ordering::Relaxed);
        if start == 0 || start == CLAIMED || address < start || address - start >= length {
            continue;
        }
        let protection = range.protection.load(Ordering::Relaxed) as i32;
        let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: the whole range belongs to a mapping object of ours that stays alive while it is in
        // the table, and is only reached as atomic words, for which zeros are as good as any.
        let mapped = unsafe { libc::mmap(start as *mut libc::c_void, length, protection, flags, -1, 0) };
        if mapped == libc::MAP_FAILED {
            return false;
        }
        range.lost.fetch_add(1, Ordering::Release);
        return true;
    }
    false
}

/// Not ours: what would have happened without us.
fn pass_on(signal: i32, code: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let previous = PREVIOUS.load(Ordering::Acquire);
    // SAFETY: stored before the handler was installed, and never freed.
    let action = unsafe { &*previous };
    match action.sa_sigaction {
        libc::SIG_IGN if code <= 0 => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // A fault happens again when we return; a signal that somebody sent does not.
            // SAFETY: resetting to the default action touches no memory of ours.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
            if code <= 0 {
                // SAFETY: raising a signal in this thread.
                unsafe { libc::raise(signal) };
            }
        }
        handler if action.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: the previous owner registered this address with SA_SIGINFO, so it has this type.
            let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) =
                unsafe { mem::transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: registered without SA_SIGINFO, so it takes the signal's number only.
            let handler: extern "C" fn(i32) = unsafe { mem::transmute(handler) };
            handler(signal);
        }
    }
}
