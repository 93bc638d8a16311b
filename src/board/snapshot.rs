//! One consistent copy of every flag: all of a change, or nothing of it (B4).

use super::attachment::{Attachment, View};
use super::decide::{Hashed, decide};
use super::layout::{COMMIT, STATE};
use super::name_record::NameRecord;
use super::reader::{Reading, value_of};
use super::record::Listed;
use crate::flags::{Body, Held, Packed, Prefix, Truth, Value};
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
    flags: BTreeMap<String, Copied>,
    lost: usize,
    /// The instance that reads.
    instance: Option<Box<str>>,
    view: Option<View>,
}

/// One flag of it.
#[derive(Clone, Debug, PartialEq)]
struct Copied {
    truth: Truth,
    held: Held,
    prefix: Prefix,
    wide: Option<Box<Wide>>,
}

/// What few flags have.
#[derive(Clone, Debug, PartialEq)]
enum Wide {
    Lists {
        denied: Vec<String>,
        allowed: Vec<String>,
    },
    /// The hashes of those that are on.
    Instances(Vec<u32>),
    Stage(Packed),
}

impl Snapshot {
    /// What a flag is set to: proven, unknown, or lost when the copy has gaps.
    pub fn read(&self, name: &str) -> Reading {
        match self.flags.get(name) {
            Some(flag) => Reading::proven(flag.truth),
            None if self.generation.is_some() && self.lost == 0 => Reading::UNKNOWN,
            None => Reading::LOST,
        }
    }

    /// Is it on for everybody? A share by instances is decided for the instance that reads.
    pub fn is_on(&self, name: &str, default: bool) -> bool {
        self.opinion(name, None).unwrap_or(default)
    }

    /// Is it on for this id?
    pub fn is_on_for(&self, name: &str, id: &str, default: bool) -> bool {
        self.opinion(name, Some(id)).unwrap_or(default)
    }

    /// Is a flag that counts instances on for this one, which need not be the one that reads? `None`: it counts none, has no opinion,
    /// or is not known.
    pub fn is_on_for_instance(&self, name: &str, instance: &str) -> Option<bool> {
        let counts = matches!(self.flags.get(name)?.held, Held::Instances(_));
        counts.then(|| self.opinion(name, Some(instance)))?
    }

    /// What it means for `id`, or without one for everybody; `None`: no opinion, or not known.
    pub fn opinion(&self, name: &str, id: Option<&str>) -> Option<bool> {
        let flag = self.flags.get(name)?;
        let listed = |id: &Hashed<'_>| match flag.wide.as_deref() {
            Some(Wide::Lists { denied, allowed }) => {
                let is = |list: &[String]| list.iter().any(|one| one == id.id);
                let listed = if is(allowed) { Listed::Allowed } else { Listed::No };
                Some(if is(denied) { Listed::Denied } else { listed })
            }
            _ => None,
        };
        let instance = |id: &Hashed<'_>| match flag.wide.as_deref() {
            Some(Wide::Instances(hashes)) => Some(hashes.binary_search(&id.hash).is_ok()),
            _ => None,
        };
        let held = (flag.held, flag.truth.disabled);
        decide(held, flag.prefix, id, self.instance.as_deref(), listed, instance).ok().flatten()
    }

    /// The number that it is set to; `None` where it has no opinion, is none, or is not known.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.flags.get(name)?.truth.int()
    }

    /// The text that it is set to; `None` as for [`Snapshot::int`].
    pub fn text(&self, name: &str) -> Option<Packed> {
        self.flags.get(name)?.truth.text()
    }

    /// The stage of a migration and its name, which is empty before the first; `None` when there is no such migration.
    pub fn stage(&self, name: &str) -> Option<(u32, Packed)> {
        let flag = self.flags.get(name)?;
        let Truth { value: Value::Stage(stage), disabled: false } = flag.truth else { return None };
        match flag.wide.as_deref() {
            Some(Wide::Stage(name)) => Some((stage, *name)),
            _ => Some((stage, Packed::default())),
        }
    }

    /// The same with what its word says, which a reader notes in its black box.
    pub fn bodies(&self) -> impl Iterator<Item = (&str, u32, Truth)> {
        self.flags.iter().map(|(name, flag)| {
            let (held, disabled) = (flag.held, flag.truth.disabled);
            (name.as_str(), Body::Flag { held, disabled }.to_bits(), flag.truth)
        })
    }

    /// Every flag by name, in the order of names.
    pub fn flags(&self) -> impl Iterator<Item = (&str, Truth)> {
        self.flags.iter().map(|(name, flag)| (name.as_str(), flag.truth))
    }
}

pub(super) fn take(attachment: &Attachment) -> Snapshot {
    let now = clock::coarse();
    attachment.look(now);
    let mut snapshot = None;
    for attempt in 0..TRIES {
        if attempt >= 8 {
            std::thread::yield_now(); // The writer may be waiting for this processor.
        }
        match Copy::of(attachment).map(|copy| copy.named(attachment)) {
            // A copy with gaps may be one whose board went away; a whole one may have been overtaken.
            Some(copy) if copy.consistent || attempt + 1 == TRIES => return copy,
            Some(copy) => {
                let gaps = copy.lost > 0;
                snapshot = Some(copy);
                if gaps && !attachment.recover(clock::coarse()) && attempt >= 8 {
                    break;
                }
            }
            None if !attachment.recover(clock::coarse()) && attempt >= 8 => break,
            None => {}
        }
    }
    snapshot.unwrap_or_else(|| Snapshot {
        generation: None,
        consistent: false,
        flags: BTreeMap::new(),
        lost: 0,
        instance: attachment.instance().map(Box::from),
        view: None,
    })
}

/// Whether a copy is whole and nothing was changed since.
pub(super) fn is_current(snapshot: &Snapshot, attachment: &Attachment) -> bool {
    attachment.look(clock::coarse());
    let now = attachment.view().zip(attachment.generation());
    snapshot.consistent && now.is_some() && now == snapshot.view.zip(snapshot.generation)
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
        let View { header, live } = view;
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
        let live = load(STATE) == live;
        let consistent = even && again == commit && live && generation.is_some();
        Some(Copy { view, words, generation, consistent })
    }

    /// With what does not change: names, and the records that the words lead to.
    fn named(self, attachment: &Attachment) -> Snapshot {
        let mut flags = BTreeMap::new();
        let mut lost = 0;
        for (slot, body) in self.words.iter().enumerate() {
            match body {
                Some(Body::Removed) => {}
                Some(Body::Flag { held, disabled }) => {
                    match attachment.name_record(self.view, slot).and_then(|record| {
                        Some((record.name.text()?, copied(attachment, self.view, *held, *disabled, &record)?))
                    }) {
                        Some((name, flag)) => drop(flags.insert(name, flag)),
                        None => lost += 1,
                    }
                }
                _ => lost += 1,
            }
        }
        Snapshot {
            generation: self.generation,
            consistent: self.consistent && lost == 0,
            flags,
            lost,
            instance: attachment.instance().map(Box::from),
            view: Some(self.view),
        }
    }
}

/// One flag, with all its records; `None` when one of them is lost.
fn copied(
    attachment: &Attachment,
    view: View,
    held: Held,
    disabled: bool,
    record: &NameRecord,
) -> Option<Copied> {
    let arena = attachment.arena(view);
    let wide = match held {
        Held::On { lists: true } | Held::Share { lists: true, .. } => {
            let [denied, allowed] = arena.every_listed(record.reference)?;
            Some(Wide::Lists { denied, allowed })
        }
        Held::Instances(at) => Some(Wide::Instances(arena.instances(at)?)),
        Held::Stage(stage) if stage > 0 => Some(Wide::Stage(arena.stage(record.reference, stage)?)),
        _ => None,
    };
    let truth = Truth { value: value_of(attachment, view, held)?, disabled };
    Some(Copied { truth, held, prefix: record.prefix(), wide: wide.map(Box::new) })
}
