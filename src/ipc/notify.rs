//! Telling whoever started us that we are ready, as `sd_notify(3)` does.

use crate::sys::socket::{self, Kind};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Sends `message` (`READY=1`) to the socket that `$NOTIFY_SOCKET` names by a path.
///
/// # Errors
/// Nobody is there, or its queue is full.
pub fn send(path: &Path, message: &str) -> io::Result<()> {
    let datagram = socket::connect(Kind::Datagram, path)?;
    socket::send(datagram, message.as_bytes(), &[] as &[OwnedFd])
}
