//! A keeper that is made up, and the real program that talks to it: in a pipe, and on a terminal.

use crate::support::{Outcome, Project};
use mainstay::flags::guard::RollState;
use mainstay::flags::{Declaration, Value};
use mainstay::ipc::control::Refusal;
use mainstay::ipc::flags::{Changed, Flag, Reply, Request, Roll, Seen};
use mainstay::ipc::frame::{self, Form, Inbox};
use mainstay::time::Wall;
use nix::pty::{Winsize, openpty};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

pub struct Keeper {
    project: Project,
    asked: Arc<Mutex<Vec<Request>>>,
    server: Option<JoinHandle<()>>,
}

impl Keeper {
    pub fn new(mut script: impl FnMut(&Request) -> Option<Vec<Reply>> + Send + 'static) -> Keeper {
        let project = Project::new("name = \"shop\"\n");
        std::fs::create_dir(project.path("run/control")).unwrap();
        let listener = UnixListener::bind(project.path("run/control/keeper")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        let server = std::thread::spawn(move || {
            // An empty connection is the goodbye of `Drop`.
            while let Some((mut stream, request)) = next(&listener) {
                let replies = script(&request);
                heard.lock().unwrap().push(request);
                for reply in replies.iter().flatten() {
                    // The client may have heard enough.
                    let _ = stream.write_all(&frame::encode(Form::Binary, reply).unwrap());
                }
            }
        });
        Keeper { project, asked, server: Some(server) }
    }

    /// One that says the same to everything.
    pub fn saying(replies: Vec<Reply>) -> Keeper {
        Keeper::new(move |_| Some(replies.clone()))
    }

    /// A file in the folder in which commands run.
    pub fn write(&self, name: &str, text: &str) {
        self.project.write(name, text);
    }

    /// Runs a command to its end; its words are parted at blanks.
    pub fn run(&self, line: &str) -> Outcome {
        self.run_words(&line.split_whitespace().collect::<Vec<_>>())
    }

    pub fn run_words(&self, words: &[&str]) -> Outcome {
        let outcome = self.project.mainstay(words);
        assert!(!outcome.stdout.contains('\x1b'), "an escape byte in a pipe: {:?}", outcome.stdout);
        assert!(!outcome.stderr.contains('\x1b'), "an escape byte in a pipe: {:?}", outcome.stderr);
        outcome
    }

    /// The exit code, all of stdout and all of stderr.
    #[track_caller]
    pub fn check(&self, line: &str, code: i32, stdout: &str, stderr: &str) {
        let outcome = self.run(line);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()),
            (code, stdout, stderr),
            "mainstay {line}"
        );
    }

    /// A command on a terminal of 80 columns.
    pub fn on_terminal(&self, line: &str) -> Terminal {
        Terminal::start(&self.project, &line.split_whitespace().collect::<Vec<_>>())
    }

    /// What it was asked, since the last look.
    pub fn asked(&self) -> Vec<Request> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = UnixStream::connect(self.project.path("run/control/keeper"));
        if let Some(server) = self.server.take() {
            let ended = server.join();
            assert!(std::thread::panicking() || ended.is_ok(), "the made-up keeper fell over");
        }
    }
}

fn next(listener: &UnixListener) -> Option<(UnixStream, Request)> {
    let (mut stream, _) = listener.accept().unwrap();
    let (mut inbox, mut piece) = (Inbox::default(), [0; 4096]);
    loop {
        if let Some(request) = inbox.take().unwrap() {
            return Some((stream, request));
        }
        match stream.read(&mut piece).unwrap() {
            0 => return None,
            count => inbox.push(&piece[..count]),
        }
    }
}

/// A program on a terminal.
pub struct Terminal {
    child: Child,
    master: OwnedFd,
    raw: Vec<u8>,
}

impl Terminal {
    fn start(project: &Project, words: &[&str]) -> Terminal {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut command = project.command(words);
        command.env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        Terminal { child, master: pty.master, raw: Vec::new() }
    }

    /// Reads a piece; false when the program has closed the terminal.
    #[track_caller]
    fn read(&mut self) -> bool {
        let mut fds = [nix::poll::PollFd::new(self.master.as_fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut fds, 60_000u16).unwrap(), 1, "nothing came: {}", self.screen());
        let mut piece = [0; 4096];
        match nix::unistd::read(&self.master, &mut piece) {
            Ok(0) | Err(nix::errno::Errno::EIO) => false,
            Ok(count) => {
                self.raw.extend_from_slice(&piece[..count]);
                true
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Returns when this stands on the screen.
    #[track_caller]
    pub fn await_text(&mut self, text: &str) {
        while !self.screen().contains(text) {
            assert!(self.read(), "it ended without {text:?}: {}", self.screen());
        }
    }

    pub fn type_in(&mut self, text: &str) {
        nix::unistd::write(&self.master, text.as_bytes()).unwrap();
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        crate::support::kill(i32::try_from(self.child.id()).unwrap(), signal);
    }

    /// How it ended, and what stands on the screen then.
    #[track_caller]
    pub fn end(mut self) -> (std::process::ExitStatus, String) {
        while self.read() {}
        (self.child.wait().unwrap(), self.screen())
    }

    /// What a person sees: lines that were written over show their last text.
    pub fn screen(&self) -> String {
        let text = String::from_utf8_lossy(&self.raw);
        assert!(!text.contains('\x1b'), "an escape although NO_COLOR is set: {text:?}");
        let mut lines: Vec<Vec<char>> = vec![Vec::new()];
        let mut column = 0;
        for c in text.chars() {
            match c {
                '\n' => lines.push(Vec::new()),
                '\r' => column = 0,
                c => {
                    let line = lines.last_mut().unwrap();
                    line.resize(line.len().max(column + 1), ' ');
                    line[column] = c;
                    column += 1;
                }
            }
        }
        let lines = lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn done(generation: u64) -> Reply {
    Reply::Done { generation, durable: true }
}

pub fn changed(flag: &str, old: &str, new: &str, generation: u64) -> Reply {
    Reply::Changed(changed_one(flag, old, new, generation))
}

pub fn changed_one(flag: &str, old: &str, new: &str, generation: u64) -> Changed {
    Changed {
        flag: flag.into(),
        old: old.into(),
        new: new.into(),
        generation,
        unchanged: old == new,
        repeated: false,
        durable: true,
    }
}

pub fn refused(code: u8, message: &str, hint: &str) -> Vec<Reply> {
    vec![Reply::Refused(Refusal { code, message: message.into(), hint: hint.into() })]
}

pub fn seen(flag: &str, service: &str, running: u32, read: u32, newest: u32) -> Reply {
    let (flag, service) = (flag.into(), service.into());
    Reply::Seen(Seen { flag, service, running, read, newest, behind_ns: 0, generation: 1 })
}

pub fn flag(name: &str, value: Value) -> Flag {
    Flag {
        declared: Declaration { name: name.into(), ..Declaration::default() },
        truth: value.into(),
        effective: value.into(),
        instances: Vec::new(),
        set: false,
        generation: 0,
        uid: 0,
        actor: String::new(),
        reason: String::new(),
        time: Wall(0),
        durable: true,
        stage: None,
        roll: 0,
        guard: String::new(),
    }
}

/// `r-3`: `new-checkout` by 10, 25, 50, 100 %, each for two minutes.
pub fn roll(step: u32, state: RollState) -> Roll {
    Roll {
        number: 3,
        name: "new-checkout".into(),
        stage: 0,
        steps: ["10%", "25%", "50%", "on"].map(String::from).into(),
        step,
        state,
        baked_ns: 41_000_000_000,
        bake_ns: 120_000_000_000,
        instances: 10,
        instances_on: [1, 3, 5, 10][step as usize],
        crashes: 0,
        outcome: String::new(),
        evidence: Vec::new(),
        guard: "3 crashes in 60s, ready, health".into(),
        generation: 44 + u64::from(step),
        took_ns: 0,
    }
}
