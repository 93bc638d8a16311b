//! What happens between fork and exec: a table of system calls, walked by the child (S2).
//!
//! The child shares our memory and our thread's storage. So nothing here allocates, locks, panics or
//! calls a libc function that knows about threads: glibc's `setuid`, say, would tell our other threads
//! to change their user too. Everything is a raw call with data that the parent prepared.

#![allow(unsafe_code)] // raw system calls

use super::Step;
use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// One step of the table. They stand in the order in which they must be done. Instances whose steps are the same
/// share one table: what each has of its own is in [`Life`].
#[derive(PartialEq)]
pub(super) enum Entry {
    /// Every signal to its default, glibc's 32 and 33 included.
    Dispositions,
    Session,
    /// Only acts when clone3 could not put the child there.
    Cgroup,
    OomScore {
        text: CString,
        /// Raising must work; lowering is best effort (refused to root without CAP_SYS_RESOURCE).
        must: bool,
    },
    Descriptors,
    Umask(u32),
    Chroot(CString),
    Directory(CString),
    Nice(i32),
    Limit {
        resource: u32,
        soft: u64,
        hard: u64,
    },
    Groups(Vec<libc::gid_t>),
    Group(libc::gid_t),
    User {
        uid: libc::uid_t,
        /// As it was asked for, for people.
        name: Box<str>,
    },
    /// After the user: a change of user clears it.
    DeathSignal(i32),
    NoNewPrivileges,
    Mask,
}

/// Where a descriptor of the child comes from.
pub(super) enum Source {
    /// Ours of the same number, inherited.
    Inherited,
    /// The same for each life.
    Held(Arc<OwnedFd>),
    /// Of this life only.
    Given,
}

/// A descriptor and the number that it gets in the child.
pub(super) struct Placed {
    pub(super) source: Source,
    pub(super) target: i32,
    /// Where the child finds it: a number lent by us, later one out of the way of targets.
    pub(super) at: AtomicI32,
}

impl Placed {
    fn is_moved(&self) -> bool {
        !matches!(self.source, Source::Inherited)
    }
}

/// What the child executes.
pub(super) enum Target<'a> {
    /// The candidates, in order; at least one.
    Paths(&'a [*const c_char]),
    /// Where it is; the child moves it out of the way of targets, too.
    Descriptor(Cell<i32>),
}

/// Everything that one walk needs, and where it leaves its report. Shared with the child until exec.
pub(super) struct Life<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) descriptors: &'a [Placed],
    /// One more, with a higher number than all of them.
    pub(super) given: Option<Placed>,
    pub(super) target: Target<'a>,
    pub(super) argv: *const *const c_char,
    pub(super) envp: *const *const c_char,
    /// Where the child writes its own number: room for [`PID_DIGITS`] bytes, all zero.
    pub(super) pid_digits: Option<*mut u8>,
    pub(super) parent: i32,
    pub(super) cgroup: i32,
    pub(super) enter_cgroup: bool,
    /// The table of descriptors is ours too: it is left by a copy of what stands below this number.
    pub(super) shared_below: Option<u32>,
    /// Set by the child when a step failed.
    pub(super) failure: Option<Failure>,
}

/// The first step that failed, its error, and what tells it from others of its kind: the index of the
/// candidate, the number of the descriptor, the resource.
#[derive(Clone, Copy)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) errno: i32,
    pub(super) detail: i32,
}

/// In [`Failure::detail`] of [`Step::Descriptors`]: it could not leave our table, and has done nothing else.
pub(super) const NOT_LEFT: i32 = -2;

/// Digits of the largest number of a process, and a zero.
pub(super) const PID_DIGITS: usize = 11;

/// Its own number, as the environment has it.
fn write_pid(digits: *mut u8) {
    // SAFETY: no arguments.
    let mut rest = unsafe { libc::syscall(libc::SYS_getpid) };
    let mut length = 1;
    let mut bound = 10;
    while rest >= bound && length < PID_DIGITS - 1 {
        length = length.wrapping_add(1);
        bound = bound.wrapping_mul(10);
    }
    let mut at = length;
    while at > 0 {
        at = at.wrapping_sub(1);
        // SAFETY: inside the room that the parent made for `PID_DIGITS` bytes.
        unsafe { digits.add(at).write(b'0'.wrapping_add((rest % 10) as u8)) };
        rest /= 10;
    }
}

/// The child's whole life before exec. Never returns.
pub(super) extern "C" fn child(life: *mut c_void) -> c_int {
    // SAFETY: the parent passed a `Life` that stays valid and untouched while it sleeps.
    let life = unsafe { &mut *life.cast::<Life>() };
    let failure = match walk(life) {
        Ok(()) => execute(life),
        Err(failure) => failure,
    };
    life.failure = Some(failure);
    loop {
        // SAFETY: ends this process, of one thread, without running anything of ours.
        unsafe { libc::syscall(libc::SYS_exit_group, 127) };
    }
}

fn walk(life: &Life) -> Result<(), Failure> {
    // Before anything else: who ends in here must not have opened or closed anything of ours.
    if let Some(first) = life.shared_below {
        close_range(first, u32::MAX, libc::CLOSE_RANGE_UNSHARE).map_err(|errno| Failure {
            step: Step::Descriptors,
            errno,
            detail: NOT_LEFT,
        })?;
    }
    if let Some(digits) = life.pid_digits {
        write_pid(digits);
    }
    for entry in life.entries {
        entry.run(life).map_err(|(step, errno, detail)| Failure { step, errno, detail })?;
    }
    Ok(())
}

impl Entry {
    fn run(&self, life: &Life) -> Result<(), (Step, i32, i32)> {
        let at = |step| move |errno| (step, errno, 0);
        match self {
            Entry::Dispositions => default_signals().map_err(at(Step::Dispositions)),
            // SAFETY: no arguments.
            Entry::Session => check(unsafe { libc::syscall(libc::SYS_setsid) }).map_err(at(Step::Session)),
            Entry::Cgroup if !life.enter_cgroup => Ok(()),
            Entry::Cgroup => write_file(life.cgroup, c"cgroup.procs", b"0").map_err(at(Step::Cgroup)),
            Entry::OomScore { text, must } => {
                match write_file(libc::AT_FDCWD, c"/proc/self/oom_score_adj", text.as_bytes()) {
                    Err(errno) if *must => Err((Step::OomScore, errno, 0)),
                    _ => Ok(()),
                }
            }
            Entry::Descriptors => place(life.descriptors, life.given.as_ref(), &life.target),
            Entry::Umask(mask) => {
                // SAFETY: passes a number; cannot fail.
                unsafe { libc::syscall(libc::SYS_umask, *mask) };
                Ok(())
            }
            Entry::Chroot(path) => {
                // SAFETY: a terminated string.
                check(unsafe { libc::syscall(libc::SYS_chroot, path.as_ptr()) }).map_err(at(Step::Chroot))
            }
            Entry::Directory(path) => {
                // SAFETY: a terminated string.
                check(unsafe { libc::syscall(libc::SYS_chdir, path.as_ptr()) }).map_err(at(Step::Directory))
            }
            Entry::Nice(nice) => {
                // SAFETY: passes numbers.
                check(unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, *nice) })
                    .map_err(at(Step::Nice))
            }
            Entry::Limit { resource, soft, hard } => {
                let limit = libc::rlimit64 { rlim_cur: *soft, rlim_max: *hard };
                let none = std::ptr::null_mut::<libc::rlimit64>();
                // SAFETY: reads one limit.
                check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, *resource, &raw const limit, none) })
                    .map_err(|errno| (Step::Limit, errno, *resource as i32))
            }
            Entry::Groups(groups) => {
                // SAFETY: an array of that many groups.
                check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })
                    .map_err(at(Step::Groups))
            }
            Entry::Group(group) => {
                // SAFETY: passes numbers. The raw call: glibc's would change our threads too.
                check(unsafe { libc::syscall(libc::SYS_setresgid, *group, *group, *group) })
                    .map_err(at(Step::Group))
            }
            Entry::User { uid, name: _ } => {
                // SAFETY: passes numbers. The raw call: glibc's would change our threads too.
                check(unsafe { libc::syscall(libc::SYS_setresuid, *uid, *uid, *uid) }).map_err(at(Step::User))
            }
            Entry::DeathSignal(signal) => {
                // SAFETY: passes numbers.
                check(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, *signal, 0, 0, 0) })
                    .map_err(at(Step::DeathSignal))?;
                // A parent that died before the call sends nothing any more.
                // SAFETY: no arguments.
                match unsafe { libc::syscall(libc::SYS_getppid) } {
                    parent if parent == i64::from(life.parent) => Ok(()),
                    _ => Err((Step::Parent, libc::ESRCH, 0)),
                }
            }
            Entry::NoNewPrivileges => {
                // SAFETY: passes numbers; all five must be given, or it is EINVAL.
                check(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
                    .map_err(at(Step::NoNewPrivileges))
            }
            Entry::Mask => {
                let none = 0_u64;
                let old = std::ptr::null_mut::<u64>();
                // SAFETY: eight bytes in, nothing out.
                check(unsafe {
                    libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, old, 8)
                })
                .map_err(at(Step::Mask))
            }
        }
    }
}

/// As `execvp(3)`, but a script without `#!` is an error and not given to a shell.
fn execute(life: &Life) -> Failure {
    let mut denied = None;
    let mut last = (libc::ENOENT, 0);
    match &life.target {
        Target::Descriptor(program) => {
            // SAFETY: terminated strings in terminated arrays.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_execveat,
                    program.get(),
                    c"".as_ptr(),
                    life.argv,
                    life.envp,
                    libc::AT_EMPTY_PATH,
                )
            };
            last = (check(result).err().unwrap_or(libc::ENOEXEC), 0);
        }
        Target::Paths(paths) => {
            let mut index = 0_i32;
            for path in *paths {
                // SAFETY: terminated strings in terminated arrays.
                let result = unsafe { libc::syscall(libc::SYS_execve, *path, life.argv, life.envp) };
                last = (check(result).err().unwrap_or(libc::ENOEXEC), index);
                match last.0 {
                    // It may still be found further on; if not, this is the better answer.
                    libc::EACCES => denied = denied.or(Some(last)),
                    libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
                    _ => {
                        denied = None;
                        break;
                    }
                }
                index = index.wrapping_add(1);
            }
        }
    }
    let (errno, detail) = denied.unwrap_or(last);
    Failure { step: Step::Exec, errno, detail }
}

/// Sources, and the program, are first moved above all targets where one could be overwritten before it was
/// used; then each goes to its number, and everything else is closed at exec.
fn place(placed: &[Placed], given: Option<&Placed>, target: &Target) -> Result<(), (Step, i32, i32)> {
    let all = || placed.iter().chain(given);
    let highest = given.or(placed.last()).map_or(-1, |last| last.target);
    let failed = |target| move |errno| (Step::Descriptors, errno, target);
    let aside = |at: i32| {
        let above = highest.wrapping_add(1);
        // SAFETY: passes numbers.
        let moved = unsafe { libc::syscall(libc::SYS_fcntl, at, libc::F_DUPFD_CLOEXEC, above) };
        check(moved).map(|()| moved as i32)
    };
    if all().any(|one| one.is_moved() && one.at.load(Relaxed) <= highest) {
        for one in all().filter(|one| one.is_moved()) {
            one.at.store(aside(one.at.load(Relaxed)).map_err(failed(one.target))?, Relaxed);
        }
    }
    if let Target::Descriptor(program) = target
        && program.get() <= highest
    {
        program.set(aside(program.get()).map_err(failed(-1))?);
    }
    let mut next = 0;
    for one in all() {
        // Without CLOEXEC: these stay open.
        let result = if one.is_moved() {
            // SAFETY: passes numbers.
            unsafe { libc::syscall(libc::SYS_dup3, one.at.load(Relaxed), one.target, 0) }
        } else {
            // SAFETY: passes numbers.
            unsafe { libc::syscall(libc::SYS_fcntl, one.target, libc::F_SETFD, 0) }
        };
        check(result).map_err(failed(one.target))?;
        if one.target > next {
            close_at_exec(next as u32, one.target.wrapping_sub(1) as u32).map_err(failed(-1))?;
        }
        next = one.target.wrapping_add(1);
    }
    close_at_exec(next as u32, u32::MAX).map_err(failed(-1))
}

/// Marks, does not close: the program may be one of them.
fn close_at_exec(first: u32, last: u32) -> Result<(), i32> {
    match close_range(first, last, libc::CLOSE_RANGE_CLOEXEC) {
        Err(libc::ENOSYS | libc::EINVAL | libc::EPERM) => one_by_one(first, last),
        result => result,
    }
}

fn close_range(first: u32, last: u32, flags: c_uint) -> Result<(), i32> {
    // SAFETY: passes numbers. Whose table it is the callers know.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) })
}

/// Before Linux 5.11, or behind a filter: every number that could be open.
fn one_by_one(first: u32, last: u32) -> Result<(), i32> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let none = std::ptr::null::<libc::rlimit64>();
    // SAFETY: writes one limit.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, none, &raw mut limit) })?;
    let end = limit.rlim_cur.min(u64::from(last).wrapping_add(1)) as u32;
    let mut descriptor = first;
    while descriptor < end {
        // SAFETY: passes numbers; numbers that are not open are EBADF.
        unsafe { libc::syscall(libc::SYS_fcntl, descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
        descriptor = descriptor.wrapping_add(1);
    }
    Ok(())
}

fn default_signals() -> Result<(), i32> {
    // The kernel's structure is smaller on every architecture; zeros mean the default action.
    let default = [0_usize; 8];
    let none = std::ptr::null_mut::<usize>();
    let mut signal = 1;
    while signal <= 64 {
        if signal != libc::SIGKILL && signal != libc::SIGSTOP {
            // SAFETY: reads a structure that is long enough; the default action runs no code.
            check(unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, 8) })?;
        }
        signal += 1;
    }
    Ok(())
}

fn write_file(directory: i32, path: &CStr, text: &[u8]) -> Result<(), i32> {
    let flags = libc::O_WRONLY | libc::O_CLOEXEC;
    // SAFETY: a terminated string.
    let file = unsafe { libc::syscall(libc::SYS_openat, directory, path.as_ptr(), flags) };
    check(file)?;
    // SAFETY: reads that many bytes.
    let written = unsafe { libc::syscall(libc::SYS_write, file, text.as_ptr(), text.len()) };
    let written = check(written);
    // SAFETY: opened above, used by nobody else.
    unsafe { libc::syscall(libc::SYS_close, file) };
    written
}

/// The error number of a failed call. `errno` is our thread's own, shared with the sleeping parent.
fn check(result: i64) -> Result<(), i32> {
    if result >= 0 {
        return Ok(());
    }
    // SAFETY: a valid pointer for the life of the thread.
    Err(unsafe { *libc::__errno_location() })
}
