//! Children that come and go while the tree runs.
//!
//! Invariants: the slot of a new child (its launch, pipes, names, ledger entry, stream) stands before the core's
//! first action about it is done. The number of a removed child names another one only when no event that is still
//! kept speaks of it and the logger has forgotten it: so no line of output and no event is taken for another's.
//!
//! Each costs the same however many children there are.

use super::Driver;
use super::slot::Slot;
use super::workshop::Prepared;
use crate::supervisor::Action;
use crate::supervisor::spec::ChildId;
use crate::time::Instant;
use std::io;

/// A removed child whose number may not be used again yet.
pub struct Retired {
    pub child: ChildId,
    /// Events up to this number may speak of it.
    until: u64,
}

/// So many events after the last about itself may still speak of a removed child ("group restarts because of it").
const AFTERWARDS: u64 = 256;

impl Driver {
    /// Makes the slot of a new child, or gives a known one another launch. `rank`: its place in the plan.
    pub(super) fn install(&mut self, child: ChildId, prepared: Prepared, rank: Option<u64>) {
        let at = child.0 as usize;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, Slot::empty);
        }
        let Prepared { launch, pipes, check, entry } = prepared;
        let is_new = self.roster.instance(child) != entry.instance();
        if is_new {
            self.slots[at] = Slot { launch, pipes, check, ..Slot::empty() };
        } else {
            (self.slots[at].launch, self.slots[at].pipes, self.slots[at].check) = (launch, pipes, check);
        }
        let is_checked_anew = !is_new && self.roster.of(child).health != entry.health;
        self.roster.put(child, entry, rank);
        if is_checked_anew {
            self.check_anew(child);
        }
        // Tried again when it is started, which fails then with the reason.
        let _ = self.enter_in_ledger(child);
        self.say_stream(child);
        if is_new {
            self.tell_of_instance(child);
        }
    }

    /// The entry that a start needs (S3). When there is no room for it, the start says so and may be tried again.
    pub(super) fn enter_in_ledger(&mut self, child: ChildId) -> io::Result<()> {
        let at = child.0 as usize;
        if !self.slots[at].in_ledger {
            self.ledger.add(self.rooms.runtime_fd(), child, self.roster.instance(child))?;
            self.slots[at].in_ledger = true;
        }
        Ok(())
    }

    /// Carries out what a call of the core led to.
    pub(super) fn act_all(&mut self, now: Instant, actions: Vec<Action>) {
        self.to_do.extend(actions.into_iter().map(|action| (now, action)));
        self.work();
    }

    /// The core has removed a child: nothing of its last life is left.
    pub(super) fn removed(&mut self, child: ChildId) {
        self.probes.forget(child);
        self.watch_no_more(child);
        let at = child.0 as usize;
        if let Some(emptiness) = self.slots[at].emptiness.take() {
            self.unwatch(&emptiness);
        }
        self.leave_cgroup(child);
        if self.slots[at].in_ledger {
            self.ledger.remove(child);
        }
        self.tell_of_end(child);
        self.past_pids.remove(&self.slots[at].last_pid);
        self.descriptors.give_back(&self.roster.of(child).log);
        self.roster.remove(child);
        // The pipes stay until the logger has read what is in them.
        let pipes = self.slots[at].pipes.take();
        let has_stream = pipes.is_some();
        self.slots[at] = Slot { pipes, ..Slot::empty() };
        if has_stream {
            self.say_gone(child);
        }
        self.retired.push_back(Retired { child, until: self.ring.newest() + AFTERWARDS });
    }

    /// Nothing of it is left: its control group is not needed any more.
    pub(super) fn leave_cgroup(&mut self, child: ChildId) {
        if let (Some(tree), Some(group)) = (&self.cgroups, self.slots[child.0 as usize].cgroup.take()) {
            let _ = tree.remove(group);
        }
    }

    /// The logger has read and closed everything of a removed child.
    pub(super) fn on_forgotten(&mut self, child: ChildId) {
        if !self.core.is_child(child)
            && let Some(slot) = self.slots.get_mut(child.0 as usize)
        {
            slot.pipes = None;
        }
    }

    /// Gives numbers back that nobody speaks of any more.
    pub(super) fn recycle(&mut self) {
        while let Some(first) = self.retired.front() {
            let child = first.child;
            if first.until >= self.ring.oldest() || self.slots[child.0 as usize].pipes.is_some() {
                return;
            }
            self.retired.pop_front();
            self.roster.forget(child);
            self.core.recycle(child);
        }
    }
}
