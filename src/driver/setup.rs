//! From a checked plan to a driver that is ready to run.

use super::builtins::{Deaths, Program};
use super::followers::Followers;
use super::link::Link;
use super::readiness::Probes;
use super::ring::Ring;
use super::rooms::Rooms;
use super::roster::{Builtin, Roster};
use super::slot::Slot;
use super::{Driver, Source};
use crate::config::plan::{self, Log, Plan};
use crate::ipc::server::Server;
use crate::ledger::{Ledger, Past};
use crate::supervisor::Supervisor;
use crate::supervisor::spec::{ChildId, Incarnation};
use crate::sys::cgroup::Tree;
use crate::sys::launch::{Environment, Launch, Request, Resource, StartError, Step};
use crate::sys::log_pipe::LogPipe;
use crate::sys::process::Inherited;
use crate::sys::signal::Signals;
use crate::sys::{clock, launch, user};
use mio::{Interest, Poll};
use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::sync::Arc;

/// Descriptors that the supervisor needs whatever it supervises: sockets, clients, files, one start.
const DESCRIPTORS_BASE: u64 = 320;

/// How a run looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Services' lines and events go to stdout and stderr.
    pub foreground: bool,
}

/// Why a driver could not be set up.
#[derive(Debug)]
pub enum Failed {
    /// More descriptors would be needed than the limit allows.
    Descriptors {
        /// What is needed.
        needed: u64,
        /// How that was computed.
        arithmetic: String,
        /// The hard limit.
        limit: u64,
    },
    /// A system call failed.
    System(&'static str, io::Error),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Descriptors { needed, arithmetic, limit } => {
                write!(f, "{needed} descriptors are needed ({arithmetic}), {limit} are allowed")
            }
            Failed::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for Failed {}

impl Driver {
    /// Prepares everything; nothing is started before [`Driver::run`].
    ///
    /// # Errors
    /// [`Failed`].
    pub fn new(
        plan: Plan,
        options: Options,
        rooms: Rooms,
        past: &Past,
        inherited: &Inherited,
        signals: Signals,
    ) -> Result<Driver, Failed> {
        // Where there is none, or it is not ours, process groups and sessions have to do.
        let cgroups = Tree::create(&plan.project, rooms.runtime()).ok();
        check_descriptors(&plan, cgroups.is_some(), inherited)?;
        let builtins: &[Builtin] =
            if plan.flags.is_empty() { &[Builtin::Logger] } else { &[Builtin::Logger, Builtin::Keeper] };
        let roster = Roster::new(&plan, builtins);
        // The roster has it now.
        let plan = Plan { tree: Default::default(), ..plan };
        let environments = Environments::new(&rooms);
        let program = Program::new(environments.inherited.clone(), &plan.flags)
            .map_err(|e| Failed::System("preparing the built-in services", e))?;
        let mut slots = Vec::with_capacity(roster.children().len());
        for child in roster.children() {
            slots.push(slot(&plan, &roster, child, &environments, &program, inherited)?);
        }
        // The launches have these now.
        let mut plan = plan;
        for program in &mut plan.programs {
            (program.env, program.directory) = (Vec::new(), Default::default());
        }
        let names: Vec<&str> = roster.children().map(|child| roster.instance(child)).collect();
        let ledger = Ledger::create(rooms.runtime_fd(), names.into_iter(), past.numbers)
            .map_err(|e| Failed::System("writing the ledger in the runtime directory", e))?;
        let seed = u64::from(std::process::id()) ^ clock::now().as_nanos();
        let core = Supervisor::new(roster.tree().clone(), seed, Incarnation(past.numbers.incarnation));
        let system = |what| move |error| Failed::System(what, error);
        let now = clock::now();
        let driver = Driver {
            server: rooms
                .listener()
                .and_then(Server::from_listener)
                .map_err(system("listening on the control socket"))?,
            logger: Link::new().map_err(system("making the line to the logger"))?,
            keeper: match plan.flags.is_empty() {
                true => None,
                false => Some(Link::new().map_err(system("making the line to the keeper"))?),
            },
            poll: Poll::new().map_err(system("making the poller"))?,
            dead: Vec::new(),
            options,
            core,
            slots,
            pids: HashMap::new(),
            ring: Ring::new(past.numbers.event),
            next_crash: past.numbers.crash,
            ledger,
            rooms,
            followers: Followers::default(),
            clients: HashMap::new(),
            program,
            deaths: Deaths::default(),
            probes: Probes::default(),
            signals,
            clearing: Vec::new(),
            happened: VecDeque::new(),
            actions: Vec::new(),
            started: now,
            unsettled: now,
            restarts: VecDeque::new(),
            telling: Vec::new(),
            leaving: Vec::new(),
            shutdowns: 0,
            look_again: None,
            began: super::Beginning::Now,
            end: None,
            cgroups,
            roster,
            plan,
        };
        // A full disk is no reason not to run: the ledger tells too.
        let _ = super::predecessor::begin(driver.rooms.project());
        driver.watch_all().map_err(system("watching the sockets"))?;
        Ok(driver)
    }

    fn watch_all(&self) -> io::Result<()> {
        self.watch(Source::Signals, &self.signals, Interest::READABLE)?;
        self.watch(Source::Watch, self.rooms.watch(), Interest::READABLE)?;
        self.watch(Source::Listener, self.server.listener_fd(), Interest::READABLE)?;
        self.watch(Source::Notify, self.rooms.notify(), Interest::READABLE)?;
        self.watch_link(Source::Logger);
        self.watch_link(Source::Keeper);
        Ok(())
    }
}

/// What a program inherits, with what every service is told; and only the latter.
struct Environments {
    inherited: Arc<Environment>,
    bare: Arc<Environment>,
}

impl Environments {
    fn new(rooms: &Rooms) -> Environments {
        let runtime = rooms.runtime();
        let told: Vec<(OsString, OsString)> = vec![
            ("MAINSTAY_PROJECT".into(), rooms.project().name.clone().into()),
            ("MAINSTAY_RUNTIME_DIR".into(), runtime.into()),
            ("MAINSTAY_STATE_DIR".into(), rooms.project().state.clone().into()),
            ("MAINSTAY_LOGS_DIR".into(), rooms.project().logs.clone().into()),
            ("MAINSTAY_BOARD".into(), runtime.join("board").into()),
            ("NOTIFY_SOCKET".into(), runtime.join("notify").into()),
        ];
        let ours = std::env::vars_os().filter(|(name, _)| !meant_for_us(name));
        Environments {
            inherited: Arc::new(Environment::new(ours.chain(told.clone()))),
            bare: Arc::new(Environment::new(told)),
        }
    }
}

/// What whoever started the supervisor says to it, not to its services.
fn meant_for_us(name: &OsStr) -> bool {
    const NAMES: [&str; 12] = [
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
        "FDSTORE",
        "MAINPID",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "MANAGERPID",
        "SYSTEMD_EXEC_PID",
    ];
    let name = name.to_string_lossy();
    NAMES.contains(&&*name) || name.ends_with("_DIRECTORY") || name.starts_with("MAINSTAY_")
}

fn slot(
    plan: &Plan,
    roster: &Roster,
    child: ChildId,
    environments: &Environments,
    program: &Program,
    inherited: &Inherited,
) -> Result<Slot, Failed> {
    let mut slot = Slot {
        launch: Err(StartError::new(Step::Arguments, 0, "preparing a built-in service")),
        pipes: None,
        cgroup: None,
        cgroup_used_up: false,
        emptiness: None,
        life: None,
        ended: None,
        away_since: None,
        error: None,
        never_ready: None,
    };
    // A built-in is prepared at each start, with a fresh line.
    let Some(index) = roster.program(child) else { return Ok(slot) };
    let what = &plan.programs[index];
    let descriptors = match what.log {
        Log::Logger { .. } => {
            let pipe = || LogPipe::new().map_err(|e| Failed::System("making the pipes for output", e));
            let pipes = [pipe()?, pipe()?];
            let descriptors = vec![(1, pipes[0].descriptor()), (2, pipes[1].descriptor())];
            slot.pipes = Some(pipes);
            descriptors
        }
        Log::Inherit => Vec::new(),
        Log::Discard => vec![(1, program.null()), (2, program.null())],
    };
    let mut request = request(what, environments, inherited);
    request.descriptors.push((0, program.null()));
    request.descriptors.extend(descriptors);
    slot.launch = Launch::new(request);
    Ok(slot)
}

fn request(what: &plan::Program, environments: &Environments, inherited: &Inherited) -> Request {
    let name = launch::Program::Named(what.argv[0].clone().into());
    let mut request = Request::new(name, what.argv.iter().map(Into::into).collect());
    request.environment =
        if what.inherit_env { environments.inherited.clone() } else { environments.bare.clone() };
    request.variables = vec![
        ("MAINSTAY_SERVICE".into(), what.service.clone().into()),
        ("MAINSTAY_INSTANCE".into(), what.instance.clone().into()),
    ];
    if let Some(identity) = what.user.as_deref().and_then(|name| user::identity(name).ok()) {
        let home = identity.home.map(OsString::from);
        let shell = identity.shell.map(OsString::from);
        let name: Option<OsString> = identity.name.map(Into::into);
        let of_user = [("HOME", home), ("SHELL", shell), ("USER", name.clone()), ("LOGNAME", name)];
        request.variables.extend(of_user.into_iter().filter_map(|(name, value)| Some((name.into(), value?))));
    }
    request.variables.extend(what.env.iter().map(|(name, value)| (name.into(), value.into())));
    request.numbers = vec!["MAINSTAY_INCARNATION".into()];
    request.directory = Some(what.directory.clone());
    request.user = what.user.clone();
    request.umask = what.umask;
    request.limits = vec![(Resource::Nofile, inherited.nofile)];
    request
}

/// The supervisor holds, for each instance: its pidfd; two pipes when it has a log; its cgroup.
fn check_descriptors(plan: &Plan, cgroups: bool, inherited: &Inherited) -> Result<(), Failed> {
    let Some(limit) = inherited.nofile.hard else { return Ok(()) };
    let instances = plan.programs.len() as u64;
    let logged = plan.programs.iter().filter(|p| matches!(p.log, Log::Logger { .. })).count() as u64;
    let each = 1 + u64::from(cgroups);
    let needed = DESCRIPTORS_BASE + each * instances + 2 * logged;
    if needed <= limit {
        return Ok(());
    }
    let arithmetic = format!("{DESCRIPTORS_BASE} + {each} × {instances} instances + 2 × {logged} with a log");
    Err(Failed::Descriptors { needed, arithmetic, limit })
}
