//! What the core reports → the numbered stream, the crash number, the logger.

use super::public;
use super::ring::{Note, Subject};
use super::roster::USER_ROOT;
use super::{Beginning, Driver};
use crate::ipc::builtin::ToLogger;
use crate::ipc::control::What;
use crate::supervisor::spec::{ChildId, GroupId, Incarnation};
use crate::supervisor::{ChildReport, GroupReport, Report, State};
use crate::sys::clock;
use crate::time::{Duration, Instant};

/// Restarts older than this are not counted in the head of `status`.
const HOUR: Duration = Duration::from_secs(3600);

impl Driver {
    pub(super) fn report(&mut self, now: Instant, report: Report) {
        match report {
            Report::Child { child, incarnation, what } => self.report_child(now, child, incarnation, what),
            Report::Group { group, what } => {
                // The unnamed root allows no restart, so to it every end of the user's root is a limit reached.
                match what {
                    GroupReport::AutoShutdown { by } if group == USER_ROOT => self.finished = Some(by),
                    GroupReport::LimitReached { .. } if group == USER_ROOT => self.finished = None,
                    GroupReport::LimitReached { .. } if group == GroupId::ROOT && self.finished.is_some() => {
                        return;
                    }
                    _ => {}
                }
                let note = match what {
                    GroupReport::Restarting(by) => Note::GroupRestarting(by),
                    GroupReport::LimitReached { by } => Note::LimitReached(by),
                    GroupReport::GaveUp => Note::GroupGaveUp,
                    GroupReport::AutoShutdown { by } => Note::GroupAutoShutdown(by),
                    GroupReport::ShutdownErrors { cause, count } => Note::ShutdownErrors { cause, count },
                };
                self.note(Subject::Group(group), note);
            }
            Report::Rolled { roll, done, failed } => {
                let failed = failed.map(|child| self.roster.instance(child).to_owned()).unwrap_or_default();
                self.note_other(String::new(), What::Rolled { roll, done, failed });
            }
            Report::AllUp => {
                self.finished = None;
                let after = now.since(self.unsettled).into();
                self.note(Subject::Tree, Note::AllUp { after });
                if self.began == Beginning::Now {
                    self.began = Beginning::Over;
                }
            }
        }
    }

    fn report_child(&mut self, now: Instant, child: ChildId, incarnation: Incarnation, what: ChildReport) {
        let note = match what {
            ChildReport::Waiting => Note::Waiting,
            // Told by `start`, which knows the pid.
            ChildReport::Starting => return,
            ChildReport::Up => {
                self.count_restart(child, now);
                self.begin_to_watch(child);
                Note::Up { after: self.age(child, now).into() }
            }
            ChildReport::Ready { after } => {
                let (after, away) = (after.into(), self.count_restart(child, now).into());
                self.probes.forget(child);
                self.begin_to_watch(child);
                match self.slot(child).info.take() {
                    Some(info) => Note::ReadyWith(Box::new((after, away, info))),
                    None => Note::Ready { after, away },
                }
            }
            ChildReport::StartFailed => self.start_failed(child, incarnation),
            ChildReport::NeverReady { within } => {
                let detail = self.what_was_seen(child);
                self.probes.forget(child);
                self.slot(child).never_ready = Some(within);
                Note::NeverReady { within: within.into(), detail: detail.into() }
            }
            ChildReport::Stopping => Note::Stopping,
            ChildReport::Killing => Note::Killing,
            ChildReport::Exited { cause, lived: _, asked, abnormal, shutdown_error } => {
                let lived = self.deaths.lived;
                self.unsettled = now;
                let slot = self.slot(child);
                let never_ready = slot.never_ready.is_some();
                let fault = slot.fault.as_deref().map(|(fault, _)| *fault).filter(|_| !asked);
                let crash = if never_ready || (abnormal && !asked) { self.crash_number() } else { 0 };
                self.record_end(child, Some(cause), lived, crash, asked && !never_ready);
                self.bury(child, incarnation);
                // Decided already: these are the reports of a turn that is over.
                let goes_on = !asked && self.core.wanted_up(child) && self.core.state(child) != State::GaveUp;
                let restart = if goes_on { self.core.restarts(child, now) } else { 0 };
                Note::Exited {
                    cause,
                    lived: lived.into(),
                    asked,
                    abnormal,
                    crash: crash as u32,
                    pid: self.deaths.pid,
                    restart,
                    shutdown_error,
                    fault,
                }
            }
            ChildReport::BackingOff { until, attempt } => {
                Note::BackingOff { wait: until.since(now).into(), attempt }
            }
            ChildReport::Stopped => {
                self.fall_asleep(child);
                Note::Stopped
            }
            ChildReport::Finished => Note::Finished,
            ChildReport::GaveUp => Note::GaveUp,
            ChildReport::Ignored => Note::Ignored,
            // Its number stays its own; for whoever watches it is gone all the same.
            ChildReport::Left => {
                self.leave_cgroup(child);
                Note::Removed
            }
            ChildReport::Removed => {
                self.note(Subject::Child(child, incarnation), Note::Removed);
                return self.removed(child);
            }
        };
        self.note(Subject::Child(child, incarnation), note);
    }

    fn start_failed(&mut self, child: ChildId, incarnation: Incarnation) -> Note {
        let words = match &self.slot(child).error {
            Some(error) => (error.to_string(), error.hint().to_owned()),
            None => ("the start failed".into(), String::new()),
        };
        let crash = self.crash_number();
        self.record_end(child, None, Duration::ZERO, crash, false);
        self.deaths.pid = 0;
        self.bury(child, incarnation);
        Note::StartFailed(Box::new(words))
    }

    /// The next crash number; the ledger has it before anybody hears of it, so it is never used twice.
    fn crash_number(&mut self) -> u64 {
        let number = self.next_crash;
        self.next_crash += 1;
        self.ledger.next_crash(self.next_crash);
        number
    }

    /// A life is up: for how long was there none? Zero for the first.
    fn count_restart(&mut self, child: ChildId, now: Instant) -> Duration {
        let Some(since) = self.slot(child).away_since.take() else { return Duration::ZERO };
        if self.roster.builtin(child).is_none() {
            self.restarts.push_back(now);
            self.forget_old_restarts(now);
        }
        now.since(since)
    }

    pub(super) fn forget_old_restarts(&mut self, now: Instant) {
        while self.restarts.front().is_some_and(|at| now.since(*at) > HOUR) {
            self.restarts.pop_front();
        }
        // An hour of restarts every millisecond is not worth its memory.
        while self.restarts.len() > 100_000 {
            self.restarts.pop_front();
        }
    }

    fn age(&self, child: ChildId, now: Instant) -> Duration {
        self.slots[child.0 as usize].life.as_ref().map_or(Duration::ZERO, |life| now.since(life.started))
    }

    /// Numbers an event. Followers and the logger get it when the wake-up's work is done.
    pub(super) fn note(&mut self, subject: Subject, note: Note) {
        let told = self.is_worth_telling(subject, &note);
        let numbered = self.ring.push(clock::now(), clock::wall(), subject, note);
        if told {
            let event = public::event_in(&mut self.room, numbered, &self.roster, &self.core);
            let said = ToLogger::Happened(event);
            self.logger.say_if_room(&said);
            if let ToLogger::Happened(event) = said {
                self.room.keep(event);
            }
        }
        self.ledger.next_event(self.ring.newest() + 1);
    }

    /// Numbers an event that is rare.
    pub(super) fn note_other(&mut self, name: String, what: What) {
        self.note(Subject::Tree, Note::Other(Box::new((name, what))));
    }

    /// The built-ins' comings and goings are in the stream, not on the terminal.
    fn is_worth_telling(&self, subject: Subject, note: &Note) -> bool {
        match subject {
            Subject::Child(child, _) if self.roster.builtin(child).is_some() => {
                matches!(
                    note,
                    Note::Exited { asked: false, .. } | Note::StartFailed(_) | Note::NeverReady { .. }
                )
            }
            _ => true,
        }
    }

    pub(super) fn feed_followers(&mut self) {
        let (roster, core) = (&self.roster, &self.core);
        let over = self.followers.feed(clock::now(), &self.ring, &mut self.server, |numbered| {
            public::event(numbered, roster, core)
        });
        for connection in over {
            self.drop_client(connection);
        }
    }
}
