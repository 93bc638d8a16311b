//! The loop: wait for something to happen → ask the core what to do → do it.
//!
//! One thread. Nothing here blocks: not on clients, logs, disk or a stopping service; what takes longer than a turn
//! goes on in the next, after others were heard. The one bounded exception is a start, during which the parent sleeps until exec (S2).
//!
//! The driver holds what the core must not know: pids, descriptors, clocks. It decides nothing about
//! services; what it decides is when to look again.
//!
//! | file | what |
//! |---|---|
//! | `lives.rs` | starting, signals, exits, leftovers (S2–S5) |
//! | `readiness.rs` | ports that are tried, datagrams that arrive |
//! | `watchdog.rs`, `health.rs`, `alarms.rs` | services that run and are of no use: watchdogs, memory, health checks |
//! | `reports.rs` | what the core reports → ring, logger, waiting clients |
//! | `control.rs`, `tell.rs` | requests of clients; long answers |
//! | `admin.rs`, `new_child.rs`, `comings.rs` | children that are added, ended and removed by hand |
//! | `revise.rs` | another plan: the file read again, other numbers of instances |
//! | `helper.rs`, `lookup.rs` | processes that wait where the loop must not: for a disk, for a name service |
//! | `workshop.rs`, `stencil.rs` | what a program needs to be started; templates |
//! | `builtins.rs`, `link.rs` | the built-ins as children, and the lines to them |
//! | `seams.rs` | where in a pipe the words of one life end and those of the next begin |
//! | `asleep.rs` | built-ins that are started when somebody wants something of them |
//! | `flag_variables.rs` | flags in the environment of a life |
//! | `audience.rs` | who is told of every life and its black box: keeper and telemetry |
//! | `keeper.rs` | what the keeper is told beside that, and what it asks for |
//! | `boxes.rs` | black boxes of lives, and of the dead |
//! | `deaths.rs` | deaths that are not recorded yet |
//! | `rooms.rs`, `mending.rs` | the runtime directory and its sockets, made again when they are gone |
//! | `ring.rs`, `roster.rs`, `public.rs`, `followers.rs` | events, names |

mod admin;
mod alarms;
mod asleep;
mod audience;
mod boxes;
mod builtins;
mod comings;
mod control;
mod deaths;
mod flag_variables;
mod followers;
mod health;
mod helper;
mod keeper;
mod link;
mod lives;
mod lookup;
mod mending;
mod new_child;
mod predecessor;
mod public;
mod readiness;
mod reports;
mod revise;
mod ring;
mod rooms;
mod roster;
mod seams;
mod setup;
mod slot;
mod stencil;
mod tell;
mod watchdog;
mod workshop;

pub use predecessor::end as end_predecessor;
pub use rooms::{Rooms, Taken};
pub use setup::{Failed, Options};

use crate::ipc::server::{ConnectionId, Server};
use crate::ledger::Ledger;
use crate::supervisor::spec::ChildId;
use crate::supervisor::{Action, Command, End, Event, Supervisor};
use crate::sys::cgroup::Tree;
use crate::sys::signal::Signals;
use crate::sys::{clock, memory, pidfd};
use crate::time::{Duration, Instant};
use alarms::Alarms;
use audience::Audience;
use boxes::Boxes;
use builtins::Program;
use comings::Retired;
use deaths::Deaths;
use flag_variables::FlagVariables;
use followers::Followers;
use health::Checks;
use keeper::Keeping;
use link::Link;
use lookup::Lookup;
use mio::unix::SourceFd;
use mio::{Interest, Poll, Token};
use revise::Revising;
use ring::Ring;
use roster::Roster;
use seams::Sewing;
use slot::Slot;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use stencil::Stencil;
use watchdog::Memory;
use workshop::{Descriptors, Workshop};

/// So long is worked in one turn before whoever else wants something is heard: the start of a thousand services, or
/// their death, silences nobody.
const TURN: Duration = Duration::from_millis(10);

/// What became readable: the kind in the upper half of the token, a number in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Signals,
    Watch,
    Listener,
    Notify,
    Logger,
    Keeper,
    /// The main process of this child ended.
    Exit(u32),
    /// The cgroup of this child changed.
    Cgroup(u32),
    /// A connection to the port of this child.
    Probe(u32),
    /// A client.
    Client(u32),
    /// The helper that reads the configuration.
    Revision,
    /// The helper of this pid, which looks up a user.
    Lookup(u32),
    /// The process that we end with has ended.
    Host,
    /// The health check of this child.
    Health(u32),
    /// Somebody wants something of a built-in that is asleep, by its number in [`asleep::DOORS`].
    Door(u32),
    /// The line to that built-in.
    Line(u32),
}

impl Source {
    fn token(self) -> Token {
        let (kind, number) = match self {
            Source::Signals => (0, 0),
            Source::Watch => (1, 0),
            Source::Listener => (2, 0),
            Source::Notify => (3, 0),
            Source::Logger => (4, 0),
            Source::Keeper => (5, 0),
            Source::Exit(child) => (6, child),
            Source::Cgroup(child) => (7, child),
            Source::Probe(child) => (8, child),
            Source::Client(client) => (9, client),
            Source::Revision => (10, 0),
            Source::Host => (11, 0),
            Source::Health(child) => (12, child),
            Source::Door(door) => (13, door),
            Source::Line(door) => (14, door),
            Source::Lookup(pid) => (15, pid),
        };
        Token(kind << 32 | number as usize)
    }

    fn of(token: Token) -> Source {
        let number = token.0 as u32;
        match token.0 >> 32 {
            0 => Source::Signals,
            1 => Source::Watch,
            2 => Source::Listener,
            3 => Source::Notify,
            4 => Source::Logger,
            5 => Source::Keeper,
            6 => Source::Exit(number),
            7 => Source::Cgroup(number),
            8 => Source::Probe(number),
            9 => Source::Client(number),
            10 => Source::Revision,
            11 => Source::Host,
            12 => Source::Health(number),
            13 => Source::Door(number),
            14 => Source::Line(number),
            _ => Source::Lookup(number),
        }
    }
}

/// A supervisor at work.
pub struct Driver {
    /// Sealed memory with the plan in force: what a reload compares with. Not mapped, so it costs nothing here.
    plan: Arc<OwnedFd>,
    /// The configuration file; `None` for `run -- CMD`.
    file: Option<PathBuf>,
    templates: Vec<Stencil>,
    /// How many members each pool has had: their names are never used twice.
    counters: HashMap<String, u64>,
    workshop: Workshop,
    descriptors: Descriptors,
    /// Removed children whose numbers may still be spoken of, oldest first.
    retired: VecDeque<Retired>,
    /// Children that are removed when they are down.
    to_delete: Vec<ChildId>,
    /// Another plan is being read.
    revising: Option<Revising>,
    /// Users that are being looked up, each for a child.
    lookups: Vec<Lookup>,
    /// The user's root is ending because of its significant member: no failure, whatever its parent makes of it.
    finished: Option<ChildId>,
    /// SIGHUP came meanwhile.
    reload_again: bool,
    options: Options,
    roster: Roster,
    core: Supervisor,
    slots: Vec<Slot>,
    /// Which child a living main process is.
    pids: HashMap<u32, ChildId>,
    /// Which member of a pool had this main process before it waited for its next try.
    past_pids: HashMap<u32, ChildId>,
    ring: Ring,
    ledger: Ledger,
    rooms: Rooms,
    server: Server,
    followers: Followers,
    /// The connection in each place of the server.
    clients: HashMap<u32, ConnectionId>,
    program: Program,
    logger: Link,
    sewing: Sewing,
    keeper: Option<Link>,
    /// The lines to those that begin asleep, in the order of [`asleep::DOORS`]; `None`: it never ran.
    woken: [Option<Link>; asleep::DOORS.len()],
    keeping: Keeping,
    audience: Audience,
    /// Somebody may write spans and events for telemetry.
    telemetry_wanted: bool,
    boxes: Boxes,
    flag_variables: FlagVariables,
    deaths: Deaths,
    probes: readiness::Probes,
    watchdogs: Alarms,
    checks: Checks,
    memory: Memory,
    cgroups: Option<Tree>,
    /// Main processes that were reaped in this wake-up.
    dead: Vec<lives::Dead>,
    /// Deaths that were not yet told to the core.
    deaths_to_tell: VecDeque<lives::Dead>,
    /// Children without a cgroup whose main process is gone while helpers are still there.
    clearing: Vec<ChildId>,
    signals: Signals,
    poll: Poll,
    /// What has happened and was not yet told to the core.
    happened: VecDeque<Event>,
    actions: Vec<Action>,
    /// What the core wants done and is not done yet, with the moment at which it said so.
    to_do: VecDeque<(Instant, Action)>,
    /// [`Driver::work`] is going on.
    working: bool,
    /// When this turn has worked for long enough.
    turn_ends: Instant,
    /// [`Event::Deadline`] is among what has happened.
    deadline_told: bool,
    started: Instant,
    /// Since when not everything was as wanted.
    unsettled: Instant,
    next_crash: u64,
    /// Moments of the restarts within the last hour, oldest first.
    restarts: VecDeque<Instant>,
    /// Memory for the texts in what the logger is told.
    room: public::Room,
    /// Statuses that are being told.
    telling: Vec<tell::Telling>,
    /// Clients whose connection closes when everything is down.
    leaving: Vec<ConnectionId>,
    shutdowns: u32,
    /// A second look at something that could not be mended at once.
    look_again: Option<Instant>,
    /// The beginning is over: what only it needed can be given back.
    began: Beginning,
    end: Option<End>,
}

/// How far the beginning is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    /// Not everything was up yet.
    Now,
    /// Everything is up; memory is given back at the end of this turn.
    Over,
    /// That was done.
    Past,
}

impl Driver {
    /// Runs until everything is down. Returns why.
    ///
    /// # Errors
    /// Only when the poller itself fails, which leaves nothing that could be done.
    pub fn run(mut self) -> io::Result<End> {
        let mut events = mio::Events::with_capacity(1024);
        self.tell(Event::Boot);
        loop {
            self.settle();
            if let Some(end) = self.end {
                self.leave();
                return Ok(end);
            }
            match self.poll.poll(&mut events, self.timeout()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            self.turn_ends = clock::now() + TURN;
            for event in &events {
                self.on(Source::of(event.token()));
            }
            self.take_in_deaths();
            self.work();
            self.on_time();
        }
    }

    /// Nothing is left to supervise, or to take over.
    fn leave(&mut self) {
        self.end_revision();
        self.end_all_lookups();
        self.ledger.goodbye();
        predecessor::goodbye(self.rooms.project());
        self.rooms.leave();
        if let Some(tree) = self.cgroups.take() {
            for slot in &mut self.slots {
                if let Some(group) = slot.cgroup.take() {
                    let _ = tree.remove(group);
                }
            }
            let _ = tree.remove_all();
        }
    }

    /// Everything that a wake-up left to be sent goes out at its end, in one go.
    fn settle(&mut self) {
        if !self.to_delete.is_empty() {
            self.delete_who_is_down();
        }
        if self.core.ending().is_some() && self.rooms.is_watching() {
            self.unwatch_rooms();
        }
        self.feed_followers();
        self.go_on_telling();
        self.flush_links();
        self.make_spare_box();
        self.recycle();
        if self.began == Beginning::Over {
            self.began = Beginning::Past;
            memory::trim();
        }
    }

    fn on(&mut self, source: Source) {
        match source {
            Source::Signals => self.on_signals(),
            Source::Watch => self.mend(),
            Source::Listener => self.on_listener(),
            Source::Notify => self.on_notify(),
            Source::Logger => self.on_logger(),
            Source::Keeper => self.on_keeper(),
            Source::Exit(child) => self.on_exit(ChildId(child)),
            Source::Cgroup(child) => self.on_emptiness(ChildId(child)),
            Source::Probe(child) => self.on_probe(ChildId(child)),
            Source::Client(client) => self.on_client(client),
            Source::Revision => self.on_revision(),
            Source::Lookup(pid) => self.on_lookup(pid),
            Source::Host => self.on_host_death(),
            Source::Health(child) => self.on_health(ChildId(child)),
            Source::Door(door) => self.on_knock(door as usize),
            Source::Line(door) => self.on_woken(door as usize),
        }
    }

    /// Until the next deadline of anybody; `None`: for ever, so an idle supervisor is never woken.
    fn timeout(&self) -> Option<Duration> {
        if !(self.to_do.is_empty() && self.happened.is_empty() && self.deaths_to_tell.is_empty()) {
            return Some(Duration::ZERO);
        }
        let revising = self.revising.as_ref().map(|revising| revising.helper.deadline);
        let server = self.server.next_deadline();
        let watched = [self.watchdogs.next(), self.checks.next_deadline(), self.next_lookup()];
        [self.core.next_deadline(), server, self.probes.next_deadline(), self.look_again, revising]
            .into_iter()
            .chain(watched)
            .flatten()
            .min()
            .map(|deadline| deadline.since(clock::now()))
    }

    fn on_time(&mut self) {
        let now = clock::now();
        if self.core.next_deadline().is_some_and(|deadline| deadline <= now)
            && !std::mem::replace(&mut self.deadline_told, true)
        {
            self.tell(Event::Deadline);
        }
        if self.probes.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.try_ports(now);
        }
        self.look_at_watchdogs(now);
        self.look_at_health(now);
        if self.server.next_deadline().is_some_and(|deadline| deadline <= now) {
            // Left open, its deadline would be over at each turn, and the loop would do nothing but turn.
            for connection in self.server.expire(now) {
                self.drop_client(connection);
            }
        }
        if self.revising.as_ref().is_some_and(|revising| revising.helper.deadline <= now) {
            self.end_revision();
        }
        self.end_lookups(now);
        if self.look_again.is_some_and(|moment| moment <= now) {
            self.look_again = None;
            self.look_at_leftovers();
            self.mend();
        }
    }

    /// Tells the core what happened, and does what it wants done; also about what follows from that.
    fn tell(&mut self, event: Event) {
        self.happened.push_back(event);
        self.work();
    }

    /// Does what is to be done, in order, as far as this turn allows, and at least one thing: what is wanted done
    /// before the next event is told, and that before the next death.
    fn work(&mut self) {
        if std::mem::replace(&mut self.working, true) {
            return;
        }
        loop {
            if let Some((now, action)) = self.to_do.pop_front() {
                self.act(now, action);
            } else if let Some(event) = self.happened.pop_front() {
                self.deadline_told &= event != Event::Deadline;
                let now = clock::now();
                self.core.handle(now, event, &mut self.actions);
                self.to_do.extend(self.actions.drain(..).map(|action| (now, action)));
            } else if let Some(dead) = self.deaths_to_tell.pop_front() {
                self.tell_death(dead);
            } else {
                // What thousands needed at once is given back; what one restart needs is kept.
                self.to_do.shrink_to(256);
                self.deaths_to_tell.shrink_to(64);
                self.actions.shrink_to(256);
                break;
            }
            if clock::now() >= self.turn_ends {
                break;
            }
        }
        self.working = false;
    }

    fn act(&mut self, now: Instant, action: Action) {
        match action {
            Action::Start(child, incarnation) => self.start(child, incarnation),
            Action::Stop(child, incarnation) => self.stop(child, incarnation),
            Action::Kill(child, incarnation) => self.kill(child, incarnation),
            Action::Report(report) => self.report(now, report),
            Action::End(end) => {
                self.end = Some(match (end, self.finished) {
                    (End::LimitReached(_), Some(by)) => End::Finished(by),
                    (end, _) => end,
                });
            }
        }
    }

    fn on_signals(&mut self) {
        let arrived: Vec<i32> = self.signals.pending().collect();
        for signal in arrived {
            match signal {
                libc::SIGTERM | libc::SIGINT => self.asked_to_end(),
                libc::SIGQUIT => {
                    self.shutdowns = self.shutdowns.max(1);
                    self.tell(Event::Command(Command::Hurry));
                }
                libc::SIGHUP => self.reload_by_signal(),
                libc::SIGUSR1 => self.reopen_logs(),
                libc::SIGUSR2 => self.dump(),
                libc::SIGCHLD => self.reap_strangers(),
                _ => {}
            }
        }
    }

    /// The first time everything is stopped in order; the second time it hurries, and says so.
    fn asked_to_end(&mut self) {
        self.shutdowns += 1;
        if self.shutdowns == 1 {
            self.begin_shutdown();
        } else {
            self.warn("asked to stop a second time: killing what is left");
            self.tell(Event::Command(Command::Hurry));
        }
    }

    fn begin_shutdown(&mut self) {
        self.note(ring::Subject::Tree, ring::Note::ShuttingDown);
        self.tell(Event::Command(Command::Shutdown));
    }

    /// The process that embeds us has ended, and we are to end with it.
    fn on_host_death(&mut self) {
        if let Some(host) = self.options.host.take() {
            self.unwatch(&host);
        }
        if self.shutdowns == 0 {
            self.shutdowns = 1;
            self.begin_shutdown();
        }
    }

    /// Orphans that we inherited as the subreaper are reaped; services are not, they have their pidfds.
    fn reap_strangers(&mut self) {
        loop {
            let (pids, checks) = (&self.pids, &self.checks);
            let is_known = |pid| pids.contains_key(&pid) || checks.command_of(pid).is_some();
            match pidfd::reap_strangers(is_known, |_, _| {}) {
                Ok(pidfd::Reaped::ServiceFirst(pid)) => match (self.pids.get(&pid), checks.command_of(pid)) {
                    (Some(child), _) => self.on_exit(*child),
                    (None, Some(child)) => self.on_health(child),
                    (None, None) => break,
                },
                Ok(pidfd::Reaped::All) | Err(_) => break,
            }
        }
        self.look_at_leftovers();
    }

    fn watch(&self, source: Source, descriptor: impl AsFd, interest: Interest) -> io::Result<()> {
        let raw = descriptor.as_fd().as_raw_fd();
        self.poll.registry().register(&mut SourceFd(&raw), source.token(), interest)
    }

    /// Always before the descriptor is closed (S4).
    fn unwatch(&self, descriptor: impl AsFd) {
        let raw = descriptor.as_fd().as_raw_fd();
        let _ = self.poll.registry().deregister(&mut SourceFd(&raw));
    }

    fn warn(&mut self, message: impl Into<String>) {
        let what = crate::ipc::control::What::Warning { message: message.into() };
        self.note_other(String::new(), what);
    }

    fn slot(&mut self, child: ChildId) -> &mut Slot {
        &mut self.slots[child.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_source() {
        for source in [
            Source::Signals,
            Source::Watch,
            Source::Listener,
            Source::Notify,
            Source::Logger,
            Source::Keeper,
            Source::Exit(0),
            Source::Exit(u32::MAX),
            Source::Cgroup(7),
            Source::Probe(7),
            Source::Client(u32::MAX),
            Source::Revision,
            Source::Host,
            Source::Health(7),
            Source::Door(1),
            Source::Line(1),
        ] {
            assert_eq!(Source::of(source.token()), source);
        }
    }
}
