//! What programs that link nothing say, as `note` and `span` say it for them: into the black box of their life where its
//! descriptor was inherited, else by a datagram to telemetry, which holds the boxes of all lives.
//!
//! Nothing fails because nobody listens: a program is not to end differently because it is not supervised.

use crate::sys::socket::{self, Kind};
use crate::sys::{inherited, pipe};
use crate::time::Duration;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// So long is waited until telemetry has seen whose process speaks.
const BARRIER: Duration = Duration::from_secs(2);
/// Longer datagrams are refused there.
const BYTES_MAX: usize = 4096;

/// The box that was inherited.
pub(super) fn blackbox() -> Option<OwnedFd> {
    inherited::take(std::env::var(crate::blackbox::VARIABLE).ok()?.parse().ok()?).ok()
}

/// There is no tree around us.
pub(super) fn nobody() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "this is no life of a service of mainstay")
}

/// In words, where the system's own say too little.
pub(super) fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "telemetry does not run".to_owned(),
        io::ErrorKind::NotFound if error.raw_os_error().is_some() => "telemetry does not run".to_owned(),
        io::ErrorKind::WouldBlock => "somebody else holds the lock".to_owned(),
        _ => error.to_string(),
    }
}

/// A datagram, in the shape of `sd_notify(3)`: lines of `KEY=VALUE`, in which a newline is `\n` and a backslash `\\`.
#[derive(Debug)]
pub(super) struct Datagram(String);

impl Datagram {
    /// Of this life. `None`: we are in none.
    pub(super) fn of_this_life() -> Option<Datagram> {
        let mut datagram = Datagram(String::new());
        datagram.line("MAINSTAY_INSTANCE", &std::env::var("MAINSTAY_INSTANCE").ok()?);
        datagram.line("MAINSTAY_INCARNATION", &std::env::var("MAINSTAY_INCARNATION").ok()?);
        Some(datagram)
    }

    /// Says this, too.
    pub(super) fn line(&mut self, key: &str, value: &str) {
        self.0.push_str(&format!("{key}={}\n", value.replace('\\', "\\\\").replace('\n', "\\n")));
    }

    /// Sends it, and waits until it is known whose it is: our process may be gone right after this.
    ///
    /// # Errors
    /// It is too long, nobody listens, or nobody has looked at it for two seconds.
    pub(super) fn send(&self) -> io::Result<()> {
        if self.0.len() > BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is longer than 4096 bytes"));
        }
        let runtime = std::env::var_os("MAINSTAY_RUNTIME_DIR").ok_or(io::ErrorKind::NotFound)?;
        let to = socket::connect(Kind::Datagram, &PathBuf::from(runtime).join("telemetry"))?;
        let (barrier, theirs) = pipe::nonblocking()?;
        socket::send(&to, self.0.as_bytes(), &[&theirs])?;
        drop(theirs);
        match pipe::closed_within(&barrier, BARRIER)? {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::TimedOut, "nobody has looked at it for two seconds")),
        }
    }
}
