//! Memory as a file without a name, which a child inherits by number or which outlives it; and giving memory
//! back that is not needed any more.

#![allow(unsafe_code)] // madvise and malloc_trim have no safe form

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, ftruncate, memfd_create};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// So many zero bytes that can be written but not resized.
///
/// # Errors
/// No descriptors or memory are left.
pub fn zeroed(name: &str, bytes: u64) -> io::Result<OwnedFd> {
    let memory = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&memory, bytes)?;
    fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(memory)
}

/// Nothing yet; whoever gets it may write as much as is wanted.
///
/// # Errors
/// No descriptors are left.
pub fn empty(name: &str) -> io::Result<OwnedFd> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC)?)
}

/// All that is in it, from its beginning; no more than `limit` bytes.
///
/// # Errors
/// It holds more, or it cannot be read.
pub fn contents(memory: &OwnedFd, limit: u64) -> io::Result<Vec<u8>> {
    let size = rustix::fs::fstat(memory)?.st_size as u64;
    if size > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it holds too much"));
    }
    let mut bytes = vec![0; size as usize];
    let mut read = 0;
    while read < bytes.len() {
        match rustix::io::pread(memory, &mut bytes[read..], read as u64)? {
            0 => break,
            count => read += count,
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}

/// Its size in bytes, when nobody can resize it any more; `None` for anything else, a file that has no seals included.
///
/// # Errors
/// Those of `fstat`.
pub fn fixed_size(memory: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    let size = rustix::fs::fstat(memory)?.st_size as u64;
    let fixed = SealFlags::SHRINK | SealFlags::GROW;
    Ok(fcntl_get_seals(memory).is_ok_and(|seals| seals.contains(fixed)).then_some(size))
}

/// How many bytes of it were ever written to, in whole pages; nothing else of it takes memory.
///
/// # Errors
/// Those of `fstat`.
pub fn touched(memory: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::fs::fstat(memory)?.st_blocks as u64 * 512)
}

/// A lock on it that others of this kind respect, held until what is returned is dropped or its process has ended. `None`:
/// somebody else has it.
///
/// # Errors
/// It may not be opened, or no descriptors are left.
pub fn lock(memory: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    // Opened anew: all processes that inherited the descriptor have one lock in common.
    let again =
        File::options().read(true).write(true).open(format!("/proc/self/fd/{}", memory.as_raw_fd()))?;
    match rustix::fs::flock(&again, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(again.into())),
        Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Fills `bytes` with what is in it from byte `offset` on, a copy; says how many there were.
///
/// # Errors
/// It cannot be read.
pub fn read_at(memory: BorrowedFd<'_>, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match rustix::io::pread(memory, &mut bytes[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(read)
}

/// Fills `words`, little-endian, with what is in it from byte `offset` on, a copy. What is not there stays as it is.
///
/// # Errors
/// It cannot be read.
pub fn read_words_at(memory: BorrowedFd<'_>, words: &mut [u64], offset: u64) -> io::Result<()> {
    // SAFETY: the bytes of integers are bytes, and every value of those is an integer; `bytes` ends before `words` is used again.
    let (_, bytes, _) = unsafe { words.align_to_mut::<u8>() };
    read_at(memory, bytes, offset)?;
    if cfg!(target_endian = "big") {
        words.iter_mut().for_each(|word| *word = u64::from_le(*word));
    }
    Ok(())
}

/// Writes `bytes` at byte `offset`.
///
/// # Errors
/// It is sealed against that, or no memory is left.
pub fn write_at(memory: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        written += rustix::io::pwrite(memory, &bytes[written..], offset + written as u64)?;
    }
    Ok(())
}

/// These bytes, which nobody can change any more.
///
/// # Errors
/// No descriptors or memory are left.
pub fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut memory = File::from(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    memory.write_all(bytes)?;
    let memory = OwnedFd::from(memory);
    fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(memory)
}

/// Gives back what was needed only to begin: freed pieces of the heap, the pages of the stack that nobody stands on, and the
/// pages of our own code and constants, of which those that are used come back from the page cache at their next use.
///
/// For a process that will run for long after a large beginning. Costs a few hundred page faults.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a number; touches only memory that the allocator has free.
    unsafe {
        libc::malloc_trim(0)
    };
    let (Ok(program), Ok(maps)) = (fs::read_link("/proc/self/exe"), fs::read_to_string("/proc/self/maps"))
    else {
        return;
    };
    let program = program.to_string_lossy();
    for line in maps.lines().filter(|line| line.ends_with(" [stack]")) {
        if let Some((start, end)) = range(line) {
            trim_stack(start, end);
        }
    }
    for line in maps.lines().filter(|line| line.ends_with(&*program) && is_as_in_the_file(line)) {
        let Some((start, end)) = range(line) else { continue };
        // SAFETY: pages of a file, private, never writable, so never different from the file; the kernel
        // refuses writing to a file that is being executed. What is used again is mapped again.
        let _ =
            unsafe { rustix::mm::madvise(start as *mut _, end - start, rustix::mm::Advice::LinuxDontNeed) };
    }
}

/// Is it a mapping of a program that the linker never wrote to? Its code is one, and what stands before that at the beginning of the
/// file: headers and constants. What holds addresses was written to before it was protected, and lies behind the code.
fn is_as_in_the_file(line: &str) -> bool {
    line.contains(" r-xp ") || line.contains(" r--p 00000000 ")
}

/// Of a line like "55c3-55c4 r-xp 00000000 fe:00 1234   /usr/bin/mainstay": from where to where.
fn range(line: &str) -> Option<(usize, usize)> {
    let (start, rest) = line.split_once('-')?;
    let end = rest.split(' ').next()?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

/// Gives back what lies below us on the main thread's stack, if that is who we are: reading a command line and a file
/// takes some hundred KiB of it once.
#[inline(never)]
fn trim_stack(start: usize, end: usize) {
    /// More than what is called from here, and a signal handler, may stand on meanwhile.
    const NEAR: usize = 64 << 10;
    let here = 0_u8;
    let here = std::ptr::from_ref(&here).addr();
    let page = rustix::param::page_size();
    let until = here.saturating_sub(NEAR) & !(page - 1);
    if start < here && here < end && start < until {
        // SAFETY: the mapping that the kernel names `[stack]` holds the main thread's stack and nothing else, and we are on it.
        // It grows downwards on every architecture that we run on, so what is further below than a callee reaches is in use by
        // nobody; it reads as zeros from now on, as it did before it was first used.
        let _ =
            unsafe { rustix::mm::madvise(start as *mut _, until - start, rustix::mm::Advice::LinuxDontNeed) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::{pread, pwrite};
    use std::os::fd::AsFd;

    #[test]
    fn sealed_memory_is_read_and_never_changed() {
        let memory = sealed("test", b"declarations").unwrap();
        let mut buffer = [0u8; 32];
        assert_eq!(pread(&memory, &mut buffer, 0).unwrap(), 12);
        assert!(pwrite(&memory, b"x", 0).is_err());
        assert!(ftruncate(&memory, 0).is_err());
    }

    #[test]
    fn memory_without_a_size_holds_what_was_written_and_is_read_from_its_beginning() {
        let memory = empty("test").unwrap();
        assert_eq!(rustix::io::write(&memory, b"answer").unwrap(), 6);
        assert_eq!(contents(&memory, 6).unwrap(), b"answer");
        assert!(contents(&memory, 5).is_err());
    }

    #[test]
    fn zeroed_memory_is_written_and_never_resized() {
        let memory = zeroed("test", 4096).unwrap();
        assert_eq!(pwrite(&memory, b"x", 4095).unwrap(), 1);
        assert!(ftruncate(&memory, 0).is_err());
        assert!(ftruncate(&memory, 8192).is_err());
    }

    #[test]
    fn only_pages_that_were_written_count_as_touched() {
        let memory = zeroed("test", 1 << 20).unwrap();
        let page = rustix::param::page_size() as u64;
        assert_eq!(touched(memory.as_fd()).unwrap(), 0);
        pread(&memory, &mut [0; 64], 512 << 10).unwrap();
        assert_eq!(touched(memory.as_fd()).unwrap(), 0, "reading takes nothing");
        pwrite(&memory, b"x", 0).unwrap();
        pwrite(&memory, b"x", page + 1).unwrap();
        assert_eq!(touched(memory.as_fd()).unwrap(), 2 * page);
    }

    #[test]
    fn what_the_linker_wrote_to_is_never_given_back() {
        let of = |permissions: &str, offset: &str| {
            is_as_in_the_file(&format!("55c30000-55c40000 {permissions} {offset} fe:00 1234   /bin/x"))
        };
        assert!(of("r-xp", "000e7000") && of("r--p", "00000000"));
        assert!(!of("r--p", "0079b000") && !of("rw-p", "00000000") && !of("rw-p", "007b4000"));
    }

    #[test]
    fn a_trimmed_program_goes_on() {
        let before: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        trim();
        assert_eq!(before.iter().map(|n| n.parse::<u32>().unwrap()).sum::<u32>(), 499_500);
    }
}
