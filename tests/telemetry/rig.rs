//! A telemetry service of a test's own: socket, line and settings as a supervisor would hand them down; services that are
//! threads of the test with black boxes; and whatever arrives in the file.

use mainstay::blackbox::layout::CELLS;
use mainstay::blackbox::text::Packed;
use mainstay::blackbox::{BlackBox, Ids, Kind, Moment, Noter};
use mainstay::ipc::builtin::{FromTelemetry, ToTelemetry, Told};
use mainstay::ipc::codec;
use mainstay::services::logger::older;
use mainstay::services::telemetry::spool;
use mainstay::sys::mapped::Mapped;
use mainstay::sys::socket::{self, Kind as SocketKind};
use mainstay::sys::{clock, own};
use mainstay::telemetry::{Endpoint, Settings, Summary};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value as Json;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Longer than anything takes; what is not there by then never comes.
pub const WATCHDOG: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// Everything is kept, and a batch is written soon.
pub fn settings() -> Settings {
    Settings {
        per_second: 1_000_000,
        batch_every: std::time::Duration::from_millis(5),
        max_size: 64 << 20,
        ..Settings::default()
    }
}

pub fn endpoint(address: SocketAddr) -> Option<Endpoint> {
    Some(Endpoint { address, host: address.to_string(), base: String::new() })
}

/// The directories of one project, and what its supervisor holds.
pub struct Home {
    _own: tempfile::TempDir,
    place: PathBuf,
    door: OwnedFd,
    ours: OwnedFd,
    theirs: OwnedFd,
    files: Files,
    /// What was heard on the line and not yet asked for.
    heard: Cell<Vec<FromTelemetry>>,
}

/// One life of telemetry; killed when dropped.
pub struct Life(Option<Child>);

impl Drop for Life {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Life {
    pub fn id(&self) -> u32 {
        self.0.as_ref().expect("it lives").id()
    }

    /// Killed, and gone when this returns.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// Asked to end, and gone when this returns: everything that the boxes held is written.
    pub fn end(mut self) {
        let mut child = self.0.take().expect("it lives");
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

impl Home {
    pub fn new(settings: &Settings) -> Home {
        Home::inside(&std::env::temp_dir(), settings)
    }

    pub fn inside(parent: &Path, settings: &Settings) -> Home {
        let own = tempfile::Builder::new().prefix("mainstay-telemetry-").tempdir_in(parent).unwrap();
        let place = own.path().to_owned();
        for directory in ["log", "state"] {
            std::fs::create_dir(place.join(directory)).unwrap();
        }
        let door = socket::bind(SocketKind::Datagram, &place.join("telemetry"), 0o666).unwrap();
        let (ours, theirs) = socket::pair().unwrap();
        let files = Files::of(&place.join("log"), &place.join("state"));
        let home = Home { _own: own, place, door, ours, theirs, files, heard: Cell::default() };
        home.set(settings);
        home
    }

    /// What the next life is told.
    pub fn set(&self, settings: &Settings) {
        std::fs::write(self.place.join("settings"), codec::encode_plan(settings).unwrap()).unwrap();
    }

    pub fn logs(&self) -> PathBuf {
        self.place.join("log")
    }

    pub fn state(&self) -> PathBuf {
        self.place.join("state")
    }

    pub fn door(&self) -> PathBuf {
        self.place.join("telemetry")
    }

    /// A life that is told of these services.
    pub fn start(&self, services: &[&Service]) -> Life {
        // What the last life had not heard is not for this one.
        while socket::receive(&self.theirs, &mut [0; 4096]).unwrap().is_some() {}
        self.say(&ToTelemetry::Hello { project: "shop".into() }, &[]);
        for service in services {
            self.tell(service);
        }
        self.say(&ToTelemetry::Tree(Told::Begin), &[]);
        // A shell gives the descriptors their numbers and becomes telemetry.
        let script = r#"exec "$0" "$@" 3<&0 4<&1 5<"$SETTINGS" 0</dev/null 1>&2"#;
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_mainstay")).arg("@telemetry");
        command.arg("--logs").arg(self.logs()).arg("--state").arg(self.state());
        command.stdin(self.door.try_clone().unwrap()).stdout(self.theirs.try_clone().unwrap());
        command.env("SETTINGS", self.place.join("settings"));
        command.stderr(Stdio::inherit());
        Life(Some(command.spawn().unwrap()))
    }

    /// Rings as a service does, whatever its box says.
    pub fn ring_for(&self, instance: &str) {
        let socket = socket::connect(SocketKind::Datagram, &self.door()).unwrap();
        let message = format!("X_MAINSTAY_BELL=1\nMAINSTAY_INSTANCE={instance}");
        socket::send(&socket, message.as_bytes(), &[] as &[OwnedFd]).unwrap();
    }

    pub fn tell(&self, service: &Service) {
        let (child, incarnation) = (service.child, service.incarnation);
        let instance =
            Told::Instance { child, service: service.service.clone(), instance: service.instance.clone() };
        self.say(&ToTelemetry::Tree(instance), &[]);
        self.say(
            &ToTelemetry::Tree(Told::Life { child, incarnation, pid: service.pid }),
            &[service.memory.as_fd()],
        );
    }

    pub fn say_ended(&self, service: &Service) {
        let ended = Told::Ended { child: service.child, incarnation: service.incarnation };
        self.say(&ToTelemetry::Tree(ended), &[]);
    }

    fn say(&self, message: &ToTelemetry, descriptors: &[BorrowedFd<'_>]) {
        socket::send(&self.ours, &codec::encode(message).unwrap(), descriptors).unwrap();
    }

    /// Waits until `what` has an answer; looks again whenever a file or the line changes.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        self.files.until(what, &[self.ours.as_fd()], || {
            self.listen();
            look()
        })
    }

    fn listen(&self) {
        let mut heard = self.heard.take();
        let mut buffer = [0; 4096];
        while let Some(received) = socket::receive(&self.ours, &mut buffer).unwrap() {
            heard.push(codec::decode(&buffer[..received.length]).unwrap());
        }
        self.heard.set(heard);
    }

    /// Everything that was said on the line since this was asked last.
    pub fn heard(&self) -> Vec<FromTelemetry> {
        self.listen();
        self.heard.take()
    }

    /// Waits for a message.
    #[track_caller]
    pub fn await_said(&self, what: &str, is_it: impl Fn(&FromTelemetry) -> bool) {
        self.until(what, || self.heard().iter().any(&is_it).then_some(()));
    }

    /// Everything that is in the files.
    pub fn arrived(&self) -> Arrived {
        self.files.arrived()
    }

    /// Waits until the last summary says this; much quicker than reading all files.
    #[track_caller]
    pub fn await_summary(&self, what: &str, is_it: impl Fn(&Summary) -> bool) -> Summary {
        self.until(what, || spool::last(&self.logs()).filter(&is_it))
    }

    /// Waits until the files say this.
    #[track_caller]
    pub fn await_arrived(&self, what: &str, is_it: impl Fn(&Arrived) -> bool) -> Arrived {
        self.until(what, || Some(self.arrived()).filter(&is_it))
    }
}

/// The files of a project, and whoever waits for them.
pub struct Files {
    logs: PathBuf,
    changes: Inotify,
}

impl Files {
    pub fn of(logs: &Path, state: &Path) -> Files {
        let changes = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).unwrap();
        let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        changes.add_watch(logs, flags).unwrap();
        changes.add_watch(state, flags).unwrap();
        Files { logs: logs.to_owned(), changes }
    }

    /// Waits until `what` has an answer; looks again whenever a file changes, or one of these can be read.
    #[track_caller]
    fn until<T>(&self, what: &str, others: &[BorrowedFd<'_>], mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(found) = look() {
                return found;
            }
            let mut wanted = vec![PollFd::new(&self.changes, PollFlags::IN)];
            wanted.extend(others.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
            assert!(poll(&mut wanted, Some(&WATCHDOG)).unwrap() > 0, "{what}: nothing happens any more");
            let _ = self.changes.read_events();
        }
    }

    /// Everything that is in the files.
    pub fn arrived(&self) -> Arrived {
        let current = spool::path(&self.logs);
        let oldest = (0..).find(|n| !older(&current, n + 1).exists()).unwrap();
        let mut arrived = Arrived::default();
        for file in (0..=oldest).rev() {
            // The newest may not be there yet.
            let bytes = std::fs::read(older(&current, file)).unwrap_or_default();
            let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
            lines.for_each(|line| arrived.add(line));
        }
        arrived
    }

    /// Waits until the files say this.
    #[track_caller]
    pub fn await_arrived(&self, what: &str, is_it: impl Fn(&Arrived) -> bool) -> Arrived {
        self.until(what, &[], || Some(self.arrived()).filter(&is_it))
    }
}

/// What arrived: in files, or at a collector.
#[derive(Debug, Default)]
pub struct Arrived {
    /// Each span and event, by instance and name: how often.
    pub records: BTreeMap<(String, String), u64>,
    /// The summary of the last batch.
    pub last: Summary,
    /// As they are.
    pub spans: Vec<Json>,
    pub events: Vec<Json>,
}

impl Arrived {
    /// A line of OTLP.
    pub fn add(&mut self, line: &[u8]) {
        let json: Json = serde_json::from_slice(line).expect("every line is JSON");
        if let Some(summary) = Summary::read(line) {
            self.last = summary;
        }
        let empty = Vec::new();
        let of = |json: &Json, key: &str| json.get(key).and_then(Json::as_array).unwrap_or(&empty).clone();
        for resource in of(&json, "resourceSpans").into_iter().chain(of(&json, "resourceLogs")) {
            let instance = attribute(&resource["resource"], "service.instance.id");
            for scope in of(&resource, "scopeSpans").into_iter().chain(of(&resource, "scopeLogs")) {
                if scope["scope"]["name"] != "mainstay" {
                    continue;
                }
                for span in of(&scope, "spans") {
                    self.count(&instance, span["name"].as_str().unwrap());
                    self.spans.push(span);
                }
                for event in of(&scope, "logRecords") {
                    self.count(&instance, event["eventName"].as_str().unwrap());
                    self.events.push(event);
                }
            }
        }
    }

    fn count(&mut self, instance: &str, name: &str) {
        *self.records.entry((instance.to_owned(), name.to_owned())).or_default() += 1;
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        (self.spans.len() + self.events.len()) as u64
    }

    /// How many spans, or events of one number, are there more than once.
    pub fn twice(&self) -> u64 {
        let mut met = std::collections::BTreeSet::new();
        let ids = self.spans.iter().map(|span| span["spanId"].to_string());
        let numbers =
            self.events.iter().map(|event| format!("{} {}", event["traceId"], attribute(event, "n")));
        ids.chain(numbers).filter(|one| !met.insert(one.clone())).count() as u64
    }

    /// How many there are of this instance, each counted once.
    pub fn of(&self, instance: &str) -> u64 {
        self.records.keys().filter(|(of, _)| of == instance).count() as u64
    }

    /// Those that are there more than once.
    pub fn doubled(&self) -> Vec<&(String, String)> {
        self.records.iter().filter(|(_, count)| **count > 1).map(|(name, _)| name).collect()
    }

    /// What is said not to have arrived.
    pub fn gone(&self) -> u64 {
        let Summary { totals, .. } = &self.last;
        totals.lost + totals.torn + totals.sampled_out + totals.over_ceiling
    }
}

/// The text of an attribute.
pub fn attribute(of: &Json, key: &str) -> String {
    let all = of["attributes"].as_array().unwrap();
    let value =
        &all.iter().find(|a| a["key"] == key).unwrap_or_else(|| panic!("no `{key}` in {of}"))["value"];
    value["stringValue"].as_str().or(value["intValue"].as_str()).unwrap().to_owned()
}

/// A life of a service, with its box: whoever writes into it is a thread of the test.
pub struct Service {
    pub child: u32,
    pub incarnation: u64,
    pub pid: u32,
    pub service: String,
    pub instance: String,
    pub memory: BlackBox,
    cells: Mapped<CELLS>,
    bell: OwnedFd,
}

impl Service {
    pub fn new(home: &Home, child: u32, service: &str) -> Service {
        let memory = BlackBox::make().unwrap();
        let cells = Mapped::new(memory.as_fd()).unwrap();
        let bell = socket::connect(SocketKind::Datagram, &home.door()).unwrap();
        let (service, instance) = (service.to_owned(), service.to_owned());
        // A number that no process has: nobody is of this life.
        Service { child, incarnation: 1, pid: u32::MAX >> 1, service, instance, memory, cells, bell }
    }

    pub fn noter(&self) -> Noter<'_> {
        Noter::new(&self.cells).unwrap()
    }

    /// Writes an event, and rings if somebody sleeps.
    pub fn event(&self, name: &str) {
        let moment = Moment { at: clock::now(), thread: 7, kind: Kind::Event, span: 0, trace: 0 };
        self.noter().event(moment, &Packed::new(name));
        self.ring();
    }

    /// Writes a span that is over at once, and rings if somebody sleeps.
    pub fn span(&self, name: &str) {
        let now = clock::now();
        let slot = self.noter().slot(own::thread(), 0).expect("a slot is free");
        let ids = Ids { span: now.as_nanos() | 1, parent: 0, trace: 0 };
        slot.open(ids, now, &Packed::new(name));
        self.noter().finish(slot, clock::now());
        self.ring();
    }

    /// As `blackbox::process` does.
    pub fn ring(&self) {
        if self.noter().must_ring() {
            let message =
                format!("X_MAINSTAY_BELL=1\nMAINSTAY_INSTANCE={}\nMAINSTAY_INCARNATION=1", self.instance);
            if socket::send(&self.bell, message.as_bytes(), &[] as &[OwnedFd]).is_err() {
                self.noter().unring();
            }
        }
    }

    /// How many records were written into the box so far, whatever became of them.
    pub fn sent(&self) -> u64 {
        let heads = self.memory.heads().unwrap();
        heads.finished_next() + heads.events_next()
    }
}
