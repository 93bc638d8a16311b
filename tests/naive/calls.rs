//! C, D, N: what can be asked of a supervisor that runs. One request is over before the next begins (C24).

use crate::model::{AutoShutdown, Job, Kid, Live, Pid, Plan, Restart, Spec, Strategy, Supervisor};
use crate::rules::start;
use crate::world::World;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// C13: no such supervisor runs.
    NoProcess,
    AlreadyStarted,
    AlreadyPresent,
    Running,
    Restarting,
    NotFound,
    /// The request is not for pools.
    IsPool,
    MaxChildren,
    /// The spec, or the flags with the specs, are wrong (B05).
    BadSpec,
    /// What was to be started could not be.
    StartFailed,
}

/// 1/1/0/1: specs, active, supervisors, workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) specs: usize,
    pub(crate) active: usize,
    pub(crate) supervisors: usize,
    pub(crate) workers: usize,
}

/// B05: a significant child can be neither permanent nor in a supervisor that never shuts down because of it.
pub(crate) fn may_be(spec: &Spec, auto_shutdown: AutoShutdown) -> bool {
    !spec.significant || (spec.restart != Restart::Permanent && auto_shutdown != AutoShutdown::Never)
}

impl Supervisor {
    /// The supervisor of this name that runs: itself, or one below. C13: there may be none.
    pub(crate) fn find(&mut self, name: &str) -> Option<&mut Supervisor> {
        if self.name == name {
            return Some(self);
        }
        self.kids.iter_mut().find_map(|kid| match &mut kid.pid {
            Pid::Running(Live::Supervisor(inner)) => inner.find(name),
            _ => None,
        })
    }

    fn place(&self, name: &str) -> Result<usize, Refused> {
        self.kids.iter().position(|kid| kid.spec.name == name).ok_or(Refused::NotFound)
    }

    /// C01, C06, C12, C15; D01, D09, D20. `true`: it runs; `false`: it answered *ignore* (A12 to A16).
    pub(crate) fn start_child(&mut self, spec: &Spec, world: &mut World) -> Result<bool, Refused> {
        let pool = self.plan.strategy == Strategy::Pool;
        if !may_be(spec, self.plan.auto_shutdown) {
            return Err(Refused::BadSpec);
        }
        if pool && self.plan.max_children.is_some_and(|max| self.kids.len() >= max) {
            return Err(Refused::MaxChildren);
        }
        if let Ok(at) = self.place(&spec.name) {
            return match self.kids[at].pid {
                Pid::Running(_) => Err(Refused::AlreadyStarted),
                // J01: also while it is restarting.
                Pid::Undefined | Pid::Restarting(_) => Err(Refused::AlreadyPresent),
            };
        }
        match start(spec, world) {
            Err(_) => Err(Refused::StartFailed),
            Ok(Some(live)) => {
                self.kids.push(Kid { spec: spec.clone(), pid: Pid::Running(live) });
                Ok(true)
            }
            Ok(None) => {
                if !pool && spec.restart != Restart::Temporary {
                    self.kids.push(Kid { spec: spec.clone(), pid: Pid::Undefined });
                }
                Ok(false)
            }
        }
    }

    /// C02 to C04, J02; D03, D26. Never the cause of an auto-shutdown (M03).
    pub(crate) fn terminate_child(&mut self, name: &str, world: &mut World) -> Result<(), Refused> {
        let at = self.place(name)?;
        self.stop_kid(at, world);
        self.forget(at);
        Ok(())
    }

    /// C07 to C10, C16; D06.
    pub(crate) fn restart_child(&mut self, name: &str, world: &mut World) -> Result<bool, Refused> {
        if self.plan.strategy == Strategy::Pool {
            return Err(Refused::IsPool);
        }
        let at = self.place(name)?;
        match self.kids[at].pid {
            Pid::Running(_) => return Err(Refused::Running),
            Pid::Restarting(_) => return Err(Refused::Restarting),
            Pid::Undefined => {}
        }
        match start(&self.kids[at].spec, world) {
            Err(_) => Err(Refused::StartFailed),
            Ok(None) => Ok(false),
            Ok(Some(live)) => {
                self.kids[at].pid = Pid::Running(live);
                Ok(true)
            }
        }
    }

    /// C11; D06.
    pub(crate) fn delete_child(&mut self, name: &str) -> Result<(), Refused> {
        if self.plan.strategy == Strategy::Pool {
            return Err(Refused::IsPool);
        }
        let at = self.place(name)?;
        match self.kids[at].pid {
            Pid::Running(_) => Err(Refused::Running),
            Pid::Restarting(_) => Err(Refused::Restarting),
            Pid::Undefined => {
                self.kids.remove(at);
                Ok(())
            }
        }
    }

    /// C19 to C21; D01: a pool has one spec, and counts also those that are restarting.
    pub(crate) fn count(&self) -> Counts {
        let pool = self.plan.strategy == Strategy::Pool;
        let mut counts = Counts { specs: if pool { 1 } else { self.kids.len() }, ..Counts::default() };
        for kid in &self.kids {
            match kid.spec.job {
                Job::Worker => counts.workers += 1,
                Job::Supervisor(_) => counts.supervisors += 1,
            }
            if let Pid::Running(_) = kid.pid {
                counts.active += 1;
            }
        }
        counts
    }

    /// N: all or nothing (N02), here and below.
    pub(crate) fn reload(&mut self, plan: &Plan) -> Result<(), Refused> {
        if !sound(plan) {
            return Err(Refused::BadSpec);
        }
        self.replace(plan);
        Ok(())
    }

    /// The flags are in force at once (N01); specs are replaced and processes go on (N04); what is new is not started
    /// (N03); what is missing is kept, listed last (N05, N06).
    fn replace(&mut self, plan: &Plan) {
        self.plan = plan.clone();
        if plan.strategy == Strategy::Pool {
            return;
        }
        let mut old = std::mem::take(&mut self.kids);
        for spec in &plan.specs {
            let mut pid = match old.iter().position(|kid| kid.spec.name == spec.name) {
                Some(at) => old.remove(at).pid,
                None => Pid::Undefined,
            };
            if let (Pid::Running(Live::Supervisor(inner)), Job::Supervisor(plan)) = (&mut pid, &spec.job) {
                inner.replace(plan);
            }
            self.kids.push(Kid { spec: spec.clone(), pid });
        }
        self.kids.append(&mut old);
    }
}

/// B05, in a whole plan.
fn sound(plan: &Plan) -> bool {
    plan.specs.iter().all(|spec| {
        let inner = match &spec.job {
            Job::Worker => true,
            Job::Supervisor(plan) => sound(plan),
        };
        inner && may_be(spec, plan.auto_shutdown)
    })
}
