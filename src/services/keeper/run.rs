//! The keeper's loop: wait → take what came → decide, journal, publish, answer → ask the guard → look.
//!
//! One thread. It waits for clients, the supervisor, probes, changes in the runtime directory, what the guard waits for,
//! and a look each second at the board and the journal (B6). It blocks on nothing but the disk.

use super::ground::Actor;
use super::host;
use super::office::Office;
use super::publish::Publisher;
use super::round;
use super::seen::seen;
use crate::flags::guard::{Fact, Mode, Moment};
use crate::flags::{Asking, Catalog, Planned, View};
use crate::ipc::builtin::{ToKeeper, Told};
use crate::ipc::control::What;
use crate::ipc::declared::Declarations;
use crate::ipc::flags::{Flags, Reply, Request, Where};
use crate::ipc::notify;
use crate::ipc::server::Server;
use crate::services::Arguments;
use crate::services::desk::{Asked, Client, Desk};
use crate::services::line::Line;
use crate::store::{self, Store};
use crate::sys::ready::{self, Want};
use crate::sys::{clock, disk, inherited, user};
use crate::time::{Duration, Instant};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where the listening socket is handed down, the line to the supervisor, the declarations.
const LISTENER: i32 = 3;
const LINE: i32 = 4;
const DECLARATIONS: i32 = 5;

/// The board and the journal are looked at this often, whatever happens.
const LOOK: Duration = Duration::from_secs(1);
/// While no board stands, first after this, doubling to the above.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// A supervisor that does not say what a new life must know is waited for no longer than this.
const GREETING: Duration = Duration::from_secs(2);

/// The keeper, until it is killed.
pub(super) fn run(arguments: &Arguments) -> Result<std::convert::Infallible, String> {
    // First: nothing else may get these numbers.
    let listener = inherited::take(LISTENER)
        .map_err(|e| format!("no listening socket was handed down as descriptor 3: {e}"))?;
    let line = Line::new(inherited::take(LINE).ok());
    let declared = match inherited::take(DECLARATIONS).ok() {
        Some(memory) => read_declarations(&File::from(memory))?,
        None => Declarations::default(),
    };
    let server =
        Server::from_listener(listener).map_err(|e| format!("cannot listen on descriptor 3: {e}"))?;
    // A dying predecessor holds it a moment longer: the kernel wakes us when it is gone (B1).
    let _lock = lock(arguments)?;
    let mut store = Store::open(&arguments.state);
    let catalog = Catalog::new(declared.flags.clone(), declared.migrations.clone());
    let board = Publisher::new(&arguments.runtime);
    let mut office = Office::new(catalog, board, line, host::id(), host::boot());
    adopt(arguments, &declared, &mut office, &mut store);
    let now = clock::now();
    let mut keeper = Keeper {
        store,
        greeting: office.line.is_there().then(|| now + GREETING),
        hello: None,
        office,
        desk: Desk::new(server),
        names: HashMap::new(),
        ready_to: std::env::var_os("NOTIFY_SOCKET").map(PathBuf::from),
        in_trouble: false,
        audit_in_trouble: false,
        look_at: now,
        look_again: LOOK_AGAIN,
    };
    loop {
        keeper.turn().map_err(|e| format!("cannot wait: {e}"))?;
    }
}

/// What the configuration says now, against what it said when a keeper last began.
fn adopt(arguments: &Arguments, declared: &Declarations, office: &mut Office, store: &mut Store) {
    let before = store::declared::recall(&arguments.state);
    let switch = before.as_ref().map_or(Mode::default(), |before| before.guard);
    let known = before.map(|before| Catalog::new(before.flags, before.migrations));
    office.begin(store, |view: &View<'_>, now: &Moment, generation| {
        let asking = Asking {
            generation,
            now: *now,
            uid: nix::unistd::geteuid().as_raw(),
            actor: "configuration",
            reason: "another configuration is in force",
            override_ban: false,
        };
        let mut planned = match &known {
            Some(before) => crate::flags::adopt(before, view, &asking),
            None => Planned::new("load"),
        };
        // Whoever moved it by hand is overruled by a configuration that says something new, and by no other.
        if declared.guard != switch && declared.guard != view.facts.switch {
            planned.facts.push(Fact::Switch(declared.guard));
        }
        planned
    });
    // Where it cannot be left, readers without board and keeper know only what was set.
    let _ = store::declared::save(&arguments.state, declared);
}

/// On a disk where nothing can be made, the directories serve instead, down to one that is there.
fn lock(arguments: &Arguments) -> Result<File, String> {
    let flags = store::directory(&arguments.state);
    let made = disk::make_dir(&flags).and_then(|()| disk::lock(&flags.join("lock")));
    let first = match made {
        Ok(lock) => return Ok(lock),
        Err(e) => e,
    };
    // Not these directories themselves: their locks are the supervisor's.
    for directory in [&flags, &arguments.runtime.join(".kept")] {
        if let Ok(lock) = disk::lock_dir(directory) {
            return Ok(lock);
        }
    }
    Err(format!("cannot lock `{}`: {first}", flags.join("lock").display()))
}

fn read_declarations(memory: &File) -> Result<Declarations, String> {
    let broken = |what: String| format!("the flag declarations (descriptor 5) are broken: {what}");
    let size = memory.metadata().map_err(|e| broken(e.to_string()))?.len();
    let mut bytes = vec![0; usize::try_from(size).map_err(|e| broken(e.to_string()))?];
    // By position: the descriptor shares its offset with the supervisor's and with earlier lives.
    memory.read_exact_at(&mut bytes, 0).map_err(|e| broken(e.to_string()))?;
    Declarations::decode(&bytes).map_err(|e| broken(e.to_string()))
}

struct Keeper {
    store: Store,
    office: Office,
    desk: Desk<Flags>,
    /// Names of users, looked up once.
    names: HashMap<u32, String>,
    /// Until then the supervisor is waited for; `None`: it has said everything, or is not there.
    greeting: Option<Instant>,
    /// The supervisor's run, and whether the one before ended without a goodbye, until it has said everything.
    hello: Option<(u64, bool)>,
    /// Whom to tell that the board stands; `None` when that was done.
    ready_to: Option<PathBuf>,
    in_trouble: bool,
    audit_in_trouble: bool,
    look_at: Instant,
    look_again: Duration,
}

impl Keeper {
    fn turn(&mut self) -> io::Result<()> {
        let woken = self.wait()?;
        let now = clock::now();
        self.hear(now);
        if self.greeting.is_some_and(|until| now < until) {
            // Shares by instance, and what must be taken back before anything starts, are not known yet.
            return Ok(());
        }
        self.greeting = None;
        self.office.tell_board();
        self.office.count_instances(&self.store);
        self.answer(now);
        self.office.act(&mut self.store, now);
        self.desk.push_answers(now);
        self.desk.expire(now);
        if woken || now >= self.look_at {
            self.look();
            let stands = self.office.board.stands();
            self.look_again = if stands { LOOK_AGAIN } else { (self.look_again * 2).min(LOOK) };
            self.look_at = now + if stands { LOOK } else { self.look_again };
        }
        self.office.tell_board();
        Ok(())
    }

    /// Waits until something is to be done; true: something happened in the runtime directory.
    fn wait(&self) -> io::Result<bool> {
        let office = &self.office;
        let mut wants = Vec::new();
        let until = match self.greeting {
            Some(until) => until,
            None => {
                let deadlines = [self.desk.next_deadline(), office.next_deadline(&self.store)];
                deadlines.into_iter().flatten().fold(self.look_at, Instant::min)
            }
        };
        if let Some(fd) = office.board.watched() {
            wants.push(Want { fd, read: true, write: false });
        }
        let watching = wants.len();
        if let Some((fd, write)) = office.line.fd() {
            wants.push(Want { fd, read: true, write });
        }
        if self.greeting.is_none() {
            office.probes.wants(&mut wants);
            self.desk.wants(&mut wants);
        }
        let ready = ready::wait(&wants, Some(until.since(clock::now())))?;
        Ok(ready[..watching].contains(&true) && office.board.something_happened())
    }

    /// What the supervisor says.
    fn hear(&mut self, now: Instant) {
        self.office.line.flush();
        while let Some((message, descriptor)) = self.office.line.hear() {
            match (&message, descriptor) {
                (ToKeeper::Listen, Some(socket)) => self.listen(socket),
                (ToKeeper::Listen, None) => {}
                (ToKeeper::Look, _) => self.look_at = Instant::ZERO,
                (ToKeeper::Tree(Told::Begin), _) => {
                    self.greeting = None;
                    if let Some((run, abrupt)) = self.hello.take() {
                        self.office.hear_begin(now, run, abrupt);
                    }
                }
                (_, descriptor) => {
                    if let ToKeeper::Hello { run, abrupt } = message {
                        self.hello = Some((run, abrupt));
                    }
                    self.office.hear(&self.store, now, &message, descriptor);
                }
            }
        }
        if !self.office.line.is_there() {
            self.greeting = None;
        }
    }

    fn listen(&mut self, socket: OwnedFd) {
        match Server::from_listener(socket) {
            Ok(server) => self.desk.serve(server),
            Err(e) => self.trouble(format!("a new listening socket cannot be used: {e}")),
        }
    }

    fn answer(&mut self, now: Instant) {
        let asked = self.desk.take_requests(now).into_iter();
        let asked: Vec<round::Asked<Client>> = asked.map(|asked| by_name(&mut self.names, asked)).collect();
        if asked.is_empty() {
            return;
        }
        if asked.iter().any(|asked| asked.request.changes()) {
            self.office.look_before_a_change(now);
        }
        let floor = self.office.board.generation();
        let answers = round::answer(&mut self.office, &mut self.store, floor, &asked);
        // A change may have made a new board.
        self.office.tell_board();
        for ((to, mut replies), asked) in answers.into_iter().zip(&asked) {
            let refused = matches!(replies.last(), Some(Reply::Refused(_)));
            match &asked.request {
                Request::Where => replies.insert(0, Reply::Where(self.where_everything_is())),
                Request::Seen { flags } if !refused => {
                    replies.splice(0..0, self.who_has_seen(flags, now));
                }
                _ => {}
            }
            self.desk.answer(to, replies);
        }
        self.mind_the_store();
        self.desk.push_answers(now);
    }

    fn who_has_seen(&self, flags: &[String], now: Instant) -> Vec<Reply> {
        let board = &self.office.board;
        let word = |flag: &str| (board.body(flag), board.changed_at(flag));
        seen(&self.office.truths(&self.store), &self.office.lives, flags, now, word)
    }

    fn where_everything_is(&self) -> Where {
        let text = |path: &Path| path.display().to_string();
        Where {
            pid: std::process::id(),
            board: text(&self.office.board.path()),
            journal: text(&self.store.path()),
            epoch: self.store.epoch(),
            generation: self.store.state().generation(),
            flags: u32::try_from(self.office.catalog.flags().count()).unwrap_or(u32::MAX),
            trouble: self.store.trouble().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// The look at the board (B6), at the journal, and at who must be told.
    fn look(&mut self) {
        self.store.tend();
        self.mind_the_store();
        let looked = self.office.look(&self.store);
        for what in looked.repaired {
            self.office.note(String::new(), What::Repaired { what });
        }
        if let Some(message) = looked.trouble {
            self.trouble(message);
        }
        if self.office.board.stands() {
            self.say_ready();
        }
    }

    /// Told once for each time that it begins, and when it ends.
    fn mind_the_store(&mut self) {
        for found in self.store.take_found() {
            match found {
                store::Found::Tail { .. } | store::Found::Torn { .. } => {
                    self.office.note(String::new(), What::Repaired { what: found.to_string() });
                }
                store::Found::Damage { .. } => self.trouble(found.to_string()),
            }
        }
        let journal = self.store.trouble().map(|t| format!("flag changes are refused: {t}. {}", t.hint()));
        let audit = self.store.audit_trouble();
        let was = std::mem::replace(&mut self.in_trouble, journal.is_some());
        self.say_once(was, journal, "the journal: it can be written again");
        let was = std::mem::replace(&mut self.audit_in_trouble, audit.is_some());
        self.say_once(was, audit, "the audit log: it can be written again, and has every change");
    }

    fn say_once(&mut self, was: bool, trouble: Option<String>, healed: &str) {
        match trouble {
            Some(message) if !was => self.trouble(message),
            None if was => self.office.note(String::new(), What::Repaired { what: healed.to_owned() }),
            Some(_) | None => {}
        }
    }

    fn trouble(&mut self, message: String) {
        self.office.note(String::new(), What::Warning { message });
    }

    fn say_ready(&mut self) {
        if let Some(socket) = &self.ready_to {
            // Nobody there yet, or its queue is full: said again at the next look.
            if notify::send(socket, "READY=1").is_ok() {
                self.ready_to = None;
            }
        }
    }
}

fn by_name(names: &mut HashMap<u32, String>, asked: Asked<Request>) -> round::Asked<Client> {
    let Asked { to, peer, request } = asked;
    let name = names.entry(peer.uid);
    let name = name.or_insert_with(|| user::name(peer.uid).unwrap_or_else(|| peer.uid.to_string())).clone();
    round::Asked { to, who: Actor { uid: peer.uid, name }, request }
}
