//! Stops a process after each system call, so that a test can kill it between any two.
//!
//! A tracer is a thread: whoever seizes a process must be the one that steps it. One thread is followed,
//! the one with the process's id.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs)]
#![allow(unsafe_code)] // the kernel's answer about a stop is a union

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Why stepping ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// So many system calls were made; it stands behind the last.
    Called,
    /// It is about to wait without a deadline, for events that nobody caused.
    Idle,
    /// It ended by itself.
    Ended,
}

/// A process that moves only when it is told.
pub struct Stepper {
    pid: Pid,
}

impl Stepper {
    /// Takes hold of a process that runs.
    pub fn seize(pid: u32) -> Stepper {
        let pid = Pid::from_raw(pid.cast_signed());
        let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL;
        ptrace::seize(pid, options).unwrap();
        ptrace::interrupt(pid).unwrap();
        let stopped = waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap();
        assert!(matches!(stopped, WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..)), "{stopped:?}");
        Stepper { pid }
    }

    /// Lets it make `calls` system calls, or fewer when it has nothing more to do.
    pub fn step(&self, calls: usize) -> Stopped {
        let mut made = 0;
        let mut signal: Option<Signal> = None;
        while made < calls {
            ptrace::syscall(self.pid, signal.take()).unwrap();
            match waitpid(self.pid, Some(WaitPidFlag::__WALL)).unwrap() {
                WaitStatus::PtraceSyscall(_) => {
                    let info = ptrace::syscall_info(self.pid).unwrap();
                    match info.op {
                        libc::PTRACE_SYSCALL_INFO_ENTRY => {
                            // SAFETY: `op` says which member of the union the kernel filled.
                            let entry = unsafe { info.u.entry };
                            if waits_for_ever(entry.nr, entry.args) && !self.has_events(entry.args[0]) {
                                return Stopped::Idle;
                            }
                        }
                        _ => made += 1,
                    }
                }
                WaitStatus::Stopped(_, delivered) => signal = Some(delivered),
                WaitStatus::PtraceEvent(..) => {}
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Stopped::Ended,
                other => panic!("{other:?}"),
            }
        }
        Stopped::Called
    }

    /// Whether the poller that it is about to wait for has something already.
    fn has_events(&self, poller: u64) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
        let pid = rustix::process::Pid::from_raw(self.pid.as_raw()).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let poller = pidfd_getfd(&pidfd, poller as i32, PidfdGetfdFlags::empty()).unwrap();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&poller, PollFlags::IN)], Some(&now)).unwrap() > 0
    }

    /// Lets it go on by itself.
    pub fn release(self) {
        ptrace::detach(self.pid, None).unwrap();
    }
}

fn waits_for_ever(number: u64, arguments: [u64; 6]) -> bool {
    #[cfg(target_arch = "x86_64")]
    let waits = [libc::SYS_epoll_wait, libc::SYS_epoll_pwait];
    #[cfg(not(target_arch = "x86_64"))]
    let waits = [libc::SYS_epoll_pwait];
    waits.contains(&number.cast_signed()) && arguments[3] as u32 == u32::MAX
}
