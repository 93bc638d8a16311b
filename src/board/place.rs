//! The names under which a board is found, and what makes the file there a board.

use super::layout::{BOARD, HEADER_CELLS, Header, KEPT, KEPT_BOARD, Layout, STATE};
use crate::mapped::shown;
use crate::sys::shared_file::{self, Look};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The paths of one runtime directory.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    pub(super) board: PathBuf,
    pub(super) kept: PathBuf,
    pub(super) kept_board: PathBuf,
    /// Where a link is made before it is renamed to its place.
    pub(super) next: PathBuf,
    /// Where a directory goes that stood in the board's place.
    pub(super) displaced: PathBuf,
}

/// A file that says of itself, provably, that it is a board.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) file: File,
    pub(super) look: Look,
    pub(super) header: Header,
    /// False: a successor stands.
    pub(super) live: bool,
}

impl Place {
    pub(super) fn new(directory: &Path) -> Place {
        let at = |name: &str| directory.join(name);
        let kept = at(KEPT);
        Place {
            directory: directory.to_owned(),
            board: at(BOARD),
            next: kept.join("next"),
            kept,
            kept_board: at(KEPT_BOARD),
            displaced: at("displaced"),
        }
    }
}

impl Candidate {
    /// The board at `path`, one of `place`.
    ///
    /// # Errors
    /// Those of `open`; `PermissionDenied` when others could have made or changed it (B8); `InvalidData`
    /// when it is no whole board of this version.
    pub(super) fn open(place: &Place, path: &Path, writable: bool) -> io::Result<Candidate> {
        Candidate::open_in(&place.directory, path, writable)
    }

    fn open_in(directory: &Path, path: &Path, writable: bool) -> io::Result<Candidate> {
        let directory = shared_file::check_directory(directory)?;
        let (file, look) = shared_file::open(path, writable)?;
        if look.owner != 0 && look.owner != directory.owner {
            let why = format!("it belongs to uid {}, not to the directory's owner", look.owner);
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        let no_board = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        let cells: [u64; HEADER_CELLS] = shared_file::read_words(&file, 0)?;
        let header = Header::from_cells(&cells).ok_or_else(|| no_board("its header is not a board's"))?;
        if look.bytes != header.layout.bytes() as u64 {
            return Err(no_board("its length is not what its header says"));
        }
        if look.identity.inode != header.inode {
            return Err(no_board("it is a copy of a board"));
        }
        let [state] = shared_file::read_words(&file, STATE)?;
        Ok(Candidate { file, look, header, live: state == header.live() })
    }
}

/// The board at `path`, for a reader.
///
/// # Errors
/// As [`Candidate::open`].
pub(super) fn open_to_read(directory: &Path, path: &Path) -> io::Result<shown::Candidate> {
    let Candidate { file, look, header, .. } = Candidate::open_in(directory, path, false)?;
    let Layout { slots, arena, end, .. } = header.layout;
    Ok(shown::Candidate {
        file,
        identity: look.identity,
        header: header.to_cells(),
        bytes: header.layout.bytes(),
        incarnation: header.incarnation,
        state: STATE,
        live: header.live(),
        facts: [slots as u64, (end - arena) as u64, header.generation_high.into()],
    })
}
