//! Unix sockets: by paths of any length, with descriptors and credentials. Everything non-blocking and
//! closed at exec. Who may replace a stale name is not decided here: binding a taken name fails.

#![allow(unsafe_code)] // control messages: safe wrappers leak descriptors when a message is cut

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, sockopt,
};
use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The longest path of a Unix socket, without the terminating zero.
const PATH_MAX: usize = 107;

/// The most descriptors that one message carries (the kernel's `SCM_MAX_FD`).
pub const DESCRIPTORS_MAX: usize = 253;

/// How much an unread pair may hold, where we may ask for that much.
const PAIR_BUFFER: usize = 4 << 20;

/// What kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Connections of bytes.
    Stream,
    /// Messages without connections, each with its sender's credentials.
    Datagram,
}

/// Who somebody is, as the kernel vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Its number; 0 when it is in a pid namespace that we do not see.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// A message that was received.
#[derive(Debug)]
pub struct Received {
    /// How many bytes of the buffer it filled. 0 on a pair also means that the other end is closed.
    pub length: usize,
    /// It was longer than the buffer, or descriptors were lost: do not believe it.
    pub cut: bool,
    /// What came with it.
    pub descriptors: Vec<OwnedFd>,
    /// Who sent this message, where the socket asks for it ([`Kind::Datagram`]).
    pub sender: Option<Credentials>,
}

/// Binds a name that must be free. A stream socket listens. `mode` holds whatever the mask; nobody can
/// connect in the moment before it is set.
///
/// # Errors
/// `AddrInUse`: the name is taken. The directory is missing or not ours.
pub fn bind(kind: Kind, path: &Path, mode: u32) -> io::Result<OwnedFd> {
    let socket = new(kind)?;
    // A socket's file takes the mode of the socket, cut by the mask.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    let place = Place::of(path)?;
    rustix::net::bind(&socket, &place.address()?)?;
    match kind {
        Kind::Stream => rustix::net::listen(&socket, i32::MAX)?,
        Kind::Datagram => sockopt::set_socket_passcred(&socket, true)?,
    }
    rustix::fs::chmodat(&place.directory, place.name, Mode::from_raw_mode(mode), AtFlags::empty())?;
    Ok(socket)
}

/// Connects to a name.
///
/// # Errors
/// `NotFound`, `ConnectionRefused`: nobody is there. `WouldBlock`: its backlog is full.
pub fn connect(kind: Kind, path: &Path) -> io::Result<OwnedFd> {
    let socket = new(kind)?;
    rustix::net::connect(&socket, &Place::of(path)?.address()?)?;
    Ok(socket)
}

/// A connection that somebody made to a listening socket. `None`: there is none at the moment.
///
/// # Errors
/// No descriptors are left.
pub fn accept(listener: impl AsFd) -> io::Result<Option<OwnedFd>> {
    match rustix::net::accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
        Ok(connection) => Ok(Some(connection)),
        Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Two ends that exchange whole messages in order (`SOCK_SEQPACKET`). Unread ones are kept as long as
/// both ends are open somewhere.
///
/// # Errors
/// No descriptors are left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    for end in [&ours, &theirs] {
        // As root beyond the system's limit, else up to it.
        if sockopt::set_socket_send_buffer_size_force(end, PAIR_BUFFER).is_err() {
            let _ = sockopt::set_socket_send_buffer_size(end, PAIR_BUFFER);
        }
    }
    Ok((ours, theirs))
}

/// Sends one message with these descriptors, at most [`DESCRIPTORS_MAX`]. Never raises SIGPIPE.
///
/// # Errors
/// `WouldBlock`: the receiver is behind; nothing was sent. `BrokenPipe`, `ConnectionRefused`: nobody is there.
pub fn send(socket: impl AsFd, message: &[u8], descriptors: &[impl AsFd]) -> io::Result<()> {
    let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    loop {
        match rustix::net::sendmsg(&socket, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Receives one message. `None`: there is none at the moment.
///
/// Descriptors that came with it are owned by the answer, also when the message was cut: whoever sends
/// cannot make us leak.
///
/// # Errors
/// The other end is closed (`ConnectionReset`), or no memory is left.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Option<Received>> {
    #[repr(C, align(16))]
    struct Control([u8; 2048]);
    const { assert!(size_of::<Control>() > DESCRIPTORS_MAX * 4 + 256) }
    let mut control = Control([0; 2048]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: a structure of numbers and pointers, for which zeros are values.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control.0).cast();
    header.msg_controllen = size_of::<Control>();
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    let length = loop {
        // SAFETY: the header names the two buffers above, which outlive the call.
        let result = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut header, flags) };
        if result >= 0 {
            break result as usize;
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => return Ok(None),
            _ => return Err(error),
        }
    };
    let cut = header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0;
    let mut received = Received { length, cut, descriptors: Vec::new(), sender: None };
    // SAFETY: the header is as the kernel left it.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    while !message.is_null() {
        // SAFETY: the macros of libc keep within the control buffer.
        unsafe { take(message, &mut received) };
        // SAFETY: as above.
        message = unsafe { libc::CMSG_NXTHDR(&raw const header, message) };
    }
    Ok(Some(received))
}

/// Takes over what a control message brings.
///
/// # Safety
/// `message` is a control message as the kernel wrote it, taken once.
unsafe fn take(message: *const libc::cmsghdr, received: &mut Received) {
    // SAFETY: the caller's.
    let header = unsafe { message.read() };
    // SAFETY: the caller's.
    let data = unsafe { libc::CMSG_DATA(message) };
    // SAFETY: passes a number.
    let length = header.cmsg_len - unsafe { libc::CMSG_LEN(0) } as usize;
    match (header.cmsg_level, header.cmsg_type) {
        (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
            for index in 0..length / size_of::<i32>() {
                // SAFETY: within the message's data, which need not be aligned.
                let descriptor = unsafe { data.cast::<i32>().add(index).read_unaligned() };
                // SAFETY: the kernel has opened it for us.
                received.descriptors.push(unsafe { OwnedFd::from_raw_fd(descriptor) });
            }
        }
        (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if length >= size_of::<libc::ucred>() => {
            // SAFETY: within the message's data, which need not be aligned; three numbers.
            let sender = unsafe { data.cast::<libc::ucred>().read_unaligned() };
            received.sender = Some(Credentials { pid: sender.pid as u32, uid: sender.uid, gid: sender.gid });
        }
        _ => {}
    }
}

/// Who connected, as of that moment: bytes may come from whom it gave the socket to.
///
/// # Errors
/// It is not connected.
pub fn peer(connection: impl AsFd) -> io::Result<Credentials> {
    let peer = getsockopt(&connection, PeerCredentials)?;
    Ok(Credentials { pid: peer.pid() as u32, uid: peer.uid(), gid: peer.gid() })
}

fn new(kind: Kind) -> io::Result<OwnedFd> {
    let kind = match kind {
        Kind::Stream => SocketType::STREAM,
        Kind::Datagram => SocketType::DGRAM,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?)
}

/// A name in a directory that is held open, so that the address is short however long the path is.
struct Place<'a> {
    directory: OwnedFd,
    name: &'a OsStr,
    path: &'a Path,
}

impl Place<'_> {
    fn of(path: &Path) -> io::Result<Place<'_>> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(parent, flags, Mode::empty())?;
        Ok(Place { directory, name, path })
    }

    /// The path itself where it fits: it is what others see in `ss`, and needs no `/proc`.
    fn address(&self) -> io::Result<SocketAddrUnix> {
        if self.path.as_os_str().as_bytes().len() <= PATH_MAX {
            return Ok(SocketAddrUnix::new(self.path)?);
        }
        let through = PathBuf::from(format!("/proc/self/fd/{}", self.directory.as_raw_fd()));
        Ok(SocketAddrUnix::new(through.join(self.name))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;

    fn me() -> Credentials {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Credentials { pid: std::process::id(), uid, gid }
    }

    fn message(socket: impl AsFd) -> Received {
        let mut buffer = [0; 16];
        receive(socket, &mut buffer).unwrap().expect("a message was sent")
    }

    const NONE: [OwnedFd; 0] = [];

    #[test]
    fn a_path_may_be_longer_than_an_address() {
        let home = tempfile::tempdir().unwrap();
        for depth in [0, 3] {
            let directory = home.path().join(vec!["d".repeat(90); depth].join("/"));
            fs::create_dir_all(&directory).unwrap();
            let path = directory.join("control");
            let listener = bind(Kind::Stream, &path, 0o600).unwrap();
            assert!(accept(&listener).unwrap().is_none());
            let client = connect(Kind::Stream, &path).unwrap();
            let server = accept(&listener).unwrap().unwrap();
            assert_eq!(peer(&server).unwrap(), me());
            File::from(client).write_all(b"hello").unwrap();
            let mut text = String::new();
            File::from(server).read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello");
        }
    }

    #[test]
    fn a_socket_has_the_mode_that_was_asked_for_and_a_taken_name_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("notify");
        let _socket = bind(Kind::Datagram, &path, 0o666).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        assert_eq!(bind(Kind::Datagram, &path, 0o666).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let missing = connect(Kind::Stream, &home.path().join("nobody")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn each_datagram_says_who_sent_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("notify");
        let socket = bind(Kind::Datagram, &path, 0o600).unwrap();
        assert!(receive(&socket, &mut [0; 8]).unwrap().is_none());
        let client = connect(Kind::Datagram, &path).unwrap();
        send(&client, b"READY=1", &NONE).unwrap();
        let received = message(&socket);
        assert_eq!((received.length, received.cut, received.sender), (7, false, Some(me())));
    }

    #[test]
    fn descriptors_travel_and_never_leak() {
        let (ours, theirs) = pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        send(&ours, b"two", &[&file, &file]).unwrap();
        let received = message(&theirs);
        assert_eq!((received.length, received.descriptors.len()), (3, 2));
        for descriptor in &received.descriptors {
            let flags = rustix::io::fcntl_getfd(descriptor).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
        send(&ours, b"longer than the buffer of 16", &[&file]).unwrap();
        let received = message(&theirs);
        assert!(received.cut);
        assert_eq!(received.descriptors.len(), 1, "owned, so closed");
    }

    #[test]
    fn as_many_descriptors_as_the_kernel_lets_pass() {
        let (ours, theirs) = pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        send(&ours, b"many", &vec![&file; DESCRIPTORS_MAX]).unwrap();
        assert_eq!(message(&theirs).descriptors.len(), DESCRIPTORS_MAX);
        assert!(send(&ours, b"more", &vec![&file; DESCRIPTORS_MAX + 1]).is_err());
    }

    #[test]
    fn a_pair_keeps_whole_messages_until_it_is_full() {
        let (ours, theirs) = pair().unwrap();
        let mut sent = 0;
        let full = loop {
            match send(&ours, &[b'x'; 1000], &NONE) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        let mut buffer = [0; 2000];
        let mut received = 0;
        while let Some(message) = receive(&theirs, &mut buffer).unwrap() {
            assert_eq!((message.length, message.cut), (1000, false));
            received += 1;
        }
        assert_eq!(received, sent);
        drop(theirs);
        assert_eq!(send(&ours, b"gone", &NONE).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
