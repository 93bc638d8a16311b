//! The few things that control sockets need of a Unix socket: names of any length, credentials, and
//! reading and writing without waiting and without SIGPIPE.

use super::server::Peer;
use nix::sys::socket::{getsockopt, sockopt};
use rustix::net::{RecvFlags, SendFlags};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The longest path that a socket address holds, in bytes, without its closing zero.
const ADDRESS: usize = 107;

/// A directory of sockets, under a name that is short enough for a socket address.
pub(crate) struct Directory {
    path: PathBuf,
    /// Keeps `/proc/self/fd/N` what it is.
    _open: Option<File>,
}

impl Directory {
    /// Room is left for a file name of 40 bytes.
    pub(crate) fn open(path: &Path) -> io::Result<Directory> {
        if path.as_os_str().as_bytes().len() + 40 <= ADDRESS {
            return Ok(Directory { path: path.to_owned(), _open: None });
        }
        let open = File::open(path)?;
        Ok(Directory { path: format!("/proc/self/fd/{}", open.as_raw_fd()).into(), _open: Some(open) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Our effective user.
pub(crate) fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Who connected.
pub(crate) fn peer(stream: BorrowedFd<'_>) -> io::Result<Peer> {
    let credentials = getsockopt(&stream, sockopt::PeerCredentials)?;
    Ok(Peer { pid: u32::try_from(credentials.pid()).unwrap_or(0), uid: credentials.uid() })
}

/// Reads what there is; 0 at the end.
pub(crate) fn receive(stream: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<usize> {
    let (count, _) = rustix::net::recv(stream, into, RecvFlags::DONTWAIT)?;
    Ok(count)
}

/// Writes what is taken now.
pub(crate) fn send(stream: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
}

/// True when nobody holds the other end: an empty write fails then, and only then.
pub(crate) fn is_gone(stream: BorrowedFd<'_>) -> bool {
    send(stream, &[]).is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
