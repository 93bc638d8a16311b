//! Memory as a file without a name: what a child inherits by number, and what outlives it.

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

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

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::{pread, pwrite};

    #[test]
    fn sealed_memory_is_read_and_never_changed() {
        let memory = sealed("test", b"declarations").unwrap();
        let mut buffer = [0u8; 32];
        assert_eq!(pread(&memory, &mut buffer, 0).unwrap(), 12);
        assert!(pwrite(&memory, b"x", 0).is_err());
        assert!(ftruncate(&memory, 0).is_err());
    }

    #[test]
    fn zeroed_memory_is_written_and_never_resized() {
        let memory = zeroed("test", 4096).unwrap();
        assert_eq!(pwrite(&memory, b"x", 4095).unwrap(), 1);
        assert!(ftruncate(&memory, 0).is_err());
        assert!(ftruncate(&memory, 8192).is_err());
    }
}
