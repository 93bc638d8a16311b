//! What was changed shortly before a death: the newest changes of flags, of stages and of the file, in the order in which
//! they were told.

use crate::ipc::control::{Event, What};
use crate::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// So many changes are remembered.
pub const REMEMBERED: usize = 64;
/// A change so long before a death is worth a word in its record.
pub const SHORTLY: Duration = Duration::from_secs(60);

/// What kind of change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeOf {
    /// A flag has another value.
    #[default]
    Flag,
    /// A migration stands at another stage.
    Stage,
    /// The file was read again, or services were scaled.
    Reload,
}

/// A change before a death.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    /// Of what.
    pub kind: ChangeOf,
    /// The flag, or the migration; of a reload `file`, `program`, or what was scaled: `web=8`.
    pub name: String,
    /// Before: a value, or `stage 1`; of a reload empty.
    pub old: String,
    /// From then on; of a reload what it came to: `1 in place, 2 restarted`.
    pub new: String,
    /// How long before the death it was told.
    pub before_ns: u64,
    /// The board's generation; 0 of a reload.
    pub generation: u64,
    /// Who; empty of a reload.
    pub actor: String,
    /// Of a reload: the keys of the service that died, `worker.env.DB_HOST`. None: it was about others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
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

    /// The changes within [`SHORTLY`] before this moment of the monotonic clock, at which this service died, the last
    /// first.
    pub fn before(&self, service: &str, at_ns: u64) -> Vec<Change> {
        let from = at_ns.saturating_sub(SHORTLY.as_nanos() as u64);
        let recent = self.0.iter().rev().filter(|event| (from..=at_ns).contains(&event.mono_ns));
        recent.filter_map(|event| change(event, service, at_ns - event.mono_ns)).collect()
    }
}

/// Whether this is a change that a service may die of.
pub fn is_change(what: &What) -> bool {
    matches!(what, What::FlagChanged { .. } | What::StageChanged { .. } | What::Reloaded { .. })
}

/// Those of these places in the file that are about this service.
pub fn keys_of<'a>(service: &'a str, paths: &'a [String]) -> impl Iterator<Item = &'a String> {
    paths.iter().filter(move |path| {
        path.strip_prefix(service).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

fn change(event: &Event, service: &str, before_ns: u64) -> Option<Change> {
    let change = match &event.what {
        What::FlagChanged { old, new, generation, actor, .. } => Change {
            kind: ChangeOf::Flag,
            name: event.service.clone(),
            old: old.clone(),
            new: new.clone(),
            generation: *generation,
            actor: actor.clone(),
            ..Change::default()
        },
        What::StageChanged { from, to, stage_name, generation, actor, .. } => Change {
            kind: ChangeOf::Stage,
            name: event.service.clone(),
            old: format!("stage {from}"),
            new: format!("stage {to} {stage_name}"),
            generation: *generation,
            actor: actor.clone(),
            ..Change::default()
        },
        What::Reloaded { added, removed, restarted, in_place, from, paths } => {
            let counts = [
                (*added, "added"),
                (*removed, "removed"),
                (*restarted, "restarted"),
                (*in_place, "in place"),
            ];
            let counts = counts.iter().filter(|(count, _)| *count > 0);
            let counts: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
            Change {
                kind: ChangeOf::Reload,
                name: from.clone(),
                new: counts.join(", "),
                keys: keys_of(service, paths).cloned().collect(),
                ..Change::default()
            }
        }
        _ => return None,
    };
    Some(Change { before_ns, ..change })
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
        changes.before("web", at_ns).into_iter().map(|change| (change.name, change.before_ns)).collect()
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
        assert_eq!(changes.before("web", S).len(), REMEMBERED);
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
        let told = changes.before("web", S);
        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].old.as_str(), told[0].new.as_str(), told[0].generation),
            ("stage 1", "stage 2 telemetry", 9)
        );
    }

    #[test]
    fn of_a_reload_each_service_is_told_its_own_keys() {
        let mut changes = Changes::default();
        let paths = ["web.env.DB_HOST", "web.stop.grace", "web2.command", "@app.strategy", "mailer"];
        let reload = What::Reloaded {
            added: 1,
            removed: 0,
            restarted: 2,
            in_place: 1,
            from: "file".into(),
            paths: paths.map(String::from).to_vec(),
        };
        changes.remember(&Event { what: reload, ..event(1, "", S) });
        let keys = |service: &str| changes.before(service, 2 * S)[0].keys.clone();
        assert_eq!(keys("web"), ["web.env.DB_HOST", "web.stop.grace"]);
        assert_eq!(keys("mailer"), ["mailer"]);
        assert_eq!(keys("db"), [""; 0]);
        let told = &changes.before("db", 2 * S)[0];
        assert_eq!((told.kind, told.new.as_str()), (ChangeOf::Reload, "1 added, 2 restarted, 1 in place"));
    }
}
