//! Who is told of every instance, life and black box: the keeper and telemetry.
//!
//! Invariant: nothing waits for them, and nothing piles up while one does not listen. What one has not been told is a list
//! of children, each at most once, and a few boxes; the words are made when its line takes them, so a life that is over by
//! then is not told at all, and its black box is not held. One that is not there is told nothing: its next life hears of
//! everything from the beginning.
//!
//! Telemetry takes what is *in* the boxes, so for it those of lives that ended are kept until it has drained them: the newest
//! [`KEPT`], if anything was written into them. What must be let go is counted, and told.

use super::Driver;
use super::boxes::OWN_PAGE;
use super::roster::Builtin;
use crate::ipc::builtin::{ToKeeper, ToTelemetry, Told};
use crate::supervisor::spec::{ChildId, Incarnation};
use crate::sys::memory;
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// So many messages wait in a line; what else there is to say waits as numbers.
pub(super) const AHEAD: usize = 64;
/// So many numbers may wait, beside two for each instance, before ends of lives are left out.
const BEHIND: usize = 1024;
/// So many boxes of lives that ended are kept for telemetry.
const KEPT: usize = 64;

/// Somebody who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Who has seen which flag, how many errors were counted.
    Keeper,
    /// Spans and events.
    Telemetry,
}

/// All of them.
pub const LISTENERS: [Listener; 2] = [Listener::Keeper, Listener::Telemetry];

impl Listener {
    fn builtin(self) -> Builtin {
        match self {
            Listener::Keeper => Builtin::Keeper,
            Listener::Telemetry => Builtin::Telemetry,
        }
    }
}

/// Something to say to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Instance(ChildId),
    Life(ChildId),
    Ended(ChildId, Incarnation),
    Gone(ChildId),
    Begin,
}

/// What each has not been told, and what is kept for telemetry.
#[derive(Default)]
pub struct Audience {
    news: [VecDeque<News>; LISTENERS.len()],
    kept: VecDeque<Kept>,
    /// Boxes that were let go since telemetry was told so.
    let_go: u64,
}

/// The box of a life that ended.
struct Kept {
    child: ChildId,
    incarnation: Incarnation,
    pid: u32,
    service: String,
    instance: String,
    memory: Arc<OwnedFd>,
    /// This life of telemetry knows of it.
    told: bool,
}

impl Driver {
    /// Before a new life of a listener: nothing that was said to the last one holds.
    pub(super) fn tell_everything(&mut self, to: Listener) {
        let news = &mut self.audience.news[to as usize];
        news.clear();
        let users = self.roster.users(&self.core);
        news.extend(users.iter().copied().map(News::Instance));
        for child in users {
            let slot = &mut self.slots[child.0 as usize];
            slot.untold[to as usize] = slot.blackbox.is_some() || slot.life.is_some();
            if slot.untold[to as usize] {
                news.push_back(News::Life(child));
            }
            if let Some(of) = &slot.blackbox
                && slot.life.as_ref().is_none_or(|life| life.reaped)
            {
                news.push_back(News::Ended(child, of.incarnation));
            }
        }
        if to == Listener::Telemetry {
            for kept in &mut self.audience.kept {
                let newest = self.slots.get(kept.child.0 as usize).and_then(|slot| slot.blackbox.as_ref());
                // The newest life of an instance is told as such.
                kept.told = newest.is_some_and(|of| of.incarnation == kept.incarnation)
                    && self.roster.instance(kept.child) == kept.instance;
            }
        }
        news.push_back(News::Begin);
    }

    /// Whether there is somebody to be told anything.
    fn listens(&self, to: Listener) -> bool {
        self.link(to.builtin()).is_some()
            && self
                .roster
                .child_of(to.builtin())
                .and_then(|child| self.slots[child.0 as usize].life.as_ref())
                .is_some_and(|life| !life.reaped)
    }

    fn tell_all(&mut self, child: ChildId, news: News) {
        if self.roster.builtin(child).is_some() {
            return;
        }
        for to in LISTENERS {
            if self.listens(to) {
                self.audience.news[to as usize].push_back(news);
            }
        }
    }

    /// A child is there from now on.
    pub(super) fn tell_of_instance(&mut self, child: ChildId) {
        self.tell_all(child, News::Instance(child));
    }

    /// A child is gone.
    pub(super) fn tell_of_end(&mut self, child: ChildId) {
        self.tell_all(child, News::Gone(child));
    }

    /// A life has begun, before anything that happened in it is told.
    pub(super) fn tell_of_life(&mut self, child: ChildId) {
        for to in LISTENERS {
            if self.listens(to) && !std::mem::replace(&mut self.slot(child).untold[to as usize], true) {
                self.audience.news[to as usize].push_back(News::Life(child));
            }
        }
    }

    /// A life has ended. A listener that is far behind is not told of each: the next life of the same instance says enough.
    pub(super) fn tell_of_death(&mut self, child: ChildId, incarnation: Incarnation, pid: u32) {
        if self.roster.builtin(child).is_some() {
            return;
        }
        self.keep_for_telemetry(child, incarnation, pid);
        for to in LISTENERS {
            let is_behind = self.audience.news[to as usize].len() > 2 * self.slots.len() + BEHIND;
            if self.listens(to) && !is_behind {
                self.audience.news[to as usize].push_back(News::Ended(child, incarnation));
            }
        }
    }

    fn keep_for_telemetry(&mut self, child: ChildId, incarnation: Incarnation, pid: u32) {
        let slot = &self.slots[child.0 as usize];
        let Some(of) = slot.blackbox.as_ref().filter(|of| of.incarnation == incarnation) else { return };
        if !self.telemetry_wanted
            || memory::touched(of.memory.as_fd()).is_ok_and(|touched| touched <= OWN_PAGE)
        {
            return;
        }
        let kept = Kept {
            child,
            incarnation,
            pid,
            service: self.roster.service(child).to_owned(),
            instance: self.roster.instance(child).to_owned(),
            memory: of.memory.clone(),
            told: self.listens(Listener::Telemetry) && !slot.untold[Listener::Telemetry as usize],
        };
        if self.audience.kept.len() == KEPT {
            self.audience.kept.pop_front();
            self.audience.let_go += 1;
        }
        self.audience.kept.push_back(kept);
    }

    /// Telemetry has everything that this life left.
    pub(super) fn on_drained(&mut self, child: u32, incarnation: u64) {
        let is_it = |kept: &Kept| (kept.child.0, kept.incarnation.0) == (child, incarnation);
        self.audience.kept.retain(|kept| !is_it(kept));
    }

    /// Tells a listener what there is to tell, as far as its line takes it; `more` says what is of no concern to others.
    pub(super) fn tell_listener(&mut self, to: Listener, more: impl Fn(&mut Driver) -> bool) {
        loop {
            let Some(link) = self.link_mut(to.builtin()) else { return };
            if link.messages() < AHEAD && (self.say_to(to) || more(self)) {
                continue;
            }
            let Some(link) = self.link_mut(to.builtin()) else { return };
            // Full: it will become writable, which wakes the loop.
            if link.messages() < AHEAD || link.flush() {
                return;
            }
        }
    }

    /// Tells telemetry.
    pub(super) fn tell_telemetry(&mut self) {
        if self.listens(Listener::Telemetry) {
            self.tell_listener(Listener::Telemetry, Driver::say_kept);
        }
    }

    /// One message. False: there is nothing to say.
    fn say_to(&mut self, to: Listener) -> bool {
        while let Some(news) = self.audience.news[to as usize].pop_front() {
            if to == Listener::Telemetry && matches!(news, News::Life(_) | News::Begin | News::Gone(_)) {
                // What ended before comes before what began since.
                while self.say_kept() {}
            }
            let Some((told, memory)) = self.in_words(to, news) else { continue };
            self.say_told(to, told, memory);
            return true;
        }
        self.audience.news[to as usize].shrink_to(256);
        false
    }

    fn say_told(&mut self, to: Listener, told: Told, memory: Option<Arc<OwnedFd>>) {
        let Some(link) = self.link_mut(to.builtin()) else { return };
        let memory = memory.into_iter().collect();
        match to {
            Listener::Keeper => link.say(&ToKeeper::Tree(told), memory),
            Listener::Telemetry => link.say(&ToTelemetry::Tree(told), memory),
        }
    }

    /// The next box of a life that ended before telemetry could be told of it.
    fn say_kept(&mut self) -> bool {
        if self.audience.let_go > 0 {
            let count = std::mem::take(&mut self.audience.let_go);
            if let Some(link) = self.link_mut(Builtin::Telemetry) {
                link.say(&ToTelemetry::Unseen { count }, Vec::new());
            }
        }
        let Some(at) = self.audience.kept.iter().position(|kept| !kept.told) else { return false };
        let kept = &mut self.audience.kept[at];
        kept.told = true;
        let is_there = self.core.is_child(kept.child);
        if is_there && self.roster.instance(kept.child) != kept.instance {
            // Its number is another's by now.
            self.audience.kept.remove(at);
            self.audience.let_go += 1;
            return true;
        }
        let (child, incarnation) = (kept.child.0, kept.incarnation.0);
        let life = Told::Life { child, incarnation, pid: kept.pid };
        let instance =
            Told::Instance { child, service: kept.service.clone(), instance: kept.instance.clone() };
        let memory = kept.memory.clone();
        self.say_told(Listener::Telemetry, instance, None);
        self.say_told(Listener::Telemetry, life, Some(memory));
        self.say_told(Listener::Telemetry, Told::Ended { child, incarnation }, None);
        if !is_there {
            self.say_told(Listener::Telemetry, Told::Gone { child }, None);
        }
        true
    }

    /// `None`: it is not so any more.
    fn in_words(&mut self, to: Listener, news: News) -> Option<(Told, Option<Arc<OwnedFd>>)> {
        let (child, told) = match news {
            News::Begin => return Some((Told::Begin, None)),
            News::Ended(ChildId(child), Incarnation(incarnation)) => {
                return Some((Told::Ended { child, incarnation }, None));
            }
            News::Gone(ChildId(child)) => return Some((Told::Gone { child }, None)),
            News::Instance(child) => {
                let (service, instance) = (self.roster.service(child), self.roster.instance(child));
                let (service, instance) = (service.to_owned(), instance.to_owned());
                (child, (Told::Instance { child: child.0, service, instance }, None))
            }
            News::Life(child) => {
                let slot = self.slot(child);
                slot.untold[to as usize] = false;
                let (incarnation, memory) = match (&slot.blackbox, &slot.life) {
                    (Some(of), _) => (of.incarnation, Some(of.memory.clone())),
                    (None, Some(life)) if !life.reaped => (life.incarnation, None),
                    (None, _) => return None,
                };
                let life = Told::Life { child: child.0, incarnation: incarnation.0, pid: slot.last_pid };
                if to == Listener::Telemetry {
                    let is_it = |kept: &&mut Kept| kept.child == child && kept.incarnation == incarnation;
                    self.audience.kept.iter_mut().filter(is_it).for_each(|kept| kept.told = true);
                }
                (child, (life, memory))
            }
        };
        self.core.is_child(child).then_some(told)
    }
}
