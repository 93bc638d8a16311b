//! Descriptors that the parent handed down by number.
#![allow(unsafe_code)] // taking ownership of a number that no Rust code owns yet

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The inherited descriptor `number`, from now on closed on exec; an error when it is not open.
///
/// To be called once for each number, before anything else opens descriptors. 0 to 2 belong to `std` and
/// are refused.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    if number < 3 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: F_SETFD touches no memory; a number that is not open is reported as EBADF.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, as was just seen, and by this function's contract nobody else owns it: the parent
    // left it open across exec for this program, which takes it once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
