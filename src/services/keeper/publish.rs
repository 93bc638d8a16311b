//! The keeper's side of the board: one writer, and what is watched for it.
//!
//! The board is derived from the journal and may be missing, damaged or impossible to make at any time:
//! nothing here fails. What could not be done is said once and tried again at each look.

use super::handle::Declared;
use crate::board::layout::BOARD;
use crate::board::{Damage, Entry, Repair, Setting, Writer};
use crate::flags::Truth;
use crate::store::{Change, Store};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// The board of one runtime directory.
#[derive(Debug)]
pub(super) struct Publisher {
    directory: PathBuf,
    /// `None` until the first board stands.
    writer: Option<Writer>,
    /// True when the board may say something else than the store.
    behind: bool,
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
        let directory = directory.to_owned();
        let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok();
        Publisher { directory, writer: None, behind: true, watch, said: None, untold: Looked::default() }
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

    /// Shows changes that the journal has. When it returns, every new read sees them, as far as there is
    /// a board.
    pub(super) fn publish(&mut self, declared: &Declared, store: &Store, changes: &[Change]) {
        if self.behind {
            // Whatever was missed goes with these.
            self.untold = self.look(declared, store);
            return;
        }
        for change in changes {
            let setting = |set: &crate::store::Set| declared.effective(&set.flag, set.truth).into();
            let sets: Vec<(&str, Setting)> =
                change.sets.iter().map(|s| (s.flag.as_str(), setting(s))).collect();
            let Some(writer) = &mut self.writer else { continue };
            if writer.set_all_numbered(&sets, change.generation).is_err() {
                // The next look tells why, if it cannot mend it.
                self.behind = true;
            }
        }
    }

    /// Makes sure that the board stands, is the one that is found by its name, and says what the store
    /// says (B6).
    pub(super) fn look(&mut self, declared: &Declared, store: &Store) -> Looked {
        let mut looked = std::mem::take(&mut self.untold);
        if !store.is_known() && store.state().generation() == 0 && self.path().exists() {
            // What the journal says is not known yet: the board that is there knows better than we do.
            return looked;
        }
        match self.make_good(declared, store) {
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

    fn make_good(&mut self, declared: &Declared, store: &Store) -> Result<Vec<String>, crate::board::Error> {
        let generation = store.state().generation();
        let mut repairs = Vec::new();
        let writer = match &mut self.writer {
            Some(writer) => {
                repairs.extend(writer.look()?);
                repairs.extend(writer.scrub()?);
                if self.behind {
                    writer.declare(&entries(declared, store))?;
                }
                writer
            }
            none => {
                let (writer, found) = Writer::create(&self.directory, &entries(declared, store), generation)?;
                // That there was none yet is how every first start finds it.
                let first = |repair: &Repair| *repair == Repair::Replaced(Damage::Missing);
                repairs.extend(found.into_iter().filter(|repair| !first(repair)));
                none.insert(writer)
            }
        };
        if self.behind || !repairs.is_empty() {
            watch(self.watch.as_ref(), writer);
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

fn entries(declared: &Declared, store: &Store) -> Vec<Entry> {
    let entry = |(d, truth): (&crate::flags::Declaration, Truth)| Entry {
        salt: d.salt.clone(),
        allow: d.allow.clone(),
        deny: d.deny.clone(),
        ..Entry::new(&d.name, truth)
    };
    declared.truths(store.state()).map(entry).collect()
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
