//! The few low descriptor numbers through which a child gets its descriptors.
//!
//! A child that begins with a copy of our table pays for every descriptor we hold, once when it is made and
//! once more when exec closes them: with 4000 of them a start takes twice as long. So it begins in *our*
//! table and leaves it by one call that copies only what stands below a number of our choice
//! (`CLOSE_RANGE_UNSHARE`). What it needs is put there first, under numbers that we hold for this alone.
//!
//! Nothing stays lent: a number that went on holding a service's pipe or a built-in's line would keep that open
//! after everybody else had closed it, and nobody would see its end.

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{DupFlags, dup3, fcntl_dupfd_cloexec};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// How many are held from the beginning, while low ones are free: stdio, a program, and a built-in's own.
const HELD: usize = 12;

/// Not lower than this, so that they are rarely in the way of what a child wants at 3, 4, 5 and so on.
const LOWEST: i32 = 16;

/// Numbers held to be lent.
#[derive(Default)]
pub(super) struct Reserve {
    /// What stands at a number that is not lent: something that nobody waits for.
    idle: Option<OwnedFd>,
    /// Ascending.
    numbers: Vec<OwnedFd>,
    /// How many of them are lent, from the lowest on.
    lent: usize,
    /// The kernel, or a filter before it, does not let a child leave our table.
    useless: bool,
}

impl Reserve {
    /// Sees that this many can be lent. Where they cannot (no descriptors are left) none is taken, which
    /// the child's own would need: it gets a copy of the table.
    pub(super) fn hold(&mut self, count: usize) {
        let held = self.numbers.len();
        if self.useless || count <= held {
            return;
        }
        self.idle = self.idle.take().or_else(|| eventfd(0, EventfdFlags::CLOEXEC).ok());
        let Some(idle) = &self.idle else { return };
        self.numbers.reserve(count - held);
        while self.numbers.len() < count {
            let Ok(number) = fcntl_dupfd_cloexec(idle, LOWEST) else {
                self.numbers.truncate(held);
                break;
            };
            self.numbers.push(number);
        }
        if self.numbers.is_empty() {
            self.idle = None;
        }
        // One that was closed since may be below those that were held.
        self.numbers.sort_unstable_by_key(AsRawFd::as_raw_fd);
    }

    /// Holds what nearly every child needs. The sooner the lower, and the less that is copied for nothing
    /// stands below them.
    pub(super) fn begin(&mut self) {
        self.hold(HELD);
    }

    /// Lends a number to `source` until [`Reserve::take_back`]; `None` when there is none left.
    pub(super) fn lend(&mut self, source: impl AsFd) -> Option<i32> {
        let number = self.numbers.get_mut(self.lent)?;
        dup3(source, number, DupFlags::CLOEXEC).ok()?;
        self.lent += 1;
        Some(number.as_raw_fd())
    }

    /// The first number that a child does not need: above the standard ones and all that are lent. `None`: it
    /// cannot leave our table.
    pub(super) fn first_other(&self) -> Option<u32> {
        let highest = self.lent.checked_sub(1).map_or(2, |last| self.numbers[last].as_raw_fd().max(2));
        (!self.useless).then_some(highest as u32 + 1)
    }

    /// Nothing is lent any more.
    pub(super) fn take_back(&mut self) {
        let Some(idle) = &self.idle else { return };
        for number in &mut self.numbers[..self.lent] {
            // It fails for no numbers that are open; if it did, closing them would be the way out.
            let _ = dup3(idle, number, DupFlags::CLOEXEC);
        }
        self.lent = 0;
    }

    /// Whether [`Reserve::give_up`] was said.
    pub(super) fn given_up(&self) -> bool {
        self.useless
    }

    /// A child could not leave our table: from now on each gets a copy.
    pub(super) fn give_up(&mut self) {
        *self = Reserve { useless: true, ..Reserve::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_was_lent_is_closed_when_it_is_taken_back() {
        let (mut read, write) = std::io::pipe().unwrap();
        let mut reserve = Reserve::default();
        reserve.hold(2);
        let numbers = [reserve.lend(&write).unwrap(), reserve.lend(&write).unwrap()];
        assert!(numbers.is_sorted() && numbers[0] >= LOWEST, "{numbers:?}");
        assert_eq!(reserve.first_other(), Some(numbers[1] as u32 + 1));
        drop(write);
        reserve.take_back();
        assert_eq!(read.read(&mut [0]).unwrap(), 0, "nobody holds the other end");
        assert_eq!(reserve.first_other(), Some(3));
    }

    #[test]
    fn more_than_are_held_are_not_lent_until_more_are_held() {
        let (_read, write) = std::io::pipe().unwrap();
        let mut reserve = Reserve::default();
        assert_eq!(reserve.lend(&write), None);
        reserve.begin();
        let numbers: Vec<i32> = std::iter::from_fn(|| reserve.lend(&write)).collect();
        assert_eq!(numbers.len(), HELD);
        reserve.take_back();
        reserve.hold(HELD + 5);
        let more: Vec<i32> = std::iter::from_fn(|| reserve.lend(&write)).collect();
        assert_eq!(more.len(), HELD + 5);
        assert!(
            more.is_sorted() && numbers.iter().all(|number| more.contains(number)),
            "{numbers:?} {more:?}"
        );
        reserve.give_up();
        reserve.hold(1);
        assert_eq!((reserve.lend(&write), reserve.first_other()), (None, None));
    }
}
