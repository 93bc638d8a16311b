//! Signals to this process as numbers that the loop can read; names of signals.
//!
//! A handler (`signal-hook`'s) stores the number and writes a byte to a socket pair; nothing else
//! happens in signal context. Exits of services come by pidfd, not from here: SIGCHLD only says that a
//! stranger may have to be reaped.

#![allow(unsafe_code)] // reading a disposition has no safe form

use nix::sys::signal::{SigSet, Signal};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use std::borrow::Cow;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Signals that arrived and have not been looked at. Handlers stand from [`Signals::install`] on.
pub struct Signals(SignalDelivery<UnixStream, SignalOnly>);

impl Signals {
    /// What a supervisor listens to: TERM INT HUP QUIT USR1 USR2 CHLD.
    pub const SUPERVISOR: [i32; 7] = [
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGHUP,
        libc::SIGQUIT,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGCHLD,
    ];

    /// Starts listening to `signals`.
    ///
    /// They are held back meanwhile: `signal-hook` installs its handler before it notes what the handler has to
    /// do, and a signal in between would be swallowed. So each is either the default's or ours.
    ///
    /// # Errors
    /// No descriptors are left, or a number is no signal that can be caught.
    pub fn install(signals: &[i32]) -> io::Result<Signals> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        let mut held = SigSet::empty();
        signals
            .iter()
            .filter_map(|&number| Signal::try_from(number).ok())
            .for_each(|signal| held.add(signal));
        let before = SigSet::thread_get_mask()?;
        held.thread_block()?;
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, signals);
        before.thread_set_mask()?;
        Ok(Signals(delivery?))
    }

    /// The numbers that arrived since the last call, each once, in no order. Never blocks. Call it
    /// whenever the descriptor is readable: it empties it.
    pub fn pending(&mut self) -> impl Iterator<Item = i32> {
        self.0.pending()
    }
}

/// Signals of a process that is not ours, borrowed for as long as this lives: make it before [`Signals::install`].
///
/// `signal-hook` leaves its handlers standing for good, so a signal whose default action was to end the process would
/// do nothing once nobody listens. Those have their default action again when nobody borrows them any more.
#[derive(Debug)]
pub struct Borrowed(Vec<i32>);

/// What is known of a signal that was borrowed once.
struct Loan {
    signal: i32,
    borrowers: usize,
    /// True while nobody borrows it: the default action is done. `None`: it had a handler, or was ignored.
    default: Option<Arc<AtomicBool>>,
}

static LOANS: Mutex<Vec<Loan>> = Mutex::new(Vec::new());

impl Borrowed {
    /// Borrows these.
    ///
    /// # Errors
    /// A number is no signal that can be caught.
    pub fn new(signals: &[i32]) -> io::Result<Borrowed> {
        let mut loans = LOANS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut borrowed = Borrowed(Vec::new());
        for &signal in signals {
            let at = match loans.iter().position(|loan| loan.signal == signal) {
                Some(at) => at,
                None => {
                    let default = has_default_action(signal)?.then(Arc::<AtomicBool>::default);
                    if let Some(default) = &default {
                        signal_hook::flag::register_conditional_default(signal, default.clone())?;
                    }
                    loans.push(Loan { signal, borrowers: 0, default });
                    loans.len() - 1
                }
            };
            loans[at].borrowers += 1;
            if let Some(default) = &loans[at].default {
                default.store(false, Ordering::SeqCst);
            }
            borrowed.0.push(signal);
        }
        Ok(borrowed)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let mut loans = LOANS.lock().unwrap_or_else(PoisonError::into_inner);
        for loan in loans.iter_mut().filter(|loan| self.0.contains(&loan.signal)) {
            loan.borrowers -= 1;
            if let (0, Some(default)) = (loan.borrowers, &loan.default) {
                default.store(true, Ordering::SeqCst);
            }
        }
    }
}

fn has_default_action(signal: i32) -> io::Result<bool> {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: reads one disposition into a structure of our own, and sets none.
    if unsafe { libc::sigaction(signal, std::ptr::null(), now.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed before the call; every bit pattern is a value.
    Ok(unsafe { now.assume_init() }.sa_sigaction == libc::SIG_DFL)
}

/// Whether somebody pressed Ctrl-C. The first one is only noted; a second one ends the process as ever.
#[derive(Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on.
    ///
    /// # Errors
    /// The system's, which has none for this signal.
    pub fn listen() -> io::Result<Interrupt> {
        let arrived = Arc::<AtomicBool>::default();
        // In this order: the second one meets the mark that the first one left.
        signal_hook::flag::register_conditional_default(libc::SIGINT, arrived.clone())?;
        signal_hook::flag::register(libc::SIGINT, arrived.clone())?;
        Ok(Interrupt(arrived))
    }

    /// True from the first one on.
    pub fn arrived(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Ends this process by SIGINT, whoever handles it: so that a shell sees what happened.
pub fn end_by_interrupt() {
    // Returns only when the signal cannot end us; then the exit code says it.
    let _ = signal_hook::low_level::emulate_default_handler(libc::SIGINT);
}

/// Holds all signals back on this thread, for good: they go to others.
///
/// # Errors
/// Never for this set.
pub fn block_all_here() -> io::Result<()> {
    Ok(SigSet::all().thread_block()?)
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_read().as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.get_read().as_raw_fd()
    }
}

/// The name of a signal: `SIGTERM`, `SIGRTMIN+3`, `signal 99`.
pub fn name(number: i32) -> Cow<'static, str> {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().into(),
        Err(_) if (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number) => {
            format!("SIGRTMIN+{}", number - libc::SIGRTMIN()).into()
        }
        Err(_) => format!("signal {number}").into(),
    }
}

/// The number of a signal written as `TERM`, `SIGTERM`, `sigterm`, `RTMIN+3` or `15`.
pub fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=libc::SIGRTMAX()).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(rest) = name.strip_prefix("RTMIN") {
        let above = if rest.is_empty() { 0 } else { rest.strip_prefix('+')?.parse::<i32>().ok()? };
        let number = libc::SIGRTMIN().checked_add(above)?;
        return (number <= libc::SIGRTMAX()).then_some(number);
    }
    Signal::from_str(&format!("SIG{name}")).ok().map(|signal| signal as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_that_has_a_name_is_found_by_it() {
        for signal in Signal::iterator() {
            assert_eq!(number(&name(signal as i32)), Some(signal as i32));
        }
        for above in 0..=libc::SIGRTMAX() - libc::SIGRTMIN() {
            let real_time = libc::SIGRTMIN() + above;
            assert_eq!(number(&name(real_time)), Some(real_time));
        }
    }

    #[test]
    fn signals_are_read_as_people_write_them() {
        for text in ["TERM", "SIGTERM", "sigterm", "15"] {
            assert_eq!(number(text), Some(libc::SIGTERM), "{text}");
        }
        for text in ["", "0", "-1", "65", "SIG", "TERMINATE", "RTMIN-1", "RTMIN+99", "SIGSIGTERM"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
