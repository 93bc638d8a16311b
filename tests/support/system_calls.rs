//! A process stopped at each of its system calls: watched, killed after the n-th, or made to fail in it.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used)]

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::path::PathBuf;

/// System calls by number, on x86-64: those that tests speak of.
pub const WRITE: u64 = 1;
pub const POLL: u64 = 7;
pub const PPOLL: u64 = 271;
pub const PWRITE: u64 = 18;
pub const SENDTO: u64 = 44;
pub const FSYNC: u64 = 74;
pub const FDATASYNC: u64 = 75;
pub const RENAME: u64 = 82;
pub const RENAMEAT: u64 = 264;
pub const UNLINK: u64 = 87;
pub const UNLINKAT: u64 = 263;
pub const EXECVE: u64 = 59;

/// One system call that is about to be made, or was made.
#[derive(Clone, Debug)]
pub struct Call {
    pub number: u64,
    pub arguments: [u64; 3],
    /// What the first argument is open to, when it is a descriptor.
    pub path: PathBuf,
}

impl Call {
    /// On a file whose name begins so.
    pub fn is_on(&self, name: &str) -> bool {
        self.path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name))
    }
}

/// What to do about a call that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Let it be made.
    Go,
    /// It is not made, and fails with this.
    Fail(Errno),
    /// Its third argument, a length, is halved.
    Shorten,
    /// The process dies before it.
    Kill,
}

/// What to do after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Go,
    Kill,
}

/// How a run of the stepper ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As was asked for; or by itself. It is reaped.
    Dead,
    /// `enough` said so. It goes on alone.
    Left,
}

pub struct Stepper(Pid);

impl Stepper {
    /// Attaches to a child of ours, which then stands still. It dies with this thread.
    pub fn attach(pid: Pid) -> Stepper {
        ptrace::seize(pid, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL).unwrap();
        ptrace::interrupt(pid).unwrap();
        loop {
            match waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap() {
                WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..) => return Stepper(pid),
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                    panic!("it died before it was attached to")
                }
                _ => {}
            }
        }
    }

    /// Lets it run. `before` and `after` see each call; `enough` is asked before each call that waits.
    pub fn run(
        &self,
        mut before: impl FnMut(&Call) -> Before,
        mut after: impl FnMut(&Call, i64) -> After,
        mut enough: impl FnMut() -> bool,
    ) -> End {
        let mut forced = None;
        let mut call = None;
        let mut signal = None;
        loop {
            ptrace::syscall(self.0, signal.take()).unwrap();
            match waitpid(self.0, Some(WaitPidFlag::__WALL)).unwrap() {
                WaitStatus::PtraceSyscall(_) => {}
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return End::Dead,
                WaitStatus::Stopped(_, other) => {
                    signal = Some(other);
                    continue;
                }
                _ => continue,
            }
            let mut registers = ptrace::getregs(self.0).unwrap();
            match call.take() {
                None => {
                    let number = registers.orig_rax;
                    let path = std::fs::read_link(format!("/proc/{}/fd/{}", self.0, registers.rdi));
                    let this = Call {
                        number,
                        arguments: [registers.rdi, registers.rsi, registers.rdx],
                        path: path.unwrap_or_default(),
                    };
                    if (number == POLL || number == PPOLL) && enough() {
                        ptrace::detach(self.0, None).unwrap();
                        return End::Left;
                    }
                    match before(&this) {
                        Before::Go => {}
                        Before::Fail(errno) => {
                            // No call has this number: the kernel makes none.
                            registers.orig_rax = u64::MAX;
                            ptrace::setregs(self.0, registers).unwrap();
                            forced = Some(errno);
                        }
                        Before::Shorten => {
                            registers.rdx /= 2;
                            ptrace::setregs(self.0, registers).unwrap();
                        }
                        Before::Kill => return self.kill(),
                    }
                    call = Some(this);
                }
                Some(made) => {
                    if let Some(errno) = forced.take() {
                        registers.rax = (-(errno as i64)) as u64;
                        ptrace::setregs(self.0, registers).unwrap();
                    }
                    if after(&made, registers.rax as i64) == After::Kill {
                        return self.kill();
                    }
                }
            }
        }
    }

    fn kill(&self) -> End {
        nix::sys::signal::kill(self.0, Signal::SIGKILL).unwrap();
        loop {
            match waitpid(self.0, Some(WaitPidFlag::__WALL)).unwrap() {
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return End::Dead,
                _ => {}
            }
        }
    }
}
