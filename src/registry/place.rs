//! What makes a file a table of names.

use super::layout::{Header, STATE};
use crate::mapped::shown::{Candidate, HEADER_CELLS};
use crate::sys::shared_file;
use std::io;
use std::path::Path;

/// The table at `path` in `directory`.
///
/// # Errors
/// Those of `open`; `PermissionDenied` when others could have made or changed it (B8); `InvalidData` when it is no whole
/// table of this version.
pub(super) fn open(directory: &Path, path: &Path, writable: bool) -> io::Result<Candidate> {
    let owner = shared_file::check_directory(directory)?.owner;
    let (file, look) = shared_file::open(path, writable)?;
    if look.owner != 0 && look.owner != owner {
        let why = format!("it belongs to uid {}, not to the directory's owner", look.owner);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let no_table = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let cells: [u64; HEADER_CELLS] = shared_file::read_words(&file, 0)?;
    let header = Header::from_cells(&cells).ok_or_else(|| no_table("its header is not a table's"))?;
    let bytes = header.layout.bytes();
    if look.bytes != bytes as u64 {
        return Err(no_table("its length is not what its header says"));
    }
    if look.identity.inode != header.inode {
        return Err(no_table("it is a copy of a table"));
    }
    Ok(Candidate {
        file,
        identity: look.identity,
        header: cells,
        bytes,
        incarnation: header.incarnation,
        state: STATE,
        live: header.live(),
        facts: [header.layout.entries as u64, (header.layout.end - header.layout.arena) as u64, 0],
    })
}

/// The same, for a reader.
pub(super) fn open_to_read(directory: &Path, path: &Path) -> io::Result<Candidate> {
    open(directory, path, false)
}
