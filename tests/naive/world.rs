//! What is outside of the model's supervisors: the clock, which starts succeed, what was done, the mailbox.

use crate::death::{Death, last_words};
use std::collections::{HashMap, VecDeque};

/// How a start of a worker goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Works,
    Fails,
    /// "Nothing to run here" (A12).
    Ignores,
}

/// Which starts do not work: how, and how often.
#[derive(Clone, Debug, Default)]
pub(crate) struct Starts(HashMap<String, (Start, u32)>);

impl Starts {
    /// The next `times` starts of `name` go like this; and then they work again.
    pub(crate) fn set(&mut self, name: &str, how: Start, times: u32) {
        self.0.insert(name.to_owned(), (how, times));
    }

    pub(crate) fn next(&mut self, name: &str) -> Start {
        match self.0.get_mut(name) {
            Some((how, times)) if *times > 0 => {
                *times -= 1;
                *how
            }
            _ => Start::Works,
        }
    }
}

/// Every second name is of somebody who says when it is ready.
pub(crate) fn declares_readiness(name: &str) -> bool {
    name.bytes().map(usize::from).sum::<usize>().is_multiple_of(2)
}

/// A supervisor's notice to itself: try again to start the child with this tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) supervisor: u64,
    pub(crate) tag: u64,
}

/// The surroundings of the model.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// In nanoseconds.
    pub(crate) now: u64,
    pub(crate) starts: Starts,
    /// What was done: `a+3` a start (the third life), `a-` a stop signal, `a!` a SIGKILL.
    pub(crate) done: Vec<String>,
    /// What was reported: limits, auto-shutdowns, and who did not end as asked (I07, K09, K11).
    pub(crate) told: Vec<String>,
    /// In the order in which they were sent.
    pub(crate) mailbox: VecDeque<Notice>,
    /// Who will end by itself, and how, while the next stop is going on.
    pub(crate) struck: Option<(u64, Death)>,
    /// Who will end by itself, and how, while the next start waits for readiness.
    pub(crate) struck_in_start: Option<(String, Death)>,
    /// The newest life of each name.
    pub(crate) newest: HashMap<String, u64>,
    /// Who did so, in a supervisor that is busy: it handles that when it is done (C24).
    pub(crate) ended: Vec<(u64, Death)>,
    pub(crate) lives: u64,
    pub(crate) numbers: u64,
}

impl World {
    /// Starts a worker: which life it is, and how that went. A start that fails uses its number up.
    pub(crate) fn start(&mut self, name: &str) -> (u64, Start) {
        self.lives += 1;
        self.done.push(format!("{name}+{}", self.lives));
        let how = self.starts.next(name);
        if how == Start::Works && declares_readiness(name) {
            let struck = self.struck_in_start.take_if(|(other, _)| other != name);
            let newest = &self.newest;
            self.ended.extend(struck.and_then(|(other, death)| Some((*newest.get(&other)?, death))));
        }
        self.newest.insert(name.to_owned(), self.lives);
        (self.lives, how)
    }

    /// Stops the life `life` of a worker, and says how it ended. K10: who is dead already gets no signal.
    pub(crate) fn stop(&mut self, name: &str, life: u64, brutal: bool) -> Death {
        if let Some((_, death)) = self.ended.iter().find(|(other, _)| *other == life) {
            return *death;
        }
        self.done.push(format!("{name}{}", if brutal { '!' } else { '-' }));
        self.ended.extend(self.struck.take_if(|(other, _)| *other != life));
        if brutal { Death::Killed } else { last_words(life) }
    }

    /// A number that was not used before: of a start of a supervisor, or of a notice.
    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}
