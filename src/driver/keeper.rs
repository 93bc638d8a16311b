//! What the keeper is told beside the tree (`audience.rs`), and what it asks for.
//!
//! Invariant: nothing waits for it, and nothing piles up while it does not listen: what it has not been told of events is a
//! number in the ring.

use super::audience::Listener;
use super::link::Link;
use super::ring::{Entry, Subject};
use super::roster::{Builtin, USER_ROOT};
use super::{Driver, public};
use crate::ipc::builtin::{FromKeeper, ToKeeper};
use crate::supervisor::spec::{ChildId, GroupId, Node};
use crate::supervisor::{Command, Event};
use std::hash::{BuildHasher, RandomState};

/// What the keeper knows, and wants to know.
pub struct Keeping {
    /// The same for all its lives.
    run: u64,
    /// The supervisor before us ended without a goodbye.
    abrupt: bool,
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
        self.keeping.fed = None;
        let hello = ToKeeper::Hello { run: self.keeping.run, abrupt: self.keeping.abrupt };
        let Some(link) = &mut self.keeper else { return };
        link.say(&hello, Vec::new());
        self.tell_everything(Listener::Keeper);
    }

    /// Tells the keeper what there is to tell, as far as its line takes it: lives first, so that it knows each before
    /// what happened in it.
    pub(super) fn tell_keeper(&mut self) {
        self.tell_listener(Listener::Keeper, Driver::feed_keeper);
    }

    /// The next event about lives, if the keeper wants them.
    fn feed_keeper(&mut self) -> bool {
        let Some(fed) = self.keeping.fed else { return false };
        let (missed, mut kept) = self.ring.after(fed);
        let message = if missed > 0 {
            self.keeping.fed = Some(self.ring.oldest() - 1);
            ToKeeper::Missed { count: missed }
        } else {
            let next = kept.find(|(_, entry)| self.is_about_lives(entry));
            self.keeping.fed = Some(next.map_or(self.ring.newest().max(fed), |(seq, _)| seq));
            let Some(next) = next else { return false };
            ToKeeper::Happened(public::event(next, &self.roster, &self.core))
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
