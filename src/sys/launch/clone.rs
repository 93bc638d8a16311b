//! Making a process that shares our memory until it executes (S2).
//!
//! The parent sleeps until the child has executed or exited: microseconds, whatever the parent's size.
//! The child runs on a stack of its own, so nothing of the parent's frames is touched.

#![allow(unsafe_code)] // clone, and a stack for the child

use super::table::{Life, child};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Room for the child's table walk. It needs less than 2 KiB; signals are blocked while it runs.
const STACK: usize = 64 * 1024;
const GUARD: usize = 64 * 1024;

/// `CLONE_INTO_CGROUP` of clone3; too wide for the older calls.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// One memory until exec, and the parent sleeps as long.
const FLAGS: i32 = libc::CLONE_VM | libc::CLONE_VFORK;

/// One table of descriptors, when the child is going to leave it.
fn shared(life: &Life) -> i32 {
    if life.shared_below.is_some() { libc::CLONE_FILES } else { 0 }
}

/// A child's stack: a guard below, so that an overflow faults instead of writing into something else.
pub(super) struct Stack(*mut libc::c_void);

impl Stack {
    pub(super) fn new() -> io::Result<Stack> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at a place of the kernel's choice.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), GUARD + STACK, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Stack(base);
        // SAFETY: the upper part of the mapping just made, which nobody else knows.
        let result =
            unsafe { libc::mprotect(base.byte_add(GUARD), STACK, libc::PROT_READ | libc::PROT_WRITE) };
        if result == 0 { Ok(stack) } else { Err(io::Error::last_os_error()) }
    }

    /// The lowest usable address.
    fn bottom(&self) -> *mut libc::c_void {
        // SAFETY: inside the mapping.
        unsafe { self.0.byte_add(GUARD) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; children have left it before `start` returned.
        unsafe { libc::munmap(self.0, GUARD + STACK) };
    }
}

/// What came of asking for a process.
pub(super) enum Cloned {
    /// The child has executed, or has left its report and exited.
    Child(u32, OwnedFd),
    /// There is none: the kernel's error number.
    Refused(i32),
    /// There is none: the control group would not have it.
    CgroupRefused(i32),
}

/// Makes the child, runs its table, and returns when it has executed or exited.
///
/// `cgroup` is the directory it is born in. Where clone3 is refused (a kernel or a seccomp filter that
/// does not know it) the older call is used, and the table enters the control group itself.
pub(super) fn make(stack: &Stack, life: &mut Life, cgroup: Option<BorrowedFd>) -> Cloned {
    let mask = block_signals();
    let cloned = match clone3(stack, life, cgroup) {
        Err(libc::ENOSYS | libc::EPERM | libc::EINVAL | libc::E2BIG) => {
            if cgroup.is_some() {
                // Its descriptor is not lent: a copy of the table has it.
                (life.enter_cgroup, life.shared_below) = (true, None);
            }
            match clone(stack, life) {
                Ok((pid, pidfd)) => Cloned::Child(pid, pidfd),
                Err(errno) => Cloned::Refused(errno),
            }
        }
        // What clone3 says about processes; everything else is about the group.
        Err(errno @ (libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::ENOSPC)) => {
            Cloned::Refused(errno)
        }
        Err(errno) if cgroup.is_some() => Cloned::CgroupRefused(errno),
        Err(errno) => Cloned::Refused(errno),
        Ok((pid, pidfd)) => Cloned::Child(pid, pidfd),
    };
    restore_signals(mask);
    cloned
}

/// All of them, glibc's internal ones included: a handler must not run in a child that shares our
/// memory, nor a thread be cancelled while it sleeps here.
fn block_signals() -> u64 {
    let (all, mut old) = (u64::MAX, 0_u64);
    // SAFETY: eight bytes in, eight bytes out.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all, &raw mut old, 8) };
    old
}

fn restore_signals(mask: u64) {
    let none = std::ptr::null_mut::<u64>();
    // SAFETY: eight bytes in, nothing out.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, none, 8) };
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn clone3(stack: &Stack, life: &mut Life, cgroup: Option<BorrowedFd>) -> Result<(u32, OwnedFd), i32> {
    let mut pidfd: i32 = -1;
    let flags = (FLAGS | shared(life) | libc::CLONE_PIDFD) as u64;
    let args = CloneArgs {
        flags: flags | if cgroup.is_some() { INTO_CGROUP } else { 0 },
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.bottom() as u64,
        stack_size: STACK as u64,
        cgroup: cgroup.map_or(0, |cgroup| cgroup.as_raw_fd() as u64),
        ..CloneArgs::default()
    };
    // SAFETY: `args` describes a stack that nobody else uses, and `child` never returns. The parent
    // sleeps until the child has left this memory, so `life` is never used by both.
    let pid = unsafe { clone3_call(&args, life) };
    if pid < 0 {
        return Err(-pid as i32);
    }
    // SAFETY: the kernel has just opened it for us.
    Ok((pid as u32, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// No assembly for this machine: the older call is used.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn clone3(_: &Stack, _: &mut Life, _: Option<BorrowedFd>) -> Result<(u32, OwnedFd), i32> {
    Err(libc::ENOSYS)
}

/// `struct clone_args` as of Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// The system call itself. libc has no wrapper, and its generic one would return into the parent's
/// frame on the child's stack: the child must go to `child` without any return address.
///
/// # Safety
/// `args` names a stack that is the child's alone; signals are blocked; `life` is valid until the child
/// has executed or exited.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3_call(args: &CloneArgs, life: &mut Life) -> i64 {
    let result: i64;
    // SAFETY: in the parent only rax, rcx and r11 change. In the child rsp is the new stack's end,
    // aligned to 16 as a call wants it, and `child` never returns.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") args,
            in("rsi") size_of::<CloneArgs>(),
            in("r12") child as extern "C" fn(*mut libc::c_void) -> libc::c_int,
            in("r13") std::ptr::from_mut(life),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// As for x86-64.
///
/// # Safety
/// As for x86-64.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3_call(args: &CloneArgs, life: &mut Life) -> i64 {
    let result: i64;
    // SAFETY: in the parent only x0 changes. In the child sp is the new stack's end, aligned to 16, and
    // `child` never returns.
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x21",
            "blr x20",
            "brk 1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") args => result,
            in("x1") size_of::<CloneArgs>(),
            in("x20") child as extern "C" fn(*mut libc::c_void) -> libc::c_int,
            in("x21") std::ptr::from_mut(life),
            lateout("x30") _,
        );
    }
    result
}

/// The call of old. The pidfd is opened afterwards: the number cannot go to anyone else meanwhile,
/// since only we can reap the child.
fn clone(stack: &Stack, life: &mut Life) -> Result<(u32, OwnedFd), i32> {
    let flags = FLAGS | shared(life) | libc::SIGCHLD;
    // SAFETY: the end of a mapping of this length.
    let top = unsafe { stack.bottom().byte_add(STACK) };
    // SAFETY: a stack that nobody else uses, and a function that never returns. The parent sleeps until
    // the child has left this memory.
    let pid = unsafe { libc::clone(child, top, flags, std::ptr::from_mut(life).cast()) };
    let errno = || io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    if pid < 0 {
        return Err(errno());
    }
    // SAFETY: passes numbers only.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if pidfd < 0 {
        let errno = errno();
        // Without a descriptor it could not be supervised: end it, so that nothing is left.
        // SAFETY: our own child that nobody has reaped.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        // SAFETY: a null status is allowed.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        return Err(errno);
    }
    // SAFETY: the kernel has just opened it for us.
    Ok((pid as u32, unsafe { OwnedFd::from_raw_fd(pidfd as i32) }))
}
