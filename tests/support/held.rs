//! Holds a thread of a process before its first instruction, so that what it was begun for never comes to an end: a disk that
//! does not answer, for instance.
//!
//! A tracer is a thread: whoever seizes a process must be the one that releases it.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs)]

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A process that is traced, and stands still.
pub struct Seized(Pid);

/// A thread that was begun and has done nothing, of a process that runs.
pub struct Held(Pid);

impl Seized {
    /// Takes hold of the main thread of a process that runs; it stands still from now on.
    pub fn of(process: Pid) -> Seized {
        let options = Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
        ptrace::seize(process, options).unwrap();
        stand_still(process);
        Seized(process)
    }

    /// Lets it go on, and holds the next thread that it begins.
    #[track_caller]
    pub fn hold_the_next_thread(self) -> Held {
        let process = self.0;
        let mut signal: Option<Signal> = None;
        loop {
            ptrace::cont(process, signal.take()).unwrap();
            match waitpid(process, Some(WaitPidFlag::__WALL)).unwrap() {
                WaitStatus::PtraceEvent(_, _, event) if event == libc::PTRACE_EVENT_CLONE => break,
                WaitStatus::PtraceEvent(..) => {}
                WaitStatus::Stopped(_, delivered) => signal = Some(delivered),
                other => panic!("{other:?}"),
            }
        }
        let thread = Pid::from_raw(i32::try_from(ptrace::getevent(process).unwrap()).unwrap());
        // It is traced from its birth, and stands before its first instruction.
        assert!(matches!(waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap(), WaitStatus::PtraceEvent(..)));
        ptrace::detach(process, None).unwrap();
        Held(thread)
    }
}

impl Held {
    /// Lets the thread begin.
    pub fn release(self) {
        ptrace::detach(self.0, None).unwrap();
    }
}

fn stand_still(thread: Pid) {
    ptrace::interrupt(thread).unwrap();
    let stopped = waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
    assert!(matches!(stopped, WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..)), "{stopped:?}");
}
