//! Connected Unix sockets: reading and writing without waiting and without SIGPIPE, and waiting as long as
//! one was told to. Beside [`super::socket`], which opens them.

use crate::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
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

/// What a socket can be waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ready {
    Read,
    Write,
}

/// Waits at most `within` (`None`: for ever); false when that passed first. A signal makes it look again,
/// which is as good as being ready: the caller tries and comes back.
pub(crate) fn wait(stream: BorrowedFd<'_>, what: Ready, within: Option<Duration>) -> io::Result<bool> {
    let events = match what {
        Ready::Read => PollFlags::IN,
        Ready::Write => PollFlags::OUT,
    };
    let timeout = within.map(|within| Timespec {
        tv_sec: i64::try_from(within.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: within.subsec_nanos().into(),
    });
    match rustix::event::poll(&mut [PollFd::new(&stream, events)], timeout.as_ref()) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// A connection to the socket at `path`. While the backlog is full it waits at most `within`.
pub(crate) fn connect(path: &Path, within: Option<Duration>) -> io::Result<OwnedFd> {
    let directory = Directory::open(path.parent().unwrap_or(Path::new("/")))?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let address = SocketAddrUnix::new(directory.path().join(name))?;
    let stream =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    if let Some(within) = within {
        // A zero would mean "for ever".
        let within = within.max(Duration::from_micros(1));
        rustix::net::sockopt::set_socket_timeout(&stream, Timeout::Send, Some(within))?;
    }
    loop {
        match rustix::net::connect(&stream, &address) {
            Err(Errno::INTR) => {}
            result => {
                result?;
                return Ok(stream);
            }
        }
    }
}
