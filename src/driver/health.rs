//! Health checks of services that run: a connection, the status of a `GET`, a command.
//!
//! None of them holds up the loop: each is a few steps between which the poller waits, with a deadline of its own. An
//! instance has one check at a time at most, and none before it is up or once it is asked to stop.

use super::alarms::Alarms;
use super::ring::{Fault, Note, Subject};
use super::{Driver, Source};
use crate::cli::duration::setting;
use crate::config::plan::{Check, Health, Http};
use crate::supervisor::spec::{ChildId, Incarnation};
use crate::supervisor::{Cause, State};
use crate::sys::{clock, pidfd};
use crate::time::Instant;
use mio::Interest;
use mio::net::TcpStream;
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

/// A status line is shorter than this, or it is none.
const LINE_MAX: usize = 1024;
/// So much of an answer that is not good is told.
const TOLD: usize = 80;

/// The checks of all children.
#[derive(Default)]
pub struct Checks {
    alarms: Alarms,
    of: HashMap<u32, Checking>,
    /// Whose commands are running, or were killed and are not reaped yet.
    commands: HashMap<u32, ChildId>,
    /// Those that were killed.
    ending: Vec<(u32, OwnedFd)>,
}

struct Checking {
    incarnation: Incarnation,
    in_a_row: u32,
    began: Instant,
    step: Step,
}

/// What a check waits for.
enum Step {
    /// The next one.
    Rest,
    /// A connection.
    Connecting(TcpStream),
    /// The status line of an answer; first, that the whole request is sent.
    Asking(Box<Asking>),
    /// The end of a command.
    Running { pid: u32, pidfd: OwnedFd },
}

struct Asking {
    stream: TcpStream,
    request: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
}

impl Checks {
    /// When something is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.alarms.next()
    }

    /// The child that a check's command is of.
    pub fn command_of(&self, pid: u32) -> Option<ChildId> {
        self.commands.get(&pid).copied()
    }
}

impl Driver {
    /// It is up, or ready.
    pub(super) fn begin_checks(&mut self, child: ChildId) {
        let Some(health) = &self.roster.of(child).health else { return };
        let first = clock::now() + health.every;
        let Some(life) = &self.slots[child.0 as usize].life else { return };
        let checking =
            Checking { incarnation: life.incarnation, in_a_row: 0, began: first, step: Step::Rest };
        self.checks.of.insert(child.0, checking);
        self.checks.alarms.set(child, first);
    }

    /// No check any more; one that is being made is given up.
    pub(super) fn end_checks(&mut self, child: ChildId) {
        self.checks.alarms.clear(child);
        if let Some(checking) = self.checks.of.remove(&child.0) {
            self.give_up(checking.step);
        }
    }

    /// What runs of a check is ended.
    fn give_up(&mut self, step: Step) {
        match step {
            Step::Rest => {}
            Step::Connecting(stream) => self.unwatch(&stream),
            Step::Asking(asking) => self.unwatch(&asking.stream),
            Step::Running { pid, pidfd } => {
                let _ = pidfd::signal_group(&pidfd, pid, libc::SIGKILL);
                let _ = pidfd::signal(&pidfd, libc::SIGKILL);
                // It is still watched: its end is told like any other.
                self.checks.ending.push((pid, pidfd));
                self.bury_commands();
            }
        }
    }

    /// Reaps the commands that were killed and have ended.
    fn bury_commands(&mut self) {
        for (pid, pidfd) in std::mem::take(&mut self.checks.ending) {
            match pidfd::reap(&pidfd) {
                Ok(None) => self.checks.ending.push((pid, pidfd)),
                Ok(Some(_)) | Err(_) => {
                    self.unwatch(&pidfd);
                    self.checks.commands.remove(&pid);
                }
            }
        }
    }

    /// The next check of whoever's turn it is; the end of those that take too long.
    pub(super) fn look_at_health(&mut self, now: Instant) {
        while let Some(child) = self.checks.alarms.due(now) {
            let Some(health) = self.roster.of(child).health.clone() else {
                self.end_checks(child);
                continue;
            };
            let Some(checking) = self.checks.of.get_mut(&child.0) else { continue };
            match std::mem::replace(&mut checking.step, Step::Rest) {
                Step::Rest => self.check_health(child, &health, now),
                late => {
                    self.give_up(late);
                    let within = setting(super::public::nanos(health.timeout));
                    self.judge(child, &health, Err(format!("{} within {within}", no_answer(&health))));
                }
            }
        }
    }

    fn check_health(&mut self, child: ChildId, health: &Health, now: Instant) {
        let begun = match &health.how {
            Check::Tcp(port) => connect(SocketAddr::from((Ipv4Addr::LOCALHOST, *port))).map(Step::Connecting),
            Check::Http(http) => connect(http.address).map(|stream| {
                let (request, answer) = (request(http), Vec::new());
                Step::Asking(Box::new(Asking { stream, request, sent: 0, answer }))
            }),
            Check::Exec(_) => self.run_check(child),
        };
        let watched = begun.and_then(|step| {
            let watched = match &step {
                Step::Rest => Ok(()),
                Step::Connecting(stream) => self.watch(Source::Health(child.0), stream, Interest::WRITABLE),
                Step::Asking(asking) => self.watch(
                    Source::Health(child.0),
                    &asking.stream,
                    Interest::READABLE | Interest::WRITABLE,
                ),
                Step::Running { pidfd, .. } => self.watch(Source::Health(child.0), pidfd, Interest::READABLE),
            };
            watched.map(|()| step).map_err(|error| error.to_string())
        });
        match (watched, self.checks.of.get_mut(&child.0)) {
            (Ok(step), Some(checking)) => {
                (checking.step, checking.began) = (step, now);
                self.checks.alarms.set(child, now + health.timeout);
            }
            (Ok(step), None) => self.give_up(step),
            (Err(detail), checking) => {
                if let Some(checking) = checking {
                    checking.began = now;
                }
                self.judge(child, health, Err(detail));
            }
        }
    }

    fn run_check(&mut self, child: ChildId) -> Result<Step, String> {
        let started = match self.slot(child).check.as_deref_mut() {
            Some(Ok(launch)) => launch.start(&[], None).map_err(|error| error.to_string()),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("there is no command".to_owned()),
        };
        started.map(|started| {
            self.checks.commands.insert(started.pid, child);
            Step::Running { pid: started.pid, pidfd: started.pidfd }
        })
    }

    /// Something happened to the check of this child.
    pub(super) fn on_health(&mut self, child: ChildId) {
        self.bury_commands();
        let Some(health) = self.roster.of(child).health.clone() else { return };
        let Some(checking) = self.checks.of.get_mut(&child.0) else { return };
        let found = match &mut checking.step {
            Step::Rest => return,
            Step::Connecting(stream) => connected(stream),
            Step::Asking(asking) => asking.go_on(),
            Step::Running { pidfd, .. } => ended(pidfd),
        };
        let Some(found) = found else { return };
        match std::mem::replace(&mut checking.step, Step::Rest) {
            Step::Running { pid, pidfd } => {
                self.unwatch(&pidfd);
                self.checks.commands.remove(&pid);
            }
            done => self.give_up(done),
        }
        self.judge(child, &health, found);
    }

    /// A check is over.
    fn judge(&mut self, child: ChildId, health: &Health, found: Result<(), String>) {
        let Some(checking) = self.checks.of.get_mut(&child.0) else { return };
        let incarnation = checking.incarnation;
        self.checks.alarms.set(child, checking.began + health.every);
        let Err(detail) = found else {
            checking.in_a_row = 0;
            return;
        };
        checking.in_a_row = checking.in_a_row.saturating_add(1);
        let in_a_row = checking.in_a_row;
        self.note(Subject::Child(child, incarnation), Note::Unhealthy(Box::new((in_a_row, detail.clone()))));
        if health.restart && in_a_row >= health.failures {
            let words = match in_a_row {
                1 => format!("ended because a health check failed: {detail}"),
                more => format!("ended because {more} health checks in a row failed: {detail}"),
            };
            self.fail(child, incarnation, Fault::Unhealthy, words);
        }
    }

    /// The way in which it is checked has changed, or it is checked now and was not.
    pub(super) fn check_anew(&mut self, child: ChildId) {
        self.end_checks(child);
        if self.core.is_child(child) && matches!(self.core.state(child), State::Up | State::Ready) {
            self.begin_checks(child);
        }
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address).map_err(|error| format!("cannot connect to {address}: {error}"))
}

/// `None`: not decided yet.
fn connected(stream: &TcpStream) -> Option<Result<(), String>> {
    match stream.take_error() {
        Ok(Some(error)) | Err(error) => return Some(Err(format!("the connection failed: {error}"))),
        Ok(None) => {}
    }
    match stream.peer_addr() {
        Ok(_) => Some(Ok(())),
        Err(error) if error.kind() == ErrorKind::NotConnected => None,
        Err(error) => Some(Err(format!("the connection failed: {error}"))),
    }
}

fn request(http: &Http) -> Vec<u8> {
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: mainstay\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        http.path, http.host
    )
    .into_bytes()
}

impl Asking {
    /// `None`: more is to come.
    fn go_on(&mut self) -> Option<Result<(), String>> {
        match connected(&self.stream) {
            Some(Ok(())) => {}
            other => return other,
        }
        while self.sent < self.request.len() {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // It may have answered before it closed.
                Err(_) => break,
            }
        }
        let mut buffer = [0; LINE_MAX];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Some(self.judge(true).unwrap_or(Err("it closed without an answer".into()))),
                Ok(count) => {
                    self.answer.extend_from_slice(&buffer[..count]);
                    if let Some(found) = self.judge(false) {
                        return Some(found);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => return Some(Err(format!("the connection failed: {error}"))),
            }
        }
    }

    /// What the answer says, when its first line is there.
    fn judge(&self, closed: bool) -> Option<Result<(), String>> {
        let end = self.answer.iter().position(|byte| *byte == b'\n');
        match end {
            Some(end) => Some(status(&self.answer[..end])),
            None if self.answer.len() >= LINE_MAX || closed && !self.answer.is_empty() => {
                Some(status(&self.answer))
            }
            None => None,
        }
    }
}

/// `HTTP/1.1 200 OK`
fn status(line: &[u8]) -> Result<(), String> {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_end();
    let mut words = line.split(' ');
    let version = words.next().unwrap_or_default();
    let code = words.next().filter(|code| code.len() == 3).and_then(|code| code.parse::<u16>().ok());
    let told: String = line.chars().take(TOLD).map(|c| if c.is_control() { '?' } else { c }).collect();
    match code {
        Some(200..=399) if version.starts_with("HTTP/1.") => Ok(()),
        Some(_) if version.starts_with("HTTP/1.") => {
            Err(format!("answered {}", told.strip_prefix(version).unwrap_or(&told).trim_start()))
        }
        _ => Err(format!("answered something that is not HTTP: \"{told}\"")),
    }
}

/// `None`: it runs.
fn ended(command: &OwnedFd) -> Option<Result<(), String>> {
    match pidfd::reap(command.as_fd()) {
        Ok(None) => None,
        Ok(Some((Cause::Code(0), _))) => Some(Ok(())),
        Ok(Some((Cause::Code(code), _))) => Some(Err(format!("the check exited {code}"))),
        Ok(Some((Cause::Signal(signal, _), _))) => {
            Some(Err(format!("the check was killed by {}", crate::sys::signal::name(signal))))
        }
        // A host that reaps whatever it finds has taken the status along: nobody knows.
        Ok(Some((Cause::Unknown, _))) | Err(_) => Some(Ok(())),
    }
}

fn no_answer(health: &Health) -> String {
    match &health.how {
        Check::Tcp(port) => format!("no connection to port {port}"),
        Check::Http(http) => format!("no answer from {}{}", http.host, http.path),
        Check::Exec(argv) => format!("`{}` did not end", argv.first().map_or("", String::as_str)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_status_from_200_to_399_is_good() {
        let check = |line: &str, expected: Result<(), &str>| {
            assert_eq!(status(line.as_bytes()), expected.map_err(str::to_owned), "{line}");
        };
        check("HTTP/1.1 200 OK\r", Ok(()));
        check("HTTP/1.0 204", Ok(()));
        check("HTTP/1.1 399 ", Ok(()));
        check("HTTP/1.1 503 Service Unavailable\r", Err("answered 503 Service Unavailable"));
        check("HTTP/1.1 199 x", Err("answered 199 x"));
        check("HTTP/1.1 400", Err("answered 400"));
        check("HTTP/1.1 2000 OK", Err("answered something that is not HTTP: \"HTTP/1.1 2000 OK\""));
        check("SSH-2.0-x\x07", Err("answered something that is not HTTP: \"SSH-2.0-x?\""));
        check("", Err("answered something that is not HTTP: \"\""));
    }
}
