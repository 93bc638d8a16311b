//! `[service.NAME]` as builders: a service that is started with the tree, and a template. Pure.

use super::health::Health;
use super::keys::{Keys, Value};
use super::words::{Backoff, Condition, Log, Ready, Signal, User};
use crate::supervisor::spec::{Grace, Restart};
use crate::time::Duration;
use std::path::Path;

/// A program that is kept alive.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub(super) name: String,
    pub(super) keys: Keys,
}

/// What services are made from while the tree runs: [`Handle::start_child`](super::Handle::start_child) with
/// [`NewChild::of`](super::NewChild::of), or as the members of a [`Pool`](super::Pool).
///
/// In the words of its command, the values of [`env`](Template::env), in [`directory`](Template::directory),
/// [`user`](Template::user), the path of [`condition`](Template::condition) and in [`ready`](Template::ready) `%i` is the
/// argument and `%%` a percent sign.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// With its `@`.
    pub(super) name: String,
    pub(super) keys: Keys,
}

pub(super) fn policy(restart: Restart) -> Value {
    match restart {
        Restart::Permanent => "permanent",
        Restart::Transient => "transient",
        Restart::Temporary => "temporary",
    }
    .into()
}

pub(super) fn grace(grace: Grace) -> Value {
    match grace {
        Grace::Kill => "kill".into(),
        Grace::After(duration) => duration.into(),
        Grace::Forever => "forever".into(),
    }
}

fn command<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Keys {
    let mut keys = Keys::default();
    keys.set("command", Value::List(words.into_iter().map(|word| Value::Text(word.into())).collect()));
    keys
}

/// What `[defaults]`, services and templates can say.
macro_rules! common_options {
    () => {
        /// When it is started again; [`Restart::Permanent`] unless said.
        pub fn restart(mut self, restart: Restart) -> Self {
            self.keys.set_in("restart", "policy", crate::embed::service::policy(restart));
            self
        }

        /// How many restarts are allowed within [`restart_within`](Self::restart_within); the one after ends it as
        /// `gave_up`. 5 unless said.
        pub fn restart_max(mut self, max: u32) -> Self {
            self.keys.set_in("restart", "max", max);
            self
        }

        /// No limit of its own.
        pub fn restart_unlimited(mut self) -> Self {
            self.keys.set_in("restart", "max", "unlimited");
            self
        }

        /// The time that [`restart_max`](Self::restart_max) speaks of. Not zero; 30 s unless said.
        pub fn restart_within(mut self, within: Duration) -> Self {
            self.keys.set_in("restart", "within", within);
            self
        }

        /// The wait before the next life.
        pub fn backoff(mut self, backoff: Backoff) -> Self {
            self.keys.set("backoff", backoff);
            self
        }
    };
}
pub(super) use common_options;

/// What `[defaults]`, services and templates can say, and groups cannot.
macro_rules! program_options {
    () => {
        /// Exit codes beside 0 that are a normal end.
        pub fn clean(mut self, codes: impl IntoIterator<Item = u8>) -> Self {
            let codes = codes.into_iter().map(|code| Value::Whole(code.into())).collect();
            self.keys.set_in("restart", "clean", Value::List(codes));
            self
        }

        /// What asks it to stop; dying of it is a normal end. [`Signal::TERM`] unless said.
        pub fn stop_signal(mut self, signal: Signal) -> Self {
            self.keys.set_in("stop", "signal", Value::Whole(signal.0.into()));
            self
        }

        /// How long a stop may take before SIGKILL ends it; 5 s unless said.
        pub fn grace(mut self, grace: Grace) -> Self {
            self.keys.set_in("stop", "grace", crate::embed::service::grace(grace));
            self
        }

        /// Where its output goes; a file of its own unless said.
        pub fn log(mut self, log: impl Into<Log>) -> Self {
            self.keys.set("log", log.into());
            self
        }

        /// A variable; of one name the last holds. Names that begin with `MAINSTAY_` are mainstay's own.
        pub fn env(mut self, name: impl AsRef<str>, value: impl Into<String>) -> Self {
            self.keys.set_in("env", name.as_ref(), value.into());
            self
        }

        /// `false`: it starts from an empty environment instead of the supervisor's.
        pub fn inherit_env(mut self, inherit: bool) -> Self {
            self.keys.set("inherit_env", inherit);
            self
        }
    };
}
pub(super) use program_options;

macro_rules! service_options {
    () => {
        /// How it says that it is ready; without, it is up when it runs.
        pub fn ready(mut self, ready: Ready) -> Self {
            self.keys.set("ready", Value::Table(ready.0));
            self
        }

        /// How it is asked whether it is of use, once it is up.
        pub fn health(mut self, health: Health) -> Self {
            self.keys.set("health", Value::Table(health.0));
            self
        }

        /// Once it is up it sends `WATCHDOG=1` to `$NOTIFY_SOCKET` at least so often, or it is killed. At least 100 ms.
        pub fn watchdog(mut self, every: Duration) -> Self {
            self.keys.set("watchdog", every);
            self
        }

        /// Starts after all instances of this service are ready (or up, when they declare no readiness), and stops
        /// before them.
        pub fn needs_service(mut self, name: impl Into<String>) -> Self {
            self.keys.push("needs", name.into());
            self
        }

        /// The same for one instance of a service that has several, counted from 1.
        pub fn needs_instance(mut self, name: impl AsRef<str>, number: u32) -> Self {
            self.keys.push("needs", format!("{}#{number}", name.as_ref()));
            self
        }

        /// The same for all members of a group.
        pub fn needs_group(mut self, name: impl AsRef<str>) -> Self {
            self.keys.push("needs", format!("@{}", name.as_ref()));
            self
        }

        /// A file with lines `KEY=VALUE`, relative to the tree's folder; later files win, and [`env`](Self::env) wins
        /// over all. It is read when the tree is built.
        pub fn env_file(mut self, path: impl AsRef<Path>) -> Self {
            self.keys.push("env_file", path.as_ref());
            self
        }

        /// The same for a file that may be absent.
        pub fn env_file_if_there(mut self, path: impl AsRef<Path>) -> Self {
            self.keys.push(
                "env_file",
                match Value::from(path.as_ref()) {
                    Value::Text(path) => Value::Text(format!("?{path}")),
                    wrong => wrong,
                },
            );
            self
        }

        /// `false`: its lives have no black boxes, so its crash reports tell only what the supervisor knows.
        pub fn blackbox(mut self, blackbox: bool) -> Self {
            self.keys.set("blackbox", blackbox);
            self
        }

        /// Where it runs, relative to the tree's folder, which is also where it runs unless this is said.
        pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
            self.keys.set("directory", path.as_ref());
            self
        }

        /// Who it runs as; the supervisor's user unless said.
        pub fn user(mut self, user: impl Into<User>) -> Self {
            self.keys.set("user", &user.into());
            self
        }

        /// The file mode mask, such as `0o022`; the supervisor's unless said.
        pub fn umask(mut self, mask: u32) -> Self {
            self.keys.set("umask", format!("{mask:03o}"));
            self
        }

        /// What must hold for it to be started.
        pub fn condition(mut self, condition: Condition) -> Self {
            self.keys.set("condition", &condition);
            self
        }

        /// An exit with this code before it was ready says that there is nothing to run, which is no failure. Needs
        /// [`ready`](Self::ready).
        pub fn ignore(mut self, code: u8) -> Self {
            self.keys.set("ignore", u32::from(code));
            self
        }
    };
}

impl Service {
    /// A service that executes these words, the program first. A program without a slash is searched in its `PATH`; one
    /// with a slash is relative to its directory. No shell runs.
    pub fn new<W: Into<String>>(
        name: impl Into<String>,
        command_words: impl IntoIterator<Item = W>,
    ) -> Service {
        Service { name: name.into(), keys: command(command_words) }
    }

    /// How many copies, 1 to 10,000: `web#1` to `web#4`. A single one is `web`.
    pub fn instances(mut self, count: u32) -> Service {
        self.keys.set("instances", count);
        self
    }

    /// `false`: it stays down until somebody starts it.
    pub fn autostart(mut self, autostart: bool) -> Service {
        self.keys.set("autostart", autostart);
        self
    }

    /// Its end may end its group: see [`Group::auto_shutdown`](super::Group::auto_shutdown).
    pub fn significant(mut self, significant: bool) -> Service {
        self.keys.set("significant", significant);
        self
    }

    common_options!();
    program_options!();
    service_options!();
}

impl Template {
    /// A template `name@` of services that execute these words, as in [`Service::new`]. `name` has no `@`.
    pub fn new<W: Into<String>>(
        name: impl AsRef<str>,
        command_words: impl IntoIterator<Item = W>,
    ) -> Template {
        Template { name: format!("{}@", name.as_ref()), keys: command(command_words) }
    }

    /// The end of an instance may end its group. Not in a pool.
    pub fn significant(mut self, significant: bool) -> Template {
        self.keys.set("significant", significant);
        self
    }

    common_options!();
    program_options!();
    service_options!();
}
