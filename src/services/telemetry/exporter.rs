//! Sending batches to a collector, one line after the other, without waiting for anything.
//!
//! The file is the queue. A batch is done with when the collector has it, or does not want it; then the next one is read. What
//! is rotated away meanwhile is counted. After a death the last batch may be sent once more, as OTLP allows.

use super::place::{Place, Reader, Stored};
use crate::services::logger::complaint::Complaint;
use crate::sys::clock;
use crate::telemetry::Endpoint;
use crate::telemetry::http::{ANSWER_MAX, Outcome, Signal, backoff, outcome, request};
use crate::time::{Duration, Instant};
use mio::net::TcpStream;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// A collector that has not answered by then is asked anew.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The exporter.
#[derive(Debug)]
pub(super) struct Exporter {
    endpoint: Endpoint,
    state: PathBuf,
    reader: Reader,
    pub(super) place: Place,
    /// The batch that is being sent, what became of its records so far (and of those before it), and its lines that were
    /// not sent yet. Only a whole batch is counted in `place`: half a one is sent again after a death.
    sending: Option<Stored>,
    counted: Place,
    lines: VecDeque<(Signal, u64, Vec<u8>)>,
    step: Step,
    complaint: Complaint,
    failed: u32,
    /// There may be a batch to read.
    curious: bool,
}

#[derive(Debug)]
enum Step {
    Idle,
    Waiting(Instant),
    Asking(Box<Asking>),
}

#[derive(Debug)]
struct Asking {
    stream: TcpStream,
    request: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
    until: Instant,
}

impl Exporter {
    /// Goes on where the last life was; without one, what is written from now on is sent. `written` is how the file stands:
    /// its last batch, and how many records are in it and before it.
    pub(super) fn new(endpoint: Endpoint, logs: &Path, state: &Path, written: (u64, u64)) -> Exporter {
        // A place beyond the file's end is one of a file that is gone.
        let place = Place::read(state).filter(|place| place.number <= written.0).unwrap_or(Place {
            schema: 1,
            number: written.0,
            written: written.1,
            ..Place::default()
        });
        Exporter {
            endpoint,
            state: state.to_owned(),
            reader: Reader::new(logs),
            place,
            sending: None,
            counted: Place::default(),
            lines: VecDeque::new(),
            step: Step::Idle,
            complaint: Complaint::default(),
            failed: 0,
            curious: true,
        }
    }

    /// A batch was written.
    pub(super) fn more(&mut self) {
        self.curious = true;
    }

    /// What to wait for: a descriptor that can be read, and perhaps written.
    pub(super) fn fd(&self) -> Option<(BorrowedFd<'_>, bool)> {
        match &self.step {
            Step::Asking(asking) => Some((asking.stream.as_fd(), asking.sent < asking.request.len())),
            Step::Idle | Step::Waiting(_) => None,
        }
    }

    /// When to look again, whatever happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.step {
            Step::Idle => None,
            Step::Waiting(until) => Some(*until),
            Step::Asking(asking) => Some(asking.until),
        }
    }

    /// Goes on as far as it can. What is newly wrong, in words.
    pub(super) fn turn(&mut self, now: Instant) -> Option<String> {
        if matches!(self.step, Step::Waiting(until) if until <= now) {
            self.step = Step::Idle;
        }
        let mut news = None;
        loop {
            match &mut self.step {
                Step::Waiting(_) => return news,
                Step::Idle => {
                    if !self.begin(now) {
                        return news;
                    }
                }
                Step::Asking(asking) => {
                    let Some(came) = asking.turn(now) else { return news };
                    self.step = Step::Idle;
                    news = self.came(now, came).or(news);
                }
            }
        }
    }

    /// Begins to send the next line; false: there is none, or it cannot begin.
    fn begin(&mut self, now: Instant) -> bool {
        while self.lines.is_empty() {
            if !std::mem::take(&mut self.curious) {
                return false;
            }
            match self.reader.next(self.place.number) {
                Ok(Some(stored)) => self.take_up(stored),
                Ok(None) => return false,
                // A disk that cannot be read now may be later.
                Err(_) => {
                    self.curious = true;
                    self.step = Step::Waiting(now + TIMEOUT);
                    return false;
                }
            }
        }
        let Some((signal, _, line)) = self.lines.front() else { return false };
        match TcpStream::connect(self.endpoint.address) {
            Ok(stream) => {
                let request = request(&self.endpoint, *signal, line);
                let asking = Asking { stream, request, sent: 0, answer: Vec::new(), until: now + TIMEOUT };
                self.step = Step::Asking(Box::new(asking));
                true
            }
            Err(error) => {
                let again = Outcome::Again { why: error.to_string(), after: None };
                let _ = self.came(now, again);
                false
            }
        }
    }

    fn take_up(&mut self, stored: Stored) {
        // Batches between were rotated away: what was written before this one, and is not accounted for.
        let before =
            stored.summary.totals.written.saturating_sub(stored.summary.spans + stored.summary.events);
        self.counted = Place { dropped: before.saturating_sub(self.place.written), ..Place::default() };
        for line in &stored.lines {
            let (signal, records) = match Signal::of(line) {
                Some(Signal::Traces) => (Signal::Traces, stored.summary.spans),
                Some(Signal::Logs) => (Signal::Logs, stored.summary.events),
                // Somebody else wrote it.
                None => continue,
            };
            self.lines.push_back((signal, records, line.clone()));
        }
        self.sending = Some(Stored { lines: Vec::new(), ..stored });
    }

    /// What came of the line that was sent.
    fn came(&mut self, now: Instant, outcome: Outcome) -> Option<String> {
        let records = self.lines.front().map_or(0, |(_, records, _)| *records);
        match outcome {
            Outcome::Again { why, after } => {
                self.failed += 1;
                self.step =
                    Step::Waiting(now + after.unwrap_or_else(|| backoff(self.failed, now.as_nanos())));
                return self
                    .trouble(now, format!("cannot send to `{}`: {why}; it is tried again", self.endpoint));
            }
            Outcome::Done { rejected } => {
                let rejected = rejected.min(records);
                self.counted.exported += records - rejected;
                self.counted.rejected += rejected;
                self.failed = 0;
                self.place.trouble.clear();
                self.done_with_a_line();
            }
            Outcome::Refused { why } => {
                self.counted.rejected += records;
                self.failed = 0;
                self.done_with_a_line();
                return self.trouble(now, format!("`{}` does not take what is sent: {why}", self.endpoint));
            }
        }
        None
    }

    fn done_with_a_line(&mut self) {
        self.lines.pop_front();
        if self.lines.is_empty()
            && let Some(sent) = self.sending.take()
        {
            (self.place.number, self.place.written) = (sent.summary.number, sent.summary.totals.written);
            let Place { exported, rejected, dropped, .. } = std::mem::take(&mut self.counted);
            self.place.exported += exported;
            self.place.rejected += rejected;
            self.place.dropped += dropped;
            self.curious = true;
            self.save();
        }
    }

    /// Told when it begins, and after a minute without.
    fn trouble(&mut self, now: Instant, message: String) -> Option<String> {
        let is_news = self.complaint.is_news(now);
        self.place.trouble = message.clone();
        self.save();
        is_news.then_some(message)
    }

    fn save(&self) {
        // Where it cannot be left, the next life sends the last batches once more.
        let _ = self.place.save(&self.state);
    }
}

impl Asking {
    /// `None`: it goes on later.
    fn turn(&mut self, now: Instant) -> Option<Outcome> {
        let again = |why: String| Some(Outcome::Again { why, after: None });
        while self.sent < self.request.len() {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    break;
                }
                // Who answers before it has read everything is heard below.
                Err(error) if error.kind() == ErrorKind::BrokenPipe && self.sent > 0 => break,
                Err(error) => return again(error.to_string()),
            }
        }
        let mut buffer = [0; 8192];
        let ended = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break true,
                Ok(count) => self.answer.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    break false;
                }
                Err(error) if self.answer.is_empty() => return again(error.to_string()),
                Err(_) => break true,
            }
            if self.answer.len() > ANSWER_MAX {
                break true;
            }
        };
        let seconds = clock::wall().0 / 1_000_000;
        match outcome(&self.answer, ended, seconds) {
            None if now >= self.until => again(format!("no answer within {} seconds", TIMEOUT.as_secs())),
            other => other,
        }
    }
}
