//! Watchdogs, and other ways in which a life that runs is found to be of no use.
//!
//! Here is when; what follows is the core's ([`Event::Failed`]): the life is ended and counts as an abnormal death. The
//! deadline of a watchdog is moved by each message of the service, so it is kept here and not in the core.

use super::ring::Fault;
use super::{Driver, public};
use crate::cli::duration::setting;
use crate::ipc::builtin::GroupMemory;
use crate::supervisor::Event;
use crate::supervisor::spec::{ChildId, Incarnation};
use crate::sys::cgroup::Own;
use crate::sys::clock;
use crate::sys::gauge::Gauge;
use crate::sys::oom::OomKills;
use crate::time::{Duration, Instant};

/// Memory of the group that we are in, and the processes in it that the kernel killed because there was none left.
pub struct Memory {
    counter: Option<OomKills>,
    gauge: Option<Gauge>,
    /// So many of them are known whose they were.
    known: u64,
}

impl Memory {
    /// What was before is nobody's.
    pub fn new() -> Memory {
        let own = Own::look().ok();
        let counter = own.as_ref().and_then(|own| OomKills::ours(own).ok());
        let counter = counter.filter(|counter| counter.count().is_ok());
        let known = counter.as_ref().and_then(|counter| counter.count().ok()).unwrap_or(0);
        Memory { counter, gauge: own.and_then(|own| Gauge::ours(&own).ok()), known }
    }

    /// How many there were; `None`: that is not to be seen.
    pub fn count(&self) -> Option<u64> {
        self.counter.as_ref().and_then(|counter| counter.count().ok())
    }
}

impl Driver {
    /// It is up, or ready: from now on it is watched.
    pub(super) fn begin_to_watch(&mut self, child: ChildId) {
        if let Some(every) = self.roster.of(child).watchdog {
            self.watchdogs.set(child, clock::now() + every);
        }
        self.begin_checks(child);
    }

    /// It is asked to stop, or has ended.
    pub(super) fn watch_no_more(&mut self, child: ChildId) {
        self.watchdogs.clear(child);
        self.end_checks(child);
    }

    /// `WATCHDOG=…` of a process of this life.
    pub(super) fn on_watchdog(&mut self, child: ChildId, incarnation: Incarnation, said: &[u8]) {
        let Some(every) = self.roster.of(child).watchdog else { return };
        match said {
            b"1" if self.watchdogs.has(child) => self.watchdogs.set(child, clock::now() + every),
            b"trigger" => {
                let words = "ended because it said WATCHDOG=trigger".to_owned();
                self.fail(child, incarnation, Fault::Watchdog, words);
            }
            _ => {}
        }
    }

    pub(super) fn look_at_watchdogs(&mut self, now: Instant) {
        while let Some(child) = self.watchdogs.due(now) {
            let every = self.roster.of(child).watchdog.unwrap_or(Duration::ZERO);
            let life = self.slots[child.0 as usize].life.as_ref().map(|life| life.incarnation);
            if let Some(incarnation) = life {
                let words = format!(
                    "ended because it missed its watchdog of {}",
                    setting(super::public::nanos(every))
                );
                self.fail(child, incarnation, Fault::Watchdog, words);
            }
        }
    }

    /// The core is told that a life which runs is of no use; the first reason stands.
    pub(super) fn fail(&mut self, child: ChildId, incarnation: Incarnation, fault: Fault, words: String) {
        self.watch_no_more(child);
        let slot = self.slot(child);
        if slot.life_of(incarnation).is_some_and(|life| !life.reaped && !life.asked) && slot.fault.is_none() {
            slot.fault = Some(Box::new((fault, words.into())));
            self.tell(Event::Failed { child, incarnation, ended: false });
        }
    }

    /// Whether the kernel killed this life, which died of SIGKILL, for its memory: the counter of its control group,
    /// or else of ours, has risen while it lived, and by more than other deaths account for. Allocates nothing.
    pub(super) fn died_for_memory(&mut self, child: ChildId) -> bool {
        let slot = &mut self.slots[child.0 as usize];
        let own = slot.cgroup.as_ref().and_then(|group| group.oom_kills().ok());
        if let Some(count) = own {
            return count > std::mem::replace(&mut slot.oom_kills, count);
        }
        let before = slot.oom_kills.max(self.memory.known);
        match self.memory.count() {
            Some(count) if count > before => {
                self.memory.known = before + 1;
                true
            }
            _ => false,
        }
    }

    /// What the kernel counts of the memory of its control group, or else of ours. Allocates nothing.
    pub(super) fn group_memory(&self, child: ChildId) -> Option<GroupMemory> {
        let own = self.slots[child.0 as usize].cgroup.as_ref().and_then(|group| group.memory().ok());
        let ours = || self.memory.gauge.as_ref().and_then(|gauge| gauge.read().ok());
        let own = own.map(|memory| public::group_memory(memory, false));
        own.or_else(|| ours().map(|memory| public::group_memory(memory, true)))
    }

    /// Before a life: what its counter says, unless it has one of its own.
    pub(super) fn remember_memory(&mut self, child: ChildId) {
        let slot = &self.slots[child.0 as usize];
        let own = slot.cgroup.as_ref().and_then(|group| group.oom_kills().ok());
        let count = own.or_else(|| self.memory.count()).unwrap_or(0);
        self.slot(child).oom_kills = count;
    }
}
