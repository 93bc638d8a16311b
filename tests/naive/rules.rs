//! The rules of a supervisor, one after the other, each written as the text says it. Slow on purpose.
//!
//! It is synchronous: a start or stop is over when the function returns. What it must not do is borrow a thought from
//! `src/supervisor`: it is there to disagree with it.

use crate::death::{DEATHS, Death};
use crate::model::{After, AutoShutdown, Job, Kid, Live, Pid, Plan, Reason, Restart, Spec, Strategy};
use crate::model::{Supervisor, Why};
use crate::world::{Notice, Start, World};

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// Starts what `spec` says. `None`: it answered *ignore*. The error is the name of the worker that could not start.
pub(crate) fn start(spec: &Spec, world: &mut World) -> Result<Option<Live>, String> {
    match &spec.job {
        Job::Worker => match world.start(&spec.name) {
            (life, Start::Works) => Ok(Some(Live::Worker(life))),
            (_, Start::Ignores) => Ok(None),
            (_, Start::Fails) => Err(spec.name.clone()),
        },
        Job::Supervisor(plan) => {
            Supervisor::start(&spec.name, plan, world).map(|supervisor| Some(Live::Supervisor(supervisor)))
        }
    }
}

impl Kid {
    /// K: its stop, to the end. Whatever it says while it goes is not an exit that anybody handles (G05). Returns what it
    /// said when that is a shutdown error.
    fn stop(&mut self, world: &mut World) -> Option<Death> {
        let error = match &mut self.pid {
            Pid::Running(Live::Worker(life)) => {
                let said = world.stop(&self.spec.name, *life, self.spec.brutal);
                (!self.may_say(said)).then_some(said)
            }
            Pid::Running(Live::Supervisor(supervisor)) => {
                supervisor.terminate(world);
                None
            }
            Pid::Undefined | Pid::Restarting(_) => None,
        };
        self.pid = Pid::Undefined;
        error
    }

    /// K09, D29: what it may say when it is stopped.
    fn may_say(&self, said: Death) -> bool {
        let asked_for = if self.spec.brutal { said == Death::Killed } else { said == Death::OwnStopSignal };
        // Of a permanent one the text leaves open whether a declared code is what was asked for.
        let fine = said.reason() == Reason::Clean && self.spec.restart != Restart::Permanent;
        asked_for || fine || said == Death::CleanCode
    }
}

impl Supervisor {
    /// A09, A11: all in the listed order; when one fails, those that run are stopped in reverse.
    pub(crate) fn start(name: &str, plan: &Plan, world: &mut World) -> Result<Supervisor, String> {
        let number = world.number();
        let mut supervisor = Supervisor {
            number,
            name: name.to_owned(),
            plan: plan.clone(),
            kids: Vec::new(),
            stamps: Vec::new(),
        };
        if plan.strategy == Strategy::Pool {
            return Ok(supervisor);
        }
        for spec in &plan.specs {
            supervisor.kids.push(Kid { spec: spec.clone(), pid: Pid::Undefined });
        }
        match supervisor.start_kids(0, world) {
            Ok(()) => Ok(supervisor),
            Err((_, culprit)) => {
                supervisor.terminate(world);
                Err(culprit)
            }
        }
    }

    /// Starts the kids from `first` on, oldest first. The error says at which place it stopped, and the culprit.
    fn start_kids(&mut self, first: usize, world: &mut World) -> Result<(), (usize, String)> {
        let mut at = first;
        while at < self.kids.len() {
            match start(&self.kids[at].spec, world) {
                Ok(Some(live)) => {
                    self.kids[at].pid = Pid::Running(live);
                    at += 1;
                }
                // A13.
                Ok(None) if self.kids[at].spec.restart == Restart::Temporary => {
                    self.kids.remove(at);
                }
                // A12.
                Ok(None) => at += 1,
                Err(culprit) => return Err((at, culprit)),
            }
        }
        Ok(())
    }

    /// K07: newest first, one after the other. D14: of a pool all at once, so their order says nothing.
    pub(crate) fn terminate(&mut self, world: &mut World) {
        if self.plan.strategy == Strategy::Pool {
            // K11: told once for each reason, with their number.
            let errors: Vec<Death> = self.kids.iter_mut().filter_map(|kid| kid.stop(world)).collect();
            for death in DEATHS {
                let count = errors.iter().filter(|error| **error == death).count();
                if count > 0 {
                    world.told.push(format!("{} {count} {death:?}", self.name));
                }
            }
        } else {
            self.stop_kids(0, world);
        }
        self.kids.clear();
    }

    /// Stops the kid at `at`, and tells of it when it does not end as asked.
    pub(crate) fn stop_kid(&mut self, at: usize, world: &mut World) {
        if self.kids[at].stop(world).is_some() {
            world.told.push(format!("{} shutdown error", self.kids[at].spec.name));
        }
    }

    /// G04, H04: stops those from `first` on, newest first. E09: temporary ones leave.
    fn stop_kids(&mut self, first: usize, world: &mut World) {
        for at in (first..self.kids.len()).rev() {
            self.stop_kid(at, world);
            if self.kids[at].spec.restart == Restart::Temporary {
                self.kids.remove(at);
            }
        }
    }

    /// The kid at `at` is down for good: who is temporary, or of a pool, leaves the list; another stays, undefined.
    pub(crate) fn forget(&mut self, at: usize) {
        if self.kids[at].spec.restart == Restart::Temporary || self.plan.strategy == Strategy::Pool {
            self.kids.remove(at);
        } else {
            self.kids[at].pid = Pid::Undefined;
        }
    }

    /// E: the kid at `at` ended by itself.
    fn ended(&mut self, at: usize, reason: Reason, world: &mut World) -> After {
        let again = match self.kids[at].spec.restart {
            Restart::Permanent => true,
            Restart::Transient => reason == Reason::Abnormal,
            Restart::Temporary => false,
        };
        if again {
            return self.restart(at, world);
        }
        let significant = self.kids[at].spec.significant;
        self.forget(at);
        let after = self.auto_shutdown(significant);
        if after != After::Lives {
            world.told.push(format!("{} auto-shutdown", self.name));
        }
        after
    }

    /// M: somebody ended for good, by itself.
    fn auto_shutdown(&self, significant: bool) -> After {
        // M17: those that are undefined do not hold it up.
        let another = self.kids.iter().any(|kid| kid.spec.significant && !matches!(kid.pid, Pid::Undefined));
        match self.plan.auto_shutdown {
            _ if !significant => After::Lives,
            AutoShutdown::Never => After::Lives,
            AutoShutdown::Any => After::Ends(Why::Significant),
            AutoShutdown::All if another => After::Lives,
            AutoShutdown::All => After::Ends(Why::Significant),
        }
    }

    /// I, then F, G, H: one restart because of the kid at `at`. Also each retry comes here (I05).
    fn restart(&mut self, at: usize, world: &mut World) -> After {
        let period = self.plan.period;
        let now = if self.plan.whole_seconds { world.now / SECOND * SECOND } else { world.now };
        self.stamps.push(now);
        self.stamps.retain(|stamp| stamp + period >= now);
        if self.stamps.len() > self.plan.intensity {
            // I07.
            let offender = self.kids[at].spec.name.clone();
            self.forget(at);
            world.told.push(format!("{} limit", self.name));
            return After::Ends(Why::Limit(offender));
        }
        match self.plan.strategy {
            Strategy::OneForOne | Strategy::Pool => match start(&self.kids[at].spec, world) {
                Ok(Some(live)) => self.kids[at].pid = Pid::Running(live),
                // D12: who ignores leaves a pool; elsewhere its spec stays.
                Ok(None) => self.forget(at),
                Err(_) => self.try_again(at, world),
            },
            Strategy::OneForAll => self.restart_from(0, at, world),
            Strategy::RestForOne => self.restart_from(at, at, world),
        }
        After::Lives
    }

    /// G, H: those from `first` on fall with the one at `dead`, and are started again.
    fn restart_from(&mut self, first: usize, dead: usize, world: &mut World) {
        self.kids[dead].pid = Pid::Undefined;
        self.stop_kids(first, world);
        if let Err((failed, _)) = self.start_kids(first, world) {
            // H05: it is tried again; those after it stay undefined. G03: those before it run until then.
            self.try_again(failed, world);
        }
    }

    /// J06: a notice to itself, which comes after whatever is asked until then.
    fn try_again(&mut self, at: usize, world: &mut World) {
        let tag = world.number();
        self.kids[at].pid = Pid::Restarting(tag);
        world.mailbox.push_back(Notice { supervisor: self.number, tag });
    }

    /// The exit of the worker life `life`, here or somewhere below. E11, E12: a stranger's changes nothing.
    pub(crate) fn exit(&mut self, life: u64, reason: Reason, world: &mut World) -> After {
        for at in 0..self.kids.len() {
            match &mut self.kids[at].pid {
                Pid::Running(Live::Worker(own)) if *own == life => return self.ended(at, reason, world),
                Pid::Running(Live::Supervisor(inner)) => {
                    if let After::Ends(_) = inner.exit(life, reason, world) {
                        return self.inner_ends(at, world);
                    }
                }
                _ => {}
            }
        }
        After::Lives
    }

    /// J06, J07: a retry, here or somewhere below. One for somebody who no longer waits for it does nothing.
    pub(crate) fn retry(&mut self, notice: Notice, world: &mut World) -> After {
        for at in 0..self.kids.len() {
            match &mut self.kids[at].pid {
                Pid::Restarting(tag) if (self.number, *tag) == (notice.supervisor, notice.tag) => {
                    return self.restart(at, world);
                }
                Pid::Running(Live::Supervisor(inner)) => {
                    if let After::Ends(_) = inner.retry(notice, world) {
                        return self.inner_ends(at, world);
                    }
                }
                _ => {}
            }
        }
        After::Lives
    }

    /// The supervisor at `at` ends by itself: it stops all that is left of it, and its reason is `shutdown` (I07, M18).
    fn inner_ends(&mut self, at: usize, world: &mut World) -> After {
        if let Pid::Running(Live::Supervisor(inner)) = &mut self.kids[at].pid {
            inner.terminate(world);
        }
        self.ended(at, Reason::Clean, world)
    }
}
