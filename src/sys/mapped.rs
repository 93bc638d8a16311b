//! Memory of a fixed size, mapped for as long as somebody writes into it. Beside [`super::shared`], whose mappings are for
//! ever.

#![allow(unsafe_code)] // mmap has no safe form

use super::memory;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::io;
use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;

/// So many words, which others may map, too. Unmapped when dropped.
#[derive(Debug)]
pub struct Mapped<const COUNT: usize>(NonNull<[AtomicU64; COUNT]>);

// SAFETY: the mapping belongs to the process, not to a thread, and is reached as atomics only.
unsafe impl<const COUNT: usize> Send for Mapped<COUNT> {}
// SAFETY: as above: shared, it hands out atomics.
unsafe impl<const COUNT: usize> Sync for Mapped<COUNT> {}

impl<const COUNT: usize> Mapped<COUNT> {
    /// Maps memory of exactly so many words for reading and writing.
    ///
    /// # Errors
    /// `InvalidInput` when it has another size or can be resized; those of `mmap`.
    pub fn new(memory: BorrowedFd<'_>) -> io::Result<Mapped<COUNT>> {
        if memory::fixed_size(memory)? != Some(COUNT as u64 * 8) {
            let text = format!("it is no memory of {} bytes that nobody can resize", COUNT * 8);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { mmap(ptr::null_mut(), COUNT * 8, protection, MapFlags::SHARED, memory, 0)? };
        NonNull::new(start.cast()).map(Mapped).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }
}

impl<const COUNT: usize> Deref for Mapped<COUNT> {
    type Target = [AtomicU64; COUNT];

    fn deref(&self) -> &[AtomicU64; COUNT] {
        // SAFETY: mapped as long as `self`, page-aligned, `COUNT` words long, never shorter than it was seen to be, and
        // reached as atomics only.
        unsafe { self.0.as_ref() }
    }
}

impl<const COUNT: usize> Drop for Mapped<COUNT> {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; whoever borrowed it is gone.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), COUNT * 8) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::sync::atomic::Ordering;

    #[test]
    fn what_is_stored_stays_in_the_memory_and_other_memory_is_refused() {
        let memory = memory::zeroed("test", 4096).unwrap();
        let mapped = Mapped::<512>::new(memory.as_fd()).unwrap();
        mapped[511].store(7, Ordering::Relaxed);
        drop(mapped);
        assert_eq!(Mapped::<512>::new(memory.as_fd()).unwrap()[511].load(Ordering::Relaxed), 7);
        assert!(Mapped::<256>::new(memory.as_fd()).is_err());
        assert!(Mapped::<512>::new(memory::empty("test").unwrap().as_fd()).is_err());
    }
}
