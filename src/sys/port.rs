//! Ports of the loopback address: does somebody answer, and who is it?
//!
//! A service is ready on a port when a connection is accepted *and* the listening socket is its own: an
//! old copy or a stranger on the same port would answer just as well.

use super::procfs;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with, sockopt};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A connection that is being made; tells by becoming writable.
#[derive(Debug)]
pub struct Attempt(OwnedFd);

/// What came of trying to connect.
#[derive(Debug)]
pub enum Answer {
    /// Somebody accepted it (the kernel does, as long as the backlog has room).
    Accepted,
    /// Nobody listens.
    Refused,
    /// Not decided: wait until it is writable, then ask [`Attempt::finish`].
    Pending(Attempt),
}

/// Tries to connect to `port` of the loopback address of IPv4, or IPv6. Never blocks.
///
/// # Errors
/// No descriptors or ports are left. A machine without IPv6 refuses.
pub fn connect_to(port: u16, v6: bool) -> io::Result<Answer> {
    let (family, address) = match v6 {
        true => (AddressFamily::INET6, SocketAddr::from((Ipv6Addr::LOCALHOST, port))),
        false => (AddressFamily::INET, SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = match socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP)) {
        Err(Errno::AFNOSUPPORT) => return Ok(Answer::Refused),
        result => result?,
    };
    match answer(connect(&socket, &address).err(), Attempt(socket))? {
        // The kernel never says "connected" to who does not wait, also when it is by now.
        Answer::Pending(attempt) => attempt.finish(),
        decided => Ok(decided),
    }
}

impl Attempt {
    /// What came of it, once it is writable.
    ///
    /// # Errors
    /// As [`connect_to`].
    pub fn finish(self) -> io::Result<Answer> {
        if rustix::net::getpeername(&self.0).is_ok() {
            return Ok(Answer::Accepted);
        }
        match sockopt::socket_error(&self.0)? {
            Err(error) => answer(Some(error), self),
            Ok(()) => Ok(Answer::Pending(self)),
        }
    }
}

impl AsFd for Attempt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn answer(error: Option<Errno>, attempt: Attempt) -> io::Result<Answer> {
    match error {
        None => Ok(Answer::Accepted),
        Some(Errno::INPROGRESS | Errno::AGAIN | Errno::INTR) => Ok(Answer::Pending(attempt)),
        Some(
            Errno::CONNREFUSED
            | Errno::CONNRESET
            | Errno::TIMEDOUT
            | Errno::NETUNREACH
            | Errno::HOSTUNREACH
            | Errno::ADDRNOTAVAIL,
        ) => Ok(Answer::Refused),
        Some(error) => Err(error.into()),
    }
}

/// The sockets (inode numbers) that listen on a port, on any address, in our network namespace.
///
/// # Errors
/// `/proc` is not mounted.
pub fn listeners(port: u16) -> io::Result<Vec<u64>> {
    let mut sockets = Vec::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match fs::read_to_string(file) {
            Ok(table) => sockets.extend(table.lines().filter_map(|line| listener(line, port))),
            // No IPv6 on this machine.
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.ends_with('6') => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sockets)
}

/// `0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12345 …`
fn listener(line: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    let listens = *fields.get(3)? == LISTEN && u16::from_str_radix(local, 16).ok()? == port;
    listens.then(|| fields.get(9)?.parse().ok()).flatten()
}

/// Whether a process has one of these sockets open. False also when it is gone or hidden from us.
pub fn owns(pid: u32, sockets: &[u64]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        let Ok(target) = fs::read_link(descriptor.path()) else { return false };
        let inode = target.to_str().and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']'));
        inode.and_then(|inode| inode.parse().ok()).is_some_and(|inode| sockets.contains(&inode))
    })
}

/// Who has one of these sockets: number and name of the first process found. `None`: hidden from us,
/// or in another pid namespace. Looks at every process; for messages, not for probing.
///
/// # Errors
/// `/proc` is not mounted.
pub fn owner(sockets: &[u64]) -> io::Result<Option<(u32, String)>> {
    for pid in procfs::pids()? {
        if owns(pid, sockets) {
            let name = procfs::stat(pid).map(|stat| stat.name).unwrap_or_default();
            return Ok(Some((pid, name)));
        }
    }
    Ok(None)
}

/// The processes of a process group. Looks at every process.
///
/// # Errors
/// `/proc` is not mounted.
pub fn group_members(group: u32) -> io::Result<Vec<u32>> {
    let is_member = |pid: &u32| procfs::stat(*pid).is_ok_and(|stat| stat.group == group);
    Ok(procfs::pids()?.into_iter().filter(is_member).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};
    use std::net::TcpListener;

    fn decided(answer: Answer) -> Answer {
        let Answer::Pending(attempt) = answer else { return answer };
        let mut watched = [PollFd::new(&attempt, PollFlags::OUT)];
        assert_eq!(poll(&mut watched, None).unwrap(), 1);
        attempt.finish().unwrap()
    }

    #[test]
    fn a_listener_answers_and_is_known_by_its_owner() {
        for (v6, address) in [(false, "127.0.0.1:0"), (true, "[::1]:0")] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let port = listener.local_addr().unwrap().port();
            assert!(matches!(decided(connect_to(port, v6).unwrap()), Answer::Accepted), "{address}");
            let sockets = listeners(port).unwrap();
            assert_eq!(sockets.len(), 1, "{address}");
            assert!(owns(std::process::id(), &sockets));
            assert!(!owns(1, &sockets));
            assert_eq!(owner(&sockets).unwrap().unwrap().0, std::process::id());
            drop(listener);
            assert!(matches!(decided(connect_to(port, v6).unwrap()), Answer::Refused), "{address}");
            assert!(listeners(port).unwrap().is_empty());
        }
    }

    #[test]
    fn a_full_backlog_is_neither_yes_nor_no() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let port = listener.local_addr().unwrap().port();
        // The first is taken, also when it is closed again; then nobody is sent away or let in.
        let pending = loop {
            match connect_to(port, false).unwrap() {
                Answer::Accepted => {}
                Answer::Pending(attempt) => break attempt,
                Answer::Refused => panic!("it listens"),
            }
        };
        assert!(!matches!(pending.finish().unwrap(), Answer::Refused));
    }

    #[test]
    fn only_listening_sockets_of_that_very_port_count() {
        let line =
            |state: &str| format!("0: 0100007F:1F90 0:0 {state} 0:0 00:0 0 0 0 12345 1 0 100 0 0 10 0");
        assert_eq!(listener(&line("0A"), 8080), Some(12345));
        assert_eq!(listener(&line("01"), 8080), None);
        assert_eq!(listener(&line("0A"), 8081), None);
        assert_eq!(listener("  sl  local_address rem_address   st", 8080), None);
    }

    #[test]
    fn a_group_has_its_members() {
        let group = rustix::process::getpgrp().as_raw_nonzero().get() as u32;
        assert!(group_members(group).unwrap().contains(&std::process::id()));
    }
}
