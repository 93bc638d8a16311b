//! The loop: wait → hear → take from boxes → write what is due → go on sending.
//!
//! One thread. While no service writes it is never woken: boxes ring once when somebody writes into one that is drained, and
//! there are no ticks. While somebody writes it looks every [`PACE`], and at once where a ring fills.

use super::boxes::{Boxes, Taking};
use super::exporter::Exporter;
use super::notes;
use super::spool::Spool;
use crate::ipc::builtin::{FromTelemetry, ToTelemetry, Told};
use crate::ipc::{codec, notify};
use crate::services::line::Line;
use crate::services::logger::complaint::Complaint;
use crate::sys::ready::{self, Want};
use crate::sys::signal::Signals;
use crate::sys::{clock, inherited, socket};
use crate::telemetry::note::{BYTES_MAX, Said};
use crate::telemetry::{Batch, Sampler, Settings, Summary, note, otlp};
use crate::time::{Duration, Instant};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where the socket of datagrams is handed down, the line to the supervisor, the settings.
const DOOR: i32 = 3;
const LINE: i32 = 4;
const SETTINGS: i32 = 5;

/// So long after a look that found something comes the next, unless somebody is in a hurry: half a ring is written in no less.
const PACE: Duration = Duration::from_millis(10);
/// So many datagrams are heard before boxes have their turn.
const DATAGRAMS: usize = 64;
/// So many in one turn may have filled the queue of the socket: then somebody may have rung and not been heard.
const CROWD: usize = 8;
/// So long after a crowd all boxes are looked at.
const AFTERWARDS: Duration = Duration::from_millis(100);
/// A batch that could not be written is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Until the end is asked for.
pub(super) fn run(logs: &Path, state: &Path) -> Result<(), String> {
    // First: nothing else may get these numbers.
    let door =
        inherited::take(DOOR).map_err(|e| format!("no socket was handed down as descriptor 3: {e}"))?;
    let line = Line::new(inherited::take(LINE).ok());
    let settings = match inherited::take(SETTINGS).ok() {
        Some(memory) => read_settings(&File::from(memory))?,
        None => Settings::default(),
    };
    // Ctrl-C reaches the whole foreground; only the supervisor decides what it means.
    let signals = Signals::install(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT])
        .map_err(|e| format!("cannot watch signals: {e}"))?;
    let (spool, mut last) = match Spool::open(logs, &settings) {
        Ok((spool, last)) => (Some(spool), last),
        // Tried again when there is something to write.
        Err(_) => (None, Summary::default()),
    };
    last.begun += 1;
    let exporter = settings
        .endpoint
        .clone()
        .map(|endpoint| Exporter::new(endpoint, logs, state, (last.number, last.totals.written)));
    let telemetry = Telemetry {
        logs: logs.to_owned(),
        sampler: Sampler::new(&settings),
        batch: Batch::new(&settings),
        boxes: Boxes::new(std::mem::take(&mut last.reached)),
        settings,
        last,
        doors: vec![door],
        line,
        signals,
        spool,
        exporter,
        project: String::new(),
        begun: false,
        ready_to: std::env::var_os("NOTIFY_SOCKET").map(PathBuf::from),
        next_look: Instant::ZERO,
        look_at_all: None,
        write_again: None,
        complaint: Complaint::default(),
        lines: Vec::new(),
    };
    telemetry.run().map_err(|e| format!("cannot wait: {e}"))
}

fn read_settings(memory: &File) -> Result<Settings, String> {
    let broken = |what: String| format!("the settings (descriptor 5) are broken: {what}");
    let size = memory.metadata().map_err(|e| broken(e.to_string()))?.len();
    let mut bytes = vec![0; usize::try_from(size).map_err(|e| broken(e.to_string()))?];
    // By position: the descriptor shares its offset with the supervisor's and with earlier lives.
    memory.read_exact_at(&mut bytes, 0).map_err(|e| broken(e.to_string()))?;
    codec::decode_plan(&bytes).map_err(|e| broken(e.to_string()))
}

struct Telemetry {
    logs: PathBuf,
    settings: Settings,
    sampler: Sampler,
    batch: Batch,
    boxes: Boxes,
    /// The summary of the batch that was written last, and what was counted since.
    last: Summary,
    /// The sockets of datagrams: a name that was gone leads to a new one.
    doors: Vec<OwnedFd>,
    line: Line<ToTelemetry, FromTelemetry>,
    signals: Signals,
    spool: Option<Spool>,
    exporter: Option<Exporter>,
    project: String,
    /// The supervisor has said what a new life must know: who sends datagrams can be told.
    begun: bool,
    /// Whom to tell that it is ready; `None` when that was done.
    ready_to: Option<PathBuf>,
    /// Boxes that may have something are looked at then.
    next_look: Instant,
    /// All boxes are looked at then: somebody may have rung and not been heard.
    look_at_all: Option<Instant>,
    /// The last batch could not be written, and is tried again then.
    write_again: Option<Instant>,
    complaint: Complaint,
    /// Room for the lines of a batch.
    lines: Vec<u8>,
}

impl Telemetry {
    fn run(mut self) -> io::Result<()> {
        loop {
            self.wait()?;
            if self.signals.pending().any(|signal| signal == libc::SIGTERM) {
                self.end();
                return Ok(());
            }
            self.hear();
            self.hear_datagrams();
            self.take();
            self.write_what_is_due();
            self.send();
        }
    }

    fn wait(&self) -> io::Result<()> {
        let now = clock::now();
        let look = (!self.boxes.is_quiet() && !self.is_stuck()).then_some(self.next_look);
        let write = self.write_again.or_else(|| self.batch.deadline());
        let exporter = self.exporter.as_ref();
        let until = [look, self.look_at_all, write, exporter.and_then(Exporter::deadline)]
            .into_iter()
            .flatten()
            .min();
        let read = |fd| Want { fd, read: true, write: false };
        let mut wants = vec![read(self.signals.as_fd())];
        if self.begun {
            wants.extend(self.doors.iter().map(|door| read(door.as_fd())));
        }
        if let Some((fd, write)) = self.line.fd() {
            wants.push(Want { fd, read: true, write });
        }
        if let Some((fd, write)) = exporter.and_then(Exporter::fd) {
            wants.push(Want { fd, read: true, write });
        }
        ready::wait(&wants, until.map(|until| until.since(now))).map(drop)
    }

    /// A batch is full and cannot be written: everything else stays in its box.
    fn is_stuck(&self) -> bool {
        self.write_again.is_some() && self.batch.is_full()
    }

    fn hear(&mut self) {
        self.line.flush();
        while let Some((message, descriptor)) = self.line.hear() {
            match message {
                ToTelemetry::Hello { project } => self.project = project,
                ToTelemetry::Tree(told) => {
                    let begin = matches!(told, Told::Begin);
                    self.boxes.hear(told, descriptor);
                    if begin {
                        self.begun = true;
                        self.say_what_was_in_flight();
                    }
                }
                ToTelemetry::Unseen { count } => self.last.unseen += count,
                ToTelemetry::Listen => {
                    self.doors.extend(descriptor);
                    // Whoever rang while there was no name was not heard.
                    self.boxes.look_at_all();
                }
            }
        }
        if self.begun || !self.line.is_there() {
            self.begun = true;
            self.say_ready();
        }
    }

    fn say_what_was_in_flight(&mut self) {
        let count = std::mem::take(&mut self.boxes.in_flight);
        if count > 0 {
            let message = format!(
                "telemetry began anew: {count} records were taken and not written, and are taken again"
            );
            self.line.say(&FromTelemetry::Repaired { what: message });
        }
    }

    fn say_ready(&mut self) {
        if let Some(socket) = &self.ready_to
            && notify::send(socket, "READY=1").is_ok()
        {
            self.ready_to = None;
        }
    }

    fn hear_datagrams(&mut self) {
        if !self.begun {
            return;
        }
        for at in 0..self.doors.len() {
            for count in 0..DATAGRAMS {
                if count == CROWD {
                    self.look_at_all.get_or_insert(clock::now() + AFTERWARDS);
                }
                let mut buffer = [0; BYTES_MAX + 1];
                let Ok(Some(received)) = socket::receive(&self.doors[at], &mut buffer) else { break };
                self.datagram(&buffer[..received.length], &received);
                // Dropped with what came along: whoever waits for the other end to be closed knows that it was heard.
            }
        }
    }

    fn datagram(&mut self, bytes: &[u8], received: &socket::Received) {
        let said = if received.cut { Err("it was cut") } else { note::read(bytes) };
        let said = match said {
            Ok(said) => said,
            Err(_) => {
                self.last.refused += 1;
                return;
            }
        };
        let sender = received.sender.map_or(0, |sender| sender.pid);
        if said.what == Said::Ring {
            // Who rings says nothing that has to be believed: it is only looked.
            match self.boxes.of_pid(sender).or_else(|| self.boxes.named(&said.instance)) {
                Some(key) => self.boxes.look_at(key),
                None => match notes::life_of(&self.boxes, sender) {
                    Some(key) => self.boxes.look_at(key),
                    None => self.boxes.look_at_all(),
                },
            }
            return;
        }
        let of = notes::life_of(&self.boxes, sender);
        let noted = of.and_then(|key| Some((key, self.boxes.get(key)?))).filter(|(_, (life, _))| {
            // Who says that it is another's is refused.
            (said.instance.is_empty() || said.instance == life.instance)
                && (said.incarnation == 0 || said.incarnation == life.incarnation)
        });
        match noted {
            Some((key, (_, memory))) if notes::write(memory, &said.what, sender, clock::now()) => {
                self.boxes.look_at(key)
            }
            _ => self.last.refused += 1,
        }
    }

    /// Takes from boxes, when it is time to look.
    fn take(&mut self) {
        let now = clock::now();
        if self.look_at_all.is_some_and(|moment| moment <= now) {
            self.look_at_all = None;
            self.boxes.look_at_all();
        }
        if self.boxes.is_quiet() || now < self.next_look || self.is_stuck() {
            return;
        }
        let epoch = (clock::wall().0.max(0) as u64).saturating_mul(1000).saturating_sub(now.as_nanos());
        let mut taking = Taking { now, epoch, sampler: &mut self.sampler, batch: &mut self.batch };
        let turn = self.boxes.take(&mut taking);
        self.next_look = if turn.more && !turn.pressing { now + PACE } else { now };
        self.say_finished();
    }

    fn say_finished(&mut self) {
        for (child, incarnation) in self.boxes.take_finished() {
            self.line.say(&FromTelemetry::Drained { child, incarnation });
        }
    }

    fn write_what_is_due(&mut self) {
        let now = clock::now();
        let due = match self.write_again {
            Some(again) => again <= now,
            None => self.batch.is_due(now),
        };
        if due {
            self.write(now);
        }
    }

    /// Writes the batch; then, and only then, what is in it is gone from the boxes.
    fn write(&mut self, now: Instant) {
        let summary = self.batch.summary(&self.last);
        self.lines.clear();
        let time = (clock::wall().0.max(0) as u64).saturating_mul(1000);
        otlp::lines(&self.batch, &summary, &self.project, time, &mut self.lines);
        match self.append() {
            Ok(()) => {
                self.boxes.written(self.batch.places());
                self.batch = Batch::new(&self.settings);
                self.last = Summary { services: Default::default(), reached: Default::default(), ..summary };
                self.write_again = None;
                if let Some(exporter) = &mut self.exporter {
                    exporter.more();
                }
                self.lines.shrink_to(64 << 10);
                self.say_finished();
            }
            Err(error) => {
                self.write_again = Some(now + AGAIN);
                if self.complaint.is_news(now) {
                    let file = super::spool::path(&self.logs);
                    let message = format!(
                        "telemetry cannot write `{}`: {error}; until it can, records wait in black boxes, and the oldest are lost",
                        file.display()
                    );
                    self.line.say(&FromTelemetry::Trouble { message });
                }
            }
        }
    }

    fn append(&mut self) -> io::Result<()> {
        let spool = match &mut self.spool {
            Some(spool) => spool,
            none => none.insert(Spool::open(&self.logs, &self.settings)?.0),
        };
        spool.append(&self.lines)
    }

    fn send(&mut self) {
        let Some(exporter) = &mut self.exporter else { return };
        if let Some(message) = exporter.turn(clock::now()) {
            self.line.say(&FromTelemetry::Trouble { message: format!("telemetry {message}") });
        }
    }

    /// Takes everything that is left and writes it. Services have ended by now, or go on without us.
    fn end(&mut self) {
        self.hear();
        self.hear_datagrams();
        self.boxes.look_at_all();
        let until = clock::now() + AGAIN;
        while !self.boxes.is_quiet() && clock::now() < until && !self.is_stuck() {
            self.next_look = Instant::ZERO;
            self.take();
            self.write_what_is_due();
        }
        if self.batch.deadline().is_some() {
            self.write(clock::now());
        }
        self.line.flush();
    }
}
