//! The runtime directory and the sockets in it: made, locked, watched, and made again when they are gone.
//!
//! Locks are flocks on the directories themselves, so nothing that can be deleted inside of them matters;
//! only their holder may replace a stale socket. A wiped runtime directory costs nothing: every name is
//! put back, and clients that were connected stay connected.

use super::asleep::DOORS;
use crate::ledger::{self, Past};
use crate::paths::Project;
use crate::sys::directory::{self, DirectoryError};
use crate::sys::socket::{self, Kind, Received};
use crate::sys::watch::{Interest, Watch, WatchId};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const RUNTIME_MODE: u32 = 0o711;
const PRIVATE_MODE: u32 = 0o700;
const LOGS_MODE: u32 = 0o750;
/// Directories inside the runtime directory.
const INSIDE: [&str; 2] = ["control", ".kept"];

/// Why a project's rooms could not be entered.
#[derive(Debug)]
pub enum Taken {
    /// Another supervisor is there: its pid if it is known.
    Running(Option<u32>),
    /// A directory is not fit.
    Directory(DirectoryError),
    /// A socket or a watch cannot be made.
    Unusable(PathBuf, io::Error),
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Taken::Running(Some(pid)) => {
                write!(f, "a supervisor of this project is already running: pid {pid}")
            }
            Taken::Running(None) => f.write_str("a supervisor of this project is already running"),
            Taken::Directory(error) => error.fmt(f),
            Taken::Unusable(path, error) => write!(f, "cannot use `{}`: {error}", path.display()),
        }
    }
}

impl std::error::Error for Taken {}

/// A socket with a name, and the file that the name led to when it was bound.
struct Named {
    socket: Arc<OwnedFd>,
    path: PathBuf,
    kind: Kind,
    mode: u32,
    file: (u64, u64),
}

impl Named {
    /// Replaces what is there: only the holder of the directories' locks may.
    fn bind(kind: Kind, path: PathBuf, mode: u32) -> Result<Named, Taken> {
        let bound = directory_is_in_the_way(&path).and_then(|()| match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => socket::bind(kind, &path, mode),
        });
        match bound {
            Ok(socket) => {
                let file = file_at(&path).unwrap_or_default();
                Ok(Named { socket: Arc::new(socket), path, kind, mode, file })
            }
            Err(error) => Err(Taken::Unusable(path, error)),
        }
    }

    /// True when the name had to be bound again.
    fn mend(&mut self) -> Result<bool, Taken> {
        if file_at(&self.path) == Some(self.file) {
            return Ok(false);
        }
        *self = Named::bind(self.kind, self.path.clone(), self.mode)?;
        Ok(true)
    }
}

/// A directory that is ours until this is dropped.
struct Locked(OwnedFd);

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing would not do it: other threads of a host start programs, too, and who is between fork and exec
        // has copies of all our descriptors.
        let _ = directory::unlock(&self.0);
    }
}

/// The rooms of one project, locked for as long as this lives.
pub struct Rooms {
    project: Project,
    runtime: Locked,
    _state: Locked,
    supervisor: Named,
    keeper: Named,
    notify: Named,
    /// In the order of [`DOORS`].
    doors: Vec<Named>,
    watch: Watch,
    /// What is watched; nothing from the beginning of the end on.
    watched: Vec<WatchId>,
}

/// What had to be made again.
#[derive(Debug, Default)]
pub struct Mended {
    /// In words, one each.
    pub what: Vec<String>,
    /// The control socket is a new one.
    pub supervisor: bool,
    /// The keeper's socket is a new one.
    pub keeper: bool,
    /// The notify socket is a new one.
    pub notify: bool,
    /// The sockets of these [`DOORS`] are new ones.
    pub doors: Vec<usize>,
    /// The watch is a new one.
    pub watch: bool,
    /// Something could not be mended: look again soon.
    pub again: bool,
}

impl Rooms {
    /// Makes, checks and locks the directories, and opens the sockets. Also says what an earlier
    /// supervisor left.
    ///
    /// # Errors
    /// [`Taken`].
    pub fn enter(project: &Project) -> Result<(Rooms, Past), Taken> {
        let runtime = lock(&project.runtime, RUNTIME_MODE)?;
        let state = lock(&project.state, PRIVATE_MODE)?;
        directory::open(&project.logs, LOGS_MODE).map_err(Taken::Directory)?;
        let past = ledger::past(runtime.0.as_fd());
        for name in INSIDE {
            make_inside(&project.runtime.join(name))?;
        }
        let at = |name: &str| project.runtime.join(name);
        let (watch, watched) = watch(&project.runtime)?;
        let rooms = Rooms {
            supervisor: Named::bind(Kind::Stream, at("control/supervisor"), 0o600)?,
            keeper: Named::bind(Kind::Stream, at("control/keeper"), 0o600)?,
            notify: Named::bind(Kind::Datagram, at("notify"), 0o666)?,
            doors: DOORS
                .iter()
                .map(|door| Named::bind(door.kind, at(door.name), door.mode))
                .collect::<Result<_, _>>()?,
            watch,
            watched,
            project: project.clone(),
            runtime,
            _state: state,
        };
        Ok((rooms, past))
    }

    /// The directories.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The runtime directory's path.
    pub fn runtime(&self) -> &Path {
        &self.project.runtime
    }

    /// The runtime directory.
    pub fn runtime_fd(&self) -> BorrowedFd<'_> {
        self.runtime.0.as_fd()
    }

    /// The control socket, once more.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn listener(&self) -> io::Result<OwnedFd> {
        self.supervisor.socket.try_clone()
    }

    /// The socket that the keeper serves.
    pub fn keeper_listener(&self) -> Arc<OwnedFd> {
        self.keeper.socket.clone()
    }

    /// The socket of one of the doors (`DOORS`).
    pub fn door(&self, door: usize) -> Arc<OwnedFd> {
        self.doors[door].socket.clone()
    }

    /// Where services say that they are ready.
    pub fn notify(&self) -> BorrowedFd<'_> {
        self.notify.socket.as_fd()
    }

    /// Readable when something changed in the directories.
    pub fn watch(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    /// The next datagram and who sent it.
    ///
    /// # Errors
    /// Those of `recvmsg`.
    pub fn receive_notification(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        socket::receive(self.notify(), buffer)
    }

    /// Takes the names of the sockets away: nobody answers there any more.
    pub fn leave(&self) {
        for named in [&self.supervisor, &self.keeper, &self.notify].into_iter().chain(&self.doors) {
            let _ = fs::remove_file(&named.path);
        }
    }

    /// Whether [`Rooms::watch`] tells when something is worth a look.
    pub fn is_watching(&self) -> bool {
        !self.watched.is_empty()
    }

    /// Nothing is watched any more. The kernel takes ten milliseconds to forget it, and the end of a process waits for
    /// that; so it is told when the end begins.
    pub fn watch_no_more(&mut self) {
        self.watched.drain(..).for_each(|id| self.watch.remove(id));
    }

    /// Looks at every name and makes again what is gone or is not ours.
    pub fn mend(&mut self) -> Mended {
        let _ = self.watch.read();
        let mut mended = Mended::default();
        if let Err(error) = self.mend_all(&mut mended) {
            mended.what.push(format!("mending the runtime directory failed: {error}"));
            mended.again = true;
        }
        mended
    }

    fn mend_all(&mut self, mended: &mut Mended) -> Result<(), Taken> {
        let path = self.project.runtime.clone();
        if !is_at(&path, self.runtime.0.as_fd()) {
            // Nobody else can hold the new one: the state directory's lock is ours.
            self.runtime = lock(&path, RUNTIME_MODE)?;
            mended.what.push("the runtime directory was gone".into());
        }
        for name in INSIDE {
            if make_inside(&path.join(name))? {
                mended.what.push(format!("`{name}` was gone"));
            }
        }
        if !mended.what.is_empty() && self.is_watching() {
            (self.watch, self.watched) = watch(&path)?;
            mended.watch = true;
        }
        mended.supervisor = self.supervisor.mend()?;
        mended.keeper = self.keeper.mend()?;
        mended.notify = self.notify.mend()?;
        for (at, door) in self.doors.iter_mut().enumerate() {
            if door.mend()? {
                mended.doors.push(at);
            }
        }
        let fixed = [(mended.supervisor, "supervisor"), (mended.keeper, "keeper"), (mended.notify, "notify")];
        let fixed = fixed.into_iter().filter(|(new, _)| *new).map(|(_, name)| name);
        let doors = mended.doors.iter().map(|door| DOORS[*door].name.trim_start_matches("control/"));
        for name in fixed.chain(doors) {
            mended.what.push(format!("the socket `{name}` was gone"));
        }
        Ok(())
    }
}

fn lock(path: &Path, mode: u32) -> Result<Locked, Taken> {
    let opened = directory::open(path, mode).map_err(Taken::Directory)?;
    match directory::lock(&opened) {
        Ok(true) => Ok(Locked(opened)),
        Ok(false) => {
            let holder = directory::lock_holder(&opened);
            Err(Taken::Running(holder.or_else(|| ledger::past(opened.as_fd()).supervisor)))
        }
        Err(error) => Err(Taken::Unusable(path.to_owned(), error)),
    }
}

/// True when it was not there, or something else was in its place.
fn make_inside(path: &Path) -> Result<bool, Taken> {
    let there = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    if !there {
        // A file or link in its place is not ours to keep. Nothing there: nothing to remove.
        let _ = fs::remove_file(path);
    }
    directory::open(path, PRIVATE_MODE).map_err(Taken::Directory)?;
    Ok(!there)
}

/// A socket cannot be bound over a directory; an empty one is moved out of the way.
fn directory_is_in_the_way(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        _ => Ok(()),
    }
}

fn watch(runtime: &Path) -> Result<(Watch, Vec<WatchId>), Taken> {
    let made = Watch::new().and_then(|watch| {
        let mut watched = vec![watch.add(runtime, Interest::Names)?];
        for name in INSIDE {
            watched.push(watch.add(&runtime.join(name), Interest::Names)?);
        }
        Ok((watch, watched))
    });
    made.map_err(|error| Taken::Unusable(runtime.to_owned(), error))
}

fn file_at(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Whether this path still leads to this open directory.
fn is_at(path: &Path, opened: BorrowedFd<'_>) -> bool {
    let (Ok(there), Ok(ours)) = (File::open(path).and_then(|f| f.metadata()), rustix::fs::fstat(opened))
    else {
        return false;
    };
    (there.dev(), there.ino()) == (ours.st_dev, ours.st_ino)
}
