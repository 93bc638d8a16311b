//! Which instances the tree has, and for how long each has been up.

use super::input::{Event, Happened};
use crate::time::Instant;
use std::collections::BTreeMap;

/// Every instance of the user's services.
#[derive(Clone, Debug, Default)]
pub(super) struct Lives(BTreeMap<String, Instance>);

#[derive(Clone, Debug)]
struct Instance {
    service: String,
    /// The newest life; 0: none yet.
    incarnation: u64,
    state: State,
}

/// What an instance does, as far as uptime goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody waits for it.
    Down,
    /// It ended, or starts: somebody waits for it.
    Away,
    /// Up since then.
    Up(Instant),
}

/// For how long a service has been up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Uptime {
    /// The tree has no such service.
    Nobody,
    /// None of its instances runs, and nobody waits for one.
    Down,
    /// This instance is waited for.
    Away(String),
    /// All that run have been up since then.
    Up(Instant),
}

impl Lives {
    pub(super) fn add(&mut self, service: String, instance: String) {
        self.0.entry(instance).or_insert(Instance { service, incarnation: 0, state: State::Down });
    }

    pub(super) fn remove(&mut self, instance: &str) {
        self.0.remove(instance);
    }

    /// A life begins; or it is there since before anything that is known (`old`).
    pub(super) fn begin(&mut self, instance: &str, incarnation: u64, old: bool) {
        if let Some(known) = self.0.get_mut(instance).filter(|known| incarnation > known.incarnation) {
            known.incarnation = incarnation;
            known.state = if old { State::Up(Instant::ZERO) } else { State::Away };
        }
    }

    pub(super) fn happened(&mut self, event: &Event) {
        // What is told of a life that is over changes nothing. Of a group, or of no life, nothing is told here.
        let Some(known) = self.0.get_mut(&event.instance) else { return };
        if event.incarnation != 0 && event.incarnation < known.incarnation {
            return;
        }
        known.incarnation = known.incarnation.max(event.incarnation);
        known.state = match event.what {
            Happened::Starting | Happened::Exited { .. } => State::Away,
            Happened::Up if !matches!(known.state, State::Up(since) if since > Instant::ZERO) => {
                State::Up(event.at)
            }
            Happened::GaveUp | Happened::Down => State::Down,
            Happened::Up
            | Happened::NeverReady { .. }
            | Happened::Unhealthy { .. }
            | Happened::LimitReached { .. }
            | Happened::Other => known.state,
        };
    }

    /// Its service; `None`: the tree does not have it.
    pub(super) fn service_of(&self, instance: &str) -> Option<&str> {
        self.0.get(instance).map(|known| known.service.as_str())
    }

    /// Its newest life; 0: none.
    pub(super) fn incarnation(&self, instance: &str) -> u64 {
        self.0.get(instance).map_or(0, |known| known.incarnation)
    }

    pub(super) fn uptime(&self, service: &str) -> Uptime {
        let mut all = self.0.iter().filter(|(_, known)| known.service == service).peekable();
        if all.peek().is_none() {
            return Uptime::Nobody;
        }
        let mut uptime = Uptime::Down;
        for (name, known) in all {
            uptime = match (known.state, uptime) {
                (State::Away, _) => return Uptime::Away(name.clone()),
                (State::Down, uptime) => uptime,
                (State::Up(since), Uptime::Up(latest)) => Uptime::Up(since.max(latest)),
                (State::Up(since), _) => Uptime::Up(since),
            };
        }
        uptime
    }
}
