//! What must hold at every step. It follows events and actions on its own and asks the core only what it
//! shows to everybody; where a command or a group makes the truth unknowable from outside, it is silent
//! rather than wrong.

use crate::tally::Tally;
use mainstay::supervisor::spec::{ChildId, Grace, GroupId, Incarnation, Node, Restart, Strategy, Tree};
use mainstay::supervisor::{
    Action, Cause, ChildReport, Command, Event, GroupReport, Report, State, Supervisor, circles,
};
use mainstay::time::Instant;
use std::collections::VecDeque;

/// One life, as the world knows it.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) number: Incarnation,
    /// When exec was done.
    pub(crate) exec: Option<Instant>,
    pub(crate) ready: Option<Instant>,
    /// The main process is gone, its helpers are not.
    pub(crate) exited: bool,
    stop: Option<Instant>,
    kill: bool,
    pub(crate) never_ready: bool,
}

/// What is known of an instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) life: Option<Life>,
    /// It was up, failed, or was down for good.
    tried: bool,
    /// It ended cleanly and its restart type leaves it at that.
    done: bool,
    /// It died by itself and its restart type leaves it at that.
    over: bool,
    stopped_by_command: bool,
    /// It is no member any more.
    removed: bool,
}

/// A group that takes members down: nobody of it starts before these lives are gone.
struct Fall {
    group: usize,
    from: usize,
    doomed: Vec<(usize, Incarnation)>,
}

pub(crate) struct Judge {
    /// Without the needs that close circles.
    pub(crate) tree: Tree,
    pub(crate) known: Vec<Known>,
    pub(crate) now: Instant,
    last: Incarnation,
    ending: bool,
    hurry: bool,
    ends: u32,
    falls: Vec<Fall>,
    tally: Tally,
    /// Somebody gave a command that moves goals.
    commanded: bool,
    started_by_command: bool,
    /// A group ended, or an OTP group inside another may have failed to start, which nobody reports.
    group_ended: bool,
    /// A group restarted, or ended.
    group_fell: bool,
    told_all_up: bool,
    /// This event is old news and must change nothing.
    pub(crate) noise: bool,
    deadline: bool,
    /// How many deadlines came at this moment, with nothing else in between.
    deadlines: usize,
    /// The newest steps, for whoever reads a failure.
    story: VecDeque<String>,
}

impl Judge {
    pub(crate) fn new(mut tree: Tree, first: Incarnation) -> Judge {
        for (who, what) in circles(&tree) {
            match who {
                Node::Child(child) => tree.children[child.0 as usize].needs.retain(|need| *need != what),
                Node::Group(group) => tree.groups[group.0 as usize].after.retain(|need| *need != what),
            }
        }
        let known =
            tree.children.iter().map(|child| Known { tried: !child.autostart, ..Known::default() }).collect();
        let nested_otp = tree.groups.iter().any(|group| group.otp && group.parent.is_some());
        Judge {
            tally: Tally::new(&tree),
            known,
            tree,
            now: Instant::ZERO,
            last: Incarnation(first.0 - 1),
            ending: false,
            hurry: false,
            ends: 0,
            falls: Vec::new(),
            commanded: false,
            started_by_command: false,
            group_ended: nested_otp,
            group_fell: nested_otp,
            told_all_up: false,
            noise: false,
            deadline: false,
            deadlines: 0,
            story: VecDeque::new(),
        }
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
            Event::Exited { child, incarnation, .. } => {
                life(child, incarnation).is_some_and(|life| life.exec.is_some() && !life.exited)
            }
            Event::Cleared(child, number) => life(child, number).is_some_and(|life| life.exited),
            Event::Boot | Event::Command(_) | Event::Deadline => true,
        }
    }

    /// Takes in what happens.
    pub(crate) fn before(&mut self, now: Instant, event: &Event) {
        self.tell(format!("{} ms: {event:?}", now.as_nanos() / 1_000_000));
        self.deadline = *event == Event::Deadline;
        self.deadlines = if self.deadline && self.now == now { self.deadlines + 1 } else { 0 };
        self.now = now;
        self.tally.begin(now);
        let truth = self.is_true(event);
        match *event {
            Event::Started(child, _) if truth => {
                let ready = self.tree.children[child.0 as usize].ready_within.is_some();
                let known = &mut self.known[child.0 as usize];
                known.tried |= !ready;
                if let Some(life) = &mut known.life {
                    life.exec = Some(now);
                }
            }
            Event::StartFailed(child, _) if truth => {
                self.tally.died(child.0 as usize, None, None);
                let known = &mut self.known[child.0 as usize];
                known.life = None;
                known.tried = true;
            }
            Event::Ignored(child, _) if truth => {
                let known = &mut self.known[child.0 as usize];
                known.life = None;
                known.tried = true;
            }
            Event::Ready(child, _) if truth => {
                let known = &mut self.known[child.0 as usize];
                known.tried = true;
                if let Some(life) = &mut known.life
                    && life.ready.is_none()
                    && life.stop.is_none()
                    && !life.kill
                {
                    life.ready = Some(now);
                }
            }
            Event::Exited { child, cause, leftovers, .. } if truth => {
                let known = &mut self.known[child.0 as usize];
                self.tally.died(child.0 as usize, known.life.clone(), Some((cause, leftovers)));
                known.tried = true;
                match &mut known.life {
                    Some(life) if leftovers => life.exited = true,
                    _ => known.life = None,
                }
            }
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
            let lives = |(child, number): &(usize, Incarnation)| {
                known[*child].life.as_ref().is_some_and(|life| life.number == *number)
            };
            fall.doomed.retain(lives);
        }
        self.falls.retain(|fall| !fall.doomed.is_empty());
    }

    fn commanded(&mut self, command: Command) {
        let exists = |node: Node| match node {
            Node::Child(child) => (child.0 as usize) < self.tree.children.len(),
            Node::Group(group) => (group.0 as usize) < self.tree.groups.len(),
        };
        match command {
            Command::Start(node) | Command::Restart(node) if exists(node) => {
                self.commanded = true;
                self.started_by_command = true;
                self.group_fell = true;
                self.known.iter_mut().for_each(|known| known.stopped_by_command = false);
                self.falls.clear();
                self.tally.forget();
            }
            Command::Stop(node) if exists(node) => {
                self.commanded = true;
                let below: Vec<usize> =
                    (0..self.known.len()).filter(|child| self.is_below(*child, node)).collect();
                below.into_iter().for_each(|child| self.known[child].stopped_by_command = true);
                self.tally.forget();
            }
            Command::Start(_) | Command::Stop(_) | Command::Restart(_) => {}
            Command::Shutdown | Command::Hurry => self.ending = true,
        }
    }

    /// Takes in, and judges, one thing that the core does.
    pub(crate) fn action(&mut self, action: &Action, supervisor: &Supervisor) {
        self.tell(format!("    {action:?}"));
        self.check(!self.noise, "old or false news change nothing");
        self.check(self.ends == 0, "nothing is done after the end");
        match action {
            Action::Start(child, number) => self.start(child.0 as usize, *number, supervisor),
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
                self.check(*incarnation <= supervisor.incarnation(*child), "a report names a life");
                self.child_report(child.0 as usize, what);
            }
            Action::Report(Report::Group { group, what }) => self.group_report(group.0 as usize, what),
            Action::Report(Report::Rolled { .. }) => {}
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
        let otp = self.parent(child).is_some_and(|group| self.tree.groups[group].otp);
        self.check(!self.known[child].stopped_by_command || otp, "what was stopped by command stays down");
        let policy = &self.tree.children[child];
        self.check(
            policy.autostart || self.started_by_command,
            "what does not start by itself waits for a command",
        );
        self.check(!self.known[child].over || self.group_fell, "E04, E07: the restart type is obeyed");
        self.check(self.tally.may_start(child), "S7: no start before its time");
        for need in &policy.needs {
            self.check(self.is_met(*need), "needs are met before a start");
        }
        for fall in &self.falls {
            let falls =
                self.chain(child).any(|(group, position)| group == fall.group && position >= fall.from);
            self.check(
                !falls || fall.doomed.is_empty(),
                "G01, H01: a group starts again when all that fell is gone",
            );
        }
        self.start_order(child, supervisor);
        self.tally.started(child);
        let known = &mut self.known[child];
        (known.done, known.over, known.removed) = (false, false, false);
        known.life = Some(Life {
            number,
            exec: None,
            ready: None,
            exited: false,
            stop: None,
            kill: false,
            never_ready: false,
        });
    }

    fn start_order(&self, child: usize, supervisor: &Supervisor) {
        for (group, position) in self.chain(child).collect::<Vec<_>>() {
            for earlier in &self.tree.groups[group].after {
                let mut below = (0..self.known.len()).filter(|other| self.is_below(*other, *earlier));
                let tried = below.all(|other| self.known[other].tried);
                self.check(tried || self.commanded, "a group starts after what it comes after was tried");
            }
            // From outside it is known who is before whom only while no command moved anything.
            let (policy, otp) = (&self.tree.groups[group], self.tree.groups[group].otp);
            if self.commanded || !(otp || policy.strategy == Strategy::RestForOne) {
                continue;
            }
            for earlier in policy.members[..position].iter().copied() {
                for other in (0..self.known.len()).filter(|other| self.is_below(*other, earlier)) {
                    // A group that came up once counts as up, whatever its members do.
                    let loose = policy.strategy == Strategy::OneForOne || matches!(earlier, Node::Group(_));
                    let up = self.is_up(other) || (self.known[other].tried && loose);
                    let state = supervisor.state(ChildId(other as u32));
                    let rests = matches!(state, State::Stopped | State::Finished | State::GaveUp);
                    // Given up, but for its helpers.
                    let leaves = self.known[other].life.as_ref().is_some_and(|life| life.exited);
                    let ok = up || rests || leaves || self.group_ended;
                    self.check(ok, "A11, H04: the members before it are up first");
                }
            }
        }
    }

    fn stop(&mut self, child: usize, number: Incarnation) {
        self.signal(child, number);
        let grace = self.tree.children[child].grace;
        self.check(grace != Grace::Kill && !self.hurry, "a brutal stop sends no stop signal");
        let now = self.now;
        if let Some(life) = &mut self.known[child].life {
            let first = life.stop.replace(now).is_none() && !life.kill;
            self.check(first, "one stop signal for a life, and none after SIGKILL");
        }
    }

    fn kill(&mut self, child: usize, number: Incarnation) {
        let stopped = self.known[child].life.as_ref().and_then(|life| life.stop);
        if stopped.is_none() {
            self.signal(child, number);
        }
        let allowed = match self.tree.children[child].grace {
            Grace::Kill => true,
            Grace::After(grace) => stopped.is_some_and(|at| self.now >= at + grace),
            Grace::Forever => false,
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
    fn signal(&self, child: usize, number: Incarnation) {
        let Some(life) = &self.known[child].life else {
            self.check(false, "S4: no signal to an absent life");
            return;
        };
        self.check(
            life.number == number && life.exec.is_some(),
            "S4: no signal to a past life, or before exec",
        );
        if life.exited || life.never_ready || self.hurry {
            return;
        }
        for other in 0..self.known.len() {
            let Some(theirs) = &self.known[other].life else { continue };
            let leaving = self.ending || theirs.stop.is_some() || theirs.kill;
            if other != child && leaving {
                self.check(!self.depends(other, child), "K07: stops in reverse of what depends on what");
            }
        }
        let doomed = self.falls.iter().any(|fall| fall.doomed.contains(&(child, number)));
        let known = doomed || self.ending || self.commanded || self.group_ended;
        self.check(known, "F01, H01: nobody is stopped but who falls");
    }

    fn child_report(&mut self, child: usize, what: &ChildReport) {
        match what {
            ChildReport::Exited { cause, lived, asked, abnormal, shutdown_error: _ } => {
                let Some((life, truth)) = self.tally.death(child) else {
                    self.check(false, "an exit is reported when one came");
                    return;
                };
                let policy = &self.tree.children[child];
                let clean = match *cause {
                    Cause::Code(code) => code == 0 || policy.clean.contains(&code),
                    Cause::Signal(signal, _) => signal == policy.stop_signal,
                    Cause::Unknown => false,
                };
                let signalled = (life.stop.is_some() || life.kill) && !life.never_ready;
                self.check(*cause == truth, "K10: the cause is the real one");
                self.check(
                    life.exec.is_some_and(|exec| self.now.since(exec) == *lived),
                    "lifetimes are exact",
                );
                self.check(*abnormal == (!clean || life.never_ready), "E: what counts as abnormal");
                self.check(
                    *asked || !(signalled || self.ending),
                    "a death that was asked for is said to be so",
                );
                let excuse =
                    signalled || self.ending || self.commanded || self.group_fell || !self.falls.is_empty();
                self.check(!*asked || excuse, "nobody asked it to die");
                let otp = self.parent(child).is_some_and(|group| self.tree.groups[group].otp);
                let was_up = policy.ready_within.is_none() || life.ready.is_some();
                let failed = *abnormal || (otp && !was_up);
                if !*asked {
                    let over = match policy.restart {
                        Restart::Permanent => false,
                        Restart::Transient => !failed,
                        Restart::Temporary => true,
                    };
                    (self.known[child].over, self.known[child].done) = (over, over && clean);
                    self.tally.counts(&self.tree, child, !over, was_up);
                }
            }
            ChildReport::StartFailed => {
                // Whether somebody had asked it to stop meanwhile cannot be seen from outside.
                let sure = !(self.commanded || self.ending || self.group_fell || !self.falls.is_empty());
                let temporary = self.tree.children[child].restart == Restart::Temporary;
                self.known[child].over = temporary && sure;
                if sure {
                    self.tally.counts(&self.tree, child, !temporary, false);
                } else {
                    self.tally.may_count(&self.tree, child);
                }
            }
            ChildReport::NeverReady { within } => {
                let (now, life) = (self.now, self.known[child].life.as_mut());
                let late = life.is_some_and(|life| {
                    life.never_ready = true;
                    life.ready.is_none() && life.exec.is_some_and(|exec| now >= exec + *within)
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
            ChildReport::Waiting
            | ChildReport::Starting
            | ChildReport::Up
            | ChildReport::Stopping
            | ChildReport::Killing
            | ChildReport::Stopped
            | ChildReport::Finished
            | ChildReport::Ignored => {}
            ChildReport::Left => self.known[child].removed = true,
            ChildReport::Removed => self.removed(child),
        }
    }

    /// It is no member any more, and nobody needs it.
    fn removed(&mut self, child: usize) {
        self.check(self.known[child].life.is_none(), "nobody is removed whose process lives");
        self.known[child].removed = true;
        let node = Node::Child(ChildId(child as u32));
        self.tree.children.iter_mut().for_each(|other| other.needs.retain(|need| *need != node));
        for group in &mut self.tree.groups {
            group.after.retain(|earlier| *earlier != node);
        }
    }

    fn group_report(&mut self, group: usize, what: &GroupReport) {
        self.group_fell = true;
        match what {
            GroupReport::Restarting(by) => {
                self.tally.tried_again(by.0 as usize);
                let position = self
                    .chain(by.0 as usize)
                    .find_map(|(of, position)| (of == group).then_some(position))
                    .unwrap_or_default();
                let strategy = self.tree.groups[group].strategy;
                self.check(strategy != Strategy::OneForOne, "one_for_one restarts nobody else");
                let from = if strategy == Strategy::RestForOne { position } else { 0 };
                let doomed = (0..self.known.len())
                    .filter(|child| self.chain(*child).any(|(of, position)| of == group && position >= from))
                    .filter_map(|child| Some((child, self.known[child].life.as_ref()?.number)))
                    .collect();
                self.falls.push(Fall { group, from, doomed });
            }
            GroupReport::LimitReached { by } => {
                self.group_ended = true;
                let complaint = self.tally.limit_reached(&self.tree, group, by.0 as usize);
                self.check(complaint.is_none(), complaint.unwrap_or_default());
                let policy = &self.tree.groups[group];
                if policy.parent.is_none() && policy.on_limit == Default::default() {
                    self.ending = true;
                }
            }
            GroupReport::GaveUp | GroupReport::AutoShutdown { .. } => self.group_ended = true,
            GroupReport::ShutdownErrors { .. } => {}
        }
        self.tally.group_fell(&self.tree, group);
    }

    /// Judges the state in which an event leaves the core.
    pub(crate) fn after(&mut self, supervisor: &Supervisor) {
        let complaint = self.tally.end();
        self.check(complaint.is_none(), complaint.unwrap_or_default());
        self.ending |= supervisor.ending().is_some();
        let (mut all_up, mut unsure) = (true, false);
        for child in 0..self.known.len() {
            let (id, policy) = (ChildId(child as u32), &self.tree.children[child]);
            let state = supervisor.state(id);
            let life = self.known[child].life.as_ref();
            let shows_life = matches!(state, State::Starting | State::Up | State::Ready | State::Stopping);
            self.check(shows_life == life.is_some(), "a state never lies about being alive");
            let up = matches!(state, State::Up | State::Ready);
            self.check(up == (self.is_up(child)), "a state never lies about being up");
            all_up &= !supervisor.wanted_up(id) || up || state == State::Finished;
            // Whether it will be finished when its helpers are gone cannot be seen.
            unsure |= state == State::Stopping && self.known[child].over;
            // Nor whether a temporary bystander that still lives is dropped already (E09).
            unsure |=
                policy.restart == Restart::Temporary && self.group_fell && self.known[child].life.is_some();
            let rests = matches!(state, State::Stopped | State::Finished | State::GaveUp);
            self.known[child].tried |= rests;
            if let Some(life) = self.known[child].life.as_ref().filter(|_| self.deadline) {
                let over = match (policy.grace, life.stop) {
                    (Grace::After(grace), Some(stop)) => self.now >= stop + grace && !life.kill,
                    _ => false,
                };
                self.check(!over, "K02: SIGKILL when the grace is over");
                let signalled = life.stop.is_some() || life.kill || life.exited || life.ready.is_some();
                let late = match (policy.ready_within, life.exec) {
                    (Some(within), Some(exec)) => self.now >= exec + within && !signalled,
                    _ => false,
                };
                self.check(!late, "Q03: it is stopped when it was not ready in time");
            }
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
        let turns = self.deadlines > 2 + self.tree.groups.len();
        self.check(!turns || due.is_none_or(|due| due > self.now), "a deadline that passed is gone");
    }

    /// Judges the state when no fault happens any more and nothing is due.
    pub(crate) fn at_rest(&self, supervisor: &Supervisor) {
        for child in (0..self.known.len()).map(|child| ChildId(child as u32)) {
            let state = supervisor.state(child);
            if self.ends > 0 {
                continue;
            }
            if supervisor.wanted_up(child) {
                let blockers: Vec<Node> = supervisor.waits_for(child).collect();
                let waits = state == State::Waiting && !blockers.is_empty();
                self.check(
                    matches!(state, State::Up | State::Ready | State::Finished | State::GaveUp) || waits,
                    "goals are reached once faults stop",
                );
                for blocker in blockers {
                    let below = (0..self.known.len()).filter(|other| self.is_below(*other, blocker));
                    let fine = below.clone().all(|other| self.is_up(other)) && below.count() > 0;
                    self.check(!fine, "nobody waits for what is there");
                }
            } else {
                self.check(state == State::Stopped, "what is wanted down is down");
            }
        }
    }

    pub(crate) fn over(&self) -> bool {
        self.ends > 0
    }

    pub(crate) fn at_end(&self) {
        self.check(self.ends == 1, "End comes exactly once");
        self.check(self.known.iter().all(|known| known.life.is_none()), "K13: the end leaves nothing");
    }

    /// Whether `child` is as good as it gets, and nobody asked it to stop.
    fn is_up(&self, child: usize) -> bool {
        let readiness = self.tree.children[child].ready_within.is_some();
        self.known[child].life.as_ref().is_some_and(|life| {
            let up = if readiness { life.ready.is_some() } else { life.exec.is_some() };
            up && !life.exited && life.stop.is_none() && !life.kill
        })
    }

    fn is_met(&self, need: Node) -> bool {
        let fine =
            |child: usize| self.is_up(child) || self.known[child].life.is_none() && self.known[child].done;
        match need {
            Node::Child(child) => self.known[child.0 as usize].removed || fine(child.0 as usize),
            Node::Group(_) => {
                let there = |child: &usize| !self.known[*child].removed && self.is_below(*child, need);
                let mut below = (0..self.known.len()).filter(there);
                // A group without members is always there.
                let removed = self.known.iter().any(|known| known.removed);
                let childless = removed || self.tree.groups.iter().any(|group| group.members.is_empty());
                // Members that are not wanted do not matter; whether one is wanted is only known from outside
                // while nobody gave a command.
                let all = below.clone().all(|child| fine(child) || !self.tree.children[child].autostart);
                childless || self.commanded || (below.any(fine) && all)
            }
        }
    }

    /// Whether `who` must be gone before `whom` is stopped, when both go down.
    fn depends(&self, who: usize, whom: usize) -> bool {
        let concerns = |need: &Node| self.is_below(whom, *need);
        if self.tree.children[who].needs.iter().any(concerns) {
            return true;
        }
        self.chain(who).any(|(group, position)| {
            let policy = &self.tree.groups[group];
            let ordered = policy.otp || policy.strategy == Strategy::RestForOne;
            let earlier = self.chain(whom).any(|(of, at)| of == group && at < position);
            policy.after.iter().any(concerns) || (ordered && earlier)
        })
    }

    fn parent(&self, child: usize) -> Option<usize> {
        self.tree.children.get(child).map(|child| child.group.0 as usize)
    }

    /// The groups around `child`, innermost first, each with the position of the member that it is in.
    fn chain(&self, child: usize) -> impl Iterator<Item = (usize, usize)> {
        let mut node = Node::Child(ChildId(child as u32));
        let mut next = self.parent(child);
        std::iter::from_fn(move || {
            let group = next?;
            let position = self.tree.groups[group].members.iter().position(|member| *member == node)?;
            node = Node::Group(GroupId(group as u32));
            next = self.tree.groups[group].parent.map(|parent| parent.0 as usize);
            Some((group, position))
        })
    }

    fn is_below(&self, child: usize, node: Node) -> bool {
        match node {
            Node::Child(other) => other.0 as usize == child,
            Node::Group(group) => self.chain(child).any(|(of, _)| of == group.0 as usize),
        }
    }

    fn tell(&mut self, line: String) {
        if self.story.len() == 60 {
            self.story.pop_front();
        }
        self.story.push_back(line);
    }

    /// The newest steps.
    pub(crate) fn story(&self) -> String {
        self.story.iter().map(|line| format!("\n{line}")).collect()
    }

    fn check(&self, holds: bool, rule: impl AsRef<str>) {
        if !holds {
            panic!(
                "broken: {}; the tree:\n{:#?}\nthe newest steps:{}",
                rule.as_ref(),
                self.tree,
                self.story()
            );
        }
    }
}
