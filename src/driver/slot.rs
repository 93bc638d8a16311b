//! What the driver keeps of one instance beside the core's state: descriptors, pids, the newest death.

use super::audience::LISTENERS;
use super::boxes::BlackBox;
use super::ring::Fault;
use crate::ipc::builtin;
use crate::supervisor::Cause;
use crate::supervisor::spec::Incarnation;
use crate::sys::cgroup::{Emptiness, Group, Tree};
use crate::sys::launch::{Launch, StartError, Step};
use crate::sys::log_pipe::LogPipe;
use crate::time::{Duration, Instant, Wall};
use std::os::fd::OwnedFd;

/// One instance. There may be thousands: what most of them never have is elsewhere.
pub struct Slot {
    /// How it is started; an error when it cannot be prepared (an unknown user, say): the same each time.
    pub launch: Result<Launch, StartError>,
    /// How the command of its health check is started, if it has one.
    pub check: Option<Box<Result<Launch, StartError>>>,
    /// Where its output goes; `None` when it has no pipes.
    pub pipes: Option<[LogPipe; 2]>,
    /// Its cgroup, when cgroups are used.
    pub cgroup: Option<Group>,
    /// SIGKILL was sent through it: Linux kills whatever is cloned into such a group from outside (it
    /// compares the group's count of kills with that of ours), so the next life needs a new one.
    pub cgroup_used_up: bool,
    /// How often the kernel had killed for memory in its control group, or in ours, before the present life.
    pub oom_kills: u64,
    /// Tells when the last helper of a dead main process is gone.
    pub emptiness: Option<Emptiness>,
    /// The present life, until nothing of it is left.
    pub life: Option<Life>,
    /// How the newest life ended.
    pub ended: Option<Box<Ended>>,
    /// When the newest life ended, while it is not up again.
    pub away_since: Option<Instant>,
    /// Why the newest start failed.
    pub error: Option<Box<StartError>>,
    /// The life is being ended because it was not ready in time.
    pub never_ready: Option<Duration>,
    /// Why the present life's end is abnormal whatever its status, with what was found.
    pub fault: Option<Box<(Fault, Box<str>)>>,
    /// What it said with its readiness, until that is told.
    pub info: Option<Box<str>>,
    /// The black box of the newest life, also when that has ended.
    pub blackbox: Option<BlackBox>,
    /// Which listeners are going to be told of its newest life.
    pub untold: [bool; LISTENERS.len()],
    /// The main process of the newest life, also when it has ended: it names a member of a pool that waits for
    /// its next try (J05). 0: none yet.
    pub last_pid: u32,
    /// The ledger has an entry for it.
    pub in_ledger: bool,
}

/// One life: from exec until nothing of it is left.
pub struct Life {
    pub incarnation: Incarnation,
    pub pid: u32,
    /// Kept after reaping, while helpers of its process group are ended through it.
    pub pidfd: OwnedFd,
    pub started: Instant,
    /// A seam in its pipes tells its words from those of the life before.
    pub seam: bool,
    /// It was asked to stop.
    pub asked: bool,
    /// The main process is reaped; helpers are still there.
    pub reaped: bool,
}

/// How a life ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// `None`: the start failed; see `error`.
    pub cause: Option<Cause>,
    /// In words: a failed start, a readiness that never came; else empty.
    pub error: String,
    pub lived: Duration,
    pub at: Instant,
    pub time: Wall,
    pub crash: u64,
    pub asked: bool,
    /// What was wrong with it beside its status.
    pub fault: Option<builtin::Fault>,
}

impl Slot {
    /// A place for an instance that was not prepared yet, or is gone.
    pub fn empty() -> Slot {
        Slot {
            launch: Err(StartError::new(Step::Arguments, 0, "preparing a built-in service")),
            check: None,
            pipes: None,
            cgroup: None,
            cgroup_used_up: false,
            oom_kills: 0,
            emptiness: None,
            life: None,
            ended: None,
            away_since: None,
            error: None,
            never_ready: None,
            fault: None,
            info: None,
            blackbox: None,
            untold: [false; LISTENERS.len()],
            last_pid: 0,
            in_ledger: false,
        }
    }

    /// How its newest life ended, from now on. Asks for memory only the first time.
    pub fn has_ended(&mut self, how: Ended) {
        match &mut self.ended {
            Some(ended) => **ended = how,
            None => self.ended = Some(Box::new(how)),
        }
    }

    /// Sees that there is a control group for the next life, which is empty now. Without one the life is
    /// followed by process group and session.
    pub fn find_cgroup(&mut self, tree: Option<&Tree>, instance: &str) {
        let Some(tree) = tree else { return };
        if std::mem::take(&mut self.cgroup_used_up)
            && let Some(group) = self.cgroup.take()
        {
            let _ = tree.remove(group);
        }
        if self.cgroup.is_none() {
            self.cgroup = tree.group(instance).ok();
        }
    }

    /// The pid of the main process while it lives.
    pub fn pid(&self) -> Option<u32> {
        self.life.as_ref().filter(|life| !life.reaped).map(|life| life.pid)
    }

    /// The present life if it is this one.
    pub fn life_of(&self, incarnation: Incarnation) -> Option<&Life> {
        self.life.as_ref().filter(|life| life.incarnation == incarnation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_small() {
        assert!(std::mem::size_of::<Slot>() <= 320, "{}", std::mem::size_of::<Slot>());
    }
}
