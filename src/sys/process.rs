//! This process itself: making its inherited state known (S1), and the program that it runs.
//!
//! Whoever started us may have left signals ignored or blocked, descriptors closed, limits low. After
//! [`prepare_process`] nothing of that is left to chance, and what children must get back is returned.

#![allow(unsafe_code)] // signal dispositions of glibc's internal signals can only be set by raw calls

use rustix::process::{Resource, getrlimit, setrlimit};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// What was inherited and has been changed: children get it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// The limit on open descriptors, soft and hard; `None` is "no limit". Ours is now the hard one.
    pub nofile: Limit,
    /// The file mode mask. Not changed.
    pub umask: u32,
    /// How many descriptors this process may have open; `None`: as many as it likes.
    pub descriptors: Option<u64>,
}

/// A resource limit: soft and hard, `None` for "no limit".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// What holds.
    pub soft: Option<u64>,
    /// How far the soft one may be raised.
    pub hard: Option<u64>,
}

/// Makes this process fit to be a supervisor (S1). Call it first, while there is one thread.
///
/// Afterwards: no signal is ignored but SIGPIPE and none is blocked; handlers that we set ourselves stay;
/// descriptors 0 to 2 are open; orphans of our children become our children; the soft limit on
/// descriptors is the hard one.
///
/// # Errors
/// `/dev/null` cannot be opened while one of descriptors 0 to 2 is closed, or a kernel without subreapers.
pub fn prepare_process() -> io::Result<Inherited> {
    open_standard_descriptors()?;
    reset_signals()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let nofile = raise_nofile();
    Ok(Inherited { nofile, umask: umask(), descriptors: nofile.hard })
}

/// What children get in a process that is not ours to change: as it is. `raise`: the soft limit on descriptors becomes
/// the hard one; nothing else is touched.
///
/// # Errors
/// `/proc` is not mounted.
pub fn visit_process(raise: bool) -> io::Result<Inherited> {
    let limit = getrlimit(Resource::Nofile);
    let nofile = Limit { soft: limit.current, hard: limit.maximum };
    let descriptors = if raise { raise_nofile().hard } else { nofile.soft };
    // There may be threads, so it cannot be read by setting it.
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let umask = mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o022);
    Ok(Inherited { nofile, umask, descriptors })
}

/// The program that this process runs, whatever happens to its file's name. For starting ourselves again.
///
/// # Errors
/// `/proc` is not mounted.
pub fn executable() -> io::Result<OwnedFd> {
    Ok(File::open("/proc/self/exe")?.into())
}

/// Descriptors are handed out lowest first, so opening until one is above 2 fills the holes in order.
fn open_standard_descriptors() -> io::Result<()> {
    loop {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        if null.as_raw_fd() > 2 {
            return Ok(());
        }
        let kept = OwnedFd::from(null);
        rustix::io::fcntl_setfd(&kept, rustix::io::FdFlags::empty())?;
        std::mem::forget(kept);
    }
}

/// The kernel's `struct sigaction`; the same size or larger on every architecture we build for, and
/// all zeros means the default action on each of them.
#[repr(C)]
struct KernelAction([usize; 8]);

/// Every disposition that exec left ignored goes back to the default, glibc's internal signals
/// included; an inherited mask is cleared. SIGPIPE is ignored: a closed pipe is an error value.
fn reset_signals() -> io::Result<()> {
    for signal in 1..=64 {
        let mut old = KernelAction([0; 8]);
        // SAFETY: reads one disposition into a structure that is large enough for the kernel's.
        let read = unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, std::ptr::null::<KernelAction>(), &raw mut old, 8)
        };
        if read != 0 || old.0[0] != libc::SIG_IGN {
            continue;
        }
        let default = KernelAction([0; 8]);
        // SAFETY: sets the default action, which runs no code of ours.
        let set = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                &raw const default,
                std::ptr::null::<KernelAction>(),
                8,
            )
        };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: ignoring a signal runs no code of ours.
    if unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    let none = 0_u64;
    // SAFETY: sets this thread's mask from eight readable bytes.
    let set = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            std::ptr::null::<u64>(),
            8,
        )
    };
    if set != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Raising the soft limit to the hard one needs no privilege; where it fails, the old one stays.
pub fn raise_nofile() -> Limit {
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised);
    Limit { soft: limit.current, hard: limit.maximum }
}

/// The mask can only be read by setting it: set and put back at once, while there is one thread.
fn umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(mask);
    mask.bits()
}
