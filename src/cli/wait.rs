//! `wait`: until services reach a state. What decides is pure ([`Waiting`]); [`run`] feeds it.
//!
//! Without `--after`, what is counts, and then what happens. With it, only what happened after that event
//! counts: the past is read first as a whole, so nothing between the cursor and now can be missed, and a
//! service that gave up and was started again since is judged by where it stands, not by where it was.

use super::args::State;
use super::caller::{Caller, News, awaited};
use super::error::Error;
use super::output::Output;
use super::select::Snapshot;
use crate::ipc::control::{Event, What};
use crate::sys::clock;
use crate::time::Duration;
use std::ops::ControlFlow;

/// What `wait` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Which ones.
    pub patterns: Vec<String>,
    /// What they must reach.
    pub state: State,
    /// Only later events count.
    pub after: Option<u64>,
    /// How long.
    pub timeout: Duration,
}

/// Where a wait stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All reached it.
    Met,
    /// It may come.
    Pending,
    /// It does not come by itself: why, and what to do.
    Never(String, String),
}

/// A wait for several instances.
#[derive(Clone, Debug)]
pub struct Waiting {
    state: State,
    targets: Vec<Target>,
}

#[derive(Clone, Debug)]
struct Target {
    instance: String,
    met: bool,
    /// Where it is, as far as we know.
    now: Option<State>,
}

impl Waiting {
    /// For these instances, which are in these states now; that counts when `present`.
    pub fn new<'a>(
        state: State,
        instances: impl Iterator<Item = (&'a str, &'a str)>,
        present: bool,
    ) -> Waiting {
        let targets = instances.map(|(instance, now)| {
            let now = State::from_name(now);
            Target {
                instance: instance.to_owned(),
                met: present && now.is_some_and(|now| meets(now, state)),
                now,
            }
        });
        Waiting { state, targets: targets.collect() }
    }

    /// Events are lost, so nobody knows how what is came to be: it counts.
    pub fn count_present(&mut self, snapshot: &Snapshot) {
        for target in &mut self.targets {
            let service = snapshot.services.iter().find(|service| service.instance == target.instance);
            target.now = service.and_then(|service| State::from_name(&service.state));
            target.met |= target.now.is_some_and(|now| meets(now, self.state));
        }
    }

    /// Something happened.
    pub fn happened(&mut self, event: &Event) {
        let Some(reached) = reached(&event.what) else { return };
        for target in self.targets.iter_mut().filter(|target| target.instance == event.instance) {
            target.now = Some(reached);
            target.met |= meets(reached, self.state);
        }
    }

    /// Where it stands.
    pub fn verdict(&self) -> Verdict {
        let mut open = self.targets.iter().filter(|target| !target.met).peekable();
        if open.peek().is_none() {
            return Verdict::Met;
        }
        let never = open.find_map(|target| {
            let (why, hint) = hopeless(target.now?, self.state, &target.instance)?;
            Some(Verdict::Never(format!("{} {why}", target.instance), hint))
        });
        never.unwrap_or(Verdict::Pending)
    }

    /// `web#2 to be ready (now starting)`
    pub fn awaited(&self) -> String {
        let wanted = super::status::state_words(self.state.name());
        let open: Vec<_> = self.targets.iter().filter(|target| !target.met).collect();
        let shown = open.iter().take(3).map(|target| {
            let now = target.now.map_or("unknown".to_owned(), |now| super::status::state_words(now.name()));
            format!("{} to be {wanted} (now {now})", target.instance)
        });
        let mut text = shown.collect::<Vec<_>>().join(", ");
        if open.len() > 3 {
            text += &format!(" and {} more", open.len() - 3);
        }
        text
    }
}

/// Whether being `now` is being what was asked for.
fn meets(now: State, wanted: State) -> bool {
    now == wanted || (wanted == State::Up && now == State::Ready)
}

/// The state that an instance is in after this; `None` when it tells no new one.
pub fn reached(what: &What) -> Option<State> {
    match what {
        What::Waiting => Some(State::Waiting),
        What::Starting { .. } => Some(State::Starting),
        What::Up { .. } => Some(State::Up),
        What::Ready { .. } => Some(State::Ready),
        What::Stopping => Some(State::Stopping),
        What::Stopped => Some(State::Stopped),
        What::Finished | What::Ignored => Some(State::Finished),
        What::BackingOff { .. } => Some(State::BackingOff),
        What::GaveUp { .. } => Some(State::GaveUp),
        What::StartFailed { .. }
        | What::NeverReady { .. }
        | What::Killing
        | What::Exited { .. }
        | What::GroupRestarting { .. }
        | What::LimitReached { .. }
        | What::GroupGaveUp
        | What::Removed
        | What::GroupAutoShutdown { .. }
        | What::ShutdownErrors { .. }
        | What::Rolled { .. }
        | What::Reloaded { .. }
        | What::ReloadFailed { .. }
        | What::AllUp { .. }
        | What::ShuttingDown
        | What::FlagChanged { .. }
        | What::Unhealthy { .. }
        | What::StageChanged { .. }
        | What::RollMoved { .. }
        | What::RolledBack { .. }
        | What::Proven { .. }
        | What::Repaired { .. }
        | What::Warning { .. } => None,
    }
}

/// Why `wanted` does not come by itself from `now`, and what to do.
///
/// `stopped` is no reason: whoever stopped it may be about to start it. Nor does anything keep a service
/// that gave up from being stopped.
fn hopeless(now: State, wanted: State, instance: &str) -> Option<(&'static str, String)> {
    let down = matches!(wanted, State::Stopping | State::Stopped);
    match now {
        State::GaveUp if !down => Some(("gave up", format!("mainstay why {instance}"))),
        State::Finished if !down => Some(("has finished its work", format!("mainstay start {instance}"))),
        State::Up if wanted == State::Ready => Some((
            "is up and declares no readiness",
            "wait for `--state up`, or declare `ready` in the file".to_owned(),
        )),
        State::Up
        | State::GaveUp
        | State::Finished
        | State::Waiting
        | State::Starting
        | State::Ready
        | State::Stopping
        | State::Stopped
        | State::BackingOff => None,
    }
}

/// Does the verb.
pub fn run(wait: &Wait, caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    let deadline = clock::now() + wait.timeout;
    let snapshot = caller.snapshot()?;
    let (mut waiting, mut newest) = begin(wait, &snapshot)?;
    if let Some(after) = wait.after {
        let mut missed = 0;
        newest = caller.history(after, |news| match news {
            News::Event(event) => waiting.happened(&event),
            News::Missed(count) => missed += count,
        })?;
        if missed > 0 {
            output.say(&format!("mainstay: {missed} events after {after} are gone, so what is counts too"));
            waiting.count_present(&snapshot);
        }
    }
    if let Some(end) = ended(&waiting) {
        return end;
    }
    if output.talk_style.terminal {
        output.say(&format!("waiting for {}", waiting.awaited()));
    }
    let result = caller.follow(newest, Some(deadline), |news| {
        match news {
            News::Event(event) => waiting.happened(&event),
            News::Missed(_) => waiting.count_present(&caller.snapshot()?),
        }
        Ok(ended(&waiting).map_or(ControlFlow::Continue(()), ControlFlow::Break))
    });
    result.map_err(|error| awaited(error, || waiting.awaited(), wait.timeout))?
}

fn begin(wait: &Wait, snapshot: &Snapshot) -> Result<(Waiting, u64), Error> {
    let chosen = snapshot.select(&wait.patterns)?;
    let instances = chosen.iter().map(|service| (service.instance.as_str(), service.state.as_str()));
    Ok((Waiting::new(wait.state, instances, wait.after.is_none()), snapshot.cursor))
}

fn ended(waiting: &Waiting) -> Option<Result<(), Error>> {
    match waiting.verdict() {
        Verdict::Met => Some(Ok(())),
        Verdict::Pending => None,
        Verdict::Never(why, hint) => {
            let message =
                format!("{why}, so it will not be {}", super::status::state_words(waiting.state.name()));
            Some(Err(Error::Failed { message, hint }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::control::Service;
    use crate::time::Wall;

    fn event(instance: &str, what: What) -> Event {
        Event {
            seq: 1,
            time: Wall(0),
            mono_ns: 0,
            service: instance.into(),
            instance: instance.into(),
            incarnation: 1,
            what,
        }
    }

    fn ready() -> What {
        What::Ready { after_ns: 1, how: String::new(), away_ns: 0, info: String::new() }
    }

    fn exited() -> What {
        What::Exited {
            code: None,
            signal: Some("SIGKILL".into()),
            core: false,
            lived_ns: 1,
            asked: false,
            abnormal: true,
            crash: 1,
            pid: 1,
            restart: 0,
            max: 0,
            shutdown_error: false,
            oom: false,
            watchdog: false,
            unhealthy: false,
        }
    }

    /// One instance `web` that is `now`; `present`: no `--after`.
    fn check(wanted: State, now: &str, present: bool, happened: &[What], expected: &str) {
        let mut waiting = Waiting::new(wanted, [("web", now)].into_iter(), present);
        for what in happened {
            waiting.happened(&event("web", what.clone()));
        }
        let got = match waiting.verdict() {
            Verdict::Met => "met".to_owned(),
            Verdict::Pending => format!("pending: {}", waiting.awaited()),
            Verdict::Never(why, _) => format!("never: {why}"),
        };
        assert_eq!(got, expected, "waiting for {wanted:?} from {now} with {happened:?}");
    }

    #[test]
    fn without_a_cursor_what_is_counts() {
        check(State::Ready, "ready", true, &[], "met");
        check(State::Up, "ready", true, &[], "met");
        check(State::Stopped, "stopped", true, &[], "met");
        check(State::Ready, "starting", true, &[], "pending: web to be ready (now starting)");
        check(State::Ready, "starting", true, &[ready()], "met");
    }

    #[test]
    fn with_a_cursor_an_old_ready_is_not_taken_for_the_new_one() {
        check(State::Ready, "ready", false, &[], "pending: web to be ready (now ready)");
        check(State::Ready, "ready", false, &[exited()], "pending: web to be ready (now ready)");
        check(State::Ready, "ready", false, &[exited(), ready()], "met");
    }

    #[test]
    fn what_happened_in_between_is_not_missed_when_it_is_over() {
        check(State::Ready, "starting", false, &[ready(), exited()], "met");
        check(
            State::BackingOff,
            "ready",
            false,
            &[What::BackingOff { in_ns: 1, attempt: 1, max: 5 }, ready()],
            "met",
        );
    }

    #[test]
    fn what_does_not_come_by_itself_is_not_waited_for() {
        let gave_up = What::GaveUp { max: 5, within_ns: 1 };
        check(State::Ready, "ready", false, std::slice::from_ref(&gave_up), "never: web gave up");
        check(State::Up, "gave_up", true, &[], "never: web gave up");
        check(State::Up, "finished", true, &[], "never: web has finished its work");
        check(State::Ready, "up", true, &[], "never: web is up and declares no readiness");
        check(State::Ready, "stopped", true, &[], "pending: web to be ready (now stopped)");
        check(State::Stopped, "gave_up", true, &[], "pending: web to be stopped (now gave up)");
    }

    #[test]
    fn a_service_that_gave_up_and_was_started_again_is_judged_by_where_it_stands() {
        let gave_up = What::GaveUp { max: 5, within_ns: 1 };
        check(State::Ready, "ready", false, &[gave_up, ready()], "met");
    }

    #[test]
    fn all_that_a_pattern_means_must_come() {
        let instances = [("web#1", "ready"), ("web#2", "starting")];
        let mut waiting = Waiting::new(State::Ready, instances.into_iter(), true);
        assert_eq!(waiting.verdict(), Verdict::Pending);
        assert_eq!(waiting.awaited(), "web#2 to be ready (now starting)");
        waiting.happened(&event("web#3", ready()));
        assert_eq!(waiting.verdict(), Verdict::Pending);
        waiting.happened(&event("web#2", ready()));
        assert_eq!(waiting.verdict(), Verdict::Met);
    }

    #[test]
    fn lost_events_make_what_is_count() {
        let mut waiting = Waiting::new(State::Ready, [("web", "ready")].into_iter(), false);
        assert_eq!(waiting.verdict(), Verdict::Pending);
        let services = vec![Service { instance: "web".into(), state: "ready".into(), ..Service::default() }];
        waiting.count_present(&Snapshot { services, ..Snapshot::default() });
        assert_eq!(waiting.verdict(), Verdict::Met);
    }
}
