//! Notes of the ring in their public form, with names put in. Pure.

use super::ring::{Entry, Fault, Nanos, Note, Subject};
use super::roster::Roster;
use crate::config::plan::Ready;
use crate::ipc::builtin::{self, GroupMemory, Used};
use crate::ipc::control::{Event, What};
use crate::supervisor::Cause;
use crate::supervisor::Supervisor;
use crate::supervisor::spec::{ChildId, Incarnation};
use crate::sys::gauge;
use crate::sys::pidfd::Usage;
use crate::time::Duration;
use std::mem::take;

/// The event that people and programs see.
pub fn event(numbered: (u64, &Entry), roster: &Roster, core: &Supervisor) -> Event {
    event_in(&mut Room::default(), numbered, roster, core)
}

/// What an event's texts are written into, so that the next needs no memory of its own.
#[derive(Default)]
pub struct Room {
    service: String,
    instance: String,
    signal: String,
}

impl Room {
    /// The memory of an event that nobody needs any more.
    pub fn keep(&mut self, event: Event) {
        (self.service, self.instance) = (event.service, event.instance);
        if let What::Exited { signal: Some(signal), .. } = event.what {
            self.signal = signal;
        }
    }
}

/// As [`event`], in memory that was used before.
pub fn event_in(room: &mut Room, (seq, entry): (u64, &Entry), roster: &Roster, core: &Supervisor) -> Event {
    let (service, instance, incarnation, child) = match entry.subject {
        Subject::Tree => ("", "", 0, None),
        Subject::Group(group) => (roster.group(group), "", 0, None),
        Subject::Child(child, Incarnation(life)) => {
            (roster.service(child), roster.instance(child), life, Some(child))
        }
    };
    let service = match &entry.note {
        Note::Other(other) => &other.0,
        _ => service,
    };
    Event {
        seq,
        time: entry.time,
        mono_ns: entry.at.as_nanos(),
        service: text_in(take(&mut room.service), service),
        instance: text_in(take(&mut room.instance), instance),
        incarnation,
        what: what(&mut room.signal, &entry.note, child, roster, core),
    }
}

/// `text` in memory that was used before.
pub fn text_in(mut room: String, text: &str) -> String {
    room.clear();
    room.push_str(text);
    room
}

fn what(
    signal_room: &mut String,
    note: &Note,
    child: Option<ChildId>,
    roster: &Roster,
    core: &Supervisor,
) -> What {
    let limit = || child.and_then(|c| core.tree().children[c.0 as usize].limit);
    match note {
        Note::Waiting => What::Waiting,
        Note::Starting { pid } => {
            let command = child.map(|c| roster.of(c).command.to_string()).unwrap_or_default();
            What::Starting { pid: *pid, command }
        }
        Note::Up { after } => What::Up { after_ns: after.get() },
        Note::Ready { after, away } => ready(*after, *away, "", child, roster),
        Note::ReadyWith(ready_with) => {
            let (after, away, info) = &**ready_with;
            ready(*after, *away, info, child, roster)
        }
        Note::StartFailed(words) => What::StartFailed { error: words.0.clone(), hint: words.1.clone() },
        Note::NeverReady { within, detail } => {
            What::NeverReady { within_ns: within.get(), detail: detail.to_string() }
        }
        Note::Stopping => What::Stopping,
        Note::Killing => What::Killing,
        Note::Exited { cause, lived, asked, abnormal, crash, pid, restart, shutdown_error, fault } => {
            What::Exited {
                code: code(*cause),
                signal: signal(*cause)
                    .map(|number| text_in(take(signal_room), &crate::sys::signal::name(number))),
                core: matches!(cause, Cause::Signal(_, true)),
                lived_ns: lived.get(),
                asked: *asked,
                abnormal: *abnormal,
                crash: u64::from(*crash),
                pid: *pid,
                restart: *restart,
                max: limit().map_or(0, |l| l.max),
                shutdown_error: *shutdown_error,
                oom: *fault == Some(Fault::OutOfMemory),
                watchdog: *fault == Some(Fault::Watchdog),
                unhealthy: *fault == Some(Fault::Unhealthy),
            }
        }
        Note::BackingOff { wait, attempt } => {
            What::BackingOff { in_ns: wait.get(), attempt: *attempt, max: limit().map_or(0, |l| l.max) }
        }
        Note::Stopped => What::Stopped,
        Note::Finished => What::Finished,
        Note::GaveUp => What::GaveUp {
            max: limit().map_or(0, |l| l.max),
            within_ns: limit().map_or(0, |l| nanos(l.within)),
        },
        Note::GroupRestarting(by) => What::GroupRestarting { by: roster.instance(*by).to_owned() },
        Note::LimitReached(by) => What::LimitReached { by: roster.instance(*by).to_owned() },
        Note::GroupGaveUp => What::GroupGaveUp,
        Note::Ignored => What::Ignored,
        Note::Removed => What::Removed,
        Note::GroupAutoShutdown(by) => What::GroupAutoShutdown { by: roster.instance(*by).to_owned() },
        Note::ShutdownErrors { cause, count } => What::ShutdownErrors { how: ended(*cause), count: *count },
        Note::AllUp { after } => What::AllUp { after_ns: after.get() },
        Note::Unhealthy(found) => What::Unhealthy { in_a_row: found.0, detail: found.1.clone() },
        Note::ShuttingDown => What::ShuttingDown,
        Note::Other(other) => other.1.clone(),
    }
}

fn ready(after: Nanos, away: Nanos, info: &str, child: Option<ChildId>, roster: &Roster) -> What {
    What::Ready {
        after_ns: after.get(),
        how: child.map(|c| how(&roster.of(c).ready)).unwrap_or_default(),
        away_ns: away.get(),
        info: info.to_owned(),
    }
}

/// How readiness was found out, in a word or two.
pub fn how(ready: &Ready) -> String {
    match ready {
        Ready::Nothing => String::new(),
        Ready::Tcp(port) => format!("tcp {port}"),
        Ready::Output(_) => "output".into(),
        Ready::Notify => "notify".into(),
    }
}

/// How it ended, in words.
pub fn ended(cause: Cause) -> String {
    match cause {
        Cause::Code(code) => format!("exited {code}"),
        Cause::Signal(signal, _) => format!("were killed by {}", crate::sys::signal::name(signal)),
        Cause::Unknown => "ended, nobody saw how".to_owned(),
    }
}

/// The exit code, if it exited.
pub fn code(cause: Cause) -> Option<u8> {
    match cause {
        Cause::Code(code) => Some(code),
        Cause::Signal(..) | Cause::Unknown => None,
    }
}

/// The signal's number, if one killed it.
pub fn signal(cause: Cause) -> Option<i32> {
    match cause {
        Cause::Signal(signal, _) => Some(signal),
        Cause::Code(_) | Cause::Unknown => None,
    }
}

/// The same fault as the logger is told it.
pub fn fault(fault: Fault) -> builtin::Fault {
    match fault {
        Fault::OutOfMemory => builtin::Fault::OutOfMemory,
        Fault::Watchdog => builtin::Fault::Watchdog,
        Fault::Unhealthy => builtin::Fault::Unhealthy,
    }
}

/// What a life used, as the logger is told it.
pub fn used(usage: Usage) -> Used {
    Used {
        user_ns: nanos(usage.user),
        system_ns: nanos(usage.system),
        memory_max: usage.memory_max,
        major_faults: usage.major_faults,
        minor_faults: usage.minor_faults,
        read_bytes: usage.read,
        written_bytes: usage.written,
        waits: usage.waits,
        preemptions: usage.preemptions,
    }
}

/// A control group's memory, as the logger is told it.
pub fn group_memory(memory: gauge::GroupMemory, shared: bool) -> GroupMemory {
    let gauge::GroupMemory { now, peak, limit, oom_kills } = memory;
    GroupMemory { now: Some(now), peak, limit, oom_kills, shared }
}

/// Whole nanoseconds; 584 years are enough.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
