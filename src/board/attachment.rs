//! Which board a process reads, and how it comes to another one (B7).
//!
//! One region of addresses shows the board of the moment; a successor is shown at the same addresses, while
//! others read. That is safe because every word proves of which board it is, and it means that no reader
//! holds a pointer that must be waited for. Nothing here blocks: who does not get the lock goes on with
//! what it has. Nothing allocates but the opening of a file.

use super::fallback::{Answer, Fallback};
use super::layout::{EMPTY, GENERATION, HEADER_CELLS, Header, Layout, PROBES, STATE, entry_slot};
use super::name_record::NameRecord;
use super::place::{Candidate, Place};
use super::record::Arena;
use super::witness::{Options, Sighting, Witness};
use crate::flags::Seal;
use crate::mapped::proof::Sought;
use crate::sys::clock;
use crate::sys::mapping::Region;
use crate::sys::shared_file::{self, Identity};
use crate::time::{Duration, Instant};
use std::fmt;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// How often at most somebody looks whether the board's name still leads to the board that is mapped.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Between two attempts to open a board: doubled from the least to the most.
const TRY_LEAST: Duration = Duration::from_millis(1);
const TRY_MOST: Duration = Duration::from_millis(100);
/// Between two questions that got no answer.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How long the keeper may take to answer.
const ASK_LIMIT: Duration = Duration::from_millis(100);

/// How often at most a thread lets others go first while one of them exchanges the board: that takes some 50 µs.
const YIELDS: usize = 64;

/// Index entries that are looked at before a search is worth it.
const PROBES_AT_FIRST: usize = 8;

/// Shared by a [`Board`](super::Board) and its handles.
pub(super) struct Attachment {
    place: Place,
    pub(super) region: Region,
    /// Of the board that is shown; 0: none, or one is just being exchanged.
    incarnation: AtomicU64,
    /// What its state is while it is live.
    live: AtomicU64,
    slots: AtomicU64,
    /// Cells of its arena.
    arena: AtomicU64,
    generation_high: AtomicU32,
    device: AtomicU64,
    inode: AtomicU64,
    /// The process that exchanges boards, 0: none. Not a mutex: after a fork its holder may not exist.
    holder: AtomicU32,
    next_look: AtomicU64,
    next_try: AtomicU64,
    pause: AtomicU64,
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
        let attachment = Attachment {
            place: Place::new(directory),
            // Without address space every read is lost, and is answered by the fallback.
            region: Region::reserve().unwrap_or(Region::nothing()),
            incarnation: AtomicU64::new(0),
            live: AtomicU64::new(0),
            slots: AtomicU64::new(0),
            arena: AtomicU64::new(0),
            generation_high: AtomicU32::new(0),
            device: AtomicU64::new(0),
            inode: AtomicU64::new(0),
            holder: AtomicU32::new(0),
            next_look: AtomicU64::new(0),
            next_try: AtomicU64::new(0),
            pause: AtomicU64::new(TRY_LEAST.as_nanos() as u64),
            next_ask: AtomicU64::new(0),
            fallback,
            witness,
            instance: instance.map(String::into_boxed_str),
            in_place: in_place.unwrap_or(&NOBODY_SAYS),
        };
        attachment.recover(clock::coarse());
        attachment
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
        let incarnation = self.incarnation.load(Ordering::Acquire);
        let live = self.live.load(Ordering::Relaxed);
        let slots = self.slots.load(Ordering::Relaxed) as usize;
        let arena = self.arena.load(Ordering::Relaxed) as usize;
        let generation_high = self.generation_high.load(Ordering::Relaxed);
        let inode = self.inode.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        if incarnation == 0 || self.incarnation.load(Ordering::Relaxed) != incarnation {
            return None;
        }
        let header = Header { incarnation, generation_high, inode, layout: Layout::with_arena(slots, arena) };
        let is_live = self.region.load(STATE) == live;
        // What is loaded after this is of a board that was live, or does not prove itself.
        fence(Ordering::Acquire);
        is_live.then_some(View { header, live })
    }

    /// The body of the word of `name`, when nothing on the way asks for more than a look: what nearly every read by name
    /// finds, in as few instructions as that takes. `None`: search.
    #[inline]
    pub(super) fn at_first_sight(&self, name: &Sought<'_>) -> Option<u32> {
        let incarnation = self.incarnation.load(Ordering::Acquire);
        let live = self.live.load(Ordering::Relaxed);
        let slots = self.slots.load(Ordering::Relaxed) as usize;
        fence(Ordering::Acquire);
        let exchanged = incarnation == 0 || self.incarnation.load(Ordering::Relaxed) != incarnation;
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
        incarnation != 0 && self.incarnation.load(Ordering::Acquire) == incarnation
    }

    /// Looks, at most each [`LOOK_EVERY`], whether the name leads to another board than the one shown: a
    /// board that lost its names while no writer lived is never marked retired.
    #[inline]
    pub(super) fn look(&self, now: Instant) {
        let due = self.next_look.load(Ordering::Relaxed);
        if now.as_nanos() >= due {
            self.look_now(now, due);
        }
    }

    #[cold]
    fn look_now(&self, now: Instant, due: u64) {
        let next = (now + LOOK_EVERY).as_nanos();
        if self.next_look.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return; // Another thread does it.
        }
        if let Ok(look) = shared_file::look(&self.place.board)
            && look.identity != self.identity()
        {
            self.attach();
        }
    }

    /// Tries to open a board again, unless that was tried a moment ago; when another thread does just that, waits a
    /// little for it. Look again afterwards, whatever it says: true when this call showed a board that was not shown before.
    #[cold]
    pub(super) fn recover(&self, now: Instant) -> bool {
        let now = now.as_nanos();
        let due = self.next_try.load(Ordering::Relaxed);
        if now < due {
            self.await_exchange();
            return false;
        }
        let pause = match self.pause.load(Ordering::Relaxed) {
            // Long ago: this is another trouble, not the same again.
            pause if now - due > 4 * pause => TRY_LEAST.as_nanos() as u64,
            pause => pause,
        };
        if self.next_try.compare_exchange(due, now + pause, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            self.await_exchange();
            return false; // Another thread does it.
        }
        self.pause.store((2 * pause).min(TRY_MOST.as_nanos() as u64), Ordering::Relaxed);
        let changed = self.attach();
        if changed {
            // It helped, so the next trouble is another one: try at once.
            self.next_try.store(now, Ordering::Relaxed);
        }
        changed
    }

    /// Waits until no other thread exchanges the board, but not long: it may be stopped.
    fn await_exchange(&self) {
        for _ in 0..YIELDS {
            if self.holder.load(Ordering::Acquire) != process::id() {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Shows the board that the name leads to, or else the second link. True when that is a change.
    fn attach(&self) -> bool {
        if !self.lock() {
            self.await_exchange();
            return false;
        }
        let changed = [&self.place.board, &self.place.kept_board]
            .into_iter()
            .filter_map(|path| Candidate::open(&self.place, path, false).ok())
            .find(|board| board.live)
            .is_some_and(|board| self.show(&board));
        self.holder.store(0, Ordering::Release);
        changed
    }

    fn show(&self, board: &Candidate) -> bool {
        let Candidate { file, look, header, .. } = board;
        let head = header.to_cells();
        let shown = (0..HEADER_CELLS).all(|cell| self.region.load(cell) == head[cell])
            && self.region.load(STATE) == header.live();
        if shown && self.incarnation.load(Ordering::Relaxed) == header.incarnation {
            return false;
        }
        // Nobody takes a part of these for the whole.
        self.incarnation.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        let mapped = self.region.show(std::os::fd::AsFd::as_fd(file), header.layout.bytes()).is_ok();
        self.live.store(header.live(), Ordering::Relaxed);
        self.slots.store(header.layout.slots as u64, Ordering::Relaxed);
        self.arena.store((header.layout.end - header.layout.arena) as u64, Ordering::Relaxed);
        self.generation_high.store(header.generation_high, Ordering::Relaxed);
        self.device.store(look.identity.device, Ordering::Relaxed);
        self.inode.store(look.identity.inode, Ordering::Relaxed);
        if mapped {
            self.incarnation.store(header.incarnation, Ordering::Release);
        }
        mapped
    }

    /// Takes the lock if it is free, or held by a process that is not this one: then this is a child of a
    /// fork, and the thread that held it stayed in the parent.
    fn lock(&self) -> bool {
        let me = process::id();
        match self.holder.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => true,
            Err(holder) if holder == me => false,
            Err(other) => {
                self.holder.compare_exchange(other, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
            }
        }
    }

    fn identity(&self) -> Identity {
        Identity { device: self.device.load(Ordering::Relaxed), inode: self.inode.load(Ordering::Relaxed) }
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

impl Drop for Attachment {
    fn drop(&mut self) {
        self.region.give_back();
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attachment({}, {:x?})", self.place.board.display(), self.incarnation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b7_a_lock_that_a_fork_left_behind_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let attachment = Attachment::new(folder.path(), Options::default());
        assert!(attachment.lock());
        assert!(!attachment.lock(), "another thread of this process has it");
        // As after a fork: the holder is the parent.
        attachment.holder.store(process::id().wrapping_add(1), Ordering::Relaxed);
        assert!(attachment.lock());
    }

    #[test]
    fn b7_attempts_to_open_are_rate_limited() {
        let folder = tempfile::tempdir().unwrap();
        let attachment = Attachment::new(folder.path(), Options::default());
        let mut now = clock::coarse() + Duration::from_secs(10);
        attachment.recover(now);
        let mut gaps = Vec::new();
        for _ in 0..9 {
            let next = Instant::from_nanos(attachment.next_try.load(Ordering::Relaxed));
            gaps.push(next.since(now).as_millis());
            now = next;
            attachment.recover(now);
        }
        assert_eq!(gaps, [1, 2, 4, 8, 16, 32, 64, 100, 100]);
    }
}
