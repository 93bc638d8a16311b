//! Reasons in words, and values as the file writes them.

use super::{Difference, What};
use crate::config::diagnostic::printable;
use crate::config::units::{self, write_duration};
use crate::supervisor::spec::{AutoShutdown, Backoff, Grace, Intensity, OnLimit, Restart, Strategy};
use crate::telemetry::{Endpoint, Settings};
use crate::time::Duration;

/// Longest text of a file that is told, in characters.
const TEXT_MAX: usize = 40;

/// Why something is not the same.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    restart: Vec<String>,
    in_place: Vec<String>,
    /// What each is about, as the file calls it.
    keys: Vec<String>,
}

/// A share in units of 0.001 %.
fn share(share: &u32) -> String {
    format!("{}%", f64::from(*share) / 1000.0)
}

/// What becomes of spans and events: telemetry begins anew, which loses nothing.
pub(super) fn telemetry(old: &Settings, new: &Settings) -> Reasons {
    let mut why = Reasons::default();
    why.in_place("enabled", &old.enabled, &new.enabled, bool::to_string);
    why.in_place("endpoint", &old.endpoint, &new.endpoint, |to| {
        to.as_ref().map_or_else(none, Endpoint::to_string)
    });
    why.in_place("sample", &old.sample, &new.sample, share);
    let names = |names: &Vec<(String, u32)>| {
        list(&names.iter().map(|(name, rate)| format!("{name} {}", share(rate))).collect::<Vec<_>>())
    };
    why.in_place("names", &old.names, &new.names, names);
    why.in_place("keep_failed", &old.keep_failed, &new.keep_failed, bool::to_string);
    why.in_place("per_second", &old.per_second, &new.per_second, u32::to_string);
    why.in_place("batch.size", &old.batch_size, &new.batch_size, u32::to_string);
    why.in_place("batch.every", &old.batch_every, &new.batch_every, |every| write_duration(*every));
    why.in_place("file.max_size", &old.max_size, &new.max_size, |size| units::write_size(*size));
    why.in_place("file.files", &old.files, &new.files, u32::to_string);
    why
}

impl Reasons {
    /// A difference in `key` that only a new process takes up, in words.
    pub(super) fn needs_restart(&mut self, key: &str, why: String) {
        self.about(key);
        self.restart.push(why);
    }

    /// A difference in `key` that is in force at once, in words.
    pub(super) fn takes_effect(&mut self, key: &str, why: String) {
        self.about(key);
        self.in_place.push(why);
    }

    /// Once each; `restart policy` is two things of one key.
    fn about(&mut self, what: &str) {
        let key = what.strip_suffix(" policy").unwrap_or(what);
        if !self.keys.iter().any(|known| known == key) {
            self.keys.push(key.to_owned());
        }
    }

    /// "what old → new", when they differ, for what a process was started with.
    pub(super) fn restart<T: PartialEq>(
        &mut self,
        what: &str,
        old: &T,
        new: &T,
        show: impl Fn(&T) -> String,
    ) {
        if old != new {
            self.needs_restart(what, format!("{what} {} → {}", show(old), show(new)));
        }
    }

    /// "what old → new", when they differ, for policy.
    pub(super) fn in_place<T: PartialEq>(
        &mut self,
        what: &str,
        old: &T,
        new: &T,
        show: impl Fn(&T) -> String,
    ) {
        if old != new {
            self.takes_effect(what, format!("{what} {} → {}", show(old), show(new)));
        }
    }

    /// The same reasons for something that has no process of its own.
    pub(super) fn without_processes(mut self) -> Reasons {
        self.restart.append(&mut self.in_place);
        Reasons { restart: Vec::new(), in_place: self.restart, keys: self.keys }
    }

    /// What they mean for the one called so; `None`: nothing differs.
    pub(super) fn difference(mut self, name: &str) -> Option<Difference> {
        // Paths and variables may hold what a terminal would obey.
        for why in self.restart.iter_mut().chain(&mut self.in_place).chain(&mut self.keys) {
            *why = printable(why);
        }
        let what = match (self.restart.is_empty(), self.in_place.is_empty()) {
            (true, true) => return None,
            (true, false) => What::InPlace { why: self.in_place },
            (false, _) => {
                self.restart.append(&mut self.in_place);
                What::Restart { why: self.restart }
            }
        };
        Some(Difference { name: name.to_owned(), what, keys: self.keys })
    }

    /// The wait before a restart: of services and of groups.
    pub(super) fn backoff(&mut self, old: &Backoff, new: &Backoff) {
        let on = |backoff: &Backoff| *backoff != Backoff::NONE;
        if !on(old) || !on(new) {
            let show = |on: &bool| if *on { "on".to_owned() } else { none() };
            self.in_place("backoff", &on(old), &on(new), show);
            return;
        }
        let number = |number: &f64| number.to_string();
        self.in_place("backoff.first", &old.first, &new.first, duration);
        self.in_place("backoff.base", &old.base, &new.base, duration);
        self.in_place("backoff.factor", &old.factor, &new.factor, number);
        self.in_place("backoff.max", &old.max, &new.max, duration);
        self.in_place("backoff.jitter", &old.jitter, &new.jitter, number);
        self.in_place("backoff.forget", &old.forget, &new.forget, duration);
    }
}

pub(super) fn none() -> String {
    "none".to_owned()
}

pub(super) fn option<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(none, T::to_string)
}

pub(super) fn duration(value: &Duration) -> String {
    write_duration(*value)
}

/// `5/30s`; a limit that is not there is `absent`.
pub(super) fn window(value: &Option<Intensity>, absent: &str) -> String {
    value.map_or_else(|| absent.to_owned(), |i| format!("{}/{}", i.max, write_duration(i.within)))
}

/// A text of the file, cut when it is long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((at, _)) => format!("{:?}…", &text[..at]),
        None => format!("{text:?}"),
    }
}

/// `db, web#2`
pub(super) fn list(items: &[String]) -> String {
    if items.is_empty() { none() } else { items.join(", ") }
}

pub(super) fn policy(value: &Restart) -> String {
    match value {
        Restart::Permanent => "permanent",
        Restart::Transient => "transient",
        Restart::Temporary => "temporary",
    }
    .to_owned()
}

pub(super) fn grace(value: &Grace) -> String {
    match value {
        Grace::Kill => "kill".to_owned(),
        Grace::After(after) => write_duration(*after),
        Grace::Forever => "forever".to_owned(),
    }
}

pub(super) fn signal(number: &i32) -> String {
    match units::SIGNALS.iter().find(|(_, known)| known == number) {
        Some((name, _)) => (*name).to_owned(),
        // 34 is the first real-time signal: see `units::signal`.
        None => format!("RTMIN+{}", number - 34),
    }
}

pub(super) fn strategy(value: Strategy) -> String {
    match value {
        Strategy::OneForOne => "one_for_one",
        Strategy::OneForAll => "one_for_all",
        Strategy::RestForOne => "rest_for_one",
    }
    .to_owned()
}

pub(super) fn on_limit(value: &OnLimit) -> String {
    match value {
        OnLimit::Escalate => "escalate",
        OnLimit::Park => "park",
    }
    .to_owned()
}

pub(super) fn auto_shutdown(value: &AutoShutdown) -> String {
    match value {
        AutoShutdown::Never => "never",
        AutoShutdown::Any => "any",
        AutoShutdown::All => "all",
    }
    .to_owned()
}
