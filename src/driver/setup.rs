//! From a checked plan to a driver that is ready to run.

use super::alarms::Alarms;
use super::audience::Audience;
use super::boxes::Boxes;
use super::builtins::{Program, declared_by};
use super::deaths::Deaths;
use super::flag_variables::FlagVariables;
use super::followers::Followers;
use super::health::Checks;
use super::keeper::Keeping;
use super::link::Link;
use super::readiness::Probes;
use super::ring::Ring;
use super::rooms::Rooms;
use super::roster::{self, Builtin, Entry, Roster};
use super::seams::Sewing;
use super::slot::Slot;
use super::stencil::Stencil;
use super::watchdog::Memory;
use super::workshop::{Descriptors, Prepared, Workshop};
use super::{Driver, Source, predecessor};
use crate::cli::revision;
use crate::config::plan::Plan;
use crate::ipc::server::Server;
use crate::ledger::{Ledger, Past};
use crate::supervisor::Supervisor;
use crate::supervisor::spec::{ChildId, Incarnation};
use crate::sys::cgroup::Tree;
use crate::sys::clock;
use crate::sys::process::Inherited;
use crate::sys::signal::Signals;
use crate::sys::user::Users;
use mio::{Interest, Poll};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// How a run looks.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Services' lines and events go to stdout and stderr.
    pub foreground: bool,
    /// What the built-ins are started from; `None`: the program of this process.
    pub program: Option<Arc<OwnedFd>>,
    /// A process (by its pidfd) with which the tree ends, in order.
    pub host: Option<Arc<OwnedFd>>,
    /// We run inside of somebody else's process: children that we did not start are not ours, and orphans do not come
    /// to us (no subreaper, no SIGCHLD).
    pub guest: bool,
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

/// Whether a plan has anything that a keeper keeps, and whose readers somebody asks about.
pub fn declares(plan: &Plan) -> bool {
    !(plan.flags.is_empty() && plan.migrations.is_empty())
}

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
        let keeps = declares(&plan);
        let mut descriptors = Descriptors::new(cgroups.is_some(), inherited);
        descriptors.take(plan.programs.iter())?;
        let in_force = revision::seal(&plan).map_err(|e| Failed::System("keeping the configuration", e))?;
        let builtins = Builtin::all(keeps);
        // Nobody waits for the loop yet.
        let users = Users::look_up(plan.users());
        let workshop = Workshop::new(&rooms, inherited, plan.fate_shared, users);
        let program = Program::new(
            workshop.environments.inherited.clone(),
            &declared_by(&plan),
            &plan.telemetry,
            options.program.clone(),
        )
        .map_err(|e| Failed::System("preparing the built-in services", e))?;
        let flag_variables = FlagVariables::new(&plan, rooms.runtime());
        let templates = Stencil::all(&plan);
        let telemetry_wanted = plan.telemetry.enabled;
        let Plan { tree, programs, file, .. } = plan;
        let tree = roster::tree(&tree, &builtins);
        let mut roster = Roster::default();
        let mut slots = Vec::with_capacity(tree.children.len());
        for builtin in builtins {
            roster.put(ChildId(slots.len() as u32), Entry::of_builtin(builtin), Some(0));
            slots.push(Slot { in_ledger: true, ..Slot::empty() });
        }
        for (rank, what) in programs.into_iter().enumerate() {
            let prepared = workshop.prepare(&what, &program, None, &workshop.users)?;
            let Prepared { launch, pipes, check, entry } = prepared;
            roster.put(ChildId(slots.len() as u32), entry, Some(rank as u64));
            slots.push(Slot { launch, pipes, check, in_ledger: true, ..Slot::empty() });
        }
        let names: Vec<&str> = tree.children.iter().map(|child| child.name.as_str()).collect();
        let ledger = Ledger::create(rooms.runtime_fd(), names.into_iter(), past.numbers)
            .map_err(|e| Failed::System("writing the ledger in the runtime directory", e))?;
        let seed = u64::from(std::process::id()) ^ clock::now().as_nanos();
        let core = Supervisor::new(tree, seed, Incarnation(past.numbers.incarnation));
        roster.name_groups(&core);
        let system = |what| move |error| Failed::System(what, error);
        let now = clock::now();
        let driver = Driver {
            server: rooms
                .listener()
                .and_then(Server::from_listener)
                .map_err(system("listening on the control socket"))?,
            logger: Link::new().map_err(system("making the line to the logger"))?,
            sewing: Sewing::new().map_err(system("preparing the pipes for output"))?,
            keeper: match keeps {
                false => None,
                true => Some(Link::new().map_err(system("making the line to the keeper"))?),
            },
            woken: Default::default(),
            audience: Audience::default(),
            telemetry_wanted,
            flag_variables,
            keeping: Keeping::new(past.supervisor.is_some() || predecessor::mark(rooms.project()).exists()),
            boxes: Boxes::default(),
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
            room: super::public::Room::default(),
            probes: Probes::default(),
            watchdogs: Alarms::default(),
            checks: Checks::default(),
            memory: Memory::new(),
            signals,
            clearing: Vec::new(),
            happened: VecDeque::new(),
            actions: Vec::new(),
            to_do: VecDeque::new(),
            working: false,
            turn_ends: now,
            deadline_told: false,
            deaths_to_tell: VecDeque::new(),
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
            workshop,
            descriptors,
            file,
            templates,
            plan: in_force,
            retired: VecDeque::new(),
            counters: HashMap::new(),
            past_pids: HashMap::new(),
            to_delete: Vec::new(),
            revising: None,
            lookups: Vec::new(),
            finished: None,
            reload_again: false,
        };
        // A full disk is no reason not to run: the ledger tells too.
        let _ = predecessor::begin(driver.rooms.project(), keeps);
        driver.watch_all().map_err(system("watching the sockets"))?;
        Ok(driver)
    }

    fn watch_all(&self) -> io::Result<()> {
        self.watch(Source::Signals, &self.signals, Interest::READABLE)?;
        self.watch(Source::Watch, self.rooms.watch(), Interest::READABLE)?;
        self.watch(Source::Listener, self.server.listener_fd(), Interest::READABLE)?;
        self.watch(Source::Notify, self.rooms.notify(), Interest::READABLE)?;
        self.watch_link(Builtin::Logger);
        self.watch_link(Builtin::Keeper);
        self.watch_doors()?;
        match &self.options.host {
            Some(host) => self.watch(Source::Host, host, Interest::READABLE),
            None => Ok(()),
        }
    }
}
