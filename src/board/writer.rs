//! The one writer of a board.
//!
//! The truth is what its caller knows (a journal, say); the board is derived from it, and never read back
//! as truth (B1). Every store leaves the board in a state that readers can use, and whoever comes after a
//! writer that was killed between any two of them only has to make it agree with the truth again.
//!
//! It must be alone: its caller holds the lock. It never shrinks a board, and never uses `write` on one
//! that can be seen. It watches nothing by itself: see [`Writer::watches`], and call [`Writer::look`]
//! and [`Writer::scrub`].

use super::error::{Damage, Error, Repair};
use super::image::{Image, Slot};
use super::layout::{
    COMMIT, FUTEX, GENERATION, HEARTBEAT, Header, LIVE, Layout, NameRecord, OWNER, RETIRED, SLOTS_MAX, STATE,
};
use super::place::{Candidate, Place};
use crate::flags::{Body, Name, Truth};
use crate::sys::mapping::WriteMapping;
use crate::sys::shared_file::{self, Identity};
use crate::sys::{clock, futex};
use std::collections::HashSet;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{Ordering, fence};

/// Permissions of a board: flags are no secrets.
pub const BOARD_MODE: u32 = 0o644;

/// A flag as the board shall show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// 1 to 128 bytes of `[A-Za-z0-9._-]`.
    pub name: String,
    /// What stands in the hash before an id: at most 128 bytes; empty: the name.
    pub salt: String,
    /// What it is set to.
    pub truth: Truth,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Writer {
    pub(super) place: Place,
    pub(super) standing: Standing,
    pub(super) generation: u64,
    /// Even between changes.
    pub(super) commit: u32,
}

/// The board that the writer has.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) file: File,
    pub(super) identity: Identity,
    pub(super) mapping: WriteMapping,
    pub(super) image: Image,
}

impl Writer {
    /// Takes over the board in the runtime directory, mending what differs from `entries`, or makes a new
    /// one when there is none that is sound. The directory is made when it is missing. `generation` is the
    /// number of the last change that the caller knows; the board's own number is taken when it is higher.
    ///
    /// Says what it found wrong. The caller holds the lock that makes it the only writer.
    ///
    /// # Errors
    /// A declaration is wrong; the directory can be written by others or lies on a file system whose
    /// mappings cannot be trusted (B8); no space. Nothing changed then, or a new board stands.
    pub fn create(
        directory: &Path,
        entries: &[Entry],
        generation: u64,
    ) -> Result<(Writer, Vec<Repair>), Error> {
        let slots = slots_of(entries)?;
        let place = Place::new(directory);
        prepare(&place)?;
        let mut repairs = Vec::new();
        let at_path = Candidate::open(&place, &place.board, true).ok();
        let kept = Candidate::open(&place, &place.kept_board, true).ok();
        let was_there = at_path.is_some() || kept.is_some();
        let (adopted, other) = match at_path {
            Some(board) if board.live => (Some(board), kept),
            other => (kept.filter(|kept| kept.live), other),
        };
        // Before anything is published on the adopted one: whoever reads the other must not fall behind.
        if let Some(other) = other
            && adopted.as_ref().is_none_or(|adopted| adopted.look.identity != other.look.identity)
            && other.live
        {
            retire_stray(&other);
            repairs.push(Repair::RetiredStray);
        }
        let taken_over = adopted.and_then(|board| take_over(&place, board, &slots, generation));
        let writer = match taken_over {
            Some((writer, changed)) => {
                repairs.extend((changed > 0).then_some(Repair::Cells(changed)));
                writer
            }
            None => {
                let damage = if was_there { Damage::Unsound } else { Damage::Missing };
                repairs.push(Repair::Replaced(damage));
                let standing = build(&place, &slots, generation, 0)?;
                Writer { place, standing, generation, commit: 0 }
            }
        };
        let mut writer = writer;
        repairs.extend(writer.look()?);
        Ok((writer, repairs))
    }

    /// The number of the last change.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What a flag is set to; `None` when it is not declared.
    pub fn get(&self, name: &str) -> Option<Truth> {
        match self.slot(name).ok()?.1 {
            Body::Flag(truth) => Some(truth),
            Body::Removed | Body::Unused => None,
        }
    }

    /// Sets one flag; see [`Writer::set_all`].
    ///
    /// # Errors
    /// As for [`Writer::set_all`].
    pub fn set(&mut self, name: &str, truth: Truth) -> Result<u64, Error> {
        self.set_all(&[(name, truth)])
    }

    /// Sets flags, all at once as a snapshot sees it, and wakes who waits. Returns the generation, which is
    /// one more than before unless nothing changed. When this returns `Ok`, every new read sees it.
    ///
    /// # Errors
    /// [`Error::Unknown`]: nothing changed. [`Error::System`]: the values are set, and are published as
    /// soon as [`Writer::look`] succeeds in making a board in place of the one that went away meanwhile.
    pub fn set_all(&mut self, changes: &[(&str, Truth)]) -> Result<u64, Error> {
        let slots = self.slots_to_set(changes)?;
        if slots.iter().all(|(slot, body)| self.standing.image.slots[*slot].body == *body) {
            return Ok(self.generation);
        }
        self.change(self.generation + 1, |writer| writer.store_bodies(slots))
    }

    /// The same for a change that has a number already, in a journal: the generation becomes that number,
    /// also when no value differs. A number that is not above the present one counts as the next.
    ///
    /// # Errors
    /// As for [`Writer::set_all`].
    pub fn set_all_numbered(&mut self, changes: &[(&str, Truth)], generation: u64) -> Result<u64, Error> {
        let slots = self.slots_to_set(changes)?;
        self.change(generation.max(self.generation + 1), |writer| writer.store_bodies(slots))
    }

    fn slots_to_set(&self, changes: &[(&str, Truth)]) -> Result<Vec<(usize, Body)>, Error> {
        let mut slots = Vec::with_capacity(changes.len());
        for (name, truth) in changes {
            let (slot, body) = self.slot(name)?;
            if !matches!(body, Body::Flag(_)) {
                return Err(Error::Unknown((*name).to_owned()));
            }
            slots.push((slot, Body::Flag(*truth)));
        }
        Ok(slots)
    }

    fn store_bodies(&mut self, slots: Vec<(usize, Body)>) {
        for (slot, body) in slots {
            let cell = self.standing.image.set(slot, body);
            self.publish(cell);
        }
    }

    /// Makes the declared flags exactly these, all at once. Flags that are missing here are gone: their
    /// readers get their own default. Grows when there is no room, and makes a new board when the salt of
    /// a flag changed.
    ///
    /// # Errors
    /// A declaration is wrong: nothing changed. Else as for [`Writer::set_all`].
    pub fn declare(&mut self, entries: &[Entry]) -> Result<u64, Error> {
        let slots = slots_of(entries)?;
        let image = &self.standing.image;
        let known = |slot: &Slot| image.find(&slot.record.name).map(|at| &image.slots[at]);
        let is =
            |slot: &Slot| known(slot).is_some_and(|old| old.record == slot.record && old.body == slot.body);
        let flags = image.slots.iter().filter(|slot| slot.body != Body::Removed).count();
        if flags == slots.len() && slots.iter().all(is) {
            return Ok(self.generation);
        }
        let other_salt = slots.iter().any(|slot| known(slot).is_some_and(|old| old.record != slot.record));
        let added = slots.iter().filter(|slot| known(slot).is_none()).count();
        if other_salt || image.slots.len() + added > image.header.layout.slots {
            self.generation += 1;
            return self.replace_with(&slots).map(|()| self.generation);
        }
        let names: HashSet<_> = slots.iter().map(|slot| slot.record.name).collect();
        let mut full = false;
        let generation = self.change(self.generation + 1, |writer| {
            for slot in 0..writer.standing.image.slots.len() {
                if !names.contains(&writer.standing.image.slots[slot].record.name) {
                    let cell = writer.standing.image.set(slot, Body::Removed);
                    writer.publish(cell);
                }
            }
            full = !slots.iter().all(|slot| writer.insert_or_set(slot));
        })?;
        if full {
            // A crowded stretch of the index: twice the room spreads it.
            self.replace_with(&slots)?;
        }
        Ok(generation)
    }

    /// Adds or changes one flag, in the order of B3; false when the index has no room for it.
    fn insert_or_set(&mut self, slot: &Slot) -> bool {
        let image = &mut self.standing.image;
        if let Some(at) = image.find(&slot.record.name) {
            let cell = image.set(at, slot.body);
            self.publish(cell);
            return true;
        }
        let at = image.slots.len();
        let Ok(entry) = image.push(slot.record, slot.body) else { return false };
        let order = image.order_of_insertion(at, entry);
        order.for_each(|cell| self.publish(cell));
        true
    }

    /// Compares every cell with the truth, and mends what differs.
    ///
    /// # Errors
    /// The board went away meanwhile and a new one cannot be made.
    pub fn scrub(&mut self) -> Result<Vec<Repair>, Error> {
        let cells = self.mend();
        let mut repairs = Vec::new();
        repairs.extend((cells > 0).then_some(Repair::Cells(cells)));
        if self.standing.mapping.is_lost() {
            repairs.push(self.replace(Damage::Lost)?);
        }
        Ok(repairs)
    }

    /// Stores what differs from the image; says how many cells did.
    fn mend(&mut self) -> usize {
        let Standing { mapping, image, .. } = &self.standing;
        let mut wrong: Vec<usize> =
            image.order_of_repair().filter(|&cell| mapping.load(cell) != image.cell(cell)).collect();
        wrong.extend([COMMIT, GENERATION].into_iter().filter(|&cell| mapping.load(cell) != image.cell(cell)));
        let futex_wrong = mapping.half(FUTEX).load(Ordering::Relaxed) != image.cell(FUTEX) as u32;
        if wrong.is_empty() && !futex_wrong {
            return 0;
        }
        self.bracketed(|writer| wrong.iter().for_each(|cell| writer.publish(*cell)));
        self.publish_generation();
        wrong.len() + usize::from(futex_wrong)
    }

    /// A change: bracketed, then numbered, then told to who waits.
    fn change(&mut self, generation: u64, stores: impl FnOnce(&mut Writer)) -> Result<u64, Error> {
        self.generation = generation;
        if (self.generation >> 32) as u32 != self.standing.image.header.generation_high {
            // The upper half stands in the header, which never changes: once in four billion changes.
            stores(self);
            self.replace(Damage::Outgrown)?;
            return Ok(self.generation);
        }
        self.bracketed(stores);
        self.standing.image.set_generation(self.generation);
        self.publish_generation();
        if self.standing.mapping.is_lost() {
            self.replace(Damage::Lost)?;
        }
        Ok(self.generation)
    }

    /// B4: the commit counter is odd while `stores` runs, so that no snapshot takes half of it.
    pub(super) fn bracketed(&mut self, stores: impl FnOnce(&mut Writer)) {
        let seal = self.standing.image.header.seal(COMMIT);
        self.standing.mapping.store(COMMIT, seal.close(self.commit.wrapping_add(1)));
        // Nobody sees a store of the change without seeing that it runs.
        fence(Ordering::Release);
        stores(self);
        self.commit = self.commit.wrapping_add(2);
        self.standing.image.set_commit(self.commit);
        self.publish(COMMIT);
    }

    fn publish_generation(&self) {
        let Standing { mapping, image, .. } = &self.standing;
        self.publish(GENERATION);
        mapping.half(FUTEX).store(image.cell(FUTEX) as u32, Ordering::Release);
        wake(mapping);
    }

    /// One release store: the cell is what the image says.
    pub(super) fn publish(&self, cell: usize) {
        self.standing.mapping.store(cell, self.standing.image.cell(cell));
    }

    /// The slot of a flag, removed or not, and what is there.
    fn slot(&self, name: &str) -> Result<(usize, Body), Error> {
        let name = Name::new(name).map_err(|_| Error::Unknown(name.to_owned()))?;
        let slot = self.standing.image.find(name.packed()).ok_or_else(|| Error::Unknown(name.to_string()))?;
        Ok((slot, self.standing.image.slots[slot].body))
    }

    /// A new board in place of this one, which is retired when the new one stands (B5).
    pub(super) fn replace(&mut self, damage: Damage) -> Result<Repair, Error> {
        let flags = |slot: &&Slot| slot.body != Body::Removed;
        let slots: Vec<Slot> = self.standing.image.slots.iter().filter(flags).copied().collect();
        self.replace_with(&slots)?;
        Ok(Repair::Replaced(damage))
    }

    fn replace_with(&mut self, slots: &[Slot]) -> Result<(), Error> {
        prepare(&self.place)?;
        let successor = build(&self.place, slots, self.generation, self.commit)?;
        let old = std::mem::replace(&mut self.standing, successor);
        retire(&old.mapping, &old.image.header);
        Ok(())
    }

    pub(super) fn heartbeat(&self) {
        self.standing.mapping.store(HEARTBEAT, clock::now().as_nanos());
        self.standing.mapping.store(OWNER, std::process::id().into());
    }
}

/// The declarations, checked.
fn slots_of(entries: &[Entry]) -> Result<Vec<Slot>, Error> {
    if entries.len() > SLOTS_MAX {
        return Err(Error::TooMany(entries.len()));
    }
    let mut names = HashSet::new();
    let slot = |entry: &Entry| {
        let name = Name::new(&entry.name).map_err(Error::Name)?;
        if !names.insert(name) {
            return Err(Error::Twice(entry.name.clone()));
        }
        let record = NameRecord::new(name, &entry.salt)
            .ok_or_else(|| Error::Salt(entry.name.clone(), entry.salt.len()))?;
        Ok(Slot { record, body: Body::Flag(entry.truth) })
    };
    entries.iter().map(slot).collect()
}

/// The directories, and nothing left of a writer that was killed.
fn prepare(place: &Place) -> Result<(), Error> {
    let Place { directory, kept, .. } = place;
    shared_file::ensure_directory(directory, 0o711).map_err(Error::at("making", directory))?;
    shared_file::check_directory(directory).map_err(Error::at("using", directory))?;
    shared_file::check_file_system(directory).map_err(Error::at("using", directory))?;
    shared_file::ensure_directory(kept, 0o755).map_err(Error::at("making", kept))?;
    shared_file::remove_leftovers(kept).map_err(Error::at("clearing", kept))
}

/// Adopts `board` in place; `None` when it is not sound enough, or cannot hold `slots`.
fn take_over(place: &Place, board: Candidate, slots: &[Slot], generation: u64) -> Option<(Writer, usize)> {
    let Candidate { file, look, header, .. } = board;
    let mapping = WriteMapping::new(file.as_fd(), header.layout.bytes()).ok()?;
    let load = |cell| mapping.load(cell);
    let own = header.seal(GENERATION).open(load(GENERATION));
    let own = own.map_or(0, |low| u64::from(header.generation_high) << 32 | u64::from(low));
    let generation = generation.max(own);
    if (generation >> 32) as u32 != header.generation_high {
        return None;
    }
    // An unknown counter continues anywhere, as long as it is not where a snapshot may have seen it.
    let commit = match header.seal(COMMIT).open(load(COMMIT)) {
        Some(commit) => (commit | 1).wrapping_add(1),
        None => shared_file::random().ok()? as u32 & !1,
    };
    let mut image = Image::new(header, generation, commit);
    // Slots are not truth but places: the names that are there keep theirs.
    for slot in 0..header.layout.slots {
        let cell = header.layout.name(slot);
        if header.seal(cell).open(load(cell)) == Some(0) {
            break;
        }
        let record = NameRecord::read(header.incarnation, cell, load)?;
        image.push(record, Body::Removed).ok()?;
    }
    for slot in slots {
        match image.find(&slot.record.name) {
            Some(at) if image.slots[at].record == slot.record => drop(image.set(at, slot.body)),
            Some(_) => return None,
            None => drop(image.push(slot.record, slot.body).ok()?),
        }
    }
    let standing = Standing { file, identity: look.identity, mapping, image };
    let mut writer = Writer { place: place.clone(), standing, generation, commit };
    let values = header.layout.word(0)..header.layout.index;
    let differs = |cell: &usize| writer.standing.mapping.load(*cell) != writer.standing.image.cell(*cell);
    if own == generation && values.into_iter().any(|cell| differs(&cell)) {
        writer.generation = generation.checked_add(1).filter(|next| next >> 32 == generation >> 32)?;
        writer.standing.image.set_generation(writer.generation);
    }
    let stopped_halfway =
        writer.standing.mapping.load(COMMIT) != header.seal(COMMIT).close(commit.wrapping_sub(2));
    let changed = writer.mend();
    (!writer.standing.mapping.is_lost()).then(|| (writer, changed - usize::from(!stopped_halfway)))
}

/// A complete board at its place: reserved, filled, checked, named (B5).
fn build(place: &Place, slots: &[Slot], generation: u64, commit: u32) -> Result<Standing, Error> {
    let mut layout = Layout::for_flags(slots.len()).ok_or(Error::TooMany(slots.len()))?;
    let Place { board, kept, kept_board, next, displaced, .. } = place;
    let incarnation = shared_file::random().map_err(Error::at("numbering", board))?;
    let (new, image) = loop {
        let filled = |inode| {
            let header = Header { incarnation, generation_high: (generation >> 32) as u32, inode, layout };
            let mut image = Image::new(header, generation, commit);
            slots.iter().all(|slot| image.push(slot.record, slot.body).is_ok()).then_some(image)
        };
        let mut image = None;
        let new = shared_file::make(kept, BOARD_MODE, layout.bytes(), |look| {
            image = filled(look.identity.inode);
            image.as_ref().map(|image| image.cells().to_vec())
        })
        .map_err(Error::at("reserving space for", board))?;
        match (new, image) {
            (Some(new), Some(image)) => break (new, image),
            _ if layout.slots < SLOTS_MAX => layout = Layout::of(layout.slots * 2),
            _ => return Err(Error::TooMany(slots.len())),
        }
    };
    let doing = "checking";
    let identity = shared_file::look_at(new.as_file().as_fd()).map_err(Error::at(doing, board))?.identity;
    let mapping =
        WriteMapping::new(new.as_file().as_fd(), layout.bytes()).map_err(Error::at("mapping", board))?;
    if (0..layout.arena).any(|cell| cell != FUTEX && mapping.load(cell) != image.cell(cell)) {
        let source = std::io::Error::other("the new board does not read as it was written");
        return Err(Error::at(doing, board)(source));
    }
    // The second link first: at any moment it is at least as new as the board's own name, so a reader
    // that falls back to it never goes back in time.
    let directories = [(kept_board, "replacing"), (board, "replacing")];
    for (path, doing) in directories {
        shared_file::move_directory_aside(path, displaced).map_err(Error::at(doing, path))?;
    }
    shared_file::link_over(new.as_file(), next, kept_board).map_err(Error::at("linking", kept_board))?;
    let file = new.persist(board).map_err(|e| Error::at("replacing", board)(e.error))?;
    Ok(Standing { file, identity, mapping, image })
}

/// B5: only when its successor stands.
fn retire(mapping: &WriteMapping, header: &Header) {
    mapping.store(STATE, header.seal(STATE).close(RETIRED));
    // Who waits here must come back and look: the number itself is not one that is waited for.
    mapping.half(FUTEX).fetch_xor(1 << 31, Ordering::AcqRel);
    wake(mapping);
}

/// A board that is not the adopted one, but that somebody may still read.
fn retire_stray(board: &Candidate) {
    debug_assert_eq!(board.header.live() as u32, LIVE);
    if let Ok(mapping) = WriteMapping::new(board.file.as_fd(), board.header.layout.bytes()) {
        retire(&mapping, &board.header);
    }
}

fn wake(mapping: &WriteMapping) {
    // Fails only where nobody can wait: the file is gone, and readers come back by their time limit.
    let _ = futex::wake_all(mapping.half(FUTEX));
}
