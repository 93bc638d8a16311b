//! One death.

use super::Change;
use crate::ipc::builtin::Death;
use crate::time::Duration;
use serde::{Deserialize, Serialize};

/// One line of `crashes.jsonl`. `schema` changes when a key changes its meaning; new keys may appear.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// 1.
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
    /// A start that failed, or a readiness that never came: in words. Else empty.
    pub error: String,
    /// From exec to exit.
    pub lived_ns: u64,
    /// Restarts inside its window, this death's included.
    pub restarts: u32,
    /// Its limit; 0: none.
    pub restarts_max: u32,
    /// Processor time used, user and system.
    pub cpu_ns: u64,
    /// Its largest resident set, in bytes.
    pub memory_max: u64,
    /// The newest event when it died.
    pub cursor: u64,
    /// Flags and stages that were changed in the minute before it, the last first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
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
    /// The record of this death. `time` is its moment as text.
    pub fn new(death: &Death, time: String, changed: Vec<Change>, words: Vec<LastWord>) -> Record {
        Record {
            schema: 1,
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
            error: death.error.clone(),
            lived_ns: death.lived_ns,
            restarts: death.restarts,
            restarts_max: death.restarts_max,
            cpu_ns: death.cpu_ns,
            memory_max: death.memory_max,
            cursor: death.cursor,
            changed,
            words,
        }
    }
}

/// How it ended, in words that go on from the instance's name: `killed by SIGKILL`, `exited 3`.
pub fn cause(death: &Death) -> String {
    let end = match (death.code, death.signal) {
        (Some(code), _) => format!("exited {code}"),
        (None, Some(signal)) => {
            let core = if death.core { ", core dumped" } else { "" };
            let memory = if death.oom { ", out of memory" } else { "" };
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
        check(&Death { signal: Some(9), oom: true, ..death.clone() }, "killed by SIGKILL, out of memory");
        check(&death, "ended, nobody saw how");
        let error = "not ready within 30 s".to_owned();
        check(&Death { signal: Some(9), error, ..death }, "killed by SIGKILL (not ready within 30 s)");
        let error = "changing directory to `/srv`: No such file".to_owned();
        check(&Death { error: error.clone(), ..Death::default() }, &error);
    }
}
