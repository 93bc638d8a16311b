//! The values of options as types: a signal, a user, readiness, waits, logs. Pure.
//!
//! A type here rules out what can be ruled out without knowing the tree; ranges and what fits together are judged by the
//! rules of the configuration when the tree is built.

use super::keys::{Keys, Value};
use crate::time::Duration;
use std::path::{Path, PathBuf};

/// A signal by its number on Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(pub i32);

impl Signal {
    /// SIGHUP
    pub const HUP: Signal = Signal(1);
    /// SIGINT
    pub const INT: Signal = Signal(2);
    /// SIGQUIT
    pub const QUIT: Signal = Signal(3);
    /// SIGKILL; no [`stop_signal`](super::Service::stop_signal).
    pub const KILL: Signal = Signal(9);
    /// SIGUSR1
    pub const USR1: Signal = Signal(10);
    /// SIGUSR2
    pub const USR2: Signal = Signal(12);
    /// SIGTERM
    pub const TERM: Signal = Signal(15);
    /// SIGWINCH
    pub const WINCH: Signal = Signal(28);

    /// `SIGRTMIN+n`; n is 0 to 30.
    pub const fn realtime(n: u8) -> Signal {
        // 34 is the first that the C library leaves free.
        Signal(34 + n as i32)
    }
}

/// Who a service runs as; only root can change it. Whether the names exist is looked up at each start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    /// A user with the groups that the system knows of it.
    Name(String),
    /// A user and another main group.
    NameAndGroup(String, String),
    /// A user's number.
    Number(u32),
}

impl From<&str> for User {
    fn from(name: &str) -> User {
        User::Name(name.to_owned())
    }
}

impl From<&User> for Value {
    fn from(user: &User) -> Value {
        match user {
            User::Name(name) => Value::Text(name.clone()),
            User::NameAndGroup(name, group) => Value::Text(format!("{name}:{group}")),
            User::Number(number) => Value::Whole((*number).into()),
        }
    }
}

/// How a service says that it is ready.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready(pub(super) Keys);

impl Ready {
    fn one(key: &str, value: impl Into<Value>) -> Ready {
        let mut keys = Keys::default();
        keys.set(key, value);
        Ready(keys)
    }

    /// A process of the service accepts connections on this port of the loopback address.
    pub fn tcp(port: u16) -> Ready {
        Ready::one("tcp", u32::from(port))
    }

    /// The same for a [template](super::Template): `80%i` is 8012 for the argument 12.
    pub fn tcp_of(pattern: impl Into<String>) -> Ready {
        Ready::one("tcp", pattern.into())
    }

    /// A line of its output contains this text, which is not empty.
    pub fn output(text: impl Into<String>) -> Ready {
        Ready::one("output", text.into())
    }

    /// It sends `READY=1` to `$NOTIFY_SOCKET`, as `sd_notify(3)` does.
    pub fn notify() -> Ready {
        Ready::one("notify", true)
    }

    /// Longer than this after exec is a failed start. Not zero; 30 s unless said.
    pub fn within(mut self, within: Duration) -> Ready {
        self.0.set("within", within);
        self
    }
}

/// The wait before the next life. What is not said is as `[defaults]` or mainstay says.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff(pub(super) Option<Keys>);

impl Backoff {
    /// No wait at all, ever: what OTP does.
    pub const NONE: Backoff = Backoff(None);

    /// The usual waits, to be changed by the methods below.
    #[expect(clippy::new_without_default, reason = "`NONE` could be meant as well")]
    pub fn new() -> Backoff {
        Backoff(Some(Keys::default()))
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Backoff {
        self.0.get_or_insert_default().set(key, value);
        self
    }

    /// The wait before the first restart; zero unless said.
    pub fn first(self, wait: Duration) -> Backoff {
        self.with("first", wait)
    }

    /// The wait before the second.
    pub fn base(self, wait: Duration) -> Backoff {
        self.with("base", wait)
    }

    /// What each further wait is multiplied by, 1 to 1000.
    pub fn factor(self, factor: f64) -> Backoff {
        self.with("factor", factor)
    }

    /// The longest wait.
    pub fn max(self, wait: Duration) -> Backoff {
        self.with("max", wait)
    }

    /// Waits vary by at most this share, 0 to 1, up or down.
    pub fn jitter(self, share: f64) -> Backoff {
        self.with("jitter", share)
    }

    /// A life that was healthy for so long makes the next death a first one.
    pub fn forget(self, after: Duration) -> Backoff {
        self.with("forget", after)
    }
}

impl From<Backoff> for Value {
    fn from(backoff: Backoff) -> Value {
        backoff.0.map_or_else(|| "none".into(), Value::Table)
    }
}

/// A log file that is rotated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogFile(pub(super) Keys);

impl LogFile {
    /// As `[defaults]` or mainstay says.
    pub fn new() -> LogFile {
        LogFile::default()
    }

    /// A file with more bytes is put aside; at least 4096.
    pub fn max_size(mut self, bytes: u64) -> LogFile {
        self.0.set("max_size", format!("{bytes}B"));
        self
    }

    /// How many are kept, the current one included; 1 to 1000.
    pub fn files(mut self, files: u32) -> LogFile {
        self.0.set("files", files);
        self
    }
}

/// Where the output of a service goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Log {
    /// To a file of its own in the logs directory.
    File(LogFile),
    /// To the supervisor's own stdout and stderr.
    Inherit,
    /// Nowhere.
    Discard,
}

impl From<LogFile> for Log {
    fn from(file: LogFile) -> Log {
        Log::File(file)
    }
}

impl From<Log> for Value {
    fn from(log: Log) -> Value {
        match log {
            Log::File(file) => Value::Table(file.0),
            Log::Inherit => "inherit".into(),
            Log::Discard => "none".into(),
        }
    }
}

/// What is looked at before each start; when it is not so, there is nothing to run, and that is no failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Something is at this path, relative to the tree's folder.
    Exists(PathBuf),
}

impl From<&Condition> for Value {
    fn from(condition: &Condition) -> Value {
        let Condition::Exists(path) = condition;
        let mut keys = Keys::default();
        keys.set("exists", Path::new(path));
        Value::Table(keys)
    }
}

/// Whose rules a group follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semantics {
    /// Mainstay's: waits before restarts, limits of members, independent members start at once.
    Mainstay,
    /// OTP's, exactly: every convenience off.
    Otp,
    /// OTP's, with a window that counts whole seconds.
    OtpSeconds,
}

impl From<Semantics> for Value {
    fn from(semantics: Semantics) -> Value {
        match semantics {
            Semantics::Mainstay => "mainstay",
            Semantics::Otp => "otp",
            Semantics::OtpSeconds => "otp-seconds",
        }
        .into()
    }
}
