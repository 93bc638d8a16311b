//! What was changed shortly before a death: the newest changes of flags and stages, in the order in which they were told.

use crate::ipc::control::{Event, What};
use crate::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// So many changes are remembered.
pub const REMEMBERED: usize = 64;
/// A change so long before a death is worth a word in its record.
pub const SHORTLY: Duration = Duration::from_secs(60);

/// A change before a death.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The flag, or the migration.
    pub flag: String,
    /// Before: a value, or `stage 1`.
    pub old: String,
    /// From then on.
    pub new: String,
    /// How long before the death it was told.
    pub before_ns: u64,
    /// The board's generation.
    pub generation: u64,
    /// Who.
    pub actor: String,
}

/// The newest changes, oldest first.
#[derive(Debug, Default)]
pub struct Changes(VecDeque<Event>);

impl Changes {
    /// Remembers it, if it is a change. One that is told again is the same one.
    pub fn remember(&mut self, event: &Event) {
        if !is_change(&event.what) || self.0.iter().any(|known| known.seq == event.seq) {
            return;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(event.clone());
    }

    /// The changes within [`SHORTLY`] before this moment of the monotonic clock, the last first.
    pub fn before(&self, at_ns: u64) -> Vec<Change> {
        let from = at_ns.saturating_sub(SHORTLY.as_nanos() as u64);
        let recent = self.0.iter().rev().filter(|event| (from..=at_ns).contains(&event.mono_ns));
        recent.filter_map(|event| change(event, at_ns - event.mono_ns)).collect()
    }
}

/// Whether this is a change that a service may die of.
pub fn is_change(what: &What) -> bool {
    matches!(what, What::FlagChanged { .. } | What::StageChanged { .. })
}

fn change(event: &Event, before_ns: u64) -> Option<Change> {
    let (old, new, generation, actor) = match &event.what {
        What::FlagChanged { old, new, generation, actor, .. } => {
            (old.clone(), new.clone(), *generation, actor)
        }
        What::StageChanged { from, to, stage_name, generation, actor, .. } => {
            (format!("stage {from}"), format!("stage {to} {stage_name}"), *generation, actor)
        }
        _ => return None,
    };
    Some(Change { flag: event.service.clone(), old, new, before_ns, generation, actor: actor.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Wall;

    const S: u64 = 1_000_000_000;

    fn event(seq: u64, flag: &str, at_ns: u64) -> Event {
        Event {
            seq,
            time: Wall(0),
            mono_ns: at_ns,
            service: flag.into(),
            instance: String::new(),
            incarnation: 0,
            what: What::FlagChanged {
                old: "off".into(),
                new: "on".into(),
                generation: seq + 100,
                actor: "ann".into(),
                reason: String::new(),
            },
        }
    }

    fn names(changes: &Changes, at_ns: u64) -> Vec<(String, u64)> {
        changes.before(at_ns).into_iter().map(|change| (change.flag, change.before_ns)).collect()
    }

    #[test]
    fn only_what_was_changed_within_a_minute_before_counts_and_the_last_is_first() {
        let mut changes = Changes::default();
        for (seq, flag, at) in
            [(1, "long ago", S), (2, "just so", 2 * S), (3, "late", 40 * S), (4, "after", 63 * S)]
        {
            changes.remember(&event(seq, flag, at));
        }
        assert_eq!(names(&changes, 62 * S), [("late".into(), 22 * S), ("just so".into(), 60 * S)]);
        assert_eq!(names(&changes, 0), []);
    }

    #[test]
    fn what_is_told_twice_is_remembered_once_and_the_oldest_go() {
        let mut changes = Changes::default();
        changes.remember(&event(1, "a", S));
        changes.remember(&event(1, "a", S));
        assert_eq!(names(&changes, S), [("a".into(), 0)]);
        for seq in 2..=REMEMBERED as u64 + 1 {
            changes.remember(&event(seq, "b", S));
        }
        assert!(!names(&changes, S).iter().any(|(flag, _)| flag == "a"));
        assert_eq!(changes.before(S).len(), REMEMBERED);
    }

    #[test]
    fn a_stage_is_a_change_too_and_other_news_are_none() {
        let mut changes = Changes::default();
        let stage = What::StageChanged {
            from: 1,
            to: 2,
            stage_name: "telemetry".into(),
            generation: 9,
            actor: "ann".into(),
            reason: String::new(),
        };
        changes.remember(&Event { what: stage, ..event(1, "otp", S) });
        changes.remember(&Event { what: What::Proven { generation: 9 }, ..event(2, "otp", S) });
        let told = changes.before(S);
        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].old.as_str(), told[0].new.as_str(), told[0].generation),
            ("stage 1", "stage 2 telemetry", 9)
        );
    }
}
