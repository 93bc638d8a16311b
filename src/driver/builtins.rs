//! The built-ins as the driver sees them: children like any other, with a line to each.

use super::asleep;
use super::deaths::Unrecorded;
use super::link::Link;
use super::ring::Note;
use super::roster::Builtin;
use super::{Driver, Rooms, Source, public};
use crate::config::plan::{Log, Plan, Ready};
use crate::crash;
use crate::ipc::builtin::{Death, FromLogger, ToKeeper, ToLogger};
use crate::ipc::codec;
use crate::ipc::declared::Declarations;
use crate::supervisor::spec::{ChildId, Incarnation};
use crate::supervisor::{Cause, Event};
use crate::sys::launch::{Environment, Launch, Request, StartError};
use crate::sys::log_pipe::LogPipe;
use crate::sys::pidfd::{self, Usage};
use crate::sys::{self, clock, memory, process};
use crate::telemetry::Settings;
use crate::time::Instant;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// What every start of a built-in has in common; it outlives them.
pub struct Program {
    /// The file that was first executed, or the one that was named: an upgrade of the package mixes no versions.
    executable: Arc<OwnedFd>,
    environment: Arc<Environment>,
    null: Arc<OwnedFd>,
    /// Sealed memory with the flag declarations, for the keeper.
    declarations: Arc<OwnedFd>,
    /// Sealed memory with the settings of telemetry.
    telemetry: Arc<OwnedFd>,
    /// The logger's intents.
    intents: Arc<OwnedFd>,
    /// The logger's holding pipe, read and write end.
    holding: [Arc<OwnedFd>; 2],
}

impl Program {
    /// Opens what outlives the built-ins.
    ///
    /// # Errors
    /// No descriptors or memory are left, or `/proc` is not mounted.
    pub fn new(
        environment: Arc<Environment>,
        declared: &Declarations,
        telemetry: &Settings,
        executable: Option<Arc<OwnedFd>>,
    ) -> io::Result<Program> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        Ok(Program {
            executable: match executable {
                Some(executable) => executable,
                None => Arc::new(process::executable()?),
            },
            environment,
            null: Arc::new(File::options().read(true).write(true).open("/dev/null")?.into()),
            declarations: Arc::new(sealed(declared)?),
            telemetry: Arc::new(sealed_settings(telemetry)?),
            intents: Arc::new(memory::zeroed("mainstay.logger", 1 << 20)?),
            holding: [Arc::new(read), Arc::new(write)],
        })
    }

    /// A helper of ours that runs once: this very program with these words.
    ///
    /// # Errors
    /// Never for words without a NUL byte.
    pub fn helper(&self, argv: Vec<OsString>, descriptors: Vec<Arc<OwnedFd>>) -> Result<Launch, StartError> {
        let mut request = Request::new(sys::launch::Program::Open(self.executable.clone()), argv);
        request.environment = self.environment.clone();
        request.descriptors = vec![(0, self.null.clone())];
        request.descriptors.extend((3..).zip(descriptors));
        Launch::new(request)
    }

    /// Other flags are declared from now on; the next life of the keeper hears of them.
    ///
    /// # Errors
    /// No descriptors or memory are left.
    pub fn declare(&mut self, declared: &Declarations) -> io::Result<()> {
        self.declarations = Arc::new(sealed(declared)?);
        Ok(())
    }

    /// Telemetry does other things from its next life on.
    ///
    /// # Errors
    /// No descriptors or memory are left.
    pub fn set_telemetry(&mut self, settings: &Settings) -> io::Result<()> {
        self.telemetry = Arc::new(sealed_settings(settings)?);
        Ok(())
    }

    /// What a service without input reads from, and one without a log writes to.
    pub fn null(&self) -> Arc<OwnedFd> {
        self.null.clone()
    }

    fn launch(
        &self,
        builtin: Builtin,
        rooms: &Rooms,
        link: Option<Arc<OwnedFd>>,
    ) -> Result<Launch, StartError> {
        let project = rooms.project();
        let (directories, descriptors) = match builtin {
            Builtin::Logger => (
                vec![("--logs", &project.logs), ("--state", &project.state), ("--runtime", &project.runtime)],
                vec![
                    link,
                    Some(self.intents.clone()),
                    Some(self.holding[0].clone()),
                    Some(self.holding[1].clone()),
                ],
            ),
            Builtin::Keeper => (
                vec![("--runtime", &project.runtime), ("--state", &project.state)],
                vec![Some(rooms.keeper_listener()), link, Some(self.declarations.clone())],
            ),
            Builtin::Registry => (
                vec![("--runtime", &project.runtime), ("--state", &project.state)],
                vec![asleep::door_of(builtin).map(|door| rooms.door(door)), link],
            ),
            Builtin::Telemetry => (
                vec![("--logs", &project.logs), ("--state", &project.state)],
                vec![
                    asleep::door_of(builtin).map(|door| rooms.door(door)),
                    link,
                    Some(self.telemetry.clone()),
                ],
            ),
        };
        let mut argv: Vec<OsString> = vec![builtin.name().into(), builtin.subcommand().into()];
        for (option, directory) in directories {
            argv.push(option.into());
            argv.push(directory.into());
        }
        let mut request = Request::new(sys::launch::Program::Open(self.executable.clone()), argv);
        request.environment = self.environment.clone();
        request.variables = vec![
            ("NOTIFY_SOCKET".into(), project.runtime.join("notify").into()),
            ("MAINSTAY_INSTANCE".into(), builtin.name().into()),
        ];
        request.descriptors = vec![(0, self.null.clone())];
        let numbered = (3..).zip(descriptors).filter_map(|(number, d)| Some((number, d?)));
        request.descriptors.extend(numbered);
        Launch::new(request)
    }
}

/// What a plan says about flags.
pub fn declared_by(plan: &Plan) -> Declarations {
    Declarations { flags: plan.flags.clone(), migrations: plan.migrations.clone(), guard: plan.guard }
}

fn sealed(declared: &Declarations) -> io::Result<OwnedFd> {
    let bytes = declared.encode().map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e.to_string()))?;
    memory::sealed("mainstay.flags", &bytes)
}

fn sealed_settings(settings: &Settings) -> io::Result<OwnedFd> {
    let bytes = codec::encode_plan(settings)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e.to_string()))?;
    memory::sealed("mainstay.telemetry", &bytes)
}

impl Driver {
    /// A built-in is started anew from its parts each time: its line is a fresh one.
    pub(super) fn prepare(&mut self, child: ChildId, builtin: Builtin) {
        let launch = self.program.launch(builtin, &self.rooms, self.link_to(builtin));
        self.slot(child).launch = launch;
    }

    fn link_to(&self, builtin: Builtin) -> Option<Arc<OwnedFd>> {
        self.link(builtin).map(Link::theirs)
    }

    pub(super) fn link(&self, builtin: Builtin) -> Option<&Link> {
        match builtin {
            Builtin::Logger => Some(&self.logger),
            Builtin::Keeper => self.keeper.as_ref(),
            Builtin::Registry | Builtin::Telemetry => self.woken[asleep::door_of(builtin)?].as_ref(),
        }
    }

    pub(super) fn link_mut(&mut self, builtin: Builtin) -> Option<&mut Link> {
        match builtin {
            Builtin::Logger => Some(&mut self.logger),
            Builtin::Keeper => self.keeper.as_mut(),
            Builtin::Registry | Builtin::Telemetry => self.woken[asleep::door_of(builtin)?].as_mut(),
        }
    }

    /// Everything that a new life of the logger must know, before it reads the first pipe.
    pub(super) fn greet_logger(&mut self, child: ChildId) {
        let untaken = self.renew(Builtin::Logger);
        self.prepare(child, Builtin::Logger);
        let hello = ToLogger::Hello {
            foreground: self.options.foreground,
            width: u32::try_from(self.roster.width(&self.core)).unwrap_or(16),
            project: self.rooms.project().name.clone(),
            seams: self.sewing.seams,
        };
        self.logger.say(&hello, Vec::new());
        self.say_untaken_news(&untaken);
        self.say_recent_changes();
        let users = self.roster.users(&self.core);
        for child in &users {
            self.say_stream(*child);
        }
        // What the last logger had not read of those that are gone.
        let gone: Vec<ChildId> = self.retired.iter().map(|retired| retired.child).collect();
        for child in &gone {
            self.say_stream(*child);
        }
        for death in self.deaths.waiting() {
            self.logger.say(&death.death, death.blackbox.iter().cloned().collect());
        }
        for child in users {
            if let Some(life) = self.slots[child.0 as usize].life.as_ref().filter(|life| !life.reaped) {
                let incarnation = life.incarnation.0;
                let (child, seam) = (child.0, life.seam);
                self.logger.say(&ToLogger::Life { child, incarnation, seam }, Vec::new());
            }
        }
        self.logger.say(&ToLogger::Begin, Vec::new());
        for child in gone {
            if self.slots[child.0 as usize].pipes.is_some() {
                self.say_gone(child);
            }
        }
    }

    /// News for people that no life of the logger has taken yet. All else that waited is said anew, as it is now.
    fn say_untaken_news(&mut self, mut untaken: &[u8]) {
        while let Ok((message, length)) = codec::decode_first::<ToLogger>(untaken) {
            untaken = &untaken[length..];
            if matches!(message, ToLogger::Happened(_)) {
                self.logger.say_if_room(&message);
            }
        }
    }

    /// What the last life of the logger knew of flags that were changed before somebody died.
    fn say_recent_changes(&mut self) {
        // Deaths that nobody has recorded yet may be a while ago.
        let now = clock::now().as_nanos();
        let since = Instant::from_nanos(now.saturating_sub(2 * crash::SHORTLY.as_nanos() as u64));
        let is_change = |note: &Note| matches!(note, Note::Other(other) if crash::is_change(&other.1));
        let changes =
            self.ring.since(since).filter(|(_, entry)| is_change(&entry.note)).take(crash::REMEMBERED);
        let events: Vec<_> = changes.map(|change| public::event(change, &self.roster, &self.core)).collect();
        for event in events.into_iter().rev() {
            self.logger.say(&ToLogger::Changed(event), Vec::new());
        }
    }

    /// Hands an instance's output to the logger, or says again how it is kept.
    pub(super) fn say_stream(&mut self, child: ChildId) {
        let Some(pipes) = &self.slots[child.0 as usize].pipes else { return };
        let entry = self.roster.of(child);
        let Log::Logger { max_size, files } = entry.log else { return };
        let stream = ToLogger::Stream {
            child: child.0,
            service: self.roster.service(child).to_owned(),
            instance: self.roster.instance(child).to_owned(),
            max_size,
            files,
            ready: match &entry.ready {
                Ready::Output(text) => Some(text.clone()),
                Ready::Nothing | Ready::Tcp(_) | Ready::Notify => None,
            },
        };
        self.logger.say(&stream, pipes.iter().map(LogPipe::descriptor).collect());
    }

    /// An instance is gone: the logger reads what is left and forgets it.
    pub(super) fn say_gone(&mut self, child: ChildId) {
        self.logger.say(&ToLogger::Gone { child: child.0 }, Vec::new());
    }

    pub(super) fn say_life(&mut self, child: ChildId, incarnation: Incarnation) {
        let life = ToLogger::Life { child: child.0, incarnation: incarnation.0, seam: false };
        self.logger.say(&life, Vec::new());
        self.logger.press();
    }

    /// A fresh pair for the next life: what the last one had taken and not done is said again. Returns the messages that
    /// it had not taken, see [`Link::renew`].
    pub(super) fn renew(&mut self, builtin: Builtin) -> Vec<u8> {
        let Some(link) = self.link(builtin) else { return Vec::new() };
        self.unwatch(link.ours());
        let untaken = match self.link_mut(builtin).map(Link::renew) {
            Some(Ok(untaken)) => untaken,
            Some(Err(error)) => {
                self.warn(format!("cannot make a new line to {}: {error}", builtin.name()));
                Vec::new()
            }
            None => Vec::new(),
        };
        self.watch_link(builtin);
        untaken
    }

    pub(super) fn watch_link(&self, builtin: Builtin) {
        let source = match (builtin, asleep::door_of(builtin)) {
            (Builtin::Logger, _) => Source::Logger,
            (_, Some(door)) => Source::Line(door as u32),
            (_, None) => Source::Keeper,
        };
        if let Some(link) = self.link(builtin) {
            let _ = self.watch(source, link.ours(), mio::Interest::READABLE | mio::Interest::WRITABLE);
        }
    }

    /// Queues a death for the logger.
    pub(super) fn bury(&mut self, child: ChildId, incarnation: Incarnation) {
        let slot = &self.slots[child.0 as usize];
        let Some(ended) = &slot.ended else { return };
        let (blackbox, memory) = self.box_of_the_dead(child, incarnation, ended.crash);
        let group = if ended.crash == 0 { None } else { self.group_memory(child) };
        let seq = self.deaths.number();
        let policy = &self.core.tree().children[child.0 as usize];
        let room = self.deaths.room();
        let death = Death {
            seq,
            crash: ended.crash,
            child: child.0,
            service: public::text_in(room.service, self.roster.service(child)),
            instance: public::text_in(room.instance, self.roster.instance(child)),
            incarnation: incarnation.0,
            pid: self.deaths.pid,
            code: ended.cause.and_then(public::code),
            signal: ended.cause.and_then(public::signal),
            core: matches!(ended.cause, Some(Cause::Signal(_, true))),
            fault: ended.fault,
            error: public::text_in(room.error, &ended.error),
            lived_ns: public::nanos(ended.lived),
            time: ended.time,
            at_ns: ended.at.as_nanos(),
            restarts: self.core.restarts(child, ended.at),
            restarts_max: policy.limit.map_or(0, |l| l.max),
            used: public::used(self.deaths.usage),
            group,
            blackbox,
            cursor: self.ring.newest(),
        };
        self.deaths.usage = Usage::default();
        // Said, and then kept: not copied.
        let death = ToLogger::Death(death);
        match &memory {
            None => self.logger.say_if_room(&death),
            Some(memory) => self.logger.say(&death, vec![memory.clone()]),
        }
        self.logger.press();
        self.deaths.push(Unrecorded { death, seq, blackbox: memory });
    }

    pub(super) fn on_logger(&mut self) {
        while let Some(message) = self.logger.hear() {
            match message {
                FromLogger::ReadyLine { child, incarnation } => {
                    if (child as usize) < self.slots.len() {
                        self.tell(Event::Ready(ChildId(child), Incarnation(incarnation)));
                    }
                }
                FromLogger::Recorded { seq, unwritten } => {
                    self.deaths.unwritten += u64::from(unwritten);
                    self.deaths.recorded(seq);
                }
                FromLogger::Forgotten { child } => self.on_forgotten(ChildId(child)),
                FromLogger::Trouble { message } => self.warn(message),
            }
        }
    }

    /// The keeper looks at the board now, instead of at its next look.
    pub(super) fn ask_keeper_to_look(&mut self) {
        if let Some(link) = &mut self.keeper {
            link.say(&ToKeeper::Look, Vec::new());
        }
    }

    /// The keeper gets a listening socket whose name exists again.
    pub(super) fn hand_to_keeper(&mut self, listener: Arc<OwnedFd>) {
        if let Some(link) = &mut self.keeper {
            link.say(&ToKeeper::Listen, vec![listener]);
        }
    }

    pub(super) fn flush_links(&mut self) {
        self.logger.flush();
        self.tell_keeper();
        self.tell_telemetry();
        if let Some(keeper) = &mut self.keeper {
            keeper.flush();
        }
        for link in self.woken.iter_mut().flatten() {
            link.flush();
        }
        let dropped = self.logger.take_dropped() + self.deaths.take_forgotten();
        if dropped > 0 {
            self.warn(format!("the logger is far behind: {dropped} messages to it were dropped"));
        }
    }

    /// Other flags: a keeper that begins anew reads them. One that is not there yet is given its line.
    pub(super) fn declare_flags(&mut self, declared: &Declarations) -> io::Result<()> {
        self.program.declare(declared)?;
        if self.keeper.is_none() && !(declared.flags.is_empty() && declared.migrations.is_empty()) {
            self.keeper = Some(Link::new()?);
            self.watch_link(Builtin::Keeper);
        }
        Ok(())
    }

    /// The keeper begins anew; who waits for an answer of it waits a millisecond longer.
    pub(super) fn renew_keeper(&mut self) {
        self.end_builtin(Builtin::Keeper);
    }

    /// A logger that begins anew opens every file again, and loses nothing by it.
    pub(super) fn reopen_logs(&mut self) {
        self.end_builtin(Builtin::Logger);
    }

    pub(super) fn end_builtin(&self, builtin: Builtin) {
        let child = self.roster.child_of(builtin);
        let life = child.and_then(|child| self.slots[child.0 as usize].life.as_ref());
        if let Some(life) = life.filter(|life| !life.reaped) {
            let _ = pidfd::signal(&life.pidfd, libc::SIGTERM);
        }
    }
}
