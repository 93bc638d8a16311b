//! Which process and which thread this is, for a few loads instead of system calls; and whether another one lives.
//!
//! A child of a fork has a copy of everything its parent remembered. What is remembered here is in a page that the
//! kernel empties in a child, however that came to be: nobody has to be told of a fork.

#![allow(unsafe_code)] // a page that is mapped once has no safe form

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

const PAGE: usize = 4096;

/// The page, which begins with the process's number, or 0 when nobody has looked since the last fork.
static REMEMBERED: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    /// Without anything to drop: it is there until the very end of the thread.
    static THREAD: Cell<u64> = const { Cell::new(0) };
}

/// The number of this process, also in a child of a fork.
#[inline]
pub fn process() -> u32 {
    let page = REMEMBERED.load(Ordering::Acquire);
    if !page.is_null() {
        // SAFETY: mapped by `remember`, never unmapped once it is here, and reached as an atomic only.
        let process = unsafe { &*page }.load(Ordering::Relaxed);
        if process != 0 {
            return process;
        }
    }
    remember(page)
}

/// The number of this process in the upper half, of this thread in the lower.
#[inline]
pub fn thread() -> u64 {
    let (process, known) = (process(), THREAD.get());
    if known >> 32 == u64::from(process) {
        return known;
    }
    let thread = u64::from(process) << 32 | u64::from(rustix::thread::gettid().as_raw_pid().unsigned_abs());
    THREAD.set(thread);
    thread
}

#[cold]
fn remember(known: *mut AtomicU32) -> u32 {
    let process = rustix::process::getpid().as_raw_pid().unsigned_abs();
    let page = if known.is_null() { map() } else { Some(known) };
    if let Some(page) = page {
        // SAFETY: mapped, aligned, never unmapped once it is in `REMEMBERED`.
        unsafe { &*page }.store(process, Ordering::Relaxed);
    }
    process
}

/// A page that is empty after a fork. `None`: a kernel without (before 4.14), where each call asks anew.
fn map() -> Option<*mut AtomicU32> {
    // SAFETY: a new mapping at an address of the kernel's choice.
    let start = unsafe {
        mmap_anonymous(ptr::null_mut(), PAGE, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE).ok()?
    };
    // SAFETY: the page that was just mapped.
    let wiped = unsafe { madvise(start, PAGE, Advice::LinuxWipeOnFork) }.is_ok();
    let page = start.cast::<AtomicU32>();
    if wiped {
        match REMEMBERED.compare_exchange(ptr::null_mut(), page, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(page),
            // Another thread was first.
            Err(other) => {
                // SAFETY: nobody else knows of this page.
                let _ = unsafe { munmap(start, PAGE) };
                return Some(other);
            }
        }
    }
    // SAFETY: nobody else knows of this page.
    let _ = unsafe { munmap(start, PAGE) };
    None
}

/// The name of this thread, padded with zeros.
pub fn thread_name() -> [u8; 16] {
    let mut name = [0; 16];
    // SAFETY: the kernel writes at most 16 bytes there.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name
}

/// A random number; `None` early in a boot.
pub fn random() -> Option<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the kernel writes at most that many bytes there.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
    (got == 8).then_some(u64::from_le_bytes(bytes))
}

/// Does this thread of this process ([`thread`]) still live? True when that cannot be said.
pub fn lives(thread: u64) -> bool {
    let (process, thread) = ((thread >> 32) as i32, thread as u32 as i32);
    if process <= 0 || thread <= 0 {
        return false;
    }
    // SAFETY: signal 0 is never delivered; the call touches no memory.
    let answer = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, 0) };
    answer == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    #[test]
    fn a_process_and_its_threads_are_told_apart() {
        assert_eq!(process(), std::process::id());
        let (ours, theirs) = (thread(), std::thread::spawn(thread).join().unwrap());
        assert_eq!(ours >> 32, theirs >> 32);
        assert_ne!(ours, theirs);
        assert_eq!(thread(), ours);
        assert!(lives(ours));
        assert!(!lives(0) && !lives(u64::MAX));
    }

    #[test]
    fn a_thread_that_has_ended_does_not_live() {
        let ended = std::thread::spawn(thread).join().unwrap();
        // `join` returns when the kernel has cleared the thread's number, a moment before it is gone.
        while lives(ended) {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn a_child_of_a_fork_is_another() {
        let ours = thread();
        // SAFETY: the child calls what allocates nothing, and leaves by `_exit`.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                let right = u64::from(process()) == thread() >> 32
                    && thread() != ours
                    && process() == rustix::process::getpid().as_raw_pid().unsigned_abs();
                // SAFETY: ends the child at once, without the test harness.
                unsafe { libc::_exit(i32::from(!right)) }
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            }
        }
        assert_eq!(thread(), ours);
    }
}
