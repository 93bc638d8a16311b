//! The one writer of a board.
//!
//! The truth is what its caller knows (a journal, say); the board is derived from it, and never read back
//! as truth (B1). Every store leaves the board in a state that readers can use, and whoever comes after a
//! writer that was killed between any two of them only has to make it agree with the truth again.
//!
//! It must be alone: its caller holds the lock. It never shrinks a board, and never uses `write` on one
//! that can be seen. It watches nothing by itself: see [`Writer::watches`], and call [`Writer::look`]
//! and [`Writer::scrub`].

use super::entry::{Entry, Flag, Setting, checked};
use super::error::{Damage, Error, Repair};
use super::image::{Full, Order};
use super::layout::{COMMIT, FUTEX, GENERATION, HEARTBEAT, OWNER};
use super::place::{Candidate, Place};
use super::standing::{Standing, build, prepare, retire, retire_stray, take_over, wake};
use crate::flags::{Name, Truth};
use crate::sys::clock;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{Ordering, fence};

/// See the module's documentation.
#[derive(Debug)]
pub struct Writer {
    pub(super) place: Place,
    pub(super) standing: Standing,
    pub(super) generation: u64,
    /// Even between changes.
    pub(super) commit: u32,
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
        let flags = checked(entries)?;
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
        let taken_over = adopted.and_then(|board| take_over(&place, board, &flags, generation));
        let writer = match taken_over {
            Some((writer, changed)) => {
                repairs.extend((changed > 0).then_some(Repair::Cells(changed)));
                writer
            }
            None => {
                let damage = if was_there { Damage::Unsound } else { Damage::Missing };
                repairs.push(Repair::Replaced(damage));
                let standing = build(&place, &flags, generation, 0)?;
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

    /// Which board stands: another one has another number.
    pub fn incarnation(&self) -> u64 {
        self.standing.image.header.incarnation
    }

    /// What a flag is set to; `None` when it is not declared.
    pub fn get(&self, name: &str) -> Option<Truth> {
        self.setting(name).map(|setting| setting.truth)
    }

    /// The same with what belongs to it.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        let slot = self.standing.image.find(&Name::new(name).ok()?)?;
        self.standing.image.slots[slot].flag.setting.as_ref()
    }

    /// The body of its word: what a reader notes that it has seen.
    pub fn body(&self, name: &str) -> Option<u32> {
        let image = &self.standing.image;
        let slot = image.find(&Name::new(name).ok()?)?;
        Some(image.slots[slot].body.to_bits())
    }

    /// Sets one flag; see [`Writer::set_all`].
    ///
    /// # Errors
    /// As for [`Writer::set_all`].
    pub fn set(&mut self, name: &str, setting: Setting) -> Result<u64, Error> {
        self.set_all(&[(name, setting)])
    }

    /// Sets flags, all at once as a snapshot sees it, and wakes who waits. Returns the generation, which is
    /// one more than before unless nothing changed. When this returns `Ok`, every new read sees it. Of a flag that is
    /// named twice the last setting holds.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Stage`]: nothing changed. [`Error::System`], [`Error::TooLong`]: the board had to be made anew
    /// and could not be; readers may see the old values or, where the board went away meanwhile, go on with their last.
    /// [`Writer::declare`] tries again.
    pub fn set_all(&mut self, changes: &[(&str, Setting)]) -> Result<u64, Error> {
        let changes = self.to_set(changes)?;
        let is = |(slot, setting): &(usize, Setting)| {
            self.standing.image.slots[*slot].flag.setting.as_ref() == Some(setting)
        };
        if changes.iter().all(is) {
            return Ok(self.generation);
        }
        self.store_settings(changes, self.generation + 1)
    }

    /// The same for a change that has a number already, in a journal: the generation becomes that number,
    /// also when no value differs. A number that is not above the present one counts as the next.
    ///
    /// # Errors
    /// As for [`Writer::set_all`].
    pub fn set_all_numbered(&mut self, changes: &[(&str, Setting)], generation: u64) -> Result<u64, Error> {
        let changes = self.to_set(changes)?;
        self.store_settings(changes, generation.max(self.generation + 1))
    }

    fn to_set(&self, changes: &[(&str, Setting)]) -> Result<Vec<(usize, Setting)>, Error> {
        let image = &self.standing.image;
        let mut at = HashMap::new();
        let mut checked: Vec<(usize, Setting)> = Vec::with_capacity(changes.len());
        for (name, setting) in changes {
            let declared = |slot: &usize| image.slots[*slot].flag.setting.is_some();
            let slot = Name::new(name).ok().and_then(|name| image.find(&name)).filter(declared);
            let slot = slot.ok_or_else(|| Error::Unknown((*name).to_owned()))?;
            let setting = setting.clone().checked(name)?;
            match at.insert(slot, checked.len()) {
                // A word is stored once in a change, behind its record.
                Some(before) => {
                    checked[before].1 = setting;
                    at.insert(slot, before);
                }
                None => checked.push((slot, setting)),
            }
        }
        Ok(checked)
    }

    fn store_settings(&mut self, changes: Vec<(usize, Setting)>, generation: u64) -> Result<u64, Error> {
        let image = &mut self.standing.image;
        let cells: usize =
            changes.iter().map(|(slot, setting)| setting.cells(&image.slots[*slot].flag.fixed)).sum();
        if cells > image.room() {
            // B5: readers of the old board go on until the new one stands.
            let mut changes: HashMap<usize, Setting> = changes.into_iter().collect();
            let flag = |(slot, old): (usize, &super::image::Slot)| {
                let mut flag = old.flag.clone();
                flag.setting = changes.remove(&slot).or(flag.setting);
                flag
            };
            let flags: Vec<Flag> = image.slots.iter().enumerate().map(flag).collect();
            return self.replace_with(&flags, generation);
        }
        let mut order = Order::new();
        let stored: Result<(), Full> =
            changes.into_iter().try_for_each(|(slot, setting)| image.set(slot, setting, &mut order));
        debug_assert!(stored.is_ok(), "there was room");
        self.change(generation, order)
    }

    /// Makes the declared flags exactly these, all at once. Flags that are missing here are gone: their
    /// readers get their own default. Makes a new board when there is no room, or when the salt, the lists or the stages of
    /// a flag changed.
    ///
    /// # Errors
    /// A declaration is wrong: nothing changed. Else as for [`Writer::set_all`].
    pub fn declare(&mut self, entries: &[Entry]) -> Result<u64, Error> {
        let flags = checked(entries)?;
        let image = &mut self.standing.image;
        let known = |flag: &Flag| image.find(&flag.name).map(|at| &image.slots[at].flag);
        if image.flags().count() == flags.len() && flags.iter().all(|flag| known(flag) == Some(flag)) {
            return Ok(self.generation);
        }
        let generation = self.generation + 1;
        if flags.iter().any(|flag| known(flag).is_some_and(|old| old.fixed != flag.fixed)) {
            return self.replace_with(&flags, generation);
        }
        let added: Vec<&Flag> = flags.iter().filter(|flag| known(flag).is_none()).collect();
        let changes = |flag: &&Flag| known(flag).is_some_and(|old| old.setting != flag.setting);
        let changed = flags.iter().filter(changes).filter_map(|f| Some(f.setting.as_ref()?.cells(&f.fixed)));
        let cells = changed.sum::<usize>() + added.iter().map(|flag| flag.cells()).sum::<usize>();
        if !image.has_room(&added, cells) {
            return self.replace_with(&flags, generation);
        }
        let mut order = Order::new();
        let names: HashSet<_> = flags.iter().map(|flag| flag.name).collect();
        for slot in 0..image.slots.len() {
            let flag = &image.slots[slot].flag;
            if flag.setting.is_some() && !names.contains(&flag.name) {
                image.remove(slot, &mut order);
            }
        }
        let insert_or_set = |flag: &Flag| match (image.find(&flag.name), &flag.setting) {
            (Some(at), setting) if image.slots[at].flag.setting == *setting => Ok(()),
            (Some(at), Some(setting)) => image.set(at, setting.clone(), &mut order),
            _ => image.push(flag.clone(), &mut order),
        };
        let stored: Result<(), Full> = flags.iter().try_for_each(insert_or_set);
        debug_assert!(stored.is_ok(), "there was room");
        self.change(generation, order)
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
    pub(super) fn mend(&mut self) -> usize {
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

    /// Shows a change that the image has: bracketed, then numbered, then told to who waits.
    fn change(&mut self, generation: u64, order: Order) -> Result<u64, Error> {
        if (generation >> 32) as u32 != self.standing.image.header.generation_high {
            // The upper half stands in the header, which never changes: once in four billion changes.
            let flags: Vec<Flag> = self.standing.image.flags().cloned().collect();
            return self.replace_with(&flags, generation);
        }
        self.generation = generation;
        self.bracketed(|writer| order.into_iter().flatten().for_each(|cell| writer.publish(cell)));
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

    /// A new board in place of this one, which is retired when the new one stands (B5).
    pub(super) fn replace(&mut self, damage: Damage) -> Result<Repair, Error> {
        let flags: Vec<Flag> = self.standing.image.flags().cloned().collect();
        self.replace_with(&flags, self.generation)?;
        Ok(Repair::Replaced(damage))
    }

    /// The same with these flags, as of this change.
    fn replace_with(&mut self, flags: &[Flag], generation: u64) -> Result<u64, Error> {
        prepare(&self.place)?;
        let successor = build(&self.place, flags, generation, self.commit)?;
        let old = std::mem::replace(&mut self.standing, successor);
        self.generation = generation;
        retire(&old.mapping, &old.image.header);
        Ok(generation)
    }

    pub(super) fn heartbeat(&self) {
        self.standing.mapping.store(HEARTBEAT, clock::now().as_nanos());
        self.standing.mapping.store(OWNER, std::process::id().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b4_the_commit_counter_is_odd_while_a_change_runs_and_even_between_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, _) = Writer::create(folder.path(), &[], 0).unwrap();
        let counter = |writer: &Writer| {
            writer.standing.image.header.seal(COMMIT).open(writer.standing.mapping.load(COMMIT)).unwrap()
        };
        let before = counter(&writer);
        assert!(before.is_multiple_of(2));
        writer.bracketed(|writer| assert_eq!(counter(writer), before.wrapping_add(1)));
        assert_eq!(counter(&writer), before.wrapping_add(2));
    }
}
