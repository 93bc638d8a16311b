//! A board as a file: made whole under another name, taken over from a writer that is gone, retired.

use super::entry::Flag;
use super::error::Error;
use super::image::{Image, Order};
use super::layout::{BOARD, COMMIT, FREE, FUTEX, GENERATION, Header, LIVE, Layout, MOVED, RETIRED, STATE};
use super::name_record::{LENGTHS, NameRecord};
use super::place::{Candidate, Place};
use super::writer::Writer;
use crate::sys::futex;
use crate::sys::mapping::WriteMapping;
use crate::sys::shared_file::{self, Identity};
use std::fs::File;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

/// Permissions of a board: flags are no secrets.
pub const BOARD_MODE: u32 = 0o644;

/// The board that a writer has.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) file: File,
    pub(super) identity: Identity,
    pub(super) mapping: WriteMapping,
    pub(super) image: Image,
}

/// The directories, and nothing left of a writer that was killed.
pub(super) fn prepare(place: &Place) -> Result<(), Error> {
    let Place { directory, kept, .. } = place;
    shared_file::ensure_directory(directory, 0o711).map_err(Error::at("making", directory))?;
    shared_file::check_directory(directory).map_err(Error::at("using", directory))?;
    shared_file::check_file_system(directory).map_err(Error::at("using", directory))?;
    shared_file::ensure_directory(kept, 0o755).map_err(Error::at("making", kept))?;
    shared_file::remove_leftovers(kept, BOARD).map_err(Error::at("clearing", kept))
}

/// Adopts `board` in place, and says how many cells were wrong; `None` when it is not sound enough, or cannot hold `flags`.
pub(super) fn take_over(
    place: &Place,
    board: Candidate,
    flags: &[Flag],
    generation: u64,
) -> Option<(Writer, usize)> {
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
    // Neither slots nor records are truth, but places: what is there keeps its own, because readers have it.
    image.take_over_arena(header.seal(FREE).open(load(FREE))? as usize, load)?;
    for slot in 0..header.layout.slots {
        let cell = header.layout.name(slot);
        if header.seal(cell + LENGTHS).open(load(cell + LENGTHS)) == Some(0) {
            break;
        }
        image.take_over(&NameRecord::read(header.incarnation, cell, load)?)?;
    }
    let mut order = Order::new();
    for flag in flags {
        match (image.find(&flag.name), &flag.setting) {
            (Some(at), Some(setting)) if image.slots[at].flag.fixed == flag.fixed => {
                let word = load(header.layout.word(at));
                image.set_as_it_was(at, setting.clone(), word, &mut order).ok()?;
            }
            (Some(_), _) => return None,
            (None, _) => image.push(flag.clone(), &mut order).ok()?,
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
pub(super) fn build(place: &Place, flags: &[Flag], generation: u64, commit: u32) -> Result<Standing, Error> {
    let flags = || flags.iter().filter(|flag| flag.setting.is_some());
    let (count, records) = (flags().count(), flags().map(Flag::cells).sum());
    let mut layout = Layout::for_flags(count, records).ok_or(Error::TooLong(8 * records))?;
    let Place { board, kept, kept_board, next, displaced, .. } = place;
    let incarnation = shared_file::random().map_err(Error::at("numbering", board))?;
    let (new, image) = loop {
        let filled = |inode| {
            let header = Header { incarnation, generation_high: (generation >> 32) as u32, inode, layout };
            let mut image = Image::new(header, generation, commit);
            let mut order = Order::new();
            flags().all(|flag| image.push(flag.clone(), &mut order).is_ok()).then_some(image)
        };
        let mut image = None;
        let new = shared_file::make(kept, BOARD, BOARD_MODE, layout.bytes(), |look| {
            image = filled(look.identity.inode);
            image.as_ref().map(|image| image.cells().to_vec())
        })
        .map_err(Error::at("reserving space for", board))?;
        match (new, image) {
            (Some(new), Some(image)) => break (new, image),
            // A crowded stretch of the index: twice the room spreads it.
            _ => layout = layout.spread(records).ok_or(Error::TooMany(count))?,
        }
    };
    let doing = "checking";
    let identity = shared_file::look_at(new.as_file().as_fd()).map_err(Error::at(doing, board))?.identity;
    let mapping =
        WriteMapping::new(new.as_file().as_fd(), layout.bytes()).map_err(Error::at("mapping", board))?;
    if (0..layout.end).any(|cell| cell != FUTEX && mapping.load(cell) != image.cell(cell)) {
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
pub(super) fn retire(mapping: &WriteMapping, header: &Header) {
    mapping.store(STATE, header.seal(STATE).close(RETIRED));
    // A handle that finds its word unchanged looks at nothing else: none may stay as it was.
    for cell in header.layout.word(0)..header.layout.index {
        mapping.store(cell, header.seal(cell).close(MOVED));
    }
    // Who waits here must come back and look: the number itself is not one that is waited for.
    mapping.half(FUTEX).fetch_xor(1 << 31, Ordering::AcqRel);
    wake(mapping);
}

/// A board that is not the adopted one, but that somebody may still read.
pub(super) fn retire_stray(board: &Candidate) {
    debug_assert_eq!(board.header.live() as u32, LIVE);
    if let Ok(mapping) = WriteMapping::new(board.file.as_fd(), board.header.layout.bytes()) {
        retire(&mapping, &board.header);
    }
}

pub(super) fn wake(mapping: &WriteMapping) {
    // Fails only where nobody can wait: the file is gone, and readers come back by their time limit.
    let _ = futex::wake_all(mapping.half(FUTEX));
}
