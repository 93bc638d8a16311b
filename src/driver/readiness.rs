//! How services are found to be ready: ports that are tried, datagrams that arrive. (Awaited lines of
//! output are seen by the logger.)
//!
//! A port that answers is not enough: it must be answered by a process of the service, else a stranger
//! on the port would make a service ready that cannot even start.

use super::{Driver, Source};
use crate::config::plan::Ready;
use crate::supervisor::Event;
use crate::supervisor::spec::{ChildId, Incarnation};
use crate::sys::port::{Answer, Attempt};
use crate::sys::{clock, port, procfs};
use crate::time::{Duration, Instant};
use mio::Interest;
use std::collections::BTreeMap;

/// The first wait between two tries; each later one is half as long again, up to [`SLOWEST`].
const QUICKEST: Duration = Duration::from_millis(1);
const SLOWEST: Duration = Duration::from_millis(100);

/// Ports that are being tried.
#[derive(Default)]
pub struct Probes(BTreeMap<u32, Probe>);

struct Probe {
    incarnation: Incarnation,
    port: u16,
    next: Instant,
    wait: Duration,
    /// A connection that is not yet decided.
    attempt: Option<Attempt>,
    /// The stranger that answered last.
    stranger: Option<String>,
}

impl Probes {
    /// When the next try is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.0.values().map(|probe| probe.next).min()
    }

    /// Stops trying.
    pub fn forget(&mut self, child: ChildId) {
        self.0.remove(&child.0);
    }
}

impl Driver {
    pub(super) fn ready_of(&self, child: ChildId) -> &Ready {
        &self.roster.of(child).ready
    }

    pub(super) fn await_readiness(&mut self, child: ChildId, incarnation: Incarnation, at: Instant) {
        if let Ready::Tcp(port) = *self.ready_of(child) {
            let probe = Probe {
                incarnation,
                port,
                next: at + QUICKEST,
                wait: QUICKEST,
                attempt: None,
                stranger: None,
            };
            self.probes.0.insert(child.0, probe);
        }
    }

    pub(super) fn try_ports(&mut self, now: Instant) {
        let due: Vec<u32> =
            self.probes.0.iter().filter(|(_, probe)| probe.next <= now).map(|(child, _)| *child).collect();
        for child in due {
            self.try_port(ChildId(child), now);
        }
    }

    fn try_port(&mut self, child: ChildId, now: Instant) {
        let Some(probe) = self.probes.0.get_mut(&child.0) else { return };
        probe.next = now + probe.wait;
        probe.wait = (probe.wait * 3 / 2).min(SLOWEST);
        if let Some(attempt) = probe.attempt.take() {
            self.unwatch(&attempt);
        }
        let Some(port) = self.probes.0.get(&child.0).map(|probe| probe.port) else { return };
        // IPv4 first; only who refuses there is tried on IPv6.
        for v6 in [false, true] {
            match port::connect_to(port, v6) {
                Ok(Answer::Accepted) => return self.port_answered(child),
                Ok(Answer::Pending(attempt)) => {
                    let _ = self.watch(Source::Probe(child.0), &attempt, Interest::WRITABLE);
                    if let Some(probe) = self.probes.0.get_mut(&child.0) {
                        probe.attempt = Some(attempt);
                    }
                    return;
                }
                Ok(Answer::Refused) | Err(_) => {}
            }
        }
    }

    pub(super) fn on_probe(&mut self, child: ChildId) {
        let Some(attempt) = self.probes.0.get_mut(&child.0).and_then(|probe| probe.attempt.take()) else {
            return;
        };
        self.unwatch(&attempt);
        if let Ok(Answer::Accepted) = attempt.finish() {
            self.port_answered(child);
        }
    }

    /// Whose is the socket that accepted? Where that cannot be told, the answer counts.
    fn port_answered(&mut self, child: ChildId) {
        let Some(probe) = self.probes.0.get(&child.0) else { return };
        let (port, incarnation) = (probe.port, probe.incarnation);
        let slot = &self.slots[child.0 as usize];
        let Some(life) = slot.life_of(incarnation) else { return };
        let sockets = port::listeners(port).unwrap_or_default();
        let is_ours = sockets.is_empty()
            || port::owns(life.pid, &sockets)
            || match &slot.cgroup {
                Some(cgroup) => cgroup.members().unwrap_or_default(),
                None => port::group_members(life.pid).unwrap_or_default(),
            }
            .into_iter()
            .any(|pid| port::owns(pid, &sockets));
        if is_ours {
            self.probes.forget(child);
            return self.tell(Event::Ready(child, incarnation));
        }
        match port::owner(&sockets) {
            Ok(Some((pid, name))) => {
                if let Some(probe) = self.probes.0.get_mut(&child.0) {
                    probe.stranger = Some(format!("pid {pid} ({name})"));
                    probe.wait = SLOWEST;
                    probe.next = clock::now() + SLOWEST;
                }
            }
            Ok(None) | Err(_) => {
                self.probes.forget(child);
                self.tell(Event::Ready(child, incarnation));
            }
        }
    }

    /// What was seen while readiness was awaited, in words.
    pub(super) fn what_was_seen(&self, child: ChildId) -> String {
        match (self.ready_of(child), self.probes.0.get(&child.0)) {
            (Ready::Tcp(port), Some(Probe { stranger: Some(name), .. })) => {
                format!("port {port} is answered by {name}")
            }
            (Ready::Tcp(port), _) => format!("nothing answers on port {port}"),
            (Ready::Output(text), _) => format!("no line of output contains \"{text}\""),
            (Ready::Notify, _) => "READY=1 was not sent to $NOTIFY_SOCKET".into(),
            (Ready::Nothing, _) => String::new(),
        }
    }

    /// Datagrams of the notify socket. The kernel names the sender; what it says about itself is not
    /// believed.
    pub(super) fn on_notify(&mut self) {
        let mut buffer = [0u8; 4096];
        while let Ok(Some(received)) = self.rooms.receive_notification(&mut buffer) {
            let text = &buffer[..received.length];
            let lines = || text.split(|byte| *byte == b'\n');
            let is_ready = lines().any(|line| line == b"READY=1");
            let watchdog = lines().filter_map(|line| line.strip_prefix(b"WATCHDOG=")).next_back();
            if received.cut || !(is_ready || watchdog.is_some()) {
                continue;
            }
            let Some((child, incarnation)) = received.sender.and_then(|sender| self.sender(sender.pid))
            else {
                continue;
            };
            if is_ready && *self.ready_of(child) == Ready::Notify {
                // OTP's `{ok, Pid, Info}`: handed to whoever waits, never looked at.
                let status = lines().find_map(|line| line.strip_prefix(b"STATUS="));
                self.slot(child).info =
                    status.filter(|status| !status.is_empty()).map(|s| String::from_utf8_lossy(s).into());
                self.tell(Event::Ready(child, incarnation));
            }
            if let Some(said) = watchdog {
                self.on_watchdog(child, incarnation, said);
            }
        }
    }

    /// Whose process this is: a main process, one in the session of one, or one that carries the mark of
    /// a life in its environment.
    fn sender(&self, pid: u32) -> Option<(ChildId, Incarnation)> {
        let living = |child: ChildId| {
            let life = self.slots[child.0 as usize].life.as_ref()?;
            Some((child, life.incarnation))
        };
        if let Some(child) = self.pids.get(&pid) {
            return living(*child);
        }
        if let Some(child) = procfs::stat(pid).ok().and_then(|stat| self.pids.get(&stat.session)) {
            return living(*child);
        }
        let environment = procfs::environment(pid).ok()?;
        let says = |name: &str, value: &[u8]| procfs::variable(&environment, name) == Some(value);
        if !says("MAINSTAY_RUNTIME_DIR", self.rooms.runtime().as_os_str().as_encoded_bytes()) {
            return None;
        }
        let instance = procfs::variable(&environment, "MAINSTAY_INSTANCE")?;
        let child = self.core.child_named(std::str::from_utf8(instance).ok()?)?;
        let found = living(child)?;
        says("MAINSTAY_INCARNATION", found.1.0.to_string().as_bytes()).then_some(found)
    }
}
