//! Lives: starting them, signals to them, their exits, and what they leave behind (S2–S5).

use super::boxes;
use super::ring::{Fault, Note, Subject};
use super::roster::Builtin;
use super::slot::{Ended, Life};
use super::{Driver, Source, public};
use crate::config::plan::{Condition, Ready};
use crate::ipc::builtin;
use crate::supervisor::spec::{ChildId, Incarnation};
use crate::supervisor::{Cause, Event};
use crate::sys::launch::{Given, StartError, Started, Step};
use crate::sys::pidfd::Usage;
use crate::sys::strays::{self, PastLife};
use crate::sys::{clock, pidfd};
use crate::time::Duration;
use mio::Interest;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

/// A guest looks again so long after it found leftovers that are not its children.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A main process that was reaped in this wake-up.
pub struct Dead {
    child: ChildId,
    incarnation: Incarnation,
    pid: u32,
    cause: Cause,
    usage: Usage,
    leftovers: bool,
    /// From the fork to the reaping: the core hears of it later when many die at once (S6).
    lived: Duration,
}

impl Driver {
    /// Ledger entry → fork (S3). That nothing is left of the life before is the core's business: it asks
    /// for a start only after `Cleared`.
    pub(super) fn start(&mut self, child: ChildId, incarnation: Incarnation) {
        if let Some(Condition::Exists(path)) = &self.roster.of(child).condition
            && std::fs::symlink_metadata(path).is_err()
        {
            self.happened.push_back(Event::Ignored(child, incarnation));
            return;
        }
        if let Err(error) = self.enter_in_ledger(child) {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            self.slot(child).error =
                Some(Box::new(StartError::new(Step::Arguments, errno, "writing the ledger")));
            self.happened.push_back(Event::StartFailed(child, incarnation));
            return;
        }
        let seam = self.before_start(child, incarnation);
        self.ledger.intend(child, incarnation);
        self.make_blackbox(child, incarnation);
        self.remember_memory(child);
        let at = clock::now();
        match self.fork(child, incarnation) {
            Ok(started) => {
                self.ledger.began(child, started.pid, started.pidfd.as_fd(), at);
                let pid = started.pid;
                let pidfd = started.pidfd;
                let life = Life { incarnation, pid, pidfd, started: at, seam, asked: false, reaped: false };
                if let Err(error) = self.watch(Source::Exit(child.0), &life.pidfd, Interest::READABLE) {
                    self.warn(format!("cannot watch `{}` (pid {pid}): {error}", self.roster.instance(child)));
                }
                let slot = self.slot(child);
                slot.life = Some(life);
                slot.error = None;
                slot.never_ready = None;
                slot.fault = None;
                slot.info = None;
                let past = std::mem::replace(&mut slot.last_pid, pid);
                self.past_pids.remove(&past);
                self.pids.insert(pid, child);
                if self.roster.builtin(child).is_none() {
                    self.tell_of_life(child);
                }
                self.note(Subject::Child(child, incarnation), Note::Starting { pid });
                self.await_readiness(child, incarnation, at);
                self.happened.push_back(Event::Started(child, incarnation));
            }
            Err(error) => {
                self.ledger.ended(child);
                let slot = self.slot(child);
                // A group that somebody removed is made again for the next try.
                slot.cgroup_used_up |= error.step == Step::Cgroup;
                slot.error = Some(Box::new(error));
                slot.never_ready = None;
                slot.fault = None;
                self.happened.push_back(Event::StartFailed(child, incarnation));
            }
        }
    }

    /// What must be known before the first byte of output; whether a seam tells it from what was before.
    fn before_start(&mut self, child: ChildId, incarnation: Incarnation) -> bool {
        match self.roster.builtin(child) {
            Some(Builtin::Logger) => self.greet_logger(child),
            Some(Builtin::Keeper) => self.greet_keeper(child),
            Some(Builtin::Registry) => self.greet_registry(child),
            Some(Builtin::Telemetry) => self.greet_telemetry(child),
            None => {
                let pipes = self.slots[child.0 as usize].pipes.as_ref();
                let seam = pipes.is_some_and(|pipes| self.sewing.sew(incarnation, pipes));
                if !seam && matches!(self.ready_of(child), Ready::Output(_)) {
                    self.say_life(child, incarnation);
                }
                // The death before it, too: the log reads better when that is known first.
                self.logger.flush_before_start();
                return seam;
            }
        }
        false
    }

    fn fork(&mut self, child: ChildId, incarnation: Incarnation) -> Result<Started, StartError> {
        let slot = &mut self.slots[child.0 as usize];
        for pipe in slot.pipes.iter().flatten() {
            pipe.forget_flags();
        }
        if self.roster.builtin(child).is_none() {
            slot.find_cgroup(self.cgroups.as_ref(), self.roster.instance(child));
        }
        let cgroup = slot.cgroup.as_ref().map(|leaf| leaf.as_fd());
        let mut given = Given::default();
        let flags = match self.roster.builtin(child) {
            Some(_) => Vec::new(),
            None => self.flag_variables.assignments(self.roster.instance(child)),
        };
        let mut variables: Vec<&CStr> = flags.iter().map(|one| one.as_c_str()).collect();
        match &slot.blackbox {
            Some(of) => {
                given.descriptor = Some((boxes::BLACKBOX, of.memory.as_fd()));
                if variables.is_empty() {
                    given.variables = &[boxes::BLACKBOX_VARIABLE];
                } else {
                    variables.push(boxes::BLACKBOX_VARIABLE);
                    given.variables = &variables;
                }
            }
            None => given.variables = &variables,
        }
        given.pid = self.roster.of(child).watchdog.map(|_| c"WATCHDOG_PID=");
        match &mut slot.launch {
            Ok(launch) => launch.start_with(&[incarnation.0], cgroup, given),
            Err(error) => Err(error.clone()),
        }
    }

    /// The stop signal to the main process, which knows best how to end what it started; when it is gone,
    /// to what it left behind. SIGCONT follows, so that a stopped process can obey.
    pub(super) fn stop(&mut self, child: ChildId, incarnation: Incarnation) {
        if let Some(life) = self.slot(child).life.as_mut().filter(|life| life.incarnation == incarnation) {
            life.asked = true;
        }
        if self.roster.builtin(child) == Some(Builtin::Logger) {
            // The last that it hears: how everybody else ended.
            self.logger.flush();
        }
        self.watch_no_more(child);
        let signal = match self.slots[child.0 as usize].fault.as_deref() {
            // What it was doing is of interest.
            Some((Fault::Watchdog, _)) => libc::SIGABRT,
            _ => self.core.tree().children[child.0 as usize].stop_signal,
        };
        self.signal_life(child, incarnation, signal);
        self.signal_life(child, incarnation, libc::SIGCONT);
    }

    fn signal_life(&mut self, child: ChildId, incarnation: Incarnation, signal: i32) {
        let slot = &self.slots[child.0 as usize];
        let Some(life) = slot.life_of(incarnation) else { return };
        if life.reaped {
            self.signal_leftovers(child, signal);
        } else {
            let _ = pidfd::signal(&life.pidfd, signal);
        }
    }

    /// SIGKILL to the main process and everything around it.
    pub(super) fn kill(&mut self, child: ChildId, incarnation: Incarnation) {
        self.watch_no_more(child);
        let slot = &self.slots[child.0 as usize];
        let Some(life) = slot.life_of(incarnation) else { return };
        if !life.reaped {
            let _ = pidfd::signal(&life.pidfd, libc::SIGKILL);
        }
        match &slot.cgroup {
            Some(cgroup) => {
                let _ = cgroup.kill();
                self.slot(child).cgroup_used_up = true;
            }
            None => {
                let _ = pidfd::signal_group(&life.pidfd, life.pid, libc::SIGKILL);
                if life.reaped {
                    self.signal_leftovers(child, libc::SIGKILL);
                }
            }
        }
    }

    fn signal_leftovers(&mut self, child: ChildId, signal: i32) {
        let slot = &self.slots[child.0 as usize];
        if let Some(cgroup) = &slot.cgroup {
            let _ = cgroup.signal(signal);
            return;
        }
        for (_, stray) in self.strays(&[child]) {
            let _ = pidfd::signal(&stray, signal);
        }
    }

    /// A pidfd became readable: peek without reaping → copy what can vanish → reap (S5). What follows is
    /// decided when every death of this wake-up is known, so that one look finds all their leftovers.
    pub(super) fn on_exit(&mut self, child: ChildId) {
        let slot = &self.slots[child.0 as usize];
        let Some(life) = slot.life.as_ref().filter(|life| !life.reaped) else { return };
        let (cause, usage) = match pidfd::peek(&life.pidfd) {
            Ok(None) => return,
            // What vanishes with the process is copied here, before the reaping.
            Ok(Some(_)) => match pidfd::reap(&life.pidfd) {
                Ok(Some(end)) => end,
                Ok(None) | Err(_) => (Cause::Unknown, Usage::default()),
            },
            // Somebody else reaped it: nobody can know the status any more (S6).
            Err(_) => (Cause::Unknown, Usage::default()),
        };
        let (pid, incarnation) = (life.pid, life.incarnation);
        let lived = clock::now().since(life.started);
        self.unwatch(&life.pidfd);
        self.pids.remove(&pid);
        if self.pool_of(child).is_some() {
            self.past_pids.insert(pid, child);
        }
        self.probes.forget(child);
        self.watch_no_more(child);
        self.ledger.ended(child);
        if matches!(cause, Cause::Signal(libc::SIGKILL, _))
            && self.slots[child.0 as usize].fault.is_none()
            && self.died_for_memory(child)
        {
            self.slot(child).fault = Some(Box::new((Fault::OutOfMemory, Box::default())));
        }
        if let Some(life) = &mut self.slot(child).life {
            life.reaped = true;
        }
        self.tell_of_death(child, incarnation, pid);
        self.dead.push(Dead { child, incarnation, pid, cause, usage, lived, leftovers: false });
    }

    /// The deaths of one wake-up: look for leftovers together, since that may mean to look at every process there is.
    pub(super) fn take_in_deaths(&mut self) {
        if self.dead.is_empty() {
            return;
        }
        // The lists' memory is used again: nothing is allocated between a death and the next life for them.
        let mut dead = std::mem::take(&mut self.dead);
        if self.keeper.is_some() {
            // A flag that they may have died of was changed before: that is told first.
            self.on_keeper();
        }
        self.find_leftovers(&mut dead);
        self.deaths_to_tell.extend(dead.drain(..));
        dead.shrink_to(64);
        self.dead = dead;
    }

    /// Tells the core of one death; what it decides is done before the next is told.
    pub(super) fn tell_death(&mut self, dead: Dead) {
        let Dead { child, incarnation, pid, cause, usage, lived, leftovers } = dead;
        let leftovers = leftovers && self.await_emptiness(child);
        if leftovers {
            if self.slots[child.0 as usize].life.as_ref().is_some_and(|life| life.asked) {
                self.stop(child, incarnation);
            }
        } else {
            self.slot(child).life = None;
        }
        (self.deaths.pid, self.deaths.usage, self.deaths.lived) = (pid, usage, lived);
        if matches!(self.slots[child.0 as usize].fault.as_deref(), Some((Fault::OutOfMemory, _))) {
            self.happened.push_back(Event::Failed { child, incarnation, ended: true });
        }
        self.tell(Event::Exited { child, incarnation, cause, leftovers });
    }

    /// For each of these, whose main processes are reaped: is anything of it still there?
    fn find_leftovers(&mut self, dead: &mut [Dead]) {
        let mut unknown = Vec::new();
        for (index, one) in dead.iter_mut().enumerate() {
            match self.left_something(one.child) {
                Some(left) => one.leftovers = left,
                None => unknown.push((index, one.child)),
            }
            if self.roster.builtin(one.child) == Some(Builtin::Keeper) {
                // Helpers of the guard's commands. Nobody waits for them: a keeper comes back at once.
                self.signal_leftovers(one.child, libc::SIGKILL);
            }
        }
        let children: Vec<ChildId> = unknown.iter().map(|(_, child)| *child).collect();
        for (which, _) in self.strays(&children) {
            dead[unknown[which].0].leftovers = true;
        }
    }

    /// As its cgroup says; `None`: it has none, one has to look among all processes.
    fn left_something(&self, child: ChildId) -> Option<bool> {
        if self.roster.builtin(child).is_some() {
            return Some(false);
        }
        let cgroup = self.slots[child.0 as usize].cgroup.as_ref()?;
        Some(!cgroup.is_empty().unwrap_or(true))
    }

    /// What these lives left behind, where no cgroup holds it: index into `children`, and a pidfd.
    fn strays(&self, children: &[ChildId]) -> Vec<(usize, OwnedFd)> {
        if children.is_empty() {
            return Vec::new();
        }
        let lives: Vec<PastLife<'_>> = children
            .iter()
            .map(|child| {
                let life = self.slots[child.0 as usize].life.as_ref();
                PastLife {
                    instance: self.roster.instance(*child),
                    incarnation: life.map_or(0, |life| life.incarnation.0),
                    leader: life.map_or(0, |life| life.pid),
                }
            })
            .collect();
        let runtime = self.rooms.runtime();
        let found = match self.options.guest {
            true => strays::leftovers_anywhere(runtime, &lives),
            false => strays::leftovers(runtime, &lives, |pid| self.pids.contains_key(&pid)),
        };
        found.unwrap_or_default().into_iter().map(|stray| (stray.life, stray.pidfd)).collect()
    }

    /// Waits for the last helper to go. False: it has gone meanwhile. (A task leaves its group a moment after
    /// it can be reaped, so a first look may still count the main process.)
    fn await_emptiness(&mut self, child: ChildId) -> bool {
        let Some(cgroup) = &self.slots[child.0 as usize].cgroup else {
            self.clearing.push(child);
            self.look_again_as_a_guest();
            return true;
        };
        let Ok(emptiness) = cgroup.emptiness() else { return false };
        let _ = self.watch(Source::Cgroup(child.0), &emptiness, Interest::PRIORITY);
        // It may have become empty before it was watched.
        if emptiness.is_empty().unwrap_or(true) {
            self.unwatch(&emptiness);
            return false;
        }
        self.slot(child).emptiness = Some(emptiness);
        true
    }

    /// The cgroup of a dead main process changed.
    pub(super) fn on_emptiness(&mut self, child: ChildId) {
        let slot = &self.slots[child.0 as usize];
        let Some(emptiness) = &slot.emptiness else { return };
        if !emptiness.is_empty().unwrap_or(true) {
            return;
        }
        self.unwatch(emptiness);
        self.slot(child).emptiness = None;
        self.cleared(child);
    }

    fn cleared(&mut self, child: ChildId) {
        if let Some(life) = self.slot(child).life.take() {
            self.tell(Event::Cleared(child, life.incarnation));
        }
    }

    /// Nobody tells a guest of the death of a helper that is no child of ours.
    fn look_again_as_a_guest(&mut self) {
        if self.options.guest && !self.clearing.is_empty() {
            let soon = clock::now() + LOOK_AGAIN;
            self.look_again = Some(self.look_again.map_or(soon, |moment| moment.min(soon)));
        }
    }

    /// Without cgroups the death of a helper is only seen as SIGCHLD: one look finds who has nothing left.
    pub(super) fn look_at_leftovers(&mut self) {
        if self.clearing.is_empty() {
            return;
        }
        let clearing = std::mem::take(&mut self.clearing);
        let mut left = vec![false; clearing.len()];
        for (which, _) in self.strays(&clearing) {
            left[which] = true;
        }
        for (child, left) in clearing.into_iter().zip(left) {
            if left {
                self.clearing.push(child);
            } else {
                self.cleared(child);
            }
        }
        self.look_again_as_a_guest();
    }

    /// Records how the newest life ended, for `status` and for the crash record.
    pub(super) fn record_end(
        &mut self,
        child: ChildId,
        cause: Option<Cause>,
        lived: Duration,
        crash: u64,
        asked: bool,
    ) {
        let slot = self.slot(child);
        let fault = slot.fault.as_deref().filter(|_| !asked);
        let error = match (&slot.error, slot.never_ready, fault) {
            (_, Some(within), _) => {
                format!("not ready within {}", crate::cli::duration::setting(public::nanos(within)))
            }
            (_, None, Some((_, words))) => words.to_string(),
            (Some(error), None, None) if cause.is_none() => error.to_string(),
            _ => String::new(),
        };
        let fault = match slot.never_ready {
            Some(_) => Some(builtin::Fault::NeverReady),
            None => fault.map(|(fault, _)| public::fault(*fault)),
        };
        let at = clock::now();
        slot.away_since = slot.away_since.or(Some(at));
        slot.has_ended(Ended { cause, error, lived, at, time: clock::wall(), crash, asked, fault });
    }
}
