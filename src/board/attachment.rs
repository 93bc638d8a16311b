//! Which board a process reads (B7): what [`Shown`] shows, as a board; and whom it asks when there is none.

use super::fallback::{Answer, Fallback};
use super::layout::{EMPTY, GENERATION, Header, Layout, PROBES, STATE, entry_slot};
use super::name_record::NameRecord;
use super::place::{Candidate, Place, open_to_read};
use super::record::Arena;
use super::witness::{Options, Sighting, Witness};
use crate::flags::Seal;
use crate::mapped::proof::Sought;
use crate::mapped::shown::Shown;
use crate::sys::clock;
use crate::sys::mapping::Region;
use crate::time::{Duration, Instant};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Between two questions that got no answer.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How long the keeper may take to answer.
const ASK_LIMIT: Duration = Duration::from_millis(100);

/// Index entries that are looked at before a search is worth it.
const PROBES_AT_FIRST: usize = 8;

/// Shared by a [`Board`](super::Board) and its handles.
pub(super) struct Attachment {
    place: Place,
    pub(super) region: Region,
    shown: Shown,
    next_ask: AtomicU64,
    fallback: Option<Box<dyn Fallback>>,
    witness: Option<&'static dyn Witness>,
    instance: Option<Box<str>>,
    in_place: &'static AtomicU64,
}

/// Where nobody ever says which board is in place.
static NOBODY_SAYS: AtomicU64 = AtomicU64::new(0);

/// The board that is shown, as of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) header: Header,
    /// The state of it while it is live: of no other board, so it names it.
    pub(super) live: u64,
}

/// What a search found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Search {
    /// The flag has this slot.
    Found {
        view: View,
        slot: usize,
        /// What seals its word.
        seal: Seal,
    },
    /// B3: an empty entry that proves itself was met.
    Absent,
    /// Something on the way did not prove itself.
    Lost,
}

impl Attachment {
    pub(super) fn new(directory: &Path, options: Options) -> Attachment {
        let Options { fallback, witness, instance, in_place } = options;
        let place = Place::new(directory);
        let shown = Shown::new(directory, [place.board.clone(), place.kept_board.clone()], open_to_read);
        Attachment {
            region: shown.region,
            place,
            shown,
            next_ask: AtomicU64::new(0),
            fallback,
            witness,
            instance: instance.map(String::into_boxed_str),
            in_place: in_place.unwrap_or(&NOBODY_SAYS),
        }
    }

    /// Why there is no board now; `None` when there is one.
    pub(super) fn trouble(&self) -> Option<std::io::Error> {
        match Candidate::open(&self.place, &self.place.board, false) {
            Ok(board) if board.live => None,
            Ok(_) => Some(std::io::Error::other("it is retired, and its successor is not there")),
            Err(why) => Some(why),
        }
    }

    /// The board that is shown, if it is live.
    #[inline]
    pub(super) fn view(&self) -> Option<View> {
        let view = self.shown.view()?;
        let [slots, arena, generation_high] = view.facts;
        let layout = Layout::with_arena(slots as usize, arena as usize);
        let generation_high = generation_high as u32;
        let header = Header { incarnation: view.incarnation, generation_high, inode: view.inode, layout };
        Some(View { header, live: view.live })
    }

    /// The body of the word of `name`, when nothing on the way asks for more than a look: what nearly every read by name
    /// finds, in as few instructions as that takes. `None`: search.
    #[inline]
    pub(super) fn at_first_sight(&self, name: &Sought<'_>) -> Option<u32> {
        let incarnation = self.shown.incarnation.load(Ordering::Acquire);
        let live = self.shown.live.load(Ordering::Relaxed);
        let slots = self.shown.facts[0].load(Ordering::Relaxed) as usize;
        fence(Ordering::Acquire);
        let exchanged = incarnation == 0 || self.shown.incarnation.load(Ordering::Relaxed) != incarnation;
        if exchanged || self.region.load(STATE) != live {
            return None;
        }
        fence(Ordering::Acquire);
        let layout = Layout::with_arena(slots, 0);
        for probe in 0..PROBES_AT_FIRST {
            let cell = layout.entry(name.hash(), probe);
            let body = Seal::new(incarnation, cell).open(self.region.load(cell))?;
            fence(Ordering::Acquire);
            let Some(slot) = entry_slot(body, name.hash()) else {
                if body == EMPTY { return None } else { continue }
            };
            if slot >= slots {
                return None;
            }
            let seal = Seal::new(incarnation, layout.word(slot));
            if !NameRecord::proves(layout.name(slot), seal, name, |cell| self.region.load(cell)) {
                return None;
            }
            let bits = seal.open(self.region.load(layout.word(slot)))?;
            fence(Ordering::Acquire);
            return Some(bits);
        }
        None
    }

    /// Where the flag `name` is.
    #[inline]
    pub(super) fn search(&self, name: &Sought<'_>) -> Search {
        let Some(view) = self.view() else { return Search::Lost };
        let View { header, .. } = view;
        let layout = header.layout;
        for probe in 0..PROBES {
            let cell = layout.entry(name.hash(), probe);
            let Some(body) = header.seal(cell).open(self.region.load(cell)) else { return Search::Lost };
            if body == EMPTY {
                return Search::Absent;
            }
            // B3: record and word were stored before the entry.
            fence(Ordering::Acquire);
            let Some(slot) = entry_slot(body, name.hash()) else { continue };
            if slot >= layout.slots {
                return Search::Lost;
            }
            let seal = header.seal(layout.word(slot));
            let load = |cell| self.region.load(cell);
            match NameRecord::holds(header.incarnation, layout.name(slot), seal, name, load) {
                Some(true) => return Search::Found { view, slot, seal },
                Some(false) => {}
                None => return Search::Lost,
            }
        }
        Search::Lost
    }

    /// What an id of the flag in `slot` is hashed behind, and where its lists or stages are; `None` when that is lost.
    #[inline]
    pub(super) fn name_record(&self, view: View, slot: usize) -> Option<NameRecord> {
        let View { header, .. } = view;
        NameRecord::read(header.incarnation, header.layout.name(slot), |cell| self.region.load(cell))
    }

    /// The records of the board.
    #[inline]
    pub(super) fn arena(&self, view: View) -> Arena<impl Fn(usize) -> u64 + '_> {
        let View { header, .. } = view;
        Arena::new(header.incarnation, header.layout, |cell| self.region.load(cell))
    }

    /// The instance that this process is of.
    pub(super) fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    /// What a sighting begins with, before its word is loaded: the number of the last change, and the moment. `None`: nobody
    /// wants to know.
    #[inline]
    pub(super) fn before_sighting(&self) -> Option<(u64, Instant)> {
        self.witness.map(|_| (self.generation().unwrap_or_default(), clock::now()))
    }

    /// Says to whom it may concern that a handle proved a word that differs from the last one it proved.
    #[inline]
    pub(super) fn note(&self, sighting: Sighting) {
        if let Some(witness) = self.witness {
            witness.seen(sighting);
        }
    }

    /// The number of the last change, when it proves itself.
    pub(super) fn generation(&self) -> Option<u64> {
        let View { header, .. } = self.view()?;
        let low = header.seal(GENERATION).open(self.region.load(GENERATION))?;
        fence(Ordering::Acquire);
        Some(u64::from(header.generation_high) << 32 | u64::from(low))
    }

    /// Where it is said which board is in place, as an incarnation; 0: nobody says.
    pub(super) fn in_place(&self) -> &'static AtomicU64 {
        self.in_place
    }

    /// Whether that board is the one that is shown.
    pub(super) fn shows(&self, incarnation: u64) -> bool {
        incarnation != 0 && self.shown.incarnation.load(Ordering::Acquire) == incarnation
    }

    /// See [`Shown::look`].
    #[inline]
    pub(super) fn look(&self, now: Instant) {
        self.shown.look(now);
    }

    /// See [`Shown::recover`].
    #[cold]
    pub(super) fn recover(&self, now: Instant) -> bool {
        self.shown.recover(now)
    }

    /// Asks the keeper, then the journal; not again for a while when neither answers.
    #[cold]
    pub(super) fn ask(&self, name: &str, now: Instant) -> Option<Answer> {
        let fallback = self.fallback.as_ref()?;
        let due = self.next_ask.load(Ordering::Relaxed);
        if now.as_nanos() < due {
            return None;
        }
        let answer = fallback.ask(name, ASK_LIMIT).or_else(|| fallback.recall(name));
        if answer.is_none() {
            self.next_ask.store((clock::coarse() + ASK_EVERY).as_nanos(), Ordering::Relaxed);
        }
        answer
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attachment({}, {:x?})", self.place.board.display(), self.shown.incarnation)
    }
}
