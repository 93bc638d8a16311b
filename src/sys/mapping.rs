//! Shared files as atomic words: nothing else is handed out, so users of this need no unsafe.
//!
//! [`Region`] only loads; [`WriteMapping`] stores too. Both are under the [`sigbus`](super::sigbus)
//! guard: a truncated file reads as zeros. Bytes travel as words, never as slices. Loads are relaxed:
//! on read-only pages Rust promises nothing else, so readers fence afterwards.

#![allow(unsafe_code)] // mmap, and atomics over memory that other processes write, have no safe form.

use super::sigbus::Guarded;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

#[cfg(not(all(target_pointer_width = "64", target_endian = "little")))]
compile_error!("the board needs address-free 64-bit atomics, and is defined little-endian");

/// Address space of a [`Region`]: the longest file that it can show.
pub const REGION_BYTES: usize = 64 << 20;

/// A range of addresses that shows a file, or zeros: readable for ever, whatever happens to the file.
///
/// What it shows can be exchanged while others read it ([`Region::show`]), so a reader may find words of
/// two files next to each other; the words prove themselves. The addresses are never given back (regions
/// are reused instead), so a copy of a region stays valid, in a forked child too.
#[derive(Clone, Copy)]
pub struct Region {
    words: &'static [AtomicU64],
}

/// The place of one word of a [`Region`], looked up once: its loads need no bound.
#[derive(Debug)]
pub struct Spot(AtomicPtr<AtomicU64>);

/// What a spot shows that is not in a region.
static ZERO: AtomicU64 = AtomicU64::new(0);

impl Spot {
    /// The word `cell` of `region`; 0 for ever beyond its end.
    pub fn new(region: &Region, cell: usize) -> Spot {
        Spot(AtomicPtr::new(Spot::find(region, cell)))
    }

    /// From now on it is this word. Others may load meanwhile: they find the old place or the new.
    pub fn point_to(&self, region: &Region, cell: usize) {
        self.0.store(Spot::find(region, cell), Ordering::Relaxed);
    }

    /// The word there. Relaxed.
    #[inline]
    pub fn load(&self) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        // SAFETY: `find` made it: a word of a region or `ZERO`, both readable for ever and reached as
        // atomics only. No other thread has to be seen for that, so relaxed is enough.
        let word = unsafe { &*word };
        word.load(Ordering::Relaxed)
    }

    fn find(region: &Region, cell: usize) -> *mut AtomicU64 {
        // Never stored through: mutable only because `AtomicPtr` holds nothing else.
        ptr::from_ref(region.words.get(cell).unwrap_or(&ZERO)).cast_mut()
    }
}

/// Regions without a user.
static FREE: Mutex<Vec<Region>> = Mutex::new(Vec::new());

const ZEROS: MapFlags = MapFlags::PRIVATE.union(MapFlags::NORESERVE);

impl Region {
    /// A region that shows zeros. Give it back with [`Region::give_back`].
    ///
    /// # Errors
    /// No address space of [`REGION_BYTES`] is left, or no entry in the guard's table.
    pub fn reserve() -> io::Result<Region> {
        // Not `lock`: after a fork its holder may be a thread that this process does not have.
        if let Some(region) = FREE.try_lock().ok().and_then(|mut free| free.pop()) {
            return Ok(region);
        }
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), REGION_BYTES, ProtFlags::READ, ZEROS)? };
        let guarded = Guarded::new(start as usize, REGION_BYTES, libc::PROT_READ).inspect_err(|_| {
            // SAFETY: mapped above, and nobody else knows the address. A failure leaves it mapped.
            let _ = unsafe { munmap(start, REGION_BYTES) };
        })?;
        std::mem::forget(guarded); // For ever, as the region.
        // SAFETY: mapped, page-aligned, `REGION_BYTES` long and never unmapped: what is mapped over it
        // stays within, is readable, and is reached by atomic loads of words only. (The one cell that
        // `half` reads as 32 bits is never read as 64.)
        let words = unsafe { std::slice::from_raw_parts(start.cast(), REGION_BYTES / 8) };
        Ok(Region { words })
    }

    /// A region of no length: every load is 0. For when there is no memory.
    pub const fn nothing() -> Region {
        Region { words: &[] }
    }

    /// The word `cell`; 0 beyond the end. Relaxed.
    #[inline]
    pub fn load(&self, cell: usize) -> u64 {
        match self.words.get(cell) {
            Some(word) => word.load(Ordering::Relaxed),
            None => 0,
        }
    }

    /// The lower half of the word `cell`, for a futex; a cell is used by this or by `load`, not both.
    pub fn half(&self, cell: usize) -> Option<&'static AtomicU32> {
        let word = self.words.get(cell)?;
        // SAFETY: readable for ever (see `reserve`), aligned to 8, so to 4; `AtomicU32` has no invalid
        // value. Callers keep cells of 32 and of 64 bits apart.
        Some(unsafe { &*ptr::from_ref(word).cast::<AtomicU32>() })
    }

    /// Shows the first `bytes` of `file`, then zeros, in place of what it showed. Others may load
    /// meanwhile: they see the old words or the new.
    ///
    /// # Errors
    /// `bytes` is more than the region has; those of `mmap` (then it shows zeros, or what it showed).
    pub fn show(&self, file: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
        if bytes == 0 || bytes > self.words.len() * 8 {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        let start = self.words.as_ptr().cast_mut().cast();
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: replaces pages inside this region by readable ones; see `reserve` for who looks.
        let shown = unsafe { mmap(start, bytes, ProtFlags::READ, flags, file, 0) };
        let bytes = match &shown {
            Ok(_) => bytes.next_multiple_of(rustix::param::page_size()),
            // The kernel may have unmapped the old pages before it failed.
            Err(_) => 0,
        };
        let rest = self.words.len() * 8 - bytes.min(self.words.len() * 8);
        if rest > 0 {
            // SAFETY: `bytes` is within the region, checked above.
            let after = unsafe { start.byte_add(bytes) };
            // SAFETY: as above: readable pages over readable pages of this region.
            unsafe { mmap_anonymous(after, rest, ProtFlags::READ, ZEROS | MapFlags::FIXED)? };
        }
        shown.map(drop).map_err(io::Error::from)
    }

    /// Ends the use of this region by its one owner; it shows zeros from now on.
    pub fn give_back(self) {
        if self.words.is_empty() {
            return;
        }
        let (start, length) = (self.words.as_ptr().cast_mut().cast(), self.words.len() * 8);
        // SAFETY: readable pages over readable pages of this region.
        let cleared = unsafe { mmap_anonymous(start, length, ProtFlags::READ, ZEROS | MapFlags::FIXED) };
        if let (Ok(_), Ok(mut free)) = (cleared, FREE.try_lock()) {
            free.push(self);
        }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({:p}, {} words)", self.words.as_ptr(), self.words.len())
    }
}

/// A file mapped for its one writer, until it is dropped.
#[derive(Debug)]
pub struct WriteMapping {
    start: NonNull<AtomicU64>,
    words: usize,
    /// `None` only while it is dropped.
    guarded: Option<Guarded>,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is reached as atomics only.
unsafe impl Send for WriteMapping {}

impl WriteMapping {
    /// Maps the first `bytes` of `file`, a multiple of 8.
    ///
    /// # Errors
    /// Those of `mmap` and of the guard.
    pub fn new(file: BorrowedFd<'_>, bytes: usize) -> io::Result<WriteMapping> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { mmap(ptr::null_mut(), bytes, protection, MapFlags::SHARED, file, 0)? };
        let guarded = Guarded::new(start as usize, bytes, libc::PROT_READ | libc::PROT_WRITE);
        match (NonNull::new(start.cast::<AtomicU64>()), guarded) {
            (Some(start), Ok(guarded)) => {
                Ok(WriteMapping { start, words: bytes / 8, guarded: Some(guarded) })
            }
            (_, guarded) => {
                // SAFETY: mapped above, and nobody else knows the address.
                let _ = unsafe { munmap(start, bytes) };
                Err(guarded.err().unwrap_or_else(|| io::Error::from_raw_os_error(libc::EFAULT)))
            }
        }
    }

    /// How many words.
    pub fn words(&self) -> usize {
        self.words
    }

    /// True when the file went away under the mapping: stores no longer reach anybody.
    pub fn is_lost(&self) -> bool {
        self.guarded.as_ref().is_some_and(|guarded| guarded.losses() > 0)
    }

    /// The word `cell`, relaxed. Panics beyond the end: the writer computes its cells.
    pub fn load(&self, cell: usize) -> u64 {
        self.word(cell).load(Ordering::Relaxed)
    }

    /// Stores with release: what was stored before is seen before.
    pub fn store(&self, cell: usize, word: u64) {
        self.word(cell).store(word, Ordering::Release);
    }

    /// The lower half of the word `cell`, for a futex; a cell is used by this or by `load`, not both.
    pub fn half(&self, cell: usize) -> &AtomicU32 {
        let word: *const AtomicU64 = self.word(cell);
        // SAFETY: mapped as long as `self`, aligned to 8, so to 4; `AtomicU32` has no invalid value.
        unsafe { &*word.cast::<AtomicU32>() }
    }

    fn word(&self, cell: usize) -> &AtomicU64 {
        assert!(cell < self.words, "cell {cell} of {} words", self.words);
        // SAFETY: within the mapping, just checked.
        let word = unsafe { self.start.add(cell) };
        // SAFETY: mapped as long as `self`; other processes may write it, hence atomic.
        unsafe { word.as_ref() }
    }
}

impl Drop for WriteMapping {
    fn drop(&mut self) {
        // First: once unmapped, the addresses may be somebody else's, whose faults are not ours.
        self.guarded = None;
        // SAFETY: mapped by `new` with this length, and every reference borrowed `self`. A failure
        // could only leak it.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.words * 8) };
    }
}
