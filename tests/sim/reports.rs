//! What the core tells: each report is compared with what the judge saw itself.

use crate::judge::Judge;
use crate::known::{Fall, Sure};
use crate::map::{child as child_node, group as group_node};
use mainstay::supervisor::spec::{AutoShutdown, ChildId, Intensity, Node, OnLimit, Restart, Strategy};
use mainstay::supervisor::{Cause, ChildReport, GroupReport, Supervisor};

impl Judge {
    pub(crate) fn child_report(&mut self, child: usize, what: &ChildReport, supervisor: &Supervisor) {
        match what {
            ChildReport::Exited { cause, lived, asked, abnormal, shutdown_error } => {
                self.check(
                    *asked || !*shutdown_error,
                    "K09: only who was asked can end otherwise than asked",
                );
                self.exited(child, *cause, *lived, *asked, *abnormal);
            }
            ChildReport::StartFailed => {
                let policy = &self.map.tree.children[child];
                let (temporary, sure) = (policy.restart == Restart::Temporary, self.unasked_start(child));
                self.known[child].over = temporary && sure;
                if sure && !self.known[child].fresh {
                    self.tally.counts(child, !temporary, false);
                } else {
                    self.tally.may_count(&self.map.tree, child);
                }
            }
            ChildReport::NeverReady { within } => {
                let (now, life) = (self.now, self.known[child].life.as_mut());
                let late = life.is_some_and(|life| {
                    life.never_ready = true;
                    life.ready.is_none()
                        && life.within == Some(*within)
                        && life.exec.is_some_and(|exec| now >= exec + *within)
                });
                self.check(late, "NeverReady only when it was not ready in time");
            }
            ChildReport::BackingOff { until, .. } => {
                let complaint = self.tally.backs_off(child, *until);
                self.check(complaint.is_none(), complaint.unwrap_or_default());
            }
            ChildReport::GaveUp => self.tally.gave_up(child),
            ChildReport::Ready { after } => {
                let life = self.known[child].life.as_ref();
                let exact = life.is_some_and(|life| {
                    life.ready == Some(self.now)
                        && life.exec.is_some_and(|exec| self.now.since(exec) == *after)
                });
                self.check(exact, "ready is reported once, when it came");
            }
            ChildReport::Ignored => {
                self.check(self.ignored == Some(child), "A12: ignored is who said so");
            }
            ChildReport::Stopped | ChildReport::Finished => self.known[child].tried = true,
            ChildReport::Waiting => self.tally.tried_again(&self.map.tree, child),
            ChildReport::Starting | ChildReport::Up | ChildReport::Stopping | ChildReport::Killing => {}
            ChildReport::Left => self.leaves(child),
            ChildReport::Removed => self.removed(child, supervisor),
        }
    }

    /// As [`Judge::unasked`], after the event that ended the life.
    fn unasked_start(&self, child: usize) -> bool {
        let known = &self.known[child];
        let fell = self.map.around(child_node(child)).iter().any(|group| self.groups[*group].fell);
        let known_from_outside = !fell && self.falls.is_empty() && !known.bounced && !known.may_go;
        known_from_outside && !(self.ending || known.excused || known.wanted == Sure::No)
    }

    fn exited(
        &mut self,
        child: usize,
        cause: Cause,
        lived: mainstay::time::Duration,
        asked: bool,
        abnormal: bool,
    ) {
        let Some((life, truth)) = self.tally.death(child) else {
            self.check(false, "an exit is reported when one came");
            return;
        };
        let policy = &self.map.tree.children[child];
        let clean = match cause {
            Cause::Code(code) => code == 0 || policy.clean.contains(&code),
            Cause::Signal(signal, _) => signal == policy.stop_signal,
            Cause::Unknown => false,
        };
        let known = &self.known[child];
        let signalled = life.asked();
        self.check(cause == truth, "K10: the cause is the real one");
        self.check(life.exec.is_some_and(|exec| self.now.since(exec) == lived), "lifetimes are exact");
        let failed = life.never_ready || life.failed == Sure::Yes;
        let unsure = life.failed == Sure::Maybe && abnormal;
        self.check(abnormal == (!clean || failed) || unsure, "E: what counts as abnormal");
        let gone = signalled || self.ending || (known.wanted == Sure::No && !known.fresh);
        self.check(asked || !gone || known.may_go, "a death that was asked for is said to be so");
        let doomed = self.doomed
            || self
                .falls
                .iter()
                .any(|fall| self.map.chain(child_node(child)).any(|(of, _)| of == fall.group));
        let excuse = signalled || self.ending || known.excused || doomed || known.wanted != Sure::Yes;
        self.check(!asked || excuse || known.bounced, "nobody asked it to die");
        if asked || self.ignored == Some(child) || known.fresh && life.good_since().is_none() {
            return;
        }
        // Whether it had been there cannot be seen: if not, its failed start does not count (C15).
        let unseen = known.may_go && life.good_since().is_none();
        let otp = self.map.is_otp(child);
        let was_up = life.good_since().is_some();
        let failed = abnormal || (otp && !was_up);
        let over = match policy.restart {
            Restart::Permanent => false,
            Restart::Transient => !failed,
            Restart::Temporary => true,
        };
        (self.known[child].over, self.known[child].done) = (over, over && clean);
        if unseen {
            self.tally.may_count(&self.map.tree, child);
        } else {
            self.tally.counts(child, !over, was_up);
        }
    }

    /// It is no member any more, and nobody needs it.
    fn removed(&mut self, child: usize, _supervisor: &Supervisor) {
        let known = &self.known[child];
        self.check(known.life.is_none(), "nobody is removed whose process lives");
        let policy = &self.map.tree.children[child];
        let anew =
            self.map.is_otp(child) && self.is_extra(child) && self.groups[policy.group.0 as usize].fell;
        // Also around a group that left and may come back: it goes with the list that it is in.
        let mut kept: Vec<usize> = self.map.around(child_node(child));
        while let Some(parent) = kept.last().and_then(|top| self.groups[*top].left) {
            kept.extend(self.map.around(Node::Group(parent)));
        }
        let kept = kept.iter().position(|group| self.groups[*group].kept).map(|last| kept[..=last].to_vec());
        let may = known.goes || known.may_go || anew || self.vanishes(child) || kept.is_some();
        self.check(may, "nobody is removed without a reason");
        if !(known.goes || known.may_go || anew || self.vanishes(child)) {
            // What was kept goes when the group around it begins anew.
            kept.into_iter().flatten().for_each(|group| self.groups[group].goes = true);
        }
        self.forget_child(child);
    }

    /// This number names nobody.
    pub(crate) fn forget_child(&mut self, child: usize) {
        self.map.remove(child_node(child));
        for group in &mut self.groups {
            group.list.retain(|member| *member != child_node(child));
        }
        let known = &self.known[child];
        let past = known.newest.max(known.past);
        self.known[child] = crate::known::Known { past, ..Default::default() };
        self.tally.removed(child);
        self.prune();
    }

    /// It is no member until its group begins anew (L02).
    fn leaves(&mut self, child: usize) {
        self.check(self.known[child].life.is_none(), "nobody leaves whose process lives");
        let policy = &self.map.tree.children[child];
        let may = self.known[child].may_go || self.vanishes(child);
        self.check(may && self.map.is_otp(child) && !self.is_extra(child), "nobody leaves without a reason");
        let group = policy.group;
        self.map.leave(child_node(child));
        let known = &mut self.known[child];
        (known.left, known.wanted, known.may_go, known.goes) = (Some(group), Sure::No, false, false);
        // Nobody waits for it to be tried.
        known.tried = true;
    }

    pub(crate) fn group_report(&mut self, group: usize, what: &GroupReport) {
        let policy = &self.map.tree.groups[group];
        match what {
            GroupReport::Restarting(by) => {
                self.tally.tried_again(&self.map.tree, by.0 as usize);
                let strategy = self.map.tree.groups[group].strategy;
                self.check(strategy != Strategy::OneForOne, "one_for_one restarts nobody else");
                let mut chain = self.map.chain(child_node(by.0 as usize));
                let position = chain.find_map(|(of, position)| (of == group).then_some(position));
                drop(chain);
                let position = position.filter(|_| !self.known[by.0 as usize].moved);
                let from = match (strategy, position) {
                    (Strategy::RestForOne, Some(position)) => position,
                    // It was moved or removed meanwhile: who falls with it cannot be seen.
                    (Strategy::RestForOne, None) => usize::MAX,
                    _ => 0,
                };
                self.falls_from(group, from);
                if from == usize::MAX {
                    self.excuse(group_node(group));
                }
            }
            GroupReport::LimitReached { by } => {
                let complaint = self.tally.limit_reached(group, by.0 as usize);
                self.check(complaint.is_none(), complaint.unwrap_or_default());
                let stays = policy.parent.is_none() && policy.on_limit == OnLimit::Escalate;
                self.group_ends(group, stays);
            }
            GroupReport::AutoShutdown { by } => {
                self.check(policy.auto_shutdown != AutoShutdown::Never, "M01: never means never");
                self.check(policy.pool.is_none(), "M07: a pool never ends by itself");
                self.auto_shutdown(group, *by);
                let policy = &self.map.tree.groups[group];
                let (top, kept) = (policy.parent.is_none(), policy.restart != Restart::Permanent);
                self.groups[group].finished = kept;
                self.group_ends(group, top);
            }
            GroupReport::GaveUp => {
                self.groups[group].down = Sure::Yes;
                self.excuse(group_node(group));
            }
            GroupReport::ShutdownErrors { count, .. } => {
                self.check(policy.pool.is_some() && *count > 0, "K11: only pools are reported together");
            }
        }
        if !matches!(what, GroupReport::ShutdownErrors { .. }) {
            self.group_moves(group);
        }
        self.tally.group_fell(&self.map.tree, group);
        if matches!(what, GroupReport::AutoShutdown { .. } | GroupReport::GaveUp) {
            self.tally.forget_group(group);
        }
    }

    /// M03–M06: some significant member of it, or of a group that ended in it, ended by itself.
    fn auto_shutdown(&self, group: usize, by: ChildId) {
        let members = &self.map.tree.groups[group].members;
        let ended = |member: &Node| match *member {
            Node::Child(child) => self.map.tree.children[child.0 as usize].significant && child == by,
            Node::Group(inner) => self.map.tree.groups[inner.0 as usize].significant,
        };
        self.check(members.iter().any(ended), "M01, M09: only a significant member ends its group");
        if let Node::Child(child) = child_node(by.0 as usize)
            && members.contains(&Node::Child(child))
            // It may have ended the group that it was in before.
            && !self.known[by.0 as usize].moved
        {
            let at = child.0 as usize;
            // A temporary child whose start failed has ended too.
            let failed = self.failed == Some(at) && self.map.tree.children[at].restart == Restart::Temporary;
            let over = (self.known[at].over || failed) && self.ignored != Some(at);
            self.check(over, "M03, M05: it ended by itself and is not started again");
        }
        if self.map.tree.groups[group].auto_shutdown == AutoShutdown::All {
            let holds = |member: &Node| match *member {
                Node::Child(child) => {
                    let at = child.0 as usize;
                    let runs = self.known[at].life.as_ref().is_some_and(|life| !life.exited);
                    child != by
                        && self.map.tree.children[at].significant
                        && runs
                        && !self.known[at].excused
                        && !self.is_doomed(at)
                        && self.known[at].wanted == Sure::Yes
                }
                Node::Group(_) => false,
            };
            self.check(!members.iter().any(holds), "M04, M17: the last significant member is the last");
        }
    }

    /// All of `group` goes down; `tree`: and with it everything.
    fn group_ends(&mut self, group: usize, tree: bool) {
        self.ending |= tree;
        self.falls_from(group, 0);
        self.excuse(group_node(group));
        self.groups[group].down = Sure::Maybe;
    }

    /// The members of `group` from a position on go down.
    pub(crate) fn falls_from(&mut self, group: usize, from: usize) {
        let members: Vec<Node> = self.map.tree.groups[group].members.iter().skip(from).copied().collect();
        let lives = |child: usize| Some((child, self.known[child].life.as_ref()?.number));
        let doomed: Vec<_> =
            members.iter().flat_map(|member| self.map.below(*member)).filter_map(lives).collect();
        if !doomed.is_empty() {
            self.falls.push(Fall { group, members, doomed });
        }
    }

    /// There is a reason to stop whoever lives below `node`.
    pub(crate) fn excuse(&mut self, node: Node) {
        for child in self.map.below(node) {
            self.known[child].excused = true;
        }
    }
}

/// The window in which a group that counts whole seconds sees a moment.
pub(crate) fn in_window(whole_seconds: bool, limit: Intensity, at: u64, now: u64) -> bool {
    const SECOND: u64 = 1_000_000_000;
    let floor = |nanos: u64| if whole_seconds { nanos / SECOND * SECOND } else { nanos };
    u128::from(floor(now) - floor(at)) <= limit.within.as_nanos()
}
