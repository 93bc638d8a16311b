//! One moment for each of many children, the next one at hand. Pure.

use crate::supervisor::spec::ChildId;
use crate::time::Instant;
use std::collections::{BTreeSet, HashMap};

/// Moments by child.
#[derive(Debug, Default)]
pub struct Alarms {
    order: BTreeSet<(Instant, u32)>,
    at: HashMap<u32, Instant>,
}

impl Alarms {
    /// At this moment, and no other.
    pub fn set(&mut self, child: ChildId, at: Instant) {
        self.clear(child);
        self.at.insert(child.0, at);
        self.order.insert((at, child.0));
    }

    /// Whether it has one.
    pub fn has(&self, child: ChildId) -> bool {
        self.at.contains_key(&child.0)
    }

    /// At none.
    pub fn clear(&mut self, child: ChildId) {
        if let Some(at) = self.at.remove(&child.0) {
            self.order.remove(&(at, child.0));
        }
    }

    /// The next moment of anybody.
    pub fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// A child whose moment has come; it has none then.
    pub fn due(&mut self, now: Instant) -> Option<ChildId> {
        let (_, child) = self.order.first().filter(|(at, _)| *at <= now)?;
        let child = ChildId(*child);
        self.clear(child);
        Some(child)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_child_has_one_moment_and_the_earliest_is_due_first() {
        let at = Instant::from_nanos;
        let mut alarms = Alarms::default();
        assert_eq!((alarms.next(), alarms.due(at(9))), (None, None));
        alarms.set(ChildId(1), at(5));
        alarms.set(ChildId(2), at(5));
        alarms.set(ChildId(3), at(2));
        alarms.set(ChildId(3), at(7));
        alarms.clear(ChildId(2));
        assert_eq!(alarms.next(), Some(at(5)));
        assert_eq!(alarms.due(at(4)), None);
        assert_eq!(
            (alarms.due(at(7)), alarms.due(at(7)), alarms.due(at(7))),
            (Some(ChildId(1)), Some(ChildId(3)), None)
        );
    }
}
