//! The instances of the tree, their lives and the black boxes of these: what the supervisor says of them.

use crate::blackbox::{BlackBox, Image};
use crate::board::name_hash;
use crate::flags::guard::{Event, Happened, Input};
use crate::ipc::builtin::{ToKeeper, Told};
use crate::ipc::control::{Event as Numbered, What};
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;

/// So many lives of an instance are kept: its newest, and the one before, whose end may still be told.
const LIVES: usize = 2;

/// Every instance that the supervisor named.
#[derive(Debug, Default)]
pub(super) struct Lives {
    children: BTreeMap<u32, Child>,
}

/// One instance.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) service: String,
    pub(super) instance: String,
    /// The newest last.
    lives: VecDeque<Life>,
}

/// One life of an instance.
#[derive(Debug)]
pub(super) struct Life {
    incarnation: u64,
    black_box: Option<BlackBox>,
    /// The board that it was told is in place; 0: none yet.
    told: u64,
    ended: bool,
}

/// What black boxes are looked into for.
#[derive(Clone, Debug, Default)]
pub(super) struct Curiosity {
    /// Who has read these flags.
    flags: Vec<(String, u64)>,
    /// How much was counted.
    counters: bool,
}

impl Curiosity {
    pub(super) fn new<'a>(flags: impl IntoIterator<Item = &'a str>, counters: bool) -> Curiosity {
        let one = |flag: &str| Some((flag.to_owned(), name_hash(flag)?));
        Curiosity { flags: flags.into_iter().filter_map(one).collect(), counters }
    }

    pub(super) fn is_none(&self) -> bool {
        self.flags.is_empty() && !self.counters
    }
}

impl Lives {
    /// Takes in what the supervisor says; what of it the guard must know.
    pub(super) fn hear(&mut self, message: &ToKeeper, descriptor: Option<OwnedFd>) -> Option<Input> {
        match message {
            ToKeeper::Hello { .. } => {
                // Whatever is known was said to an earlier life.
                self.children.clear();
                None
            }
            ToKeeper::Tree(told) => self.hear_of_tree(told, descriptor),
            ToKeeper::Missed { count } => Some(Input::Missed(*count)),
            ToKeeper::Happened(event) => {
                if matches!(event.what, What::Exited { .. }) {
                    self.end(&event.instance, event.incarnation);
                }
                Some(Input::Happened(happened(event)))
            }
            ToKeeper::Listen | ToKeeper::Look => None,
        }
    }

    fn hear_of_tree(&mut self, told: &Told, descriptor: Option<OwnedFd>) -> Option<Input> {
        match told {
            Told::Instance { child, service, instance } => {
                let (service, instance) = (service.clone(), instance.clone());
                let said = Input::Instance { service: service.clone(), instance: instance.clone() };
                self.children.insert(*child, Child { service, instance, lives: VecDeque::new() });
                Some(said)
            }
            Told::Life { child, incarnation, .. } => {
                let known = self.children.get_mut(child)?;
                // A box that is none is a life without one: it can only not be asked.
                let black_box = descriptor.and_then(|memory| BlackBox::open(memory).ok());
                known.lives.retain(|life| life.incarnation != *incarnation);
                known.lives.push_back(Life { incarnation: *incarnation, black_box, told: 0, ended: false });
                if known.lives.len() > LIVES {
                    known.lives.pop_front();
                }
                Some(Input::Life { instance: known.instance.clone(), incarnation: *incarnation })
            }
            Told::Ended { child, incarnation } => {
                self.end(self.children.get(child)?.instance.clone().as_str(), *incarnation);
                None
            }
            Told::Gone { child } => {
                let gone = self.children.remove(child)?;
                Some(Input::Gone { instance: gone.instance })
            }
            Told::Begin => None,
        }
    }

    /// Tells every life that does not know it which board is in place.
    pub(super) fn tell_board(&mut self, incarnation: u64) {
        let lives = self.children.values_mut().flat_map(|child| &mut child.lives);
        for life in lives.filter(|life| life.told != incarnation && !life.ended) {
            // What cannot be written is not believed: such a life looks for itself.
            let said = life.black_box.as_ref().map(|its| its.say_board(incarnation));
            life.told = if matches!(said, Some(Err(_))) { 0 } else { incarnation };
        }
    }

    fn end(&mut self, instance: &str, incarnation: u64) {
        for child in self.children.values_mut().filter(|child| child.instance == instance) {
            child
                .lives
                .iter_mut()
                .filter(|life| life.incarnation == incarnation)
                .for_each(|life| life.ended = true);
        }
    }

    /// The instances of each service.
    pub(super) fn instances(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for child in self.children.values() {
            all.entry(child.service.clone()).or_default().insert(child.instance.clone());
        }
        all
    }

    /// How many black boxes there are to look into.
    pub(super) fn count(&self) -> usize {
        self.children.len()
    }

    /// What the boxes of all newest lives say.
    pub(super) fn look(&self, for_what: &Curiosity) -> Vec<Input> {
        let newest = self.children.values().filter_map(|child| Some((child, child.lives.back()?)));
        newest.flat_map(|(child, life)| told(child, life, for_what)).collect()
    }

    /// What the box of one life says, which has just ended.
    pub(super) fn look_at(&self, instance: &str, incarnation: u64, for_what: &Curiosity) -> Vec<Input> {
        let of = |child: &&Child| child.instance == instance;
        let Some(child) = self.children.values().find(of) else { return Vec::new() };
        let life = child.lives.iter().find(|life| life.incarnation == incarnation);
        life.map_or_else(Vec::new, |life| told(child, life, for_what))
    }

    /// Every instance that runs, and what its black box holds.
    pub(super) fn running(&self) -> impl Iterator<Item = (&Child, Option<Image>)> {
        let newest = self.children.values().filter_map(|child| Some((child, child.lives.back()?)));
        newest.filter(|(_, life)| !life.ended).map(|(child, life)| (child, life.image()))
    }
}

impl Life {
    /// A copy of what concerns the keeper in its box; `None`: it has none, or none that can be read.
    fn image(&self) -> Option<Image> {
        self.black_box.as_ref()?.notes().ok()
    }
}

fn told(child: &Child, life: &Life, for_what: &Curiosity) -> Vec<Input> {
    let Some(image) = life.image().filter(|_| !for_what.is_none()) else { return Vec::new() };
    let (instance, incarnation) = (&child.instance, life.incarnation);
    let seen = for_what.flags.iter().filter(|(_, hash)| image.seen(*hash).is_some());
    let mut told: Vec<Input> = seen
        .map(|(flag, _)| Input::Read { instance: instance.clone(), incarnation, flag: flag.clone() })
        .collect();
    if for_what.counters {
        let counted = image.counters();
        let (ok, errors) = (counted.successes, counted.errors);
        told.push(Input::Counted { instance: instance.clone(), incarnation, ok, errors });
    }
    told
}

/// What of an event the guard looks at.
fn happened(event: &Numbered) -> Event {
    let what = match &event.what {
        What::Starting { .. } => Happened::Starting,
        What::Up { .. } | What::Ready { .. } => Happened::Up,
        What::Exited { abnormal, asked, crash, .. } => {
            Happened::Exited { abnormal: *abnormal, asked: *asked, crash: *crash }
        }
        What::NeverReady { within_ns, .. } => {
            Happened::NeverReady { within: Duration::from_nanos(*within_ns) }
        }
        What::Unhealthy { in_a_row, .. } => Happened::Unhealthy { in_a_row: *in_a_row },
        What::GaveUp { .. } | What::GroupGaveUp => Happened::GaveUp,
        What::LimitReached { by } => Happened::LimitReached { by: by.clone() },
        What::Stopped | What::Finished | What::Removed | What::Ignored => Happened::Down,
        _ => Happened::Other,
    };
    Event {
        seq: event.seq,
        at: Instant::from_nanos(event.mono_ns),
        service: event.service.clone(),
        instance: event.instance.clone(),
        incarnation: event.incarnation,
        what,
    }
}
