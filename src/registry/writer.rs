//! The one writer of the table of names: the registry.
//!
//! The truth is what its caller knows; the table is derived from it, and never read back as truth (B1). Each life of the
//! registry makes a table of its own, and retires that of the last one when it stands (B5); so does a table that has no room
//! left. It never shrinks one, and never uses `write` on one that can be seen.

use super::error::{Repair, TableError as Error};
use super::image::Image;
use super::layout::{FUTEX, GENERATION, Header, INDEX, KEPT_TABLE, Layout, RETIRED, STATE, TABLE};
use super::place;
use super::record;
use crate::ipc::registry::Entry;
use crate::sys::futex;
use crate::sys::mapping::WriteMapping;
use crate::sys::shared_file::{self, Identity, Kind};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Permissions of a table: names are no secrets.
const MODE: u32 = 0o644;

/// See the module.
pub struct Writer {
    directory: PathBuf,
    standing: Standing,
    generation: u64,
}

struct Standing {
    file: File,
    identity: Identity,
    mapping: WriteMapping,
    image: Image,
}

impl Writer {
    /// A new table with these names, numbered above the one that is there, which is retired.
    ///
    /// # Errors
    /// [`TableError`](Error): the directory can be written by others, or lies on a file system whose mappings cannot be trusted; no space.
    pub fn create<'a>(
        directory: &Path,
        entries: impl Iterator<Item = &'a Entry> + Clone,
    ) -> Result<Writer, Error> {
        shared_file::ensure_directory(directory, 0o711).map_err(Error::at("making", directory))?;
        shared_file::check_directory(directory).map_err(Error::at("using", directory))?;
        shared_file::check_file_system(directory).map_err(Error::at("using", directory))?;
        let old: Vec<WriteMapping> = [TABLE, KEPT_TABLE]
            .iter()
            .filter_map(|name| place::open(directory, &directory.join(name), true).ok())
            .filter_map(|found| WriteMapping::new(found.file.as_fd(), found.bytes).ok())
            .collect();
        let newest = old.iter().filter_map(|old| Some((old, header_of(old)?)));
        let newest = newest.filter_map(|(old, header)| header.seal(GENERATION).open(old.load(GENERATION)));
        // Whoever waits for a number that is another one sees that it is.
        let generation = u64::from(newest.max().unwrap_or(0)) + 1;
        let built = build(directory, entries, generation);
        // Also when none could be made: nobody would keep the old one true from now on, and who finds it retired asks.
        old.iter().for_each(retire);
        let standing = built?;
        Ok(Writer { directory: directory.to_owned(), standing, generation })
    }

    /// Shows a registration, in place of an earlier one of its name. False: there is no room; make a new table.
    pub fn put(&mut self, entry: &Entry) -> bool {
        let Some((record, place)) = self.standing.image.put(entry) else { return false };
        record.chain([place]).for_each(|cell| self.publish(cell));
        self.number();
        true
    }

    /// Shows that a name means nobody any more.
    pub fn take(&mut self, name: &str) {
        let cells = self.standing.image.take(name);
        if !cells.is_empty() {
            cells.into_iter().for_each(|cell| self.publish(cell));
            self.number();
        }
    }

    fn number(&mut self) {
        self.generation += 1;
        let Standing { image, mapping, .. } = &mut self.standing;
        image.number(self.generation);
        mapping.store(GENERATION, image.cell(GENERATION));
        mapping.half(FUTEX).store(image.cell(FUTEX) as u32, Ordering::Release);
        // Fails only where nobody can wait.
        let _ = futex::wake_all(mapping.half(FUTEX));
    }

    /// One release store: the cell is what the image says.
    fn publish(&self, cell: usize) {
        self.standing.mapping.store(cell, self.standing.image.cell(cell));
    }

    /// A new table with these names in place of this one.
    ///
    /// # Errors
    /// As [`Writer::create`]; then this one stays.
    pub fn replace<'a>(&mut self, entries: impl Iterator<Item = &'a Entry> + Clone) -> Result<(), Error> {
        let successor = build(&self.directory, entries, self.generation + 1)?;
        self.generation += 1;
        let old = std::mem::replace(&mut self.standing, successor);
        retire(&old.mapping);
        Ok(())
    }

    /// Nobody reads this one any more: it says less than is true, and there is no room for another.
    pub fn retire(self) {
        retire(&self.standing.mapping);
    }

    /// Looks whether both names lead to this table, and its length, permissions and cells are right, and puts right what is
    /// not. `Some` of nothing: it needs [`Writer::replace`], which says [`Repair::Replaced`].
    ///
    /// # Errors
    /// Something is wrong and cannot be mended now: call it again.
    pub fn look(&mut self) -> Result<Option<Vec<Repair>>, Error> {
        let path = self.directory.join(TABLE);
        let ours =
            shared_file::look_at(self.standing.file.as_fd()).map_err(Error::at("looking at", &path))?;
        let bytes = self.standing.image.header.layout.bytes() as u64;
        if ours.bytes != bytes || self.standing.mapping.is_lost() {
            return Ok(None);
        }
        let mut repairs = Vec::new();
        if ours.mode != MODE {
            shared_file::set_mode(&self.standing.file, MODE)
                .map_err(Error::at("changing the mode of", &path))?;
            repairs.push(Repair::Mode(ours.mode));
        }
        let wrong: Vec<PathBuf> = [KEPT_TABLE, TABLE]
            .iter()
            .map(|name| self.directory.join(name))
            .filter(|path| !self.leads_here(path))
            .collect();
        if !wrong.is_empty() {
            if ours.links == 0 || !wrong.iter().all(|path| self.link_back(path).is_ok()) {
                // A file without a name cannot get one again.
                return Ok(None);
            }
            repairs.push(Repair::LinkedBack);
        }
        let Standing { mapping, image, .. } = &self.standing;
        let cells: Vec<usize> =
            image.order_of_repair().filter(|cell| mapping.load(*cell) != image.cell(*cell)).collect();
        let futex = mapping.half(FUTEX).load(Ordering::Relaxed) != image.cell(FUTEX) as u32;
        if futex || !cells.is_empty() {
            cells.iter().for_each(|cell| self.publish(*cell));
            self.number();
            repairs.push(Repair::Cells(cells.len() + usize::from(futex)));
        }
        Ok(Some(repairs))
    }

    fn leads_here(&self, path: &Path) -> bool {
        shared_file::look(path)
            .is_ok_and(|look| look.identity == self.standing.identity && look.kind == Kind::File)
    }

    /// The same inode again, so that whoever has it mapped never notices.
    fn link_back(&self, path: &Path) -> std::io::Result<()> {
        let kept = self.directory.join(".kept");
        shared_file::ensure_directory(&kept, 0o755)?;
        shared_file::move_directory_aside(path, &self.directory.join("displaced"))?;
        shared_file::link_over(&self.standing.file, &kept.join("next-registry"), path)
    }
}

fn header_of(mapping: &WriteMapping) -> Option<Header> {
    if mapping.words() < INDEX {
        return None;
    }
    Header::from_cells(&std::array::from_fn(|cell| mapping.load(cell)))
}

/// B5: only when its successor stands.
fn retire(mapping: &WriteMapping) {
    let Some(header) = header_of(mapping) else { return };
    mapping.store(STATE, header.seal(STATE).close(RETIRED));
    // Who waits here must come back and look.
    mapping.half(FUTEX).fetch_xor(1 << 31, Ordering::AcqRel);
    let _ = futex::wake_all(mapping.half(FUTEX));
}

/// A complete table at its place: reserved, filled, named (B5).
fn build<'a>(
    directory: &Path,
    entries: impl Iterator<Item = &'a Entry> + Clone,
    generation: u64,
) -> Result<Standing, Error> {
    let (table, kept_table, kept) =
        (directory.join(TABLE), directory.join(KEPT_TABLE), directory.join(".kept"));
    shared_file::ensure_directory(&kept, 0o755).map_err(Error::at("making", &kept))?;
    let incarnation = shared_file::random().map_err(Error::at("numbering", &table))?;
    let cells = entries.clone().map(record::cells).sum();
    let mut layout = Layout::for_names(entries.clone().count(), cells).ok_or(Error::Full)?;
    let (new, image) = loop {
        let mut image = None;
        let new = shared_file::make(&kept, TABLE, MODE, layout.bytes(), |look| {
            let header = Header { incarnation, inode: look.identity.inode, layout };
            let mut filled = Image::new(header, generation);
            if entries.clone().all(|entry| filled.put(entry).is_some()) {
                image = Some(filled);
            }
            image.as_ref().map(|image| image.cells().to_vec())
        })
        .map_err(Error::at("reserving space for", &table))?;
        match (new, image) {
            (Some(new), Some(image)) => break (new, image),
            // A crowded stretch of the index: twice the room spreads it.
            _ => layout = Layout::for_names(layout.entries / 2, cells).ok_or(Error::Full)?,
        }
    };
    let identity =
        shared_file::look_at(new.as_file().as_fd()).map_err(Error::at("checking", &table))?.identity;
    let mapping = WriteMapping::new(new.as_file().as_fd(), layout.bytes());
    let mapping = mapping.map_err(Error::at("mapping", &table))?;
    for path in [&kept_table, &table] {
        shared_file::move_directory_aside(path, &directory.join("displaced"))
            .map_err(Error::at("replacing", path))?;
    }
    // The second link first: at any moment it is at least as new as the table's own name.
    shared_file::link_over(new.as_file(), &kept.join("next-registry"), &kept_table)
        .map_err(Error::at("linking", &kept_table))?;
    let file = new.persist(&table).map_err(|failed| {
        // The second link alone would be found, and nobody would keep it true.
        let _ = shared_file::remove_if_there(&kept_table);
        Error::at("replacing", &table)(failed.error)
    })?;
    Ok(Standing { file, identity, mapping, image })
}
