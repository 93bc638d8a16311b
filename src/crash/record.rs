//! One death, in full.

use super::evidence::{self, Context, Flag, Said, Span, Unsaid};
use super::{Change, fingerprint};
use crate::ipc::builtin::{BoxOf, Death, Fault, GroupMemory, Used};
use crate::time::Duration;
use serde::{Deserialize, Serialize};

/// What [`Record::schema`] is.
pub const SCHEMA: u32 = 2;

/// One line of `crashes.jsonl`. `schema` changes when a key changes its meaning; new keys may appear.
///
/// Moments in it are told from the death on: `before_ns`, so long before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// 2.
    pub schema: u32,
    /// `c-7`
    pub id: String,
    /// 7.
    pub number: u64,
    /// `web`
    pub service: String,
    /// `web#2`
    pub instance: String,
    /// In words: `killed by SIGKILL`.
    pub cause: String,
    /// When it died, UTC: `2026-11-23T12:14:44.218Z`.
    pub time: String,
    /// Which life.
    pub incarnation: u64,
    /// The main process that was; 0 when the start failed.
    pub pid: u32,
    /// The exit code, if it exited.
    pub code: Option<u8>,
    /// The signal's name, if it was killed.
    pub signal: Option<String>,
    /// A core was dumped.
    pub core: bool,
    /// What was wrong with it beside its status.
    pub fault: Option<Fault>,
    /// A start that failed, or a fault: in words. Else empty.
    pub error: String,
    /// From exec to exit.
    pub lived_ns: u64,
    /// Restarts inside its window, this death's included.
    pub restarts: u32,
    /// Its limit; 0: none.
    pub restarts_max: u32,
    /// What it used.
    pub used: Used,
    /// Its control group, or the one that it shared with the supervisor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupMemory>,
    /// The newest event when it died.
    pub cursor: u64,
    /// Eight digits that equal causes of one service have in common.
    pub fingerprint: String,
    /// What became of its black box: without it nothing from here to `unsaid` is known.
    pub blackbox: BoxOf,
    /// Spans that were open, each after the one that it is a part of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub doing: Vec<Span>,
    /// What its threads were at: the one that panicked first, then the ones whose last error is newest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<Context>,
    /// Its newest events, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Said>,
    /// Flags that it has read, and as what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
    /// What of its box is not told here.
    #[serde(skip_serializing_if = "Unsaid::is_nothing")]
    pub unsaid: Unsaid,
    /// What was changed in the minute before it (flags, stages, the file), the last first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Change>,
    /// Its last lines, oldest first.
    pub words: Vec<LastWord>,
}

/// One of the last lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastWord {
    /// When the logger took it, UTC.
    pub time: String,
    /// `out` or `err`.
    pub stream: String,
    /// What was no UTF-8 is replaced; long lines are cut.
    pub text: String,
}

impl Record {
    /// The record of this death. `time` is its moment as text; `evidence` what its black box says, where there is one.
    pub fn new(
        death: &Death,
        time: String,
        evidence: Option<evidence::Evidence>,
        changed: Vec<Change>,
        words: Vec<LastWord>,
    ) -> Record {
        let evidence::Evidence { doing, context, events, flags, unsaid } = evidence.unwrap_or_default();
        let mut record = Record {
            schema: SCHEMA,
            id: format!("c-{}", death.crash),
            number: death.crash,
            service: death.service.clone(),
            instance: death.instance.clone(),
            cause: cause(death),
            time,
            incarnation: death.incarnation,
            pid: death.pid,
            code: death.code,
            signal: death.signal.map(|number| crate::sys::signal::name(number).into_owned()),
            core: death.core,
            fault: death.fault,
            error: death.error.clone(),
            lived_ns: death.lived_ns,
            restarts: death.restarts,
            restarts_max: death.restarts_max,
            used: death.used,
            group: death.group,
            cursor: death.cursor,
            fingerprint: String::new(),
            blackbox: death.blackbox,
            doing,
            context,
            events,
            flags,
            unsaid,
            changed,
            words,
        };
        record.fingerprint = fingerprint::of(&record);
        record
    }

    /// The innermost span of what it was at when it died: of the thread that panicked, or had the newest error, or else the
    /// one that was opened last.
    pub fn innermost(&self) -> Option<&Span> {
        let failed = self.context.first().filter(|context| context.error.is_some());
        of_thread(&self.doing, failed.map(|context| context.thread)).or_else(|| of_thread(&self.doing, None))
    }
}

/// The span that was opened last, of one thread or of all; of those that look equally new the one that stands behind the
/// others, which is the deepest.
fn of_thread(spans: &[Span], thread: Option<u32>) -> Option<&Span> {
    let of_it = spans.iter().rev().filter(|span| thread.is_none_or(|thread| span.thread == thread));
    of_it.min_by_key(|span| span.open_ns)
}

/// How it ended, in words that go on from the instance's name: `killed by SIGKILL`, `exited 3`.
pub fn cause(death: &Death) -> String {
    let end = match (death.code, death.signal) {
        (Some(code), _) => format!("exited {code}"),
        (None, Some(signal)) => {
            let core = if death.core { ", core dumped" } else { "" };
            let memory = if death.fault == Some(Fault::OutOfMemory) { ", out of memory" } else { "" };
            format!("killed by {}{core}{memory}", crate::sys::signal::name(signal))
        }
        (None, None) if death.pid == 0 && !death.error.is_empty() => return death.error.clone(),
        (None, None) => "ended, nobody saw how".to_owned(),
    };
    if death.error.is_empty() { end } else { format!("{end} ({})", death.error) }
}

/// A length of time as people say it: `850 µs`, `91 ms`, `23.6 s`, `30 s`, `6m 12s`, `2h 05m`, `3d 04h`.
pub fn duration(length: Duration) -> String {
    let (seconds, micros) = (length.as_secs(), length.as_micros());
    match seconds {
        0 if micros < 1000 => format!("{micros} µs"),
        0 => format!("{} ms", micros / 1000),
        1..60 => match length.as_millis() / 100 % 10 {
            0 => format!("{seconds} s"),
            tenths => format!("{seconds}.{tenths} s"),
        },
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {:02}h", seconds / 86400, seconds % 86400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_people_say_them() {
        let check = |millis, expected: &str| assert_eq!(duration(Duration::from_millis(millis)), expected);
        assert_eq!(duration(Duration::from_micros(850)), "850 µs");
        check(91, "91 ms");
        check(23_690, "23.6 s");
        check(30_000, "30 s");
        check(59_999, "59.9 s");
        check(372_000, "6m 12s");
        check(7_500_000, "2h 05m");
        check(273_600_000, "3d 04h");
    }

    #[test]
    fn a_cause_says_only_what_was_seen() {
        let death = Death { pid: 9, ..Death::default() };
        let check = |death: &Death, expected: &str| assert_eq!(cause(death), expected);
        check(&Death { code: Some(3), ..death.clone() }, "exited 3");
        check(&Death { signal: Some(9), ..death.clone() }, "killed by SIGKILL");
        check(&Death { signal: Some(11), core: true, ..death.clone() }, "killed by SIGSEGV, core dumped");
        check(
            &Death { signal: Some(9), fault: Some(Fault::OutOfMemory), ..death.clone() },
            "killed by SIGKILL, out of memory",
        );
        check(&death, "ended, nobody saw how");
        let error = "not ready within 30 s".to_owned();
        check(&Death { signal: Some(9), error, ..death }, "killed by SIGKILL (not ready within 30 s)");
        let error = "changing directory to `/srv`: No such file".to_owned();
        check(&Death { error: error.clone(), ..Death::default() }, &error);
    }
}
