//! The keeper's side of the board: one writer, and what is watched for it.
//!
//! The board is derived from the journal and may be missing, damaged or impossible to make at any time:
//! nothing here fails. What could not be done is said once and tried again at each look.

use super::ground::Truths;
use crate::board::layout::BOARD;
use crate::board::{Damage, Entry, Repair, Setting, Writer};
use crate::flags::{Declaration, Effective, Migration, Unit};
use crate::store::Change;
use crate::sys::clock;
use crate::time::Instant;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// Whoever breaks it as often in one look is not followed further: the next look is soon.
const REPAIRS: usize = 8;

/// The board of one runtime directory.
#[derive(Debug)]
pub(super) struct Publisher {
    directory: PathBuf,
    /// `None` until the first board stands.
    writer: Option<Writer>,
    /// True when the board may say something else than the store.
    behind: bool,
    /// What readers see, as it was last computed.
    shown: BTreeMap<String, Effective>,
    /// When flags were last shown another value, in this life.
    changed: HashMap<String, Instant>,
    watch: Option<Inotify>,
    /// What was said last, so that it is said once.
    said: Option<String>,
    /// Found while publishing, told by the next look.
    untold: Looked,
}

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// What was wrong and is right.
    pub(super) repaired: Vec<String>,
    /// What is wrong and new.
    pub(super) trouble: Option<String>,
}

impl Publisher {
    pub(super) fn new(directory: &Path) -> Publisher {
        Publisher {
            directory: directory.to_owned(),
            writer: None,
            behind: true,
            shown: BTreeMap::new(),
            changed: HashMap::new(),
            watch: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok(),
            said: None,
            untold: Looked::default(),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(BOARD)
    }

    /// True when a board stands that was made from the journal.
    pub(super) fn stands(&self) -> bool {
        self.writer.is_some() && !self.behind
    }

    /// The number that readers see.
    pub(super) fn generation(&self) -> u64 {
        self.writer.as_ref().map_or(0, Writer::generation)
    }

    /// The board that is in place; `None`: there is none yet.
    pub(super) fn incarnation(&self) -> Option<u64> {
        self.writer.as_ref().map(Writer::incarnation)
    }

    /// When this flag was last shown another value; `None`: not in this life.
    pub(super) fn changed_at(&self, flag: &str) -> Option<Instant> {
        self.changed.get(flag).copied()
    }

    /// The body of a flag's word, as the board has it.
    pub(super) fn body(&self, name: &str) -> Option<u32> {
        self.writer.as_ref()?.body(name)
    }

    /// Shows changes that the store has: every flag whose effective value is another one now, all at once. When it
    /// returns, every new read sees them, as far as there is a board.
    ///
    /// `known`: false while it is not known what was set in earlier lives.
    pub(super) fn publish(&mut self, truths: &Truths<'_>, known: bool, changes: &[Change]) {
        if changes.is_empty() && !self.behind {
            return;
        }
        let mut touched: BTreeSet<&str> = BTreeSet::new();
        for set in changes.iter().flat_map(|change| &change.sets) {
            touched.insert(&set.flag);
            touched.extend(truths.catalog.touched_by(&set.flag));
            // What nobody has set goes with the stage.
            if let Some(migration) = truths.catalog.migration(&set.flag) {
                let flags = migration.stages.iter().flat_map(|stage| &stage.on);
                flags.for_each(|flag| touched.extend(truths.catalog.touched_by(flag)));
            }
        }
        self.show(truths, known, truths.effective(touched), truths.state.generation());
    }

    /// Shows what follows from other instances: nothing was changed by anybody, but shares by instance mean others now.
    pub(super) fn count_again(&mut self, truths: &Truths<'_>, known: bool) {
        let differs = |(name, seen): &(String, Effective)| self.shown.get(name) != Some(seen);
        let other: BTreeMap<_, _> = truths.all_effective().into_iter().filter(differs).collect();
        if !other.is_empty() {
            let generation = self.generation().max(truths.state.generation()) + 1;
            self.show(truths, known, other, generation);
        }
    }

    fn show(
        &mut self,
        truths: &Truths<'_>,
        known: bool,
        effective: BTreeMap<String, Effective>,
        generation: u64,
    ) {
        if self.behind {
            // Whatever was missed goes with these.
            self.untold = self.look(truths, known);
            return;
        }
        let now = clock::now();
        let differs = |(name, seen): &(String, Effective)| self.shown.get(name) != Some(seen);
        let other: Vec<(String, Effective)> = effective.into_iter().filter(differs).collect();
        let Some(writer) = &mut self.writer else { return };
        let sets: Vec<_> = other.iter().map(|(name, seen)| (name.as_str(), setting(seen))).collect();
        if writer.set_all_numbered(&sets, generation).is_err() {
            // The next look tells why, if it cannot mend it.
            self.behind = true;
        }
        for (name, seen) in other {
            self.changed.insert(name.clone(), now);
            self.shown.insert(name, seen);
        }
    }

    /// Makes sure that the board stands, is the one that is found by its name, and says what the store
    /// says (B6).
    pub(super) fn look(&mut self, truths: &Truths<'_>, known: bool) -> Looked {
        let mut looked = std::mem::take(&mut self.untold);
        if !known && truths.state.generation() == 0 && self.path().exists() {
            // What the journal says is not known yet: the board that is there knows better than we do.
            return looked;
        }
        match self.make_good(truths) {
            Ok(repaired) => {
                looked.repaired.extend(repaired);
                self.said = None;
            }
            Err(error) => {
                self.behind = true;
                let message = error.to_string();
                if self.said.as_ref() != Some(&message) {
                    looked.trouble = Some(message.clone());
                    self.said = Some(message);
                }
            }
        }
        looked
    }

    fn make_good(&mut self, truths: &Truths<'_>) -> Result<Vec<String>, crate::board::Error> {
        let generation = truths.state.generation();
        let mut repairs = Vec::new();
        if self.behind {
            self.shown = truths.all_effective();
        }
        let writer = match &mut self.writer {
            Some(writer) => {
                repairs.extend(writer.look()?);
                repairs.extend(writer.scrub()?);
                if self.behind {
                    writer.declare(&entries(truths, &self.shown))?;
                }
                writer
            }
            none => {
                let (writer, found) =
                    Writer::create(&self.directory, &entries(truths, &self.shown), generation)?;
                // That there was none yet is how every first start finds it.
                let first = |repair: &Repair| *repair == Repair::Replaced(Damage::Missing);
                repairs.extend(found.into_iter().filter(|repair| !first(repair)));
                none.insert(writer)
            }
        };
        let mut is_new = self.behind || !repairs.is_empty();
        while is_new && repairs.len() < REPAIRS {
            watch(self.watch.as_ref(), writer);
            // What was done to it before it was watched woke nobody.
            let late = writer.look()?;
            is_new = !late.is_empty();
            repairs.extend(late);
        }
        self.behind = false;
        Ok(repairs.iter().map(ToString::to_string).collect())
    }

    /// What to wait for.
    pub(super) fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// Takes what was seen; true: there is a reason to look.
    pub(super) fn something_happened(&self) -> bool {
        let mut happened = false;
        while let Some(Ok(events)) = self.watch.as_ref().map(Inotify::read_events) {
            happened |= !events.is_empty();
        }
        happened
    }
}

/// Everything that is declared, as a board shows it.
fn entries(truths: &Truths<'_>, shown: &BTreeMap<String, Effective>) -> Vec<Entry> {
    let entry = |name: &str| Some(Entry::new(name, setting(shown.get(name)?)));
    let flag = |flag: &Declaration| {
        // Lists of a flag by host were looked at, for this host.
        let list = |ids: &Vec<String>| if flag.unit == Unit::Host { Vec::new() } else { ids.clone() };
        let (allow, deny) = (list(&flag.allow), list(&flag.deny));
        Some(Entry { salt: flag.salt.clone(), allow, deny, ..entry(&flag.name)? })
    };
    let migration = |migration: &Migration| {
        let stages = migration.stages.iter().map(|stage| stage.name.clone()).collect();
        Some(Entry { stages, ..entry(&migration.name)? })
    };
    let flags = truths.catalog.flags().filter_map(flag);
    flags.chain(truths.catalog.migrations().filter_map(migration)).collect()
}

fn setting(seen: &Effective) -> Setting {
    Setting { truth: seen.truth, instances: seen.on.clone() }
}

/// Watches belong to files, not to names: set again whenever files may have changed places. Those that
/// are set already stay as they are.
fn watch(inotify: Option<&Inotify>, writer: &Writer) {
    let Some(inotify) = inotify else { return };
    for watch in writer.watches() {
        // What cannot be watched is looked at each second.
        let _ = inotify.add_watch(&watch.path, AddWatchFlags::from_bits_truncate(watch.mask));
    }
}
