//! What `--json` prints. The keys are a promise: `schema` rises when one changes its meaning; new ones may
//! come at any time.

use super::select::Snapshot;
use super::status::ending;
use crate::ipc::control::{Event, LastExit, Service, What};
use crate::sys::signal;
use crate::time::Wall;
use serde::Serialize;

/// The present meaning of all keys.
pub const SCHEMA: u32 = 1;

/// `status`
#[derive(Serialize)]
pub struct Status<'a> {
    schema: u32,
    project: &'a str,
    /// null for `run -- CMD`.
    config: Option<&'a str>,
    supervisor_pid: u32,
    /// null while nothing watches over the supervisor.
    warden_pid: Option<u32>,
    up_seconds: f64,
    restarts_last_hour: u32,
    shutting_down: bool,
    crashes_unwritten: u64,
    cursor: u64,
    services: Vec<Instance<'a>>,
}

/// One instance in [`Status`].
#[derive(Serialize)]
struct Instance<'a> {
    name: &'a str,
    instance: &'a str,
    group: &'a str,
    state: &'a str,
    wanted: &'a str,
    as_wanted: bool,
    pid: Option<u32>,
    incarnation: u64,
    /// Of the present life.
    up_seconds: Option<f64>,
    /// Inside its window.
    restarts: u32,
    /// null: no limit.
    restarts_max: Option<u32>,
    window_seconds: f64,
    retry_in_seconds: Option<f64>,
    cpu_seconds: f64,
    memory_bytes: u64,
    because: &'a str,
    last_exit: Option<Exit<'a>>,
    builtin: bool,
}

/// How a life ended.
#[derive(Serialize)]
struct Exit<'a> {
    /// In words: `exit 3`, `SIGKILL`, `start failed`.
    how: String,
    code: Option<u8>,
    signal: Option<String>,
    core: bool,
    error: &'a str,
    asked: bool,
    lived_seconds: f64,
    ago_seconds: f64,
    time: String,
    /// `c-7`; null: none.
    crash: Option<String>,
}

impl<'a> Status<'a> {
    /// These of the snapshot's instances.
    pub fn new(snapshot: &'a Snapshot, shown: &[&'a Service]) -> Status<'a> {
        let head = &snapshot.head;
        Status {
            schema: SCHEMA,
            project: &head.project,
            config: (!head.config.is_empty()).then_some(&head.config),
            supervisor_pid: head.pid,
            warden_pid: None,
            up_seconds: seconds(head.up_ns),
            restarts_last_hour: head.restarts_hour,
            shutting_down: head.shutting_down,
            crashes_unwritten: head.crashes_unwritten,
            cursor: head.cursor,
            services: shown.iter().map(|service| Instance::new(service)).collect(),
        }
    }
}

impl<'a> Instance<'a> {
    fn new(service: &'a Service) -> Instance<'a> {
        let running = service.pid != 0;
        Instance {
            name: &service.service,
            instance: &service.instance,
            group: &service.group,
            state: &service.state,
            wanted: &service.wanted,
            as_wanted: service.as_wanted,
            pid: running.then_some(service.pid),
            incarnation: service.incarnation,
            up_seconds: running.then(|| seconds(service.up_ns)),
            restarts: service.restarts,
            restarts_max: (service.restarts_max != 0).then_some(service.restarts_max),
            window_seconds: seconds(service.window_ns),
            retry_in_seconds: (service.state == "backing_off").then(|| seconds(service.retry_in_ns)),
            cpu_seconds: seconds(service.cpu_ns),
            memory_bytes: service.memory,
            because: &service.because,
            last_exit: service.last_exit.as_ref().map(Exit::new),
            builtin: service.builtin,
        }
    }
}

impl<'a> Exit<'a> {
    fn new(exit: &'a LastExit) -> Exit<'a> {
        Exit {
            how: ending(exit),
            code: exit.code,
            signal: exit.signal.map(|number| signal::name(number).into_owned()),
            core: exit.core,
            error: &exit.error,
            asked: exit.asked,
            lived_seconds: seconds(exit.lived_ns),
            ago_seconds: seconds(exit.ago_ns),
            time: timestamp(exit.time),
            crash: (exit.crash != 0).then(|| format!("c-{}", exit.crash)),
        }
    }
}

/// One line of `events`.
#[derive(Serialize)]
pub struct Happened<'a> {
    schema: u32,
    seq: u64,
    time: String,
    mono_ns: u64,
    service: &'a str,
    instance: &'a str,
    incarnation: u64,
    /// `kind`, and what belongs to it.
    #[serde(flatten)]
    what: &'a What,
}

impl<'a> Happened<'a> {
    /// This event.
    pub fn new(event: &'a Event) -> Happened<'a> {
        Happened {
            schema: SCHEMA,
            seq: event.seq,
            time: timestamp(event.time),
            mono_ns: event.mono_ns,
            service: &event.service,
            instance: &event.instance,
            incarnation: event.incarnation,
            what: &event.what,
        }
    }
}

/// A gap in `events`.
#[derive(Serialize)]
pub struct Missed {
    schema: u32,
    kind: &'static str,
    count: u64,
}

impl Missed {
    /// So many events are gone.
    pub fn new(count: u64) -> Missed {
        Missed { schema: SCHEMA, kind: "missed", count }
    }
}

/// Nanoseconds as seconds, to the microsecond: what is smaller is noise that only makes lines long.
pub fn seconds(nanos: u64) -> f64 {
    (nanos as f64 / 1e3).round() / 1e6
}

/// `2026-11-23T12:14:44.218Z`
pub fn timestamp(time: Wall) -> String {
    let time = jiff::Timestamp::from_microsecond(time.0).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::control::Head;

    #[test]
    fn status_keeps_its_keys() {
        let exit = LastExit {
            signal: Some(9),
            lived_ns: 23_600_000_000,
            ago_ns: 48_000_000_000,
            time: Wall(1_795_435_678_301_999),
            crash: 7,
            ..LastExit::default()
        };
        let service = Service {
            service: "web".into(),
            instance: "web#2".into(),
            group: "app".into(),
            state: "ready".into(),
            wanted: "up".into(),
            as_wanted: true,
            pid: 4188,
            incarnation: 3,
            up_ns: 48_123_456_789,
            restarts: 1,
            restarts_max: 5,
            window_ns: 30_000_000_000,
            last_exit: Some(exit),
            ..Service::default()
        };
        let head =
            Head { project: "shop".into(), config: "/srv/mainstay.toml".into(), pid: 1, ..Head::default() };
        let snapshot = Snapshot { head, services: vec![service], ..Snapshot::default() };
        let shown: Vec<_> = snapshot.services.iter().collect();
        assert_eq!(
            serde_json::to_string(&Status::new(&snapshot, &shown)).unwrap(),
            concat!(
                r#"{"schema":1,"project":"shop","config":"/srv/mainstay.toml","supervisor_pid":1,"warden_pid":null,"#,
                r#""up_seconds":0.0,"restarts_last_hour":0,"shutting_down":false,"crashes_unwritten":0,"cursor":0,"services":["#,
                r#"{"name":"web","instance":"web#2","group":"app","state":"ready","wanted":"up","as_wanted":true,"#,
                r#""pid":4188,"incarnation":3,"up_seconds":48.123457,"restarts":1,"restarts_max":5,"#,
                r#""window_seconds":30.0,"retry_in_seconds":null,"cpu_seconds":0.0,"memory_bytes":0,"because":"","#,
                r#""last_exit":{"how":"SIGKILL","code":null,"signal":"SIGKILL","core":false,"error":"","asked":false,"#,
                r#""lived_seconds":23.6,"ago_seconds":48.0,"time":"2026-11-23T12:07:58.301Z","crash":"c-7"},"#,
                r#""builtin":false}]}"#
            )
        );
    }

    #[test]
    fn an_event_keeps_its_keys() {
        let event = Event {
            seq: 41,
            time: Wall(1_795_435_678_301_999),
            mono_ns: 5,
            service: "web".into(),
            instance: "web#2".into(),
            incarnation: 3,
            what: What::Exited {
                code: None,
                signal: Some("SIGKILL".into()),
                core: false,
                lived_ns: 6,
                asked: false,
                abnormal: true,
                crash: 7,
                pid: 4188,
                restart: 0,
                max: 0,
                shutdown_error: false,
                oom: false,
                watchdog: false,
                unhealthy: false,
            },
        };
        assert_eq!(
            serde_json::to_string(&Happened::new(&event)).unwrap(),
            concat!(
                r#"{"schema":1,"seq":41,"time":"2026-11-23T12:07:58.301Z","mono_ns":5,"service":"web","#,
                r#""instance":"web#2","incarnation":3,"kind":"exited","code":null,"signal":"SIGKILL","core":false,"#,
                r#""lived_ns":6,"asked":false,"abnormal":true,"crash":7,"pid":4188,"restart":0,"max":0}"#
            )
        );
    }

    #[test]
    fn a_gap_is_an_object_too() {
        let text = serde_json::to_string(&Missed::new(3)).unwrap();
        assert_eq!(text, r#"{"schema":1,"kind":"missed","count":3}"#);
    }
}
