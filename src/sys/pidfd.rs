//! Processes by descriptor: a pidfd means one process for ever, a number means whoever has it now (S4).

#![allow(unsafe_code)] // waitid with resource usage and signals to groups have no safe wrapper

use super::procfs;
use crate::supervisor::Cause;
use crate::time::Duration;
use rustix::event::{PollFd, PollFlags, poll};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Linux 6.9: the signal goes to the process group that the pidfd's process leads, or led.
const PIDFD_SIGNAL_PROCESS_GROUP: u32 = 1 << 2;

/// What `statfs` says of a pidfd since Linux 6.9.
const PID_FS_MAGIC: i64 = 0x5049_4446;
/// Linux 6.5; not in libc yet.
const SO_PEERPIDFD: i32 = 77;

/// What a process and its reaped children used, as `wait4(2)` reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time in its own code.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// The largest resident set, in bytes.
    pub memory_max: u64,
    /// Pages that were read from a disk.
    pub major_faults: u64,
    /// Pages that were not.
    pub minor_faults: u64,
    /// Bytes read from disks.
    pub read: u64,
    /// Bytes written for disks.
    pub written: u64,
    /// How often it gave its processor up.
    pub waits: u64,
    /// How often the processor was taken from it.
    pub preemptions: u64,
}

/// How it ended, or `None` while it lives. Leaves the zombie, so that everything about it can still be
/// read and its number is not given to anyone (S5). Never blocks.
///
/// # Errors
/// `ECHILD`: not our child, or already reaped.
pub fn peek(pidfd: impl AsFd) -> io::Result<Option<Cause>> {
    Ok(wait_by_descriptor(pidfd.as_fd(), libc::WNOWAIT)?.map(|(cause, _)| cause))
}

/// Like [`peek`], and the process is gone afterwards.
///
/// # Errors
/// `ECHILD`: not our child, or already reaped.
pub fn reap(pidfd: impl AsFd) -> io::Result<Option<(Cause, Usage)>> {
    wait_by_descriptor(pidfd.as_fd(), 0)
}

/// Waits until it has ended, and reaps it. For a process that is known to be ending.
///
/// # Errors
/// `ECHILD`: not our child, or already reaped.
pub fn wait(pidfd: impl AsFd) -> io::Result<(Cause, Usage)> {
    loop {
        if let Some(ended) = reap(&pidfd)? {
            return Ok(ended);
        }
        let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
        match poll(&mut watched, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends `signal` to the process. False: it is gone. A zombie still counts as there.
///
/// # Errors
/// `EPERM`: it belongs to somebody else. `EINVAL`: no such signal.
pub fn signal(pidfd: impl AsFd, signal: i32) -> io::Result<bool> {
    send(pidfd.as_fd(), signal, 0)
}

/// Sends `signal` to the process group that the process leads, or led while it lived: helpers are
/// reached also after the leader was reaped. `pid` is the leader's number. False: nobody is in it.
///
/// Before Linux 6.9 the group can only be named by number, which is safe only as long as the leader has
/// not been reaped; afterwards `EINVAL` is returned and nothing is sent.
///
/// # Errors
/// `EPERM`: every member belongs to somebody else.
pub fn signal_group(pidfd: impl AsFd, pid: u32, signal: i32) -> io::Result<bool> {
    match send(pidfd.as_fd(), signal, PIDFD_SIGNAL_PROCESS_GROUP) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) && peek(&pidfd).is_ok() => {
            signal_group_by_number(pid, signal)
        }
        result => result,
    }
}

/// Whether nobody is left in the process group that the process leads, or led. Zombies count as there.
///
/// Before Linux 6.9 the answer after the leader was reaped goes by number: a group can then look
/// inhabited that is a stranger's, never the other way round, since a number stays taken while its
/// group has members.
pub fn group_is_empty(pidfd: impl AsFd, pid: u32) -> io::Result<bool> {
    let there = match send(pidfd.as_fd(), 0, PIDFD_SIGNAL_PROCESS_GROUP) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => signal_group_by_number(pid, 0),
        result => result,
    };
    match there {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(false),
        result => result.map(|there| !there),
    }
}

/// The process with this number, whoever it is by now. `None`: there is none.
///
/// # Errors
/// No descriptors are left, or a kernel before 5.3.
pub fn open(pid: u32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else {
        return Ok(None);
    };
    match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Some(pidfd)),
        Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The process with this number if it is the one that began at `started` ([`start_time`]), not a later
/// one that was given the same number. `None`: that process is gone.
///
/// # Errors
/// As [`open`].
pub fn open_started_at(pid: u32, started: u64) -> io::Result<Option<OwnedFd>> {
    let Some(pidfd) = open(pid)? else { return Ok(None) };
    // Asked after the descriptor was opened: if the time is right, the descriptor means that process.
    Ok((start_time(pid).ok() == Some(started)).then_some(pidfd))
}

/// When a process began, in clock ticks since boot: field 22 of its stat line.
///
/// # Errors
/// There is no such process.
pub fn start_time(pid: u32) -> io::Result<u64> {
    Ok(procfs::stat(pid)?.started)
}

/// What tells this process from every other of this boot: the inode of its pidfd. 0 on a kernel before 6.9, where it
/// tells nothing.
///
/// # Errors
/// Those of `fstat`.
pub fn identity(pidfd: impl AsFd) -> io::Result<u64> {
    let is_pidfs = rustix::fs::fstatfs(&pidfd)?.f_type == PID_FS_MAGIC;
    Ok(if is_pidfs { rustix::fs::fstat(&pidfd)?.st_ino } else { 0 })
}

/// Whether the process has ended, whoever is to reap it.
pub fn is_over(pidfd: impl AsFd) -> bool {
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
    matches!(poll(&mut watched, Some(&now)), Ok(1..))
}

/// The process that connected to this socket. `None`: it has ended.
///
/// # Errors
/// `Unsupported`: a kernel before 6.5.
pub fn of_peer(socket: impl AsFd) -> io::Result<Option<OwnedFd>> {
    let (mut raw, mut length) = (-1i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: the kernel writes one integer into `raw`, whose size `length` says.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut raw).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
                Err(io::ErrorKind::Unsupported.into())
            }
            _ => Ok(None),
        };
    }
    // SAFETY: the call made this descriptor for us, closed on exec, and nobody else knows it.
    Ok((raw >= 0).then(|| unsafe { OwnedFd::from_raw_fd(raw) }))
}

/// The number of a process by its descriptor, as we see it; `None`: it is over and reaped, or nothing that we can see.
pub fn number(pidfd: impl AsFd) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_fd().as_raw_fd())).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    line.trim().parse().ok().filter(|pid| *pid > 0)
}

/// What a stranger's death looked like to [`reap_strangers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// No child is left that is dead and no service.
    All,
    /// A dead service comes first in the kernel's list and hides what is behind it: reap it by its
    /// pidfd, then call again.
    ServiceFirst(u32),
}

/// Reaps dead children that are no service: orphans that a subreaper inherits. Calls `reaped` for each.
///
/// Each step looks at the first dead child without taking it (`WNOWAIT`), so a service's status is never
/// stolen. A dead service stops the walk, once a round at most: its pidfd is readable and the loop is
/// about to reap it. So a thousand deaths cost a thousand looks, not a thousand lists.
///
/// # Errors
/// Only what `waitid` says beside "no children".
pub fn reap_strangers(
    is_service: impl Fn(u32) -> bool,
    mut reaped: impl FnMut(u32, Cause),
) -> io::Result<Reaped> {
    loop {
        let Some((pid, _, _)) = wait_for(libc::P_ALL, 0, libc::WNOWAIT)? else { return Ok(Reaped::All) };
        if is_service(pid) {
            return Ok(Reaped::ServiceFirst(pid));
        }
        if let Some((pid, cause, _)) = wait_for(libc::P_PID, pid, 0)? {
            reaped(pid, cause);
        }
    }
}

fn wait_by_descriptor(pidfd: BorrowedFd, options: i32) -> io::Result<Option<(Cause, Usage)>> {
    match wait_raw(libc::P_PIDFD, pidfd.as_raw_fd() as u32, options)? {
        Some((_, cause, usage)) => Ok(Some((cause, usage))),
        None => Ok(None),
    }
}

/// As [`wait_raw`], where having no children at all is no error.
fn wait_for(kind: libc::idtype_t, id: u32, options: i32) -> io::Result<Option<(u32, Cause, Usage)>> {
    match wait_raw(kind, id, options) {
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        result => result,
    }
}

fn wait_raw(kind: libc::idtype_t, id: u32, options: i32) -> io::Result<Option<(u32, Cause, Usage)>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both structures are ours and large enough; the wrapper of libc has no place for the fifth
    // argument, the call itself has.
    let result = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            kind,
            id,
            info.as_mut_ptr(),
            libc::WEXITED | libc::WNOHANG | options,
            usage.as_mut_ptr(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed before the call; every bit pattern is a value.
    let info = unsafe { info.assume_init() };
    // SAFETY: zeroed before the call; every bit pattern is a value.
    let usage = unsafe { usage.assume_init() };
    // SAFETY: waitid fills the fields of a child's signal, or leaves zeros.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    let cause = match info.si_code {
        libc::CLD_EXITED => Cause::Code(status as u8),
        libc::CLD_KILLED => Cause::Signal(status, false),
        libc::CLD_DUMPED => Cause::Signal(status, true),
        _ => Cause::Unknown,
    };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    let usage = Usage {
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        memory_max: usage.ru_maxrss as u64 * 1024,
        major_faults: usage.ru_majflt as u64,
        minor_faults: usage.ru_minflt as u64,
        // The kernel counts blocks of 512 bytes, whatever the disk's are.
        read: usage.ru_inblock as u64 * 512,
        written: usage.ru_oublock as u64 * 512,
        waits: usage.ru_nvcsw as u64,
        preemptions: usage.ru_nivcsw as u64,
    };
    Ok(Some((pid as u32, cause, usage)))
}

fn send(pidfd: BorrowedFd, signal: i32, flags: u32) -> io::Result<bool> {
    // SAFETY: passes numbers only; a null siginfo means that of kill(2).
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            flags,
        )
    };
    there(result)
}

fn signal_group_by_number(pid: u32, signal: i32) -> io::Result<bool> {
    // SAFETY: passes numbers only.
    let result = unsafe { libc::killpg(pid as i32, signal) };
    there(result.into())
}

/// "No such process" is an answer, not an error.
fn there(result: i64) -> io::Result<bool> {
    if result == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESRCH) { Ok(false) } else { Err(error) }
}
