//! Why a start failed: the step of the table, the error number, and words for people.

use std::fmt;
use std::io;

/// A step of a start, in the order of the table (S2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Preparing arguments and environment.
    Arguments,
    /// Finding the user by name or number.
    FindUser,
    /// Finding the group by name or number.
    FindGroup,
    /// Making the process.
    Fork,
    /// Putting signals back to their defaults.
    Dispositions,
    /// Beginning a session of its own.
    Session,
    /// Entering the control group.
    Cgroup,
    /// Setting the out-of-memory score.
    OomScore,
    /// Putting a descriptor at its number, and closing all others.
    Descriptors,
    /// Changing the root directory.
    Chroot,
    /// Changing the directory.
    Directory,
    /// Setting the niceness.
    Nice,
    /// Setting a resource limit.
    Limit,
    /// Setting the supplementary groups.
    Groups,
    /// Becoming the group.
    Group,
    /// Becoming the user.
    User,
    /// Asking for a signal at the supervisor's death.
    DeathSignal,
    /// The supervisor died meanwhile.
    Parent,
    /// Giving up new privileges.
    NoNewPrivileges,
    /// Unblocking signals.
    Mask,
    /// Executing the program.
    Exec,
}

/// A start that failed. No process is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// The first step that failed.
    pub step: Step,
    /// What the kernel said; 0 when it was not asked (no such user, a NUL byte in an argument).
    pub errno: i32,
    /// What was being done, in words: "changing directory to `/srv/web`".
    pub what: String,
    pub(super) hint: String,
}

impl StartError {
    /// A step that failed; `what` it was doing, in words.
    pub fn new(step: Step, errno: i32, what: impl Into<String>) -> StartError {
        let what = what.into();
        let hint = hint(step, errno).to_owned();
        StartError { step, errno, what, hint }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> StartError {
        self.hint = hint.into();
        self
    }

    /// What to do about it; may be empty.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.step, self.errno) {
            (Step::FindUser, 0) => write!(f, "{}: no such user", self.what),
            (Step::FindGroup, 0) => write!(f, "{}: no such group", self.what),
            (_, 0) => write!(f, "{}: it contains a NUL byte", self.what),
            (_, errno) => write!(f, "{}: {}", self.what, io::Error::from_raw_os_error(errno)),
        }
    }
}

impl std::error::Error for StartError {}

/// What can be said from the step and the number alone.
fn hint(step: Step, errno: i32) -> &'static str {
    match (step, errno) {
        (Step::Fork, libc::EAGAIN) => {
            "too many processes: raise the limit of processes (ulimit -u, pids.max), or run fewer"
        }
        (Step::Fork, libc::ENOMEM) => "free memory, or allow more",
        (Step::Fork, libc::EMFILE | libc::ENFILE) => "raise the limit of open descriptors (ulimit -n)",
        (Step::Cgroup, _) => "see that the control group exists, may be written to, and has no controllers",
        (Step::OomScore, _) => "scores go from -1000 to 1000",
        (Step::Chroot, libc::EPERM) | (Step::Groups | Step::Group | Step::User, libc::EPERM) => {
            "only root may do this: run the supervisor as root, or remove the setting"
        }
        (Step::Directory | Step::Chroot, libc::ENOENT) => "create the directory, or change `directory`",
        (Step::Directory | Step::Chroot, libc::ENOTDIR) => "name a directory, not a file",
        (Step::Directory | Step::Chroot, libc::EACCES) => {
            "let the supervisor enter it: each directory of the path needs the `x` permission"
        }
        (Step::Nice, libc::EACCES | libc::EPERM) => "only root may lower the niceness",
        (Step::Limit, libc::EPERM) => "only root may raise a hard limit",
        (Step::Descriptors, libc::EBADF | libc::EINVAL | libc::EMFILE) => {
            "raise the limit of open descriptors (ulimit -n)"
        }
        (Step::FindUser, 0) => "name an existing user (getent passwd), or create it",
        (Step::FindGroup, 0) => "name an existing group (getent group), or create it",
        (Step::Exec, libc::EACCES) => "make it executable: chmod +x",
        (Step::Exec, libc::ENOEXEC) => {
            "it is no program for this machine; a script must begin with `#!` and its interpreter"
        }
        (Step::Exec, libc::E2BIG) => "arguments and environment are too large together: pass a file instead",
        (Step::Exec, libc::ETXTBSY) => "somebody has the program open for writing: wait until it is complete",
        (Step::Exec, libc::EAGAIN) => "the user has too many processes: raise its limit (ulimit -u)",
        (Step::Exec, libc::ELOOP) => "its symbolic links go round in a circle",
        (Step::Exec, libc::EISDIR) => "name a program, not a directory",
        _ => "",
    }
}
