//! The loop: messages first, then pipes, one transfer for each in turn; then wait.

mod events;

use super::channel::{Channel, Received};
use super::file::LogFile;
use super::line::Which;
use super::memory::Memory;
use super::screen::Screen;
use super::state::{State, Stream, Taken};
use super::transfer::Transfer;
use crate::exit_code::ExitCode;
use crate::ipc::builtin::{Death, FromLogger, ToLogger};
use crate::ipc::control::Event;
use crate::sys::signal::Signals;
use crate::sys::{clock, inherited, memory};
use crate::time::{Duration, Wall};
use clap::Parser;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

const CHANNEL: Token = Token(0);
const SIGNALS: Token = Token(1);
/// The first stream's; stdout and stderr of each instance follow.
const STREAMS: usize = 2;
/// Messages taken in one turn, so that a flood of them does not keep pipes waiting.
const MESSAGES: usize = 1024;
/// Transfers from each pipe at the end.
const ROUNDS: usize = 64;

#[derive(Debug, Parser)]
#[command(name = "mainstay @logger")]
struct Arguments {
    /// The directory of log files.
    #[arg(long)]
    logs: PathBuf,
    /// The directory of crash records.
    #[arg(long)]
    state: PathBuf,
    /// The directory of the board, which gives flags their names.
    #[arg(long)]
    runtime: PathBuf,
}

/// `mainstay @logger --logs DIR --state DIR --runtime DIR`; `args` begin after `@logger`. Descriptor 3 is the channel, 4 the
/// memory, 5 and 6 the holding pipe. Ends at SIGTERM, after what was written before is in the logs.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = std::iter::once("@logger".into()).chain(args);
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::Usage;
        }
    };
    match Logger::new(&arguments).and_then(Logger::run) {
        Ok(()) => ExitCode::Done,
        Err(error) => {
            eprintln!("mainstay: the logger failed and is started again: {error}");
            ExitCode::System
        }
    }
}

struct Logger {
    poll: Poll,
    channel: Channel,
    signals: Signals,
    state: State,
    logs: PathBuf,
    own_log: LogFile,
    /// What is to be written into it at the end of the batch.
    own_text: Vec<u8>,
    screen: Option<Screen>,
    /// Streams that may have something, each once.
    waiting: VecDeque<(u32, Which)>,
    /// By stream's number: it is in `waiting`.
    queued: Vec<bool>,
    /// What came before [`ToLogger::Begin`] and has to wait for it: marks and drains are transfers, too, and
    /// the life before may have left one unfinished.
    early: Vec<Task>,
    /// Streams whose readiness could not be told yet.
    held: Vec<(u32, Which)>,
    /// After [`ToLogger::Hello`]: what comes is meant for this life.
    greeted: bool,
    /// After [`ToLogger::Begin`]: pipes may be read.
    begun: bool,
    writable_awaited: bool,
    /// A beginning is over, ours or that of all services: what only that needed is to be given back.
    to_trim: bool,
    /// All services were up once. That they are again is no beginning: a crash storm ends so a hundred times.
    all_up_before: bool,
    /// Nobody will ever send anything again.
    closed: bool,
}

impl Logger {
    fn new(arguments: &Arguments) -> io::Result<Logger> {
        let Arguments { logs, state, runtime } = arguments;
        let channel = Channel::new(inherited::take(3)?);
        let memory = Memory::new(inherited::take(4)?);
        let holding = (inherited::take(5)?, inherited::take(6)?);
        // Ctrl-C reaches the whole foreground; only the supervisor decides what it means.
        let signals =
            Signals::install(&[libc::SIGTERM, libc::SIGUSR1, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT])?;
        raise_descriptor_limit();
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&channel.as_raw_fd()), CHANNEL, Interest::READABLE)?;
        poll.registry().register(&mut SourceFd(&signals.as_raw_fd()), SIGNALS, Interest::READABLE)?;
        Ok(Logger {
            poll,
            channel,
            signals,
            state: State::new(logs, state, runtime, Transfer::new(memory, holding)?),
            logs: logs.to_owned(),
            own_log: events::own_log(),
            own_text: Vec::new(),
            screen: None,
            waiting: VecDeque::new(),
            queued: Vec::new(),
            early: Vec::new(),
            held: Vec::new(),
            greeted: false,
            begun: false,
            writable_awaited: false,
            to_trim: true,
            all_up_before: false,
            closed: false,
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        let mut more = true; // what was sent before we began to wait makes no edge
        loop {
            let idle = !more && (self.waiting.is_empty() || !self.begun);
            if idle {
                self.state.rest();
                if self.begun && std::mem::take(&mut self.to_trim) {
                    memory::trim();
                }
            }
            match self.poll.poll(&mut events, (!idle).then_some(Duration::ZERO)) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            let mut end = false;
            for event in &events {
                match event.token() {
                    CHANNEL => {
                        more = true;
                        if event.is_writable() {
                            std::mem::take(&mut self.held).into_iter().for_each(|stream| self.wake(stream));
                        }
                    }
                    SIGNALS => end |= self.signal(),
                    Token(n) => self.wake((((n - STREAMS) / 2) as u32, Which::BOTH[(n - STREAMS) % 2])),
                }
            }
            if more {
                match self.messages()?.1 {
                    Turn::More => {}
                    Turn::Waiting => more = false,
                    Turn::Closed => self.closed = true,
                }
            }
            if end || self.closed {
                return self.end();
            }
            self.turn()?;
        }
    }

    /// True: it is time to end.
    fn signal(&mut self) -> bool {
        let mut end = false;
        for number in self.signals.pending() {
            match number {
                libc::SIGTERM => end = true,
                libc::SIGUSR1 => {
                    self.state.close_files();
                    self.own_log.close();
                }
                _ => {}
            }
        }
        end
    }

    fn wake(&mut self, stream: (u32, Which)) {
        let number = stream.0 as usize * 2 + stream.1 as usize;
        if self.queued.len() <= number {
            self.queued.resize(number + 1, false);
        }
        if !std::mem::replace(&mut self.queued[number], true) {
            self.waiting.push_back(stream);
        }
    }

    /// One transfer from each pipe that may have something.
    fn turn(&mut self) -> io::Result<()> {
        if self.begun {
            for _ in 0..self.waiting.len() {
                let Some((child, which)) = self.waiting.pop_front() else { break };
                self.queued[child as usize * 2 + which as usize] = false;
                match self.take(child, which)? {
                    Taken::Nothing => {}
                    Taken::Bytes(_) | Taken::Seam(_) => self.wake((child, which)),
                    Taken::Held => self.held.push((child, which)),
                }
            }
        }
        self.tell();
        Ok(())
    }

    /// Takes from one pipe. Messages that were sent before its bytes were written are handled before them:
    /// they are here when the bytes are, but perhaps were not when messages were looked for last.
    fn take(&mut self, child: u32, which: Which) -> io::Result<Taken> {
        while self.state.look(child, which)? > 0 {
            let (handled, turn) = self.messages()?;
            self.closed |= turn == Turn::Closed;
            if !handled {
                break;
            }
        }
        let Logger { state, channel, screen, .. } = self;
        let mut tell_ready =
            |child, incarnation| channel.send_now(&FromLogger::ReadyLine { child, incarnation });
        let taken = state.take(child, which, &mut tell_ready)?;
        match (taken, screen) {
            (Taken::Bytes(bytes), Some(screen)) => {
                let now = clock::wall();
                state.show(child, which, bytes, &mut |child, which, bytes| {
                    screen.show(child, which, bytes, now)
                });
            }
            (Taken::Seam(life), _) => self.pass(child, which, life)?,
            _ => {}
        }
        Ok(taken)
    }

    /// Another life goes on in a pipe. The life before has no end in the log when its death was not told yet: then what
    /// it left in the other pipe comes first, too.
    fn pass(&mut self, child: u32, which: Which, life: u64) -> io::Result<()> {
        let now = clock::wall();
        if self.state.is_open_before(child, life) {
            self.drain(child, life - 1, now)?;
        }
        if let (Some(screen), Some(child)) = (&mut self.screen, self.state.child_mut(child)) {
            screen.end(child, now);
        }
        self.state.pass(child, which, life)
    }

    /// Says and shows what is to be said and shown, and waits for room when there is none.
    fn tell(&mut self) {
        if let Some(screen) = &mut self.screen {
            screen.flush();
        }
        self.say_troubles();
        let wait = !self.channel.flush() || !self.held.is_empty();
        if wait != self.writable_awaited {
            let interest = if wait { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            let channel = self.channel.as_raw_fd();
            let registered = self.poll.registry().reregister(&mut SourceFd(&channel), CHANNEL, interest);
            if registered.is_ok() {
                self.writable_awaited = wait;
            }
        }
    }

    fn say_troubles(&mut self) {
        for message in std::mem::take(&mut self.state.troubles) {
            self.channel.send(&FromLogger::Trouble { message });
        }
    }

    /// Handles messages, at most [`MESSAGES`]. Whether there were any, and whether more may follow.
    fn messages(&mut self) -> io::Result<(bool, Turn)> {
        let mut batch = Vec::new();
        let (mut handled, mut turn) = (false, Turn::More);
        for _ in 0..MESSAGES {
            match self.channel.receive() {
                Ok(Received::Message(message, descriptors)) => {
                    handled = true;
                    self.message(*message, descriptors, &mut batch)?;
                }
                Ok(Received::Nothing) => {
                    turn = Turn::Waiting;
                    break;
                }
                Ok(Received::Closed) => {
                    turn = Turn::Closed;
                    break;
                }
                Err(error) => eprintln!("mainstay: the logger does not understand a message: {error}"),
            }
        }
        self.batch(batch)?;
        Ok((handled, turn))
    }

    /// Learns what is known without looking at a pipe; the rest goes to `batch`, in order.
    fn message(
        &mut self,
        message: ToLogger,
        descriptors: Vec<OwnedFd>,
        batch: &mut Vec<Task>,
    ) -> io::Result<()> {
        self.greeted |= matches!(message, ToLogger::Hello { .. });
        let task = match message {
            ToLogger::Happened(event) => Task::Happened(event),
            ToLogger::Changed(event) => {
                self.state.changes.remember(&event);
                return Ok(());
            }
            // Meant for the life before, which took what belongs to it; all of it is sent again.
            _ if !self.greeted => return Ok(()),
            ToLogger::Hello { foreground, width, project: _, seams } => {
                self.state.seams = Some(seams);
                return self.hello(foreground, width as usize);
            }
            ToLogger::Begin => return self.begin(batch),
            ToLogger::Stream { child, service, instance, max_size, files, ready } => {
                let Ok(pipes) = <[OwnedFd; 2]>::try_from(descriptors) else {
                    eprintln!("mainstay: the pipes of `{instance}` did not come with their message");
                    return Ok(());
                };
                let stream = Stream { child, service, instance, max_size, files, ready, pipes };
                // What the life before was doing can only be ended when every stream is known.
                let first = !self.early.iter().any(|task| matches!(task, Task::Gone(gone) if *gone == child));
                if !self.begun && first {
                    return self.stream(stream);
                }
                Task::Stream(stream)
            }
            ToLogger::Gone { child } => Task::Gone(child),
            ToLogger::Life { child, incarnation, seam } => Task::Life { child, incarnation, seam },
            ToLogger::Death(death) => Task::Death(death, descriptors.into_iter().next()),
        };
        if self.begun { batch } else { &mut self.early }.push(task);
        Ok(())
    }

    fn hello(&mut self, foreground: bool, width: usize) -> io::Result<()> {
        match (&mut self.screen, foreground) {
            (screen, false) => *screen = None,
            (Some(screen), true) => screen.set_width(width),
            (screen, true) => *screen = Some(Screen::new(width)?),
        }
        Ok(())
    }

    /// From here on pipes are read. What was said too early is done now.
    fn begin(&mut self, batch: &mut Vec<Task>) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            self.state.recover()?;
            batch.append(&mut self.early);
        }
        Ok(())
    }

    /// Does what was told, in order; records the deaths in it together, then acknowledges them.
    fn batch(&mut self, batch: Vec<Task>) -> io::Result<()> {
        let mut seq = None;
        let mut tasks = batch.into_iter();
        while let Some(task) = tasks.next() {
            match task {
                Task::Life { child, incarnation, seam } => self.state.life(child, incarnation, seam)?,
                Task::Happened(event) => self.happened(&event)?,
                Task::Death(death, blackbox) => {
                    let next = next_life(tasks.as_slice(), &death);
                    self.death(&death, blackbox, next)?;
                    seq = seq.max(Some(death.seq));
                }
                Task::Stream(stream) => {
                    if self.begun && !self.state.is_known(&stream) {
                        self.leave(stream.child)?;
                    }
                    self.stream(stream)?;
                }
                Task::Gone(child) => {
                    // Whoever hears that the number is free was told before of each death under it.
                    self.recorded(seq.take());
                    self.leave(child)?;
                    self.channel.send(&FromLogger::Forgotten { child });
                }
            }
        }
        self.write_own();
        self.recorded(seq);
        Ok(())
    }

    /// Writes the records of deaths up to this number, and acknowledges them.
    fn recorded(&mut self, seq: Option<u64>) {
        let Some(seq) = seq else { return };
        let unwritten = self.state.record();
        // First what is wrong: who was told that a death is done with is told nothing more about it.
        self.say_troubles();
        self.channel.send(&FromLogger::Recorded { seq, unwritten });
    }

    /// An instance is announced.
    fn stream(&mut self, stream: Stream) -> io::Result<()> {
        let child = stream.child;
        if let Some(screen) = &mut self.screen {
            screen.widen(stream.instance.len());
        }
        match self.state.stream(stream)? {
            true => self.register(child),
            false => Ok(()),
        }
    }

    /// An instance writes no more: its last words, then nothing is left of it.
    fn leave(&mut self, child: u32) -> io::Result<()> {
        let now = clock::wall();
        self.drain(child, u64::MAX, now)?;
        if let (Some(screen), Some(child)) = (&mut self.screen, self.state.child_mut(child)) {
            screen.end(child, now);
        }
        self.state.leave(child)
    }

    fn drain(&mut self, child: u32, until: u64, now: Wall) -> io::Result<()> {
        let Logger { state, channel, screen, .. } = self;
        // It has to end: what cannot be told now waits in memory.
        let mut tell_ready = |child, incarnation| {
            channel.send(&FromLogger::ReadyLine { child, incarnation });
            true
        };
        state.drain(child, until, &mut tell_ready, &mut |child, which, bytes| {
            if let Some(screen) = screen {
                screen.show(child, which, bytes, now);
            }
        })
    }

    fn death(&mut self, death: &Death, blackbox: Option<OwnedFd>, next: Option<u64>) -> io::Result<()> {
        let Logger { state, channel, screen, .. } = self;
        // A drain has to end: what cannot be told now waits in memory.
        let mut tell_ready = |child, incarnation| {
            channel.send(&FromLogger::ReadyLine { child, incarnation });
            true
        };
        let now = clock::wall();
        state.death(death, blackbox, next, &mut tell_ready, &mut |child, which, bytes| {
            if let Some(screen) = screen {
                screen.show(child, which, bytes, now);
            }
        })?;
        if let (Some(screen), Some(child)) = (&mut self.screen, self.state.child_mut(death.child)) {
            screen.end(child, now);
        }
        Ok(())
    }

    fn register(&mut self, child: u32) -> io::Result<()> {
        let Some(known) = self.state.child(child) else { return Ok(()) };
        for which in Which::BOTH {
            let token = Token(STREAMS + child as usize * 2 + which as usize);
            let pipe = known.pipes[which as usize].as_raw_fd();
            self.poll.registry().register(&mut SourceFd(&pipe), token, Interest::READABLE)?;
        }
        Ok(())
    }

    /// Everything that was said and written before is recorded and shown, then it is over.
    fn end(mut self) -> io::Result<()> {
        while self.messages()?.1 == Turn::More {}
        if self.begun {
            for child in self.state.indices().collect::<Vec<_>>() {
                for which in Which::BOTH {
                    // As much as a pipe can hold: who writes on and on does not keep us.
                    for _ in 0..ROUNDS {
                        if !matches!(self.take(child, which)?, Taken::Bytes(_) | Taken::Seam(_)) {
                            break;
                        }
                    }
                }
            }
        }
        self.tell();
        if let Some(screen) = self.screen {
            screen.finish();
        }
        Ok(())
    }
}

/// A message that is done in its turn.
#[derive(Debug)]
enum Task {
    Stream(Stream),
    Life { child: u32, incarnation: u64, seam: bool },
    Death(Death, Option<OwnedFd>),
    Gone(u32),
    Happened(Event),
}

/// The newest life of the instance that died, if it was announced already and no seam is before it.
fn next_life(later: &[Task], death: &Death) -> Option<u64> {
    // After that the number is another's.
    let same = later.iter().take_while(|task| !matches!(task, Task::Gone(child) if *child == death.child));
    let lives = same.filter_map(|task| match task {
        Task::Life { child, incarnation, seam: false } if *child == death.child => Some(*incarnation),
        _ => None,
    });
    lives.filter(|&life| life > death.incarnation).max()
}

/// What came of looking for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// There may be more.
    More,
    /// There are none now.
    Waiting,
    /// There will never be one.
    Closed,
}

/// Two descriptors for each instance add up.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
