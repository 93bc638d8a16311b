//! One consistent copy of every flag: all of a change, or nothing of it (B4).

use super::attachment::{Attachment, View};
use super::layout::{COMMIT, NameRecord, STATE};
use super::reader::Reading;
use crate::flags::{Body, Prefix, Truth};
use crate::sys::clock;
use std::collections::BTreeMap;
use std::sync::atomic::{Ordering, fence};

/// How often a copy is tried while changes run.
const TRIES: usize = 64;

/// Every flag as of one moment; see [`Board::snapshot`](super::Board::snapshot).
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The number of the last change in it; `None` when no board could be read.
    pub generation: Option<u64>,
    /// True: all values belong to one moment, and none is missing. False: 64 copies in a row were
    /// overtaken by changes, or something is damaged; each value is still right by itself.
    pub consistent: bool,
    flags: BTreeMap<String, (Truth, Prefix)>,
    lost: usize,
}

impl Snapshot {
    /// What a flag is set to: proven, unknown, or lost when the copy has gaps.
    pub fn read(&self, name: &str) -> Reading {
        match self.flags.get(name) {
            Some((truth, _)) => Reading::proven(*truth),
            None if self.generation.is_some() && self.lost == 0 => Reading::UNKNOWN,
            None => Reading::LOST,
        }
    }

    /// Is it on for everybody?
    pub fn is_on(&self, name: &str, default: bool) -> bool {
        self.read(name).truth.and_then(Truth::is_on).unwrap_or(default)
    }

    /// Is it on for this id?
    pub fn is_on_for(&self, name: &str, id: &str, default: bool) -> bool {
        self.flags.get(name).and_then(|(truth, prefix)| truth.is_on_for(*prefix, id)).unwrap_or(default)
    }

    /// Every flag by name, in the order of names.
    pub fn flags(&self) -> impl Iterator<Item = (&str, Truth)> {
        self.flags.iter().map(|(name, (truth, _))| (name.as_str(), *truth))
    }
}

pub(super) fn take(attachment: &Attachment) -> Snapshot {
    let now = clock::coarse();
    attachment.look(now);
    let mut copy = None;
    for attempt in 0..TRIES {
        if attempt >= 8 {
            std::thread::yield_now(); // The writer may be waiting for this processor.
        }
        copy = Copy::of(attachment);
        match &copy {
            Some(copy) if copy.consistent => break,
            None if !attachment.recover(clock::coarse()) => break,
            _ => {}
        }
    }
    match copy {
        Some(copy) => copy.named(attachment),
        None => Snapshot { generation: None, consistent: false, flags: BTreeMap::new(), lost: 0 },
    }
}

/// The words of a board, by slot; a lost one is `None`.
struct Copy {
    view: View,
    words: Vec<Option<Body>>,
    generation: Option<u64>,
    consistent: bool,
}

impl Copy {
    /// `None`: no live board is shown.
    fn of(attachment: &Attachment) -> Option<Copy> {
        let view = attachment.view()?;
        let View { header } = view;
        let load = |cell| attachment.region.load(cell);
        let commit = header.seal(COMMIT).open(load(COMMIT));
        // Every word is loaded after the counter, and the counter again after every word.
        fence(Ordering::Acquire);
        let mut words = Vec::new();
        for slot in 0..header.layout.slots {
            let cell = header.layout.word(slot);
            match header.seal(cell).open(load(cell)).and_then(Body::from_bits) {
                Some(Body::Unused) => break,
                body => words.push(body),
            }
        }
        let generation = attachment.generation();
        fence(Ordering::Acquire);
        let again = header.seal(COMMIT).open(load(COMMIT));
        let even = commit.is_some_and(|commit| commit % 2 == 0);
        let live = load(STATE) == header.live();
        let consistent = even && again == commit && live && generation.is_some();
        Some(Copy { view, words, generation, consistent })
    }

    fn named(self, attachment: &Attachment) -> Snapshot {
        let View { header } = self.view;
        let mut flags = BTreeMap::new();
        let mut lost = 0;
        for (slot, body) in self.words.iter().enumerate() {
            let load = |cell| attachment.region.load(cell);
            let record = NameRecord::read(header.incarnation, header.layout.name(slot), load);
            let name = record.and_then(|record| Some((record.name.text()?, record.prefix())));
            match (body, name) {
                (Some(Body::Flag(truth)), Some((name, prefix))) => drop(flags.insert(name, (*truth, prefix))),
                (Some(Body::Removed), _) => {}
                _ => lost += 1,
            }
        }
        let consistent = self.consistent && lost == 0;
        Snapshot { generation: self.generation, consistent, flags, lost }
    }
}
