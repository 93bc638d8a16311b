//! Memory that a parent made for this process and shares with it: mapped once, for as long as the process lives.
//!
//! Only memory that nobody can shrink is mapped, so no load or store of it can fail.

#![allow(unsafe_code)] // mmap, a descriptor by number and a pointer that is set once have no safe form

use super::memory;
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Words of memory that other processes map, too.
pub type Words<const COUNT: usize> = &'static [AtomicU64; COUNT];

/// A place for something that is looked for once and then stays for ever. Without a lock: a thread that dies while it
/// looks, a signal handler and a fork at any moment leave nobody waiting.
#[derive(Debug)]
pub struct Once<T: 'static>(AtomicPtr<T>);

impl<T: Sync> Once<T> {
    /// Nobody has looked yet.
    pub const fn new() -> Once<T> {
        Once(AtomicPtr::new(ptr::null_mut()))
    }

    /// What was found by whoever looked first; when nobody has, what `look` finds. Two threads may look at the same
    /// time: both get what one of them found.
    #[inline]
    pub fn get(&self, look: impl FnOnce() -> Option<&'static T>) -> Option<&'static T> {
        let found = self.0.load(Ordering::Acquire);
        let found = if found.is_null() { self.keep(look()) } else { found };
        // SAFETY: `keep` put it here: not there (then it is `nothing`), or something that is shared for ever.
        (found != Self::nothing()).then(|| unsafe { &*found })
    }

    #[cold]
    fn keep(&self, found: Option<&'static T>) -> *mut T {
        // Never written through as such: mutable only because `AtomicPtr` holds nothing else.
        let found = found.map_or(Self::nothing(), |found| ptr::from_ref(found).cast_mut());
        match self.0.compare_exchange(ptr::null_mut(), found, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => found,
            // What this thread found stays, and nobody uses it: once.
            Err(other) => other,
        }
    }

    /// An address that nothing has.
    const fn nothing() -> *mut T {
        NonNull::dangling().as_ptr()
    }
}

impl<T: Sync> Default for Once<T> {
    fn default() -> Self {
        Once::new()
    }
}

/// Maps memory of exactly so many words for reading and writing, for ever.
///
/// # Errors
/// `InvalidInput` when it has another size or can be resized; those of `mmap`.
pub fn map<const COUNT: usize>(memory: BorrowedFd<'_>) -> io::Result<Words<COUNT>> {
    if memory::fixed_size(memory)? != Some(COUNT as u64 * 8) {
        let text = format!("it is no memory of {} bytes that nobody can resize", COUNT * 8);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let start = unsafe { mmap(ptr::null_mut(), COUNT * 8, protection, MapFlags::SHARED, memory, 0)? };
    // SAFETY: mapped, page-aligned, `COUNT` words long, never unmapped, never shorter than it was just seen to be, and
    // reached as atomics only.
    Ok(unsafe { &*start.cast::<[AtomicU64; COUNT]>() })
}

/// The same for a descriptor that was inherited by number, when the memory begins with `head`. The number is left as
/// it is: whoever this process executes may have it, too.
///
/// # Errors
/// `EBADF` when nothing is open there; `InvalidInput` when it is 0 to 2, or other memory; those of [`map`].
pub fn map_inherited<const COUNT: usize>(number: RawFd, head: &[u64]) -> io::Result<Words<COUNT>> {
    if number < 3 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: F_GETFD touches no memory; a number that is not open is reported as EBADF.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was open just now. Closed by another thread meanwhile, or opened anew, it fails below or is other
    // memory, which is refused: no file but sealed memory passes.
    let memory = unsafe { BorrowedFd::borrow_raw(number) };
    debug_assert_eq!(memory.as_raw_fd(), number);
    let mut begins = vec![0; head.len() * 8];
    if memory::fixed_size(memory)? != Some(COUNT as u64 * 8)
        || memory::read_at(memory, &mut begins, 0)? != begins.len()
        || begins.as_chunks::<8>().0.iter().zip(head).any(|(bytes, word)| u64::from_le_bytes(*bytes) != *word)
    {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is other memory"));
    }
    map(memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    const HEAD: [u64; 2] = [7, 9];

    fn memory(bytes: u64, head: [u64; 2]) -> std::os::fd::OwnedFd {
        let memory = memory::zeroed("test", bytes).unwrap();
        rustix::io::pwrite(&memory, &head.map(u64::to_le_bytes).concat(), 0).unwrap();
        memory
    }

    #[test]
    fn what_one_mapping_stores_another_loads() {
        let memory = memory(4096, HEAD);
        let (one, two): (Words<512>, Words<512>) =
            (map(memory.as_fd()).unwrap(), map(memory.as_fd()).unwrap());
        one[511].store(5, Ordering::Relaxed);
        assert_eq!((two[0].load(Ordering::Relaxed), two[511].load(Ordering::Relaxed)), (7, 5));
    }

    #[test]
    fn a_number_is_refused_unless_it_is_just_that_memory() {
        let refused = |number: RawFd| map_inherited::<512>(number, &HEAD).unwrap_err();
        assert_eq!(refused(1 << 20).raw_os_error(), Some(libc::EBADF));
        assert_eq!(refused(2).kind(), io::ErrorKind::InvalidInput);
        for other in [
            memory(4096, [7, 8]),
            memory(8192, HEAD),
            memory::sealed("test", &[0; 4096]).unwrap(),
            memory::empty("test").unwrap(),
            tempfile::tempfile().unwrap().into(),
            rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap(),
        ] {
            refused(other.as_raw_fd());
        }
        let ours = memory(4096, HEAD);
        assert_eq!(map_inherited::<512>(ours.as_raw_fd(), &HEAD).unwrap()[1].load(Ordering::Relaxed), 9);
        // Left open, as the number that it was.
        assert!(rustix::fs::fstat(&ours).is_ok());
    }

    #[test]
    fn something_is_looked_for_once_also_when_there_are_none() {
        static NONE: Once<[AtomicU64; 512]> = Once::new();
        static SOME: Once<[AtomicU64; 512]> = Once::new();
        assert!(NONE.get(|| None).is_none());
        assert!(NONE.get(|| unreachable!("looked already")).is_none());
        let words = map::<512>(memory(4096, HEAD).as_fd()).unwrap();
        assert!(ptr::eq(SOME.get(|| Some(words)).unwrap(), words));
        assert!(ptr::eq(SOME.get(|| unreachable!("looked already")).unwrap(), words));
    }
}
