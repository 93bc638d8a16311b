//! The state in which an event leaves the core: what it shows to everybody, against what the judge knows.

use crate::judge::Judge;
use crate::known::Sure;
use crate::map::{child as child_node, group as group_node};
use mainstay::supervisor::spec::{ChildId, Grace, GroupId, Node, Restart};
use mainstay::supervisor::{Counts, Standing, State, Supervisor};

impl Judge {
    /// Judges the state in which an event leaves the core.
    pub(crate) fn after(&mut self, supervisor: &Supervisor) {
        let complaint = self.tally.end(&self.map.tree);
        self.check(complaint.is_none(), complaint.unwrap_or_default());
        self.ending |= supervisor.ending().is_some();
        if let Some((child, false)) = self.failing
            && let Some(life) = &mut self.known[child].life
            && !life.leaves()
        {
            let stays = life.failed == Sure::Yes;
            life.failed = Sure::No;
            self.check(!stays, "who failed is asked to stop");
        }
        self.who_left(supervisor);
        self.who_is_back();
        self.members(supervisor);
        let (mut all_up, mut unsure) = (true, false);
        for child in self.map.living().collect::<Vec<_>>() {
            let id = ChildId(child as u32);
            let state = supervisor.state(id);
            let known = &self.known[child];
            let life = known.life.as_ref();
            let shows_life = matches!(state, State::Starting | State::Up | State::Ready | State::Stopping);
            self.check(shows_life == life.is_some(), "a state never lies about being alive");
            let up = matches!(state, State::Up | State::Ready);
            self.check(up == (self.is_up(child)), "a state never lies about being up");
            let wanted = supervisor.wanted_up(id);
            if !self.ending {
                self.check_of(
                    known.wanted != Sure::Yes || wanted,
                    child_node(child),
                    "who was started is wanted up",
                );
                self.check_of(
                    known.wanted != Sure::No || !wanted,
                    child_node(child),
                    "who was stopped is not wanted up",
                );
            }
            self.check(
                !known.goes || life.is_some() || self.ending,
                "who must go goes with its last process",
            );
            all_up &= !self.map.is_attached(child) || !wanted || up || state == State::Finished;
            // Whether it will be finished when its helpers are gone cannot be seen.
            unsure |= state == State::Stopping && (known.over || known.done || known.bounced);
            unsure |= life.is_some_and(|life| life.exited);
            // Nor whether the group around it that ended, or ends, has its work done.
            unsure |= life.is_some()
                && self.map.around(child_node(child)).iter().any(|at| self.groups[*at].finished);
            // Nor whether a temporary bystander that still lives is dropped already (E09), or the work of a group done
            // into which it was moved.
            let fell = || self.map.around(child_node(child)).iter().any(|group| self.groups[*group].fell);
            unsure |= life.is_some() && known.moved && fell();
            let temporary = self.map.tree.children[child].restart == Restart::Temporary;
            unsure |= temporary && life.is_some() && fell();
            let rests = matches!(state, State::Stopped | State::Finished | State::GaveUp);
            self.known[child].tried |= rests;
            self.overdue(child);
        }
        if !self.ending && self.ends == 0 {
            let same = all_up == supervisor.all_up() || unsure;
            self.check(same, "all_up is what all children together say");
            self.check(self.told_all_up || !supervisor.all_up(), "AllUp is told when it becomes true");
            self.told_all_up &= supervisor.all_up();
        }
        let nobody = self.known.iter().all(|known| known.life.is_none());
        self.check(!(self.ending && nobody) || self.ends == 1, "J03: the end comes when the last is gone");
        let due = supervisor.next_deadline();
        // A group that ends is tried again at the next deadline, and so is the one around it.
        let turns = self.deadlines > 2 + self.groups.len();
        self.check(!turns || due.is_none_or(|due| due > self.now), "a deadline that passed is gone");
    }

    /// A deadline that was handled is handled for everybody.
    fn overdue(&self, child: usize) {
        let Some(life) = self.known[child].life.as_ref().filter(|_| self.deadline) else { return };
        let over = match life.stop {
            Some((at, Grace::After(grace))) => self.now >= at + grace && !life.kill,
            _ => false,
        };
        self.check(!over, "K02: SIGKILL when the grace is over");
        let signalled = life.leaves() || life.exited || life.ready.is_some();
        let late = match (life.within, life.exec) {
            (Some(within), Some(exec)) => self.now >= exec + within && !signalled,
            _ => false,
        };
        self.check(!late, "Q03: it is stopped when it was not ready in time");
    }

    /// Groups leave and come back without a word, and children come back so: is there a reason?
    fn who_left(&mut self, supervisor: &Supervisor) {
        let there: Vec<GroupId> = supervisor.groups().collect();
        for child in 0..self.known.len() {
            if let Some(group) = self.known[child].left
                && supervisor.is_child(ChildId(child as u32))
            {
                self.begins_anew(group, supervisor);
            }
        }
        for group in 0..self.groups.len() {
            if let Some(parent) = self.groups[group].left
                && there.contains(&GroupId(group as u32))
            {
                self.begins_anew(parent, supervisor);
            }
        }
        for group in 0..self.groups.len() {
            if self.map.groups[group] && !there.contains(&GroupId(group as u32)) {
                let policy = &self.map.tree.groups[group];
                let parent = policy.parent.filter(|parent| self.map.tree.groups[parent.0 as usize].otp);
                let temporary = policy.restart == Restart::Temporary;
                let below = self.map.below(group_node(group));
                let empty = below.iter().all(|child| self.known[*child].life.is_none());
                if self.groups[group].kept && empty {
                    self.groups[group].goes = true;
                    self.prune();
                    continue;
                }
                let moved = self.map.around(group_node(group)).iter().any(|group| self.groups[*group].fell);
                self.check(
                    temporary && empty && moved,
                    "E07: only a temporary group leaves, and only when it ended",
                );
                self.check(parent.is_some(), "E07: only under OTP semantics a group leaves");
                self.map.leave(group_node(group));
                self.groups[group].left = parent;
                self.groups[group].down = Sure::Yes;
            }
        }
    }

    /// Who is there, under which name, in which order, and how many.
    fn members(&self, supervisor: &Supervisor) {
        let there = supervisor.children().map(|child| child.0 as usize);
        self.check(there.eq(self.map.living()), "who is there is who was added and not removed");
        for child in self.map.living() {
            let name = &self.map.tree.children[child].name;
            let named = supervisor.child_named(name) == Some(ChildId(child as u32));
            self.check(named, "a name names one child");
            let id = ChildId(child as u32);
            let same = supervisor.is_kept(id) == self.known[child].kept
                && supervisor.tree().children[child].added == self.map.tree.children[child].added;
            self.check(same, "N05: who is kept is said to be so, and not to have been added");
            let standing = supervisor.standing(child_node(child));
            let runs = self.known[child].life.is_some();
            self.check(runs == (standing == Standing::Running), "C18: who has a process runs");
            let restarting = standing == Standing::Restarting;
            let may = self.known[child].newest.0 > 0 && self.known[child].wanted != Sure::No;
            self.check(!restarting || may || self.ending, "C18: only who died and is wanted is restarting");
        }
        let groups = supervisor.groups().map(|group| group.0 as usize);
        self.check(
            groups.eq((0..self.groups.len()).filter(|group| self.map.groups[*group])),
            "the groups are those of the tree",
        );
        for group in (0..self.groups.len()).filter(|group| self.map.groups[*group]) {
            let id = GroupId(group as u32);
            let members = &self.map.tree.groups[group].members;
            let same = supervisor.members(id).eq(members.iter().copied());
            self.check_of(same, group_node(group), "members are in their order");
            let workers = members.iter().filter(|member| matches!(member, Node::Child(_))).count() as u32;
            let runs = |member: &&Node| match member {
                Node::Child(child) => self.known[child.0 as usize].life.is_some(),
                Node::Group(_) => supervisor.standing(**member) == Standing::Running,
            };
            let pool = self.map.tree.groups[group].pool.is_some();
            let counts = Counts {
                specs: if pool { 1 } else { members.len() as u32 },
                active: members.iter().filter(runs).count() as u32,
                supervisors: members.len() as u32 - workers,
                workers,
            };
            self.check(supervisor.count(id) == counts, "C19: counts agree with a recount");
            let undefined = supervisor.standing(group_node(group)) == Standing::Undefined;
            let up = self.map.below(group_node(group)).into_iter().any(|child| self.is_up(child));
            let asked = |child: usize| self.known[child].excused || self.is_doomed(child) || self.ending;
            let asked =
                self.map.below(group_node(group)).into_iter().filter(|child| self.is_up(*child)).all(asked);
            self.check_of(!undefined || !up || asked, group_node(group), "C18: whose members run is there");
        }
    }

    /// Judges the state when no fault happens any more and nothing is due.
    pub(crate) fn at_rest(&self, supervisor: &Supervisor) {
        if self.ends > 0 {
            return;
        }
        let waits = |child: usize| {
            self.map.children[child] && supervisor.state(ChildId(child as u32)) == State::Waiting
        };
        let ends = self.rolls.iter().all(|roll| roll.over || roll.members.iter().any(|child| waits(*child)));
        self.check(ends, "a roll comes to its end when nobody in it waits for others");
        for child in self.map.living().map(|child| ChildId(child as u32)) {
            let state = supervisor.state(child);
            let standing = supervisor.standing(Node::Child(child));
            self.check(standing != Standing::Restarting, "nobody is tried again for ever without a deadline");
            if !supervisor.wanted_up(child) {
                self.check(state == State::Stopped, "what is wanted down is down");
                continue;
            }
            let blockers: Vec<Node> = supervisor.waits_for(child).collect();
            let waits = state == State::Waiting && !blockers.is_empty();
            self.check(
                matches!(state, State::Up | State::Ready | State::Finished | State::GaveUp) || waits,
                format!("goals are reached once faults stop: {child:?} is {state:?}, waits for {blockers:?}"),
            );
            for blocker in blockers {
                let below = self.map.below(blocker);
                let fine = below.iter().all(|other| self.is_up(*other)) && !below.is_empty();
                self.check(!fine, format!("nobody waits for what is there: {child:?} for {blocker:?}"));
            }
            self.check(
                state != State::Waiting || self.waits_for_the_dead(child, supervisor),
                "they wait for each other",
            );
        }
    }

    /// Whether `child` waits, in the end, for somebody who is down for good.
    fn waits_for_the_dead(&self, child: ChildId, supervisor: &Supervisor) -> bool {
        let mut seen = vec![child];
        let mut at = 0;
        while let Some(child) = seen.get(at).copied() {
            for blocker in supervisor.waits_for(child) {
                let below = self.map.below(blocker);
                if below.is_empty() {
                    return true;
                }
                for other in below {
                    let id = ChildId(other as u32);
                    if supervisor.state(id) != State::Waiting && !self.is_up(other) {
                        return true;
                    }
                    if !seen.contains(&id) {
                        seen.push(id);
                    }
                }
            }
            at += 1;
        }
        false
    }

    pub(crate) fn at_end(&self) {
        self.check(self.ends == 1, "End comes exactly once");
        self.check(self.known.iter().all(|known| known.life.is_none()), "K13: the end leaves nothing");
        self.check(self.rolls.iter().all(|roll| roll.over), "no roll outlives the end");
    }
}
