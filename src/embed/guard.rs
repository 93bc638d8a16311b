//! `guard = { … }` as a builder. Pure.

use super::keys::{Keys, Value};
use crate::flags::guard::Mode;
use crate::time::Duration;

/// How a change of a flag, or a stage of a migration, is watched while it bakes. What is not said is as mainstay says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guard(pub(super) Keys);

/// The word for whether the guard acts.
pub(super) fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::On => "on",
        Mode::Observe => "observe",
        Mode::Off => "off",
    }
}

impl Guard {
    /// Three abnormal exits of one service within a minute are too many, for five minutes.
    pub fn new() -> Guard {
        Guard::default()
    }

    /// Whether it acts, or only says what it would do; [`Mode::On`] unless said.
    pub fn mode(mut self, mode: Mode) -> Guard {
        self.0.set("mode", word(mode));
        self
    }

    /// One more service that counts; those of the flag unless said, else those that have read it since they started.
    pub fn service(mut self, name: impl Into<String>) -> Guard {
        self.0.push("services", name.into());
        self
    }

    /// So many abnormal exits of one service; at least 1.
    pub fn crashes(mut self, crashes: u32) -> Guard {
        self.0.set("crashes", crashes);
        self
    }

    /// Within this time; not zero.
    pub fn within(mut self, within: Duration) -> Guard {
        self.0.set("within", within);
        self
    }

    /// How long a change is watched; at least twice [`within`](Guard::within).
    pub fn bake(mut self, bake: Duration) -> Guard {
        self.0.set("bake", bake);
        self
    }

    /// Whether a service that is not ready by its deadline after a restart is a reason, too; it is unless said.
    pub fn ready(mut self, counts: bool) -> Guard {
        self.0.set("ready", counts);
        self
    }

    /// So many failed health checks of one instance in a row are a reason, too; 0: none are. 3 unless said.
    pub fn health(mut self, failures: u32) -> Guard {
        self.0.set("health", failures);
        self
    }

    /// A share of errors that is more than `delta` percent points above that of before is a reason, when there are
    /// `samples` or more.
    pub fn errors(mut self, delta: f64, samples: u32) -> Guard {
        self.0.set_in("errors", "delta", delta);
        self.0.set_in("errors", "samples", samples);
        self
    }

    /// A command that judges: it ends with 0 for good, 1 for bad, 2 when it does not know. It runs in the tree's folder.
    pub fn command<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Guard {
        let words = words.into_iter().map(|word| Value::Text(word.into())).collect();
        self.0.set("command", Value::List(words));
        self
    }

    /// How often the command runs; at least 100 ms, 30 s unless said.
    pub fn every(mut self, every: Duration) -> Guard {
        self.0.set("every", every);
        self
    }

    /// How long it may take; at most [`every`](Guard::every).
    pub fn timeout(mut self, timeout: Duration) -> Guard {
        self.0.set("timeout", timeout);
        self
    }
}
