//! Two groups of the same name. A group has no process, so everything about it is in place.

use super::value::{self, Reasons};
use super::{Difference, Sides};
use crate::config::Plan;
use crate::config::declared::Member;
use crate::supervisor::spec::{Group, GroupId};
use std::collections::HashSet;

impl Sides<'_> {
    /// The outermost groups, whose names are those of the projects.
    pub(super) fn root(&self, found: &mut Vec<Difference>) {
        let (Some(old), Some(new)) = (self.old.tree.groups.first(), self.new.tree.groups.first()) else {
            return;
        };
        let mut why = self.group(0, 0);
        if old.name != new.name {
            why.takes_effect("name", format!("renamed from {} to {}", old.name, new.name));
        }
        found.extend(why.difference(&format!("@{}", new.name)));
    }

    /// The groups at these places.
    pub(super) fn group(&self, old: usize, new: usize) -> Reasons {
        let mut why = Reasons::default();
        let (before, after) = (&self.old.tree.groups[old], &self.new.tree.groups[new]);
        if let (Some(from), Some(to)) = (before.parent, after.parent) {
            self.moved(&mut why, from, to);
        }
        why.in_place("strategy", &strategy(before), &strategy(after), String::clone);
        if let (Some(before), Some(after)) = (before.pool, after.pool) {
            why.in_place("max_children", &before.max_children, &after.max_children, value::option);
        }
        let window = |window: &_| value::window(window, "none");
        why.in_place("intensity", &before.intensity, &after.intensity, window);
        why.in_place("on_limit", &before.on_limit, &after.on_limit, value::on_limit);
        why.in_place("semantics", &semantics(before), &semantics(after), |s| (*s).to_owned());
        why.in_place("auto_shutdown", &before.auto_shutdown, &after.auto_shutdown, value::auto_shutdown);
        why.in_place("restart policy", &before.restart, &after.restart, value::policy);
        why.in_place("restart policy", &before.limit, &after.limit, |l| value::window(l, "unlimited"));
        why.backoff(&before.backoff, &after.backoff);
        why.in_place("significant", &before.significant, &after.significant, bool::to_string);
        if self.reordered(old, new) {
            why.takes_effect("members", "order of members changed".to_owned());
        }
        why
    }

    /// "moved from group a to b"
    pub(super) fn moved(&self, why: &mut Reasons, from: GroupId, to: GroupId) {
        let (from, to) = (from.0 as usize, to.0 as usize);
        let (before, after) = (&self.old.tree.groups[from], &self.new.tree.groups[to]);
        let same = if from == 0 || to == 0 { from == to } else { before.name == after.name };
        if !same {
            why.takes_effect("group", format!("moved from group {} to {}", before.name, after.name));
        }
    }

    /// Whether those that are in both stand in another order; newcomers and leavers are named elsewhere.
    fn reordered(&self, old: usize, new: usize) -> bool {
        let (before, after) = (member_names(self.old, old), member_names(self.new, new));
        let (was, is): (HashSet<_>, HashSet<_>) = (before.iter().collect(), after.iter().collect());
        let stayed = before.iter().filter(|member| is.contains(member));
        !stayed.eq(after.iter().filter(|member| was.contains(member)))
    }
}

/// A service and a group may have the same name.
fn member_names(plan: &Plan, group: usize) -> Vec<(bool, &str)> {
    let name = |member: &Member| match *member {
        Member::Service(service) => (false, plan.declared.services[service as usize].name.as_str()),
        Member::Group(group) => (true, plan.tree.groups[group.0 as usize].name.as_str()),
    };
    plan.declared.members[group].iter().map(name).collect()
}

fn strategy(group: &Group) -> String {
    if group.pool.is_some() { "pool".to_owned() } else { value::strategy(group.strategy) }
}

fn semantics(group: &Group) -> &'static str {
    match (group.otp, group.whole_seconds) {
        (false, _) => "mainstay",
        (true, false) => "otp",
        (true, true) => "otp-seconds",
    }
}
