//! A cause of failures was taken away ([`super::Command::Fresh`]): what failed is tried again with an empty budget.
//!
//! Invariant: nobody is started whom somebody stopped, or whose work is done; and nothing is counted. It is not a
//! command to start: a start that fails afterwards is a failed restart like any other.

use super::Supervisor;
use super::group::{Phase, Then, Why};
use super::service::Goal;

impl Supervisor {
    /// All below `node`, and the groups above it: a budget that is used up higher up would end them all the same.
    pub(super) fn begin_with_a_fresh_budget(&mut self, node: usize) {
        let above: Vec<usize> = self.shape.above(node).collect();
        self.each_below(node, Supervisor::forgive_child);
        if let Some(group) = self.shape.as_group(node) {
            self.each_inner(group, &mut Supervisor::forgive_group);
        }
        for group in above.into_iter().rev() {
            self.forgive_group(group);
        }
    }

    fn forgive_child(&mut self, child: usize) {
        let service = &self.services[child];
        if service.doomed || !matches!(service.goal, Goal::Up | Goal::Parked) || self.has_nothing_to_do(child)
        {
            return;
        }
        self.forget(child);
        // Under OTP semantics a retry is due at the next deadline: at once, and it takes along whoever waits behind it.
        if self.nodes[child].retry.is_none() {
            self.services[child].not_before = None;
            self.set_goal(child, Goal::Up);
        }
    }

    /// Whether the work of a group around `node` is done.
    fn has_nothing_to_do(&self, node: usize) -> bool {
        self.shape.above(node).any(|group| self.groups[group].phase == Phase::Closed(Why::Finished))
    }

    fn forgive_group(&mut self, group: usize) {
        if self.groups[group].stopped || self.has_nothing_to_do(self.shape.group_node(group)) {
            return;
        }
        self.forget(self.shape.group_node(group));
        self.groups[group].window.clear();
        match self.groups[group].phase {
            Phase::Closed(Why::GaveUp) | Phase::BackingOff { .. } => self.revive(group),
            Phase::Falling { remaining, then: Then::Restart(Some(_)) } => {
                self.set_group_phase(group, Phase::Falling { remaining, then: Then::Restart(None) });
            }
            // It has not given up yet: its last members are still going down.
            Phase::Falling { remaining, then: Then::Park | Then::End(super::End::LimitReached(_)) } => {
                self.set_group_phase(group, Phase::Falling { remaining, then: Then::Fresh });
            }
            Phase::Open | Phase::Falling { .. } | Phase::Closed(Why::Finished) => {}
        }
        self.refresh_group(group);
    }
}
