//! A keeper of a test's own: directories, socket, line and declarations as a supervisor would hand them
//! down, and lives that end with the test.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used)]

use mainstay::flags::{Declaration, Truth, Value};
use mainstay::ipc::builtin::{FromKeeper, ToKeeper, Told};
use mainstay::ipc::codec;
use mainstay::ipc::control::Refusal;
use mainstay::ipc::declared::Declarations;
use mainstay::ipc::flags::{Changed, Edit, How, Reply, Request, To, Where};
use mainstay::services::keeper::client::{self, AskError};
use mainstay::store::{self, State};
use mainstay::sys::socket;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than anything takes; what is not there by then never comes.
pub const WATCHDOG: Duration = Duration::from_secs(60);

/// The directories of one project, and what its supervisor holds.
pub struct Home {
    _own: Option<tempfile::TempDir>,
    place: PathBuf,
    listener: UnixListener,
    line: Mutex<Line>,
    notify: UnixDatagram,
}

/// Between a supervisor and one life of its keeper. Each life has a new one, as the driver gives it: what was said to the
/// last life and not heard is not said to the next.
struct Line {
    ours: Arc<OwnedFd>,
    theirs: OwnedFd,
    is_used: bool,
}

impl Line {
    fn new() -> Line {
        let (ours, theirs) = socket::pair().unwrap();
        Line { ours: Arc::new(ours), theirs, is_used: false }
    }
}

/// One life of the keeper; killed when dropped.
pub struct Life {
    child: Child,
    /// Somebody else has waited for it: its number may be another's.
    reaped: bool,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Life {
    /// Killed, and gone when this returns.
    pub fn kill(&mut self) {
        if !self.reaped {
            let _ = self.child.kill();
            self.child.wait().unwrap();
            self.reaped = true;
        }
    }

    /// It was killed and waited for by a tracer.
    pub fn was_reaped(&mut self) {
        self.reaped = true;
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.id() as i32)
    }

    fn of(mut command: Command) -> Life {
        Life { child: command.spawn().unwrap(), reaped: false }
    }

    #[track_caller]
    pub fn assert_alive(&mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "the keeper died");
    }
}

impl Home {
    /// With these flags, all off by default.
    pub fn new(flags: &[&str]) -> Home {
        let own = tempfile::Builder::new().prefix("mainstay-keeper-").tempdir().unwrap();
        let place = own.path().to_owned();
        Home { _own: Some(own), ..Home::at(&place, flags) }
    }

    /// The same, in a directory of the caller's.
    pub fn at(place: &Path, flags: &[&str]) -> Home {
        let runtime = place.join("run");
        std::fs::create_dir_all(runtime.join("control")).unwrap();
        std::fs::create_dir_all(place.join("state")).unwrap();
        let listener = UnixListener::bind(client::socket(&runtime)).unwrap();
        let notify = UnixDatagram::bind(place.join("notify")).unwrap();
        notify.set_read_timeout(Some(WATCHDOG)).unwrap();
        let line = Mutex::new(Line::new());
        let home = Home { _own: None, place: place.to_owned(), listener, line, notify };
        let declared: Vec<_> = flags.iter().map(|name| declaration(name)).collect();
        home.declare(&declared);
        home
    }

    /// What the next life is told: these flags and nothing else.
    pub fn declare(&self, declared: &[Declaration]) {
        self.declare_all(&Declarations { flags: declared.to_vec(), ..Declarations::default() });
    }

    /// What the next life is told.
    pub fn declare_all(&self, declared: &Declarations) {
        std::fs::write(self.place.join("declarations"), declared.encode().unwrap()).unwrap();
    }

    pub fn runtime(&self) -> PathBuf {
        self.place.join("run")
    }

    pub fn state(&self) -> PathBuf {
        self.place.join("state")
    }

    pub fn journal(&self) -> PathBuf {
        store::directory(&self.state()).join("journal")
    }

    /// A life, begun; it may not be ready yet.
    pub fn begin(&self) -> Life {
        self.renew_line();
        self.greet();
        Life::of(self.command(""))
    }

    /// The same, and the supervisor has said nothing to it yet.
    pub fn begin_ungreeted(&self) -> Life {
        self.renew_line();
        Life::of(self.command(""))
    }

    /// A life that stops itself before its first instruction.
    pub fn begin_stopped(&self) -> Life {
        self.renew_line();
        self.greet();
        Life::of(self.command("kill -STOP $$; "))
    }

    /// Before a life, when there was one before.
    fn renew_line(&self) {
        let mut line = self.line.lock().unwrap();
        if line.is_used {
            *line = Line::new();
        }
    }

    /// What a supervisor without instances says to a new life.
    fn greet(&self) {
        self.say(&ToKeeper::Hello { run: 7, abrupt: false }, &[]);
        self.say(&ToKeeper::Tree(Told::Begin), &[]);
    }

    /// A life that has no supervisor to talk to, ready.
    #[track_caller]
    pub fn start_without_line(&self) -> Life {
        let life = Life::of(self.command("exec >&2; "));
        self.await_ready();
        life
    }

    /// A shell gives the descriptors their numbers and becomes the keeper.
    fn command(&self, first: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        let line = if first.contains("exec") { "" } else { "4<&1" };
        let script = format!(r#"{first}exec "$0" "$@" 3<&0 {line} 5<"$DECLARED" 0</dev/null 1>&2"#);
        command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_mainstay"));
        command.arg("@keeper").arg("--runtime").arg(self.runtime()).arg("--state").arg(self.state());
        command.stdin(OwnedFd::from(self.listener.try_clone().unwrap()));
        let mut own = self.line.lock().unwrap();
        own.is_used = true;
        command.stdout(own.theirs.try_clone().unwrap()).stderr(Stdio::null());
        command.env("NOTIFY_SOCKET", self.place.join("notify"));
        command.env("DECLARED", self.place.join("declarations"));
        command
    }

    /// A life that is ready: its board stands.
    #[track_caller]
    pub fn start(&self) -> Life {
        let life = self.begin();
        self.await_ready();
        life
    }

    #[track_caller]
    pub fn await_ready(&self) {
        let mut buffer = [0; 64];
        let length = self.notify.recv(&mut buffer).expect("the keeper says that it is ready");
        assert_eq!(&buffer[..length], b"READY=1");
    }

    /// True when somebody said that it is ready since the last look.
    pub fn is_ready(&self) -> bool {
        self.notify.set_nonblocking(true).unwrap();
        let said = self.notify.recv(&mut [0; 64]).is_ok();
        self.notify.set_nonblocking(false).unwrap();
        said
    }

    pub fn ask(&self, request: &Request) -> Result<client::Answer, AskError> {
        client::ask(&self.runtime(), request, WATCHDOG)
    }

    /// What the keeper answers; its refusal.
    pub fn request(&self, request: &Request) -> Result<client::Answer, Refusal> {
        match self.ask(request) {
            Ok(answer) => Ok(answer),
            Err(AskError::Refused(refusal)) => Err(refusal),
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Sets one flag, with an id.
    pub fn set_as(&self, id: u64, flag: &str, to: To) -> Result<Changed, Refusal> {
        let how = How { id, reason: "a test".into(), ..How::default() };
        match self.ask(&Request::Set { how, edits: vec![edit(flag, to)] }) {
            Ok(answer) => match &answer.replies[..] {
                [Reply::Changed(changed)] => Ok(changed.clone()),
                other => panic!("{other:?}"),
            },
            Err(AskError::Refused(refusal)) => Err(refusal),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub fn set(&self, flag: &str, value: Value) -> Changed {
        self.set_as(client::fresh_id(), flag, To::Value(value)).unwrap_or_else(|e| panic!("{e:?}"))
    }

    #[track_caller]
    pub fn where_is_everything(&self) -> Where {
        match &self.ask(&Request::Where).unwrap().replies[..] {
            [Reply::Where(place)] => place.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// What the journal says, read as a stranger to the keeper would.
    #[track_caller]
    pub fn truth(&self) -> State {
        store::read_only(&self.state()).unwrap()
    }

    /// The numbers of the changes in the audit log, in its order; the log is whole.
    #[track_caller]
    pub fn audited(&self) -> Vec<u64> {
        let path = mainstay::audit::file(&self.state());
        let found = mainstay::audit::newest(&path, "", usize::MAX).unwrap();
        let whole = mainstay::audit::verify(&path).unwrap();
        assert_eq!((whole.lines, found.passed_over), (found.lines.len() as u64, 0));
        found.lines.iter().rev().map(|line| line.generation).collect()
    }

    /// What a reader of the board sees.
    pub fn board(&self, flag: &str) -> Option<Truth> {
        mainstay::board::Board::open(&self.runtime()).read(flag).truth
    }

    /// The next thing that the keeper tells its supervisor.
    #[track_caller]
    pub fn hear(&self) -> FromKeeper {
        let mut buffer = [0; 8192];
        let ours = self.line.lock().unwrap().ours.clone();
        loop {
            if let Some(received) = socket::receive(&ours, &mut buffer).unwrap() {
                return codec::decode(&buffer[..received.length]).unwrap();
            }
            wait_readable(ours.as_fd());
        }
    }

    /// Hears until this is said.
    #[track_caller]
    pub fn hear_until(&self, wanted: impl Fn(&FromKeeper) -> bool) -> FromKeeper {
        loop {
            let said = self.hear();
            if wanted(&said) {
                return said;
            }
        }
    }

    /// What the supervisor says to the keeper.
    pub fn say(&self, message: &ToKeeper, descriptors: &[OwnedFd]) {
        socket::send(&self.line.lock().unwrap().ours, &codec::encode(message).unwrap(), descriptors).unwrap();
    }

    /// The socket's name again, after it was deleted.
    pub fn bind_again(&self) -> OwnedFd {
        std::fs::create_dir_all(self.runtime().join("control")).unwrap();
        UnixListener::bind(client::socket(&self.runtime())).unwrap().into()
    }
}

/// Waits for a descriptor, and fails when nothing ever comes.
#[track_caller]
pub fn wait_readable(fd: std::os::fd::BorrowedFd<'_>) {
    let want = mainstay::sys::ready::Want { fd, read: true, write: false };
    let ready = mainstay::sys::ready::wait(&[want], Some(WATCHDOG)).unwrap();
    assert!(ready[0], "nothing came within the watchdog's time");
}

pub fn declaration(name: &str) -> Declaration {
    Declaration { name: name.into(), salt: name.into(), ..Declaration::default() }
}

pub fn edit(flag: &str, to: To) -> Edit {
    Edit::new(flag, to.to_string())
}
