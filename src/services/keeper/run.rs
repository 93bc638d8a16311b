//! The keeper's loop: wait → take what came → decide, journal, publish, answer → look.
//!
//! One thread. It waits for clients, the supervisor, changes in the runtime directory, and a look each
//! second at the board and the journal (B6). It blocks on nothing but the disk.

use super::Arguments;
use super::handle::{Actor, Declared};
use super::line::Line;
use super::publish::Publisher;
use super::round::{self, Asked};
use crate::ipc::builtin::{FromKeeper, ToKeeper};
use crate::ipc::control::What;
use crate::ipc::declared::Declarations;
use crate::ipc::flags::{Flags, Reply, Request, Where};
use crate::ipc::notify;
use crate::ipc::server::{ConnectionId, Received, SendError, Server, Still};
use crate::store::{self, Store};
use crate::sys::ready::{self, Want};
use crate::sys::{clock, disk, inherited, user};
use crate::time::{Duration, Instant};
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
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
/// So many listening sockets are served: whose name was deleted may still have clients in its backlog.
const LISTENERS: usize = 4;

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
    let store = Store::open(&arguments.state);
    // Where it cannot be left, readers without board and keeper know only what was set.
    let _ = store::declared::save(&arguments.state, &declared);
    let declared = Declared::new(declared.flags);
    let board = Publisher::new(&arguments.runtime);
    let mut keeper = Keeper {
        declared,
        store,
        board,
        line,
        servers: VecDeque::from([server]),
        answering: HashMap::new(),
        names: HashMap::new(),
        ready_to: std::env::var_os("NOTIFY_SOCKET").map(PathBuf::from),
        in_trouble: false,
        look_at: clock::now(),
        look_again: LOOK_AGAIN,
    };
    loop {
        keeper.turn().map_err(|e| format!("cannot wait: {e}"))?;
    }
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

/// A connection of one of the servers.
type Client = (u64, ConnectionId);

struct Keeper {
    declared: Declared,
    store: Store,
    board: Publisher,
    line: Line,
    /// The newest last.
    servers: VecDeque<Server<Flags>>,
    /// What is still to be said to whom.
    answering: HashMap<Client, VecDeque<Reply>>,
    /// Names of users, looked up once.
    names: HashMap<u32, String>,
    /// Whom to tell that the board stands; `None` when that was done.
    ready_to: Option<PathBuf>,
    in_trouble: bool,
    look_at: Instant,
    look_again: Duration,
}

impl Keeper {
    fn turn(&mut self) -> io::Result<()> {
        let woken = self.wait()?;
        let now = clock::now();
        self.hear();
        let asked = self.take_requests(now);
        if !asked.is_empty() {
            self.answer(&asked, now);
        }
        self.push_answers(now);
        self.expire(now);
        if woken || now >= self.look_at {
            self.look();
            self.look_again = if self.board.stands() { LOOK_AGAIN } else { (self.look_again * 2).min(LOOK) };
            self.look_at = now + if self.board.stands() { LOOK } else { self.look_again };
        }
        Ok(())
    }

    /// Waits until something is to be done; true: something happened in the runtime directory.
    fn wait(&self) -> io::Result<bool> {
        let deadlines = self.servers.iter().filter_map(Server::next_deadline);
        let until = deadlines.fold(self.look_at, Instant::min);
        let mut wants = Vec::new();
        if let Some(fd) = self.board.watched() {
            wants.push(Want { fd, read: true, write: false });
        }
        let watching = wants.len();
        if let Some((fd, write)) = self.line.fd() {
            wants.push(Want { fd, read: true, write });
        }
        for server in &self.servers {
            if server.can_accept() {
                wants.push(Want { fd: server.listener_fd(), read: true, write: false });
            }
            for id in server.connections() {
                let Some(fd) = server.fd(id) else { continue };
                wants.push(Want { fd, read: server.wants_read(id), write: server.wants_write(id) });
            }
        }
        let ready = ready::wait(&wants, Some(until.since(clock::now())))?;
        Ok(ready[..watching].contains(&true) && self.board.something_happened())
    }

    /// What the supervisor says.
    fn hear(&mut self) {
        self.line.flush();
        while let Some((message, descriptor)) = self.line.hear() {
            match (message, descriptor) {
                (ToKeeper::Listen, Some(socket)) => match Server::from_listener(socket) {
                    Ok(server) => self.serve(server),
                    Err(e) => self.trouble(format!("a new listening socket cannot be used: {e}")),
                },
                (ToKeeper::Listen, None) => {}
                (ToKeeper::Look, _) => self.look_at = Instant::ZERO,
                _ => {}
            }
        }
    }

    fn serve(&mut self, server: Server<Flags>) {
        if self.servers.len() == LISTENERS {
            self.servers.pop_front();
        }
        self.servers.push_back(server);
    }

    fn take_requests(&mut self, now: Instant) -> Vec<Asked<Client>> {
        let mut asked = Vec::new();
        for server in &mut self.servers {
            // Whoever connects has mostly sent already: one wake-up does both.
            while server.accept(now).is_some() {}
            let number = number(server);
            for id in server.connections().collect::<Vec<_>>() {
                match server.readable(id, now) {
                    Received::Nothing => {}
                    Received::Request(request, peer) => {
                        let who = Actor { uid: peer.uid, name: name_of(&mut self.names, peer.uid) };
                        asked.push(Asked { to: (number, id), who, request });
                    }
                    Received::Closed => {
                        self.answering.remove(&(number, id));
                        server.close(id);
                    }
                }
            }
        }
        asked
    }

    fn answer(&mut self, asked: &[Asked<Client>], now: Instant) {
        let Keeper { declared, store, board, line, .. } = self;
        let floor = board.generation();
        let answers = round::answer(declared, store, clock::wall(), floor, asked, |store, changes| {
            board.publish(declared, store, changes);
            for news in round::news(declared, changes) {
                line.say(&news);
            }
        });
        for ((to, mut replies), asked) in answers.into_iter().zip(asked) {
            if asked.request == Request::Where {
                replies.insert(0, Reply::Where(self.where_everything_is()));
            }
            self.answering.insert(to, replies.into());
        }
        self.mind_the_store();
        self.push_answers(now);
    }

    fn where_everything_is(&self) -> Where {
        let text = |path: &Path| path.display().to_string();
        Where {
            pid: std::process::id(),
            board: text(&self.board.path()),
            journal: text(&self.store.path()),
            epoch: self.store.epoch(),
            generation: self.store.state().generation(),
            flags: u32::try_from(self.declared.count()).unwrap_or(u32::MAX),
            trouble: self.store.trouble().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// Says what can be said now: a long list goes in pieces, as its reader takes them.
    fn push_answers(&mut self, now: Instant) {
        for server in &mut self.servers {
            let number = number(server);
            for id in server.connections().collect::<Vec<_>>() {
                let client = (number, id);
                let still = match self.answering.get_mut(&client) {
                    Some(replies) => {
                        let still = say(server, id, replies, now);
                        if replies.is_empty() {
                            self.answering.remove(&client);
                        }
                        still
                    }
                    None if server.wants_write(id) => server.writable(id, now),
                    None => Still::Open,
                };
                if still == Still::Closed {
                    self.answering.remove(&client);
                    server.close(id);
                }
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        for server in &mut self.servers {
            let number = number(server);
            for id in server.expire(now) {
                self.answering.remove(&(number, id));
                server.close(id);
            }
        }
    }

    /// The look at the board (B6), at the journal, and at who must be told.
    fn look(&mut self) {
        self.store.tend();
        self.mind_the_store();
        let looked = self.board.look(&self.declared, &self.store);
        for what in looked.repaired {
            self.note(What::Repaired { what });
        }
        if let Some(message) = looked.trouble {
            self.trouble(message);
        }
        if self.board.stands() {
            self.say_ready();
        }
    }

    /// Told once for each time that it begins, and when it ends.
    fn mind_the_store(&mut self) {
        for found in self.store.take_found() {
            match found {
                store::Found::Tail { .. } | store::Found::Torn { .. } => {
                    self.note(What::Repaired { what: found.to_string() });
                }
                store::Found::Damage { .. } => self.trouble(found.to_string()),
            }
        }
        match (self.store.trouble().map(|t| (t.to_string(), t.hint())), self.in_trouble) {
            (Some((what, hint)), false) => {
                self.in_trouble = true;
                self.trouble(format!("flag changes are refused: {what}. {hint}"));
            }
            (None, true) => {
                self.in_trouble = false;
                self.note(What::Repaired { what: "the journal: it can be written again".into() });
            }
            (Some(_), true) | (None, false) => {}
        }
    }

    fn trouble(&mut self, message: String) {
        self.note(What::Warning { message });
    }

    fn note(&mut self, what: What) {
        self.line.say(&FromKeeper::Noted { name: String::new(), what });
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

/// Says what the client takes; what is left stays in `replies`.
fn say(server: &mut Server<Flags>, id: ConnectionId, replies: &mut VecDeque<Reply>, now: Instant) -> Still {
    while let Some(reply) = replies.front() {
        match server.send(id, reply) {
            Ok(()) => drop(replies.pop_front()),
            Err(SendError::TooSlow) => return server.flush(id, now),
            Err(SendError::Closed) => return Still::Closed,
            // Ours are bounded far below a frame.
            Err(SendError::TooLong) => drop(replies.pop_front()),
        }
    }
    server.finish(id, now)
}

/// What tells one server's connections from another's for as long as both live.
fn number(server: &Server<Flags>) -> u64 {
    use std::os::fd::AsRawFd;
    server.listener_fd().as_fd().as_raw_fd() as u64
}

fn name_of(names: &mut HashMap<u32, String>, uid: u32) -> String {
    names.entry(uid).or_insert_with(|| user::name(uid).unwrap_or_else(|| uid.to_string())).clone()
}
