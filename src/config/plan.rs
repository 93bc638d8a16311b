//! What a configuration means once it is read and checked: everything that the driver needs to run it.

use super::declared::{Declared, Member, Service};
use super::template::Template;
use crate::flags::guard::Mode;
use crate::flags::{Declaration, Migration};
use crate::supervisor::spec::{Child, ChildId, Group, Node, Tree};
use crate::telemetry::Settings;
use crate::time::Duration;
use core::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A whole configuration, checked.
#[derive(Clone, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct Plan {
    /// The project's name.
    pub project: String,
    /// The file it was read from; `None` for `run -- CMD`.
    pub file: Option<PathBuf>,
    /// The files of `conf.d` that were read after it, in order.
    pub parts: Vec<PathBuf>,
    /// The tree as the core knows it: the user's groups and services only (built-ins are the driver's).
    pub tree: Tree,
    /// What each instance executes; the index is that of `tree.children`.
    pub programs: Vec<Program>,
    /// What `tree` and `programs` were counted out from; [`Plan::scaled`] counts again.
    pub declared: Declared,
    /// What instances are made from at run time; none of them is in `tree`.
    pub templates: Vec<Template>,
    /// The flags that the file declares, in its order.
    pub flags: Vec<Declaration>,
    /// The migrations that it declares, in its order.
    pub migrations: Vec<Migration>,
    /// The guard's switch for the whole host, until somebody moves it by hand.
    pub guard: Mode,
    /// What becomes of spans and events.
    pub telemetry: Settings,
    /// Whoever is added without a template is killed when the supervisor dies; of each [`Program`] it is said there.
    pub fate_shared: bool,
    /// How `mainstay.log`, the supervisor's own, is rotated.
    pub log: Log,
}

impl Plan {
    /// The users that its services become, but for those that only the argument of a template names.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        let templates = self.templates.iter().map(|template| &template.program);
        let of_templates =
            templates.filter_map(|program| program.user.as_deref()).filter(|user| !user.contains('%'));
        self.programs.iter().filter_map(|program| program.user.as_deref()).chain(of_templates)
    }

    /// The plan of `run -- CMD`: one service, named after the program's file, with every default.
    ///
    /// `argv` holds at least the program; `directory` is absolute.
    pub fn for_command(project: &str, argv: &[String], directory: &Path) -> Plan {
        let name = super::words::name_of_program(argv.first().map_or("", String::as_str));
        let child = Child { name: name.clone(), ..Child::default() };
        let root =
            Group { name: project.to_owned(), members: vec![Node::Child(ChildId(0))], ..Group::default() };
        let service = Service {
            name: name.clone(),
            first: 0,
            count: 1,
            numbered: false,
            needs: Vec::new(),
            spare: None,
        };
        let program = Program {
            service: name.clone(),
            instance: name,
            argv: argv.to_vec(),
            directory: directory.to_owned(),
            ..Program::default()
        };
        Plan {
            project: project.to_owned(),
            tree: Tree { groups: vec![root], children: vec![child] },
            programs: vec![program],
            declared: Declared { services: vec![service], members: vec![vec![Member::Service(0)]] },
            ..Plan::default()
        }
    }
}

/// What one instance executes, and how.
#[derive(Clone, Debug, PartialEq, bincode::Encode, bincode::Decode)]
pub struct Program {
    /// The service's name: `web`.
    pub service: String,
    /// The instance's name: `web#2`, or `web` when there is one.
    pub instance: String,
    /// Program and arguments, at least one. A program without a slash is searched in the service's PATH;
    /// one with a slash is relative to `directory`.
    pub argv: Vec<String>,
    /// Variables set for it, in order; later ones win. Already holds what `env_file` said.
    pub env: Vec<(String, String)>,
    /// False: it starts from an empty environment instead of the supervisor's.
    pub inherit_env: bool,
    /// Where it runs; absolute.
    pub directory: PathBuf,
    /// `name`, `name:group`, or numbers; looked up when the plan is loaded.
    pub user: Option<String>,
    /// The file mode mask; `None`: the supervisor's.
    pub umask: Option<u32>,
    /// How it says that it is ready.
    pub ready: Ready,
    /// How it is asked, while it runs, whether it is healthy.
    pub health: Option<Health>,
    /// It says `WATCHDOG=1` at least so often once it is up (ready, when it declares that), or it is killed: an
    /// abnormal end.
    pub watchdog: Option<Duration>,
    /// What must hold for it to be started; else there is nothing to run (OTP `ignore`, A12).
    pub condition: Option<Condition>,
    /// It is killed when its supervisor dies, however that happens (L03, L06).
    pub fate_shared: bool,
    /// Where its output goes.
    pub log: Log,
    /// Each of its lives has a black box, as far as there are descriptors.
    pub blackbox: bool,
    /// In which file it is declared: 0 for the plan's `file`, n for the nth of its `parts`. For messages.
    pub part: u32,
    /// The line of that file; 0 when there is none. For messages.
    pub line: u32,
}

impl Default for Program {
    /// Nothing to execute yet, with every default.
    fn default() -> Program {
        Program {
            service: String::new(),
            instance: String::new(),
            argv: Vec::new(),
            env: Vec::new(),
            inherit_env: true,
            directory: PathBuf::from("/"),
            user: None,
            umask: None,
            ready: Ready::Nothing,
            health: None,
            watchdog: None,
            condition: None,
            fate_shared: false,
            log: Log::default(),
            blackbox: true,
            part: 0,
            line: 0,
        }
    }
}

/// What is looked at before each start.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum Condition {
    /// Something is at this absolute path.
    Exists(PathBuf),
}

/// How a service says that it is ready.
#[derive(Clone, Debug, PartialEq, Eq, Default, bincode::Encode, bincode::Decode)]
pub enum Ready {
    /// It does not: it is `up` when exec succeeded, and never `ready`.
    #[default]
    Nothing,
    /// A connection to this port of the loopback address is accepted, by a process of this service.
    Tcp(u16),
    /// A line of its output contains this text.
    Output(String),
    /// It sends `READY=1` to `$NOTIFY_SOCKET`, as `sd_notify(3)` does.
    Notify,
}

/// How a service is asked whether it is healthy, once it is up (ready, when it declares that).
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct Health {
    /// What is done.
    pub how: Check,
    /// From the beginning of one check to that of the next, and from being up to the first; at least [`Health::EVERY_MIN`].
    pub every: Duration,
    /// A check without an answer for so long has failed; longer than nothing, at most `every`.
    pub timeout: Duration,
    /// So many failures in a row are too many; at least 1.
    pub failures: u32,
    /// After too many it is killed, an abnormal end; else they are only told.
    pub restart: bool,
}

impl Health {
    /// More often would cost more than it tells.
    pub const EVERY_MIN: Duration = Duration::from_millis(100);
}

/// One check of a service's health.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum Check {
    /// This port of the loopback address, 127.0.0.1, accepts a connection. Never 0, except in a template whose port
    /// depends on the argument.
    Tcp(u16),
    /// A `GET` is answered with a status from 200 to 399.
    Http(Http),
    /// A command, run as the service's user in its directory with its environment, exits with 0. At least one word; the
    /// program is looked for as that of the service.
    Exec(Vec<String>),
}

/// What a check asks for, over plain HTTP/1.1; made by [`Http::parse`].
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct Http {
    /// Where to connect.
    pub address: SocketAddr,
    /// The `Host` header: the host and the port as they were written.
    pub host: String,
    /// What follows `GET`: begins with a slash, has no blanks and no control characters.
    pub path: String,
}

/// Where the output of a service goes.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum Log {
    /// To the logger: a file for the service, rotated when it is larger than `max_size` bytes, `files` of
    /// them kept.
    Logger {
        /// Bytes.
        max_size: u64,
        /// How many, the current one included; at least 1.
        files: u32,
    },
    /// To the supervisor's own stdout and stderr, past the logger.
    Inherit,
    /// Nowhere.
    Discard,
}

impl Default for Log {
    fn default() -> Log {
        Log::Logger { max_size: 10 << 20, files: 5 }
    }
}

/// How long a command waits for what it asked for, unless it says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
