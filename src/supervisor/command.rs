//! What operators want, at any moment and any number of times.
//!
//! Invariant: a command moves goals and forgets limits; it never starts or signals anything itself (settling
//! does). Starts by command count nowhere (I09).

use super::facts::Facts;
use super::group::{Phase, Then};
use super::service::{self, Goal};
use super::spec::Node;
use super::{Command, End, Supervisor};

impl Supervisor {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Start(node) => self.with(node, Supervisor::start),
            Command::Stop(node) => self.with(node, Supervisor::want_down),
            Command::Restart(node) => self.with(node, Supervisor::restart),
            Command::Shutdown => self.end(End::Shutdown),
            Command::Hurry => {
                self.end(End::Shutdown);
                self.hurry_up();
            }
        }
    }

    fn with(&mut self, name: Node, act: impl Fn(&mut Supervisor, usize)) {
        if let Some(node) = self.shape.node(name)
            && self.ending.is_none()
        {
            act(self, node);
        }
    }

    /// Wanted up, with all that it needs, and what that needs.
    fn start(&mut self, node: usize) {
        let mut seen = vec![false; self.nodes.len()];
        let mut wanted = vec![node];
        seen[node] = true;
        while let Some(node) = wanted.pop() {
            self.want_up(node);
            for at in self.shape.below(node) {
                let child = self.shape.order[at] as usize;
                for at in self.shape.needs.range(child) {
                    let needed = self.shape.needs.item(at);
                    if !std::mem::replace(&mut seen[needed], true) {
                        wanted.push(needed);
                    }
                }
            }
        }
    }

    fn want_up(&mut self, node: usize) {
        for at in self.shape.below(node) {
            let child = self.shape.order[at] as usize;
            self.want_child_up(child);
        }
        if let Some(group) = self.shape.as_group(node) {
            for at in self.shape.inner(group) {
                let inner = self.shape.groups_in_order[at] as usize;
                self.revive(inner);
                self.line_up(inner, 0);
            }
        }
        self.revive_above(node);
    }

    fn revive_above(&mut self, node: usize) {
        let above: Vec<usize> = self.shape.above(node).collect();
        for group in above.into_iter().rev() {
            self.revive(group);
        }
    }

    fn want_child_up(&mut self, child: usize) {
        let service = &mut self.services[child];
        if service.goal == Goal::Parked || service.not_before.is_some() {
            self.nodes[child].window.clear();
            self.nodes[child].attempt = 0;
        }
        let service = &mut self.services[child];
        service.commanded |= service.goal != Goal::Up && !service.phase.alive();
        service.not_before = None;
        self.set_goal(child, Goal::Up);
    }

    /// What holds members of `group` down ends now, not at its time.
    fn revive(&mut self, group: usize) {
        let node = self.shape.group_node(group);
        match self.groups[group].phase {
            Phase::GaveUp => {
                self.forget(node);
                self.begin_afresh(group);
            }
            Phase::BackingOff { from, fresh, .. } => {
                self.forget(node);
                if fresh {
                    self.begin_afresh(group);
                } else {
                    self.let_go(group, from as usize);
                }
            }
            Phase::Falling { from, remaining, then: Then::Restart(Some(_)) } => {
                self.set_group_phase(group, Phase::Falling { from, remaining, then: Then::Restart(None) });
            }
            Phase::Falling { from, remaining, then: Then::Park } => {
                self.set_group_phase(group, Phase::Falling { from, remaining, then: Then::Fresh });
            }
            Phase::Open | Phase::Falling { .. } => {}
        }
    }

    fn forget(&mut self, node: usize) {
        self.nodes[node].window.clear();
        self.nodes[node].attempt = 0;
    }

    /// Wanted down until somebody starts it.
    fn want_down(&mut self, node: usize) {
        for at in self.shape.below(node).rev() {
            self.set_goal(self.shape.order[at] as usize, Goal::Down);
        }
        let Some(group) = self.shape.as_group(node) else { return };
        for at in self.shape.inner(group) {
            let inner = self.shape.groups_in_order[at] as usize;
            match self.groups[inner].phase {
                Phase::Open => {}
                Phase::Falling { from, remaining, .. } => {
                    self.set_group_phase(inner, Phase::Falling { from, remaining, then: Then::Rest });
                }
                Phase::BackingOff { .. } | Phase::GaveUp => self.open(inner),
            }
        }
    }

    /// Stopped, then started; what was stopped by command before stays so, unless nothing else is in it.
    fn restart(&mut self, node: usize) {
        let wanted = |child: u32| self.services[child as usize].goal != Goal::Down;
        if !self.shape.order[self.shape.below(node)].iter().any(|child| wanted(*child)) {
            self.start(node);
            return;
        }
        match self.shape.as_group(node) {
            None => self.restart_child(node),
            Some(group) => self.restart_group(group),
        }
    }

    fn restart_child(&mut self, child: usize) {
        if self.nodes[child].facts.has(Facts::ALIVE) {
            let dying = matches!(self.services[child].phase, service::Phase::Clearing { .. });
            self.services[child].bounce = !dying;
        }
        self.start(child);
        self.touch(child);
    }

    fn restart_group(&mut self, group: usize) {
        let node = self.shape.group_node(group);
        self.forget(node);
        for at in self.shape.below(node) {
            let child = self.shape.order[at] as usize;
            if self.services[child].goal != Goal::Down {
                self.want_child_up(child);
            }
        }
        for at in self.shape.inner(group) {
            let inner = self.shape.groups_in_order[at] as usize;
            if self.groups[inner].phase == Phase::GaveUp {
                self.revive(inner);
            }
        }
        self.revive_above(node);
        self.fall(group, 0, Then::Fresh);
    }
}
