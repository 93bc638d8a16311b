//! Starting programs (S2): prepared once, started for each life.
//!
//! Everything that can be looked up, allocated or refused beforehand is done in [`Launch::new`]. A start
//! then makes a process that shares our memory, walks a table of raw system calls and executes; the
//! caller sleeps meanwhile, the one bounded exception to "the loop never blocks". `Command` is not used:
//! with `pre_exec` it copies the whole parent (228 ms from 6 GiB where this takes 0.08 ms), and without it
//! the child keeps our ignored signals and blocked ones.
//!
//! What a child gets: default dispositions for all 64 signals, an empty mask, descriptors 0, 1, 2 and
//! those listed, and nothing else that was not asked for. No policy: nothing here retries.

mod clone;
mod environment;
mod error;
mod explain;
mod reserve;
mod table;

pub use environment::Environment;
pub use error::{StartError, Step};
pub use rustix::process::Resource;

use super::pidfd;
use super::process::Limit;
use super::user::{self, Identity, UnknownIdentity};
use clone::{Cloned, Stack};
use environment::Text;
use reserve::Reserve;
use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use table::{Entry, Failure, Life, NOT_LEFT, Placed, Source, Target};

/// Where programs are searched when the child has no `PATH`, as the C library does.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// What to execute.
#[derive(Clone, Debug)]
pub enum Program {
    /// Without a slash: searched in the child's `PATH`. With one: relative to the child's directory.
    Named(OsString),
    /// A program that is already open, whatever its name is by now. Not for scripts.
    Open(Arc<OwnedFd>),
}

/// Everything about a start that stays the same from life to life.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to execute.
    pub program: Program,
    /// The arguments, the program's own name (`argv[0]`) included.
    pub argv: Vec<OsString>,
    /// Variables that many children share.
    pub environment: Arc<Environment>,
    /// Variables of this child; they win over shared ones, later ones over earlier ones.
    pub variables: Vec<(OsString, OsString)>,
    /// Names of variables whose value is a number that each start is given.
    pub numbers: Vec<String>,
    /// Descriptors and the numbers they get. 0, 1 and 2 are inherited when they are not named here.
    pub descriptors: Vec<(i32, Arc<OwnedFd>)>,
    /// A session and process group of its own, without a terminal.
    pub session: bool,
    /// From -1000 (never killed) to 1000; lowering it is best effort.
    pub oom_score: Option<i32>,
    /// The file mode mask; `None`: ours.
    pub umask: Option<u32>,
    /// The new root directory.
    pub chroot: Option<PathBuf>,
    /// Where it runs, inside the new root if there is one; `None`: where we are.
    pub directory: Option<PathBuf>,
    /// Niceness, -20 to 19.
    pub nice: Option<i32>,
    /// Limits to set.
    pub limits: Vec<(Resource, Limit)>,
    /// `name`, `name:group`, or numbers, as [`user::identity`] reads them; `None`: who we are.
    pub user: Option<String>,
    /// What was found when `user` was looked up before; `None`: [`Launch::new`] looks it up, which may wait for a name
    /// service.
    pub identity: Option<Result<Identity, UnknownIdentity>>,
    /// Sent to it when the thread that started it ends.
    pub death_signal: Option<i32>,
    /// It can never gain privileges by executing something.
    pub no_new_privileges: bool,
}

impl Request {
    /// `program` in a session of its own, with an empty environment and our stdio.
    pub fn new(program: Program, argv: Vec<OsString>) -> Request {
        Request {
            program,
            argv,
            environment: Arc::default(),
            variables: Vec::new(),
            numbers: Vec::new(),
            descriptors: Vec::new(),
            session: true,
            oom_score: None,
            umask: None,
            chroot: None,
            directory: None,
            nice: None,
            limits: Vec::new(),
            user: None,
            identity: None,
            death_signal: None,
            no_new_privileges: false,
        }
    }
}

/// What only one life is given, beside what stays the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// A descriptor and the number that it gets: a higher one than all of [`Request::descriptors`].
    pub descriptor: Option<(i32, BorrowedFd<'a>)>,
    /// Assignments, `NAME=value`. Of a variable that is set already nothing is changed.
    pub variables: &'a [&'a CStr],
    /// The beginning of an assignment, `NAME=`, whose value is the child's own number: at most [`PID_TEXT`] bytes.
    pub pid: Option<&'a CStr>,
}

/// Room for the assignment of [`Given::pid`], without its digits.
pub const PID_TEXT: usize = 40;

/// A program that was started.
#[derive(Debug)]
pub struct Started {
    /// Its number. For people and for what is keyed by number; signals go by `pidfd`.
    pub pid: u32,
    /// Readable when it has ended. Closed at exec.
    pub pidfd: OwnedFd,
}

/// A start, ready to be done any number of times. There is one for each instance, so it is kept small.
pub struct Launch {
    program: Found,
    text: Text,
    environment: Arc<Environment>,
    entries: Arc<[Entry]>,
    descriptors: Box<[Placed]>,
}

const _: () = assert!(size_of::<Launch>() <= 112);

/// What to execute, as the child needs it.
enum Found {
    /// What the first argument says.
    First,
    Named(CString),
    Open(Arc<OwnedFd>),
}

/// What every start of a thread uses again: one stack, numbers to lend, and room for pointers and paths.
#[derive(Default)]
struct Bench {
    stack: Option<Stack>,
    reserve: Reserve,
    /// The table that was prepared last: the next is often the same.
    entries: Option<Arc<[Entry]>>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    candidates: Vec<*const c_char>,
    paths: Vec<u8>,
    /// The assignment of the child's own number, which it completes itself.
    pid: Box<[u8]>,
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::default();
}

impl Launch {
    /// Prepares the table; looks up the user, if that was not done before.
    ///
    /// # Errors
    /// [`Step::Arguments`], [`Step::FindUser`] or [`Step::FindGroup`].
    pub fn new(request: Request) -> Result<Launch, StartError> {
        let program = match request.program {
            Program::Named(name) if request.argv.first() == Some(&name) => Found::First,
            Program::Named(name) => Found::Named(CString::new(name.as_bytes()).map_err(|_| {
                StartError::new(Step::Arguments, 0, format!("preparing the program {name:?}"))
            })?),
            Program::Open(descriptor) => Found::Open(descriptor),
        };
        let text = Text::new(&request.argv, request.variables, &request.numbers, &request.environment)?;
        let path = |path: &Path| {
            CString::new(path.as_os_str().as_bytes())
                .map_err(|_| StartError::new(Step::Arguments, 0, format!("preparing the path {path:?}")))
        };
        let mut entries = vec![Entry::Dispositions];
        if request.session {
            entries.push(Entry::Session);
        }
        entries.push(Entry::Cgroup);
        if let Some(score) = request.oom_score {
            entries.push(oom_score(score));
        }
        entries.push(Entry::Descriptors);
        entries.extend(request.umask.map(Entry::Umask));
        if let Some(root) = &request.chroot {
            entries.push(Entry::Chroot(path(root)?));
        }
        match &request.directory {
            Some(directory) => entries.push(Entry::Directory(path(directory)?)),
            // Our own directory lies outside the new root.
            None if request.chroot.is_some() => entries.push(Entry::Directory(c"/".to_owned())),
            None => {}
        }
        entries.extend(request.nice.map(Entry::Nice));
        for (resource, limit) in request.limits {
            let value = |value: Option<u64>| value.unwrap_or(libc::RLIM64_INFINITY);
            let (soft, hard) = (value(limit.soft), value(limit.hard));
            entries.push(Entry::Limit { resource: resource as u32, soft, hard });
        }
        if let Some(user) = &request.user {
            let found = request.identity.unwrap_or_else(|| user::identity(user));
            let identity = found.map_err(explain::unknown)?;
            entries.push(Entry::Groups(identity.groups));
            entries.push(Entry::Group(identity.gid));
            entries.push(Entry::User { uid: identity.uid, name: user.as_str().into() });
        }
        entries.extend(request.death_signal.map(Entry::DeathSignal));
        if request.no_new_privileges {
            entries.push(Entry::NoNewPrivileges);
        }
        entries.push(Entry::Mask);
        let entries = BENCH.with_borrow_mut(|bench| {
            bench.reserve.begin();
            match &bench.entries {
                Some(last) if **last == *entries => last.clone(),
                _ => bench.entries.insert(entries.into()).clone(),
            }
        });
        let descriptors = placed(request.descriptors);
        Ok(Launch { program, text, environment: request.environment, entries, descriptors })
    }

    /// Starts a life, in this control group if one is given (the directory's descriptor). `numbers` are
    /// the values of [`Request::numbers`], in that order; missing ones are 0.
    ///
    /// Sleeps until the program is executing. Allocates nothing when it succeeds, but for the first
    /// start of a thread or one larger than all before. With a death signal it matters which thread calls.
    ///
    /// # Errors
    /// The first step that failed. No process is left, and no descriptor.
    pub fn start(&mut self, numbers: &[u64], cgroup: Option<BorrowedFd<'_>>) -> Result<Started, StartError> {
        self.start_with(numbers, cgroup, Given::default())
    }

    /// The same, and gives this life something of its own.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub fn start_with(
        &mut self,
        numbers: &[u64],
        cgroup: Option<BorrowedFd<'_>>,
        given: Given<'_>,
    ) -> Result<Started, StartError> {
        self.text.set_numbers(numbers);
        BENCH.with_borrow_mut(|bench| self.start_on(bench, cgroup, given))
    }

    fn start_on(
        &self,
        bench: &mut Bench,
        cgroup: Option<BorrowedFd<'_>>,
        given: Given<'_>,
    ) -> Result<Started, StartError> {
        debug_assert!(
            given.descriptor.is_none_or(|(number, _)| self.descriptors.iter().all(|one| one.target < number)),
            "what a life is given stands above all others"
        );
        let refused = |errno| StartError::new(Step::Fork, errno, "forking");
        if bench.stack.is_none() {
            let stack =
                Stack::new().map_err(|error| refused(error.raw_os_error().unwrap_or(libc::ENOMEM)))?;
            bench.stack = Some(stack);
        }
        let Bench { stack: Some(stack), reserve, argv, envp, candidates, paths, pid, entries: _ } = bench
        else {
            unreachable!("the stack was made above");
        };
        self.text.point_to_arguments(argv);
        self.text.point_to_variables(&self.environment, given.variables, envp);
        let pid_digits = given.pid.filter(|text| text.count_bytes() <= PID_TEXT).map(|text| {
            if pid.is_empty() {
                *pid = vec![0; PID_TEXT + table::PID_DIGITS].into();
            }
            let text = text.to_bytes();
            pid.fill(0);
            pid[..text.len()].copy_from_slice(text);
            let start = pid.as_mut_ptr();
            envp.pop();
            envp.extend([start.cast_const().cast(), std::ptr::null()]);
            start.wrapping_add(text.len())
        });
        if let Some(name) = self.name() {
            self.find_candidates(name, paths, candidates);
        }
        let _dumpable = self.user().map(|_| KeepDumpable::remember());
        loop {
            let more = given.descriptor.map(|(target, _)| Placed {
                source: Source::Given,
                target,
                at: AtomicI32::new(-1),
            });
            let more_from = given.descriptor.map(|(_, descriptor)| descriptor);
            let shared = self.lend(reserve, more.as_ref().zip(more_from));
            let mut life = Life {
                entries: &self.entries,
                descriptors: &self.descriptors,
                given: more,
                target: match &self.program {
                    Found::First | Found::Named(_) => Target::Paths(candidates),
                    Found::Open(program) => {
                        Target::Descriptor(Cell::new(shared.program.unwrap_or(program.as_raw_fd())))
                    }
                },
                argv: argv.as_ptr(),
                envp: envp.as_ptr(),
                pid_digits,
                parent: rustix::process::getpid().as_raw_nonzero().get(),
                cgroup: cgroup.map_or(-1, |cgroup| cgroup.as_raw_fd()),
                enter_cgroup: false,
                shared_below: shared.below,
                failure: None,
            };
            let cloned = clone::make(stack, &mut life, cgroup);
            reserve.take_back();
            let (pid, pidfd) = match cloned {
                Cloned::Refused(errno) => return Err(refused(errno)),
                Cloned::CgroupRefused(errno) => {
                    return Err(StartError::new(Step::Cgroup, errno, explain::CGROUP));
                }
                Cloned::Child(pid, pidfd) => (pid, pidfd),
            };
            let Some(failure) = life.failure else { return Ok(Started { pid, pidfd }) };
            // It has called exit. With SIGCHLD ignored the kernel reaps it, which is as good.
            let _ = pidfd::wait(&pidfd);
            match failure {
                // Before Linux 5.9, or behind a filter: once more, and from now on, with a copy of the table.
                Failure {
                    detail: NOT_LEFT,
                    errno: libc::ENOSYS | libc::EINVAL | libc::EPERM,
                    step: Step::Descriptors,
                } if !reserve.given_up() => reserve.give_up(),
                failure => return Err(self.explain(failure, paths)),
            }
        }
    }

    /// Puts what the child needs where it can take it along when it leaves our table. Where that cannot be,
    /// it will find everything at our own numbers, in a copy of the table.
    fn lend(&self, reserve: &mut Reserve, given: Option<(&Placed, BorrowedFd<'_>)>) -> Shared {
        reserve.hold(self.descriptors.len() + usize::from(given.is_some()) + 1);
        let held = self.descriptors.iter().filter_map(|one| match &one.source {
            Source::Held(source) => Some((one, source.as_fd())),
            Source::Inherited | Source::Given => None,
        });
        let mut moved = held.chain(given);
        let lent = moved
            .all(|(one, source)| reserve.lend(source).map(|number| one.at.store(number, Relaxed)).is_some());
        let program = match &self.program {
            Found::Open(program) if lent => reserve.lend(program),
            _ => None,
        };
        if lent && program.is_some() == matches!(self.program, Found::Open(_)) {
            return Shared { below: reserve.first_other(), program };
        }
        reserve.take_back();
        for one in &self.descriptors {
            let ours = match &one.source {
                Source::Held(source) => source.as_raw_fd(),
                Source::Inherited | Source::Given => one.target,
            };
            one.at.store(ours, Relaxed);
        }
        if let Some((one, source)) = given {
            one.at.store(source.as_raw_fd(), Relaxed);
        }
        Shared { below: None, program: None }
    }

    /// What is searched; `None`: it is open.
    fn name(&self) -> Option<&CStr> {
        match &self.program {
            Found::First => self.text.first_argument(),
            Found::Named(name) => Some(name),
            Found::Open(_) => None,
        }
    }

    /// Who it becomes, as that was asked for.
    fn user(&self) -> Option<&str> {
        self.entries.iter().find_map(|entry| match entry {
            Entry::User { uid: _, name } => Some(&**name),
            _ => None,
        })
    }

    /// The paths to try, as `execvp(3)`: an empty element of `PATH` is the directory itself.
    fn find_candidates(&self, name: &CStr, paths: &mut Vec<u8>, candidates: &mut Vec<*const c_char>) {
        paths.clear();
        candidates.clear();
        let name_bytes = name.to_bytes_with_nul();
        // An empty name is not searched: PATH's directories themselves are no programs.
        if name_bytes.contains(&b'/') || name.is_empty() {
            candidates.push(name.as_ptr());
            return;
        }
        for directory in self.search_path().split(|byte| *byte == b':') {
            if !directory.is_empty() {
                paths.extend_from_slice(directory);
                paths.push(b'/');
            }
            paths.extend_from_slice(name_bytes);
        }
        // Pointers only now: the text does not move any more.
        let mut rest = paths.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == 0) {
            candidates.push(rest.as_ptr().cast());
            rest = &rest[end + 1..];
        }
    }

    fn search_path(&self) -> &[u8] {
        self.text.variable(&self.environment, b"PATH").unwrap_or(DEFAULT_PATH)
    }
}

/// A change of user in a child that shares our memory makes that memory undumpable: without this, a
/// supervisor that was started by a user could no longer read its own files in `/proc`.
struct KeepDumpable(DumpableBehavior);

impl KeepDumpable {
    fn remember() -> KeepDumpable {
        KeepDumpable(dumpable_behavior().unwrap_or(DumpableBehavior::NotDumpable))
    }
}

impl Drop for KeepDumpable {
    fn drop(&mut self) {
        let _ = set_dumpable_behavior(self.0);
    }
}

/// How a child comes to its descriptors.
struct Shared {
    /// It begins in our table and takes along what stands below this; `None`: it gets a copy.
    below: Option<u32>,
    /// Where the program was lent.
    program: Option<i32>,
}

/// In ascending order of numbers; the last one named wins.
fn placed(descriptors: Vec<(i32, Arc<OwnedFd>)>) -> Box<[Placed]> {
    let inherited = || Source::Inherited;
    let mut sorted = BTreeMap::from([(0, inherited()), (1, inherited()), (2, inherited())]);
    sorted.extend(descriptors.into_iter().map(|(target, source)| (target, Source::Held(source))));
    let placed = |(target, source)| Placed { source, target, at: AtomicI32::new(-1) };
    sorted.into_iter().map(placed).collect()
}

fn oom_score(score: i32) -> Entry {
    let now = fs::read_to_string("/proc/self/oom_score_adj").ok().and_then(|text| text.trim().parse().ok());
    let text = CString::new(score.to_string()).expect("a number has no NUL");
    Entry::OomScore { text, must: score > now.unwrap_or(0) }
}

/// Where a program of this name would be found now in this `PATH`. For checks before anything starts.
pub fn search(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path).map(|directory| directory.join(name)).find(|candidate| {
        fs::metadata(candidate).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}

impl From<StartError> for io::Error {
    fn from(error: StartError) -> io::Error {
        io::Error::other(error)
    }
}
