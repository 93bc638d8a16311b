//! Deaths that the logger has not recorded yet: what a new logger is told of again.
//!
//! Invariant: a death is forgotten when it is recorded, not before, and a black box with it; when too many wait the
//! oldest goes, and is counted.

use crate::ipc::builtin::{Death, ToLogger};
use crate::sys::pidfd::Usage;
use crate::time::Duration;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// So many unrecorded deaths are remembered for a logger that cannot record them.
const DEATHS: usize = 20_000;
/// The memory of so many recorded deaths is kept: nothing is allocated between an exit and the next exec.
const SPARE: usize = 16;

/// A death that the logger has not yet recorded, with its black box if there is something in it.
pub struct Unrecorded {
    pub death: ToLogger,
    pub seq: u64,
    pub blackbox: Option<Arc<OwnedFd>>,
}

/// Deaths that the logger has not yet recorded.
#[derive(Default)]
pub struct Deaths {
    waiting: VecDeque<Unrecorded>,
    /// How many of those have a black box.
    boxes: usize,
    /// Crash records that could not be written.
    pub unwritten: u64,
    next: u64,
    /// What the life used that is being buried, and the pid it had.
    pub usage: Usage,
    /// See `usage`.
    pub pid: u32,
    /// See `usage`: how long it lived.
    pub lived: Duration,
    /// Deaths that were forgotten because too many waited.
    forgotten: u64,
    /// Recorded ones, whose memory is used again.
    spare: Vec<Death>,
}

impl Deaths {
    /// Those that wait, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Unrecorded> {
        self.waiting.iter()
    }

    /// The number of the next one.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Memory for its words.
    pub fn room(&mut self) -> Death {
        self.spare.pop().unwrap_or_default()
    }

    /// How many were forgotten since the last call.
    pub fn take_forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten)
    }

    /// How many black boxes are kept for the logger.
    pub fn boxes(&self) -> usize {
        self.boxes
    }

    /// One more.
    pub fn push(&mut self, death: Unrecorded) {
        self.boxes += usize::from(death.blackbox.is_some());
        self.waiting.push_back(death);
        if self.waiting.len() > DEATHS {
            self.pop();
            self.forgotten += 1;
        }
    }

    fn pop(&mut self) {
        let Some(popped) = self.waiting.pop_front() else { return };
        self.boxes -= usize::from(popped.blackbox.is_some());
        if let ToLogger::Death(death) = popped.death
            && self.spare.len() < SPARE
        {
            self.spare.push(death);
        }
    }

    /// All deaths up to the number `seq` are recorded.
    pub fn recorded(&mut self, seq: u64) {
        while self.waiting.front().is_some_and(|death| death.seq <= seq) {
            self.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(deaths: &mut Deaths, blackbox: Option<Arc<OwnedFd>>) {
        let seq = deaths.number();
        let death = Death { seq, ..deaths.room() };
        deaths.push(Unrecorded { death: ToLogger::Death(death), seq, blackbox });
    }

    fn numbers(deaths: &Deaths) -> Vec<u64> {
        deaths.waiting().map(|death| death.seq).collect()
    }

    #[test]
    fn what_is_recorded_is_forgotten_and_nothing_else() {
        let mut deaths = Deaths::default();
        let one = Arc::new(OwnedFd::from(tempfile::tempfile().unwrap()));
        for blackbox in [None, Some(one.clone()), None, Some(one.clone())] {
            push(&mut deaths, blackbox);
        }
        assert_eq!((numbers(&deaths), deaths.boxes()), (vec![1, 2, 3, 4], 2));
        deaths.recorded(2);
        assert_eq!((numbers(&deaths), deaths.boxes()), (vec![3, 4], 1));
        // A logger that died before it said so has it said again.
        deaths.recorded(1);
        assert_eq!(numbers(&deaths), [3, 4]);
        deaths.recorded(9);
        assert_eq!((numbers(&deaths), deaths.boxes(), Arc::strong_count(&one)), (vec![], 0, 1));
        assert_eq!(deaths.take_forgotten(), 0);
    }

    #[test]
    fn when_too_many_wait_the_oldest_go_and_are_counted() {
        let mut deaths = Deaths::default();
        (0..DEATHS + 3).for_each(|_| push(&mut deaths, None));
        assert_eq!(numbers(&deaths), (4..=DEATHS as u64 + 3).collect::<Vec<_>>());
        assert_eq!((deaths.take_forgotten(), deaths.take_forgotten()), (3, 0));
    }
}
