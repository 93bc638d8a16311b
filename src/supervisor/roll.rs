//! Rolling restarts: a few members at a time, and the next only when those before are as good as they get.
//!
//! Invariant: at most `at_once` members are away because of one roll. The first member that does not come
//! back ends it: those after it keep running what they run.

use super::facts::Facts;
use super::service::{Goal, Phase};
use super::spec::{ChildId, Incarnation};
use super::{Action, Report, Supervisor};
use crate::time::Instant;
use std::collections::VecDeque;

/// A rolling restart that is not over.
#[derive(Clone, Debug)]
pub(super) struct Roll {
    number: u32,
    /// Whose turn has not come, and the life that it had when the roll began.
    waiting: VecDeque<(ChildId, Incarnation)>,
    /// Who is being restarted, and the life that it had before.
    away: Vec<(ChildId, Incarnation)>,
    at_once: usize,
    done: u32,
}

/// What became of one that is being restarted.
enum Came {
    /// It is as good as it gets.
    Back,
    /// Not yet.
    NotYet,
    /// Its new life ended before that.
    Down,
    /// Somebody stopped or deleted it meanwhile: nobody waits for it.
    Away,
}

impl Supervisor {
    /// Restarts these children, at most `at_once` (at least one) at a time. Who does not run is passed over; who began
    /// a new life by itself meanwhile is not restarted again, only waited for.
    ///
    /// Answers with the number that [`Report::Rolled`] will bear.
    pub fn roll(
        &mut self,
        now: Instant,
        children: Vec<ChildId>,
        at_once: u32,
        actions: &mut Vec<Action>,
    ) -> u32 {
        if self.ended {
            return self.rolled;
        }
        self.turn(now, actions, |supervisor| supervisor.begin_roll(children, at_once))
    }

    pub(super) fn begin_roll(&mut self, children: Vec<ChildId>, at_once: u32) -> u32 {
        self.rolled = self.rolled.wrapping_add(1);
        let known = children.into_iter().filter(|child| self.is_child(*child));
        let waiting = known.map(|child| (child, self.incarnation(child))).collect();
        self.rolls.push(Roll {
            number: self.rolled,
            waiting,
            away: Vec::new(),
            at_once: at_once.max(1) as usize,
            done: 0,
        });
        self.rolled
    }

    /// Goes on with all rolls. True when somebody was restarted: then there is something to settle.
    pub(super) fn go_on_rolling(&mut self) -> bool {
        if self.rolls.is_empty() {
            return false;
        }
        let mut acted = false;
        let mut rolls = std::mem::take(&mut self.rolls);
        rolls.retain_mut(|roll| {
            let mut failed = self.look_after(roll);
            // Who is back already makes room for the next.
            while failed.is_none() && self.ending.is_none() && self.restart_next(roll, &mut acted) {
                failed = self.look_after(roll);
            }
            let over = failed.is_some() || self.ending.is_some() || roll.away.is_empty();
            if over {
                self.report(Report::Rolled { roll: roll.number, done: roll.done, failed });
            }
            !over
        });
        self.rolls = rolls;
        acted
    }

    /// Takes note of those that came back. Who did not, if there is one.
    fn look_after(&self, roll: &mut Roll) -> Option<ChildId> {
        let mut failed = None;
        let done = &mut roll.done;
        roll.away.retain(|(child, before)| match self.came(*child, *before) {
            Came::Back => {
                *done += 1;
                false
            }
            Came::NotYet => true,
            Came::Away => false,
            Came::Down => {
                failed.get_or_insert(*child);
                false
            }
        });
        failed
    }

    fn came(&self, child: ChildId, before: Incarnation) -> Came {
        let service = &self.services[child.0 as usize];
        let began = service.incarnation != before;
        match service.phase {
            _ if service.vacant || service.goal == Goal::Down => Came::Away,
            _ if began && self.nodes[child.0 as usize].facts.has(Facts::SATISFIED) => Came::Back,
            Phase::BackingOff { .. } | Phase::Clearing { .. } if began => Came::Down,
            // Its group gave up, or was done, before it could start.
            Phase::Idle(_) => Came::Down,
            Phase::Waiting if self.in_parked_group(child) => Came::Down,
            Phase::Stopping { failed: true, .. } => Came::Down,
            _ => Came::NotYet,
        }
    }

    /// It is the turn of those for whom there is room. False when there is nobody.
    fn restart_next(&mut self, roll: &mut Roll, acted: &mut bool) -> bool {
        let mut came = false;
        while roll.away.len() < roll.at_once
            && let Some((child, before)) = roll.waiting.pop_front()
        {
            came = true;
            let at = child.0 as usize;
            if !self.is_child(child) || !self.is_alive(at) || !self.desired(at) {
                continue;
            }
            roll.away.push((child, before));
            if self.services[at].incarnation == before {
                self.restart_child(at);
                *acted = true;
            }
        }
        came
    }

    /// The number of a child that is gone names another one now, which is in no roll.
    pub(super) fn leave_rolls(&mut self, child: usize) {
        for roll in &mut self.rolls {
            roll.waiting.retain(|(waits, _)| waits.0 as usize != child);
            roll.away.retain(|(away, _)| away.0 as usize != child);
        }
    }
}
