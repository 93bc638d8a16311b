//! Commands that judge: children of the keeper, in sessions of their own, killed when they take too long and when the
//! keeper dies.

use crate::flags::guard::{Input, Probe, Subject, Verdict};
use crate::supervisor::Cause;
use crate::sys::launch::{Environment, Launch, Program, Request, Started};
use crate::sys::ready::Want;
use crate::sys::{clock, pidfd};
use crate::time::Instant;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

/// Those that run.
#[derive(Debug, Default)]
pub(super) struct Probes {
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    subject: Subject,
    generation: u64,
    started: Started,
    kill_at: Instant,
    killed: bool,
}

impl Probes {
    /// Starts one; what it says comes from [`take`](Probes::take). One that cannot be started does not know, and that is said
    /// at once.
    ///
    /// # Errors
    /// Why it cannot be started, in words.
    pub(super) fn start(&mut self, subject: &Subject, generation: u64, probe: &Probe) -> Result<(), String> {
        let started = launch(probe)?;
        self.running.push(Running {
            subject: subject.clone(),
            generation,
            started,
            kill_at: clock::now() + probe.timeout,
            killed: false,
        });
        Ok(())
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.running.iter().filter(|probe| !probe.killed).map(|probe| probe.kill_at).min()
    }

    pub(super) fn wants<'a>(&'a self, wants: &mut Vec<Want<'a>>) {
        wants.extend(self.running.iter().map(|probe| Want {
            fd: probe.started.pidfd.as_fd(),
            read: true,
            write: false,
        }));
    }

    /// What those that have ended say; those whose time is over are killed.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Input> {
        let mut said = Vec::new();
        self.running.retain_mut(|probe| {
            if !probe.killed && now >= probe.kill_at {
                probe.kill();
            }
            let verdict = match pidfd::peek(&probe.started.pidfd) {
                Ok(None) => return true,
                Ok(Some(cause)) => verdict(cause, probe.killed),
                // It was reaped by somebody else, which nobody does.
                Err(_) => Verdict::Unknown,
            };
            // Whatever it left in its group goes, too: while it is not reaped, its number is nobody else's.
            probe.kill();
            let _ = pidfd::reap(&probe.started.pidfd);
            said.push(Input::Said { subject: probe.subject.clone(), generation: probe.generation, verdict });
            false
        });
        said
    }
}

impl Running {
    fn kill(&mut self) {
        self.killed = true;
        // A group that has nobody in it any more is fine.
        let _ = pidfd::signal_group(&self.started.pidfd, self.started.pid, libc::SIGKILL);
    }
}

fn verdict(cause: Cause, killed: bool) -> Verdict {
    match cause {
        Cause::Code(0) if !killed => Verdict::Good,
        Cause::Code(1) if !killed => Verdict::Bad,
        _ => Verdict::Unknown,
    }
}

fn launch(probe: &Probe) -> Result<Started, String> {
    let Some(program) = probe.argv.first() else { return Err("it has no words".to_owned()) };
    let null: OwnedFd = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|e| format!("opening `/dev/null`: {e}"))?
        .into();
    let null = Arc::new(null);
    let argv = probe.argv.iter().map(Into::into).collect();
    let mut request = Request::new(Program::Named(program.into()), argv);
    request.environment = Arc::new(Environment::inherited(|name| name == "NOTIFY_SOCKET"));
    request.descriptors = (0..3).map(|number| (number, null.clone())).collect();
    request.directory = Some(PathBuf::from(&probe.directory)).filter(|directory| directory.is_absolute());
    request.death_signal = Some(libc::SIGKILL);
    let mut launch = Launch::new(request).map_err(|e| e.to_string())?;
    launch.start(&[], None).map_err(|e| e.to_string())
}
