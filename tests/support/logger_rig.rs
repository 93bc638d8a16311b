//! What a supervisor is to the logger, played by a test: pipes, the channel, the memory that outlives it.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs)]

use mainstay::ipc::builtin::{Death, FromLogger, ToLogger};
use mainstay::ipc::codec;
use mainstay::ipc::seam::Seams;
use mainstay::services::logger::line::{Kind, Line, Which};
use mainstay::services::logger::older;
use mainstay::supervisor::Cause;
use mainstay::sys::launch::{Launch, Program, Request};
use mainstay::sys::pidfd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    recv, sendmsg, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// One watchdog for everything: far more than anything takes.
pub const WATCHDOG: Duration = Duration::from_secs(120);

const LOGGER: &str = env!("CARGO_BIN_EXE_mainstay");

/// How lives are told apart in pipes; what the random numbers are does not matter here.
pub fn seams() -> Seams {
    Seams::new([0x00ff_1234_5678_9abc, 0xdef0_0011_2233_4455])
}

/// An instance with output.
pub struct Source {
    pub service: String,
    pub instance: String,
    pub max_size: u64,
    pub files: u32,
    pub ready: Option<String>,
    /// Told to each life of the logger.
    pub present: bool,
    read: [OwnedFd; 2],
    pub write: [File; 2],
}

/// Everything that outlives the logger.
pub struct Rig {
    directory: Option<tempfile::TempDir>,
    pub logs: PathBuf,
    pub state: PathBuf,
    ours: OwnedFd,
    theirs: Arc<OwnedFd>,
    memory: Arc<OwnedFd>,
    holding: [Arc<OwnedFd>; 2],
    pub sources: Vec<Source>,
    pub lives: BTreeMap<u32, u64>,
    /// Their lives are told apart by seams.
    pub sewn: bool,
    pub deaths: Vec<Death>,
    /// Removed, and not forgotten yet.
    pub gone: Vec<u32>,
    pub foreground: bool,
    pub stdio: Vec<(i32, Arc<OwnedFd>)>,
    pub variables: Vec<(&'static str, String)>,
}

/// A logger that runs; killed when the test is over.
pub struct Running {
    pub pid: u32,
    pub pidfd: OwnedFd,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = pidfd::signal(&self.pidfd, libc::SIGKILL);
        let _ = pidfd::wait(&self.pidfd);
    }
}

impl Running {
    pub fn kill(self) {}

    /// SIGTERM; returns when everything is in the logs.
    pub fn finish(self) {
        // Before its handler stands the signal would just kill it.
        let handled = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
            let line =
                status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
            u64::from_str_radix(&line, 16).unwrap() & 1 << (libc::SIGTERM - 1) != 0
        };
        while !handled() {
            std::thread::yield_now();
        }
        pidfd::signal(&self.pidfd, libc::SIGTERM).unwrap();
        await_readable(self.pidfd.as_fd(), "the logger's end");
        assert_eq!(pidfd::peek(&self.pidfd).unwrap(), Some(Cause::Code(0)));
    }
}

pub fn await_readable(fd: BorrowedFd<'_>, what: &str) {
    let timeout = Timespec { tv_sec: WATCHDOG.as_secs() as i64, tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).unwrap();
    assert_eq!(ready, 1, "waited too long for {what}");
}

/// Waits until nobody has the reading end of this pipe. To close one's own is not enough: a child that another
/// test is just starting has a copy of every descriptor from its fork to its exec.
pub fn await_no_reader(write: impl AsFd) {
    let timeout = Timespec { tv_sec: WATCHDOG.as_secs() as i64, tv_nsec: 0 };
    let mut polled = [PollFd::new(&write, PollFlags::empty())];
    assert_eq!(poll(&mut polled, Some(&timeout)).unwrap(), 1, "somebody still has the reading end");
    assert!(polled[0].revents().contains(PollFlags::ERR), "{:?}", polled[0].revents());
}

/// Waits until everything that was written was taken.
pub fn await_empty(rig: &Rig, child: u32, which: Which) {
    let pipe = &rig.sources[child as usize].write[which as usize];
    let mut looks = 0u64;
    while mainstay::sys::pipe::waiting(pipe).unwrap() > 0 {
        looks += 1;
        assert!(looks < 1_000_000_000);
        std::thread::yield_now();
    }
}

impl Rig {
    pub fn new() -> Rig {
        let directory = tempfile::tempdir().unwrap();
        let (logs, state) = (directory.path().join("logs"), directory.path().join("state"));
        std::fs::create_dir(&logs).unwrap();
        std::fs::create_dir(&state).unwrap();
        Rig { directory: Some(directory), ..Rig::on(&logs, &state) }
    }

    pub fn on(logs: &Path, state: &Path) -> Rig {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let memory = mainstay::sys::memory::zeroed("logger", 64 << 10).unwrap();
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        Rig {
            directory: None,
            logs: logs.to_owned(),
            state: state.to_owned(),
            ours,
            theirs: Arc::new(theirs),
            memory: Arc::new(memory),
            holding: [Arc::new(read), Arc::new(write)],
            sources: Vec::new(),
            lives: BTreeMap::new(),
            sewn: false,
            deaths: Vec::new(),
            gone: Vec::new(),
            foreground: false,
            stdio: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// Adds an instance; its index.
    pub fn source(&mut self, service: &str, instance: &str, max_size: u64, files: u32) -> u32 {
        let pipe = || pipe_with(PipeFlags::CLOEXEC).unwrap();
        let ((out_read, out_write), (err_read, err_write)) = (pipe(), pipe());
        self.sources.push(Source {
            service: service.into(),
            instance: instance.into(),
            max_size,
            files,
            ready: None,
            present: true,
            read: [out_read, err_read],
            write: [out_write.into(), err_write.into()],
        });
        self.sources.len() as u32 - 1
    }

    /// From here on the number is that of another instance, with pipes of its own.
    pub fn exchange(&mut self, child: u32, service: &str, instance: &str) {
        self.source(service, instance, 10 << 20, 5);
        self.sources.swap_remove(child as usize);
    }

    pub fn web(&mut self) -> u32 {
        self.source("web", "web", 10 << 20, 5)
    }

    /// The next life runs in the foreground, and shows on this pipe, until `stdio` is cleared and it has ended.
    pub fn show_on_a_pipe(&mut self) -> std::io::PipeReader {
        let (screen, output) = std::io::pipe().unwrap();
        let output = Arc::new(OwnedFd::from(output));
        self.stdio = vec![(1, output.clone()), (2, output)];
        self.foreground = true;
        screen
    }

    pub fn write(&self, child: u32, which: Which, bytes: &[u8]) {
        (&self.sources[child as usize].write[which as usize]).write_all(bytes).unwrap();
    }

    /// Puts the seam before a life into both pipes.
    pub fn sew(&self, child: u32, life: u64) {
        for which in Which::BOTH {
            self.write(child, which, &seams().before(life));
        }
    }

    /// A logger that was told nothing yet.
    pub fn spawn(&self) -> Running {
        self.spawn_as(LOGGER, &["mainstay.logger"], None)
    }

    /// The same, as a process that becomes the logger when something is written into the gate.
    pub fn spawn_behind_gate(&self) -> (Running, File) {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let script = "read -r _ <&7; exec 7<&-; exec \"$0\" \"$@\"";
        let running = self.spawn_as("/bin/sh", &["sh", "-c", script, LOGGER], Some(read));
        // So that what it still has to do is always the same.
        let waits = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid)).unwrap();
            status.lines().any(|line| line.starts_with("State:\tS"))
        };
        while !waits() {
            std::thread::yield_now();
        }
        (running, write.into())
    }

    fn spawn_as(&self, program: &str, begin: &[&str], gate: Option<OwnedFd>) -> Running {
        let mut argv: Vec<OsString> = begin.iter().map(Into::into).collect();
        argv.extend(["@logger".into(), "--logs".into(), self.logs.clone().into()]);
        argv.extend(["--state".into(), self.state.clone().into()]);
        argv.extend(["--runtime".into(), self.state.clone().into()]);
        let mut request = Request::new(Program::Named(program.into()), argv);
        request.descriptors = vec![
            (3, Arc::clone(&self.theirs)),
            (4, Arc::clone(&self.memory)),
            (5, Arc::clone(&self.holding[0])),
            (6, Arc::clone(&self.holding[1])),
        ];
        request.descriptors.extend(self.stdio.iter().cloned());
        request.descriptors.extend(gate.map(|gate| (7, Arc::new(gate))));
        request.variables = self.variables.iter().map(|(k, v)| (k.into(), v.into())).collect();
        let started = Launch::new(request).unwrap().start(&[], None).unwrap();
        Running { pid: started.pid, pidfd: started.pidfd }
    }

    /// What each life of the logger is told.
    pub fn tell(&self) {
        let width = self.sources.iter().map(|source| source.instance.len()).max().unwrap_or(0) as u32;
        self.send(&ToLogger::Hello {
            foreground: self.foreground,
            width,
            project: "shop".into(),
            seams: seams(),
        });
        for (child, source) in (0..).zip(&self.sources) {
            if source.present {
                self.tell_stream(child);
            }
        }
        for death in &self.deaths {
            self.send(&ToLogger::Death(death.clone()));
        }
        for (&child, &incarnation) in &self.lives {
            self.send(&ToLogger::Life { child, incarnation, seam: self.sewn });
        }
        for &child in &self.gone {
            self.send(&ToLogger::Gone { child });
        }
        self.send(&ToLogger::Begin);
    }

    pub fn tell_stream(&self, child: u32) {
        let source = &self.sources[child as usize];
        let message = ToLogger::Stream {
            child,
            service: source.service.clone(),
            instance: source.instance.clone(),
            max_size: source.max_size,
            files: source.files,
            ready: source.ready.clone(),
        };
        self.send_with(&message, &[source.read[0].as_fd(), source.read[1].as_fd()]);
    }

    pub fn start(&self) -> Running {
        let running = self.spawn();
        self.tell();
        running
    }

    pub fn send(&self, message: &ToLogger) {
        self.send_with(message, &[]);
    }

    fn send_with(&self, message: &ToLogger, descriptors: &[BorrowedFd<'_>]) {
        let bytes = codec::encode(message).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
        }
        sendmsg(&self.ours, &[IoSlice::new(&bytes)], &mut control, SendFlags::empty()).unwrap();
    }

    /// The next message of the logger; waits for it.
    pub fn receive(&self) -> FromLogger {
        await_readable(self.ours.as_fd(), "a message of the logger");
        self.received().unwrap()
    }

    /// A message that is there already.
    pub fn received(&self) -> Option<FromLogger> {
        let mut bytes = vec![0; codec::LIMIT];
        let (length, _) = recv(&self.ours, &mut bytes[..], RecvFlags::DONTWAIT).ok()?;
        Some(codec::decode(&bytes[..length]).unwrap())
    }

    /// Takes what a dead logger was not told any more out of the channel, as nobody would in real life: the
    /// next life starts from nothing but what is sent again.
    pub fn forget_unread(&self) {
        let mut bytes = vec![0; codec::LIMIT];
        while recv(&*self.theirs, &mut bytes[..], RecvFlags::DONTWAIT).is_ok() {}
    }

    /// All files of a service's log, oldest first.
    pub fn files(&self, service: &str) -> Vec<Vec<u8>> {
        let current = self.logs.join(format!("{service}.log"));
        let mut files: Vec<_> =
            (1..).map(|n| older(&current, n)).map_while(|path| std::fs::read(path).ok()).collect();
        files.reverse();
        files.extend(std::fs::read(current).ok());
        files
    }

    /// What can be read of a service's log, oldest first, also between two renames of a rotation; without a
    /// last line that is unfinished.
    pub fn whole_lines(&self, service: &str) -> Vec<u8> {
        let current = self.logs.join(format!("{service}.log"));
        let present = std::fs::read_dir(&self.logs).unwrap().count() as u32;
        let files = (0..=present + 1).rev().filter_map(|n| std::fs::read(older(&current, n)).ok());
        let mut lines = files.collect::<Vec<_>>().concat();
        lines.truncate(lines.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1));
        lines
    }

    pub fn bytes(&self, service: &str) -> BTreeMap<(String, Which), Vec<u8>> {
        bytes_of(&self.files(service))
    }

    /// Marks of an instance, in order.
    pub fn marks(&self, service: &str, instance: &str) -> Vec<String> {
        let mut marks = Vec::new();
        each_line(&self.files(service), |line, _| {
            if line.kind == Kind::Mark && line.instance == instance {
                marks.push(String::from_utf8(line.text.to_vec()).unwrap());
            }
        });
        marks
    }
}

fn each_line(files: &[Vec<u8>], mut see: impl FnMut(Line<'_>, bool)) {
    for file in files {
        for whole in file.split_inclusive(|&byte| byte == b'\n') {
            let bare = whole.strip_suffix(b"\n").unwrap_or(whole);
            let Some(line) = Line::parse(bare) else {
                panic!("not a line: {:?}", String::from_utf8_lossy(&bare[..bare.len().min(200)]));
            };
            see(line, whole.ends_with(b"\n"));
        }
    }
}

/// What each stream wrote, as its log says. The newline of a last line counts, although an unfinished one
/// before a mark looks the same.
pub fn bytes_of(files: &[Vec<u8>]) -> BTreeMap<(String, Which), Vec<u8>> {
    let mut streams: BTreeMap<(String, Which), Vec<u8>> = BTreeMap::new();
    each_line(files, |line, finished| {
        let (which, rest) = match line.kind {
            Kind::Text(which) => (which, false),
            Kind::Rest(which) => (which, true),
            Kind::Mark => return,
        };
        let stream = streams.entry((line.instance.to_owned(), which)).or_default();
        if rest {
            assert_eq!(stream.pop(), Some(b'\n'), "a rest of nothing: {line:?}");
        }
        stream.extend_from_slice(line.text);
        if finished {
            stream.push(b'\n');
        }
    });
    streams
}
