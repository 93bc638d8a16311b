//! Children that come and go while the tree runs.
//!
//! Invariants: the slot of a new child (its launch, pipes, names, ledger entry, stream) stands before the core's
//! first action about it is done. The number of a removed child names another one only when no event that is still
//! kept speaks of it and the logger has forgotten it: so no line of output and no event is taken for another's. The number of
//! a removed group likewise, when no event speaks of it.
//!
//! Each costs the same however many children there are.

use super::Driver;
use super::ring::Ring;
use super::slot::Slot;
use super::tell::Telling;
use super::workshop::Prepared;
use crate::supervisor::spec::{ChildId, GroupId};
use crate::supervisor::{Action, Report, Supervisor};
use crate::time::Instant;
use std::collections::HashSet;
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

    /// The same for groups. Only another plan takes numbers for groups, so it is enough to look before that.
    pub(super) fn recycle_groups(&mut self) {
        let to_do = self.to_do.iter().filter_map(|(_, action)| match action {
            Action::Report(Report::Group { group, .. }) => Some(*group),
            _ => None,
        });
        let to_say = to_do.chain(self.telling.iter().flat_map(Telling::groups));
        for group in forgotten(&self.core, &self.ring, to_say) {
            self.core.recycle_group(group);
        }
    }
}

/// Removed groups of which no event that is kept speaks, nor anything that is yet `to_say`.
fn forgotten(core: &Supervisor, ring: &Ring, to_say: impl Iterator<Item = GroupId>) -> Vec<GroupId> {
    let spoken_of: HashSet<u32> = ring.groups().chain(to_say).map(|group| group.0).collect();
    core.vacant_groups().filter(|group| !spoken_of.contains(&group.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::ring::{CAPACITY, Note, Subject};
    use super::super::roster::Roster;
    use super::*;
    use crate::supervisor::Revision;
    use crate::supervisor::spec::{Group, Incarnation, Node, Tree};
    use crate::time::Wall;

    /// A root, and one group in it.
    fn tree(name: &str) -> Tree {
        let root = Group { name: "root".into(), members: vec![Node::Group(GroupId(1))], ..Group::default() };
        let inner = Group { name: name.into(), parent: Some(GroupId::ROOT), ..Group::default() };
        Tree { groups: vec![root, inner], ..Tree::default() }
    }

    /// So many plans, each with another group of which so many events tell; how many numbers that takes.
    fn plans(count: usize, events: usize) -> usize {
        let mut core = Supervisor::new(tree("g0"), 1, Incarnation(1));
        let (mut ring, mut roster) = (Ring::new(1), Roster::default());
        // What each event that is kept has to say for ever.
        let mut named = std::collections::VecDeque::new();
        for round in 0..count {
            let name = format!("g{round}");
            let revision = Revision { tree: tree(&name), fixed: 1, ..Revision::default() };
            for group in forgotten(&core, &ring, std::iter::empty()) {
                core.recycle_group(group);
            }
            let new = core.reload(Instant::ZERO, revision, &mut Vec::new()).expect("a sound plan");
            roster.name_groups(&core);
            for _ in 0..events {
                ring.push(Instant::ZERO, Wall(0), Subject::Group(new.groups[1]), Note::GroupGaveUp);
                named.push_back(name.clone());
            }
            named.drain(..named.len().saturating_sub(CAPACITY));
            if round % 100 == 0 {
                assert!(ring.groups().map(|group| roster.group(group)).eq(named.iter().map(String::as_str)));
            }
        }
        core.tree().groups.len()
    }

    #[test]
    fn a_thousand_reloads_take_no_more_numbers_for_groups_than_events_speak_of() {
        // The root, the group that goes and the one that comes.
        assert_eq!(plans(1_000, 0), 3);
        // And one for each group that a kept event is about.
        let spoken_of = plans(300, 64);
        assert!((CAPACITY / 64..CAPACITY / 64 + 4).contains(&spoken_of), "{spoken_of}");
    }

    #[test]
    fn a_group_that_is_yet_to_be_told_of_keeps_its_number() {
        let mut core = Supervisor::new(tree("old"), 1, Incarnation(1));
        let revision = Revision { tree: tree("new"), fixed: 1, ..Revision::default() };
        core.reload(Instant::ZERO, revision, &mut Vec::new()).expect("a sound plan");
        let (ring, old) = (Ring::new(1), GroupId(1));
        assert_eq!(forgotten(&core, &ring, std::iter::once(old)), []);
        assert_eq!(forgotten(&core, &ring, std::iter::empty()), [old]);
    }
}
