//! `shutdown`: everything down in order, the supervisor last. Returns when its process is gone.

use super::caller::{Caller, awaited};
use super::error::Error;
use super::json::{SCHEMA, seconds};
use super::output::Output;
use super::select::Snapshot;
use super::status::state_words;
use crate::ipc::client::CallError;
use crate::ipc::control::Reply;
use crate::sys::{clock, pidfd, stream};
use crate::time::{Duration, Instant};
use serde::Serialize;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// What `shutdown` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long to wait; `None`: not at all.
    pub wait: Option<Duration>,
    /// Only say what would be done.
    pub dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: u32,
    verb: &'static str,
    project: &'a str,
    supervisor_pid: u32,
    dry_run: bool,
    /// False: it has begun, and was not waited for.
    ended: bool,
    seconds: f64,
}

/// Does the verb.
pub fn run(shutdown: &Shutdown, caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    let began = clock::now();
    let snapshot = caller.snapshot()?;
    let (project, pid) = (snapshot.head.project.as_str(), snapshot.head.pid);
    let answer = |ended| {
        let took = u64::try_from(clock::now().since(began).as_nanos()).unwrap_or(u64::MAX);
        let dry_run = shutdown.dry_run;
        let seconds = seconds(took);
        (
            Answer {
                schema: SCHEMA,
                verb: "shutdown",
                project,
                supervisor_pid: pid,
                dry_run,
                ended,
                seconds,
            },
            took,
        )
    };
    if shutdown.dry_run {
        if output.json {
            return output.object(&answer(false).0);
        }
        for service in snapshot.services.iter().rev().filter(|service| service.pid != 0) {
            output.line(&format!("would stop {} (pid {})", service.instance, service.pid))?;
        }
        return output.line(&format!("would end the supervisor of {project} (pid {pid})"));
    }
    // Before the request: afterwards its number may be somebody else's.
    let process =
        pidfd::open(pid).map_err(|source| Error::System { doing: "watching the supervisor", source })?;
    let deadline = shutdown.wait.map(|wait| clock::now() + wait);
    let timeout = shutdown.wait.unwrap_or(super::caller::ANSWER_WITHIN);
    let still = || down(caller.snapshot().ok().as_ref(), project);
    let result = caller.shutdown(Some(deadline.unwrap_or(clock::now() + timeout)));
    let mut connection = result.map_err(|error| awaited(error, still, timeout))?;
    let Some(deadline) = deadline else {
        return if output.json { output.object(&answer(false).0) } else { Ok(()) };
    };
    if output.talk_style.terminal {
        output.say(&format!("waiting for {project} to end"));
    }
    let over = loop {
        match connection.receive::<Reply>() {
            Ok(_) => {}
            Err(CallError::HungUp) => break true,
            Err(CallError::Late) => break false,
            Err(error) => return Err(error.into()),
        }
    };
    let gone = over
        && match &process {
            None => true,
            Some(process) => ended(process.as_fd(), deadline)
                .map_err(|source| Error::System { doing: "watching the supervisor", source })?,
        };
    if !gone {
        return Err(awaited(Error::Call(CallError::Late), still, timeout));
    }
    let (answer, took) = answer(true);
    if output.json {
        return output.object(&answer);
    }
    let mark = if output.style.glyphs { "■ " } else { "" };
    let took = super::duration::exact(took);
    output.line(&format!("{mark}{project} · all stopped in reverse order, supervisor ended in {took}"))
}

/// Whether the process ends before the deadline.
fn ended(process: BorrowedFd<'_>, deadline: Instant) -> io::Result<bool> {
    loop {
        if !stream::wait(process, stream::Ready::Read, Some(deadline.since(clock::now())))? {
            return Ok(false);
        }
        // A wait can also be cut short by a signal.
        if stream::wait(process, stream::Ready::Read, Some(Duration::ZERO))? {
            return Ok(true);
        }
    }
}

/// `web (stopping), worker (up) and the supervisor to end`
fn down(snapshot: Option<&Snapshot>, project: &str) -> String {
    let open: Vec<_> =
        snapshot.map(|s| s.services.iter().filter(|s| s.pid != 0).collect()).unwrap_or_default();
    let mut parts: Vec<String> =
        open.iter().take(3).map(|s| format!("{} ({})", s.instance, state_words(&s.state))).collect();
    if open.len() > 3 {
        parts.push(format!("{} more", open.len() - 3));
    }
    parts.push(format!("the supervisor of {project}"));
    format!("{} to end", parts.join(", "))
}
