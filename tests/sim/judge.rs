//! What must hold at every step. It follows events and actions on its own and asks the core only what it
//! shows to everybody, to compare; where a command or a group makes the truth unknowable from outside, it is
//! silent rather than wrong.
//!
//! Here: what happens, and what the core does. `reports.rs`: what the core tells. `asked.rs`: what is asked of
//! it. `after.rs`: the state in which it is left.

use crate::known::{Fall, Known, KnownGroup, Life, Roll, Sure};
use crate::map::{Map, child as child_node};
use crate::tally::Tally;
use mainstay::supervisor::spec::{ChildId, Grace, GroupId, Incarnation, Node, Restart, Strategy, Tree};
use mainstay::supervisor::{Action, ChildReport, Command, Event, Report, State, Supervisor};
use mainstay::time::Instant;
use std::collections::VecDeque;

pub(crate) struct Judge {
    pub(crate) map: Map,
    pub(crate) known: Vec<Known>,
    pub(crate) groups: Vec<KnownGroup>,
    pub(crate) now: Instant,
    /// The newest life.
    pub(crate) last: Incarnation,
    /// The newest child.
    pub(crate) serial: u64,
    /// Numbers of removed children that may be given again.
    pub(crate) free: Vec<usize>,
    /// And of removed groups.
    pub(crate) free_groups: Vec<usize>,
    pub(crate) ending: bool,
    hurry: bool,
    pub(crate) ends: u32,
    pub(crate) falls: Vec<Fall>,
    pub(crate) rolls: Vec<Roll>,
    pub(crate) tally: Tally,
    /// Somebody moved goals or members: who is before whom in a start is not known any more.
    pub(crate) commanded: bool,
    pub(crate) told_all_up: bool,
    /// This event is old news and must change nothing.
    pub(crate) noise: bool,
    pub(crate) deadline: bool,
    /// How many deadlines came at this moment, with nothing else in between.
    pub(crate) deadlines: usize,
    /// The life that ended in this step was one that a group takes down.
    pub(crate) doomed: bool,
    /// Whose start failed in this step.
    pub(crate) failed: Option<usize>,
    /// Who failed in this step while it ran, and whether it has ended already.
    pub(crate) failing: Option<(usize, bool)>,
    /// Who said in this step that there is nothing to run.
    pub(crate) ignored: Option<usize>,
    /// The newest steps, for whoever reads a failure; only when `telling`.
    story: VecDeque<String>,
    telling: bool,
}

impl Judge {
    pub(crate) fn new(tree: Tree, first: Incarnation, telling: bool) -> Judge {
        let known = |(at, child): (usize, &mainstay::supervisor::spec::Child)| Known {
            serial: at as u64,
            tried: !child.autostart,
            wanted: child.autostart.into(),
            ..Known::default()
        };
        let known: Vec<Known> = tree.children.iter().enumerate().map(known).collect();
        let mut judge = Judge {
            tally: Tally::default(),
            serial: known.len() as u64,
            known,
            groups: vec![KnownGroup::default(); tree.groups.len()],
            map: Map::new(tree),
            now: Instant::ZERO,
            last: Incarnation(first.0 - 1),
            free: Vec::new(),
            free_groups: Vec::new(),
            ending: false,
            hurry: false,
            ends: 0,
            falls: Vec::new(),
            rolls: Vec::new(),
            commanded: false,
            told_all_up: false,
            noise: false,
            deadline: false,
            deadlines: 0,
            doomed: false,
            failed: None,
            ignored: None,
            failing: None,
            story: VecDeque::new(),
            telling,
        };
        judge.tally.reserve(judge.known.len(), judge.groups.len());
        judge.declare();
        judge
    }

    /// Whether the world really is such that this can happen.
    pub(crate) fn is_true(&self, event: &Event) -> bool {
        let life = |child: &ChildId, number: &Incarnation| {
            let known = self.known.get(child.0 as usize)?;
            known.life.as_ref().filter(|life| life.number == *number)
        };
        match event {
            Event::Started(child, number)
            | Event::StartFailed(child, number)
            | Event::Ignored(child, number) => life(child, number).is_some_and(|life| life.exec.is_none()),
            Event::Ready(child, number) => {
                life(child, number).is_some_and(|life| life.exec.is_some() && !life.exited)
            }
            Event::Exited { child, incarnation, .. } | Event::Failed { child, incarnation, .. } => {
                life(child, incarnation).is_some_and(|life| life.exec.is_some() && !life.exited)
            }
            Event::Cleared(child, number) => life(child, number).is_some_and(|life| life.exited),
            Event::Boot | Event::Command(_) | Event::Deadline => true,
        }
    }

    /// Something happens, or is asked, as of `now`.
    pub(crate) fn begin(&mut self, now: Instant, deadline: bool) {
        self.deadline = deadline;
        self.deadlines = if deadline && self.now == now { self.deadlines + 1 } else { 0 };
        self.now = now;
        (self.ignored, self.failed, self.failing) = (None, None, None);
        self.tally.begin(now);
        if self.rolls.iter().any(|roll| !roll.over) {
            self.while_rolling();
        }
    }

    /// Nobody remembers the old child of this number: it may name another one. Nothing else changes.
    pub(crate) fn recycled(&mut self, child: usize) {
        let gone = |known: &Known| known.left.is_none();
        let vacant = self.known.get(child).is_some_and(gone) && !self.map.children[child];
        if vacant && !self.free.contains(&child) {
            self.free.push(child);
        }
    }

    /// The same of a group: nobody is in it, and it will not come back.
    pub(crate) fn recycled_group(&mut self, group: usize) {
        let gone = |known: &KnownGroup| known.left.is_none();
        let vacant = self.groups.get(group).is_some_and(gone) && !self.map.groups[group];
        if vacant && !self.free_groups.contains(&group) {
            self.free_groups.push(group);
        }
    }

    /// Takes in what happens.
    pub(crate) fn before(&mut self, now: Instant, event: &Event) {
        self.tell(|| format!("{} ms: {event:?}", now.as_nanos() / 1_000_000));
        self.begin(now, *event == Event::Deadline);
        let truth = self.is_true(event);
        self.doomed = match event {
            Event::StartFailed(child, _) | Event::Exited { child, .. } if truth => {
                self.is_doomed(child.0 as usize)
            }
            _ => false,
        };
        match *event {
            Event::Started(child, _) if truth => {
                let within = self.map.tree.children[child.0 as usize].ready_within;
                let known = &mut self.known[child.0 as usize];
                known.tried |= within.is_none();
                known.fresh &= within.is_some();
                if let Some(life) = &mut known.life {
                    (life.exec, life.within) = (Some(now), within);
                }
            }
            Event::StartFailed(child, _) if truth => {
                let child = child.0 as usize;
                self.failed = Some(child);
                self.tally.died(child, None, None);
                self.failed(child);
                self.known[child].life = None;
                self.known[child].tried = true;
            }
            Event::Ignored(child, _) if truth => {
                self.nothing_to_run(child.0 as usize);
                self.known[child.0 as usize].life = None;
            }
            Event::Ready(child, _) if truth => {
                let known = &mut self.known[child.0 as usize];
                known.tried = true;
                if let Some(life) = &mut known.life
                    && life.within.is_some()
                    && life.ready.is_none()
                    && !life.leaves()
                {
                    life.ready = Some(now);
                    known.fresh = false;
                }
            }
            Event::Exited { child, cause, leftovers, .. } if truth => {
                let child = child.0 as usize;
                let life = self.known[child].life.clone();
                self.tally.died(child, life.clone(), Some((cause, leftovers)));
                let policy = &self.map.tree.children[child];
                let early = life.filter(|life| life.good_since().is_none());
                if let Some(life) = early {
                    let code = match cause {
                        mainstay::supervisor::Cause::Code(code) => Some(code),
                        _ => None,
                    };
                    if policy.ignore.is_some() && policy.ignore == code && !life.never_ready && !life.leaves()
                    {
                        self.nothing_to_run(child);
                    } else {
                        self.failed(child);
                    }
                }
                let known = &mut self.known[child];
                known.tried = true;
                match &mut known.life {
                    Some(life) if leftovers => life.exited = true,
                    _ => known.life = None,
                }
            }
            Event::Failed { child, ended, .. } if truth => self.fails(child.0 as usize, ended),
            Event::Cleared(child, _) if truth => {
                self.known[child.0 as usize].life = None;
                self.tally.cleared(child.0 as usize);
            }
            Event::Command(Command::Hurry) => (self.ending, self.hurry) = (true, true),
            Event::Command(command) if !self.ending => self.commanded(command),
            _ => {}
        }
        for fall in &mut self.falls {
            let known = &self.known;
            fall.doomed.retain(|(child, number)| {
                known[*child].life.as_ref().is_some_and(|life| life.number == *number)
            });
        }
        self.falls.retain(|fall| !fall.doomed.is_empty());
        self.who_is_back();
    }

    /// It says so itself, or its watchdog does. Who is being stopped ends as that was asked for.
    fn fails(&mut self, child: usize, ended: bool) {
        let sure = self.unasked(child);
        let Some(life) = &mut self.known[child].life else { return };
        if !life.leaves() {
            life.failed = if sure { Sure::Yes } else { Sure::Maybe };
            self.failing = Some((child, ended));
        }
    }

    /// Whether it is certain that nobody wants the present life of `child` to end.
    pub(crate) fn unasked(&self, child: usize) -> bool {
        let known = &self.known[child];
        let leaves = known.life.as_ref().is_some_and(Life::asked);
        !(self.ending || known.excused || known.bounced || leaves || self.is_doomed(child))
            && known.wanted == Sure::Yes
    }

    /// Whether a group takes down the present life of `child`.
    pub(crate) fn is_doomed(&self, child: usize) -> bool {
        let number = self.known[child].life.as_ref().map(|life| life.number);
        self.falls.iter().any(|fall| fall.doomed.iter().any(|(of, at)| *of == child && Some(*at) == number))
    }

    /// It never was as good as it gets.
    fn failed(&mut self, child: usize) {
        let sure = self.unasked(child) && !self.known[child].may_go;
        let known = &mut self.known[child];
        if known.fresh {
            // C15: it was never there.
            (known.goes, known.may_go) = (sure, true);
            known.wanted = if sure { Sure::No } else { Sure::Maybe };
        } else if self.map.is_otp(child) {
            // C16: who was started by command is not tried again.
            known.wanted = if known.wanted == Sure::No { Sure::No } else { Sure::Maybe };
        }
        // A09, A10: it may fail the groups that are being started, which nobody reports.
        for group in self.map.around(child_node(child)) {
            if !self.map.tree.groups[group].otp {
                break;
            }
            self.group_moves(group);
            (self.groups[group].down, self.groups[group].silent) = (Sure::Maybe, true);
            for other in self.map.below(Node::Group(GroupId(group as u32))) {
                self.known[other].excused |= other != child;
                if self.known[other].wanted == Sure::Yes {
                    self.known[other].wanted = Sure::Maybe;
                }
            }
        }
    }

    /// A12: it is not started again by itself, and what needs it may start.
    fn nothing_to_run(&mut self, child: usize) {
        let sure = self.unasked(child);
        self.ignored = Some(child);
        let known = &mut self.known[child];
        (known.tried, known.done, known.over) = (true, true, sure);
        if known.fresh && !sure {
            // Whether it counts as having been there cannot be seen: nor what follows when its next start fails (C15).
            (known.may_go, known.wanted) = (true, Sure::Maybe);
        }
        known.fresh = false;
    }

    /// Members of `group`, and of the groups in it, may be stopped, started, added and removed.
    pub(crate) fn group_moves(&mut self, group: usize) {
        for inner in self.map.inner(group) {
            self.groups[inner].fell = true;
            if inner != group && self.groups[inner].down == Sure::Yes {
                self.groups[inner].down = Sure::Maybe;
            }
        }
        for child in self.map.below(Node::Group(GroupId(group as u32))) {
            // OTP starts every child it has a spec of, also what was stopped by command (L02).
            if self.map.is_otp(child) && self.known[child].wanted == Sure::No && !self.known[child].goes {
                self.known[child].wanted = Sure::Maybe;
            }
        }
    }

    /// Takes in, and judges, one thing that the core does.
    pub(crate) fn action(&mut self, action: &Action, supervisor: &Supervisor) {
        self.tell(|| format!("    {action:?}"));
        self.check(!self.noise, "old or false news change nothing");
        self.check(self.ends == 0, "nothing is done after the end");
        if let Action::Start(child, _) | Action::Stop(child, _) | Action::Kill(child, _) = action {
            self.come_back(child.0 as usize, supervisor);
            self.check(self.map.is_there(Node::Child(*child)), "nothing is done to a child that was removed");
        }
        match action {
            Action::Start(child, number) => {
                self.empty_groups_are_back(supervisor);
                self.start(child.0 as usize, *number, supervisor);
            }
            Action::Stop(child, number) => {
                // Under OTP semantics a root that cannot be started ends; only the core knows when.
                self.ending |= supervisor.ending().is_some();
                self.stop(child.0 as usize, *number);
            }
            Action::Kill(child, number) => {
                self.ending |= supervisor.ending().is_some();
                self.kill(child.0 as usize, *number);
            }
            Action::Report(Report::Child { child, incarnation, what }) => {
                let left = self.known.get(child.0 as usize).is_some_and(|known| known.left.is_some());
                if left && *what == ChildReport::Removed {
                    // Somebody else has its name, or its group is gone: it never comes back.
                    self.forget_child(child.0 as usize);
                    return;
                }
                if left || *what == ChildReport::Starting {
                    self.come_back(child.0 as usize, supervisor);
                }
                self.check(
                    self.map.is_there(Node::Child(*child)),
                    "nobody hears of a child that was removed",
                );
                let newest = self.known[child.0 as usize].newest;
                // The start itself follows its report.
                let named = *incarnation == newest || *what == ChildReport::Starting;
                self.check(named, "a report names the newest life");
                self.child_report(child.0 as usize, what, supervisor);
            }
            Action::Report(Report::Group { group, what }) => {
                self.check(
                    self.map.is_there(Node::Group(*group)) || self.groups[group.0 as usize].left.is_some(),
                    "nobody hears of a group that is not there",
                );
                self.group_report(group.0 as usize, what);
            }
            Action::Report(Report::Rolled { roll, done, failed }) => {
                self.ending |= supervisor.ending().is_some();
                self.rolled(*roll, *done, *failed);
            }
            Action::Report(Report::AllUp) => {
                self.check(!self.told_all_up, "AllUp is told once for each time that it becomes true");
                self.told_all_up = true;
            }
            Action::End(_) => {
                self.ends += 1;
                self.check(
                    self.known.iter().all(|known| known.life.is_none()),
                    "K13: the end leaves nothing",
                );
                self.check(supervisor.ending().is_some(), "only a shutdown or a limit ends the tree");
            }
        }
    }

    fn start(&mut self, child: usize, number: Incarnation, supervisor: &Supervisor) {
        self.check(self.known[child].life.is_none(), "S3: one life at a time, and no start over leftovers");
        self.check(number > self.last, "incarnations rise and are never used twice");
        self.check(!self.ending, "K04: nothing starts once the tree ends");
        self.last = number;
        self.check(self.known[child].wanted != Sure::No, "what is stopped, or never was wanted, stays down");
        self.check(!self.known[child].goes, "what was told to go never starts again");
        let around = self.map.around(child_node(child));
        let fell = around.iter().any(|group| self.groups[*group].fell);
        let rolls = self.rolls.iter().any(|roll| !roll.over);
        self.check(!self.known[child].over || fell || rolls, "E04, E07: the restart type is obeyed");
        self.check(self.tally.may_start(child), "S7: no start before its time");
        for need in &self.map.tree.children[child].needs {
            self.check(self.is_met(*need), "needs are met before a start");
        }
        for fall in &self.falls {
            let node = |(group, position): (usize, usize)| {
                group == fall.group && fall.members.contains(&self.map.tree.groups[group].members[position])
            };
            let falls = self.map.chain(child_node(child)).any(node);
            self.check(!falls, "G01, H01: a group starts again when all that fell is gone");
        }
        self.start_order(child, supervisor);
        self.tally.started(&self.map.tree, child);
        // A start that failed in a group around it, with OTP semantics, ends that one without a word (A10).
        let silent = around.iter().any(|group| self.groups[*group].silent);
        for group in around {
            self.groups[group].finished = false;
            self.groups[group].down = match self.groups[group].down {
                Sure::No => Sure::No,
                Sure::Yes | Sure::Maybe => Sure::Maybe,
            };
        }
        let known = &mut self.known[child];
        (known.done, known.over, known.excused, known.newest) = (false, false, silent, number);
        known.bounced = false;
        known.life = Some(Life::new(number));
    }

    fn start_order(&self, child: usize, supervisor: &Supervisor) {
        for (depth, (group, position)) in self.map.chain(child_node(child)).enumerate() {
            for earlier in &self.map.tree.groups[group].after {
                let tried =
                    |other: &usize| self.known[*other].tried || self.may_have_left(child_node(*other));
                let tried = self.map.below(*earlier).iter().all(tried);
                self.check(tried || self.commanded, "a group starts after what it comes after was tried");
            }
            // From outside it is known who is before whom only while no command moved anything.
            if self.commanded || !self.map.is_ordered(group) {
                continue;
            }
            let policy = &self.map.tree.groups[group];
            for earlier in policy.members[..position].iter().copied() {
                for other in self.map.below(earlier) {
                    // A group that came up once counts as up, whatever its members do.
                    let loose = policy.strategy == Strategy::OneForOne || matches!(earlier, Node::Group(_));
                    let up = self.is_up(other) || (self.known[other].tried && loose);
                    let state = supervisor.state(ChildId(other as u32));
                    let rests = matches!(state, State::Stopped | State::Finished | State::GaveUp);
                    // Given up, but for its helpers.
                    let leaves = self.known[other].life.as_ref().is_some_and(|life| life.exited);
                    let inner = self.map.chain(child_node(other)).take_while(|(of, _)| *of != group);
                    let fell = inner.into_iter().any(|(of, _)| self.groups[of].fell);
                    // One that failed has not ended yet: until then a group behind it goes on with its own restarts, as a
                    // supervisor does whose own has not taken it down.
                    let fails = self.known[other].life.as_ref().is_some_and(|life| life.failed == Sure::Yes);
                    let own = fails && depth > 0;
                    self.check(
                        up || rests || leaves || fell || own,
                        "A11, H04: the members before it are up first",
                    );
                }
            }
        }
    }

    fn stop(&mut self, child: usize, number: Incarnation) {
        self.signal(child, number);
        let grace = self.map.tree.children[child].grace;
        self.check(grace != Grace::Kill && !self.hurry, "a brutal stop sends no stop signal");
        let now = self.now;
        if let Some(life) = &mut self.known[child].life {
            let first = life.stop.replace((now, grace)).is_none() && !life.kill;
            self.check(first, "one stop signal for a life, and none after SIGKILL");
        }
    }

    fn kill(&mut self, child: usize, number: Incarnation) {
        let stopped = self.known[child].life.as_ref().and_then(|life| life.stop);
        if stopped.is_none() {
            self.signal(child, number);
        }
        let allowed = match stopped {
            None => self.map.tree.children[child].grace == Grace::Kill,
            Some((at, Grace::After(grace))) => self.now >= at + grace,
            Some((_, Grace::Kill | Grace::Forever)) => false,
        };
        self.check(allowed || self.hurry, "SIGKILL only when the grace is over");
        let Some(life) = &mut self.known[child].life else {
            self.check(false, "S4: no signal to an absent life");
            return;
        };
        let first = !std::mem::replace(&mut life.kill, true) && life.number == number;
        self.check(first, "SIGKILL once, to the present life");
    }

    /// The first signal to a life.
    fn signal(&mut self, child: usize, number: Incarnation) {
        let Some(life) = &self.known[child].life else {
            self.check(false, "S4: no signal to an absent life");
            return;
        };
        self.check(
            life.number == number && life.exec.is_some(),
            "S4: no signal to a past life, or before exec",
        );
        if life.exited || self.hurry {
            return;
        }
        // Told by the report before it, or by the one after it: it was not ready in time.
        let late = match (life.within, life.exec) {
            (Some(within), Some(exec)) => life.ready.is_none() && self.now >= exec + within,
            _ => false,
        };
        if self.failing == Some((child, false)) && life.failed != Sure::No {
            if let Some(life) = &mut self.known[child].life {
                life.failed = Sure::Yes;
            }
            return;
        }
        if late {
            return;
        }
        for other in self.map.living().collect::<Vec<_>>() {
            let Some(theirs) = &self.known[other].life else { continue };
            if other != child && (self.ending || theirs.leaves()) {
                self.check(!self.map.depends(other, child), "K07: stops in reverse of what depends on what");
            }
        }
        if !(self.is_doomed(child) || self.ending || self.known[child].excused) {
            let listed = |roll: &Roll| !roll.over && roll.waiting.iter().any(|(who, ..)| *who == child);
            // It was its turn in a roll that is over since.
            let known = &self.known[child];
            let late = known.late == Some(number) || (known.bounced && !self.rolls.iter().any(listed));
            let rolled = late || self.is_rolled(child);
            self.check(rolled, "F01, H01, N04: nobody is stopped but who falls, was told to, or is rolled");
        }
    }

    /// Whether `child` is as good as it gets, and nobody asked it to stop.
    pub(crate) fn is_up(&self, child: usize) -> bool {
        self.known[child]
            .life
            .as_ref()
            .is_some_and(|life| life.good_since().is_some() && !life.exited && !life.leaves())
    }

    /// Whether a child that needs this may start.
    pub(crate) fn is_met(&self, need: Node) -> bool {
        let fine = |child: usize| {
            let known = &self.known[child];
            let finished = || self.map.around(child_node(child)).iter().any(|at| self.groups[*at].finished);
            self.is_up(child) || known.life.is_none() && (known.done || finished())
        };
        // Nobody waits for who is not there.
        if !self.map.is_there(need) || self.may_have_left(need) {
            return true;
        }
        match need {
            Node::Child(child) => fine(child.0 as usize),
            Node::Group(_) => {
                let below = self.map.below(need);
                let missing = |child: &usize| {
                    let left = || self.may_have_left(child_node(*child));
                    !fine(*child) && self.known[*child].wanted == Sure::Yes && !left()
                };
                self.has_some(need, &fine) && !below.iter().any(missing)
            }
        }
    }

    /// Whether it is in a temporary group that may have left without a word (E09).
    fn may_have_left(&self, node: Node) -> bool {
        let left = |group: &usize| {
            let policy = &self.map.tree.groups[*group];
            let otp = policy.parent.is_some_and(|parent| self.map.tree.groups[parent.0 as usize].otp);
            otp && policy.restart == Restart::Temporary && self.groups[*group].fell
        };
        self.map.around(node).iter().any(left)
    }

    /// Whether somebody in `node` is fine, or a group in it has no members, or, while it is there, none but such as may have
    /// left.
    fn has_some(&self, node: Node, fine: &dyn Fn(usize) -> bool) -> bool {
        match node {
            Node::Child(child) => fine(child.0 as usize),
            Node::Group(group) => {
                let members = &self.map.tree.groups[group.0 as usize].members;
                let ends = self.groups[group.0 as usize].down != Sure::No;
                members.iter().all(|member| !ends && self.may_have_left(*member))
                    || members.iter().any(|member| self.has_some(*member, fine))
            }
        }
    }

    pub(crate) fn over(&self) -> bool {
        self.ends > 0
    }

    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.telling {
            if self.story.len() == 400 {
                self.story.pop_front();
            }
            self.story.push_back(line());
        }
    }

    pub(crate) fn check(&self, holds: bool, rule: impl AsRef<str>) {
        if !holds {
            panic!("broken: {}", rule.as_ref());
        }
    }

    /// As [`Judge::check`], of a node.
    pub(crate) fn check_of(&self, holds: bool, node: Node, rule: &str) {
        if !holds {
            panic!("broken: {rule} {node:?}");
        }
    }

    /// Whether it is in no list: somebody added it, or a reload kept it.
    pub(crate) fn is_extra(&self, child: usize) -> bool {
        self.map.tree.children[child].added || self.known[child].kept
    }

    /// Whether the restart type of `child` lets it go when it is done or stopped (E07, D12).
    pub(crate) fn vanishes(&self, child: usize) -> bool {
        let policy = &self.map.tree.children[child];
        let group = &self.map.tree.groups[policy.group.0 as usize];
        let temporary = policy.restart == Restart::Temporary && (self.is_extra(child) || group.otp);
        temporary || group.pool.is_some()
    }
}

/// Tells the story of a history that was broken, by the judge or inside the core.
impl Drop for Judge {
    fn drop(&mut self) {
        if self.telling && std::thread::panicking() {
            eprintln!("the tree:\n{}\nthe newest steps:", self.map.picture());
            self.story.iter().for_each(|line| eprintln!("{line}"));
            eprintln!("end of the story");
        }
    }
}
