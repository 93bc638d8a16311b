//! What the keeper is told of the tree, and what it asks for.
//!
//! Invariant: nothing waits for it, and nothing piles up while it does not listen. What it has not been told is a list of
//! children, each at most once, and a number in the ring; the words are made when its line takes them, so a life that is
//! over by then is not told at all, and its black box is not held. A keeper that is not there is told nothing: the next
//! one hears of everything from the beginning.

use super::link::Link;
use super::ring::{Entry, Subject};
use super::roster::{Builtin, USER_ROOT};
use super::{Driver, public};
use crate::ipc::builtin::{FromKeeper, ToKeeper};
use crate::supervisor::spec::{ChildId, GroupId, Incarnation, Node};
use crate::supervisor::{Command, Event};
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// So many messages wait in the line; what else there is to say waits as numbers.
const AHEAD: usize = 64;
/// So many numbers may wait, beside two for each instance, before ends of lives are left out.
const BEHIND: usize = 1024;

/// Something to say to the keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Instance(ChildId),
    Life(ChildId),
    Ended(ChildId, Incarnation),
    Gone(ChildId),
    Begin,
}

/// What the keeper knows, and wants to know.
pub struct Keeping {
    /// The same for all its lives.
    run: u64,
    /// The supervisor before us ended without a goodbye.
    abrupt: bool,
    news: VecDeque<News>,
    /// The number of the newest event that it was told, while it wants them.
    fed: Option<u64>,
}

impl Keeping {
    /// Nothing is told yet.
    pub fn new(abrupt: bool) -> Keeping {
        Keeping {
            // Keys that the standard library has from the kernel.
            run: RandomState::new().hash_one(std::process::id()),
            abrupt,
            news: VecDeque::new(),
            fed: None,
        }
    }
}

impl Driver {
    pub(super) fn on_keeper(&mut self) {
        while let Some(message) = self.keeper.as_mut().and_then(Link::hear) {
            match message {
                FromKeeper::Noted { name, what } => self.note_other(name, what),
                FromKeeper::Feed { after } => self.keeping.fed = Some(after),
                FromKeeper::Enough => self.keeping.fed = None,
                FromKeeper::Fresh { services } => self.begin_afresh(&services),
            }
        }
    }

    /// What failed of these services is tried again with an empty budget. A name that nobody has is passed over: it
    /// may have gone meanwhile.
    fn begin_afresh(&mut self, services: &[String]) {
        let nodes: Vec<Node> = match services {
            [] => vec![Node::Group(USER_ROOT)],
            some => some
                .iter()
                .flat_map(|service| self.roster.instances(service))
                .filter(|child| self.core.is_child(*child) && self.roster.builtin(*child).is_none())
                .map(Node::Child)
                .collect(),
        };
        for node in nodes {
            self.happened.push_back(Event::Command(Command::Fresh(node)));
        }
        self.work();
    }

    /// Before a new life of the keeper: nothing that was said to the last one holds.
    pub(super) fn greet_keeper(&mut self, child: ChildId) {
        self.renew(Builtin::Keeper);
        self.prepare(child, Builtin::Keeper);
        self.keeping.news.clear();
        self.keeping.fed = None;
        let hello = ToKeeper::Hello { run: self.keeping.run, abrupt: self.keeping.abrupt };
        let Some(link) = &mut self.keeper else { return };
        link.say(&hello, Vec::new());
        let users = self.roster.users(&self.core);
        self.keeping.news.extend(users.iter().copied().map(News::Instance));
        for child in users {
            let slot = &mut self.slots[child.0 as usize];
            slot.untold = slot.blackbox.is_some() || slot.life.is_some();
            if slot.untold {
                self.keeping.news.push_back(News::Life(child));
            }
            if let Some(of) = &slot.blackbox
                && slot.life.as_ref().is_none_or(|life| life.reaped)
            {
                self.keeping.news.push_back(News::Ended(child, of.incarnation));
            }
        }
        self.keeping.news.push_back(News::Begin);
    }

    /// Whether there is somebody to be told anything.
    fn keeper_listens(&self) -> bool {
        self.keeper.is_some()
            && self
                .roster
                .child_of(Builtin::Keeper)
                .and_then(|child| self.slots[child.0 as usize].life.as_ref())
                .is_some_and(|life| !life.reaped)
    }

    /// A child is there from now on.
    pub(super) fn tell_keeper_of_instance(&mut self, child: ChildId) {
        if self.keeper_listens() && self.roster.builtin(child).is_none() {
            self.keeping.news.push_back(News::Instance(child));
        }
    }

    /// A child is gone.
    pub(super) fn tell_keeper_of_end(&mut self, child: ChildId) {
        if self.keeper_listens() && self.roster.builtin(child).is_none() {
            self.keeping.news.push_back(News::Gone(child));
        }
    }

    /// A life has begun, before anything that happened in it is told.
    pub(super) fn tell_keeper_of_life(&mut self, child: ChildId) {
        if self.keeper_listens() && !std::mem::replace(&mut self.slot(child).untold, true) {
            self.keeping.news.push_back(News::Life(child));
        }
    }

    /// A life has ended. A keeper that is far behind is not told of each: the next life of the same instance says enough.
    pub(super) fn tell_keeper_of_death(&mut self, child: ChildId, incarnation: Incarnation) {
        let is_behind = self.keeping.news.len() > 2 * self.slots.len() + BEHIND;
        if self.keeper_listens() && self.roster.builtin(child).is_none() && !is_behind {
            self.keeping.news.push_back(News::Ended(child, incarnation));
        }
    }

    /// Tells the keeper what there is to tell, as far as its line takes it: lives first, so that it knows each before
    /// what happened in it.
    pub(super) fn tell_keeper(&mut self) {
        loop {
            let Some(link) = &self.keeper else { return };
            if link.messages() < AHEAD && self.say_to_keeper() {
                continue;
            }
            let Some(link) = &mut self.keeper else { return };
            // Full: it will become writable, which wakes the loop.
            if link.messages() < AHEAD || link.flush() {
                return;
            }
        }
    }

    /// One message. False: there is nothing to say.
    fn say_to_keeper(&mut self) -> bool {
        while let Some(news) = self.keeping.news.pop_front() {
            let Some((message, memory)) = self.in_words(news) else { continue };
            if let Some(link) = &mut self.keeper {
                link.say(&message, memory.into_iter().collect());
            }
            return true;
        }
        self.keeping.news.shrink_to(256);
        self.feed_keeper()
    }

    /// `None`: it is not so any more.
    fn in_words(&mut self, news: News) -> Option<(ToKeeper, Option<Arc<OwnedFd>>)> {
        let (child, message) = match news {
            News::Begin => return Some((ToKeeper::Begin, None)),
            News::Ended(ChildId(child), Incarnation(incarnation)) => {
                return Some((ToKeeper::Ended { child, incarnation }, None));
            }
            News::Gone(ChildId(child)) => return Some((ToKeeper::Gone { child }, None)),
            News::Instance(child) => {
                let (service, instance) = (self.roster.service(child), self.roster.instance(child));
                let (service, instance) = (service.to_owned(), instance.to_owned());
                (child, (ToKeeper::Instance { child: child.0, service, instance }, None))
            }
            News::Life(child) => {
                let slot = self.slot(child);
                slot.untold = false;
                let (incarnation, memory) = match (&slot.blackbox, &slot.life) {
                    (Some(of), _) => (of.incarnation, Some(of.memory.clone())),
                    (None, Some(life)) if !life.reaped => (life.incarnation, None),
                    (None, _) => return None,
                };
                (child, (ToKeeper::Life { child: child.0, incarnation: incarnation.0 }, memory))
            }
        };
        self.core.is_child(child).then_some(message)
    }

    /// The next event about lives, if the keeper wants them.
    fn feed_keeper(&mut self) -> bool {
        let Some(fed) = self.keeping.fed else { return false };
        let (missed, mut kept) = self.ring.after(fed);
        let message = if missed > 0 {
            self.keeping.fed = Some(self.ring.oldest() - 1);
            ToKeeper::Missed { count: missed }
        } else {
            let next = kept.find(|entry| self.is_about_lives(entry));
            self.keeping.fed = Some(next.map_or(self.ring.newest().max(fed), |entry| entry.seq));
            let Some(entry) = next else { return false };
            ToKeeper::Happened(public::event(entry, &self.roster, &self.core))
        };
        if let Some(link) = &mut self.keeper {
            link.say(&message, Vec::new());
        }
        true
    }

    fn is_about_lives(&self, entry: &Entry) -> bool {
        match entry.subject {
            Subject::Tree => false,
            Subject::Child(child, _) => self.roster.builtin(child).is_none(),
            Subject::Group(GroupId(group)) => group >= USER_ROOT.0,
        }
    }
}
