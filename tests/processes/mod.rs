//! What tests with real processes share: programs whose output is read, and processes of their own for
//! what changes the whole process.
#![allow(dead_code, unreachable_pub)] // each test binary uses a part

use mainstay::supervisor::Cause;
use mainstay::sys::cgroup::Group;
use mainstay::sys::launch::{Launch, Program, Request, StartError, Started};
use mainstay::sys::pidfd;
use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// How long a watchdog waits for what happens within milliseconds when all is well.
pub const WATCHDOG_MS: i32 = 30_000;

/// A request for this command, with the `PATH` that programs usually have.
pub fn request(argv: &[&str]) -> Request {
    let mut request =
        Request::new(Program::Named(argv[0].into()), argv.iter().map(Into::into).collect::<Vec<_>>());
    request.variables = vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];
    request
}

/// A shell that runs this script.
pub fn shell(script: &str) -> Request {
    request(&["sh", "-c", script])
}

/// A running program whose output we read.
pub struct Running {
    pub started: Started,
    pub output: BufReader<PipeReader>,
}

/// Never leaves anything behind, also when the test fails.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = pidfd::signal_group(&self.started.pidfd, self.started.pid, libc::SIGKILL);
        let _ = pidfd::signal(&self.started.pidfd, libc::SIGKILL);
    }
}

impl Running {
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub fn wait(&mut self) -> Cause {
        pidfd::wait(&self.started.pidfd).unwrap().0
    }
}

/// Starts it with its standard output in our hands.
pub fn start(request: Request) -> Result<Running, StartError> {
    start_in(request, None, &[])
}

pub fn start_in(
    mut request: Request,
    cgroup: Option<&Group>,
    numbers: &[u64],
) -> Result<Running, StartError> {
    let (output, write) = std::io::pipe().unwrap();
    request.descriptors.push((1, Arc::new(write.into())));
    let started = Launch::new(request)?.start(numbers, cgroup.map(AsFd::as_fd))?;
    Ok(Running { started, output: BufReader::new(output) })
}

/// Everything that it writes until it ends, and how it ends.
pub fn output_of(request: Request) -> (String, Cause) {
    let mut running = start(request).unwrap();
    let mut text = String::new();
    running.output.read_to_string(&mut text).unwrap();
    let cause = running.wait();
    (text, cause)
}

/// A program as descriptor 3 that blocks whoever reads it until the test drops the other end, or dies.
pub struct Leash(#[allow(dead_code)] PipeWriter);

impl Leash {
    pub fn attach(request: &mut Request) -> Leash {
        let (read, write) = std::io::pipe().unwrap();
        request.descriptors.push((3, Arc::new(OwnedFd::from(read))));
        Leash(write)
    }
}

/// Whether the descriptor becomes readable before the watchdog barks.
pub fn readable(descriptor: impl AsFd) -> bool {
    ready(descriptor, rustix::event::PollFlags::IN)
}

pub fn ready(descriptor: impl AsFd, flags: rustix::event::PollFlags) -> bool {
    let timeout = rustix::event::Timespec { tv_sec: i64::from(WATCHDOG_MS) / 1000, tv_nsec: 0 };
    let mut watched = [rustix::event::PollFd::new(&descriptor, flags)];
    rustix::event::poll(&mut watched, Some(&timeout)).unwrap() == 1
}

/// The field of a status file such as `/proc/self/status`.
pub fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).trim()
}

pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

pub fn am_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Written by another process: a child that another test is just starting has a copy of every descriptor of ours
/// from its fork to its exec, and the kernel executes no file that somebody has open for writing.
pub fn write_script(path: &Path, text: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "printf %s \"$2\" >\"$1\"", "sh"]).arg(path).arg(text);
    assert!(shell.status().unwrap().success(), "{}", path.display());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Set for a test that another one runs in a process of its own.
pub const INSIDE: &str = "MAINSTAY_TEST_INSIDE";

/// Whether this test was run by another one; otherwise it has nothing to do.
pub fn inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the test `name` of this binary in a process of its own, and reads what it says: whatever
/// it does to signals, limits or users is its own affair.
pub fn in_own_process(name: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{text}\n{errors}", output.status);
    assert!(text.contains("running 1 test"), "{name} is no test: {text}");
    text
}

pub fn null() -> Arc<OwnedFd> {
    Arc::new(File::options().read(true).write(true).open("/dev/null").unwrap().into())
}
