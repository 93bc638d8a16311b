//! One small datagram to a socket with a name, without waiting and without allocating.

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::path::Path;

/// What is sent, and where to: made ready before.
#[derive(Debug)]
pub struct Post {
    address: SocketAddrUnix,
    message: Box<[u8]>,
}

impl Post {
    /// `message` to the socket at `path`, which need not be there yet.
    ///
    /// # Errors
    /// The path is longer than 107 bytes.
    pub fn new(path: &Path, message: &[u8]) -> io::Result<Post> {
        Ok(Post { address: SocketAddrUnix::new(path)?, message: message.into() })
    }

    /// Sends it, by a socket that is closed again: nothing is left open that a fork or an exec would carry along.
    ///
    /// # Errors
    /// `NotFound`, `ConnectionRefused`: nobody is there. `WouldBlock`: the receiver is behind.
    pub fn send(&self) -> io::Result<()> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        rustix::net::sendto(
            &socket,
            &self.message,
            SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
            &self.address,
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket::{self, Kind};

    #[test]
    fn a_post_arrives_and_never_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inbox");
        let post = Post::new(&path, b"hello").unwrap();
        assert_eq!(post.send().unwrap_err().kind(), io::ErrorKind::NotFound);
        let inbox = socket::bind(Kind::Datagram, &path, 0o600).unwrap();
        post.send().unwrap();
        let mut buffer = [0; 16];
        let received = socket::receive(&inbox, &mut buffer).unwrap().unwrap();
        assert_eq!(&buffer[..received.length], b"hello");
        // Until it is full.
        let full = (0..1_000_000).find_map(|_| post.send().err()).unwrap();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        drop(inbox);
        assert_eq!(post.send().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
